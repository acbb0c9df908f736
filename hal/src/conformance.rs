//! The suite that any driver must pass, whatever the hardware.
//!
//! A driver's test brings a [`Rig`]: its card with two spans whose lines are cross-connected, and a way to let time
//! pass. [`run`] makes a fresh rig for each check, so that one failure does not hide another.
//!
//! ```no_run
//! # use cordboard_hal::conformance::{self, Rig};
//! # fn conforms(mut make: impl FnMut() -> Box<dyn Rig>) {
//! let report = conformance::run(&mut make);
//! assert!(report.passed(), "{report}");
//! # }
//! ```

use std::fmt;
use std::time::Duration;

use crate::{Bearer, Card, CardEvent, Channel, ClockSource, Error, ErrorKind, Law};

mod audio;
mod cards;
mod signalling;

/// One end of the cross-connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// Span, from 1.
    pub span: u8,
    /// Bearer timeslot, from 1. Neither it nor the next one is in use.
    pub timeslot: u8,
}

/// A card with two spans joined back to back, fresh from its constructor: no span started, no timeslot open.
pub trait Rig {
    /// The card.
    fn card(&mut self) -> &mut dyn Card;

    /// Two ends on different spans of one kind: what one sends, the other receives, timeslot by timeslot.
    fn ends(&self) -> [End; 2];

    /// Lets the lines run for `time`, in steps of at most 1 ms where time is simulated.
    fn advance(&mut self, time: Duration);

    /// Takes the card away as if unplugged, and says whether the rig is able to.
    fn unplug(&mut self) -> bool;

    /// How often the watchdog has bitten, where the rig can tell.
    fn watchdog_bites(&self) -> Option<u64>;

    /// Whether all eight bits of an octet arrive. On a T1 with robbed-bit signalling the least significant bit of
    /// every sixth frame is the network's (ITU-T G.704), so such a rig says `false`.
    fn clear_channel(&self) -> bool;
}

/// Why a check failed.
#[derive(Debug)]
pub enum Failure {
    /// A call of the driver failed.
    Hal(Error),
    /// A call had to fail with this kind and did not: `None` stands for success.
    WrongKind {
        /// The call.
        doing: &'static str,
        /// What it had to say.
        expected: ErrorKind,
        /// What it said.
        got: Option<ErrorKind>,
    },
    /// What had to hold does not.
    Broken {
        /// The rule.
        rule: &'static str,
        /// What was seen instead.
        seen: String,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Hal(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Hal(error) => error.fmt(f),
            Failure::WrongKind { doing, expected, got: Some(got) } => write!(f, "{doing}: {got:?}, not {expected:?}"),
            Failure::WrongKind { doing, expected, got: None } => write!(f, "{doing}: success, not {expected:?}"),
            Failure::Broken { rule, seen } => write!(f, "{rule}: {seen}"),
        }
    }
}

/// How a check ended.
#[derive(Debug)]
pub enum Outcome {
    /// The driver conforms.
    Passed,
    /// The driver or the rig cannot do it, and says so properly.
    Skipped(&'static str),
    /// The driver does not conform.
    Failed(Failure),
}

/// What [`run`] found: each check's name and outcome.
#[derive(Debug)]
pub struct Report(Vec<(&'static str, Outcome)>);

impl Report {
    /// Whether nothing failed.
    pub fn passed(&self) -> bool {
        !self.0.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    }

    /// All checks, in order.
    pub fn outcomes(&self) -> &[(&'static str, Outcome)] {
        &self.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome) in &self.0 {
            match outcome {
                Outcome::Passed => writeln!(f, "pass  {name}")?,
                Outcome::Skipped(why) => writeln!(f, "skip  {name}: {why}")?,
                Outcome::Failed(failure) => writeln!(f, "FAIL  {name}: {failure}")?,
            }
        }
        Ok(())
    }
}

/// `Ok(None)` is a pass, `Ok(Some(why))` a skip.
type Verdict = Result<Option<&'static str>, Failure>;
type Check = fn(&mut dyn Rig) -> Verdict;

const CHECKS: &[(&str, Check)] = &[
    ("spans are described", cards::spans_are_described),
    ("starting and stopping is idempotent", cards::starting_and_stopping_is_idempotent),
    ("a timeslot opens once", cards::a_timeslot_opens_once),
    ("a dropped timeslot opens again", cards::a_dropped_timeslot_opens_again),
    ("what is not there is not found", cards::what_is_not_there_is_not_found),
    ("alarms come and go with events", cards::alarms_come_and_go_with_events),
    ("the watchdog bites only when starved", cards::the_watchdog_bites_only_when_starved),
    ("a card that is gone stays gone", cards::a_card_that_is_gone_stays_gone),
    ("octets arrive in order and unchanged", audio::octets_arrive_in_order_and_unchanged),
    ("an idle timeslot is silent", audio::an_idle_timeslot_is_silent),
    ("a full buffer takes part of a write", audio::a_full_buffer_takes_part_of_a_write),
    ("octets not taken are lost oldest first", audio::octets_not_taken_are_lost_oldest_first),
    ("a local loop returns what we send", audio::a_local_loop_returns_what_we_send),
    ("a remote loop returns what the line sends", audio::a_remote_loop_returns_what_the_line_sends),
    ("echo cancellers switch", audio::echo_cancellers_switch),
    ("CAS bits arrive with an event", signalling::cas_bits_arrive_with_an_event),
    ("CAS bits stay in their timeslot", signalling::cas_bits_stay_in_their_timeslot),
    ("a dropped timeslot goes on-hook", signalling::a_dropped_timeslot_goes_on_hook),
    ("HDLC frames arrive whole", signalling::hdlc_frames_arrive_whole),
    ("HDLC refuses what is no frame", signalling::hdlc_refuses_what_is_no_frame),
];

/// Runs every check, each on a rig of its own.
pub fn run(make: &mut dyn FnMut() -> Box<dyn Rig>) -> Report {
    Report(
        CHECKS
            .iter()
            .map(|&(name, check)| {
                let outcome = match check(&mut *make()) {
                    Ok(None) => Outcome::Passed,
                    Ok(Some(why)) => Outcome::Skipped(why),
                    Err(failure) => Outcome::Failed(failure),
                };
                (name, outcome)
            })
            .collect(),
    )
}

/// Longest time for CAS bits to cross the line, driver's debouncing included (DAHDI: 6 to 12 ms measured).
const CAS_DELAY_MAX: Duration = Duration::from_millis(100);
/// Longest time until a lost line is reported (DAHDI: 1.4 to 2.0 s measured).
const ALARM_DELAY_MAX: Duration = Duration::from_secs(5);
/// Longest time until a healthy line is trusted again; framers wait 10 s or more (ANSI T1.231).
const ALARM_CLEAR_MAX: Duration = Duration::from_secs(20);
const FRAME: Duration = Duration::from_millis(20);
const FRAME_OCTETS: usize = 160;
/// Upper bound of a transmit or receive buffer: 200 ms.
const BUFFER_OCTETS_MAX: usize = 1_600;

fn require(holds: bool, rule: &'static str, seen: impl fmt::Debug) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Broken { rule, seen: format!("{seen:?}") }) }
}

fn require_kind<T>(result: crate::Result<T>, expected: ErrorKind, doing: &'static str) -> Result<(), Failure> {
    let got = result.err().map(|e| e.kind());
    if got == Some(expected) { Ok(()) } else { Err(Failure::WrongKind { doing, expected, got }) }
}

/// Starts the spans of both ends and lets the line settle, so that no alarm stands.
fn start(rig: &mut dyn Rig) -> Result<(), Failure> {
    let [a, b] = rig.ends();
    rig.card().start_span(a.span, ClockSource::Internal)?;
    rig.card().start_span(b.span, ClockSource::Line { preference: 1 })?;
    let settled =
        wait(rig, ALARM_CLEAR_MAX, |card| Ok(card.alarms(a.span)?.in_service() && card.alarms(b.span)?.in_service()))?;
    require(settled, "two started spans come into service", ())?;
    while rig.card().next_event().is_some() {}
    Ok(())
}

/// Lets time pass until `done` or for `limit`; says whether it was done.
fn wait(
    rig: &mut dyn Rig,
    limit: Duration,
    mut done: impl FnMut(&mut dyn Card) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    const STEP: Duration = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    while !done(rig.card())? {
        if waited >= limit {
            return Ok(false);
        }
        rig.advance(STEP);
        waited += STEP;
    }
    Ok(true)
}

fn events(rig: &mut dyn Rig) -> Vec<CardEvent> {
    std::iter::from_fn(|| rig.card().next_event()).collect()
}

type Halves = (Box<dyn Channel>, Box<dyn Bearer>);

fn open(rig: &mut dyn Rig, end: End) -> Result<Halves, Failure> {
    Ok(rig.card().open(end.span, end.timeslot)?)
}

/// Everything that waits in a bearer.
fn drain(bearer: &mut dyn Bearer) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    let mut buf = [0; FRAME_OCTETS];
    loop {
        let n = bearer.read(&mut buf)?;
        require(n <= buf.len(), "a read gives no more than was asked for", n)?;
        if n == 0 {
            return Ok(all);
        }
        require(all.len() <= 4 * BUFFER_OCTETS_MAX, "a read ends while time stands still", all.len())?;
        all.extend_from_slice(&buf[..n]);
    }
}

/// A sequence of `len` octets without the octet of silence, nowhere alike within 1,000 octets or so.
fn pattern(seed: u32, len: usize, law: Law) -> Vec<u8> {
    let mut x = seed.wrapping_mul(2_654_435_761) | 1;
    std::iter::from_fn(|| {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        Some((x >> 11) as u8)
    })
    // The neighbours of silence are left out too: a robbed bit must not turn the pattern into silence.
    .filter(|&octet| octet & 0xfe != law.silence() & 0xfe)
    .take(len)
    .collect()
}

fn without_silence(octets: &[u8], law: Law) -> &[u8] {
    let loud = |octet: &u8| octet & 0xfe != law.silence() & 0xfe;
    let first = octets.iter().position(loud).unwrap_or(octets.len());
    let last = octets.iter().rposition(loud).map_or(first, |at| at + 1);
    &octets[first..last]
}
