//! Who answered an outgoing call: a person or a machine?
//!
//! People say a word or two and wait. Machines speak on, or send a tone. What is measured is how long the greeting
//! lasts until the first pause worth the name, within the first seconds after the answer. The bounds are field practice;
//! `tests/detection` has what they are worth on real recordings.

use super::meter::{HOP_MS, Measure, Meter, power_of};
use crate::base::Answerer;

/// Louder than this is voice, whatever the noise.
const VOICE_MIN: f32 = -42.0;
/// Voice is so much stronger than the noise before it, as a power ratio: 9 dB.
const OVER_NOISE: f32 = 8.0;
/// A greeting that lasts longer is a machine's.
const GREETING_MAX_MS: u32 = 1_500;
/// A pause that ends a person's greeting.
const PAUSE_MS: u32 = 700;
/// Less voice than this is a click.
const VOICE_LEAST_MS: u32 = 100;
/// Nobody speaks for so long.
const SILENCE_MAX_MS: u32 = 3_000;
/// By then it is decided.
const DECISION_MAX_MS: u32 = 6_000;
/// A tone that lasts so long is a machine's, whatever it means.
const TONE_MS: u32 = 250;
/// Lowest frequency of such a tone: below, the meter takes a hum of several sines for one.
const TONE_HZ_MIN: f32 = 900.0;
/// How far its frequency may wander.
const TONE_HZ: f32 = 15.0;

/// Listens from the answer on. No allocation.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    meter: Meter,
    elapsed: u32,
    /// Power of the quietest 10 ms so far, let rise slowly.
    noise: Option<f32>,
    /// When voice was first heard.
    first: Option<u32>,
    /// When it was last heard.
    last: u32,
    voice: u32,
    /// A tone's frequency, and how long it lasts.
    tone: (f32, u32),
    decided: bool,
}

impl Detector {
    /// Takes samples, any number. Says once who answered.
    pub fn process(&mut self, pcm: &[i16]) -> Option<Answerer> {
        let mut rest = pcm;
        let mut found = None;
        while !rest.is_empty() && !self.decided {
            let (left, measure) = self.meter.push(rest);
            rest = left;
            found = measure.and_then(|measure| self.step(&measure));
            self.decided = found.is_some();
        }
        found
    }

    fn step(&mut self, measure: &Measure) -> Option<Answerer> {
        self.elapsed += HOP_MS;
        let floor = self.noise.map_or(measure.power, |noise| measure.power.min(noise * 1.01));
        self.noise = Some(floor);
        let loud = measure.power >= power_of(VOICE_MIN);
        if loud && measure.power >= floor * OVER_NOISE {
            self.first.get_or_insert(self.elapsed);
            self.last = self.elapsed;
            self.voice += HOP_MS;
        }
        self.tone = match measure.hz.filter(|hz| loud && *hz >= TONE_HZ_MIN) {
            Some(hz) if (hz - self.tone.0).abs() <= TONE_HZ => (self.tone.0, self.tone.1 + HOP_MS),
            Some(hz) => (hz, HOP_MS),
            None => (0.0, 0),
        };
        self.verdict()
    }

    fn verdict(&self) -> Option<Answerer> {
        if self.tone.1 >= TONE_MS {
            return Some(Answerer::Machine);
        }
        let Some(first) = self.first.filter(|_| self.voice >= VOICE_LEAST_MS) else {
            return (self.elapsed >= SILENCE_MAX_MS).then_some(Answerer::Unknown);
        };
        let (greeting, pause) = (self.last - first, self.elapsed - self.last);
        if greeting > GREETING_MAX_MS {
            return Some(Answerer::Machine);
        }
        if pause >= PAUSE_MS {
            return Some(Answerer::Human);
        }
        (self.elapsed >= DECISION_MAX_MS).then_some(Answerer::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::level::Dbm0;
    use crate::dsp::oscillator::{Oscillator, to_sample};

    /// Bursts of a hum that no single sine makes, and of a tone; milliseconds of each in turn with silence.
    fn decide(parts: &[(&str, u32)]) -> (Option<Answerer>, u32) {
        let mut detector = Detector::default();
        let mut sines = [150.0, 450.0, 1050.0].map(|hz| Oscillator::new(hz, Dbm0(-22.0).peak()));
        let mut beep = Oscillator::new(1_000.0, Dbm0(-15.0).peak());
        let mut ms = 0;
        for &(what, long) in parts {
            for _ in 0..long / 10 {
                ms += 10;
                let pcm: [i16; 80] = std::array::from_fn(|_| match what {
                    "voice" => to_sample(sines.iter_mut().map(Oscillator::next).sum()),
                    "beep" => to_sample(beep.next()),
                    _ => 0,
                });
                if let Some(by) = detector.process(&pcm) {
                    return (Some(by), ms);
                }
            }
        }
        (None, ms)
    }

    #[test]
    fn a_word_and_a_pause_are_a_person() {
        assert_eq!(decide(&[("", 400), ("voice", 500), ("", 2000)]), (Some(Answerer::Human), 1610));
        assert_eq!(decide(&[("voice", 400), ("", 300), ("voice", 500), ("", 2000)]).0, Some(Answerer::Human));
    }

    #[test]
    fn who_speaks_on_is_a_machine() {
        assert_eq!(decide(&[("", 400), ("voice", 5000)]), (Some(Answerer::Machine), 1920));
        assert_eq!(decide(&[("voice", 900), ("", 300), ("voice", 5000)]).0, Some(Answerer::Machine));
    }

    #[test]
    fn a_beep_is_a_machine_and_silence_is_nobody_known() {
        assert_eq!(decide(&[("", 800), ("beep", 500)]).0, Some(Answerer::Machine));
        assert_eq!(decide(&[("", 10_000)]), (Some(Answerer::Unknown), 3000));
        assert_eq!(decide(&[("voice", 30), ("", 5000)]).0, Some(Answerer::Unknown), "a click");
    }
}
