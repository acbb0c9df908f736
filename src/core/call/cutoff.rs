//! Callers whose agent is lost: a conversation whose way to the agent dies goes back to its queue, at its place.
//!
//! A circuit in alarm and a SIP session that fails end the agent's leg by themselves. Where a phone or a peer answers no question any
//! more, its audio is the last sign of life: who is not heard either is given up.

use crate::base::{AgentId, CallId, Cause, LegId, Medium, Now, PortId, QueueId, WorkItemId};
use crate::core::call::{CallState, Leg, Role, Signal, Wait};
use crate::core::contact::work::CUT_OFF;
use crate::core::ivr::{Input as FlowInput, QueueExit};
use crate::core::media::MediaCommand;
use crate::core::queue::Entry;
use crate::core::switch::{PortOwner, Switch};
use crate::core::tenant::provision::Unservable;
use crate::core::trunk::tdm::CircuitEntry;

/// How often a caller goes back to its queue; then it goes where those go whom nobody could serve.
const CUT_OFFS_MAX: u8 = 3;

/// Whether a leg ended because the way to its party failed, and no one has hung up.
pub(super) fn is_loss(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::NetworkOutOfOrder
            | Cause::OutOfOrder
            | Cause::TemporaryFailure
            | Cause::TimerExpired
            | Cause::NoUserResponding
    )
}

impl Switch {
    /// The way to the agent who talked is lost, and the leg gone. A caller who came by a queue goes back there; any other call ends.
    pub(super) fn agent_lost(&mut self, now: Now, call: CallId, agent: AgentId, cause: Cause) {
        let Some((item, queue)) = self.goes_back(call) else { return self.end_call(now, call, cause) };
        let name = self.agent_name(agent).unwrap_or_default();
        self.counters.cut_offs += 1;
        self.stop_recording(call);
        let Some(c) = self.calls.get_mut(&call) else { return };
        c.note(now, CUT_OFF, format!("{name}: {cause}"));
        c.work = None;
        self.call_index.left(item);
        c.cut_offs = c.cut_offs.saturating_add(1);
        let (often, wish) = (c.cut_offs > CUT_OFFS_MAX, c.wish);
        let back = if often { self.leads_on(queue) } else { Some(queue) };
        // A client who was called back has been: what goes on is a call like any other.
        let to = if wish.is_some() { self.fresh_work(now) } else { item };
        let back = back.map(|queue| (queue, self.entry_again(now, call, queue)));
        let waits = self.queue.cut_off(now, item, back.clone().map(|(_, entry)| (to, entry)));
        self.wish_done(now, call, Cause::Normal);
        match back.filter(|_| waits) {
            Some((queue, _)) => {
                if often {
                    self.note_escalated(now, call, queue);
                }
                self.waits_again(now, call, to, queue);
            }
            None => self.leaves_cut_off(now, call),
        }
    }

    /// The item and the queue of a caller who is there, whatever becomes of the agent.
    fn goes_back(&self, call: CallId) -> Option<(WorkItemId, QueueId)> {
        let c = self.calls.get(&call)?;
        let client = self.legs.get(&c.client).filter(|l| l.role == Role::Client && l.answered)?;
        c.work.zip(c.queue).filter(|_| !self.is_way_dead(client))
    }

    /// What the queue needs of a caller who comes back.
    fn entry_again(&mut self, now: Now, call: CallId, queue: QueueId) -> Entry {
        let wish = self.calls.get(&call).and_then(|c| c.wish).filter(|_| self.directory.queue(queue).is_some());
        match wish.and_then(|wish| self.entry_of(now, wish)) {
            Some(entry) => Entry { overflows: true, queue, ..entry },
            None => self.voice_entry(now, call, queue),
        }
    }

    fn waits_again(&mut self, now: Now, call: CallId, item: WorkItemId, queue: QueueId) {
        self.by_item.insert(item, call);
        if let Some(c) = self.calls.get_mut(&call) {
            c.queue = Some(queue);
            c.state = CallState::Waiting(Wait { item, queue, since: now, announcement: None, escalates: false });
        }
        self.play_treatment(call);
        self.journal_progress(call);
    }

    /// Where those go whom nobody of a queue could serve, if that is another queue.
    fn leads_on(&self, queue: QueueId) -> Option<QueueId> {
        let escalates = self.unservable_rule(queue, Medium::Voice) == Unservable::Escalate;
        let escalation = self.directory.queue(queue).filter(|_| escalates)?.escalation?;
        Some(escalation.to)
    }

    /// The caller was cut off too often, or its queue is gone: the flow goes on, if there is one.
    fn leaves_cut_off(&mut self, now: Now, call: CallId) {
        let Some(c) = self.calls.get_mut(&call) else { return };
        c.state = CallState::Flow;
        c.note(now, "overflow", "");
        self.journal_progress(call);
        self.goes_on_from_queue(now, call, QueueExit::Overflow);
    }

    /// A caller is out of the queue without an agent. A call that has no flow (any more) is over.
    pub(super) fn goes_on_from_queue(&mut self, now: Now, call: CallId, exit: QueueExit) {
        match self.calls.get(&call).map(|c| c.run.is_some()) {
            Some(true) => self.run_flow(now, call, FlowInput::Dequeued(exit)),
            _ => self.end_call(now, call, Cause::NoAnswer),
        }
    }

    /// Whether the way to a leg's party is known to be dead.
    fn is_way_dead(&self, leg: &Leg) -> bool {
        match (&leg.signal, leg.trunk, leg.phone) {
            (Signal::Tdm(circuit), ..) => self.circuits.get(circuit).is_none_or(CircuitEntry::blocked),
            // By which of its peers it came nobody knows.
            (_, Some((trunk, _)), _) if leg.role == Role::Client => {
                self.directory.trunk(trunk).is_some_and(|entry| self.is_silent(entry))
            }
            (_, Some((trunk, peer)), _) => {
                self.trunks.get(&trunk).and_then(|health| health.peers.get(peer)).is_some_and(|peer| peer.down)
            }
            (_, None, Some(agent)) => self.pulses.is_down(agent),
            (_, None, None) => false,
        }
    }

    /// Ways have died: whether the agents who talk over them are heard is asked.
    pub(crate) fn heed_agents(&mut self, over: impl Fn(&Leg) -> bool) {
        let talks = |l: &&Leg| matches!(l.role, Role::Agent { .. }) && l.answered && l.sip().is_some();
        let mut ports: Vec<PortId> =
            self.legs.values().filter(talks).filter(|l| over(l)).filter_map(|l| l.port).collect();
        ports.sort_unstable();
        ports.into_iter().for_each(|port| self.media(MediaCommand::HeedSilence { port }));
    }

    /// An agent talks whose phone is asked now and then whether it lives: silence is a reason to ask at once.
    pub(super) fn heed_phone(&mut self, leg: LegId) {
        let Some(l) = self.legs.get(&leg).filter(|l| matches!(l.role, Role::Agent { .. }) && l.trunk.is_none()) else {
            return;
        };
        if let (Some(port), true) = (l.port, l.phone.is_some_and(|agent| self.pulses.has(agent))) {
            self.media(MediaCommand::HeedSilence { port });
        }
    }

    /// An agent's port hears nothing any more.
    pub(super) fn unheard(&mut self, now: Now, port: PortId) {
        let Some(&PortOwner::Leg(leg)) = self.ports.get(&port) else { return };
        let Some(l) = self.legs.get(&leg).filter(|l| matches!(l.role, Role::Agent { .. })) else { return };
        if !self.is_way_dead(l) {
            if let (Some(agent), None) = (l.phone, l.trunk) {
                self.phone_doubted(now, agent);
            }
            return;
        }
        let call = l.call;
        let talks = self.calls.get(&call).is_some_and(|c| c.state == CallState::Talking(leg));
        // Where nobody is left who could be helped, the way may yet come back.
        if talks && self.goes_back(call).is_some() {
            self.unoccupy(leg);
            self.fail_leg(now, leg, Cause::NetworkOutOfOrder);
        }
    }
}
