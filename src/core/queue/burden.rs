//! Burdens: what load each queue puts on each agent who can take its items, and how scarce those agents are.
//!
//! A flexible agent who takes what others could have taken is missing where nobody else could. So an item that chooses an
//! agent weighs what that agent is needed for elsewhere: the load of each other queue for each agent at work who could bear
//! it, by how good this agent is at it, and less with each other agent who idles and could.

use std::collections::{BTreeMap, HashMap};

use crate::base::QueueId;

use super::class::{Class, Use};

/// Most pairs of queues with a class in common that are added up; of more, every so many classes stand for all.
const PAIRS_MAX: usize = 100_000;

/// A queue that has less of its work done by another's agents is no rival of it.
const RIVALS_FROM: f64 = 0.01;

/// Another queue whose items are taken by agents who could take a queue's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rival {
    /// That queue.
    pub(super) queue: QueueId,
    /// The part of its work that they do.
    pub(super) part: f64,
}

/// One queue's burden.
#[derive(Clone, Debug)]
pub(super) struct Burden {
    /// The queue.
    pub(super) queue: QueueId,
    /// Agents that its live items keep busy.
    pub(super) load: f64,
    /// The same for each agent at work.
    pub(super) share: f64,
    /// How long one of its live items occupies an agent, in seconds; none until that is known.
    pub(super) service_s: Option<f64>,
    /// How long an item of any queue occupies the agents who could take this one's, in seconds; none until that is known.
    pub(super) occupied_s: Option<f64>,
    /// Whose items they take as well.
    pub(super) rivals: Vec<Rival>,
    /// Agents at work who could take its items.
    pub(super) staff: u32,
    /// Those of them who idle.
    pub(super) idle: u32,
}

/// All burdens, numbered by their places.
#[derive(Default, Debug)]
pub(super) struct Burdens(Vec<Burden>);

impl Burdens {
    /// A queue without load; gives its number.
    pub(super) fn add(&mut self, queue: QueueId) -> usize {
        let (load, share, service_s, occupied_s) = (0.0, 0.0, None, None);
        self.0.push(Burden { queue, load, share, service_s, occupied_s, rivals: Vec::new(), staff: 0, idle: 0 });
        self.0.len() - 1
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// To set the shares.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Burden> {
        self.0.iter_mut()
    }

    /// Works out shares and rivals anew, from the loads.
    pub(super) fn settle<'a>(&mut self, classes: impl Iterator<Item = &'a Class>) {
        for burden in &mut self.0 {
            burden.share = burden.load / f64::from(burden.staff.max(1));
            (burden.occupied_s, burden.rivals) = (None, Vec::new());
        }
        let classes: Vec<&Class> = classes.filter(|class| class.staff > 0).collect();
        let pairs: usize = classes.iter().map(|class| class.uses.len().pow(2)).sum();
        let common = self.in_common(classes.into_iter().step_by(pairs.div_ceil(PAIRS_MAX).max(1)));
        // Of each queue the agents that it has, and of each pair those that the first has of the second's.
        for (&(of, by), agents) in common.iter().filter(|((of, by), _)| of != by) {
            let own = common.get(&(of, of)).copied().unwrap_or_default();
            let Some(queue) = self.0.get(of).map(|rival| rival.queue) else { continue };
            let part = agents / own.max(1e-9);
            if let Some(burden) = self.0.get_mut(by).filter(|_| part >= RIVALS_FROM) {
                burden.rivals.push(Rival { queue, part });
            }
        }
        let mut occupied = vec![(0.0, 0.0); self.0.len()];
        for (&(of, by), agents) in &common {
            if let (Some(each_s), Some((sum, all))) = (self.0.get(of).and_then(|b| b.service_s), occupied.get_mut(by)) {
                (*sum, *all) = (*sum + agents * each_s, *all + agents);
            }
        }
        for (burden, (sum, all)) in self.0.iter_mut().zip(occupied) {
            burden.rivals.sort_unstable_by_key(|rival| rival.queue);
            burden.occupied_s = (all > 0.0).then_some(sum / all);
        }
    }

    /// Of each pair of queues how many agents the first one has, by its part of their work, who could take the second one's
    /// items as well.
    fn in_common<'a>(&self, classes: impl Iterator<Item = &'a Class>) -> BTreeMap<(usize, usize), f64> {
        let mut common: HashMap<(usize, usize), f64> = HashMap::new();
        // Queues that are all unknown yet share their agents evenly.
        let weight = |each: &Use| self.0.get(each.burden).map_or(0.0, |burden| burden.load.max(1e-6));
        for class in classes {
            let all: f64 = class.uses.iter().map(weight).sum();
            for of in &class.uses {
                let agents = f64::from(class.staff) * weight(of) / all;
                for by in &class.uses {
                    *common.entry((of.burden, by.burden)).or_default() += agents;
                }
            }
        }
        // From here on in one order, so that sums are the same in each run.
        common.into_iter().collect()
    }

    /// An agent of the class begins to idle, or ends.
    pub(super) fn idles(&mut self, class: &Class, begins: bool) {
        self.count(class, begins, |burden| &mut burden.idle);
    }

    /// An agent of the class begins to work, or ends.
    pub(super) fn works(&mut self, class: &Class, begins: bool) {
        self.count(class, begins, |burden| &mut burden.staff);
    }

    fn count(&mut self, class: &Class, more: bool, of: impl Fn(&mut Burden) -> &mut u32) {
        for each in &class.uses {
            if let Some(count) = self.0.get_mut(each.burden).map(&of) {
                *count = if more { count.saturating_add(1) } else { count.saturating_sub(1) };
            }
        }
    }

    /// One of them.
    pub(super) fn get(&self, number: usize) -> Option<&Burden> {
        self.0.get(number)
    }

    /// What each agent of the class is needed for but for the queue; `scarcity` is what is left of a burden for each other idle
    /// agent, of whom `counted` are not others.
    pub(super) fn flex(&self, class: &Class, queue: QueueId, scarcity: f64, counted: u32) -> f64 {
        let each = |each: &Use| {
            let burden = self.0.get(each.burden).filter(|burden| burden.queue != queue && burden.share > 0.0)?;
            let others = i32::try_from(burden.idle.saturating_sub(counted)).unwrap_or(i32::MAX);
            Some(burden.share * each.level.get() * scarcity.powi(others))
        };
        class.uses.iter().filter_map(each).sum()
    }

    /// All of them: for checks.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Burden> {
        self.0.iter()
    }
}
