//! Where bytes, time and disk enter.
#![allow(clippy::disallowed_methods, reason = "clocks, files and blocking calls live here and nowhere below")]

pub mod cards;
pub mod clock;
pub mod console;
pub mod logging;
pub mod net;
pub mod prompts;
pub mod recorder;
pub mod rtp;
pub mod store;
