//! The provisioned world resolved: ids in place of names, and an index for each question that a call asks.

mod contracts;
mod entries;
mod rates;
mod resolve;
mod sites;
mod traits;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

pub use self::contracts::capacity;
pub use self::entries::{
    AgentEntry, AttributeEntry, Callback, CardEntry, ContractEntry, Escalation, FlowEntry, Group, Holdings, Host,
    OverflowEntry, PeerEntry, Presents, QueueEntry, RefusalEntry, SiteEntry, SpanEntry, SrtpPolicy, TenantEntry,
    Treatment, TrunkEntry, TrunkKind,
};
pub use self::rates::{Lead, Rates, foremost};
pub use self::resolve::{ResolveError, ResolveFault, Resolved, WANTS_MAX};
pub use self::traits::OwnModifier;
use self::traits::Traits;
use crate::base::{AgentId, AttributeId, CardId, FlowId, Medium, QueueId, SiteId, TenantId, TrunkId};
use crate::core::contact::Slots;
use crate::core::tenant::access::{self, Principal};
use crate::core::tenant::expand;
use crate::core::tenant::provision::{self, CallerId, Provision, Unservable};
use crate::proto::sip::Transport;

/// Longest prefix of a dialled number that routing looks at, in octets.
pub const PREFIX_LENGTH_MAX: usize = 32;

/// Target in seconds of what can wait, where a queue says nothing: an hour.
const TARGET_LATER_S: u32 = 3_600;

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
    attributes: Entries<AttributeId, AttributeEntry>,
    agents: Entries<AgentId, AgentEntry>,
    queues: Entries<QueueId, QueueEntry>,
    flows: Entries<FlowId, FlowEntry>,
    trunks: Entries<TrunkId, TrunkEntry>,
    cards: Entries<CardId, CardEntry>,
    spans: Vec<SpanEntry>,
    agents_by_user: HashMap<String, AgentId>,
    agents_by_code: HashMap<TenantId, HashMap<String, AgentId>>,
    numbers: HashMap<String, (TenantId, FlowId)>,
    trunks_by_node: HashMap<String, Vec<TrunkId>>,
    caller_ids: HashMap<TenantId, String>,
    users: HashMap<String, Principal>,
    number_prefixes: HashSet<String>,
    trunks_by_peer: HashMap<IpAddr, TrunkId>,
    trunks_by_prefix: HashMap<String, Vec<TrunkId>>,
    traits: Traits,
    next: NextIds,
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
        new.add_attributes(provision, old);
        new.add_agents(provision, old);
        new.add_users(provision);
        new.add_queues(provision, old);
        new.add_flows_and_numbers(provision, old);
        new.add_trunks(provision, old);
        new.add_site_trunks(provision);
        new.add_contracts(provision);
        new.add_cards(provision, old);
        new.count_holdings(provision);
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

    /// A prompt as those who call a tenant hear it. Another tenant's is looked for below the tenant's own folder, where it is
    /// missing like any other that is not there.
    pub fn prompt_of(&self, tenant: TenantId, name: &str) -> String {
        let own = self.tenant(tenant).map_or("", |entry| &entry.name);
        match access::foreign_prompt(own, name, |folder| self.tenant_by_name(folder).is_some()) {
            Some(_) => format!("{own}/{name}"),
            None => name.to_owned(),
        }
    }

    /// All tenants, in the order provisioned.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantEntry> {
        self.tenants.iter()
    }

    /// The user whose account of the operating system it is.
    pub fn user_of_account(&self, account: &str) -> Option<&Principal> {
        self.users.get(account)
    }

    /// A site by id.
    pub fn site(&self, id: SiteId) -> Option<&SiteEntry> {
        self.sites.get(id)
    }

    /// All sites, in the order provisioned.
    pub fn sites(&self) -> impl Iterator<Item = &SiteEntry> {
        self.sites.iter()
    }

    /// An attribute by id: one provisioned, a skill, or a tenant's `agent`.
    pub fn attribute(&self, id: AttributeId) -> Option<&AttributeEntry> {
        self.attributes.get(id)
    }

    /// A tenant's attribute by name: one provisioned, a skill, or `agent`.
    pub fn attribute_by_name(&self, tenant: TenantId, name: &str) -> Option<&AttributeEntry> {
        self.attributes.find(Some(tenant), name)
    }

    /// All attributes, skills and each tenant's `agent` among them.
    pub fn attributes(&self) -> impl Iterator<Item = &AttributeEntry> {
        self.attributes.iter()
    }

    /// An agent by id.
    pub fn agent(&self, id: AgentId) -> Option<&AgentEntry> {
        self.agents.get(id)
    }

    /// A tenant's agent by name.
    pub fn agent_by_name(&self, tenant: TenantId, name: &str) -> Option<&AgentEntry> {
        self.agents.find(Some(tenant), name)
    }

    /// What an agent is called among contacts of a tenant: by its name, and `TENANT/NAME` where it is another's.
    pub fn agent_called(&self, agent: AgentId, among: Option<TenantId>) -> Option<String> {
        let entry = self.agent(agent)?;
        if among.is_none_or(|among| among == entry.tenant) {
            return Some(entry.name.clone());
        }
        Some(format!("{}/{}", self.tenant(entry.tenant)?.name, entry.name))
    }

    /// The agent who is called so among contacts of a tenant.
    pub fn agent_by_call(&self, among: TenantId, called: &str) -> Option<&AgentEntry> {
        match called.split_once('/') {
            Some((tenant, name)) => self.agent_by_name(self.tenant_by_name(tenant)?.id, name),
            None => self.agent_by_name(among, called),
        }
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

    /// The trunks that lead to another appliance of ours, as provisioned.
    pub fn trunks_to_node(&self, node: &str) -> &[TrunkId] {
        self.trunks_by_node.get(node).map_or(&[], Vec::as_slice)
    }

    /// Whose number was dialled, and which flow answers it. Numbers match whole and as delivered.
    pub fn number(&self, dialled: &str) -> Option<(TenantId, FlowId)> {
        self.numbers.get(dialled).copied()
    }

    /// The number that a tenant is known by when it calls somebody: its main number, else its first one as provisioned.
    pub fn caller_id(&self, tenant: TenantId) -> Option<&str> {
        self.caller_ids.get(&tenant).map(String::as_str)
    }

    /// Whether a number is the tenant's own, with or without its `+`.
    pub fn owns(&self, tenant: TenantId, number: &str) -> bool {
        let plain = number.strip_prefix('+').unwrap_or(number);
        let found = self.number(plain).or_else(|| self.number(&format!("+{plain}")));
        found.is_some_and(|(owner, _)| owner == tenant)
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
                routing: tenant.routing,
                dispositions: tenant.dispositions.clone(),
                not_ready_reasons: tenant.not_ready_reasons.clone(),
                shown: tenant.caller_id,
                contract: None,
                quota: tenant.quota.clone(),
                holdings: Holdings::default(),
            };
            self.tenants.add(None, &tenant.name, id, entry);
            if let Some(number) = &tenant.caller_number {
                self.caller_ids.entry(id).or_insert_with(|| number.clone());
            }
        }
        for site in &provision.site {
            let id = old.sites.id_of(None, &site.name).unwrap_or_else(|| SiteId(take(&mut self.next.site)));
            let entry = SiteEntry {
                id,
                name: site.name.clone(),
                timezone: site.timezone.clone(),
                trunks: Vec::new(),
                extension_strip: site.extension_strip,
                extension_prefix: site.extension_prefix.clone(),
                probe: time(site.probe_s),
                chat_grace: time(site.chat_grace_s),
                work_grace: time(site.work_grace_s),
            };
            self.sites.add(None, &site.name, id, entry);
        }
    }

    fn count_holdings(&mut self, provision: &Provision) {
        let mut all: HashMap<TenantId, Holdings> = HashMap::new();
        self.agents.iter().for_each(|agent| all.entry(agent.tenant).or_default().agents += 1);
        self.queues.iter().for_each(|queue| all.entry(queue.tenant).or_default().queues += 1);
        self.flows.iter().for_each(|flow| all.entry(flow.tenant).or_default().flows += 1);
        self.numbers.values().for_each(|(tenant, _)| all.entry(*tenant).or_default().numbers += 1);
        for tenant in provision.user.iter().filter_map(|user| self.tenants.id_of(None, user.tenant.as_ref()?)) {
            all.entry(tenant).or_default().users += 1;
        }
        for (tenant, holdings) in all {
            if let Some(entry) = self.tenants.get_mut(tenant) {
                entry.holdings = holdings;
            }
        }
    }

    fn add_users(&mut self, provision: &Provision) {
        let is_there = |who: &Principal| {
            let tenant = who.tenant.as_ref().map(|tenant| self.tenants.id_of(None, tenant));
            let agent = who.agent.as_ref().map(|agent| self.agents.id_of(tenant.flatten(), agent));
            tenant != Some(None) && agent != Some(None)
        };
        let users = provision.user.iter().filter_map(|user| Some((user.account.clone(), Principal::of(user)?)));
        self.users = users.filter(|(_, who)| is_there(who)).collect();
    }

    fn add_agents(&mut self, provision: &Provision, old: &Directory) {
        let mut minding = Vec::new();
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
            let traits = self.traits_of(tenant, id, &agent, old);
            if !(agent.backup.is_empty() && agent.modifier.is_empty()) {
                minding.push((id, tenant, agent.backup, agent.modifier));
            }
            let entry = AgentEntry {
                id,
                tenant,
                serves: agent.serves.iter().filter_map(|of| self.tenants.id_of(None, &of.tenant)).collect(),
                name: agent.name.clone(),
                site: agent.site.as_deref().and_then(|site| self.sites.id_of(None, site)),
                traits,
                minds: Vec::new(),
                slots: agent.slots.iter().fold(Slots::default(), |slots, (medium, n)| slots.with(*medium, *n)),
                extension: agent.extension,
                phone: agent.phone,
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
        // Agents may mind who else is meant, so all are known first.
        for (id, tenant, backup, modifiers) in minding {
            let minds = self.minds_of(tenant, &backup, &modifiers, old);
            if let Some(agent) = self.agents.get_mut(id) {
                agent.minds = minds;
            }
        }
    }

    fn add_queues(&mut self, provision: &Provision, old: &Directory) {
        // Queues name each other.
        let mut ids: HashMap<(TenantId, &str), QueueId> = HashMap::new();
        for queue in &provision.queue {
            let Some(tenant) = self.tenants.id_of(None, &queue.tenant) else { continue };
            let known = old.queues.id_of(Some(tenant), &queue.name);
            let next = &mut self.next.queue;
            ids.entry((tenant, &queue.name)).or_insert_with(|| known.unwrap_or_else(|| QueueId(take(next))));
        }
        for queue in &provision.queue {
            let Some(tenant) = self.tenants.id_of(None, &queue.tenant) else { continue };
            let Some(id) = ids.get(&(tenant, queue.name.as_str())).copied() else { continue };
            let escalate_to = queue.escalate_to.as_deref().and_then(|to| ids.get(&(tenant, to))).copied();
            let (wants, own, credit) = self.wants_of(tenant, queue, old);
            let entry = QueueEntry {
                id,
                tenant,
                name: queue.name.clone(),
                wants,
                own,
                credit,
                importance: queue.importance,
                sticky: queue.sticky,
                treatment: if queue.treatment == "ringback" { Treatment::Ringback } else { Treatment::Music },
                music: queue.music.as_deref().map(|music| self.prompt_of(tenant, music)),
                announce_every_s: queue.announce_every_s,
                target_s: queue.target_s,
                targets: targets(queue),
                overflow_after_s: queue.overflow_after_s,
                waiting_max: queue.waiting_max,
                escalation: escalate_to.map(|to| Escalation { to, after: time(queue.escalate_after_s) }),
                unservable: unservable(queue),
                callback: queue
                    .callback
                    .then(|| Callback { tries: queue.callback_tries, every: seconds(queue.callback_every_s) }),
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
            self.caller_ids.entry(tenant).or_insert_with(|| number.number.clone());
            let ends = number.number.char_indices().map(|(i, _)| &number.number[..i]);
            self.number_prefixes.extend(ends.map(str::to_owned));
        }
    }

    fn add_trunks(&mut self, provision: &Provision, old: &Directory) {
        let to_sites: HashSet<&String> = provision.site.iter().flat_map(|site| &site.trunks).collect();
        for trunk in &provision.trunk {
            let known = old.trunks.id_of(None, &trunk.name);
            let id = known.unwrap_or_else(|| TrunkId(take(&mut self.next.trunk)));
            let peers: Vec<PeerEntry> = trunk.peer.iter().map(peer).collect();
            for peer in &peers {
                if let Host::Address(address) = peer.host {
                    self.trunks_by_peer.entry(address.to_canonical()).or_insert(id);
                }
            }
            if let Some(node) = &trunk.node {
                self.trunks_by_node.entry(node.clone()).or_default().push(id);
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
                trusted: trunk.trusted || trunk.node.is_some(),
                node: trunk.node.clone(),
                strip: trunk.strip,
                rates: Rates::new(trunk),
                presents: presents(trunk, to_sites.contains(&trunk.name)),
                group: Group {
                    hunt: trunk.hunt,
                    calls_max: (trunk.calls_max > 0).then_some(trunk.calls_max),
                    reserved_out: trunk.reserved_out,
                    circuits: capacity(provision, trunk),
                    permitted: (trunk.permitted > 0).then_some(trunk.permitted),
                    out_of_service: trunk.out_of_service,
                    emergency_preempts: trunk.emergency_preempts,
                },
                tls: trunk.tls.clone(),
                outbound_proxy: trunk.outbound_proxy.clone(),
                failover_s: trunk.failover_s,
                srtp: SrtpPolicy::new(&trunk.srtp, &trunk.srtp_keys),
            };
            self.trunks.add(None, &trunk.name, id, entry);
        }
    }

    fn add_site_trunks(&mut self, provision: &Provision) {
        for site in &provision.site {
            let trunks = site.trunks.iter().filter_map(|name| self.trunks.id_of(None, name)).collect();
            if let Some(entry) = self.sites.id_of(None, &site.name).and_then(|id| self.sites.get_mut(id)) {
                entry.trunks = trunks;
            }
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
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// A time that is 0 for never.
fn time(s: u32) -> Option<Duration> {
    (s > 0).then(|| seconds(s))
}

fn targets(queue: &provision::Queue) -> [Duration; Medium::ALL.len()] {
    Medium::ALL.map(|medium| {
        let otherwise = if medium.is_live() { queue.target_s } else { TARGET_LATER_S };
        seconds(queue.targets_s.get(&medium).copied().unwrap_or(otherwise))
    })
}

fn unservable(queue: &provision::Queue) -> [Unservable; Medium::ALL.len()] {
    let otherwise = |medium: Medium| match (&queue.escalate_to, medium.is_live()) {
        (Some(_), _) => Unservable::Escalate,
        (None, true) => Unservable::Overflow,
        (None, false) => Unservable::Hold,
    };
    Medium::ALL.map(|medium| queue.unservable.unwrap_or(otherwise(medium)))
}

fn presents(trunk: &provision::Trunk, to_site: bool) -> Presents {
    let unsaid = if trunk.trusted || to_site { CallerId::Pass } else { CallerId::Own };
    match (trunk.caller_id.unwrap_or(unsaid), &trunk.caller_number) {
        (CallerId::Pass, _) => Presents::Any,
        (CallerId::Fixed, Some(number)) => Presents::Fixed(number.clone()),
        (CallerId::Withheld, _) => Presents::Withheld,
        (CallerId::Own | CallerId::Fixed, _) => Presents::Own,
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
    agent: u32,
    queue: u32,
    flow: u32,
    trunk: u32,
    card: u16,
    attribute: u32,
    traits: u32,
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

    fn get_mut(&mut self, id: I) -> Option<&mut E> {
        self.ordered.get_mut(*self.index.get(&id)?)
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
