//! One INVITE session: its phases, and what ends them.

use std::time::Duration;

use bytes::Bytes;
use sip_codec::{HeaderName, Headers, Response};

use crate::base::{Cause, Instant, Now};

use super::dialog::{Dialog, Draft};
use super::digest::Login;
use super::message::{ALLOW, Reply, SDP, SUPPORTED, lists, phrase, reason_line};
use super::prack::{Early, Reliable};
use super::refer::Refers;
use super::reinvite::Offers;
use super::session_timer::SessionTimer;
use super::transaction::{ClientId, Owner, ServerId, T1, T2, TIMEOUT, Transactions};
use super::types::{Credentials, Event};
use super::wire::{Wake, Wire, earlier};
use super::{Path, SessionId};

/// How long an INVITE, either way, may go unanswered.
pub(super) const RINGING_MAX: Duration = Duration::from_secs(300);
/// RFC 3261 section 13.3.1.1: a provisional response is to be repeated each minute.
const PROVISIONAL_REFRESH: Duration = Duration::from_secs(60);

/// What a session acts through.
pub(super) struct Io<'a> {
    pub now: Now,
    pub wire: &'a mut Wire,
    pub transactions: &'a mut Transactions,
}

impl Io<'_> {
    pub fn mono(&self) -> Instant {
        self.now.mono
    }
}

/// Where a session stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// We called; no final response yet.
    Calling(Box<Calling>),
    /// We were called; no final response yet.
    Ringing(Box<Ringing>),
    /// 2xx sent or received.
    Up,
    /// BYE sent; waits for its end.
    Closing,
    /// To be removed.
    Gone,
}

/// How far giving up a call of ours has got (RFC 3261 section 9.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cancel {
    No,
    /// No provisional response yet: CANCEL must wait for one.
    Wanted(Cause),
    Sent,
}

/// An INVITE of ours.
#[derive(Debug)]
pub(super) struct Calling {
    pub client: ClientId,
    /// Whole header lines.
    pub extra: String,
    pub sdp: Option<Bytes>,
    pub provisional: bool,
    pub cancel: Cancel,
    /// Forks that were heard of.
    pub early: Vec<Early>,
    pub give_up: Instant,
}

/// An INVITE to us.
#[derive(Debug)]
pub(super) struct Ringing {
    pub server: ServerId,
    pub reply: Reply,
    /// The caller's digest answered an outdated nonce.
    pub stale: bool,
    /// CSeq of the INVITE.
    pub cseq: u32,
    /// The INVITE has an offer.
    pub offered: bool,
    /// What was said last: status and description.
    pub provisional: Option<(u16, Option<Bytes>)>,
    pub refresh: Option<Instant>,
    pub give_up: Instant,
}

/// A 2xx of ours to INVITE without its ACK (RFC 3261 section 13.3.1.4).
#[derive(Debug)]
pub(super) struct Unacked {
    pub cseq: u32,
    /// The first INVITE's, or the ACK is to carry an answer: worth an event.
    pub tell: bool,
    offers: bool,
    bytes: Bytes,
    path: Path,
    pause: Duration,
    retransmit: Instant,
    give_up: Instant,
}

impl Unacked {
    /// Whether an answer is to come in the ACK.
    pub fn is_offer(&self) -> bool {
        self.offers
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Session {
    pub id: SessionId,
    pub dialog: Dialog,
    pub phase: Phase,
    /// We called; so the Call-ID is ours.
    pub caller: bool,
    /// The owner ended it or knows of its end: no further events, no further orders.
    pub silent: bool,
    pub login: Login,
    pub unacked: Option<Unacked>,
    /// BYE must wait for the ACK.
    pub bye_wanted: Option<Cause>,
    pub offers: Offers,
    pub refers: Refers,
    pub reliable: Reliable,
    pub timer: SessionTimer,
    /// The peer allows UPDATE (RFC 3311 section 4).
    pub peer_updates: bool,
    /// Our newest description that holds, to be repeated in a refresh (RFC 4028 section 7.4).
    pub described: Option<Bytes>,
    scheduled: Option<Instant>,
}

impl Session {
    pub fn new(id: SessionId, dialog: Dialog, phase: Phase, credentials: Option<Credentials>) -> Self {
        Self {
            id,
            dialog,
            caller: matches!(phase, Phase::Calling(_)),
            phase,
            silent: false,
            login: Login::new(credentials),
            unacked: None,
            bye_wanted: None,
            offers: Offers::default(),
            refers: Refers::default(),
            reliable: Reliable::default(),
            timer: SessionTimer::default(),
            peer_updates: false,
            described: None,
            scheduled: None,
        }
    }

    /// Emits an event, unless the owner wants none any more.
    pub fn tell(&self, io: &mut Io<'_>, event: Event) {
        if !self.silent {
            io.wire.event(event);
        }
    }

    /// The session is over, and the owner is told so once.
    pub fn end(&mut self, io: &mut Io<'_>, event: Event) {
        self.drop_pending(io);
        self.tell(io, event);
        self.silent = true;
        self.phase = Phase::Gone;
    }

    /// Notes which methods the peer takes, where it says so.
    pub fn note_peer(&mut self, headers: &Headers) {
        if headers.count(&HeaderName::Allow) > 0 {
            self.peer_updates = lists(headers, &HeaderName::Allow, b"UPDATE");
        }
    }

    /// The dialog with this tag of the peer's: while we call, that of a fork.
    pub fn dialog_of(&mut self, tag: &[u8]) -> &mut Dialog {
        if let Phase::Calling(calling) = &mut self.phase
            && let Some(early) = calling.early.iter_mut().find(|e| e.dialog.remote_tag == tag)
        {
            return &mut early.dialog;
        }
        &mut self.dialog
    }

    /// Whether a peer's tag is that of this session, or of a fork of the call that we make.
    pub fn has_peer(&self, tag: &[u8]) -> bool {
        match &self.phase {
            Phase::Calling(calling) => calling.early.iter().any(|e| e.dialog.remote_tag == tag),
            _ => self.dialog.remote_tag == tag,
        }
    }

    /// Sends a request within the dialog. `extra` are whole header lines.
    pub fn send(
        &mut self,
        io: &mut Io<'_>,
        method: &str,
        owner: Owner,
        extra: &str,
        body: Option<(&str, &[u8])>,
    ) -> ClientId {
        let path = match owner {
            // The first INVITE goes where it was ordered to go.
            Owner::Invite(_) => self.dialog.path,
            _ => self.dialog.next_hop(),
        };
        let cseq = self.dialog.next_cseq();
        let mut lines = self.login.header(io.wire, method, &self.dialog.target);
        lines.push_str(extra);
        let branch = io.transactions.branch(io.wire);
        let draft = Draft { method, cseq, extra: &lines, body };
        let bytes = self.dialog.request(&path, branch, &io.wire.user_agent, &draft);
        io.transactions.request(io.now.mono, io.wire, branch, path, owner, bytes);
        branch.id
    }

    /// Sends the ACK for a 2xx.
    pub fn acknowledge(&mut self, io: &mut Io<'_>, client: ClientId, cseq: u32) {
        let path = self.dialog.next_hop();
        let branch = io.transactions.branch(io.wire);
        let extra = self.login.header(io.wire, "ACK", &self.dialog.target);
        let draft = Draft { method: "ACK", cseq, extra: &extra, body: None };
        let ack = self.dialog.request(&path, branch, &io.wire.user_agent, &draft);
        io.transactions.acknowledge_2xx(io.wire, client, self.dialog.remote_tag.clone(), path, ack);
    }

    // ---- called ----

    /// Sends 101 to 199.
    pub fn provisional(&mut self, io: &mut Io<'_>, status: u16, sdp: Option<&Bytes>) {
        if !(101..=199).contains(&status) || !matches!(self.phase, Phase::Ringing(_)) {
            return;
        }
        // A description that went out reliably is the only one of this INVITE (RFC 3261 section 13.2.1).
        let sdp = sdp.filter(|_| !self.reliable.described);
        let Some(reliably) = self.reliably(status, sdp) else { return };
        let Phase::Ringing(ringing) = &mut self.phase else { return };
        let extra = format!("Contact: {}\r\n{ALLOW}{SUPPORTED}{reliably}", self.dialog.contact);
        let body = sdp.map(|b| (SDP, b.as_ref()));
        let (tag, server) = (&self.dialog.local_tag, &io.wire.user_agent);
        let bytes = ringing.reply.render(status, phrase(status), tag, server, &extra, body);
        io.transactions.respond(io.now.mono, io.wire, ringing.server, status, bytes.clone());
        ringing.provisional = Some((status, sdp.cloned()));
        ringing.refresh = Some(io.mono() + PROVISIONAL_REFRESH);
        let offered = ringing.offered;
        if sdp.is_some() {
            self.described = sdp.cloned();
        }
        if !reliably.is_empty() {
            self.sent_reliably(io, bytes, sdp.is_some(), offered);
        }
    }

    /// Sends 200 to the first INVITE.
    pub fn accept(&mut self, io: &mut Io<'_>, sdp: &Bytes) {
        if !matches!(self.phase, Phase::Ringing(_)) || self.hold_answer(sdp) {
            return;
        }
        let Phase::Ringing(ringing) = std::mem::replace(&mut self.phase, Phase::Up) else { return };
        let sdp = (!self.reliable.described).then_some(sdp);
        let offers = sdp.is_some() && !ringing.offered;
        self.send_200(io, ringing.server, &ringing.reply, ringing.cseq, sdp, (true, offers));
    }

    /// Sends 200 to an INVITE, and waits for its ACK: whether that is worth an event, and whether it is to bring an
    /// answer.
    pub fn send_200(
        &mut self,
        io: &mut Io<'_>,
        server: ServerId,
        reply: &Reply,
        cseq: u32,
        sdp: Option<&Bytes>,
        (tell, offers): (bool, bool),
    ) {
        let timer = self.timer.answer_lines(io.mono(), &io.wire.session_limits);
        let extra = format!("Contact: {}\r\n{ALLOW}{SUPPORTED}{timer}", self.dialog.contact);
        if sdp.is_some() {
            self.described = sdp.cloned();
        }
        let (tag, name) = (&self.dialog.local_tag, &io.wire.user_agent);
        let body = sdp.map(|b| (SDP, b.as_ref()));
        let bytes = reply.render(200, phrase(200), tag, name, &extra, body);
        io.transactions.respond(io.now.mono, io.wire, server, 200, bytes.clone());
        let now = io.mono();
        self.unacked = Some(Unacked {
            cseq,
            tell,
            offers,
            bytes,
            path: reply.path,
            pause: T1,
            retransmit: now + T1,
            give_up: now + TIMEOUT,
        });
    }

    /// Refuses the first INVITE; the session is over. `extra` are whole header lines.
    pub fn refuse(&mut self, io: &mut Io<'_>, status: u16, extra: &str) {
        if matches!(self.phase, Phase::Ringing(_)) {
            self.drop_pending(io);
        }
        let Phase::Ringing(ringing) = std::mem::replace(&mut self.phase, Phase::Gone) else { return };
        self.silent = true;
        let (tag, server) = (&self.dialog.local_tag, &io.wire.user_agent);
        let bytes = ringing.reply.render(status, phrase(status), tag, server, extra, None);
        io.transactions.respond(io.now.mono, io.wire, ringing.server, status, bytes);
    }

    /// The caller gave up, or nobody decided in time.
    pub fn give_up_ringing(&mut self, io: &mut Io<'_>, cause: Cause) {
        self.tell(io, Event::Cancelled { session: self.id, cause });
        self.refuse(io, 487, "");
    }

    /// ACK for a 2xx of ours.
    pub fn acked(&mut self, io: &mut Io<'_>, cseq: u32, sdp: Option<Bytes>) {
        let Some(unacked) = self.unacked.take_if(|u| u.cseq == cseq) else { return };
        if unacked.tell {
            self.tell(io, Event::Acked { session: self.id, sdp });
        }
        match self.bye_wanted.take() {
            Some(cause) => self.bye(io, cause),
            None => {
                self.next_offer(io);
                self.refer_after_ack(io);
            }
        }
    }

    // ---- ending ----

    /// The owner hangs up.
    pub fn hang_up(&mut self, io: &mut Io<'_>, cause: Cause) {
        match &mut self.phase {
            Phase::Calling(calling) => {
                self.silent = true;
                if calling.provisional {
                    calling.cancel = Cancel::Sent;
                    io.transactions.cancel(io.now.mono, io.wire, calling.client, &reason_line(cause));
                } else {
                    calling.cancel = Cancel::Wanted(cause);
                }
            }
            Phase::Ringing(_) => self.refuse(io, cause.sip_status(), &reason_line(cause)),
            Phase::Up => {
                self.silent = true;
                self.flush_refer(io);
                self.drop_pending(io);
                // RFC 3261 section 15: no BYE before the ACK, or before there is no hope for it.
                if self.unacked.is_some() {
                    self.bye_wanted = Some(cause);
                } else {
                    self.bye(io, cause);
                }
            }
            Phase::Closing | Phase::Gone => {}
        }
    }

    /// RFC 3261 section 15.1.2: requests of the peer's that wait for an answer get 487.
    fn drop_pending(&mut self, io: &mut Io<'_>) {
        self.drop_offers(io, 487);
        self.drop_refer(io, 487);
    }

    /// Sends BYE.
    pub fn bye(&mut self, io: &mut Io<'_>, cause: Cause) {
        self.silent = true;
        self.unacked = None;
        // Whatever wanted one later has it now.
        self.bye_wanted = None;
        self.drop_pending(io);
        self.phase = Phase::Closing;
        self.login.settled();
        self.send(io, "BYE", Owner::Bye(self.id), &reason_line(cause), None);
    }

    /// The peer's BYE; it is answered already.
    pub fn peer_bye(&mut self, io: &mut Io<'_>, cause: Cause) {
        if matches!(self.phase, Phase::Ringing(_)) {
            // RFC 3261 section 15: a caller may end an early dialog by BYE.
            self.give_up_ringing(io, cause);
            return;
        }
        self.end(io, Event::Ended { session: self.id, cause });
    }

    /// CANCEL for one of the peer's INVITEs; it is answered already.
    pub fn cancelled(&mut self, io: &mut Io<'_>, invite: ServerId, cause: Cause) {
        match &self.phase {
            Phase::Ringing(ringing) if ringing.server == invite => self.give_up_ringing(io, cause),
            Phase::Up if self.offers.is_theirs(invite) => self.drop_offer(io, 487),
            _ => {}
        }
    }

    /// A response to our BYE.
    pub fn bye_response(&mut self, io: &mut Io<'_>, response: &Response) {
        match response.status.code() {
            100..=199 => {}
            status @ (401 | 407) if self.login.challenged(&response.headers, status) => {
                self.send(io, "BYE", Owner::Bye(self.id), "", None);
            }
            _ => self.phase = Phase::Gone,
        }
    }

    pub fn check_invariants(&self) {
        assert!(!matches!(self.phase, Phase::Gone), "a session that is over stays");
        assert!(self.due().is_none_or(|due| self.scheduled.is_some_and(|at| at <= due)), "a session sleeps too long");
        assert!(self.bye_wanted.is_none() || self.unacked.is_some(), "a BYE waits for nothing");
        assert!(self.unacked.is_none() || matches!(self.phase, Phase::Up));
    }

    // ---- time ----

    /// When [`wake`](Self::wake) is wanted.
    fn due(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Calling(calling) => earlier(Some(calling.give_up), self.offers.due()),
            Phase::Ringing(ringing) => {
                let offers = earlier(self.reliable.due(), self.offers.due());
                earlier(earlier(ringing.refresh, Some(ringing.give_up)), offers)
            }
            Phase::Up => {
                let unacked = self.unacked.as_ref().map(|u| u.retransmit.min(u.give_up));
                earlier(earlier(unacked, self.offers.due()), earlier(self.refers.due(), self.timer.due()))
            }
            Phase::Closing | Phase::Gone => None,
        }
    }

    pub fn schedule(&mut self, wire: &mut Wire) {
        let due = self.due();
        wire.wake(Wake::Session(self.id), due, &mut self.scheduled);
    }

    /// Runs what is due.
    pub fn wake(&mut self, io: &mut Io<'_>, at: Instant) {
        if self.scheduled == Some(at) {
            self.scheduled = None;
        }
        let now = io.mono();
        match &mut self.phase {
            Phase::Calling(calling) if calling.give_up <= now => {
                calling.give_up = now + RINGING_MAX;
                self.tell(
                    io,
                    Event::Failed { session: self.id, status: 408, cause: Cause::NoAnswer, retry_after_s: None },
                );
                self.hang_up(io, Cause::NoAnswer);
            }
            Phase::Ringing(ringing) if ringing.give_up <= now => self.give_up_ringing(io, Cause::NoAnswer),
            Phase::Ringing(ringing) => {
                if ringing.refresh.is_some_and(|due| due <= now) {
                    ringing.refresh = Some(now + PROVISIONAL_REFRESH);
                    let last = ringing.provisional.clone();
                    // A new response, not the octets of the last one: a reliable one is not sent again once its PRACK
                    // came (RFC 3262 section 3). While that is awaited it is retransmitted anyway.
                    if let Some((status, sdp)) = last.filter(|_| !self.reliable.is_pending()) {
                        self.provisional(io, status, sdp.as_ref());
                    }
                }
                self.wake_reliable(io);
                self.wake_offer(io);
            }
            Phase::Calling(_) => self.wake_offer(io),
            Phase::Up => {
                self.wake_unacked(io);
                self.wake_offer(io);
                self.wake_refer(io);
                self.wake_timer(io);
            }
            _ => {}
        }
    }

    fn wake_unacked(&mut self, io: &mut Io<'_>) {
        let now = io.mono();
        let Some(unacked) = &mut self.unacked else { return };
        if unacked.give_up <= now {
            // RFC 3261 section 13.3.1.4: the dialog is confirmed, but to be ended.
            io.wire.count("ack-missing");
            let cause = self.bye_wanted.take().unwrap_or(Cause::TimerExpired);
            self.tell(io, Event::Ended { session: self.id, cause });
            self.bye(io, cause);
        } else if unacked.retransmit <= now {
            io.wire.send(unacked.path, unacked.bytes.clone());
            unacked.pause = (unacked.pause * 2).min(T2);
            unacked.retransmit = now + unacked.pause;
        }
    }
}
