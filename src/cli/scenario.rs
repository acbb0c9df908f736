//! `cordboard export scenario`: a day's calls as they were recorded, to be simulated otherwise.

use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::cdr::reader;
use super::{CliError, files, output};
use crate::base::Timestamp;
use crate::edge::store::{CdrFilter, WorkFilter};
use crate::simulate::{recorded, recorded_mix};

/// Runs `cordboard export scenario`.
pub fn export(dir: &Path, day: &str, tenant: &str, mix: bool, to: Option<&Path>) -> Result<(), CliError> {
    let reader = reader(dir)?.ok_or_else(|| CliError::NoData { data_dir: dir.to_owned() })?;
    let provision = reader.provision()?;
    let Some(zone) = provision.tenant.iter().find(|t| t.name == tenant).map(|t| t.timezone.as_str()) else {
        let names = provision.tenant.iter().map(|t| t.name.as_str());
        return Err(CliError::missing("tenant", tenant, names));
    };
    let (since, until) = bounds(day, zone)?;
    let filter =
        CdrFilter { tenant: Some(tenant.to_owned()), since: Some(since), until: Some(until), ..CdrFilter::default() };
    // A record that cannot be read must not keep the others back.
    let (mut records, mut failed) = (vec![], None);
    for cdr in reader.cdrs(&filter) {
        match cdr {
            Ok(cdr) => records.push(cdr),
            Err(error) => failed = Some(error),
        }
    }
    let name = format!("{tenant}, {day}");
    let scenario = if mix {
        let filter = WorkFilter { tenant: Some(tenant.to_owned()), since: Some(since), limit: None, before: None };
        let mut works = vec![];
        for work in reader.ended_works(&filter) {
            match work {
                Ok(work) if (since..until).contains(&work.waits_from()) => works.push(work),
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
        }
        recorded_mix::mix(&provision, tenant, &name, (records, works))
    } else {
        recorded::scenario(&provision, tenant, since, &name, records)
    };
    let scenario = scenario.map_err(|error| CliError::Refused(error.to_string()))?;
    let text = serde_json::to_string_pretty(&scenario).map_err(|error| CliError::Output(error.into()))?;
    match to {
        Some(file) => files::write_private(file, format!("{text}\n").as_bytes())?,
        None => output::line(&text)?,
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// When a day begins and ends in a time zone.
fn bounds(day: &str, zone: &str) -> Result<(Timestamp, Timestamp), CliError> {
    let wrong = || CliError::Usage(format!("`{day}` is no day; expected 2026-01-31"));
    let date: Date = day.parse().map_err(|_| wrong())?;
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let start = |date: Date| {
        let zoned = date.to_zoned(zone.clone()).map_err(|_| wrong())?;
        Ok::<_, CliError>(Timestamp(zoned.timestamp().as_millisecond()))
    };
    Ok((start(date)?, start(date.tomorrow().map_err(|_| wrong())?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_that_of_its_time_zone_and_may_be_longer_than_another() {
        let of =
            |day, zone| bounds(day, zone).map(|(from, to)| (from.as_millis(), to.as_millis() - from.as_millis())).ok();
        assert_eq!(of("1970-01-02", "UTC"), Some((86_400_000, 86_400_000)));
        assert_eq!(of("1970-01-02", "Asia/Tokyo"), Some((86_400_000 - 9 * 3_600_000, 86_400_000)));
        assert_eq!(of("2026-10-25", "Europe/Berlin").map(|(_, length)| length), Some(25 * 3_600_000));
        assert_eq!(of("2026-13-01", "UTC"), None);
        assert_eq!(of("yesterday", "UTC"), None);
    }
}
