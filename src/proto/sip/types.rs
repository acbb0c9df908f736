//! What the endpoint is told and what it tells: configuration, orders, events.

use bytes::Bytes;

use crate::base::{Cause, Redacted, Timestamp};

use super::origin::Origin;
use super::{Path, SessionId};

/// What an endpoint needs to know at its start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointConfig {
    /// Protection space of our digest challenges (RFC 3261 section 22.1), and host part of addresses of record.
    pub realm: String,
    /// `User-Agent` and `Server` of what we send (RFC 3261 sections 20.35 and 20.41).
    pub user_agent: String,
    /// Source of tags, branches, Call-IDs and the nonce key. The edge passes entropy; tests pass a number.
    pub seed: u64,
    /// Sessions at once. An INVITE beyond it is refused with 503 and Retry-After.
    pub sessions_max: usize,
    /// Bindings at once, all users together. A REGISTER beyond it is refused with 503 and Retry-After.
    pub bindings_max: usize,
}

/// Someone who may register with us and authenticate to us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Digest user name, and user part of the address of record.
    pub name: String,
    /// Shared secret.
    pub password: Redacted<String>,
    /// Whether guesses lock it, but for where it logged in of late. Not a carrier, which has no such place after a start, and
    /// which anybody could shut out.
    pub guarded: bool,
}

/// With which we answer a peer's digest challenge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// Digest user name.
    pub user: String,
    /// Shared secret.
    pub password: Redacted<String>,
}

/// An order to call someone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invite {
    /// Where to send the INVITE.
    pub path: Path,
    /// Request-URI, `sip:` scheme.
    pub request_uri: String,
    /// User part of the From URI.
    pub from_user: String,
    /// Display name of the From header.
    pub from_display: Option<String>,
    /// Host part of the From URI.
    pub from_host: String,
    /// URI of the To header.
    pub to_uri: String,
    /// User part of our Contact.
    pub contact_user: String,
    /// Our offer. `None` asks the peer for one; the ACK goes out without an answer to it then, so a re-INVITE with an
    /// offer of ours is to follow.
    pub sdp: Option<Bytes>,
    /// Answers a 401 or 407, once.
    pub credentials: Option<Credentials>,
    /// How many elements it may pass (RFC 3261 section 8.1.1.6); [`MAX_FORWARDS`](super::MAX_FORWARDS) for a call that
    /// begins here, one less than it came with for one that goes on.
    pub max_forwards: u8,
    /// Further headers, e.g. P-Asserted-Identity. A name or value with a line break is left out and counted.
    pub headers: Vec<(String, String)>,
}

/// Where a user of ours can be reached (RFC 3261 section 10.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    /// User part of the address of record.
    pub user: String,
    /// Contact URI.
    pub contact: String,
    /// Where the REGISTER came from; requests go there, through any NAT it opened.
    pub path: Path,
    /// End of the binding.
    pub expires_at: Timestamp,
}

/// An order to register with someone else's registrar, kept up until [`unregister`](super::Endpoint::unregister).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientRegistration {
    /// Where to send the REGISTER.
    pub path: Path,
    /// Request-URI, e.g. `sip:provider.example`.
    pub registrar_uri: String,
    /// URIs of proxies to go through, first one first (RFC 3261 section 8.1.2).
    pub routes: Vec<String>,
    /// User part of the address of record.
    pub aor_user: String,
    /// Host part of the address of record.
    pub domain: String,
    /// Answers the registrar's challenge.
    pub credentials: Credentials,
    /// Wished lifetime in seconds; the registrar may shorten it.
    pub expires_s: u32,
}

/// A registration of ours at someone else's registrar. Never reused while the process lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RegistrationId(pub u64);

/// An OPTIONS request of ours. Never reused while the process lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProbeId(pub u64);

/// A new call for us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incoming {
    /// Name of the session from now on.
    pub session: SessionId,
    /// Where the INVITE came from.
    pub path: Path,
    /// User part of the Request-URI, unescaped: what was dialled.
    pub request_user: String,
    /// Request-URI.
    pub request_uri: String,
    /// User part of the From URI, unescaped.
    pub from_user: String,
    /// Display name of the From header; empty for none.
    pub from_display: String,
    /// URI of the From header.
    pub from_uri: String,
    /// User part of the To URI, unescaped.
    pub to_user: String,
    /// Whom it comes from, and by which numbers.
    pub origin: Origin,
    /// The user whose digest was verified.
    pub authenticated: Option<String>,
    /// The peer's offer; `None` asks us for one.
    pub sdp: Option<Bytes>,
    /// Whether the peer takes provisional responses reliably (RFC 3262), so that one can carry an offer of ours.
    pub reliable: bool,
    /// The peer's User-Agent; empty for none.
    pub user_agent: String,
    /// The live session whose place the new one is to take (RFC 3891), if the owner finds the caller entitled to it.
    pub replaces: Option<SessionId>,
}

/// What happened. After an event that says "dead" the session's id is forgotten; orders for it are ignored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A new INVITE arrived; 100 Trying is already sent.
    Incoming(Box<Incoming>),
    /// 101 to 199 to our INVITE.
    Provisional {
        /// Which.
        session: SessionId,
        /// Status code.
        status: u16,
        /// Early media's description, if it carries one.
        sdp: Option<Bytes>,
    },
    /// 2xx to our INVITE, acknowledged by the endpoint.
    Answered {
        /// Which.
        session: SessionId,
        /// The answer: that of the 2xx, or, where the 2xx has none, that of an earlier 18x of the same dialog.
        sdp: Option<Bytes>,
    },
    /// The ACK for our 2xx arrived.
    Acked {
        /// Which.
        session: SessionId,
        /// The ACK's body: the answer, where our 2xx carried the offer.
        sdp: Option<Bytes>,
    },
    /// The answer to the offer of a reliable provisional response of ours came in its PRACK (RFC 3262 section 5).
    Concluded {
        /// Which.
        session: SessionId,
        /// The answer.
        sdp: Bytes,
    },
    /// The peer signalled a digit by INFO.
    Digit {
        /// Which.
        session: SessionId,
        /// `0-9*#A-D`.
        digit: char,
    },
    /// Our INVITE ended without answer, after the digest retry if there was one. Dead.
    Failed {
        /// Which.
        session: SessionId,
        /// Final status; 408 on timeout, 503 when the transport failed (RFC 3261 section 8.1.3.1).
        status: u16,
        /// By the Reason header (RFC 3326) where it names a Q.850 cause, else by the status (RFC 3398).
        cause: Cause,
        /// When to come back, in seconds (RFC 3261 section 20.33).
        retry_after_s: Option<u32>,
    },
    /// The caller gave up before our final answer; 487 is sent. Dead.
    Cancelled {
        /// Which.
        session: SessionId,
        /// That of its Reason (RFC 3326), else [`Cause::Normal`].
        cause: Cause,
    },
    /// An offer from the peer by re-INVITE, UPDATE or PRACK, or a re-INVITE without one; answer with
    /// [`answer_reoffer`](super::Endpoint::answer_reoffer).
    Reoffer {
        /// Which.
        session: SessionId,
        /// The new offer; `None` asks us for one.
        sdp: Option<Bytes>,
    },
    /// Our re-INVITE or UPDATE was answered.
    Reanswered {
        /// Which.
        session: SessionId,
        /// The answer's description, or the final status that refused it; the session goes on as before then.
        answer: Result<Option<Bytes>, u16>,
    },
    /// The peer asks us to transfer it (RFC 3515); answer with [`accept_refer`](super::Endpoint::accept_refer).
    Referred {
        /// Which.
        session: SessionId,
        /// URI of Refer-To.
        target: String,
    },
    /// How the peer gets on with our REFER: the status of its NOTIFY's sipfrag, or of the REFER itself where refused.
    ReferProgress {
        /// Which.
        session: SessionId,
        /// Status code; 200 or more is the last.
        status: u16,
    },
    /// The last word on every session: both sides know that it is over, or the peer did not confirm in time. After
    /// [`Endpoint::hangup`](super::Endpoint::hangup) the peer is free for a new call only from here on.
    Released {
        /// Which.
        session: SessionId,
    },
    /// The session ended: BYE arrived, or the dialog broke. Dead.
    Ended {
        /// Which.
        session: SessionId,
        /// Why.
        cause: Cause,
    },
    /// A user's binding was made or refreshed.
    Registered {
        /// As it holds now.
        binding: Binding,
    },
    /// A user's binding ended: taken back, expired, or displaced by newer ones. Others may be left.
    Unregistered {
        /// User part of the address of record.
        user: String,
        /// Its contact, as it was registered.
        contact: String,
    },
    /// One of our registrations was made, refreshed, or refused (it is then tried again).
    ClientRegistration {
        /// Which.
        id: RegistrationId,
        /// Granted lifetime in seconds, or the final status (408 for none).
        result: Result<u32, u16>,
    },
    /// An OPTIONS request of ours came to its end.
    Probed {
        /// Which.
        id: ProbeId,
        /// Final status; `None` when nobody answered.
        status: Option<u16>,
    },
    /// Who is at the other end of a TLS connection takes requests on it (RFC 5923 section 7.2): an `alias` in the topmost Via
    /// of its own. That it is who it should be is for the owner to know.
    Aliased {
        /// The connection.
        path: Path,
        /// The port of the server that it stands for, at the address that it comes from.
        port: u16,
    },
    /// A user's password was guessed at from so many places that it is believed from known ones alone for a while; or that is
    /// over.
    Locked {
        /// Whose.
        user: String,
        /// Whether it begins.
        stands: bool,
    },
    /// Something arrived that honest peers don't send. Over UDP its source may be forged, but not with wrong credentials:
    /// they answer a nonce that was fetched from there.
    Misbehaved {
        /// Where it came from.
        source: std::net::IpAddr,
        /// On which stream, as in [`Path::connection`]; 0 for none.
        connection: u64,
        /// Wrong credentials; else a message that is none.
        credentials: bool,
    },
    /// A stream cannot be framed any further; the edge shall close it.
    CloseConnection {
        /// Number of the stream, as in [`Path::connection`].
        connection: u64,
    },
}
