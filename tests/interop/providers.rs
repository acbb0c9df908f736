//! The appliance as a customer of providers: it registers, it calls out, and it knows whom to ask next.

use std::time::Duration;

use crate::harness::{Appliance, Place, flow, have, trunk, wait_for};

const LONG: Duration = Duration::from_secs(60);

/// Sends the caller on to a number outside.
const OUT: &str = "[step.a]\ndo = 'transfer'\nto = '95550100'\n";

/// A trunk for numbers from 9 on.
fn carriers(peers: &str) -> String {
    format!("\n[[trunk]]\nname = 'carriers'\nkind = 'sip'\nprefix = ['9']\nstrip = 1\n{peers}")
}

fn peer(host: u8, priority: u8, more: &str) -> String {
    format!("[[trunk.peer]]\naddress = 'NET.{host}'\npriority = {priority}\n{more}")
}

#[test]
fn registers_with_a_provider_by_digest() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("provider");
    let mut provider = place.sipp(4, "provider", &["-m", "1"]);
    let line = "\n[[trunk]]\nname = 'provider'\nkind = 'sip'\nregister = true\nuser = 'line'\npassword = 'l1ne'\n\
                [[trunk.peer]]\naddress = 'NET.4'\n";
    let appliance = Appliance::start(&place, line);
    provider.succeeds(LONG);
    wait_for("the registration", LONG, || appliance.trunks().to_string().contains("registered for"));
    assert!(!appliance.has_alarm("trunk-not-registered"));
    appliance.stop();
}

#[test]
fn peers_that_refuse_or_are_silent_are_passed_over() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("failover");
    let _busy = place.sipp(4, "unavailable", &[]);
    let _taker = place.sipp(5, "agent", &["-rtp_echo"]);
    // Nobody listens for TCP at NET.6, and for UDP at NET.7.
    let peers = [peer(6, 1, "transport = 'tcp'\n"), peer(7, 2, ""), peer(4, 3, ""), peer(5, 4, "")].concat();
    let more = [trunk("in", 2), flow("100", OUT), carriers(&peers)].concat();
    let appliance = Appliance::start(&place, &more);
    place.sipp(2, "talk", &["-s", "100", "-m", "5", "-r", "5", "-d", "500"]).succeeds(LONG);
    let cdrs = appliance.cdrs();
    assert_eq!(cdrs.len(), 5);
    assert!(cdrs.iter().all(|cdr| !cdr["answered_at"].is_null()), "{cdrs:?}");
    // The caller, the three in vain, and the one that took it; once they are known, they are not asked first.
    let legs = |cdr: &serde_json::Value| cdr["legs"].as_array().map_or(0, Vec::len);
    assert_eq!(cdrs.iter().map(legs).max(), Some(5), "{cdrs:?}");
    appliance.stop();
}

#[test]
fn a_silent_peer_is_found_out_and_not_asked() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("silent");
    let _taker = place.sipp(5, "agent", &["-rtp_echo"]);
    let peers = [peer(4, 1, "options_s = 5\n"), peer(5, 2, "")].concat();
    let more = [trunk("in", 2), flow("100", OUT), carriers(&peers)].concat();
    let appliance = Appliance::start(&place, &more);
    // RFC 3261 17.1.2.2: a request without an answer is given up after 64 times T1, 32 s.
    wait_for("the alarm", LONG, || appliance.has_alarm("peer-down"));
    place.sipp(2, "talk", &["-s", "100", "-m", "3", "-d", "300"]).succeeds(Duration::from_secs(20));
    assert_eq!(appliance.cdrs().len(), 3);
    appliance.stop();
}

/// A peer by TCP dies under load: what rings there is taken up by the next one, and no caller notices.
#[test]
fn a_peer_that_dies_under_load_loses_no_call() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("dies");
    let first = place.sipp(4, "agent", &["-t", "t1"]);
    let _second = place.sipp(5, "agent", &["-t", "t1"]);
    let tcp = "transport = 'tcp'\n";
    let more = [trunk("in", 2), flow("100", OUT), carriers(&[peer(4, 1, tcp), peer(5, 2, tcp)].concat())].concat();
    let appliance = Appliance::start(&place, &more);
    let mut callers = place.sipp(2, "talk", &["-s", "100", "-m", "100", "-r", "25", "-d", "300"]);
    wait_for("calls that are up", LONG, || appliance.count("calls") >= 8);
    std::thread::sleep(Duration::from_millis(500));
    drop(first);
    callers.succeeds(LONG);
    let cdrs = appliance.cdrs();
    assert_eq!(cdrs.len(), 100);
    assert!(cdrs.iter().all(|cdr| !cdr["answered_at"].is_null()), "{cdrs:?}");
    let ways = |n: usize| cdrs.iter().filter(|cdr| cdr["legs"].as_array().map(Vec::len) == Some(n)).count();
    // Some rang at the first one when it died; all the others had one way.
    assert!(ways(3) > 0 && ways(2) + ways(3) == 100, "{} {}", ways(2), ways(3));
    appliance.stop();
}
