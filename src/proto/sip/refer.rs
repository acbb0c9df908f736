//! Transfer by REFER (RFC 3515), both ways, within a session.

use sip_codec::headers::Address;
use sip_codec::{HeaderName, Request};

use crate::base::Instant;

use super::message::{Head, Reply, phrase, split_top, text};
use super::session::{Io, Phase, Session};
use super::transaction::{ClientId, Owner, ServerId, TIMEOUT};
use super::types::Event;

/// The peer's REFER that we took.
#[derive(Debug)]
struct Subscription {
    /// CSeq of the REFER, where it is not the dialog's first (RFC 3515 section 2.4.6).
    id: Option<u32>,
    /// The NOTIFY under way; the next waits for it, as order is all that CSeq gives.
    notify: Option<ClientId>,
    next: Option<u16>,
}

/// A REFER of the peer's that the owner has not answered.
#[derive(Debug)]
struct Asked {
    server: ServerId,
    reply: Reply,
    cseq: u32,
    give_up: Instant,
    /// `Refer-Sub: false`: the peer wants no NOTIFY (RFC 4488 section 4).
    quiet: bool,
}

/// Transfers of one session.
#[derive(Debug, Default)]
pub(super) struct Refers {
    /// The peer's REFER that the owner has not answered.
    asked: Option<Asked>,
    subscription: Option<Subscription>,
    taken: u32,
    /// Ours waits for its response or for NOTIFY; the target.
    ours: Option<String>,
    /// It waits for the ACK of our 2xx.
    awaits_ack: bool,
}

impl Refers {
    pub fn due(&self) -> Option<Instant> {
        self.asked.as_ref().map(|a| a.give_up)
    }
}

impl Session {
    /// Answers a REFER that the owner left alone for 64*T1, as the peer waits no longer.
    pub fn wake_refer(&mut self, io: &mut Io<'_>) {
        if self.refers.due().is_some_and(|due| due <= io.mono()) {
            io.wire.count("refer-unanswered");
            self.drop_refer(io, 500);
        }
    }

    /// Refuses the peer's REFER, if there is one.
    pub fn drop_refer(&mut self, io: &mut Io<'_>, status: u16) {
        let Some(asked) = self.refers.asked.take() else { return };
        self.answer(io, asked.server, &asked.reply, status, "");
    }

    /// The peer's REFER.
    pub fn refer_request(&mut self, io: &mut Io<'_>, server: ServerId, reply: Reply, head: &Head, request: &Request) {
        // RFC 3515 section 2.4.2: exactly one Refer-To.
        let mut targets = request.headers.get_all(&HeaderName::ReferTo);
        let target = match (targets.next(), targets.next()) {
            (Some(one), None) => Address::parse(&one.value(), "Refer-To").ok(),
            _ => None,
        };
        let Some(target) = target else {
            io.wire.count("bad-request");
            let tag = &self.dialog.local_tag;
            let bytes = reply.render(400, "One valid Refer-To wanted", tag, &io.wire.user_agent, "", None);
            return io.transactions.respond(io.now.mono, io.wire, server, 400, bytes);
        };
        if self.silent || !matches!(self.phase, Phase::Up) {
            self.answer(io, server, &reply, 481, "");
        } else if self.refers.asked.is_some() {
            self.answer(io, server, &reply, 500, "Retry-After: 5\r\n");
        } else {
            let give_up = io.mono() + TIMEOUT;
            let quiet = request.headers.value(&HeaderName::ReferSub);
            let quiet =
                quiet.is_some_and(|v| split_top(&v, b';').next().is_some_and(|v| v.eq_ignore_ascii_case(b"false")));
            self.refers.asked = Some(Asked { server, reply, cseq: head.cseq, give_up, quiet });
            let target = text(&target.uri.to_bytes());
            self.tell(io, Event::Referred { session: self.id, target });
        }
    }

    /// The owner's answer to the peer's REFER.
    pub fn accept_refer(&mut self, io: &mut Io<'_>, status: u16) {
        let Some(Asked { server, reply, cseq, quiet, .. }) = self.refers.asked.take() else { return };
        if !(200..=299).contains(&status) {
            self.answer(io, server, &reply, if (300..=699).contains(&status) { status } else { 603 }, "");
            return;
        }
        let quietly = if quiet { "Refer-Sub: false\r\n" } else { "" };
        let extra = format!("Contact: {}\r\n{quietly}", self.dialog.contact);
        self.answer(io, server, &reply, 202, &extra);
        if quiet {
            return;
        }
        self.refers.taken += 1;
        let id = (self.refers.taken > 1).then_some(cseq);
        self.refers.subscription = Some(Subscription { id, notify: None, next: None });
        // RFC 3515 section 2.4.4: a NOTIFY follows at once.
        self.notify_refer(io, 100);
    }

    /// Tells the peer how its transfer gets on.
    pub fn notify_refer(&mut self, io: &mut Io<'_>, status: u16) {
        let Some(subscription) = &mut self.refers.subscription else { return };
        if subscription.notify.is_some() {
            subscription.next = Some(status);
            return;
        }
        let id = subscription.id.map(|id| format!(";id={id}")).unwrap_or_default();
        let state = if status < 200 { "active;expires=60" } else { "terminated;reason=noresource" };
        let contact = &self.dialog.contact;
        let extra = format!("Contact: {contact}\r\nEvent: refer{id}\r\nSubscription-State: {state}\r\n");
        let body = format!("SIP/2.0 {status} {}\r\n", phrase(status));
        let body = Some(("message/sipfrag;version=2.0", body.as_bytes()));
        let client = self.send(io, "NOTIFY", Owner::Notify(self.id), &extra, body);
        if status >= 200 {
            self.refers.subscription = None;
        } else if let Some(subscription) = &mut self.refers.subscription {
            subscription.notify = Some(client);
        }
    }

    /// The dialog is about to end: how the transfer went (RFC 3515 section 2.4.5) is told first, though an earlier
    /// NOTIFY is still out.
    pub fn flush_refer(&mut self, io: &mut Io<'_>) {
        if let Some(subscription) = &mut self.refers.subscription
            && let Some(status) = subscription.next.take_if(|status| *status >= 200)
        {
            subscription.notify = None;
            self.notify_refer(io, status);
        }
    }

    /// A NOTIFY of ours ended, with this status.
    pub fn notify_done(&mut self, io: &mut Io<'_>, client: Option<ClientId>, status: u16) {
        let Some(subscription) = &mut self.refers.subscription else { return };
        if client.is_some() && subscription.notify != client {
            return;
        }
        subscription.notify = None;
        if status >= 300 {
            // RFC 6665 section 4.2.2: the subscriber is gone.
            self.refers.subscription = None;
        } else if let Some(next) = subscription.next.take() {
            self.notify_refer(io, next);
        }
    }

    /// The owner asks the peer to call `target`.
    pub fn refer(&mut self, io: &mut Io<'_>, target: &str) {
        if self.silent || !matches!(self.phase, Phase::Up) {
            return;
        }
        let sound = !target.is_empty() && !target.chars().any(|c| c.is_control() || matches!(c, '<' | '>' | ' '));
        if !sound || self.refers.ours.is_some() {
            self.tell(io, Event::ReferProgress { session: self.id, status: if sound { 491 } else { 400 } });
            return;
        }
        self.refers.ours = Some(target.to_owned());
        // Before the ACK the peer may not have our 2xx yet, and know of no dialog.
        self.refers.awaits_ack = self.unacked.is_some();
        if !self.refers.awaits_ack {
            self.send_refer(io);
        }
    }

    /// Our 2xx was acknowledged.
    pub fn refer_after_ack(&mut self, io: &mut Io<'_>) {
        if std::mem::take(&mut self.refers.awaits_ack) {
            self.send_refer(io);
        }
    }

    fn send_refer(&mut self, io: &mut Io<'_>) {
        let Some(target) = &self.refers.ours else { return };
        let contact = &self.dialog.contact;
        let extra = format!("Contact: {contact}\r\nRefer-To: <{target}>\r\nReferred-By: {contact}\r\n");
        self.send(io, "REFER", Owner::Refer(self.id), &extra, None);
    }

    /// The final response to our REFER.
    pub fn refer_response(&mut self, io: &mut Io<'_>, status: u16, retry: bool) {
        if self.refers.ours.is_none() || status < 200 {
            return;
        }
        if retry {
            self.send_refer(io);
        } else if status >= 300 {
            self.refers.ours = None;
            self.login.settled();
            self.tell(io, Event::ReferProgress { session: self.id, status });
        } else {
            self.login.settled();
        }
    }

    /// NOTIFY within the dialog.
    pub fn notify_request(&mut self, io: &mut Io<'_>, server: ServerId, reply: &Reply, request: &Request) {
        let event = request.headers.value(&HeaderName::Event).unwrap_or_default();
        let package = split_top(&event, b';').next().unwrap_or_default();
        if !package.eq_ignore_ascii_case(b"refer") {
            // RFC 6665 section 4.1.3.
            self.answer(io, server, reply, 489, "Allow-Events: refer\r\n");
            return;
        }
        if self.refers.ours.is_none() || self.silent {
            self.answer(io, server, reply, 481, "");
            return;
        }
        self.answer(io, server, reply, 200, "");
        let state = request.headers.value(&HeaderName::SubscriptionState).unwrap_or_default();
        let over = split_top(&state, b';').next().is_some_and(|s| s.eq_ignore_ascii_case(b"terminated"));
        let status = match (fragment_status(request.body()), over) {
            (Some(status), false) => status,
            (Some(status), true) if status >= 200 => status,
            // The subscription ended and told nothing final: how the transfer went is not known.
            (_, true) => 408,
            (None, false) => return,
        };
        if status >= 200 {
            self.refers.ours = None;
        }
        self.tell(io, Event::ReferProgress { session: self.id, status });
    }
}

/// The status code of a `message/sipfrag` that begins with a status line (RFC 3420).
fn fragment_status(body: &[u8]) -> Option<u16> {
    let line = body.split(|&b| b == b'\r' || b == b'\n').next()?;
    let mut words = line.split(|&b| b == b' ');
    if !words.next()?.get(..4)?.eq_ignore_ascii_case(b"SIP/") {
        return None;
    }
    let status: u16 = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    (100..=699).contains(&status).then_some(status)
}
