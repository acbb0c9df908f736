//! Requests of users: whose they are, whether they may be, and the trail that they leave.

use std::time::Duration;

use crate::base::{Bound, CallId, Now, WorkItemId};
use crate::core::call::Call;
use crate::core::contact::callback;
use crate::core::control::{Asker, Query, Reply, Request, TenantStatus};
use crate::core::journal::{AgentStatus, Audit, Change, Seq};
use crate::core::switch::{Output, Switch};
use crate::core::tenant::access::{self, Deed, Extent, Owner, Owners, Principal};
use crate::core::tenant::directory::TenantEntry;

/// Most characters of an entry of the trail, and of a refusal.
const TOLD_CHARS_MAX: usize = 300;

/// How long what is denied to users is only counted after a line of the log told of it.
const DENIED_TOLD_AGAIN: Duration = Duration::from_secs(1);

fn brief(text: &str) -> String {
    text.chars().take(TOLD_CHARS_MAX).collect()
}

impl Owners for Switch {
    fn of_work(&self, work: WorkItemId) -> Option<Owner> {
        self.owner_of_work(work)
    }

    fn of_call(&self, call: CallId) -> Option<Owner> {
        let owner = |call: &Call| {
            (call.cdr.tenant.clone(), call.cdr.agent.as_ref().map(|a| access::full_agent(&call.cdr.tenant, a)))
        };
        self.calls.get(&call).map(owner)
    }
}

impl Switch {
    /// A request from a control socket. What is not permitted changes nothing and tells nothing.
    pub(crate) fn on_request(&mut self, now: Now, token: u64, asker: Asker, request: Request) {
        let (who, account) = match self.principal(asker) {
            Ok(known) => known,
            Err(reason) => return self.reply(token, Reply::Refused { reason }, None),
        };
        match request {
            Request::Command(command) => {
                if let Err(denied) = access::permits(&who, &command, self) {
                    let reason = brief(&denied.to_string());
                    self.warn_of_denied(now, &who.user, &reason);
                    return self.reply(token, Reply::Refused { reason }, None);
                }
                let command = access::in_own_name(&who, command);
                let (tenant, did) = (access::concerned(&command, self), access::told(&command));
                let (reply, mut after) = self.carry_out(now, command);
                if !matches!(reply, Reply::Refused { .. }) {
                    let did = brief(&did);
                    let Principal { user, role, .. } = who;
                    let audit = Audit { at: now.wall, user, account, role, tenant, did };
                    after = Some(self.journal(Change::Audited { audit: Box::new(audit) }));
                }
                self.reply(token, reply, after);
            }
            Request::Query(Query::Whoami) => {
                let Principal { user, role, tenant, agent } = who;
                self.reply(token, Reply::Whoami { user, role, tenant, agent }, None);
            }
            Request::Query(query) => {
                let deed = Deed::of_query(&query);
                match access::narrow_query(&who, query, self) {
                    Err(denied) => self.reply(token, Reply::Refused { reason: brief(&denied.to_string()) }, None),
                    Ok(query) => {
                        let of = who.tenant.as_deref().filter(|_| who.extent(deed) != Extent::All);
                        if let Some(reply) = self.answer(now, token, query, of) {
                            self.reply(token, access::narrow_reply(&who, deed, reply), self.last_seq());
                        }
                    }
                }
            }
        }
    }

    /// Tells of an order that was not permitted, and soon after of more by their number only.
    fn warn_of_denied(&mut self, now: Now, user: &str, reason: &str) {
        match self.denied {
            Some((told, _)) if now.mono.since(told) < DENIED_TOLD_AGAIN => {
                self.denied = self.denied.map(|(told, more)| (told, more + 1));
            }
            before => {
                let more = before.map_or(0, |(_, more)| more);
                let more = if more == 0 { String::new() } else { format!("; {more} more since the last one told") };
                self.emit(Output::Warning(format!("user {user}: {reason}{more}")));
                self.denied = Some((now.mono, 0));
            }
        }
    }

    /// Who asks, and by which account.
    fn principal(&self, asker: Asker) -> Result<(Principal, String), String> {
        match asker {
            Asker::Owner(account) => Ok((Principal::operator("-"), account)),
            Asker::Account(account) => match self.directory.user_of_account(&account) {
                Some(known) => Ok((known.clone(), account)),
                None => Err(format!(
                    "account {account:?} is no user of this appliance; the operator adds one by `cordboard user add NAME \
                     role=ROLE account={account}`"
                )),
            },
        }
    }

    pub(crate) fn reply(&mut self, token: u64, reply: Reply, after: Option<Seq>) {
        self.emit(Output::Reply { token, reply, after });
    }

    /// Counters of a tenant, and what it may have.
    pub(crate) fn tenant_status(&self, now: Now, tenant: &str) -> Result<TenantStatus, String> {
        let entry = self.directory.tenant_by_name(tenant).ok_or_else(|| access::no_tenant(tenant))?;
        let mut status = TenantStatus {
            tenant: entry.name.clone(),
            version: self.config.version.clone(),
            started_at: self.started.wall,
            stopping: self.stopping,
            calls: self.call_index.count_of(tenant) as u64,
            works: self.works.of_tenant(tenant) as u64,
            callbacks: self.works.wishes_of(tenant) as u64,
            quotas: self.quotas_of(entry, ""),
            ..TenantStatus::default()
        };
        for queue in self.directory.queues().filter(|queue| queue.tenant == entry.id) {
            let Some(queue) = self.queue.queue(now, queue.id) else { continue };
            status.waiting += queue.waiting as u64;
            status.offered += queue.offered;
            status.answered += queue.answered;
            status.abandoned += queue.abandoned;
            status.in_target += queue.in_target;
        }
        for agent in self.directory.agents().filter(|agent| agent.tenant == entry.id) {
            if let Some(agent) = self.queue.agent(agent.id) {
                match agent.status {
                    AgentStatus::Null => {}
                    AgentStatus::NotReady => status.agents_not_ready += 1,
                    AgentStatus::Ready => status.agents_ready += 1,
                    AgentStatus::Busy => status.agents_busy += 1,
                    AgentStatus::WrapUp => status.agents_wrap_up += 1,
                }
            }
        }
        Ok(status)
    }

    /// What all tenants have of what they may have only so much of.
    pub(crate) fn quotas(&self) -> Vec<Bound> {
        let tenants = self.directory.tenants();
        tenants.flat_map(|tenant| self.quotas_of(tenant, &format!("{}/", tenant.name))).collect()
    }

    fn quotas_of(&self, tenant: &TenantEntry, prefix: &str) -> Vec<Bound> {
        let (quota, has) = (&tenant.quota, tenant.holdings);
        let works = self.works.of_tenant(&tenant.name);
        let counts = [
            ("agents", quota.agents, has.agents as usize),
            ("queues", quota.queues, has.queues as usize),
            ("flows", quota.flows, has.flows as usize),
            ("numbers", quota.numbers, has.numbers as usize),
            ("users", quota.users, has.users as usize),
            ("works", quota.works, works),
        ];
        let bounded = counts.into_iter().filter_map(|(name, most, count)| Some((name, most?, count)));
        let refused = |name| if name == "works" { self.works.refused_of(&tenant.name) } else { 0 };
        bounded
            .map(|(name, most, count)| Bound::new(&format!("{prefix}{name}"), count, most as usize, refused(name)))
            .collect()
    }

    /// Whether a tenant may have another work item.
    ///
    /// # Errors
    /// In words, where it may not.
    pub(crate) fn has_work_left(&self, tenant: &str) -> Result<(), callback::Unwanted> {
        let quota = self.directory.tenant_by_name(tenant).and_then(|entry| entry.quota.works);
        match quota {
            Some(most) if self.works.of_tenant(tenant) >= most as usize => Err(callback::Unwanted::Quota(most)),
            _ => Ok(()),
        }
    }
}
