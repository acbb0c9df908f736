//! The engine: one owner of all waiting items, agents and offers.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::{AgentId, Instant, Now, OfferId, QueueId, WorkItemId};
use crate::core::journal::AgentStatus;

use super::{AgentProfile, AgentState, Counters, EnqueueError, OfferEnd, QueueProfile, QueueState, Refusal};

/// What the engine wants done, or tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Ring this agent for this item; answer with [`Engine::accepted`] or [`Engine::refused`].
    Offer {
        /// The offer.
        offer: OfferId,
        /// The item.
        item: WorkItemId,
        /// The agent.
        agent: AgentId,
    },
    /// Stop ringing. The offer is void already; answers to it are ignored.
    Withdraw {
        /// The offer.
        offer: OfferId,
        /// The agent.
        agent: AgentId,
        /// Why.
        why: OfferEnd,
    },
    /// The item waited too long, or its queue is gone. It is no longer in the queue.
    Overflow {
        /// The item.
        item: WorkItemId,
    },
    /// Tell the client.
    Announce {
        /// The item.
        item: WorkItemId,
        /// Place in its queue, from 1.
        position: usize,
        /// Expected wait in seconds; the queue's target until a first call was measured.
        expected_wait_s: u32,
    },
    /// An agent's state changed; for the journal.
    AgentChanged {
        /// The agent.
        agent: AgentId,
        /// New state.
        status: AgentStatus,
        /// Why not ready; empty otherwise.
        reason: String,
    },
}

/// The queue engine.
#[derive(Debug)]
pub struct Engine {
    waiting_max: usize,
    outputs: VecDeque<Output>,
}

impl Engine {
    /// An engine that holds at most `waiting_max` items.
    pub fn new(waiting_max: usize) -> Self {
        Self { waiting_max, outputs: VecDeque::new() }
    }

    /// Replaces agents and queues. Those known by id keep state, items and counts. Agents that are gone lose their
    /// offer ([`Output::Withdraw`]); items of queues that are gone come out as [`Output::Overflow`]. New agents are
    /// signed out and unreachable.
    pub fn provision(&mut self, _now: Now, _agents: Vec<AgentProfile>, _queues: Vec<QueueProfile>) {}

    /// Sets an agent's state after a restart; `Busy` and `WrapUp` become `Ready`. Unknown agents are ignored.
    pub fn restore(&mut self, _now: Now, _agent: AgentId, _status: AgentStatus, _reason: &str) {}

    /// Whether offers can reach the agent's phone. Unreachable agents get none.
    pub fn set_reachable(&mut self, _now: Now, _agent: AgentId, _reachable: bool) {}

    /// Signs an agent in, ready; also ends a pause or mark, and a sign-out or pause that waits for the call's end.
    pub fn sign_in(&mut self, _now: Now, _agent: AgentId) -> Result<(), Refusal> {
        Err(Refusal::UnknownAgent)
    }

    /// Signs an agent out: at once, or, while an offer, conversation or wrap-up is on, at its end.
    pub fn sign_out(&mut self, _now: Now, _agent: AgentId) -> Result<(), Refusal> {
        Err(Refusal::UnknownAgent)
    }

    /// Makes an agent ready: ends pause, mark and wrap-up.
    pub fn resume(&mut self, _now: Now, _agent: AgentId) -> Result<(), Refusal> {
        Err(Refusal::UnknownAgent)
    }

    /// Makes an agent not ready: at once, or, while an offer, conversation or wrap-up is on, at its end.
    pub fn pause(&mut self, _now: Now, _agent: AgentId, _reason: &str) -> Result<(), Refusal> {
        Err(Refusal::UnknownAgent)
    }

    /// Takes an item into a queue.
    pub fn enqueue(&mut self, _now: Now, _item: WorkItemId, _queue: QueueId) -> Result<(), EnqueueError> {
        Err(EnqueueError::UnknownQueue)
    }

    /// The item abandoned or was taken elsewhere; a live offer is withdrawn. False when it does not wait here.
    pub fn leave(&mut self, _now: Now, _item: WorkItemId) -> bool {
        false
    }

    /// The agent answered: the item leaves the queue, the agent is busy. False for a stale offer: hang up.
    pub fn accepted(&mut self, _now: Now, _offer: OfferId) -> bool {
        false
    }

    /// The offer came to nothing: the item goes back to its place, the agent is marked not ready with the reason.
    /// Stale offers are ignored.
    pub fn refused(&mut self, _now: Now, _offer: OfferId, _why: OfferEnd) {}

    /// The agent's conversation is over: wrap-up, or ready.
    pub fn finished(&mut self, _now: Now, _agent: AgentId) {}

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Now) {}

    /// When [`handle_timeout`](Self::handle_timeout) is next wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next thing to do. Drain after each call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The item's place in its queue, from 1; none when it does not wait here.
    pub fn position(&self, _item: WorkItemId) -> Option<usize> {
        None
    }

    /// Expected time until an agent answers; none when unknown.
    pub fn expected_wait(&self, _item: WorkItemId) -> Option<Duration> {
        None
    }

    /// All agents, by id.
    pub fn agents(&self) -> impl Iterator<Item = AgentState<'_>> {
        std::iter::empty()
    }

    /// One agent.
    pub fn agent(&self, _agent: AgentId) -> Option<AgentState<'_>> {
        None
    }

    /// All queues, by id.
    pub fn queues(&self, _now: Now) -> impl Iterator<Item = QueueState> {
        std::iter::empty()
    }

    /// Counts since start and totals now.
    pub fn counters(&self) -> Counters {
        Counters { waiting_max: self.waiting_max, ..Counters::default() }
    }

    /// Asserts what must hold between any two calls.
    pub fn check_invariants(&self) {}
}
