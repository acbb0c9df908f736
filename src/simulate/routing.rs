//! A run of a `routing` scenario: calls of several types come, wait, give up or are taken, by the queue engine that routes live
//! calls.
//!
//! Everything random about a call is drawn before it comes, from a generator of its own run: the same seed brings the same calls
//! under every policy, so that differences between policies are differences of routing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::agenda::{Agenda, now, seconds};
use super::measure::{Estimate, jain, mean, percent, quantile};
use super::random::{Law, Random};
use super::scenario::Routing as Scenario;
use crate::base::{AgentId, Instant, Medium, QueueId, TenantId, TraitId, WorkItemId};
use crate::core::contact::routing::Routing;
use crate::core::contact::{Level, Mode, Schedule, Slots, Want};
use crate::core::queue::{AgentProfile, Engine, Entry, Output, QueueProfile, TenantProfile};

/// The share of callers who hang up soon, whatever is said to them.
const SOON: f64 = 0.04;
/// When those hang up, in seconds.
const SOON_S: (f64, f64) = (3.0, 20.0);
/// What all others bear at least, up to this many seconds.
const BEAR_S: f64 = 20.0;
/// Batches that a single run is cut into for its confidence intervals.
const BATCHES: usize = 20;
/// Calls between two reports of progress.
const PROGRESS_EVERY: usize = 500;

/// The measures, as they are named in reports.
pub const MEASURES: [&str; 11] =
    ["asa", "p95", "p99", "sl20", "worst_type_sl", "abandon", "occupancy", "occ_spread", "jain", "skill", "resolved"];

/// What became of a call.
#[derive(Clone, Copy, Debug)]
struct Call {
    of: usize,
    came: Instant,
    /// Until it was taken or gave up.
    waited_s: f64,
    taken: Option<Taken>,
}

/// How a call was taken.
#[derive(Clone, Copy, Debug)]
struct Taken {
    agent: usize,
    level: f64,
    talk_s: f64,
    resolved: bool,
}

/// A run.
#[derive(Debug)]
pub struct Run {
    calls: Vec<Call>,
    types: usize,
    agents: usize,
    target_s: f64,
    until: Instant,
    foretold_error: Option<f64>,
}

/// What became of the calls of one type.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct OfType {
    /// How many came.
    pub calls: f64,
    /// Share answered within the target, in per cent.
    pub in_target: f64,
    /// Share that gave up, in per cent.
    pub abandoned: f64,
    /// Mean wait of those answered, in seconds.
    pub asa_s: f64,
    /// Wait that one in a hundred of those answered exceeds, in seconds.
    pub p99_s: f64,
    /// Mean level of the agents who took them, in per cent.
    pub skill: f64,
}

/// What a caller brings along, drawn before.
#[derive(Clone, Copy, Debug)]
struct Drawn {
    of: usize,
    came: Instant,
    talk_s: f64,
    patience_s: f64,
    resolves: f64,
}

enum Event {
    Comes(usize),
    GivesUp(usize),
    Ends(usize),
}

fn draw(scenario: &Scenario, seed: u64) -> Vec<Drawn> {
    let mut random = Random::new(seed);
    let mean_gap_s = 3_600.0 / scenario.calls_per_hour();
    let named: BTreeMap<&str, usize> = scenario.types.iter().zip(0..).map(|(of, n)| (of.name.as_str(), n)).collect();
    let laws: Vec<Law> = scenario.types.iter().filter_map(|of| of.talk.law()).collect();
    let mut came_s = 0.0;
    let mut calls = vec![];
    for n in 0..scenario.contacts() {
        let recorded = scenario.arrivals.get(n as usize);
        came_s = recorded.map_or_else(|| came_s + random.exponential(mean_gap_s), |arrival| arrival.at_s);
        let mut lot = random.unit() * scenario.calls_per_hour();
        let mut of = 0;
        for (n, each) in scenario.types.iter().enumerate().filter(|(_, each)| each.calls_per_hour > 0.0) {
            of = n;
            lot -= each.calls_per_hour;
            if lot < 0.0 {
                break;
            }
        }
        of = recorded.and_then(|arrival| named.get(arrival.of.as_str())).copied().unwrap_or(of);
        let soon = random.unit() < SOON;
        let early_s = random.between(SOON_S.0, SOON_S.1);
        let borne_s = random.between(0.0, BEAR_S);
        let mean_s = scenario.types.get(of).map_or(1.0, |of| of.patience_mean_s);
        let late_s = borne_s + random.exponential(mean_s);
        let drawn_s = laws.get(of).map_or(0.0, |law| law.draw(&mut random));
        let talk_s = recorded.and_then(|arrival| arrival.talk_s).unwrap_or(drawn_s);
        let patience_s = if soon { early_s } else { late_s };
        calls.push(Drawn { of, came: Instant::ZERO + seconds(came_s), talk_s, patience_s, resolves: random.unit() });
    }
    calls
}

/// The engine with the scenario's types as queues and its agents signed in.
fn engine(scenario: &Scenario, routing: &Routing) -> Engine {
    let tenant = TenantId(1);
    let mut skills: BTreeMap<&str, TraitId> = BTreeMap::new();
    let named =
        scenario.types.iter().flat_map(|of| &of.needs).chain(scenario.agents.iter().flat_map(|a| a.skills.keys()));
    for skill in named {
        let next = TraitId(u32::try_from(skills.len()).unwrap_or(u32::MAX));
        skills.entry(skill).or_insert(next);
    }
    let skill = |name: &str| skills.get(name).copied().unwrap_or(TraitId(u32::MAX));
    let queues = scenario.types.iter().zip(1..).map(|(of, id)| {
        // Whoever has a skill at all may be offered the call; the better, the better.
        let wants = of.needs.iter().flat_map(|name| {
            let any = Schedule::constant(Level::new(0.0001), 0);
            let full = Schedule::constant(Level::FULL, 100);
            [(Mode::Required, any), (Mode::Preferred, full)].map(|(mode, schedule)| Want {
                what: skill(name),
                mode,
                schedule,
            })
        });
        QueueProfile {
            id: QueueId(id),
            tenant,
            wants: wants.collect(),
            importance: of.importance,
            targets: [seconds(scenario.target_s); Medium::ALL.len()],
            overflow_after: None,
            escalate_after: None,
            waiting_max: 0,
            announce_every: None,
        }
    });
    let agents = scenario.agents.iter().zip(1..).map(|(agent, id)| AgentProfile {
        id: AgentId(id),
        tenant,
        serves: vec![],
        // Who has a skill at all has it at the least level.
        traits: (agent.skills.iter().filter(|(_, level)| **level > 0.0))
            .map(|(name, level)| (skill(name), Level::new(*level).max(Level::LEAST)))
            .collect(),
        minds: vec![],
        slots: Slots::NONE.with(Medium::Voice, 1),
        ring: Duration::from_secs(60),
        wrap_up: Duration::ZERO,
    });
    let mut engine = Engine::new(scenario.contacts() as usize);
    let start = now(Instant::ZERO);
    let tenants = vec![TenantProfile { id: tenant, routing: *routing }];
    let ids: Vec<AgentId> = (1..).take(scenario.agents.len()).map(AgentId).collect();
    engine.provision(start, tenants, agents.collect(), queues.collect());
    for id in ids {
        engine.set_reachable(start, id, true);
        // Of an agent who was just provisioned it cannot be refused.
        let _ = engine.sign_in(start, id);
    }
    engine
}

/// Runs the scenario once. `progress` is told now and then how many calls have come.
pub fn run(scenario: &Scenario, routing: &Routing, seed: u64, mut progress: impl FnMut(usize)) -> Run {
    let drawn = draw(scenario, seed);
    let levels: Vec<Vec<f64>> =
        scenario.agents.iter().map(|agent| scenario.types.iter().map(|of| agent.level(of)).collect()).collect();
    let mut engine = engine(scenario, routing);
    let mut agenda = Agenda::new();
    let waiting = |call: &Drawn| Call { of: call.of, came: call.came, waited_s: 0.0, taken: None };
    let mut calls: Vec<Call> = drawn.iter().map(waiting).collect();
    if let Some(first) = drawn.first() {
        agenda.enter(first.came, Event::Comes(0));
    }
    // Up to when calls come or are talked; some would wait longer, were they not taken.
    let (mut at, mut until) = (Instant::ZERO, Instant::ZERO);
    loop {
        let timer = engine.poll_timeout();
        let Some(next) = agenda.next() else { break };
        if let Some(timer) = timer.filter(|timer| *timer <= next) {
            at = timer.max(at);
            engine.handle_timeout(now(at));
        } else if let Some((time, event)) = agenda.pop() {
            at = time;
            match event {
                Event::Comes(n) => {
                    until = at;
                    if n % PROGRESS_EVERY == 0 {
                        progress(n);
                    }
                    if let Some(next) = drawn.get(n + 1) {
                        agenda.enter(next.came, Event::Comes(n + 1));
                    }
                    if let Some(call) = drawn.get(n) {
                        let queue = QueueId(u32::try_from(call.of + 1).unwrap_or(u32::MAX));
                        agenda.enter(at + seconds(call.patience_s), Event::GivesUp(n));
                        // The engine holds all calls of a run.
                        let _ = engine.enqueue(now(at), WorkItemId(n as u64), Entry::new(queue, Medium::Voice));
                    }
                }
                Event::GivesUp(n) => {
                    if engine.leave(now(at), WorkItemId(n as u64))
                        && let Some(call) = calls.get_mut(n)
                    {
                        call.waited_s = at.since(call.came).as_secs_f64();
                    }
                }
                Event::Ends(n) => {
                    until = at;
                    engine.finished(now(at), WorkItemId(n as u64));
                }
            }
        }
        while let Some(output) = engine.poll_output() {
            let Output::Offer { offer, item, agent } = output else { continue };
            if !engine.accepted(now(at), offer) {
                continue;
            }
            let (n, agent) = (item.0 as usize, agent.0.saturating_sub(1) as usize);
            let Some((call, drawn)) = calls.get_mut(n).zip(drawn.get(n)) else { continue };
            let level = levels.get(agent).and_then(|of| of.get(call.of)).copied().unwrap_or(0.0);
            let talk_s = drawn.talk_s * (1.3 - 0.4 * level);
            call.waited_s = at.since(call.came).as_secs_f64();
            call.taken = Some(Taken { agent, level, talk_s, resolved: drawn.resolves < 0.55 + 0.4 * level });
            agenda.enter(at + seconds(talk_s), Event::Ends(n));
        }
    }
    progress(calls.len());
    Run {
        calls,
        types: scenario.types.len(),
        agents: scenario.agents.len(),
        target_s: scenario.target_s,
        until,
        foretold_error: engine.counters().foretold_error,
    }
}

impl Run {
    /// How well the engine foretold waits: mean squared error over mean squared wait; none where few calls waited.
    pub fn foretold_error(&self) -> Option<f64> {
        self.foretold_error
    }

    /// The measures, in the order of [`MEASURES`].
    pub fn measures(&self) -> [f64; MEASURES.len()] {
        let from = self.calls.first().map_or(self.until, |call| call.came);
        self.measured(&self.calls, self.until.since(from).as_secs_f64())
    }

    /// The same with intervals from the batches that the run is cut into.
    pub fn estimates(&self) -> [Estimate; MEASURES.len()] {
        let whole = self.measures();
        let size = self.calls.len().div_ceil(BATCHES).max(1);
        let batches: Vec<_> = (self.calls.chunks(size).zip(1..))
            .filter_map(|(calls, n)| {
                let from = calls.first()?.came;
                let until = self.calls.get(n * size).map_or(self.until, |call| call.came);
                Some(self.measured(calls, until.since(from).as_secs_f64()))
            })
            .collect();
        let mut estimates = [Estimate::default(); MEASURES.len()];
        for (n, (estimate, mean)) in estimates.iter_mut().zip(whole).enumerate() {
            let of: Vec<f64> = batches.iter().filter_map(|batch| batch.get(n).copied()).collect();
            *estimate = Estimate { mean, ci95: Estimate::of(&of).ci95 };
        }
        estimates
    }

    fn measured(&self, calls: &[Call], lasted_s: f64) -> [f64; MEASURES.len()] {
        let taken = || calls.iter().filter_map(|call| Some((call, call.taken?)));
        let mut waits: Vec<f64> = taken().map(|(call, _)| call.waited_s).collect();
        waits.sort_unstable_by(f64::total_cmp);
        let mut busy_s = vec![0.0; self.agents];
        let mut each = vec![(0, 0); self.types];
        for call in calls {
            if let Some((all, good)) = each.get_mut(call.of) {
                *all += 1;
                *good += usize::from(call.taken.is_some() && call.waited_s <= self.target_s);
            }
            if let Some(taken) = call.taken
                && let Some(busy) = busy_s.get_mut(taken.agent)
            {
                *busy += taken.talk_s;
            }
        }
        let good = each.iter().map(|(_, good)| good).sum();
        let worst =
            each.iter().filter(|(all, _)| *all > 0).map(|&(all, good)| percent(good, all)).fold(100.0, f64::min);
        let occupied = |busy: f64| if lasted_s > 0.0 { 100.0 * busy / lasted_s } else { 0.0 };
        let (least, most) = busy_s.iter().fold((f64::MAX, 0.0), |(l, m), &busy| (f64::min(l, busy), f64::max(m, busy)));
        [
            mean(waits.iter().copied()),
            quantile(&waits, 0.95),
            quantile(&waits, 0.99),
            percent(good, calls.len()),
            worst,
            percent(calls.len() - waits.len(), calls.len()),
            occupied(mean(busy_s.iter().copied())),
            occupied((most - least).max(0.0)),
            jain(&busy_s),
            100.0 * mean(taken().map(|(_, taken)| taken.level)),
            percent(taken().filter(|(_, taken)| taken.resolved).count(), calls.len()),
        ]
    }

    /// What became of each type's calls, in the scenario's order.
    pub fn types(&self) -> Vec<OfType> {
        (0..self.types)
            .map(|of| {
                let calls: Vec<&Call> = self.calls.iter().filter(|call| call.of == of).collect();
                let taken: Vec<(f64, f64)> =
                    calls.iter().filter_map(|call| Some((call.waited_s, call.taken?.level))).collect();
                let mut waits: Vec<f64> = taken.iter().map(|(waited_s, _)| *waited_s).collect();
                waits.sort_unstable_by(f64::total_cmp);
                OfType {
                    calls: calls.len() as f64,
                    in_target: percent(waits.iter().filter(|w| **w <= self.target_s).count(), calls.len()),
                    abandoned: percent(calls.len() - waits.len(), calls.len()),
                    asa_s: mean(waits.iter().copied()),
                    p99_s: quantile(&waits, 0.99),
                    skill: 100.0 * mean(taken.iter().map(|(_, level)| *level)),
                }
            })
            .collect()
    }
}
