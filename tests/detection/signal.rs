//! Digits as a line brings them: levels, twist, offsets, lengths, and what comes with them. Shared with the benchmark
//! that measures margins, so that both speak of the same signals.

use std::f64::consts::TAU;

use cordboard::base::Law;
use cordboard::dsp::g711;
use cordboard::dsp::level::Dbm0;

/// Every digit.
pub const DIGITS: &str = "1234567890*#ABCD";

/// Q.23: rows, columns.
const LOW_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH_HZ: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYPAD: [&str; 4] = ["123A", "456B", "789C", "*0#D"];

/// What to send, and how.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    /// Factors of each frequency's offset, 0.015 for 1.5 %.
    pub low_offset: f64,
    pub high_offset: f64,
    /// Hz beyond them.
    pub beyond_hz: f64,
    /// Levels in dBm0.
    pub low: f32,
    pub high: f32,
    /// Lengths in samples.
    pub on: usize,
    pub off: usize,
    /// Silence before, in samples, so that every alignment with a detector's windows can be tried.
    pub lead: usize,
}

/// 40 ms on and off at usual levels.
pub const PLAIN: Digits =
    Digits { low_offset: 0.0, high_offset: 0.0, beyond_hz: 0.0, low: -9.0, high: -7.0, on: 320, off: 320, lead: 0 };

/// The two frequencies of a digit.
pub fn frequencies(digit: char) -> (f64, f64) {
    let row = KEYPAD.iter().position(|row| row.contains(digit)).expect("a digit");
    let column = KEYPAD[row].find(digit).expect("it is in the row");
    (LOW_HZ[row], HIGH_HZ[column])
}

/// Samples of a sine of this level.
pub fn sine(hz: f64, level: f32, len: usize) -> impl Iterator<Item = f64> {
    let peak = f64::from(Dbm0(level).peak());
    (0..len).map(move |n| peak * (hz * n as f64 / 8000.0 * TAU).sin())
}

impl Digits {
    /// The signal of these digits, with 100 ms of silence after them.
    pub fn send(self, digits: &str) -> Vec<f64> {
        let mut out = vec![0.0; self.lead];
        for digit in digits.chars() {
            let (low, high) = frequencies(digit);
            let low = low * (1.0 + self.low_offset) + self.low_offset.signum() * self.beyond_hz;
            let high = high * (1.0 + self.high_offset) + self.high_offset.signum() * self.beyond_hz;
            out.extend(sine(low, self.low, self.on).zip(sine(high, self.high, self.on)).map(|(l, h)| l + h));
            out.resize(out.len() + self.off, 0.0);
        }
        out.resize(out.len() + 800, 0.0);
        out
    }
}

/// Adds `other` to `signal`.
pub fn add(signal: &mut [f64], other: impl IntoIterator<Item = f64>) {
    signal.iter_mut().zip(other).for_each(|(s, o)| *s += o);
}

/// To samples, saturating.
pub fn to_pcm(signal: &[f64]) -> Vec<i16> {
    signal.iter().map(|&x| x.round().clamp(-32_768.0, 32_767.0) as i16).collect()
}

/// Through a G.711 line.
pub fn line(signal: &[f64], law: Law) -> Vec<i16> {
    let pcm = to_pcm(signal);
    let mut octets = vec![0; pcm.len()];
    g711::encode(law, &pcm, &mut octets);
    let mut out = vec![0; pcm.len()];
    g711::decode(law, &octets, &mut out);
    out
}

/// A deterministic source of noise.
pub struct Noise(u64);

impl Noise {
    /// The noise of a seed.
    pub fn new(seed: u64) -> Noise {
        Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Uniform in 0..1.
    pub fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Gaussian with a deviation of 1 (Box and Muller).
    pub fn gaussian(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (self.uniform() * TAU).cos()
    }

    /// `len` samples of Gaussian noise of this level in dBm0, over the whole band of 4 kHz.
    pub fn white(&mut self, level: f32, len: usize) -> Vec<f64> {
        // A sine's power is half the square of its peak.
        let deviation = f64::from(Dbm0(level).peak()) / std::f64::consts::SQRT_2;
        (0..len).map(|_| self.gaussian() * deviation).collect()
    }

    /// `len` samples with `each_second` clicks of 1 ms at this peak level in dBm0, at random.
    pub fn impulses(&mut self, level: f32, each_second: f64, len: usize) -> Vec<f64> {
        let peak = f64::from(Dbm0(level).peak());
        let mut out = vec![0.0; len + 8];
        for n in 0..len {
            if self.uniform() < each_second / 8000.0 {
                let sign = if self.uniform() < 0.5 { 1.0 } else { -1.0 };
                // A click rings: half a period up, half a period down.
                for (k, o) in out[n..n + 8].iter_mut().enumerate() {
                    *o += sign * peak * (k as f64 / 8.0 * TAU).sin();
                }
            }
        }
        out.truncate(len);
        out
    }
}
