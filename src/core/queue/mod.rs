//! The universal queue and its agents: who waits, who is free, and which agent is offered which work item.
//!
//! [`Engine`] is driven by orders and facts, each with the time, and drained by [`Engine::poll_output`].
//!
//! - **One queue.** Items of all media and queues compete by one score, wait measured against each medium's own target.
//! - **Fitting.** An item wants traits of agents, required, preferred or forbidden, each by a schedule that changes as it
//!   waits; agents mind traits of items. Each pair that fits has a [score](Terms), and the best pair is offered.
//! - **In turn.** Of items that are alike, in queue, medium and all they want, the one that has waited longest is first.
//! - **Slots.** An agent takes so many items of each medium, as far as they go together (`posture`).
//! - **One offer at a time.** An agent's hand is a value that cannot be copied; an offer takes it from the agent and
//!   gives it back at its end. An agent whose hand is away has no way to be offered anything.
//! - **Event-driven.** A match is tried exactly when an item comes or comes back or asks for less, or an agent can take
//!   something; so between events nobody who could take an item idles while it waits free, unless it is held for a
//!   better agent who is likely to be free soon. What is held is looked at again every few seconds.
//!
//! Where an item stands:
//!
//! ```text
//!            enqueue                offer                accepted               finished
//!   (new) ------------> Waiting --------------> Offered -----------> handled ------------> (gone)
//!                        |  ^  \                 |  |                   |
//!                        |  |   held             |  | leave: withdrawn  |
//!                        |  +---- refused -------+  v                   |
//!                        |  |     rung out        (gone)                |
//!                        |  +---- agent cut off ------------------------+
//!                        +--> leave, overflow: (gone)
//! ```
//!
//! And an agent, whatever number of slots is in use:
//!
//! ```text
//!   Null <---- sign in, sign out ----> Ready ----- offer ----> Busy ---- last item over ----> WrapUp
//!     ^                                ^   ^                    |                               |
//!     |              pause, resume     |   +-- offer withdrawn, +                               |
//!     |                                |   |   cut off          |                               |
//!     +--> NotReady <------------------+   +-------------- wrap-up over, resume ----------------+
//!              ^                                                |
//!              +------- refused, not answered, pause or sign-out that was to follow ------------+
//! ```

mod agent;
mod burden;
mod class;
mod cut;
mod dispatch;
mod engine;
mod explain;
mod fits;
mod gate;
mod invariants;
mod item;
mod line;
mod mass;
mod matching;
mod need;
mod offer;
mod posture;
mod predict;
mod profile;
mod row;
mod score;
mod setup;
#[cfg(test)]
mod tests;
mod timer;
mod view;
#[cfg(test)]
mod walk;

pub use engine::{Engine, Output};
pub use explain::{Appraisal, BETTER_MAX, Basis, Candidate, Hold, Reason, Trigger, Verdict};
pub use offer::OfferEnd;
pub use profile::{AgentProfile, EnqueueError, Entry, QueueProfile, Refusal, TenantProfile};
pub use score::{Terms, Unfit};
pub use view::{AgentState, Counters, QueueState};
