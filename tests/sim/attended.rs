//! Attended transfer (REFER with Replaces) and calls taken over (INVITE with Replaces), as phones do them.

use cordboard::base::Redacted;
use cordboard::core::control::Command;
use cordboard::core::journal::{AgentStatus, Cdr};
use cordboard::proto::sdp::Direction as Flow;
use cordboard::proto::sip::{Credentials, Event, Invite, Path, SessionId, Transport};

use crate::desk::{Desk, PROVISION, Party, description};
use crate::provision;

fn desk() -> Desk {
    Desk::new(1, provision(PROVISION))
}

/// A client talks to ana, who has put it on hold and called `whom` on a second line of the phone.
fn consulting(desk: &mut Desk, whom: &str) -> (SessionId, SessionId, SessionId) {
    let client = desk.client("100");
    let ana = desk.agent_answers("ana");
    desk.reoffer(Party::Phones, ana, Flow::SendOnly);
    let consult = desk.call(Party::Phones, "ana", whom, Some(description(21_000, Flow::SendRecv)));
    (client, ana, consult)
}

fn replaces(desk: &mut Desk, session: SessionId) -> String {
    desk.with(Party::Phones, |e, _| e.replaces_value(session)).expect("a dialog")
}

/// The phone refers `on`, to be joined with the partner of `other`.
fn join(desk: &mut Desk, on: SessionId, other: SessionId) {
    let value = replaces(desk, other).replace(';', "%3B").replace('=', "%3D").replace('@', "%40");
    desk.refer(Party::Phones, on, &format!("whoever@127.0.0.1?Replaces={value}"));
}

fn statuses(desk: &Desk, of: SessionId) -> Vec<u16> {
    let status = |e: &Event| match e {
        Event::ReferProgress { session, status } if *session == of => Some(*status),
        _ => None,
    };
    desk.events.iter().filter(|(p, _)| *p == Party::Phones).filter_map(|(_, e)| status(e)).collect()
}

fn bridged(desk: &Desk, a: u16, b: u16) -> bool {
    desk.ports[&desk.port_to(a)].bridge == Some(desk.port_to(b))
}

fn party_port(session: SessionId) -> u16 {
    30_000 + (session.0 % 1_000) as u16
}

fn noted(cdr: &Cdr, what: &str) -> bool {
    cdr.events.iter().any(|e| e.what == what)
}

fn over(mut desk: Desk) {
    desk.seconds(700);
    desk.check_over();
}

#[test]
fn the_client_is_joined_with_a_consulted_colleague() {
    for reversed in [false, true] {
        let mut desk = desk();
        let (client, ana, consult) = consulting(&mut desk, "ben");
        let ben = desk.agent_answers("ben");
        let (on, other) = if reversed { (consult, ana) } else { (ana, consult) };
        join(&mut desk, on, other);
        assert_eq!(statuses(&desk, on).last(), Some(&200), "reversed {reversed}");
        assert!(bridged(&desk, 20_000, party_port(ben)), "reversed {reversed}");
        for gone in [ana, consult] {
            let ended = |e: &Event| matches!(e, Event::Ended { session, .. } if *session == gone);
            assert!(desk.heard(Party::Phones, ended), "ana is let go");
        }
        desk.seconds(1);
        assert_eq!(desk.agent("ana"), AgentStatus::Ready);
        // The consultation is recorded, and says into which call it went.
        assert_eq!(desk.cdrs.len(), 1);
        assert!(noted(&desk.cdrs[0], "transferred"));
        desk.hangup(Party::Carrier, client);
        desk.seconds(3);
        let cdr = desk.cdrs.last().expect("a record").clone();
        assert!(noted(&cdr, "transferred") && cdr.agent.as_deref() == Some("ben"), "{cdr:?}");
        assert_eq!(cdr.legs.len(), 3, "client, ana, ben");
        over(desk);
    }
}

#[test]
fn the_client_is_joined_with_an_outside_party() {
    let mut desk = desk();
    let (client, ana, consult) = consulting(&mut desk, "85551234");
    let outside = desk.rings(Party::Carrier, "85551234").expect("the carrier is called");
    desk.accept(Party::Carrier, outside);
    join(&mut desk, ana, consult);
    assert!(bridged(&desk, 20_000, party_port(outside)));
    desk.seconds(1);
    assert_eq!(desk.agent("ana"), AgentStatus::Ready);
    desk.hangup(Party::Carrier, outside);
    assert!(desk.heard(Party::Carrier, |e| matches!(e, Event::Ended { session, .. } if *session == client)));
    over(desk);
}

#[test]
fn a_consulted_party_may_still_ring() {
    let mut desk = desk();
    let (client, ana, consult) = consulting(&mut desk, "ben");
    let ben = desk.rings(Party::Phones, "ben").expect("ben rings");
    desk.with(Party::Phones, |e, now| e.provisional(now, ben, 180, None));
    join(&mut desk, ana, consult);
    assert_eq!(statuses(&desk, ana), [100, 180]);
    desk.accept(Party::Phones, ben);
    assert_eq!(statuses(&desk, ana), [100, 180, 200]);
    assert!(bridged(&desk, 20_000, party_port(ben)));
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn a_consulted_party_of_whom_it_is_not_known_yet_who_answered_is_joined() {
    let mut desk = desk();
    let (client, ana, consult) = consulting(&mut desk, "600");
    let target = desk.rings(Party::Carrier, "85551234").expect("the target rings");
    desk.accept(Party::Carrier, target);
    join(&mut desk, ana, consult);
    assert_eq!(statuses(&desk, ana).last(), Some(&200));
    assert!(bridged(&desk, 20_000, party_port(target)));
    desk.seconds(30);
    assert!(bridged(&desk, 20_000, party_port(target)), "whatever the plane says later");
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn a_refused_join_leaves_the_consulted_number_its_other_ways() {
    let mut desk = desk();
    desk.command(Command::SignIn { tenant: "acme".into(), agent: "ben".into() });
    let call = desk.call(Party::Phones, "ana", "100", Some(description(20_000, Flow::SendRecv)));
    let ben = desk.agent_answers("ben");
    let consult = desk.call(Party::Phones, "ana", "85551234", Some(description(21_000, Flow::SendRecv)));
    let first = desk.rings(Party::Carrier, "85551234").expect("the first peer");
    join(&mut desk, call, consult);
    assert_eq!(statuses(&desk, call).last(), Some(&603), "an agent is nobody's client");
    desk.with(Party::Carrier, |e, now| e.reject(now, first, 503, None, None));
    assert!(desk.rings(Party::Backup, "85551234").is_some(), "the second peer");
    desk.hangup(Party::Phones, ben);
    over(desk);
}

#[test]
fn a_consulted_party_that_refuses_leaves_the_client_with_its_agent() {
    let mut desk = desk();
    let (client, ana, consult) = consulting(&mut desk, "ben");
    let ben = desk.rings(Party::Phones, "ben").expect("ben rings");
    desk.with(Party::Phones, |e, now| e.provisional(now, ben, 180, None));
    join(&mut desk, ana, consult);
    desk.with(Party::Phones, |e, now| e.reject(now, ben, 486, None, None));
    assert_eq!(statuses(&desk, ana), [100, 180, 486]);
    desk.reoffer(Party::Phones, ana, Flow::SendRecv);
    assert!(desk.client_port().bridge.is_some());
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn a_consulted_queue_takes_the_client() {
    let mut desk = desk();
    desk.command(Command::SignIn { tenant: "acme".into(), agent: "ben".into() });
    let (client, ana, consult) = consulting(&mut desk, "100");
    let ben = desk.agent_answers("ben");
    join(&mut desk, ana, consult);
    assert!(bridged(&desk, 20_000, party_port(ben)));
    desk.seconds(1);
    assert_eq!((desk.agent("ana"), desk.agent("ben")), (AgentStatus::Ready, AgentStatus::Busy));
    desk.hangup(Party::Carrier, client);
    desk.seconds(3);
    assert_eq!(desk.agent("ben"), AgentStatus::Ready);
    over(desk);
}

#[test]
fn an_agent_who_dialled_out_hands_over() {
    let mut desk = desk();
    let call = desk.call(Party::Phones, "ana", "85551234", Some(description(21_000, Flow::SendRecv)));
    let outside = desk.rings(Party::Carrier, "85551234").expect("the carrier is called");
    desk.accept(Party::Carrier, outside);
    desk.refer(Party::Phones, call, "ben");
    let ben = desk.agent_answers("ben");
    assert_eq!(statuses(&desk, call).last(), Some(&200));
    assert!(bridged(&desk, party_port(outside), party_port(ben)));
    desk.hangup(Party::Phones, ben);
    assert!(desk.heard(Party::Carrier, |e| matches!(e, Event::Ended { session, .. } if *session == outside)));
    over(desk);
}

#[test]
fn an_outside_party_hands_nobody_over() {
    let mut desk = desk();
    let call = desk.call(Party::Phones, "ana", "85551234", Some(description(21_000, Flow::SendRecv)));
    let outside = desk.rings(Party::Carrier, "85551234").expect("the carrier is called");
    desk.accept(Party::Carrier, outside);
    for target in ["85559999", "ben", "100", "sip%3Abad%4010.0.0.1"] {
        desk.refer(Party::Carrier, outside, target);
    }
    let refused = |(party, e): &(Party, Event)| match e {
        Event::ReferProgress { session, status } if *party == Party::Carrier && *session == outside => Some(*status),
        _ => None,
    };
    assert_eq!(desk.events.iter().filter_map(refused).collect::<Vec<_>>(), [603; 4]);
    assert!(desk.rings(Party::Carrier, "85559999").is_none());
    assert!(bridged(&desk, 21_000, party_port(outside)), "the call goes on");
    desk.hangup(Party::Phones, call);
    over(desk);
}

#[test]
fn a_phone_dials_numbers_and_no_hosts() {
    let mut desk = desk();
    // RFC 3261 section 19.1.1: the user part may hide a whole URI behind percent signs.
    for number in ["sip%3A127.0.0.88%3A7000", "sip%3Aspy%40127.0.0.88", "sips%3A127.0.0.88"] {
        let session = desk.call(Party::Phones, "ana", number, Some(description(21_000, Flow::SendRecv)));
        let status = refused(&desk, Party::Phones, session);
        assert!(matches!(status, Some(404 | 484)), "{number}: {status:?}");
    }
    // Service codes are numbers, and a `#` stands escaped in a URI (RFC 3261 section 25.1).
    let session = desk.call(Party::Phones, "ana", "8*21*55%23", Some(description(21_000, Flow::SendRecv)));
    let outside = desk.rings(Party::Carrier, "8*21*55#").expect("the carrier is called");
    assert!(desk.calls_out.last().is_some_and(|(_, text)| text.starts_with("INVITE sip:8*21*55%23@127.0.0.2")));
    desk.accept(Party::Carrier, outside);
    desk.hangup(Party::Phones, session);
    over(desk);
}

#[test]
fn a_dialog_that_is_not_ours_or_not_the_phones_is_not_joined() {
    let mut desk = desk();
    let client = desk.client("100");
    let ana = desk.agent_answers("ana");
    // ben's own call, named by ana.
    let bens = desk.call(Party::Phones, "ben", "85551234", Some(description(21_000, Flow::SendRecv)));
    let outside = desk.rings(Party::Carrier, "85551234").expect("the carrier is called");
    desk.accept(Party::Carrier, outside);
    join(&mut desk, ana, bens);
    desk.refer(Party::Phones, ana, "ben@127.0.0.1?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc");
    desk.refer(Party::Phones, ana, "ben@127.0.0.1?Replaces=a");
    assert_eq!(statuses(&desk, ana), [403, 404, 404]);
    assert!(desk.client_port().bridge.is_some(), "the call goes on");
    assert!(bridged(&desk, 21_000, party_port(outside)));
    desk.hangup(Party::Carrier, client);
    desk.hangup(Party::Phones, bens);
    over(desk);
}

/// An INVITE with Replaces from one of the parties.
fn take(desk: &mut Desk, party: Party, user: &str, value: &str) -> SessionId {
    let (host, port) = if party == Party::Phones { ([127, 0, 0, 3], 5080) } else { ([127, 0, 0, 2], 5070) };
    let (local, remote) = ((host, port).into(), ([127, 0, 0, 1], 5060).into());
    let path = Path { transport: Transport::Udp, local, remote, connection: 0, profile: 0 };
    let password = Redacted::new(format!("{user}-secret"));
    let invite = Invite {
        path,
        request_uri: "sip:100@127.0.0.1".into(),
        from_user: user.into(),
        from_display: None,
        from_host: "127.0.0.1".into(),
        to_uri: "sip:100@127.0.0.1".into(),
        contact_user: user.into(),
        sdp: Some(description(22_000, Flow::SendRecv)),
        credentials: Some(Credentials { user: user.into(), password }),
        max_forwards: 70,
        headers: vec![("Replaces".into(), value.into()), ("Require".into(), "replaces".into())],
    };
    desk.with(party, |e, now| e.invite(now, invite)).expect("a session")
}

fn refused(desk: &Desk, party: Party, of: SessionId) -> Option<u16> {
    desk.events.iter().find_map(|(p, e)| match e {
        Event::Failed { session, status, .. } if *p == party && *session == of => Some(*status),
        _ => None,
    })
}

#[test]
fn an_agent_moves_a_call_to_another_phone() {
    // It takes a place that is there, so it needs no room.
    let mut full = provision(PROVISION);
    full.sip.calls_max = 1;
    let mut desk = Desk::new(1, full);
    let client = desk.client("100");
    let ana = desk.agent_answers("ana");
    let value = replaces(&mut desk, ana);
    let early = take(&mut desk, Party::Phones, "ana", &format!("{value};early-only"));
    assert_eq!(refused(&desk, Party::Phones, early), Some(486));
    let taken = take(&mut desk, Party::Phones, "ana", &value);
    assert!(desk.heard(Party::Phones, |e| matches!(e, Event::Answered { session, .. } if *session == taken)));
    assert!(desk.heard(Party::Phones, |e| matches!(e, Event::Ended { session, .. } if *session == ana)));
    assert!(bridged(&desk, 20_000, 22_000));
    assert_eq!(desk.agent("ana"), AgentStatus::Busy);
    desk.hangup(Party::Phones, taken);
    assert!(desk.heard(Party::Carrier, |e| matches!(e, Event::Ended { session, .. } if *session == client)));
    over(desk);
}

#[test]
fn nobody_else_takes_a_call() {
    let mut desk = desk();
    let client = desk.client("100");
    let ana = desk.agent_answers("ana");
    let value = replaces(&mut desk, ana);
    let ben = take(&mut desk, Party::Phones, "ben", &value);
    assert_eq!(refused(&desk, Party::Phones, ben), Some(403), "a colleague, a call that is up");
    let carrier = take(&mut desk, Party::Carrier, "5550001", &value);
    assert_eq!(refused(&desk, Party::Carrier, carrier), Some(403), "a trunk, an agent's leg");
    let unknown = take(&mut desk, Party::Carrier, "5550001", "x;to-tag=1;from-tag=2");
    assert_eq!(refused(&desk, Party::Carrier, unknown), Some(481));
    let malformed = take(&mut desk, Party::Carrier, "5550001", "x;to-tag=1");
    assert_eq!(refused(&desk, Party::Carrier, malformed), Some(400));
    assert!(desk.client_port().bridge.is_some(), "the call goes on");
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn a_peer_replaces_its_own_dialog() {
    let mut desk = desk();
    let client = desk.client("100");
    let ana = desk.agent_answers("ana");
    let value = desk.with(Party::Carrier, |e, _| e.replaces_value(client)).expect("a dialog");
    let taken = take(&mut desk, Party::Carrier, "5550002", &value);
    assert!(bridged(&desk, 22_000, party_port(ana)));
    desk.hangup(Party::Phones, ana);
    assert!(desk.heard(Party::Carrier, |e| matches!(e, Event::Ended { session, .. } if *session == taken)));
    over(desk);
}
