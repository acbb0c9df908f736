//! What the running appliance is asked and told.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::args::View;
use super::table::Table;
use super::{CliError, output};
use crate::base::Timestamp;
use crate::core::control::{Command, Query, Reply, Status};
use crate::core::journal::AgentStatus;
use crate::edge::console::{Client, LogLevel};

/// Between two pictures of `--watch`.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

/// Moves the cursor home and erases what is below it (ECMA-48 CUP, ED).
const CLEAR: &str = "\x1b[H\x1b[J";

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
        Reply::Status(status) => output::write(status_text(&status, now()).as_bytes()),
        other => unexpected(other),
    })
}

/// Calls in progress.
pub fn calls(dir: &Path, view: &View) -> Result<(), CliError> {
    show(dir, view, &Query::Calls, |reply, json| match reply {
        Reply::Calls { calls } if json => output::json(&calls),
        Reply::Calls { calls } => {
            let mut table = Table::new(["call", "tenant", "from", "to", "since", "state"]);
            for call in calls {
                let since = ago(call.started_at, now());
                table.row([call.call_id.to_string(), call.tenant, call.from, call.to, since, call.state]);
            }
            output::write(table.to_string().as_bytes())
        }
        other => unexpected(other),
    })
}

/// Agents and their states.
pub fn agents(dir: &Path, view: &View) -> Result<(), CliError> {
    show(dir, view, &Query::Agents, |reply, json| match reply {
        Reply::Agents { agents } if json => output::json(&agents),
        Reply::Agents { agents } => {
            let mut table = Table::new(["agent", "state", "since", "answered", "phone"]);
            for agent in agents {
                let state = match (agent.status, agent.reason.as_str()) {
                    (status, "") => status_word(status).to_owned(),
                    (status, reason) => format!("{} ({reason})", status_word(status)),
                };
                let name = format!("{}/{}", agent.tenant, agent.name);
                let phone = if agent.reachable { "reachable" } else { "not registered" };
                table.row([name, state, ago(agent.since, now()), agent.answered.to_string(), phone.into()]);
            }
            output::write(table.to_string().as_bytes())
        }
        other => unexpected(other),
    })
}

/// Queues.
pub fn queues(dir: &Path, view: &View) -> Result<(), CliError> {
    show(dir, view, &Query::Queues, |reply, json| match reply {
        Reply::Queues { queues } if json => output::json(&queues),
        Reply::Queues { queues } => {
            let head = ["queue", "waiting", "longest", "offered", "answered", "abandoned", "in target"];
            let mut table = Table::new(head);
            for queue in queues {
                table.row([
                    format!("{}/{}", queue.tenant, queue.name),
                    queue.waiting.to_string(),
                    span(queue.longest_wait_s),
                    queue.offered.to_string(),
                    queue.answered.to_string(),
                    queue.abandoned.to_string(),
                    queue.in_target.to_string(),
                ]);
            }
            output::write(table.to_string().as_bytes())
        }
        other => unexpected(other),
    })
}

/// Trunks.
pub fn trunks(dir: &Path, view: &View) -> Result<(), CliError> {
    show(dir, view, &Query::Trunks, |reply, json| match reply {
        Reply::Trunks { trunks } if json => output::json(&trunks),
        Reply::Trunks { trunks } => {
            let mut table = Table::new(["trunk", "kind", "calls", "health"]);
            for trunk in trunks {
                let mut health = trunk.health.into_iter();
                table.row([trunk.name, trunk.kind, trunk.calls.to_string(), health.next().unwrap_or_default()]);
                for more in health {
                    table.row([String::new(), String::new(), String::new(), more]);
                }
            }
            output::write(table.to_string().as_bytes())
        }
        other => unexpected(other),
    })
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
            output::write(CLEAR.as_bytes())?;
        }
        print(reply, view.json)?;
        if !view.watch {
            return Ok(());
        }
        thread::sleep(WATCH_PERIOD);
    }
}

fn connect(dir: &Path) -> Result<Client, CliError> {
    Client::connect(dir)?.ok_or_else(|| CliError::NotRunning { data_dir: dir.to_owned() })
}

fn unexpected(reply: Reply) -> Result<(), CliError> {
    match reply {
        Reply::Refused { reason } => Err(CliError::Refused(reason)),
        _ => Err(CliError::Answer),
    }
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

fn status_word(status: AgentStatus) -> &'static str {
    match status {
        AgentStatus::Null => "signed out",
        AgentStatus::NotReady => "not ready",
        AgentStatus::Ready => "ready",
        AgentStatus::Busy => "busy",
        AgentStatus::WrapUp => "wrap-up",
    }
}

/// How long ago, for people.
fn ago(then: Timestamp, now: Timestamp) -> String {
    span(u64::try_from((now.0.saturating_sub(then.0)) / 1000).unwrap_or(0))
}

/// Seconds as `42s`, `3m05s`, `2h07m`, `4d03h`.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

fn status_text(status: &Status, now: Timestamp) -> String {
    let state = if status.stopping { "stopping" } else { "serving" };
    let mut text = format!("cordboard {} {state}, up {}\n\n", status.version, ago(status.started_at, now));
    let gone = status.answered.saturating_add(status.abandoned);
    let percent = |part: u64| if gone == 0 { "-".to_owned() } else { format!("{:.1} %", share(part, gone)) };
    let lines = [
        ("calls", format!("{} now, {} waiting", status.calls, status.waiting)),
        (
            "since start",
            format!("{} offered, {} answered, {} abandoned", status.offered, status.answered, status.abandoned),
        ),
        ("service level", format!("{} within target (abandoned calls count as missed)", percent(status.in_target))),
        (
            "agents",
            format!(
                "{} ready, {} busy, {} wrap-up, {} not ready",
                status.agents_ready, status.agents_busy, status.agents_wrap_up, status.agents_not_ready
            ),
        ),
        ("phones", format!("{} registered", status.registrations)),
        ("offers", format!("{}, double {}", status.offers, status.double_offers)),
    ];
    for (name, value) in lines {
        text.push_str(&format!("{name:<14}{value}\n"));
    }
    if !status.sip_refused.is_empty() {
        let mut table = Table::new(["sip messages refused", "count"]);
        for (reason, count) in &status.sip_refused {
            table.row([reason.clone(), count.to_string()]);
        }
        text.push_str(&format!("\n{table}"));
    }
    if !status.bounds.is_empty() {
        let mut table = Table::new(["bound", "used", "of", "refused"]);
        for bound in &status.bounds {
            table.row([bound.name.clone(), bound.used.to_string(), bound.max.to_string(), bound.refused.to_string()]);
        }
        text.push_str(&format!("\n{table}"));
    }
    if !status.alarms.is_empty() {
        let mut table = Table::new(["alarm", "about", "since"]);
        for alarm in &status.alarms {
            table.row([alarm.name.clone(), alarm.subject.clone(), ago(alarm.since, now)]);
        }
        text.push_str(&format!("\n{table}"));
    }
    text
}

/// A share in percent.
fn share(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::control::{Alarm, Bound};

    #[test]
    fn spans_are_short() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (185, "3m05s"), (7620, "2h07m"), (356_400, "4d03h")] {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(ago(Timestamp(10_000), Timestamp(5_000)), "0s");
    }

    #[test]
    fn a_status_shows_level_bounds_and_alarms() {
        let status = Status {
            version: "0.1.0".into(),
            answered: 3,
            abandoned: 1,
            in_target: 3,
            bounds: vec![Bound { name: "calls".into(), used: 2, max: 10_000, refused: 0 }],
            alarms: vec![Alarm { name: "span-red".into(), subject: "t1-1".into(), since: Timestamp(0) }],
            ..Status::default()
        };
        let text = status_text(&status, Timestamp(90_000));
        assert!(text.starts_with("cordboard 0.1.0 serving, up 1m30s\n"), "{text}");
        assert!(text.contains("75.0 % within target"), "{text}");
        assert!(text.contains("calls     2  10000        0"), "{text}");
        assert!(text.contains("span-red  t1-1   1m30s"), "{text}");
        assert!(status_text(&Status::default(), Timestamp(0)).contains("service level - within"));
    }
}
