//! The core's one machine: owner of all calls, legs, queues, agents, circuits and SIP sessions, by value.
//!
//! `handle(now, Input)` and `handle_timeout(now)` change it; `poll_output()` drains what it wants done; `poll_timeout()`
//! says when it wants to be called again. The handlers live beside their subject: `call/`, `trunk/`, `admin.rs`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::base::{
    AgentId, CallId, CardId, Circuit, FlowId, GiveBack, Instant, LegId, Now, OfferId, PlayId, PortId, Source,
    Timestamp, Trace, TrunkId, WorkItemId,
};
use crate::core::admin::Alarms;
use crate::core::bounds::Lost;
use crate::core::call::{Call, CallIndex, Leg, Redial, Role};
use crate::core::contact::sticky::{LastAgent, LastAgents};
use crate::core::contact::{Items, Work};
use crate::core::control::{Asker, Command, Query, Reply, Request};
use crate::core::ids::Ids;
use crate::core::ivr::Flow;
use crate::core::journal::{AgentStatus, Change, Seq};
use crate::core::load::Gate;
use crate::core::load::admission::Phones;
use crate::core::load::governor::Sample;
use crate::core::media::{MediaCommand, MediaEvent};
use crate::core::queue::Engine;
use crate::core::tenant::{Directory, Provision};
use crate::core::tls::{Profile, Profiles, ServerTls};
use crate::core::trunk::admission::{Admission, Mode};
use crate::core::trunk::locator::Locator;
use crate::core::trunk::preempt::Preemptions;
use crate::core::trunk::pulse::Pulses;
use crate::core::trunk::reach::Reach;
use crate::core::trunk::seat::Seat;
use crate::core::trunk::servers::Servers;
use crate::core::trunk::sharing::Sharers;
use crate::core::trunk::sockets::SocketPool;
use crate::core::trunk::target::Destination;
use crate::core::trunk::tdm::CircuitEntry;

use crate::core::trunk::{CardInput, TrunkHealth};
use crate::proto::dns::{Answer, Question};
use crate::proto::sdp::Fingerprint;
use crate::proto::sip::{Binding, Endpoint, EndpointConfig, Path, SessionId, Transmit, Transport};
use crate::proto::srtp::KeyGenerator;

/// Most work items that may wait at once on the appliance.
pub const WAITING_MAX: usize = 100_000;

/// An agent's state as the store has it: tenant's name, agent's name, state, why not ready, and where it has signed in.
pub type StoredAgent = (String, String, AgentStatus, String, Option<Seat>);

/// What the appliance tells the core at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// First id of a call or work item, in units of 2^-20 ms; later ones are greater by the time since the start. No earlier run
    /// may have come so far.
    pub first_call: u64,
    /// Journal position of the first change to come.
    pub first_seq: Seq,
    /// SIP listeners that are bound.
    pub listeners: Vec<(Transport, SocketAddr)>,
    /// Addresses in our session descriptions, at most one of each family, the usual one first.
    pub media_addresses: Vec<IpAddr>,
    /// Seed of tags, branches, nonces and weighted choices; from the system's entropy, fixed in tests.
    pub seed: u64,
    /// Product version for `status`.
    pub version: String,
    /// SIP limits and names.
    pub sip: EndpointConfig,
    /// What SRTP needs.
    pub srtp: SrtpConfig,
}

/// What the core needs to agree on protected media.
#[derive(Clone, Default)]
pub struct SrtpConfig {
    /// Seed of the keys in our session descriptions; from the system's entropy, fixed in tests.
    pub seed: [u8; 32],
    /// Our certificate for DTLS; `None`: no handshakes are offered or taken.
    pub fingerprint: Option<Fingerprint>,
}

impl std::fmt::Debug for SrtpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpConfig").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// What happens to the core.
#[derive(Debug)]
pub enum Input {
    /// A SIP datagram.
    Datagram {
        /// From where, on which listener.
        path: Path,
        /// Whole.
        bytes: Bytes,
    },
    /// Octets of a SIP stream.
    Stream {
        /// The connection.
        path: Path,
        /// As they came.
        bytes: Bytes,
    },
    /// A SIP connection closed.
    ConnectionClosed(u64),
    /// Something could not be sent.
    TransportFailed(Path),
    /// The peer of a TLS connection showed a certificate for these SIP domains (RFC 5922); it was verified.
    Identified {
        /// The connection.
        connection: u64,
        /// In lower case.
        domains: Vec<String>,
    },
    /// DNS answered a question of [`Output::Dns`], or nobody did.
    Dns {
        /// Which.
        question: Question,
        /// What it said.
        answer: Option<Answer>,
    },
    /// A certificate of ours was read.
    CertificateRead {
        /// What it is for: `sip.tls`, or a trunk's profile.
        subject: String,
        /// When it ends.
        not_after: Timestamp,
    },
    /// A trunk card has news.
    Card {
        /// Which.
        card: CardId,
        /// What.
        event: CardInput,
    },
    /// The media plane has news.
    Media(MediaEvent),
    /// An order from a console; the token comes back with the reply.
    Command {
        /// Chosen by the caller.
        token: u64,
        /// The order.
        command: Command,
    },
    /// A question from a console.
    Query {
        /// Chosen by the caller.
        token: u64,
        /// The question.
        query: Query,
    },
    /// A request from a control socket; the token comes back with the reply.
    Request {
        /// Chosen by the caller.
        token: u64,
        /// Who wants it.
        asker: Asker,
        /// What.
        request: Request,
    },
    /// The disk has become too full for new recordings, or has room again.
    DiskFull(bool),
    /// The facts that [`Output::Commit`] named are durable.
    Committed(CallId),
    /// A recording has failed, or one that was begun after that is known to be written whole.
    RecordingsFail(bool),
    /// So much waits for the store that no new call should be begun, or no longer.
    StoreBehind(bool),
    /// How busy the machine is, each [`TICK`](crate::core::load::governor::TICK). Without it nothing is ever held back.
    Load(Sample),
    /// Datagrams that follow have stood in their socket for so long; said again with each reading.
    Waited(Duration),
    /// An alarm of the edge begins or ends (store, prompts).
    Alarm {
        /// Stable name.
        name: &'static str,
        /// What it is about.
        subject: String,
        /// Whether it stands.
        stands: bool,
    },
}

/// What the core wants done.
#[derive(Debug)]
pub enum Output {
    /// Send SIP. A success response goes out only when all facts emitted before it are durable.
    Transmit(Transmit),
    /// Close a SIP connection.
    CloseConnection(u64),
    /// Accept TLS with these certificates, read now, or with none.
    ServeTls(Option<Box<ServerTls>>),
    /// How connections whose paths have this profile are made; its files are read now.
    TlsProfile(Box<Profile>),
    /// Ask DNS; [`Input::Dns`] follows.
    Dns(Question),
    /// Which servers DNS is asked of from now on; none: the system's.
    DnsServers(Vec<SocketAddr>),
    /// Set a circuit's CAS bits (A = 8 .. D = 1); an answer only when all facts emitted before it are durable.
    SetCas {
        /// The circuit.
        circuit: Circuit,
        /// Low nibble.
        bits: u8,
        /// They answer the far end's call.
        answers: bool,
    },
    /// Tell the media plane.
    Media(MediaCommand),
    /// Store a fact.
    Journal {
        /// Its position.
        seq: Seq,
        /// The fact.
        change: Change,
    },
    /// Answer a console, but not before `after` is durable.
    Reply {
        /// The asker's token.
        token: u64,
        /// The answer.
        reply: Reply,
        /// Journal position that must be durable first.
        after: Option<Seq>,
    },
    /// Say [`Input::Committed`] when all facts emitted before it are durable.
    Commit(CallId),
    /// Tell the log.
    Warning(String),
    /// Nothing is left to do after [`Command::Stop`].
    Stopped,
}

/// Timers of the switch. Each is harmless when it fires late or for something that is gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Timer {
    /// When a flow's step has waited long enough.
    Flow(CallId),
    /// When a circuit's signalling machine wants to be called.
    Circuit(Circuit),
    /// When a far end that keeps a circuit off-hook blocks it.
    FarEnd(Circuit),
    /// When an emergency call that waits for a circuit looks again.
    Preempt(CallId),
    /// When an offer that found no resources is tried again.
    Redial(OfferId),
    /// When a transfer target has rung long enough.
    RingEnd(LegId),
    /// When the media plane should have said who answered.
    ExamineEnd(LegId),
    /// When a trunk's peer should have answered an INVITE with at least 100 Trying.
    PeerSilent(LegId),
    /// When a caller on a circuit has heard long enough why the call failed.
    ToneEnd(CallId),
    /// When another appliance should have taken a call that is handed back to it.
    HandbackEnd(CallId),
    /// When an ended call's media measures have not come: the record is written without them.
    Settle(CallId),
    /// When a call has waited long enough for DNS.
    Locate(CallId),
    /// When a console has.
    LocateFor(u64),
    /// When a digit that came by INFO should have come by a telephone event, too.
    InfoDigits(LegId),
    /// When a trunk's peer is due for an OPTIONS probe.
    Probe(TrunkId, usize),
    /// When phones of agents at sites are to be asked whether they answer.
    Pulses,
    /// When a source that guessed passwords is heard again.
    Unheard(Source),
    /// When the certificates are to be looked at: whether one ends soon.
    Certificates,
    /// When what was learned of calls on shared trunks is to be stored.
    Learned,
    /// When an agent has been cut off for so long that what is in its hand goes back.
    CutOff(AgentId),
    /// When the clock is to be looked at: whether a work item's time has come.
    WorksDue,
    /// When calls still up after [`Command::Stop`] are released.
    GraceOver,
}

/// Whom a port serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PortOwner {
    /// A live leg.
    Leg(LegId),
    /// A circuit whose address digits are collected; no leg yet.
    Circuit(Circuit),
    /// A closing port: its measures belong into this leg's record.
    Closing { call: CallId, index: usize },
    /// A closing port nobody asks about.
    Orphan,
}

/// Counters for `status`.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counters {
    pub offered: u64,
    pub answered: u64,
    pub abandoned: u64,
    pub calls_refused: u64,
    pub sockets_refused: u64,
    /// Conversations that were to be recorded, and were not, or not to their end.
    pub recordings_refused: u64,
    /// Legs beyond what a call may have.
    pub legs_refused: u64,
    /// What calls that are over lost to their own bounds.
    pub calls_lost: Lost,
    pub handshakes_failed: u64,
    /// Calls handed back to the appliance that they came from, and such as came round again.
    pub handed_back: u64,
    pub gone_round: u64,
    /// Calls and other work items that agents were cut off from.
    pub cut_offs: u64,
    /// Clients who were called back and answered, and who never did.
    pub callbacks_reached: u64,
    pub callbacks_unreached: u64,
    /// Wishes to be called back that found no room.
    pub callbacks_refused: u64,
    /// Calls that gave way to emergency calls.
    pub preempted: u64,
}

/// The core. See the module's text.
pub struct Switch {
    pub(crate) config: Config,
    pub(crate) provision: Provision,
    pub(crate) directory: Directory,
    pub(crate) flows: HashMap<FlowId, Arc<Flow>>,
    pub(crate) sip: Endpoint,
    pub(crate) queue: Engine,
    pub(crate) calls: HashMap<CallId, Call>,
    pub(crate) legs: HashMap<LegId, Leg>,
    pub(crate) by_session: HashMap<SessionId, LegId>,
    /// Calls in progress by their traces.
    pub(crate) traced: HashMap<Trace, Vec<CallId>>,
    pub(crate) by_offer: HashMap<OfferId, LegId>,
    pub(crate) by_item: HashMap<WorkItemId, CallId>,
    pub(crate) call_index: CallIndex,
    pub(crate) redials: HashMap<OfferId, Redial>,
    /// Work items that are no calls.
    pub(crate) works: Items,
    pub(crate) ports: HashMap<PortId, PortOwner>,
    pub(crate) circuits: BTreeMap<Circuit, CircuitEntry>,
    /// Spans in alarm or gone, provisioned or not.
    pub(crate) spans_down: HashSet<(CardId, u8)>,
    pub(crate) trunks: HashMap<TrunkId, TrunkHealth>,
    /// The trunks that lead to agents.
    pub(crate) reach: Reach,
    /// Whether the SIP phones of agents at sites answer.
    pub(crate) pulses: Pulses,
    /// Where agents have signed in who sit elsewhere than provisioned.
    pub(crate) seats: HashMap<AgentId, Seat>,
    /// Who may use the trunks that tenants share.
    pub(crate) admission: Admission,
    pub(crate) sharers: Sharers,
    /// Where destinations are.
    pub(crate) locator: Locator,
    /// How the servers fare that we call.
    pub(crate) servers: Servers,
    /// Trunks by the addresses that the names of their peers stand for.
    pub(crate) located_peers: HashMap<IpAddr, TrunkId>,
    /// Calls that wait for DNS.
    pub(crate) locating: BTreeSet<CallId>,
    /// Emergency calls for which others were ended.
    pub(crate) preemptions: Preemptions,
    /// Consoles that do: their tokens, and what they ask for.
    pub(crate) locating_for: Vec<(u64, Destination)>,
    pub(crate) sockets: SocketPool,
    /// TLS profiles in use.
    pub(crate) profiles: Profiles,
    /// SIP domains that the peers of TLS connections have shown certificates for.
    pub(crate) identities: HashMap<u64, Vec<String>>,
    /// TLS connections on which servers take requests, though we did not make them.
    pub(crate) aliases: HashMap<SocketAddr, u64>,
    /// When our certificates end, by what they are for.
    pub(crate) certificates: BTreeMap<String, Timestamp>,
    pub(crate) gate: Gate,
    pub(crate) phones: Phones,
    /// Whom clients met last.
    pub(crate) last_agents: LastAgents,
    pub(crate) counters: Counters,
    pub(crate) alarms: Alarms,
    /// Sources that guess passwords, among those known to the gate.
    pub(crate) guessing: BTreeSet<Source>,
    /// Users of ours whose passwords are guessed at.
    pub(crate) locked: BTreeSet<String>,
    pub(crate) pin_failures: HashMap<AgentId, (u32, Instant)>,
    /// Calls per agent that occupy the phone without being an offer.
    pub(crate) engaged: HashMap<AgentId, u32>,
    /// Sessions with agents' phones that we ended and that are not confirmed.
    pub(crate) releasing: HashMap<SessionId, AgentId>,
    /// When the log last told of an order that was denied to a user, and how many were since.
    pub(crate) denied: Option<(Instant, u64)>,
    pub(crate) started: Now,
    pub(crate) stopping: bool,
    /// New recordings are refused: there is no room for them.
    pub(crate) disk_is_full: bool,
    /// New calls are refused: their facts would find no room.
    pub(crate) store_is_behind: bool,
    /// A recording failed, and none has been written since.
    pub(crate) recordings_fail: bool,
    stopped: bool,
    entries: u64,
    next_id: u64,
    ids: Ids,
    next_seq: Seq,
    pub(crate) random: u64,
    /// Makes the keys in our session descriptions.
    pub(crate) keys: KeyGenerator,
    timers: BinaryHeap<Reverse<(Instant, u64, Timer)>>,
    timer_count: u64,
    out: VecDeque<Output>,
}

impl Switch {
    /// A core that serves `provision`, which must have passed `tenant::check`.
    pub fn new(now: Now, config: Config, provision: Provision) -> Self {
        Self::recover(now, config, provision, &[], Vec::new(), Vec::new(), Vec::new())
    }

    /// As `new`, with what an earlier run left: agents' states (whose calls are gone), phones' registrations, work items that
    /// have not ended, and whom clients met last.
    pub fn recover(
        now: Now,
        config: Config,
        provision: Provision,
        agents: &[StoredAgent],
        bindings: Vec<Binding>,
        works: Vec<Work>,
        last_agents: Vec<LastAgent>,
    ) -> Self {
        let directory = Directory::new(&Provision::default(), None);
        let mut switch = Self {
            sip: Endpoint::new(config.sip.clone()),
            queue: Engine::new(WAITING_MAX),
            ids: Ids::new(config.first_call, config.seed.rotate_left(17) ^ 0xa076_1d64_78bd_642f),
            next_seq: config.first_seq,
            random: config.seed | 1,
            keys: KeyGenerator::new(config.srtp.seed),
            provision: Provision::default(),
            directory,
            flows: HashMap::new(),
            calls: HashMap::new(),
            legs: HashMap::new(),
            by_session: HashMap::new(),
            traced: HashMap::new(),
            by_offer: HashMap::new(),
            by_item: HashMap::new(),
            call_index: CallIndex::default(),
            redials: HashMap::new(),
            works: Items::default(),
            ports: HashMap::new(),
            circuits: BTreeMap::new(),
            spans_down: HashSet::new(),
            trunks: HashMap::new(),
            reach: Reach::default(),
            pulses: Pulses::default(),
            seats: HashMap::new(),
            admission: Admission::new(Mode::Priced),
            sharers: Sharers::default(),
            locator: Locator::new(&config.listeners),
            servers: Servers::default(),
            located_peers: HashMap::new(),
            locating: BTreeSet::new(),
            preemptions: Preemptions::new(),
            locating_for: Vec::new(),
            sockets: SocketPool::default(),
            profiles: Profiles::default(),
            identities: HashMap::new(),
            aliases: HashMap::new(),
            certificates: BTreeMap::new(),
            // Another secret than that of tags and nonces.
            gate: Gate::new(now.mono, config.seed.rotate_left(29) ^ 0x5bd1_e995_9bd1_e995),
            phones: Phones::default(),
            last_agents: LastAgents::default(),
            counters: Counters::default(),
            alarms: Alarms::default(),
            guessing: BTreeSet::new(),
            locked: BTreeSet::new(),
            pin_failures: HashMap::new(),
            denied: None,
            engaged: HashMap::new(),
            releasing: HashMap::new(),
            started: now,
            stopping: false,
            disk_is_full: false,
            store_is_behind: false,
            recordings_fail: false,
            stopped: false,
            entries: 0,
            next_id: 1,
            timers: BinaryHeap::new(),
            timer_count: 0,
            out: VecDeque::new(),
            config,
        };
        let streams = switch.config.listeners.iter().filter(|(transport, _)| *transport == Transport::Tcp);
        switch.sip.set_streams(streams.map(|(_, local)| *local).collect());
        switch.adopt_provision(now, provision, agents);
        switch.restore_last_agents(last_agents);
        switch.restore_works(now, works);
        switch.restore(now, agents, bindings);
        switch.count_agents(now);
        switch.store_learned_and_go_on(now);
        switch.sockets_ask();
        switch.settle(now);
        switch
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Datagram { path, bytes } => self.datagram(now, path, bytes),
            Input::Stream { path, bytes } => self.stream(now, path, &bytes),
            Input::Load(sample) => self.load(now, sample),
            Input::Waited(waited) => self.gate.governor.waited(waited),
            Input::ConnectionClosed(connection) => {
                self.unidentified(connection);
                self.sip.connection_closed(now, connection);
            }
            Input::TransportFailed(path) => self.sip.transport_failed(now, path),
            Input::Identified { connection, domains } => self.identified(connection, domains),
            Input::Dns { question, answer } => self.dns_answered(now, question, answer),
            Input::CertificateRead { subject, not_after } => self.certificate_read(now, subject, not_after),
            Input::Card { card, event } => self.on_card(now, card, event),
            Input::Media(event) => self.on_media(now, event),
            Input::Command { token, command } => self.on_command(now, token, command),
            Input::Query { token, query } => self.on_query(now, token, query),
            Input::Request { token, asker, request } => self.on_request(now, token, asker, request),
            Input::Committed(call) => self.committed(now, call),
            Input::DiskFull(full) => self.disk_full(now, full),
            Input::RecordingsFail(fail) => self.set_recordings_fail(now, fail),
            Input::StoreBehind(behind) => {
                self.store_is_behind = behind;
                self.alarms.set(now, "store-behind", String::new(), behind);
            }
            Input::Alarm { name, subject, stands } => self.alarms.set(now, name, subject, stands),
        }
        self.settle(now);
    }

    /// Runs every timer that is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.sip.handle_timeout(now);
        self.queue.handle_timeout(now);
        self.refresh_names(now);
        // A bounded piece of its work at a time; what is left makes the next turn come at once.
        self.admission.handle_timeout(now);
        self.settle(now);
        while let Some(&Reverse((due, _, timer))) = self.timers.peek() {
            if due > now.mono {
                break;
            }
            self.timers.pop();
            self.on_timer(now, timer);
            self.settle(now);
        }
    }

    /// When `handle_timeout` is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = self.timers.peek().map(|Reverse((due, _, _))| *due);
        let admission = self.admission.poll_timeout();
        [own, self.sip.poll_timeout(), self.queue.poll_timeout(), self.locator.poll_timeout(), admission]
            .into_iter()
            .flatten()
            .min()
    }

    /// Gives back the memory that a burst took. Each asks only whether there is much to give.
    pub(crate) fn give_back(&mut self) {
        self.sip.give_back();
        self.calls.give_back();
        self.legs.give_back();
        self.by_session.give_back();
        self.traced.give_back();
        self.by_offer.give_back();
        self.by_item.give_back();
        self.call_index.give_back();
        self.ports.give_back();
        self.releasing.give_back();
        self.timers.give_back();
        self.out.give_back();
    }

    /// The next thing to do, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn on_timer(&mut self, now: Now, timer: Timer) {
        match timer {
            Timer::Flow(call) => self.flow_timeout(now, call),
            Timer::Circuit(circuit) => self.circuit_timeout(now, circuit),
            Timer::FarEnd(circuit) => self.look_at_far_end(now, circuit),
            Timer::Redial(offer) => self.redial(now, offer),
            Timer::RingEnd(leg) => self.ring_ended(now, leg),
            Timer::ExamineEnd(leg) => self.examine_ended(now, leg),
            Timer::InfoDigits(leg) => self.info_digits_due(now, leg),
            Timer::PeerSilent(leg) => self.peer_silent(now, leg),
            Timer::ToneEnd(call) => self.end_call(now, call, crate::base::Cause::Normal),
            Timer::HandbackEnd(call) => self.handback_ended(now, call),
            Timer::Settle(call) => self.finish_record(call),
            Timer::Locate(call) => self.go_on(now, call, true),
            Timer::LocateFor(token) => self.answer_location(now, token, true),
            Timer::Probe(trunk, peer) => self.probe_peer(now, trunk, peer),
            Timer::Pulses => self.ask_phones(now),
            Timer::Unheard(source) => self.guessed(now, source),
            Timer::Certificates => self.watch_certificates(now),
            Timer::Preempt(call) => self.look_for_circuit(now, call),
            Timer::Learned => self.store_learned_and_go_on(now),
            Timer::CutOff(agent) => self.stays_cut(now, agent),
            Timer::WorksDue => self.look_at_works(now),
            Timer::GraceOver => self.release_all(now),
        }
    }

    /// Lets the inner machines talk to one another until all are quiet.
    fn settle(&mut self, now: Now) {
        loop {
            if let Some(event) = self.sip.poll_event() {
                self.on_sip(now, event);
            } else if let Some(output) = self.queue.poll_output() {
                self.on_queue(now, output);
            } else {
                break;
            }
        }
        while let Some(transmit) = self.sip.poll_transmit() {
            self.out.push_back(Output::Transmit(transmit));
        }
        while let Some(question) = self.locator.poll_question() {
            self.out.push_back(Output::Dns(question));
        }
        if self.stopping && !self.stopped && self.calls.is_empty() {
            self.stopped = true;
            self.out.push_back(Output::Stopped);
        }
        self.entries = self.entries.wrapping_add(1);
        // The check costs time with every leg and agent, so a busy switch is looked at now and then.
        if cfg!(debug_assertions) && (self.legs.len() < 8 || self.entries.is_multiple_of(64)) {
            self.check_invariants();
        }
    }

    pub(crate) fn emit(&mut self, output: Output) {
        self.out.push_back(output);
    }

    pub(crate) fn media(&mut self, command: MediaCommand) {
        self.out.push_back(Output::Media(command));
    }

    pub(crate) fn journal(&mut self, change: Change) -> Seq {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.out.push_back(Output::Journal { seq, change });
        seq
    }

    /// Position of the newest change, if there was one in this run.
    pub(crate) fn last_seq(&self) -> Option<Seq> {
        (self.next_seq > self.config.first_seq).then(|| self.next_seq - 1)
    }

    pub(crate) fn arm(&mut self, due: Instant, timer: Timer) {
        self.timer_count += 1;
        self.timers.push(Reverse((due, self.timer_count, timer)));
    }

    /// Timers that run.
    pub(crate) fn armed(&self) -> impl Iterator<Item = (Instant, Timer)> {
        self.timers.iter().map(|Reverse((due, _, timer))| (*due, *timer))
    }

    pub(crate) fn fresh(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub(crate) fn fresh_play(&mut self) -> PlayId {
        PlayId(self.fresh())
    }

    pub(crate) fn fresh_call(&mut self, now: Now) -> CallId {
        let since_start = now.mono.since(self.started.mono).as_micros();
        CallId(self.ids.next(u64::try_from(since_start).unwrap_or(u64::MAX)))
    }

    /// From the same counter: no id of a work item is one of a call.
    pub(crate) fn fresh_work(&mut self, now: Now) -> WorkItemId {
        WorkItemId(self.fresh_call(now).0)
    }

    /// A pseudo-random number, for weighted choices only.
    pub(crate) fn random(&mut self) -> u64 {
        draw(&mut self.random)
    }

    /// Asserts what must hold between entries: every leg belongs to a live call and every index points back.
    pub fn check_invariants(&self) {
        for (id, leg) in &self.legs {
            assert!(self.calls.contains_key(&leg.call), "{id} belongs to no call");
            if let Some(port) = leg.port {
                assert_eq!(self.ports.get(&port), Some(&PortOwner::Leg(*id)), "{port} does not know {id}");
            }
            if let Some(sip) = leg.sip() {
                assert_eq!(self.by_session.get(&sip.session), Some(id), "session of {id} points elsewhere");
            }
        }
        for (id, call) in &self.calls {
            assert_eq!(*id, call.id);
            call_invariants(self, call);
        }
        self.check_indices();
        assert_eq!(self.by_session.len(), self.legs.values().filter(|l| l.sip().is_some()).count());
        self.queue.check_invariants();
        self.check_works();
        self.check_sharing();
        self.check_pulses();
        self.check_cut();
        self.sip.check_invariants();
    }
}

impl Switch {
    /// Every index points at what lives, and phones count as in use as long as they are.
    fn check_indices(&self) {
        let mut engaged: HashMap<AgentId, u32> = HashMap::new();
        let phones = self.legs.values().filter(|l| !matches!(l.role, Role::Agent { .. })).filter_map(|l| l.phone);
        for agent in phones.chain(self.releasing.values().copied()) {
            *engaged.entry(agent).or_default() += 1;
        }
        assert_eq!(self.engaged, engaged, "phones in use");
        for (offer, leg) in &self.by_offer {
            assert!(self.legs.contains_key(leg), "{offer} rings at {leg}, which is gone");
        }
        let traced = self.calls.iter().filter_map(|(id, call)| Some((call.cdr.trace?, *id)));
        let by_trace: HashSet<(Trace, CallId)> =
            self.traced.iter().flat_map(|(trace, calls)| calls.iter().map(|call| (*trace, *call))).collect();
        assert_eq!(by_trace, traced.collect(), "calls by their traces");
        for call in self.preemptions.keys() {
            assert!(self.calls.contains_key(call), "others gave way to {call}, which is gone");
        }
        self.call_index.check(&self.calls);
        for (item, call) in &self.by_item {
            assert!(self.calls.contains_key(call), "{item} waits for {call}, which is gone");
        }
        for (circuit, entry) in &self.circuits {
            let leg = entry.leg().is_none_or(|leg| self.legs.contains_key(&leg));
            assert!(leg, "circuit {circuit} serves a leg that is gone");
            let kept = entry.kept.is_none_or(|call| self.preemptions.contains_key(&call));
            assert!(kept, "circuit {circuit} is kept for nobody");
        }
    }
}

/// The next pseudo-random number (xorshift64*).
pub(crate) fn draw(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

fn call_invariants(switch: &Switch, call: &Call) {
    use crate::core::call::CallState;
    let has = |leg: &LegId| switch.legs.get(leg).is_some_and(|l| l.call == call.id);
    match &call.state {
        CallState::Ending => {
            assert!(call.cdr.ended_at.is_some(), "{} is ending without an end", call.id);
            assert!(!has(&call.client), "{} is ending with a live client leg", call.id);
        }
        CallState::Waiting(wait) => {
            assert_eq!(switch.by_item.get(&wait.item), Some(&call.id), "{} waits, but its item is unknown", call.id);
            assert!(has(&call.client), "{} waits without a client", call.id);
        }
        CallState::Alerting => assert!(call.wish.is_some() && has(&call.client), "{} rings nobody", call.id),
        CallState::Connecting(leg) | CallState::Talking(leg) => {
            assert!(has(&call.client) && has(leg), "{} lacks a leg in {:?}", call.id, call.state);
        }
        CallState::Referring { to, .. } => {
            assert!(has(&call.client) && has(to), "{} lacks a leg in {:?}", call.id, call.state);
        }
        CallState::Flow | CallState::Toning(_) => {
            assert!(has(&call.client), "{} runs a flow without a client", call.id)
        }
    }
}
