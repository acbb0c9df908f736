//! E&M wink start: a circuit whose far end does anything.

use std::time::Duration;

use cordboard::base::{Cause, DialString, Instant};
use cordboard::proto::cas::Bits;
use cordboard::proto::cas::em_wink::{ADDRESS_DIGITS_MAX, Config, EmWink, Event, GlareRole, Input, Output};

use crate::chance::Chance;
use crate::fuzz;

/// What can be known from outside.
#[derive(Default)]
struct Ledger {
    in_call: bool,
    detecting: bool,
    off_hook: bool,
}

impl Ledger {
    /// Drains the machine; `seized` when this is after an order to seize. Returns how much there was.
    fn drain(&mut self, circuit: &mut EmWink, seized: bool) {
        let mut refused = false;
        let mut outputs = 0;
        let mut ends = 0;
        let was_in_call = self.in_call;
        while let Some(output) = circuit.poll_output() {
            outputs += 1;
            match output {
                Output::SetBits(bits) => {
                    assert_ne!(bits.a(), self.off_hook, "bits that say nothing new");
                    self.off_hook = bits.a();
                }
                Output::SendDigits(digits) => {
                    assert!((1..=ADDRESS_DIGITS_MAX).contains(&digits.as_str().len()));
                }
                Output::StartDigits => assert!(!std::mem::replace(&mut self.detecting, true)),
                Output::StopDigits => assert!(std::mem::replace(&mut self.detecting, false)),
                Output::Event(Event::Seized) => assert!(!std::mem::replace(&mut self.in_call, true)),
                Output::Event(Event::Refused(_)) => refused = true,
                Output::Event(Event::Glare | Event::Released(_)) => {
                    ends += 1;
                    self.in_call = false;
                }
                Output::Event(Event::AddressDigit(digits) | Event::Address(digits)) => {
                    assert!(self.in_call && digits.as_str().len() <= ADDRESS_DIGITS_MAX);
                }
                Output::Event(Event::Idle) => assert!(!self.in_call),
                Output::Event(Event::Winked | Event::Proceeding | Event::Answered) => assert!(self.in_call),
            }
        }
        if seized && !refused {
            assert!(!was_in_call, "a second call on the circuit");
            self.in_call = true;
        }
        assert!(ends <= 1 + usize::from(was_in_call), "{ends} ends at once");
        assert!(outputs <= 24, "{outputs} outputs at once");
        assert!(!circuit.is_idle() || (!self.in_call && !self.off_hook && !self.detecting));
    }
}

fn input(chance: &mut Chance<'_>) -> Input {
    match chance.below(14) {
        0..=5 => Input::Bits(Bits::new(chance.octet())),
        6 | 7 => Input::Digit(*chance.pick(&['0', '5', '9', '*', '#', 'A', 'D', 'x', '\u{ff15}'])),
        8 => Input::DigitsSent,
        9 => {
            let digits = ["5551234", "", "1", "12345678901234567890123456789012", "123456789012345678901234567890123"];
            let digits = if chance.one_in(4) { "+49x" } else { chance.pick(&digits) };
            Input::Seize { digits: DialString::new(digits).expect("a dial string") }
        }
        10 => Input::AddressComplete,
        11 => Input::Answer,
        12 => Input::Release(Cause::Normal),
        _ => Input::Alarm(chance.one_in(2)),
    }
}

fn target(mut chance: Chance<'_>) {
    let glare_role = if chance.one_in(2) { GlareRole::Hold } else { GlareRole::Yield };
    let mut config = Config { glare_role, ..Config::default() };
    if chance.one_in(4) {
        // Whatever the times are set to.
        let times = [0, 1, 40, 300, 5_000].map(Duration::from_millis);
        config.seizure_min = *chance.pick(&times);
        config.wink = *chance.pick(&times);
        config.wink_min = *chance.pick(&times);
        config.wink_max = *chance.pick(&times);
        config.inter_digit = *chance.pick(&times);
        config.guard = *chance.pick(&times);
    }
    let mut circuit = EmWink::new(config);
    let mut ledger = Ledger::default();
    let mut now = Instant::from_micros(1);
    while !chance.is_spent() {
        let seized = if chance.one_in(3) {
            circuit.handle_timeout(now);
            false
        } else {
            let input = input(&mut chance);
            // Drained by itself, so that what the order to seize did is not mixed with timers that were due.
            circuit.handle_timeout(now);
            ledger.drain(&mut circuit, false);
            let seizes = matches!(input, Input::Seize { .. });
            circuit.handle(now, input);
            seizes
        };
        ledger.drain(&mut circuit, seized);
        assert!(circuit.poll_timeout().is_none_or(|at| at > now), "what is due is done");
        now += Duration::from_millis(match chance.below(4) {
            0 => 0,
            1 => u64::from(chance.octet()),
            2 => u64::from(chance.octet()) * 20,
            _ => circuit.poll_timeout().map_or(0, |at| u64::try_from(at.since(now).as_millis()).unwrap_or(0)),
        });
    }
    // The line falls silent and everybody hangs up: the circuit comes back.
    for input in [Input::Alarm(false), Input::Release(Cause::Normal), Input::Bits(Bits::ON_HOOK)] {
        circuit.handle(now, input);
    }
    ledger.drain(&mut circuit, false);
    for _ in 0..8 {
        let Some(at) = circuit.poll_timeout() else { break };
        now = at;
        circuit.handle_timeout(now);
        ledger.drain(&mut circuit, false);
    }
    assert!(circuit.is_idle(), "{circuit:?}");
}

#[test]
fn em_wink() {
    fuzz!(2_048, target);
}
