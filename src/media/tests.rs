//! The plane driven whole: packets and commands in, packets and events out, virtual time.

mod bridge;
mod crypt;
mod digits;
mod frames;
mod quality;
mod robustness;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cordboard_hal::{Bearer, Error, ErrorKind, Law};

use crate::base::{CardId, Circuit, Codec, Instant, PlayId, PortId};
use crate::core::media::{MediaCommand, MediaEvent, StreamParams};
use crate::media::{FRAME_TIME, Plane, PlaneConfig, Prompt, RecordError, RecordSink, Samples, SocketKind, Wire};
use crate::proto::rtp::packet::{self, Header};

const A: PortId = PortId(1);
const B: PortId = PortId(2);
const SOCKET_A: u16 = 20_000;
const SOCKET_B: u16 = 20_002;
const EVENT_PT: u8 = 101;

/// The law that a test's codec is.
fn law(codec: Codec) -> crate::base::Law {
    codec.law().expect("a law of G.711")
}

/// A packet that the plane sent.
#[derive(Clone, Debug)]
struct Sent {
    socket: u16,
    kind: SocketKind,
    to: SocketAddr,
    packet: Vec<u8>,
}

impl Sent {
    fn header(&self) -> Header {
        Header::read(&self.packet).expect("a valid header")
    }

    fn payload(&self) -> &[u8] {
        packet::payload(&self.packet).expect("a valid packet")
    }
}

#[derive(Default)]
struct FakeWire(Vec<Sent>);

impl Wire for FakeWire {
    fn send(&mut self, socket: u16, kind: SocketKind, to: SocketAddr, packet: &[u8]) {
        self.0.push(Sent { socket, kind, to, packet: packet.to_vec() });
    }
}

/// What a test sees of a recording.
#[derive(Default)]
struct Recorded {
    frames: Vec<(Samples, Samples)>,
    finished: Vec<Arc<str>>,
    fail_after: Option<usize>,
    /// So often something still waits.
    unsettled: usize,
}

#[derive(Clone, Default)]
struct FakeRecorder(Arc<Mutex<Recorded>>);

impl RecordSink for FakeRecorder {
    fn frame(&mut self, _: &Arc<str>, left: &Samples, right: &Samples) -> Result<(), RecordError> {
        let mut recorded = self.0.lock().expect("not poisoned");
        if recorded.fail_after.is_some_and(|limit| recorded.frames.len() >= limit) {
            return Err(RecordError::Storage);
        }
        recorded.frames.push((*left, *right));
        Ok(())
    }

    fn finish(&mut self, name: &Arc<str>) {
        self.0.lock().expect("not poisoned").finished.push(name.clone());
    }

    fn settle(&mut self) -> bool {
        let mut recorded = self.0.lock().expect("not poisoned");
        recorded.unsettled = recorded.unsettled.saturating_sub(1);
        recorded.unsettled > 0
    }
}

/// A timeslot whose two directions a test holds.
#[derive(Default)]
struct Line {
    from_line: Vec<u8>,
    to_line: Vec<u8>,
    gone: bool,
}

#[derive(Clone)]
struct FakeBearer(Law, Arc<Mutex<Line>>);

impl Bearer for FakeBearer {
    fn law(&self) -> Law {
        self.0
    }

    fn read(&mut self, buf: &mut [u8]) -> cordboard_hal::Result<usize> {
        let mut line = self.1.lock().expect("not poisoned");
        if line.gone {
            return Err(Error::new(ErrorKind::Gone, "read"));
        }
        let len = buf.len().min(line.from_line.len());
        for (to, from) in buf.iter_mut().zip(line.from_line.drain(..len)) {
            *to = from;
        }
        Ok(len)
    }

    fn write(&mut self, octets: &[u8]) -> cordboard_hal::Result<usize> {
        let mut line = self.1.lock().expect("not poisoned");
        if line.gone {
            return Err(Error::new(ErrorKind::Gone, "write"));
        }
        line.to_line.extend_from_slice(octets);
        Ok(octets.len())
    }
}

fn circuit(timeslot: u8) -> Circuit {
    Circuit { card: CardId(0), span: 1, timeslot }
}

/// The plane with time, wire, two T1 timeslots and an E1 one.
struct Bench {
    plane: Plane,
    now: Instant,
    wire: FakeWire,
    lines: [Arc<Mutex<Line>>; 3],
    recorder: FakeRecorder,
}

const LAWS: [Law; 3] = [Law::Ulaw, Law::Ulaw, Law::Alaw];

impl Bench {
    fn new() -> Bench {
        let lines: [Arc<Mutex<Line>>; 3] = Default::default();
        let bearers = (1..).zip(LAWS.iter().zip(&lines)).map(|(timeslot, (&law, line))| {
            (circuit(timeslot), Box::new(FakeBearer(law, line.clone())) as Box<dyn Bearer>)
        });
        let recorder = FakeRecorder::default();
        let steady = |value: i16, samples: usize| Arc::new(Prompt::new(&vec![value; samples]));
        let prompts = HashMap::from([
            (Arc::from("high"), steady(8_000, 480)),
            (Arc::from("low"), steady(-8_000, 320)),
            (Arc::from("long"), steady(4_000, 80_000)),
        ]);
        let plane = Plane::new(PlaneConfig {
            prompts,
            music: Arc::new(Prompt::new(&(0..1_600).map(|n| n * 20).collect::<Vec<i16>>())),
            bearers: bearers.collect(),
            recorder: Box::new(recorder.clone()),
            seed: [42; 32],
        });
        Bench { plane, now: Instant::from_micros(1_000_000_000), wire: FakeWire::default(), lines, recorder }
    }

    /// Two RTP ports with streams, bridged.
    fn bridged(a: StreamParams, b: StreamParams) -> Bench {
        let mut bench = Bench::new();
        bench.open(A, SOCKET_A, a);
        bench.open(B, SOCKET_B, b);
        bench.command(MediaCommand::Bridge { a: A, b: B });
        bench
    }

    fn open(&mut self, port: PortId, socket: u16, stream: StreamParams) {
        self.command(MediaCommand::OpenRtp { port, socket });
        self.command(MediaCommand::SetStream { port, stream });
    }

    fn open_tdm(&mut self, port: PortId, timeslot: u8) {
        self.command(MediaCommand::OpenTdm { port, circuit: circuit(timeslot), detect_dtmf: true });
    }

    fn command(&mut self, command: MediaCommand) {
        self.plane.command(self.now, command, &mut self.wire);
    }

    fn receive(&mut self, socket: u16, from: SocketAddr, packet: &[u8]) {
        let mut packet = packet.to_vec();
        self.plane.receive(self.now, socket, SocketKind::Rtp, from, &mut packet, &mut self.wire);
    }

    /// Lets `frames` times 20 ms pass, with ticks when the plane wants them. Returns how often it wanted them.
    fn pass(&mut self, frames: u32) -> u32 {
        let mut ticks = 0;
        let end = self.now + FRAME_TIME * frames;
        while let Some(due) = self.plane.poll_timeout().filter(|&due| due <= end) {
            self.now = due.max(self.now);
            self.plane.tick(self.now, &mut self.wire);
            ticks += 1;
        }
        self.now = end;
        ticks
    }

    fn events(&mut self) -> Vec<MediaEvent> {
        std::iter::from_fn(|| self.plane.poll_event()).collect()
    }

    /// RTP that was sent from `socket` since the last call for it.
    fn sent(&mut self, socket: u16) -> Vec<Sent> {
        let (taken, rest) = std::mem::take(&mut self.wire.0)
            .into_iter()
            .partition(|sent| sent.socket == socket && sent.kind == SocketKind::Rtp);
        self.wire.0 = rest;
        taken
    }

    fn line(&self, timeslot: u8) -> std::sync::MutexGuard<'_, Line> {
        self.lines[usize::from(timeslot) - 1].lock().expect("not poisoned")
    }
}

fn peer(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 4_000))
}

fn stream(codec: Codec, remote: SocketAddr) -> StreamParams {
    StreamParams { telephone_event: Some(EVENT_PT), ..StreamParams::both_ways(codec, remote) }
}

/// The `n`th packet of a talker.
fn rtp(payload_type: u8, n: u16, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        marker: n == 0,
        payload_type,
        sequence: 700 + n,
        timestamp: 90_000 + u32::from(n) * 160,
        ssrc: 0xabcd_0000 | u32::from(payload_type == 8),
    };
    let mut packet = header.to_octets().to_vec();
    packet.extend_from_slice(payload);
    packet
}

fn event_packet(n: u16, timestamp: u32, code: u8, duration: u16, end: bool) -> Vec<u8> {
    let header =
        Header { marker: duration == 160, payload_type: EVENT_PT, sequence: 700 + n, timestamp, ssrc: 0xabcd_0000 };
    let mut packet = header.to_octets().to_vec();
    let [d0, d1] = duration.to_be_bytes();
    packet.extend([code, if end { 0x8a } else { 0x0a }, d0, d1]);
    packet
}
