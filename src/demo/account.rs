//! What the demonstration's people heard and what went wrong, and the summary of it.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use serde::Serialize;

use crate::base::Instant;
use crate::core::control::Status;
use crate::edge::clock::Clock;

/// What the people of the demonstration report.
#[derive(Debug)]
pub(super) enum News {
    /// Something for the screen.
    Line(String),
    /// A caller, by its signal's seed, heard an agent's, or an agent a caller's.
    Heard { listener: u64, speaker: u64 },
    /// A caller is through: talked, gave up, or failed with this reason.
    Over { caller: u64, outcome: Outcome },
}

/// How a caller's call went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Talked,
    GaveUp,
    Failed(String),
}

/// The running account.
pub(super) struct Account {
    clock: Clock,
    start: Instant,
    quiet: bool,
    heard: BTreeMap<u64, Vec<u64>>,
    pub outcomes: BTreeMap<u64, Outcome>,
}

/// The result, as printed by `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Inbound calls that reached the appliance.
    pub offered: u64,
    /// Calls that an agent answered.
    pub answered: u64,
    /// Calls whose caller left the queue before.
    pub abandoned: u64,
    /// Share answered within the queues' target, in percent; abandoned calls count as missed.
    pub service_level_pct: f64,
    /// Answered calls in which each side recovered the other's reference signal from the audio that it received.
    pub audio_verified: u64,
    /// Complete call records that this run left in the store.
    pub cdrs: u64,
    /// Offers made to an agent who already had one.
    pub double_offers: u64,
    /// Number of things that went wrong.
    pub errors: u64,
    /// What went wrong.
    pub error_texts: Vec<String>,
    /// Where the data lies.
    pub data_dir: String,
    /// Seconds that the demonstration took.
    pub seconds: f64,
}

impl Account {
    pub fn new(clock: Clock, quiet: bool) -> Self {
        Self { clock, start: clock.mono(), quiet, heard: BTreeMap::new(), outcomes: BTreeMap::new() }
    }

    pub fn elapsed(&self) -> Duration {
        self.clock.mono().since(self.start)
    }

    /// Progress goes to standard error when standard output is for a machine.
    pub fn line(&self, text: &str) {
        self.print(&format!("{:6.1} s  {text}", self.elapsed().as_secs_f64()));
    }

    /// The same without the time.
    pub fn print(&self, text: &str) {
        if self.quiet {
            eprintln!("{text}");
        } else {
            say(text);
        }
    }

    pub fn take(&mut self, news: News) {
        match news {
            News::Line(text) => self.line(&text),
            News::Heard { listener, speaker } => {
                let heard = self.heard.entry(listener).or_default();
                if !heard.contains(&speaker) {
                    heard.push(speaker);
                }
            }
            News::Over { caller, outcome } => {
                self.outcomes.insert(caller, outcome);
            }
        }
    }

    fn hears(&self, listener: u64, speaker: u64) -> bool {
        self.heard.get(&listener).is_some_and(|h| h.contains(&speaker))
    }

    /// Callers who heard an agent that heard them.
    fn verified(&self) -> u64 {
        let both = |caller: &u64| {
            self.heard.get(caller).is_some_and(|agents| agents.iter().any(|agent| self.hears(*agent, *caller)))
        };
        self.outcomes.keys().filter(|c| both(c)).count() as u64
    }

    pub fn summary(&self, status: &Status, cdrs: u64, data_dir: String, calls: u64) -> Summary {
        let audio_verified = self.verified();
        let mut error_texts: Vec<String> = self
            .outcomes
            .iter()
            .filter_map(|(caller, outcome)| match outcome {
                Outcome::Failed(why) => Some(format!("caller {caller}: {why}")),
                _ => None,
            })
            .collect();
        let mut demand = |holds: bool, what: String| {
            if !holds {
                error_texts.push(what);
            }
        };
        demand(status.offered == calls, format!("{calls} calls were made, {} offered", status.offered));
        demand(
            status.answered + status.abandoned == status.offered,
            format!(
                "{} of {} calls neither answered nor abandoned",
                status.offered.saturating_sub(status.answered + status.abandoned),
                status.offered
            ),
        );
        demand(
            audio_verified == status.answered,
            format!("audio verified on {audio_verified} of {} answered calls", status.answered),
        );
        demand(cdrs == status.offered, format!("{cdrs} records for {} calls", status.offered));
        demand(status.double_offers == 0, format!("{} double offers", status.double_offers));
        for alarm in &status.alarms {
            error_texts.push(format!("alarm {} {}", alarm.name, alarm.subject));
        }
        let decided = status.queue_answered + status.abandoned;
        Summary {
            offered: status.offered,
            answered: status.answered,
            abandoned: status.abandoned,
            service_level_pct: if decided == 0 { 100.0 } else { 100.0 * status.in_target as f64 / decided as f64 },
            audio_verified,
            cdrs,
            double_offers: status.double_offers,
            errors: error_texts.len() as u64,
            error_texts,
            data_dir,
            seconds: (self.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        }
    }
}

impl Summary {
    /// The summary for people.
    pub fn print(&self) {
        let bold = std::io::stdout().is_terminal();
        let (on, off) = if bold { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        say(&format!("\n{on}Summary{off}"));
        let rows = [
            ("calls offered", self.offered.to_string()),
            ("answered by agents", self.answered.to_string()),
            ("abandoned", self.abandoned.to_string()),
            (
                "service level",
                format!("{:.0} % answered within target, abandoned count as missed", self.service_level_pct),
            ),
            ("audio verified", format!("{} of {} answered calls, both ways", self.audio_verified, self.answered)),
            ("call records", self.cdrs.to_string()),
            ("double offers", self.double_offers.to_string()),
            ("errors", self.errors.to_string()),
            ("data", self.data_dir.clone()),
        ];
        for (name, value) in rows {
            say(&format!("  {name:<20} {value}"));
        }
        for error in &self.error_texts {
            say(&format!("  error: {error}"));
        }
    }
}

/// Writes a line to standard output. The calls go on when its reader went away, as `head` does.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
