//! What is wrong with a text that an operator wrote, and where.

use std::fmt;

/// One fault in a provisioning file, a flow or a configuration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fault {
    /// The file as the operator named it.
    pub file: String,
    /// Line, from 1; 0 when the fault is in no text (a provisioning that came as data).
    pub line: u32,
    /// Column in characters, from 1; 0 as for `line`.
    pub column: u32,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}; expected {}", self.file, self.line, self.column, self.what, self.expected)
    }
}

impl std::error::Error for Fault {}
