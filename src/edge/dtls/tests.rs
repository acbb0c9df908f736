//! Handshakes of two of ours with one another, in virtual time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::*;

const PORT: PortId = PortId(7);

type Told = Rc<RefCell<VecDeque<Outcome>>>;

struct Side {
    handshakes: Handshakes<Box<dyn FnMut(Outcome)>>,
    told: Told,
    fingerprint: Fingerprint,
    address: SocketAddr,
    keys: Option<(MasterKey, MasterKey)>,
    failed: Vec<&'static str>,
}

fn side(port: u16) -> Side {
    let identity = Identity::generate().expect("an identity");
    let (told, fingerprint): (Told, _) = (Rc::default(), identity.fingerprint());
    let queue = Rc::clone(&told);
    let tell: Box<dyn FnMut(Outcome)> = Box::new(move |outcome| queue.borrow_mut().push_back(outcome));
    let handshakes = Handshakes::new(identity, tell).expect("limits that hold");
    let address = SocketAddr::from(([192, 0, 2, 1], port));
    Side { handshakes, told, fingerprint, address, keys: None, failed: Vec::new() }
}

impl Side {
    fn next(&self) -> Option<Outcome> {
        self.told.borrow_mut().pop_front()
    }
}

struct Pair {
    now: Instant,
    sides: [Side; 2],
    /// Each so-manieth datagram is lost; 0 for none.
    lost: usize,
    sent: usize,
    /// Datagrams to somebody else.
    astray: usize,
    /// What neighbours of either peer, at its host, say between all that the two say.
    neighbours: Option<Vec<u8>>,
}

impl Pair {
    fn new() -> Pair {
        Pair { now: Instant::now(), sides: [side(1_000), side(2_000)], lost: 0, sent: 0, astray: 0, neighbours: None }
    }

    /// Both begin, the first one actively, each with a fingerprint to expect.
    fn begin(&mut self, expected: [Fingerprint; 2]) {
        let addresses = [self.sides[1].address, self.sides[0].address];
        for n in 0..2 {
            let (remote, signalling) = (addresses[n], addresses[n].ip());
            let order = Order::Begin {
                port: PORT,
                generation: 1,
                remote,
                signalling,
                active: n == 0,
                fingerprint: expected[n],
                answered: false,
            };
            self.sides[n].handshakes.handle(self.now, order);
        }
    }

    fn right(&self) -> [Fingerprint; 2] {
        [self.sides[1].fingerprint, self.sides[0].fingerprint]
    }

    /// Carries datagrams to and fro, and lets time pass up to `end` when there are none.
    fn run(&mut self, end: Instant) {
        loop {
            let mut idle = true;
            for n in 0..2 {
                while let Some(outcome) = self.sides[n].next() {
                    idle = false;
                    match outcome {
                        Outcome::Send { to, .. } if to != self.sides[1 - n].address => {
                            self.astray += 1;
                        }
                        Outcome::Send { datagram, .. } => {
                            assert!(datagram.len() <= RECORD_MAX && (20..=63).contains(&datagram[0]));
                            self.sent += 1;
                            if let Some(said) = self.neighbours.clone() {
                                self.throw(neighbour(self.sent as u16), &said);
                            }
                            if self.lost == 0 || !self.sent.is_multiple_of(self.lost) {
                                let from = self.sides[n].address;
                                let order = Order::Record { port: PORT, from, datagram: datagram.into() };
                                self.sides[1 - n].handshakes.handle(self.now, order);
                            }
                        }
                        Outcome::Keys { send, receive, .. } => self.sides[n].keys = Some((send, receive)),
                        Outcome::Failed { reason, .. } => self.sides[n].failed.push(reason),
                    }
                }
            }
            if idle {
                let due = self.sides.iter().filter_map(|side| side.handshakes.poll_timeout()).min();
                let Some(due) = due.filter(|due| *due <= end) else { break };
                self.now = due.max(self.now);
                self.sides.iter_mut().for_each(|side| side.handshakes.handle_timeout(self.now));
            }
        }
        self.now = end;
    }

    fn assert_keys(&self) {
        let [Some((a, b)), Some((c, d))] = [&self.sides[0].keys, &self.sides[1].keys] else { panic!("no keys") };
        assert!(a == d && b == c && a != b, "what one protects with, the other takes off with");
    }
}

#[test]
fn both_sides_have_the_same_keys() {
    let mut pair = Pair::new();
    pair.begin(pair.right());
    pair.run(pair.now + Duration::from_secs(1));
    pair.assert_keys();
    assert!(pair.sides.iter().all(|side| side.handshakes.running() == 0 && side.failed.is_empty()));
    // Settled: the machines go, and the same order begins nothing.
    pair.run(pair.now + SETTLE);
    assert!(pair.sides.iter().all(|side| side.handshakes.poll_timeout().is_none()));
    let sent = pair.sent;
    pair.begin(pair.right());
    pair.run(pair.now + Duration::from_secs(1));
    assert_eq!(pair.sent, sent);
}

#[test]
fn lost_records_are_repeated() {
    for lost in [3, 4, 5] {
        let mut pair = Pair::new();
        pair.lost = lost;
        pair.begin(pair.right());
        pair.run(pair.now + HANDSHAKE_MAX * 2);
        pair.assert_keys();
    }
}

#[test]
fn another_certificate_than_the_described_one_is_refused() {
    for wrong in [0, 1] {
        let mut pair = Pair::new();
        let mut expected = pair.right();
        expected[wrong].0[31] ^= 1;
        pair.begin(expected);
        pair.run(pair.now + HANDSHAKE_MAX * 2);
        assert_eq!(pair.sides[wrong].failed, ["certificate"]);
        assert!(pair.sides[wrong].keys.is_none());
        assert!(pair.sides.iter().all(|side| side.handshakes.running() == 0));
    }
}

#[test]
fn nobody_there_is_a_failure_in_bounded_time() {
    let mut pair = Pair::new();
    pair.lost = 1;
    pair.begin(pair.right());
    pair.run(pair.now + HANDSHAKE_MAX);
    assert_eq!(pair.sides[0].failed, ["timeout"]);
    pair.run(pair.now + FIRST_RECORD_MAX);
    assert_eq!(pair.sides[1].failed, ["timeout"]);
    assert!(pair.sides.iter().all(|side| side.handshakes.poll_timeout().is_none()));
}

/// Before the answer a phone rings, and may begin only then; after it, silence is a failure.
#[test]
fn a_peer_that_is_to_begin_has_little_time_after_the_answer() {
    let mut pair = Pair::new();
    let (remote, fingerprint) = (pair.sides[0].address, pair.sides[0].fingerprint);
    let begin = |generation, answered| {
        let signalling = remote.ip();
        Order::Begin { port: PORT, generation, remote, signalling, active: false, fingerprint, answered }
    };
    let failed = |pair: &Pair| pair.sides[1].told.borrow().iter().any(|told| matches!(told, Outcome::Failed { .. }));
    pair.sides[1].handshakes.handle(pair.now, begin(1, false));
    pair.wait(HANDSHAKE_MAX * 10);
    pair.sides[1].handshakes.handle(pair.now, begin(1, true));
    pair.wait(HANDSHAKE_MAX - Duration::from_secs(1));
    assert!(!failed(&pair));
    // Told once more, it has no more time.
    pair.sides[1].handshakes.handle(pair.now, begin(1, true));
    pair.wait(Duration::from_secs(1));
    assert!(failed(&pair));
    pair.sides[1].told.borrow_mut().clear();
    pair.sides[1].handshakes.handle(pair.now, begin(2, true));
    pair.wait(HANDSHAKE_MAX);
    assert!(failed(&pair), "and none before the answer, when it begins after it");
}

fn stranger(n: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, n], 9_999))
}

/// Somebody at the host of both sides.
fn neighbour(n: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5_000 + n))
}

impl Pair {
    fn throw(&mut self, from: SocketAddr, datagram: &[u8]) {
        for side in &mut self.sides {
            side.handshakes.handle(self.now, Order::Record { port: PORT, from, datagram: datagram.into() });
        }
    }

    /// Lets time pass without carrying anything.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.sides.iter().filter_map(|s| s.handshakes.poll_timeout()).min().filter(|d| *d <= end)
        {
            self.now = due.max(self.now);
            self.sides.iter_mut().for_each(|side| side.handshakes.handle_timeout(self.now));
        }
        self.now = end;
    }
}

/// To begin with whoever is there and has that certificate.
fn begin(remote: SocketAddr, fingerprint: Fingerprint) -> Order {
    let signalling = remote.ip();
    Order::Begin { port: PORT, generation: 1, remote, signalling, active: true, fingerprint, answered: false }
}

/// What a side says first when it begins.
fn hello(now: Instant) -> Vec<u8> {
    let mut side = side(3_000);
    let (remote, fingerprint) = (stranger(1), Fingerprint([1; 32]));
    let order = begin(remote, fingerprint);
    side.handshakes.handle(now, order);
    match side.next() {
        Some(Outcome::Send { datagram, .. }) => datagram,
        other => panic!("no hello but {other:?}"),
    }
}

#[test]
fn garbage_ends_no_handshake() {
    let seed = 0x5eed_u64;
    let mut pair = Pair::new();
    pair.begin(pair.right());
    let mut state = seed;
    for n in 0..600u32 {
        let datagram: Vec<u8> = (0..n % 120)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        let mut record = vec![20 + (n % 44) as u8, 254, 253];
        record.extend(datagram);
        pair.throw(stranger((n % 200) as u8), &record);
        // And as if it came from the peers themselves.
        let [a, b] = [pair.sides[0].address, pair.sides[1].address];
        let from = |address: SocketAddr| Order::Record { port: PORT, from: address, datagram: record.clone().into() };
        pair.sides[0].handshakes.handle(pair.now, from(b));
        pair.sides[1].handshakes.handle(pair.now, from(a));
    }
    pair.run(pair.now + HANDSHAKE_MAX);
    assert!(pair.sides.iter().all(|side| side.failed.is_empty()), "seed {seed:#x}");
    pair.assert_keys();
}

#[test]
fn one_octet_of_a_stranger_starts_no_clock() {
    let mut pair = Pair::new();
    let now = pair.now;
    // Only the passive side, whose phone is not answered yet.
    let (remote, fingerprint) = (pair.sides[0].address, pair.sides[0].fingerprint);
    let order = Order::Begin {
        port: PORT,
        generation: 1,
        remote,
        signalling: remote.ip(),
        active: false,
        fingerprint,
        answered: false,
    };
    pair.sides[1].handshakes.handle(now, order);
    for datagram in [vec![22], hello(now), hello(now)] {
        pair.throw(stranger(9), &datagram);
        pair.throw(remote, &datagram);
    }
    pair.wait(Duration::from_secs(200));
    assert!(pair.sides[1].told.borrow().iter().all(|told| !matches!(told, Outcome::Failed { .. })));
    assert_eq!(pair.sides[1].handshakes.running(), 0);
    pair.sides[1].told.borrow_mut().clear();
    pair.begin(pair.right());
    pair.run(pair.now + HANDSHAKE_MAX);
    pair.assert_keys();
}

#[test]
fn neighbours_of_the_peer_end_no_handshake() {
    // A hello makes a machine of its own, a record without sense goes to the one that is there.
    for said in [hello(Instant::now()), vec![22, 254, 253, 0]] {
        let mut pair = Pair::new();
        pair.begin(pair.right());
        for n in 100..140 {
            pair.throw(neighbour(n), &said);
        }
        pair.neighbours = Some(said);
        pair.run(pair.now + HANDSHAKE_MAX / 2);
        pair.assert_keys();
        assert!(pair.sides.iter().all(|side| side.failed.is_empty()));
    }
}

#[test]
fn forged_answers_fail_no_port_before_its_time() {
    // A ServerHello with a cipher suite that nobody offered: record, message, version, random, no session, suite, compression.
    let mut forged = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 50];
    forged.extend([2, 0, 0, 38, 0, 0, 0, 0, 0, 0, 0, 38, 254, 253]);
    forged.extend([7; 32]);
    forged.extend([0, 0x12, 0x34, 0]);
    let mut pair = Pair::new();
    pair.begin(pair.right());
    for n in 0..40 {
        let described = pair.sides[1].address;
        pair.throw(if n % 2 == 0 { neighbour(n) } else { described }, &forged);
    }
    let failed = pair.sides[0].told.borrow().iter().any(|told| matches!(told, Outcome::Failed { .. }));
    assert!(!failed && pair.sides[0].handshakes.running() == 1);
}

#[test]
fn a_peer_behind_a_nat_answers_from_another_port() {
    let mut pair = Pair::new();
    let expected = pair.right();
    // Described is a port where nobody is; what goes there reaches the peer, which answers from its own.
    let described = neighbour(1);
    let [active, passive] = [pair.sides[0].address, pair.sides[1].address];
    let begin = |n: usize, remote: SocketAddr| {
        let (signalling, fingerprint) = (remote.ip(), expected[n]);
        Order::Begin { port: PORT, generation: 1, remote, signalling, active: n == 0, fingerprint, answered: false }
    };
    pair.sides[1].handshakes.handle(pair.now, begin(1, active));
    pair.sides[0].handshakes.handle(pair.now, begin(0, described));
    let Some(Outcome::Send { to, datagram, .. }) = pair.sides[0].next() else { panic!("no hello") };
    assert_eq!(to, described);
    let order = Order::Record { port: PORT, from: active, datagram: datagram.into() };
    pair.sides[1].handshakes.handle(pair.now, order);
    pair.run(pair.now + HANDSHAKE_MAX / 2);
    pair.assert_keys();
    assert_eq!(pair.sides[0].handshakes.ports[&PORT].candidates[0].peer, passive);
}

#[test]
fn a_peer_that_moves_is_found_again() {
    let mut pair = Pair::new();
    let expected = pair.right();
    let (active, passive) = (pair.sides[0].address, pair.sides[1].address);
    let begin = |n: usize, remote: SocketAddr| {
        let (signalling, fingerprint) = (remote.ip(), expected[n]);
        Order::Begin { port: PORT, generation: 1, remote, signalling, active: n == 0, fingerprint, answered: false }
    };
    pair.sides[0].handshakes.handle(pair.now, begin(0, stranger(1)));
    pair.sides[1].handshakes.handle(pair.now, begin(1, active));
    pair.run(pair.now + HANDSHAKE_MAX / 2);
    assert!(pair.astray > 0 && pair.sides[0].keys.is_none());
    pair.sides[0].handshakes.handle(pair.now, begin(0, passive));
    pair.run(pair.now + HANDSHAKE_MAX / 2);
    pair.assert_keys();
}

#[test]
fn a_whole_handshake_of_a_stranger_counts_for_nothing() {
    let mut pair = Pair::new();
    let (remote, fingerprint) = (pair.sides[0].address, pair.sides[0].fingerprint);
    let order = Order::Begin {
        port: PORT,
        generation: 1,
        remote,
        signalling: remote.ip(),
        active: false,
        fingerprint,
        answered: false,
    };
    pair.sides[1].handshakes.handle(pair.now, order);
    // A third one, with a certificate of its own, does all that a peer does.
    let mut third = side(9_999);
    let (remote, fingerprint) = (pair.sides[1].address, pair.sides[1].fingerprint);
    let order = begin(remote, fingerprint);
    third.address = stranger(7);
    third.handshakes.handle(pair.now, order);
    let mut carried = 0;
    loop {
        let (to, from, told) = match third.next() {
            Some(told) => (&mut pair.sides[1], third.address, told),
            None => match pair.sides[1].next() {
                Some(told) => (&mut third, remote, told),
                None => break,
            },
        };
        match told {
            Outcome::Send { datagram, .. } => {
                to.handshakes.handle(pair.now, Order::Record { port: PORT, from, datagram: datagram.into() });
                carried += 1;
            }
            Outcome::Keys { .. } => assert_eq!(from, stranger(7), "only the third one believes that it has keys"),
            Outcome::Failed { reason, .. } => panic!("{reason}"),
        }
    }
    assert!(carried >= 5, "it went as far as the certificate: {carried}");
    pair.begin(pair.right());
    pair.run(pair.now + HANDSHAKE_MAX);
    assert!(pair.sides.iter().all(|side| side.failed.is_empty()));
    pair.assert_keys();
}

#[test]
fn handshakes_are_bounded() {
    let mut side = side(1);
    let now = Instant::now();
    let begin = |n: u64, active| {
        let remote = SocketAddr::from(([192, 0, 2, 1], 1_000));
        Order::Begin {
            port: PortId(n),
            generation: 1,
            remote,
            signalling: remote.ip(),
            active,
            fingerprint: Fingerprint([1; 32]),
            answered: false,
        }
    };
    for n in 0..=HANDSHAKES_MAX as u64 {
        side.handshakes.handle(now, begin(n, true));
    }
    assert_eq!(side.handshakes.running(), HANDSHAKES_MAX);
    let busy = |told: &Outcome| matches!(told, Outcome::Failed { reason: "busy", .. });
    assert_eq!(side.told.borrow().iter().filter(|told| busy(told)).count(), 1);
    side.handshakes.handle(now, Order::End { port: PortId(0) });
    assert_eq!(side.handshakes.running(), HANDSHAKES_MAX - 1);
    side.handshakes.handle_timeout(now + HANDSHAKE_MAX);
    assert_eq!(side.handshakes.running(), 0);
    // Strangers have a few to a port, and then no more; who waits for a peer has none.
    side.handshakes.handle(now, begin(0, false));
    assert_eq!(side.handshakes.running(), 0);
    let datagram = hello(now);
    for n in 0..200 {
        let order = Order::Record { port: PortId(0), from: stranger(n), datagram: datagram.clone().into() };
        side.handshakes.handle(now, order);
        assert!(side.handshakes.running() <= STRANGERS_MAX);
    }
    assert_eq!(side.handshakes.common.refused, 1 + 200 - u64::from(ATTEMPTS_MAX));
}

#[test]
fn strangers_leave_peers_room_for_their_handshakes() {
    let mut side = side(1);
    let now = Instant::now();
    let datagram = hello(now);
    let (remote, fingerprint) = (SocketAddr::from(([192, 0, 2, 1], 1_000)), Fingerprint([1; 32]));
    let mut hear = |n: u64, from: SocketAddr| {
        let (port, signalling) = (PortId(n), remote.ip());
        let begin =
            Order::Begin { port, generation: 1, remote, signalling, active: false, fingerprint, answered: false };
        side.handshakes.handle(now, begin);
        side.handshakes.handle(now, Order::Record { port, from, datagram: datagram.clone().into() });
        side.handshakes.running()
    };
    let running = (0..300).map(|n| hear(n, stranger(1))).last();
    assert_eq!(running, Some(SHARED_MAX));
    let running = (300..900).map(|n| hear(n, remote)).last();
    assert_eq!(running, Some(HANDSHAKES_MAX));
}
