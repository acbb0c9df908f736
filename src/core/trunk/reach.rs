//! The ways to an agent: its SIP phone, its extension on the trunks to the site's own switch, its number outside. And which
//! of them are open, so that nobody is offered a call who cannot be reached.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use crate::base::{AgentId, Instant, Medium, Now, SiteId, Timestamp, TrunkId, WorkItemId};
use crate::core::call::RouteStep;
use crate::core::control::{Service, SiteView};
use crate::core::journal::AgentStatus;
use crate::core::switch::{Switch, Timer};
use crate::core::tenant::directory::{SiteEntry, TrunkKind, foremost};
use crate::core::tenant::provision::{CHAT_GRACE_S, WORK_GRACE_S};
use crate::core::trunk::seat::Numbers;
use crate::proto::sip::Path;

/// Whether calls can be put on a trunk now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Door {
    /// They can.
    Open,
    /// It is sound, and all its circuits are taken.
    Full,
    /// The operator busies it out: it is sound, and calls on it go on.
    BusiedOut,
    /// It is in alarm, its peers are down, or the far end blocks it.
    Shut,
}

/// An agent is cut off.
#[derive(Clone, Copy, Debug)]
struct CutOff {
    since: Instant,
    /// When it is looked at whether what is in hand goes to others, by the only timer that counts.
    looks_at: Option<Instant>,
}

/// The trunks that lead to agents.
#[derive(Default, Debug)]
pub(crate) struct Reach {
    /// Of each agent.
    trunks: HashMap<AgentId, Vec<TrunkId>>,
    agents: HashMap<TrunkId, BTreeSet<AgentId>>,
    sites: HashMap<TrunkId, Vec<SiteId>>,
    doors: HashMap<TrunkId, Door>,
    /// Agents who are cut off.
    cut: HashMap<AgentId, CutOff>,
    /// Agents to whom some way is sound, though its circuits may be taken.
    reached: HashSet<AgentId>,
    /// Sites that no way leads to, with their names.
    down: BTreeMap<SiteId, String>,
}

/// Alarm: no way leads to a site.
const SITE_DOWN: &str = "site-down";

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
        if let Some((uri, path)) = self.own_phone(now, agent).filter(|_| !self.pulses.is_down(agent)) {
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
        let Numbers { extension, phone } = self.numbers_at(agent);
        let mut numbers = Vec::new();
        if let Some((site, number)) = extension {
            let trunks = self.directory.site(site).map_or(&[][..], |site| &site.trunks);
            numbers.extend(trunks.iter().map(|trunk| (*trunk, number.clone())));
        }
        if let Some(phone) = phone {
            let leads = foremost(self.directory.leads(&phone, at), false).into_iter();
            numbers.extend(leads.map(|lead| (lead.trunk, self.sent(lead.trunk, &phone).to_owned())));
        }
        numbers.sort_by_cached_key(|(trunk, _)| self.directory.trunk(*trunk).map(|entry| entry.rates.cost_at(at)));
        numbers
    }

    /// The trunks that may lead to an agent, at whatever hour.
    fn trunks_of(&self, agent: AgentId) -> Vec<TrunkId> {
        let Numbers { extension, phone } = self.numbers_at(agent);
        let site = extension.and_then(|(site, _)| self.directory.site(site));
        let mut trunks = site.map_or(Vec::new(), |site| site.trunks.clone());
        if let Some(phone) = phone {
            trunks.extend(self.directory.leads(&phone, Timestamp::default()).into_iter().map(|lead| lead.trunk));
        }
        trunks
    }

    /// Looks up anew which trunks lead to one agent.
    pub(super) fn look_at_ways(&mut self, agent: AgentId) {
        let trunks = self.trunks_of(agent);
        for trunk in &trunks {
            let door = self.door(*trunk);
            self.reach.doors.entry(*trunk).or_insert(door);
        }
        self.reach.set(agent, trunks);
    }

    /// Looks up anew which trunks lead to which agents and sites, and whether they are open.
    pub(crate) fn provision_reach(&mut self, now: Now) {
        self.check_seats();
        let Reach { down, cut, .. } = std::mem::take(&mut self.reach);
        self.reach.cut = cut;
        for name in down.into_values() {
            self.alarms.set(now, SITE_DOWN, name, false);
        }
        let agents: Vec<AgentId> = self.directory.agents().map(|agent| agent.id).collect();
        for agent in &agents {
            let trunks = self.trunks_of(*agent);
            self.reach.set(*agent, trunks);
        }
        let sites: Vec<SiteId> = self.directory.sites().map(|site| site.id).collect();
        for (site, trunk) in self.directory.sites().flat_map(|site| site.trunks.iter().map(|trunk| (site.id, *trunk))) {
            self.reach.sites.entry(trunk).or_default().push(site);
        }
        let trunks: BTreeSet<TrunkId> = self.reach.agents.keys().chain(self.reach.sites.keys()).copied().collect();
        self.reach.doors = trunks.into_iter().map(|trunk| (trunk, self.door(trunk))).collect();
        agents.into_iter().for_each(|agent| self.reachability(now, agent));
        sites.into_iter().for_each(|site| self.look_at_site(now, site));
        // How long things stay with who is cut off may have changed.
        let cut: Vec<AgentId> = self.reach.cut.keys().copied().collect();
        cut.into_iter().for_each(|agent| self.look_at_cut(now, agent));
    }

    /// A trunk's circuits or its health may have changed: whoever is reached by it is looked at.
    pub(crate) fn look_at_door(&mut self, now: Now, trunk: TrunkId) {
        let Some(known) = self.reach.doors.get(&trunk).copied() else { return };
        let door = self.door(trunk);
        if known == door {
            return;
        }
        self.reach.doors.insert(trunk, door);
        let agents: Vec<AgentId> = self.reach.agents.get(&trunk).into_iter().flatten().copied().collect();
        agents.into_iter().for_each(|agent| self.reachability(now, agent));
        let sites: Vec<SiteId> = self.reach.sites.get(&trunk).into_iter().flatten().copied().collect();
        sites.into_iter().for_each(|site| self.look_at_site(now, site));
    }

    /// The same for all trunks.
    pub(crate) fn look_at_doors(&mut self, now: Now) {
        let trunks: Vec<TrunkId> = self.reach.doors.keys().copied().collect();
        trunks.into_iter().for_each(|trunk| self.look_at_door(now, trunk));
    }

    /// Whether a way leads to a site: a trunk that is sound, or a phone that answers. None where there is neither trunk nor phone.
    fn site_is_up(&self, site: &SiteEntry) -> Option<bool> {
        let (up, down) = self.pulses.count(site.id);
        let sound = site.trunks.iter().any(|trunk| self.reach.doors.get(trunk).is_some_and(|door| *door != Door::Shut));
        (!site.trunks.is_empty() || up + down > 0).then_some(sound || up > 0)
    }

    /// The ways to a site, or its agents, have changed.
    pub(crate) fn look_at_site(&mut self, now: Now, site: SiteId) {
        let Some(entry) = self.directory.site(site) else { return };
        let (down, name) = (self.site_is_up(entry) == Some(false), entry.name.clone());
        self.alarms.set(now, SITE_DOWN, name.clone(), down);
        if down {
            self.reach.down.insert(site, name);
        } else {
            self.reach.down.remove(&site);
        }
    }

    fn door(&self, trunk: TrunkId) -> Door {
        let Some(entry) = self.directory.trunk(trunk) else { return Door::Shut };
        match self.service(entry, self.trunks.get(&trunk)) {
            Service::Blocked | Service::BlockedByFarEnd => Door::Shut,
            _ if self.is_silent(entry) => Door::Shut,
            Service::BusyingOut | Service::BusiedOut => Door::BusiedOut,
            Service::InService if entry.kind == TrunkKind::Tdm && !self.has_idle_circuit(trunk) => Door::Full,
            Service::InService if !self.takes_another(trunk) => Door::Full,
            Service::InService => Door::Open,
        }
    }

    fn has_idle_circuit(&self, trunk: TrunkId) -> bool {
        self.circuits.values().any(|circuit| circuit.trunk == trunk && circuit.available())
    }

    /// Whether some way to the agent is sound.
    pub(crate) fn is_reached(&self, agent: AgentId) -> bool {
        self.reach.reached.contains(&agent)
    }

    fn doors_of(&self, now: Now, agent: AgentId) -> Vec<Door> {
        if !self.reach.trunks.contains_key(&agent) {
            return Vec::new();
        }
        let numbers = self.numbers_of(agent, now.wall).into_iter();
        numbers.filter_map(|(trunk, _)| self.reach.doors.get(&trunk).copied()).collect()
    }

    /// The agent's SIP phone, where the agent sits there.
    pub(super) fn own_phone(&mut self, now: Now, agent: AgentId) -> Option<(String, Path)> {
        if self.is_at_own_phone(agent) { self.agent_path(now, agent) } else { None }
    }

    /// Whether the SIP phone where the agent sits is known to be somewhere.
    pub(super) fn has_phone(&self, agent: AgentId) -> bool {
        if !self.is_at_own_phone(agent) {
            return false;
        }
        let Some(entry) = self.directory.agent(agent) else { return false };
        match &entry.contact {
            Some(_) => true,
            None => entry.user.as_deref().is_some_and(|user| self.sip.binding(user).is_some()),
        }
    }

    /// Tells the queue whether an offer can reach the agent: a way is open, and no other call keeps the agent busy. To whom
    /// each way is dead is cut off, until one is back.
    pub(crate) fn reachability(&mut self, now: Now, agent: AgentId) {
        self.look_at_pulse(now, agent);
        let engaged = self.engaged.contains_key(&agent);
        let (there, silent) = (self.own_phone(now, agent).is_some(), self.pulses.is_down(agent));
        let doors = self.doors_of(now, agent);
        let phone = there && !silent;
        let sound = phone || doors.iter().any(|door| *door != Door::Shut);
        let was_cut = self.queue.agent(agent).is_some_and(|state| state.cut);
        let cut = !sound && (silent || !doors.is_empty() || was_cut);
        self.queue.set_reachable(now, agent, !engaged && (phone || doors.contains(&Door::Open)));
        self.set_cut(now, agent, cut);
        let changed = if sound { self.reach.reached.insert(agent) } else { self.reach.reached.remove(&agent) };
        if changed {
            self.agent_counts(now, agent);
        }
    }

    /// Says to the queue whether every way to an agent is dead. Calls are lost with their ways; what else is in hand stays a while.
    pub(crate) fn set_cut(&mut self, now: Now, agent: AgentId, cut: bool) {
        self.queue.set_cut(now, agent, cut);
        if !cut {
            self.reach.cut.remove(&agent);
        } else if let Entry::Vacant(place) = self.reach.cut.entry(agent) {
            place.insert(CutOff { since: now.mono, looks_at: None });
            self.arm_cut(now, agent);
        }
    }

    /// How long an agent who is cut off keeps chats, and what else is no call; none: for good.
    fn graces(&self, agent: AgentId) -> (Option<Duration>, Option<Duration>) {
        let usual = |seconds: u32| Some(Duration::from_secs(seconds.into()));
        match self.site_of(agent).and_then(|site| self.directory.site(site)) {
            Some(site) => (site.chat_grace, site.work_grace),
            None => (usual(CHAT_GRACE_S), usual(WORK_GRACE_S)),
        }
    }

    /// Looks at an agent again when more of what is in hand has stayed there long enough, unless that is before.
    fn arm_cut(&mut self, now: Now, agent: AgentId) {
        let (chats, others) = self.graces(agent);
        let Some(cut) = self.reach.cut.get_mut(&agent) else { return };
        let gone = now.mono.since(cut.since);
        let next = chats.into_iter().chain(others).filter(|grace| *grace > gone).min().map(|grace| cut.since + grace);
        if let Some(next) = next.filter(|next| cut.looks_at.is_none_or(|at| *next < at)) {
            cut.looks_at = Some(next);
            self.arm(next, Timer::CutOff(agent));
        }
    }

    /// Timer: an agent has been cut off for some time, or was in between.
    pub(crate) fn stays_cut(&mut self, now: Now, agent: AgentId) {
        // One of an earlier cut, or of graces that were longer, says nothing.
        let Some(cut) = self.reach.cut.get_mut(&agent).filter(|cut| cut.looks_at.is_some_and(|at| at <= now.mono))
        else {
            return;
        };
        cut.looks_at = None;
        self.look_at_cut(now, agent);
    }

    /// What is in the hand of an agent who is cut off goes to others once that has lasted for longer than suits it.
    fn look_at_cut(&mut self, now: Now, agent: AgentId) {
        let Some(since) = self.reach.cut.get(&agent).map(|cut| cut.since) else { return };
        let Some(state) = self.queue.agent(agent) else {
            self.reach.cut.remove(&agent);
            return;
        };
        let gone = now.mono.since(since);
        let (chats, others) = self.graces(agent);
        let is_due = |medium: Medium| if medium.is_live() { chats } else { others }.is_some_and(|grace| gone >= grace);
        let due: Vec<WorkItemId> =
            state.items.iter().filter(|(_, medium)| is_due(*medium)).map(|(item, _)| *item).collect();
        // Of a call its own legs tell.
        for item in due {
            if self.works.get(item).is_some_and(|of| of.call.is_none()) {
                self.work_cut_off(now, item);
            }
        }
        self.arm_cut(now, agent);
    }

    /// Asserts that each look at an agent who is cut off comes.
    pub(crate) fn check_cut(&self) {
        for (agent, cut) in &self.reach.cut {
            let comes = |at| self.armed().any(|(due, timer)| due == at && timer == Timer::CutOff(*agent));
            assert!(cut.looks_at.is_none_or(comes), "{agent} is looked at");
        }
    }

    /// Sites for the console.
    pub(crate) fn site_views(&self) -> Vec<SiteView> {
        let mut agents: HashMap<SiteId, (u64, u64)> = HashMap::new();
        for state in self.queue.agents().filter(|state| state.status != AgentStatus::Null) {
            if let Some(site) = self.site_of(state.id) {
                let (signed_in, unreachable) = agents.entry(site).or_default();
                *signed_in += 1;
                *unreachable += u64::from(!self.is_reached(state.id));
            }
        }
        let view = |site: &SiteEntry| {
            let (agents, unreachable) = agents.get(&site.id).copied().unwrap_or_default();
            SiteView {
                name: site.name.clone(),
                up: self.site_is_up(site),
                ways: self.site_ways(site),
                agents,
                unreachable,
            }
        };
        let mut views: Vec<SiteView> = self.directory.sites().map(view).collect();
        views.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        views
    }

    /// Each trunk to a site, and its agents' phones, in a line.
    fn site_ways(&self, site: &SiteEntry) -> Vec<String> {
        let trunks = site.trunks.iter().filter_map(|trunk| {
            let word = match self.reach.doors.get(trunk)? {
                Door::Open => "open",
                Door::Full => "full",
                Door::BusiedOut => "busied out",
                Door::Shut => "shut",
            };
            Some(format!("trunk {} {word}", self.directory.trunk(*trunk)?.name))
        });
        let (up, down) = self.pulses.count(site.id);
        let phones = (up + down > 0).then(|| format!("{} phones, {down} do not answer", up + down));
        trunks.chain(phones).collect()
    }
}
