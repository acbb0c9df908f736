//! Calling clients back: what a caller's flow asks for, and the call that a wish makes once an agent is offered it.
//!
//! The agent's phone rings first. Once it is answered the try is put on record; when that is durable the client is dialled by
//! the tenant's routes, and takes the client's part of the call when it answers. From there on the call is one like any
//! other that a queue brought to an agent.

use std::time::Duration;

use crate::base::{
    AgentId, CallId, Cause, DialString, Instant, LegId, Medium, Now, OfferId, QueueId, Timestamp, WorkItemId,
};
use crate::core::call::wants::client_of;
use crate::core::call::{CallState, Redial, Role};
use crate::core::contact::callback::{Callback, Unwanted};
use crate::core::contact::{Discovery, Origin as Found, Work};
use crate::core::ivr::{CallbackResult, Input as FlowInput};
use crate::core::journal::Direction;
use crate::core::media::MediaCommand;
use crate::core::queue::OfferEnd;
use crate::core::switch::{Output, Switch};
use crate::proto::sip::Origin;

/// Seconds that the client's phone may ring.
const RING_S: u32 = 45;

/// A place that a caller had in a queue and left by a key: it is kept for whatever the caller does next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stood {
    queue: QueueId,
    waited: Duration,
    left: Instant,
}

/// A caller asks to be called back, or leaves the queue by a key.
impl Switch {
    /// The caller pressed a key that leads out of the queue. Its flow goes on by itself.
    pub(super) fn leave_queue(&mut self, now: Now, call: CallId) {
        let Some(c) = self.calls.get(&call) else { return };
        let CallState::Waiting(wait) = c.state else { return };
        let waited = self.queue.waited(now, wait.item).unwrap_or_default();
        self.queue.take_out(now, wait.item);
        self.out_of_queue(now, wait.item, "left-by-key");
        if let Some(c) = self.calls.get_mut(&call) {
            c.stood = Some(Stood { queue: wait.queue, waited, left: now.mono });
        }
    }

    /// How long a caller has waited for a queue already: before it left by a key, or for the call-back that it asked for.
    pub(super) fn place_of(&mut self, now: Now, call: CallId, queue: QueueId) -> Option<Duration> {
        let c = self.calls.get_mut(&call)?;
        let stood = c.stood.take().filter(|stood| stood.queue == queue);
        let stood = stood.map(|stood| stood.waited + now.mono.since(stood.left));
        let client = client_of(c);
        let wished = client.and_then(|client| self.wish_comes(now, (queue, &client), call));
        stood.max(wished)
    }

    /// The flow's caller wishes to be called back.
    pub(super) fn ask_callback(
        &mut self,
        now: Now,
        call: CallId,
        (queue, number): (&str, &str),
        due_at: Option<Timestamp>,
    ) {
        // Callers' numbers begin with a plus where they are international; a prefix before it is meant for a trunk.
        let number: String = number.char_indices().filter(|(at, c)| *at == 0 || *c != '+').map(|(_, c)| c).collect();
        let result = self.wish_of(now, call, (queue, &number), due_at);
        if let (Err(unwanted), Some(call)) = (&result, self.calls.get(&call)) {
            self.works.count_refused(&call.cdr.tenant, *unwanted);
        }
        let (what, result) = match result {
            Ok((id, result)) => (id.to_string(), result),
            Err(unwanted) if unwanted.is_full() => (unwanted.to_string(), CallbackResult::Full),
            Err(unwanted) => (unwanted.to_string(), CallbackResult::Refused),
        };
        self.counters.callbacks_refused += u64::from(result == CallbackResult::Full);
        let kept = matches!(result, CallbackResult::Taken | CallbackResult::Known);
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, if kept { "callback" } else { "callback-refused" }, what);
            c.promised = kept.then_some(result);
        }
        self.journal_progress(call);
        if kept {
            self.emit(Output::Commit(call));
        } else {
            self.feed_flow(now, call, FlowInput::CallbackDone(result));
        }
    }

    fn wish_of(
        &mut self,
        now: Now,
        call: CallId,
        (queue, number): (&str, &str),
        due_at: Option<Timestamp>,
    ) -> Result<(WorkItemId, CallbackResult), Unwanted> {
        let tenant = self.calls.get(&call).and_then(|c| c.tenant).ok_or(Unwanted::NoQueue)?;
        if let Some(known) = self.check_wish(tenant, queue, number)? {
            let agreed = due_at.is_some_and(|due_at| self.wish_agreed(now, known, due_at));
            return Ok((known, if agreed { CallbackResult::Taken } else { CallbackResult::Known }));
        }
        let c = self.calls.get(&call).ok_or(Unwanted::NoQueue)?;
        if let Some(client) = client_of(c) {
            self.check_asker(&c.cdr.tenant, &client)?;
        }
        let entry = self.directory.queue_by_name(tenant, queue).map(|entry| entry.id).ok_or(Unwanted::NoQueue)?;
        let attributes = self.attributes_of(call);
        let id = self.fresh_work(now);
        let c = self.calls.get_mut(&call).ok_or(Unwanted::NoQueue)?;
        let stood = c.stood.take_if(|stood| stood.queue == entry);
        let waited = stood.map_or(Duration::ZERO, |stood| stood.waited + now.mono.since(stood.left));
        let dialled = self.directory.number(c.cdr.to.as_str()).filter(|(owner, _)| *owner == tenant);
        let own = self.directory.caller_id(tenant).and_then(|number| DialString::new(number).ok());
        let arrived_at = Timestamp(now.wall.0.saturating_sub(i64::try_from(waited.as_millis()).unwrap_or(0)));
        let work = Work {
            client: Some(client_of(c).unwrap_or_else(|| number.to_owned()).into()),
            discoveries: Discovery::of_all(&attributes, now.wall, Found::Flow),
            attributes,
            callback: Some(Callback {
                number: number.to_owned().into(),
                shown_as: dialled.map(|_| c.cdr.to.clone()).or(own).unwrap_or_default(),
                asked_in: Some(call),
                tries: 0,
                call: None,
                retry_at: None,
                reached: false,
            }),
            ..Work::new(id, (&c.cdr.tenant, queue), Medium::Voice, arrived_at, due_at)
        };
        self.take_wish(now, work, stood.is_some()).map(|id| (id, CallbackResult::Taken))
    }
}

/// The call that a wish makes.
impl Switch {
    /// The queue reserved an agent for a wish: ring the agent's phone.
    pub(super) fn wish_offered(&mut self, now: Now, offer: OfferId, item: WorkItemId, agent: AgentId) {
        if self.queue.offered(offer) != Some(item) {
            return;
        }
        if self.stopping {
            return self.wish_rests(now, item);
        }
        self.work_offered(now, offer, item, agent);
        self.ring_for_wish(now, Redial::first(offer, item, agent));
    }

    /// Rings the agent's phone, if it is still asked.
    pub(super) fn ring_for_wish(&mut self, now: Now, redial: Redial) {
        let Redial { offer, item, agent, .. } = redial;
        if self.queue.offered(offer) != Some(item) {
            return;
        }
        if !self.wish_stands(now, item) {
            return;
        }
        if self.calls.len() >= self.provision.sip.calls_max as usize {
            self.counters.calls_refused += 1;
            return self.wish_postponed(now, item, Cause::ResourceUnavailable.as_str());
        }
        let Some(call) = self.wish_call(now, item) else { return };
        match self.ring_by_ways(now, call, agent, offer) {
            Ok(leg) => {
                if let Some(c) = self.calls.get_mut(&call) {
                    c.client = leg;
                }
                self.wish_rings(item, call);
                self.journal_start(call);
            }
            Err(cause) => {
                // No call came of it.
                let gone = self.calls.remove(&call);
                self.set_traced(call, gone.and_then(|c| c.cdr.trace), false);
                match cause {
                    Cause::ResourceUnavailable if self.rings_again(now, redial) => {}
                    // Or the tenant may have no circuit for it now.
                    Cause::ResourceUnavailable | Cause::NoCircuit => self.wish_postponed(now, item, cause.as_str()),
                    _ => self.wish_refused(now, item, OfferEnd::Unreachable),
                }
            }
        }
    }

    /// A call without a party yet. The agent sees the client's number; the client is shown the tenant's.
    fn wish_call(&mut self, now: Now, item: WorkItemId) -> Option<CallId> {
        let work = self.works.get(item)?.work.clone();
        let callback = work.callback?;
        let tenant = self.directory.tenant_by_name(&work.tenant)?.id;
        let queue = self.directory.queue_by_name(tenant, &work.queue)?.id;
        let number = DialString::new(callback.number.into_inner()).ok()?;
        let asserted = Some(callback.shown_as.clone()).filter(|number| !number.is_empty());
        let origin = Origin { asserted, ..Origin::default() };
        let nobody = LegId(self.fresh());
        let call = self.insert_call(now, (callback.shown_as, number.clone()), Direction::Outbound, origin, nobody);
        let c = self.calls.get_mut(&call)?;
        c.tenant = Some(tenant);
        c.queue = Some(queue);
        c.wish = Some(item);
        c.state = CallState::Alerting;
        c.shown_as = number;
        c.note(now, "callback", item.to_string());
        Some(call)
    }

    /// The agent answered: the client is rung once that is durable.
    pub(super) fn wish_accepted(&mut self, now: Now, call: CallId, item: WorkItemId) {
        let agent = self.queue.handler(item).map_or(String::new(), |agent| self.called_for(agent, item));
        let Some(what) = self.wish_tried(now, item, &agent) else { return };
        if let Some(c) = self.calls.get_mut(&call) {
            c.work = Some(item);
            self.call_index.took(item, call);
            c.cdr.agent = Some(agent);
            c.note(now, "try", what);
        }
        self.journal_progress(call);
        self.emit(Output::Commit(call));
    }

    /// What was to be durable is: the caller is told that it will be called back, or the client of the try is dialled, unless the
    /// agent has hung up.
    pub(crate) fn committed(&mut self, now: Now, call: CallId) {
        let Some(c) = self.calls.get_mut(&call) else { return };
        if let Some(result) = c.promised.take() {
            self.feed_flow(now, call, FlowInput::CallbackDone(result));
            return self.drain_flow(now, call);
        }
        let Some(item) = c.work.filter(|_| c.state == CallState::Alerting) else { return };
        if !self.wish_stands(now, item) {
            return;
        }
        let Some(c) = self.calls.get_mut(&call) else { return };
        let number = c.cdr.to.as_str().to_owned();
        c.shown_as = c.cdr.from.clone();
        let route = self.routes_outside(now, &number, RING_S);
        self.dial_target(now, call, route);
    }

    /// The client answered: it is the call's client from now on, and talks to the agent.
    pub(super) fn wish_answered(&mut self, now: Now, call: CallId, leg: LegId) -> bool {
        let Some(c) = self.calls.get_mut(&call) else { return false };
        let Some(item) = c.wish.filter(|_| c.client != leg) else { return false };
        let agent = std::mem::replace(&mut c.client, leg);
        // Whoever is told of the caller from here on is told of the client.
        c.shown_as = c.cdr.to.clone();
        c.origin = Origin::default();
        if let Some(l) = self.legs.get_mut(&leg) {
            l.role = Role::Client;
        }
        if let Some(port) = self.legs.get(&agent).and_then(|l| l.port) {
            self.media(MediaCommand::StopPlay { port });
        }
        self.wish_reached(now, item);
        self.connect(now, call, agent);
        true
    }

    /// The call is over, or its agent is through with it: so is the wish.
    pub(super) fn wish_done(&mut self, now: Now, call: CallId, cause: Cause) {
        let Some(c) = self.calls.get_mut(&call) else { return };
        let Some(item) = c.wish.take() else { return };
        let dialled = c.cdr.legs.iter().any(|leg| leg.agent.is_none());
        self.wish_over(now, (item, call), cause, dialled);
    }
}
