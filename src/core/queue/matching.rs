//! The match: which agent for an item that came, which item for an agent who can take one.
//!
//! Both directions compare pairs by one key, the score under the tenant's policy. A tie goes to the longest wait, then to the
//! longest idle, then to the lower id.

use std::cmp::Ordering;
use std::time::Duration;

use crate::base::{AgentId, Instant, Now, QueueId, TraitId, WorkItemId};
use crate::core::contact::routing::{Policy, Weights};
use crate::core::contact::{Mode, Want};

use super::class::{Class, ClassId};
use super::engine::Engine;
use super::explain::{Choice, Choices, Reason, Trigger};
use super::gate::{Front, Gate};
use super::item::Stage;
use super::line::Place;
use super::posture::Posture;
use super::row::{Lead, Levels};
use super::score::{Terms, Weighing, is_in_time, judge, skill, urgency};
use super::timer::Timer;

/// With more idle agents than this a chat gets one of them to itself.
const PLENTY_IDLE: usize = 2;

/// How long the shares of load are good for.
const SHARES_FOR: Duration = Duration::from_secs(10);

/// Most busy agents that are asked when they will be free; more are as many times as good as these.
const BUSY_MAX: usize = 256;

/// A pair that could be an offer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// The item.
    pub(super) item: WorkItemId,
    /// The agent.
    pub(super) agent: AgentId,
    /// The agent's class.
    pub(super) class: ClassId,
    /// The score.
    pub(super) terms: Terms,
    /// What pairs are compared by.
    pub(super) key: f64,
    /// The item's wait, credit included.
    pub(super) waited: Duration,
    pub(super) idle_since: Instant,
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.key.total_cmp(&other.key))
            .then(self.waited.cmp(&other.waited))
            .then(other.idle_since.cmp(&self.idle_since))
            .then(other.item.cmp(&self.item))
            .then(other.agent.cmp(&self.agent))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

/// What waiting for a better agent is worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prospect {
    /// When one of them is expected to be free.
    pub(super) free_in: Duration,
    /// Points gained.
    pub(super) gain: f64,
    /// Points by which the item's urgency grows until then.
    pub(super) loss: f64,
}

/// What of an item the score needs.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) item: WorkItemId,
    pub(super) gate: &'a Gate,
    pub(super) prefers: &'a [Want],
    /// Credit included.
    pub(super) waited: Duration,
}

impl<'a> Head<'a> {
    /// An item that stands behind a gate.
    pub(super) fn new(now: Instant, rank: Place, item: WorkItemId, gate: &'a Gate, prefers: &'a [Want]) -> Self {
        Self { item, gate, prefers, waited: rank.waited(now) }
    }

    /// Whether the item has a ban on this very agent; it may have been lifted.
    fn bars(&self, agent: AgentId) -> bool {
        let own = TraitId::of_agent(agent);
        self.gate.ask.needs.gates.iter().any(|want| want.mode == Mode::Forbidden && want.what == own)
    }

    pub(super) fn wants(&self) -> impl Iterator<Item = &'a Want> {
        self.gate.ask.needs.gates.iter().chain(self.prefers)
    }
}

/// What of an agent the score needs.
#[derive(Clone, Copy)]
pub(super) struct Seat<'a> {
    pub(super) agent: AgentId,
    pub(super) id: ClassId,
    pub(super) class: &'a Class,
    pub(super) posture: Posture,
    pub(super) idle_since: Instant,
}

impl Engine {
    /// What of the score does not depend on the agent.
    fn standing_of(&self, routing: &Weighing, gate: &Gate, waited: Duration) -> Terms {
        let weights = &routing.weights;
        let (waited_s, target_s, live) =
            (waited.as_secs_f64(), gate.target.as_secs_f64(), gate.ask.needs.medium.is_live());
        let in_time = is_in_time(waited_s, gate.ask.credit.as_secs_f64(), target_s, live, routing);
        Terms {
            urgency: weights.urgency * gate.importance * urgency(waited_s, target_s, weights),
            in_time: if in_time { weights.in_time } else { 0.0 },
            fairness: weights.fairness * self.arrears(gate.ask.queue),
            ..Terms::default()
        }
    }

    /// How much other work of the agent's steps aside for the item.
    pub(super) fn put_aside(&self, head: Head<'_>, seat: Seat<'_>) -> u8 {
        let ask = &head.gate.ask;
        seat.posture.burden(ask.needs.medium, seat.class.kind.slots, self.fits.idle(ask.needs.tenant) > PLENTY_IDLE)
    }

    /// The score of a pair and its key; none when the agent does not fit the item or cannot take it now.
    pub(super) fn pair(
        &self,
        now: Instant,
        routing: &Weighing,
        trigger: Trigger,
        head: Head<'_>,
        seat: Seat<'_>,
    ) -> Option<Pair> {
        let (ask, weights) = (&head.gate.ask, &routing.weights);
        if !seat.posture.takes(ask.needs.medium, seat.class.kind.slots) {
            return None;
        }
        let fit = judge(&seat.class.kind, Some(seat.agent), &ask.needs, head.prefers, head.waited).ok()?;
        // What an agent puts aside matters to which agent gets an item, and not to which item an agent takes.
        let burden = if trigger == Trigger::Item { self.put_aside(head, seat) } else { 0 };
        let flex = weights.flex
            * match trigger {
                Trigger::Item => {
                    let counted = u32::from(seat.posture.is_idle());
                    self.burdens.flex(seat.class, ask.queue, weights.scarcity, counted)
                }
                Trigger::Agent if weights.flex_freed > 0.0 => {
                    weights.flex_freed * self.burdens.flex(seat.class, ask.queue, 1.0, 0)
                }
                Trigger::Agent => 0.0,
            };
        let terms = Terms {
            matched: weights.fit * fit.share,
            flex: -flex,
            idle: idle_points(now, routing, seat.idle_since),
            blend: -weights.blend * f64::from(burden),
            cost: -fit.cost,
            ..self.standing_of(routing, head.gate, head.waited)
        };
        let key = match (routing.policy, trigger) {
            (Policy::Fifo, Trigger::Item) => -f64::from(burden),
            (Policy::Fifo, Trigger::Agent) => targets(head.waited, head.gate.target),
            (Policy::BestSkill, _) => skill(&seat.class.kind, Some(seat.agent), head.wants()).get() - f64::from(burden),
            (Policy::Score | Policy::ScoreHold, _) => terms.total(),
        };
        let (item, agent, class) = (head.item, seat.agent, seat.id);
        Some(Pair { item, agent, class, terms, key, waited: head.waited, idle_since: seat.idle_since })
    }

    /// What keys of items behind a gate can be at most, for an agent who got free and who counts so many points for being
    /// idle.
    fn ceiling<'a>(&self, routing: &'a Weighing, front: &Front, idle: f64) -> Ceiling<'a> {
        let weights = &routing.weights;
        let urgency_only = Ceiling {
            base: 0.0,
            urgency: 1.0,
            late_slope: 1.0,
            in_time: 0.0,
            live: true,
            routing,
            credit_s: front.credit_s,
            target_s: front.target_s,
            per_target: 1.0 / front.target_s,
        };
        match routing.policy {
            Policy::Fifo => urgency_only,
            Policy::BestSkill => Ceiling { base: 1.0, urgency: 0.0, ..urgency_only },
            Policy::Score | Policy::ScoreHold => Ceiling {
                base: weights.fit + idle + weights.fairness * self.arrears(front.queue),
                urgency: weights.urgency * front.importance,
                late_slope: weights.late_slope,
                in_time: weights.in_time,
                live: front.medium.is_live(),
                ..urgency_only
            },
        }
    }

    /// Works out anew, now and then, what load each agent bears of each queue.
    pub(super) fn refresh_shares(&mut self, now: Instant) {
        if self.shares_at.is_some_and(|at| now.since(at) < SHARES_FOR) {
            return;
        }
        self.shares_at = Some(now);
        for burden in self.burdens.iter_mut() {
            let forecast = self.queues.get(&burden.queue).map(|queue| &queue.forecast);
            burden.load = forecast.map_or(0.0, |forecast| forecast.load(now));
            burden.service_s = forecast.and_then(|forecast| forecast.service_s());
        }
        self.burdens.settle(self.fits.classes());
    }

    /// By how much a queue's items were taken in time less often of late than all of the tenant's.
    fn arrears(&self, queue: QueueId) -> f64 {
        let Some(queue) = self.queues.get(&queue) else { return 0.0 };
        self.fits.in_time(queue.tenant()) - queue.in_time
    }

    /// Finds an agent for an item that waits free, or holds it for a better one.
    pub(super) fn match_item(&mut self, now: Now, id: WorkItemId) {
        if let Some(elder) = self.held_elder(id) {
            self.match_alone(now, elder);
        }
        self.match_alone(now, id);
    }

    /// An item that is alike, has waited longer, and is held: it is looked at again before this one can pass it.
    pub(super) fn held_elder(&self, id: WorkItemId) -> Option<WorkItemId> {
        let item = self.items.get(&id)?;
        let (_, elder) = self.fits.first(item.gate, &item.prefers)?;
        let held = self.items.get(&elder)?.hold_at.is_some();
        (held && elder != id).then_some(elder)
    }

    fn match_alone(&mut self, now: Now, id: WorkItemId) {
        let Some(item) = self.items.get(&id).filter(|item| item.stage == Stage::Waiting) else { return };
        let Some(gate) = self.fits.gate(item.gate) else { return };
        let routing = self.fits.routing(gate.ask.needs.tenant);
        let head = Head::new(now.mono, item.rank(), id, gate, &item.prefers);
        let mut choice = Choice::new(Trigger::Item);
        for (class_id, class) in self.fits.open_for(gate) {
            for (&posture, agents) in &class.open {
                // Those of one class and posture differ only in how long they have been idle, and in who they are.
                let Some(&(idle_since, agent)) = agents.iter().find(|(_, agent)| !head.bars(*agent)) else { continue };
                let seat = Seat { agent, id: class_id, class, posture, idle_since };
                choice.consider(self.pair(now.mono, &routing, Trigger::Item, head, seat));
            }
        }
        // Whom it wants in person need not be the one who has been idle longest.
        for agent in head.wants().filter_map(|want| want.what.agent()) {
            let seat = self.seat(agent);
            choice.consider(seat.and_then(|seat| self.pair(now.mono, &routing, Trigger::Item, head, seat)));
        }
        match choice.best() {
            Some(best) => self.take(now, best, choice),
            None => self.end_hold(id),
        }
    }

    /// Finds an item for an agent who can take something: the one of the highest score. It is held for a better agent only where
    /// nothing else waits that this one could take: of several kinds one at least is served at once.
    pub(super) fn match_agent(&mut self, now: Now, id: AgentId) {
        let Some(agent) = self.agents.get(&id) else { return };
        let Some((posture, idle_since)) = agent.footing().open else { return };
        let mut levels = std::mem::take(&mut self.levels);
        if let Some(class) = self.fits.class(agent.class) {
            levels.set(&class.kind.traits);
        }
        let best = self.best_item(now, id, (posture, idle_since), &levels);
        self.levels = levels;
        let Some((best, reason)) = best else { return };
        if !(self.is_alone(best, posture) && self.hold_for_better(now, best)) {
            self.make_offer(now, best, reason);
        }
    }

    /// Whether all that waits for an agent of the pair's class is like the pair's item, which has waited longest.
    fn is_alone(&self, pair: Pair, posture: Posture) -> bool {
        let (Some(class), Some(item)) = (self.fits.class(pair.class), self.items.get(&pair.item)) else { return false };
        let mut fronts =
            self.fits.gates_for(pair.class).filter(|(_, front)| posture.takes(front.medium, class.kind.slots));
        fronts.next().is_some_and(|(gate, front)| gate == item.gate && front.leads(item.rank()))
            && fronts.next().is_none()
    }

    /// Holds the pair's item, where a better agent is worth waiting for.
    fn hold_for_better(&mut self, now: Now, pair: Pair) -> bool {
        let Some(item) = self.items.get(&pair.item) else { return false };
        let Some(gate) = self.fits.gate(item.gate) else { return false };
        let routing = self.fits.routing(gate.ask.needs.tenant);
        let head = Head::new(now.mono, item.rank(), pair.item, gate, &item.prefers);
        let held = self.worth_waiting(now.mono, &routing, head, pair, |_, _| {}).is_some();
        if held {
            let look_in = look_in(&routing, head);
            self.hold(now, pair.item, look_in);
        }
        held
    }

    /// The best item for an agent who can take something, and why it is.
    fn best_item(
        &self,
        now: Now,
        id: AgentId,
        (posture, idle_since): (Posture, Instant),
        levels: &Levels,
    ) -> Option<(Pair, Box<Reason>)> {
        let agent = self.agents.get(&id)?;
        let class = self.fits.class(agent.class)?;
        let routing = self.fits.routing(class.kind.tenant);
        let seat = Seat { agent: id, id: agent.class, class, posture, idle_since };
        let mut choices = Choices::new(class.kind.tenants());
        let (idle, fit) = (idle_points(now.mono, &routing, idle_since), routing.weights.fit);
        // What agents of a class prefer in items is weighed in the score alone.
        let by_score = routing.policy.goes_by_score() && class.kind.minds.is_empty();
        for (gate, front) in self.fits.gates_for(agent.class) {
            let tenant = || self.fits.gate(gate).map(|gate| gate.ask.needs.tenant);
            let Some(choice) = choices.of(tenant) else { continue };
            // What cannot be among the best is not looked at more closely.
            let floor = choice.floor().unwrap_or(f64::NEG_INFINITY);
            if !posture.takes(front.medium, class.kind.slots) {
                continue;
            }
            let ceiling = self.ceiling(&routing, front, idle);
            if ceiling.of_all(front, now.mono) < floor {
                continue;
            }
            let worth = |lead: &Lead| {
                let waited_s = lead.place.waited_s(now.mono);
                let one = lead.is_plain() && front.required.is_some();
                let most = if one { ceiling.of(waited_s) } else { ceiling.of_any(waited_s) };
                most >= floor && (!by_score || most - fit * (1.0 - lead.share_max(levels, front.required)) >= floor)
            };
            front.heads(
                || self.fits.gate(gate),
                now.mono,
                worth,
                |gate, rank, item, prefers| {
                    let among_many = prefers.is_none();
                    let prefers = prefers.or_else(|| self.items.get(&item).map(|i| &i.prefers));
                    let Some(prefers) = prefers else { return false };
                    if among_many && !front.is_first((rank, item), prefers) {
                        return false;
                    }
                    let head = Head::new(now.mono, rank, item, gate, prefers);
                    let pair = self.pair(now.mono, &routing, Trigger::Agent, head, seat);
                    choice.consider(pair);
                    pair.is_some()
                },
            );
        }
        let (best, choice) = choices.best()?;
        Some((best, choice.reason(now, routing.policy, best)))
    }

    /// Offers a pair that was chosen, unless its item is held for a better agent.
    pub(super) fn take(&mut self, now: Now, pair: Pair, choice: Choice) {
        if !self.hold_for_better(now, pair) {
            let policy = self.agents.get(&pair.agent).map(|agent| self.fits.routing(agent.tenant).policy);
            let reason = choice.reason(now, policy.unwrap_or_default(), pair);
            self.make_offer(now, pair, reason);
        }
    }

    /// What is gained by waiting for a busy agent instead of taking an idle one of this class, where that is better: the gain is
    /// more than what the item's urgency grows by until then, and it would still be taken in time. An agent who is better for
    /// the item but is needed more elsewhere is not better. E is one over the sum of the rates at which better agents get free.
    /// `each` is told of those, with their rates.
    pub(super) fn worth_waiting(
        &self,
        now: Instant,
        routing: &Weighing,
        head: Head<'_>,
        pair: Pair,
        each: impl FnMut(AgentId, f64),
    ) -> Option<Prospect> {
        let (weights, target) = (&routing.weights, head.gate.target);
        let margin = hold_margin(weights);
        let spoken = head.gate.ask.needs.medium.is_spoken();
        if routing.policy != Policy::ScoreHold || !spoken || head.waited + margin >= target {
            return None;
        }
        let (rate, gain) = self.better(now, routing, head, pair, each)?;
        let free_in = Duration::from_secs_f64((1.0 / rate).min(1e6));
        let until = head.waited + free_in;
        let urgency = |waited: Duration| urgency(waited.as_secs_f64(), target.as_secs_f64(), weights);
        let loss = weights.urgency * head.gate.importance * (urgency(until) - urgency(head.waited));
        (until + margin < target && gain > loss).then_some(Prospect { free_in, gain, loss })
    }

    /// At what rate, per second, better agents than this one get free, and how many points are gained by waiting; none when
    /// nobody is better.
    fn better(
        &self,
        now: Instant,
        routing: &Weighing,
        head: Head<'_>,
        pair: Pair,
        mut each: impl FnMut(AgentId, f64),
    ) -> Option<(f64, f64)> {
        let weights = &routing.weights;
        let worth = |class: &Class, agent| {
            let flex = self.burdens.flex(class, head.gate.ask.queue, 1.0, 0);
            weights.fit * skill(&class.kind, Some(agent), head.wants()).get() - weights.flex * flex
        };
        let own = worth(self.fits.class(pair.class)?, pair.agent);
        let own_skill = skill(&self.fits.class(pair.class)?.kind, Some(pair.agent), head.wants());
        let in_person = head.wants().any(|want| want.what.agent().is_some());
        let (mut rate, mut gain, mut asked, mut there) = (0.0, 0.0, 0_usize, 0_usize);
        for class in self.fits.classes_for(head.gate).iter().filter_map(|&id| self.fits.class(id)) {
            let Some(&any) = class.busy.keys().next() else { continue };
            let is_better = |agent| {
                let more = skill(&class.kind, Some(agent), head.wants()) > own_skill && worth(class, agent) > own;
                more && judge(&class.kind, Some(agent), &head.gate.ask.needs, head.prefers, head.waited).is_ok()
            };
            // Where nobody is wanted in person, all of a class are alike.
            if !in_person && !is_better(any) {
                continue;
            }
            there += class.busy.len();
            for (&agent, busy) in class.busy.iter().take(BUSY_MAX.saturating_sub(asked)) {
                asked += 1;
                if in_person && !is_better(agent) {
                    continue;
                }
                let law = self.queues.get(&busy.queue).and_then(|queue| queue.forecast.law());
                let hazard = law.map_or(0.0, |law| law.hazard(now.since(busy.since).as_secs_f64()));
                each(agent, hazard);
                rate += hazard;
                gain += hazard * (worth(class, agent) - own);
            }
        }
        (rate > 0.0).then(|| (rate * there as f64 / asked.max(1) as f64, gain / rate))
    }

    /// An agent who can take something, as the score looks at one.
    pub(super) fn seat(&self, id: AgentId) -> Option<Seat<'_>> {
        let agent = self.agents.get(&id)?;
        let (posture, idle_since) = agent.footing().open?;
        Some(Seat { agent: id, id: agent.class, class: self.fits.class(agent.class)?, posture, idle_since })
    }

    /// Keeps an item for a better agent, and looks again before long.
    fn hold(&mut self, now: Now, id: WorkItemId, look_in: Duration) {
        let Some(item) = self.items.get_mut(&id).filter(|item| item.hold_at.is_none()) else { return };
        let at = now.mono + look_in;
        item.hold_at = Some(at);
        self.timers.start(Some(at), Timer::Hold(id));
    }

    /// An item is not held any more.
    pub(super) fn end_hold(&mut self, id: WorkItemId) {
        if let Some(item) = self.items.get_mut(&id) {
            self.timers.cancel(item.hold_at.take(), Timer::Hold(id));
        }
    }

    /// A held item is looked at again.
    pub(super) fn hold_due(&mut self, now: Now, id: WorkItemId) {
        if let Some(item) = self.items.get_mut(&id) {
            item.hold_at = None;
            self.match_item(now, id);
        }
    }
}

/// The most that keys of the items behind a gate can be, by wait.
#[derive(Clone, Copy)]
struct Ceiling<'a> {
    routing: &'a Weighing,
    base: f64,
    urgency: f64,
    late_slope: f64,
    in_time: f64,
    live: bool,
    credit_s: f64,
    target_s: f64,
    per_target: f64,
}

impl Ceiling<'_> {
    /// For an item that has waited so long.
    fn of(&self, waited_s: f64) -> f64 {
        let targets = waited_s * self.per_target;
        let urgency = if targets <= 1.0 { targets } else { 1.0 + self.late_slope * (targets - 1.0) };
        let in_time = is_in_time(waited_s, self.credit_s, self.target_s, self.live, self.routing);
        let in_time = if in_time { self.in_time } else { 0.0 };
        // A hair more than the score itself, which is added up in another order.
        self.base + self.urgency * urgency + in_time + 1e-9
    }

    /// For whoever has waited so long at most, and may have waited less: those in time are not more urgent than at their target.
    fn of_any(&self, oldest_s: f64) -> f64 {
        self.of(oldest_s).max(self.of(oldest_s.min(self.target_s + self.credit_s)))
    }

    /// For all that wait.
    fn of_all(&self, front: &Front, now: Instant) -> f64 {
        let Some((oldest, youngest)) = front.waits else { return f64::NEG_INFINITY };
        let oldest_s = oldest.waited_s(now);
        let any_in_time = youngest.waited_s(now) <= self.target_s + self.credit_s;
        if any_in_time { self.of_any(oldest_s) } else { self.of(oldest_s) }
    }
}

/// So long before its target an item is held no more.
fn hold_margin(weights: &Weights) -> Duration {
    Duration::from_secs_f64(weights.hold_margin_s.clamp(0.0, 1e6))
}

/// After what time a hold is looked at again: regularly, and when the item is not to be held any longer.
pub(super) fn look_in(routing: &Weighing, head: Head<'_>) -> Duration {
    let every = Duration::from_secs_f64(routing.weights.hold_every_s.clamp(0.1, 3_600.0));
    every.min(head.gate.target.saturating_sub(hold_margin(&routing.weights)).saturating_sub(head.waited))
}

/// The wait in targets.
fn targets(waited: Duration, target: Duration) -> f64 {
    waited.as_secs_f64() / target.as_secs_f64().max(1e-6)
}

/// What it counts that the agent has been idle.
fn idle_points(now: Instant, routing: &Weighing, idle_since: Instant) -> f64 {
    let (weights, idle_s) = (&routing.weights, now.since(idle_since).as_secs_f64());
    weights.idle * idle_s.min(weights.idle_full_s) / weights.idle_full_s.max(1.0)
}

/// Builds the reason of an offer.
impl Choice {
    fn reason(self, now: Now, policy: Policy, best: Pair) -> Box<Reason> {
        Box::new(Reason::new(now, policy, best, self))
    }
}
