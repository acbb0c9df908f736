//! The special information tone (ITU-T E.180: 950, 1400, 1800 Hz, each +-50, 330 ms +-70, gaps of up to 30 ms), and what
//! North America says with its variants: two frequencies and two lengths for each of the first two tones.

use super::meter::{HOP_MS, Measure, power_of};
use crate::base::SpecialTone;

/// The three frequencies in Hz, and how far off one may be; the measurement may add some.
const NOMINAL_HZ: [f32; 3] = [950.0, 1_400.0, 1_800.0];
const TOLERANCE_HZ: f32 = 60.0;
/// Length of each tone in milliseconds.
const TONE_MS: (u32, u32) = (230, 430);
/// The third tone is known by then.
const LAST_MS: u32 = 230;
/// Longest gap between two tones, and inside one.
const GAP_MAX_MS: u32 = 60;
/// Quietest tone: the tone is sent at -24 dBm0.
const LEVEL_MIN: f32 = -45.0;

/// North America's low and high frequency of the first and the second tone; the third is 1776.7 Hz. Field practice, from
/// descriptions of Bellcore's coding.
const LOW_HIGH_HZ: [(f32, f32); 2] = [(913.8, 985.2), (1_370.6, 1_428.5)];
/// How near the measurement must be to one of them.
const NEAR_HZ: f32 = 14.0;
/// Its short tones have 274 ms, its long ones 380.
const SHORT_BELOW_MS: u32 = 327;

/// Follows the three tones.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    /// Tones that are complete: mean frequency and length.
    done: [(f32, u32); 2],
    /// Which tone sounds or is waited for: 0..=2.
    at: usize,
    /// Of the tone that sounds: milliseconds, measurements, sum of frequencies.
    ms: u32,
    count: f32,
    sum_hz: f32,
    gap: u32,
    told: bool,
}

impl Sequence {
    /// Takes 10 ms; says once that the sequence is there, and which.
    pub fn step(&mut self, measure: &Measure) -> Option<SpecialTone> {
        let hz = measure.hz.filter(|_| measure.power >= power_of(LEVEL_MIN));
        let is = |at: usize| {
            let nominal = NOMINAL_HZ.get(at).copied().unwrap_or_default();
            hz.filter(|hz| (hz - nominal).abs() <= TOLERANCE_HZ)
        };
        if let Some(hz) = is(self.at) {
            let gap = std::mem::take(&mut self.gap);
            self.ms += HOP_MS + if self.ms > 0 { gap } else { 0 };
            self.count += 1.0;
            self.sum_hz += hz;
            if self.at == 2 && self.ms >= LAST_MS && !self.told {
                self.told = true;
                return Some(self.meaning());
            }
            return None;
        }
        if let Some(hz) = is(self.at + 1).filter(|_| self.at < 2 && (TONE_MS.0..=TONE_MS.1).contains(&self.ms)) {
            if let Some(done) = self.done.get_mut(self.at) {
                *done = (self.sum_hz / self.count, self.ms);
            }
            *self = Self { done: self.done, at: self.at + 1, ms: HOP_MS, count: 1.0, sum_hz: hz, ..Self::default() };
            return None;
        }
        self.gap += HOP_MS;
        if self.gap > GAP_MAX_MS {
            *self = Self::default();
        }
        None
    }

    fn meaning(&self) -> SpecialTone {
        let high = |n: usize| {
            let ((hz, _), (low, high)) = (*self.done.get(n)?, *LOW_HIGH_HZ.get(n)?);
            if (hz - high).abs() <= NEAR_HZ { Some(true) } else { ((hz - low).abs() <= NEAR_HZ).then_some(false) }
        };
        let long = |n: usize| self.done.get(n).is_some_and(|(_, ms)| *ms >= SHORT_BELOW_MS);
        match (high(0), high(1), long(0), long(1)) {
            (Some(false), Some(false), false, false) => SpecialTone::Intercept,
            (Some(true), Some(false), true, false) => SpecialTone::VacantCode,
            (Some(false), Some(true), false, true) | (Some(true), Some(false), false, true) => SpecialTone::Reorder,
            (Some(true), Some(true), true, true) | (Some(false), Some(false), true, true) => SpecialTone::NoCircuit,
            _ => SpecialTone::Other,
        }
    }
}
