//! A small contact centre for scripts: two agents with phones, a carrier with two peers, a T1 with mirrored far ends.
//! The network takes no time, the clock moves by [`Desk::pass`] only, and every media command is held against the ports
//! that are open.

mod checks;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use cordboard::base::{Cause, Circuit, Codec, DialString, Instant, Now, PlayId, PortId, Redacted, Timestamp};
use cordboard::core::control::{Command, Query, Reply};
use cordboard::core::journal::{AgentStatus, Cdr, Change, Seq};
use cordboard::core::media::{Answerer, DigitSource, MediaCommand, MediaEvent, PlayItem};
use cordboard::core::switch::{Config, Input, Output, SrtpConfig, Switch};
use cordboard::core::tenant::Provision;
use cordboard::core::trunk::CardInput;
use cordboard::proto::cas::em_wink::{self, EmWink};
use cordboard::proto::dns::Question;
use cordboard::proto::sdp;
use cordboard::proto::sip::{Credentials, Endpoint, EndpointConfig, Event, Invite, Path, SessionId, Transport};

use crate::callbacks::Tries;
use crate::disk::Disk;

pub const PROVISION: &str = include_str!("desk.toml");

/// Who is at the other end of the network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Party {
    /// The carrier's first peer: callers, and whom we call outside.
    Carrier,
    /// The carrier's second peer.
    Backup,
    /// The agents' phones.
    Phones,
}

const PARTIES: [Party; 3] = [Party::Carrier, Party::Backup, Party::Phones];

impl Party {
    fn address(self) -> SocketAddr {
        let (host, port) = match self {
            Party::Carrier => (2, 5070),
            Party::Backup => (4, 5070),
            Party::Phones => (3, 5080),
        };
        SocketAddr::from(([127, 0, 0, host], port))
    }
}

fn our_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5060))
}

/// What a port sounds like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sound {
    Nothing,
    Play(PlayId),
    Tone(PlayId),
    Music(PlayId),
}

#[derive(Debug)]
pub struct Port {
    pub socket: Option<u16>,
    /// The country whose tones are listened for.
    pub tones: Option<[u8; 2]>,
    pub circuit: Option<Circuit>,
    pub bridge: Option<PortId>,
    pub sound: Sound,
    pub recording: Option<String>,
    /// Media port of the peer, once the stream is set.
    pub remote: Option<u16>,
}

pub struct Desk {
    pub now: Now,
    pub switch: Switch,
    pub events: Vec<(Party, Event)>,
    pub far_events: Vec<(u8, em_wink::Event)>,
    pub ports: BTreeMap<PortId, Port>,
    pub recordings: HashSet<String>,
    pub cdrs: Vec<Cdr>,
    pub started: usize,
    pub agents: HashMap<String, (AgentStatus, String)>,
    pub replies: Vec<Reply>,
    /// Lines for the log.
    pub warnings: Vec<String>,
    pub stopped: bool,
    /// Starts after the first.
    lives: u64,
    /// What we asked of DNS, unanswered.
    pub asked: Vec<Question>,
    /// What we sent to addresses that no party has.
    pub strays: Vec<Bytes>,
    /// Our INVITEs and CANCELs to parties, as octets.
    pub calls_out: Vec<(Party, String)>,
    /// Every prompt that was played, and to whom.
    pub said: Vec<(PortId, String)>,
    /// Ports that were told how they are protected, the peer's media port, and whether the call was answered.
    pub protected: Vec<(PortId, u16, bool)>,
    /// Digits sent to parties over SIP.
    pub keyed: Vec<(PortId, String)>,
    /// How long the plane listens to who answered, before it says a person; `None`: it never says.
    pub listens: Option<Duration>,
    /// Whether the audio of parties goes on, whatever becomes of their signalling.
    pub heard_on: bool,
    /// Whether parties ring before they answer.
    pub ring: bool,
    /// How often the core wanted to be called.
    pub wakes: usize,
    /// Our bits on each timeslot, as last set.
    pub hooks: BTreeMap<u8, u8>,
    /// Sockets that the plane may still bind.
    pub sockets_left: u16,
    sockets_at_start: u16,
    /// Peers that nothing reaches.
    pub dead: HashSet<Party>,
    /// Peers whose network holds up each datagram for so long.
    pub slow: HashMap<Party, Duration>,
    /// What the store holds.
    pub disk: Disk,
    /// Every change, in order.
    pub journal: Vec<Change>,
    /// Who was called back.
    pub tries: Tries,
    /// Datagrams on a slow network: due, to or from whom, to us.
    held_up: Vec<(Instant, Party, bool, Bytes)>,
    /// The far end's bits on each timeslot, as last set.
    far_bits: BTreeMap<u8, u8>,
    ends: BTreeMap<Party, Endpoint>,
    far: BTreeMap<u8, EmWink>,
    next_socket: u16,
    told: VecDeque<MediaEvent>,
    /// What the plane will tell: due, then.
    later: Vec<(Instant, MediaEvent)>,
    far_digits: Vec<(Instant, u8, String)>,
}

fn endpoint(seed: u64) -> EndpointConfig {
    let (realm, user_agent) = ("cordboard".into(), "desk".into());
    EndpointConfig { realm, user_agent, seed, sessions_max: 10_000, bindings_max: 100 }
}

/// When a desk begins.
const START: Timestamp = Timestamp(1_800_000_000_000);

pub fn config(seed: u64, first_call: u64, first_seq: Seq) -> Config {
    Config {
        first_call,
        first_seq,
        listeners: vec![(Transport::Udp, our_address())],
        media_addresses: vec![our_address().ip()],
        seed,
        version: "desk".into(),
        sip: endpoint(seed),
        srtp: SrtpConfig { fingerprint: Some(sdp::Fingerprint([1; 32])), ..Default::default() },
    }
}

/// A description of a party that takes media at this port.
pub fn description(port: u16, direction: sdp::Direction) -> Bytes {
    let address = "127.0.0.9".parse().expect("an address");
    sdp::offer(&sdp::Local {
        address,
        port,
        session_id: 1,
        version: 1,
        codecs: Codec::USUAL.to_vec(),
        comfort_noise: false,
        direction,
        security: Default::default(),
    })
}

impl Desk {
    pub fn new(seed: u64, provision: Provision) -> Self {
        Self::with_sockets(seed, provision, 2_000)
    }

    /// As `new`, with so many RTP sockets and no more.
    pub fn with_sockets(seed: u64, provision: Provision, sockets_left: u16) -> Self {
        let now = Now { mono: Instant::from_micros(1), wall: START };
        let config = config(seed, 1, 1);
        let circuits = (1..=24).map(|timeslot| {
            let config = em_wink::Config { glare_role: em_wink::GlareRole::Hold, ..Default::default() };
            (timeslot, EmWink::new(config))
        });
        let mut desk = Self {
            now,
            switch: Switch::new(now, config, provision.clone()),
            events: Vec::new(),
            far_events: Vec::new(),
            ports: BTreeMap::new(),
            recordings: HashSet::new(),
            cdrs: Vec::new(),
            started: 0,
            agents: HashMap::new(),
            replies: Vec::new(),
            warnings: Vec::new(),
            stopped: false,
            lives: 0,
            asked: Vec::new(),
            strays: Vec::new(),
            calls_out: Vec::new(),
            said: Vec::new(),
            protected: Vec::new(),
            keyed: Vec::new(),
            listens: Some(Duration::from_secs(2)),
            heard_on: false,
            ring: true,
            wakes: 0,
            hooks: BTreeMap::new(),
            sockets_left,
            sockets_at_start: sockets_left,
            dead: HashSet::new(),
            slow: HashMap::new(),
            disk: Disk::of(provision.clone()),
            journal: Vec::new(),
            tries: Tries::default(),
            held_up: Vec::new(),
            far_bits: BTreeMap::new(),
            ends: PARTIES.into_iter().map(|p| (p, Endpoint::new(endpoint(seed ^ (p as u64 + 7))))).collect(),
            far: circuits.collect(),
            next_socket: 10_000,
            told: VecDeque::new(),
            later: Vec::new(),
            far_digits: Vec::new(),
        };
        desk.settle();
        desk
    }

    // ---- what scripts do ----

    /// A party calls a number of ours; callers come from the carrier, agents by their user name from the phones.
    pub fn call(&mut self, from: Party, user: &str, number: &str, body: Option<Bytes>) -> SessionId {
        let path = Path::new(Transport::Udp, from.address(), our_address());
        let uri = format!("sip:{number}@127.0.0.1");
        let credentials = (from == Party::Phones)
            .then(|| Credentials { user: user.into(), password: Redacted::new(format!("{user}-secret")) });
        let invite = Invite {
            path,
            request_uri: uri.clone(),
            from_user: user.into(),
            from_display: None,
            from_host: from.address().ip().to_string(),
            to_uri: uri,
            contact_user: user.into(),
            sdp: body,
            credentials,
            max_forwards: 70,
            headers: Vec::new(),
        };
        let now = self.now;
        let session = self.end(from).invite(now, invite).expect("a session");
        self.settle();
        session
    }

    /// A client calls from outside.
    pub fn client(&mut self, number: &str) -> SessionId {
        self.call(Party::Carrier, "5550001", number, Some(description(20_000, sdp::Direction::SendRecv)))
    }

    /// Where the only call stands.
    pub fn state(&mut self) -> String {
        let Reply::Calls { calls } = self.query(Query::Calls) else { panic!("the calls") };
        let [call] = &calls[..] else { panic!("one call: {calls:?}") };
        call.state.clone()
    }

    /// Acts on a party's endpoint.
    pub fn with<R>(&mut self, party: Party, act: impl FnOnce(&mut Endpoint, Now) -> R) -> R {
        let now = self.now;
        let result = act(self.end(party), now);
        self.settle();
        result
    }

    /// A datagram from the carrier's address, by hand.
    pub fn datagram(&mut self, text: &str) {
        let remote = SocketAddr::from(([127, 0, 0, 2], 5099));
        let path = Path::new(Transport::Udp, our_address(), remote);
        let bytes = Bytes::copy_from_slice(text.replace('\n', "\r\n").as_bytes());
        self.switch.handle(self.now, Input::Datagram { path, bytes });
        self.settle();
    }

    /// The newest INVITE at a party for this user, and forgets it.
    pub fn rings(&mut self, party: Party, user: &str) -> Option<SessionId> {
        let found = self
            .events
            .iter()
            .rposition(|(p, e)| matches!(e, Event::Incoming(i) if *p == party && i.request_user == user))?;
        match self.events.remove(found).1 {
            Event::Incoming(incoming) => Some(incoming.session),
            _ => None,
        }
    }

    pub fn accept(&mut self, party: Party, session: SessionId) {
        let body = description(30_000 + (session.0 % 1_000) as u16, sdp::Direction::SendRecv);
        self.with(party, |e, now| e.accept(now, session, body));
    }

    pub fn hangup(&mut self, party: Party, session: SessionId) {
        self.with(party, |e, now| e.hangup(now, session, Cause::Normal));
    }

    pub fn reoffer(&mut self, party: Party, session: SessionId, direction: sdp::Direction) {
        self.with(party, |e, now| e.reinvite(now, session, description(20_000, direction)));
    }

    pub fn refer(&mut self, party: Party, session: SessionId, to: &str) {
        self.with(party, |e, now| {
            e.refer(now, session, &if to.contains('@') { format!("sip:{to}") } else { format!("sip:{to}@127.0.0.1") })
        });
    }

    /// Answers the INVITE that rings at the agent's phone.
    pub fn agent_answers(&mut self, agent: &str) -> SessionId {
        let session = self.rings(Party::Phones, agent).unwrap_or_else(|| panic!("{agent} is not rung"));
        self.accept(Party::Phones, session);
        session
    }

    pub fn command(&mut self, command: Command) -> Reply {
        self.switch.handle(self.now, Input::Command { token: 1, command });
        self.settle();
        self.replies.pop().expect("a reply")
    }

    pub fn card(&mut self, event: CardInput) {
        let card = self.circuit(1).card;
        self.switch.handle(self.now, Input::Card { card, event });
        self.settle();
    }

    pub fn far(&mut self, timeslot: u8, input: em_wink::Input) {
        let now = self.now.mono;
        if let Some(far) = self.far.get_mut(&timeslot) {
            far.handle(now, input);
        }
        self.settle();
    }

    /// Nobody works a circuit at the far end: it stays as `card` says.
    pub fn no_far_end(&mut self, timeslot: u8) {
        self.far.remove(&timeslot);
    }

    /// A client seizes a circuit and dials.
    pub fn seize(&mut self, timeslot: u8, digits: &str) {
        let digits = DialString::new(digits).expect("digits");
        self.far(timeslot, em_wink::Input::Seize { digits });
    }

    pub fn media_event(&mut self, event: MediaEvent) {
        self.switch.handle(self.now, Input::Media(event));
        self.settle();
    }

    /// The one port whose peer takes media at this port.
    pub fn port_to(&self, remote: u16) -> PortId {
        self.ports.iter().find(|(_, p)| p.remote == Some(remote)).map(|(id, _)| *id).expect("a port to the peer")
    }

    pub fn port_on(&self, timeslot: u8) -> Option<&Port> {
        self.ports.values().find(|p| p.circuit.is_some_and(|c| c.timeslot == timeslot))
    }

    /// The client's port, when the client called by [`Desk::client`].
    pub fn client_port_id(&self) -> PortId {
        self.port_to(20_000)
    }

    /// The client's port, when the client called by [`Desk::client`].
    pub fn client_port(&self) -> &Port {
        &self.ports[&self.port_to(20_000)]
    }

    pub fn heard(&self, party: Party, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(|(p, e)| *p == party && wanted(e))
    }

    pub fn far_heard(&self, timeslot: u8, wanted: &em_wink::Event) -> bool {
        self.far_events.iter().any(|(t, e)| *t == timeslot && e == wanted)
    }

    pub fn agent(&self, name: &str) -> AgentStatus {
        self.agents.get(name).map_or(AgentStatus::Null, |a| a.0)
    }

    /// The only record so far.
    pub fn record(&self) -> &Cdr {
        assert_eq!(self.cdrs.len(), 1, "one record");
        &self.cdrs[0]
    }

    pub fn circuit(&self, timeslot: u8) -> Circuit {
        Circuit { card: cordboard::base::CardId(self.card_number()), span: 1, timeslot }
    }

    fn card_number(&self) -> u16 {
        let directory = cordboard::core::tenant::Directory::new(&crate::provision(PROVISION), None);
        directory.spans().next().map_or(0, |s| s.card.0)
    }

    fn end(&mut self, party: Party) -> &mut Endpoint {
        self.ends.get_mut(&party).expect("every party has an endpoint")
    }

    pub fn query(&mut self, query: Query) -> Reply {
        self.switch.handle(self.now, Input::Query { token: 2, query });
        self.settle();
        self.replies.pop().expect("a reply")
    }

    // ---- what goes wrong ----

    /// A party's equipment is switched off and on: it knows of nothing.
    pub fn forget(&mut self, party: Party) {
        let seed = self.now.mono.as_micros();
        self.ends.insert(party, Endpoint::new(endpoint(seed)));
    }

    /// The disk gets full, or has room again.
    pub fn disk_refuses(&mut self, refuses: bool) {
        let path = self.path_to(Party::Phones);
        self.disk.refuses = refuses;
        self.disk.write(path);
        if !refuses {
            for call in std::mem::take(&mut self.disk.uncommitted) {
                self.switch.handle(self.now, Input::Committed(call));
            }
            self.settle();
        }
    }

    /// The process is killed and started again: sockets, ports and timers are gone, circuits on-hook, peers go on.
    pub fn restart(&mut self, seed: u64) {
        self.lives += 1;
        let lived_ms = u64::try_from(self.now.wall.0 - START.0).expect("time goes on") + self.lives;
        let first_call = lived_ms << 20;
        let (first_seq, agents, bindings) = self.disk.recover(self.now.wall);
        self.ports.clear();
        self.told.clear();
        self.later.clear();
        self.replies.clear();
        self.hooks.clear();
        self.sockets_left = self.sockets_left.max(self.sockets_at_start);
        (self.started, self.stopped) = (0, false);
        self.cdrs.clear();
        let now = self.now;
        for far in self.far.values_mut() {
            far.handle(now.mono, em_wink::Input::Bits(cordboard::proto::cas::Bits::new(0)));
        }
        self.switch = Switch::recover(
            now,
            config(seed, first_call, first_seq),
            self.disk.provision.clone(),
            &agents,
            bindings,
            self.disk.open_works(),
            self.disk.last_agents(),
        );
        self.settle();
        // The card tells who is off-hook.
        for (timeslot, bits) in self.far_bits.clone() {
            self.card(CardInput::Cas { span: 1, timeslot, bits });
        }
    }

    // ---- time ----

    /// Lets time pass, timer by timer.
    pub fn pass(&mut self, for_so_long: Duration) {
        let end = self.now.mono + for_so_long;
        loop {
            let due = self.next_due().filter(|due| *due <= end);
            let to = due.unwrap_or(end).max(self.now.mono);
            self.now = self.now.after(to.since(self.now.mono));
            self.due();
            self.settle();
            self.switch.check_invariants();
            if due.is_none() {
                return;
            }
        }
    }

    pub fn seconds(&mut self, n: u64) {
        self.pass(Duration::from_secs(n));
    }

    fn next_due(&self) -> Option<Instant> {
        let ends = self.ends.values().filter_map(Endpoint::poll_timeout);
        let far = self.far.values().filter_map(EmWink::poll_timeout);
        let own = self.later.iter().map(|(at, _)| *at).chain(self.far_digits.iter().map(|(at, _, _)| *at));
        let own = own.chain(self.held_up.iter().map(|(at, _, _, _)| *at));
        self.switch.poll_timeout().into_iter().chain(ends).chain(far).chain(own).min()
    }

    fn due(&mut self) {
        let now = self.now;
        if self.switch.poll_timeout().is_some_and(|t| t <= now.mono) {
            self.wakes += 1;
            self.switch.handle_timeout(now);
        }
        for end in self.ends.values_mut() {
            end.handle_timeout(now);
        }
        for far in self.far.values_mut() {
            far.handle_timeout(now.mono);
        }
        let (due, rest) = std::mem::take(&mut self.later).into_iter().partition(|(at, _)| *at <= now.mono);
        self.later = rest;
        let due: Vec<(Instant, MediaEvent)> = due;
        for (_, event) in due {
            let stale = match &event {
                MediaEvent::PlayDone { port, play } => {
                    let port = self.ports.get_mut(port).filter(|p| p.sound == Sound::Play(*play));
                    port.map(|p| p.sound = Sound::Nothing).is_none()
                }
                MediaEvent::DigitsSent { port } | MediaEvent::Unheard { port } => !self.ports.contains_key(port),
                _ => false,
            };
            if !stale {
                self.told.push_back(event);
            }
        }
        let (due, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.far_digits).into_iter().partition(|(at, _, _)| *at <= now.mono);
        self.far_digits = rest;
        for (_, timeslot, digits) in due {
            self.far_sends(timeslot, &digits);
        }
        let (due, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.held_up).into_iter().partition(|(at, ..)| *at <= now.mono);
        self.held_up = rest;
        for (_, party, to_us, bytes) in due {
            self.deliver(party, to_us, bytes);
        }
    }

    /// The far end's digits, heard by the port that listens on the circuit.
    fn far_sends(&mut self, timeslot: u8, digits: &str) {
        for digit in digits.chars() {
            let on = self.ports.iter().find(|(_, p)| p.circuit.is_some_and(|c| c.timeslot == timeslot));
            if let Some((&port, _)) = on {
                let event = MediaEvent::Digit { port, digit, source: DigitSource::InBand };
                self.switch.handle(self.now, Input::Media(event));
                self.settle();
            }
        }
        self.far(timeslot, em_wink::Input::DigitsSent);
    }

    // ---- the wires ----

    pub fn settle(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.switch.poll_output() {
                quiet = false;
                self.output(output);
            }
            while let Some(event) = self.told.pop_front() {
                quiet = false;
                self.switch.handle(self.now, Input::Media(event));
            }
            for party in PARTIES {
                while let Some(transmit) = self.end(party).poll_transmit() {
                    quiet = false;
                    self.send(party, true, transmit.bytes);
                }
                while let Some(event) = self.end(party).poll_event() {
                    quiet = false;
                    self.event(party, event);
                }
            }
            for timeslot in 1..=24 {
                while let Some(output) = self.far.get_mut(&timeslot).and_then(EmWink::poll_output) {
                    quiet = false;
                    self.far_output(timeslot, output);
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// A datagram of a party's, to us or from us: at once, late, or never.
    fn send(&mut self, party: Party, to_us: bool, bytes: Bytes) {
        match self.slow.get(&party) {
            _ if self.dead.contains(&party) => {}
            Some(late) => self.held_up.push((self.now.mono + *late, party, to_us, bytes)),
            None => self.deliver(party, to_us, bytes),
        }
    }

    fn deliver(&mut self, party: Party, to_us: bool, bytes: Bytes) {
        let now = self.now;
        if to_us {
            let path = self.path_to(party);
            self.switch.handle(now, Input::Datagram { path, bytes });
        } else {
            let path = self.path_of(party);
            self.end(party).receive(now, path, bytes);
        }
    }

    /// Our way to a party.
    pub fn path_to(&self, party: Party) -> Path {
        Path::new(Transport::Udp, our_address(), party.address())
    }

    /// A party's way to us.
    pub fn path_of(&self, party: Party) -> Path {
        Path::new(Transport::Udp, party.address(), our_address())
    }

    fn event(&mut self, party: Party, event: Event) {
        let now = self.now;
        match &event {
            Event::Incoming(incoming) if self.ring => self.end(party).provisional(now, incoming.session, 180, None),
            Event::Reoffer { session, .. } => {
                let body = description(20_000, sdp::Direction::SendRecv);
                self.end(party).answer_reoffer(now, *session, Ok(body));
            }
            _ => {}
        }
        self.events.push((party, event));
    }

    fn far_output(&mut self, timeslot: u8, output: em_wink::Output) {
        match output {
            em_wink::Output::SetBits(bits) => {
                self.far_bits.insert(timeslot, bits.get());
                let event = CardInput::Cas { span: 1, timeslot, bits: bits.get() };
                let card = self.circuit(timeslot).card;
                self.switch.handle(self.now, Input::Card { card, event });
            }
            em_wink::Output::SendDigits(digits) => {
                let at = self.now.mono + Duration::from_millis(500);
                self.far_digits.push((at, timeslot, digits.as_str().to_owned()));
            }
            em_wink::Output::Event(event) => self.far_events.push((timeslot, event)),
            em_wink::Output::StartDigits | em_wink::Output::StopDigits => {}
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Transmit(t) => {
                let Some(party) = PARTIES.into_iter().find(|p| p.address() == t.path.remote) else {
                    return self.strays.push(t.bytes);
                };
                self.tries.take(&self.disk, party, &t.bytes);
                if t.bytes.starts_with(b"INVITE ") || t.bytes.starts_with(b"CANCEL ") {
                    self.calls_out.push((party, String::from_utf8_lossy(&t.bytes).into_owned()));
                }
                self.send(party, false, t.bytes);
            }
            Output::Media(command) => self.media(command),
            Output::Journal { seq, change } => {
                let path = self.path_to(Party::Phones);
                self.disk.take(seq, &change, path);
                self.journal.push(change.clone());
                self.fact(change);
            }
            Output::SetCas { circuit, bits, .. } => {
                self.hooks.insert(circuit.timeslot, bits);
                let now = self.now.mono;
                if let Some(far) = self.far.get_mut(&circuit.timeslot) {
                    far.handle(now, em_wink::Input::Bits(cordboard::proto::cas::Bits::new(bits)));
                }
            }
            Output::Reply { reply, .. } => self.replies.push(reply),
            Output::Commit(call) if self.disk.refuses => self.disk.uncommitted.push(call),
            Output::Commit(call) => self.switch.handle(self.now, Input::Committed(call)),
            Output::Stopped => self.stopped = true,
            Output::CloseConnection(_) | Output::ServeTls(_) | Output::TlsProfile(_) | Output::DnsServers(_) => {}
            Output::Warning(text) => self.warnings.push(text),
            Output::Dns(question) => self.asked.push(question),
        }
    }

    fn fact(&mut self, change: Change) {
        match change {
            Change::CallStarted { .. } => self.started += 1,
            Change::CallEnded { cdr } => self.cdrs.push(*cdr),
            Change::AgentChanged { agent, status, reason, .. } => {
                self.agents.insert(agent, (status, reason));
            }
            _ => {}
        }
    }

    fn open(&mut self, port: PortId, socket: Option<u16>, circuit: Option<Circuit>) {
        let taken = |p: &Port| (socket.is_some() && p.socket == socket) || (circuit.is_some() && p.circuit == circuit);
        assert!(!self.ports.values().any(taken), "{port}: {socket:?} {circuit:?} is taken");
        let sound = Sound::Nothing;
        let opened = Port { socket, circuit, bridge: None, sound, recording: None, remote: None, tones: None };
        assert!(self.ports.insert(port, opened).is_none(), "{port} opened twice");
    }

    fn port(&mut self, port: PortId) -> &mut Port {
        self.ports.get_mut(&port).unwrap_or_else(|| panic!("a command for {port}, which is not open"))
    }

    fn media(&mut self, command: MediaCommand) {
        match command {
            MediaCommand::BindSockets(n) => {
                let n = n.min(self.sockets_left);
                self.sockets_left -= n;
                let sockets: Vec<u16> = (0..n).map(|i| self.next_socket + 2 * i).collect();
                self.next_socket += 2 * n;
                let event = if n == 0 { MediaEvent::SocketsExhausted } else { MediaEvent::Sockets(sockets) };
                self.told.push_back(event);
            }
            MediaCommand::OpenRtp { port, socket } => self.open(port, Some(socket), None),
            MediaCommand::OpenTdm { port, circuit, .. } => self.open(port, None, Some(circuit)),
            MediaCommand::SetTransport { port, remote, answered, .. } => {
                self.port(port);
                self.protected.push((port, remote.port(), answered));
            }
            MediaCommand::SetStream { port, stream } => self.port(port).remote = Some(stream.remote.port()),
            MediaCommand::DetectDtmf { port, .. } => drop(self.port(port)),
            MediaCommand::DetectTones { port, country } => self.port(port).tones = country,
            MediaCommand::HeedSilence { port } => {
                self.port(port);
                let silence = (self.now.mono + Duration::from_secs(2), MediaEvent::Unheard { port });
                self.later.extend((!self.heard_on).then_some(silence));
            }
            MediaCommand::DetectAnswer { port } => {
                self.port(port);
                let event = MediaEvent::Answered { port, by: Answerer::Human };
                self.later.extend(self.listens.map(|long| (self.now.mono + long, event)));
            }
            MediaCommand::Play { port, play, items } => {
                for item in items {
                    if let PlayItem::Prompt(name) | PlayItem::PromptOr(name, _) = item {
                        self.said.push((port, name.to_string()));
                    }
                }
                self.port(port).sound = Sound::Play(play);
                self.later.push((self.now.mono + Duration::from_secs(1), MediaEvent::PlayDone { port, play }));
            }
            MediaCommand::Tone { port, play, .. } => self.port(port).sound = Sound::Tone(play),
            MediaCommand::Music { port, play, .. } => self.port(port).sound = Sound::Music(play),
            MediaCommand::StopPlay { port } => self.port(port).sound = Sound::Nothing,
            MediaCommand::SendDigits { port, digits, .. } => {
                let Some(circuit) = self.port(port).circuit else { return self.keyed.push((port, digits)) };
                for digit in digits.chars() {
                    self.far(circuit.timeslot, em_wink::Input::Digit(digit));
                }
                self.later.push((self.now.mono + Duration::from_millis(500), MediaEvent::DigitsSent { port }));
            }
            MediaCommand::Bridge { a, b } => {
                for (port, other) in [(a, b), (b, a)] {
                    self.unbridge(port);
                    self.port(port).sound = Sound::Nothing;
                    self.port(port).bridge = Some(other);
                }
            }
            MediaCommand::Unbridge { port } => {
                self.port(port);
                self.unbridge(port);
            }
            MediaCommand::Record { port, name } => {
                assert!(self.recordings.insert(name.to_string()), "recording {name} is made anew over the first");
                let port = self.port(port);
                assert_eq!(port.recording, None, "recording {name} while another goes on");
                port.recording = Some(name.to_string());
            }
            MediaCommand::StopRecord { port } => self.port(port).recording = None,
            MediaCommand::Close { port } => {
                self.unbridge(port);
                let closed = self.ports.remove(&port).unwrap_or_else(|| panic!("{port} closed, which is not open"));
                self.told.push_back(MediaEvent::Closed { port, stats: Box::default(), socket: closed.socket });
            }
        }
    }

    fn unbridge(&mut self, port: PortId) {
        let other = self.ports.get_mut(&port).and_then(|p| p.bridge.take());
        if let Some(other) = other.and_then(|o| self.ports.get_mut(&o)) {
            other.bridge = None;
        }
    }
}
