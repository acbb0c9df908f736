//! What hangs on which connection, so that the end of one costs no more than that.

use std::collections::{BTreeSet, HashMap};

/// Things by the number of the stream that they use, as in [`Path::connection`](super::Path::connection).
#[derive(Debug)]
pub(super) struct Hanging<T> {
    by_connection: HashMap<u64, BTreeSet<T>>,
}

impl<T> Default for Hanging<T> {
    fn default() -> Self {
        Self { by_connection: HashMap::new() }
    }
}

impl<T: Ord + Copy> Hanging<T> {
    /// A thing that used one connection uses another one now; 0 is none.
    pub fn moved(&mut self, thing: T, from: u64, to: u64) {
        if from == to {
            return;
        }
        if let Some(things) = self.by_connection.get_mut(&from) {
            things.remove(&thing);
            if things.is_empty() {
                self.by_connection.remove(&from);
            }
        }
        if to != 0 {
            self.by_connection.entry(to).or_default().insert(thing);
        }
    }

    /// What uses a connection, in order.
    pub fn on(&self, connection: u64) -> Vec<T> {
        self.by_connection.get(&connection).into_iter().flatten().copied().collect()
    }

    /// Asserts that these are all things with their connections.
    pub fn check(&self, all: impl Iterator<Item = (T, u64)>) {
        let mut hanging = 0;
        for (thing, connection) in all.filter(|(_, connection)| *connection != 0) {
            assert!(self.by_connection.get(&connection).is_some_and(|things| things.contains(&thing)));
            hanging += 1;
        }
        assert_eq!(self.by_connection.values().map(BTreeSet::len).sum::<usize>(), hanging);
        assert!(self.by_connection.values().all(|things| !things.is_empty()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_hangs_where_it_moved_last() {
        let mut hanging = Hanging::default();
        for thing in [3, 1, 2] {
            hanging.moved(thing, 0, 7);
        }
        hanging.moved(9, 0, 0);
        hanging.moved(2, 7, 8);
        hanging.moved(3, 7, 0);
        assert_eq!((hanging.on(7), hanging.on(8), hanging.on(0)), (vec![1], vec![2], vec![]));
        hanging.check([(1, 7), (2, 8), (3, 0), (9, 0)].into_iter());
        hanging.moved(1, 7, 0);
        hanging.moved(2, 8, 0);
        assert!(hanging.by_connection.is_empty(), "connections that nothing uses are forgotten");
    }
}
