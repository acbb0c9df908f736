//! The end of legs and calls, and the record that remains.
//!
//! `release_leg` only signals and forgets a leg; `leg_gone` (the peer ended it) and `fail_leg` (we do) then draw the
//! consequence for the call in `leg_over`.

use std::time::Duration;

use crate::base::{CallId, Cause, LegId, Now, PortId};
use crate::core::call::cutoff::is_loss;
use crate::core::call::{CallState, Leg, Role, Signal, client_gone_cause};
use crate::core::journal::Change;
use crate::core::media::{MediaCommand, PortStats, ToneKind};
use crate::core::switch::{PortOwner, Switch, Timer};

/// How long an ended call waits for the media plane's measures.
const SETTLE: Duration = Duration::from_secs(2);
/// How long a caller on a circuit hears the tone of a failed call.
const TONE_MAX: Duration = Duration::from_secs(15);

impl Switch {
    /// The peer ended its leg, or its signalling failed: nothing more is to be sent.
    pub(crate) fn leg_gone(&mut self, now: Now, leg: LegId, cause: Cause) {
        let Some(l) = self.legs.get(&leg) else { return };
        let (call, part) = (l.call, (l.role, l.answered));
        self.forget_leg(now, leg, cause);
        self.leg_over(now, call, leg, part, cause);
    }

    /// We end a leg: tells the peer, closes its port, takes it out of all indices.
    pub(crate) fn release_leg(&mut self, now: Now, leg: LegId, cause: Cause) {
        let Some(l) = self.legs.get(&leg) else { return };
        match &l.signal {
            Signal::Sip(sip) => {
                let session = sip.session;
                if let Some(agent) = l.phone {
                    // Until the phone confirms, a new call would find it ringing or talking.
                    self.releasing.insert(session, agent);
                    self.engage(now, agent);
                }
                self.sip.hangup(now, session, cause);
            }
            Signal::Tdm(circuit) => {
                let circuit = *circuit;
                // Detached first: the circuit's own release must not end the leg a second time.
                self.circuit_leg_gone(circuit, leg);
                self.release_circuit(now, circuit, cause);
            }
        }
        self.forget_leg(now, leg, cause);
    }

    fn forget_leg(&mut self, now: Now, leg: LegId, cause: Cause) {
        let Some(l) = self.legs.remove(&leg) else { return };
        self.admission.call_ended(now, leg);
        if let Some(sip) = l.sip() {
            self.by_session.remove(&sip.session);
        }
        if let Role::Agent { offer, .. } = l.role {
            self.by_offer.remove(&offer);
        }
        if let Some(health) = l.trunk.and_then(|(t, _)| self.trunks.get_mut(&t)) {
            health.calls = health.calls.saturating_sub(1);
        }
        if let (Some(agent), false) = (l.phone, matches!(l.role, Role::Agent { .. })) {
            self.disengage(now, agent);
        }
        if let Signal::Tdm(circuit) = l.signal {
            self.circuit_leg_gone(circuit, leg);
        }
        self.close_leg_port(&l);
        if let Some((trunk, _)) = l.trunk {
            self.look_at_door(now, trunk);
        }
        let Some(call) = self.calls.get_mut(&l.call) else { return };
        call.legs.retain(|id| *id != leg);
        let at = call.time(now);
        if let Some(record) = call.leg_record(l.index) {
            record.ended_at = Some(at);
            record.cause = Some(cause);
        }
    }

    fn close_leg_port(&mut self, leg: &Leg) {
        let Some(port) = leg.port else { return };
        self.media(MediaCommand::Close { port });
        self.ports.insert(port, PortOwner::Closing { call: leg.call, index: leg.index });
        if let Some(call) = self.calls.get_mut(&leg.call) {
            call.ports_closing += 1;
        }
    }

    /// We end a leg for a reason of its own, and the call takes the consequence.
    pub(crate) fn fail_leg(&mut self, now: Now, leg: LegId, cause: Cause) {
        let Some(l) = self.legs.get(&leg) else { return };
        let (call, part) = (l.call, (l.role, l.answered));
        self.release_leg(now, leg, cause);
        self.leg_over(now, call, leg, part, cause);
    }

    fn leg_over(&mut self, now: Now, call: CallId, leg: LegId, (role, answered): (Role, bool), cause: Cause) {
        let Some(state) = self.calls.get(&call).map(|c| c.state) else { return };
        match (role, state) {
            (_, CallState::Ending) => {}
            (Role::Client, state) => self.end_call(now, call, client_gone_cause(state, cause)),
            (Role::Agent { agent, .. }, CallState::Talking(party)) if party == leg && is_loss(cause) => {
                self.agent_lost(now, call, agent, cause);
            }
            (_, CallState::Talking(party)) if party == leg => self.end_call(now, call, cause),
            (Role::Agent { .. }, CallState::Referring { from, .. }) if from == leg => self.agent_finished(now, call),
            // The agent does not wait for the client who is called back.
            (Role::Agent { .. }, CallState::Alerting | CallState::Connecting(_) | CallState::Flow) if answered => {
                self.end_call(now, call, cause);
            }
            (Role::Agent { agent, offer }, _) => self.offer_failed(now, call, (agent, offer), cause),
            // It was reached, and left before it was known who it is: another way would ring the same party again.
            (Role::Target, CallState::Connecting(to)) if to == leg && answered => {
                self.target_unreached(now, call, cause);
            }
            (Role::Target, CallState::Connecting(to)) if to == leg => self.target_failed(now, call, cause),
            (Role::Target, CallState::Referring { from, to }) if to == leg => self.refer_failed(now, call, from, cause),
            (Role::Target, _) => {}
        }
    }

    /// The target could not be reached this way: the next one, unless the party itself said no.
    fn target_failed(&mut self, now: Now, call: CallId, cause: Cause) {
        if !is_final_word(cause) && self.try_next_route(now, call).is_ok() {
            return;
        }
        self.target_unreached(now, call, cause);
    }

    /// There is no other way to the target.
    pub(super) fn target_unreached(&mut self, now: Now, call: CallId, cause: Cause) {
        self.transfer_over(now, call, cause);
        self.drain_flow(now, call);
    }

    /// The agent of the call is through with it: wrap-up, or ready.
    pub(super) fn agent_finished(&mut self, now: Now, call: CallId) {
        let Some(c) = self.calls.get_mut(&call) else { return };
        let Some(item) = c.work.take() else { return };
        let goes_on = c.state != CallState::Ending;
        self.call_index.left(item);
        self.queue.finished(now, item);
        if goes_on {
            self.wish_done(now, call, Cause::Normal);
        }
    }

    /// Ends the call: out of the queue, all legs released, record closed.
    pub(crate) fn end_call(&mut self, now: Now, call: CallId, cause: Cause) {
        let Some(c) = self.calls.get_mut(&call) else { return };
        let state = c.state;
        let cause = match state {
            CallState::Ending => return,
            CallState::Toning(cause) => cause,
            _ if self.toned(now, call, cause) => return,
            _ => cause,
        };
        let Some(c) = self.calls.get_mut(&call) else { return };
        let waited = c.take_wait(now);
        c.state = CallState::Ending;
        c.drop_run();
        c.route.clear();
        c.cdr.ended_at = Some(c.time(now));
        c.cdr.cause = Some(cause);
        // Legs first: an agent's phone must count as occupied before the queue can think of the next offer.
        let legs = self.calls.get(&call).map_or(Vec::new(), |c| c.legs.clone());
        for leg in legs {
            self.release_leg(now, leg, leg_cause(cause));
        }
        self.emergency_over(now, call);
        self.agent_finished(now, call);
        self.wish_done(now, call, cause);
        self.wish_caller_left(now, call);
        if let Some(wait) = waited {
            self.by_item.remove(&wait.item);
            self.work_left(now, wait.item);
            self.queue.leave(now, wait.item);
            self.counters.abandoned += u64::from(cause == Cause::Abandoned);
        }
        if self.calls.get(&call).is_some_and(|c| c.ports_closing == 0) {
            self.finish_record(call);
        } else {
            self.arm(now.mono + SETTLE, Timer::Settle(call));
        }
    }

    /// E&M has no backward signal for a call that failed before its answer: the caller hears why, and the circuit stays
    /// taken until it hangs up, or for [`TONE_MAX`]. False: this call ends otherwise.
    fn toned(&mut self, now: Now, call: CallId, cause: Cause) -> bool {
        let tone = match cause {
            Cause::Busy => ToneKind::Busy,
            Cause::Normal | Cause::Abandoned | Cause::NetworkOutOfOrder => return false,
            _ => ToneKind::Congestion,
        };
        let Some(c) = self.calls.get_mut(&call) else { return false };
        let client = self.legs.get(&c.client);
        if self.stopping || !matches!(c.state, CallState::Flow | CallState::Connecting(_)) {
            return false;
        }
        if !client.is_some_and(|l| !l.answered && matches!(l.signal, Signal::Tdm(_))) {
            return false;
        }
        c.state = CallState::Toning(cause);
        c.drop_run();
        c.route.clear();
        let (client, legs) = (c.client, c.legs.clone());
        for leg in legs.into_iter().filter(|leg| *leg != client) {
            self.release_leg(now, leg, cause);
        }
        self.client_tone(call, tone);
        self.arm(now.mono + TONE_MAX, Timer::ToneEnd(call));
        true
    }

    /// The media plane closed a port: its measures go into the record.
    pub(super) fn port_closed(&mut self, port: PortId, stats: PortStats) {
        let Some(PortOwner::Closing { call, index }) = self.ports.remove(&port) else { return };
        let Some(c) = self.calls.get_mut(&call) else { return };
        if let Some(record) = c.leg_record(index) {
            record.media = Some(stats);
        }
        c.ports_closing = c.ports_closing.saturating_sub(1);
        if c.state == CallState::Ending && c.ports_closing == 0 {
            self.finish_record(call);
        }
    }

    /// Writes the complete record and forgets the call.
    pub(crate) fn finish_record(&mut self, call: CallId) {
        if self.calls.get(&call).is_none_or(|c| c.state != CallState::Ending) {
            return;
        }
        let Some(mut c) = self.calls.remove(&call) else { return };
        self.call_index.ended(&c);
        self.set_traced(call, c.cdr.trace, false);
        c.cdr.settle_answer();
        self.counters.calls_lost.add(c.lost());
        self.journal(Change::CallEnded { cdr: Box::new(c.cdr) });
    }

    /// Timer, or a second order to stop: nothing may go on.
    pub(crate) fn release_all(&mut self, now: Now) {
        let mut calls: Vec<CallId> = self.calls.keys().copied().collect();
        calls.sort_unstable();
        for call in calls {
            self.end_call(now, call, Cause::Interrupted);
        }
    }
}

/// Whether the party itself said no, so that another way to it would bring the same.
pub(super) fn is_final_word(cause: Cause) -> bool {
    matches!(cause, Cause::Busy | Cause::NoAnswer | Cause::Rejected | Cause::UnallocatedNumber)
}

/// What the parties of an ended call are told.
fn leg_cause(cause: Cause) -> Cause {
    match cause {
        Cause::Abandoned => Cause::Normal,
        other => other,
    }
}
