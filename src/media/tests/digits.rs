//! Digits: telephone events and tones, both ways.

use super::*;
use crate::core::media::DigitSource;
use crate::dsp::dtmf::{Detector, DtmfEvent};
use crate::dsp::g711;
use crate::proto::rtp::telephone_event::TelephoneEvent;

fn digits(events: &[MediaEvent]) -> Vec<(PortId, char, DigitSource)> {
    let digit = |event: &MediaEvent| match event {
        MediaEvent::Digit { port, digit, source } => Some((*port, *digit, *source)),
        _ => None,
    };
    events.iter().filter_map(digit).collect()
}

/// What a detector finds in companded audio.
fn detected(codec: Codec, octets: &[u8]) -> String {
    let mut pcm = vec![0; octets.len()];
    g711::decode(law(codec), octets, &mut pcm);
    let mut detector = Detector::new();
    let down = |event| match event {
        DtmfEvent::Down(digit) => Some(digit),
        DtmfEvent::Up { .. } => None,
    };
    detector.process(&pcm).filter_map(down).collect()
}

/// 100 ms of a digit and 100 ms of silence, companded.
fn tone(codec: Codec, digit: char) -> Vec<u8> {
    let mut pcm = vec![0; 1_600];
    crate::dsp::dtmf::Generator::new(digit, 100, 100).expect("a digit").fill(&mut pcm);
    let mut octets = vec![0; pcm.len()];
    g711::encode(law(codec), &pcm, &mut octets);
    octets
}

#[test]
fn events_on_the_relay_are_told_once_and_forwarded() {
    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), stream(Codec::Pcmu, peer(2)));
    let mut n = 0;
    for (timestamp, code) in [(90_000, 4), (92_000, 11)] {
        for (duration, end) in [(160, false), (320, false), (480, true), (480, true), (480, true)] {
            bench.receive(SOCKET_A, peer(1), &event_packet(n, timestamp, code, duration, end));
            n += 1;
        }
    }
    let events = bench.events();
    assert_eq!(digits(&events), [(A, '4', DigitSource::Event), (A, '#', DigitSource::Event)]);
    let sent = bench.sent(SOCKET_B);
    assert_eq!(sent.len(), 10);
    assert!(sent[..5].iter().all(|s| s.header().timestamp == sent[0].header().timestamp));
    assert_eq!(sent[9].payload(), [11, 0x8a, 1, 0xe0]);
}

#[test]
fn events_without_a_bridge_need_no_frames() {
    let mut bench = Bench::new();
    bench.open(A, SOCKET_A, stream(Codec::Pcmu, peer(1)));
    bench.receive(SOCKET_A, peer(1), &event_packet(0, 1, 0, 800, true));
    bench.receive(SOCKET_A, peer(1), &event_packet(1, 5_000, 16, 800, true));
    assert_eq!(digits(&bench.events()), [(A, '0', DigitSource::Event)], "16 is no digit");
    assert!(bench.pass(50) <= 5, "nobody needs frames");
}

#[test]
fn tones_of_the_network_and_who_answered_are_told() {
    use crate::base::{Answerer, HeardTone, ToneKind};
    let mut bench = Bench::new();
    bench.open(A, SOCKET_A, stream(Codec::Pcmu, peer(1)));
    bench.command(MediaCommand::DetectTones { port: A, country: Some(*b"us") });
    bench.command(MediaCommand::DetectAnswer { port: A });
    let mut pcm = vec![0; 8_000 * 3];
    crate::dsp::tone::Generator::new(crate::dsp::tone::plan(*b"us", ToneKind::Busy)).fill(&mut pcm);
    let mut audio = vec![0; pcm.len()];
    crate::dsp::g711::encode(crate::base::Law::Mu, &pcm, &mut audio);
    for (n, frame) in (0..).zip(audio.chunks(160)) {
        bench.receive(SOCKET_A, peer(1), &rtp(0, n, frame));
        bench.pass(1);
    }
    let events = bench.events();
    assert!(events.contains(&MediaEvent::Tone { port: A, tone: HeardTone::Busy }), "{events:?}");
    assert!(events.contains(&MediaEvent::Answered { port: A, by: Answerer::Machine }), "it speaks on: {events:?}");
    bench.command(MediaCommand::DetectTones { port: A, country: None });
}

#[test]
fn tones_are_detected_where_no_events_can_come() {
    let mut bench = Bench::new();
    let mut plain = stream(Codec::Pcma, peer(1));
    plain.telephone_event = None;
    bench.open(A, SOCKET_A, plain);
    let audio: Vec<u8> = "159D".chars().flat_map(|digit| tone(Codec::Pcma, digit)).collect();
    for (n, frame) in (0..).zip(audio.chunks(160)) {
        bench.receive(SOCKET_A, peer(1), &rtp(8, n, frame));
        bench.pass(1);
    }
    bench.pass(10);
    let told: String = digits(&bench.events()).iter().map(|&(_, digit, _)| digit).collect();
    assert_eq!(told, "159D");
    bench.command(MediaCommand::DetectDtmf { port: A, on: false });
    assert!(bench.pass(50) <= 5, "off: no frames");
}

#[test]
fn a_timeslot_that_delivers_late_splits_no_digit() {
    let mut bench = Bench::new();
    bench.open_tdm(A, 1);
    for digit in "110".chars() {
        for (n, frame) in tone(Codec::Pcmu, digit).chunks(160).enumerate() {
            // In the middle of the digit nothing has come for two frames, then all of it at once.
            bench.pass(if n == 3 { 2 } else { 0 });
            bench.line(1).from_line.extend_from_slice(frame);
            bench.pass(1);
        }
    }
    let told: String = digits(&bench.events()).iter().map(|&(_, digit, _)| digit).collect();
    assert_eq!(told, "110");
}

#[test]
fn a_stall_loses_no_digit() {
    let mut bench = Bench::new();
    bench.open_tdm(A, 1);
    bench.pass(2);
    // While we stood still a digit of 50 ms and a pause of 30 ms have gathered, all that the card's buffer holds: half of
    // it is too late to be played.
    let mut gathered = tone(Codec::Pcmu, '5').get(..400).expect("50 ms of the digit").to_vec();
    gathered.resize(640, g711::silence(crate::base::Law::Mu));
    bench.line(1).from_line.extend_from_slice(&gathered);
    for _ in 0..6 {
        bench.pass(1);
        bench.line(1).from_line.extend_from_slice(&[g711::silence(crate::base::Law::Mu); 160]);
    }
    let told: String = digits(&bench.events()).iter().map(|&(_, digit, _)| digit).collect();
    assert_eq!(told, "5");
}

#[test]
fn tones_from_a_timeslot_are_detected() {
    let mut bench = Bench::new();
    bench.open_tdm(A, 1);
    for digit in "0*7".chars() {
        for frame in tone(Codec::Pcmu, digit).chunks(160) {
            bench.line(1).from_line.extend_from_slice(frame);
            bench.pass(1);
        }
    }
    bench.pass(5);
    let told: String = digits(&bench.events()).iter().map(|&(_, digit, _)| digit).collect();
    assert_eq!(told, "0*7");
}

#[test]
fn digits_go_out_as_events_where_agreed() {
    let mut bench = Bench::new();
    bench.open(A, SOCKET_A, stream(Codec::Pcmu, peer(1)));
    bench.command(MediaCommand::SendDigits { port: A, digits: "12".into(), on_ms: 100, off_ms: 100 });
    bench.pass(30);
    assert_eq!(bench.events(), [MediaEvent::DigitsSent { port: A }]);
    let sent = bench.sent(SOCKET_A);
    assert!(sent.iter().all(|s| s.header().payload_type == EVENT_PT));
    let events: Vec<TelephoneEvent> = sent.iter().filter_map(|s| TelephoneEvent::read(s.payload())).collect();
    assert_eq!(events.iter().filter(|event| event.end).count(), 6);
    assert_eq!(events.iter().map(|event| event.duration).max(), Some(800));
    assert_eq!(sent.iter().filter(|s| s.header().marker).count(), 2);
    let second = sent.iter().find(|s| s.payload()[0] == 2).expect("the second digit").header();
    assert_eq!(second.timestamp.wrapping_sub(sent[0].header().timestamp), 1_600, "200 ms later");
}

#[test]
fn digits_go_out_as_tones_otherwise() {
    let mut bench = Bench::new();
    bench.open_tdm(A, 3);
    bench.command(MediaCommand::SendDigits { port: A, digits: "4#".into(), on_ms: 80, off_ms: 80 });
    bench.pass(30);
    assert!(bench.events().contains(&MediaEvent::DigitsSent { port: A }));
    let octets = bench.line(3).to_line.clone();
    assert_eq!(detected(Codec::Pcma, &octets), "4#");
}

#[test]
fn events_become_tones_for_a_timeslot() {
    let mut bench = Bench::new();
    bench.open_tdm(A, 1);
    bench.open(B, SOCKET_B, stream(Codec::Pcmu, peer(2)));
    bench.command(MediaCommand::Bridge { a: A, b: B });
    for n in 0..5 {
        bench.receive(SOCKET_B, peer(2), &event_packet(n, 90_000, 8, 160 * (n + 1), n == 4));
        bench.pass(1);
    }
    bench.pass(20);
    assert_eq!(digits(&bench.events()), [(B, '8', DigitSource::Event)]);
    let octets = bench.line(1).to_line.clone();
    assert_eq!(detected(Codec::Pcmu, &octets), "8");
}

#[test]
fn events_pass_a_recorded_bridge_without_audio_beside_them() {
    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), stream(Codec::Pcmu, peer(2)));
    bench.command(MediaCommand::Record { port: A, name: Arc::from("r") });
    bench.pass(3);
    bench.sent(SOCKET_B);
    for n in 0..5 {
        bench.receive(SOCKET_A, peer(1), &event_packet(n, 90_000, 8, 160 * (n + 1), n == 4));
        bench.pass(1);
    }
    let sent = bench.sent(SOCKET_B);
    let events: Vec<_> = sent.iter().filter(|s| s.header().payload_type == EVENT_PT).collect();
    assert_eq!(events.len(), 5);
    assert!(events.iter().all(|s| s.header().timestamp == events[0].header().timestamp));
    assert_eq!(sent.len(), 6, "audio goes on after the end only");
    for pair in sent.windows(2) {
        assert_eq!(pair[1].header().sequence, pair[0].header().sequence.wrapping_add(1));
    }
    assert_eq!(digits(&bench.events()), [(A, '8', DigitSource::Event)]);
}

#[test]
fn digits_into_a_relay_leave_it_for_their_time_only() {
    let mut bench = Bench::bridged(stream(Codec::Pcmu, peer(1)), stream(Codec::Pcmu, peer(2)));
    bench.command(MediaCommand::SendDigits { port: B, digits: "9".into(), on_ms: 60, off_ms: 60 });
    bench.pass(12);
    assert!(bench.sent(SOCKET_B).iter().any(|s| s.header().payload_type == EVENT_PT));
    bench.receive(SOCKET_A, peer(1), &rtp(0, 0, &[1; 160]));
    assert_eq!(bench.sent(SOCKET_B).len(), 1, "relayed again");
}
