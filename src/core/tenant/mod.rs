//! What is provisioned: tenants, sites, skills, agents, queues, flows, numbers, trunks.

pub mod provision;

pub use provision::Provision;
