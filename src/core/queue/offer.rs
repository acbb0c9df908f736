//! Offers: a work item reserved for one agent's slot.

use std::collections::BTreeMap;

use crate::base::{AgentId, Instant, OfferId, WorkItemId};

use super::agent::Slot;

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

/// A live offer. It owns the agent's slot, so while it lives no other offer to the agent can be made.
#[derive(Debug)]
pub(super) struct Offer {
    /// The agent's slot, to be given back to the agent when the offer ends.
    pub(super) slot: Slot,
    /// What is offered.
    pub(super) item: WorkItemId,
    /// When it was made.
    pub(super) made: Instant,
    /// When it stops ringing.
    pub(super) ring_until: Instant,
}

/// Counts offers from their beginnings and ends alone, sharing nothing with the agents' states: a second opinion on
/// "one at a time".
#[derive(Default, Debug)]
pub(super) struct Audit {
    held: BTreeMap<AgentId, OfferId>,
    /// Offers made.
    pub(super) offers: u64,
    /// Offers made to an agent who held one, or talked because of one.
    pub(super) double_offers: u64,
}

impl Audit {
    /// An offer goes out to the agent.
    pub(super) fn offered(&mut self, agent: AgentId, offer: OfferId) {
        self.offers += 1;
        if self.held.insert(agent, offer).is_some() {
            self.double_offers += 1;
        }
    }

    /// The agent is through with what it was offered: refused, withdrawn, or talked out.
    pub(super) fn ended(&mut self, agent: AgentId) {
        self.held.remove(&agent);
    }

    /// Whether the agent holds an offer or talks because of one.
    pub(super) fn holds(&self, agent: AgentId) -> bool {
        self.held.contains_key(&agent)
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
}
