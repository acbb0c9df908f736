//! What a caller's contact wants of agents: by the number dialled, and by whom the caller met last.

use cordboard::core::control::Command;
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
    over(desk);
}
