//! What is provisioned: tenants, sites, skills, agents, queues, flows, numbers, trunks.
//!
//! [`parse()`] turns a file into a [`Provision`], [`check()`] finds what is wrong in one that came as data, [`diff()`] says
//! what applying one would change, [`export()`] writes one as a file, and [`Directory`] is what calls are looked up in.

pub mod access;
mod address;
pub mod check;
pub mod diff;
pub mod directory;
pub mod entity;
pub mod expand;
pub mod export;
mod fields;
pub mod parse;
pub mod provision;
#[cfg(test)]
pub(crate) mod testing;

pub use check::{check, warnings};
pub use diff::{Difference, diff};
pub use directory::Directory;
pub use expand::expand;
pub use export::{export, export_with_secrets};
pub use parse::{LoadError, Loaded, parse, parse_with};
pub use provision::Provision;
