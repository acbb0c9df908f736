//! What a contact wants of an agent and what an agent minds in a contact: modifiers with their names resolved.

use super::modifier::{Mode, Schedule};
use crate::base::TraitId;

/// A modifier of a contact: how a trait of the agent counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Want {
    /// What the agent has or has not.
    pub what: TraitId,
    /// How it counts.
    pub mode: Mode,
    /// What is asked as the contact waits.
    pub schedule: Schedule,
}

/// A modifier of an agent: how a trait of the contact counts. The traits of a contact are the symbols of its attributes and
/// the skills that it needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Mind {
    /// What the contact has or has not.
    pub what: TraitId,
    /// Required: only contacts that have it are offered; forbidden: none that have it; preferred: they score higher.
    pub mode: Mode,
    /// How much a preferred one weighs, 0 to 100.
    pub importance: u8,
    /// Points that a contact which has it scores less with this agent: a backup skill, an expensive agent.
    pub cost: u8,
}
