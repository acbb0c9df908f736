//! Gates: waiting items that ask the same of agents, so that who fits is worked out once for all of them.
//!
//! Behind a gate items differ only in what they prefer; those that prefer the same stand in one row, and of each row only
//! the longest wait of each step of the schedules can be the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Instant, Medium, QueueId, TenantId, TraitId, WorkItemId};
use crate::core::contact::{Mode, Want};

use super::class::ClassId;
use super::line::Place;
use super::row::{Row, Rows, turns};

/// A gate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct GateId(pub(super) u32);

/// What makes items ask the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Ask {
    /// Their tenant.
    pub(super) tenant: TenantId,
    /// Their queue.
    pub(super) queue: QueueId,
    /// Their medium.
    pub(super) medium: Medium,
    /// What is required and forbidden.
    pub(super) gates: Box<[Want]>,
    /// What agents may mind.
    pub(super) traits: Box<[TraitId]>,
}

/// Which classes fit a gate.
#[derive(Clone, Debug)]
pub(super) enum Fit {
    /// These; they remember the gate while somebody waits behind it.
    Few(Box<[ClassId]>),
    /// More than are worth remembering: each class of the tenant looks for itself.
    Many,
}

/// More classes than these are many.
pub(super) const FEW: usize = 256;

/// More rows than these are not looked through one by one, but the longest waits of all.
const ROWS_MAX: usize = 64;

/// So many of the longest waits.
const WAITS_MAX: usize = 256;

/// What decides whether a gate is worth a closer look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Front {
    /// The longest wait and the shortest; none while nobody waits.
    pub(super) waits: Option<(Place, Place)>,
    /// Which filling this is: stamps of earlier ones are void.
    pub(super) epoch: u32,
    /// The queue.
    pub(super) queue: QueueId,
    /// The medium.
    pub(super) medium: Medium,
    /// How much its items weigh.
    pub(super) importance: f64,
    /// Taken within this time, in seconds.
    pub(super) target_s: f64,
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
    /// Who fits, at some step of the schedules at least.
    pub(super) fit: Fit,
    /// When the steps of what is required and forbidden turn.
    turns: Box<[Duration]>,
    /// The weight of what is required, where it stays the same: whoever fits meets it in full.
    pub(super) required: Option<f64>,
    /// Number of items, free or rung for.
    pub(super) present: usize,
    rows: Rows,
    all: BTreeSet<(Place, WorkItemId)>,
}

impl Gate {
    /// A gate behind which nobody waits.
    pub(super) fn new(ask: Ask, importance: f64, target: Duration, fit: Fit) -> Self {
        let turns: Box<[Duration]> = turns(&ask.gates).into();
        let required = ask.gates.iter().filter(|want| want.mode == Mode::Required);
        let required = required.map(|want| f64::from(want.schedule.at(Duration::ZERO).importance)).sum();
        let required = turns.is_empty().then_some(required);
        let (rows, all) = (Rows::default(), BTreeSet::new());
        Self { ask, importance, target, fit, turns, required, present: 0, rows, all }
    }

    /// Somebody waits free.
    pub(super) fn is_waited_at(&self) -> bool {
        !self.all.is_empty()
    }

    /// What is seen of it before a closer look.
    pub(super) fn front(&self, epoch: u32) -> Front {
        let waits = self.all.first().zip(self.all.last()).map(|(first, last)| (first.0, last.0));
        let Ask { queue, medium, .. } = self.ask;
        let target_s = self.target.as_secs_f64().max(1e-6);
        Front { waits, epoch, queue, medium, importance: self.importance, target_s }
    }

    /// An item is free.
    pub(super) fn add(&mut self, place: Place, item: WorkItemId, prefers: &Arc<[Want]>) {
        self.all.insert((place, item));
        self.rows.add((place, item), prefers);
    }

    /// An item is not free any more.
    pub(super) fn remove(&mut self, place: Place, item: WorkItemId, prefers: &Arc<[Want]>) {
        self.all.remove(&(place, item));
        self.rows.remove((place, item), prefers);
    }

    /// Whether the item is free: for checks.
    pub(super) fn has(&self, place: Place, item: WorkItemId) -> bool {
        self.all.contains(&(place, item))
    }

    /// The preferences of a row that is there already, to share.
    pub(super) fn shared(&self, prefers: &[Want]) -> Option<Arc<[Want]>> {
        self.rows.shared(prefers)
    }

    /// All that are free, the longest wait first.
    pub(super) fn items(&self) -> impl Iterator<Item = (Place, WorkItemId)> {
        self.all.iter().copied()
    }

    /// Every item that can be the next one, with what it prefers where that is at hand: no other of its row waits longer at
    /// the same step of the schedules. Where more preferences differ than [`ROWS_MAX`], the [`WAITS_MAX`] longest waits:
    /// whoever is left out waits behind so many others. Rows that are not `worth` it are passed over.
    pub(super) fn heads(
        &self,
        now: Instant,
        worth: impl Fn(&Row) -> bool,
        mut each: impl FnMut(Place, WorkItemId, Option<&Arc<[Want]>>),
    ) {
        if self.rows.len() > ROWS_MAX {
            return self.all.iter().take(WAITS_MAX).for_each(|&(place, item)| each(place, item, None));
        }
        for row in self.rows.iter().filter(|row| worth(row)) {
            row.heads(now, &self.turns, |place, item| each(place, item, Some(&row.prefers)));
        }
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
    use crate::core::contact::{Level, Schedule, Step};

    fn gate(gates: Vec<Want>) -> Gate {
        let ask = Ask {
            tenant: TenantId(1),
            queue: QueueId(1),
            medium: Medium::Voice,
            gates: gates.into(),
            traits: Box::default(),
        };
        Gate::new(ask, 1.0, Duration::from_secs(20), Fit::Many)
    }

    fn want(mode: Mode, steps: &[(u32, f64)]) -> Want {
        let step = |&(after_s, level)| Step { after_s, level: Level::new(level), importance: 100 };
        let schedule = Schedule::new(steps.iter().map(step).collect()).unwrap();
        Want { what: TraitId(1), mode, schedule }
    }

    fn heads(gate: &Gate, now: Instant) -> Vec<u64> {
        let mut heads = vec![];
        gate.heads(now, |_| true, |_, item, _| heads.push(item.0));
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
            gate.add(Place::new(now, Duration::from_secs(waited)), WorkItemId(waited), &none);
        }
        assert_eq!(heads(&gate, now), [29, 45, 300]);
        gate.remove(Place::new(now, Duration::from_secs(45)), WorkItemId(45), &none);
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
            if n < 60 {
                gate.add(place, WorkItemId(u64::from(n)), &prefers);
                assert_eq!(heads(&gate, now).len(), n as usize + 1);
            } else {
                gate.add(place, WorkItemId(u64::from(n)), &prefers);
            }
        }
        assert_eq!(heads(&gate, now), (0..WAITS_MAX as u64).collect::<Vec<_>>());
    }
}
