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
}

impl Pair {
    fn new() -> Pair {
        Pair { now: Instant::now(), sides: [side(1_000), side(2_000)], lost: 0, sent: 0 }
    }

    /// Both begin, the first one actively, each with a fingerprint to expect.
    fn begin(&mut self, expected: [Fingerprint; 2]) {
        let addresses = [self.sides[1].address, self.sides[0].address];
        for n in 0..2 {
            let order = Order::Begin { port: PORT, remote: addresses[n], active: n == 0, fingerprint: expected[n] };
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
                        Outcome::Send { to, datagram, .. } => {
                            assert_eq!(to, self.sides[1 - n].address);
                            assert!(datagram.len() <= RECORD_MAX && (20..=63).contains(&datagram[0]));
                            self.sent += 1;
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
    for lost in [2, 3, 5] {
        let mut pair = Pair::new();
        pair.lost = lost;
        pair.begin(pair.right());
        pair.run(pair.now + HANDSHAKE_MAX * 2);
        if lost > 2 || pair.sides[0].failed.is_empty() {
            pair.assert_keys();
        }
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

#[test]
fn strangers_end_no_handshake() {
    let mut pair = Pair::new();
    pair.begin(pair.right());
    let seed = 0x5eed_u64;
    let mut state = seed;
    for n in 0..300 {
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
        for side in &mut pair.sides {
            let order = Order::Record { port: PORT, from: side.address, datagram: record.clone().into() };
            side.handshakes.handle(pair.now, order);
        }
    }
    // They only moved where we answer to; the peer's own records move it back.
    pair.sides.iter().for_each(|side| side.told.borrow_mut().clear());
    let expected = pair.right();
    pair.sides.iter_mut().for_each(|side| {
        assert!(side.failed.is_empty(), "seed {seed:#x}: {:?}", side.failed);
        side.handshakes.handle(pair.now, Order::End { port: PORT });
    });
    pair.begin(expected);
    pair.run(pair.now + HANDSHAKE_MAX);
    pair.assert_keys();
}

#[test]
fn handshakes_are_bounded() {
    let mut side = side(1);
    let now = Instant::now();
    let fingerprint = Fingerprint([1; 32]);
    for n in 0..HANDSHAKES_MAX as u64 + 1 {
        let order = Order::Begin { port: PortId(n), remote: side.address, active: false, fingerprint };
        side.handshakes.handle(now, order);
    }
    assert_eq!(side.handshakes.running(), HANDSHAKES_MAX);
    assert!(matches!(side.told.borrow_mut().pop_front(), Some(Outcome::Failed { reason: "busy", .. })));
    side.handshakes.handle(now, Order::End { port: PortId(0) });
    assert_eq!(side.handshakes.running(), HANDSHAKES_MAX - 1);
    side.handshakes.handle_timeout(now + FIRST_RECORD_MAX);
    assert_eq!(side.handshakes.running(), 0);
}
