//! Discovery events: how an attribute of a contact became known.

use serde::{Deserialize, Serialize};

use super::attribute::{Attributes, Value};
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

impl Discovery {
    /// All of these became known at once.
    pub fn of_all(attributes: &Attributes, at: Timestamp, origin: Origin) -> Vec<Self> {
        let known = |(attribute, value): (&String, &Value)| Self {
            at,
            origin,
            attribute: attribute.clone(),
            value: value.clone(),
        };
        attributes.iter().map(known).collect()
    }
}
