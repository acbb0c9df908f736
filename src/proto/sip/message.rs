//! Reading what every message must have, once, and writing messages.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use sip_codec::headers::{Address, Via};
use sip_codec::{CSeq, Header, HeaderName, Headers, Method, TypedHeader};

use crate::base::Cause;

use super::tolerance;
use super::{Path, Transport};

/// The methods we take (RFC 3261 section 20.5).
pub(super) const ALLOW: &str =
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, REFER, NOTIFY, PRACK, UPDATE, INFO\r\n";
/// The extensions we know (RFC 3261 section 20.37): RFC 3262, RFC 4028, RFC 3891 and RFC 4488.
pub(super) const SUPPORTED: &str = "Supported: 100rel, timer, replaces, norefersub\r\n";
/// Their option tags.
pub(super) const OPTION_TAGS: [&[u8]; 4] = [b"100rel", b"timer", b"replaces", b"norefersub"];
/// The one body type we take in INVITE.
pub(super) const SDP: &str = "application/sdp";

/// Why a message cannot be acted on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    Missing(&'static str),
    Malformed(&'static str),
    Repeated(&'static str),
    /// The CSeq method is not the request's.
    MethodMismatch,
}

impl Fault {
    /// For the reason phrase of a 400.
    pub fn reason(self) -> String {
        match self {
            Self::Missing(header) => format!("Missing {header}"),
            Self::Malformed(header) => format!("Malformed {header}"),
            Self::Repeated(header) => format!("Repeated {header}"),
            Self::MethodMismatch => "CSeq method is not the request's".into(),
        }
    }
}

/// The headers that identify a message's transaction and dialog (RFC 3261 section 8.1.1).
#[derive(Debug)]
pub(super) struct Head {
    pub via: Via,
    pub from: Address,
    pub to: Address,
    pub call_id: Vec<u8>,
    pub cseq: u32,
    pub method: Method,
}

impl Head {
    pub fn parse(headers: &Headers) -> Result<Self, Fault> {
        let (mut via, mut from, mut to, mut call_id, mut cseq) = (None, None, None, None, None);
        for header in headers.iter() {
            match header.name() {
                HeaderName::Via if via.is_none() => {
                    let value = header.value();
                    let first = split_top(&value, b',').next().unwrap_or_default();
                    via = Some(tolerance::via(first).ok_or(Fault::Malformed("Via"))?);
                }
                HeaderName::From => once(&mut from, address(header, "From")?, "From")?,
                HeaderName::To => once(&mut to, address(header, "To")?, "To")?,
                HeaderName::CallId => {
                    let value = header.value().into_owned();
                    if value.is_empty() {
                        return Err(Fault::Malformed("Call-ID"));
                    }
                    once(&mut call_id, value, "Call-ID")?;
                }
                HeaderName::CSeq => {
                    let value = CSeq::decode(&header.value()).map_err(|_| Fault::Malformed("CSeq"))?;
                    once(&mut cseq, value, "CSeq")?;
                }
                _ => {}
            }
        }
        let cseq = cseq.ok_or(Fault::Missing("CSeq"))?;
        Ok(Self {
            via: via.ok_or(Fault::Missing("Via"))?,
            from: from.ok_or(Fault::Missing("From"))?,
            to: to.ok_or(Fault::Missing("To"))?,
            call_id: call_id.ok_or(Fault::Missing("Call-ID"))?,
            cseq: cseq.sequence,
            method: cseq.method,
        })
    }

    /// Tag of From; empty where a peer of RFC 2543 has none.
    pub fn caller_tag(&self) -> &[u8] {
        self.from.tag().unwrap_or_default()
    }

    /// Tag of To.
    pub fn callee_tag(&self) -> Option<&[u8]> {
        self.to.tag()
    }
}

fn once<T>(slot: &mut Option<T>, value: T, header: &'static str) -> Result<(), Fault> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Fault::Repeated(header)),
    }
}

fn address(header: &Header, name: &'static str) -> Result<Address, Fault> {
    tolerance::address(&header.value(), name).ok_or(Fault::Malformed(name))
}

/// The parts of `value` between `separator`s that are neither in a quoted string nor in angle brackets.
pub(super) fn split_top(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let value = rest?;
        let (mut quoted, mut escaped, mut angle) = (false, false, false);
        let end = value.iter().position(|&b| {
            match b {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'<' if !quoted => angle = true,
                b'>' if !quoted => angle = false,
                _ => return b == separator && !quoted && !angle,
            }
            false
        });
        let (part, tail) = match end {
            Some(at) => (value.get(..at).unwrap_or_default(), value.get(at + 1..)),
            None => (value, None),
        };
        rest = tail;
        Some(part.trim_ascii())
    })
}

/// Whether a URI stands for the emergency services: `urn:service:sos`, or one of them (RFC 5031 section 4.2).
pub fn is_sos(uri: &[u8]) -> bool {
    const SOS: &[u8] = b"urn:service:sos";
    uri.get(..SOS.len()).is_some_and(|start| start.eq_ignore_ascii_case(SOS))
        && matches!(uri.get(SOS.len()), None | Some(b'.'))
}

/// The user part of a URI, unescaped; empty for none; the whole of one for the emergency services ([`is_sos`]). Of a number
/// only the number: without the parameters of a telephone-subscriber (RFC 3261 section 19.1.6), and of `tel:` without visual separators (RFC 3966 section 5.1.1).
pub(super) fn user_of(uri: &sip_codec::Uri) -> String {
    if let Some(tel) = uri.tel_parts() {
        return text(tel.subscriber()).replace(['-', '.', '(', ')'], "");
    }
    let Some(mut user) = uri.decoded_user() else {
        let whole = uri.to_bytes();
        return if is_sos(&whole) { text(&whole).to_ascii_lowercase() } else { String::new() };
    };
    if user.first().is_some_and(|b| b.is_ascii_digit() || *b == b'+') {
        user.truncate(user.iter().position(|&b| b == b';').unwrap_or(user.len()));
    }
    text(&user)
}

/// Octets as text for the layers above; what is not UTF-8 is replaced.
pub(super) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// The session description that a message carries: the body, or the first such part of a multipart body (RFC 5621
/// section 3). `Err` for a body of another type.
pub(super) fn sdp(headers: &Headers, body: &Bytes) -> Result<Option<Bytes>, ()> {
    if body.is_empty() {
        return Ok(None);
    }
    // RFC 3261 section 7.4.1: no Content-Type, no way to know; descriptions begin with v=.
    let Some(kind) = headers.value(&HeaderName::ContentType) else {
        return if body.starts_with(b"v=") { Ok(Some(body.clone())) } else { Err(()) };
    };
    let mut parts = split_top(&kind, b';');
    let media = parts.next().unwrap_or_default();
    let squeezed: Vec<u8> = media.iter().filter(|b| !b.is_ascii_whitespace()).copied().collect();
    if squeezed.eq_ignore_ascii_case(SDP.as_bytes()) {
        return Ok(Some(body.clone()));
    }
    if !squeezed.get(..10).is_some_and(|m| m.eq_ignore_ascii_case(b"multipart/")) {
        return Err(());
    }
    let boundary = parts.find_map(|p| parameter(p, b"boundary")).ok_or(())?;
    multipart_sdp(body, &boundary).map(Some).ok_or(())
}

/// The value of `name=value`, unquoted, where `part` is that parameter.
pub(super) fn parameter(part: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let equals = part.iter().position(|&b| b == b'=')?;
    let (key, value) = part.split_at(equals);
    if !key.trim_ascii().eq_ignore_ascii_case(name) {
        return None;
    }
    let value = value.get(1..)?.trim_ascii();
    match value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")) {
        Some(quoted) => {
            let mut escaped = false;
            Some(
                quoted
                    .iter()
                    .filter(|&&b| {
                        escaped = b == b'\\' && !escaped;
                        !escaped
                    })
                    .copied()
                    .collect(),
            )
        }
        None => Some(value.to_vec()),
    }
}

fn multipart_sdp(body: &Bytes, boundary: &[u8]) -> Option<Bytes> {
    let find = |from: usize, what: &[u8]| {
        body.get(from..)?.windows(what.len().max(1)).position(|w| w == what).map(|at| at + from)
    };
    let delimiter = [b"--", boundary].concat();
    let mut start = find(0, &delimiter)? + delimiter.len();
    while let Some(end) = find(start, &delimiter) {
        let head_end = find(start, b"\r\n\r\n").filter(|&at| at < end)?;
        let head = body.get(start..head_end)?.to_ascii_lowercase();
        if head.windows(SDP.len()).any(|w| w == SDP.as_bytes()) {
            let content = head_end + 4..end.saturating_sub(2).max(head_end + 4);
            return Some(body.slice(content));
        }
        start = end + delimiter.len();
    }
    None
}

/// The Q.850 cause of a Reason header (RFC 3326), if there is one.
pub(super) fn reason_cause(headers: &Headers) -> Option<Cause> {
    for header in headers.get_all(&HeaderName::Reason) {
        let value = header.value();
        for reason in split_top(&value, b',') {
            let mut parts = split_top(reason, b';');
            if !parts.next()?.eq_ignore_ascii_case(b"Q.850") {
                continue;
            }
            let number = parts.find_map(|p| parameter(p, b"cause"))?;
            let number: u8 = std::str::from_utf8(&number).ok()?.parse().ok()?;
            let known = Cause::ALL.iter().copied().find(|c| c.q850() == number);
            return Some(known.unwrap_or(Cause::NormalUnspecified));
        }
    }
    None
}

/// The header line that states `cause` (RFC 3326 section 2).
pub(super) fn reason_line(cause: Cause) -> String {
    format!("Reason: Q.850;cause={};text=\"{cause}\"\r\n", cause.q850())
}

/// Whether a header that lists tokens, in one line or many, has this one.
pub(super) fn lists(headers: &Headers, name: &HeaderName, token: &[u8]) -> bool {
    lists_parts(headers, name, b',', token)
}

/// Whether a header whose values have `separator` between them, in one line or many, has this one.
pub(super) fn lists_parts(headers: &Headers, name: &HeaderName, separator: u8, token: &[u8]) -> bool {
    headers.get_all(name).any(|row| split_top(&row.value(), separator).any(|t| t.eq_ignore_ascii_case(token)))
}

/// An unsigned number header; `None` where absent or not a number of at most 10 digits.
pub(super) fn number(headers: &Headers, name: &HeaderName) -> Option<u32> {
    let value = headers.value(name)?;
    // RFC 3261 section 20.33: Retry-After may go on with a comment or parameters.
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(value.get(..digits)?).ok()?.parse::<u64>().ok().map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// What all responses to one request have in common (RFC 3261 section 8.2.6.2), written once.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// Where responses go (RFC 3261 section 18.2.2, RFC 3581 section 4).
    pub path: Path,
    head: Vec<u8>,
    to: Vec<u8>,
    tagged: bool,
    record_route: Vec<u8>,
}

impl Reply {
    /// `via` is the top one; `None` where it does not parse: then it goes back as it came, to where it came from.
    pub fn new(path: Path, headers: &Headers, via: Option<&Via>) -> Self {
        let mut out = Vec::with_capacity(400);
        let mut record_route = Vec::new();
        let mut to = Vec::new();
        let mut top = true;
        for header in headers.iter() {
            match header.name() {
                HeaderName::Via => {
                    out.extend_from_slice(b"Via: ");
                    let value = header.value();
                    match via {
                        Some(via) if top => top_via(&value, path.remote, via, &mut out),
                        _ => out.extend_from_slice(&value),
                    }
                    top = false;
                    out.extend_from_slice(b"\r\n");
                }
                HeaderName::From => line(&mut out, "From", &header.value()),
                HeaderName::CallId => line(&mut out, "Call-ID", &header.value()),
                HeaderName::CSeq => line(&mut out, "CSeq", &header.value()),
                HeaderName::Timestamp => line(&mut out, "Timestamp", &header.value()),
                HeaderName::To => to = header.value().into_owned(),
                HeaderName::RecordRoute => line(&mut record_route, "Record-Route", &header.value()),
                _ => {}
            }
        }
        let tagged = split_top(&to, b';').skip(1).any(|p| parameter(p, b"tag").is_some());
        let path = via.map_or(path, |via| response_path(path, via));
        Self { path, head: out, to, tagged, record_route }
    }

    /// A response. `tag` is added to To where it has none yet; `extra` are whole header lines.
    pub fn render(
        &self,
        status: u16,
        reason: &str,
        tag: &str,
        server: &str,
        extra: &str,
        body: Option<(&str, &[u8])>,
    ) -> Bytes {
        let mut out = Vec::with_capacity(self.head.len() + extra.len() + 320 + body.map_or(0, |(_, b)| b.len()));
        let _ = write!(out, "SIP/2.0 {status} {reason}\r\n");
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"To: ");
        out.extend_from_slice(&self.to);
        if !self.tagged && !tag.is_empty() {
            let _ = write!(out, ";tag={tag}");
        }
        out.extend_from_slice(b"\r\n");
        // RFC 3261 section 12.1.1: only responses that make a dialog carry the route back.
        if (101..300).contains(&status) {
            out.extend_from_slice(&self.record_route);
        }
        if status > 100 && !server.is_empty() {
            line(&mut out, "Server", server.as_bytes());
        }
        out.extend_from_slice(extra.as_bytes());
        finish(out, body)
    }

    /// The To header's value with our tag.
    pub fn to_with(&self, tag: &str) -> Vec<u8> {
        let mut to = self.to.clone();
        if !self.tagged {
            let _ = write!(to, ";tag={tag}");
        }
        to
    }
}

/// Content-Type, Content-Length and body.
pub(super) fn finish(mut out: Vec<u8>, body: Option<(&str, &[u8])>) -> Bytes {
    match body {
        Some((kind, body)) => {
            let _ = write!(out, "Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
            out.extend_from_slice(body);
        }
        None => out.extend_from_slice(b"Content-Length: 0\r\n\r\n"),
    }
    Bytes::from(out)
}

pub(super) fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The top Via row as it goes back: `received` where the source differs from sent-by (RFC 3261 section 18.2.1), and
/// where asked for also `rport` (RFC 3581 section 4).
pub(super) fn top_via(row: &[u8], source: SocketAddr, via: &Via, out: &mut Vec<u8>) {
    let mut values = split_top(row, b',');
    let mut params = split_top(values.next().unwrap_or_default(), b';');
    out.extend_from_slice(params.next().unwrap_or_default());
    let asked = via.rport().is_some();
    for param in params {
        let name = param.split(|&b| b == b'=').next().unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"received") || name.eq_ignore_ascii_case(b"rport") {
            continue;
        }
        out.push(b';');
        out.extend_from_slice(param);
    }
    if asked || !matches!(via.host, sip_codec::Host::Ip(ip) if ip == source.ip()) {
        let _ = write!(out, ";received={}", source.ip());
    }
    if asked {
        let _ = write!(out, ";rport={}", source.port());
    }
    for value in values {
        out.extend_from_slice(b", ");
        out.extend_from_slice(value);
    }
}

/// Where the response to a request goes. A `maddr` is not followed: it would let a request aim our answer at a third
/// party, and it is of use with multicast only.
pub(super) fn response_path(path: Path, via: &Via) -> Path {
    let mut path = path;
    if path.transport == Transport::Udp && via.rport().is_none() {
        path.remote.set_port(via.port.unwrap_or(5060));
    }
    path
}

/// Our Contact on a path, in angle brackets.
pub(super) fn contact(path: &Path, user: &str) -> String {
    let mut out = String::with_capacity(64);
    let at = if user.is_empty() { "" } else { "@" };
    let transport = path.transport.uri_parameter();
    let _ = write!(out, "<sip:{}{at}{}{transport}>", escape_user(user), path.local);
    out
}

/// The same in a dialog that a `sips` URI began: everything in it stays secure (RFC 5630 section 5.1).
pub(super) fn secure_contact(path: &Path, user: &str) -> String {
    let at = if user.is_empty() { "" } else { "@" };
    format!("<sips:{}{at}{}>", escape_user(user), path.local)
}

/// A user part as it may stand in a URI (RFC 3261 section 25.1, `user`).
pub(crate) fn escape_user(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for b in user.bytes() {
        if b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

/// A display name in quotes, with what cannot stand there left out.
pub(super) fn quote(display: &str) -> String {
    let mut out = String::with_capacity(display.len() + 2);
    out.push('"');
    for c in display.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// The usual reason phrase (RFC 3261 section 21 and the extensions we use).
pub(super) fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        410 => "Gone",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        469 => "Bad Info Package",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => match status / 100 {
            1 => "Progress",
            2 => "Success",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_out_of_its_uri() {
        for (uri, user) in [
            ("sip:100@h", "100"),
            ("sip:+15551234;phone-context=x@h;user=phone", "+15551234"),
            ("sip:*67%23@h", "*67#"),
            ("sip:anna;par=1@h", "anna;par=1"),
            ("sip:h", ""),
            ("tel:+1-(555).12-34;ext=5", "+15551234"),
            ("URN:service:sos.Fire", "urn:service:sos.fire"),
            ("urn:service:sosx", ""),
        ] {
            let uri = sip_codec::Uri::parse(Bytes::from_static(uri.as_bytes())).expect("a URI");
            assert_eq!(user_of(&uri), user);
        }
    }

    #[test]
    fn lists_are_split_outside_quotes_and_brackets() {
        let parts: Vec<&[u8]> = split_top(br#""a,\",b" <sip:x,y@z>;q=1 , <sip:c>,d"#, b',').collect();
        assert_eq!(parts, [&br#""a,\",b" <sip:x,y@z>;q=1"#[..], b"<sip:c>", b"d"]);
        assert_eq!(split_top(b"", b',').count(), 1);
    }

    #[test]
    fn parameters_are_unquoted() {
        assert_eq!(parameter(br#" Realm = "a\"b\\c""#, b"realm").as_deref(), Some(&br#"a"b\c"#[..]));
        assert_eq!(parameter(b"nc=00000001", b"nc").as_deref(), Some(&b"00000001"[..]));
        assert_eq!(parameter(b"nc", b"nc"), None);
    }

    #[test]
    fn what_we_write_cannot_break_a_line_or_a_quote() {
        assert_eq!(escape_user("a b@c\r\n<%>"), "a%20b%40c%0D%0A%3C%25%3E");
        assert_eq!(quote("An \"odd\"\r\n\\ name"), r#""An \"odd\"\\ name""#);
    }
}
