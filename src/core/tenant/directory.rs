//! The provisioned world resolved: ids in place of names, and an index for each question that a call asks.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;

use crate::base::{AgentId, CardId, FlowId, QueueId, Redacted, SiteId, SkillId, TenantId, TrunkId};
use crate::core::tenant::expand;
use crate::core::tenant::provision::{self, Provision};
use crate::core::tls::ClientTls;
use crate::proto::sdp::{Keying, Need};
use crate::proto::sip::Transport;

/// Longest prefix of a dialled number that routing looks at, in octets.
pub const PREFIX_LENGTH_MAX: usize = 32;

/// Everything provisioned, by id. An entity keeps its id through [`Directory::new`] with the previous directory as long
/// as its name stays; an id is not given to another entity while directories are made from each other.
///
/// Made from a provisioning that `check` has passed. What does not resolve in one that was not checked (an agent of no
/// tenant, a number without its flow) is left out; it is never an error here.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    sip: provision::Sip,
    media: provision::Media,
    tenants: Entries<TenantId, TenantEntry>,
    sites: Entries<SiteId, SiteEntry>,
    skills: Entries<SkillId, SkillEntry>,
    agents: Entries<AgentId, AgentEntry>,
    queues: Entries<QueueId, QueueEntry>,
    flows: Entries<FlowId, FlowEntry>,
    trunks: Entries<TrunkId, TrunkEntry>,
    cards: Entries<CardId, CardEntry>,
    spans: Vec<SpanEntry>,
    agents_by_user: HashMap<String, AgentId>,
    agents_by_code: HashMap<TenantId, HashMap<String, AgentId>>,
    numbers: HashMap<String, (TenantId, FlowId)>,
    number_prefixes: HashSet<String>,
    trunks_by_peer: HashMap<IpAddr, TrunkId>,
    trunks_by_prefix: HashMap<String, Vec<TrunkId>>,
    next: NextIds,
}

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
}

/// A skill.
#[derive(Clone, PartialEq, Debug)]
pub struct SkillEntry {
    /// Its id.
    pub id: SkillId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
}

/// An agent.
#[derive(Clone, PartialEq, Debug)]
pub struct AgentEntry {
    /// Its id.
    pub id: AgentId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// Its site, when it has one.
    pub site: Option<SiteId>,
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
    /// Skills with levels (0 < level <= 1), by id.
    pub skills: Vec<(SkillId, f64)>,
    /// Whether the agent is signed in when first provisioned.
    pub signed_in: bool,
    /// Seconds an offer rings before it moves on.
    pub ring_s: u32,
    /// Seconds of wrap-up after a call; 0 for none.
    pub wrap_up_s: u32,
    /// Protection of the phone's media.
    pub srtp: SrtpPolicy,
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
    /// Required skills with least levels (0..=1), by id.
    pub skills: Vec<(SkillId, f64)>,
    /// What a caller hears.
    pub treatment: Treatment,
    /// Prompt to play as music; the built-in one when absent.
    pub music: Option<String>,
    /// Announce position and expected wait every so many seconds; 0 for never.
    pub announce_every_s: u32,
    /// Service level: answered within so many seconds.
    pub target_s: u32,
    /// Overflow after so many seconds; 0 for never.
    pub overflow_after_s: u32,
    /// Most items waiting; 0 for the appliance's bound.
    pub waiting_max: u32,
    /// Whether to record the conversations.
    pub record: bool,
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
    /// Leading digits to strip before dialling out.
    pub strip: u8,
    /// How calls by TLS are made, and whether callers are known by their certificate.
    pub tls: Option<ClientTls>,
    /// A proxy that our requests go through, as a SIP URI.
    pub outbound_proxy: Option<String>,
    /// Without any answer for so many seconds a call tries the next way.
    pub failover_s: u32,
    /// Protection of media.
    pub srtp: SrtpPolicy,
}

impl TrunkEntry {
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

impl Directory {
    /// Resolves `provision`. Entities that `previous` knows by name keep their ids.
    pub fn new(provision: &Provision, previous: Option<&Directory>) -> Self {
        let empty = Directory::default();
        let old = previous.unwrap_or(&empty);
        let mut new = Directory {
            sip: provision.sip.clone(),
            media: provision.media.clone(),
            next: old.next,
            ..Directory::default()
        };
        new.add_tenants(provision, old);
        new.add_agents_and_queues(provision, old);
        new.add_flows_and_numbers(provision, old);
        new.add_trunks(provision, old);
        new.add_cards(provision, old);
        new
    }

    /// SIP listeners and limits.
    pub fn sip(&self) -> &provision::Sip {
        &self.sip
    }

    /// RTP addresses and ports.
    pub fn media(&self) -> &provision::Media {
        &self.media
    }

    /// A tenant by id.
    pub fn tenant(&self, id: TenantId) -> Option<&TenantEntry> {
        self.tenants.get(id)
    }

    /// A tenant by name.
    pub fn tenant_by_name(&self, name: &str) -> Option<&TenantEntry> {
        self.tenants.find(None, name)
    }

    /// All tenants, in the order provisioned.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantEntry> {
        self.tenants.iter()
    }

    /// A site by id.
    pub fn site(&self, id: SiteId) -> Option<&SiteEntry> {
        self.sites.get(id)
    }

    /// All sites, in the order provisioned.
    pub fn sites(&self) -> impl Iterator<Item = &SiteEntry> {
        self.sites.iter()
    }

    /// A skill by id.
    pub fn skill(&self, id: SkillId) -> Option<&SkillEntry> {
        self.skills.get(id)
    }

    /// A tenant's skill by name.
    pub fn skill_by_name(&self, tenant: TenantId, name: &str) -> Option<&SkillEntry> {
        self.skills.find(Some(tenant), name)
    }

    /// All skills, in the order provisioned.
    pub fn skills(&self) -> impl Iterator<Item = &SkillEntry> {
        self.skills.iter()
    }

    /// An agent by id.
    pub fn agent(&self, id: AgentId) -> Option<&AgentEntry> {
        self.agents.get(id)
    }

    /// A tenant's agent by name.
    pub fn agent_by_name(&self, tenant: TenantId, name: &str) -> Option<&AgentEntry> {
        self.agents.find(Some(tenant), name)
    }

    /// The agent whose phone registers as `user`.
    pub fn agent_by_user(&self, user: &str) -> Option<&AgentEntry> {
        self.agents_by_user.get(user).and_then(|id| self.agent(*id))
    }

    /// The agent of a tenant who keys `code` to sign in.
    pub fn agent_by_code(&self, tenant: TenantId, code: &str) -> Option<&AgentEntry> {
        self.agents_by_code.get(&tenant)?.get(code).and_then(|id| self.agent(*id))
    }

    /// All agents, in the order provisioned.
    pub fn agents(&self) -> impl Iterator<Item = &AgentEntry> {
        self.agents.iter()
    }

    /// A queue by id.
    pub fn queue(&self, id: QueueId) -> Option<&QueueEntry> {
        self.queues.get(id)
    }

    /// A tenant's queue by name.
    pub fn queue_by_name(&self, tenant: TenantId, name: &str) -> Option<&QueueEntry> {
        self.queues.find(Some(tenant), name)
    }

    /// All queues, in the order provisioned.
    pub fn queues(&self) -> impl Iterator<Item = &QueueEntry> {
        self.queues.iter()
    }

    /// A flow by id.
    pub fn flow(&self, id: FlowId) -> Option<&FlowEntry> {
        self.flows.get(id)
    }

    /// A tenant's flow by name.
    pub fn flow_by_name(&self, tenant: TenantId, name: &str) -> Option<&FlowEntry> {
        self.flows.find(Some(tenant), name)
    }

    /// All flows, in the order provisioned.
    pub fn flows(&self) -> impl Iterator<Item = &FlowEntry> {
        self.flows.iter()
    }

    /// Whose number was dialled, and which flow answers it. Numbers match whole and as delivered.
    pub fn number(&self, dialled: &str) -> Option<(TenantId, FlowId)> {
        self.numbers.get(dialled).copied()
    }

    /// Whether a number that is longer than `digits` begins with them, so that a caller who has keyed them may go on.
    pub fn is_number_prefix(&self, digits: &str) -> bool {
        self.number_prefixes.contains(digits)
    }

    /// A trunk by id.
    pub fn trunk(&self, id: TrunkId) -> Option<&TrunkEntry> {
        self.trunks.get(id)
    }

    /// A trunk by name.
    pub fn trunk_by_name(&self, name: &str) -> Option<&TrunkEntry> {
        self.trunks.find(None, name)
    }

    /// The SIP trunk that has a peer at `address`, from whatever port. IPv4-mapped IPv6 addresses count as IPv4.
    pub fn trunk_by_peer(&self, address: IpAddr) -> Option<TrunkId> {
        self.trunks_by_peer.get(&address.to_canonical()).copied()
    }

    /// The trunks that take calls to `dialled`: those with the longest prefix that matches, in the order provisioned.
    pub fn route(&self, dialled: &str) -> Vec<TrunkId> {
        let longest = dialled.len().min(PREFIX_LENGTH_MAX);
        (0..=longest)
            .rev()
            .filter_map(|length| dialled.get(..length))
            .find_map(|prefix| self.trunks_by_prefix.get(prefix))
            .cloned()
            .unwrap_or_default()
    }

    /// All trunks, in the order provisioned.
    pub fn trunks(&self) -> impl Iterator<Item = &TrunkEntry> {
        self.trunks.iter()
    }

    /// A card by id.
    pub fn card(&self, id: CardId) -> Option<&CardEntry> {
        self.cards.get(id)
    }

    /// All cards, in the order provisioned.
    pub fn cards(&self) -> impl Iterator<Item = &CardEntry> {
        self.cards.iter()
    }

    /// All spans, in the order provisioned.
    pub fn spans(&self) -> impl Iterator<Item = &SpanEntry> {
        self.spans.iter()
    }

    fn add_tenants(&mut self, provision: &Provision, old: &Directory) {
        for tenant in &provision.tenant {
            let id = old.tenants.id_of(None, &tenant.name).unwrap_or_else(|| TenantId(take(&mut self.next.tenant)));
            let entry = TenantEntry {
                id,
                name: tenant.name.clone(),
                country: tenant.country.clone().unwrap_or_else(|| provision.media.country.clone()),
                timezone: tenant.timezone.clone(),
                language: tenant.language.clone(),
            };
            self.tenants.add(None, &tenant.name, id, entry);
        }
        for site in &provision.site {
            let id = old.sites.id_of(None, &site.name).unwrap_or_else(|| SiteId(take(&mut self.next.site)));
            let entry = SiteEntry { id, name: site.name.clone(), timezone: site.timezone.clone() };
            self.sites.add(None, &site.name, id, entry);
        }
        for skill in &provision.skill {
            let Some(tenant) = self.tenants.id_of(None, &skill.tenant) else { continue };
            let known = old.skills.id_of(Some(tenant), &skill.name);
            let id = known.unwrap_or_else(|| SkillId(take(&mut self.next.skill)));
            self.skills.add(Some(tenant), &skill.name, id, SkillEntry { id, tenant, name: skill.name.clone() });
        }
    }

    fn add_agents_and_queues(&mut self, provision: &Provision, old: &Directory) {
        let agents = provision.agent.iter().flat_map(expand::agents).take(expand::AGENTS_MAX);
        for agent in agents {
            let Some(tenant) = self.tenants.id_of(None, &agent.tenant) else { continue };
            let known = old.agents.id_of(Some(tenant), &agent.name);
            let id = known.unwrap_or_else(|| AgentId(take(&mut self.next.agent)));
            if let Some(user) = &agent.user {
                self.agents_by_user.entry(user.clone()).or_insert(id);
            }
            if let Some(code) = &agent.code {
                self.agents_by_code.entry(tenant).or_default().entry(code.clone()).or_insert(id);
            }
            let entry = AgentEntry {
                id,
                tenant,
                name: agent.name.clone(),
                site: agent.site.as_deref().and_then(|site| self.sites.id_of(None, site)),
                skills: self.skill_levels(tenant, &agent.skills),
                contact: agent.contact,
                user: agent.user,
                password: agent.password,
                code: agent.code,
                pin: agent.pin,
                signed_in: agent.signed_in,
                ring_s: agent.ring_s,
                wrap_up_s: agent.wrap_up_s,
                srtp: SrtpPolicy::new(&agent.srtp, &agent.srtp_keys),
            };
            self.agents.add(Some(tenant), &agent.name, id, entry);
        }
        for queue in &provision.queue {
            let Some(tenant) = self.tenants.id_of(None, &queue.tenant) else { continue };
            let known = old.queues.id_of(Some(tenant), &queue.name);
            let id = known.unwrap_or_else(|| QueueId(take(&mut self.next.queue)));
            let entry = QueueEntry {
                id,
                tenant,
                name: queue.name.clone(),
                skills: self.skill_levels(tenant, &queue.skills),
                treatment: if queue.treatment == "ringback" { Treatment::Ringback } else { Treatment::Music },
                music: queue.music.clone(),
                announce_every_s: queue.announce_every_s,
                target_s: queue.target_s,
                overflow_after_s: queue.overflow_after_s,
                waiting_max: queue.waiting_max,
                record: queue.record,
            };
            self.queues.add(Some(tenant), &queue.name, id, entry);
        }
    }

    fn add_flows_and_numbers(&mut self, provision: &Provision, old: &Directory) {
        for flow in &provision.flow {
            let Some(tenant) = self.tenants.id_of(None, &flow.tenant) else { continue };
            let known = old.flows.id_of(Some(tenant), &flow.name);
            let id = known.unwrap_or_else(|| FlowId(take(&mut self.next.flow)));
            let entry = FlowEntry { id, tenant, name: flow.name.clone(), text: flow.text.clone() };
            self.flows.add(Some(tenant), &flow.name, id, entry);
        }
        for number in &provision.number {
            let Some(tenant) = self.tenants.id_of(None, &number.tenant) else { continue };
            let Some(flow) = self.flows.id_of(Some(tenant), &number.flow) else { continue };
            self.numbers.entry(number.number.clone()).or_insert((tenant, flow));
            let ends = number.number.char_indices().map(|(i, _)| &number.number[..i]);
            self.number_prefixes.extend(ends.map(str::to_owned));
        }
    }

    fn add_trunks(&mut self, provision: &Provision, old: &Directory) {
        for trunk in &provision.trunk {
            let known = old.trunks.id_of(None, &trunk.name);
            let id = known.unwrap_or_else(|| TrunkId(take(&mut self.next.trunk)));
            let peers: Vec<PeerEntry> = trunk.peer.iter().map(peer).collect();
            for peer in &peers {
                if let Host::Address(address) = peer.host {
                    self.trunks_by_peer.entry(address.to_canonical()).or_insert(id);
                }
            }
            for prefix in &trunk.prefix {
                let trunks = self.trunks_by_prefix.entry(prefix.clone()).or_default();
                if !trunks.contains(&id) {
                    trunks.push(id);
                }
            }
            let entry = TrunkEntry {
                id,
                name: trunk.name.clone(),
                kind: if trunk.kind == "tdm" { TrunkKind::Tdm } else { TrunkKind::Sip },
                peers,
                user: trunk.user.clone(),
                password: trunk.password.clone(),
                register: trunk.register,
                authenticate: trunk.authenticate,
                trusted: trunk.trusted,
                strip: trunk.strip,
                tls: trunk.tls.clone(),
                outbound_proxy: trunk.outbound_proxy.clone(),
                failover_s: trunk.failover_s,
                srtp: SrtpPolicy::new(&trunk.srtp, &trunk.srtp_keys),
            };
            self.trunks.add(None, &trunk.name, id, entry);
        }
    }

    fn add_cards(&mut self, provision: &Provision, old: &Directory) {
        for card in &provision.card {
            let known = old.cards.id_of(None, &card.name);
            let id = known.unwrap_or_else(|| {
                let id = CardId(self.next.card);
                self.next.card = self.next.card.saturating_add(1);
                id
            });
            let entry = CardEntry { id, name: card.name.clone(), driver: card.driver.clone(), spans: card.spans };
            self.cards.add(None, &card.name, id, entry);
        }
        for span in &provision.span {
            let card = self.cards.id_of(None, &span.card);
            let trunk = self.trunks.id_of(None, &span.trunk);
            let (Some(card), Some(trunk)) = (card, trunk) else { continue };
            let signalling = span.signalling.clone();
            self.spans.push(SpanEntry { name: span.name.clone(), card, span: span.span, signalling, trunk });
        }
    }

    fn skill_levels<'a>(
        &self,
        tenant: TenantId,
        levels: impl IntoIterator<Item = (&'a String, &'a f64)>,
    ) -> Vec<(SkillId, f64)> {
        let resolve = |(name, level): (&String, &f64)| Some((self.skills.id_of(Some(tenant), name)?, *level));
        let mut skills: Vec<(SkillId, f64)> = levels.into_iter().filter_map(resolve).collect();
        skills.sort_by_key(|(id, _)| *id);
        skills
    }
}

fn peer(peer: &provision::Peer) -> PeerEntry {
    PeerEntry {
        host: Host::new(&peer.address),
        port: peer.port,
        transport: peer.transport.as_deref().and_then(Transport::from_name),
        priority: peer.priority,
        weight: peer.weight,
        options_s: peer.options_s,
    }
}

/// The next free number of each kind of id.
#[derive(Clone, Copy, Debug, Default)]
struct NextIds {
    tenant: u32,
    site: u32,
    skill: u32,
    agent: u32,
    queue: u32,
    flow: u32,
    trunk: u32,
    card: u16,
}

fn take(next: &mut u32) -> u32 {
    let id = *next;
    *next = next.saturating_add(1);
    id
}

/// Entries in the order provisioned, found by id, or by scope (the tenant, or none) and name.
#[derive(Clone, Debug)]
struct Entries<I, E> {
    ordered: Vec<E>,
    index: HashMap<I, usize>,
    names: HashMap<Option<TenantId>, HashMap<String, I>>,
}

impl<I, E> Default for Entries<I, E> {
    fn default() -> Self {
        Self { ordered: Vec::new(), index: HashMap::new(), names: HashMap::new() }
    }
}

impl<I: Copy + Eq + Hash, E> Entries<I, E> {
    /// Adds an entry unless its name is taken.
    fn add(&mut self, scope: Option<TenantId>, name: &str, id: I, entry: E) {
        let names = self.names.entry(scope).or_default();
        if !names.contains_key(name) {
            names.insert(name.to_string(), id);
            self.index.insert(id, self.ordered.len());
            self.ordered.push(entry);
        }
    }

    fn id_of(&self, scope: Option<TenantId>, name: &str) -> Option<I> {
        self.names.get(&scope)?.get(name).copied()
    }

    fn get(&self, id: I) -> Option<&E> {
        self.ordered.get(*self.index.get(&id)?)
    }

    fn find(&self, scope: Option<TenantId>, name: &str) -> Option<&E> {
        self.get(self.id_of(scope, name)?)
    }

    fn iter(&self) -> impl Iterator<Item = &E> {
        self.ordered.iter()
    }
}

#[cfg(test)]
mod tests;
