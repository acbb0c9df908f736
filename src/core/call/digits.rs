//! Digits of a leg: heard by the media plane, or signalled by INFO, or both.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::{Instant, LegId, Now};
use crate::core::call::{CallState, Role};
use crate::core::ivr::Input as FlowInput;
use crate::core::media::MediaCommand;
use crate::core::switch::Switch;

/// How far apart the two signs of one key may be: INFO goes out when the key is pressed, or when it is let go.
const PAIR_MAX: Duration = Duration::from_secs(2);
/// Digits remembered.
const DIGITS_MAX: usize = 16;
/// Length of a digit that is passed on, and the pause after it, in milliseconds.
const PASS_ON_MS: (u16, u16) = (100, 80);

/// Digits that came one way and may yet come the other. A peer that signals each key by INFO and by telephone events
/// or tones must not be taken for one who presses twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Digits(VecDeque<(char, bool, Instant)>);

impl Digits {
    /// Takes a digit, by INFO or not. `false` where it is the other sign of one taken before.
    fn take(&mut self, now: Instant, digit: char, info: bool) -> bool {
        self.0.retain(|(_, _, at)| now.since(*at) < PAIR_MAX);
        if let Some(pair) = self.0.iter().position(|(d, i, _)| *d == digit && *i != info) {
            self.0.remove(pair);
            return false;
        }
        if self.0.len() >= DIGITS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((digit, info, now));
        true
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
        let (call, client) = (l.call, l.role == Role::Client);
        let Some(c) = self.calls.get(&call) else { return };
        match c.state {
            CallState::Talking(party) if client || party == leg => {
                let other = if client { party } else { c.client };
                let Some(port) = self.legs.get(&other).and_then(|l| l.port) else { return };
                let (on_ms, off_ms) = PASS_ON_MS;
                self.media(MediaCommand::SendDigits { port, digits: digit.to_string(), on_ms, off_ms });
            }
            _ => self.flow_digit(now, leg, digit),
        }
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
