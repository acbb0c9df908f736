//! The demonstration's agents and callers: small scripts around a phone or the far end of the card.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use cordboard_hal_sim::{FarEventKind, SimControl};

use crate::base::{Codec, Instant};
use crate::demo::account::{News, Outcome};
use crate::demo::phone::Phone;
use crate::dsp::reference::{Recognizer, ReferenceSignal};
use crate::edge::clock::Clock;
use crate::proto::sip::Event;

/// How long an agent lets it ring.
const RING: Duration = Duration::from_millis(400);
/// How long a caller talks after having heard the agent.
const TALK: Duration = Duration::from_millis(2500);
/// Longest call; past it something is wrong.
const CALL_MAX: Duration = Duration::from_secs(60);
/// How long a caller listens to the menu.
const LISTEN: Duration = Duration::from_millis(1500);

/// What all scripts need.
#[derive(Clone)]
pub(super) struct Stage {
    pub clock: Clock,
    pub server: SocketAddr,
    pub news: Sender<News>,
    pub agents: Vec<u64>,
    pub callers: Vec<u64>,
    /// Set when the agents shall go home.
    pub over: Rc<Cell<bool>>,
}

impl Stage {
    fn tell(&self, news: News) {
        // The account outlives the scripts.
        let _ = self.news.send(news);
    }

    fn soon(&self, after: Duration) -> Instant {
        self.clock.mono() + after
    }
}

/// An agent: registers, answers every call, talks until the other side hangs up, and takes its phone along at the end, so
/// that none is left in the registrar.
pub(super) async fn agent(stage: Stage, name: &'static str, password: &'static str, seed: u64) -> std::io::Result<()> {
    let local = SocketAddr::new(stage.server.ip(), 0);
    let mut phone = Phone::new(stage.clock, local, stage.server, Codec::USUAL.to_vec(), seed)?;
    let registration = phone.register(name, password);
    let mut ringing = None;
    while !stage.over.get() {
        let until = ringing.as_ref().map_or_else(|| stage.soon(Duration::from_millis(200)), |(due, _, _)| *due);
        match phone.next(until).await? {
            Some(Event::Incoming(incoming)) => {
                phone.ring(incoming.session);
                ringing = Some((stage.soon(RING), incoming.session, incoming.sdp));
            }
            Some(Event::Cancelled { .. }) => ringing = None,
            Some(Event::Ended { .. }) => phone.talk = None,
            Some(Event::ClientRegistration { result, .. }) => stage.tell(News::Line(match result {
                Ok(_) => format!("agent {name} registered"),
                Err(status) => format!("agent {name} was refused: {status}"),
            })),
            Some(_) => {}
            None => {
                if let Some((due, session, offer)) = ringing.take() {
                    if due > stage.clock.mono() {
                        ringing = Some((due, session, offer));
                    } else {
                        phone.pick_up(session, offer.as_ref());
                        stage.tell(News::Line(format!("agent {name} answers")));
                    }
                }
            }
        }
        if let Some(speaker) = phone.talk.as_ref().and_then(|t| t.hears(stage.callers.iter().copied())) {
            stage.tell(News::Heard { listener: seed, speaker });
        }
    }
    phone.unregister(registration);
    while phone.next(stage.soon(Duration::from_millis(100))).await?.is_some() {}
    Ok(())
}

/// A caller over SIP: listens, presses a key, waits, talks, hangs up; an impatient one leaves while waiting.
pub(super) async fn sip_caller(stage: Stage, seed: u64, key: char, codecs: Vec<Codec>, patience: Option<Duration>) {
    let outcome = match call_over_sip(&stage, seed, key, codecs, patience).await {
        Ok(outcome) => outcome,
        Err(e) => Outcome::Failed(e.to_string()),
    };
    stage.tell(News::Line(format!("caller {seed} (SIP) {}", past(&outcome))));
    stage.tell(News::Over { caller: seed, outcome });
}

fn past(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Talked => "talked and hung up".into(),
        Outcome::GaveUp => "gave up waiting".into(),
        Outcome::Failed(why) => format!("FAILED: {why}"),
    }
}

async fn call_over_sip(
    stage: &Stage,
    seed: u64,
    key: char,
    codecs: Vec<Codec>,
    patience: Option<Duration>,
) -> std::io::Result<Outcome> {
    let local = SocketAddr::from(([127, 0, 0, 2], 0));
    let mut phone = Phone::new(stage.clock, local, stage.server, codecs, seed)?;
    stage.tell(News::Line(format!("caller {seed} dials 100 over SIP and will press {key}")));
    let Some(session) = phone.call(&format!("c{seed}"), "100") else {
        return Ok(Outcome::Failed("no session".into()));
    };
    let end = stage.soon(CALL_MAX);
    let leave = patience.map(|p| stage.soon(p));
    let (mut press_at, mut hang_up_at) = (None, None);
    loop {
        match phone.next(stage.soon(Duration::from_millis(100)).min(end)).await? {
            Some(Event::Answered { sdp, .. }) => {
                phone.concluded(sdp.as_ref());
                press_at = Some(stage.soon(LISTEN));
            }
            Some(Event::Failed { status, .. }) => return Ok(Outcome::Failed(format!("refused: {status}"))),
            Some(Event::Ended { .. }) => {
                return Ok(Outcome::Failed("the appliance hung up".into()));
            }
            _ => {}
        }
        let now = stage.clock.mono();
        let Some(talk) = &mut phone.talk else {
            if now >= end {
                return Ok(Outcome::Failed("no answer".into()));
            }
            continue;
        };
        if press_at.is_some_and(|at| at <= now) {
            press_at = None;
            talk.press(key);
        }
        if let Some(speaker) = talk.hears(stage.agents.iter().copied()) {
            stage.tell(News::Heard { listener: seed, speaker });
            hang_up_at.get_or_insert(now + TALK);
        }
        let gives_up = hang_up_at.is_none() && leave.is_some_and(|at| at <= now);
        if gives_up || now >= end || hang_up_at.is_some_and(|at| at <= now) {
            phone.hang_up(session);
            // The BYE goes out and is answered.
            while phone.next(stage.soon(Duration::from_millis(500))).await?.is_some() {}
            return Ok(match (gives_up, hang_up_at) {
                (true, _) => Outcome::GaveUp,
                (false, Some(_)) => Outcome::Talked,
                (false, None) => Outcome::Failed("never heard an agent".into()),
            });
        }
    }
}

/// A caller behind the simulated card's far end.
struct CardCaller {
    seed: u64,
    timeslot: u8,
    key: char,
    voice: ReferenceSignal,
    ear: Recognizer,
    end: Instant,
    press_at: Option<Instant>,
    speak_at: Option<Instant>,
    hang_up_at: Option<Instant>,
}

/// All callers on the card: one script drives them, because the card tells its events in one stream.
pub(super) struct CardCallers {
    stage: Stage,
    control: SimControl,
    up: Vec<CardCaller>,
}

const SPAN: u8 = 1;
/// Reference signal queued at a time.
const CHUNK_MS: usize = 100;

impl CardCallers {
    pub fn new(stage: Stage, control: SimControl) -> Self {
        Self { stage, control, up: Vec::new() }
    }

    /// Seizes a timeslot and dials.
    pub fn dial(&mut self, seed: u64, key: char) {
        let busy = |t: &u8| self.up.iter().any(|c| c.timeslot == *t);
        let idle = |t: &u8| self.control.is_idle(SPAN, *t).unwrap_or(false);
        let Some(timeslot) = (1..=24).find(|t| !busy(t) && idle(t)) else {
            return self.over(seed, Outcome::Failed("no idle timeslot".into()));
        };
        if let Err(e) = self.control.dial(SPAN, timeslot, "100") {
            return self.over(seed, Outcome::Failed(e.to_string()));
        }
        let line = format!("caller {seed} dials 100 on the T1 card, timeslot {timeslot}, and will press {key}");
        self.stage.tell(News::Line(line));
        self.up.push(CardCaller {
            seed,
            timeslot,
            key,
            voice: ReferenceSignal::new(seed),
            ear: Recognizer::new(),
            end: self.stage.soon(CALL_MAX),
            press_at: None,
            speak_at: None,
            hang_up_at: None,
        });
    }

    fn over(&self, seed: u64, outcome: Outcome) {
        self.stage.tell(News::Line(format!("caller {seed} (T1) {}", past(&outcome))));
        self.stage.tell(News::Over { caller: seed, outcome });
    }

    /// Takes what happened on the card and plays every caller's part. To be called every 20 to 50 ms.
    pub fn step(&mut self) {
        while let Some(event) = self.control.poll_event() {
            let Some(at) = self.up.iter().position(|c| c.timeslot == event.timeslot) else { continue };
            match event.kind {
                FarEventKind::Answered => {
                    let now = self.stage.clock.mono();
                    if let Some(caller) = self.up.get_mut(at) {
                        caller.press_at = Some(now + LISTEN);
                        // Recording starts with the answer; failing that, nothing is heard and the call fails.
                        let _ = self.control.set_recording(SPAN, caller.timeslot, true);
                    }
                }
                FarEventKind::HungUp => self.end(at, Outcome::Failed("the appliance hung up".into())),
                FarEventKind::Failed(why) => self.end(at, Outcome::Failed(format!("{why:?}"))),
                _ => {}
            }
        }
        let mut at = 0;
        while at < self.up.len() {
            match self.play_part(at) {
                Some(outcome) => self.end(at, outcome),
                None => at += 1,
            }
        }
    }

    fn end(&mut self, at: usize, outcome: Outcome) {
        let caller = self.up.swap_remove(at);
        // The far end may be on-hook already.
        let _ = self.control.hang_up(SPAN, caller.timeslot);
        self.over(caller.seed, outcome);
    }

    fn play_part(&mut self, at: usize) -> Option<Outcome> {
        let now = self.stage.clock.mono();
        let caller = self.up.get_mut(at)?;
        let slot = caller.timeslot;
        if caller.press_at.is_some_and(|t| t <= now) {
            caller.press_at = None;
            self.control.send_digits(SPAN, slot, &caller.key.to_string()).ok()?;
            caller.speak_at = Some(now + Duration::from_millis(400));
        }
        while caller.speak_at.is_some_and(|t| t <= now) {
            let mut pcm = vec![0; CHUNK_MS * 8];
            caller.voice.fill(&mut pcm);
            self.control.play(SPAN, slot, &pcm).ok()?;
            caller.speak_at = caller.speak_at.map(|t| t + Duration::from_millis(CHUNK_MS as u64));
        }
        if let Ok(pcm) = self.control.take_recorded(SPAN, slot) {
            caller.ear.push(&pcm);
        }
        if let Some(heard) = caller.ear.recognise(self.stage.agents.iter().copied()) {
            caller.hang_up_at.get_or_insert(now + TALK);
            let listener = caller.seed;
            self.stage.tell(News::Heard { listener, speaker: heard.seed });
        }
        let caller = self.up.get(at)?;
        if caller.hang_up_at.is_some_and(|t| t <= now) {
            return Some(Outcome::Talked);
        }
        (now >= caller.end).then(|| Outcome::Failed("never heard an agent".into()))
    }
}
