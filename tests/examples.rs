//! The examples run, end by themselves and say what they should; README's provisioning is sound.

use std::process::{Command, Output};

use cordboard::core::tenant::{Loaded, parse_with};

fn run(example: &str, arguments: &[&str]) -> Output {
    // The profile of this test's own build, so that nothing is built twice.
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["run", "--quiet", "--profile", profile, "--example", example, "--"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|e| panic!("cargo does not start: {e}"))
}

fn printed(example: &str, arguments: &[&str]) -> String {
    let output = run(example, arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{example}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Asserts that the lines come in this order, whatever stands between them.
#[track_caller]
fn assert_in_order(text: &str, wanted: &[&str]) {
    let mut rest = text;
    for part in wanted {
        let Some(at) = rest.find(part) else { panic!("{part:?} does not come where it should in\n{text}") };
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn an_inbound_call_goes_from_the_seizure_to_its_record() {
    let said = printed("inbound_call", &[]);
    let life = [
        "card > core   Cas { span: 1, timeslot: 7, bits: 15 }",
        "core > card   0/1/7 ABCD = 1111",
        "core > card   0/1/7 ABCD = 0000",
        "Digit { port: PortId(1), digit: '1', source: InBand }",
        "the call began",
        "core > card   0/1/7 ABCD = 1111",
        "Prompt(\"demo/welcome\")",
        "Music",
        "agent ana is Busy",
        "core > phone  INVITE sip:ana@127.0.0.3:5080 SIP/2.0",
        "phone > core  SIP/2.0 180 Ringing",
        "phone > core  SIP/2.0 200 OK",
        "core > media  Bridge",
        "core > phone  ACK",
        "card > core   Cas { span: 1, timeslot: 7, bits: 0 }",
        "core > phone  BYE",
        "the call ended",
    ];
    assert_in_order(&said, &life);
    let record = said.find("\n{").map(|at| &said[at..]).expect("a record");
    let record: serde_json::Value = serde_json::from_str(record).expect("JSON");
    for (field, wanted) in [("to", "100"), ("agent", "ana"), ("cause", "normal"), ("tenant", "acme")] {
        assert_eq!(record[field], wanted);
    }
    assert_eq!(record["legs"].as_array().map(Vec::len), Some(2));
    assert_eq!(record["queued_ms"], 3_002);
}

#[test]
fn a_t1_call_shows_its_signals_in_order() {
    let said = printed("t1_loopback", &["4711"]);
    let signals = [
        "far end   ABCD = 1111",
        "machine   Seized",
        "we        ABCD = 1111",
        "we        ABCD = 0000",
        "far end   says Winked",
        "far end   says DigitsSent",
        "we        ABCD = 1111",
        "far end   says Answered",
        "far end   ABCD = 0000",
        "machine   Released(Normal)",
        "machine   Idle",
        "the number we heard: 4711",
    ];
    assert_in_order(&said, &signals);
    let output = run("t1_loopback", &["12x"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("digits are"));
}

#[test]
fn a_flow_is_walked_with_keys() {
    let said = printed("flow_walk", &[]);
    let way = [
        "answered",
        "hears demo/welcome",
        "has pressed nothing",
        "presses 9",
        "hears en/menu/invalid, demo/welcome",
        "presses 2",
        "waits in the queue support",
    ];
    assert_in_order(&said, &way);
    let said = printed("flow_walk", &["examples/flows/hello.toml"]);
    assert_in_order(&said, &["Hello: 3 steps", "hears demo/welcome", "the call ends: normal"]);
    for wrong in [&["examples/flows/no-such.toml"][..], &["examples/flows/hello.toml", "1x"], &["Cargo.toml"]] {
        let output = run("flow_walk", wrong);
        assert!(!output.status.success() && !output.stderr.is_empty(), "{wrong:?}");
    }
}

#[test]
fn the_quality_of_media_is_told_for_each_network() {
    let said = printed("media_quality", &["3", "500"]);
    let tables = ["seed 3, 500 packets", "local network", "silent half of the time", "speech concealed", "9 %, threes"];
    assert_in_order(&said, &tables);
    for wrong in [&["three"][..], &["3", "many"]] {
        let output = run("media_quality", wrong);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && errors.contains(wrong[wrong.len() - 1]), "{wrong:?}: {errors}");
    }
}

#[test]
fn the_provisioning_in_the_readme_has_no_faults() {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("```toml\n").expect("a block of TOML");
    let (text, _) = rest.split_once("```").expect("the block's end");
    let flow = include_str!("../examples/flows/queue.toml").replace("support", "sales");
    let load = |name: &str| Ok(Loaded { name: name.to_owned(), text: flow.clone() });
    let provision = parse_with(text, "README.md", &load).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!((provision.agent.len(), provision.number.len(), provision.trunk.len()), (1, 1, 1));
}
