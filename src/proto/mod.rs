//! Wire formats and their state machines, pure.

pub mod cas;
pub mod sdp;
pub mod sip;
