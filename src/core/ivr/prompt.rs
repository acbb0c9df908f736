//! From a flow's prompt to what the media plane plays.

use std::sync::Arc;

use jiff::civil::{Date, DateTime};

use super::flow::{PromptItem, SayKind};
use super::say;
use crate::core::media::PlayItem;

/// The word that means the present moment in `say = "time"` and `say = "date"`.
const NOW: &str = "now";

/// Turns a prompt into items to play, in `language` and at the moment `now` of the local clock. The second value counts
/// items that are left out because their value cannot be said or names no prompt.
pub(super) fn render<'v>(
    prompt: &[PromptItem],
    language: &str,
    now: DateTime,
    value: impl Fn(&str) -> &'v str,
) -> (Vec<PlayItem>, usize) {
    let mut items = Vec::new();
    let mut left_out = 0;
    for item in prompt {
        match item {
            PromptItem::Named(name) => {
                let name = name.render(&value);
                if name.is_empty() {
                    left_out += 1;
                } else {
                    items.push(PlayItem::Prompt(Arc::from(name)));
                }
            }
            PromptItem::SilenceMs(ms) => items.push(PlayItem::SilenceMs(*ms)),
            PromptItem::Beep => items.push(PlayItem::Beep),
            PromptItem::Say(kind, text) => match spoken(*kind, language, now, &text.render(&value)) {
                Some(words) => items.extend(words),
                None => left_out += 1,
            },
        }
    }
    (items, left_out)
}

/// Whether `text` can be said as `kind`.
pub(super) fn is_sayable(kind: SayKind, text: &str) -> bool {
    spoken(kind, "en", DateTime::constant(2026, 1, 1, 0, 0, 0, 0), text).is_some()
}

fn spoken(kind: SayKind, language: &str, now: DateTime, text: &str) -> Option<Vec<PlayItem>> {
    let text = text.trim();
    match kind {
        SayKind::Digits => say::digits(language, text),
        SayKind::Number => {
            let plain = text.bytes().all(|octet| octet.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten().and_then(|value| say::number(language, value))
        }
        SayKind::Time => {
            let (hour, minute) = match text {
                NOW => (u32::try_from(now.hour()).ok()?, u32::try_from(now.minute()).ok()?),
                _ => {
                    let (hour, minute) = text.split_once(':')?;
                    (two_digits(hour)?, two_digits(minute)?)
                }
            };
            say::time(language, hour, minute)
        }
        SayKind::Date => {
            let date = if text == NOW { now.date() } else { text.parse::<Date>().ok().filter(|_| text.len() == 10)? };
            say::date(language, date)
        }
    }
}

fn two_digits(text: &str) -> Option<u32> {
    let plain = (1..=2).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_can_be_said() {
        for (kind, text, sayable) in [
            (SayKind::Digits, "+12*#", true),
            (SayKind::Digits, "", false),
            (SayKind::Number, "007", true),
            (SayKind::Number, "999999999", true),
            (SayKind::Number, "1000000000", false),
            (SayKind::Number, "+1", false),
            (SayKind::Number, "", false),
            (SayKind::Time, "now", true),
            (SayKind::Time, "9:30", true),
            (SayKind::Time, "24:00", false),
            (SayKind::Time, "0930", false),
            (SayKind::Date, "now", true),
            (SayKind::Date, "2026-11-23", true),
            (SayKind::Date, "2026-11-31", false),
            (SayKind::Date, "2026-11-23T10:00", false),
        ] {
            assert_eq!(is_sayable(kind, text), sayable, "{kind:?} {text:?}");
        }
    }
}
