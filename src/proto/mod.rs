//! Wire formats and their state machines, pure.

pub mod cas;
pub mod rtp;
pub mod sdp;
pub mod sip;
