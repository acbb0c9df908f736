//! Static and measured facts of a line: kind, law, alarms, error counters, clock and test loops.

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
