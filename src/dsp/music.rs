//! The built-in music on hold: a calm arpeggio over four chords, synthesised, so that nobody's licence is needed.

use std::collections::BTreeMap;

use super::SAMPLE_RATE;
use super::level::{self, Dbm0};
use super::oscillator::{Oscillator, to_sample};

/// Samples of an eighth note: 100 beats a minute, 300 ms.
const EIGHTH: usize = SAMPLE_RATE as usize * 3 / 10;
/// Eighths of a bar.
const BAR: usize = 8;

/// MIDI note numbers of a chord: bass, then four for the arpeggio.
type Chord = [u8; 5];

/// C - Am7 - Fmaj7 - G, then Em7 - Am - Dm7 - Gsus4/G: sixteen bars, each chord for two.
const CHORDS: [Chord; 8] = [
    [48, 64, 67, 72, 76],
    [45, 64, 67, 72, 76],
    [53, 60, 64, 69, 72],
    [43, 62, 67, 71, 74],
    [52, 62, 67, 71, 74],
    [45, 60, 64, 69, 76],
    [50, 60, 65, 69, 77],
    [43, 60, 65, 67, 74],
];

/// Which note of the chord each eighth of a bar plucks; the second bar of a chord goes another way.
const PATTERNS: [[usize; BAR]; 2] = [[1, 2, 3, 4, 3, 2, 3, 2], [1, 3, 2, 4, 2, 3, 4, 3]];

/// Mean level of the loop: below speech, so that announcements stand out.
const LEVEL: Dbm0 = Dbm0(-20.0);

/// The loop, 38.4 s at 8 kHz; its end leads into its start without a seam. Always the same samples. Takes some
/// milliseconds of CPU: make it once.
pub fn hold() -> Vec<i16> {
    let bars = CHORDS.len() * PATTERNS.len();
    let mut mix = vec![0.0; bars * BAR * EIGHTH];
    // Each note is struck many times; only how hard differs.
    let mut struck: BTreeMap<u8, Vec<f32>> = BTreeMap::new();
    for (chord, notes) in CHORDS.iter().enumerate() {
        let bed = pad(notes);
        for (second, pattern) in PATTERNS.iter().enumerate() {
            let start = (PATTERNS.len() * chord + second) * BAR * EIGHTH;
            add(&mut mix, start, &bed, 1.0);
            for (eighth, &note) in pattern.iter().enumerate() {
                // The first of each half bar is stressed a little.
                let stress = if eighth % 4 == 0 { 1.0 } else { 0.75 };
                let string = struck.entry(notes[note]).or_insert_with_key(|midi| pluck(hz(*midi)));
                add(&mut mix, start + eighth * EIGHTH, string, stress);
            }
        }
    }
    normalise(&mix)
}

/// Adds a sound; what goes beyond the end of the loop is heard at its start.
fn add(mix: &mut [f32], start: usize, sound: &[f32], gain: f32) {
    let (before, after) = sound.split_at(sound.len().min(mix.len() - start));
    for (at, part) in [(start, before), (0, after)] {
        mix.iter_mut().skip(at).zip(part).for_each(|(sum, sample)| *sum += gain * sample);
    }
}

fn hz(midi: u8) -> f32 {
    440.0 * 2f32.powf((f32::from(midi) - 69.0) / 12.0)
}

/// A soft struck string: five harmonics, the higher ones shorter.
fn pluck(hz: f32) -> Vec<f32> {
    let mut sound = vec![0.0; 5 * EIGHTH];
    let length = sound.len();
    for harmonic in 1..=5u8 {
        let order = f32::from(harmonic);
        if hz * order > 3400.0 {
            break;
        }
        let mut oscillator = Oscillator::new(hz * order, 1.0 / (order * order.sqrt()));
        let decay = (-order.sqrt() * 4.0 / length as f32).exp();
        let mut envelope = 1.0f32;
        for (n, sample) in sound.iter_mut().enumerate() {
            // 4 ms of attack, and the last eighth fades to nothing.
            let attack = (n as f32 / 32.0).min(1.0);
            let release = ((length - n) as f32 / EIGHTH as f32).min(1.0);
            *sample += oscillator.next() * envelope * attack * release;
            envelope *= decay;
        }
    }
    sound
}

/// The chord's bass and a quiet bed of its upper notes, swelling and fading over the bar.
fn pad(chord: &Chord) -> Vec<f32> {
    let mut sound = vec![0.0; BAR * EIGHTH + EIGHTH];
    let length = sound.len();
    for (i, &note) in chord.iter().enumerate() {
        let gain = if i == 0 { 0.5 } else { 0.10 };
        for (order, share) in [(1.0, 1.0), (2.0, 0.45), (3.0, 0.2)] {
            let mut oscillator = Oscillator::new(hz(note) * order, gain * share);
            for (n, sample) in sound.iter_mut().enumerate() {
                // Each bar overlaps the next by an eighth; the two fades sum to one.
                let fade = (n.min(length - n) as f32 / EIGHTH as f32).min(1.0);
                *sample += oscillator.next() * fade;
            }
        }
    }
    sound
}

fn normalise(mix: &[f32]) -> Vec<i16> {
    let power = mix.iter().map(|x| f64::from(x * x)).sum::<f64>() / mix.len() as f64;
    let rms = f64::from(LEVEL.peak()) / std::f64::consts::SQRT_2;
    let gain = (rms / power.sqrt().max(f64::MIN_POSITIVE)) as f32;
    debug_assert!(gain < level::DBM0_PEAK, "the mix is not silent");
    mix.iter().map(|x| to_sample(x * gain)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_length_and_peaks() {
        let loop_ = hold();
        assert_eq!(loop_.len(), 307_200);
        assert!((level::measure(&loop_).0 - LEVEL.0).abs() < 0.1);
        assert!(loop_.iter().all(|x| x.unsigned_abs() < 20_000), "far from clipping");
        // Nowhere dead, nowhere shouting.
        for second in loop_.chunks(8000) {
            let level = level::measure(second).0;
            assert!((-28.0..-14.0).contains(&level), "{level}");
        }
    }

    #[test]
    fn the_seam_is_no_steeper_than_the_music() {
        let loop_ = hold();
        let steepest = loop_.windows(2).map(|w| w[0].abs_diff(w[1])).max();
        let seam = loop_[0].abs_diff(loop_[loop_.len() - 1]);
        assert!(Some(seam) < steepest);
    }

    #[test]
    fn always_the_same() {
        assert_eq!(hold(), hold());
    }
}
