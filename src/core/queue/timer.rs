//! The engine's timers.

use std::collections::BTreeSet;

use crate::base::{AgentId, Instant, OfferId, WorkItemId};

/// Why the engine wants to be called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Timer {
    /// When to stop ringing an agent who does not answer.
    Ring(OfferId),
    /// When an agent's wrap-up ends.
    WrapUp(AgentId),
    /// When an item has waited too long.
    Overflow(WorkItemId),
    /// When to tell a client position and expected wait.
    Announce(WorkItemId),
    /// When an item has waited so long that it goes another way.
    Escalate(WorkItemId),
    /// When something else is asked of agents than before.
    Turn(WorkItemId),
    /// When to look again at an item that is held for a better agent.
    Hold(WorkItemId),
}

/// All timers that run. Whoever starts one knows its time and can cancel exactly it.
#[derive(Default, Debug)]
pub(super) struct Timers(BTreeSet<(Instant, Timer)>);

impl Timers {
    /// Starts a timer; none for never.
    pub(super) fn start(&mut self, at: Option<Instant>, timer: Timer) {
        if let Some(at) = at {
            self.0.insert((at, timer));
        }
    }

    /// Cancels a timer that was started for `at`; it may have fired.
    pub(super) fn cancel(&mut self, at: Option<Instant>, timer: Timer) {
        if let Some(at) = at {
            self.0.remove(&(at, timer));
        }
    }

    /// The next time something is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|&(at, _)| at)
    }

    /// Takes a timer that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }

    /// Everything that runs, for checks.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Instant, Timer)> {
        self.0.iter().copied()
    }
}
