//! Numbers that are remembered for a while, in bounded memory.

use std::collections::HashSet;
use std::time::Duration;

use crate::base::Instant;

/// How long a number is remembered at least: half of the time in which a request is sent again (timer B, RFC 3261 section
/// 17.1.1.2), and it may be twice as long.
const AGE: Duration = Duration::from_secs(16);

/// Numbers in each of two generations; beyond it the older is forgotten sooner.
const GENERATION_MAX: usize = 32_768;

/// Numbers that are remembered at most.
pub(super) const REMEMBERED_MAX: usize = 2 * GENERATION_MAX;

/// A set whose elements go after [`AGE`] to twice that.
pub(crate) struct Remembered {
    generations: [HashSet<u64>; 2],
    turned: Instant,
}

impl Remembered {
    pub(super) fn new(now: Instant) -> Self {
        Self { generations: Default::default(), turned: now }
    }

    pub(super) fn len(&self) -> usize {
        self.generations.iter().map(HashSet::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.generations.iter().all(HashSet::is_empty)
    }

    pub(super) fn note(&mut self, now: Instant, number: u64) {
        self.turn(now);
        let [newer, _] = &mut self.generations;
        newer.insert(number);
    }

    pub(super) fn has(&mut self, now: Instant, number: u64) -> bool {
        self.turn(now);
        self.generations.iter().any(|generation| generation.contains(&number))
    }

    /// Whether it was remembered. It is no more.
    pub(super) fn forget(&mut self, now: Instant, number: u64) -> bool {
        self.turn(now);
        self.generations.iter_mut().any(|generation| generation.remove(&number))
    }

    /// The older generation is forgotten in time, or for want of room.
    fn turn(&mut self, now: Instant) {
        let age = now.since(self.turned);
        let [newer, older] = &mut self.generations;
        if age >= AGE || newer.len() >= GENERATION_MAX {
            self.turned = now;
            std::mem::swap(newer, older);
            newer.clear();
            if age >= 2 * AGE {
                older.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_remembered_for_a_generation_and_gone_after_two() {
        let at = |s: u64| Instant::from_micros(s * 1_000_000);
        let mut remembered = Remembered::new(at(0));
        remembered.note(at(1), 7);
        assert!(remembered.has(at(17), 7) && !remembered.has(at(17), 8));
        assert!(!remembered.has(at(33), 7));
        remembered.note(at(33), 9);
        assert!(!remembered.has(at(70), 9), "after a pause");
        remembered.note(at(70), 9);
        assert!(remembered.forget(at(71), 9) && !remembered.forget(at(71), 9));
    }

    #[test]
    fn it_never_grows_beyond_its_bound() {
        let now = Instant::from_micros(1);
        let mut remembered = Remembered::new(now);
        (0..200_000).for_each(|n| remembered.note(now, n));
        assert!(remembered.len() <= REMEMBERED_MAX);
        assert!(remembered.has(now, 199_999) && !remembered.has(now, 0));
    }
}
