//! A telephone on the far side of the wire: our own SIP endpoint over real UDP, with a voice and an ear. It is moved by
//! [`Phone::step`] alone.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use cordboard::base::{Cause, Codec, Instant, Redacted};
use cordboard::dsp::coder::Coder;
use cordboard::dsp::reference::{Recognizer, ReferenceSignal};
use cordboard::edge::clock::Clock;
use cordboard::proto::sdp;
use cordboard::proto::sip::{
    ClientRegistration, Credentials, Endpoint, EndpointConfig, Event, Invite, Path, SessionId, Transport,
};
use rtp_rs::{RtpPacketBuilder, RtpReader};

use crate::site::until;

const FRAME: Duration = Duration::from_millis(20);
const SAMPLES: usize = 160;

/// What the phone does when it is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Habit {
    PickUp,
    Ring,
    Refuse(u16),
}

/// How far a call has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    Calling,
    Ringing,
    Up,
    /// The other side ended it, or refused it with this status.
    Over(u16),
}

pub struct Phone {
    clock: Clock,
    pub endpoint: Endpoint,
    sip: UdpSocket,
    rtp: UdpSocket,
    local: SocketAddr,
    server: SocketAddr,
    pub codecs: Vec<Codec>,
    pub habit: Habit,
    user: String,
    password: String,
    seed: u64,
    offers: BTreeMap<SessionId, sdp::Local>,
    pub calls: BTreeMap<SessionId, State>,
    pub registered: Option<bool>,
    /// Final status of the last REFER that we sent.
    pub referred: Option<u16>,
    pub talk: Option<Talk>,
    /// Calls that it was offered.
    pub rung: usize,
}

impl Phone {
    /// A phone of `user` at a free port of `ip`, which says the reference signal `seed`.
    pub fn new(ip: IpAddr, server: SocketAddr, user: &str, seed: u64) -> Self {
        Self::at((ip, 0).into(), server, user, seed)
    }

    pub fn at(at: SocketAddr, server: SocketAddr, user: &str, seed: u64) -> Self {
        let clock = Clock::start();
        let sip = UdpSocket::bind(at).unwrap();
        let rtp = UdpSocket::bind((at.ip(), 0)).unwrap();
        sip.set_nonblocking(true).unwrap();
        rtp.set_nonblocking(true).unwrap();
        let local = sip.local_addr().unwrap();
        let endpoint = Endpoint::new(EndpointConfig {
            realm: "phone".into(),
            user_agent: "Test phone".into(),
            seed: clock.now().wall.0.unsigned_abs()
                ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                ^ u64::from(local.port()),
            sessions_max: 10_000,
            bindings_max: 1,
        });
        Self {
            clock,
            endpoint,
            sip,
            rtp,
            local,
            server,
            codecs: Codec::USUAL.to_vec(),
            habit: Habit::PickUp,
            user: user.to_owned(),
            password: format!("{user}-secret"),
            seed,
            offers: BTreeMap::new(),
            calls: BTreeMap::new(),
            registered: None,
            referred: None,
            talk: None,
            rung: 0,
        }
    }

    fn path(&self) -> Path {
        Path::new(Transport::Udp, self.local, self.server)
    }

    fn credentials(&self) -> Credentials {
        Credentials { user: self.user.clone(), password: Redacted::new(self.password.clone()) }
    }

    /// Registers and waits for the answer.
    pub fn register(mut self) -> Self {
        let registration = ClientRegistration {
            path: self.path(),
            registrar_uri: format!("sip:{}", self.server),
            routes: Vec::new(),
            aor_user: self.user.clone(),
            domain: self.server.ip().to_string(),
            credentials: self.credentials(),
            expires_s: 600,
        };
        self.endpoint.register(self.clock.now(), registration);
        until("the phone is registered", || {
            self.step();
            self.registered == Some(true)
        });
        self
    }

    /// Calls a number under its own name.
    pub fn call(&mut self, number: &str) -> SessionId {
        let user = self.user.clone();
        self.call_as(&user, number, false)
    }

    /// Calls a number as an agent's phone does, which answers a challenge.
    pub fn call_known(&mut self, number: &str) -> SessionId {
        let user = self.user.clone();
        self.call_as(&user, number, true)
    }

    pub fn call_as(&mut self, from: &str, number: &str, known: bool) -> SessionId {
        let local = self.describe();
        let invite = Invite {
            path: self.path(),
            request_uri: format!("sip:{number}@{}", self.server),
            from_user: from.to_owned(),
            from_display: None,
            from_host: self.local.ip().to_string(),
            to_uri: format!("sip:{number}@{}", self.server),
            contact_user: from.to_owned(),
            sdp: Some(sdp::offer(&local)),
            credentials: known.then(|| self.credentials()),
            max_forwards: 70,
            headers: Vec::new(),
        };
        let session = self.endpoint.invite(self.clock.now(), invite).expect("a session");
        self.offers.insert(session, local);
        self.calls.insert(session, State::Calling);
        session
    }

    fn describe(&self) -> sdp::Local {
        sdp::Local {
            address: self.local.ip(),
            port: self.rtp.local_addr().unwrap().port(),
            session_id: 1 + self.calls.len() as u64,
            version: 1,
            codecs: self.codecs.clone(),
            comfort_noise: false,
            direction: sdp::Direction::SendRecv,
            security: Default::default(),
        }
    }

    pub fn hang_up(&mut self, session: SessionId) {
        self.talk = None;
        self.calls.insert(session, State::Over(0));
        self.endpoint.hangup(self.clock.now(), session, Cause::Normal);
        self.step();
    }

    pub fn refer(&mut self, session: SessionId, target: &str) {
        self.endpoint.refer(self.clock.now(), session, target);
    }

    pub fn state(&self, session: SessionId) -> State {
        self.calls[&session].clone()
    }

    pub fn is_up(&self, session: SessionId) -> bool {
        self.calls[&session] == State::Up
    }

    pub fn is_over(&self, session: SessionId) -> bool {
        matches!(self.calls[&session], State::Over(_))
    }

    /// A call that is up now.
    pub fn up(&self) -> Option<SessionId> {
        self.calls.iter().find(|(_, s)| **s == State::Up).map(|(id, _)| *id)
    }

    /// Whether it hears the voice `seed` now.
    pub fn hears(&self, seed: u64) -> bool {
        self.talk.as_ref().is_some_and(|t| t.ear.recognise([seed]).is_some())
    }

    pub fn press(&mut self, keys: &str) {
        self.talk.as_mut().expect("a call").keys.extend(keys.chars());
    }

    /// Whether all keys have been sent.
    pub fn pressed(&self) -> bool {
        self.talk.as_ref().is_none_or(|t| t.keys.is_empty() && t.pressing.is_none() && t.rest == 0)
    }

    /// Takes what has come, does what is due.
    pub fn step(&mut self) {
        let mut buffer = [0u8; 8192];
        while let Ok((n, from)) = self.sip.recv_from(&mut buffer) {
            let path = Path { remote: from, ..self.path() };
            self.endpoint.receive(self.clock.now(), path, Bytes::copy_from_slice(&buffer[..n]));
        }
        let now = self.clock.now();
        if self.endpoint.poll_timeout().is_some_and(|due| due <= now.mono) {
            self.endpoint.handle_timeout(now);
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.on(event);
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            // Nobody may be listening: then it is lost, as datagrams are.
            drop(self.sip.send_to(&transmit.bytes, transmit.path.remote));
        }
        while let Ok((n, _)) = self.rtp.recv_from(&mut buffer) {
            if let Some(talk) = &mut self.talk {
                talk.hear(&buffer[..n]);
            }
        }
        if let Some(talk) = &mut self.talk {
            talk.speak(now.mono, &self.rtp);
        }
    }

    fn on(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Incoming(incoming) => {
                self.rung += 1;
                let session = incoming.session;
                self.calls.insert(session, State::Ringing);
                match self.habit {
                    Habit::Refuse(status) => {
                        self.calls.insert(session, State::Over(status));
                        self.endpoint.reject(now, session, status, None, None);
                    }
                    Habit::Ring => self.endpoint.provisional(now, session, 180, None),
                    Habit::PickUp => {
                        let local = self.describe();
                        let remote = incoming.sdp.as_deref().and_then(|b| sdp::parse(b).ok()).expect("an offer");
                        let Ok((body, agreed)) = sdp::answer(&remote, &local) else {
                            return self.endpoint.reject(now, session, 488, None, None);
                        };
                        self.endpoint.accept(now, session, body);
                        self.calls.insert(session, State::Up);
                        self.talk = Some(Talk::new(agreed, self.seed, now.mono));
                    }
                }
            }
            Event::Answered { session, sdp } => {
                self.calls.insert(session, State::Up);
                let offer = &self.offers[&session];
                let agreed =
                    sdp.as_deref().and_then(|b| sdp::parse(b).ok()).and_then(|r| sdp::conclude(offer, &r).ok());
                self.talk = agreed.map(|a| Talk::new(a, self.seed, now.mono));
            }
            Event::Failed { session, status, .. } => {
                self.calls.insert(session, State::Over(status));
            }
            Event::Cancelled { session, .. } | Event::Ended { session, .. } => {
                self.calls.insert(session, State::Over(0));
                if self.up().is_none() {
                    self.talk = None;
                }
            }
            Event::Reoffer { session, .. } => self.endpoint.answer_reoffer(now, session, Err(488)),
            Event::ReferProgress { status, .. } => self.referred = Some(status),
            Event::ClientRegistration { result, .. } => self.registered = Some(result.is_ok()),
            _ => {}
        }
    }
}

/// A conversation's audio.
pub struct Talk {
    agreed: sdp::Agreed,
    voice: ReferenceSignal,
    ear: Recognizer,
    /// All that was heard.
    pub heard: Vec<i16>,
    next: Instant,
    keys: VecDeque<char>,
    /// The key that is down: its event, its begin, packets sent.
    pressing: Option<(u8, u32, u16)>,
    /// Packets of silence still to come after a key.
    rest: u8,
    sequence: u16,
    timestamp: u32,
}

impl Talk {
    fn new(agreed: sdp::Agreed, seed: u64, now: Instant) -> Self {
        Self {
            agreed,
            voice: ReferenceSignal::new(seed),
            ear: Recognizer::new(),
            heard: Vec::new(),
            next: now,
            keys: VecDeque::new(),
            pressing: None,
            rest: 0,
            sequence: 1,
            timestamp: 160,
        }
    }

    fn hear(&mut self, packet: &[u8]) {
        let Ok(rtp) = RtpReader::new(packet) else { return };
        if rtp.payload_type() == self.agreed.payload_type {
            let mut pcm = vec![0; rtp.payload().len()];
            Coder::default().decode(self.agreed.codec, rtp.payload(), &mut pcm);
            self.ear.push(&pcm);
            self.heard.extend(&pcm);
        }
    }

    fn speak(&mut self, now: Instant, socket: &UdpSocket) {
        while self.next <= now {
            self.next += FRAME;
            let packet = self.key_packet().unwrap_or_else(|| self.voice_packet());
            drop(socket.send_to(&packet, self.agreed.remote));
            self.sequence = self.sequence.wrapping_add(1);
            self.timestamp = self.timestamp.wrapping_add(SAMPLES as u32);
        }
    }

    fn voice_packet(&mut self) -> Vec<u8> {
        let mut pcm = [0; SAMPLES];
        self.voice.fill(&mut pcm);
        let mut octets = [0; SAMPLES];
        Coder::default().encode(self.agreed.codec, &pcm, &mut octets);
        self.packet(self.agreed.payload_type, self.timestamp, false, &octets)
    }

    /// A piece of a key press: 100 ms, its end three times (RFC 4733 2.5.1.4), then a rest of 60 ms.
    fn key_packet(&mut self) -> Option<Vec<u8>> {
        if self.rest > 0 {
            self.rest -= 1;
            return None;
        }
        let payload_type = self.agreed.telephone_event.expect("telephone events");
        if self.pressing.is_none() {
            let event = "0123456789*#ABCD".find(self.keys.pop_front()?).expect("a key");
            self.pressing = Some((event as u8, self.timestamp, 0));
        }
        let (event, at, sent) = self.pressing.as_mut()?;
        *sent += 1;
        let (event, at, sent) = (*event, *at, *sent);
        let [high, low] = (sent.min(5) * SAMPLES as u16).to_be_bytes();
        if sent == 8 {
            self.pressing = None;
            self.rest = 3;
        }
        let flags = if sent > 5 { 0x8a } else { 0x0a };
        Some(self.packet(payload_type, at, sent == 1, &[event, flags, high, low]))
    }

    fn packet(&self, payload_type: u8, timestamp: u32, marked: bool, payload: &[u8]) -> Vec<u8> {
        RtpPacketBuilder::new()
            .payload_type(payload_type)
            .sequence(self.sequence.into())
            .timestamp(timestamp)
            .ssrc(0x1234_0000 | self.agreed.remote.port() as u32)
            .marked(marked)
            .payload(payload)
            .build()
            .unwrap()
    }
}
