//! Call-progress tones: the generator, and the plans of countries.
//!
//! Frequencies and cadences are those the administrations reported for ITU-T E.180 Supplement 2. Levels lie within
//! E.180's -10 dBm0 +-5 dB, but for North America, where the usual levels per frequency are kept (dial -13, ringback
//! -19, busy and congestion -24).

use super::level::Dbm0;
use super::oscillator::{Oscillator, to_sample};
use super::samples;
use crate::base::ToneKind;

/// Most frequencies of one tone.
pub const COMPONENTS_MAX: usize = 3;

/// One sine of a tone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Component {
    /// Frequency in Hz.
    pub hz: f32,
    /// Level of this sine alone.
    pub level: Dbm0,
}

/// Milliseconds on and off in turn, starting with on, repeated for ever. Empty: on without a pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cadence(pub &'static [u16]);

/// A tone: up to [`COMPONENTS_MAX`] sines, switched together.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tone {
    /// The sines; `None` after the last.
    pub components: [Option<Component>; COMPONENTS_MAX],
    /// On and off.
    pub cadence: Cadence,
}

impl Tone {
    const fn single(hz: f32, level: f32, cadence: &'static [u16]) -> Self {
        Self { components: [component(hz, level), None, None], cadence: Cadence(cadence) }
    }

    const fn pair(hz: [f32; 2], level: f32, cadence: &'static [u16]) -> Self {
        Self { components: [component(hz[0], level), component(hz[1], level), None], cadence: Cadence(cadence) }
    }

    /// `hz` wholly amplitude-modulated by `by_hz`: the carrier, and 6 dB below it the two side frequencies.
    const fn modulated(hz: f32, by_hz: f32, level: f32, cadence: &'static [u16]) -> Self {
        let side = level - 6.0;
        let components = [component(hz, level), component(hz - by_hz, side), component(hz + by_hz, side)];
        Self { components, cadence: Cadence(cadence) }
    }
}

const fn component(hz: f32, level: f32) -> Option<Component> {
    Some(Component { hz, level: Dbm0(level) })
}

/// 440 Hz without a pause: the beep before a recording and the voice of a missing prompt. The user ends it.
pub const BEEP: Tone = Tone::single(440.0, -13.0, &[]);

/// The call-progress tones of a country.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TonePlan {
    /// ISO 3166 code, lower case.
    pub country: [u8; 2],
    /// Dial tone.
    pub dial: Tone,
    /// Ringing tone.
    pub ringback: Tone,
    /// Busy tone.
    pub busy: Tone,
    /// Congestion tone.
    pub congestion: Tone,
}

impl TonePlan {
    /// The tone of this meaning.
    pub const fn tone(&self, kind: ToneKind) -> &Tone {
        match kind {
            ToneKind::Ringback => &self.ringback,
            ToneKind::Busy => &self.busy,
            ToneKind::Congestion => &self.congestion,
            ToneKind::Dial => &self.dial,
        }
    }
}

/// The tone of this meaning in `country` (ISO 3166, lower case); the United States' when the country has no plan here.
pub fn plan(country: [u8; 2], kind: ToneKind) -> &'static Tone {
    plan_of(country).tone(kind)
}

/// All tones of `country`; the United States' when it has no plan here.
pub fn plan_of(country: [u8; 2]) -> &'static TonePlan {
    PLANS.iter().find(|plan| plan.country == country).unwrap_or(&UNITED_STATES)
}

/// Whether `country` has a plan of its own.
pub fn is_known(country: [u8; 2]) -> bool {
    PLANS.iter().any(|plan| plan.country == country)
}

static UNITED_STATES: TonePlan = TonePlan {
    country: *b"us",
    dial: Tone::pair([350.0, 440.0], -13.0, &[]),
    ringback: Tone::pair([440.0, 480.0], -19.0, &[2000, 4000]),
    busy: Tone::pair([480.0, 620.0], -24.0, &[500, 500]),
    congestion: Tone::pair([480.0, 620.0], -24.0, &[250, 250]),
};

/// Level of one frequency that stands alone, and of each of two.
const ALONE: f32 = -12.0;
const EACH: f32 = -15.0;

/// 425 Hz for all, the recommended frequency of E.180.
const fn plan_425(
    country: [u8; 2],
    dial: &'static [u16],
    ringback: &'static [u16],
    busy: &'static [u16],
    congestion: &'static [u16],
) -> TonePlan {
    TonePlan {
        country,
        dial: Tone::single(425.0, ALONE, dial),
        ringback: Tone::single(425.0, ALONE, ringback),
        busy: Tone::single(425.0, ALONE, busy),
        congestion: Tone::single(425.0, ALONE, congestion),
    }
}

/// Every plan, by country. Where E.180 Supplement 2 writes `400x16`, the first frequency is modulated by the second.
pub static PLANS: [TonePlan; 13] = [
    TonePlan {
        country: *b"au",
        dial: Tone::modulated(425.0, 25.0, ALONE, &[]),
        ringback: Tone::modulated(425.0, 25.0, ALONE, &[400, 200, 400, 2000]),
        busy: Tone::single(425.0, ALONE, &[375, 375]),
        congestion: Tone::single(425.0, ALONE, &[375, 375]),
    },
    plan_425(*b"br", &[], &[1000, 4000], &[250, 250], &[250, 250, 750, 250]),
    TonePlan {
        country: *b"ca",
        dial: UNITED_STATES.dial,
        ringback: UNITED_STATES.ringback,
        busy: UNITED_STATES.busy,
        congestion: UNITED_STATES.congestion,
    },
    plan_425(*b"de", &[], &[1000, 4000], &[480, 480], &[240, 240]),
    plan_425(*b"es", &[], &[1500, 3000], &[200, 200], &[200, 200, 200, 200, 200, 600]),
    TonePlan {
        country: *b"fr",
        dial: Tone::single(440.0, ALONE, &[]),
        ringback: Tone::single(440.0, ALONE, &[1500, 3500]),
        busy: Tone::single(440.0, ALONE, &[500, 500]),
        congestion: Tone::single(440.0, ALONE, &[250, 250]),
    },
    TonePlan {
        country: *b"gb",
        dial: Tone::pair([350.0, 440.0], EACH, &[]),
        ringback: Tone::pair([400.0, 450.0], EACH, &[400, 200, 400, 2000]),
        busy: Tone::single(400.0, ALONE, &[375, 375]),
        congestion: Tone::single(400.0, ALONE, &[400, 350, 225, 525]),
    },
    plan_425(*b"it", &[600, 1000, 200, 200], &[1000, 4000], &[500, 500], &[200, 200]),
    TonePlan {
        country: *b"jp",
        dial: Tone::single(400.0, ALONE, &[]),
        ringback: Tone::modulated(400.0, 16.0, ALONE, &[1000, 2000]),
        busy: Tone::single(400.0, ALONE, &[500, 500]),
        congestion: Tone::single(400.0, ALONE, &[500, 500]),
    },
    plan_425(*b"nl", &[], &[1000, 4000], &[500, 500], &[250, 250]),
    plan_425(*b"ru", &[], &[1000, 4000], &[350, 350], &[175, 175]),
    plan_425(*b"se", &[], &[1000, 5000], &[250, 250], &[250, 750]),
    UNITED_STATES,
];

/// Samples over which a tone is faded at its edges (2 ms): a hard edge clicks.
const EDGE: u16 = 16;

/// Plays a [`Tone`] for ever; its phase never jumps, not even across pauses.
#[derive(Clone, Debug)]
pub struct Generator {
    oscillators: [Option<Oscillator>; COMPONENTS_MAX],
    cadence: Cadence,
    /// Which entry of the cadence is running.
    section: usize,
    /// Samples until its end.
    left: usize,
    /// Fade, 0..=EDGE.
    gain: u16,
}

impl Generator {
    /// Starts with the first on-period of `tone`.
    pub fn new(tone: &Tone) -> Self {
        let oscillators = tone.components.map(|c| c.map(|c| Oscillator::new(c.hz, c.level.peak())));
        let mut generator = Self { oscillators, cadence: tone.cadence, section: 0, left: 0, gain: 0 };
        generator.left = generator.section_samples();
        generator
    }

    /// Overwrites `out` with the next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        let mut rest = out;
        while !rest.is_empty() {
            if self.left == 0 {
                self.section = (self.section + 1) % self.cadence.0.len().max(1);
                self.left = self.section_samples();
            }
            let n = self.left.min(rest.len());
            let (now, later) = rest.split_at_mut(n);
            // Even sections sound, odd ones are pauses.
            self.fill_section(now, self.section.is_multiple_of(2));
            self.left -= n;
            rest = later;
        }
    }

    fn section_samples(&self) -> usize {
        let ms = self.cadence.0.get(self.section);
        // One sample at least, so that a cadence of zeros cannot stall `fill`.
        ms.map_or(usize::MAX, |&ms| samples(u32::from(ms)).max(1))
    }

    fn fill_section(&mut self, out: &mut [i16], on: bool) {
        for o in out {
            if !on && self.gain == 0 {
                *o = 0;
                continue;
            }
            self.gain = if on { (self.gain + 1).min(EDGE) } else { self.gain - 1 };
            let sum: f32 = self.oscillators.iter_mut().flatten().map(Oscillator::next).sum();
            *o = to_sample(sum * f32::from(self.gain) / f32::from(EDGE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::level;

    const KINDS: [ToneKind; 4] = [ToneKind::Ringback, ToneKind::Busy, ToneKind::Congestion, ToneKind::Dial];

    fn power_at(pcm: &[i16], hz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, &x) in pcm.iter().enumerate() {
            let phase = std::f64::consts::TAU * hz * n as f64 / 8000.0;
            re += f64::from(x) * phase.cos();
            im += f64::from(x) * phase.sin();
        }
        let amplitude = 2.0 * re.hypot(im) / pcm.len() as f64;
        20.0 * (amplitude / f64::from(level::DBM0_PEAK)).log10()
    }

    #[test]
    fn us_ringback_is_two_seconds_of_440_and_480_then_four_of_silence() {
        let mut generator = Generator::new(plan(*b"us", ToneKind::Ringback));
        for _ in 0..2 {
            let mut on = vec![0; 16_000];
            generator.fill(&mut on);
            assert!((power_at(&on, 440.0) + 19.0).abs() < 0.2);
            assert!((power_at(&on, 480.0) + 19.0).abs() < 0.2);
            assert!(power_at(&on, 620.0) < -60.0);
            let mut off = vec![1; 32_000];
            generator.fill(&mut off);
            assert!(off[usize::from(EDGE)..].iter().all(|&x| x == 0), "the pause is silent after its fade");
        }
    }

    #[test]
    fn frames_of_any_size_give_the_same_signal() {
        let tone = plan(*b"gb", ToneKind::Congestion);
        let mut whole = vec![0; 20_000];
        Generator::new(tone).fill(&mut whole);
        let mut pieces = vec![0; 20_000];
        let mut generator = Generator::new(tone);
        for (i, chunk) in pieces.chunks_mut(163).enumerate() {
            let (a, b) = chunk.split_at_mut((i * 7) % chunk.len());
            generator.fill(a);
            generator.fill(b);
        }
        assert_eq!(whole, pieces);
    }

    #[test]
    fn every_plan_is_within_e180_levels_and_has_its_cadence() {
        for plan in &PLANS {
            for kind in KINDS {
                let tone = plan.tone(kind);
                let mut pcm = vec![0; 8000 * 12];
                Generator::new(&Tone { cadence: Cadence(&[]), ..*tone }).fill(&mut pcm);
                let level = level::measure(&pcm[8..]).0;
                let name = String::from_utf8_lossy(&plan.country).into_owned();
                let lowest = if matches!(plan.country, [b'u', b's'] | [b'c', b'a']) { -21.5 } else { -15.0 };
                assert!((lowest..=-5.0).contains(&level), "{name} {kind:?}: {level}");
                assert!(tone.cadence.0.len().is_multiple_of(2), "{name} {kind:?}: on without off");
                assert!(tone.cadence.0.iter().all(|&ms| (100..=6000).contains(&ms)), "{name} {kind:?}");
            }
        }
    }

    #[test]
    fn tones_do_not_jump() {
        for plan in &PLANS {
            for kind in KINDS {
                let mut pcm = vec![0; 8000 * 7];
                Generator::new(plan.tone(kind)).fill(&mut pcm);
                // The steepest slope of the sum of the sines at full amplitude, and the fade on top of it.
                let slope: f32 =
                    plan.tone(kind).components.iter().flatten().map(|c| c.level.peak() * (c.hz / 1250.0)).sum();
                let steepest = pcm.windows(2).map(|w| (f32::from(w[1]) - f32::from(w[0])).abs()).fold(0.0, f32::max);
                assert!(steepest < slope * 1.3, "{:?} {kind:?}: {steepest} of {slope}", plan.country);
            }
        }
    }

    #[test]
    fn the_plan_of_every_named_country_is_there_and_others_fall_back() {
        for country in ["us", "gb", "de", "fr", "it", "es", "nl", "jp", "au", "se", "ru", "br"] {
            let code = [country.as_bytes()[0], country.as_bytes()[1]];
            assert!(is_known(code), "{country}");
        }
        assert!(PLANS.is_sorted_by(|a, b| a.country < b.country));
        assert!(!is_known(*b"zz"));
        assert_eq!(plan(*b"zz", ToneKind::Busy), plan(*b"us", ToneKind::Busy));
        assert_ne!(plan(*b"de", ToneKind::Busy), plan(*b"us", ToneKind::Busy));
    }

    #[test]
    fn a_cadence_of_zeros_does_not_stall() {
        let tone = Tone { cadence: Cadence(&[0, 0]), ..BEEP };
        Generator::new(&tone).fill(&mut [0; 160]);
    }
}
