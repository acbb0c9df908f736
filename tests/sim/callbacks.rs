//! Clients who are called back: asked for while waiting, by the operator, at a time; every way a try may end; kills.

use std::collections::{BTreeMap, HashSet};

use cordboard::base::{CallId, Cause, Medium, Redacted, Timestamp, WorkItemId};
use cordboard::core::contact::{Outcome, Work, WorkState};
use cordboard::core::control::{Command, Query, Reply, WorkSpec, WorkView};
use cordboard::core::journal::{AgentStatus, Change, Direction};
use cordboard::core::media::{DigitSource, MediaEvent};
use cordboard::core::tenant::provision::Number;
use cordboard::proto::sdp;
use cordboard::proto::sip::SessionId;

use crate::desk::{Desk, PROVISION, Party, description};
use crate::disk::Disk;
use crate::provision;
use crate::scripts::over;
use crate::world::Dice;

/// The client's number as it is dialled.
pub const NUMBER: &str = "85550001";

/// Each try to call a client back, and its call.
#[derive(Default)]
pub struct Tries {
    calls: BTreeMap<(WorkItemId, u32), CallId>,
    dialled: HashSet<String>,
}

impl Tries {
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// A message to a party. Where it dials a client who is to be called back, it is for a wish that is just being tried, as the
    /// disk has it, and by the one call of that try.
    pub fn take(&mut self, disk: &Disk, party: Party, message: &[u8]) {
        let text = String::from_utf8_lossy(message);
        let Some(rest) = text.strip_prefix("INVITE sip:").filter(|_| party != Party::Phones) else { return };
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        // What is sent again dials nobody.
        if !number.starts_with("8555000") || line("To:").contains(";tag=") || !self.dialled.insert(line("Call-ID:")) {
            return;
        }
        let tried = disk.works.values().filter(|work| work.state == WorkState::Handled).find_map(|work| {
            let callback = work.callback.as_ref().filter(|callback| *callback.number.expose() == number)?;
            assert!(!callback.reached, "{} is dialled for once more", work.id);
            Some(((work.id, callback.tries), callback.call?))
        });
        let Some((the_try, call)) = tried else { panic!("{number} is dialled, and no try is on record") };
        assert_eq!(*self.calls.entry(the_try).or_insert(call), call, "a second call for one try");
    }
}

pub fn provisioning() -> String {
    format!("{PROVISION}{}", include_str!("callbacks.toml"))
}

/// Nobody is signed in.
pub fn desk() -> Desk {
    let mut desk = Desk::new(1, provision(&provisioning()));
    sign(&mut desk, "ana", false);
    desk
}

pub fn sign(desk: &mut Desk, agent: &str, is_in: bool) {
    let (tenant, agent) = ("acme".to_owned(), agent.to_owned());
    let command = if is_in { Command::SignIn { tenant, agent } } else { Command::SignOut { tenant, agent } };
    assert_eq!(desk.command(command), Reply::Done);
}

fn key(desk: &mut Desk, digit: char) {
    let port = desk.client_port_id();
    desk.media_event(MediaEvent::Digit { port, digit, source: DigitSource::Event });
}

/// A client calls, presses a key in the queue, and goes.
fn asks(desk: &mut Desk, wait_s: u64, digit: char) {
    let client = desk.client("700");
    desk.seconds(wait_s);
    key(desk, digit);
    desk.seconds(1);
    desk.hangup(Party::Carrier, client);
    desk.seconds(3);
}

fn heard(desk: &Desk, prompt: &str) -> usize {
    desk.said.iter().filter(|(_, said)| said == prompt).count()
}

pub fn views(desk: &mut Desk) -> Vec<WorkView> {
    match desk.query(Query::Works { tenant: None, queue: None, state: None, after: None, agent: None }) {
        Reply::Works { works, .. } => works.into_iter().filter(|view| view.callback.is_some()).collect(),
        other => panic!("{other:?}"),
    }
}

/// Nobody is to be called back any more.
pub fn cancel_all(desk: &mut Desk) {
    for view in views(desk) {
        desk.command(Command::WorkCancel { work: view.id, reason: "test".into() });
    }
}

fn wish(desk: &mut Desk) -> WorkView {
    let views = views(desk);
    let [view] = &views[..] else { panic!("one wish: {views:?}") };
    view.clone()
}

/// What the journal says of the only wish.
fn on_record(desk: &Desk) -> Work {
    let works = desk.journal.iter().rev().filter_map(|change| match change {
        Change::WorkChanged { work } if work.callback.is_some() => Some(*work.clone()),
        _ => None,
    });
    works.into_iter().next().expect("a wish")
}

fn events(work: &Work) -> Vec<&str> {
    work.events.iter().map(|event| event.what.as_str()).collect()
}

/// How often the client's phone was rung.
pub fn dialled(desk: &Desk) -> usize {
    let invite = format!("INVITE sip:{NUMBER}@");
    let calls = desk.calls_out.iter().filter(|(party, text)| *party != Party::Phones && text.starts_with(&invite));
    let mut ids: Vec<&str> =
        calls.filter_map(|(_, text)| text.lines().find(|line| line.starts_with("Call-ID:"))).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

fn ring_client(desk: &mut Desk) -> SessionId {
    desk.rings(Party::Carrier, NUMBER).expect("the client is rung")
}

/// The operator adds one.
pub fn add(desk: &mut Desk, number: &str, due_at: Option<Timestamp>) -> Reply {
    add_to(desk, "help", number, due_at)
}

fn add_to(desk: &mut Desk, queue: &str, number: &str, due_at: Option<Timestamp>) -> Reply {
    desk.command(Command::WorkAdd {
        item: Box::new(WorkSpec {
            tenant: "acme".into(),
            medium: Medium::Voice,
            queue: queue.into(),
            client: None,
            subject: None,
            attributes: Default::default(),
            modifiers: vec![],
            callback: Some(Redacted::new(number.to_owned())),
            due_at,
        }),
    })
}

fn added(reply: Reply) -> WorkItemId {
    match reply {
        Reply::Added { work, warning: None } => work,
        other => panic!("{other:?}"),
    }
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"))
}

fn invite_to<'a>(desk: &'a Desk, party: Party, user: &str) -> &'a str {
    let start = format!("INVITE sip:{user}@");
    let found = desk.calls_out.iter().rev().find(|(p, text)| *p == party && text.starts_with(&start));
    found.map(|(_, text)| text.as_str()).unwrap_or_else(|| panic!("{user} is not rung"))
}

#[test]
fn a_caller_asks_in_the_queue_and_is_called_back_at_its_place() {
    let mut desk = desk();
    asks(&mut desk, 40, '1');
    assert_eq!(heard(&desk, "acme/taken"), 1);
    let view = wish(&mut desk);
    // The wait goes on from where it was.
    assert_eq!((view.state, view.position, view.waited_s), (WorkState::Waiting, Some(1), 44));
    assert_eq!((dialled(&desk), desk.cdrs.len()), (0, 1));
    assert!(desk.cdrs[0].events.iter().any(|e| e.what == "callback" && e.detail == view.id.to_string()));

    sign(&mut desk, "ana", true);
    assert!(header(invite_to(&desk, Party::Phones, "ana"), "From:").contains(NUMBER), "ana sees whom it is about");
    assert_eq!(wish(&mut desk).state, WorkState::Offered);
    assert_eq!(dialled(&desk), 0, "the agent first");
    let ana = desk.agent_answers("ana");
    assert_eq!(wish(&mut desk).state, WorkState::Handled);
    assert!(desk.state().starts_with("ringing"), "{}", desk.state());
    let from = header(invite_to(&desk, Party::Carrier, NUMBER), "From:").to_owned();
    assert!(from.contains("sip:700@"), "the client sees the number that it had dialled: {from}");
    let client = ring_client(&mut desk);
    desk.seconds(5);
    desk.accept(Party::Carrier, client);
    assert_eq!(desk.state(), "talking acme/ana");
    assert!(wish(&mut desk).callback.is_some_and(|callback| callback.reached && callback.tries == 1));
    assert_eq!(desk.ports.values().filter(|port| port.bridge.is_some()).count(), 2);
    assert_eq!(desk.recordings.len(), 1);
    desk.seconds(20);
    desk.hangup(Party::Phones, ana);
    desk.seconds(3);
    assert!(views(&mut desk).is_empty());
    let work = on_record(&desk);
    assert_eq!((work.outcome, work.agent.as_deref()), (Some(Outcome::Completed), Some("ana")));
    assert_eq!(events(&work), ["added", "offered", "accepted", "try", "reached"]);
    let cdr = desk.cdrs.last().expect("a record");
    assert_eq!((cdr.direction, cdr.from.as_str(), cdr.to.as_str()), (Direction::Outbound, "700", NUMBER));
    assert!(cdr.answered_at.is_some() && cdr.agent.as_deref() == Some("ana") && cdr.cause == Some(Cause::Normal));
    assert!(cdr.events.iter().any(|e| e.what == "callback" && e.detail == work.id.to_string()), "{:?}", cdr.events);
    assert_eq!(work.callback.map(|callback| callback.call), Some(Some(cdr.call_id)));
    let status = desk.switch.status();
    assert_eq!((status.callbacks, status.callbacks_reached, status.callbacks_unreached), (0, 1, 0));
    assert_eq!(desk.agent("ana"), AgentStatus::Ready);
    over(desk);
}

#[test]
fn a_client_who_does_not_answer_is_called_as_often_as_the_rule_says() {
    let mut desk = desk();
    added(add(&mut desk, NUMBER, None));
    sign(&mut desk, "ana", true);
    desk.agent_answers("ana");
    let client = ring_client(&mut desk);
    desk.with(Party::Carrier, |e, now| e.reject(now, client, 486, None, None));
    desk.seconds(1);
    assert_eq!(desk.agent("ana"), AgentStatus::Ready, "who took it is free for others");
    let view = wish(&mut desk);
    assert_eq!(view.state, WorkState::Scheduled);
    assert!(view.callback.is_some_and(|callback| callback.tries == 1 && callback.retry_at.is_some()));
    desk.seconds(50);
    assert!(desk.rings(Party::Phones, "ana").is_none(), "not before its time");
    desk.seconds(20);
    desk.agent_answers("ana");
    ring_client(&mut desk);
    // It rings and rings.
    desk.seconds(60);
    assert!(views(&mut desk).is_empty());
    let work = on_record(&desk);
    assert_eq!(work.outcome, Some(Outcome::Unreached));
    let missed: Vec<_> = work.events.iter().filter(|e| e.what == "not-reached").map(|e| e.detail.as_str()).collect();
    assert_eq!(missed, [Cause::Busy.as_str(), Cause::NoAnswer.as_str()]);
    assert_eq!((dialled(&desk), desk.switch.status().callbacks_unreached), (2, 1));
    over(desk);
}

#[test]
fn a_number_that_nobody_has_is_not_called_again() {
    let mut desk = desk();
    added(add(&mut desk, NUMBER, None));
    sign(&mut desk, "ana", true);
    desk.agent_answers("ana");
    let client = ring_client(&mut desk);
    desk.with(Party::Carrier, |e, now| e.reject(now, client, 404, None, None));
    desk.seconds(1);
    assert_eq!(on_record(&desk).outcome, Some(Outcome::Unreached));
    over(desk);
}

#[test]
fn an_agent_who_does_not_take_it_leaves_it_at_its_place() {
    for (status, reason) in [(486, "busy"), (603, "declined"), (0, "no-answer")] {
        let mut desk = desk();
        added(add(&mut desk, NUMBER, None));
        sign(&mut desk, "ana", true);
        let ana = desk.rings(Party::Phones, "ana").expect("ana is rung");
        if status > 0 {
            desk.with(Party::Phones, |e, now| e.reject(now, ana, status, None, None));
        }
        desk.seconds(20);
        let view = wish(&mut desk);
        assert_eq!((view.state, view.position, view.waited_s), (WorkState::Waiting, Some(1), 20), "{reason}");
        assert_eq!(desk.agents["ana"], (AgentStatus::NotReady, reason.to_owned()));
        assert_eq!((dialled(&desk), desk.cdrs.len()), (0, 1));
        sign(&mut desk, "ben", true);
        desk.agent_answers("ben");
        assert_eq!(dialled(&desk), 1);
        over(desk);
    }
}

#[test]
fn an_agent_who_hangs_up_while_it_rings_has_made_a_try() {
    let mut desk = desk();
    added(add(&mut desk, NUMBER, None));
    sign(&mut desk, "ana", true);
    let ana = desk.agent_answers("ana");
    ring_client(&mut desk);
    desk.hangup(Party::Phones, ana);
    desk.seconds(2);
    let view = wish(&mut desk);
    assert_eq!((view.state, view.callback.map(|callback| callback.tries)), (WorkState::Scheduled, Some(1)));
    over(desk);
}

#[test]
fn the_client_is_dialled_once_the_try_is_durable_and_a_kill_makes_no_second_call() {
    let mut desk = desk();
    added(add(&mut desk, NUMBER, None));
    sign(&mut desk, "ana", true);
    desk.disk_refuses(true);
    desk.agent_answers("ana");
    desk.seconds(2);
    assert_eq!(dialled(&desk), 0, "a try that could be forgotten is not made");
    desk.disk_refuses(false);
    assert_eq!(dialled(&desk), 1);
    // Killed while the client's phone rings.
    desk.restart(2);
    desk.forget(Party::Phones);
    let view = wish(&mut desk);
    assert_eq!((view.state, view.callback.map(|callback| callback.tries)), (WorkState::Scheduled, Some(1)));
    desk.seconds(50);
    assert_eq!(dialled(&desk), 1);
    desk.seconds(20);
    desk.agent_answers("ana");
    assert_eq!(dialled(&desk), 2, "the second of two");
    // And killed again: the rule allows no third.
    desk.restart(3);
    assert!(views(&mut desk).is_empty());
    assert_eq!(on_record(&desk).outcome, Some(Outcome::Unreached));
}

#[test]
fn a_kill_while_they_talk_ends_the_wish_and_one_while_it_waits_keeps_its_place() {
    let mut desk = desk();
    asks(&mut desk, 40, '1');
    desk.restart(2);
    let view = wish(&mut desk);
    assert_eq!((view.state, view.position, view.waited_s), (WorkState::Waiting, Some(1), 44));
    sign(&mut desk, "ana", true);
    // Killed while ana's phone rings: nobody was called.
    assert!(desk.rings(Party::Phones, "ana").is_some());
    desk.restart(3);
    desk.forget(Party::Phones);
    desk.forget(Party::Carrier);
    desk.seconds(1);
    assert_eq!(dialled(&desk), 0);
    let view = wish(&mut desk);
    assert!(matches!(view.state, WorkState::Offered) && view.callback.is_some_and(|callback| callback.tries == 0));
    desk.agent_answers("ana");
    let client = ring_client(&mut desk);
    desk.accept(Party::Carrier, client);
    desk.seconds(2);
    desk.restart(4);
    assert!(views(&mut desk).is_empty());
    assert_eq!((on_record(&desk).outcome, dialled(&desk)), (Some(Outcome::Completed), 1));
}

#[test]
fn a_second_wish_joins_the_first() {
    let mut desk = desk();
    asks(&mut desk, 5, '1');
    let first = wish(&mut desk).id;
    match add(&mut desk, NUMBER, None) {
        Reply::Added { work, warning: Some(warning) } => {
            assert_eq!(work, first);
            assert!(warning.contains("already"), "{warning}");
        }
        other => panic!("{other:?}"),
    }
    asks(&mut desk, 5, '1');
    assert_eq!((heard(&desk, "acme/taken"), heard(&desk, "acme/known")), (1, 1));
    assert_eq!(wish(&mut desk).id, first);
    over(desk);
}

#[test]
fn what_cannot_be_called_back_is_refused_with_the_reason() {
    let mut desk = desk();
    for (queue, number, what) in [
        ("help", "7555", "no trunk"),
        ("help", "100", "appliance's"),
        ("help", "+911", "emergency"),
        ("help", "9911", "emergency"),
        ("help", "9100", "appliance's"),
        ("help", "8x", "digits"),
        ("help", "8", "digits"),
        ("help", "anonymous", "digits"),
        ("help", "sip:85@evil.example", "digits"),
        ("sales", NUMBER, "callback = true"),
        ("hulp", NUMBER, "no such queue"),
    ] {
        match add_to(&mut desk, queue, number, None) {
            Reply::Refused { reason } => assert!(reason.contains(what), "{queue} {number}: {reason}"),
            other => panic!("{queue} {number}: {other:?}"),
        }
    }
    asks(&mut desk, 5, '4');
    assert_eq!(heard(&desk, "acme/sorry"), 1);
    assert!(views(&mut desk).is_empty());
    over(desk);
}

#[test]
fn an_agreed_time_is_kept() {
    let mut desk = desk();
    asks(&mut desk, 5, '2');
    sign(&mut desk, "ana", true);
    let view = wish(&mut desk);
    assert_eq!((view.state, heard(&desk, "acme/taken")), (WorkState::Scheduled, 1));
    desk.seconds(29 * 60);
    assert!(desk.rings(Party::Phones, "ana").is_none());
    desk.seconds(65);
    desk.agent_answers("ana");
    assert_eq!(dialled(&desk), 1, "{:?}", desk.cdrs.last());
    over(desk);
}

#[test]
fn a_caller_who_leaves_by_a_key_and_comes_back_keeps_its_place() {
    let mut desk = desk();
    let client = desk.client("700");
    desk.seconds(30);
    key(&mut desk, '3');
    desk.seconds(2);
    let Reply::Works { works, .. } =
        desk.query(Query::Works { tenant: None, queue: None, state: None, after: None, agent: None })
    else {
        panic!("the items")
    };
    assert_eq!((works.len(), works[0].waited_s), (1, 32));
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn a_client_who_calls_in_has_its_place_and_settles_the_wish_or_leaves_it_as_it_was() {
    for talks in [true, false] {
        let mut desk = desk();
        asks(&mut desk, 40, '1');
        desk.seconds(16);
        let client = desk.client("700");
        desk.seconds(2);
        let wished = wish(&mut desk);
        assert!(wished.state == WorkState::Waiting && wished.position.is_none());
        assert!(wished.callback.is_some_and(|callback| callback.rests));
        let Reply::Works { works, .. } =
            desk.query(Query::Works { tenant: None, queue: None, state: None, after: None, agent: None })
        else {
            panic!("the items")
        };
        let call = works.iter().find(|view| view.callback.is_none()).expect("the call's item");
        assert_eq!(call.waited_s, 62, "the call has the place of the wish");
        if talks {
            sign(&mut desk, "ana", true);
            desk.agent_answers("ana");
            assert!(views(&mut desk).is_empty());
            assert_eq!(on_record(&desk).outcome, Some(Outcome::Settled));
        }
        desk.hangup(Party::Carrier, client);
        desk.seconds(3);
        if !talks {
            let view = wish(&mut desk);
            assert_eq!((view.position, view.waited_s), (Some(1), 65));
        }
        assert_eq!(dialled(&desk), 0);
        over(desk);
    }
}

#[test]
fn a_client_who_calls_in_while_an_agent_is_rung_for_it_is_not_called() {
    let mut desk = desk();
    added(add(&mut desk, NUMBER, None));
    sign(&mut desk, "ana", true);
    assert!(desk.rings(Party::Phones, "ana").is_some());
    // From the very number that was to be called.
    let body = description(20_000, sdp::Direction::SendRecv);
    let client = desk.call(Party::Carrier, NUMBER, "700", Some(body));
    desk.seconds(1);
    assert!(wish(&mut desk).callback.is_some_and(|callback| callback.rests));
    desk.agent_answers("ana");
    assert_eq!(desk.state(), "talking acme/ana");
    assert_eq!((dialled(&desk), on_record(&desk).outcome), (0, Some(Outcome::Settled)));
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn a_wish_is_cancelled_wherever_it_is() {
    for stage in 0..4 {
        let mut desk = desk();
        let work = added(add(&mut desk, NUMBER, None));
        if stage > 0 {
            sign(&mut desk, "ana", true);
        }
        if stage > 1 {
            desk.agent_answers("ana");
        }
        if stage > 2 {
            let client = ring_client(&mut desk);
            desk.accept(Party::Carrier, client);
        }
        let refused = |reply| matches!(reply, Reply::Refused { .. });
        let (tenant, agent) = ("acme".to_owned(), "ana".to_owned());
        assert!(refused(desk.command(Command::WorkAccept { tenant, agent, work })), "by phone");
        let complete = Command::WorkComplete { work, disposition: None, note: None };
        if stage < 3 {
            assert!(refused(desk.command(complete)), "{stage}");
            assert_eq!(desk.command(Command::WorkCancel { work, reason: "test".into() }), Reply::Done, "{stage}");
        } else {
            assert_eq!(desk.command(complete), Reply::Done);
        }
        desk.seconds(3);
        assert!(views(&mut desk).is_empty() && desk.switch.status().calls == 0, "{stage}");
        assert_eq!(dialled(&desk), usize::from(stage > 1));
        let wanted = if stage < 3 { Outcome::Cancelled } else { Outcome::Completed };
        assert_eq!(on_record(&desk).outcome, Some(wanted), "{stage}");
        if stage > 0 {
            assert_eq!(desk.agent("ana"), AgentStatus::Ready, "{stage}");
        }
        over(desk);
    }
}

#[test]
fn an_operator_who_hangs_up_the_agents_call_puts_the_wish_off() {
    let mut desk = desk();
    added(add(&mut desk, NUMBER, None));
    sign(&mut desk, "ana", true);
    let Reply::Calls { calls } = desk.query(Query::Calls) else { panic!("the calls") };
    assert_eq!(desk.command(Command::Hangup { call: calls[0].call_id }), Reply::Done);
    desk.seconds(3);
    let view = wish(&mut desk);
    assert_eq!((view.state, view.callback.map(|callback| callback.tries)), (WorkState::Scheduled, Some(0)));
    desk.seconds(20);
    desk.agent_answers("ana");
    assert_eq!(dialled(&desk), 1);
    over(desk);
}

#[test]
fn a_wish_outwaits_the_patience_of_its_queue_and_is_no_ones_after_a_stop() {
    let mut desk = desk();
    added(add(&mut desk, NUMBER, None));
    desk.seconds(900);
    assert_eq!(wish(&mut desk).state, WorkState::Waiting, "callers overflow after 300 s");
    desk.command(Command::Stop);
    desk.seconds(1);
    sign(&mut desk, "ana", true);
    desk.seconds(1);
    assert!(desk.rings(Party::Phones, "ana").is_none(), "nobody is rung while it stops");
    desk.restart(2);
    desk.seconds(1);
    desk.agent_answers("ana");
    assert_eq!(dialled(&desk), 1);
}

#[test]
fn wishes_and_callers_are_served_in_turn() {
    let mut desk = desk();
    asks(&mut desk, 30, '1');
    // Another caller came later and waits on the line.
    desk.call(Party::Carrier, "5550002", "700", Some(description(20_002, sdp::Direction::SendRecv)));
    desk.seconds(10);
    sign(&mut desk, "ana", true);
    assert_eq!(wish(&mut desk).state, WorkState::Offered, "who came first is first");
    let mut desk = self::desk();
    desk.call(Party::Carrier, "5550002", "700", Some(description(20_002, sdp::Direction::SendRecv)));
    desk.seconds(10);
    asks(&mut desk, 30, '1');
    sign(&mut desk, "ana", true);
    assert_eq!(wish(&mut desk).state, WorkState::Waiting, "and nobody overtakes");
}

/// Callers who come one by one, some of whom ask to be called back or give up, and one agent: whoever is left is served in the
/// order in which they came.
#[test]
fn nobody_is_overtaken_by_or_overtakes_who_is_called_back() {
    for seed in crate::seeds(&[1, 2, 3, 4]) {
        println!("seed {seed}: SEED={seed} cargo test --test sim overtake repeats it");
        let mut dice = Dice::new(seed);
        let mut desk = desk();
        let port = |n: usize| 20_000 + 2 * n as u16;
        let mut callers: Vec<(usize, SessionId)> = vec![];
        let mut left: Vec<usize> = vec![];
        let mut wished = 0;
        for n in 0..10 {
            let body = description(port(n), sdp::Direction::SendRecv);
            callers.push((n, desk.call(Party::Carrier, &format!("555000{n}"), "700", Some(body))));
            desk.pass(dice.between(1.0, 9.0));
            let who = (dice.next() % callers.len() as u64) as usize;
            match dice.next() % 3 {
                0 => {
                    let (n, session) = callers.remove(who);
                    let port = desk.port_to(port(n));
                    desk.media_event(MediaEvent::Digit { port, digit: '1', source: DigitSource::Event });
                    desk.seconds(1);
                    desk.hangup(Party::Carrier, session);
                    left.push(n);
                    wished += 1;
                }
                1 if callers.len() > 2 => desk.hangup(Party::Carrier, callers.remove(who).1),
                _ => {}
            }
        }
        left.extend(callers.iter().map(|(n, _)| *n));
        left.sort_unstable();
        sign(&mut desk, "ana", true);
        let mut served = vec![];
        while let Some(ana) = desk.rings(Party::Phones, "ana") {
            let from = header(invite_to(&desk, Party::Phones, "ana"), "From:").to_owned();
            let number = from.split(['@', ';']).next().unwrap_or_default();
            let n = number.chars().next_back().and_then(|digit| digit.to_digit(10)).expect("a digit") as usize;
            served.push(n);
            desk.accept(Party::Phones, ana);
            if let Some(client) = desk.rings(Party::Carrier, &format!("8555000{n}")) {
                desk.accept(Party::Carrier, client);
                wished -= 1;
            }
            desk.seconds(1);
            desk.hangup(Party::Phones, ana);
            desk.seconds(2);
        }
        assert_eq!((served, wished), (left, 0), "seed {seed}");
        over(desk);
    }
}

#[test]
fn who_was_promised_a_call_waits_until_there_is_somebody_again() {
    let mut desk = desk();
    asks(&mut desk, 5, '1');
    let whole = provision(&provisioning());
    let mut nobody = whole.clone();
    nobody.agent.clear();
    desk.command(Command::Provision { provision: Box::new(nobody) });
    desk.seconds(30);
    assert_eq!(wish(&mut desk).state, WorkState::Waiting, "nobody could take it, and it stays");
    desk.command(Command::Provision { provision: Box::new(whole) });
    sign(&mut desk, "ana", true);
    desk.seconds(1);
    assert_eq!(wish(&mut desk).state, WorkState::Offered);
}

#[test]
fn who_could_not_be_dialled_has_not_been_tried() {
    let mut desk = desk();
    asks(&mut desk, 5, '1');
    let whole = provision(&provisioning());
    let mut out = whole.clone();
    out.trunk.iter_mut().for_each(|trunk| trunk.out_of_service = true);
    desk.command(Command::Provision { provision: Box::new(out) });
    sign(&mut desk, "ana", true);
    // More often than the rule of two tries would have it.
    for turn in 0..4 {
        desk.agent_answers("ana");
        desk.seconds(5);
        let view = wish(&mut desk);
        let tries = view.callback.map(|callback| callback.tries);
        assert_eq!((view.state, tries), (WorkState::Scheduled, Some(0)), "{turn}: {:?}", on_record(&desk).events);
        desk.seconds(57);
    }
    assert_eq!(dialled(&desk), 0);
    // As soon as a trunk takes the call it counts.
    desk.command(Command::Provision { provision: Box::new(whole) });
    desk.agent_answers("ana");
    desk.seconds(1);
    assert_eq!((dialled(&desk), wish(&mut desk).callback.map(|callback| callback.tries)), (1, Some(1)));
}

#[test]
fn a_caller_is_told_once_its_wish_is_durable() {
    let mut desk = desk();
    let client = desk.client("700");
    desk.seconds(5);
    desk.disk_refuses(true);
    key(&mut desk, '1');
    desk.seconds(1);
    assert_eq!((heard(&desk, "acme/taken"), views(&mut desk).len()), (0, 1));
    desk.disk_refuses(false);
    desk.seconds(1);
    assert_eq!(heard(&desk, "acme/taken"), 1);
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn another_agreed_time_takes_the_place_of_the_first() {
    let mut desk = desk();
    asks(&mut desk, 5, '1');
    let first = wish(&mut desk).id;
    // The same number and queue, in half an hour.
    asks(&mut desk, 5, '2');
    let view = wish(&mut desk);
    assert_eq!((view.id, view.state, heard(&desk, "acme/taken")), (first, WorkState::Scheduled, 2));
    assert!(events(&on_record(&desk)).contains(&"agreed"));
    sign(&mut desk, "ana", true);
    desk.seconds(29 * 60);
    assert!(desk.rings(Party::Phones, "ana").is_none());
    desk.seconds(70);
    desk.agent_answers("ana");
    assert_eq!(dialled(&desk), 1);
    over(desk);
}

#[test]
fn what_is_agreed_on_for_later_outlasts_a_call_before_it() {
    let mut desk = desk();
    asks(&mut desk, 5, '2');
    sign(&mut desk, "ana", true);
    let client = desk.client("700");
    desk.seconds(1);
    desk.agent_answers("ana");
    assert_eq!(desk.state(), "talking acme/ana");
    desk.hangup(Party::Carrier, client);
    desk.seconds(3);
    assert_eq!(wish(&mut desk).state, WorkState::Scheduled);
    over(desk);
}

#[test]
fn from_one_number_so_many_call_backs_are_asked_for_and_no_more() {
    let mut desk = desk();
    for digit in '0'..='9' {
        desk.seconds(1);
        let client = desk.client("701");
        desk.seconds(1);
        format!("8555000{digit}").chars().for_each(|digit| key(&mut desk, digit));
        desk.seconds(1);
        desk.hangup(Party::Carrier, client);
    }
    assert_eq!((views(&mut desk).len(), heard(&desk, "acme/taken"), heard(&desk, "acme/full")), (10, 10, 0));
    let client = desk.client("701");
    desk.seconds(1);
    "85550010".chars().for_each(|digit| key(&mut desk, digit));
    desk.seconds(1);
    assert_eq!((views(&mut desk).len(), heard(&desk, "acme/full")), (10, 1));
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn a_number_that_has_become_ours_is_not_dialled() {
    for accepted in [false, true] {
        let mut desk = desk();
        asks(&mut desk, 5, '1');
        let mut ours = provision(&provisioning());
        let number = ours.number.iter().find(|number| number.number == "700").expect("provisioned").clone();
        ours.number.push(Number { number: NUMBER.into(), ..number });
        if accepted {
            // The try is not on record yet.
            sign(&mut desk, "ana", true);
            desk.disk_refuses(true);
            desk.agent_answers("ana");
        }
        desk.command(Command::Provision { provision: Box::new(ours) });
        desk.disk_refuses(false);
        if !accepted {
            sign(&mut desk, "ana", true);
        }
        desk.seconds(2);
        assert_eq!(dialled(&desk), 0, "{accepted}");
        let work = on_record(&desk);
        assert_eq!(work.outcome, Some(Outcome::Unreached), "{accepted}: {:?}", work.events);
        over(desk);
    }
}
