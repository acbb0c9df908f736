//! Hardware abstraction layer: what the appliance needs of a trunk card, whoever makes it.
//!
//! A [`Card`] has spans (T1 or E1 lines); a span has timeslots. [`Card::open`] takes a timeslot and returns its two
//! halves, because signalling and samples live on different threads: a [`Channel`] (CAS bits, echo canceller,
//! loopback) and a [`Bearer`] (companded octets). Everything is non-blocking; what happens by itself arrives through
//! [`Card::next_event`].
//!
//! Every driver must pass the suite in [`conformance`].

mod card;
mod cas;
pub mod conformance;
mod error;
mod event;
mod line;

pub use card::{Bearer, Card, Channel, Hdlc, Watchdog};
pub use cas::CasBits;
pub use error::{Error, ErrorKind, Result};
pub use event::CardEvent;
pub use line::{Alarms, ClockSource, Law, LineErrors, Loopback, SpanInfo, SpanKind};
