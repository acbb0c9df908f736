//! Trunk cards: opens what is provisioned, hands the bearers to the media plane, keeps the signalling halves, and
//! moves the time of simulated cards. What is provisioned when the appliance starts is opened; later changes of cards
//! and spans hold from the next start.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io};

use cordboard_hal::{Bearer, Card, CardEvent, CasBits, Channel, ClockSource, Error, ErrorKind, SpanKind};
use cordboard_hal_sim::{SimCard, SimControl};

use crate::base::{CardId, Circuit};
use crate::core::tenant::Directory;
use crate::core::tenant::directory::SpanEntry;
use crate::edge::clock::Clock;

/// Why the provisioned cards could not be opened.
#[derive(Debug)]
pub enum CardsError {
    /// A card's driver is not known.
    UnknownDriver {
        /// The card's name.
        card: String,
        /// Its driver.
        driver: String,
    },
    /// Two spans are the same line of a card.
    SpanTwice {
        /// The later span's name.
        span: String,
    },
    /// The driver refused to start or open something.
    Hardware {
        /// The span's name.
        span: String,
        /// The driver's reason.
        source: Error,
    },
    /// The thread that moves the time of simulated cards could not start.
    Pump(io::Error),
}

impl fmt::Display for CardsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownDriver { card, driver } => {
                write!(f, "card {card}: unknown driver {driver:?}; known are sim-t1 and sim-e1")
            }
            Self::SpanTwice { span } => write!(f, "span {span}: its line has another name already"),
            Self::Hardware { span, source } => write!(f, "span {span}: {source}"),
            Self::Pump(source) => write!(f, "thread of simulated cards: {source}"),
        }
    }
}

impl std::error::Error for CardsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Hardware { source, .. } => Some(source),
            Self::Pump(source) => Some(source),
            Self::UnknownDriver { .. } | Self::SpanTwice { .. } => None,
        }
    }
}

/// Called when a card has events, from a thread of the card's.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// All cards of the appliance. Belongs to the switch thread.
pub struct Cards {
    cards: Vec<(CardId, Box<dyn Card>)>,
    /// Signalling halves; the media plane has the others.
    channels: BTreeMap<Circuit, Box<dyn Channel>>,
    bearers: Vec<(Circuit, Box<dyn Bearer>)>,
    sim_controls: Vec<(CardId, SimControl)>,
    /// Index of the card to ask first at the next poll, so that a busy card does not starve the others.
    next_card: usize,
    /// States read anew after an overrun; at most one per span and circuit of a card.
    refreshed: VecDeque<(CardId, CardEvent)>,
    pump: Option<Pump>,
}

impl Cards {
    /// Opens the provisioned cards, starts their provisioned spans, takes all bearer timeslots of these, and lets the
    /// time of simulated cards run by `clock`. `wake` is called when a card has events for [`Cards::poll`].
    ///
    /// # Errors
    /// What does not fit; nothing stays open then.
    pub fn open(directory: &Directory, clock: Clock, wake: Wake) -> Result<Cards, CardsError> {
        let mut all = Self::open_still(directory)?;
        if !all.sim_controls.is_empty() {
            let controls = all.sim_controls.iter().map(|(_, control)| control.clone()).collect();
            all.pump = Some(Pump::start(controls, clock, wake).map_err(CardsError::Pump)?);
        }
        Ok(all)
    }

    /// As `open`, but time stands still.
    fn open_still(directory: &Directory) -> Result<Cards, CardsError> {
        let mut all = Cards {
            cards: Vec::new(),
            channels: BTreeMap::new(),
            bearers: Vec::new(),
            sim_controls: Vec::new(),
            next_card: 0,
            refreshed: VecDeque::new(),
            pump: None,
        };
        for card in directory.cards() {
            let kind = match card.driver.as_str() {
                "sim-t1" => SpanKind::T1,
                "sim-e1" => SpanKind::E1,
                driver => {
                    return Err(CardsError::UnknownDriver { card: card.name.clone(), driver: driver.to_owned() });
                }
            };
            let (sim, control) = SimCard::new(kind, card.spans);
            all.cards.push((card.id, Box::new(sim)));
            all.sim_controls.push((card.id, control));
        }
        let mut lines = HashSet::new();
        for span in directory.spans() {
            if !lines.insert((span.card, span.span)) {
                return Err(CardsError::SpanTwice { span: span.name.clone() });
            }
            all.open_span(span).map_err(|source| CardsError::Hardware { span: span.name.clone(), source })?;
        }
        Ok(all)
    }

    fn open_span(&mut self, span: &SpanEntry) -> cordboard_hal::Result<()> {
        const NOT_FOUND: Error = Error::new(ErrorKind::NotFound, "start span");
        let (_, card) = self.cards.iter_mut().find(|(id, _)| *id == span.card).ok_or(NOT_FOUND)?;
        let info = card.spans().iter().find(|s| s.number == span.span).ok_or(NOT_FOUND)?;
        let timeslots = info.kind.bearer_timeslots();
        // The network gives the clock; a card with several lines prefers the lowest.
        card.start_span(span.span, ClockSource::Line { preference: span.span })?;
        for timeslot in timeslots {
            let circuit = Circuit { card: span.card, span: span.span, timeslot };
            let (channel, bearer) = card.open(span.span, timeslot)?;
            self.channels.insert(circuit, channel);
            self.bearers.push((circuit, bearer));
        }
        Ok(())
    }

    /// All bearers, for the media plane; empty the second time.
    pub fn take_bearers(&mut self) -> Vec<(Circuit, Box<dyn Bearer>)> {
        std::mem::take(&mut self.bearers)
    }

    /// Sets the bits sent on a circuit (low nibble: A = 8, B = 4, C = 2, D = 1).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a circuit that is not open, [`ErrorKind::Gone`] when its card is gone.
    pub fn set_cas(&mut self, circuit: Circuit, bits: u8) -> cordboard_hal::Result<()> {
        let channel = self.channels.get_mut(&circuit).ok_or(Error::new(ErrorKind::NotFound, "set CAS bits"))?;
        channel.set_cas(CasBits::new(bits))
    }

    /// The next event of any card; `None` when there is none now. Each card's come in order. After a
    /// [`CardEvent::Overrun`] the present alarms and bits of that card follow as events, so that nothing is missed.
    pub fn poll(&mut self) -> Option<(CardId, CardEvent)> {
        if let Some(refreshed) = self.refreshed.pop_front() {
            return Some(refreshed);
        }
        for _ in 0..self.cards.len() {
            let index = self.next_card;
            self.next_card = (index + 1) % self.cards.len();
            let Some((id, card)) = self.cards.get_mut(index) else { continue };
            if let Some(event) = card.next_event() {
                let id = *id;
                if matches!(event, CardEvent::Overrun { .. }) {
                    self.refresh(id);
                }
                return Some((id, event));
            }
        }
        None
    }

    /// Reads the states of a card whose events were lost. What cannot be read is gone, and that is told by itself.
    fn refresh(&mut self, id: CardId) {
        let mut spans = HashSet::new();
        for (circuit, channel) in self.channels.iter().filter(|(circuit, _)| circuit.card == id) {
            let &Circuit { span, timeslot, .. } = circuit;
            if spans.insert(span)
                && let Some((_, card)) = self.cards.iter().find(|(card, _)| *card == id)
                && let Ok(alarms) = card.alarms(span)
            {
                self.refreshed.push_back((id, CardEvent::Alarms { span, alarms }));
            }
            if let Ok(bits) = channel.cas() {
                self.refreshed.push_back((id, CardEvent::Cas { span, timeslot, bits }));
            }
        }
    }

    /// The hands behind the simulated cards, for the demo and tests.
    pub fn sim_controls(&self) -> Vec<(CardId, SimControl)> {
        self.sim_controls.clone()
    }
}

impl fmt::Debug for Cards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cards")
            .field("cards", &self.cards.len())
            .field("circuits", &self.channels.len())
            .finish_non_exhaustive()
    }
}

/// The thread that stands in for the interrupts of simulated cards.
struct Pump {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pump {
    /// Real cards interrupt every 1 ms, DAHDI's core timer every 4 or 10 ms; signalling needs no better than 5.
    const PERIOD: Duration = Duration::from_millis(5);
    /// A host that stood still longer than this has lost the time: the cards' clock then stood still as well, because
    /// catching up would only flood the buffers.
    const LATE_MS_MAX: u32 = 20;

    fn start(controls: Vec<SimControl>, clock: Clock, wake: Wake) -> io::Result<Pump> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("cards".into())
            .spawn(move || Self::run(&controls, clock, &*wake, &stopped))?;
        Ok(Pump { stop, thread: Some(thread) })
    }

    fn run(controls: &[SimControl], clock: Clock, wake: &dyn Fn(), stop: &AtomicBool) {
        let mut raised = vec![0; controls.len()];
        // The cards' time has come to here.
        let mut reached = clock.mono();
        while !stop.load(Ordering::Relaxed) {
            let late_ms = u32::try_from(clock.mono().since(reached).as_millis()).unwrap_or(u32::MAX);
            reached += Duration::from_millis(u64::from(late_ms));
            let mut wanted = false;
            for (control, raised) in controls.iter().zip(&mut raised) {
                control.advance(late_ms.min(Self::LATE_MS_MAX));
                let now = control.events_raised();
                wanted |= now != *raised;
                *raised = now;
            }
            if wanted {
                wake();
            }
            std::thread::sleep((reached + Self::PERIOD).since(clock.mono()));
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends within a period; were it to panic, that has been reported already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tenant::{Provision, provision};
    use cordboard_hal_sim::FarEventKind;
    use std::collections::HashMap;

    const OFF_HOOK: u8 = 15;

    fn directory(driver: &str, spans: &[u8]) -> Directory {
        let text = |text: &str| text.to_owned();
        let span = |&span: &u8| provision::Span {
            name: format!("line{span}"),
            card: text("wct"),
            span,
            signalling: text("em-wink"),
            trunk: text("pstn"),
        };
        let trunk = toml::from_str("name = 'pstn'\nkind = 'tdm'").unwrap();
        let card = provision::Card { name: text("wct"), driver: text(driver), spans: 2 };
        let provision = Provision {
            card: vec![card],
            span: spans.iter().map(span).collect(),
            trunk: vec![trunk],
            ..Provision::default()
        };
        Directory::new(&provision, None)
    }

    fn open(driver: &str, spans: &[u8]) -> Result<Cards, String> {
        Cards::open_still(&directory(driver, spans)).map_err(|e| e.to_string())
    }

    fn circuit(cards: &Cards, span: u8, timeslot: u8) -> Circuit {
        Circuit { card: cards.sim_controls[0].0, span, timeslot }
    }

    #[test]
    fn opens_what_is_provisioned() {
        let mut cards = open("sim-t1", &[2]).unwrap();
        assert_eq!(cards.take_bearers().len(), 24);
        assert!(cards.take_bearers().is_empty());
        let mut e1 = open("sim-e1", &[1, 2]).unwrap();
        assert_eq!(e1.take_bearers().len(), 60);
        let none = Cards::open_still(&Directory::new(&Provision::default(), None)).unwrap();
        assert!(none.sim_controls().is_empty());
    }

    #[test]
    fn refuses_what_does_not_fit() {
        assert!(open("fxo", &[]).unwrap_err().contains("unknown driver \"fxo\""));
        assert!(open("sim-t1", &[3]).unwrap_err().contains("line3: start span: not found"));
        assert!(open("sim-t1", &[0]).unwrap_err().contains("line0: start span: not found"));
        assert!(open("sim-t1", &[1, 1]).unwrap_err().contains("another name"));
    }

    #[test]
    fn signals_both_ways_until_the_card_is_gone() {
        let mut cards = open("sim-t1", &[1, 2]).unwrap();
        let (id, control) = cards.sim_controls().remove(0);
        control.advance(1);
        while cards.poll().is_some() {}
        cards.set_cas(circuit(&cards, 2, 5), OFF_HOOK).unwrap();
        control.advance(60);
        let seized = control.poll_event().unwrap();
        assert_eq!((seized.span, seized.timeslot, seized.kind), (2, 5, FarEventKind::Seized));
        control.dial(1, 24, "100").unwrap();
        control.advance(1);
        assert_eq!(cards.poll(), Some((id, CardEvent::Cas { span: 1, timeslot: 24, bits: CasBits::OFF_HOOK })));
        let error = cards.set_cas(circuit(&cards, 1, 25), OFF_HOOK).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        control.vanish();
        assert_eq!((cards.poll(), cards.poll()), (Some((id, CardEvent::Gone)), None));
        let error = cards.set_cas(circuit(&cards, 1, 1), OFF_HOOK).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Gone);
    }

    #[test]
    fn an_overrun_ends_in_the_present_state() {
        let mut cards = open("sim-t1", &[1]).unwrap();
        let (id, control) = cards.sim_controls().remove(0);
        control.advance(1);
        // Off-hook first, then so many changes elsewhere that this one is lost.
        control.stick_cas(1, 3, Some(CasBits::OFF_HOOK)).unwrap();
        for n in 0..2_000u16 {
            control.advance(1);
            control.stick_cas(1, 4, Some(CasBits::new((n % 15) as u8 + 1))).unwrap();
        }
        let mut bits = HashMap::new();
        let mut dropped = 0;
        while let Some((from, event)) = cards.poll() {
            assert_eq!(from, id);
            match event {
                CardEvent::Cas { timeslot, bits: new, .. } => {
                    bits.insert(timeslot, new);
                }
                CardEvent::Overrun { dropped: n } => dropped += n,
                _ => {}
            }
        }
        assert!(dropped > 900, "{dropped}");
        assert_eq!(bits[&3], CasBits::OFF_HOOK);
        assert_eq!(bits[&4], CasBits::new((1_998 % 15) as u8 + 1));
    }

    #[test]
    fn the_pump_moves_time_and_wakes() {
        let (sender, woken) = std::sync::mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        let wake = Arc::new(move || {
            let _ = sender.lock().unwrap().send(());
        });
        let mut cards = Cards::open(&directory("sim-t1", &[1]), Clock::start(), wake).unwrap();
        // The span's coming into service is the first event.
        woken.recv().unwrap();
        assert!(matches!(cards.poll(), Some((_, CardEvent::Alarms { span: 1, .. }))));
        cards.sim_controls()[0].1.dial(1, 1, "1").unwrap();
        woken.recv().unwrap();
        drop(cards);
        // The thread has ended, so that nobody is left to wake us.
        while woken.recv().is_ok() {}
    }
}
