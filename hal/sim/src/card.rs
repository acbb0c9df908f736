//! The card as the appliance sees it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cordboard_hal::{
    Alarms, Bearer, Card, CardEvent, CasBits, Channel, ClockSource, Error, ErrorKind, Hdlc, Law, LineErrors, Loopback,
    Result, SpanInfo, SpanKind, Watchdog,
};

use crate::SimControl;
use crate::board::{Board, WatchdogState};
use crate::timeslot::{BUFFER_OCTETS, FRAME_OCTETS_MAX, Use};

/// The board, shared by the card, its timeslots and its control.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<Board>>);

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Board> {
        // A panic elsewhere cannot leave the board half changed in a way that matters to a simulation.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A simulated card with spans of one kind.
#[derive(Debug)]
pub struct SimCard {
    shared: Shared,
    spans: Vec<SpanInfo>,
    watchdog: SimWatchdog,
}

impl SimCard {
    /// A card with `spans` spans, and the handle that moves its time, plays its far end and breaks it.
    pub fn new(kind: SpanKind, spans: u8) -> (SimCard, SimControl) {
        let board = Board::new(kind, spans);
        let infos = board.spans.iter().map(|span| span.info.clone()).collect();
        let shared = Shared(Arc::new(Mutex::new(board)));
        let control = SimControl::new(shared.clone());
        (SimCard { watchdog: SimWatchdog { shared: shared.clone() }, shared, spans: infos }, control)
    }

    fn take(&mut self, span: u8, timeslot: u8, usage: Use, doing: &'static str) -> Result<Place> {
        let mut board = self.shared.lock();
        let slot = board.timeslot(span, timeslot, doing)?;
        if slot.usage != Use::Free {
            return Err(Error::new(ErrorKind::Busy, doing));
        }
        slot.usage = usage;
        let law = board.span(span, doing)?.info.kind.law();
        Ok(Place { shared: self.shared.clone(), span, timeslot, law })
    }
}

impl Card for SimCard {
    fn description(&self) -> String {
        let kind = self.spans.first().map_or("trunk", |span| match span.kind {
            SpanKind::T1 => "T1",
            SpanKind::E1 => "E1",
        });
        format!("simulated {kind} card, {} spans", self.spans.len())
    }

    fn spans(&self) -> &[SpanInfo] {
        &self.spans
    }

    fn start_span(&mut self, span: u8, _clock: ClockSource) -> Result<()> {
        let mut board = self.shared.lock();
        board.present("start span")?;
        board.span(span, "start span")?.started = true;
        Ok(())
    }

    fn stop_span(&mut self, span: u8) -> Result<()> {
        let mut board = self.shared.lock();
        board.present("stop span")?;
        board.span(span, "stop span")?.started = false;
        Ok(())
    }

    fn open(&mut self, span: u8, timeslot: u8) -> Result<(Box<dyn Channel>, Box<dyn Bearer>)> {
        const DOING: &str = "open timeslot";
        self.shared.lock().present(DOING)?;
        let kind = self.shared.lock().span(span, DOING)?.info.kind;
        if !kind.bearer_timeslots().any(|t| t == timeslot) {
            return Err(Error::new(ErrorKind::NotFound, DOING));
        }
        let channel = SimChannel(self.take(span, timeslot, Use::Bearer { halves: 2 }, DOING)?);
        let bearer = SimBearer(Place { shared: self.shared.clone(), ..channel.0 });
        Ok((Box::new(channel), Box::new(bearer)))
    }

    fn open_hdlc(&mut self, span: u8, timeslot: u8) -> Result<Box<dyn Hdlc>> {
        const DOING: &str = "open D channel";
        let since_ms = {
            let board = self.shared.lock();
            board.present(DOING)?;
            board.now_ms
        };
        Ok(Box::new(SimHdlc(self.take(span, timeslot, Use::Hdlc { since_ms }, DOING)?)))
    }

    fn alarms(&self, span: u8) -> Result<Alarms> {
        let mut board = self.shared.lock();
        board.present("read alarms")?;
        Ok(board.span(span, "read alarms")?.alarms)
    }

    fn line_errors(&self, span: u8) -> Result<LineErrors> {
        let mut board = self.shared.lock();
        board.present("read error counters")?;
        Ok(board.span(span, "read error counters")?.errors)
    }

    fn set_loopback(&mut self, span: u8, loopback: Loopback) -> Result<()> {
        let mut board = self.shared.lock();
        board.present("set loopback")?;
        board.span(span, "set loopback")?.loopback = loopback;
        Ok(())
    }

    fn next_event(&mut self) -> Option<CardEvent> {
        self.shared.lock().next_event()
    }

    fn watchdog(&mut self) -> Option<&mut dyn Watchdog> {
        Some(&mut self.watchdog)
    }
}

/// A timeslot that somebody has; dropping it gives it back.
#[derive(Debug)]
struct Place {
    shared: Shared,
    span: u8,
    timeslot: u8,
    law: Law,
}

impl Place {
    fn board(&self, doing: &'static str) -> Result<MutexGuard<'_, Board>> {
        let board = self.shared.lock();
        board.present(doing)?;
        Ok(board)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(slot) = self.shared.lock().timeslot(self.span, self.timeslot, "close timeslot") {
            slot.release();
        }
    }
}

struct SimChannel(Place);

impl Channel for SimChannel {
    fn cas(&self) -> Result<CasBits> {
        Ok(self.0.board("read CAS bits")?.timeslot(self.0.span, self.0.timeslot, "read CAS bits")?.rx_bits)
    }

    fn set_cas(&mut self, bits: CasBits) -> Result<()> {
        self.0.board("set CAS bits")?.timeslot(self.0.span, self.0.timeslot, "set CAS bits")?.tx_bits = bits;
        Ok(())
    }

    fn set_echo_canceller(&mut self, tail: Option<Duration>) -> Result<()> {
        // The simulated line has no hybrid, so there is no echo to cancel; the limit is a usual card's.
        const TAIL_MAX: Duration = Duration::from_millis(128);
        drop(self.0.board("switch echo canceller")?);
        match tail {
            Some(tail) if tail > TAIL_MAX => Err(Error::new(ErrorKind::Invalid, "switch echo canceller")),
            _ => Ok(()),
        }
    }
}

struct SimBearer(Place);

impl Bearer for SimBearer {
    fn law(&self) -> Law {
        self.0.law
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let mut board = self.0.board("read octets")?;
        let rx = &mut board.timeslot(self.0.span, self.0.timeslot, "read octets")?.rx;
        let taken = buf.len().min(rx.len());
        for (place, octet) in buf.iter_mut().zip(rx.drain(..taken)) {
            *place = octet;
        }
        Ok(taken)
    }

    fn write(&mut self, octets: &[u8]) -> Result<usize> {
        let mut board = self.0.board("write octets")?;
        let tx = &mut board.timeslot(self.0.span, self.0.timeslot, "write octets")?.tx;
        let taken = octets.len().min(BUFFER_OCTETS.saturating_sub(tx.len()));
        tx.extend(octets.iter().take(taken));
        Ok(taken)
    }
}

struct SimHdlc(Place);

impl Hdlc for SimHdlc {
    fn send(&mut self, frame: &[u8]) -> Result<()> {
        const DOING: &str = "send frame";
        let mut board = self.0.board(DOING)?;
        if !(1..=FRAME_OCTETS_MAX).contains(&frame.len()) {
            return Err(Error::new(ErrorKind::Invalid, DOING));
        }
        let queued = board.timeslot(self.0.span, self.0.timeslot, DOING)?.queue_frame(frame);
        if queued { Ok(()) } else { Err(Error::new(ErrorKind::Busy, DOING)) }
    }
}

#[derive(Debug)]
struct SimWatchdog {
    shared: Shared,
}

impl Watchdog for SimWatchdog {
    fn arm(&mut self, timeout: Duration) -> Result<()> {
        let mut board = self.shared.lock();
        board.present("arm watchdog")?;
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        if timeout_ms == 0 {
            return Err(Error::new(ErrorKind::Invalid, "arm watchdog"));
        }
        board.watchdog = Some(WatchdogState { timeout_ms, bites_at_ms: board.now_ms.saturating_add(timeout_ms) });
        Ok(())
    }

    fn feed(&mut self) -> Result<()> {
        let mut board = self.shared.lock();
        board.present("feed watchdog")?;
        let now_ms = board.now_ms;
        match &mut board.watchdog {
            Some(watchdog) => {
                watchdog.bites_at_ms = now_ms.saturating_add(watchdog.timeout_ms);
                Ok(())
            }
            None => Err(Error::new(ErrorKind::Busy, "feed watchdog")),
        }
    }

    fn disarm(&mut self) -> Result<()> {
        let mut board = self.shared.lock();
        board.present("disarm watchdog")?;
        board.watchdog = None;
        Ok(())
    }
}
