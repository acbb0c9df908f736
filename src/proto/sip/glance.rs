//! A first look at a datagram, before it is parsed: enough to tell what kind of message it is, and to answer an INVITE
//! with 503 at a small part of what serving it costs. Nothing is kept: neither transaction nor session (RFC 3261 sections
//! 8.2.7 and 21.5.4).
//!
//! What the look cannot make out is no reason to refuse anything: the message goes to the parser, which says what is wrong.

use std::hash::{DefaultHasher, Hasher as _};
use std::io::Write as _;

use bytes::Bytes;
use sip_codec::headers::Via;

use super::message::{parameter, response_path, split_top, top_via};
use super::{Path, Transmit, tolerance, transaction};

/// What a datagram is, by its first line and, for requests, the To tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A response.
    Response,
    /// ACK.
    Ack,
    /// A request within a dialog, or CANCEL.
    Within,
    /// An INVITE that begins a dialog.
    Invite,
    /// REGISTER, OPTIONS and any other request outside a dialog.
    Other,
    /// Blanks or line ends that hold a NAT binding open.
    KeepAlive,
    /// Nothing that a look can tell.
    Unclear,
}

/// What the tags of stateless answers begin with. Tags of sessions have a hyphen, those of other answers are hexadecimal.
const TAG: &str = "ov";

/// A datagram that was looked at.
#[derive(Clone, Copy, Debug)]
pub struct Glance<'a> {
    /// What it is.
    pub kind: Kind,
    datagram: &'a [u8],
}

/// The rows that a response copies (RFC 3261 section 8.2.6.2), as they came.
#[derive(Default)]
struct Rows<'a> {
    via: Option<&'a [u8]>,
    further_vias: Vec<&'a [u8]>,
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    call_id: Option<&'a [u8]>,
    cseq: Option<&'a [u8]>,
}

/// Via rows that a stateless answer copies; who has more is answered after parsing.
const VIAS_MAX: usize = 32;

impl<'a> Glance<'a> {
    /// Looks at a datagram.
    pub fn new(datagram: &'a [u8]) -> Self {
        Self { kind: kind(datagram), datagram }
    }

    /// The user part of the Request-URI (with its password or parameters cut off), the number of a `tel:` URI, or a whole
    /// `urn:`; as it stands, escapes and all.
    pub fn dialled(&self) -> Option<&'a [u8]> {
        let mut words = self.datagram.split(|b| matches!(b, b' ' | b'\r' | b'\n'));
        let uri = words.nth(1)?;
        let colon = uri.iter().position(|b| *b == b':')?;
        let (scheme, rest) = (uri.get(..colon)?, uri.get(colon + 1..)?);
        let until = |text: &'a [u8], ends: &[u8]| text.split(|b| ends.contains(b)).next();
        if scheme.eq_ignore_ascii_case(b"sip") || scheme.eq_ignore_ascii_case(b"sips") {
            let at = rest.iter().position(|b| *b == b'@')?;
            until(rest.get(..at)?, b";:")
        } else if scheme.eq_ignore_ascii_case(b"tel") {
            until(rest, b";")
        } else {
            Some(uri)
        }
    }

    /// The value of the User-Agent row.
    pub fn user_agent(&self) -> Option<&'a [u8]> {
        rows(self.datagram).find(|(name, _)| name.eq_ignore_ascii_case(b"user-agent")).map(|(_, value)| value)
    }

    /// The tag of the To row.
    pub fn to_tag(&self) -> Option<&'a [u8]> {
        let to = |name: &[u8]| name.eq_ignore_ascii_case(b"to") || name.eq_ignore_ascii_case(b"t");
        tag(rows(self.datagram).find(|(name, _)| to(name))?.1)
    }

    /// The branch of the top Via row.
    pub fn branch(&self) -> Option<&'a [u8]> {
        let value = rows(self.datagram).find(|(name, _)| is_via(name))?.1;
        branch(split_top(value, b',').next()?)
    }

    /// A number for this request and its retransmissions: of its branch and Call-ID, under `secret`. `None` where one of
    /// them is missing.
    pub fn print(&self, secret: u64) -> Option<u64> {
        let found = self.find();
        print(secret, &found)
    }

    /// Whether it is the ACK to an answer of [`unavailable`](Self::unavailable) under this secret: nobody waits for it.
    pub fn acknowledges_refusal(&self, secret: u64) -> bool {
        if self.kind != Kind::Ack {
            return false;
        }
        let found = self.find();
        let Some(given) = found.to.and_then(tag).and_then(|tag| tag.strip_prefix(TAG.as_bytes())) else { return false };
        print(secret, &found).is_some_and(|print| format!("{print:016x}").as_bytes() == given)
    }

    /// What the server transaction of this INVITE would be matched by, for [`Endpoint::serves`](super::Endpoint::serves).
    pub(super) fn transaction_key(&self) -> Option<Vec<u8>> {
        let found = self.find();
        let via = tolerance::via(split_top(found.via?, b',').next()?)?;
        transaction::key_of_invite(&via)
    }

    /// The answer 503 with Retry-After, the same for each retransmission: its To tag is [`print`](Self::print). `None`
    /// where the look does not find what an answer must have.
    pub fn unavailable(&self, path: Path, secret: u64, server: &str, retry_after_s: u32) -> Option<Transmit> {
        let found = self.find();
        if found.further_vias.len() >= VIAS_MAX {
            return None;
        }
        let row = found.via?;
        let via: Via = tolerance::via(split_top(row, b',').next()?)?;
        let print = print(secret, &found)?;
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"SIP/2.0 503 Service Unavailable\r\nVia: ");
        top_via(row, path.remote, &via, &mut out);
        for row in found.further_vias {
            out.extend_from_slice(b"\r\nVia: ");
            out.extend_from_slice(row);
        }
        for (name, value) in
            [("From", found.from?), ("Call-ID", found.call_id?), ("CSeq", found.cseq?), ("To", found.to?)]
        {
            let _ = write!(out, "\r\n{name}: ");
            out.extend_from_slice(value);
        }
        let _ = write!(out, ";tag={TAG}{print:016x}\r\nRetry-After: {retry_after_s}\r\n");
        if !server.is_empty() {
            let _ = write!(out, "Server: {server}\r\n");
        }
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        Some(Transmit { path: response_path(path, &via), bytes: Bytes::from(out) })
    }

    fn find(&self) -> Rows<'a> {
        let mut found = Rows::default();
        for (name, value) in rows(self.datagram) {
            let is = |long: &[u8], short: &[u8]| name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short);
            if is_via(name) {
                match found.via {
                    None => found.via = Some(value),
                    Some(_) if found.further_vias.len() < VIAS_MAX => found.further_vias.push(value),
                    Some(_) => {}
                }
            } else if is(b"from", b"f") {
                found.from = Some(value);
            } else if is(b"to", b"t") {
                found.to = Some(value);
            } else if is(b"call-id", b"i") {
                found.call_id = Some(value);
            } else if name.eq_ignore_ascii_case(b"cseq") {
                found.cseq = Some(value);
            }
        }
        found
    }
}

fn kind(datagram: &[u8]) -> Kind {
    let start = datagram.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(datagram.len());
    let text = datagram.get(start..).unwrap_or_default();
    if tolerance::is_keep_alive(datagram) {
        return Kind::KeepAlive;
    }
    if text.get(..8).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/2.0 ")) {
        return Kind::Response;
    }
    let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let version = first.windows(5).any(|w| w.eq_ignore_ascii_case(b" SIP/"));
    let method = first.split(|b| *b == b' ').next().unwrap_or_default();
    // The rows are looked for from the first line on, which leading line ends would hide.
    if !version || start > 0 || method.is_empty() {
        return Kind::Unclear;
    }
    match method {
        b"ACK" => Kind::Ack,
        b"CANCEL" => Kind::Within,
        _ if (Glance { kind: Kind::Unclear, datagram }).to_tag().is_some() => Kind::Within,
        b"INVITE" => Kind::Invite,
        _ => Kind::Other,
    }
}

/// The header rows after the first line, folded ones joined as they stand (RFC 3261 section 7.3.1).
fn rows(datagram: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = after_line(datagram);
    std::iter::from_fn(move || {
        loop {
            let mut length = line_length(rest);
            let mut next = rest.get(length..)?;
            let line = rest.get(..length)?;
            if line.trim_ascii().is_empty() {
                return None;
            }
            while matches!(next.first(), Some(b' ' | b'\t')) && !next.trim_ascii_start().is_empty() {
                let more = line_length(next);
                length += more;
                next = next.get(more..)?;
            }
            let row = rest.get(..length)?;
            rest = next;
            let Some(colon) = row.iter().position(|b| *b == b':') else { continue };
            let (name, value) = (row.get(..colon)?, row.get(colon + 1..)?);
            return Some((name.trim_ascii(), value.trim_ascii()));
        }
    })
}

/// Octets up to and with the next line feed.
fn line_length(text: &[u8]) -> usize {
    text.iter().position(|b| *b == b'\n').map_or(text.len(), |at| at + 1)
}

fn after_line(text: &[u8]) -> &[u8] {
    text.get(line_length(text)..).unwrap_or_default()
}

fn is_via(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"via") || name.eq_ignore_ascii_case(b"v")
}

fn tag(value: &[u8]) -> Option<&[u8]> {
    raw_parameter(value, b"tag")
}

fn branch(via: &[u8]) -> Option<&[u8]> {
    raw_parameter(via, b"branch")
}

/// A parameter after the address, as it stands.
fn raw_parameter<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    split_top(value, b';').skip(1).find_map(|part| {
        parameter(part, name)?;
        let equals = part.iter().position(|b| *b == b'=')?;
        Some(part.get(equals + 1..)?.trim_ascii())
    })
}

fn print(secret: u64, found: &Rows<'_>) -> Option<u64> {
    let branch = branch(split_top(found.via?, b',').next()?)?;
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(secret);
    for part in [branch, found.call_id?] {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::super::Transport;
    use super::*;

    const INVITE: &str = "INVITE sip:911;x=y@192.0.2.9 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 10.0.0.1:5062;rport;branch=z9hG4bKa,SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKb\r\n\
        v: SIP/2.0/UDP 10.0.0.3\r\n\
        From: \"a;tag=no\" <sip:a@b;tag=neither>;tag=ft\r\n\
        t: <sip:911@192.0.2.9>\r\n\
        Call-ID: c1@h\r\n\
        CSeq: 7 INVITE\r\n\
        User-Agent: a\r\n phone\r\n\
        Content-Length: 3\r\n\r\nTo:";

    fn path() -> Path {
        Path::new(
            Transport::Udp,
            "192.0.2.9:5060".parse().expect("an address"),
            "198.51.100.7:40000".parse().expect("an address"),
        )
    }

    #[test]
    fn kinds_are_told_by_the_first_line_and_the_to_tag() {
        let kind = |text: &str| Glance::new(text.as_bytes()).kind;
        assert_eq!(kind(INVITE), Kind::Invite);
        assert_eq!(kind(&INVITE.replace("9>\r\nCall", "9>;tag=1\r\nCall")), Kind::Within);
        assert_eq!(kind(&INVITE.replace("INVITE", "ACK")), Kind::Ack);
        assert_eq!(kind(&INVITE.replace("INVITE", "CANCEL")), Kind::Within);
        assert_eq!(kind(&INVITE.replace("INVITE", "REGISTER")), Kind::Other);
        assert_eq!(kind("SIP/2.0 200 OK\r\n\r\n"), Kind::Response);
        assert_eq!(kind("\r\n\r\n"), Kind::KeepAlive);
        for text in ["", "x", "INVITE", "INVITE sip:a@b\r\n\r\n", "\r\nINVITE sip:a@b SIP/2.0\r\n\r\n"] {
            assert!(matches!(kind(text), Kind::Unclear | Kind::KeepAlive), "{text:?}");
        }
    }

    #[test]
    fn what_is_dialled_is_found_in_every_form() {
        let dialled = |uri: &str| {
            let text = format!("INVITE {uri} SIP/2.0\r\n\r\n");
            Glance::new(text.as_bytes()).dialled().map(|d| String::from_utf8_lossy(d).into_owned())
        };
        assert_eq!(dialled("sip:911@h").as_deref(), Some("911"));
        assert_eq!(dialled("SIPS:112;a=b:pw@h;user=phone").as_deref(), Some("112"));
        assert_eq!(dialled("tel:999;phone-context=x").as_deref(), Some("999"));
        assert_eq!(dialled("urn:service:sos.fire").as_deref(), Some("urn:service:sos.fire"));
        assert_eq!(dialled("sip:911"), None, "a host is no number");
        assert_eq!(dialled("911"), None);
        assert_eq!(Glance::new(INVITE.as_bytes()).user_agent(), Some(&b"a\r\n phone"[..]));
    }

    #[test]
    fn the_answer_has_what_rfc_3261_asks_of_it_and_is_the_same_again() {
        let glance = Glance::new(INVITE.as_bytes());
        let answer = glance.unavailable(path(), 5, "Cordboard", 4).expect("an answer");
        assert_eq!(answer.path.remote, path().remote, "rport");
        let print = glance.print(5).expect("a print");
        let text = String::from_utf8(answer.bytes.to_vec()).expect("text");
        let expected = format!(
            "SIP/2.0 503 Service Unavailable\r\n\
             Via: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa;received=198.51.100.7;rport=40000, \
             SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKb\r\n\
             Via: SIP/2.0/UDP 10.0.0.3\r\n\
             From: \"a;tag=no\" <sip:a@b;tag=neither>;tag=ft\r\n\
             Call-ID: c1@h\r\nCSeq: 7 INVITE\r\nTo: <sip:911@192.0.2.9>;tag=ov{print:016x}\r\n\
             Retry-After: 4\r\nServer: Cordboard\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(text, expected);
        assert_eq!(glance.unavailable(path(), 5, "Cordboard", 4), Some(answer));
        assert_ne!(glance.print(6), Some(print), "by secret");
    }

    #[test]
    fn only_the_ack_to_our_refusal_is_taken_for_one() {
        let print = Glance::new(INVITE.as_bytes()).print(5).expect("a print");
        let ack = |tag: String| INVITE.replace("INVITE", "ACK").replace("9>\r\nCall", &format!("9>;tag={tag}\r\nCall"));
        let ours = ack(format!("ov{print:016x}"));
        assert!(Glance::new(ours.as_bytes()).acknowledges_refusal(5));
        assert!(!Glance::new(ours.as_bytes()).acknowledges_refusal(6));
        for tag in [format!("ov{:016x}", print ^ 1), "1-abc".into(), "ov".into()] {
            assert!(!Glance::new(ack(tag).as_bytes()).acknowledges_refusal(5));
        }
    }

    #[test]
    fn what_lacks_something_is_left_to_the_parser() {
        for row in ["Via", "From", "t:", "Call-ID", "CSeq"] {
            let text: Vec<&str> =
                INVITE.split("\r\n").filter(|l| !l.starts_with(row) && !l.starts_with("v:")).collect();
            let text = text.join("\r\n");
            assert_eq!(Glance::new(text.as_bytes()).unavailable(path(), 5, "", 4), None, "{row}");
        }
        // No octet string breaks the look.
        for end in 0..INVITE.len() {
            let _ = Glance::new(&INVITE.as_bytes()[..end]).unavailable(path(), 5, "", 4);
        }
    }
}
