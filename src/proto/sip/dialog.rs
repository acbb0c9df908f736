//! Dialogs (RFC 3261 section 12): who talks to whom, by which route, and the requests within.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sip_codec::headers::{Contact, RecordRoute};
use sip_codec::{Headers, Host, Uri};

use super::Path;
use super::message::{finish, line};
use super::transaction::Branch;

/// Most routes of a dialog; a longer set is cut, as no sane path has so many proxies.
const ROUTES_MAX: usize = 16;

/// See the module. Header values are kept as they are written.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    /// Where the peer's messages come from, and ours go unless the route leads elsewhere.
    pub path: Path,
    pub call_id: Vec<u8>,
    /// Our From value, with tag.
    pub local: Vec<u8>,
    pub local_tag: String,
    /// Our To value; with tag once there is one.
    pub remote: Vec<u8>,
    pub remote_tag: Vec<u8>,
    /// The peer's Contact URI; before there is one, the Request-URI.
    pub target: Vec<u8>,
    /// Route set in the order of our requests.
    pub routes: Vec<Vec<u8>>,
    pub local_cseq: u32,
    pub remote_cseq: Option<u32>,
    /// How many elements our requests may pass (RFC 3261 section 8.1.1.6).
    pub max_forwards: u8,
    /// Our Contact value.
    pub contact: String,
}

/// A request within a dialog, or the one that is to make it.
pub(super) struct Draft<'a> {
    pub method: &'a str,
    pub cseq: u32,
    /// Whole header lines.
    pub extra: &'a str,
    pub body: Option<(&'a str, &'a [u8])>,
}

impl Dialog {
    /// The next CSeq number of ours.
    pub fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// Writes a request that goes by `path`.
    pub fn request(&self, path: &Path, branch: Branch, user_agent: &str, draft: &Draft<'_>) -> Bytes {
        let mut out = Vec::with_capacity(640 + draft.body.map_or(0, |(_, b)| b.len()));
        let strict = self.routes.first().filter(|r| !is_loose(r));
        let _ = write!(out, "{} ", draft.method);
        match strict {
            // RFC 3261 section 12.2.1.1: a strict router is the Request-URI, and the target comes last.
            Some(route) => out.extend_from_slice(uri_in_angles(route)),
            None => out.extend_from_slice(&self.target),
        }
        let transport = path.transport.via();
        let _ = write!(out, " SIP/2.0\r\nVia: SIP/2.0/{transport} {};rport;branch={branch}\r\n", path.local);
        for route in self.routes.iter().skip(usize::from(strict.is_some())) {
            line(&mut out, "Route", route);
        }
        if strict.is_some() {
            let _ = out.write_all(b"Route: <");
            out.extend_from_slice(&self.target);
            out.extend_from_slice(b">\r\n");
        }
        let _ = write!(out, "Max-Forwards: {}\r\n", self.max_forwards);
        line(&mut out, "From", &self.local);
        line(&mut out, "To", &self.remote);
        line(&mut out, "Call-ID", &self.call_id);
        let _ = write!(out, "CSeq: {} {}\r\n", draft.cseq, draft.method);
        out.extend_from_slice(draft.extra.as_bytes());
        if !user_agent.is_empty() {
            line(&mut out, "User-Agent", user_agent.as_bytes());
        }
        finish(out, draft.body)
    }

    /// Takes the peer's Contact (target refresh, RFC 3261 section 12.2).
    pub fn refresh_target(&mut self, headers: &Headers) {
        if let Some(Ok(contact)) = headers.typed::<Contact>()
            && contact.uri.scheme().is_sip()
        {
            self.target = contact.uri.to_bytes().to_vec();
        }
    }

    /// Takes the Record-Route set: as it stands where we were called, reversed where we called (RFC 3261 section 12.1).
    pub fn take_routes(&mut self, headers: &Headers, reversed: bool) {
        let mut routes: Vec<Vec<u8>> = headers
            .typed_all::<RecordRoute>()
            .flatten()
            .take(ROUTES_MAX)
            .map(|r| {
                let mut value = b"<".to_vec();
                r.uri.write_to(&mut value);
                value.push(b'>');
                value
            })
            .collect();
        if reversed {
            routes.reverse();
        }
        self.routes = routes;
    }

    /// Where the next request goes. Names are not resolved here: a hop named by one is reached by the path that the
    /// peer's messages took, and so is one that a NAT hides.
    pub fn next_hop(&self) -> Path {
        let hop = match self.routes.first() {
            Some(route) => uri_in_angles(route),
            None => self.target.as_slice(),
        };
        let Ok(uri) = Uri::parse(Bytes::copy_from_slice(hop)) else { return self.path };
        let Some(Host::Ip(ip)) = uri.host() else { return self.path };
        let mut path = self.path;
        if *ip != path.remote.ip() && hidden(*ip, path.remote.ip()) {
            return path;
        }
        let remote = SocketAddr::new(*ip, uri.port().unwrap_or(path.transport.default_port()));
        // A stream to the same host is the peer's own connection, whatever port it came from.
        if *ip != path.remote.ip() {
            path.connection = 0;
        }
        path.remote = remote;
        path
    }
}

/// The URI between the angle brackets of a route value of ours.
fn uri_in_angles(route: &[u8]) -> &[u8] {
    route.strip_prefix(b"<").and_then(|r| r.strip_suffix(b">")).unwrap_or(route)
}

fn is_loose(route: &[u8]) -> bool {
    Uri::parse(Bytes::copy_from_slice(uri_in_angles(route)))
        .is_ok_and(|uri| uri.params().is_some_and(|params| params.contains("lr")))
}

/// Whether `claimed` is an address behind a NAT, as seen by one whom `source` reached.
fn hidden(claimed: IpAddr, source: IpAddr) -> bool {
    let realm = |ip: IpAddr| match ip {
        IpAddr::V4(ip) if ip.is_loopback() => 1,
        IpAddr::V4(ip) if ip.is_link_local() => 2,
        IpAddr::V4(ip) if ip.is_private() => 3 + u32::from(ip.octets()[0]),
        IpAddr::V4(ip) if ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64 => 259, // RFC 6598
        IpAddr::V4(ip) if ip.is_unspecified() => 260,
        IpAddr::V6(ip) if ip.is_loopback() => 1,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => 2,
        IpAddr::V6(ip) if ip.is_unique_local() => 261,
        IpAddr::V6(ip) if ip.is_unspecified() => 260,
        _ => 0,
    };
    let (claimed, source) = (realm(claimed), realm(source));
    claimed != 0 && claimed != source || claimed == 260
}

#[cfg(test)]
mod tests {
    use super::super::Transport;
    use super::*;

    fn dialog(target: &str, routes: &[&str], from: &str) -> Dialog {
        let path = Path {
            transport: Transport::Udp,
            local: "198.51.100.1:5060".parse().expect("an address"),
            remote: from.parse().expect("an address"),
            connection: 0,
            profile: 0,
        };
        Dialog {
            path,
            call_id: b"c".to_vec(),
            local: b"<sip:a@x>;tag=1".to_vec(),
            local_tag: "1".into(),
            remote: b"<sip:b@y>;tag=2".to_vec(),
            remote_tag: b"2".to_vec(),
            target: target.as_bytes().to_vec(),
            routes: routes.iter().map(|r| r.as_bytes().to_vec()).collect(),
            local_cseq: 1,
            remote_cseq: None,
            max_forwards: super::super::MAX_FORWARDS,
            contact: "<sip:a@198.51.100.1:5060>".into(),
        }
    }

    fn hop(target: &str, routes: &[&str], from: &str) -> String {
        dialog(target, routes, from).next_hop().remote.to_string()
    }

    #[test]
    fn requests_follow_contact_or_route_where_those_can_be_reached() {
        assert_eq!(hop("sip:b@192.0.2.9:5070", &[], "192.0.2.7:5060"), "192.0.2.9:5070");
        assert_eq!(hop("sip:b@192.0.2.9", &["<sip:192.0.2.8;lr>"], "192.0.2.7:5062"), "192.0.2.8:5060");
        assert_eq!(hop("sip:b@192.168.1.5:5060", &[], "203.0.113.9:40123"), "203.0.113.9:40123");
        assert_eq!(hop("sip:b@phone.example", &[], "203.0.113.9:40123"), "203.0.113.9:40123");
        assert_eq!(hop("sip:b@127.0.0.3:5066", &[], "127.0.0.2:5060"), "127.0.0.3:5066");
        assert_eq!(hop("sip:b@0.0.0.0:5066", &[], "127.0.0.2:5060"), "127.0.0.2:5060");
    }

    /// RFC 3261 section 19.1.2: 5061 for TLS, 5060 for the rest.
    #[test]
    fn a_hop_without_a_port_is_reached_at_that_of_its_transport() {
        for transport in Transport::ALL {
            let mut tls = dialog("sip:b@192.0.2.9;transport=tls", &[], "192.0.2.7:40123");
            tls.path.transport = transport;
            assert_eq!(tls.next_hop().remote.port(), transport.default_port(), "{transport:?}");
        }
    }

    #[test]
    fn a_loose_route_keeps_the_target_in_the_request_line() {
        let d = dialog("sip:b@192.0.2.9", &["<sip:192.0.2.8;lr>", "<sip:192.0.2.7>"], "192.0.2.8:5060");
        let text = written(&d);
        assert!(text.starts_with("BYE sip:b@192.0.2.9 SIP/2.0\r\n"), "{text}");
        assert!(text.contains("Route: <sip:192.0.2.8;lr>\r\nRoute: <sip:192.0.2.7>\r\n"), "{text}");
    }

    #[test]
    fn a_strict_route_becomes_the_request_line() {
        let d = dialog("sip:b@192.0.2.9", &["<sip:192.0.2.8>", "<sip:192.0.2.7;lr>"], "192.0.2.8:5060");
        let text = written(&d);
        assert!(text.starts_with("BYE sip:192.0.2.8 SIP/2.0\r\n"), "{text}");
        assert!(text.contains("Route: <sip:192.0.2.7;lr>\r\nRoute: <sip:b@192.0.2.9>\r\n"), "{text}");
    }

    fn written(dialog: &Dialog) -> String {
        let config = super::super::EndpointConfig {
            realm: "x".into(),
            user_agent: "t".into(),
            seed: 1,
            sessions_max: 1,
            bindings_max: 1,
        };
        let mut wire = super::super::wire::Wire::new(&config);
        let branch = super::super::transaction::Transactions::new(1).branch(&mut wire);
        let draft = Draft { method: "BYE", cseq: 2, extra: "", body: None };
        String::from_utf8(dialog.request(&dialog.next_hop(), branch, "t", &draft).to_vec()).expect("text")
    }
}
