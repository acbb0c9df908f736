//! What is provisioned of tenants, agents and queues, as the queue engine takes it.

use std::time::Duration;

use crate::base::Now;
use crate::core::queue::{AgentProfile, QueueProfile, TenantProfile};
use crate::core::switch::{Switch, WAITING_MAX};
use crate::core::tenant::directory::{AgentEntry, QueueEntry, TenantEntry};

impl Switch {
    /// Makes the directory hold in the queue.
    pub(crate) fn provision_queue(&mut self, now: Now) {
        let tenants = self.directory.tenants().map(tenant_profile).collect();
        let agents = self.directory.agents().map(agent_profile).collect();
        let queues = self.directory.queues().map(queue_profile).collect();
        self.queue.provision(now, tenants, agents, queues);
    }
}

fn tenant_profile(tenant: &TenantEntry) -> TenantProfile {
    TenantProfile { id: tenant.id, routing: tenant.routing }
}

fn agent_profile(agent: &AgentEntry) -> AgentProfile {
    AgentProfile {
        id: agent.id,
        tenant: agent.tenant,
        serves: agent.serves.clone(),
        // Who an agent is, the engine knows: agents who differ in nothing else are alike to it.
        traits: agent.traits.iter().copied().filter(|(what, _)| what.agent().is_none()).collect(),
        minds: agent.minds.clone(),
        slots: agent.slots,
        ring: seconds(agent.ring_s),
        wrap_up: seconds(agent.wrap_up_s),
    }
}

fn queue_profile(queue: &QueueEntry) -> QueueProfile {
    let some = |s: u32| (s > 0).then(|| seconds(s));
    QueueProfile {
        id: queue.id,
        tenant: queue.tenant,
        wants: queue.wants.clone(),
        importance: queue.importance,
        targets: queue.targets,
        overflow_after: some(queue.overflow_after_s),
        escalate_after: queue.escalation.and_then(|escalation| escalation.after),
        waiting_max: if queue.waiting_max == 0 { WAITING_MAX } else { queue.waiting_max as usize },
        announce_every: some(queue.announce_every_s),
    }
}

fn seconds(s: u32) -> Duration {
    Duration::from_secs(s.into())
}
