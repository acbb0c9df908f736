//! Replaces (RFC 3891): a party names a dialog whose place another is to take.

use sip_codec::{HeaderName, Request};

use super::SessionId;
use super::endpoint::Endpoint;
use super::inbound::session_of_tag;
use super::message::{parameter, phrase, split_top};
use super::refuse::Refusal;
use super::session::{Phase, Session};

/// The dialog that a Replaces value names, as its peer sees it (RFC 3891 section 6.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Replaces {
    call_id: Vec<u8>,
    /// Our tag.
    to_tag: Vec<u8>,
    /// The peer's tag.
    from_tag: Vec<u8>,
    early_only: bool,
}

impl Replaces {
    /// Reads the header's value; `None` where Call-ID or a tag is missing.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut parts = split_top(value, b';');
        let call_id = parts.next().filter(|id| !id.is_empty() && !id.contains(&b','))?.to_vec();
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for part in parts {
            to_tag = to_tag.or_else(|| parameter(part, b"to-tag"));
            from_tag = from_tag.or_else(|| parameter(part, b"from-tag"));
            early_only |= part.eq_ignore_ascii_case(b"early-only");
        }
        Some(Self { call_id, to_tag: to_tag?, from_tag: from_tag?, early_only })
    }

    /// The dialog that a Refer-To URI wants replaced: its `?Replaces=` header, unescaped (RFC 3891 section 4, RFC 3261
    /// section 19.1.1). `None` where the URI carries no such header; `Some(None)` where it names no dialog.
    fn in_uri(uri: &str) -> Option<Option<Self>> {
        let (_, headers) = uri.split_once('?')?;
        let named = headers.split('&').find_map(|header| {
            let (name, value) = header.split_once('=')?;
            name.eq_ignore_ascii_case("replaces").then_some(value)
        })?;
        Some(Self::parse(&unescape(named.as_bytes())))
    }

    /// Whether `session` is that dialog. A tag "0" also stands for none at all (RFC 3891 section 3).
    fn names(&self, session: &Session) -> bool {
        let dialog = &session.dialog;
        let peer = session.has_peer(&self.from_tag) || self.from_tag == b"0" && dialog.remote_tag.is_empty();
        dialog.call_id == self.call_id && dialog.local_tag.as_bytes() == self.to_tag && peer
    }

    fn session(&self) -> Option<SessionId> {
        session_of_tag(&self.to_tag)
    }
}

impl Endpoint {
    /// The session that a Refer-To URI wants replaced (RFC 3891 section 4): `None` for a URI that carries no Replaces,
    /// `Some(None)` for one that names no dialog of ours.
    pub fn replaced_by_refer(&self, refer_to: &str) -> Option<Option<SessionId>> {
        let named = Replaces::in_uri(refer_to)?;
        Some(named.and_then(|r| self.session_replaced(&r)).filter(|s| !s.silent).map(|s| s.id))
    }

    /// The Replaces value by which the peer of `session` knows it: for a Refer-To of ours, or an INVITE that takes its place.
    pub fn replaces_value(&self, session: SessionId) -> Option<String> {
        let session = self.session(session)?;
        let dialog = &session.dialog;
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let to_tag = match &session.phase {
            Phase::Calling(calling) => calling.early.last().map_or(&dialog.remote_tag, |e| &e.dialog.remote_tag),
            _ => &dialog.remote_tag,
        };
        let (call_id, to_tag) = (text(&dialog.call_id), text(to_tag));
        Some(format!("{call_id};to-tag={to_tag};from-tag={}", dialog.local_tag))
    }

    /// What the Replaces header of a new INVITE asks for (RFC 3891 section 3): nothing, a session, or a refusal.
    pub(super) fn replaced_by_invite(&self, request: &Request) -> Result<Option<SessionId>, Refusal> {
        let refuse = |status: u16, reason: &str| Err((status, reason.to_owned(), String::new()));
        let mut rows = request.headers.get_all(&HeaderName::Replaces);
        let Some(row) = rows.next() else { return Ok(None) };
        let named = Replaces::parse(&row.value());
        let (Some(named), None) = (named, rows.next()) else { return refuse(400, "One valid Replaces wanted") };
        let Some(session) = self.session_replaced(&named) else { return refuse(481, phrase(481)) };
        match session.phase {
            // Ended already.
            Phase::Closing | Phase::Gone => refuse(603, phrase(603)),
            _ if session.silent => refuse(603, phrase(603)),
            Phase::Up if named.early_only => refuse(486, phrase(486)),
            // An early dialog that the peer began.
            Phase::Ringing(_) => refuse(481, phrase(481)),
            Phase::Up | Phase::Calling(_) => Ok(Some(session.id)),
        }
    }

    fn session_replaced(&self, named: &Replaces) -> Option<&Session> {
        self.session(named.session()?).filter(|session| named.names(session))
    }
}

/// Undoes `%HH`; what is no such escape stays.
pub(super) fn unescape(value: &[u8]) -> Vec<u8> {
    let digit = |at: usize| char::from(*value.get(at)?).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(&octet) = value.get(at) {
        match (octet, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            _ => {
                out.push(octet);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_rfc_3891_shows() {
        let r = Replaces::parse(b"425928@bobster.example.org;to-tag=7743;from-tag=6472").expect("a Replaces");
        assert_eq!((r.call_id.as_slice(), r.early_only), (&b"425928@bobster.example.org"[..], false));
        assert_eq!((r.to_tag.as_slice(), r.from_tag.as_slice()), (&b"7743"[..], &b"6472"[..]));
        let r = Replaces::parse(b"98732@sip.example.com ;from-tag=r33th4x0r ;to-tag=ff87ff;early-only");
        assert!(r.expect("a Replaces").early_only);
        for bad in [&b""[..], b"a;to-tag=1", b"a;from-tag=1", b";to-tag=1;from-tag=2", b"a;to-tag;from-tag=2"] {
            assert_eq!(Replaces::parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn reads_it_from_a_uri() {
        let uri = "sip:bob@x?Subject=s&Replaces=12345%40192.0.2.1%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994";
        let r = Replaces::in_uri(uri).flatten().expect("a Replaces");
        assert_eq!(r.call_id, b"12345@192.0.2.1");
        assert_eq!(r.from_tag, b"5FFE-3994");
        assert_eq!(Replaces::in_uri("sip:bob@x?Subject=replaces"), None);
        assert_eq!(Replaces::in_uri("sip:bob@x?replaces=%zz"), Some(None));
    }
}
