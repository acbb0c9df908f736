//! Trunks: circuits of cards and SIP peerings, seen alike by the calls above them.

mod auth;
mod route;
mod sip;
pub(crate) mod sockets;
mod target;
pub(crate) mod tdm;

pub use tdm::CardInput;

pub(crate) use route::{TrunkHealth, credentials_of};
pub(crate) use target::SipTarget;
