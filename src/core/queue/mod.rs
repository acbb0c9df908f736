//! The universal queue and its agents: who waits, who is free, and which agent is offered which work item.
//!
//! [`Engine`] is driven by orders and facts, each with the time, and drained by [`Engine::poll_output`].
//!
//! - **One order.** Items of all queues stand in one order of urgency, wait measured against each queue's own target;
//!   within a queue first come, first served. An agent who gets free is offered the most urgent item that fits.
//! - **Fitting.** A queue needs skills with least levels. An item that comes is offered to the longest idle among the
//!   fittest of the ready agents, fitness being the least of the needed skills' levels.
//! - **One offer at a time.** An agent's slot is a value that cannot be copied; an offer takes it from the agent and
//!   gives it back at its end. An agent whose slot is away has no way to be offered anything.
//! - **Event-driven.** A match is tried exactly when an item comes or comes back, or an agent gets free or able, so
//!   between events no ready agent idles while an item that fits waits free.

mod agent;
mod dispatch;
mod engine;
mod fit;
mod invariants;
mod item;
mod line;
mod offer;
mod predict;
mod setup;
#[cfg(test)]
mod tests;
mod timer;
mod view;
#[cfg(test)]
mod walk;

pub use agent::{AgentProfile, Refusal};
pub use engine::{Engine, Output};
pub use item::{EnqueueError, QueueProfile};
pub use offer::OfferEnd;
pub use view::{AgentState, Counters, QueueState};
