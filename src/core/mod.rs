//! Every decision, pure: no clock, socket, file, thread or lock. One owner of all calls, queues and agents, by value.
//!
//! [`switch::Switch`] is driven by `handle(now, Input)` and `handle_timeout(now)` and drained by `poll_output()`.

mod admin;
mod bounds;
mod call;
pub mod contact;
pub mod control;
pub mod fault;
mod hours;
mod ids;
pub mod ivr;
pub mod journal;
pub mod load;
pub mod media;
pub mod queue;
pub mod records;
mod requests;
pub mod switch;
pub mod tenant;
pub mod tls;
pub mod trunk;
