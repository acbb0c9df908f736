//! Wide-band parties, pauses, and streams that change in mid-call.

use super::*;
use crate::dsp::coder::Coder;
use crate::dsp::level;

const NOISE_PT: u8 = 13;

/// The level of what was sent, in dBm0.
fn level_of(sent: &[Sent], codec: Codec) -> f32 {
    let octets: Vec<u8> = sent.iter().flat_map(|s| s.payload().to_vec()).collect();
    let mut pcm = vec![0; octets.len()];
    Coder::default().decode(codec, &octets, &mut pcm);
    level::measure(&pcm).0
}

/// A tone of 1 kHz in packets.
fn tone(codec: Codec, packets: usize) -> Vec<Vec<u8>> {
    let pcm: Vec<i16> =
        (0..packets * 160).map(|n| ((n as f64 / 8.0 * std::f64::consts::TAU).sin() * 8_000.0) as i16).collect();
    let mut octets = vec![0; pcm.len()];
    Coder::default().encode(codec, &pcm, &mut octets);
    octets.chunks(160).map(<[u8]>::to_vec).collect()
}

#[test]
fn wide_band_parties_are_relayed_and_stay_wide_band_when_recorded() {
    let mut bench = Bench::bridged(stream(Codec::G722, peer(1)), stream(Codec::G722, peer(2)));
    assert_eq!(bench.plane.next_frame, None, "a relay");
    bench.command(MediaCommand::Record { port: A, name: Arc::from("r") });
    let packets = tone(Codec::G722, 50);
    for (n, payload) in (0..).zip(&packets) {
        bench.receive(SOCKET_A, peer(1), &rtp(9, n, payload));
        bench.pass(1);
    }
    let sent = bench.sent(SOCKET_B);
    let unchanged = sent.iter().filter(|s| packets.iter().any(|p| p == s.payload())).count();
    assert!(unchanged >= 48, "{unchanged}");
    let recorded = bench.recorder.0.lock().expect("not poisoned");
    let left: Vec<i16> = recorded.frames[10..].iter().flat_map(|(left, _)| *left).collect();
    assert!((level::measure(&left).0 - (-9.1)).abs() < 0.5, "{:?}", level::measure(&left));
}

#[test]
fn wide_and_narrow_band_parties_hear_each_other() {
    for (from, to) in [(Codec::G722, Codec::Pcma), (Codec::Pcmu, Codec::G722)] {
        let mut bench = Bench::bridged(stream(from, peer(1)), stream(to, peer(2)));
        for (n, payload) in (0..).zip(&tone(from, 50)) {
            bench.receive(SOCKET_A, peer(1), &rtp(from.payload_type(), n, payload));
            bench.pass(1);
        }
        let sent = bench.sent(SOCKET_B);
        assert!(sent.iter().all(|s| s.header().payload_type == to.payload_type()));
        let heard = level_of(&sent[10..], to);
        assert!((heard - (-9.1)).abs() < 0.5, "{from:?} to {to:?}: {heard}");
    }
}

#[test]
fn digits_are_heard_in_wide_band_audio() {
    let mut bench = Bench::new();
    bench.open(A, SOCKET_A, StreamParams { telephone_event: None, ..stream(Codec::G722, peer(1)) });
    let pcm: Vec<i16> = (0..160 * 30)
        .map(|n| {
            let t = n as f64 / 8_000.0 * std::f64::consts::TAU;
            let on = (800..1_600).contains(&(n % 2_400));
            if on { (((t * 770.0).sin() + (t * 1_336.0).sin()) * 6_000.0) as i16 } else { 0 }
        })
        .collect();
    let mut octets = vec![0; pcm.len()];
    Coder::default().encode(Codec::G722, &pcm, &mut octets);
    for (n, payload) in (0..).zip(octets.chunks(160)) {
        bench.receive(SOCKET_A, peer(1), &rtp(9, n, payload));
        bench.pass(1);
    }
    let digits: String = bench
        .events()
        .iter()
        .filter_map(|event| if let MediaEvent::Digit { digit, .. } = event { Some(*digit) } else { None })
        .collect();
    assert_eq!(digits, "55");
}

#[test]
fn comfort_noise_fills_a_pause_and_a_pause_is_no_loss() {
    let quiet = |codec, host| StreamParams { comfort_noise: Some(NOISE_PT), ..stream(codec, peer(host)) };
    let mut bench = Bench::bridged(quiet(Codec::Pcmu, 1), quiet(Codec::Pcma, 2));
    let packets = tone(Codec::Pcmu, 30);
    for (n, payload) in (0..).zip(&packets) {
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, payload));
        bench.pass(1);
    }
    bench.receive(SOCKET_A, peer(1), &rtp(NOISE_PT, 30, &[45]));
    bench.pass(10);
    bench.sent(SOCKET_B);
    bench.pass(50);
    // -45 dBov; full scale of a sine is 3.14 dBm0, of a square wave 6.15.
    let noise = level_of(&bench.sent(SOCKET_B), Codec::Pcma);
    assert!((noise - (-45.0 + 6.15)).abs() < 2.0, "{noise}");
    // The next talkspurt, 1.2 s later by its timestamp, one later by its sequence.
    for n in 31..61u16 {
        let mut packet = rtp(0, n, &packets[0]);
        packet[4..8].copy_from_slice(&(90_000 + (u32::from(n) + 60) * 160).to_be_bytes());
        bench.receive(SOCKET_A, peer(1), &packet);
        bench.pass(1);
    }
    let stats = bench.plane.stats(A).expect("open");
    assert_eq!((stats.rx_lost, stats.rx_late, stats.rx_dropped, stats.concealed_ms), (0, 0, 0, 0));
    let sent = bench.sent(SOCKET_B);
    assert!(level_of(&sent[10..], Codec::Pcma) > -12.0);
}

#[test]
fn silence_is_not_sent_where_it_is_provisioned() {
    let quiet =
        StreamParams { comfort_noise: Some(NOISE_PT), silence_suppression: true, ..stream(Codec::Pcma, peer(2)) };
    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), quiet);
    for n in 0..100 {
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, &[0xfe; 160]));
        bench.pass(1);
    }
    let sent = bench.sent(SOCKET_B);
    let noise = sent.iter().filter(|s| s.header().payload_type == NOISE_PT).count();
    assert!((5..=10).contains(&noise), "{noise}");
    assert!(sent.len() < 20, "{} packets for 2 s of silence", sent.len());
    for (n, payload) in (100..).zip(&tone(Codec::Pcmu, 20)) {
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, payload));
        bench.pass(1);
    }
    let sent = bench.sent(SOCKET_B);
    assert!(sent.len() >= 18 && sent.iter().filter(|s| s.header().payload_type == 8).count() >= 17);
}

#[test]
fn another_agreed_codec_in_mid_call_goes_on_unbroken() {
    let others = [Some((8, Codec::Pcma)), None];
    let mut bench =
        Bench::bridged(StreamParams { others, ..stream(Codec::Pcmu, peer(1)) }, stream(Codec::Pcmu, peer(2)));
    let (mu, a) = (tone(Codec::Pcmu, 60), tone(Codec::Pcma, 60));
    for n in 0..60u16 {
        let (payload_type, payload) = if n < 20 { (0, &mu[usize::from(n)]) } else { (8, &a[usize::from(n)]) };
        let mut packet = rtp(payload_type, n, payload);
        packet[8..12].copy_from_slice(&0xabcd_0000u32.to_be_bytes());
        bench.receive(SOCKET_A, peer(1), &packet);
        bench.pass(1);
    }
    let sent = bench.sent(SOCKET_B);
    assert!(sent.iter().all(|s| s.header().payload_type == 0), "the peer hears what it agreed to");
    assert!(sent.len() >= 59, "{}", sent.len());
    assert!((level_of(&sent[25..], Codec::Pcmu) - (-9.1)).abs() < 0.5);
    let stats = bench.plane.stats(A).expect("open");
    assert_eq!((stats.rx_packets, stats.rx_lost, stats.rx_dropped), (60, 0, 0));
    // What was not agreed is dropped, with its reason.
    bench.receive(SOCKET_A, peer(1), &rtp(18, 61, &[0; 20]));
    let stats = bench.plane.stats(A).expect("open");
    assert_eq!((stats.rx_dropped, stats.rx_unknown), (1, 1));
}

#[test]
fn unlike_packet_times_are_repacked_for_each_party() {
    let mut bench =
        Bench::bridged(StreamParams { ptime_ms: 60, ..stream(Codec::Pcmu, peer(1)) }, stream(Codec::Pcmu, peer(2)));
    for n in 0..30u16 {
        let header = Header { marker: false, payload_type: 0, sequence: n, timestamp: u32::from(n) * 480, ssrc: 5 };
        let packet = [&header.to_octets()[..], &[0x90; 480]].concat();
        bench.receive(SOCKET_A, peer(1), &packet);
        for k in 0..3 {
            bench.receive(SOCKET_B, peer(2), &rtp(0, n * 3 + k, &[0xa0; 160]));
            bench.pass(1);
        }
    }
    assert!(bench.sent(SOCKET_B).iter().all(|s| s.payload().len() == 160));
    assert!(bench.sent(SOCKET_A).iter().all(|s| s.payload().len() == 480));
    let stats = bench.plane.stats(A).expect("open");
    assert_eq!((stats.concealed_ms, stats.rx_late), (0, 0), "60 ms at a time is no jitter");
}

#[test]
fn the_record_says_what_both_ends_heard() {
    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), stream(Codec::Pcma, peer(2)));
    for n in (0..500u16).filter(|n| n % 20 != 7) {
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, &[0x80; 160]));
        bench.pass(1);
    }
    let stats = bench.plane.stats(A).expect("open");
    assert_eq!(stats.rx_lost, 25);
    assert!(stats.mos.is_some_and(|mos| (3.5..4.1).contains(&mos)), "{:?}", stats.mos);
    assert_eq!((stats.round_trip_ms, stats.far), (None, None));
    // The peer answers our sender report 100 ms later, having waited 60 ms: 40 ms there and back.
    let report = bench.wire.0.iter().rev().find(|s| s.kind == SocketKind::Rtcp && s.socket == SOCKET_A);
    let report = report.expect("a report within 10 s").packet.clone();
    assert_eq!(report[1], 200, "a sender report");
    let asked = bench.now;
    let word = |at: usize| u32::from_be_bytes(report[at..at + 4].try_into().expect("four octets"));
    let sent_at =
        (u64::from(word(8) & 0xffff) * 1_000_000 + ((u64::from(word(12)) * 1_000_000) >> 32)) % 65_536_000_000;
    let since_us = asked.as_micros() % 65_536_000_000 - sent_at;
    let block = crate::proto::rtp::rtcp::ReportBlock {
        ssrc: word(4),
        fraction_lost: 0,
        cumulative_lost: 5,
        highest_sequence: 0,
        jitter: 80,
        last_sr: word(8) << 16 | word(12) >> 16,
        delay_since_last_sr: ((since_us + 60_000) * 65_536 / 1_000_000) as u32,
    };
    let mut answer =
        crate::proto::rtp::rtcp::Compound::new(9, None, Some(&block), b"0123456789abcdef01234567").as_slice().to_vec();
    bench.now += Duration::from_millis(100);
    let from = SocketAddr::new(peer(1).ip(), 4_001);
    bench.plane.receive(bench.now, SOCKET_A, SocketKind::Rtcp, from, &mut answer, &mut bench.wire);
    let stats = bench.plane.stats(A).expect("open");
    assert!(stats.round_trip_ms.is_some_and(|ms| (39..=41).contains(&ms)), "{:?}", stats.round_trip_ms);
    let far = stats.far.expect("reported");
    assert_eq!((far.lost, far.jitter_us), (5, 10_000));
    // Half a compound is refused and counted.
    bench.plane.receive(bench.now, SOCKET_A, SocketKind::Rtcp, from, &mut answer[..20], &mut bench.wire);
    assert_eq!(bench.plane.stats(A).map(|stats| stats.control_refused), Some(1));
}

#[test]
fn what_was_made_up_is_told_at_the_end_whatever_path_the_port_was_on() {
    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), stream(Codec::Pcmu, peer(2)));
    bench.command(MediaCommand::Record { port: A, name: Arc::from("r") });
    for n in (0..40).filter(|n| !(20..25).contains(n)) {
        bench.pass(if n == 25 { 6 } else { 1 });
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, &[0x55; 160]));
    }
    bench.pass(2);
    let before = bench.plane.stats(A).expect("open");
    assert!(before.concealed_ms >= 100 && before.playout_ms > 0, "{before:?}");
    bench.command(MediaCommand::StopRecord { port: A });
    bench.events();
    bench.command(MediaCommand::Close { port: A });
    let closed = bench.events().into_iter().find_map(|event| match event {
        MediaEvent::Closed { stats, .. } => Some(stats),
        _ => None,
    });
    let after = closed.expect("closed");
    assert_eq!((after.concealed_ms, after.playout_ms), (before.concealed_ms, before.playout_ms));
}

#[test]
fn comfort_noise_takes_a_bridge_off_the_relay_for_as_long_as_it_comes() {
    let mut bench = Bench::new();
    bench.open(A, SOCKET_A, stream(Codec::Pcmu, peer(1)));
    bench.open(B, SOCKET_B, stream(Codec::Pcmu, peer(2)));
    // Before the bridge: nobody has to carry it on.
    bench.receive(SOCKET_A, peer(1), &rtp(NOISE_PT, 0, &[45]));
    bench.command(MediaCommand::Bridge { a: A, b: B });
    let mut n = 0;
    let mut relays = |bench: &mut Bench| {
        n += 1;
        bench.sent(SOCKET_B);
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, &[0x55; 160]));
        bench.sent(SOCKET_B).len() == 1
    };
    assert!(relays(&mut bench));
    bench.receive(SOCKET_A, peer(1), &rtp(NOISE_PT, 100, &[45]));
    assert!(!relays(&mut bench), "frames from now on");
    bench.pass(29 * 50);
    assert!(!relays(&mut bench));
    bench.pass(2 * 50);
    assert!(relays(&mut bench), "it has not come again");
}
