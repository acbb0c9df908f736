use super::*;
use crate::base::Law;
use crate::dsp::g711;
use crate::dsp::level;

const DIGITS: &str = "1234567890*#ABCD";

/// What to send, and how.
#[derive(Clone, Copy, Debug)]
struct Signal {
    low_offset: f64,
    high_offset: f64,
    low: f32,
    high: f32,
    on: usize,
    off: usize,
    /// Samples of silence before, so that every alignment with the windows is tried.
    lead: usize,
}

const PLAIN: Signal = Signal { low_offset: 0.0, high_offset: 0.0, low: -9.0, high: -7.0, on: 320, off: 320, lead: 0 };

fn frequencies(digit: char) -> (f64, f64) {
    let row = KEYPAD.iter().position(|r| r.contains(&digit)).unwrap();
    let column = KEYPAD[row].iter().position(|&k| k == digit).unwrap();
    (LOW_HZ[row], HIGH_HZ[column])
}

fn synthesise(digits: &str, s: Signal) -> Vec<f64> {
    let mut out = vec![0.0; s.lead];
    for digit in digits.chars() {
        let (low, high) = frequencies(digit);
        let (low, high) = (low * (1.0 + s.low_offset), high * (1.0 + s.high_offset));
        for n in 0..s.on {
            let t = n as f64 / 8000.0 * std::f64::consts::TAU;
            out.push(
                f64::from(Dbm0(s.low).peak()) * (low * t).sin() + f64::from(Dbm0(s.high).peak()) * (high * t).sin(),
            );
        }
        out.resize(out.len() + s.off, 0.0);
    }
    out.resize(out.len() + 800, 0.0);
    out
}

fn quantise(signal: &[f64], law: Law) -> Vec<i16> {
    let pcm: Vec<i16> = signal.iter().map(|&x| x.round().clamp(-32_768.0, 32_767.0) as i16).collect();
    let mut octets = vec![0; pcm.len()];
    g711::encode(law, &pcm, &mut octets);
    let mut out = vec![0; pcm.len()];
    g711::decode(law, &octets, &mut out);
    out
}

fn detect(pcm: &[i16]) -> String {
    let mut detector = Detector::new();
    let mut digits = String::new();
    for frame in pcm.chunks(160) {
        digits.extend(detector.process(frame).filter_map(|e| match e {
            DtmfEvent::Down(d) => Some(d),
            DtmfEvent::Up { .. } => None,
        }));
    }
    digits
}

/// A deterministic noise source: xorshift, roughly uniform in -1..1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

fn assert_hears(s: Signal) {
    for law in [Law::Mu, Law::A] {
        assert_eq!(detect(&quantise(&synthesise(DIGITS, s), law)), DIGITS, "{s:?} {law:?}");
    }
}

fn assert_deaf(s: Signal) {
    assert_eq!(detect(&quantise(&synthesise(DIGITS, s), Law::Mu)), "", "{s:?}");
}

#[test]
fn forty_ms_on_forty_ms_off_at_every_alignment() {
    for lead in 0..64 {
        assert_hears(Signal { lead, ..PLAIN });
    }
}

#[test]
fn twenty_ms_are_too_short_at_every_alignment() {
    for lead in 0..64 {
        assert_deaf(Signal { on: 160, lead, ..PLAIN });
    }
}

#[test]
fn one_and_a_half_percent_off_is_heard_in_every_combination() {
    for low_offset in [-0.015, 0.0, 0.015] {
        for high_offset in [-0.015, 0.0, 0.015] {
            for lead in (0..64).step_by(9) {
                assert_hears(Signal { low_offset, high_offset, lead, ..PLAIN });
            }
        }
    }
}

#[test]
fn three_and_a_half_percent_off_in_either_tone_is_not_heard() {
    for offset in [-0.05, -0.04, -0.035, 0.035, 0.04, 0.05] {
        for on in [320, 400, 800] {
            for lead in (0..64).step_by(9) {
                assert_deaf(Signal { low_offset: offset, on, lead, ..PLAIN });
                assert_deaf(Signal { high_offset: offset, on, lead, ..PLAIN });
            }
        }
    }
}

#[test]
fn levels_from_minus_25_to_0_dbm0_and_not_below_minus_36() {
    for level in [-25.0, -20.0, -15.0, -10.0, -5.0, -3.0] {
        for lead in (0..64).step_by(9) {
            assert_hears(Signal { low: level, high: level, lead, ..PLAIN });
        }
    }
    assert_deaf(Signal { low: -36.0, high: -36.0, on: 800, ..PLAIN });
    assert_deaf(Signal { low: -36.0, high: -30.0, on: 800, ..PLAIN });
}

#[test]
fn twist_of_plus_6_and_minus_8_db_is_heard_and_beyond_12_is_not() {
    for (low, high) in [(-14.0, -8.0), (-8.0, -16.0), (-22.0, -18.0), (-12.0, -20.0)] {
        for lead in (0..64).step_by(9) {
            assert_hears(Signal { low, high, lead, ..PLAIN });
            assert_hears(Signal { low, high, lead, low_offset: 0.015, high_offset: -0.015, ..PLAIN });
        }
    }
    assert_deaf(Signal { low: -20.0, high: -7.0, on: 800, ..PLAIN });
    assert_deaf(Signal { low: -7.0, high: -20.0, on: 800, ..PLAIN });
}

#[test]
fn a_single_tone_is_not_a_digit() {
    assert_deaf(Signal { low: -90.0, high: -5.0, on: 4000, ..PLAIN });
    assert_deaf(Signal { low: -5.0, high: -90.0, on: 4000, ..PLAIN });
}

#[test]
fn a_dropout_of_10_ms_does_not_split_a_digit() {
    for lead in 0..64 {
        let mut signal = synthesise("5", Signal { on: 1600, lead, ..PLAIN });
        signal[lead + 700..lead + 780].fill(0.0);
        assert_eq!(detect(&quantise(&signal, Law::Mu)), "5", "lead {lead}");
    }
}

#[test]
fn digits_without_a_pause_between_are_told_apart() {
    let signal = synthesise("159D", Signal { on: 640, off: 0, ..PLAIN });
    assert_eq!(detect(&quantise(&signal, Law::A)), "159D");
}

#[test]
fn noise_15_db_below_does_no_harm() {
    let seed = 0x5eed_0001;
    let mut noise = Noise(seed);
    for lead in (0..64).step_by(3) {
        let mut signal = synthesise(DIGITS, Signal { low: -12.0, high: -12.0, lead, ..PLAIN });
        // The pair has -9 dBm0; uniform noise in -p..p has the power p^2 / 3.
        let peak = f64::from(Dbm0(-24.0).peak()) * 1.5f64.sqrt();
        signal.iter_mut().for_each(|x| *x += noise.next() * peak);
        assert_eq!(detect(&quantise(&signal, Law::Mu)), DIGITS, "seed {seed:#x}, lead {lead}");
    }
}

#[test]
fn a_prompt_heard_through_a_hybrid_does_not_hide_digits() {
    let voice = voice_like(0x5eed_0002, 160_000);
    for lead in (0..640).step_by(61) {
        let mut signal = synthesise(DIGITS, Signal { low: -9.0, high: -7.0, on: 640, off: 640, lead, ..PLAIN });
        // -16 dBm0 of speech through 12 dB of echo return loss.
        signal.iter_mut().zip(&voice[lead * 40..]).for_each(|(x, v)| *x += v * f64::from(Dbm0(-28.0).peak()));
        assert_eq!(detect(&quantise(&signal, Law::Mu)), DIGITS, "lead {lead}");
    }
}

#[test]
fn noise_alone_is_no_digit() {
    let seed = 0x5eed_0003;
    let mut noise = Noise(seed);
    let signal: Vec<f64> = (0..8000 * 60).map(|_| noise.next() * 12_000.0).collect();
    assert_eq!(detect(&quantise(&signal, Law::Mu)), "", "seed {seed:#x}");
}

/// Gain and half width in Hz of each formant.
const SHAPE: [(f64, f64); 3] = [(1.0, 35.0), (0.6, 50.0), (0.25, 75.0)];

/// Harmonics of a gliding pitch under wandering formants, about 0 dB rms: what vowels do to a detector.
fn voice_like(seed: u64, len: usize) -> Vec<f64> {
    let mut random = Noise(seed);
    let mut out = Vec::with_capacity(len);
    let mut phase: f64 = 0.0;
    let (mut pitch, mut formants) = (120.0, [500.0, 1500.0, 2500.0]);
    let (mut pitch_to, mut formants_to) = (pitch, formants);
    let mut gains = Vec::new();
    for n in 0..len {
        if n % 960 == 0 {
            pitch_to = 90.0 + 160.0 * (random.next() + 1.0) / 2.0;
            formants_to =
                [550.0 + 250.0 * random.next(), 1450.0 + 550.0 * random.next(), 2600.0 + 300.0 * random.next()];
        }
        if n % 40 == 0 {
            formants.iter_mut().zip(formants_to).for_each(|(f, to)| *f += (to - *f) * 0.08);
            let resonance = |hz: f64| {
                let formants = formants.iter().zip(SHAPE);
                formants.map(|(f, (gain, half))| gain / (1.0 + ((hz - f) / half).powi(2)).sqrt()).sum::<f64>()
            };
            gains.clear();
            gains.extend((1..).map(|k| f64::from(k) * pitch).take_while(|&hz| hz < 3400.0).map(resonance));
        }
        pitch += (pitch_to - pitch) * 0.002;
        phase += std::f64::consts::TAU * pitch / 8000.0;
        // sin((k + 1) p) = 2 cos(p) sin(k p) - sin((k - 1) p)
        let (mut before, mut sine, turn) = (0.0, phase.sin(), 2.0 * phase.cos());
        let mut x = 0.0;
        for gain in &gains {
            x += gain * sine;
            (before, sine) = (sine, turn * sine - before);
        }
        out.push(x);
    }
    out
}

#[test]
fn ten_minutes_of_voice_like_sound_talk_off_nothing() {
    // Vowels without a pause: denser than any speech, which has hisses and pauses between.
    for seed in 1..=10 {
        let signal: Vec<f64> = voice_like(seed, 8000 * 60).iter().map(|x| x * 9000.0).collect();
        assert_eq!(detect(&quantise(&signal, Law::Mu)), "", "seed {seed}");
    }
}

#[test]
fn call_progress_tones_and_music_talk_off_nothing() {
    use crate::base::ToneKind;
    for plan in &crate::dsp::tone::PLANS {
        for kind in [ToneKind::Ringback, ToneKind::Busy, ToneKind::Congestion, ToneKind::Dial] {
            let mut pcm = vec![0; 8000 * 6];
            crate::dsp::tone::Generator::new(plan.tone(kind)).fill(&mut pcm);
            assert_eq!(detect(&pcm), "", "{:?} {kind:?}", plan.country);
        }
    }
    assert_eq!(detect(&crate::dsp::music::hold()), "");
}

#[test]
fn durations_are_within_12_ms() {
    for ms in [40, 60, 100, 250, 1000] {
        for lead in (0..64).step_by(7) {
            let signal = synthesise("8", Signal { on: ms * 8, lead, ..PLAIN });
            let mut detector = Detector::new();
            let pcm = quantise(&signal, Law::Mu);
            let events: Vec<_> = detector.process(&pcm).collect();
            let [DtmfEvent::Down('8'), DtmfEvent::Up { digit: '8', duration_ms }] = events[..] else {
                panic!("{ms} ms, lead {lead}: {events:?}");
            };
            assert!(duration_ms.abs_diff(ms as u32) <= 12, "{ms} ms, lead {lead}: {duration_ms}");
        }
    }
}

#[test]
fn our_generator_is_heard_and_has_its_levels() {
    for digit in DIGITS.chars() {
        let mut generator = Generator::new(digit, 60, 50).unwrap();
        let mut pcm = vec![0; 2000];
        let n = generator.fill(&mut pcm);
        assert_eq!(n, 880);
        assert!(generator.is_done());
        assert_eq!(generator.fill(&mut pcm[n..]), 0);
        assert_eq!(detect(&pcm), digit.to_string());
        assert!((level::measure(&pcm[..480]).0 + 2.9).abs() < 0.5);
    }
    assert!(Generator::new('E', 60, 50).is_none());
    assert!(Generator::new('a', 60, 50).is_some());
}

#[test]
fn an_iterator_that_is_dropped_still_takes_its_samples() {
    let pcm = quantise(&synthesise("7", PLAIN), Law::Mu);
    let mut detector = Detector::new();
    drop(detector.process(&pcm[..320]));
    assert_eq!(detector.digit(), Some('7'));
    assert_eq!(detector.process(&pcm[320..]).count(), 1, "the digit was down; its end comes");
}

#[test]
fn frames_of_any_size_give_the_same_events() {
    let pcm = quantise(&synthesise(DIGITS, PLAIN), Law::A);
    let whole: Vec<_> = Detector::new().process(&pcm).collect();
    for size in [1, 7, 64, 80, 160, 333] {
        let mut detector = Detector::new();
        let mut pieces = Vec::new();
        for frame in pcm.chunks(size) {
            pieces.extend(detector.process(frame));
        }
        assert_eq!(whole, pieces, "frames of {size}");
    }
}
