//! Calls that are not admitted and that their tenant wants elsewhere: over another trunk, at another appliance, at another number.

use cordboard::base::{Cause, DialString};
use cordboard::core::control::{Command, ContractView, Query, Reply};
use cordboard::core::tenant::Provision;
use cordboard::core::tenant::provision::{Flow, Number, Refusal, Trunk};
use cordboard::core::trunk::overflow::{NOT_OVERFLOWED, OVERFLOWED};
use cordboard::proto::cas::em_wink;
use cordboard::proto::sip::Event;

use crate::desk::{Desk, Party};
use crate::sharing::{STAY, call, said, shared};

/// `acme` may have one call by the carrier, and its others go to `to`. The carrier's second peer is the trunk `pbx`.
fn desk(to: &str, change: impl FnOnce(&mut Provision)) -> Desk {
    let provision = shared(|p| {
        let at = p.trunk.iter().position(|trunk| trunk.name == "carrier").expect("provisioned");
        let peer = vec![p.trunk[at].peer.remove(1)];
        p.trunk.push(Trunk { name: "pbx".into(), prefix: Vec::new(), peer, ..p.trunk[at].clone() });
        p.number.push(Number { number: "702".into(), tenant: "acme".into(), flow: "other".into() });
        p.flow.push(Flow { tenant: "acme".into(), name: "other".into(), text: STAY.into(), file: None });
        let contract = p.tenant[0].contract.as_mut().expect("one");
        (contract.refused, contract.refused_to) = (Refusal::Overflow, Some(to.into()));
        change(p);
    });
    let mut desk = Desk::new(1, provision);
    desk.command(Command::SignOut { tenant: "acme".into(), agent: "ana".into() });
    desk
}

/// Acme's calls come by circuits, and two of them are permitted, so that one is left on the line for who is not admitted.
fn on_circuits(p: &mut Provision) {
    let contract = p.tenant[0].contract.as_mut().expect("one");
    contract.trunks = vec!["central-office".into()];
}

fn record<'d>(desk: &'d Desk, what: &str) -> Option<&'d str> {
    let events = desk.cdrs.last().into_iter().flat_map(|cdr| &cdr.events);
    events.filter(|event| event.what == what).map(|event| event.detail.as_str()).next_back()
}

fn standing(desk: &mut Desk, trunk: &str) -> ContractView {
    let Reply::Contracts { contracts } = desk.query(Query::Contracts) else { panic!("contracts") };
    contracts.into_iter().find(|of| of.tenant == "acme" && of.trunk == trunk).expect("a contract")
}

/// An INVITE from the carrier's host by hand, and the answer to it.
fn invite(desk: &mut Desk, uri: &str, branch: &str) -> String {
    desk.strays.clear();
    desk.datagram(&format!(
        "INVITE {uri} SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.2:5099;branch=z9hG4bK{branch}\nMax-Forwards: 70\n\
         From: <sip:5550001@127.0.0.2>;tag={branch}\nTo: <{uri}>\nCall-ID: {branch}\nCSeq: 1 INVITE\n\
         Contact: <sip:5550001@127.0.0.2:5099>\nContent-Length: 0\n\n"
    ));
    desk.seconds(1);
    let said = desk.strays.iter().map(|octets| String::from_utf8_lossy(octets).into_owned());
    said.filter(|text| text.starts_with("SIP/2.0") && !text.starts_with("SIP/2.0 100")).last().expect("an answer")
}

#[test]
fn by_sip_the_callers_side_is_told_where_to_call_instead() {
    for (to, wanted) in [
        ("trunk:pbx", "sip:701@127.0.0.4:5070"),
        ("trunk:pbx/997", "sip:997@127.0.0.4:5070"),
        ("node:ivr", "sip:701@127.0.0.4:5070"),
        ("node:ivr/800", "sip:800@127.0.0.4:5070"),
    ] {
        let mut desk = desk(to, |p| {
            p.node.name = "front".into();
            p.trunk.last_mut().expect("pbx").node = Some("ivr".into());
        });
        assert_eq!(call(&mut desk, "701").1, None, "the one that is permitted");
        assert_eq!(call(&mut desk, "701").1, Some((302, Cause::NoCircuit)), "{to}");
        let at = wanted.split(['@', ':']).nth(1).unwrap_or_default();
        let place = format!("sent to {}/{at}", to.split('/').next().unwrap_or_default());
        assert_eq!(record(&desk, OVERFLOWED), Some(place.as_str()));
        assert_eq!(standing(&mut desk, "carrier").trunk_calls, Some(1), "it holds nothing here");
        let answer = invite(&mut desk, "sip:701@127.0.0.1", "first");
        assert!(answer.starts_with("SIP/2.0 302 Moved Temporarily\r\n"), "{answer}");
        assert!(answer.contains(&format!("\r\nContact: <{wanted};cause=480>\r\n")), "{answer}");
        assert!(answer.contains("\r\nReason: Q.850;cause=34;"), "{answer}");
        // What was deflected to here is deflected no further.
        let answer = invite(&mut desk, "sip:701@127.0.0.1;cause=480", "again");
        assert!(answer.starts_with("SIP/2.0 503 "), "{answer}");
        assert_eq!(record(&desk, NOT_OVERFLOWED), Some("it overflowed before"));
    }
}

#[test]
fn where_all_circuits_are_taken_the_callers_side_is_told_all_the_same() {
    let full = |p: &mut Provision| {
        let carrier = p.trunk.iter_mut().find(|trunk| trunk.name == "carrier").expect("provisioned");
        carrier.calls_max = 2;
        p.tenant[1].contract.as_mut().expect("calm's").after_hours = 1;
    };
    let mut with = desk("trunk:pbx", full);
    assert_eq!([call(&mut with, "701").1, call(&mut with, "700").1], [None; 2]);
    assert_eq!(call(&mut with, "701").1, Some((302, Cause::NoCircuit)));
    // A flow of our own would need one.
    let mut with = desk("702", full);
    assert_eq!([call(&mut with, "701").1, call(&mut with, "700").1], [None; 2]);
    assert_eq!(call(&mut with, "701").1, Some((503, Cause::NoCircuit)));
    assert_eq!(record(&with, NOT_OVERFLOWED), Some("no circuit is free, or others are likely to need it"));
}

#[test]
fn a_trunk_that_is_busied_out_takes_nothing_over() {
    let mut desk = desk("trunk:pbx", |p| p.trunk.last_mut().expect("pbx").out_of_service = true);
    assert_eq!(call(&mut desk, "701").1, None);
    assert_eq!(call(&mut desk, "701").1, Some((503, Cause::NoCircuit)));
    assert_eq!(record(&desk, NOT_OVERFLOWED), Some("there is no way"));
}

#[test]
fn nobody_is_sent_to_a_peer_that_is_down() {
    for to in ["trunk:pbx", "node:ivr/800"] {
        let mut desk = desk(to, |p| {
            p.node.name = "front".into();
            let pbx = p.trunk.last_mut().expect("pbx");
            (pbx.node, pbx.peer[0].options_s) = (Some("ivr".into()), 5);
        });
        assert_eq!(call(&mut desk, "701").1, None);
        assert_eq!(call(&mut desk, "701").1, Some((302, Cause::NoCircuit)), "{to}: it is up");
        desk.dead.insert(Party::Backup);
        desk.seconds(20);
        assert_eq!(call(&mut desk, "701").1, Some((503, Cause::NoCircuit)), "{to}");
        assert_eq!(record(&desk, NOT_OVERFLOWED), Some("there is no way"));
    }
}

#[test]
fn another_number_of_the_tenant_takes_calls_over_but_not_its_own() {
    let mut desk = desk("702", |_| {});
    assert_eq!(call(&mut desk, "701").1, None);
    let (session, refused) = call(&mut desk, "701");
    assert_eq!((refused, standing(&mut desk, "carrier").calls), (None, 2), "it holds a circuit there");
    assert_eq!(call(&mut desk, "702").1, Some((503, Cause::NoCircuit)));
    assert_eq!(record(&desk, NOT_OVERFLOWED), Some("it is there already"));
    desk.hangup(Party::Carrier, session);
    desk.seconds(2);
    let cdr = desk.cdrs.last().expect("a record");
    assert_eq!((said(cdr, OVERFLOWED), said(cdr, "flow")), (Some("702".into()), Some("other".into())));
}

#[test]
fn who_is_refused_holds_no_circuit_that_others_are_likely_to_need() {
    let few = |p: &mut Provision| {
        let carrier = p.trunk.iter_mut().find(|trunk| trunk.name == "carrier").expect("provisioned");
        carrier.calls_max = 6;
        p.tenant[1].contract.as_mut().expect("calm's").after_hours = 4;
    };
    let refused = Some((503, Cause::NoCircuit));
    let announced = |p: &mut Provision| {
        few(p);
        let contract = p.tenant[0].contract.as_mut().expect("one");
        (contract.refused, contract.refused_flow) = (Refusal::Flow, Some("other".into()));
        contract.refused_to = None;
    };
    for mut desk in [desk("702", few), desk("702", announced)] {
        let flood: Vec<_> = (0..4).map(|_| call(&mut desk, "701").1).collect();
        assert_eq!(flood, [None, None, refused, refused], "one permitted, one led on");
        assert_eq!([(); 4].map(|()| call(&mut desk, "700").1), [None; 4], "calm has all that it is permitted");
    }
}

#[test]
fn from_a_circuit_a_call_goes_on_over_the_other_trunk_while_that_has_room() {
    for (to, number) in [("trunk:carrier", "701"), ("trunk:carrier/5559999", "5559999"), ("node:ivr/800", "800")] {
        let mut desk = desk(to, |p| {
            on_circuits(p);
            p.node.name = "front".into();
            let carrier = p.trunk.iter_mut().find(|trunk| trunk.name == "carrier").expect("provisioned");
            (carrier.node, carrier.calls_max) = (Some("ivr".into()), 6);
        });
        desk.seize(1, "701");
        desk.seconds(3);
        desk.seize(2, "701");
        desk.seconds(5);
        let uri = desk.events.iter().find_map(|(_, event)| match event {
            Event::Incoming(incoming) if incoming.request_user == number => Some(incoming.request_uri.clone()),
            _ => None,
        });
        let uri = uri.unwrap_or_else(|| panic!("{to}: {:?}", desk.cdrs));
        assert!(uri.ends_with(";cause=480"), "whoever takes it knows: {uri}");
        let session = desk.rings(Party::Carrier, number).expect("it rings there");
        desk.accept(Party::Carrier, session);
        desk.seconds(1);
        assert!(desk.far_heard(2, &em_wink::Event::Answered), "{to}");
        desk.hangup(Party::Carrier, session);
        desk.seconds(5);
        assert_eq!(record(&desk, OVERFLOWED), Some(format!("{}/{number}", to.split('/').next().unwrap()).as_str()));
    }
}

#[test]
fn from_a_circuit_where_the_other_trunk_is_full_the_call_is_refused() {
    let mut desk = desk("trunk:carrier", |p| {
        on_circuits(p);
        let carrier = p.trunk.iter_mut().find(|trunk| trunk.name == "carrier").expect("provisioned");
        carrier.calls_max = 2;
    });
    assert_eq!([call(&mut desk, "700").1, call(&mut desk, "700").1], [None; 2], "calm has both");
    desk.seize(1, "701");
    desk.seconds(3);
    desk.seize(2, "701");
    desk.seconds(5);
    assert!(desk.rings(Party::Carrier, "701").is_none());
    desk.far(2, em_wink::Input::Release(Cause::Normal));
    desk.seconds(5);
    assert_eq!(record(&desk, NOT_OVERFLOWED), Some("there is no room either"));
    assert_eq!(desk.cdrs.last().and_then(|cdr| cdr.cause), Some(Cause::NoCircuit));
}

#[test]
fn from_sip_a_call_goes_on_over_circuits() {
    let mut desk = desk("trunk:central-office/5551234", |_| {});
    assert_eq!(call(&mut desk, "701").1, None);
    let (_, refused) = call(&mut desk, "701");
    assert_eq!(refused, None);
    desk.seconds(5);
    let address = em_wink::Event::Address(DialString::new("5551234").expect("digits"));
    assert!(desk.far_heard(1, &address), "{:?}", desk.far_events);
}
