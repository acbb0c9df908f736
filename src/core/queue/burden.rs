//! Burdens: what load each queue puts on each agent who can take its items, and how scarce those agents are.
//!
//! A flexible agent who takes what others could have taken is missing where nobody else could. So an item that chooses an
//! agent weighs what that agent is needed for elsewhere: the load of each other queue for each agent at work who could bear
//! it, by how good this agent is at it, and less with each other agent who idles and could.

use crate::base::QueueId;

use super::class::{Class, Use};

/// One queue's burden.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burden {
    /// The queue.
    pub(super) queue: QueueId,
    /// Agents that its live items keep busy.
    pub(super) load: f64,
    /// The same for each agent at work.
    pub(super) share: f64,
    /// Agents at work, each counted by the part of its work that comes from this queue.
    pub(super) staffed: f64,
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
        self.0.push(Burden { queue, load: 0.0, share: 0.0, staffed: 0.0, staff: 0, idle: 0 });
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

    /// Works out shares and staff anew, from the loads.
    pub(super) fn settle<'a>(&mut self, classes: impl Iterator<Item = &'a Class>) {
        for burden in &mut self.0 {
            burden.share = burden.load / f64::from(burden.staff.max(1));
            burden.staffed = 0.0;
        }
        for class in classes.filter(|class| class.staff > 0) {
            // Queues that are all unknown yet share their agents evenly.
            let weight = |burdens: &[Burden], each: &Use| burdens.get(each.burden).map_or(0.0, |b| b.load.max(1e-6));
            let all: f64 = class.uses.iter().map(|each| weight(&self.0, each)).sum();
            for each in &class.uses {
                let part = weight(&self.0, each) / all;
                if let Some(burden) = self.0.get_mut(each.burden) {
                    burden.staffed += f64::from(class.staff) * part;
                }
            }
        }
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
