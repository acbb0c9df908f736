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
        let (line, column) = position(text, offset);
        Self { file: file.to_owned(), line, column, what: what.into(), expected: expected.into() }
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

/// Line and column, both from 1, of the octet `offset` in `text`; columns count characters. An offset past the end
/// means the end, one inside a character means that character.
pub fn position(text: &str, offset: usize) -> (u32, u32) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = text.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|octet| *octet == b'\n').count() + 1;
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let text = "one\nzwölf = 1\n";
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
    fn prints_place_first() {
        let fault = Fault::at("main.toml", "a\nb", 2, "step \"x\" is not there", "the name of a step");
        assert_eq!(fault.to_string(), "main.toml:2:1: step \"x\" is not there; expected the name of a step");
        let bare = Fault::at("main.toml", "", 0, "empty", "");
        assert_eq!(bare.to_string(), "main.toml:1:1: empty");
    }
}
