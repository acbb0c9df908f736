//! What is provisioned: tenants, sites, skills, agents, queues, flows, numbers, trunks.

pub mod diff;
pub mod directory;
pub mod expand;
pub mod provision;

pub use diff::{Difference, diff};
pub use directory::Directory;
pub use expand::expand;
pub use provision::Provision;
