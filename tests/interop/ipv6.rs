//! IPv6: callers by IPv6 and phones by IPv4, and both the other way round, with signalling and media of their own family each.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Appliance, Peer, Place, flow, have};

const LONG: Duration = Duration::from_secs(60);

/// Ports on `::1`, which all tests of this machine share: those of this process.
fn port(n: u16) -> String {
    let process = u16::try_from(std::process::id() % 400).unwrap_or_default();
    (22_000 + 20 * process + n).to_string()
}

/// Whether this machine speaks IPv6 with itself.
fn speaks() -> bool {
    let speaks = UdpSocket::bind("[::1]:0").is_ok();
    if !speaks {
        println!("skipped: no IPv6 here");
    }
    speaks
}

/// A SIPp at `::1` for the appliance there, or for the other end of a trunk.
fn sipp(place: &Place, scenario: &str, appliance: u16, own: u16, args: &[&str]) -> Peer {
    let file = format!("{}/tests/interop/sipp/{scenario}.xml", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("sipp");
    command.arg(format!("[::1]:{}", port(appliance))).args(["-i", "::1", "-mi", "::1", "-sf", &file]);
    command.args(["-p", &port(own), "-mp", &port(own + 2), "-nostdin", "-trace_err"]).args(args);
    place.start(&format!("sipp6-{scenario}"), &mut command)
}

/// A provisioning that listens and speaks on `::1` as well: its own port there, a trunk there, one on IPv4, and a way to
/// each.
fn provision(place: &Place, listen: u16, peer: u16, second: &str) -> String {
    let out = |number| format!("[step.a]\ndo = 'transfer'\nto = '{number}'\n");
    let trunks = format!(
        "\n[[trunk]]\nname = 'six'\nkind = 'sip'\nprefix = ['96']\n[[trunk.peer]]\naddress = '::1'\nport = {}\n\
         [[trunk]]\nname = 'four'\nkind = 'sip'\nprefix = ['94']\n[[trunk.peer]]\naddress = 'NET.5'\n\
         [[trunk]]\nname = 'in'\nkind = 'sip'\n[[trunk.peer]]\naddress = 'NET.2'\n",
        port(peer)
    );
    let text = place.provision(&[place.fill(&trunks), flow("100", &out("9400")), flow("200", &out("9600"))].concat());
    let listeners = format!("\"udp:{}:5060\", \"udp:[::1]:{}\"", place.host(1), port(listen));
    text.replace(&format!("\"udp:{}:5060\"", place.host(1)), &listeners)
        .replace("[media]\n", &format!("[media]\n{second}"))
}

/// Packets that each leg of an answered call took.
fn heard(cdr: &Value) -> Vec<u64> {
    assert!(!cdr["answered_at"].is_null(), "{cdr}");
    let legs = cdr["legs"].as_array().unwrap().iter();
    legs.map(|leg| leg["media"]["rx_packets"].as_u64().unwrap()).collect()
}

#[test]
fn callers_by_ipv6_and_phones_by_ipv4_meet_and_the_other_way_round() {
    if !have(&["sipp"]) || !speaks() {
        return;
    }
    let place = Place::new("ipv6");
    let appliance = Appliance::start_provisioned(&place, &provision(&place, 0, 1, "address6 = \"::1\"\n"));
    let _four = place.sipp(5, "agent", &["-rtp_echo"]);
    // `speak` sends speech of its own; the phone echoes it.
    sipp(&place, "speak", 0, 1, &["-s", "100", "-m", "1"]).succeeds(LONG);
    let _six = sipp(&place, "agent", 0, 1, &["-rtp_echo"]);
    place.sipp(2, "speak", &["-s", "200", "-m", "1"]).succeeds(LONG);
    let cdrs = appliance.cdrs();
    assert_eq!(cdrs.len(), 2);
    for cdr in &cdrs {
        // Each family's leg was heard: what the caller said came back from the phone.
        assert!(heard(cdr).iter().all(|packets| *packets >= 50), "{cdr}");
    }
    appliance.stop();
}

#[test]
fn media_of_a_family_that_is_not_provisioned_is_refused_with_a_reason() {
    if !have(&["sipp"]) || !speaks() {
        return;
    }
    let place = Place::new("ipv6-off");
    let appliance = Appliance::start_provisioned(&place, &provision(&place, 10, 11, ""));
    sipp(&place, "not-here", 10, 11, &["-s", "100", "-m", "1"]).succeeds(LONG);
    assert_eq!(appliance.cdrs().len(), 0);
    appliance.stop();
}
