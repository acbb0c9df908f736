//! A signal that proves an audio path end to end: each seed has a melody of its own, and the far end says which it hears.
//!
//! The melody is a ring of symbols of 80 ms; each symbol is a tone from a low group and one from a high group, in the
//! voice band, so it survives G.711, transcoding, jitter buffers, gaps and an unknown delay. No tone of the high group
//! lies near a high DTMF frequency, nor near 2100, 2225, 2400 or 2600 Hz, so no equipment in the path reacts to it.

use std::collections::VecDeque;

use super::level::Dbm0;
use super::oscillator::{Oscillator, cos_turns, hann, hann_window, sin_turns, to_sample};
use super::{SAMPLE_RATE, samples};

const LOW_HZ: [f64; 8] = [450.0, 550.0, 650.0, 750.0, 850.0, 950.0, 1050.0, 1150.0];
const HIGH_HZ: [f64; 8] = [1750.0, 1850.0, 1950.0, 2300.0, 2500.0, 2750.0, 2850.0, 2950.0];

/// Symbols of a melody, which then repeats.
const SYMBOLS: usize = 8;
/// Samples of a symbol.
const SYMBOL: usize = samples(80);
/// Level of each of the two tones; -16 dBm0 together, that of speech.
const LEVEL: Dbm0 = Dbm0(-19.0);
/// Samples over which one symbol gives way to the next.
const JOINT: usize = samples(2);

/// A tone of each group, as indexes.
type Symbol = (u8, u8);

/// The melody of a seed. Neighbours differ in both tones, also round the end, so that every joint is heard.
fn melody(seed: u64) -> [Symbol; SYMBOLS] {
    let mut state = seed;
    let mut draw = |not: [u8; 2]| {
        loop {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let tone = ((z ^ (z >> 31)) & 7) as u8;
            if !not.contains(&tone) {
                return tone;
            }
        }
    };
    let mut symbols = [(0, 0); SYMBOLS];
    let (mut before, mut first) = ((u8::MAX, u8::MAX), None);
    for symbol in symbols.iter_mut() {
        let next = first.unwrap_or((u8::MAX, u8::MAX));
        *symbol = (draw([before.0, next.0]), draw([before.1, next.1]));
        before = *symbol;
        first.get_or_insert(*symbol);
    }
    symbols
}

/// Plays a seed's melody for ever.
#[derive(Clone, Debug)]
pub struct ReferenceSignal {
    melody: [Symbol; SYMBOLS],
    position: usize,
    low: Oscillator,
    high: Oscillator,
}

impl ReferenceSignal {
    /// The signal of `seed`.
    pub fn new(seed: u64) -> Self {
        let peak = LEVEL.peak();
        Self { melody: melody(seed), position: 0, low: Oscillator::new(0.0, peak), high: Oscillator::new(0.0, peak) }
    }

    /// Overwrites `out` with the next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        for o in out {
            let within = self.position % SYMBOL;
            if within == 0 {
                let (low, high) = self.melody[self.position / SYMBOL % SYMBOLS];
                self.low.retune(LOW_HZ[usize::from(low)] as f32);
                self.high.retune(HIGH_HZ[usize::from(high)] as f32);
            }
            // Phase goes on over a joint; the dip in level keeps the spectrum narrow.
            let edge = (within + 1).min(SYMBOL - within).min(JOINT);
            *o = to_sample((self.low.next() + self.high.next()) * edge as f32 / JOINT as f32);
            self.position = (self.position + 1) % (SYMBOL * SYMBOLS);
        }
    }
}

/// Samples of one look, and between looks.
const WINDOW: usize = samples(20);
const HOP: usize = samples(10);
/// Looks in a symbol, in a melody, and in what is judged: the last 1.0 s.
const LOOKS_SYMBOL: usize = SYMBOL / HOP;
const LOOKS_MELODY: usize = LOOKS_SYMBOL * SYMBOLS;
const LOOKS_JUDGED: usize = samples(1000) / HOP;
/// Share of a look's energy that the two tones must have.
const PURITY_MIN: f32 = 0.5;
/// Quietest look that is taken: 30 dB below the signal as sent.
const AUDIBLE: Dbm0 = Dbm0(-46.0);

/// A score from here on is recognition. The signal itself scores 0.8 and more, with 3 % loss still 0.7; another seed,
/// speech, music or noise stay below 0.3.
pub const RECOGNISED: f32 = 0.5;

/// Row `n` is what sample `n` contributes to the correlation with each tone: 16 real parts, then 16 imaginary ones.
static KERNEL: [[f32; 32]; WINDOW] = {
    let mut rows = [[0.0; 32]; WINDOW];
    let mut n = 0;
    while n < WINDOW {
        let w = hann(n, WINDOW);
        let mut i = 0;
        while i < 16 {
            let hz = if i < 8 { LOW_HZ[i] } else { HIGH_HZ[i - 8] };
            let turns = hz * n as f64 / SAMPLE_RATE as f64;
            rows[n][i] = (w * cos_turns(turns)) as f32;
            rows[n][i + 16] = (w * sin_turns(turns)) as f32;
            i += 1;
        }
        n += 1;
    }
    rows
};

/// The window itself, for its energy.
static HANN: [f32; WINDOW] = hann_window();

/// Which seed is heard, and how well.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Recognised {
    /// The seed.
    pub seed: u64,
    /// Share of the last second that fits its melody, 0..=1.
    pub score: f32,
}

/// Listens to 8 kHz samples and says whose melody they carry.
#[derive(Clone, Debug)]
pub struct Recognizer {
    window: [f32; WINDOW],
    filled: usize,
    /// The last looks, oldest first; `None` where no pair of tones stood out.
    looks: VecDeque<Option<Symbol>>,
}

impl Default for Recognizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Recognizer {
    /// A recognizer that has heard nothing.
    pub fn new() -> Self {
        let looks = VecDeque::with_capacity(LOOKS_JUDGED);
        Self { window: [0.0; WINDOW], filled: WINDOW - HOP, looks }
    }

    /// Takes samples, any number.
    pub fn push(&mut self, pcm: &[i16]) {
        for &x in pcm {
            self.window[self.filled] = f32::from(x);
            self.filled += 1;
            if self.filled == WINDOW {
                let symbol = look(&self.window);
                if self.looks.len() == LOOKS_JUDGED {
                    self.looks.pop_front();
                }
                self.looks.push_back(symbol);
                self.window.copy_within(HOP.., 0);
                self.filled = WINDOW - HOP;
            }
        }
    }

    /// How much of the last second fits the melody of `seed` at its best alignment, 0..=1. What was not heard yet counts
    /// as not fitting, so a second must pass before a score is whole.
    pub fn score(&self, seed: u64) -> f32 {
        let melody = melody(seed);
        let fits = |shift: usize| {
            let expected = |i: usize| melody[(i + shift) / LOOKS_SYMBOL % SYMBOLS];
            self.looks.iter().enumerate().filter(|(i, look)| **look == Some(expected(*i))).count()
        };
        let best = (0..LOOKS_MELODY).map(fits).max().unwrap_or(0);
        best as f32 / LOOKS_JUDGED as f32
    }

    /// The candidate that is heard best, when it reaches [`RECOGNISED`].
    pub fn recognise(&self, candidates: impl IntoIterator<Item = u64>) -> Option<Recognised> {
        let scored = candidates.into_iter().map(|seed| Recognised { seed, score: self.score(seed) });
        scored.filter(|r| r.score >= RECOGNISED).max_by(|a, b| a.score.total_cmp(&b.score))
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        *self = Self::new();
    }
}

/// The strongest tone of each group, when the two make up most of the window.
fn look(window: &[f32; WINDOW]) -> Option<Symbol> {
    let mut sums = [0.0f32; 32];
    let mut energy = 0.0f32;
    for ((x, w), row) in window.iter().zip(&HANN).zip(&KERNEL) {
        energy += (x * w) * (x * w);
        for (sum, k) in sums.iter_mut().zip(row) {
            *sum += x * k;
        }
    }
    let power = |i: usize| sums[i] * sums[i] + sums[i + 16] * sums[i + 16];
    let strongest = |from: usize| (from..from + 8).fold(from, |best, i| if power(i) > power(best) { i } else { best });
    let (low, high) = (strongest(0), strongest(8));
    // A von Hann window of N points has the sum N / 2 and the sum of squares 3 N / 8; a sine of amplitude a has the
    // correlation a N / 4 and the energy a^2 3 N / 16.
    let n = WINDOW as f32;
    let explained = (power(low) + power(high)) * 3.0 / n;
    let audible = AUDIBLE.peak().powi(2) * 3.0 * n / 16.0;
    (energy >= audible && explained >= energy * PURITY_MIN).then_some((low as u8, (high - 8) as u8))
}

#[cfg(test)]
mod tests;
