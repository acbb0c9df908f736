//! Traits: an id for whatever an agent can have at a level. A skill or another level is one, and each symbol of an attribute
//! that anything provisioned names, and being a certain agent.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{AgentEntry, AttributeEntry, Directory, seconds, take};
use crate::base::{AgentId, AttributeId, QueueId, TenantId, TraitId};
use crate::core::contact::attribute::AGENT_ATTRIBUTE;
use crate::core::contact::modifier::IMPORTANCE_MAX;
use crate::core::contact::{Kind, Level, Mind, Mode, Modifier, Schedule, Slots, Value, Want};
use crate::core::tenant::provision::{Agent, AgentModifier, Provision, Queue};

/// A modifier whose symbol is the contact's own: resolved when the contact comes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnModifier {
    /// The attribute's name.
    pub attribute: String,
    /// How it counts.
    pub mode: Mode,
    /// What is asked as the contact waits.
    pub schedule: Schedule,
    /// By how much a contact that has the attribute counts as having waited longer.
    pub credit: Duration,
}

/// The ids of traits, and what they stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Traits {
    levels: HashMap<AttributeId, TraitId>,
    symbols: HashMap<AttributeId, HashMap<String, TraitId>>,
    meanings: HashMap<TraitId, Meaning>,
}

#[derive(Clone, Debug)]
enum Meaning {
    Level(AttributeId),
    Symbol(AttributeId, String),
}

impl Traits {
    fn find(&self, attribute: AttributeId, symbol: Option<&str>) -> Option<TraitId> {
        match symbol {
            None => self.levels.get(&attribute).copied(),
            Some(symbol) => self.symbols.get(&attribute)?.get(symbol).copied(),
        }
    }

    /// The trait's id: that here, that of old, or a new one.
    fn intern(&mut self, attribute: AttributeId, symbol: Option<&str>, old: &Traits, next: &mut u32) -> TraitId {
        if let Some(known) = self.find(attribute, symbol) {
            return known;
        }
        let id = old.find(attribute, symbol).unwrap_or_else(|| TraitId(take(next)));
        let meaning = match symbol {
            None => {
                self.levels.insert(attribute, id);
                Meaning::Level(attribute)
            }
            Some(symbol) => {
                self.symbols.entry(attribute).or_default().insert(symbol.into(), id);
                Meaning::Symbol(attribute, symbol.into())
            }
        };
        self.meanings.insert(id, meaning);
        id
    }
}

impl Directory {
    /// The trait of a tenant's attribute: of a level without a symbol, else of the symbol. Of `agent` the symbols are the
    /// agents' names. None when nothing provisioned names it: then nobody has it.
    pub fn trait_id(&self, tenant: TenantId, attribute: &str, symbol: Option<&str>) -> Option<TraitId> {
        if attribute == AGENT_ATTRIBUTE {
            return self.agent_by_name(tenant, symbol?).map(|agent| self.agent_trait(agent.id));
        }
        self.traits.find(self.attribute_by_name(tenant, attribute)?.id, symbol)
    }

    /// The trait of being this agent; [`TraitId::NOBODYS`] of one that is not there.
    pub fn agent_trait(&self, agent: AgentId) -> TraitId {
        self.agent(agent).map_or(TraitId::NOBODYS, |agent| TraitId::of_agent(agent.id))
    }

    /// What a trait stands for: an attribute's name, and a symbol unless it is a level.
    pub fn trait_name(&self, id: TraitId) -> Option<(&str, Option<&str>)> {
        if let Some(agent) = id.agent() {
            return Some((AGENT_ATTRIBUTE, Some(self.agent(agent)?.name.as_str())));
        }
        match self.traits.meanings.get(&id)? {
            Meaning::Level(attribute) => Some((self.attribute(*attribute)?.name.as_str(), None)),
            Meaning::Symbol(attribute, symbol) => Some((self.attribute(*attribute)?.name.as_str(), Some(symbol))),
        }
    }

    /// Queues that no agent of their tenant could ever serve, even at the loosest that each of their wants comes to. What a
    /// contact wants of its own is not counted.
    pub fn unservable_queues(&self) -> Vec<QueueId> {
        let mut agents: HashMap<TenantId, Vec<&AgentEntry>> = HashMap::new();
        for agent in self.agents() {
            for tenant in agent.tenants() {
                agents.entry(tenant).or_default().push(agent);
            }
        }
        let is_unservable = |tenant: TenantId, wants: &[Want]| {
            let wants: Vec<&Want> = wants.iter().filter(|want| want.mode != Mode::Preferred).collect();
            !agents.get(&tenant).is_some_and(|agents| agents.iter().any(|agent| could_serve(agent, &wants)))
        };
        self.queues().filter(|queue| is_unservable(queue.tenant, &queue.wants)).map(|queue| queue.id).collect()
    }

    pub(super) fn add_attributes(&mut self, provision: &Provision, old: &Directory) {
        let agent = provision.tenant.iter().map(|tenant| (&tenant.name, AGENT_ATTRIBUTE, Kind::Symbol, &[][..]));
        let skills = provision.skill.iter().map(|skill| (&skill.tenant, skill.name.as_str(), Kind::Level, &[][..]));
        let attributes = provision
            .attribute
            .iter()
            .map(|attribute| (&attribute.tenant, attribute.name.as_str(), attribute.kind, attribute.values.as_slice()));
        for (tenant, name, kind, values) in agent.chain(skills).chain(attributes) {
            let Some(tenant) = self.tenants.id_of(None, tenant) else { continue };
            if self.attributes.id_of(Some(tenant), name).is_some() {
                continue;
            }
            let known = old.attributes.id_of(Some(tenant), name);
            let id = known.unwrap_or_else(|| AttributeId(take(&mut self.next.attribute)));
            let entry = AttributeEntry { id, tenant, name: name.into(), kind, values: values.to_vec() };
            self.attributes.add(Some(tenant), name, id, entry);
            let level = (kind == Kind::Level).then_some(None);
            for symbol in level.into_iter().chain(values.iter().map(|value| Some(value.as_str()))) {
                self.traits.intern(id, symbol, &old.traits, &mut self.next.traits);
            }
        }
    }

    /// The trait of what something provisioned names; none where there is no such attribute, or it is of another kind.
    fn named(&mut self, tenant: TenantId, attribute: &str, symbol: Option<&str>, old: &Directory) -> Option<TraitId> {
        if attribute == AGENT_ATTRIBUTE {
            return self.trait_id(tenant, attribute, symbol);
        }
        let attribute = self.attribute_by_name(tenant, attribute)?;
        let (id, is_level) = (attribute.id, attribute.kind == Kind::Level);
        (is_level == symbol.is_none()).then(|| self.traits.intern(id, symbol, &old.traits, &mut self.next.traits))
    }

    /// What an agent has, in order of ids.
    pub(super) fn traits_of(
        &mut self,
        tenant: TenantId,
        id: AgentId,
        agent: &Agent,
        old: &Directory,
    ) -> Vec<(TraitId, Level)> {
        let mut traits = vec![(TraitId::of_agent(id), Level::FULL)];
        for (skill, level) in &agent.skills {
            // Who has a skill at all has it at the least level.
            let level = Level::new(*level).max(Level::LEAST);
            traits.extend(self.named(tenant, skill, None, old).map(|id| (id, level)));
        }
        for of in &agent.serves {
            let Some(other) = self.tenants.id_of(None, &of.tenant) else { continue };
            for (skill, level) in &of.skills {
                let level = Level::new(*level).max(Level::LEAST);
                traits.extend(self.named(other, skill, None, old).map(|id| (id, level)));
            }
        }
        for (attribute, value) in agent.attributes.iter().filter(|(name, _)| *name != AGENT_ATTRIBUTE) {
            if let Value::Level(level) = value {
                traits.extend(self.named(tenant, attribute, None, old).map(|id| (id, *level)));
            }
            for symbol in value.symbols() {
                traits.extend(self.named(tenant, attribute, Some(symbol), old).map(|id| (id, Level::FULL)));
            }
        }
        // Of two levels of one trait the higher counts, as in the queue.
        traits.sort_unstable_by_key(|&(id, level)| (id, Reverse(level)));
        traits.dedup_by_key(|(id, _)| *id);
        traits
    }

    pub(super) fn minds_of(
        &mut self,
        tenant: TenantId,
        backup: &BTreeMap<String, u8>,
        modifiers: &[AgentModifier],
        old: &Directory,
    ) -> Vec<Mind> {
        let mut minds = Vec::new();
        for (skill, cost) in backup {
            let what = self.named(tenant, skill, None, old);
            minds.extend(what.map(|what| Mind { what, mode: Mode::Preferred, importance: 0, cost: *cost }));
        }
        for modifier in modifiers {
            let what = self.named(tenant, &modifier.attribute, modifier.value.as_deref(), old);
            let AgentModifier { mode, importance, cost, .. } = *modifier;
            minds.extend(what.map(|what| Mind { what, mode, importance, cost }));
        }
        minds
    }

    /// What each contact of a queue wants, what is left to its own symbols, and its credit.
    pub(super) fn wants_of(
        &mut self,
        tenant: TenantId,
        queue: &Queue,
        old: &Directory,
    ) -> (Vec<Want>, Vec<OwnModifier>, Duration) {
        let (mut wants, mut own, mut credit) = (Vec::new(), Vec::new(), Duration::ZERO);
        for (skill, level) in &queue.skills {
            let Some(what) = self.named(tenant, skill, None, old) else { continue };
            // A skill that is asked for at level 0 must be there all the same.
            let least = Schedule::constant(Level::new(*level).max(Level::LEAST), 0);
            wants.push(Want { what, mode: Mode::Required, schedule: least });
            let full = Schedule::constant(Level::FULL, IMPORTANCE_MAX);
            wants.push(Want { what, mode: Mode::Preferred, schedule: full });
        }
        for modifier in &queue.modifier {
            let Ok(schedule) = modifier.schedule() else { continue };
            let Modifier { attribute, value, mode, credit_s, .. } = modifier;
            if let Some(what) = self.named(tenant, attribute, value.as_deref(), old) {
                wants.push(Want { what, mode: *mode, schedule });
                credit += seconds(*credit_s);
            } else if value.is_none() && self.attribute_by_name(tenant, attribute).is_some() {
                let (attribute, mode, credit) = (attribute.clone(), *mode, seconds(*credit_s));
                own.push(OwnModifier { attribute, mode, schedule, credit });
            }
        }
        (wants, own, credit)
    }
}

/// Whether the agent could be offered some contact of a queue with these wants, by the rule of the queue engine. What an agent
/// takes only may be what the contact brings along; whoever refuses what the queue needs takes none.
fn could_serve(agent: &AgentEntry, wants: &[&Want]) -> bool {
    let level = |what: TraitId| {
        let at = agent.traits.binary_search_by_key(&what, |(id, _)| *id).ok();
        at.and_then(|at| agent.traits.get(at)).map_or(Level::NONE, |(_, level)| *level)
    };
    let refuses = |want: &Want| {
        let is_it = |mind: &Mind| mind.mode == Mode::Forbidden && mind.what == want.what;
        want.mode == Mode::Required && agent.minds.iter().any(is_it)
    };
    agent.slots != Slots::NONE && wants.iter().all(|want| want.could_admit(level(want.what)) && !refuses(want))
}
