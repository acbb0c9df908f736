//! What a caller's contact wants of agents: by the number dialled, and by whom the caller met last.

use cordboard::core::control::{Command, Query, Reply};
use cordboard::core::journal::AgentStatus;
use cordboard::proto::sdp;

use crate::desk::{Desk, PROVISION, Party, description};
use crate::provision;
use crate::scripts::over;

/// The desk with more said of ana, ben and the queue; ben is signed in, too.
fn desk(ana: &str, ben: &str, queue: &str, more: &str) -> Desk {
    let text = PROVISION
        .replace("skills = { sales = 0.9 }", &format!("skills = {{ sales = 0.9 }}\n{ana}"))
        .replace("skills = { sales = 0.5 }", &format!("skills = {{ sales = 0.5 }}\nsigned_in = true\n{ben}"))
        .replace("skills = { sales = 0.3 }", &format!("skills = {{ sales = 0.3 }}\n{queue}"));
    Desk::new(1, provision(&format!("{text}\n{more}")))
}

/// A client with this number calls, is answered by the agent, and the agent hangs up.
fn meets(desk: &mut Desk, number: &str, agent: &str) {
    desk.call(Party::Carrier, number, "100", Some(description(20_000, sdp::Direction::SendRecv)));
    let session = desk.agent_answers(agent);
    desk.seconds(5);
    desk.hangup(Party::Phones, session);
    desk.seconds(1);
}

#[test]
fn the_number_dialled_is_an_attribute_that_agents_can_have() {
    let attribute = "[[attribute]]\ntenant = \"acme\"\nname = \"dnis\"\nkind = \"symbol\"";
    let own = "modifier = [{ attribute = \"dnis\", mode = \"required\" }]";
    let mut desk = desk("attributes = { dnis = \"200\" }", "attributes = { dnis = \"100\" }", own, attribute);
    // Ana is better, but not for this number.
    meets(&mut desk, "5550001", "ben");
    let offered = desk.record().events.iter().find(|event| event.what == "offered").map(|event| event.detail.clone());
    assert!(
        offered.as_ref().is_some_and(|why| why.starts_with("acme/ben: score ") && why.contains("match")),
        "{offered:?}"
    );
    assert_eq!(desk.agent("ana"), AgentStatus::Ready);
    over(desk);
}

#[test]
fn who_met_an_agent_last_meets_the_same_again() {
    let mut desk = desk("", "", "sticky = { importance = 100, fade_days = 30 }", "");
    let order = |agent: &str, pause| {
        let (tenant, agent) = ("acme".into(), agent.into());
        if pause { Command::Pause { tenant, agent, reason: "tea".into() } } else { Command::Resume { tenant, agent } }
    };
    desk.command(order("ana", true));
    meets(&mut desk, "5550001", "ben");
    desk.command(order("ana", false));
    // Ana is better, but ben is known.
    meets(&mut desk, "5550001", "ben");
    meets(&mut desk, "5550002", "ana");
    // The process is killed: what was known of clients is still there.
    desk.restart(7);
    desk.seconds(60);
    meets(&mut desk, "5550001", "ben");
    meets(&mut desk, "5550002", "ana");
    over(desk);
}

/// A second queue, which everybody serves, and a skill that nobody has.
const SECOND: &str = "[[skill]]\ntenant = \"acme\"\nname = \"rare\"\n[[queue]]\ntenant = \"acme\"\nname = \"any\"\noverflow_after_s = 60";

fn events(desk: &Desk) -> Vec<&str> {
    desk.record().events.iter().map(|event| event.what.as_str()).collect()
}

#[test]
fn a_call_that_has_waited_too_long_goes_to_another_queue() {
    let escalates = "escalate_after_s = 10\nescalate_to = \"any\"";
    let mut desk = desk("", "", escalates, SECOND);
    desk.command(Command::Pause { tenant: "acme".into(), agent: "ana".into(), reason: "tea".into() });
    desk.command(Command::Pause { tenant: "acme".into(), agent: "ben".into(), reason: "tea".into() });
    desk.client("100");
    desk.seconds(11);
    let Reply::Queues { queues } = desk.query(Query::Queues) else { panic!("the queues") };
    let waiting = |name| queues.iter().find(|queue| queue.name == name).map(|queue| queue.waiting);
    assert_eq!((waiting("sales"), waiting("any")), (Some(0), Some(1)));
    assert!(desk.state().contains("any"), "{}", desk.state());
    desk.seconds(700);
    assert!(events(&desk).contains(&"escalated"), "{:?}", events(&desk));
}

#[test]
fn a_call_that_was_to_go_to_another_queue_while_an_agent_rang_goes_when_nobody_answers() {
    let escalates = "escalate_after_s = 10\nescalate_to = \"any\"";
    let mut desk = desk("", "", escalates, SECOND);
    let waiting = |desk: &mut Desk, name: &str| {
        let Reply::Queues { queues } = desk.query(Query::Queues) else { panic!("the queues") };
        queues.iter().find(|queue| queue.name == name).map(|queue| queue.waiting)
    };
    // Ana's phone rings on beyond the ten seconds, and so would ben's.
    desk.client("100");
    desk.seconds(12);
    assert_eq!((waiting(&mut desk, "sales"), desk.agent("ana")), (Some(1), AgentStatus::Busy));
    desk.seconds(9);
    assert_eq!(desk.agent("ana"), AgentStatus::NotReady);
    assert_eq!((waiting(&mut desk, "sales"), waiting(&mut desk, "any")), (Some(0), Some(1)));
    // Ben is rung for the queue that it is in now, and for no other.
    assert_eq!(desk.agent("ben"), AgentStatus::Busy);
    desk.seconds(700);
    let events = events(&desk);
    let at = |what: &str| events.iter().position(|event| *event == what);
    assert!(at("offer-withdrawn") < at("escalated"), "{events:?}");
    let before = events.iter().take_while(|event| **event != "escalated").filter(|event| **event == "offered");
    assert_eq!(before.count(), 1, "{events:?}");
}

#[test]
fn a_call_that_nobody_could_take_goes_on_in_its_flow_at_once() {
    let rare = "modifier = [{ attribute = \"rare\", mode = \"required\" }]";
    let mut desk = desk("", "", rare, SECOND);
    desk.client("100");
    desk.seconds(1);
    let Reply::Calls { calls } = desk.query(Query::Calls) else { panic!("the calls") };
    assert!(calls.is_empty(), "the flow hangs up: {calls:?}");
    assert!(events(&desk).contains(&"unservable"), "{:?}", events(&desk));
    over(desk);
}
