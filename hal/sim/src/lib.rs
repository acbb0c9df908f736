//! A trunk card in memory: T1 or E1 spans whose 64 kbit/s timeslots move 8 octets each way per millisecond, a
//! scripted switch at the far end of every timeslot, and faults on demand.
//!
//! Time stands still until [`SimControl::advance`] moves it, so a test runs a busy hour in seconds and gets the same
//! result each time; the appliance moves it by the clock.
//!
//! ```
//! use cordboard_hal::{Card, ClockSource, SpanKind};
//! use cordboard_hal_sim::{FarEventKind, SimCard};
//!
//! let (mut card, control) = SimCard::new(SpanKind::T1, 1);
//! card.start_span(1, ClockSource::Internal)?;
//! let (mut channel, _bearer) = card.open(1, 7)?;
//! channel.set_cas(cordboard_hal::CasBits::OFF_HOOK)?;
//! control.advance(400);
//! assert!(matches!(control.poll_event().map(|e| e.kind), Some(FarEventKind::Seized)));
//! # Ok::<(), cordboard_hal::Error>(())
//! ```
//!
//! The [`dtmf`] and [`g711`] modules are the far end's own, written apart from the appliance's signal processing, so
//! that each checks the other.

mod board;
mod card;
mod control;
pub mod dtmf;
mod far_end;
mod fault;
pub mod g711;
mod timeslot;

pub use card::SimCard;
pub use control::SimControl;
pub use far_end::{Answering, FarEvent, FarEventKind, FarFailure, GlareRole};
pub use fault::Slip;
