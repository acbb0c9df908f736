//! Where a SIP request is to go: a SIP URI taken apart as far as finding the server takes (RFC 3263).

use crate::core::tenant::directory::{Host, PeerEntry, TrunkEntry};
use crate::proto::sip::{Transport, UriParts};

/// What is asked where to send to.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Destination {
    /// Address or name.
    pub host: Host,
    /// Where one is given, no SRV record is asked for (RFC 3263 section 4.2).
    pub port: Option<u16>,
    /// Where one is given, no NAPTR record is asked for (RFC 3263 section 4.1).
    pub transport: Option<TransportName>,
    /// A `sips` URI: TLS and nothing else (RFC 5630 section 5.1).
    pub secure: bool,
}

/// A transport by name, with an order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum TransportName {
    Udp,
    Tcp,
    Tls,
}

impl From<Transport> for TransportName {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
            Transport::Tls => Self::Tls,
        }
    }
}

impl From<TransportName> for Transport {
    fn from(name: TransportName) -> Self {
        match name {
            TransportName::Udp => Self::Udp,
            TransportName::Tcp => Self::Tcp,
            TransportName::Tls => Self::Tls,
        }
    }
}

impl Destination {
    /// A trunk's peer.
    pub fn of_peer(peer: &PeerEntry) -> Self {
        Self { host: peer.host.clone(), port: peer.port, transport: peer.transport.map(Into::into), secure: false }
    }

    /// The transport where nothing but the destination itself says so (RFC 3263 section 4.1).
    pub fn plain_transport(&self) -> Transport {
        match self.transport {
            _ if self.secure => Transport::Tls,
            Some(transport) => transport.into(),
            None => Transport::Udp,
        }
    }
}

impl TrunkEntry {
    /// Where requests for a peer go: to it, or to the outbound proxy.
    pub(crate) fn destination(&self, peer: &PeerEntry) -> Destination {
        let proxy = self.outbound_proxy.as_deref().and_then(SipTarget::parse);
        proxy.map_or_else(|| Destination::of_peer(peer), |proxy| proxy.destination)
    }
}

/// A SIP URI taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SipTarget {
    /// User part, unescaped; may be empty.
    pub user: String,
    /// Where it leads.
    pub destination: Destination,
}

impl SipTarget {
    /// Takes `sip:user@host:port;params` apart; `None` when it is not a SIP or SIPS URI.
    pub fn parse(uri: &str) -> Option<SipTarget> {
        let parts = UriParts::parse(uri)?;
        let destination = Destination {
            host: Host::new(&parts.host),
            port: parts.port,
            transport: parts.transport.map(Into::into),
            secure: parts.secure,
        };
        Some(SipTarget { user: parts.user, destination })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_uris_apart() {
        let t = SipTarget::parse("sip:agent0@127.0.0.3:5080;transport=tcp").unwrap();
        assert_eq!((t.user.as_str(), t.destination.plain_transport()), ("agent0", Transport::Tcp));
        assert_eq!((t.destination.host, t.destination.port), (Host::new("127.0.0.3"), Some(5080)));
        let t = SipTarget::parse("SIP:[2001:db8::1]").unwrap();
        assert_eq!((t.user.as_str(), t.destination.host), ("", Host::new("2001:db8::1")));
        let t = SipTarget::parse("sips:7@PBX.example").unwrap();
        assert_eq!(t.destination.host, Host::Name("pbx.example".into()));
        assert_eq!(t.destination.plain_transport(), Transport::Tls);
        // RFC 3261 section 25.1: `;` and `?` may stand in the user part, and end nothing there.
        let t = SipTarget::parse("sip:evil.example;x?y@pbx.example;transport=tcp").unwrap();
        assert_eq!((t.user.as_str(), t.destination.host), ("evil.example;x?y", Host::new("pbx.example")));
        for bad in ["tel:+1555", "sip:", "sip:a@h:99999", "sip:a@[::1", "si"] {
            assert_eq!(SipTarget::parse(bad), None, "{bad}");
        }
    }
}
