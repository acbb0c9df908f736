//! Offers: a work item reserved for one agent's slot.

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
    /// The item left the queue: the client gave up, or the item was taken elsewhere.
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
