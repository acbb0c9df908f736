//! What a driver implements.

use std::time::Duration;

use crate::{Alarms, CardEvent, CasBits, ClockSource, Law, LineErrors, Loopback, Result, SpanInfo};

/// A trunk card.
///
/// Once the card is gone, every call of the card and of its channels, bearers and D channels fails with
/// [`ErrorKind::Gone`](crate::ErrorKind::Gone), and [`CardEvent::Gone`] comes once. A span or timeslot that the card
/// does not have is [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
pub trait Card: Send {
    /// Name and serial number or location, for people.
    fn description(&self) -> String;

    /// The card's spans; never changes.
    fn spans(&self) -> &[SpanInfo];

    /// Brings a span up with its clock source. Idempotent.
    fn start_span(&mut self, span: u8, clock: ClockSource) -> Result<()>;

    /// Takes a span down: its timeslots go idle and the far end sees an alarm. Idempotent.
    fn stop_span(&mut self, span: u8) -> Result<()>;

    /// Takes a timeslot. `Busy` until both halves of an earlier `open` are dropped; then the timeslot sends silence
    /// and all-zero CAS bits. A span's state does not matter.
    fn open(&mut self, span: u8, timeslot: u8) -> Result<(Box<dyn Channel>, Box<dyn Bearer>)>;

    /// Takes a timeslot as an HDLC D channel. Frames arrive as [`CardEvent::Hdlc`]. `Busy` as with [`Card::open`].
    /// Frames sent or received within the first 20 ms may be lost while the controller finds the flags.
    fn open_hdlc(&mut self, span: u8, timeslot: u8) -> Result<Box<dyn Hdlc>>;

    /// The span's alarms now.
    fn alarms(&self, span: u8) -> Result<Alarms>;

    /// The span's error counters.
    fn line_errors(&self, span: u8) -> Result<LineErrors>;

    /// Sets a span's test loop. `Unsupported` when the driver has none (DAHDI's dynamic spans, for one).
    fn set_loopback(&mut self, span: u8, loopback: Loopback) -> Result<()>;

    /// The next event, oldest first; `None` when there is none now.
    fn next_event(&mut self) -> Option<CardEvent>;

    /// The card's watchdog, if it has one.
    fn watchdog(&mut self) -> Option<&mut dyn Watchdog>;
}

/// Signalling half of a timeslot.
pub trait Channel: Send {
    /// Bits received now.
    fn cas(&self) -> Result<CasBits>;

    /// Sets the bits sent. Never blocks; the line follows within a few milliseconds.
    fn set_cas(&mut self, bits: CasBits) -> Result<()>;

    /// Switches the hardware echo canceller, with a tail in milliseconds; `None` is off. `Unsupported` when there is
    /// none, `Invalid` when it cannot cover the tail.
    fn set_echo_canceller(&mut self, tail: Option<Duration>) -> Result<()>;
}

/// Sample half of a timeslot: companded octets, 8 per millisecond each way.
pub trait Bearer: Send {
    /// The law of the octets.
    fn law(&self) -> Law;

    /// Takes up to `buf.len()` received octets; 0 when none is there now. Octets that nobody took in time are lost,
    /// oldest first.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize>;

    /// Queues octets to send and returns how many were taken; fewer than `octets.len()` when the driver's buffer is
    /// full. When nothing is queued the line carries silence. The buffer holds 20 ms (160 octets) at least and 200 ms
    /// at most, so that it neither starves a 20 ms writer nor adds delay that nobody asked for.
    fn write(&mut self, octets: &[u8]) -> Result<usize>;
}

/// A D channel.
pub trait Hdlc: Send {
    /// Sends a frame (without FCS), 1 to 512 octets, else `Invalid`. `Busy` when the transmit queue is full. May be
    /// lost; the data link layer retransmits.
    fn send(&mut self, frame: &[u8]) -> Result<()>;
}

/// A hardware watchdog: unless fed in time it resets the box or opens the bypass relay.
pub trait Watchdog {
    /// Arms it, or changes the timeout of an armed one and starts the time anew. A timeout of zero is `Invalid`.
    fn arm(&mut self, timeout: Duration) -> Result<()>;

    /// Starts the time anew. `Busy` when it is not armed: the caller believes in a guard that is not there.
    fn feed(&mut self) -> Result<()>;

    /// Disarms it. Idempotent.
    fn disarm(&mut self) -> Result<()>;
}
