//! What goes over the wire, looked at by tshark: nothing malformed, audio and telephone events as they should be.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Appliance, Place, flow, have, trunk, wait_for};

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

/// Packets of a capture that a display filter selects, one line each.
fn packets(file: &str, filter: &str) -> Vec<String> {
    // Two passes: a stream is known from the description that announces it.
    let output = Command::new("tshark").args(["-n", "-2", "-r", file, "-Y", filter]).output().unwrap();
    assert!(output.status.success(), "{filter}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn tshark_finds_nothing_malformed() {
    if !have(&["sipp", "tshark"]) {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: capturing needs root");
        return;
    }
    let place = Place::new("wire");
    // tshark leaves only folders that all may enter to its unprivileged part.
    let file = place.dir().join("capture.pcapng").display().to_string();
    let net = format!("net {}/24", place.host(0));
    let mut capture = place.start("tshark", Command::new("tshark").args(["-q", "-i", "lo", "-f", &net, "-w", &file]));
    wait_for("the capture", LONG, || {
        assert!(capture.lives(), "{}", capture.log());
        std::fs::metadata(&file).is_ok_and(|file| file.len() > 0)
    });

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

    capture.signal(Signal::INT);
    capture.succeeds(LONG);
    let ours = format!("ip.src == {}", place.host(1));
    for protocol in ["sip", "sdp", "rtp", "rtcp"] {
        assert!(!packets(&file, &format!("{protocol} && {ours}")).is_empty(), "no {protocol} was sent");
    }
    assert!(!packets(&file, "rtpevent").is_empty(), "no telephone event was seen");
    let malformed = packets(&file, &format!("{ours} && (_ws.malformed || _ws.expert.severity == error)"));
    assert!(malformed.is_empty(), "{}", malformed.join("\n"));
}
