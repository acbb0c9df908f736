//! The torture messages of RFC 5118: SIP over IPv6.

use cordboard::proto::sdp;

use crate::desk::{Desk, Outcome, verdict};

macro_rules! vectors {
    ($($section:literal $name:literal $expected:literal)*) => {
        &[$(($section, $name, include_bytes!(concat!("../vectors/rfc5118/", $name, ".dat")), $expected)),*]
    };
}

/// As in `rfc4475`.
const VECTORS: &[(&str, &str, &[u8], &str)] = vectors! {
    "4.1" "ipv6-good" "401 Unauthorized"
    "4.2" "ipv6-bad" "400 Malformed request line"
    "4.3" "port-ambiguous" "401 Unauthorized"
    "4.4" "port-unambiguous" "401 Unauthorized"
    // Both within a dialog that we do not have.
    "4.5" "via-received-param-with-delim" "481 Call/Transaction Does Not Exist"
    "4.7" "mult-ip-in-header" "481 Call/Transaction Does Not Exist"
    "4.5" "via-received-param-no-delim" "200 OK"
    "4.6" "ipv6-in-sdp" "call user"
    "4.8" "mult-ip-in-sdp" "call user"
    "4.9" "ipv4-mapped-ipv6" "call user"
    "4.10" "ipv6-bug-abnf-3-colons" "200 OK"
    "4.10" "ipv6-correct-abnf-2-colons" "200 OK"
};

fn take(name: &str) -> Outcome {
    Desk::new(&[]).take(message(name))
}

fn message(name: &str) -> &'static [u8] {
    VECTORS.iter().find(|(_, n, ..)| *n == name).map(|(_, _, message, _)| *message).expect("a vector")
}

#[test]
fn each_message_gets_its_verdict() {
    assert_eq!(VECTORS.len(), 12);
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
fn each_message_cut_short_anywhere_is_survived() {
    for (_, _, message, _) in VECTORS {
        for end in 0..message.len() {
            verdict(&message[..end]);
        }
    }
}

/// Sections 4.1 and 4.3: both register; the port within the brackets is a part of the address.
#[test]
fn registrations_succeed_once_the_user_has_logged_in() {
    for name in ["ipv6-good", "port-ambiguous", "port-unambiguous"] {
        let outcome = Desk::new(&["user"]).take_as("user", message(name));
        assert_eq!(outcome.verdict(), "200 OK", "{name}");
        assert_eq!(outcome.header("Contact"), ["<sip:caller@[2001:db8::1]>;expires=3600"], "{name}");
    }
}

/// Section 4.7: all Via values come back in order, whatever their families.
#[test]
fn vias_of_both_families_are_given_back() {
    let answer = take("mult-ip-in-header");
    let vias = answer.header("Via");
    let vias: Vec<&str> = vias.iter().map(|v| v.split(';').next().unwrap_or_default()).collect();
    let expected = ["SIP/2.0/UDP [2001:db8::9:1]:6050", "SIP/2.0/UDP 192.0.2.1", "SIP/2.0/TCP [2001:db8::9:255]"];
    assert_eq!(vias, expected);
}

/// Sections 4.6, 4.8 and 4.9: where the streams are.
#[test]
fn descriptions_name_addresses_of_either_family() {
    let body = |name: &str| take(name).call().sdp.clone().expect("a description");
    let streams = |name: &str| {
        let remote = sdp::parse(&body(name)).expect("a description that can be read");
        let audio = remote.audio.map(|audio| (audio.rtp.to_string(), audio.rtcp.to_string()));
        (audio, remote.lines.iter().map(|line| line.port).collect::<Vec<_>>())
    };
    let at = |rtp: &str, rtcp: &str| Some((rtp.to_owned(), rtcp.to_owned()));
    assert_eq!(streams("ipv6-in-sdp"), (at("[2001:db8::20]:6000", "[2001:db8::20]:6001"), vec![6000, 6024]));
    assert_eq!(streams("mult-ip-in-sdp"), (at("192.0.2.1:22334", "192.0.2.1:22335"), vec![22334, 6024]));
    let mapped = streams("ipv4-mapped-ipv6");
    assert_eq!(mapped.1, [6000, 6024]);
    // RFC 4291 section 2.5.5.2: an IPv4 address by another name.
    let (rtp, _) = mapped.0.expect("audio");
    let rtp: std::net::SocketAddr = rtp.parse().expect("an address");
    assert_eq!(rtp.ip().to_canonical().to_string(), "192.0.2.2");
}
