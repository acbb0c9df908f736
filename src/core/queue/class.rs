//! Classes: agents who are alike to the match, each with those of them who may take something.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::base::{AgentId, Instant, QueueId, TenantId, TraitId};
use crate::core::contact::{Level, Mind, Slots};

use super::need::NeedId;
use super::posture::Posture;
use super::profile::AgentProfile;

/// A class of agents alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ClassId(pub(super) u32);

/// Traits with levels, by id, each once (its highest level counts), none at level 0.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub(super) struct Traits(Box<[(TraitId, Level)]>);

impl Traits {
    /// From what is provisioned.
    pub(super) fn new(traits: &[(TraitId, Level)]) -> Self {
        let mut list: Vec<_> = traits.iter().copied().filter(|&(_, level)| level > Level::NONE).collect();
        list.sort_unstable_by_key(|&(what, level)| (what, Reverse(level)));
        list.dedup_by_key(|&mut (what, _)| what);
        Self(list.into())
    }

    /// At what level it is there.
    pub(super) fn level(&self, what: TraitId) -> Level {
        let at = self.0.binary_search_by_key(&what, |&(t, _)| t);
        at.ok().and_then(|at| self.0.get(at)).map_or(Level::NONE, |&(_, level)| level)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = TraitId> {
        self.0.iter().map(|&(what, _)| what)
    }
}

/// What makes agents alike.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Kind {
    /// Their own tenant.
    pub(super) tenant: TenantId,
    /// Other tenants that they serve, in order.
    pub(super) serves: Box<[TenantId]>,
    /// What they have.
    pub(super) traits: Traits,
    /// What they mind in items.
    pub(super) minds: Box<[Mind]>,
    /// How much they take.
    pub(super) slots: Slots,
}

impl Kind {
    /// Of an agent.
    pub(super) fn new(profile: &AgentProfile) -> Self {
        let mut minds = profile.minds.clone();
        minds.sort_unstable();
        minds.dedup();
        let (tenant, slots) = (profile.tenant, profile.slots);
        let mut serves: Vec<TenantId> = profile.serves.iter().copied().filter(|other| *other != tenant).collect();
        serves.sort_unstable();
        serves.dedup();
        Self { tenant, serves: serves.into(), traits: Traits::new(&profile.traits), minds: minds.into(), slots }
    }

    /// All tenants that they serve.
    pub(super) fn tenants(&self) -> impl Iterator<Item = TenantId> {
        std::iter::once(self.tenant).chain(self.serves.iter().copied())
    }

    /// Whether they serve the tenant.
    pub(super) fn is_of(&self, tenant: TenantId) -> bool {
        self.tenant == tenant || self.serves.binary_search(&tenant).is_ok()
    }
}

/// What an agent is busy with, as far as it foretells when the agent will be free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Busy {
    /// The queue the work came from.
    pub(super) queue: QueueId,
    /// Since when.
    pub(super) since: Instant,
}

/// A queue whose items the agents of a class can take.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Use {
    /// The queue, by its number among the burdens.
    pub(super) burden: usize,
    /// How good they are at its items.
    pub(super) level: Level,
}

/// A need of somebody who waits, as a class remembers it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    /// The need.
    pub(super) need: NeedId,
    /// How often any need had come up by then: an old stamp is void.
    pub(super) epoch: u32,
}

/// A class.
#[derive(Debug)]
pub(super) struct Class {
    /// What its agents have in common.
    pub(super) kind: Kind,
    /// Those who may take something, the longest idle first.
    pub(super) open: BTreeMap<Posture, BTreeSet<(Instant, AgentId)>>,
    /// Those who have a live conversation alone.
    pub(super) busy: BTreeMap<AgentId, Busy>,
    /// Queues whose items its agents can take.
    pub(super) uses: Vec<Use>,
    /// How many work: ready, busy or in wrap-up.
    pub(super) staff: u32,
    /// Needs that its agents meet and of whom somebody waits; some stamps are void.
    pub(super) waiting: Vec<Stamp>,
    /// Length of `waiting` at which void stamps are swept.
    pub(super) sweep_at: usize,
}

impl Class {
    /// A class without agents.
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            open: BTreeMap::new(),
            busy: BTreeMap::new(),
            uses: vec![],
            staff: 0,
            waiting: vec![],
            sweep_at: 64,
        }
    }

    /// An agent may take something, or something else than before.
    pub(super) fn add_open(&mut self, posture: Posture, idle_since: Instant, agent: AgentId) {
        self.open.entry(posture).or_default().insert((idle_since, agent));
    }

    /// Undoes [`add_open`](Self::add_open).
    pub(super) fn remove_open(&mut self, posture: Posture, idle_since: Instant, agent: AgentId) {
        if let Some(agents) = self.open.get_mut(&posture) {
            agents.remove(&(idle_since, agent));
            if agents.is_empty() {
                self.open.remove(&posture);
            }
        }
    }

    /// Remembers a need.
    pub(super) fn stamp(&mut self, stamp: Stamp, holds: impl Fn(Stamp) -> bool) {
        if self.waiting.len() >= self.sweep_at {
            self.waiting.retain(|&old| holds(old));
            self.sweep_at = (self.waiting.len() * 2).max(64);
        }
        self.waiting.push(stamp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trait_counts_at_its_highest_level_and_at_none_not_at_all() {
        let list = [(3, 0.5), (1, 0.2), (1, 0.9), (2, 0.0)].map(|(t, l)| (TraitId(t), Level::new(l)));
        let traits = Traits::new(&list);
        assert_eq!(traits.level(TraitId(1)), Level::new(0.9));
        assert_eq!(traits.level(TraitId(4)), Level::NONE);
        assert_eq!(traits.iter().collect::<Vec<_>>(), [TraitId(1), TraitId(3)]);
    }

    #[test]
    fn void_stamps_are_swept_when_there_are_many() {
        let kind = Kind {
            tenant: TenantId(1),
            serves: Box::default(),
            traits: Traits::default(),
            minds: Box::default(),
            slots: Slots::default(),
        };
        let mut class = Class::new(kind);
        for epoch in 0..1_000 {
            class.stamp(Stamp { need: NeedId(epoch), epoch }, |old| old.epoch % 100 == 0);
        }
        assert!(class.waiting.len() <= 64, "{}", class.waiting.len());
    }
}
