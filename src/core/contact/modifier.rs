//! Modifiers: how an attribute counts when a contact meets an agent.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attribute::Level;

/// Most modifiers of one contact.
pub const MODIFIERS_MAX: usize = 32;
/// Most steps of one schedule.
pub const STEPS_MAX: usize = 16;
/// The highest importance.
pub const IMPORTANCE_MAX: u8 = 100;
/// The longest credit.
pub const CREDIT_S_MAX: u32 = 86_400;

/// How an attribute counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Whoever has it below the least level is not offered the contact.
    Required,
    /// Whoever has it scores higher, in proportion up to the least level.
    Preferred,
    /// Whoever has it at the least level or above is not offered the contact.
    Forbidden,
}

impl Mode {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Preferred => "preferred",
            Self::Forbidden => "forbidden",
        }
    }
}

/// From some waiting time on, so much is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Seconds waited, credit included.
    #[serde(default)]
    pub after_s: u32,
    /// The least level that is asked for (or forbidden).
    #[serde(default = "full")]
    pub level: Level,
    /// How much it weighs, 0 to 100.
    #[serde(default = "all")]
    pub importance: u8,
}

impl Default for Step {
    fn default() -> Self {
        Self { after_s: 0, level: Level::FULL, importance: IMPORTANCE_MAX }
    }
}

fn full() -> Level {
    Level::FULL
}

fn all() -> u8 {
    IMPORTANCE_MAX
}

/// How an attribute counts and what is asked of it as the contact waits. Steps are in order of time, the first at 0.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Schedule {
    /// The first of the steps, at hand: most schedules have no other.
    first: Step,
    steps: Box<[Step]>,
}

impl Schedule {
    /// A schedule of these steps; one that begins later asks for nothing before: level 0, importance 0.
    pub fn new(mut steps: Vec<Step>) -> Result<Self, ScheduleError> {
        if steps.len() > STEPS_MAX {
            return Err(ScheduleError::Long);
        }
        if !steps.is_sorted_by(|a, b| a.after_s < b.after_s) {
            return Err(ScheduleError::Order);
        }
        if steps.iter().any(|step| step.importance > IMPORTANCE_MAX) {
            return Err(ScheduleError::Importance);
        }
        if steps.first().is_none_or(|step| step.after_s > 0) {
            steps.insert(0, Step { after_s: 0, level: Level::NONE, importance: 0 });
        }
        let first = steps.first().copied().unwrap_or_default();
        Ok(Self { first, steps: steps.into() })
    }

    /// The same at any time.
    pub fn constant(level: Level, importance: u8) -> Self {
        let first = Step { after_s: 0, level, importance: importance.min(IMPORTANCE_MAX) };
        Self { first, steps: Box::new([first]) }
    }

    /// What is asked after this wait.
    pub fn at(&self, waited: Duration) -> Step {
        if self.is_constant() {
            return self.first;
        }
        let waited_s = waited.as_secs();
        self.steps.iter().rev().find(|step| u64::from(step.after_s) <= waited_s).copied().unwrap_or_default()
    }

    /// Whether the same is asked at any time.
    pub fn is_constant(&self) -> bool {
        self.steps.len() == 1
    }

    /// When something else is asked than before, from the second step on.
    pub fn turns(&self) -> impl Iterator<Item = Duration> {
        self.steps.iter().skip(1).map(|step| Duration::from_secs(step.after_s.into()))
    }

    /// All steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// Why steps are no schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScheduleError {
    /// Too many steps.
    Long,
    /// Not in order of time, or two at one time.
    Order,
    /// An importance above 100.
    Importance,
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long => write!(f, "a schedule has at most {STEPS_MAX} steps"),
            Self::Order => {
                f.write_str("the steps of a schedule stand in order of `after_s`, each later than the one before")
            }
            Self::Importance => write!(f, "an importance is 0 to {IMPORTANCE_MAX}"),
        }
    }
}

impl std::error::Error for ScheduleError {}

/// A modifier as it is written: by names. `value` names the symbol that is meant; without it the contact's own value of
/// the attribute is, and of a level the attribute itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modifier {
    /// The attribute or skill.
    pub attribute: String,
    /// The symbol, where it is not the contact's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// How it counts.
    pub mode: Mode,
    /// What is asked at first: full level unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// How much it weighs at first, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance: Option<u8>,
    /// How that changes as the contact waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<Step>,
    /// Seconds by which the contact counts as having waited longer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub credit_s: u32,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Modifier {
    /// Its schedule: what is asked at first, then the steps.
    pub fn schedule(&self) -> Result<Schedule, ScheduleError> {
        let mut steps = self.schedule.clone();
        let says_first = self.level.is_some() || self.importance.is_some();
        if says_first || steps.is_empty() {
            let first = Step {
                after_s: 0,
                level: self.level.unwrap_or(Level::FULL),
                importance: self.importance.unwrap_or(IMPORTANCE_MAX),
            };
            steps.insert(0, first);
        }
        Schedule::new(steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(after_s: u32, level: f64, importance: u8) -> Step {
        Step { after_s, level: Level::new(level), importance }
    }

    #[test]
    fn a_schedule_relaxes_with_waiting() {
        let schedule = Schedule::new(vec![step(0, 1.0, 100), step(30, 0.5, 50), step(60, 0.0, 0)]).unwrap();
        let at = |s| schedule.at(Duration::from_secs(s));
        assert_eq!(at(0), step(0, 1.0, 100));
        assert_eq!(schedule.at(Duration::from_millis(29_999)), step(0, 1.0, 100));
        assert_eq!(at(30), step(30, 0.5, 50));
        assert_eq!(at(1_000), step(60, 0.0, 0));
        assert_eq!(schedule.turns().collect::<Vec<_>>(), [30, 60].map(Duration::from_secs));
    }

    #[test]
    fn one_that_begins_later_asks_for_nothing_before() {
        let schedule = Schedule::new(vec![step(10, 0.4, 20)]).unwrap();
        assert_eq!(schedule.at(Duration::ZERO), step(0, 0.0, 0));
        assert_eq!(schedule.at(Duration::from_secs(10)), step(10, 0.4, 20));
    }

    #[test]
    fn disorder_excess_and_weight_are_refused() {
        assert_eq!(Schedule::new(vec![step(5, 1.0, 1), step(5, 0.5, 1)]), Err(ScheduleError::Order));
        assert_eq!(Schedule::new(vec![step(5, 1.0, 1), step(4, 0.5, 1)]), Err(ScheduleError::Order));
        assert_eq!(Schedule::new(vec![step(0, 1.0, 101)]), Err(ScheduleError::Importance));
        let many = (0..=STEPS_MAX as u32).map(|n| step(n, 1.0, 1)).collect();
        assert_eq!(Schedule::new(many), Err(ScheduleError::Long));
    }

    #[test]
    fn a_written_modifier_says_what_is_asked_at_first_or_in_steps() {
        let read = |text: &str| toml::from_str::<Modifier>(text).unwrap();
        let plain = read("attribute = 'es'\nmode = 'required'\nlevel = 0.3");
        assert_eq!(plain.schedule().unwrap().steps(), [step(0, 0.3, 100)]);
        let relaxed =
            read("attribute = 'es'\nmode = 'required'\nlevel = 0.8\nschedule = [{ after_s = 30, level = 0.2 }]");
        assert_eq!(relaxed.schedule().unwrap().steps(), [step(0, 0.8, 100), step(30, 0.2, 100)]);
        let clash = read("attribute = 'es'\nmode = 'required'\nlevel = 0.8\nschedule = [{ level = 0.2 }]");
        assert_eq!(clash.schedule(), Err(ScheduleError::Order));
    }
}
