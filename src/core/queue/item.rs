//! Queues and the work items that wait in them.

use std::fmt;
use std::time::Duration;

use crate::base::{Instant, OfferId, QueueId, SkillId, TenantId, WorkItemId};

use super::QueueState;
use super::fit::{DemandId, Skills};
use super::line::{Line, Ticket};
use super::predict::Forecast;

/// What is provisioned of a queue: a named set of needs, targets and treatment over the one universal order.
#[derive(Clone, PartialEq, Debug)]
pub struct QueueProfile {
    /// Identity; a queue known by it keeps its items and counts through [`Engine::provision`](super::Engine::provision).
    pub id: QueueId,
    /// Only agents of this tenant are offered its items.
    pub tenant: TenantId,
    /// Skills that an agent must have, each with its least level, `0 <= level <= 1`; kept to a ten-thousandth.
    pub needs: Vec<(SkillId, f32)>,
    /// Service level: answered within this time. Urgency is wait divided by it.
    pub target: Duration,
    /// Waiting longer than this ends in [`Output::Overflow`](super::Output::Overflow).
    pub overflow_after: Option<Duration>,
    /// Most items in this queue at once; 0 for the engine's bound alone.
    pub waiting_max: usize,
    /// Announce position and expected wait at the start and every so often; zero counts as never.
    pub announce_every: Option<Duration>,
}

/// Why an item was not taken into the queue. Nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EnqueueError {
    /// The queue's or the engine's bound is reached.
    Full,
    /// No such queue is provisioned.
    UnknownQueue,
    /// The item waits already.
    Duplicate,
}

impl fmt::Display for EnqueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the queue is full",
            Self::UnknownQueue => "no such queue",
            Self::Duplicate => "the item waits already",
        })
    }
}

impl std::error::Error for EnqueueError {}

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
    /// Its queue.
    pub(super) queue: QueueId,
    /// Its place there.
    pub(super) ticket: Ticket,
    /// When it entered.
    pub(super) since: Instant,
    /// Where it stands.
    pub(super) stage: Stage,
    /// When it has waited too long.
    pub(super) overflow_at: Option<Instant>,
    /// When to announce next.
    pub(super) announce_at: Option<Instant>,
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
}

impl Tally {
    /// An item left.
    pub(super) fn count(&mut self, exit: Exit, in_target: bool) {
        match exit {
            Exit::Answered => {
                self.answered += 1;
                self.in_target += u64::from(in_target);
            }
            Exit::Abandoned => self.abandoned += 1,
            Exit::Overflowed => self.overflowed += 1,
        }
    }

    /// All that left.
    pub(super) fn left(&self) -> u64 {
        self.answered + self.abandoned + self.overflowed
    }
}

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// Its tenant.
    pub(super) tenant: TenantId,
    /// What agents must have.
    pub(super) needs: Skills,
    /// Its demand among the fits.
    pub(super) demand: DemandId,
    /// Service level.
    pub(super) target: Duration,
    /// Longest wait.
    pub(super) overflow_after: Option<Duration>,
    /// Between announcements; not zero.
    pub(super) announce_every: Option<Duration>,
    /// Who waits.
    pub(super) line: Line,
    /// Counts since start.
    pub(super) tally: Tally,
    /// What was measured.
    pub(super) forecast: Forecast,
    waiting_max: usize,
}

impl Queue {
    /// A new, empty queue.
    pub(super) fn new(profile: &QueueProfile, demand: DemandId) -> Self {
        let mut queue = Self {
            tenant: profile.tenant,
            needs: Skills::default(),
            demand,
            target: profile.target,
            overflow_after: None,
            announce_every: None,
            line: Line::default(),
            tally: Tally::default(),
            forecast: Forecast::default(),
            waiting_max: 0,
        };
        queue.update(profile, demand);
        queue
    }

    /// Takes over a changed profile; those who wait keep their places.
    pub(super) fn update(&mut self, profile: &QueueProfile, demand: DemandId) {
        self.tenant = profile.tenant;
        self.needs = Skills::new(&profile.needs);
        self.demand = demand;
        self.target = profile.target;
        self.overflow_after = profile.overflow_after;
        self.announce_every = profile.announce_every.filter(|every| !every.is_zero());
        self.waiting_max = profile.waiting_max;
    }

    /// Whether its own bound is reached.
    pub(super) fn is_full(&self) -> bool {
        self.waiting_max != 0 && self.line.len() >= self.waiting_max
    }

    /// For people.
    pub(super) fn view(&self, id: QueueId, now: Instant) -> QueueState {
        QueueState {
            id,
            tenant: self.tenant,
            waiting: self.line.len(),
            longest_wait: self.line.oldest().map_or(Duration::ZERO, |since| now.since(since)),
            offered: self.tally.offered,
            answered: self.tally.answered,
            abandoned: self.tally.abandoned,
            overflowed: self.tally.overflowed,
            in_target: self.tally.in_target,
        }
    }
}

/// The one order of all waiting items: the greater wait measured against the own target first, then the longer wait,
/// then the lower id. Exact: fractions are compared by their cross products.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Urgency {
    wait_us: u128,
    target_us: u128,
    /// The item.
    pub(super) item: WorkItemId,
    /// Its queue.
    pub(super) queue: QueueId,
}

impl Urgency {
    /// How urgent the item is now; a target of zero counts as one microsecond.
    pub(super) fn new(item: WorkItemId, queue: QueueId, wait: Duration, target: Duration) -> Self {
        Self { wait_us: wait.as_micros(), target_us: target.as_micros().max(1), item, queue }
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
        Urgency::new(WorkItemId(item), QueueId(1), wait, target)
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
        let of =
            |wait| Urgency::new(WorkItemId(1), QueueId(1), Duration::from_micros(wait), Duration::from_micros(day));
        assert!(of(day * 300 + 1) > of(day * 300));
    }
}
