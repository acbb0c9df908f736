//! Wire formats and their state machines, pure.

pub mod sdp;
pub mod sip;
