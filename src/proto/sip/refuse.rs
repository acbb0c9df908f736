//! Refusing what cannot be acted on: with a reason where someone can be told, else by a counter.

use bytes::Bytes;
use sip_codec::error::{FramingError, ParseError};
use sip_codec::{Header, HeaderName, Headers, Method, Request};

use super::message::{Fault, OPTION_TAGS, Reply, SDP, is_sos, number, sdp, split_top};
use super::tolerance;
use super::wire::Wire;
use super::{Path, Transport};

/// Answers a request outside any transaction: a fault in it means that none can be made, or none is worth it.
pub(super) fn stateless(wire: &mut Wire, path: Path, headers: &Headers, status: u16, reason: &str, extra: &str) {
    let Some(row) = headers.value(&HeaderName::Via) else {
        wire.count("dropped-no-via");
        return;
    };
    let via = split_top(&row, b',').next().and_then(tolerance::via);
    let reply = Reply::new(path, headers, via.as_ref());
    let tag = wire.token();
    let bytes = reply.render(status, reason, &tag, &wire.user_agent, extra, None);
    wire.send(reply.path, bytes);
}

/// A datagram that does not parse: a 400 with the reason where its request line and Via can be made out
/// (RFC 3261 section 16.3 step 1 asks proxies for the same).
pub(super) fn unparsable(wire: &mut Wire, path: Path, datagram: &[u8], error: &ParseError) {
    wire.count("malformed");
    let head = datagram.windows(4).position(|w| w == b"\r\n\r\n").and_then(|at| datagram.get(..at));
    let head = head.unwrap_or(datagram);
    let mut rows = head.split(|&b| b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l)).take(256);
    let Some(first) = rows.next() else { return };
    let mut words = first.split(|&b| b == b' ');
    let method = words.next().unwrap_or_default();
    let version = words.any(|w| w.get(..4).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/")));
    // Responses and ACK are never answered (RFC 3261 sections 8.1.3.3 and 17.2.1); nor is what is no SIP at all.
    if !version || method == b"ACK" || method.get(..4).is_some_and(|m| m.eq_ignore_ascii_case(b"SIP/")) {
        return;
    }
    let mut headers = Headers::new();
    for row in rows {
        let Some(colon) = row.iter().position(|&b| b == b':') else { continue };
        let (name, value) = row.split_at(colon);
        let name = HeaderName::parse(&Bytes::copy_from_slice(name.trim_ascii()));
        let echoed = [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq];
        if !echoed.contains(&name) {
            continue;
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let Ok(header) = Header::build(name, Bytes::copy_from_slice(value)) {
            headers.push(header);
        }
    }
    stateless(wire, path, &headers, 400, reason(error), "");
}

fn reason(error: &ParseError) -> &'static str {
    match error {
        ParseError::StartLine(_) => "Malformed request line",
        ParseError::HeaderSyntax { .. } => "Malformed header field",
        ParseError::Framing(FramingError::NoHeaderTerminator) => "No empty line after the headers",
        ParseError::Framing(_) => "Malformed or missing Content-Length",
        ParseError::Limit { .. } => "Message too large",
        _ => "Malformed message",
    }
}

/// A refusal: status, reason phrase, header lines.
pub(super) type Refusal = (u16, String, String);

fn refusal(status: u16, reason: impl Into<String>, extra: impl Into<String>) -> Option<Refusal> {
    Some((status, reason.into(), extra.into()))
}

/// What is wrong with any request (RFC 3261 section 8.2), in the order in which to look.
pub(super) fn inspect(request: &Request, cseq_method: &Method) -> Option<Refusal> {
    if !request.version.is_supported() {
        return refusal(505, "Version Not Supported", "");
    }
    if *cseq_method != request.method {
        return refusal(400, Fault::MethodMismatch.reason(), "");
    }
    if let Some(value) = request.headers.value(&HeaderName::MaxForwards) {
        let good = std::str::from_utf8(&value).is_ok_and(|v| v.parse::<u8>().is_ok());
        if !good || request.headers.count(&HeaderName::MaxForwards) > 1 {
            return refusal(400, "Malformed or repeated Max-Forwards", "");
        }
    }
    if request.uri.has_headers() {
        return refusal(400, "Request-URI must not have headers", "");
    }
    None
}

/// What keeps us from serving a request outside a dialog (RFC 3261 sections 8.2.1 to 8.2.3).
pub(super) fn inspect_new(path: &Path, request: &Request) -> Option<Refusal> {
    match &request.method {
        Method::Other(_) => return refusal(501, "Not Implemented", super::message::ALLOW),
        Method::Invite
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Options
        | Method::Notify
        | Method::Refer
        | Method::Prack
        | Method::Update
        | Method::Info => {}
        _ => return refusal(405, "Method Not Allowed", super::message::ALLOW),
    }
    // RFC 5630 section 5.3: sips comes over TLS or not at all; tel is what gateways dial (RFC 3966).
    let known = match request.uri.scheme() {
        sip_codec::Scheme::Sip | sip_codec::Scheme::Tel => true,
        sip_codec::Scheme::Sips => path.transport == Transport::Tls,
        _ => is_sos(&request.uri.to_bytes()),
    };
    if !known {
        return refusal(416, "Unsupported URI Scheme", "");
    }
    unsupported(request)
}

/// Extensions that the peer requires and that we do not know (RFC 3261 section 8.2.2.3).
pub(super) fn unsupported(request: &Request) -> Option<Refusal> {
    if request.method == Method::Cancel {
        return None;
    }
    // One line and no blanks: the answer to a list of a thousand short tags must not be larger than the request.
    let mut tags = String::new();
    for row in request.headers.get_all(&HeaderName::Require) {
        let row = row.value();
        let known = |tag: &[u8]| OPTION_TAGS.iter().any(|known| tag.eq_ignore_ascii_case(known));
        for tag in split_top(&row, b',').filter(|t| !t.is_empty() && !known(t)) {
            tags.push_str(if tags.is_empty() { "Unsupported: " } else { "," });
            tags.push_str(&String::from_utf8_lossy(tag));
        }
    }
    if tags.is_empty() { None } else { refusal(420, "Bad Extension", tags + "\r\n") }
}

/// What is wrong with a new INVITE's body and limits.
pub(super) fn inspect_invite(request: &Request) -> Option<Refusal> {
    // RFC 7332 section 4: an element that calls on behalf of a caller must not turn a loop into an endless one.
    if number(&request.headers, &HeaderName::MaxForwards) == Some(0) {
        return refusal(483, "Too Many Hops", "");
    }
    let encoding = request.headers.value(&HeaderName::ContentEncoding);
    if encoding.is_some_and(|e| !e.is_empty() && !e.eq_ignore_ascii_case(b"identity")) {
        return refusal(415, "Unsupported content encoding", "Accept-Encoding: identity\r\n");
    }
    if sdp(&request.headers, request.body()).is_err() {
        return refusal(415, "Unsupported Media Type", format!("Accept: {SDP}\r\n"));
    }
    let accepts = |range: &[u8]| {
        let kind = split_top(range, b';').next().unwrap_or_default();
        [SDP, "application/*", "*/*"].iter().any(|a| kind.eq_ignore_ascii_case(a.as_bytes()))
    };
    let mut rows = request.headers.get_all(&HeaderName::Accept).map(|h| h.value()).peekable();
    if rows.peek().is_some() && !rows.any(|row| split_top(&row, b',').any(accepts)) {
        return refusal(406, "Not Acceptable", "");
    }
    None
}
