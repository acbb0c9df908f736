//! SIPp as the caller on a SIP trunk.

use std::time::Duration;

use crate::harness::{Appliance, Place, flow, have, trunk, wait_for};

const LONG: Duration = Duration::from_secs(60);

/// Answers, says a word, and hangs up.
const HELLO: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'play'\nprompt = 'en/digits/2'\nnext = 'c'\n\
                     [step.c]\ndo = 'hangup'\n";
/// Answers, and plays until the caller hangs up.
const LISTEN: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'play'\n\
                      prompt = ['demo/announcement', { silence_ms = 10000 }]\nnext = 'c'\n[step.c]\ndo = 'hangup'\n";
/// Rings until the caller gives up: the queue keeps callers although nobody could take them.
const WAIT: &str = "[step.a]\ndo = 'enqueue'\nqueue = 'patience'\n";
const PATIENCE: &str =
    "\n[[queue]]\ntenant = 'acme'\nname = 'patience'\nskills = { talk = 0.1 }\nunservable = 'hold'\n";

fn provision() -> String {
    [&trunk("carrier", 2), PATIENCE, &flow("100", HELLO), &flow("200", LISTEN), &flow("300", WAIT)].concat()
}

#[test]
fn two_hundred_calls_at_fifty_a_second_over_udp() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("udp");
    let appliance = Appliance::start(&place, &provision());
    place.sipp(2, "hear", &["-s", "100", "-m", "200", "-r", "50"]).succeeds(LONG);
    let cdrs = appliance.cdrs();
    assert_eq!(cdrs.len(), 200);
    assert!(cdrs.iter().all(|c| !c["answered_at"].is_null() && c["to"] == "100" && c["tenant"] == "acme"));
    assert_eq!(appliance.count("offered"), 200);
    appliance.stop();
}

#[test]
fn calls_over_tcp() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("tcp");
    let appliance = Appliance::start(&place, &provision());
    place.sipp(2, "hear", &["-s", "100", "-m", "50", "-r", "25", "-t", "t1"]).succeeds(LONG);
    assert_eq!(appliance.cdrs().len(), 50);
    appliance.stop();
}

#[test]
fn callers_give_up_hold_ask_and_authenticate() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("various");
    let authenticated = "\n[[trunk]]\nname = 'wary'\nkind = 'sip'\nauthenticate = true\nuser = 'trunkuser'\n\
                         password = 's3cret'\n[[trunk.peer]]\naddress = 'NET.3'\n";
    let appliance = Appliance::start(&place, &(provision() + authenticated));
    place.sipp(2, "cancel", &["-s", "300", "-m", "20", "-r", "10"]).succeeds(LONG);
    assert_eq!((appliance.cdrs().len(), appliance.count("abandoned")), (20, 20));
    place.sipp(2, "hold", &["-s", "200", "-m", "10", "-r", "5"]).succeeds(LONG);
    place.sipp(2, "options", &["-m", "20", "-r", "20"]).succeeds(LONG);
    place.sipp(3, "auth", &["-s", "200", "-m", "10", "-r", "10"]).succeeds(LONG);
    assert_eq!(appliance.cdrs().len(), 40);
    // Refused calls are no calls.
    place.sipp(3, "auth-wrong", &["-s", "200", "-m", "5"]).succeeds(LONG);
    place.sipp(9, "stranger", &["-s", "200", "-m", "5"]).succeeds(LONG);
    assert_eq!(appliance.cdrs().len(), 40);
    appliance.stop();
}

#[test]
fn who_finds_it_full_is_told_when_to_come_again_and_emergencies_pass() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("full");
    let more = [trunk("carrier", 2), trunk("other", 3), flow("112", HELLO), flow("200", LISTEN)].concat();
    let appliance = Appliance::start_with(&place, "calls_max = 1", &more);
    let first = place.sipp(2, "-uac", &["-s", "200", "-m", "1", "-d", "60000"]);
    wait_for("the only call there may be", LONG, || appliance.count("calls") == 1);
    place.sipp(3, "full", &["-s", "200", "-m", "40", "-r", "40"]).succeeds(LONG);
    place.sipp(3, "hear", &["-s", "112", "-m", "2", "-r", "5"]).succeeds(LONG);
    assert_eq!(appliance.count("calls"), 1, "the first goes on");
    let load = appliance.status()["load"].clone();
    assert_eq!(load["shed"]["calls-max"], 40, "{load}");
    assert_eq!(load["seen"]["ack-of-refusal"], 40, "{load}");
    // The first one's record is there from its start.
    assert_eq!(appliance.cdrs().len(), 3);
    drop(first);
    appliance.stop();
}
