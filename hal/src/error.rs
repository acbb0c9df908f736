//! Hardware errors: a kind for decisions, the driver's own error for people.

use std::fmt;

/// Kinds of hardware errors, for decisions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// No such span, timeslot or feature.
    NotFound,
    /// Taken by somebody else, or in a state that forbids it.
    Busy,
    /// The card is gone.
    Gone,
    /// This driver cannot do it.
    Unsupported,
    /// An argument is out of range.
    Invalid,
    /// The driver failed otherwise.
    Io,
}

/// A hardware error: kind, what was tried, and the driver's own error where there is one.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    doing: &'static str,
    source: Option<std::io::Error>,
}

impl Error {
    /// An error of `kind` while `doing` something.
    pub const fn new(kind: ErrorKind, doing: &'static str) -> Self {
        Self { kind, doing, source: None }
    }

    /// Wraps an operating-system error.
    pub fn io(kind: ErrorKind, doing: &'static str, source: std::io::Error) -> Self {
        Self { kind, doing, source: Some(source) }
    }

    /// For decisions.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::NotFound => "not found",
            ErrorKind::Busy => "busy",
            ErrorKind::Gone => "the card is gone",
            ErrorKind::Unsupported => "not supported by this driver",
            ErrorKind::Invalid => "invalid argument",
            ErrorKind::Io => "driver error",
        };
        write!(f, "{}: {what}", self.doing)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}

/// Result of a hardware call.
pub type Result<T> = std::result::Result<T, Error>;
