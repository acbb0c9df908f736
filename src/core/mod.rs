//! Every decision, pure: no clock, socket, file, thread or lock. One owner of all calls, queues and agents, by value.
//!
//! [`switch`] is driven by `handle(now, Input)` and `handle_timeout(now)` and drained by `poll_output()`.

pub mod control;
pub mod fault;
pub mod journal;
pub mod media;
pub mod tenant;
