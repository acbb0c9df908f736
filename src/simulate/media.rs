//! A run of a `media` scenario: contacts of several media come to agents alike, who take several at once where their slots let
//! them.
//!
//! What an agent has in hand progresses at rates: a call at 1; `c` chats at `chat_rates[c - 1]` together; email, voicemail and
//! fax stand still while a live contact is in hand, and share 1 otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use super::agenda::{Agenda, now, seconds};
use super::measure::{Estimate, mean, percent, quantile};
use super::random::Random;
use super::scenario::{Contacts, Media as Scenario};
use crate::base::{AgentId, Instant, Medium, QueueId, TenantId, WorkItemId};
use crate::core::contact::Slots;
use crate::core::contact::routing::Routing;
use crate::core::queue::{AgentProfile, Engine, Entry, Output, QueueProfile, TenantProfile};

/// Batches that a single run is cut into for its confidence intervals.
const BATCHES: usize = 20;
/// Contacts between two reports of progress.
const PROGRESS_EVERY: usize = 500;
/// Work of less than a microsecond is done.
const DONE_S: f64 = 1e-6;

/// What became of a contact.
#[derive(Clone, Copy, Debug)]
struct Contact {
    medium: Medium,
    came: Instant,
    /// Until it was taken; none if its client gave up.
    waited_s: Option<f64>,
    /// What is left to do of it, in seconds of an agent who has nothing else.
    left_s: f64,
    /// Work of the voicemail that the caller leaves.
    voicemail: Option<(Instant, f64)>,
}

/// What an agent has in hand.
#[derive(Clone, Default, Debug)]
struct Hands {
    contacts: Vec<(usize, Medium)>,
    /// Up to when the progress has been counted.
    counted: Instant,
    /// Tells a planned end that still holds from one that does not.
    plan: u64,
}

/// A run.
#[derive(Debug)]
pub struct Run {
    contacts: Vec<Contact>,
    targets: BTreeMap<Medium, f64>,
    until: Instant,
}

/// What became of the contacts of one medium.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct OfMedium {
    /// How many came.
    pub contacts: f64,
    /// Share of those taken that were taken within their target, in per cent: 0 where all gave up, 100 where nobody came.
    pub in_target: f64,
    /// Share that gave up, or left a message, in per cent.
    pub abandoned: f64,
    /// Mean wait of those taken, in seconds.
    pub asa_s: f64,
    /// Wait that one in a hundred of those taken exceeds, in seconds.
    pub p99_s: f64,
}

enum Event {
    Comes(Medium),
    GivesUp(usize),
    LeavesMessage(usize),
    Progresses { agent: usize, plan: u64 },
}

/// A run under way.
struct World<'a> {
    scenario: &'a Scenario,
    engine: Engine,
    agenda: Agenda<Event>,
    contacts: Vec<Contact>,
    hands: Vec<Hands>,
    /// One for each medium, so that what comes of one does not hang on what became of another.
    random: BTreeMap<Medium, Random>,
    at: Instant,
}

/// The queue of a medium's contacts.
fn queue_of(medium: Medium) -> QueueId {
    QueueId(u32::try_from(medium.index() + 1).unwrap_or(u32::MAX))
}

/// The engine with a queue for each medium and the scenario's agents signed in.
fn engine(scenario: &Scenario, routing: &Routing) -> Engine {
    let (tenant, start) = (TenantId(1), now(Instant::ZERO));
    let mut slots = Slots::NONE;
    for medium in scenario.targets().into_keys() {
        slots = slots.with(medium, scenario.slots_of(medium));
    }
    let queues = scenario.targets().into_iter().map(|(medium, target_s)| QueueProfile {
        id: queue_of(medium),
        tenant,
        wants: vec![],
        importance: 1.0,
        targets: [seconds(target_s); Medium::ALL.len()],
        overflow_after: None,
        escalate_after: None,
        waiting_max: 0,
        announce_every: None,
    });
    let ids = || (1..=scenario.agents).map(AgentId);
    let agents = ids().map(|id| AgentProfile {
        id,
        tenant,
        serves: vec![],
        traits: vec![],
        minds: vec![],
        slots,
        ring: Duration::from_secs(60),
        wrap_up: Duration::ZERO,
    });
    let mut engine = Engine::new(usize::MAX);
    let tenants = vec![TenantProfile { id: tenant, routing: *routing }];
    engine.provision(start, tenants, agents.collect(), queues.collect());
    for id in ids() {
        engine.set_reachable(start, id, true);
        // Of an agent who was just provisioned it cannot be refused.
        let _ = engine.sign_in(start, id);
    }
    engine
}

/// Runs the scenario once. `progress` is told now and then how many contacts have come.
pub fn run(scenario: &Scenario, routing: &Routing, seed: u64, mut progress: impl FnMut(usize)) -> Run {
    let mut seeds = Random::new(seed);
    let random = Medium::ALL.into_iter().map(|medium| (medium, Random::new(seeds.bits()))).collect();
    let mut world = World {
        scenario,
        engine: engine(scenario, routing),
        agenda: Agenda::new(),
        contacts: vec![],
        hands: vec![Hands::default(); scenario.agents as usize],
        random,
        at: Instant::ZERO,
    };
    let until = Instant::ZERO + seconds(scenario.hours * 3_600.0);
    for &medium in scenario.media.keys() {
        world.next_comes(medium);
    }
    let mut told = 0;
    while let Some(next) = world.agenda.next() {
        if let Some(timer) = world.engine.poll_timeout().filter(|timer| *timer <= next) {
            world.at = timer.max(world.at);
            world.engine.handle_timeout(now(world.at));
        } else if let Some((time, event)) = world.agenda.pop() {
            world.at = time;
            match event {
                // What comes later is not of this run; what has come is worked off.
                Event::Comes(_) if time > until => {}
                Event::Comes(medium) => {
                    world.comes(medium);
                    world.next_comes(medium);
                }
                Event::GivesUp(n) => {
                    world.engine.leave(now(time), WorkItemId(n as u64));
                }
                Event::LeavesMessage(n) => world.leaves_message(n),
                Event::Progresses { agent, plan } => world.progresses(agent, plan),
            }
        }
        world.take_offers();
        if world.contacts.len() >= told + PROGRESS_EVERY {
            told = world.contacts.len();
            progress(told);
        }
    }
    Run { contacts: world.contacts, targets: scenario.targets(), until: until.max(world.at) }
}

impl World<'_> {
    fn next_comes(&mut self, medium: Medium) {
        let Some(of) = self.scenario.media.get(&medium).filter(|of| of.per_hour > 0.0) else { return };
        let Some(random) = self.random.get_mut(&medium) else { return };
        let gap_s = random.exponential(3_600.0 / of.per_hour);
        self.agenda.enter(self.at + seconds(gap_s), Event::Comes(medium));
    }

    fn comes(&mut self, medium: Medium) {
        let Some(of) = self.scenario.media.get(&medium) else { return };
        let Some(random) = self.random.get_mut(&medium) else { return };
        let (left_s, gives_up, message) = draw(of, random);
        let n = self.contacts.len();
        let voicemail = message.map(|(after_s, work_s)| (self.at + seconds(after_s), work_s));
        self.contacts.push(Contact { medium, came: self.at, waited_s: None, left_s, voicemail });
        if let Some((at, _)) = voicemail {
            self.agenda.enter(at, Event::LeavesMessage(n));
        } else if let Some(patience_s) = gives_up {
            self.agenda.enter(self.at + seconds(patience_s), Event::GivesUp(n));
        }
        // The engine holds all contacts of a run.
        let _ = self.engine.enqueue(now(self.at), WorkItemId(n as u64), Entry::new(queue_of(medium), medium));
    }

    /// A caller who still waits leaves a message, which becomes a contact of its own with a target of its own. It keeps the
    /// caller's time of arrival: what was waited for an agent counts.
    fn leaves_message(&mut self, n: usize) {
        if !self.engine.leave(now(self.at), WorkItemId(n as u64)) {
            return;
        }
        let Some(&Contact { came, voicemail: Some((_, left_s)), .. }) = self.contacts.get(n) else { return };
        let (medium, id) = (Medium::Voicemail, self.contacts.len());
        self.contacts.push(Contact { medium, came, waited_s: None, left_s, voicemail: None });
        let entry = Entry { waited: self.at.since(came), ..Entry::new(queue_of(medium), medium) };
        let _ = self.engine.enqueue(now(self.at), WorkItemId(id as u64), entry);
    }

    fn take_offers(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            let Output::Offer { offer, item, agent } = output else { continue };
            if !self.engine.accepted(now(self.at), offer) {
                continue;
            }
            let (n, agent) = (item.0 as usize, agent.0.saturating_sub(1) as usize);
            self.count(agent);
            if let (Some(contact), Some(hands)) = (self.contacts.get_mut(n), self.hands.get_mut(agent)) {
                contact.waited_s = Some(self.at.since(contact.came).as_secs_f64());
                hands.contacts.push((n, contact.medium));
            }
            self.plan(agent);
        }
    }

    /// Something in the agent's hands may be done.
    fn progresses(&mut self, agent: usize, plan: u64) {
        if self.hands.get(agent).is_none_or(|hands| hands.plan != plan) {
            return;
        }
        self.count(agent);
        let Some(hands) = self.hands.get_mut(agent) else { return };
        let contacts = &self.contacts;
        let is_done = |n: usize| contacts.get(n).is_none_or(|contact| contact.left_s < DONE_S);
        let done: Vec<usize> = hands.contacts.iter().map(|(n, _)| *n).filter(|n| is_done(*n)).collect();
        hands.contacts.retain(|(n, _)| !done.contains(n));
        // Before the engine is told: it may find the agent the next contact at once.
        self.plan(agent);
        for n in done {
            self.engine.finished(now(self.at), WorkItemId(n as u64));
        }
    }

    /// Counts what the agent has done since it was counted last.
    fn count(&mut self, agent: usize) {
        let Some(hands) = self.hands.get_mut(agent) else { return };
        let passed_s = self.at.since(hands.counted).as_secs_f64();
        hands.counted = self.at;
        for &(n, medium) in &hands.contacts {
            let rate = rate(medium, &hands.contacts, &self.scenario.chat_rates);
            if let Some(contact) = self.contacts.get_mut(n) {
                contact.left_s -= rate * passed_s;
            }
        }
    }

    /// Enters when the next of what the agent has in hand will be done.
    fn plan(&mut self, agent: usize) {
        let Some(hands) = self.hands.get_mut(agent) else { return };
        hands.plan += 1;
        let ends_s = hands.contacts.iter().filter_map(|&(n, medium)| {
            let rate = rate(medium, &hands.contacts, &self.scenario.chat_rates);
            let left_s = self.contacts.get(n)?.left_s.max(0.0);
            (rate > 0.0).then(|| left_s / rate)
        });
        if let Some(soonest_s) = ends_s.min_by(f64::total_cmp) {
            // Up to the next microsecond, at which the work is surely done.
            let at = self.at + seconds(soonest_s) + Duration::from_micros(1);
            self.agenda.enter(at, Event::Progresses { agent, plan: hands.plan });
        }
    }
}

/// A contact's work, when its client gives up, and after what time a caller leaves a message of how much work, in seconds.
fn draw(of: &Contacts, random: &mut Random) -> (f64, Option<f64>, Option<(f64, f64)>) {
    let work_s = of.work.law().map_or(0.0, |law| law.draw(random));
    let patience_s = random.exponential(1.0) * of.patience_mean_s.unwrap_or(f64::INFINITY);
    let lot = random.unit();
    let message = of.voicemail.filter(|voicemail| lot < voicemail.share && patience_s > voicemail.after_s);
    let message = message.map(|voicemail| (voicemail.after_s, work_s * voicemail.work_factor));
    (work_s, Some(patience_s).filter(|s| s.is_finite()), message)
}

/// At what rate a contact of the medium progresses beside all that is in hand.
fn rate(medium: Medium, in_hand: &[(usize, Medium)], chat_rates: &[f64]) -> f64 {
    let chats = in_hand.iter().filter(|(_, of)| *of == Medium::Chat).count();
    let live = in_hand.iter().any(|(_, of)| of.is_live());
    match medium {
        Medium::Voice | Medium::Video => 1.0,
        Medium::Chat => chat_rates.get(chats.saturating_sub(1)).copied().unwrap_or(1.0) / chats.max(1) as f64,
        Medium::Email | Medium::Voicemail | Medium::Fax if live => 0.0,
        Medium::Email | Medium::Voicemail | Medium::Fax => 1.0 / in_hand.len().max(1) as f64,
    }
}

impl Run {
    /// What became of each medium's contacts.
    pub fn media(&self) -> BTreeMap<Medium, OfMedium> {
        self.targets.keys().map(|&medium| (medium, self.of(medium, &self.contacts))).collect()
    }

    /// Share of each medium's contacts taken within the target, with intervals from the batches that the run is cut into.
    pub fn in_target(&self) -> BTreeMap<Medium, Estimate> {
        let size = self.contacts.len().div_ceil(BATCHES).max(1);
        let estimate = |medium| {
            let of = |contacts| self.of(medium, contacts);
            let batches: Vec<f64> =
                self.contacts.chunks(size).map(of).filter(|of| of.contacts > 0.0).map(|of| of.in_target).collect();
            Estimate { mean: of(&self.contacts).in_target, ci95: Estimate::of(&batches).ci95 }
        };
        self.targets.keys().map(|&medium| (medium, estimate(medium))).collect()
    }

    /// How long the run was.
    pub fn lasted(&self) -> Duration {
        self.until.since(Instant::ZERO)
    }

    fn of(&self, medium: Medium, contacts: &[Contact]) -> OfMedium {
        let target_s = self.targets.get(&medium).copied().unwrap_or(0.0);
        let contacts: Vec<&Contact> = contacts.iter().filter(|contact| contact.medium == medium).collect();
        let mut waits: Vec<f64> = contacts.iter().filter_map(|contact| contact.waited_s).collect();
        waits.sort_unstable_by(f64::total_cmp);
        let good = waits.iter().filter(|waited_s| **waited_s <= target_s).count();
        OfMedium {
            contacts: contacts.len() as f64,
            // Where nobody came everybody was served in time; where all who came gave up nobody was.
            in_target: if contacts.is_empty() { 100.0 } else { percent(good, waits.len()) },
            abandoned: percent(contacts.len() - waits.len(), contacts.len()),
            asa_s: mean(waits.iter().copied()),
            p99_s: quantile(&waits, 0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_progresses_at_the_rates_of_what_is_in_hand() {
        let rates = [1.0, 1.6, 2.0];
        let of = |medium, in_hand: &[Medium]| {
            let in_hand: Vec<_> = in_hand.iter().copied().enumerate().collect();
            rate(medium, &in_hand, &rates)
        };
        assert_eq!(of(Medium::Voice, &[Medium::Voice, Medium::Email]), 1.0);
        assert_eq!(of(Medium::Email, &[Medium::Voice, Medium::Email]), 0.0);
        assert_eq!(of(Medium::Email, &[Medium::Email]), 1.0);
        assert_eq!(of(Medium::Chat, &[Medium::Chat, Medium::Email]), 1.0);
        assert_eq!(of(Medium::Chat, &[Medium::Chat; 2]), 0.8);
        assert_eq!(of(Medium::Chat, &[Medium::Chat; 3]), 2.0 / 3.0);
    }

    fn contact(medium: Medium, came_s: f64, waited_s: Option<f64>) -> Contact {
        Contact { medium, came: Instant::ZERO + seconds(came_s), waited_s, left_s: 0.0, voicemail: None }
    }

    #[test]
    fn nobody_is_in_target_where_all_gave_up() {
        let contacts = vec![contact(Medium::Voice, 0.0, None), contact(Medium::Chat, 1.0, Some(5.0))];
        let targets = [Medium::Voice, Medium::Chat, Medium::Email].map(|medium| (medium, 20.0)).into();
        let run = Run { contacts, targets, until: Instant::ZERO };
        let in_target = |medium| (run.media()[&medium].in_target, run.in_target()[&medium].mean);
        assert_eq!(in_target(Medium::Voice), (0.0, 0.0), "came and gave up");
        assert_eq!(in_target(Medium::Chat), (100.0, 100.0));
        assert_eq!(in_target(Medium::Email), (100.0, 100.0), "nobody came");
    }

    #[test]
    fn a_voicemail_has_waited_since_the_call_came() {
        let text = serde_json::json!({
            "kind": "media", "agents": 1, "hours": 2,
            "media": {"voice": {"per_hour": 60, "patience_mean_s": 1e6, "target_s": 20,
                                "work": {"law": "exponential", "mean_s": 600},
                                "voicemail": {"after_s": 60, "share": 1, "work_factor": 0.01, "target_s": 3600}}}
        });
        let Ok(super::super::Scenario::Media(scenario)) = super::super::Scenario::read("m.json", &text.to_string())
        else {
            panic!("of another kind")
        };
        let run = run(&scenario, &Routing::default(), 1, |_| ());
        let messages: Vec<&Contact> = run.contacts.iter().filter(|of| of.medium == Medium::Voicemail).collect();
        assert!(messages.len() > 20, "{}", messages.len());
        assert!(messages.iter().all(|of| of.waited_s.is_some_and(|waited_s| waited_s >= 60.0)));
    }
}
