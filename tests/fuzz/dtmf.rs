//! The DTMF detector: any audio, in pieces of any length.

use cordboard::dsp::dtmf::{Detector, DtmfEvent, Generator};

use crate::chance::Chance;
use crate::fuzz;

/// Silence, noise, clipping, steady values and digits at any level, one after the other.
fn audio(chance: &mut Chance<'_>) -> Vec<i16> {
    let mut audio = Vec::new();
    while !chance.is_spent() && audio.len() < 16_000 {
        match chance.below(6) {
            0 => audio.extend(std::iter::repeat_n(0, chance.below(400))),
            1 => audio.extend(chance.take(255).chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]))),
            2 => {
                let half = 1 + chance.below(16);
                let square = |n: usize| if (n / half).is_multiple_of(2) { i16::MAX } else { i16::MIN };
                audio.extend((0..chance.below(800)).map(square));
            }
            3 => {
                let value = i16::from_be_bytes([chance.octet(), chance.octet()]);
                audio.extend(std::iter::repeat_n(value, chance.below(300)));
            }
            _ => {
                let digit = *chance.pick(b"0123456789*#ABCDabcd");
                let (on, off) = (u16::from(chance.octet()), u16::from(chance.octet()));
                let mut generator = Generator::new(char::from(digit), on, off).expect("a digit");
                let start = audio.len();
                audio.resize(start + 8 * (usize::from(on) + usize::from(off)), 0);
                let made = generator.fill(&mut audio[start..]);
                assert!(generator.is_done() && start + made == audio.len());
                if chance.one_in(3) {
                    let shift = chance.below(8);
                    audio[start..].iter_mut().for_each(|sample| *sample >>= shift);
                }
            }
        }
    }
    audio
}

fn target(mut chance: Chance<'_>) {
    let pieces: Vec<usize> = (0..8).map(|_| 1 + chance.below(500)).collect();
    let audio = audio(&mut chance);
    let mut detector = Detector::new();
    let whole: Vec<DtmfEvent> = detector.process(&audio).collect();
    let mut down = None;
    for event in &whole {
        match *event {
            DtmfEvent::Down(digit) => {
                assert_eq!(down.replace(digit), None, "down twice");
                assert!("0123456789*#ABCD".contains(digit));
            }
            DtmfEvent::Up { digit, duration_ms } => {
                assert_eq!(down.take(), Some(digit), "up without down");
                assert!(usize::try_from(duration_ms).is_ok_and(|ms| ms * 8 <= audio.len() + 200));
            }
        }
    }
    assert_eq!(detector.digit(), down);

    let mut pieced = Detector::new();
    let mut events = Vec::new();
    let mut rest = audio.as_slice();
    for piece in pieces.into_iter().cycle() {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        events.extend(pieced.process(now));
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    assert_eq!(events, whole, "the same in pieces");
}

#[test]
fn detector() {
    fuzz!(1_024, target);
}
