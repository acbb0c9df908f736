//! Provisioning files: TOML to [`Provision`], with every fault at its place.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::core::fault::{self, Fault, Lines, did_you_mean};
use crate::core::tenant::check::{self, Problem};
use crate::core::tenant::expand::expand;
use crate::core::tenant::fields::{ACCESS, ADMISSION, ENTRIES, Field, Form, MEDIA, NODE, SIP};
use crate::core::tenant::provision::{Flow, Provision};
use crate::core::trunk::admission::Decimal;

/// Most faults reported of one file; a last one says how many more there are.
pub const FAULTS_MAX: usize = 1_000;

/// Beyond so many faults no guesses are made at what was meant: they cost more than they help.
const GUESSES_MAX: usize = 100;

/// Why the text of a flow that has `file = "PATH"` cannot be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadError {
    /// There is no such file.
    Missing,
    /// It is there and cannot be read.
    Unreadable,
    /// It is longer than a flow may be.
    TooLong,
    /// It is not UTF-8 text.
    NotText,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is not there",
            Self::Unreadable => "cannot be read",
            Self::TooLong => "is too long",
            Self::NotText => "is not UTF-8 text",
        })
    }
}

impl std::error::Error for LoadError {}

/// A flow's text and the name that its faults show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// The file's name.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Reads a provisioning file's text; `file` is the name that faults show. The result is expanded and checked, except that
/// flows with `file = "PATH"` keep the path and have no text yet: [`parse_with`] reads them.
///
/// # Errors
/// Every fault, by place; syntax faults alone when there are any. At most [`FAULTS_MAX`] and one.
pub fn parse(text: &str, file: &str) -> Result<Provision, Vec<Fault>> {
    Reader::new(text, file).read(None)
}

/// As [`parse`]; `load` gives the text of a flow that has `file = "PATH"`, whose faults are then reported with the others.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(
    text: &str,
    file: &str,
    load: &dyn Fn(&str) -> Result<Loaded, LoadError>,
) -> Result<Provision, Vec<Fault>> {
    Reader::new(text, file).read(Some(load))
}

type Load<'l> = &'l dyn Fn(&str) -> Result<Loaded, LoadError>;

struct Reader<'t> {
    text: &'t str,
    file: &'t str,
    lines: Lines<'t>,
    faults: Vec<Fault>,
    /// Where each value stands, by path: `agent[3].skills.sales`.
    places: HashMap<String, usize>,
    /// Paths that have a fault already.
    faulty: HashSet<String>,
    /// Names of the files that flows came from, by index.
    flow_files: HashMap<usize, String>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, file: &'t str) -> Self {
        let (places, faulty, flow_files) = (HashMap::new(), HashSet::new(), HashMap::new());
        Self { text, file, lines: Lines::new(text), faults: Vec::new(), places, faulty, flow_files }
    }

    fn read(mut self, load: Option<Load<'_>>) -> Result<Provision, Vec<Fault>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        if !errors.is_empty() {
            for error in &errors {
                let (at, what, expected) = fault::syntax(error);
                self.fault(at, what, expected);
            }
            return Err(self.finish());
        }
        let mut provision = self.provision(document.get_ref());
        if let Some(load) = load {
            for (index, flow) in provision.flow.iter_mut().enumerate() {
                self.load_flow(index, flow, load);
            }
        }
        for problem in check::problems(&provision) {
            self.problem(problem);
        }
        if !self.faults.is_empty() {
            return Err(self.finish());
        }
        // The check has counted the agents.
        let _ = expand(&mut provision);
        Ok(provision)
    }

    fn finish(mut self) -> Vec<Fault> {
        let file = self.file;
        self.faults.sort_by(|a, b| {
            let (key_a, key_b) = ((a.file != file, &a.file, a.line), (b.file != file, &b.file, b.line));
            key_a.cmp(&key_b).then(a.column.cmp(&b.column))
        });
        self.faults.dedup();
        let left_out = self.faults.len().saturating_sub(FAULTS_MAX);
        if left_out > 0 {
            self.faults.truncate(FAULTS_MAX);
            let (line, column) = self.lines.position(self.text.len());
            let what = format!("{left_out} more faults");
            self.faults.push(Fault { file: self.file.into(), line, column, what, expected: String::new() });
        }
        self.faults
    }

    fn fault(&mut self, at: usize, what: impl Into<String>, expected: impl Into<String>) {
        let (line, column) = self.lines.position(at);
        self.faults.push(Fault { file: self.file.into(), line, column, what: what.into(), expected: expected.into() });
    }

    fn provision(&mut self, document: &DeTable<'_>) -> Provision {
        let mut provision = Provision::default();
        for (key, value) in document {
            let name: &str = key.get_ref();
            let at = key.span().start;
            match (name, ENTRIES.iter().find(|(kind, _)| *kind == name)) {
                ("sip", _) => set(&mut provision.sip, self.single(name, SIP, value)),
                ("admission", _) => set(&mut provision.admission, self.single(name, ADMISSION, value)),
                ("node", _) => set(&mut provision.node, self.single(name, NODE, value)),
                ("access", _) => set(&mut provision.access, self.single(name, ACCESS, value)),
                ("media", _) => set(&mut provision.media, self.single(name, MEDIA, value)),
                (_, Some((kind, fields))) => {
                    let entries = self.many(kind, fields, value);
                    self.add(&mut provision, kind, entries);
                }
                (_, None) => {
                    let known = ["sip", "media", "admission", "node", "access"]
                        .into_iter()
                        .chain(ENTRIES.iter().map(|(kind, _)| *kind));
                    self.unknown(at, "the file", name, &known.collect::<Vec<_>>());
                }
            }
        }
        provision
    }

    fn add(&mut self, provision: &mut Provision, kind: &str, entries: Vec<Value>) {
        match kind {
            "card" => provision.card = decode(entries),
            "span" => provision.span = decode(entries),
            "tenant" => provision.tenant = decode(entries),
            "site" => provision.site = decode(entries),
            "skill" => provision.skill = decode(entries),
            "attribute" => provision.attribute = decode(entries),
            "agent" => provision.agent = decode(entries),
            "user" => provision.user = decode(entries),
            "queue" => provision.queue = decode(entries),
            "flow" => provision.flow = decode(entries),
            "number" => provision.number = decode(entries),
            _ => provision.trunk = decode(entries),
        }
    }

    fn single(&mut self, name: &str, fields: &[Field], value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let at = value.span().start;
        self.places.insert(name.into(), at);
        match value.get_ref() {
            DeValue::Table(table) => Some(self.table(name, fields, table, at)),
            other => {
                self.fault(at, format!("`{name}` is {}", describe(other)), "a table");
                None
            }
        }
    }

    fn many(&mut self, name: &str, fields: &'static [Field], value: &Spanned<DeValue<'_>>) -> Vec<Value> {
        self.value(name, name, Form::Tables(fields), value).and_then(into_array).unwrap_or_default()
    }

    fn table(&mut self, path: &str, fields: &[Field], table: &DeTable<'_>, at: usize) -> Value {
        let mut object = Map::new();
        for (key, value) in table {
            let name: &str = key.get_ref();
            let Some(field) = fields.iter().find(|field| field.name == name) else {
                let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
                self.unknown(key.span().start, &format!("`{}`", kind_of(path)), name, &known);
                continue;
            };
            let path = format!("{path}.{name}");
            match self.value(&path, name, field.form, value) {
                Some(value) => {
                    object.insert(name.into(), value);
                }
                None => {
                    self.faulty.insert(path);
                }
            }
        }
        for field in fields.iter().filter(|field| field.required) {
            if object.contains_key(field.name) {
                continue;
            }
            // A value of the wrong form was reported already.
            if self.faulty.insert(format!("{path}.{}", field.name)) {
                let (kind, name) = (kind_of(path), field.name);
                self.fault(at, format!("`{kind}` has no `{name}`"), format!("{name} = {}", field.form.describe()));
            }
            object.insert(field.name.into(), field.form.stand_in());
        }
        Value::Object(object)
    }

    /// A value in the form wanted, or a fault.
    fn value(&mut self, path: &str, name: &str, form: Form, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        self.value_of(path, &format!("`{name}`"), form, value)
    }

    /// The same, with what it is in words.
    fn value_of(&mut self, path: &str, whose: &str, form: Form, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let at = value.span().start;
        self.places.insert(path.into(), at);
        let converted = match (form, value.get_ref()) {
            (Form::Text, DeValue::String(text)) => Some(Value::String(text.to_string())),
            (Form::Flag, DeValue::Boolean(flag)) => Some(Value::Bool(*flag)),
            (Form::Whole(max), DeValue::Integer(integer)) => {
                let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|n| *n <= max);
                if number.is_none() {
                    self.fault(at, format!("{whose} is {integer}"), form.describe());
                    return None;
                }
                number.map(Value::from)
            }
            (Form::Texts, DeValue::Array(items)) => return self.items(path, whose, Form::Text, items),
            (Form::Range, DeValue::Array(items)) if items.len() == 2 => {
                return self.items(path, whose, Form::Whole(u32::MAX.into()), items);
            }
            (Form::Tables(fields), DeValue::Array(items)) => return Some(self.tables(path, whose, fields, items)),
            (Form::Table(fields), DeValue::Table(table)) => return Some(self.table(path, fields, table, at)),
            (Form::Levels, DeValue::Table(levels)) => {
                return Some(self.named(path, levels, |_| Form::Number, |skill| format!("the level of `{skill}`")));
            }
            (Form::Hours, DeValue::Table(days)) => return Some(self.hours(path, days)),
            (Form::Wholes(max), DeValue::Table(wholes)) => {
                return Some(self.named(path, wholes, |_| Form::Whole(max), |name| format!("`{name}`")));
            }
            (Form::Values, DeValue::Table(values)) => {
                let form = |value: &DeValue<'_>| match value {
                    DeValue::Array(_) => Form::Texts,
                    DeValue::Integer(_) | DeValue::Float(_) => Form::Level,
                    _ => Form::Text,
                };
                return Some(self.named(path, values, form, |name| format!("`{name}`")));
            }
            (Form::Word(words), DeValue::String(word)) => {
                let word: &str = word;
                if !words.contains(&word) {
                    let guess = self.guess(word, words);
                    let expected = guess.map_or(form.describe(), |guess| format!("{guess:?} (did you mean that?)"));
                    self.fault(at, format!("{whose} is {word:?}"), expected);
                    return None;
                }
                Some(Value::from(word))
            }
            (Form::Decimal, number) => return self.decimal(at, whose, number),
            (Form::Number, number) => float(number).map(Value::from),
            (Form::Level, number) => {
                let level = float(number);
                if let Some(level) = level.filter(|level| !(0.0..=1.0).contains(level)) {
                    self.fault(at, format!("{whose} is {level}"), form.describe());
                    return None;
                }
                level.map(Value::from)
            }
            _ => None,
        };
        if converted.is_none() {
            self.fault(at, format!("{whose} is {}", describe(value.get_ref())), form.describe());
        }
        converted
    }

    /// A decimal number as it is written: in binary 1.15 would be a hair less.
    fn decimal(&mut self, at: usize, whose: &str, value: &DeValue<'_>) -> Option<Value> {
        let text: &str = match value {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::String(text) => text,
            other => {
                self.fault(at, format!("{whose} is {}", describe(other)), Form::Decimal.describe());
                return None;
            }
        };
        match text.parse::<Decimal>() {
            Ok(number) => Some(Value::from(number.to_string())),
            Err(error) => {
                self.fault(at, format!("{whose} is {text}"), error.to_string());
                None
            }
        }
    }

    /// Days and their ranges; a list of ranges says the same as one text.
    fn hours(&mut self, path: &str, days: &DeTable<'_>) -> Value {
        let form = |value: &DeValue<'_>| if matches!(value, DeValue::Array(_)) { Form::Texts } else { Form::Text };
        let mut hours = self.named(path, days, form, |day| format!("`{day}`"));
        for times in hours.as_object_mut().into_iter().flat_map(|days| days.values_mut()) {
            if let Value::Array(ranges) = times {
                let texts: Vec<&str> = ranges.iter().filter_map(Value::as_str).collect();
                *times = Value::from(texts.join(" "));
            }
        }
        hours
    }

    /// All items in one form, or none.
    fn items(&mut self, path: &str, whose: &str, form: Form, items: &[Spanned<DeValue<'_>>]) -> Option<Value> {
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            values.push(self.value_of(&format!("{path}[{index}]"), whose, form, item));
        }
        values.into_iter().collect::<Option<Vec<Value>>>().map(Value::Array)
    }

    /// A value for each table; what is none stands as an empty one, so that indices stay those of the file.
    fn tables(&mut self, path: &str, whose: &str, fields: &[Field], items: &[Spanned<DeValue<'_>>]) -> Value {
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let at = item.span().start;
            self.places.insert(path.clone(), at);
            if let DeValue::Table(table) = item.get_ref() {
                values.push(self.table(&path, fields, table, at));
            } else {
                self.fault(at, format!("{whose} is {}", describe(item.get_ref())), "a table");
                let required = fields.iter().filter(|field| field.required);
                self.faulty.insert(path);
                values.push(required.map(|field| (field.name.to_string(), field.form.stand_in())).collect());
            }
        }
        Value::Array(values)
    }

    /// A table whose keys are names.
    fn named(
        &mut self,
        path: &str,
        table: &DeTable<'_>,
        form: impl Fn(&DeValue<'_>) -> Form,
        whose: impl Fn(&str) -> String,
    ) -> Value {
        let mut object = Map::new();
        for (key, value) in table {
            let name: &str = key.get_ref();
            let path = format!("{path}.{name}");
            match self.value_of(&path, &whose(name), form(value.get_ref()), value) {
                Some(value) => {
                    object.insert(name.into(), value);
                }
                None => {
                    self.faulty.insert(path);
                }
            }
        }
        Value::Object(object)
    }

    fn guess<'k>(&self, name: &str, known: &[&'k str]) -> Option<&'k str> {
        if self.faults.len() < GUESSES_MAX { did_you_mean(name, known.iter().copied()) } else { None }
    }

    fn unknown(&mut self, at: usize, whose: &str, name: &str, known: &[&str]) {
        let expected = match self.guess(name, known) {
            Some(guess) => format!("`{guess}` (did you mean that?)"),
            None => format!("one of {}", known.join(", ")),
        };
        self.fault(at, format!("{whose} has an unknown key `{name}`"), expected);
    }

    fn load_flow(&mut self, index: usize, flow: &mut Flow, load: Load<'_>) {
        let Some(path) = flow.file.take() else { return };
        let place = format!("flow[{index}].file");
        match load(&path) {
            Ok(loaded) => {
                flow.text = loaded.text;
                self.flow_files.insert(index, loaded.name);
            }
            Err(error) => {
                let at = self.places.get(&place).copied().unwrap_or(0);
                self.fault(at, format!("{path:?} {error}"), "the path of a flow, relative to this file");
                self.faulty.insert(format!("flow[{index}].text"));
            }
        }
    }

    /// A problem that the check found, at its place in the text.
    fn problem(&mut self, problem: Problem) {
        let mut path = problem.path.as_str();
        let mut at = self.places.get(path);
        while at.is_none() && !path.is_empty() {
            // What the file leaves to its default is reported where its table begins.
            path = path.rfind(['.', '[']).and_then(|end| path.get(..end)).unwrap_or("");
            at = self.places.get(path);
        }
        let at = at.copied().unwrap_or(0);
        if self.faulty.contains(&problem.path) {
            return;
        }
        let Problem { what, expected, inner, .. } = problem;
        match (inner, problem.flow.and_then(|flow| self.flow_files.get(&flow))) {
            (Some((line, column)), Some(name)) => {
                self.faults.push(Fault { file: name.clone(), line, column, what, expected });
            }
            (Some(inner), None) => {
                let (line, column) = self.inner_position(at, inner);
                self.faults.push(Fault { file: self.file.into(), line, column, what, expected });
            }
            (None, _) => self.fault(at, what, expected),
        }
    }

    /// The place in the file of a place in the string that begins at `at`. Exact for the multi-line forms (TOML 1.0
    /// "String": a newline right after the opening quotes does not count), but for escapes before it on its line.
    fn inner_position(&self, at: usize, (line, column): (u32, u32)) -> (u32, u32) {
        let (outer_line, outer_column) = self.lines.position(at);
        let opening = self.text.get(at..).unwrap_or_default();
        let Some(rest) = opening.strip_prefix("'''").or_else(|| opening.strip_prefix("\"\"\"")) else {
            return if line == 1 { (outer_line, outer_column + column) } else { (outer_line, outer_column) };
        };
        if rest.starts_with('\n') || rest.starts_with("\r\n") {
            (outer_line + line, column)
        } else if line == 1 {
            (outer_line, outer_column + 2 + column)
        } else {
            (outer_line + line - 1, column)
        }
    }
}

/// A finite number.
fn float(value: &DeValue<'_>) -> Option<f64> {
    let number: Option<f64> = match value {
        DeValue::Float(number) => number.as_str().parse().ok(),
        DeValue::Integer(number) => i32::from_str_radix(number.as_str(), number.radix()).ok().map(f64::from),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

fn set<T: DeserializeOwned>(target: &mut T, value: Option<Value>) {
    if let Some(value) = value.and_then(|value| serde_json::from_value(value).ok()) {
        *target = value;
    }
}

/// The values have the fields' forms, so none is refused; a test holds `fields.rs` against `provision.rs`.
fn decode<T: DeserializeOwned>(entries: Vec<Value>) -> Vec<T> {
    entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok()).collect()
}

fn into_array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

/// `trunk[2].peer[0]` is a `peer`, `sip.tls` a `tls`, `agent[0]` an `agent`.
fn kind_of(path: &str) -> &str {
    let last = path.rsplit_once('.').map_or(path, |(_, last)| last);
    last.split_once('[').map_or(last, |(name, _)| name)
}

fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests;
