//! Routing: how a tenant's agents are chosen, and what each reason weighs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How an agent is chosen among those who may take a contact, and a contact among those that an agent may take.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// The contact that waits longest, the agent who is idle longest.
    Fifo,
    /// The agent who matches best, whatever else.
    BestSkill,
    /// The pair of the highest score.
    Score,
    /// The same, and a contact may wait for a better agent who is likely to be free soon.
    #[default]
    #[serde(rename = "score+hold")]
    ScoreHold,
}

impl Policy {
    /// All of them.
    pub const ALL: [Policy; 4] = [Policy::Fifo, Policy::BestSkill, Policy::Score, Policy::ScoreHold];

    /// Whether the score decides.
    pub const fn goes_by_score(self) -> bool {
        matches!(self, Self::Score | Self::ScoreHold)
    }

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::BestSkill => "best-skill",
            Self::Score => "score",
            Self::ScoreHold => "score+hold",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is no [`Policy`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoPolicy;

impl fmt::Display for NoPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected fifo, best-skill, score or score+hold")
    }
}

impl std::error::Error for NoPolicy {}

impl FromStr for Policy {
    type Err = NoPolicy;

    fn from_str(text: &str) -> Result<Self, NoPolicy> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or(NoPolicy)
    }
}

/// What each reason weighs in the score of a contact and an agent, in points, and how long contacts are held.
///
/// `S = match * m + urgency * importance * u(w) + in_time * t + fairness * h - flex * f + idle * min(idle_s, idle_full_s) /
/// idle_full_s - blend * b`. There m (0 to 1) says how well the agent matches; w is the wait, and u(w) is w / target up to 1 and
/// grows by `late_slope` with each further target; t is 1 while a contact can still be taken in time, and again when it is very late; h is by how much the
/// contact's queue was taken in time less often than the tenant's others of late; f is the load of other contacts that each agent
/// like this one bears, where few others idle who could; b says how much other work of the agent's has to step aside.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Points of a full match: `match` where it is written.
    #[serde(rename = "match")]
    pub fit: f64,
    /// Points of a contact of importance 1 that has waited as long as its target.
    pub urgency: f64,
    /// Points of a contact that is best taken now: a live one that can still be taken in time, or is late by so much that it
    /// shall wait no longer; another from the last quarter of its target on.
    pub in_time: f64,
    /// Targets after which a live contact is that late.
    pub late_max: f64,
    /// Mean waits of the tenant after which it is, if that is sooner; never before two targets.
    pub late_waits: f64,
    /// Points of a contact whose queue was never taken in time of late, where all others always were.
    pub fairness: f64,
    /// Points lost for each unit of load that the agent is needed for elsewhere, when a contact chooses an agent.
    pub flex: f64,
    /// What is left of that for each other idle agent who could bear the load: at 1, idle agents change nothing.
    pub scarcity: f64,
    /// The share of `flex` that counts when an agent who got free chooses a contact.
    pub flex_freed: f64,
    /// Points of an agent who has been idle for [`idle_full_s`](Self::idle_full_s) or longer.
    pub idle: f64,
    /// Seconds of idleness that count in full.
    pub idle_full_s: f64,
    /// Points lost where other work steps aside: an email that waits, chats that become slower.
    pub blend: f64,
    /// How fast urgency grows beyond the target, against before it.
    pub late_slope: f64,
    /// A contact is held only when it would still be taken so many seconds before its target.
    pub hold_margin_s: f64,
    /// Seconds after which a hold is looked at again.
    pub hold_every_s: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            fit: 80.0,
            urgency: 11.0,
            in_time: 100.0,
            late_max: 10.0,
            late_waits: 12.0,
            fairness: 100.0,
            flex: 300.0,
            scarcity: 0.6,
            flex_freed: 0.0,
            idle: 4.0,
            idle_full_s: 120.0,
            blend: 20.0,
            late_slope: 0.5,
            hold_margin_s: 2.0,
            hold_every_s: 5.0,
        }
    }
}

impl Weights {
    /// Each weight as it is written, with its least and greatest value.
    pub const BOUNDS: [(&'static str, f64, f64); 15] = [
        ("match", 0.0, 10_000.0),
        ("urgency", 0.0, 10_000.0),
        ("in_time", 0.0, 10_000.0),
        ("late_max", 1.0, 10_000.0),
        ("late_waits", 1.0, 10_000.0),
        ("fairness", 0.0, 10_000.0),
        ("flex", 0.0, 100_000.0),
        ("scarcity", 0.0, 1.0),
        ("flex_freed", 0.0, 1.0),
        ("idle", 0.0, 10_000.0),
        ("idle_full_s", 1.0, 86_400.0),
        ("blend", 0.0, 10_000.0),
        ("late_slope", 0.0, 100.0),
        ("hold_margin_s", 0.0, 86_400.0),
        ("hold_every_s", 1.0, 3_600.0),
    ];

    /// The values, in the order of [`BOUNDS`](Self::BOUNDS).
    pub const fn values(&self) -> [f64; 15] {
        [
            self.fit,
            self.urgency,
            self.in_time,
            self.late_max,
            self.late_waits,
            self.fairness,
            self.flex,
            self.scarcity,
            self.flex_freed,
            self.idle,
            self.idle_full_s,
            self.blend,
            self.late_slope,
            self.hold_margin_s,
            self.hold_every_s,
        ]
    }
}

/// How a tenant's contacts are routed.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// How an agent is chosen.
    pub policy: Policy,
    /// What each reason weighs.
    pub weights: Weights,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_they_are_written() {
        for policy in Policy::ALL {
            assert_eq!(policy.as_str().parse(), Ok(policy));
            assert_eq!(serde_json::to_value(policy).ok(), Some(policy.as_str().into()));
        }
        assert_eq!("score-hold".parse::<Policy>(), Err(NoPolicy));
        assert_eq!(Policy::default(), Policy::ScoreHold);
    }

    #[test]
    fn bounds_and_values_are_in_the_order_of_the_fields() {
        let weights = Weights::default();
        let written = serde_json::to_value(weights).unwrap();
        for ((name, least, most), value) in Weights::BOUNDS.into_iter().zip(weights.values()) {
            assert_eq!(written[name].as_f64(), Some(value), "{name}");
            assert!((least..=most).contains(&value), "{name}");
        }
        assert_eq!(written.as_object().map(serde_json::Map::len), Some(Weights::BOUNDS.len()));
    }

    #[test]
    fn what_is_left_out_keeps_its_default() {
        let routing: Routing = toml::from_str("policy = 'score'\nweights = { match = 60, flex = 10.5 }").unwrap();
        let weights = Weights { fit: 60.0, flex: 10.5, ..Weights::default() };
        assert_eq!(routing, Routing { policy: Policy::Score, weights });
    }
}
