//! Hardware abstraction layer: what the appliance needs of a trunk card, whoever makes it.
//!
//! A [`Card`] has spans (T1 or E1 lines); a span has timeslots. [`Card::open`] takes a timeslot and returns its two
//! halves, because signalling and samples live on different threads: a [`Channel`] (CAS bits, echo canceller,
//! loopback) and a [`Bearer`] (companded octets). Everything is non-blocking; what happens by itself arrives through
//! [`Card::next_event`].

use std::fmt;
use std::time::Duration;

/// Companding law of a bearer (ITU-T G.711).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Law {
    /// mu-law, 24-channel T1 systems.
    Ulaw,
    /// A-law, 30-channel E1 systems.
    Alaw,
}

impl Law {
    /// The octet that stands for silence.
    pub const fn silence(self) -> u8 {
        match self {
            Law::Ulaw => 0xff,
            Law::Alaw => 0xd5,
        }
    }
}

/// Kind of line (ITU-T G.704).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SpanKind {
    /// 1,544 kbit/s, 24 timeslots, robbed-bit CAS.
    T1,
    /// 2,048 kbit/s, 30 bearer timeslots (1..=15, 17..=31), CAS in timeslot 16.
    E1,
}

impl SpanKind {
    /// Timeslots that can carry a bearer channel.
    pub fn bearer_timeslots(self) -> impl Iterator<Item = u8> {
        let last = match self {
            SpanKind::T1 => 24,
            SpanKind::E1 => 31,
        };
        (1..=last).filter(move |&t| self == SpanKind::T1 || t != 16)
    }

    /// Usual companding law.
    pub const fn law(self) -> Law {
        match self {
            SpanKind::T1 => Law::Ulaw,
            SpanKind::E1 => Law::Alaw,
        }
    }
}

/// The four CAS signalling bits of a timeslot (low nibble: A = 8, B = 4, C = 2, D = 1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CasBits(u8);

impl CasBits {
    /// All zero: on-hook in E&M.
    pub const ON_HOOK: CasBits = CasBits(0);
    /// All one: off-hook in E&M (A = B, as with superframe).
    pub const OFF_HOOK: CasBits = CasBits(0x0f);

    /// Takes the low nibble; drivers must not let neighbours' bits leak in.
    pub const fn new(bits: u8) -> Self {
        Self(bits & 0x0f)
    }

    /// The bits, 0..=15.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The A bit.
    pub const fn a(self) -> bool {
        self.0 & 8 != 0
    }
}

impl fmt::Debug for CasBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04b}", self.0)
    }
}

/// Alarms of a span, any of them at once (ITU-T G.775, ANSI T1.231).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Alarms {
    /// Local failure: no usable signal is received.
    pub red: bool,
    /// The far end reports that it receives no usable signal (RAI).
    pub yellow: bool,
    /// Alarm indication signal (AIS): unframed all-ones.
    pub blue: bool,
    /// Loss of signal.
    pub los: bool,
    /// Loss of frame alignment.
    pub lfa: bool,
}

impl Alarms {
    /// No alarm.
    pub const NONE: Alarms = Alarms { red: false, yellow: false, blue: false, los: false, lfa: false };

    /// Whether calls can be carried.
    pub const fn in_service(self) -> bool {
        !(self.red || self.yellow || self.blue || self.los || self.lfa)
    }
}

/// Error counters of a span since it was started.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LineErrors {
    /// Frames repeated or deleted because the clocks differ.
    pub slips: u64,
    /// Bipolar violations.
    pub code_violations: u64,
    /// CRC-4 or CRC-6 errors.
    pub crc: u64,
    /// Framing errors.
    pub framing: u64,
}

/// Where a span takes its transmit clock from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockSource {
    /// The card's oscillator.
    Internal,
    /// The line's receive clock, with this preference (1 is best).
    Line {
        /// Order among the card's spans.
        preference: u8,
    },
}

/// Test loops (ITU-T I.610's names for their places are not used here: the driver's are).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loopback {
    /// None.
    Off,
    /// What we send comes back to us.
    Local,
    /// What the line sends goes back to the line.
    Remote,
}

/// Static facts of a span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpanInfo {
    /// From 1.
    pub number: u8,
    /// Line kind.
    pub kind: SpanKind,
    /// Driver's description.
    pub description: String,
}

/// What happens by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CardEvent {
    /// A timeslot's received CAS bits changed (debounced by the driver).
    Cas {
        /// Span, from 1.
        span: u8,
        /// Timeslot, from 1.
        timeslot: u8,
        /// New bits.
        bits: CasBits,
    },
    /// A span's alarms changed.
    Alarms {
        /// Span, from 1.
        span: u8,
        /// All that stand now.
        alarms: Alarms,
    },
    /// A frame arrived on a D channel, without its FCS.
    Hdlc {
        /// Span, from 1.
        span: u8,
        /// Timeslot, from 1.
        timeslot: u8,
        /// The frame's octets.
        frame: Vec<u8>,
    },
    /// The card is gone: unplugged, or its driver failed. No further event comes; every call returns `Gone`.
    Gone,
    /// The driver dropped this many events because they were not fetched in time; states must be read again.
    Overrun {
        /// How many.
        dropped: u64,
    },
}

/// Kinds of hardware errors, for decisions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// No such span, timeslot or feature.
    NotFound,
    /// Taken by somebody else, or in a state that forbids it.
    Busy,
    /// The card is gone.
    Gone,
    /// This driver cannot do it.
    Unsupported,
    /// An argument is out of range.
    Invalid,
    /// The driver failed otherwise.
    Io,
}

/// A hardware error: kind, what was tried, and the driver's own error where there is one.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    doing: &'static str,
    source: Option<std::io::Error>,
}

impl Error {
    /// An error of `kind` while `doing` something.
    pub const fn new(kind: ErrorKind, doing: &'static str) -> Self {
        Self { kind, doing, source: None }
    }

    /// Wraps an operating-system error.
    pub fn io(kind: ErrorKind, doing: &'static str, source: std::io::Error) -> Self {
        Self { kind, doing, source: Some(source) }
    }

    /// For decisions.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::NotFound => "not found",
            ErrorKind::Busy => "busy",
            ErrorKind::Gone => "the card is gone",
            ErrorKind::Unsupported => "not supported by this driver",
            ErrorKind::Invalid => "invalid argument",
            ErrorKind::Io => "driver error",
        };
        write!(f, "{}: {what}", self.doing)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}

/// Result of a hardware call.
pub type Result<T> = std::result::Result<T, Error>;

/// A trunk card.
pub trait Card: Send {
    /// Name and serial number or location, for people.
    fn description(&self) -> String;

    /// The card's spans; never changes.
    fn spans(&self) -> &[SpanInfo];

    /// Brings a span up with its clock source. Idempotent.
    fn start_span(&mut self, span: u8, clock: ClockSource) -> Result<()>;

    /// Takes a span down: its timeslots go idle and the far end sees an alarm.
    fn stop_span(&mut self, span: u8) -> Result<()>;

    /// Takes a timeslot. `Busy` while its halves of an earlier `open` live.
    fn open(&mut self, span: u8, timeslot: u8) -> Result<(Box<dyn Channel>, Box<dyn Bearer>)>;

    /// Takes a timeslot as an HDLC D channel. Frames arrive as [`CardEvent::Hdlc`].
    fn open_hdlc(&mut self, span: u8, timeslot: u8) -> Result<Box<dyn Hdlc>>;

    /// The span's alarms now.
    fn alarms(&self, span: u8) -> Result<Alarms>;

    /// The span's error counters.
    fn line_errors(&self, span: u8) -> Result<LineErrors>;

    /// Sets a span's test loop.
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

    /// Switches the hardware echo canceller, with a tail in milliseconds; `None` is off.
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
    /// full. When nothing is queued the line carries silence.
    fn write(&mut self, octets: &[u8]) -> Result<usize>;
}

/// A D channel.
pub trait Hdlc: Send {
    /// Sends a frame (without FCS). May be lost; the data link layer retransmits.
    fn send(&mut self, frame: &[u8]) -> Result<()>;
}

/// A hardware watchdog: unless fed in time it resets the box or opens the bypass relay.
pub trait Watchdog {
    /// Arms it.
    fn arm(&mut self, timeout: Duration) -> Result<()>;

    /// Starts the time anew.
    fn feed(&mut self) -> Result<()>;

    /// Disarms it.
    fn disarm(&mut self) -> Result<()>;
}
