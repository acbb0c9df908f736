//! What the network can throw at us: refused with a reason, or dropped and counted; never a panic, never without bound.

use super::*;

fn request(method: &str, more: &str) -> String {
    format!(
        "{method} sip:100@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKh\r\nMax-Forwards: 70\r\n\
         From: <sip:x@y>;tag=f\r\nTo: <sip:100@127.0.0.2>\r\nCall-ID: h\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:x@127.0.0.1>\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

/// The status line that B answers, if it does.
fn verdict(text: impl Into<Bytes>) -> Option<String> {
    let mut w = World::new();
    w.give_b(text);
    let sent = w.sent(Side::B);
    assert!(sent.len() <= 1, "{sent:?}");
    sent.into_iter().next().map(|l| l.trim_start_matches("SIP/2.0 ").to_owned())
}

#[test]
fn each_fault_has_its_reason() {
    let with_body = |kind: &str, more: &str| {
        request("INVITE", &format!("Content-Type: {kind}\r\n{more}"))
            .replace("Content-Length: 0\r\n\r\n", "Content-Length: 2\r\n\r\nxy")
    };
    let cases = [
        (request("OPTIONS", ""), "200 OK"),
        (request("OPTIONS", "").replace("tag=f", "tag=f;tag"), "200 OK"),
        (request("OPTIONS", "").replace("Via: SIP/2.0/UDP 127.0.0.1", "Via: SIP/2.0/UDP 127.0.0.1 : 5060 "), "200 OK"),
        (request("OPTIONS", "").replace("sip:100@127.0.0.2 SIP", "sip:*67#@127.0.0.2 SIP"), "200 OK"),
        (request("OPTIONS", "").replace("\r\n", "\n"), "200 OK"),
        (format!("\r\n\r\n{}", request("OPTIONS", "")), "200 OK"),
        (request("OPTIONS", "").replace("SIP/2.0\r\nVia", "SIP/2.0 \r\nVia"), "200 OK"),
        (request("OPTIONS", "").replace("Max-Forwards: 70\r\n", ""), "200 OK"),
        (request("OPTIONS", "").replace("From: <sip:x@y>;tag=f\r\n", ""), "400 Missing From"),
        (request("OPTIONS", "").replace("To: <sip:100@127.0.0.2>\r\n", ""), "400 Missing To"),
        (request("OPTIONS", "").replace("Call-ID: h\r\n", ""), "400 Missing Call-ID"),
        (request("OPTIONS", "").replace("CSeq: 1 OPTIONS\r\n", ""), "400 Missing CSeq"),
        (request("OPTIONS", "").replace("CSeq: 1 OPTIONS", "CSeq: 4294967296 OPTIONS"), "400 Malformed CSeq"),
        (request("OPTIONS", "").replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"), "400 CSeq method is not the request's"),
        (request("OPTIONS", "To: <sip:z@z>\r\n"), "400 Repeated To"),
        (request("OPTIONS", "").replace("<sip:x@y>;tag=f", "Bell, A <sip:x@y>;tag=f"), "400 Malformed From"),
        (
            request("OPTIONS", "").replace("Max-Forwards: 70", "Max-Forwards: 300"),
            "400 Malformed or repeated Max-Forwards",
        ),
        (
            request("OPTIONS", "").replace("sip:100@127.0.0.2 SIP", "sip:100@127.0.0.2?x=y SIP"),
            "400 Request-URI must not have headers",
        ),
        (
            request("OPTIONS", "").replace("sip:100@127.0.0.2 SIP", "sip:100@127.0.0.2  SIP"),
            "400 Malformed request line",
        ),
        (
            request("OPTIONS", "").replace("Content-Length: 0", "Content-Length: -1"),
            "400 Malformed or missing Content-Length",
        ),
        (
            request("OPTIONS", "").replace("Content-Length: 0", "Content-Length: 9"),
            "400 Malformed or missing Content-Length",
        ),
        (request("OPTIONS", "No colon here\r\n"), "400 Malformed header field"),
        (request("OPTIONS", "").replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), "505 Version Not Supported"),
        (
            request("OPTIONS", "").replace("sip:100@127.0.0.2 SIP", "sips:100@127.0.0.2 SIP"),
            "416 Unsupported URI Scheme",
        ),
        (request("OPTIONS", "").replace("sip:100@127.0.0.2 SIP", "http://x/ SIP"), "416 Unsupported URI Scheme"),
        (request("OPTIONS", "Require: a, b\r\n"), "420 Bad Extension"),
        (request("DANCE", ""), "501 Not Implemented"),
        (request("MESSAGE", ""), "405 Method Not Allowed"),
        (request("UPDATE", ""), "481 Call/Transaction Does Not Exist"),
        (request("PRACK", ""), "481 Call/Transaction Does Not Exist"),
        (request("INFO", ""), "481 Call/Transaction Does Not Exist"),
        (request("BYE", ""), "481 Call/Transaction Does Not Exist"),
        (request("NOTIFY", ""), "481 Call/Transaction Does Not Exist"),
        (
            request("INVITE", "").replace("100@127.0.0.2>", "100@127.0.0.2>;tag=t"),
            "481 Call/Transaction Does Not Exist",
        ),
        (request("REGISTER", ""), "401 Unauthorized"),
        (request("INVITE", "").replace("Max-Forwards: 70", "Max-Forwards: 0"), "483 Too Many Hops"),
        (request("OPTIONS", "").replace("Max-Forwards: 70", "Max-Forwards: 0"), "200 OK"),
        (request("INVITE", "Accept: text/plain\r\n"), "406 Not Acceptable"),
        (with_body("text/plain", ""), "415 Unsupported Media Type"),
        (with_body("application/sdp", "Content-Encoding: gzip\r\n"), "415 Unsupported content encoding"),
        (with_body("application/sdp", ""), "100 Trying"),
        (with_body("application / SDP", ""), "100 Trying"),
    ];
    for (text, expected) in cases {
        assert_eq!(verdict(text.clone()).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn an_ack_and_a_response_are_never_answered() {
    for text in [
        request("ACK", ""),
        request("ACK", "").replace("To: <sip:100@127.0.0.2>\r\n", ""),
        request("ACK", "").replace("Content-Length: 0", "Content-Length: x"),
        request("ACK", "").replace("100@127.0.0.2>", "100@127.0.0.2>;tag=1-2"),
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKh\r\n\r\n".into(),
        "SIP/2.0 900 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKh\r\n\r\n".into(),
        "hello".into(),
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
        "\r\n\r\n".into(),
        "\0".into(),
        String::new(),
    ] {
        assert_eq!(verdict(text.clone()), None, "{text}");
    }
}

#[test]
fn a_refusal_says_what_would_do() {
    let mut w = World::new();
    for (text, line) in [
        (
            request("MESSAGE", ""),
            "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, REFER, NOTIFY, PRACK, UPDATE, INFO",
        ),
        (
            request("DANCE", ""),
            "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, REFER, NOTIFY, PRACK, UPDATE, INFO",
        ),
        (request("OPTIONS", "Require: a, 100rel, b, timer\r\n"), "Unsupported: a,b"),
        (
            request("INVITE", "Content-Type: text/plain\r\n").replace("h: 0\r\n\r\n", "h: 1\r\n\r\nx"),
            "Accept: application/sdp",
        ),
    ] {
        let from = w.wire.len();
        w.give_b(text);
        assert!(w.wire[from..].iter().any(|(_, m)| m.lines().any(|l| l == line)), "{line}: {:?}", &w.wire[from..]);
    }
}

#[test]
fn a_description_is_found_in_a_multipart_body() {
    let body = format!(
        "--b1\r\nContent-Type: application/isup\r\n\r\nxyz\r\n--b1\r\nContent-Type: application/sdp\r\n\r\n{}\r\n--b1--\r\n",
        String::from_utf8_lossy(OFFER)
    );
    let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let text = request("INVITE", "Content-Type: multipart/mixed;boundary=\"b1\"\r\n")
        .replace("Content-Length: 0\r\n\r\n", &length);
    let mut w = World::new();
    w.give_b(text.clone());
    assert_eq!(w.incoming().sdp, Some(offer()));
    assert_eq!(
        verdict(text.replace("application/sdp", "application/xyz")).as_deref(),
        Some("415 Unsupported Media Type")
    );
}

#[test]
fn responses_go_where_rport_and_received_say() {
    let mut w = World::new();
    let path = Path { remote: "203.0.113.9:40123".parse().expect("an address"), ..w.path(Side::B) };
    for (via, to, echoed) in [
        (
            "10.0.0.5:5062;rport;branch=z9hG4bK1",
            "203.0.113.9:40123",
            "10.0.0.5:5062;branch=z9hG4bK1;received=203.0.113.9;rport=40123",
        ),
        ("10.0.0.5:5062;branch=z9hG4bK2", "203.0.113.9:5062", "10.0.0.5:5062;branch=z9hG4bK2;received=203.0.113.9"),
        (
            "10.0.0.5;branch=z9hG4bK3;received=6.6.6.6",
            "203.0.113.9:5060",
            "10.0.0.5;branch=z9hG4bK3;received=203.0.113.9",
        ),
        ("203.0.113.9:5062;branch=z9hG4bK4", "203.0.113.9:5062", "203.0.113.9:5062;branch=z9hG4bK4"),
        ("h;branch=z9hG4bK5;maddr=6.6.6.6", "203.0.113.9:5060", "h;branch=z9hG4bK5;maddr=6.6.6.6;received=203.0.113.9"),
    ] {
        let text =
            request("OPTIONS", "Via: SIP/2.0/TCP far;branch=z9hG4bKfar\r\n").replace("127.0.0.1;branch=z9hG4bKh", via);
        let text = text.replace("Call-ID: h", &format!("Call-ID: {via}"));
        let now = w.now;
        w.b.receive(now, path, text.into());
        let sent = w.b.poll_transmit().expect("an answer");
        assert_eq!(sent.path.remote.to_string(), to);
        let text = String::from_utf8_lossy(&sent.bytes).into_owned();
        assert!(
            text.contains(&format!("Via: SIP/2.0/UDP {echoed}\r\nVia: SIP/2.0/TCP far;"))
                || text.contains(&format!("Via: SIP/2.0/UDP {echoed}\r\n")),
            "{text}"
        );
        assert!(text.contains("Via: SIP/2.0/TCP far;branch=z9hG4bKfar\r\n"), "{text}");
    }
}

#[test]
fn within_a_call_order_and_methods_are_watched() {
    let mut w = World::new();
    w.give_b(request("INVITE", "").replace("CSeq: 1", "CSeq: 10"));
    let b = w.incoming().session;
    let now = w.now;
    w.b.accept(now, b, answer());
    w.drain();
    let ok = w.wire.iter().map(|(_, m)| m).find(|m| m.starts_with("SIP/2.0 200")).expect("a 200").clone();
    let to = ok.lines().find(|l| l.starts_with("To: ")).expect("a To").to_owned();
    let mut say = |method: &str, cseq: u32, more: &str| {
        w.log.clear();
        let text = request(method, more)
            .replace("To: <sip:100@127.0.0.2>", &to)
            .replace("CSeq: 1 ", &format!("CSeq: {cseq} "))
            .replace("z9hG4bKh", &format!("z9hG4bKh{cseq}{method}"));
        w.give_b(text);
        w.sent(Side::B).join("|")
    };
    assert_eq!(say("ACK", 10, ""), "");
    assert_eq!(say("MESSAGE", 11, ""), "SIP/2.0 405 Method Not Allowed");
    assert_eq!(say("UPDATE", 12, ""), "SIP/2.0 200 OK");
    assert_eq!(say("DANCE", 13, ""), "SIP/2.0 501 Not Implemented");
    assert_eq!(say("OPTIONS", 14, ""), "SIP/2.0 200 OK");
    assert_eq!(say("OPTIONS", 13, ""), "SIP/2.0 500 CSeq out of order");
    assert_eq!(say("OPTIONS", 15, "Require: x\r\n"), "SIP/2.0 420 Bad Extension");
    assert_eq!(say("NOTIFY", 16, "Event: presence\r\n"), "SIP/2.0 489 Bad Event");
    assert_eq!(say("NOTIFY", 17, "Event: refer\r\n"), "SIP/2.0 481 Call/Transaction Does Not Exist");
    assert_eq!(say("REFER", 18, ""), "SIP/2.0 400 One valid Refer-To wanted");
    assert_eq!(say("BYE", 19, "Reason: SIP;cause=200, Q.850;cause=34;text=\"x,y\"\r\n"), "SIP/2.0 200 OK");
    let ended = Event::Ended { session: b, cause: Cause::NoCircuit };
    assert_eq!(w.events(Side::B), [Event::Acked { session: b, sdp: None }, ended]);
}

#[test]
fn a_broken_stream_is_closed_and_a_ping_gets_its_pong() {
    let mut w = World::tcp();
    let (now, path) = (w.now, w.path(Side::B));
    w.b.receive_stream(now, path, b"\r\n\r\n");
    assert_eq!(w.b.poll_transmit().map(|t| t.bytes), Some(Bytes::from_static(b"\r\n")));
    w.b.receive_stream(now, path, b"INVITE x\r\n\r\n");
    let blamed = Event::Misbehaved { source: path.remote.ip(), connection: 7, credentials: false };
    assert_eq!(w.events(Side::B), [blamed, Event::CloseConnection { connection: 7 }]);
    assert_eq!(w.b.counters()["stream-broken"], 1);
    // What never ends is cut off.
    let flood = vec![b'x'; 70_000];
    w.b.receive_stream(now, Path { connection: 8, ..path }, &flood);
    assert_eq!(w.events(Side::B).last(), Some(&Event::CloseConnection { connection: 8 }));
    // So is what ends too late, however it was cut.
    let long = request("OPTIONS", &format!("Subject: {}\r\n", "long".repeat(1_750)).repeat(10));
    assert!(long.len() > 64 * 1024);
    for (connection, cut) in [(9, 4_096), (10, long.len())] {
        long.as_bytes().chunks(cut).for_each(|chunk| w.b.receive_stream(now, Path { connection, ..path }, chunk));
        assert_eq!(w.events(Side::B).last(), Some(&Event::CloseConnection { connection }), "in pieces of {cut}");
    }
}

/// A message must be whole within 32 s of its first octet, however it trickles in; whole ones and pings take no time at all.
#[test]
fn a_message_that_is_never_finished_ends_its_stream() {
    let mut w = World::tcp();
    let path = w.path(Side::B);
    let start = w.now;
    let message = request("OPTIONS", "");
    let mut at = |seconds: u64, octets: &[u8]| {
        let now = start.after(Duration::from_secs(seconds));
        w.b.handle_timeout(now);
        w.b.receive_stream(now, path, octets);
        while w.b.poll_transmit().is_some() {}
        w.events(Side::B)
    };
    assert_eq!(at(0, b"\r\n\r\n"), []);
    assert_eq!(at(1_000, &message.as_bytes()[..20]), []);
    assert_eq!(at(1_031, &message.as_bytes()[20..]), [], "just in time");
    assert_eq!(at(1_031, [message.as_bytes(), b"OPT"].concat().as_slice()), [], "one, and the next one's beginning");
    assert_eq!(at(1_062, b"I"), []);
    assert_eq!(at(1_063, b"O"), [Event::CloseConnection { connection: 7 }]);
    assert_eq!(w.b.counters()["stream-half-message"], 1);
}

#[test]
fn a_refusal_is_not_much_larger_than_what_it_refuses() {
    let tags = "a,".repeat(4_000);
    let lines = "Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\n".repeat(300);
    for text in [
        request("OPTIONS", &format!("Require: {tags}\r\n").repeat(7)),
        request("OPTIONS", &lines),
        request("DANCE", ""),
        request("REGISTER", ""),
    ] {
        let mut w = World::new();
        w.give_b(text.clone());
        let (_, answer) = w.wire.first().expect("an answer");
        assert!(answer.len() <= text.len() + 400, "{} octets for {}", answer.len(), text.len());
    }
}

#[test]
fn a_flood_of_requests_stays_within_bounds() {
    let mut w = World::new();
    w.b = Endpoint::new(EndpointConfig { sessions_max: 10, ..config(4) });
    let (now, path) = (w.now, w.path(Side::B));
    for i in 0..20_000 {
        let text = request("INVITE", "")
            .replace("z9hG4bKh", &format!("z9hG4bKf{i}"))
            .replace("Call-ID: h", &format!("Call-ID: {i}"));
        w.b.receive(now, path, text.into());
        while w.b.poll_transmit().is_some() {}
    }
    assert_eq!(w.b.sessions_len(), 10);
    assert!(w.b.transactions_len() <= 16 * 10 + 16_384);
    assert!(w.b.counters()["transactions-full"] > 3000);
    let late = now.after(Duration::from_secs(33));
    w.b.handle_timeout(late);
    while w.b.poll_transmit().is_some() {}
    assert_eq!(w.b.transactions_len(), 10, "those that ring");
    w.b.handle_timeout(now.after(Duration::from_secs(301)));
    assert_eq!(w.b.sessions_len(), 0);
    w.b.handle_timeout(now.after(Duration::from_secs(400)));
    assert_eq!(w.b.transactions_len(), 0);
    assert_eq!(w.b.poll_timeout(), None);
}

/// Every kind of message of a busy world, to be bent out of shape.
fn corpus() -> Vec<Vec<u8>> {
    let mut w = World::new();
    w.b.set_users(vec![user("anna", "secret")]);
    let (a, b) = w.talk();
    let now = w.now;
    w.a.reinvite(now, a, offer());
    w.run(10);
    let now = w.now;
    w.b.answer_reoffer(now, b, Ok(answer()));
    w.run(10);
    let (now, path) = (w.now, w.path(Side::A));
    w.a.refer(now, a, "sip:3@127.0.0.9");
    w.a.probe(now, path, "sip:127.0.0.2".into());
    w.a.register(
        now,
        ClientRegistration {
            path,
            registrar_uri: "sip:127.0.0.2".into(),
            routes: Vec::new(),
            aor_user: "anna".into(),
            domain: "h".into(),
            credentials: credentials("anna", "secret").expect("credentials"),
            expires_s: 600,
        },
    );
    w.run(10);
    let now = w.now;
    w.b.accept_refer(now, b, 202);
    w.run(10);
    let now = w.now;
    w.a.hangup(now, a, Cause::Normal);
    w.run(10);
    let mut all: Vec<Vec<u8>> = w.wire.into_iter().map(|(_, m)| m.into_bytes()).collect();
    all.push(request("CANCEL", "").into_bytes());
    all
}

fn bend(message: &mut Vec<u8>, dice: &mut Dice) {
    let pick =
        |dice: &mut Dice, n: usize| usize::try_from(dice.roll(u64::try_from(n.max(1)).expect("small"))).expect("small");
    for _ in 0..=dice.roll(6) {
        let len = message.len();
        let at = pick(dice, len);
        match dice.roll(7) {
            0 if at < len => message[at] = u8::try_from(dice.roll(256)).expect("an octet"),
            1 => message.insert(at.min(len), *b"\r\n;,:<>\"@%= \t\0".get(pick(dice, 14)).expect("an octet")),
            2 if at < len => {
                message.remove(at);
            }
            3 => message.truncate(at),
            4 => {
                let end = (at + pick(dice, 40)).min(len);
                let part = message[at.min(end)..end].to_vec();
                let to = pick(dice, len).min(message.len());
                message.splice(to..to, part);
            }
            5 => {
                let end = (at + pick(dice, 40)).min(len);
                message.drain(at.min(end)..end);
            }
            _ => {
                let part =
                    [&b"4294967296"[..], b"-1", b"\r\n ", b";tag=", b"sip:", b"SIP/2.0", b"99999999999999999999"];
                let part = part[pick(dice, part.len())];
                message.splice(at.min(len)..at.min(len), part.iter().copied());
            }
        }
    }
}

#[test]
fn no_message_however_bent_makes_a_panic() {
    let corpus = corpus();
    for seed in 1..=8 {
        println!("seed {seed}");
        let mut dice = Dice(seed * 7919);
        let mut w = World::seeded(seed);
        w.b.set_users(vec![user("anna", "secret")]);
        let mut live: Vec<SessionId> = Vec::new();
        for round in 0..4000 {
            let n = u64::try_from(corpus.len()).expect("small");
            let mut message = corpus[usize::try_from(dice.roll(n)).expect("small")].clone();
            bend(&mut message, &mut dice);
            let (now, path) = (w.now, w.path(Side::B));
            if dice.percent(80) {
                w.b.receive(now, path, message.into());
            } else {
                let connection = 1 + dice.roll(3);
                w.b.receive_stream(now, Path { transport: Transport::Tcp, connection, ..path }, &message);
            }
            for event in w.events(Side::B) {
                if let Event::Incoming(incoming) = event {
                    live.push(incoming.session);
                }
            }
            if let Some(session) = live.pop() {
                let now = w.now;
                match dice.roll(5) {
                    0 => w.b.accept(now, session, answer()),
                    1 => w.b.challenge(now, session),
                    2 => w.b.hangup(now, session, Cause::Normal),
                    3 => w.b.reinvite(now, session, offer()),
                    _ => live.push(session),
                }
            }
            if round % 16 == 0 {
                w.run(dice.roll(4000));
                w.b.check_invariants();
            }
        }
        for session in live {
            let now = w.now;
            w.b.hangup(now, session, Cause::Normal);
        }
        w.run(1_000_000);
        assert_eq!((w.b.sessions_len(), w.b.transactions_len()), (0, 0), "seed {seed}");
    }
}

#[test]
fn random_octets_are_dropped() {
    let mut dice = Dice(77);
    let mut w = World::new();
    for _ in 0..3000 {
        let noise: Vec<u8> = (0..dice.roll(300)).map(|_| u8::try_from(dice.roll(256)).expect("an octet")).collect();
        w.give_b(noise);
    }
    assert_eq!((w.b.sessions_len(), w.b.transactions_len(), w.sent(Side::B).len()), (0, 0, 0));
    assert!(w.b.counters()["malformed"] > 2000);
}
