//! Provisioning: which tenants, agents and queues there are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::{AgentId, Medium, Now, QueueId, TenantId, WorkItemId};
use crate::core::contact::{Mode, Slots};

use super::agent::Agent;
use super::class::{ClassId, Kind, Use};
use super::engine::{Engine, Output};
use super::fits::Fits;
use super::gate::part;
use super::item::{Exit, Queue, Stage};
use super::need::Needs;
use super::offer::OfferEnd;
use super::profile::{AgentProfile, QueueProfile, TenantProfile};
use super::score::{could_ever, skill};
use super::timer::Timer;

impl Engine {
    /// Replaces tenants, agents and queues. Those known by id keep state, items and counts. Agents that are gone lose their
    /// offer ([`Output::Withdraw`]) and the items they had ([`Output::Orphaned`]); items of queues that are gone come out
    /// as [`Output::Overflow`]. New agents are signed out and unreachable. Of several profiles with one id the last one counts.
    pub fn provision(
        &mut self,
        now: Now,
        tenants: Vec<TenantProfile>,
        agents: Vec<AgentProfile>,
        queues: Vec<QueueProfile>,
    ) {
        let agents: BTreeMap<AgentId, AgentProfile> = agents.into_iter().map(|a| (a.id, a)).collect();
        let queues: BTreeMap<QueueId, QueueProfile> = queues.into_iter().map(|q| (q.id, q)).collect();
        // Until the fits are worked out anew nothing is matched.
        let measured = self.fits.measured();
        self.fits = Fits::default();
        let stays: BTreeSet<TenantId> = queues.values().map(|queue| queue.tenant).collect();
        for (tenant, measured) in measured.into_iter().filter(|(tenant, _)| stays.contains(tenant)) {
            self.fits.set_measured(tenant, measured);
        }
        self.drop_agents(|id| agents.contains_key(&id));
        self.drop_queues(now, |id| queues.contains_key(&id));
        for tenant in tenants {
            self.fits.set_routing(tenant.id, tenant.routing);
        }
        let kinds: BTreeMap<AgentId, ClassId> =
            agents.iter().map(|(&id, profile)| (id, self.fits.class_of(id, Kind::new(profile)))).collect();
        for (id, profile) in queues {
            match self.queues.get_mut(&id) {
                Some(queue) => queue.update(profile),
                None => {
                    let share = self.fits.in_time(profile.tenant);
                    self.queues.insert(id, Queue::new(profile, share));
                }
            }
        }
        self.link_queues();
        self.readmit(now);
        self.reschedule(now);
        for (id, profile) in agents {
            let Some(&class) = kinds.get(&id) else { continue };
            match self.agents.get_mut(&id) {
                Some(agent) => agent.update(&profile, class),
                None => drop(self.agents.insert(id, Agent::new(&profile, class, now.wall))),
            }
        }
        self.index_agents();
        self.match_all(now);
    }

    fn drop_agents(&mut self, stays: impl Fn(AgentId) -> bool) {
        let gone: Vec<AgentId> = self.agents.keys().copied().filter(|&id| !stays(id)).collect();
        for id in gone {
            let Some(agent) = self.agents.remove(&id) else { continue };
            self.timers.cancel(agent.footing().wrap_up_until, Timer::WrapUp(id));
            self.audit.forget(id);
            for task in agent.tasks() {
                self.handled.remove(&task.item);
                self.outputs.push_back(Output::Orphaned { item: task.item });
            }
            if let Some((offer, item)) = agent.offer().and_then(|o| Some((o, self.take_offer(o)?.item))) {
                self.outputs.push_back(Output::Withdraw { offer, agent: id, why: OfferEnd::AgentGone });
                self.set_stage(item, Stage::Waiting);
            }
        }
    }

    fn drop_queues(&mut self, now: Now, stays: impl Fn(QueueId) -> bool) {
        let gone: Vec<QueueId> = self.queues.keys().copied().filter(|&id| !stays(id)).collect();
        for id in gone {
            let items: Vec<WorkItemId> = self.queues.get(&id).into_iter().flat_map(|q| q.lines.items()).collect();
            for item in items {
                if let Some(Stage::Offered(offer)) = self.remove_item(now, item, Exit::Overflowed).map(|i| i.stage) {
                    self.withdraw(now, offer, OfferEnd::ItemLeft);
                }
                self.outputs.push_back(Output::Overflow { item });
            }
            self.queues.remove(&id);
        }
    }

    /// Which classes each queue's items can go to.
    fn link_queues(&mut self) {
        self.burdens.clear();
        for (&id, queue) in &mut self.queues {
            let burden = self.burdens.add(id);
            queue.burden = burden;
            self.fits.add_queue(queue.profile.tenant);
            let (gates, _) = part(queue.profile.wants.iter().cloned());
            let needs = Needs {
                tenant: queue.profile.tenant,
                medium: Medium::Voice,
                gates,
                // What agents insist on is of single items.
                traits: Box::default(),
            };
            queue.classes.clear();
            for class_id in self.fits.classes_of(needs.tenant).to_vec() {
                let Some(class) = self.fits.class_mut(class_id) else { continue };
                let mut kind = class.kind.clone();
                kind.minds = kind.minds.iter().copied().filter(|mind| mind.mode == Mode::Preferred).collect();
                // Whoever takes any medium counts: queues have no medium of their own.
                kind.slots = Slots::default();
                if could_ever(&kind, &needs) {
                    let level = skill(&kind, None, queue.profile.wants.iter());
                    class.uses.push(Use { burden, level });
                    queue.classes.push(class_id);
                }
            }
        }
        self.shares_at = None;
    }

    /// Fills fresh fits with who is open, who works and who is busy.
    fn index_agents(&mut self) {
        for (&id, agent) in &self.agents {
            let footing = agent.footing();
            if let Some((posture, idle_since)) = footing.open {
                self.fits.add_open(agent.class, posture, idle_since, id);
            }
            let Some(class) = self.fits.class_mut(agent.class) else { continue };
            class.busy.extend(footing.busy.map(|busy| (id, busy)));
            if footing.works {
                class.staff += 1;
                self.burdens.works(class, true);
            }
            if footing.open.is_some_and(|(posture, _)| posture.is_idle()) {
                self.burdens.idles(class, true);
            }
        }
    }

    /// Puts all items behind the gates that they have now.
    fn readmit(&mut self, now: Now) {
        let ids: Vec<WorkItemId> = self.items.keys().copied().collect();
        for id in ids {
            let Some(item) = self.items.get(&id) else { continue };
            let Some(queue) = self.queues.get(&item.entry.queue) else { continue };
            let (ask, prefers) = self.ask(queue, &item.entry);
            let target = queue.target(item.entry.medium);
            let gate = self.fits.enter(ask, queue.profile.importance, target);
            let shared = self.fits.shared(gate, &prefers);
            let Some(item) = self.items.get_mut(&id) else { continue };
            item.gate = gate;
            item.prefers = shared.unwrap_or_else(|| prefers.into());
            if item.stage == Stage::Waiting {
                self.fits.release(gate, item.rank(), id, &item.prefers);
            }
            self.end_hold(id);
            self.set_turn(now, id);
            self.set_servable(id);
        }
    }

    /// Sets the items' timers by what their queues say now. Who has waited longer than a new limit overflows at the
    /// next timeout.
    fn reschedule(&mut self, now: Now) {
        for (&id, item) in &mut self.items {
            let Some(profile) = self.queues.get(&item.entry.queue).map(|q| &q.profile) else { continue };
            let left = |after: Duration| now.mono + after.saturating_sub(item.place.waited(now.mono));
            let overflow_at = profile.overflow_after.filter(|_| item.entry.overflows).map(left);
            self.timers.cancel(item.overflow_at, Timer::Overflow(id));
            self.timers.start(overflow_at, Timer::Overflow(id));
            // Who was told of once is not told of again.
            if item.escalate_at.is_some() {
                self.timers.cancel(item.escalate_at, Timer::Escalate(id));
                item.escalate_at = profile.escalate_after.map(left);
                self.timers.start(item.escalate_at, Timer::Escalate(id));
            }
            item.overflow_at = overflow_at;
            let announces = profile.announce_every.filter(|_| item.entry.medium.is_live());
            if announces.is_some() != item.announce_at.is_some() {
                self.timers.cancel(item.announce_at, Timer::Announce(id));
                item.announce_at = announces.map(|every| now.mono + every);
                self.timers.start(item.announce_at, Timer::Announce(id));
            }
        }
    }
}
