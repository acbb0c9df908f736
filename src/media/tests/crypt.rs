//! Ports whose packets are protected.

use super::*;
use crate::core::media::{DigitSource, PlayItem};
use crate::media::SrtpCounters;
use crate::proto::sdp::{Association, Fingerprint, Protection};
use crate::proto::srtp::{KeyGenerator, MasterKey, Receiver, Refused, Sender, Suite, TAIL_MAX};

/// What the peer of a port does with its keys.
struct Party {
    sender: Sender,
    receiver: Receiver,
}

impl Party {
    fn protect(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + TAIL_MAX, 0);
        let len = self.sender.protect(&mut buffer, packet.len()).expect("protected");
        buffer.truncate(len);
        buffer
    }

    fn unprotect(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut buffer = packet.to_vec();
        let len = self.receiver.unprotect(&mut buffer)?;
        buffer.truncate(len);
        Ok(buffer)
    }
}

fn key(seed: u8, suite: Suite) -> MasterKey {
    KeyGenerator::new([seed; 32]).master_key(suite)
}

fn sdes(seed: u8, suite: Suite) -> (Party, Protection) {
    let (ours, theirs) = (key(seed, suite), key(seed + 1, suite));
    let party = Party { sender: Sender::new(&theirs), receiver: Receiver::new(&ours, &[]) };
    (party, Protection::Sdes { tag: 1, send: ours, receive: theirs, mki: Vec::new() })
}

fn transport(port: PortId, protection: Option<Protection>, rtcp_mux: bool) -> MediaCommand {
    let protection = protection.map(Box::new);
    MediaCommand::SetTransport { port, protection, rtcp_mux, remote: peer(1), signalling: peer(1).ip(), answered: true }
}

/// A bridge of a protected port A and a plain port B.
fn half(suite: Suite) -> (Bench, Party) {
    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), stream(Codec::Pcmu, peer(2)));
    let (party, protection) = sdes(1, suite);
    bench.command(transport(A, Some(protection), false));
    (bench, party)
}

#[test]
fn protected_and_plain_ports_are_relayed() {
    for suite in Suite::ALL {
        let (mut bench, mut party) = half(suite);
        for n in 0..200 {
            bench.receive(SOCKET_A, peer(1), &party.protect(&rtp(0, n, &[n as u8; 160])));
            let sent = bench.sent(SOCKET_B);
            assert_eq!((sent.len(), sent[0].payload()), (1, &[n as u8; 160][..]), "{suite}: at once, in clear");
            bench.receive(SOCKET_B, peer(2), &rtp(0, n, &[!n as u8; 160]));
            let sent = bench.sent(SOCKET_A);
            assert_ne!(sent[0].packet[12..172], [!n as u8; 160]);
            let plain = party.unprotect(&sent[0].packet).expect("authentic");
            assert_eq!(plain[12..], [!n as u8; 160]);
            bench.now += FRAME_TIME;
        }
        assert_eq!(bench.plane.counters().srtp, SrtpCounters::default());
        assert!(bench.pass(500) <= 45, "no frames");
    }
}

#[test]
fn two_protected_ports_are_relayed_with_keys_of_their_own() {
    let (mut bench, mut a) = half(Suite::AesCm128HmacSha1_32);
    let (mut b, protection) = sdes(50, Suite::AeadAes256Gcm);
    bench.command(transport(B, Some(protection), false));
    for n in 0..100 {
        let secure = a.protect(&rtp(0, n, &[7; 160]));
        bench.receive(SOCKET_A, peer(1), &secure);
        let sent = bench.sent(SOCKET_B);
        assert_eq!(b.unprotect(&sent[0].packet).expect("authentic")[12..], [7; 160]);
        // Again: nothing comes through twice.
        bench.receive(SOCKET_A, peer(1), &secure);
        assert!(bench.sent(SOCKET_B).is_empty());
    }
    assert_eq!(bench.plane.counters().srtp.replayed, 100);
    assert_eq!(bench.plane.stats(A).map(|stats| (stats.rx_packets, stats.rx_dropped)), Some((100, 100)));
}

#[test]
fn a_relayed_source_may_begin_its_numbers_anew() {
    let (mut bench, mut party) = half(Suite::AesCm128HmacSha1_80);
    // The plain peer's device counts from 700 again, under the same SSRC (RFC 3550 appendix A.1).
    for n in (20_000..20_100).chain(0..200) {
        bench.receive(SOCKET_B, peer(2), &rtp(0, n, &[5; 160]));
        bench.now += FRAME_TIME;
    }
    let heard: Vec<_> = bench.sent(SOCKET_A).iter().map(|sent| party.unprotect(&sent.packet)).collect();
    let authentic = heard.iter().filter(|packet| packet.is_ok()).count();
    assert!(authentic >= 298, "{authentic} of 300");
    assert_eq!(bench.plane.counters().srtp.unsent, 0);
}

#[test]
fn what_is_not_authentic_is_dropped_and_moves_no_latch() {
    let (mut bench, mut party) = half(Suite::AesCm128HmacSha1_80);
    let (mut stranger, _) = sdes(90, Suite::AesCm128HmacSha1_80);
    for n in 0..50 {
        bench.receive(SOCKET_A, peer(66), &stranger.protect(&rtp(0, n, &[1; 160])));
        bench.receive(SOCKET_A, peer(66), &rtp(0, n, &[2; 160]));
        bench.receive(SOCKET_A, peer(66), &[0x80; 30]);
        bench.receive(SOCKET_A, peer(66), &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]);
        bench.receive(SOCKET_A, peer(66), &[22, 254, 253, 0, 0]);
        bench.receive(SOCKET_A, peer(66), &[]);
        bench.now += FRAME_TIME;
    }
    assert!(bench.sent(SOCKET_B).is_empty());
    let counted = bench.plane.counters().srtp;
    assert_eq!(counted.refused(), 300);
    assert!(counted.not_authentic >= 100 && counted.malformed >= 100, "{counted:?}");
    bench.receive(SOCKET_A, peer(1), &party.protect(&rtp(0, 50, &[3; 160])));
    assert_eq!(bench.sent(SOCKET_B).len(), 1);
}

#[test]
fn events_recording_and_transcoding_work_behind_keys() {
    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), stream(Codec::Pcma, peer(2)));
    let (mut party, protection) = sdes(1, Suite::AeadAes128Gcm);
    bench.command(transport(A, Some(protection), false));
    bench.command(MediaCommand::Record { port: A, name: Arc::from("r") });
    for n in 0..100 {
        bench.receive(SOCKET_A, peer(1), &party.protect(&rtp(0, n, &[0x10; 160])));
        bench.receive(SOCKET_B, peer(2), &rtp(8, n, &[0x2a; 160]));
        bench.pass(1);
    }
    let heard: Vec<_> =
        bench.sent(SOCKET_A).iter().map(|sent| party.unprotect(&sent.packet).expect("authentic")).collect();
    assert!(heard.len() >= 95 && heard.iter().all(|packet| packet[1] & 0x7f == 0 && packet.len() == 172));
    assert!(bench.sent(SOCKET_B).iter().all(|sent| sent.header().payload_type == 8));
    let recorded = bench.recorder.0.lock().expect("not poisoned").frames.clone();
    assert!(recorded.iter().filter(|(left, right)| left[80] != 0 && right[80] != 0).count() >= 80);
    bench.events();
    bench.receive(SOCKET_A, peer(1), &party.protect(&event_packet(100, 200_000, 5, 160, false)));
    assert_eq!(bench.events(), [MediaEvent::Digit { port: A, digit: '5', source: DigitSource::Event }]);
}

/// Whatever makes packets here must send them through `crypt::send`.
#[test]
fn nothing_of_a_protected_port_leaves_in_clear() {
    let noisy = StreamParams { comfort_noise: Some(13), silence_suppression: true, ..stream(Codec::Pcmu, peer(1)) };
    let mut bench = Bench::bridged(noisy, stream(Codec::Pcma, peer(2)));
    let (mut party, protection) = sdes(1, Suite::AesCm128HmacSha1_80);
    bench.command(transport(A, Some(protection), false));
    for n in 0..100 {
        bench.receive(SOCKET_B, peer(2), &rtp(8, n, &[0xd5; 160]));
        bench.pass(1);
    }
    bench.command(MediaCommand::SendDigits { port: A, digits: "5".into(), on_ms: 100, off_ms: 100 });
    bench.pass(20);
    bench.command(MediaCommand::Play { port: A, play: PlayId(1), items: vec![PlayItem::Beep] });
    bench.pass(20);
    let mut types = std::collections::BTreeSet::new();
    for sent in bench.sent(SOCKET_A) {
        let plain = party.unprotect(&sent.packet).expect("protected");
        types.insert(plain[1] & 0x7f);
    }
    assert_eq!(types.into_iter().collect::<Vec<_>>(), [0, 13, EVENT_PT], "audio, noise and events were seen");
    assert!(bench.wire.0.iter().filter(|sent| sent.socket == SOCKET_A).all(|sent| {
        let mut packet = sent.packet.clone();
        sent.kind == SocketKind::Rtcp && party.receiver.unprotect_control(&mut packet).is_ok()
    }));
}

#[test]
fn hold_keeps_the_keys_and_a_new_key_begins_anew() {
    let (mut bench, mut party) = half(Suite::AesCm128HmacSha1_80);
    let (_, same) = sdes(1, Suite::AesCm128HmacSha1_80);
    bench.receive(SOCKET_A, peer(1), &party.protect(&rtp(0, 0, &[1; 160])));
    bench.receive(SOCKET_B, peer(2), &rtp(0, 0, &[1; 160]));
    let first = bench.sent(SOCKET_A);
    party.unprotect(&first[0].packet).expect("authentic");
    // Hold and resume: the same keys are told again.
    bench.command(transport(A, Some(same), false));
    bench.command(MediaCommand::SetStream { port: A, stream: stream(Codec::Pcmu, peer(1)) });
    bench.receive(SOCKET_B, peer(2), &rtp(0, 1, &[2; 160]));
    let second = bench.sent(SOCKET_A);
    assert_eq!(second[0].header().ssrc, first[0].header().ssrc);
    assert_eq!(party.unprotect(&second[0].packet).expect("the state went on")[12..], [2; 160]);
    let old = party.protect(&rtp(0, 1, &[1; 160]));
    // New keys: the old ones are gone.
    let (mut party, new) = sdes(70, Suite::AesCm128HmacSha1_80);
    bench.command(transport(A, Some(new), false));
    bench.sent(SOCKET_B);
    bench.receive(SOCKET_A, peer(1), &old);
    assert!(bench.sent(SOCKET_B).is_empty());
    bench.receive(SOCKET_A, peer(1), &party.protect(&rtp(0, 2, &[1; 160])));
    assert_eq!(bench.sent(SOCKET_B).len(), 1);
    bench.receive(SOCKET_B, peer(2), &rtp(0, 2, &[3; 160]));
    assert!(party.unprotect(&bench.sent(SOCKET_A)[0].packet).is_ok());
}

#[test]
fn a_sender_that_rolled_over_is_another_source_under_a_new_key() {
    let (mut bench, mut party) = half(Suite::AesCm128HmacSha1_80);
    let mut ssrc = None;
    for n in 0..40u16 {
        // Steps of half a minute, as when much is lost before us.
        bench.receive(SOCKET_B, peer(2), &rtp(0, n.wrapping_mul(1_700), &[1; 160]));
        for sent in bench.sent(SOCKET_A) {
            ssrc = Some(sent.header().ssrc);
            assert!(party.unprotect(&sent.packet).is_ok());
        }
    }
    let (mut party, new) = sdes(70, Suite::AesCm128HmacSha1_80);
    bench.command(transport(A, Some(new), false));
    bench.receive(SOCKET_B, peer(2), &rtp(0, 3, &[1; 160]));
    let sent = bench.sent(SOCKET_A);
    assert_ne!(Some(sent[0].header().ssrc), ssrc);
    assert!(party.unprotect(&sent[0].packet).is_ok(), "at once");
}

#[test]
fn no_two_packets_leave_under_one_index() {
    let (mut bench, _) = half(Suite::AeadAes128Gcm);
    bench.receive(SOCKET_B, peer(2), &rtp(0, 5, &[1; 160]));
    bench.receive(SOCKET_B, peer(2), &rtp(0, 5, &[2; 160]));
    bench.receive(SOCKET_B, peer(2), &rtp(0, 4, &[3; 160]));
    assert_eq!(bench.sent(SOCKET_A).len(), 2);
    assert_eq!(bench.plane.stats(A).map(|stats| stats.tx_packets), Some(2));
    bench.pass(20);
    assert_eq!(bench.plane.counters().srtp.unsent, 1);
}

#[test]
fn reports_are_protected_and_may_share_the_port() {
    let (mut bench, mut party) = half(Suite::AesCm128HmacSha1_32);
    let (_, protection) = sdes(1, Suite::AesCm128HmacSha1_32);
    bench.command(transport(A, Some(protection), true));
    for n in 0..500 {
        bench.receive(SOCKET_B, peer(2), &rtp(0, n, &[1; 160]));
        bench.pass(1);
    }
    let reports = bench.sent(SOCKET_A).into_iter().filter(|sent| (192..=223).contains(&sent.packet[1]));
    let mut count = 0;
    for report in reports {
        let mut packet = report.packet.clone();
        assert_eq!((report.kind, report.to), (SocketKind::Rtp, peer(1)));
        assert!(party.receiver.unprotect_control(&mut packet).is_ok());
        count += 1;
    }
    assert!(count > 0, "10 s without a report");
    assert!(!bench.wire.0.iter().any(|sent| sent.socket == SOCKET_A), "nothing on the port above");
}

#[test]
fn a_handshake_brings_the_keys() {
    #[derive(Default)]
    struct Handshakes(FakeWire, Vec<(PortId, SocketAddr, Vec<u8>)>);
    impl Wire for Handshakes {
        fn send(&mut self, socket: u16, kind: SocketKind, to: SocketAddr, packet: &[u8]) {
            self.0.send(socket, kind, to, packet);
        }
        fn handshake(&mut self, port: PortId, from: SocketAddr, record: &[u8]) {
            self.1.push((port, from, record.to_vec()));
        }
    }

    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), stream(Codec::Pcmu, peer(2)));
    let dtls = Association { active: false, fingerprint: Fingerprint([1; 32]), tls_id: None };
    let (dtls, other) = (Protection::Dtls(dtls), Association { fingerprint: Fingerprint([2; 32]), ..dtls });
    bench.command(transport(A, Some(dtls.clone()), true));
    let mut wire = Handshakes::default();
    let mut record = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bench.plane.receive(bench.now, SOCKET_A, SocketKind::Rtp, peer(1), &mut record, &mut wire);
    assert_eq!(wire.1, [(A, peer(1), record.to_vec())]);
    // Before there are keys nothing goes either way.
    bench.receive(SOCKET_A, peer(1), &rtp(0, 0, &[1; 160]));
    bench.receive(SOCKET_B, peer(2), &rtp(0, 0, &[1; 160]));
    assert!(bench.sent(SOCKET_A).is_empty() && bench.sent(SOCKET_B).is_empty());
    assert_eq!(bench.plane.counters().srtp.unready, 1);

    let suite = Suite::AeadAes128Gcm;
    bench.plane.handshake_done(A, key(1, suite), key(2, suite));
    bench.plane.handshake_done(B, key(1, suite), key(2, suite));
    assert_eq!(bench.events(), [MediaEvent::Secured { port: A, suite }], "B awaits none");
    let (mut party, _) = sdes(1, suite);
    bench.command(transport(A, Some(dtls), true));
    bench.receive(SOCKET_A, peer(1), &party.protect(&rtp(0, 1, &[1; 160])));
    assert_eq!(bench.sent(SOCKET_B).len(), 1, "the association goes on through a new description");
    bench.command(transport(A, Some(Protection::Dtls(other)), true));
    bench.receive(SOCKET_A, peer(1), &party.protect(&rtp(0, 2, &[1; 160])));
    assert!(bench.sent(SOCKET_B).is_empty(), "another certificate needs another handshake");
}
