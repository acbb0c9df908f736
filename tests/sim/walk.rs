//! A random walk over everything that can happen to the small contact centre of `desk`, with the invariants checked
//! after each step and everything accounted for at the end. `SEED=n cargo test --test sim walk` repeats one.

use std::time::Duration;

use cordboard::base::{CallId, Cause, DialString, Timestamp};
use cordboard::core::control::{Command, Query, Reply};
use cordboard::core::media::{Answerer, DigitSource, HeardTone, MediaEvent};
use cordboard::core::tenant::Provision;
use cordboard::core::trunk::CardInput;
use cordboard::proto::cas::em_wink;
use cordboard::proto::sdp::Direction as Flow;
use cordboard::proto::sip::{Event, SessionId};

use crate::callbacks::{add, cancel_all, provisioning, views};
use crate::desk::{Desk, Party, description};
use crate::provision;
use crate::world::Dice;

pub const PARTIES: [Party; 3] = [Party::Carrier, Party::Backup, Party::Phones];
const AGENTS: [&str; 2] = ["ana", "ben"];
const NUMBERS: [&str; 7] = ["100", "200", "300", "400", "500", "700", "999"];
const TARGETS: [&str; 8] = ["ana", "ben", "100", "85551234", "95551234", "9112", "9+1", "nobody"];

pub struct Walk {
    pub desk: Desk,
    dice: Dice,
    sessions: Vec<(Party, SessionId)>,
    /// Calls from us that nobody has decided about.
    ringing: Vec<(Party, SessionId)>,
}

impl Walk {
    pub fn new(seed: u64, desk: Desk) -> Self {
        Self { desk, dice: Dice::new(seed), sessions: Vec::new(), ringing: Vec::new() }
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.dice.next() % n as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let n = self.below(from.len().max(1));
        from.get(n).copied()
    }

    /// One of the sessions of late; it may be over.
    fn session(&mut self) -> Option<(Party, SessionId)> {
        for (party, event) in self.desk.events.drain(..) {
            if let Event::Incoming(incoming) = event {
                self.sessions.push((party, incoming.session));
                self.ringing.push((party, incoming.session));
            }
        }
        let old = self.sessions.len().saturating_sub(6);
        self.sessions.drain(..old);
        let sessions = self.sessions.clone();
        self.pick(&sessions)
    }

    /// Something happens.
    pub fn act(&mut self) {
        match self.below(100) {
            0..12 => self.call_in(),
            12..18 => self.call_out(),
            18..40 => self.answer(),
            40..50 => self.hang_up(),
            50..60 => self.hold(),
            60..68 => self.refer(),
            68..78 => self.circuit(),
            78..84 => self.order(),
            84..86 => self.wish(),
            86..92 => self.media(),
            92..94 => self.provision(),
            94..95 => self.trouble(),
            95..97 => self.relief(),
            _ => self.sign_in(),
        }
    }

    fn step(&mut self) {
        self.act();
        let ms = [0, 0, 0, 10, 300, 2_000, 2_000, 20_000][self.below(8)];
        self.desk.pass(Duration::from_millis(ms));
        self.desk.switch.check_invariants();
        self.desk.check_sounds();
        assert_eq!(self.desk.switch.status().double_offers, 0);
    }

    fn call_in(&mut self) {
        let number = self.pick(&NUMBERS).unwrap_or("100");
        let direction = if self.below(5) == 0 { Flow::SendOnly } else { Flow::SendRecv };
        let body = (self.below(8) > 0).then(|| description(20_000, direction));
        let session = self.desk.call(Party::Carrier, "5550001", number, body);
        self.sessions.push((Party::Carrier, session));
    }

    fn call_out(&mut self) {
        let agent = self.pick(&AGENTS).unwrap_or("ana");
        let target = self.pick(&TARGETS).unwrap_or("100");
        let session = self.desk.call(Party::Phones, agent, target, Some(description(21_000, Flow::SendRecv)));
        self.sessions.push((Party::Phones, session));
    }

    fn answer(&mut self) {
        self.session();
        let Some((party, session)) = self.ringing.pop() else { return };
        match self.below(6) {
            0 => self.desk.with(party, |e, now| e.reject(now, session, 486, None, None)),
            1 => self.desk.with(party, |e, now| e.reject(now, session, 503, None, None)),
            2 => {
                let early = description(31_000, Flow::SendRecv);
                self.desk.with(party, |e, now| e.provisional(now, session, 183, Some(early)));
                self.ringing.push((party, session));
            }
            _ => self.desk.accept(party, session),
        }
    }

    fn hang_up(&mut self) {
        if let Some((party, session)) = self.session() {
            self.desk.hangup(party, session);
        }
    }

    fn hold(&mut self) {
        let Some((party, session)) = self.session() else { return };
        let direction = self.pick(&[Flow::SendOnly, Flow::Inactive, Flow::SendRecv]).unwrap_or_default();
        self.desk.reoffer(party, session, direction);
    }

    fn refer(&mut self) {
        let Some((party, session)) = self.session() else { return };
        let target = self.pick(&TARGETS).unwrap_or("100");
        self.desk.refer(party, session, target);
    }

    fn circuit(&mut self) {
        let timeslot = 1 + self.below(4) as u8;
        let number = self.pick(&NUMBERS).unwrap_or("100");
        match self.below(3) {
            0 => self.desk.far(timeslot, em_wink::Input::Seize { digits: DialString::new(number).expect("digits") }),
            1 => self.desk.far(timeslot, em_wink::Input::Answer),
            _ => self.desk.far(timeslot, em_wink::Input::Release(Cause::Normal)),
        }
    }

    fn order(&mut self) {
        let (tenant, agent) = ("acme".to_owned(), self.pick(&AGENTS).unwrap_or("ana").to_owned());
        // Work items are numbered by the same counter: every other one may be none of a call.
        let call = CallId(1 + self.below(2 * self.desk.started.max(1)) as u64);
        let command = match self.below(8) {
            0 => Command::SignOut { tenant, agent },
            1 => Command::Pause { tenant, agent, reason: "walk".into() },
            2 => Command::Hangup { call },
            3 | 4 => Command::Resume { tenant, agent },
            _ => Command::SignIn { tenant, agent },
        };
        self.desk.command(command);
    }

    /// A client is to be called back, now or by and by, or is not any more.
    fn wish(&mut self) {
        let due_at = (self.below(4) == 0).then(|| Timestamp(self.desk.now.wall.0 + 60_000));
        let number = format!("8555000{}", self.below(4));
        add(&mut self.desk, &number, due_at);
        if let Some(view) = views(&mut self.desk).first().filter(|_| self.below(4) == 0) {
            self.desk.command(Command::WorkCancel { work: view.id, reason: "walk".into() });
        }
    }

    fn media(&mut self) {
        let ports: Vec<_> = self.desk.ports.keys().copied().collect();
        let Some(port) = self.pick(&ports) else { return };
        let event = match self.below(9) {
            0 => MediaEvent::Silent { port },
            1 => MediaEvent::Failed { port },
            2 => MediaEvent::RecordFailed { port },
            3 => MediaEvent::Tone { port, tone: HeardTone::Busy },
            4 => MediaEvent::Tone { port, tone: HeardTone::FaxCalling },
            5 => MediaEvent::Answered { port, by: Answerer::Machine },
            _ => MediaEvent::Digit { port, digit: '1', source: DigitSource::Event },
        };
        self.desk.media_event(event);
    }

    fn provision(&mut self) {
        let mut changed: Provision = provision(&provisioning());
        match self.below(5) {
            0 => changed.agent.truncate(1),
            1 => changed.queue.clear(),
            2 => changed.number.truncate(1),
            3 => changed.span.clear(),
            _ => {}
        }
        self.desk.command(Command::Provision { provision: Box::new(changed) });
    }

    fn trouble(&mut self) {
        match self.below(2) {
            0 => self.desk.card(CardInput::Span { span: 1, alarm: Some("red") }),
            _ => {
                let party = self.pick(&PARTIES).unwrap_or(Party::Backup);
                self.desk.dead.insert(party);
            }
        }
    }

    fn relief(&mut self) {
        self.desk.dead.clear();
        self.desk.card(CardInput::Span { span: 1, alarm: None });
        self.desk.command(Command::Provision { provision: Box::new(provision(&provisioning())) });
        self.sign_in();
    }

    fn sign_in(&mut self) {
        for agent in AGENTS {
            self.desk.command(Command::SignIn { tenant: "acme".into(), agent: agent.into() });
        }
    }

    fn wind_down(mut self) {
        if self.dice.chance(0.3) {
            self.desk.command(Command::Stop);
            self.desk.command(Command::Stop);
            self.desk.seconds(3);
            assert!(self.desk.stopped, "the second order ends all calls");
        }
        self.relief();
        self.desk.seconds(40);
        for timeslot in 1..=24 {
            self.desk.far(timeslot, em_wink::Input::Release(Cause::Normal));
        }
        while self.session().is_some() {
            for (party, session) in std::mem::take(&mut self.sessions) {
                self.desk.hangup(party, session);
            }
        }
        cancel_all(&mut self.desk);
        let Reply::Calls { calls } = self.desk.query(Query::Calls) else { panic!("calls are listed") };
        for call in calls {
            self.desk.command(Command::Hangup { call: call.call_id });
        }
        self.desk.seconds(700);
        self.desk.check_over();
    }
}

#[test]
fn whatever_happens_everything_ends() {
    let mut tried = 0;
    for seed in crate::seeds(&[1, 2, 3, 4, 5, 6]) {
        println!("seed {seed}");
        // Every other centre is short of sockets.
        let desk = Desk::with_sockets(seed, provision(&provisioning()), if seed.is_multiple_of(2) { 8 } else { 2_000 });
        let mut walk = Walk::new(seed, desk);
        for _ in 0..1_500 {
            walk.step();
        }
        let talked = walk.desk.cdrs.iter().filter(|c| c.agent.is_some()).count();
        println!("{} calls, {talked} with an agent", walk.desk.cdrs.len());
        assert!(talked > 3, "a walk that reaches nobody shows nothing");
        tried += walk.desk.tries.len();
        walk.wind_down();
    }
    println!("{tried} tries to call somebody back");
    assert!(tried > 3, "too few are called back");
}
