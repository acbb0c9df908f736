//! The universal queue and its agents: who waits, who is free, and which agent is offered which work item.

mod agent;
mod engine;
mod item;
mod offer;
mod view;

pub use agent::{AgentProfile, Refusal};
pub use engine::{Engine, Output};
pub use item::{EnqueueError, QueueProfile};
pub use offer::OfferEnd;
pub use view::{AgentState, Counters, QueueState};
