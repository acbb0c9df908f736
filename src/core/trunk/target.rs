//! Where a SIP request can be sent: a SIP URI whose host is an address (names need RFC 3263, which is not here).

use std::net::{IpAddr, SocketAddr};

use crate::proto::sip::Transport;

/// A SIP URI taken apart as far as sending needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SipTarget {
    /// User part; may be empty.
    pub user: String,
    /// Host as written.
    pub host: String,
    /// Address and port, when the host is an address.
    pub address: Option<SocketAddr>,
    /// From `;transport=`, else UDP.
    pub transport: Transport,
}

impl SipTarget {
    /// Takes `sip:user@host:port;params` apart; `None` when it is not a SIP URI.
    pub fn parse(uri: &str) -> Option<SipTarget> {
        let rest = uri.get(..4).filter(|s| s.eq_ignore_ascii_case("sip:")).and(uri.get(4..))?;
        let rest = rest.split('?').next().unwrap_or(rest);
        let mut parts = rest.split(';');
        let main = parts.next().unwrap_or("");
        let transport =
            parts.filter_map(|p| p.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("transport")).map_or(
                Transport::Udp,
                |(_, v)| if v.eq_ignore_ascii_case("tcp") { Transport::Tcp } else { Transport::Udp },
            );
        let (user, host_port) = main.rsplit_once('@').unwrap_or(("", main));
        let user = user.split(':').next().unwrap_or("").to_owned();
        let (host, port) = split_port(host_port)?;
        if host.is_empty() {
            return None;
        }
        let address = host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port.unwrap_or(5060)));
        Some(SipTarget { user, host: host.to_owned(), address, transport })
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
        assert_eq!((t.user.as_str(), t.transport), ("agent0", Transport::Tcp));
        assert_eq!(t.address, Some("127.0.0.3:5080".parse().unwrap()));
        let t = SipTarget::parse("SIP:[2001:db8::1]").unwrap();
        assert_eq!((t.user.as_str(), t.address), ("", Some("[2001:db8::1]:5060".parse().unwrap())));
        assert_eq!(SipTarget::parse("sip:7@pbx.example").unwrap().address, None);
        for bad in ["tel:+1555", "sip:", "sip:a@h:99999", "sip:a@[::1", "si"] {
            assert_eq!(SipTarget::parse(bad), None, "{bad}");
        }
    }
}
