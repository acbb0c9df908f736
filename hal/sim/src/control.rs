//! The hand behind the card: time, far end and faults.

use cordboard_hal::{Alarms, CasBits, Error, ErrorKind, Result};

use crate::board::Line;
use crate::card::Shared;
use crate::far_end::FarEnd;
use crate::fault::BitErrors;
use crate::{Answering, FarEvent, GlareRole, Slip};

/// Moves a card's time, plays its far end and breaks it. Clones reach the same card, from any thread.
///
/// Spans and timeslots count from 1; what the card does not have is [`ErrorKind::NotFound`].
#[derive(Clone, Debug)]
pub struct SimControl(Shared);

impl SimControl {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(shared)
    }

    // Time and wiring

    /// Lets `ms` milliseconds pass.
    pub fn advance(&self, ms: u32) {
        for _ in 0..ms {
            // The lock is given back each millisecond, so that a long leap does not hold up a media thread.
            self.0.lock().step();
        }
    }

    /// Milliseconds that have passed.
    pub fn now_ms(&self) -> u64 {
        self.0.lock().now_ms
    }

    /// Card events raised so far; a change tells a pump that somebody must be woken.
    pub fn events_raised(&self) -> u64 {
        self.0.lock().events_raised
    }

    /// Joins two spans back to back in place of their far ends. `Invalid` when both are the same.
    pub fn cross_connect(&self, a: u8, b: u8) -> Result<()> {
        const DOING: &str = "cross-connect spans";
        if a == b {
            return Err(Error::new(ErrorKind::Invalid, DOING));
        }
        let mut board = self.0.lock();
        board.span(a, DOING)?;
        board.span(b, DOING)?.line = Line::Span(usize::from(a) - 1);
        board.span(a, DOING)?.line = Line::Span(usize::from(b) - 1);
        Ok(())
    }

    // Far end

    /// The far end seizes the timeslot and calls `digits` (1 to 32 of `0-9*#A-D`). `Busy` when the circuit is not
    /// idle at its end, `Invalid` when it cannot send the digits.
    pub fn dial(&self, span: u8, timeslot: u8, digits: &str) -> Result<()> {
        self.far(span, timeslot, "dial", |far| {
            if !far.is_idle() {
                Err(Error::new(ErrorKind::Busy, "dial"))
            } else if far.dial(digits) {
                Ok(())
            } else {
                Err(Error::new(ErrorKind::Invalid, "dial"))
            }
        })?
    }

    /// The far end goes on-hook, whatever it does.
    pub fn hang_up(&self, span: u8, timeslot: u8) -> Result<()> {
        self.far(span, timeslot, "hang up", FarEnd::hang_up)
    }

    /// How the far end treats our seizures from now on.
    pub fn set_answering(&self, span: u8, timeslot: u8, answering: Answering) -> Result<()> {
        self.far(span, timeslot, "set answering", |far| far.answering = answering)
    }

    /// What the far end does when both ends seize at once.
    pub fn set_glare_role(&self, span: u8, timeslot: u8, role: GlareRole) -> Result<()> {
        self.far(span, timeslot, "set glare role", |far| far.glare_role = role)
    }

    /// Whether the circuit is idle at the far end: a `dial` would be taken.
    pub fn is_idle(&self, span: u8, timeslot: u8) -> Result<bool> {
        self.far(span, timeslot, "ask far end", |far| far.is_idle())
    }

    /// Queues audio that the far end says in the call (8 kHz, 16 bits linear) and returns how much was taken: at
    /// most 60 s wait. Hanging up drops the rest.
    pub fn play(&self, span: u8, timeslot: u8, samples: &[i16]) -> Result<usize> {
        self.far(span, timeslot, "play", |far| far.play(samples))
    }

    /// Queues DTMF digits (80 ms, pauses of 80 ms) that the far end keys in the call and returns how many were
    /// taken: at most 64 wait.
    pub fn send_digits(&self, span: u8, timeslot: u8, digits: &str) -> Result<usize> {
        self.far(span, timeslot, "send digits", |far| far.send_digits(digits))
    }

    /// Whether the far end records what it hears while the circuit is in use.
    pub fn set_recording(&self, span: u8, timeslot: u8, on: bool) -> Result<()> {
        self.far(span, timeslot, "set recording", |far| far.set_recording(on))
    }

    /// What was recorded since the last time (8 kHz, 16 bits linear). What goes beyond 60 s is not recorded.
    pub fn take_recorded(&self, span: u8, timeslot: u8) -> Result<Vec<i16>> {
        self.far(span, timeslot, "take recorded", FarEnd::take_recorded)
    }

    /// The next thing that happened at the far end, oldest first. At most 4,096 wait; beyond that the oldest are
    /// dropped.
    pub fn poll_event(&self) -> Option<FarEvent> {
        self.0.lock().next_far_event()
    }

    /// Far-end events that were dropped because nobody fetched them.
    pub fn far_events_dropped(&self) -> u64 {
        self.0.lock().far_events_dropped
    }

    /// Bits that we send on a timeslot.
    pub fn sent_cas(&self, span: u8, timeslot: u8) -> Result<CasBits> {
        Ok(self.0.lock().timeslot(span, timeslot, "read sent bits")?.tx_bits)
    }

    // Faults

    /// Alarms that the line imposes on us until set to [`Alarms::NONE`]. While it is red, blue, los or lfa we hear
    /// silence, CAS bits freeze, and the far end sees yellow.
    pub fn set_alarms(&self, span: u8, alarms: Alarms) -> Result<()> {
        self.0.lock().span(span, "set alarms")?.forced = alarms;
        Ok(())
    }

    /// Keeps our signal from the far end: it drops its calls, and we see yellow.
    pub fn set_far_loss(&self, span: u8, lost: bool) -> Result<()> {
        self.0.lock().span(span, "set far loss")?.far_loss = lost;
        Ok(())
    }

    /// Alarms that the far end sees of us.
    pub fn far_alarms(&self, span: u8) -> Result<Alarms> {
        let mut board = self.0.lock();
        board.span(span, "read far alarms")?;
        let index = usize::from(span) - 1;
        Ok(board.spans.get(index).map_or(Alarms::NONE, |span| board.far_alarms(span)))
    }

    /// Slips one frame in the direction towards us, in the next millisecond in which no other slip waits. `Busy`
    /// when 1,000 wait.
    pub fn slip(&self, span: u8, slip: Slip) -> Result<()> {
        let mut board = self.0.lock();
        let slips = &mut board.span(span, "slip")?.slips;
        if slips.len() >= 1_000 {
            return Err(Error::new(ErrorKind::Busy, "slip"));
        }
        slips.push_back(slip);
        Ok(())
    }

    /// Flips bits that come to us, at this rate per million; 0 ends it. The seed decides which.
    pub fn set_bit_errors(&self, span: u8, per_million: u32, seed: u64) -> Result<()> {
        let errors = (per_million > 0).then(|| BitErrors::new(per_million, seed));
        self.0.lock().span(span, "set bit errors")?.bit_errors = errors;
        Ok(())
    }

    /// Holds the CAS bits that we receive on a timeslot; `None` lets them go.
    pub fn stick_cas(&self, span: u8, timeslot: u8, bits: Option<CasBits>) -> Result<()> {
        self.0.lock().timeslot(span, timeslot, "stick CAS bits")?.stuck = bits;
        Ok(())
    }

    /// Pulls the card out, for good.
    pub fn vanish(&self) {
        self.0.lock().vanish();
    }

    /// How often the watchdog has bitten.
    pub fn watchdog_bites(&self) -> u64 {
        self.0.lock().watchdog_bites
    }

    fn far<T>(&self, span: u8, timeslot: u8, doing: &'static str, f: impl FnOnce(&mut FarEnd) -> T) -> Result<T> {
        Ok(f(&mut self.0.lock().timeslot(span, timeslot, doing)?.far))
    }
}
