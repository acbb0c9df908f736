//! Agents at sites: reached by telephone number, behind the site's own switch, by one way after the other.

use cordboard::base::{Cause, DialString, Medium};
use cordboard::core::contact::WorkState;
use cordboard::core::control::{Command, Query, Reply, SiteView, WorkSpec};
use cordboard::core::journal::{AgentStatus, Direction};
use cordboard::core::tenant::provision::{Agent, Contract, Flow, Number, Refusal, Site, Tenant, Trunk};
use cordboard::core::tenant::{Provision, check};
use cordboard::core::trunk::CardInput;
use cordboard::proto::cas::em_wink;
use cordboard::proto::sip::Event;

use crate::desk::{Desk, PROVISION, Party};
use crate::provision;

pub const EXTENSION: &str = "84711";
pub const PHONE: &str = "85550100";

/// Berlin's own switch is behind `pbx` and the circuits of `central-office`; `carrier` leads to telephones outside. Ana and
/// Ben have no SIP phones.
pub fn berlin(change: impl FnOnce(&mut Provision)) -> Desk {
    let mut p = provision(PROVISION);
    let at = p.trunk.iter().position(|trunk| trunk.name == "carrier").expect("provisioned");
    let peers = std::mem::take(&mut p.trunk[at].peer);
    let carrier = p.trunk[at].clone();
    p.trunk.push(Trunk { name: "pbx".into(), prefix: Vec::new(), peer: peers[1..].to_vec(), ..carrier });
    p.trunk[at].peer = peers[..1].to_vec();
    p.site.push(Site {
        name: "berlin".into(),
        timezone: "Europe/Berlin".into(),
        trunks: vec!["pbx".into(), "central-office".into()],
        extension_strip: 1,
        extension_prefix: "8".into(),
        probe_s: 10,
        chat_grace_s: 30,
        work_grace_s: 900,
    });
    for (agent, extension) in p.agent.iter_mut().zip(["94711", "94712"]) {
        let blank = Agent { user: None, password: None, contact: None, ..agent.clone() };
        *agent = Agent { site: Some("berlin".into()), extension: Some(extension.into()), signed_in: true, ..blank };
    }
    p.agent[0].phone = Some(PHONE.into());
    change(&mut p);
    assert_eq!(check(&p), []);
    Desk::new(1, p)
}

/// Only Ana, with these ways.
fn ana(desk: impl FnOnce(&mut Agent)) -> Desk {
    berlin(|p| {
        p.agent.truncate(1);
        desk(&mut p.agent[0]);
    })
}

fn dialled(digits: &str) -> em_wink::Event {
    em_wink::Event::Address(DialString::new(digits).expect("digits"))
}

pub fn talks_to_ana(desk: &mut Desk) {
    assert_eq!(desk.state(), "talking acme/ana");
    assert_eq!(desk.agent("ana"), AgentStatus::Busy);
}

/// Trunks of the legs to agents in the only record, and why each ended.
pub fn legs(desk: &Desk) -> Vec<(String, Option<Cause>)> {
    let legs = desk.record().legs.iter().filter(|leg| leg.direction == Direction::Outbound);
    legs.map(|leg| (leg.trunk.clone(), leg.cause)).collect()
}

fn refuses(desk: &mut Desk, user: &str, status: u16) {
    let session = desk.rings(Party::Backup, user).expect("it is called");
    desk.with(Party::Backup, |end, now| end.reject(now, session, status, None, None));
    desk.seconds(1);
}

#[test]
fn an_agent_is_called_at_a_telephone_outside_over_a_sip_trunk() {
    let mut desk = ana(|ana| ana.extension = None);
    let client = desk.client("100");
    desk.seconds(1);
    let phone = desk.rings(Party::Carrier, PHONE).expect("the telephone rings");
    desk.accept(Party::Carrier, phone);
    talks_to_ana(&mut desk);
    desk.hangup(Party::Carrier, client);
    desk.seconds(3);
    let leg = &desk.record().legs[1];
    assert_eq!((leg.trunk.as_str(), leg.agent.as_deref()), ("carrier", Some("acme/ana")), "as trunk usage counts it");
    assert_eq!(desk.agent("ana"), AgentStatus::Ready);
}

#[test]
fn an_agent_is_called_at_a_telephone_outside_over_a_circuit() {
    let mut desk = ana(|ana| (ana.extension, ana.phone) = (None, Some("95550100".into())));
    let client = desk.client("100");
    desk.seconds(6);
    assert!(desk.far_heard(1, &dialled("5550100")), "{:?}", desk.far_events);
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(1);
    talks_to_ana(&mut desk);
    desk.hangup(Party::Carrier, client);
    desk.seconds(5);
    assert_eq!(legs(&desk), [("central-office".to_owned(), Some(Cause::Normal))]);
}

#[test]
fn behind_a_switch_one_trunk_after_the_other_is_tried_and_then_the_telephone() {
    let mut desk = ana(|_| {});
    let client = desk.client("100");
    desk.seconds(1);
    refuses(&mut desk, EXTENSION, 503);
    desk.seconds(6);
    assert!(desk.far_heard(1, &dialled(EXTENSION)), "{:?}", desk.far_events);
    // The line is cut before anybody answers there.
    desk.card(CardInput::Span { span: 1, alarm: Some("red") });
    desk.seconds(1);
    let phone = desk.rings(Party::Carrier, PHONE).expect("the telephone rings, within the same offer");
    desk.accept(Party::Carrier, phone);
    talks_to_ana(&mut desk);
    desk.hangup(Party::Carrier, client);
    desk.seconds(3);
    let wanted =
        [("pbx", Cause::TemporaryFailure), ("central-office", Cause::NetworkOutOfOrder), ("carrier", Cause::Normal)];
    assert_eq!(legs(&desk), wanted.map(|(trunk, cause)| (trunk.to_owned(), Some(cause))));
    let offered = desk.record().events.iter().filter(|event| event.what == "offered").count();
    assert_eq!(offered, 1);
}

#[test]
fn a_switch_that_says_nothing_is_given_up_in_time() {
    let mut desk = ana(|_| {});
    desk.dead.insert(Party::Backup);
    desk.client("100");
    desk.seconds(10);
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(1);
    talks_to_ana(&mut desk);
}

#[test]
fn the_cheapest_way_is_the_first() {
    let mut desk = berlin(|p| {
        p.agent.truncate(1);
        for (trunk, cost) in p.trunk.iter_mut().zip(["2", "0.5", "1"]) {
            trunk.cost = cost.parse().expect("a decimal");
        }
    });
    desk.client("100");
    desk.seconds(1);
    let phone = desk.rings(Party::Carrier, PHONE).expect("the telephone costs least");
    desk.with(Party::Carrier, |end, now| end.reject(now, phone, 503, None, None));
    desk.seconds(1);
    refuses(&mut desk, EXTENSION, 480);
    desk.seconds(6);
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(1);
    talks_to_ana(&mut desk);
}

#[test]
fn who_does_not_answer_is_not_rung_another_way() {
    for status in [None, Some(486), Some(603)] {
        let mut desk = ana(|_| {});
        desk.client("100");
        desk.seconds(1);
        match status {
            Some(status) => refuses(&mut desk, EXTENSION, status),
            None => desk.seconds(16),
        }
        assert_eq!(desk.agent("ana"), AgentStatus::NotReady, "{status:?}: {:?}", desk.agents);
        assert!(desk.rings(Party::Carrier, PHONE).is_none(), "{status:?}");
        assert!(desk.port_on(1).is_none(), "{status:?}");
    }
}

#[test]
fn a_trunk_without_a_free_circuit_marks_nobody() {
    let mut desk = berlin(|p| {
        p.site[0].trunks.truncate(1);
        p.agent[0].phone = None;
        p.trunk.last_mut().expect("pbx").calls_max = 1;
    });
    let first = desk.client("100");
    desk.seconds(1);
    let phone = desk.rings(Party::Backup, EXTENSION).expect("ana is rung");
    desk.accept(Party::Backup, phone);
    desk.client("100");
    desk.seconds(5);
    assert!(desk.rings(Party::Backup, "84712").is_none(), "the trunk is full");
    assert_eq!(desk.agent("ben"), AgentStatus::Ready);
    desk.hangup(Party::Carrier, first);
    desk.seconds(1);
    let next = desk.rings(Party::Backup, EXTENSION).or_else(|| desk.rings(Party::Backup, "84712"));
    desk.accept(Party::Backup, next.expect("a circuit is free"));
    assert!(desk.state().starts_with("talking"));
}

#[test]
fn a_client_who_leaves_stops_the_ringing_wherever_it_is() {
    let mut desk = ana(|_| {});
    let client = desk.client("100");
    desk.seconds(1);
    refuses(&mut desk, EXTENSION, 503);
    desk.seconds(2);
    desk.hangup(Party::Carrier, client);
    desk.seconds(5);
    assert!(desk.port_on(1).is_none(), "the circuit is free");
    assert!(desk.rings(Party::Carrier, PHONE).is_none());
    assert_eq!(desk.agent("ana"), AgentStatus::Ready);
    assert_eq!(desk.record().cause, Some(Cause::Abandoned));
}

#[test]
fn an_agent_behind_a_switch_is_dialled_by_name() {
    let mut desk = berlin(|p| {
        p.agent[1] = Agent {
            user: Some("ben".into()),
            password: Some("ben-secret".to_owned().into()),
            contact: Some("sip:ben@127.0.0.3:5080".into()),
            extension: None,
            ..p.agent[1].clone()
        };
    });
    desk.command(Command::SignOut { tenant: "acme".into(), agent: "ben".into() });
    let body = crate::desk::description(20_002, cordboard::proto::sdp::Direction::SendRecv);
    let call = desk.call(Party::Phones, "ben", "ana", Some(body));
    desk.seconds(1);
    let phone = desk.rings(Party::Backup, EXTENSION).expect("ana is rung");
    desk.accept(Party::Backup, phone);
    assert!(desk.heard(Party::Phones, |event| matches!(event, Event::Answered { session, .. } if *session == call)));
}

// ---- links that are lost ----

fn site(desk: &mut Desk) -> SiteView {
    let Reply::Sites { sites } = desk.query(Query::Sites) else { panic!("sites") };
    sites.into_iter().next().expect("berlin")
}

pub fn alarms(desk: &mut Desk) -> Vec<(String, String)> {
    let Reply::Status(status) = desk.query(Query::Status) else { panic!("status") };
    status.alarms.into_iter().map(|alarm| (alarm.name, alarm.subject)).collect()
}

fn site_down() -> (String, String) {
    ("site-down".into(), "berlin".into())
}

/// Ana is behind Berlin's circuits alone, and better than Ben, who has a SIP phone elsewhere.
pub fn ana_on_circuits() -> Desk {
    berlin(|p| {
        p.site[0].trunks.remove(0);
        p.agent[0].phone = None;
        let contact = Some("sip:ben@127.0.0.3:5080".into());
        p.agent[1] = Agent { site: None, extension: None, contact, ..p.agent[1].clone() };
    })
}

pub fn cut(desk: &mut Desk, cut: bool) {
    desk.card(CardInput::Span { span: 1, alarm: cut.then_some("red") });
}

#[test]
fn a_link_lost_while_ringing_gives_the_offer_to_another_at_once() {
    let mut desk = ana_on_circuits();
    desk.client("100");
    desk.seconds(2);
    assert!(desk.port_on(1).is_some(), "ana is rung");
    cut(&mut desk, true);
    let ben = desk.rings(Party::Phones, "ben").expect("ben is rung in the same moment");
    assert_eq!((desk.agent("ana"), alarms(&mut desk).contains(&site_down())), (AgentStatus::Ready, true));
    let view = site(&mut desk);
    assert_eq!((view.up, view.agents, view.unreachable), (Some(false), 1, 1));
    assert_eq!(view.ways, ["trunk central-office shut"]);
    desk.accept(Party::Phones, ben);
    assert_eq!(desk.state(), "talking acme/ben");
    // Back without signing in anew.
    cut(&mut desk, false);
    desk.seconds(5);
    assert!(!alarms(&mut desk).contains(&site_down()));
    assert_eq!(site(&mut desk).unreachable, 0);
    desk.client("100");
    desk.seconds(2);
    assert!(desk.port_on(1).is_some(), "ana is rung again");
}

#[test]
fn a_switch_that_answers_no_question_is_shut_in_twice_their_time() {
    let mut desk = berlin(|p| {
        p.site[0].trunks.truncate(1);
        p.agent.truncate(1);
        p.agent[0].phone = None;
        p.trunk.iter_mut().find(|trunk| trunk.name == "pbx").expect("provisioned").peer[0].options_s = 10;
    });
    desk.seconds(30);
    assert_eq!((site(&mut desk).up, site(&mut desk).ways), (Some(true), vec!["trunk pbx open".to_owned()]));
    desk.dead.insert(Party::Backup);
    desk.seconds(20);
    assert_eq!((site(&mut desk).up, site(&mut desk).unreachable), (Some(false), 1));
    desk.client("100");
    desk.seconds(2);
    assert_eq!((desk.state(), desk.agent("ana")), ("waiting sales".to_owned(), AgentStatus::Ready));
    desk.dead.clear();
    desk.seconds(10);
    assert!(desk.rings(Party::Backup, EXTENSION).is_some(), "with the first answer");
}

#[test]
fn a_caller_keeps_its_place_when_nobody_else_is_there() {
    let mut desk = ana_on_circuits();
    desk.command(Command::SignOut { tenant: "acme".into(), agent: "ben".into() });
    desk.client("100");
    desk.seconds(2);
    cut(&mut desk, true);
    desk.seconds(2);
    assert_eq!(desk.state(), "waiting sales");
    assert!(desk.port_on(1).is_none());
    cut(&mut desk, false);
    desk.seconds(8);
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(1);
    talks_to_ana(&mut desk);
}

#[test]
fn a_link_lost_during_wrap_up_holds_work_back_after_it() {
    let mut desk = ana_on_circuits();
    let mut p = desk.disk.provision.clone();
    p.agent[0].wrap_up_s = 20;
    desk.command(Command::Provision { provision: Box::new(p) });
    desk.command(Command::SignOut { tenant: "acme".into(), agent: "ben".into() });
    let client = desk.client("100");
    desk.seconds(8);
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(1);
    desk.hangup(Party::Carrier, client);
    desk.seconds(2);
    assert_eq!(desk.agent("ana"), AgentStatus::WrapUp);
    cut(&mut desk, true);
    desk.client("100");
    desk.seconds(30);
    assert_eq!((desk.agent("ana"), desk.state()), (AgentStatus::Ready, "waiting sales".to_owned()));
    cut(&mut desk, false);
    desk.seconds(3);
    assert!(desk.port_on(1).is_some(), "ana is rung");
}

/// Ana's SIP phone is at Berlin, which has no switch; Ben's is elsewhere.
fn ana_by_internet(probe_s: u32) -> Desk {
    let mut p = provision(PROVISION);
    p.site.push(Site {
        name: "berlin".into(),
        timezone: "Europe/Berlin".into(),
        trunks: Vec::new(),
        extension_strip: 0,
        extension_prefix: String::new(),
        probe_s,
        chat_grace_s: 30,
        work_grace_s: 900,
    });
    p.agent[0].site = Some("berlin".into());
    p.agent[0].signed_in = true;
    assert_eq!(check(&p), []);
    Desk::new(1, p)
}

#[test]
fn a_phone_that_leaves_two_questions_unanswered_is_out_until_it_answers() {
    let mut desk = ana_by_internet(10);
    desk.seconds(30);
    assert_eq!((site(&mut desk).up, site(&mut desk).ways), (Some(true), vec!["1 phones, 0 do not answer".to_owned()]));
    desk.client("100");
    desk.rings(Party::Phones, "ana").expect("ana is rung");
    desk.dead.insert(Party::Phones);
    // It rang, so nothing but the questions tells: 4 s to the next one while it rings, and 4 s for each of two answers.
    let mut waited = 0;
    while !alarms(&mut desk).contains(&site_down()) {
        desk.seconds(1);
        waited += 1;
        assert!(waited <= 12, "within the bound");
    }
    assert_eq!(desk.state(), "waiting sales");
    desk.seconds(20);
    desk.dead.clear();
    desk.seconds(11);
    assert!(!alarms(&mut desk).contains(&site_down()));
    desk.agent_answers("ana");
    talks_to_ana(&mut desk);
}

#[test]
fn a_phone_that_says_nothing_to_a_call_is_out_at_once() {
    let mut desk = ana_by_internet(3_600);
    desk.command(Command::SignIn { tenant: "acme".into(), agent: "ben".into() });
    desk.dead.insert(Party::Phones);
    desk.client("100");
    desk.seconds(3);
    assert!(!alarms(&mut desk).contains(&site_down()));
    desk.seconds(2);
    assert!(alarms(&mut desk).contains(&site_down()));
    assert_eq!(desk.agent("ana"), AgentStatus::Ready, "not marked");
    let Reply::Agents { agents } = desk.query(Query::Agents) else { panic!("agents") };
    let shown: Vec<_> = agents.iter().map(|of| (of.name.as_str(), of.reachable, of.cut, of.site.as_str())).collect();
    assert_eq!(shown, [("ana", false, true, "berlin"), ("ben", true, false, "")]);
    assert_eq!(desk.agent("ben"), AgentStatus::Busy, "ben is offered it now");
}

#[test]
fn without_questions_nothing_is_asked() {
    let mut desk = ana_by_internet(0);
    desk.dead.insert(Party::Phones);
    desk.seconds(100);
    assert_eq!((site(&mut desk).up, alarms(&mut desk)), (None, vec![]));
    assert!(site(&mut desk).ways.is_empty());
}

#[test]
fn who_signs_out_is_not_asked_any_more() {
    let mut desk = ana_by_internet(10);
    desk.dead.insert(Party::Phones);
    desk.seconds(20);
    assert!(alarms(&mut desk).contains(&site_down()));
    desk.command(Command::SignOut { tenant: "acme".into(), agent: "ana".into() });
    assert_eq!((site(&mut desk).up, alarms(&mut desk)), (None, vec![]));
}

#[test]
fn agents_out_of_reach_permit_their_tenant_no_calls() {
    let mut desk = berlin(|p| {
        p.site[0].trunks.remove(0);
        p.agent[0].phone = None;
        p.trunk.iter_mut().find(|trunk| trunk.name == "carrier").expect("provisioned").calls_max = 10;
        p.tenant[0].contract = Some(Contract {
            trunks: vec!["carrier".into()],
            ratio: "1".parse().expect("a decimal"),
            after_hours: 0,
            worth_within: 1.0,
            worth_beyond: 0.25,
            refused: Refusal::NoCircuit,
            refused_flow: None,
            refused_to: None,
        });
    });
    let agents = |desk: &mut Desk| {
        let Reply::Contracts { contracts } = desk.query(Query::Contracts) else { panic!("contracts") };
        contracts[0].agents
    };
    assert_eq!(agents(&mut desk), 2);
    cut(&mut desk, true);
    assert_eq!(agents(&mut desk), 0);
    cut(&mut desk, false);
    desk.seconds(5);
    assert_eq!(agents(&mut desk), 2);
}

// ---- agents who sign in elsewhere ----

/// Berlin as before; Ana's own phone is a SIP phone, and she can sign in by calling 700.
fn ana_elsewhere() -> Desk {
    let mut desk = berlin(|p| {
        p.agent.truncate(1);
        let (code, pin) = (Some("7001".into()), Some("8642".to_owned().into()));
        let contact = Some("sip:ana@127.0.0.3:5080".into());
        p.agent[0] = Agent { site: None, extension: None, phone: None, contact, code, pin, ..p.agent[0].clone() };
        let text = "[flow]\nstart = 'in'\n[step.in]\ndo = 'agent'\naction = 'sign-in'\ncode = '7001'\npin = '8642'\n\
                    at = 'caller'\non_ok = 'stay'\non_fail = 'bye'\n[step.stay]\ndo = 'answer'\nnext = 'wait'\n\
                    [step.wait]\ndo = 'menu'\nkeys = { 1 = 'bye' }\nprompt = [{ silence_ms = 100 }]\ntimeout_s = 60\n\
                    retries = 0\non_timeout = 'bye'\n[step.bye]\ndo = 'hangup'\ncause = 'rejected'\n";
        p.flow.push(Flow { tenant: "acme".into(), name: "in".into(), text: text.into(), file: None });
        p.number.push(Number { number: "700".into(), tenant: "acme".into(), flow: "in".into() });
    });
    sign_out(&mut desk);
    desk
}

fn sign_out(desk: &mut Desk) {
    desk.command(Command::SignOut { tenant: "acme".into(), agent: "ana".into() });
}

fn sign_in_at(desk: &mut Desk, site: Option<&str>, extension: Option<&str>, phone: Option<&str>) -> Reply {
    desk.command(Command::SignInAt {
        tenant: "acme".into(),
        agent: "ana".into(),
        site: site.map(str::to_owned),
        extension: extension.map(str::to_owned),
        phone: phone.map(|phone| phone.to_owned().into()),
    })
}

fn seated(desk: &mut Desk) -> (String, String) {
    let Reply::Agents { agents } = desk.query(Query::Agents) else { panic!("agents") };
    (agents[0].site.clone(), agents[0].seat.clone())
}

#[test]
fn an_agent_is_rung_where_it_signed_in_until_it_signs_out() {
    let mut desk = ana_elsewhere();
    assert_eq!(sign_in_at(&mut desk, Some("berlin"), Some("94799"), None), Reply::Done);
    assert_eq!(seated(&mut desk), ("berlin".to_owned(), "extension 84799".to_owned()));
    assert_eq!(site(&mut desk).agents, 1);
    let client = desk.client("100");
    desk.seconds(1);
    assert!(desk.rings(Party::Phones, "ana").is_none(), "her own phone is elsewhere");
    let phone = desk.rings(Party::Backup, "84799").expect("she is rung in Berlin");
    desk.accept(Party::Backup, phone);
    talks_to_ana(&mut desk);
    desk.hangup(Party::Carrier, client);
    desk.seconds(5);
    sign_out(&mut desk);
    assert_eq!(seated(&mut desk), (String::new(), String::new()));
    desk.command(Command::SignIn { tenant: "acme".into(), agent: "ana".into() });
    desk.client("100");
    desk.seconds(1);
    desk.agent_answers("ana");
    talks_to_ana(&mut desk);
}

#[test]
fn a_seat_outlasts_a_restart_and_not_its_site() {
    let mut desk = ana_elsewhere();
    assert_eq!(sign_in_at(&mut desk, Some("berlin"), Some("94799"), None), Reply::Done);
    desk.restart(2);
    assert_eq!(seated(&mut desk), ("berlin".to_owned(), "extension 84799".to_owned()));
    desk.client("100");
    desk.seconds(1);
    assert!(desk.rings(Party::Backup, "84799").is_some());
    desk.seconds(20);
    let mut p = desk.disk.provision.clone();
    p.site.clear();
    desk.command(Command::Provision { provision: Box::new(p) });
    assert_eq!(seated(&mut desk), (String::new(), String::new()));
    desk.restart(3);
    assert_eq!(seated(&mut desk), (String::new(), String::new()));
}

#[test]
fn where_nobody_can_be_reached_nobody_signs_in() {
    let mut desk = ana_elsewhere();
    for (site, extension, phone, why) in [
        (Some("bonn"), None, None, "no site \"bonn\" is provisioned"),
        (None, Some("94711"), None, "an extension needs a site"),
        (Some("berlin"), Some("4x"), None, "cannot be dialled at a switch"),
        (None, None, Some("112"), "is an emergency number"),
        (None, None, Some("100"), "is one of our own numbers"),
        (None, None, Some("30123"), "no trunk leads to"),
        (None, None, None, "no place is named"),
    ] {
        let Reply::Refused { reason } = sign_in_at(&mut desk, site, extension, phone) else { panic!("{why}") };
        assert!(reason.contains(why), "{reason}");
        assert_eq!(desk.agent("ana"), AgentStatus::Null);
    }
}

#[test]
fn no_prefix_hides_where_a_telephone_is_and_numbers_of_other_tenants_are_like_any() {
    let mut desk = berlin(|p| {
        let carrier = p.trunk.iter_mut().find(|trunk| trunk.name == "carrier").expect("provisioned");
        carrier.strip = 1;
        p.tenant.push(Tenant { name: "blue".into(), ..p.tenant[0].clone() });
        let text = "[flow]\nstart = 'bye'\n[step.bye]\ndo = 'hangup'\ncause = 'rejected'\n";
        p.flow.push(Flow { tenant: "blue".into(), name: "no".into(), text: text.into(), file: None });
        p.number.push(Number { number: "750".into(), tenant: "blue".into(), flow: "no".into() });
    });
    let mut refusal = |phone| match sign_in_at(&mut desk, None, None, Some(phone)) {
        Reply::Refused { reason } => reason.replace(phone, "IT"),
        _ => "none".to_owned(),
    };
    assert_eq!(refusal("8112"), "\"IT\" is an emergency number");
    assert_eq!(refusal("8100"), "\"IT\" is one of our own numbers: a call would come back");
    assert_eq!(refusal("750"), "\"IT\" is a number that no trunk leads to");
    assert_eq!(refusal("750"), refusal("751"));
    assert_eq!((refusal("8750"), refusal("8751")), ("none".to_owned(), "none".to_owned()));
}

#[test]
fn who_calls_in_to_sign_in_is_rung_there_once_that_call_is_over() {
    for (from, number, shown) in
        [(Party::Backup, "84747", ("berlin", "extension 84747")), (Party::Carrier, "85550199", ("", "telephone"))]
    {
        let mut desk = ana_elsewhere();
        desk.client("100");
        let body = crate::desk::description(20_004, cordboard::proto::sdp::Direction::SendRecv);
        let call = desk.call(from, number, "700", Some(body));
        desk.seconds(2);
        assert_eq!(seated(&mut desk), (shown.0.to_owned(), shown.1.to_owned()));
        assert_eq!(desk.agent("ana"), AgentStatus::Ready);
        assert!(desk.rings(from, number).is_none(), "she is on the phone");
        desk.hangup(from, call);
        desk.seconds(2);
        let phone = desk.rings(from, number).expect("now she is rung");
        desk.accept(from, phone);
        talks_to_ana(&mut desk);
    }
}

#[test]
fn who_shows_no_number_that_can_be_called_signs_in_nowhere() {
    let mut desk = ana_elsewhere();
    let body = crate::desk::description(20_004, cordboard::proto::sdp::Direction::SendRecv);
    desk.call(Party::Carrier, "5550199", "700", Some(body));
    desk.seconds(2);
    assert_eq!((desk.agent("ana"), seated(&mut desk)), (AgentStatus::Null, (String::new(), String::new())));
    let events = &desk.record().events;
    assert!(events.iter().any(|event| event.what == "no-seat" && !event.detail.contains("555")), "{events:?}");
}

/// A chat that is offered is taken, else another comes.
fn chat(desk: &mut Desk) {
    let offered = Query::Works { tenant: None, queue: None, state: Some(WorkState::Offered), after: None, agent: None };
    let Reply::Works { works, .. } = desk.query(offered) else { panic!("works") };
    let command = match works.into_iter().find(|view| view.medium == Medium::Chat) {
        Some(view) => Command::WorkAccept {
            tenant: view.tenant,
            agent: view.agent.expect("whom it is offered to"),
            work: view.id,
        },
        None => Command::WorkAdd {
            item: Box::new(WorkSpec {
                tenant: "acme".into(),
                medium: Medium::Chat,
                queue: "sales".into(),
                client: None,
                subject: None,
                attributes: Default::default(),
                modifiers: vec![],
                callback: None,
                due_at: None,
            }),
        },
    };
    assert!(!matches!(desk.command(command), Reply::Refused { .. }));
}

/// Links come and go by chance while calls do, and chats; each step is held against the invariants.
fn storm(seed: u64) {
    println!("seed {seed}");
    let mut dice = seed;
    let mut roll = move |n: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % n
    };
    let mut desk = berlin(|p| {
        let contact = Some("sip:ben@127.0.0.3:5080".into());
        p.agent[1] = Agent { contact, extension: None, ..p.agent[1].clone() };
    });
    let mut clients = Vec::new();
    for step in 0..120 {
        match roll(12) {
            0 | 1 => clients.push(desk.client("100")),
            2 => cut(&mut desk, roll(2) == 0),
            3 => {
                let party = [Party::Backup, Party::Phones][roll(2) as usize];
                if !desk.dead.remove(&party) {
                    desk.dead.insert(party);
                }
            }
            4 => {
                for (party, user) in [(Party::Backup, EXTENSION), (Party::Carrier, PHONE), (Party::Phones, "ben")] {
                    if let Some(session) = desk.rings(party, user) {
                        desk.accept(party, session);
                    }
                }
                desk.far(1, em_wink::Input::Answer);
            }
            5 if !clients.is_empty() => {
                let client = clients.swap_remove(roll(clients.len() as u64) as usize);
                desk.hangup(Party::Carrier, client);
            }
            6 => drop(sign_in_at(&mut desk, Some("berlin"), [None, Some("94799")][roll(2) as usize], None)),
            7 => {
                let (tenant, agent) = ("acme".to_owned(), ["ana", "ben"][roll(2) as usize].to_owned());
                desk.command(Command::SignIn { tenant, agent });
            }
            8 | 9 => chat(&mut desk),
            _ if step == 60 && roll(2) == 0 => desk.restart(seed),
            _ => {}
        }
        desk.pass(std::time::Duration::from_millis(200 + 100 * roll(60)));
    }
    // All links are back: so is everybody.
    desk.dead.clear();
    cut(&mut desk, false);
    desk.seconds(60);
    assert!(!alarms(&mut desk).contains(&site_down()), "seed {seed}");
    let Reply::Agents { agents } = desk.query(Query::Agents) else { panic!("agents") };
    assert!(agents.iter().all(|agent| agent.reachable && !agent.cut), "seed {seed}: {agents:?}");
    for client in clients {
        desk.hangup(Party::Carrier, client);
    }
    desk.seconds(70);
    let Reply::Calls { calls } = desk.query(Query::Calls) else { panic!("calls") };
    assert!(calls.is_empty(), "seed {seed}: {calls:?}");
}

#[test]
fn links_that_come_and_go_lose_nothing() {
    let seeds = std::env::var("CORDBOARD_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(12);
    (1..=seeds).for_each(storm);
}
