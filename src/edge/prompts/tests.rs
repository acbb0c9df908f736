use std::io::Cursor;

use super::*;
use crate::dsp::{dtmf, level};

const MANIFEST: &str = include_str!("../../../config/prompts/prompts.tsv");

fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16, sample_format: hound::SampleFormat) -> hound::WavSpec {
    hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format }
}

/// Half a second of 1 kHz at a quarter of full scale.
fn wav(spec: hound::WavSpec) -> Vec<u8> {
    let mut octets = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut octets, spec).unwrap();
    for n in 0..spec.sample_rate / 2 {
        let x = (f64::from(n) * 1000.0 / f64::from(spec.sample_rate) * std::f64::consts::TAU).sin() / 4.0;
        for _ in 0..spec.channels {
            match spec.sample_format {
                hound::SampleFormat::Float => writer.write_sample(x as f32).unwrap(),
                hound::SampleFormat::Int => {
                    let scale = f64::from(1u32 << (spec.bits_per_sample - 1));
                    writer.write_sample((x * scale) as i32).unwrap();
                }
            }
        }
    }
    writer.finalize().unwrap();
    octets.into_inner()
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cordboard-prompts-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, octets: &[u8]) {
        let path = self.0.join("prompts").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, octets).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn the_manifest_and_the_program_hold_the_same_names() {
    let manifest: Vec<&str> = MANIFEST.lines().map(|line| line.split('\t').next().unwrap()).collect();
    let embedded: Vec<&str> = embedded::EMBEDDED.iter().map(|(name, _)| *name).collect();
    assert_eq!(manifest, embedded);
}

#[test]
fn every_built_in_prompt_is_speech_of_the_right_level_and_length() {
    let prompts = Prompts::load(None);
    assert!(prompts.faults.is_empty(), "{:?}", prompts.faults);
    assert_eq!(prompts.map.len(), embedded::EMBEDDED.len());
    for line in MANIFEST.lines() {
        let (name, text) = line.split_once('\t').unwrap();
        let pcm = &prompts.map[name];
        let level = level::measure(pcm).0;
        assert!((-17.5..=-15.0).contains(&level), "{name}: {level} dBm0");
        assert!(pcm.iter().all(|x| x.unsigned_abs() < 32_000), "{name} clips");
        // Read at 6 to 22 characters a second.
        let seconds = pcm.len() as f64 / 8000.0;
        let pace = text.len() as f64 / seconds;
        assert!((0.3..=13.0).contains(&seconds) && (5.0..=24.0).contains(&pace), "{name}: {seconds} s, {pace}/s");
        assert_eq!(dtmf::Detector::new().process(pcm).count(), 0, "{name} talks off the detector");
    }
}

#[test]
fn every_usual_form_of_wav_gives_the_same_tone() {
    use hound::SampleFormat::{Float, Int};
    for (bits, format) in [(8, Int), (16, Int), (24, Int), (32, Int), (32, Float)] {
        for channels in [1, 2] {
            for rate in [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
                let pcm = decode(Cursor::new(wav(spec(channels, rate, bits, format)))).unwrap();
                assert!(pcm.len().abs_diff(4000) <= 1, "{bits} {format:?} {channels} {rate}: {}", pcm.len());
                // A quarter of full scale is 12.04 dB below it, and full scale is +3.14 dBm0.
                let level = level::measure(&pcm[100..3900]).0;
                assert!((level + 8.9).abs() < 0.3, "{bits} {format:?} {channels} {rate}: {level}");
            }
        }
    }
}

#[test]
fn files_are_found_in_folders_and_replace_built_in_ones() {
    let folder = Folder::new("found");
    let tone = wav(spec(2, 44_100, 16, hound::SampleFormat::Int));
    folder.write("acme/welcome.wav", &tone);
    folder.write("acme/sub/Hours.WAV", &tone);
    folder.write("en/goodbye.wav", &tone);
    folder.write("acme/notes.txt", b"not a prompt");
    let prompts = Prompts::load(Some(&folder.0));
    assert!(prompts.faults.is_empty(), "{:?}", prompts.faults);
    assert_eq!(prompts.map.len(), embedded::EMBEDDED.len() + 2);
    for name in ["acme/welcome", "acme/sub/Hours", "en/goodbye"] {
        assert_eq!(prompts.map[name].len(), 4000, "{name}");
    }
}

#[test]
fn broken_files_are_reported_and_the_others_served() {
    use hound::SampleFormat::Int;
    let folder = Folder::new("broken");
    folder.write("a/text.wav", b"this is not a WAV file at all");
    folder.write("a/empty.wav", &[]);
    folder.write("a/slow.wav", &wav(spec(1, 4000, 16, Int)));
    folder.write("a/wide.wav", &wav(spec(9, 8000, 16, Int)));
    let whole = wav(spec(1, 16_000, 16, Int));
    folder.write("a/cut.wav", &whole[..whole.len() / 2]);
    folder.write("a/good.wav", &whole);
    let mut silent = Cursor::new(Vec::new());
    hound::WavWriter::new(&mut silent, spec(1, 8000, 16, Int)).unwrap().finalize().unwrap();
    folder.write("a/nothing.wav", &silent.into_inner());
    let prompts = Prompts::load(Some(&folder.0));
    let mut broken: Vec<_> =
        prompts.faults.iter().map(|f| f.path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    broken.sort();
    assert_eq!(broken, ["cut", "empty", "nothing", "slow", "text", "wide"]);
    assert!(prompts.map.contains_key("a/good"));
    for fault in &prompts.faults {
        assert!(fault.to_string().contains(".wav: "), "{fault}");
    }
}

#[test]
fn eleven_minutes_are_too_long() {
    let mut octets = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut octets, spec(1, 8000, 8, hound::SampleFormat::Int)).unwrap();
    for _ in 0..8000 * 601 {
        writer.write_sample(0i8).unwrap();
    }
    writer.finalize().unwrap();
    assert!(matches!(decode(Cursor::new(octets.into_inner())), Err(PromptError::TooLong)));
}

#[test]
fn mutilated_files_never_panic() {
    let seed = 0x5eed_0004u32;
    let mut random = seed;
    let mut draw = move |n: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % n
    };
    let originals =
        [(1, 8000, 16), (2, 16_000, 24), (1, 22_050, 8)].map(|(c, r, b)| wav(spec(c, r, b, hound::SampleFormat::Int)));
    println!("seed {seed:#x}");
    for round in 0..3000 {
        let mut octets = originals[round % originals.len()][..2000].to_vec();
        for _ in 0..=draw(4) {
            // Mostly in the header.
            let at = if draw(4) == 0 { draw(octets.len()) } else { draw(64) };
            octets[at] = draw(256) as u8;
        }
        octets.truncate(octets.len() - draw(octets.len()));
        drop(decode(Cursor::new(octets)));
    }
}
