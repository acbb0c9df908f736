//! Reliable provisional responses (RFC 3262), both ways.

use super::*;

/// What was sent last that begins so.
fn last(w: &World, side: Side, begins: &str) -> String {
    let mine = w.wire.iter().rev().find(|(s, m)| *s == side && m.starts_with(begins));
    mine.map(|(_, m)| m.clone()).unwrap_or_else(|| panic!("no {begins} from {side:?}"))
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_183_with_a_description_is_acknowledged_and_the_200_waits_for_that() {
    let mut w = World::new();
    let (a, b) = w.ring();
    let now = w.now;
    w.b.provisional(now, b, 183, Some(answer()));
    // The owner accepts before the PRACK has come: RFC 3262 section 3 keeps the 200 back.
    w.b.accept(now, b, answer());
    w.run(50);
    let progress = last(&w, Side::B, "SIP/2.0 183");
    assert_eq!(header(&progress, "Require"), "100rel");
    let (rseq, cseq) = (header(&progress, "RSeq").to_owned(), header(&progress, "CSeq").to_owned());
    assert_eq!(header(&last(&w, Side::A, "PRACK"), "RAck"), format!("{rseq} {cseq}"));
    let order: Vec<String> = w.sent(Side::B).iter().map(|l| l[8..11].to_owned()).collect();
    assert_eq!(order, ["100", "183", "200", "200"], "the PRACK's 200 and then the INVITE's");
    assert!(!last(&w, Side::B, "SIP/2.0 200").contains("m=audio"), "one description for one INVITE");
    let early = Event::Provisional { session: a, status: 183, sdp: Some(answer()) };
    assert_eq!(w.events(Side::A), [early, Event::Answered { session: a, sdp: Some(answer()) }]);
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn reliable_responses_go_out_one_by_one_where_the_peer_demands_them() {
    let mut w = World::new();
    let a = w.invite();
    let invite = String::from_utf8(w.a.poll_transmit().expect("an INVITE").bytes.to_vec()).expect("text");
    w.give_b(invite.replace("Supported: 100rel", "Require: 100rel\r\nSupported: x"));
    let b = w.incoming().session;
    let now = w.now;
    w.b.provisional(now, b, 180, None);
    w.b.provisional(now, b, 183, Some(answer()));
    w.b.provisional(now, b, 182, None);
    let sent = w.sent(Side::B);
    assert_eq!(sent.iter().map(|l| &l[8..11]).collect::<Vec<_>>(), ["100", "180"]);
    w.run(50);
    let events = w.events(Side::A);
    let heard = events.iter().map(|e| match e {
        Event::Provisional { status, .. } => *status,
        other => panic!("{other:?}"),
    });
    assert_eq!(heard.collect::<Vec<_>>(), [180, 183, 182]);
    assert_eq!(w.b.counters().get("prack-stray"), None);
    let now = w.now;
    w.b.accept(now, b, answer());
    w.run(50);
    assert!(w.events(Side::A).contains(&Event::Answered { session: a, sdp: Some(answer()) }));
    let now = w.now;
    w.b.hangup(now, b, Cause::Normal);
    w.settle();
}

#[test]
fn without_prack_the_response_is_repeated_with_doubling_pauses_and_the_invite_then_refused() {
    let mut w = World::new();
    let (_, b) = w.ring();
    w.deaf = Some(Side::A);
    w.log.clear();
    let (now, start) = (w.now, w.now.mono);
    w.b.provisional(now, b, 183, Some(answer()));
    w.run(33_000);
    let at: Vec<u128> = w
        .log
        .iter()
        .filter(|(s, _, l)| *s == Side::B && l.starts_with("SIP/2.0 183"))
        .map(|(_, at, _)| at.since(start).as_millis())
        .collect();
    // No cap at T2: RFC 3262 section 3 only doubles.
    assert_eq!(at, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    assert!(w.log.iter().any(|(s, _, l)| *s == Side::B && l.starts_with("SIP/2.0 504")));
    assert_eq!(w.events(Side::B), [Event::Ended { session: b, cause: Cause::TimerExpired }]);
    assert_eq!(w.b.counters()["prack-missing"], 1);
}

#[test]
fn a_prack_of_nothing_gets_481() {
    let mut w = World::new();
    let (_, b) = w.ring();
    let now = w.now;
    w.b.provisional(now, b, 183, Some(answer()));
    w.run(50);
    let prack = last(&w, Side::A, "PRACK");
    let rack = header(&prack, "RAck").to_owned();
    w.log.clear();
    // The right one again in a new transaction, and one for another response.
    let again = prack.replace("branch=z9hG4bK", "branch=z9hG4bKagain");
    w.give_b(again.clone());
    w.give_b(again.replace("z9hG4bKagain", "z9hG4bKother").replace(&rack, "1 1 INVITE"));
    assert_eq!(w.b.counters()["prack-stray"], 2);
    w.give_b(again.replace("z9hG4bKagain", "z9hG4bKbad").replace(&rack, "1 INVITE"));
    let sent = w.sent(Side::B);
    assert_eq!(sent.iter().map(|l| &l[8..11]).collect::<Vec<_>>(), ["481", "481", "400"]);
}

#[test]
fn a_lost_183_or_prack_costs_only_time() {
    for seed in 1..60 {
        let mut w = World::seeded(seed);
        w.loss = 30;
        let a = w.invite();
        let mut accepted = false;
        for _ in 0..3000 {
            w.run(10);
            for event in w.events(Side::B) {
                if let Event::Incoming(incoming) = event {
                    let now = w.now;
                    w.b.provisional(now, incoming.session, 183, Some(answer()));
                    w.b.accept(now, incoming.session, answer());
                }
            }
            let events = w.events(Side::A);
            assert!(!events.iter().any(|e| matches!(e, Event::Failed { .. } | Event::Ended { .. })), "seed {seed}");
            accepted |= events.contains(&Event::Answered { session: a, sdp: Some(answer()) });
            if accepted {
                break;
            }
        }
        assert!(accepted, "seed {seed}: {:?}", w.log);
        w.loss = 0;
        let now = w.now;
        w.a.hangup(now, a, Cause::Normal);
        w.settle();
    }
}

/// An INVITE of A's as it would be without an offer, from a peer that knows 100rel.
fn offerless(w: &mut World) -> (String, SessionId) {
    w.invite();
    let text = String::from_utf8(w.a.poll_transmit().expect("an INVITE").bytes.to_vec()).expect("text");
    let head = text.split("Content-Type").next().expect("a head").to_owned();
    w.give_b(format!("{head}Content-Length: 0\r\n\r\n"));
    let incoming = w.incoming();
    assert!(incoming.reliable && incoming.sdp.is_none());
    (head, incoming.session)
}

#[test]
fn a_late_offer_goes_out_in_a_183_and_its_answer_comes_in_the_prack() {
    let mut w = World::new();
    let (head, b) = offerless(&mut w);
    let now = w.now;
    w.b.provisional(now, b, 183, Some(offer()));
    w.b.accept(now, b, offer());
    w.drain();
    let progress = last(&w, Side::B, "SIP/2.0 183");
    assert!(progress.contains("m=audio"));
    let to = header(&progress, "To").to_owned();
    let prack = |w: &World, branch: &str, body: &[u8]| {
        let lines: String = head
            .replace("INVITE", "PRACK")
            .replace("branch=z9hG4bK", &format!("branch=z9hG4bK{branch}"))
            .replace("CSeq: 1 ", "CSeq: 2 ")
            .lines()
            .map(|l| if l.starts_with("To: ") { format!("To: {to}\r\n") } else { format!("{l}\r\n") })
            .collect();
        let rack = header(&last(w, Side::B, "SIP/2.0 183"), "RSeq").to_owned();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!("{lines}RAck: {rack} 1 INVITE\r\n{kind}Content-Length: {}\r\n\r\n", body.len());
        Bytes::from([text.as_bytes(), body].concat())
    };
    w.log.clear();
    let empty = prack(&w, "none", b"");
    w.give_b(empty);
    assert!(w.sent(Side::B)[0].contains("400"), "the answer belongs into the PRACK");
    let right = prack(&w, "right", ANSWER);
    w.give_b(right);
    assert_eq!(w.events(Side::B), [Event::Concluded { session: b, sdp: answer() }]);
    let sent = w.sent(Side::B);
    assert_eq!(sent.iter().map(|l| &l[8..11]).collect::<Vec<_>>(), ["200", "200"]);
    assert!(!last(&w, Side::B, "SIP/2.0 200").contains("m=audio"), "the offer is not made twice");
}

#[test]
fn forks_are_kept_apart() {
    let mut w = World::new();
    let a = w.invite();
    let invite = String::from_utf8(w.a.poll_transmit().expect("an INVITE").bytes.to_vec()).expect("text");
    let copy: String = invite
        .lines()
        .skip(1)
        .take_while(|l| !l.is_empty())
        .filter(|l| ["Via", "From", "Call-ID", "CSeq"].iter().any(|n| l.starts_with(n)))
        .fold(String::new(), |all, l| all + l + "\r\n");
    let path = w.path(Side::A);
    let give = |w: &mut World, status: &str, tag: &str, rseq: u32, sdp: &str| {
        let reliable = if rseq > 0 { format!("Require: 100rel\r\nRSeq: {rseq}\r\n") } else { String::new() };
        let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "SIP/2.0 {status} X\r\n{copy}To: <sip:100@127.0.0.2>;tag={tag}\r\nContact: <sip:{tag}@127.0.0.2:5060>\r\n\
             {reliable}{kind}Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        let now = w.now;
        w.a.receive(now, path, Bytes::from(text));
        w.drain();
    };
    let first = std::str::from_utf8(ANSWER).expect("text").to_owned();
    let second = first.replace("4002", "4004");
    give(&mut w, "183", "one", 7, &first);
    give(&mut w, "183", "two", 7, &second);
    // Seen before; and one whose predecessor is missing.
    give(&mut w, "183", "one", 7, &first);
    give(&mut w, "180", "one", 9, "");
    give(&mut w, "199", "one", 8, "");
    let pracks: Vec<&String> = w.wire.iter().map(|(_, m)| m).filter(|m| m.starts_with("PRACK")).collect();
    assert_eq!(pracks.len(), 3);
    for (prack, (tag, rack)) in pracks.iter().zip([("one", "7 1 INVITE"), ("two", "7 1 INVITE"), ("one", "8 1 INVITE")])
    {
        assert!(prack.starts_with(&format!("PRACK sip:{tag}@127.0.0.2:5060 ")), "{prack}");
        assert!(header(prack, "To").ends_with(tag) && header(prack, "RAck") == rack, "{prack}");
    }
    let early = |sdp: &str| Event::Provisional { session: a, status: 183, sdp: Some(sdp.to_owned().into()) };
    assert_eq!(w.events(Side::A), [early(&first), early(&second)], "the newest is heard");
    give(&mut w, "200", "two", 0, "");
    assert_eq!(w.events(Side::A), [Event::Answered { session: a, sdp: Some(second.into()) }]);
    // Another fork answers, too: ACK and BYE (RFC 3261 section 13.2.2.4).
    w.log.clear();
    give(&mut w, "200", "three", 0, &first);
    let sent: Vec<String> = w.sent(Side::A);
    assert!(sent[0].starts_with("ACK sip:three@") && sent[1].starts_with("BYE sip:three@"), "{sent:?}");
    assert_eq!(w.events(Side::A), []);
}

/// Gives B a request of A's (method, CSeq, body); what B sends then, by status.
type Give = Box<dyn Fn(&mut World, &str, u32, &[u8]) -> Vec<String>>;

/// B rings with a reliable 183 that has no PRACK; what follows writes requests of A's within the dialog.
fn unacknowledged(w: &mut World) -> (SessionId, Give) {
    w.invite();
    let invite = String::from_utf8(w.a.poll_transmit().expect("an INVITE").bytes.to_vec()).expect("text");
    w.deaf = Some(Side::A);
    w.give_b(invite.clone());
    let b = w.incoming().session;
    let now = w.now;
    w.b.provisional(now, b, 183, Some(answer()));
    w.drain();
    let progress = last(w, Side::B, "SIP/2.0 183");
    let (to, rseq) = (header(&progress, "To").to_owned(), header(&progress, "RSeq").to_owned());
    let head = invite.split("Content-Type").next().expect("a head").to_owned();
    let give = move |w: &mut World, method: &str, cseq: u32, body: &[u8]| {
        let lines: String = head
            .replace("INVITE sip", &format!("{method} sip"))
            .replace("branch=z9hG4bK", &format!("branch=z9hG4bK{cseq}"))
            .replace("CSeq: 1 INVITE", &format!("CSeq: {cseq} {method}"))
            .lines()
            .map(|l| if l.starts_with("To: ") { format!("To: {to}\r\n") } else { format!("{l}\r\n") })
            .collect();
        let rack = if method == "PRACK" { format!("RAck: {rseq} 1 INVITE\r\n") } else { String::new() };
        let kind = match body {
            b"" => "",
            b"?" => "Content-Type: text/plain\r\n",
            _ => "Content-Type: application/sdp\r\n",
        };
        let text = format!("{lines}{rack}{kind}Content-Length: {}\r\n\r\n", body.len());
        w.give_b(Bytes::from([text.as_bytes(), body].concat()));
        w.sent(Side::B).iter().map(|l| l[8..11].to_owned()).collect::<Vec<_>>()
    };
    w.log.clear();
    (b, Box::new(give))
}

/// RFC 3311 section 5.2: one offer at a time. RFC 3262 section 3: the PRACK is for the response that waits, which therefore
/// has come, whatever stands in the PRACK's way.
#[test]
fn a_prack_with_an_offer_does_not_overtake_an_update() {
    let mut w = World::new();
    let (b, give) = unacknowledged(&mut w);
    assert_eq!(give(&mut w, "UPDATE", 2, OFFER), [""; 0]);
    assert_eq!(give(&mut w, "PRACK", 3, OFFER), [""; 0], "its turn comes");
    let reoffer = || Event::Reoffer { session: b, sdp: Some(offer()) };
    assert_eq!(w.events(Side::B), [reoffer()], "the UPDATE's");
    // The owner answers the call meanwhile: not before both offers have their answers.
    let now = w.now;
    w.b.accept(now, b, answer());
    w.b.answer_reoffer(now, b, Ok(answer()));
    w.drain();
    assert!(last(&w, Side::B, "SIP/2.0 200").contains("CSeq: 2 UPDATE"));
    assert_eq!(w.events(Side::B), [reoffer()], "the PRACK's");
    w.b.answer_reoffer(now, b, Ok(answer()));
    w.drain();
    let sent: Vec<_> = w.wire.iter().filter(|(s, m)| *s == Side::B && m.starts_with("SIP/2.0 200")).collect();
    let of: Vec<_> = sent.iter().map(|(_, m)| header(m, "CSeq")).collect();
    assert_eq!(of, ["2 UPDATE", "3 PRACK", "1 INVITE"]);
    w.run(40_000);
    assert_eq!(w.b.counters().get("prack-missing"), None);
}

/// The owner leaves the UPDATE's offer alone, or the caller gives up: the PRACK that waits has its end, too.
#[test]
fn a_prack_that_waits_is_answered_in_the_end() {
    let mut w = World::new();
    let (b, give) = unacknowledged(&mut w);
    assert_eq!(give(&mut w, "UPDATE", 2, OFFER), [""; 0]);
    w.run(5_000);
    assert!(give(&mut w, "PRACK", 3, OFFER).iter().all(|sent| sent == "183"));
    w.run(40_000);
    let sent: Vec<_> = w.wire.iter().filter(|(s, m)| *s == Side::B && m.starts_with("SIP/2.0 500")).collect();
    assert!(header(&sent[0].1, "CSeq").ends_with("UPDATE"));
    let reoffers = w.events(Side::B).iter().filter(|e| matches!(e, Event::Reoffer { .. })).count();
    assert_eq!(reoffers, 2, "the second after the first");
    let now = w.now;
    w.b.reject(now, b, 486, None, None);
    w.run(60_000);
    assert_eq!(w.b.transactions_len(), 0, "each has its end");
}

/// UDP may swap a PRACK and the UPDATE after it.
#[test]
fn a_prack_counts_in_whatever_order_it_comes() {
    let mut w = World::new();
    let (b, give) = unacknowledged(&mut w);
    assert_eq!(give(&mut w, "UPDATE", 3, b""), ["200"]);
    assert_eq!(give(&mut w, "PRACK", 2, b""), ["200"]);
    assert_eq!(give(&mut w, "INFO", 1, b""), ["500"], "anything else is out of order, now as before");
    w.run(40_000);
    assert_eq!(w.events(Side::B), [], "the call goes on");
    let now = w.now;
    w.b.reject(now, b, 486, None, None);
}

/// RFC 3261 section 21.4.13 for what it brings; the response that it names has come all the same.
#[test]
fn a_prack_with_an_odd_body_acknowledges() {
    let mut w = World::new();
    let (b, give) = unacknowledged(&mut w);
    assert_eq!(give(&mut w, "PRACK", 2, b"?"), ["415"]);
    w.run(40_000);
    assert_eq!(w.events(Side::B), [], "the call goes on");
    let now = w.now;
    w.b.reject(now, b, 486, None, None);
}

/// RFC 3262 section 3: once the PRACK came, the response is not sent again; RFC 3261 section 13.3.1.1 wants one a minute.
#[test]
fn the_minutely_response_is_a_new_one() {
    for (option, reliable) in [("Supported: 100rel", false), ("Require: 100rel\r\nSupported: x", true)] {
        let mut w = World::new();
        w.invite();
        let invite = String::from_utf8(w.a.poll_transmit().expect("an INVITE").bytes.to_vec()).expect("text");
        w.give_b(invite.replace("Supported: 100rel", option));
        let b = w.incoming().session;
        let now = w.now;
        w.b.provisional(now, b, 183, Some(answer()));
        w.run(130_000);
        let all: Vec<&String> = w.wire.iter().map(|(_, m)| m).filter(|m| m.starts_with("SIP/2.0 183")).collect();
        let rseqs: Vec<Option<u32>> =
            all.iter().map(|m| m.lines().find_map(|l| l.strip_prefix("RSeq: ")?.parse().ok())).collect();
        let first = rseqs[0].expect("reliable");
        let expected = match reliable {
            true => [Some(first), Some(first + 1), Some(first + 2)],
            false => [Some(first), None, None],
        };
        assert_eq!(rseqs, expected, "{option}");
        assert_eq!(all[1].contains("100rel\r\nRSeq"), reliable, "{option}");
        assert_eq!(all.iter().filter(|m| m.contains("m=audio")).count(), 1, "one description for one INVITE");
        assert_eq!(w.a.counters().get("rseq-out-of-order"), None, "{option}");
        assert_eq!(w.b.counters().get("prack-missing"), None, "{option}");
    }
}
