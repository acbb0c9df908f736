//! What an INVITE's forks send, each with a tag of its own, and nobody else's.

use super::*;

const CONTACT: &str = "Contact: <sip:x@127.0.0.77:9999>\r\n";

/// RFC 3261 section 13.2.2.4 ends each further fork; anyone who sees the INVITE can make up as many as it likes, and have
/// the ACK and the retransmitted BYE sent to whom it names.
#[test]
fn forged_answers_do_not_have_us_send_without_end() {
    for live in [true, false] {
        let mut w = World::new();
        let a = w.invite();
        w.drain();
        let invite = w.newest(Side::A, "INVITE");
        w.flight.clear();
        w.give_a(response(&invite, 200, ";tag=first", CONTACT, std::str::from_utf8(ANSWER).expect("text")));
        if !live {
            let now = w.now;
            w.a.hangup(now, a, Cause::Normal);
            w.drain();
            let bye = w.newest(Side::A, "BYE");
            w.give_a(response(&bye, 200, "", "", ""));
        }
        w.log.clear();
        for n in 0..1000 {
            w.give_a(response(&invite, 200, &format!(";tag=f{n}"), CONTACT, ""));
        }
        let sent = w.sent(Side::A);
        assert_eq!(sent.iter().filter(|l| l.starts_with("ACK")).count(), 8, "live {live}");
        assert_eq!(sent.iter().filter(|l| l.starts_with("BYE")).count(), 8, "live {live}");
        assert_eq!((w.a.counters()["fork-ended"], w.a.counters()["forks-full"]), (8, 992));
        // One that did not hear the ACK is told again, and has had its BYE.
        for _ in 0..1000 {
            w.give_a(response(&invite, 200, ";tag=f3", CONTACT, ""));
        }
        let sent = w.sent(Side::A);
        assert_eq!(sent.len(), 10, "live {live}: {sent:?}");
        assert!(sent.iter().all(|l| l.starts_with("ACK")));
    }
}

#[test]
fn a_challenged_prack_goes_out_once_more_for_the_same_response() {
    let mut w = World::new();
    let (now, order) = (w.now, Invite { credentials: credentials("anna", "secret"), ..w.order() });
    let a = w.a.invite(now, order).expect("a session");
    w.drain();
    let invite = w.newest(Side::A, "INVITE");
    w.flight.clear();
    // RFC 3261 section 22.2; a proxy challenges what it likes.
    let challenge = "Proxy-Authenticate: Digest realm=\"p\", nonce=\"NONCE\", algorithm=MD5, qop=\"auth\"\r\n";
    let reliable = format!("{CONTACT}Require: 100rel\r\nRSeq: 7\r\n");
    w.give_a(response(&invite, 183, ";tag=one", &reliable, std::str::from_utf8(ANSWER).expect("text")));
    let first = w.newest(Side::A, "PRACK");
    assert!(!first.contains("Authorization"));
    w.give_a(response(&first, 407, "", &challenge.replace("NONCE", "1"), ""));
    let second = w.newest(Side::A, "PRACK");
    assert!(second.contains("RAck: 7 1 INVITE\r\n") && second.contains("CSeq: 3 PRACK\r\n"), "{second}");
    assert!(second.contains("Proxy-Authorization: Digest ") && second.contains("nonce=\"1\""), "{second}");
    w.log.clear();
    w.give_a(response(&second, 407, "", &challenge.replace("NONCE", "2"), ""));
    assert_eq!((w.sent(Side::A), w.a.counters()["prack-failed"]), (vec![], 1), "no third");
    // The next response's PRACK may be challenged anew.
    w.give_a(response(&invite, 180, ";tag=one", &reliable.replace("RSeq: 7", "RSeq: 8"), ""));
    let third = w.newest(Side::A, "PRACK");
    w.give_a(response(&third, 407, "", &challenge.replace("NONCE", "3"), ""));
    let fourth = w.newest(Side::A, "PRACK");
    assert!(fourth.contains("RAck: 8 1 INVITE\r\n") && fourth.contains("nonce=\"3\""), "{fourth}");
    w.give_a(response(&fourth, 200, "", "", ""));
    w.give_a(response(&invite, 200, ";tag=one", CONTACT, ""));
    assert!(w.events(Side::A).contains(&Event::Answered { session: a, sdp: Some(answer()) }));
}

/// ARCHITECTURE's bound `sip-requests`.
#[test]
fn a_request_without_room_is_not_sent_and_fails() {
    let mut w = World::new();
    let (now, path) = (w.now, w.path(Side::A));
    let bound = |w: &World| w.a.bounds().into_iter().find(|b| b.name == "sip-requests").expect("a bound");
    let most = bound(&w).max;
    for _ in 0..most {
        w.a.probe(now, path, "sip:127.0.0.2".into());
    }
    assert_eq!(w.a.poll_event(), None);
    while w.a.poll_transmit().is_some() {}
    let id = w.a.probe(now, path, "sip:127.0.0.2".into());
    assert_eq!(w.a.poll_transmit(), None);
    w.a.handle_timeout(now);
    assert_eq!(w.a.poll_event(), Some(Event::Probed { id, status: None }));
    assert_eq!((bound(&w).used, w.a.counters()["requests-full"]), (most, 1));
}
