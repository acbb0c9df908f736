//! Gates: waiting items that ask the same of agents, so that who fits is worked out once for all of them.
//!
//! Behind a gate items differ only in what they prefer; those that prefer the same stand in one row, and of each row only
//! the longest wait of each step of the schedules can be the next.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Instant, Medium, QueueId, WorkItemId};
use crate::core::contact::{Mode, Want};

use super::line::Place;
use super::need::{NeedId, Needs};
use super::row::{Lead, Rows, turns};

/// A gate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct GateId(pub(super) u32);

/// What makes items ask the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Ask {
    /// What is asked of agents.
    pub(super) needs: Arc<Needs>,
    /// The queue.
    pub(super) queue: QueueId,
    /// How much of what they count as having waited makes nothing late.
    pub(super) credit: Duration,
}

/// More rows than these are not looked through one by one, but the longest waits of all.
const ROWS_MAX: usize = 64;

/// So many of the longest waits.
const WAITS_MAX: usize = 256;

/// What decides whether a gate is worth a closer look.
#[derive(Debug)]
pub(super) struct Front {
    /// The longest wait and the shortest; none while nobody waits.
    pub(super) waits: Option<(Place, Place)>,
    /// The queue.
    pub(super) queue: QueueId,
    /// The medium.
    pub(super) medium: Medium,
    /// How much its items weigh.
    pub(super) importance: f64,
    /// Taken within this time, in seconds.
    pub(super) target_s: f64,
    /// Their credit, in seconds.
    pub(super) credit_s: f64,
    /// The weight of what is required, where it stays the same: whoever fits meets it in full.
    pub(super) required: Option<f64>,
    rows: Rows,
}

impl Front {
    /// Whether the place is that of the longest wait and all who wait behind are alike.
    pub(super) fn leads(&self, place: Place) -> bool {
        self.rows.len() == 1 && self.waits.is_some_and(|(first, _)| first == place)
    }

    /// The preferences of a row that is there already, to share.
    pub(super) fn shared(&self, prefers: &[Want]) -> Option<Arc<[Want]>> {
        self.rows.shared(prefers)
    }

    /// Whether no other of its row waits longer.
    pub(super) fn is_first(&self, at: (Place, WorkItemId), prefers: &[Want]) -> bool {
        self.first(prefers).is_none_or(|first| first == at)
    }

    /// The longest wait of a row.
    pub(super) fn first(&self, prefers: &[Want]) -> Option<(Place, WorkItemId)> {
        self.rows.first(prefers)
    }

    /// Of each row the items that can be the next one, the longest wait first, until one is taken: `each` says whether it
    /// was. No other of the row waits longer at the same step of the schedules. Where more preferences differ than
    /// [`ROWS_MAX`], the [`WAITS_MAX`] longest waits of each step, without what they prefer. Rows that are not `worth` it
    /// are passed over.
    pub(super) fn heads<'a>(
        &'a self,
        gate: impl FnOnce() -> Option<&'a Gate>,
        now: Instant,
        worth: impl Fn(&Lead) -> bool,
        mut each: impl FnMut(&'a Gate, Place, WorkItemId, Option<&'a Arc<[Want]>>) -> bool,
    ) {
        if self.rows.len() > ROWS_MAX {
            let Some(gate) = gate() else { return };
            return gate.longest(now, |place, item| {
                each(gate, place, item, None);
            });
        }
        let mut rows = self.rows.worth(worth).peekable();
        if rows.peek().is_none() {
            return;
        }
        let Some(gate) = gate() else { return };
        for row in rows {
            row.heads(now, &gate.turns, |place, item| each(gate, place, item, Some(&row.prefers)));
        }
    }
}

/// A gate.
#[derive(Debug)]
pub(super) struct Gate {
    /// What its items ask.
    pub(super) ask: Ask,
    /// How much they weigh.
    pub(super) importance: f64,
    /// Taken within this time.
    pub(super) target: Duration,
    /// The need that it has, with who fits; of a gate that is only thought of, any class of the tenant may.
    pub(super) need: Option<NeedId>,
    /// When the steps of what is required and forbidden turn.
    turns: Box<[Duration]>,
    /// Number of items, free or rung for.
    pub(super) present: usize,
    all: BTreeSet<(Place, WorkItemId)>,
}

impl Gate {
    /// A gate behind which nobody waits.
    pub(super) fn new(ask: Ask, importance: f64, target: Duration, need: Option<NeedId>) -> Self {
        let turns = turns(&ask.needs.gates).into();
        Self { ask, importance, target, need, turns, present: 0, all: BTreeSet::new() }
    }

    /// Its front.
    pub(super) fn front(&self) -> Front {
        let required = self.ask.needs.gates.iter().filter(|want| want.mode == Mode::Required);
        let required = required.map(|want| f64::from(want.schedule.at(Duration::ZERO).importance)).sum();
        Front {
            waits: None,
            queue: self.ask.queue,
            medium: self.ask.needs.medium,
            importance: self.importance,
            target_s: self.target.as_secs_f64().max(1e-6),
            credit_s: self.ask.credit.as_secs_f64(),
            required: self.turns.is_empty().then_some(required),
            rows: Rows::default(),
        }
    }

    /// Somebody waits free.
    pub(super) fn is_waited_at(&self) -> bool {
        !self.all.is_empty()
    }

    /// An item is free.
    pub(super) fn add(&mut self, front: &mut Front, at: (Place, WorkItemId), prefers: &Arc<[Want]>) {
        self.all.insert(at);
        front.rows.add(at, prefers);
        front.waits = self.waits();
    }

    /// An item is not free any more.
    pub(super) fn remove(&mut self, front: &mut Front, at: (Place, WorkItemId), prefers: &Arc<[Want]>) {
        self.all.remove(&at);
        front.rows.remove(at, prefers);
        front.waits = self.waits();
    }

    /// The longest waits of each step of what is required and forbidden.
    fn longest(&self, now: Instant, mut each: impl FnMut(Place, WorkItemId)) {
        let steps = || std::iter::once(None).chain(self.turns.iter().map(|&turn| Some(Place::new(now, turn))));
        for (until, from) in steps().zip(steps().skip(1).chain([None])) {
            // From this step's turn on, and not yet at the next one.
            let from = from.map_or(Unbounded, |from| Excluded((from, WorkItemId(u64::MAX))));
            let until = until.map_or(Unbounded, |until| Included((until, WorkItemId(u64::MAX))));
            self.all.range((from, until)).take(WAITS_MAX).for_each(|&(place, item)| each(place, item));
        }
    }

    fn waits(&self) -> Option<(Place, Place)> {
        self.all.first().zip(self.all.last()).map(|(first, last)| (first.0, last.0))
    }

    /// Whether the item is free: for checks.
    pub(super) fn has(&self, place: Place, item: WorkItemId) -> bool {
        self.all.contains(&(place, item))
    }

    /// All that are free, the longest wait first.
    pub(super) fn items(&self) -> impl Iterator<Item = (Place, WorkItemId)> {
        self.all.iter().copied()
    }
}

/// What is required or forbidden, and what is preferred: each in an order of its own.
pub(super) fn part(wants: impl Iterator<Item = Want>) -> (Box<[Want]>, Vec<Want>) {
    let (mut gates, mut prefers): (Vec<_>, Vec<_>) = wants.partition(|want| want.mode != Mode::Preferred);
    gates.sort_unstable();
    gates.dedup();
    prefers.sort_unstable();
    prefers.dedup();
    (gates.into(), prefers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{TenantId, TraitId};
    use crate::core::contact::{Level, Schedule, Step};

    fn gate(gates: Vec<Want>) -> (Gate, Front) {
        let needs = Needs { tenant: TenantId(1), medium: Medium::Voice, gates: gates.into(), traits: Box::default() };
        let ask = Ask { needs: Arc::new(needs), queue: QueueId(1), credit: Duration::ZERO };
        let gate = Gate::new(ask, 1.0, Duration::from_secs(20), None);
        let front = gate.front();
        (gate, front)
    }

    fn want(mode: Mode, steps: &[(u32, f64)]) -> Want {
        let step = |&(after_s, level)| Step { after_s, level: Level::new(level), importance: 100 };
        let schedule = Schedule::new(steps.iter().map(step).collect()).unwrap();
        Want { what: TraitId(1), mode, schedule }
    }

    fn heads((gate, front): &(Gate, Front), now: Instant) -> Vec<u64> {
        let mut heads = vec![];
        front.heads(
            || Some(gate),
            now,
            |_| true,
            |_, _, item, _| {
                heads.push(item.0);
                false
            },
        );
        heads.sort_unstable();
        heads
    }

    #[test]
    fn the_longest_wait_of_each_step_can_be_the_next() {
        let mut gate = gate(vec![want(Mode::Required, &[(0, 1.0), (30, 0.5), (60, 0.1)])]);
        let now = Instant::from_micros(1_000_000_000);
        let none: Arc<[Want]> = Arc::from(vec![]);
        // By number: the seconds waited.
        for waited in [5, 10, 29, 30, 45, 61, 300] {
            let at = (Place::new(now, Duration::from_secs(waited)), WorkItemId(waited));
            gate.0.add(&mut gate.1, at, &none);
        }
        assert_eq!(heads(&gate, now), [29, 45, 300]);
        gate.0.remove(&mut gate.1, (Place::new(now, Duration::from_secs(45)), WorkItemId(45)), &none);
        assert_eq!(heads(&gate, now), [29, 30, 300]);
    }

    #[test]
    fn each_preference_has_a_row_until_there_are_many() {
        let mut gate = gate(vec![]);
        let now = Instant::from_micros(1_000_000_000);
        for n in 0..300_u32 {
            let prefers: Arc<[Want]> = Arc::from(vec![Want {
                what: TraitId(n % 100),
                mode: Mode::Preferred,
                schedule: Schedule::constant(Level::FULL, 50),
            }]);
            let place = Place::new(now, Duration::from_secs(u64::from(300 - n)));
            gate.0.add(&mut gate.1, (place, WorkItemId(u64::from(n))), &prefers);
            assert!(n >= 60 || heads(&gate, now).len() == n as usize + 1);
        }
        assert_eq!(heads(&gate, now), (0..WAITS_MAX as u64).collect::<Vec<_>>());
    }
}
