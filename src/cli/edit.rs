//! `KEY=VALUE` into an entry, typed by the provisioning's schema.

use std::path::Path;

use toml::{Table as Entry, Value};

use super::entity::Kind;
use super::{CliError, files};
use crate::core::fault::did_you_mean;

/// Fields whose value may stand in a file, so that it is not seen in the list of processes.
const SECRETS: [&str; 2] = ["password", "pin"];

/// Sets fields of `entry`. A value is taken as text where the schema wants text (`code=0042`), else as a TOML value
/// (`ring_s=20`, `range=[1, 9]`); `KEY=` removes the field, which goes back to its default; `TABLE.KEY=VALUE` sets one
/// entry of a table, `routing.weights.KEY=VALUE` one of the table within. A flow's `file=PATH` takes its text from there,
/// `password=@PATH` and `pin=@PATH` the first line.
///
/// # Errors
///
/// [`CliError::Usage`] with every wrong field, [`CliError::Faults`] of a flow's text, [`CliError::File`]; `entry` is then
/// changed in part and must be dropped.
pub fn assign(kind: Kind, entry: &mut Entry, fields: &[String]) -> Result<(), CliError> {
    let mut faults = Vec::new();
    for field in fields {
        let Some((key, text)) = field.split_once('=') else {
            faults.push(format!("`{field}`: expected KEY=VALUE"));
            continue;
        };
        let (key, text) = (key.trim(), text.trim());
        let assigned = match text.strip_prefix('@').filter(|_| SECRETS.contains(&key)) {
            Some(path) => {
                let content = files::read(Path::new(path))?;
                assign_one(kind, entry, key, content.lines().next().unwrap_or_default())
            }
            None if (kind, key) == (Kind::Flow, "file") => {
                entry.insert("text".into(), files::read_flow_text(Path::new(text))?.into());
                Ok(())
            }
            None => assign_one(kind, entry, key, text),
        };
        if let Err(fault) = assigned {
            let shown = if SECRETS.contains(&key) { key } else { field };
            faults.push(format!("`{shown}`: {fault}"));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(CliError::Usage(faults.join("\nerror: "))) }
}

fn assign_one(kind: Kind, entry: &mut Entry, key: &str, text: &str) -> Result<(), String> {
    let path = path(key);
    if text.is_empty() {
        // No value is tried: only that the field is there, whatever its type.
        if let Err(fault) = typed(kind, &path, "1")
            && unknown(&fault)
        {
            return Err(fault);
        }
        clear(entry, &path);
        return Ok(());
    }
    let value = typed(kind, &path, text)?;
    put(entry, &path, value);
    Ok(())
}

/// The first dot parts the table's name from its key, which may hold further ones; `routing` alone has tables within.
fn path(key: &str) -> Vec<&str> {
    if key.starts_with("routing.") { key.split('.').collect() } else { key.splitn(2, '.').collect() }
}

fn put(entry: &mut Entry, path: &[&str], value: Value) {
    match path {
        [] => {}
        [last] => drop(entry.insert((*last).into(), value)),
        [first, rest @ ..] => {
            let table = entry.entry(*first).or_insert_with(|| Value::Table(Entry::new()));
            if !table.is_table() {
                *table = Value::Table(Entry::new());
            }
            if let Value::Table(table) = table {
                put(table, rest, value);
            }
        }
    }
}

fn clear(entry: &mut Entry, path: &[&str]) {
    match path {
        [] => {}
        [last] => drop(entry.remove(*last)),
        [first, rest @ ..] => {
            if let Some(Value::Table(table)) = entry.get_mut(*first) {
                clear(table, rest);
            }
        }
    }
}

/// The value that `text` stands for where the schema has `path`: tried in an entry that is otherwise right. What an
/// attribute is, the schema does not say: a number is a level there unless it is quoted.
fn typed(kind: Kind, path: &[&str], text: &str) -> Result<Value, String> {
    let sample: Entry =
        kind.required().iter().map(|(field, value)| ((*field).to_owned(), Value::from(*value))).collect();
    let mut fault = String::new();
    let mut values = [Some(Value::from(text)), literal(text)];
    if matches!(path, ["attributes", _]) {
        values.reverse();
    }
    for value in values.into_iter().flatten() {
        let mut entry = sample.clone();
        put(&mut entry, path, value.clone());
        match kind.read(entry) {
            Ok(()) => return Ok(value),
            Err(error) => fault = explain(error.message()),
        }
    }
    Err(fault)
}

fn unknown(fault: &str) -> bool {
    fault.starts_with("unknown field")
}

/// Adds a guess to "unknown field `x`, expected one of `a`, `b`".
fn explain(message: &str) -> String {
    let message = message.trim();
    let key = message.split('`').nth(1).unwrap_or_default();
    if unknown(message)
        && let Some(guess) = did_you_mean(key, message.split('`').skip(3).step_by(2))
    {
        return format!("unknown field `{key}`; did you mean `{guess}`?");
    }
    in_plain_words(message)
}

/// What the reader of types calls a type, and what an operator does.
const PLAIN: [(&str, &str); 7] = [
    ("expected u8", "expected a whole number of 0 to 255"),
    ("expected u16", "expected a whole number of 0 to 65535"),
    ("expected u32", "expected a whole number, 0 or more"),
    ("expected u64", "expected a whole number, 0 or more"),
    ("expected f64", "expected a number"),
    ("expected a sequence", "expected a list in [ ]"),
    ("expected a map", "expected a table in { }"),
];

fn in_plain_words(message: &str) -> String {
    let plain = PLAIN.iter().find_map(|(typed, plain)| Some(format!("{}{plain}", message.strip_suffix(typed)?)));
    plain.unwrap_or_else(|| message.to_owned())
}

/// A TOML value, when the text is one and nothing more.
fn literal(text: &str) -> Option<Value> {
    let mut document: Entry = toml::from_str(&format!("value = {text}")).ok()?;
    let value = document.remove("value")?;
    document.is_empty().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(kind: Kind, fields: &[&str]) -> Result<Entry, String> {
        let mut entry = Entry::new();
        let fields: Vec<String> = fields.iter().map(|&f| f.to_owned()).collect();
        assign(kind, &mut entry, &fields).map(|()| entry).map_err(|error| error.to_string())
    }

    #[test]
    fn values_take_the_type_of_their_field() {
        let agent = assigned(
            Kind::Agent,
            &["code=0042", "ring_s=15", "signed_in=true", "skills.tech.level2=0.5", "skills.sales=1", "pin=99"],
        );
        let expected = "code = '0042'\nring_s = 15\nsigned_in = true\npin = '99'\n\
                        skills = { 'tech.level2' = 0.5, sales = 1 }\n";
        assert_eq!(agent.unwrap(), toml::from_str::<Entry>(expected).unwrap());
        let trunk = assigned(Kind::Trunk, &["prefix=[\"00\", \"+\"]", "peer=[{ address = \"192.0.2.1\" }]"]).unwrap();
        assert_eq!(trunk["prefix"].as_array().unwrap().len(), 2);
        assert_eq!(trunk["peer"][0]["address"].as_str(), Some("192.0.2.1"));
    }

    #[test]
    fn wrong_fields_are_all_named_with_a_guess() {
        let error = assigned(Kind::Agent, &["rings_s=15", "ring_s=soon", "nonsense", "wrap_up_s=-1"]).unwrap_err();
        assert!(error.contains("did you mean `ring_s`"), "{error}");
        assert!(error.contains("`ring_s=soon`: invalid type"), "{error}");
        assert!(error.contains("expected a whole number") && !error.contains("u32"), "{error}");
        assert!(error.contains("`nonsense`: expected KEY=VALUE"), "{error}");
        assert_eq!(error.lines().count(), 4, "{error}");
        assert!(assigned(Kind::Agent, &["ringo="]).is_err(), "an unknown field cannot be cleared");
    }

    #[test]
    fn a_value_cannot_smuggle_in_other_fields() {
        assert!(assigned(Kind::Agent, &["ring_s=5\nwrap_up_s = 7"]).is_err());
    }

    #[test]
    fn routing_is_set_field_by_field() {
        let entry =
            assigned(Kind::Tenant, &["routing.policy=fifo", "routing.weights.flex=10", "routing.weights.idle=2"]);
        let expected = "routing = { policy = 'fifo', weights = { flex = 10, idle = 2 } }";
        assert_eq!(entry, Ok(toml::from_str(expected).unwrap()));
        let cleared = assigned(Kind::Tenant, &["routing.weights.flex=10", "routing.weights.flex="]);
        assert_eq!(cleared, Ok(toml::from_str("routing = { weights = {} }").unwrap()));
        let error = assigned(Kind::Tenant, &["routing.weights.flexx=10", "routing.policy=lifo"]).unwrap_err();
        assert!(error.contains("unknown field `flexx`; did you mean `flex`?"), "{error}");
        assert!(error.contains("unknown variant `lifo`"), "{error}");
    }

    #[test]
    fn an_attribute_is_a_word_a_list_or_a_level() {
        let fields = [
            "attributes.region=west",
            "attributes.language=['en', 'es']",
            "attributes.calm=0.5",
            "attributes.floor='1'",
        ];
        let expected = "attributes = { region = 'west', language = ['en', 'es'], calm = 0.5, floor = '1' }";
        assert_eq!(assigned(Kind::Agent, &fields), Ok(toml::from_str(expected).unwrap()));
        let slots = assigned(Kind::Agent, &["slots.chat=2", "slots.email=0"]);
        assert_eq!(slots, Ok(toml::from_str("slots = { chat = 2, email = 0 }").unwrap()));
        assert!(assigned(Kind::Agent, &["slots.pigeon=2"]).is_err_and(|error| error.contains("pigeon")));
        let kind = assigned(Kind::Attribute, &["kind=set", "values=['a']"]);
        assert_eq!(kind, Ok(toml::from_str("kind = 'set'\nvalues = ['a']").unwrap()));
        assert!(assigned(Kind::Attribute, &["kind=sett"]).is_err());
    }

    #[test]
    fn clearing_removes_a_field_or_one_entry_of_a_table() {
        let mut entry: Entry = toml::from_str("code = '1'\nskills = { a = 1.0, b = 1.0 }").unwrap();
        assign(Kind::Agent, &mut entry, &["code=".into(), "skills.a=".into(), "site=".into()]).unwrap();
        assert_eq!(entry, toml::from_str::<Entry>("skills = { b = 1.0 }").unwrap());
    }
}
