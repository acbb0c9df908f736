//! Who fits what, kept as indices so that a match costs what the plausible candidates cost.
//!
//! Agents alike form a [class](super::class), items that ask the same wait behind one [gate](super::gate). A gate that few
//! classes fit is remembered by those while somebody waits behind it; a gate that many fit is known to its tenant. So an
//! agent who gets free looks at the gates that are plausible, and an item that comes at the classes that are.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::base::{AgentId, Instant, Medium, TenantId, TraitId, WorkItemId};
use crate::core::contact::routing::Routing;
use crate::core::contact::{Level, Mode, Want};

use super::class::{Class, ClassId, Kind, Stamp};
use super::gate::{Ask, FEW, Fit, Front, Gate, GateId};
use super::item::{IN_TIME_FIRST, IN_TIME_MEMORY};
use super::line::Place;
use super::posture::Posture;
use super::score::could_ever;

/// Gates without items that are kept for the next ones.
const UNUSED_MAX: usize = 1_024;

/// What is indexed of a tenant.
#[derive(Default, Debug)]
struct Tenant {
    routing: Routing,
    classes: Vec<ClassId>,
    /// Those with agents who can take something.
    open: BTreeSet<ClassId>,
    holders: BTreeMap<TraitId, Vec<ClassId>>,
    minded: BTreeSet<TraitId>,
    wide: BTreeSet<GateId>,
    /// Agents who have nothing in hand and could take a chat.
    idle: usize,
    /// Share of items taken in time, of late.
    in_time: Option<f64>,
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
    pub(super) fn routing(&self, tenant: TenantId) -> Routing {
        self.tenants.get(&tenant).map(|t| t.routing).unwrap_or_default()
    }

    /// Share of a tenant's items that was taken in time, of late.
    pub(super) fn in_time(&self, tenant: TenantId) -> f64 {
        self.tenants.get(&tenant).and_then(|t| t.in_time).unwrap_or(IN_TIME_FIRST)
    }

    /// The same of all tenants, as far as it was measured.
    pub(super) fn in_times(&self) -> impl Iterator<Item = (TenantId, f64)> {
        self.tenants.iter().filter_map(|(&id, tenant)| Some((id, tenant.in_time?)))
    }

    /// The same as of before.
    pub(super) fn set_in_time(&mut self, tenant: TenantId, share: f64) {
        self.tenants.entry(tenant).or_default().in_time = Some(share);
    }

    /// One more queue has a say in that.
    pub(super) fn add_queue(&mut self, tenant: TenantId) {
        self.tenants.entry(tenant).or_default().queues += 1;
    }

    /// An item was taken in time, or was not.
    pub(super) fn count_in_time(&mut self, tenant: TenantId, in_time: bool) {
        let own = self.tenants.entry(tenant).or_default();
        let before = own.in_time.unwrap_or(IN_TIME_FIRST);
        let memory = IN_TIME_MEMORY * own.queues.max(1) as f64;
        own.in_time = Some(before + (f64::from(u8::from(in_time)) - before) / memory);
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
    pub(super) fn enter(&mut self, ask: Ask, importance: f64, target: Duration) -> GateId {
        if let Some(&id) = self.gate_ids.get(&ask) {
            if let Some(gate) = self.gate_mut(id) {
                gate.present += 1;
                if gate.present == 1 {
                    self.unused -= 1;
                }
            }
            return id;
        }
        let fit = self.fit(&ask);
        let mut gate = Gate::new(ask.clone(), importance, target, fit);
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
        for (n, place) in self.gates.iter_mut().enumerate() {
            if let Some(gate) = place.take_if(|gate| gate.present == 0) {
                self.gate_ids.remove(&gate.ask);
                self.vacant.push(GateId(n as u32));
            }
        }
        self.unused = 0;
    }

    /// Which classes fit: looked for among those that have everything that is required whatever the wait.
    fn fit(&self, ask: &Ask) -> Fit {
        let Some(tenant) = self.tenants.get(&ask.tenant) else { return Fit::Few(Box::default()) };
        let always = |want: &&Want| {
            want.mode == Mode::Required && want.schedule.steps().iter().all(|step| step.level > Level::NONE)
        };
        let holders_of = |what: TraitId| match what.agent() {
            Some(agent) => self.class_of.get(&agent).map_or(&[][..], std::slice::from_ref),
            None => tenant.holders.get(&what).map_or(&[][..], Vec::as_slice),
        };
        let holders = ask.gates.iter().filter(always).map(|want| holders_of(want.what));
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
            if in_all && self.class(id).is_some_and(|class| could_ever(&class.kind, ask)) {
                if few.len() == FEW {
                    return Fit::Many;
                }
                few.push(id);
            }
        }
        Fit::Few(few.into())
    }

    /// Whether whoever is required in person is of the class: for checks.
    pub(super) fn has_those_wanted(&self, class: ClassId, ask: &Ask) -> bool {
        let wanted = ask.gates.iter().filter(|want| want.mode == Mode::Required).filter_map(|want| want.what.agent());
        wanted.into_iter().all(|agent| self.class_of.get(&agent) == Some(&class))
    }

    /// Classes whose agents may fit the gate.
    pub(super) fn classes_for<'a>(&'a self, gate: &'a Gate) -> &'a [ClassId] {
        match &gate.fit {
            Fit::Few(few) => few,
            Fit::Many => self.tenants.get(&gate.ask.tenant).map_or(&[], |t| &t.classes),
        }
    }

    /// Those of them with agents who can take something.
    pub(super) fn open_for<'a>(&'a self, gate: &'a Gate) -> impl Iterator<Item = (ClassId, &'a Class)> {
        let open = self.tenants.get(&gate.ask.tenant).map(|t| &t.open);
        let (few, many) = match &gate.fit {
            Fit::Few(few) => (Some(few), None),
            Fit::Many => (None, open),
        };
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
        let few = stamps.filter_map(|stamp| {
            let front = self.fronts.get(stamp.gate.0 as usize)?;
            (front.epoch == stamp.epoch).then_some((stamp.gate, front))
        });
        let tenants = class.into_iter().flat_map(|class| class.kind.tenants());
        let wide = tenants.filter_map(|tenant| self.tenants.get(&tenant)).flat_map(|t| &t.wide);
        let wide = wide.filter_map(|&id| Some((id, self.fronts.get(id.0 as usize)?)));
        few.chain(wide).filter(|(_, front)| front.waits.is_some())
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
        if !first {
            return;
        }
        self.epoch = self.epoch.wrapping_add(1);
        front.epoch = self.epoch;
        match &gate.fit {
            Fit::Many => {
                self.tenants.entry(gate.ask.tenant).or_default().wide.insert(id);
            }
            Fit::Few(few) => {
                let stamp = Stamp { gate: id, epoch: self.epoch };
                let fronts = &self.fronts;
                let holds = |old: Stamp| {
                    let front = fronts.get(old.gate.0 as usize);
                    front.is_some_and(|front| front.epoch == old.epoch && front.waits.is_some())
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
            && let Some(tenant) = self.tenants.get_mut(&gate.ask.tenant)
        {
            tenant.wide.remove(&id);
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
