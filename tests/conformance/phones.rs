//! Oddities of phones, gateways and providers in the field. None of these messages is right by the letter, or each is
//! right in a way that few parsers expect; all of them mean something, and are taken for it.

use cordboard::base::Codec;
use cordboard::proto::sdp;

use crate::desk::{Desk, Outcome, verdict};

/// An INVITE that nobody can object to.
const INVITE: &str = "INVITE sip:100@192.0.2.9 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport\r\n\
    Max-Forwards: 70\r\n\
    From: \"Anna\" <sip:anna@example.com>;tag=f\r\n\
    To: <sip:100@example.com>\r\n\
    Call-ID: odd@192.0.2.1\r\n\
    CSeq: 1 INVITE\r\n\
    Contact: <sip:anna@192.0.2.1:5060>\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: LENGTH\r\n\r\n";

/// A description that nobody can object to.
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

/// A whole INVITE, with `old` in its headers made `new`.
fn invite(old: &str, new: &str) -> String {
    assert!(INVITE.contains(old), "{old}");
    INVITE.replace(old, new).replace("LENGTH", &OFFER.len().to_string()) + OFFER
}

/// Oddity, and the part of the headers that shows it.
const HEADERS: &[(&str, &str, &str)] = &[
    ("line ends of one LF", "\r\n", "\n"),
    ("empty lines before the request", "INVITE sip:", "\r\n\r\nINVITE sip:"),
    ("blanks after the request line", "SIP/2.0\r\nVia", "SIP/2.0 \r\nVia"),
    ("the version in small letters", "192.0.2.9 SIP/2.0", "192.0.2.9 sip/2.0"),
    ("compact header names", "Via: ", "v: "),
    ("compact header names, To", "To: ", "t:"),
    ("compact header names, Call-ID", "Call-ID: ", "i: "),
    ("compact header names, Content-Type", "Content-Type: ", "c: "),
    ("compact header names, Content-Length", "Content-Length: ", "l: "),
    ("header names in capitals", "Max-Forwards", "MAX-FORWARDS"),
    ("header names in small letters", "Call-ID", "call-id"),
    ("a blank before the colon", "Call-ID: ", "Call-ID : "),
    ("a tab before the colon", "Content-Length: ", "Content-Length\t:"),
    ("no blank after the colon", "From: ", "From:"),
    ("a tab after the colon", "From: ", "From:\t"),
    ("a folded line", "To: <sip:100@example.com>", "To:\r\n  <sip:100@example.com>"),
    ("a folded Via", ";branch=z9hG4bK1", "\r\n ;branch=z9hG4bK1"),
    ("blanks after a value", "CSeq: 1 INVITE", "CSeq: 1 INVITE  "),
    ("blanks within CSeq", "CSeq: 1 INVITE", "CSeq:  1   INVITE"),
    ("zeros before the CSeq", "CSeq: 1 INVITE", "CSeq: 0001 INVITE"),
    ("no Max-Forwards", "Max-Forwards: 70\r\n", ""),
    ("no Content-Length in a datagram", "Content-Length: LENGTH\r\n", ""),
    ("empty headers", "Max-Forwards", "Supported:\r\nUser-Agent: \r\nSubject:\r\nAllow:\r\nMax-Forwards"),
    ("headers nobody knows", "Max-Forwards", "X-Serialnumber: 00:11\r\nP-Early-Media: supported\r\nMax-Forwards"),
    ("latin-1 in a header", "Max-Forwards", "Organization: M\u{fc}ller\r\nMax-Forwards"),
    ("Allow row by row", "Max-Forwards", "Allow: INVITE\r\nAllow: ACK, BYE\r\nAllow: invite\r\nMax-Forwards"),
    ("a Date of no calendar", "Max-Forwards", "Date: 01/01/1970 0:00\r\nMax-Forwards"),
    ("an Expires of no number", "Max-Forwards", "Expires: never\r\nMax-Forwards"),
    ("blanks around the port of Via", "192.0.2.1:5060;branch", "192.0.2.1 : 5060 ;branch"),
    ("blanks around the parameters of Via", ";branch=z9hG4bK1;rport", " ; branch=z9hG4bK1 ; rport"),
    ("a transport in small letters in Via", "Via: SIP/2.0/UDP", "Via: SIP/2.0/udp"),
    ("rport with an equals sign and no value", ";rport", ";rport="),
    ("a received that the sender put there", ";rport", ";rport;received=10.0.0.1"),
    ("a semicolon at the end of Via", ";rport\r\n", ";rport;\r\n"),
    ("a branch of the time before RFC 3261", "z9hG4bK1", "1a2b"),
    ("a branch with a wrong cookie case", "z9hG4bK1", "Z9HG4BK1"),
    ("alias and keep in Via", ";rport", ";rport;alias;keep"),
    ("several Via values in one row", ";rport\r\n", ";rport, SIP/2.0/TCP 10.0.0.2;branch=z9hG4bK2\r\n"),
    ("no display name and no brackets", "\"Anna\" <sip:anna@example.com>;tag=f", "sip:anna@example.com;tag=f"),
    ("a display name without quotes", "\"Anna\" <", "Anna Maria <"),
    ("a display name without blanks behind", "\"Anna\" <", "\"Anna\"<"),
    ("an empty display name", "\"Anna\" <", "\"\" <"),
    ("a display name of UTF-8 without quotes", "\"Anna\" <", "J\u{fc}rgen M\u{fc}ller <"),
    ("a display name with dots and brackets", "\"Anna\" <", "Anna (ext. 12) <"),
    ("a display name with an at sign", "\"Anna\" <", "anna@home <"),
    ("a display name with a comma in quotes", "\"Anna\" <", "\"Bell, Anna\" <"),
    ("a display name with an escaped quote", "\"Anna\" <", "\"A \\\"Bell\\\"\" <"),
    ("a tag between odd parameters", ";tag=f", ";x-y=\"a;b\";tag=f;z"),
    ("blanks before the tag", ";tag=f", " ; tag=f"),
    ("a tag that looks like a number", ";tag=f", ";tag=0"),
    (
        "a user of a phone number with its parameters",
        "sip:100@192.0.2.9",
        "sip:100;phone-context=+1@192.0.2.9;user=phone",
    ),
    ("a Request-URI with a transport", "sip:100@192.0.2.9", "sip:100@192.0.2.9:5060;transport=UDP"),
    ("a Request-URI with an unknown parameter", "sip:100@192.0.2.9", "sip:100@192.0.2.9;line=abc;ob"),
    ("an escaped digit", "sip:100@192.0.2.9", "sip:%3100@192.0.2.9"),
    ("a scheme in capitals", "sip:100@192.0.2.9", "SIP:100@192.0.2.9"),
    ("a tel URI in From", "<sip:anna@example.com>", "<tel:+15551234;phone-context=example.com>"),
    ("a From without a user", "<sip:anna@example.com>", "<sip:example.com>"),
    ("an anonymous From", "<sip:anna@example.com>", "<sip:anonymous@anonymous.invalid>"),
    ("a host with an underscore", "anna@example.com>;tag", "anna@pbx_1.example.com>;tag"),
    ("a host with a dot at its end", "anna@example.com>;tag", "anna@example.com.>;tag"),
    ("an empty port", "anna@example.com>;tag", "anna@example.com:>;tag"),
    ("a Contact without brackets", "Contact: <sip:anna@192.0.2.1:5060>", "Contact: sip:anna@192.0.2.1:5060"),
    ("a Contact with a long instance", ":5060>", ":5060>;+sip.instance=\"<urn:uuid:0>\";reg-id=1;q=0.5"),
    ("a Contact with port 0", "<sip:anna@192.0.2.1:5060>", "<sip:anna@192.0.2.1:0>"),
    ("a Contact of a hash and a star", "Contact: <sip:anna@", "Contact: <sip:*55#@"),
    ("a media type with a parameter", "application/sdp", "application/sdp; charset=UTF-8"),
    ("a media type in capitals", "application/sdp", "Application/SDP"),
    ("a media type with a semicolon at its end", "application/sdp", "application/sdp;"),
    ("blanks after the length", "Content-Length: LENGTH", "Content-Length: LENGTH \t"),
    ("a Call-ID of odd signs", "odd@192.0.2.1", "{odd}!%*_+`'~()<>:\\\"/[]?"),
    ("a Route to us", "Max-Forwards", "Route: <sip:127.0.0.1;lr=on>\r\nMax-Forwards"),
    ("a Record-Route with lr=true", "Max-Forwards", "Record-Route: <sip:10.0.0.2;lr=true;ftag=1>\r\nMax-Forwards"),
    ("extensions that are only supported", "Max-Forwards", "Supported: 100rel,,replaces , eventlist\r\nMax-Forwards"),
    ("credentials for another realm", "Max-Forwards", "Authorization: Digest realm=\"x\",nonce=\"\"\r\nMax-Forwards"),
];

#[test]
fn odd_headers_are_taken_for_what_they_mean() {
    assert_eq!(verdict(invite("INVITE", "INVITE").as_bytes()), "call 100");
    let mut wrong = Vec::new();
    for (what, old, new) in HEADERS {
        // Latin-1 is not UTF-8: put as the one octet that it is.
        let message: Vec<u8> = match what.starts_with("latin-1") {
            true => invite(old, new).chars().map(|c| c as u8).collect(),
            false => invite(old, new).into_bytes(),
        };
        let verdict = verdict(&message);
        if verdict != "call 100" {
            wrong.push(format!("{what}: {verdict:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_around_a_datagram_is_noise() {
    for noise in ["\r\n", "\0", "\0\0\0\0", "x", "\r\nINVITE"] {
        let text = invite("INVITE", "INVITE") + noise;
        assert_eq!(verdict(text.as_bytes()), "call 100", "{noise:?}");
    }
    // What keeps a NAT's door open is no message, and not worth an answer (RFC 5626 section 4.4.1).
    for keep_alive in ["", "\0", "\r\n", "\r\n\r\n", "\0\0\0\0", " "] {
        assert!(matches!(Desk::new(&[]).take(keep_alive.as_bytes()), Outcome::Dropped(_)), "{keep_alive:?}");
    }
}

/// What phones ask beside calls: each gets an answer, or they ask again and again.
#[test]
fn every_request_is_answered() {
    let request = |method: &str, more: &str| {
        let text = INVITE.replace("INVITE", method).replace("Content-Type: application/sdp\r\n", more);
        text.replace("LENGTH", "0")
    };
    let cases = [
        ("OPTIONS", "", "200 OK"),
        ("OPTIONS", "Accept: text/plain\r\n", "200 OK"),
        ("REGISTER", "Expires: 60\r\n", "401 Unauthorized"),
        ("SUBSCRIBE", "Event: message-summary\r\nExpires: 60\r\n", "405 Method Not Allowed"),
        ("PUBLISH", "Event: presence\r\n", "405 Method Not Allowed"),
        ("MESSAGE", "", "405 Method Not Allowed"),
        ("NOTIFY", "Event: keep-alive\r\n", "481 Call/Transaction Does Not Exist"),
        ("BYE", "", "481 Call/Transaction Does Not Exist"),
        ("CANCEL", "", "481 Call/Transaction Does Not Exist"),
        ("KDMQ", "", "501 Not Implemented"),
    ];
    for (method, more, expected) in cases {
        assert_eq!(verdict(request(method, more).as_bytes()), expected, "{method}");
    }
}

/// Oddity, the part of the description that shows it, and what is understood: codec, events, milliseconds a packet,
/// where to.
type Description = (&'static str, &'static str, &'static str, &'static str);

const DESCRIPTIONS: &[Description] = &[
    ("nothing", "v=0", "v=0", "Pcma 101 20 192.0.2.1:4000"),
    ("line ends of one LF", "\r\n", "\n", "Pcma 101 20 192.0.2.1:4000"),
    ("an empty line at the end", "a=sendrecv\r\n", "a=sendrecv\r\n\r\n", "Pcma 101 20 192.0.2.1:4000"),
    ("no line end at the end", "a=sendrecv\r\n", "a=sendrecv", "Pcma 101 20 192.0.2.1:4000"),
    ("no session name", "s=-\r\n", "", "Pcma 101 20 192.0.2.1:4000"),
    ("an empty session name", "s=-", "s=", "Pcma 101 20 192.0.2.1:4000"),
    ("no time", "t=0 0\r\n", "", "Pcma 101 20 192.0.2.1:4000"),
    ("latin-1 in the session name", "s=-", "s=M\u{fc}ller", "Pcma 101 20 192.0.2.1:4000"),
    ("a session name of words", "s=-", "s=A call", "Pcma 101 20 192.0.2.1:4000"),
    (
        "no names for static payload types",
        "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n",
        "",
        "Pcma 101 20 192.0.2.1:4000",
    ),
    ("codec names in small letters", "PCMA/8000", "pcma/8000", "Pcma 101 20 192.0.2.1:4000"),
    ("a number of channels", "PCMA/8000", "PCMA/8000/1", "Pcma 101 20 192.0.2.1:4000"),
    ("a codec nobody knows first", "AVP 8 0", "AVP 110 8 0", "Pcma 101 20 192.0.2.1:4000"),
    (
        "an address a stream",
        "c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n",
        "t=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\nc=IN IP4 192.0.2.1\r\n",
        "Pcma 101 20 192.0.2.1:4000",
    ),
    ("a time to live", "c=IN IP4 192.0.2.1", "c=IN IP4 192.0.2.1/127", "Pcma 101 20 192.0.2.1:4000"),
    ("a bandwidth", "t=0 0", "b=AS:84\r\nb=TIAS:64000\r\nt=0 0", "Pcma 101 20 192.0.2.1:4000"),
    ("events up to 16", "0-15", "0-16", "Pcma 101 20 192.0.2.1:4000"),
    ("no list of events", "a=fmtp:101 0-15\r\n", "", "Pcma 101 20 192.0.2.1:4000"),
    ("events in capitals", "telephone-event/8000", "TELEPHONE-EVENT/8000", "Pcma 101 20 192.0.2.1:4000"),
    ("another number of events", "101", "96", "Pcma 96 20 192.0.2.1:4000"),
    ("no events", "8 0 101", "8 0", "Pcma none 20 192.0.2.1:4000"),
    ("a blank before the milliseconds", "a=ptime:20", "a=ptime: 30", "Pcma 101 30 192.0.2.1:4000"),
    ("milliseconds that are none", "a=ptime:20", "a=ptime:0", "Pcma 101 20 192.0.2.1:4000"),
    ("no milliseconds", "a=ptime:20\r\n", "", "Pcma 101 20 192.0.2.1:4000"),
    ("a blank after an attribute", "a=sendrecv", "a=sendrecv ", "Pcma 101 20 192.0.2.1:4000"),
    ("a direction for the whole session", "t=0 0", "t=0 0\r\na=sendrecv", "Pcma 101 20 192.0.2.1:4000"),
    (
        "attributes nobody knows",
        "a=sendrecv",
        "a=silenceSupp:off - - - -\r\na=X-nat:0\r\na=ice-lite\r\na=sendrecv",
        "Pcma 101 20 192.0.2.1:4000",
    ),
    (
        "video that we have none for",
        "a=sendrecv\r\n",
        "a=sendrecv\r\nm=video 4002 RTP/AVP 34\r\n",
        "Pcma 101 20 192.0.2.1:4000",
    ),
    (
        "a fax stream that is refused",
        "a=sendrecv\r\n",
        "a=sendrecv\r\nm=image 0 udptl t38\r\n",
        "Pcma 101 20 192.0.2.1:4000",
    ),
    (
        "blanks within the media line",
        "m=audio 4000 RTP/AVP 8 0 101",
        "m=audio 4000 RTP/AVP  8 0 101 ",
        "Pcma 101 20 192.0.2.1:4000",
    ),
    (
        "an origin of many digits",
        "o=- 1 1",
        "o=- 18446744073709551615 18446744073709551615",
        "Pcma 101 20 192.0.2.1:4000",
    ),
    (
        "an origin with a name for its host",
        "o=- 1 1 IN IP4 192.0.2.1",
        "o=root 1 1 IN IP4 pbx.example.com",
        "Pcma 101 20 192.0.2.1:4000",
    ),
];

#[test]
fn odd_descriptions_are_taken_for_what_they_mean() {
    let mut wrong = Vec::new();
    for (what, old, new, expected) in DESCRIPTIONS {
        assert!(OFFER.contains(old), "{old}");
        let text = OFFER.replace(old, new);
        let body: Vec<u8> = match what.starts_with("latin-1") {
            true => text.chars().map(|c| c as u8).collect(),
            false => text.into_bytes(),
        };
        let understood = understood(&body);
        if understood != *expected {
            wrong.push(format!("{what}: {understood:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn understood(body: &[u8]) -> String {
    let remote = match sdp::parse(body) {
        Ok(remote) => remote,
        Err(error) => return error.to_string(),
    };
    let Some(audio) = remote.audio else { return "no audio".into() };
    let known = audio.codecs.iter().map(|(_, codec)| *codec).find(|c| matches!(c, Codec::Pcmu | Codec::Pcma));
    let events = audio.telephone_event.map_or("none".into(), |pt| pt.to_string());
    format!("{:?} {events} {} {}", known.expect("a codec"), audio.ptime_ms, audio.rtp)
}
