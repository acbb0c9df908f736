//! Tenants that share a trunk: who is admitted, what becomes of the others, and what follows the agents.

use cordboard::base::Cause;
use cordboard::core::control::{Command, ContractView, Query, Reply};
use cordboard::core::journal::{Cdr, Change, Learned};
use cordboard::core::tenant::provision::{
    Agent, Contract, Flow, Number, Queue, Refusal, Serves, SharingMode, Skill, Tenant, Trunk,
};
use cordboard::core::tenant::{Provision, check};
use cordboard::core::trunk::sharing::{ADMITTED, NOT_ADMITTED};
use cordboard::proto::sip::{Event, SessionId};

use crate::desk::{Desk, PROVISION, Party};
use crate::provision;

pub const STAY: &str = "[flow]\nstart = 'a'\n[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'menu'\nkeys = { 1 = 'c' }\n\
                    prompt = [{ silence_ms = 100 }]\ntimeout_s = 60\nretries = 0\non_timeout = 'c'\n[step.c]\ndo = 'hangup'\n";
const SORRY: &str = "[flow]\nstart = 'a'\n[step.a]\ndo = 'menu'\nkeys = { 1 = 'b' }\n\
                     prompt = [{ silence_ms = 5000 }]\ntimeout_s = 5\nretries = 0\non_timeout = 'b'\n\
                     [step.b]\ndo = 'hangup'\ncause = 'busy'\n";

/// Two tenants share the carrier's six circuits: `acme`, and `calm` with number 700.
pub fn shared(change: impl FnOnce(&mut Provision)) -> Provision {
    let mut p = provision(PROVISION);
    let carrier: &mut Trunk = p.trunk.iter_mut().find(|trunk| trunk.name == "carrier").expect("provisioned");
    carrier.calls_max = 6;
    p.admission.mode = SharingMode::Literal;
    let contract = |after_hours| {
        Some(Contract {
            trunks: vec!["carrier".into()],
            ratio: "1.5".parse().expect("decimal"),
            after_hours,
            worth_within: 1.0,
            worth_beyond: 0.25,
            refused: Refusal::NoCircuit,
            refused_flow: None,
            refused_to: None,
        })
    };
    let mut calm: Tenant = p.tenant[0].clone();
    (calm.name, calm.contract) = ("calm".into(), contract(2));
    p.tenant[0].contract = contract(1);
    p.tenant.push(calm);
    for (tenant, number) in [("acme", "701"), ("calm", "700")] {
        let name = format!("stay-{tenant}");
        p.flow.push(Flow { tenant: tenant.into(), name: name.clone(), text: STAY.into(), file: None });
        p.number.push(Number { number: number.into(), tenant: tenant.into(), flow: name });
    }
    change(&mut p);
    assert_eq!(check(&p), []);
    p
}

fn desk(change: impl FnOnce(&mut Provision)) -> Desk {
    let mut desk = Desk::new(1, shared(change));
    desk.command(Command::SignOut { tenant: "acme".into(), agent: "ana".into() });
    desk
}

/// A caller from outside: its session, and how it was refused, if it was.
pub fn call(desk: &mut Desk, number: &str) -> (SessionId, Option<(u16, Cause)>) {
    let session = desk.client(number);
    desk.seconds(1);
    let refused = desk.events.iter().find_map(|(_, event)| match event {
        Event::Failed { session: s, status, cause, .. } if *s == session => Some((*status, *cause)),
        _ => None,
    });
    (session, refused)
}

fn standing(desk: &mut Desk, tenant: &str) -> ContractView {
    let Reply::Contracts { contracts } = desk.query(Query::Contracts) else { panic!("contracts") };
    contracts.into_iter().find(|of| of.tenant == tenant).expect("a contract")
}

pub fn said(cdr: &Cdr, what: &str) -> Option<String> {
    cdr.events.iter().find(|event| event.what == what).map(|event| event.detail.clone())
}

#[test]
fn a_tenant_has_what_its_agents_permit() {
    let mut desk = desk(|_| {});
    // Nobody is signed in: one call after hours.
    let (first, refused) = call(&mut desk, "701");
    assert_eq!(refused, None);
    // Calls that began this moment are not likely to end within half a minute.
    assert_eq!(call(&mut desk, "701").1, Some((503, Cause::NoCircuit)));
    let cdr = desk.cdrs.last().expect("a record of the refused").clone();
    assert_eq!((cdr.cause, cdr.tenant.as_str()), (Some(Cause::NoCircuit), "acme"));
    let told = said(&cdr, NOT_ADMITTED).expect("why");
    assert!(told.starts_with("35c: call 2 of 1 permitted to 0 agents, trunk 1 of 6 in use"), "{told}");
    // With two signed in three circuits: 2 x 1.5 = 2 + 1.
    for agent in ["ana", "ben"] {
        desk.command(Command::SignIn { tenant: "acme".into(), agent: agent.into() });
    }
    let of = standing(&mut desk, "acme");
    assert_eq!((of.agents, of.permitted, of.calls, of.offered, of.refused), (2, 3, 1, 2, 1));
    assert_eq!((call(&mut desk, "701").1, call(&mut desk, "701").1), (None, None));
    assert!(call(&mut desk, "701").1.is_some());
    // A pause takes an agent out; what is in progress goes on.
    desk.command(Command::Pause { tenant: "acme".into(), agent: "ben".into(), reason: String::new() });
    let of = standing(&mut desk, "acme");
    assert_eq!((of.agents, of.permitted, of.calls, of.trunk_calls), (1, 2, 3, Some(3)));
    desk.hangup(Party::Carrier, first);
    desk.seconds(1);
    assert_eq!(standing(&mut desk, "acme").calls, 2);
    let cdr = desk.cdrs.last().expect("the first call's");
    assert!(said(cdr, ADMITTED).is_some_and(|told| told.starts_with("33h: call 1 of 1")), "{:?}", cdr.events);
}

#[test]
fn one_that_floods_leaves_the_other_unharmed() {
    let mut desk = desk(|_| {});
    let flood: Vec<bool> = (0..20).map(|_| call(&mut desk, "701").1.is_none()).collect();
    assert_eq!(flood.iter().filter(|taken| **taken).count(), 1, "its one");
    assert_eq!((call(&mut desk, "700").1, call(&mut desk, "700").1), (None, None), "both of the other's");
    let (acme, calm) = (standing(&mut desk, "acme"), standing(&mut desk, "calm"));
    assert_eq!((acme.offered, acme.refused, calm.offered, calm.refused), (20, 19, 2, 0));
    assert_eq!((acme.trunk_calls, acme.trunk_circuits), (Some(3), Some(6)));
}

#[test]
fn by_price_circuits_that_nobody_else_wants_are_used() {
    let mut desk = desk(|p| p.admission.mode = SharingMode::Priced);
    let taken = (0..8).filter(|_| call(&mut desk, "701").1.is_none()).count();
    assert!((2..=6).contains(&taken), "more than the one permitted, no more than there are: {taken}");
    let cdr = desk.cdrs.last().expect("of a refused one");
    let told = said(cdr, NOT_ADMITTED).expect("why");
    assert!(told.contains(", worth ") && told.contains(", price "), "{told}");
    assert_eq!(standing(&mut desk, "acme").trunk_calls, Some(taken as u64));
}

#[test]
fn refused_calls_get_what_their_tenant_chose() {
    for (refusal, wanted) in [
        (Refusal::Busy, (486, Cause::Busy)),
        (Refusal::Congestion, (503, Cause::Congestion)),
        (Refusal::NoCircuit, (503, Cause::NoCircuit)),
    ] {
        let mut desk = desk(|p| p.tenant[0].contract.as_mut().expect("one").refused = refusal);
        assert_eq!(call(&mut desk, "701").1, None);
        assert_eq!(call(&mut desk, "701").1, Some(wanted), "{refusal:?}");
    }
    let mut desk = desk(|p| {
        let contract = p.tenant[0].contract.as_mut().expect("one");
        (contract.refused, contract.refused_flow) = (Refusal::Flow, Some("sorry".into()));
        p.flow.push(Flow { tenant: "acme".into(), name: "sorry".into(), text: SORRY.into(), file: None });
    });
    assert_eq!(call(&mut desk, "701").1, None);
    let (session, refused) = call(&mut desk, "701");
    assert_eq!(
        (refused, standing(&mut desk, "acme").calls),
        (None, 2),
        "it is told first, and holds a circuit meanwhile"
    );
    desk.seconds(10);
    assert!(desk.heard(Party::Carrier, |e| matches!(e, Event::Failed { session: s, .. } if *s == session)));
    assert_eq!(standing(&mut desk, "acme").calls, 1);
}

#[test]
fn emergency_calls_pass() {
    let mut desk = desk(|p| p.sip.emergency = vec!["701".into()]);
    assert_eq!((call(&mut desk, "701").1, call(&mut desk, "701").1), (None, None));
    assert_eq!(standing(&mut desk, "acme").calls, 2, "they count");
}

#[test]
fn contracts_change_while_calls_go_on() {
    let mut desk = desk(|_| {});
    assert_eq!(call(&mut desk, "701").1, None);
    let less = shared(|p| p.tenant[0].contract.as_mut().expect("one").after_hours = 0);
    desk.command(Command::Provision { provision: Box::new(less) });
    let of = standing(&mut desk, "acme");
    assert_eq!((of.permitted, of.calls), (0, 1), "it goes on");
    let none = shared(|p| p.tenant[0].contract = None);
    desk.command(Command::Provision { provision: Box::new(none) });
    assert_eq!(call(&mut desk, "701").1, None, "without a contract as long as there is a circuit");
    let of = standing(&mut desk, "calm");
    assert_eq!(of.trunk_calls, Some(2), "the circuit is taken: {of:?}");
    desk.command(Command::Provision { provision: Box::new(shared(|_| {})) });
    let of = standing(&mut desk, "acme");
    assert_eq!((of.calls, of.trunk_calls), (2, Some(2)), "{of:?}");
}

#[test]
fn agents_who_are_gone_permit_nothing() {
    let mut desk = desk(|_| {});
    desk.command(Command::SignIn { tenant: "acme".into(), agent: "ana".into() });
    assert_eq!(standing(&mut desk, "acme").agents, 1);
    let without = shared(|p| p.agent.retain(|agent: &Agent| agent.name != "ana"));
    desk.command(Command::Provision { provision: Box::new(without) });
    assert_eq!(standing(&mut desk, "acme").agents, 0);
}

#[test]
fn a_restart_keeps_who_counts_and_what_was_learned() {
    let mut desk = desk(|_| {});
    desk.command(Command::SignIn { tenant: "acme".into(), agent: "ana".into() });
    assert_eq!(call(&mut desk, "701").1, None);
    desk.seconds(1_000);
    let learned: Vec<&Learned> = desk
        .journal
        .iter()
        .filter_map(|change| match change {
            Change::Learned { learned } => Some(&**learned),
            _ => None,
        })
        .collect();
    assert_eq!(learned.len(), 1, "of the one that had a call, once");
    let learned = learned[0].clone();
    assert_eq!((learned.tenant.as_str(), learned.trunk.as_str()), ("acme", "carrier"));
    desk.restart(2);
    assert_eq!(standing(&mut desk, "acme").agents, 1);
    let now = desk.now;
    desk.switch.recall(now, &[learned]);
    desk.command(Command::Stop);
    desk.seconds(1);
    let again = desk.journal.iter().filter(|change| matches!(change, Change::Learned { .. })).count();
    assert_eq!(again, 1, "nothing new to store");
}

#[test]
fn calls_on_a_trunk_of_its_own_do_not_count() {
    let mut desk = desk(|_| {});
    let before = standing(&mut desk, "acme");
    assert_eq!((before.permitted, before.calls), (1, 0));
    desk.seize(1, "701");
    desk.seconds(2);
    let of = standing(&mut desk, "acme");
    assert_eq!((of.permitted, of.calls, of.trunk_calls, of.refused), (1, 0, Some(0), 0), "by the office's circuit");
    assert_eq!(call(&mut desk, "701").1, None, "the one call after hours");
    assert_eq!(standing(&mut desk, "acme").calls, 1);
}

#[test]
fn an_agent_of_two_tenants_takes_the_calls_of_both_and_permits_calls_of_both() {
    let mut desk = desk(|p| {
        p.skill.push(Skill { tenant: "calm".into(), name: "tea".into() });
        p.agent[0].serves = vec![Serves { tenant: "calm".into(), skills: [("tea".into(), 0.7)].into() }];
        let acme: Queue = p.queue[0].clone();
        let skills = [("tea".into(), 0.5)].into();
        p.queue.push(Queue { tenant: "calm".into(), name: "tea".into(), skills, ..acme });
        let text =
            "[flow]\nstart = 'a'\n[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'enqueue'\nqueue = 'tea'\n";
        p.flow.push(Flow { tenant: "calm".into(), name: "tea".into(), text: text.into(), file: None });
        p.number.push(Number { number: "710".into(), tenant: "calm".into(), flow: "tea".into() });
    });
    let permitted = |desk: &mut Desk| (standing(desk, "acme").permitted, standing(desk, "calm").permitted);
    assert_eq!(permitted(&mut desk), (1, 2), "nobody is signed in");
    desk.command(Command::SignIn { tenant: "acme".into(), agent: "ana".into() });
    assert_eq!(permitted(&mut desk), (2, 3), "ana counts for both");
    let client = desk.client("710");
    desk.seconds(1);
    desk.agent_answers("ana");
    assert_eq!(desk.state(), "talking acme/ana");
    desk.hangup(Party::Carrier, client);
    desk.seconds(2);
    let cdr = desk.cdrs.last().expect("a record");
    assert_eq!((cdr.tenant.as_str(), cdr.agent.as_deref()), ("calm", Some("acme/ana")));
    // Ben serves acme alone, so calm's next caller waits while he idles.
    desk.command(Command::SignOut { tenant: "acme".into(), agent: "ana".into() });
    desk.command(Command::SignIn { tenant: "acme".into(), agent: "ben".into() });
    let client = desk.client("710");
    desk.seconds(3);
    assert!(desk.rings(Party::Phones, "ben").is_none());
    desk.hangup(Party::Carrier, client);
    desk.seconds(2);
}

#[test]
fn a_trunk_without_a_free_circuit_has_no_price() {
    let mut desk = desk(|p| {
        p.admission.mode = SharingMode::Priced;
        p.trunk.iter_mut().filter(|trunk| trunk.name == "carrier").for_each(|trunk| trunk.calls_max = 2);
        p.tenant[0].contract.as_mut().expect("one").after_hours = 2;
    });
    let of = standing(&mut desk, "acme");
    assert!(of.price.is_some() && of.worth.is_some(), "{of:?}");
    assert_eq!((call(&mut desk, "701").1, call(&mut desk, "701").1), (None, None));
    let of = standing(&mut desk, "acme");
    assert_eq!((of.accepts, of.price, of.trunk_calls, of.trunk_circuits), (Some(false), None, Some(2), Some(2)));
    assert!(call(&mut desk, "700").1.is_some());
    let told = said(desk.cdrs.last().expect("of the refused"), NOT_ADMITTED).expect("why");
    assert!(told.ends_with("trunk 2 of 2 in use, no circuit is free"), "{told}");
    assert!(!told.contains("price"), "{told}");
}

#[test]
fn work_items_of_a_tenant_or_queue_that_is_not_there_are_refused() {
    let mut desk = desk(|_| {});
    let mut asked = |tenant: Option<&str>, queue: Option<&str>, agent: Option<&str>| {
        let (tenant, queue, agent) = (tenant.map(String::from), queue.map(String::from), agent.map(String::from));
        match desk.query(Query::Works { tenant, queue, state: None, after: None, agent }) {
            Reply::Works { works, .. } => works.len().to_string(),
            Reply::Refused { reason } => reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(asked(Some("acme"), Some("sales"), None), "0");
    assert_eq!(asked(None, Some("sales"), None), "0");
    assert_eq!(asked(Some("amce"), None, None), "there is no tenant \"amce\"; did you mean \"acme\"?");
    assert_eq!(asked(Some("acme"), Some("slaes"), None), "there is no queue \"slaes\"; did you mean \"sales\"?");
    let none = "there is no queue \"sales\"; `cordboard queue list` shows what there is";
    assert_eq!(asked(Some("calm"), Some("sales"), None), none, "it is another's");
    assert_eq!(asked(None, Some("xyz"), Some("acme/ana")), "0", "an agent is not told which queues others have");
}
