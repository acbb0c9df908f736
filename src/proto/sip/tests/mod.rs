//! Two endpoints in virtual time, joined by a link that can lose, repeat and reorder.

mod calls;
mod chaos;
mod forks;
mod hostile;
mod offers;
mod prack;
mod registering;
mod session_timer;
mod timers;
mod transactions;
mod transfer;
mod update;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::base::{Cause, Instant, Now, Redacted, Timestamp};

const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
const ANSWER: &[u8] = b"v=0\r\no=- 2 2 IN IP4 127.0.0.2\r\ns=-\r\nt=0 0\r\nm=audio 4002 RTP/AVP 0\r\n";

fn offer() -> Bytes {
    Bytes::from_static(OFFER)
}

fn answer() -> Bytes {
    Bytes::from_static(ANSWER)
}

/// A seeded source of chance for tests.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.roll(100) < chance
    }
}

fn config(seed: u64) -> EndpointConfig {
    EndpointConfig { realm: "cordboard".into(), user_agent: "test".into(), seed, sessions_max: 100, bindings_max: 50 }
}

fn user(name: &str, password: &str) -> User {
    User { name: name.into(), password: Redacted::new(password.into()), guarded: true }
}

fn credentials(name: &str, password: &str) -> Option<Credentials> {
    Some(Credentials { user: name.into(), password: Redacted::new(password.into()) })
}

/// Who of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    A,
    B,
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }

    fn address(self) -> SocketAddr {
        match self {
            Side::A => SocketAddr::from(([127, 0, 0, 1], 5060)),
            Side::B => SocketAddr::from(([127, 0, 0, 2], 5060)),
        }
    }
}

/// A response to a request: `to` is appended to its To header, `extra` are whole header lines.
fn response(request: &str, status: u16, to: &str, extra: &str, body: &str) -> String {
    let copied = ["Via", "From", "To", "Call-ID", "CSeq"];
    let lines: String = request
        .lines()
        .skip(1)
        .take_while(|l| !l.is_empty())
        .filter(|l| copied.iter().any(|n| l.split(':').next() == Some(n)))
        .map(|l| format!("{l}{}\r\n", if l.starts_with("To:") { to } else { "" }))
        .collect();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!("SIP/2.0 {status} X\r\n{lines}{extra}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

struct World {
    now: Now,
    a: Endpoint,
    b: Endpoint,
    transport: Transport,
    /// Percent of messages lost, repeated, delayed beyond their successors.
    loss: u64,
    repeat: u64,
    delay: u64,
    dice: Dice,
    flight: BTreeMap<(Instant, u64), (Side, Bytes)>,
    sent: u64,
    /// First lines of everything sent, with the sender.
    log: Vec<(Side, Instant, String)>,
    /// Whole messages sent.
    wire: Vec<(Side, String)>,
    /// Nothing arrives at this side any more.
    deaf: Option<Side>,
    events_a: Vec<Event>,
    events_b: Vec<Event>,
    /// Sessions that are gone for good.
    released: Vec<(Side, SessionId)>,
}

impl World {
    fn new() -> Self {
        Self::seeded(1)
    }

    fn seeded(seed: u64) -> Self {
        Self {
            now: Now { mono: Instant::from_micros(1_000_000), wall: Timestamp(1_700_000_000_000) },
            a: Endpoint::new(config(seed)),
            b: Endpoint::new(config(seed ^ 0xb0b)),
            transport: Transport::Udp,
            loss: 0,
            repeat: 0,
            delay: 0,
            dice: Dice(seed | 1),
            flight: BTreeMap::new(),
            sent: 0,
            log: Vec::new(),
            wire: Vec::new(),
            deaf: None,
            events_a: Vec::new(),
            events_b: Vec::new(),
            released: Vec::new(),
        }
    }

    fn tcp() -> Self {
        Self { transport: Transport::Tcp, ..Self::new() }
    }

    fn at(&mut self, side: Side) -> &mut Endpoint {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    /// From `side` to the other.
    fn path(&self, side: Side) -> Path {
        let connection = if self.transport.is_stream() { 7 } else { 0 };
        Path { connection, ..Path::new(self.transport, side.address(), side.other().address()) }
    }

    fn drain(&mut self) {
        for side in [Side::A, Side::B] {
            while let Some(transmit) = self.at(side).poll_transmit() {
                self.launch(side, transmit);
            }
            while let Some(event) = self.at(side).poll_event() {
                match (event, side) {
                    (Event::Released { session }, _) => self.released.push((side, session)),
                    (event, Side::A) => self.events_a.push(event),
                    (event, Side::B) => self.events_b.push(event),
                }
            }
        }
    }

    fn launch(&mut self, from: Side, transmit: Transmit) {
        let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
        let first = text.lines().next().unwrap_or_default().to_owned();
        self.log.push((from, self.now.mono, first));
        self.wire.push((from, text));
        if transmit.path.remote != from.other().address() {
            return;
        }
        if self.dice.percent(self.loss) {
            return;
        }
        let copies = if self.dice.percent(self.repeat) { 2 } else { 1 };
        for _ in 0..copies {
            let late = if self.dice.percent(self.delay) { self.dice.roll(900) } else { 0 };
            self.sent += 1;
            let at = self.now.mono + Duration::from_millis(1 + late);
            self.flight.insert((at, self.sent), (from.other(), transmit.bytes.clone()));
        }
    }

    fn next(&self) -> Option<Instant> {
        let flight = self.flight.first_key_value().map(|((at, _), _)| *at);
        [flight, self.a.poll_timeout(), self.b.poll_timeout()].into_iter().flatten().min()
    }

    /// One thing happens. `false` when nothing is left to happen before `until`.
    fn step(&mut self, until: Instant) -> bool {
        self.drain();
        let Some(at) = self.next().filter(|at| *at <= until) else { return false };
        self.now = self.now.after(at.since(self.now.mono));
        if let Some(entry) = self.flight.first_entry()
            && entry.key().0 <= self.now.mono
        {
            let (to, bytes) = entry.remove();
            if self.deaf != Some(to) {
                let (path, now) = (self.path(to), self.now);
                match self.transport {
                    Transport::Udp => self.at(to).receive(now, path, bytes),
                    _ => self.at(to).receive_stream(now, path, &bytes),
                }
            }
        } else {
            let now = self.now;
            self.a.handle_timeout(now);
            self.b.handle_timeout(now);
        }
        self.drain();
        true
    }

    /// Lets `ms` milliseconds pass.
    fn run(&mut self, ms: u64) {
        let until = self.now.mono + Duration::from_millis(ms);
        while self.step(until) {}
        self.now = self.now.after(until.since(self.now.mono));
    }

    /// Lets time pass until nothing is left to happen, an hour at most.
    fn settle(&mut self) {
        self.run(3_600_000);
        assert_eq!(self.a.sessions_len() + self.b.sessions_len(), 0, "sessions left");
        assert_eq!(self.a.transactions_len() + self.b.transactions_len(), 0, "transactions left");
        self.a.check_invariants();
        self.b.check_invariants();
    }

    fn events(&mut self, side: Side) -> Vec<Event> {
        self.drain();
        match side {
            Side::A => std::mem::take(&mut self.events_a),
            Side::B => std::mem::take(&mut self.events_b),
        }
    }

    /// First lines that `side` sent, since the last look at anyone's.
    fn sent(&mut self, side: Side) -> Vec<String> {
        self.drain();
        let (mine, rest) = std::mem::take(&mut self.log).into_iter().partition(|(from, ..)| *from == side);
        self.log = rest;
        mine.into_iter().map(|(_, _, line)| line).collect()
    }

    fn order(&self) -> Invite {
        Invite {
            path: self.path(Side::A),
            request_uri: "sip:100@127.0.0.2:5060".into(),
            from_user: "+15551234".into(),
            from_display: Some("An \"odd\" name".into()),
            from_host: "127.0.0.1".into(),
            to_uri: "sip:100@127.0.0.2".into(),
            contact_user: "line".into(),
            sdp: Some(offer()),
            credentials: None,
            max_forwards: 70,
            headers: vec![("P-Asserted-Identity".into(), "<sip:+15559999@127.0.0.1>".into())],
        }
    }

    fn invite(&mut self) -> SessionId {
        let (now, order) = (self.now, self.order());
        self.a.invite(now, order).expect("a session")
    }

    /// A calls B; both sessions before any answer.
    fn ring(&mut self) -> (SessionId, SessionId) {
        let a = self.invite();
        self.run(10);
        (a, self.incoming().session)
    }

    /// The first call that came to B; its other events stay.
    fn incoming(&mut self) -> Incoming {
        self.drain();
        let at = self.events_b.iter().position(|e| matches!(e, Event::Incoming(_))).expect("a call");
        match self.events_b.remove(at) {
            Event::Incoming(incoming) => *incoming,
            other => panic!("no call but {other:?}"),
        }
    }

    /// A call that is up, with no event left.
    fn talk(&mut self) -> (SessionId, SessionId) {
        let (a, b) = self.ring();
        let now = self.now;
        self.b.accept(now, b, answer());
        self.run(50);
        assert_eq!(self.events(Side::A), [Event::Answered { session: a, sdp: Some(answer()) }]);
        assert_eq!(self.events(Side::B), [Event::Acked { session: b, sdp: None }]);
        self.log.clear();
        (a, b)
    }

    /// Hands A a message as it stands.
    fn give_a(&mut self, text: impl Into<Bytes>) {
        let (now, path) = (self.now, self.path(Side::A));
        self.a.receive(now, path, text.into());
        self.drain();
    }

    /// The newest message of a side's that begins so.
    fn newest(&self, side: Side, begins: &str) -> String {
        let mine = self.wire.iter().rev().find(|(s, m)| *s == side && m.starts_with(begins));
        mine.map(|(_, m)| m.clone()).unwrap_or_else(|| panic!("no {begins} from {side:?}"))
    }

    /// Hands B a message as it stands.
    fn give_b(&mut self, text: impl Into<Bytes>) {
        let (now, path) = (self.now, self.path(Side::B));
        self.b.receive(now, path, text.into());
        self.drain();
    }
}
