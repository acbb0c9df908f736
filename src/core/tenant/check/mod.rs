//! Whether a provisioning makes sense: references, duplicates, ranges, forms. Every problem, not only the first.

mod appliance;
mod circles;
mod contracts;
mod nodes;
mod routing;
mod sites;
mod tenants;
mod users;

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::core::fault::{Fault, did_you_mean};
use crate::core::ivr::{self, ReferenceKind};
use crate::core::tenant::Directory;
use crate::core::tenant::access;
use crate::core::tenant::address;
use crate::core::tenant::diff::{Entry, full_name};
use crate::core::tenant::provision::{Attribute, Provision, Site};

/// Most warnings told one by one.
pub const WARNINGS_MAX: usize = 100;

/// Beyond so many problems no guesses are made at what was meant.
const GUESSES_MAX: usize = 100;

/// What is wrong with a provisioning that came as data. It has no lines: `file` names the entry (`agent acme/ana`), `line`
/// and `column` are 0, but for faults inside a flow's text, where they are the text's. Empty when all is well.
pub fn check(provision: &Provision) -> Vec<Fault> {
    let mut faults: Vec<Fault> = problems(provision)
        .into_iter()
        .map(|problem| {
            let (line, column) = problem.inner.unwrap_or((0, 0));
            Fault { file: problem.entry, line, column, what: problem.what, expected: problem.expected }
        })
        .collect();
    for flow in provision.flow.iter().filter(|flow| flow.text.is_empty() && flow.file.is_some()) {
        let file = format!("flow {}", full_name(flow.key()));
        faults.push(Fault {
            file,
            line: 0,
            column: 0,
            what: "its file was not read".into(),
            expected: "`text`".into(),
        });
    }
    faults
}

/// Something wrong, with the path of the value: `agent[3].skills.sales`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Problem {
    /// The entry as people name it: `agent acme/ana`.
    pub(super) entry: String,
    pub(super) path: String,
    /// Index of the flow that the problem lies in.
    pub(super) flow: Option<usize>,
    /// Line and column in the flow's text.
    pub(super) inner: Option<(u32, u32)>,
    pub(super) what: String,
    pub(super) expected: String,
}

/// All problems, in the order of the kinds.
pub(super) fn problems(provision: &Provision) -> Vec<Problem> {
    let mut checker =
        Checker { names: Names::new(provision), agent_names: None, provision, problems: Vec::new(), at: At::default() };
    checker.appliance();
    checker.tenants();
    checker.problems
}

/// The names that references may use.
struct Names<'p> {
    tenants: HashSet<&'p str>,
    sites: HashMap<&'p str, &'p Site>,
    numbers: HashSet<&'p str>,
    /// Prefixes of dialled numbers that lead out.
    prefixes: HashSet<&'p str>,
    cards: HashMap<&'p str, u8>,
    trunks: HashMap<&'p str, &'p str>,
    skills: HashSet<(&'p str, &'p str)>,
    attributes: HashMap<(&'p str, &'p str), &'p Attribute>,
    queues: HashSet<(&'p str, &'p str)>,
    flows: HashSet<(&'p str, &'p str)>,
}

impl<'p> Names<'p> {
    fn new(provision: &'p Provision) -> Self {
        Self {
            tenants: provision.tenant.iter().map(|tenant| tenant.name.as_str()).collect(),
            sites: provision.site.iter().map(|site| (site.name.as_str(), site)).collect(),
            numbers: provision.number.iter().map(|number| number.number.as_str()).collect(),
            prefixes: provision.trunk.iter().flat_map(|trunk| &trunk.prefix).map(String::as_str).collect(),
            cards: provision.card.iter().map(|card| (card.name.as_str(), card.spans)).collect(),
            trunks: provision.trunk.iter().map(|trunk| (trunk.name.as_str(), trunk.kind.as_str())).collect(),
            skills: provision.skill.iter().map(|skill| (skill.tenant.as_str(), skill.name.as_str())).collect(),
            attributes: provision
                .attribute
                .iter()
                .map(|attribute| ((attribute.tenant.as_str(), attribute.name.as_str()), attribute))
                .collect(),
            queues: provision.queue.iter().map(|queue| (queue.tenant.as_str(), queue.name.as_str())).collect(),
            flows: provision.flow.iter().map(|flow| (flow.tenant.as_str(), flow.name.as_str())).collect(),
        }
    }
}

/// The entry that is being checked.
#[derive(Default)]
struct At {
    entry: String,
    path: String,
    flow: Option<usize>,
}

struct Checker<'p> {
    provision: &'p Provision,
    names: Names<'p>,
    /// Names of agents by tenant, once somebody asks.
    agent_names: Option<HashMap<&'p str, HashSet<String>>>,
    problems: Vec<Problem>,
    at: At,
}

impl<'p> Checker<'p> {
    fn enter<E: Entry>(&mut self, index: usize, entry: &E) {
        let name = full_name(entry.key());
        self.at = At { entry: format!("{} {name}", E::KIND), path: format!("{}[{index}]", E::KIND), flow: None };
    }

    fn enter_single(&mut self, name: &str) {
        self.at = At { entry: name.into(), path: name.into(), flow: None };
    }

    fn problem(&mut self, field: &str, what: impl Into<String>, expected: impl Into<String>) {
        let At { entry, path, flow } = &self.at;
        let path = if field.is_empty() { path.clone() } else { format!("{path}.{field}") };
        let (what, expected) = (what.into(), expected.into());
        self.problems.push(Problem { entry: entry.clone(), path, flow: *flow, inner: None, what, expected });
    }

    fn in_range<T: PartialOrd + Display>(&mut self, field: &str, value: T, range: RangeInclusive<T>) {
        if !range.contains(&value) {
            self.problem(field, format!("`{field}` is {value}"), format!("{} to {}", range.start(), range.end()));
        }
    }

    /// 0 for never, or a time in range.
    fn never_or_in_range(&mut self, field: &str, value: u32, range: RangeInclusive<u32>) {
        if value != 0 && !range.contains(&value) {
            let expected = format!("0 for never, or {} to {}", range.start(), range.end());
            self.problem(field, format!("`{field}` is {value}"), expected);
        }
    }

    fn one_of(&mut self, field: &str, value: &str, words: &[&str]) {
        if !words.contains(&value) {
            let expected = self.guess(value, words.iter().copied(), words.join(" or "));
            self.problem(field, format!("`{field}` is {value:?}"), expected);
        }
    }

    fn name(&mut self, field: &str, name: &str) {
        if !address::is_name(name) {
            let expected = format!("1 to {} lower-case letters, digits, -, _ and .", address::NAME_LENGTH_MAX);
            self.problem(field, format!("`{field}` is {name:?}"), expected);
        }
    }

    /// Reports a second entry of one name.
    fn unique<K: Eq + std::hash::Hash>(&mut self, seen: &mut HashSet<K>, field: &str, key: K, shown: &str) {
        if !seen.insert(key) {
            self.problem(field, format!("{shown:?} is there twice"), "a name of its own");
        }
    }

    fn timezone(&mut self, name: &str) {
        if jiff::tz::TimeZone::get(name).is_err() {
            self.problem("timezone", format!("there is no time zone {name:?}"), "an IANA time zone, as Europe/Berlin");
        }
    }

    fn country(&mut self, name: &str) {
        if !address::is_country(name) {
            let expected = "an ISO 3166 code in lower case, as us";
            self.problem("country", format!("there is no country {name:?}"), expected);
        }
    }

    /// A reference to something of the appliance.
    fn refers<'k>(&mut self, field: &str, kind: &str, name: &str, known: impl IntoIterator<Item = &'k str>) {
        let otherwise = format!("the name of {}", with_article(kind));
        let expected = self.guess(name, known, otherwise);
        self.problem(field, format!("{kind} {name:?} is not there"), expected);
    }

    fn tenant_exists(&mut self, tenant: &str) {
        if !self.names.tenants.contains(tenant) {
            let known: Vec<&str> = self.provision.tenant.iter().map(|tenant| tenant.name.as_str()).collect();
            self.refers("tenant", "tenant", tenant, known);
        }
    }

    /// A reference to something of the same tenant, `known` by tenant and name.
    fn refers_within<'k>(
        &mut self,
        field: &str,
        kind: &str,
        (tenant, name): (&str, &str),
        known: impl IntoIterator<Item = (&'k str, &'k str)>,
    ) {
        let known = known.into_iter().filter(|(owner, _)| *owner == tenant).map(|(_, name)| name);
        let expected = self.guess(name, known, format!("the name of {} of the tenant", with_article(kind)));
        self.problem(field, format!("{kind} {name:?} is not there in tenant {tenant:?}"), expected);
    }

    fn guess<'k>(&self, name: &str, known: impl IntoIterator<Item = &'k str>, otherwise: String) -> String {
        let guess = if self.problems.len() < GUESSES_MAX { did_you_mean(name, known) } else { None };
        guess.map_or(otherwise, |guess| format!("{guess:?} (did you mean that?)"))
    }
}

fn with_article(kind: &str) -> String {
    format!("{} {kind}", if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" })
}

/// What a provisioning may say and hardly means, each in a line for people: queues that no agent of their tenant could ever
/// serve. At most [`WARNINGS_MAX`], then a last one says how many more there are.
pub fn warnings(provision: &Provision) -> Vec<String> {
    let directory = Directory::new(provision, None);
    let queues = directory.unservable_queues();
    let told = queues.iter().take(WARNINGS_MAX).filter_map(|id| {
        let queue = directory.queue(*id)?;
        let tenant = &directory.tenant(queue.tenant)?.name;
        Some(format!("queue {tenant}/{}: no agent of the tenant could ever serve it", queue.name))
    });
    let left_out = queues.len().saturating_sub(WARNINGS_MAX);
    let more = (left_out > 0).then(|| format!("{left_out} more queues that no agent could ever serve"));
    let few = |told: &mut dyn Iterator<Item = String>| told.take(WARNINGS_MAX).collect::<Vec<_>>();
    told.chain(more).chain(few(&mut unasked(provision))).chain(few(&mut foreign_prompts(provision))).collect()
}

/// Prompts in the folder of another tenant, where they are missing. No fault: who provisions one tenant must not learn by one
/// that there is another.
fn foreign_prompts(provision: &Provision) -> impl Iterator<Item = String> {
    let tenants: HashSet<&str> = provision.tenant.iter().map(|tenant| tenant.name.as_str()).collect();
    let music = provision.queue.iter().filter_map(|queue| {
        let prompt = queue.music.clone()?;
        Some((format!("queue {}/{}", queue.tenant, queue.name), queue.tenant.as_str(), prompt))
    });
    let flows = provision.flow.iter().flat_map(|flow| {
        let references = ivr::check(&flow.text, "").map(|checked| checked.references().to_vec()).unwrap_or_default();
        let prompts = references.into_iter().filter(|reference| reference.kind == ReferenceKind::Prompt);
        prompts.map(|prompt| (format!("flow {}/{}", flow.tenant, flow.name), flow.tenant.as_str(), prompt.name))
    });
    let named: Vec<_> = music.chain(flows).collect();
    named.into_iter().filter_map(move |(entry, own, prompt)| {
        let owner = access::foreign_prompt(own, &prompt, |folder| tenants.contains(folder))?;
        Some(format!(
            "{entry}: prompt {prompt} is in the folder of tenant {owner}, as its name says, and nobody else hears it; what is for all \
             goes in a folder that is named as no tenant"
        ))
    })
}

/// Ways to sites of which nobody would know that they are dead until a call fails there.
fn unasked(provision: &Provision) -> impl Iterator<Item = String> {
    let sites = provision.site.iter().flat_map(|site| site.trunks.iter().map(move |trunk| (site, trunk)));
    sites.filter_map(|(site, name)| {
        let trunk = provision.trunk.iter().find(|trunk| trunk.name == *name)?;
        let unasked = trunk.kind == "sip" && trunk.peer.iter().any(|peer| peer.options_s == 0);
        unasked.then(|| {
            format!(
                "site {}: that trunk {name} is dead shows only when a call fails; set `options_s` of its peers",
                site.name
            )
        })
    })
}

#[cfg(test)]
mod tests;
