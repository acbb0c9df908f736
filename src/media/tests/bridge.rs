//! Bridges: relay, transcoding, hold, latching.

use super::*;

fn plain() -> Bench {
    Bench::bridged(stream(Codec::Pcmu, peer(1)), stream(Codec::Pcmu, peer(2)))
}

#[test]
fn like_codecs_are_relayed_at_once_and_without_ticks() {
    let mut bench = plain();
    for n in 0..50 {
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, &[n as u8; 160]));
        let sent = bench.sent(SOCKET_B);
        assert_eq!(sent.len(), 1, "each packet leaves inside `receive`");
        assert_eq!(sent[0].to, peer(2));
        assert_eq!(sent[0].payload(), [n as u8; 160]);
        assert_ne!(sent[0].header().ssrc, 0xabcd_0000, "the source is ours");
        bench.now += FRAME_TIME;
    }
    assert!(bench.pass(500) <= 45, "10 s of a relay need a few ticks for RTCP, no frames");
    let stats = bench.plane.stats(A).expect("open");
    assert_eq!((stats.rx_packets, stats.rx_lost, stats.rx_dropped), (50, 0, 0));
    assert_eq!(bench.plane.stats(B).map(|stats| stats.tx_packets), Some(50));
}

#[test]
fn relay_keeps_distances_and_maps_payload_types() {
    let mut to_b = stream(Codec::Pcmu, peer(2));
    to_b.payload_type = 96;
    to_b.telephone_event = Some(100);
    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), to_b);
    for n in [0u16, 2, 1, 5] {
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, &[0; 160]));
    }
    bench.receive(SOCKET_A, peer(1), &event_packet(6, 91_000, 7, 160, false));
    let sent: Vec<Header> = bench.sent(SOCKET_B).iter().map(Sent::header).collect();
    let steps: Vec<u16> = sent.iter().map(|h| h.sequence.wrapping_sub(sent[0].sequence)).collect();
    assert_eq!(steps, [0, 2, 1, 5, 6]);
    let times: Vec<u32> = sent.iter().map(|h| h.timestamp.wrapping_sub(sent[0].timestamp)).collect();
    assert_eq!(times, [0, 320, 160, 800, 1_000]);
    assert_eq!(sent.iter().map(|h| h.payload_type).collect::<Vec<_>>(), [96, 96, 96, 96, 100]);
}

#[test]
fn csrc_extension_and_padding_pass_through() {
    let mut bench = plain();
    let mut packet = rtp(0, 0, &[]);
    packet[0] = 0x80 | 0x20 | 0x10 | 1;
    packet.extend([9, 9, 9, 9, 0xbe, 0xde, 0, 1, 7, 7, 7, 7]);
    packet.extend([5; 160]);
    packet.extend([0, 2]);
    bench.receive(SOCKET_A, peer(1), &packet);
    let sent = bench.sent(SOCKET_B);
    assert_eq!(sent[0].packet[0], packet[0]);
    assert_eq!(sent[0].packet[12..], packet[12..]);
}

#[test]
fn unlike_codecs_are_transcoded() {
    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), stream(Codec::Pcma, peer(2)));
    for n in 0..10 {
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, &[0x80; 160]));
        bench.pass(1);
    }
    let mut expected = [0; 160];
    crate::dsp::g711::transcode(crate::base::Law::Mu, crate::base::Law::A, &[0x80; 160], &mut expected);
    let sent = bench.sent(SOCKET_B);
    assert_eq!(sent.len(), 10, "silence first, then the audio");
    assert!(sent[0].header().marker);
    assert!(sent.iter().all(|s| s.header().payload_type == 8));
    let heard = sent.iter().filter(|s| s.payload() == expected).count();
    assert!((7..=9).contains(&heard), "{heard}: all but the jitter buffer's start");
    for pair in sent.windows(2) {
        assert_eq!(pair[1].header().sequence, pair[0].header().sequence.wrapping_add(1));
        assert_eq!(pair[1].header().timestamp, pair[0].header().timestamp.wrapping_add(160));
    }
}

#[test]
fn a_held_party_is_not_sent_to() {
    let mut bench = plain();
    let mut held = stream(Codec::Pcmu, peer(2));
    held.send = false;
    held.receive = false;
    bench.command(MediaCommand::SetStream { port: B, stream: held });
    bench.receive(SOCKET_A, peer(1), &rtp(0, 0, &[1; 160]));
    bench.receive(SOCKET_B, peer(2), &rtp(0, 0, &[2; 160]));
    assert!(bench.sent(SOCKET_A).is_empty());
    assert!(bench.sent(SOCKET_B).is_empty());
    bench.command(MediaCommand::SetStream { port: B, stream: stream(Codec::Pcmu, peer(2)) });
    bench.receive(SOCKET_A, peer(1), &rtp(0, 1, &[1; 160]));
    assert_eq!(bench.sent(SOCKET_B).len(), 1);
}

#[test]
fn the_source_is_latched_and_not_hijacked() {
    let mut bench = plain();
    let (nat, thief) = (peer(77), peer(66));
    bench.receive(SOCKET_A, nat, &rtp(0, 0, &[1; 160]));
    for n in 1..40 {
        bench.receive(SOCKET_A, thief, &rtp(0, 2_000 + n, &[9; 160]));
        bench.receive(SOCKET_A, nat, &rtp(0, n, &[1; 160]));
        bench.now += FRAME_TIME;
    }
    assert!(bench.sent(SOCKET_B).iter().all(|sent| sent.payload() == [1; 160]));
    bench.receive(SOCKET_B, peer(2), &rtp(0, 0, &[2; 160]));
    assert_eq!(bench.sent(SOCKET_A)[0].to, nat, "audio goes where it comes from");
    assert_eq!(bench.plane.stats(A).map(|stats| stats.rx_dropped), Some(39));
}

#[test]
fn wrong_payload_types_neither_latch_nor_pass() {
    let mut bench = plain();
    bench.receive(SOCKET_A, peer(66), &rtp(33, 0, &[1; 160]));
    bench.receive(SOCKET_A, peer(66), &[0x80; 4]);
    bench.receive(SOCKET_A, peer(77), &rtp(0, 0, &[1; 160]));
    assert_eq!(bench.sent(SOCKET_B).len(), 1);
    assert_eq!(bench.plane.stats(A).map(|stats| stats.rx_dropped), Some(2));
}

#[test]
fn one_stream_through_prompt_bridge_and_again() {
    let mut bench = Bench::new();
    bench.open(A, SOCKET_A, stream(Codec::Pcmu, peer(1)));
    bench.open(B, SOCKET_B, stream(Codec::Pcmu, peer(2)));
    bench.command(MediaCommand::Play { port: B, play: PlayId(1), items: vec![crate::core::media::PlayItem::Beep] });
    bench.pass(4);
    bench.command(MediaCommand::Bridge { a: A, b: B });
    for n in 0..3 {
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, &[1; 160]));
        bench.now += FRAME_TIME;
    }
    // Recording moves the bridge onto frames, and back.
    bench.command(MediaCommand::Record { port: A, name: Arc::from("r") });
    bench.pass(5);
    bench.command(MediaCommand::StopRecord { port: A });
    for n in 3..6 {
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, &[1; 160]));
        bench.now += FRAME_TIME;
    }
    let sent: Vec<Header> = bench.sent(SOCKET_B).iter().map(Sent::header).collect();
    assert!(sent.len() >= 4 + 3 + 5 + 3, "{}", sent.len());
    for pair in sent.windows(2) {
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "no gap in sequence numbers");
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((160..=480).contains(&step), "time moves forward without overlap: {step}");
    }
    assert_eq!(bench.recorder.0.lock().expect("not poisoned").finished.len(), 1);
}

#[test]
fn a_port_is_in_one_bridge_at_most() {
    let mut bench = plain();
    let c = PortId(3);
    bench.open(c, 20_004, stream(Codec::Pcmu, peer(3)));
    bench.command(MediaCommand::Bridge { a: c, b: A });
    bench.receive(SOCKET_A, peer(1), &rtp(0, 0, &[1; 160]));
    assert!(bench.sent(SOCKET_B).is_empty(), "the first bridge ended");
    assert_eq!(bench.sent(20_004).len(), 1);
    bench.command(MediaCommand::Unbridge { port: A });
    bench.receive(SOCKET_A, peer(1), &rtp(0, 1, &[1; 160]));
    assert!(bench.sent(20_004).is_empty());
}

#[test]
fn closing_says_goodbye_and_frees_the_socket() {
    let mut bench = plain();
    bench.receive(SOCKET_A, peer(1), &rtp(0, 0, &[1; 160]));
    bench.receive(SOCKET_A, peer(1), &rtp(0, 3, &[1; 160]));
    bench.command(MediaCommand::Close { port: B });
    let goodbye = bench.wire.0.iter().find(|sent| sent.kind == SocketKind::Rtcp).expect("a last report");
    let is_bye = |packet| matches!(packet, crate::proto::rtp::rtcp::Packet::Goodbye { .. });
    assert!(crate::proto::rtp::rtcp::packets(&goodbye.packet).any(is_bye));
    bench.command(MediaCommand::Close { port: A });
    bench.command(MediaCommand::Close { port: A });
    let closed: Vec<_> = bench
        .events()
        .into_iter()
        .filter_map(|event| match event {
            MediaEvent::Closed { port, stats, socket } => Some((port, stats.rx_packets, stats.rx_lost, socket)),
            _ => None,
        })
        .collect();
    assert_eq!(closed, [(B, 0, 0, Some(SOCKET_B)), (A, 2, 2, Some(SOCKET_A))]);
    assert_eq!(bench.plane.ports(), 0);
    assert_eq!(bench.plane.poll_timeout(), None, "an empty plane sleeps");
    bench.receive(SOCKET_A, peer(1), &rtp(0, 4, &[1; 160]));
    assert_eq!(bench.plane.counters().strays, 1);
    bench.open(PortId(9), SOCKET_A, stream(Codec::Pcmu, peer(1)));
    assert_eq!(bench.plane.ports(), 1, "the socket can be opened again");
}

#[test]
fn a_socket_or_port_in_use_is_refused() {
    let mut bench = plain();
    bench.command(MediaCommand::OpenRtp { port: PortId(5), socket: SOCKET_A });
    bench.command(MediaCommand::OpenRtp { port: A, socket: 30_000 });
    assert_eq!(bench.events(), [MediaEvent::Failed { port: PortId(5) }, MediaEvent::Failed { port: A }]);
}

#[test]
fn reports_come_about_every_five_seconds_and_silence_is_told_once() {
    let mut bench = plain();
    for n in 0..1_500u16 {
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, &[1; 160]));
        bench.pass(1);
    }
    let reports = bench.wire.0.iter().filter(|s| s.kind == SocketKind::Rtcp && s.socket == SOCKET_B).count();
    assert!((4..=12).contains(&reports), "{reports} reports in 30 s");
    let rtcp_to = bench.wire.0.iter().find(|s| s.kind == SocketKind::Rtcp && s.socket == SOCKET_B).map(|s| s.to);
    assert_eq!(rtcp_to, Some(SocketAddr::from(([192, 0, 2, 2], 4_001))));
    bench.pass(3_000);
    let silent: Vec<_> = bench.events().into_iter().filter(|e| matches!(e, MediaEvent::Silent { .. })).collect();
    assert_eq!(silent, [MediaEvent::Silent { port: B }, MediaEvent::Silent { port: A }]);
}

#[test]
fn who_is_heeded_is_told_of_after_two_seconds_of_silence_and_of_each_anew() {
    let mut bench = plain();
    bench.command(MediaCommand::HeedSilence { port: A });
    let mut held = stream(Codec::Pcmu, peer(1));
    (held.send, held.receive) = (false, false);
    let talk = |bench: &mut Bench, from: u16| {
        for n in from..from + 100 {
            bench.receive(SOCKET_A, peer(1), &rtp(0, n, &[1; 160]));
            bench.pass(1);
        }
    };
    let unheard = |bench: &mut Bench| bench.events().contains(&MediaEvent::Unheard { port: A });
    talk(&mut bench, 0);
    bench.pass(95);
    assert!(!unheard(&mut bench), "it is heard");
    bench.pass(25);
    assert!(unheard(&mut bench));
    bench.pass(200);
    assert!(!unheard(&mut bench), "once");
    bench.command(MediaCommand::HeedSilence { port: A });
    bench.pass(13);
    assert!(unheard(&mut bench), "as it was asked again");
    talk(&mut bench, 100);
    bench.command(MediaCommand::SetStream { port: A, stream: held });
    bench.pass(120);
    assert!(unheard(&mut bench), "on hold, too");
}

#[test]
fn a_held_stream_is_never_silent() {
    let mut bench = plain();
    for port in [A, B] {
        let mut held = stream(Codec::Pcmu, peer(1));
        held.send = false;
        bench.command(MediaCommand::SetStream { port, stream: held });
    }
    bench.pass(60 * 50);
    assert!(bench.events().is_empty());
    bench.command(MediaCommand::SetStream { port: A, stream: stream(Codec::Pcmu, peer(1)) });
    bench.pass(29 * 50);
    assert!(bench.events().is_empty(), "the time counts from the resumption");
    bench.pass(2 * 50);
    assert_eq!(bench.events(), [MediaEvent::Silent { port: A }]);
}

#[test]
fn jitter_is_measured_on_the_relay() {
    let mut bench = plain();
    for n in 0..400 {
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, &[1; 160]));
        bench.now += if n % 2 == 0 { Duration::from_millis(28) } else { Duration::from_millis(12) };
    }
    let jitter = bench.plane.stats(A).map_or(0, |stats| stats.jitter_us);
    assert!((7_000..=8_000).contains(&jitter), "{jitter}");
}
