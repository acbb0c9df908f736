//! A random walk over everything the engine can be told, watched by a mirror that knows nothing of its indices: the
//! mirror follows the outputs and checks each offer against a look at everybody.

mod dice;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dice::Dice;

use super::*;
use crate::base::{AgentId, Instant, Medium, Now, OfferId, QueueId, TenantId, TraitId, WorkItemId};
use crate::core::contact::routing::{Policy, Routing, Weights};
use crate::core::contact::{Level, Mind, Mode, Schedule, Slots, Want};
use crate::core::journal::AgentStatus;

struct MirrorAgent {
    profile: AgentProfile,
    status: AgentStatus,
    idle_since: Instant,
    reachable: bool,
    cut: bool,
    /// A pause or sign-out is to follow: nothing more is taken.
    leaves: bool,
    /// End of wrap-up; it can be on beside chats and emails.
    wraps_until: Instant,
    offer: Option<OfferId>,
    hand: BTreeMap<WorkItemId, MirrorItem>,
}

struct MirrorItem {
    entry: Entry,
    came: Instant,
    offer: Option<OfferId>,
}

impl MirrorItem {
    fn waited(&self, now: Now) -> Duration {
        now.mono.since(self.came) + self.entry.waited + self.entry.credit
    }
}

#[derive(Default)]
struct Mirror {
    now: Instant,
    /// The policies of the two tenants.
    policies: [Policy; 2],
    /// Items that are held for a better agent.
    held: BTreeSet<WorkItemId>,
    agents: BTreeMap<AgentId, MirrorAgent>,
    queues: BTreeMap<QueueId, QueueProfile>,
    items: BTreeMap<WorkItemId, MirrorItem>,
    offers: BTreeMap<OfferId, (WorkItemId, AgentId)>,
    overflowed: u64,
    offered: u64,
}

/// How an offer came about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// By many at once.
    Mass,
    /// By one of them; not known of an offer that is over already.
    By(Option<Trigger>),
}

/// The least level of what is required, all steps apart.
fn least_skill(agent: &AgentProfile, queue: &QueueProfile, item: &Entry) -> f64 {
    let required = queue.wants.iter().chain(&item.wants).filter(|want| want.mode == Mode::Required);
    required.map(|want| level(agent, want.what)).fold(1.0, f64::min)
}

/// At what level the agent has a trait.
fn level(agent: &AgentProfile, what: TraitId) -> f64 {
    match what.agent() {
        Some(somebody) => f64::from(u8::from(somebody == agent.id)),
        None => agent.traits.iter().find(|t| t.0 == what).map_or(0.0, |t| t.1.get()),
    }
}

fn serves(agent: &AgentProfile, tenant: TenantId) -> bool {
    agent.tenant == tenant || agent.serves.contains(&tenant)
}

/// How well they match, worked out the long way; none when they do not fit.
fn matched(agent: &AgentProfile, queue: &QueueProfile, item: &Entry, waited: Duration) -> Option<f64> {
    if !serves(agent, queue.tenant) {
        return None;
    }
    let have = |what: TraitId| level(agent, what);
    let wants: Vec<&Want> = queue.wants.iter().chain(&item.wants).collect();
    let needs = |want: &Want| want.mode == Mode::Required;
    let carries = |what| item.traits.contains(&what) || wants.iter().any(|want| needs(want) && want.what == what);
    let (mut sum, mut weight) = (0.0, 0.0);
    // One that is written twice counts once.
    let distinct: BTreeSet<&Want> = wants.iter().copied().collect();
    for want in distinct {
        let step = want.schedule.at(waited);
        let (have, need, importance) = (have(want.what), step.level.get(), f64::from(step.importance));
        match want.mode {
            Mode::Required if have < need => return None,
            Mode::Forbidden if importance > 0.0 && have > 0.0 && have >= need => return None,
            Mode::Forbidden => continue,
            Mode::Required => sum += importance,
            Mode::Preferred => sum += importance * (have / need).min(1.0),
        }
        weight += importance;
    }
    for mind in &agent.minds {
        match (mind.mode, carries(mind.what)) {
            (Mode::Required, false) | (Mode::Forbidden, true) => return None,
            (Mode::Preferred, carried) => {
                sum += if carried { f64::from(mind.importance) } else { 0.0 };
                weight += f64::from(mind.importance);
            }
            _ => {}
        }
    }
    Some(if weight > 0.0 { sum / weight } else { 1.0 })
}

impl Mirror {
    /// Whether the agent could take one more of the medium.
    fn takes(&self, agent: &MirrorAgent, medium: Medium) -> bool {
        let held = |m| agent.hand.values().filter(|h| h.entry.medium == m).count();
        let alone = [Medium::Voice, Medium::Video, Medium::Voicemail, Medium::Fax];
        let open = matches!(agent.status, AgentStatus::Ready | AgentStatus::Busy)
            && agent.offer.is_none()
            && !agent.cut
            && !agent.leaves
            && agent.wraps_until <= self.now
            && !alone.iter().any(|&m| held(m) > 0);
        let (chats, emails) = (held(Medium::Chat), held(Medium::Email));
        open && match medium {
            Medium::Voice | Medium::Video => chats == 0 && agent.reachable,
            Medium::Chat => chats < 3,
            // A voicemail takes an email's place where there are several.
            Medium::Email | Medium::Voicemail | Medium::Fax => {
                chats == 0 && emails < usize::from(agent.profile.slots.of(Medium::Email))
            }
        }
    }

    fn idle(&self, tenant: TenantId) -> usize {
        let any = |a: &&MirrorAgent| Medium::ALL.into_iter().any(|m| self.takes(a, m));
        self.agents.values().filter(|a| serves(&a.profile, tenant) && a.hand.is_empty()).filter(any).count()
    }

    /// What the pair's key is among agents, and among items; none when it cannot be. An item is given by the policy of its
    /// tenant, and an agent takes by that of its own.
    fn keys(&self, now: Now, item: &MirrorItem, agent: &MirrorAgent) -> Option<(f64, f64)> {
        let given = self.policies[self.queues[&item.entry.queue].tenant.0 as usize];
        let takes = self.policies[agent.profile.tenant.0 as usize];
        Some((self.key_by(now, item, agent, (given, true))?, self.key_by(now, item, agent, (takes, false))?))
    }

    /// What an agent puts aside counts `among` agents alone.
    fn key_by(
        &self,
        now: Now,
        item: &MirrorItem,
        agent: &MirrorAgent,
        (policy, among_agents): (Policy, bool),
    ) -> Option<f64> {
        let idle = self.idle(self.queues[&item.entry.queue].tenant);
        let (queue, medium) = (&self.queues[&item.entry.queue], item.entry.medium);
        let waited = item.waited(now);
        let share = matched(&agent.profile, queue, &item.entry, waited)?;
        let held = |m| agent.hand.values().filter(|h| h.entry.medium == m).count() as f64;
        let (chats, emails) = (held(Medium::Chat), held(Medium::Email));
        let burden = match medium {
            Medium::Chat if emails > 0.0 && chats == 0.0 => 4.0,
            Medium::Chat if idle > 2 => chats,
            Medium::Chat if chats == 0.0 => 3.0,
            Medium::Chat => chats - 1.0,
            _ => emails,
        };
        let burden = if among_agents { burden } else { 0.0 };
        let targets = waited.as_secs_f64() / queue.targets[medium.index()].as_secs_f64();
        match policy {
            Policy::Fifo => return Some(if among_agents { -burden } else { targets }),
            Policy::BestSkill => return Some(least_skill(&agent.profile, queue, &item.entry) - burden),
            Policy::Score | Policy::ScoreHold => {}
        }
        let urgency = if targets <= 1.0 { targets } else { 0.5 + targets / 2.0 };
        let idle = now.mono.since(agent.idle_since).as_secs_f64().min(120.0) / 120.0;
        let cost: u32 = (agent.profile.minds.iter())
            .filter(|mind| {
                item.entry.traits.contains(&mind.what)
                    || queue
                        .wants
                        .iter()
                        .chain(&item.entry.wants)
                        .any(|w| w.mode == Mode::Required && w.what == mind.what)
            })
            .map(|mind| u32::from(mind.cost))
            .sum();
        let target = queue.targets[medium.index()];
        let live = matches!(medium, Medium::Voice | Medium::Video | Medium::Chat);
        let excused = item.entry.credit + item.entry.excused;
        // To the bit, as what comes back has waited any number of milliseconds.
        let late = waited.as_secs_f64() > target.as_secs_f64() + excused.as_secs_f64() && waited < 10 * target;
        let in_time = if live { !late } else { 4 * waited >= 3 * target };
        Some(
            80.0 * share + if in_time { 100.0 } else { 0.0 } + 11.0 * queue.importance * urgency + 4.0 * idle
                - 20.0 * burden
                - f64::from(cost),
        )
    }

    /// Items alike that are free and have waited longer.
    fn elders<'a>(
        &'a self,
        now: Now,
        (id, item): (WorkItemId, &'a MirrorItem),
    ) -> impl Iterator<Item = (WorkItemId, &'a MirrorItem)> {
        let tenant = self.queues[&item.entry.queue].tenant;
        let of_tenant = self.agents.values().filter(|a| serves(&a.profile, tenant));
        let minded: Vec<TraitId> = of_tenant.flat_map(|a| &a.profile.minds).map(|mind| mind.what).collect();
        let kind = move |i: &MirrorItem| {
            let wants = self.queues[&i.entry.queue].wants.iter().chain(&i.entry.wants);
            let wants: BTreeSet<Want> = wants.cloned().collect();
            let traits = i.entry.traits.iter().copied().chain(wants.iter().map(|want| want.what));
            let traits: BTreeSet<TraitId> = traits.filter(|t| minded.contains(t)).collect();
            (i.entry.queue, i.entry.medium, i.entry.credit + i.entry.excused, wants, traits)
        };
        let own = kind(item);
        self.items.iter().map(|(&id, other)| (id, other)).filter(move |(elder, other)| {
            let first = (other.waited(now), id) > (item.waited(now), *elder);
            other.offer.is_none() && *elder != id && first && kind(other) == own
        })
    }

    /// Whether the agent fits the item from this very moment on: its turn may come after the other's.
    fn turns(&self, now: Now, item: &MirrorItem, agent: &MirrorAgent) -> bool {
        let before = item.waited(now).saturating_sub(Duration::from_micros(1));
        matched(&agent.profile, &self.queues[&item.entry.queue], &item.entry, before).is_none()
    }

    /// Whether an item that is alike and that the agent could have has waited longer: that one is first, whatever its score,
    /// unless it is held for another agent.
    fn has_elder(&self, now: Now, item: (WorkItemId, &MirrorItem), agent: &MirrorAgent) -> bool {
        let share = |i: &MirrorItem| matched(&agent.profile, &self.queues[&i.entry.queue], &i.entry, i.waited(now));
        self.elders(now, item).any(|(id, other)| !self.held.contains(&id) && share(other).is_some())
    }

    /// But after a mass event, the offer must be to the best agent for the item and of the best item for the agent. At the
    /// moment of the offer the agent has just turned busy. Where items are held, only one of the two is compared: the other
    /// may have been held.
    fn check_offer(&mut self, now: Now, item: WorkItemId, agent: AgentId, how: How) {
        assert!(self.items[&item].offer.is_none(), "{item} was free");
        assert!(self.agents[&agent].offer.is_none(), "{agent} was free");
        let before = self.agents[&agent].status;
        self.agents.entry(agent).and_modify(|a| a.status = AgentStatus::Ready);
        let (i, a) = (&self.items[&item], &self.agents[&agent]);
        assert!(self.takes(a, i.entry.medium), "{agent} has room for {item}");
        let Some(own) = self.keys(now, i, a) else { unreachable!("{agent} fits {item}") };
        let tenants = [a.profile.tenant, self.queues[&i.entry.queue].tenant];
        let tenants = tenants.into_iter().chain(a.profile.serves.iter().copied());
        let holds = tenants.into_iter().any(|tenant| self.policies[tenant.0 as usize] == Policy::ScoreHold);
        let (agents, items) = match how {
            How::Mass => (false, false),
            How::By(trigger) if holds => (trigger == Some(Trigger::Item), trigger == Some(Trigger::Agent)),
            How::By(_) => (true, true),
        };
        assert!(how == How::Mass || !self.has_elder(now, (item, i), a), "{item} is taken in turn");
        for (id, other) in &self.agents {
            if agents
                && self.takes(other, i.entry.medium)
                && let Some(key) = self.keys(now, i, other)
            {
                assert!(key.0 <= own.0 + 1e-6, "{agent} ({}) is the best for {item}, not {id} ({})", own.0, key.0);
            }
        }
        for (id, other) in self.items.iter().filter(|(_, other)| other.offer.is_none() && items) {
            if self.takes(a, other.entry.medium)
                && let Some(key) = self.keys(now, other, a)
                && !self.has_elder(now, (*id, other), a)
                && !self.turns(now, other, a)
            {
                assert!(key.1 <= own.1 + 1e-6, "{item} ({}) is the best for {agent}, not {id} ({})", own.1, key.1);
            }
        }
        self.agents.entry(agent).and_modify(|a| a.status = before);
    }

    fn follow(&mut self, now: Now, output: Output, how: How) {
        self.now = now.mono;
        match output {
            Output::Offer { offer, item, agent } => {
                self.check_offer(now, item, agent, how);
                self.offers.insert(offer, (item, agent));
                self.items.entry(item).and_modify(|i| i.offer = Some(offer));
                self.agents.entry(agent).and_modify(|a| a.offer = Some(offer));
            }
            Output::Withdraw { offer, agent, why } => {
                assert_eq!(self.offers.get(&offer).map(|o| o.1), Some(agent), "a live offer is withdrawn: {why:?}");
                self.end_offer(offer);
                if why == OfferEnd::NoAnswer {
                    self.mark(agent);
                }
            }
            Output::Overflow { item } => {
                let counts = self.items.get(&item).is_none_or(|i| i.entry.excused.is_zero());
                self.overflowed += u64::from(counts);
                // Of a queue that is gone everything does.
                let overflows = |i: MirrorItem| i.offer.is_none() && (i.entry.overflows || how == How::Mass);
                assert!(self.items.remove(&item).is_some_and(overflows), "{item} overflows free");
            }
            Output::Announce { item, position, .. } => {
                let place = |id: &WorkItemId, i: &MirrorItem| {
                    (i.came.as_micros() as i128 - i.entry.waited.as_micros() as i128, *id)
                };
                let own = &self.items[&item];
                let alike =
                    |other: &MirrorItem| (other.entry.queue, other.entry.medium) == (own.entry.queue, own.entry.medium);
                let ahead =
                    self.items.iter().filter(|(id, other)| alike(other) && place(id, other) < place(&item, own));
                assert_eq!(position, ahead.count() + 1, "{item} hears its place");
            }
            Output::Unservable { .. } | Output::Escalate { .. } => {}
            Output::Orphaned { item } => {
                let had = self.agents.values_mut().any(|agent| agent.hand.remove(&item).is_some());
                assert!(had, "{item} was in a hand");
            }
            Output::AgentChanged { agent, status, .. } => {
                let Some(a) = self.agents.get_mut(&agent) else { return };
                // Back from an offer that was withdrawn, an agent keeps the idle time.
                if status == AgentStatus::Ready && a.status != AgentStatus::Busy {
                    a.idle_since = now.mono;
                }
                a.status = status;
                a.leaves &= status == AgentStatus::Busy || status == AgentStatus::WrapUp;
            }
        }
    }

    /// Not ready, once through with what is in hand.
    fn mark(&mut self, agent: AgentId) {
        self.agents.entry(agent).and_modify(|a| a.leaves |= !a.hand.is_empty());
    }

    fn end_offer(&mut self, offer: OfferId) {
        if let Some((item, agent)) = self.offers.remove(&offer) {
            self.items.entry(item).and_modify(|i| i.offer = None);
            self.agents.entry(agent).and_modify(|a| a.offer = None);
        }
    }

    /// An item waits while somebody idles who could take it: it is held, or stands behind one that is held, and is looked at
    /// again soon and before it is late.
    fn check_held(&self, now: Now, engine: &Engine, (id, item): (WorkItemId, &MirrorItem), idle: AgentId) {
        let queue = &self.queues[&item.entry.queue];
        assert_eq!(self.policies[queue.tenant.0 as usize], Policy::ScoreHold, "{id} waits while {idle} idles");
        assert!(matches!(item.entry.medium, Medium::Voice | Medium::Video), "{id} is of a medium that is not held");
        let mut first = Some((id, item)).into_iter().chain(self.elders(now, (id, item)));
        let Some((held, of)) = first.find(|(id, _)| self.held.contains(id)) else {
            panic!("{id} waits unseen while {idle} idles")
        };
        let weights = Weights::default();
        let target = queue.targets[item.entry.medium.index()];
        let latest = target.saturating_sub(Duration::from_secs_f64(weights.hold_margin_s));
        assert!(of.waited(now) <= latest, "{held} is held in time alone: {:?} of {target:?}", of.waited(now));
        let look_in = engine.explain(now, held).and_then(|told| told.hold).map(|hold| hold.look_in);
        // None where the better agent is gone meanwhile: then too it is looked at.
        assert!(look_in.is_none_or(|at| at.as_secs_f64() <= weights.hold_every_s), "{held}: {look_in:?}");
    }

    fn check_settled(&self, now: Now, engine: &Engine) {
        for (id, item) in self.items.iter().filter(|(_, i)| i.offer.is_none()) {
            let mut could = self.agents.iter().filter(|(_, a)| self.takes(a, item.entry.medium));
            let idle = could.find(|(_, a)| {
                matched(&a.profile, &self.queues[&item.entry.queue], &item.entry, item.waited(now)).is_some()
            });
            if let Some((idle, _)) = idle {
                self.check_held(now, engine, (*id, item), *idle);
            }
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
    /// Few items come.
    quiet: bool,
    /// How often an item was seen held.
    held: u64,
    /// How many items came back from agents who were cut off.
    returned: u64,
}

const AGENTS: u64 = 12;
const QUEUES: u64 = 6;

impl Walk {
    fn new(seed: u64) -> Self {
        let engine = Engine::new(60);
        // Each policy meets each other.
        let at = |n: u64| Policy::ALL[(n % 4) as usize];
        let mirror = Mirror { policies: [at(seed), at(seed / 4 + seed + 1)], ..Mirror::default() };
        let mut walk = Self {
            dice: Dice::new(seed),
            now: Now::default(),
            engine,
            mirror,
            item_last: 0,
            quiet: false,
            held: 0,
            returned: 0,
        };
        walk.provision();
        walk
    }

    /// Queues know the law of their services, so that items may be held.
    fn season(&mut self) {
        for queue in self.engine.queues.values_mut().filter(|queue| queue.forecast.law().is_none()) {
            (0..40).for_each(|n| queue.forecast.served(Duration::from_millis(2_000 + 250 * n)));
        }
    }

    fn provision(&mut self) {
        let mut agents = vec![];
        for id in 0..AGENTS {
            if self.dice.below(8) == 0 {
                continue;
            }
            let traits = (0..3).map(|t| (TraitId(t), Level::new(self.dice.level()))).collect::<Vec<_>>();
            let kept = self.dice.below(4) as usize;
            let kept = kept.max(usize::from(self.mirror.policies[(id % 2) as usize] == Policy::ScoreHold));
            let mode = [Mode::Required, Mode::Preferred, Mode::Forbidden][self.dice.below(3) as usize];
            let mind = Mind { what: TraitId(self.dice.below(5) as u32), mode, importance: 40, cost: 15 };
            agents.push(AgentProfile {
                id: AgentId(id as u32),
                tenant: TenantId((id % 2) as u32),
                // Every fourth serves the other tenant, too.
                serves: (id % 4 == 1).then_some(TenantId(0)).into_iter().collect(),
                traits: traits.into_iter().take(kept).collect(),
                minds: (self.dice.below(4) == 0).then_some(mind).into_iter().collect(),
                slots: Slots::default().with(Medium::Email, 1 + self.dice.below(2) as u8),
                ring: Duration::from_secs(1 + self.dice.below(20)),
                wrap_up: Duration::from_secs(self.dice.below(3) * 10),
            });
        }
        let mut queues = vec![];
        for id in 0..QUEUES {
            if self.dice.below(8) == 0 {
                continue;
            }
            let mut wants = if self.dice.below(3) == 0 { vec![] } else { vec![self.dice.want()] };
            // Where items are held it is for those who are better at what is required.
            if self.mirror.policies[(id % 2) as usize] == Policy::ScoreHold {
                let (what, mode) = (TraitId(0), Mode::Required);
                wants = vec![Want { what, mode, schedule: Schedule::constant(Level::new(0.2), 50) }];
            }
            queues.push(QueueProfile {
                id: QueueId(id as u32),
                tenant: TenantId((id % 2) as u32),
                wants,
                importance: [1.0, 2.5][self.dice.below(2) as usize],
                targets: Medium::ALL.map(|_| Duration::from_secs(10 + 10 * self.dice.below(4))),
                escalate_after: (self.dice.below(3) == 0).then(|| Duration::from_secs(20)),
                overflow_after: (self.dice.below(2) == 0).then(|| Duration::from_secs(30 + self.dice.below(60))),
                waiting_max: self.dice.below(3) as usize * 10,
                announce_every: (self.dice.below(2) == 0).then(|| Duration::from_secs(self.dice.below(3) * 15)),
            });
        }
        // No load is learned here: what it weighs is seen in simulations.
        let weights = Weights { flex: 0.0, fairness: 0.0, ..Weights::default() };
        let tenants = [0, 1]
            .map(|id| (TenantId(id), self.mirror.policies[id as usize]))
            .map(|(id, policy)| TenantProfile { id, routing: Routing { policy, weights } });
        self.engine.provision(self.now, tenants.to_vec(), agents.clone(), queues.clone());
        self.season();
        // Withdrawals, overflows and returns come first, then offers by the new order.
        let outputs: Vec<_> = std::iter::from_fn(|| self.engine.poll_output()).collect();
        let cut = outputs.iter().position(|o| matches!(o, Output::Offer { .. })).map_or(outputs.len(), |at| {
            // An agent who turns busy by it does so just before its offer.
            let turns = at.checked_sub(1).and_then(|at| outputs.get(at));
            at - usize::from(matches!(turns, Some(Output::AgentChanged { .. })))
        });
        for output in &outputs[..cut] {
            self.mirror.follow(self.now, output.clone(), How::Mass);
        }
        let mut kept = std::mem::take(&mut self.mirror.agents);
        for profile in agents {
            let fresh = MirrorAgent {
                profile: profile.clone(),
                status: AgentStatus::Null,
                idle_since: Instant::ZERO,
                reachable: false,
                cut: false,
                leaves: false,
                wraps_until: Instant::ZERO,
                offer: None,
                hand: BTreeMap::new(),
            };
            let mut agent = kept.remove(&profile.id).unwrap_or(fresh);
            agent.profile = profile;
            self.mirror.agents.insert(agent.profile.id, agent);
        }
        self.mirror.queues = queues.into_iter().map(|q| (q.id, q)).collect();
        for output in &outputs[cut..] {
            self.mirror.follow(self.now, output.clone(), How::Mass);
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
        // In quiet times agents idle, so that there is somebody to hold items from.
        self.quiet ^= self.dice.below(150) == 0;
        match roll {
            0..25 if self.quiet && self.dice.below(3) > 0 => self.leave(),
            0..25 => self.come(),
            25..30 => self.leave(),
            30..48 => self.accept(),
            // In quiet times agents are eager.
            48..53 if self.quiet => self.accept(),
            74..79 if self.quiet => drop(self.agent_order(false, |e, a| e.sign_in(now, a))),
            48..53 => {
                if let Some(offer) = self.offer() {
                    let ends = [OfferEnd::Declined, OfferEnd::Busy, OfferEnd::Unreachable, OfferEnd::Failed];
                    let why = self.dice.pick(&ends).unwrap_or(OfferEnd::Failed);
                    if let Some(&(_, agent)) = self.mirror.offers.get(&offer) {
                        self.mirror.mark(agent);
                    }
                    self.mirror.end_offer(offer);
                    self.engine.refused(now, offer, why);
                }
            }
            53..68 if self.quiet && self.dice.below(4) > 0 => {}
            53..68 => self.finish(),
            68..74 => self.reach(),
            74..76 => drop(self.agent_order(true, |e, a| e.sign_out(now, a))),
            76..79 => drop(self.agent_order(true, |e, a| e.pause(now, a, "pause"))),
            79..86 => drop(self.agent_order(false, |e, a| e.sign_in(now, a))),
            86..90 => {
                let agent = self.agent_order(false, |e, a| e.resume(now, a));
                // Wrap-up ends, also beside other work.
                self.mirror.agents.entry(agent).and_modify(|a| {
                    a.idle_since = if a.wraps_until > now.mono { now.mono } else { a.idle_since };
                    a.wraps_until = Instant::ZERO;
                });
            }
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
        let holds = self.quiet && self.mirror.policies[(queue.0 % 2) as usize] == Policy::ScoreHold;
        let seconds = |d: &mut Dice| Duration::from_secs(if d.below(4) == 0 { d.below(30) } else { 0 });
        let entry = Entry {
            queue,
            medium: if holds && self.dice.below(3) > 0 { Medium::Voice } else { self.dice.medium() },
            wants: if !holds && self.dice.below(3) == 0 { vec![self.dice.want()] } else { vec![] },
            traits: if self.dice.below(3) == 0 { vec![TraitId(3)] } else { vec![] },
            waited: seconds(&mut self.dice),
            credit: seconds(&mut self.dice),
            excused: Duration::ZERO,
            overflows: self.dice.below(8) > 0,
        };
        match self.engine.enqueue(self.now, item, entry.clone()) {
            Ok(()) => {
                assert!(self.mirror.queues.contains_key(&queue));
                self.mirror.offered += 1;
                let again = self.engine.enqueue(self.now, item, entry.clone());
                assert_eq!(again, Err(EnqueueError::Duplicate));
                self.mirror.items.insert(item, MirrorItem { entry, came: self.now.mono, offer: None });
            }
            Err(EnqueueError::UnknownQueue) => assert!(!self.mirror.queues.contains_key(&queue)),
            Err(EnqueueError::Full) => {
                let waiting = self.mirror.items.values().filter(|i| i.entry.queue == queue).count();
                let max = self.mirror.queues[&queue].waiting_max;
                assert!(self.mirror.items.len() >= 60 || (max != 0 && waiting >= max));
            }
            Err(EnqueueError::Duplicate) => unreachable!("items are numbered afresh"),
        }
    }

    fn leave(&mut self) {
        if let Some(item) = self.item() {
            let offer = self.mirror.items.remove(&item).and_then(|i| i.offer);
            assert!(self.engine.leave(self.now, item));
            assert!(offer.is_none_or(|o| self.mirror.offers.contains_key(&o)));
        }
    }

    fn accept(&mut self) {
        let now = self.now;
        if let Some(offer) = self.offer() {
            let taken = self.mirror.offers.get(&offer).copied();
            self.mirror.end_offer(offer);
            if let Some((item, agent)) = taken
                && let Some(i) = self.mirror.items.remove(&item)
            {
                self.mirror.agents.entry(agent).and_modify(|a| {
                    a.hand.insert(item, MirrorItem { offer: None, ..i });
                });
            }
            assert!(self.engine.accepted(now, offer));
            assert!(!self.engine.accepted(now, offer), "only once");
        }
    }

    fn finish(&mut self) {
        let hands: Vec<_> =
            self.mirror.agents.iter().flat_map(|(id, a)| a.hand.keys().map(|item| (*id, *item))).collect();
        if let Some((agent, item)) = self.dice.pick(&hands) {
            let now = self.now;
            self.mirror.agents.entry(agent).and_modify(|a| {
                let medium = a.hand.remove(&item).map(|item| item.entry.medium);
                a.idle_since = now.mono;
                let talked = matches!(medium, Some(Medium::Voice | Medium::Video));
                if !a.profile.wrap_up.is_zero() && (talked || a.hand.is_empty()) {
                    a.wraps_until = now.mono + a.profile.wrap_up;
                }
            });
            assert!(self.engine.finished(now, item));
        }
    }

    fn reach(&mut self) {
        let cut = self.mirror.agents.iter().find(|(_, agent)| agent.cut).map(|(id, _)| *id);
        if let Some(agent) = cut {
            return self.cut(agent, false);
        }
        if !self.quiet && self.dice.below(4) == 0 {
            let busy =
                self.mirror.agents.iter().filter(|(_, a)| !a.hand.is_empty()).map(|(id, _)| *id).collect::<Vec<_>>();
            let busy = self.dice.pick(&busy).filter(|_| self.dice.below(4) > 0);
            let agent = busy.unwrap_or_else(|| self.agent());
            return self.cut(agent, true);
        }
        let (agent, reachable) = (self.agent(), self.dice.below(4) != 0);
        self.mirror.agents.entry(agent).and_modify(|a| a.reachable = reachable);
        self.engine.set_reachable(self.now, agent, reachable);
    }

    fn cut(&mut self, agent: AgentId, cut: bool) {
        self.mirror.agents.entry(agent).and_modify(|a| a.cut = cut);
        self.engine.set_cut(self.now, agent, cut);
        let hand = self.mirror.agents.get(&agent).filter(|_| cut).map(|a| a.hand.keys().copied().collect::<Vec<_>>());
        for item in hand.into_iter().flatten() {
            if self.dice.below(3) > 0 {
                self.drain();
                self.cut_off(agent, item);
            }
        }
    }

    /// What the agent had waits again, before all that came since.
    fn cut_off(&mut self, agent: AgentId, item: WorkItemId) {
        let now = self.now;
        let Some(had) = self.mirror.agents.get_mut(&agent).and_then(|a| a.hand.remove(&item)) else { return };
        self.mirror.agents.entry(agent).and_modify(|a| a.idle_since = now.mono);
        let waited = now.mono.since(had.came) + had.entry.waited;
        let known = self.mirror.queues.contains_key(&had.entry.queue);
        assert_eq!(self.engine.cut_off(now, item, Some((item, had.entry.clone()))), known);
        assert!(!self.engine.cut_off(now, item, Some((item, had.entry.clone()))), "nobody has it");
        if known {
            self.mirror.offered += u64::from(waited.is_zero());
            self.returned += 1;
            let entry = Entry { waited, excused: waited, ..had.entry };
            self.mirror.items.insert(item, MirrorItem { entry, came: now.mono, offer: None });
        }
    }

    fn agent_order(
        &mut self,
        leaves: bool,
        order: impl FnOnce(&mut Engine, AgentId) -> Result<(), Refusal>,
    ) -> AgentId {
        let agent = self.agent();
        let known = self.mirror.agents.contains_key(&agent);
        let occupied = |a: &MirrorAgent| matches!(a.status, AgentStatus::Busy | AgentStatus::WrapUp);
        self.mirror.agents.entry(agent).and_modify(|a| a.leaves = leaves && occupied(a));
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
        let held = |id: &WorkItemId| self.engine.is_on_hold(*id);
        self.mirror.held = self.mirror.items.keys().copied().filter(held).collect();
        self.held += self.mirror.held.len() as u64;
        while let Some(output) = self.engine.poll_output() {
            let trigger = match output {
                Output::Offer { offer, .. } => self.engine.reason(offer).map(|reason| reason.trigger),
                _ => None,
            };
            self.mirror.follow(self.now, output, How::By(trigger));
        }
        self.engine.check_invariants();
        self.mirror.now = self.now.mono;
        self.mirror.check_settled(self.now, &self.engine);
    }
}

fn walk(seed: u64, steps: usize) -> Walk {
    let mut walk = Walk::new(seed);
    println!("seed {seed}: {:?}", walk.mirror.policies);
    for _ in 0..steps {
        walk.step();
    }
    walk
}

#[test]
fn whatever_happens_nobody_is_lost_rung_twice_or_passed_over() {
    let (mut policies, mut held, mut returned) = (BTreeSet::new(), 0, 0);
    for seed in 1..=12 {
        let walk = walk(seed, 2_000);
        let counters = walk.engine.counters();
        policies.extend(walk.mirror.policies.map(Policy::as_str));
        let holds = walk.mirror.policies.contains(&Policy::ScoreHold);
        println!("seen held {} times, {} came back", walk.held, walk.returned);
        returned += walk.returned;
        assert!(holds || walk.held == 0, "seed {seed}: {} held", walk.held);
        held += walk.held;
        let Counters { offers, answered, abandoned, overflowed, .. } = counters;
        assert!(
            offers > 100 && answered > 50 && abandoned > 10 && overflowed > 1,
            "seed {seed} gets around: {counters:?}"
        );
    }
    assert_eq!(policies.len(), Policy::ALL.len());
    assert!(held > 30 && returned > 30, "held {held} times, {returned} came back");
}

#[test]
fn the_same_seed_takes_the_same_way() {
    assert_eq!(walk(7, 2_000).engine.counters(), walk(7, 2_000).engine.counters());
}
