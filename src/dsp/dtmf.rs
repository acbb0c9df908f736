//! DTMF (ITU-T Q.23, Q.24): detector and generator.
//!
//! The detector looks through a von Hann window of 16 ms every 8 ms. In each it correlates with the eight frequencies,
//! asks how much of the whole energy the strongest of each group explains (speech and music explain little for long),
//! and from the turn of phase between windows it measures the frequencies, far finer than the window's resolution.
//! A digit is down after three windows that agree, up after three that do not: a signal of 40 ms is always seen, one of
//! 24 ms never, a pause of 30 ms always splits, a dropout of 10 ms never does (Q.24 table A-1). `tests/detection` has a
//! test a requirement; `cargo bench --bench dtmf` measures the margins.

use std::f32::consts::TAU;

use super::level::{DBM0_PEAK, Dbm0};
use super::oscillator::{Oscillator, cos_turns, hann, sin_turns, sinc, to_sample};
use super::{SAMPLE_RATE, samples};

/// Q.23: the low group, rows of the keypad.
const LOW_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
/// Q.23: the high group, columns of the keypad.
const HIGH_HZ: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYPAD: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// New samples per analysis: 8 ms.
const HOP: usize = 64;
/// Samples per analysis: 16 ms.
const WINDOW: usize = 2 * HOP;
/// Windows that must agree before a digit is down, and disagree before it is up.
const AGREE: u8 = 3;

/// Frequencies up to this far off are taken: between the 1.5 % that must be and the 3.5 % that must not (Q.24 table A-1, AT&T).
const OFFSET_MAX: f32 = 0.025;
/// Share of the window's energy that the two tones must explain: -1.5 dB, so all harmonics, speech and noise together
/// stay 3.7 dB below the pair.
const PURITY_MIN: f32 = 0.70;
/// Share that the two tones, measured at their true frequencies, must explain of all windows of a digit together. Noise
/// 15 dB below leaves 0.97, less at the edges; the vowels that pass each other test seldom reach this.
const CLARITY_MIN: f32 = 0.86;
/// Of three windows, the mean power of the outer ones must be this share of the middle one's. A signal of 40 ms fills
/// three windows whatever their alignment; one of 24 ms at best the middle one, and each outer one to 0.83.
const STEADY_MIN: f32 = 0.86;
/// Least level of each tone in dBm0. Q.24 table A-1: AT&T asks for operation from 0 to -25.
const LEVEL_MIN: f32 = -31.0;
/// The high tone may be this much stronger (7 dB) and weaker (11 dB) than the low one, as power ratios. Q.24 table A-1:
/// AT&T asks for +4 and -8 dB.
const TWIST_MAX: f32 = 5.012;
const TWIST_MIN: f32 = 0.0794;

/// What the detector says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DtmfEvent {
    /// A digit began, some 40 ms ago.
    Down(char),
    /// It ended, some 24 ms ago.
    Up {
        /// The digit.
        digit: char,
        /// How long it lasted, within 12 ms.
        duration_ms: u32,
    },
}

/// Correlations of one window, kept to measure the turn of phase to the next.
#[derive(Clone, Copy, Debug, Default)]
struct Correlation {
    re: [f32; 8],
    im: [f32; 8],
}

impl Correlation {
    fn power(&self, i: usize) -> f32 {
        self.re[i] * self.re[i] + self.im[i] * self.im[i]
    }
}

/// The window is even about its middle, so it is folded there before it is correlated: row `n` is what the sum of the two
/// samples `n + 1/2` from the middle adds to each real part, and their difference to each imaginary part.
static KERNEL: Kernel = {
    let mut kernel = Kernel { re: [[0.0; 8]; HOP], im: [[0.0; 8]; HOP] };
    let mut n = 0;
    while n < HOP {
        let w = hann(HOP + n, WINDOW);
        let mut i = 0;
        while i < 8 {
            let turns = frequency(i) * (n as f64 + 0.5) / SAMPLE_RATE as f64;
            kernel.re[n][i] = (w * cos_turns(turns)) as f32;
            kernel.im[n][i] = (-w * sin_turns(turns)) as f32;
            i += 1;
        }
        n += 1;
    }
    kernel
};

/// See [`KERNEL`].
struct Kernel {
    re: [[f32; 8]; HOP],
    im: [[f32; 8]; HOP],
}

/// Half the square of the window, from its middle on: what the squares of a sum and of a difference add to the energy.
static HALF_SQUARES: [f32; HOP] = {
    let mut squares = [0.0; HOP];
    let mut n = 0;
    while n < HOP {
        let w = hann(HOP + n, WINDOW);
        squares[n] = (w * w / 2.0) as f32;
        n += 1;
    }
    squares
};

/// Cosine and sine of the turn of phase over a hop at each nominal frequency.
static HOP_TURN: [(f32, f32); 8] = {
    let mut turns = [(0.0, 0.0); 8];
    let mut i = 0;
    while i < 8 {
        let t = frequency(i) * HOP as f64 / SAMPLE_RATE as f64;
        turns[i] = (cos_turns(t) as f32, sin_turns(t) as f32);
        i += 1;
    }
    turns
};

/// Sum of the window's points, and of their squares.
const HANN_SUM: f32 = WINDOW as f32 / 2.0;
const HANN_SQUARES: f32 = WINDOW as f32 * 3.0 / 8.0;

/// The eight frequencies, low group first.
const fn frequency(i: usize) -> f64 {
    if i < 4 { LOW_HZ[i] } else { HIGH_HZ[i - 4] }
}

/// Power of a correlation of a sine at [`LEVEL_MIN`]: the amplitude is `2 |C| / HANN_SUM`.
fn power_min() -> f32 {
    let peak = DBM0_PEAK * 10f32.powf(LEVEL_MIN / 20.0);
    (peak * HANN_SUM / 2.0).powi(2)
}

/// A turn of phase, summed over windows so that stronger ones weigh more.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    re: f32,
    im: f32,
}

impl Turn {
    /// Adds the turn from `then` to `now`, beyond what the nominal frequency makes.
    fn add(&mut self, i: usize, now: &Correlation, then: &Correlation) {
        let re = now.re[i] * then.re[i] + now.im[i] * then.im[i];
        let im = now.im[i] * then.re[i] - now.re[i] * then.im[i];
        let (cos, sin) = HOP_TURN[i];
        self.re += re * cos + im * sin;
        self.im += im * cos - re * sin;
    }

    /// How far the frequency is off its nominal value.
    fn offset_hz(self) -> f32 {
        self.im.atan2(self.re) / TAU * SAMPLE_RATE as f32 / HOP as f32
    }
}

/// Windows in a row that show the same pair of tones.
#[derive(Clone, Copy, Debug)]
struct Run {
    pair: Pair,
    windows: u8,
    low: Tone,
    high: Tone,
    energy: f32,
    /// Power of both tones in the newest windows.
    recent: [f32; AGREE as usize],
}

/// One tone of a run: its turn of phase, and its power over all windows.
#[derive(Clone, Copy, Debug, Default)]
struct Tone {
    turn: Turn,
    power: f32,
}

impl Run {
    fn new(pair: Pair) -> Self {
        Self {
            pair,
            windows: 0,
            low: Tone::default(),
            high: Tone::default(),
            energy: 0.0,
            recent: [0.0; AGREE as usize],
        }
    }

    fn is_digit(&self) -> bool {
        if self.windows < AGREE || !self.is_steady() {
            return false;
        }
        let (low, high) = (self.low.turn.offset_hz(), self.high.turn.offset_hz());
        if low.abs() > OFFSET_MAX * frequency(self.pair.low) as f32
            || high.abs() > OFFSET_MAX * frequency(self.pair.high) as f32
        {
            return false;
        }
        let whole = self.low.power / response(low) + self.high.power / response(high);
        explained(whole) >= self.energy * CLARITY_MIN
    }

    /// Whether the signal filled the newest windows: it lasted for more than 24 ms.
    fn is_steady(&self) -> bool {
        let [first, middle, last] = self.recent;
        first + last >= 2.0 * middle * STEADY_MIN
    }
}

/// The window's power response to a sine `hz` off the frequency it is correlated with, relative to one that is on it.
fn response(hz: f32) -> f32 {
    let bins = f64::from(hz) * WINDOW as f64 / f64::from(SAMPLE_RATE);
    ((sinc(bins) / (1.0 - bins * bins)) as f32).powi(2)
}

/// Energy in a window of sines whose correlations have this power. A sine of amplitude a has |C| = a HANN_SUM / 2 and
/// energy a^2 HANN_SQUARES / 2.
fn explained(power: f32) -> f32 {
    power * (2.0 * HANN_SQUARES / (HANN_SUM * HANN_SUM))
}

/// A tone of each group, as indexes of [`frequency`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pair {
    low: usize,
    high: usize,
}

impl Pair {
    fn digit(self) -> char {
        KEYPAD[self.low & 3][self.high & 3]
    }
}

/// A digit that is down.
#[derive(Clone, Copy, Debug)]
struct Active {
    pair: Pair,
    /// Windows from the first that showed it to the last.
    windows: u32,
    /// Windows since that did not show it.
    missed: u8,
}

/// Finds digits in 8 kHz samples. About 1.3 kB, no allocation.
#[derive(Clone, Debug)]
pub struct Detector {
    window: [f32; WINDOW],
    /// Samples of the newer half that are filled.
    filled: usize,
    previous: Correlation,
    power_min: f32,
    run: Option<Run>,
    active: Option<Active>,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// A detector that has heard nothing.
    pub fn new() -> Self {
        Self {
            window: [0.0; WINDOW],
            filled: 0,
            previous: Correlation::default(),
            power_min: power_min(),
            run: None,
            active: None,
        }
    }

    /// Takes samples (any number) and yields what happened in them. Dropping the iterator early loses events, not samples.
    pub fn process<'a>(&'a mut self, pcm: &'a [i16]) -> Events<'a> {
        Events { detector: self, pcm }
    }

    /// The digit that is down now.
    pub fn digit(&self) -> Option<char> {
        self.active.map(|active| active.pair.digit())
    }

    /// Takes samples until one analysis is done or none is left; returns the rest and what it found.
    fn advance<'a>(&mut self, pcm: &'a [i16]) -> (&'a [i16], Option<DtmfEvent>) {
        let n = pcm.len().min(HOP - self.filled);
        let (taken, rest) = pcm.split_at(n);
        for (w, &x) in self.window[HOP + self.filled..].iter_mut().zip(taken) {
            *w = f32::from(x);
        }
        self.filled += n;
        if self.filled < HOP {
            return (rest, None);
        }
        self.filled = 0;
        let pair = self.analyse();
        self.window.copy_within(HOP.., 0);
        (rest, self.step(pair))
    }

    /// One window: which pair of tones it shows, if any. Extends or starts the run.
    fn analyse(&mut self) -> Option<Pair> {
        let folded = Folded::new(&self.window);
        let energy = folded.energy();
        // The pair at its least level has HANN_SQUARES / 2 times two squared amplitudes; below that nothing can pass.
        let faintest = self.power_min * 4.0 / (HANN_SUM * HANN_SUM) * HANN_SQUARES;
        if energy < faintest {
            self.previous = Correlation::default();
            self.run = None;
            return None;
        }
        let now = folded.correlate();
        let pair = self.judge(&now, energy);
        let then = std::mem::replace(&mut self.previous, now);
        self.run = pair.map(|pair| {
            let mut run = match self.run.take() {
                Some(mut run) if run.pair == pair => {
                    run.low.turn.add(pair.low, &now, &then);
                    run.high.turn.add(pair.high, &now, &then);
                    run
                }
                _ => Run::new(pair),
            };
            run.windows = run.windows.saturating_add(1);
            let (low, high) = (now.power(pair.low), now.power(pair.high));
            run.low.power += low;
            run.high.power += high;
            run.energy += energy;
            run.recent.rotate_left(1);
            run.recent[usize::from(AGREE) - 1] = low + high;
            run
        });
        pair
    }

    /// Level, twist and purity of one window.
    fn judge(&self, now: &Correlation, energy: f32) -> Option<Pair> {
        let strongest = |group: std::ops::Range<usize>| {
            let start = group.start;
            group.fold(start, |best, i| if now.power(i) > now.power(best) { i } else { best })
        };
        let pair = Pair { low: strongest(0..4), high: strongest(4..8) };
        let (low, high) = (now.power(pair.low), now.power(pair.high));
        let loud = low.min(high) >= self.power_min;
        let twist = high <= low * TWIST_MAX && high >= low * TWIST_MIN;
        (loud && twist && explained(low + high) >= energy * PURITY_MIN).then_some(pair)
    }

    /// Counts windows; at most one event per window.
    fn step(&mut self, pair: Option<Pair>) -> Option<DtmfEvent> {
        let Some(active) = &mut self.active else {
            let run = self.run.filter(Run::is_digit)?;
            self.active = Some(Active { pair: run.pair, windows: u32::from(run.windows), missed: 0 });
            return Some(DtmfEvent::Down(run.pair.digit()));
        };
        if pair == Some(active.pair) {
            active.windows = active.windows.saturating_add(1 + u32::from(active.missed));
            active.missed = 0;
            return None;
        }
        active.missed += 1;
        if active.missed < AGREE {
            return None;
        }
        let ended = *active;
        self.active = None;
        // Each window is as long as two hops, but shows a tone that fills most of it.
        let duration_ms = ended.windows.saturating_mul(HOP as u32 / 8);
        Some(DtmfEvent::Up { digit: ended.pair.digit(), duration_ms })
    }
}

/// A window folded at its middle: sums and differences of samples equally far from it.
struct Folded {
    sums: [f32; HOP],
    differences: [f32; HOP],
}

impl Folded {
    fn new(window: &[f32; WINDOW]) -> Self {
        let mut folded = Self { sums: [0.0; HOP], differences: [0.0; HOP] };
        let (before, after) = window.split_at(HOP);
        let pairs = after.iter().zip(before.iter().rev());
        for ((sum, difference), (a, b)) in folded.sums.iter_mut().zip(&mut folded.differences).zip(pairs) {
            *sum = a + b;
            *difference = a - b;
        }
        folded
    }

    /// Energy of the window.
    fn energy(&self) -> f32 {
        let mut lanes = [0.0f32; 8];
        let folded = self.sums.chunks_exact(8).zip(self.differences.chunks_exact(8));
        for ((sums, differences), squares) in folded.zip(HALF_SQUARES.chunks_exact(8)) {
            for (((lane, s), d), half) in lanes.iter_mut().zip(sums).zip(differences).zip(squares) {
                *lane += (s * s + d * d) * half;
            }
        }
        lanes.iter().sum()
    }

    fn correlate(&self) -> Correlation {
        Correlation { re: products(&self.sums, &KERNEL.re), im: products(&self.differences, &KERNEL.im) }
    }
}

/// The products of a folded window with eight kernels at once.
fn products(folded: &[f32; HOP], rows: &[[f32; 8]; HOP]) -> [f32; 8] {
    // Two sets of sums, so that an addition need not wait for the one before it.
    let (mut even, mut odd) = ([0.0f32; 8], [0.0f32; 8]);
    for (x, row) in folded.chunks_exact(2).zip(rows.chunks_exact(2)) {
        for i in 0..8 {
            even[i] += x[0] * row[0][i];
            odd[i] += x[1] * row[1][i];
        }
    }
    std::array::from_fn(|i| even[i] + odd[i])
}

/// What happened in the samples given to [`Detector::process`].
#[derive(Debug)]
pub struct Events<'a> {
    detector: &'a mut Detector,
    pcm: &'a [i16],
}

impl Iterator for Events<'_> {
    type Item = DtmfEvent;

    fn next(&mut self) -> Option<DtmfEvent> {
        while !self.pcm.is_empty() {
            let (rest, event) = self.detector.advance(self.pcm);
            self.pcm = rest;
            if event.is_some() {
                return event;
            }
        }
        None
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        self.by_ref().for_each(drop);
    }
}

/// Level of the low tone we send, and of the high one, which lines attenuate more (Q.23 leaves both to the country).
pub const LOW_LEVEL: Dbm0 = Dbm0(-7.0);
/// Level of the high tone we send.
pub const HIGH_LEVEL: Dbm0 = Dbm0(-5.0);

/// Samples over which a digit is faded at its edges (1 ms).
const EDGE: usize = 8;

/// One digit: its tones, then a pause, then nothing more.
#[derive(Clone, Debug)]
pub struct Generator {
    low: Oscillator,
    high: Oscillator,
    position: usize,
    on: usize,
    total: usize,
}

impl Generator {
    /// `digit` (`0-9*#A-D`) for `on_ms` and a pause of `off_ms`; `None` for any other character.
    pub fn new(digit: char, on_ms: u16, off_ms: u16) -> Option<Self> {
        Self::with_levels(digit, on_ms, off_ms, LOW_LEVEL, HIGH_LEVEL)
    }

    /// [`Generator::new`] with levels of the caller's.
    pub fn with_levels(digit: char, on_ms: u16, off_ms: u16, low: Dbm0, high: Dbm0) -> Option<Self> {
        let digit = digit.to_ascii_uppercase();
        let row = KEYPAD.iter().position(|row| row.contains(&digit))?;
        let column = KEYPAD[row].iter().position(|&key| key == digit)?;
        let on = samples(u32::from(on_ms));
        Some(Self {
            low: Oscillator::new(LOW_HZ[row] as f32, low.peak()),
            high: Oscillator::new(HIGH_HZ[column] as f32, high.peak()),
            position: 0,
            on,
            total: on + samples(u32::from(off_ms)),
        })
    }

    /// Overwrites the start of `out` with the next samples and says how many; fewer than it holds when the pause is over.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        let n = out.len().min(self.total - self.position);
        for o in &mut out[..n] {
            *o = if self.position < self.on {
                let edge = (self.position + 1).min(self.on - self.position).min(EDGE);
                to_sample((self.low.next() + self.high.next()) * edge as f32 / EDGE as f32)
            } else {
                0
            };
            self.position += 1;
        }
        n
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.position == self.total
    }
}

#[cfg(test)]
mod tests;
