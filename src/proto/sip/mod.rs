//! SIP (RFC 3261): messages, transactions, dialogs, sessions, registration, digest. No socket, no clock: bytes and time
//! come in, bytes and events go out.

mod accounts;
mod attributes;
mod bounds;
mod calling;
mod dialog;
mod digest;
mod endpoint;
mod glance;
mod hanging;
mod inbound;
mod info;
mod message;
mod origin;
mod prack;
mod refer;
mod refuse;
mod registrar;
mod registration;
mod reinvite;
mod replaces;
mod session;
mod session_timer;
mod stream;
mod tolerance;
mod transaction;
mod types;
mod update;
mod uri;
mod wire;

use std::net::SocketAddr;

use bytes::Bytes;

pub(crate) use attributes::{referral, referred_attributes};
pub use endpoint::Endpoint;
pub use glance::{Glance, Kind};
pub(crate) use message::escape_user;
pub use message::is_sos;
pub(crate) use origin::{Audience, DIVERSIONS_MAX};
pub use origin::{Diversion, MAX_FORWARDS, Origin, deflected};
pub use stream::Framed;
pub use types::{
    Binding, ClientRegistration, Credentials, EndpointConfig, Event, Incoming, Invite, ProbeId, RegistrationId, User,
};
pub use uri::UriParts;

/// Transport protocol of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// RFC 3261 section 18, datagrams.
    Udp,
    /// RFC 3261 section 18, a stream.
    Tcp,
    /// RFC 3261 section 26.2.1, a stream inside TLS.
    Tls,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Transport; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// Whether messages arrive whole and in order, so that nothing is retransmitted (RFC 3261 section 17).
    pub const fn is_stream(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// As in `transport=` and in a listener's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// As in Via (RFC 3261 section 20.42).
    pub const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// The port where none is written (RFC 3261 section 19.1.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }

    /// The transport of this name, in whatever case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.name().eq_ignore_ascii_case(name))
    }

    /// What a URI on this transport has after host and port.
    pub const fn uri_parameter(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
        }
    }
}

/// Where a message came from or goes to. On a stream, `connection` names it while it lives; a request without one
/// makes `edge` connect, and responses fall back to connecting (RFC 3261 18.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Path {
    /// Protocol.
    pub transport: Transport,
    /// Our address (which listener).
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The stream, by number; 0 for none (UDP, or not connected yet).
    pub connection: u64,
    /// With whose name and certificate a TLS stream is made, by number of the core's table; 0 for none.
    pub profile: u32,
}

impl Path {
    /// A path that is not connected.
    pub const fn new(transport: Transport, local: SocketAddr, remote: SocketAddr) -> Self {
        Self { transport, local, remote, connection: 0, profile: 0 }
    }
}

/// Bytes to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// Where to.
    pub path: Path,
    /// A whole message.
    pub bytes: Bytes,
}

impl Transmit {
    /// Whether it is a 2xx response (RFC 3261 section 7.2) that promises the peer that what it asked for is done. One to
    /// CANCEL or OPTIONS promises nothing (sections 9.2 and 11.2), and the one to CANCEL belongs before the 487; nor does
    /// one to REFER (RFC 3515 section 2.4.2), which belongs before the NOTIFYs and the BYE that follow it. Those to PRACK, UPDATE
    /// and INFO say only that a message was understood.
    pub fn is_promise(&self) -> bool {
        const CSEQ: &[u8] = b"\r\nCSeq:";
        if !self.bytes.starts_with(b"SIP/2.0 2") {
            return false;
        }
        let at = self.bytes.windows(CSEQ.len()).position(|w| w.eq_ignore_ascii_case(CSEQ));
        let line = at.and_then(|at| self.bytes.get(at + CSEQ.len()..)?.split(|octet| *octet == b'\r').next());
        const NONE: [&[u8]; 6] = [b" CANCEL", b" OPTIONS", b" PRACK", b" UPDATE", b" INFO", b" REFER"];
        !line.is_some_and(|line| NONE.iter().any(|method| line.ends_with(method)))
    }
}

/// A session: one INVITE dialog (or dialog to be) between us and one party.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub u64);

#[cfg(test)]
mod tests;
