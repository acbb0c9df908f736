//! A first look at a datagram, before it is parsed: enough to tell what kind of message it is, and to answer an INVITE
//! with 503 at a small part of what serving it costs. Nothing is kept: neither transaction nor session (RFC 3261 sections
//! 8.2.7 and 21.5.4).
//!
//! What the look cannot make out is no reason to refuse anything: the message goes to the parser, which says what is wrong.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::Write as _;

use bytes::Bytes;
use memchr::memchr;
use sip_codec::headers::Via;

use super::message::{response_path, split_top, top_via};
use super::replaces::unescape;
use super::{Path, Transmit, tolerance, transaction};

/// What a datagram is, by its first line and, for requests, the To tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A response.
    Response,
    /// ACK.
    Ack,
    /// CANCEL.
    Cancel,
    /// A request within a dialog.
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

/// A datagram that was looked at: once, from its first line to its last row.
#[derive(Clone, Debug)]
pub struct Glance<'a> {
    /// What it is.
    pub kind: Kind,
    datagram: &'a [u8],
    /// Of a request.
    found: Rows<'a>,
    via: OnceCell<Option<Via>>,
}

/// The rows that a response copies (RFC 3261 section 8.2.6.2), as they came.
#[derive(Clone, Debug, Default)]
struct Rows<'a> {
    via: Option<&'a [u8]>,
    further_vias: bool,
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    call_id: Option<&'a [u8]>,
    cseq: Option<&'a [u8]>,
    replaces: Option<&'a [u8]>,
    credentials: bool,
}

/// Room for a stateless answer, in octets; a longer one grows.
const ANSWER: usize = 512;

impl<'a> Glance<'a> {
    /// Looks at a datagram.
    pub fn new(datagram: &'a [u8]) -> Self {
        // RFC 3261 section 7.5: line ends before the first line are skipped.
        let start = datagram.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or_default();
        let datagram = datagram.get(start..).unwrap_or_default();
        let (kind, found) = look(datagram);
        Self { kind, datagram, found, via: OnceCell::new() }
    }

    /// The user part of the Request-URI (with its password or parameters cut off, and without escapes, RFC 3261 section
    /// 19.1.4), the number of a `tel:` URI, or a whole `urn:`.
    pub fn dialled(&self) -> Option<Cow<'a, [u8]>> {
        let mut words = self.datagram.split(|b| matches!(b, b' ' | b'\r' | b'\n'));
        let uri = words.nth(1)?;
        let colon = uri.iter().position(|b| *b == b':')?;
        let (scheme, rest) = (uri.get(..colon)?, uri.get(colon + 1..)?);
        let until = |text: &'a [u8], ends: &[u8]| text.split(|b| ends.contains(b)).next();
        if scheme.eq_ignore_ascii_case(b"sip") || scheme.eq_ignore_ascii_case(b"sips") {
            let at = rest.iter().position(|b| *b == b'@')?;
            until(rest.get(..at)?, b";:").map(unescaped)
        } else if scheme.eq_ignore_ascii_case(b"tel") {
            until(rest, b";").map(Cow::Borrowed)
        } else {
            Some(Cow::Borrowed(uri))
        }
    }

    /// The value of the User-Agent row.
    pub fn user_agent(&self) -> Option<&'a [u8]> {
        rows(self.datagram).find(|(name, _)| name.eq_ignore_ascii_case(b"user-agent")).map(|(_, value)| value)
    }

    /// The tag of a request's To row.
    pub fn to_tag(&self) -> Option<&'a [u8]> {
        self.found.to.and_then(tag)
    }

    /// The branch of the top Via row.
    pub fn branch(&self) -> Option<&'a [u8]> {
        let row = match self.found.via {
            Some(row) => row,
            None => rows(self.datagram).find(|(name, _)| is_via(name))?.1,
        };
        branch(split_top(row, b',').next()?)
    }

    /// A number for this request, its retransmissions and its ACK, under `secret`: of its branch and Call-ID, or without a
    /// branch (RFC 2543) of its Call-ID, CSeq and From tag. `None` without a Call-ID or Via.
    pub fn print(&self, secret: u64) -> Option<u64> {
        let found = &self.found;
        let branch = branch(split_top(found.via?, b',').next()?);
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(secret);
        let mut write = |part: &[u8]| {
            hasher.write_usize(part.len());
            hasher.write(part);
        };
        write(found.call_id?);
        match branch {
            Some(branch) => write(branch),
            None => {
                write(found.cseq.and_then(|cseq| cseq.split(|b| b.is_ascii_whitespace()).next()).unwrap_or_default());
                write(found.from.and_then(tag).unwrap_or_default());
            }
        }
        Some(hasher.finish())
    }

    /// A number for all requests of one call, under `secret`.
    pub fn call_print(&self, secret: u64) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(!secret);
        hasher.write(self.found.call_id?);
        Some(hasher.finish())
    }

    /// Our tag of the dialog whose place it takes (RFC 3891 section 3).
    pub fn replaced(&self) -> Option<&'a [u8]> {
        raw_parameter(self.found.replaces?, b"to-tag")
    }

    /// Whether it has credentials.
    pub fn has_credentials(&self) -> bool {
        self.found.credentials
    }

    /// Whether it is the ACK to an answer of [`unavailable`](Self::unavailable) under this secret: nobody waits for it.
    pub fn acknowledges_refusal(&self, secret: u64) -> bool {
        if self.kind != Kind::Ack {
            return false;
        }
        let digits = self.to_tag().and_then(|tag| tag.strip_prefix(TAG.as_bytes())).filter(|digits| digits.len() == 16);
        let Some(digits) = digits.and_then(|digits| std::str::from_utf8(digits).ok()) else { return false };
        u64::from_str_radix(digits, 16).is_ok_and(|given| self.print(secret) == Some(given))
    }

    /// What the server transaction of this INVITE would be matched by, for [`Endpoint::serves`](super::Endpoint::serves).
    pub(super) fn transaction_key(&self) -> Option<Vec<u8>> {
        transaction::key_of_invite(self.via()?)
    }

    /// The answer 503 with Retry-After, the same for each retransmission: `print`, of [`print`](Self::print), is its To
    /// tag. `None` where the look does not find what an answer must have.
    pub fn unavailable(&self, path: Path, print: u64, server: &str, retry_after_s: u32) -> Option<Transmit> {
        let found = &self.found;
        let via = self.via()?;
        let mut out = Vec::with_capacity(ANSWER);
        out.extend_from_slice(b"SIP/2.0 503 Service Unavailable\r\nVia: ");
        top_via(found.via?, path.remote, via, &mut out);
        if found.further_vias {
            for (_, row) in rows(self.datagram).filter(|(name, _)| is_via(name)).skip(1) {
                out.extend_from_slice(b"\r\nVia: ");
                out.extend_from_slice(row);
            }
        }
        for (name, value) in [
            ("\r\nFrom: ", found.from?),
            ("\r\nCall-ID: ", found.call_id?),
            ("\r\nCSeq: ", found.cseq?),
            ("\r\nTo: ", found.to?),
        ] {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value);
        }
        let _ = write!(out, ";tag={TAG}{print:016x}\r\nRetry-After: {retry_after_s}\r\n");
        if !server.is_empty() {
            for part in ["Server: ", server, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        Some(Transmit { path: response_path(path, via), bytes: Bytes::from(out) })
    }

    /// The top Via.
    fn via(&self) -> Option<&Via> {
        self.via.get_or_init(|| tolerance::via(split_top(self.found.via?, b',').next()?)).as_ref()
    }
}

impl<'a> Rows<'a> {
    fn read(datagram: &'a [u8]) -> Self {
        let mut found = Self::default();
        for (name, value) in rows(datagram) {
            let is = |long: &[u8], short: &[u8]| name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short);
            if is_via(name) {
                found.further_vias = found.via.is_some();
                found.via.get_or_insert(value);
            } else if is(b"from", b"f") {
                found.from = Some(value);
            } else if is(b"to", b"t") {
                found.to = Some(value);
            } else if is(b"call-id", b"i") {
                found.call_id = Some(value);
            } else if name.eq_ignore_ascii_case(b"cseq") {
                found.cseq = Some(value);
            } else if name.eq_ignore_ascii_case(b"replaces") {
                found.replaces = Some(value);
            } else if name.eq_ignore_ascii_case(b"authorization") || name.eq_ignore_ascii_case(b"proxy-authorization") {
                found.credentials = true;
            }
        }
        found
    }
}

/// What a datagram is, and the rows of a request.
fn look(datagram: &[u8]) -> (Kind, Rows<'_>) {
    if tolerance::is_keep_alive(datagram) {
        return (Kind::KeepAlive, Rows::default());
    }
    if datagram.get(..8).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/2.0 ")) {
        return (Kind::Response, Rows::default());
    }
    let first = datagram.get(..line_length(datagram)).unwrap_or_default();
    let version = first.windows(5).any(|w| w.eq_ignore_ascii_case(b" SIP/"));
    let method = first.split(|b| *b == b' ').next().unwrap_or_default();
    if !version || method.is_empty() {
        return (Kind::Unclear, Rows::default());
    }
    let found = Rows::read(datagram);
    let kind = match method {
        b"ACK" => Kind::Ack,
        b"CANCEL" => Kind::Cancel,
        _ if found.to.and_then(tag).is_some() => Kind::Within,
        b"INVITE" => Kind::Invite,
        _ => Kind::Other,
    };
    (kind, found)
}

/// The header rows after the first line, folded ones joined as they stand (RFC 3261 section 7.3.1).
fn rows(datagram: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    // Without the blanks at its end, of which a fold has none: so that to see that is no search.
    let mut rest = after_line(datagram.trim_ascii_end());
    std::iter::from_fn(move || {
        loop {
            let mut length = line_length(rest);
            let mut next = rest.get(length..)?;
            let line = rest.get(..length)?;
            if line.trim_ascii().is_empty() {
                return None;
            }
            while matches!(next.first(), Some(b' ' | b'\t')) {
                let more = line_length(next);
                length += more;
                next = next.get(more..)?;
            }
            let row = rest.get(..length)?;
            rest = next;
            let Some(colon) = memchr(b':', row) else { continue };
            let (name, value) = (row.get(..colon)?, row.get(colon + 1..)?);
            return Some((name.trim_ascii(), value.trim_ascii()));
        }
    })
}

/// A user part without its escapes (RFC 3261 section 25.1); what only looks like one stays.
fn unescaped(user: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'%', user).is_none() { Cow::Borrowed(user) } else { Cow::Owned(unescape(user)) }
}

/// Octets up to and with the next line feed.
fn line_length(text: &[u8]) -> usize {
    memchr(b'\n', text).map_or(text.len(), |at| at + 1)
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
        let equals = part.iter().position(|b| *b == b'=')?;
        let (key, value) = (part.get(..equals)?, part.get(equals + 1..)?);
        key.trim_ascii().eq_ignore_ascii_case(name).then(|| value.trim_ascii())
    })
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
        assert_eq!(kind(&INVITE.replace("INVITE", "CANCEL")), Kind::Cancel);
        assert_eq!(kind(&INVITE.replace("INVITE", "REGISTER")), Kind::Other);
        assert_eq!(kind("SIP/2.0 200 OK\r\n\r\n"), Kind::Response);
        assert_eq!(kind("\r\n\r\n"), Kind::KeepAlive);
        assert_eq!(kind(&format!("\r\n{INVITE}")), Kind::Invite);
        for text in ["", "x", "INVITE", "INVITE sip:a@b\r\n\r\n"] {
            assert!(matches!(kind(text), Kind::Unclear | Kind::KeepAlive), "{text:?}");
        }
    }

    #[test]
    fn what_is_dialled_is_found_in_every_form() {
        let dialled = |uri: &str| {
            let text = format!("INVITE {uri} SIP/2.0\r\n\r\n");
            Glance::new(text.as_bytes()).dialled().map(|d| String::from_utf8_lossy(&d).into_owned())
        };
        assert_eq!(dialled("sip:911@h").as_deref(), Some("911"));
        assert_eq!(dialled("SIPS:112;a=b:pw@h;user=phone").as_deref(), Some("112"));
        assert_eq!(dialled("tel:999;phone-context=x").as_deref(), Some("999"));
        assert_eq!(dialled("urn:service:sos.fire").as_deref(), Some("urn:service:sos.fire"));
        assert_eq!(dialled("sip:%39%31%31;a=b@h").as_deref(), Some("911"));
        assert_eq!(dialled("sips:1%3112%2@h").as_deref(), Some("1112%2"), "what is no escape stands");
        assert_eq!(dialled("sip:911"), None, "a host is no number");
        assert_eq!(dialled("911"), None);
        assert_eq!(Glance::new(INVITE.as_bytes()).user_agent(), Some(&b"a\r\n phone"[..]));
    }

    #[test]
    fn the_answer_has_what_rfc_3261_asks_of_it_and_is_the_same_again() {
        let glance = Glance::new(INVITE.as_bytes());
        let print = glance.print(5).expect("a print");
        let answer = glance.unavailable(path(), print, "Cordboard", 4).expect("an answer");
        assert_eq!(answer.path.remote, path().remote, "rport");
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
        assert_eq!(glance.unavailable(path(), print, "Cordboard", 4), Some(answer));
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
    fn what_has_no_branch_or_many_vias_is_answered_as_well() {
        let old = INVITE.replace(";branch=z9hG4bKa", "");
        let print = |text: &str| Glance::new(text.as_bytes()).print(5).expect("a print");
        assert_eq!(print(&old), print(&old.replace("7 INVITE", "7 ACK")));
        assert_ne!(print(&old), print(&old.replace("7 INVITE", "8 INVITE")));
        assert_ne!(print(&old), print(&old.replace("tag=ft", "tag=fu")));
        let many = "v: SIP/2.0/UDP 10.0.0.3\r\n".repeat(300);
        let text = INVITE.replace("v: SIP/2.0/UDP 10.0.0.3\r\n", &many);
        let answer = Glance::new(text.as_bytes()).unavailable(path(), 5, "", 4).expect("an answer");
        assert_eq!(String::from_utf8_lossy(&answer.bytes).matches("\r\nVia: SIP/2.0/UDP 10.0.0.3").count(), 300);
    }

    /// Takes time that is linear in its length, whatever it is: here a step a line.
    #[test]
    fn folded_blanks_are_walked_once() {
        let hostile = format!("INVITE sip:a SIP/2.0\r\nA: b\r\n{}x", " \n".repeat(3_000_000));
        let glance = Glance::new(hostile.as_bytes());
        assert_eq!((glance.kind, glance.to_tag()), (Kind::Invite, None));
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
