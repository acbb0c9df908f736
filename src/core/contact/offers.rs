//! What the queue says of work items that are no calls: offers made and ended, ways that end or lead elsewhere.

use std::sync::Arc;

use super::work::{CUT_OFF, Match, Outcome, Rival, WorkState};
use crate::base::{AgentId, Medium, Now, OfferId, QueueId, WorkItemId};
use crate::core::ivr::QueueExit;
use crate::core::queue::{Entry, OfferEnd};
use crate::core::switch::Switch;
use crate::core::tenant::provision::Unservable;

impl Switch {
    /// An agent is asked to take an item.
    pub(crate) fn work_offered(&mut self, now: Now, offer: OfferId, id: WorkItemId, agent: AgentId) {
        // An offer that is over already was withdrawn before anybody knew of it.
        if self.queue.offered(offer) != Some(id) {
            return;
        }
        let reason = self.match_of(offer);
        let name = self.called_for(agent, id);
        if let Some(item) = self.works.get_mut(id) {
            item.offer = Some(offer);
            self.works.by_offer.insert(offer, id);
        }
        self.change_work(id, |work| {
            work.state = WorkState::Offered;
            work.record_offer(now.wall, &name, reason);
            work.agent = Some(name);
        });
    }

    /// What an agent is called where a work item is meant.
    pub(crate) fn called_for(&self, agent: AgentId, id: WorkItemId) -> String {
        let work = self.works.get(id).map(|item| item.work.tenant.as_str());
        let tenant = work.and_then(|name| self.directory.tenant_by_name(name)).map(|tenant| tenant.id);
        let call = || self.by_item.get(&id).and_then(|call| self.calls.get(call)?.tenant);
        self.directory.agent_called(agent, tenant.or_else(call)).unwrap_or_default()
    }

    /// Why an offer was made, by names.
    pub(crate) fn match_of(&self, offer: OfferId) -> Option<Match> {
        let reason = self.queue.reason(offer)?;
        let item = self.queue.offered(offer);
        let name = |agent: AgentId| match item {
            Some(item) => self.called_for(agent, item),
            None => self.directory.agent_called(agent, None).unwrap_or_default(),
        };
        // As the record keeps them: as text, exactly.
        let others = reason.others.iter().map(|&(agent, work, terms)| Rival {
            agent: name(agent),
            work,
            terms: terms.rounded(),
        });
        Some(Match {
            trigger: reason.trigger,
            policy: reason.policy,
            waited_s: reason.waited.as_millis() as f64 / 1_000.0,
            terms: reason.terms.rounded(),
            compared: reason.compared,
            others: others.collect(),
        })
    }

    /// The queue took an offer back. False when it was none of a work item's.
    pub(crate) fn work_withdrawn(&mut self, now: Now, offer: OfferId, why: OfferEnd) -> bool {
        let Some(&id) = self.works.by_offer.get(&offer) else { return false };
        self.work_returns(now, id, why.as_str());
        self.after_return(now, id);
        true
    }

    /// An offer came to nothing: the item waits at its place.
    pub(super) fn work_returns(&mut self, now: Now, id: WorkItemId, why: &str) {
        self.works.end_offer(id);
        self.change_work(id, |work| {
            work.state = WorkState::Waiting;
            let agent = work.agent.take().unwrap_or_default();
            work.record(now.wall, why, agent);
        });
    }

    /// What was put off while the item was offered.
    pub(super) fn after_return(&mut self, now: Now, id: WorkItemId) {
        let Some(item) = self.works.get_mut(id) else { return };
        let (escalates, stale) = (std::mem::take(&mut item.escalates), std::mem::take(&mut item.stale));
        if escalates {
            self.work_escalates(now, id);
        } else if stale {
            self.requeue_work(now, id);
        }
    }

    /// An item waits at the place that its whole wait gives it, as what is known of it says now.
    pub(super) fn requeue_work(&mut self, now: Now, id: WorkItemId) {
        if self.works.get(id).is_some_and(|item| item.rests) {
            return;
        }
        let in_queue = self.queue.waited(now, id);
        self.works.end_offer(id);
        self.work_left(now, id);
        let Some(entry) = self.entry_of(now, id) else { return self.queue_gone(now, id) };
        let Some(work) = self.works.get(id).map(|item| &item.work) else { return };
        let waited = in_queue.unwrap_or_else(|| work.waited(now.wall));
        if self.queue.bring_back(now, id, Entry { waited, ..entry }).is_err() {
            self.queue_gone(now, id);
        }
    }

    /// The item's queue is not provisioned any more.
    pub(super) fn queue_gone(&mut self, now: Now, id: WorkItemId) {
        self.queue.take_out(now, id);
        if let Some(item) = self.works.get_mut(id) {
            let queue = item.work.queue.clone();
            item.work.record(now.wall, "queue-gone", queue);
        }
        self.end_work(now, id, Outcome::Unservable);
    }

    /// The item is out of its queue: it has waited too long, or the queue is gone.
    pub(crate) fn work_overflows(&mut self, now: Now, id: WorkItemId) {
        let Some(item) = self.works.get(id) else { return };
        let tenant = self.directory.tenant_by_name(&item.work.tenant).map(|tenant| tenant.id);
        if tenant.and_then(|tenant| self.directory.queue_by_name(tenant, &item.work.queue)).is_none() {
            return self.queue_gone(now, id);
        }
        self.end_with(now, id, "overflowed", Outcome::Overflowed);
    }

    fn end_with(&mut self, now: Now, id: WorkItemId, what: &str, outcome: Outcome) {
        if let Some(item) = self.works.get_mut(id) {
            let queue = item.work.queue.clone();
            item.work.record(now.wall, what, queue);
        }
        self.end_work(now, id, outcome);
    }

    /// The item has waited so long that it goes to another queue, if there is one. An offer comes first.
    pub(crate) fn work_escalates(&mut self, now: Now, id: WorkItemId) {
        let Some(item) = self.works.get_mut(id) else { return self.call_escalates(now, id) };
        if item.work.state == WorkState::Offered {
            item.escalates = true;
            return;
        }
        let (tenant, queue) = (item.work.tenant.clone(), item.work.queue.clone());
        if item.work.state != WorkState::Waiting {
            return;
        }
        let Some(to) = self.escalates_to(&tenant, &queue) else { return };
        let Some(to) = self.directory.queue(to).map(|entry| entry.name.clone()) else { return };
        // Queues that lead to each other do not pass it on for ever.
        if self.works.get(id).is_none_or(|item| item.work.was_in(&to) || self.is_wished_in(&item.work, &to)) {
            return;
        }
        self.change_work(id, |work| {
            work.queue.clone_from(&to);
            work.record(now.wall, "escalated", to);
        });
        self.requeue_work(now, id);
    }

    /// The agent who had the item is not provisioned any more.
    pub(crate) fn work_orphaned(&mut self, now: Now, id: WorkItemId) {
        // Who is called back, or talks, goes on without.
        if self.works.get(id).is_some_and(|item| item.call.is_none()) {
            self.work_returns(now, id, "agent-gone");
            self.requeue_work(now, id);
        }
    }

    /// The agent who has an item is cut off from it, and not back in time: it waits at its place. Where its queue is gone nobody else
    /// could have it.
    pub(crate) fn work_cut_off(&mut self, now: Now, id: WorkItemId) {
        let Some(entry) = self.entry_of(now, id) else { return };
        self.counters.cut_offs += 1;
        self.work_returns(now, id, CUT_OFF);
        self.queue.cut_off(now, id, Some((id, entry)));
    }

    /// No agent there is could take the item, a call's too; or one could again.
    pub(crate) fn work_unservable(&mut self, now: Now, id: WorkItemId, is_unservable: bool) {
        if !is_unservable {
            return self.work_left(now, id);
        }
        let Some(queue) = self.queue.queue_of(id) else { return };
        let Some(entry) = self.directory.queue(queue) else { return };
        let tenant = self.directory.tenant(entry.tenant).map_or("", |tenant| tenant.name.as_str());
        let subject: Arc<str> = format!("{tenant}/{}", entry.name).into();
        if self.works.unservable.insert(id, subject.clone()).is_none() {
            let count = self.works.unservable_in.entry(subject).or_default();
            *count += 1;
            if *count == 1 {
                self.alarms.set(now, "unservable", format!("{tenant}/{}", entry.name), true);
            }
        }
        // What it asks for may not be provisioned any more, the agent whose it was to be among it.
        let of_its_own = |item: &super::desk::Item| {
            self.directory.resolve(queue, &item.work.attributes, &item.work.modifiers).is_err()
        };
        if self.works.get(id).is_some_and(of_its_own) {
            return self.requeue_work(now, id);
        }
        self.follow_rule(now, id, queue);
    }

    /// What the queue says of an item that nobody could take.
    fn follow_rule(&mut self, now: Now, id: WorkItemId, queue: QueueId) {
        let Some(medium) = self.works.get(id).map(|item| item.work.medium) else {
            return self.follow_rule_for_call(now, id, queue);
        };
        // Who was promised a call gets it when there is somebody again; the alarm tells the operator.
        let promised = self.works.get(id).is_some_and(|item| item.work.callback.is_some());
        match self.unservable_rule(queue, medium) {
            Unservable::Hold => {}
            Unservable::Overflow if promised => {}
            Unservable::Escalate => self.work_escalates(now, id),
            Unservable::Overflow => {
                self.queue.take_out(now, id);
                self.end_with(now, id, "unservable", Outcome::Unservable);
            }
        }
    }

    /// The same for a call, whose flow goes on where nobody could take it.
    fn follow_rule_for_call(&mut self, now: Now, id: WorkItemId, queue: QueueId) {
        match self.unservable_rule(queue, Medium::Voice) {
            Unservable::Hold => {}
            Unservable::Escalate => self.call_escalates(now, id),
            Unservable::Overflow => {
                if self.queue.take_out(now, id) {
                    self.dequeued(now, id, "unservable", QueueExit::Overflow);
                }
            }
        }
    }

    /// An item left the queue, or somebody could take it: the alarm ends with the last one of its queue.
    pub(crate) fn work_left(&mut self, now: Now, id: WorkItemId) {
        let Some(subject) = self.works.unservable.remove(&id) else { return };
        let Some(count) = self.works.unservable_in.get_mut(&subject) else { return };
        *count -= 1;
        if *count == 0 {
            self.works.unservable_in.remove(&subject);
            self.alarms.set(now, "unservable", subject.to_string(), false);
        }
    }
}
