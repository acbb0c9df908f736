//! The scenarios that SIPp brings along, as they are: the caller, the callee, the caller that reads answers by regular
//! expressions, and the caller that plays a recorded stream and keys a digit. Nothing in them was written for us.

use std::time::Duration;

use crate::harness::{Appliance, Place, flow, have, is_root, trunk};

const LONG: Duration = Duration::from_secs(60);

/// Answers, and stays until the caller hangs up.
const STAY: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'play'\n\
                    prompt = [{ silence_ms = 10000 }, { silence_ms = 10000 }]\nnext = 'c'\n[step.c]\ndo = 'hangup'\n";
/// Straight to an agent.
const QUEUE: &str = "[step.a]\ndo = 'enqueue'\nqueue = 'desk'\n";
/// Who keys 1 waits for nobody; who keys something else, or nothing, is hung up on.
const KEY: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'menu'\nprompt = [{ silence_ms = 100 }]\n\
                   keys = { 1 = 'c' }\ntimeout_s = 15\n[step.c]\ndo = 'enqueue'\nqueue = 'nobody'\n";
const NOBODY: &str = "\n[[skill]]\ntenant = 'acme'\nname = 'none'\n[[queue]]\ntenant = 'acme'\nname = 'nobody'\n\
                      skills = { none = 1.0 }\nunservable = 'hold'\n";
/// Agents whose phones are at `NET.3`, where SIPp's callee answers.
const AGENTS: &str = "\n[[agent]]\ntenant = 'acme'\nname = 'a{n}'\nrange = [0, 9]\ncontact = 'sip:a{n}@NET.3:5060'\n\
                      skills = { talk = 1.0 }\nsigned_in = true\n";

#[test]
fn the_caller_and_the_one_that_reads_by_regular_expressions() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("stock-callers");
    let appliance = Appliance::start(&place, &[trunk("carrier", 2).as_str(), &flow("200", STAY)].concat());
    place.sipp(2, "-uac", &["-s", "200", "-m", "40", "-r", "20", "-d", "500"]).succeeds(LONG);
    place
        .sipp(2, "-uac", &["-s", "200", "-m", "20", "-r", "20", "-d", "500", "-t", "tn", "-max_socket", "500"])
        .succeeds(LONG);
    place.sipp(2, "-regexp", &["-s", "200", "-m", "20", "-r", "20"]).succeeds(LONG);
    let cdrs = appliance.cdrs();
    assert_eq!(cdrs.len(), 80);
    assert!(cdrs.iter().all(|cdr| !cdr["answered_at"].is_null() && cdr["cause"] == "normal"), "{cdrs:?}");
    appliance.stop();
}

#[test]
fn the_callee_as_agents_phones() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("stock-callee");
    let more = [trunk("carrier", 2).as_str(), AGENTS, &flow("100", QUEUE)].concat();
    let appliance = Appliance::start(&place, &more);
    let _phones = place.sipp(3, "-uas", &[]);
    place.sipp(2, "-uac", &["-s", "100", "-m", "40", "-r", "10", "-d", "500"]).succeeds(LONG);
    let status = appliance.status();
    assert_eq!((status["answered"].as_u64(), status["double_offers"].as_u64()), (Some(40), Some(0)), "{status}");
    assert_eq!(appliance.cdrs().len(), 40);
    appliance.stop();
}

#[test]
fn the_caller_that_plays_a_recorded_stream_and_keys_a_digit() {
    // SIPp plays recorded streams as root only.
    if !have(&["sipp"]) || !is_root() {
        return;
    }
    let place = Place::new("stock-stream");
    // The scenario names its streams by a path of its own.
    std::os::unix::fs::symlink("/usr/share/sip-tester", place.dir().join("pcap")).unwrap();
    let more = [trunk("carrier", 2).as_str(), NOBODY, &flow("300", KEY)].concat();
    let appliance = Appliance::start(&place, &more);
    place.sipp(2, "-uac_pcap", &["-s", "300", "-m", "2", "-r", "1"]).succeeds(LONG);
    // Only its digit leads into a queue, where it hangs up.
    assert_eq!((appliance.cdrs().len(), appliance.count("abandoned")), (2, 2));
    appliance.stop();
}
