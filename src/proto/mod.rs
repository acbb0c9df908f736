//! Wire formats and their state machines, pure.

pub mod rtp;
pub mod sip;
