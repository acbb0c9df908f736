//! A random walk over everything the engine can be told, watched by a mirror that knows nothing of its indices: the
//! mirror follows the outputs and checks each offer against a look at everybody.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::base::{AgentId, Instant, Now, OfferId, QueueId, SkillId, TenantId, WorkItemId};
use crate::core::journal::AgentStatus;

/// SplitMix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = self.below(from.len().max(1) as u64) as usize;
        from.get(at).copied()
    }

    fn level(&mut self) -> f32 {
        [0.2, 0.5, 0.8, 1.0][self.below(4) as usize]
    }
}

struct MirrorAgent {
    profile: AgentProfile,
    status: AgentStatus,
    idle_since: Instant,
    reachable: bool,
    offer: Option<OfferId>,
}

struct MirrorItem {
    queue: QueueId,
    since: Instant,
    offer: Option<OfferId>,
}

#[derive(Default)]
struct Mirror {
    agents: BTreeMap<AgentId, MirrorAgent>,
    queues: BTreeMap<QueueId, QueueProfile>,
    /// By number, which is also the order of coming.
    items: BTreeMap<WorkItemId, MirrorItem>,
    offers: BTreeMap<OfferId, (WorkItemId, AgentId)>,
    overflowed: u64,
    offered: u64,
}

fn fitness(agent: &AgentProfile, queue: &QueueProfile) -> Option<f32> {
    if agent.tenant != queue.tenant {
        return None;
    }
    let level = |skill| agent.skills.iter().find(|s| s.0 == skill).map(|s| s.1);
    queue.needs.iter().try_fold(1.0_f32, |least, &(skill, need)| {
        level(skill).filter(|&have| have >= need).map(|have| least.min(have))
    })
}

impl Mirror {
    fn free(&self, agent: &MirrorAgent) -> bool {
        agent.status == AgentStatus::Ready && agent.reachable && agent.offer.is_none()
    }

    /// The offer must be to the best agent for the item, or of the most urgent item for the agent, and the item must
    /// be the first free one of its queue. At the moment of the offer the agent has just turned busy.
    fn check_offer(&self, now: Now, item: WorkItemId, agent: AgentId) {
        let (i, a) = (&self.items[&item], &self.agents[&agent]);
        assert!(i.offer.is_none(), "{item} was free");
        assert!(a.offer.is_none() && a.reachable, "{agent} was free");
        let queue = &self.queues[&i.queue];
        let fit = fitness(&a.profile, queue).unwrap_or_else(|| unreachable!("{agent} fits {item}"));
        let first = self.items.iter().find(|(_, other)| other.queue == i.queue && other.offer.is_none());
        assert_eq!(first.map(|(id, _)| *id), Some(item), "{item} is the first of its queue");
        let better_agent = self.agents.values().any(|other| {
            self.free(other)
                && fitness(&other.profile, queue)
                    .is_some_and(|f| f > fit || (f == fit && other.idle_since < a.idle_since))
        });
        let urgency = |i: &MirrorItem| {
            let target = self.queues[&i.queue].target;
            now.mono.since(i.since).as_micros() as f64 / target.as_micros() as f64
        };
        let better_item = self.items.values().any(|other| {
            let fits = fitness(&a.profile, &self.queues[&other.queue]).is_some();
            other.offer.is_none() && fits && urgency(other) > urgency(i) + 1e-9
        });
        assert!(!better_agent, "{agent} is the best for {item}");
        assert!(!better_item, "{item} is the most urgent for {agent}");
    }

    fn follow(&mut self, now: Now, output: Output) {
        match output {
            Output::Offer { offer, item, agent } => {
                self.check_offer(now, item, agent);
                self.offers.insert(offer, (item, agent));
                self.items.entry(item).and_modify(|i| i.offer = Some(offer));
                self.agents.entry(agent).and_modify(|a| a.offer = Some(offer));
            }
            Output::Withdraw { offer, agent, why } => {
                assert_eq!(self.offers.get(&offer).map(|o| o.1), Some(agent), "a live offer is withdrawn: {why:?}");
                self.end_offer(offer);
            }
            Output::Overflow { item } => {
                self.overflowed += 1;
                assert!(self.items.remove(&item).is_some_and(|i| i.offer.is_none()), "{item} overflows free");
            }
            Output::Announce { item, position, .. } => {
                let queue = self.items[&item].queue;
                let ahead = self.items.range(..item).filter(|(_, other)| other.queue == queue).count();
                assert_eq!(position, ahead + 1, "{item} hears its place");
            }
            Output::AgentChanged { agent, status, .. } => {
                let Some(a) = self.agents.get_mut(&agent) else { return };
                // Back from an offer that was withdrawn, an agent keeps the idle time.
                if status == AgentStatus::Ready && a.status != AgentStatus::Busy {
                    a.idle_since = now.mono;
                }
                a.status = status;
            }
        }
    }

    fn end_offer(&mut self, offer: OfferId) {
        if let Some((item, agent)) = self.offers.remove(&offer) {
            self.items.entry(item).and_modify(|i| i.offer = None);
            self.agents.entry(agent).and_modify(|a| a.offer = None);
        }
    }

    fn check_settled(&self, engine: &Engine) {
        for (id, item) in self.items.iter().filter(|(_, i)| i.offer.is_none()) {
            let idle = self
                .agents
                .iter()
                .find(|(_, a)| self.free(a) && fitness(&a.profile, &self.queues[&item.queue]).is_some());
            assert!(idle.is_none(), "{id} waits while {:?} idles", idle.map(|(id, _)| id));
        }
        let counters = engine.counters();
        assert_eq!(counters.waiting, self.items.len());
        assert_eq!(counters.overflowed, self.overflowed);
        assert_eq!(counters.offered, self.offered);
        assert_eq!(counters.double_offers, 0);
        for state in engine.agents() {
            assert_eq!(state.status, self.agents[&state.id].status, "{} was told", state.id);
        }
    }
}

struct Walk {
    dice: Dice,
    now: Now,
    engine: Engine,
    mirror: Mirror,
    item_last: u64,
}

const AGENTS: u64 = 12;
const QUEUES: u64 = 6;

impl Walk {
    fn new(seed: u64) -> Self {
        let engine = Engine::new(60);
        let mut walk = Self { dice: Dice(seed), now: Now::default(), engine, mirror: Mirror::default(), item_last: 0 };
        walk.provision();
        walk
    }

    fn provision(&mut self) {
        let mut agents = vec![];
        for id in 0..AGENTS {
            if self.dice.below(8) == 0 {
                continue;
            }
            let skills = (0..3).map(|s| (SkillId(s), self.dice.level())).collect::<Vec<_>>();
            let kept = self.dice.below(4) as usize;
            agents.push(AgentProfile {
                id: AgentId(id as u32),
                tenant: TenantId((id % 2) as u32),
                skills: skills.into_iter().take(kept).collect(),
                ring: Duration::from_secs(1 + self.dice.below(20)),
                wrap_up: Duration::from_secs(self.dice.below(3) * 10),
            });
        }
        let mut queues = vec![];
        for id in 0..QUEUES {
            if self.dice.below(8) == 0 {
                continue;
            }
            let skill = SkillId(self.dice.below(3) as u32);
            let needs = if self.dice.below(3) == 0 { vec![] } else { vec![(skill, self.dice.level())] };
            queues.push(QueueProfile {
                id: QueueId(id as u32),
                tenant: TenantId((id % 2) as u32),
                needs,
                target: Duration::from_secs(10 + 10 * self.dice.below(4)),
                overflow_after: (self.dice.below(2) == 0).then(|| Duration::from_secs(30 + self.dice.below(60))),
                waiting_max: self.dice.below(3) as usize * 10,
                announce_every: (self.dice.below(2) == 0).then(|| Duration::from_secs(self.dice.below(3) * 15)),
            });
        }
        self.engine.provision(self.now, agents.clone(), queues.clone());
        // Withdrawals, overflows and returns come first, then offers by the new order.
        let outputs: Vec<_> = std::iter::from_fn(|| self.engine.poll_output()).collect();
        let cut = outputs.iter().position(|o| matches!(o, Output::Offer { .. })).map_or(outputs.len(), |at| {
            // The agent's turning busy comes just before its offer.
            at.saturating_sub(1)
        });
        for output in &outputs[..cut] {
            self.mirror.follow(self.now, output.clone());
        }
        let mut kept = std::mem::take(&mut self.mirror.agents);
        for profile in agents {
            let fresh = MirrorAgent {
                profile: profile.clone(),
                status: AgentStatus::Null,
                idle_since: Instant::ZERO,
                reachable: false,
                offer: None,
            };
            let mut agent = kept.remove(&profile.id).unwrap_or(fresh);
            agent.profile = profile;
            self.mirror.agents.insert(agent.profile.id, agent);
        }
        self.mirror.queues = queues.into_iter().map(|q| (q.id, q)).collect();
        for output in &outputs[cut..] {
            self.mirror.follow(self.now, output.clone());
        }
    }

    fn agent(&mut self) -> AgentId {
        AgentId(self.dice.below(AGENTS) as u32)
    }

    fn item(&mut self) -> Option<WorkItemId> {
        let items: Vec<_> = self.mirror.items.keys().copied().collect();
        self.dice.pick(&items)
    }

    fn offer(&mut self) -> Option<OfferId> {
        let offers: Vec<_> = self.mirror.offers.keys().copied().collect();
        self.dice.pick(&offers)
    }

    fn step(&mut self) {
        let (now, roll) = (self.now, self.dice.below(100));
        match roll {
            0..25 => self.come(),
            25..30 => {
                if let Some(item) = self.item() {
                    let offer = self.mirror.items.remove(&item).and_then(|i| i.offer);
                    assert!(self.engine.leave(now, item));
                    assert!(offer.is_none_or(|o| self.mirror.offers.contains_key(&o)));
                }
            }
            30..48 => {
                if let Some(offer) = self.offer() {
                    assert!(self.engine.accepted(now, offer));
                    let item = self.mirror.offers.get(&offer).map(|o| o.0);
                    self.mirror.end_offer(offer);
                    item.and_then(|i| self.mirror.items.remove(&i));
                    assert!(!self.engine.accepted(now, offer), "only once");
                }
            }
            48..53 => {
                if let Some(offer) = self.offer() {
                    let ends = [OfferEnd::Declined, OfferEnd::Busy, OfferEnd::Unreachable, OfferEnd::Failed];
                    let why = self.dice.pick(&ends).unwrap_or(OfferEnd::Failed);
                    self.mirror.end_offer(offer);
                    self.engine.refused(now, offer, why);
                }
            }
            53..68 => self.finish(),
            68..74 => self.reach(),
            74..76 => drop(self.agent_order(|e, a| e.sign_out(now, a))),
            76..79 => drop(self.agent_order(|e, a| e.pause(now, a, "pause"))),
            79..86 => drop(self.agent_order(|e, a| e.sign_in(now, a))),
            86..90 => drop(self.agent_order(|e, a| e.resume(now, a))),
            90..99 => {
                let s = self.dice.below(8);
                self.now = now.after(Duration::from_millis(s * 1_000 + self.dice.below(1_000)));
                self.tick();
            }
            _ => self.provision(),
        }
        self.drain();
    }

    fn come(&mut self) {
        let queue = QueueId(self.dice.below(QUEUES) as u32);
        self.item_last += 1;
        let item = WorkItemId(self.item_last);
        match self.engine.enqueue(self.now, item, queue) {
            Ok(()) => {
                assert!(self.mirror.queues.contains_key(&queue));
                self.mirror.offered += 1;
                self.mirror.items.insert(item, MirrorItem { queue, since: self.now.mono, offer: None });
                assert_eq!(self.engine.enqueue(self.now, item, queue), Err(EnqueueError::Duplicate));
            }
            Err(EnqueueError::UnknownQueue) => assert!(!self.mirror.queues.contains_key(&queue)),
            Err(EnqueueError::Full) => {
                let waiting = self.mirror.items.values().filter(|i| i.queue == queue).count();
                let max = self.mirror.queues[&queue].waiting_max;
                assert!(self.mirror.items.len() >= 60 || (max != 0 && waiting >= max));
            }
            Err(EnqueueError::Duplicate) => unreachable!("items are numbered afresh"),
        }
    }

    fn finish(&mut self) {
        let talking: Vec<_> = self
            .mirror
            .agents
            .iter()
            .filter(|(_, a)| a.status == AgentStatus::Busy && a.offer.is_none())
            .map(|(id, _)| *id)
            .collect();
        if let Some(agent) = self.dice.pick(&talking) {
            self.mirror.agents.entry(agent).and_modify(|a| a.idle_since = self.now.mono);
            self.engine.finished(self.now, agent);
        }
    }

    fn reach(&mut self) {
        let (agent, reachable) = (self.agent(), self.dice.below(4) != 0);
        self.mirror.agents.entry(agent).and_modify(|a| a.reachable = reachable);
        self.engine.set_reachable(self.now, agent, reachable);
    }

    fn agent_order(&mut self, order: impl FnOnce(&mut Engine, AgentId) -> Result<(), Refusal>) -> AgentId {
        let agent = self.agent();
        let known = self.mirror.agents.contains_key(&agent);
        assert_eq!(order(&mut self.engine, agent) == Err(Refusal::UnknownAgent), !known);
        agent
    }

    /// The engine's timers, each at its own time as the outside would.
    fn tick(&mut self) {
        let end = self.now;
        while let Some(at) = self.engine.poll_timeout().filter(|&at| at <= end.mono) {
            self.now.mono = at;
            self.engine.handle_timeout(self.now);
            self.drain();
            assert!(self.engine.poll_timeout().is_none_or(|next| next > at), "a timeout makes progress");
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            self.mirror.follow(self.now, output);
        }
        self.engine.check_invariants();
        self.mirror.check_settled(&self.engine);
    }
}

fn walk(seed: u64, steps: usize) -> Counters {
    println!("seed {seed}");
    let mut walk = Walk::new(seed);
    for _ in 0..steps {
        walk.step();
    }
    walk.engine.counters()
}

#[test]
fn whatever_happens_nobody_is_lost_rung_twice_or_passed_over() {
    for seed in 1..=20 {
        let counters = walk(seed, 3_000);
        let Counters { offers, answered, abandoned, overflowed, .. } = counters;
        assert!(
            offers > 100 && answered > 50 && abandoned > 10 && overflowed > 10,
            "seed {seed} gets around: {counters:?}"
        );
    }
}

#[test]
fn the_same_seed_takes_the_same_way() {
    assert_eq!(walk(7, 2_000), walk(7, 2_000));
}
