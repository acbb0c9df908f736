//! A tenant as its users see it.

use serde::{Deserialize, Serialize};

use crate::base::{Bound, Timestamp};

/// Counters of a tenant since start, what it has up now, and its quotas. Nothing in it depends on other tenants.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct TenantStatus {
    /// Tenant's name.
    pub tenant: String,
    /// Product version.
    pub version: String,
    /// Start of the process.
    pub started_at: Timestamp,
    /// Stopping: new calls are refused.
    pub stopping: bool,
    /// Calls now.
    pub calls: u64,
    /// Work items that have not ended, calls apart.
    pub works: u64,
    /// Clients who are to be called back.
    pub callbacks: u64,
    /// Items waiting in its queues now.
    pub waiting: u64,
    /// Items that entered its queues.
    pub offered: u64,
    /// Items that an agent took out of a queue.
    pub answered: u64,
    /// Items that left before an agent answered.
    pub abandoned: u64,
    /// Items answered within the target of their queue.
    pub in_target: u64,
    /// Agents by state: ready, busy, wrap-up, not-ready.
    pub agents_ready: u64,
    /// See `agents_ready`.
    pub agents_busy: u64,
    /// See `agents_ready`.
    pub agents_wrap_up: u64,
    /// See `agents_ready`.
    pub agents_not_ready: u64,
    /// Of what it may have only so much, how much there is.
    pub quotas: Vec<Bound>,
}
