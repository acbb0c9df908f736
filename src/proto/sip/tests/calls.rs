//! Calls from INVITE to BYE.

use super::*;

#[test]
fn a_call_is_made_answered_and_ended_by_the_caller() {
    let mut w = World::new();
    let (a, b) = {
        let a = w.invite();
        w.run(10);
        let incoming = w.incoming();
        assert_eq!(incoming.request_user, "100");
        assert_eq!(incoming.from_user, "+15551234");
        assert_eq!(incoming.from_display, "An \"odd\" name");
        assert_eq!(incoming.to_user, "100");
        assert_eq!(incoming.origin.asserted.as_ref().map(|user| user.as_str()), Some("+15559999"));
        assert_eq!(incoming.authenticated, None);
        assert_eq!(incoming.sdp, Some(offer()));
        assert_eq!(incoming.user_agent, "test");
        assert_eq!(w.sent(Side::B), ["SIP/2.0 100 Trying"]);
        (a, incoming.session)
    };
    let now = w.now;
    w.b.provisional(now, b, 180, None);
    w.run(10);
    assert_eq!(w.events(Side::A), [Event::Provisional { session: a, status: 180, sdp: None }]);
    let now = w.now;
    w.b.accept(now, b, answer());
    w.run(10);
    assert_eq!(w.events(Side::A), [Event::Answered { session: a, sdp: Some(answer()) }]);
    assert_eq!(w.events(Side::B), [Event::Acked { session: b, sdp: None }]);
    let now = w.now;
    w.a.hangup(now, a, Cause::Busy);
    w.run(10);
    assert_eq!(w.events(Side::A), []);
    assert_eq!(w.events(Side::B), [Event::Ended { session: b, cause: Cause::Busy }]);
    let sent = w.sent(Side::A);
    let methods: Vec<&str> = sent.iter().filter_map(|l| l.split(' ').next()).collect();
    assert_eq!(methods, ["INVITE", "ACK", "BYE"]);
    w.settle();
}

#[test]
fn the_callee_can_end_it() {
    let mut w = World::new();
    let (a, b) = w.talk();
    let now = w.now;
    w.b.hangup(now, b, Cause::Normal);
    w.run(10);
    assert_eq!(w.events(Side::A), [Event::Ended { session: a, cause: Cause::Normal }]);
    w.settle();
}

#[test]
fn both_hang_up_at_once() {
    let mut w = World::new();
    let (a, b) = w.talk();
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.b.hangup(now, b, Cause::Normal);
    w.run(100);
    assert_eq!((w.events(Side::A), w.events(Side::B)), (vec![], vec![]));
    assert_eq!(w.sent(Side::A), ["BYE sip:100@127.0.0.2:5060 SIP/2.0", "SIP/2.0 200 OK"]);
    w.settle();
}

#[test]
fn the_same_over_tcp_in_single_octets() {
    let mut w = World::tcp();
    let (a, b) = w.ring();
    let (now, path) = (w.now, w.path(Side::A));
    w.b.accept(now, b, answer());
    let ok = w.b.poll_transmit().expect("a 200").bytes;
    for octet in ok.iter() {
        w.a.receive_stream(now, path, &[*octet]);
    }
    assert_eq!(w.a.poll_event(), Some(Event::Answered { session: a, sdp: Some(answer()) }));
    w.run(40_000);
    assert_eq!(w.events(Side::B), [Event::Acked { session: b, sdp: None }]);
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn a_refusal_brings_status_and_cause() {
    for (cause, expected) in [(None, Cause::Busy), (Some(Cause::NoCircuit), Cause::NoCircuit)] {
        let mut w = World::new();
        let (a, b) = w.ring();
        let now = w.now;
        w.b.reject(now, b, 486, cause, Some(7));
        w.run(10);
        assert_eq!(
            w.events(Side::A),
            [Event::Failed { session: a, status: 486, cause: expected, retry_after_s: Some(7) }]
        );
        assert!(w.wire.iter().any(|(_, m)| m.starts_with("SIP/2.0 486 Busy Here") && m.contains("Retry-After: 7\r\n")));
        assert_eq!(w.sent(Side::A).len(), 2, "INVITE and ACK");
        w.settle();
    }
}

#[test]
fn early_media_is_reported_and_stands_in_for_an_answer_without_description() {
    let mut w = World::new();
    let (a, b) = w.ring();
    let now = w.now;
    w.b.provisional(now, b, 183, Some(answer()));
    w.run(10);
    assert_eq!(w.events(Side::A), [Event::Provisional { session: a, status: 183, sdp: Some(answer()) }]);
    let now = w.now;
    w.b.accept(now, b, answer());
    // The description is taken out of the 200 on its way.
    let ok = w.b.poll_transmit().expect("a 200").bytes;
    let text = String::from_utf8(ok.to_vec()).expect("text");
    let head = text.split("Content-Type").next().expect("a head");
    let path = w.path(Side::A);
    w.a.receive(now, path, Bytes::from(format!("{head}Content-Length: 0\r\n\r\n")));
    assert_eq!(w.a.poll_event(), Some(Event::Answered { session: a, sdp: Some(answer()) }));
}

#[test]
fn cancel_ends_a_ringing_call() {
    let mut w = World::new();
    let (a, b) = w.ring();
    let now = w.now;
    w.b.provisional(now, b, 180, None);
    w.run(10);
    w.events(Side::A);
    let now = w.now;
    w.a.hangup(now, a, Cause::NoAnswer);
    w.run(10);
    assert_eq!(w.events(Side::B), [Event::Cancelled { session: b, cause: Cause::NoAnswer }]);
    assert_eq!(w.events(Side::A), []);
    let sent = w.sent(Side::B);
    assert_eq!(sent, ["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);
    w.settle();
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut w = World::new();
    let a = w.invite();
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    assert_eq!(w.sent(Side::A), ["INVITE sip:100@127.0.0.2:5060 SIP/2.0"]);
    w.run(10);
    let b = w.incoming().session;
    w.run(10);
    let sent = w.sent(Side::A);
    assert!(sent.iter().any(|l| l.starts_with("CANCEL ")), "{sent:?}");
    assert_eq!(w.events(Side::B), [Event::Cancelled { session: b, cause: Cause::Normal }]);
    assert_eq!(w.events(Side::A), []);
    w.settle();
}

#[test]
fn answers_that_belong_before_what_follows_them_promise_nothing() {
    let path = World::new().path(Side::A);
    let is_promise = |text: &'static str| Transmit { path, bytes: Bytes::from_static(text.as_bytes()) }.is_promise();
    assert!(is_promise("SIP/2.0 200 OK\r\nVia: x\r\nCSeq: 1 INVITE\r\n\r\n"));
    assert!(!is_promise("SIP/2.0 200 OK\r\nVia: x\r\nCSeq: 1 CANCEL\r\n\r\n"));
    assert!(!is_promise("SIP/2.0 200 OK\r\nVia: x\r\nCSeq: 1 OPTIONS\r\n\r\n"));
    assert!(!is_promise("SIP/2.0 202 Accepted\r\nVia: x\r\nCSeq: 1 REFER\r\n\r\n"));
    assert!(!is_promise("SIP/2.0 487 Request Terminated\r\nCSeq: 1 INVITE\r\n\r\n"));
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut w = World::new();
    let (a, b) = w.ring();
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.b.accept(now, b, answer());
    w.run(100);
    assert_eq!(w.events(Side::A), []);
    let events = w.events(Side::B);
    assert!(events.contains(&Event::Acked { session: b, sdp: None }), "{events:?}");
    assert!(events.contains(&Event::Ended { session: b, cause: Cause::Normal }), "{events:?}");
    let sent = w.sent(Side::A).join("\n");
    assert!(sent.contains("CANCEL ") && sent.contains("ACK ") && sent.contains("BYE "), "{sent}");
    w.settle();
}

#[test]
fn hangup_before_the_ack_waits_for_it() {
    let mut w = World::new();
    let (_, b) = w.ring();
    let now = w.now;
    w.b.accept(now, b, answer());
    w.b.hangup(now, b, Cause::Normal);
    assert!(!w.sent(Side::B).iter().any(|l| l.starts_with("BYE")));
    w.run(10);
    assert!(w.sent(Side::B).iter().any(|l| l.starts_with("BYE")));
    w.settle();
}

#[test]
fn an_answer_nobody_acknowledges_ends_after_64_t1() {
    let mut w = World::new();
    let (_, b) = w.ring();
    w.deaf = Some(Side::A);
    let now = w.now;
    w.sent(Side::B);
    w.b.accept(now, b, answer());
    w.run(31_900);
    // T1 doubling to T2: 0, 0.5, 1.5, 3.5, 7.5, 11.5, ... 31.5 s.
    assert_eq!(w.sent(Side::B).len(), 11);
    assert_eq!(w.events(Side::B), []);
    w.run(200);
    assert_eq!(w.events(Side::B), [Event::Ended { session: b, cause: Cause::TimerExpired }]);
    assert!(w.sent(Side::B).iter().any(|l| l.starts_with("BYE")));
    w.settle();
}

#[test]
fn an_offerless_invite_gets_the_offer_in_the_200_and_the_answer_in_the_ack() {
    let mut w = World::new();
    let order = Invite { sdp: None, ..w.order() };
    let now = w.now;
    let a = w.a.invite(now, order).expect("a session");
    w.run(10);
    let incoming = w.incoming();
    assert_eq!(incoming.sdp, None);
    let now = w.now;
    w.b.accept(now, incoming.session, offer());
    w.run(10);
    assert_eq!(w.events(Side::A), [Event::Answered { session: a, sdp: Some(offer()) }]);
    assert_eq!(w.events(Side::B), [Event::Acked { session: incoming.session, sdp: None }]);
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn the_second_fork_is_acknowledged_and_ended() {
    let mut w = World::new();
    let (a, b) = w.ring();
    let now = w.now;
    w.b.accept(now, b, answer());
    let ok = w.b.poll_transmit().expect("a 200").bytes;
    let text = String::from_utf8(ok.to_vec()).expect("text");
    let tag = text.split("To: <sip:100@127.0.0.2>;tag=").nth(1).and_then(|t| t.split("\r\n").next()).expect("a tag");
    let fork = Bytes::from(text.replace(tag, "other-fork"));
    let path = w.path(Side::A);
    w.a.receive(now, path, ok);
    w.run(10);
    w.sent(Side::A);
    w.a.receive(now, path, fork.clone());
    let sent = w.sent(Side::A);
    assert!(sent[0].starts_with("ACK ") && sent[1].starts_with("BYE "), "{sent:?}");
    assert_eq!(w.events(Side::A), [Event::Answered { session: a, sdp: Some(answer()) }]);
    assert_eq!(w.a.counters()["fork-ended"], 1);
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn a_dead_peer_fails_a_call_after_64_t1_and_a_dead_transport_at_once() {
    let mut w = World::new();
    w.deaf = Some(Side::B);
    let a = w.invite();
    w.run(31_999);
    assert_eq!(w.events(Side::A), []);
    w.run(2);
    assert_eq!(
        w.events(Side::A),
        [Event::Failed { session: a, status: 408, cause: Cause::TimerExpired, retry_after_s: None }]
    );
    // Timer A: 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s.
    assert_eq!(w.sent(Side::A).len(), 7);
    let a = w.invite();
    let (now, path) = (w.now, w.path(Side::A));
    w.a.transport_failed(now, path);
    assert_eq!(
        w.events(Side::A),
        [Event::Failed { session: a, status: 503, cause: Cause::TemporaryFailure, retry_after_s: None }]
    );
    w.settle();
}

#[test]
fn a_closed_stream_fails_what_waits_and_is_made_anew_for_the_rest() {
    let mut w = World::tcp();
    let (a, b) = w.talk();
    let asking = w.invite();
    let now = w.now;
    w.a.connection_closed(now, 7);
    assert_eq!(
        w.events(Side::A),
        [Event::Failed { session: asking, status: 503, cause: Cause::TemporaryFailure, retry_after_s: None }]
    );
    while w.a.poll_transmit().is_some() {}
    w.a.hangup(now, a, Cause::Normal);
    let bye = w.a.poll_transmit().expect("a BYE");
    assert_eq!((bye.path.connection, bye.path.remote), (0, Side::B.address()));
    let path = w.path(Side::B);
    w.b.receive_stream(now, path, &bye.bytes);
    assert!(w.events(Side::B).contains(&Event::Ended { session: b, cause: Cause::Normal }));
}

/// A connection that the peer made names no profile: the session keeps the one by which another can be made.
#[test]
fn a_session_keeps_its_profile() {
    let mut w = World::tcp();
    let (a, b) = w.talk();
    w.b.set_profile(b, 3);
    // A request of the peer's, on its own connection.
    let now = w.now;
    w.a.reinvite(now, a, offer());
    w.run(50);
    w.b.answer_reoffer(now, b, Ok(answer()));
    w.run(50);
    w.b.connection_closed(w.now, 7);
    w.b.hangup(w.now, b, Cause::Normal);
    let bye = w.b.poll_transmit().expect("a BYE");
    assert_eq!((bye.path.connection, bye.path.profile), (0, 3));
}

#[test]
fn an_unanswered_call_is_given_up_after_five_minutes() {
    let mut w = World::new();
    let (a, b) = w.ring();
    let now = w.now;
    w.b.provisional(now, b, 180, None);
    w.run(299_000);
    let ringing = w.sent(Side::B).iter().filter(|l| l.contains("180")).count();
    assert_eq!(ringing, 5, "once, and again each minute");
    w.events(Side::A);
    w.run(2000);
    assert_eq!(w.events(Side::A).iter().filter(|e| matches!(e, Event::Failed { .. })).count(), 1);
    assert_eq!(w.events(Side::B), [Event::Cancelled { session: b, cause: Cause::NoAnswer }]);
    let _ = a;
    w.settle();
}

#[test]
fn stopping_and_full_refuse_with_503_and_retry_after() {
    let mut w = World::new();
    w.b.set_stopping(true);
    let a = w.invite();
    w.run(10);
    assert!(matches!(w.events(Side::A)[..], [Event::Failed { session, status: 503, .. }] if session == a));
    let (now, path) = (w.now, w.path(Side::A));
    let probe = w.a.probe(now, path, "sip:127.0.0.2".into());
    w.run(10);
    assert_eq!(w.events(Side::A), [Event::Probed { id: probe, status: Some(503) }]);
    assert!(w.wire.iter().filter(|(s, m)| *s == Side::B && m.contains("Retry-After: ")).count() >= 2);
    w.b.set_stopping(false);
    w.b = Endpoint::new(EndpointConfig { sessions_max: 0, ..config(3) });
    w.invite();
    w.run(10);
    assert_eq!(w.b.counters()["sessions-full"], 1);
    w.settle();
}

#[test]
fn sessions_max_holds_for_our_own_calls() {
    let mut w = World::new();
    w.a = Endpoint::new(EndpointConfig { sessions_max: 1, ..config(3) });
    w.invite();
    let (now, order) = (w.now, w.order());
    assert_eq!(w.a.invite(now, order), None);
}

#[test]
fn orders_cannot_inject_lines() {
    let mut w = World::new();
    let now = w.now;
    for bad in ["sip:x@h\r\nEvil: 1", "h", "sip:x@h>\r\n"] {
        let order = Invite { request_uri: bad.into(), ..w.order() };
        assert_eq!(w.a.invite(now, order), None, "{bad}");
        let order = Invite { to_uri: bad.into(), ..w.order() };
        assert_eq!(w.a.invite(now, order), None, "{bad}");
    }
    let order = Invite { from_host: "h\r\nEvil: 1".into(), ..w.order() };
    assert_eq!(w.a.invite(now, order), None);
    let order = Invite {
        from_user: "a\r\nEvil: 1".into(),
        from_display: Some("d\r\nEvil: 1".into()),
        contact_user: "c\r\nEvil: 1".into(),
        headers: vec![
            ("X\r\nEvil".into(), "1".into()),
            ("X".into(), "1\r\nEvil: 1".into()),
            ("Via".into(), "x".into()),
        ],
        ..w.order()
    };
    w.a.invite(now, order).expect("a session");
    let text = String::from_utf8(w.a.poll_transmit().expect("an INVITE").bytes.to_vec()).expect("text");
    assert!(!text.lines().any(|l| l.starts_with("Evil")), "{text}");
    assert_eq!(w.a.counters()["header-left-out"], 3);
    w.run(600);
    assert_eq!(w.incoming().from_user, "a\r\nEvil: 1");
}

#[test]
fn requests_within_a_call_follow_record_route_and_contact() {
    let mut w = World::new();
    let (_, b) = w.ring();
    let now = w.now;
    w.b.hangup(now, b, Cause::Normal);
    w.run(100);
    w.give_b(
        "INVITE sip:100@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKrr1\r\n\
         Record-Route: <sip:127.0.0.9:5070;lr>, <sip:127.0.0.8;lr>\r\nMax-Forwards: 70\r\n\
         From: <sip:x@y>;tag=f\r\nTo: <sip:100@127.0.0.2>\r\nCall-ID: rr\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:caller@127.0.0.77:5099>\r\nContent-Length: 0\r\n\r\n",
    );
    let b = w.incoming().session;
    let now = w.now;
    w.b.accept(now, b, answer());
    let ok = w.b.poll_transmit().expect("a 200");
    let text = String::from_utf8(ok.bytes.to_vec()).expect("text");
    assert!(text.contains("Record-Route: <sip:127.0.0.9:5070;lr>, <sip:127.0.0.8;lr>\r\n"), "{text}");
    assert!(text.contains("Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKrr1;received=127.0.0.1;rport=5060\r\n"), "{text}");
    let tag = text.split("To: <sip:100@127.0.0.2>;tag=").nth(1).and_then(|t| t.split("\r\n").next()).expect("a tag");
    w.give_b(format!(
        "ACK sip:100@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKrr2\r\nMax-Forwards: 70\r\n\
         From: <sip:x@y>;tag=f\r\nTo: <sip:100@127.0.0.2>;tag={tag}\r\nCall-ID: rr\r\nCSeq: 1 ACK\r\n\
         Content-Length: 0\r\n\r\n"
    ));
    w.b.hangup(now, b, Cause::Normal);
    let bye = w.b.poll_transmit().expect("a BYE");
    assert_eq!(bye.path.remote.to_string(), "127.0.0.9:5070");
    let text = String::from_utf8(bye.bytes.to_vec()).expect("text");
    assert!(text.starts_with("BYE sip:caller@127.0.0.77:5099 SIP/2.0\r\n"), "{text}");
    assert!(text.contains("Route: <sip:127.0.0.9:5070;lr>\r\nRoute: <sip:127.0.0.8;lr>\r\n"), "{text}");
}

/// RFC 3261 section 16.3 step 4: what comes back for the same target is a loop; for another it is a spiral, and a call.
#[test]
fn an_invite_of_ours_that_comes_back_is_a_loop() {
    for (target, loops) in [("100", true), ("200", false)] {
        let mut w = World::new();
        w.invite();
        let text = String::from_utf8(w.a.poll_transmit().expect("an INVITE").bytes.to_vec()).expect("text");
        let via = "Via: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bKproxy\r\nVia: ";
        let back = text.replacen("Via: ", via, 1).replace("INVITE sip:100@", &format!("INVITE sip:{target}@"));
        let (now, path) = (w.now, w.path(Side::A));
        w.a.receive(now, path, Bytes::from(back));
        assert_eq!(w.sent(Side::A).iter().any(|l| l == "SIP/2.0 482 Loop Detected"), loops, "{target}");
        assert_eq!(w.a.counters().get("loop").copied(), loops.then_some(1));
        let comes = |e: &Event| matches!(e, Event::Incoming(i) if i.request_user == target);
        assert_eq!(w.events(Side::A).iter().any(comes), !loops, "{target}");
    }
}
