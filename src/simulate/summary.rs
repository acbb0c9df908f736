//! The runs of one scenario under one policy, put together.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::measure::{Estimate, mean};
use super::media::OfMedium;
use super::routing::{MEASURES, OfType};
use crate::base::Medium;

/// What is kept of a run.
#[derive(Clone, PartialEq, Debug)]
pub enum Digest {
    /// Of a `routing` scenario.
    Routing {
        /// In the order of [`MEASURES`].
        measures: Vec<f64>,
        /// The same with intervals from batches of this run.
        estimates: Vec<Estimate>,
        /// Each type, in the scenario's order.
        types: Vec<OfType>,
        /// How well waits were foretold: mean squared error over mean squared wait.
        foretold_error: Option<f64>,
    },
    /// Of a `media` scenario.
    Media {
        /// Each medium.
        media: BTreeMap<Medium, OfMedium>,
        /// Share in target, with intervals from batches of this run.
        in_target: BTreeMap<Medium, Estimate>,
    },
}

impl Digest {
    /// What a run of a routing scenario measured; nothing for another.
    pub fn measures(&self) -> Option<&[f64]> {
        match self {
            Self::Routing { measures, .. } => Some(measures),
            Self::Media { .. } => None,
        }
    }
}

/// Several runs.
#[derive(Clone, PartialEq, Debug)]
pub enum Summary {
    /// Of a `routing` scenario.
    Routing {
        /// In the order of [`MEASURES`].
        measures: Vec<Estimate>,
        /// Means of each type, in the scenario's order.
        types: Vec<OfType>,
        /// How well waits were foretold, where they were.
        foretold_error: Option<Estimate>,
    },
    /// Of a `media` scenario.
    Media {
        /// Means of each medium.
        media: BTreeMap<Medium, OfMedium>,
        /// Share in target.
        in_target: BTreeMap<Medium, Estimate>,
    },
}

impl Summary {
    /// Of runs of one scenario. Intervals are those of independent runs; those of a single one come from its batches.
    pub fn of(digests: &[Digest]) -> Self {
        let mut all: Vec<Vec<f64>> = vec![vec![]; MEASURES.len()];
        let mut single = vec![];
        let mut foretold: Vec<f64> = vec![];
        let mut type_rows: Vec<Vec<OfType>> = vec![];
        let mut media_rows: BTreeMap<Medium, Vec<OfMedium>> = BTreeMap::new();
        let mut media_single = BTreeMap::new();
        for digest in digests {
            match digest {
                Digest::Routing { measures, estimates, types, foretold_error } => {
                    foretold.extend(foretold_error);
                    all.iter_mut().zip(measures).for_each(|(values, value)| values.push(*value));
                    single.clone_from(estimates);
                    type_rows.push(types.clone());
                }
                Digest::Media { media, in_target } => {
                    media.iter().for_each(|(&medium, &of)| media_rows.entry(medium).or_default().push(of));
                    media_single = in_target.clone();
                }
            }
        }
        if type_rows.is_empty() && !media_rows.is_empty() {
            let target = |rows: &Vec<OfMedium>| Estimate::of(&rows.iter().map(|of| of.in_target).collect::<Vec<_>>());
            let in_target = match digests.len() {
                1 => media_single,
                _ => media_rows.iter().map(|(&medium, rows)| (medium, target(rows))).collect(),
            };
            let media = media_rows.iter().map(|(&medium, rows)| (medium, mean_medium(rows))).collect();
            return Self::Media { media, in_target };
        }
        let measures =
            if digests.len() == 1 { single } else { all.iter().map(|values| Estimate::of(values)).collect() };
        let count = type_rows.first().map_or(0, Vec::len);
        let column = |n: usize| type_rows.iter().filter_map(|row| row.get(n).copied()).collect::<Vec<_>>();
        let foretold_error = (!foretold.is_empty()).then(|| Estimate::of(&foretold));
        Self::Routing { measures, foretold_error, types: (0..count).map(|n| mean_type(&column(n))).collect() }
    }

    /// As one JSON object: each measure by its name, and again with `_ci95`.
    pub fn json(&self) -> Value {
        match self {
            Self::Routing { measures, .. } => {
                let mut object = Map::new();
                for (name, estimate) in MEASURES.into_iter().zip(measures) {
                    let digits = if name == "jain" { 6 } else { 4 };
                    object.insert(name.to_owned(), rounded(estimate.mean, digits));
                    object.insert(format!("{name}_ci95"), rounded(estimate.ci95, digits));
                }
                Value::Object(object)
            }
            Self::Media { in_target, .. } => {
                let of = |value: fn(&Estimate) -> f64| -> Map<String, Value> {
                    in_target.iter().map(|(medium, e)| (medium.to_string(), rounded(value(e), 4))).collect()
                };
                json!({ "in_target_pct": of(|e| e.mean), "in_target_pct_ci95": of(|e| e.ci95) })
            }
        }
    }
}

fn rounded(x: f64, digits: i32) -> Value {
    let scale = 10_f64.powi(digits);
    json!((x * scale).round() / scale)
}

fn mean_type(rows: &[OfType]) -> OfType {
    let of = |field: fn(&OfType) -> f64| mean(rows.iter().map(field));
    OfType {
        calls: of(|r| r.calls),
        in_target: of(|r| r.in_target),
        abandoned: of(|r| r.abandoned),
        asa_s: of(|r| r.asa_s),
        p99_s: of(|r| r.p99_s),
        skill: of(|r| r.skill),
    }
}

fn mean_medium(rows: &[OfMedium]) -> OfMedium {
    let of = |field: fn(&OfMedium) -> f64| mean(rows.iter().map(field));
    OfMedium {
        contacts: of(|r| r.contacts),
        in_target: of(|r| r.in_target),
        abandoned: of(|r| r.abandoned),
        asa_s: of(|r| r.asa_s),
        p99_s: of(|r| r.p99_s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(asa: f64) -> Digest {
        let mut measures = vec![0.5; MEASURES.len()];
        measures[0] = asa;
        let estimates = measures.iter().map(|&mean| Estimate { mean, ci95: 0.25 }).collect();
        Digest::Routing {
            measures,
            estimates,
            types: vec![OfType { calls: asa, ..OfType::default() }],
            foretold_error: None,
        }
    }

    #[test]
    fn several_runs_make_a_mean_with_an_interval_and_one_keeps_its_own() {
        let json = Summary::of(&[digest(1.0), digest(3.0)]).json();
        assert_eq!(json["asa"], 2.0);
        assert_eq!(json["asa_ci95"], (12.706_f64 * 10_000.0).round() / 10_000.0);
        assert_eq!(json["jain_ci95"], 0.0);
        assert_eq!(json.as_object().map(Map::len), Some(2 * MEASURES.len()));
        let json = Summary::of(&[digest(1.0)]).json();
        assert_eq!((&json["asa"], &json["asa_ci95"]), (&json!(1.0), &json!(0.25)));
    }
}
