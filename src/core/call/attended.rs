//! Attended transfer: a REFER whose Refer-To carries Replaces joins two calls of one phone (RFC 3515, RFC 3891, RFC 5589
//! section 7), and an INVITE with Replaces takes over a leg. Who may: a phone the dialogs that end at it; any phone of
//! the tenant a call that rings at a colleague's; a trunk's peer the dialogs of that trunk. Nobody else.

use crate::base::{CallId, Cause, DialString, LegId, Now};
use crate::core::call::{CallState, LEGS_PER_CALL_MAX, NewLeg, Role, Signal, SipLeg};
use crate::core::journal::{Direction, LegRecord};
use crate::core::media::MediaCommand;
use crate::core::switch::Switch;
use crate::core::trunk::auth::Source;
use crate::proto::sip::{Incoming, Origin, SessionId};

/// What an attended transfer comes to.
pub(super) enum Joined {
    /// The two parties talk.
    Talking,
    /// The consulted party still rings.
    Ringing,
    /// The consulted number is a flow's, or the party still waits there: the client goes to it from its beginning.
    Again(String),
}

impl Switch {
    /// Whether a phone may hand over between these two of its calls.
    ///
    /// # Errors
    /// The SIP status that refuses the REFER.
    pub(super) fn may_refer_attended(&self, from: LegId, replaced: LegId) -> Result<(), u16> {
        let (Some(a), Some(b)) = (self.legs.get(&from), self.legs.get(&replaced)) else { return Err(481) };
        let tenant = |call| self.calls.get(&call).and_then(|c| c.tenant);
        if a.phone.is_none() || a.phone != b.phone || a.call == b.call || tenant(a.call) != tenant(b.call) {
            return Err(403);
        }
        self.partner(from).map(|_| ()).ok_or(603)
    }

    /// The party `from` hands its partner over to the partner it has in the call of `replaced`.
    ///
    /// # Errors
    /// The SIP status that refuses the REFER.
    pub(super) fn refer_attended(&mut self, now: Now, from: LegId, replaced: LegId) -> Result<Joined, u16> {
        let partner = self.partner(from).ok_or(603u16)?;
        let Some(consulted) = self.partner(replaced) else { return self.refer_unanswered(now, from, replaced) };
        // The call whose client stays goes on; an agent never becomes the client of another call.
        let stays_client = |leg: LegId| self.legs.get(&leg).is_some_and(|l| l.role == Role::Client);
        let agent = |leg: LegId| self.legs.get(&leg).is_some_and(|l| matches!(l.role, Role::Agent { .. }));
        let (stays, goes, moves) = if stays_client(partner) {
            (from, replaced, consulted)
        } else if stays_client(consulted) {
            (replaced, from, partner)
        } else if !agent(partner) {
            (from, replaced, consulted)
        } else if !agent(consulted) {
            (replaced, from, partner)
        } else {
            return Err(603);
        };
        if stays_client(moves) && self.legs.get(&moves).is_some_and(|l| l.answered) {
            // Both parties called us: the one that moves is a party like any other from now on.
            self.set_role(moves, Role::Target);
        }
        self.join_calls(now, stays, goes, moves)
    }

    /// The consulted party has not answered: ringing goes on in the client's call; a flow is entered anew.
    fn refer_unanswered(&mut self, now: Now, from: LegId, replaced: LegId) -> Result<Joined, u16> {
        let call = self.legs.get(&from).map(|l| l.call).ok_or(481u16)?;
        let other = self.legs.get(&replaced).map(|l| l.call).ok_or(481u16)?;
        // Who is being called back is nobody else's party yet: the try would end, and the client be called again.
        let state = self.calls.get(&other).filter(|c| c.wish.is_none()).map(|c| c.state);
        match state {
            Some(CallState::Connecting(to)) => {
                self.lead(call, from)?;
                self.move_leg(now, to, call)?;
                // Not before: where the transfer is refused, the consulted call needs its other ways.
                let route = self.calls.get_mut(&other).map(|c| std::mem::take(&mut c.route)).unwrap_or_default();
                self.unbridge_all(call);
                if let Some(c) = self.calls.get_mut(&call) {
                    c.route = route;
                    c.state = CallState::Referring { from, to };
                    c.note(now, "transferred", format!("to call {other}"));
                }
                self.end_transferred(now, other, call);
                self.client_tone(call, crate::core::media::ToneKind::Ringback);
                Ok(Joined::Ringing)
            }
            Some(CallState::Flow | CallState::Waiting(_)) => {
                let number = self.calls.get(&other).map(|c| c.cdr.to.as_str().to_owned()).ok_or(481u16)?;
                self.lead(call, from)?;
                self.end_transferred(now, other, call);
                Ok(Joined::Again(number))
            }
            _ => Err(603),
        }
    }

    /// Makes the partner of `from` the client of the call, where `from` is it: an agent who dialled out hands over.
    ///
    /// # Errors
    /// 603 where there is no partner, or it is an agent whom the queue sent.
    pub(super) fn lead(&mut self, call: CallId, from: LegId) -> Result<(), u16> {
        if self.calls.get(&call).is_none_or(|c| c.client != from) {
            return Ok(());
        }
        let partner = self.partner(from).ok_or(603u16)?;
        if self.legs.get(&partner).is_none_or(|l| l.role != Role::Target) {
            return Err(603);
        }
        self.set_role(partner, Role::Client);
        self.set_role(from, Role::Target);
        if let Some(c) = self.calls.get_mut(&call) {
            c.client = partner;
            c.state = CallState::Talking(from);
        }
        Ok(())
    }

    /// Whom a leg talks to, or is about to: who was called, and is looked at yet, has answered.
    fn partner(&self, leg: LegId) -> Option<LegId> {
        let call = self.calls.get(&self.legs.get(&leg)?.call)?;
        let party = match call.state {
            CallState::Talking(party) => party,
            CallState::Connecting(to) if self.legs.get(&to).is_some_and(|l| l.answered) => to,
            _ => return None,
        };
        match leg {
            _ if leg == party => Some(call.client),
            _ if leg == call.client => Some(party),
            _ => None,
        }
    }

    fn join_calls(&mut self, now: Now, stays: LegId, goes: LegId, moves: LegId) -> Result<Joined, u16> {
        let call = self.legs.get(&stays).map(|l| l.call).ok_or(481u16)?;
        let other = self.legs.get(&goes).map(|l| l.call).ok_or(481u16)?;
        self.lead(call, stays)?;
        self.move_leg(now, moves, call)?;
        self.unbridge_all(call);
        let moved_agent = matches!(self.legs.get(&moves).map(|l| l.role), Some(Role::Agent { .. }));
        let brought = self.calls.get_mut(&other).map(|c| (moved_agent.then(|| c.work.take()).flatten(), c.queue));
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, "transferred", format!("to the party of call {other}"));
            c.state = CallState::Talking(moves);
        }
        // As with a blind transfer: the phone must count as in use before the queue thinks of the next offer.
        self.notify_referrer(now, stays, 200);
        self.notify_referrer(now, goes, 200);
        self.end_transferred(now, other, call);
        self.release_referrer(now, call, stays);
        if let Some((Some(work), queue)) = brought {
            self.call_index.left(work);
            if let Some(c) = self.calls.get_mut(&call) {
                c.work = Some(work);
                self.call_index.took(work, call);
                c.queue = queue;
            }
        }
        self.connect(now, call, moves);
        Ok(Joined::Talking)
    }

    /// The call that a transfer emptied ends.
    fn end_transferred(&mut self, now: Now, call: CallId, into: CallId) {
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, "transferred", format!("into call {into}"));
        }
        self.end_call(now, call, Cause::Normal);
    }

    /// A leg goes on in another call: its record ends here and begins there.
    fn move_leg(&mut self, now: Now, leg: LegId, call: CallId) -> Result<(), u16> {
        if self.calls.get(&call).is_none_or(|c| c.cdr.legs.len() >= LEGS_PER_CALL_MAX) {
            return Err(603);
        }
        let Some(l) = self.legs.get_mut(&leg) else { return Err(481) };
        let Some(old) = self.calls.get_mut(&l.call) else { return Err(481) };
        old.legs.retain(|id| *id != leg);
        let Some(record) = old.leg_record(l.index) else { return Err(481) };
        record.ended_at = Some(now.wall);
        record.cause = Some(Cause::Normal);
        let record = LegRecord { ended_at: None, cause: None, media: None, started_at: now.wall, ..record.clone() };
        let answered_at = l.answered.then_some(now.wall);
        let Some(new) = self.calls.get_mut(&call) else { return Err(481) };
        let index = new.cdr.legs.len();
        new.legs.push(leg);
        new.cdr.legs.push(LegRecord { leg: u16::try_from(index).unwrap_or(u16::MAX), answered_at, ..record });
        (l.call, l.index) = (call, index);
        Ok(())
    }

    /// Takes every port of a call out of what it hears.
    fn unbridge_all(&mut self, call: CallId) {
        let legs = self.calls.get(&call).map_or(Vec::new(), |c| c.legs.clone());
        for port in legs.iter().filter_map(|leg| self.legs.get(leg)?.port).collect::<Vec<_>>() {
            self.media(MediaCommand::Unbridge { port });
            self.media(MediaCommand::StopPlay { port });
        }
    }

    /// Changes a leg's part. Whether its phone counts as in use does not change by it.
    fn set_role(&mut self, leg: LegId, role: Role) {
        debug_assert!(!matches!(role, Role::Agent { .. }), "only an offer makes an agent's leg");
        if let Some(l) = self.legs.get_mut(&leg) {
            l.role = role;
        }
    }

    /// An INVITE with Replaces (RFC 3891): the caller takes the place of a leg of ours.
    pub(crate) fn replace(&mut self, now: Now, source: Source, incoming: Incoming, replaced: SessionId) {
        let session = incoming.session;
        let Some(&old) = self.by_session.get(&replaced) else {
            return self.sip.reject(now, session, 481, None, None);
        };
        if !self.may_replace(source, old) {
            self.counters.calls_refused += 1;
            return self.sip.reject(now, session, 403, Some(Cause::Barred), None);
        }
        let party = match source {
            Source::Trunk(trunk) => (Some(trunk), None),
            Source::Phone(agent) => (None, Some(agent)),
            Source::Challenge | Source::Misnamed | Source::Stranger => (None, None),
        };
        let Some(sip) = self.sip_leg(now, &incoming, party) else { return };
        let named = self.admit_origin(&incoming, party);
        if let Err(cause) = self.take_place(now, source, sip, named, old) {
            self.sip.reject(now, session, cause.sip_status(), Some(cause), None);
        }
    }

    fn may_replace(&self, source: Source, old: LegId) -> bool {
        let Some(leg) = self.legs.get(&old) else { return false };
        match source {
            Source::Trunk(trunk) => leg.trunk.is_some_and(|(t, _)| t == trunk),
            Source::Phone(agent) if leg.phone == Some(agent) => leg.answered,
            // Taking a call that rings at a colleague's phone.
            Source::Phone(agent) => {
                let tenant = |agent| self.directory.agent(agent).map(|a| a.tenant);
                let same = leg.phone.is_some_and(|colleague| tenant(colleague) == tenant(agent));
                same && !leg.answered && leg.role == Role::Target
            }
            Source::Challenge | Source::Misnamed | Source::Stranger => false,
        }
    }

    fn take_place(
        &mut self,
        now: Now,
        source: Source,
        sip: SipLeg,
        (origin, shown_as): (Origin, DialString),
        old: LegId,
    ) -> Result<(), Cause> {
        let l = self.legs.get(&old).ok_or(Cause::TemporaryFailure)?;
        let (call, role, answered) = (l.call, l.role, l.answered);
        let c = self.calls.get(&call).ok_or(Cause::TemporaryFailure)?;
        let (client, state) = (c.client, c.state);
        // What is under way for an unanswered client, or in a transfer, is not to be taken over half-way.
        let settled = match state {
            CallState::Talking(party) => old == client || old == party,
            CallState::Connecting(to) => old == to && !answered,
            _ => false,
        };
        if !settled || c.cdr.legs.len() >= LEGS_PER_CALL_MAX {
            return Err(Cause::Busy);
        }
        let (trunk, agent) = match source {
            Source::Trunk(trunk) => (Some((trunk, 0)), None),
            Source::Phone(agent) => (None, Some(agent)),
            Source::Challenge | Source::Misnamed | Source::Stranger => return Err(Cause::Barred),
        };
        let id = LegId(self.fresh());
        let session = sip.session;
        let signal = Signal::Sip(Box::new(sip));
        let party = shown_as.as_str().to_owned();
        self.insert_leg(now, id, NewLeg { call, role, direction: Direction::Inbound, signal, trunk, party, agent });
        let answer = match self.open_media(id) {
            Ok(answer) => answer,
            Err(cause) => {
                self.release_leg(now, id, cause);
                return Ok(());
            }
        };
        self.sip.accept(now, session, answer);
        self.mark_answered(now, id);
        let recorded = old == client && self.calls.get(&call).is_some_and(|c| c.recording);
        if recorded {
            self.stop_recording(call);
        }
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, "replaced", "");
            c.route.clear();
            if old == client {
                // RFC 3325 section 5: what is asserted from now on, and what is withheld, is the new client's. The call's
                // way to us stays.
                let Origin { diversions, history_private, max_forwards, .. } = std::mem::take(&mut c.origin);
                c.origin = Origin { diversions, history_private, max_forwards, ..origin };
                c.shown_as = shown_as;
            }
            match state {
                CallState::Talking(party) if old == client => (c.client, c.state) = (id, CallState::Talking(party)),
                _ => c.state = CallState::Talking(id),
            }
        }
        self.release_leg(now, old, Cause::Normal);
        if let Some(CallState::Talking(party)) = self.calls.get(&call).map(|c| c.state) {
            self.connect(now, call, party);
        }
        Ok(())
    }
}
