//! Real speech: the prompts that Debian's packages asterisk-core-sounds-*-wav bring, recorded by people in five
//! languages. Test data only; `tests/setup.sh` installs it.

use std::path::{Path, PathBuf};

/// Where the packages put them.
const ROOT: &str = "/usr/share/asterisk/sounds";

/// A recording at 8 kHz.
pub struct Recording {
    pub path: PathBuf,
    pub pcm: Vec<i16>,
}

impl Recording {
    /// Folder of the language, and the file's name.
    pub fn name(&self) -> String {
        let parts: Vec<_> = self.path.iter().rev().take(2).map(|p| p.to_string_lossy()).collect();
        parts.into_iter().rev().collect::<Vec<_>>().join("/")
    }
}

/// Without optimisation all of it takes a quarter of an hour: then one of so many is listened to.
/// `cargo test --release --test detection` and `cargo bench --bench dtmf -- talk-off` take all.
pub fn share(recordings: Vec<Recording>, one_of: usize) -> Vec<Recording> {
    let step = if cfg!(debug_assertions) { one_of } else { 1 };
    recordings.into_iter().step_by(step).collect()
}

/// Every recording there is, in the order of names; empty, and said so, where the packages are not installed. Where
/// `CORDBOARD_PEERS` is `required`, that is a failure.
pub fn recordings() -> Vec<Recording> {
    let mut paths = Vec::new();
    collect(Path::new(ROOT), &mut paths);
    paths.sort();
    let found: Vec<Recording> =
        paths.into_iter().filter_map(|path| read(&path).map(|pcm| Recording { path, pcm })).collect();
    if found.is_empty() {
        assert!(std::env::var("CORDBOARD_PEERS").as_deref() != Ok("required"), "no speech in {ROOT}");
        println!("skipped: asterisk-core-sounds-*-wav are not installed");
    }
    found
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let kind = entry.file_type().ok();
        if kind.is_some_and(|kind| kind.is_dir()) {
            collect(&path, paths);
        } else if kind.is_some_and(|kind| kind.is_file()) && path.extension().is_some_and(|e| e == "wav") {
            paths.push(path);
        }
    }
}

/// Mono at 8 kHz with 16 bits; anything else is left out.
fn read(path: &Path) -> Option<Vec<i16>> {
    let mut reader = hound::WavReader::open(path).ok()?;
    let spec = reader.spec();
    let fits = spec.channels == 1 && spec.sample_rate == 8_000 && spec.bits_per_sample == 16;
    fits.then(|| reader.samples::<i16>().filter_map(Result::ok).collect())
}

/// The same speech with its mean level brought to `dbm0`.
pub fn at_level(pcm: &[i16], dbm0: f32) -> Vec<i16> {
    let is = cordboard::dsp::level::measure(pcm).0;
    let gain = 10f32.powf((dbm0 - is) / 20.0);
    pcm.iter().map(|&x| (f32::from(x) * gain).clamp(-32_768.0, 32_767.0) as i16).collect()
}
