//! Sending digits: as RFC 4733 events or as tones, in steps of a frame.

use std::collections::VecDeque;

use crate::dsp::dtmf::Generator;
use crate::media::{FRAME, Samples};
use crate::proto::rtp::telephone_event::{self, TelephoneEvent};

/// Digits waiting at most; more are dropped.
pub const DIGITS_MAX: usize = 128;
/// Shortest and longest digit in milliseconds.
const ON_MS: (u16, u16) = (50, 1_000);
/// Shortest and longest pause in milliseconds: Q.24 asks receivers for 40 ms, and the two repetitions of an event's end
/// go out in it, one a frame.
const OFF_MS: (u16, u16) = (40, 5_000);
/// Level of our events in -dBm0 (RFC 4733 section 2.3.4: 0 to -36 must be accepted as DTMF).
const VOLUME: u8 = 10;
/// The last packet of an event is sent three times (RFC 4733 section 2.5.1.4).
const END_PACKETS: u8 = 3;

/// Digits on their way out of a port.
#[derive(Debug, Default)]
pub struct DigitSender {
    waiting: VecDeque<Waiting>,
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
enum Waiting {
    Digit {
        digit: char,
        on_ms: u16,
        off_ms: u16,
    },
    /// The end of a command's digits: its sender wants to know.
    Report,
}

#[derive(Debug)]
enum Current {
    Event { code: u8, elapsed: u16, on: u16, total: u16 },
    Tone(Box<Generator>),
}

/// What a frame of digit sending is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// An event packet; `begins` is its first.
    Event {
        /// Whether the event begins here: marker bit, new timestamp.
        begins: bool,
        /// The payload.
        event: TelephoneEvent,
    },
    /// A frame of tone or pause; its samples are in the buffer that was given.
    Tone,
    /// A pause between events.
    Pause,
    /// All digits of a command are out.
    Done,
}

impl DigitSender {
    /// Appends digits of `on_ms` each with pauses of `off_ms`; both are brought into their limits, and characters that
    /// are no digits are left out. [`Step::Done`] comes after the last one when `report`.
    pub fn push(&mut self, digits: &str, on_ms: u16, off_ms: u16, report: bool) {
        let (on_ms, off_ms) = (on_ms.clamp(ON_MS.0, ON_MS.1), off_ms.clamp(OFF_MS.0, OFF_MS.1));
        let known = digits.chars().filter(|&digit| telephone_event::code(digit).is_some());
        for digit in known.take(DIGITS_MAX.saturating_sub(self.waiting.len())) {
            self.waiting.push_back(Waiting::Digit { digit, on_ms, off_ms });
        }
        // One mark more than digits, at most, per command: a flood of empty commands is bounded, too.
        if report && self.waiting.len() < 2 * DIGITS_MAX {
            self.waiting.push_back(Waiting::Report);
        }
    }

    /// Whether nothing is left to send.
    pub fn is_idle(&self) -> bool {
        self.current.is_none() && self.waiting.is_empty()
    }

    /// The next frame; `as_events` chooses the form of digits that begin now, `pcm` takes the samples of a
    /// [`Step::Tone`]. `None` when idle.
    pub fn step(&mut self, as_events: bool, pcm: &mut Samples) -> Option<Step> {
        if self.current.is_none() {
            match self.waiting.pop_front()? {
                Waiting::Report => return Some(Step::Done),
                Waiting::Digit { digit, on_ms, off_ms } => self.begin(digit, on_ms, off_ms, as_events),
            }
        }
        match self.current.as_mut()? {
            Current::Tone(generator) => {
                let filled = generator.fill(pcm);
                pcm.get_mut(filled..).unwrap_or_default().fill(0);
                if generator.is_done() {
                    self.current = None;
                }
                Some(Step::Tone)
            }
            Current::Event { code, elapsed, on, total } => {
                let begins = *elapsed == 0;
                *elapsed = elapsed.saturating_add(FRAME as u16);
                let ended_for = elapsed.saturating_sub(*on) / FRAME as u16;
                let step = if *elapsed >= *on && ended_for < u16::from(END_PACKETS) {
                    Step::Event {
                        begins,
                        event: TelephoneEvent { event: *code, end: true, volume: VOLUME, duration: *on },
                    }
                } else if *elapsed < *on {
                    Step::Event {
                        begins,
                        event: TelephoneEvent { event: *code, end: false, volume: VOLUME, duration: *elapsed },
                    }
                } else {
                    Step::Pause
                };
                if *elapsed >= *total {
                    self.current = None;
                }
                Some(step)
            }
        }
    }

    fn begin(&mut self, digit: char, on_ms: u16, off_ms: u16, as_events: bool) {
        let units = |ms: u16| ms.saturating_mul(8).next_multiple_of(FRAME as u16);
        self.current = if as_events {
            telephone_event::code(digit).map(|code| Current::Event {
                code,
                elapsed: 0,
                on: units(on_ms),
                total: units(on_ms).saturating_add(units(off_ms)),
            })
        } else {
            Generator::new(digit, on_ms, off_ms).map(|generator| Current::Tone(Box::new(generator)))
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All steps, and how many of them were heard.
    fn run(sender: &mut DigitSender, as_events: bool) -> (Vec<Step>, usize) {
        let mut pcm = [0; FRAME];
        let mut steps = Vec::new();
        let mut loud = 0;
        while let Some(step) = sender.step(as_events, &mut pcm) {
            loud += usize::from(step == Step::Tone && pcm.iter().any(|&s| s.abs() > 1_000));
            steps.push(step);
            assert!(steps.len() < 10_000, "never ends");
        }
        (steps, loud)
    }

    #[test]
    fn an_event_grows_and_ends_three_times() {
        let mut sender = DigitSender::default();
        sender.push("5x", 60, 100, true);
        let (steps, _) = run(&mut sender, true);
        let events: Vec<_> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Event { begins, event } => Some((*begins, event.event, event.duration, event.end)),
                _ => None,
            })
            .collect();
        assert_eq!(
            events,
            [
                (true, 5, 160, false),
                (false, 5, 320, false),
                (false, 5, 480, true),
                (false, 5, 480, true),
                (false, 5, 480, true)
            ]
        );
        // 60 ms on, 100 ms off, and the report.
        assert_eq!(steps.len(), 8 + 1);
        assert_eq!(steps.last(), Some(&Step::Done));
        assert!(sender.is_idle());
    }

    #[test]
    fn the_shortest_pause_still_holds_the_repetitions() {
        let mut sender = DigitSender::default();
        sender.push("12", 0, 0, false);
        let ends =
            run(&mut sender, true).0.iter().filter(|s| matches!(s, Step::Event { event, .. } if event.end)).count();
        assert_eq!(ends, 2 * usize::from(END_PACKETS));
    }

    #[test]
    fn tones_have_their_length() {
        let mut sender = DigitSender::default();
        sender.push("1", 100, 100, true);
        let (steps, loud) = run(&mut sender, false);
        assert_eq!(loud, 5);
        assert_eq!(steps.len(), 10 + 1);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut sender = DigitSender::default();
        for _ in 0..100 {
            sender.push(&"0".repeat(1_000), 50, 40, true);
        }
        assert!(sender.waiting.len() <= 2 * DIGITS_MAX);
    }
}
