//! Where bytes, time and disk enter: the one layer with clocks, sockets, files, threads and locks. It carries and decides
//! nothing; what it cannot carry it counts or reports, and everything that waits here has a bound.
#![allow(clippy::disallowed_methods, reason = "clocks, files and blocking calls live here and nowhere below")]

pub mod cards;
pub mod clock;
pub mod console;
pub mod disk;
pub mod dns;
pub mod dtls;
pub mod logging;
pub mod net;
pub mod privileges;
pub mod prompts;
pub mod recorder;
pub mod rtp;
pub mod store;
