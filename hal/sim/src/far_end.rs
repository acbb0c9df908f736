//! The switch at the other end of a timeslot: E&M wink start with DTMF address digits, seen from over there. It is
//! scripted by orders (dial, hang up, play...) and by how it treats seizures, and tells what happens to it.

use std::collections::VecDeque;

use cordboard_hal::{CasBits, Law};

use crate::timeslot::{CHUNK, Chunk};
use crate::{dtmf, g711};

/// How the far end treats our seizures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answering {
    /// From a seizure to the wink, in milliseconds; `None` never winks.
    pub wink_delay_ms: Option<u32>,
    /// Length of the wink in milliseconds.
    pub wink_ms: u32,
    /// Digits that complete an address; with `None` a pause does.
    pub digits: Option<u8>,
    /// The pause that completes an address, in milliseconds.
    pub interdigit_ms: u32,
    /// From a complete address to the answer, in milliseconds; `None` never answers.
    pub ring_ms: Option<u32>,
}

impl Default for Answering {
    fn default() -> Self {
        Self { wink_delay_ms: Some(150), wink_ms: 200, digits: None, interdigit_ms: 1_500, ring_ms: Some(2_000) }
    }
}

/// What the far end does when both ends seize the circuit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GlareRole {
    /// Stays off-hook; when we go on-hook it sends its digits.
    #[default]
    Hold,
    /// Goes on-hook and takes our call.
    Yield,
}

/// What happened at the far end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FarEvent {
    /// When, in milliseconds of the card's time.
    pub at_ms: u64,
    /// Span, from 1.
    pub span: u8,
    /// Timeslot, from 1.
    pub timeslot: u8,
    /// What.
    pub kind: FarEventKind,
}

/// Kinds of [`FarEvent`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FarEventKind {
    /// We seized the circuit.
    Seized,
    /// We winked: the far end may send its digits.
    Winked,
    /// The far end has sent its address digits.
    DigitsSent,
    /// We answered its call.
    Answered,
    /// It received a complete address.
    DigitsReceived(String),
    /// It answered our call.
    PickedUp,
    /// It heard a digit during the call.
    Digit(char),
    /// We went on-hook.
    HungUp,
    /// Both ends seized at once.
    Glare,
    /// Its call, or ours to it, failed.
    Failed(FarFailure),
}

/// Why a call failed for the far end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FarFailure {
    /// No wink within 5 s.
    NoWink,
    /// No answer within 180 s.
    NoAnswer,
    /// No address digit within 10 s after its wink.
    NoDigits,
    /// Neither end gave way within 4 s.
    Glare,
    /// The line failed.
    Line,
}

/// Near end's off-hook shorter than this is noise, as a wink and as a seizure (`SEIZURE_MS`).
const WINK_MIN_MS: u32 = 100;
const WINK_MAX_MS: u32 = 350;
const SEIZURE_MS: u32 = 40;
const ANSWER_MS: u32 = 100;
const RELEASE_MS: u32 = 200;
const WINK_WAIT_MS: u32 = 5_000;
const GLARE_WAIT_MS: u32 = 4_000;
const DIAL_DELAY_MS: u32 = 100;
const FIRST_DIGIT_MS: u32 = 10_000;
const ANSWER_WAIT_MS: u32 = 180_000;
const GUARD_MS: u32 = 500;
const ADDRESS_DIGITS_MAX: usize = 32;
/// One minute.
const PLAY_SAMPLES_MAX: usize = 60 * 8_000;
/// One minute.
const RECORD_SAMPLES_MAX: usize = 60 * 8_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    /// Near end off-hook, maybe a seizure.
    Seizure,
    PreWink,
    Wink,
    Collecting,
    Ringing,
    Talking,
    /// Off-hook ourselves, waiting for a wink to begin.
    Seizing,
    /// Near end off-hook: a wink or glare.
    Winking,
    GlareHold,
    PreDial,
    Sending,
    AwaitingAnswer,
    /// On-hook ourselves, waiting for the near end.
    Releasing,
    Guard,
}

/// The far end of one timeslot.
#[derive(Debug)]
pub(crate) struct FarEnd {
    law: Law,
    state: State,
    state_ms: u32,
    near_off_hook: bool,
    /// Since the near end's hook changed.
    near_ms: u32,
    off_hook: bool,
    /// Digits to send, or received so far.
    address: String,
    generator: dtmf::Generator,
    detector: dtmf::Detector,
    play: VecDeque<i16>,
    recording: bool,
    recorded: Vec<i16>,
    pub(crate) answering: Answering,
    pub(crate) glare_role: GlareRole,
}

impl FarEnd {
    pub(crate) fn new(law: Law) -> Self {
        Self {
            law,
            state: State::Idle,
            state_ms: 0,
            near_off_hook: false,
            near_ms: 0,
            off_hook: false,
            address: String::new(),
            generator: dtmf::Generator::default(),
            detector: dtmf::Detector::default(),
            play: VecDeque::new(),
            recording: false,
            recorded: Vec::new(),
            answering: Answering::default(),
            glare_role: GlareRole::default(),
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Idle && !self.near_off_hook
    }

    /// Seizes the circuit to call `digits`; `false` when it is not idle or the digits cannot be sent.
    pub(crate) fn dial(&mut self, digits: &str) -> bool {
        let sendable = (1..=ADDRESS_DIGITS_MAX).contains(&digits.len())
            && digits.chars().all(|digit| dtmf::frequencies(digit).is_some());
        let accepted = sendable && self.is_idle();
        if accepted {
            self.address = digits.to_owned();
            self.off_hook = true;
            self.enter(State::Seizing);
        }
        accepted
    }

    /// Goes on-hook.
    pub(crate) fn hang_up(&mut self) {
        if !matches!(self.state, State::Idle | State::Guard | State::Releasing) {
            self.release();
        }
    }

    /// Queues audio and returns how many samples were taken.
    pub(crate) fn play(&mut self, samples: &[i16]) -> usize {
        let taken = samples.len().min(PLAY_SAMPLES_MAX - self.play.len());
        self.play.extend(samples.iter().take(taken));
        taken
    }

    /// Queues digits for sending in the call and returns how many were taken.
    pub(crate) fn send_digits(&mut self, digits: &str) -> usize {
        digits.chars().take_while(|&digit| self.generator.push(digit)).count()
    }

    pub(crate) fn set_recording(&mut self, on: bool) {
        self.recording = on;
    }

    pub(crate) fn take_recorded(&mut self) -> Vec<i16> {
        std::mem::take(&mut self.recorded)
    }

    /// One millisecond: takes what we sent and returns what the far end sends. `line_ok` is whether our signal
    /// reaches it.
    pub(crate) fn step(&mut self, near: &Chunk, line_ok: bool, mut tell: impl FnMut(FarEventKind)) -> Chunk {
        // E&M has one state per direction; B repeats A and is not looked at.
        let near_off_hook = near.bits.a() && line_ok;
        if near_off_hook != self.near_off_hook {
            self.near_off_hook = near_off_hook;
            self.near_ms = 0;
        } else {
            self.near_ms = self.near_ms.saturating_add(1);
        }
        if self.is_idle() {
            return Chunk::silence(self.law);
        }
        self.state_ms = self.state_ms.saturating_add(1);
        if !line_ok && !matches!(self.state, State::Idle | State::Releasing | State::Guard) {
            tell(FarEventKind::Failed(FarFailure::Line));
            self.release();
        }
        let heard = self.hear(near);
        self.signal(heard, &mut tell);
        let mut octets = [0; CHUNK];
        octets.fill_with(|| self.next_octet());
        let bits = if self.off_hook { CasBits::OFF_HOOK } else { CasBits::ON_HOOK };
        Chunk { octets, bits, frame: None }
    }

    fn hear(&mut self, near: &Chunk) -> Option<char> {
        let recording = self.recording && self.state != State::Guard;
        let detecting = matches!(self.state, State::Collecting | State::Talking);
        if !recording && !detecting {
            return None;
        }
        let mut heard = None;
        for &octet in &near.octets {
            let sample = g711::decode(self.law, octet);
            if recording && self.recorded.len() < RECORD_SAMPLES_MAX {
                self.recorded.push(sample);
            }
            if detecting {
                heard = self.detector.sample(sample).or(heard);
            }
        }
        heard
    }

    fn next_octet(&mut self) -> u8 {
        match self.generator.sample().or_else(|| self.play.pop_front()) {
            Some(sample) => g711::encode(self.law, sample),
            None => self.law.silence(),
        }
    }

    fn signal(&mut self, heard: Option<char>, tell: &mut impl FnMut(FarEventKind)) {
        match self.state {
            State::Idle => {
                if self.near_off_hook {
                    self.enter(State::Seizure);
                }
            }
            State::Seizure | State::PreWink | State::Wink | State::Collecting | State::Ringing => {
                self.signal_incoming(heard, tell);
            }
            State::Seizing | State::Winking | State::GlareHold | State::PreDial => self.signal_outgoing(tell),
            State::Sending => {
                if self.generator.is_idle() {
                    tell(FarEventKind::DigitsSent);
                    self.enter(State::AwaitingAnswer);
                }
            }
            State::AwaitingAnswer => {
                if self.near_off_hook && self.near_ms >= ANSWER_MS {
                    tell(FarEventKind::Answered);
                    self.enter(State::Talking);
                } else if self.state_ms >= ANSWER_WAIT_MS {
                    self.fail(FarFailure::NoAnswer, tell);
                }
            }
            State::Talking => {
                if let Some(digit) = heard {
                    tell(FarEventKind::Digit(digit));
                }
                self.watch_release(tell);
            }
            State::Releasing => {
                if !self.near_off_hook {
                    self.enter(State::Guard);
                }
            }
            State::Guard => {
                if self.state_ms >= GUARD_MS {
                    self.enter(State::Idle);
                }
            }
        }
    }

    fn signal_incoming(&mut self, heard: Option<char>, tell: &mut impl FnMut(FarEventKind)) {
        if self.state == State::Seizure {
            if !self.near_off_hook {
                self.enter(State::Idle);
            } else if self.near_ms >= SEIZURE_MS {
                tell(FarEventKind::Seized);
                self.enter(State::PreWink);
            }
            return;
        }
        if self.watch_release(tell) {
            return;
        }
        match self.state {
            State::PreWink if self.answering.wink_delay_ms.is_some_and(|delay| self.state_ms >= delay) => {
                self.off_hook = true;
                self.enter(State::Wink);
            }
            State::Wink if self.state_ms >= self.answering.wink_ms => {
                self.off_hook = false;
                self.collect();
            }
            State::Collecting => self.collect_digit(heard, tell),
            State::Ringing if self.answering.ring_ms.is_some_and(|ring| self.state_ms >= ring) => {
                self.off_hook = true;
                tell(FarEventKind::PickedUp);
                self.enter(State::Talking);
            }
            _ => {}
        }
    }

    fn collect(&mut self) {
        self.address.clear();
        self.detector = dtmf::Detector::default();
        self.enter(State::Collecting);
    }

    fn collect_digit(&mut self, heard: Option<char>, tell: &mut impl FnMut(FarEventKind)) {
        if let Some(digit) = heard {
            self.state_ms = 0;
            self.address.push(digit);
        }
        let all = self.answering.digits.map_or(ADDRESS_DIGITS_MAX, usize::from);
        let paused = self.state_ms >= self.answering.interdigit_ms;
        if self.address.len() >= all || heard == Some('#') || (paused && !self.address.is_empty()) {
            tell(FarEventKind::DigitsReceived(std::mem::take(&mut self.address)));
            self.enter(State::Ringing);
        } else if self.state_ms >= FIRST_DIGIT_MS {
            self.fail(FarFailure::NoDigits, tell);
        }
    }

    fn signal_outgoing(&mut self, tell: &mut impl FnMut(FarEventKind)) {
        match self.state {
            State::Seizing if self.near_off_hook => self.enter(State::Winking),
            State::Seizing if self.state_ms >= WINK_WAIT_MS => self.fail(FarFailure::NoWink, tell),
            State::Winking if !self.near_off_hook => {
                if self.state_ms >= WINK_MIN_MS {
                    tell(FarEventKind::Winked);
                    self.enter(State::PreDial);
                } else {
                    self.enter(State::Seizing);
                }
            }
            State::Winking if self.state_ms > WINK_MAX_MS => {
                tell(FarEventKind::Glare);
                match self.glare_role {
                    GlareRole::Hold => self.enter(State::GlareHold),
                    GlareRole::Yield => {
                        self.off_hook = false;
                        self.collect();
                    }
                }
            }
            State::GlareHold if !self.near_off_hook => {
                tell(FarEventKind::Winked);
                self.enter(State::PreDial);
            }
            State::GlareHold if self.state_ms >= GLARE_WAIT_MS => self.fail(FarFailure::Glare, tell),
            State::PreDial if self.state_ms >= DIAL_DELAY_MS => {
                self.generator.clear();
                let address = std::mem::take(&mut self.address);
                self.send_digits(&address);
                self.enter(State::Sending);
            }
            _ => {}
        }
    }

    /// Ends the call when the near end has been on-hook for long enough.
    fn watch_release(&mut self, tell: &mut impl FnMut(FarEventKind)) -> bool {
        let released = !self.near_off_hook && self.near_ms >= RELEASE_MS;
        if released {
            tell(FarEventKind::HungUp);
            self.release();
        }
        released
    }

    fn fail(&mut self, why: FarFailure, tell: &mut impl FnMut(FarEventKind)) {
        tell(FarEventKind::Failed(why));
        self.release();
    }

    fn release(&mut self) {
        self.off_hook = false;
        self.generator.clear();
        self.play.clear();
        self.enter(State::Releasing);
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.state_ms = 0;
    }
}
