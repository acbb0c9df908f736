//! What the running appliance is asked and told.

use std::io::{self, IsTerminal};
use std::time::Duration;
use std::{fmt, thread};

use super::args::{StatusArgs, View};
use super::{CliError, Place, output};
use crate::base::Timestamp;
use crate::core::control::{Command, Query, Reply};
use crate::core::tenant::access::Principal;
use crate::edge::console::{Client, LogLevel, metrics, render};

/// Between two pictures of `--watch`.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

/// Gives an order; done means durable.
pub fn order(place: &Place, command: &Command) -> Result<(), CliError> {
    done(connect(place)?.command(command)?)
}

/// Changes a log level.
pub fn log_level(place: &Place, module: String, level: String) -> Result<(), CliError> {
    done(connect(place)?.log_level(LogLevel { module, level })?)
}

/// `Ok` for [`Reply::Done`].
pub fn done(reply: Reply) -> Result<(), CliError> {
    match reply {
        Reply::Done => Ok(()),
        Reply::Refused { reason } => Err(CliError::Refused(reason)),
        Reply::TenantStatus(_) => {
            let what = "that is of the whole appliance; a tenant's users see their own part by `cordboard status`";
            Err(CliError::Refused(what.into()))
        }
        _ => Err(CliError::Answer),
    }
}

/// Who asks, and what they may do.
pub fn whoami(place: &Place, json: bool) -> Result<(), CliError> {
    match connect(place)?.query(&Query::Whoami)? {
        reply @ Reply::Whoami { .. } if json => output::json(&reply),
        Reply::Whoami { user, role, tenant, agent } => text(&render::whoami(&Principal { user, role, tenant, agent })),
        other => unexpected(other),
    }
}

/// Counters, bounds, alarms; of a tenant its counters and quotas.
pub fn status(place: &Place, args: &StatusArgs) -> Result<(), CliError> {
    let query = args.tenant.clone().map_or(Query::Status, |tenant| Query::TenantStatus { tenant });
    show(place, &args.view, &query, |reply, json| match reply {
        Reply::TenantStatus(status) if json => output::json(&status),
        Reply::TenantStatus(status) => text(&render::tenant_status(&status, now())),
        Reply::Status(status) if json => output::json(&status),
        Reply::Status(status) => text(&render::status(&status, now())),
        other => unexpected(other),
    })
}

/// Calls in progress.
pub fn calls(place: &Place, view: &View) -> Result<(), CliError> {
    show(place, view, &Query::Calls, |reply, json| match reply {
        Reply::Calls { calls } if json => output::json(&calls),
        Reply::Calls { calls } => text(&render::calls(calls, now())),
        other => unexpected(other),
    })
}

/// Agents and their states.
pub fn agents(place: &Place, view: &View) -> Result<(), CliError> {
    show(place, view, &Query::Agents, |reply, json| match reply {
        Reply::Agents { agents } if json => output::json(&agents),
        Reply::Agents { agents } => text(&render::agents(agents, now())),
        other => unexpected(other),
    })
}

/// Queues.
pub fn queues(place: &Place, view: &View) -> Result<(), CliError> {
    show(place, view, &Query::Queues, |reply, json| match reply {
        Reply::Queues { queues } if json => output::json(&queues),
        Reply::Queues { queues } => text(&render::queues(queues)),
        other => unexpected(other),
    })
}

/// Trunks.
pub fn trunks(place: &Place, view: &View) -> Result<(), CliError> {
    show(place, view, &Query::Trunks, |reply, json| match reply {
        Reply::Trunks { trunks } if json => output::json(&trunks),
        Reply::Trunks { trunks } => text(&render::trunks(trunks)),
        other => unexpected(other),
    })
}

/// Sites.
pub fn sites(place: &Place, view: &View) -> Result<(), CliError> {
    show(place, view, &Query::Sites, |reply, json| match reply {
        Reply::Sites { sites } if json => output::json(&sites),
        Reply::Sites { sites } => text(&render::sites(sites)),
        other => unexpected(other),
    })
}

/// What tenants are permitted on the trunks that they share.
pub fn contracts(place: &Place, view: &View) -> Result<(), CliError> {
    show(place, view, &Query::Contracts, |reply, json| match reply {
        Reply::Contracts { contracts } if json => output::json(&contracts),
        Reply::Contracts { contracts } => text(&render::contracts(contracts)),
        other => unexpected(other),
    })
}

/// Everything that is counted, for a program that watches.
pub fn metrics(place: &Place) -> Result<(), CliError> {
    let mut client = connect(place)?;
    let status = match client.query(&Query::Status)? {
        Reply::Status(status) => *status,
        other => return unexpected(other),
    };
    let queues = match client.query(&Query::Queues)? {
        Reply::Queues { queues } => queues,
        other => return unexpected(other),
    };
    let trunks = match client.query(&Query::Trunks)? {
        Reply::Trunks { trunks } => trunks,
        other => return unexpected(other),
    };
    let sites = match client.query(&Query::Sites)? {
        Reply::Sites { sites } => sites,
        other => return unexpected(other),
    };
    match client.query(&Query::Contracts)? {
        Reply::Contracts { contracts } => {
            text(&metrics::metrics(&metrics::Sources { status, queues, trunks, sites, contracts }))
        }
        other => unexpected(other),
    }
}

/// Circuits one by one.
pub fn circuits(place: &Place, trunk: Option<String>, view: &View) -> Result<(), CliError> {
    show(place, view, &Query::Circuits { trunk }, |reply, json| match reply {
        Reply::Circuits { circuits } if json => output::json(&circuits),
        Reply::Circuits { circuits } => text(&render::circuits(circuits)),
        other => unexpected(other),
    })
}

/// Restarts circuits.
pub fn restart(place: &Place, trunk: String, circuit: Option<String>, json: bool) -> Result<(), CliError> {
    match connect(place)?.command(&Command::RestartCircuits { trunk, circuit })? {
        Reply::Restarted { circuits } if json => output::json(&circuits),
        Reply::Restarted { circuits } => text(&render::restarted(circuits)),
        other => unexpected(other),
    }
}

/// Where a SIP URI leads.
pub fn locate(place: &Place, uri: String, json: bool) -> Result<(), CliError> {
    match connect(place)?.query(&Query::Locate { uri })? {
        Reply::Located { servers } if json => output::json(&servers),
        Reply::Located { servers } => text(&render::servers(servers)),
        other => unexpected(other),
    }
}

/// Sources that are kept out.
pub fn bans(place: &Place, view: &View) -> Result<(), CliError> {
    show(place, view, &Query::Bans, |reply, json| match reply {
        Reply::Bans { bans } if json => output::json(&bans),
        Reply::Bans { bans } => text(&render::bans(bans, now())),
        other => unexpected(other),
    })
}

pub(super) fn text(rendered: &impl fmt::Display) -> Result<(), CliError> {
    output::write(rendered.to_string().as_bytes())
}

/// Asks and prints, again and again with `--watch`.
fn show(
    place: &Place,
    view: &View,
    query: &Query,
    print: impl Fn(Reply, bool) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut client = connect(place)?;
    loop {
        let reply = client.query(query)?;
        if view.watch && !view.json && io::stdout().is_terminal() {
            output::write(render::CLEAR.as_bytes())?;
        }
        print(reply, view.json)?;
        if !view.watch {
            return Ok(());
        }
        thread::sleep(WATCH_PERIOD);
    }
}

pub(super) fn connect(place: &Place) -> Result<Client, CliError> {
    try_connect(place)?.ok_or_else(|| match place {
        Place::Dir(dir) => CliError::NotRunning { data_dir: dir.clone() },
        Place::Socket(socket) => CliError::NobodyAnswers { socket: socket.clone() },
    })
}

/// None where nothing runs.
pub(super) fn try_connect(place: &Place) -> Result<Option<Client>, CliError> {
    Ok(match place {
        Place::Dir(dir) => Client::connect(dir)?,
        Place::Socket(socket) => Client::connect_to(socket.clone())?,
    })
}

pub(super) fn unexpected(reply: Reply) -> Result<(), CliError> {
    match reply {
        Reply::Refused { reason } => Err(CliError::Refused(reason)),
        Reply::TenantStatus(_) => {
            let what = "that is of the whole appliance; a tenant's users see their own part by `cordboard status`";
            Err(CliError::Refused(what.into()))
        }
        _ => Err(CliError::Answer),
    }
}

pub(super) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}
