//! The endpoint: everything SIP behind one door.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use sip_codec::{Limits, Uri, parse_datagram};

use crate::base::{Cause, GiveBack, Instant, Now, Source};

use super::dialog::{Dialog, Draft};
use super::digest::Guard;
use super::glance::{Glance, Kind};
use super::hanging::Hanging;
use super::inbound::session_of_tag;
use super::message::{contact, reason_line};
use super::origin::deflected;
use super::refuse;
use super::registrar::Registrar;
use super::registration::Registration;
use super::session::{Io, Phase, Session};
use super::session_timer::{MIN_SE, SessionLimits};
use super::stream::{Framed, Streams};
use super::tolerance;
use super::transaction::{ClientId, Owner, ServerId, Transactions};
use super::types::{Binding, ClientRegistration, EndpointConfig, Event, Invite, ProbeId, RegistrationId, User};
use super::wire::{Wake, Wire};
use super::{Path, SessionId, Transmit};

/// All SIP of the appliance: transactions, sessions, registrar, registrations, probes. Sans-IO: hand it datagrams,
/// chunks and time, then drain [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event), and call
/// [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says.
///
/// Orders for a session that is dead, or whose phase they do not fit, are ignored: the peer may have ended it a moment
/// before, and the event that says so is on its way.
#[derive(Debug)]
pub struct Endpoint {
    pub(super) wire: Wire,
    pub(super) transactions: Transactions,
    pub(super) sessions: HashMap<SessionId, Box<Session>>,
    pub(super) hanging: Hanging<SessionId>,
    pub(super) sessions_max: usize,
    pub(super) guard: Guard,
    pub(super) registrar: Registrar,
    pub(super) stopping: bool,
    registrations: BTreeMap<RegistrationId, Registration>,
    pub(super) streams: Streams,
}

impl Endpoint {
    /// A new endpoint without users, bindings or sessions.
    pub fn new(config: EndpointConfig) -> Self {
        let mut wire = Wire::new(&config);
        Self {
            guard: Guard::new(&mut wire),
            wire,
            // A session has few transactions that live for 64*T1 after their answer; the rest is for all the others.
            transactions: Transactions::new(config.sessions_max.saturating_mul(16).saturating_add(16_384)),
            sessions: HashMap::new(),
            hanging: Hanging::default(),
            sessions_max: config.sessions_max,
            registrar: Registrar::new(config.bindings_max),
            stopping: false,
            registrations: BTreeMap::new(),
            streams: Streams::default(),
        }
    }

    // ---- what happens ----

    /// Takes a UDP datagram.
    pub fn receive(&mut self, now: Now, path: Path, datagram: Bytes) {
        if tolerance::is_keep_alive(&datagram) {
            return;
        }
        let datagram = tolerance::without_leading_lines(datagram);
        let limits = Limits::datagram();
        let parsed = parse_datagram(datagram.clone(), &limits).or_else(|error| {
            tolerance::repair(&datagram).and_then(|repaired| parse_datagram(repaired, &limits).ok()).ok_or(error)
        });
        match parsed {
            Ok(message) => self.message(now, path, message),
            Err(error) => {
                self.misbehaved(path);
                refuse::unparsable(&mut self.wire, path, &datagram, &error);
            }
        }
        self.debug_check();
    }

    /// Takes octets of a TCP stream. Framing is done inside, by [`Path::connection`]; where it fails
    /// [`Event::CloseConnection`] follows.
    pub fn receive_stream(&mut self, now: Now, path: Path, chunk: &[u8]) {
        for framed in self.frame(now, path, chunk) {
            self.receive_framed(now, path, framed);
        }
    }

    /// The first half of [`receive_stream`](Self::receive_stream): what came whole, for
    /// [`receive_framed`](Self::receive_framed).
    pub fn frame(&mut self, now: Now, path: Path, chunk: &[u8]) -> Vec<Framed> {
        self.streams.push(now.mono, &mut self.wire, path.connection, chunk).unwrap_or_else(|_| {
            self.wire.count("stream-broken");
            self.misbehaved(path);
            self.wire.event(Event::CloseConnection { connection: path.connection });
            Vec::new()
        })
    }

    /// The second half.
    pub fn receive_framed(&mut self, now: Now, path: Path, framed: Framed) {
        match framed {
            Framed::Message(message) => self.message(now, path, *message),
            Framed::Ping => self.wire.send(path, Bytes::from_static(b"\r\n")),
        }
        self.debug_check();
    }

    /// A TCP stream is gone: requests that wait for an answer on it fail (RFC 3261 section 17.1.4), sessions and
    /// bindings stay and get a new connection when they need one.
    pub fn connection_closed(&mut self, now: Now, connection: u64) {
        if connection == 0 {
            return;
        }
        self.streams.close(connection);
        self.registrar.connection_closed(connection);
        for registration in self.registrations.values_mut() {
            registration.connection_closed(connection);
        }
        for id in self.hanging.on(connection) {
            self.hanging.moved(id, connection, 0);
            if let Some(session) = self.sessions.get_mut(&id) {
                session.dialog.path.connection = 0;
            }
        }
        for owner in self.transactions.connection_closed(now.mono, &mut self.wire, connection) {
            self.unanswered(now, owner, 503);
        }
    }

    /// A message could not be sent on `path`, or the connection could not be made (RFC 3261 section 17.1.4).
    pub fn transport_failed(&mut self, now: Now, path: Path) {
        self.wire.count("transport-failed");
        for owner in self.transactions.path_failed(now.mono, &mut self.wire, &path) {
            self.unanswered(now, owner, 503);
        }
    }

    /// Runs the timers that are due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((at, wake)) = self.wire.take_due(now.mono) {
            match wake {
                Wake::Server(id) => self.transactions.wake_server(now.mono, &mut self.wire, ServerId(id), at),
                Wake::Client(id, cancel) => {
                    let id = ClientId { id, cancel };
                    let ended = self.transactions.wake_client(now.mono, &mut self.wire, id, at);
                    if let Some((owner, status)) = ended {
                        self.unanswered(now, owner, status);
                    }
                }
                Wake::Session(id) => self.with(now, id, |session, io| session.wake(io, at)),
                Wake::Registration(id) => self.with_registration(now, id, |registration, io| {
                    registration.wake(io, at);
                    false
                }),
                Wake::Stream(connection) => {
                    if self.streams.wake(now.mono, &mut self.wire, connection, at) {
                        self.wire.count("stream-half-message");
                        self.wire.event(Event::CloseConnection { connection });
                    }
                }
                Wake::Accounts => self.guard.wake_accounts(now.mono, &mut self.wire),
                Wake::Registrar => self.registrar.wake(now.mono, &mut self.wire, at),
            }
        }
        self.debug_check();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wire.next_wake()
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.wire.poll_transmit()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.wire.poll_event()
    }

    /// Our listeners by TCP: from there go requests that are too large for a datagram (RFC 3261 section 18.1.1), and by UDP
    /// all the same where that leads nowhere.
    pub fn set_streams(&mut self, locals: Vec<SocketAddr>) {
        self.transactions.set_streams(locals);
    }

    /// Gives back the memory that a burst took.
    pub fn give_back(&mut self) {
        self.transactions.give_back();
        self.wire.give_back();
        self.sessions.give_back();
    }

    // ---- at a glance ----

    /// Whether this INVITE is a retransmission of one that is being served.
    pub fn serves(&self, invite: &Glance<'_>) -> bool {
        invite.transaction_key().is_some_and(|key| self.transactions.has(&key))
    }

    /// Whether this INVITE takes the place of a session that lives.
    pub fn replaces(&self, invite: &Glance<'_>) -> bool {
        invite.replaced().and_then(session_of_tag).is_some_and(|id| self.sessions.contains_key(&id))
    }

    /// Whether a message belongs to a session or a request of ours, as far as its tag or branch tells.
    pub fn expects(&self, message: &Glance<'_>) -> bool {
        match message.kind {
            Kind::Response => message.branch().is_some_and(|branch| self.transactions.awaits(branch)),
            Kind::Ack | Kind::Cancel | Kind::Within => {
                // An ACK to a refusal and CANCEL have the branch of their INVITE, and its session may be gone.
                message.to_tag().and_then(session_of_tag).is_some_and(|id| self.sessions.contains_key(&id))
                    || self.serves(message)
            }
            _ => false,
        }
    }

    // ---- as a registrar ----

    /// While stopping, out-of-dialog INVITE and OPTIONS are refused with 503 and Retry-After.
    pub fn set_stopping(&mut self, stopping: bool) {
        self.stopping = stopping;
    }

    /// Replaces who may register and authenticate. Bindings of users that stay are kept; of those that go
    /// [`Event::Unregistered`] tells.
    pub fn set_users(&mut self, users: Vec<User>) {
        self.guard.set_users(users);
        self.guard.keep_accounts(&mut self.wire);
        let guard = &self.guard;
        self.registrar.keep_users(&mut self.wire, |user| guard.knows(user));
    }

    /// Whether challenges offer SHA-256 before MD5 (RFC 8760). Off at first: user agents of the libre 1.x generation
    /// (baresip in Debian 12) and SIPp fail on a challenge that names an algorithm they do not know, even among others.
    /// Answers by either are taken in any case.
    pub fn offer_sha256(&mut self, on: bool) {
        self.guard.offer_sha256(on);
    }

    /// Whether credentials from a source are refused unseen: [`Event::Misbehaved`] tells of each wrong one.
    pub fn set_unheard(&mut self, source: Source, unheard: bool) {
        self.guard.set_unheard(source, unheard);
    }

    /// Sets session timers (RFC 4028): the interval that we ask for (`None`: none, but peers' are kept to), and the
    /// shortest that we take, at least 90 s. Sessions that are up keep theirs.
    pub fn set_session_timer(&mut self, expires: Option<Duration>, min: Duration) {
        let min = min.max(MIN_SE);
        self.wire.session_limits = SessionLimits { expires: expires.map(|expires| expires.max(min)), min };
    }

    /// Puts back a binding after a restart. Ignored when expired, for an unknown user, or beyond `bindings_max`.
    pub fn restore_binding(&mut self, now: Now, binding: Binding) {
        let (user, source) = (binding.user.clone(), binding.path.remote.ip());
        if self.guard.knows(&user) && self.registrar.restore(now, &mut self.wire, binding) {
            self.guard.is_at(now.mono, &user, source);
        } else {
            self.wire.count("binding-not-restored");
        }
    }

    /// The newest live binding of a user.
    pub fn binding(&self, user: &str) -> Option<&Binding> {
        self.registrar.binding(user)
    }

    /// Live bindings.
    pub fn bindings_len(&self) -> usize {
        self.registrar.len()
    }

    // ---- as a client ----

    /// Calls someone. `None` when there are `sessions_max` sessions, or a URI of the order is malformed.
    pub fn invite(&mut self, now: Now, invite: Invite) -> Option<SessionId> {
        if self.sessions.len() >= self.sessions_max {
            self.wire.count("sessions-full");
            return None;
        }
        let id = SessionId(self.wire.id());
        let mut io = Io { now, wire: &mut self.wire, transactions: &mut self.transactions };
        let Some(mut session) = Session::call(&mut io, id, invite) else {
            self.wire.count("bad-order");
            return None;
        };
        session.schedule(&mut self.wire);
        self.hanging.moved(id, 0, session.dialog.path.connection);
        self.sessions.insert(id, Box::new(session));
        Some(id)
    }

    /// Registers with a registrar, refreshes by itself at 80 % of the granted life, and retries with growing pauses.
    pub fn register(&mut self, now: Now, registration: ClientRegistration) -> RegistrationId {
        let id = RegistrationId(self.wire.id());
        let mut io = Io { now, wire: &mut self.wire, transactions: &mut self.transactions };
        let registration = Registration::new(&mut io, id, registration);
        self.registrations.insert(id, registration);
        id
    }

    /// Sends a registration's requests by another path from now on, the next one at once or when its pause is over.
    pub fn move_registration(&mut self, now: Now, id: RegistrationId, path: Path, at_once: bool) {
        self.with_registration(now, id, |registration, io| {
            registration.move_to(io, path, at_once);
            false
        });
    }

    /// Ends a registration of ours: `Expires: 0` to the registrar where it holds one. No further events.
    pub fn unregister(&mut self, now: Now, id: RegistrationId) {
        self.with_registration(now, id, |registration, io| registration.leave(io));
    }

    /// Sends OPTIONS (RFC 3261 section 11); [`Event::Probed`] follows, after 32 s where nobody answers.
    pub fn probe(&mut self, now: Now, path: Path, uri: String) -> ProbeId {
        let id = ProbeId(self.wire.id());
        if !Uri::parse(Bytes::copy_from_slice(uri.as_bytes())).is_ok_and(|uri| uri.scheme().is_sip()) {
            self.wire.count("bad-order");
            self.wire.event(Event::Probed { id, status: None });
            return id;
        }
        let local_tag = self.wire.token();
        let contact = contact(&path, "");
        let dialog = Dialog {
            path,
            call_id: self.wire.call_id().into_bytes(),
            local: format!("{contact};tag={local_tag}").into_bytes(),
            local_tag,
            remote: format!("<{uri}>").into_bytes(),
            remote_tag: Vec::new(),
            target: uri.into_bytes(),
            routes: Vec::new(),
            local_cseq: 1,
            remote_cseq: None,
            max_forwards: super::MAX_FORWARDS,
            contact,
        };
        let extra = format!("Contact: {}\r\nAccept: application/sdp\r\n", dialog.contact);
        let branch = self.transactions.branch(&mut self.wire);
        let draft = Draft { method: "OPTIONS", cseq: 1, extra: &extra, body: None };
        let bytes = dialog.request(&path, branch, &self.wire.user_agent, &draft);
        self.transactions.request(now.mono, &mut self.wire, branch, path, Owner::Probe(id), bytes);
        id
    }

    // ---- sessions ----

    /// Sends 101 to 199 to an incoming INVITE: reliably (RFC 3262) where the peer requires it, or where it can and `sdp`
    /// is given. Reliable ones go out one by one, at most four wait. Without a PRACK for 32 s the INVITE is refused
    /// with 504 and [`Event::Ended`] tells.
    pub fn provisional(&mut self, now: Now, session: SessionId, status: u16, sdp: Option<Bytes>) {
        self.order(now, session, |session, io| session.provisional(io, status, sdp.as_ref()));
    }

    /// Answers an incoming INVITE with 200, once a description that went out reliably is acknowledged (RFC 3262 section
    /// 3), and then without `sdp`. It is retransmitted until its ACK (RFC 3261 section 13.3.1.4). Without one for
    /// 32 s the session is ended by BYE and [`Event::Ended`].
    pub fn accept(&mut self, now: Now, session: SessionId, sdp: Bytes) {
        self.order(now, session, |session, io| session.accept(io, &sdp));
    }

    /// Refuses an incoming INVITE with 300 to 699 (another status counts as 500). `cause` goes into a Reason header
    /// (RFC 3326), `retry_after_s` into Retry-After.
    pub fn reject(
        &mut self,
        now: Now,
        session: SessionId,
        status: u16,
        cause: Option<Cause>,
        retry_after_s: Option<u32>,
    ) {
        let status = if (300..=699).contains(&status) { status } else { 500 };
        let mut extra = cause.map(reason_line).unwrap_or_default();
        if let Some(seconds) = retry_after_s {
            extra.push_str(&format!("Retry-After: {seconds}\r\n"));
        }
        self.order(now, session, |session, io| session.refuse(io, status, &extra));
    }

    /// Sends the caller of an incoming INVITE to another URI instead (RFC 3261 section 21.3.3), where it is known by
    /// [`Origin::deflected`](super::Origin::deflected). The session dies without event.
    pub fn redirect(&mut self, now: Now, session: SessionId, uri: &str, cause: Cause) {
        let mut extra = reason_line(cause);
        extra.push_str(&format!("Contact: <{}>\r\n", deflected(uri)));
        self.order(now, session, |session, io| session.refuse(io, 302, &extra));
    }

    /// Refuses an incoming INVITE for its session description, with a Warning header that says why (RFC 3261 section
    /// 20.43); `text` has no line break and no quote. The session dies without event.
    pub fn reject_described(&mut self, now: Now, session: SessionId, status: u16, warning: u16, text: &str) {
        let mut extra = reason_line(Cause::IncompatibleMedia);
        extra.push_str(&format!(
            "Warning: {warning} {} \"{text}\"\r\n",
            self.wire.user_agent.split('/').next().unwrap_or("-")
        ));
        self.order(now, session, |session, io| session.refuse(io, status, &extra));
    }

    /// By which profile a connection to the session's peer is made, should the one that it made itself be gone.
    pub fn set_profile(&mut self, session: SessionId, profile: u32) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.dialog.path.profile = profile;
        }
    }

    /// Refuses an incoming INVITE with 401 and a digest challenge; the session dies without event.
    pub fn challenge(&mut self, now: Now, session: SessionId) {
        let (source, stale) = match self.sessions.get(&session).map(|s| (&s.dialog.path, &s.phase)) {
            Some((path, Phase::Ringing(ringing))) => (path.remote.ip(), ringing.stale),
            _ => return,
        };
        let challenge = self.guard.challenge(now.mono, &mut self.wire, source, stale);
        self.order(now, session, |session, io| session.refuse(io, 401, &challenge));
    }

    /// Whether the party that we called has sent any response, be it 100 Trying. False for a session that is gone.
    pub fn is_heard(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|s| match &s.phase {
            Phase::Calling(calling) => calling.provisional,
            Phase::Ringing(_) | Phase::Up => true,
            Phase::Closing | Phase::Gone => false,
        })
    }

    /// Ends a session by BYE, CANCEL or refusal, as its state demands. No further events for it.
    pub fn hangup(&mut self, now: Now, session: SessionId, cause: Cause) {
        self.order(now, session, |session, io| session.hang_up(io, cause));
    }

    /// Sends a new offer by re-INVITE, or before the answer to the peer's INVITE by UPDATE where it allows that, once
    /// nothing else is under way; [`Event::Reanswered`] follows. 491 is tried again (RFC 3261 section 14.1). An offer
    /// that still waits is replaced by a newer one.
    pub fn reinvite(&mut self, now: Now, session: SessionId, sdp: Bytes) {
        self.order(now, session, |session, io| session.reinvite(io, sdp));
    }

    /// Answers [`Event::Reoffer`] with a description or a refusal's status (300 to 699).
    pub fn answer_reoffer(&mut self, now: Now, session: SessionId, answer: Result<Bytes, u16>) {
        self.order(now, session, |session, io| session.answer_reoffer(io, answer));
    }

    /// Answers [`Event::Referred`]: 2xx (sent as 202), or 300 to 699.
    pub fn accept_refer(&mut self, now: Now, session: SessionId, status: u16) {
        self.order(now, session, |session, io| session.accept_refer(io, status));
    }

    /// Tells the peer how its transfer gets on (RFC 3515 section 2.4.5); a final status ends the subscription.
    pub fn notify_refer(&mut self, now: Now, session: SessionId, status: u16) {
        self.order(now, session, |session, io| session.notify_refer(io, status));
    }

    /// Asks the peer to call `target` (RFC 3515); [`Event::ReferProgress`] follows.
    pub fn refer(&mut self, now: Now, session: SessionId, target: &str) {
        self.order(now, session, |session, io| session.refer(io, target));
    }

    // ---- figures ----

    /// What was dropped or refused, by reason.
    pub fn counters(&self) -> &BTreeMap<&'static str, u64> {
        self.wire.counters()
    }

    /// Sessions, those included whose CANCEL or BYE is not yet confirmed.
    pub fn sessions_len(&self) -> usize {
        self.sessions.len()
    }

    /// Live transactions, client and server.
    pub fn transactions_len(&self) -> usize {
        self.transactions.len()
    }

    /// Asserts what must hold between any two calls. Costs time with each session and transaction.
    pub fn check_invariants(&self) {
        self.transactions.check_invariants();
        self.registrar.check_invariants();
        assert!(self.sessions.len() <= self.sessions_max);
        self.hanging.check(self.sessions.iter().map(|(id, session)| (*id, session.dialog.path.connection)));
        for (id, session) in &self.sessions {
            assert_eq!(*id, session.id);
            session.check_invariants();
        }
    }

    /// The same after each entry in tests, where worlds are small.
    fn debug_check(&self) {
        if cfg!(test) && self.transactions.len() < 64 {
            self.check_invariants();
        }
    }

    // ---- inside ----

    pub(super) fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id).map(AsRef::as_ref)
    }

    /// Tells the owner of what honest peers don't do.
    pub(super) fn misbehaved(&mut self, path: Path) {
        self.wire.event(Event::Misbehaved {
            source: path.remote.ip(),
            connection: path.connection,
            credentials: false,
        });
    }

    /// Has a session act, and clears it away where that was its end.
    pub(super) fn with(&mut self, now: Now, id: SessionId, act: impl FnOnce(&mut Session, &mut Io<'_>)) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let before = session.dialog.path.connection;
        act(session, &mut Io { now, wire: &mut self.wire, transactions: &mut self.transactions });
        let gone = matches!(session.phase, Phase::Gone);
        self.hanging.moved(id, before, if gone { 0 } else { session.dialog.path.connection });
        if gone {
            self.sessions.remove(&id);
            self.wire.event(Event::Released { session: id });
        } else {
            session.schedule(&mut self.wire);
        }
    }

    /// Has a session act for its owner, who has no more say once it ended.
    fn order(&mut self, now: Now, id: SessionId, act: impl FnOnce(&mut Session, &mut Io<'_>)) {
        if self.sessions.get(&id).is_some_and(|session| !session.silent) {
            self.with(now, id, act);
        }
        self.debug_check();
    }

    /// Has a registration act; `true` from it is its end.
    pub(super) fn with_registration(
        &mut self,
        now: Now,
        id: RegistrationId,
        act: impl FnOnce(&mut Registration, &mut Io<'_>) -> bool,
    ) {
        let Some(registration) = self.registrations.get_mut(&id) else { return };
        if act(registration, &mut Io { now, wire: &mut self.wire, transactions: &mut self.transactions }) {
            self.registrations.remove(&id);
        } else {
            registration.schedule(&mut self.wire);
        }
    }

    /// A request of ours ended without a final response: 408 for time, 503 for transport (RFC 3261 section 8.1.3.1).
    fn unanswered(&mut self, now: Now, owner: Owner, status: u16) {
        match owner {
            Owner::Invite(id) => self.with(now, id, |session, io| session.invite_failed(io, status)),
            Owner::Reinvite(id) | Owner::Update(id) => {
                self.with(now, id, |session, io| session.reinvite_failed(io, status, None))
            }
            Owner::Bye(id) => self.with(now, id, |session, _| session.phase = Phase::Gone),
            Owner::Refer(id) => self.with(now, id, |session, io| session.refer_response(io, status, false)),
            Owner::Notify(id) => self.with(now, id, |session, io| session.notify_done(io, None, status)),
            Owner::Registration(id) => self.with_registration(now, id, |r, io| r.failed(io, status)),
            Owner::Probe(id) => self.wire.event(Event::Probed { id, status: None }),
            Owner::Cancel | Owner::Prack(..) => {}
        }
    }
}
