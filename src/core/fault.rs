//! What is wrong in a text that an operator wrote: flows, provisioning, configuration. A check reports all faults at once.

use std::fmt;

/// One fault, with its place. Prints as `file:line:column: what; expected ...`, the form that editors jump to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fault {
    /// The file as the operator named it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters (Unicode scalar values), from 1.
    pub column: u32,
    /// What is wrong, without the place.
    pub what: String,
    /// What would be right; empty where `what` says it all.
    pub expected: String,
}

impl Fault {
    /// A fault at the octet `offset` of `text`, the content of `file`. An offset past the end means the end.
    pub fn at(file: &str, text: &str, offset: usize, what: impl Into<String>, expected: impl Into<String>) -> Self {
        let (line, column) = Lines::new(text).position(offset);
        Self { file: file.to_owned(), line, column, what: what.into(), expected: expected.into() }
    }

    /// For people: as it prints, but of what came as data, where `file` names the entry and only texts of flows have lines, without
    /// a place that there is not.
    pub fn told(&self) -> String {
        let Self { file, what, expected, .. } = self;
        match self.line {
            0 if expected.is_empty() => format!("{file}: {what}"),
            0 => format!("{file}: {what}; expected {expected}"),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.what)?;
        if !self.expected.is_empty() {
            write!(f, "; expected {}", self.expected)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// A TOML syntax error as octet offset, what is wrong, and what was expected (empty where the reader does not say).
pub fn syntax(error: &toml::de::Error) -> (usize, &str, &str) {
    let (what, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), ""));
    (error.span().map_or(0, |span| span.start), what, expected)
}

/// Where the lines of a text begin: turns octet offsets into places without reading the text again.
#[derive(Clone, Debug)]
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    /// Reads `text` once.
    pub fn new(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect();
        Self { text, starts }
    }

    /// Line and column, both from 1, of the octet `offset`; columns count characters. An offset past the end means the
    /// end, one inside a character means that character.
    pub fn position(&self, offset: usize) -> (u32, u32) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let column = self.text.get(start..offset).unwrap_or_default().chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

/// Longest word that [`did_you_mean`] looks at, in characters.
const GUESS_MAX: usize = 32;

/// The candidate that `word` was probably meant to be: the nearest by optimal string alignment distance (insert, delete,
/// replace, swap neighbours), if it is near enough for a slip of the fingers.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let length = word.chars().count();
    if length > GUESS_MAX {
        return None;
    }
    let near = (length / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= near)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= near)
        .min()
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (row, x) in a.to_lowercase().chars().enumerate() {
        let mut current = vec![row + 1];
        let mut left = row + 1;
        for (column, y) in b.iter().enumerate() {
            let up_left = last.get(column).copied().unwrap_or(usize::MAX);
            let up = last.get(column + 1).copied().unwrap_or(usize::MAX);
            let mut best = (left + 1).min(up.saturating_add(1)).min(up_left.saturating_add(usize::from(x != *y)));
            let swapped = column > 0 && previous == Some(*y) && b.get(column - 1) == Some(&x);
            if swapped && let Some(cost) = before_last.get(column - 1) {
                best = best.min(cost + 1);
            }
            current.push(best);
            left = best;
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(x);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let text = "one\nzwölf = 1\n";
        let position = |text, offset| Lines::new(text).position(offset);
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 3), (1, 4));
        assert_eq!(position(text, 4), (2, 1));
        // `ö` is two octets and one column; an offset inside it means it.
        assert_eq!(position(text, 6), (2, 3));
        assert_eq!(position(text, 7), (2, 3));
        assert_eq!(position(text, 8), (2, 4));
        assert_eq!(position(text, 999), (3, 1));
        assert_eq!(position("", 5), (1, 1));
    }

    #[test]
    fn guesses_slips_and_nothing_else() {
        let steps = ["welcome", "sales", "support", "bye"];
        assert_eq!(did_you_mean("slaes", steps), Some("sales"));
        assert_eq!(did_you_mean("wellcome", steps), Some("welcome"));
        assert_eq!(did_you_mean("Support", steps), Some("support"));
        assert_eq!(did_you_mean("by", steps), Some("bye"));
        assert_eq!(did_you_mean("operator", steps), None);
        assert_eq!(did_you_mean("", steps), None);
        assert_eq!(did_you_mean("x", []), None);
        assert_eq!(distance("ca", "abc"), 3);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn prints_place_first() {
        let fault = Fault::at("main.toml", "a\nb", 2, "step \"x\" is not there", "the name of a step");
        assert_eq!(fault.to_string(), "main.toml:2:1: step \"x\" is not there; expected the name of a step");
        let bare = Fault::at("main.toml", "", 0, "empty", "");
        assert_eq!(bare.to_string(), "main.toml:1:1: empty");
    }
}
