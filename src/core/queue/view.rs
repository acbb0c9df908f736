//! What the engine shows of itself.

use std::time::Duration;

use crate::base::{AgentId, QueueId, TenantId, Timestamp};
use crate::core::journal::AgentStatus;

/// An agent, as it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentState<'a> {
    /// Which.
    pub id: AgentId,
    /// Its tenant.
    pub tenant: TenantId,
    /// State.
    pub status: AgentStatus,
    /// Why not ready; empty otherwise.
    pub reason: &'a str,
    /// In this state since.
    pub since: Timestamp,
    /// Offers answered since start.
    pub answered: u64,
    /// Whether offers can reach the agent's phone.
    pub reachable: bool,
}

/// A queue, as it is now, with its counts since start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueState {
    /// Which.
    pub id: QueueId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Items in the queue now, including those that ring at an agent.
    pub waiting: usize,
    /// Longest wait of those.
    pub longest_wait: Duration,
    /// Items that entered.
    pub offered: u64,
    /// Items that an agent answered.
    pub answered: u64,
    /// Items that left before.
    pub abandoned: u64,
    /// Items that overflowed.
    pub overflowed: u64,
    /// Items answered within the queue's target.
    pub in_target: u64,
}

/// Counts since start and totals now.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Offers made.
    pub offers: u64,
    /// Offers made to an agent who already had an offer or a conversation. Zero by construction; counted by a table
    /// of its own that shares nothing with the agents' states.
    pub double_offers: u64,
    /// Items refused because a bound was reached.
    pub refused: u64,
    /// Items in queues now.
    pub waiting: usize,
    /// The engine's bound on `waiting`.
    pub waiting_max: usize,
    /// Items that an agent answered.
    pub answered: u64,
    /// Items that left before an agent answered.
    pub abandoned: u64,
    /// Items answered within their queue's target.
    pub in_target: u64,
    /// Agents ready now.
    pub agents_ready: usize,
    /// Agents with an offer or a conversation now.
    pub agents_busy: usize,
    /// Agents in wrap-up now.
    pub agents_wrap_up: usize,
    /// Agents signed in but not ready now.
    pub agents_not_ready: usize,
}
