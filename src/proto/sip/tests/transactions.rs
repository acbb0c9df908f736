//! RFC 3261 table 4 in virtual time, and what each transaction absorbs.

use super::*;

fn times(w: &World, side: Side, what: &str) -> Vec<u128> {
    let start = w.log.first().map(|(_, at, _)| *at).expect("something sent");
    let mine = w.log.iter().filter(|(s, _, l)| *s == side && l.starts_with(what));
    mine.map(|(_, at, _)| at.since(start).as_millis()).collect()
}

#[test]
fn timer_a_doubles_and_b_ends() {
    let mut w = World::new();
    w.deaf = Some(Side::B);
    w.invite();
    w.run(40_000);
    assert_eq!(times(&w, Side::A, "INVITE"), [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    w.settle();
}

#[test]
fn a_provisional_response_stops_timer_a() {
    let mut w = World::new();
    w.ring();
    w.run(40_000);
    assert_eq!(times(&w, Side::A, "INVITE"), [0]);
}

#[test]
fn timer_e_doubles_to_t2_and_f_ends() {
    let mut w = World::new();
    w.deaf = Some(Side::B);
    let (now, path) = (w.now, w.path(Side::A));
    w.a.probe(now, path, "sip:127.0.0.2".into());
    w.run(40_000);
    let expected = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(times(&w, Side::A, "OPTIONS"), expected);
    w.settle();
}

#[test]
fn timer_g_repeats_a_refusal_until_its_ack_and_h_ends() {
    let mut w = World::new();
    let (_, b) = w.ring();
    w.deaf = Some(Side::A);
    w.log.clear();
    let now = w.now;
    w.b.reject(now, b, 486, None, None);
    w.run(40_000);
    let expected = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(times(&w, Side::B, "SIP/2.0 486"), expected);
    assert_eq!(w.b.counters()["ack-missing"], 1);
}

#[test]
fn nothing_is_retransmitted_over_tcp_but_the_200() {
    let mut w = World::tcp();
    w.deaf = Some(Side::B);
    w.invite();
    let (now, path) = (w.now, w.path(Side::A));
    w.a.probe(now, path, "sip:127.0.0.2".into());
    w.run(40_000);
    assert_eq!(w.sent(Side::A).len(), 2);
    let mut w = World::tcp();
    let (_, b) = w.ring();
    w.deaf = Some(Side::A);
    let now = w.now;
    w.sent(Side::B);
    w.b.accept(now, b, answer());
    w.run(31_900);
    // RFC 3261 section 13.3.1.4 repeats a 2xx on any transport: a proxy may have had to drop it.
    assert_eq!(w.sent(Side::B).len(), 11);
    w.settle();
}

#[test]
fn a_repeated_invite_is_answered_from_the_transaction() {
    let mut w = World::new();
    w.invite();
    let invite = w.a.poll_transmit().expect("an INVITE").bytes;
    w.give_b(invite.clone());
    let b = w.incoming().session;
    w.give_b(invite.clone());
    assert_eq!(w.sent(Side::B), ["SIP/2.0 100 Trying", "SIP/2.0 100 Trying"]);
    let now = w.now;
    w.b.provisional(now, b, 180, None);
    w.give_b(invite.clone());
    assert_eq!(w.sent(Side::B), ["SIP/2.0 180 Ringing", "SIP/2.0 180 Ringing"]);
    w.b.reject(now, b, 486, None, None);
    w.give_b(invite);
    assert_eq!(w.sent(Side::B), ["SIP/2.0 486 Busy Here", "SIP/2.0 486 Busy Here"]);
    assert_eq!(w.events(Side::B), []);
    assert_eq!(w.b.sessions_len(), 0);
}

#[test]
fn a_merged_request_is_refused() {
    let mut w = World::new();
    w.invite();
    let invite = String::from_utf8(w.a.poll_transmit().expect("an INVITE").bytes.to_vec()).expect("text");
    w.give_b(invite.clone());
    w.give_b(invite.replace("branch=z9hG4bK", "branch=z9hG4bKother"));
    assert_eq!(w.sent(Side::B), ["SIP/2.0 100 Trying", "SIP/2.0 482 Merged request"]);
    assert_eq!(w.b.sessions_len(), 1);
}

#[test]
fn a_peer_without_the_magic_cookie_is_matched_by_more() {
    let mut w = World::new();
    let text = |method: &str, call: &str| {
        format!(
            "{method} sip:100@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=1\r\nMax-Forwards: 70\r\n\
             From: <sip:x@y>;tag=f\r\nTo: <sip:100@127.0.0.2>\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:x@127.0.0.1>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    w.give_b(text("INVITE", "one"));
    w.give_b(text("INVITE", "two"));
    w.give_b(text("INVITE", "one"));
    assert_eq!(w.b.sessions_len(), 2);
    w.give_b(text("CANCEL", "two"));
    assert_eq!(w.b.sessions_len(), 1);
    let sent = w.sent(Side::B);
    let status: Vec<&str> = sent.iter().filter_map(|l| l.split(' ').nth(1)).collect();
    assert_eq!(status, ["100", "100", "100", "200", "487"]);
}

#[test]
fn cancel_of_nothing_is_481_and_after_the_answer_changes_nothing() {
    let mut w = World::new();
    let cancel = |branch: &str| {
        format!(
            "CANCEL sip:100@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:x@y>;tag=f\r\nTo: <sip:100@127.0.0.2>\r\nCall-ID: {branch}\r\n\
             CSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n"
        )
    };
    w.give_b(cancel("x"));
    assert_eq!(w.sent(Side::B), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
    w.give_b(cancel("y").replace("CANCEL", "INVITE"));
    let b = w.incoming().session;
    let now = w.now;
    w.b.accept(now, b, answer());
    w.sent(Side::B);
    w.give_b(cancel("y"));
    assert_eq!(w.sent(Side::B), ["SIP/2.0 200 OK"]);
    assert_eq!(w.events(Side::B), []);
    assert_eq!(w.b.sessions_len(), 1);
}

#[test]
fn responses_to_nothing_of_ours_are_dropped() {
    let mut w = World::new();
    w.invite();
    let invite = String::from_utf8(w.a.poll_transmit().expect("an INVITE").bytes.to_vec()).expect("text");
    let via = invite.lines().find(|l| l.starts_with("Via")).expect("a Via");
    let response = |via: &str, more: &str| {
        format!(
            "SIP/2.0 200 OK\r\n{via}\r\n{more}From: <sip:x@y>;tag=f\r\nTo: <sip:z@z>;tag=t\r\nCall-ID: one\r\n\
             CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let (now, path) = (w.now, w.path(Side::A));
    // A guessed branch, a second Via, another method.
    w.a.receive(now, path, response("Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK00000000000000001", "").into());
    w.a.receive(now, path, response(via, "Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\n").into());
    w.a.receive(now, path, response(via, "").replace("1 INVITE", "1 BYE").into());
    assert_eq!(w.a.counters()["response-stray"], 3);
    assert_eq!(w.events(Side::A), []);
}

/// A world whose A also listens for TCP, and an INVITE too large for a datagram.
fn large() -> (World, SessionId) {
    let mut w = World::new();
    w.a.set_streams(vec![Side::A.address()]);
    let mut order = w.order();
    order.headers.push(("X-Large".into(), "x".repeat(1_000)));
    let now = w.now;
    let session = w.a.invite(now, order).expect("a session");
    (w, session)
}

/// The next message of A: its transport, and what its Via says.
fn by(w: &mut World) -> (Transport, String) {
    let sent = w.a.poll_transmit().expect("a message");
    let text = String::from_utf8_lossy(&sent.bytes).into_owned();
    let via = text.lines().find(|line| line.starts_with("Via: ")).expect("a Via");
    (sent.path.transport, via.split(';').next().unwrap_or_default().to_owned())
}

/// RFC 3261 section 18.1.1.
#[test]
fn a_request_too_large_for_a_datagram_goes_by_tcp_and_back_to_udp_where_that_leads_nowhere() {
    let by_tcp = (Transport::Tcp, "Via: SIP/2.0/TCP 127.0.0.1:5060".to_owned());
    let by_udp = (Transport::Udp, "Via: SIP/2.0/UDP 127.0.0.1:5060".to_owned());
    // Refused.
    let (mut w, session) = large();
    assert_eq!(by(&mut w), by_tcp);
    let (now, path) = (w.now, Path { transport: Transport::Tcp, ..w.path(Side::A) });
    w.a.transport_failed(now, path);
    assert_eq!(by(&mut w), by_udp);
    assert_eq!(w.events(Side::A), [], "nothing has failed");
    assert_eq!(w.a.counters()["stream-fell-back"], 1);
    w.a.transport_failed(now, w.path(Side::A));
    assert!(matches!(w.events(Side::A)[..], [Event::Failed { session: s, status: 503, .. }] if s == session));
    // Silent: a firewall that drops what it does not know.
    let (mut w, _) = large();
    assert_eq!(by(&mut w), by_tcp);
    let later = |ms| w.now.after(Duration::from_millis(ms));
    let (early, due, again) = (later(1_999), later(2_000), later(2_500));
    w.a.handle_timeout(early);
    assert!(w.a.poll_transmit().is_none());
    w.a.handle_timeout(due);
    assert_eq!(by(&mut w), by_udp);
    w.a.handle_timeout(again);
    assert_eq!(by(&mut w), by_udp, "retransmitted as any other");
    // Nobody listens for TCP here.
    let (mut w, _) = large();
    w.a.set_streams(Vec::new());
    assert_eq!(by(&mut w), by_tcp);
    let (now, order) = (w.now, Invite { headers: vec![("X".into(), "x".repeat(1_400))], ..w.order() });
    w.a.invite(now, order);
    assert_eq!(by(&mut w), by_udp);
}

/// What came by TCP is answered, acknowledged and given up as everything else; the dialog stays on UDP.
#[test]
fn an_answer_to_a_large_request_ends_the_question_of_its_transport() {
    let (mut w, session) = large();
    let sent = w.a.poll_transmit().expect("the INVITE");
    let now = w.now;
    w.b.receive_stream(now, Path { connection: 3, transport: Transport::Tcp, ..w.path(Side::B) }, &sent.bytes);
    let b = w.incoming().session;
    w.b.accept(now, b, answer());
    let back = Path { connection: 9, transport: Transport::Tcp, ..w.path(Side::A) };
    while let Some(response) = w.b.poll_transmit() {
        assert_eq!(response.path.transport, Transport::Tcp);
        w.a.receive_stream(now, back, &response.bytes);
    }
    assert!(w.events(Side::A).contains(&Event::Answered { session, sdp: Some(answer()) }));
    // The connection goes, and the call stays.
    w.a.connection_closed(now, 9);
    w.run(10_000);
    assert_eq!(w.a.counters().get("stream-fell-back"), None);
    assert_eq!(w.a.sessions_len(), 1);
}
