//! What will happen when: the events of a run, in the order of virtual time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::base::{Instant, Now, Timestamp};

/// The origin of wall-clock time in a run: 2026-01-01T00:00:00Z.
const EPOCH_MS: i64 = 1_767_225_600_000;

/// Events to come. Of events at one time the one that was entered first comes first.
#[derive(Debug)]
pub(super) struct Agenda<E> {
    heap: BinaryHeap<Entry<E>>,
    entered: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: Instant,
    order: u64,
    event: E,
}

impl<E> Agenda<E> {
    /// Nothing to come.
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), entered: 0 }
    }

    /// Enters an event.
    pub(super) fn enter(&mut self, at: Instant, event: E) {
        self.entered += 1;
        self.heap.push(Entry { at, order: self.entered, event });
    }

    /// When the next event is.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Takes the next event.
    pub(super) fn pop(&mut self) -> Option<(Instant, E)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at).then(other.order.cmp(&self.order))
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<E> Eq for Entry<E> {}

/// Both clocks at a moment of a run.
pub(super) fn now(mono: Instant) -> Now {
    Now { mono, wall: Timestamp(EPOCH_MS + i64::try_from(mono.as_micros() / 1_000).unwrap_or(0)) }
}

/// A time in seconds, to the microsecond; at most 30 years.
pub(super) fn seconds(s: f64) -> Duration {
    Duration::from_micros((s.clamp(0.0, 1e9) * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_then_of_entry() {
        let mut agenda = Agenda::new();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b')] {
            agenda.enter(Instant::from_micros(at), event);
        }
        assert_eq!(agenda.next(), Some(Instant::from_micros(1)));
        let order: String = std::iter::from_fn(|| agenda.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, "abcd");
    }
}
