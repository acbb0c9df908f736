//! DTMF (ITU-T Q.23): two sines to send a digit, Goertzel's filter to hear one.

use std::collections::VecDeque;
use std::f32::consts::TAU;

const SAMPLE_RATE: f32 = 8_000.0;
const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
/// Peak of each sine; about -11 dBm0 per tone.
const AMPLITUDE: f32 = 6_500.0;

/// The two frequencies of a digit in Hz; `None` for what is not one of `0-9*#A-D`.
pub fn frequencies(digit: char) -> Option<(f32, f32)> {
    KEYS.iter().enumerate().find_map(|(row, keys)| {
        let column = keys.iter().position(|&key| key == digit.to_ascii_uppercase())?;
        Some((LOW[row], HIGH[column]))
    })
}

/// Sends digits one after the other.
#[derive(Debug, Default)]
pub struct Generator {
    digits: VecDeque<char>,
    /// Samples of the present digit and its pause that are out.
    at: usize,
}

impl Generator {
    /// Length of a digit in samples (80 ms) and of the pause after it (80 ms). Q.24 table A-1 wants receivers to take
    /// 40 ms.
    const ON: usize = 640;
    const OFF: usize = 640;
    /// Most digits that wait.
    pub const DIGITS_MAX: usize = 64;

    /// Queues a digit. What is no digit, or one too many, is refused with `false`.
    pub fn push(&mut self, digit: char) -> bool {
        let fits = self.digits.len() < Self::DIGITS_MAX && frequencies(digit).is_some();
        if fits {
            self.digits.push_back(digit);
        }
        fits
    }

    /// Whether all is out, the last pause included.
    pub fn is_idle(&self) -> bool {
        self.digits.is_empty()
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.digits.clear();
        self.at = 0;
    }

    /// The next sample; `None` when idle.
    pub fn sample(&mut self) -> Option<i16> {
        let (low, high) = frequencies(*self.digits.front()?)?;
        let t = self.at as f32 / SAMPLE_RATE;
        let loud = self.at < Self::ON;
        self.at += 1;
        if self.at >= Self::ON + Self::OFF {
            self.digits.pop_front();
            self.at = 0;
        }
        let wave = (TAU * low * t).sin() + (TAU * high * t).sin();
        Some(if loud { (AMPLITUDE * wave) as i16 } else { 0 })
    }
}

/// Hears digits: two like blocks begin one, two unlike blocks end it.
#[derive(Debug)]
pub struct Detector {
    block: [f32; Detector::BLOCK],
    filled: usize,
    last: Option<char>,
    down: Option<char>,
    other_blocks: u8,
}

impl Default for Detector {
    fn default() -> Self {
        Self { block: [0.0; Self::BLOCK], filled: 0, last: None, down: None, other_blocks: 0 }
    }
}

impl Detector {
    /// 13 ms: short enough that 40 ms hold two whole blocks, long enough to tell neighbouring rows apart.
    const BLOCK: usize = 105;
    /// Mean square below which nothing is heard; about -36 dBm0.
    const FLOOR: f32 = 90_000.0;

    /// Takes a sample and gives a digit when one has begun.
    pub fn sample(&mut self, sample: i16) -> Option<char> {
        if let Some(place) = self.block.get_mut(self.filled) {
            *place = f32::from(sample);
        }
        self.filled += 1;
        if self.filled < Self::BLOCK {
            return None;
        }
        self.filled = 0;
        let heard = self.classify();
        let began = heard.filter(|_| heard == self.last && heard != self.down);
        self.last = heard;
        if began.is_some() {
            self.down = began;
            self.other_blocks = 0;
        } else if heard.is_some() && heard == self.down {
            self.other_blocks = 0;
        } else {
            self.other_blocks = self.other_blocks.saturating_add(1);
            if self.other_blocks >= 2 {
                self.down = None;
            }
        }
        began
    }

    fn classify(&self) -> Option<char> {
        let energy: f32 = self.block.iter().map(|s| s * s).sum();
        if energy < Self::FLOOR * Self::BLOCK as f32 {
            return None;
        }
        let (row, low) = strongest(&LOW.map(|f| self.power(f)))?;
        let (column, high) = strongest(&HIGH.map(|f| self.power(f)))?;
        // Twist: neither group may be more than 8 dB (6.3 in power) above the other; speech mostly is.
        if low > 6.3 * high || high > 6.3 * low {
            return None;
        }
        // A sine of power p in a block of n samples gives n * p / 2 * n of Goertzel power; both tones together must
        // make most of the energy, or it is speech.
        if 2.0 * (low + high) < 0.75 * energy * Self::BLOCK as f32 {
            return None;
        }
        KEYS.get(row)?.get(column).copied()
    }

    /// Goertzel's filter at one frequency.
    fn power(&self, frequency: f32) -> f32 {
        let c = 2.0 * (TAU * frequency / SAMPLE_RATE).cos();
        let (mut s1, mut s2) = (0.0f32, 0.0f32);
        for x in &self.block {
            (s1, s2) = (x + c * s1 - s2, s1);
        }
        s1 * s1 + s2 * s2 - c * s1 * s2
    }
}

/// The strongest of four, if it stands 4 dB above the others.
fn strongest(powers: &[f32; 4]) -> Option<(usize, f32)> {
    let (at, &best) = powers.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let alone = powers.iter().enumerate().all(|(i, &p)| i == at || p * 2.5 < best);
    alone.then_some((at, best))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711;
    use cordboard_hal::Law;

    fn heard(samples: impl Iterator<Item = i16>) -> String {
        let mut detector = Detector::default();
        samples.filter_map(|s| detector.sample(s)).collect()
    }

    #[test]
    fn hears_what_it_sends_through_either_law() {
        const ALL: &str = "0123456789*#ABCD5551234";
        for law in [Law::Ulaw, Law::Alaw] {
            for offset in [0, 13, 52, 104] {
                let mut generator = Generator::default();
                assert!(ALL.chars().all(|d| generator.push(d)));
                let line = std::iter::repeat_n(0, offset).chain(std::iter::from_fn(|| generator.sample()));
                assert_eq!(heard(line.map(|s| g711::decode(law, g711::encode(law, s)))), ALL, "{law:?} {offset}");
            }
        }
    }

    #[test]
    fn hears_short_and_quiet_digits() {
        // 50 ms on, 50 ms off, 20 dB down.
        let line = "0147#".chars().flat_map(|digit| {
            let (low, high) = frequencies(digit).unwrap_or_default();
            (0..800).map(move |n| {
                let t = n as f32 / SAMPLE_RATE;
                if n < 400 { (650.0 * ((TAU * low * t).sin() + (TAU * high * t).sin())) as i16 } else { 0 }
            })
        });
        assert_eq!(heard(line), "0147#");
    }

    #[test]
    fn is_deaf_to_noise_single_tones_and_music() {
        let mut x = 1u32;
        let noise = (0..80_000).map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 17) as i16 - 16_384
        });
        assert_eq!(heard(noise), "");
        for frequency in [440.0, 697.0, 941.0, 1_209.0] {
            let tone = (0..8_000).map(|n| (9_000.0 * (TAU * frequency * n as f32 / SAMPLE_RATE).sin()) as i16);
            assert_eq!(heard(tone), "", "{frequency}");
        }
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut generator = Generator::default();
        assert!(!generator.push('x'));
        assert_eq!((0..100).filter(|_| generator.push('1')).count(), Generator::DIGITS_MAX);
        generator.clear();
        assert!(generator.is_idle() && generator.sample().is_none());
    }
}
