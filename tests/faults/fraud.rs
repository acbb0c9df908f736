//! Nobody calls at another's expense.

use cordboard::core::control::Query;

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
    assert!(matches!(live.query(Query::Calls), cordboard::core::control::Reply::Calls { calls } if calls.is_empty()));
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
        if std::env::var("DBG").is_ok() {
            eprintln!(
                "{:?} {:?} {:?} {:?} rung {}",
                caller.state(session),
                live.calls(),
                live.agent("ana"),
                ana.calls,
                ana.rung
            );
        }
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
