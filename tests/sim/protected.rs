//! Media that a DTLS handshake protects.

use bytes::Bytes;
use cordboard::proto::sdp::{Direction, Fingerprint};
use cordboard::proto::sip::Event;

use crate::desk::{Desk, PROVISION, Party, description};
use crate::provision;
use crate::scripts::over;

/// An answer of a party with this certificate that takes media at this port and lets us begin the handshake.
fn answer(port: u16, certificate: u8) -> Bytes {
    let plain = description(port, Direction::SendRecv);
    let fingerprint = Fingerprint([certificate; 32]);
    let secure = format!("a=setup:passive\r\na=fingerprint:{fingerprint}\r\n");
    [&plain[..], secure.as_bytes()].concat().into()
}

/// The same, with a name for the association.
fn named(port: u16, certificate: u8, name: u8) -> Bytes {
    let named = format!("a=tls-id:abcdefghijklmnopqrst{name}\r\n");
    [&answer(port, certificate)[..], named.as_bytes()].concat().into()
}

/// RFC 8842: a peer that began anew with the certificate that it had.
#[test]
fn another_tls_id_begins_another_handshake() {
    let text = PROVISION.replacen("name = \"carrier\"\n", "name = \"carrier\"\nsrtp = \"optional\"\n", 1);
    let mut desk = Desk::new(11, provision(&text));
    let client = desk.client("600");
    let target = desk.rings(Party::Carrier, "85551234").expect("the target rings");
    desk.with(Party::Carrier, |e, now| e.accept(now, target, named(31_000, 2, 1)));
    let port = desk.port_to(31_000);
    let before = desk.protected.len();
    let mut ours = Vec::new();
    for (name, told) in [(1, 0), (2, 1), (2, 1), (3, 2)] {
        desk.seconds(1);
        desk.with(Party::Carrier, |e, now| e.reinvite(now, target, named(31_000, 2, name)));
        assert_eq!(desk.protected.split_at(before).1, vec![(port, 31_000, true); told], "{name}");
        let answers = desk.events.iter().filter_map(|(_, event)| match event {
            Event::Reanswered { answer: Ok(Some(answer)), .. } => Some(String::from_utf8_lossy(answer).into_owned()),
            _ => None,
        });
        let answer = answers.last().expect("an answer");
        ours.push(answer.lines().find(|line| line.starts_with("a=tls-id:")).expect("our name").to_owned());
    }
    assert_eq!(ours[1], ours[2]);
    assert!(ours[0] != ours[1] && ours[2] != ours[3], "{ours:?}");
    desk.hangup(Party::Carrier, client);
    desk.seconds(3);
    over(desk);
}

#[test]
fn a_peer_that_moves_under_one_certificate_is_told_to_the_handshake() {
    let text = PROVISION.replacen("name = \"carrier\"\n", "name = \"carrier\"\nsrtp = \"optional\"\n", 1);
    let mut desk = Desk::new(11, provision(&text));
    let client = desk.client("600");
    assert_eq!(desk.protected, [], "the client speaks plain RTP");
    let target = desk.rings(Party::Carrier, "85551234").expect("the target rings");
    desk.with(Party::Carrier, |e, now| e.provisional(now, target, 183, Some(answer(31_000, 2))));
    let port = desk.port_to(31_000);
    assert_eq!(desk.protected, [(port, 31_000, false)]);
    desk.with(Party::Carrier, |e, now| e.accept(now, target, answer(31_000, 2)));
    assert_eq!(desk.protected.split_off(1), [(port, 31_000, true)], "the handshake has little time now");
    desk.seconds(3);
    for _ in 0..2 {
        desk.with(Party::Carrier, |e, now| e.reinvite(now, target, answer(31_002, 2)));
        assert_eq!(desk.protected.get(1..), Some(&[(port, 31_002, true)][..]), "once");
        desk.seconds(1);
    }
    desk.hangup(Party::Carrier, client);
    desk.seconds(3);
    assert_eq!(desk.record().legs[1].encryption, "dtls", "{:?}", desk.record());
    over(desk);
}
