//! The last agent of a client: who handled a client before is preferred for the next contact, less and less as days go by.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::{AgentId, Now, QueueId, Redacted, TenantId, Timestamp};
use crate::core::contact::{Level, Mode, Schedule, Want};
use crate::core::journal::Change;
use crate::core::switch::Switch;

/// Clients remembered; the one that was handled longest ago is forgotten for a further one.
pub const CLIENTS_MAX: usize = 100_000;

const DAY_MS: f64 = 86_400_000.0;

/// Who handled a client last, as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LastAgent {
    /// Tenant's name.
    pub tenant: String,
    /// The client: a number or an address.
    pub client: Redacted<String>,
    /// Agent's name.
    pub agent: String,
    /// When they met.
    pub at: Timestamp,
}

/// Whom clients met last.
#[derive(Default, Debug)]
pub struct LastAgents {
    clients: HashMap<(TenantId, Arc<str>), (AgentId, Timestamp)>,
    order: BTreeSet<(Timestamp, TenantId, Arc<str>)>,
    forgotten: u64,
}

impl LastAgents {
    /// The agent handled the client's contact.
    pub fn remember(&mut self, tenant: TenantId, client: &str, agent: AgentId, at: Timestamp) {
        let client: Arc<str> = client.into();
        if let Some((_, before)) = self.clients.insert((tenant, client.clone()), (agent, at)) {
            self.order.remove(&(before, tenant, client.clone()));
        }
        self.order.insert((at, tenant, client));
        if self.clients.len() > CLIENTS_MAX
            && let Some((_, tenant, client)) = self.order.pop_first()
        {
            self.clients.remove(&(tenant, client));
            self.forgotten += 1;
        }
    }

    /// Who handled the client last, and when.
    pub fn last(&self, tenant: TenantId, client: &str) -> Option<(AgentId, Timestamp)> {
        self.clients.get(&(tenant, client.into())).copied()
    }

    /// Clients forgotten for want of room.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Clients remembered.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }
}

/// How much the agent weighs by now.
fn importance(at_first: u8, fade_days: u32, at: Timestamp, now: Timestamp) -> u8 {
    // A clock that was set back makes nobody preferred more than at first.
    let days = (now.as_millis().saturating_sub(at.as_millis()) as f64 / DAY_MS).max(0.0);
    let left = 1.0 - days / f64::from(fade_days.max(1));
    (f64::from(at_first) * left.max(0.0)).round() as u8
}

impl Switch {
    /// That the client's last agent is preferred, where the queue says so and there is one.
    pub(crate) fn last_agent_wanted(&self, now: Now, queue: QueueId, client: &str) -> Option<Want> {
        let queue = self.directory.queue(queue)?;
        let sticky = queue.sticky?;
        let (agent, at) = self.last_agents.last(queue.tenant, client)?;
        let importance = importance(sticky.importance, sticky.fade_days, at, now.wall);
        let known = self.directory.agent(agent).is_some_and(|a| a.is_of(queue.tenant));
        (known && importance > 0).then(|| Want {
            what: self.directory.agent_trait(agent),
            mode: Mode::Preferred,
            schedule: Schedule::constant(Level::FULL, importance),
        })
    }

    /// Remembers who handled a client, where the queue wants to know next time.
    pub(crate) fn remember_agent(&mut self, now: Now, queue: QueueId, client: &str, agent: AgentId) {
        let Some(queue) = self.directory.queue(queue).filter(|queue| queue.sticky.is_some()) else { return };
        let Some((tenant, entry)) = self.directory.tenant(queue.tenant).zip(self.directory.agent(agent)) else {
            return;
        };
        if client.is_empty() {
            return;
        }
        self.last_agents.remember(queue.tenant, client, agent, now.wall);
        let agent = self.directory.agent_called(entry.id, Some(tenant.id)).unwrap_or_default();
        let (tenant, client) = (tenant.name.clone(), client.to_owned().into());
        self.journal(Change::ClientMet { met: LastAgent { tenant, client, agent, at: now.wall } });
    }

    /// Puts back what an earlier run knew, as far as tenant and agent are still there. To be called before work items are put
    /// back, which prefer by it.
    pub(crate) fn restore_last_agents(&mut self, last: Vec<LastAgent>) {
        for LastAgent { tenant, client, agent, at } in last {
            let tenant = self.directory.tenant_by_name(&tenant).map(|tenant| tenant.id);
            let agent = tenant.and_then(|tenant| self.directory.agent_by_call(tenant, &agent)).map(|agent| agent.id);
            if let Some((tenant, agent)) = tenant.zip(agent) {
                self.last_agents.remember(tenant, client.expose(), agent, at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_weighs_less_with_each_day_and_never_more() {
        let day = |n: i64| Timestamp(n * 86_400_000);
        assert_eq!(importance(40, 30, day(0), day(0)), 40);
        assert_eq!(importance(40, 30, day(0), day(15)), 20);
        assert_eq!(importance(40, 30, day(0), day(30)), 0);
        assert_eq!(importance(40, 30, day(0), day(1_000)), 0);
        assert_eq!(importance(40, 30, day(5), day(0)), 40);
    }

    #[test]
    fn the_client_handled_longest_ago_is_forgotten() {
        let mut last = LastAgents::default();
        let at = |n: usize| Timestamp(n as i64);
        for n in 0..CLIENTS_MAX {
            last.remember(TenantId(1), &format!("client {n}"), AgentId(1), at(n));
        }
        last.remember(TenantId(1), "client 0", AgentId(2), at(CLIENTS_MAX));
        last.remember(TenantId(1), "one more", AgentId(3), at(CLIENTS_MAX + 1));
        assert_eq!(last.clients(), CLIENTS_MAX);
        assert_eq!(last.last(TenantId(1), "client 0"), Some((AgentId(2), at(CLIENTS_MAX))));
        assert_eq!(last.last(TenantId(1), "client 1"), None);
        assert_eq!(last.last(TenantId(2), "one more"), None);
    }
}
