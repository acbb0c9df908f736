//! SIPp on both sides of a queue: callers on a trunk, agents' phones behind fixed addresses, and a phone that registers.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Appliance, Place, flow, have, trunk, wait_for};

const LONG: Duration = Duration::from_secs(60);

/// Straight into the queue.
const QUEUE: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'enqueue'\nqueue = 'desk'\n";

/// Ten agents whose phones are at `NET.3`.
const AGENTS: &str = "\n[[agent]]\ntenant = 'acme'\nname = 'a{n}'\nrange = [0, 9]\ncontact = 'sip:a{n}@NET.3:5060'\n\
                      skills = { talk = 1.0 }\nsigned_in = true\n";

/// An agent whose phone registers.
const ANA: &str = "\n[[agent]]\ntenant = 'acme'\nname = 'ana'\nuser = 'ana'\npassword = 'ana-secret'\n\
                   skills = { talk = 1.0 }\nsigned_in = true\n";

#[test]
fn callers_are_queued_offered_and_answered() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("queue");
    let more = [trunk("carrier", 2).as_str(), AGENTS, &flow("100", QUEUE)].concat();
    let appliance = Appliance::start(&place, &more);
    let _phones = place.sipp(3, "agent", &["-rtp_echo"]);
    // Some more than the agents can take at once: the last ones wait.
    place.sipp(2, "talk", &["-s", "100", "-m", "60", "-r", "8", "-d", "1500"]).succeeds(LONG);
    let cdrs = appliance.cdrs();
    let status = appliance.status();
    assert_eq!((status["offered"].as_u64(), status["answered"].as_u64()), (Some(60), Some(60)), "{status}");
    assert_eq!((status["abandoned"].as_u64(), status["double_offers"].as_u64()), (Some(0), Some(0)), "{status}");
    assert_eq!(cdrs.len(), 60);
    for cdr in &cdrs {
        assert!(cdr["agent"].is_string() && cdr["legs"].as_array().is_some_and(|legs| legs.len() == 2), "{cdr}");
    }
    appliance.stop();
}

#[test]
fn a_phone_registers_refreshes_takes_a_call_and_leaves() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("register");
    let more = [trunk("carrier", 2).as_str(), ANA, &flow("100", QUEUE)].concat();
    let appliance = Appliance::start(&place, &more);
    place.sipp(3, "register-wrong", &["-m", "3"]).succeeds(LONG);
    assert_eq!(appliance.count("registrations"), 0);
    place.sipp(3, "register", &["-m", "1"]).succeeds(LONG);
    assert_eq!(appliance.count("registrations"), 1);
    // The phone is rung where it registered from.
    let phone = place.sipp(3, "agent", &["-rtp_echo"]);
    place.sipp(2, "talk", &["-s", "100", "-m", "1", "-d", "1000"]).succeeds(LONG);
    assert_eq!(appliance.count("answered"), 1);
    phone.signal(Signal::KILL);
    drop(phone);
    place.sipp(3, "unregister", &["-m", "1"]).succeeds(LONG);
    wait_for("the registration's end", LONG, || appliance.count("registrations") == 0);
    // Again over TCP: the binding's stream is the way back.
    place.sipp(3, "register", &["-m", "1", "-t", "t1"]).succeeds(LONG);
    assert_eq!(appliance.count("registrations"), 1);
    appliance.stop();
}
