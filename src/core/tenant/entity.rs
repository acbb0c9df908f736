//! What administrators of a tenant change of it themselves: one entry at a time, and nothing that is the operator's.

use serde::{Deserialize, Serialize};

use crate::base::Redacted;
use crate::core::fault::Fault;
use crate::core::tenant::check::check;
use crate::core::tenant::diff::{Entry, full_name};
use crate::core::tenant::provision::{Agent, Attribute, Flow, Number, Provision, Queue, Skill};

/// What stands for a password or PIN that is not told, and means to whoever gives it back that it stays.
pub const KEPT: &str = "\u{1f}kept";

/// Faults that are told.
const FAULTS_TOLD: usize = 5;

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntityKind {
    /// `[[skill]]`
    Skill,
    /// `[[attribute]]`
    Attribute,
    /// `[[agent]]`
    Agent,
    /// `[[queue]]`
    Queue,
    /// `[[flow]]`
    Flow,
    /// `[[number]]`: where it leads.
    Number,
}

impl EntityKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Skill, Self::Attribute, Self::Agent, Self::Queue, Self::Flow, Self::Number];

    /// The table's name in a provisioning file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skill => Skill::KIND,
            Self::Attribute => Attribute::KIND,
            Self::Agent => Agent::KIND,
            Self::Queue => Queue::KIND,
            Self::Flow => Flow::KIND,
            Self::Number => Number::KIND,
        }
    }
}

/// An entry of a tenant.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", content = "entry", rename_all = "kebab-case")]
pub enum Entity {
    /// A skill.
    Skill(Skill),
    /// An attribute.
    Attribute(Attribute),
    /// An agent.
    Agent(Box<Agent>),
    /// A queue.
    Queue(Box<Queue>),
    /// A flow, with its text.
    Flow(Flow),
    /// A number and its flow.
    Number(Number),
}

impl Entity {
    /// The tenant's name.
    pub fn tenant(&self) -> &str {
        match self {
            Self::Skill(skill) => &skill.tenant,
            Self::Attribute(attribute) => &attribute.tenant,
            Self::Agent(agent) => &agent.tenant,
            Self::Queue(queue) => &queue.tenant,
            Self::Flow(flow) => &flow.tenant,
            Self::Number(number) => &number.tenant,
        }
    }

    /// As people name it: `agent acme/ana`, `number 200`.
    pub fn full_name(&self) -> String {
        fn named<E: Entry>(entry: &E) -> String {
            format!("{} {}", E::KIND, full_name(entry.key()))
        }
        match self {
            Self::Skill(skill) => named(skill),
            Self::Attribute(attribute) => named(attribute),
            Self::Agent(agent) => named(&**agent),
            Self::Queue(queue) => named(&**queue),
            Self::Flow(flow) => named(flow),
            Self::Number(number) => named(number),
        }
    }
}

/// Entries of a kind, with their secrets.
pub fn entries(provision: &Provision, kind: EntityKind) -> Vec<Entity> {
    match kind {
        EntityKind::Skill => provision.skill.iter().cloned().map(Entity::Skill).collect(),
        EntityKind::Attribute => provision.attribute.iter().cloned().map(Entity::Attribute).collect(),
        EntityKind::Agent => provision.agent.iter().cloned().map(|agent| Entity::Agent(Box::new(agent))).collect(),
        EntityKind::Queue => provision.queue.iter().cloned().map(|queue| Entity::Queue(Box::new(queue))).collect(),
        EntityKind::Flow => provision.flow.iter().cloned().map(Entity::Flow).collect(),
        EntityKind::Number => provision.number.iter().cloned().map(Entity::Number).collect(),
    }
}

/// Entries of a kind, of a tenant or all, with [`KEPT`] in the place of secrets, and without what other tenants agents serve.
pub fn shown(provision: &Provision, tenant: Option<&str>, kind: EntityKind) -> Vec<Entity> {
    let mut all = entries(provision, kind);
    all.retain(|entity| tenant.is_none_or(|tenant| entity.tenant() == tenant));
    for entity in &mut all {
        if let Entity::Agent(agent) = entity {
            agent.serves.clear();
            for secret in [&mut agent.password, &mut agent.pin].into_iter().flatten() {
                *secret = Redacted::new(KEPT.to_owned());
            }
        }
    }
    all
}

/// The provisioning with an entry put in: in the place of the one of its name, or as a new one.
///
/// # Errors
/// In words, what is the operator's to change, or what is wrong then.
pub fn put(old: &Provision, entity: Entity) -> Result<Provision, String> {
    let (tenant, mut new) = (entity.tenant().to_owned(), old.clone());
    match entity {
        Entity::Skill(skill) => insert(&mut new.skill, skill),
        Entity::Attribute(attribute) => insert(&mut new.attribute, attribute),
        Entity::Agent(agent) => {
            let before = old.agent.iter().find(|known| known.key() == agent.key());
            let agent = own_agent(before, *agent)?;
            insert(&mut new.agent, agent);
        }
        Entity::Queue(queue) => insert(&mut new.queue, *queue),
        Entity::Flow(flow) if flow.file.is_some() => return Err("a flow comes with its `text`".into()),
        Entity::Flow(flow) => insert(&mut new.flow, flow),
        Entity::Number(number) => {
            let mut known = new.number.iter_mut().filter(|known| known.tenant == tenant);
            match known.find(|known| known.number == number.number) {
                Some(known) => *known = number,
                None => return Err(no_number(&tenant, &number.number)),
            }
        }
    }
    checked(new, &tenant)
}

/// The provisioning without an entry.
///
/// # Errors
/// In words: there is none of that name, or others name it.
pub fn remove(old: &Provision, tenant: &str, kind: EntityKind, name: &str) -> Result<Provision, String> {
    fn taken<E: Entry>(entries: &mut Vec<E>, key: (Option<&str>, &str)) -> bool {
        let before = entries.len();
        entries.retain(|entry| entry.key() != key);
        entries.len() < before
    }
    let (mut new, key) = (old.clone(), (Some(tenant), name));
    let found = match kind {
        EntityKind::Skill => taken(&mut new.skill, key),
        EntityKind::Attribute => taken(&mut new.attribute, key),
        EntityKind::Agent => taken(&mut new.agent, key),
        EntityKind::Queue => taken(&mut new.queue, key),
        EntityKind::Flow => taken(&mut new.flow, key),
        EntityKind::Number => return Err("numbers are given and taken by the operator".into()),
    };
    if !found {
        return Err(format!("there is no {} {tenant}/{name}", kind.as_str()));
    }
    checked(new, tenant)
}

fn insert<E: Entry>(entries: &mut Vec<E>, entry: E) {
    match entries.iter_mut().find(|known| known.key() == entry.key()) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
}

/// An agent with the secrets that it keeps. How the appliance reaches it in the operator's network, and whom else it serves, is
/// the operator's; a user name shows by its beginning whose it is, so that nobody can find out those of others by trying.
fn own_agent(before: Option<&Agent>, mut agent: Agent) -> Result<Agent, String> {
    let none = Agent { contact: None, site: None, extension: None, serves: vec![], user: None, ..agent.clone() };
    let known = before.unwrap_or(&none);
    let operators = [
        ("contact", agent.contact != known.contact),
        ("site", agent.site != known.site),
        ("extension", agent.extension != known.extension),
        ("serves", !agent.serves.is_empty()),
        ("range", agent.range.is_some()),
    ];
    if let Some((field, _)) = operators.iter().find(|(_, changed)| *changed) {
        return Err(format!("`{field}` of an agent is for the operator to set"));
    }
    agent.serves.clone_from(&known.serves);
    let begins = |user: &String| user.strip_prefix(&agent.tenant).is_some_and(|rest| rest.starts_with(['.', '-', '_']));
    if agent.user != known.user && !agent.user.as_ref().is_none_or(begins) {
        return Err(format!("`user` of an agent begins with the tenant's name, as {0}.{1}", agent.tenant, agent.name));
    }
    let keep = |secret: &mut Option<Redacted<String>>, before: Option<&Redacted<String>>, field: &str| match secret
        .as_ref()
        .is_some_and(|secret| secret.expose() == KEPT)
    {
        false => Ok(()),
        true => {
            *secret = before.cloned();
            if secret.is_some() { Ok(()) } else { Err(format!("the agent has no `{field}` that could stay")) }
        }
    };
    keep(&mut agent.password, before.and_then(|agent| agent.password.as_ref()), "password")?;
    keep(&mut agent.pin, before.and_then(|agent| agent.pin.as_ref()), "pin")?;
    Ok(agent)
}

fn no_number(tenant: &str, number: &str) -> String {
    format!("{tenant} has no number {number}; numbers are given and taken by the operator")
}

/// The provisioning, if nothing is wrong with it. What is wrong is told of the tenant's own, as if there were no other tenant.
fn checked(new: Provision, tenant: &str) -> Result<Provision, String> {
    let mut faults = check(&alone(&new, tenant));
    faults.truncate(FAULTS_TOLD);
    if !faults.is_empty() {
        return Err(faults.iter().map(Fault::told).collect::<Vec<_>>().join("\n"));
    }
    if check(&new).is_empty() {
        Ok(new)
    } else {
        Err("it does not go together with what else is provisioned; `check` tells the operator what is wrong".into())
    }
}

/// The provisioning of an appliance that has no other tenant.
fn alone(provision: &Provision, tenant: &str) -> Provision {
    fn own<E: Clone>(entries: &[E], is_own: impl Fn(&E) -> bool) -> Vec<E> {
        entries.iter().filter(|entry| is_own(entry)).cloned().collect()
    }
    Provision {
        tenant: own(&provision.tenant, |one| one.name == tenant),
        skill: own(&provision.skill, |skill| skill.tenant == tenant),
        attribute: own(&provision.attribute, |attribute| attribute.tenant == tenant),
        agent: own(&provision.agent, |agent| agent.tenant == tenant)
            .into_iter()
            .map(|agent| Agent { serves: vec![], ..agent })
            .collect(),
        user: own(&provision.user, |user| user.tenant.as_deref() == Some(tenant)),
        queue: own(&provision.queue, |queue| queue.tenant == tenant),
        flow: own(&provision.flow, |flow| flow.tenant == tenant),
        number: own(&provision.number, |number| number.tenant == tenant),
        ..provision.clone()
    }
}

#[cfg(test)]
#[path = "entity/tests.rs"]
mod tests;
