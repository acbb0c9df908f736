//! Which way out: trunks by the dialled number, their peers by health, priority and weight, their circuits in turn.

use std::collections::VecDeque;

use crate::base::{Circuit, Now, TenantId, TrunkId};
use crate::core::call::RouteStep;
use crate::core::switch::Switch;
use crate::core::tenant::directory::{PeerEntry, TrunkEntry, TrunkKind};
use crate::core::trunk::SipTarget;
use crate::core::trunk::target::Destination;
use crate::proto::sip::{Credentials, Path, Transport};

/// Circuits of one trunk that a call tries when both ends seize them at once.
const CIRCUITS_TRIED: usize = 3;

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

    fn route_uri(&mut self, uri: &str, target: &SipTarget, ring_s: u32) -> Option<RouteStep> {
        let path = self.locate(&target.destination, None).into_iter().next()?;
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

    fn route_agent(&mut self, tenant: TenantId, name: &str, ring_s: u32) -> Option<RouteStep> {
        let agent = self
            .directory
            .agent_by_user(name)
            .filter(|a| a.tenant == tenant)
            .or_else(|| self.directory.agent_by_name(tenant, name))?
            .id;
        let (uri, path) = self.agent_path(agent)?;
        Some(RouteStep {
            trunk: None,
            peer: None,
            circuit: None,
            path: Some(path),
            uri,
            number: name.to_owned(),
            agent: Some(agent),
            ring_s,
        })
    }

    /// Where an agent's phone is: its fixed contact, or its newest registration.
    pub(crate) fn agent_path(&mut self, agent: crate::base::AgentId) -> Option<(String, Path)> {
        let entry = self.directory.agent(agent)?;
        if let Some(contact) = entry.contact.clone() {
            let path = self.locate(&SipTarget::parse(&contact)?.destination, None).into_iter().next()?;
            return Some((contact, path));
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
            .map(|(peer, host, path)| RouteStep {
                peer: Some(peer),
                uri: format!("sip:{number}@{host}"),
                path: Some(path),
                ..blank.clone()
            })
            .collect()
    }

    /// Peers by health, then priority; within one priority drawn by weight (RFC 2782's rule).
    fn peers_in_order(&mut self, now: Now, trunk: TrunkId) -> Vec<(usize, String, Path)> {
        let Some(entry) = self.directory.trunk(trunk) else { return Vec::new() };
        let peers: Vec<PeerEntry> = entry.peers.clone();
        let mut keyed: Vec<(bool, u16, f64, usize, String, Path)> = Vec::with_capacity(peers.len());
        for (index, peer) in peers.into_iter().enumerate() {
            let Some(path) = self.peer_path(trunk, &peer) else { continue };
            let usable = self.trunks.get(&trunk).and_then(|t| t.peers.get(index)).is_none_or(|p| p.usable(now));
            // The least of exponential variates with rate = weight is each peer with chance weight / sum.
            let draw = (self.random() >> 11) as f64 / (1u64 << 53) as f64;
            let key = -(1.0 - draw).ln() / f64::from(peer.weight).max(0.01);
            let host = format!("{}{}", peer.socket(), peer.transport.unwrap_or(Transport::Udp).uri_parameter());
            keyed.push((!usable, peer.priority, key, index, host, path));
        }
        keyed.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
        keyed.into_iter().map(|(_, _, _, index, host, path)| (index, host, path)).collect()
    }

    pub(super) fn peer_path(&mut self, trunk: TrunkId, peer: &PeerEntry) -> Option<Path> {
        let proxy = self.directory.trunk(trunk).and_then(|entry| entry.outbound_proxy.as_deref());
        let destination = match proxy.and_then(SipTarget::parse) {
            Some(proxy) => proxy.destination,
            None => Destination::of_peer(peer),
        };
        self.locate(&destination, Some(trunk)).into_iter().next()
    }

    /// Circuits of the trunk that are idle and in service; the lowest first.
    fn idle_circuits(&self, trunk: TrunkId) -> impl Iterator<Item = Circuit> {
        self.circuits.iter().filter(move |(_, c)| c.trunk == trunk && c.available()).map(|(circuit, _)| *circuit)
    }
}

/// Credentials of a trunk, when it has both halves.
pub(crate) fn credentials_of(trunk: &TrunkEntry) -> Option<Credentials> {
    Some(Credentials { user: trunk.user.clone()?, password: trunk.password.clone()? })
}
