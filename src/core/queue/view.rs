//! What the engine shows of itself.

use std::time::Duration;

use crate::base::{AgentId, Medium, Now, OfferId, QueueId, TenantId, Timestamp, WorkItemId};
use crate::core::journal::AgentStatus;

use super::engine::Engine;

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
    /// Of these, the ones of other tenants that it serves.
    pub answered_for_others: u64,
    /// Whether offers can reach the agent's phone.
    pub reachable: bool,
    /// Whether every way to the agent is dead, so that no work of any medium is offered.
    pub cut: bool,
    /// The live offer.
    pub offer: Option<OfferId>,
    /// Items in hand, with their media.
    pub items: Vec<(WorkItemId, Medium)>,
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
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Counters {
    /// Offers made.
    pub offers: u64,
    /// Offers made to an agent who already had an offer, or a conversation that leaves room for none. Zero by construction;
    /// counted by a table of its own that shares nothing with the agents' states.
    pub double_offers: u64,
    /// Items refused because a bound was reached.
    pub refused: u64,
    /// Items in queues now.
    pub waiting: usize,
    /// The engine's bound on `waiting`.
    pub waiting_max: usize,
    /// Items that entered queues.
    pub offered: u64,
    /// Items that an agent answered.
    pub answered: u64,
    /// Items that left before an agent answered.
    pub abandoned: u64,
    /// Items that overflowed.
    pub overflowed: u64,
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
    /// Items held for a better agent now.
    pub held: usize,
    /// Items that no agent there is could take, now.
    pub unservable: usize,
    /// Waits that were foretold and have ended with an answer.
    pub foretold: u64,
    /// Mean of the squared error of these forecasts over the mean of the squared waits; none until there are some.
    pub foretold_error: Option<f64>,
}

impl Engine {
    /// All agents, by id.
    pub fn agents(&self) -> impl Iterator<Item = AgentState<'_>> {
        self.agents.iter().map(|(&id, agent)| agent.view(id))
    }

    /// One agent.
    pub fn agent(&self, agent: AgentId) -> Option<AgentState<'_>> {
        self.agents.get(&agent).map(|a| a.view(agent))
    }

    /// All queues, by id.
    pub fn queues(&self, now: Now) -> impl Iterator<Item = QueueState> {
        self.queues.iter().map(move |(&id, queue)| queue.view(id, now.mono))
    }

    /// One queue.
    pub fn queue(&self, now: Now, queue: QueueId) -> Option<QueueState> {
        self.queues.get(&queue).map(|of| of.view(queue, now.mono))
    }

    /// Counts since start and totals now.
    pub fn counters(&self) -> Counters {
        let (mut held, mut unservable) = (0, 0);
        for item in self.items.values() {
            held += usize::from(item.hold_at.is_some());
            unservable += usize::from(item.unservable);
        }
        let mut counters = Counters {
            offers: self.audit.offers,
            double_offers: self.audit.double_offers,
            refused: self.refused,
            waiting: self.items.len(),
            waiting_max: self.waiting_max,
            offered: self.tally.offered,
            answered: self.tally.answered,
            abandoned: self.tally.abandoned,
            overflowed: self.tally.overflowed,
            in_target: self.tally.in_target,
            held,
            unservable,
            foretold: self.accuracy.count(),
            foretold_error: self.accuracy.error(),
            ..Counters::default()
        };
        for agent in self.agents.values() {
            match agent.status().0 {
                AgentStatus::Null => {}
                AgentStatus::NotReady => counters.agents_not_ready += 1,
                AgentStatus::Ready => counters.agents_ready += 1,
                AgentStatus::Busy => counters.agents_busy += 1,
                AgentStatus::WrapUp => counters.agents_wrap_up += 1,
            }
        }
        counters
    }
}
