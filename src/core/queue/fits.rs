//! Who fits what, kept as indices so that a match costs what the plausible candidates cost.
//!
//! Agents alike form a [class](super::class), items that ask the same wait behind one [gate](super::gate), and gates that
//! differ in their queue only have one [need](super::need). A need that few classes meet is remembered by those while
//! somebody waits who has it; a need that many meet is known to its tenant. So an agent who gets free looks at the gates
//! that are plausible, and an item that comes at the classes that are.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::base::{AgentId, Instant, Medium, TenantId, TraitId, WorkItemId};
use crate::core::contact::routing::Routing;
use crate::core::contact::{Level, Mode, Want};

use super::class::{Class, ClassId, Kind, Stamp};
use super::gate::{Ask, Front, Gate, GateId};
use super::item::{IN_TIME_FIRST, IN_TIME_MEMORY};
use super::line::Place;
use super::need::{FEW, Fit, Need, NeedId, Needs};
use super::posture::Posture;
use super::score::{Weighing, could_ever};

/// Gates without items that are kept for the next ones.
const UNUSED_MAX: usize = 1_024;

/// Waits that weigh in the average of a tenant: days rather than hours, so that a busy hour makes nobody wait longer.
const WAITS_MEMORY: f64 = 5_000.0;
/// As many as are taken for known at first, and how long these are, in seconds.
const WAITS_FIRST: f64 = 100.0;
const WAIT_S_FIRST: f64 = 20.0;

/// How a tenant's items fared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// Share taken in time, of late.
    in_time: Option<f64>,
    /// Live items that weigh in how long they wait on the average, in seconds.
    waits: f64,
    wait_s: f64,
}

impl Default for Measured {
    fn default() -> Self {
        Self { in_time: None, waits: WAITS_FIRST, wait_s: WAIT_S_FIRST }
    }
}

/// What is indexed of a tenant.
#[derive(Default, Debug)]
struct Tenant {
    routing: Routing,
    classes: Vec<ClassId>,
    /// Those with agents who can take something.
    open: BTreeSet<ClassId>,
    holders: BTreeMap<TraitId, Vec<ClassId>>,
    minded: BTreeSet<TraitId>,
    wide: BTreeSet<NeedId>,
    /// Agents who have nothing in hand and could take a chat.
    idle: usize,
    measured: Measured,
    queues: usize,
}

/// All classes and gates.
#[derive(Default, Debug)]
pub(super) struct Fits {
    classes: Vec<Class>,
    class_ids: BTreeMap<Kind, ClassId>,
    gates: Vec<Option<Gate>>,
    /// Of each gate what is looked at first, beside each other.
    fronts: Vec<Front>,
    vacant: Vec<GateId>,
    gate_ids: HashMap<Ask, GateId>,
    needs: Vec<Option<Need>>,
    met: Vec<NeedId>,
    need_ids: HashMap<Arc<Needs>, NeedId>,
    unused: usize,
    class_of: BTreeMap<AgentId, ClassId>,
    tenants: BTreeMap<TenantId, Tenant>,
    epoch: u32,
}

impl Fits {
    /// Says how a tenant's items are routed.
    pub(super) fn set_routing(&mut self, tenant: TenantId, routing: Routing) {
        self.tenants.entry(tenant).or_default().routing = routing;
    }

    /// How a tenant's items are routed.
    pub(super) fn routing(&self, tenant: TenantId) -> Weighing {
        let tenant = self.tenants.get(&tenant);
        let Routing { policy, weights } = tenant.map(|t| t.routing).unwrap_or_default();
        let late_s = weights.late_waits * tenant.map(|t| t.measured).unwrap_or_default().wait_s;
        Weighing { policy, weights, late_s }
    }

    /// Share of a tenant's items that was taken in time, of late.
    pub(super) fn in_time(&self, tenant: TenantId) -> f64 {
        self.tenants.get(&tenant).and_then(|t| t.measured.in_time).unwrap_or(IN_TIME_FIRST)
    }

    /// What was measured of all tenants.
    pub(super) fn measured(&self) -> Vec<(TenantId, Measured)> {
        self.tenants.iter().map(|(&id, tenant)| (id, tenant.measured)).collect()
    }

    /// The same as of before.
    pub(super) fn set_measured(&mut self, tenant: TenantId, measured: Measured) {
        self.tenants.entry(tenant).or_default().measured = measured;
    }

    /// A live item has waited so long.
    pub(super) fn count_wait(&mut self, tenant: TenantId, wait: Duration) {
        let own = &mut self.tenants.entry(tenant).or_default().measured;
        own.waits = (own.waits + 1.0).min(WAITS_MEMORY);
        own.wait_s += (wait.as_secs_f64() - own.wait_s) / own.waits;
    }

    /// One more queue has a say in that.
    pub(super) fn add_queue(&mut self, tenant: TenantId) {
        self.tenants.entry(tenant).or_default().queues += 1;
    }

    /// An item was taken in time, or was not.
    pub(super) fn count_in_time(&mut self, tenant: TenantId, in_time: bool) {
        let own = self.tenants.entry(tenant).or_default();
        let before = own.measured.in_time.unwrap_or(IN_TIME_FIRST);
        let memory = IN_TIME_MEMORY * own.queues.max(1) as f64;
        own.measured.in_time = Some(before + (f64::from(u8::from(in_time)) - before) / memory);
    }

    /// The class of an agent. Name all agents before the first gate.
    pub(super) fn class_of(&mut self, agent: AgentId, kind: Kind) -> ClassId {
        let class = self.class_named(kind);
        self.class_of.insert(agent, class);
        class
    }

    fn class_named(&mut self, kind: Kind) -> ClassId {
        let next = ClassId(u32::try_from(self.classes.len()).unwrap_or(u32::MAX));
        let id = *self.class_ids.entry(kind.clone()).or_insert(next);
        if id == next {
            for tenant in kind.tenants() {
                let tenant = self.tenants.entry(tenant).or_default();
                tenant.classes.push(id);
                tenant.minded.extend(kind.minds.iter().map(|mind| mind.what));
                for what in kind.traits.iter() {
                    tenant.holders.entry(what).or_default().push(id);
                }
            }
            self.classes.push(Class::new(kind));
        }
        id
    }

    /// A class.
    pub(super) fn class(&self, id: ClassId) -> Option<&Class> {
        self.classes.get(id.0 as usize)
    }

    /// A class, to be changed.
    pub(super) fn class_mut(&mut self, id: ClassId) -> Option<&mut Class> {
        self.classes.get_mut(id.0 as usize)
    }

    /// A gate.
    pub(super) fn gate(&self, id: GateId) -> Option<&Gate> {
        self.gates.get(id.0 as usize)?.as_ref()
    }

    /// The longest wait of a row of a gate.
    pub(super) fn first(&self, id: GateId, prefers: &[Want]) -> Option<(Place, WorkItemId)> {
        self.fronts.get(id.0 as usize)?.first(prefers)
    }

    /// What a row of a gate that is there already prefers, to share.
    pub(super) fn shared(&self, id: GateId, prefers: &[Want]) -> Option<Arc<[Want]>> {
        self.fronts.get(id.0 as usize)?.shared(prefers)
    }

    fn gate_mut(&mut self, id: GateId) -> Option<&mut Gate> {
        self.gates.get_mut(id.0 as usize)?.as_mut()
    }

    /// Those of the traits that some agent of the tenant minds.
    pub(super) fn minded(&self, tenant: TenantId, traits: impl Iterator<Item = TraitId>) -> Box<[TraitId]> {
        let minded = self.tenants.get(&tenant).map(|t| &t.minded);
        let traits: BTreeSet<_> = traits.filter(|what| minded.is_some_and(|m| m.contains(what))).collect();
        traits.into_iter().collect()
    }

    /// The gate of such items, for one more of them.
    pub(super) fn enter(&mut self, mut ask: Ask, importance: f64, target: Duration) -> GateId {
        if let Some(&id) = self.gate_ids.get(&ask) {
            if let Some(gate) = self.gate_mut(id) {
                gate.present += 1;
                if gate.present == 1 {
                    self.unused -= 1;
                }
            }
            return id;
        }
        let need = self.need_of(&mut ask);
        let mut gate = Gate::new(ask.clone(), importance, target, Some(need));
        gate.present = 1;
        let front = gate.front();
        let id = self.vacant.pop().unwrap_or(GateId(u32::try_from(self.gates.len()).unwrap_or(u32::MAX)));
        match (self.gates.get_mut(id.0 as usize), self.fronts.get_mut(id.0 as usize)) {
            (Some(place), Some(before)) => {
                *place = Some(gate);
                *before = front;
            }
            _ => {
                self.gates.push(Some(gate));
                self.fronts.push(front);
            }
        }
        self.gate_ids.insert(ask, id);
        id
    }

    /// The need of a new gate, which is to share what it asks with the others that have it.
    fn need_of(&mut self, ask: &mut Ask) -> NeedId {
        if let Some(&id) = self.need_ids.get(&ask.needs)
            && let Some(Some(need)) = self.needs.get_mut(id.0 as usize)
        {
            need.gates += 1;
            ask.needs = Arc::clone(&need.needs);
            return id;
        }
        let mut need = Need::new(Arc::clone(&ask.needs), self.fit(&ask.needs));
        need.gates = 1;
        let id = self.met.pop().unwrap_or(NeedId(u32::try_from(self.needs.len()).unwrap_or(u32::MAX)));
        match self.needs.get_mut(id.0 as usize) {
            Some(place) => *place = Some(need),
            None => self.needs.push(Some(need)),
        }
        self.need_ids.insert(Arc::clone(&ask.needs), id);
        id
    }

    /// A gate that has it is no more.
    fn meet(&mut self, id: NeedId) {
        let Some(place) = self.needs.get_mut(id.0 as usize) else { return };
        if let Some(need) = place {
            need.gates = need.gates.saturating_sub(1);
        }
        if let Some(need) = place.take_if(|need| need.gates == 0) {
            self.need_ids.remove(&need.needs);
            self.met.push(id);
        }
    }

    fn need(&self, id: NeedId) -> Option<&Need> {
        self.needs.get(id.0 as usize)?.as_ref()
    }

    /// Whether no agent there is could ever take what waits behind the gate.
    pub(super) fn is_unservable(&self, gate: &Gate) -> bool {
        let need = gate.need.and_then(|id| self.need(id));
        need.is_some_and(|need| matches!(&need.fit, Fit::Few(few) if few.is_empty()))
    }

    /// One item less.
    pub(super) fn exit(&mut self, id: GateId) {
        let Some(gate) = self.gate_mut(id) else { return };
        gate.present = gate.present.saturating_sub(1);
        if gate.present == 0 {
            self.unused += 1;
            if self.unused > UNUSED_MAX {
                self.sweep();
            }
        }
    }

    fn sweep(&mut self) {
        let mut unused = vec![];
        for (n, place) in self.gates.iter_mut().enumerate() {
            if let Some(gate) = place.take_if(|gate| gate.present == 0) {
                self.gate_ids.remove(&gate.ask);
                self.vacant.push(GateId(n as u32));
                unused.extend(gate.need);
            }
        }
        unused.into_iter().for_each(|need| self.meet(need));
        self.unused = 0;
    }

    /// Which classes fit: looked for among those that have everything that is required whatever the wait.
    fn fit(&self, needs: &Needs) -> Fit {
        let Some(tenant) = self.tenants.get(&needs.tenant) else { return Fit::Few(Box::default()) };
        let always = |want: &&Want| {
            want.mode == Mode::Required && want.schedule.steps().iter().all(|step| step.level > Level::NONE)
        };
        let holders_of = |what: TraitId| match what.agent() {
            Some(agent) => self.class_of.get(&agent).map_or(&[][..], std::slice::from_ref),
            None => tenant.holders.get(&what).map_or(&[][..], Vec::as_slice),
        };
        let holders = needs.gates.iter().filter(always).map(|want| holders_of(want.what));
        let mut holders: Vec<&[ClassId]> = holders.collect();
        holders.sort_unstable_by_key(|classes| classes.len());
        let (first, others) =
            holders.split_first_mut().map_or((tenant.classes.as_slice(), &mut [][..]), |(f, o)| (*f, o));
        let mut few = vec![];
        for &id in first {
            // All lists are in order, so each is walked once.
            let in_all = others.iter_mut().all(|list| {
                let passed = list.iter().take_while(|&&other| other < id).count();
                *list = list.get(passed..).unwrap_or_default();
                list.first() == Some(&id)
            });
            if in_all && self.class(id).is_some_and(|class| could_ever(&class.kind, needs)) {
                if few.len() == FEW {
                    return Fit::Many;
                }
                few.push(id);
            }
        }
        Fit::Few(few.into())
    }

    /// Whether whoever is required in person is of the class: for checks.
    pub(super) fn has_those_wanted(&self, class: ClassId, needs: &Needs) -> bool {
        let wanted = needs.gates.iter().filter(|want| want.mode == Mode::Required).filter_map(|want| want.what.agent());
        wanted.into_iter().all(|agent| self.class_of.get(&agent) == Some(&class))
    }

    /// Those who fit a gate, if they are few.
    fn few(&self, gate: &Gate) -> Option<&[ClassId]> {
        match &self.need(gate.need?)?.fit {
            Fit::Few(few) => Some(few),
            Fit::Many => None,
        }
    }

    /// Classes whose agents may fit the gate.
    pub(super) fn classes_for(&self, gate: &Gate) -> &[ClassId] {
        self.few(gate).unwrap_or_else(|| self.classes_of(gate.ask.needs.tenant))
    }

    /// Those of them with agents who can take something.
    pub(super) fn open_for<'a>(&'a self, gate: &Gate) -> impl Iterator<Item = (ClassId, &'a Class)> {
        let few = self.few(gate);
        let many = self.tenants.get(&gate.ask.needs.tenant).map(|t| &t.open).filter(|_| few.is_none());
        let ids = few.into_iter().flatten().chain(many.into_iter().flatten()).copied();
        ids.filter_map(|id| Some((id, self.class(id)?))).filter(|(_, class)| !class.open.is_empty())
    }

    /// Tenants with agents who can take something.
    pub(super) fn tenants_open(&self) -> impl Iterator<Item = TenantId> {
        self.tenants.iter().filter(|(_, tenant)| !tenant.open.is_empty()).map(|(&id, _)| id)
    }

    /// Agents of a tenant who can take something, by id.
    pub(super) fn open_agents(&self, tenant: TenantId) -> VecDeque<AgentId> {
        let classes = self.tenants.get(&tenant).into_iter().flat_map(|t| &t.open).filter_map(|&id| self.class(id));
        let agents = classes.flat_map(|class| class.open.values().flatten().map(|&(_, agent)| agent));
        let mut agents: Vec<AgentId> = agents.collect();
        agents.sort_unstable();
        agents.into()
    }

    /// All classes.
    pub(super) fn classes(&self) -> impl Iterator<Item = &Class> {
        self.classes.iter()
    }

    /// All classes of a tenant.
    pub(super) fn classes_of(&self, tenant: TenantId) -> &[ClassId] {
        self.tenants.get(&tenant).map_or(&[], |t| &t.classes)
    }

    /// Gates where somebody waits and that agents of the class may fit.
    pub(super) fn gates_for(&self, class: ClassId) -> impl Iterator<Item = (GateId, &Front)> {
        let class = self.class(class);
        let stamps = class.into_iter().flat_map(|class| &class.waiting);
        let few = stamps.filter_map(|stamp| self.need(stamp.need).filter(|need| need.epoch == stamp.epoch));
        let tenants = class.into_iter().flat_map(|class| class.kind.tenants());
        let wide = tenants.filter_map(|tenant| self.tenants.get(&tenant)).flat_map(|t| &t.wide);
        let gates = few.chain(wide.filter_map(|&id| self.need(id))).flat_map(Need::waited);
        gates.filter_map(|&id| Some((id, self.fronts.get(id.0 as usize)?)))
    }

    /// All gates where somebody waits.
    pub(super) fn waited_at(&self) -> impl Iterator<Item = (GateId, &Gate)> {
        let gates = self.gates.iter().enumerate().filter_map(|(n, gate)| Some((GateId(n as u32), gate.as_ref()?)));
        gates.filter(|(_, gate)| gate.is_waited_at())
    }

    /// An item behind the gate is free to be offered.
    pub(super) fn release(&mut self, id: GateId, place: Place, item: WorkItemId, prefers: &Arc<[Want]>) {
        let at = id.0 as usize;
        let (Some(Some(gate)), Some(front)) = (self.gates.get_mut(at), self.fronts.get_mut(at)) else { return };
        let first = !gate.is_waited_at();
        gate.add(front, (place, item), prefers);
        if let (true, Some(need)) = (first, gate.need) {
            self.fill(need, id);
        }
    }

    /// Somebody waits behind a gate that has the need.
    fn fill(&mut self, id: NeedId, gate: GateId) {
        let Some(Some(need)) = self.needs.get_mut(id.0 as usize) else { return };
        if !need.fill(gate) {
            return;
        }
        self.epoch = self.epoch.wrapping_add(1);
        need.epoch = self.epoch;
        let stamp = Stamp { need: id, epoch: self.epoch };
        let Some(Some(need)) = self.needs.get(id.0 as usize) else { return };
        match &need.fit {
            Fit::Many => {
                self.tenants.entry(need.needs.tenant).or_default().wide.insert(id);
            }
            Fit::Few(few) => {
                let holds = |old: Stamp| {
                    let need = self.needs.get(old.need.0 as usize).and_then(Option::as_ref);
                    need.is_some_and(|need| need.epoch == old.epoch && !need.waited().is_empty())
                };
                for class in few {
                    if let Some(class) = self.classes.get_mut(class.0 as usize) {
                        class.stamp(stamp, holds);
                    }
                }
            }
        }
    }

    /// An item behind the gate is not free any more.
    pub(super) fn reserve(&mut self, id: GateId, place: Place, item: WorkItemId, prefers: &Arc<[Want]>) {
        let at = id.0 as usize;
        let (Some(Some(gate)), Some(front)) = (self.gates.get_mut(at), self.fronts.get_mut(at)) else { return };
        gate.remove(front, (place, item), prefers);
        if !gate.is_waited_at()
            && let Some(need_id) = gate.need
            && let Some(Some(need)) = self.needs.get_mut(need_id.0 as usize)
            && need.empty(id)
            && let Some(tenant) = self.tenants.get_mut(&need.needs.tenant)
        {
            tenant.wide.remove(&need_id);
        }
    }

    /// An agent can take something.
    pub(super) fn add_open(&mut self, class: ClassId, posture: Posture, idle_since: Instant, agent: AgentId) {
        let id = class;
        let Some(class) = self.class_mut(id) else { return };
        class.add_open(posture, idle_since, agent);
        let chats = posture.is_idle() && posture.takes(Medium::Chat, class.kind.slots);
        let Some(class) = self.classes.get(id.0 as usize) else { return };
        for tenant in class.kind.tenants() {
            let tenant = self.tenants.entry(tenant).or_default();
            tenant.open.insert(id);
            tenant.idle += usize::from(chats);
        }
    }

    /// Undoes [`add_open`](Self::add_open).
    pub(super) fn remove_open(&mut self, class: ClassId, posture: Posture, idle_since: Instant, agent: AgentId) {
        let id = class;
        let Some(class) = self.class_mut(id) else { return };
        class.remove_open(posture, idle_since, agent);
        let chats = posture.is_idle() && posture.takes(Medium::Chat, class.kind.slots);
        let Some(class) = self.classes.get(id.0 as usize) else { return };
        for tenant in class.kind.tenants() {
            let Some(tenant) = self.tenants.get_mut(&tenant) else { continue };
            tenant.idle = tenant.idle.saturating_sub(usize::from(chats));
            if class.open.is_empty() {
                tenant.open.remove(&id);
            }
        }
    }

    /// Agents of the tenant who have nothing in hand and could take a chat.
    pub(super) fn idle(&self, tenant: TenantId) -> usize {
        self.tenants.get(&tenant).map_or(0, |t| t.idle)
    }
}
