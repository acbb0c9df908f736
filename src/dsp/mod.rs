//! Signal processing on 8 kHz, 16-bit linear samples: pure functions and small machines by value, no allocation on the
//! 20 ms path. Sample scale: full scale of `i16` is the A-law overload point, so 0 dBm0 is [`level::DBM0_PEAK`].

pub mod answer;
mod cadence;
pub mod coder;
pub mod comfort_noise;
pub mod dtmf;
pub mod g711;
pub mod g722;
pub mod level;
mod meter;
pub mod mix;
pub mod music;
mod oscillator;
pub mod plc;
pub mod progress;
pub mod reference;
pub mod resample;
mod sit;
pub mod stretch;
pub mod tone;

/// Samples per second of everything in this layer.
pub const SAMPLE_RATE: u32 = 8000;

/// Samples of `ms` milliseconds.
pub const fn samples(ms: u32) -> usize {
    (ms as usize) * (SAMPLE_RATE as usize / 1000)
}
