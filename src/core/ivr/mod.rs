//! Flows: what a caller hears and may key, as data that operators write in TOML (schema: `config/flows/README.md`).
//!
//! [`check`] turns a text into a [`Flow`] or reports every fault in it; [`draw_dot`] and [`draw_svg`] show it; [`Run`]
//! walks one call through it. All of it is pure: the clock, the queues and the media are the caller's.

mod flow;
mod run;

pub use flow::{AgentAction, Flow, Reference, ReferenceKind};
pub use run::{Context, Input, QueueExit, Run, Step, TransferResult};

use crate::core::fault::Fault;

/// Reads a flow's text; `file` is the name that faults show. Reports every fault at once.
pub fn check(text: &str, file: &str) -> Result<Flow, Vec<Fault>> {
    match toml::de::DeTable::parse(text) {
        Ok(_) => Ok(Flow { references: Vec::new() }),
        Err(error) => Err(vec![Fault::at(file, text, error.span().map_or(0, |span| span.start), error.message(), "")]),
    }
}
pub mod say {
    use crate::core::media::PlayItem;
    pub fn queue_position(_l: &str, _p: usize, _e: u32) -> Vec<PlayItem> {
        Vec::new()
    }
}
