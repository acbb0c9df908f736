//! Work items through time: those whose time comes, and those that an earlier run left.

use std::time::Duration;

use super::work::{Outcome, Work, WorkState};
use crate::base::{Cause, Now, WorkItemId};
use crate::core::switch::{Switch, Timer};

/// How often the wall clock is looked at while a time is agreed on: it may be set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(10);

impl Switch {
    /// Puts back what an earlier run left: items in the hand of the same agents, the others at the place that their whole
    /// wait gives them. To be called before agents are given back their states, so that each is matched with all that wait.
    pub(crate) fn restore_works(&mut self, now: Now, mut works: Vec<Work>) {
        works.sort_by_key(|work| (work.waits_from(), work.id));
        let (in_hand, others): (Vec<_>, Vec<_>) = works
            .into_iter()
            .filter(|work| work.state != WorkState::Ended)
            .partition(|w| w.state == WorkState::Handled);
        for work in in_hand {
            match work.callback {
                Some(_) => self.restore_wish(now, work),
                None => self.restore_in_hand(now, work),
            }
        }
        for work in others {
            let (id, state) = (work.id, work.state);
            self.works.insert(work);
            match state {
                WorkState::Scheduled => {}
                // Nobody is asked any more.
                WorkState::Offered => {
                    self.work_returns(now, id, "restart");
                    self.requeue_work(now, id);
                }
                _ => self.requeue_work(now, id),
            }
        }
        self.works_due(now);
    }

    /// An agent has the item again. Where the agent is gone it waits; where only its queue is, the agent may still
    /// complete it.
    fn restore_in_hand(&mut self, now: Now, work: Work) {
        let id = work.id;
        let tenant = self.directory.tenant_by_name(&work.tenant).map(|tenant| tenant.id);
        let agent = tenant.zip(work.agent.as_deref()).and_then(|(t, agent)| self.directory.agent_by_call(t, agent));
        let agent = agent.map(|agent| agent.id);
        self.works.insert(work);
        match (agent, self.entry_of(now, id)) {
            (Some(agent), Some(entry)) => drop(self.queue.restore_task(now, agent, id, &entry)),
            (Some(_), None) => {}
            (None, _) => self.work_orphaned(now, id),
        }
    }

    /// A client was being called back, or talked: the call is gone, and counts as the try that it was.
    fn restore_wish(&mut self, now: Now, work: Work) {
        let (id, reached) = (work.id, work.was_reached());
        self.works.insert(work);
        if reached {
            self.change_quietly(id, |work| work.record(now.wall, "interrupted", ""));
            self.end_work(now, id, Outcome::Completed);
        } else {
            self.wish_missed(now, id, Cause::Interrupted);
        }
    }

    /// Items whose time has come wait from now on. Costs nothing while there are none.
    fn works_due(&mut self, now: Now) {
        while let Some(&(due, id)) = self.works.scheduled.first()
            && due <= now.wall
        {
            self.works.scheduled.pop_first();
            self.work_due(now, id);
        }
        self.look_at_clock(now);
    }

    fn work_due(&mut self, now: Now, id: WorkItemId) {
        self.change_work(id, |work| {
            work.state = WorkState::Waiting;
            work.record(now.wall, "due", work.queue.clone());
        });
        self.requeue_work(now, id);
    }

    /// Looks at the clock when the next item is due, and every few seconds until then.
    pub(super) fn look_at_clock(&mut self, now: Now) {
        let Some(&(due, _)) = self.works.scheduled.first() else { return };
        let left = Duration::from_millis(u64::try_from(due.0.saturating_sub(now.wall.0)).unwrap_or(0));
        let at = now.mono + left.min(LOOK_EVERY);
        if self.works.look_at.is_none_or(|other| other > at) {
            self.works.look_at = Some(at);
            self.arm(at, Timer::WorksDue);
        }
    }

    /// Timer: one that was overtaken by an earlier one finds nothing to do.
    pub(crate) fn look_at_works(&mut self, now: Now) {
        if self.works.look_at.is_some_and(|at| at <= now.mono) {
            self.works.look_at = None;
            self.works_due(now);
        }
    }
}
