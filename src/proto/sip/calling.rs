//! Calls of ours until their answer (RFC 3261 section 13.2).

use bytes::Bytes;
use sip_codec::{HeaderName, Response, Uri};

use crate::base::Cause;

use super::dialog::{Dialog, Draft};
use super::message::{
    ALLOW, Head, SDP, SUPPORTED, contact, escape_user, number, quote, reason_cause, reason_line, sdp, secure_contact,
};
use super::origin::MAX_FORWARDS;
use super::session::{Calling, Cancel, Io, Phase, RINGING_MAX, Session};
use super::transaction::{ClientId, ForkEnd, Owner};
use super::types::{Event, Invite};
use super::{Path, SessionId};

/// The header names that an order may not bring along, as the endpoint writes them itself.
const OWN: [&str; 14] = [
    "max-forwards",
    "via",
    "v",
    "from",
    "f",
    "to",
    "t",
    "call-id",
    "i",
    "cseq",
    "content-length",
    "l",
    "content-type",
    "c",
];

impl Session {
    /// Sends the INVITE of an order. `None` where a URI of it is malformed.
    pub fn call(io: &mut Io<'_>, id: SessionId, order: Invite) -> Option<Self> {
        let parse = |uri: &str| Uri::parse(Bytes::copy_from_slice(uri.as_bytes())).ok().filter(|u| u.scheme().is_sip());
        let host = parse(&format!("sip:{}", order.from_host))?;
        if parse(&order.request_uri).is_none() || parse(&order.to_uri).is_none() || host.user().is_some() {
            return None;
        }
        let secure = order.request_uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"));
        let local_tag = local_tag(io, id);
        let display = order.from_display.as_deref().map(|d| quote(d) + " ").unwrap_or_default();
        let (user, at) = (escape_user(&order.from_user), if order.from_user.is_empty() { "" } else { "@" });
        let dialog = Dialog {
            path: order.path,
            call_id: io.wire.call_id().into_bytes(),
            local: format!("{display}<sip:{user}{at}{}>;tag={local_tag}", order.from_host).into_bytes(),
            local_tag,
            remote: format!("<{}>", order.to_uri).into_bytes(),
            remote_tag: Vec::new(),
            target: order.request_uri.into_bytes(),
            routes: Vec::new(),
            local_cseq: 0,
            remote_cseq: None,
            max_forwards: order.max_forwards,
            contact: match secure {
                true => secure_contact(&order.path, &order.contact_user),
                false => contact(&order.path, &order.contact_user),
            },
        };
        // Without an offer of ours a reliable response would bring one whose answer belongs into the PRACK (RFC 3262
        // section 5), before the owner can know of it.
        let supported = if order.sdp.is_some() { SUPPORTED } else { "Supported: timer, replaces, norefersub\r\n" };
        let mut extra = format!("Contact: {}\r\n{ALLOW}{supported}", dialog.contact);
        for (name, value) in &order.headers {
            let token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !token || value.chars().any(char::is_control) || OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                io.wire.count("header-left-out");
                continue;
            }
            extra.push_str(&format!("{name}: {value}\r\n"));
        }
        let calling = Calling {
            client: ClientId { id: 0, cancel: false },
            extra,
            sdp: order.sdp,
            provisional: false,
            cancel: Cancel::No,
            early: Vec::new(),
            give_up: io.mono() + RINGING_MAX,
        };
        let mut session = Self::new(id, dialog, Phase::Calling(Box::new(calling)), order.credentials);
        session.send_invite(io);
        Some(session)
    }

    fn send_invite(&mut self, io: &mut Io<'_>) {
        let Phase::Calling(calling) = &mut self.phase else { return };
        let (mut extra, sdp) = (calling.extra.clone(), calling.sdp.clone());
        calling.provisional = false;
        calling.early.clear();
        extra.push_str(&self.timer.request_lines(&io.wire.session_limits));
        let client = self.send(io, "INVITE", Owner::Invite(self.id), &extra, sdp.as_ref().map(|b| (SDP, b.as_ref())));
        if let Phase::Calling(calling) = &mut self.phase {
            calling.client = client;
        }
    }

    /// A response to the INVITE.
    pub fn invite_response(&mut self, io: &mut Io<'_>, client: ClientId, path: Path, head: &Head, response: &Response) {
        let status = response.status.code();
        if !matches!(&self.phase, Phase::Calling(calling) if calling.client == client) {
            if (200..300).contains(&status) {
                end_fork(io, (client, path), head, response, &self.dialog.contact);
            }
            return;
        }
        // A request that went by TCP for its size alone leaves the dialog where it was.
        if path.transport.is_stream() && path.transport == self.dialog.path.transport {
            self.dialog.path.connection = path.connection;
        }
        match status {
            100..=199 => self.invite_provisional(io, head, response),
            200..=299 => self.invite_answered(io, client, head, response),
            422 if !self.silent && self.timer.take_422(&response.headers) => self.send_invite(io),
            401 | 407 if !self.silent && self.login.challenged(&response.headers, status) => self.send_invite(io),
            _ => {
                let cause = reason_cause(&response.headers).unwrap_or(Cause::from_sip_status(status));
                let retry_after_s = number(&response.headers, &HeaderName::RetryAfter);
                self.end(io, Event::Failed { session: self.id, status, cause, retry_after_s });
            }
        }
    }

    fn invite_provisional(&mut self, io: &mut Io<'_>, head: &Head, response: &Response) {
        let Phase::Calling(calling) = &mut self.phase else { return };
        calling.provisional = true;
        if let Cancel::Wanted(cause) = calling.cancel {
            calling.cancel = Cancel::Sent;
            io.transactions.cancel(io.now.mono, io.wire, calling.client, &reason_line(cause));
            return;
        }
        let status = response.status.code();
        if status == 100 {
            return;
        }
        let Ok(sdp) = self.take_early(io, head, response) else { return };
        // Of several forks the one that described itself last is heard (RFC 3960 section 3.1 leaves the choice to us).
        self.tell(io, Event::Provisional { session: self.id, status, sdp });
    }

    fn invite_answered(&mut self, io: &mut Io<'_>, client: ClientId, head: &Head, response: &Response) {
        let Phase::Calling(calling) = std::mem::replace(&mut self.phase, Phase::Up) else { return };
        let tag = head.callee_tag().unwrap_or_default();
        self.dialog.remote = response.headers.value(&HeaderName::To).unwrap_or_default().into_owned();
        self.dialog.remote_tag = tag.to_vec();
        let early = calling.early.into_iter().find(|e| e.dialog.remote_tag == tag);
        if let Some(early) = &early {
            self.dialog.remote_cseq = early.dialog.remote_cseq;
            self.dialog.target.clone_from(&early.dialog.target);
        }
        // What the caller had left counts for the INVITE alone.
        self.dialog.max_forwards = MAX_FORWARDS;
        self.note_peer(&response.headers);
        self.timer.take_answer(io.mono(), &response.headers, &io.wire.session_limits);
        self.described = calling.sdp;
        self.dialog.take_routes(&response.headers, true);
        self.dialog.refresh_target(&response.headers);
        self.acknowledge(io, client, head.cseq);
        self.login.settled();
        if self.silent {
            // The answer crossed our CANCEL (RFC 3261 section 9.1): the call is up, so it takes a BYE to end it.
            self.bye(io, Cause::Normal);
            return;
        }
        let sdp = sdp(&response.headers, response.body()).unwrap_or_default().or_else(|| early.and_then(|e| e.sdp));
        self.tell(io, Event::Answered { session: self.id, sdp });
    }

    /// Nobody answered the INVITE (408), or nothing carried it (503).
    pub fn invite_failed(&mut self, io: &mut Io<'_>, status: u16) {
        if matches!(self.phase, Phase::Calling(_)) {
            let cause = Cause::from_sip_status(status);
            self.end(io, Event::Failed { session: self.id, status, cause, retry_after_s: None });
        }
    }
}

/// A tag of ours, which names the session.
pub(super) fn local_tag(io: &mut Io<'_>, id: SessionId) -> String {
    format!("{:x}-{}", id.0, io.wire.token())
}

/// Another fork's 2xx, or one for a session that is no more: ACK and BYE (RFC 3261 section 13.2.2.4).
pub(super) fn end_fork(
    io: &mut Io<'_>,
    (client, path): (ClientId, Path),
    head: &Head,
    response: &Response,
    contact: &str,
) {
    let end = io.transactions.end_fork(client, head.callee_tag().unwrap_or_default());
    match end {
        ForkEnd::Both => io.wire.count("fork-ended"),
        ForkEnd::Ack => {}
        ForkEnd::Nothing => return io.wire.count("forks-full"),
    }
    let value = |name| response.headers.value(&name).unwrap_or_default().into_owned();
    let mut dialog = Dialog {
        path,
        call_id: head.call_id.clone(),
        local: value(HeaderName::From),
        local_tag: String::new(),
        remote: value(HeaderName::To),
        remote_tag: head.callee_tag().unwrap_or_default().to_vec(),
        target: head.to.uri.to_bytes().to_vec(),
        routes: Vec::new(),
        local_cseq: head.cseq,
        remote_cseq: None,
        max_forwards: MAX_FORWARDS,
        contact: contact.to_owned(),
    };
    dialog.take_routes(&response.headers, true);
    dialog.refresh_target(&response.headers);
    let path = dialog.next_hop();
    let ack = Draft { method: "ACK", cseq: head.cseq, extra: "", body: None };
    let branch = io.transactions.branch(io.wire);
    let bytes = dialog.request(&path, branch, &io.wire.user_agent, &ack);
    io.wire.send(path, bytes);
    if end == ForkEnd::Ack {
        return;
    }
    let bye = Draft { method: "BYE", cseq: dialog.next_cseq(), extra: "", body: None };
    let branch = io.transactions.branch(io.wire);
    let bytes = dialog.request(&path, branch, &io.wire.user_agent, &bye);
    io.transactions.request(io.now.mono, io.wire, branch, path, Owner::Cancel, bytes);
}
