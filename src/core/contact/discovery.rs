//! Discovery events: how an attribute of a contact became known.

use serde::{Deserialize, Serialize};

use super::attribute::{ATTRIBUTES_MAX, Attributes, Value};
use crate::base::Timestamp;

/// Most discoveries that a record keeps; the values of later ones count all the same.
pub const DISCOVERIES_MAX: usize = 100;

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The number that was dialled.
    NumberDialled,
    /// The caller's number.
    CallerNumber,
    /// A digit in a menu.
    MenuDigit,
    /// An answer that was spoken.
    SpokenAnswer,
    /// A field of a web form.
    WebForm,
    /// A header of an email.
    EmailHeader,
    /// The language that a text is in.
    Language,
    /// What is on file of the client.
    CustomerLookup,
    /// The hour of the day, the day of the week.
    Hour,
    /// A step of a flow that says so.
    Flow,
    /// An agent, when handing on.
    Agent,
    /// The operator, at the command line.
    Operator,
}

impl Origin {
    /// All of them.
    pub const ALL: [Origin; 12] = [
        Self::NumberDialled,
        Self::CallerNumber,
        Self::MenuDigit,
        Self::SpokenAnswer,
        Self::WebForm,
        Self::EmailHeader,
        Self::Language,
        Self::CustomerLookup,
        Self::Hour,
        Self::Flow,
        Self::Agent,
        Self::Operator,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NumberDialled => "number-dialled",
            Self::CallerNumber => "caller-number",
            Self::MenuDigit => "menu-digit",
            Self::SpokenAnswer => "spoken-answer",
            Self::WebForm => "web-form",
            Self::EmailHeader => "email-header",
            Self::Language => "language",
            Self::CustomerLookup => "customer-lookup",
            Self::Hour => "hour",
            Self::Flow => "flow",
            Self::Agent => "agent",
            Self::Operator => "operator",
        }
    }
}

/// An attribute got a value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Discovery {
    /// When.
    pub at: Timestamp,
    /// Where it comes from.
    pub origin: Origin,
    /// The attribute.
    pub attribute: String,
    /// Its value.
    pub value: Value,
}

/// What is known of a contact so far. A later discovery of the same attribute replaces the value; both stay in the record.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Known {
    attributes: Attributes,
    discoveries: Vec<Discovery>,
    left_out: usize,
}

impl Known {
    /// Takes in a discovery. False when the contact has as many attributes as it may have, and this is a new one.
    pub fn discover(&mut self, discovery: Discovery) -> bool {
        let room = self.attributes.len() < ATTRIBUTES_MAX || self.attributes.contains_key(&discovery.attribute);
        if !room {
            self.left_out += 1;
            return false;
        }
        self.attributes.insert(discovery.attribute.clone(), discovery.value.clone());
        if self.discoveries.len() < DISCOVERIES_MAX {
            self.discoveries.push(discovery);
        }
        true
    }

    /// The values.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// The events, oldest first.
    pub fn discoveries(&self) -> &[Discovery] {
        &self.discoveries
    }

    /// Discoveries that found no room.
    pub fn left_out(&self) -> usize {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(attribute: &str, value: &str) -> Discovery {
        Discovery {
            at: Timestamp(0),
            origin: Origin::MenuDigit,
            attribute: attribute.into(),
            value: Value::Symbol(value.into()),
        }
    }

    #[test]
    fn the_later_value_counts_and_both_are_on_record() {
        let mut known = Known::default();
        assert!(known.discover(found("language", "en")) && known.discover(found("language", "es")));
        assert_eq!(known.attributes().get("language"), Some(&Value::Symbol("es".into())));
        assert_eq!(known.discoveries().len(), 2);
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut known = Known::default();
        for n in 0..ATTRIBUTES_MAX {
            assert!(known.discover(found(&format!("a{n}"), "x")));
        }
        assert!(!known.discover(found("one-more", "x")) && known.discover(found("a0", "y")));
        assert_eq!((known.attributes().len(), known.left_out()), (ATTRIBUTES_MAX, 1));
    }
}
