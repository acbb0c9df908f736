//! Simulation: what a day of contacts would come to, in virtual time, on the queue engine that routes live contacts.
//!
//! [`Scenario::read`] reads a scenario file; [`run`] runs it once with a seed and gives a [`Digest`]; [`Summary`] puts the
//! digests of several seeds together, with confidence intervals. Nothing here reads a clock or a file: `cordboard simulate`
//! does, and runs the seeds side by side.
//!
//! [`trunks`] stands beside these: tenants who share a pool of trunks, on the admission that decides live calls, with its own
//! reader and measures; [`cases`] has single decisions of it.
//!
//! A further kind of scenario is a variant of [`Scenario`] with its own reader, its own module beside [`routing`] and
//! [`media`], and a variant of [`Digest`]; statistics, agenda and random laws are shared.

mod agenda;
pub mod cases;
pub mod measure;
pub mod media;
mod place;
pub mod random;
pub mod recorded;
pub mod recorded_mix;
pub mod routing;
pub mod scenario;
mod summary;
#[cfg(test)]
mod tests;
pub mod trunks;
pub mod tune;

pub use measure::Estimate;
pub use place::Refused;
pub use scenario::Scenario;
pub use summary::{Digest, Summary};

use crate::core::contact::routing::Routing;

/// Runs a scenario once. `progress` is told now and then how many contacts have come.
pub fn run(scenario: &Scenario, routing: &Routing, seed: u64, progress: impl FnMut(usize)) -> Digest {
    match scenario {
        Scenario::Routing(scenario) => {
            let run = routing::run(scenario, routing, seed, progress);
            Digest::Routing {
                measures: run.measures().to_vec(),
                estimates: run.estimates().to_vec(),
                types: run.types(),
                foretold_error: run.foretold_error(),
            }
        }
        Scenario::Media(scenario) => {
            let run = media::run(scenario, routing, seed, progress);
            Digest::Media { media: run.media(), in_target: run.in_target() }
        }
    }
}
