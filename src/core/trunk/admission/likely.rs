//! How likely calls are to come and to end, and what a trunk taken costs a pool of its kind.

use crate::base::lognormal::LogNormal;

/// Most steps of the exact sum in [`at_least`]: beyond, a law with the same mean, variance and skew takes its place.
const STEPS_MAX: usize = 4_000_000;

/// How long calls last.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Talk {
    /// Memoryless, with this mean in seconds.
    Exponential(f64),
    /// The longer it has lasted, the less likely it is to end soon.
    LogNormal(LogNormal),
}

impl Talk {
    /// The chance that a call ends within `window_s` seconds, having lasted `elapsed_s`.
    pub fn ends_within(self, elapsed_s: f64, window_s: f64) -> f64 {
        match self {
            Self::Exponential(mean_s) => -(-window_s / mean_s).exp_m1(),
            Self::LogNormal(law) => law.ends_within(elapsed_s, window_s),
        }
    }
}

/// The chance that at least `k` of independent things happen, each with its own chance: the upper tail of the Poisson-binomial
/// law. Exact up to some thousands of things; the time it takes is bounded.
pub fn at_least(k: u64, chances: &[f64]) -> f64 {
    if k == 0 {
        return 1.0;
    }
    let k = usize::try_from(k).unwrap_or(usize::MAX);
    if k > chances.len() {
        return 0.0;
    }
    // Either the happenings below `k` are counted, or the failures up to the rest, whichever are fewer.
    let failures = chances.len() - k + 1;
    if k.min(failures).saturating_mul(chances.len()) > STEPS_MAX {
        return approximate(k, chances);
    }
    if k <= failures {
        1.0 - fewer_than(k, chances.iter().copied())
    } else {
        fewer_than(failures, chances.iter().map(|chance| 1.0 - chance))
    }
}

/// The chance that fewer than `k` happen.
fn fewer_than(k: usize, chances: impl Iterator<Item = f64>) -> f64 {
    // The chance of each count below `k` so far.
    let mut counts = vec![0.0; k];
    counts[0] = 1.0;
    for chance in chances {
        for n in (1..k).rev() {
            counts[n] += (counts[n - 1] - counts[n]) * chance;
        }
        counts[0] *= 1.0 - chance;
    }
    counts.iter().sum::<f64>().clamp(0.0, 1.0)
}

/// The normal law, corrected for skew (Edgeworth) and for counts being whole.
fn approximate(k: usize, chances: &[f64]) -> f64 {
    let (mut mean, mut variance, mut third) = (0.0, 0.0, 0.0);
    for p in chances {
        mean += p;
        variance += p * (1.0 - p);
        third += p * (1.0 - p) * (1.0 - 2.0 * p);
    }
    if variance < 1e-9 {
        return if mean + 0.5 >= k as f64 { 1.0 } else { 0.0 };
    }
    let x = (k as f64 - 0.5 - mean) / variance.sqrt();
    let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let below =
        0.5 * libm::erfc(-x / std::f64::consts::SQRT_2) - third / (6.0 * variance.powf(1.5)) * (x * x - 1.0) * density;
    (1.0 - below).clamp(0.0, 1.0)
}

/// The chance that at least one call comes within `window_s` seconds, at `rate` calls a second.
pub fn comes_within(window_s: f64, rate: f64) -> f64 {
    -(-window_s * rate).exp_m1()
}

/// How many later calls are lost, on average, because one is accepted while `busy` of `trunks` are taken and `erlangs` are
/// offered (Krishnan and Ott): the ratio of the losses of the two groups. At a full group one call displaces one.
pub fn displaced(busy: u32, trunks: u32, erlangs: f64) -> f64 {
    if erlangs <= 0.0 {
        return if busy >= trunks { 1.0 } else { 0.0 };
    }
    // B(C)/B(n) directly would be 0/0 where both are tiny: the ratio is carried along instead.
    let (mut blocked, mut ratio) = (1.0, 1.0);
    for n in 1..=trunks {
        let next = erlangs / (f64::from(n) + erlangs * blocked);
        blocked *= next;
        if n > busy {
            ratio *= next;
        }
    }
    ratio
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::erlang::blocking;
    use crate::core::trunk::admission::testing::Dice;

    #[test]
    fn the_tail_is_that_of_all_outcomes_written_out() {
        let mut dice = Dice::new(3);
        for round in 0..200 {
            let chances: Vec<f64> = (0..dice.below(10)).map(|_| dice.unit()).collect();
            for k in 0..=chances.len() + 1 {
                let mut tail = 0.0;
                for outcome in 0..1_u32 << chances.len() {
                    if outcome.count_ones() as usize >= k {
                        let each = chances.iter().enumerate();
                        tail += each.map(|(n, p)| if outcome >> n & 1 == 1 { *p } else { 1.0 - p }).product::<f64>();
                    }
                }
                let found = at_least(k as u64, &chances);
                assert!((found - tail).abs() < 1e-12, "round {round}: {k} of {chances:?}: {found}, not {tail}");
            }
        }
    }

    #[test]
    fn the_approximation_is_near_the_exact_tail() {
        let mut dice = Dice::new(4);
        let chances: Vec<f64> = (0..3_000).map(|_| 0.3 * dice.unit()).collect();
        for k in (300..600).step_by(10) {
            let (exact, near) = (at_least(k as u64, &chances), approximate(k, &chances));
            assert!((exact - near).abs() < 1e-4, "{k}: {exact} and {near}");
        }
        assert_eq!(approximate(3, &[1.0; 5]), 1.0);
        assert_eq!(approximate(6, &[1.0; 5]), 0.0);
    }

    #[test]
    fn what_a_call_displaces_is_the_ratio_of_losses() {
        for (busy, trunks, erlangs) in [(0, 5, 3.0), (3, 5, 3.0), (4, 5, 3.0), (5, 5, 3.0), (17, 20, 15.0)] {
            let lost = |trunks| blocking(erlangs, f64::from(trunks));
            let ratio = lost(trunks) / lost(busy);
            assert!((displaced(busy, trunks, erlangs) - ratio).abs() < 1e-12);
        }
        assert_eq!(displaced(2, 2, 0.0), 1.0);
        assert_eq!(displaced(1, 2, 0.0), 0.0);
        let tiny = displaced(400, 1_000, 10.0);
        assert!((0.0..1e-300).contains(&tiny), "{tiny}");
    }

    #[test]
    fn a_memoryless_call_forgets_how_long_it_has_lasted() {
        let talk = Talk::Exponential(190.0);
        assert_eq!(talk.ends_within(0.0, 30.0), talk.ends_within(500.0, 30.0));
        assert!((comes_within(30.0, 0.01) - 0.259_181_779).abs() < 1e-9);
        assert_eq!(comes_within(30.0, 0.0), 0.0);
    }
}
