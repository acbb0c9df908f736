//! Flows: what a caller hears and may key, as data that operators write in TOML (schema: `config/flows/README.md`).
//!
//! [`check`] turns a text into a [`Flow`] or reports every fault in it; [`draw_dot`] and [`draw_svg`] show it; [`Run`]
//! walks one call through it. All of it is pure: the clock, the queues and the media are the caller's.

mod check;
mod draw;
mod flow;
mod layout;
mod moment;
mod prompt;
mod read;
mod run;
pub mod say;
mod steps;
mod template;

pub use check::check;
pub use draw::{draw_dot, draw_svg};
pub use flow::{AT_CALLER, AgentAction, Flow, Reference, ReferenceKind};
pub use run::{CallbackResult, Context, Input, QueueExit, Run, Step, TransferResult};

/// Longest text of a flow, in octets.
pub const TEXT_MAX: usize = 256 * 1024;

/// Most steps of a flow.
pub const STEPS_MAX: usize = 1_000;

/// Most attributes of a run; a further one is dropped and noted.
pub const ATTRIBUTES_MAX: usize = 64;

/// Longest value of an attribute, in octets; a longer one is cut.
pub const ATTRIBUTE_OCTETS_MAX: usize = 256;

/// Most digits that a run keeps for later steps, and that one `collect` takes.
pub const DIGITS_MAX: usize = 64;

/// Most steps that a run takes at one moment of the clock, without waiting for anything; more is a loop and ends the call.
pub const STEPS_WITHOUT_WAIT_MAX: usize = 200;

/// The attributes that are there from the start: what the call brings (`ani`, `dnis`, `medium`; where it was diverted on
/// its way `diverted_from`, the number dialled first, `diverted_by`, the one that sent it to us, and `diverted_why`; where
/// the caller withholds its number `privacy`), the tenant, and the moment the call came, in the flow's time zone (`date` as
/// `YYYY-MM-DD`, `hour` and `minute` without leading zeros, `weekday` as `mo`..`su`). Only `language` may be set by a flow.
pub const DISCOVERED: [&str; 13] = [
    "ani",
    "date",
    "diverted_by",
    "diverted_from",
    "diverted_why",
    "dnis",
    "hour",
    "language",
    "medium",
    "minute",
    "privacy",
    "tenant",
    "weekday",
];

/// Most items of a prompt.
const ITEMS_MAX: usize = 32;

/// Most rules of a branch.
const RULES_MAX: usize = 64;

/// The keys of a phone (Q.23; `A`-`D` are seldom there).
const KEYS: &str = "0123456789*#ABCD";
