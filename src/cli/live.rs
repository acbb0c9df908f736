//! What the running appliance is asked and told.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;
use std::{fmt, thread};

use super::args::View;
use super::{CliError, output};
use crate::base::Timestamp;
use crate::core::control::{Command, Query, Reply};
use crate::edge::console::{Client, LogLevel, metrics, render};

/// Between two pictures of `--watch`.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

/// Gives an order; done means durable.
pub fn order(dir: &Path, command: &Command) -> Result<(), CliError> {
    done(connect(dir)?.command(command)?)
}

/// Changes a log level.
pub fn log_level(dir: &Path, module: String, level: String) -> Result<(), CliError> {
    done(connect(dir)?.log_level(LogLevel { module, level })?)
}

/// `Ok` for [`Reply::Done`].
pub fn done(reply: Reply) -> Result<(), CliError> {
    match reply {
        Reply::Done => Ok(()),
        Reply::Refused { reason } => Err(CliError::Refused(reason)),
        _ => Err(CliError::Answer),
    }
}

/// Counters, bounds, alarms.
pub fn status(dir: &Path, view: &View) -> Result<(), CliError> {
    show(dir, view, &Query::Status, |reply, json| match reply {
        Reply::Status(status) if json => output::json(&status),
        Reply::Status(status) => text(&render::status(&status, now())),
        other => unexpected(other),
    })
}

/// Calls in progress.
pub fn calls(dir: &Path, view: &View) -> Result<(), CliError> {
    show(dir, view, &Query::Calls, |reply, json| match reply {
        Reply::Calls { calls } if json => output::json(&calls),
        Reply::Calls { calls } => text(&render::calls(calls, now())),
        other => unexpected(other),
    })
}

/// Agents and their states.
pub fn agents(dir: &Path, view: &View) -> Result<(), CliError> {
    show(dir, view, &Query::Agents, |reply, json| match reply {
        Reply::Agents { agents } if json => output::json(&agents),
        Reply::Agents { agents } => text(&render::agents(agents, now())),
        other => unexpected(other),
    })
}

/// Queues.
pub fn queues(dir: &Path, view: &View) -> Result<(), CliError> {
    show(dir, view, &Query::Queues, |reply, json| match reply {
        Reply::Queues { queues } if json => output::json(&queues),
        Reply::Queues { queues } => text(&render::queues(queues)),
        other => unexpected(other),
    })
}

/// Trunks.
pub fn trunks(dir: &Path, view: &View) -> Result<(), CliError> {
    show(dir, view, &Query::Trunks, |reply, json| match reply {
        Reply::Trunks { trunks } if json => output::json(&trunks),
        Reply::Trunks { trunks } => text(&render::trunks(trunks)),
        other => unexpected(other),
    })
}

/// Sites.
pub fn sites(dir: &Path, view: &View) -> Result<(), CliError> {
    show(dir, view, &Query::Sites, |reply, json| match reply {
        Reply::Sites { sites } if json => output::json(&sites),
        Reply::Sites { sites } => text(&render::sites(sites)),
        other => unexpected(other),
    })
}

/// What tenants are permitted on the trunks that they share.
pub fn contracts(dir: &Path, view: &View) -> Result<(), CliError> {
    show(dir, view, &Query::Contracts, |reply, json| match reply {
        Reply::Contracts { contracts } if json => output::json(&contracts),
        Reply::Contracts { contracts } => text(&render::contracts(contracts)),
        other => unexpected(other),
    })
}

/// Everything that is counted, for a program that watches.
pub fn metrics(dir: &Path) -> Result<(), CliError> {
    let mut client = connect(dir)?;
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
pub fn circuits(dir: &Path, trunk: Option<String>, view: &View) -> Result<(), CliError> {
    show(dir, view, &Query::Circuits { trunk }, |reply, json| match reply {
        Reply::Circuits { circuits } if json => output::json(&circuits),
        Reply::Circuits { circuits } => text(&render::circuits(circuits)),
        other => unexpected(other),
    })
}

/// Restarts circuits.
pub fn restart(dir: &Path, trunk: String, circuit: Option<String>, json: bool) -> Result<(), CliError> {
    match connect(dir)?.command(&Command::RestartCircuits { trunk, circuit })? {
        Reply::Restarted { circuits } if json => output::json(&circuits),
        Reply::Restarted { circuits } => text(&render::restarted(circuits)),
        other => unexpected(other),
    }
}

/// Where a SIP URI leads.
pub fn locate(dir: &Path, uri: String, json: bool) -> Result<(), CliError> {
    match connect(dir)?.query(&Query::Locate { uri })? {
        Reply::Located { servers } if json => output::json(&servers),
        Reply::Located { servers } => text(&render::servers(servers)),
        other => unexpected(other),
    }
}

/// Sources that are kept out.
pub fn bans(dir: &Path, view: &View) -> Result<(), CliError> {
    show(dir, view, &Query::Bans, |reply, json| match reply {
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
    dir: &Path,
    view: &View,
    query: &Query,
    print: impl Fn(Reply, bool) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut client = connect(dir)?;
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

pub(super) fn connect(dir: &Path) -> Result<Client, CliError> {
    try_connect(dir)?.ok_or_else(|| CliError::NotRunning { data_dir: dir.to_owned() })
}

/// None where nothing runs.
pub(super) fn try_connect(dir: &Path) -> Result<Option<Client>, CliError> {
    Ok(Client::connect(dir)?)
}

pub(super) fn unexpected(reply: Reply) -> Result<(), CliError> {
    match reply {
        Reply::Refused { reason } => Err(CliError::Refused(reason)),
        _ => Err(CliError::Answer),
    }
}

pub(super) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}
