//! What the detectors hear, held against the standards, and on real speech. `cargo bench --bench dtmf` measures how much
//! further than asked they go.

mod answer;
mod dtmf;
mod progress;
mod signal;
mod speech;
mod talk_off;
