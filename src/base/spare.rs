//! Memory that a burst took is given back when the burst is over: the standard collections never shrink by themselves.

use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};

/// Room for so many elements is kept in any case.
const KEPT: usize = 1024;

/// A collection with room to spare. Ask it now and then: it costs nothing but where there is much to give.
pub trait GiveBack {
    /// Gives back most of the room where less than an eighth of it is used. What it moves for that was removed seven times
    /// over since it grew, so that it costs each removal a constant part.
    fn give_back(&mut self);
}

/// How much room to keep; `None`: all.
fn room(len: usize, capacity: usize) -> Option<usize> {
    (capacity > KEPT && len < capacity / 8).then(|| (2 * len).max(KEPT / 2))
}

impl<T> GiveBack for Vec<T> {
    fn give_back(&mut self) {
        if let Some(room) = room(self.len(), self.capacity()) {
            self.shrink_to(room);
        }
    }
}

impl<T> GiveBack for VecDeque<T> {
    fn give_back(&mut self) {
        if let Some(room) = room(self.len(), self.capacity()) {
            self.shrink_to(room);
        }
    }
}

impl<T: Ord> GiveBack for BinaryHeap<T> {
    fn give_back(&mut self) {
        if let Some(room) = room(self.len(), self.capacity()) {
            self.shrink_to(room);
        }
    }
}

impl<T: Eq + Hash, S: BuildHasher> GiveBack for HashSet<T, S> {
    fn give_back(&mut self) {
        if let Some(room) = room(self.len(), self.capacity()) {
            self.shrink_to(room);
        }
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> GiveBack for HashMap<K, V, S> {
    fn give_back(&mut self) {
        if let Some(room) = room(self.len(), self.capacity()) {
            self.shrink_to(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_burst_took_is_given_back_and_the_rest_stays() {
        let mut map: HashMap<u32, u32> = (0..100_000).map(|n| (n, n)).collect();
        map.retain(|n, _| *n >= 80_000);
        let room = map.capacity();
        map.give_back();
        assert_eq!(map.capacity(), room, "a fifth is used");
        map.retain(|n, _| *n >= 99_990);
        map.give_back();
        assert!(map.capacity() <= 2 * KEPT, "{}", map.capacity());
        assert_eq!(map.len(), 10);
        assert!((99_990..100_000).all(|n| map.get(&n) == Some(&n)));
    }

    #[test]
    fn small_ones_are_left_alone() {
        let mut queue: VecDeque<u8> = VecDeque::with_capacity(KEPT);
        let room = queue.capacity();
        queue.give_back();
        assert_eq!(queue.capacity(), room);
        let mut heap: BinaryHeap<u32> = (0..50_000).collect();
        heap.clear();
        heap.give_back();
        assert!(heap.capacity() < 2 * KEPT);
    }
}
