//! Whether the SIP phones of agents at sites answer: each is asked (OPTIONS) while its agent is signed in, and one that leaves
//! two questions unanswered is taken for unreachable until it answers or registers.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::base::{AgentId, Cause, Instant, LegId, Now, SiteId};
use crate::core::journal::AgentStatus;
use crate::core::switch::{Switch, Timer};
use crate::proto::sip::ProbeId;

/// How long a phone has for an answer.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(4);
/// Questions without an answer after which a phone is unreachable.
const UNANSWERED_MAX: u8 = 2;
/// Phones asked at once, and the pause until more are.
const ASKED_AT_ONCE: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// A phone that is asked.
#[derive(Debug)]
struct Pulse {
    site: SiteId,
    every: Duration,
    /// When to ask next, or to stop waiting for an answer.
    due: Instant,
    asked: Option<ProbeId>,
    /// When it answered last, or was first known.
    answered: Instant,
    unanswered: u8,
    down: bool,
}

/// All phones that are asked.
#[derive(Default, Debug)]
pub(crate) struct Pulses {
    of: HashMap<AgentId, Pulse>,
    due: BTreeSet<(Instant, AgentId)>,
    /// Whose the questions are that are out.
    asked: HashMap<ProbeId, AgentId>,
    /// Phones of each site that answer, and that do not.
    counts: HashMap<SiteId, (usize, usize)>,
    armed: Option<Instant>,
}

impl Pulses {
    /// Whether the agent's phone is asked.
    pub fn has(&self, agent: AgentId) -> bool {
        self.of.contains_key(&agent)
    }

    /// Whether the agent's phone does not answer.
    pub fn is_down(&self, agent: AgentId) -> bool {
        self.of.get(&agent).is_some_and(|pulse| pulse.down)
    }

    /// Phones of a site that answer, and that do not.
    pub fn count(&self, site: SiteId) -> (usize, usize) {
        self.counts.get(&site).copied().unwrap_or_default()
    }

    fn add(&mut self, agent: AgentId, pulse: Pulse) {
        self.due.insert((pulse.due, agent));
        self.counts.entry(pulse.site).or_default().0 += 1;
        self.of.insert(agent, pulse);
    }

    fn remove(&mut self, agent: AgentId) -> Option<SiteId> {
        let pulse = self.of.remove(&agent)?;
        self.due.remove(&(pulse.due, agent));
        if let Some((up, down)) = self.counts.get_mut(&pulse.site) {
            if pulse.down { *down -= 1 } else { *up -= 1 }
        }
        Some(pulse.site)
    }

    fn put_off(&mut self, agent: AgentId, due: Instant) {
        if let Some(pulse) = self.of.get_mut(&agent) {
            self.due.remove(&(pulse.due, agent));
            pulse.due = due;
            self.due.insert((due, agent));
        }
    }

    /// Whether that was news.
    fn set_down(&mut self, agent: AgentId, down: bool) -> bool {
        let Some(pulse) = self.of.get_mut(&agent) else { return false };
        pulse.unanswered = if down { UNANSWERED_MAX } else { 0 };
        if std::mem::replace(&mut pulse.down, down) == down {
            return false;
        }
        let count = self.counts.entry(pulse.site).or_default();
        *count = if down { (count.0 - 1, count.1 + 1) } else { (count.0 + 1, count.1 - 1) };
        true
    }

    /// The phone has left a question unanswered. Whether it has just become unreachable.
    fn silent(&mut self, now: Instant, agent: AgentId) -> bool {
        let Some(pulse) = self.of.get_mut(&agent) else { return false };
        pulse.asked = None;
        pulse.unanswered = pulse.unanswered.saturating_add(1);
        let (down, every) = (pulse.unanswered >= UNANSWERED_MAX, pulse.every);
        // The second question follows the first at once.
        self.put_off(agent, if down { now + every } else { now });
        down && self.set_down(agent, true)
    }

    /// The phone lives. Whether that was news.
    fn lives(&mut self, now: Instant, agent: AgentId, rings: bool) -> bool {
        let Some(pulse) = self.of.get_mut(&agent) else { return false };
        pulse.asked = None;
        pulse.answered = now;
        let every = if rings { pulse.every.min(ANSWER_MAX) } else { pulse.every };
        self.put_off(agent, now + every);
        self.set_down(agent, false)
    }

    /// It is asked soon: it rings, or is not heard.
    fn hasten(&mut self, agent: AgentId, soon: Instant) {
        if self.of.get(&agent).is_some_and(|pulse| pulse.asked.is_none() && pulse.due > soon) {
            self.put_off(agent, soon);
        }
    }

    fn next(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }
}

impl Switch {
    /// Begins or ends to ask an agent's phone.
    pub(crate) fn look_at_pulse(&mut self, now: Now, agent: AgentId) {
        let site = self.site_of(agent).and_then(|site| self.directory.site(site));
        let asks = site.and_then(|site| Some((site.id, site.probe?)));
        let signed_in = self.queue.agent(agent).is_some_and(|state| state.status != AgentStatus::Null);
        // A phone whose registration ends while it does not answer is still the one that is waited for.
        let there = self.has_phone(agent) || (self.is_at_own_phone(agent) && self.pulses.is_down(agent));
        let wanted = asks.filter(|_| signed_in && there && !self.stopping);
        let known = self.pulses.of.get(&agent).map(|pulse| (pulse.site, pulse.every));
        if known == wanted {
            return;
        }
        if let Some(site) = self.pulses.remove(agent) {
            self.look_at_site(now, site);
        }
        if let Some((site, every)) = wanted {
            // Spread, so that many phones are not asked in one instant.
            let spread = Duration::from_millis(self.random() % (every.as_millis() as u64 + 1));
            let due = now.mono + spread;
            self.pulses
                .add(agent, Pulse { site, every, due, asked: None, answered: now.mono, unanswered: 0, down: false });
            self.arm_pulses();
            self.look_at_site(now, site);
        }
    }

    fn arm_pulses(&mut self) {
        let Some(due) = self.pulses.next() else { return };
        if self.pulses.armed.is_none_or(|armed| armed > due) {
            self.pulses.armed = Some(due);
            self.arm(due, Timer::Pulses);
        }
    }

    /// Timer: asks the phones whose turn it is, and gives up those that have not answered.
    pub(crate) fn ask_phones(&mut self, now: Now) {
        // A timer for which an earlier one was set since.
        if self.pulses.armed.take_if(|armed| *armed <= now.mono).is_none() {
            return;
        }
        let mut asked = 0;
        while let Some((_, agent)) = self.pulses.due.first().copied().filter(|(due, _)| *due <= now.mono) {
            if self.pulses.of.get(&agent).is_some_and(|pulse| pulse.asked.is_some()) {
                if self.pulses.silent(now.mono, agent) {
                    self.pulse_changed(now, agent);
                }
            } else if asked < ASKED_AT_ONCE {
                asked += 1;
                self.ask_phone(now, agent);
            } else {
                self.pulses.armed = Some(now.mono + PAUSE);
                return self.arm(now.mono + PAUSE, Timer::Pulses);
            }
        }
        self.arm_pulses();
    }

    fn ask_phone(&mut self, now: Now, agent: AgentId) {
        let Some((contact, path)) = self.own_phone(now, agent) else {
            let every = self.pulses.of.get(&agent).map_or(ANSWER_MAX, |pulse| pulse.every);
            return self.pulses.put_off(agent, now.mono + every);
        };
        let id = self.sip.probe(now, path, contact);
        self.pulses.asked.insert(id, agent);
        if let Some(pulse) = self.pulses.of.get_mut(&agent) {
            pulse.asked = Some(id);
        }
        self.pulses.put_off(agent, now.mono + ANSWER_MAX);
    }

    /// A question has its answer, or none. False: it was none to a phone.
    pub(crate) fn phone_probed(&mut self, now: Now, id: ProbeId, status: Option<u16>) -> bool {
        let Some(agent) = self.pulses.asked.remove(&id) else { return false };
        // Whoever answers in place of a phone that it cannot reach says so by these.
        let lives = status.is_some_and(|status| !matches!(status, 408 | 503 | 504));
        let waited_for = self.pulses.of.get(&agent).is_some_and(|pulse| pulse.asked == Some(id));
        let news = match lives {
            true => self.pulses.lives(now.mono, agent, self.rings(agent)),
            false => waited_for && self.pulses.silent(now.mono, agent),
        };
        if news {
            self.pulse_changed(now, agent);
        }
        self.arm_pulses();
        true
    }

    /// The agent's phone has registered.
    pub(crate) fn phone_lives(&mut self, now: Now, agent: AgentId) {
        if self.pulses.lives(now.mono, agent, self.rings(agent)) {
            self.pulse_changed(now, agent);
        }
        self.arm_pulses();
    }

    fn rings(&self, agent: AgentId) -> bool {
        self.queue.agent(agent).is_some_and(|state| state.offer.is_some())
    }

    /// An agent's phone is rung: that it dies is noticed before nobody answers.
    pub(crate) fn phone_rings(&mut self, now: Now, agent: AgentId) {
        self.pulses.hasten(agent, now.mono + ANSWER_MAX);
        self.arm_pulses();
    }

    /// An agent who talks is not heard: whether the phone lives is asked at once, unless it has just said so.
    pub(crate) fn phone_doubted(&mut self, now: Now, agent: AgentId) {
        if let Some(answered) = self.pulses.of.get(&agent).map(|pulse| pulse.answered) {
            self.pulses.hasten(agent, now.mono.max(answered + ANSWER_MAX));
            self.arm_pulses();
        }
    }

    /// A phone said nothing at all to a call: it is unreachable, and another way is tried. Without one the queue takes the offer back.
    pub(crate) fn phone_silent(&mut self, now: Now, leg: LegId, agent: AgentId) {
        let call = self.legs.get(&leg).and_then(|l| self.calls.get(&l.call));
        let alone = call.is_some_and(|call| call.route.is_empty());
        let news = self.pulses.set_down(agent, true);
        if alone {
            self.pulse_changed(now, agent);
            if self.queue.agent(agent).is_some_and(|state| state.cut) {
                return;
            }
        }
        self.fail_leg(now, leg, Cause::TimerExpired);
        if news {
            self.pulse_changed(now, agent);
        }
    }

    fn pulse_changed(&mut self, now: Now, agent: AgentId) {
        self.reachability(now, agent);
        if let Some(site) = self.pulses.of.get(&agent).map(|pulse| pulse.site) {
            self.look_at_site(now, site);
        }
        if self.pulses.is_down(agent) {
            self.heed_agents(|leg| leg.trunk.is_none() && leg.phone == Some(agent));
        }
    }

    /// Asserts that each phone has its turn and is counted once.
    pub(crate) fn check_pulses(&self) {
        let pulses = &self.pulses;
        let due: BTreeSet<_> = pulses.of.iter().map(|(agent, pulse)| (pulse.due, *agent)).collect();
        assert_eq!(pulses.due, due, "each phone has its turn");
        let mut counts: HashMap<SiteId, (usize, usize)> = HashMap::new();
        for pulse in pulses.of.values() {
            let count = counts.entry(pulse.site).or_default();
            if pulse.down { count.1 += 1 } else { count.0 += 1 }
        }
        let counted = pulses.counts.iter().filter(|(_, count)| **count != (0, 0)).map(|(site, count)| (*site, *count));
        assert_eq!(counted.collect::<HashMap<_, _>>(), counts, "phones that answer, and that do not");
        assert!(pulses.armed.is_some() || pulses.due.is_empty() || self.stopping, "phones are asked");
    }
}
