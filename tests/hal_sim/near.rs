//! Our end of one circuit of a simulated card: the signalling machine, a DTMF sender and receiver, virtual time.

use cordboard::base::Instant;
use cordboard::proto::cas::Bits;
use cordboard::proto::cas::em_wink::{Config, EmWink, Event, GlareRole, Input, Output};
use cordboard_hal::{Bearer, Card, CardEvent, CasBits, Channel, ClockSource, SpanKind};
use cordboard_hal_sim::{FarEventKind, SimCard, SimControl, dtmf, g711};

pub const SPAN: u8 = 1;
pub const TIMESLOT: u8 = 7;

pub struct Near {
    pub card: SimCard,
    pub control: SimControl,
    pub machine: EmWink,
    pub channel: Box<dyn Channel>,
    pub bearer: Box<dyn Bearer>,
    generator: dtmf::Generator,
    sending: bool,
    detector: Option<dtmf::Detector>,
    /// What the machine told.
    pub events: Vec<Event>,
    /// What the far end told.
    pub far_events: Vec<FarEventKind>,
    /// What we heard, linear.
    pub heard: Vec<i16>,
    pub gone: bool,
}

impl Near {
    pub fn new(kind: SpanKind, glare_role: GlareRole) -> Near {
        let (mut card, control) = SimCard::new(kind, 1);
        card.start_span(SPAN, ClockSource::Line { preference: 1 }).unwrap();
        let (channel, bearer) = card.open(SPAN, TIMESLOT).unwrap();
        let machine = EmWink::new(Config { glare_role, ..Config::default() });
        let mut near = Near {
            card,
            control,
            machine,
            channel,
            bearer,
            generator: dtmf::Generator::default(),
            sending: false,
            detector: None,
            events: Vec::new(),
            far_events: Vec::new(),
            heard: Vec::new(),
            gone: false,
        };
        near.pass(10);
        near
    }

    pub fn now(&self) -> Instant {
        Instant::from_micros(self.control.now_ms() * 1_000)
    }

    pub fn input(&mut self, input: Input) {
        self.machine.handle(self.now(), input);
        self.drain();
    }

    /// Lets milliseconds pass.
    pub fn pass(&mut self, ms: u32) {
        for _ in 0..ms {
            self.control.advance(1);
            while let Some(event) = self.card.next_event() {
                match event {
                    CardEvent::Cas { timeslot: TIMESLOT, bits, .. } => self.input(Input::Bits(Bits::new(bits.get()))),
                    CardEvent::Alarms { alarms, .. } => self.input(Input::Alarm(!alarms.in_service())),
                    CardEvent::Gone => {
                        self.gone = true;
                        self.input(Input::Alarm(true));
                    }
                    _ => {}
                }
            }
            self.listen();
            self.speak();
            let now = self.now();
            self.machine.handle_timeout(now);
            self.drain();
            self.far_events.extend(std::iter::from_fn(|| self.control.poll_event()).map(|e| e.kind));
        }
    }

    /// Lets time pass until the machine tells `event`.
    #[track_caller]
    pub fn pass_until(&mut self, event: &Event) {
        for _ in 0..60_000 {
            if self.events.contains(event) {
                return;
            }
            self.pass(1);
        }
        panic!("{event:?} never came: {:?} {:?}", self.events, self.far_events);
    }

    fn listen(&mut self) {
        let mut buf = [0; 160];
        let law = self.bearer.law();
        while let Ok(n) = self.bearer.read(&mut buf)
            && n > 0
        {
            for octet in &buf[..n] {
                let sample = g711::decode(law, *octet);
                self.heard.push(sample);
                if let Some(digit) = self.detector.as_mut().and_then(|d| d.sample(sample)) {
                    self.input(Input::Digit(digit));
                }
            }
        }
    }

    fn speak(&mut self) {
        if !self.sending {
            return;
        }
        let law = self.bearer.law();
        let octets: Vec<u8> = (0..8).map_while(|_| self.generator.sample()).map(|s| g711::encode(law, s)).collect();
        let _ = self.bearer.write(&octets);
        if self.generator.is_idle() {
            self.sending = false;
            self.input(Input::DigitsSent);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                // A card that is gone cannot be told anything.
                Output::SetBits(bits) => drop(self.channel.set_cas(CasBits::new(bits.get()))),
                Output::SendDigits(digits) => {
                    digits.as_str().chars().for_each(|digit| assert!(self.generator.push(digit)));
                    self.sending = true;
                }
                Output::StartDigits => self.detector = Some(dtmf::Detector::default()),
                Output::StopDigits => self.detector = None,
                Output::Event(event) => self.events.push(event),
            }
        }
    }
}
