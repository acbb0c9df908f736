//! Many calls at once over a link that loses, repeats and reorders: every session ends on both sides, once, and nothing
//! is left behind.

use std::collections::HashMap;

use super::*;

/// What became of the sessions of one side.
#[derive(Default)]
struct Ledger {
    live: HashMap<SessionId, bool>,
    opened: Vec<SessionId>,
}

impl Ledger {
    fn open(&mut self, session: SessionId) {
        self.opened.push(session);
        assert!(self.live.insert(session, false).is_none(), "{session:?} twice");
    }

    fn up(&mut self, session: SessionId) {
        let up = self.live.get_mut(&session).expect("an event for a live session");
        *up = true;
    }

    fn close(&mut self, session: SessionId) {
        assert!(self.live.remove(&session).is_some(), "{session:?} ended twice, or never was");
    }

    fn pick(&self, dice: &mut Dice, up: bool) -> Option<SessionId> {
        let mut all: Vec<SessionId> = self.live.iter().filter(|(_, u)| **u == up).map(|(s, _)| *s).collect();
        all.sort_unstable();
        let n = u64::try_from(all.len()).expect("a small number");
        if n == 0 { None } else { all.get(usize::try_from(dice.roll(n)).expect("small")).copied() }
    }
}

fn react(w: &mut World, side: Side, ledger: &mut Ledger, event: Event, dice: &mut Dice) {
    let now = w.now;
    match event {
        Event::Incoming(incoming) => {
            let session = incoming.session;
            ledger.open(session);
            match dice.roll(6) {
                0 => {
                    w.at(side).reject(now, session, 486, Some(Cause::Busy), None);
                    ledger.close(session);
                }
                1 => {
                    w.at(side).accept(now, session, answer());
                    ledger.up(session);
                }
                2 => w.at(side).provisional(now, session, 183, Some(answer())),
                _ => w.at(side).provisional(now, session, 180, None),
            }
        }
        Event::Answered { session, .. } => ledger.up(session),
        Event::Provisional { session, .. } | Event::Acked { session, .. } => {
            assert!(ledger.live.contains_key(&session), "an event for a dead session");
        }
        Event::Failed { session, .. } | Event::Cancelled { session, .. } | Event::Ended { session, .. } => {
            ledger.close(session)
        }
        Event::Reoffer { session, .. } => {
            let answer = if dice.percent(80) { Ok(answer()) } else { Err(488) };
            w.at(side).answer_reoffer(now, session, answer);
        }
        Event::Referred { session, .. } => {
            w.at(side).accept_refer(now, session, if dice.percent(70) { 202 } else { 603 });
            w.at(side).notify_refer(now, session, if dice.percent(50) { 200 } else { 486 });
        }
        Event::Reanswered { session, .. } | Event::ReferProgress { session, .. } => {
            assert!(ledger.live.contains_key(&session), "an event for a dead session");
        }
        other => panic!("{other:?}"),
    }
}

fn act(w: &mut World, side: Side, ledger: &mut Ledger, dice: &mut Dice) {
    let now = w.now;
    match dice.roll(10) {
        0 | 1 => {
            let order =
                Invite { path: w.path(side), request_uri: format!("sip:1@{}", side.other().address()), ..w.order() };
            if let Some(session) = w.at(side).invite(now, order) {
                ledger.open(session);
            }
        }
        2 => {
            let up = dice.percent(50);
            if let Some(session) = ledger.pick(dice, up) {
                w.at(side).hangup(now, session, Cause::Normal);
                ledger.close(session);
            }
        }
        3..=5 => {
            // Only those that were called can accept; the order is ignored for the others.
            if let Some(session) = ledger.pick(dice, false) {
                w.at(side).accept(now, session, answer());
            }
        }
        6 | 7 => {
            if let Some(session) = ledger.pick(dice, true) {
                w.at(side).reinvite(now, session, offer());
            }
        }
        8 => {
            if let Some(session) = ledger.pick(dice, true) {
                w.at(side).refer(now, session, "sip:3@127.0.0.9");
            }
        }
        _ => {}
    }
}

fn pump(w: &mut World, ledgers: &mut [Ledger; 2], dice: &mut Dice) {
    for (side, ledger) in [Side::A, Side::B].into_iter().zip(ledgers) {
        for event in w.events(side) {
            react(w, side, ledger, event, dice);
        }
        w.at(side).check_invariants();
    }
}

fn storm(seed: u64, transport: Transport, loss: u64, repeat: u64, delay: u64) {
    println!("seed {seed}, {transport:?}, loss {loss} %, repeat {repeat} %, delay {delay} %");
    let mut w = World { transport, loss, repeat, delay, ..World::seeded(seed) };
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9) | 1);
    let mut ledgers = [Ledger::default(), Ledger::default()];
    for _ in 0..250 {
        for (side, ledger) in [Side::A, Side::B].into_iter().zip(&mut ledgers) {
            act(&mut w, side, ledger, &mut dice);
        }
        let pause = dice.roll(400);
        for _ in 0..4 {
            w.run(pause / 4);
            pump(&mut w, &mut ledgers, &mut dice);
        }
    }
    // Time for what is still ringing; then both hang up on what is left.
    for _ in 0..400 {
        w.run(1000);
        pump(&mut w, &mut ledgers, &mut dice);
    }
    for (side, ledger) in [Side::A, Side::B].into_iter().zip(&mut ledgers) {
        while let Some(session) = ledger.pick(&mut dice, true).or_else(|| ledger.pick(&mut dice, false)) {
            let now = w.now;
            w.at(side).hangup(now, session, Cause::Normal);
            ledger.close(session);
        }
        w.run(0);
        let _ = w.events(side);
    }
    w.run(100);
    for (side, ledger) in [Side::A, Side::B].into_iter().zip(&mut ledgers) {
        for event in w.events(side) {
            if let Event::Incoming(incoming) = event {
                let now = w.now;
                w.at(side).reject(now, incoming.session, 480, None, None);
                ledger.opened.push(incoming.session);
            } else if let Event::Failed { session, .. }
            | Event::Cancelled { session, .. }
            | Event::Ended { session, .. } = event
            {
                ledger.live.remove(&session);
            }
        }
        assert!(ledger.live.is_empty(), "{side:?}: {:?}", ledger.live);
    }
    w.run(700_000);
    for side in [Side::A, Side::B] {
        let events = w.events(side);
        let fresh = events.iter().filter(|e| matches!(e, Event::Incoming(_))).count();
        assert_eq!(fresh, 0, "seed {seed}: a call out of nowhere");
    }
    w.settle();
    for (side, ledger) in [Side::A, Side::B].into_iter().zip(&mut ledgers) {
        let mut released: Vec<SessionId> = w.released.iter().filter(|(s, _)| *s == side).map(|(_, id)| *id).collect();
        released.sort_unstable();
        ledger.opened.sort_unstable();
        assert_eq!(released, ledger.opened, "seed {seed}: each session is released once");
    }
}

#[test]
fn every_session_ends_once_on_both_sides_and_nothing_is_left() {
    for seed in 1..=3 {
        storm(seed, Transport::Udp, 0, 0, 0);
        storm(seed, Transport::Udp, 10, 10, 20);
        storm(seed, Transport::Udp, 35, 5, 40);
        storm(seed, Transport::Tcp, 0, 0, 0);
    }
}
