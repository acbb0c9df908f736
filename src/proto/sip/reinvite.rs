//! Offers within a session: re-INVITE both ways, and what happens when they meet (RFC 3261 section 14).

use std::time::Duration;

use bytes::Bytes;
use sip_codec::{HeaderName, Method, Request, Response};

use crate::base::{Cause, Instant};

use super::message::{ALLOW, Head, Reply, SDP, SUPPORTED, number, phrase, sdp};
use super::session::{Io, Phase, Session};
use super::transaction::{ClientId, Owner, ServerId, TIMEOUT};
use super::types::Event;
use super::wire::earlier;

/// Glares in a row before an offer is given up.
const GLARES_MAX: u8 = 6;

/// What brought an offer of the peer's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Invite,
    /// RFC 3311.
    Update,
    /// RFC 3262 section 5.
    Prack,
}

/// An offer of the peer's that the owner has not answered.
#[derive(Debug)]
struct Theirs {
    kind: Kind,
    server: ServerId,
    reply: Reply,
    cseq: u32,
    offered: bool,
    give_up: Instant,
}

/// A re-INVITE or UPDATE of ours under way.
#[derive(Debug)]
struct Ours {
    client: ClientId,
    update: bool,
    /// The owner's offer; `None` in a refresh.
    sdp: Option<Bytes>,
}

/// Offers of one session under way or waiting.
#[derive(Debug, Default)]
pub(super) struct Offers {
    theirs: Option<Theirs>,
    /// That of a PRACK, which comes after the one under way.
    waits: Option<(Theirs, Bytes)>,
    ours: Option<Ours>,
    /// Waits for its turn. A newer offer replaces it.
    queued: Option<Bytes>,
    /// The session is to be refreshed (RFC 4028 section 7.4).
    refresh: bool,
    retry: Option<Instant>,
    glares: u8,
}

impl Offers {
    pub fn due(&self) -> Option<Instant> {
        let waits = self.waits.as_ref().map(|(theirs, _)| theirs.give_up);
        earlier(earlier(self.retry, waits), self.theirs.as_ref().map(|t| t.give_up))
    }

    /// Whether an offer of the peer's waits for its answer.
    pub fn has_theirs(&self) -> bool {
        self.theirs.is_some() || self.waits.is_some()
    }

    /// Whether an offer of ours waits for its answer.
    pub fn has_ours(&self) -> bool {
        self.ours.as_ref().is_some_and(|ours| !ours.update || ours.sdp.is_some())
    }

    /// Whether this is the transaction of the peer's re-INVITE under way.
    pub fn is_theirs(&self, server: ServerId) -> bool {
        self.theirs.as_ref().is_some_and(|t| t.server == server)
    }
}

impl Offers {
    /// What was under way is to be sent again, unless a newer offer waits.
    fn again(&mut self, sdp: Option<Bytes>) {
        match sdp {
            Some(sdp) => {
                self.queued.get_or_insert(sdp);
            }
            None => self.refresh = true,
        }
    }
}

impl Session {
    /// The owner's new offer.
    pub fn reinvite(&mut self, io: &mut Io<'_>, sdp: Bytes) {
        self.offers.queued = Some(sdp);
        self.next_offer(io);
    }

    /// Refreshes the session: by what waits anyway, by UPDATE where the peer takes that, else by re-INVITE.
    pub fn refresh(&mut self, io: &mut Io<'_>) {
        self.offers.refresh = true;
        self.next_offer(io);
    }

    /// Sends the queued offer, if nothing is in its way (RFC 3261 section 14.1).
    pub fn next_offer(&mut self, io: &mut Io<'_>) {
        self.put_waiting(io);
        let offers = &self.offers;
        let busy = offers.has_theirs() || offers.ours.is_some() || offers.retry.is_some();
        let early = matches!(self.phase, Phase::Ringing(_)) && self.reliable.is_settled() && self.peer_updates;
        if busy || self.silent || self.unacked.is_some() || !(early || matches!(self.phase, Phase::Up)) {
            return;
        }
        let sdp = self.offers.queued.take();
        if sdp.is_none() && !(self.offers.refresh && matches!(self.phase, Phase::Up)) {
            return;
        }
        self.offers.refresh = false;
        let update = early || sdp.is_none() && self.peer_updates;
        let timer = self.timer.request_lines(&io.wire.session_limits);
        let extra = format!("Contact: {}\r\n{ALLOW}{SUPPORTED}{timer}", self.dialog.contact);
        let (method, owner) =
            if update { ("UPDATE", Owner::Update(self.id)) } else { ("INVITE", Owner::Reinvite(self.id)) };
        // A refresh by re-INVITE repeats what holds (RFC 4028 section 7.4).
        let body = sdp.clone().or_else(|| self.described.clone().filter(|_| !update));
        let client = self.send(io, method, owner, &extra, body.as_ref().map(|b| (SDP, b.as_ref())));
        self.offers.ours = Some(Ours { client, update, sdp });
    }

    /// A response to our re-INVITE or UPDATE.
    pub fn reinvite_response(&mut self, io: &mut Io<'_>, client: ClientId, head: &Head, response: &Response) {
        let status = response.status.code();
        if status < 200 {
            return;
        }
        let mine = self.offers.ours.take_if(|o| o.client == client);
        if (200..300).contains(&status) {
            self.dialog.refresh_target(&response.headers);
            if head.method == Method::Invite {
                self.acknowledge(io, client, head.cseq);
            }
        }
        let Some(ours) = mine else { return };
        match status {
            200..=299 => {
                self.offers.glares = 0;
                self.login.settled();
                self.note_peer(&response.headers);
                self.timer.take_answer(io.mono(), &response.headers, &io.wire.session_limits);
                if let Some(offer) = ours.sdp {
                    self.described = Some(offer);
                    let answer = Ok(sdp(&response.headers, response.body()).unwrap_or_default());
                    self.tell(io, Event::Reanswered { session: self.id, answer });
                }
            }
            422 if self.timer.take_422(&response.headers) => self.offers.again(ours.sdp),
            405 | 501 if ours.update && ours.sdp.is_none() => {
                // It said that it allows UPDATE, and does not.
                self.peer_updates = false;
                self.offers.refresh = true;
            }
            401 | 407 if self.login.challenged(&response.headers, status) => {
                self.offers.again(ours.sdp);
            }
            491 if self.offers.glares < GLARES_MAX => {
                self.offers.glares += 1;
                self.offers.again(ours.sdp);
                self.offers.retry = Some(io.mono() + self.glare_pause(io));
            }
            _ => {
                self.offers.ours = Some(ours);
                self.reinvite_failed(io, status, Some(response));
                return;
            }
        }
        self.next_offer(io);
    }

    /// RFC 3261 section 14.1: who made the Call-ID waits longer, so that the two do not meet again.
    fn glare_pause(&self, io: &mut Io<'_>) -> Duration {
        let units = if self.caller { 210 + io.wire.random() % 191 } else { io.wire.random() % 201 };
        Duration::from_millis(units * 10)
    }

    /// Our re-INVITE or UPDATE was refused, or nobody answered (408) or carried it (503).
    pub fn reinvite_failed(&mut self, io: &mut Io<'_>, status: u16, response: Option<&Response>) {
        let ours = self.offers.ours.take();
        self.offers.glares = 0;
        self.login.settled();
        match status {
            // RFC 3261 section 12.2.1.2: these say that the dialog is no more. While it rings here the INVITE has yet to be
            // answered, whatever became of an UPDATE.
            408 | 481 if matches!(self.phase, Phase::Ringing(_)) => {
                self.give_up_ringing(io, Cause::from_sip_status(status));
            }
            481 => self.end(io, Event::Ended { session: self.id, cause: Cause::from_sip_status(status) }),
            408 => {
                let cause = Cause::from_sip_status(status);
                self.tell(io, Event::Ended { session: self.id, cause });
                if matches!(self.phase, Phase::Up) {
                    self.bye(io, cause);
                }
            }
            _ => {
                let retry_after_s = response.and_then(|r| number(&r.headers, &HeaderName::RetryAfter));
                self.timer.failed(io.mono(), response.is_some(), retry_after_s);
                if ours.is_some_and(|ours| ours.sdp.is_some()) {
                    self.tell(io, Event::Reanswered { session: self.id, answer: Err(status) });
                }
                self.next_offer(io);
            }
        }
    }

    /// The peer's re-INVITE.
    pub fn reinvite_request(
        &mut self,
        io: &mut Io<'_>,
        server: ServerId,
        reply: Reply,
        head: &Head,
        request: &Request,
    ) {
        let refusal = match &self.phase {
            _ if self.silent => Some(481),
            Phase::Up if self.offers.ours.is_some() => Some(491),
            Phase::Up if !self.offers.has_theirs() && self.unacked.is_none() => None,
            // RFC 3261 section 14.2: one at a time.
            _ => Some(500),
        };
        if let Some(status) = refusal {
            let extra = match status {
                500 => format!("Retry-After: {}\r\n", io.wire.random() % 11),
                _ => String::new(),
            };
            io.wire.count("reinvite-refused");
            self.answer(io, server, &reply, status, &extra);
            return;
        }
        let Ok(sdp) = sdp(&request.headers, request.body()) else {
            self.answer(io, server, &reply, 415, "Accept: application/sdp\r\n");
            return;
        };
        if let Err(extra) = self.timer.take_request(&request.headers, &io.wire.session_limits) {
            return self.answer(io, server, &reply, 422, &extra);
        }
        self.dialog.refresh_target(&request.headers);
        let bytes = reply.render(100, phrase(100), "", "", "", None);
        io.transactions.respond(io.now.mono, io.wire, server, 100, bytes);
        self.offered(io, server, reply, head, sdp, Kind::Invite);
    }

    /// Puts an offer of the peer's before the owner.
    pub fn offered(
        &mut self,
        io: &mut Io<'_>,
        server: ServerId,
        reply: Reply,
        head: &Head,
        sdp: Option<Bytes>,
        kind: Kind,
    ) {
        // Whoever calls this looks whether an offer waits; were one forgotten, its transaction would never be answered.
        self.drop_offer(io, 500);
        let (give_up, offered) = (io.mono() + TIMEOUT, sdp.is_some());
        self.offers.theirs = Some(Theirs { kind, server, reply, cseq: head.cseq, offered, give_up });
        self.tell(io, Event::Reoffer { session: self.id, sdp });
    }

    /// Keeps the offer of a PRACK until the one under way has its answer.
    pub fn offered_later(&mut self, io: &mut Io<'_>, server: ServerId, reply: Reply, head: &Head, sdp: Bytes) {
        let give_up = io.mono() + TIMEOUT;
        let theirs = Theirs { kind: Kind::Prack, server, reply, cseq: head.cseq, offered: true, give_up };
        self.offers.waits = Some((theirs, sdp));
    }

    /// Puts the offer that waits before the owner, when its turn has come (RFC 3311 section 5.2: one at a time).
    pub fn put_waiting(&mut self, io: &mut Io<'_>) {
        if self.offers.theirs.is_some() || self.offers.has_ours() {
            return;
        }
        let Some((theirs, sdp)) = self.offers.waits.take() else { return };
        self.offers.theirs = Some(theirs);
        self.tell(io, Event::Reoffer { session: self.id, sdp: Some(sdp) });
    }

    /// The owner's answer to the peer's offer.
    pub fn answer_reoffer(&mut self, io: &mut Io<'_>, answer: Result<Bytes, u16>) {
        match answer {
            Ok(sdp) => {
                let Some(theirs) = self.offers.theirs.take() else { return };
                let Theirs { kind, server, reply, cseq, offered, .. } = theirs;
                let extra = match kind {
                    Kind::Invite => return self.send_200(io, server, &reply, cseq, Some(&sdp), (!offered, !offered)),
                    Kind::Update => self.update_lines(io),
                    Kind::Prack => String::new(),
                };
                self.answer_described(io, server, &reply, &extra, &sdp);
                self.described = Some(sdp);
                self.go_on(io);
                self.next_offer(io);
            }
            Err(status) => {
                self.drop_offer(io, if (300..=699).contains(&status) { status } else { 488 });
                self.go_on(io);
                self.next_offer(io);
            }
        }
    }

    /// Refuses the peer's offer, if there is one.
    pub fn drop_offer(&mut self, io: &mut Io<'_>, status: u16) {
        let Some(theirs) = self.offers.theirs.take() else { return };
        self.answer(io, theirs.server, &theirs.reply, status, "");
    }

    /// The same for the one that waits behind it, too.
    pub fn drop_offers(&mut self, io: &mut Io<'_>, status: u16) {
        self.drop_offer(io, status);
        if let Some((theirs, _)) = self.offers.waits.take() {
            self.answer(io, theirs.server, &theirs.reply, status, "");
        }
    }

    /// Answers a request within the dialog, without a body.
    pub fn answer(&self, io: &mut Io<'_>, server: ServerId, reply: &Reply, status: u16, extra: &str) {
        let bytes = reply.render(status, phrase(status), &self.dialog.local_tag, &io.wire.user_agent, extra, None);
        io.transactions.respond(io.now.mono, io.wire, server, status, bytes);
    }

    /// Runs what is due of offers.
    pub fn wake_offer(&mut self, io: &mut Io<'_>) {
        let now = io.mono();
        if self.offers.theirs.as_ref().is_some_and(|t| t.give_up <= now) {
            io.wire.count("reinvite-unanswered");
            self.drop_offer(io, 500);
        }
        if let Some((theirs, _)) = self.offers.waits.take_if(|(theirs, _)| theirs.give_up <= now) {
            io.wire.count("prack-unanswered");
            self.answer(io, theirs.server, &theirs.reply, 500, "");
        }
        self.go_on(io);
        if self.offers.retry.is_some_and(|at| at <= now) {
            self.offers.retry = None;
        }
        self.next_offer(io);
    }
}
