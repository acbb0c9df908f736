//! The torture messages of RFC 4475: no panic, and the verdict that the RFC gives.

use crate::desk::{Desk, verdict};

macro_rules! vectors {
    ($($section:literal $name:literal $expected:literal)*) => {
        &[$(($section, $name, include_bytes!(concat!("../vectors/rfc4475/", $name, ".dat")), $expected)),*]
    };
}

/// Section, name, message, and what the endpoint says: a status line, `call` for an INVITE that is offered to the
/// owner, or the counter that tells of a message dropped.
const VECTORS: &[(&str, &str, &[u8], &str)] = vectors! {
    // Its To has a tag: within a dialog that we do not have.
    "3.1.1.1" "wsinv" "481 Call/Transaction Does Not Exist"
    "3.1.1.2" "intmeth" "501 Not Implemented"
    "3.1.1.3" "esc01" "call sips:user@example.com"
    "3.1.1.4" "escnull" "401 Unauthorized"
    "3.1.1.5" "esc02" "501 Not Implemented"
    "3.1.1.6" "lwsdisp" "200 OK"
    "3.1.1.7" "longreq" "call user"
    "3.1.1.8" "dblreq" "401 Unauthorized"
    "3.1.1.9" "semiuri" "200 OK"
    "3.1.1.10" "transports" "200 OK"
    "3.1.1.11" "mpart01" "405 Method Not Allowed"
    "3.1.1.12" "unreason" "response-stray"
    "3.1.1.13" "noreason" "response-stray"
    "3.1.2.1" "badinv01" "400 Malformed Via"
    "3.1.2.2" "clerr" "400 Malformed or missing Content-Length"
    "3.1.2.3" "ncl" "400 Malformed or missing Content-Length"
    "3.1.2.4" "scalar02" "400 Malformed CSeq"
    "3.1.2.5" "scalarlg" "malformed"
    "3.1.2.6" "quotbal" "400 Malformed To"
    "3.1.2.7" "ltgtruri" "400 Malformed request line"
    "3.1.2.8" "lwsruri" "400 Malformed request line"
    "3.1.2.9" "lwsstart" "400 Malformed request line"
    // The RFC allows to be lenient.
    "3.1.2.10" "trws" "200 OK"
    "3.1.2.11" "escruri" "400 Request-URI must not have headers"
    // Date means nothing to us.
    "3.1.2.12" "baddate" "call user"
    // Who has not logged in is not told what else is wrong.
    "3.1.2.13" "regbadct" "401 Unauthorized"
    "3.1.2.14" "badaspec" "400 Malformed To"
    // The RFC's own octets end without the empty line; with it, the fault is in From (next test).
    "3.1.2.15" "baddn" "400 No empty line after the headers"
    "3.1.2.16" "badvers" "505 Version Not Supported"
    "3.1.2.17" "mismatch01" "400 CSeq method is not the request's"
    "3.1.2.18" "mismatch02" "400 CSeq method is not the request's"
    "3.1.2.19" "bigcode" "malformed"
    "3.2.1" "badbranch" "200 OK"
    "3.3.1" "insuf" "400 Missing From"
    "3.3.2" "unkscm" "416 Unsupported URI Scheme"
    "3.3.3" "novelsc" "416 Unsupported URI Scheme"
    "3.3.4" "unksm2" "401 Unauthorized"
    "3.3.5" "bext01" "420 Bad Extension"
    "3.3.6" "invut" "415 Unsupported Media Type"
    "3.3.7" "regaut01" "401 Unauthorized"
    "3.3.8" "multi01" "400 Repeated CSeq"
    "3.3.9" "mcl01" "400 Malformed or missing Content-Length"
    "3.3.10" "bcast" "response-stray"
    // Max-Forwards counts proxies; an end point serves the request.
    "3.3.11" "zeromf" "200 OK"
    "3.3.12" "cparam01" "401 Unauthorized"
    "3.3.13" "cparam02" "401 Unauthorized"
    "3.3.14" "regescrt" "401 Unauthorized"
    "3.3.15" "sdp01" "406 Not Acceptable"
    "3.4.1" "inv2543" "call UserB"
};

#[test]
fn each_message_gets_its_verdict() {
    assert_eq!(VECTORS.len(), 49);
    let mut wrong = Vec::new();
    for (section, name, message, expected) in VECTORS {
        let verdict = verdict(message);
        if verdict != *expected {
            wrong.push(format!("{section} {name}: {verdict:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_display_name_that_is_no_token_is_refused() {
    assert_eq!(verdict(&[message("baddn"), &b"\r\n"[..]].concat()), "400 Malformed From");
}

#[test]
fn each_message_cut_short_anywhere_is_survived() {
    for (_, _, message, _) in VECTORS {
        for end in 0..message.len() {
            verdict(&message[..end]);
        }
    }
}

fn message(name: &str) -> &'static [u8] {
    VECTORS.iter().find(|(_, n, ..)| *n == name).map(|(_, _, message, _)| *message).expect("a vector")
}

/// Registrations that ask for a login first: what comes of them once the user has one. The user, and the answer.
const REGISTRATIONS: &[(&str, &str, &str)] = &[
    // Two contacts whose user parts are one NUL and two: different ones, and valid.
    ("escnull", "null-\0-null", "200 OK"),
    // The INVITE behind the registration is noise in the datagram.
    ("dblreq", "j.user", "200 OK"),
    // Nobody can be registered under an isbn: the address of record is none of ours.
    ("unksm2", "anna", "403 Forbidden"),
    // An unknown scheme of authorization is as good as none.
    ("regaut01", "j.user", "200 OK"),
    ("cparam01", "watson", "200 OK"),
    ("cparam02", "watson", "200 OK"),
    ("regescrt", "user", "200 OK"),
    // Headers in a Contact without angle brackets: malformed.
    ("regbadct", "user", "400 Malformed Contact or Expires"),
];

#[test]
fn registrations_get_theirs_once_the_user_has_logged_in() {
    for (name, user, expected) in REGISTRATIONS {
        let mut desk = Desk::new(&[user, "anna"]);
        let outcome = desk.take_as(user, message(name));
        assert_eq!(outcome.verdict(), *expected, "{name}");
        match *name {
            // Section 3.1.1.4: %00 and %00%00 are not the same user.
            "escnull" => assert_eq!(outcome.header("Contact").len(), 2),
            // Section 3.3.12: outside angle brackets it is the header's; section 3.3.13: inside, the URI's.
            "cparam01" => assert_eq!(outcome.header("Contact"), ["<sip:+19725552222@gw1.example.net>;expires=3600"]),
            "cparam02" => {
                assert_eq!(outcome.header("Contact"), ["<sip:+19725552222@gw1.example.net;unknownparam>;expires=3600"]);
            }
            // Section 3.3.14: the escaped Route belongs to the contact and is kept.
            "regescrt" => {
                let contact = "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=3600";
                assert_eq!(outcome.header("Contact"), [contact]);
            }
            _ => {}
        }
    }
}

/// What the valid messages mean, where accepting them is not enough.
#[test]
fn valid_messages_are_understood() {
    let take = |name: &str| Desk::new(&[]).take(message(name));
    // Section 3.1.1.3: the escapes of a user part, and a `%` that is none.
    let call = take("esc01");
    assert_eq!(call.call().request_uri, "sip:sips%3Auser%40example.com@example.net");
    assert_eq!(call.call().from_user, "I have spaces");
    // Section 3.1.1.8: several Via rows and values are given back in order.
    let answer = take("transports");
    let transports: Vec<&str> = answer.header("Via").iter().map(|v| v.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(
        transports,
        ["SIP/2.0/UDP", "SIP/2.0/SCTP", "SIP/2.0/TLS", "SIP/2.0/UNKNOWN", "SIP/2.0/TCP"],
        "section 3.1.1.10"
    );
    // Section 3.3.5: what is refused is named.
    let refused = take("bext01");
    let named: Vec<&str> = refused.header("Unsupported").iter().flat_map(|v| v.split(',')).map(str::trim).collect();
    assert_eq!(named, ["nothingSupportsThis", "nothingSupportsThisEither"]);
    // Section 3.1.1.7: a long value is kept whole.
    assert!(take("longreq").call().from_uri.len() > 100);
}
