//! What a run comes to, and how sure that is.

/// A mean with the half-width of its confidence interval of 95 %.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Half of the interval.
    pub ci95: f64,
}

impl Estimate {
    /// Of independent values; one alone has no interval, which counts as zero.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len();
        let mean = mean(values.iter().copied());
        if n < 2 {
            return Self { mean, ci95: 0.0 };
        }
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        Self { mean, ci95: student(n - 1) * (variance / n as f64).sqrt() }
    }
}

/// The quantile of Student's law that 2.5 % lie above, by degrees of freedom.
fn student(df: usize) -> f64 {
    const SMALL: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    let d = df as f64;
    // Beyond: the series of Cornish and Fisher around the normal law's 1.96, right to three digits.
    let series = 1.959_964 + 2.372_271 / d + 2.822_499 / (d * d) + 2.555_857 / (d * d * d);
    df.checked_sub(1).and_then(|n| SMALL.get(n)).copied().unwrap_or(series)
}

/// The mean; 0 of none.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), x| (sum + x, n + 1.0));
    if n > 0.0 { sum / n } else { 0.0 }
}

/// The value that a share of all do not exceed; `sorted` is in rising order. 0 of none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = ((sorted.len() as f64 * share).ceil() as usize).max(1) - 1;
    sorted.get(rank.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

/// Jain's index of fairness: 1 when all are equal, 1/n when one has all. 1 of none and of nothing.
pub(super) fn jain(values: &[f64]) -> f64 {
    let (sum, squares) = values.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    if squares > 0.0 { sum * sum / (values.len() as f64 * squares) } else { 1.0 }
}

/// A share in per cent; 0 of none.
pub(super) fn percent(part: usize, whole: usize) -> f64 {
    if whole > 0 { 100.0 * part as f64 / whole as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_students() {
        let of = Estimate::of(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(of.mean, 2.5);
        assert!((of.ci95 - 3.182 * (5.0_f64 / 3.0 / 4.0).sqrt()).abs() < 1e-9);
        assert_eq!(Estimate::of(&[7.0]), Estimate { mean: 7.0, ci95: 0.0 });
        assert_eq!(Estimate::of(&[]), Estimate::default());
        for (df, expected) in [(11, 2.201), (19, 2.093), (30, 2.042), (120, 1.980)] {
            assert!((student(df) - expected).abs() < 0.001, "{df}");
        }
    }

    #[test]
    fn quantiles_are_values_that_occur() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&sorted, 0.99), 99.0);
        assert_eq!(quantile(&sorted, 0.951), 96.0);
        assert_eq!(quantile(&sorted, 1.0), 100.0);
        assert_eq!(quantile(&[5.0], 0.5), 5.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn jain_is_one_for_equals_and_one_nth_for_a_monopoly() {
        assert!((jain(&[3.0, 3.0, 3.0]) - 1.0).abs() < 1e-12);
        assert!((jain(&[3.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-12);
        assert_eq!(jain(&[0.0, 0.0]), 1.0);
    }
}
