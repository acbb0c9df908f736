//! Reliable provisional responses (RFC 3262), both ways.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use sip_codec::rel::RAck;
use sip_codec::{HeaderName, Headers, Request, Response, TypedHeader};

use crate::base::{Cause, Instant};

use super::dialog::{Dialog, Draft};
use super::message::{Head, Reply, lists, number, phrase, sdp};
use super::reinvite::Kind;
use super::session::{Io, Phase, Session};
use super::transaction::{Owner, ServerId, T1, TIMEOUT};
use super::types::Event;
use super::wire::earlier;

/// Provisional responses that wait for the PRACK of the one before.
const QUEUE_MAX: usize = 4;

/// A reliable provisional response of ours without its PRACK.
#[derive(Debug)]
struct Pending {
    rseq: u32,
    cseq: u32,
    described: bool,
    bytes: Bytes,
    pause: Duration,
    retransmit: Instant,
    give_up: Instant,
}

/// What a session that we were called in has sent reliably.
#[derive(Debug, Default)]
pub(super) struct Reliable {
    supported: bool,
    required: bool,
    rseq: u32,
    pending: Option<Pending>,
    queue: VecDeque<(u16, Option<Bytes>)>,
    /// The owner's answer waits for the PRACK of a description (RFC 3262 section 3).
    accept: Option<Bytes>,
    /// A description of ours went out reliably: none follows it in a response to this INVITE.
    pub described: bool,
    /// That description is an offer whose answer has not come yet.
    pub answer_due: bool,
}

impl Reliable {
    /// As the INVITE's headers say. `first` is the first RSeq, 1 to 2^31-1 (RFC 3262 section 3).
    pub fn new(headers: &Headers, first: u32) -> Self {
        let required = lists(headers, &HeaderName::Require, b"100rel");
        let supported = required || lists(headers, &HeaderName::Supported, b"100rel");
        Self { supported, required, rseq: (first >> 1).max(1), ..Self::default() }
    }

    pub fn is_supported(&self) -> bool {
        self.supported
    }

    /// Whether a response waits for its PRACK.
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    pub fn due(&self) -> Option<Instant> {
        self.pending.as_ref().and_then(|p| earlier(Some(p.retransmit), Some(p.give_up)))
    }

    /// Whether a description of ours was exchanged reliably and acknowledged: the early session may be changed.
    pub fn is_settled(&self) -> bool {
        self.described && !self.answer_due && self.pending.is_none()
    }

    /// Whether a provisional response is to go out reliably: where the peer demands it, and where it can and the
    /// response describes a session, which is worth nothing when lost.
    fn wants(&self, described: bool) -> bool {
        self.required || self.supported && described
    }
}

impl Session {
    /// Header lines that make a provisional response of ours reliable; `None` where it must wait for its turn.
    pub fn reliably(&mut self, status: u16, sdp: Option<&Bytes>) -> Option<String> {
        let wanted = self.reliable.wants(sdp.is_some());
        if wanted && self.reliable.pending.is_some() {
            if self.reliable.queue.len() < QUEUE_MAX {
                self.reliable.queue.push_back((status, sdp.cloned()));
            }
            return None;
        }
        if !wanted {
            return Some(String::new());
        }
        Some(format!("Require: 100rel\r\nRSeq: {}\r\n", self.reliable.rseq))
    }

    /// A provisional response went out with the lines of [`reliably`](Self::reliably).
    pub fn sent_reliably(&mut self, io: &mut Io<'_>, bytes: Bytes, described: bool, offered: bool) {
        let now = io.mono();
        let Phase::Ringing(ringing) = &self.phase else { return };
        let cseq = ringing.cseq;
        let reliable = &mut self.reliable;
        let rseq = reliable.rseq;
        reliable.rseq += 1;
        reliable.answer_due |= described && !offered;
        reliable.described |= described;
        reliable.pending =
            Some(Pending { rseq, cseq, described, bytes, pause: T1, retransmit: now + T1, give_up: now + TIMEOUT });
    }

    /// Keeps the owner's 200 where a description waits for its PRACK. `true` when it is kept.
    pub fn hold_answer(&mut self, sdp: &Bytes) -> bool {
        let waits = self.reliable.pending.as_ref().is_some_and(|p| p.described) || self.offers.has_theirs();
        if waits {
            self.reliable.accept = Some(sdp.clone());
        }
        waits
    }

    /// Sends what waited for a PRACK.
    pub fn go_on(&mut self, io: &mut Io<'_>) {
        self.put_waiting(io);
        if !matches!(self.phase, Phase::Ringing(_)) || self.reliable.pending.is_some() || self.offers.has_theirs() {
            return;
        }
        if let Some(sdp) = self.reliable.accept.take() {
            self.accept(io, &sdp);
        } else if let Some((status, sdp)) = self.reliable.queue.pop_front() {
            self.provisional(io, status, sdp.as_ref());
        } else {
            self.next_offer(io);
        }
    }

    /// Whether a request is the PRACK for what we wait for. It counts in whatever order it comes: its transaction would be
    /// over with a refusal, and no other PRACK follow (RFC 3262 sections 3 and 4).
    pub fn acknowledges(&self, request: &Request) -> bool {
        let rack = request.headers.value(&HeaderName::RAck).and_then(|value| RAck::decode(&value).ok());
        rack.is_some_and(|rack| self.is_hit(&rack))
    }

    fn is_hit(&self, rack: &RAck) -> bool {
        let pending = self.reliable.pending.as_ref();
        pending.is_some_and(|p| p.rseq == rack.rseq && p.cseq == rack.cseq && rack.method == b"INVITE")
    }

    /// The peer's PRACK.
    pub fn prack_request(&mut self, io: &mut Io<'_>, server: ServerId, reply: Reply, head: &Head, request: &Request) {
        let rack = request.headers.value(&HeaderName::RAck).and_then(|value| RAck::decode(&value).ok());
        let Some(rack) = rack else {
            io.wire.count("bad-request");
            return self.answer(io, server, &reply, 400, "");
        };
        if !self.is_hit(&rack) {
            // RFC 3262 section 3.
            io.wire.count("prack-stray");
            return self.answer(io, server, &reply, 481, "");
        }
        let sdp = sdp(&request.headers, request.body());
        if self.reliable.answer_due && !matches!(sdp, Ok(Some(_))) {
            // RFC 3262 section 5: an offer in a reliable response has its answer in the PRACK.
            io.wire.count("bad-request");
            let (status, extra) = if sdp.is_err() { (415, "Accept: application/sdp\r\n") } else { (400, "") };
            return self.answer(io, server, &reply, status, extra);
        }
        // It has arrived, whatever becomes of what it brings.
        self.reliable.pending = None;
        match sdp {
            Err(()) => self.answer(io, server, &reply, 415, "Accept: application/sdp\r\n"),
            Ok(Some(sdp)) if std::mem::take(&mut self.reliable.answer_due) => {
                self.answer(io, server, &reply, 200, "");
                self.tell(io, Event::Concluded { session: self.id, sdp });
            }
            Ok(Some(sdp)) if self.reliable.described && (self.offers.has_theirs() || self.offers.has_ours()) => {
                self.offered_later(io, server, reply, head, sdp);
            }
            Ok(Some(sdp)) if self.reliable.described => self.offered(io, server, reply, head, Some(sdp), Kind::Prack),
            Ok(_) => self.answer(io, server, &reply, 200, ""),
        }
        self.go_on(io);
    }

    /// Sends a reliable response again, or gives up (RFC 3262 section 3).
    pub fn wake_reliable(&mut self, io: &mut Io<'_>) {
        let now = io.mono();
        let Phase::Ringing(ringing) = &self.phase else { return };
        let Some(pending) = &mut self.reliable.pending else { return };
        if pending.give_up <= now {
            io.wire.count("prack-missing");
            self.tell(io, Event::Ended { session: self.id, cause: Cause::TimerExpired });
            self.refuse(io, 504, "");
        } else if pending.retransmit <= now {
            io.wire.send(ringing.reply.path, pending.bytes.clone());
            pending.pause *= 2;
            pending.retransmit = now + pending.pause;
        }
    }
}

/// Early dialogs of a call of ours that are kept apart; what further forks send is taken, but not reliably.
const EARLY_MAX: usize = 8;

/// An early dialog of a call of ours: one fork (RFC 3261 section 12.1.2).
#[derive(Debug)]
pub(super) struct Early {
    pub dialog: Dialog,
    /// RSeq of the newest reliable response.
    rseq: Option<u32>,
    /// RSeq of the PRACK that was refused last: it is sent again once.
    challenged: Option<u32>,
    pub sdp: Option<Bytes>,
    /// The description came reliably: it is the answer, and the early session may be changed.
    pub settled: bool,
}

/// What became of a provisional response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Unreliable,
    Next(u32),
    /// Seen before, or one before it is missing.
    Out,
}

impl Session {
    /// Takes a provisional response of a fork and acknowledges it where it asks for that (RFC 3262 section 4). `Err`
    /// where it is not to be looked at.
    pub fn take_early(&mut self, io: &mut Io<'_>, head: &Head, response: &Response) -> Result<Option<Bytes>, ()> {
        let sdp = sdp(&response.headers, response.body()).unwrap_or_default();
        let Phase::Calling(calling) = &mut self.phase else { return Err(()) };
        let Some(tag) = head.callee_tag() else { return Ok(sdp) };
        let at = match calling.early.iter().position(|e| e.dialog.remote_tag == tag) {
            Some(at) => at,
            None if calling.early.len() < EARLY_MAX => {
                let mut dialog = self.dialog.clone();
                dialog.remote = response.headers.value(&HeaderName::To).unwrap_or_default().into_owned();
                dialog.remote_tag = tag.to_vec();
                dialog.take_routes(&response.headers, true);
                calling.early.push(Early { dialog, rseq: None, challenged: None, sdp: None, settled: false });
                calling.early.len() - 1
            }
            None => {
                io.wire.count("forks-full");
                return Ok(sdp);
            }
        };
        let Some(early) = calling.early.get_mut(at) else { return Ok(sdp) };
        early.dialog.refresh_target(&response.headers);
        let order = order(early.rseq, &response.headers);
        let rseq = match order {
            Order::Out => {
                io.wire.count("rseq-out-of-order");
                return Err(());
            }
            Order::Unreliable => None,
            Order::Next(rseq) => Some(rseq),
        };
        early.rseq = rseq.or(early.rseq);
        if sdp.is_some() {
            early.settled |= rseq.is_some();
            early.sdp = sdp.clone();
        }
        if let Some(rseq) = rseq {
            self.send_prack(io, at, (rseq, head.cseq));
        }
        if response.status.code() == 199
            && let Phase::Calling(calling) = &mut self.phase
        {
            // RFC 6228: this fork is over; what the others say stands.
            calling.early.remove(at);
            return Err(());
        }
        Ok(sdp)
    }

    /// A response to a PRACK of ours: one that is challenged goes out once more, for the same response (RFC 3261 section
    /// 22.2).
    pub fn prack_response(&mut self, io: &mut Io<'_>, head: &Head, response: &Response, (rseq, cseq): (u32, u32)) {
        let status = response.status.code();
        let Phase::Calling(calling) = &mut self.phase else { return };
        let fork = |e: &Early| head.callee_tag() == Some(e.dialog.remote_tag.as_slice());
        let Some(at) = calling.early.iter().position(fork) else { return };
        let Some(early) = calling.early.get_mut(at) else { return };
        if status < 300 {
            return;
        }
        let first = early.challenged.replace(rseq) != Some(rseq);
        if matches!(status, 401 | 407) && first && self.login.challenged_beside(&response.headers, status) {
            self.send_prack(io, at, (rseq, cseq));
        } else {
            io.wire.count("prack-failed");
        }
    }

    fn send_prack(&mut self, io: &mut Io<'_>, at: usize, (rseq, cseq): (u32, u32)) {
        let number = self.dialog.next_cseq();
        let Phase::Calling(calling) = &mut self.phase else { return };
        let Some(dialog) = calling.early.get(at).map(|e| &e.dialog) else { return };
        let path = dialog.next_hop();
        let mut extra = self.login.header(io.wire, "PRACK", &dialog.target);
        extra.push_str(&format!("RAck: {rseq} {cseq} INVITE\r\n"));
        let branch = io.transactions.branch(io.wire);
        let draft = Draft { method: "PRACK", cseq: number, extra: &extra, body: None };
        let bytes = dialog.request(&path, branch, &io.wire.user_agent, &draft);
        io.transactions.request(io.now.mono, io.wire, branch, path, Owner::Prack(self.id, rseq, cseq), bytes);
    }
}

/// Where a response stands among the reliable ones of its fork (RFC 3262 section 4).
fn order(last: Option<u32>, headers: &Headers) -> Order {
    if !lists(headers, &HeaderName::Require, b"100rel") {
        return Order::Unreliable;
    }
    let Some(rseq) = number(headers, &HeaderName::RSeq).filter(|rseq| *rseq > 0) else { return Order::Unreliable };
    match last {
        None => Order::Next(rseq),
        Some(last) if last.checked_add(1) == Some(rseq) => Order::Next(rseq),
        Some(_) => Order::Out,
    }
}

impl Session {
    /// Answers a PRACK or UPDATE with a description.
    pub fn answer_described(&self, io: &mut Io<'_>, server: ServerId, reply: &Reply, extra: &str, sdp: &Bytes) {
        let (tag, name) = (&self.dialog.local_tag, &io.wire.user_agent);
        let bytes = reply.render(200, phrase(200), tag, name, extra, Some((super::message::SDP, sdp)));
        io.transactions.respond(io.now.mono, io.wire, server, 200, bytes);
    }
}
