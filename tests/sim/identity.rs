//! Whom calls come from: what is believed, what is hidden from whom, what goes on with a call that is sent on.

use bytes::Bytes;
use cordboard::base::{Cause, Redacted};
use cordboard::core::journal::Change;
use cordboard::core::tenant::provision::{CallerId, Number, Shown};
use cordboard::proto::sdp::Direction as Flow;
use cordboard::proto::sip::{
    ClientRegistration, Credentials, Event, Incoming, Invite, MAX_FORWARDS, Path, SessionId, Transport,
};

use crate::desk::{Desk, PROVISION, Party, description};
use crate::provision;

fn desk(trusted: bool) -> Desk {
    let mut provision = provision(PROVISION);
    let carrier = provision.trunk.iter_mut().find(|t| t.name == "carrier").expect("the carrier");
    carrier.trusted = trusted;
    // Whom one number sends on goes outside, and nobody else.
    let flow = provision.flow.iter_mut().find(|f| f.name == "office").expect("a flow");
    flow.text = "[flow]\nstart = \"a\"\n[step.a]\ndo = \"branch\"\n\
                 when = [{ attribute = \"diverted_from\", in = [\"5559000\"], then = \"b\" }]\nelse = \"c\"\n\
                 [step.b]\ndo = \"transfer\"\nto = \"85551234\"\n[step.c]\ndo = \"hangup\"\ncause = \"rejected\"\n"
        .into();
    Desk::new(1, provision)
}

/// The carrier calls with these header fields.
fn call(desk: &mut Desk, number: &str, max_forwards: u8, headers: &[(&str, &str)]) -> SessionId {
    let invite = Invite { max_forwards, ..invite("5550001", "127.0.0.2", number, headers) };
    desk.with(Party::Carrier, |e, now| e.invite(now, invite)).expect("a session")
}

/// ana's phone calls outside, with a From and header fields of its own choosing.
fn call_of_ana(desk: &mut Desk, from: (&str, &str), headers: &[(&str, &str)]) -> SessionId {
    let path = Path::new(Transport::Udp, ([127, 0, 0, 3], 5080).into(), ([127, 0, 0, 1], 5060).into());
    let credentials = Some(Credentials { user: "ana".into(), password: Redacted::new("ana-secret".into()) });
    let invite = Invite { path, credentials, ..invite(from.0, from.1, "85551234", headers) };
    desk.with(Party::Phones, |e, now| e.invite(now, invite)).expect("a session")
}

fn invite(user: &str, host: &str, number: &str, headers: &[(&str, &str)]) -> Invite {
    Invite {
        path: Path::new(Transport::Udp, ([127, 0, 0, 2], 5070).into(), ([127, 0, 0, 1], 5060).into()),
        request_uri: format!("sip:{number}@127.0.0.1"),
        from_user: user.into(),
        from_display: None,
        from_host: host.into(),
        to_uri: format!("sip:{number}@127.0.0.1"),
        contact_user: "line".into(),
        sdp: Some(description(20_000, Flow::SendRecv)),
        credentials: None,
        max_forwards: MAX_FORWARDS,
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    }
}

fn refused(desk: &Desk, session: SessionId) -> Option<(u16, Cause)> {
    desk.events.iter().find_map(|(_, e)| match e {
        Event::Failed { session: s, status, cause, .. } if *s == session => Some((*status, *cause)),
        _ => None,
    })
}

fn asserted(incoming: &Incoming) -> Option<&str> {
    incoming.origin.asserted.as_ref().map(|user| user.as_str())
}

/// The octets of our newest INVITE to a party.
fn octets(desk: &Desk, party: Party) -> &str {
    let mine = desk.calls_out.iter().rev().find(|(p, text)| *p == party && text.starts_with("INVITE"));
    mine.map_or("", |(_, text)| text)
}

/// The INVITE that rings at a party for this user.
fn rung(desk: &Desk, party: Party, user: &str) -> Incoming {
    let found = desk.events.iter().rev().find_map(|(p, e)| match e {
        Event::Incoming(incoming) if *p == party && incoming.request_user == user => Some((**incoming).clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{user} is not rung"))
}

fn over(mut desk: Desk, session: SessionId) -> String {
    desk.hangup(Party::Carrier, session);
    desk.seconds(400);
    desk.check_over();
    desk.cdrs.last().expect("a record").from.as_str().to_owned()
}

const ASSERTED: (&str, &str) = ("P-Asserted-Identity", "<sip:+15550100@carrier.example>");

/// RFC 3325 section 5: what comes from outside the trust domain is not believed.
#[test]
fn an_asserted_number_counts_from_trusted_trunks_alone() {
    for (trusted, from) in [(true, "+15550100"), (false, "5550001")] {
        let mut desk = desk(trusted);
        let session = call(&mut desk, "100", MAX_FORWARDS, &[ASSERTED]);
        let ana = rung(&desk, Party::Phones, "ana");
        assert_eq!((ana.from_user.as_str(), asserted(&ana)), (from, None), "phones are no trust domain");
        assert_eq!(over(desk, session), from);
    }
}

/// RFC 3323 section 4.1, RFC 3325 section 7: a withheld number goes to trusted trunks and to nobody else.
#[test]
fn a_withheld_number_is_not_shown() {
    for trusted in [true, false] {
        let mut desk = desk(trusted);
        let referred = ("Referred-By", "\"Carol\" <sip:+15550100@x>");
        let headers = [ASSERTED, ("Privacy", "id"), referred];
        let session = call(&mut desk, "100", MAX_FORWARDS, &headers);
        let ana = rung(&desk, Party::Phones, "ana");
        assert_eq!(ana.from_uri, "sip:anonymous@anonymous.invalid");
        assert!(ana.origin.private && ana.origin.asserted.is_none());
        let hidden = |text: &str| {
            assert!(!text.contains("5550100") && !text.contains("5550001") && !text.contains("Carol"), "{text}");
        };
        hidden(octets(&desk, Party::Phones));
        desk.hangup(Party::Carrier, session);
        // Sent on to another number outside.
        let session = call(&mut desk, "200", MAX_FORWARDS, &headers);
        let outside = rung(&desk, Party::Carrier, "85551234");
        assert_eq!(outside.from_uri, "sip:anonymous@anonymous.invalid");
        assert_eq!(asserted(&outside), trusted.then_some("+15550100"));
        hidden(&octets(&desk, Party::Carrier).replace("P-Asserted-Identity: <sip:+15550100@", ""));
        assert!(outside.origin.private);
        let cdr = over(desk, session);
        assert_eq!(cdr, "anonymous");
    }
}

/// RFC 3325 section 5: an agent's phone has proved itself, so its user may be asserted; its own word is not passed on.
#[test]
fn an_agents_phone_is_asserted_by_us() {
    let mut desk = desk(true);
    let own = [
        ("P-Asserted-Identity", "<sip:ceo@x>"),
        ("Diversion", "<sip:5559000@x>"),
        ("History-Info", "<sip:7@x>;index=1, <sip:8@x>;index=1.1"),
    ];
    let session = call_of_ana(&mut desk, ("ana", "127.0.0.3"), &own);
    let outside = rung(&desk, Party::Carrier, "85551234");
    assert_eq!(asserted(&outside), Some("ana"));
    assert_eq!(outside.origin.diversions, [], "nobody sent it on");
    desk.hangup(Party::Phones, session);
    desk.seconds(400);
    desk.check_over();
}

/// RFC 3323 section 4.1: a phone withholds its number by Privacy, or by a From that is nobody's, and its credentials say who it
/// is all the same.
#[test]
fn an_agents_phone_may_withhold_its_number() {
    let nobody = ("anonymous", "anonymous.invalid");
    for (trusted, from, privacy) in
        [(true, nobody, None), (false, nobody, None), (true, ("ana", "127.0.0.3"), Some(("Privacy", "id")))]
    {
        let mut desk = desk(trusted);
        let session = call_of_ana(&mut desk, from, privacy.as_slice());
        let outside = rung(&desk, Party::Carrier, "85551234");
        assert_eq!(asserted(&outside), trusted.then_some("ana"));
        assert!(outside.origin.private && outside.from_uri == "sip:anonymous@anonymous.invalid");
        let text = octets(&desk, Party::Carrier).replace("P-Asserted-Identity: <sip:ana@", "");
        assert!(!text.contains("ana@"), "{text}");
        desk.hangup(Party::Phones, session);
        desk.seconds(400);
        desk.check_over();
        assert_eq!(desk.cdrs.last().expect("a record").from.as_str(), "ana", "the record knows");
    }
}

/// RFC 3261 section 22.1: a phone speaks for itself alone. That its settings are wrong makes it no stranger, and bans nobody.
#[test]
fn a_phone_with_another_name_is_refused_and_not_banned() {
    let mut desk = desk(true);
    for _ in 0..8 {
        let session = call_of_ana(&mut desk, ("ben", "127.0.0.3"), &[]);
        assert_eq!(refused(&desk, session), Some((403, Cause::Barred)));
    }
    let session = call_of_ana(&mut desk, ("ana", "127.0.0.3"), &[]);
    rung(&desk, Party::Carrier, "85551234");
    desk.hangup(Party::Phones, session);
    desk.seconds(400);
    desk.check_over();
}

/// RFC 4475 section 3.1.1.3: an odd name is a valid one; it is no number, and the call comes without.
#[test]
fn a_caller_with_an_odd_name_is_let_in() {
    for user in ["I have spaces", "john@corp.example", &"7".repeat(200)] {
        let mut desk = desk(false);
        let invite = invite(user, "127.0.0.2", "100", &[]);
        let session = desk.with(Party::Carrier, |e, now| e.invite(now, invite)).expect("a session");
        assert_eq!(rung(&desk, Party::Phones, "ana").from_user, "anonymous");
        assert_eq!(over(desk, session), "");
    }
    // An asserted name that is no number is none, and From counts.
    let mut desk = desk(true);
    let session = call(&mut desk, "100", MAX_FORWARDS, &[("P-Asserted-Identity", "<sip:a%20b@x>")]);
    assert_eq!(over(desk, session), "5550001");
}

/// RFC 3261 section 26.1: what callers say of themselves may fill a number in, and never a host.
#[test]
fn callers_choose_no_host() {
    let hidden = ("Diversion", "<sip:sip%3A1900%40127.0.0.66@x>");
    for (to, from, headers) in [
        ("{diverted_by}", "5550001", &[hidden][..]),
        ("{diverted_from}", "5550001", &[hidden]),
        ("{ani}", "sip:127.0.0.66", &[]),
        ("sip:{ani}@127.0.0.2:5070", "a@127.0.0.66;b", &[]),
    ] {
        let mut provision = provision(PROVISION);
        let flow = provision.flow.iter_mut().find(|f| f.name == "office").expect("a flow");
        flow.text = format!("[flow]\nstart = \"a\"\n[step.a]\ndo = \"transfer\"\nto = \"{to}\"\n");
        let mut desk = Desk::new(1, provision);
        let invite = invite(from, "127.0.0.2", "300", headers);
        let session = desk.with(Party::Carrier, |e, now| e.invite(now, invite)).expect("a session");
        assert_eq!(refused(&desk, session).map(|r| r.1), Some(Cause::InvalidNumber), "{to}");
        assert!(desk.strays.is_empty() && desk.asked.is_empty() && desk.calls_out.is_empty(), "{to}");
        desk.seconds(400);
        desk.check_over();
    }
    // In a user part `;` ends nothing (RFC 3261 section 25.1): it goes where the flow says.
    let mut provision = provision(PROVISION);
    let flow = provision.flow.iter_mut().find(|f| f.name == "office").expect("a flow");
    flow.text = "[flow]\nstart = \"a\"\n[step.a]\ndo = \"transfer\"\nto = \"sip:{ani}@127.0.0.2:5070\"\n".into();
    let mut desk = Desk::new(1, provision);
    let invite = invite("evil.example;x", "127.0.0.2", "300", &[]);
    let session = desk.with(Party::Carrier, |e, now| e.invite(now, invite)).expect("a session");
    assert!(octets(&desk, Party::Carrier).contains("\r\nTo: <sip:evil.example;x@127.0.0.2:5070>\r\n"));
    assert!(desk.strays.is_empty() && desk.asked.is_empty());
    over(desk, session);
}

/// RFC 5806 section 5, RFC 7044 section 5: the numbers on the way are kept, and ours is added.
#[test]
fn diversions_choose_the_way_and_go_on() {
    let diversion = [
        ("Diversion", "<sip:5559001@carrier.example>;reason=no-answer"),
        ("Diversion", "<sip:5559000@carrier.example>;reason=user-busy;counter=1"),
    ];
    let history = "<sip:5559000@x?Reason=SIP%3Bcause%3D486>;index=1, <sip:5559001@x?Reason=SIP%3Bcause%3D408>;index=1.1, \
                   <sip:300@x>;index=1.1.1";
    for headers in [&diversion[..], &[("History-Info", history)]] {
        let mut desk = desk(false);
        let session = call(&mut desk, "300", MAX_FORWARDS, headers);
        let outside = rung(&desk, Party::Carrier, "85551234");
        let way: Vec<&str> = outside.origin.diversions.iter().map(|d| d.user.as_str()).collect();
        assert_eq!(way, ["300", "5559001", "5559000"], "the newest first");
        desk.hangup(Party::Carrier, session);
        desk.seconds(400);
        let cdr = desk.cdrs.last().expect("a record");
        let noted = cdr.events.iter().find(|e| e.what == "diverted").map(|e| e.detail.as_str());
        assert_eq!(noted, Some("from 5559000, user-busy"));
        desk.check_over();
    }
    // RFC 7044 section 10.1, RFC 5806 section 4.1: withheld from people, flows, records and whom we do not trust; it counts.
    let entry = "<sip:5559001@x?Privacy=history>;index=1, <sip:200@x>;index=1.1";
    let parameter = ("Diversion", "<sip:5559001@x>;privacy=full");
    for headers in [&[diversion[0], ("Privacy", "history")][..], &[parameter], &[("History-Info", entry)]] {
        for trusted in [true, false] {
            let mut provision = provision(PROVISION);
            provision.trunk.iter_mut().for_each(|trunk| trunk.trusted = trusted);
            let flow = provision.flow.iter_mut().find(|f| f.name == "office").expect("a flow");
            flow.text = "[flow]\nstart = \"a\"\n[step.a]\ndo = \"branch\"\n\
                         when = [{ attribute = \"diverted_from\", exists = false, then = \"b\" }]\nelse = \"c\"\n\
                         [step.b]\ndo = \"transfer\"\nto = \"85551234\"\n\
                         [step.c]\ndo = \"hangup\"\ncause = \"rejected\"\n"
                .into();
            let mut desk = Desk::new(1, provision);
            let session = call(&mut desk, "300", MAX_FORWARDS, headers);
            let outside = rung(&desk, Party::Carrier, "85551234");
            assert_eq!(outside.origin.diversions.len(), 2, "it counts");
            assert!(outside.origin.diversions[1].withheld);
            assert_eq!(octets(&desk, Party::Carrier).contains("5559001"), trusted);
            desk.hangup(Party::Carrier, session);
            let session = call(&mut desk, "100", MAX_FORWARDS, headers);
            rung(&desk, Party::Phones, "ana");
            assert!(!octets(&desk, Party::Phones).contains("5559001"));
            desk.hangup(Party::Carrier, session);
            desk.seconds(400);
            desk.check_over();
            for cdr in &desk.cdrs {
                let noted: Vec<_> = cdr.events.iter().filter(|e| e.what.starts_with("diverted")).collect();
                assert!(noted.len() == 1 && noted[0].what == "diverted-withheld", "{noted:?}");
            }
        }
    }
}

/// A number that comes back to itself, by a carrier that makes a new call of it each time and passes Diversion on: each round
/// makes the list longer, and the eleventh is refused.
#[test]
fn a_circle_of_diversions_ends() {
    let mut desk = desk(false);
    let mut headers = vec![("Diversion", "<sip:5559000@x>".to_owned())];
    let mut sessions = Vec::new();
    for round in 1.. {
        let now: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let session = call(&mut desk, "200", MAX_FORWARDS, &now);
        if let Some(refusal) = refused(&desk, session) {
            assert_eq!((round, refusal), (11, (482, Cause::ExchangeRouting)));
            break;
        }
        sessions.push(session);
        let back = rung(&desk, Party::Carrier, "85551234").origin.diversions;
        assert!(round <= 10 && back.len() == round + 1, "{back:?}");
        headers = back.iter().map(|d| ("Diversion", format!("<sip:{}@x>", d.user.as_str()))).collect();
    }
    sessions.into_iter().for_each(|session| desk.hangup(Party::Carrier, session));
    desk.seconds(400);
    desk.check_over();
}

/// RFC 3261 section 16.3 step 3 and 16.6 step 3, as RFC 7332 wants them of back-to-back user agents.
#[test]
fn a_call_in_circles_ends() {
    let mut desk = desk(false);
    let session = call(&mut desk, "200", 5, &[]);
    assert_eq!(rung(&desk, Party::Carrier, "85551234").origin.max_forwards, 4);
    desk.hangup(Party::Carrier, session);
    let refusals = [(0, vec![], 483), (70, vec![("Diversion", "<sip:5559000@x>"); 11], 482)];
    for (hops, headers, expected) in refusals {
        let session = call(&mut desk, "200", hops, &headers);
        assert_eq!(refused(&desk, session), Some((expected, Cause::ExchangeRouting)), "{hops}");
    }
    desk.seconds(400);
    desk.check_over();
}

/// RFC 3326 section 2 with Q.850: why a party hung up reaches the other, and the record.
#[test]
fn reasons_go_through() {
    let mut desk = desk(false);
    let session = call(&mut desk, "200", MAX_FORWARDS, &[]);
    let outside = desk.rings(Party::Carrier, "85551234").expect("the carrier is called");
    desk.accept(Party::Carrier, outside);
    desk.with(Party::Carrier, |e, now| e.hangup(now, outside, Cause::OutOfOrder));
    let ended = |e: &Event| matches!(e, Event::Ended { session: s, cause: Cause::OutOfOrder } if *s == session);
    assert!(desk.heard(Party::Carrier, ended));
    desk.seconds(3);
    assert_eq!(desk.cdrs.last().and_then(|cdr| cdr.cause), Some(Cause::OutOfOrder));
    // A CANCEL's reason counts, too.
    let session = call(&mut desk, "200", MAX_FORWARDS, &[]);
    rung(&desk, Party::Carrier, "85551234");
    desk.with(Party::Carrier, |e, now| e.hangup(now, session, Cause::TimerExpired));
    let cancel = desk.calls_out.iter().find(|(_, text)| text.starts_with("CANCEL")).map_or("", |(_, text)| text);
    assert!(cancel.contains("\r\nReason: Q.850;cause=102"), "{cancel}");
    desk.seconds(3);
    assert_eq!(desk.cdrs.last().and_then(|cdr| cdr.cause), Some(Cause::TimerExpired));
    desk.seconds(400);
    desk.check_over();
}

/// RFC 5031: the service leads to the first emergency number that is one of ours; of another urn nothing is known.
#[test]
fn who_asks_for_the_emergency_services_gets_an_emergency_number() {
    let mut provision = provision(PROVISION);
    provision.sip.emergency = vec!["112".into(), "200".into()];
    let mut desk = Desk::new(1, provision);
    let started = |desk: &Desk| {
        let to = |change: &Change| match change {
            Change::CallStarted { cdr } => Some(cdr.to.as_str().to_owned()),
            _ => None,
        };
        desk.journal.iter().filter_map(to).collect::<Vec<String>>()
    };
    for (n, urn) in
        ["urn:service:sos", "URN:service:SOS.fire", "urn:service:counseling", "urn:service:sosx"].iter().enumerate()
    {
        let text = format!(
            "INVITE {urn} SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.2:5099;branch=z9hG4bKs{n}\nFrom: <sip:5550001@h>;tag=1\n\
             To: <{urn}>\nCall-ID: s{n}\nCSeq: 1 INVITE\nContact: <sip:a@127.0.0.2:5099>\nMax-Forwards: 70\n\
             Content-Length: 0\n\n"
        );
        desk.datagram(&text);
    }
    assert_eq!(started(&desk), ["200", "200"]);
    let refused = |bytes: &&Bytes| bytes.starts_with(b"SIP/2.0 416");
    assert_eq!(desk.strays.iter().filter(refused).count(), 2);
}

/// A phone's address cannot be banned, as anybody could send in its name. What it tries of passwords is its own.
#[test]
fn an_address_with_phones_that_guesses_passwords_is_not_heard_for_a_minute() {
    let mut desk = desk(false);
    let log_in = |desk: &mut Desk, user: &str, password: &str| {
        let registration = ClientRegistration {
            path: desk.path_of(Party::Phones),
            registrar_uri: "sip:127.0.0.1".into(),
            routes: Vec::new(),
            aor_user: user.into(),
            domain: "127.0.0.1".into(),
            credentials: Credentials { user: user.into(), password: Redacted::new(password.into()) },
            expires_s: 600,
        };
        let id = desk.with(Party::Phones, |e, now| e.register(now, registration));
        let told = desk.events.iter().find_map(|(_, event)| match event {
            Event::ClientRegistration { id: told, result } if *told == id => Some(*result),
            _ => None,
        });
        desk.with(Party::Phones, |e, now| e.unregister(now, id));
        told.expect("an answer")
    };
    let alarm = |desk: &Desk| desk.switch.status().alarms.iter().any(|alarm| alarm.name == "login-attempts");
    assert!(log_in(&mut desk, "ben", "ben-secret").is_ok());
    assert!((0..50).all(|n| log_in(&mut desk, "nobody", &format!("{n}")) == Err(401)));
    assert!(alarm(&desk));
    assert_eq!(log_in(&mut desk, "ben", "ben-secret"), Err(403), "right or wrong");
    desk.seconds(61);
    assert!(!alarm(&desk));
    assert!(log_in(&mut desk, "ben", "ben-secret").is_ok());
}

/// What the carrier is shown of a call: the From, and who is asserted.
fn shown(desk: &Desk, number: &str) -> (String, Option<String>) {
    let outside = rung(desk, Party::Carrier, number);
    let user = outside.from_uri.trim_start_matches("sip:").split('@').next().unwrap_or_default().to_owned();
    (user, asserted(&outside).map(str::to_owned))
}

/// The policy of the trunk, then the tenant's within it; RFC 3323 section 4.2 and RFC 3325 section 9 for what is withheld.
#[test]
fn a_trunk_shows_what_its_policy_and_the_tenants_say() {
    use CallerId::{Fixed, Own, Pass, Withheld};
    for (policy, trusted, wanted, from, asserts) in [
        (None, false, Shown::Caller, "200", None),
        (None, true, Shown::Caller, "ana", Some("ana")),
        (Some(Own), false, Shown::Caller, "200", None),
        (Some(Own), true, Shown::Caller, "200", Some("200")),
        (Some(Own), false, Shown::Withheld, "anonymous", None),
        (Some(Pass), false, Shown::Caller, "ana", None),
        (Some(Pass), false, Shown::Main, "200", None),
        (Some(Pass), true, Shown::Main, "200", Some("200")),
        (Some(Pass), true, Shown::Withheld, "anonymous", Some("ana")),
        (Some(Fixed), false, Shown::Caller, "+15550199", None),
        (Some(Fixed), true, Shown::Main, "+15550199", Some("+15550199")),
        (Some(Fixed), false, Shown::Withheld, "anonymous", None),
        (Some(Withheld), false, Shown::Caller, "anonymous", None),
        (Some(Withheld), true, Shown::Main, "anonymous", Some("200")),
    ] {
        let mut desk = with_policy(policy, trusted, wanted);
        let session = call_of_ana(&mut desk, ("ana", "127.0.0.3"), &[]);
        let case = format!("{policy:?} trusted {trusted} {wanted:?}");
        assert_eq!(shown(&desk, "85551234"), (from.to_owned(), asserts.map(str::to_owned)), "{case}");
        let octets = octets(&desk, Party::Carrier).to_owned();
        assert_eq!(octets.contains("\r\nPrivacy: id"), from == "anonymous", "{case}\n{octets}");
        assert!(from == "ana" || asserts == Some("ana") || !octets.contains("sip:ana@"), "{case}\n{octets}");
        desk.hangup(Party::Phones, session);
        desk.seconds(400);
        desk.check_over();
        let cdr = desk.record();
        let noted = cdr.events.iter().find(|e| e.what == "caller-shown").map(|e| e.detail.as_str());
        let wanted = if from == "anonymous" { "withheld" } else { from };
        assert_eq!(noted, Some(wanted).filter(|shown| *shown != "ana"), "{case}");
    }
}

/// A desk whose carrier and tenant have these policies; `200` is the tenant's main number.
fn with_policy(policy: Option<CallerId>, trusted: bool, wanted: Shown) -> Desk {
    let mut provision = provision(PROVISION);
    let carrier = provision.trunk.iter_mut().find(|t| t.name == "carrier").expect("the carrier");
    (carrier.caller_id, carrier.trusted) = (policy, trusted);
    carrier.caller_number = (policy == Some(CallerId::Fixed)).then(|| "+15550199".into());
    (provision.tenant[0].caller_id, provision.tenant[0].caller_number) = (wanted, Some("200".into()));
    provision.sip.emergency = vec!["8112".into()];
    let flow = provision.flow.iter_mut().find(|f| f.name == "office").expect("a flow");
    flow.text = "[flow]\nstart = \"b\"\n[step.b]\ndo = \"transfer\"\nto = \"85551234\"\n".into();
    Desk::new(1, provision)
}

/// A tenant shows numbers of its own; a client's only where the operator lets it pass.
#[test]
fn a_call_that_is_sent_on_shows_the_number_that_was_dialled_unless_all_may_pass() {
    let office = provision(PROVISION).number.iter().find(|n| n.flow == "office").expect("a number").number.clone();
    for (policy, from) in [(CallerId::Own, office.as_str()), (CallerId::Pass, "5550001")] {
        let mut desk = with_policy(Some(policy), false, Shown::Caller);
        let session = call(&mut desk, &office, MAX_FORWARDS, &[]);
        assert_eq!(shown(&desk, "85551234"), (from.to_owned(), None), "{policy:?}");
        assert_eq!(over(desk, session), "5550001", "the record has who it was");
    }
}

/// Who comes to help wants to call back.
#[test]
fn an_emergency_call_is_never_withheld_by_policy() {
    let mut desk = with_policy(Some(CallerId::Withheld), false, Shown::Withheld);
    desk.call(Party::Phones, "ana", "8112", Some(description(20_002, Flow::SendRecv)));
    desk.seconds(1);
    assert_eq!(shown(&desk, "8112").0, "200");
}

#[test]
fn who_comes_to_help_is_shown_whom_to_call_back_and_never_the_emergency_number() {
    for (others, number) in [(true, "100"), (false, "5550001")] {
        let mut provision = provision(PROVISION);
        provision.sip.emergency = vec!["8112".into()];
        provision.number.retain(|_| others);
        provision.number.push(Number { number: "8112".into(), tenant: "acme".into(), flow: "office".into() });
        let flow = provision.flow.iter_mut().find(|f| f.name == "office").expect("a flow");
        flow.text = "[flow]\nstart = \"a\"\n[step.a]\ndo = \"transfer\"\nto = \"8112\"\n".into();
        let mut desk = Desk::new(1, provision);
        call(&mut desk, "8112", MAX_FORWARDS, &[]);
        desk.seconds(2);
        assert_eq!(shown(&desk, "8112").0, number);
    }
}
