//! What the directory holds, with ids in place of names.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::rates::Rates;
use super::traits::OwnModifier;
use crate::base::{
    AgentId, AttributeId, CardId, Cause, FlowId, Medium, QueueId, Redacted, SiteId, TenantId, TraitId, TrunkId,
};
use crate::core::contact::{Kind, Level, Mind, Routing, Slots, Want};
use crate::core::tenant::provision::{Hunt, Quota, Shown, Sticky, Unservable};
use crate::core::tls::ClientTls;
use crate::core::trunk::admission::Decimal;
use crate::proto::sdp::{Keying, Need};
use crate::proto::sip::Transport;

/// A tenant.
#[derive(Clone, PartialEq, Debug)]
pub struct TenantEntry {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// Country of tones, ISO 3166, lower case: its own or the appliance's.
    pub country: String,
    /// IANA time zone.
    pub timezone: String,
    /// Language of built-in prompts.
    pub language: String,
    /// How contacts are routed.
    pub routing: Routing,
    /// What an agent may say came of a contact; any word when empty.
    pub dispositions: Vec<String>,
    /// Why an agent may be not ready; any word when empty.
    pub not_ready_reasons: Vec<String>,
    /// What is shown of its callers on trunks.
    pub shown: Shown,
    /// How many calls it may have on shared trunks.
    pub contract: Option<ContractEntry>,
    /// How much it may have.
    pub quota: Quota,
    /// How much it has, of what is provisioned.
    pub holdings: Holdings,
}

/// How much of what is provisioned a tenant has.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Holdings {
    /// Agents.
    pub agents: u32,
    /// Queues.
    pub queues: u32,
    /// Flows.
    pub flows: u32,
    /// Numbers.
    pub numbers: u32,
    /// Users.
    pub users: u32,
}

/// A tenant's contract.
#[derive(Clone, PartialEq, Debug)]
pub struct ContractEntry {
    /// The trunks that it shares with others.
    pub trunks: Vec<TrunkId>,
    /// Circuits for each agent.
    pub ratio: Decimal,
    /// Circuits beyond the number of agents, and when nobody is signed in.
    pub after_hours: u32,
    /// What a call within the permitted number is worth.
    pub worth_within: f64,
    /// What a call beyond it is worth.
    pub worth_beyond: f64,
    /// What becomes of a call that is not admitted.
    pub refusal: RefusalEntry,
}

/// What becomes of a call that is not admitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RefusalEntry {
    /// It ends with this cause.
    End(Cause),
    /// A flow goes on with it.
    Flow(FlowId),
    /// It goes elsewhere.
    Overflow(OverflowEntry),
}

/// Where a call goes that is not admitted; without a number to the one that was dialled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OverflowEntry {
    /// A number of the tenant, with its flow.
    Number(String, FlowId),
    /// Another trunk, and the number there.
    Trunk(TrunkId, Option<String>),
    /// Another appliance, and the number there.
    Node(String, Option<String>),
}

impl TenantEntry {
    /// Whether an agent may be not ready for this reason.
    pub fn takes_reason(&self, reason: &str) -> bool {
        self.not_ready_reasons.is_empty() || self.not_ready_reasons.iter().any(|known| known == reason)
    }
}

/// A site.
#[derive(Clone, PartialEq, Debug)]
pub struct SiteEntry {
    /// Its id.
    pub id: SiteId,
    /// Its name.
    pub name: String,
    /// IANA time zone.
    pub timezone: String,
    /// The trunks to its own switch, in the order given.
    pub trunks: Vec<TrunkId>,
    /// Leading digits that an extension loses on them.
    pub extension_strip: u8,
    /// What is then put before it.
    pub extension_prefix: String,
    /// How often its agents' SIP phones are asked whether they answer; when absent never.
    pub probe: Option<Duration>,
    /// How long chats stay with an agent who is cut off; none: for good.
    pub chat_grace: Option<Duration>,
    /// The same of other media, calls apart.
    pub work_grace: Option<Duration>,
}

/// An attribute: one provisioned, a skill, or a tenant's `agent`.
#[derive(Clone, PartialEq, Debug)]
pub struct AttributeEntry {
    /// Its id.
    pub id: AttributeId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// What a contact's value is.
    pub kind: Kind,
    /// The symbols there are; any when empty. Of `agent` the agents' names are meant, and this is empty.
    pub values: Vec<String>,
}

/// An agent.
#[derive(Clone, PartialEq, Debug)]
pub struct AgentEntry {
    /// Its id.
    pub id: AgentId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Other tenants that it serves.
    pub serves: Vec<TenantId>,
    /// Its name.
    pub name: String,
    /// Its site, when it has one.
    pub site: Option<SiteId>,
    /// Number at the site's own switch.
    pub extension: Option<String>,
    /// Number outside.
    pub phone: Option<String>,
    /// Fixed SIP address of the phone.
    pub contact: Option<String>,
    /// User name under which the phone registers.
    pub user: Option<String>,
    /// The phone's SIP password.
    pub password: Option<Redacted<String>>,
    /// Digits keyed to sign in.
    pub code: Option<String>,
    /// PIN keyed after the code.
    pub pin: Option<Redacted<String>>,
    /// What the agent has, in order of ids: skills and other levels, symbols of attributes, and being this agent.
    pub traits: Vec<(TraitId, Level)>,
    /// How a contact's traits count with this agent.
    pub minds: Vec<Mind>,
    /// Contacts at once, by medium.
    pub slots: Slots,
    /// Whether the agent is signed in when first provisioned.
    pub signed_in: bool,
    /// Seconds an offer rings before it moves on.
    pub ring_s: u32,
    /// Seconds of wrap-up after a call; 0 for none.
    pub wrap_up_s: u32,
    /// Protection of the phone's media.
    pub srtp: SrtpPolicy,
}

impl AgentEntry {
    /// All tenants that it serves, its own first.
    pub fn tenants(&self) -> impl Iterator<Item = TenantId> {
        std::iter::once(self.tenant).chain(self.serves.iter().copied())
    }

    /// Whether it serves the tenant.
    pub fn is_of(&self, tenant: TenantId) -> bool {
        self.tenants().any(|own| own == tenant)
    }
}

/// Whether media is protected, and by which keys.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SrtpPolicy {
    /// Whether.
    pub need: Need,
    /// What we offer, and prefer where both are offered.
    pub keying: Keying,
    /// Keys may be in descriptions whose signalling is not encrypted.
    pub in_clear: bool,
}

impl SrtpPolicy {
    /// The words of `srtp`.
    pub const NEEDS: [(&str, Need); 3] =
        [("off", Need::Off), ("optional", Need::Optional), ("required", Need::Required)];

    /// The words of `srtp_keys`, with what they stand for.
    pub const KEYS: [(&str, Keying, bool); 3] =
        [("dtls", Keying::Dtls, false), ("sdes", Keying::Sdes, false), ("sdes-in-clear", Keying::Sdes, true)];

    /// From the words; one that is none of these counts as the default.
    pub fn new(need: &str, keys: &str) -> SrtpPolicy {
        let need = Self::NEEDS.iter().find(|(word, _)| *word == need).map_or(Need::Off, |(_, need)| *need);
        let (_, keying, in_clear) =
            *Self::KEYS.iter().find(|(word, ..)| *word == keys).unwrap_or(&("dtls", Keying::Dtls, false));
        SrtpPolicy { need, keying, in_clear }
    }
}

/// What a waiting caller hears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Treatment {
    /// Music.
    Music,
    /// The tenant's ringing tone.
    Ringback,
}

/// A queue.
#[derive(Clone, PartialEq, Debug)]
pub struct QueueEntry {
    /// Its id.
    pub id: QueueId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// What each contact wants: of each skill the least level required, and the highest preferred; then the modifiers that
    /// name a symbol, or are on a level.
    pub wants: Vec<Want>,
    /// Modifiers whose symbol is each contact's own.
    pub own: Vec<OwnModifier>,
    /// By how much each contact counts as having waited longer; of those in `own` not yet.
    pub credit: Duration,
    /// How fast waiting counts.
    pub importance: f64,
    /// How the last agent of a client is preferred.
    pub sticky: Option<Sticky>,
    /// What a caller hears.
    pub treatment: Treatment,
    /// Prompt to play as music; the built-in one when absent.
    pub music: Option<String>,
    /// Announce position and expected wait every so many seconds; 0 for never.
    pub announce_every_s: u32,
    /// Service level: answered within so many seconds.
    pub target_s: u32,
    /// Service level by [`Medium::index`].
    pub targets: [Duration; Medium::ALL.len()],
    /// Overflow after so many seconds; 0 for never.
    pub overflow_after_s: u32,
    /// Most items waiting; 0 for the appliance's bound.
    pub waiting_max: u32,
    /// Where items go on that wait too long here.
    pub escalation: Option<Escalation>,
    /// What becomes of an item that no agent could ever take, by [`Medium::index`].
    pub unservable: [Unservable; Medium::ALL.len()],
    /// How callers are called back, where they may ask for it.
    pub callback: Option<Callback>,
    /// Whether to record the conversations.
    pub record: bool,
}

/// Where items go on that wait too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Escalation {
    /// Another queue of the tenant.
    pub to: QueueId,
    /// After so long; when absent only what is unservable goes there.
    pub after: Option<Duration>,
}

/// How callers are called back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Callback {
    /// How often, when they do not answer.
    pub tries: u32,
    /// From one try to the next.
    pub every: Duration,
}

/// A flow.
#[derive(Clone, PartialEq, Debug)]
pub struct FlowEntry {
    /// Its id.
    pub id: FlowId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// Its TOML text.
    pub text: String,
}

/// What a trunk is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrunkKind {
    /// A SIP peering.
    Sip,
    /// Circuits of spans.
    Tdm,
}

/// A trunk.
#[derive(Clone, PartialEq, Debug)]
pub struct TrunkEntry {
    /// Its id.
    pub id: TrunkId,
    /// Its name.
    pub name: String,
    /// What it is made of.
    pub kind: TrunkKind,
    /// SIP peers in the order given.
    pub peers: Vec<PeerEntry>,
    /// User name towards the peer.
    pub user: Option<String>,
    /// Password towards the peer.
    pub password: Option<Redacted<String>>,
    /// Whether to register with the first peer.
    pub register: bool,
    /// Whether calls from the peers must authenticate as `user`.
    pub authenticate: bool,
    /// Whether the peers belong to our trust domain (RFC 3325).
    pub trusted: bool,
    /// The name of the appliance of ours that it leads to.
    pub node: Option<String>,
    /// Leading digits to strip before dialling out.
    pub strip: u8,
    /// When calls go out, and what they cost.
    pub rates: Rates,
    /// Whose number its peers are told of callers.
    pub presents: Presents,
    /// As a group of circuits.
    pub group: Group,
    /// How calls by TLS are made, and whether callers are known by their certificate.
    pub tls: Option<ClientTls>,
    /// A proxy that our requests go through, as a SIP URI.
    pub outbound_proxy: Option<String>,
    /// Without any answer for so many seconds a call tries the next way.
    pub failover_s: u32,
    /// Protection of media.
    pub srtp: SrtpPolicy,
}

/// Whose number a trunk's peers are told of callers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Presents {
    /// One of the tenant's own.
    Own,
    /// Whichever the tenant wants.
    Any,
    /// This one.
    Fixed(String),
    /// None.
    Withheld,
}

/// A trunk as a group of circuits, which calls in and out share.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Group {
    /// Which idle circuit a call out takes.
    pub hunt: Hunt,
    /// Most calls at once, where that is said.
    pub calls_max: Option<u32>,
    /// Of these so many are left to calls out.
    pub reserved_out: u32,
    /// Circuits that there are: its spans', or the most calls by SIP.
    pub circuits: u32,
    /// Calls up to which it is not short.
    pub permitted: Option<u32>,
    /// Takes no new calls.
    pub out_of_service: bool,
    /// Where no circuit is free for an emergency call, another call gives up its own.
    pub emergency_preempts: bool,
}

impl TrunkEntry {
    /// Whether it is the same towards its peers.
    pub fn is_same_peering(&self, other: &Self) -> bool {
        *self == Self { group: self.group, rates: self.rates.clone(), presents: self.presents.clone(), ..other.clone() }
    }

    /// The outbound proxy as a route value's URI. Without `;lr` it would be a strict router (RFC 3261 section 19.1.1),
    /// which nobody provisions on purpose.
    pub fn proxy_route(&self) -> Option<String> {
        let uri = self.outbound_proxy.as_ref()?;
        let loose = uri.split(';').skip(1).any(|part| part == "lr");
        Some(if loose { uri.clone() } else { format!("{uri};lr") })
    }

    /// Whether a certificate for `domain` shows a peer of this trunk.
    pub fn is_shown_by(&self, domain: &str) -> bool {
        let Some(tls) = self.tls.as_ref().filter(|tls| tls.identify) else { return false };
        tls.server_name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(domain))
    }
}

/// Where a host is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Host {
    /// Known.
    Address(IpAddr),
    /// To be looked up.
    Name(String),
}

impl Host {
    /// An address, with or without brackets, or else a name.
    pub fn new(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        bare.parse().map_or_else(|_| Self::Name(text.to_ascii_lowercase()), Self::Address)
    }
}

impl fmt::Display for Host {
    /// As in a URI (RFC 3261 section 25.1: an IPv6 address in brackets).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A peer of a SIP trunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerEntry {
    /// Where our requests go.
    pub host: Host,
    /// The port, where one is given.
    pub port: Option<u16>,
    /// By which transport, where one is given.
    pub transport: Option<Transport>,
    /// Lower is tried first (RFC 2782).
    pub priority: u16,
    /// Share among peers of one priority (RFC 2782).
    pub weight: u16,
    /// OPTIONS every so many seconds; 0 for none.
    pub options_s: u32,
}

impl PeerEntry {
    /// Host and port as in a URI. A name that is provisioned without a port has none here either: with one, nobody on the
    /// way could look up its services (RFC 3263 section 4.2).
    pub fn host_port(&self) -> String {
        match (&self.host, self.port) {
            (Host::Name(name), None) => name.clone(),
            (host, port) => {
                let port = port.unwrap_or(self.transport.unwrap_or(Transport::Udp).default_port());
                format!("{host}:{port}")
            }
        }
    }
}

/// A card.
#[derive(Clone, PartialEq, Debug)]
pub struct CardEntry {
    /// Its id.
    pub id: CardId,
    /// Its name.
    pub name: String,
    /// `sim-t1` or `sim-e1`.
    pub driver: String,
    /// Number of spans.
    pub spans: u8,
}

/// A span in use.
#[derive(Clone, PartialEq, Debug)]
pub struct SpanEntry {
    /// Its name.
    pub name: String,
    /// Its card.
    pub card: CardId,
    /// Span of the card, from 1.
    pub span: u8,
    /// `em-wink`.
    pub signalling: String,
    /// Trunk whose circuits its timeslots are.
    pub trunk: TrunkId,
}
