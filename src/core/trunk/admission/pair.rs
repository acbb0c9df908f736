//! A small pool seen by one of its tenants: its own calls and all others', two counts instead of one.
//!
//! The two chains of [`super::chain`] do not know that a tenant with many calls in progress means fewer trunks for others, and that
//! those who are there end at their own pace. Where a pool is small this matters, and is affordable: the tenant's own count with
//! its earnings to the letter, against one count of the rest, whose calls come in classes of known worth. With a single other
//! tenant the rest has its own earnings to the letter, too, and the table is the exact optimum. Solved by value iteration, a few
//! sweeps at a time, from the values that are there.

use super::chain::{Class, Demand};

/// Classes of the rest; the worths nearest each other are put together beyond.
const REST_CLASSES: usize = 12;
/// When a table is good enough: the spread of what the states earn, of the mean.
const SPREAD_MAX: f64 = 2e-4;

/// The rest of a pool.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Rest {
    /// One other tenant.
    One(Demand),
    /// Several; `mean_s` is the mean length of their calls in progress.
    Many {
        /// Their calls.
        classes: Vec<Class>,
        /// In seconds.
        mean_s: f64,
    },
}

/// Values by own and other calls in progress.
#[derive(Clone, Default, Debug)]
pub(super) struct Pair {
    trunks: usize,
    values: Vec<f64>,
    next: Vec<f64>,
    /// By own and other calls: what accepting one more own call adds, its price taken off.
    advantage: Vec<f64>,
}

/// What a sweep needs of the rest: rates and worths of classes, dearest first, and what it earns by its count.
struct Swept {
    classes: Vec<(f64, f64)>,
    end_rate: f64,
    earned: Vec<f64>,
}

impl Swept {
    fn new(rest: &Rest, trunks: usize) -> Self {
        match rest {
            Rest::One(of) => {
                let earned = (0..=trunks).map(|calls| of.earns(calls) / of.mean_s).collect();
                Self { classes: vec![(of.rate, 0.0)], end_rate: of.mean_s.recip(), earned }
            }
            Rest::Many { classes, mean_s } => {
                let of: Vec<(f64, f64)> = classes.iter().map(|class| class.as_if_lasting(*mean_s)).collect();
                Self { classes: merged(of), end_rate: mean_s.recip(), earned: vec![0.0; trunks + 1] }
            }
        }
    }
}

/// Puts classes of nearly one worth together; dearest first.
fn merged(mut classes: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    classes.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
    let most = classes.first().map_or(0.0, |class| class.1);
    let least = classes.last().map_or(0.0, |class| class.1);
    let mut width = 1e-9;
    loop {
        let mut bins: Vec<(f64, f64, f64)> = vec![];
        for (rate, worth) in &classes {
            match bins.last_mut() {
                Some(bin) if bin.2 - worth <= width => *bin = (bin.0 + rate, bin.1 + rate * worth, bin.2),
                _ => bins.push((*rate, rate * worth, *worth)),
            }
        }
        if bins.len() <= REST_CLASSES {
            return bins
                .into_iter()
                .map(|(rate, sum, worth)| (rate, if rate > 0.0 { sum / rate } else { worth }))
                .collect();
        }
        width = (width * 1.5).max((most - least) / 64.0);
    }
}

impl Pair {
    /// How many states a table has.
    pub fn states(trunks: usize) -> usize {
        (trunks + 1) * (trunks + 2) / 2
    }

    /// Sweeps so many times at most. Gives whether the values are good enough; then [`advantage`](Self::of) is that of them.
    pub fn sweep(&mut self, trunks: usize, own: &Demand, rest: &Rest, times: usize) -> bool {
        let wide = trunks + 1;
        if self.trunks != trunks || self.values.is_empty() {
            self.trunks = trunks;
            self.values = vec![0.0; wide * wide];
            self.next = self.values.clone();
        }
        let swept = Swept::new(rest, trunks);
        let calls: f64 = swept.classes.iter().map(|class| class.0).sum();
        let pace = own.rate + calls + trunks as f64 * own.mean_s.recip().max(swept.end_rate);
        let mut settled = false;
        for _ in 0..times {
            let (least, most) = self.once(own, &swept, pace);
            if most - least <= SPREAD_MAX * most.abs() {
                settled = true;
                break;
            }
        }
        settled
    }

    /// One sweep; gives the least and the most that a state earns.
    fn once(&mut self, own: &Demand, rest: &Swept, pace: f64) -> (f64, f64) {
        let (trunks, wide) = (self.trunks, self.trunks + 1);
        let own_end = own.mean_s.recip();
        let (mut least, mut most) = (f64::MAX, f64::MIN);
        for k in 0..=trunks {
            let earns = own.earns(k) * own_end;
            let row = k * wide;
            for m in 0..=trunks - k {
                let value = self.values[row + m];
                let mut drift = earns + rest.earned[m];
                if k + m < trunks {
                    drift += own.rate * (self.values[row + wide + m] - value).max(0.0);
                    let step = self.values[row + m + 1] - value;
                    for (rate, worth) in &rest.classes {
                        if worth + step <= 0.0 {
                            break;
                        }
                        drift += rate * (worth + step);
                    }
                }
                if k > 0 {
                    drift += k as f64 * own_end * (self.values[row - wide + m] - value);
                }
                if m > 0 {
                    drift += m as f64 * rest.end_rate * (self.values[row + m - 1] - value);
                }
                self.next[row + m] = value + drift / pace;
                (least, most) = (least.min(drift), most.max(drift));
            }
        }
        // Only differences count; the empty pool is where they are taken from.
        let origin = self.next[0];
        self.next.iter_mut().for_each(|value| *value -= origin);
        std::mem::swap(&mut self.values, &mut self.next);
        (least, most)
    }

    /// Takes the values for decisions.
    pub fn publish(&mut self) {
        let (trunks, wide) = (self.trunks, self.trunks + 1);
        self.advantage.clear();
        self.advantage.resize(wide * wide, 0.0);
        for k in 0..trunks {
            for m in 0..trunks - k {
                self.advantage[k * wide + m] = self.values[(k + 1) * wide + m] - self.values[k * wide + m];
            }
        }
    }

    /// What accepting one more own call adds; none where the table does not reach.
    pub fn of(&self, own: u64, others: u64) -> Option<f64> {
        let (k, m) = (usize::try_from(own).ok()?, usize::try_from(others).ok()?);
        if k.checked_add(m)? >= self.trunks {
            return None;
        }
        self.advantage.get(k * (self.trunks + 1) + m).copied()
    }
}
