//! What the network says in tones: the call-progress tones of a country (ITU-T E.180), the special information tone,
//! fax and modem tones (T.30, V.8). A listener for one channel.
//!
//! A country's tones are one or two sines each. The listener looks through a von Hann window of 30 ms every 10 ms, asks
//! which tone's sines explain most of the energy, and follows the rhythm of its bursts. Single tones are measured beside that by
//! `super::meter`.

use super::cadence::Rhythm;
use super::meter::{HOP, HOP_MS, Measure, Meter, power_of};
use super::oscillator::{cos_turns, hann, sin_turns};
use super::tone::{Component, Tone, TonePlan, plan_of};
use super::{SAMPLE_RATE, sit};
use crate::base::{HeardTone, ToneKind};

/// Samples of a look: 30 ms.
const WINDOW: usize = 3 * HOP;
/// Share of a look's energy that a tone's sines must explain. A frequency 15 Hz off explains 0.86 of itself.
const SHARE_MIN: f32 = 0.75;
/// What each vector of a basis must explain beyond the one before it.
const PRICE: f32 = 0.02;
/// Quietest tone: 24 dB below E.180's least level of -15 dBm0 for a line's loss and more.
const LEVEL_MIN: f32 = -40.0;
/// Looks that must disagree before a burst begins or ends.
const AGREE: u8 = 3;
/// A tone without a pause is dial tone after so long, if no burst of the same sines may last so long.
const DIAL_MS: u32 = 1_200;
/// A pause that ends every rhythm.
const PAUSE_MAX_MS: u32 = 7_500;

/// T.30: the calling tone, 1100 Hz +-38 for 0.5 s +-15 %.
const CALLING_HZ: (f32, f32) = (1_100.0, 38.0);
const CALLING_MS: (u32, u32) = (400, 610);
/// T.30 and V.8: the answer tone, 2100 Hz +-15; its length is 2.6 s and more, half a second says enough.
const ANSWER_HZ: (f32, f32) = (2_100.0, 20.0);
const ANSWER_MS: u32 = 500;
/// V.8: ANSam swells by a fifth 15 times a second, a deviation of 14 % of its amplitude. Half of that tells.
const SWELL_MIN: f32 = 0.07;

/// Sines that explain a look: an orthonormal basis of what they span under the window, to be multiplied with samples.
#[derive(Clone, Debug)]
struct Template {
    basis: Vec<[f32; WINDOW]>,
}

impl Template {
    fn new(components: &[Component]) -> Self {
        let mut basis: Vec<[f64; WINDOW]> = Vec::new();
        for component in components {
            for quadrature in [cos_turns, sin_turns] {
                let hz = f64::from(component.hz) / f64::from(SAMPLE_RATE);
                let mut vector: [f64; WINDOW] = std::array::from_fn(|n| hann(n, WINDOW) * quadrature(hz * n as f64));
                // Gram and Schmidt.
                for other in &basis {
                    let share: f64 = other.iter().zip(&vector).map(|(o, v)| o * v).sum();
                    vector.iter_mut().zip(other).for_each(|(v, o)| *v -= share * o);
                }
                let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-9);
                vector.iter_mut().for_each(|v| *v /= norm);
                basis.push(vector);
            }
        }
        // The window again: the samples come without it.
        let windowed = |v: &[f64; WINDOW]| std::array::from_fn(|n| (v[n] * hann(n, WINDOW)) as f32);
        Self { basis: basis.iter().map(windowed).collect() }
    }

    /// Energy that the sines explain.
    fn explains(&self, window: &[f32; WINDOW]) -> f32 {
        let product = |v: &[f32; WINDOW]| v.iter().zip(window).map(|(a, b)| a * b).sum::<f32>();
        self.basis.iter().map(|v| product(v).powi(2)).sum()
    }
}

/// Whether these sines can't be told apart in one look: they are the same, or one is the other modulated (three sines, see
/// [`Tone`]), which at the top of its swell looks like its carrier alone.
fn is_same(a: &[Component], b: &[Component]) -> bool {
    let hz = |set: &[Component]| set.iter().map(|c| c.hz).collect::<Vec<_>>();
    let carrier = |set: &[Component]| set.first().filter(|_| set.len() != 2).map(|c| c.hz);
    hz(a) == hz(b) || (carrier(a).is_some() && carrier(a) == carrier(b))
}

/// What plays now: the place of its template, or nothing.
type Sounding = Option<usize>;

/// Listens to one channel. Allocates when made, not later; some 20 kB.
#[derive(Clone, Debug)]
pub struct Listener {
    plan: &'static TonePlan,
    templates: Vec<Template>,
    /// The template of each kind, in the order of [`KINDS`].
    of_kind: [usize; 4],
    meter: Meter,
    window: [f32; WINDOW],
    /// Debounced, and for how long.
    sounding: Sounding,
    ms: u32,
    /// What the newest looks say instead, and how many.
    instead: (Sounding, u8),
    rhythm: Rhythm,
    /// Whose rhythm it is.
    rhythm_of: Sounding,
    /// Whether this rhythm's meaning was told.
    told: bool,
    single: Single,
    special: sit::Sequence,
}

const KINDS: [ToneKind; 4] = [ToneKind::Busy, ToneKind::Congestion, ToneKind::Ringback, ToneKind::Dial];

impl Listener {
    /// A listener for the tones of `country` (ISO 3166, lower case; one without a plan counts as the United States).
    pub fn new(country: [u8; 2]) -> Self {
        let plan = plan_of(country);
        let mut sets: Vec<Vec<Component>> = Vec::new();
        let of_kind = KINDS.map(|kind| {
            let sines: Vec<Component> = plan.tone(kind).components.iter().flatten().copied().collect();
            let Some(place) = sets.iter().position(|set| is_same(set, &sines)) else {
                sets.push(sines);
                return sets.len() - 1;
            };
            if let Some(set) = sets.get_mut(place).filter(|set| set.len() < sines.len()) {
                *set = sines;
            }
            place
        });
        Self {
            plan,
            templates: sets.iter().map(|set| Template::new(set)).collect(),
            of_kind,
            meter: Meter::default(),
            window: [0.0; WINDOW],
            sounding: None,
            ms: 0,
            instead: (None, 0),
            rhythm: Rhythm::default(),
            rhythm_of: None,
            told: false,
            single: Single::default(),
            special: sit::Sequence::default(),
        }
    }

    /// Takes samples, any number, and says what was heard in them.
    pub fn process(&mut self, pcm: &[i16], mut heard: impl FnMut(HeardTone)) {
        let mut rest = pcm;
        while !rest.is_empty() {
            let (left, measure) = self.meter.push(rest);
            rest = left;
            let Some(measure) = measure else { break };
            self.window.copy_within(HOP.., 0);
            self.window[WINDOW - HOP..].copy_from_slice(self.meter.piece());
            if let Some(tone) = self.look() {
                heard(tone);
            }
            if let Some(tone) = self.special.step(&measure) {
                heard(HeardTone::Special(tone));
            }
            if let Some(tone) = self.single.step(&measure) {
                heard(tone);
            }
        }
    }

    /// One look at the country's tones.
    fn look(&mut self) -> Option<HeardTone> {
        let now = self.judge();
        self.ms = self.ms.saturating_add(HOP_MS);
        if now == self.sounding {
            self.instead.1 = 0;
            return self.lasting();
        }
        self.instead = if self.instead.0 == now && self.instead.1 > 0 { (now, self.instead.1 + 1) } else { (now, 1) };
        if self.instead.1 < AGREE {
            return None;
        }
        // It changed when the newest looks began.
        let late = u32::from(AGREE) * HOP_MS;
        let lasted = self.ms.saturating_sub(late);
        let before = std::mem::replace(&mut self.sounding, now);
        self.ms = late;
        self.instead.1 = 0;
        self.change(before, now, lasted)
    }

    /// Which template the window shows.
    fn judge(&self) -> Sounding {
        let energy: f32 = self.window.iter().enumerate().map(|(n, x)| (x * HANN[n]).powi(2)).sum();
        // Under the window a sine keeps 3/8 of its energy.
        if energy < power_of(LEVEL_MIN) * WINDOW as f32 * 3.0 / 8.0 {
            return None;
        }
        // Two sines always explain a little more than one of them.
        let share = |t: &Template| t.explains(&self.window) / energy - t.basis.len() as f32 * PRICE;
        let (place, share) = self.templates.iter().map(share).enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        (share >= SHARE_MIN).then_some(place)
    }

    /// A burst or a pause ended after `lasted`.
    fn change(&mut self, before: Sounding, now: Sounding, lasted: u32) -> Option<HeardTone> {
        match (before, now) {
            (Some(_), None) => self.rhythm.push(lasted),
            (None, Some(_)) if now == self.rhythm_of && lasted < PAUSE_MAX_MS => self.rhythm.push(lasted),
            (_, Some(_)) => {
                self.rhythm = Rhythm::new(before.is_none() && lasted >= 100);
                self.rhythm_of = now;
                self.told = false;
            }
            _ => {}
        }
        // A pause says nothing that the burst before it did not.
        if now.is_some() || self.told {
            return None;
        }
        let (rhythm_of, of_kind, plan) = (self.rhythm_of, self.of_kind, self.plan);
        let sounds =
            |tone: &Tone| KINDS.iter().zip(of_kind).any(|(&k, t)| Some(t) == rhythm_of && plan.tone(k) == tone);
        let meaning = self.rhythm.meaning(plan, sounds)?;
        self.told = true;
        Some(meaning.into())
    }

    /// A tone goes on: is it dial tone?
    fn lasting(&mut self) -> Option<HeardTone> {
        let place = self.sounding.filter(|_| !self.told && self.ms >= DIAL_MS)?;
        let of_place = || KINDS.iter().zip(self.of_kind).filter(|(_, of)| *of == place).map(|(kind, _)| *kind);
        let dial = of_place().any(|kind| kind == ToneKind::Dial && self.plan.dial.cadence.0.is_empty());
        let longest = of_place().flat_map(|kind| self.plan.tone(kind).cadence.0.iter().step_by(2)).max();
        let longest = longest.map_or(0, |&ms| u32::from(ms) * 5 / 4);
        if !dial || self.ms < longest {
            return None;
        }
        self.told = true;
        Some(HeardTone::Dial)
    }
}

static HANN: [f32; WINDOW] = super::oscillator::hann_window();

/// Follows the calling and the answer tone.
#[derive(Clone, Debug, Default)]
struct Single {
    which: Option<Which>,
    ms: u32,
    /// Milliseconds in which it was not heard.
    gap: u32,
    /// Of the amplitudes: their number, sum and sum of squares.
    swell: (f32, f32, f32),
    told: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    Calling,
    Answer,
}

impl Single {
    fn step(&mut self, measure: &Measure) -> Option<HeardTone> {
        let near = |hz: f32, (nominal, tolerance): (f32, f32)| (hz - nominal).abs() <= tolerance;
        let now = measure.hz.filter(|_| measure.power >= power_of(LEVEL_MIN)).and_then(|hz| {
            if near(hz, CALLING_HZ) { Some(Which::Calling) } else { near(hz, ANSWER_HZ).then_some(Which::Answer) }
        });
        if now.is_some() && now == self.which {
            self.ms += HOP_MS + std::mem::take(&mut self.gap);
            let amplitude = measure.power.sqrt();
            let (n, sum, squares) = self.swell;
            self.swell = (n + 1.0, sum + amplitude, squares + amplitude * amplitude);
            return self.answers();
        }
        self.gap += HOP_MS;
        // A turn of phase (V.25) spoils one measurement or two.
        if now.is_none() && self.which.is_some() && self.gap < 3 * HOP_MS {
            return None;
        }
        let ended = std::mem::replace(self, Self { which: now, ms: HOP_MS, ..Self::default() });
        let calls = ended.which == Some(Which::Calling) && (CALLING_MS.0..=CALLING_MS.1).contains(&ended.ms);
        calls.then_some(HeardTone::FaxCalling)
    }

    fn answers(&mut self) -> Option<HeardTone> {
        if self.told || self.which != Some(Which::Answer) || self.ms < ANSWER_MS {
            return None;
        }
        self.told = true;
        let (n, sum, squares) = self.swell;
        let mean = sum / n;
        let deviation = (squares / n - mean * mean).max(0.0).sqrt();
        Some(if deviation >= mean * SWELL_MIN { HeardTone::ModemAnswer } else { HeardTone::FaxAnswer })
    }
}

#[cfg(test)]
mod tests;
