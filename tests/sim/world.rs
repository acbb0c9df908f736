//! A contact centre in virtual time: the real core and real SIP endpoints for callers and agents, joined by a virtual
//! network; a media plane that only keeps account. Everything random comes from one seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::overload::{Machine, Work};
use bytes::Bytes;
use cordboard::base::{Cause, Instant, Now, PlayId, PortId, Timestamp};
use cordboard::core::control::Command;
use cordboard::core::journal::{AgentStatus, Cdr, Change};
use cordboard::core::media::{DigitSource, MediaCommand, MediaEvent};
use cordboard::core::switch::{Config, Input, Output, Switch};
use cordboard::core::tenant::Provision;
use cordboard::proto::dns::Question;
use cordboard::proto::sdp;
use cordboard::proto::sip::{Credentials, Endpoint, EndpointConfig, Event, Invite, Path, SessionId, Transport};

/// Seeded randomness (xorshift64*).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Exponential with this mean, in seconds.
    pub fn exponential(&mut self, mean_s: f64) -> Duration {
        Duration::from_secs_f64(-mean_s * (1.0 - self.unit()).ln())
    }

    pub fn between(&mut self, low_s: f64, high_s: f64) -> Duration {
        Duration::from_secs_f64(low_s + (high_s - low_s) * self.unit())
    }
}

/// What is to happen later.
enum Later {
    Datagram {
        to: SocketAddr,
        from: SocketAddr,
        bytes: Bytes,
    },
    Media(MediaEvent),
    Dial {
        caller: u32,
    },
    Key {
        session: SessionId,
        digit: char,
    },
    HangUp {
        side: Side,
        session: SessionId,
    },
    Answer {
        session: SessionId,
    },
    Refuse {
        session: SessionId,
        status: u16,
    },
    /// The machine is free for the next datagram.
    Serve,
    /// The machine is looked at.
    Measure,
    /// An agent who was marked for not answering comes back.
    Resume {
        tenant: String,
        agent: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Callers,
    Agents,
}

/// How people behave.
#[derive(Clone)]
pub struct Manners {
    pub patience_mean_s: f64,
    pub talk_mean_s: f64,
    /// Agents that let it ring.
    pub no_answer: f64,
    /// Agents that press the red key.
    pub decline: f64,
    /// Datagrams that get lost.
    pub loss: f64,
    pub number: &'static str,
    pub key: char,
}

/// Account of what happened.
#[derive(Default, Debug)]
pub struct Tally {
    pub dialled: u64,
    pub talked: u64,
    pub refused: u64,
    /// Callers who were answered, and those who were refused with 503, by number dialled.
    pub served: BTreeMap<&'static str, u64>,
    pub unavailable: BTreeMap<&'static str, u64>,
    pub steps: u64,
    pub cdrs: BTreeMap<u64, Cdr>,
    pub started: HashSet<u64>,
}

pub struct World {
    pub now: Now,
    pub switch: Switch,
    pub tally: Tally,
    pub dice: Dice,
    pub manners: Manners,
    /// What the switch asked of DNS, unanswered.
    pub asked: Vec<Question>,
    /// What callers answer challenges with.
    pub credentials: Option<Credentials>,
    /// Everything goes over TCP connections.
    pub tcp: bool,
    /// A machine that takes time; without one everything is done at once.
    pub machine: Option<Machine>,
    callers: Endpoint,
    agents: Endpoint,
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    later: HashMap<u64, Later>,
    count: u64,
    /// Agents' phones that ring or talk, by session; the agent's name tells a double ring.
    ringing: HashMap<SessionId, String>,
    caller_sessions: HashMap<SessionId, u32>,
    dialled: HashMap<SessionId, &'static str>,
    ports: HashMap<PortId, Option<u16>>,
    bridges: HashMap<PortId, PortId>,
    /// Ports by the peer's media port.
    by_remote: HashMap<u16, PortId>,
    next_socket: u16,
}

fn caller_address() -> SocketAddr {
    "127.0.0.2:5070".parse().expect("an address")
}
fn agent_address() -> SocketAddr {
    "127.0.0.3:5080".parse().expect("an address")
}
fn our_address() -> SocketAddr {
    "127.0.0.1:5060".parse().expect("an address")
}

fn endpoint(seed: u64) -> EndpointConfig {
    EndpointConfig {
        realm: "cordboard".into(),
        user_agent: "sim".into(),
        seed,
        sessions_max: 50_000,
        bindings_max: 50_000,
    }
}

impl World {
    pub fn new(seed: u64, provision: Provision, manners: Manners) -> Self {
        let now = Now { mono: Instant::from_micros(1), wall: Timestamp(1_800_000_000_000) };
        let config = Config {
            first_call: 1,
            first_seq: 1,
            listeners: vec![(Transport::Udp, our_address())],
            media_addresses: vec![our_address().ip()],
            seed,
            version: "sim".into(),
            sip: endpoint(seed ^ 1),
            srtp: Default::default(),
        };
        let mut world = Self {
            now,
            switch: Switch::new(now, config, provision),
            tally: Tally::default(),
            dice: Dice::new(seed),
            manners,
            asked: Vec::new(),
            credentials: None,
            tcp: false,
            machine: None,
            callers: Endpoint::new(endpoint(seed ^ 2)),
            agents: Endpoint::new(endpoint(seed ^ 3)),
            heap: BinaryHeap::new(),
            later: HashMap::new(),
            count: 0,
            ringing: HashMap::new(),
            caller_sessions: HashMap::new(),
            dialled: HashMap::new(),
            ports: HashMap::new(),
            bridges: HashMap::new(),
            by_remote: HashMap::new(),
            next_socket: 10_000,
        };
        world.settle();
        world
    }

    fn at(&mut self, after: Duration, what: Later) {
        self.count += 1;
        self.heap.push(Reverse((self.now.mono + after, self.count)));
        self.later.insert(self.count, what);
    }

    /// A call to come.
    pub fn dial_after(&mut self, after: Duration, caller: u32) {
        self.at(after, Later::Dial { caller });
    }

    /// A datagram for the switch: done at once, or when the machine gets to it.
    fn arrive(&mut self, path: Path, bytes: Bytes) {
        match &mut self.machine {
            None => self.switch.handle(self.now, input(path, bytes)),
            Some(machine) => {
                let after = machine.enqueue(self.now.mono, path, bytes);
                if let Some(after) = after {
                    self.at(after, Later::Serve);
                }
            }
        }
    }

    fn serve(&mut self) {
        let now = self.now;
        // A stall may have begun since.
        let stalled = self.machine.as_ref().map_or(Duration::ZERO, |machine| machine.stalled(now.mono));
        if !stalled.is_zero() {
            return self.at(stalled, Later::Serve);
        }
        let Some((path, bytes, kind, waited)) = self.machine.as_mut().and_then(|m| m.next(now.mono)) else { return };
        self.switch.handle(now, Input::Waited(waited));
        self.switch.handle(now, input(path, bytes));
        let mut done = kind;
        while let Some(output) = self.switch.poll_output() {
            if let Output::Transmit(t) = &output {
                match t.bytes.get(8..11) {
                    Some(b"503") => done = Work::Refused,
                    Some(b"401") => done = Work::Other,
                    _ => {}
                }
            }
            self.output(output);
        }
        if let Some(after) = self.machine.as_mut().and_then(|m| m.worked(now.mono, done)) {
            self.at(after, Later::Serve);
        }
    }

    fn measure(&mut self) {
        let Some(machine) = &mut self.machine else { return };
        let sample = machine.sample(self.now.mono);
        self.at(sample.elapsed, Later::Measure);
        self.switch.handle(self.now, Input::Load(sample));
    }

    /// From here on the switch runs on a machine that takes time.
    pub fn on(&mut self, machine: Machine) {
        self.machine = Some(machine);
        self.at(Duration::ZERO, Later::Measure);
    }

    /// A datagram from a stranger.
    pub fn throw_after(&mut self, after: Duration, from: SocketAddr, bytes: Bytes) {
        self.at(after, Later::Datagram { to: our_address(), from, bytes });
    }

    /// Runs until nothing is left to happen or `until` has passed.
    pub fn run(&mut self, until: Duration) {
        let end = Instant::from_micros(1) + until;
        while let Some(next) = self.next_due() {
            if next > end {
                break;
            }
            self.now = self.now.after(next.since(self.now.mono));
            self.step();
            self.settle();
            self.tally.steps += 1;
            self.check();
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let own = self.heap.peek().map(|Reverse((due, _))| *due);
        let machines = [self.switch.poll_timeout(), self.callers.poll_timeout(), self.agents.poll_timeout()];
        own.into_iter().chain(machines.into_iter().flatten()).min().map(|due| due.max(self.now.mono))
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(&Reverse((due, id))) = self.heap.peek() {
            if due > now.mono {
                break;
            }
            self.heap.pop();
            if let Some(what) = self.later.remove(&id) {
                self.happen(what);
            }
        }
        let due = |t: Option<Instant>| t.is_some_and(|t| t <= now.mono);
        if due(self.switch.poll_timeout()) {
            self.switch.handle_timeout(now);
        }
        if due(self.callers.poll_timeout()) {
            self.callers.handle_timeout(now);
        }
        if due(self.agents.poll_timeout()) {
            self.agents.handle_timeout(now);
        }
    }

    fn happen(&mut self, what: Later) {
        let now = self.now;
        match what {
            Later::Datagram { to, from, bytes } => {
                let path = self.path(to, from);
                let end = match to {
                    to if to == our_address() => return self.arrive(path, bytes),
                    to if to == caller_address() => &mut self.callers,
                    _ => &mut self.agents,
                };
                match path.transport {
                    Transport::Udp => end.receive(now, path, bytes),
                    _ => end.receive_stream(now, path, &bytes),
                }
            }
            Later::Media(event) => self.switch.handle(now, Input::Media(event)),
            Later::Serve => self.serve(),
            Later::Measure => self.measure(),
            Later::Dial { caller } => self.dial(caller),
            Later::Key { session, digit } => self.key(session, digit),
            Later::HangUp { side, session } => match side {
                Side::Callers => self.callers.hangup(now, session, Cause::Normal),
                Side::Agents => {
                    self.ringing.remove(&session);
                    self.agents.hangup(now, session, Cause::Normal);
                }
            },
            Later::Answer { session } => {
                if self.ringing.contains_key(&session) {
                    self.agents.accept(now, session, description(50_000));
                    let talk = self.dice.exponential(self.manners.talk_mean_s) + Duration::from_secs(1);
                    self.at(talk, Later::HangUp { side: Side::Agents, session });
                }
            }
            Later::Resume { tenant, agent } => {
                self.switch.handle(now, Input::Command { token: 0, command: Command::Resume { tenant, agent } });
            }
            Later::Refuse { session, status } => {
                if self.ringing.remove(&session).is_some() {
                    self.agents.reject(now, session, status, None, None);
                }
            }
        }
    }

    fn path(&self, local: SocketAddr, remote: SocketAddr) -> Path {
        match self.tcp {
            false => Path::new(Transport::Udp, local, remote),
            true => Path { connection: 1, ..Path::new(Transport::Tcp, local, remote) },
        }
    }

    fn dial(&mut self, caller: u32) {
        let path = self.path(caller_address(), our_address());
        let uri = format!("sip:{}@127.0.0.1", self.manners.number);
        let invite = Invite {
            path,
            request_uri: uri.clone(),
            from_user: self.credentials.as_ref().map_or_else(|| format!("c{caller}"), |own| own.user.clone()),
            from_display: None,
            from_host: "127.0.0.2".into(),
            to_uri: uri,
            contact_user: format!("c{caller}"),
            sdp: Some(description(caller_port(caller))),
            credentials: self.credentials.clone(),
            max_forwards: 70,
            headers: Vec::new(),
        };
        self.tally.dialled += 1;
        if let Some(session) = self.callers.invite(self.now, invite) {
            self.caller_sessions.insert(session, caller);
            self.dialled.insert(session, self.manners.number);
            let patience = self.dice.exponential(self.manners.patience_mean_s) + Duration::from_secs(2);
            self.at(patience, Later::HangUp { side: Side::Callers, session });
            let think = self.dice.between(0.5, 4.0);
            self.at(think, Later::Key { session, digit: self.manners.key });
        }
    }

    /// A caller's key reaches the core as a digit on the port whose stream goes to that caller.
    fn key(&mut self, session: SessionId, digit: char) {
        let Some(caller) = self.caller_sessions.get(&session) else { return };
        if let Some(&port) = self.by_remote.get(&caller_port(*caller)) {
            self.switch.handle(self.now, Input::Media(MediaEvent::Digit { port, digit, source: DigitSource::Event }));
        }
    }

    pub fn settle(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.switch.poll_output() {
                quiet = false;
                self.output(output);
            }
            while let Some(t) = self.callers.poll_transmit() {
                quiet = false;
                self.send(caller_address(), t.path.remote, t.bytes);
            }
            while let Some(t) = self.agents.poll_transmit() {
                quiet = false;
                self.send(agent_address(), t.path.remote, t.bytes);
            }
            while let Some(event) = self.callers.poll_event() {
                quiet = false;
                self.caller_event(event);
            }
            while let Some(event) = self.agents.poll_event() {
                quiet = false;
                self.agent_event(event);
            }
            if quiet {
                break;
            }
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        if self.dice.chance(self.manners.loss) {
            return;
        }
        let delay = self.dice.between(0.0005, 0.02);
        self.at(delay, Later::Datagram { to, from, bytes });
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Transmit(t) => self.send(our_address(), t.path.remote, t.bytes),
            Output::Media(command) => self.media(command),
            Output::Journal { change, .. } => self.fact(change),
            Output::Dns(question) => self.asked.push(question),
            Output::CloseConnection(_)
            | Output::ServeTls(_)
            | Output::DnsServers(_)
            | Output::TlsProfile(_)
            | Output::SetCas { .. }
            | Output::Reply { .. }
            | Output::Warning(_)
            | Output::Stopped => {}
            Output::Commit(call) => self.switch.handle(self.now, Input::Committed(call)),
        }
    }

    fn fact(&mut self, change: Change) {
        match change {
            Change::CallStarted { cdr } => {
                assert!(self.tally.started.insert(cdr.call_id.0), "call {} began twice", cdr.call_id);
            }
            Change::CallEnded { cdr } => {
                assert!(self.tally.started.contains(&cdr.call_id.0), "call {} ended without a start", cdr.call_id);
                self.tally.talked += u64::from(cdr.answered_at.is_some());
                let twice = self.tally.cdrs.insert(cdr.call_id.0, *cdr);
                assert!(twice.is_none(), "two records of one call");
            }
            Change::AgentChanged { tenant, agent, status: AgentStatus::NotReady, .. } => {
                self.at(Duration::from_secs(60), Later::Resume { tenant, agent });
            }
            _ => {}
        }
    }

    fn media(&mut self, command: MediaCommand) {
        let soon = Duration::from_micros(200);
        match command {
            MediaCommand::BindSockets(n) => {
                let first = self.next_socket;
                self.next_socket += 2 * n;
                let sockets = (0..n).map(|i| first + 2 * i).collect();
                self.at(soon, Later::Media(MediaEvent::Sockets(sockets)));
            }
            MediaCommand::OpenRtp { port, socket } => {
                assert!(self.ports.values().all(|s| *s != Some(socket)), "socket {socket} given to two legs");
                assert!(self.ports.insert(port, Some(socket)).is_none(), "{port} opened twice");
            }
            MediaCommand::SetStream { port, stream } => {
                self.by_remote.insert(stream.remote.port(), port);
            }
            MediaCommand::OpenTdm { port, .. } => {
                assert!(self.ports.insert(port, None).is_none(), "{port} opened twice");
            }
            MediaCommand::Play { port, play, .. } => {
                let length = self.dice.between(0.5, 5.0);
                self.play_done(length, port, play);
            }
            MediaCommand::Bridge { a, b } => {
                assert!(self.ports.contains_key(&a) && self.ports.contains_key(&b), "bridge of a closed port");
                for port in [a, b] {
                    self.unbridge(port);
                }
                self.bridges.insert(a, b);
                self.bridges.insert(b, a);
            }
            MediaCommand::Unbridge { port } => self.unbridge(port),
            MediaCommand::Close { port } => {
                self.unbridge(port);
                let socket = self.ports.remove(&port).unwrap_or_else(|| panic!("{port} closed but never opened"));
                self.at(soon, Later::Media(MediaEvent::Closed { port, stats: Box::default(), socket }));
            }
            _ => {}
        }
    }

    fn play_done(&mut self, after: Duration, port: PortId, play: PlayId) {
        self.at(after, Later::Media(MediaEvent::PlayDone { port, play }));
    }

    fn unbridge(&mut self, port: PortId) {
        if let Some(other) = self.bridges.remove(&port) {
            self.bridges.remove(&other);
        }
    }

    fn caller_event(&mut self, event: Event) {
        match event {
            Event::Answered { session, .. } => {
                if let Some(number) = self.dialled.remove(&session) {
                    *self.tally.served.entry(number).or_default() += 1;
                }
            }
            Event::Failed { session, status, .. } => {
                self.tally.refused += 1;
                if let (Some(number), 503) = (self.dialled.remove(&session), status) {
                    *self.tally.unavailable.entry(number).or_default() += 1;
                }
                self.caller_sessions.remove(&session);
            }
            Event::Ended { session, .. } => {
                self.caller_sessions.remove(&session);
            }
            _ => {}
        }
    }

    fn agent_event(&mut self, event: Event) {
        match event {
            Event::Incoming(incoming) => {
                let (session, agent) = (incoming.session, incoming.request_user.clone());
                assert!(!self.ringing.values().any(|a| *a == agent), "{agent} is rung while ringing or talking");
                self.ringing.insert(session, agent);
                self.agents.provisional(self.now, session, 180, None);
                let after = self.dice.between(0.5, 12.0);
                if self.dice.chance(self.manners.decline) {
                    self.at(after, Later::Refuse { session, status: 486 });
                } else if !self.dice.chance(self.manners.no_answer) {
                    self.at(after, Later::Answer { session });
                }
            }
            Event::Cancelled { session, .. } | Event::Ended { session, .. } => {
                self.ringing.remove(&session);
            }
            _ => {}
        }
    }

    /// What must hold after each step.
    fn check(&self) {
        if self.tally.steps.is_multiple_of(32) {
            self.switch.check_invariants();
        }
        let status = self.switch.status();
        assert_eq!(status.double_offers, 0);
        let (started, ended) = (self.tally.started.len() as u64, self.tally.cdrs.len() as u64);
        assert_eq!(started - ended, status.calls, "calls are not conserved");
    }

    /// What must hold when all is over.
    pub fn check_over(&self) {
        let status = self.switch.status();
        assert_eq!(status.calls, 0, "calls are left over");
        assert_eq!(self.tally.started.len(), self.tally.cdrs.len(), "calls without a record");
        assert!(self.ports.is_empty(), "ports left open: {:?}", self.ports);
        for cdr in self.tally.cdrs.values() {
            assert!(cdr.ended_at.is_some() && cdr.cause.is_some(), "open record {cdr:?}");
            for leg in &cdr.legs {
                assert!(leg.ended_at.is_some(), "leg not released in {cdr:?}");
            }
        }
    }
}

/// What came on a path.
fn input(path: Path, bytes: Bytes) -> Input {
    match path.transport {
        Transport::Udp => Input::Datagram { path, bytes },
        _ => Input::Stream { path, bytes },
    }
}

/// Media port of a caller, told apart from the next 20,000 callers'.
fn caller_port(caller: u32) -> u16 {
    20_000 + (caller % 20_000) as u16
}

fn description(port: u16) -> Bytes {
    sdp::offer(&sdp::Local {
        address: "127.0.0.9".parse().expect("an address"),
        port,
        session_id: 1,
        version: 1,
        codecs: cordboard::base::Codec::USUAL.to_vec(),
        comfort_noise: false,
        direction: sdp::Direction::SendRecv,
        security: Default::default(),
    })
}
