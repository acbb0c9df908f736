//! Contacts: what a client's contact of any medium is before and while it is a work item.
//!
//! Each contact runs through the same steps, whatever its medium: its [attributes](attribute) are found by
//! [discovery] events; [modifiers](modifier) say how they count; with both it becomes a [work item](work) in the
//! one [queue](crate::core::queue), is matched, offered, handled and completed.

pub mod attribute;
pub mod callback;
mod desk;
pub mod discovery;
mod entry;
mod explain;
pub mod modifier;
mod offers;
mod provisioned;
mod recovery;
pub mod routing;
pub mod slots;
pub mod sticky;
#[cfg(test)]
mod tests;
pub mod view;
pub mod want;
pub mod work;

pub use attribute::{AttributeError, Attributes, Kind, Level, Value};
pub use callback::Callback;
pub(crate) use desk::is_control;
pub use discovery::{Discovery, Origin};
pub use modifier::{Mode, Modifier, Schedule, ScheduleError, Step};
pub use routing::{Policy, Routing, Weights};
pub use slots::Slots;
pub use want::{Mind, Want};
pub use work::{Match, Outcome, Rival, Work, WorkEvent, WorkState};

pub(crate) use desk::{Items, WORKS_MAX};
