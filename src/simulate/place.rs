//! Where in a JSON text something stands, so that a fault can say its line and column.

use std::fmt;

use crate::core::fault::{Fault, Lines, did_you_mean};

/// Faults of one file that are told; of more only how many.
pub(super) const FAULTS_MAX: usize = 20;

/// One step from a value to a value in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step<'a> {
    /// The value of this key.
    Key(&'a str),
    /// The element of this index, from 0.
    Index(usize),
}

/// Why a scenario was not read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The first faults, each with its place.
    pub faults: Vec<Fault>,
    /// How many more there are.
    pub more: usize,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "{fault}")?;
        }
        let count = self.faults.len() + self.more;
        let told = if self.more > 0 { format!(", the first {} told", self.faults.len()) } else { String::new() };
        write!(f, "error: {count} fault{}{told}; nothing was done", if count == 1 { "" } else { "s" })
    }
}

impl std::error::Error for Refused {}

/// Faults of one text.
#[derive(Debug)]
pub(super) struct Faults<'a> {
    file: &'a str,
    text: &'a str,
    lines: Lines<'a>,
    told: Vec<Fault>,
    /// How many there are beyond those told.
    more: usize,
}

impl<'a> Faults<'a> {
    /// None yet.
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, lines: Lines::new(text), told: vec![], more: 0 }
    }

    /// Whether as many as are told were found: of any more nobody asks where it is, which means reading the text again.
    pub(super) fn is_full(&self) -> bool {
        self.told.len() >= FAULTS_MAX
    }

    /// What was found, if anything.
    pub(super) fn refused(self) -> Option<Refused> {
        (!self.told.is_empty()).then_some(Refused { faults: self.told, more: self.more })
    }

    /// A fault in the value at the end of a path.
    pub(super) fn add(&mut self, path: &[Step<'_>], what: impl Into<String>, expected: impl Into<String>) {
        if self.is_full() {
            self.more += 1;
            return;
        }
        let (line, column) = self.lines.position(offset(self.text, path));
        let (what, expected) = (what.into(), expected.into());
        self.told.push(Fault { file: self.file.to_owned(), line, column, what, expected });
    }

    /// A name that is none of those known, with the one that was probably meant.
    pub(super) fn unknown<'c>(
        &mut self,
        path: &[Step<'_>],
        what: impl Into<String>,
        word: &str,
        known: impl IntoIterator<Item = &'c str>,
    ) {
        let nearest = if self.is_full() { None } else { did_you_mean(word, known) };
        self.add(path, what, nearest.map_or(String::new(), |nearest| format!("`{nearest}`")));
    }

    /// A number that must lie between two bounds, both included.
    pub(super) fn within(&mut self, path: &[Step<'_>], value: f64, least: f64, most: f64) {
        if !(least..=most).contains(&value) {
            let name = name(path);
            self.add(path, format!("`{name}` is {value}"), format!("{least} to {most}"));
        }
    }

    /// A number that must be above zero, and not above a bound.
    pub(super) fn positive(&mut self, path: &[Step<'_>], value: f64, most: f64) {
        if !(value > 0.0 && value <= most) {
            let name = name(path);
            self.add(path, format!("`{name}` is {value}"), format!("more than 0, at most {most}"));
        }
    }

    /// A fault that serde_json found, with its own place.
    pub(super) fn syntax(&mut self, error: &serde_json::Error) {
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        let (what, expected) = what.split_once(", expected ").unwrap_or((what, ""));
        if self.is_full() {
            self.more += 1;
            return;
        }
        self.told.push(Fault {
            file: self.file.to_owned(),
            line: u32::try_from(error.line()).unwrap_or(u32::MAX),
            column: u32::try_from(error.column().max(1)).unwrap_or(u32::MAX),
            what: what.to_owned(),
            expected: expected.to_owned(),
        });
    }
}

/// A path as people write it: `types[2].talk.log_sd`.
fn name(path: &[Step<'_>]) -> String {
    let mut name = String::new();
    for step in path {
        match step {
            Step::Key(key) if name.is_empty() => name.push_str(key),
            Step::Key(key) => {
                name.push('.');
                name.push_str(key);
            }
            Step::Index(n) => name.push_str(&format!("[{n}]")),
        }
    }
    name
}

/// The octet at which the value at the end of a path begins; of the last value that is there where the path leads nowhere.
/// The text is well-formed JSON.
fn offset(text: &str, path: &[Step<'_>]) -> usize {
    let octets = text.as_bytes();
    let mut at = skip_white(octets, 0);
    for step in path {
        let Some(next) = child(text, at, *step) else { break };
        at = next;
    }
    at
}

fn child(text: &str, at: usize, step: Step<'_>) -> Option<usize> {
    let octets = text.as_bytes();
    let mut at = skip_white(octets, at + 1);
    let mut index = 0;
    loop {
        match step {
            Step::Index(wanted) if index == wanted => return Some(at),
            Step::Index(_) => {}
            Step::Key(wanted) => {
                let end = skip_value(octets, at);
                let key = text.get(at..end).and_then(|raw| serde_json::from_str::<String>(raw).ok())?;
                at = skip_white(octets, skip_white(octets, end) + 1);
                if key == wanted {
                    return Some(at);
                }
            }
        }
        at = skip_white(octets, skip_value(octets, at));
        if octets.get(at) != Some(&b',') {
            return None;
        }
        at = skip_white(octets, at + 1);
        index += 1;
    }
}

fn skip_white(octets: &[u8], mut at: usize) -> usize {
    while octets.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The end of the value that begins here.
fn skip_value(octets: &[u8], mut at: usize) -> usize {
    let (mut depth, mut quoted) = (0_usize, false);
    while let Some(&octet) = octets.get(at) {
        match octet {
            b'\\' if quoted => at += 1,
            b'"' => {
                quoted = !quoted;
                if !quoted && depth == 0 {
                    return at + 1;
                }
            }
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::Step::{Index, Key};
    use super::*;

    #[test]
    fn values_are_found_by_their_paths() {
        let text = r#" {"a": [1, {"b\"}": "x]", "c" : [ ]}, -2.5e3], "d\u0065": true, "e": {}} "#;
        let at = |path: &[Step]| text.get(offset(text, path)..).unwrap_or_default();
        assert!(at(&[]).starts_with("{\"a\""));
        assert!(at(&[Key("a"), Index(0)]).starts_with("1,"));
        assert!(at(&[Key("a"), Index(1), Key("b\"}")]).starts_with("\"x]\""));
        assert!(at(&[Key("a"), Index(1), Key("c")]).starts_with("[ ]"));
        assert!(at(&[Key("a"), Index(2)]).starts_with("-2.5e3"));
        assert!(at(&[Key("de")]).starts_with("true"));
        assert!(at(&[Key("e")]).starts_with("{}"));
        // What is not there points at where it would be.
        assert!(at(&[Key("a"), Index(7)]).starts_with("[1"));
        assert!(at(&[Key("e"), Key("f")]).starts_with("{}"));
    }

    #[test]
    fn faults_say_where_and_what() {
        let text = "{\n \"types\": [\n  {\"rate\": -3}\n ]\n}";
        let mut faults = Faults::new("r.json", text);
        faults.within(&[Key("types"), Index(0), Key("rate")], -3.0, 0.0, 10.0);
        let refused = faults.refused().map(|refused| refused.to_string());
        let said: Vec<&str> = refused.as_deref().unwrap_or_default().lines().collect();
        assert_eq!(said[0], "r.json:3:12: `types[0].rate` is -3; expected 0 to 10");
        assert_eq!(said[1], "error: 1 fault; nothing was done");
    }
}
