//! List, show, add, set and remove single entities of the provisioning.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table as Entry, Value};

use super::args::EntityCommand;
use super::{CliError, Place, edit, live, output, provision};
use crate::core::control::{Command, Query, Reply};
use crate::core::fault::did_you_mean;
use crate::core::tenant::entity::{Entity, EntityKind, entries};
use crate::core::tenant::provision as schema;
use crate::core::tenant::{self, Provision, expand};
use crate::edge::console::Table;

/// A kind of entity: a table of the provisioning file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `[[tenant]]`
    Tenant,
    /// `[[site]]`
    Site,
    /// `[[skill]]`
    Skill,
    /// `[[attribute]]`
    Attribute,
    /// `[[agent]]`
    Agent,
    /// `[[user]]`
    User,
    /// `[[queue]]`
    Queue,
    /// `[[flow]]`
    Flow,
    /// `[[number]]`
    Number,
    /// `[[trunk]]`
    Trunk,
    /// `[[span]]`
    Span,
    /// `[[card]]`
    Card,
}

impl Kind {
    /// The table's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Site => "site",
            Self::Skill => "skill",
            Self::Attribute => "attribute",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Queue => "queue",
            Self::Flow => "flow",
            Self::Number => "number",
            Self::Trunk => "trunk",
            Self::Span => "span",
            Self::Card => "card",
        }
    }

    /// The table's name with its article, for messages.
    fn with_article(self) -> String {
        let article = if matches!(self, Self::Agent | Self::Attribute) { "an" } else { "a" };
        format!("{article} {}", self.as_str())
    }

    /// Whether names are unique within a tenant only, and given as `TENANT/NAME`.
    const fn scoped(self) -> bool {
        matches!(self, Self::Skill | Self::Attribute | Self::Agent | Self::Queue | Self::Flow)
    }

    /// What it is to users, where the appliance serves it to them.
    const fn served(self) -> Option<EntityKind> {
        Some(match self {
            Self::Skill => EntityKind::Skill,
            Self::Attribute => EntityKind::Attribute,
            Self::Agent => EntityKind::Agent,
            Self::Queue => EntityKind::Queue,
            Self::Flow => EntityKind::Flow,
            Self::Number => EntityKind::Number,
            Self::Tenant | Self::Site | Self::User | Self::Trunk | Self::Span | Self::Card => return None,
        })
    }

    /// Whether entities belong to a tenant.
    const fn of_tenant(self) -> bool {
        self.scoped() || matches!(self, Self::Number | Self::User)
    }

    /// The field that is the name.
    const fn name_field(self) -> &'static str {
        if matches!(self, Self::Number) { "number" } else { "name" }
    }

    /// The fields that a list shows beside the name.
    const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Tenant => &["country", "timezone", "language", "routing"],
            Self::Site => &[
                "timezone",
                "trunks",
                "extension_strip",
                "extension_prefix",
                "probe_s",
                "chat_grace_s",
                "work_grace_s",
            ],
            Self::Skill => &[],
            Self::Attribute => &["kind", "values"],
            Self::Agent => &[
                "site",
                "user",
                "contact",
                "extension",
                "phone",
                "code",
                "skills",
                "attributes",
                "slots",
                "ring_s",
                "wrap_up_s",
                "srtp",
            ],
            Self::Queue => &[
                "skills",
                "importance",
                "treatment",
                "target_s",
                "targets_s",
                "overflow_after_s",
                "escalate_to",
                "waiting_max",
                "record",
            ],
            Self::User => &["role", "tenant", "agent", "account"],
            Self::Flow => &["text"],
            Self::Number => &["tenant", "flow"],
            Self::Trunk => &["kind", "peer", "user", "register", "prefix", "strip", "srtp"],
            Self::Span => &["card", "span", "signalling", "trunk"],
            Self::Card => &["driver", "spans"],
        }
    }

    /// The fields without which there is no entity, each with a text that it may be.
    pub(super) const fn required(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Tenant | Self::Site => &[("name", "x")],
            Self::Skill | Self::Agent | Self::Queue | Self::Flow => &[("tenant", "x"), ("name", "x")],
            Self::Attribute => &[("tenant", "x"), ("name", "x"), ("kind", "symbol")],
            Self::User => &[("name", "x"), ("role", "agent"), ("account", "x")],
            Self::Number => &[("number", "x"), ("tenant", "x"), ("flow", "x")],
            Self::Trunk => &[("name", "x"), ("kind", "x")],
            Self::Span => &[("name", "x"), ("card", "x"), ("signalling", "x"), ("trunk", "x")],
            Self::Card => &[("name", "x"), ("driver", "x")],
        }
    }

    /// Whether `entry` has the form of this kind.
    pub(super) fn read(self, entry: Entry) -> Result<(), toml::de::Error> {
        match self {
            Self::Tenant => entry.try_into::<schema::Tenant>().map(drop),
            Self::Site => entry.try_into::<schema::Site>().map(drop),
            Self::Skill => entry.try_into::<schema::Skill>().map(drop),
            Self::Attribute => entry.try_into::<schema::Attribute>().map(drop),
            Self::Agent => entry.try_into::<schema::Agent>().map(drop),
            Self::User => entry.try_into::<schema::User>().map(drop),
            Self::Queue => entry.try_into::<schema::Queue>().map(drop),
            Self::Flow => entry.try_into::<schema::Flow>().map(drop),
            Self::Number => entry.try_into::<schema::Number>().map(drop),
            Self::Trunk => entry.try_into::<schema::Trunk>().map(drop),
            Self::Span => entry.try_into::<schema::Span>().map(drop),
            Self::Card => entry.try_into::<schema::Card>().map(drop),
        }
    }

    /// The full name of an entry.
    fn name_of(self, entry: &Entry) -> String {
        let name = text(entry, self.name_field());
        if self.scoped() { format!("{}/{name}", text(entry, "tenant")) } else { name.to_owned() }
    }
}

fn text<'e>(entry: &'e Entry, field: &str) -> &'e str {
    entry.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Runs a command on the entities of a kind.
pub fn run(place: &Place, kind: Kind, command: EntityCommand) -> Result<(), CliError> {
    let dir = match (place, kind.served()) {
        (Place::Socket(_), Some(served)) => return by_socket(place, kind, served, command),
        _ => place.dir()?,
    };
    match command {
        EntityCommand::List { json, tenant } => list(&World::load(dir)?, kind, json, tenant.as_deref()),
        EntityCommand::Show { name, json } => show(&World::load(dir)?, kind, &name, json),
        EntityCommand::Add { name, fields, dry_run } => {
            provision::replace(dir, dry_run, |old| add(old, kind, &name, &fields))
        }
        EntityCommand::Set { name, fields, dry_run } => {
            provision::replace(dir, dry_run, |old| set(old, kind, &name, &fields))
        }
        EntityCommand::Remove { name, dry_run } => provision::replace(dir, dry_run, |old| remove(old, kind, &name)),
    }
}

/// The same with what the appliance tells a user of it.
fn by_socket(place: &Place, kind: Kind, served: EntityKind, command: EntityCommand) -> Result<(), CliError> {
    let mut client = live::connect(place)?;
    let entities = match client.query(&Query::Entities { tenant: None, kind: served })? {
        Reply::Entities { entities } => entities,
        other => return live::unexpected(other),
    };
    let mut old = Provision::default();
    for entity in entities {
        match entity {
            Entity::Skill(skill) => old.skill.push(skill),
            Entity::Attribute(attribute) => old.attribute.push(attribute),
            Entity::Agent(agent) => old.agent.push(*agent),
            Entity::Queue(queue) => old.queue.push(*queue),
            Entity::Flow(flow) => old.flow.push(flow),
            Entity::Number(number) => old.number.push(number),
        }
    }
    let (new, dry_run) = match command {
        EntityCommand::List { json, tenant } => return list(&World::new(&old)?, kind, json, tenant.as_deref()),
        EntityCommand::Show { name, json } => return show(&World::new(&old)?, kind, &name, json),
        EntityCommand::Add { name, fields, dry_run } => (add(&old, kind, &name, &fields)?, dry_run),
        EntityCommand::Set { name, fields, dry_run } => (set(&old, kind, &name, &fields)?, dry_run),
        EntityCommand::Remove { name, dry_run } => (remove(&old, kind, &name)?, dry_run),
    };
    output::warn(&provision::items_lost(place, &old, &new)?);
    let differences = tenant::diff(&old, &new);
    let mut text: String = differences.iter().map(|difference| format!("{difference}\n")).collect();
    if !dry_run {
        for change in changes(&old, &new, served) {
            live::done(client.command(&change)?)?;
        }
    }
    text.push_str(&match (differences.len(), dry_run) {
        (0, _) => "nothing to change\n".to_owned(),
        (n, true) => format!("{n} to change, not applied\n"),
        (n, false) => format!("{n} changed\n"),
    });
    output::write(text.as_bytes())
}

/// The orders that make the new entries of the old ones.
fn changes(old: &Provision, new: &Provision, kind: EntityKind) -> Vec<Command> {
    let named = |provision| entries(provision, kind).into_iter().map(|entity| (entity.full_name(), entity));
    let (before, mut after): (Vec<_>, BTreeMap<_, _>) = (named(old).collect(), named(new).collect());
    let mut orders = Vec::new();
    for (full, entity) in before {
        match after.remove(&full) {
            Some(same) if same == entity => {}
            Some(changed) => orders.push(Command::Put { entity: Box::new(changed) }),
            None => {
                let name = full.rsplit(['/', ' ']).next().unwrap_or_default().to_owned();
                orders.push(Command::Remove { tenant: entity.tenant().to_owned(), kind, name });
            }
        }
    }
    orders.extend(after.into_values().map(|entity| Command::Put { entity: Box::new(entity) }));
    orders
}

/// The provisioning as tables.
struct World(Entry);

impl World {
    fn load(dir: &Path) -> Result<Self, CliError> {
        Self::new(&provision::load(dir)?)
    }

    fn new(provision: &Provision) -> Result<Self, CliError> {
        Entry::try_from(provision).map(Self).map_err(|error| CliError::Usage(error.to_string()))
    }

    fn entries(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.0.get(kind.as_str()).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
    }

    fn entries_mut(&mut self, kind: Kind) -> Option<&mut Vec<Value>> {
        self.0.entry(kind.as_str()).or_insert_with(|| Value::Array(Vec::new())).as_array_mut()
    }

    fn position(&self, kind: Kind, name: &str) -> Result<usize, CliError> {
        let names: Vec<String> = self.entries(kind).map(|entry| kind.name_of(entry)).collect();
        names.iter().position(|n| n == name).ok_or_else(|| CliError::Missing {
            kind: kind.as_str(),
            name: name.to_owned(),
            nearest: nearest(name, &names),
        })
    }

    fn into_provision(self) -> Result<Provision, CliError> {
        let mut provision: Provision =
            self.0.try_into().map_err(|error: toml::de::Error| CliError::Usage(error.message().to_owned()))?;
        expand(&mut provision).map_err(|error| CliError::Usage(error.to_string()))?;
        Ok(provision)
    }
}

/// The name that was probably meant: one mistyped, or one whose tenant was left out and that no other tenant has.
fn nearest(name: &str, names: &[String]) -> Option<String> {
    let mut namesakes = names.iter().filter(|full| full.split_once('/').is_some_and(|(_, short)| short == name));
    match (namesakes.next(), namesakes.next()) {
        (Some(only), None) => Some(only.clone()),
        _ => did_you_mean(name, names.iter().map(String::as_str)).map(str::to_owned),
    }
}

fn list(world: &World, kind: Kind, json: bool, tenant: Option<&str>) -> Result<(), CliError> {
    if tenant.is_some() && !kind.of_tenant() {
        return Err(CliError::Usage(format!("{}s belong to no tenant", kind.as_str())));
    }
    let chosen = world.entries(kind).filter(|entry| tenant.is_none_or(|t| text(entry, "tenant") == t));
    if json {
        return output::json(&chosen.map(public).collect::<Vec<_>>());
    }
    let mut table = Table::new([kind.as_str()].into_iter().chain(kind.columns().iter().copied()));
    for entry in chosen {
        let cells = kind.columns().iter().map(|column| cell(entry.get(*column)));
        table.row(std::iter::once(kind.name_of(entry)).chain(cells));
    }
    output::write(table.to_string().as_bytes())
}

fn show(world: &World, kind: Kind, name: &str, json: bool) -> Result<(), CliError> {
    let at = world.position(kind, name)?;
    let Some(entry) = world.entries(kind).nth(at).map(public) else { return Ok(()) };
    if json {
        return output::json(&entry);
    }
    // As it would stand in a provisioning file.
    let file = Entry::from_iter([(kind.as_str().to_owned(), Value::Array(vec![Value::Table(entry)]))]);
    let shown = toml::to_string_pretty(&file).map_err(|error| CliError::Usage(error.to_string()))?;
    output::write(shown.as_bytes())
}

fn add(old: &Provision, kind: Kind, name: &str, fields: &[String]) -> Result<Provision, CliError> {
    let mut world = World::new(old)?;
    if world.position(kind, name).is_ok() {
        return Err(CliError::Usage(format!(
            "there is {} `{name}` already; `cordboard {} set` changes it",
            kind.with_article(),
            kind.as_str()
        )));
    }
    let mut entry = Entry::new();
    match (kind.scoped(), name.split_once('/')) {
        (true, Some((tenant, name))) => {
            entry.insert("tenant".into(), tenant.into());
            entry.insert("name".into(), name.into());
        }
        (true, None) => {
            return Err(CliError::Usage(format!("`{name}`: {} is named TENANT/NAME", kind.with_article())));
        }
        (false, _) => drop(entry.insert(kind.name_field().into(), name.into())),
    }
    edit::assign(kind, &mut entry, fields)?;
    if let Some(entries) = world.entries_mut(kind) {
        entries.push(Value::Table(entry));
    }
    world.into_provision()
}

fn set(old: &Provision, kind: Kind, name: &str, fields: &[String]) -> Result<Provision, CliError> {
    let mut world = World::new(old)?;
    let at = world.position(kind, name)?;
    if let Some(Value::Table(entry)) = world.entries_mut(kind).and_then(|entries| entries.get_mut(at)) {
        edit::assign(kind, entry, fields)?;
    }
    world.into_provision()
}

fn remove(old: &Provision, kind: Kind, name: &str) -> Result<Provision, CliError> {
    let mut world = World::new(old)?;
    let at = world.position(kind, name)?;
    if let Some(entries) = world.entries_mut(kind) {
        entries.remove(at);
    }
    world.into_provision()
}

/// An entry without its secrets.
fn public(entry: &Entry) -> Entry {
    let mut entry = entry.clone();
    for secret in ["password", "pin"] {
        if let Some(value) = entry.get_mut(secret) {
            *value = Value::String("[redacted]".into());
        }
    }
    entry
}

/// A value in one cell.
fn cell(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) if text.contains('\n') => format!("{} lines", text.lines().count()),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Boolean(true)) => "yes".into(),
        Some(Value::Boolean(false)) => "no".into(),
        Some(Value::Array(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(", "),
        Some(Value::Table(table)) => match (table.get("address"), table.get("port")) {
            // A trunk's peer.
            (Some(address), Some(port)) => format!("{}:{}", cell(Some(address)), cell(Some(port))),
            _ => table.iter().map(|(key, v)| format!("{key}={}", cell(Some(v)))).collect::<Vec<_>>().join(", "),
        },
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Provision {
        toml::from_str(
            "[[tenant]]\nname = 'acme'\n[[skill]]\ntenant = 'acme'\nname = 'sales'\n\
             [[agent]]\ntenant = 'acme'\nname = 'ana'\npassword = 'hidden'\nskills = { sales = 0.5 }\n\
             [[number]]\nnumber = '100'\ntenant = 'acme'\nflow = 'main'\n",
        )
        .unwrap()
    }

    fn fields(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&t| t.to_owned()).collect()
    }

    #[test]
    fn an_entity_is_added_changed_and_removed() {
        let added =
            add(&sample(), Kind::Agent, "acme/bob", &fields(&["code=0042", "skills.sales=1", "signed_in=true"]));
        let added = added.unwrap();
        let bob = added.agent.iter().find(|a| a.name == "bob").unwrap();
        assert_eq!((bob.tenant.as_str(), bob.code.as_deref(), bob.signed_in), ("acme", Some("0042"), true));
        assert_eq!((bob.skills["sales"], bob.ring_s), (1.0, 20));
        let changed = set(&added, Kind::Agent, "acme/bob", &fields(&["ring_s=9", "code="])).unwrap();
        let bob = changed.agent.iter().find(|a| a.name == "bob").unwrap();
        assert_eq!((bob.ring_s, &bob.code), (9, &None));
        let texts = ["kind=symbol", "values=['en', 'es']"];
        let with_attribute = add(&changed, Kind::Attribute, "acme/language", &fields(&texts)).unwrap();
        assert_eq!(with_attribute.attribute[0].values, ["en", "es"]);
        let removed = remove(&changed, Kind::Agent, "acme/bob").unwrap();
        assert_eq!(removed, sample());
    }

    #[test]
    fn a_range_adds_many_agents() {
        let fields = fields(&["range=[1, 3]", "user=u{n}"]);
        let added = add(&sample(), Kind::Agent, "acme/a{n}", &fields).unwrap();
        let users: Vec<_> = added.agent.iter().filter_map(|a| a.user.as_deref()).collect();
        assert_eq!(users, ["u1", "u2", "u3"]);
    }

    #[test]
    fn names_are_looked_up_and_guessed() {
        let missing = set(&sample(), Kind::Agent, "acme/anna", &fields(&["ring_s=9"])).unwrap_err();
        assert!(missing.to_string().contains("did you mean `acme/ana`"), "{missing}");
        let unscoped = remove(&sample(), Kind::Agent, "ana").unwrap_err();
        assert!(unscoped.to_string().contains("did you mean `acme/ana`"), "{unscoped}");
        let twice = add(&sample(), Kind::Number, "100", &fields(&["tenant=acme", "flow=main"])).unwrap_err();
        assert!(twice.to_string().contains("already"), "{twice}");
        let unscoped = add(&sample(), Kind::Agent, "bob", &[]).unwrap_err();
        assert_eq!(unscoped.exit_code(), 2);
        assert!(add(&sample(), Kind::Number, "200", &fields(&["tenant=acme"])).is_err(), "a flow is required");
    }

    #[test]
    fn secrets_are_not_shown() {
        let world = World::new(&sample()).unwrap();
        let shown = public(world.entries(Kind::Agent).next().unwrap());
        assert_eq!(shown["password"].as_str(), Some("[redacted]"));
        for kind in [Kind::Agent, Kind::Trunk] {
            assert!(!kind.columns().iter().any(|c| ["password", "pin"].contains(c)));
        }
    }
}
