//! Requests that arrive: within a session, or new.

use sip_codec::headers::Via;
use sip_codec::{HeaderName, Message, Method, Request, Response};

use crate::base::{Cause, Now};

use super::calling::{end_fork, local_tag};
use super::dialog::Dialog;
use super::digest::Verdict;
use super::endpoint::Endpoint;
use super::message::{
    ALLOW, Head, Reply, SUPPORTED, contact, phrase, reason_cause, sdp, secure_contact, split_top, text, user_of,
};
use super::origin::{MAX_FORWARDS, Origin};
use super::prack::Reliable;
use super::refuse;
use super::session::{Io, Phase, RINGING_MAX, Ringing, Session};
use super::session_timer::SessionTimer;
use super::transaction::{Answer, Arrival, Owner, ServerId};
use super::types::{Event, Incoming};
use super::{Path, SessionId, Transport};

/// Seconds after which a refused caller may try again, while we stop or are full.
const RETRY_AFTER: &str = "Retry-After: 10\r\n";

/// A request with what is known of it.
struct Arrived {
    path: Path,
    head: Head,
    request: Request,
    server: ServerId,
    reply: Reply,
}

impl Endpoint {
    pub(super) fn message(&mut self, now: Now, path: Path, message: Message) {
        match message {
            Message::Request(request) => self.request(now, path, request),
            Message::Response(response) => self.response(now, path, &response),
        }
    }

    fn request(&mut self, now: Now, path: Path, request: Request) {
        let head = match Head::parse(&request.headers) {
            Ok(head) => head,
            Err(fault) => {
                self.wire.count("malformed");
                self.misbehaved(path);
                if request.method != Method::Ack {
                    refuse::stateless(&mut self.wire, path, &request.headers, 400, &fault.reason(), "");
                }
                return;
            }
        };
        if request.method == Method::Ack {
            self.ack(now, &head, &request);
            return;
        }
        if let Some((status, reason, extra)) = refuse::inspect(&request, &head.method) {
            self.wire.count("bad-request");
            refuse::stateless(&mut self.wire, path, &request.headers, status, &reason, &extra);
            return;
        }
        let reply = Reply::new(path, &request.headers, Some(&head.via));
        match self.transactions.arrive(now.mono, &mut self.wire, &head, &request.uri, reply.path) {
            Arrival::Absorbed => {}
            Arrival::Merged => {
                self.wire.count("merged");
                refuse::stateless(&mut self.wire, path, &request.headers, 482, "Merged request", "");
            }
            Arrival::Full => {
                self.wire.count("transactions-full");
                refuse::stateless(&mut self.wire, path, &request.headers, 503, phrase(503), RETRY_AFTER);
            }
            Arrival::New(server) => {
                let alias = |via: &Via| via.params.iter().any(|p| p.name.eq_ignore_ascii_case(b"alias"));
                if path.transport == Transport::Tls && alias(&head.via) {
                    let port = head.via.port.unwrap_or(path.transport.default_port());
                    self.wire.event(Event::Aliased { path, port });
                }
                self.dispatch(now, Arrived { path, head, request, server, reply });
            }
        }
    }

    fn dispatch(&mut self, now: Now, arrived: Arrived) {
        if arrived.request.method == Method::Cancel {
            self.cancel(now, &arrived);
            return;
        }
        if arrived.head.callee_tag().is_some() {
            match self.session_of(&arrived.head) {
                Some(id) => self.within(now, id, arrived),
                // RFC 3261 section 12.2.2.
                None => self.refuse(now, &arrived, "no-dialog", (481, phrase(481).into(), String::new())),
            }
            return;
        }
        if let Some(refusal) = refuse::inspect_new(&arrived.path, &arrived.request) {
            self.refuse(now, &arrived, "bad-request", refusal);
            return;
        }
        match arrived.request.method {
            Method::Invite => self.invited(now, arrived),
            Method::Register => self.register_request(now, &arrived),
            Method::Options if self.stopping => {
                self.refuse(now, &arrived, "stopping", (503, phrase(503).into(), RETRY_AFTER.into()));
            }
            Method::Options => {
                let extra = format!(
                    "{ALLOW}{SUPPORTED}Accept: application/sdp\r\nAccept-Encoding: identity\r\nAccept-Language: en\r\n"
                );
                self.respond(now, &arrived, 200, phrase(200), &extra);
            }
            Method::Refer => {
                self.refuse(now, &arrived, "bad-request", (403, "REFER outside a call".into(), String::new()));
            }
            _ => self.refuse(now, &arrived, "no-dialog", (481, phrase(481).into(), String::new())),
        }
    }

    /// The session that a message's tags and Call-ID name.
    fn session_of(&self, head: &Head) -> Option<SessionId> {
        let tag = head.callee_tag()?;
        let id = session_of_tag(tag)?;
        let session = self.sessions.get(&id)?;
        let dialog = &session.dialog;
        let same =
            dialog.local_tag.as_bytes() == tag && dialog.call_id == head.call_id && session.has_peer(head.caller_tag());
        same.then_some(id)
    }

    fn respond(&mut self, now: Now, arrived: &Arrived, status: u16, reason: &str, extra: &str) {
        let tag = self.wire.token();
        let bytes = arrived.reply.render(status, reason, &tag, &self.wire.user_agent, extra, None);
        self.transactions.respond(now.mono, &mut self.wire, arrived.server, status, bytes);
    }

    fn refuse(&mut self, now: Now, arrived: &Arrived, counter: &'static str, refusal: refuse::Refusal) {
        self.wire.count(counter);
        let (status, reason, extra) = refusal;
        self.respond(now, arrived, status, &reason, &extra);
    }

    fn ack(&mut self, now: Now, head: &Head, request: &Request) {
        if self.transactions.acknowledge(now.mono, &mut self.wire, head, &request.uri) {
            return;
        }
        let Some(id) = self.session_of(head) else {
            self.wire.count("ack-stray");
            return;
        };
        let sdp = sdp(&request.headers, request.body()).unwrap_or_default();
        self.with(now, id, |session, io| session.acked(io, head.cseq, sdp));
    }

    /// RFC 3261 section 9.2.
    fn cancel(&mut self, now: Now, arrived: &Arrived) {
        let Some((invite, session)) = self.transactions.cancelled(&arrived.head, &arrived.request.uri) else {
            self.refuse(now, arrived, "no-transaction", (481, phrase(481).into(), String::new()));
            return;
        };
        let session = session.or_else(|| self.session_of(&arrived.head));
        let tag = session.and_then(|id| self.sessions.get(&id)).map(|s| s.dialog.local_tag.clone());
        let tag = tag.unwrap_or_else(|| self.wire.token());
        let bytes = arrived.reply.render(200, phrase(200), &tag, &self.wire.user_agent, "", None);
        self.transactions.respond(now.mono, &mut self.wire, arrived.server, 200, bytes);
        if let Some(id) = session {
            let cause = reason_cause(&arrived.request.headers).unwrap_or(Cause::Normal);
            self.with(now, id, |session, io| session.cancelled(io, invite, cause));
        }
    }

    fn within(&mut self, now: Now, id: SessionId, arrived: Arrived) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        // RFC 3261 section 12.2.2: an older number is out of order.
        let awaited = arrived.request.method == Method::Prack && session.acknowledges(&arrived.request);
        let dialog = session.dialog_of(arrived.head.caller_tag());
        if dialog.remote_cseq.is_some_and(|last| arrived.head.cseq < last) && !awaited {
            self.refuse(now, &arrived, "out-of-order", (500, "CSeq out of order".into(), String::new()));
            return;
        }
        dialog.remote_cseq = dialog.remote_cseq.max(Some(arrived.head.cseq));
        if session.dialog.path.transport == arrived.path.transport {
            // A NAT may have moved the peer. Its connection names no profile, by which we could make one.
            self.hanging.moved(id, session.dialog.path.connection, arrived.path.connection);
            session.dialog.path = Path { profile: session.dialog.path.profile, ..arrived.path };
        }
        if let Some(refusal) = refuse::unsupported(&arrived.request) {
            self.refuse(now, &arrived, "bad-request", refusal);
            return;
        }
        let Arrived { head, request, server, reply, .. } = arrived;
        session.note_peer(&request.headers);
        self.with(now, id, |session, io| match request.method {
            Method::Invite => session.reinvite_request(io, server, reply, &head, &request),
            // RFC 3261 section 15: who was called must not end an early dialog so; the fork's final response counts.
            Method::Bye if matches!(session.phase, Phase::Calling(_)) => session.answer(io, server, &reply, 481, ""),
            Method::Bye => {
                session.answer(io, server, &reply, 200, "");
                session.peer_bye(io, reason_cause(&request.headers).unwrap_or(Cause::Normal));
            }
            Method::Refer => session.refer_request(io, server, reply, &head, &request),
            Method::Notify => session.notify_request(io, server, &reply, &request),
            Method::Prack => session.prack_request(io, server, reply, &head, &request),
            Method::Update => session.update_request(io, server, reply, &head, &request),
            Method::Info => session.info_request(io, server, &reply, &request),
            Method::Options => session.answer(io, server, &reply, 200, &format!("{ALLOW}{SUPPORTED}")),
            Method::Other(_) => session.answer(io, server, &reply, 501, ALLOW),
            _ => session.answer(io, server, &reply, 405, ALLOW),
        });
    }

    /// Whether this is an INVITE of ours that came back for the same target (RFC 3261 section 16.3 step 4): tags and
    /// Call-ID survive proxies. For another target it is a spiral, which is a call like any other.
    fn is_loop(&self, arrived: &Arrived) -> bool {
        let head = &arrived.head;
        let id = session_of_tag(head.caller_tag());
        let Some(dialog) = id.and_then(|id| self.sessions.get(&id)).filter(|s| s.caller).map(|s| &s.dialog) else {
            return false;
        };
        let ours = dialog.call_id == head.call_id && dialog.local_tag.as_bytes() == head.caller_tag();
        let target = || sip_codec::Uri::parse(bytes::Bytes::copy_from_slice(&dialog.target)).ok();
        ours && target().is_some_and(|target| user_of(&target) == user_of(&arrived.request.uri))
    }

    fn invited(&mut self, now: Now, arrived: Arrived) {
        let busy = || (503, phrase(503).into(), RETRY_AFTER.into());
        if self.stopping {
            self.refuse(now, &arrived, "stopping", busy());
            return;
        }
        if self.sessions.len() >= self.sessions_max {
            self.refuse(now, &arrived, "sessions-full", busy());
            return;
        }
        if let Some(refusal) = refuse::inspect_invite(&arrived.request) {
            self.refuse(now, &arrived, "bad-request", refusal);
            return;
        }
        let mut timer = SessionTimer::default();
        if let Err(extra) = timer.take_request(&arrived.request.headers, &self.wire.session_limits) {
            self.refuse(now, &arrived, "session-interval", (422, phrase(422).into(), extra));
            return;
        }
        if self.is_loop(&arrived) {
            self.refuse(now, &arrived, "loop", (482, phrase(482).into(), String::new()));
            return;
        }
        let replaces = match self.replaced_by_invite(&arrived.request) {
            Ok(replaces) => replaces,
            Err(refusal) => {
                self.refuse(now, &arrived, "replaces-refused", refusal);
                return;
            }
        };
        let Arrived { path, head, request, server, reply } = arrived;
        let trying = reply.render(100, phrase(100), "", "", "", None);
        self.transactions.respond(now.mono, &mut self.wire, server, 100, trying);
        let (source, target) = (path.remote.ip(), ("INVITE", &request.uri));
        let verdict = self.guard.verify(now.mono, &mut self.wire, source, target, &request.headers);
        if verdict == Verdict::Blocked {
            let tag = self.wire.token();
            let bytes = reply.render(403, phrase(403), &tag, &self.wire.user_agent, "", None);
            self.transactions.respond(now.mono, &mut self.wire, server, 403, bytes);
            return self.wire.count("forbidden");
        }
        let id = SessionId(self.wire.id());
        self.transactions.assign(server, id);
        let sdp = sdp(&request.headers, request.body()).unwrap_or_default();
        let mut incoming = incoming(id, path, &head, &request, sdp);
        incoming.replaces = replaces;
        let mut io = Io { now, wire: &mut self.wire, transactions: &mut self.transactions };
        let local_tag = local_tag(&mut io, id);
        let mut dialog = Dialog {
            path,
            local: reply.to_with(&local_tag),
            local_tag,
            remote: request.headers.value(&HeaderName::From).unwrap_or_default().into_owned(),
            remote_tag: head.caller_tag().to_vec(),
            target: head.from.uri.to_bytes().to_vec(),
            call_id: head.call_id,
            routes: Vec::new(),
            local_cseq: 0,
            remote_cseq: Some(head.cseq),
            max_forwards: MAX_FORWARDS,
            contact: match request.uri.scheme() {
                sip_codec::Scheme::Sips => secure_contact(&path, &incoming.request_user),
                _ => contact(&path, &incoming.request_user),
            },
        };
        dialog.refresh_target(&request.headers);
        dialog.take_routes(&request.headers, false);
        let reliable = Reliable::new(&request.headers, self.wire.random() as u32);
        incoming.reliable = reliable.is_supported();
        let ringing = Ringing {
            cseq: head.cseq,
            offered: incoming.sdp.is_some(),
            server,
            reply,
            stale: verdict == Verdict::Stale,
            provisional: None,
            refresh: None,
            give_up: now.mono + RINGING_MAX,
        };
        let mut session = Session::new(id, dialog, Phase::Ringing(Box::new(ringing)), None);
        session.reliable = reliable;
        session.timer = timer;
        session.note_peer(&request.headers);
        session.schedule(&mut self.wire);
        self.hanging.moved(id, 0, path.connection);
        self.sessions.insert(id, Box::new(session));
        if let Verdict::Valid(user) = verdict {
            incoming.authenticated = Some(user);
        }
        self.wire.event(Event::Incoming(Box::new(incoming)));
    }

    /// REGISTER (RFC 3261 section 10.3). A user without credentials and one that does not exist get the same answer.
    fn register_request(&mut self, now: Now, arrived: &Arrived) {
        let source = arrived.path.remote.ip();
        let request = &arrived.request;
        let verdict = self.guard.verify(now.mono, &mut self.wire, source, ("REGISTER", &request.uri), &request.headers);
        let stale = match verdict {
            Verdict::Valid(user) if user == user_of(&arrived.head.to.uri) => {
                self.registered(now, arrived, &user);
                return;
            }
            Verdict::Valid(_) | Verdict::Blocked => {
                self.refuse(now, arrived, "forbidden", (403, phrase(403).into(), String::new()));
                return;
            }
            Verdict::Stale => true,
            Verdict::Invalid | Verdict::Absent => false,
        };
        let challenge = self.guard.challenge(now.mono, &mut self.wire, source, stale);
        self.respond(now, arrived, 401, phrase(401), &challenge);
    }

    fn registered(&mut self, now: Now, arrived: &Arrived, user: &str) {
        let request = (&arrived.head, &arrived.request);
        match self.registrar.register(now, &mut self.wire, user, arrived.path, request) {
            Ok(contacts) => self.respond(now, arrived, 200, phrase(200), &contacts),
            Err(refusal) => {
                let counter = if refusal.is_full() { "registrations-full" } else { "registration-refused" };
                let (status, reason, extra) = refusal.answer();
                self.refuse(now, arrived, counter, (status, reason.into(), extra));
            }
        }
    }

    fn response(&mut self, now: Now, path: Path, response: &Response) {
        let Ok(head) = Head::parse(&response.headers) else {
            self.wire.count("malformed");
            return;
        };
        // RFC 3261 section 8.1.3.3: more than one Via, not for us.
        let mut vias = response.headers.get_all(&HeaderName::Via).map(sip_codec::Header::value);
        let alone = vias.next().is_some_and(|row| split_top(&row, b',').nth(1).is_none()) && vias.next().is_none();
        if !alone || !response.version.is_supported() {
            self.wire.count("response-stray");
            return;
        }
        let status = response.status.code();
        let to = response.headers.value(&HeaderName::To).unwrap_or_default();
        match self.transactions.response(now.mono, &mut self.wire, &head, status, &to) {
            Answer::Stray => self.wire.count("response-stray"),
            Answer::Absorbed => {}
            Answer::Pass(client, Owner::Invite(id)) => {
                if self.sessions.contains_key(&id) {
                    self.with(now, id, |s, io| s.invite_response(io, client, path, &head, response));
                } else if (200..300).contains(&status) {
                    let mut io = Io { now, wire: &mut self.wire, transactions: &mut self.transactions };
                    end_fork(&mut io, (client, path), &head, response, "");
                }
            }
            Answer::Pass(client, Owner::Reinvite(id) | Owner::Update(id)) => {
                self.with(now, id, |s, io| s.reinvite_response(io, client, &head, response));
            }
            Answer::Pass(_, Owner::Bye(id)) => self.with(now, id, |s, io| s.bye_response(io, response)),
            Answer::Pass(_, Owner::Refer(id)) => self.with(now, id, |session, io| {
                let again = matches!(status, 401 | 407) && session.login.challenged(&response.headers, status);
                session.refer_response(io, status, again);
            }),
            Answer::Pass(client, Owner::Notify(id)) => {
                if status >= 200 {
                    self.with(now, id, |s, io| s.notify_done(io, Some(client), status));
                }
            }
            Answer::Pass(_, Owner::Registration(id)) => {
                self.with_registration(now, id, |r, io| r.response(io, path, response));
            }
            Answer::Pass(_, Owner::Probe(id)) => {
                if status >= 200 {
                    self.wire.event(Event::Probed { id, status: Some(status) });
                }
            }
            Answer::Pass(_, Owner::Prack(id, rseq, cseq)) => {
                self.with(now, id, |s, io| s.prack_response(io, &head, response, (rseq, cseq)));
            }
            Answer::Pass(_, Owner::Cancel) => {}
        }
    }
}

/// The session that a tag of ours names.
pub(super) fn session_of_tag(tag: &[u8]) -> Option<SessionId> {
    let tag = std::str::from_utf8(tag).ok()?;
    Some(SessionId(u64::from_str_radix(tag.split_once('-')?.0, 16).ok()?))
}

fn incoming(id: SessionId, path: Path, head: &Head, request: &Request, sdp: Option<bytes::Bytes>) -> Incoming {
    Incoming {
        session: id,
        path,
        request_user: user_of(&request.uri),
        request_uri: text(&request.uri.to_bytes()),
        from_user: user_of(&head.from.uri),
        from_display: head.from.display_name.as_deref().map(text).unwrap_or_default(),
        from_uri: text(&head.from.uri.to_bytes()),
        to_user: user_of(&head.to.uri),
        origin: Origin::read(&request.headers, &request.uri, &head.from.uri),
        authenticated: None,
        sdp,
        reliable: false,
        user_agent: request.headers.value(&HeaderName::UserAgent).map(|v| text(&v)).unwrap_or_default(),
        replaces: None,
    }
}
