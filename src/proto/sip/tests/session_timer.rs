//! Session timers (RFC 4028), both sides.

use super::*;

fn seconds(w: &World, side: Side, what: &str, since: Instant) -> Vec<u64> {
    let mine = w.log.iter().filter(|(s, _, l)| *s == side && l.starts_with(what));
    mine.map(|(_, at, _)| at.since(since).as_secs()).collect()
}

#[test]
fn a_call_is_refreshed_at_half_its_interval_by_update() {
    let mut w = World::new();
    let start = w.now.mono;
    let (a, b) = w.talk();
    w.run(2_000_000);
    // Both allow UPDATE, and the one called refreshes.
    assert_eq!(seconds(&w, Side::B, "UPDATE", start), [900, 1800]);
    assert_eq!(seconds(&w, Side::A, "UPDATE", start), [0u64; 0]);
    assert_eq!((w.events(Side::A), w.events(Side::B)), (vec![], vec![]), "owners hear nothing of it");
    let ok = w.wire.iter().find(|(s, m)| *s == Side::B && m.starts_with("SIP/2.0 200") && m.contains("INVITE"));
    let ok = ok.map(|(_, m)| m.clone()).expect("an answer");
    assert!(ok.contains("Session-Expires: 1800;refresher=uas\r\nRequire: timer\r\n"), "{ok}");
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    let _ = b;
    w.settle();
}

#[test]
fn a_dead_refresher_ends_the_call() {
    let mut w = World::new();
    let (a, _) = w.talk();
    let start = w.now.mono;
    // B is gone without a word: A waits until shortly before the end.
    w.b = Endpoint::new(config(77));
    w.deaf = Some(Side::B);
    w.run(1_767_000);
    assert_eq!(w.events(Side::A), []);
    w.run(2_000);
    assert_eq!(w.events(Side::A), [Event::Ended { session: a, cause: Cause::TimerExpired }]);
    assert_eq!(seconds(&w, Side::A, "BYE", start)[0], 1_767);
    let bye = w.wire.iter().rev().find(|(s, m)| *s == Side::A && m.starts_with("BYE")).map(|(_, m)| m.clone());
    assert!(bye.expect("a BYE").contains("Reason: Q.850;cause=102"));
    w.settle();
}

#[test]
fn a_dead_peer_of_the_refresher_ends_the_call() {
    let mut w = World::new();
    let (a, b) = w.talk();
    w.deaf = Some(Side::A);
    w.run(900_000 + 33_000);
    assert_eq!(w.events(Side::B), [Event::Ended { session: b, cause: Cause::TimerExpired }]);
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn too_small_an_interval_is_refused_and_asked_for_again() {
    let mut w = World::new();
    w.a.set_session_timer(Some(Duration::from_secs(100)), Duration::from_secs(90));
    w.b.set_session_timer(Some(Duration::from_secs(1_800)), Duration::from_secs(600));
    let (a, _) = w.talk();
    let invites: Vec<String> =
        w.wire.iter().filter(|(s, m)| *s == Side::A && m.starts_with("INVITE")).map(|(_, m)| m.clone()).collect();
    assert_eq!(invites.len(), 2);
    assert!(invites[0].contains("Session-Expires: 100\r\n") && !invites[0].contains("Min-SE"));
    assert!(invites[1].contains("Session-Expires: 600\r\nMin-SE: 600\r\n"), "{}", invites[1]);
    assert!(w.wire.iter().any(|(s, m)| *s == Side::B && m.starts_with("SIP/2.0 422") && m.contains("Min-SE: 600")));
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.settle();
}

#[test]
fn a_peer_without_session_timers_is_refreshed_by_us_with_what_holds() {
    let mut w = World::new();
    let a = w.invite();
    let (b, start) = (a, w.now.mono);
    let _ = b;
    let invite = String::from_utf8(w.a.poll_transmit().expect("an INVITE").bytes.to_vec()).expect("text");
    let plain = |text: &str| -> String {
        let (head, body) = text.split_once("\r\n\r\n").expect("a body");
        let kept = head.lines().filter(|l| !["Supported", "Allow", "Session-Exp"].iter().any(|n| l.starts_with(n)));
        kept.fold(String::new(), |all, l| all + l + "\r\n") + "\r\n" + body
    };
    w.give_b(plain(&invite));
    let session = w.incoming().session;
    let now = w.now;
    w.b.accept(now, session, answer());
    w.run(901_000);
    let ok = w.wire.iter().find(|(s, m)| *s == Side::B && m.starts_with("SIP/2.0 200")).map(|(_, m)| m.clone());
    assert!(!ok.expect("an answer").contains("Session-Expires"), "what it does not know is not said");
    // B refreshes by re-INVITE, with its description as it stands.
    assert_eq!(seconds(&w, Side::B, "INVITE", start), [900]);
    let refresh = w.wire.iter().rev().find(|(s, m)| *s == Side::B && m.starts_with("INVITE")).map(|(_, m)| m.clone());
    assert!(refresh.expect("a refresh").ends_with(std::str::from_utf8(ANSWER).expect("text")));
}

#[test]
fn off_means_that_nothing_is_asked_for_and_peers_are_kept_to() {
    let mut w = World::new();
    w.b.set_session_timer(None, Duration::from_secs(90));
    let start = w.now.mono;
    let (a, _) = w.talk();
    w.run(1_000_000);
    assert_eq!(seconds(&w, Side::B, "UPDATE", start), [900]);
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.run(100);
    w.wire.clear();
    w.a.set_session_timer(None, Duration::from_secs(90));
    w.events(Side::A);
    w.events(Side::B);
    w.talk();
    assert!(!w.wire.iter().any(|(_, m)| m.contains("Session-Expires")));
    w.log.clear();
    w.run(3_000_000);
    assert_eq!(w.sent(Side::A).len() + w.sent(Side::B).len(), 0);
}

/// Both ask for 90 s, so B refreshes after 45 s and gives up after 60 s (RFC 4028 section 10).
fn brief(mut w: World) -> (World, SessionId, SessionId, Instant) {
    let least = Duration::from_secs(90);
    w.a.set_session_timer(Some(least), least);
    w.b.set_session_timer(Some(least), least);
    let start = w.now.mono;
    let (a, b) = w.talk();
    w.deaf = Some(Side::A);
    w.run(44_960);
    assert_eq!(seconds(&w, Side::B, "UPDATE", start), [45]);
    (w, a, b, start)
}

#[test]
fn a_refresh_that_is_refused_is_tried_again_until_the_session_ends() {
    let (mut w, _, _, start) = brief(World::new());
    for (status, extra, pause_ms, next) in
        [(500, "Retry-After: 3\r\n", 3_000, 48), (503, "", 3_000, 51), (603, "Retry-After: 3600\r\n", 4_500, 55)]
    {
        let update = w.newest(Side::B, "UPDATE");
        w.give_b(response(&update, status, "", extra, ""));
        w.log.clear();
        w.run(pause_ms);
        assert_eq!(seconds(&w, Side::B, "UPDATE", start), [next], "after {status}");
    }
    w.deaf = None;
    w.run(40_000);
    assert_eq!(w.events(Side::B), [], "it got through");
    // Refused to the end, the session ends when it has to.
    w.deaf = Some(Side::A);
    for _ in 0..40 {
        w.run(1_000);
        if w.log
            .iter()
            .any(|(s, at, l)| *s == Side::B && l.starts_with("UPDATE") && w.now.mono.since(*at).as_secs() < 1)
        {
            let update = w.newest(Side::B, "UPDATE");
            w.give_b(response(&update, 500, "", "", ""));
        }
    }
    assert!(matches!(w.events(Side::B)[..], [Event::Ended { cause: Cause::TimerExpired, .. }]));
}

#[test]
fn a_refresh_that_no_connection_carried_is_tried_again() {
    let (mut w, ..) = brief(World::tcp());
    let now = w.now;
    w.b.connection_closed(now, 7);
    w.drain();
    w.deaf = None;
    w.run(40_000);
    assert_eq!(w.events(Side::B), []);
    assert!(w.log.iter().filter(|(s, _, l)| *s == Side::B && l.starts_with("UPDATE")).count() >= 2);
}

/// RFC 4028 section 7.2: without Session-Expires in the 2xx the session does not expire.
#[test]
fn a_peer_that_knows_no_timers_and_takes_no_refresh_keeps_its_call() {
    let mut w = World::new();
    w.a.set_session_timer(None, Duration::from_secs(90));
    let (a, start) = (w.invite(), w.now.mono);
    let invite = String::from_utf8(w.a.poll_transmit().expect("an INVITE").bytes.to_vec()).expect("text");
    let (head, body) = invite.split_once("\r\n\r\n").expect("a body");
    let kept = head.lines().filter(|l| !["Supported", "Allow", "Session-Exp"].iter().any(|n| l.starts_with(n)));
    w.give_b(kept.fold(String::new(), |all, l| all + l + "\r\n") + "\r\n" + body);
    let b = w.incoming().session;
    let now = w.now;
    w.b.accept(now, b, answer());
    w.run(100);
    w.events(Side::A);
    for status in [488, 501, 500] {
        w.run(900_500);
        assert!(matches!(w.events(Side::A)[..], [Event::Reoffer { .. }]), "a refresh");
        let now = w.now;
        w.a.answer_reoffer(now, a, Err(status));
    }
    w.run(800_000);
    assert_eq!(seconds(&w, Side::B, "INVITE", start).len(), 3);
    assert_eq!(w.events(Side::B), [Event::Acked { session: b, sdp: None }]);
}
