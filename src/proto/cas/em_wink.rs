//! E&M wink start with DTMF address digits, both directions, for one circuit.
//!
//! Each end shows the other on-hook or off-hook. A call from A to B:
//!
//! ```text
//! A  ____/~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\______   seizure ... release
//! B  __________/~~~~\____________________/~~~~~~~~~~~~~~\___   wink ... answer ... release
//!                     5 5 5 1 2 3 4                            address, in band
//! ```
//!
//! There is no backward signal for busy or rejection before answer: the caller hears a tone, and the circuit stays
//! taken until the calling end goes on-hook.
//!
//! **Glare.** When both ends seize at once each sees an off-hook that outlasts any wink. The end whose role is
//! [`GlareRole::Yield`] gives up its own call, goes on-hook and takes the other's; that on-hook is the start signal to
//! the end whose role is [`GlareRole::Hold`], which then sends its digits. The two ends of a circuit should have
//! different roles.
//!
//! The machine is driven by [`EmWink::handle`] and [`EmWink::handle_timeout`] and must be drained by
//! [`EmWink::poll_output`] after each. TIA-464 and GR-506 govern these signals; the times in [`Config::default`] are
//! the usual ones of switches in the field (wink of 140 to 290 ms), with wider limits for what is accepted.

use std::collections::VecDeque;
use std::time::Duration;

use super::Bits;
use crate::base::{Cause, DialString, Instant};

/// Most digits of an address, either way.
pub const ADDRESS_DIGITS_MAX: usize = 32;

/// What an end does when both seize the circuit at once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GlareRole {
    /// Drops its own attempt and takes the other end's call.
    Yield,
    /// Waits for the other end to go on-hook, then sends its digits; yields if it waited in vain.
    Hold,
}

/// Times and roles of a circuit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// How long an off-hook must last to be a seizure.
    pub seizure_min: Duration,
    /// From a seizure to our wink. Far ends want time to attach their sender; 100 ms at least is usual.
    pub wink_delay: Duration,
    /// Length of our wink; 140 to 290 ms is usual.
    pub wink: Duration,
    /// Shortest off-hook taken as a wink; shorter is noise.
    pub wink_min: Duration,
    /// Longest off-hook taken as a wink; longer is glare.
    pub wink_max: Duration,
    /// How long to wait for a wink to begin.
    pub wink_wait: Duration,
    /// From the end of a wink to our first digit; 70 ms at least is usual.
    pub dial_delay: Duration,
    /// How long to wait for word that our digits are out.
    pub digits_out: Duration,
    /// How long an off-hook must last to be the answer.
    pub answer_min: Duration,
    /// How long to wait for an answer.
    pub answer_wait: Duration,
    /// How long an on-hook must last to be a release; shorter is a flash or noise.
    pub release_min: Duration,
    /// How long both ends must be on-hook before the circuit is seized anew, so that the far end's equipment is free
    /// again. Switches in the field use 0.75 to 1.5 s.
    pub guard: Duration,
    /// How long to wait for the first digit.
    pub first_digit: Duration,
    /// How long to wait for a further digit; then the address is complete.
    pub inter_digit: Duration,
    /// How long, with [`GlareRole::Hold`], to wait for the other end to yield.
    pub glare_wait: Duration,
    /// What to do on glare.
    pub glare_role: GlareRole,
}

impl Default for Config {
    fn default() -> Self {
        const fn ms(ms: u64) -> Duration {
            Duration::from_millis(ms)
        }
        Self {
            seizure_min: ms(50),
            wink_delay: ms(150),
            wink: ms(200),
            wink_min: ms(100),
            wink_max: ms(350),
            wink_wait: ms(5_000),
            dial_delay: ms(100),
            digits_out: ms(20_000),
            answer_min: ms(100),
            answer_wait: ms(180_000),
            release_min: ms(300),
            guard: ms(1_000),
            first_digit: ms(10_000),
            inter_digit: ms(4_000),
            glare_wait: ms(4_000),
            // A caller who already reached us goes first: our own attempt can take another circuit.
            glare_role: GlareRole::Yield,
        }
    }
}

/// What the machine is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Received bits; repeating the same ones does nothing. Only A is looked at.
    Bits(Bits),
    /// A digit was heard in the bearer (`0-9*#A-D`); ignored while no address is collected.
    Digit(char),
    /// The digits of [`Output::SendDigits`] are out.
    DigitsSent,
    /// Call the far end. [`Event::Refused`] unless the circuit is idle and there are 1 to [`ADDRESS_DIGITS_MAX`]
    /// digits of `0-9*#A-D`.
    Seize {
        /// The address.
        digits: DialString,
    },
    /// The address received so far suffices.
    AddressComplete,
    /// Answer the incoming call; ignored unless its address is complete.
    Answer,
    /// End the call, whatever its state; ignored when there is none.
    Release(Cause),
    /// The span came into alarm (`true`) or out of it.
    Alarm(bool),
}

/// What the machine asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send these bits from now on. Before the first such output they are [`Bits::ON_HOOK`].
    SetBits(Bits),
    /// Send these digits in the bearer, then say [`Input::DigitsSent`].
    SendDigits(DialString),
    /// Detect digits in the bearer and hand each over as [`Input::Digit`].
    StartDigits,
    /// Stop that.
    StopDigits,
    /// For the call.
    Event(Event),
}

/// What happened to the circuit. A call begins with `Seized` or an accepted [`Input::Seize`] and ends with exactly one
/// `Released` or `Glare`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The far end calls.
    Seized,
    /// The incoming call's address so far. [`Input::AddressComplete`] ends it early.
    AddressDigit(DialString),
    /// The incoming call's address is complete. Empty only after an early [`Input::AddressComplete`].
    Address(DialString),
    /// The far end is ready for our digits.
    Winked,
    /// Our digits are out; what the far end says (tones, announcements) is for the caller.
    Proceeding,
    /// The far end answered our call.
    Answered,
    /// Both ends seized and we yielded: our call ends here and may be tried on another circuit. `Seized` follows.
    Glare,
    /// The call is over.
    Released(Cause),
    /// A [`Input::Seize`] was not accepted; a call in progress goes on.
    Refused(Cause),
    /// The circuit may be seized again.
    Idle,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Both on-hook, no call.
    Idle,
    /// The span is in alarm.
    Blocked,
    /// We are on-hook and wait for the far end to be.
    Releasing,
    /// Both on-hook after a call.
    Guard,

    /// Off-hook, waiting for a wink to begin.
    Seizing,
    /// The far end is off-hook: a wink, or glare.
    Winking,
    /// Glare; the far end is to yield.
    GlareHold,
    /// The wink is over; the far end attaches its receiver.
    DialDelay,
    /// Digits go out.
    Sending,
    /// Digits are out.
    AwaitingAnswer,

    /// The far end is off-hook: a seizure, or noise.
    Seizure,
    /// Seized, before our wink.
    PreWink,
    /// Our wink.
    Wink,
    /// Digits come in.
    Collecting,
    /// The address is complete; not answered.
    Offered,

    /// Both off-hook, a call of either direction.
    Talking,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Timer {
    /// When to take an off-hook for a seizure.
    SeizureMin,
    /// When to begin our wink.
    WinkDelay,
    /// When to end our wink.
    WinkEnd,
    /// When to give up waiting for a wink.
    WinkWait,
    /// When to take an off-hook for glare and no wink.
    WinkMax,
    /// When to yield because the other end does not.
    GlareWait,
    /// When to send the digits.
    DialDelay,
    /// When to give up waiting for the digits to be out.
    DigitsOut,
    /// When to take an off-hook for the answer.
    AnswerMin,
    /// When to give up waiting for an answer.
    AnswerWait,
    /// When to give up waiting for a first digit.
    FirstDigit,
    /// When to take the address for complete.
    InterDigit,
    /// When to take an on-hook for a release.
    ReleaseMin,
    /// When the circuit may be seized again.
    Guard,
}

impl Timer {
    const ALL: [Timer; 14] = [
        Timer::SeizureMin,
        Timer::WinkDelay,
        Timer::WinkEnd,
        Timer::WinkWait,
        Timer::WinkMax,
        Timer::GlareWait,
        Timer::DialDelay,
        Timer::DigitsOut,
        Timer::AnswerMin,
        Timer::AnswerWait,
        Timer::FirstDigit,
        Timer::InterDigit,
        Timer::ReleaseMin,
        Timer::Guard,
    ];
}

/// One circuit.
#[derive(Debug)]
pub struct EmWink {
    config: Config,
    state: State,
    timers: [Option<Instant>; Timer::ALL.len()],
    /// The far end's hook, and since when.
    far_off_hook: bool,
    far_since: Instant,
    /// Our hook.
    off_hook: bool,
    /// When we seized the circuit.
    seized_at: Instant,
    /// When we went on-hook and the far end did not, or the span came back and found it so.
    held_since: Instant,
    /// Digits to send, or received so far.
    address: DialString,
    outputs: VecDeque<Output>,
}

impl EmWink {
    /// An idle circuit. Tell it the bits received now if they may not be on-hook.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            state: State::Idle,
            timers: [None; Timer::ALL.len()],
            far_off_hook: false,
            far_since: Instant::ZERO,
            off_hook: false,
            seized_at: Instant::ZERO,
            held_since: Instant::ZERO,
            address: DialString::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes an input. Timers that are due at `now` fire first.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.handle_timeout(now);
        match input {
            Input::Bits(bits) => self.on_bits(now, bits),
            Input::Digit(digit) => self.on_digit(now, digit),
            Input::DigitsSent if self.state == State::Sending => self.on_digits_sent(now),
            Input::DigitsSent => {}
            Input::Seize { digits } => self.on_seize(now, digits),
            Input::AddressComplete if self.state == State::Collecting => self.complete_address(),
            Input::AddressComplete => {}
            Input::Answer if self.state == State::Offered => {
                self.set_off_hook(true);
                self.state = State::Talking;
            }
            Input::Answer => {}
            Input::Release(cause) => {
                if self.in_call() {
                    self.end(now, cause);
                }
            }
            Input::Alarm(true) => self.on_alarm(),
            Input::Alarm(false) => {
                if self.state == State::Blocked {
                    self.wait_for_idle(now);
                }
            }
        }
        self.check_invariants();
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        // A timer that fires sets others only after `now`, so this ends.
        while let Some(timer) = self.next_due(now) {
            self.stop(timer);
            self.on_timer(now, timer);
        }
        self.check_invariants();
    }

    /// When [`EmWink::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.iter().flatten().min().copied()
    }

    /// The next output, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether the circuit may be seized: no call, no alarm, both ends on-hook for long enough.
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Whether neither end has it: it is idle, was so just now, or is in alarm.
    pub fn is_clear(&self) -> bool {
        matches!(self.state, State::Idle | State::Guard | State::Blocked)
    }

    /// Since when the far end has kept the circuit off-hook without a call: it is about to hang up, or blocks the circuit.
    pub fn held_since(&self) -> Option<Instant> {
        (self.state == State::Releasing).then_some(self.held_since)
    }

    /// Asserts, in debug builds, what always holds between two inputs.
    pub fn check_invariants(&self) {
        let waits_for = match self.state {
            State::Idle | State::Blocked | State::Releasing | State::Offered | State::Talking => None,
            State::Guard => Some(Timer::Guard),
            State::Seizing => Some(Timer::WinkWait),
            State::Winking => Some(Timer::WinkMax),
            State::GlareHold => Some(Timer::GlareWait),
            State::DialDelay => Some(Timer::DialDelay),
            State::Sending => Some(Timer::DigitsOut),
            State::AwaitingAnswer => Some(Timer::AnswerWait),
            State::Seizure => Some(Timer::SeizureMin),
            State::PreWink => Some(Timer::WinkDelay),
            State::Wink => Some(Timer::WinkEnd),
            State::Collecting if self.address.is_empty() => Some(Timer::FirstDigit),
            State::Collecting => Some(Timer::InterDigit),
        };
        debug_assert!(waits_for.is_none_or(|timer| self.timers[timer as usize].is_some()), "{self:?}");
        let off_hook = matches!(
            self.state,
            State::Seizing
                | State::Winking
                | State::GlareHold
                | State::DialDelay
                | State::Sending
                | State::AwaitingAnswer
                | State::Wink
                | State::Talking
        );
        debug_assert_eq!(self.off_hook, off_hook, "{self:?}");
        debug_assert!(self.state != State::Idle || self.poll_timeout().is_none(), "{self:?}");
        debug_assert!(self.state != State::Idle || !self.far_off_hook, "{self:?}");
        debug_assert!(self.state != State::Releasing || self.far_off_hook, "{self:?}");
    }

    // Inputs

    fn on_bits(&mut self, now: Instant, bits: Bits) {
        let off_hook = bits.a();
        if off_hook == self.far_off_hook {
            return;
        }
        let lasted = now.since(self.far_since);
        self.far_off_hook = off_hook;
        self.far_since = now;
        match self.state {
            State::Idle => {
                // Idle means on-hook, so this is off-hook.
                self.state = State::Seizure;
                self.start(now, Timer::SeizureMin, self.config.seizure_min);
            }
            State::Seizure => {
                self.stop_all();
                self.state = State::Idle;
            }
            State::Seizing => {
                self.stop(Timer::WinkWait);
                self.state = State::Winking;
                self.start(now, Timer::WinkMax, self.config.wink_max);
            }
            State::Winking => {
                self.stop(Timer::WinkMax);
                self.on_wink_end(now, lasted);
            }
            State::GlareHold => self.on_start_signal(now),
            State::AwaitingAnswer => self.watch(now, off_hook, Timer::AnswerMin, self.config.answer_min),
            State::PreWink | State::Wink | State::Collecting | State::Offered | State::Talking => {
                self.watch(now, !off_hook, Timer::ReleaseMin, self.config.release_min);
            }
            State::Releasing => self.wait_for_idle(now),
            State::Blocked | State::Guard | State::DialDelay | State::Sending => {}
        }
    }

    /// Starts `timer` while what it waits for lasts, stops it when that ends.
    fn watch(&mut self, now: Instant, lasts: bool, timer: Timer, after: Duration) {
        if lasts { self.start(now, timer, after) } else { self.stop(timer) }
    }

    fn on_wink_end(&mut self, now: Instant, lasted: Duration) {
        if lasted >= self.config.wink_min {
            self.on_start_signal(now);
        } else {
            // Noise. The wait goes on where it was, so that a chattering line cannot prolong it.
            self.state = State::Seizing;
            let left = (self.seized_at + self.config.wink_wait).since(now);
            self.start(now, Timer::WinkWait, left);
        }
    }

    /// The far end went on-hook and is ready for digits.
    fn on_start_signal(&mut self, now: Instant) {
        self.stop(Timer::GlareWait);
        self.tell(Event::Winked);
        self.state = State::DialDelay;
        self.start(now, Timer::DialDelay, self.config.dial_delay);
    }

    fn on_seize(&mut self, now: Instant, digits: DialString) {
        let text = digits.as_str();
        if !is_address(text) {
            return self.tell(Event::Refused(Cause::InvalidNumber));
        }
        if self.state != State::Idle {
            return self.tell(Event::Refused(Cause::ChannelUnavailable));
        }
        self.address = digits;
        self.seized_at = now;
        self.set_off_hook(true);
        self.state = State::Seizing;
        self.start(now, Timer::WinkWait, self.config.wink_wait);
    }

    fn on_digits_sent(&mut self, now: Instant) {
        self.stop(Timer::DigitsOut);
        self.tell(Event::Proceeding);
        self.state = State::AwaitingAnswer;
        self.start(now, Timer::AnswerWait, self.config.answer_wait);
        // The far end may have answered while the last digit still sounded.
        self.watch(now, self.far_off_hook, Timer::AnswerMin, self.config.answer_min);
    }

    fn on_digit(&mut self, now: Instant, digit: char) {
        if self.state != State::Collecting || !is_digit(digit) {
            return;
        }
        if digit == '#' {
            // The end of an address, by custom; before the first digit it means nothing.
            if !self.address.is_empty() {
                self.complete_address();
            }
            return;
        }
        let Ok(address) = DialString::new(format!("{}{digit}", self.address.as_str())) else { return };
        self.address = address;
        self.stop(Timer::FirstDigit);
        self.start(now, Timer::InterDigit, self.config.inter_digit);
        self.tell(Event::AddressDigit(self.address.clone()));
        if self.address.as_str().len() >= ADDRESS_DIGITS_MAX {
            self.complete_address();
        }
    }

    fn complete_address(&mut self) {
        self.stop(Timer::FirstDigit);
        self.stop(Timer::InterDigit);
        self.outputs.push_back(Output::StopDigits);
        let address = std::mem::take(&mut self.address);
        self.tell(Event::Address(address));
        self.state = State::Offered;
    }

    fn on_alarm(&mut self) {
        if self.in_call() {
            self.clear();
            self.tell(Event::Released(Cause::NetworkOutOfOrder));
        }
        self.stop_all();
        self.state = State::Blocked;
    }

    // Timers

    fn on_timer(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::SeizureMin => {
                self.tell(Event::Seized);
                self.state = State::PreWink;
                self.start(now, Timer::WinkDelay, self.config.wink_delay);
            }
            Timer::WinkDelay => {
                self.set_off_hook(true);
                self.state = State::Wink;
                self.start(now, Timer::WinkEnd, self.config.wink);
            }
            Timer::WinkEnd => self.collect(now),
            Timer::WinkMax if self.config.glare_role == GlareRole::Hold => {
                self.state = State::GlareHold;
                self.start(now, Timer::GlareWait, self.config.glare_wait);
            }
            // An end that holds and waits in vain yields too: both ends may have been given the same role.
            Timer::WinkMax | Timer::GlareWait => self.yield_glare(now),
            Timer::DialDelay => {
                let digits = std::mem::take(&mut self.address);
                self.outputs.push_back(Output::SendDigits(digits));
                self.state = State::Sending;
                self.start(now, Timer::DigitsOut, self.config.digits_out);
            }
            Timer::AnswerMin => {
                self.stop(Timer::AnswerWait);
                self.tell(Event::Answered);
                self.state = State::Talking;
            }
            Timer::InterDigit => self.complete_address(),
            Timer::Guard => self.on_guard_end(now),
            // The circuit does not work: the caller is better served by another one.
            Timer::WinkWait => self.end(now, Cause::ChannelUnavailable),
            Timer::DigitsOut => self.end(now, Cause::TemporaryFailure),
            Timer::AnswerWait => self.end(now, Cause::NoAnswer),
            Timer::FirstDigit => self.end(now, Cause::InvalidNumber),
            Timer::ReleaseMin => self.end(now, Cause::Normal),
        }
    }

    /// Our call gives way to the other end's.
    fn yield_glare(&mut self, now: Instant) {
        self.tell(Event::Glare);
        self.tell(Event::Seized);
        self.collect(now);
    }

    fn collect(&mut self, now: Instant) {
        self.address = DialString::default();
        self.outputs.push_back(Output::StartDigits);
        self.set_off_hook(false);
        self.state = State::Collecting;
        self.start(now, Timer::FirstDigit, self.config.first_digit);
    }

    fn on_guard_end(&mut self, now: Instant) {
        self.state = State::Idle;
        self.tell(Event::Idle);
        if self.far_off_hook {
            // The far end was quicker than our guard time.
            self.state = State::Seizure;
            self.start(now, Timer::SeizureMin, self.config.seizure_min);
        }
    }

    // The end

    fn end(&mut self, now: Instant, cause: Cause) {
        self.clear();
        self.tell(Event::Released(cause));
        self.wait_for_idle(now);
    }

    /// Takes back what the call holds.
    fn clear(&mut self) {
        if self.state == State::Collecting {
            self.outputs.push_back(Output::StopDigits);
        }
        self.set_off_hook(false);
        self.stop_all();
        self.address = DialString::default();
    }

    /// We are on-hook; when the far end is too, the guard time runs.
    fn wait_for_idle(&mut self, now: Instant) {
        if self.far_off_hook {
            self.state = State::Releasing;
            self.held_since = now;
        } else {
            self.state = State::Guard;
            self.start(now, Timer::Guard, self.config.guard);
        }
    }

    fn in_call(&self) -> bool {
        !matches!(self.state, State::Idle | State::Blocked | State::Releasing | State::Guard | State::Seizure)
    }

    // Helpers

    fn set_off_hook(&mut self, off_hook: bool) {
        if self.off_hook != off_hook {
            self.off_hook = off_hook;
            self.outputs.push_back(Output::SetBits(if off_hook { Bits::OFF_HOOK } else { Bits::ON_HOOK }));
        }
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn start(&mut self, now: Instant, timer: Timer, after: Duration) {
        // Never due at once, even when configured to zero: `handle_timeout` must come to an end.
        self.timers[timer as usize] = Some(now + after.max(Duration::from_millis(1)));
    }

    fn stop(&mut self, timer: Timer) {
        self.timers[timer as usize] = None;
    }

    fn stop_all(&mut self) {
        self.timers = [None; Timer::ALL.len()];
    }

    /// The timer that is due first, if one is due at `now`.
    fn next_due(&self, now: Instant) -> Option<Timer> {
        let due = |timer: &Timer| self.timers[*timer as usize].filter(|&at| at <= now);
        Timer::ALL.into_iter().filter(|t| due(t).is_some()).min_by_key(due)
    }
}

/// Whether [`Input::Seize`] takes this address: 1 to [`ADDRESS_DIGITS_MAX`] digits of `0-9*#A-D`.
pub fn is_address(text: &str) -> bool {
    (1..=ADDRESS_DIGITS_MAX).contains(&text.len()) && text.chars().all(is_digit)
}

fn is_digit(c: char) -> bool {
    matches!(c, '0'..='9' | '*' | '#' | 'A'..='D')
}

#[cfg(test)]
mod tests;
