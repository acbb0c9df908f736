//! Where a number leads, as consoles show it.

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::core::trunk::admission::Decimal;

/// How a number would be reached.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RoutesView {
    /// As it is dialled.
    pub number: String,
    /// At this hour.
    pub at: Timestamp,
    /// Whether it is an emergency number, which is never refused.
    pub emergency: bool,
    /// Who answers it without any trunk: `flow NAME`, `agent NAME`.
    pub within: Option<String>,
    /// The trunks that lead there: in the order in which they are tried, then the others.
    pub ways: Vec<WayView>,
}

/// A trunk that leads to a number.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WayView {
    /// Which is tried when, from 1; none that is not.
    pub order: Option<u32>,
    /// Trunk's name.
    pub trunk: String,
    /// Its prefix.
    pub prefix: String,
    /// What a call costs by the minute at that hour.
    pub cost: Decimal,
    /// The number as it goes out.
    pub sent: String,
    /// Of a call by a phone of the tenant asked for: the number shown, `withheld`, `nobody` or `the caller's`. Empty where the
    /// trunk's signalling carries none.
    pub shown: String,
    /// Why there, or why not.
    pub why: String,
}
