//! Tenants on one appliance: what a phone, a flow, an agent and a caller of one meets of another is what is met of nothing.

use std::time::Duration;

use cordboard::base::{CallId, Medium, Redacted, WorkItemId};
use cordboard::core::contact::Work;
use cordboard::core::contact::view::WorkSpec;
use cordboard::core::control::{Asker, Command, Query, Reply, Request};
use cordboard::core::journal::Change;
use cordboard::core::switch::Input;
use cordboard::core::tenant::Provision;
use cordboard::core::tenant::entity::{Entity, EntityKind};
use cordboard::core::tenant::provision::{Agent, Flow, Number, Queue, Role, Serves, Skill, Tenant, User};
use cordboard::proto::sdp::Direction;
use cordboard::proto::sip::{ClientRegistration, Credentials, Event};
use serde::Serialize;

use crate::desk::{Desk, PROVISION, Party, description};
use crate::provision;

/// Names that only blue has, each with one of the same form that nobody has.
const NAMES: [(&str, &str); 4] = [("750", "751"), ("bruno", "brunn"), ("blueuser", "blueusex"), ("support", "supporx")];

/// A step that plays what nothing else plays.
const ANEW: &str = "do = 'play'\nprompt = 'acme/anew'\nnext = 'c'";

/// A flow with one step before it ends.
fn flow(tenant: &str, name: &str, step: &str) -> Flow {
    let text = format!(
        "[flow]\nstart = 'a'\n[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\n{step}\n[step.c]\ndo = 'hangup'\n"
    );
    Flow { tenant: tenant.into(), name: name.into(), text, file: None }
}

fn number(number: &str, tenant: &str, flow: &str) -> Number {
    Number { number: number.into(), tenant: tenant.into(), flow: flow.into() }
}

/// Acme, and blue with an agent, a queue, a flow and a number of its own.
fn two(change: impl FnOnce(&mut Provision)) -> Provision {
    let mut p = provision(PROVISION);
    p.tenant.push(Tenant { name: "blue".into(), ..p.tenant[0].clone() });
    p.skill.push(Skill { tenant: "blue".into(), name: "tea".into() });
    p.agent.push(Agent {
        tenant: "blue".into(),
        name: "bruno".into(),
        user: Some("blueuser".into()),
        password: Some("blueuser-secret".to_owned().into()),
        contact: Some("sip:bruno@127.0.0.3:5080".into()),
        skills: [("tea".into(), 0.9)].into(),
        ..p.agent[0].clone()
    });
    let skills = [("tea".into(), 0.3)].into();
    p.queue.push(Queue { tenant: "blue".into(), name: "support".into(), skills, ..p.queue[0].clone() });
    p.flow.push(flow("blue", "help", "do = 'enqueue'\nqueue = 'support'\non_overflow = 'c'\non_full = 'c'"));
    p.number.push(number("750", "blue", "help"));
    let (role, tenant) = (Role::Administrator, Some("acme".to_owned()));
    p.user.push(User { name: "boss".into(), role, tenant, agent: None, account: "boss".into() });
    change(&mut p);
    p
}

fn ask(desk: &mut Desk, request: Request) -> Reply {
    desk.switch.handle(desk.now, Input::Request { token: 9, asker: Asker::Account("boss".into()), request });
    desk.settle();
    desk.replies.pop().expect("a reply")
}

fn json(what: &impl Serialize) -> String {
    serde_json::to_string(what).expect("JSON")
}

fn email(tenant: &str, queue: &str) -> Command {
    let item = serde_json::json!({ "tenant": tenant, "medium": Medium::Email, "queue": queue });
    Command::WorkAdd { item: Box::new(serde_json::from_value::<WorkSpec>(item).expect("an item")) }
}

fn add(desk: &mut Desk, tenant: &str, queue: &str) -> WorkItemId {
    match desk.command(email(tenant, queue)) {
        Reply::Added { work, .. } => work,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_phone_that_dials_another_tenants_hears_what_it_hears_of_nothing() {
    let mut desk = Desk::new(1, two(|_| {}));
    let status = |desk: &mut Desk, number: &str| {
        let call = desk.call(Party::Phones, "ana", number, Some(description(21_000, Direction::SendRecv)));
        desk.seconds(1);
        let told = desk.events.iter().find_map(|(_, event)| match event {
            Event::Failed { session, status, cause, retry_after_s } if *session == call => {
                Some((*status, *cause, *retry_after_s))
            }
            _ => None,
        });
        told.unwrap_or_else(|| panic!("{number} is refused"))
    };
    for (foreign, nothing) in NAMES {
        let told = status(&mut desk, foreign);
        assert_eq!((told, told.0), (status(&mut desk, nothing), 404), "{foreign}");
    }
    assert!(desk.rings(Party::Phones, "bruno").is_none());
    // A call of its own goes no further by being handed on, nor is a call-back asked for there.
    let client = desk.client("100");
    let ana = desk.agent_answers("ana");
    let referred = |desk: &mut Desk, to: &str| {
        let before = desk.events.len();
        desk.refer(Party::Phones, ana, to);
        desk.seconds(1);
        let told = desk.events[before..].iter().filter_map(|(party, event)| match event {
            Event::ReferProgress { session, status } if *party == Party::Phones && *session == ana => Some(*status),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    for (foreign, nothing) in NAMES {
        let told = referred(&mut desk, foreign);
        assert!(told.last().is_some_and(|status| *status >= 400), "{foreign}: {told:?}");
        assert_eq!(told, referred(&mut desk, nothing), "{foreign}");
    }
    assert_eq!(desk.state(), "talking acme/ana");
    desk.hangup(Party::Carrier, client);
    desk.seconds(2);
}

#[test]
fn an_emergency_call_of_a_phone_is_its_tenants() {
    let mut desk = Desk::new(
        1,
        two(|p| {
            p.sip.emergency = vec!["100".into(), "750".into()];
            p.number.retain(|number| number.number != "100");
            p.trunk[1].prefix = vec!["1".into(), "7".into()];
        }),
    );
    let sos = "urn%3Aservice%3Asos";
    desk.call(Party::Phones, "ana", sos, Some(description(21_000, Direction::SendRecv)));
    desk.seconds(1);
    assert!(desk.rings(Party::Carrier, "100").is_some(), "blue's flow is not acme's: {:?}", desk.calls_out);
}

#[test]
fn a_phone_that_logs_in_as_another_tenants_is_told_what_one_is_told_that_is_nobodys() {
    let mut desk = Desk::new(1, two(|_| {}));
    let log_in = |desk: &mut Desk, aor: &str, user: &str, password: &str| {
        let registration = ClientRegistration {
            path: desk.path_of(Party::Phones),
            registrar_uri: "sip:127.0.0.1".into(),
            routes: Vec::new(),
            aor_user: aor.into(),
            domain: "127.0.0.1".into(),
            credentials: Credentials { user: user.into(), password: Redacted::new(password.into()) },
            expires_s: 600,
        };
        let id = desk.with(Party::Phones, |e, now| e.register(now, registration));
        let told = desk.events.iter().find_map(|(_, event)| match event {
            Event::ClientRegistration { id: told, result } if *told == id => Some(result.map(|_| ())),
            _ => None,
        });
        desk.with(Party::Phones, |e, now| e.unregister(now, id));
        desk.seconds(1);
        told.expect("an answer")
    };
    assert_eq!(log_in(&mut desk, "ana", "ana", "ana-secret"), Ok(()));
    for (user, password) in [("ana", "ana-secret"), ("blueuser", "ana-secret"), ("blueusex", "ana-secret")] {
        let told = ["blueuser", "blueusex"].map(|aor| log_in(&mut desk, aor, user, password));
        assert_eq!(told[0], told[1], "as {user}");
        assert!(told[0].is_err(), "as {user}");
    }
}

#[test]
fn a_caller_of_one_tenant_hears_no_prompt_and_no_music_of_another() {
    let mut desk = Desk::new(
        1,
        two(|p| {
            // What a caller dials or keys may become a name.
            for (name, dialled) in [("said", "blue"), ("own", "acme"), ("shared", "common")] {
                p.flow.push(flow("acme", name, "do = 'play'\nprompt = '{dnis}/welcome'\nnext = 'c'"));
                p.number.push(number(dialled, "acme", name));
            }
        }),
    );
    let heard = |desk: &mut Desk, dialled: &str| {
        desk.said.clear();
        let client = desk.client(dialled);
        desk.seconds(3);
        desk.hangup(Party::Carrier, client);
        desk.seconds(1);
        desk.said.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(heard(&mut desk, "acme"), ["acme/welcome"]);
    assert_eq!(heard(&mut desk, "common"), ["common/welcome"]);
    assert_eq!(heard(&mut desk, "blue"), ["acme/blue/welcome"], "there it is missing like any other");
}

/// An agent of acme who serves blue, too, has an item of acme's, and others of both wait.
#[test]
fn an_agent_of_two_tenants_shows_neither_what_waits_for_it_of_the_other() {
    let mut desk = Desk::new(
        1,
        two(|p| {
            p.agent.retain(|agent| agent.name == "ana");
            p.agent[0].serves = vec![Serves { tenant: "blue".into(), skills: [("tea".into(), 0.7)].into() }];
        }),
    );
    let client = desk.client("100");
    desk.agent_answers("ana");
    let theirs = [add(&mut desk, "blue", "support"), add(&mut desk, "blue", "support")];
    desk.pass(Duration::from_millis(10));
    let ours = [add(&mut desk, "acme", "sales"), add(&mut desk, "acme", "sales")];
    let waits = desk.client("100");
    desk.hangup(Party::Carrier, client);
    let done = |desk: &Desk| ours.iter().all(|id| desk.disk.works[id].ended_at.is_some());
    // Whatever comes to ana is taken and done with.
    for _ in 0..90 {
        if let Some(session) = desk.rings(Party::Phones, "ana") {
            desk.accept(Party::Phones, session);
            desk.seconds(1);
            desk.hangup(Party::Phones, session);
        }
        for work in ours.into_iter().chain(theirs) {
            let (tenant, agent) = ("acme".to_owned(), "ana".to_owned());
            if desk.command(Command::WorkAccept { tenant, agent, work }) == Reply::Done {
                desk.command(Command::WorkComplete { work, disposition: None, note: None });
            }
        }
        desk.seconds(1);
    }
    assert!(done(&desk), "{:?}", desk.disk.works);
    desk.hangup(Party::Carrier, waits);
    desk.seconds(2);
    let foreign = theirs.map(|id| id.to_string());
    let shows = |text: &str| foreign.iter().any(|id| text.contains(id));
    let records: Vec<Work> = ours.iter().map(|id| desk.disk.works[id].clone()).collect();
    assert!(!shows(&json(&records)), "{records:?}");
    let reasons = records.iter().flat_map(|work| &work.events).filter_map(|event| event.reason.as_ref());
    let compared: Vec<usize> = reasons.map(|reason| reason.compared).collect();
    assert!(!compared.is_empty() && compared.iter().all(|most| *most <= 2), "of acme's alone: {compared:?}");
    let calls = desk.cdrs.clone();
    let offers = calls.iter().flat_map(|cdr| &cdr.events).filter(|event| event.what == "offered");
    let told: Vec<&str> = offers.map(|event| event.detail.as_str()).collect();
    assert!(!told.is_empty(), "{calls:?}");
    let few = ["the only one free", "the only one waiting", "best of 2 waiting"];
    assert!(told.iter().all(|detail| few.iter().any(|words| detail.ends_with(words))), "{told:?}");
}

#[test]
fn what_is_handed_on_stays_with_its_tenant() {
    let mut desk = Desk::new(1, two(|p| p.agent[0].signed_in = false));
    let work = add(&mut desk, "acme", "sales");
    let transfer = |desk: &mut Desk, queue: Option<&str>, agent: Option<&str>| {
        let (queue, agent) = (queue.map(String::from), agent.map(String::from));
        json(&ask(desk, Request::Command(Command::WorkTransfer { work, queue, agent, note: None })))
    };
    for (foreign, nothing) in NAMES.into_iter().chain([("blue/support", "blux/support"), ("blue/bruno", "blux/bruno")])
    {
        for (theirs, nowhere) in [
            (transfer(&mut desk, Some(foreign), None), transfer(&mut desk, Some(nothing), None)),
            (transfer(&mut desk, None, Some(foreign)), transfer(&mut desk, None, Some(nothing))),
        ] {
            assert!(theirs.contains("refused"), "{theirs}");
            assert_eq!(theirs.replace(foreign, "X"), nowhere.replace(nothing, "X"));
        }
    }
    assert!(matches!(
        ask(&mut desk, Request::Command(Command::Hangup { call: CallId(work.0) })),
        Reply::Refused { .. }
    ));
}

#[test]
fn an_administrator_changes_the_own_tenant_and_the_appliance_goes_by_it_at_once() {
    let mut desk = Desk::new(
        1,
        two(|p| {
            let (role, tenant) = (Role::Supervisor, Some("acme".to_owned()));
            p.user.push(User { name: "lead".into(), role, tenant, agent: None, account: "lead".into() });
        }),
    );
    let put = |entity: Entity| Request::Command(Command::Put { entity: Box::new(entity) });
    let to_nothing = || Entity::Flow(flow("acme", "sales", ANEW));
    let before = desk.disk.provision.clone();
    desk.switch.handle(
        desk.now,
        Input::Request { token: 9, asker: Asker::Account("lead".into()), request: put(to_nothing()) },
    );
    desk.settle();
    assert!(json(&desk.replies.pop()).contains("not with the role supervisor: change agents"));
    let mut broken = flow("acme", "sales", "do = 'enqueue'\nqueue = 'support'\non_overflow = 'c'\non_full = 'c'");
    let refused = json(&ask(&mut desk, put(Entity::Flow(broken.clone()))));
    assert!(refused.contains("queue \\\"support\\\" is not there"), "{refused}");
    broken.tenant = "blue".into();
    let foreign = json(&ask(&mut desk, put(Entity::Flow(broken))));
    assert!(foreign.contains("no tenant"), "{foreign}");
    assert_eq!(desk.disk.provision, before, "nothing is changed by what is refused");

    assert_eq!(ask(&mut desk, put(to_nothing())), Reply::Done);
    let Some(Change::Audited { audit }) = desk.journal.last() else { panic!("{:?}", desk.journal.last()) };
    assert_eq!((audit.tenant.as_deref(), audit.did.as_str()), (Some("acme"), "set flow acme/sales"));
    let mut expected = before;
    expected.flow.iter_mut().filter(|one| one.name == "sales").for_each(|one| *one = flow("acme", "sales", ANEW));
    assert_eq!(desk.disk.provision, expected, "and nothing else");
    let client = desk.client("100");
    desk.seconds(2);
    assert!(desk.said.iter().any(|(_, prompt)| prompt == "acme/anew"), "calls go by the new flow: {:?}", desk.said);
    desk.hangup(Party::Carrier, client);
    let remove = Command::Remove { tenant: "acme".into(), kind: EntityKind::Agent, name: "ben".into() };
    assert_eq!(ask(&mut desk, Request::Command(remove)), Reply::Done);
    let agents = Query::Entities { tenant: None, kind: EntityKind::Agent };
    let left = json(&ask(&mut desk, Request::Query(agents)));
    assert!(
        left.contains("ana") && !left.contains("ben") && !left.contains("bruno") && !left.contains("secret"),
        "{left}"
    );
}
