//! Cordboard: a call-processing appliance in one binary.

pub mod appliance;
pub mod base;
pub mod cli;
pub mod core;
pub mod demo;
pub mod dsp;
pub mod edge;
pub mod media;
pub mod proto;
