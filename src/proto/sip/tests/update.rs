//! UPDATE (RFC 3311), both ways, and INFO.

use super::*;

/// A request of A's in the call, as text.
fn within(w: &World, method: &str, cseq: u32, extra: &str, body: &[u8]) -> Bytes {
    let ack = w.wire.iter().rev().find(|(s, m)| *s == Side::A && m.starts_with("ACK")).map(|(_, m)| m.clone());
    let other = || w.wire.iter().rev().find(|(s, m)| *s == Side::A && m.starts_with("PRACK")).map(|(_, m)| m.clone());
    let model = ack.or_else(other).expect("a request in the dialog");
    let name = model.split(' ').next().expect("a method").to_owned();
    let lines: String = model
        .lines()
        .take_while(|l| !l.is_empty())
        .filter(|l| !["Content", "CSeq", "RAck"].iter().any(|n| l.starts_with(n)))
        .map(|l| l.replace(&name, method).replace("branch=z9hG4bK", &format!("branch=z9hG4bK{method}{cseq}")) + "\r\n")
        .collect();
    let text = format!("{lines}CSeq: {cseq} {method}\r\n{extra}Content-Length: {}\r\n\r\n", body.len());
    Bytes::from([text.as_bytes(), body].concat())
}

const SDP: &str = "Content-Type: application/sdp\r\n";

#[test]
fn an_early_session_is_changed_either_way() {
    let mut w = World::new();
    let (a, b) = w.ring();
    let now = w.now;
    w.b.provisional(now, b, 183, Some(answer()));
    w.run(50);
    // B changes its mind before it answers; A's INVITE allowed UPDATE.
    let now = w.now;
    w.b.reinvite(now, b, offer());
    w.run(10);
    assert!(w.events(Side::A).contains(&Event::Reoffer { session: a, sdp: Some(offer()) }));
    let now = w.now;
    w.a.answer_reoffer(now, a, Ok(answer()));
    w.run(10);
    assert_eq!(w.events(Side::B), [Event::Reanswered { session: b, answer: Ok(Some(answer())) }]);
    assert!(w.sent(Side::B).iter().any(|l| l.starts_with("UPDATE")));
    // And A does.
    let update = within(&w, "UPDATE", 40, SDP, OFFER);
    w.give_b(update);
    assert_eq!(w.events(Side::B), [Event::Reoffer { session: b, sdp: Some(offer()) }]);
    // The answer to the INVITE waits for that to the UPDATE.
    let now = w.now;
    w.b.accept(now, b, answer());
    assert!(!w.sent(Side::B).iter().any(|l| l.starts_with("SIP/2.0 200")));
    w.b.answer_reoffer(now, b, Ok(answer()));
    assert_eq!(w.sent(Side::B).iter().filter(|l| l.starts_with("SIP/2.0 200")).count(), 2);
}

/// RFC 3261 section 12.2.1.2: the caller knows nothing of the call any more, or does not answer. Its INVITE is answered all the
/// same, and nothing stays.
#[test]
fn an_early_session_of_which_the_caller_knows_nothing_ends() {
    for forgotten in [true, false] {
        let mut w = World::new();
        let (_, b) = w.ring();
        let now = w.now;
        w.b.provisional(now, b, 183, Some(answer()));
        w.run(50);
        w.deaf = Some(Side::A);
        let now = w.now;
        w.b.reinvite(now, b, offer());
        w.run(10);
        let cause = if forgotten {
            let update = w.newest(Side::B, "UPDATE");
            w.give_b(response(&update, 481, "", "", ""));
            Cause::from_sip_status(481)
        } else {
            w.run(32_000);
            Cause::from_sip_status(408)
        };
        assert_eq!(w.events(Side::B), [Event::Cancelled { session: b, cause }]);
        assert!(w.sent(Side::B).iter().any(|l| l.starts_with("SIP/2.0 487")));
        w.settle();
    }
}

#[test]
fn offers_that_meet_are_told_apart() {
    let mut w = World::new();
    let (_, b) = w.talk();
    let status = |w: &mut World| w.sent(Side::B).iter().map(|l| l[8..11].to_owned()).collect::<Vec<_>>();
    // Without an offer it only refreshes.
    let plain = within(&w, "UPDATE", 10, "", b"");
    w.give_b(plain);
    assert_eq!(status(&mut w), ["200"]);
    // The first waits for the owner; a second one must wait, too: 500.
    for cseq in [11, 12] {
        let offer = within(&w, "UPDATE", cseq, SDP, OFFER);
        w.give_b(offer);
    }
    assert_eq!(status(&mut w), ["500"]);
    let now = w.now;
    w.b.answer_reoffer(now, b, Err(488));
    assert_eq!(status(&mut w), ["488"]);
    // An offer of ours is under way: 491.
    w.b.reinvite(now, b, offer());
    w.b.poll_transmit();
    let meets = within(&w, "UPDATE", 13, SDP, OFFER);
    w.give_b(meets);
    assert_eq!(status(&mut w).last().map(String::as_str), Some("491"));
}

#[test]
fn an_update_outside_a_call_gets_481() {
    let mut w = World::new();
    let (a, _) = w.talk();
    let update = within(&w, "UPDATE", 10, "", b"");
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.run(100);
    w.log.clear();
    w.give_b(update);
    assert!(w.sent(Side::B)[0].starts_with("SIP/2.0 481"));
}

#[test]
fn info_brings_digits_and_says_what_it_takes() {
    let mut w = World::new();
    let (_, b) = w.talk();
    let relay = "Content-Type: application/dtmf-relay\r\n";
    let plain = "Content-Type: application/dtmf\r\n";
    let cases: [(&str, &[u8], &str, Option<char>); 7] = [
        (relay, b"Signal=5\r\nDuration=160\r\n", "200", Some('5')),
        (plain, b"#", "200", Some('#')),
        (relay, b"Signal=16\r\n", "200", None),
        (relay, b"nothing", "400", None),
        ("", b"", "200", None),
        ("Content-Type: text/plain\r\n", b"5", "415", None),
        ("Info-Package: x\r\n", b"", "469", None),
    ];
    for (n, (extra, body, status, digit)) in (20..).zip(cases) {
        let info = within(&w, "INFO", n, extra, body);
        w.give_b(info);
        assert_eq!(w.sent(Side::B).iter().map(|l| &l[8..11]).collect::<Vec<_>>(), [status], "{extra}");
        let event = digit.map(|digit| Event::Digit { session: b, digit });
        assert_eq!(w.events(Side::B), event.into_iter().collect::<Vec<_>>(), "{extra}");
    }
    let refused = w.wire.iter().rev().find(|(_, m)| m.starts_with("SIP/2.0 415")).map(|(_, m)| m.clone());
    assert!(refused.expect("a refusal").contains("Accept: application/dtmf-relay"));
}
