//! Nobody calls at another's expense.

use std::net::UdpSocket;

use cordboard::core::control::{Query, Reply};

use crate::phone::{Phone, State};
use crate::site::{Live, Site, agent, enqueue, flow, queue, quiet, until};

fn world(site: &Site) -> Live {
    let more = flow("200", "quiet", &quiet())
        + &flow("300", "help", &enqueue("help"))
        + &queue("help", "")
        + &agent("ana", "signed_in = true")
        + &agent("ben", "");
    let provision = site.provision(&more);
    let mut provision = provision;
    provision.trunk[0].prefix = vec!["9".into()];
    site.restart(Some(provision))
}

/// The status that ends a call which must not be.
fn refused(phone: &mut Phone, session: cordboard::proto::sip::SessionId) -> u16 {
    until("the call is decided", || {
        phone.step();
        !matches!(phone.state(session), State::Calling | State::Ringing)
    });
    match phone.state(session) {
        State::Over(status) => status,
        state => panic!("{state:?}"),
    }
}

#[test]
fn strangers_and_borrowed_names_are_refused() {
    let site = Site::new();
    let live = world(&site);
    let mut stranger = Phone::new(site.abroad(), site.server(), "5550", 1);
    for number in ["200", "95551234", "ana"] {
        let session = stranger.call(number);
        assert_eq!(refused(&mut stranger, session), 401, "{number}");
    }
    // In the name of an agent, without the password: the same, so that names cannot be tried out.
    let session = stranger.call_as("ana", "200", false);
    assert_eq!(refused(&mut stranger, session), 401);
    let mut forger = Phone::new(site.abroad(), site.server(), "ana", 1);
    forger.calls.clear();
    let session = forger.call_as("ben", "95551234", true);
    assert_eq!(refused(&mut forger, session), 403, "ana's password, ben's name");
    // A peer reaches the tenants' numbers and nothing beyond.
    let mut peer = Phone::new(site.carrier(), site.server(), "5551", 1);
    for number in ["95551234", "ana", "555"] {
        let session = peer.call(number);
        assert_eq!(refused(&mut peer, session), 404, "{number}");
    }
    assert_eq!(live.status().offered, 0);
    assert!(site.cdrs().is_empty());
    assert!(matches!(live.query(Query::Calls), Reply::Calls { calls } if calls.is_empty()));
    // An agent's own phone may.
    let mut ana = Phone::new(site.office(), site.server(), "ana", 1).register();
    let session = ana.call_known("200");
    until("the agent's phone is through", || {
        ana.step();
        ana.is_up(session)
    });
    live.stop();
}

#[test]
fn nobody_is_referred_to_an_address_of_the_peers_choosing() {
    let site = Site::new();
    let live = world(&site);
    let mut ana = Phone::new(site.office(), site.server(), "ana", 33).register();
    let mut caller = Phone::new(site.carrier(), site.server(), "5551", 44);
    let session = caller.call("300");
    until("they talk", || {
        ana.step();
        caller.step();
        ana.up().is_some() && caller.is_up(session)
    });
    let foreign = format!("sip:1900@{}:5070", site.abroad());
    let agents_call = ana.up().unwrap();
    for (who, target) in [
        ("ana", foreign.clone()),
        ("ana", "tel:1900".into()),
        ("caller", foreign),
        ("caller", format!("sip:9555@{}", site.server())),
    ] {
        let (phone, call) = if who == "ana" { (&mut ana, agents_call) } else { (&mut caller, session) };
        phone.referred = None;
        phone.refer(call, &target);
        until("the REFER is answered", || {
            ana.step();
            caller.step();
            let phone = if who == "ana" { &ana } else { &caller };
            phone.referred.is_some()
        });
        let status = if who == "ana" { ana.referred } else { caller.referred };
        assert!(status.is_some_and(|s| s >= 400), "{who} to {target}: {status:?}");
    }
    assert!(caller.is_up(session) && ana.up().is_some(), "the call goes on");
    live.stop();
}

/// The final status of the answer to a request as it stands, which has this Call-ID.
fn answer(socket: &UdpSocket, server: std::net::SocketAddr, request: &str, call_id: &str) -> u16 {
    socket.send_to(request.replace('\n', "\r\n").as_bytes(), server).unwrap();
    let mut status = 0;
    until("a final answer", || {
        let mut buffer = [0; 4096];
        let Ok(len) = socket.recv(&mut buffer) else { return false };
        let text = String::from_utf8_lossy(&buffer[..len]);
        assert!(text.starts_with("SIP/2.0 "), "a request came: {text}");
        // Refusals of earlier INVITEs come again, as nobody acknowledges them.
        if text.lines().any(|line| line == format!("Call-ID: {call_id}")) {
            status = text[8..11].parse().unwrap();
        }
        status >= 200
    });
    status
}

/// Header fields that would lead a credulous server elsewhere (RFC 3261 section 26.1, RFC 3515 section 5, RFC 3891 section
/// 8): nothing rings, nobody else hears of it.
#[test]
fn no_header_opens_a_way_out() {
    let site = Site::new();
    let live = world(&site);
    let server = site.server();
    let socket = UdpSocket::bind((site.abroad(), 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let victim = UdpSocket::bind((site.abroad(), 0)).unwrap();
    victim.set_nonblocking(true).unwrap();
    let (here, there) = (socket.local_addr().unwrap(), victim.local_addr().unwrap());
    let mut n = 0;
    let mut ask = |socket: &UdpSocket, method: &str, target: &str, from: &str, more: &str| {
        n += 1;
        let here = socket.local_addr().unwrap();
        let request = format!(
            "{method} {target} SIP/2.0\nVia: SIP/2.0/UDP {here};branch=z9hG4bKfraud{n}\nMax-Forwards: 70\n\
             From: <{from}>;tag=f{n}\nTo: <{target}>\nCall-ID: fraud{n}\nCSeq: 1 {method}\n{more}\
             Content-Length: 0\n\n"
        );
        answer(socket, server, &request, &format!("fraud{n}"))
    };
    let stranger = format!("sip:5550@{here}");
    let ana = format!("sip:ana@{server}");
    let at = |user: &str| format!("sip:{user}@{server}");
    let contact = format!("Contact: <sip:x@{there}>\n");
    let cases = [
        ("INVITE", at("95551234"), &stranger, format!("Route: <sip:{there};lr>\n{contact}"), &[401][..]),
        ("INVITE", format!("sip:95551234@{there}"), &stranger, contact.clone(), &[401]),
        ("INVITE", at("200"), &stranger, format!("P-Asserted-Identity: <{ana}>\n{contact}"), &[401]),
        (
            "INVITE",
            at("200"),
            &stranger,
            format!("Diversion: <{ana}>\nHistory-Info: <{ana}>;index=1\n{contact}"),
            &[401],
        ),
        ("INVITE", at("200"), &stranger, format!("Referred-By: <{ana}>\n{contact}"), &[401]),
        ("INVITE", at("200"), &stranger, format!("Replaces: 1;to-tag=1-1;from-tag=1\n{contact}"), &[481]),
        ("INVITE", at("200"), &stranger, format!("Join: 1;to-tag=1-1;from-tag=1\nRequire: join\n{contact}"), &[420]),
        ("INVITE", at("95551234"), &ana, contact.clone(), &[401]),
        ("INVITE", "tel:+95551234".into(), &stranger, contact.clone(), &[401]),
        ("INVITE", at("%39%35%35%351234"), &stranger, contact.clone(), &[401]),
        ("REFER", at("200"), &stranger, format!("Refer-To: <{}>\n{contact}", at("95551234")), &[403]),
        ("REFER", at("ana"), &ana, format!("Refer-To: <sip:9@{there}?Replaces=1>\n{contact}"), &[403]),
        ("REGISTER", at(""), &ana, contact.clone(), &[400, 401]),
        ("REGISTER", format!("sip:{server}"), &stranger, contact.clone(), &[401]),
        ("NOTIFY", at("ana"), &stranger, format!("Event: refer\nSubscription-State: active\n{contact}"), &[481]),
        ("SUBSCRIBE", at("ana"), &stranger, format!("Event: dialog\n{contact}"), &[405, 481, 489, 501]),
        ("MESSAGE", at("ana"), &stranger, contact.clone(), &[405, 501]),
        ("UPDATE", at("200"), &stranger, contact.clone(), &[481]),
        ("PRACK", at("200"), &stranger, format!("RAck: 1 1 INVITE\n{contact}"), &[481]),
        ("INFO", at("200"), &stranger, contact.clone(), &[481]),
    ];
    for (method, target, from, more, expected) in cases {
        let status = ask(&socket, method, &target, from, &more);
        assert!(expected.contains(&status), "{method} {target} {more}: {status}");
    }
    // A trunk's peer reaches the tenants' numbers, whatever it says of itself or of the way.
    let peer = UdpSocket::bind((site.carrier(), 0)).unwrap();
    peer.set_nonblocking(true).unwrap();
    let secret = format!("P-Asserted-Identity: <{ana}>\nDiversion: <{ana}>\n{contact}");
    for (from, more) in
        [(&stranger, &contact), (&ana, &secret), (&stranger, &format!("Route: <sip:{there};lr>\n{contact}"))]
    {
        for target in ["95551234", "ana", "ben"] {
            assert_eq!(ask(&peer, "INVITE", &at(target), from, more), 404, "{target} {more}");
        }
    }
    assert_eq!(live.status().offered, 0);
    assert!(matches!(live.query(Query::Calls), Reply::Calls { calls } if calls.is_empty()));
    let mut buffer = [0; 64];
    assert!(victim.recv(&mut buffer).is_err(), "somebody else was written to");
    live.stop();
    assert!(site.cdrs().is_empty());
}
