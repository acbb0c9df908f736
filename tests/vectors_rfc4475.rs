//! The torture messages of RFC 4475, each through a whole endpoint: no panic, and the verdict that the RFC asks for.

use bytes::Bytes;
use cordboard::base::{Instant, Now, Timestamp};
use cordboard::proto::sip::{Endpoint, EndpointConfig, Event, Path, Transport};

macro_rules! vectors {
    ($($section:literal $name:literal $expected:literal)*) => {
        &[$(($section, $name, include_bytes!(concat!("vectors/rfc4475/", $name, ".dat")), $expected)),*]
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

fn verdict(message: &[u8]) -> String {
    let mut endpoint = Endpoint::new(EndpointConfig {
        realm: "example.com".into(),
        user_agent: "cordboard".into(),
        seed: 4475,
        sessions_max: 10,
        bindings_max: 10,
    });
    let now = Now { mono: Instant::ZERO, wall: Timestamp(0) };
    let path = Path {
        transport: Transport::Udp,
        local: "127.0.0.1:5060".parse().expect("an address"),
        remote: "192.0.2.1:5060".parse().expect("an address"),
        connection: 0,
    };
    endpoint.receive(now, path, Bytes::copy_from_slice(message));
    endpoint.check_invariants();
    match endpoint.poll_event() {
        Some(Event::Incoming(incoming)) => {
            let trying = endpoint.poll_transmit().expect("100 Trying");
            assert!(trying.bytes.starts_with(b"SIP/2.0 100 "));
            return format!("call {}", incoming.request_user);
        }
        Some(other) => return format!("{other:?}"),
        None => {}
    }
    if let Some(answer) = endpoint.poll_transmit() {
        assert_eq!(endpoint.poll_transmit(), None, "one answer at most");
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        let line = text.lines().next().unwrap_or_default();
        return line.trim_start_matches("SIP/2.0 ").to_owned();
    }
    let counters: Vec<&str> = endpoint.counters().keys().copied().collect();
    counters.join(" ")
}

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
    let (_, _, message, _) = VECTORS.iter().find(|(_, name, ..)| *name == "baddn").expect("a vector");
    assert_eq!(verdict(&[message, &b"\r\n"[..]].concat()), "400 Malformed From");
}

#[test]
fn each_message_cut_short_anywhere_is_survived() {
    for (_, _, message, _) in VECTORS {
        for end in 0..message.len() {
            verdict(&message[..end]);
        }
    }
}
