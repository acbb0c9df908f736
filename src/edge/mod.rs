//! Where bytes, time and disk enter.

// The clocks are read and threads may wait here, and nowhere else.
#![allow(clippy::disallowed_methods)]

pub mod console;
pub mod logging;
pub mod net;
pub mod prompts;
