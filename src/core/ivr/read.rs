//! Typed reading of a TOML table with a fault for whatever does not fit.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::flow::{NodeId, Reference, ReferenceKind};
use super::template::{Template, TemplateError};
use crate::core::fault::{Fault, Lines, did_you_mean};

/// Beyond so many faults no guesses are made at what was meant: they cost more than they help.
const GUESSES_MAX: usize = 100;

/// A value with its place.
pub(super) type Value<'d> = &'d Spanned<DeValue<'d>>;

/// An attribute named in the text, to be looked up when all of them are known.
pub(super) struct Use {
    pub(super) name: String,
    pub(super) at: usize,
    /// Whether a secret may stand here.
    pub(super) secret_allowed: bool,
}

/// What is known and found while a flow's text is read.
pub(super) struct Reader<'d> {
    file: &'d str,
    lines: Lines<'d>,
    pub(super) faults: Vec<Fault>,
    pub(super) steps: BTreeMap<&'d str, NodeId>,
    pub(super) references: Vec<Reference>,
    pub(super) uses: Vec<Use>,
    /// Attributes that a step fills.
    pub(super) filled: BTreeSet<String>,
    pub(super) secrets: BTreeSet<String>,
    /// Whether a way from one step to another could not be read, so that "never reached" would mislead.
    pub(super) links_broken: bool,
}

impl<'d> Reader<'d> {
    pub(super) fn new(file: &'d str, text: &'d str) -> Self {
        Self {
            file,
            lines: Lines::new(text),
            faults: Vec::new(),
            steps: BTreeMap::new(),
            references: Vec::new(),
            uses: Vec::new(),
            filled: BTreeSet::new(),
            secrets: BTreeSet::new(),
            links_broken: false,
        }
    }

    pub(super) fn fault(&mut self, at: usize, what: impl Into<String>, expected: impl Into<String>) {
        let (line, column) = self.lines.position(at);
        let file = self.file.to_owned();
        self.faults.push(Fault { file, line, column, what: what.into(), expected: expected.into() });
    }

    /// A fault over a name that is not one of `known`: guesses what was meant, or says `otherwise`.
    pub(super) fn unknown<'k>(
        &mut self,
        at: usize,
        what: String,
        name: &str,
        known: impl IntoIterator<Item = &'k str>,
        otherwise: impl Into<String>,
    ) {
        let guess = if self.faults.len() < GUESSES_MAX { did_you_mean(name, known) } else { None };
        let expected = guess.map_or_else(|| otherwise.into(), |guess| format!("{guess:?} (did you mean that?)"));
        self.fault(at, what, expected);
    }

    pub(super) fn refer(&mut self, kind: ReferenceKind, name: &str, at: usize) {
        let (line, column) = self.lines.position(at);
        self.references.push(Reference { kind, name: name.to_owned(), line, column });
    }

    fn wrong_type(&mut self, key: &str, value: Value<'d>, expected: &str) {
        let is = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.fault(value.span().start, format!("`{key}` is {is}"), expected);
    }

    /// The text of a value that must be a string.
    pub(super) fn string(&mut self, key: &str, value: Value<'d>) -> Option<&'d str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(key, value, "a string");
        }
        text
    }

    pub(super) fn array(&mut self, key: &str, value: Value<'d>, expected: &str) -> Option<&'d [Spanned<DeValue<'d>>]> {
        match value.get_ref() {
            DeValue::Array(items) => Some(items),
            _ => {
                self.wrong_type(key, value, expected);
                None
            }
        }
    }

    pub(super) fn table(&mut self, key: &str, value: Value<'d>, expected: &str) -> Option<&'d DeTable<'d>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                self.wrong_type(key, value, expected);
                None
            }
        }
    }

    /// A text with attributes in it; notes which.
    pub(super) fn template(&mut self, key: &str, value: Value<'d>, secret_allowed: bool) -> Option<Template> {
        let text = self.string(key, value)?;
        let at = value.span().start;
        match Template::parse(text) {
            Ok(template) => {
                let uses = template.attributes().map(|name| Use { name: name.to_owned(), at, secret_allowed });
                self.uses.extend(uses);
                Some(template)
            }
            Err(error) => {
                let expected = match error {
                    TemplateError::TooLong => "a shorter text",
                    _ => "`{attribute}`, or `{{` and `}}` for the braces themselves",
                };
                self.fault(at, format!("`{key}`: {error}"), expected);
                None
            }
        }
    }

    /// A name that must be that of a step.
    pub(super) fn step(&mut self, key: &str, value: Value<'d>) -> Option<NodeId> {
        let found = self.string(key, value).and_then(|name| {
            let found = self.steps.get(name).copied();
            if found.is_none() {
                let known: Vec<&str> = self.steps.keys().copied().collect();
                let what = format!("`{key}` leads to step {name:?}, which is not there");
                self.unknown(value.span().start, what, name, known, "the name of a step");
            }
            found
        });
        self.links_broken |= found.is_none();
        found
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, value: Value<'d>, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.string(key, value)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let what = format!("`{key}` is {text:?}");
            self.unknown(value.span().start, what, text, words.iter().map(|w| w.0), one_of(words.iter().map(|w| w.0)));
        }
        found
    }

    /// A whole number within a range.
    pub(super) fn integer(&mut self, key: &str, value: Value<'d>, range: &RangeInclusive<u32>) -> Option<u32> {
        let expected = format!("an integer of {} to {}", range.start(), range.end());
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(key, value, &expected);
            return None;
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|n| range.contains(n));
        if number.is_none() {
            self.fault(value.span().start, format!("`{key}` is {integer}"), expected);
        }
        number
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str, value: Value<'d>) -> Option<bool> {
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong_type(key, value, "`true` or `false`");
        }
        boolean
    }

    /// Any finite number.
    pub(super) fn number(&mut self, key: &str, value: Value<'d>) -> Option<f64> {
        let number = match value.get_ref() {
            DeValue::Integer(n) => i32::from_str_radix(n.as_str(), n.radix()).ok().map(f64::from),
            DeValue::Float(n) => n.as_str().parse().ok().filter(|n: &f64| n.is_finite()),
            _ => {
                self.wrong_type(key, value, "a number");
                return None;
            }
        };
        if number.is_none() {
            self.fault(value.span().start, format!("`{key}` is too great"), "a number of 32 bits");
        }
        number
    }
}

/// `"a", "b" or "c"`.
pub(super) fn one_of<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("{word:?}")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// The keys of a table, taken one by one; what is left in the end is a fault each.
pub(super) struct Fields<'d> {
    /// What the table is, for faults: `step "menu"`.
    what: String,
    at: usize,
    left: BTreeMap<&'d str, (usize, Value<'d>)>,
    asked: Vec<&'static str>,
}

impl<'d> Fields<'d> {
    /// The keys of `table`, which is `what` and stands at the octet `at`.
    pub(super) fn new(what: String, at: usize, table: &'d DeTable<'d>) -> Self {
        let left = table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), (key.span().start, value)))
            .collect::<BTreeMap<_, _>>();
        Self { what, at, left, asked: Vec::new() }
    }

    /// What the table is, for faults.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// Where the table stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The value of a key that may be missing.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'d>> {
        self.asked.push(key);
        self.left.remove(key).map(|(_, value)| value)
    }

    /// The value of a key that must be there.
    pub(super) fn need(&mut self, r: &mut Reader<'d>, key: &'static str, expected: &str) -> Option<Value<'d>> {
        let value = self.take(key);
        if value.is_none() {
            r.fault(self.at, format!("{} has no `{key}`", self.what), expected);
        }
        value
    }

    /// Every key left for which `want` holds, with its place and value.
    pub(super) fn take_all(&mut self, want: impl Fn(&str) -> bool) -> Vec<(&'d str, usize, Value<'d>)> {
        let keys: Vec<&str> = self.left.keys().copied().filter(|key| want(key)).collect();
        keys.into_iter().filter_map(|key| self.left.remove(key).map(|(at, value)| (key, at, value))).collect()
    }

    /// The step that a key leads to, which must be there.
    pub(super) fn step(&mut self, r: &mut Reader<'d>, key: &'static str) -> Option<NodeId> {
        let value = self.need(r, key, "the name of a step");
        r.links_broken |= value.is_none();
        r.step(key, value?)
    }

    /// The step that a key leads to, if it is there.
    pub(super) fn optional_step(&mut self, r: &mut Reader<'d>, key: &'static str) -> Option<NodeId> {
        self.take(key).and_then(|value| r.step(key, value))
    }

    /// A whole number, or what holds without it.
    pub(super) fn integer(
        &mut self,
        r: &mut Reader<'d>,
        key: &'static str,
        range: RangeInclusive<u32>,
        default: u32,
    ) -> u32 {
        self.take(key).and_then(|value| r.integer(key, value, &range)).unwrap_or(default)
    }

    /// `true` or `false`, or what holds without it.
    pub(super) fn boolean(&mut self, r: &mut Reader<'d>, key: &'static str, default: bool) -> bool {
        self.take(key).and_then(|value| r.boolean(key, value)).unwrap_or(default)
    }

    /// Makes a fault of each key that nobody asked for.
    pub(super) fn finish(self, r: &mut Reader<'d>) {
        for (key, (at, _)) in self.left {
            let what = format!("{} has an unknown key `{key}`", self.what);
            let mut asked = self.asked.clone();
            asked.sort_unstable();
            r.unknown(at, what, key, self.asked.iter().copied(), one_of(asked));
        }
    }
}
