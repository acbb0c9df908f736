//! Work items on record: what the journal, the store and the command line know of one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attribute::Attributes;
use super::callback::Callback;
use super::discovery::Discovery;
use super::modifier::Modifier;
use super::routing::Policy;
use crate::base::{Medium, Redacted, Timestamp, WorkItemId};
use crate::core::queue::{Terms, Trigger};

/// Events kept of one item.
pub const WORK_EVENTS_MAX: usize = 200;
/// Matches of one item that are kept term by term; of older ones the record says who and when.
pub const MATCHES_MAX: usize = 20;
/// What the event of an item, or of a call, is named that loses its agent.
pub const CUT_OFF: &str = "cut-off";
/// Most characters of the notes of one item.
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
    /// All of them.
    pub const ALL: [WorkState; 5] = [Self::Scheduled, Self::Waiting, Self::Offered, Self::Handled, Self::Ended];

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
    /// The client was called back as often as the queue's rule says, and never answered.
    Unreached,
    /// The client met an agent of the queue before it was called back.
    Settled,
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
            Self::Unreached => "unreached",
            Self::Settled => "settled",
        }
    }
}

/// What was compared with the pair of agent and item that became an offer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rival {
    /// The agent, by name.
    pub agent: String,
    /// The item.
    pub work: WorkItemId,
    /// The score.
    pub terms: Terms,
}

/// Why an agent was offered an item.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Match {
    /// What set it off: an item for which agents were compared, or an agent for whom items were.
    pub trigger: Trigger,
    /// By which policy pairs were compared.
    #[serde(default)]
    pub policy: Policy,
    /// How long the item had waited, in seconds, credit included.
    pub waited_s: f64,
    /// The score.
    pub terms: Terms,
    /// How many pairs were compared; agents alike and items alike count as one. Only those with items
    /// of the item's tenant are: an agent may serve others.
    pub compared: usize,
    /// The best of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Rival>,
}

/// Something that happened to a work item.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WorkEvent {
    /// When.
    pub at: Timestamp,
    /// What, a stable word: `added`, `offered`, `declined`, `no-answer`, `accepted`, `transferred`, `escalated`, `completed`, ...;
    /// of a call-back `try`, `reached`, `not-reached`, `called-in`, `settled`, too.
    pub what: String,
    /// Detail for people, without personal data.
    pub detail: String,
    /// Of an offer: why this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<Match>>,
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
    /// How the client is called back, where it is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
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
    /// An item that waits from `arrived_at`, or is scheduled until its time comes; of which nothing else is known, and to which
    /// nothing has happened.
    pub fn new(
        id: WorkItemId,
        (tenant, queue): (&str, &str),
        medium: Medium,
        arrived_at: Timestamp,
        due_at: Option<Timestamp>,
    ) -> Self {
        Self {
            id,
            tenant: tenant.to_owned(),
            medium,
            queue: queue.to_owned(),
            client: None,
            subject: None,
            attributes: Attributes::new(),
            discoveries: Vec::new(),
            modifiers: Vec::new(),
            callback: None,
            arrived_at,
            due_at,
            state: if due_at.is_some() { WorkState::Scheduled } else { WorkState::Waiting },
            agent: None,
            accepted_at: None,
            ended_at: None,
            outcome: None,
            disposition: None,
            note: None,
            events: Vec::new(),
        }
    }

    /// Notes an event.
    pub fn record(&mut self, at: Timestamp, what: &str, detail: impl Into<String>) {
        self.push(WorkEvent { at, what: what.into(), detail: detail.into(), reason: None });
    }

    /// Notes an offer to an agent. Of more than [`MATCHES_MAX`] the oldest lose their terms.
    pub fn record_offer(&mut self, at: Timestamp, agent: &str, reason: Option<Match>) {
        let mut matches = self.events.iter_mut().filter(|event| event.reason.is_some());
        if reason.is_some() && matches.by_ref().nth(MATCHES_MAX - 1).is_some() {
            let oldest = self.events.iter_mut().find(|event| event.reason.is_some());
            oldest.into_iter().for_each(|event| event.reason = None);
        }
        self.push(WorkEvent { at, what: "offered".into(), detail: agent.into(), reason: reason.map(Box::new) });
    }

    fn push(&mut self, event: WorkEvent) {
        if self.events.len() < WORK_EVENTS_MAX {
            self.events.push(event);
        } else if self.events.len() == WORK_EVENTS_MAX {
            self.events.push(WorkEvent { what: "left-out".into(), detail: "1".into(), reason: None, ..event });
        } else if let Some(last) = self.events.last_mut() {
            last.detail = (last.detail.parse::<u64>().unwrap_or(0) + 1).to_string();
        }
    }

    /// Whether it has been in a queue, or may have been: the record has room for so many events.
    pub fn was_in(&self, queue: &str) -> bool {
        let came = |event: &WorkEvent| matches!(event.what.as_str(), "added" | "escalated") && event.detail == queue;
        self.events.len() > WORK_EVENTS_MAX || self.queue == queue || self.events.iter().any(came)
    }

    /// From when on its waiting counts: the client's contact, or the time that was agreed on.
    pub fn waits_from(&self) -> Timestamp {
        self.due_at.map_or(self.arrived_at, |due| due.max(self.arrived_at))
    }

    /// How much of its wait was over when an agent was cut off from it last. That gives it its place, and makes nothing late.
    pub fn excused(&self) -> Duration {
        let last = self.events.iter().rev().find(|event| event.what == CUT_OFF);
        last.map_or(Duration::ZERO, |event| self.waited(event.at))
    }

    /// How long it has waited by a wall clock; nothing where the clock was set back beyond its start.
    pub fn waited(&self, now: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(now.0.saturating_sub(self.waits_from().0)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_beyond_the_bound_are_counted() {
        let mut work: Work = serde_json::from_str(
            r#"{"id":"0000000000000001","tenant":"t","medium":"email","queue":"q","arrived_at":0,"state":"waiting"}"#,
        )
        .unwrap();
        for n in 0..WORK_EVENTS_MAX + 3 {
            work.record(Timestamp(0), "offered", n.to_string());
        }
        assert_eq!(work.events.len(), WORK_EVENTS_MAX + 1);
        assert_eq!(work.events.last().map(|e| e.detail.as_str()), Some("3"));
    }

    #[test]
    fn only_the_latest_matches_are_kept_term_by_term() {
        let mut work: Work = serde_json::from_str(
            r#"{"id":"1","tenant":"t","medium":"email","queue":"q","arrived_at":5,"due_at":90,"state":"waiting"}"#,
        )
        .unwrap();
        let (trigger, terms) = (Trigger::Item, Terms::default());
        for n in 0..=MATCHES_MAX {
            let policy = Policy::Score;
            let reason = Match { trigger, policy, waited_s: n as f64, terms, compared: 1, others: vec![] };
            work.record_offer(Timestamp(0), "ana", Some(reason));
            work.record(Timestamp(0), "no-answer", "ana");
        }
        let kept: Vec<f64> = work.events.iter().filter_map(|e| Some(e.reason.as_ref()?.waited_s)).collect();
        assert_eq!((kept.len(), kept.first()), (MATCHES_MAX, Some(&1.0)));
        assert_eq!(work.events.iter().filter(|e| e.what == "offered").count(), MATCHES_MAX + 1);
        assert_eq!(work.waited(Timestamp(1_090)), Duration::from_secs(1));
        assert_eq!(work.waited(Timestamp(3)), Duration::ZERO);
    }
}
