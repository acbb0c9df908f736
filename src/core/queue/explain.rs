//! Why an item went to an agent, and why not to the others.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{AgentId, Now, WorkItemId};
use crate::core::contact::{Mode, Want};
use crate::core::journal::AgentStatus;

use super::class::Kind;
use super::engine::Engine;
use super::gate::{Ask, Fit, Gate, part};
use super::item::Queue;
use super::line::Place;
use super::matching::{Head, Pair, Seat};
use super::posture::Posture;
use super::profile::{EnqueueError, Entry};
use super::score::{Terms, Unfit, judge};

/// How many other pairs a reason remembers.
pub(super) const OTHERS_MAX: usize = 4;

/// What set off a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// An item came, came back, or asks for less than before: agents were compared.
    Item,
    /// An agent could take something: items were compared.
    Agent,
}

/// Why an offer was made.
#[derive(Clone, PartialEq, Debug)]
pub struct Reason {
    /// When.
    pub at: Now,
    /// What set off the match.
    pub trigger: Trigger,
    /// How long the item had waited, credit included.
    pub waited: Duration,
    /// The score.
    pub terms: Terms,
    /// How many pairs were compared: agents alike and items alike count as one.
    pub compared: usize,
    /// The best of the others: another agent for the item, or another item for the agent.
    pub others: Vec<(AgentId, WorkItemId, Terms)>,
}

impl Reason {
    pub(super) fn new(at: Now, pair: Pair, choice: Choice) -> Self {
        let (of, waited, terms) = ((pair.agent, pair.item), pair.waited, pair.terms);
        let others = choice.best.iter().filter(|other| (other.agent, other.item) != of);
        let others = others.map(|pair| (pair.agent, pair.item, pair.terms)).collect();
        Self { at, trigger: choice.trigger, waited, terms, compared: choice.compared, others }
    }
}

impl fmt::Display for Reason {
    /// One line: the score, its terms that are not zero, and how many were compared.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "score {:.1} ({}), ", self.terms.total(), self.terms)?;
        match (self.trigger, self.compared) {
            (Trigger::Item, 1) => f.write_str("the only one free"),
            (Trigger::Item, n) => write!(f, "best of {n} that were free"),
            (Trigger::Agent, 1) => f.write_str("the only one waiting"),
            (Trigger::Agent, n) => write!(f, "best of {n} waiting"),
        }
    }
}

/// The best pairs of a match.
#[derive(Debug)]
pub(super) struct Choice {
    trigger: Trigger,
    best: Vec<Pair>,
    compared: usize,
}

impl Choice {
    /// Nothing compared yet.
    pub(super) fn new(trigger: Trigger) -> Self {
        Self { trigger, best: Vec::with_capacity(OTHERS_MAX + 1), compared: 0 }
    }

    /// Takes in a pair.
    pub(super) fn consider(&mut self, pair: Option<Pair>) {
        let Some(pair) = pair else { return };
        if self.best.contains(&pair) {
            return;
        }
        self.compared += 1;
        if self.best.len() > OTHERS_MAX {
            if self.best.last().is_some_and(|last| *last >= pair) {
                return;
            }
            self.best.pop();
        }
        let at = self.best.partition_point(|other| *other > pair);
        self.best.insert(at, pair);
    }

    /// Who scores less is not among the best; none while there is room for anybody.
    pub(super) fn floor(&self) -> Option<f64> {
        self.best.get(OTHERS_MAX).map(|last| last.key)
    }

    /// The best.
    pub(super) fn best(&self) -> Option<Pair> {
        self.best.first().copied()
    }
}

/// What speaks for or against an agent.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// Could take the item now, at this score.
    Scores(Terms),
    /// Fits, but has in hand what leaves no room, or an offer.
    Occupied(AgentStatus),
    /// Fits, but is signed out or not ready.
    Away(AgentStatus),
    /// Fits, but the phone cannot be reached.
    Unreachable,
    /// Cannot be offered the item at this wait.
    Unfit(Unfit),
}

/// An agent, as seen by an item.
#[derive(Clone, PartialEq, Debug)]
pub struct Candidate {
    /// The agent.
    pub agent: AgentId,
    /// What speaks for or against.
    pub verdict: Verdict,
}

impl Engine {
    /// What each agent of the tenant is to an item that waits, the best first. None when it does not wait here. Costs time
    /// with the number of agents.
    pub fn explain(&self, now: Now, item: WorkItemId) -> Option<Vec<Candidate>> {
        let entry = self.items.get(&item)?;
        let gate = self.fits.gate(entry.gate)?;
        let head = Head { item, gate, prefers: &entry.prefers, waited: entry.rank().waited(now.mono) };
        Some(self.candidates(now, head))
    }

    /// What each agent would be to an item that came now; nothing changes.
    pub fn consider(&self, now: Now, entry: &Entry) -> Result<Vec<Candidate>, EnqueueError> {
        let queue = self.queues.get(&entry.queue).ok_or(EnqueueError::UnknownQueue)?;
        let (ask, prefers) = self.ask(queue, entry);
        let target = queue.target(entry.medium);
        let gate = Gate::new(ask, queue.profile.importance, target, Fit::Many);
        let place = Place::new(now.mono, entry.waited).with_credit(entry.credit);
        let head = Head { item: WorkItemId(0), gate: &gate, prefers: &prefers, waited: place.waited(now.mono) };
        Ok(self.candidates(now, head))
    }

    /// Whether an item is held for a better agent now.
    pub fn is_on_hold(&self, item: WorkItemId) -> bool {
        self.items.get(&item).is_some_and(|item| item.hold_at.is_some())
    }

    /// What an item asks of agents, and what it prefers.
    pub(super) fn ask(&self, queue: &Queue, entry: &Entry) -> (Ask, Vec<Want>) {
        let wants = queue.profile.wants.iter().chain(&entry.wants);
        // Agents may mind the skills that an item needs as well as its attributes.
        let needed = wants.clone().filter(|want| want.mode == Mode::Required).map(|want| want.what);
        let traits = entry.traits.iter().copied().chain(needed);
        let traits = self.fits.minded(queue.tenant(), traits);
        let (gates, prefers) = part(wants.cloned());
        let (tenant, queue, credit) = (queue.tenant(), queue.profile.id, entry.credit);
        (Ask { tenant, queue, medium: entry.medium, credit, gates, traits }, prefers)
    }

    fn candidates(&self, now: Now, head: Head<'_>) -> Vec<Candidate> {
        let tenant = head.gate.ask.tenant;
        let agents = self.agents.iter().filter(|(_, agent)| agent.tenant == tenant);
        let mut list: Vec<Candidate> = agents
            .filter_map(|(&id, agent)| {
                let class = self.fits.class(agent.class)?;
                let verdict = match judge(&class.kind, Some(id), &head.gate.ask, head.prefers, head.waited) {
                    Err(unfit) => Verdict::Unfit(unfit),
                    Ok(_) => self.standing(now, head, id),
                };
                Some(Candidate { agent: id, verdict })
            })
            .collect();
        list.sort_by(|a, b| order(&a.verdict).cmp(&order(&b.verdict)).then(score(b).total_cmp(&score(a))));
        list
    }

    /// What an agent who fits could do now.
    fn standing(&self, now: Now, head: Head<'_>, id: AgentId) -> Verdict {
        let Some(agent) = self.agents.get(&id) else { return Verdict::Away(AgentStatus::Null) };
        let footing = agent.footing();
        let Some((posture, idle_since)) = footing.open else {
            return match footing.status {
                AgentStatus::Null | AgentStatus::NotReady => Verdict::Away(footing.status),
                status => Verdict::Occupied(status),
            };
        };
        let Some(class) = self.fits.class(agent.class) else { return Verdict::Away(footing.status) };
        let routing = self.fits.routing(head.gate.ask.tenant);
        let seat = Seat { agent: id, id: agent.class, class, posture, idle_since };
        match self.pair(now.mono, &routing, Trigger::Item, head, seat) {
            Some(pair) => Verdict::Scores(pair.terms),
            None if posture.deaf && !held_by_more(posture, head, &class.kind) => Verdict::Unreachable,
            None => Verdict::Occupied(AgentStatus::Busy),
        }
    }
}

/// Whether more than the missing phone keeps the agent from it.
fn held_by_more(posture: Posture, head: Head<'_>, kind: &Kind) -> bool {
    let hearing = Posture { deaf: false, ..posture };
    !hearing.takes(head.gate.ask.medium, kind.slots)
}

fn order(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Scores(_) => 0,
        Verdict::Occupied(_) => 1,
        Verdict::Unreachable => 2,
        Verdict::Away(_) => 3,
        Verdict::Unfit(_) => 4,
    }
}

fn score(candidate: &Candidate) -> f64 {
    match &candidate.verdict {
        Verdict::Scores(terms) => terms.total(),
        _ => 0.0,
    }
}
