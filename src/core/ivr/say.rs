//! Spoken values: digits, numbers, times and dates as built-in prompts, named `LANGUAGE/KIND/WORD`.
//!
//! The order of the words is that of English. Another language speaks right where it orders them alike.

use std::sync::Arc;

use crate::core::media::PlayItem;

/// Most characters that [`digits`] speaks.
pub const DIGITS_MAX: usize = 64;

/// Greatest number that [`number`] speaks.
pub const NUMBER_MAX: u32 = 999_999_999;

/// Every prompt that this file may name, without the language before it. A language is complete when it has them all.
pub const PROMPTS: &[&str] = &[
    "digits/0",
    "digits/1",
    "digits/2",
    "digits/3",
    "digits/4",
    "digits/5",
    "digits/6",
    "digits/7",
    "digits/8",
    "digits/9",
    "digits/star",
    "digits/pound",
    "digits/plus",
    "numbers/0",
    "numbers/1",
    "numbers/2",
    "numbers/3",
    "numbers/4",
    "numbers/5",
    "numbers/6",
    "numbers/7",
    "numbers/8",
    "numbers/9",
    "numbers/10",
    "numbers/11",
    "numbers/12",
    "numbers/13",
    "numbers/14",
    "numbers/15",
    "numbers/16",
    "numbers/17",
    "numbers/18",
    "numbers/19",
    "numbers/20",
    "numbers/30",
    "numbers/40",
    "numbers/50",
    "numbers/60",
    "numbers/70",
    "numbers/80",
    "numbers/90",
    "numbers/hundred",
    "numbers/thousand",
    "numbers/million",
    "time/am",
    "time/pm",
    "time/oclock",
    "time/oh",
    "weekdays/monday",
    "weekdays/tuesday",
    "weekdays/wednesday",
    "weekdays/thursday",
    "weekdays/friday",
    "weekdays/saturday",
    "weekdays/sunday",
    "months/january",
    "months/february",
    "months/march",
    "months/april",
    "months/may",
    "months/june",
    "months/july",
    "months/august",
    "months/september",
    "months/october",
    "months/november",
    "months/december",
    "queue/position",
    "queue/in-the-queue",
    "queue/expected-wait",
    "queue/about",
    "queue/minute",
    "queue/minutes",
    "queue/less-than-a-minute",
    "queue/not-recorded",
];

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The prompts of one utterance.
struct Speech<'l> {
    language: &'l str,
    items: Vec<PlayItem>,
}

impl<'l> Speech<'l> {
    fn new(language: &'l str) -> Self {
        Self { language, items: Vec::new() }
    }

    fn word(&mut self, kind: &str, word: &str) {
        self.items.push(PlayItem::Prompt(Arc::from(format!("{}/{kind}/{word}", self.language))));
    }

    fn numeral(&mut self, value: u32) {
        self.word("numbers", &value.to_string());
    }

    /// 0..=99.
    fn tens(&mut self, value: u32) {
        if value <= 20 {
            return self.numeral(value);
        }
        self.numeral(value - value % 10);
        if !value.is_multiple_of(10) {
            self.numeral(value % 10);
        }
    }

    /// 1..=999.
    fn hundreds(&mut self, value: u32) {
        if value >= 100 {
            self.numeral(value / 100);
            self.word("numbers", "hundred");
        }
        if !value.is_multiple_of(100) {
            self.tens(value % 100);
        }
    }

    /// 0..=[`NUMBER_MAX`].
    fn number(&mut self, value: u32) {
        if value == 0 {
            return self.numeral(0);
        }
        for (unit, word) in [(1_000_000, "million"), (1_000, "thousand")] {
            let count = value / unit % 1_000;
            if count > 0 {
                self.hundreds(count);
                self.word("numbers", word);
            }
        }
        if !value.is_multiple_of(1_000) {
            self.hundreds(value % 1_000);
        }
    }

    /// 1000..=9999, the way English says years: 2026 is "twenty twenty-six", 2005 "two thousand five".
    fn year(&mut self, year: u32) {
        let (century, rest) = (year / 100, year % 100);
        if century.is_multiple_of(10) && rest < 10 {
            return self.number(year);
        }
        self.tens(century);
        match rest {
            0 => self.word("numbers", "hundred"),
            1..=9 => {
                self.word("time", "oh");
                self.numeral(rest);
            }
            _ => self.tens(rest),
        }
    }
}

/// Speaks the characters one by one: `0-9`, `*`, `#` and `+`. Spaces and `-./()` are left out, as in written numbers.
/// `None` when `text` holds anything else, nothing to speak, or more than [`DIGITS_MAX`] characters.
pub fn digits(language: &str, text: &str) -> Option<Vec<PlayItem>> {
    let mut speech = Speech::new(language);
    for c in text.chars() {
        match c {
            '0'..='9' => speech.word("digits", c.encode_utf8(&mut [0; 4])),
            '*' => speech.word("digits", "star"),
            '#' => speech.word("digits", "pound"),
            '+' => speech.word("digits", "plus"),
            ' ' | '-' | '.' | '/' | '(' | ')' => {}
            _ => return None,
        }
    }
    (1..=DIGITS_MAX).contains(&speech.items.len()).then_some(speech.items)
}

/// Speaks a whole number of 0..=[`NUMBER_MAX`]; `None` for a greater one.
pub fn number(language: &str, value: u32) -> Option<Vec<PlayItem>> {
    let mut speech = Speech::new(language);
    (value <= NUMBER_MAX).then(|| speech.number(value)).map(|()| speech.items)
}

/// Speaks a time of day on the twelve-hour clock; `None` when there is no such time (hour 0..=23, minute 0..=59).
pub fn time(language: &str, hour: u32, minute: u32) -> Option<Vec<PlayItem>> {
    if hour > 23 || minute > 59 {
        return None;
    }
    let mut speech = Speech::new(language);
    speech.numeral((hour + 11) % 12 + 1);
    match minute {
        0 => speech.word("time", "oclock"),
        1..=9 => {
            speech.word("time", "oh");
            speech.numeral(minute);
        }
        _ => speech.tens(minute),
    }
    speech.word("time", if hour < 12 { "am" } else { "pm" });
    Some(speech.items)
}

/// Speaks a date with its day of the week: "Monday, November 23, 2026". `None` for a year outside 1000..=9999.
pub fn date(language: &str, date: jiff::civil::Date) -> Option<Vec<PlayItem>> {
    let year = u32::try_from(date.year()).ok().filter(|year| (1000..=9999).contains(year))?;
    let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).ok()?;
    let month = usize::try_from(date.month()).ok()?.checked_sub(1)?;
    let mut speech = Speech::new(language);
    speech.word("weekdays", WEEKDAYS.get(weekday)?);
    speech.word("months", MONTHS.get(month)?);
    speech.tens(u32::try_from(date.day()).ok()?);
    speech.year(year);
    Some(speech.items)
}

/// What a waiting caller hears: the place in the queue (from 1) and the expected wait in seconds, rounded up to minutes.
/// A position or wait beyond [`NUMBER_MAX`] is spoken as that.
pub fn queue_position(language: &str, position: usize, expected_wait_s: u32) -> Vec<PlayItem> {
    let mut speech = Speech::new(language);
    speech.word("queue", "position");
    speech.number(u32::try_from(position).unwrap_or(NUMBER_MAX).min(NUMBER_MAX));
    speech.word("queue", "in-the-queue");
    speech.word("queue", "expected-wait");
    if expected_wait_s < 60 {
        speech.word("queue", "less-than-a-minute");
        return speech.items;
    }
    let minutes = expected_wait_s.div_ceil(60);
    speech.word("queue", "about");
    speech.number(minutes.min(NUMBER_MAX));
    speech.word("queue", if minutes == 1 { "minute" } else { "minutes" });
    speech.items
}

/// That nobody records the conversation: in English where the language lacks it, for it must be said.
pub fn not_recorded(language: &str) -> Vec<PlayItem> {
    let name = |language| format!("{language}/queue/not-recorded").into();
    vec![PlayItem::PromptOr(name(language), name("en"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(items: Option<Vec<PlayItem>>) -> String {
        let items = items.unwrap_or_default();
        let names: Vec<String> = items
            .iter()
            .map(|item| match item {
                PlayItem::Prompt(name) | PlayItem::PromptOr(name, _) => {
                    let word = name.strip_prefix("en/").unwrap_or(name);
                    assert!(PROMPTS.contains(&word), "{word} is not in PROMPTS");
                    word.to_owned()
                }
                other => format!("{other:?}"),
            })
            .collect();
        names.join(" ").replace("numbers/", "").replace("digits/", "d").replace("time/", "").replace("queue/", "")
    }

    #[test]
    fn speaks_digits() {
        assert_eq!(words(digits("en", "+1 (212) 0*#")), "dplus d1 d2 d1 d2 d0 dstar dpound");
        assert_eq!(digits("en", "12a"), None);
        assert_eq!(digits("en", " "), None);
        assert!(digits("en", &"1".repeat(DIGITS_MAX)).is_some());
        assert_eq!(digits("en", &"1".repeat(DIGITS_MAX + 1)), None);
        assert_eq!(digits("de", "7"), Some(vec![PlayItem::Prompt("de/digits/7".into())]));
    }

    #[test]
    fn speaks_numbers() {
        for (value, spoken) in [
            (0, "0"),
            (7, "7"),
            (20, "20"),
            (21, "20 1"),
            (90, "90"),
            (100, "1 hundred"),
            (115, "1 hundred 15"),
            (1_000, "1 thousand"),
            (12_034, "12 thousand 30 4"),
            (1_000_001, "1 million 1"),
            (999_999_999, "9 hundred 90 9 million 9 hundred 90 9 thousand 9 hundred 90 9"),
        ] {
            assert_eq!(words(number("en", value)), spoken, "{value}");
        }
        assert_eq!(number("en", 1_000_000_000), None);
    }

    #[test]
    fn speaks_times() {
        for (hour, minute, spoken) in [
            (0, 0, "12 oclock am"),
            (0, 5, "12 oh 5 am"),
            (9, 30, "9 30 am"),
            (12, 0, "12 oclock pm"),
            (13, 45, "1 40 5 pm"),
            (23, 59, "11 50 9 pm"),
        ] {
            assert_eq!(words(time("en", hour, minute)), spoken, "{hour}:{minute}");
        }
        assert_eq!(time("en", 24, 0), None);
        assert_eq!(time("en", 0, 60), None);
    }

    #[test]
    fn speaks_dates() {
        let spoken = |y, m, d| words(date("en", jiff::civil::date(y, m, d)));
        assert_eq!(spoken(2026, 11, 23), "weekdays/monday months/november 20 3 20 20 6");
        assert_eq!(spoken(2005, 1, 1), "weekdays/saturday months/january 1 2 thousand 5");
        assert_eq!(spoken(1905, 5, 31), "weekdays/wednesday months/may 30 1 19 oh 5");
        assert_eq!(spoken(1900, 12, 20), "weekdays/thursday months/december 20 19 hundred");
        assert_eq!(date("en", jiff::civil::date(999, 1, 1)), None);
    }

    #[test]
    fn announces_the_queue() {
        let spoken = |position, wait_s| words(Some(queue_position("en", position, wait_s)));
        assert_eq!(spoken(1, 0), "position 1 in-the-queue expected-wait less-than-a-minute");
        assert_eq!(spoken(3, 59), "position 3 in-the-queue expected-wait less-than-a-minute");
        assert_eq!(spoken(3, 60), "position 3 in-the-queue expected-wait about 1 minute");
        assert_eq!(spoken(21, 61), "position 20 1 in-the-queue expected-wait about 2 minutes");
    }

    #[test]
    fn every_number_in_range_is_made_of_known_prompts() {
        for value in (0..10_000).chain((0..NUMBER_MAX).step_by(999_983)) {
            assert!(!words(number("en", value)).is_empty());
        }
    }
}
