//! `cordboard cdr export`.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::args::CdrArgs;
use super::{CliError, Place, records};
use crate::base::Timestamp;
use crate::edge::store::{CDR_CSV_HEADER, CdrFilter, Reader, StoreError, cdr_csv, cdr_json};

/// Prints the records, one line each, as they are read.
pub fn export(place: &Place, args: &CdrArgs) -> Result<(), CliError> {
    let now = Timestamp(jiff::Timestamp::now().as_millisecond());
    let filter = CdrFilter {
        tenant: args.tenant.clone(),
        since: args.since.as_deref().map(|text| time(text, now)).transpose()?,
        until: args.until.as_deref().map(|text| time(text, now)).transpose()?,
        limit: args.limit,
        trace: args.trace,
        after: None,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut line = |text: &str| writeln!(out, "{text}").map_err(CliError::Output);
    // A record that cannot be read must not keep the others back. Who is refused gets no head line.
    let (mut failed, mut head) = (None, Some(CDR_CSV_HEADER).filter(|_| !args.json));
    records::calls(place, &filter, |cdr| {
        head.take().map_or(Ok(()), &mut line)?;
        match cdr {
            Ok(cdr) if args.json => line(&cdr_json(&cdr).to_string())?,
            Ok(cdr) => line(&cdr_csv(&cdr))?,
            Err(error) => failed = Some(error),
        }
        Ok(())
    })?;
    head.take().map_or(Ok(()), &mut line)?;
    out.flush().map_err(CliError::Output)?;
    failed.map_or(Ok(()), Err)
}

/// The store of a data folder, if anything was ever recorded there.
pub(super) fn reader(dir: &Path) -> Result<Option<Reader>, CliError> {
    match Reader::open(dir) {
        Ok(reader) => Ok(Some(reader)),
        Err(StoreError::Missing { .. }) if dir.is_dir() => Ok(None),
        Err(StoreError::Missing { .. }) => Err(CliError::NoData { data_dir: dir.to_owned() }),
        Err(error) => Err(error.into()),
    }
}

/// A time as RFC 3339, a date (its start in UTC), or an age such as `90m`, `24h`, `7d`.
pub(super) fn time(text: &str, now: Timestamp) -> Result<Timestamp, CliError> {
    let wrong = || {
        CliError::Usage(format!(
            "`{text}` is no time; expected 2026-01-31, 2026-01-31T08:00:00Z or an age: 90m, 24h, 7d"
        ))
    };
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(at.as_millisecond()));
    }
    if let Ok(date) = text.parse::<Date>() {
        let midnight = date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
        return Ok(Timestamp(midnight.timestamp().as_millisecond()));
    }
    let ago_ms = age_ms(text).ok_or_else(wrong)?;
    Ok(Timestamp(now.0.saturating_sub(ago_ms)))
}

/// A length of time such as `90m`, `24h`, `7d`, in milliseconds.
pub(super) fn age_ms(text: &str) -> Option<i64> {
    let unit_s: i64 = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let count: u32 = text.get(..text.len() - 1)?.parse().ok()?;
    Some(i64::from(count).saturating_mul(unit_s * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_dates_or_ages() {
        let now = Timestamp(1_000_000_000_000);
        assert_eq!(time("1970-01-02", now).unwrap(), Timestamp(86_400_000));
        assert_eq!(time("1970-01-01T01:00:00+01:00", now).unwrap(), Timestamp(0));
        assert_eq!(time("90m", now).unwrap(), Timestamp(now.0 - 5_400_000));
        assert_eq!(time("2d", now).unwrap(), Timestamp(now.0 - 172_800_000));
        for bad in ["", "yesterday", "d", "-1h", "99999999999d", "7ü"] {
            assert!(matches!(time(bad, now), Err(CliError::Usage(_))), "{bad}");
        }
    }
}
