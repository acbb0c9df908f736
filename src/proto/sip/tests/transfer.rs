//! REFER, both roles.

use super::*;

fn refer(w: &mut World) -> (SessionId, SessionId) {
    let (a, b) = w.talk();
    let now = w.now;
    w.a.refer(now, a, "sip:300@127.0.0.9");
    w.run(10);
    assert_eq!(w.events(Side::B), [Event::Referred { session: b, target: "sip:300@127.0.0.9".into() }]);
    (a, b)
}

#[test]
fn a_transfer_is_taken_and_reported() {
    let mut w = World::new();
    let (a, b) = refer(&mut w);
    let now = w.now;
    w.b.accept_refer(now, b, 202);
    w.run(10);
    assert_eq!(w.events(Side::A), [Event::ReferProgress { session: a, status: 100 }]);
    for status in [180, 200] {
        let now = w.now;
        w.b.notify_refer(now, b, status);
        w.run(10);
        assert_eq!(w.events(Side::A), [Event::ReferProgress { session: a, status }]);
    }
    let now = w.now;
    w.b.notify_refer(now, b, 200);
    w.run(10);
    assert_eq!(w.events(Side::A), [], "the subscription is over");
    let notifies: Vec<&String> = w.wire.iter().map(|(_, m)| m).filter(|m| m.starts_with("NOTIFY")).collect();
    assert_eq!(notifies.len(), 3);
    assert!(notifies[0].contains("Event: refer\r\nSubscription-State: active;expires=60\r\n"), "{}", notifies[0]);
    assert!(notifies[2].contains("Subscription-State: terminated;reason=noresource\r\n"), "{}", notifies[2]);
    assert!(notifies[2].ends_with("SIP/2.0 200 OK\r\n"), "{}", notifies[2]);
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn reports_keep_their_order() {
    let mut w = World::new();
    let (a, b) = refer(&mut w);
    let now = w.now;
    w.b.accept_refer(now, b, 202);
    w.b.notify_refer(now, b, 180);
    w.b.notify_refer(now, b, 486);
    w.run(100);
    let seen: Vec<u16> = w
        .events(Side::A)
        .into_iter()
        .map(|e| match e {
            Event::ReferProgress { session, status } if session == a => status,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seen, [100, 486]);
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn a_transfer_is_refused() {
    let mut w = World::new();
    let (a, b) = refer(&mut w);
    let now = w.now;
    w.b.accept_refer(now, b, 603);
    w.run(10);
    assert_eq!(w.events(Side::A), [Event::ReferProgress { session: a, status: 603 }]);
    let now = w.now;
    w.a.refer(now, a, "sip:x@y\r\nEvil: 1");
    assert_eq!(w.events(Side::A), [Event::ReferProgress { session: a, status: 400 }]);
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn a_transfer_nobody_answers_is_refused_and_one_of_an_ended_call_too() {
    let mut w = World::new();
    let (a, _) = refer(&mut w);
    w.run(33_000);
    assert_eq!(w.events(Side::A).len(), 1);
    let now = w.now;
    w.a.refer(now, a, "sip:301@127.0.0.9");
    w.run(10);
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn refer_outside_a_call_and_without_target_is_refused() {
    let mut w = World::new();
    w.give_b(
        "REFER sip:100@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:x@y>;tag=f\r\nTo: <sip:100@127.0.0.2>\r\nCall-ID: r\r\nCSeq: 1 REFER\r\n\
         Refer-To: <sip:z@z>\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(w.sent(Side::B), ["SIP/2.0 403 REFER outside a call"]);
}
