//! Prompts as samples: those inside the program, and the operator's own from `DATA_DIR/prompts/**/*.wav`.
//!
//! A file `DATA_DIR/prompts/acme/welcome.wav` is the prompt `acme/welcome`; one with a built-in name replaces it. Taken
//! are WAV files of any rate from 8 to 192 kHz, mono or more channels (mixed to one), 8 to 32 bits integer or 32 bits
//! float. What cannot be taken is reported and left out; the rest is served.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dsp::SAMPLE_RATE;
use crate::dsp::resample::{Resampler, UnsupportedRate};

mod embedded;

/// Longest prompt, in seconds.
pub const PROMPT_SECONDS_MAX: u32 = 600;
/// Most files taken from a data directory.
pub const FILES_MAX: usize = 10_000;
/// Most samples of all files together: four hours, 230 MB.
pub const TOTAL_SAMPLES_MAX: usize = 4 * 3600 * SAMPLE_RATE as usize;
/// Deepest folder below `prompts`.
const DEPTH_MAX: usize = 8;
/// Most channels of a file.
const CHANNELS_MAX: u16 = 8;
/// Longest name, in octets.
const NAME_MAX: usize = 128;

/// Every prompt by name, at 8 kHz.
pub type PromptMap = HashMap<Arc<str>, Vec<i16>>;

/// Why a file is not a prompt.
#[derive(Debug)]
#[non_exhaustive]
pub enum PromptError {
    /// It could not be read.
    Io(io::Error),
    /// It is not a WAV file that we can decode.
    Wav(hound::Error),
    /// Its sample rate is out of range.
    Rate(UnsupportedRate),
    /// It has no channel, or more than eight.
    Channels(u16),
    /// It holds no samples.
    Empty,
    /// It is longer than [`PROMPT_SECONDS_MAX`].
    TooLong,
    /// Its name is not UTF-8 or longer than 128 octets.
    Name,
    /// Its folder lies more than eight levels deep.
    TooDeep,
    /// There are more files than [`FILES_MAX`], or they exceed [`TOTAL_SAMPLES_MAX`]; this one and what follows is left out.
    TooMuch,
}

impl fmt::Display for PromptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_) => f.write_str("cannot be read"),
            Self::Wav(_) => f.write_str("is not a WAV file of integer or float samples"),
            Self::Rate(_) => f.write_str("has an unusable sample rate"),
            Self::Channels(n) => write!(f, "has {n} channels, not 1 to {CHANNELS_MAX}"),
            Self::Empty => f.write_str("holds no samples"),
            Self::TooLong => write!(f, "is longer than {PROMPT_SECONDS_MAX} seconds"),
            Self::Name => write!(f, "has a name that is not UTF-8 or longer than {NAME_MAX} octets"),
            Self::TooDeep => write!(f, "lies more than {DEPTH_MAX} folders deep"),
            Self::TooMuch => write!(f, "exceeds {FILES_MAX} files or {} seconds in all", TOTAL_SAMPLES_MAX / 8000),
        }
    }
}

impl std::error::Error for PromptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(e) => Some(e),
            Self::Wav(e) => Some(e),
            Self::Rate(e) => Some(e),
            _ => None,
        }
    }
}

/// A file that was left out.
#[derive(Debug)]
pub struct PromptFault {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub error: PromptError,
}

impl fmt::Display for PromptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prompt {}: {}", self.path.display(), self.error)?;
        match std::error::Error::source(&self.error) {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PromptFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// The prompts, and what was wrong with files that should have been prompts.
#[derive(Debug, Default)]
pub struct Prompts {
    map: PromptMap,
    faults: Vec<PromptFault>,
}

impl Prompts {
    /// Decodes the built-in prompts and then every `.wav` below `data_dir/prompts`. A folder that is not there is no
    /// fault. Reads files: call it at start or from a thread that may block.
    pub fn load(data_dir: Option<&Path>) -> Prompts {
        let mut prompts = Prompts::default();
        for (name, wav) in embedded::EMBEDDED {
            match decode(wav) {
                Ok(pcm) => drop(prompts.map.insert(Arc::from(name), pcm)),
                Err(error) => prompts.faults.push(PromptFault { path: PathBuf::from(name), error }),
            }
        }
        if let Some(dir) = data_dir {
            let mut files = Files::default();
            let root = dir.join("prompts");
            if root.is_dir() {
                files.walk(&root, 0);
            }
            prompts.faults.append(&mut files.faults);
            prompts.load_files(&root, &files.found);
        }
        prompts
    }

    /// The samples by name.
    pub fn samples(&self) -> &PromptMap {
        &self.map
    }

    /// Gives the samples away.
    pub fn into_samples(self) -> PromptMap {
        self.map
    }

    /// Files that were left out, and why.
    pub fn faults(&self) -> &[PromptFault] {
        &self.faults
    }

    fn load_files(&mut self, root: &Path, files: &[PathBuf]) {
        let mut room = TOTAL_SAMPLES_MAX;
        for path in files {
            let loaded = name_of(root, path).and_then(|name| {
                let file = File::open(path).map_err(PromptError::Io)?;
                let pcm = decode(BufReader::new(file))?;
                room = room.checked_sub(pcm.len()).ok_or(PromptError::TooMuch)?;
                Ok((name, pcm))
            });
            match loaded {
                Ok((name, pcm)) => drop(self.map.insert(name, pcm)),
                Err(error) => self.faults.push(PromptFault { path: path.clone(), error }),
            }
        }
    }
}

/// `.wav` files found below a folder, in order of name.
#[derive(Default)]
struct Files {
    found: Vec<PathBuf>,
    faults: Vec<PromptFault>,
}

impl Files {
    /// A symbolic link to a folder could lead round in circles; the depth bounds that.
    fn walk(&mut self, dir: &Path, depth: usize) {
        let entries = fs::read_dir(dir).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut entries = match entries {
            Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect::<Vec<_>>(),
            Err(error) => return self.fault(dir, PromptError::Io(error)),
        };
        entries.sort();
        for path in entries {
            if path.is_dir() {
                if depth == DEPTH_MAX {
                    self.fault(&path, PromptError::TooDeep);
                } else {
                    self.walk(&path, depth + 1);
                }
            } else if path.is_file() && path.extension().is_some_and(|e| e.eq_ignore_ascii_case("wav")) {
                if self.found.len() == FILES_MAX {
                    return self.fault(&path, PromptError::TooMuch);
                }
                self.found.push(path);
            }
        }
    }

    fn fault(&mut self, path: &Path, error: PromptError) {
        if self.faults.len() < FILES_MAX {
            self.faults.push(PromptFault { path: path.to_owned(), error });
        }
    }
}

/// `ROOT/acme/welcome.wav` is `acme/welcome`.
fn name_of(root: &Path, path: &Path) -> Result<Arc<str>, PromptError> {
    let relative = path.strip_prefix(root).map_err(|_| PromptError::Name)?.with_extension("");
    let parts: Option<Vec<&str>> = relative.components().map(|part| part.as_os_str().to_str()).collect();
    let name = parts.ok_or(PromptError::Name)?.join("/");
    if name.is_empty() || name.len() > NAME_MAX { Err(PromptError::Name) } else { Ok(Arc::from(name)) }
}

/// A WAV file as mono samples at 8 kHz.
///
/// # Errors
/// See [`PromptError`]; never panics, whatever the file holds, and keeps no more than [`PROMPT_SECONDS_MAX`].
pub fn decode(wav: impl Read) -> Result<Vec<i16>, PromptError> {
    let mut reader = hound::WavReader::new(wav).map_err(PromptError::Wav)?;
    let spec = reader.spec();
    if !(1..=CHANNELS_MAX).contains(&spec.channels) {
        return Err(PromptError::Channels(spec.channels));
    }
    let mut mono = Mono::new(&spec)?;
    match spec.sample_format {
        hound::SampleFormat::Float => {
            for x in reader.samples::<f32>() {
                // Not a number becomes silence by the cast.
                mono.push((x.map_err(PromptError::Wav)? * 32_768.0) as i32)?;
            }
        }
        hound::SampleFormat::Int => {
            let bits = i32::from(spec.bits_per_sample.clamp(1, 32));
            for x in reader.samples::<i32>() {
                let x = x.map_err(PromptError::Wav)?;
                mono.push(if bits > 16 { x >> (bits - 16) } else { x << (16 - bits) })?;
            }
        }
    }
    mono.finish()
}

/// Mixes channels and resamples, a block at a time.
struct Mono {
    channels: i32,
    /// Sum of the channels of the frame at hand, and how many are in it.
    sum: i32,
    summed: i32,
    block: Vec<i16>,
    frames_left: u64,
    resampler: Resampler,
    out: Vec<i16>,
}

const BLOCK: usize = 4096;

impl Mono {
    fn new(spec: &hound::WavSpec) -> Result<Self, PromptError> {
        Ok(Self {
            channels: i32::from(spec.channels),
            sum: 0,
            summed: 0,
            block: Vec::with_capacity(BLOCK),
            frames_left: u64::from(PROMPT_SECONDS_MAX) * u64::from(spec.sample_rate),
            resampler: Resampler::new(spec.sample_rate).map_err(PromptError::Rate)?,
            out: Vec::new(),
        })
    }

    /// Takes one sample of one channel.
    fn push(&mut self, x: i32) -> Result<(), PromptError> {
        self.sum += x.clamp(i32::from(i16::MIN), i32::from(i16::MAX));
        self.summed += 1;
        if self.summed < self.channels {
            return Ok(());
        }
        self.frames_left = self.frames_left.checked_sub(1).ok_or(PromptError::TooLong)?;
        self.block.push((self.sum / self.channels) as i16);
        (self.sum, self.summed) = (0, 0);
        if self.block.len() == BLOCK {
            self.resampler.push(&self.block, &mut self.out);
            self.block.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<i16>, PromptError> {
        self.resampler.push(&self.block, &mut self.out);
        self.resampler.finish(&mut self.out);
        if self.out.is_empty() { Err(PromptError::Empty) } else { Ok(self.out) }
    }
}

#[cfg(test)]
mod tests;
