//! What a card reports by itself.

use crate::{Alarms, CasBits};

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
