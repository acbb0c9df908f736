//! Circuits of trunk cards as legs: E&M wink start by channel-associated bits, address digits in the audio.

use std::collections::HashSet;
use std::time::Duration;

use crate::base::{CallId, CardId, Cause, Circuit, DialString, Instant, LegId, Now, PortId, TrunkId};
use crate::core::call::{NewCall, Signal};
use crate::core::journal::Direction;
use crate::core::media::MediaCommand;
use crate::core::switch::{Output, PortOwner, Switch, Timer};
use crate::core::tenant::Directory;
use crate::core::trunk::circuits::FarEnd;
use crate::proto::cas::Bits;
use crate::proto::cas::em_wink::{self, Config, EmWink, Event as CasEvent, Input as CasInput, Output as CasOutput};

/// What a card tells the core.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CardInput {
    /// A timeslot's received CAS bits (A = 8 .. D = 1).
    Cas {
        /// Span, from 1.
        span: u8,
        /// Timeslot, from 1.
        timeslot: u8,
        /// Low nibble.
        bits: u8,
    },
    /// A span went in or out of service; `alarm` names the worst alarm.
    Span {
        /// Span, from 1.
        span: u8,
        /// `red`, `yellow`, `blue`, `los`, `lfa`; `None`: in service.
        alarm: Option<&'static str>,
    },
    /// The card is gone.
    Gone,
}

/// All circuits of the provisioned spans, with their trunks.
pub fn provisioned_circuits(directory: &Directory) -> Vec<(Circuit, TrunkId)> {
    let mut circuits = Vec::new();
    for span in directory.spans() {
        let bearers = bearers(directory.card(span.card).map_or("", |card| &card.driver));
        circuits.extend(bearers.map(|timeslot| (Circuit { card: span.card, span: span.span, timeslot }, span.trunk)));
    }
    circuits
}

/// The timeslots of a card's spans that carry calls. G.704: a T1 has 24; on an E1 with CAS timeslot 16 carries the signalling.
pub(crate) fn bearers(driver: &str) -> impl Iterator<Item = u8> + use<> {
    let e1 = driver.ends_with("e1");
    (1..=if e1 { 31 } else { 24 }).filter(move |timeslot| !e1 || *timeslot != 16)
}

/// A circuit and its signalling.
pub(crate) struct CircuitEntry {
    pub trunk: TrunkId,
    em: EmWink,
    leg: Option<LegId>,
    /// Port that listens for address digits before there is a leg.
    port: Option<PortId>,
    blocked: bool,
    pub(super) far_end: FarEnd,
    /// The emergency call that it is kept for.
    pub kept: Option<CallId>,
    /// Calls that it has carried.
    pub carried: u64,
    /// The earliest timer set for `em`; a later one is set when it fires.
    wake: Option<Instant>,
}

impl CircuitEntry {
    /// Whether a call may be put on it.
    pub fn available(&self) -> bool {
        self.kept.is_none() && self.is_idle()
    }

    /// Whether it could carry a call.
    pub fn is_idle(&self) -> bool {
        !self.blocked && self.leg.is_none() && self.port.is_none() && self.em.is_idle()
    }

    /// Whether nothing is on it, whether it is in service or not.
    pub fn is_clear(&self) -> bool {
        self.leg.is_none() && self.port.is_none() && self.kept.is_none() && self.em.is_clear()
    }

    /// Since when the far end has held it without a call.
    pub fn held_since(&self) -> Option<Instant> {
        self.em.held_since()
    }

    /// For how long that is.
    pub fn held_for(&self, now: Now) -> Option<Duration> {
        self.held_since().map(|since| now.mono.since(since))
    }

    /// The leg that it carries.
    pub fn leg(&self) -> Option<LegId> {
        self.leg
    }

    /// Whether it is out of service.
    pub fn blocked(&self) -> bool {
        self.blocked
    }
}

impl Switch {
    /// Brings the circuits of all provisioned spans in; those that are known keep their state.
    pub(crate) fn adopt_circuits(&mut self, now: Now) {
        let mut wanted = HashSet::new();
        for (circuit, trunk) in provisioned_circuits(&self.directory) {
            wanted.insert(circuit);
            let entry = self.circuits.entry(circuit).or_insert_with(|| CircuitEntry {
                trunk,
                em: EmWink::new(Config::default()),
                leg: None,
                port: None,
                blocked: false,
                far_end: FarEnd::default(),
                kept: None,
                carried: 0,
                wake: None,
            });
            entry.trunk = trunk;
        }
        // A span may have gone into alarm before it was provisioned.
        for (card, span) in self.spans_down.clone() {
            self.block(now, |c| c.card == card && c.span == span, true);
        }
        let gone: Vec<Circuit> = self.circuits.keys().filter(|c| !wanted.contains(c)).copied().collect();
        for circuit in gone {
            self.circuit_down(now, circuit);
            // On-hook, whatever it was about to do.
            self.cas(now, circuit, CasInput::Alarm(true));
            self.circuits.remove(&circuit);
        }
        self.look_at_far_ends(now);
    }

    pub(crate) fn on_card(&mut self, now: Now, card: CardId, event: CardInput) {
        match event {
            CardInput::Cas { span, timeslot, bits } => {
                self.cas(now, Circuit { card, span, timeslot }, CasInput::Bits(Bits::new(bits)));
            }
            CardInput::Span { span, alarm } => {
                self.alarms.set(now, "span-alarm", format!("card {} span {span}", card.0), alarm.is_some());
                if alarm.is_some() {
                    self.spans_down.insert((card, span));
                } else {
                    self.spans_down.remove(&(card, span));
                }
                self.block(now, |c| c.card == card && c.span == span, alarm.is_some());
            }
            CardInput::Gone => {
                self.alarms.set(now, "card-gone", format!("card {}", card.0), true);
                let spans: HashSet<u8> = self.circuits.keys().filter(|c| c.card == card).map(|c| c.span).collect();
                self.spans_down.extend(spans.into_iter().map(|span| (card, span)));
                self.block(now, |c| c.card == card, true);
            }
        }
    }

    /// Takes circuits out of service (their calls end, others are untouched) or back in.
    fn block(&mut self, now: Now, which: impl Fn(&Circuit) -> bool, blocked: bool) {
        let hit: Vec<Circuit> = self.circuits.keys().filter(|c| which(c)).copied().collect();
        // All first: a call that loses its circuit must not try the next one of the same span.
        for circuit in &hit {
            if let Some(entry) = self.circuits.get_mut(circuit) {
                entry.blocked = blocked;
            }
        }
        // So does an offer that has no other way to its agent.
        self.look_at_doors(now);
        for circuit in hit {
            if blocked {
                self.circuit_down(now, circuit);
            }
            self.cas(now, circuit, CasInput::Alarm(blocked));
        }
        self.look_at_far_ends(now);
        self.look_at_doors(now);
    }

    /// Ends the circuit's call, if there is one, and keeps the machine out of service while `blocked`.
    fn circuit_down(&mut self, now: Now, circuit: Circuit) {
        self.stop_listening(circuit);
        if let Some(leg) = self.circuit_leg(circuit) {
            self.fail_leg(now, leg, Cause::NetworkOutOfOrder);
        }
    }

    /// Puts a circuit without a leg on-hook and into its first state, unless it is in alarm.
    pub(crate) fn reset_circuit(&mut self, now: Now, circuit: Circuit) {
        self.stop_listening(circuit);
        self.cas(now, circuit, CasInput::Alarm(true));
        if self.circuits.get(&circuit).is_some_and(|entry| !entry.blocked) {
            self.cas(now, circuit, CasInput::Alarm(false));
        }
    }

    /// Gives the circuit's machine an input and does what it says.
    fn cas(&mut self, now: Now, circuit: Circuit, input: CasInput) {
        if let Some(entry) = self.circuits.get_mut(&circuit) {
            let answers = input == CasInput::Answer;
            entry.em.handle(now.mono, input);
            self.drain_cas(now, circuit, answers);
        }
    }

    /// Timer: a circuit's wink, guard or digit time is over.
    pub(crate) fn circuit_timeout(&mut self, now: Now, circuit: Circuit) {
        if let Some(entry) = self.circuits.get_mut(&circuit) {
            entry.wake = entry.wake.filter(|at| *at > now.mono);
            entry.em.handle_timeout(now.mono);
            self.drain_cas(now, circuit, false);
        }
    }

    fn drain_cas(&mut self, now: Now, circuit: Circuit, answers: bool) {
        while let Some(output) = self.circuits.get_mut(&circuit).and_then(|c| c.em.poll_output()) {
            self.on_cas(now, circuit, output, answers);
        }
        let Some(entry) = self.circuits.get_mut(&circuit) else { return };
        let trunk = entry.trunk;
        if let Some(due) = entry.em.poll_timeout()
            && entry.wake.is_none_or(|at| at > due)
        {
            entry.wake = Some(due);
            self.arm(due, Timer::Circuit(circuit));
        }
        self.look_at_far_end(now, circuit);
        self.look_at_door(now, trunk);
    }

    fn on_cas(&mut self, now: Now, circuit: Circuit, output: CasOutput, answers: bool) {
        match output {
            CasOutput::SetBits(bits) => self.emit(Output::SetCas { circuit, bits: bits.get(), answers }),
            CasOutput::SendDigits(digits) => {
                if let Some(port) = self.circuit_leg(circuit).and_then(|l| self.legs.get(&l)).and_then(|l| l.port) {
                    let digits = digits.as_str().to_owned();
                    self.media(MediaCommand::SendDigits { port, digits, on_ms: 70, off_ms: 70 });
                }
            }
            CasOutput::StartDigits => self.listen(circuit),
            CasOutput::StopDigits => {}
            CasOutput::Event(event) => self.circuit_event(now, circuit, event),
        }
    }

    fn circuit_event(&mut self, now: Now, circuit: Circuit, event: CasEvent) {
        let leg = self.circuit_leg(circuit);
        match (event, leg) {
            (CasEvent::AddressDigit(so_far), _) => self.address_so_far(now, circuit, so_far.as_str()),
            (CasEvent::Address(number), _) => self.address_complete(now, circuit, number),
            // What the far end says from here on (tones, announcements) is for the caller.
            (CasEvent::Proceeding, Some(leg)) => {
                self.leg_rings(now, leg, 183, true);
                self.circuit_tones(leg, true);
            }
            (CasEvent::Answered, Some(leg)) => {
                self.circuit_tones(leg, false);
                self.leg_answered(now, leg);
            }
            (CasEvent::Glare, Some(leg)) => {
                self.circuit_leg_gone(circuit, leg);
                self.leg_gone(now, leg, Cause::ChannelUnavailable);
            }
            (CasEvent::Released(cause) | CasEvent::Refused(cause), leg) => {
                self.stop_listening(circuit);
                if let Some(leg) = leg {
                    self.leg_gone(now, leg, cause);
                }
            }
            _ => {}
        }
    }

    /// Listens for busy and the like on a circuit that was dialled, until it is answered.
    fn circuit_tones(&mut self, leg: LegId, on: bool) {
        if let Some((call, port)) = self.legs.get(&leg).and_then(|l| Some((l.call, l.port?))) {
            self.detect_tones(call, port, on);
        }
    }

    fn circuit_leg(&self, circuit: Circuit) -> Option<LegId> {
        self.circuits.get(&circuit)?.leg
    }

    /// An incoming seizure: a port listens for the address.
    fn listen(&mut self, circuit: Circuit) {
        let port = PortId(self.fresh());
        if let Some(entry) = self.circuits.get_mut(&circuit) {
            entry.port = Some(port);
            self.ports.insert(port, PortOwner::Circuit(circuit));
            self.media(MediaCommand::OpenTdm { port, circuit, detect_dtmf: true });
        }
    }

    fn stop_listening(&mut self, circuit: Circuit) {
        if let Some(port) = self.circuits.get_mut(&circuit).and_then(|c| c.port.take()) {
            self.ports.insert(port, PortOwner::Orphan);
            self.media(MediaCommand::Close { port });
        }
    }

    /// A digit of the address was heard.
    pub(crate) fn address_digit(&mut self, now: Now, circuit: Circuit, digit: char) {
        self.cas(now, circuit, CasInput::Digit(digit));
    }

    /// Ends the address as soon as no longer number is possible, so that callers don't wait for the pause.
    fn address_so_far(&mut self, now: Now, circuit: Circuit, digits: &str) {
        if self.directory.number(digits).is_some() && !self.directory.is_number_prefix(digits) {
            self.cas(now, circuit, CasInput::AddressComplete);
        }
    }

    fn address_complete(&mut self, now: Now, circuit: Circuit, number: DialString) {
        let Some((trunk, port)) = self.circuits.get_mut(&circuit).map(|c| (c.trunk, c.port.take())) else { return };
        let takes_in = self.takes_in(trunk, number.as_str());
        let full = self.stopping || self.calls.len() >= self.provision.sip.calls_max as usize;
        let (Some(port), false) = (port, full) else {
            self.counters.calls_refused += u64::from(full);
            if let Some(port) = port {
                self.ports.insert(port, PortOwner::Orphan);
                self.media(MediaCommand::Close { port });
            }
            return self.cas(now, circuit, CasInput::Release(Cause::Congestion));
        };
        let route = self.directory.number(number.as_str());
        let new = NewCall {
            from: DialString::default(),
            to: number,
            direction: Direction::Inbound,
            signal: Signal::Tdm(circuit),
            trunk: Some(trunk),
            origin: Default::default(),
            agent: None,
        };
        let call = self.new_call(now, new);
        let Some(c) = self.calls.get_mut(&call) else { return };
        c.tenant = route.map(|(tenant, _)| tenant);
        let client = c.client;
        if let Some(entry) = self.circuits.get_mut(&circuit) {
            entry.leg = Some(client);
            entry.carried += 1;
        }
        self.own_port(client, Some(port));
        match route {
            Some((_, flow)) => self.come_in(now, call, trunk, takes_in, flow),
            None => self.refuse(now, call, Cause::UnallocatedNumber),
        }
    }

    /// Takes an idle circuit for an outgoing call and dials.
    pub(crate) fn seize(
        &mut self,
        now: Now,
        circuit: Circuit,
        leg: LegId,
        number: &str,
    ) -> Result<(Signal, Option<PortId>), Cause> {
        if !em_wink::is_address(number) {
            return Err(Cause::InvalidNumber);
        }
        let digits = DialString::new(number).map_err(|_| Cause::InvalidNumber)?;
        let entry = self.circuits.get_mut(&circuit).filter(|c| c.available()).ok_or(Cause::NoCircuit)?;
        entry.leg = Some(leg);
        entry.carried += 1;
        let trunk = entry.trunk;
        if let Some(health) = self.trunks.get_mut(&trunk) {
            health.last_seized = Some(circuit);
        }
        let port = PortId(self.fresh());
        self.media(MediaCommand::OpenTdm { port, circuit, detect_dtmf: true });
        // The leg enters the indices right after; the machine's first outputs are bits only.
        self.cas(now, circuit, CasInput::Seize { digits });
        Ok((Signal::Tdm(circuit), Some(port)))
    }

    pub(crate) fn answer_circuit(&mut self, now: Now, circuit: Circuit) {
        self.cas(now, circuit, CasInput::Answer);
    }

    pub(crate) fn release_circuit(&mut self, now: Now, circuit: Circuit, cause: Cause) {
        self.cas(now, circuit, CasInput::Release(cause));
    }

    pub(crate) fn circuit_leg_gone(&mut self, circuit: Circuit, leg: LegId) {
        if let Some(entry) = self.circuits.get_mut(&circuit)
            && entry.leg == Some(leg)
        {
            entry.leg = None;
        }
    }

    /// The address has gone out.
    pub(crate) fn digits_sent(&mut self, now: Now, port: PortId) {
        if let Some(PortOwner::Leg(leg)) = self.ports.get(&port)
            && let Some(Signal::Tdm(circuit)) = self.legs.get(leg).map(|l| &l.signal)
        {
            let circuit = *circuit;
            self.cas(now, circuit, CasInput::DigitsSent);
        }
    }
}
