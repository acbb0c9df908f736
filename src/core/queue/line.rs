//! A line: places by how long each has waited, and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::{Instant, Medium, WorkItemId};

/// When a wait began, in microseconds of the engine's clock: below zero for what waited before the process did. The lower,
/// the longer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place(i64);

impl Place {
    /// Of an item that has waited this long.
    pub(super) fn new(now: Instant, waited: Duration) -> Self {
        let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        Self(now.saturating_sub(i64::try_from(waited.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The wait by now.
    pub(super) fn waited(self, now: Instant) -> Duration {
        let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        Duration::from_micros(u64::try_from(now.saturating_sub(self.0)).unwrap_or(0))
    }

    /// The same in seconds.
    pub(super) fn waited_s(self, now: Instant) -> f64 {
        let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        now.saturating_sub(self.0).max(0) as f64 * 1e-6
    }

    /// The same place, as if it had been waited longer.
    pub(super) fn with_credit(self, credit: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(credit.as_micros()).unwrap_or(i64::MAX)))
    }

    fn block(self) -> i64 {
        self.0 >> BLOCK_BITS
    }

    fn stretch(self) -> i64 {
        self.0 >> (BLOCK_BITS + STRETCH_BITS)
    }
}

/// Places within 2 to this power microseconds, some 2 s, are counted together.
const BLOCK_BITS: u32 = 21;

/// So many blocks (2 to this power) are counted together once more.
const STRETCH_BITS: u32 = 6;

/// One queue's items by how long they have waited.
#[derive(Default, Debug)]
pub(super) struct Line {
    present: BTreeSet<(Place, WorkItemId)>,
    blocks: BTreeMap<i64, usize>,
    stretches: BTreeMap<i64, usize>,
}

impl Line {
    /// Joins.
    pub(super) fn join(&mut self, place: Place, item: WorkItemId) {
        if self.present.insert((place, item)) {
            *self.blocks.entry(place.block()).or_default() += 1;
            *self.stretches.entry(place.stretch()).or_default() += 1;
        }
    }

    /// Leaves.
    pub(super) fn leave(&mut self, place: Place, item: WorkItemId) {
        if self.present.remove(&(place, item)) {
            one_less(&mut self.blocks, place.block());
            one_less(&mut self.stretches, place.stretch());
        }
    }

    /// The longest wait.
    pub(super) fn oldest(&self) -> Option<Place> {
        self.present.first().map(|&(place, _)| place)
    }

    /// Everybody, in order.
    pub(super) fn items(&self) -> impl Iterator<Item = WorkItemId> {
        self.present.iter().map(|&(_, item)| item)
    }

    /// Number of items.
    pub(super) fn len(&self) -> usize {
        self.present.len()
    }

    /// How many have waited longer.
    pub(super) fn ahead(&self, place: Place, item: WorkItemId) -> usize {
        // Who joins last is asked about most.
        if self.present.last().is_some_and(|&last| last <= (place, item)) {
            return self.present.len() - usize::from(self.present.contains(&(place, item)));
        }
        let before: usize = self.stretches.range(..place.stretch()).map(|(_, count)| count).sum();
        let first = place.stretch() << STRETCH_BITS;
        let before = before + self.blocks.range(first..place.block()).map(|(_, count)| count).sum::<usize>();
        let start = (Place(place.block() << BLOCK_BITS), WorkItemId(0));
        before + self.present.range(start..(place, item)).count()
    }

    /// Whether the item is there: for checks.
    pub(super) fn has(&self, place: Place, item: WorkItemId) -> bool {
        self.present.contains(&(place, item))
    }
}

/// One queue's lines, one for each medium: whose turn comes before whose is a matter of one's own medium, and of how urgent the
/// others are.
#[derive(Default, Debug)]
pub(super) struct Lines([Line; Medium::ALL.len()]);

impl Lines {
    /// Those of one medium.
    pub(super) fn of(&self, medium: Medium) -> Option<&Line> {
        self.0.get(medium.index())
    }

    /// The same, to change.
    pub(super) fn of_mut(&mut self, medium: Medium) -> Option<&mut Line> {
        self.0.get_mut(medium.index())
    }

    /// Number of items.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Line::len).sum()
    }

    /// The longest wait.
    pub(super) fn oldest(&self) -> Option<Place> {
        self.0.iter().filter_map(Line::oldest).min()
    }

    /// Everybody, by medium and in order.
    pub(super) fn items(&self) -> impl Iterator<Item = WorkItemId> {
        self.0.iter().flat_map(Line::items)
    }
}

fn one_less(counts: &mut BTreeMap<i64, usize>, at: i64) {
    if let Some(count) = counts.get_mut(&at) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_across_blocks_and_gaps() {
        let mut line = Line::default();
        let now = Instant::from_micros(0);
        let place = |n: u64| Place::new(now, Duration::from_millis(1_000_000 - n * 1_000));
        (0..1_000).for_each(|n| line.join(place(n), WorkItemId(n)));
        let mut gone = 0;
        for n in 0..1_000 {
            assert_eq!(line.ahead(place(n), WorkItemId(n)), n as usize - gone);
            if n % 3 == 0 || (200..400).contains(&n) {
                line.leave(place(n), WorkItemId(n));
                line.leave(place(n), WorkItemId(n));
                gone += 1;
            }
        }
        assert_eq!(line.len(), 1_000 - gone);
        assert_eq!(line.blocks.values().sum::<usize>(), line.len());
        assert!(line.blocks.values().all(|&count| count > 0));
        assert_eq!(line.stretches.values().sum::<usize>(), line.len());
    }

    #[test]
    fn who_waited_before_the_process_did_stands_in_front() {
        let mut line = Line::default();
        let now = Instant::from_micros(5_000_000);
        let old = Place::new(now, Duration::from_secs(3_600));
        let new = Place::new(now, Duration::ZERO);
        line.join(new, WorkItemId(1));
        line.join(old, WorkItemId(2));
        assert_eq!((line.ahead(old, WorkItemId(2)), line.ahead(new, WorkItemId(1))), (0, 1));
        assert_eq!(old.waited(now), Duration::from_secs(3_600));
        assert_eq!(new.with_credit(Duration::from_secs(9)).waited(now), Duration::from_secs(9));
        assert_eq!(new.waited(Instant::ZERO), Duration::ZERO);
    }
}
