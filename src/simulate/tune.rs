//! Weights learned by simulation: one weight after the other is moved up and down, on the same contacts, and a move is kept where
//! it gains more than chance explains.
//!
//! The search asks for runs ([`Search::trials`]) and is told what they came to ([`Search::judge`]); who runs them decides on
//! seeds. What was found must be proved on seeds that the search has not seen: a move that fits the noise of some runs shows
//! there.

use super::measure::Estimate;
use super::summary::Digest;
use crate::core::contact::routing::Weights;

/// No type may wait this many times as long as under first come, first served, at the 99th percentile.
const P99_TIMES_MAX: f64 = 1.8;
/// Jain's index should be above this.
const JAIN_MIN: f64 = 0.98;
/// By how much a weight is moved at first, and at last.
const STEPS: [f64; 2] = [1.6, 1.25];
/// Rounds over all weights with one step.
const ROUNDS_MAX: usize = 3;
/// Weights that are moved; how long idleness counts and how often holds are looked at matter little.
const MOVED: [&str; 11] = [
    "match",
    "urgency",
    "in_time",
    "fairness",
    "flex",
    "scarcity",
    "flex_freed",
    "idle",
    "blend",
    "late_slope",
    "hold_margin_s",
];
/// What a weight of zero becomes when it is moved up.
const FROM_ZERO: f64 = 0.1;

/// What a run is worth, in points: the share in target, half of the worst type's or medium's, less what breaks a promise. `fifo` is
/// the run on the same contacts under first come, first served.
pub fn worth(of: &Digest, fifo: &Digest) -> f64 {
    match (of, fifo) {
        (Digest::Routing { measures, types, .. }, Digest::Routing { types: base, .. }) => {
            let measure =
                |name| super::routing::MEASURES.iter().zip(measures).find(|(n, _)| **n == name).map(|(_, x)| *x);
            let measure = |name| measure(name).unwrap_or(0.0);
            let times = types.iter().zip(base).map(|(of, base)| of.p99_s / base.p99_s.max(1.0)).fold(0.0, f64::max);
            measure("sl20") + measure("worst_type_sl") / 2.0
                - 30.0 * (times - P99_TIMES_MAX).max(0.0)
                - 1_000.0 * (JAIN_MIN - measure("jain")).max(0.0)
        }
        (Digest::Media { media, .. }, _) => {
            let shares = || media.values().map(|of| of.in_target);
            super::measure::mean(shares()) + shares().fold(100.0, f64::min) / 2.0
        }
        _ => 0.0,
    }
}

/// What runs of one kind are worth more than others on the same contacts.
pub fn gain(of: &[f64], than: &[f64]) -> Estimate {
    Estimate::of(&of.iter().zip(than).map(|(of, than)| of - than).collect::<Vec<_>>())
}

/// A search by one coordinate after the other.
#[derive(Clone, PartialEq, Debug)]
pub struct Search {
    best: Weights,
    step: usize,
    round: usize,
    at: usize,
    kept: usize,
}

/// A move that may be kept.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Trial {
    /// Which weight is moved.
    pub name: &'static str,
    /// From what.
    pub from: f64,
    /// To what.
    pub to: f64,
    /// All weights after it.
    pub weights: Weights,
}

impl Search {
    /// A search that begins with these weights.
    pub fn new(best: Weights) -> Self {
        Self { best, step: 0, round: 0, at: 0, kept: 0 }
    }

    /// The best weights so far.
    pub fn best(&self) -> Weights {
        self.best
    }

    /// How far it is: weights looked at, and how many at most.
    pub fn progress(&self) -> (usize, usize) {
        ((self.step * ROUNDS_MAX + self.round) * MOVED.len() + self.at, STEPS.len() * ROUNDS_MAX * MOVED.len())
    }

    /// The moves to try next, one up and one down where there is room; none when the search is over.
    pub fn trials(&self) -> Vec<Trial> {
        let (Some(step), Some(&name)) = (STEPS.get(self.step), MOVED.get(self.at)) else { return vec![] };
        let bounds = Weights::BOUNDS.into_iter().zip(self.best.values()).find(|((n, _, _), _)| *n == name);
        let Some(((_, least, most), from)) = bounds else { return vec![] };
        let up = if from > 0.0 { from * step } else { least.max(FROM_ZERO) };
        let moves = [up.min(most), (from / step).max(least)];
        let trial = |to: f64| {
            let to = (to * 1_000.0).round() / 1_000.0;
            (to != from).then(|| Some(Trial { name, from, to, weights: with(self.best, name, to)? })).flatten()
        };
        moves.into_iter().filter_map(trial).collect()
    }

    /// Takes the gains of the trials, in their order, and goes on. The move that was kept, if one was: its gain is larger than its
    /// interval.
    pub fn judge(&mut self, trials: &[Trial], gains: &[Estimate]) -> Option<Trial> {
        let sure = trials.iter().zip(gains).filter(|(_, gain)| gain.mean > gain.ci95.max(0.01));
        let kept = sure.max_by(|a, b| a.1.mean.total_cmp(&b.1.mean)).map(|(trial, _)| *trial);
        if let Some(trial) = kept {
            self.best = trial.weights;
            self.kept += 1;
        }
        self.at += 1;
        if self.at == MOVED.len() {
            self.round += 1;
            // A round that gained is worth another with the same step.
            if self.kept == 0 || self.round == ROUNDS_MAX {
                (self.step, self.round) = (self.step + 1, 0);
            }
            (self.at, self.kept) = (0, 0);
        }
        kept
    }
}

/// The same weights but for one.
fn with(weights: Weights, name: &str, to: f64) -> Option<Weights> {
    let mut value = serde_json::to_value(weights).ok()?;
    *value.get_mut(name)? = to.into();
    serde_json::from_value(value).ok()
}

/// The weights that differ from the defaults, as they are provisioned.
pub fn provisioned(weights: &Weights) -> String {
    let own = Weights::BOUNDS.into_iter().zip(weights.values()).zip(Weights::default().values());
    let differ = own.filter(|((_, value), default)| value != default);
    differ.map(|(((name, _, _), value), _)| format!("{name} = {value:?}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What weights are worth where one setting is best.
    fn hill(weights: &Weights) -> f64 {
        -(weights.fit / 200.0).ln().powi(2) - (weights.late_slope / 0.25).ln().powi(2)
    }

    #[test]
    fn the_search_climbs_and_ends() {
        let mut search = Search::new(Weights::default());
        let mut asked = 0;
        loop {
            let trials = search.trials();
            if trials.is_empty() {
                break;
            }
            asked += trials.len();
            let base = hill(&search.best());
            let gains: Vec<Estimate> =
                trials.iter().map(|t| Estimate { mean: hill(&t.weights) - base, ci95: 0.0 }).collect();
            search.judge(&trials, &gains);
        }
        let best = search.best();
        assert!((best.fit / 200.0).ln().abs() < 0.25 && (best.late_slope / 0.25).ln().abs() < 0.25, "{best:?}");
        assert_eq!((best.flex, best.scarcity), (300.0, 0.6));
        assert!(asked < 500, "{asked}");
    }

    #[test]
    fn a_gain_within_its_interval_is_not_kept() {
        let mut search = Search::new(Weights::default());
        let trials = search.trials();
        assert_eq!(
            trials.iter().map(|t| (t.name, t.from, t.to)).collect::<Vec<_>>(),
            [("match", 80.0, 128.0), ("match", 80.0, 50.0)]
        );
        let unsure = [Estimate { mean: 1.0, ci95: 1.1 }, Estimate { mean: -3.0, ci95: 0.1 }];
        assert_eq!(search.judge(&trials, &unsure), None);
        assert_eq!(search.best(), Weights::default());
        assert_eq!(search.progress().0, 1);
    }

    #[test]
    fn only_what_differs_is_provisioned() {
        assert_eq!(provisioned(&Weights::default()), "");
        let weights = Weights { fit: 128.0, scarcity: 0.5, ..Weights::default() };
        assert_eq!(provisioned(&weights), "match = 128.0\nscarcity = 0.5\n");
    }
}
