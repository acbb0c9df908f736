//! Queues and the work items that wait in them.

use std::sync::Arc;
use std::time::Duration;

use crate::base::{Instant, Medium, OfferId, QueueId, TenantId, WorkItemId};
use crate::core::contact::Want;

use super::class::ClassId;
use super::gate::GateId;
use super::line::{Lines, Place};
use super::predict::{Forecast, Pace};
use super::profile::{Entry, QueueProfile};
use super::view::QueueState;

/// Share of items taken in time that is taken for granted at first.
pub(super) const IN_TIME_FIRST: f64 = 0.7;

/// Items of a queue that weigh in the share.
pub(super) const IN_TIME_MEMORY: f64 = 100.0;

/// Where an item stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Free to be offered.
    Waiting,
    /// Rings at an agent.
    Offered(OfferId),
}

/// A work item in a queue. Its end takes it out of the engine.
#[derive(Debug)]
pub(super) struct Item {
    /// As it came, but for how long it had waited.
    pub(super) entry: Entry,
    /// The gate it waits behind.
    pub(super) gate: GateId,
    /// What it prefers.
    pub(super) prefers: Arc<[Want]>,
    /// Its place in its queue, by how long it has waited.
    pub(super) place: Place,
    /// Where it stands.
    pub(super) stage: Stage,
    /// No agent there is could take it.
    pub(super) unservable: bool,
    /// It was accepted before: bounds do not count it.
    pub(super) is_back: bool,
    /// When it has waited too long.
    pub(super) overflow_at: Option<Instant>,
    /// When it goes another way.
    pub(super) escalate_at: Option<Instant>,
    /// When to announce next.
    pub(super) announce_at: Option<Instant>,
    /// When something else is asked next.
    pub(super) turn_at: Option<Instant>,
    /// Held for a better agent: when to look again.
    pub(super) hold_at: Option<Instant>,
    /// The wait that was foretold when it came, in seconds; of those who had to wait.
    pub(super) foretold_s: Option<f32>,
}

impl Item {
    /// Its place in the order of urgency: its credit counts as waiting.
    pub(super) fn rank(&self) -> Place {
        self.place.with_credit(self.entry.credit)
    }
}

/// How an item left its queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Exit {
    /// An agent answered.
    Answered,
    /// It left before.
    Abandoned,
    /// It waited too long, or its queue is gone.
    Overflowed,
    /// It goes elsewhere.
    Moved,
    /// It comes back to the same queue at once.
    Again,
}

/// What became of items.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Tally {
    /// Entered.
    pub(super) offered: u64,
    /// Answered.
    pub(super) answered: u64,
    /// Answered within target.
    pub(super) in_target: u64,
    /// Left before an answer.
    pub(super) abandoned: u64,
    /// Overflowed.
    pub(super) overflowed: u64,
    /// Taken out.
    pub(super) moved: u64,
}

impl Tally {
    /// An item left. One that comes back to the same queue at once is taken for not having come: it comes then.
    pub(super) fn count(&mut self, exit: Exit, in_target: bool) {
        match exit {
            Exit::Answered => {
                self.answered += 1;
                self.in_target += u64::from(in_target);
            }
            Exit::Abandoned => self.abandoned += 1,
            Exit::Overflowed => self.overflowed += 1,
            Exit::Moved => self.moved += 1,
            Exit::Again => self.offered = self.offered.saturating_sub(1),
        }
    }

    /// All that left.
    pub(super) fn left(&self) -> u64 {
        self.answered + self.abandoned + self.overflowed + self.moved
    }
}

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// What is provisioned.
    pub(super) profile: QueueProfile,
    /// Classes whose agents can take its items, wants of single items apart.
    pub(super) classes: Vec<ClassId>,
    /// Its number among the burdens.
    pub(super) burden: usize,
    /// Who waits.
    pub(super) lines: Lines,
    /// Counts since start.
    pub(super) tally: Tally,
    /// What was measured.
    pub(super) forecast: Forecast,
    /// How fast the lines of media that can wait move on, by medium.
    pub(super) paces: [Pace; Medium::ALL.len()],
    /// Share of its items taken in time, of late.
    pub(super) in_time: f64,
}

impl Queue {
    /// By how much the urgency of its items grows in a second.
    pub(super) fn pressure(&self, medium: Medium) -> f64 {
        self.profile.importance / self.target(medium).as_secs_f64().max(1e-3)
    }

    /// A new, empty queue, which fares as its tenant's others at first.
    pub(super) fn new(profile: QueueProfile, in_time: f64) -> Self {
        let mut queue = Self {
            profile,
            classes: vec![],
            burden: usize::MAX,
            lines: Lines::default(),
            tally: Tally::default(),
            forecast: Forecast::default(),
            paces: Default::default(),
            in_time,
        };
        queue.tame();
        queue
    }

    /// Takes over a changed profile; items, counts and measurements stay.
    pub(super) fn update(&mut self, profile: QueueProfile) {
        self.profile = profile;
        self.tame();
    }

    fn tame(&mut self) {
        let profile = &mut self.profile;
        profile.announce_every = profile.announce_every.filter(|every| !every.is_zero());
        if !(profile.importance.is_finite() && profile.importance >= 0.0) {
            profile.importance = 1.0;
        }
    }

    /// Its tenant.
    pub(super) fn tenant(&self) -> TenantId {
        self.profile.tenant
    }

    /// Service level of a medium.
    pub(super) fn target(&self, medium: Medium) -> Duration {
        self.profile.targets.get(medium.index()).copied().unwrap_or_default()
    }

    /// Whether its own bound is reached.
    pub(super) fn is_full(&self) -> bool {
        self.profile.waiting_max != 0 && self.lines.len() >= self.profile.waiting_max
    }

    /// For people.
    pub(super) fn view(&self, id: QueueId, now: Instant) -> QueueState {
        QueueState {
            id,
            tenant: self.tenant(),
            waiting: self.lines.len(),
            longest_wait: self.lines.oldest().map_or(Duration::ZERO, |place| place.waited(now)),
            offered: self.tally.offered,
            answered: self.tally.answered,
            abandoned: self.tally.abandoned,
            overflowed: self.tally.overflowed,
            in_target: self.tally.in_target,
        }
    }
}

/// The order in which items are looked at after a mass event: the greater wait measured against the own target first, then the longer wait,
/// then the lower id. Exact: fractions are compared by their cross products.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Urgency {
    wait_us: u128,
    target_us: u128,
    item: WorkItemId,
}

impl Urgency {
    /// How urgent the item is now; a target of zero counts as one microsecond.
    pub(super) fn new(item: WorkItemId, wait: Duration, target: Duration) -> Self {
        Self { wait_us: wait.as_micros(), target_us: target.as_micros().max(1), item }
    }
}

impl Ord for Urgency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (mine, its) = (self.wait_us.saturating_mul(other.target_us), other.wait_us.saturating_mul(self.target_us));
        mine.cmp(&its).then(self.wait_us.cmp(&other.wait_us)).then(other.item.cmp(&self.item))
    }
}

impl PartialOrd for Urgency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urgency(item: u64, wait_s: u64, target_s: u64) -> Urgency {
        let (wait, target) = (Duration::from_secs(wait_s), Duration::from_secs(target_s));
        Urgency::new(WorkItemId(item), wait, target)
    }

    #[test]
    fn urgency_is_wait_over_target_then_wait_then_id() {
        assert!(urgency(1, 30, 20) > urgency(2, 100, 80));
        assert!(urgency(2, 60, 40) > urgency(1, 30, 20));
        assert!(urgency(1, 30, 20) > urgency(2, 30, 20));
        assert!(urgency(1, 1, 0) > urgency(2, 1_000, 1));
        assert_eq!(urgency(1, 30, 20).cmp(&urgency(1, 30, 20)), std::cmp::Ordering::Equal);
    }

    #[test]
    fn urgency_tells_fractions_apart_that_floats_would_not() {
        let day = 86_400_000_000_u64;
        let of = |wait| Urgency::new(WorkItemId(1), Duration::from_micros(wait), Duration::from_micros(day));
        assert!(of(day * 300 + 1) > of(day * 300));
    }
}
