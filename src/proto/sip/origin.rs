//! Whom a call comes from, and by which numbers, as headers say it: P-Asserted-Identity (RFC 3325), Privacy (RFC 3323),
//! Diversion (RFC 5806), History-Info (RFC 7044), and how far the call may still go (Max-Forwards).

use bytes::Bytes;
use sip_codec::headers::Address;
use sip_codec::{HeaderName, Headers, Uri};

use super::message::{escape_user, lists_parts, number, split_top, text, user_of};

/// Diversions that are kept of a call. A call with more is in a loop: ISUP gives up at five (ITU-T Q.732.2).
pub(crate) const DIVERSIONS_MAX: usize = 10;
/// RFC 3261 section 8.1.1.6.
pub const MAX_FORWARDS: u8 = 70;
/// Longest user part that is kept, in octets.
const USER_MAX: usize = 128;

/// A number that a call was sent on from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diversion {
    /// User part of its URI, unescaped.
    pub user: String,
    /// Why, in the words of RFC 5806 section 4.1: `user-busy`, `no-answer`, `unconditional`, ...; `unknown` where
    /// nothing is said.
    pub reason: String,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// User part of P-Asserted-Identity (RFC 3325 section 9.1); to be believed from trusted peers, and to be said to
    /// trusted peers, alone.
    pub asserted: Option<String>,
    /// The caller's number is not to be shown (RFC 3323 section 4.2 and RFC 3325 section 9.3, or an anonymous From).
    pub private: bool,
    /// Nor is whom the call was diverted from (RFC 7044 section 10.1).
    pub history_private: bool,
    /// Whom the call was diverted from, the newest first; at most eleven, where ten is what we take.
    pub diversions: Vec<Diversion>,
    /// How many more elements the INVITE may pass (RFC 3261 section 8.1.1.6).
    pub max_forwards: u8,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            asserted: None,
            private: false,
            history_private: false,
            diversions: Vec::new(),
            max_forwards: MAX_FORWARDS,
        }
    }
}

impl Origin {
    /// As an INVITE has it. `from` is its From URI.
    pub(super) fn read(headers: &Headers, from: &Uri) -> Self {
        let hides = |token: &[u8]| lists_parts(headers, &HeaderName::Privacy, b';', token);
        // RFC 3323 section 4.1.1.3: who wants to be nobody calls from there.
        let nobody = from.host().is_some_and(|host| host.to_string().eq_ignore_ascii_case("anonymous.invalid"));
        let (diverted, history) = (diversions(headers), history(headers));
        let mut diversions = if history.len() >= diverted.len() { history } else { diverted };
        diversions.truncate(DIVERSIONS_MAX + 1);
        Self {
            asserted: asserted(headers),
            private: nobody || [&b"id"[..], b"user", b"header"].into_iter().any(hides),
            history_private: [&b"history"[..], b"session", b"header"].into_iter().any(hides),
            diversions,
            max_forwards: number(headers, &HeaderName::MaxForwards)
                .map_or(MAX_FORWARDS, |n| u8::try_from(n).unwrap_or(u8::MAX)),
        }
    }

    /// Header fields that say it to the next party: `host` is ours, `target` the Request-URI. What is asserted is written
    /// where it is given.
    pub(crate) fn headers(&self, host: &str, target: &str) -> Vec<(String, String)> {
        let uri = |user: &str| format!("<sip:{}@{host}>", escape_user(user));
        let mut headers = Vec::new();
        if let Some(user) = &self.asserted {
            headers.push(("P-Asserted-Identity".to_owned(), uri(user)));
        }
        if self.private {
            headers.push(("Privacy".to_owned(), "id".to_owned()));
        }
        for Diversion { user, reason } in &self.diversions {
            headers.push(("Diversion".to_owned(), format!("{};reason={reason}", uri(user))));
        }
        if !self.diversions.is_empty() {
            headers.push(("History-Info".to_owned(), self.history(uri, target)));
        }
        headers
    }

    /// RFC 7044 section 5: every number in the order in which the call came to it, each below the one before.
    fn history(&self, uri: impl Fn(&str) -> String, target: &str) -> String {
        let mut index = "1".to_owned();
        let mut value = String::new();
        for diversion in self.diversions.iter().rev() {
            let mapped = index.rsplit_once('.').map(|(parent, _)| format!(";mp={parent}")).unwrap_or_default();
            value.push_str(&format!("{};index={index}{mapped}, ", uri(&diversion.user)));
            index.push_str(".1");
        }
        let parent = index.rsplit_once('.').map_or("1", |(parent, _)| parent);
        value.push_str(&format!("<{target}>;index={index};mp={parent}"));
        value
    }
}

/// RFC 3325 section 9.1: one SIP URI, one telephone number, or both.
fn asserted(headers: &Headers) -> Option<String> {
    let rows: Vec<_> = headers.get_all(&HeaderName::PAssertedIdentity).map(|row| row.value().into_owned()).collect();
    let mut values = rows.iter().flat_map(|row| split_top(row, b','));
    values.find_map(|value| user(&Address::parse(value, "P-Asserted-Identity").ok()?.uri))
}

/// RFC 5806 section 4: the newest first.
fn diversions(headers: &Headers) -> Vec<Diversion> {
    let name = HeaderName::parse(&Bytes::from_static(b"Diversion"));
    let rows: Vec<_> = headers.get_all(&name).map(|row| row.value().into_owned()).collect();
    let values = rows.iter().flat_map(|row| split_top(row, b','));
    let read = |value: &[u8]| {
        let address = Address::parse(value, "Diversion").ok()?;
        let reason = address.param("reason").map(|reason| text(reason).trim_matches('"').to_owned());
        Some(Diversion { user: user(&address.uri)?, reason: token(reason) })
    };
    values.filter_map(read).take(DIVERSIONS_MAX + 1).collect()
}

/// RFC 7044 section 5: all targets in order; the last is whom the call is for now. Only a change of the user is a
/// diversion: other entries are hops on the way to one number.
fn history(headers: &Headers) -> Vec<Diversion> {
    let rows: Vec<_> = headers.get_all(&HeaderName::HistoryInfo).map(|row| row.value().into_owned()).collect();
    let values = rows.iter().flat_map(|row| split_top(row, b','));
    let mut targets: Vec<Diversion> = Vec::new();
    for value in values.take(4 * DIVERSIONS_MAX) {
        let Ok(address) = Address::parse(value, "History-Info") else { continue };
        let Some(user) = user(&address.uri) else { continue };
        if targets.last().is_some_and(|last| last.user == user) {
            targets.pop();
        }
        targets.push(Diversion { user, reason: escaped_reason(&text(&address.uri.to_bytes())) });
    }
    targets.pop();
    targets.reverse();
    targets.truncate(DIVERSIONS_MAX + 1);
    targets
}

fn user(uri: &Uri) -> Option<String> {
    let user = user_of(uri);
    (!user.is_empty() && user.len() <= USER_MAX).then_some(user)
}

fn token(reason: Option<String>) -> String {
    let plain =
        |r: &String| !r.is_empty() && r.len() <= 32 && r.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    reason.filter(plain).unwrap_or_else(|| "unknown".to_owned())
}

/// Why a target of History-Info was left: the status in its URI's Reason header, as RFC 7544 section 4 maps it.
fn escaped_reason(uri: &str) -> String {
    let lower = uri.to_ascii_lowercase();
    let cause = lower.split_once("reason=sip").and_then(|(_, rest)| rest.split_once("cause%3d"));
    let digits = cause.and_then(|(_, rest)| rest.get(..3));
    match digits {
        Some("302") => "unconditional",
        Some("486") => "user-busy",
        Some("408") => "no-answer",
        Some("480") => "deflection",
        Some("404" | "503") => "unavailable",
        _ => "unknown",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use sip_codec::Header;

    use super::*;

    fn read(from: &str, lines: &[(&str, &str)]) -> Origin {
        let mut headers = Headers::new();
        for (name, value) in lines {
            let name = HeaderName::parse(&Bytes::copy_from_slice(name.as_bytes()));
            headers.push(Header::build(name, (*value).to_owned()).expect("a header"));
        }
        Origin::read(&headers, &Uri::parse(Bytes::copy_from_slice(from.as_bytes())).expect("a URI"))
    }

    fn users(origin: &Origin) -> Vec<(&str, &str)> {
        origin.diversions.iter().map(|d| (d.user.as_str(), d.reason.as_str())).collect()
    }

    #[test]
    fn identities_and_what_hides_them_rfc_3325() {
        let both = [("P-Asserted-Identity", "\"Ana\" <sip:ana@x>, <tel:+1-555-0100>")];
        assert_eq!(read("sip:a@b", &both).asserted.as_deref(), Some("ana"));
        let tel = [("P-Asserted-Identity", "<sip:x>"), ("P-Asserted-Identity", "<tel:+1-555-0100>")];
        assert_eq!(read("sip:a@b", &tel).asserted.as_deref(), Some("+15550100"));
        for (privacy, private, history) in [
            ("id", true, false),
            ("user;critical", true, false),
            ("ID", true, false),
            ("header", true, true),
            ("history", false, true),
            ("session", false, true),
            ("none", false, false),
            ("idle", false, false),
        ] {
            let origin = read("sip:a@b", &[("Privacy", privacy)]);
            assert_eq!((origin.private, origin.history_private), (private, history), "{privacy}");
        }
        assert!(read("sip:anonymous@anonymous.invalid", &[]).private);
        assert!(!read("sip:anonymous@example.com", &[]).private);
    }

    #[test]
    fn diversions_newest_first_rfc_5806() {
        let origin = read(
            "sip:a@b",
            &[
                ("Diversion", "\"B, c\" <sip:200@x>;reason=user-busy;counter=1"),
                ("Diversion", "<tel:+15550100>;reason=\"no-answer\", <sip:300@x>"),
            ],
        );
        assert_eq!(users(&origin), [("200", "user-busy"), ("+15550100", "no-answer"), ("300", "unknown")]);
        let odd = read("sip:a@b", &[("Diversion", "<sip:1@x>;reason=\"a\\\";b\""), ("Diversion", "nonsense <")]);
        assert_eq!(users(&odd), [("1", "unknown")]);
        let many: Vec<_> = (0..40).map(|_| ("Diversion", "<sip:1@x>")).collect();
        assert_eq!(read("sip:a@b", &many).diversions.len(), DIVERSIONS_MAX + 1);
    }

    #[test]
    fn history_is_read_and_written_rfc_7044() {
        let value = "<sip:300@x>;index=1, <sip:300@y>;index=1.1;rc=1, \
                     <sip:200@x?Reason=SIP%3Bcause%3D486>;index=1.1.1;mp=1.1, <sip:100@us>;index=1.1.1.1;mp=1.1.1";
        let origin = read("sip:a@b", &[("History-Info", value), ("Diversion", "<sip:200@x>")]);
        assert_eq!(users(&origin), [("200", "user-busy"), ("300", "unknown")], "the fuller of the two");
        let headers = origin.headers("us", "sip:9@there");
        let history = headers.iter().find(|(name, _)| name == "History-Info").map(|(_, value)| value.clone());
        let expected = "<sip:300@us>;index=1, <sip:200@us>;index=1.1;mp=1, <sip:9@there>;index=1.1.1;mp=1.1";
        assert_eq!(history.as_deref(), Some(expected));
        let again = read("sip:a@b", &[("History-Info", expected)]);
        assert_eq!(users(&again), [("200", "unknown"), ("300", "unknown")]);
    }

    #[test]
    fn hops_rfc_3261_section_8_1_1_6() {
        assert_eq!(read("sip:a@b", &[]).max_forwards, 70);
        assert_eq!(read("sip:a@b", &[("Max-Forwards", "3")]).max_forwards, 3);
    }
}
