//! From a flow's text to a [`Flow`], or to every fault in it.

use toml::de::DeTable;

use super::flow::{Flow, Node, NodeId};
use super::read::{Fields, Reader, Value};
use super::template::is_attribute_name;
use super::{DISCOVERED, STEPS_MAX, TEXT_MAX, steps};
use crate::core::fault::{self, Fault, did_you_mean};

/// Reads a flow's text; `file` is the name that faults show. Reports every fault at once, in the order of the text. A
/// text that is not TOML is not looked at any further.
///
/// What the flow names outside of itself is not checked here: see [`Flow::references`].
pub fn check(text: &str, file: &str) -> Result<Flow, Vec<Fault>> {
    if text.len() > TEXT_MAX {
        let what = format!("the text has {} octets", text.len());
        return Err(vec![Fault::at(file, "", 0, what, format!("at most {TEXT_MAX}"))]);
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(file, text);
    for error in &errors {
        let (at, what, expected) = fault::syntax(error);
        reader.fault(at, what, expected);
    }
    let flow = if errors.is_empty() { read(&mut reader, document.get_ref(), file) } else { None };
    let mut faults = reader.faults;
    match flow {
        Some(flow) if faults.is_empty() => Ok(flow),
        _ => {
            faults.sort_by_key(|fault| (fault.line, fault.column));
            faults.dedup();
            Err(faults)
        }
    }
}

fn read<'d>(r: &mut Reader<'d>, document: &'d DeTable<'d>, file: &str) -> Option<Flow> {
    let mut top = Fields::new("the file".to_owned(), 0, document);
    let head = top.need(r, "flow", "a table `[flow]`");
    let steps = top.need(r, "step", "tables `[step.NAME]`");
    top.finish(r);
    let nodes = steps.map(|value| nodes(r, value)).unwrap_or_default();
    let head = head.and_then(|value| head_of(r, value));
    attributes(r, head.as_ref().map_or(&[], |head| head.expects.as_slice()));
    let head = head?;
    let start = head.start?;
    let places: Vec<usize> = nodes.iter().map(|(at, _)| *at).collect();
    let nodes: Vec<Node> = nodes.into_iter().map(|(_, node)| node).collect::<Option<_>>()?;
    if !r.links_broken {
        unreached(r, &nodes, [start].into_iter().chain(head.on_fax), &places);
    }
    let mut references = std::mem::take(&mut r.references);
    references.sort_by_key(|reference| (reference.line, reference.column));
    Some(Flow {
        name: head.name.unwrap_or_else(|| file.to_owned()),
        nodes,
        start,
        on_fax: head.on_fax,
        zone: head.zone,
        language: head.language,
        secrets: std::mem::take(&mut r.secrets),
        references,
    })
}

/// What stands in `[flow]`.
struct Head {
    name: Option<String>,
    start: Option<NodeId>,
    on_fax: Option<NodeId>,
    zone: Option<jiff::tz::TimeZone>,
    language: Option<String>,
    expects: Vec<String>,
}

fn head_of<'d>(r: &mut Reader<'d>, value: Value<'d>) -> Option<Head> {
    let table = r.table("flow", value, "a table `[flow]`")?;
    let mut f = Fields::new("the flow".to_owned(), value.span().start, table);
    let name = f.take("name").and_then(|value| r.string("name", value)).map(str::to_owned);
    let start = f.step(r, "start");
    let on_fax = f.optional_step(r, "on_fax");
    let zone = f.take("timezone").and_then(|value| steps::timezone(r, value));
    let language = f.take("language").and_then(|value| {
        let language = r.string("language", value)?;
        if !is_language(language) {
            r.fault(value.span().start, format!("{language:?} is not a language"), "e.g. \"en\" or \"pt-br\"");
        }
        Some(language.to_owned())
    });
    let mut expects = Vec::new();
    if let Some(items) = f.take("expects").and_then(|value| r.array("expects", value, "a list of attributes' names")) {
        for item in items {
            let Some(name) = r.string("expects", item) else { continue };
            if !is_attribute_name(name) {
                r.fault(item.span().start, format!("{name:?} does not name an attribute"), "lower-case letters");
            }
            expects.push(name.to_owned());
        }
    }
    f.finish(r);
    Some(Head { name, start, on_fax, zone, language, expects })
}

/// Whether `language` may be a prompt folder of built-in prompts.
pub(super) fn is_language(language: &str) -> bool {
    (2..=16).contains(&language.len())
        && language.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-')
}

/// Every step in the order of the text, with its place; `None` for one with faults.
fn nodes<'d>(r: &mut Reader<'d>, value: Value<'d>) -> Vec<(usize, Option<Node>)> {
    let Some(table) = r.table("step", value, "tables `[step.NAME]`") else { return Vec::new() };
    let mut steps: Vec<(usize, &'d str, Value<'d>)> =
        table.iter().map(|(name, value)| (name.span().start, name.get_ref().as_ref(), value)).collect();
    steps.sort_by_key(|(at, ..)| *at);
    for (id, (at, name, _)) in steps.iter().enumerate() {
        if !is_step_name(name) {
            r.fault(*at, format!("{name:?} does not name a step"), "1 to 64 letters, digits, `_` and `-`");
        }
        r.steps.insert(name, id);
    }
    if table.len() > STEPS_MAX {
        let what = format!("the flow has {} steps", table.len());
        r.fault(value.span().start, what, format!("at most {STEPS_MAX}"));
        r.links_broken = true;
        return Vec::new();
    }
    steps.into_iter().map(|(at, name, value)| (at, steps::step(r, name, at, value))).collect()
}

fn is_step_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"_-".contains(&octet))
}

/// Faults of attributes that nothing fills, and of secrets where they would show.
fn attributes(r: &mut Reader<'_>, expects: &[String]) {
    let filled = std::mem::take(&mut r.filled);
    let known = || {
        DISCOVERED.iter().copied().chain(filled.iter().map(String::as_str)).chain(expects.iter().map(String::as_str))
    };
    for used in std::mem::take(&mut r.uses) {
        if !known().any(|name| name == used.name) {
            let guess = did_you_mean(&used.name, known());
            let expected = match guess {
                Some(guess) => format!("{guess:?} (did you mean that?)"),
                None => "one that a step fills, or that `expects` of `[flow]` names".to_owned(),
            };
            r.fault(used.at, format!("nothing fills the attribute {:?}", used.name), expected);
        } else if !used.secret_allowed && r.secrets.contains(&used.name) {
            let expected = "secrets only in `branch`, and as `code` or `pin` of `agent`";
            r.fault(used.at, format!("the secret attribute {:?} would be shown", used.name), expected);
        }
    }
}

/// Faults of steps that no call comes to.
fn unreached(r: &mut Reader<'_>, nodes: &[Node], starts: impl Iterator<Item = NodeId>, places: &[usize]) {
    let mut reached = vec![false; nodes.len()];
    let mut open: Vec<NodeId> = starts.collect();
    while let Some(id) = open.pop() {
        if let (Some(seen), Some(node)) = (reached.get_mut(id), nodes.get(id))
            && !std::mem::replace(seen, true)
        {
            open.extend(node.action.exits().into_iter().map(|(_, to)| to));
        }
    }
    for ((node, reached), at) in nodes.iter().zip(reached).zip(places) {
        if !reached {
            r.fault(*at, format!("step {:?} is never reached", node.name), "a way to it, or its removal");
        }
    }
}

#[cfg(test)]
mod tests;
