//! A sine oscillator with a 32-bit phase accumulator, and the trigonometry for tables that are computed by the compiler.

use std::f64::consts::{PI, TAU};

use super::SAMPLE_RATE;

/// Sine of `turns` turns, for constant tables (`f64::sin` is not const). Error below 1e-9.
pub(super) const fn sin_turns(turns: f64) -> f64 {
    let mut t = turns - (turns as i64) as f64;
    if t > 0.5 {
        t -= 1.0;
    } else if t < -0.5 {
        t += 1.0;
    }
    // Fold to a quarter turn either side of zero, where the series converges fast.
    if t > 0.25 {
        t = 0.5 - t;
    } else if t < -0.25 {
        t = -0.5 - t;
    }
    let x = t * TAU;
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while n < 17.0 {
        term *= -x * x / ((n + 1.0) * (n + 2.0));
        sum += term;
        n += 2.0;
    }
    sum
}

/// Cosine of `turns` turns, for constant tables.
pub(super) const fn cos_turns(turns: f64) -> f64 {
    sin_turns(turns + 0.25)
}

/// Von Hann window of `n` points without zeros at its ends: `sin^2(pi (i + 1/2) / n)`.
pub(super) const fn hann(i: usize, n: usize) -> f64 {
    let s = sin_turns((i as f64 + 0.5) / (2.0 * n as f64));
    s * s
}

/// All points of [`hann`].
pub(super) const fn hann_window<const N: usize>() -> [f32; N] {
    let mut window = [0.0; N];
    let mut i = 0;
    while i < N {
        window[i] = hann(i, N) as f32;
        i += 1;
    }
    window
}

/// Phase steps of one table entry: 10 bits of index, 22 bits to interpolate.
const INDEX_SHIFT: u32 = 22;
const FRACTION: f32 = 1.0 / (1u32 << INDEX_SHIFT) as f32;

static SINE: [f32; 1025] = {
    let mut table = [0.0; 1025];
    let mut i = 0;
    while i < table.len() {
        table[i] = sin_turns(i as f64 / 1024.0) as f32;
        i += 1;
    }
    table
};

/// A sine wave whose phase never jumps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Oscillator {
    phase: u32,
    step: u32,
    amplitude: f32,
}

impl Oscillator {
    /// Starts at phase zero. `hz` is taken modulo the sample rate; `amplitude` is the peak, in sample steps.
    pub(super) fn new(hz: f32, amplitude: f32) -> Self {
        let mut oscillator = Self { phase: 0, step: 0, amplitude };
        oscillator.retune(hz);
        oscillator
    }

    /// Changes the frequency and keeps the phase.
    pub(super) fn retune(&mut self, hz: f32) {
        let turns = f64::from(hz) / f64::from(SAMPLE_RATE);
        self.step = (turns.rem_euclid(1.0) * 4_294_967_296.0) as u32;
    }

    /// The next sample.
    #[inline]
    pub(super) fn next(&mut self) -> f32 {
        let index = (self.phase >> INDEX_SHIFT) as usize;
        let fraction = (self.phase & ((1 << INDEX_SHIFT) - 1)) as f32 * FRACTION;
        let (a, b) = (SINE[index], SINE[index + 1]);
        self.phase = self.phase.wrapping_add(self.step);
        (a + (b - a) * fraction) * self.amplitude
    }
}

/// `sin(pi x) / (pi x)`.
pub(super) fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// Rounds and saturates to a sample.
#[inline]
pub(super) fn to_sample(x: f32) -> i16 {
    // A float to integer cast saturates; adding half a step with the sign of x rounds to nearest without a libm call.
    (x + if x < 0.0 { -0.5 } else { 0.5 }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_sine_matches_the_library() {
        for i in -3000..3000 {
            let turns = f64::from(i) / 1000.0;
            assert!((sin_turns(turns) - (turns * TAU).sin()).abs() < 1e-9, "{turns}");
            assert!((cos_turns(turns) - (turns * TAU).cos()).abs() < 1e-9, "{turns}");
        }
    }

    #[test]
    fn oscillator_follows_a_sine_for_ten_seconds() {
        let mut oscillator = Oscillator::new(1004.0, 10_000.0);
        for n in 0..80_000 {
            let expected = (f64::from(n) * 1004.0 / 8000.0).fract() * TAU;
            let got = oscillator.next();
            assert!((f64::from(got) - expected.sin() * 10_000.0).abs() < 3.0, "sample {n}: {got}");
        }
    }

    #[test]
    fn rounding_saturates() {
        assert_eq!(to_sample(1e9), i16::MAX);
        assert_eq!(to_sample(-1e9), i16::MIN);
        assert_eq!(to_sample(-0.6), -1);
        assert_eq!(to_sample(0.4), 0);
    }
}
