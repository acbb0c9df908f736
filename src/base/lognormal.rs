//! The log-normal law, which talk times follow: the longer a call has lasted, the less likely it is to end soon.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A log-normal law of times in seconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LogNormal {
    /// Mean of the logarithm.
    pub log_mean: f64,
    /// Standard deviation of the logarithm; above zero.
    pub log_sd: f64,
}

impl LogNormal {
    /// Rate at which it ends after it has lasted `elapsed_s` seconds, per second.
    pub fn hazard(self, elapsed_s: f64) -> f64 {
        if elapsed_s <= 0.0 {
            return 0.0;
        }
        let z = self.z(elapsed_s);
        // Density over survival of the normal law; beyond 8 deviations its own limit, z + 1/z.
        let mills = if z < 8.0 {
            (-z * z / 2.0).exp()
                / (2.0 * std::f64::consts::PI).sqrt()
                / (0.5 * libm::erfc(z / std::f64::consts::SQRT_2))
        } else {
            z + 1.0 / z
        };
        mills / (elapsed_s * self.log_sd)
    }

    /// Chance that it lasts longer than so many seconds.
    pub fn survival(self, s: f64) -> f64 {
        if s <= 0.0 { 1.0 } else { 0.5 * libm::erfc(self.z(s) / std::f64::consts::SQRT_2) }
    }

    /// Chance that it ends within `window_s` more seconds, having lasted `elapsed_s`.
    pub fn ends_within(self, elapsed_s: f64, window_s: f64) -> f64 {
        let now = self.survival(elapsed_s);
        if now > 1e-290 {
            return 1.0 - self.survival(elapsed_s + window_s) / now;
        }
        // So far out that the chances themselves are no numbers any more: the rate of ending, which falls slowly there.
        -(-self.hazard(elapsed_s) * window_s).exp_m1()
    }

    fn z(self, s: f64) -> f64 {
        (s.ln() - self.log_mean) / self.log_sd
    }
}

/// A log-normal law as it is learned: means of the logarithm and of its square that follow the last so many times.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct Learned {
    seen: f64,
    mean: f64,
    variance: f64,
}

impl Learned {
    /// Takes in a time; `memory` is how many of the last ones weigh.
    pub fn learn(&mut self, time: Duration, memory: f64) {
        let log = time.as_secs_f64().max(0.1).ln();
        self.seen = (self.seen + 1.0).min(memory);
        let off = log - self.mean;
        self.mean += off / self.seen;
        self.variance += (off * (log - self.mean) - self.variance) / self.seen;
    }

    /// Whether it may be what was once learned: of what was stored nobody knows.
    pub fn is_sound(self) -> bool {
        self.mean.is_finite() && [self.seen, self.variance].iter().all(|n| n.is_finite() && *n >= 0.0)
    }

    /// The law; none before 30 times were seen, which tell little of a spread.
    pub fn law(self) -> Option<LogNormal> {
        (self.seen >= 30.0).then(|| LogNormal { log_mean: self.mean, log_sd: self.variance.sqrt().max(0.05) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Regular calls of a bank: talk of 10 s or more.
    const TALK: LogNormal = LogNormal { log_mean: 4.79, log_sd: 0.93 };

    #[test]
    fn a_long_call_is_less_likely_to_end_soon() {
        let ends = |elapsed| TALK.ends_within(elapsed, 30.0);
        assert!(ends(60.0) > ends(300.0) && ends(300.0) > ends(1_200.0));
        assert!(TALK.hazard(60.0) > TALK.hazard(600.0));
    }

    #[test]
    fn hazard_is_the_rate_of_ending() {
        for elapsed in [1.0, 30.0, 120.0, 3_600.0, 86_400.0] {
            let rate = TALK.ends_within(elapsed, 0.001) / 0.001;
            let hazard = TALK.hazard(elapsed);
            assert!((rate - hazard).abs() < 0.01 * hazard, "{elapsed}: {rate} and {hazard}");
        }
    }

    #[test]
    fn far_out_nothing_breaks() {
        let short = LogNormal { log_mean: 1.0, log_sd: 0.05 };
        for elapsed in [0.0, 1e-9, 10.0, 1e6, 1e12] {
            let hazard = short.hazard(elapsed);
            assert!(hazard.is_finite() && hazard >= 0.0, "{elapsed}: {hazard}");
            let ends = short.ends_within(elapsed, 30.0);
            assert!((0.0..=1.0).contains(&ends), "{elapsed}: {ends}");
        }
    }

    #[test]
    fn the_law_is_learned_and_followed() {
        let mut learned = Learned::default();
        // Quantiles of the law, in an order without trend.
        let time = |n: u32| {
            let p = f64::from(n * 37 % 100) / 100.0 + 0.005;
            let (mut low, mut high) = (0.01, 100_000.0);
            for _ in 0..60 {
                let middle: f64 = (low + high) / 2.0;
                if TALK.survival(middle) > 1.0 - p { low = middle } else { high = middle }
            }
            Duration::from_secs_f64(low)
        };
        for n in 0..1_000 {
            assert_eq!(learned.law().is_some(), n >= 30);
            learned.learn(time(n), 500.0);
        }
        let law = learned.law().unwrap();
        assert!((law.log_mean - TALK.log_mean).abs() < 0.03, "{law:?}");
        assert!((law.log_sd - TALK.log_sd).abs() < 0.05, "{law:?}");
    }
}
