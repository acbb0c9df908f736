//! Work items on record: what the journal, the store and the command line know of one.

use serde::{Deserialize, Serialize};

use super::attribute::Attributes;
use super::discovery::Discovery;
use super::modifier::Modifier;
use crate::base::{Medium, Redacted, Timestamp, WorkItemId};

/// Events kept of one item.
pub const WORK_EVENTS_MAX: usize = 200;
/// Most characters of a note.
pub const NOTE_CHARS_MAX: usize = 4_000;

/// Where a work item stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkState {
    /// Its time has not come.
    Scheduled,
    /// In the queue.
    Waiting,
    /// An agent is asked to take it.
    Offered,
    /// An agent has it.
    Handled,
    /// Over, one way or another.
    Ended,
}

impl WorkState {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Waiting => "waiting",
            Self::Offered => "offered",
            Self::Handled => "handled",
            Self::Ended => "ended",
        }
    }
}

/// How a work item ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An agent completed it.
    Completed,
    /// The client left before.
    Abandoned,
    /// It waited too long and nobody else was to take it.
    Overflowed,
    /// The operator took it out.
    Cancelled,
    /// Nobody could ever take it.
    Unservable,
}

impl Outcome {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Abandoned => "abandoned",
            Self::Overflowed => "overflowed",
            Self::Cancelled => "cancelled",
            Self::Unservable => "unservable",
        }
    }
}

/// Something that happened to a work item.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkEvent {
    /// When.
    pub at: Timestamp,
    /// What, a stable word: `added`, `offered`, `declined`, `no-answer`, `accepted`, `transferred`, `escalated`, `completed`, ...
    pub what: String,
    /// Detail for people, without personal data.
    pub detail: String,
}

/// A work item.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Work {
    /// Unique across restarts.
    pub id: WorkItemId,
    /// Tenant's name.
    pub tenant: String,
    /// Its medium.
    pub medium: Medium,
    /// Queue's name.
    pub queue: String,
    /// The client: a number or an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Redacted<String>>,
    /// What it is about: where its content is, for whoever shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Redacted<String>>,
    /// What is known of it.
    #[serde(default)]
    pub attributes: Attributes,
    /// How that became known.
    #[serde(default)]
    pub discoveries: Vec<Discovery>,
    /// How that counts, beside the queue's own modifiers.
    #[serde(default)]
    pub modifiers: Vec<Modifier>,
    /// When the client made contact. Waiting counts from here, also across transfers and restarts.
    pub arrived_at: Timestamp,
    /// When its time comes, where that is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Where it stands.
    pub state: WorkState,
    /// The agent who has it, or had it last, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// When an agent took it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What the agent says came of it: one of the tenant's dispositions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
    /// The agent's note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Redacted<String>>,
    /// What happened, oldest first; at most [`WORK_EVENTS_MAX`], then a last one says how many were left out.
    #[serde(default)]
    pub events: Vec<WorkEvent>,
}

impl Work {
    /// Notes an event.
    pub fn record(&mut self, at: Timestamp, what: &str, detail: impl Into<String>) {
        if self.events.len() < WORK_EVENTS_MAX {
            self.events.push(WorkEvent { at, what: what.into(), detail: detail.into() });
        } else if self.events.len() == WORK_EVENTS_MAX {
            self.events.push(WorkEvent { at, what: "left-out".into(), detail: "1".into() });
        } else if let Some(last) = self.events.last_mut() {
            last.detail = (last.detail.parse::<u64>().unwrap_or(0) + 1).to_string();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_beyond_the_bound_are_counted() {
        let mut work: Work = serde_json::from_str(
            r#"{"id":1,"tenant":"t","medium":"email","queue":"q","arrived_at":0,"state":"waiting"}"#,
        )
        .unwrap();
        for n in 0..WORK_EVENTS_MAX + 3 {
            work.record(Timestamp(0), "offered", n.to_string());
        }
        assert_eq!(work.events.len(), WORK_EVENTS_MAX + 1);
        assert_eq!(work.events.last().map(|e| e.detail.as_str()), Some("3"));
    }
}
