//! What is bounded, how much of it is in use, and how often the bound was felt.

use serde::{Deserialize, Serialize};

/// A bounded resource, for `status`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Bound {
    /// Stable name, e.g. `calls`.
    pub name: String,
    /// In use now. Of a bound that each call, caller or connection has for itself: by whoever uses most.
    pub used: u64,
    /// The bound.
    pub max: u64,
    /// How often something was refused, dropped or held back because of it, since the start.
    pub refused: u64,
}

impl Bound {
    /// A bound by its name.
    pub fn new(name: &str, used: usize, max: usize, refused: u64) -> Self {
        Self { name: name.to_owned(), used: used as u64, max: max as u64, refused }
    }
}
