//! How long a wait will be, from what was measured.
//!
//! The estimate is the Markovian queue-length predictor QLm: with `s` agents, mean service time `m` and clients who
//! give up at rate `theta` each, the client with `q` others ahead is served after `sum over k = 0..=q of
//! 1 / (s/m + k * theta)`: the time until one more of those ahead has been served or has left, over and over.

use std::time::Duration;

use crate::base::Instant;
use crate::base::lognormal::{Learned, LogNormal};

/// Services that weigh in the mean; older ones fade.
const MEMORY: f64 = 300.0;

/// Services that weigh in the law of service times.
const LAW_MEMORY: f64 = 500.0;

/// Seconds after which an arrival weighs a third in the rate.
const RATE_MEMORY_S: f64 = 3_600.0;

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
    law: Learned,
    abandoned: f64,
    waited_s: f64,
    arrivals: f64,
    arrival_first: Option<Instant>,
    arrival_last: Instant,
}

impl Forecast {
    /// An agent was occupied this long by an item: ringing, conversation and wrap-up.
    pub(super) fn served(&mut self, occupied: Duration) {
        self.services = (self.services + 1.0).min(MEMORY);
        self.service_s_mean += (occupied.as_secs_f64() - self.service_s_mean) / self.services;
        self.law.learn(occupied, LAW_MEMORY);
    }

    /// An item came.
    pub(super) fn came(&mut self, now: Instant) {
        self.arrivals = self.fade(now) + 1.0;
        self.arrival_first.get_or_insert(now);
        self.arrival_last = now;
    }

    /// Arrivals that still weigh.
    fn fade(&self, now: Instant) -> f64 {
        self.arrivals * (-now.since(self.arrival_last).as_secs_f64() / RATE_MEMORY_S).exp()
    }

    /// Agents that the items keep busy: rate of arrivals times mean service. Zero until there is something to go by.
    pub(super) fn load(&self, now: Instant) -> f64 {
        let Some(first) = self.arrival_first.filter(|_| self.services >= 10.0) else { return 0.0 };
        // What a constant rate of one would have weighed since the first arrival.
        let seen_s = RATE_MEMORY_S * -(-now.since(first).as_secs_f64() / RATE_MEMORY_S).exp_m1();
        if seen_s < 60.0 { 0.0 } else { self.fade(now) / seen_s * self.service_s_mean }
    }

    /// The law of service times; none until it is known.
    pub(super) fn law(&self) -> Option<LogNormal> {
        self.law.law()
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
    pub(super) fn expected_wait(&self, ahead: usize, staff: f64) -> Option<Duration> {
        if self.services < 1.0 || staff <= 0.0 {
            return None;
        }
        let served_per_s = staff / self.service_s_mean.max(0.001);
        // Maximum likelihood of an exponential patience, waits that ended otherwise counting as censored.
        let theta = if self.waited_s > 0.0 { self.abandoned / self.waited_s } else { 0.0 };
        let summed = ahead.min(EXACT_TERMS - 1);
        let exact: f64 = (0..=summed).map(|k| 1.0 / (served_per_s + k as f64 * theta)).sum();
        let rest = integral(served_per_s, theta, summed as f64 + 0.5, ahead as f64 + 0.5);
        Some(Duration::from_secs_f64((exact + rest).min(FORETOLD_S_MAX)))
    }
}

/// How well waits were foretold.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Accuracy {
    count: u64,
    error: f64,
    waited: f64,
}

impl Accuracy {
    /// A wait that was foretold has ended.
    pub(super) fn compare(&mut self, foretold_s: f64, waited_s: f64) {
        self.count += 1;
        self.error += (foretold_s - waited_s).powi(2);
        self.waited += waited_s.powi(2);
    }

    /// How many.
    pub(super) fn count(self) -> u64 {
        self.count
    }

    /// Mean of the squared error over the mean of the squared waits; none before 30 of them.
    pub(super) fn error(self) -> Option<f64> {
        (self.count >= 30 && self.waited > 0.0).then(|| self.error / self.waited)
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
        assert_eq!(Forecast::default().expected_wait(3, 4.0), None);
        assert_eq!(after(1, 60).expected_wait(3, 0.0), None);
    }

    #[test]
    fn without_abandonment_it_is_places_times_service_over_staff() {
        let forecast = after(5, 120);
        assert_eq!(forecast.expected_wait(0, 4.0), Some(Duration::from_secs(30)));
        assert_eq!(forecast.expected_wait(3, 4.0), Some(Duration::from_secs(120)));
        let far = forecast.expected_wait(99, 4.0).map(|d| d.as_secs_f64().round());
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
            let got = forecast.expected_wait(ahead as usize, 4.0).map_or(0.0, |d| d.as_secs_f64());
            assert!((got - sum).abs() <= sum * 0.001, "{ahead} ahead: {got} against {sum}");
        }
    }

    #[test]
    fn the_load_is_rate_times_service_and_fades() {
        let mut forecast = after(50, 120);
        let at = |s: u64| Instant::from_micros(s * 1_000_000);
        assert_eq!(forecast.load(at(0)), 0.0);
        (0..2_000).for_each(|n| forecast.came(at(n * 10)));
        let load = forecast.load(at(20_000));
        assert!((load - 12.0).abs() < 0.1, "{load}");
        let later = forecast.load(at(20_000 + 3_600));
        assert!(later < load * 0.4, "{later}");
    }

    #[test]
    fn the_mean_follows_a_change() {
        let mut forecast = after(1_000, 60);
        (0..3_000).for_each(|_| forecast.served(Duration::from_secs(180)));
        let wait = forecast.expected_wait(0, 1.0).map_or(0.0, |d| d.as_secs_f64());
        assert!((wait - 180.0).abs() < 1.0, "{wait}");
    }
}
