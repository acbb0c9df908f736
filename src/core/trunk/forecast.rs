//! When a trunk will be too small: its load in the daily peak hour, how that has grown, how bursty calls come, and from that the
//! share of calls that will find all circuits taken (ITU-T E.492's reference periods, E.520's formula).

use crate::base::erlang::{blocking_of_peaked, lines_for};

/// Days with traffic without which nothing is foretold.
pub const DAYS_MIN: usize = 14;
/// Months looked ahead.
pub const MONTHS: usize = 36;
/// Days in a month.
const MONTH_DAYS: f64 = 365.25 / 12.0;

/// A day's peak hour.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PeakHour {
    /// Days since some day.
    pub day: i64,
    /// Circuits held on average.
    pub erlangs: f64,
    /// Calls begun.
    pub calls: u32,
}

/// What was measured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measured {
    /// The load of a peak hour at the last day, in erlangs, as the growth has it.
    pub erlangs: f64,
    /// By how much it grows in a month, as a factor.
    pub growth: f64,
    /// Half the width of the growth's 95 % confidence interval, as an exponent: from `growth / e^w` to `growth * e^w`.
    pub growth_ci95: f64,
    /// Variance over mean of the number of calls in peak hours, beside the growth; 1 where calls come by chance alone.
    pub dispersion: f64,
    /// Variance over mean of the circuits that would be held of as many as are wanted.
    pub peakedness: f64,
}

/// A month to come.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Month {
    /// From now: 0 is the last day measured.
    pub ahead: usize,
    /// The load of its peak hours, in erlangs.
    pub erlangs: f64,
    /// Share of calls that find all circuits taken.
    pub blocking: f64,
    /// Circuits that would do for the share aimed at; `None` for more than can be counted.
    pub lines: Option<u32>,
}

/// Reads growth and burstiness from peak hours, a day each; `None` where fewer than [`DAYS_MIN`] days had any traffic.
///
/// The growth is the straight line through the logarithms. Calls of a day vary together (weather, a campaign), so that their
/// number varies by more than chance: with holding time `h` and rates that last an hour, circuits held vary by
/// `1 + (dispersion - 1) * h / 1 h` times their mean.
pub fn measure(days: &[PeakHour]) -> Option<Measured> {
    let days: Vec<PeakHour> = days.iter().copied().filter(|day| day.erlangs > 0.0 && day.calls > 0).collect();
    let n = days.len() as f64;
    if days.len() < DAYS_MIN {
        return None;
    }
    let mean = |value: &dyn Fn(&PeakHour) -> f64| days.iter().map(value).sum::<f64>() / n;
    let (day_mean, log_mean) = (mean(&|d| d.day as f64), mean(&|d| d.erlangs.ln()));
    let spread = mean(&|d| (d.day as f64 - day_mean).powi(2));
    let slope = if spread > 0.0 { mean(&|d| (d.day as f64 - day_mean) * d.erlangs.ln()) / spread } else { 0.0 };
    let fitted = |day: i64| log_mean + slope * (day as f64 - day_mean);
    let rest = mean(&|d| (d.erlangs.ln() - fitted(d.day)).powi(2)) * n / (n - 2.0);
    let slope_sd = if spread > 0.0 { (rest / (n * spread)).sqrt() } else { 0.0 };
    // The line goes through the means of logarithms; the mean of what they stand for is higher.
    let level = |day: i64| (fitted(day) + rest / 2.0).exp();
    let calls_per_erlang = mean(&|d| f64::from(d.calls)) / mean(&|d| d.erlangs);
    let off = |d: &PeakHour| (f64::from(d.calls) - level(d.day) * calls_per_erlang).powi(2);
    let dispersion = (mean(&off) * n / (n - 2.0) / mean(&|d| f64::from(d.calls))).max(1.0);
    let last = days.iter().map(|d| d.day).max()?;
    Some(Measured {
        erlangs: level(last),
        growth: (slope * MONTH_DAYS).exp(),
        growth_ci95: 1.96 * slope_sd * MONTH_DAYS,
        dispersion,
        // Erlangs over calls an hour: the holding time in hours.
        peakedness: 1.0 + (dispersion - 1.0) / calls_per_erlang,
    })
}

/// The months to come at that growth, for `circuits` of which at most `share` of the calls may find none free.
pub fn months(measured: &Measured, circuits: u32, share: f64) -> Vec<Month> {
    let month = |ahead: usize| {
        let erlangs = measured.erlangs * measured.growth.powf(ahead as f64);
        let blocking = blocking_of_peaked(erlangs, measured.peakedness, f64::from(circuits));
        Month { ahead, erlangs, blocking, lines: lines_for(erlangs, measured.peakedness, share) }
    };
    (0..=MONTHS).map(month).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 90 days of 40 erlangs that grow by 5 % a month, calls of 180 s.
    fn days(noise: impl Fn(i64) -> f64) -> Vec<PeakHour> {
        (0..90)
            .map(|day| {
                let erlangs = 40.0 * 1.05f64.powf(day as f64 / MONTH_DAYS) * noise(day);
                PeakHour { day, erlangs, calls: (erlangs * 20.0).round() as u32 }
            })
            .collect()
    }

    #[test]
    fn growth_is_read_and_carried_on() {
        let measured = measure(&days(|_| 1.0)).expect("90 days");
        assert!((measured.growth - 1.05).abs() < 1e-6 && measured.growth_ci95 < 1e-6, "{measured:?}");
        assert!((measured.erlangs - 40.0 * 1.05f64.powf(89.0 / MONTH_DAYS)).abs() < 0.01, "{measured:?}");
        assert!((measured.peakedness - 1.0).abs() < 1e-9, "nothing varies");
        let months = months(&measured, 64, 0.01);
        assert_eq!(months.len(), MONTHS + 1);
        let first = months.iter().find(|month| month.blocking > 0.01).expect("one day it is too small");
        // 64 circuits lose 1 % at 50.6 erlangs.
        assert!(first.erlangs > 50.6 && first.erlangs < 50.6 * 1.05, "{first:?}");
        assert!(first.lines > Some(64) && months[first.ahead - 1].lines <= Some(64));
        assert!(months.windows(2).all(|m| m[1].blocking >= m[0].blocking && m[1].lines >= m[0].lines));
    }

    #[test]
    fn days_that_differ_need_more_circuits() {
        let steady = measure(&days(|_| 1.0)).expect("90 days");
        // By 20 % up and down in turns: so do the calls.
        let varied = measure(&days(|day| if day % 2 == 0 { 1.2 } else { 1.0 / 1.2 })).expect("90 days");
        assert!((varied.growth - 1.05).abs() < 0.01 && varied.growth_ci95 > 0.01, "{varied:?}");
        // Calls: mean about 870 an hour, deviation 18 %: variance over mean 1 + 870 * 0.033.
        assert!((20.0..45.0).contains(&varied.dispersion), "{varied:?}");
        assert!((1.9..3.5).contains(&varied.peakedness), "{varied:?}");
        assert!(months(&varied, 64, 0.01)[0].lines > months(&steady, 64, 0.01)[0].lines);
    }

    #[test]
    fn too_few_days_tell_nothing() {
        let few = days(|day| if day < DAYS_MIN as i64 - 1 { 1.0 } else { 0.0 });
        assert_eq!(measure(&few), None);
        let one: Vec<PeakHour> = (0..20).map(|_| PeakHour { day: 5, erlangs: 3.0, calls: 60 }).collect();
        let measured = measure(&one).expect("20 of one day");
        assert!((measured.growth - 1.0).abs() < 1e-9 && measured.growth_ci95 == 0.0, "no growth without time");
    }
}
