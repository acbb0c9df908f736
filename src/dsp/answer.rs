//! Who answered an outgoing call: a person or a machine?
//!
//! People say a word or two and wait. Machines speak on, or send a tone. What is measured is how long the greeting
//! lasts until the first pause worth the name, within the first seconds after the answer. The bounds are field practice.
//! Nobody has recorded answered calls for us: `tests/detection` has what they are worth on prompts that stand for such calls.

use super::meter::{HOP_MS, Measure, Meter, power_of};
use crate::base::Answerer;

/// Louder than this is voice, whatever the noise.
const VOICE_MIN: f32 = -42.0;
/// Voice is so much stronger than the noise before it, as a power ratio: 9 dB.
const OVER_NOISE: f32 = 8.0;
/// Noise is never taken for less, nor for more: nobody's line is louder.
const NOISE: (f32, f32) = (-65.0, -32.0);
/// Noise is the quietest 20 ms within so long before and after, in blocks of 100 ms. Speech pauses more often.
const NOISE_BLOCKS: usize = 5;
/// Hops to a block.
const BLOCK: usize = 10;
/// A greeting that lasts longer is a machine's.
const GREETING_MAX_MS: u32 = 1_500;
/// A pause that ends a person's greeting.
const PAUSE_MS: u32 = 700;
/// Less voice than this is a click, or the onset of noise.
const VOICE_LEAST_MS: u32 = 100;
/// It is forgotten after so long.
const CLICK_MS: u32 = 200;
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

/// Hops until it is decided, and their blocks.
const HOPS: usize = (DECISION_MAX_MS / HOP_MS) as usize;
const BLOCKS: usize = HOPS.div_ceil(BLOCK);

/// Listens from the answer on. Allocates when it is made only.
#[derive(Clone, Debug)]
pub struct Detector {
    meter: Meter,
    elapsed: u32,
    /// The power of each hop.
    powers: Vec<f32>,
    /// The quietest two hops in a row of each block; infinite where there are none.
    quietest: [f32; BLOCKS],
    /// A tone's frequency, and how long it lasts.
    tone: (f32, u32),
    decided: bool,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            meter: Meter::default(),
            elapsed: 0,
            powers: Vec::with_capacity(HOPS),
            quietest: [f32::INFINITY; BLOCKS],
            tone: (0.0, 0),
            decided: false,
        }
    }
}

/// What was said so far, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Greeting {
    /// When voice was first heard, and last.
    first: u32,
    last: u32,
    /// How much of it.
    voice: u32,
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
        // Digital silence is no noise: play-out begins with it, and has it where packets are missing. Two hops, because one
        // may be noise in part only.
        let before = self.powers.last().copied().unwrap_or(0.0);
        if let Some(quietest) = self.quietest.get_mut(self.powers.len() / BLOCK)
            && before.min(measure.power) > 0.0
        {
            *quietest = quietest.min(before.max(measure.power));
        }
        self.powers.push(measure.power);
        let loud = measure.power >= power_of(VOICE_MIN);
        self.tone = match measure.hz.filter(|hz| loud && *hz >= TONE_HZ_MIN) {
            Some(hz) if (hz - self.tone.0).abs() <= TONE_HZ => (self.tone.0, self.tone.1 + HOP_MS),
            Some(hz) => (hz, HOP_MS),
            None => (0.0, 0),
        };
        self.verdict()
    }

    /// What was said, looked at anew: only after a word is it known how quiet the line is that it was said on.
    fn greeting(&self) -> Greeting {
        let mut greeting = Greeting::default();
        let (least, most, voice_least) = (power_of(NOISE.0), power_of(NOISE.1), power_of(VOICE_MIN));
        let mut at = 0;
        for (block, powers) in self.powers.chunks(BLOCK).enumerate() {
            let around = block.saturating_sub(NOISE_BLOCKS)..(block + NOISE_BLOCKS + 1).min(BLOCKS);
            let quietest = self.quietest.get(around).unwrap_or_default().iter().copied().fold(f32::INFINITY, f32::min);
            let voice_min = voice_least.max(quietest.clamp(least, most) * OVER_NOISE);
            for power in powers {
                at += HOP_MS;
                if greeting.voice < VOICE_LEAST_MS && at - greeting.last > CLICK_MS {
                    greeting.voice = 0;
                }
                if *power >= voice_min {
                    if greeting.voice == 0 {
                        greeting.first = at;
                    }
                    greeting.last = at;
                    greeting.voice += HOP_MS;
                }
            }
        }
        greeting
    }

    fn verdict(&self) -> Option<Answerer> {
        if self.tone.1 >= TONE_MS {
            return Some(Answerer::Machine);
        }
        let Greeting { first, last, voice } = self.greeting();
        if voice < VOICE_LEAST_MS {
            return (self.elapsed >= SILENCE_MAX_MS).then_some(Answerer::Unknown);
        }
        if last - first > GREETING_MAX_MS {
            return Some(Answerer::Machine);
        }
        if self.elapsed - last >= PAUSE_MS {
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
        assert_eq!(decide(&[("", 400), ("voice", 500), ("", 2000)]), (Some(Answerer::Human), 1600));
        assert_eq!(decide(&[("voice", 400), ("", 300), ("voice", 500), ("", 2000)]).0, Some(Answerer::Human));
    }

    /// Who answers on a line that is silent for 100 ms, as play-out is before its first packet, and noisy from then on.
    fn in_noise(noise: f32, word_at_ms: u32, word_ms: u32) -> Option<Answerer> {
        let mut detector = Detector::default();
        let mut sines = [150.0, 450.0, 1050.0].map(|hz| Oscillator::new(hz, Dbm0(-25.0).peak()));
        // Uniform noise of a peak `p` has the power `p * p / 3`.
        let peak = Dbm0(noise).peak() * 1.5f32.sqrt();
        let mut state = 1u32;
        (0..800u32).find_map(|hop| {
            let said = (word_at_ms..word_at_ms + word_ms).contains(&(hop * 10));
            let pcm: [i16; 80] = std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * peak;
                let word = if said { sines.iter_mut().map(Oscillator::next).sum() } else { 0.0 };
                if hop < 10 && !said { 0 } else { to_sample(noise + word) }
            });
            detector.process(&pcm)
        })
    }

    #[test]
    fn noise_is_nobodys_voice_however_late_it_sets_in() {
        for noise in [-38.0, -34.0, -50.0, -70.0] {
            assert_eq!(in_noise(noise, 1_500, 500), Some(Answerer::Human), "{noise}");
            assert_eq!(in_noise(noise, 200, 500), Some(Answerer::Human), "{noise}");
            assert_eq!(in_noise(noise, 1_000, 5_000), Some(Answerer::Machine), "{noise}");
            assert_eq!(in_noise(noise, 9_000, 0), Some(Answerer::Unknown), "{noise}");
        }
    }

    #[test]
    fn a_word_that_begins_at_once_is_heard() {
        for noise in [-38.0, -58.0] {
            assert_eq!(in_noise(noise, 0, 500), Some(Answerer::Human), "{noise}");
            assert_eq!(in_noise(noise, 0, 5_000), Some(Answerer::Machine), "{noise}");
        }
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
