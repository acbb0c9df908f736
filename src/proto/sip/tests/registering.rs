//! Registrar, our registrations, digest both ways, OPTIONS.

use super::*;

fn order(w: &World, password: &str, expires_s: u32) -> ClientRegistration {
    ClientRegistration {
        path: w.path(Side::A),
        registrar_uri: "sip:127.0.0.2".into(),
        routes: Vec::new(),
        aor_user: "anna".into(),
        domain: "127.0.0.2".into(),
        credentials: credentials("anna", password).expect("credentials"),
        expires_s,
    }
}

fn with_users() -> World {
    let mut w = World::new();
    w.b.set_users(vec![user("anna", "secret"), user("bob", "other")]);
    w
}

/// A registers as anna at B.
fn registered(sha256: bool, expires_s: u32) -> (World, RegistrationId) {
    let mut w = with_users();
    w.b.offer_sha256(sha256);
    let now = w.now;
    let id = w.a.register(now, order(&w, "secret", expires_s));
    w.run(100);
    assert_eq!(w.events(Side::A), [Event::ClientRegistration { id, result: Ok(expires_s) }]);
    (w, id)
}

/// What tells that a contact of anna's is gone.
fn gone(contact: &str) -> Event {
    Event::Unregistered { user: "anna".into(), contact: contact.into() }
}

/// What will tell that her present binding is gone.
fn left(w: &World) -> Event {
    gone(&w.b.binding("anna").expect("a binding").contact)
}

#[test]
fn a_registration_is_made_by_digest_of_either_algorithm() {
    for sha256 in [false, true] {
        let (mut w, _) = registered(sha256, 120);
        let [Event::Registered { binding }] = &w.events(Side::B)[..] else { panic!("no binding") };
        assert_eq!(binding.contact, "sip:anna@127.0.0.1:5060");
        assert_eq!((binding.user.as_str(), binding.path.remote), ("anna", Side::A.address()));
        assert_eq!(binding.expires_at, Timestamp(w.now.wall.0 + 120_000 - 97));
        assert_eq!(w.b.binding("anna"), Some(binding));
        assert_eq!(w.sent(Side::B), ["SIP/2.0 401 Unauthorized", "SIP/2.0 200 OK"]);
        assert!(w.wire.iter().any(|(_, m)| m.contains("algorithm=SHA-256")) == sha256);
        assert!(!w.wire.iter().any(|(_, m)| m.contains("secret")));
    }
}

#[test]
fn it_is_refreshed_at_four_fifths_and_expires_when_the_client_is_gone() {
    let (mut w, id) = registered(false, 100);
    w.events(Side::B);
    let gone = left(&w);
    w.run(79_000);
    assert_eq!(w.events(Side::A), []);
    w.run(2000);
    // The nonce is too old by then: challenged anew, and still good.
    assert_eq!(w.events(Side::A), [Event::ClientRegistration { id, result: Ok(100) }]);
    assert!(matches!(w.events(Side::B)[..], [Event::Registered { .. }]));
    assert!(w.wire.iter().any(|(_, m)| m.contains("stale=true")));
    w.deaf = Some(Side::B);
    w.run(98_000);
    assert!(w.b.binding("anna").is_some());
    w.run(3000);
    assert_eq!(w.events(Side::B), [gone]);
    assert_eq!((w.b.binding("anna"), w.b.bindings_len()), (None, 0));
}

#[test]
fn leaving_takes_the_binding_away() {
    let (mut w, id) = registered(false, 3600);
    w.events(Side::B);
    let (now, gone) = (w.now, left(&w));
    w.a.unregister(now, id);
    w.settle();
    assert_eq!(w.events(Side::B), [gone]);
    assert_eq!(w.events(Side::A), []);
}

#[test]
fn leaving_while_asking_does_both() {
    let mut w = with_users();
    let now = w.now;
    let id = w.a.register(now, order(&w, "secret", 3600));
    w.a.unregister(now, id);
    w.settle();
    assert_eq!(w.b.bindings_len(), 0);
    assert_eq!(w.events(Side::A), []);
}

#[test]
fn a_wrong_password_is_refused_and_tried_again_later_and_later() {
    let mut w = with_users();
    let now = w.now;
    let id = w.a.register(now, order(&w, "wrong", 3600));
    w.run(100);
    assert_eq!(w.events(Side::A), [Event::ClientRegistration { id, result: Err(401) }]);
    assert_eq!(w.b.counters()["digest-failed"], 1);
    w.run(120_000);
    let tries = w.events(Side::A).len();
    assert!((2..=4).contains(&tries), "{tries}");
    assert_eq!(w.b.bindings_len(), 0);
}

#[test]
fn a_dead_registrar_is_reported_and_tried_again() {
    let mut w = with_users();
    w.deaf = Some(Side::B);
    let now = w.now;
    let id = w.a.register(now, order(&w, "secret", 3600));
    w.run(33_000);
    assert_eq!(w.events(Side::A), [Event::ClientRegistration { id, result: Err(408) }]);
    w.deaf = None;
    w.run(20_000);
    assert_eq!(w.events(Side::A), [Event::ClientRegistration { id, result: Ok(3600) }]);
}

#[test]
fn too_brief_a_wish_is_raised_to_the_registrars_least() {
    let mut w = with_users();
    let now = w.now;
    let id = w.a.register(now, order(&w, "secret", 5));
    w.run(100);
    assert_eq!(w.events(Side::A), [Event::ClientRegistration { id, result: Ok(30) }]);
}

#[test]
fn bindings_survive_a_restart_and_leave_with_their_user() {
    let (mut w, _) = registered(false, 3600);
    let binding = w.b.binding("anna").cloned().expect("a binding");
    let gone = left(&w);
    w.b = Endpoint::new(config(5));
    let now = w.now;
    w.b.restore_binding(now, binding.clone());
    assert_eq!(w.b.bindings_len(), 0, "an unknown user");
    w.b.set_users(vec![user("anna", "secret")]);
    w.b.restore_binding(now, binding.clone());
    assert_eq!(w.b.binding("anna"), Some(&binding));
    let late = now.after(Duration::from_secs(4000));
    let mut other = Endpoint::new(config(6));
    other.set_users(vec![user("anna", "secret")]);
    other.restore_binding(late, binding);
    assert_eq!(other.bindings_len(), 0, "expired");
    w.b.set_users(vec![user("anna", "changed"), user("bob", "x")]);
    assert_eq!(w.b.bindings_len(), 1);
    w.b.set_users(vec![user("bob", "x")]);
    assert_eq!(w.b.bindings_len(), 0);
    assert_eq!(w.events(Side::B).last(), Some(&gone));
}

#[test]
fn a_user_may_not_register_another() {
    let mut w = with_users();
    let now = w.now;
    let id = w.a.register(now, ClientRegistration { aor_user: "bob".into(), ..order(&w, "secret", 3600) });
    w.run(100);
    assert_eq!(w.events(Side::A), [Event::ClientRegistration { id, result: Err(403) }]);
    assert_eq!(w.b.bindings_len(), 0);
}

#[test]
fn bindings_max_holds() {
    let mut w = World::new();
    w.b = Endpoint::new(EndpointConfig { bindings_max: 1, ..config(8) });
    w.b.set_users(vec![user("anna", "secret"), user("bob", "secret")]);
    let now = w.now;
    w.a.register(now, order(&w, "secret", 3600));
    w.run(100);
    let now = w.now;
    let bob = ClientRegistration {
        aor_user: "bob".into(),
        credentials: credentials("bob", "secret").expect("credentials"),
        ..order(&w, "secret", 3600)
    };
    let id = w.a.register(now, bob);
    w.run(100);
    assert_eq!(w.events(Side::A).last(), Some(&Event::ClientRegistration { id, result: Err(503) }));
    assert_eq!(w.b.bindings_len(), 1);
    w.b.check_invariants();
}

#[test]
fn an_invite_is_challenged_and_answered() {
    for (password, expected) in [("secret", Some("anna".to_owned())), ("wrong", None)] {
        let mut w = with_users();
        let order = Invite { credentials: credentials("anna", password), ..w.order() };
        let now = w.now;
        let a = w.a.invite(now, order).expect("a session");
        w.run(10);
        let first = w.incoming();
        assert_eq!(first.authenticated, None);
        let now = w.now;
        w.b.challenge(now, first.session);
        w.run(10);
        assert_eq!(w.events(Side::A), []);
        let second = w.incoming();
        assert_eq!(second.authenticated, expected);
        let now = w.now;
        if expected.is_some() {
            w.b.accept(now, second.session, answer());
            w.run(10);
            assert_eq!(w.events(Side::A), [Event::Answered { session: a, sdp: Some(answer()) }]);
            let now = w.now;
            w.a.hangup(now, a, Cause::Normal);
        } else {
            w.b.challenge(now, second.session);
            w.run(10);
            assert!(matches!(w.events(Side::A)[..], [Event::Failed { status: 401, .. }]));
        }
        assert_eq!(w.b.sessions_len(), usize::from(expected.is_some()));
        w.settle();
    }
}

#[test]
fn an_invite_without_credentials_fails_by_its_challenge() {
    let mut w = with_users();
    let (a, b) = w.ring();
    let now = w.now;
    w.b.challenge(now, b);
    w.run(10);
    assert_eq!(
        w.events(Side::A),
        [Event::Failed { session: a, status: 401, cause: Cause::Rejected, retry_after_s: None }]
    );
    assert_eq!(w.events(Side::B), []);
    w.settle();
}

#[test]
fn options_tell_who_lives() {
    let mut w = World::new();
    let (now, path) = (w.now, w.path(Side::A));
    let alive = w.a.probe(now, path, "sip:127.0.0.2".into());
    w.run(10);
    assert_eq!(w.events(Side::A), [Event::Probed { id: alive, status: Some(200) }]);
    assert!(w.wire.iter().any(|(_, m)| m.starts_with("SIP/2.0 200") && m.contains("Allow: INVITE")));
    w.deaf = Some(Side::B);
    let now = w.now;
    let dead = w.a.probe(now, path, "sip:127.0.0.2".into());
    w.run(32_001);
    assert_eq!(w.events(Side::A), [Event::Probed { id: dead, status: None }]);
    let now = w.now;
    let wrong = w.a.probe(now, path, "no uri".into());
    assert_eq!(w.events(Side::A), [Event::Probed { id: wrong, status: None }]);
    w.deaf = None;
    w.settle();
}

/// A REGISTER whose digest B is known to accept, and what it says on top.
fn raw(w: &mut World, cseq: u32, lines: &str) -> Vec<String> {
    let from = w.wire.len();
    let text = |authorization: &str, cseq: u32| {
        format!(
            "REGISTER sip:127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKr{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:anna@h>;tag=f\r\nTo: <sip:anna@h>\r\nCall-ID: reg\r\nCSeq: {cseq} REGISTER\r\n\
             {authorization}{lines}Content-Length: 0\r\n\r\n"
        )
    };
    w.give_b(text("", cseq));
    let challenge =
        w.wire[from..].iter().map(|(_, m)| m).find(|m| m.starts_with("SIP/2.0 401")).expect("a 401").clone();
    let value = challenge.lines().find_map(|l| l.strip_prefix("WWW-Authenticate: ")).expect("a challenge");
    let challenge = sip_codec::auth::Challenge::parse(value.as_bytes(), false).expect("a challenge");
    let known = sip_codec::auth::Credentials::new("anna", "secret");
    let header = sip_codec::auth::respond(&challenge, &known, "REGISTER", "sip:127.0.0.2", 1, "c");
    let from = w.wire.len();
    w.give_b(text(&format!("Authorization: {header}\r\n"), cseq + 1));
    w.wire[from..].iter().flat_map(|(_, m)| m.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn several_contacts_the_newest_first_and_a_star_to_drop_them_all() {
    let mut w = with_users();
    let lines =
        raw(&mut w, 1, "Contact: <sip:anna@127.0.0.1:7000>;expires=60, <sip:anna@127.0.0.1:7001>\r\nExpires: 90\r\n");
    assert_eq!(lines[0], "SIP/2.0 200 OK");
    assert!(lines.contains(&"Contact: <sip:anna@127.0.0.1:7000>;expires=60".to_owned()), "{lines:?}");
    assert!(lines.contains(&"Contact: <sip:anna@127.0.0.1:7001>;expires=90".to_owned()), "{lines:?}");
    assert_eq!(w.b.binding("anna").map(|b| b.contact.as_str()), Some("sip:anna@127.0.0.1:7001"));
    // A query changes nothing.
    assert_eq!(raw(&mut w, 3, "").iter().filter(|l| l.starts_with("Contact: ")).count(), 2);
    // One goes and is told, the other stays.
    let (older, newer) = ("sip:anna@127.0.0.1:7000", "sip:anna@127.0.0.1:7001");
    w.events(Side::B);
    raw(&mut w, 5, "Contact: <sip:anna@127.0.0.1:7001>;expires=0\r\n");
    assert_eq!(w.events(Side::B), [gone(newer)]);
    assert_eq!(w.b.binding("anna").map(|b| b.contact.as_str()), Some(older));
    assert_eq!(raw(&mut w, 7, "Contact: *\r\nExpires: 60\r\n")[0], "SIP/2.0 400 Malformed Contact or Expires");
    assert_eq!(w.b.bindings_len(), 1);
    assert_eq!(raw(&mut w, 9, "Contact: *\r\nExpires: 0\r\n")[0], "SIP/2.0 200 OK");
    assert_eq!(w.b.bindings_len(), 0);
    assert_eq!(w.events(Side::B), [gone(older)]);
}

#[test]
fn a_fifth_contact_takes_the_oldest_ones_place() {
    let mut w = with_users();
    for port in 7000..7006 {
        raw(&mut w, 2 * port, &format!("Contact: <sip:anna@127.0.0.1:{port}>\r\n"));
        w.b.check_invariants();
    }
    let events = w.events(Side::B);
    for displaced in ["sip:anna@127.0.0.1:7000", "sip:anna@127.0.0.1:7001"] {
        assert!(events.contains(&gone(displaced)), "{events:?}");
    }
    assert_eq!(w.b.bindings_len(), 4);
    assert_eq!(w.b.binding("anna").map(|b| b.contact.as_str()), Some("sip:anna@127.0.0.1:7005"));
}

#[test]
fn a_register_out_of_order_is_refused() {
    let mut w = with_users();
    raw(&mut w, 10, "Contact: <sip:anna@127.0.0.1:7000>\r\n");
    let lines = raw(&mut w, 3, "Contact: <sip:anna@127.0.0.1:7000>;expires=0\r\n");
    assert_eq!(lines[0], "SIP/2.0 500 CSeq out of order");
    assert_eq!(w.b.bindings_len(), 1);
}
