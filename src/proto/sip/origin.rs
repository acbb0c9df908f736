//! Whom a call comes from, and by which numbers, as headers say it: P-Asserted-Identity (RFC 3325), Privacy (RFC 3323),
//! Diversion (RFC 5806), History-Info (RFC 7044), and how far the call may still go (Max-Forwards).

use bytes::Bytes;
use sip_codec::headers::Address;
use sip_codec::{HeaderName, Headers, Uri};

use crate::base::{DialString, Trace};

use super::attributes::{CONTACT_ATTRIBUTES, attributes_value, read_attributes};
use super::message::{escape_user, lists_parts, number, split_top, text, user_of};

/// Diversions that are kept of a call. A call with more is in a loop: ISUP gives up at five (ITU-T Q.732.2).
pub(crate) const DIVERSIONS_MAX: usize = 10;
/// RFC 3261 section 8.1.1.6.
pub const MAX_FORWARDS: u8 = 70;
/// Longest user part of a diversion that is kept, in octets: each is written twice into every INVITE that goes on.
const DIVERTED_MAX: usize = 64;
/// Who is not named (RFC 3323 section 4.1.1.3, RFC 7044 section 10.1.2).
const NOBODY: &str = "sip:anonymous@anonymous.invalid";
/// Its host.
const NOWHERE: &str = "anonymous.invalid";

/// A number that a call was sent on from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diversion {
    /// User part of its URI, unescaped; empty where it cannot be read.
    pub user: DialString,
    /// Why, in the words of RFC 5806 section 4.1: `user-busy`, `no-answer`, `unconditional`, ...; `unknown` where
    /// nothing is said.
    pub reason: String,
    /// It is not to be shown (RFC 5806 section 4.1 `privacy`, RFC 7044 section 10.1).
    pub withheld: bool,
}

/// Whom headers are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Audience {
    /// A peer of our trust domain (RFC 3324): everything, and what of it is to be withheld from others.
    Trusted,
    /// Any other peer: what is withheld is counted, and not named.
    Peer,
    /// A phone: what a person wants to see, in no more octets than that takes.
    Phone,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// User part of P-Asserted-Identity (RFC 3325 section 9.1); to be believed from trusted peers, and to be said to
    /// trusted peers, alone.
    pub asserted: Option<DialString>,
    /// The caller's number is not to be shown (RFC 3323 section 4.2 and RFC 3325 section 9.3, or an anonymous From).
    pub private: bool,
    /// Its From is nobody's (RFC 3323 section 4.1.1.3).
    pub nobody: bool,
    /// Nobody may be shown from whom the call was diverted (RFC 7044 section 10.1), by whomever that will be.
    pub history_private: bool,
    /// Whom the call was diverted from, the newest first; at most eleven, where ten is what we take.
    pub diversions: Vec<Diversion>,
    /// How many more elements the INVITE may pass (RFC 3261 section 8.1.1.6).
    pub max_forwards: u8,
    /// What the session is known by from end to end (RFC 7989).
    pub trace: Option<Trace>,
    /// Who sent it here did not take it himself: it is to go on to nobody else (RFC 4458 section 2).
    pub deflected: bool,
    /// What an appliance of ours has found out of the call; to be believed of those, and to be said to those, alone.
    pub attributes: Vec<(String, String)>,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            asserted: None,
            private: false,
            nobody: false,
            history_private: false,
            diversions: Vec::new(),
            max_forwards: MAX_FORWARDS,
            trace: None,
            deflected: false,
            attributes: Vec::new(),
        }
    }
}

/// What tells, in a Request-URI, that a call was deflected at once by whom it was for: RFC 4458 section 2.2, "deflection during
/// immediate response".
const DEFLECTED: &str = "480";

/// A URI for a call that was deflected.
pub fn deflected(uri: &str) -> String {
    format!("{uri};cause={DEFLECTED}")
}

/// Whether a Request-URI says so.
fn is_deflected(uri: &Uri) -> bool {
    uri.params().is_some_and(|params| params.value("cause").is_some_and(|cause| cause == DEFLECTED.as_bytes()))
}

impl Origin {
    /// As an INVITE has it: `to` is its Request-URI, `from` its From URI.
    pub(super) fn read(headers: &Headers, to: &Uri, from: &Uri) -> Self {
        let hides = |token: &[u8]| lists_parts(headers, &HeaderName::Privacy, b';', token);
        let nobody = is_nowhere(from);
        let history_private = HISTORY.into_iter().any(|token| hides(token.as_bytes()));
        let mut diversions = fuller(diversions(headers), history(headers));
        diversions.iter_mut().for_each(|diversion| diversion.withheld |= history_private);
        Self {
            asserted: asserted(headers),
            private: nobody || [&b"id"[..], b"user", b"header"].into_iter().any(hides),
            nobody,
            history_private,
            diversions,
            max_forwards: number(headers, &HeaderName::MaxForwards)
                .map_or(MAX_FORWARDS, |n| u8::try_from(n).unwrap_or(u8::MAX)),
            trace: trace(headers),
            deflected: is_deflected(to),
            attributes: attributes(headers),
        }
    }

    /// Header fields that say it to the next party: `host` is ours, `target` the Request-URI. What is asserted is written
    /// where it is given.
    pub(crate) fn headers(&self, host: &str, target: &str, audience: Audience) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        if let Some(user) = &self.asserted {
            headers.push(("P-Asserted-Identity".to_owned(), format!("<sip:{}@{host}>", escape_user(user.as_str()))));
        }
        let privacy = match (self.private, self.history_private && audience == Audience::Trusted) {
            (true, true) => "id;history",
            (true, false) => "id",
            (false, true) => "history",
            (false, false) => "",
        };
        if !privacy.is_empty() {
            headers.push(("Privacy".to_owned(), privacy.to_owned()));
        }
        if let Some(trace) = self.trace {
            // RFC 7989 section 5: the other end is not known yet.
            headers.push(("Session-ID".to_owned(), format!("{trace};remote={:032}", 0)));
        }
        if audience == Audience::Trusted && !self.attributes.is_empty() {
            headers.push((CONTACT_ATTRIBUTES.to_owned(), attributes_value(&self.attributes)));
        }
        if audience == Audience::Phone {
            let mut shown = self.diversions.iter().filter(|d| !d.withheld && !d.user.is_empty());
            for diversion in shown.next().into_iter().chain(shown.next_back()) {
                headers.push(("Diversion".to_owned(), diversion.header(host, audience)));
            }
            return headers;
        }
        for diversion in &self.diversions {
            headers.push(("Diversion".to_owned(), diversion.header(host, audience)));
        }
        if !self.diversions.is_empty() {
            headers.push(("History-Info".to_owned(), self.history(host, target, audience)));
        }
        headers
    }

    /// RFC 7044 section 5: every number in the order in which the call came to it, each below the one before. Why a number
    /// was left stands with it as the status of a Reason header (section 10.2), and as the parameter `cause` of the next
    /// one, where gateways to ISUP look (RFC 7544).
    fn history(&self, host: &str, target: &str, audience: Audience) -> String {
        let mut index = "1".to_owned();
        let (mut mapped, mut cause) = (String::new(), String::new());
        let mut value = String::new();
        for diversion in self.diversions.iter().rev() {
            let (uri, headers) = diversion.target(host, audience);
            value.push_str(&format!("<{uri}{cause}{headers}>;index={index}{mapped}, "));
            mapped = format!(";mp={index}");
            cause = diversion.cause().map(|cause| format!(";cause={cause}")).unwrap_or_default();
            index.push_str(".1");
        }
        value.push_str(&format!("<{target}{cause}>;index={index}{mapped}"));
        value
    }
}

impl Diversion {
    /// Whether the next party may read the number.
    fn is_told(&self, audience: Audience) -> bool {
        !self.user.is_empty() && (!self.withheld || audience == Audience::Trusted)
    }

    /// A value of Diversion (RFC 5806 section 4).
    fn header(&self, host: &str, audience: Audience) -> String {
        let reason = &self.reason;
        if !self.is_told(audience) {
            return format!("<{NOBODY}>;reason={reason};privacy=full");
        }
        let privacy = if self.withheld { ";privacy=full" } else { "" };
        format!("<sip:{}@{host}>;reason={reason}{privacy}", escape_user(self.user.as_str()))
    }

    /// The URI of an entry of History-Info that was left, and the headers in it: why (RFC 7044 section 10.2), and whether it
    /// may be shown (section 10.1.1).
    fn target(&self, host: &str, audience: Audience) -> (String, String) {
        let reason = self.cause().map(|cause| format!("Reason=SIP%3Bcause%3D{cause}"));
        let told = self.is_told(audience);
        let privacy = (told && self.withheld).then(|| "Privacy=history".to_owned());
        let uri = if told { format!("sip:{}@{host}", escape_user(self.user.as_str())) } else { NOBODY.to_owned() };
        let mut headers = String::new();
        for (header, mark) in privacy.into_iter().chain(reason).zip(['?', '&']) {
            headers.push(mark);
            headers.push_str(&header);
        }
        (uri, headers)
    }

    /// Why it was left, as a status.
    fn cause(&self) -> Option<&'static str> {
        CAUSES.into_iter().find(|(_, reason)| *reason == self.reason).map(|(cause, _)| cause)
    }
}

/// Values of Privacy that withhold diversions (RFC 7044 section 10.1).
const HISTORY: [&str; 3] = ["history", "session", "header"];

/// Statuses in History-Info and what RFC 5806 calls them, as RFC 7544 maps them; of all others the reason is unknown.
const CAUSES: [(&str, &str); 6] = [
    ("302", "unconditional"),
    ("486", "user-busy"),
    ("408", "no-answer"),
    ("480", "deflection"),
    ("503", "unavailable"),
    ("487", "deflection"),
];

/// RFC 7989 section 5: the sender's half of the identifier.
fn trace(headers: &Headers) -> Option<Trace> {
    let value = headers.value(&HeaderName::parse(&Bytes::from_static(b"Session-ID")))?;
    text(split_top(&value, b';').next()?).trim().parse().ok()
}

fn attributes(headers: &Headers) -> Vec<(String, String)> {
    let name = HeaderName::parse(&Bytes::from_static(CONTACT_ATTRIBUTES.as_bytes()));
    headers.value(&name).map(|value| read_attributes(&text(&value))).unwrap_or_default()
}

fn is_nowhere(uri: &Uri) -> bool {
    uri.host().is_some_and(|host| host.to_string().eq_ignore_ascii_case(NOWHERE))
}

/// RFC 3325 section 9.1: one SIP URI, one telephone number, or both.
fn asserted(headers: &Headers) -> Option<DialString> {
    let rows: Vec<_> = headers.get_all(&HeaderName::PAssertedIdentity).map(|row| row.value().into_owned()).collect();
    let mut values = rows.iter().flat_map(|row| split_top(row, b','));
    values.find_map(|value| {
        let user = user_of(&Address::parse(value, "P-Asserted-Identity").ok()?.uri);
        DialString::new(user).ok().filter(|user| !user.is_empty())
    })
}

/// RFC 5806 section 4: the newest first.
fn diversions(headers: &Headers) -> Vec<Diversion> {
    let name = HeaderName::parse(&Bytes::from_static(b"Diversion"));
    let rows: Vec<_> = headers.get_all(&name).map(|row| row.value().into_owned()).collect();
    let values = rows.iter().flat_map(|row| split_top(row, b','));
    let read = |value: &[u8]| {
        let address = Address::parse(value, "Diversion").ok()?;
        let reason = address.param("reason").map(|reason| text(reason).trim_matches('"').to_owned());
        let open = |privacy: &[u8]| text(privacy).trim_matches('"').eq_ignore_ascii_case("off");
        let withheld = address.param("privacy").is_some_and(|privacy| !open(privacy));
        Some(diversion(&address.uri, token(reason), withheld))
    };
    values.filter_map(read).take(DIVERSIONS_MAX + 1).collect()
}

/// RFC 7044 section 5: all targets in order; the last is whom the call is for now. Only a change of the user is a
/// diversion: other entries are hops on the way to one number, unless `mp` says that the number sent the call on, to itself
/// perhaps.
fn history(headers: &Headers) -> Vec<Diversion> {
    let rows: Vec<_> = headers.get_all(&HeaderName::HistoryInfo).map(|row| row.value().into_owned()).collect();
    let values = rows.iter().flat_map(|row| split_top(row, b','));
    let mut targets: Vec<Diversion> = Vec::new();
    for value in values.take(4 * DIVERSIONS_MAX) {
        let Ok(address) = Address::parse(value, "History-Info") else { continue };
        // A gateway that is named by its host alone is a hop, too.
        if user_of(&address.uri).is_empty() {
            continue;
        }
        let target = diversion(&address.uri, escaped_reason(&text(&address.uri.to_bytes())), hides_entry(&address.uri));
        let mapped = address.param("mp").is_some();
        if let Some(last) = targets.last_mut().filter(|last| !mapped && last.user == target.user) {
            *last = Diversion { withheld: last.withheld || target.withheld, ..target };
        } else {
            // RFC 7544: why the number before was left stands as a parameter in the URI that the call went on to.
            if let (Some(left), Some(reason)) = (targets.last_mut(), cause_parameter(&address.uri)) {
                left.reason = reason.to_owned();
            }
            targets.push(target);
        }
    }
    targets.pop();
    targets.reverse();
    targets.truncate(DIVERSIONS_MAX + 1);
    targets
}

/// RFC 7044 section 10.1.1: the entry's own Privacy.
fn hides_entry(uri: &Uri) -> bool {
    let params = uri.headers();
    let value = params.and_then(|all| all.iter().find(|p| p.name().eq_ignore_ascii_case(b"privacy"))?.value());
    let value = value.map(|value| text(value).to_ascii_lowercase().replace("%3b", ";")).unwrap_or_default();
    value.split(';').any(|token| HISTORY.contains(&token))
}

/// What cannot be read, or is nobody's, counts, without a number.
fn diversion(uri: &Uri, reason: String, withheld: bool) -> Diversion {
    let nobody = is_nowhere(uri);
    let user = Some(user_of(uri)).filter(|user| !nobody && user.len() <= DIVERTED_MAX);
    let user = user.and_then(|user| DialString::new(user).ok()).unwrap_or_default();
    Diversion { user, reason, withheld: withheld || nobody }
}

/// Of a call's two accounts the one that knows more, with what the other alone says of its numbers.
fn fuller(diverted: Vec<Diversion>, history: Vec<Diversion>) -> Vec<Diversion> {
    let (mut chosen, other) = if history.len() > diverted.len() { (history, diverted) } else { (diverted, history) };
    for diversion in &mut chosen {
        for same in other.iter().filter(|same| same.user == diversion.user) {
            diversion.withheld |= same.withheld;
            if diversion.reason == UNKNOWN {
                diversion.reason.clone_from(&same.reason);
            }
        }
    }
    chosen
}

/// The reason where none is given (RFC 5806 section 4.1).
const UNKNOWN: &str = "unknown";

fn token(reason: Option<String>) -> String {
    let plain =
        |r: &String| !r.is_empty() && r.len() <= 32 && r.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    reason.filter(plain).unwrap_or_else(|| UNKNOWN.to_owned())
}

/// Why a call was sent on to a URI (RFC 4458 section 2).
fn cause_parameter(uri: &Uri) -> Option<&'static str> {
    let uri = text(&uri.to_bytes()).to_ascii_lowercase();
    // A user part has no parameters of the URI's, whatever it looks like.
    let parameters = uri.rsplit('@').next()?.split('?').next()?.split(';').skip(1);
    reason_of(parameters.into_iter().find_map(|parameter| parameter.strip_prefix("cause="))?)
}

fn reason_of(cause: &str) -> Option<&'static str> {
    CAUSES.into_iter().find(|(known, _)| *known == cause).map(|(_, reason)| reason)
}

/// Why a target of History-Info was left: the status in its URI's Reason header (RFC 7044 section 10.2).
fn escaped_reason(uri: &str) -> String {
    let lower = uri.to_ascii_lowercase();
    let cause = lower.split_once("reason=sip").and_then(|(_, rest)| rest.split_once("cause%3d"));
    let digits = cause.and_then(|(_, rest)| rest.get(..3));
    digits.and_then(reason_of).unwrap_or(UNKNOWN).to_owned()
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
        let uri = |text: &str| Uri::parse(Bytes::copy_from_slice(text.as_bytes())).expect("a URI");
        Origin::read(&headers, &uri("sip:700@127.0.0.1"), &uri(from))
    }

    #[test]
    fn a_call_that_was_deflected_is_known_by_its_request_uri_rfc_4458() {
        let uri = |text: &str| Uri::parse(Bytes::copy_from_slice(text.as_bytes())).expect("a URI");
        assert!(is_deflected(&uri(&deflected("sip:700@127.0.0.1:5070;transport=tcp"))));
        for other in ["sip:700@127.0.0.1", "sip:700@127.0.0.1;cause=486", "sip:700@127.0.0.1;transport=tcp", "tel:700"]
        {
            assert!(!is_deflected(&uri(other)), "{other}");
        }
    }

    fn number(origin: &Origin) -> &str {
        origin.asserted.as_ref().map_or("", DialString::as_str)
    }

    fn users(origin: &Origin) -> Vec<(&str, &str)> {
        origin.diversions.iter().map(|d| (d.user.as_str(), d.reason.as_str())).collect()
    }

    #[test]
    fn identities_and_what_hides_them_rfc_3325() {
        let both = [("P-Asserted-Identity", "\"Ana\" <sip:ana@x>, <tel:+1-555-0100>")];
        assert_eq!(number(&read("sip:a@b", &both)), "ana");
        let tel = [("P-Asserted-Identity", "<sip:x>"), ("P-Asserted-Identity", "<tel:+1-555-0100>")];
        assert_eq!(number(&read("sip:a@b", &tel)), "+15550100");
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
        let headers = origin.headers("us", "sip:9@there", Audience::Peer);
        let history = headers.iter().find(|(name, _)| name == "History-Info").map(|(_, value)| value.clone());
        let expected = "<sip:300@us>;index=1, <sip:200@us?Reason=SIP%3Bcause%3D486>;index=1.1;mp=1, \
                        <sip:9@there;cause=486>;index=1.1.1;mp=1.1";
        assert_eq!(history.as_deref(), Some(expected));
        let again = read("sip:a@b", &[("History-Info", expected)]);
        assert_eq!(users(&again), [("200", "user-busy"), ("300", "unknown")]);
        // Both headers as we write them: neither takes from the other.
        let lines: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read("sip:a@b", &lines).diversions, origin.diversions);
        // RFC 7544, and a gateway that is named by its host.
        let value = "<sip:300@x>;index=1, <sip:gw.x>;index=1.1, <sip:200@x;user=phone;cause=486>;index=1.1.1;mp=1.1, \
                     <sip:9@x;cause=404>;index=1.1.1.1;mp=1.1.1";
        let read_on = read("sip:a@b", &[("History-Info", value)]);
        assert_eq!(users(&read_on), [("200", "unknown"), ("300", "user-busy")]);
        let both =
            [("History-Info", "<sip:200@x>;index=1, <sip:9@y>;index=1.1"), ("Diversion", "<sip:200@x>;reason=away")];
        assert_eq!(users(&read("sip:a@b", &both)), [("200", "away")], "a tie");
    }

    #[test]
    fn a_cause_is_a_parameter_of_the_uri() {
        let left = |next: &str| {
            let value = format!("<sip:300@x>;index=1, <{next}>;index=1.1;mp=1, <sip:9@x>;index=1.1.1;mp=1.1");
            let origin = read("sip:a@b", &[("History-Info", &value)]);
            origin.diversions.last().map_or(String::new(), |first| first.reason.clone())
        };
        assert_eq!(left("sip:200@x;user=phone;cause=486"), "user-busy");
        assert_eq!(left("tel:+15550100;cause=486"), "user-busy");
        for other in [
            "sip:200;cause=486;a@x",
            "sip:200;cause=486@x",
            "sip:200@x;cause=4860",
            "sip:200@x;because=486",
            "sip:200@x;cause=",
        ] {
            assert_eq!(left(other), UNKNOWN, "{other}");
        }
    }

    /// A number that sends a call to itself is a circle, which each round must make longer.
    #[test]
    fn the_same_number_twice_is_two_diversions() {
        let one =
            Diversion { user: DialString::new("200").expect("a number"), reason: "unknown".into(), withheld: false };
        let origin = Origin { diversions: vec![one; 3], ..Origin::default() };
        for header in ["Diversion", "History-Info"] {
            let headers = origin.headers("us", "sip:200@there", Audience::Peer);
            let kept: Vec<_> = headers.iter().filter(|(name, _)| name == header).collect();
            let lines: Vec<_> = kept.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(read("sip:a@b", &lines).diversions.len(), 3, "{header}");
        }
    }

    /// RFC 5806 section 4.1, RFC 7044 section 10.1: whoever says that a number is not to be shown, it counts, and only our
    /// trust domain is told it.
    #[test]
    fn withheld_diversions() {
        let plain = ("Diversion", "<sip:5559000@x>;reason=user-busy");
        type Lines<'a> = &'a [(&'a str, &'a str)];
        let cases: [(&str, Lines<'_>, &str); 5] = [
            ("parameter", &[("Diversion", "<sip:5559000@x>;reason=user-busy;privacy=full")], ""),
            (
                "entry",
                &[("History-Info", "<sip:5559000@x?Privacy=history&Reason=SIP%3Bcause%3D486>;index=1, <sip:1@x>")],
                "",
            ),
            (
                "both accounts",
                &[plain, ("History-Info", "<sip:5559000@x?privacy=id%3Bhistory>;index=1, <sip:1@x>")],
                "",
            ),
            ("header", &[plain, ("Privacy", "history")], "history"),
            ("header, with the caller", &[plain, ("Privacy", "id;history")], "id;history"),
        ];
        for (what, lines, privacy) in cases {
            let origin = read("sip:a@b", lines);
            assert!(origin.diversions.iter().all(|d| d.withheld), "{what}");
            let said = |audience| {
                let headers = origin.headers("us", "sip:9@there", audience);
                headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>()
            };
            let trusted = said(Audience::Trusted);
            assert!(
                trusted.contains("Diversion: <sip:5559000@us>;reason=user-busy;privacy=full\n"),
                "{what}: {trusted}"
            );
            assert!(trusted.contains("<sip:5559000@us?Privacy=history&Reason=SIP%3Bcause%3D486>;index=1"), "{what}");
            let told = trusted.lines().find_map(|line| line.strip_prefix("Privacy: ")).unwrap_or_default();
            assert_eq!(told, privacy, "{what}");
            for audience in [Audience::Peer, Audience::Phone] {
                assert!(!said(audience).contains("5559000"), "{what}: {}", said(audience));
            }
            let headers = origin.headers("us", "sip:9@there", Audience::Peer);
            let lines: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(read("sip:a@b", &lines).diversions.len(), 1, "{what}: it counts");
        }
        assert!(!read("sip:a@b", &[("Diversion", "<sip:1@x>;privacy=\"off\"")]).diversions[0].withheld);
    }

    /// A URI in the user part (RFC 3261 section 19.1.1 lets it be escaped) is no number.
    #[test]
    fn a_diversion_is_a_number() {
        let odd = read("sip:a@b", &[("Diversion", "<sip:sip%3A1900%40evil.example@x>;reason=away")]);
        assert_eq!(users(&odd), [("", "away")]);
    }

    /// Phones ring for people: a row each for the first number and the last.
    #[test]
    fn phones_are_told_little() {
        let lines = ["1", "2", "3"].map(|n| ("Diversion", format!("<sip:{n}@x>")));
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let headers = read("sip:a@b", &lines).headers("us", "sip:ana@there", Audience::Phone);
        let values: Vec<_> = headers.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["<sip:1@us>;reason=unknown", "<sip:3@us>;reason=unknown"]);
    }

    #[test]
    fn hops_rfc_3261_section_8_1_1_6() {
        assert_eq!(read("sip:a@b", &[]).max_forwards, 70);
        assert_eq!(read("sip:a@b", &[("Max-Forwards", "3")]).max_forwards, 3);
    }
}
