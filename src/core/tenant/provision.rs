//! The provisioned world as data: what a provisioning file says, what the store keeps, what `provision export` prints.
//! Names are the identity; within a tenant they are unique per kind. Times are seconds.

mod agents;
pub mod node;
mod trunk;
mod users;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::agents::{Agent, AgentModifier, CHAT_GRACE_S, PROBE_S, Serves, Site, WORK_GRACE_S};
pub use self::node::Node;
pub use self::trunk::{CallerId, Hours, Hunt, Peer, Shown, Tariff, Trunk};
pub use self::users::{Access, Quota, Role, User};
use crate::base::Medium;
use crate::core::contact::modifier::IMPORTANCE_MAX;
use crate::core::contact::{Kind, Modifier, Routing};
use crate::core::tls::ServerTls;
use crate::core::trunk::admission::Decimal;

/// Tries of a call-back where a queue says nothing.
pub const CALLBACK_TRIES: u32 = 3;
/// Seconds from one to the next where it says nothing.
pub const CALLBACK_EVERY_S: u32 = 300;

/// Everything an operator provisions. The default is an appliance that listens on SIP port 5060 and serves nobody.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provision {
    /// SIP listeners and limits.
    pub sip: Sip,
    /// RTP addresses and ports.
    pub media: Media,
    /// How calls are admitted to trunks that tenants share.
    pub admission: Sharing,
    /// This appliance among those that it is joined to.
    pub node: Node,
    /// How users reach the appliance.
    #[serde(skip_serializing_if = "is_default")]
    pub access: Access,
    /// Trunk cards.
    pub card: Vec<Card>,
    /// Spans of cards.
    pub span: Vec<Span>,
    /// Tenants.
    pub tenant: Vec<Tenant>,
    /// Sites.
    pub site: Vec<Site>,
    /// Skills.
    pub skill: Vec<Skill>,
    /// Attributes.
    pub attribute: Vec<Attribute>,
    /// Agents.
    pub agent: Vec<Agent>,
    /// Users.
    pub user: Vec<User>,
    /// Queues.
    pub queue: Vec<Queue>,
    /// Flows.
    pub flow: Vec<Flow>,
    /// Numbers.
    pub number: Vec<Number>,
    /// Trunks.
    pub trunk: Vec<Trunk>,
}

/// `[sip]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// `udp:ADDRESS:PORT`, `tcp:ADDRESS:PORT` and `tls:ADDRESS:PORT`. A listener on all addresses (`0.0.0.0`, `[::]`) gives
    /// our own requests the media address of its family.
    pub listen: Vec<String>,
    /// Our certificate, for listeners by TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,
    /// Who is asked for the servers of names.
    #[serde(skip_serializing_if = "Dns::is_default")]
    pub dns: Dns,
    /// Digest realm, and the domain of our addresses of record.
    pub realm: String,
    /// Most calls at once; more get 503 with Retry-After. Emergency calls may be 2 % more.
    pub calls_max: u32,
    /// Emergency numbers, which peers and phones may dial beyond the limit. `urn:service:sos` and what is
    /// below it always is one, and leads to the first of these that is one of our numbers, else out as the first of these.
    pub emergency: Vec<String>,
    /// Requests outside dialogs a second from each address of a trunk's peer, 4 s of them at once; 0: as many as the
    /// appliance can take. What is more gets 503.
    pub peer_per_s: u32,
    /// The same for each address with registered phones.
    pub phone_per_s: u32,
    /// Messages a second from each address (IPv6: each /64) that is none of these, 4 s of them at once; 0: no limit. What is
    /// more is dropped.
    pub stranger_per_s: u32,
    /// Addresses and networks (`192.0.2.0/24`) that are never limited as strangers and never banned.
    pub exempt: Vec<String>,
    /// How long calls in progress may go on after SIGTERM.
    pub stop_grace_s: u32,
    /// Session interval that we ask for (RFC 4028): a peer that has died is noticed within it. 0 asks for none, and
    /// keeps to what peers ask for.
    pub session_expires_s: u32,
    /// Shortest session interval that we take from a peer; a shorter one gets 422.
    pub min_se_s: u32,
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            listen: vec!["udp:127.0.0.1:5060".into(), "tcp:127.0.0.1:5060".into()],
            tls: None,
            dns: Dns::default(),
            realm: "cordboard".into(),
            calls_max: 10_000,
            emergency: ["112", "911", "999"].map(String::from).to_vec(),
            peer_per_s: 0,
            phone_per_s: 50,
            stranger_per_s: 20,
            exempt: ["127.0.0.0/8", "::1"].map(String::from).to_vec(),
            stop_grace_s: 30,
            session_expires_s: 1_800,
            min_se_s: 90,
        }
    }
}

/// `[sip.dns]`: where the servers of names are looked up (RFC 3263). What is found is kept as long as DNS says (5 s to a day),
/// and a day longer while DNS does not answer.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Servers, `ADDRESS` or `ADDRESS:PORT`, asked in this order; those of `/etc/resolv.conf` when empty.
    pub servers: Vec<String>,
}

impl Dns {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `[media]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Address that RTP sockets bind to and that our session descriptions name.
    pub address: String,
    /// IPv6 address beside an IPv4 `address`: media then goes by the family that a peer offers, or that its signalling has,
    /// and legs of both meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address6: Option<String>,
    /// First UDP port for RTP (even).
    pub port_min: u16,
    /// Last UDP port for RTP and RTCP.
    pub port_max: u16,
    /// Ringback and busy tones when a tenant names no country of its own.
    pub country: String,
    /// Codecs that are spoken on SIP legs, preferred first: `pcmu`, `pcma`, `g722`. Our offers name them in this order,
    /// but the caller's first; in answers the other side's order decides.
    pub codecs: Vec<String>,
    /// Whether comfort noise (RFC 3389) is offered and agreed to, so that peers may send nothing while their party is
    /// silent.
    pub comfort_noise: bool,
    /// Whether we ourselves send nothing while our party is silent, where comfort noise is agreed. Only what is mixed,
    /// transcoded or played here is meant; relayed packets go as they come.
    pub silence_suppression: bool,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            address: "127.0.0.1".into(),
            address6: None,
            port_min: 16_384,
            port_max: 32_767,
            country: "us".into(),
            codecs: vec!["pcmu".into(), "pcma".into()],
            comfort_noise: false,
            silence_suppression: false,
        }
    }
}

/// `[admission]`: how calls of tenants with a contract are admitted to the trunks that they share.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sharing {
    /// By worth and price, or to the letter of the thresholds.
    pub mode: SharingMode,
    /// To the letter: from this chance on another tenant is likely to have a call, 0..=1.
    pub likely_other: f64,
    /// To the letter: from this chance on enough calls are likely to end, 0..=1.
    pub likely_end: f64,
    /// To the letter: within so many seconds.
    pub window_s: u32,
}

impl Default for Sharing {
    fn default() -> Self {
        Self { mode: SharingMode::Priced, likely_other: 0.5, likely_end: 0.5, window_s: 30 }
    }
}

/// How calls are admitted to shared trunks.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SharingMode {
    /// A call is accepted when it is worth what a circuit costs now.
    #[default]
    Priced,
    /// A call within the permitted number is accepted unless the trunk is short and others are likely to call; one beyond it when
    /// enough calls are likely to end.
    Literal,
}

impl SharingMode {
    /// Both.
    pub const ALL: [SharingMode; 2] = [SharingMode::Priced, SharingMode::Literal];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Priced => "priced",
            Self::Literal => "literal",
        }
    }
}

/// `contract = { .. }` of a tenant: how many calls it may have at once on trunks that it shares with others. With `A` agents signed
/// in that is `max(A * ratio, A + after_hours)`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The trunks, by name.
    pub trunks: Vec<String>,
    /// Circuits for each agent, an exact decimal.
    pub ratio: Decimal,
    /// Circuits beyond the number of agents, and when nobody is signed in.
    #[serde(default)]
    pub after_hours: u32,
    /// What a call within the permitted number is worth, for its whole length; any unit, the same for all tenants.
    #[serde(default = "one_f64")]
    pub worth_within: f64,
    /// What a call beyond it is worth, at most the same.
    #[serde(default = "worth_beyond")]
    pub worth_beyond: f64,
    /// What becomes of a call that is not admitted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refused: Refusal,
    /// With `refused = "flow"`: the tenant's flow that treats it, with an announcement or a transfer elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_flow: Option<String>,
    /// With `refused = "overflow"`: where it goes, once. A number of the tenant; another trunk, `trunk:NAME` or `trunk:NAME/NUMBER`;
    /// another appliance, `node:NAME` or `node:NAME/NUMBER`. Without a number it is the one that was dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_to: Option<String>,
}

/// What becomes of a call that is not admitted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// No circuit is free (Q.850 34; by SIP 503).
    #[default]
    NoCircuit,
    /// Congestion (Q.850 42; by SIP 503).
    Congestion,
    /// The number is busy (Q.850 17; by SIP 486).
    Busy,
    /// A flow goes on with it.
    Flow,
    /// It goes to another number, trunk or appliance.
    Overflow,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 5] =
        [Refusal::NoCircuit, Refusal::Congestion, Refusal::Busy, Refusal::Flow, Refusal::Overflow];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCircuit => "no-circuit",
            Self::Congestion => "congestion",
            Self::Busy => "busy",
            Self::Flow => "flow",
            Self::Overflow => "overflow",
        }
    }
}

/// `[[card]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Name, unique.
    pub name: String,
    /// `sim-t1` or `sim-e1`.
    pub driver: String,
    /// Number of spans.
    #[serde(default = "one")]
    pub spans: u8,
}

/// `[[span]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Name, unique.
    pub name: String,
    /// Card's name.
    pub card: String,
    /// Span of the card, from 1.
    #[serde(default = "one")]
    pub span: u8,
    /// `em-wink`.
    pub signalling: String,
    /// Trunk whose circuits these timeslots are.
    pub trunk: String,
}

/// `[[tenant]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Name, unique: lower-case letters, digits, `-`.
    pub name: String,
    /// Country of tones, ISO 3166, lower case; the appliance's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// IANA time zone of opening hours and spoken times.
    #[serde(default = "utc")]
    pub timezone: String,
    /// Language of built-in prompts.
    #[serde(default = "english")]
    pub language: String,
    /// How contacts are routed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub routing: Routing,
    /// What an agent may say came of a contact; any word when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dispositions: Vec<String>,
    /// Why an agent may be not ready; any word when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_ready_reasons: Vec<String>,
    /// What is shown of its callers on trunks that show it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub caller_id: Shown,
    /// Its main number, one of its own; the first one provisioned when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_number: Option<String>,
    /// How many calls it may have on shared trunks; as many as there is room for when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
    /// How much it may have.
    #[serde(default, skip_serializing_if = "is_default")]
    pub quota: Quota,
}

/// `[[skill]]`: an attribute whose value is a level, and that queues can ask for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skill {
    /// Tenant's name.
    pub tenant: String,
    /// Name, unique within the tenant among skills and attributes; not `agent`.
    pub name: String,
}

/// `[[attribute]]`: something that can be known of contacts and agents.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Tenant's name.
    pub tenant: String,
    /// Name, unique within the tenant among skills and attributes; not `agent`, which is an attribute that each tenant has,
    /// with its agents' names as symbols.
    pub name: String,
    /// What a contact's value is: `symbol`, `set` or `level`. An agent may have several symbols either way.
    pub kind: Kind,
    /// The symbols there are; any when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// What becomes of an item that no agent could ever take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unservable {
    /// It goes on in its flow, as after `overflow_after_s`.
    Overflow,
    /// It goes to `escalate_to`.
    Escalate,
    /// It waits, for an agent who may be provisioned.
    Hold,
}

impl Unservable {
    /// All of them.
    pub const ALL: [Unservable; 3] = [Unservable::Overflow, Unservable::Escalate, Unservable::Hold];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Escalate => "escalate",
            Self::Hold => "hold",
        }
    }
}

/// `sticky = { .. }`: whoever handled the client's last contact is preferred.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sticky {
    /// How much that weighs at first, 1..=100.
    pub importance: u8,
    /// Days in which it fades to nothing, evenly, 1..=3650.
    pub fade_days: u32,
}

impl Default for Sticky {
    fn default() -> Self {
        Self { importance: 40, fade_days: 30 }
    }
}

/// `[[queue]]`: required skills and treatment; all queues share one order of waiting items.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Tenant's name.
    pub tenant: String,
    /// Name, unique within the tenant.
    pub name: String,
    /// Skill name to least level (0..=1).
    #[serde(default)]
    pub skills: BTreeMap<String, f64>,
    /// How attributes count, beside the skills: of each contact, or where `value` is absent of those that have the
    /// attribute, by their own value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modifier: Vec<Modifier>,
    /// How fast waiting counts against other queues' contacts, over 0, up to 100.
    #[serde(default = "one_f64", skip_serializing_if = "is_one")]
    pub importance: f64,
    /// Whether the last agent of a client is preferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// `music` (default) or `ringback` while waiting.
    #[serde(default = "music")]
    pub treatment: String,
    /// Prompt to play as music; the built-in one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub music: Option<String>,
    /// Announce position and expected wait at the start and every so many seconds; 0 for never.
    #[serde(default)]
    pub announce_every_s: u32,
    /// Service level: answered within so many seconds.
    #[serde(default = "twenty")]
    pub target_s: u32,
    /// The same of a medium. Where it says nothing of one, voice, video and chat have `target_s`, others an hour.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets_s: BTreeMap<Medium, u32>,
    /// After so many seconds the caller goes on in the flow at `overflow` (see the flow schema); 0 for never.
    #[serde(default)]
    pub overflow_after_s: u32,
    /// Most items waiting; a further one overflows at once. 0 for the appliance's bound.
    #[serde(default)]
    pub waiting_max: u32,
    /// After so many seconds an item goes to `escalate_to`, and keeps the time that it has waited; 0 for never.
    #[serde(default, skip_serializing_if = "is_default")]
    pub escalate_after_s: u32,
    /// A queue of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate_to: Option<String>,
    /// What becomes of an item that no agent could ever take: `overflow`, `escalate` or `hold`. When absent it escalates where
    /// there is an `escalate_to`; else voice, video and chat overflow, and others are held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unservable: Option<Unservable>,
    /// Whether a caller may ask to be called back, and keep the place.
    #[serde(default, skip_serializing_if = "is_false")]
    pub callback: bool,
    /// How often a client who does not answer is called back.
    #[serde(default = "callback_tries", skip_serializing_if = "is_callback_tries")]
    pub callback_tries: u32,
    /// Seconds from one try to the next.
    #[serde(default = "callback_every_s", skip_serializing_if = "is_callback_every_s")]
    pub callback_every_s: u32,
    /// Whether to record the conversations.
    #[serde(default, skip_serializing_if = "is_false")]
    pub record: bool,
}

/// `[[flow]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Tenant's name.
    pub tenant: String,
    /// Name, unique within the tenant.
    pub name: String,
    /// The flow's TOML text. In a provisioning file, `file = "PATH"` (relative to it) may stand instead.
    #[serde(default)]
    pub text: String,
    /// Where the text came from; only in provisioning files.
    #[serde(default, skip_serializing)]
    pub file: Option<String>,
}

/// `[[number]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// The number as delivered (DNIS), unique on the appliance.
    pub number: String,
    /// Tenant's name.
    pub tenant: String,
    /// The flow that answers.
    pub flow: String,
}

fn off() -> String {
    "off".into()
}
fn is_off(word: &str) -> bool {
    word == "off"
}
fn dtls() -> String {
    "dtls".into()
}
fn is_dtls(word: &str) -> bool {
    word == "dtls"
}
fn yes() -> bool {
    true
}
fn is_true(b: &bool) -> bool {
    *b
}
fn is_false(b: &bool) -> bool {
    !*b
}
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
fn full_importance() -> u8 {
    IMPORTANCE_MAX
}
fn is_full_importance(importance: &u8) -> bool {
    *importance == IMPORTANCE_MAX
}
fn one_f64() -> f64 {
    1.0
}
#[expect(clippy::float_cmp, reason = "1 is exact, and only the default is left out")]
fn is_one(number: &f64) -> bool {
    *number == 1.0
}
fn worth_beyond() -> f64 {
    0.25
}
fn callback_tries() -> u32 {
    CALLBACK_TRIES
}
fn is_callback_tries(tries: &u32) -> bool {
    *tries == CALLBACK_TRIES
}
fn callback_every_s() -> u32 {
    CALLBACK_EVERY_S
}
fn is_callback_every_s(seconds: &u32) -> bool {
    *seconds == CALLBACK_EVERY_S
}
fn one() -> u8 {
    1
}
fn one16() -> u16 {
    1
}
fn twenty() -> u32 {
    20
}
fn four() -> u32 {
    4
}
fn utc() -> String {
    "UTC".into()
}
fn is_utc(zone: &str) -> bool {
    zone == "UTC"
}
fn english() -> String {
    "en".into()
}
fn music() -> String {
    "music".into()
}
