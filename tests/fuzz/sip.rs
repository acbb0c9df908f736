//! SIP: two endpoints whose messages pass through someone who loses, repeats, bends and invents, while their owners do
//! whatever they may.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use cordboard::base::{Cause, Instant, Now, Redacted, Timestamp};
use cordboard::proto::sip::{
    ClientRegistration, Credentials, Endpoint, EndpointConfig, Event, Invite, Path, RegistrationId, SessionId,
    Transmit, Transport, User,
};
use sip_codec::{Limits, parse_datagram};

use crate::chance::Chance;
use crate::{files, fuzz};

const SESSIONS_MAX: usize = 12;
const BINDINGS_MAX: usize = 6;
/// As in the endpoint: room for transactions that outlive their sessions.
const TRANSACTIONS_MAX: usize = SESSIONS_MAX * 16 + 16_384;
/// Messages on their way; of more the oldest is lost.
const FLIGHT_MAX: usize = 48;

/// Largest UDP payload over IPv4.
const DATAGRAM_MAX: usize = 65_507;
/// What an answer has beyond what it repeats, at most.
const ANSWER_MORE: usize = 1_500;

/// What SIP gives meaning to.
pub const WORDS: &[&[u8]] = &[
    b"SIP/2.0 ",
    b"sip:",
    b"sips:",
    b";tag=",
    b";branch=z9hG4bK",
    b";rport",
    b";received=300.1.1.1",
    b";maddr=224.0.0.1",
    b";lr",
    b"\r\n ",
    b"\r\n\r\n",
    b"Contact: *\r\n",
    b"Expires: 0\r\n",
    b"Require: 100rel\r\n",
    b"Require: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n",
    b"Record-Route: <sip:192.0.2.9;lr>\r\n",
    b"Route: <sip:a>, <sip:b;lr>\r\n",
    b"Via: SIP/2.0/TCP [::1]:0;branch=x\r\n",
    b"Content-Length: 4294967296\r\n",
    b"Content-Type: message/sipfrag\r\n",
    b"Authorization: Digest username=\"anna\", nonce=\"\", response=\"\", uri=\"sip:h\", realm=\"cordboard\"\r\n",
    b"WWW-Authenticate: Digest realm=\"x\", nonce=\"y\", qop=\"auth-int,auth\", algorithm=SHA-512\r\n",
    b"Reason: Q.850;cause=999;text=\"\\\"\"\r\n",
    b"%00",
    b"\"\\",
    b"<>",
];

const MESSAGES: &[&str] = &[
    "INVITE sip:100@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKi;rport\r\nMax-Forwards: 70\r\n\
     From: \"A\" <sip:x@y>;tag=f\r\nTo: <sip:100@127.0.0.2>\r\nCall-ID: h\r\nCSeq: 1 INVITE\r\n\
     Contact: <sip:x@127.0.0.1>\r\nP-Asserted-Identity: <sip:+1555@y>\r\nContent-Type: application/sdp\r\n\
     Content-Length: 5\r\n\r\nv=0\r\n",
    "CANCEL sip:100@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKi;rport\r\nMax-Forwards: 70\r\n\
     From: <sip:x@y>;tag=f\r\nTo: <sip:100@127.0.0.2>\r\nCall-ID: h\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n",
    "REGISTER sip:127.0.0.2 SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKr\r\nMax-Forwards: 70\r\n\
     f: <sip:anna@cordboard>;tag=f\r\nt: <sip:anna@cordboard>\r\ni: r\r\nCSeq: 7 REGISTER\r\n\
     m: <sip:anna@127.0.0.1:5070>;expires=3600, <sip:b@c>\r\nExpires: 60\r\nl: 0\r\n\r\n",
    "OPTIONS sip:127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKo\r\nMax-Forwards: 0\r\nFrom: <sip:x@y>;tag=f\r\n\
     To: <sip:127.0.0.2>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n",
    "NOTIFY sip:100@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKn\r\nMax-Forwards: 70\r\n\
     From: <sip:x@y>;tag=f\r\nTo: <sip:100@127.0.0.2>;tag=t\r\nCall-ID: h\r\nCSeq: 3 NOTIFY\r\nEvent: refer;id=2\r\n\
     Subscription-State: terminated;reason=noresource\r\nContent-Type: message/sipfrag\r\nContent-Length: 14\r\n\r\n\
     SIP/2.0 200 OK",
];

/// The torture messages of RFC 4475, and some of each method of ours.
pub fn corpus() -> Vec<Vec<u8>> {
    let mut all = files("tests/vectors/rfc4475", "dat");
    all.extend(MESSAGES.iter().map(|text| text.as_bytes().to_vec()));
    all
}

static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(corpus);

pub fn config(seed: u64) -> EndpointConfig {
    EndpointConfig {
        realm: "cordboard".into(),
        user_agent: "fuzz".into(),
        seed,
        sessions_max: SESSIONS_MAX,
        bindings_max: BINDINGS_MAX,
    }
}

/// What an endpoint sends is a message, whatever it was made from, and not larger than what UDP carries.
pub fn check_sent(transmit: &Transmit) {
    let shown = || String::from_utf8_lossy(&transmit.bytes).into_owned();
    // A response repeats each Via of the request, however many (RFC 3261 section 8.2.6.2).
    let limits = Limits { max_headers: 1_024, max_header_bytes: 65_535, max_message_bytes: 80_000, ..Limits::stream() };
    let parsed = parse_datagram(transmit.bytes.clone(), &limits);
    assert!(parsed.is_ok(), "sent what is no message: {:?}\n{}", parsed.err(), shown());
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, if side == 0 { 1 } else { 2 }], 5060))
}

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

fn sdp() -> Bytes {
    Bytes::from_static(SDP)
}

struct World {
    now: Now,
    ends: [Endpoint; 2],
    transport: Transport,
    flight: VecDeque<(usize, Bytes)>,
    live: [Vec<SessionId>; 2],
    registrations: Vec<RegistrationId>,
    /// Longest answer that may be, in octets, after the largest message that came (a small one may call for the answer
    /// to it once more): nobody is to be flooded through us.
    answer_max: usize,
}

impl World {
    fn new(chance: &mut Chance<'_>) -> Self {
        let mut ends = [1, 2].map(|seed| Endpoint::new(config(seed)));
        for end in &mut ends {
            let users = ["anna", "bert"].map(|name| User {
                name: name.into(),
                password: Redacted::new("pw".into()),
                guarded: true,
            });
            end.set_users(users.into());
            end.offer_sha256(chance.one_in(2));
        }
        Self {
            now: Now { mono: Instant::from_micros(1_000_000), wall: Timestamp(1_700_000_000_000) },
            ends,
            transport: if chance.one_in(4) { Transport::Tcp } else { Transport::Udp },
            flight: VecDeque::new(),
            live: [Vec::new(), Vec::new()],
            registrations: Vec::new(),
            answer_max: ANSWER_MORE,
        }
    }

    /// From `side` to the other.
    fn path(&self, side: usize) -> Path {
        let connection = if self.transport.is_stream() { 7 } else { 0 };
        Path { connection, ..Path::new(self.transport, address(side), address(1 - side)) }
    }

    /// Gives `side` a message, whole or, over TCP, in two pieces.
    fn give(&mut self, side: usize, message: Bytes, chance: &mut Chance<'_>) {
        let path = self.path(side);
        let (most, len) = (24 + message.len() / 16, message.len());
        match self.transport {
            Transport::Udp => {
                let message = message.slice(..len.min(DATAGRAM_MAX));
                self.ends[side].receive(self.now, path, message);
                self.answer_max = self.answer_max.max(len + ANSWER_MORE);
            }
            _ => {
                // An earlier piece may be what is answered now.
                self.answer_max = usize::MAX;
                let (first, rest) = message.split_at(chance.below(message.len().min(65_535)));
                for chunk in [first, rest] {
                    self.ends[side].receive_stream(self.now, path, chunk);
                }
            }
        }
        let sent = self.drain(side, chance);
        assert!(sent <= most, "{sent} messages for one");
    }

    /// Time passes for both, whose timers fire.
    fn pass(&mut self, by: Duration, chance: &mut Chance<'_>) {
        self.now = self.now.after(by);
        for side in 0..2 {
            let most = 64 + 4 * (self.ends[side].transactions_len() + self.ends[side].sessions_len());
            self.ends[side].handle_timeout(self.now);
            let due = self.ends[side].poll_timeout();
            assert!(due.is_none_or(|at| at > self.now.mono), "what is due is done");
            let sent = self.drain(side, chance);
            assert!(sent <= most, "{sent} messages for the time");
        }
    }

    /// Takes what `side` has to send and say, and has its owner react. Returns how many messages there were.
    fn drain(&mut self, side: usize, chance: &mut Chance<'_>) -> usize {
        let mut sent = 0;
        let mut events = 0;
        loop {
            while let Some(transmit) = self.ends[side].poll_transmit() {
                sent += 1;
                if transmit.bytes.as_ref() == b"\r\n" {
                    continue;
                }
                check_sent(&transmit);
                let is_answer = transmit.bytes.starts_with(b"SIP/2.0");
                assert!(!is_answer || transmit.bytes.len() <= self.answer_max, "{} octets", transmit.bytes.len());
                if transmit.path.remote == address(1 - side) {
                    self.flight.push_back((1 - side, transmit.bytes));
                }
            }
            while self.flight.len() > FLIGHT_MAX {
                self.flight.pop_front();
            }
            let Some(event) = self.ends[side].poll_event() else { break };
            events += 1;
            assert!(events <= 4 * SESSIONS_MAX + 64, "events without end");
            self.react(side, event, chance);
        }
        let end = &self.ends[side];
        end.check_invariants();
        assert!(end.sessions_len() <= SESSIONS_MAX && end.transactions_len() <= TRANSACTIONS_MAX);
        assert!(end.bindings_len() <= BINDINGS_MAX);
        sent
    }

    fn react(&mut self, side: usize, event: Event, chance: &mut Chance<'_>) {
        let now = self.now;
        let end = &mut self.ends[side];
        match event {
            Event::Incoming(incoming) => {
                let session = incoming.session;
                for text in [&incoming.request_user, &incoming.from_user, &incoming.from_display, &incoming.request_uri]
                {
                    assert!(text.len() <= 65_535);
                }
                assert!(!self.live[side].contains(&session), "a session twice");
                self.live[side].push(session);
                match chance.below(6) {
                    0 | 1 => end.accept(now, session, sdp()),
                    2 => end.reject(now, session, u16::from(chance.octet()) * 4, Some(Cause::Busy), Some(3)),
                    3 => end.challenge(now, session),
                    _ => end.provisional(now, session, 180 + u16::from(chance.octet() % 20), Some(sdp())),
                }
            }
            Event::Reoffer { session, .. } => {
                let answer = if chance.one_in(4) { Err(u16::from(chance.octet()) * 4) } else { Ok(sdp()) };
                end.answer_reoffer(now, session, answer);
            }
            Event::Referred { session, target } => {
                assert!(!target.contains(['\r', '\n']));
                end.accept_refer(now, session, if chance.one_in(3) { 603 } else { 202 });
                end.notify_refer(now, session, 100 + u16::from(chance.octet()) * 2);
            }
            Event::Released { session } => self.live[side].retain(|live| *live != session),
            Event::Answered { .. } | Event::Provisional { .. } | Event::Acked { .. } | Event::Reanswered { .. } => {}
            Event::Concluded { sdp, .. } => assert!(!sdp.is_empty()),
            Event::Digit { digit, .. } => assert!("0123456789*#ABCD".contains(digit)),
            Event::Failed { status, .. } => assert!((300..=699).contains(&status)),
            Event::ReferProgress { status, .. } => assert!((100..=699).contains(&status)),
            Event::Cancelled { .. } | Event::Ended { .. } => {}
            Event::Registered { binding } => assert!(["anna", "bert"].contains(&binding.user.as_str())),
            Event::Unregistered { .. }
            | Event::ClientRegistration { .. }
            | Event::Probed { .. }
            | Event::Locked { .. } => {}
            Event::Aliased { path, .. } => assert_eq!(path.transport, Transport::Tls),
            Event::CloseConnection { connection } => end.connection_closed(now, connection),
            Event::Misbehaved { .. } => {}
        }
    }

    /// An order of an owner.
    fn order(&mut self, chance: &mut Chance<'_>) {
        let (side, order) = (chance.below(2), chance.below(12));
        self.carry_out(side, order, chance);
    }

    fn carry_out(&mut self, side: usize, order: usize, chance: &mut Chance<'_>) {
        let (now, path) = (self.now, self.path(side));
        let session = match self.live[side].len() {
            0 => SessionId(1),
            n => self.live[side][chance.below(n)],
        };
        let odd_max = if chance.one_in(12) { 40 } else { 0 };
        let odd = String::from_utf8_lossy(chance.take(odd_max)).into_owned();
        let credentials = Credentials { user: "anna".into(), password: Redacted::new("pw".into()) };
        let end = &mut self.ends[side];
        match order {
            0..=2 => {
                let invite = Invite {
                    path,
                    request_uri: format!("sip:100{odd}@{}", address(1 - side)),
                    from_user: format!("+1555{odd}"),
                    from_display: Some(odd.clone()),
                    from_host: "127.0.0.1".into(),
                    to_uri: format!("sip:100@h{odd}"),
                    contact_user: odd.clone(),
                    sdp: (!chance.one_in(4)).then(sdp),
                    credentials: chance.one_in(2).then_some(credentials),
                    max_forwards: 70,
                    headers: vec![("X-Odd".into(), odd)],
                };
                if let Some(session) = end.invite(now, invite) {
                    self.live[side].push(session);
                }
            }
            3 => end.hangup(now, session, Cause::Normal),
            4 => end.accept(now, session, sdp()),
            5 | 6 => end.reinvite(now, session, sdp()),
            7 => end.refer(now, session, &format!("sip:3@127.0.0.9{odd}")),
            8 => drop(end.probe(now, path, format!("sip:127.0.0.2{odd}"))),
            9 if side == 0 && self.registrations.len() < 4 => {
                let registration = ClientRegistration {
                    path,
                    registrar_uri: "sip:127.0.0.2".into(),
                    routes: Vec::new(),
                    aor_user: "anna".into(),
                    domain: "cordboard".into(),
                    credentials,
                    expires_s: 3_600 - u32::from(chance.octet()) * 14,
                };
                self.registrations.push(end.register(now, registration));
            }
            10 => end.transport_failed(now, path),
            _ => end.connection_closed(now, 7),
        }
        self.drain(side, chance);
    }

    /// What happens undisturbed before the disturbance begins: nothing, a call, or a phone's registration.
    fn begin(&mut self, kind: usize) {
        let mut plain = Chance::new(&[]);
        match kind {
            0 => {}
            1 => self.carry_out(0, 9, &mut plain),
            _ => self.carry_out(0, 0, &mut plain),
        }
        for _ in 0..16 {
            self.deliver(&mut plain);
        }
    }

    /// The next message arrives, or what became of it.
    fn deliver(&mut self, chance: &mut Chance<'_>) {
        let Some((side, message)) = self.flight.pop_front() else { return };
        match chance.below(16) {
            9 => {}
            10 => {
                self.give(side, message.clone(), chance);
                self.give(side, message, chance);
            }
            11 | 12 => {
                let mut bent = message.to_vec();
                for _ in 0..=chance.below(3) {
                    chance.bend(&mut bent, WORDS);
                }
                self.give(side, bent.into(), chance);
                if chance.one_in(2) {
                    self.flight.push_front((side, message));
                }
            }
            13 => {
                // Another final answer in the place of the right one, so that clients see every status.
                let text = String::from_utf8_lossy(&message).into_owned();
                let other = match text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(3..)) {
                    Some(rest) => format!("SIP/2.0 {}{rest}", 100 + u32::from(chance.octet()) * 2).into(),
                    None => message,
                };
                self.give(side, other, chance);
            }
            14 => self.flight.push_back((side, message)),
            _ => self.give(side, message, chance),
        }
    }

    fn step(&mut self, chance: &mut Chance<'_>) {
        match chance.below(12) {
            0..=5 => self.deliver(chance),
            6 | 7 => self.order(chance),
            8 => {
                let (side, message) = (chance.below(2), chance.bent(&CORPUS, WORDS));
                self.give(side, message.into(), chance);
            }
            9 if chance.one_in(4) => {
                let message = Bytes::copy_from_slice(chance.take(200));
                self.give(1, message, chance);
            }
            10 => {
                let by = Duration::from_millis(u64::from(chance.octet()) * if chance.one_in(8) { 2_000 } else { 10 });
                self.pass(by, chance);
            }
            _ => self.pass(Duration::ZERO, chance),
        }
    }

    /// Everybody hangs up and nobody is heard any more: in time nothing is left.
    fn settle(&mut self, chance: &mut Chance<'_>) {
        for id in std::mem::take(&mut self.registrations) {
            self.ends[0].unregister(self.now, id);
        }
        for side in 0..2 {
            for session in std::mem::take(&mut self.live[side]) {
                self.ends[side].hangup(self.now, session, Cause::Normal);
            }
            self.ends[side].set_users(Vec::new());
            self.drain(side, chance);
        }
        let mut turns = 0;
        while let Some(at) = self.ends.iter().filter_map(Endpoint::poll_timeout).min() {
            self.pass(at.since(self.now.mono), chance);
            turns += 1;
            assert!(turns < 20_000, "timers without end");
        }
        for end in &self.ends {
            assert_eq!((end.sessions_len(), end.transactions_len(), end.bindings_len()), (0, 0, 0), "left behind");
        }
    }
}

fn target(mut chance: Chance<'_>) {
    let mut world = World::new(&mut chance);
    world.begin(chance.below(4));
    while !chance.is_spent() {
        world.step(&mut chance);
    }
    world.settle(&mut chance);
}

#[test]
fn messages() {
    fuzz!(3_072, target);
}
