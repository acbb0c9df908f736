//! A line: first come, first served, with places that can be counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Instant, WorkItemId};

/// A place in a line; a lower ticket came earlier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Ticket(u64);

/// One queue's items in the order they came. An item that rings at an agent keeps its place but is not free.
#[derive(Default, Debug)]
pub(super) struct Line {
    next: u64,
    present: BTreeMap<Ticket, (WorkItemId, Instant)>,
    free: BTreeSet<Ticket>,
    /// Bit `t % 64` of block `t / 64` is set while ticket `t` is present: places are counted 64 at a time.
    blocks: BTreeMap<u64, u64>,
}

impl Line {
    /// Joins at the end, free.
    pub(super) fn join(&mut self, item: WorkItemId, since: Instant) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.present.insert(ticket, (item, since));
        self.free.insert(ticket);
        *self.blocks.entry(ticket.0 / 64).or_default() |= bit(ticket);
        ticket
    }

    /// Leaves.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.present.remove(&ticket);
        self.free.remove(&ticket);
        if let Some(block) = self.blocks.get_mut(&(ticket.0 / 64)) {
            *block &= !bit(ticket);
            if *block == 0 {
                self.blocks.remove(&(ticket.0 / 64));
            }
        }
    }

    /// Reserved for an offer.
    pub(super) fn reserve(&mut self, ticket: Ticket) {
        self.free.remove(&ticket);
    }

    /// Free again, at its place.
    pub(super) fn release(&mut self, ticket: Ticket) {
        if self.present.contains_key(&ticket) {
            self.free.insert(ticket);
        }
    }

    /// The free item that came first, and when.
    pub(super) fn head(&self) -> Option<(WorkItemId, Instant)> {
        self.present.get(self.free.first()?).copied()
    }

    /// When the item that came first came, free or not.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.present.first_key_value().map(|(_, &(_, since))| since)
    }

    /// Everybody, in order.
    pub(super) fn items(&self) -> impl Iterator<Item = WorkItemId> {
        self.present.values().map(|&(item, _)| item)
    }

    /// Number of items.
    pub(super) fn len(&self) -> usize {
        self.present.len()
    }

    /// How many came earlier and are still here.
    pub(super) fn ahead(&self, ticket: Ticket) -> usize {
        let block = ticket.0 / 64;
        let before: u32 = self.blocks.range(..block).map(|(_, bits)| bits.count_ones()).sum();
        let here = self.blocks.get(&block).map_or(0, |bits| (bits & (bit(ticket) - 1)).count_ones());
        (before + here) as usize
    }

    /// Whether the item is present under this ticket, and free: for checks.
    pub(super) fn standing(&self, ticket: Ticket) -> Option<(WorkItemId, bool)> {
        self.present.get(&ticket).map(|&(item, _)| (item, self.free.contains(&ticket)))
    }
}

fn bit(ticket: Ticket) -> u64 {
    1 << (ticket.0 % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_across_blocks_and_gaps() {
        let mut line = Line::default();
        let tickets: Vec<_> = (0..1_000).map(|n| line.join(WorkItemId(n), Instant::from_micros(n))).collect();
        let mut gone = 0;
        for (n, &ticket) in tickets.iter().enumerate() {
            assert_eq!(line.ahead(ticket), n - gone);
            if n % 3 == 0 || (200..400).contains(&n) {
                line.leave(ticket);
                gone += 1;
            }
        }
        assert_eq!(line.len(), 1_000 - gone);
        assert_eq!(line.blocks.values().map(|b| b.count_ones() as usize).sum::<usize>(), line.len());
        assert!(line.blocks.values().all(|&b| b != 0));
    }

    #[test]
    fn a_released_item_is_at_its_old_place() {
        let mut line = Line::default();
        let a = line.join(WorkItemId(1), Instant::from_micros(1));
        let b = line.join(WorkItemId(2), Instant::from_micros(2));
        line.reserve(a);
        assert_eq!(line.head(), Some((WorkItemId(2), Instant::from_micros(2))));
        assert_eq!(line.ahead(b), 1);
        line.release(a);
        assert_eq!(line.head(), Some((WorkItemId(1), Instant::from_micros(1))));
        line.leave(a);
        line.release(a);
        assert_eq!(line.head(), Some((WorkItemId(2), Instant::from_micros(2))));
        assert_eq!(line.oldest(), Some(Instant::from_micros(2)));
    }
}
