//! Why an item went to an agent, and why not to the others.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{AgentId, Now, TenantId, WorkItemId};
use crate::core::contact::routing::Policy;
use crate::core::contact::{Level, Mode, Want};
use crate::core::journal::AgentStatus;

use super::agent::Agent;
use super::class::Kind;
use super::engine::Engine;
use super::gate::{Ask, Gate, part};
use super::item::{Queue, Stage};
use super::line::Place;
use super::matching::{Head, Pair, Prospect, Seat, look_in};
use super::need::Needs;
use super::posture::Posture;
use super::profile::{EnqueueError, Entry};
use super::score::{Terms, Unfit, Weighing, judge, skill};

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
    /// By which policy pairs were compared.
    pub policy: Policy,
    /// How long the item had waited, credit included.
    pub waited: Duration,
    /// The score; what decided only where the policy goes by it.
    pub terms: Terms,
    /// How many pairs were compared: agents alike and items alike count as one. Of an agent who serves several tenants only
    /// those with items of the tenant whose item it is: what waits of others is not told.
    pub compared: usize,
    /// The best of the others: another agent for the item, or another item of the same tenant for the agent.
    pub others: Vec<(AgentId, WorkItemId, Terms)>,
}

impl Reason {
    pub(super) fn new(at: Now, policy: Policy, pair: Pair, choice: Choice) -> Self {
        let (of, waited, terms) = ((pair.agent, pair.item), pair.waited, pair.terms);
        let others = choice.best.iter().filter(|other| (other.agent, other.item) != of);
        let others = others.map(|pair| (pair.agent, pair.item, pair.terms)).collect();
        Self { at, trigger: choice.trigger, policy, waited, terms, compared: choice.compared, others }
    }
}

impl fmt::Display for Reason {
    /// One line: the score and its terms that are not zero, or the policy that does not go by it, and how many were compared.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.policy.goes_by_score() {
            write!(f, "score {:.1} ({}), ", self.terms.total(), self.terms)?;
        } else {
            write!(f, "{}, ", self.policy)?;
        }
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

/// The best pairs of an agent with items of each tenant that it serves. Each tenant's are chosen without a look at the others',
/// so that what is told of the one that is taken says nothing of what waits elsewhere.
#[derive(Debug)]
pub(super) struct Choices(Vec<(TenantId, Choice)>);

impl Choices {
    /// Nothing compared yet.
    pub(super) fn new(tenants: impl Iterator<Item = TenantId>) -> Self {
        Self(tenants.map(|tenant| (tenant, Choice::new(Trigger::Agent))).collect())
    }

    /// The tenant's; whose item it is, is looked up for agents of several tenants alone.
    pub(super) fn of(&mut self, tenant: impl FnOnce() -> Option<TenantId>) -> Option<&mut Choice> {
        let at = match self.0.len() {
            1 => 0,
            _ => tenant().and_then(|tenant| self.0.iter().position(|(of, _)| *of == tenant))?,
        };
        self.0.get_mut(at).map(|(_, choice)| choice)
    }

    /// The best of all, and what it was compared with.
    pub(super) fn best(self) -> Option<(Pair, Choice)> {
        let each = self.0.into_iter().filter_map(|(_, choice)| Some((choice.best()?, choice)));
        each.max_by(|(a, _), (b, _)| a.cmp(b))
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

/// What a policy that does not go by the score compares agents by: first what is put aside, then the longest idle; under
/// best-skill the level first.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Basis {
    /// The least level of what is required: how good the agent is at such items.
    pub level: Level,
    /// How much other work steps aside, from 0.
    pub put_aside: u8,
    /// Idle for so long.
    pub idle: Duration,
}

/// An agent, as seen by an item.
#[derive(Clone, PartialEq, Debug)]
pub struct Candidate {
    /// The agent.
    pub agent: AgentId,
    /// What speaks for or against.
    pub verdict: Verdict,
    /// What counts of who could take it, under a policy that does not go by the score.
    pub basis: Option<Basis>,
}

/// An item is not given to who could take it now: a better agent is likely to be free soon.
#[derive(Clone, PartialEq, Debug)]
pub struct Hold {
    /// The best of those who could take it now.
    pub instead_of: AgentId,
    /// The better ones, the one most likely to be free next first; at most [`BETTER_MAX`] of them.
    pub better: Vec<AgentId>,
    /// How many there are.
    pub better_count: usize,
    /// When one of them is expected to be free.
    pub free_in: Duration,
    /// Points that are gained by waiting for them.
    pub gain: f64,
    /// Points by which the item's urgency grows until then.
    pub loss: f64,
    /// When it is looked at again at the latest.
    pub look_in: Duration,
}

/// Most better agents that are named.
pub const BETTER_MAX: usize = 8;

/// What an item and the agents of its tenant are to each other.
#[derive(Clone, PartialEq, Debug)]
pub struct Appraisal {
    /// The policy by which they are in order.
    pub policy: Policy,
    /// The agents, the first one first.
    pub candidates: Vec<Candidate>,
    /// Why the first one is not offered the item.
    pub hold: Option<Hold>,
}

impl Engine {
    /// What each agent of the tenant is to an item that waits, in the order of the tenant's policy, and why it is held if it
    /// is. None when it does not wait here. Costs time with the number of agents.
    pub fn explain(&self, now: Now, item: WorkItemId) -> Option<Appraisal> {
        let entry = self.items.get(&item)?;
        let gate = self.fits.gate(entry.gate)?;
        let head = Head::new(now.mono, entry.rank(), item, gate, &entry.prefers);
        // Who stands behind an item that is held is looked at with it.
        let held_at = |id| self.items.get(&id).and_then(|item| item.hold_at);
        let look_at = entry.hold_at.or_else(|| self.held_elder(item).and_then(held_at));
        let look_in = look_at.filter(|_| entry.stage == Stage::Waiting).map(|at| at.since(now.mono));
        Some(self.appraise(now, head, |hold| look_in.map(|look_in| Hold { look_in, ..hold })))
    }

    /// What each agent would be to an item that came now; nothing changes.
    pub fn consider(&self, now: Now, entry: &Entry) -> Result<Appraisal, EnqueueError> {
        let queue = self.queues.get(&entry.queue).ok_or(EnqueueError::UnknownQueue)?;
        let (ask, prefers) = self.ask(queue, entry);
        let target = queue.target(entry.medium);
        let gate = Gate::new(ask, queue.profile.importance, target, None);
        let place = Place::new(now.mono, entry.waited).with_credit(entry.credit);
        let head = Head::new(now.mono, place, WorkItemId(0), &gate, &prefers);
        Ok(self.appraise(now, head, Some))
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
        let needs = Arc::new(Needs { tenant: queue.tenant(), medium: entry.medium, gates, traits });
        (Ask { needs, queue: queue.profile.id, credit: entry.credit + entry.excused }, prefers)
    }

    fn appraise(&self, now: Now, head: Head<'_>, held: impl FnOnce(Hold) -> Option<Hold>) -> Appraisal {
        let tenant = head.gate.ask.needs.tenant;
        let routing = self.fits.routing(tenant);
        let serves = |agent: &Agent| self.fits.class(agent.class).is_some_and(|class| class.kind.is_of(tenant));
        let agents = self.agents.iter().filter(|(_, agent)| serves(agent));
        let mut list: Vec<(Option<Pair>, Candidate)> =
            agents.filter_map(|(&id, agent)| self.candidate(now, &routing, head, id, agent)).collect();
        list.sort_by(|(a, left), (b, right)| order(&left.verdict).cmp(&order(&right.verdict)).then(b.cmp(a)));
        let best = list.first().and_then(|(pair, _)| *pair);
        let hold = best.and_then(|best| held(self.prospect(now, &routing, head, best)?));
        let candidates = list.into_iter().map(|(_, candidate)| candidate).collect();
        Appraisal { policy: routing.policy, candidates, hold }
    }

    fn candidate(
        &self,
        now: Now,
        routing: &Weighing,
        head: Head<'_>,
        id: AgentId,
        agent: &Agent,
    ) -> Option<(Option<Pair>, Candidate)> {
        let class = self.fits.class(agent.class)?;
        let without = |verdict| Some((None, Candidate { agent: id, verdict, basis: None }));
        if let Err(unfit) = judge(&class.kind, Some(id), &head.gate.ask.needs, head.prefers, head.waited) {
            return without(Verdict::Unfit(unfit));
        }
        let footing = agent.footing();
        let Some((posture, idle_since)) = footing.open else {
            return without(match footing.status {
                AgentStatus::Null | AgentStatus::NotReady => Verdict::Away(footing.status),
                _ if agent.is_cut() => Verdict::Unreachable,
                status => Verdict::Occupied(status),
            });
        };
        let seat = Seat { agent: id, id: agent.class, class, posture, idle_since };
        let Some(pair) = self.pair(now.mono, routing, Trigger::Item, head, seat) else {
            let phone_alone = posture.deaf && !held_by_more(posture, head, &class.kind);
            return without(if phone_alone { Verdict::Unreachable } else { Verdict::Occupied(AgentStatus::Busy) });
        };
        let basis = || Basis {
            level: skill(&class.kind, Some(id), head.wants()),
            put_aside: self.put_aside(head, seat),
            idle: now.mono.since(idle_since),
        };
        let basis = (!routing.policy.goes_by_score()).then(basis);
        Some((Some(pair), Candidate { agent: id, verdict: Verdict::Scores(pair.terms), basis }))
    }

    /// Why the best of those who could take an item is not offered it; none where it would be.
    fn prospect(&self, now: Now, routing: &Weighing, head: Head<'_>, best: Pair) -> Option<Hold> {
        let mut better: Vec<(f64, AgentId)> = vec![];
        let each = |agent, rate| better.push((rate, agent));
        let Prospect { free_in, gain, loss } = self.worth_waiting(now.mono, routing, head, best, each)?;
        better.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let better_count = better.len();
        let better = better.into_iter().take(BETTER_MAX).map(|(_, agent)| agent).collect();
        let look_in = look_in(routing, head);
        Some(Hold { instead_of: best.agent, better, better_count, free_in, gain, loss, look_in })
    }
}

/// Whether more than the missing phone keeps the agent from it.
fn held_by_more(posture: Posture, head: Head<'_>, kind: &Kind) -> bool {
    let hearing = Posture { deaf: false, ..posture };
    !hearing.takes(head.gate.ask.needs.medium, kind.slots)
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
