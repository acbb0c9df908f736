//! What a trunk of a pool is worth now, and what one more call is worth to its tenant: two birth-and-death chains that know of
//! each other only by averages.
//!
//! The **pool's chain** counts busy trunks. Calls come in classes, each with a worth; a class is accepted while its worth is at
//! least the price `d(n)`, the worth that is expected to be turned away later because trunk `n + 1` is taken now (Miller 1969).
//! The **tenant's chain** counts its calls. Its trunks earn `within` up to the permitted number and `beyond` after it, for each
//! mean talk time; each call that comes may buy a trunk at the price that the pool has then. What one more call adds to what the
//! tenant will earn, its effect on later calls included, is its worth: `gain(k)`, which makes the classes of the pool.
//!
//! Both are solved by policy iteration. Each relative value follows from its neighbour, upwards below the chain's most
//! frequented state and downwards above it: in these directions errors shrink.

/// Rounds of policy iteration; three or four is usual.
const ROUNDS_MAX: usize = 12;
/// Classes that a tenant's calls are sorted into by worth.
const CLASSES: usize = 8;
/// Least rate, in calls a second, so that nothing is divided by zero.
const RATE_MIN: f64 = 1e-12;

/// Calls of one worth.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Class {
    /// Calls a second.
    pub rate: f64,
    /// What accepting one earns.
    pub worth: f64,
    /// How long one lasts on average, in seconds.
    pub mean_s: f64,
}

impl Class {
    /// In a pool where calls last `mean_s`: the same load in calls of that length, each earning as much a second. Gives the rate
    /// and worth of such calls.
    pub fn as_if_lasting(self, mean_s: f64) -> (f64, f64) {
        let longer = self.mean_s / mean_s;
        (self.rate * longer, self.worth / longer)
    }
}

/// Prices of a pool's trunks.
#[derive(Clone, Default, Debug)]
pub(super) struct Prices {
    /// By busy trunks: what a call of the mean length must be worth. Not falling.
    pub price: Vec<f64>,
    /// How likely so many trunks are busy.
    pub busy: Vec<f64>,
    /// The mean length of calls in progress, in seconds.
    mean_s: f64,
    /// Sums over the first states: how likely they are, and what a call of the mean length pays in them.
    sums: Vec<(f64, f64)>,
}

impl Prices {
    /// Works prices out anew, from those that are there.
    pub fn solve(&mut self, trunks: usize, classes: &[Class], mean_s: f64) {
        self.mean_s = mean_s;
        self.price.resize(trunks, self.price.last().copied().unwrap_or(0.0));
        let mut sorted: Vec<(f64, f64)> = classes.iter().map(|class| class.as_if_lasting(mean_s)).collect();
        sorted.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
        let worth_max = sorted.first().map_or(0.0, |class| class.1);
        let (mut rates, mut gains) = (vec![0.0; trunks + 1], vec![0.0; trunks + 1]);
        for _ in 0..ROUNDS_MAX {
            // Prices do not fall, so each state accepts a part of what the one before accepts. The dearest class is accepted
            // everywhere: no trunk is worth more.
            let mut taken = sorted.len();
            let (mut rate, mut gain) = sums(&sorted);
            for n in 0..trunks {
                while taken > 1 && sorted[taken - 1].1 < self.price[n] {
                    taken -= 1;
                    rate -= sorted[taken].0;
                    gain -= sorted[taken].0 * sorted[taken].1;
                }
                (rates[n], gains[n]) = (rate.max(RATE_MIN), gain.max(0.0));
            }
            let end_rate = mean_s.recip();
            frequencies(&rates, end_rate, &mut self.busy);
            let earned: f64 = self.busy.iter().zip(&gains).map(|(share, gain)| share * gain).sum();
            let change = self.improve(&rates, &gains, earned, end_rate, worth_max);
            if change <= 1e-6 * worth_max {
                break;
            }
        }
        let mut sum = (0.0, 0.0);
        self.sums.clear();
        self.sums.push(sum);
        for (price, share) in self.price.iter().zip(&self.busy) {
            sum = (sum.0 + share, sum.1 + share * price);
            self.sums.push(sum);
        }
    }

    /// How likely a call of this worth and length finds a trunk at no more, and what it pays on average (where it does not,
    /// nothing).
    fn buys(&self, worth: f64, mean_s: f64) -> (f64, f64) {
        let factor = mean_s / self.mean_s.max(1e-9);
        let affordable = self.price.partition_point(|price| price * factor <= worth);
        self.sums.get(affordable).map_or((0.0, 0.0), |(chance, paid)| (*chance, paid * factor))
    }

    /// Prices under the acceptance as it is; gives the greatest change.
    fn improve(&mut self, rates: &[f64], gains: &[f64], earned: f64, end_rate: f64, worth_max: f64) -> f64 {
        let trunks = self.price.len();
        let rising = |n: usize| n as f64 * end_rate < rates[n];
        let peak = (0..trunks).find(|n| !rising(*n)).unwrap_or(trunks);
        let mut change = 0.0_f64;
        let mut set = |price: &mut Vec<f64>, n: usize, to: f64| {
            change = change.max((price[n] - to).abs());
            price[n] = to;
            to
        };
        let mut above = 0.0;
        for n in (peak..trunks).rev() {
            let (rate, gain) = if n + 1 < trunks { (rates[n + 1], gains[n + 1]) } else { (0.0, 0.0) };
            above = (earned - gain + rate * above) / ((n + 1) as f64 * end_rate);
            above = set(&mut self.price, n, above.clamp(0.0, worth_max));
        }
        let mut below = 0.0;
        for n in 0..peak {
            below = (gains[n] - earned + n as f64 * end_rate * below) / rates[n];
            below = set(&mut self.price, n, below.clamp(0.0, worth_max));
        }
        // Rounding must not make a price fall.
        let mut highest = 0.0_f64;
        for price in &mut self.price {
            highest = highest.max(*price);
            *price = highest;
        }
        change
    }

    /// The price for a call of this length when so many are busy.
    pub fn of(&self, busy: u64, mean_s: f64) -> f64 {
        let at = usize::try_from(busy).unwrap_or(usize::MAX);
        self.price.get(at).copied().unwrap_or(0.0) * mean_s / self.mean_s.max(1e-9)
    }
}

fn sums(classes: &[(f64, f64)]) -> (f64, f64) {
    classes.iter().fold((0.0, 0.0), |(rate, gain), class| (rate + class.0, gain + class.0 * class.1))
}

/// How likely each state of a birth-and-death chain is: `rates[n]` upwards, `n * end_rate` downwards. From the most likely state
/// outwards, so that however many states there are nothing overflows.
fn frequencies(rates: &[f64], end_rate: f64, shares: &mut Vec<f64>) {
    let top = rates.len() - 1;
    shares.clear();
    shares.resize(top + 1, 0.0);
    let peak = (0..top).find(|n| rates[*n] < (*n + 1) as f64 * end_rate).unwrap_or(top);
    shares[peak] = 1.0;
    for n in peak..top {
        shares[n + 1] = shares[n] * rates[n] / ((n + 1) as f64 * end_rate);
    }
    for n in (0..peak).rev() {
        shares[n] = shares[n + 1] * (n + 1) as f64 * end_rate / rates[n];
    }
    let sum: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum);
}

/// A tenant as its chain sees it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Demand {
    /// Calls a second.
    pub rate: f64,
    /// How long one lasts on average, in seconds.
    pub mean_s: f64,
    /// Calls that it is permitted.
    pub permitted: u64,
    /// What a trunk within that earns in a mean talk time.
    pub within: f64,
    /// What a trunk beyond it earns.
    pub beyond: f64,
}

impl Demand {
    /// Calls that would be in progress if all were accepted, in erlangs.
    pub fn load(&self) -> f64 {
        self.rate * self.mean_s
    }

    /// What so many calls earn in a mean talk time.
    pub fn earns(&self, calls: usize) -> f64 {
        let within = calls.min(usize::try_from(self.permitted).unwrap_or(usize::MAX));
        self.within * within as f64 + self.beyond * (calls - within) as f64
    }

    /// Whether every trunk earns the same, however many there are.
    pub fn is_flat(&self) -> bool {
        self.within == self.beyond
    }
}

/// What calls of a tenant are worth to it.
#[derive(Clone, Default, Debug)]
pub(super) struct Gains {
    /// By its calls in progress: what one more adds. The last holds for all beyond.
    pub gain: Vec<f64>,
    /// How likely so many are in progress.
    calls: Vec<f64>,
    /// Its calls, in classes by worth.
    pub classes: Vec<Class>,
    /// How many are in progress on average.
    pub carried: f64,
}

impl Gains {
    /// Works the worths out anew under the pool's prices; half of the way, so that pool and tenants do not chase each other.
    pub fn solve(&mut self, of: &Demand, pool: &Prices) {
        if of.is_flat() {
            self.gain = vec![of.within];
            self.calls.clear();
            self.classes = vec![Class { rate: of.rate, worth: of.within, mean_s: of.mean_s }];
            self.carried = of.load() * pool.buys(of.within, of.mean_s).0;
            return;
        }
        let load = of.load();
        let wanted = load.max(of.permitted as f64) + 6.0 * load.sqrt() + 8.0;
        let top = pool.price.len().min(wanted as usize).max(1);
        let first = |n: usize| if (n as u64) < of.permitted { of.within } else { of.beyond };
        let mut gain: Vec<f64> = (0..top).map(|k| self.gain.get(k).copied().unwrap_or_else(|| first(k))).collect();
        let mut calls = vec![];
        for _ in 0..ROUNDS_MAX {
            if self.improve(of, pool, &mut gain, &mut calls) <= 1e-5 * of.within.max(of.beyond) {
                break;
            }
        }
        let known = self.gain.len() == top && self.calls.len() == top + 1;
        let blend = |old: &[f64], new: Vec<f64>| -> Vec<f64> {
            if known { old.iter().zip(new).map(|(old, new)| 0.5 * (old + new)).collect() } else { new }
        };
        self.gain = blend(&self.gain, gain);
        self.calls = blend(&self.calls, calls);
        self.carried = self.calls.iter().enumerate().map(|(k, share)| k as f64 * share).sum();
        self.sort(of);
    }

    /// One round of policy iteration; gives the greatest change.
    fn improve(&self, of: &Demand, pool: &Prices, gain: &mut [f64], calls: &mut Vec<f64>) -> f64 {
        let (top, end_rate) = (gain.len(), of.mean_s.recip());
        let (mut rates, mut earned) = (vec![0.0; top + 1], vec![0.0; top + 1]);
        for k in 0..=top {
            earned[k] = of.earns(k) * end_rate;
            if let Some(gain) = gain.get(k) {
                let (chance, paid) = pool.buys(*gain, of.mean_s);
                rates[k] = (of.rate * chance).max(RATE_MIN);
                earned[k] -= of.rate * paid;
            }
        }
        frequencies(&rates, end_rate, calls);
        let mean: f64 = calls.iter().zip(&earned).map(|(share, earned)| share * earned).sum();
        let peak = (0..top).find(|k| *k as f64 * end_rate >= rates[*k]).unwrap_or(top);
        let most = of.within.max(of.beyond);
        let mut change = 0.0_f64;
        let mut set = |gain: &mut [f64], k: usize, to: f64| {
            change = change.max((gain[k] - to).abs());
            gain[k] = to;
            to
        };
        let mut above = 0.0;
        for k in (peak..top).rev() {
            above = (earned[k + 1] - mean + rates[k + 1] * above) / ((k + 1) as f64 * end_rate);
            above = set(gain, k, above.clamp(0.0, most));
        }
        let mut below = 0.0;
        for k in 0..peak {
            below = (mean - earned[k] + k as f64 * end_rate * below) / rates[k];
            below = set(gain, k, below.clamp(0.0, most));
        }
        change
    }

    /// Sorts its calls into classes: they come at any of its states alike.
    fn sort(&mut self, of: &Demand) {
        let (least, most) =
            self.gain.iter().fold((f64::MAX, f64::MIN), |(least, most), gain| (least.min(*gain), most.max(*gain)));
        let width = ((most - least) / CLASSES as f64).max(1e-12);
        let mut bins = [(0.0, 0.0); CLASSES];
        for (gain, share) in self.gain.iter().zip(&self.calls) {
            let at = (((gain - least) / width) as usize).min(CLASSES - 1);
            if let Some(bin) = bins.get_mut(at) {
                *bin = (bin.0 + share, bin.1 + share * gain);
            }
        }
        let class =
            |(share, worth): (f64, f64)| Class { rate: of.rate * share, worth: worth / share, mean_s: of.mean_s };
        self.classes = bins.into_iter().filter(|bin| bin.0 > 1e-9).map(class).collect();
    }

    /// What a call is worth that comes while so many are in progress.
    pub fn of(&self, calls: u64) -> Option<f64> {
        let at = usize::try_from(calls).unwrap_or(usize::MAX);
        self.gain.get(at).or(self.gain.last()).copied()
    }
}
