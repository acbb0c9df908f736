//! The endpoint: everything SIP behind one door.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::base::{Cause, Instant, Now};

use super::types::*;
use super::{Path, SessionId, Transmit};

/// All SIP of the appliance: transactions, sessions, registrar, registrations, probes. Sans-IO: hand it datagrams,
/// chunks and time, then drain [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event), and call
/// [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    counters: BTreeMap<&'static str, u64>,
}

impl Endpoint {
    /// A new endpoint without users, bindings or sessions.
    pub fn new(config: EndpointConfig) -> Self {
        Self { config, counters: BTreeMap::new() }
    }

    /// Takes a UDP datagram.
    pub fn receive(&mut self, _now: Now, _path: Path, _datagram: Bytes) {}

    /// Takes octets of a TCP stream. Framing is done inside, by [`Path::connection`]; where it fails
    /// [`Event::CloseConnection`] follows.
    pub fn receive_stream(&mut self, _now: Now, _path: Path, _chunk: &[u8]) {}

    /// A TCP stream is gone.
    pub fn connection_closed(&mut self, _now: Now, _connection: u64) {}

    /// A message could not be sent on `path`, or the connection could not be made (RFC 3261 section 17.1.4).
    pub fn transport_failed(&mut self, _now: Now, _path: Path) {}

    /// Runs the timers that are due.
    pub fn handle_timeout(&mut self, _now: Now) {}

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// While stopping, out-of-dialog INVITE and OPTIONS are refused with 503 and Retry-After.
    pub fn set_stopping(&mut self, _stopping: bool) {}

    /// Replaces who may register and authenticate. Bindings of users that stay are kept.
    pub fn set_users(&mut self, _users: Vec<User>) {}

    /// Puts back a binding after a restart. Ignored when expired, for an unknown user, or beyond `bindings_max`.
    pub fn restore_binding(&mut self, _now: Now, _binding: Binding) {}

    /// The newest live binding of a user.
    pub fn binding(&self, _user: &str) -> Option<&Binding> {
        None
    }

    /// Live bindings.
    pub fn bindings_len(&self) -> usize {
        0
    }

    /// Calls someone. `None` when there are `sessions_max` sessions, or a URI of the order is malformed.
    pub fn invite(&mut self, _now: Now, _invite: Invite) -> Option<SessionId> {
        None
    }

    /// Registers with a registrar, refreshes by itself, and retries with growing pauses.
    pub fn register(&mut self, _now: Now, _registration: ClientRegistration) -> RegistrationId {
        RegistrationId(0)
    }

    /// Ends a registration of ours: `Expires: 0` to the registrar, no further events.
    pub fn unregister(&mut self, _now: Now, _id: RegistrationId) {}

    /// Sends OPTIONS (RFC 3261 section 11); [`Event::Probed`] follows.
    pub fn probe(&mut self, _now: Now, _path: Path, _uri: String) -> ProbeId {
        ProbeId(0)
    }

    /// Sends 101 to 199 to an incoming INVITE.
    pub fn provisional(&mut self, _now: Now, _session: SessionId, _status: u16, _sdp: Option<Bytes>) {}

    /// Answers an incoming INVITE with 200, retransmitted until its ACK (RFC 3261 section 13.3.1.4).
    pub fn accept(&mut self, _now: Now, _session: SessionId, _sdp: Bytes) {}

    /// Refuses an incoming INVITE with 300 to 699. `cause` goes into a Reason header (RFC 3326).
    pub fn reject(
        &mut self,
        _now: Now,
        _session: SessionId,
        _status: u16,
        _cause: Option<Cause>,
        _retry_after_s: Option<u32>,
    ) {
    }

    /// Refuses an incoming INVITE with 401 and a digest challenge; the session dies without event.
    pub fn challenge(&mut self, _now: Now, _session: SessionId) {}

    /// Ends a session by BYE, CANCEL or refusal, as its state demands. No further events for it.
    pub fn hangup(&mut self, _now: Now, _session: SessionId, _cause: Cause) {}

    /// Sends a re-INVITE with a new offer; [`Event::Reanswered`] follows. 491 is tried again (RFC 3261 section 14.1).
    pub fn reinvite(&mut self, _now: Now, _session: SessionId, _sdp: Bytes) {}

    /// Answers [`Event::Reoffer`] with a description or a refusal's status (300 to 699).
    pub fn answer_reoffer(&mut self, _now: Now, _session: SessionId, _answer: Result<Bytes, u16>) {}

    /// Answers [`Event::Referred`]: 202, or 300 to 699.
    pub fn accept_refer(&mut self, _now: Now, _session: SessionId, _status: u16) {}

    /// Tells the peer how its transfer gets on (RFC 3515 section 2.4.5); a final status ends the subscription.
    pub fn notify_refer(&mut self, _now: Now, _session: SessionId, _status: u16) {}

    /// Asks the peer to call `target` (RFC 3515); [`Event::ReferProgress`] follows.
    pub fn refer(&mut self, _now: Now, _session: SessionId, _target: &str) {}

    /// What was dropped or refused, by reason.
    pub fn counters(&self) -> &BTreeMap<&'static str, u64> {
        &self.counters
    }

    /// Live sessions.
    pub fn sessions_len(&self) -> usize {
        0
    }

    /// Live transactions, client and server.
    pub fn transactions_len(&self) -> usize {
        0
    }

    /// Asserts what must hold between any two calls.
    pub fn check_invariants(&self) {
        assert!(!self.config.realm.contains('"'));
    }
}
