//! What goes over the wire, looked at by tshark: nothing malformed, audio and telephone events as they should be.

use std::time::Duration;

use crate::harness::{Appliance, Capture, Place, flow, have, trunk};

const LONG: Duration = Duration::from_secs(60);

/// Takes one key (the right one is 5), and says it back.
const KEY: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n\
                   [step.b]\ndo = 'menu'\nprompt = { beep = true }\nkeys = { 5 = 'c' }\ntimeout_s = 10\nretries = 0\n\
                   on_timeout = 'wrong'\non_invalid = 'wrong'\n\
                   [step.c]\ndo = 'say'\nsay = 'digits'\nvalue = '5'\nnext = 'd'\n[step.d]\ndo = 'hangup'\n\
                   [step.wrong]\ndo = 'hangup'\ncause = 'rejected'\n";
const QUEUE: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'enqueue'\nqueue = 'desk'\n";
const AGENTS: &str = "\n[[agent]]\ntenant = 'acme'\nname = 'a{n}'\nrange = [0, 4]\ncontact = 'sip:a{n}@NET.3:5060'\n\
                      skills = { talk = 1.0 }\nsigned_in = true\n";

#[test]
fn tshark_finds_nothing_malformed() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("wire");
    let Some(mut capture) = Capture::start(&place) else { return };
    let more = [trunk("carrier", 2).as_str(), AGENTS, &flow("100", QUEUE), &flow("200", KEY)].concat();
    let appliance = Appliance::start(&place, &more);
    let phones = place.sipp(3, "agent", &["-rtp_echo"]);
    place.sipp(2, "talk", &["-s", "100", "-m", "6", "-r", "3", "-d", "1500"]).succeeds(LONG);
    place.sipp(2, "hold", &["-s", "100", "-m", "2"]).succeeds(LONG);
    place.sipp(2, "key", &["-s", "200", "-m", "2", "-r", "1"]).succeeds(LONG);
    let cdrs = appliance.cdrs();
    assert_eq!(cdrs.len(), 10);
    let keyed: Vec<_> = cdrs.iter().filter(|cdr| cdr["to"] == "200").collect();
    assert!(keyed.len() == 2 && keyed.iter().all(|cdr| cdr["cause"] == "normal"), "{keyed:?}");
    drop(phones);
    appliance.stop();

    capture.finish(&["sip", "sdp", "rtp", "rtcp"]);
    assert!(!capture.packets("rtpevent").is_empty(), "no telephone event was seen");
}
