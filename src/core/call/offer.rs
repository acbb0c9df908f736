//! Waiting in the queue, and the offers that end it.

use crate::base::{AgentId, CallId, Cause, LegId, Now, OfferId, QueueId, WorkItemId};
use crate::core::call::{CallState, NewLeg, Redial, Role, RouteStep, Wait};
use crate::core::ivr::{Input as FlowInput, QueueExit, say};
use crate::core::journal::{AgentStatus, Change, Direction, ENQUEUED, OFFERED};
use crate::core::media::{MediaCommand, ToneKind};
use crate::core::queue::{EnqueueError, Entry, OfferEnd, Output as QueueOutput};
use crate::core::switch::Switch;
use crate::core::tenant::directory::Treatment;

impl Switch {
    pub(crate) fn on_queue(&mut self, now: Now, output: QueueOutput) {
        match output {
            QueueOutput::Offer { offer, item, agent } => {
                match self.works.get(item).map(|i| i.work.callback.is_some()) {
                    Some(true) => self.wish_offered(now, offer, item, agent),
                    Some(false) => self.work_offered(now, offer, item, agent),
                    None => self.offer(now, offer, item, agent),
                }
            }
            // A wish to be called back is a work item that rings a phone.
            QueueOutput::Withdraw { offer, why, .. } => {
                self.work_withdrawn(now, offer, why);
                self.withdraw(now, offer, why);
            }
            QueueOutput::Escalate { item } => self.work_escalates(now, item),
            QueueOutput::Unservable { item, unservable } => self.work_unservable(now, item, unservable),
            QueueOutput::Overflow { item } if self.works.has(item) => self.work_overflows(now, item),
            QueueOutput::Overflow { item } => self.dequeued(now, item, "overflow", QueueExit::Overflow),
            // A call goes on without.
            QueueOutput::Orphaned { item } => self.work_orphaned(now, item),
            QueueOutput::Announce { item, position, expected_wait_s } => {
                self.announce(item, position, expected_wait_s);
            }
            QueueOutput::AgentChanged { agent, status, reason } => self.agent_changed(now, agent, status, reason),
        }
    }

    /// The flow puts the caller into a queue.
    pub(super) fn enqueue(&mut self, now: Now, call: CallId, name: &str) {
        let queue = self
            .calls
            .get(&call)
            .and_then(|c| c.tenant)
            .and_then(|t| self.directory.queue_by_name(t, name))
            .map(|q| q.id);
        let Some(queue) = queue else {
            return self.feed_flow(now, call, FlowInput::Dequeued(QueueExit::Unknown));
        };
        let item = self.fresh_work(now);
        let place = self.place_of(now, call, queue);
        let entry = Entry { waited: place.unwrap_or_default(), ..self.voice_entry(now, call, queue) };
        let taken = match place {
            // It has been let in before.
            Some(_) => self.queue.bring_back(now, item, entry),
            None => self.queue.enqueue(now, item, entry),
        };
        if let Err(error) = taken {
            self.wish_caller_left(now, call);
            let exit = if error == EnqueueError::Full { QueueExit::Full } else { QueueExit::Unknown };
            return self.feed_flow(now, call, FlowInput::Dequeued(exit));
        }
        self.by_item.insert(item, call);
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, ENQUEUED, name);
            c.queue = Some(queue);
            c.flow_play = None;
            c.state = CallState::Waiting(Wait { item, queue, since: now, announcement: None, escalates: false });
        }
        self.open_client_audio(now, call);
        self.play_treatment(call);
        self.journal_progress(call);
    }

    /// Music or ringing tone for a caller who waits.
    pub(super) fn play_treatment(&mut self, call: CallId) {
        let Some(c) = self.calls.get(&call) else { return };
        let CallState::Waiting(wait) = c.state else { return };
        let entry = self.directory.queue(wait.queue);
        let ringing = entry.is_some_and(|q| q.treatment == Treatment::Ringback);
        let source = entry.and_then(|q| q.music.as_deref()).map(Into::into);
        if ringing {
            return self.client_tone(call, ToneKind::Ringback);
        }
        let play = self.fresh_play();
        if let Some(port) = self.client_port(call) {
            self.media(MediaCommand::Music { port, play, source });
        }
    }

    fn announce(&mut self, item: WorkItemId, position: usize, expected_wait_s: u32) {
        let Some(&call) = self.by_item.get(&item) else { return };
        let play = self.fresh_play();
        let Some(port) = self.client_port(call) else { return };
        let Some(c) = self.calls.get_mut(&call) else { return };
        let CallState::Waiting(wait) = &mut c.state else { return };
        wait.announcement = Some(play);
        let language = c.tenant.and_then(|t| self.directory.tenant(t)).map_or("en", |t| t.language.as_str());
        let items = say::queue_position(language, position, expected_wait_s);
        self.media(MediaCommand::Play { port, play, items });
    }

    /// The queue reserved an agent for a call: ring the phone.
    fn offer(&mut self, now: Now, offer: OfferId, item: WorkItemId, agent: AgentId) {
        // One that is over already was withdrawn before the phone could be rung.
        if self.queue.offered(offer) != Some(item) {
            return;
        }
        let Some(&call) = self.by_item.get(&item) else {
            return self.queue.refused(now, offer, OfferEnd::Failed);
        };
        let name = self.agent_name(agent).unwrap_or_default();
        let why = self.queue.reason(offer).map_or(String::new(), |reason| reason.to_string());
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, OFFERED, format!("{name}: {why}"));
        }
        self.ring_agent(now, Redial::first(offer, item, agent));
    }

    /// An offer came to nothing: the call waits on, unless it was to go elsewhere.
    pub(super) fn offer_refused(&mut self, now: Now, offer: OfferId, why: OfferEnd) {
        let item = self.queue.offered(offer);
        self.offer_over(now, offer, why);
        if let Some(item) = item {
            self.after_offer(now, item);
        }
    }

    /// Tells the queue that an offer came to nothing: who is known to be out of reach is not marked for it.
    pub(crate) fn offer_over(&mut self, now: Now, offer: OfferId, why: OfferEnd) {
        match why {
            OfferEnd::Unreachable | OfferEnd::Failed => self.queue.unreached(now, offer, why),
            _ => self.queue.refused(now, offer, why),
        }
    }

    /// What was put off while an agent was rung happens now; whoever the queue would ring next is not rung any more.
    fn after_offer(&mut self, now: Now, item: WorkItemId) {
        let call = self.by_item.get(&item).and_then(|call| self.calls.get_mut(call));
        let Some(CallState::Waiting(wait)) = call.map(|call| &mut call.state) else { return };
        if std::mem::take(&mut wait.escalates) {
            self.escalate_call(now, item);
        }
    }

    /// We cannot connect the caller: the flow goes on as if the queue were full.
    pub(super) fn give_up_waiting(&mut self, now: Now, item: WorkItemId) {
        self.queue.leave(now, item);
        self.dequeued(now, item, "no-resources", QueueExit::Full);
    }

    /// The queue took an offer back: nobody answered in time, or the caller left.
    fn withdraw(&mut self, now: Now, offer: OfferId, why: OfferEnd) {
        let redialled = self.redials.remove(&offer).map(|redial| redial.item);
        let Some(leg) = self.by_offer.get(&offer).copied() else {
            return redialled.into_iter().for_each(|item| self.after_offer(now, item));
        };
        let cause = match why {
            OfferEnd::NoAnswer => Cause::NoAnswer,
            OfferEnd::Unreachable => Cause::NetworkOutOfOrder,
            _ => Cause::Normal,
        };
        let call = self.legs.get(&leg).map(|l| l.call);
        if why == OfferEnd::Unreachable {
            self.unoccupy(leg);
        }
        self.release_leg(now, leg, cause);
        let Some(c) = call.and_then(|c| self.calls.get_mut(&c)) else { return };
        c.route.clear();
        c.note(now, "offer-withdrawn", cause.as_str());
        match (c.id, c.state) {
            (id, CallState::Alerting) => self.end_call(now, id, cause),
            (_, CallState::Waiting(Wait { item, .. })) => self.after_offer(now, item),
            _ => {}
        }
    }

    /// An agent's phone ended an offer without answering, or the way there failed: then the next one is tried.
    pub(super) fn offer_failed(&mut self, now: Now, call: CallId, (agent, offer): (AgentId, OfferId), cause: Cause) {
        if self.rings_on(now, call, (agent, offer), cause) {
            return;
        }
        let why = match cause {
            Cause::Busy => OfferEnd::Busy,
            Cause::Rejected => OfferEnd::Declined,
            Cause::NoAnswer => OfferEnd::NoAnswer,
            Cause::NoUserResponding | Cause::TimerExpired | Cause::UnallocatedNumber => OfferEnd::Unreachable,
            _ => OfferEnd::Failed,
        };
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, "offer-refused", cause.as_str());
            if let Some(item) = c.wish {
                self.wish_refused(now, item, why);
                return self.end_call(now, call, cause);
            }
        }
        // The queue may have taken it back already, when the way was seen to be dead.
        let taken_back = self.queue.offered(offer).is_none();
        self.offer_refused(now, offer, why);
        let state = self.calls.get(&call).map(|c| c.state);
        if let (true, Some(CallState::Waiting(wait))) = (taken_back, state) {
            self.after_offer(now, wait.item);
        }
    }

    /// An agent answered: the caller leaves the queue, unless the offer is stale.
    pub(super) fn offer_answered(&mut self, now: Now, leg: LegId, offer: OfferId) {
        let Some(call) = self.legs.get(&leg).map(|l| l.call) else { return };
        let item = self.queue.offered(offer);
        if !self.queue.accepted(now, offer) {
            self.release_leg(now, leg, Cause::Normal);
            if self.calls.get(&call).is_some_and(|c| c.state == CallState::Alerting) {
                self.end_call(now, call, Cause::Normal);
            }
            return;
        }
        self.by_offer.remove(&offer);
        if let Some(c) = self.calls.get_mut(&call) {
            c.route.clear();
        }
        if let Some(wish) = self.calls.get(&call).and_then(|c| c.wish) {
            return self.wish_accepted(now, call, wish);
        }
        let Some((c, wait)) = self.calls.get_mut(&call).and_then(|c| c.take_wait(now).map(|wait| (c, wait))) else {
            if let Some(item) = item {
                self.queue.finished(now, item);
            }
            return self.release_leg(now, leg, Cause::Normal);
        };
        c.work = Some(wait.item);
        self.call_index.took(wait.item, call);
        self.by_item.remove(&wait.item);
        if let Some(agent) = self.queue.handler(wait.item) {
            self.met(now, call, wait.queue, agent);
        }
        self.work_left(now, wait.item);
        self.connect(now, call, leg);
    }

    /// A caller has waited so long, or waits in vain, that it goes to another queue, if there is one, and keeps its wait. While
    /// an agent is rung it stays; it goes when the agent does not answer.
    pub(crate) fn call_escalates(&mut self, now: Now, item: WorkItemId) {
        if self.queue.offer_of(item).is_none() {
            return self.escalate_call(now, item);
        }
        let call = self.by_item.get(&item).and_then(|call| self.calls.get_mut(call));
        if let Some(CallState::Waiting(wait)) = call.map(|call| &mut call.state) {
            wait.escalates = true;
        }
    }

    fn escalate_call(&mut self, now: Now, item: WorkItemId) {
        let Some(&call) = self.by_item.get(&item) else { return };
        let Some(CallState::Waiting(wait)) = self.calls.get(&call).map(|c| c.state) else { return };
        let to = self.directory.queue(wait.queue).and_then(|queue| queue.escalation).map(|escalation| escalation.to);
        let (Some(to), Some(waited)) = (to, self.queue.waited(now, item)) else { return };
        let excused = self.queue.excused(item);
        let entry = Entry { waited, excused, ..self.voice_entry(now, call, to) };
        self.queue.take_out(now, item);
        self.work_left(now, item);
        if self.queue.enqueue(now, item, entry).is_err() {
            return self.dequeued(now, item, "no-room", QueueExit::Full);
        }
        self.note_escalated(now, call, to);
        if let Some(c) = self.calls.get_mut(&call) {
            c.queue = Some(to);
            c.state = CallState::Waiting(Wait { queue: to, ..wait });
        }
        self.play_treatment(call);
    }

    pub(super) fn note_escalated(&mut self, now: Now, call: CallId, to: QueueId) {
        let name = self.directory.queue(to).map_or(String::new(), |queue| queue.name.clone());
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, "escalated", name);
        }
    }

    /// The caller left the queue without an agent; the flow goes on.
    pub(crate) fn dequeued(&mut self, now: Now, item: WorkItemId, what: &str, exit: QueueExit) {
        if let Some(call) = self.out_of_queue(now, item, what) {
            self.goes_on_from_queue(now, call, exit);
        }
    }

    /// The call of an item that has left its queue is its flow's again.
    pub(super) fn out_of_queue(&mut self, now: Now, item: WorkItemId, what: &str) -> Option<CallId> {
        let call = self.by_item.remove(&item)?;
        self.work_left(now, item);
        let c = self.calls.get_mut(&call)?;
        c.take_wait(now);
        c.note(now, what, "");
        if let Some(port) = self.client_port(call) {
            self.media(MediaCommand::StopPlay { port });
        }
        self.wish_caller_left(now, call);
        Some(call)
    }

    fn agent_changed(&mut self, now: Now, agent: AgentId, status: AgentStatus, reason: String) {
        let Some(entry) = self.directory.agent(agent) else { return };
        let tenant = self.directory.tenant(entry.tenant).map_or(String::new(), |t| t.name.clone());
        let name = entry.name.clone();
        self.agent_counts(now, agent);
        self.look_at_pulse(now, agent);
        let signed_out = status == AgentStatus::Null;
        self.journal(Change::AgentChanged { tenant, agent: name, status, reason, at: now.wall });
        if signed_out {
            self.seat(now, agent, None);
        }
    }

    /// Rings an agent's phone or a target, over SIP or a circuit.
    pub(super) fn dial(&mut self, now: Now, call: CallId, step: &RouteStep, role: Role) -> Result<LegId, Cause> {
        let id = LegId(self.fresh());
        let (signal, port) = match (step.circuit, step.path) {
            (Some(circuit), _) => self.seize(now, circuit, id, &step.number)?,
            (None, Some(path)) => self.invite(now, call, step, path)?,
            (None, None) => return Err(Cause::NoRoute),
        };
        let party = if step.uri.is_empty() { step.number.clone() } else { step.uri.clone() };
        let trunk = step.trunk.map(|t| (t, step.peer.unwrap_or(0)));
        self.insert_leg(
            now,
            id,
            NewLeg { call, role, direction: Direction::Outbound, signal, trunk, party, agent: step.agent },
        );
        self.own_port(id, port);
        Ok(id)
    }
}
