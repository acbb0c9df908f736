//! The thread over real sockets on the loopback interface. Waiting is bounded by read timeouts, which only a failure
//! reaches.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

use super::*;
use crate::base::{Codec, PlayId, PortId};
use crate::core::media::{PlayItem, StreamParams};
use crate::media::NoRecorder;
use crate::proto::rtp::packet::{self, Header};
use crate::proto::sdp::{Association, Fingerprint};

const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    media: MediaHandle,
    events: smol::channel::Receiver<MediaEvent>,
}

impl Bench {
    /// Each test has a range of its own, so that they run side by side.
    fn new(port_min: u16) -> Bench {
        Self::with(port_min, None)
    }

    fn with(port_min: u16, second: Option<IpAddr>) -> Bench {
        let config = RtpConfig { address: Ipv4Addr::LOCALHOST.into(), second, port_min, port_max: port_min + 99 };
        let (sender, events) = smol::channel::bounded(1_024);
        let prompts = HashMap::from([(Arc::from("hello"), vec![8_000; 800])]);
        let media = spawn(config, prompts, Vec::new(), NoRecorder, sender, Clock::start(), None).expect("spawned");
        Bench { media, events }
    }

    fn send(&self, command: MediaCommand) {
        self.media.send(command).expect("room");
        self.media.wake();
    }

    fn event(&self) -> MediaEvent {
        let timeout = async {
            smol::Timer::after(PATIENCE).await;
            Err(smol::channel::RecvError)
        };
        smol::block_on(smol::future::or(self.events.recv(), timeout)).expect("an event in time")
    }

    fn bind(&self, count: u16) -> Vec<u16> {
        self.send(MediaCommand::BindSockets(count));
        match self.event() {
            MediaEvent::Sockets(sockets) => sockets,
            other => panic!("{other:?} instead of sockets"),
        }
    }

    /// Opens a port for a telephone, which is the socket returned.
    fn open(&self, port: PortId, socket: u16) -> UdpSocket {
        self.open_at(port, Ipv4Addr::LOCALHOST.into(), socket)
    }

    fn open_at(&self, port: PortId, address: IpAddr, socket: u16) -> UdpSocket {
        let phone = UdpSocket::bind((address, 0)).expect("a free port");
        phone.set_read_timeout(Some(PATIENCE)).expect("set");
        phone.connect((address, socket)).expect("connected");
        let remote = phone.local_addr().expect("bound");
        self.send(MediaCommand::OpenRtp { port, socket });
        self.send(MediaCommand::SetStream {
            port,
            stream: StreamParams {
                telephone_event: Some(101),
                remote_rtcp: remote,
                ..StreamParams::both_ways(Codec::Pcmu, remote)
            },
        });
        phone
    }
}

fn rtp(sequence: u16) -> Vec<u8> {
    let timestamp = u32::from(sequence) * 160;
    let header = Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 77 };
    let mut packet = header.to_octets().to_vec();
    packet.extend([sequence as u8; 160]);
    packet
}

fn receive(phone: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2_000];
    let len = phone.recv(&mut buffer).expect("a packet in time");
    buffer[..len].to_vec()
}

#[test]
fn a_bridge_relays_over_real_sockets() {
    let bench = Bench::new(31_001);
    let sockets = bench.bind(4);
    assert!(sockets.iter().all(|socket| socket % 2 == 0 && (31_002..31_100).contains(socket)), "{sockets:?}");
    let (a, b) = (PortId(1), PortId(2));
    let (phone_a, phone_b) = (bench.open(a, sockets[0]), bench.open(b, sockets[1]));
    bench.send(MediaCommand::Bridge { a, b });
    // Commands are done in order: when this playback's end is told, the bridge stands.
    bench.send(MediaCommand::Play { port: a, play: PlayId(1), items: Vec::new() });
    assert_eq!(bench.event(), MediaEvent::PlayDone { port: a, play: PlayId(1) });
    for sequence in 0..50 {
        phone_b.send(&rtp(sequence)).expect("sent");
        // A frame of the playback may come first.
        while packet::payload(&receive(&phone_a)) != Some(&[sequence as u8; 160]) {}
    }
    bench.send(MediaCommand::Close { port: a });
    match bench.event() {
        MediaEvent::Closed { port, stats, socket } => {
            assert_eq!((port, socket), (a, Some(sockets[0])));
            assert!(stats.tx_packets >= 50);
        }
        other => panic!("{other:?} instead of the end"),
    }
    bench.media.stop();
}

#[test]
fn a_bridge_joins_both_families() {
    let second = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((second, 0)).is_err() {
        println!("skipped: no IPv6 here");
        return;
    }
    let bench = Bench::with(31_600, Some(second));
    let sockets = bench.bind(2);
    let (a, b) = (PortId(1), PortId(2));
    let old = bench.open(a, sockets[0]);
    let new = bench.open_at(b, second, sockets[1]);
    bench.send(MediaCommand::Bridge { a, b });
    bench.send(MediaCommand::Play { port: a, play: PlayId(1), items: Vec::new() });
    assert_eq!(bench.event(), MediaEvent::PlayDone { port: a, play: PlayId(1) });
    for sequence in 0..20 {
        for (from, to) in [(&old, &new), (&new, &old)] {
            from.send(&rtp(sequence)).expect("sent");
            while packet::payload(&receive(to)) != Some(&[sequence as u8; 160]) {}
        }
    }
    bench.media.stop();
}

#[test]
fn a_prompt_plays_in_time() {
    let bench = Bench::new(31_200);
    let sockets = bench.bind(1);
    let phone = bench.open(PortId(1), sockets[0]);
    let items = vec![PlayItem::Prompt(Arc::from("hello"))];
    bench.send(MediaCommand::Play { port: PortId(1), play: PlayId(4), items });
    for _ in 0..5 {
        assert_eq!(packet::payload(&receive(&phone)).map(<[u8]>::len), Some(160));
    }
    assert_eq!(bench.event(), MediaEvent::PlayDone { port: PortId(1), play: PlayId(4) });
    bench.media.stop();
}

#[test]
fn the_range_ends() {
    let bench = Bench::new(31_400);
    bench.send(MediaCommand::BindSockets(200));
    let MediaEvent::Sockets(sockets) = bench.event() else { panic!("sockets first") };
    assert!(sockets.len() <= 50);
    assert_eq!(bench.event(), MediaEvent::SocketsExhausted);
    bench.send(MediaCommand::OpenRtp { port: PortId(1), socket: 1_000 });
    assert_eq!(bench.event(), MediaEvent::Failed { port: PortId(1) }, "not one of ours");
    bench.media.stop();
}

/// The thread's insides, without the thread.
fn engine(port_min: u16) -> (Engine, SyncSender<MediaCommand>, SyncSender<Outcome>, Receiver<Order>) {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("an eventfd");
    let shared = Arc::new(Shared::new(wake));
    let address = Ipv4Addr::LOCALHOST.into();
    let (orders, ordered) = sync_channel(dtls::ORDERS);
    let handshakes = Handshakes::new(Some(orders), Arc::clone(&shared.dtls));
    let config = RtpConfig { address, second: None, port_min, port_max: port_min + 99 };
    let sockets = Sockets::new(config, epoll, handshakes);
    let (commands, inbox) = sync_channel(COMMANDS);
    let (told, outcomes) = sync_channel(dtls::OUTCOMES);
    let plane = Plane::new(PlaneConfig {
        prompts: HashMap::new(),
        music: Arc::new(Prompt::new(&[])),
        bearers: Vec::new(),
        recorder: Box::new(NoRecorder),
        seed: [1; 32],
    });
    let engine = Engine {
        clock: Clock::start(),
        shared,
        inbox,
        outcomes: Some(outcomes),
        to_bind: 0,
        bound: Vec::new(),
        events: smol::channel::bounded(1).0,
        undelivered: None,
        sockets,
        plane,
        watch: Watch::default(),
        shown: Counts::default(),
        shown_at: Instant::ZERO,
        too_long: 0,
    };
    (engine, commands, told, ordered)
}

#[test]
fn stale_packets_are_gone_when_a_socket_opens_again() {
    let (mut engine, ..) = engine(32_000);
    let socket = engine.sockets.bind_next().expect("a pair");
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    for sequence in 0..20 {
        stranger.send_to(&rtp(sequence), (Ipv4Addr::LOCALHOST, socket)).expect("sent");
    }
    assert!(engine.sockets.prepare(socket));
    let mut buffer = [0; PACKET_MAX];
    assert!(engine.sockets.receive(0, &mut buffer).is_none(), "nothing is left of the time before");
    assert!(!engine.sockets.prepare(socket + 2), "not bound");
}

#[test]
fn commands_and_new_sockets_come_in_slices() {
    let (mut engine, commands, ..) = engine(32_200);
    let now = Instant::ZERO;
    for n in 0..COMMANDS_PER_TURN as u64 + 10 {
        commands.send(MediaCommand::OpenRtp { port: PortId(n), socket: 1_000 }).expect("room");
    }
    engine.take_commands(now, COMMANDS_PER_TURN);
    assert_eq!(engine.plane.events_len(), COMMANDS_PER_TURN);
    assert!(engine.shared.pending.swap(false, Ordering::SeqCst), "the next turn looks again");
    engine.take_commands(now, COMMANDS_PER_TURN);
    assert_eq!(engine.plane.events_len(), COMMANDS_PER_TURN + 10);
    assert!(!engine.shared.pending.load(Ordering::SeqCst));
    while engine.plane.poll_event().is_some() {}

    engine.to_bind = 20;
    engine.bind();
    assert_eq!((engine.bound.len(), engine.plane.events_len()), (16, 0));
    assert!(engine.shared.pending.swap(false, Ordering::SeqCst));
    engine.bind();
    let Some(MediaEvent::Sockets(sockets)) = engine.plane.poll_event() else { panic!("no sockets") };
    assert_eq!((sockets.len(), engine.to_bind), (20, 0));
    engine.to_bind = 200;
    (0..13).for_each(|_| engine.bind());
    assert!(matches!(engine.plane.poll_event(), Some(MediaEvent::Sockets(sockets)) if sockets.len() <= 30));
    assert_eq!(engine.plane.poll_event(), Some(MediaEvent::SocketsExhausted));
}

/// A handshake that is waited for on a port, with a peer of this certificate.
fn awaits(port: PortId, fingerprint: u8, remote: SocketAddr) -> MediaCommand {
    let fingerprint = Fingerprint([fingerprint; 32]);
    let protection = Protection::Dtls(Association { active: false, fingerprint, tls_id: None });
    let (protection, signalling) = (Some(Box::new(protection)), remote.ip());
    MediaCommand::SetTransport { port, protection, rtcp_mux: true, remote, signalling, answered: true }
}

#[test]
fn what_a_replaced_handshake_brings_is_nobodys() {
    let (mut engine, _, told, ordered) = engine(32_600);
    let (port, peer) = (PortId(1), SocketAddr::from(([192, 0, 2, 1], 4_000)));
    let generation = |command: MediaCommand, engine: &mut Engine| {
        engine.tell_handshakes(&command);
        match ordered.try_recv() {
            Ok(Order::Begin { generation, .. }) => generation,
            other => panic!("{other:?} instead of a beginning"),
        }
    };
    let first = generation(awaits(port, 1, peer), &mut engine);
    let moved = SocketAddr::from(([192, 0, 2, 1], 5_000));
    assert_eq!(generation(awaits(port, 1, moved), &mut engine), first, "the same peer elsewhere");
    let second = generation(awaits(port, 2, peer), &mut engine);
    assert_ne!(first, second);
    told.send(Outcome::Failed { port, generation: first, reason: "certificate" }).expect("room");
    engine.take_outcomes();
    assert_eq!(engine.plane.poll_event(), None);
    told.send(Outcome::Failed { port, generation: second, reason: "certificate" }).expect("room");
    engine.take_outcomes();
    assert_eq!(engine.plane.poll_event(), Some(MediaEvent::SecureFailed { port, reason: "certificate" }));
}

#[test]
fn a_command_is_seen_whether_the_thread_waits_or_works() {
    let bench = Bench::new(31_800);
    let sockets = bench.bind(2);
    let (a, b) = (PortId(1), PortId(2));
    let (phone_a, _phone_b) = (bench.open(a, sockets[0]), bench.open(b, sockets[1]));
    bench.send(MediaCommand::Bridge { a, b });
    let failed = PortId(3);
    for sequence in 0..2_000u16 {
        // Up to some .2 ms between two rounds: the thread works, and now and then waits.
        for n in 0..sequence % 4 {
            phone_a.send(&rtp(sequence + n)).expect("sent");
        }
        if sequence.is_multiple_of(100) {
            std::thread::sleep(Duration::from_millis(3));
        }
        bench.send(MediaCommand::OpenRtp { port: failed, socket: 1_000 });
        assert_eq!(bench.event(), MediaEvent::Failed { port: failed });
    }
    bench.media.stop();
}

#[test]
fn what_is_dropped_is_counted_by_reason() {
    let (mut engine, ..) = engine(32_800);
    let socket = engine.sockets.bind_next().expect("a pair");
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let mut buffer = [0; PACKET_MAX + 1];
    for len in [200, PACKET_MAX + 1, PACKET_MAX + 1] {
        stranger.send_to(&vec![0x80; len], (Ipv4Addr::LOCALHOST, socket)).expect("sent");
        engine.receive(Instant::ZERO, 0, &mut buffer);
    }
    engine.count(Instant::ZERO);
    assert_eq!(engine.shared.dropped.read().collect::<Vec<_>>(), [("too-long", 2), ("no-port", 1)]);
}

#[test]
fn what_was_dropped_is_told_though_nothing_more_comes() {
    let (mut engine, ..) = engine(33_000);
    engine.sockets.bind_next().expect("a pair");
    assert_eq!(engine.count_due(), None);
    engine.too_long += 1;
    let mut now = Instant::ZERO + SHOW;
    assert_eq!(engine.count_due(), Some(now), "for status");
    engine.count(now);
    let logged = engine.count_due().expect("for the log");
    assert!(logged > now);
    now = logged;
    engine.count(now);
    assert_eq!(engine.count_due(), None);

    let bench = Bench::new(33_200);
    let sockets = bench.bind(1);
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    stranger.send_to(&rtp(0), (Ipv4Addr::LOCALHOST, sockets[0])).expect("sent");
    let shown = || {
        std::thread::sleep(Duration::from_millis(20));
        bench.media.dropped().any(|dropped| dropped == ("no-port", 1))
    };
    assert!((0..500).any(|_| shown()));
    bench.media.stop();
}
