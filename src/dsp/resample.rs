//! Resampling to 8 kHz by a windowed-sinc polyphase filter. For prompts at load time, not for the 20 ms path.

use std::fmt;

use super::SAMPLE_RATE;
use super::oscillator::{sinc, to_sample};

/// Lowest rate taken, in Hz.
pub const RATE_MIN: u32 = 8000;
/// Highest rate taken, in Hz.
pub const RATE_MAX: u32 = 192_000;

/// Zero crossings of the sinc on either side of its middle: sets how steep the filter is.
const CROSSINGS: f64 = 32.0;
/// Cut-off as a share of 4 kHz. With the width above, 3.4 kHz passes whole and what would alias below it is gone.
const CUT_OFF: f64 = 0.93;
/// Shape of the Kaiser window: side lobes near -80 dB, below the noise of G.711.
const KAISER_BETA: f64 = 8.0;

/// Most taps of all phases together, 4 MB. Every usual rate stays below it; for an odd one such as 191,999 Hz, whose 8,000
/// phases would take a second to make, a phase is then the nearest before it: less than 0.002 of a sample off, 70 dB down.
const TAPS_MAX: usize = 1 << 20;

/// The rate cannot be converted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnsupportedRate(
    /// The rate asked for, in Hz.
    pub u32,
);

impl fmt::Display for UnsupportedRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sample rate {} is not within {RATE_MIN}..={RATE_MAX} Hz", self.0)
    }
}

impl std::error::Error for UnsupportedRate {}

/// A stream at some rate becomes one at 8 kHz.
#[derive(Clone, Debug)]
pub struct Resampler {
    /// `up / down` is 8000 / rate in lowest terms.
    up: usize,
    down: usize,
    /// Filter taps, one row of `taps` for each of `phases` fractions of a sample; empty when the rate is 8 kHz already.
    rows: Vec<f32>,
    taps: usize,
    /// `up`, or fewer where [`TAPS_MAX`] asks for it.
    phases: usize,
    /// Input that is still needed; its first sample is under the first tap of the next output.
    history: Vec<f32>,
    /// Which phase the next output has.
    phase: usize,
    /// Samples taken and made, to end exactly.
    taken: u64,
    made: u64,
}

impl Resampler {
    /// A resampler from `rate` Hz.
    ///
    /// # Errors
    /// When the rate is outside [`RATE_MIN`]..=[`RATE_MAX`].
    pub fn new(rate: u32) -> Result<Self, UnsupportedRate> {
        if !(RATE_MIN..=RATE_MAX).contains(&rate) {
            return Err(UnsupportedRate(rate));
        }
        let divisor = gcd(rate, SAMPLE_RATE);
        let (up, down) = ((SAMPLE_RATE / divisor) as usize, (rate / divisor) as usize);
        if rate == SAMPLE_RATE {
            let (rows, history) = (Vec::new(), Vec::new());
            return Ok(Self { up, down, rows, taps: 0, phases: 0, history, phase: 0, taken: 0, made: 0 });
        }
        let ratio = f64::from(rate) / f64::from(SAMPLE_RATE);
        let half = (CROSSINGS * ratio / CUT_OFF).ceil() as usize;
        let taps = 2 * half;
        let phases = up.min(TAPS_MAX / taps);
        let rows = (0..phases).flat_map(|phase| row(phase as f64 / phases as f64, half, ratio)).collect();
        // Silence before the start, so that the filter's middle lies on the first sample.
        let history = vec![0.0; half - 1];
        Ok(Self { up, down, rows, taps, phases, history, phase: 0, taken: 0, made: 0 })
    }

    /// Takes samples and appends what can be made of them to `out`.
    pub fn push(&mut self, pcm: &[i16], out: &mut Vec<i16>) {
        self.taken += pcm.len() as u64;
        if self.taps == 0 {
            out.extend_from_slice(pcm);
            return;
        }
        self.history.extend(pcm.iter().map(|&x| f32::from(x)));
        self.convert(out, u64::MAX);
    }

    /// Appends the rest; the whole output is then as long as the input was, in time.
    pub fn finish(mut self, out: &mut Vec<i16>) {
        if self.taps != 0 {
            self.history.resize(self.history.len() + self.taps, 0.0);
            let due = (self.taken * self.up as u64).div_ceil(self.down as u64);
            self.convert(out, due);
        }
    }

    fn convert(&mut self, out: &mut Vec<i16>, made_max: u64) {
        let mut start = 0;
        while let Some(input) = self.history.get(start..start + self.taps) {
            if self.made >= made_max {
                break;
            }
            let row = &self.rows[self.phase * self.phases / self.up * self.taps..][..self.taps];
            out.push(to_sample(dot(input, row)));
            self.made += 1;
            self.phase += self.down;
            start += self.phase / self.up;
            self.phase %= self.up;
        }
        self.history.drain(..start.min(self.history.len()));
    }
}

/// The whole of `pcm` at `rate` Hz, at 8 kHz.
///
/// # Errors
/// When the rate is outside [`RATE_MIN`]..=[`RATE_MAX`].
pub fn to_8_khz(pcm: &[i16], rate: u32) -> Result<Vec<i16>, UnsupportedRate> {
    let mut resampler = Resampler::new(rate)?;
    let mut out = Vec::new();
    resampler.push(pcm, &mut out);
    resampler.finish(&mut out);
    Ok(out)
}

/// Taps for an output that lies `fraction` of an input sample after the sample under tap `half - 1`; their sum is one.
fn row(fraction: f64, half: usize, ratio: f64) -> Vec<f32> {
    let taps: Vec<f64> = (0..2 * half)
        .map(|k| {
            let distance = k as f64 - (half as f64 - 1.0) - fraction;
            sinc(distance * CUT_OFF / ratio) * kaiser(distance / half as f64)
        })
        .collect();
    let sum: f64 = taps.iter().sum();
    taps.iter().map(|tap| (tap / sum) as f32).collect()
}

/// The Kaiser window at `x` in -1..=1, not normalised.
fn kaiser(x: f64) -> f64 {
    bessel_i0(KAISER_BETA * (1.0 - x * x).max(0.0).sqrt())
}

/// Modified Bessel function of the first kind, order zero, by its series.
fn bessel_i0(x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 1..40 {
        term *= (x / (2.0 * f64::from(n))).powi(2);
        sum += term;
    }
    sum
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f32 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a.zip(b) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    lanes.iter().sum::<f32>() + tail
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::level;

    const RATES: [u32; 8] = [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

    fn sine(rate: u32, hz: f64, seconds: f64) -> Vec<i16> {
        let n = (f64::from(rate) * seconds) as usize;
        let step = std::f64::consts::TAU * hz / f64::from(rate);
        (0..n).map(|i| ((i as f64 * step).sin() * 10_000.0) as i16).collect()
    }

    #[test]
    fn voice_band_sines_come_out_in_phase_and_whole_from_every_usual_rate() {
        for rate in RATES {
            for hz in [300.0, 1004.0, 2500.0, 3400.0] {
                let got = to_8_khz(&sine(rate, hz, 1.0), rate).unwrap();
                let expected = sine(8000, hz, 1.0);
                assert_eq!(got.len(), 8000, "{rate} Hz");
                let worst = got.iter().zip(&expected).skip(200).take(7600).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(worst <= Some(60), "{hz} Hz from {rate}: {worst:?}");
            }
        }
    }

    #[test]
    fn what_would_alias_into_the_voice_band_is_gone() {
        for rate in RATES.into_iter().filter(|&rate| rate >= 11_025) {
            for hz in [4600.0, 5200.0] {
                let got = to_8_khz(&sine(rate, hz, 0.5), rate).unwrap();
                let level = level::measure(&got[200..3800]).0 - level::measure(&sine(rate, hz, 0.5)).0;
                assert!(level < -60.0, "{hz} Hz from {rate}: {level} dB");
            }
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same() {
        let pcm = sine(44_100, 700.0, 0.3);
        let whole = to_8_khz(&pcm, 44_100).unwrap();
        for size in [1, 13, 441, 5000] {
            let mut resampler = Resampler::new(44_100).unwrap();
            let mut pieces = Vec::new();
            pcm.chunks(size).for_each(|chunk| resampler.push(chunk, &mut pieces));
            resampler.finish(&mut pieces);
            assert_eq!(whole, pieces, "pieces of {size}");
        }
    }

    #[test]
    fn odd_rates_work_and_absurd_ones_are_refused() {
        assert_eq!(to_8_khz(&[0; 9001], 9001).unwrap().len(), 8000);
        assert!(to_8_khz(&[], 48_000).unwrap().is_empty());
        assert_eq!(to_8_khz(&[100], 48_000).unwrap().len(), 1);
        for rate in [0, 1, 7999, 192_001, u32::MAX] {
            assert_eq!(to_8_khz(&[0], rate), Err(UnsupportedRate(rate)));
        }
    }

    #[test]
    fn an_odd_rate_costs_no_more_than_it_should_and_sounds_the_same() {
        for rate in [8_001, 16_001, 47_999, 191_999] {
            let resampler = Resampler::new(rate).unwrap();
            assert!(resampler.rows.len() <= TAPS_MAX, "{rate} Hz: {} taps", resampler.rows.len());
            let got = to_8_khz(&sine(rate, 3000.0, 0.25), rate).unwrap();
            let expected = sine(8000, 3000.0, 0.25);
            let worst = got.iter().zip(&expected).skip(200).take(1600).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(60), "{rate}: {worst:?}");
        }
    }

    #[test]
    fn full_scale_saturates_and_does_not_wrap() {
        let square: Vec<i16> = (0..48_000).map(|i| if i / 100 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let got = to_8_khz(&square, 48_000).unwrap();
        // 100 samples at 48 kHz are 16.7 at 8 kHz: the middle of each half wave keeps its sign.
        for half in 1..400 {
            let middle = (half as f64 * 100.0 / 6.0 + 8.3) as usize;
            assert_eq!(got[middle] > 0, half % 2 == 0, "half wave {half}");
        }
    }
}
