//! Dialled digits.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a party dialled or is known by: an E.164 number, an extension, or the user part of a SIP address.
/// At most 128 octets of printable text without spaces. `Debug` shows only its length and last two characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(transparent)]
pub struct DialString(String);

/// Longest dial string, in octets.
pub const DIAL_STRING_MAX: usize = 128;

/// Why a text is not a [`DialString`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DialStringError {
    /// Longer than [`DIAL_STRING_MAX`] octets.
    TooLong,
    /// Holds a space, a control character, or one of `<>"@`.
    BadCharacter,
}

impl fmt::Display for DialStringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {DIAL_STRING_MAX} octets"),
            Self::BadCharacter => f.write_str("holds a space, a control character or one of < > \" @"),
        }
    }
}

impl std::error::Error for DialStringError {}

impl DialString {
    /// Checks and wraps `text`. The empty string is allowed: it means "not delivered".
    pub fn new(text: impl Into<String>) -> Result<Self, DialStringError> {
        let text = text.into();
        if text.len() > DIAL_STRING_MAX {
            return Err(DialStringError::TooLong);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '@')) {
            return Err(DialStringError::BadCharacter);
        }
        Ok(Self(text))
    }

    /// The text, for routing and records.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing was delivered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for DialString {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        DialString::new(String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for DialString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0.chars().count();
        let tail: String = self.0.chars().skip(n.saturating_sub(2).max(2)).collect();
        write!(f, "DialString({n} chars, ..{tail})")
    }
}
