//! Which tone of a country's plan has this rhythm?

use super::tone::{Tone, TonePlan};
use crate::base::ToneKind;

/// Sections (on, off, on, ...) that are remembered.
const SECTIONS_MAX: usize = 8;
/// Sections after which tones that could still be meant are no longer waited for.
const SECTIONS_ENOUGH: usize = 7;
/// Sections that make busy or congestion: on, off, on. They end calls, so one burst is not enough.
const SECTIONS_MIN: usize = 3;
/// How far a section may be off: this share of it, and as much again for the measurement.
const SHARE: f32 = 0.15;
const SLACK_MS: f32 = 25.0;

/// The sections heard of one tone so far, in milliseconds, on first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rhythm {
    sections: [u16; SECTIONS_MAX],
    count: usize,
    /// Whether the first section was heard from its beginning.
    whole: bool,
}

impl Rhythm {
    /// A tone begins; `whole` when silence was heard before it.
    pub fn new(whole: bool) -> Self {
        Self { whole, ..Self::default() }
    }

    /// A section ended. The oldest pair is forgotten for it where need be, so that an on-section stays first.
    pub fn push(&mut self, ms: u32) {
        if self.count == SECTIONS_MAX {
            self.sections.copy_within(2.., 0);
            self.count -= 2;
            self.whole = true;
        }
        if let Some(section) = self.sections.get_mut(self.count) {
            *section = u16::try_from(ms).unwrap_or(u16::MAX);
            self.count += 1;
        }
    }

    /// What it means in the plan, of the tones that `sounds` lets through; `None` while more than one may be meant.
    pub fn meaning(&self, plan: &TonePlan, sounds: impl Fn(&Tone) -> bool) -> Option<ToneKind> {
        let mut meant: Option<ToneKind> = None;
        for kind in [ToneKind::Busy, ToneKind::Congestion, ToneKind::Ringback, ToneKind::Dial] {
            let tone = plan.tone(kind);
            if !sounds(tone) || !self.fits(tone.cadence.0) {
                continue;
            }
            match meant {
                // Some countries have one tone for both.
                Some(first) if plan.tone(first).cadence == tone.cadence => {}
                Some(_) if self.count < SECTIONS_ENOUGH => return None,
                Some(_) => {}
                None => meant = Some(kind),
            }
        }
        let least = if meant == Some(ToneKind::Ringback) && self.whole { 1 } else { SECTIONS_MIN };
        meant.filter(|_| self.count >= least)
    }

    /// Whether the sections follow this cadence from any of its on-sections.
    fn fits(&self, cadence: &[u16]) -> bool {
        let heard = self.sections.get(..self.count).unwrap_or_default();
        (0..cadence.len()).step_by(2).any(|start| {
            let nominal = cadence.iter().cycle().skip(start);
            heard.iter().zip(nominal).enumerate().all(|(n, (&is, &should))| {
                let (is, should) = (f32::from(is), f32::from(should));
                let slack = should * SHARE + SLACK_MS;
                is <= should + slack && (is >= should - slack || (n == 0 && !self.whole))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::tone::PLANS;

    fn meaning(country: [u8; 2], whole: bool, sections: &[u32]) -> Option<ToneKind> {
        let plan = PLANS.iter().find(|plan| plan.country == country).unwrap();
        let mut rhythm = Rhythm::new(whole);
        sections.iter().for_each(|&ms| rhythm.push(ms));
        rhythm.meaning(plan, |_| true)
    }

    #[test]
    fn two_bursts_are_needed_for_busy_and_one_for_ringing() {
        assert_eq!(meaning(*b"de", true, &[480]), None);
        assert_eq!(meaning(*b"de", true, &[480, 480, 470]), Some(ToneKind::Busy));
        assert_eq!(meaning(*b"de", true, &[240, 250, 240]), Some(ToneKind::Congestion));
        assert_eq!(meaning(*b"de", true, &[1000]), Some(ToneKind::Ringback));
        assert_eq!(meaning(*b"de", false, &[300]), None, "the end of any of them");
        assert_eq!(meaning(*b"de", false, &[300, 480, 480]), Some(ToneKind::Busy));
    }

    #[test]
    fn what_begins_alike_is_waited_for() {
        let spain = *b"es";
        assert_eq!(meaning(spain, true, &[200, 200, 200]), None);
        assert_eq!(meaning(spain, true, &[200, 200, 200, 200, 200, 600, 200]), Some(ToneKind::Congestion));
        assert_eq!(meaning(spain, true, &[200; 7]), Some(ToneKind::Busy));
        assert_eq!(meaning(spain, true, &[200; 21]), Some(ToneKind::Busy));
    }

    #[test]
    fn a_cadence_is_known_from_any_of_its_bursts() {
        for heard in [&[400, 350, 225, 525][..], &[225, 525, 400, 350], &[100, 350, 225]] {
            assert_eq!(meaning(*b"gb", heard[0] != 100, heard), Some(ToneKind::Congestion), "{heard:?}");
        }
        assert_eq!(meaning(*b"gb", true, &[375, 375, 375]), Some(ToneKind::Busy));
    }

    #[test]
    fn other_rhythms_mean_nothing() {
        assert_eq!(meaning(*b"us", true, &[100, 100, 100, 100, 100]), None);
        assert_eq!(meaning(*b"us", true, &[500, 90, 500, 90]), None);
        assert_eq!(meaning(*b"us", true, &[]), None);
    }
}
