//! What a contact wants of an agent and what an agent minds in a contact: modifiers with their names resolved.

use super::attribute::Level;
use super::modifier::{Mode, Schedule, Step};
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

impl Want {
    /// Whether an agent who has the trait at a level can be offered the contact while a step of the schedule holds. What is
    /// forbidden bars nobody in a step without weight, and whoever has it at all in one of level 0.
    pub fn admits(&self, have: Level, step: Step) -> bool {
        match self.mode {
            Mode::Preferred => true,
            Mode::Required => have >= step.level,
            Mode::Forbidden => step.importance == 0 || have == Level::NONE || have < step.level,
        }
    }

    /// Whether an agent who has the trait at a level can be offered the contact in some step at least.
    pub fn could_admit(&self, have: Level) -> bool {
        self.schedule.steps().iter().any(|step| self.admits(have, *step))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forbidden_bars_where_it_weighs_and_from_its_level_on() {
        let want = |mode, steps: &[(u32, f64, u8)]| {
            let step = |&(after_s, level, importance)| Step { after_s, level: Level::new(level), importance };
            Want { what: TraitId(1), mode, schedule: Schedule::new(steps.iter().map(step).collect()).unwrap() }
        };
        let could = |mode, steps: &[(u32, f64, u8)], have| want(mode, steps).could_admit(Level::new(have));
        assert!(could(Mode::Preferred, &[(0, 1.0, 100)], 0.0));
        assert!(could(Mode::Required, &[(0, 0.5, 0)], 0.5) && !could(Mode::Required, &[(0, 0.5, 0)], 0.4));
        assert!(could(Mode::Required, &[(0, 0.8, 100), (30, 0.2, 100)], 0.3));
        assert!(!could(Mode::Forbidden, &[(0, 0.5, 1)], 0.5) && could(Mode::Forbidden, &[(0, 0.5, 1)], 0.4));
        assert!(
            could(Mode::Forbidden, &[(0, 0.5, 0)], 1.0) && could(Mode::Forbidden, &[(0, 0.5, 9), (9, 0.5, 0)], 1.0)
        );
        assert!(!could(Mode::Forbidden, &[(0, 0.0, 100)], 0.1) && could(Mode::Forbidden, &[(0, 0.0, 100)], 0.0));
    }
}
