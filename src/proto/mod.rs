//! Wire formats and their state machines, pure.

pub mod sip;
