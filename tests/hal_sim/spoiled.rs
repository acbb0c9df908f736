//! The conformance suite finds what is wrong: a card spoiled in one way fails the check that is made for it.

use std::time::Duration;

use cordboard_hal::conformance::{self, End, Outcome, Rig};
use cordboard_hal::{
    Alarms, Bearer, Card, CardEvent, Channel, ClockSource, Error, ErrorKind, Hdlc, Law, LineErrors, Loopback, Result,
    SpanInfo, SpanKind, Watchdog,
};
use cordboard_hal_sim::{SimCard, SimControl};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// Two octets of each read change places.
    SwapsOctets,
    /// An idle line hums.
    Hums,
    /// A full buffer says that it took everything.
    ClaimsAll,
    /// A taken timeslot is given again.
    GivesTwice,
    /// Span 0 is taken for span 1.
    CountsFromZero,
    /// Alarms are shown but not told.
    HidesAlarms,
    /// A neighbour's bits are told as one's own.
    LeaksBits,
    /// Frames come with their FCS.
    KeepsFcs,
    /// A loop is accepted and not made.
    PretendsLoops,
    /// The watchdog need not be armed to be fed.
    FeedsAnything,
    /// Nobody is told that the card is gone.
    HidesGone,
    /// The card that is gone reads on.
    OutlivesItself,
}

const FAULTS: [(Fault, &str); 12] = [
    (Fault::SwapsOctets, "octets arrive in order and unchanged"),
    (Fault::Hums, "an idle timeslot is silent"),
    (Fault::ClaimsAll, "a full buffer takes part of a write"),
    (Fault::GivesTwice, "a timeslot opens once"),
    (Fault::CountsFromZero, "what is not there is not found"),
    (Fault::HidesAlarms, "alarms come and go with events"),
    (Fault::LeaksBits, "CAS bits stay in their timeslot"),
    (Fault::KeepsFcs, "HDLC frames arrive whole"),
    (Fault::PretendsLoops, "a local loop returns what we send"),
    (Fault::FeedsAnything, "the watchdog bites only when starved"),
    (Fault::HidesGone, "a card that is gone stays gone"),
    (Fault::OutlivesItself, "a card that is gone stays gone"),
];

struct SpoiledCard {
    card: SimCard,
    fault: Fault,
    leaked: Option<CardEvent>,
}

impl Card for SpoiledCard {
    fn description(&self) -> String {
        self.card.description()
    }

    fn spans(&self) -> &[SpanInfo] {
        self.card.spans()
    }

    fn start_span(&mut self, span: u8, clock: ClockSource) -> Result<()> {
        self.card.start_span(span, clock)
    }

    fn stop_span(&mut self, span: u8) -> Result<()> {
        self.card.stop_span(span)
    }

    fn open(&mut self, span: u8, timeslot: u8) -> Result<(Box<dyn Channel>, Box<dyn Bearer>)> {
        let opened = match self.card.open(span, timeslot) {
            Err(e) if e.kind() == ErrorKind::Busy && self.fault == Fault::GivesTwice => self.card.open(span, 20),
            other => other,
        };
        opened.map(|(channel, bearer)| {
            (channel, Box::new(SpoiledBearer { bearer, fault: self.fault }) as Box<dyn Bearer>)
        })
    }

    fn open_hdlc(&mut self, span: u8, timeslot: u8) -> Result<Box<dyn Hdlc>> {
        self.card.open_hdlc(span, timeslot)
    }

    fn alarms(&self, span: u8) -> Result<Alarms> {
        let first = self.fault == Fault::CountsFromZero && span == 0;
        self.card.alarms(if first { 1 } else { span })
    }

    fn line_errors(&self, span: u8) -> Result<LineErrors> {
        self.card.line_errors(span)
    }

    fn set_loopback(&mut self, span: u8, loopback: Loopback) -> Result<()> {
        let loopback = if self.fault == Fault::PretendsLoops { Loopback::Off } else { loopback };
        self.card.set_loopback(span, loopback)
    }

    fn next_event(&mut self) -> Option<CardEvent> {
        if let Some(leaked) = self.leaked.take() {
            return Some(leaked);
        }
        match (self.card.next_event()?, self.fault) {
            (CardEvent::Alarms { .. }, Fault::HidesAlarms) | (CardEvent::Gone, Fault::HidesGone) => self.next_event(),
            (CardEvent::Cas { span, timeslot, bits }, Fault::LeaksBits) => {
                self.leaked = Some(CardEvent::Cas { span, timeslot: timeslot - 1, bits });
                Some(CardEvent::Cas { span, timeslot, bits })
            }
            (CardEvent::Hdlc { span, timeslot, mut frame }, Fault::KeepsFcs) => {
                frame.extend([0xf0, 0xb8]);
                Some(CardEvent::Hdlc { span, timeslot, frame })
            }
            (event, _) => Some(event),
        }
    }

    fn watchdog(&mut self) -> Option<&mut dyn Watchdog> {
        if self.fault == Fault::FeedsAnything { Some(self) } else { self.card.watchdog() }
    }
}

impl Watchdog for SpoiledCard {
    fn arm(&mut self, timeout: Duration) -> Result<()> {
        self.card.watchdog().ok_or(Error::new(ErrorKind::NotFound, "arm"))?.arm(timeout)
    }

    fn feed(&mut self) -> Result<()> {
        Ok(())
    }

    fn disarm(&mut self) -> Result<()> {
        self.card.watchdog().ok_or(Error::new(ErrorKind::NotFound, "disarm"))?.disarm()
    }
}

struct SpoiledBearer {
    bearer: Box<dyn Bearer>,
    fault: Fault,
}

impl Bearer for SpoiledBearer {
    fn law(&self) -> Law {
        self.bearer.law()
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let read = match self.bearer.read(buf) {
            Err(_) if self.fault == Fault::OutlivesItself => return Ok(0),
            other => other?,
        };
        match self.fault {
            Fault::SwapsOctets if read > 1 => buf.swap(0, 1),
            Fault::Hums if read > 0 => buf[0] = 0x12,
            _ => {}
        }
        Ok(read)
    }

    fn write(&mut self, octets: &[u8]) -> Result<usize> {
        let written = self.bearer.write(octets)?;
        Ok(if self.fault == Fault::ClaimsAll { octets.len() } else { written })
    }
}

struct SpoiledRig {
    card: SpoiledCard,
    control: SimControl,
}

impl Rig for SpoiledRig {
    fn card(&mut self) -> &mut dyn Card {
        &mut self.card
    }

    fn ends(&self) -> [End; 2] {
        [1, 2].map(|span| End { span, timeslot: 5 })
    }

    fn advance(&mut self, time: Duration) {
        self.control.advance(u32::try_from(time.as_millis()).unwrap());
    }

    fn unplug(&mut self) -> bool {
        self.control.vanish();
        true
    }

    fn watchdog_bites(&self) -> Option<u64> {
        Some(self.control.watchdog_bites())
    }

    fn clear_channel(&self) -> bool {
        true
    }
}

#[test]
fn each_fault_is_found() {
    for (fault, check) in FAULTS {
        let report = conformance::run(&mut || {
            let (card, control) = SimCard::new(SpanKind::T1, 2);
            control.cross_connect(1, 2).unwrap();
            Box::new(SpoiledRig { card: SpoiledCard { card, fault, leaked: None }, control })
        });
        let found = report.outcomes().iter().any(|(name, o)| *name == check && matches!(o, Outcome::Failed(_)));
        assert!(found, "{fault:?} must fail {check:?}\n{report}");
    }
}
