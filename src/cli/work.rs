//! Work items: added, taken, completed, handed on, explained.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use clap::builder::PossibleValue;
use clap::{Args, Subcommand, ValueEnum};

use super::args::Scoped;
use super::cdr::{age_ms, reader, time};
use super::{CliError, Place, files, live, output, records};
use crate::base::{Medium, Redacted, Timestamp, WorkItemId};
use crate::core::contact::{Modifier, Origin, Work, WorkState};
use crate::core::control::{Command, Explanation, Query, Reply, WorkSpec, WorkView};
use crate::edge::console::works;

/// Ended items that a list shows unless told otherwise.
const ENDED_SHOWN: u64 = 100;

#[derive(Subcommand, Debug)]
pub(super) enum WorkCommand {
    /// Add an item of any medium; prints its id when it is safe
    Add(AddArgs),
    /// List items that have not ended, calls among them, or those that have
    List(ListArgs),
    /// Show the record of one
    Show {
        /// Its id
        id: WorkItemId,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Take the item that is offered to an agent
    Accept {
        /// Its id
        id: WorkItemId,
        /// The agent who takes it
        #[arg(long, value_name = "TENANT/NAME")]
        agent: Scoped,
    },
    /// Refuse the item that is offered to an agent, who is not ready afterwards
    Decline {
        /// Its id
        id: WorkItemId,
        /// The agent who refuses
        #[arg(long, value_name = "TENANT/NAME")]
        agent: Scoped,
    },
    /// Complete an item that an agent has
    Complete {
        /// Its id
        id: WorkItemId,
        /// What came of it: one of the tenant's dispositions
        #[arg(long, value_name = "WORD")]
        disposition: Option<String>,
        /// For the record
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Hand an item on to another queue, to one agent, or both
    Transfer {
        /// Its id
        id: WorkItemId,
        /// The queue
        #[arg(long, value_name = "NAME", required_unless_present = "agent")]
        queue: Option<String>,
        /// The agent for whom alone it is to be
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
        /// For whoever takes it
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Take an item back
    Cancel {
        /// Its id
        id: WorkItemId,
        /// Why, for the record
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
    /// Note what became known of an item
    Discover {
        /// Its id
        id: WorkItemId,
        /// The attribute and its value
        #[arg(value_name = "ATTRIBUTE=VALUE")]
        attribute: Pair,
        /// Where it comes from
        #[arg(long, value_enum, default_value_t = Origin::Operator)]
        origin: Origin,
    },
    /// Say why an item is where it is: each agent's score term by term, and why not
    Explain {
        /// Its id
        id: WorkItemId,
        /// For machines
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Debug)]
pub(super) struct AddArgs {
    /// Whose it is
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// voice, video, chat, email, voicemail or fax
    #[arg(long, required_unless_present = "callback")]
    medium: Option<Medium>,
    /// The queue
    #[arg(long, value_name = "NAME")]
    queue: String,
    /// The client: a number or an address
    #[arg(long, value_name = "TEXT")]
    client: Option<String>,
    /// What it is about
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// What is known of it; again for each attribute. Symbols of a set are written with commas
    #[arg(long = "attr", value_name = "ATTRIBUTE=VALUE")]
    attributes: Vec<Pair>,
    /// How an attribute counts; again for each: `{ attribute = "language", mode = "required" }`
    #[arg(long = "modifier", value_name = "TOML")]
    modifiers: Vec<String>,
    /// The number at which the client is to be called back; the medium is voice then
    #[arg(long, value_name = "NUMBER")]
    callback: Option<String>,
    /// When its time comes: `2026-01-31T08:00:00Z`, or from now `+90m`, `+24h`, `+7d`
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// For machines
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Of this tenant only
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Of this queue only
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// In this state only
    #[arg(long, value_enum)]
    state: Option<WorkState>,
    /// Offered to this agent or in the agent's hands only
    #[arg(long, value_name = "TENANT/NAME")]
    agent: Option<Scoped>,
    /// Of ended ones at most so many, the latest first
    #[arg(long, value_name = "N", default_value_t = ENDED_SHOWN)]
    limit: u64,
    /// For machines
    #[arg(long)]
    json: bool,
}

impl ValueEnum for WorkState {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

impl ValueEnum for Origin {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

/// `ATTRIBUTE=VALUE`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pair(String, String);

impl FromStr for Pair {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok(Self(name.into(), value.into())),
            _ => Err("expected ATTRIBUTE=VALUE"),
        }
    }
}

/// Runs a command on work items.
pub(super) fn run(place: &Place, command: WorkCommand) -> Result<(), CliError> {
    let order = match command {
        WorkCommand::Add(args) => return add(place, args),
        WorkCommand::List(args) => return list(place, &args),
        WorkCommand::Show { id, json } => return show(place, id, json),
        WorkCommand::Explain { id, json } => return explain(place, id, json),
        WorkCommand::Accept { id, agent } => Command::WorkAccept { tenant: agent.tenant, agent: agent.name, work: id },
        WorkCommand::Decline { id, agent } => {
            Command::WorkDecline { tenant: agent.tenant, agent: agent.name, work: id }
        }
        WorkCommand::Complete { id, disposition, note } => {
            Command::WorkComplete { work: id, disposition, note: note.map(Redacted::new) }
        }
        WorkCommand::Transfer { id, queue, agent, note } => {
            Command::WorkTransfer { work: id, queue, agent, note: note.map(Redacted::new) }
        }
        WorkCommand::Cancel { id, reason } => Command::WorkCancel { work: id, reason },
        WorkCommand::Discover { id, attribute: Pair(attribute, value), origin } => {
            Command::WorkDiscover { work: id, attribute, value, origin }
        }
    };
    live::order(place, &order)
}

fn add(place: &Place, args: AddArgs) -> Result<(), CliError> {
    let modifiers = args.modifiers.iter().map(|text| modifier(text)).collect::<Result<_, _>>()?;
    let due_at = args.at.as_deref().map(|text| due(text, live::now())).transpose()?;
    let item = Box::new(WorkSpec {
        tenant: args.tenant,
        medium: args.medium.unwrap_or(Medium::Voice),
        queue: args.queue,
        client: args.client.map(Redacted::new),
        subject: args.subject.map(Redacted::new),
        attributes: attributes(args.attributes)?,
        modifiers,
        callback: args.callback.map(Redacted::new),
        due_at,
    });
    match live::connect(place)?.command(&Command::WorkAdd { item })? {
        Reply::Added { work, warning } if args.json => {
            output::json(&serde_json::json!({ "work": work, "warning": warning }))
        }
        Reply::Added { work, warning } => {
            output::warn(warning.as_slice());
            output::line(&work.to_string())
        }
        other => live::unexpected(other),
    }
}

/// A modifier as an inline table, with or without its braces.
fn modifier(text: &str) -> Result<Modifier, CliError> {
    #[derive(serde::Deserialize)]
    struct Line {
        modifier: Modifier,
    }
    let text = text.trim();
    let table = if text.starts_with('{') { text.to_owned() } else { format!("{{ {text} }}") };
    let line: Result<Line, _> = toml::from_str(&format!("modifier = {table}"));
    line.map(|line| line.modifier).map_err(|error| CliError::Usage(format!("modifier `{text}`: {}", error.message())))
}

/// How long ago a time to come may be: it took as long to type.
const PAST_MS: i64 = 60_000;

/// A time to come, or one from now on.
fn due(text: &str, now: Timestamp) -> Result<Timestamp, CliError> {
    let wrong = || {
        let expected = "expected 2026-01-31T08:00:00Z, or from now `+90m`, `+24h`, `+7d`";
        CliError::Usage(format!("`{text}` is no time to come; {expected}"))
    };
    let at = match text.strip_prefix('+') {
        Some(ahead) => Timestamp(now.0.saturating_add(age_ms(ahead).ok_or_else(wrong)?)),
        None => time(text, now).map_err(|_| wrong())?,
    };
    if at.0 < now.0.saturating_sub(PAST_MS) { Err(wrong()) } else { Ok(at) }
}

/// What is known of an item, each attribute once.
fn attributes(pairs: Vec<Pair>) -> Result<BTreeMap<String, String>, CliError> {
    let mut attributes = BTreeMap::new();
    for Pair(name, value) in pairs {
        if let Some(before) = attributes.insert(name.clone(), value) {
            let what = format!("attribute `{name}` is there twice, as `{before}` at first");
            return Err(CliError::Usage(format!("{what}; symbols of a set are written with commas: `{name}=a,b`")));
        }
    }
    Ok(attributes)
}

fn list(place: &Place, args: &ListArgs) -> Result<(), CliError> {
    if args.state == Some(WorkState::Ended) {
        return list_ended(place, args);
    }
    let mut client = live::connect(place)?;
    let mut all: Vec<WorkView> = Vec::new();
    loop {
        let (queue, state, after) = (args.queue.clone(), args.state, all.last().map(|work| work.id));
        let agent = args.agent.as_ref().map(|Scoped { tenant, name }| format!("{tenant}/{name}"));
        let tenant = args.tenant.clone();
        match client.query(&Query::Works { tenant, queue, state, after, agent })? {
            Reply::Works { works, more } => {
                let more = more && !works.is_empty();
                all.extend(works);
                if !more {
                    break;
                }
            }
            other => return live::unexpected(other),
        }
    }
    if args.json { output::json(&all) } else { live::text(&works::works(&all)) }
}

fn list_ended(place: &Place, args: &ListArgs) -> Result<(), CliError> {
    let mut ended = Vec::new();
    let of_queue = |work: &Work| args.queue.as_ref().is_none_or(|queue| work.queue == *queue);
    records::ended_works(place, args.tenant.as_ref(), |work| {
        let has_room = (ended.len() as u64) < args.limit;
        if has_room && of_queue(&work) {
            ended.push(work);
        }
        has_room
    })?;
    if let (Place::Dir(dir), true) = (place, ended.is_empty()) {
        of_somebody(dir, args)?;
    }
    if args.json { output::json(&ended) } else { live::text(&works::ended(&ended, live::now())) }
}

/// That the tenant and queue asked for are there.
fn of_somebody(dir: &Path, args: &ListArgs) -> Result<(), CliError> {
    let Some(reader) = reader(dir)? else { return Ok(()) };
    let provision = reader.provision()?;
    let tenant = args.tenant.as_deref();
    CliError::unless_there("tenant", tenant, provision.tenant.iter().map(|tenant| tenant.name.as_str()))?;
    let own = provision.queue.iter().filter(|queue| tenant.is_none_or(|tenant| queue.tenant == tenant));
    CliError::unless_there("queue", args.queue.as_deref(), own.map(|queue| queue.name.as_str()))
}

/// What the running appliance says of an open item, else what the store has.
fn find<T>(
    place: &Place,
    id: WorkItemId,
    query: &Query,
    open: impl Fn(Reply) -> Option<T>,
    stored: impl Fn(Work) -> T,
) -> Result<T, CliError> {
    let mut client = match place {
        Place::Dir(_) => live::try_connect(place)?,
        Place::Socket(_) => Some(live::connect(place)?),
    };
    let refused = match &mut client {
        None => None,
        Some(client) => match client.query(query)? {
            Reply::Refused { reason } => Some(reason),
            other => return open(other).ok_or(CliError::Answer),
        },
    };
    match records::work(place, client, id)? {
        Some(work) => Ok(stored(work)),
        None => Err(CliError::Refused(refused.unwrap_or_else(|| format!("there is no record of work item {id}")))),
    }
}

fn show(place: &Place, id: WorkItemId, json: bool) -> Result<(), CliError> {
    let open = |reply| match reply {
        Reply::Work(work) => Some(*work),
        _ => None,
    };
    let work = find(place, id, &Query::Work { work: id }, open, |work| work)?;
    if json { output::json(&work) } else { live::text(&works::work(&work, live::now())) }
}

fn explain(place: &Place, id: WorkItemId, json: bool) -> Result<(), CliError> {
    let explanation = find(place, id, &Query::Explain { work: id }, explained, Explanation::of_record)?;
    print(&explanation, json)
}

fn explained(reply: Reply) -> Option<Explanation> {
    match reply {
        Reply::Explained(explanation) => Some(*explanation),
        _ => None,
    }
}

fn print(explanation: &Explanation, json: bool) -> Result<(), CliError> {
    if json { output::json(explanation) } else { live::text(&works::explanation(explanation, live::now())) }
}

/// Where a described item would go now.
pub(super) fn what_if(place: &Place, file: &Path, json: bool) -> Result<(), CliError> {
    let item =
        Box::new(describe(&files::read(file)?).map_err(|what| CliError::Usage(format!("{}: {what}", file.display())))?);
    match live::connect(place)?.query(&Query::WhatIf { item })? {
        Reply::Explained(explanation) if json => output::json(&works::would_be(&explanation)),
        Reply::Explained(explanation) => print(&explanation, false),
        other => live::unexpected(other),
    }
}

/// A description in TOML or JSON: the fields of an item, attributes by name as text, number or list.
fn describe(text: &str) -> Result<WorkSpec, String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        tenant: String,
        medium: Medium,
        queue: String,
        client: Option<String>,
        subject: Option<String>,
        #[serde(default)]
        attributes: BTreeMap<String, serde_json::Value>,
        #[serde(default)]
        modifiers: Vec<Modifier>,
    }
    let is_json = text.trim_start().starts_with('{');
    let file: File = if is_json {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        toml::from_str(text).map_err(|error| error.to_string())?
    };
    let value = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Array(list) => {
            let word = |v: serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            list.into_iter().map(word).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    };
    Ok(WorkSpec {
        tenant: file.tenant,
        medium: file.medium,
        queue: file.queue,
        client: file.client.map(Redacted::new),
        subject: file.subject.map(Redacted::new),
        attributes: file.attributes.into_iter().map(|(name, v)| (name, value(v))).collect(),
        modifiers: file.modifiers,
        callback: None,
        due_at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contact::Mode;

    #[test]
    fn a_modifier_is_an_inline_table() {
        let text = "{ attribute = \"language\", mode = \"required\", schedule = [{ after_s = 60, level = 0.2 }] }";
        let read = modifier(text).unwrap();
        assert_eq!((read.attribute.as_str(), read.mode, read.schedule.len()), ("language", Mode::Required, 1));
        assert_eq!(modifier("attribute = 'x', mode = 'preferred'").unwrap().mode, Mode::Preferred);
        for bad in
            ["", "{", "attribute = 'x'", "attribute = 'x', mode = 'maybe'", "attribute = 'x', mode = 'required'\nz = 1"]
        {
            assert!(matches!(modifier(bad), Err(CliError::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn a_time_to_come_is_absolute_or_from_now() {
        let now = Timestamp(1_000_000_000_000);
        assert_eq!(due("+90m", now).unwrap(), Timestamp(now.0 + 5_400_000));
        assert_eq!(due("2033-01-01T00:00:00Z", now).unwrap(), Timestamp(1_988_150_400_000));
        for bad in ["+soon", "+2020-01-01", "+2033-01-01T00:00:00Z", "+", "+-1h", "5m", "2001-01-01T00:00:00Z"] {
            assert!(due(bad, now).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_description_is_toml_or_json_and_knows_its_fields() {
        let toml = "tenant = 'acme'\nmedium = 'email'\nqueue = 'help'\n[attributes]\nlanguage = 'es'\nvip = 0.5\ntopics = ['a', 'b']";
        let json = r#"{"tenant":"acme","medium":"email","queue":"help","attributes":{"language":"es","vip":0.5,"topics":["a","b"]}}"#;
        let read = describe(toml).unwrap();
        assert_eq!(describe(json).unwrap(), read);
        let values: Vec<_> = read.attributes.values().map(String::as_str).collect();
        assert_eq!(values, ["es", "a,b", "0.5"]);
        assert!(
            describe("tenant = 'acme'\nmedium = 'email'\nqueue = 'help'\ncolour = 'red'")
                .unwrap_err()
                .contains("colour")
        );
        assert!(describe("tenant = 'acme'\nmedium = 'pigeon'\nqueue = 'help'").unwrap_err().contains("pigeon"));
    }
}
