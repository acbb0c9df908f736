//! Who fits what, kept as indices so that a match costs what the plausible candidates cost.
//!
//! Agents with the same tenant and skills form a class; queues with the same tenant and needs form a demand. Which
//! classes fit which demands is worked out when provisioning changes; afterwards each demand holds the ready agents
//! that fit it, best first, and its queues where somebody waits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::base::{AgentId, Instant, QueueId, SkillId, TenantId};

/// A skill level, 0 to 1 in ten-thousandths: exact to compare.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Level(u16);

impl Level {
    /// The highest level.
    const FULL: Level = Level(10_000);

    /// Clamped to 0..=1; not-a-number counts as 0.
    fn new(level: f32) -> Self {
        // A float-to-integer cast saturates, and takes not-a-number to 0.
        Self((level.clamp(0.0, 1.0) * 10_000.0).round() as u16)
    }
}

/// Skills with levels, by id, each skill once (its highest level counts).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(super) struct Skills(Vec<(SkillId, Level)>);

impl Skills {
    /// From what is provisioned.
    pub(super) fn new(skills: &[(SkillId, f32)]) -> Self {
        let mut list: Vec<_> = skills.iter().map(|&(skill, level)| (skill, Level::new(level))).collect();
        list.sort_unstable_by_key(|&(skill, level)| (skill, Reverse(level)));
        list.dedup_by_key(|&mut (skill, _)| skill);
        Self(list)
    }

    /// How well somebody with these skills fits `needs`: the least of the needed skills' levels; none when a needed
    /// skill is missing or below its least level. No needs: everybody fits fully.
    pub(super) fn fitness(&self, needs: &Skills) -> Option<Level> {
        needs.0.iter().try_fold(Level::FULL, |fitness, &(skill, least)| {
            let at = self.0.binary_search_by_key(&skill, |&(s, _)| s).ok()?;
            let &(_, have) = self.0.get(at)?;
            (have >= least).then_some(fitness.min(have))
        })
    }
}

/// A class of agents alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ClassId(usize);

/// A demand: queues with like needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DemandId(usize);

/// Order of ready agents: the fittest, among them the longest idle, among them the lowest id.
type ReadyKey = (Reverse<Level>, Instant, AgentId);

/// One demand's candidates on both sides.
#[derive(Default, Debug)]
struct Demand {
    ready: BTreeSet<ReadyKey>,
    waiting: BTreeSet<QueueId>,
    staff: usize,
}

/// All classes and demands.
#[derive(Default, Debug)]
pub(super) struct Fits {
    demands: Vec<Demand>,
    demand_ids: BTreeMap<(TenantId, Skills), DemandId>,
    classes: Vec<Vec<(DemandId, Level)>>,
    class_ids: BTreeMap<(TenantId, Skills), ClassId>,
}

impl Fits {
    /// The demand of a queue. Name all demands before the first class.
    pub(super) fn demand(&mut self, tenant: TenantId, needs: &Skills) -> DemandId {
        let next = DemandId(self.demands.len());
        let id = *self.demand_ids.entry((tenant, needs.clone())).or_insert(next);
        if id == next {
            self.demands.push(Demand::default());
        }
        id
    }

    /// The class of an agent.
    pub(super) fn class(&mut self, tenant: TenantId, skills: &Skills) -> ClassId {
        let next = ClassId(self.classes.len());
        let id = *self.class_ids.entry((tenant, skills.clone())).or_insert(next);
        if id == next {
            let of_tenant = self.demand_ids.range((tenant, Skills::default())..).take_while(|((t, _), _)| *t == tenant);
            let fits = of_tenant.filter_map(|((_, needs), &demand)| Some((demand, skills.fitness(needs)?))).collect();
            self.classes.push(fits);
        }
        id
    }

    /// An agent of the class, idle since then, can take work.
    pub(super) fn add_ready(&mut self, class: ClassId, idle_since: Instant, agent: AgentId) {
        self.each(class, |demand, level| {
            demand.ready.insert((Reverse(level), idle_since, agent));
        });
    }

    /// Undoes [`add_ready`](Self::add_ready).
    pub(super) fn remove_ready(&mut self, class: ClassId, idle_since: Instant, agent: AgentId) {
        self.each(class, |demand, level| {
            demand.ready.remove(&(Reverse(level), idle_since, agent));
        });
    }

    /// One more agent of the class works (ready, busy or in wrap-up).
    pub(super) fn add_staff(&mut self, class: ClassId) {
        self.each(class, |demand, _| demand.staff += 1);
    }

    /// Undoes [`add_staff`](Self::add_staff).
    pub(super) fn remove_staff(&mut self, class: ClassId) {
        self.each(class, |demand, _| demand.staff = demand.staff.saturating_sub(1));
    }

    fn each(&mut self, class: ClassId, mut act: impl FnMut(&mut Demand, Level)) {
        for &(demand, level) in self.classes.get(class.0).into_iter().flatten() {
            if let Some(demand) = self.demands.get_mut(demand.0) {
                act(demand, level);
            }
        }
    }

    /// Whether somebody waits without an offer in the queue.
    pub(super) fn set_waiting(&mut self, demand: DemandId, queue: QueueId, waits: bool) {
        if let Some(demand) = self.demands.get_mut(demand.0) {
            if waits {
                demand.waiting.insert(queue);
            } else {
                demand.waiting.remove(&queue);
            }
        }
    }

    /// The agent to offer work of the demand to.
    pub(super) fn best_agent(&self, demand: DemandId) -> Option<AgentId> {
        self.ready_of(demand).next()
    }

    /// Agents who work and fit the demand.
    pub(super) fn staff(&self, demand: DemandId) -> usize {
        self.demands.get(demand.0).map_or(0, |d| d.staff)
    }

    /// Queues that an agent of the class fits and where somebody waits.
    pub(super) fn waiting_for(&self, class: ClassId) -> impl Iterator<Item = QueueId> {
        let fits = self.classes.get(class.0).into_iter().flatten();
        fits.filter_map(|&(demand, _)| self.demands.get(demand.0)).flat_map(|d| d.waiting.iter().copied())
    }

    /// Queues of the demand where somebody waits.
    pub(super) fn waiting_of(&self, demand: DemandId) -> impl Iterator<Item = QueueId> {
        self.demands.get(demand.0).into_iter().flat_map(|d| d.waiting.iter().copied())
    }

    /// Queues where somebody waits although an agent who fits is ready.
    pub(super) fn matchable(&self) -> impl Iterator<Item = QueueId> {
        self.demands.iter().filter(|d| !d.ready.is_empty()).flat_map(|d| d.waiting.iter().copied())
    }

    /// The ready agents of a demand, best first.
    pub(super) fn ready_of(&self, demand: DemandId) -> impl Iterator<Item = AgentId> {
        self.demands.get(demand.0).into_iter().flat_map(|d| d.ready.iter().map(|&(_, _, agent)| agent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skills(list: &[(u32, f32)]) -> Skills {
        Skills::new(&list.iter().map(|&(s, l)| (SkillId(s), l)).collect::<Vec<_>>())
    }

    #[test]
    fn fitness_is_the_least_needed_level_and_none_below_it() {
        let have = skills(&[(3, 0.5), (1, 0.9), (2, 0.7)]);
        assert_eq!(have.fitness(&skills(&[])), Some(Level(10_000)));
        assert_eq!(have.fitness(&skills(&[(1, 0.2), (2, 0.2)])), Some(Level(7_000)));
        assert_eq!(have.fitness(&skills(&[(3, 0.5)])), Some(Level(5_000)));
        assert_eq!(have.fitness(&skills(&[(3, 0.5001)])), None);
        assert_eq!(have.fitness(&skills(&[(4, 0.0)])), None);
    }

    #[test]
    fn odd_levels_are_tamed() {
        assert_eq!(Level::new(f32::NAN), Level(0));
        assert_eq!(Level::new(-1.0), Level(0));
        assert_eq!(Level::new(f32::INFINITY), Level(10_000));
        assert_eq!(skills(&[(1, 0.2), (1, 0.8)]), skills(&[(1, 0.8)]));
    }

    #[test]
    fn tenants_do_not_share_and_like_profiles_do() {
        let mut fits = Fits::default();
        let a = fits.demand(TenantId(1), &skills(&[(1, 0.5)]));
        let b = fits.demand(TenantId(2), &skills(&[(1, 0.5)]));
        assert_eq!(a, fits.demand(TenantId(1), &skills(&[(1, 0.5)])));
        let class = fits.class(TenantId(1), &skills(&[(1, 1.0)]));
        assert_eq!(class, fits.class(TenantId(1), &skills(&[(1, 1.0)])));
        fits.add_ready(class, Instant::ZERO, AgentId(7));
        assert_eq!(fits.best_agent(a), Some(AgentId(7)));
        assert_eq!(fits.best_agent(b), None);
    }

    #[test]
    fn longest_idle_among_the_fittest() {
        let mut fits = Fits::default();
        let demand = fits.demand(TenantId(1), &skills(&[(1, 0.1)]));
        let expert = fits.class(TenantId(1), &skills(&[(1, 0.9)]));
        let novice = fits.class(TenantId(1), &skills(&[(1, 0.2)]));
        let at = Instant::from_micros;
        fits.add_ready(novice, at(1), AgentId(1));
        fits.add_ready(expert, at(3), AgentId(2));
        fits.add_ready(expert, at(2), AgentId(3));
        assert_eq!(fits.best_agent(demand), Some(AgentId(3)));
        fits.remove_ready(expert, at(2), AgentId(3));
        assert_eq!(fits.best_agent(demand), Some(AgentId(2)));
        fits.remove_ready(expert, at(3), AgentId(2));
        assert_eq!(fits.best_agent(demand), Some(AgentId(1)));
    }
}
