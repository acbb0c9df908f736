//! What surrounds the core: virtual time, the far end of a timeslot, a media plane without sound, the store.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use cordboard::base::{CardId, Instant, Now, PortId};
use cordboard::core::journal::{Cdr, Change};
use cordboard::core::media::{DigitSource, MediaCommand, MediaEvent};
use cordboard::core::switch::{Input, Output, Switch};
use cordboard::core::trunk::CardInput;

use crate::phone::{Phone, Ringing, path_to_core};
use crate::words::{first_line, of_change, of_event};

/// What is to happen later.
enum Later {
    Core(Input),
    Phone(Bytes),
    Answer(Ringing),
}

pub struct World {
    now: Now,
    core: Switch,
    phone: Phone,
    card: CardId,
    later: BTreeMap<(Instant, u64), Later>,
    count: u64,
    record: Option<Cdr>,
}

impl World {
    pub fn new(now: Now, core: Switch, card: CardId) -> Self {
        Self { now, core, phone: Phone::new(), card, later: BTreeMap::new(), count: 0, record: None }
    }

    /// Until a call has left its record.
    pub fn run(mut self) -> Option<Cdr> {
        self.drain();
        while self.record.is_none() && self.step() {}
        self.record
    }

    /// The far end of timeslot 7 goes off-hook or on-hook.
    pub fn far_end_hook(&mut self, ms: u64, off: bool) {
        let event = CardInput::Cas { span: 1, timeslot: 7, bits: if off { 0b1111 } else { 0 } };
        self.after(ms, Later::Core(Input::Card { card: self.card, event }));
    }

    fn media_event(&mut self, ms: u64, event: MediaEvent) {
        self.after(ms, Later::Core(Input::Media(event)));
    }

    fn key(&mut self, ms: u64, port: PortId, digit: char) {
        self.media_event(ms, MediaEvent::Digit { port, digit, source: DigitSource::InBand });
    }

    fn after(&mut self, ms: u64, what: Later) {
        self.count += 1;
        self.later.insert((self.now.mono + Duration::from_millis(ms), self.count), what);
    }

    /// Leaps to the next moment at which anything happens. False: nothing ever will.
    fn step(&mut self) -> bool {
        let own = self.later.keys().next().map(|(due, _)| *due);
        let due = [own, self.core.poll_timeout(), self.phone.endpoint.poll_timeout()].into_iter().flatten().min();
        let Some(due) = due else { return false };
        self.now = self.now.after(due.since(self.now.mono));
        match self.later.first_entry().filter(|entry| entry.key().0 <= due).map(|entry| entry.remove()) {
            Some(Later::Core(input)) => {
                match &input {
                    Input::Card { event, .. } => self.tell("card > core", &format!("{event:?}")),
                    Input::Media(event) => self.tell("media > core", &of_event(event)),
                    _ => {}
                }
                self.core.handle(self.now, input);
            }
            Some(Later::Phone(bytes)) => self.phone.receive(self.now, bytes),
            Some(Later::Answer(call)) => self.phone.answer(self.now, call),
            None => {
                self.core.handle_timeout(self.now);
                self.phone.endpoint.handle_timeout(self.now);
            }
        }
        self.drain();
        true
    }

    /// Carries out what the core and the phone want done.
    fn drain(&mut self) {
        while let Some(call) = self.phone.poll_ringing(self.now) {
            self.after(3_000, Later::Answer(call));
        }
        while let Some(t) = self.phone.endpoint.poll_transmit() {
            self.tell("phone > core", first_line(&t.bytes));
            self.after(1, Later::Core(Input::Datagram { path: path_to_core(), bytes: t.bytes }));
        }
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Transmit(t) => {
                    self.tell("core > phone", first_line(&t.bytes));
                    self.after(1, Later::Phone(t.bytes));
                }
                Output::SetCas { circuit, bits, .. } => {
                    self.tell("core > card", &format!("{circuit} ABCD = {bits:04b}"))
                }
                Output::Media(command) => self.media(command),
                Output::Journal { seq, change } => self.fact(seq, change),
                Output::CloseConnection(_)
                | Output::ServeTls(_)
                | Output::Dns(_)
                | Output::DnsServers(_)
                | Output::TlsProfile(_)
                | Output::Reply { .. }
                | Output::Warning(_)
                | Output::Commit(_)
                | Output::Stopped => {}
            }
        }
    }

    /// The caller dials 100, and presses 1 in the menu; every prompt lasts two seconds.
    fn media(&mut self, command: MediaCommand) {
        self.tell("core > media", &format!("{command:?}"));
        match command {
            MediaCommand::BindSockets(n) => {
                let ports = (0..n).map(|i| 16_384 + 2 * i).collect();
                self.media_event(1, MediaEvent::Sockets(ports));
            }
            MediaCommand::OpenTdm { port, .. } => {
                self.key(600, port, '1');
                self.key(750, port, '0');
                self.key(900, port, '0');
            }
            MediaCommand::Play { port, play, .. } => {
                self.media_event(2_000, MediaEvent::PlayDone { port, play });
                self.key(3_000, port, '1');
            }
            MediaCommand::Bridge { .. } => self.far_end_hook(60_000, false),
            MediaCommand::Close { port } => {
                self.media_event(1, MediaEvent::Closed { port, stats: Box::default(), socket: None });
            }
            _ => {}
        }
    }

    fn fact(&mut self, seq: u64, change: Change) {
        self.tell("core > store", &format!("change {seq}: {}", of_change(&change)));
        if let Change::CallEnded { cdr } = change {
            self.record = Some(*cdr);
        }
    }

    fn tell(&self, who: &str, what: &str) {
        let ms = self.now.mono.as_micros() / 1_000 - 1_000;
        println!("{ms:6} ms  {who:<12}  {what}");
    }
}
