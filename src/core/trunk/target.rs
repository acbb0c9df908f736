//! Where a SIP request is to go: a SIP URI taken apart as far as finding the server takes (RFC 3263).

use crate::core::tenant::directory::{Host, PeerEntry, TrunkEntry};
use crate::proto::sip::Transport;

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
    /// User part; may be empty.
    pub user: String,
    /// Where it leads.
    pub destination: Destination,
}

impl SipTarget {
    /// Takes `sip:user@host:port;params` apart; `None` when it is not a SIP or SIPS URI.
    pub fn parse(uri: &str) -> Option<SipTarget> {
        let (scheme, rest) = uri.split_once(':')?;
        let secure = scheme.eq_ignore_ascii_case("sips");
        if !secure && !scheme.eq_ignore_ascii_case("sip") {
            return None;
        }
        let rest = rest.split('?').next().unwrap_or(rest);
        let mut parts = rest.split(';');
        let main = parts.next().unwrap_or("");
        let named = parts.filter_map(|p| p.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("transport"));
        let transport = named.and_then(|(_, name)| Transport::from_name(name)).map(Into::into);
        let (user, host_port) = main.rsplit_once('@').unwrap_or(("", main));
        let user = user.split(':').next().unwrap_or("").to_owned();
        let (host, port) = split_port(host_port)?;
        if host.is_empty() {
            return None;
        }
        Some(SipTarget { user, destination: Destination { host: Host::new(host), port, transport, secure } })
    }
}

fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(v6) = text.strip_prefix('[') {
        let (host, rest) = v6.split_once(']')?;
        let port = match rest.strip_prefix(':') {
            Some(p) => Some(p.parse().ok()?),
            None if rest.is_empty() => None,
            None => return None,
        };
        return Some((host, port));
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((text, None)),
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
        for bad in ["tel:+1555", "sip:", "sip:a@h:99999", "sip:a@[::1", "si"] {
            assert_eq!(SipTarget::parse(bad), None, "{bad}");
        }
    }
}
