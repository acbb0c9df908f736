//! How long a wait will be, from what was measured.
//!
//! The estimate is the Markovian queue-length predictor QLm: with `s` agents, mean service time `m` and clients who
//! give up at rate `theta` each, the client with `q` others ahead is served after `sum over k = 0..=q of
//! 1 / (s/m + k * theta)`: the time until one more of those ahead has been served or has left, over and over.

use std::time::Duration;

/// Services that weigh in the mean; older ones fade.
const MEMORY: f64 = 100.0;

/// Abandonments after which the older half of the evidence is forgotten by halving.
const ABANDONED_MAX: f64 = 1_000.0;

/// Terms that are summed one by one; the rest of a long sum is its integral, off by less than 1 part in 1,000.
const EXACT_TERMS: usize = 32;

/// No wait longer than this is foretold.
const FORETOLD_S_MAX: f64 = 86_400.0;

/// What one queue has measured.
#[derive(Clone, Default, Debug)]
pub(super) struct Forecast {
    services: f64,
    service_s_mean: f64,
    abandoned: f64,
    waited_s: f64,
}

impl Forecast {
    /// An agent was occupied this long by an item: ringing, conversation and wrap-up.
    pub(super) fn served(&mut self, occupied: Duration) {
        self.services = (self.services + 1.0).min(MEMORY);
        self.service_s_mean += (occupied.as_secs_f64() - self.service_s_mean) / self.services;
    }

    /// An item left the queue after this wait, given up or not.
    pub(super) fn waited(&mut self, wait: Duration, abandoned: bool) {
        self.waited_s += wait.as_secs_f64();
        self.abandoned += if abandoned { 1.0 } else { 0.0 };
        if self.abandoned > ABANDONED_MAX {
            self.abandoned /= 2.0;
            self.waited_s /= 2.0;
        }
    }

    /// Expected wait with `ahead` items before and `staff` agents at work; none until one service was measured, or
    /// when nobody works.
    pub(super) fn expected_wait(&self, ahead: usize, staff: usize) -> Option<Duration> {
        if self.services < 1.0 || staff == 0 {
            return None;
        }
        let served_per_s = staff as f64 / self.service_s_mean.max(0.001);
        // Maximum likelihood of an exponential patience, waits that ended otherwise counting as censored.
        let theta = if self.waited_s > 0.0 { self.abandoned / self.waited_s } else { 0.0 };
        let summed = ahead.min(EXACT_TERMS - 1);
        let exact: f64 = (0..=summed).map(|k| 1.0 / (served_per_s + k as f64 * theta)).sum();
        let rest = integral(served_per_s, theta, summed as f64 + 0.5, ahead as f64 + 0.5);
        Some(Duration::from_secs_f64((exact + rest).min(FORETOLD_S_MAX)))
    }
}

/// Integral of `1 / (rate + x * theta)` for x from `from` to `to`.
fn integral(rate: f64, theta: f64, from: f64, to: f64) -> f64 {
    let (low, high) = (rate + from * theta, rate + to * theta);
    let relative = (high - low) / low;
    if relative < 1e-6 { (to - from) / low } else { relative.ln_1p() / theta }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(services: usize, each_s: u64) -> Forecast {
        let mut forecast = Forecast::default();
        (0..services).for_each(|_| forecast.served(Duration::from_secs(each_s)));
        forecast
    }

    #[test]
    fn unknown_until_measured_and_staffed() {
        assert_eq!(Forecast::default().expected_wait(3, 4), None);
        assert_eq!(after(1, 60).expected_wait(3, 0), None);
    }

    #[test]
    fn without_abandonment_it_is_places_times_service_over_staff() {
        let forecast = after(5, 120);
        assert_eq!(forecast.expected_wait(0, 4), Some(Duration::from_secs(30)));
        assert_eq!(forecast.expected_wait(3, 4), Some(Duration::from_secs(120)));
        let far = forecast.expected_wait(99, 4).map(|d| d.as_secs_f64().round());
        assert_eq!(far, Some(3_000.0));
    }

    #[test]
    fn abandonment_shortens_the_wait_and_the_integral_follows_the_sum() {
        let mut forecast = after(5, 120);
        for n in 0..10 {
            forecast.waited(Duration::from_secs(150), n < 5);
        }
        let theta = 5.0 / 1_500.0;
        for ahead in [0, 1, 31, 32, 33, 200, 5_000] {
            let sum: f64 = (0..=ahead).map(|k| 1.0 / (4.0 / 120.0 + f64::from(k) * theta)).sum();
            let got = forecast.expected_wait(ahead as usize, 4).map_or(0.0, |d| d.as_secs_f64());
            assert!((got - sum).abs() <= sum * 0.001, "{ahead} ahead: {got} against {sum}");
        }
    }

    #[test]
    fn the_mean_follows_a_change() {
        let mut forecast = after(1_000, 60);
        (0..1_000).for_each(|_| forecast.served(Duration::from_secs(180)));
        let wait = forecast.expected_wait(0, 1).map_or(0.0, |d| d.as_secs_f64());
        assert!((wait - 180.0).abs() < 1.0, "{wait}");
    }
}
