//! Trunks as groups of circuits: which one is taken, how many are left, and what an operator takes out of service.

use cordboard::base::{Cause, Timestamp};
use cordboard::core::control::{
    CircuitService, CircuitView, Command, Query, Reply, RestartedCircuit, RoutesView, Service, WayView,
};
use cordboard::core::tenant::Provision;
use cordboard::core::tenant::provision::{Hours, Hunt, Tariff, Trunk};
use cordboard::core::trunk::CardInput;
use cordboard::core::trunk::admission::Decimal;
use cordboard::core::trunk::circuits::RESTARTED;
use cordboard::proto::cas::em_wink;
use cordboard::proto::sdp::Direction as Flow;
use cordboard::proto::sip::{Event, SessionId};

use crate::desk::{Desk, PROVISION, Party, description};
use crate::provision;

fn trunk<'p>(provision: &'p mut Provision, name: &str) -> &'p mut Trunk {
    provision.trunk.iter_mut().find(|trunk| trunk.name == name).expect("provisioned")
}

fn with(change: impl FnOnce(&mut Provision)) -> Desk {
    let mut changed = provision(PROVISION);
    change(&mut changed);
    Desk::new(1, changed)
}

/// An agent's phone dials out over the circuits; the timeslot that is taken.
fn dials_out(desk: &mut Desk) -> (SessionId, Option<u8>) {
    let before: Vec<u8> = (1..=24).filter(|t| desk.port_on(*t).is_some()).collect();
    let body = Some(description(20_002, Flow::SendRecv));
    let session = desk.call(Party::Phones, "ana", "95551000", body);
    desk.seconds(2);
    let taken = (1..=24).find(|t| desk.port_on(*t).is_some() && !before.contains(t));
    (session, taken)
}

/// Dials and hangs up so often; the timeslots in turn.
fn in_turn(desk: &mut Desk, calls: usize) -> Vec<u8> {
    let one = |desk: &mut Desk| {
        let (session, taken) = dials_out(desk);
        desk.hangup(Party::Phones, session);
        desk.seconds(5);
        taken.expect("a circuit is taken")
    };
    (0..calls).map(|_| one(desk)).collect()
}

#[test]
fn circuits_are_hunted_as_provisioned() {
    for (hunt, wanted) in [
        (Hunt::Ascending, [1, 1, 1]),
        (Hunt::Descending, [24, 24, 24]),
        (Hunt::LeastUsed, [1, 2, 3]),
        (Hunt::RoundRobin, [1, 2, 3]),
    ] {
        let mut desk = with(|p| trunk(p, "central-office").hunt = hunt);
        assert_eq!(in_turn(&mut desk, 3), wanted, "{hunt:?}");
    }
}

#[test]
fn the_least_used_counts_calls_in_and_the_round_begins_anew() {
    let mut desk = with(|p| trunk(p, "central-office").hunt = Hunt::LeastUsed);
    desk.seize(1, "100");
    desk.seconds(5);
    desk.far(1, em_wink::Input::Release(Cause::Normal));
    desk.seconds(5);
    assert_eq!(in_turn(&mut desk, 1), [2], "the first has carried one");
    let mut desk = with(|p| trunk(p, "central-office").hunt = Hunt::RoundRobin);
    let turns = in_turn(&mut desk, 26);
    assert_eq!((turns[22], turns[23], turns[24]), (23, 24, 1));
}

/// A caller from outside; whether it was refused, and how.
fn refused(desk: &mut Desk, number: &str) -> Option<(u16, Cause)> {
    let session = desk.client(number);
    desk.seconds(1);
    desk.events.iter().find_map(|(_, event)| match event {
        Event::Failed { session: s, status, cause, .. } if *s == session => Some((*status, *cause)),
        _ => None,
    })
}

#[test]
fn a_peering_takes_so_many_calls_and_leaves_some_for_calls_out() {
    let mut desk = with(|p| {
        let carrier = trunk(p, "carrier");
        (carrier.calls_max, carrier.reserved_out) = (3, 1);
    });
    assert_eq!((refused(&mut desk, "100"), refused(&mut desk, "100")), (None, None));
    assert_eq!(refused(&mut desk, "100"), Some((503, Cause::NoCircuit)));
    let cdr = desk.record();
    assert_eq!((cdr.cause, cdr.tenant.as_str(), cdr.answered_at), (Some(Cause::NoCircuit), "acme", None));
    // The third is there for a call out, and there is no fourth.
    let out = |desk: &mut Desk| {
        let session = desk.call(Party::Phones, "ana", "85551000", Some(description(20_002, Flow::SendRecv)));
        desk.seconds(1);
        let ring = desk.rings(Party::Carrier, "85551000");
        (session, ring.is_some())
    };
    let (first, rings) = out(&mut desk);
    assert!(rings, "the reserved one");
    let (second, rings) = out(&mut desk);
    assert!(!rings, "no more than three");
    let told = desk.events.iter().find_map(|(_, event)| match event {
        Event::Failed { session, status, cause, .. } if *session == second => Some((*status, *cause)),
        _ => None,
    });
    assert_eq!(told, Some((503, Cause::NoCircuit)));
    assert_eq!(desk.cdrs.last().and_then(|cdr| cdr.cause), Some(Cause::NoCircuit), "it has a record");
    desk.hangup(Party::Phones, first);
    desk.seconds(5);
    assert_eq!(refused(&mut desk, "100"), Some((503, Cause::NoCircuit)), "still for calls out alone");
}

#[test]
fn circuits_are_left_for_calls_out() {
    let mut desk = with(|p| trunk(p, "central-office").reserved_out = 22);
    for timeslot in 1..=3 {
        desk.seize(timeslot, "100");
        desk.seconds(5);
    }
    let ports: Vec<bool> = (1..=3).map(|t| desk.far_heard(t, &em_wink::Event::Answered)).collect();
    assert_eq!(ports, [true, true, false], "22 of 24 are kept");
    assert!(dials_out(&mut desk).1.is_some());
}

#[test]
fn a_trunk_is_busied_out_while_its_calls_go_on() {
    let mut desk = with(|p| p.sip.emergency = vec!["300".into()]);
    assert_eq!(refused(&mut desk, "100"), None);
    let set = |desk: &mut Desk, out: bool| {
        let mut changed = provision(PROVISION);
        changed.sip.emergency = ["300", "8300"].map(String::from).to_vec();
        trunk(&mut changed, "carrier").out_of_service = out;
        let reply = desk.command(Command::Provision { provision: Box::new(changed) });
        assert!(!matches!(reply, Reply::Refused { .. }), "{reply:?}");
    };
    let service = |desk: &mut Desk| match desk.query(Query::Trunks) {
        Reply::Trunks { trunks } => trunks.iter().find(|t| t.name == "carrier").map(|t| (t.service, t.calls)),
        other => panic!("{other:?}"),
    };
    assert_eq!(service(&mut desk), Some((Service::InService, 1)));
    set(&mut desk, true);
    assert_eq!(service(&mut desk), Some((Service::BusyingOut, 1)), "the call goes on");
    assert_eq!(refused(&mut desk, "100"), Some((503, Cause::TemporaryFailure)));
    desk.call(Party::Phones, "ana", "85551000", Some(description(20_002, Flow::SendRecv)));
    desk.seconds(1);
    assert!(desk.rings(Party::Carrier, "85551000").is_none(), "nothing goes out either");
    desk.call(Party::Phones, "ana", "8300", Some(description(20_002, Flow::SendRecv)));
    desk.seconds(1);
    assert!(
        desk.rings(Party::Carrier, "300").or(desk.rings(Party::Carrier, "8300")).is_some(),
        "but an emergency call"
    );
    assert_eq!(refused(&mut desk, "300"), None, "an emergency call is taken all the same");
    set(&mut desk, false);
    assert_eq!(refused(&mut desk, "100"), None);
    assert_eq!(service(&mut desk).map(|s| s.0), Some(Service::InService));
}

/// By which trunk a call to a number that both lead to goes out: `c` by circuits, `s` by SIP.
fn goes_by(desk: &mut Desk) -> &'static str {
    let taken = |desk: &Desk| (1..=24).filter(|t| desk.port_on(*t).is_some()).count();
    let before = taken(desk);
    desk.forget(Party::Carrier);
    let session = desk.call(Party::Phones, "ana", "75551000", Some(description(20_002, Flow::SendRecv)));
    desk.seconds(1);
    let by_sip = desk.rings(Party::Carrier, "75551000").is_some();
    let by = match (taken(desk) > before, by_sip) {
        (true, false) => "c",
        (false, true) => "s",
        both => panic!("{both:?}"),
    };
    desk.hangup(Party::Phones, session);
    desk.seconds(5);
    by
}

#[test]
fn the_cheapest_trunk_that_is_there_comes_first() {
    let priced = |circuits: &str, carrier: &str| {
        with(|p| {
            for (name, cost) in [("central-office", circuits), ("carrier", carrier)] {
                let trunk = trunk(p, name);
                (trunk.prefix, trunk.cost) = (vec!["7".into()], cost.parse().expect("a decimal"));
            }
        })
    };
    assert_eq!(goes_by(&mut priced("0.02", "0.015")), "s");
    assert_eq!(goes_by(&mut priced("0.02", "0.020")), "c", "of one cost in the order provisioned");
    let mut desk = priced("0.01", "0.015");
    assert_eq!(goes_by(&mut desk), "c");
    desk.card(CardInput::Span { span: 1, alarm: Some("red") });
    assert_eq!(goes_by(&mut desk), "s", "the dearer while the circuits are in alarm");
    desk.card(CardInput::Span { span: 1, alarm: None });
    desk.seconds(5);
    assert_eq!(goes_by(&mut desk), "c");
}

/// The ways to a number, as the console shows them.
fn ways(desk: &mut Desk, number: &str, at: Option<Timestamp>, tenant: Option<&str>) -> RoutesView {
    match desk.query(Query::Routes { number: number.into(), at, tenant: tenant.map(String::from) }) {
        Reply::Routes(view) => *view,
        other => panic!("{other:?}"),
    }
}

fn in_words(view: &RoutesView) -> Vec<String> {
    let order = |way: &WayView| way.order.map_or("-".into(), |order| order.to_string());
    view.ways.iter().map(|way| format!("{} {} {}: {}", order(way), way.trunk, way.cost, way.why)).collect()
}

#[test]
fn the_hour_decides_who_is_asked_and_the_console_tells_why() {
    // Monday, 12:00 UTC, and that night.
    let [noon, night] = [1_795_435_200_000, 1_795_471_200_000].map(Timestamp);
    let hours = |days: &str, times: &str| -> Hours { [(days.to_string(), times.to_string())].into() };
    let mut desk = with(|p| {
        p.sip.emergency = vec!["115".into()];
        trunk(p, "central-office").prefix = vec!["7".into()];
        trunk(p, "central-office").cost = Decimal::whole(2);
        let carrier = trunk(p, "carrier");
        (carrier.prefix, carrier.cost) = (vec!["7".into()], Decimal::whole(3));
        carrier.tariff = vec![Tariff { hours: hours("mo-su", "22:00-06:00"), cost: Decimal::whole(1) }];
        let mut site = carrier.clone();
        site.peer[0].address = "127.0.0.9".into();
        site.peer.truncate(1);
        (site.name, site.prefix, site.hours) = ("site".into(), vec!["75".into()], hours("mo-su", "20:00-24:00"));
        p.trunk.push(site);
    });
    let at_noon = ways(&mut desk, "75551000", Some(noon), Some("acme"));
    assert_eq!(
        in_words(&at_noon),
        ["1 central-office 2: longest prefix, least cost", "2 carrier 3: dearer", "- site 3: not at this hour",]
    );
    assert_eq!((at_noon.ways[0].sent.as_str(), at_noon.emergency, &at_noon.within), ("5551000", false, &None));
    assert_eq!(
        in_words(&ways(&mut desk, "75551000", Some(night), None)),
        [
            "1 site 1: longest prefix, least cost",
            "- carrier 1: others have a longer prefix",
            "- central-office 2: others have a longer prefix",
        ]
    );
    desk.card(CardInput::Span { span: 1, alarm: Some("red") });
    assert_eq!(
        in_words(&ways(&mut desk, "7000", Some(noon), None)),
        ["1 carrier 3: longest prefix, least cost", "2 central-office 2: none of its circuits or peers is up"]
    );
    let emergency = ways(&mut desk, "7115", Some(noon), None);
    assert!(emergency.emergency, "as the circuits send it");
    assert_eq!(ways(&mut desk, "100", None, Some("acme")).within.as_deref(), Some("flow sales"));
    assert_eq!(ways(&mut desk, "ana", None, Some("acme")).within.as_deref(), Some("agent ana"));
    let nobody = Query::Routes { number: "1".into(), at: None, tenant: Some("acmee".into()) };
    assert!(matches!(desk.query(nobody), Reply::Refused { .. }));
}

#[test]
fn outside_of_its_hours_a_trunk_is_as_though_not_there_but_for_emergencies() {
    let mut desk = with(|p| {
        p.sip.emergency = vec!["8115".into()];
        // A minute of the year, and it is not now.
        trunk(p, "carrier").hours =
            [("mo".to_string(), "00:00-00:01".to_string()), ("tu-su".to_string(), "closed".to_string())].into();
    });
    let session = desk.call(Party::Phones, "ana", "85551000", Some(description(20_002, Flow::SendRecv)));
    desk.seconds(1);
    assert!(desk.rings(Party::Carrier, "85551000").is_none());
    let told = desk.events.iter().find_map(|(_, event)| match event {
        Event::Failed { session: s, status, cause, .. } if *s == session => Some((*status, *cause)),
        _ => None,
    });
    assert_eq!(told, Some((404, Cause::NoRoute)));
    desk.call(Party::Phones, "ana", "8115", Some(description(20_002, Flow::SendRecv)));
    desk.seconds(1);
    assert!(desk.rings(Party::Carrier, "8115").is_some());
}

fn circuits(desk: &mut Desk, trunk: &str) -> Vec<CircuitView> {
    match desk.query(Query::Circuits { trunk: Some(trunk.into()) }) {
        Reply::Circuits { circuits } => circuits,
        other => panic!("{other:?}"),
    }
}

fn restart(desk: &mut Desk, trunk: &str, circuit: Option<&str>) -> Vec<RestartedCircuit> {
    match desk.command(Command::RestartCircuits { trunk: trunk.into(), circuit: circuit.map(String::from) }) {
        Reply::Restarted { circuits } => circuits,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_circuit_shows_whether_it_takes_calls_and_who_keeps_it_from_that() {
    use CircuitService::{BlockedByFarEnd, BusiedOut, BusyingOut, InService, OutOfService};
    let mut desk = with(|_| ());
    desk.seize(1, "100");
    // The far end goes off-hook, dials nothing and stays: so it blocks the circuit.
    let bits = |bits| CardInput::Cas { span: 1, timeslot: 2, bits };
    desk.no_far_end(2);
    desk.card(bits(0x0f));
    desk.seconds(5);
    let states = |desk: &mut Desk| -> Vec<CircuitService> {
        circuits(desk, "central-office").iter().take(3).map(|circuit| circuit.service).collect()
    };
    let all = circuits(&mut desk, "central-office");
    assert_eq!((all.len(), all[0].circuit.as_str(), all[0].calls.len(), all[0].carried), (24, "t1/1/1", 1, Some(1)));
    assert_eq!((all[1].idle, all[2].idle, all[1].held_s), (false, true, None));
    assert_eq!(states(&mut desk), [InService; 3]);
    desk.seconds(10);
    assert!(circuits(&mut desk, "central-office")[1].held_s.is_some(), "no digits came: we are on-hook");
    desk.seconds(10);
    assert_eq!(states(&mut desk), [InService, BlockedByFarEnd, InService]);
    let Reply::Trunks { trunks } = desk.query(Query::Trunks) else { panic!("trunks") };
    let health = trunks.iter().find(|t| t.name == "central-office").map(|t| t.health.join(" ")).unwrap_or_default();
    assert_eq!(health, "24 circuits, 22 idle, 0 blocked, 1 blocked by the far end");
    let told = restart(&mut desk, "central-office", Some("t1/1/2"));
    assert_eq!((told.len(), told[0].call, told[0].held), (1, None, true), "that takes the far end");
    desk.card(bits(0));
    desk.seconds(2);
    assert!(circuits(&mut desk, "central-office")[1].idle);

    let mut changed = provision(PROVISION);
    trunk(&mut changed, "central-office").out_of_service = true;
    desk.command(Command::Provision { provision: Box::new(changed) });
    assert_eq!(states(&mut desk), [BusyingOut, BusiedOut, BusiedOut]);
    let idle = |desk: &mut Desk| circuits(desk, "central-office").iter().filter(|circuit| circuit.idle).count();
    assert_eq!(idle(&mut desk), 23, "all but the one with the call");
    desk.card(CardInput::Span { span: 1, alarm: Some("red") });
    assert_eq!(states(&mut desk), [OutOfService; 3]);
    assert_eq!(idle(&mut desk), 24, "the line is cut: nothing is on any");

    let peers = circuits(&mut desk, "carrier");
    let told: Vec<_> = peers.iter().map(|peer| (peer.circuit.as_str(), peer.service, peer.calls.len())).collect();
    assert_eq!(told, [("127.0.0.2:5070", InService, 0), ("127.0.0.4:5070", InService, 0)]);
    let unknown = desk.query(Query::Circuits { trunk: Some("carier".into()) });
    assert!(matches!(&unknown, Reply::Refused { reason } if reason.contains("\"carrier\"")), "{unknown:?}");
}

#[test]
fn a_circuit_that_is_restarted_is_idle_and_its_call_is_over() {
    let mut desk = with(|_| ());
    let (session, taken) = dials_out(&mut desk);
    assert_eq!(taken, Some(1));
    desk.seconds(6);
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(1);
    let told = restart(&mut desk, "central-office", Some("t1/1/1"));
    desk.seconds(1);
    let cdr = desk.record();
    assert_eq!((told[0].call, cdr.cause), (Some(cdr.call_id), Some(Cause::TemporaryFailure)));
    assert!(cdr.events.iter().any(|event| event.what == RESTARTED && event.detail == "t1/1/1"));
    assert!(desk.heard(Party::Phones, |e| matches!(e, Event::Ended { session: s, .. } if *s == session)));
    desk.seconds(3);
    assert!(circuits(&mut desk, "central-office")[0].idle);
    // All at once: the others were idle already.
    assert!(restart(&mut desk, "central-office", None).iter().all(|told| told.call.is_none() && !told.held));
    desk.seconds(2);
    assert_eq!(dials_out(&mut desk).1, Some(1));
    let refused = |desk: &mut Desk, trunk: &str, circuit: Option<&str>| {
        let order = Command::RestartCircuits { trunk: trunk.into(), circuit: circuit.map(String::from) };
        matches!(desk.command(order), Reply::Refused { .. })
    };
    assert!(refused(&mut desk, "central-office", Some("t1/1/25")) && refused(&mut desk, "carrier", None));
}

#[test]
fn a_trunk_whose_circuits_the_far_end_blocks_is_not_in_service_and_an_alarm_says_so() {
    const ALARM: &str = "trunk-blocked-by-far-end";
    let mut desk = with(|_| ());
    let standing = |desk: &mut Desk| {
        let Reply::Trunks { trunks } = desk.query(Query::Trunks) else { panic!("trunks") };
        let service = trunks.iter().find(|t| t.name == "central-office").map(|t| t.service).expect("it is there");
        let alarms = desk.switch.status().alarms;
        (service, alarms.iter().filter(|a| a.name == ALARM && a.subject == "central-office").count())
    };
    let bits = |timeslot, bits| CardInput::Cas { span: 1, timeslot, bits };
    for timeslot in 1..=24 {
        desk.no_far_end(timeslot);
        desk.card(bits(timeslot, 0x0f));
    }
    desk.seconds(15);
    assert_eq!(standing(&mut desk), (Service::InService, 0), "they may be calls, or callers who hang up");
    desk.seconds(15);
    assert_eq!(standing(&mut desk), (Service::BlockedByFarEnd, 1));
    // An alarm on the line says more.
    desk.card(CardInput::Span { span: 1, alarm: Some("red") });
    assert_eq!(standing(&mut desk), (Service::Blocked, 0));
    desk.card(CardInput::Span { span: 1, alarm: None });
    (1..=24).for_each(|timeslot| desk.card(bits(timeslot, 0x0f)));
    desk.seconds(30);
    assert_eq!(standing(&mut desk), (Service::BlockedByFarEnd, 1));
    desk.card(bits(7, 0));
    desk.seconds(2);
    assert_eq!(standing(&mut desk), (Service::InService, 0), "one circuit is back");
    // A trunk that is gone has no alarm.
    desk.card(bits(7, 0x0f));
    desk.seconds(30);
    assert_eq!(standing(&mut desk).1, 1);
    let mut changed = provision(PROVISION);
    changed.span.clear();
    changed.trunk.retain(|trunk| trunk.name != "central-office");
    desk.command(Command::Provision { provision: Box::new(changed) });
    assert!(desk.switch.status().alarms.iter().all(|alarm| alarm.name != ALARM));
}
