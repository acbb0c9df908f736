//! Which way out: trunks by the dialled number, their peers by health, priority and weight, their circuits in turn.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::{Circuit, Now, TenantId, TrunkId};
use crate::core::call::RouteStep;
use crate::core::switch::{Switch, Timer};
use crate::core::tenant::directory::{PeerEntry, TrunkEntry, TrunkKind};
use crate::core::trunk::SipTarget;
use crate::proto::sip::{ClientRegistration, Credentials, Path, ProbeId, RegistrationId, Transport};

/// A peer that failed by status 503 or silence is passed over for so long, unless all others fail as well.
const PENALTY: Duration = Duration::from_secs(30);

/// Circuits of one trunk that a call tries when both ends seize them at once.
const CIRCUITS_TRIED: usize = 3;

/// Health of a trunk.
#[derive(Default, Debug)]
pub(crate) struct TrunkHealth {
    pub peers: Vec<PeerHealth>,
    pub registration: Option<RegistrationId>,
    /// Last answer of the registrar: seconds granted, or the status of the refusal.
    pub registered: Option<Result<u32, u16>>,
    pub calls: u64,
}

/// Health of a SIP peer.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct PeerHealth {
    pub probe: Option<ProbeId>,
    pub down: bool,
    pub penalty_until: Option<crate::base::Instant>,
}

impl PeerHealth {
    fn usable(&self, now: Now) -> bool {
        !self.down && self.penalty_until.is_none_or(|until| until <= now.mono)
    }
}

impl Switch {
    /// All ways to reach `to` for a tenant, best first: a SIP URI, an agent's phone, or a number by trunk prefixes.
    pub(crate) fn routes_to(&mut self, now: Now, tenant: TenantId, to: &str, ring_s: u32) -> VecDeque<RouteStep> {
        if let Some(target) = SipTarget::parse(to) {
            return self.route_uri(to, &target, ring_s).into_iter().collect();
        }
        if let Some(step) = self.route_agent(tenant, to, ring_s) {
            return VecDeque::from([step]);
        }
        let mut steps = VecDeque::new();
        for trunk in self.directory.route(to) {
            steps.extend(self.trunk_steps(now, trunk, to, ring_s));
        }
        steps
    }

    fn route_uri(&self, uri: &str, target: &SipTarget, ring_s: u32) -> Option<RouteStep> {
        let path = self.path_to(target)?;
        Some(RouteStep {
            trunk: None,
            peer: None,
            circuit: None,
            path: Some(path),
            uri: uri.to_owned(),
            number: target.user.clone(),
            agent: None,
            ring_s,
        })
    }

    /// The path of a request to an address: from our listener of that protocol and address family.
    pub(crate) fn path_to(&self, target: &SipTarget) -> Option<Path> {
        self.path_between(target.transport, target.address?)
    }

    fn path_between(&self, transport: Transport, remote: SocketAddr) -> Option<Path> {
        let fits = |(t, l): &&(Transport, SocketAddr)| *t == transport && l.is_ipv4() == remote.is_ipv4();
        let (transport, local) = *self.config.listeners.iter().find(fits)?;
        Some(Path { transport, local, remote, connection: 0 })
    }

    fn route_agent(&self, tenant: TenantId, name: &str, ring_s: u32) -> Option<RouteStep> {
        let agent = self
            .directory
            .agent_by_user(name)
            .filter(|a| a.tenant == tenant)
            .or_else(|| self.directory.agent_by_name(tenant, name))?;
        let (uri, path) = self.agent_path(agent.id)?;
        Some(RouteStep {
            trunk: None,
            peer: None,
            circuit: None,
            path: Some(path),
            uri,
            number: name.to_owned(),
            agent: Some(agent.id),
            ring_s,
        })
    }

    /// Where an agent's phone is: its fixed contact, or its newest registration.
    pub(crate) fn agent_path(&self, agent: crate::base::AgentId) -> Option<(String, Path)> {
        let entry = self.directory.agent(agent)?;
        if let Some(contact) = &entry.contact {
            let path = self.path_to(&SipTarget::parse(contact)?)?;
            return Some((contact.clone(), path));
        }
        let binding = self.sip.binding(entry.user.as_deref()?)?;
        Some((binding.contact.clone(), binding.path))
    }

    fn trunk_steps(&mut self, now: Now, trunk: TrunkId, to: &str, ring_s: u32) -> Vec<RouteStep> {
        let Some(entry) = self.directory.trunk(trunk) else { return Vec::new() };
        let number: String = to.chars().skip(usize::from(entry.strip)).collect();
        let blank = RouteStep {
            trunk: Some(trunk),
            peer: None,
            circuit: None,
            path: None,
            uri: String::new(),
            number: number.clone(),
            agent: None,
            ring_s,
        };
        if entry.kind == TrunkKind::Tdm {
            return self
                .idle_circuits(trunk)
                .map(|circuit| RouteStep { circuit: Some(circuit), ..blank.clone() })
                .take(CIRCUITS_TRIED)
                .collect();
        }
        self.peers_in_order(now, trunk)
            .into_iter()
            .map(|(peer, path)| {
                let transport = if path.transport == Transport::Tcp { ";transport=tcp" } else { "" };
                let uri = format!("sip:{number}@{}{transport}", path.remote);
                RouteStep { peer: Some(peer), path: Some(path), uri, ..blank.clone() }
            })
            .collect()
    }

    /// Peers by health, then priority; within one priority drawn by weight (RFC 2782's rule).
    fn peers_in_order(&mut self, now: Now, trunk: TrunkId) -> Vec<(usize, Path)> {
        let Some(entry) = self.directory.trunk(trunk) else { return Vec::new() };
        let peers: Vec<PeerEntry> = entry.peers.clone();
        let mut keyed: Vec<(bool, u16, f64, usize, Path)> = Vec::with_capacity(peers.len());
        for (index, peer) in peers.into_iter().enumerate() {
            let Some(path) = self.peer_path(&peer) else { continue };
            let usable = self.trunks.get(&trunk).and_then(|t| t.peers.get(index)).is_none_or(|p| p.usable(now));
            // The least of exponential variates with rate = weight is each peer with chance weight / sum.
            let draw = (self.random() >> 11) as f64 / (1u64 << 53) as f64;
            let key = -(1.0 - draw).ln() / f64::from(peer.weight).max(0.01);
            keyed.push((!usable, peer.priority, key, index, path));
        }
        keyed.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
        keyed.into_iter().map(|(_, _, _, index, path)| (index, path)).collect()
    }

    fn peer_path(&self, peer: &PeerEntry) -> Option<Path> {
        self.path_between(peer.transport, peer.address)
    }

    /// Circuits of the trunk that are idle and in service; the lowest first.
    fn idle_circuits(&self, trunk: TrunkId) -> impl Iterator<Item = Circuit> {
        self.circuits.iter().filter(move |(_, c)| c.trunk == trunk && c.available()).map(|(circuit, _)| *circuit)
    }

    /// A peer did not answer, or answered 503: others come first for a while.
    pub(crate) fn penalise(&mut self, now: Now, trunk: TrunkId, peer: usize) {
        if let Some(p) = self.trunks.get_mut(&trunk).and_then(|t| t.peers.get_mut(peer)) {
            p.penalty_until = Some(now.mono + PENALTY);
        }
    }

    /// Starts probing and registering for all SIP trunks, after (re-)provisioning.
    pub(crate) fn start_trunks(&mut self, now: Now) {
        let old = std::mem::take(&mut self.trunks);
        for health in old.values() {
            if let Some(id) = health.registration {
                self.sip.unregister(now, id);
            }
        }
        let trunks: Vec<TrunkEntry> = self.directory.trunks().cloned().collect();
        for trunk in trunks {
            let id = trunk.id;
            let mut health =
                TrunkHealth { peers: vec![PeerHealth::default(); trunk.peers.len()], ..Default::default() };
            health.calls = old.get(&id).map_or(0, |t| t.calls);
            for (index, peer) in trunk.peers.iter().enumerate().filter(|(_, p)| p.options_s > 0) {
                // Spread the first probes, so that many peers are not asked in one instant.
                let spread = Duration::from_millis(self.random() % (u64::from(peer.options_s) * 100 + 1));
                self.arm(now.mono + spread, Timer::Probe(id, index));
            }
            if trunk.register {
                health.registration = self.start_registration(now, &trunk);
            }
            self.trunks.insert(id, health);
        }
    }

    fn start_registration(&mut self, now: Now, trunk: &TrunkEntry) -> Option<RegistrationId> {
        let peer = trunk.peers.first()?;
        let path = self.peer_path(peer)?;
        let credentials = credentials_of(trunk)?;
        let request = ClientRegistration {
            path,
            registrar_uri: format!("sip:{}", path.remote),
            aor_user: credentials.user.clone(),
            domain: peer.address.ip().to_string(),
            credentials,
            expires_s: 600,
        };
        Some(self.sip.register(now, request))
    }

    /// Timer: asks a peer whether it lives.
    pub(crate) fn probe_peer(&mut self, now: Now, trunk: TrunkId, index: usize) {
        let Some(peer) = self.directory.trunk(trunk).and_then(|t| t.peers.get(index)).copied() else { return };
        if peer.options_s == 0 || self.stopping {
            return;
        }
        self.arm(now.mono + Duration::from_secs(peer.options_s.into()), Timer::Probe(trunk, index));
        let Some(path) = self.peer_path(&peer) else { return };
        let waiting = self.trunks.get(&trunk).and_then(|t| t.peers.get(index)).is_some_and(|p| p.probe.is_some());
        if waiting {
            return;
        }
        let probe = self.sip.probe(now, path, format!("sip:{}", path.remote));
        if let Some(p) = self.trunks.get_mut(&trunk).and_then(|t| t.peers.get_mut(index)) {
            p.probe = Some(probe);
        }
    }

    /// A probe ended: any answer but 503 shows life (a peer that knows no OPTIONS is a living peer).
    pub(crate) fn probed(&mut self, now: Now, probe: ProbeId, status: Option<u16>) {
        for (trunk, health) in &mut self.trunks {
            for (index, peer) in health.peers.iter_mut().enumerate().filter(|(_, p)| p.probe == Some(probe)) {
                peer.probe = None;
                peer.down = status.is_none_or(|s| s == 503);
                if !peer.down {
                    peer.penalty_until = None;
                }
                let name = self.directory.trunk(*trunk).map_or("", |t| t.name.as_str());
                self.alarms.set(now, "peer-down", format!("{name} peer {}", index + 1), peer.down);
            }
        }
    }

    /// The registrar answered.
    pub(crate) fn trunk_registered(&mut self, now: Now, id: RegistrationId, result: Result<u32, u16>) {
        for (trunk, health) in &mut self.trunks {
            if health.registration == Some(id) {
                health.registered = Some(result);
                let name = self.directory.trunk(*trunk).map_or("", |t| t.name.as_str());
                self.alarms.set(now, "trunk-not-registered", name.to_owned(), result.is_err());
            }
        }
    }
}

/// Credentials of a trunk, when it has both halves.
pub(crate) fn credentials_of(trunk: &TrunkEntry) -> Option<Credentials> {
    Some(Credentials { user: trunk.user.clone()?, password: trunk.password.clone()? })
}
