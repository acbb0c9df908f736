//! Calls in progress by what they belong to, so that a question costs what it is about, however much else is up.

use std::collections::{BTreeSet, HashMap};

use crate::base::{CallId, GiveBack, WorkItemId};
use crate::core::call::Call;

/// Whose calls are which.
#[derive(Default, Debug)]
pub(crate) struct CallIndex {
    by_tenant: HashMap<String, BTreeSet<CallId>>,
    by_work: HashMap<WorkItemId, CallId>,
}

impl CallIndex {
    /// From here on a call's record names its tenant.
    pub fn began(&mut self, tenant: &str, call: CallId) {
        match self.by_tenant.get_mut(tenant) {
            Some(calls) => drop(calls.insert(call)),
            None => drop(self.by_tenant.insert(tenant.to_owned(), BTreeSet::from([call]))),
        }
    }

    /// A call is no more.
    pub fn ended(&mut self, call: &Call) {
        if let Some(calls) = self.by_tenant.get_mut(&call.cdr.tenant) {
            calls.remove(&call.id);
            if calls.is_empty() {
                self.by_tenant.remove(&call.cdr.tenant);
            }
        }
        if let Some(work) = call.work {
            self.left(work);
        }
    }

    /// An agent has a work item by a call.
    pub fn took(&mut self, work: WorkItemId, call: CallId) {
        self.by_work.insert(work, call);
    }

    /// No more.
    pub fn left(&mut self, work: WorkItemId) {
        self.by_work.remove(&work);
    }

    /// A tenant's calls, by id.
    pub fn of_tenant(&self, tenant: &str) -> impl Iterator<Item = CallId> {
        self.by_tenant.get(tenant).into_iter().flatten().copied()
    }

    /// How many a tenant has.
    pub fn count_of(&self, tenant: &str) -> usize {
        self.by_tenant.get(tenant).map_or(0, BTreeSet::len)
    }

    /// The call by which an agent has a work item.
    pub fn with(&self, work: WorkItemId) -> Option<CallId> {
        self.by_work.get(&work).copied()
    }

    /// Gives back the memory that a burst took.
    pub fn give_back(&mut self) {
        self.by_tenant.give_back();
        self.by_work.give_back();
    }

    /// Asserts that it has all of these calls and no others.
    pub fn check(&self, calls: &HashMap<CallId, Call>) {
        let mut other = Self::default();
        for call in calls.values() {
            if !call.cdr.tenant.is_empty() {
                other.began(&call.cdr.tenant, call.id);
            }
            if let Some(work) = call.work {
                other.took(work, call.id);
            }
        }
        assert_eq!(self.by_tenant, other.by_tenant, "calls by their tenants");
        assert_eq!(self.by_work, other.by_work, "calls by their work items");
    }
}
