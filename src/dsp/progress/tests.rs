use super::*;
use crate::base::{Law, SpecialTone};
use crate::dsp::g711;
use crate::dsp::level::Dbm0;
use crate::dsp::oscillator::{Oscillator, to_sample};
use crate::dsp::tone::{Generator, PLANS};

/// All that is heard in a signal after a line of G.711.
fn listen(country: [u8; 2], pcm: &[i16]) -> Vec<HeardTone> {
    let mut octets = vec![0; pcm.len()];
    g711::encode(Law::Mu, pcm, &mut octets);
    let mut line = vec![0; pcm.len()];
    g711::decode(Law::Mu, &octets, &mut line);
    let mut listener = Listener::new(country);
    let mut heard = Vec::new();
    for frame in line.chunks(160) {
        listener.process(frame, |tone| heard.push(tone));
    }
    heard
}

/// Silence, then the tone, after `skip` samples of it.
fn play(country: [u8; 2], kind: ToneKind, seconds: usize, skip: usize) -> Vec<i16> {
    let mut generator = Generator::new(plan_of(country).tone(kind));
    generator.fill(&mut vec![0; skip]);
    let mut pcm = vec![0; 8000 * seconds];
    generator.fill(&mut pcm[1600..]);
    pcm
}

fn sines(parts: &[(f32, u32)], level: f32) -> Vec<i16> {
    let mut pcm = vec![0; 1600];
    for &(hz, ms) in parts {
        let mut sine = Oscillator::new(hz, if hz == 0.0 { 0.0 } else { Dbm0(level).peak() });
        pcm.extend((0..ms * 8).map(|_| to_sample(sine.next())));
    }
    pcm
}

#[test]
fn every_tone_of_every_country_is_told_from_the_others() {
    for plan in &PLANS {
        for kind in KINDS {
            let heard = listen(plan.country, &play(plan.country, kind, 14, 0));
            let same_as_busy = kind == ToneKind::Congestion && plan.congestion == plan.busy;
            let expected = if same_as_busy { ToneKind::Busy } else { kind };
            let country = String::from_utf8_lossy(&plan.country);
            assert_eq!(heard, [HeardTone::from(expected)], "{country} {kind:?}");
        }
    }
}

#[test]
fn a_tone_that_had_begun_before_is_known_all_the_same() {
    for plan in &PLANS {
        for kind in [ToneKind::Busy, ToneKind::Congestion] {
            for skip in [0, 700, 1500, 2900] {
                let heard = listen(plan.country, &play(plan.country, kind, 14, skip)[1600..]);
                let same_as_busy = kind == ToneKind::Congestion && plan.congestion == plan.busy;
                let expected = if same_as_busy { ToneKind::Busy } else { kind };
                let country = String::from_utf8_lossy(&plan.country);
                assert_eq!(heard, [HeardTone::from(expected)], "{country} {kind:?} from {skip}");
            }
        }
    }
}

#[test]
fn quiet_tones_off_by_a_percent_and_in_noise_are_heard() {
    let mut state = 1u32;
    for (hz, gain) in [(1.01, 0.3), (0.99, 0.3), (1.0, 0.12)] {
        let tone = plan_of(*b"de").tone(ToneKind::Busy);
        let shifted = tone.components.map(|c| c.map(|c| Component { hz: c.hz * hz, ..c }));
        let mut pcm = vec![0; 8000 * 6];
        Generator::new(&Tone { components: shifted, ..*tone }).fill(&mut pcm[1600..]);
        for x in &mut pcm {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Uniform noise, peak 60: about -54 dBm0.
            *x = (f32::from(*x) * gain) as i16 + ((state >> 16) % 121) as i16 - 60;
        }
        assert_eq!(listen(*b"de", &pcm), [HeardTone::Busy], "{hz} {gain}");
    }
}

#[test]
fn the_special_information_tone_is_heard_and_north_americas_variants_are_told_apart() {
    let cases = [
        ([950.0, 1400.0, 1800.0], [330, 330, 330], SpecialTone::Other),
        ([913.8, 1370.6, 1776.7], [274, 274, 380], SpecialTone::Intercept),
        ([985.2, 1370.6, 1776.7], [380, 274, 380], SpecialTone::VacantCode),
        ([913.8, 1428.5, 1776.7], [274, 380, 380], SpecialTone::Reorder),
        ([985.2, 1370.6, 1776.7], [274, 380, 380], SpecialTone::Reorder),
        ([985.2, 1428.5, 1776.7], [380, 380, 380], SpecialTone::NoCircuit),
        ([913.8, 1370.6, 1776.7], [380, 380, 380], SpecialTone::NoCircuit),
    ];
    for (hz, ms, tone) in cases {
        for gap in [0, 4, 30] {
            let parts: Vec<(f32, u32)> = hz.into_iter().zip(ms).flat_map(|part| [part, (0.0, gap)]).collect();
            for level in [-10.0, -24.0, -36.0] {
                let heard = listen(*b"us", &sines(&parts, level));
                assert_eq!(heard, [HeardTone::Special(tone)], "{hz:?} {ms:?}, gap {gap}, {level} dBm0");
            }
        }
    }
    let backwards = sines(&[(1800.0, 330), (1400.0, 330), (950.0, 330)], -15.0);
    assert_eq!(listen(*b"us", &backwards), []);
}

#[test]
fn fax_and_modem_tones_are_heard() {
    for hz in [1070.0, 1100.0, 1130.0] {
        for ms in [430, 500, 570] {
            let heard = listen(*b"us", &sines(&[(hz, ms), (0.0, 3000), (hz, ms), (0.0, 100)], -20.0));
            assert_eq!(heard, [HeardTone::FaxCalling; 2], "{hz} Hz, {ms} ms");
        }
    }
    assert_eq!(listen(*b"us", &sines(&[(1100.0, 1500), (0.0, 500)], -20.0)), [], "not that long");
    for hz in [2085.0, 2100.0, 2115.0] {
        assert_eq!(listen(*b"us", &sines(&[(hz, 3000)], -20.0)), [HeardTone::FaxAnswer], "{hz} Hz");
    }
    // ANSam: swelling, and its phase turned every 450 ms.
    let mut pcm = sines(&[(2100.0, 3000)], -15.0);
    for (n, x) in pcm.iter_mut().enumerate().skip(1600) {
        let swell = 1.0 + 0.2 * (n as f32 / 8000.0 * 15.0 * std::f32::consts::TAU).sin();
        let turned = if (n - 1600) / 3600 % 2 == 0 { 1.0 } else { -1.0 };
        *x = (f32::from(*x) * swell * turned) as i16;
    }
    assert_eq!(listen(*b"us", &pcm), [HeardTone::ModemAnswer]);
}

#[test]
fn music_digits_and_our_own_beep_are_none_of_these() {
    assert_eq!(listen(*b"us", &crate::dsp::music::hold()), []);
    let mut pcm = Vec::new();
    for digit in "0123456789*#ABCD".chars() {
        let mut generator = crate::dsp::dtmf::Generator::new(digit, 100, 100).unwrap();
        let mut frame = [0; 1600];
        generator.fill(&mut frame);
        pcm.extend(frame);
    }
    assert_eq!(listen(*b"us", &pcm), []);
    assert_eq!(listen(*b"us", &sines(&[(440.0, 250), (0.0, 2000), (440.0, 250)], -13.0)), []);
}

#[test]
fn frames_of_any_size_give_the_same() {
    let pcm = play(*b"gb", ToneKind::Congestion, 6, 0);
    for size in [1, 7, 80, 333] {
        let mut listener = Listener::new(*b"gb");
        let mut heard = Vec::new();
        pcm.chunks(size).for_each(|frame| listener.process(frame, |tone| heard.push(tone)));
        assert_eq!(heard, [HeardTone::Congestion], "{size}");
    }
}
