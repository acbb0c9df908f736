//! Which way out: trunks by the dialled number, their peers by health, priority and weight, their circuits in turn.

use std::collections::VecDeque;

use crate::base::{AgentId, Now, TenantId, TrunkId};
use crate::core::call::RouteStep;
use crate::core::switch::Switch;
use crate::core::tenant::directory::{TrunkEntry, TrunkKind};
use crate::core::trunk::SipTarget;
use crate::core::trunk::locator::{Located, Nowhere, Server, lot};
use crate::core::trunk::nodes::NodeNumber;
use crate::core::trunk::target::Destination;
use crate::proto::sip::{Credentials, Path, Transport, escape_user};

/// Circuits of one trunk that a call tries when both ends seize them at once.
const CIRCUITS_TRIED: usize = 3;

impl Switch {
    /// All ways to reach `to` for a tenant, best first: a SIP URI, an agent's phone, or a number by trunk prefixes.
    pub(crate) fn routes_to(&mut self, now: Now, tenant: TenantId, to: &str, ring_s: u32) -> VecDeque<RouteStep> {
        if let Some(to) = NodeNumber::parse(to) {
            return self.routes_to_node(now, to, ring_s);
        }
        if let Some(target) = SipTarget::parse(to) {
            return VecDeque::from([route_uri(to, target, ring_s)]);
        }
        self.routes_to_number(now, tenant, to, ring_s)
    }

    /// The same for what somebody dialled, or was referred to: never a URI, by which any phone would reach any host.
    pub(crate) fn routes_to_number(
        &mut self,
        now: Now,
        tenant: TenantId,
        to: &str,
        ring_s: u32,
    ) -> VecDeque<RouteStep> {
        if let Some(agent) = self.agent_called(tenant, to) {
            let ways = self.ways_to(now, agent, ring_s);
            if !ways.is_empty() {
                return ways;
            }
        }
        self.routes_outside(now, to, ring_s)
    }

    /// The same by trunks alone.
    pub(crate) fn routes_outside(&mut self, now: Now, to: &str, ring_s: u32) -> VecDeque<RouteStep> {
        let mut steps = VecDeque::new();
        let mut last = Vec::new();
        let emergency = self.leads_to_emergency(to);
        for lead in self.ways_out(now.wall, to) {
            if self.takes_out(lead.trunk, to) {
                let number = self.sent(lead.trunk, to).to_owned();
                steps.extend(self.trunk_steps(now, lead.trunk, &number, ring_s));
                last.extend(self.last_resort(lead.trunk, &number, ring_s).filter(|_| emergency));
            }
        }
        steps.extend(last);
        steps
    }

    fn agent_called(&self, tenant: TenantId, name: &str) -> Option<AgentId> {
        let by_user = self.directory.agent_by_user(name).filter(|agent| agent.tenant == tenant);
        by_user.or_else(|| self.directory.agent_by_name(tenant, name)).map(|agent| agent.id)
    }

    /// Where an agent's phone is: its fixed contact, or its newest registration.
    pub(crate) fn agent_path(&mut self, now: Now, agent: AgentId) -> Option<(String, Path)> {
        let entry = self.directory.agent(agent)?;
        if let Some(contact) = entry.contact.clone() {
            let path = self.locate_first(now, &SipTarget::parse(&contact)?.destination, None)?;
            return Some((contact, path));
        }
        let binding = self.sip.binding(entry.user.as_deref()?)?;
        Some((binding.contact.clone(), binding.path))
    }

    /// The ways by one trunk to a number, as it is to go out there.
    pub(super) fn trunk_steps(&mut self, now: Now, trunk: TrunkId, number: &str, ring_s: u32) -> Vec<RouteStep> {
        let Some(entry) = self.directory.trunk(trunk) else { return Vec::new() };
        let blank = RouteStep::by(trunk, number, ring_s);
        if entry.kind == TrunkKind::Tdm {
            let circuits = self.idle_circuits(trunk).into_iter().take(CIRCUITS_TRIED);
            return circuits.map(|circuit| RouteStep { circuit: Some(circuit), ..blank.clone() }).collect();
        }
        self.peers_in_order(now, trunk)
            .into_iter()
            .map(|way| RouteStep {
                peer: Some(way.peer),
                uri: format!("sip:{}@{}", escape_user(number), way.host),
                path: way.path,
                destination: Some(way.destination),
                ..blank.clone()
            })
            .collect()
    }

    /// Peers by health, then priority; within one priority drawn by weight (RFC 2782's rule). Each with its servers, one
    /// after the other (RFC 3263 section 4.3).
    fn peers_in_order(&mut self, now: Now, trunk: TrunkId) -> Vec<Way> {
        let Some(entry) = self.directory.trunk(trunk).cloned() else { return Vec::new() };
        let mut keyed: Vec<(bool, u16, f64, Vec<Way>)> = Vec::with_capacity(entry.peers.len());
        for (index, peer) in entry.peers.iter().enumerate() {
            let destination = entry.destination(peer);
            let located = self.locate(now, &destination, Some(trunk));
            let resting = located == Located::Nowhere(Nowhere::Resting);
            let paths = match located {
                Located::At(paths) => paths.into_iter().map(Some).collect(),
                // When its turn comes, it may be known, or say why it is not to be asked.
                Located::Pending | Located::Nowhere(Nowhere::Resting) => vec![None],
                Located::Nowhere(_) => continue,
            };
            let down = self.trunks.get(&trunk).and_then(|t| t.peers.get(index)).is_some_and(|p| p.down);
            let good = |path: &Option<Path>| path.is_none_or(|path| self.servers.is_usable(now, Server::of(&path)));
            let usable = !down && !resting && paths.iter().any(good);
            let host = format!("{}{}", peer.host_port(), peer.transport.unwrap_or(Transport::Udp).uri_parameter());
            let way = |path| Way { peer: index, host: host.clone(), path, destination: destination.clone() };
            let ways = paths.into_iter().map(way).collect();
            keyed.push((!usable, peer.priority, lot(self.random(), peer.weight), ways));
        }
        keyed.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
        keyed.into_iter().flat_map(|(.., ways)| ways).collect()
    }
}

/// A server of a trunk's peer, or the peer whose servers are not yet known.
struct Way {
    peer: usize,
    host: String,
    path: Option<Path>,
    destination: Destination,
}

/// A SIP URI: its servers are looked for when its turn comes.
fn route_uri(uri: &str, target: SipTarget, ring_s: u32) -> RouteStep {
    RouteStep {
        trunk: None,
        peer: None,
        circuit: None,
        path: None,
        destination: Some(target.destination),
        uri: uri.to_owned(),
        number: target.user,
        agent: None,
        ring_s,
    }
}

/// Credentials of a trunk, when it has both halves.
pub(crate) fn credentials_of(trunk: &TrunkEntry) -> Option<Credentials> {
    Some(Credentials { user: trunk.user.clone()?, password: trunk.password.clone()? })
}
