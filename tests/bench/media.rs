//! What the media plane costs without the kernel: a relayed packet, and a frame of a port on each of the frame paths.
//! `cargo bench --bench media`. A G.711 call is 100 packets, or 100 port frames, a second.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use cordboard::base::{Codec, Instant, PlayId, PortId};
use cordboard::core::media::{MediaCommand, StreamParams};
use cordboard::media::{FRAME_TIME, Plane, PlaneConfig, Prompt, RecordError, RecordSink, Samples, SocketKind, Wire};
use cordboard::proto::sdp::Protection;
use cordboard::proto::srtp::{KeyGenerator, Sender, Suite, TAIL_MAX};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// Ports of a plane: 400 calls.
const PORTS: u16 = 800;

struct NullWire;

impl Wire for NullWire {
    fn send(&mut self, _: u16, _: SocketKind, _: SocketAddr, packet: &[u8]) {
        black_box(packet);
    }
}

struct NullRecorder;

impl RecordSink for NullRecorder {
    fn frame(&mut self, _: &Arc<str>, left: &Samples, right: &Samples) -> Result<(), RecordError> {
        black_box((left, right));
        Ok(())
    }

    fn finish(&mut self, _: &Arc<str>) {}
}

fn peer(n: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 10_000 + n))
}

/// A plane of bridged pairs; the second of each pair has the codec `other`.
fn bridged(now: Instant, other: Codec, telephone_event: Option<u8>) -> Plane {
    let mut plane = Plane::new(PlaneConfig {
        prompts: HashMap::new(),
        music: Arc::new(Prompt::new(&vec![1_000; 80_000])),
        bearers: Vec::new(),
        recorder: Box::new(NullRecorder),
        seed: [1; 32],
    });
    for n in 0..PORTS {
        let port = PortId(u64::from(n));
        let codec = if n % 2 == 0 { Codec::Pcmu } else { other };
        let stream = StreamParams { telephone_event, ..StreamParams::both_ways(codec, peer(n)) };
        plane.command(now, MediaCommand::OpenRtp { port, socket: 20_000 + 2 * n }, &mut NullWire);
        plane.command(now, MediaCommand::SetStream { port, stream }, &mut NullWire);
        if n % 2 == 1 {
            plane.command(now, MediaCommand::Bridge { a: PortId(u64::from(n) - 1), b: port }, &mut NullWire);
        }
    }
    plane
}

fn packet_of(n: u16, sequence: u16, codec: Codec) -> [u8; 172] {
    let mut packet = [0x55; 172];
    packet[..4].copy_from_slice(&[0x80, codec.payload_type(), (sequence >> 8) as u8, sequence as u8]);
    packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet[8..12].copy_from_slice(&u32::from(n).to_be_bytes());
    packet
}

/// One packet for every port, then a tick: 20 ms of all calls.
fn turn(plane: &mut Plane, now: Instant, sequence: u16, other: Codec) {
    for n in 0..PORTS {
        let codec = if n % 2 == 0 { Codec::Pcmu } else { other };
        let mut packet = packet_of(n, sequence, codec);
        plane.receive(now, 20_000 + 2 * n, SocketKind::Rtp, peer(n), &mut packet, &mut NullWire);
    }
    plane.tick(now, &mut NullWire);
    while plane.poll_event().is_some() {}
}

fn run(bencher: Bencher, mut plane: Plane, other: Codec) {
    let mut now = Instant::from_micros(1_000_000);
    let mut sequence = 0u16;
    bencher.counter(ItemsCount::new(PORTS)).bench_local(|| {
        now += FRAME_TIME;
        sequence = sequence.wrapping_add(1);
        turn(&mut plane, now, sequence, other);
    });
}

/// The shortest path.
#[divan::bench]
fn relay(bencher: Bencher) {
    run(bencher, bridged(Instant::from_micros(1_000_000), Codec::Pcmu, Some(101)), Codec::Pcmu);
}

/// As `relay`, each port protected by its own keys: taken off and put on for every packet. The turn includes what the
/// peers do to protect what they send, which `protect` measures alone.
#[divan::bench(args = Suite::ALL)]
fn relay_srtp(bencher: Bencher, suite: Suite) {
    let mut now = Instant::from_micros(1_000_000);
    let mut plane = bridged(now, Codec::Pcmu, Some(101));
    let mut keys = KeyGenerator::new([1; 32]);
    let mut peers: Vec<Sender> = (0..PORTS)
        .map(|n| {
            let (send, receive) = (keys.master_key(suite), keys.master_key(suite));
            let peer_sender = Sender::new(&receive);
            let protection = Some(Box::new(Protection::Sdes { tag: 1, send, receive, mki: Vec::new() }));
            let (port, remote) = (PortId(u64::from(n)), peer(n));
            let command = MediaCommand::SetTransport {
                port,
                protection,
                rtcp_mux: false,
                remote,
                signalling: remote.ip(),
                answered: true,
            };
            plane.command(now, command, &mut NullWire);
            peer_sender
        })
        .collect();
    let mut sequence = 0u16;
    bencher.counter(ItemsCount::new(PORTS)).bench_local(|| {
        now += FRAME_TIME;
        sequence = sequence.wrapping_add(1);
        for (n, sender) in (0..PORTS).zip(&mut peers) {
            let mut packet = [0x55; 172 + TAIL_MAX];
            packet[..172].copy_from_slice(&packet_of(n, sequence, Codec::Pcmu));
            let len = sender.protect(&mut packet, 172).expect("protected");
            plane.receive(now, 20_000 + 2 * n, SocketKind::Rtp, peer(n), &mut packet[..len], &mut NullWire);
        }
        plane.tick(now, &mut NullWire);
        while plane.poll_event().is_some() {}
    });
}

/// Protecting one packet of 20 ms.
#[divan::bench(args = Suite::ALL)]
fn protect(bencher: Bencher, suite: Suite) {
    let mut sender = Sender::new(&KeyGenerator::new([1; 32]).master_key(suite));
    let mut sequence = 0u16;
    bencher.counter(ItemsCount::new(1u8)).bench_local(|| {
        sequence = sequence.wrapping_add(1);
        let mut packet = [0x55; 172 + TAIL_MAX];
        packet[..172].copy_from_slice(&packet_of(1, sequence, Codec::Pcmu));
        black_box(sender.protect(&mut packet, 172)).expect("protected")
    });
}

/// Jitter buffer, concealment history, and the other law.
#[divan::bench]
fn transcode(bencher: Bencher) {
    run(bencher, bridged(Instant::from_micros(1_000_000), Codec::Pcma, Some(101)), Codec::Pcma);
}

/// As `transcode`, with DTMF detection on every port.
#[divan::bench]
fn transcode_and_detect(bencher: Bencher) {
    run(bencher, bridged(Instant::from_micros(1_000_000), Codec::Pcma, None), Codec::Pcma);
}

/// As `relay`, but every second port is recorded.
#[divan::bench]
fn record(bencher: Bencher) {
    let now = Instant::from_micros(1_000_000);
    let mut plane = bridged(now, Codec::Pcmu, Some(101));
    for n in (0..u64::from(PORTS)).step_by(2) {
        plane.command(now, MediaCommand::Record { port: PortId(n), name: Arc::from("r") }, &mut NullWire);
    }
    run(bencher, plane, Codec::Pcmu);
}

/// Music on hold to every port.
#[divan::bench]
fn music(bencher: Bencher) {
    let now = Instant::from_micros(1_000_000);
    let mut plane = bridged(now, Codec::Pcmu, Some(101));
    for n in 0..u64::from(PORTS) {
        plane.command(now, MediaCommand::Unbridge { port: PortId(n) }, &mut NullWire);
        let command = MediaCommand::Music { port: PortId(n), play: PlayId(n), source: None };
        plane.command(now, command, &mut NullWire);
    }
    run(bencher, plane, Codec::Pcmu);
}
