//! Frames: players, card timeslots, recording.

use super::*;
use crate::core::media::{PlayItem, ToneKind};
use crate::dsp::g711;

fn prompt(name: &str) -> PlayItem {
    PlayItem::Prompt(Arc::from(name))
}

fn audio(sent: &[Sent], codec: Codec) -> Vec<i16> {
    let octets: Vec<u8> = sent.iter().flat_map(|s| s.payload().to_vec()).collect();
    let mut pcm = vec![0; octets.len()];
    g711::decode(law(codec), &octets, &mut pcm);
    pcm
}

fn listener(codec: Codec) -> Bench {
    let mut bench = Bench::new();
    bench.open(A, SOCKET_A, stream(codec, peer(1)));
    bench
}

#[test]
fn a_playback_plays_its_items_and_ends() {
    let mut bench = listener(Codec::Pcma);
    let items = vec![prompt("high"), PlayItem::SilenceMs(20), prompt("low")];
    bench.command(MediaCommand::Play { port: A, play: PlayId(7), items });
    bench.pass(20);
    assert_eq!(bench.events(), [MediaEvent::PlayDone { port: A, play: PlayId(7) }]);
    let sent = bench.sent(SOCKET_A);
    assert_eq!(sent.len(), 3 + 1 + 2, "nothing is sent after the end");
    let pcm = audio(&sent, Codec::Pcma);
    assert!(pcm[..480].iter().all(|&s| s > 7_000));
    assert!(pcm[480..640].iter().all(|&s| s.abs() < 10));
    assert!(pcm[640..].iter().all(|&s| s < -7_000));
    assert!(sent[0].header().marker && !sent[1].header().marker);
}

#[test]
fn a_stopped_or_replaced_playback_ends_silently() {
    let mut bench = listener(Codec::Pcmu);
    for play in [1, 2] {
        bench.command(MediaCommand::Play { port: A, play: PlayId(play), items: vec![prompt("long")] });
        bench.pass(2);
    }
    bench.command(MediaCommand::StopPlay { port: A });
    bench.pass(5);
    assert!(bench.events().is_empty());
    assert_eq!(bench.sent(SOCKET_A).len(), 4);
}

#[test]
fn a_missing_prompt_is_told_and_heard() {
    let mut bench = listener(Codec::Pcmu);
    let command = MediaCommand::Play { port: A, play: PlayId(7), items: vec![prompt("nowhere")] };
    bench.command(command);
    bench.pass(60);
    let events = bench.events();
    assert_eq!(events[0], MediaEvent::PromptMissing { port: A, name: Arc::from("nowhere") });
    assert_eq!(events[1], MediaEvent::PlayDone { port: A, play: PlayId(7) });
    assert!(audio(&bench.sent(SOCKET_A), Codec::Pcmu).iter().filter(|s| s.abs() > 1_000).count() > 2_000);
}

#[test]
fn what_must_be_said_has_a_second_prompt() {
    let mut bench = listener(Codec::Pcmu);
    let items = vec![PlayItem::PromptOr(Arc::from("nowhere"), Arc::from("high"))];
    bench.command(MediaCommand::Play { port: A, play: PlayId(7), items });
    bench.pass(1);
    assert_eq!(bench.events(), [MediaEvent::PromptMissing { port: A, name: Arc::from("nowhere") }]);
    let or = bench.sent(SOCKET_A);
    let mut bench = listener(Codec::Pcmu);
    bench.command(MediaCommand::Play { port: A, play: PlayId(7), items: vec![prompt("high")] });
    bench.pass(1);
    assert_eq!(audio(&or, Codec::Pcmu), audio(&bench.sent(SOCKET_A), Codec::Pcmu));
}

#[test]
fn a_playback_runs_out_even_when_the_party_holds_us() {
    let mut bench = Bench::new();
    bench.command(MediaCommand::OpenRtp { port: A, socket: SOCKET_A });
    bench.command(MediaCommand::Play { port: A, play: PlayId(1), items: vec![prompt("high")] });
    bench.pass(10);
    let mut held = stream(Codec::Pcmu, peer(1));
    held.send = false;
    bench.command(MediaCommand::SetStream { port: A, stream: held });
    bench.command(MediaCommand::Play { port: A, play: PlayId(2), items: vec![prompt("high")] });
    bench.pass(10);
    assert_eq!(bench.events().len(), 2);
    assert!(bench.sent(SOCKET_A).is_empty());
}

#[test]
fn packets_have_the_agreed_time() {
    for (ptime_ms, packets) in [(10u8, 50usize), (20, 25), (30, 16), (40, 12), (60, 8)] {
        let mut bench = Bench::new();
        let mut params = stream(Codec::Pcmu, peer(1));
        params.ptime_ms = ptime_ms;
        bench.open(A, SOCKET_A, params);
        bench.command(MediaCommand::Music { port: A, play: PlayId(1), source: None });
        bench.pass(25);
        let sent = bench.sent(SOCKET_A);
        assert_eq!(sent.len(), packets, "{ptime_ms} ms");
        let size = usize::from(ptime_ms) * 8;
        assert!(sent.iter().all(|s| s.payload().len() == size), "{ptime_ms} ms");
        for pair in sent.windows(2) {
            assert_eq!(pair[1].header().timestamp.wrapping_sub(pair[0].header().timestamp), size as u32);
        }
    }
}

#[test]
fn music_is_the_same_for_all_who_listen() {
    let mut bench = listener(Codec::Pcmu);
    bench.open(B, SOCKET_B, stream(Codec::Pcma, peer(2)));
    bench.command(MediaCommand::Music { port: A, play: PlayId(1), source: None });
    bench.pass(3);
    bench.sent(SOCKET_A);
    bench.command(MediaCommand::Music { port: B, play: PlayId(2), source: None });
    bench.pass(30);
    let (a, b) = (audio(&bench.sent(SOCKET_A), Codec::Pcmu), audio(&bench.sent(SOCKET_B), Codec::Pcma));
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1_500), "one place in one piece, in two laws");
    assert!(a.iter().any(|&s| s > 20_000));
    bench.command(MediaCommand::Music { port: A, play: PlayId(3), source: Some(Arc::from("nowhere")) });
    assert_eq!(bench.events(), [MediaEvent::PromptMissing { port: A, name: Arc::from("nowhere") }]);
    bench.pass(1);
    assert_eq!(bench.sent(SOCKET_A).len(), 1, "the built-in music plays in its place");
}

#[test]
fn a_tone_has_its_cadence() {
    let mut bench = listener(Codec::Pcmu);
    bench.command(MediaCommand::Tone { port: A, play: PlayId(1), tone: ToneKind::Busy, country: *b"us" });
    bench.pass(50);
    let pcm = audio(&bench.sent(SOCKET_A), Codec::Pcmu);
    let loud = pcm.chunks(160).filter(|frame| frame.iter().any(|s| s.abs() > 500)).count();
    assert!((24..=27).contains(&loud), "{loud}: half a second of a second");
}

#[test]
fn timeslots_are_joined_across_laws() {
    let mut bench = Bench::new();
    bench.open_tdm(A, 1);
    bench.open_tdm(B, 3);
    bench.command(MediaCommand::Bridge { a: A, b: B });
    for _ in 0..20 {
        bench.line(1).from_line.extend([0x90; 160]);
        bench.line(3).from_line.extend([0x35; 160]);
        bench.pass(1);
    }
    let transcoded = |from, to, octet| {
        let mut out = [0];
        g711::transcode(law(from), law(to), &[octet], &mut out);
        out[0]
    };
    let expected = transcoded(Codec::Pcmu, Codec::Pcma, 0x90);
    let to_e1 = bench.line(3).to_line.clone();
    assert!(to_e1.len() >= 20 * 160);
    assert_eq!(to_e1[1_600..], vec![expected; to_e1.len() - 1_600]);
    let expected = transcoded(Codec::Pcma, Codec::Pcmu, 0x35);
    let to_t1 = bench.line(1).to_line.clone();
    assert_eq!(to_t1[1_600..], vec![expected; to_t1.len() - 1_600]);
    bench.command(MediaCommand::Close { port: A });
    bench.open_tdm(PortId(5), 1);
    assert!(!bench.events().contains(&MediaEvent::Failed { port: PortId(5) }), "the timeslot is free again");
}

#[test]
fn a_timeslot_opens_once_and_a_vanished_card_is_told_once() {
    let mut bench = Bench::new();
    bench.open_tdm(A, 1);
    bench.open_tdm(B, 1);
    assert_eq!(bench.events(), [MediaEvent::Failed { port: B }]);
    bench.line(1).gone = true;
    bench.pass(10);
    assert_eq!(bench.events(), [MediaEvent::Failed { port: A }]);
    bench.command(MediaCommand::Close { port: A });
    assert!(matches!(bench.events()[..], [MediaEvent::Closed { port: A, socket: None, .. }]));
}

#[test]
fn a_timeslot_meets_rtp() {
    let mut bench = Bench::new();
    bench.open_tdm(A, 1);
    bench.open(B, SOCKET_B, stream(Codec::Pcmu, peer(2)));
    bench.command(MediaCommand::Bridge { a: A, b: B });
    for n in 0..20 {
        bench.line(1).from_line.extend([n as u8 | 0x80; 160]);
        bench.receive(SOCKET_B, peer(2), &rtp(0, n, &[0x40 | n as u8; 160]));
        bench.pass(1);
    }
    let sent = bench.sent(SOCKET_B);
    assert_eq!(sent.len(), 20);
    assert_eq!(sent[19].payload(), [19 | 0x80; 160], "what the line said goes out in the same tick");
    let heard = bench.line(1).to_line.clone();
    assert_eq!(heard.last().map(|octet| octet & 0xf0), Some(0x50), "two or three packets behind");
    let stats = bench.plane.stats(A).expect("open");
    assert_eq!((stats.rx_packets, stats.tx_packets), (20, 20));
}

#[test]
fn a_fast_line_does_not_pile_up() {
    let mut bench = Bench::new();
    bench.open_tdm(A, 1);
    bench.open_tdm(B, 2);
    bench.command(MediaCommand::Bridge { a: A, b: B });
    for n in 0..1_000u32 {
        bench.line(1).from_line.extend(vec![(n % 100) as u8 | 0x80; 162]);
        bench.pass(1);
    }
    let last = bench.line(2).to_line.last().copied().unwrap_or(0) & 0x7f;
    assert!(99 - last <= 4, "{last}: at most 80 ms behind");
}

#[test]
fn both_sides_are_recorded() {
    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), stream(Codec::Pcmu, peer(2)));
    let name: Arc<str> = Arc::from("tenant/call");
    bench.command(MediaCommand::Record { port: A, name: name.clone() });
    let encoded = |value: i16| {
        let mut octets = [0; 160];
        g711::encode(crate::base::Law::Mu, &[value; 160], &mut octets);
        octets
    };
    for n in 0..20 {
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, &encoded(5_000)));
        bench.receive(SOCKET_B, peer(2), &rtp(0, n, &encoded(-5_000)));
        bench.pass(1);
    }
    bench.command(MediaCommand::StopRecord { port: A });
    bench.pass(5);
    {
        let recorded = bench.recorder.0.lock().expect("not poisoned");
        assert_eq!(recorded.frames.len(), 20);
        let (left, right) = recorded.frames[19];
        assert!(left.iter().all(|&s| s > 4_500), "what the party says is left");
        assert!(right.iter().all(|&s| s < -4_500), "what it hears is right");
        assert_eq!(recorded.finished, [name]);
    }
    bench.receive(SOCKET_A, peer(1), &rtp(0, 20, &encoded(0)));
    assert!(!bench.sent(SOCKET_B).is_empty());
}

#[test]
fn a_failed_recording_is_told_and_the_call_goes_on() {
    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), stream(Codec::Pcmu, peer(2)));
    bench.recorder.0.lock().expect("not poisoned").fail_after = Some(3);
    bench.command(MediaCommand::Record { port: A, name: Arc::from("r") });
    bench.pass(10);
    assert_eq!(bench.events(), [MediaEvent::RecordFailed { port: A }]);
    bench.sent(SOCKET_B);
    bench.receive(SOCKET_A, peer(1), &rtp(0, 0, &[1; 160]));
    assert_eq!(bench.sent(SOCKET_B).len(), 1, "back on the relay");
}

#[test]
fn lost_packets_are_concealed() {
    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), stream(Codec::Pcma, peer(2)));
    let mut tone = [0i16; 160];
    for (n, sample) in (0..).zip(&mut tone) {
        *sample = ((n as f32 * std::f32::consts::TAU / 32.0).sin() * 8_000.0) as i16;
    }
    let mut octets = [0; 160];
    g711::encode(crate::base::Law::Mu, &tone, &mut octets);
    for n in 0..40 {
        if n != 20 {
            bench.receive(SOCKET_A, peer(1), &rtp(0, n, &octets));
        }
        bench.pass(1);
    }
    let pcm = audio(&bench.sent(SOCKET_B), Codec::Pcma);
    let silent = pcm.chunks(160).skip(5).filter(|frame| frame.iter().all(|s| s.abs() < 1_000)).count();
    assert_eq!(silent, 0, "the gap sounds like its surroundings");
    assert_eq!(bench.plane.stats(A).map(|stats| stats.rx_lost), Some(1));
}

#[test]
fn late_ticks_are_caught_up_within_limits() {
    let mut bench = listener(Codec::Pcmu);
    bench.command(MediaCommand::Music { port: A, play: PlayId(1), source: None });
    bench.pass(5);
    bench.sent(SOCKET_A);
    bench.now += FRAME_TIME * 3;
    bench.plane.tick(bench.now, &mut bench.wire);
    assert_eq!(bench.sent(SOCKET_A).len(), 3);
    bench.now += FRAME_TIME * 50;
    bench.plane.tick(bench.now, &mut bench.wire);
    assert_eq!(bench.sent(SOCKET_A).len(), 3);
    assert_eq!(bench.plane.counters().frames_skipped, 47);
    bench.pass(10);
    assert_eq!(bench.sent(SOCKET_A).len(), 10, "and on the grid again");
}

#[test]
fn the_end_of_the_last_recording_is_seen_to_when_there_is_room() {
    let mut bench = Bench::new();
    bench.open(A, SOCKET_A, stream(Codec::Pcmu, peer(1)));
    bench.recorder.0.lock().expect("not poisoned").unsettled = 20;
    bench.command(MediaCommand::Close { port: A });
    assert!(bench.plane.poll_timeout().is_some(), "something still waits");
    bench.pass(500);
    assert_eq!(bench.recorder.0.lock().expect("not poisoned").unsettled, 0);
    assert_eq!(bench.plane.poll_timeout(), None);
}
