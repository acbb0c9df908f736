//! Where bytes, time and disk enter.

pub mod net;
