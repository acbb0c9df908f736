//! Trunks: circuits of cards and SIP peerings, seen alike by the calls above them.
//!
//! Inbound, `tdm` turns a seizure and its digits, and `sip` an INVITE from a peer or a phone, into a call with a flow.
//! Outbound, `route` lists the ways to a number, best first: the trunks by the longest prefix; of a SIP trunk the peers by
//! health, priority and weight; of a card's trunk the free circuits, as `group` hunts them, which also says whether a trunk
//! takes another call. `auth` says who an INVITE comes from, `target` reads
//! what may be dialled, `locate` finds its servers (RFC 3263: `locator` walks through DNS, `names` remembers what it said,
//! `servers` how they fare), and `sockets` keeps local RTP ports ready. [`admission`] decides who may take a trunk that tenants share.
//!
//! `overflow` takes those elsewhere whom it refuses, where their tenant wants that.
//!
//! `reach` knows how agents can be called, `seat` where they have signed in, `pulse` whether their SIP phones answer, `nodes` the appliances that trunks join to
//! this one.
//!
//! From the records `usage` counts how much of each trunk was held, and `forecast` says when that will be too much.

pub mod admission;
pub(crate) mod auth;
mod certificate;
pub mod circuits;
pub mod forecast;
mod group;
mod health;
mod locate;
pub(crate) mod locator;
pub(crate) mod names;
pub(crate) mod nodes;
pub mod overflow;
pub mod preempt;
pub(crate) mod pulse;
pub(crate) mod reach;
mod route;
pub mod seat;
pub(crate) mod servers;
pub mod sharing;
mod sip;
pub(crate) mod sockets;
pub(crate) mod target;
pub(crate) mod tdm;
pub mod usage;
mod ways;

pub use tdm::{CardInput, provisioned_circuits};

pub(crate) use health::TrunkHealth;
pub(crate) use locate::dns_server;
pub(crate) use route::credentials_of;
pub(crate) use target::SipTarget;
pub(crate) use tdm::bearers;
