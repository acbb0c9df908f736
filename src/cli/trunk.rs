//! `cordboard trunk busy-out`, `restore`, and, from the records alone, `usage` and `forecast`; whether the appliance runs or not.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::args::{EntityCommand, ForecastArgs, RoutesArgs, UsageArgs};
use super::cdr::{age_ms, reader, time};
use super::entity::Kind;
use super::{CliError, Place, entity, live, output, records};
use crate::base::{CallId, Timestamp};
use crate::core::control::{Query, Reply};
use crate::core::journal::CallEvent;
use crate::core::tenant::Provision;
use crate::core::tenant::directory::capacity;
use crate::core::tenant::provision::Trunk;
use crate::core::trunk::forecast::{self, DAYS_MIN, Measured, Month, PeakHour};
use crate::core::trunk::overflow::{NOT_OVERFLOWED, OVERFLOWED};
use crate::core::trunk::sharing::{ADMITTED, NOT_ADMITTED};
use crate::core::trunk::usage::{PERIODS_MAX, Row, Usage, Whose};
use crate::edge::console::{Table, render};
use crate::edge::store::{CdrFilter, Reader};

/// Calls that began longer before the time asked for are taken to be over.
pub(super) const LONGEST_CALL_MS: i64 = 24 * HOUR_MS;
pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;
/// Months that people are shown, each a line.
const MONTHS_SHOWN: usize = 12;

/// Runs `cordboard trunk busy-out` and `trunk restore`: it is part of the provisioning, so a restart keeps it.
pub fn set_in_service(place: &Place, name: String, in_service: bool) -> Result<(), CliError> {
    let fields = vec![format!("out_of_service={}", !in_service)];
    entity::run(place, Kind::Trunk, EntityCommand::Set { name, fields, dry_run: false })
}

/// Runs `cordboard trunk explain`: each decision with what it was made of, as the call's record has it.
pub fn explain(place: &Place, call: CallId, json: bool) -> Result<(), CliError> {
    let found = records::call(place, call)?;
    let missing = || CliError::Missing { kind: "call", name: call.to_string(), nearest: None };
    let cdr = found.ok_or_else(missing)?;
    let told = [ADMITTED, NOT_ADMITTED, OVERFLOWED, NOT_OVERFLOWED];
    let decisions: Vec<&CallEvent> = cdr.events.iter().filter(|event| told.contains(&event.what.as_str())).collect();
    if json {
        return output::json(&decisions);
    }
    if decisions.is_empty() {
        return output::line("it asked for no circuit that tenants share");
    }
    let mut table = Table::new(["at", "decision", "why"]);
    for event in decisions {
        table.row([event.at.to_string(), event.what.replace('-', " "), event.detail.clone()]);
    }
    live::text(&table)
}

/// Runs `cordboard trunk routes`.
pub fn routes(place: &Place, args: RoutesArgs) -> Result<(), CliError> {
    let at = args.at.as_deref().map(|text| time(text, live::now())).transpose()?;
    match live::connect(place)?.query(&Query::Routes { number: args.number, at, tenant: args.tenant })? {
        Reply::Routes(view) if args.json => output::json(&view),
        Reply::Routes(view) => output::line(&render::routes(*view)),
        other => live::unexpected(other),
    }
}

/// Runs `cordboard trunk usage`.
pub fn usage(dir: &Path, args: &UsageArgs) -> Result<(), CliError> {
    let now = live::now();
    let (since, until) = (time(&args.since, now)?, args.until.as_deref().map_or(Ok(now), |text| time(text, now))?);
    if until <= since {
        let (from, to) = (&args.since, args.until.as_deref().unwrap_or("now"));
        return Err(CliError::Usage(format!("--until {to} is not after --since {from}; expected a later time")));
    }
    let every = age_ms(&args.every).filter(|ms| *ms > 0);
    let every =
        every.ok_or_else(|| CliError::Usage(format!("`{}` is no length; expected 15m, 1h or 1d", args.every)))?;
    let periods = (until.0.saturating_sub(since.0)) / every;
    if periods > PERIODS_MAX {
        let least_min = (until.0.saturating_sub(since.0)) / PERIODS_MAX / 60_000 + 1;
        return Err(CliError::Usage(format!(
            "{periods} periods; with --every {least_min}m there are {PERIODS_MAX} at most"
        )));
    }
    let reader = reader(dir)?;
    let wanted = |whose: &Whose| match whose {
        Whose::Trunk(name) => args.tenant.is_none() && args.trunk.as_ref().is_none_or(|wanted| wanted == name),
        Whose::Tenant(name) => args.trunk.is_none() && args.tenant.as_ref().is_none_or(|wanted| wanted == name),
    };
    let found = reader.as_ref().map_or(Ok(Vec::new()), |reader| rows(reader, since, until, every))?;
    let rows: Vec<Row> = found.into_iter().filter(|row| wanted(&row.whose)).collect();
    // What is no longer provisioned has its records still.
    if let Some(reader) = reader.as_ref().filter(|_| rows.is_empty()) {
        let provision = reader.provision()?;
        let trunks = provision.trunk.iter().map(|trunk| trunk.name.as_str());
        let tenants = provision.tenant.iter().map(|tenant| tenant.name.as_str());
        CliError::unless_there("trunk", args.trunk.as_deref(), trunks)?;
        CliError::unless_there("tenant", args.tenant.as_deref(), tenants)?;
    }
    if args.json {
        return output::json(&rows);
    }
    let mut table = Table::new(["kind", "name", "from", "in", "out", "blocked", "peak", "erlangs"]);
    for row in rows {
        table.row([
            row.whose.kind().into(),
            row.whose.name().into(),
            minute(row.from),
            row.inbound.to_string(),
            row.outbound.to_string(),
            row.blocked.to_string(),
            row.peak.to_string(),
            format!("{:.2}", row.erlangs),
        ]);
    }
    live::text(&table)
}

/// What was held from `since` to `until`.
fn rows(reader: &Reader, since: Timestamp, until: Timestamp, period_ms: i64) -> Result<Vec<Row>, CliError> {
    let mut usage = Usage::new(since, until, period_ms);
    let since = Some(Timestamp(since.0.saturating_sub(LONGEST_CALL_MS)));
    for cdr in reader.cdrs(&CdrFilter { since, until: Some(until), ..CdrFilter::default() }) {
        usage.add(&cdr?);
    }
    Ok(usage.rows())
}

fn minute(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| at.to_string(), |t| t.strftime("%Y-%m-%d %H:%MZ").to_string())
}

/// What is foretold of a trunk.
#[derive(Serialize)]
struct Foretold {
    trunk: String,
    circuits: Option<u32>,
    days: usize,
    #[serde(flatten)]
    outlook: Option<Outlook>,
}

#[derive(Serialize)]
struct Outlook {
    peak_hour_erlangs: f64,
    growth_pct_a_month: f64,
    growth_pct_a_month_ci95: [f64; 2],
    dispersion: f64,
    peakedness: f64,
    /// The first month in which more is blocked than may be.
    too_small: Option<String>,
    months: Vec<MonthTold>,
}

#[derive(Serialize)]
struct MonthTold {
    month: String,
    peak_hour_erlangs: f64,
    blocking_pct: Option<f64>,
    circuits_needed: Option<u32>,
}

/// Runs `cordboard trunk forecast`.
pub fn forecast(dir: &Path, args: &ForecastArgs) -> Result<(), CliError> {
    if !(args.blocking > 0.0 && args.blocking < 100.0) {
        return Err(CliError::Usage(format!(
            "`--blocking {}` is no share; expected more than 0, less than 100",
            args.blocking
        )));
    }
    let now = live::now();
    let since = time(&args.since, now)?;
    let reader = reader(dir)?.ok_or_else(|| CliError::NoData { data_dir: dir.to_owned() })?;
    let mut circuits = circuits(&reader.provision()?);
    if let Some(name) = &args.trunk {
        if !circuits.contains_key(name) {
            return Err(CliError::missing("trunk", name, circuits.keys().map(String::as_str)));
        }
        circuits.retain(|trunk, _| trunk == name);
        if let Some(n) = args.circuits {
            circuits.insert(name.clone(), Some(n));
        }
    }
    // Whole days: the peak of one under way is still to come.
    let midnight = |at: Timestamp| Timestamp(at.0.div_euclid(DAY_MS) * DAY_MS);
    let since = midnight(Timestamp(since.0.saturating_add(DAY_MS - 1)));
    let days = peak_hours(&rows(&reader, since, midnight(now), HOUR_MS)?);
    let foretold: Vec<Foretold> = circuits
        .into_iter()
        .map(|(trunk, circuits)| {
            let days = days.get(&trunk).map_or(&[][..], Vec::as_slice);
            let measured = forecast::measure(days);
            let outlook = measured.map(|measured| outlook(&measured, circuits, args.blocking / 100.0, now));
            Foretold { trunk, circuits, days: days.len(), outlook }
        })
        .collect();
    if args.json {
        return output::json(&foretold);
    }
    foretold.iter().try_for_each(|trunk| tell(trunk, args.blocking))
}

/// How many circuits each trunk has; of one by SIP that may carry any number of calls it is not known.
fn circuits(provision: &Provision) -> BTreeMap<String, Option<u32>> {
    let known = |trunk: &Trunk| trunk.kind == "tdm" || trunk.calls_max > 0;
    let count = |trunk: &Trunk| known(trunk).then(|| capacity(provision, trunk));
    provision.trunk.iter().map(|trunk| (trunk.name.clone(), count(trunk))).collect()
}

/// The hour of each day in which most was held, by trunk; days are those of UTC.
fn peak_hours(rows: &[Row]) -> BTreeMap<String, Vec<PeakHour>> {
    let mut days: BTreeMap<String, BTreeMap<i64, PeakHour>> = BTreeMap::new();
    for row in rows {
        let Whose::Trunk(trunk) = &row.whose else { continue };
        let day = row.from.0.div_euclid(DAY_MS);
        let hour = PeakHour { day, erlangs: row.erlangs, calls: row.inbound + row.outbound };
        let peak = days.entry(trunk.clone()).or_default().entry(day).or_insert(hour);
        if hour.erlangs > peak.erlangs {
            *peak = hour;
        }
    }
    days.into_iter().map(|(trunk, days)| (trunk, days.into_values().collect())).collect()
}

fn outlook(measured: &Measured, circuits: Option<u32>, share: f64, now: Timestamp) -> Outlook {
    let months = forecast::months(measured, circuits.unwrap_or(0), share);
    let name = |month: &Month| month_after(now, month.ahead);
    let too_small = circuits.and_then(|_| months.iter().find(|month| month.blocking > share)).map(name);
    let percent = |growth: f64| (growth - 1.0) * 100.0;
    let w = measured.growth_ci95;
    Outlook {
        peak_hour_erlangs: measured.erlangs,
        growth_pct_a_month: percent(measured.growth),
        growth_pct_a_month_ci95: [-w, w].map(|w| percent(measured.growth * w.exp())),
        dispersion: measured.dispersion,
        peakedness: measured.peakedness,
        too_small,
        months: months
            .iter()
            .map(|month| MonthTold {
                month: name(month),
                peak_hour_erlangs: month.erlangs,
                blocking_pct: circuits.map(|_| month.blocking * 100.0),
                circuits_needed: month.lines,
            })
            .collect(),
    }
}

/// `2027-03`.
fn month_after(now: Timestamp, months: usize) -> String {
    let today = jiff::Timestamp::from_millisecond(now.0).map(|t| t.to_zoned(jiff::tz::TimeZone::UTC).date());
    let then = today.and_then(|date| date.checked_add(jiff::Span::new().try_months(months as i64)?));
    then.map_or_else(|_| format!("+{months} months"), |date| date.strftime("%Y-%m").to_string())
}

fn tell(of: &Foretold, share: f64) -> Result<(), CliError> {
    let circuits = of.circuits.map_or("circuits not known".into(), |n| format!("{n} circuits"));
    output::line(&format!("trunk {}: {circuits}", of.trunk))?;
    let Some(outlook) = &of.outlook else {
        return output::line(&format!("  {} days with calls; {DAYS_MIN} tell of growth\n", of.days));
    };
    let [least, most] = outlook.growth_pct_a_month_ci95;
    output::line(&format!(
        "  {:.1} erlangs in the peak hour; {:+.1} % a month ({least:+.1} to {most:+.1}); calls vary {:.1} times as much as by \
         chance, circuits held {:.1} times",
        outlook.peak_hour_erlangs, outlook.growth_pct_a_month, outlook.dispersion, outlook.peakedness
    ))?;
    output::line(&match (&outlook.too_small, of.circuits) {
        (Some(month), _) => format!("  at this growth it blocks over {share} % in {month}\n"),
        (None, Some(_)) => {
            format!("  at this growth it does not block over {share} % in the next {} months\n", forecast::MONTHS)
        }
        (None, None) => "  with --circuits it is told when they will be too few\n".into(),
    })?;
    let mut table = Table::new(["month", "erlangs", "blocked %", "circuits needed"]);
    for month in outlook.months.iter().take(MONTHS_SHOWN + 1) {
        table.row([
            month.month.clone(),
            format!("{:.1}", month.peak_hour_erlangs),
            month.blocking_pct.map_or("-".into(), |pct| format!("{pct:.2}")),
            month.circuits_needed.map_or("-".into(), |n| n.to_string()),
        ]);
    }
    live::text(&table)?;
    output::line("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_named_over_the_year_and_from_its_longest_days() {
        let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().expect("a time").as_millisecond());
        assert_eq!(month_after(at("2026-11-27T10:00:00Z"), 0), "2026-11");
        assert_eq!(month_after(at("2026-11-27T10:00:00Z"), 4), "2027-03");
        assert_eq!(month_after(at("2027-01-31T00:00:00Z"), 1), "2027-02");
    }

    #[test]
    fn the_peak_hour_is_that_of_the_day_and_the_trunk() {
        let row = |whose: Whose, hour: i64, erlangs: f64| Row {
            whose,
            from: Timestamp(hour * HOUR_MS),
            inbound: 1,
            outbound: 2,
            blocked: 0,
            peak: 9,
            erlangs,
        };
        let city = || Whose::Trunk("city".into());
        let rows = [
            row(city(), 9, 1.0),
            row(city(), 10, 3.0),
            row(city(), 11, 2.0),
            row(city(), 30, 0.5),
            row(Whose::Tenant("acme".into()), 9, 7.0),
        ];
        let days = peak_hours(&rows);
        assert_eq!(days.keys().collect::<Vec<_>>(), ["city"]);
        let of: Vec<_> = days["city"].iter().map(|d| (d.day, d.erlangs, d.calls)).collect();
        assert_eq!(of, [(0, 3.0, 3), (1, 0.5, 3)]);
    }

    #[test]
    fn circuits_are_those_of_spans() {
        let text = "[[trunk]]\nname = 'city'\nkind = 'tdm'\n[[trunk]]\nname = 'net'\nkind = 'sip'\n[[trunk]]\nname = 'line'\nkind = 'sip'\ncalls_max = 30\n[[card]]\nname = 'c'\n\
                    driver = 'sim-t1'\nspans = 2\n[[span]]\nname = 's'\ncard = 'c'\nsignalling = 'em-wink'\ntrunk = 'city'\n\
                    [[span]]\nname = 't'\ncard = 'c'\nspan = 2\nsignalling = 'em-wink'\ntrunk = 'city'\n";
        let circuits = circuits(&toml::from_str(text).expect("well-formed"));
        assert_eq!(
            circuits,
            BTreeMap::from([("city".into(), Some(48)), ("line".into(), Some(30)), ("net".into(), None)])
        );
    }
}
