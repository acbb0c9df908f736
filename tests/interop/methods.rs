//! Reliable responses, UPDATE, session timers, late offers and digits by INFO, with SIPp on both sides.

use std::time::Duration;

use crate::harness::{Appliance, Capture, Place, flow, have, trunk};

const LONG: Duration = Duration::from_secs(60);

/// Sends the caller on to a number outside, unanswered.
const OUT: &str = "[step.a]\ndo = 'transfer'\nto = '95550100'\n";
const CARRIER: &str = "\n[[trunk]]\nname = 'carriers'\nkind = 'sip'\nprefix = ['9']\nstrip = 1\n\
                       [[trunk.peer]]\naddress = 'NET.4'\n";
/// Answers, and stays for 80 s.
const STAY: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'play'\n\
                    prompt = [{ silence_ms = 10000 }, { silence_ms = 10000 }, { silence_ms = 10000 }, \
                    { silence_ms = 10000 }, { silence_ms = 10000 }, { silence_ms = 10000 }, \
                    { silence_ms = 10000 }, { silence_ms = 10000 }]\nnext = 'c'\n[step.c]\ndo = 'hangup'\n";
/// Takes two keys: 7, then 5.
const KEYS: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n\
                    [step.b]\ndo = 'menu'\nprompt = [{ silence_ms = 100 }]\nkeys = { 7 = 'c' }\ntimeout_s = 10\n\
                    retries = 0\non_timeout = 'wrong'\non_invalid = 'wrong'\n\
                    [step.c]\ndo = 'menu'\nprompt = [{ silence_ms = 100 }]\nkeys = { 5 = 'd' }\ntimeout_s = 10\n\
                    retries = 0\non_timeout = 'wrong'\non_invalid = 'wrong'\n\
                    [step.d]\ndo = 'hangup'\n[step.wrong]\ndo = 'hangup'\ncause = 'rejected'\n";

#[test]
fn responses_are_acknowledged_and_sessions_changed_before_and_after_the_answer() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("reliable");
    let capture = Capture::start(&place);
    let more = [trunk("in", 2).as_str(), CARRIER, &flow("100", OUT), &flow("200", STAY)].concat();
    let appliance = Appliance::start(&place, &more);
    let _callee = place.sipp(4, "reliable-callee", &[]);
    place.sipp(2, "reliable", &["-s", "100", "-m", "6", "-r", "3"]).succeeds(LONG);
    place.sipp(2, "late-reliable", &["-s", "100", "-m", "4", "-r", "2"]).succeeds(LONG);
    place.sipp(2, "late", &["-s", "200", "-m", "4", "-r", "2"]).succeeds(LONG);
    let cdrs = appliance.cdrs();
    assert_eq!(cdrs.len(), 14);
    assert!(cdrs.iter().all(|cdr| !cdr["answered_at"].is_null() && cdr["cause"] == "normal"), "{cdrs:?}");
    appliance.stop();
    if let Some(mut capture) = capture {
        capture.finish(&["sip.Method == PRACK", "sip.CSeq.method == UPDATE", "sip.RSeq", "sip.RAck"]);
    }
}

#[test]
fn digits_come_by_info() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("info");
    let capture = Capture::start(&place);
    let appliance = Appliance::start(&place, &[trunk("in", 2), flow("100", KEYS)].concat());
    place.sipp(2, "info", &["-s", "100", "-m", "4", "-r", "2"]).succeeds(LONG);
    let cdrs = appliance.cdrs();
    assert!(cdrs.len() == 4 && cdrs.iter().all(|cdr| cdr["cause"] == "normal"), "{cdrs:?}");
    appliance.stop();
    if let Some(mut capture) = capture {
        capture.finish(&["sip.CSeq.method == INFO"]);
    }
}

#[test]
fn sessions_are_refreshed_by_either_side_and_end_when_nobody_does() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("timer");
    let more = [trunk("a", 2), trunk("b", 3), trunk("c", 5), flow("100", STAY)].concat();
    let appliance = Appliance::start(&place, &more);
    // Who is silent for half a minute is asked by re-INVITE whether it lives: these are not.
    let mut kept = place.sipp(3, "timer-kept", &["-s", "100", "-m", "2", "-r", "2", "-rtp_echo"]);
    let mut lapse = place.sipp(5, "timer-lapse", &["-s", "100", "-m", "2", "-r", "2", "-rtp_echo"]);
    place.sipp(2, "timer-refuse", &["-s", "100", "-m", "4", "-r", "4"]).succeeds(LONG);
    kept.succeeds(LONG);
    lapse.succeeds(LONG + LONG);
    let cdrs = appliance.cdrs();
    assert_eq!(cdrs.len(), 8);
    assert_eq!(cdrs.iter().filter(|cdr| cdr["cause"] == "timer-expired").count(), 2, "{cdrs:?}");
    appliance.stop();
}
