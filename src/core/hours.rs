//! Opening hours: a week of ranges, and holidays, on the local clock.
//!
//! Ranges are compared with the wall clock of the zone, so a change to or from summer time moves with the people: an
//! office that opens at 09:00 opens at 09:00 on either side of it, and a range inside the repeated hour holds twice.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;

use crate::base::Timestamp;

/// Minutes in a day.
const DAY: u16 = 24 * 60;

/// Where a table of hours has its days off.
const HOLIDAYS: &str = "holidays";

/// The days' names in a flow, Monday first.
pub(crate) const DAYS: [&str; 7] = ["mo", "tu", "we", "th", "fr", "sa", "su"];

/// When it is open. A range belongs to the day on which it begins, also when it runs over midnight; on a holiday no
/// range begins, and none that began the day before goes on.
#[derive(Clone, PartialEq, Default, Debug)]
pub(crate) struct Hours {
    /// Ranges by the day on which they begin, Monday first.
    pub(crate) week: [Vec<Range>; 7],
    /// Days that are holidays.
    pub(crate) holidays: Vec<Holiday>,
}

/// From a minute of the day until (not including) another, counted from midnight; an end beyond the day's 1,440 minutes
/// lies on the next day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Range {
    from_min: u16,
    to_min: u16,
}

/// A day off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holiday {
    /// One date.
    Once(Date),
    /// A month and day of every year.
    Yearly(i8, i8),
}

/// What the hours say of a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Openness {
    /// Within a range.
    Open,
    /// Outside of all ranges.
    Closed,
    /// On a holiday.
    Holiday,
}

impl Openness {
    /// The word for records.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Holiday => "holiday",
        }
    }
}

impl Hours {
    /// Reads days (`mo-fr`) and their ranges (`09:00-12:00 13:00-17:00`, or `closed`), and `holidays` (`2026-12-24 --12-25`).
    ///
    /// # Errors
    /// The key, and what is wrong with it or with what stands there.
    pub(crate) fn read(entries: &BTreeMap<String, String>) -> Result<Self, (&str, HoursError)> {
        let mut hours = Self::default();
        let mut taken = [false; DAYS.len()];
        for (key, text) in entries {
            let wrong = |error| (key.as_str(), error);
            let words = text.split_ascii_whitespace();
            if key == HOLIDAYS {
                hours.holidays = words.map(Holiday::parse).collect::<Result<_, _>>().map_err(wrong)?;
                continue;
            }
            let ranges = match text.trim() {
                "closed" => Vec::new(),
                "" => return Err(wrong(HoursError::Form)),
                _ => words.map(Range::parse).collect::<Result<Vec<Range>, _>>().map_err(wrong)?,
            };
            check_overlap(&ranges).map_err(wrong)?;
            for day in days(key).map_err(wrong)? {
                let again = taken.get_mut(day).is_none_or(|taken| std::mem::replace(taken, true));
                if again {
                    return Err(wrong(HoursError::Again));
                }
                if let Some(of_day) = hours.week.get_mut(day) {
                    of_day.clone_from(&ranges);
                }
            }
        }
        if taken == [false; DAYS.len()] { Err((HOLIDAYS, HoursError::NoDay)) } else { Ok(hours) }
    }

    /// Whether it is open at a moment, by the clocks of a zone.
    pub(crate) fn is_open(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let moment = jiff::Timestamp::from_millisecond(at.as_millis());
        moment.is_ok_and(|moment| self.at(zone.to_datetime(moment)) == Openness::Open)
    }

    /// What holds at a moment of the local clock.
    pub(crate) fn at(&self, local: DateTime) -> Openness {
        let date = local.date();
        if self.is_holiday(date) {
            return Openness::Holiday;
        }
        let minute = minute_of_day(local);
        if self.ranges(date.weekday()).iter().any(|range| (range.from_min..range.to_min).contains(&minute)) {
            return Openness::Open;
        }
        let runs_on = date.yesterday().is_ok_and(|yesterday| {
            !self.is_holiday(yesterday)
                && self.ranges(yesterday.weekday()).iter().any(|range| minute + DAY < range.to_min)
        });
        if runs_on { Openness::Open } else { Openness::Closed }
    }

    fn ranges(&self, day: Weekday) -> &[Range] {
        let index = usize::try_from(day.to_monday_zero_offset()).unwrap_or_default();
        self.week.get(index).map_or(&[], Vec::as_slice)
    }

    fn is_holiday(&self, date: Date) -> bool {
        self.holidays.iter().any(|holiday| match *holiday {
            Holiday::Once(day) => day == date,
            Holiday::Yearly(month, day) => (month, day) == (date.month(), date.day()),
        })
    }
}

fn minute_of_day(local: DateTime) -> u16 {
    u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs())
}

/// Why a text gives no opening hours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HoursError {
    /// Not `HH:MM-HH:MM`.
    Form,
    /// No such time of day.
    Time,
    /// Begins where it ends.
    Empty,
    /// Two ranges of a day overlap.
    Overlap,
    /// Not a day, or days, of the week.
    Day,
    /// A day that was named before.
    Again,
    /// Days off, and no day on.
    NoDay,
    /// No such date, or not `YYYY-MM-DD` or `--MM-DD`.
    Date,
}

impl fmt::Display for HoursError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "is not a range of times",
            Self::Time => "holds a time that does not exist",
            Self::Empty => "begins where it ends",
            Self::Overlap => "holds ranges that overlap",
            Self::Day => "is not a day of the week",
            Self::Again => "names a day again",
            Self::NoDay => "without any day of the week",
            Self::Date => "is not a date",
        })
    }
}

impl Range {
    /// Reads `HH:MM-HH:MM`; an end before the beginning lies on the next day, and `24:00` is the end of the day.
    pub(crate) fn parse(text: &str) -> Result<Self, HoursError> {
        let (from, to) = text.split_once('-').ok_or(HoursError::Form)?;
        let from_min = time(from.trim())?;
        let to_min = time(to.trim())?;
        match from_min {
            DAY => Err(HoursError::Time),
            from_min if from_min == to_min => Err(HoursError::Empty),
            from_min if from_min < to_min => Ok(Self { from_min, to_min }),
            from_min => Ok(Self { from_min, to_min: to_min + DAY }),
        }
    }
}

/// Whether no two ranges of a day overlap.
pub(crate) fn check_overlap(ranges: &[Range]) -> Result<(), HoursError> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let overlap = sorted.iter().zip(sorted.iter().skip(1)).any(|(one, next)| one.to_min > next.from_min);
    if overlap { Err(HoursError::Overlap) } else { Ok(()) }
}

/// Minutes since midnight of `HH:MM`, up to `24:00`.
fn time(text: &str) -> Result<u16, HoursError> {
    let (hour, minute) = text.split_once(':').ok_or(HoursError::Form)?;
    let two_digits = |text: &str| match text.as_bytes() {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Ok(u16::from(tens - b'0') * 10 + u16::from(ones - b'0')),
        _ => Err(HoursError::Form),
    };
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    if minute > 59 || hour * 60 + minute > DAY {
        return Err(HoursError::Time);
    }
    Ok(hour * 60 + minute)
}

/// Reads `mo`, `mo-fr`, `fr-mo` (over the week's end) or several with commas, as indices from Monday.
pub(crate) fn days(text: &str) -> Result<Vec<usize>, HoursError> {
    let mut found = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let index = |name: &str| DAYS.iter().position(|day| *day == name.trim()).ok_or(HoursError::Day);
        let (first, last) = (index(first)?, index(last)?);
        let length = (last + DAYS.len() - first) % DAYS.len();
        found.extend((0..=length).map(|step| (first + step) % DAYS.len()));
    }
    Ok(found)
}

impl Holiday {
    /// Reads `YYYY-MM-DD`, or `--MM-DD` for every year.
    pub(crate) fn parse(text: &str) -> Result<Self, HoursError> {
        let yearly = text.strip_prefix("--");
        // Yearly days are checked in a leap year, so that the 29th of February may be one.
        let full = yearly.map_or_else(|| text.to_owned(), |day| format!("2024-{day}"));
        let date: Date = match full.len() {
            10 => full.parse().map_err(|_| HoursError::Date)?,
            _ => return Err(HoursError::Date),
        };
        Ok(match yearly {
            Some(_) => Self::Yearly(date.month(), date.day()),
            None => Self::Once(date),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(entries: &[(&str, &[&str])], holidays: &[&str]) -> Result<Hours, HoursError> {
        let mut hours = Hours::default();
        for (names, ranges) in entries {
            for day in days(names)? {
                for range in *ranges {
                    hours.week[day].push(Range::parse(range)?);
                }
            }
        }
        for holiday in holidays {
            hours.holidays.push(Holiday::parse(holiday)?);
        }
        Ok(hours)
    }

    fn at(hours: &Hours, local: &str) -> Openness {
        hours.at(local.parse().expect("a civil time"))
    }

    #[test]
    fn several_ranges_a_day() -> Result<(), HoursError> {
        let hours = week(&[("mo-fr", &["09:00-12:00", "13:00-17:30"]), ("sa", &["10:00-14:00"])], &[])?;
        // 2026-11-23 is a Monday.
        assert_eq!(at(&hours, "2026-11-23T08:59:59"), Openness::Closed);
        assert_eq!(at(&hours, "2026-11-23T09:00"), Openness::Open);
        assert_eq!(at(&hours, "2026-11-23T11:59:59"), Openness::Open);
        assert_eq!(at(&hours, "2026-11-23T12:00"), Openness::Closed);
        assert_eq!(at(&hours, "2026-11-23T17:29:59"), Openness::Open);
        assert_eq!(at(&hours, "2026-11-23T17:30"), Openness::Closed);
        assert_eq!(at(&hours, "2026-11-28T13:00"), Openness::Open);
        assert_eq!(at(&hours, "2026-11-29T13:00"), Openness::Closed);
        Ok(())
    }

    #[test]
    fn over_midnight_belongs_to_the_day_it_begins() -> Result<(), HoursError> {
        let hours = week(&[("su", &["22:00-06:00"])], &["2026-11-24"])?;
        assert_eq!(at(&hours, "2026-11-22T21:59"), Openness::Closed);
        assert_eq!(at(&hours, "2026-11-22T23:00"), Openness::Open);
        assert_eq!(at(&hours, "2026-11-23T05:59"), Openness::Open);
        assert_eq!(at(&hours, "2026-11-23T06:00"), Openness::Closed);
        assert_eq!(at(&hours, "2026-11-23T23:00"), Openness::Closed);
        let always = week(&[("mo-su", &["00:00-24:00"])], &[])?;
        assert_eq!(at(&always, "2026-11-23T00:00"), Openness::Open);
        assert_eq!(at(&always, "2026-11-23T23:59:59"), Openness::Open);
        Ok(())
    }

    #[test]
    fn holidays_close_their_whole_day() -> Result<(), HoursError> {
        let hours = week(&[("mo-su", &["20:00-04:00"])], &["2026-11-24", "--12-25", "--02-29"])?;
        assert_eq!(at(&hours, "2026-11-23T23:00"), Openness::Open);
        assert_eq!(at(&hours, "2026-11-24T01:00"), Openness::Holiday);
        assert_eq!(at(&hours, "2026-11-24T21:00"), Openness::Holiday);
        // The night that would have begun on the holiday.
        assert_eq!(at(&hours, "2026-11-25T01:00"), Openness::Closed);
        assert_eq!(at(&hours, "2031-12-25T21:00"), Openness::Holiday);
        assert_eq!(at(&hours, "2028-02-29T21:00"), Openness::Holiday);
        assert_eq!(at(&hours, "2027-11-24T21:00"), Openness::Open);
        Ok(())
    }

    #[test]
    fn summer_time_moves_with_the_clock() -> Result<(), Box<dyn std::error::Error>> {
        let zone = TimeZone::get("America/New_York")?;
        let hours = week(&[("mo-su", &["09:00-17:00", "01:15-01:45"])], &[]).map_err(|e| e.to_string())?;
        let state = |utc: &str| -> Result<Openness, jiff::Error> {
            Ok(hours.at(zone.to_datetime(utc.parse::<jiff::Timestamp>()?)))
        };
        // Clocks went forward on 2026-03-08: 09:00 is 14:00 UTC the day before and 13:00 UTC from then on.
        assert_eq!(state("2026-03-07T13:59:59Z")?, Openness::Closed);
        assert_eq!(state("2026-03-07T14:00:00Z")?, Openness::Open);
        assert_eq!(state("2026-03-08T12:59:59Z")?, Openness::Closed);
        assert_eq!(state("2026-03-08T13:00:00Z")?, Openness::Open);
        // Clocks go back on 2026-11-01: 01:30 comes twice.
        assert_eq!(state("2026-11-01T05:30:00Z")?, Openness::Open);
        assert_eq!(state("2026-11-01T06:00:00Z")?, Openness::Closed);
        assert_eq!(state("2026-11-01T06:30:00Z")?, Openness::Open);
        assert_eq!(state("2026-11-01T13:59:59Z")?, Openness::Closed);
        assert_eq!(state("2026-11-01T14:00:00Z")?, Openness::Open);
        Ok(())
    }

    #[test]
    fn a_table_of_texts_says_the_same() {
        let read = |entries: &[(&str, &str)]| {
            let entries: BTreeMap<String, String> =
                entries.iter().map(|(day, text)| (day.to_string(), text.to_string())).collect();
            Hours::read(&entries).map_err(|(key, error)| (key.to_owned(), error))
        };
        let same = week(&[("mo-fr", &["09:00-12:00", "13:00-17:30"])], &["2026-12-24", "--12-25"]);
        assert_eq!(
            read(&[("mo-fr", "09:00-12:00 13:00-17:30"), ("sa", "closed"), ("holidays", "2026-12-24 --12-25")]),
            same.map_err(|error| (String::new(), error))
        );
        for (entries, key, error) in [
            (&[("mo-fr", "9-17")][..], "mo-fr", HoursError::Form),
            (&[("mo", "")], "mo", HoursError::Form),
            (&[("mo-fr", "09:00-12:00 11:00-13:00")], "mo-fr", HoursError::Overlap),
            (&[("mo-fr", "09:00-12:00"), ("we", "closed")], "we", HoursError::Again),
            (&[("mo-fr", "09:00-12:00"), ("holidays", "soon")], "holidays", HoursError::Date),
            (&[("holidays", "2026-12-24")], "holidays", HoursError::NoDay),
            (&[], "holidays", HoursError::NoDay),
            (&[("monday", "09:00-12:00")], "monday", HoursError::Day),
        ] {
            assert_eq!(read(entries), Err((key.to_owned(), error)), "{entries:?}");
        }
    }

    #[test]
    fn a_moment_is_taken_by_the_clocks_of_a_zone() {
        let hours = week(&[("mo-fr", &["09:00-17:00"])], &[]).expect("hours");
        let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
        let open = |utc: &str, zone: &TimeZone| {
            let at = utc.parse::<jiff::Timestamp>().expect("a moment").as_millisecond();
            hours.is_open(Timestamp(at), zone)
        };
        assert!(open("2026-11-23T08:00:00Z", &berlin) && !open("2026-11-23T08:00:00Z", &TimeZone::UTC));
        assert!(!open("2026-11-23T16:00:00Z", &berlin) && open("2026-11-23T16:00:00Z", &TimeZone::UTC));
        assert!(!hours.is_open(Timestamp(i64::MAX), &berlin), "a time that there is not");
    }

    #[test]
    fn refuses_what_is_no_time() {
        assert_eq!(Range::parse("9:00-17:00"), Err(HoursError::Form));
        assert_eq!(Range::parse("0900"), Err(HoursError::Form));
        assert_eq!(Range::parse("09:00-25:00"), Err(HoursError::Time));
        assert_eq!(Range::parse("09:60-10:00"), Err(HoursError::Time));
        assert_eq!(Range::parse("09:00-24:01"), Err(HoursError::Time));
        assert_eq!(Range::parse("24:00-02:00"), Err(HoursError::Time));
        assert_eq!(Range::parse("09:00-09:00"), Err(HoursError::Empty));
        assert_eq!(days("mon"), Err(HoursError::Day));
        assert_eq!(days("fr-mo"), Ok(vec![4, 5, 6, 0]));
        assert_eq!(days("mo,we-th"), Ok(vec![0, 2, 3]));
        for text in ["2026-02-29", "2026-13-01", "--02-30", "--2-3", "12-25", "2026-12-25T10:00", ""] {
            assert_eq!(Holiday::parse(text), Err(HoursError::Date), "{text}");
        }
        let overlapping = ["09:00-12:00", "11:59-13:00"].map(|text| Range::parse(text).expect("a range"));
        assert_eq!(check_overlap(&overlapping), Err(HoursError::Overlap));
        let touching = ["12:00-13:00", "09:00-12:00"].map(|text| Range::parse(text).expect("a range"));
        assert_eq!(check_overlap(&touching), Ok(()));
    }
}
