//! Liberal where RFC 3261 says so, and where the field has taught it: what the strict parser refuses is repaired once
//! and tried again. Nothing here runs for a message that parses as it is.

use bytes::Bytes;
use sip_codec::headers::{Address, Via};

use super::message::split_top;

/// What a datagram without a message means.
pub(super) fn is_keep_alive(datagram: &[u8]) -> bool {
    // RFC 5626 section 4.4.1 (CRLF), and the lone NUL or blank that phones send to hold a NAT binding open.
    datagram.iter().all(|b| matches!(b, b'\r' | b'\n' | b' ' | 0))
}

/// Leading line ends off (RFC 3261 section 7.5).
pub(super) fn without_leading_lines(datagram: Bytes) -> Bytes {
    let start = datagram.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(datagram.len());
    if start == 0 { datagram } else { datagram.slice(start..) }
}

/// The message with bare line feeds made line ends, blanks at the end of the start line dropped, and `#` in the user
/// part of the Request-URI escaped. `None` when that changes nothing.
pub(super) fn repair(datagram: &[u8]) -> Option<Bytes> {
    let mut out = Vec::with_capacity(datagram.len() + 64);
    let mut rest = datagram;
    let mut first = true;
    while let Some(end) = rest.iter().position(|&b| b == b'\n') {
        let (line, tail) = rest.split_at(end);
        rest = tail.get(1..).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if first {
            start_line(line, &mut out);
            first = false;
        } else {
            out.extend_from_slice(line);
        }
        out.extend_from_slice(b"\r\n");
        if line.is_empty() {
            break;
        }
    }
    out.extend_from_slice(rest);
    (out != datagram).then(|| Bytes::from(out))
}

fn start_line(line: &[u8], out: &mut Vec<u8>) {
    let line = line.trim_ascii_end();
    if line.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"SIP/")) {
        out.extend_from_slice(line);
        return;
    }
    let mut parts = line.splitn(3, |&b| b == b' ');
    let (Some(method), Some(uri), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
        out.extend_from_slice(line);
        return;
    };
    out.extend_from_slice(method);
    out.push(b' ');
    match escape_hash(uri) {
        Some(escaped) => out.extend_from_slice(&escaped),
        None => out.extend_from_slice(uri),
    }
    out.push(b' ');
    out.extend_from_slice(version);
}

/// `#` in the user part as `%23`: dialled service codes such as `*67#` arrive so, though RFC 3261 section 25.1 does not
/// have `#` among `user-unreserved`.
fn escape_hash(text: &[u8]) -> Option<Vec<u8>> {
    let scheme = find(text, b"sip:").or_else(|| find(text, b"sips:"))?;
    let at = text.iter().skip(scheme).position(|&b| b == b'@')? + scheme;
    if !text.get(scheme..at)?.contains(&b'#') {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() + 8);
    for (i, &b) in text.iter().enumerate() {
        if b == b'#' && (scheme..at).contains(&i) {
            out.extend_from_slice(b"%23");
        } else {
            out.push(b);
        }
    }
    Some(out)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|w| w.eq_ignore_ascii_case(what))
}

/// An address header's value. What the strict parser refuses is tried once more with its user part, display name and
/// port as they were meant.
pub(super) fn address(value: &[u8], header: &'static str) -> Option<Address> {
    Address::parse(value, header).ok().or_else(|| {
        let escaped = escape_hash(value);
        let quoted = quote_display_name(escaped.as_deref().unwrap_or(value));
        Address::parse(&without_empty_port(&quoted), header).ok()
    })
}

/// The display name in quotes where it has none and is no row of tokens (RFC 3261 section 25.1): people have accents,
/// brackets and at signs in their names. A comma would begin another address, so such a value stays as it is.
fn quote_display_name(value: &[u8]) -> Vec<u8> {
    let bracket = value.iter().position(|&b| b == b'<').unwrap_or_default();
    let (name, rest) = value.split_at(bracket);
    let name = name.trim_ascii();
    if name.is_empty() || name.iter().any(|b| matches!(b, b'"' | b',' | b'\\' | b';') || b.is_ascii_control()) {
        return value.to_vec();
    }
    [b"\"", name, b"\" ", rest].concat()
}

/// `host:` as `host`: RFC 3986 section 3.2.3 has an empty port, RFC 3261 has not.
fn without_empty_port(value: &[u8]) -> Vec<u8> {
    let empty = value.windows(2).position(|w| matches!(w, b":>" | b":;"));
    let Some(at) = empty else { return value.to_vec() };
    let (before, after) = value.split_at(at);
    [before, after.get(1..).unwrap_or_default()].concat()
}

/// One Via value, with blanks around the colon of `host : port` (RFC 3261 section 25.1: COLON is SWS ":" SWS), a
/// semicolon at its end, and parameters that have an equals sign and no value. Empty parameters are refused, as RFC 4475
/// section 3.1.2.1 wants it.
pub(super) fn via(value: &[u8]) -> Option<Via> {
    Via::parse_one(value).ok().or_else(|| Via::parse_one(&tidy_via(value)).ok())
}

fn tidy_via(value: &[u8]) -> Vec<u8> {
    let value = value.trim_ascii();
    let mut parts = split_top(value.strip_suffix(b";").unwrap_or(value), b';');
    let sent_by = parts.next().unwrap_or_default();
    // Not a colon within the brackets of an IPv6 reference.
    let bracket = sent_by.iter().rposition(|&b| b == b']').unwrap_or_default();
    let mut out = match sent_by.iter().skip(bracket).position(|&b| b == b':') {
        Some(colon) => {
            let (before, after) = sent_by.split_at(bracket + colon);
            [before.trim_ascii_end(), b":", after.get(1..).unwrap_or_default().trim_ascii()].concat()
        }
        None => sent_by.trim_ascii_end().to_vec(),
    };
    for part in parts {
        out.push(b';');
        out.extend_from_slice(part.strip_suffix(b"=").unwrap_or(part));
    }
    out
}

#[cfg(test)]
mod tests {
    use sip_codec::{Limits, parse_datagram};

    use super::*;

    const PLAIN: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nContent-Length: 2\r\n\r\nx\n";

    fn parses(text: &[u8]) -> bool {
        parse_datagram(Bytes::copy_from_slice(text), &Limits::datagram()).is_ok()
    }

    #[test]
    fn what_parses_is_left_alone() {
        assert!(parses(PLAIN.as_bytes()));
        assert_eq!(repair(PLAIN.as_bytes()), None);
    }

    #[test]
    fn leading_line_ends_are_dropped() {
        let text = Bytes::from(format!("\r\n\r\n{PLAIN}"));
        assert!(!parses(&text));
        assert_eq!(without_leading_lines(text), PLAIN.as_bytes());
        assert!(is_keep_alive(b"\r\n\r\n") && is_keep_alive(b"\0") && !is_keep_alive(PLAIN.as_bytes()));
    }

    #[test]
    fn bare_line_feeds_become_line_ends_and_the_body_stays() {
        let text = PLAIN.replace("\r\n", "\n");
        assert!(!parses(text.as_bytes()));
        assert_eq!(repair(text.as_bytes()).as_deref(), Some(PLAIN.as_bytes()));
    }

    #[test]
    fn blanks_after_the_request_line_are_dropped() {
        let text = PLAIN.replacen("SIP/2.0\r\n", "SIP/2.0  \r\n", 1);
        assert!(!parses(text.as_bytes()));
        assert_eq!(repair(text.as_bytes()).as_deref(), Some(PLAIN.as_bytes()));
    }

    #[test]
    fn a_hash_in_the_user_part_is_escaped() {
        let text = PLAIN.replacen("sip:a@b", "sip:*67#@b", 1);
        assert!(!parses(text.as_bytes()));
        let fixed = repair(text.as_bytes()).expect("repaired");
        assert!(parses(&fixed));
        assert!(fixed.starts_with(b"OPTIONS sip:*67%23@b SIP/2.0\r\n"));
        let to = address(b"\"x\" <sip:*67#@b>;tag=1", "To").expect("an address");
        assert_eq!(to.uri.decoded_user().as_deref(), Some(&b"*67#"[..]));
        assert_eq!(to.tag(), Some(&b"1"[..]));
    }

    #[test]
    fn blanks_around_the_port_of_a_via_are_allowed() {
        assert!(Via::parse_one(b"SIP/2.0/UDP h : 5060 ;branch=z9hG4bK1").is_err());
        let via = via(b"SIP/2.0/UDP h : 5060 ;branch=z9hG4bK1").expect("a Via");
        assert_eq!(via.port, Some(5060));
        assert_eq!(via.branch(), Some(&b"z9hG4bK1"[..]));
        let via = super::via(b"SIP/2.0/UDP [2001:db8::1] : 5061 ; rport=;branch=z9hG4bK1;").expect("a Via");
        assert_eq!((via.port, via.branch()), (Some(5061), Some(&b"z9hG4bK1"[..])));
    }

    #[test]
    fn display_names_are_quoted_where_that_helps_and_ports_may_be_empty() {
        for (value, name) in [
            ("J\u{fc}rgen M\u{fc}ller <sip:a@b>;tag=1", "J\u{fc}rgen M\u{fc}ller"),
            ("Anna (12) <sip:a@b:>;tag=1", "Anna (12)"),
            ("a@b <sip:a@b>;tag=1", "a@b"),
        ] {
            let address = address(value.as_bytes(), "From").expect("an address");
            assert_eq!(address.display_name.as_deref(), Some(name.as_bytes()));
            assert_eq!(address.tag(), Some(&b"1"[..]));
        }
        // RFC 4475 sections 3.1.2.6 and 3.1.2.15.
        assert!(address(b"\"Mr. J. User <sip:j.user@example.com>", "To").is_none());
        assert!(address(b"Bell, Alexander <sip:a.g.bell@example.com>;tag=43", "From").is_none());
    }
}
