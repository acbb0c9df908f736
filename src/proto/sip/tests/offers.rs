//! re-INVITE: hold, resume, glare.

use super::*;

const HELD: &[u8] = b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";

fn held() -> Bytes {
    Bytes::from_static(HELD)
}

#[test]
fn hold_and_resume_either_way() {
    let mut w = World::new();
    let (a, b) = w.talk();
    for (from, to, mine, theirs) in [(Side::A, Side::B, a, b), (Side::B, Side::A, b, a)] {
        for sdp in [held(), offer()] {
            let now = w.now;
            w.at(from).reinvite(now, mine, sdp.clone());
            w.run(10);
            assert_eq!(w.events(to), [Event::Reoffer { session: theirs, sdp: Some(sdp) }]);
            let now = w.now;
            w.at(to).answer_reoffer(now, theirs, Ok(answer()));
            w.run(10);
            assert_eq!(w.events(from), [Event::Reanswered { session: mine, answer: Ok(Some(answer())) }]);
            assert_eq!(w.events(to), []);
        }
    }
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn a_refused_offer_leaves_the_call_up() {
    let mut w = World::new();
    let (a, b) = w.talk();
    let now = w.now;
    w.a.reinvite(now, a, held());
    w.run(10);
    let now = w.now;
    w.b.answer_reoffer(now, b, Err(488));
    w.run(10);
    assert_eq!(w.events(Side::A), [Event::Reanswered { session: a, answer: Err(488) }]);
    let now = w.now;
    w.b.hangup(now, b, Cause::Normal);
    w.run(10);
    assert_eq!(w.events(Side::A), [Event::Ended { session: a, cause: Cause::Normal }]);
    w.settle();
}

#[test]
fn glare_is_resolved_by_491_and_waiting() {
    let mut w = World::new();
    let (a, b) = w.talk();
    let now = w.now;
    w.a.reinvite(now, a, held());
    w.b.reinvite(now, b, offer());
    let mut answered = Vec::new();
    for _ in 0..1000 {
        w.run(10);
        for side in [Side::A, Side::B] {
            for event in w.events(side) {
                let now = w.now;
                match event {
                    Event::Reoffer { session, .. } => w.at(side).answer_reoffer(now, session, Ok(answer())),
                    Event::Reanswered { session, answer } => {
                        assert!(answer.is_ok());
                        answered.push((side, session));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    answered.sort_by_key(|(_, session)| *session != a);
    assert_eq!(answered.len(), 2, "{answered:?}");
    let refused = w.sent(Side::A).iter().chain(&w.sent(Side::B)).filter(|l| l.contains("491 ")).count();
    assert_eq!(refused, 2);
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn who_made_the_call_id_waits_longer_after_glare() {
    for seed in 1..40 {
        let mut w = World::seeded(seed);
        let (a, b) = w.talk();
        let start = w.now.mono;
        w.a.reinvite(w.now, a, held());
        w.b.reinvite(w.now, b, offer());
        w.run(5000);
        let again = |side| {
            let mut times = w.log.iter().filter(|(s, _, l)| *s == side && l.starts_with("INVITE"));
            times.nth(1).map(|(_, at, _)| at.since(start))
        };
        let (first, second) = (again(Side::B).expect("B tries again"), again(Side::A));
        assert!(first <= Duration::from_millis(2100), "seed {seed}: {first:?}");
        assert!(second.is_none_or(|t| t >= Duration::from_millis(2100)), "seed {seed}: {second:?}");
    }
}

#[test]
fn an_offer_waits_for_the_one_under_way() {
    let mut w = World::new();
    let (a, b) = w.talk();
    let now = w.now;
    w.a.reinvite(now, a, held());
    w.a.reinvite(now, a, offer());
    w.run(10);
    assert_eq!(w.events(Side::B), [Event::Reoffer { session: b, sdp: Some(held()) }]);
    let now = w.now;
    w.b.answer_reoffer(now, b, Ok(answer()));
    w.run(10);
    assert_eq!(w.events(Side::B), [Event::Reoffer { session: b, sdp: Some(offer()) }]);
    let now = w.now;
    w.b.answer_reoffer(now, b, Ok(answer()));
    w.run(10);
    assert_eq!(w.events(Side::A).len(), 2);
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn a_lost_ack_is_made_up_for_by_the_retransmitted_200() {
    let mut w = World::new();
    let (a, b) = w.talk();
    let now = w.now;
    w.a.reinvite(now, a, held());
    w.run(10);
    w.events(Side::B);
    let now = w.now;
    w.b.answer_reoffer(now, b, Ok(answer()));
    w.deaf = Some(Side::B);
    w.run(20);
    w.deaf = None;
    w.sent(Side::B);
    w.run(40_000);
    assert_eq!(w.sent(Side::B), ["SIP/2.0 200 OK"]);
    assert_eq!(w.events(Side::B), []);
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn hangup_answers_the_offer_that_waits() {
    let mut w = World::new();
    let (a, b) = w.talk();
    let now = w.now;
    w.a.reinvite(now, a, held());
    w.run(10);
    let now = w.now;
    w.b.hangup(now, b, Cause::Normal);
    w.run(100);
    let sent = w.sent(Side::B);
    assert!(sent.iter().any(|l| l.contains("487 ")), "{sent:?}");
    let events = w.events(Side::A);
    assert!(events.contains(&Event::Ended { session: a, cause: Cause::Normal }), "{events:?}");
    w.settle();
}

#[test]
fn an_offer_nobody_answers_is_refused_for_the_owner() {
    let mut w = World::new();
    let (a, b) = w.talk();
    let now = w.now;
    w.a.reinvite(now, a, held());
    w.run(33_000);
    assert_eq!(w.events(Side::A), [Event::Reanswered { session: a, answer: Err(500) }]);
    let now = w.now;
    w.b.answer_reoffer(now, b, Ok(answer()));
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn a_peer_that_lost_the_dialog_ends_ours() {
    let mut w = World::new();
    let (a, _) = w.talk();
    w.b = Endpoint::new(config(99));
    let now = w.now;
    w.a.reinvite(now, a, held());
    w.run(100);
    let cause = Cause::from_sip_status(481);
    assert_eq!(w.events(Side::A), [Event::Ended { session: a, cause }]);
    w.settle();
}

#[test]
fn a_peer_that_died_ends_ours() {
    let mut w = World::new();
    let (a, b) = w.talk();
    w.deaf = Some(Side::B);
    let now = w.now;
    w.a.reinvite(now, a, held());
    w.run(33_000);
    assert_eq!(w.events(Side::A), [Event::Ended { session: a, cause: Cause::TimerExpired }]);
    assert!(w.sent(Side::A).iter().any(|l| l.starts_with("BYE")));
    let now = w.now;
    w.b.hangup(now, b, Cause::Normal);
    w.settle();
}

#[test]
fn an_offerless_reinvite_has_its_answer_in_the_ack() {
    let mut w = World::new();
    let (a, b) = w.talk();
    let now = w.now;
    w.b.reinvite(now, b, held());
    let text = String::from_utf8(w.b.poll_transmit().expect("an INVITE").bytes.to_vec()).expect("text");
    let head = text.split("Content-Type").next().expect("a head");
    let path = w.path(Side::A);
    w.a.receive(now, path, Bytes::from(format!("{head}Content-Length: 0\r\n\r\n")));
    assert_eq!(w.events(Side::A), [Event::Reoffer { session: a, sdp: None }]);
    w.a.answer_reoffer(now, a, Ok(offer()));
    let ok = w.wire.len();
    w.drain();
    assert!(w.wire[ok..].iter().any(|(_, m)| m.starts_with("SIP/2.0 200 OK") && m.contains("m=audio")));
    let ack = format!("{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n", ANSWER.len())
        .replace("INVITE", "ACK")
        .replace("branch=z9hG4bK", "branch=z9hG4bKack");
    w.a.receive(now, path, Bytes::from([ack.as_bytes(), ANSWER].concat()));
    assert_eq!(w.events(Side::A), [Event::Acked { session: a, sdp: Some(answer()) }]);
}
