//! Media that a DTLS handshake protects.

use bytes::Bytes;
use cordboard::proto::sdp::{Direction, Fingerprint};

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
