//! Ids of calls and work items, which tell when and not how many.
//!
//! Whoever sees two of them, as each tenant sees its own, must not learn from what lies between how much the others do. So an
//! id is made of the time, and those made in the same moment are in no order that anybody can see.

/// Ids in a microsecond; more of them have the next.
const IN_MICROSECOND: u64 = 1 << 10;

/// Gives each id once.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    first: u64,
    secret: u64,
    /// The moment of the last one, in microseconds since the start, and how many have it.
    moment_us: u64,
    taken: u64,
}

impl Ids {
    /// From `first` on. `secret` orders those of a moment.
    pub fn new(first: u64, secret: u64) -> Self {
        Self { first, secret, moment_us: 0, taken: 0 }
    }

    /// The next, so long after the start. Milliseconds are counted in units of 2^20, as those of `first` are.
    pub fn next(&mut self, since_start_us: u64) -> u64 {
        if since_start_us > self.moment_us {
            (self.moment_us, self.taken) = (since_start_us, 0);
        } else if self.taken == IN_MICROSECOND {
            (self.moment_us, self.taken) = (self.moment_us + 1, 0);
        }
        let (ms, us) = (self.moment_us / 1_000, self.moment_us % 1_000);
        let mixed = mix(self.secret ^ self.moment_us);
        // An odd step leads through all of them.
        let within = (mixed >> 32).wrapping_add(self.taken.wrapping_mul(mixed | 1)) % IN_MICROSECOND;
        self.taken += 1;
        self.first.wrapping_add((ms << 20) + us * IN_MICROSECOND + within)
    }
}

/// Finishes as MurmurHash3 does: each bit of what comes out depends on all that went in.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_is_given_once_however_many_a_moment_has() {
        let mut ids = Ids::new(7 << 20, 5);
        let mut seen = HashSet::new();
        for at in [0, 0, 1, 2, 2, 999, 1_000, 1_001, 50_000] {
            for _ in 0..3_000 {
                assert!(seen.insert(ids.next(at)), "{at}");
            }
        }
        assert!(seen.iter().all(|id| *id >= 7 << 20), "none before the first");
    }

    #[test]
    fn what_others_do_in_between_leaves_no_trace() {
        let (mut alone, mut among) = (Ids::new(0, 5), Ids::new(0, 5));
        for at in (0..1_000_000u64).step_by(1_234) {
            (0..at % 7).map(|n| among.next(at.saturating_sub(7 - n))).for_each(|id| assert!(id > 0));
            if at % 3 == 0 {
                assert_eq!(alone.next(at), among.next(at), "{at}");
            }
        }
    }

    #[test]
    fn those_of_one_moment_are_in_no_order() {
        let rises = (0..400).filter(|secret| {
            let mut ids = Ids::new(0, *secret);
            ids.next(9) < ids.next(9)
        });
        assert!((120..280).contains(&rises.count()));
    }
}
