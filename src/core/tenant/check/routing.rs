//! Attributes, modifiers, slots, targets, escalation: what decides who gets which contact.

use std::collections::{HashMap, HashSet};

use super::Checker;
use super::tenants::DAY_S;
use crate::base::Medium;
use crate::core::contact::attribute::{AGENT_ATTRIBUTE, ATTRIBUTES_MAX, SYMBOLS_MAX};
use crate::core::contact::modifier::{CREDIT_S_MAX, IMPORTANCE_MAX, MODIFIERS_MAX};
use crate::core::contact::{Kind, Modifier, ScheduleError, Slots, Value, Weights};
use crate::core::tenant::expand::{self, AGENTS_MAX};
use crate::core::tenant::provision::{Agent, AgentModifier, Attribute, Queue, Tenant, Unservable};

/// Most symbols that an attribute lists.
const VALUES_MAX: usize = 1_000;
/// Most dispositions, and most reasons, of a tenant.
const WORDS_MAX: usize = 1_000;
/// Most characters of one.
const WORD_CHARS_MAX: usize = 64;
/// Thirty days in seconds: what is no live contact may be left for longer than a day.
const MONTH_S: u32 = 30 * DAY_S;
/// Most days that a client's last agent is remembered for.
const FADE_DAYS_MAX: u32 = 3_650;
/// Most tries of one call-back.
const TRIES_MAX: u32 = 10;

impl<'p> Checker<'p> {
    pub(super) fn routing(&mut self, tenant: &Tenant) {
        for ((name, least, most), value) in Weights::BOUNDS.into_iter().zip(tenant.routing.weights.values()) {
            if !(least..=most).contains(&value) {
                let expected = format!("{least} to {most}");
                self.problem(&format!("routing.weights.{name}"), format!("`{name}` is {value}"), expected);
            }
        }
        self.words("dispositions", &tenant.dispositions);
        self.words("not_ready_reasons", &tenant.not_ready_reasons);
    }

    fn words(&mut self, field: &str, words: &[String]) {
        if words.len() > WORDS_MAX {
            self.problem(field, format!("{} words", words.len()), format!("at most {WORDS_MAX}"));
            return;
        }
        let mut seen = HashSet::new();
        for (index, word) in words.iter().enumerate() {
            let field = format!("{field}[{index}]");
            let bare = !word.is_empty() && word.trim() == word && !word.chars().any(char::is_control);
            if !bare || word.chars().count() > WORD_CHARS_MAX {
                let expected = format!("1 to {WORD_CHARS_MAX} characters without space around them");
                self.problem(&field, format!("a word is {word:?}"), expected);
            }
            self.unique(&mut seen, &field, word.as_str(), word);
        }
    }

    /// The name of a skill or attribute: both share one space.
    pub(super) fn attribute_name(&mut self, seen: &mut HashSet<(&'p str, &'p str)>, tenant: &'p str, name: &'p str) {
        self.name("name", name);
        if name == AGENT_ATTRIBUTE {
            let what = format!("`{AGENT_ATTRIBUTE}` is an attribute that each tenant has");
            self.problem("name", what, "another name");
        }
        self.unique(seen, "name", (tenant, name), name);
    }

    pub(super) fn attribute(&mut self, attribute: &Attribute) {
        if attribute.values.len() > VALUES_MAX {
            self.problem("values", format!("{} values", attribute.values.len()), format!("at most {VALUES_MAX}"));
            return;
        }
        if attribute.kind == Kind::Level && !attribute.values.is_empty() {
            self.problem("values", "a level has no list of values", "no `values`, or another `kind`");
        }
        let mut seen = HashSet::new();
        for (index, symbol) in attribute.values.iter().enumerate() {
            let field = format!("values[{index}]");
            self.is_symbol(&field, symbol);
            self.unique(&mut seen, &field, symbol.as_str(), symbol);
        }
    }

    fn is_symbol(&mut self, field: &str, symbol: &str) {
        match Value::parse(Kind::Symbol, symbol) {
            Err(error) => self.problem(field, format!("a value is {symbol:?}"), error.to_string()),
            Ok(read) if read != Value::Symbol(symbol.into()) => {
                self.problem(field, format!("a value is {symbol:?}"), "no space around it");
            }
            Ok(_) => {}
        }
    }

    pub(super) fn skill_exists(&mut self, field: &str, tenant: &str, skill: &str) {
        if !self.names.skills.contains(&(tenant, skill)) {
            let known = self.provision.skill.iter().map(|skill| (skill.tenant.as_str(), skill.name.as_str()));
            self.refers_within(field, "skill", (tenant, skill), known);
        }
    }

    /// The kind of a skill or attribute of the tenant; a problem where there is none.
    fn kind_of(&mut self, field: &str, tenant: &str, name: &str) -> Option<Kind> {
        if name == AGENT_ATTRIBUTE {
            return Some(Kind::Symbol);
        }
        if self.names.skills.contains(&(tenant, name)) {
            return Some(Kind::Level);
        }
        if let Some(attribute) = self.names.attributes.get(&(tenant, name)) {
            return Some(attribute.kind);
        }
        let provision = self.provision;
        let skills = provision.skill.iter().map(|skill| (skill.tenant.as_str(), skill.name.as_str()));
        let attributes = provision.attribute.iter().map(|own| (own.tenant.as_str(), own.name.as_str()));
        self.refers_within(field, "attribute", (tenant, name), skills.chain(attributes));
        None
    }

    pub(super) fn agent_exists(&mut self, tenant: &str, name: &str) -> bool {
        let provision = self.provision;
        let names = self.agent_names.get_or_insert_with(|| {
            let mut names: HashMap<&str, HashSet<String>> = HashMap::new();
            let pairs =
                provision.agent.iter().flat_map(|entry| expand::agents(entry).map(move |one| (entry, one.name)));
            for (entry, name) in pairs.take(AGENTS_MAX) {
                names.entry(&entry.tenant).or_default().insert(name);
            }
            names
        });
        names.get(tenant).is_some_and(|names| names.contains(name))
    }

    /// Whether the attribute may have this symbol.
    fn has_symbol(&mut self, field: &str, (tenant, name): (&str, &str), symbol: &str) {
        if name == AGENT_ATTRIBUTE {
            if !self.agent_exists(tenant, symbol) {
                let what = format!("agent {symbol:?} is not there in tenant {tenant:?}");
                self.problem(field, what, "the name of an agent of the tenant");
            }
            return;
        }
        self.is_symbol(field, symbol);
        if let Some(attribute) = self.names.attributes.get(&(tenant, name))
            && !attribute.values.is_empty()
            && !attribute.values.iter().any(|known| known == symbol)
        {
            let expected = self.guess(
                symbol,
                attribute.values.iter().map(String::as_str),
                format!("one of the `values` of attribute {name:?}"),
            );
            self.problem(field, format!("attribute {name:?} has no value {symbol:?}"), expected);
        }
    }

    /// An attribute with a symbol, or a level without one; `own` allows a symbol to be left to the contact.
    fn refers_to_attribute(&mut self, field: &str, tenant: &str, name: &str, value: Option<&str>, own: bool) {
        let Some(kind) = self.kind_of(&format!("{field}.attribute"), tenant, name) else { return };
        let field = format!("{field}.value");
        match (kind, value) {
            (Kind::Level, Some(_)) => {
                self.problem(&field, format!("{name:?} is a level"), "no `value`");
            }
            (Kind::Level, None) => {}
            (_, Some(symbol)) => self.has_symbol(&field, (tenant, name), symbol),
            (_, None) if own => {}
            (_, None) => self.problem(&field, format!("no `value` of {name:?} is named"), "`value`"),
        }
    }

    fn at_most<T>(&mut self, field: &str, items: &[T], most: usize) -> bool {
        if items.len() > most {
            self.problem(field, format!("{} of them", items.len()), format!("at most {most}"));
        }
        items.len() <= most
    }

    pub(super) fn agent_routing(&mut self, agent: &Agent) {
        for (skill, cost) in &agent.backup {
            let field = format!("backup.{skill}");
            self.skill_exists(&field, &agent.tenant, skill);
            self.weighs(&field, "cost", *cost);
        }
        if agent.attributes.len() > ATTRIBUTES_MAX {
            self.problem(
                "attributes",
                format!("{} attributes", agent.attributes.len()),
                format!("at most {ATTRIBUTES_MAX}"),
            );
        } else {
            for (name, value) in &agent.attributes {
                self.agent_attribute(agent, name, value);
            }
        }
        if self.at_most("modifier", &agent.modifier, MODIFIERS_MAX) {
            for (index, modifier) in agent.modifier.iter().enumerate() {
                let AgentModifier { attribute, value, importance, cost, .. } = modifier;
                let field = format!("modifier[{index}]");
                self.refers_to_attribute(&field, &agent.tenant, attribute, value.as_deref(), false);
                self.weighs(&format!("{field}.importance"), "importance", *importance);
                self.weighs(&format!("{field}.cost"), "cost", *cost);
            }
        }
        for (medium, slots) in &agent.slots {
            let most = Slots::NONE.with(*medium, u8::MAX).of(*medium);
            self.in_range(&format!("slots.{medium}"), *slots, 0..=most);
        }
    }

    fn agent_attribute(&mut self, agent: &Agent, name: &str, value: &Value) {
        let field = format!("attributes.{name}");
        if name == AGENT_ATTRIBUTE {
            let what = format!("`{AGENT_ATTRIBUTE}` is an attribute that each agent has");
            self.problem(&field, what, "nothing: the symbol is the agent's name");
            return;
        }
        let Some(kind) = self.kind_of(&field, &agent.tenant, name) else { return };
        match (kind, value) {
            (Kind::Level, Value::Level(_)) if self.names.skills.contains(&(&agent.tenant, name)) => {
                self.problem(&field, format!("{name:?} is a skill"), "a place in `skills`");
            }
            (Kind::Level, Value::Level(_)) => {}
            (Kind::Level, _) => self.problem(&field, format!("`{name}` is {value}"), "a level of 0 to 1"),
            (_, Value::Level(level)) => {
                self.problem(&field, format!("`{name}` is {level}"), "a word, or several in [ ]")
            }
            _ => {
                let symbols: Vec<&str> = value.symbols().collect();
                if symbols.is_empty() {
                    self.problem(&field, format!("`{name}` is empty"), "a word, or several in [ ]");
                }
                if self.at_most(&field, &symbols, SYMBOLS_MAX) {
                    symbols.iter().for_each(|symbol| self.has_symbol(&field, (&agent.tenant, name), symbol));
                }
            }
        }
    }

    fn weighs(&mut self, field: &str, name: &str, value: u8) {
        if value > IMPORTANCE_MAX {
            self.problem(field, format!("`{name}` is {value}"), format!("0 to {IMPORTANCE_MAX}"));
        }
    }

    pub(super) fn queue_routing(&mut self, queue: &Queue) {
        if self.at_most("modifier", &queue.modifier, MODIFIERS_MAX) {
            for (index, modifier) in queue.modifier.iter().enumerate() {
                self.modifier(&format!("modifier[{index}]"), &queue.tenant, modifier);
            }
        }
        if !(queue.importance > 0.0 && queue.importance <= 100.0) {
            self.problem("importance", format!("`importance` is {}", queue.importance), "over 0, up to 100");
        }
        if let Some(sticky) = queue.sticky {
            self.in_range("sticky.importance", sticky.importance, 1..=IMPORTANCE_MAX);
            self.in_range("sticky.fade_days", sticky.fade_days, 1..=FADE_DAYS_MAX);
        }
        for medium in Medium::ALL {
            if let Some(target_s) = queue.targets_s.get(&medium) {
                let most = if medium.is_live() { DAY_S } else { MONTH_S };
                self.in_range(&format!("targets_s.{medium}"), *target_s, 1..=most);
            }
        }
        self.escalation(queue);
        self.in_range("callback_tries", queue.callback_tries, 1..=TRIES_MAX);
        self.in_range("callback_every_s", queue.callback_every_s, 10..=DAY_S);
    }

    fn modifier(&mut self, field: &str, tenant: &str, modifier: &Modifier) {
        self.refers_to_attribute(field, tenant, &modifier.attribute, modifier.value.as_deref(), true);
        if let Err(error) = modifier.schedule() {
            let (inner, expected) = match error {
                ScheduleError::Importance => ("", "less"),
                ScheduleError::Order => (".schedule", "steps in order, none at 0 beside `level` or `importance`"),
                ScheduleError::Long => (".schedule", "fewer steps"),
            };
            self.problem(&format!("{field}{inner}"), error.to_string(), expected);
        }
        self.in_range(&format!("{field}.credit_s"), modifier.credit_s, 0..=CREDIT_S_MAX);
    }

    fn escalation(&mut self, queue: &Queue) {
        self.in_range("escalate_after_s", queue.escalate_after_s, 0..=MONTH_S);
        let Some(to) = &queue.escalate_to else {
            if queue.escalate_after_s > 0 {
                self.problem("escalate_after_s", "`escalate_after_s` without a queue", "`escalate_to`");
            }
            if queue.unservable == Some(Unservable::Escalate) {
                self.problem("unservable", "`unservable` is \"escalate\" without a queue", "`escalate_to`");
            }
            return;
        };
        if *to == queue.name {
            self.problem("escalate_to", "the queue escalates to itself", "another queue of the tenant");
        } else if !self.names.queues.contains(&(&queue.tenant, to)) {
            let known = self.provision.queue.iter().map(|queue| (queue.tenant.as_str(), queue.name.as_str()));
            self.refers_within("escalate_to", "queue", (&queue.tenant, to), known);
        }
    }
}
