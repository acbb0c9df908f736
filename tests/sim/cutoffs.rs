//! Callers whose agent is lost in the middle of the conversation: back to their queue, at their place, and to the next agent.

use cordboard::base::{Cause, Medium, WorkItemId};
use cordboard::core::contact::WorkState;
use cordboard::core::control::{Command, Query, Reply, WorkSpec};
use cordboard::core::journal::AgentStatus;
use cordboard::core::tenant::Provision;
use cordboard::core::tenant::provision::{Agent, Queue};
use cordboard::proto::cas::em_wink;
use cordboard::proto::sdp;
use cordboard::proto::sip::{Event, SessionId};

use crate::desk::{Desk, Party, Sound, description};
use crate::sites::{EXTENSION, ana_on_circuits, berlin, cut, legs, talks_to_ana};

const BENS: &str = "84712";

/// Ana's SIP phone is at Berlin, and Ben is behind its switch, by a trunk of its own.
fn ana_by_phone() -> Desk {
    berlin(|p| {
        p.site[0].trunks.truncate(1);
        let contact = Some("sip:ana@127.0.0.3:5080".into());
        p.agent[0] = Agent { contact, extension: None, phone: None, ..p.agent[0].clone() };
    })
}

/// Ana is behind the switch, whose trunk is asked each 10 s whether it lives; Ben has a SIP phone elsewhere.
fn ana_behind_a_switch() -> Desk {
    berlin(|p| {
        p.site[0].trunks.truncate(1);
        p.agent[0].phone = None;
        let contact = Some("sip:ben@127.0.0.3:5080".into());
        p.agent[1] = Agent { site: None, extension: None, contact, ..p.agent[1].clone() };
        p.trunk.iter_mut().find(|trunk| trunk.name == "pbx").expect("provisioned").peer[0].options_s = 10;
    })
}

/// Ana answers on the circuit by which she is rung.
fn ana_answers(desk: &mut Desk) {
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(1);
    talks_to_ana(desk);
}

/// Ana answers, is cut off, and her link is back.
fn is_cut_off_again(desk: &mut Desk) {
    desk.seconds(10);
    ana_answers(desk);
    cut(desk, true);
    desk.seconds(3);
    cut(desk, false);
}

/// A caller talks to Ana over a circuit.
fn talk(desk: &mut Desk) -> SessionId {
    let client = desk.client("100");
    desk.seconds(8);
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(1);
    talks_to_ana(desk);
    client
}

fn sign_out(desk: &mut Desk, agent: &str) {
    desk.command(Command::SignOut { tenant: "acme".into(), agent: agent.into() });
}

fn noted(desk: &Desk, what: &str) -> usize {
    desk.record().events.iter().filter(|event| event.what == what).count()
}

/// Until the caller waits again, no longer than so many seconds.
fn waits_within(desk: &mut Desk, seconds: u64) {
    let mut passed = 0;
    while desk.state().starts_with("talking acme/ana") {
        desk.seconds(1);
        passed += 1;
        assert!(passed <= seconds, "within {seconds} s");
    }
    println!("given up after {passed} s");
}

/// The caller met Ana and, after the cut, Ben, in one call.
fn met_both(desk: &mut Desk, client: SessionId, first: (&str, Cause), second: &str) {
    assert_eq!(desk.state(), "talking acme/ben");
    desk.seconds(5);
    desk.hangup(Party::Carrier, client);
    desk.seconds(40);
    let ended = [(first.0.to_owned(), Some(first.1)), (second.to_owned(), Some(Cause::Normal))];
    assert_eq!(legs(desk), ended);
    let record = desk.record();
    assert_eq!((record.agent.as_deref(), record.cause), (Some("ben"), Some(Cause::Normal)));
    for (what, times) in [("enqueued", 1), ("offered", 2), ("bridged", 2), ("cut-off", 1)] {
        assert_eq!(noted(desk, what), times, "{what}: {:?}", desk.record().events);
    }
    let second = format!("acme/{}-2", record.call_id);
    assert!(desk.recordings.contains(&second), "each conversation has a recording of its own: {:?}", desk.recordings);
    let status = desk.switch.status();
    assert_eq!((status.double_offers, status.cut_offs), (0, 1));
}

#[test]
fn a_span_that_fails_brings_the_caller_to_the_next_agent_at_once() {
    let mut desk = ana_on_circuits();
    let mut p = desk.disk.provision.clone();
    p.agent[0].wrap_up_s = 20;
    desk.command(Command::Provision { provision: Box::new(p) });
    let client = talk(&mut desk);
    cut(&mut desk, true);
    assert_eq!(
        (desk.state(), desk.agent("ana")),
        ("waiting sales".to_owned(), AgentStatus::Ready),
        "nothing to wrap up"
    );
    assert!(matches!(desk.client_port().sound, Sound::Music(_)), "{:?}", desk.client_port());
    let Reply::Works { works, .. } =
        desk.query(Query::Works { tenant: None, queue: None, state: None, after: None, agent: None })
    else {
        panic!("works")
    };
    let [view] = &works[..] else { panic!("one item: {works:?}") };
    assert_eq!((view.state, view.medium, view.agent.as_deref()), (WorkState::Offered, Medium::Voice, Some("ben")));
    let Reply::Work(work) = desk.query(Query::Work { work: view.id }) else { panic!("the item") };
    let told = work.events.iter().find(|event| event.what == "cut-off").map(|event| event.detail.as_str());
    assert_eq!(told, Some("acme/ana: network-out-of-order"));
    desk.agent_answers("ben");
    cut(&mut desk, false);
    desk.seconds(3);
    assert_eq!(desk.agent("ana"), AgentStatus::Ready);
    assert!(desk.port_on(1).is_none(), "she has nothing that another has");
    met_both(&mut desk, client, ("central-office", Cause::NetworkOutOfOrder), "");
}

#[test]
fn a_phone_that_neither_answers_nor_is_heard_is_given_up() {
    let mut desk = ana_by_phone();
    let client = desk.client("100");
    desk.seconds(1);
    desk.agent_answers("ana");
    desk.seconds(13);
    talks_to_ana(&mut desk);
    desk.dead.insert(Party::Phones);
    waits_within(&mut desk, 20);
    let ben = desk.rings(Party::Backup, BENS).expect("ben is rung");
    desk.accept(Party::Backup, ben);
    // Back before what we tried to tell the phone is given up: it hears it, and is nobody's any more.
    desk.dead.clear();
    desk.seconds(11);
    assert!(desk.heard(Party::Phones, |event| matches!(event, Event::Ended { .. })), "the phone is told");
    assert_eq!(desk.agent("ana"), AgentStatus::Ready, "without signing in");
    let second = desk.client("100");
    desk.seconds(1);
    desk.agent_answers("ana");
    desk.hangup(Party::Carrier, second);
    desk.seconds(1);
    let record = desk.cdrs.remove(0);
    assert_eq!(record.agent.as_deref(), Some("ana"));
    met_both(&mut desk, client, ("", Cause::NetworkOutOfOrder), "pbx");
}

#[test]
fn who_is_heard_is_not_given_up() {
    let mut desk = ana_by_phone();
    desk.heard_on = true;
    desk.client("100");
    desk.seconds(1);
    desk.agent_answers("ana");
    desk.dead.insert(Party::Phones);
    desk.seconds(100);
    talks_to_ana(&mut desk);
    desk.dead.clear();
    desk.seconds(20);
    talks_to_ana(&mut desk);
}

#[test]
fn a_switch_that_falls_silent_loses_the_conversations_over_it() {
    let mut desk = ana_behind_a_switch();
    let client = desk.client("100");
    desk.seconds(1);
    let ana = desk.rings(Party::Backup, EXTENSION).expect("ana is rung");
    desk.accept(Party::Backup, ana);
    desk.seconds(15);
    desk.dead.insert(Party::Backup);
    waits_within(&mut desk, 22);
    desk.agent_answers("ben");
    met_both(&mut desk, client, ("pbx", Cause::NetworkOutOfOrder), "");
}

#[test]
fn a_session_that_is_no_more_brings_the_caller_back_without_any_site() {
    let mut desk = ana_behind_a_switch();
    let client = desk.client("100");
    desk.seconds(1);
    let ana = desk.rings(Party::Backup, EXTENSION).expect("ana is rung");
    desk.accept(Party::Backup, ana);
    desk.forget(Party::Backup);
    // The switch was started anew: it knows of no call, and says so when it is asked.
    let port = desk.port_to(30_000 + (ana.0 % 1_000) as u16);
    desk.media_event(cordboard::core::media::MediaEvent::Silent { port });
    desk.seconds(1);
    // Ana could be rung at once, but others are asked first.
    desk.agent_answers("ben");
    met_both(&mut desk, client, ("pbx", Cause::TemporaryFailure), "");
}

#[test]
fn who_hangs_up_ends_the_call() {
    let mut desk = ana_behind_a_switch();
    desk.client("100");
    desk.seconds(1);
    let ana = desk.rings(Party::Backup, EXTENSION).expect("ana is rung");
    desk.accept(Party::Backup, ana);
    desk.hangup(Party::Backup, ana);
    desk.seconds(3);
    assert_eq!((desk.record().cause, noted(&desk, "cut-off")), (Some(Cause::Normal), 0));
}

#[test]
fn a_caller_from_the_same_span_is_gone_with_it() {
    let mut desk = ana_on_circuits();
    desk.seize(3, "100");
    desk.seconds(10);
    ana_answers(&mut desk);
    cut(&mut desk, true);
    assert!(desk.rings(Party::Phones, "ben").is_none(), "for nobody");
    desk.seconds(3);
    assert_eq!((desk.record().cause, noted(&desk, "cut-off")), (Some(Cause::NetworkOutOfOrder), 0));
}

#[test]
fn a_caller_from_the_switch_that_fell_silent_is_left_alone() {
    let mut desk = ana_behind_a_switch();
    desk.call(Party::Backup, "84747", "100", Some(description(20_000, sdp::Direction::SendRecv)));
    desk.seconds(1);
    let ana = desk.rings(Party::Backup, EXTENSION).expect("ana is rung");
    desk.accept(Party::Backup, ana);
    desk.dead.insert(Party::Backup);
    desk.seconds(60);
    talks_to_ana(&mut desk);
    assert!(desk.rings(Party::Phones, "ben").is_none(), "for nobody");
}

#[test]
fn a_caller_who_leaves_meanwhile_ends_the_item() {
    let mut desk = ana_on_circuits();
    sign_out(&mut desk, "ben");
    let client = talk(&mut desk);
    cut(&mut desk, true);
    desk.seconds(5);
    assert_eq!(desk.state(), "waiting sales");
    desk.hangup(Party::Carrier, client);
    cut(&mut desk, false);
    desk.seconds(8);
    assert!(desk.port_on(1).is_none(), "nobody waits");
    let record = desk.record();
    assert_eq!((record.cause, record.agent.as_deref()), (Some(Cause::Abandoned), Some("ana")));
    assert!(record.answered_at.is_some() && record.queued_ms >= 5_000, "{record:?}");
}

#[test]
fn who_was_cut_off_comes_before_those_who_came_since() {
    let mut desk = ana_on_circuits();
    sign_out(&mut desk, "ben");
    let first = talk(&mut desk);
    // Longer than a caller waits before it overflows.
    desk.seconds(100);
    let second = desk.call(Party::Carrier, "5550002", "100", Some(description(20_002, sdp::Direction::SendRecv)));
    desk.seconds(20);
    cut(&mut desk, true);
    desk.seconds(20);
    cut(&mut desk, false);
    desk.seconds(8);
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(1);
    let Reply::Calls { calls } = desk.query(Query::Calls) else { panic!("calls") };
    let states: Vec<&str> = calls.iter().map(|call| call.state.as_str()).collect();
    assert_eq!(states, ["talking acme/ana", "waiting sales"]);
    desk.hangup(Party::Carrier, first);
    desk.hangup(Party::Carrier, second);
}

#[test]
fn who_is_cut_off_again_and_again_overflows() {
    let mut desk = ana_on_circuits();
    sign_out(&mut desk, "ben");
    desk.client("100");
    for _ in 0..4 {
        is_cut_off_again(&mut desk);
    }
    desk.seconds(3);
    assert_eq!((noted(&desk, "cut-off"), noted(&desk, "overflow")), (4, 1));
    assert_eq!(desk.agent("ana"), AgentStatus::Ready);
}

#[test]
fn who_is_cut_off_too_often_escalates_and_its_record_says_where_to() {
    let mut desk = ana_on_circuits();
    provision_anew(&mut desk, |p| {
        let help = Queue { name: "help".into(), ..p.queue[0].clone() };
        p.queue[0].escalate_to = Some(help.name.clone());
        p.queue[0].escalate_after_s = 600;
        p.queue.push(help);
    });
    sign_out(&mut desk, "ben");
    let client = desk.client("100");
    for _ in 0..4 {
        is_cut_off_again(&mut desk);
    }
    desk.seconds(10);
    ana_answers(&mut desk);
    desk.hangup(Party::Carrier, client);
    desk.seconds(5);
    let events: Vec<_> = desk.record().events.iter().map(|e| (e.what.as_str(), e.detail.as_str())).collect();
    let last = events.iter().rposition(|event| event.0 == "cut-off").expect("cut off");
    assert_eq!((noted(&desk, "cut-off"), events[last + 1]), (4, ("escalated", "help")));
    assert_eq!(events[last + 2].0, "offered");
}

/// Items offered, answered, answered within target and abandoned in the queue `sales`.
fn figures(desk: &mut Desk) -> (u64, u64, u64, u64) {
    let Reply::Queues { queues, .. } = desk.query(Query::Queues) else { panic!("queues") };
    let sales = queues.into_iter().find(|queue| queue.name == "sales").expect("provisioned");
    (sales.offered, sales.answered, sales.in_target, sales.abandoned)
}

#[test]
fn who_comes_back_is_not_counted_again() {
    let mut desk = ana_on_circuits();
    sign_out(&mut desk, "ben");
    let client = desk.client("100");
    for times in 0..3 {
        desk.seconds(10);
        desk.far(1, em_wink::Input::Answer);
        desk.seconds(1);
        talks_to_ana(&mut desk);
        assert_eq!(figures(&mut desk), (1, 1, 1, 0), "cut off {times} times");
        cut(&mut desk, true);
        desk.seconds(1);
        assert_eq!((desk.state(), figures(&mut desk)), ("waiting sales".to_owned(), (1, 1, 1, 0)));
        cut(&mut desk, false);
    }
    desk.hangup(Party::Carrier, client);
    desk.seconds(2);
    assert_eq!(figures(&mut desk), (1, 1, 1, 0), "and has abandoned nothing");
}

#[test]
fn a_client_who_was_called_back_waits_like_a_caller() {
    let mut desk = ana_on_circuits();
    let mut p = desk.disk.provision.clone();
    p.queue.push(cordboard::core::tenant::provision::Queue {
        name: "help".into(),
        callback: true,
        ..p.queue[0].clone()
    });
    desk.command(Command::Provision { provision: Box::new(p) });
    crate::callbacks::add(&mut desk, crate::callbacks::NUMBER, None);
    desk.seconds(8);
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(2);
    let client = desk.rings(Party::Carrier, crate::callbacks::NUMBER).expect("the client is called");
    desk.accept(Party::Carrier, client);
    desk.seconds(1);
    assert_eq!(desk.state(), "talking acme/ana");
    cut(&mut desk, true);
    assert_eq!(desk.state(), "waiting help");
    assert!(crate::callbacks::views(&mut desk).is_empty(), "it was called back");
    desk.agent_answers("ben");
    assert_eq!(desk.state(), "talking acme/ben");
    desk.hangup(Party::Carrier, client);
    desk.seconds(5);
    assert_eq!((desk.record().agent.as_deref(), noted(&desk, "cut-off")), (Some("ben"), 1));
    assert_eq!(desk.rings(Party::Carrier, crate::callbacks::NUMBER), None, "never again");
    // Without a flow there is nothing to go on to.
    sign_out(&mut desk, "ben");
    crate::callbacks::add(&mut desk, crate::callbacks::NUMBER, None);
    cut(&mut desk, false);
    desk.seconds(10);
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(2);
    let client = desk.rings(Party::Carrier, crate::callbacks::NUMBER).expect("the client is called");
    desk.accept(Party::Carrier, client);
    desk.seconds(1);
    cut(&mut desk, true);
    desk.seconds(70);
    assert_eq!(desk.cdrs.len(), 2, "it has overflowed, and is over");
}

/// A chat that waits.
fn chat(desk: &mut Desk) -> WorkItemId {
    let spec = WorkSpec {
        tenant: "acme".into(),
        medium: Medium::Chat,
        queue: "sales".into(),
        client: None,
        subject: None,
        attributes: Default::default(),
        modifiers: vec![],
        callback: None,
        due_at: None,
    };
    let Reply::Added { work, .. } = desk.command(Command::WorkAdd { item: Box::new(spec) }) else { panic!("a chat") };
    work
}

fn agent_of(desk: &mut Desk, work: WorkItemId) -> (WorkState, String) {
    match desk.query(Query::Work { work }) {
        Reply::Work(work) => (work.state, work.agent.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

fn provision_anew(desk: &mut Desk, change: impl FnOnce(&mut Provision)) {
    let mut provision = Box::new(desk.disk.provision.clone());
    change(&mut provision);
    assert_eq!(desk.command(Command::Provision { provision }), Reply::Done);
}

#[test]
fn busying_out_cuts_nobody_off_and_graces_may_change_meanwhile() {
    let mut desk = ana_on_circuits();
    sign_out(&mut desk, "ben");
    let work = chat(&mut desk);
    let accept = Command::WorkAccept { tenant: "acme".into(), agent: "ana".into(), work };
    assert_eq!(desk.command(accept), Reply::Done);
    let ana = (WorkState::Handled, "ana".to_owned());
    let busied_out = |p: &mut Provision, out| p.trunk.iter_mut().for_each(|trunk| trunk.out_of_service = out);
    provision_anew(&mut desk, |p| busied_out(p, true));
    desk.seconds(100);
    assert_eq!(agent_of(&mut desk, work), ana, "no link was lost");
    provision_anew(&mut desk, |p| busied_out(p, false));
    cut(&mut desk, true);
    desk.seconds(10);
    provision_anew(&mut desk, |p| p.site[0].chat_grace_s = 0);
    desk.seconds(100);
    assert_eq!(agent_of(&mut desk, work), ana, "for good");
    provision_anew(&mut desk, |p| p.site[0].chat_grace_s = 120);
    desk.seconds(5);
    assert_eq!(agent_of(&mut desk, work), ana);
    desk.seconds(10);
    assert_eq!(agent_of(&mut desk, work).0, WorkState::Waiting, "two minutes after the cut");
}

#[test]
fn a_call_that_rings_when_its_trunk_is_busied_out_rings_on() {
    let mut desk = ana_on_circuits();
    desk.client("100");
    desk.seconds(2);
    provision_anew(&mut desk, |p| p.trunk.iter_mut().for_each(|trunk| trunk.out_of_service = true));
    desk.seconds(6);
    ana_answers(&mut desk);
}

#[test]
fn a_chat_goes_to_another_agent_when_the_link_stays_lost() {
    let mut desk = ana_on_circuits();
    provision_anew(&mut desk, |p| p.site[0].chat_grace_s = 20);
    sign_out(&mut desk, "ben");
    let work = chat(&mut desk);
    let accept = |agent: &str| Command::WorkAccept { tenant: "acme".into(), agent: agent.into(), work };
    assert_eq!(desk.command(accept("ana")), Reply::Done);
    desk.command(Command::SignIn { tenant: "acme".into(), agent: "ben".into() });
    cut(&mut desk, true);
    desk.seconds(15);
    cut(&mut desk, false);
    desk.seconds(5);
    cut(&mut desk, true);
    // Provisioning anew makes it neither longer nor shorter.
    desk.seconds(10);
    provision_anew(&mut desk, |_| {});
    desk.seconds(9);
    assert_eq!(agent_of(&mut desk, work), (WorkState::Handled, "ana".into()));
    desk.seconds(2);
    assert_eq!(agent_of(&mut desk, work), (WorkState::Offered, "ben".into()));
    assert_eq!(desk.command(accept("ben")), Reply::Done);
    cut(&mut desk, false);
    desk.seconds(5);
    assert_eq!(
        (desk.agent("ana"), agent_of(&mut desk, work)),
        (AgentStatus::Ready, (WorkState::Handled, "ben".into()))
    );
}
