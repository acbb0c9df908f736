//! A time that a caller agrees on: an hour of the day, or so long from now.

use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::base::Timestamp;

/// Most minutes from now: a week.
const MINUTES_MAX: i64 = 7 * 24 * 60;

/// A time to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moment {
    /// The next time that the clock shows it.
    At(Time),
    /// So many minutes from now.
    After(i64),
}

impl Moment {
    /// Reads `HH:MM`, `HHMM` as it is keyed, or `+N` minutes (1 to 10,080).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let number = |digits: &str| -> Option<i64> {
            let plain = !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|c| c.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        if let Some(minutes) = text.strip_prefix('+') {
            return number(minutes).filter(|minutes| (1..=MINUTES_MAX).contains(minutes)).map(Self::After);
        }
        let (hour, minute) = match text.split_once(':') {
            Some(parts) => parts,
            None if text.len() == 4 => text.split_at_checked(2)?,
            None => return None,
        };
        let two = |digits: &str| number(digits).filter(|_| digits.len() <= 2).and_then(|n| i8::try_from(n).ok());
        Time::new(two(hour)?, two(minute)?, 0, 0).ok().map(Self::At)
    }

    /// When that is, on the wall clock of a zone. A time that a change of clocks leaves out is the one right after.
    pub(super) fn from(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let time = match self {
            Self::After(minutes) => return Some(Timestamp(now.0.saturating_add(minutes * 60_000))),
            Self::At(time) => time,
        };
        let today = zone.to_datetime(jiff::Timestamp::from_millisecond(now.as_millis()).ok()?).date();
        [Some(today), today.tomorrow().ok()].into_iter().flatten().find_map(|day| {
            let moment = zone.to_ambiguous_zoned(day.to_datetime(time)).compatible().ok()?;
            let at = Timestamp(moment.timestamp().as_millisecond());
            (at > now).then_some(at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23, 15:04 in New York.
    const NOW: Timestamp = Timestamp(1_795_464_240_000);

    fn hours_until(text: &str) -> Option<f64> {
        let zone = TimeZone::get("America/New_York").unwrap();
        let at = Moment::parse(text)?.from(NOW, &zone)?;
        Some((at.0 - NOW.0) as f64 / 3_600_000.0)
    }

    #[test]
    fn a_time_of_day_is_its_next_one() {
        assert_eq!(hours_until("16:04"), Some(1.0));
        assert_eq!(hours_until("1604"), Some(1.0));
        assert_eq!(hours_until("15:04"), Some(24.0), "now is not to come");
        assert_eq!(hours_until("9:04"), Some(18.0));
        assert_eq!(hours_until("+90"), Some(1.5));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in
            ["", "24:00", "2400", "960", "12:60", "+0", "+10081", "+", "+-5", "noon", "12:3x", "1:2:3", "12\u{b2}4"]
        {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_that_the_clock_leaves_out_is_the_one_after() {
        let zone = TimeZone::get("America/New_York").unwrap();
        // 2027-03-14, 01:00 in New York; at 02:00 it becomes 03:00.
        let now = Timestamp(1_805_004_000_000);
        let at = Moment::parse("02:30").and_then(|moment| moment.from(now, &zone)).unwrap();
        assert_eq!((at.0 - now.0) / 60_000, 90);
    }
}
