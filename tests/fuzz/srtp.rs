//! Protected packets and DTLS records from anybody.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use cordboard::base::PortId;
use cordboard::edge::clock::Clock;
use cordboard::edge::dtls::{HANDSHAKES_MAX, Handshakes, Identity, Order, Outcome};
use cordboard::proto::rtp::packet::Header;
use cordboard::proto::sdp::Fingerprint;
use cordboard::proto::srtp::{KeyGenerator, Receiver, Sender, Suite, TAIL_MAX};

use crate::chance::Chance;
use crate::{fuzz, rtp};

/// Whose packets are counted up.
const OURS: u32 = 0xabcd_0002;

/// What is authentic comes out as it went in, once; nothing else comes out at all.
fn packets(mut chance: Chance<'_>) {
    let suite = *chance.pick(&Suite::ALL);
    let key = KeyGenerator::new([3; 32]).master_key(suite);
    let mki: &[u8] = if chance.one_in(4) { &[1, 2] } else { &[] };
    let (mut sender, mut receiver) = (Sender::new(&key), Receiver::new(&key, mki));
    let corpus = rtp::corpus();
    let mut sequence = 65_500u16;
    while !chance.is_spent() {
        if chance.one_in(3) {
            // Bent in clear, and protected by who has the key: malformed ones are refused, the others come through.
            let plain = chance.bent(&corpus, &[]);
            if plain.get(8..12) == Some(&OURS.to_be_bytes()[..]) {
                // It would use up numbers that are still to come.
                continue;
            }
            let mut buffer = plain.clone();
            buffer.resize(plain.len() + TAIL_MAX, 0);
            if let Ok(len) = sender.protect(&mut buffer, plain.len()) {
                assert!(len > plain.len() && len <= plain.len() + TAIL_MAX);
                buffer.truncate(len);
                let known = mki.is_empty() && receiver.unprotect(&mut buffer) == Ok(plain.len());
                assert!(!known || buffer[..plain.len()] == plain);
            }
            continue;
        }
        let header = Header { marker: false, payload_type: 0, sequence, timestamp: 1, ssrc: OURS };
        sequence = sequence.wrapping_add(1);
        let plain = [&header.to_octets()[..], chance.take(40)].concat();
        let mut secure = plain.clone();
        secure.resize(plain.len() + TAIL_MAX, 0);
        let len = sender.protect(&mut secure, plain.len()).expect("room, and a new index");
        secure.truncate(len);
        let mut bent = chance.bent(&[secure.clone()], &[]);
        let changed = bent != secure;
        let whole = bent.len();
        if let Ok(len) = receiver.unprotect(&mut bent) {
            assert!(len <= whole && !changed && mki.is_empty(), "{suite}: what was bent is refused");
            assert_eq!(bent[..len], plain);
        }
        let mut control = chance.bent(&corpus, &[]);
        assert!(receiver.unprotect_control(&mut control).is_err(), "{suite}: not protected");
    }
}

fn start() -> Instant {
    let clock = Clock::start();
    clock.system(clock.mono())
}

/// Handshakes that anybody writes to: bounded in number and time, and they bring no keys.
fn records(mut chance: Chance<'_>) {
    let identity = Identity::generate().expect("an identity");
    let (sent, keys) = (Rc::new(Cell::new(0usize)), Rc::new(Cell::new(0usize)));
    let (count, secured) = (Rc::clone(&sent), Rc::clone(&keys));
    let tell = move |outcome| match outcome {
        Outcome::Send { datagram, .. } => {
            assert!(datagram.len() <= 1_200);
            count.set(count.get() + 1);
        }
        Outcome::Keys { .. } => secured.set(secured.get() + 1),
        Outcome::Failed { reason, .. } => assert!(!reason.is_empty()),
    };
    let mut handshakes = Handshakes::new(identity, tell).expect("limits that hold");
    let mut now = start();
    let hello = client_hello();
    let mut fed = 0;
    while !chance.is_spent() {
        let port = PortId(u64::from(chance.octet() % 4));
        let remote = SocketAddr::from(([192, 0, 2, 1], 1_000 + u16::from(chance.octet())));
        let order = match chance.octet() % 8 {
            0 => Order::Begin {
                port,
                generation: u32::from(chance.octet() % 4),
                remote,
                signalling: remote.ip(),
                active: chance.one_in(2),
                fingerprint: Fingerprint([chance.octet(); 32]),
                answered: chance.one_in(2),
            },
            1 => Order::End { port },
            _ => {
                let datagram = if chance.one_in(3) { chance.take(200).to_vec() } else { chance.bent(&hello, &[]) };
                Order::Record { port, from: remote, datagram: datagram.into() }
            }
        };
        handshakes.handle(now, order);
        fed += 1;
        now += Duration::from_millis(u64::from(chance.octet()));
        handshakes.handle_timeout(now);
        // Of each port the known hosts have four, which never show that they are there, and strangers two.
        assert!(handshakes.running() <= (4 * 6).min(HANDSHAKES_MAX));
    }
    for _ in 0..400 {
        now += Duration::from_secs(1);
        handshakes.handle_timeout(now);
    }
    assert_eq!((handshakes.running(), handshakes.poll_timeout()), (0, None), "all are over by now");
    assert_eq!(keys.get(), 0, "nobody had a certificate");
    assert!(sent.get() <= 64 * (fed + 1), "{} datagrams for {fed} orders", sent.get());
}

/// The first records of handshakes of ours.
fn client_hello() -> Vec<Vec<u8>> {
    let identity = Identity::generate().expect("an identity");
    let records = Rc::new(std::cell::RefCell::new(Vec::new()));
    let kept = Rc::clone(&records);
    let tell = move |outcome| {
        if let Outcome::Send { datagram, .. } = outcome {
            kept.borrow_mut().push(datagram);
        }
    };
    let mut handshakes = Handshakes::new(identity, tell).expect("limits that hold");
    let (port, remote) = (PortId(1), SocketAddr::from(([192, 0, 2, 1], 1_000)));
    handshakes.handle(
        start(),
        Order::Begin {
            port,
            generation: 1,
            remote,
            signalling: remote.ip(),
            active: true,
            fingerprint: Fingerprint([1; 32]),
            answered: true,
        },
    );
    let records = records.borrow().clone();
    assert!(!records.is_empty(), "a client begins");
    records
}

#[test]
fn protected_packets() {
    fuzz!(4_096, packets);
}

#[test]
fn handshake_records() {
    fuzz!(2_048, records);
}
