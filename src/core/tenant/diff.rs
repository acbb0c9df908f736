//! What would change between two provisionings.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::core::tenant::provision::{
    Agent, Attribute, Card, Flow, Number, Provision, Queue, Site, Skill, Span, Tenant, Trunk, User,
};

/// Longest value shown, in characters.
const VALUE_LENGTH_MAX: usize = 60;

/// Fields whose values are never shown.
const SECRET_FIELDS: [&str; 2] = ["password", "pin"];

/// One entry that is added, changed or removed. Prints as `+ agent acme/ana`, `~ queue acme/sales: target_s 20 -> 30` or
/// `- trunk carrier`; of secrets only that they change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// What happens to it.
    pub action: Action,
    /// Its kind, as in the provisioning file: `agent`, `queue`, ...
    pub kind: &'static str,
    /// Its name, after the tenant's and a slash where it belongs to one; empty for `sip` and `media`.
    pub name: String,
    /// For [`Action::Change`]: each field that differs, as it prints.
    pub fields: Vec<String>,
}

/// What happens to an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// It is new.
    Add,
    /// It stays, with other fields.
    Change,
    /// It goes.
    Remove,
}

/// Settings, and entries whole (no field named), that are read when the appliance starts and not again.
const AT_START: [(&str, &[&str]); 5] = [
    ("access", &["socket"]),
    ("sip", &["listen", "realm"]),
    ("media", &["address", "address6", "port_min", "port_max"]),
    ("card", &[]),
    ("span", &[]),
];

impl Difference {
    /// Whether a running appliance goes on as before until it is started again.
    pub fn holds_from_next_start(&self) -> bool {
        let named = |field: &String, names: &[&str]| field.split([' ', '.']).next().is_some_and(|f| names.contains(&f));
        AT_START.iter().any(|(kind, names)| {
            *kind == self.kind && (names.is_empty() || self.fields.iter().any(|field| named(field, names)))
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.action {
            Action::Add => '+',
            Action::Change => '~',
            Action::Remove => '-',
        };
        write!(f, "{sign} {}", self.kind)?;
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        if !self.fields.is_empty() {
            write!(f, ": {}", self.fields.join(", "))?;
        }
        Ok(())
    }
}

/// The differences that lead from `old` to `new`, by kind in the order of the file, none when nothing would change. The
/// order of entries does not count. Both are taken as expanded and checked; of entries with one name the last counts.
pub fn diff(old: &Provision, new: &Provision) -> Vec<Difference> {
    let mut differences = Vec::new();
    single("sip", &old.sip, &new.sip, &mut differences);
    single("media", &old.media, &new.media, &mut differences);
    single("admission", &old.admission, &new.admission, &mut differences);
    single("node", &old.node, &new.node, &mut differences);
    single("access", &old.access, &new.access, &mut differences);
    many(&old.card, &new.card, &mut differences);
    many(&old.trunk, &new.trunk, &mut differences);
    many(&old.span, &new.span, &mut differences);
    many(&old.tenant, &new.tenant, &mut differences);
    many(&old.site, &new.site, &mut differences);
    many(&old.skill, &new.skill, &mut differences);
    many(&old.attribute, &new.attribute, &mut differences);
    many(&old.agent, &new.agent, &mut differences);
    many(&old.user, &new.user, &mut differences);
    many(&old.queue, &new.queue, &mut differences);
    many(&old.flow, &new.flow, &mut differences);
    many(&old.number, &new.number, &mut differences);
    differences
}

/// An entry with a name.
pub(super) trait Entry: Serialize + PartialEq {
    /// Its kind, the table's name in a provisioning file.
    const KIND: &'static str;
    /// The tenant it belongs to, when it belongs to one, and its name.
    fn key(&self) -> (Option<&str>, &str);
}

macro_rules! entries {
    ($($entry:ident $kind:literal $tenant:ident $name:ident;)*) => {$(
        impl Entry for $entry {
            const KIND: &'static str = $kind;
            fn key(&self) -> (Option<&str>, &str) {
                (entries!(@$tenant self), &self.$name)
            }
        }
    )*};
    (@none $self:ident) => { None };
    (@tenant $self:ident) => { Some(&$self.tenant) };
}

entries! {
    Card "card" none name;
    Span "span" none name;
    Tenant "tenant" none name;
    Site "site" none name;
    Skill "skill" tenant name;
    Attribute "attribute" tenant name;
    Agent "agent" tenant name;
    User "user" none name;
    Queue "queue" tenant name;
    Flow "flow" tenant name;
    Number "number" none number;
    Trunk "trunk" none name;
}

/// An entry's name as people read it.
pub(super) fn full_name((tenant, name): (Option<&str>, &str)) -> String {
    tenant.map_or_else(|| name.to_string(), |tenant| format!("{tenant}/{name}"))
}

fn single<T: Serialize + PartialEq>(kind: &'static str, old: &T, new: &T, differences: &mut Vec<Difference>) {
    let fields = changed_fields(old, new);
    if !fields.is_empty() {
        differences.push(Difference { action: Action::Change, kind, name: String::new(), fields });
    }
}

fn many<T: Entry>(old: &[T], new: &[T], differences: &mut Vec<Difference>) {
    let before: HashMap<_, &T> = old.iter().map(|entry| (entry.key(), entry)).collect();
    let after: HashMap<_, &T> = new.iter().map(|entry| (entry.key(), entry)).collect();
    let mut add = |action, entry: &T, fields| {
        differences.push(Difference { action, kind: T::KIND, name: full_name(entry.key()), fields });
    };
    for entry in new {
        match before.get(&entry.key()) {
            None => add(Action::Add, entry, Vec::new()),
            Some(before) => {
                let fields = changed_fields(*before, entry);
                if !fields.is_empty() {
                    add(Action::Change, entry, fields);
                }
            }
        }
    }
    for entry in old.iter().filter(|entry| !after.contains_key(&entry.key())) {
        add(Action::Remove, entry, Vec::new());
    }
}

fn changed_fields<T: Serialize + PartialEq>(old: &T, new: &T) -> Vec<String> {
    if old == new {
        return Vec::new();
    }
    let (Ok(Value::Object(old)), Ok(Value::Object(new))) = (serde_json::to_value(old), serde_json::to_value(new))
    else {
        return Vec::new();
    };
    let mut fields = Vec::new();
    for name in names(&old, &new) {
        field(name, old.get(name), new.get(name), &mut fields);
    }
    fields
}

fn names<'v>(old: &'v Map<String, Value>, new: &'v Map<String, Value>) -> impl Iterator<Item = &'v String> {
    old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)))
}

/// Adds what changed of a field; where that is too long to show, what changed within it, as `routing.weights.flex`.
fn field(name: &str, old: Option<&Value>, new: Option<&Value>, fields: &mut Vec<String>) {
    if old == new {
        return;
    }
    if SECRET_FIELDS.contains(&name.rsplit('.').next().unwrap_or(name)) {
        return fields.push(format!("{name} changed"));
    }
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) if is_long(old) || is_long(new) => {
            for inner in names(old, new) {
                field(&format!("{name}.{inner}"), old.get(inner), new.get(inner), fields);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if is_long(old) || is_long(new) => {
            for index in 0..old.len().max(new.len()) {
                field(&format!("{name}[{index}]"), old.get(index), new.get(index), fields);
            }
        }
        // A flow's text is too long to show twice.
        (Some(Value::String(old)), Some(Value::String(new))) if old.contains('\n') || new.contains('\n') => {
            fields.push(format!("{name} changed ({} -> {} lines)", old.lines().count(), new.lines().count()));
        }
        _ => fields.push(format!("{name} {} -> {}", shown(old), shown(new))),
    }
}

fn is_long(value: &impl Serialize) -> bool {
    serde_json::to_string(value).is_ok_and(|text| text.chars().nth(VALUE_LENGTH_MAX).is_some())
}

fn shown(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return "none".into(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => without_secrets(other).to_string(),
    };
    match text.char_indices().nth(VALUE_LENGTH_MAX) {
        None => text,
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}

/// Nested tables hold no secrets today; should one ever, it is not shown.
fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let open = fields.iter().filter(|(name, _)| !SECRET_FIELDS.contains(&name.as_str()));
            Value::Object(open.map(|(name, value)| (name.clone(), without_secrets(value))).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(without_secrets).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Redacted;

    fn provision(text: &str) -> Provision {
        toml::from_str(text).expect("well-formed")
    }

    fn printed(old: &Provision, new: &Provision) -> Vec<String> {
        diff(old, new).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_read_at_the_start_says_so() {
        let old = provision("[sip]\ncalls_max = 5\n");
        let waits = |text: &str| diff(&old, &provision(text)).iter().map(Difference::holds_from_next_start).collect();
        let both: Vec<bool> = waits("[sip]\ncalls_max = 6\n[media]\nport_max = 20001\n");
        assert_eq!(both, [false, true]);
        let mixed: Vec<bool> = waits("[sip]\ncalls_max = 6\nlisten = ['udp:127.0.0.1:5070']\n");
        assert_eq!(mixed, [true]);
        let entries: Vec<bool> = waits(
            "[sip]\ncalls_max = 5\n[media]\ncountry = 'de'\n[[card]]\nname = 'c'\ndriver = 'sim-t1'\n[[tenant]]\nname = 'a'\n",
        );
        assert_eq!(entries, [false, true, false]);
    }

    const BASE: &str = r#"
[[tenant]]
name = "acme"
[[agent]]
tenant = "acme"
name = "ana"
password = "hunter2"
skills = { sales = 0.5 }
[[queue]]
tenant = "acme"
name = "sales"
[[flow]]
tenant = "acme"
name = "main"
text = "a\nb\n"
[[trunk]]
name = "x"
kind = "tdm"
"#;

    #[test]
    fn the_same_is_no_difference() {
        assert!(diff(&provision(BASE), &provision(BASE)).is_empty());
        assert!(diff(&Provision::default(), &Provision::default()).is_empty());
        let mut turned = provision(BASE);
        turned.agent.push(Agent { name: "bob".into(), ..turned.agent[0].clone() });
        let mut reversed = turned.clone();
        reversed.agent.reverse();
        assert!(diff(&turned, &reversed).is_empty(), "order does not count");
    }

    #[test]
    fn each_kind_of_difference_prints() {
        let old = provision(BASE);
        let mut new = old.clone();
        new.sip.calls_max = 5;
        new.trunk.clear();
        new.queue[0].target_s = 30;
        new.queue[0].music = Some("jazz".into());
        new.flow[0].text = "a\nb\nc\n".into();
        new.agent[0].skills.insert("sales".into(), 1.0);
        new.agent.push(Agent { name: "bob".into(), ..new.agent[0].clone() });
        assert_eq!(
            printed(&old, &new),
            [
                "~ sip: calls_max 10000 -> 5",
                "- trunk x",
                "~ agent acme/ana: skills {\"sales\":0.5} -> {\"sales\":1.0}",
                "+ agent acme/bob",
                "~ queue acme/sales: target_s 20 -> 30, music none -> jazz",
                "~ flow acme/main: text changed (2 -> 3 lines)",
            ]
        );
    }

    #[test]
    fn long_tables_print_what_changed_within() {
        let old = provision(
            "[[tenant]]\nname = 'acme'\n[tenant.routing]\nweights = { flex = 100 }\n[[queue]]\ntenant = 'acme'\nname = 'q'\n\
             modifier = [{ attribute = 'language', value = 'es', mode = 'required' }, { attribute = 'region', mode = 'preferred' }]\n",
        );
        let mut new = old.clone();
        new.tenant[0].routing.weights.flex = 250.5;
        new.queue[0].modifier[1].importance = Some(5);
        new.queue[0].sticky = Some(crate::core::tenant::provision::Sticky::default());
        assert_eq!(
            printed(&old, &new),
            [
                "~ tenant acme: routing.weights.flex 100.0 -> 250.5",
                "~ queue acme/q: modifier[1] {\"attribute\":\"region\",\"mode\":\"preferred\"} -> \
                 {\"attribute\":\"region\",\"importance\":5,\"mode\":\"preferred\"}, \
                 sticky none -> {\"fade_days\":30,\"importance\":40}",
            ]
        );
        new.queue[0].modifier.pop();
        assert!(printed(&old, &new)[1].starts_with("~ queue acme/q: modifier[1] {\"attribute\":\"region\""));
    }

    #[test]
    fn secrets_are_never_shown() {
        let old = provision(BASE);
        let mut new = old.clone();
        new.agent[0].password = Some(Redacted::new("swordfish".into()));
        new.agent[0].pin = Some(Redacted::new("4711".into()));
        assert_eq!(printed(&old, &new), ["~ agent acme/ana: password changed, pin changed"]);
        new.agent[0].password = None;
        assert_eq!(printed(&old, &new), ["~ agent acme/ana: password changed, pin changed"]);
    }
}
