//! The score of an item and an agent, term by term.
//!
//! The terms are those of [`Weights`], with m the weighted mean of what the item prefers and requires, each met in proportion,
//! and what the agent costs for such an item.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{AgentId, TraitId};
use crate::core::contact::routing::{Policy, Weights};
use crate::core::contact::{Level, Mode, Step, Want};

use super::class::Kind;
use super::need::Needs;

/// Nothing is very late before so many targets.
const LATE_LEAST: f64 = 2.0;

/// How a tenant's items and agents are weighed now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weighing {
    /// How an agent is chosen.
    pub(super) policy: Policy,
    /// What each reason weighs.
    pub(super) weights: Weights,
    /// After so many seconds live items are very late, by how long they wait on the average.
    pub(super) late_s: f64,
}

/// A score, term by term, in points. What speaks against a pair is below zero.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct Terms {
    /// How well the agent matches what the item wants.
    pub matched: f64,
    /// How urgent the item is.
    pub urgency: f64,
    /// Whether it can still be taken in time.
    pub in_time: f64,
    /// How its queue fared of late against the others.
    pub fairness: f64,
    /// What the agent is needed for elsewhere.
    pub flex: f64,
    /// How long the agent has been idle.
    pub idle: f64,
    /// What the agent puts aside for it.
    pub blend: f64,
    /// What the agent costs for such an item.
    pub cost: f64,
}

impl Terms {
    /// To thousandths of a point, which is all that people look at.
    pub fn rounded(self) -> Self {
        // No term is less than nothing by a sign alone.
        let round = |points: f64| (points * 1_000.0).round() / 1_000.0 + 0.0;
        Self {
            matched: round(self.matched),
            urgency: round(self.urgency),
            in_time: round(self.in_time),
            fairness: round(self.fairness),
            flex: round(self.flex),
            idle: round(self.idle),
            blend: round(self.blend),
            cost: round(self.cost),
        }
    }

    /// The score.
    pub fn total(&self) -> f64 {
        self.matched + self.urgency + self.in_time + self.fairness + self.flex + self.idle + self.blend + self.cost
    }
}

impl Terms {
    /// Each with its name.
    pub fn named(&self) -> [(&'static str, f64); 8] {
        [
            ("match", self.matched),
            ("urgency", self.urgency),
            ("in time", self.in_time),
            ("fairness", self.fairness),
            ("flex", self.flex),
            ("idle", self.idle),
            ("blend", self.blend),
            ("cost", self.cost),
        ]
    }
}

impl fmt::Display for Terms {
    /// Those that are not zero, each with its sign.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.named().into_iter().filter(|(_, points)| points.abs() >= 0.05);
        for (n, (name, points)) in told.enumerate() {
            write!(f, "{}{name} {points:+.1}", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Why an agent cannot be offered an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// Another tenant's.
    Tenant,
    /// The agent lacks what is required, or has it below the least level.
    Lacks {
        /// What.
        what: TraitId,
        /// At what level the agent has it.
        have: Level,
        /// What is asked for now.
        need: Level,
    },
    /// The agent has what is forbidden.
    Has {
        /// What.
        what: TraitId,
    },
    /// The agent takes only items that have this.
    Wants {
        /// What.
        what: TraitId,
    },
    /// The agent takes no items that have this.
    Refuses {
        /// What.
        what: TraitId,
    },
    /// The agent has no slot for the medium.
    Medium,
}

/// What agents of a class and an item have to do with one another.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Match {
    /// How well they match, 0 to 1.
    pub(super) share: f64,
    /// What it costs, in points.
    pub(super) cost: f64,
}

/// At what level agents of the class have a trait; `own` is the agent that is looked at, who alone is that agent.
fn level(kind: &Kind, own: Option<AgentId>, what: TraitId) -> Level {
    match what.agent() {
        Some(agent) => {
            if own == Some(agent) {
                Level::FULL
            } else {
                Level::NONE
            }
        }
        None => kind.traits.level(what),
    }
}

/// The least level of what is required, all steps apart: how good the agent is at such items. 1 where nothing is.
pub(super) fn skill<'a>(kind: &Kind, own: Option<AgentId>, wants: impl Iterator<Item = &'a Want>) -> Level {
    let required = wants.filter(|want| want.mode == Mode::Required);
    required.map(|want| level(kind, own, want.what)).min().unwrap_or(Level::FULL)
}

/// Whether a want that is no preference is met at this step by who has it at that level.
fn meets(have: Level, want: &Want, step: Step) -> Result<(), Unfit> {
    match (want.admits(have, step), want.mode) {
        (true, _) => Ok(()),
        (false, Mode::Required) => Err(Unfit::Lacks { what: want.what, have, need: step.level }),
        (false, _) => Err(Unfit::Has { what: want.what }),
    }
}

/// What does not change as an item waits: tenant, slots, and what the agents themselves insist on.
fn suits(kind: &Kind, needs: &Needs) -> Result<(), Unfit> {
    if !kind.is_of(needs.tenant) {
        return Err(Unfit::Tenant);
    }
    if kind.slots.of(needs.medium) == 0 {
        return Err(Unfit::Medium);
    }
    for mind in &kind.minds {
        let has = needs.traits.binary_search(&mind.what).is_ok();
        match mind.mode {
            Mode::Required if !has => return Err(Unfit::Wants { what: mind.what }),
            Mode::Forbidden if has => return Err(Unfit::Refuses { what: mind.what }),
            _ => {}
        }
    }
    Ok(())
}

/// Whether agents of the class can be offered items of the gate at some step of the schedules at least.
pub(super) fn could_ever(kind: &Kind, needs: &Needs) -> bool {
    let met = |want: &Want| {
        let have = kind.traits.level(want.what);
        // Any of them may be the one agent, or be another.
        want.what.agent().is_some() || want.schedule.steps().iter().any(|&step| meets(have, want, step).is_ok())
    };
    suits(kind, needs).is_ok() && needs.gates.iter().all(met)
}

/// How an item and an agent of the class match after this wait.
pub(super) fn judge(
    kind: &Kind,
    own: Option<AgentId>,
    needs: &Needs,
    prefers: &[Want],
    waited: Duration,
) -> Result<Match, Unfit> {
    suits(kind, needs)?;
    let (mut sum, mut weight) = (0.0, 0.0);
    for want in &needs.gates {
        let step = want.schedule.at(waited);
        meets(level(kind, own, want.what), want, step)?;
        if want.mode == Mode::Required {
            // Met in full, since `have >= need`.
            sum += f64::from(step.importance);
            weight += f64::from(step.importance);
        }
    }
    for want in prefers {
        let step = want.schedule.at(waited);
        let (have, need) = (level(kind, own, want.what), step.level);
        let met = if need == Level::NONE { 1.0 } else { (have.get() / need.get()).min(1.0) };
        sum += f64::from(step.importance) * met;
        weight += f64::from(step.importance);
    }
    let mut cost = 0.0;
    for mind in &kind.minds {
        let has = needs.traits.binary_search(&mind.what).is_ok();
        if mind.mode == Mode::Preferred {
            sum += if has { f64::from(mind.importance) } else { 0.0 };
            weight += f64::from(mind.importance);
        }
        cost += if has { f64::from(mind.cost) } else { 0.0 };
    }
    Ok(Match { share: if weight > 0.0 { sum / weight } else { 1.0 }, cost })
}

/// Urgency: the wait in targets, each beyond the first counting by the late slope. A target of zero counts as one
/// microsecond.
pub(super) fn urgency(waited_s: f64, target_s: f64, weights: &Weights) -> f64 {
    let targets = waited_s / target_s.max(1e-6);
    if targets <= 1.0 { targets } else { 1.0 + weights.late_slope * (targets - 1.0) }
}

/// Whether an item is best taken now: a live one while it is in time, or when it is very late; another from the last quarter of its target on. Credit makes nothing late, but counts for what
/// shall wait no longer.
pub(super) fn is_in_time(waited_s: f64, credit_s: f64, target_s: f64, live: bool, weighing: &Weighing) -> bool {
    if live {
        let very_late_s = (weighing.weights.late_max * target_s).min(weighing.late_s.max(LATE_LEAST * target_s));
        waited_s <= target_s + credit_s || waited_s >= very_late_s
    } else {
        waited_s >= 0.75 * target_s
    }
}

#[cfg(test)]
mod tests {
    use super::super::class::Traits;
    use super::*;
    use crate::base::{Medium, TenantId};
    use crate::core::contact::{Mind, Schedule, Slots};

    fn kind(traits: &[(u32, f64)], minds: &[Mind]) -> Kind {
        let traits: Vec<_> = traits.iter().map(|&(t, l)| (TraitId(t), Level::new(l))).collect();
        Kind {
            tenant: TenantId(1),
            serves: Box::default(),
            traits: Traits::new(&traits),
            minds: minds.into(),
            slots: Slots::default(),
        }
    }

    fn want(what: u32, mode: Mode, steps: &[(u32, f64, u8)]) -> Want {
        let steps =
            steps.iter().map(|&(after_s, level, importance)| Step { after_s, level: Level::new(level), importance });
        Want { what: TraitId(what), mode, schedule: Schedule::new(steps.collect()).unwrap() }
    }

    fn ask(gates: &[Want], traits: &[u32]) -> Needs {
        Needs {
            tenant: TenantId(1),
            medium: Medium::Voice,
            gates: gates.into(),
            traits: traits.iter().map(|&t| TraitId(t)).collect(),
        }
    }

    fn share(kind: &Kind, needs: &Needs, prefers: &[Want], waited_s: u64) -> Result<f64, Unfit> {
        judge(kind, None, needs, prefers, Duration::from_secs(waited_s)).map(|m| m.share)
    }

    #[test]
    fn what_is_preferred_counts_in_proportion_and_by_weight() {
        let prefers = [want(1, Mode::Preferred, &[(0, 1.0, 100)]), want(2, Mode::Preferred, &[(0, 0.5, 50)])];
        let none = ask(&[], &[]);
        assert_eq!(share(&kind(&[(1, 0.4), (2, 0.9)], &[]), &none, &prefers, 0), Ok((40.0 + 50.0) / 150.0));
        assert_eq!(share(&kind(&[(2, 0.25)], &[]), &none, &prefers, 0), Ok(25.0 / 150.0));
        assert_eq!(share(&kind(&[], &[]), &none, &[], 0), Ok(1.0));
    }

    #[test]
    fn what_is_required_relaxes_and_what_is_forbidden_is_lifted() {
        let gates = [
            want(1, Mode::Required, &[(0, 0.8, 100), (30, 0.2, 100)]),
            want(2, Mode::Forbidden, &[(0, 0.5, 100), (60, 0.5, 0)]),
        ];
        let ask = ask(&gates, &[]);
        let novice = kind(&[(1, 0.3)], &[]);
        let lacks = Unfit::Lacks { what: TraitId(1), have: Level::new(0.3), need: Level::new(0.8) };
        assert_eq!(share(&novice, &ask, &[], 29), Err(lacks));
        assert_eq!(share(&novice, &ask, &[], 30), Ok(1.0));
        let barred = kind(&[(1, 1.0), (2, 0.5)], &[]);
        assert_eq!(share(&barred, &ask, &[], 0), Err(Unfit::Has { what: TraitId(2) }));
        assert_eq!(share(&barred, &ask, &[], 60), Ok(1.0));
        assert_eq!(share(&kind(&[(1, 1.0), (2, 0.4)], &[]), &ask, &[], 0), Ok(1.0));
        assert!(could_ever(&novice, &ask) && could_ever(&barred, &ask));
        assert!(!could_ever(&kind(&[(1, 0.1)], &[]), &ask));
    }

    #[test]
    fn agents_mind_what_items_have() {
        let mind = |mode, importance, cost| Mind { what: TraitId(9), mode, importance, cost };
        let (with, without) = (ask(&[], &[9]), ask(&[], &[]));
        let judged = |minds: &[Mind], ask| judge(&kind(&[], minds), None, ask, &[], Duration::ZERO);
        assert_eq!(judged(&[mind(Mode::Required, 0, 0)], &without), Err(Unfit::Wants { what: TraitId(9) }));
        assert_eq!(judged(&[mind(Mode::Forbidden, 0, 0)], &with), Err(Unfit::Refuses { what: TraitId(9) }));
        assert_eq!(judged(&[mind(Mode::Preferred, 50, 20)], &with), Ok(Match { share: 1.0, cost: 20.0 }));
        assert_eq!(judged(&[mind(Mode::Preferred, 50, 20)], &without), Ok(Match { share: 0.0, cost: 0.0 }));
    }

    #[test]
    fn other_tenants_and_media_without_slots_do_not_suit() {
        let mut other = ask(&[], &[]);
        other.tenant = TenantId(2);
        assert_eq!(share(&kind(&[], &[]), &other, &[], 0), Err(Unfit::Tenant));
        let mut mute = kind(&[], &[]);
        mute.slots = Slots::default().with(Medium::Voice, 0);
        assert_eq!(share(&mute, &ask(&[], &[]), &[], 0), Err(Unfit::Medium));
    }

    #[test]
    fn urgency_grows_more_slowly_beyond_the_target() {
        let of = |waited_s, target_s| urgency(waited_s, target_s, &Weights::default());
        assert_eq!(of(10.0, 20.0), 0.5);
        assert_eq!(of(20.0, 20.0), 1.0);
        assert_eq!(of(60.0, 20.0), 2.0);
        assert!(of(1.0, 0.0).is_finite());
    }

    #[test]
    fn very_late_is_what_waits_far_beyond_the_average_or_many_targets() {
        let very_late = |late_s, waited_s| {
            let weighing = Weighing { policy: Policy::Score, weights: Weights::default(), late_s };
            is_in_time(waited_s, 0.0, 20.0, true, &weighing)
        };
        for (late_s, from) in [(f64::INFINITY, 200.0), (120.0, 120.0), (3.0, 40.0)] {
            assert!(very_late(late_s, 20.0) && !very_late(late_s, 21.0), "the target");
            assert!(very_late(late_s, from) && !very_late(late_s, from - 1.0), "{from}");
        }
    }

    #[test]
    fn being_somebody_is_a_trait_of_one_agent_alone() {
        let want =
            |mode| Want { what: TraitId::of_agent(AgentId(7)), mode, schedule: Schedule::constant(Level::FULL, 100) };
        let of = |own, gates: &[Want], prefers: &[Want]| {
            judge(&kind(&[], &[]), Some(AgentId(own)), &ask(gates, &[]), prefers, Duration::ZERO).map(|m| m.share)
        };
        assert_eq!(of(7, &[], &[want(Mode::Preferred)]), Ok(1.0));
        assert_eq!(of(8, &[], &[want(Mode::Preferred)]), Ok(0.0));
        assert!(of(7, &[want(Mode::Required)], &[]).is_ok() && of(8, &[want(Mode::Required)], &[]).is_err());
        assert!(of(7, &[want(Mode::Forbidden)], &[]).is_err() && of(8, &[want(Mode::Forbidden)], &[]).is_ok());
        assert!(could_ever(&kind(&[], &[]), &ask(&[want(Mode::Required)], &[])));
    }

    #[test]
    fn what_is_late_shall_not_wait_for_ever_and_credit_makes_nothing_late() {
        let weighing = Weighing { policy: Policy::Score, weights: Weights::default(), late_s: f64::INFINITY };
        let of = |waited, credit, live| is_in_time(waited, credit, 20.0, live, &weighing);
        assert!(of(20.0, 0.0, true) && !of(21.0, 0.0, true) && !of(199.0, 0.0, true) && of(200.0, 0.0, true));
        assert!(of(50.0, 30.0, true) && !of(51.0, 30.0, true));
        assert!(!of(14.0, 0.0, false) && of(15.0, 0.0, false) && of(1_000.0, 0.0, false));
    }
}
