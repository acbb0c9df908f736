//! Offers within a session: re-INVITE both ways, and what happens when they meet (RFC 3261 section 14).

use std::time::Duration;

use bytes::Bytes;
use sip_codec::{Request, Response};

use crate::base::{Cause, Instant};

use super::message::{ALLOW, Head, Reply, SDP, phrase, sdp};
use super::session::{Io, Phase, Session};
use super::transaction::{ClientId, Owner, ServerId, TIMEOUT};
use super::types::Event;
use super::wire::earlier;

/// Glares in a row before an offer is given up.
const GLARES_MAX: u8 = 6;

/// A re-INVITE of the peer's that the owner has not answered.
#[derive(Debug)]
struct Theirs {
    server: ServerId,
    reply: Reply,
    cseq: u32,
    offered: bool,
    give_up: Instant,
}

/// A re-INVITE of ours under way.
#[derive(Debug)]
struct Ours {
    client: ClientId,
    sdp: Bytes,
}

/// Offers of one session under way or waiting.
#[derive(Debug, Default)]
pub(super) struct Offers {
    theirs: Option<Theirs>,
    ours: Option<Ours>,
    /// Waits for its turn. A newer offer replaces it.
    queued: Option<Bytes>,
    retry: Option<Instant>,
    glares: u8,
}

impl Offers {
    pub fn due(&self) -> Option<Instant> {
        earlier(self.retry, self.theirs.as_ref().map(|t| t.give_up))
    }

    /// Whether this is the transaction of the peer's re-INVITE under way.
    pub fn is_theirs(&self, server: ServerId) -> bool {
        self.theirs.as_ref().is_some_and(|t| t.server == server)
    }
}

impl Session {
    /// The owner's new offer.
    pub fn reinvite(&mut self, io: &mut Io<'_>, sdp: Bytes) {
        self.offers.queued = Some(sdp);
        self.next_offer(io);
    }

    /// Sends the queued offer, if nothing is in its way (RFC 3261 section 14.1).
    pub fn next_offer(&mut self, io: &mut Io<'_>) {
        let offers = &self.offers;
        let busy = offers.theirs.is_some() || offers.ours.is_some() || offers.retry.is_some();
        if busy || self.silent || self.unacked.is_some() || !matches!(self.phase, Phase::Up) {
            return;
        }
        let Some(sdp) = self.offers.queued.take() else { return };
        let extra = format!("Contact: {}\r\n{ALLOW}", self.dialog.contact);
        let client = self.send(io, "INVITE", Owner::Reinvite(self.id), &extra, Some((SDP, &sdp)));
        self.offers.ours = Some(Ours { client, sdp });
    }

    /// A response to our re-INVITE.
    pub fn reinvite_response(&mut self, io: &mut Io<'_>, client: ClientId, head: &Head, response: &Response) {
        let status = response.status.code();
        if status < 200 {
            return;
        }
        let mine = self.offers.ours.take_if(|o| o.client == client);
        if (200..300).contains(&status) {
            self.dialog.refresh_target(&response.headers);
            self.acknowledge(io, client, head.cseq);
        }
        let Some(ours) = mine else { return };
        match status {
            200..=299 => {
                self.offers.glares = 0;
                self.login.settled();
                let answer = Ok(sdp(&response.headers, response.body()).unwrap_or_default());
                self.tell(io, Event::Reanswered { session: self.id, answer });
            }
            401 | 407 if self.login.challenged(&response.headers, status) => {
                self.offers.queued.get_or_insert(ours.sdp);
            }
            491 if self.offers.glares < GLARES_MAX => {
                self.offers.glares += 1;
                self.offers.queued.get_or_insert(ours.sdp);
                self.offers.retry = Some(io.mono() + self.glare_pause(io));
            }
            _ => {
                self.reinvite_failed(io, status);
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

    /// Our re-INVITE was refused, or nobody answered (408) or carried it (503).
    pub fn reinvite_failed(&mut self, io: &mut Io<'_>, status: u16) {
        self.offers.ours = None;
        self.offers.glares = 0;
        match status {
            // RFC 3261 section 12.2.1.2: these say that the dialog is no more.
            481 => self.end(io, Event::Ended { session: self.id, cause: Cause::from_sip_status(status) }),
            408 => {
                let cause = Cause::from_sip_status(status);
                self.tell(io, Event::Ended { session: self.id, cause });
                if matches!(self.phase, Phase::Up) {
                    self.bye(io, cause);
                }
            }
            _ => {
                self.tell(io, Event::Reanswered { session: self.id, answer: Err(status) });
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
            Phase::Up if self.offers.theirs.is_none() && self.unacked.is_none() => None,
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
        self.dialog.refresh_target(&request.headers);
        let bytes = reply.render(100, phrase(100), "", "", "", None);
        io.transactions.respond(io.now.mono, io.wire, server, 100, bytes);
        let (give_up, offered) = (io.mono() + TIMEOUT, sdp.is_some());
        self.offers.theirs = Some(Theirs { server, reply, cseq: head.cseq, offered, give_up });
        self.tell(io, Event::Reoffer { session: self.id, sdp });
    }

    /// The owner's answer to the peer's re-INVITE.
    pub fn answer_reoffer(&mut self, io: &mut Io<'_>, answer: Result<Bytes, u16>) {
        match answer {
            Ok(sdp) => {
                let Some(theirs) = self.offers.theirs.take() else { return };
                self.send_200(io, theirs.server, &theirs.reply, theirs.cseq, &sdp, !theirs.offered);
            }
            Err(status) => {
                self.drop_offer(io, if (300..=699).contains(&status) { status } else { 488 });
                self.next_offer(io);
            }
        }
    }

    /// Refuses the peer's re-INVITE, if there is one.
    pub fn drop_offer(&mut self, io: &mut Io<'_>, status: u16) {
        let Some(theirs) = self.offers.theirs.take() else { return };
        self.answer(io, theirs.server, &theirs.reply, status, "");
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
        if self.offers.retry.is_some_and(|at| at <= now) {
            self.offers.retry = None;
        }
        self.next_offer(io);
    }
}
