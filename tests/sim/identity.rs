//! Whom calls come from: what is believed, what is hidden from whom, what goes on with a call that is sent on.

use bytes::Bytes;
use cordboard::base::Cause;
use cordboard::core::journal::Change;
use cordboard::proto::sdp::Direction as Flow;
use cordboard::proto::sip::{Event, Incoming, Invite, MAX_FORWARDS, Path, SessionId, Transport};

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
    let path = Path::new(Transport::Udp, ([127, 0, 0, 2], 5070).into(), ([127, 0, 0, 1], 5060).into());
    let invite = Invite {
        path,
        request_uri: format!("sip:{number}@127.0.0.1"),
        from_user: "5550001".into(),
        from_display: None,
        from_host: "127.0.0.2".into(),
        to_uri: format!("sip:{number}@127.0.0.1"),
        contact_user: "line".into(),
        sdp: Some(description(20_000, Flow::SendRecv)),
        credentials: None,
        max_forwards,
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    };
    desk.with(Party::Carrier, |e, now| e.invite(now, invite)).expect("a session")
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
        assert_eq!((ana.from_user.as_str(), ana.origin.asserted), (from, None), "phones are no trust domain");
        assert_eq!(over(desk, session), from);
    }
}

/// RFC 3323 section 4.1, RFC 3325 section 7: a withheld number goes to trusted trunks and to nobody else.
#[test]
fn a_withheld_number_is_not_shown() {
    for trusted in [true, false] {
        let mut desk = desk(trusted);
        let headers = [ASSERTED, ("Privacy", "id")];
        let session = call(&mut desk, "100", MAX_FORWARDS, &headers);
        let ana = rung(&desk, Party::Phones, "ana");
        assert_eq!(ana.from_uri, "sip:anonymous@anonymous.invalid");
        assert!(ana.origin.private && ana.origin.asserted.is_none());
        let text = format!("{ana:?}");
        assert!(!text.contains("5550100") && !text.contains("5550001"), "{text}");
        desk.hangup(Party::Carrier, session);
        // Sent on to another number outside.
        let session = call(&mut desk, "200", MAX_FORWARDS, &headers);
        let outside = rung(&desk, Party::Carrier, "85551234");
        assert_eq!(outside.from_uri, "sip:anonymous@anonymous.invalid");
        assert_eq!(outside.origin.asserted.as_deref(), trusted.then_some("+15550100"));
        assert!(outside.origin.private);
        let cdr = over(desk, session);
        assert_eq!(cdr, "anonymous");
    }
}

/// RFC 3325 section 5: an agent's phone has proved itself, so its user may be asserted; its own word is not passed on.
#[test]
fn an_agents_phone_is_asserted_by_us() {
    let mut desk = desk(true);
    let session = desk.call(Party::Phones, "ana", "85551234", Some(description(21_000, Flow::SendRecv)));
    let outside = rung(&desk, Party::Carrier, "85551234");
    assert_eq!(outside.origin.asserted.as_deref(), Some("ana"));
    assert_eq!(outside.origin.diversions, [], "nobody sent it on");
    desk.hangup(Party::Phones, session);
    desk.seconds(400);
    desk.check_over();
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
    let mut desk = desk(false);
    let headers = [diversion[0], ("Privacy", "history")];
    let session = call(&mut desk, "200", MAX_FORWARDS, &headers);
    assert_eq!(rung(&desk, Party::Carrier, "85551234").origin.diversions, [], "RFC 7044 section 10.1");
    over(desk, session);
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
        let failed = desk.events.iter().find_map(|(_, e)| match e {
            Event::Failed { session: s, status, cause, .. } if *s == session => Some((*status, *cause)),
            _ => None,
        });
        assert_eq!(failed, Some((expected, Cause::ExchangeRouting)), "{hops}");
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
    desk.with(Party::Carrier, |e, now| e.hangup(now, session, Cause::TimerExpired));
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
