//! Which connections are let in: at most so many in all, from one source, and in a TLS handshake.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Limits;
use crate::base::Source;

/// Why a connection did not come up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// There are too many.
    Full,
    /// There are too many of its source.
    Source,
    /// Too many handshakes are under way, or we have no certificate.
    Handshake,
    /// The handshake failed, or took too long.
    HandshakeFailed,
}

#[derive(Clone, Copy, Default)]
struct Used {
    open: usize,
    shaking: usize,
}

#[derive(Default)]
struct Counts {
    all: Used,
    /// Sources with a connection; bounded by the bound on all of them.
    by_source: HashMap<Source, Used>,
}

/// See the module. Shared by acceptors and the connections' tasks.
pub(super) struct Admission {
    connections_max: usize,
    per_source_max: usize,
    handshakes_max: usize,
    handshakes_per_source_max: usize,
    counts: Arc<Mutex<Counts>>,
    refused: [AtomicU64; 4],
}

/// A place among the connections, or among the handshakes; dropping it makes room.
pub(super) struct Permit {
    counts: Arc<Mutex<Counts>>,
    source: Option<Source>,
    shaking: bool,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            connections_max: limits.connections_max,
            per_source_max: limits.per_source_max,
            handshakes_max: limits.handshakes_max,
            handshakes_per_source_max: limits.handshakes_per_source_max,
            counts: Arc::default(),
            refused: Default::default(),
        }
    }

    /// A place for a connection that came from `source`, or (`None`) for one of ours.
    pub(super) fn admit(&self, source: Option<IpAddr>) -> Result<Permit, Refused> {
        let source = source.map(Source::of);
        let refused = {
            let mut counts = lock(&self.counts);
            let of_source = source.and_then(|source| counts.by_source.get(&source)).map_or(0, |used| used.open);
            if counts.all.open >= self.connections_max {
                Refused::Full
            } else if of_source >= self.per_source_max {
                Refused::Source
            } else {
                counts.all.open += 1;
                if let Some(source) = source {
                    counts.by_source.entry(source).or_default().open += 1;
                }
                return Ok(Permit { counts: Arc::clone(&self.counts), source, shaking: false });
            }
        };
        self.count(refused);
        Err(refused)
    }

    /// A place for a handshake; its connection has one already. `None` is counted.
    pub(super) fn shake(&self, source: IpAddr) -> Option<Permit> {
        let source = Source::of(source);
        let mut counts = lock(&self.counts);
        let of_source = counts.by_source.get(&source).map_or(0, |used| used.shaking);
        if counts.all.shaking >= self.handshakes_max || of_source >= self.handshakes_per_source_max {
            drop(counts);
            self.count(Refused::Handshake);
            return None;
        }
        counts.all.shaking += 1;
        counts.by_source.entry(source).or_default().shaking += 1;
        Some(Permit { counts: Arc::clone(&self.counts), source: Some(source), shaking: true })
    }

    pub(super) fn count(&self, why: Refused) {
        if let Some(counter) = self.refused.get(why as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn refused(&self, why: Refused) -> u64 {
        self.refused.get(why as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// Connections of the busiest source, and handshakes under way.
    pub(super) fn used(&self) -> (usize, usize) {
        let counts = lock(&self.counts);
        (counts.by_source.values().map(|used| used.open).max().unwrap_or(0), counts.all.shaking)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        let Counts { all, by_source } = &mut *counts;
        let give_back = |used: &mut Used| {
            let place = if self.shaking { &mut used.shaking } else { &mut used.open };
            *place = place.saturating_sub(1);
        };
        give_back(all);
        if let Some(source) = self.source
            && let Some(used) = by_source.get_mut(&source)
        {
            give_back(used);
            if used.open == 0 && used.shaking == 0 {
                by_source.remove(&source);
            }
        }
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        Admission::new(&Limits {
            connections_max: 4,
            per_source_max: 2,
            handshakes_max: 3,
            handshakes_per_source_max: 1,
            ..Limits::default()
        })
    }

    #[test]
    fn a_source_has_its_share_and_gets_it_back() {
        let admission = admission();
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::ffff".parse().unwrap();
        let other: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        let first = admission.admit(Some(one)).unwrap();
        let _second = admission.admit(Some(neighbour)).unwrap();
        assert_eq!(admission.admit(Some(one)).err(), Some(Refused::Source));
        let _third = admission.admit(Some(other)).unwrap();
        drop(first);
        let _again = admission.admit(Some(one)).unwrap();
        let _ours = admission.admit(None).unwrap();
        assert_eq!(admission.admit(None).err(), Some(Refused::Full));
        assert_eq!((admission.refused(Refused::Source), admission.refused(Refused::Full)), (1, 1));
        assert_eq!(admission.used(), (2, 0));
    }

    #[test]
    fn handshakes_are_bounded_by_source_and_in_all() {
        let admission = admission();
        let source = |n: u8| IpAddr::from([192, 0, 2, n]);
        let first = admission.shake(source(1)).unwrap();
        assert!(admission.shake(source(1)).is_none());
        let _others = [admission.shake(source(2)).unwrap(), admission.shake(source(3)).unwrap()];
        assert!(admission.shake(source(4)).is_none());
        drop(first);
        let _fourth = admission.shake(source(4)).unwrap();
        assert_eq!(admission.refused(Refused::Handshake), 2);
    }

    #[test]
    fn an_empty_source_is_forgotten() {
        let admission = admission();
        drop(admission.admit(Some(IpAddr::from([192, 0, 2, 1]))).unwrap());
        assert!(lock(&admission.counts).by_source.is_empty());
    }
}
