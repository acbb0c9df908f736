//! Where bytes, time and disk enter.

pub mod console;
pub mod logging;
pub mod net;
pub mod store;
