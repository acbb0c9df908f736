//! Random numbers, and the laws that times follow. The same seed gives the same numbers on every machine.

use std::f64::consts::TAU;

/// A generator: xoshiro256++ (Blackman and Vigna), its state filled from the seed by splitmix64.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
    spare: Option<f64>,
}

impl Random {
    /// From a seed; each seed gives a sequence of its own.
    pub fn new(seed: u64) -> Self {
        let mut x = seed;
        let mut next = || {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Self { state: [next(), next(), next(), next()], spare: None }
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let bits = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (e, f) = (c ^ a, d ^ b);
        self.state = [a ^ f, b ^ e, e ^ (b << 17), f.rotate_left(45)];
        bits
    }

    /// Between 0 and 1, neither of which is drawn.
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Between two bounds.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.unit().ln()
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let (radius, angle) = ((-2.0 * self.unit().ln()).sqrt(), TAU * self.unit());
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }
}

/// How long something lasts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Law {
    /// Memoryless.
    Exponential {
        /// Mean, in seconds.
        mean_s: f64,
    },
    /// The sum of two exponential phases.
    Erlang2 {
        /// Mean, in seconds.
        mean_s: f64,
    },
    /// Its logarithm is normal.
    LogNormal {
        /// Mean of the logarithm of the seconds.
        log_mean: f64,
        /// Deviation of it.
        log_sd: f64,
    },
}

impl Law {
    /// The mean, in seconds.
    pub fn mean_s(self) -> f64 {
        match self {
            Self::Exponential { mean_s } | Self::Erlang2 { mean_s } => mean_s,
            Self::LogNormal { log_mean, log_sd } => (log_mean + log_sd * log_sd / 2.0).exp(),
        }
    }

    /// A time, in seconds.
    pub fn draw(self, random: &mut Random) -> f64 {
        match self {
            Self::Exponential { mean_s } => random.exponential(mean_s),
            Self::Erlang2 { mean_s } => random.exponential(mean_s / 2.0) + random.exponential(mean_s / 2.0),
            Self::LogNormal { log_mean, log_sd } => (log_mean + log_sd * random.normal()).exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and deviation of many.
    fn moments(mut draw: impl FnMut(&mut Random) -> f64) -> (f64, f64) {
        let mut random = Random::new(7);
        let n = 200_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let x = draw(&mut random);
            sum += x;
            squares += x * x;
        }
        let mean = sum / f64::from(n);
        (mean, (squares / f64::from(n) - mean * mean).sqrt())
    }

    #[test]
    fn the_generator_is_the_published_one() {
        // Of the reference code with this state.
        let mut random = Random { state: [1, 2, 3, 4], spare: None };
        let first: Vec<u64> = (0..4).map(|_| random.bits()).collect();
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn seeds_have_their_own_sequences_and_repeat() {
        assert_eq!(Random::new(5).bits(), Random::new(5).bits());
        assert_ne!(Random::new(5).bits(), Random::new(6).bits());
        let mut random = Random::new(0);
        assert!((0..100_000).map(|_| random.unit()).all(|u| u > 0.0 && u < 1.0));
    }

    #[test]
    fn laws_have_their_means_and_deviations() {
        let near = |(mean, sd): (f64, f64), (m, s): (f64, f64)| {
            assert!((mean - m).abs() < 0.02 * m.max(0.3) && (sd - s).abs() < 0.04 * s, "{mean} {sd} for {m} {s}");
        };
        near(moments(Random::normal), (0.0, 1.0));
        near(moments(|r| r.between(3.0, 20.0)), (11.5, 17.0 / 12_f64.sqrt()));
        let exponential = Law::Exponential { mean_s: 180.0 };
        near(moments(|r| exponential.draw(r)), (180.0, 180.0));
        let erlang = Law::Erlang2 { mean_s: 180.0 };
        near(moments(|r| erlang.draw(r)), (180.0, 180.0 / 2_f64.sqrt()));
        let log_normal = Law::LogNormal { log_mean: 4.85, log_sd: 0.5 };
        let deviation = log_normal.mean_s() * (0.25_f64.exp_m1()).sqrt();
        near(moments(|r| log_normal.draw(r)), (log_normal.mean_s(), deviation));
        for law in [exponential, erlang] {
            assert_eq!(law.mean_s(), 180.0);
        }
    }
}
