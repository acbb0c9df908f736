//! What runs come to. How many calls came, and how long they would have lasted, is chance whose mean is known: what of the worth
//! follows from it is taken off (control variates, fitted over all batches), so that the rest is sure much sooner.

use serde_json::{Map, Value, json};

use super::file::Trunks;
use crate::simulate::measure::Estimate;

/// One tenant in one batch.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct OfTenant {
    /// Calls that came.
    pub offered: f64,
    /// Those that were refused.
    pub blocked: f64,
    /// Those that were refused though the tenant was within its permitted number.
    pub blocked_within: f64,
    /// How long those that came would last, or did, in seconds.
    pub talk_s: f64,
}

/// A part of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// Virtual time.
    pub seconds: f64,
    /// What was earned.
    pub worth: f64,
    /// In the scenario's order.
    pub tenants: Vec<OfTenant>,
}

impl Batch {
    pub(super) fn new(tenants: usize) -> Self {
        Self { seconds: 0.0, worth: 0.0, tenants: vec![OfTenant::default(); tenants] }
    }
}

/// Several runs put together.
#[derive(Clone, PartialEq, Debug)]
pub struct Measured {
    /// Hours of virtual time.
    pub hours: f64,
    /// Worth an hour.
    pub worth_per_hour: Estimate,
    /// What is lost of the optimum, in per cent, where the file knows that.
    pub worth_lost_pct: Option<Estimate>,
    /// Of each tenant: calls offered an hour, blocked in per cent, and blocked within the permitted number in per cent.
    pub tenants: Vec<[Estimate; 3]>,
}

/// Most tenants whose calls are taken for control variates: more would want more batches.
const CONTROLLED_MAX: usize = 8;

impl Measured {
    /// Of batches of equal length.
    pub fn of(scenario: &Trunks, batches: &[Batch]) -> Self {
        let hours = batches.iter().map(|batch| batch.seconds).sum::<f64>() / 3_600.0;
        let worth: Vec<f64> = batches.iter().map(|batch| 3_600.0 * batch.worth / batch.seconds).collect();
        let mut controls: Vec<Vec<f64>> = vec![];
        for (n, tenant) in scenario.tenants.iter().enumerate().take(CONTROLLED_MAX) {
            let mean_s = tenant.talk.law().map_or(0.0, |law| law.mean_s());
            let of = |batch: &Batch| (batch.seconds / 3_600.0, batch.tenants.get(n).copied().unwrap_or_default());
            let per_hour = |batch: &Batch, x: f64| x / (batch.seconds / 3_600.0);
            controls
                .push(batches.iter().map(|b| per_hour(b, of(b).1.offered - tenant.calls_per_hour * of(b).0)).collect());
            controls.push(batches.iter().map(|b| per_hour(b, of(b).1.talk_s / mean_s - of(b).1.offered)).collect());
        }
        let worth_per_hour = controlled(&worth, &controls);
        let worth_lost_pct = scenario.optimum().filter(|optimum| *optimum > 0.0).map(|optimum| Estimate {
            mean: 100.0 * (1.0 - worth_per_hour.mean / optimum),
            ci95: 100.0 * worth_per_hour.ci95 / optimum,
        });
        let tenants = (0..scenario.tenants.len())
            .map(|n| {
                let rows: Vec<OfTenant> = batches.iter().filter_map(|batch| batch.tenants.get(n).copied()).collect();
                let per_hour: Vec<f64> =
                    rows.iter().zip(batches).map(|(of, batch)| 3_600.0 * of.offered / batch.seconds).collect();
                [Estimate::of(&per_hour), share(&rows, |of| of.blocked), share(&rows, |of| of.blocked_within)]
            })
            .collect();
        Self { hours, worth_per_hour, worth_lost_pct, tenants }
    }

    /// What share of all calls was refused, in per cent.
    pub fn blocked_of_all(batches: &[Batch]) -> Estimate {
        let sum = |batch: &Batch| {
            batch.tenants.iter().fold(OfTenant::default(), |sum, of| OfTenant {
                offered: sum.offered + of.offered,
                blocked: sum.blocked + of.blocked,
                ..sum
            })
        };
        share(&batches.iter().map(sum).collect::<Vec<_>>(), |of| of.blocked)
    }

    /// Half of the interval of the worth, in per cent of it.
    pub fn half_width_pct(&self) -> f64 {
        100.0 * self.worth_per_hour.ci95 / self.worth_per_hour.mean.abs().max(1e-9)
    }

    /// As one JSON object.
    pub fn json(&self, scenario: &Trunks) -> Value {
        let mut object = Map::new();
        let put = |object: &mut Map<String, Value>, name: &str, of: &Estimate| {
            object.insert(name.to_owned(), rounded(of.mean));
            object.insert(format!("{name}_ci95"), rounded(of.ci95));
        };
        object.insert("hours".to_owned(), rounded(self.hours));
        put(&mut object, "worth_per_hour", &self.worth_per_hour);
        if let Some(lost) = &self.worth_lost_pct {
            put(&mut object, "worth_lost_pct", lost);
        }
        let tenant = |(tenant, of): (&super::Tenant, &[Estimate; 3])| {
            let mut row = Map::new();
            row.insert("name".to_owned(), json!(tenant.name));
            for (name, of) in ["offered", "blocked", "blocked_within"].iter().zip(of) {
                row.insert((*name).to_owned(), rounded(of.mean));
                row.insert(format!("{name}_ci95"), rounded(of.ci95));
            }
            Value::Object(row)
        };
        object.insert("tenants".to_owned(), scenario.tenants.iter().zip(&self.tenants).map(tenant).collect());
        Value::Object(object)
    }
}

fn rounded(x: f64) -> Value {
    json!((x * 1e4).round() / 1e4)
}

/// A share of the calls offered, in per cent: the ratio of sums, with the interval of its linearisation.
fn share(rows: &[OfTenant], part: impl Fn(&OfTenant) -> f64) -> Estimate {
    let offered: f64 = rows.iter().map(|of| of.offered).sum();
    if offered <= 0.0 {
        return Estimate::default();
    }
    let ratio = rows.iter().map(&part).sum::<f64>() / offered;
    let mean = offered / rows.len() as f64;
    let off: Vec<f64> = rows.iter().map(|of| 100.0 * (part(of) - ratio * of.offered) / mean).collect();
    Estimate { mean: 100.0 * ratio, ci95: Estimate::of(&off).ci95 }
}

/// The mean of values less what follows, linearly, from controls whose mean is known to be zero.
fn controlled(values: &[f64], controls: &[Vec<f64>]) -> Estimate {
    let n = values.len();
    // Too few batches to fit anything.
    if n < 3 * (controls.len() + 1) {
        return Estimate::of(values);
    }
    let mean = |of: &[f64]| of.iter().sum::<f64>() / n as f64;
    let centred: Vec<Vec<f64>> = controls.iter().map(|of| of.iter().map(|x| x - mean(of)).collect()).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut rows: Vec<Vec<f64>> = (centred.iter())
        .map(|of| centred.iter().map(|with| dot(of, with)).chain([dot(of, values)]).collect())
        .collect();
    let slopes = solved(&mut rows);
    let less: Vec<f64> =
        (0..n).map(|k| values[k] - slopes.iter().zip(controls).map(|(slope, of)| slope * of[k]).sum::<f64>()).collect();
    let of = Estimate::of(&less);
    // The fit has used up as many degrees of freedom.
    Estimate { ci95: of.ci95 * ((n - 1) as f64 / (n - 1 - controls.len()) as f64).sqrt(), ..of }
}

/// Solves the linear equations of a least-squares fit, each row ending with its right-hand side. They are symmetric and positive, so
/// no rows need to be exchanged; an unknown that follows from those before it is 0.
fn solved(rows: &mut [Vec<f64>]) -> Vec<f64> {
    let n = rows.len();
    let mut depends = vec![true; n];
    for k in 0..n {
        if rows[k][k] < 1e-9 {
            depends[k] = false;
            continue;
        }
        let pivot = rows[k].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(other, _)| *other != k) {
            let factor = row[k] / pivot[k];
            row.iter_mut().zip(&pivot).for_each(|(cell, of)| *cell -= factor * of);
        }
    }
    (0..n).map(|k| if depends[k] { rows[k][n] / rows[k][k] } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::random::Random;

    #[test]
    fn what_follows_from_known_chance_is_taken_off() {
        let mut random = Random::new(3);
        let n = 200;
        let controls: Vec<Vec<f64>> = (0..3).map(|_| (0..n).map(|_| random.normal()).collect()).collect();
        let noise: Vec<f64> = (0..n).map(|_| 0.01 * random.normal()).collect();
        let values: Vec<f64> = (0..n).map(|k| 10.0 + 2.0 * controls[0][k] - controls[1][k] + noise[k]).collect();
        let plain = Estimate::of(&values);
        let of = controlled(&values, &controls);
        assert!((of.mean - 10.0).abs() < 0.004 && of.ci95 < 0.003, "{of:?}");
        assert!(plain.ci95 > 50.0 * of.ci95, "{plain:?}");
        // A control that is always the same tells nothing, and one twice no more than once.
        let again = vec![controls[0].clone(), controls[0].clone(), vec![0.0; n], controls[1].clone()];
        assert!((controlled(&values, &again).mean - of.mean).abs() < 0.005);
        assert_eq!(controlled(&values[..4], &controls), Estimate::of(&values[..4]));
    }
}
