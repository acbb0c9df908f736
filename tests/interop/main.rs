//! The appliance with peers that others wrote: SIPp, baresip, tshark and OpenSSL, as processes on loopback. `tests/setup.sh`
//! installs them; a test whose peer is missing says so and passes, unless `CORDBOARD_PEERS=required`.

#![allow(clippy::disallowed_methods, reason = "peers live in real time")]

mod agents;
mod attended;
mod callers;
mod dtls;
mod harness;
mod hostile;
mod identity;
mod ipv6;
mod methods;
mod names;
mod phone;
mod providers;
mod sharing;
mod sites;
mod stock;
mod tls;
mod wire;
