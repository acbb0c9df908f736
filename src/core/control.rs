//! The one language in and out: the CLI, the serial console, later the web API, and the tests all speak it.
//! On the control socket each is one line of JSON.

mod routes;
mod tenant;

use serde::{Deserialize, Serialize};

pub use self::routes::{RoutesView, WayView};
pub use self::tenant::TenantStatus;
pub use crate::base::Bound;
use crate::base::{CallId, Redacted, Timestamp, WorkItemId};
pub use crate::core::contact::view::{
    BasisView, CallbackView, CandidateView, Explanation, HoldView, WorkSpec, WorkView,
};
use crate::core::contact::{Origin, Work, WorkState};
use crate::core::journal::{AgentStatus, Audit, Cdr};
use crate::core::tenant::Provision;
use crate::core::tenant::entity::{Entity, EntityKind};
use crate::core::tenant::provision::Role;

/// An order. Answered by a [`Reply`] after its changes are durable.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Replace the whole provisioning, which the socket that it came by has checked. Calls in progress go on.
    Provision {
        /// What shall hold.
        provision: Box<Provision>,
    },
    /// Sign an agent in, ready.
    SignIn {
        /// Tenant's name.
        tenant: String,
        /// Agent's name.
        agent: String,
    },
    /// Sign an agent in, ready, at a place other than provisioned, until it signs out or in anew.
    SignInAt {
        /// Tenant's name.
        tenant: String,
        /// Agent's name.
        agent: String,
        /// Site's name; the agent's own when absent.
        #[serde(default)]
        site: Option<String>,
        /// Number at the site's switch.
        #[serde(default)]
        extension: Option<String>,
        /// Number outside.
        #[serde(default)]
        phone: Option<Redacted<String>>,
    },
    /// Sign an agent out; a call in progress goes on.
    SignOut {
        /// Tenant's name.
        tenant: String,
        /// Agent's name.
        agent: String,
    },
    /// Make an agent not ready.
    Pause {
        /// Tenant's name.
        tenant: String,
        /// Agent's name.
        agent: String,
        /// Why, for records.
        reason: String,
    },
    /// Make an agent ready again (ends pause, mark and wrap-up).
    Resume {
        /// Tenant's name.
        tenant: String,
        /// Agent's name.
        agent: String,
    },
    /// Add a work item.
    WorkAdd {
        /// What is known of it.
        item: Box<WorkSpec>,
    },
    /// An agent takes the item that is offered.
    WorkAccept {
        /// Tenant's name.
        tenant: String,
        /// Agent's name.
        agent: String,
        /// Which.
        work: WorkItemId,
    },
    /// An agent refuses the item that is offered, and is not ready afterwards.
    WorkDecline {
        /// Tenant's name.
        tenant: String,
        /// Agent's name.
        agent: String,
        /// Which.
        work: WorkItemId,
    },
    /// The agent who has an item is through with it.
    WorkComplete {
        /// Which.
        work: WorkItemId,
        /// What came of it: one of the tenant's dispositions, where there are any.
        #[serde(default)]
        disposition: Option<String>,
        /// For whoever reads the record.
        #[serde(default)]
        note: Option<Redacted<String>>,
    },
    /// Hand an item on; it keeps its history and the time that it has waited.
    WorkTransfer {
        /// Which.
        work: WorkItemId,
        /// To this queue; it stays in its own without.
        #[serde(default)]
        queue: Option<String>,
        /// For this agent alone.
        #[serde(default)]
        agent: Option<String>,
        /// For whoever takes it.
        #[serde(default)]
        note: Option<Redacted<String>>,
    },
    /// Take an item back, wherever it is.
    WorkCancel {
        /// Which.
        work: WorkItemId,
        /// Why, for records.
        reason: String,
    },
    /// Something becomes known of an item.
    WorkDiscover {
        /// Which.
        work: WorkItemId,
        /// The attribute.
        attribute: String,
        /// A symbol, symbols with commas, or a level.
        value: String,
        /// Where it comes from.
        origin: Origin,
    },
    /// Put an entry of a tenant in: in the place of the one of its name, or as a new one.
    Put {
        /// The entry.
        entity: Box<Entity>,
    },
    /// Take an entry of a tenant away.
    Remove {
        /// Tenant's name.
        tenant: String,
        /// What it is.
        kind: EntityKind,
        /// Its name.
        name: String,
    },
    /// End a call.
    Hangup {
        /// Which.
        call: CallId,
    },
    /// Put a trunk's circuits on-hook and into their first state; their calls end.
    RestartCircuits {
        /// Trunk's name.
        trunk: String,
        /// `CARD/SPAN/TIMESLOT`; all of the trunk without one.
        #[serde(default)]
        circuit: Option<String>,
    },
    /// Lift the ban of a source, or all bans.
    Unban {
        /// Its address; all without one.
        source: Option<String>,
    },
    /// Stop: refuse new calls with 503, let calls in progress end within the configured grace. Given again: end them now.
    Stop,
    /// Read the files of certificates and keys anew, for connections made from now on.
    ReadCertificates,
}

/// What is wanted of the appliance.
#[derive(Clone, PartialEq, Debug)]
pub enum Request {
    /// An order.
    Command(Command),
    /// A question.
    Query(Query),
}

/// Who wants it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asker {
    /// Whoever runs the appliance, under this account of the operating system.
    Owner(String),
    /// A user, known by this account.
    Account(String),
}

/// A question.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "query", rename_all = "kebab-case")]
pub enum Query {
    /// Who asks, and what they may do.
    Whoami,
    /// Counters, limits and alarms.
    Status,
    /// Counters and quotas of a tenant.
    TenantStatus {
        /// Its name.
        tenant: String,
    },
    /// Entries of a kind as provisioned, without secrets.
    Entities {
        /// Of this tenant only.
        #[serde(default)]
        tenant: Option<String>,
        /// What they are.
        kind: EntityKind,
    },
    /// Calls in progress.
    Calls,
    /// Agents and their states.
    Agents,
    /// Queues and who waits.
    Queues,
    /// Trunks, peers, spans and their health.
    Trunks,
    /// Sites, the ways to them and their health.
    Sites,
    /// Circuits of trunks, and peers, one by one.
    Circuits {
        /// Of this trunk only.
        #[serde(default)]
        trunk: Option<String>,
    },
    /// What tenants are permitted on the trunks that they share.
    Contracts,
    /// By which trunks a number would be reached, in which order.
    Routes {
        /// As it is dialled.
        number: String,
        /// At this hour; now without.
        #[serde(default)]
        at: Option<Timestamp>,
        /// By an agent of this tenant.
        #[serde(default)]
        tenant: Option<String>,
    },
    /// Where requests to a SIP URI would go, as DNS says now (RFC 3263).
    Locate {
        /// `sip:HOST`, `sips:HOST`, perhaps with a user, a port and a transport.
        uri: String,
    },
    /// Sources that are kept out for a while.
    Bans,
    /// Work items that have not ended, calls among them, by id.
    Works {
        /// Of this tenant only.
        #[serde(default)]
        tenant: Option<String>,
        /// Of this queue only.
        #[serde(default)]
        queue: Option<String>,
        /// In this state only.
        #[serde(default)]
        state: Option<WorkState>,
        /// Offered to this agent (`TENANT/NAME`) or in the agent's hands only.
        #[serde(default)]
        agent: Option<String>,
        /// With greater ids than this: an answer has at most 1,000.
        #[serde(default)]
        after: Option<WorkItemId>,
    },
    /// The record of a work item that has not ended.
    Work {
        /// Which.
        work: WorkItemId,
    },
    /// Why a work item is where it is.
    Explain {
        /// Which.
        work: WorkItemId,
    },
    /// Where a work item would go if it came now.
    WhatIf {
        /// What would be known of it.
        item: Box<WorkSpec>,
    },
}

/// An answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// Done, and durable.
    Done,
    /// Refused; nothing changed.
    Refused {
        /// What is wrong and what to do.
        reason: String,
    },
    /// Answer to [`Command::WorkAdd`]: it is durable.
    Added {
        /// Its id.
        work: WorkItemId,
        /// Why it waits for nobody.
        warning: Option<String>,
    },
    /// Answer to [`Query::Works`].
    Works {
        /// By id.
        works: Vec<WorkView>,
        /// There are more, with greater ids.
        more: bool,
    },
    /// Answer to [`Query::Work`].
    Work(Box<Work>),
    /// Answer to [`Query::Explain`] and [`Query::WhatIf`].
    Explained(Box<Explanation>),
    /// Answer to [`Records::Calls`](crate::core::records::Records::Calls) and `Call`.
    CallRecords {
        /// In the order asked for.
        calls: Vec<Cdr>,
        /// There are more, later ones.
        more: bool,
    },
    /// Answer to [`Records::Works`](crate::core::records::Records::Works) and `Work`.
    WorkRecords {
        /// In the order asked for.
        works: Vec<Work>,
        /// There are more, earlier ones.
        more: bool,
    },
    /// Answer to [`Records::Audit`](crate::core::records::Records::Audit).
    Audit {
        /// The latest first.
        entries: Vec<Audit>,
        /// There are more, earlier ones.
        more: bool,
    },
    /// Answer to [`Query::Entities`].
    Entities {
        /// In the order provisioned.
        entities: Vec<Entity>,
    },
    /// Answer to [`Query::Whoami`].
    Whoami {
        /// The user's name.
        user: String,
        /// What the user is.
        role: Role,
        /// The user's tenant; none of an operator and of an auditor of all.
        tenant: Option<String>,
        /// Which agent the user is.
        agent: Option<String>,
    },
    /// Answer to [`Query::Status`].
    Status(Box<Status>),
    /// Answer to [`Query::TenantStatus`], and to [`Query::Status`] where a tenant's user asks.
    TenantStatus(Box<TenantStatus>),
    /// Answer to [`Query::Calls`].
    Calls {
        /// Oldest first.
        calls: Vec<CallView>,
    },
    /// Answer to [`Query::Agents`].
    Agents {
        /// By tenant and name.
        agents: Vec<AgentView>,
    },
    /// Answer to [`Query::Queues`].
    Queues {
        /// By tenant and name.
        queues: Vec<QueueView>,
    },
    /// Answer to [`Query::Trunks`].
    Trunks {
        /// By name.
        trunks: Vec<TrunkView>,
    },
    /// Answer to [`Query::Sites`].
    Sites {
        /// By name.
        sites: Vec<SiteView>,
    },
    /// Answer to [`Query::Circuits`].
    Circuits {
        /// By trunk as provisioned, then by circuit.
        circuits: Vec<CircuitView>,
    },
    /// Answer to [`Command::RestartCircuits`].
    Restarted {
        /// By circuit.
        circuits: Vec<RestartedCircuit>,
    },
    /// Answer to [`Query::Contracts`].
    Contracts {
        /// By tenant and trunk, as provisioned.
        contracts: Vec<ContractView>,
    },
    /// Answer to [`Query::Routes`].
    Routes(Box<RoutesView>),
    /// Answer to [`Query::Locate`].
    Located {
        /// In the order in which they would be tried.
        servers: Vec<ServerView>,
    },
    /// Answer to [`Query::Bans`].
    Bans {
        /// The newest first.
        bans: Vec<BanView>,
    },
}

/// Something wrong that stays until cleared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Alarm {
    /// Stable name: `prompt-missing`, `card-gone`, `span-red`, `disk-full`, ...
    pub name: String,
    /// What it is about.
    pub subject: String,
    /// Since when.
    pub since: Timestamp,
}

/// Counters since start, what is up now, bounds and alarms.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// Product version.
    pub version: String,
    /// Start of the process.
    pub started_at: Timestamp,
    /// Stopping: new calls are refused.
    pub stopping: bool,
    /// Inbound calls.
    pub offered: u64,
    /// Calls that reached an agent or transfer target.
    pub answered: u64,
    /// Calls whose caller left the queue before an agent answered.
    pub abandoned: u64,
    /// Items of all media that an agent took out of a queue.
    pub queue_answered: u64,
    /// Of these, the ones answered within the target of their queue and medium. The service level is their share in `queue_answered` and
    /// `abandoned` together: abandoned calls count as missed.
    pub in_target: u64,
    /// Calls now.
    pub calls: u64,
    /// Items waiting now.
    pub waiting: u64,
    /// Offers made.
    pub offers: u64,
    /// Offers made to an agent who already had one. Zero by construction; counted independently as a check.
    pub double_offers: u64,
    /// Items that wait for a better agent now, though another could have them.
    #[serde(default)]
    pub held: u64,
    /// Items that no agent there is could take, now.
    #[serde(default)]
    pub unservable: u64,
    /// What the appliance is called among those that it is joined to; empty for none.
    #[serde(default)]
    pub node: String,
    /// What it does among them.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Calls that were handed back to the appliance that they came from.
    #[serde(default)]
    pub handed_back: u64,
    /// Calls refused since they went round in a circle of appliances.
    #[serde(default)]
    pub gone_round: u64,
    /// Clients who are to be called back, now.
    #[serde(default)]
    pub callbacks: u64,
    /// Clients who were called back and answered.
    #[serde(default)]
    pub callbacks_reached: u64,
    /// Clients who never answered.
    #[serde(default)]
    pub callbacks_unreached: u64,
    /// Calls that were ended because emergency calls had no circuit.
    #[serde(default)]
    pub preempted: u64,
    /// Calls and other work items that agents were cut off from, and that went back to their queues or on from there.
    #[serde(default)]
    pub cut_offs: u64,
    /// Waits that were foretold when the item came and have ended with an answer.
    #[serde(default)]
    pub waits_foretold: u64,
    /// How well: mean of the squared error over the mean of the squared waits; none before 30 of them.
    #[serde(default)]
    pub wait_error: Option<f64>,
    /// Agents by state: ready, busy, wrap-up, not-ready.
    pub agents_ready: u64,
    /// See `agents_ready`.
    pub agents_busy: u64,
    /// See `agents_ready`.
    pub agents_wrap_up: u64,
    /// See `agents_ready`.
    pub agents_not_ready: u64,
    /// Agents who are signed in, and to whom no way leads.
    #[serde(default)]
    pub agents_unreachable: u64,
    /// Phones registered now.
    pub registrations: u64,
    /// Conversations that were to be recorded, and were not, or not to their end.
    pub recordings_refused: u64,
    /// Legs whose media is encrypted now.
    pub encrypted_legs: u64,
    /// DTLS handshakes that brought no keys.
    pub handshakes_failed: u64,
    /// SIP messages dropped or refused, by reason.
    pub sip_refused: std::collections::BTreeMap<String, u64>,
    /// Media packets dropped, by reason; those of a call are in its record.
    pub media_dropped: std::collections::BTreeMap<String, u64>,
    /// How busy it is, and what is held back for that.
    pub load: LoadView,
    /// Bounds.
    pub bounds: Vec<Bound>,
    /// Of what tenants may have only so much, how much there is: `acme/agents`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<Bound>,
    /// Alarms that stand.
    pub alarms: Vec<Alarm>,
}

/// How busy the appliance is, and what it holds back. Rates are means of about a second.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LoadView {
    /// New calls a second that are taken at most now, as measured; none while nothing has to wait.
    pub limit_per_s: Option<f64>,
    /// New calls a second that were asked for.
    pub offered_per_s: f64,
    /// New calls a second that were taken.
    pub taken_per_s: f64,
    /// How long a datagram stood in its socket at least, in the last tenth of a second.
    pub queue_ms: f64,
    /// How long an answer waited for the disk at least.
    pub store_ms: f64,
    /// CPU time of the process in percent of a core.
    pub cpu_percent: f64,
    /// That of the switch thread.
    pub switch_percent: f64,
    /// That of the store's writer.
    pub writer_percent: f64,
    /// Cores that the process may use.
    pub cores: u32,
    /// CPU time a call, all threads, as seen while nothing had to wait; none before some hundred calls.
    pub call_cpu_ms: Option<f64>,
    /// Messages that a call takes; none before some fifty calls.
    pub call_messages: Option<f64>,
    /// Messages a second that can be handled, as far as that was seen.
    pub capacity_per_s: Option<f64>,
    /// Datagrams that the kernel dropped because our sockets were full. Not one should be.
    pub overflown: u64,
    /// Requests answered 503 and datagrams dropped at the gate, by reason.
    pub shed: std::collections::BTreeMap<String, u64>,
    /// What else the gate saw: `scanner`, `misdeed`, `ban`, `ack-of-refusal`.
    pub seen: std::collections::BTreeMap<String, u64>,
}

/// A source that is kept out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BanView {
    /// IPv4 address, or IPv6 network of 64 bits.
    pub source: String,
    /// What it did last: `malformed`, `credentials`, `barred`, `flood`.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Which ban it is; each is four times as long as the one before.
    pub times: u32,
}

/// A call in progress.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CallView {
    /// Its id.
    pub call_id: CallId,
    /// Tenant's name.
    pub tenant: String,
    /// Caller.
    pub from: String,
    /// Number dialled.
    pub to: String,
    /// Start.
    pub started_at: Timestamp,
    /// `flow NAME`, `waiting QUEUE`, `ringing AGENT`, `talking AGENT`, `transfer TARGET`.
    pub state: String,
    /// How media of the legs is encrypted, in their order: `-` where it is not.
    pub encryption: String,
}

/// An agent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AgentView {
    /// Tenant's name.
    pub tenant: String,
    /// Name.
    pub name: String,
    /// State.
    pub status: AgentStatus,
    /// Why not ready.
    pub reason: String,
    /// In this state since.
    pub since: Timestamp,
    /// Items answered since start.
    pub answered: u64,
    /// Of these, the ones of other tenants that it serves; of them its own tenant's users see none.
    #[serde(default)]
    pub answered_for_others: u64,
    /// Whether some way to the agent is sound: a phone with a fixed contact or a live registration that is not known to be silent, or
    /// a trunk.
    pub reachable: bool,
    /// Whether every way is dead, so that no work is offered.
    #[serde(default)]
    pub cut: bool,
    /// Where the agent sits; empty without a site.
    #[serde(default)]
    pub site: String,
    /// How it is reached there, when it has signed in elsewhere than provisioned; empty otherwise.
    #[serde(default)]
    pub seat: String,
}

/// A site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SiteView {
    /// Name.
    pub name: String,
    /// Whether a way leads there; none where there is neither a trunk nor a phone that is asked.
    pub up: Option<bool>,
    /// The trunks to its switch, and its agents' phones, one line each.
    pub ways: Vec<String>,
    /// Agents there who are signed in.
    pub agents: u64,
    /// Of these, those who cannot be reached.
    pub unreachable: u64,
}

/// A queue.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct QueueView {
    /// Tenant's name.
    pub tenant: String,
    /// Name.
    pub name: String,
    /// Waiting now.
    pub waiting: u64,
    /// Longest wait now, in seconds.
    pub longest_wait_s: u64,
    /// Entered since start.
    pub offered: u64,
    /// Answered since start.
    pub answered: u64,
    /// Abandoned since start.
    pub abandoned: u64,
    /// Answered within target since start.
    pub in_target: u64,
}

/// A trunk.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TrunkView {
    /// Name.
    pub name: String,
    /// `sip` or `tdm`.
    pub kind: String,
    /// The appliance of ours that it leads to.
    #[serde(default)]
    pub node: Option<String>,
    /// Calls now.
    pub calls: u64,
    /// Whether it takes calls.
    pub service: Service,
    /// Peers or spans with their health, one line each.
    pub health: Vec<String>,
}

/// A tenant's standing on a trunk that it shares.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ContractView {
    /// Tenant's name.
    pub tenant: String,
    /// Trunk's name.
    pub trunk: String,
    /// Agents signed in who take work, busy or idle.
    pub agents: u32,
    /// Calls that they permit at once.
    pub permitted: u64,
    /// The tenant's calls, on all its shared trunks.
    pub calls: u64,
    /// All calls of the trunk. From here to the price it is for the operator: other tenants' calls show in it.
    pub trunk_calls: Option<u64>,
    /// Its circuits.
    pub trunk_circuits: Option<u64>,
    /// Whether a call would be admitted now.
    pub accepts: Option<bool>,
    /// What it would be worth; of admission by price.
    pub worth: Option<f64>,
    /// What a circuit costs now; none while none is free.
    pub price: Option<f64>,
    /// Calls that came since the start.
    pub offered: u64,
    /// Of these, not admitted.
    pub refused: u64,
}

/// A circuit, or a peer of a SIP trunk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CircuitView {
    /// Trunk's name.
    pub trunk: String,
    /// `CARD/SPAN/TIMESLOT`, or `HOST:PORT` of a peer.
    pub circuit: String,
    /// Whether it takes calls.
    pub service: CircuitService,
    /// The call on it, the peer's calls.
    pub calls: Vec<CallId>,
    /// Whether nothing is on it; whether it takes calls says `service`.
    pub idle: bool,
    /// Calls that it has carried since the start; not of a peer.
    pub carried: Option<u64>,
    /// For how many seconds the far end has kept it off-hook without a call.
    pub held_s: Option<u64>,
}

/// Whether a circuit takes calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CircuitService {
    /// It does.
    InService,
    /// No new ones, as the operator wants it; one is still up.
    BusyingOut,
    /// None, as the operator wants it.
    BusiedOut,
    /// None: its span or card is in alarm.
    OutOfService,
    /// None: the far end keeps it off-hook without a call, or the peer does not answer.
    BlockedByFarEnd,
}

/// What a restart did to a circuit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RestartedCircuit {
    /// `CARD/SPAN/TIMESLOT`.
    pub circuit: String,
    /// The call that ended by it.
    pub call: Option<CallId>,
    /// It is in alarm, and idle when that is over.
    pub in_alarm: bool,
    /// It is idle when the far end has gone on-hook.
    pub held: bool,
}

/// Whether a trunk takes calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// It does.
    InService,
    /// No new ones; some are still up.
    BusyingOut,
    /// None, as the operator wants it.
    BusiedOut,
    /// None: all its circuits are in alarm, or all its peers are down.
    Blocked,
    /// None: the far end keeps its circuits off-hook without a call, all that are not in alarm.
    BlockedByFarEnd,
}

/// A server that requests go to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServerView {
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Address and port.
    pub address: String,
    /// `up`, or what speaks against it.
    pub health: String,
}
