//! Is this one sine, and of which frequency? A meter for single tones: the special information tone's three, fax and modem
//! tones, the beep of an answering machine.
//!
//! A sine obeys `x[n - 1] + x[n + 1] = 2 cos(w) x[n]` whatever its phase. The least squares of that over 10 ms give the
//! frequency, what is left over says how much else there is. Noise 20 dB below moves 950 Hz by some 15 Hz, higher
//! frequencies less.

use std::f32::consts::TAU;

use super::SAMPLE_RATE;
use super::level::DBM0_PEAK;

/// Samples of a measurement: 10 ms.
pub const HOP: usize = 80;
/// Milliseconds of a measurement.
pub const HOP_MS: u32 = 10;
/// Share of the energy that may be anything else than the sine: -10 dB.
const IMPURITY_MAX: f32 = 0.1;

/// 10 ms of sound, measured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measure {
    /// Mean square of the samples.
    pub power: f32,
    /// Frequency in Hz where the sound is one sine.
    pub hz: Option<f32>,
}

/// Mean square of a signal of this level in dBm0.
pub fn power_of(dbm0: f32) -> f32 {
    DBM0_PEAK * DBM0_PEAK / 2.0 * 10f32.powf(dbm0 / 10.0)
}

/// Takes samples, any number, and measures every 10 ms of them.
#[derive(Clone, Debug)]
pub struct Meter {
    /// The last two samples of the piece before, then this piece.
    samples: [f32; HOP + 2],
    filled: usize,
}

impl Default for Meter {
    fn default() -> Self {
        Self { samples: [0.0; HOP + 2], filled: 2 }
    }
}

impl Meter {
    /// Takes from `pcm` what the present piece lacks; returns the rest, and the measure of a piece that is full.
    pub fn push<'a>(&mut self, pcm: &'a [i16]) -> (&'a [i16], Option<Measure>) {
        let n = pcm.len().min(HOP + 2 - self.filled);
        let (taken, rest) = pcm.split_at(n);
        for (s, &x) in self.samples[self.filled..].iter_mut().zip(taken) {
            *s = f32::from(x);
        }
        self.filled += n;
        if self.filled < HOP + 2 {
            return (rest, None);
        }
        let measure = measure(&self.samples);
        self.samples.copy_within(HOP.., 0);
        self.filled = 2;
        (rest, Some(measure))
    }

    /// The newest full piece.
    pub fn piece(&self) -> &[f32] {
        &self.samples[2..]
    }
}

fn measure(samples: &[f32; HOP + 2]) -> Measure {
    // Sums over the inner samples: x^2, x (before + after), (before + after)^2.
    let (mut own, mut cross, mut around) = (0.0f32, 0.0f32, 0.0f32);
    for trio in samples.windows(3) {
        let sides = trio[0] + trio[2];
        own += trio[1] * trio[1];
        cross += trio[1] * sides;
        around += sides * sides;
    }
    let power = own / HOP as f32;
    if own <= 0.0 {
        return Measure { power, hz: None };
    }
    let twice_cos = cross / own;
    let left_over = around - cross * twice_cos;
    // White noise of power 1 leaves 2 + (2 cos)^2.
    let noise = left_over / (2.0 + twice_cos * twice_cos);
    let cos = twice_cos / 2.0;
    let hz = (cos.abs() < 1.0 && noise <= own * IMPURITY_MAX).then(|| cos.acos() / TAU * SAMPLE_RATE as f32);
    Measure { power, hz }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::level::Dbm0;
    use crate::dsp::oscillator::{Oscillator, to_sample};

    fn measures(hz: f32, level: f32) -> Vec<Measure> {
        let mut sine = Oscillator::new(hz, Dbm0(level).peak());
        let pcm: Vec<i16> = (0..800).map(|_| to_sample(sine.next())).collect();
        let mut meter = Meter::default();
        let mut rest = pcm.as_slice();
        let mut all = Vec::new();
        while !rest.is_empty() {
            let (left, measure) = meter.push(rest);
            rest = left;
            all.extend(measure);
        }
        all
    }

    #[test]
    fn the_frequency_of_a_sine_is_found_to_a_hertz() {
        for hz in [425.0, 913.8, 1100.0, 1776.7, 2100.0, 3000.0] {
            let all = measures(hz, -15.0);
            assert_eq!(all.len(), 10);
            for m in &all[1..] {
                assert!((m.hz.unwrap() - hz).abs() < 1.0, "{hz}: {m:?}");
                assert!((m.power / power_of(-15.0) - 1.0).abs() < 0.1, "{hz}: {m:?}");
            }
        }
    }

    #[test]
    fn noise_and_silence_are_no_sine() {
        let mut state = 1u32;
        let pcm: Vec<i16> = (0..8000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 18) as i16
            })
            .collect();
        for sound in [pcm, vec![0; 800]] {
            let mut meter = Meter::default();
            let mut rest = sound.as_slice();
            while !rest.is_empty() {
                let (left, measure) = meter.push(rest);
                rest = left;
                assert!(measure.is_none_or(|m| m.hz.is_none()), "{measure:?}");
            }
        }
    }
}
