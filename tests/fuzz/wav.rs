//! WAV files as operators upload them.

use std::io::Cursor;
use std::sync::LazyLock;

use cordboard::edge::prompts::{PROMPT_SECONDS_MAX, decode};

use crate::chance::Chance;
use crate::fuzz;

/// A short file of each usual form, and one prompt of our own.
static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for (channels, sample_rate, bits_per_sample, float) in [
        (1, 8_000, 16, false),
        (2, 44_100, 16, false),
        (1, 48_000, 24, false),
        (8, 11_025, 8, false),
        (1, 16_000, 32, true),
    ] {
        let sample_format = if float { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
        let spec = hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format };
        let mut file = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).expect("a form that hound writes");
        for n in 0..80 * i32::from(channels) {
            let written = if float { writer.write_sample(n as f32 / 50.0) } else { writer.write_sample(n % 128) };
            written.expect("memory takes everything");
        }
        writer.finalize().expect("memory takes everything");
        all.push(file.into_inner());
    }
    all
});

const WORDS: &[&[u8]] =
    &[b"data", b"fmt ", b"LIST", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x01\0", b"\x03\0", b"\xfe\xff"];

fn target(mut chance: Chance<'_>) {
    let mut file = if chance.one_in(10) { chance.take(400).to_vec() } else { chance.bent(&CORPUS, WORDS) };
    // The header is where the meaning is.
    for _ in 0..chance.below(4) {
        let at = chance.below(file.len().min(64));
        if let Some(octet) = file.get_mut(at) {
            *octet = chance.octet();
        }
    }
    match decode(file.as_slice()) {
        Ok(samples) => {
            assert!(!samples.is_empty() && samples.len() <= PROMPT_SECONDS_MAX as usize * 8_000 + 1);
            // Rates from 8 kHz on and at least an octet a sample: nothing becomes longer but for rounding.
            assert!(samples.len() <= file.len() + 1, "{} octets made {} samples", file.len(), samples.len());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[test]
fn prompts() {
    fuzz!(512, target);
}
