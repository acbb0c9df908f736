//! Attributes: what is known of a contact or an agent, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// The attribute that each tenant has, with its agents' names as symbols: each agent has its own.
pub const AGENT_ATTRIBUTE: &str = "agent";
/// Most attributes of one contact or agent.
pub const ATTRIBUTES_MAX: usize = 64;
/// Most symbols in one set.
pub const SYMBOLS_MAX: usize = 64;
/// Most characters of a symbol.
pub const SYMBOL_CHARS_MAX: usize = 100;

/// A level, 0 to 1 in ten-thousandths: exact to compare.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Level(u16);

impl Level {
    /// The lowest.
    pub const NONE: Level = Level(0);
    /// The lowest above none.
    pub const LEAST: Level = Level(1);
    /// The highest.
    pub const FULL: Level = Level(10_000);

    /// Clamped to 0..=1; not-a-number counts as 0.
    pub fn new(level: f64) -> Self {
        // A float-to-integer cast saturates, and takes not-a-number to 0.
        Self((level.clamp(0.0, 1.0) * 10_000.0).round() as u16)
    }

    /// As a number from 0 to 1.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
}

impl From<Level> for f64 {
    fn from(level: Level) -> f64 {
        level.get()
    }
}

impl TryFrom<f64> for Level {
    type Error = AttributeError;

    fn try_from(level: f64) -> Result<Self, AttributeError> {
        if (0.0..=1.0).contains(&level) { Ok(Self::new(level)) } else { Err(AttributeError::Level) }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// What kind of value an attribute has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One word.
    Symbol,
    /// Several words.
    Set,
    /// A number from 0 to 1. Skills are of this kind.
    Level,
}

impl Kind {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Symbol => "symbol",
            Self::Set => "set",
            Self::Level => "level",
        }
    }
}

/// The value of an attribute.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A number from 0 to 1.
    Level(Level),
    /// One word.
    Symbol(String),
    /// Several words.
    Set(BTreeSet<String>),
}

impl Value {
    /// Reads a value of the kind; a set is written with commas.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, AttributeError> {
        match kind {
            Kind::Level => {
                let level: f64 = text.trim().parse().map_err(|_| AttributeError::Level)?;
                Level::try_from(level).map(Self::Level)
            }
            Kind::Symbol => symbol(text).map(Self::Symbol),
            Kind::Set => {
                let set = text.split(',').map(symbol).collect::<Result<BTreeSet<_>, _>>()?;
                if set.len() > SYMBOLS_MAX { Err(AttributeError::Symbols) } else { Ok(Self::Set(set)) }
            }
        }
    }

    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Level(_) => Kind::Level,
            Self::Symbol(_) => Kind::Symbol,
            Self::Set(_) => Kind::Set,
        }
    }

    /// Its symbols; none of a level.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match self {
            Self::Level(_) => (None, None),
            Self::Symbol(symbol) => (Some(symbol), None),
            Self::Set(set) => (None, Some(set)),
        };
        one.into_iter().chain(many.into_iter().flatten()).map(String::as_str)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(level) => level.fmt(f),
            Self::Symbol(symbol) => f.write_str(symbol),
            Self::Set(set) => {
                for (n, symbol) in set.iter().enumerate() {
                    write!(f, "{}{symbol}", if n == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

fn symbol(text: &str) -> Result<String, AttributeError> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > SYMBOL_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(AttributeError::Symbol);
    }
    Ok(text.to_owned())
}

/// Attributes by name.
pub type Attributes = BTreeMap<String, Value>;

/// Why a text is no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttributeError {
    /// No number from 0 to 1.
    Level,
    /// Empty, too long, or with control characters.
    Symbol,
    /// Too many symbols.
    Symbols,
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level => f.write_str("expected a level from 0 to 1"),
            Self::Symbol => write!(f, "expected a word of 1 to {SYMBOL_CHARS_MAX} characters"),
            Self::Symbols => write!(f, "expected at most {SYMBOLS_MAX} words"),
        }
    }
}

impl std::error::Error for AttributeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_clamped_or_refused() {
        assert_eq!(Level::new(f64::NAN), Level::NONE);
        assert_eq!(Level::new(-1.0), Level::NONE);
        assert_eq!(Level::new(f64::INFINITY), Level::FULL);
        assert_eq!(Level::try_from(1.0001), Err(AttributeError::Level));
        assert_eq!(Level::try_from(f64::NAN), Err(AttributeError::Level));
        assert_eq!(Level::try_from(0.25).map(Level::get), Ok(0.25));
    }

    #[test]
    fn values_are_read_by_kind_and_written_back() {
        assert_eq!(Value::parse(Kind::Level, "0.5"), Ok(Value::Level(Level::new(0.5))));
        assert_eq!(Value::parse(Kind::Level, "2"), Err(AttributeError::Level));
        assert_eq!(Value::parse(Kind::Symbol, " es "), Ok(Value::Symbol("es".into())));
        assert_eq!(Value::parse(Kind::Symbol, ""), Err(AttributeError::Symbol));
        let set = Value::parse(Kind::Set, "b, a,b");
        assert_eq!(set.as_ref().map(ToString::to_string), Ok("a,b".into()));
        assert_eq!(set.map(|set| set.symbols().count()), Ok(2));
        let long = vec!["x"; SYMBOL_CHARS_MAX + 1].concat();
        assert_eq!(Value::parse(Kind::Symbol, &long), Err(AttributeError::Symbol));
    }

    #[test]
    fn values_are_plain_in_json() {
        let read = |text: &str| serde_json::from_str::<Value>(text).map_err(|_| ());
        assert_eq!(read("0.5"), Ok(Value::Level(Level::new(0.5))));
        assert_eq!(read("\"es\""), Ok(Value::Symbol("es".into())));
        assert_eq!(read("[\"b\",\"a\"]"), Ok(Value::Set(["a", "b"].map(String::from).into())));
        assert_eq!(read("1.5"), Err(()));
    }
}
