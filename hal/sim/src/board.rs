//! The state behind the card and its control: spans, time, events.

use std::collections::VecDeque;

use cordboard_hal::{Alarms, CardEvent, CasBits, Error, ErrorKind, LineErrors, Loopback, Result, SpanInfo, SpanKind};

use crate::far_end::FarEvent;
use crate::fault::{BitErrors, Slip};
use crate::timeslot::{CHUNK, Chunk, Timeslot, Use};

/// Card events that wait to be fetched; beyond it the oldest are dropped and counted.
const EVENTS_MAX: usize = 1_024;
/// Far-end events that wait to be fetched; beyond it the oldest are dropped and counted.
const FAR_EVENTS_MAX: usize = 4_096;
/// What a span that receives nothing usable reports.
const LOST: Alarms = Alarms { red: true, yellow: false, blue: false, los: true, lfa: true };

/// What a span's line leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Line {
    /// The scripted far end.
    FarEnd,
    /// The span at this index of the same card.
    Span(usize),
}

#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) info: SpanInfo,
    pub(crate) started: bool,
    pub(crate) loopback: Loopback,
    pub(crate) line: Line,
    pub(crate) alarms: Alarms,
    /// Alarms that a fault imposes.
    pub(crate) forced: Alarms,
    /// A fault keeps our signal from the far end.
    pub(crate) far_loss: bool,
    pub(crate) errors: LineErrors,
    pub(crate) slips: VecDeque<Slip>,
    pub(crate) bit_errors: Option<BitErrors>,
    pub(crate) timeslots: Vec<Timeslot>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct WatchdogState {
    pub(crate) timeout_ms: u64,
    pub(crate) bites_at_ms: u64,
}

#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) now_ms: u64,
    pub(crate) spans: Vec<Span>,
    pub(crate) gone: bool,
    gone_told: bool,
    events: VecDeque<CardEvent>,
    events_dropped: u64,
    /// Events ever raised, for a pump that wakes somebody.
    pub(crate) events_raised: u64,
    far_events: VecDeque<FarEvent>,
    pub(crate) far_events_dropped: u64,
    pub(crate) watchdog: Option<WatchdogState>,
    pub(crate) watchdog_bites: u64,
}

impl Board {
    pub(crate) fn new(kind: SpanKind, spans: u8) -> Self {
        let last = match kind {
            SpanKind::T1 => 24,
            SpanKind::E1 => 31,
        };
        let span = |number| Span {
            info: SpanInfo { number, kind, description: format!("simulated {kind:?} span {number}") },
            started: false,
            loopback: Loopback::Off,
            line: Line::FarEnd,
            alarms: LOST,
            forced: Alarms::NONE,
            far_loss: false,
            errors: LineErrors::default(),
            slips: VecDeque::new(),
            bit_errors: None,
            timeslots: (0..last).map(|_| Timeslot::new(kind.law())).collect(),
        };
        Self {
            now_ms: 0,
            spans: (1..=spans).map(span).collect(),
            gone: false,
            gone_told: false,
            events: VecDeque::new(),
            events_dropped: 0,
            events_raised: 0,
            far_events: VecDeque::new(),
            far_events_dropped: 0,
            watchdog: None,
            watchdog_bites: 0,
        }
    }

    /// Fails when the card is gone.
    pub(crate) fn present(&self, doing: &'static str) -> Result<()> {
        if self.gone { Err(Error::new(ErrorKind::Gone, doing)) } else { Ok(()) }
    }

    pub(crate) fn span(&mut self, span: u8, doing: &'static str) -> Result<&mut Span> {
        let index = usize::from(span).checked_sub(1);
        index.and_then(|i| self.spans.get_mut(i)).ok_or(Error::new(ErrorKind::NotFound, doing))
    }

    /// Any timeslot of the frame, E1's timeslot 16 included.
    pub(crate) fn timeslot(&mut self, span: u8, timeslot: u8, doing: &'static str) -> Result<&mut Timeslot> {
        let index = usize::from(timeslot).checked_sub(1);
        let timeslots = &mut self.span(span, doing)?.timeslots;
        index.and_then(|i| timeslots.get_mut(i)).ok_or(Error::new(ErrorKind::NotFound, doing))
    }

    /// The card is pulled out.
    pub(crate) fn vanish(&mut self) {
        if !self.gone {
            self.gone = true;
            self.events_raised += 1;
        }
    }

    pub(crate) fn next_event(&mut self) -> Option<CardEvent> {
        if self.gone {
            self.events.clear();
            return (!std::mem::replace(&mut self.gone_told, true)).then_some(CardEvent::Gone);
        }
        match std::mem::take(&mut self.events_dropped) {
            0 => self.events.pop_front(),
            dropped => Some(CardEvent::Overrun { dropped }),
        }
    }

    pub(crate) fn next_far_event(&mut self) -> Option<FarEvent> {
        self.far_events.pop_front()
    }

    fn raise(&mut self, event: CardEvent) {
        self.events_raised += 1;
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.events_dropped += 1;
        }
        self.events.push_back(event);
    }

    /// One millisecond.
    pub(crate) fn step(&mut self) {
        self.now_ms += 1;
        if self.gone {
            return;
        }
        if self.watchdog.is_some_and(|w| self.now_ms >= w.bites_at_ms) {
            self.watchdog = None;
            self.watchdog_bites += 1;
        }
        let now_ms = self.now_ms;
        for span in &mut self.spans {
            let law = span.info.kind.law();
            let looped = span.loopback == Loopback::Remote;
            for timeslot in &mut span.timeslots {
                timeslot.send(now_ms, law, looped);
            }
        }
        for index in 0..self.spans.len() {
            self.update_alarms(index);
        }
        for index in 0..self.spans.len() {
            self.step_span(index);
        }
    }

    /// Whether a span receives nothing usable.
    fn loss(&self, span: &Span) -> bool {
        if !span.started {
            return true;
        }
        if span.loopback == Loopback::Local {
            return false;
        }
        let f = span.forced;
        let peer_silent = matches!(span.line, Line::Span(peer) if self.spans.get(peer).is_none_or(|p| !p.started));
        f.red || f.los || f.lfa || f.blue || peer_silent
    }

    /// Alarms that the far end sees of us.
    pub(crate) fn far_alarms(&self, span: &Span) -> Alarms {
        if !span.started || span.far_loss {
            return LOST;
        }
        // A span that receives nothing usable says so to the far end (RAI; ANSI T1.231, ITU-T G.775).
        Alarms { yellow: self.loss(span), ..Alarms::NONE }
    }

    fn update_alarms(&mut self, index: usize) {
        let Some(span) = self.spans.get(index) else { return };
        let mut alarms = span.forced;
        if !span.started {
            alarms = LOST;
        } else if span.loopback == Loopback::Local {
            alarms = Alarms::NONE;
        } else {
            match span.line {
                Line::FarEnd => alarms.yellow |= span.far_loss,
                Line::Span(peer) => match self.spans.get(peer) {
                    Some(peer) if peer.started => alarms.yellow |= self.loss(peer),
                    _ => alarms = LOST,
                },
            }
        }
        let number = span.info.number;
        if let Some(span) = self.spans.get_mut(index)
            && span.alarms != alarms
        {
            span.alarms = alarms;
            self.raise(CardEvent::Alarms { span: number, alarms });
        }
    }

    fn step_span(&mut self, index: usize) {
        let Some(span) = self.spans.get(index) else { return };
        let line_ok = self.far_alarms(span).in_service();
        let lost = self.loss(span);
        let (line, loopback, started) = (span.line, span.loopback, span.started);
        let slip = self.spans.get_mut(index).filter(|_| !lost).and_then(|span| {
            let slip = span.slips.pop_front();
            span.errors.slips += u64::from(slip.is_some());
            slip
        });
        let mut damaged = false;
        for slot in 0..self.spans.get(index).map_or(0, |s| s.timeslots.len()) {
            let Some(chunk) = self.arriving(index, slot, line, line_ok) else { continue };
            if !started {
                continue;
            }
            let Some(span) = self.spans.get_mut(index) else { return };
            let law = span.info.kind.law();
            let Some(timeslot) = span.timeslots.get_mut(slot) else { return };
            let mut chunk = if loopback == Loopback::Local { timeslot.sent.clone() } else { chunk };
            if lost {
                // Receive is muted and signalling frozen while the line is lost, as framers do.
                chunk = Chunk { bits: timeslot.rx_bits, ..Chunk::silence(law) };
            } else if let Some(errors) = &mut span.bit_errors {
                damaged |= errors.apply(&mut chunk.octets) > 0;
            }
            chunk.bits = timeslot.stuck.unwrap_or(chunk.bits);
            let changed = deliver(timeslot, &chunk, slip);
            let hears_frames = timeslot.hears_frames(self.now_ms);
            let frame = chunk.frame.take();
            timeslot.arrived = chunk;
            timeslot.arrived.frame = frame.clone();
            let (span, timeslot) = (span.info.number, slot as u8 + 1);
            if let Some(bits) = changed {
                self.raise(CardEvent::Cas { span, timeslot, bits });
            }
            if let Some(frame) = frame.filter(|_| hears_frames) {
                self.raise(CardEvent::Hdlc { span, timeslot, frame });
            }
        }
        if damaged && let Some(span) = self.spans.get_mut(index) {
            span.errors.crc += 1;
        }
    }

    /// What the line brings to a timeslot this millisecond.
    fn arriving(&mut self, index: usize, slot: usize, line: Line, line_ok: bool) -> Option<Chunk> {
        match line {
            Line::Span(peer) => self.spans.get(peer)?.timeslots.get(slot).map(|t| t.sent.clone()),
            Line::FarEnd => {
                let (at_ms, number) = (self.now_ms, self.spans.get(index)?.info.number);
                let (events, dropped) = (&mut self.far_events, &mut self.far_events_dropped);
                let Timeslot { far, sent, .. } = self.spans.get_mut(index)?.timeslots.get_mut(slot)?;
                let tell = |kind| {
                    if events.len() == FAR_EVENTS_MAX {
                        events.pop_front();
                        *dropped += 1;
                    }
                    events.push_back(FarEvent { at_ms, span: number, timeslot: slot as u8 + 1, kind });
                };
                Some(far.step(sent, line_ok, tell))
            }
        }
    }
}

/// Gives a chunk to a timeslot's owner and returns the CAS bits if they changed for somebody.
fn deliver(timeslot: &mut Timeslot, chunk: &Chunk, slip: Option<Slip>) -> Option<CasBits> {
    let owned = matches!(timeslot.usage, Use::Bearer { .. });
    if owned {
        let octets = chunk.octets.into_iter();
        match slip {
            None => timeslot.receive(octets),
            Some(Slip::Delete) => timeslot.receive(octets.take(CHUNK - 1)),
            Some(Slip::Repeat) => {
                let last = chunk.octets.last().copied();
                timeslot.receive(octets.chain(last));
            }
        }
    }
    let changed = chunk.bits != timeslot.rx_bits;
    timeslot.rx_bits = chunk.bits;
    (changed && owned).then_some(chunk.bits)
}
