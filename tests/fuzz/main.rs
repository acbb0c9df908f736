//! Outside input of every kind, made by chance and by bending what is valid: no panic, no broken invariant, nothing
//! without bound, and nothing left behind.
//!
//! Each test is a target of [bolero](https://docs.rs/bolero). What a target does, and to what, is spelled out by the
//! octets it is given (see [`chance::Chance`]), so that chance, a file and a coverage-guided fuzzer drive it alike.
//!
//! - `cargo test --test fuzz` gives each target [`RUN`] of random octets. A failure prints `BOLERO_RANDOM_SEED=N` and
//!   the octets made as short as they get; with that variable set and the target named, the same is run again.
//! - An hour of chance: `BOLERO_RANDOM_TEST_TIME_MS=3600000 cargo test --release --test fuzz sip -- --nocapture`.
//! - An hour guided by coverage (needs `cargo install cargo-bolero` and a nightly toolchain):
//!   `cargo bolero test --profile release --toolchain nightly -T 1h sip::messages`. What it finds comes to lie in
//!   `__fuzz__/` beside this file, and plain `cargo test` runs it from there.

mod cas;
mod chance;
mod control;
mod dns;
mod dtmf;
mod flow;
mod number;
mod plane;
mod provision;
mod rtp;
mod sdp;
mod sip;
mod srtp;
mod stream;
mod wav;
mod x509;

use std::path::Path;
use std::time::Duration;

/// How long each target runs where nobody says otherwise.
const RUN: Duration = Duration::from_secs(2);

/// Runs a target on octets, at most so many at a time.
macro_rules! fuzz {
    ($len_max:expr, $target:expr) => {
        bolero::check!().with_test_time(crate::RUN).with_max_len($len_max).for_each(|octets: &[u8]| {
            let target: fn(crate::chance::Chance<'_>) = $target;
            target(crate::chance::Chance::new(octets));
        })
    };
}
pub(crate) use fuzz;

/// The files of a folder of the repository with this ending, in order of name.
fn files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == ending));
    paths.sort();
    assert!(!paths.is_empty(), "{} has no .{ending}", folder.display());
    paths.iter().map(|path| std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).collect()
}
