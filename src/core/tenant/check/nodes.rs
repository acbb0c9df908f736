//! Checks of this appliance's part among those that trunks join it to.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Checker;
use crate::core::ivr;
use crate::core::tenant::address;
use crate::core::tenant::directory::Host;
use crate::core::tenant::provision::Peer;
use crate::core::tenant::provision::node::{RESOURCE, ROLES, SWITCH, WORKFLOW};
use crate::proto::sip::Transport;

impl Checker<'_> {
    /// Its name and roles.
    pub(super) fn node(&mut self) {
        let node = &self.provision.node;
        self.enter_single("node");
        if !node.name.is_empty() {
            self.name("name", &node.name);
        }
        if node.roles.is_empty() {
            self.problem("roles", "`roles` is empty", ROLES.join(", "));
        }
        let mut seen = HashSet::new();
        for (index, role) in node.roles.iter().enumerate() {
            let field = format!("roles[{index}]");
            self.one_of(&field, role, &ROLES);
            if !seen.insert(role) {
                self.problem(&field, format!("role {role:?} is there twice"), "each role once");
            }
        }
    }

    /// What of a whole provisioning an appliance without one of the roles must not have.
    pub(super) fn roles(&mut self) {
        let node = &self.provision.node;
        if node.roles.is_empty() || !node.roles.iter().all(|role| ROLES.contains(&role.as_str())) {
            // That is told, and what else would be wrong depends on what is meant.
            return;
        }
        let lacks = |role: &str| format!("this appliance is no {role:?}");
        if !node.is(SWITCH) {
            for (index, card) in self.provision.card.iter().enumerate() {
                self.enter(index, card);
                self.problem("name", lacks(SWITCH), "no card, or the role in `roles` of [node]");
            }
            for (index, trunk) in self.provision.trunk.iter().enumerate().filter(|(_, trunk)| trunk.node.is_none()) {
                self.enter(index, trunk);
                self.problem("name", lacks(SWITCH), "trunks with `node` only, or the role in `roles` of [node]");
            }
        }
        if !node.is(RESOURCE) {
            for (index, flow) in self.provision.flow.iter().enumerate() {
                let passes_on = ivr::check(&flow.text, "").is_ok_and(|flow| flow.passes_on());
                if !passes_on {
                    self.enter(index, flow);
                    let expected = "transfers alone, or the role in `roles` of [node]";
                    self.problem("name", lacks(RESOURCE), expected);
                }
            }
        }
        if !node.is(WORKFLOW) {
            let expected = "neither queues nor agents, or the role in `roles` of [node]";
            for (index, queue) in self.provision.queue.iter().enumerate() {
                self.enter(index, queue);
                self.problem("name", lacks(WORKFLOW), expected);
            }
            for (index, agent) in self.provision.agent.iter().enumerate() {
                self.enter(index, agent);
                self.problem("name", lacks(WORKFLOW), expected);
            }
        }
    }

    /// Whether to a number of another appliance there is no way, or it comes back here: that is told.
    pub(super) fn leads_nowhere(&mut self, field: &str, node: &str) -> bool {
        if self.provision.node.name == node {
            let what = format!("`node:{node}` is this appliance, so the call would go round in a circle");
            self.problem(field, what, "the number itself, or another appliance's");
            return true;
        }
        let known: Vec<&str> = self.provision.trunk.iter().filter_map(|trunk| trunk.node.as_deref()).collect();
        let missing = !known.contains(&node);
        if missing {
            self.refers(field, "node", node, known);
        }
        missing
    }

    /// A peer that calls go out to, and that is this appliance itself.
    pub(super) fn comes_back(&mut self, position: usize, peer: &Peer) {
        let addresses: Vec<IpAddr> = match Host::new(&peer.address) {
            Host::Address(address) => vec![address.to_canonical()],
            // RFC 6761 section 6.3: it is this host for everybody.
            Host::Name(name) if name == "localhost" || name.ends_with(".localhost") => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            Host::Name(_) => return,
        };
        let sip = &self.provision.sip.listen;
        let listeners: Vec<(Transport, SocketAddr)> = sip.iter().filter_map(|text| address::listener(text)).collect();
        let media = &self.provision.media;
        let media = [Some(&media.address), media.address6.as_ref()].into_iter().flatten();
        let own: HashSet<IpAddr> =
            media.filter_map(|text| text.parse().ok()).chain(listeners.iter().map(|(_, local)| local.ip())).collect();
        // What listens at all addresses of the host does so at those of it that are known here.
        let is_at = |local: IpAddr, address: IpAddr| {
            let everywhere = local.is_unspecified() && local.is_ipv4() == address.is_ipv4();
            local == address || everywhere && (address.is_loopback() || own.contains(&address))
        };
        let is_ours = |(transport, local): &(Transport, SocketAddr)| {
            let port = peer.port.unwrap_or(if *transport == Transport::Tls { 5061 } else { 5060 });
            local.port() == port && addresses.iter().any(|address| is_at(local.ip(), *address))
        };
        if listeners.iter().any(is_ours) {
            let what = format!("peer {} is this appliance, so calls would go round in a circle", peer.address);
            self.problem(&format!("peer[{position}].address"), what, "another host's address or port");
        }
    }

    /// A trunk that leads to another appliance.
    pub(super) fn joined(&mut self, node: &str) {
        self.name("node", node);
        let own = &self.provision.node.name;
        if own.is_empty() {
            self.problem("node", "this appliance has no name", "`name` in [node], by which the others know it");
        } else if own == node {
            self.problem("node", format!("`node` is {node:?}, this appliance"), "another one's name");
        }
    }
}
