//! Digits of a leg: heard by the media plane, or signalled by INFO, or both.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::{Instant, LegId, Now};
use crate::core::call::{CallState, Role};
use crate::core::ivr::Input as FlowInput;
use crate::core::media::MediaCommand;
use crate::core::switch::{Switch, Timer};

/// How far apart the two signs of one key may be: INFO goes out when the key is pressed, or when it is let go.
const PAIR_MAX: Duration = Duration::from_secs(2);
/// How long a digit by INFO waits for its telephone event, before it is passed on to the other party.
const HOLD: Duration = Duration::from_millis(300);
/// Digits remembered.
const DIGITS_MAX: usize = 16;
/// Length of a digit that is passed on, and the pause after it, in milliseconds.
const PASS_ON_MS: (u16, u16) = (100, 80);

/// Digits that came one way and may yet come the other. A peer that signals each key by INFO and by telephone events
/// or tones must not be taken for one who presses twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Digits(VecDeque<Taken>);

#[derive(Clone, Copy, Debug)]
struct Taken {
    digit: char,
    info: bool,
    at: Instant,
    /// It is to be passed on, unless its pair comes first.
    held: bool,
}

impl Digits {
    /// Takes a digit, by INFO or not. `false` where it is the other sign of one taken before.
    fn take(&mut self, now: Instant, digit: char, info: bool) -> bool {
        self.0.retain(|t| now.since(t.at) < PAIR_MAX);
        if let Some(pair) = self.0.iter().position(|t| t.digit == digit && t.info != info) {
            self.0.remove(pair);
            return false;
        }
        if self.0.len() >= DIGITS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Taken { digit, info, at: now, held: false });
        true
    }

    /// The digit taken last is to be passed on by and by.
    fn hold(&mut self) {
        if let Some(last) = self.0.back_mut() {
            last.held = true;
        }
    }

    /// The digits whose pair has not come in time.
    fn due(&mut self, now: Instant) -> String {
        let due = self.0.iter_mut().filter(|t| t.held && now.since(t.at) >= HOLD);
        due.map(|t| {
            t.held = false;
            t.digit
        })
        .collect()
    }
}

impl Switch {
    /// The media plane heard a digit.
    pub(super) fn media_digit(&mut self, now: Now, leg: LegId, digit: char) {
        let Some(l) = self.legs.get_mut(&leg) else { return };
        // Between two parties the plane passes events and tones on by itself.
        if l.digits.take(now.mono, digit, false) {
            self.flow_digit(now, leg, digit);
        }
    }

    /// The peer signalled a digit by INFO.
    pub(crate) fn info_digit(&mut self, now: Now, leg: LegId, digit: char) {
        let Some(l) = self.legs.get_mut(&leg) else { return };
        if !l.digits.take(now.mono, digit, true) {
            return;
        }
        // Between two parties the plane passes events on by itself, and one may still come for this key. A phone may also
        // agree to events and send none.
        let events = l.sip().and_then(|sip| sip.agreed.as_ref()).is_some_and(|a| a.telephone_event.is_some());
        match self.other_party(leg) {
            None => self.flow_digit(now, leg, digit),
            Some(_) if events => {
                if let Some(l) = self.legs.get_mut(&leg) {
                    l.digits.hold();
                }
                self.arm(now.mono + HOLD, Timer::InfoDigits(leg));
            }
            Some(_) => self.pass_on(leg, digit.to_string()),
        }
    }

    /// Timer: digits that came by INFO alone go to the other party.
    pub(crate) fn info_digits_due(&mut self, now: Now, leg: LegId) {
        let Some(l) = self.legs.get_mut(&leg) else { return };
        let digits = l.digits.due(now.mono);
        if !digits.is_empty() {
            self.pass_on(leg, digits);
        }
    }

    /// Whom a leg talks to.
    fn other_party(&self, leg: LegId) -> Option<LegId> {
        let l = self.legs.get(&leg)?;
        let c = self.calls.get(&l.call)?;
        match c.state {
            CallState::Talking(party) if l.role == Role::Client => Some(party),
            CallState::Talking(party) if party == leg => Some(c.client),
            _ => None,
        }
    }

    fn pass_on(&mut self, leg: LegId, digits: String) {
        let other = self.other_party(leg).and_then(|other| self.legs.get(&other));
        let Some(port) = other.and_then(|l| l.port) else { return };
        let (on_ms, off_ms) = PASS_ON_MS;
        self.media(MediaCommand::SendDigits { port, digits, on_ms, off_ms });
    }

    fn flow_digit(&mut self, now: Now, leg: LegId, digit: char) {
        let Some(l) = self.legs.get(&leg) else { return };
        let (call, client) = (l.call, l.role == Role::Client);
        if client && self.calls.get(&call).is_some_and(|c| !matches!(c.state, CallState::Talking(_))) {
            self.run_flow(now, call, FlowInput::Digit(digit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signalled_two_ways_counts_once_and_a_key_pressed_twice_twice() {
        let mut digits = Digits::default();
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        let taken = [(0, '5', true), (80, '5', false), (300, '5', false), (310, '5', true), (400, '6', true)]
            .map(|(ms, digit, info)| digits.take(at(ms), digit, info));
        assert_eq!(taken, [true, false, true, false, true]);
        assert!(digits.take(at(500), '6', true), "pressed again");
        assert!(digits.take(at(3000), '6', false), "long after");
        for _ in 0..100 {
            digits.take(at(3000), '1', true);
        }
        assert!(digits.0.len() <= DIGITS_MAX);
    }
}
