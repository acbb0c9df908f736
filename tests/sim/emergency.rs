//! Emergency calls that find all circuits taken: who gives way to them, and how.

use std::time::Duration;

use cordboard::base::Cause;
use cordboard::core::control::{Query, Reply, Status};
use cordboard::core::journal::Cdr;
use cordboard::core::tenant::Provision;
use cordboard::core::tenant::provision::{Contract, Refusal, Trunk};
use cordboard::core::trunk::admission::Decimal;
use cordboard::core::trunk::preempt::{PREEMPTED, PREEMPTS};
use cordboard::proto::cas::em_wink;
use cordboard::proto::sdp::Direction as Flow;
use cordboard::proto::sip::{Event, SessionId};

use crate::desk::{Desk, PROVISION, Party, description};
use crate::provision;

const CIRCUITS: usize = 24;

fn trunk<'p>(provision: &'p mut Provision, name: &str) -> &'p mut Trunk {
    provision.trunk.iter_mut().find(|trunk| trunk.name == name).expect("provisioned")
}

fn with(change: impl FnOnce(&mut Provision)) -> Desk {
    let mut changed = provision(PROVISION);
    change(&mut changed);
    Desk::new(1, changed)
}

/// An agent dials; so many seconds pass.
fn dials(desk: &mut Desk, agent: &str, number: &str, seconds: u64) -> SessionId {
    let session = desk.call(Party::Phones, agent, number, Some(description(20_002, Flow::SendRecv)));
    desk.seconds(seconds);
    session
}

fn fill(desk: &mut Desk, agent: &str, number: &str, calls: usize) {
    for _ in 0..calls {
        dials(desk, agent, number, 2);
    }
}

fn ended(desk: &Desk, cause: Cause) -> Vec<&Cdr> {
    desk.cdrs.iter().filter(|cdr| cdr.cause == Some(cause)).collect()
}

fn status(desk: &mut Desk) -> Status {
    match desk.query(Query::Status) {
        Reply::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}

fn refused(desk: &Desk, session: SessionId) -> Option<(u16, Cause)> {
    desk.events.iter().find_map(|(_, event)| match event {
        Event::Failed { session: s, status, cause, .. } if *s == session => Some((*status, *cause)),
        _ => None,
    })
}

fn alarm(status: &Status) -> Option<&str> {
    status.alarms.iter().find(|alarm| alarm.name == "call-preempted").map(|alarm| alarm.subject.as_str())
}

#[test]
fn the_youngest_call_gives_its_circuit_to_an_emergency_call() {
    let mut desk = with(|_| ());
    let sessions: Vec<SessionId> = (0..CIRCUITS).map(|_| dials(&mut desk, "ana", "95551000", 2)).collect();
    desk.seconds(5);
    desk.far(24, em_wink::Input::Answer);
    desk.seconds(1);
    assert_eq!((desk.cdrs.len(), alarm(&status(&mut desk))), (0, None), "all are up");
    let Reply::Routes(view) = desk.query(Query::Routes { number: "9112".into(), at: None, tenant: None }) else {
        panic!("routes")
    };
    assert_eq!(view.ways[0].why, "no circuit is free: a call is ended for it");
    let help = dials(&mut desk, "ben", "9112", 0);
    desk.pass(Duration::from_millis(300));
    assert!(desk.heard(Party::Phones, |e| matches!(e, Event::Ended { session, cause }
        if *session == sessions[23] && *cause == Cause::Preemption)));
    assert!(desk.port_on(24).is_none(), "ended at once");
    // Whoever comes now does not get what is kept.
    let late = dials(&mut desk, "ana", "95551000", 3);
    assert_eq!(refused(&desk, late), Some((503, Cause::NoCircuit)));
    assert!(desk.port_on(24).is_some(), "the far end is called");
    desk.seconds(5);
    desk.far(24, em_wink::Input::Answer);
    desk.seconds(1);
    assert_eq!(alarm(&status(&mut desk)), Some("central-office"));
    assert_eq!(status(&mut desk).preempted, 1);
    let gave_way = ended(&desk, Cause::Preemption);
    assert_eq!(gave_way.len(), 1);
    assert!(gave_way[0].events.iter().any(|e| e.what == PREEMPTED), "{gave_way:?}");
    desk.hangup(Party::Phones, help);
    desk.seconds(5);
    assert_eq!(alarm(&status(&mut desk)), None);
    let help = desk.cdrs.iter().find(|cdr| cdr.to.as_str() == "9112").expect("a record");
    assert_eq!((help.to.as_str(), help.cause, help.legs.len()), ("9112", Some(Cause::Normal), 2));
    assert!(help.events.iter().any(|e| e.what == PREEMPTS && e.detail.ends_with("trunk central-office")));
    for session in sessions {
        desk.hangup(Party::Phones, session);
    }
    desk.seconds(400);
    desk.check_over();
}

#[test]
fn where_the_operator_says_no_nobody_gives_way() {
    let mut desk = with(|p| trunk(p, "central-office").emergency_preempts = false);
    fill(&mut desk, "ana", "95551000", CIRCUITS);
    let help = dials(&mut desk, "ben", "9112", 12);
    assert_eq!(refused(&desk, help), Some((503, Cause::NoCircuit)));
    assert_eq!(ended(&desk, Cause::Preemption).len(), 0);
    assert!(desk.cdrs.iter().any(|cdr| cdr.to.as_str() == "9112"), "it has a record");
}

#[test]
fn emergency_calls_do_not_preempt_each_other() {
    let mut desk = with(|_| ());
    fill(&mut desk, "ana", "9112", CIRCUITS);
    let one_more = dials(&mut desk, "ben", "9112", 12);
    assert_eq!(refused(&desk, one_more), Some((503, Cause::NoCircuit)));
    assert_eq!((ended(&desk, Cause::Preemption).len(), status(&mut desk).preempted), (0, 0));
}

/// Each emergency call takes the next one: the order is the one that is documented.
#[test]
fn who_is_beyond_its_number_goes_first_then_who_is_worth_less_then_the_youngest() {
    let contract = |worth: f64, after_hours: u32| {
        Some(Contract {
            trunks: vec!["central-office".into()],
            ratio: Decimal::whole(0),
            after_hours,
            worth_within: worth,
            worth_beyond: worth / 4.0,
            refused: Refusal::Busy,
            refused_flow: None,
            refused_to: None,
        })
    };
    let mut desk = with(|p| {
        // One agent is signed in of acme: 3 calls are permitted. Of rich 24, of poor 24, worth less than acme's.
        for (name, worth, after_hours) in [("rich", 9.0, 24), ("poor", 0.5, 24)] {
            let mut tenant = p.tenant[0].clone();
            (tenant.name, tenant.contract) = (name.into(), contract(worth, after_hours));
            p.tenant.push(tenant);
            let mut agent = p.agent[1].clone();
            (agent.tenant, agent.name, agent.user, agent.skills) =
                (name.into(), name.into(), Some(name.into()), Default::default());
            agent.password = Some(format!("{name}-secret").into());
            agent.contact = Some(format!("sip:{name}@127.0.0.3:5080"));
            p.agent.push(agent);
        }
        p.tenant[0].contract = contract(1.0, 2);
    });
    for (agent, calls) in [("poor", 2), ("ana", 4), ("rich", 18)] {
        fill(&mut desk, agent, "95551000", calls);
    }
    let up = (1..=24).filter(|t| desk.port_on(*t).is_some()).count();
    assert_eq!(up, CIRCUITS, "all were admitted");
    for _ in 0..5 {
        dials(&mut desk, "ben", "9112", 5);
    }
    let gone: Vec<(&str, usize)> = ended(&desk, Cause::Preemption)
        .iter()
        .map(|cdr| (cdr.from.as_str(), cdr.started_at.as_millis() as usize))
        .collect();
    let who: Vec<&str> = gone.iter().map(|(who, _)| *who).collect();
    // Acme's fourth is beyond; an emergency call of acme's counts for it, too, so that another one is each time.
    assert_eq!(who[0], "ana", "{gone:?}");
    assert!(who.iter().all(|who| *who == "ana" || *who == "poor"), "{gone:?}");
    let of_ana: Vec<usize> = gone.iter().filter(|(who, _)| *who == "ana").map(|(_, at)| *at).collect();
    assert!(of_ana.windows(2).all(|pair| pair[0] > pair[1]), "the youngest first: {gone:?}");
}

/// By SIP the number of calls is ours, not the peer's: it is asked first.
#[test]
fn a_peer_that_is_full_is_asked_again_once_a_call_has_ended() {
    let mut desk = with(|p| {
        p.sip.emergency = vec!["8112".into()];
        let carrier = trunk(p, "carrier");
        carrier.calls_max = 2;
        carrier.peer.truncate(1);
    });
    let first = dials(&mut desk, "ana", "85551000", 1);
    let second = dials(&mut desk, "ana", "85552000", 1);
    let help = dials(&mut desk, "ben", "8112", 1);
    let rings = desk.rings(Party::Carrier, "8112").expect("beyond the limit");
    assert_eq!(ended(&desk, Cause::Preemption).len(), 0, "nobody gives way as long as the peer takes it");
    desk.with(Party::Carrier, |e, now| e.reject(now, rings, 503, Some(Cause::NoCircuit), None));
    desk.seconds(1);
    assert_eq!(refused(&desk, second), Some((503, Cause::Preemption)), "the younger of the two");
    assert_eq!(refused(&desk, first), None);
    let again = desk.rings(Party::Carrier, "8112").expect("once more");
    desk.accept(Party::Carrier, again);
    desk.seconds(1);
    assert_eq!(refused(&desk, help), None);
    // A second refusal would not end another call in vain.
    desk.hangup(Party::Phones, help);
    desk.seconds(5);
    assert_eq!(desk.cdrs.last().and_then(|cdr| cdr.cause), Some(Cause::Normal));
}
