//! A call over a simulated T1, one line per signal: the far end seizes a timeslot, our E&M machine winks, hears the
//! address digits in the audio, and answers; a second later the far end hangs up.
//!
//! `cargo run --example t1_loopback -- [DIGITS]`

use std::process::ExitCode;

use cordboard::base::{DialString, Instant, Law};
use cordboard::dsp::{dtmf, g711};
use cordboard::proto::cas::Bits;
use cordboard::proto::cas::em_wink::{Config, EmWink, Event, Input, Output};
use cordboard_hal::{Bearer, Card, CardEvent, CasBits, Channel, ClockSource, Error, SpanKind};
use cordboard_hal_sim::{SimCard, SimControl};

const SPAN: u8 = 1;
const TIMESLOT: u8 = 7;
/// Longest call of this example, in milliseconds.
const CALL_MAX_MS: u64 = 60_000;
/// Octets of 20 ms.
const FRAME: usize = 160;

fn main() -> ExitCode {
    let digits = std::env::args().nth(1).unwrap_or_else(|| "5550100".into());
    match call(&digits) {
        Ok(Some(number)) => {
            println!("the number we heard: {}", number.as_str());
            if number.as_str() == digits.trim_end_matches('#') { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ok(None) => {
            eprintln!("the call did not come to its end");
            ExitCode::FAILURE
        }
        Err(e) => {
            eprintln!("{e}: digits are 1 to 32 of 0-9, *, #, A-D");
            ExitCode::FAILURE
        }
    }
}

/// One call; returns the number that we heard.
fn call(digits: &str) -> Result<Option<DialString>, Error> {
    let (mut card, control) = SimCard::new(SpanKind::T1, 1);
    card.start_span(SPAN, ClockSource::Line { preference: 1 })?;
    let (channel, bearer) = card.open(SPAN, TIMESLOT)?;
    println!("{}: the far end dials {digits} on timeslot {TIMESLOT}", card.description());
    println!("    ms  from      signal");
    let machine = EmWink::new(Config::default());
    let mut near =
        Near { machine, channel, bearer, control, detector: None, number: None, idle: false, hang_up_ms: None };
    pass(&mut card, &mut near)?;
    near.control.dial(SPAN, TIMESLOT, digits)?;
    while !near.idle && near.control.now_ms() < CALL_MAX_MS {
        pass(&mut card, &mut near)?;
        near.listen()?;
        let now = near.now();
        near.machine.handle_timeout(now);
        near.drain()?;
        if near.hang_up_ms.is_some_and(|at| at <= near.control.now_ms()) {
            near.hang_up_ms = None;
            near.control.hang_up(SPAN, TIMESLOT)?;
        }
    }
    Ok(near.number.filter(|_| near.idle))
}

/// Lets a millisecond pass on the line and takes what the card reports.
fn pass(card: &mut SimCard, near: &mut Near) -> Result<(), Error> {
    near.control.advance(1);
    while let Some(event) = card.next_event() {
        if let CardEvent::Cas { timeslot: TIMESLOT, bits, .. } = event {
            near.tell("far end", &format!("ABCD = {bits:?}"));
            near.give(Input::Bits(Bits::new(bits.get())))?;
        }
    }
    while let Some(event) = near.control.poll_event() {
        near.tell("far end", &format!("says {:?}", event.kind));
    }
    Ok(())
}

/// Our end of the timeslot. In the appliance the machine lives in `core::trunk`, the bearer in the media plane.
struct Near {
    machine: EmWink,
    channel: Box<dyn Channel>,
    bearer: Box<dyn Bearer>,
    control: SimControl,
    detector: Option<dtmf::Detector>,
    number: Option<DialString>,
    idle: bool,
    hang_up_ms: Option<u64>,
}

impl Near {
    fn now(&self) -> Instant {
        Instant::from_micros(self.control.now_ms() * 1_000)
    }

    fn tell(&self, from: &str, what: &str) {
        println!("{:6}  {from:<8}  {what}", self.control.now_ms());
    }

    fn give(&mut self, input: Input) -> Result<(), Error> {
        self.machine.handle(self.now(), input);
        self.drain()
    }

    fn drain(&mut self) -> Result<(), Error> {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::SetBits(bits) => {
                    self.tell("we", &format!("ABCD = {bits:?}"));
                    self.channel.set_cas(CasBits::new(bits.get()))?;
                }
                Output::StartDigits => self.detector = Some(dtmf::Detector::new()),
                Output::StopDigits => self.detector = None,
                Output::SendDigits(_) => {}
                Output::Event(event) => self.on_event(event),
            }
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event) {
        self.tell("machine", &format!("{event:?}"));
        match event {
            Event::Address(number) => {
                self.number = Some(number);
                self.machine.handle(self.now(), Input::Answer);
                self.hang_up_ms = Some(self.control.now_ms() + 1_000);
            }
            Event::Idle => self.idle = true,
            _ => {}
        }
    }

    fn listen(&mut self) -> Result<(), Error> {
        let (mut octets, mut samples) = ([0; FRAME], [0; FRAME]);
        let n = self.bearer.read(&mut octets)?;
        g711::decode(Law::Mu, octets.get(..n).unwrap_or_default(), &mut samples);
        let heard = samples.get(..n).unwrap_or_default();
        let events: Vec<_> = self.detector.iter_mut().flat_map(|d| d.process(heard)).collect();
        for event in events {
            if let dtmf::DtmfEvent::Down(digit) = event {
                self.give(Input::Digit(digit))?;
            }
        }
        Ok(())
    }
}
