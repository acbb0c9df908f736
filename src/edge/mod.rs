//! Where bytes, time and disk enter.

pub mod cards;
pub mod clock;
pub mod console;
pub mod logging;
pub mod net;
