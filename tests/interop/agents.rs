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

/// A caller who is called back: it hears a word, and the call ends.
const WISH: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'callback'\nqueue = 'back'\nnumber = '95550001'\n\
                    on_ok = 'c'\n[step.c]\ndo = 'play'\nprompt = 'en/digits/2'\nnext = 'd'\n[step.d]\ndo = 'hangup'\n";

/// A queue that calls back, one agent at `NET.3`, and the way out.
const BACK: &str = "\n[[queue]]\ntenant = 'acme'\nname = 'back'\ncallback = true\n\
                    [[agent]]\ntenant = 'acme'\nname = 'ana'\ncontact = 'sip:ana@NET.3:5060'\nsigned_in = true\n\
                    [[trunk]]\nname = 'out'\nkind = 'sip'\nprefix = ['9']\nstrip = 1\n[[trunk.peer]]\naddress = 'NET.2'\n";

#[test]
fn a_caller_is_called_back_by_its_agent() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("callback");
    let appliance = Appliance::start(&place, &[trunk("in", 4).as_str(), BACK, &flow("100", WISH)].concat());
    let _phone = place.sipp(3, "agent", &["-rtp_echo"]);
    let _client = place.sipp(2, "agent", &["-rtp_echo"]);
    place.sipp(4, "hear", &["-s", "100", "-m", "1"]).succeeds(LONG);
    wait_for("the client", LONG, || appliance.count("callbacks_reached") == 1);
    let list = |ended: &[&str]| -> serde_json::Value {
        let output = appliance.ask(&[&["work", "list", "--json"], ended].concat());
        serde_json::from_slice(&output.stdout).expect("a list")
    };
    let open = list(&[]);
    let work = open[0]["id"].as_str().expect("an id");
    assert_eq!(open[0]["callback"]["number"], "95550001", "{open}");
    let done = appliance.ask(&["work", "complete", work, "--note", "sold"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let cdrs = appliance.cdrs();
    assert_eq!(cdrs.len(), 2, "{cdrs:?}");
    let back = cdrs.iter().find(|cdr| cdr["direction"] == "outbound").expect("the call back");
    assert_eq!((&back["from"], &back["to"], &back["agent"]), (&"100".into(), &"95550001".into(), &"ana".into()));
    assert!(!back["answered_at"].is_null() && back["legs"].as_array().is_some_and(|legs| legs.len() == 2), "{back}");
    let ended = list(&["--state", "ended"]);
    assert_eq!((&ended[0]["outcome"], &ended[0]["callback"]["call"]), (&"completed".into(), &back["call_id"]));
    let shown = appliance.ask(&["work", "show", work]);
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("call back    95550001, 1 try") && shown.contains("reached"), "{shown}");
    appliance.stop();
}
