//! The ways to an agent: its SIP phone, its extension on the trunks to the site's own switch, its number outside. And which
//! of them are open, so that nobody is offered a call who cannot be reached.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::base::{AgentId, Now, Timestamp, TrunkId};
use crate::core::call::RouteStep;
use crate::core::control::Service;
use crate::core::switch::Switch;
use crate::core::tenant::directory::{TrunkKind, foremost};

/// Whether calls can be put on a trunk now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Door {
    /// They can.
    Open,
    /// It is sound, and all its circuits are taken.
    Full,
    /// It is in alarm, its peers are down, or it is out of service.
    Shut,
}

/// The trunks that lead to agents.
#[derive(Default, Debug)]
pub(crate) struct Reach {
    /// Of each agent.
    trunks: HashMap<AgentId, Vec<TrunkId>>,
    agents: HashMap<TrunkId, BTreeSet<AgentId>>,
    doors: HashMap<TrunkId, Door>,
}

impl Reach {
    fn set(&mut self, agent: AgentId, trunks: Vec<TrunkId>) {
        for trunk in self.trunks.remove(&agent).into_iter().flatten() {
            let agents = self.agents.entry(trunk).or_default();
            agents.remove(&agent);
            if agents.is_empty() {
                self.agents.remove(&trunk);
            }
        }
        for trunk in &trunks {
            self.agents.entry(*trunk).or_default().insert(agent);
        }
        if !trunks.is_empty() {
            self.trunks.insert(agent, trunks);
        }
    }
}

impl Switch {
    /// All ways to an agent that are open, the cheapest first.
    pub(crate) fn ways_to(&mut self, now: Now, agent: AgentId, ring_s: u32) -> VecDeque<RouteStep> {
        let mut steps: Vec<RouteStep> = Vec::new();
        if let Some((uri, path)) = self.agent_path(now, agent) {
            steps.push(RouteStep { ring_s, ..RouteStep::to_phone(agent, uri, path) });
        }
        for (trunk, number) in self.numbers_of(agent, now.wall) {
            if self.door(trunk) == Door::Open {
                steps.extend(self.trunk_steps(now, trunk, &number, ring_s));
            }
        }
        steps.into_iter().map(|step| RouteStep { agent: Some(agent), ..step }).collect()
    }

    /// The trunks that lead to an agent at that time, each with the number that goes out there, the cheapest first; of one cost
    /// the extension comes before the number outside.
    fn numbers_of(&self, agent: AgentId, at: Timestamp) -> Vec<(TrunkId, String)> {
        let Some(entry) = self.directory.agent(agent) else { return Vec::new() };
        let mut numbers = Vec::new();
        let site = entry.site.and_then(|site| self.directory.site(site));
        if let (Some(site), Some(extension)) = (site, &entry.extension) {
            let stripped: String = extension.chars().skip(usize::from(site.extension_strip)).collect();
            let number = format!("{}{stripped}", site.extension_prefix);
            numbers.extend(site.trunks.iter().map(|trunk| (*trunk, number.clone())));
        }
        if let Some(phone) = &entry.phone {
            let leads = foremost(self.directory.leads(phone, at), false).into_iter();
            numbers.extend(leads.map(|lead| (lead.trunk, self.sent(lead.trunk, phone).to_owned())));
        }
        numbers.sort_by_cached_key(|(trunk, _)| self.directory.trunk(*trunk).map(|entry| entry.rates.cost_at(at)));
        numbers
    }

    /// The trunks that may lead to an agent, at whatever hour.
    fn trunks_of(&self, agent: AgentId) -> Vec<TrunkId> {
        let Some(entry) = self.directory.agent(agent) else { return Vec::new() };
        let site = entry.site.and_then(|site| self.directory.site(site)).filter(|_| entry.extension.is_some());
        let mut trunks = site.map_or(Vec::new(), |site| site.trunks.clone());
        if let Some(phone) = &entry.phone {
            trunks.extend(self.directory.leads(phone, Timestamp::default()).into_iter().map(|lead| lead.trunk));
        }
        trunks
    }

    /// Looks up anew which trunks lead to which agents, and whether they are open.
    pub(crate) fn provision_reach(&mut self, now: Now) {
        self.reach = Reach::default();
        let agents: Vec<AgentId> = self.directory.agents().map(|agent| agent.id).collect();
        for agent in &agents {
            let trunks = self.trunks_of(*agent);
            self.reach.set(*agent, trunks);
        }
        let trunks: Vec<TrunkId> = self.reach.agents.keys().copied().collect();
        self.reach.doors = trunks.into_iter().map(|trunk| (trunk, self.door(trunk))).collect();
        agents.into_iter().for_each(|agent| self.reachability(now, agent));
    }

    /// A trunk's circuits or its health may have changed: whoever is reached by it is looked at.
    pub(crate) fn look_at_door(&mut self, now: Now, trunk: TrunkId) {
        if !self.reach.agents.contains_key(&trunk) {
            return;
        }
        let door = self.door(trunk);
        if self.reach.doors.insert(trunk, door) != Some(door) {
            let agents: Vec<AgentId> = self.reach.agents.get(&trunk).into_iter().flatten().copied().collect();
            agents.into_iter().for_each(|agent| self.reachability(now, agent));
        }
    }

    /// The same for all trunks.
    pub(crate) fn look_at_doors(&mut self, now: Now) {
        let trunks: Vec<TrunkId> = self.reach.agents.keys().copied().collect();
        trunks.into_iter().for_each(|trunk| self.look_at_door(now, trunk));
    }

    fn door(&self, trunk: TrunkId) -> Door {
        let Some(entry) = self.directory.trunk(trunk) else { return Door::Shut };
        match self.service(entry, self.trunks.get(&trunk)) {
            Service::BusyingOut | Service::BusiedOut | Service::Blocked => Door::Shut,
            Service::InService if entry.kind == TrunkKind::Tdm && !self.has_idle_circuit(trunk) => Door::Full,
            Service::InService if !self.takes_another(trunk) => Door::Full,
            Service::InService => Door::Open,
        }
    }

    fn has_idle_circuit(&self, trunk: TrunkId) -> bool {
        self.circuits.values().any(|circuit| circuit.trunk == trunk && circuit.available())
    }

    /// Whether the agent can be called now, by some way.
    pub(crate) fn is_reachable(&self, now: Now, agent: AgentId) -> bool {
        self.has_phone(agent) || self.has_open_trunk(now, agent)
    }

    fn has_open_trunk(&self, now: Now, agent: AgentId) -> bool {
        let open = |trunk: &TrunkId| self.reach.doors.get(trunk) == Some(&Door::Open);
        self.reach.trunks.contains_key(&agent) && self.numbers_of(agent, now.wall).iter().any(|(trunk, _)| open(trunk))
    }

    /// Whether the agent's SIP phone is known to be somewhere.
    fn has_phone(&self, agent: AgentId) -> bool {
        let Some(entry) = self.directory.agent(agent) else { return false };
        match &entry.contact {
            Some(_) => true,
            None => entry.user.as_deref().is_some_and(|user| self.sip.binding(user).is_some()),
        }
    }

    /// Tells the queue whether an offer can reach the agent: a way is open, and no other call keeps the agent busy.
    pub(crate) fn reachability(&mut self, now: Now, agent: AgentId) {
        let engaged = self.engaged.contains_key(&agent);
        let reachable = !engaged && (self.agent_path(now, agent).is_some() || self.has_open_trunk(now, agent));
        self.queue.set_reachable(now, agent, reachable);
    }
}
