//! Offers: a work item that waits for one agent's answer.

use std::collections::BTreeMap;

use crate::base::{AgentId, Instant, Medium, OfferId, WorkItemId};

use super::agent::Hand;
use super::explain::Reason;

/// How an offer ended without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OfferEnd {
    /// It rang and nobody answered.
    NoAnswer,
    /// The agent refused.
    Declined,
    /// The agent's phone was busy.
    Busy,
    /// The agent's phone could not be reached.
    Unreachable,
    /// Something else failed on the way to the agent.
    Failed,
    /// The item left the queue: the client gave up, or the item was taken elsewhere, or its queue is gone.
    ItemLeft,
    /// The agent is no longer provisioned.
    AgentGone,
}

impl OfferEnd {
    /// The stable name, used as the agent's not-ready reason and in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoAnswer => "no-answer",
            Self::Declined => "declined",
            Self::Busy => "busy",
            Self::Unreachable => "unreachable",
            Self::Failed => "failed",
            Self::ItemLeft => "item-left",
            Self::AgentGone => "agent-gone",
        }
    }
}

/// A live offer. It owns the agent's hand, so while it lives no other offer to the agent can be made.
#[derive(Debug)]
pub(super) struct Offer {
    /// The agent's hand, to be given back when the offer ends.
    pub(super) hand: Hand,
    /// What is offered.
    pub(super) item: WorkItemId,
    /// When it was made.
    pub(super) made: Instant,
    /// When it stops ringing.
    pub(super) ring_until: Instant,
    /// Why it was made.
    pub(super) reason: Box<Reason>,
}

/// Counts offers from their beginnings and ends alone, sharing nothing with the agents' states: a second opinion on
/// "one at a time".
#[derive(Default, Debug)]
pub(super) struct Audit {
    rung: BTreeMap<AgentId, OfferId>,
    alone: BTreeMap<AgentId, WorkItemId>,
    /// Offers made.
    pub(super) offers: u64,
    /// Offers made to an agent who held one, or who talked.
    pub(super) double_offers: u64,
}

impl Audit {
    /// An offer goes out to the agent.
    pub(super) fn offered(&mut self, agent: AgentId, offer: OfferId) {
        self.offers += 1;
        if self.rung.insert(agent, offer).is_some() || self.alone.contains_key(&agent) {
            self.double_offers += 1;
        }
    }

    /// The offer ended.
    pub(super) fn ended(&mut self, agent: AgentId) {
        self.rung.remove(&agent);
    }

    /// The agent has an item that leaves room for no other.
    pub(super) fn took(&mut self, agent: AgentId, item: WorkItemId, medium: Medium) {
        if matches!(medium, Medium::Voice | Medium::Video | Medium::Voicemail | Medium::Fax) {
            self.alone.insert(agent, item);
        }
    }

    /// The agent is through with an item.
    pub(super) fn finished(&mut self, agent: AgentId, item: WorkItemId) {
        if self.alone.get(&agent) == Some(&item) {
            self.alone.remove(&agent);
        }
    }

    /// The agent is no more.
    pub(super) fn forget(&mut self, agent: AgentId) {
        self.rung.remove(&agent);
        self.alone.remove(&agent);
    }

    /// The offer that the agent holds, and the item that leaves room for no other: for checks.
    pub(super) fn holds(&self, agent: AgentId) -> (Option<OfferId>, Option<WorkItemId>) {
        (self.rung.get(&agent).copied(), self.alone.get(&agent).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_sees_a_double_offer() {
        let mut audit = Audit::default();
        audit.offered(AgentId(1), OfferId(1));
        audit.offered(AgentId(2), OfferId(2));
        audit.ended(AgentId(1));
        audit.offered(AgentId(1), OfferId(3));
        assert_eq!((audit.offers, audit.double_offers), (3, 0));
        audit.offered(AgentId(2), OfferId(4));
        assert_eq!((audit.offers, audit.double_offers), (4, 1));
    }

    #[test]
    fn the_audit_sees_an_offer_to_who_talks_and_lets_chats_pass() {
        let mut audit = Audit::default();
        audit.took(AgentId(1), WorkItemId(1), Medium::Chat);
        audit.offered(AgentId(1), OfferId(1));
        audit.ended(AgentId(1));
        audit.took(AgentId(1), WorkItemId(2), Medium::Voice);
        audit.offered(AgentId(1), OfferId(2));
        assert_eq!(audit.double_offers, 1);
        audit.ended(AgentId(1));
        audit.finished(AgentId(1), WorkItemId(1));
        audit.offered(AgentId(1), OfferId(3));
        assert_eq!(audit.double_offers, 2);
        audit.ended(AgentId(1));
        audit.finished(AgentId(1), WorkItemId(2));
        audit.offered(AgentId(1), OfferId(4));
        assert_eq!(audit.double_offers, 2);
    }
}
