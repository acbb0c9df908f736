//! What was measured of a trunk, as a scenario: the load of each tenant in the hour of the day in which the trunk is busiest.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::{Value, json};

use super::args::PlanArgs;
use super::cdr::{reader, time};
use super::trunk::{DAY_MS, HOUR_MS, LONGEST_CALL_MS};
use super::{CliError, live};
use crate::base::Timestamp;
use crate::core::tenant::provision::{Contract, Provision};
use crate::core::tenant::{Directory, expand};
use crate::core::trunk::forecast::{self, DAYS_MIN, PeakHour};
use crate::core::trunk::usage::{Row, Usage, Whose};
use crate::edge::store::{CdrFilter, Reader};

/// Variance over mean of calls in an hour up to which they count as coming by chance alone.
const BY_CHANCE: f64 = 1.05;
/// From which time on the records count where nothing else is asked for.
const SINCE: &str = "90d";

/// A `trunks` scenario of what the records have of the trunk.
pub(super) fn scenario(dir: &Path, args: &PlanArgs) -> Result<String, CliError> {
    let now = live::now();
    let reader = reader(dir)?.ok_or_else(|| CliError::NoData { data_dir: dir.to_owned() })?;
    let provision = reader.provision()?;
    let trunk = the_trunk(&provision, args.trunk.as_deref())?;
    let midnight = |at: Timestamp| Timestamp(at.0.div_euclid(DAY_MS) * DAY_MS);
    let since = midnight(Timestamp(time(args.since.as_deref().unwrap_or(SINCE), now)?.0.saturating_add(DAY_MS - 1)));
    let rows = rows_of(&reader, &trunk, since, midnight(now))?;
    let days = busiest(&rows);
    let pool: Vec<PeakHour> = days.values().copied().collect();
    let measured = forecast::measure(&pool).ok_or_else(|| {
        let days = pool.iter().filter(|day| day.calls > 0).count();
        CliError::Usage(format!("trunk {trunk:?} has {days} days with calls; a plan wants {DAYS_MIN}"))
    })?;
    let ahead = args.ahead.unwrap_or(0);
    let grown = measured.growth.powf(f64::from(ahead));
    let directory = Directory::new(&provision, None);
    let circuits = directory.trunk_by_name(&trunk).map_or(0, |entry| entry.group.circuits);
    let tenants: Vec<Value> = by_tenant(&rows, &days)
        .into_iter()
        .filter_map(|(name, hours)| tenant(&provision, &trunk, &name, &hours, grown))
        .collect();
    let most = tenants.iter().filter_map(|tenant| tenant["after_hours_trunks"].as_u64()).max().unwrap_or(0);
    let trunks = u64::from(circuits).max(most).max(1);
    let name = if ahead == 0 { trunk } else { format!("{trunk}, {ahead} months ahead") };
    Ok(json!({ "kind": "trunks", "name": name, "trunks": trunks, "hours": 24, "tenants": tenants }).to_string())
}

/// The trunk asked for, or the only one that tenants share.
fn the_trunk(provision: &Provision, name: Option<&str>) -> Result<String, CliError> {
    CliError::unless_there("trunk", name, provision.trunk.iter().map(|trunk| trunk.name.as_str()))?;
    if let Some(name) = name {
        return Ok(name.into());
    }
    let contracts = provision.tenant.iter().filter_map(|tenant| tenant.contract.as_ref());
    let mut shared: Vec<&str> = contracts.flat_map(|of| of.trunks.iter().map(String::as_str)).collect();
    shared.sort_unstable();
    shared.dedup();
    match shared.as_slice() {
        [one] => Ok((*one).into()),
        [] => Err(CliError::Usage("no trunk is shared by contract; expected --trunk NAME".into())),
        several => {
            Err(CliError::Usage(format!("several trunks are shared; expected --trunk {}", several.join(" or "))))
        }
    }
}

/// By the hour what was held of the trunk, and by which tenants.
fn rows_of(reader: &Reader, trunk: &str, since: Timestamp, until: Timestamp) -> Result<Vec<Row>, CliError> {
    let mut usage = Usage::new(since, until, HOUR_MS);
    let since = Some(Timestamp(since.0.saturating_sub(LONGEST_CALL_MS)));
    for cdr in reader.cdrs(&CdrFilter { since, until: Some(until), ..CdrFilter::default() }) {
        let mut cdr = cdr?;
        cdr.legs.retain(|leg| leg.trunk == trunk);
        usage.add(&cdr);
    }
    Ok(usage.rows())
}

fn hour_of(row: &Row) -> PeakHour {
    let day = row.from.0.div_euclid(DAY_MS);
    PeakHour { day, erlangs: row.erlangs, calls: row.inbound + row.outbound }
}

/// The hour of each day in which most of the trunk was held, by its beginning; days are those of UTC.
fn busiest(rows: &[Row]) -> BTreeMap<i64, PeakHour> {
    let mut days: BTreeMap<i64, (i64, PeakHour)> = BTreeMap::new();
    for row in rows.iter().filter(|row| matches!(row.whose, Whose::Trunk(_))) {
        let hour = hour_of(row);
        let best = days.entry(hour.day).or_insert((row.from.0, hour));
        if hour.erlangs > best.1.erlangs {
            *best = (row.from.0, hour);
        }
    }
    days.into_values().collect()
}

/// What each tenant had in those hours.
fn by_tenant(rows: &[Row], busiest: &BTreeMap<i64, PeakHour>) -> BTreeMap<String, Vec<PeakHour>> {
    let mut tenants: BTreeMap<String, HashMap<i64, PeakHour>> = BTreeMap::new();
    for row in rows.iter().filter(|row| busiest.contains_key(&row.from.0)) {
        if let Whose::Tenant(name) = &row.whose {
            tenants.entry(name.clone()).or_default().insert(row.from.0, hour_of(row));
        }
    }
    let quiet = |day: &PeakHour| PeakHour { day: day.day, erlangs: 0.0, calls: 0 };
    let all = |of: &HashMap<i64, PeakHour>| {
        busiest.iter().map(|(from, day)| of.get(from).copied().unwrap_or_else(|| quiet(day))).collect()
    };
    tenants.iter().map(|(name, of)| (name.clone(), all(of))).collect()
}

/// A tenant of the scenario: as its days were, grown; none of whom no call lasted.
fn tenant(provision: &Provision, trunk: &str, name: &str, hours: &[PeakHour], grown: f64) -> Option<Value> {
    let (calls, erlangs) =
        hours.iter().fold((0.0, 0.0), |(calls, erlangs), hour| (calls + f64::from(hour.calls), erlangs + hour.erlangs));
    if calls <= 0.0 || erlangs <= 0.0 {
        return None;
    }
    let talk_s = 3_600.0 * erlangs / calls;
    let measured = forecast::measure(hours);
    // Of one that calls on few days only the mean is known.
    let level = measured.map_or(erlangs / hours.len() as f64, |of| of.erlangs) * grown;
    let per_hour = 3_600.0 * level / talk_s;
    let entry = provision.tenant.iter().find(|tenant| tenant.name == name);
    let contract = entry.and_then(|tenant| tenant.contract.as_ref()).filter(|of| of.trunks.iter().any(|t| t == trunk));
    let agents = provision.agent.iter().filter(|agent| agent.tenant == name).flat_map(expand::agents).count();
    let of = |value: fn(&Contract) -> f64, otherwise: f64| contract.map_or(otherwise, value);
    let mut told = json!({
        "name": name,
        "agents": agents,
        "worth_within": of(|contract| contract.worth_within, 1.0),
        "worth_beyond": of(|contract| contract.worth_beyond, 0.25),
        "talk": { "law": "exponential", "mean_s": talk_s },
        "calls_per_hour": per_hour,
        "trunk_agent_ratio": contract.map_or("0".to_owned(), |contract| contract.ratio.to_string()),
        "after_hours_trunks": contract.map_or(0, |contract| contract.after_hours),
    });
    if let Some(factor) = measured.and_then(|of| burst_factor(of.dispersion, per_hour)) {
        told["bursts"] = json!({ "factor": factor, "on_s": 3_600, "off_s": 3_600 });
    }
    Some(told)
}

/// By how much busy hours differ from others whose calls vary so much: rates that last an hour, half of them high and half low. Of
/// calls in an hour the variance is then `1 + n (f - 1)^2` times the mean `n`.
fn burst_factor(dispersion: f64, per_hour: f64) -> Option<f64> {
    (dispersion > BY_CHANCE && per_hour > 0.0).then(|| (1.0 + ((dispersion - 1.0) / per_hour).sqrt()).min(2.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::trunks::Trunks;
    use crate::simulate::trunks::plan::Load;

    fn row(whose: Whose, hour: i64, erlangs: f64, calls: u32) -> Row {
        let from = Timestamp(hour * HOUR_MS);
        Row { whose, from, inbound: calls, outbound: 0, blocked: 0, peak: 9, erlangs }
    }

    #[test]
    fn tenants_are_taken_in_the_trunks_busiest_hour() {
        let mut rows = Vec::new();
        for day in 0..20 {
            for (hour, acme, blue) in [(9, 4.0, 1.0), (10, 3.0, 4.0), (11, 5.0, 0.0)] {
                let at = 24 * day + hour;
                rows.push(row(Whose::Trunk("city".into()), at, acme + blue, 140));
                rows.push(row(Whose::Tenant("acme".into()), at, acme, 80));
                if blue > 0.0 {
                    rows.push(row(Whose::Tenant("blue".into()), at, blue, 60));
                }
            }
        }
        let days = busiest(&rows);
        assert_eq!((days.len(), days.keys().next()), (20, Some(&(10 * HOUR_MS))));
        let tenants = by_tenant(&rows, &days);
        let provision: Provision = toml::from_str(
            "[[tenant]]\nname = 'acme'\ncontract = { trunks = ['city'], ratio = 1.25, after_hours = 2 }\n\
             [[tenant]]\nname = 'blue'\n[[agent]]\ntenant = 'acme'\nname = 'a{n}'\nrange = [1, 6]\n",
        )
        .expect("well-formed");
        let told: Vec<Value> =
            tenants.iter().filter_map(|(name, hours)| tenant(&provision, "city", name, hours, 2.0)).collect();
        let text = json!({ "kind": "trunks", "trunks": 9, "hours": 24, "tenants": told }).to_string();
        let scenario = Trunks::read("live", &text).expect("a scenario");
        let of: Vec<_> = scenario.tenants.iter().map(|t| (t.name.as_str(), t.agents, t.permitted())).collect();
        assert_eq!(of, [("acme", 6, 8), ("blue", 0, 0)]);
        let loads: Vec<f64> = (0..2).map(|n| (100.0 * Load::of_tenant(&scenario, n).erlangs).round() / 100.0).collect();
        assert_eq!(loads, [6.0, 8.0], "3 and 4 erlangs, grown to twice as much");
    }

    #[test]
    fn hours_that_differ_are_bursts_that_differ_as_much() {
        assert_eq!(burst_factor(1.0, 100.0), None);
        let factor = burst_factor(5.0, 100.0).expect("bursts");
        assert!((factor - 1.2).abs() < 1e-9, "{factor}");
        assert_eq!(burst_factor(1e6, 100.0), Some(2.0), "never less than none");
    }
}
