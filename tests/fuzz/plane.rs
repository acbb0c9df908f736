//! The media plane: packets from anyone, between commands in any order, on the relay's path and on that of frames.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cordboard::base::{CardId, Circuit, Codec, Instant, PlayId, PortId, ToneKind};
use cordboard::core::media::{MediaCommand, MediaEvent, PlayItem, StreamParams};
use cordboard::media::{
    FRAME, PACKET_MAX, Plane, PlaneConfig, Prompt, RecordError, RecordSink, Samples, SocketKind, Wire,
};
use cordboard::proto::rtp::packet::{self, Header};
use cordboard_hal::{Bearer, Error, ErrorKind, Law};

use crate::chance::Chance;
use crate::{fuzz, rtp};

const PORTS: u64 = 6;
const SOCKET: u16 = 20_000;

/// Counts, and looks at each packet that leaves.
#[derive(Default)]
struct Sink {
    sent: usize,
    last: Vec<u8>,
}

impl Wire for Sink {
    fn send(&mut self, _: u16, kind: SocketKind, to: SocketAddr, packet: &[u8]) {
        self.sent += 1;
        assert!(packet.len() <= PACKET_MAX);
        assert!(to.port() != 0);
        match kind {
            SocketKind::Rtp => {
                assert!(Header::read(packet).is_some());
                self.last = packet.to_vec();
            }
            SocketKind::Rtcp => assert!(rtp::read_control(packet) >= 2, "a report and a name at least"),
        }
    }
}

/// A timeslot that repeats what it is told, and fails for good after so many frames.
struct Echo {
    heard: Vec<u8>,
    reads_left: u32,
}

impl Bearer for Echo {
    fn law(&self) -> Law {
        Law::Ulaw
    }

    fn read(&mut self, buf: &mut [u8]) -> cordboard_hal::Result<usize> {
        self.reads_left = self.reads_left.checked_sub(1).ok_or(Error::new(ErrorKind::Gone, "read"))?;
        let len = buf.len().min(self.heard.len());
        for (to, from) in buf.iter_mut().zip(self.heard.drain(..len)) {
            *to = from;
        }
        Ok(len)
    }

    fn write(&mut self, octets: &[u8]) -> cordboard_hal::Result<usize> {
        let len = octets.len().min(1_600 - self.heard.len().min(1_600));
        self.heard.extend_from_slice(&octets[..len]);
        Ok(len)
    }
}

/// A recorder whose disk is full after so many frames.
struct Recorder(u32);

impl RecordSink for Recorder {
    fn frame(&mut self, _: &Arc<str>, _: &Samples, _: &Samples) -> Result<(), RecordError> {
        self.0 = self.0.checked_sub(1).ok_or(RecordError::Storage)?;
        Ok(())
    }

    fn finish(&mut self, _: &Arc<str>) {}
}

fn circuit(timeslot: u8) -> Circuit {
    Circuit { card: CardId(0), span: 1, timeslot }
}

fn new_plane(chance: &mut Chance<'_>) -> Plane {
    let bearer = |timeslot: u8, reads_left: u32| {
        (circuit(timeslot), Box::new(Echo { heard: Vec::new(), reads_left }) as Box<dyn Bearer>)
    };
    let tone = Arc::new(Prompt::new(&(0..800).map(|n| n * 40).collect::<Vec<i16>>()));
    Plane::new(PlaneConfig {
        prompts: HashMap::from([(Arc::from("tone"), tone.clone()), (Arc::from("empty"), Arc::new(Prompt::new(&[])))]),
        music: tone,
        bearers: vec![bearer(1, u32::MAX), bearer(2, u32::from(chance.octet()))],
        recorder: Box::new(Recorder(u32::from(chance.octet()))),
        seed: [chance.octet(); 32],
    })
}

fn peer(chance: &mut Chance<'_>) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + u8::from(chance.one_in(4))], *chance.pick(&[4_000, 4_002, 65_535, 1])))
}

fn stream(chance: &mut Chance<'_>) -> StreamParams {
    let codec = *chance.pick(&Codec::ALL);
    let remote = peer(chance);
    StreamParams {
        codec,
        payload_type: if chance.one_in(8) { chance.octet() } else { codec.payload_type() },
        telephone_event: *chance.pick(&[Some(101), Some(101), None, Some(0), Some(255)]),
        others: [chance.one_in(3).then_some((9, Codec::G722)), chance.one_in(3).then_some((8, Codec::Pcma))],
        comfort_noise: chance.one_in(2).then_some(13),
        silence_suppression: chance.one_in(2),
        ptime_ms: if chance.one_in(4) { chance.octet() } else { 20 },
        remote,
        signalling: peer(chance).ip(),
        remote_rtcp: peer(chance),
        send: !chance.one_in(5),
        receive: !chance.one_in(5),
    }
}

fn command(chance: &mut Chance<'_>) -> MediaCommand {
    let port = PortId(u64::from(chance.octet()) % PORTS);
    let play = PlayId(u64::from(chance.octet()));
    match chance.below(16) {
        0 | 1 => MediaCommand::OpenRtp { port, socket: SOCKET + u16::from(chance.octet() % 8) },
        2..=4 => MediaCommand::SetStream { port, stream: stream(chance) },
        5 => MediaCommand::OpenTdm { port, circuit: circuit(1 + chance.octet() % 3), detect_dtmf: chance.one_in(2) },
        6 => MediaCommand::Close { port },
        7 => match chance.below(4) {
            0 => MediaCommand::DetectDtmf { port, on: chance.one_in(2) },
            1 => MediaCommand::DetectTones { port, country: chance.one_in(2).then(|| [b'u', chance.octet()]) },
            2 => MediaCommand::HeedSilence { port },
            _ => MediaCommand::DetectAnswer { port },
        },
        8 => {
            let items = [
                PlayItem::Prompt(Arc::from("tone")),
                PlayItem::Prompt(Arc::from("missing")),
                PlayItem::PromptOr(Arc::from("missing"), Arc::from("tone")),
                PlayItem::Prompt(Arc::from("empty")),
                PlayItem::SilenceMs(u16::from(chance.octet())),
                PlayItem::Beep,
            ];
            MediaCommand::Play {
                port,
                play,
                items: (0..chance.below(6)).map(|_| chance.pick(&items).clone()).collect(),
            }
        }
        9 => MediaCommand::Tone { port, play, tone: ToneKind::Busy, country: [chance.octet(), b'x'] },
        10 => MediaCommand::Music { port, play, source: chance.one_in(2).then(|| Arc::from("empty")) },
        11 => {
            let digits = String::from_utf8_lossy(chance.take(20)).into_owned() + "15#";
            MediaCommand::SendDigits {
                port,
                digits,
                on_ms: u16::from(chance.octet()) * 257,
                off_ms: u16::from(chance.octet()),
            }
        }
        12 | 13 => MediaCommand::Bridge { a: port, b: PortId(u64::from(chance.octet()) % PORTS) },
        14 => MediaCommand::Record { port, name: Arc::from("r") },
        _ => match chance.below(3) {
            0 => MediaCommand::Unbridge { port },
            1 => MediaCommand::StopPlay { port },
            _ => MediaCommand::StopRecord { port },
        },
    }
}

/// A packet that follows the stream of its source, so that the depths are reached; then bent, or one of the corpus.
fn arriving(chance: &mut Chance<'_>, sequence: &mut u16, corpus: &[Vec<u8>], last: &[u8]) -> Vec<u8> {
    match chance.below(8) {
        0 => chance.bent(corpus, &[]),
        1 if chance.one_in(2) => chance.bent(&[last.to_vec()], &[]),
        1 => chance.take(60).to_vec(),
        kind => {
            *sequence = sequence.wrapping_add(1 + if chance.one_in(10) { u16::from(chance.octet()) << 8 } else { 0 });
            let header = Header {
                marker: chance.one_in(10),
                payload_type: if kind == 3 { 101 } else { *chance.pick(&[0, 0, 8, 13]) },
                sequence: sequence.wrapping_sub(if chance.one_in(8) { u16::from(chance.octet() % 8) } else { 0 }),
                timestamp: u32::from(*sequence) * 160,
                ssrc: 7 + u32::from(chance.one_in(20)),
            };
            let mut made = header.to_octets().to_vec();
            match kind {
                3 => made.extend([chance.octet() % 20, chance.octet(), chance.octet(), chance.octet()]),
                4 => made.extend(vec![0x55; usize::from(chance.octet()) * 6]),
                _ => made.extend([chance.octet(); FRAME]),
            }
            made
        }
    }
}

fn drain(plane: &mut Plane) -> usize {
    let mut events = 0;
    while let Some(event) = plane.poll_event() {
        events += 1;
        if let MediaEvent::Digit { digit, .. } = event {
            assert!("0123456789*#ABCD".contains(digit));
        }
    }
    events
}

fn target(mut chance: Chance<'_>) {
    let corpus = rtp::corpus();
    let mut plane = new_plane(&mut chance);
    let mut wire = Sink::default();
    let mut now = Instant::from_micros(1_000_000);
    let mut sequence = u16::from(chance.octet()) << 8;
    for n in 0..2 {
        let port = PortId(n);
        plane.command(now, MediaCommand::OpenRtp { port, socket: SOCKET + 2 * n as u16 }, &mut wire);
        plane.command(now, MediaCommand::SetStream { port, stream: stream(&mut chance) }, &mut wire);
    }
    plane.command(now, MediaCommand::Bridge { a: PortId(0), b: PortId(1) }, &mut wire);
    while !chance.is_spent() {
        wire.sent = 0;
        match chance.below(8) {
            0 => plane.command(now, command(&mut chance), &mut wire),
            1 | 2 => {
                now += Duration::from_millis(u64::from(chance.octet()) * if chance.one_in(16) { 500 } else { 1 });
                let mut ticks = 0;
                while plane.poll_timeout().is_some_and(|at| at <= now) {
                    plane.tick(now, &mut wire);
                    ticks += 1;
                    assert!(ticks <= 8, "a tick leaves nothing due");
                }
            }
            _ => {
                let mut packet = arriving(&mut chance, &mut sequence, &corpus, &wire.last);
                packet.truncate(PACKET_MAX);
                let kind = if chance.one_in(6) { SocketKind::Rtcp } else { SocketKind::Rtp };
                let socket = SOCKET + 2 * u16::from(chance.octet() % 4);
                let from = peer(&mut chance);
                let payload = packet::payload(&packet).map(<[u8]>::len);
                plane.receive(now, socket, kind, from, &mut packet, &mut wire);
                // An event that is passed on is sent after the audio collected before it.
                assert!(wire.sent <= 2, "{} packets for one", wire.sent);
                assert!(payload.is_none_or(|len| len <= packet.len()));
            }
        }
        assert!(wire.sent <= 64, "{} packets at once", wire.sent);
        assert!(drain(&mut plane) <= 64);
        assert!(plane.ports() <= PORTS as usize);
    }
    for port in (0..PORTS).map(PortId) {
        plane.command(now, MediaCommand::Close { port }, &mut wire);
    }
    drain(&mut plane);
    assert_eq!((plane.ports(), plane.poll_timeout()), (0, None), "nothing is left");
}

#[test]
fn packets_and_commands() {
    fuzz!(6_144, target);
}
