//! Provisioning: which agents and queues there are.

use std::collections::BTreeMap;

use crate::base::{AgentId, Now, QueueId, WorkItemId};

use super::agent::Agent;
use super::engine::{Engine, Output};
use super::fit::{Fits, Skills};
use super::item::{Exit, Queue, Stage};
use super::timer::Timer;
use super::{AgentProfile, OfferEnd, QueueProfile};

impl Engine {
    /// Replaces agents and queues. Those known by id keep state, items and counts. Agents that are gone lose their
    /// offer ([`Output::Withdraw`]); items of queues that are gone come out as [`Output::Overflow`]. New agents are
    /// signed out and unreachable. Of several profiles with one id the last one counts.
    pub fn provision(&mut self, now: Now, agents: Vec<AgentProfile>, queues: Vec<QueueProfile>) {
        let agents: BTreeMap<AgentId, AgentProfile> = agents.into_iter().map(|a| (a.id, a)).collect();
        let queues: BTreeMap<QueueId, QueueProfile> = queues.into_iter().map(|q| (q.id, q)).collect();
        // Until the fits are worked out anew nothing is matched.
        self.fits = Fits::default();
        self.drop_agents(|id| agents.contains_key(&id));
        self.drop_queues(now, |id| queues.contains_key(&id));
        let mut fits = Fits::default();
        for (id, profile) in queues {
            let demand = fits.demand(profile.tenant, &Skills::new(&profile.needs));
            self.queues
                .entry(id)
                .and_modify(|q| q.update(&profile, demand))
                .or_insert_with(|| Queue::new(&profile, demand));
        }
        for (id, profile) in agents {
            let class = fits.class(profile.tenant, &Skills::new(&profile.skills));
            self.agents
                .entry(id)
                .and_modify(|a| a.update(&profile, class))
                .or_insert_with(|| Agent::new(&profile, class, now.wall));
        }
        self.fits = fits;
        self.index();
        self.reschedule(now);
        self.match_all(now);
    }

    fn drop_agents(&mut self, stays: impl Fn(AgentId) -> bool) {
        let gone: Vec<AgentId> = self.agents.keys().copied().filter(|&id| !stays(id)).collect();
        for id in gone {
            let Some(agent) = self.agents.remove(&id) else { continue };
            self.timers.cancel(agent.footing().wrap_up_until, Timer::WrapUp(id));
            self.audit.ended(id);
            if let Some((offer, item)) = agent.offer().and_then(|o| Some((o, self.take_offer(o)?.item))) {
                self.outputs.push_back(Output::Withdraw { offer, agent: id, why: OfferEnd::AgentGone });
                self.set_stage(item, Stage::Waiting);
            }
        }
    }

    fn drop_queues(&mut self, now: Now, stays: impl Fn(QueueId) -> bool) {
        let gone: Vec<QueueId> = self.queues.keys().copied().filter(|&id| !stays(id)).collect();
        for id in gone {
            let items: Vec<WorkItemId> = self.queues.get(&id).into_iter().flat_map(|q| q.line.items()).collect();
            for item in items {
                if let Some(Stage::Offered(offer)) = self.remove_item(now, item, Exit::Overflowed).map(|i| i.stage) {
                    self.withdraw(now, offer, OfferEnd::ItemLeft);
                }
                self.outputs.push_back(Output::Overflow { item });
            }
            self.queues.remove(&id);
        }
    }

    /// Fills fresh fits with who is ready, who works and where somebody waits.
    fn index(&mut self) {
        for (&id, agent) in &self.agents {
            let footing = agent.footing();
            if let Some(idle_since) = footing.available {
                self.fits.add_ready(agent.class, idle_since, id);
            }
            if footing.works {
                self.fits.add_staff(agent.class);
            }
        }
        for (&id, queue) in &self.queues {
            self.fits.set_waiting(queue.demand, id, queue.line.head().is_some());
        }
    }

    /// Sets the items' timers by what their queues say now. Who has waited longer than a new limit overflows at the
    /// next timeout.
    fn reschedule(&mut self, now: Now) {
        for (&id, item) in &mut self.items {
            let Some(queue) = self.queues.get(&item.queue) else { continue };
            let overflow_at = queue.overflow_after.map(|after| item.since + after);
            self.timers.cancel(item.overflow_at, Timer::Overflow(id));
            self.timers.start(overflow_at, Timer::Overflow(id));
            item.overflow_at = overflow_at;
            if queue.announce_every.is_some() != item.announce_at.is_some() {
                self.timers.cancel(item.announce_at, Timer::Announce(id));
                item.announce_at = queue.announce_every.map(|every| now.mono + every);
                self.timers.start(item.announce_at, Timer::Announce(id));
            }
        }
    }
}
