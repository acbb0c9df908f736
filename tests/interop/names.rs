//! Providers that are names: found by a real DNS server's NAPTR, SRV and address records, each server tried in turn.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Appliance, Peer, Place, flow, have, trunk, wait_for};

const LONG: Duration = Duration::from_secs(60);

/// Sends the caller on to a number outside.
const OUT: &str = "[step.a]\ndo = 'transfer'\nto = '95550100'\n";

/// The appliance asks this one alone.
const SIP: &str =
    "[sip]\nlisten = ['udp:NET.1:5060', 'tcp:NET.1:5060']\nstop_grace_s = 2\n[sip.dns]\nservers = ['NET.53:5353']\n";

/// A DNS server at `NET.53` port 5353 with records of its own only, in dnsmasq's words; no answer is kept for long.
pub fn dns(place: &Place, records: &[&str]) -> Peer {
    let mut command = Command::new("dnsmasq");
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-daemon"]);
    command.args(["--bind-interfaces", "--port=5353", "--local=/test/", "--local-ttl=5", "--log-queries"]);
    command.arg(format!("--listen-address={}", place.host(53))).args(["--log-facility=-", "--pid-file="]);
    command.args(records.iter().map(|record| place.fill(record)));
    let server = place.start("dnsmasq", &mut command);
    // It takes the port as soon as it lives.
    wait_for("the DNS server", LONG, || UdpSocket::bind((place.host(53), 5353)).is_err());
    server
}

/// A trunk for numbers from 9 on, whose one peer is a name.
fn carrier(more: &str) -> String {
    format!(
        "\n[[trunk]]\nname = 'carrier'\nkind = 'sip'\nprefix = ['9']\nstrip = 1\nfailover_s = 1\n\
         [[trunk.peer]]\naddress = 'carrier.test'\n{more}"
    )
}

/// The legs of a call by whom they went to, with their causes.
fn ways(cdr: &Value) -> Vec<String> {
    let legs = cdr["legs"].as_array().unwrap().iter().skip(1);
    legs.map(|leg| leg["cause"].as_str().unwrap_or("-").to_owned()).collect()
}

#[test]
fn the_next_server_of_a_name_takes_the_call() {
    if !have(&["sipp", "dnsmasq"]) {
        return;
    }
    let place = Place::new("srv");
    let _dns = dns(
        &place,
        &[
            "--srv-host=_sip._udp.carrier.test,dead.carrier.test,5060,1,10",
            "--srv-host=_sip._udp.carrier.test,busy.carrier.test,5060,2,10",
            "--srv-host=_sip._udp.carrier.test,good.carrier.test,5060,3,10",
            "--srv-host=_sip._udp.carrier.test,never.carrier.test,5060,4,10",
            "--host-record=dead.carrier.test,NET.6",
            "--host-record=busy.carrier.test,NET.4",
            "--host-record=good.carrier.test,NET.5",
            "--host-record=never.carrier.test,NET.7",
        ],
    );
    let _busy = place.sipp(4, "unavailable", &[]);
    let _taker = place.sipp(5, "agent", &["-rtp_echo"]);
    let more = [trunk("in", 2), flow("100", OUT), carrier("")].concat();
    let appliance = Appliance::start_with_sip(&place, SIP, &more);
    wait_for("the servers", LONG, || appliance.trunks().to_string().contains(&place.host(7)));
    place.sipp(2, "talk", &["-s", "100", "-m", "1", "-d", "300"]).succeeds(LONG);
    // Known by now: neither is asked first.
    place.sipp(2, "talk", &["-s", "100", "-m", "3", "-r", "5", "-d", "300"]).succeeds(LONG);
    let cdrs = appliance.cdrs();
    assert_eq!(cdrs.len(), 4);
    assert!(cdrs.iter().all(|cdr| !cdr["answered_at"].is_null()), "{cdrs:?}");
    assert_eq!(cdrs.iter().filter(|cdr| ways(cdr).len() == 3).count(), 1, "one went through all: {cdrs:?}");
    assert_eq!(cdrs.iter().filter(|cdr| ways(cdr).len() == 1).count(), 3, "{cdrs:?}");
    let trunks = appliance.trunks().to_string();
    for (host, health) in [(6, "failed lately"), (4, "failed lately"), (5, "up"), (7, "up")] {
        let line = format!("  udp {}:5060 {health}", place.host(host));
        assert!(trunks.contains(&line), "{line}\n{trunks}");
    }
    appliance.stop();
}

#[test]
fn rules_choose_tcp_and_an_answer_too_long_for_udp_comes_by_tcp() {
    if !have(&["sipp", "dnsmasq"]) {
        return;
    }
    let place = Place::new("naptr");
    let mut records = vec![
        "--naptr-record=carrier.test,20,10,S,SIP+D2U,,_sip._udp.carrier.test".to_owned(),
        "--naptr-record=carrier.test,10,10,S,SIP+D2T,,_sip._tcp.carrier.test".to_owned(),
        "--srv-host=_sip._tcp.carrier.test,good.carrier.test,5060,1,10".to_owned(),
        "--host-record=good.carrier.test,NET.5".to_owned(),
    ];
    // Far more than 512 octets.
    let long = |n| format!("--srv-host=_sip._tcp.carrier.test,a-server-with-a-long-name-{n}.carrier.test,5060,2,10");
    records.extend((0..20).map(long));
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let _dns = dns(&place, &records);
    let _taker = place.sipp(5, "agent", &["-t", "t1"]);
    let more = [trunk("in", 2), flow("100", OUT), carrier("")].concat();
    let appliance = Appliance::start_with_sip(&place, SIP, &more);
    wait_for("the servers", LONG, || appliance.trunks().to_string().contains(&place.host(5)));
    let trunks = appliance.trunks().to_string();
    assert!(trunks.contains(&format!("  tcp {}:5060 up", place.host(5))), "{trunks}");
    place.sipp(2, "talk", &["-s", "100", "-m", "2", "-d", "300"]).succeeds(LONG);
    let cdrs = appliance.cdrs();
    assert!(cdrs.len() == 2 && cdrs.iter().all(|cdr| ways(cdr) == ["normal"]), "{cdrs:?}");
    appliance.stop();
}

#[test]
fn a_server_that_says_for_how_long_is_left_alone() {
    if !have(&["sipp", "dnsmasq"]) {
        return;
    }
    let place = Place::new("later");
    let _dns = dns(
        &place,
        &["--srv-host=_sip._udp.carrier.test,busy.carrier.test,5060,1,10", "--host-record=busy.carrier.test,NET.4"],
    );
    let busy = place.sipp(4, "later", &["-trace_counts"]);
    let more = [trunk("in", 2), flow("100", OUT), carrier("")].concat();
    let appliance = Appliance::start_with_sip(&place, SIP, &more);
    wait_for("the servers", LONG, || appliance.trunks().to_string().contains(&place.host(4)));
    for _ in 0..3 {
        place.sipp(2, "talk", &["-s", "100", "-m", "1"]).ends(LONG);
    }
    let cdrs = appliance.cdrs();
    // RFC 3261 section 21.5.4: one was enough.
    assert_eq!(cdrs.iter().map(|cdr| ways(cdr).len()).sum::<usize>(), 1, "{cdrs:?}\n{}", busy.log());
    let trunks = appliance.trunks().to_string();
    assert!(trunks.contains("left alone for") && trunks.contains("(Retry-After)"), "{trunks}");
    appliance.stop();
}

#[test]
fn a_name_that_nobody_provisioned_is_looked_up_while_the_caller_waits() {
    if !have(&["sipp", "dnsmasq"]) {
        return;
    }
    let place = Place::new("uri");
    let _dns = dns(
        &place,
        &["--srv-host=_sip._udp.desk.test,phone.desk.test,5060,1,1", "--host-record=phone.desk.test,NET.5"],
    );
    let _taker = place.sipp(5, "agent", &["-rtp_echo"]);
    let steps = "[step.a]\ndo = 'transfer'\nto = 'sip:7@desk.test'\n";
    let nowhere = "[step.a]\ndo = 'transfer'\nto = 'sip:7@nowhere.test'\n";
    let more = [trunk("in", 2), flow("100", steps), flow("101", nowhere)].concat();
    let appliance = Appliance::start_with_sip(&place, SIP, &more);
    place.sipp(2, "talk", &["-s", "100", "-m", "2", "-d", "300"]).succeeds(LONG);
    let cdrs = appliance.cdrs();
    assert!(cdrs.len() == 2 && cdrs.iter().all(|cdr| !cdr["answered_at"].is_null()), "{cdrs:?}");
    let located = appliance.ask(&["locate", "sips:7@desk.test", "--json"]);
    assert!(!located.status.success(), "no TLS here");
    let located = appliance.ask(&["locate", "desk.test;transport=udp", "--json"]);
    let servers: Value = serde_json::from_slice(&located.stdout).unwrap();
    assert_eq!(servers[0]["address"], format!("{}:5060", place.host(5)), "{servers}");
    let nowhere = appliance.ask(&["locate", "nowhere.test"]);
    let text = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(!nowhere.status.success() && text.contains("nowhere.test: not in DNS"), "{text}");
    // What is not in DNS ends the call, with a cause.
    place.sipp(2, "talk", &["-s", "101", "-m", "1", "-d", "300"]).ends(LONG);
    let cdrs = appliance.cdrs();
    assert!(cdrs.iter().any(|cdr| cdr.to_string().contains("no-route")), "{cdrs:?}");
    appliance.stop();
}

#[test]
fn calls_come_from_the_addresses_of_a_name() {
    if !have(&["sipp", "dnsmasq"]) {
        return;
    }
    let place = Place::new("from");
    let _dns = dns(&place, &["--host-record=carrier.test,NET.5"]);
    let steps = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'play'\nprompt = 'demo/announcement'\nnext = 'c'\n\
                 [step.c]\ndo = 'hangup'\n";
    let more = [flow("100", steps), carrier("port = 5060\n")].concat();
    let appliance = Appliance::start_with_sip(&place, SIP, &more);
    wait_for("the servers", LONG, || appliance.trunks().to_string().contains(&place.host(5)));
    place.sipp(9, "stranger", &["-s", "100", "-m", "1"]).succeeds(LONG);
    place.sipp(5, "talk", &["-s", "100", "-m", "1", "-d", "300"]).succeeds(LONG);
    let cdrs = appliance.cdrs();
    assert_eq!(cdrs.len(), 1);
    assert_eq!(cdrs[0]["legs"][0]["trunk"], "carrier");
    appliance.stop();
}

/// RFC 3261 section 18.1.1: with keys, all codecs and a long name the INVITE has more than 1,300 octets. The one carrier
/// takes TCP alone, the other one UDP alone.
#[test]
fn a_request_too_large_for_a_datagram_goes_by_tcp_where_that_is_taken() {
    if !have(&["sipp", "dnsmasq"]) {
        return;
    }
    let place = Place::new("large");
    let name = |host: u8| format!("{}-{host}.{}.test", "long".repeat(15), "name".repeat(15));
    let records = [4, 5].map(|host| format!("--host-record={},NET.{host}", name(host)));
    let _dns = dns(&place, &records.each_ref().map(String::as_str));
    let _tcp = place.sipp(4, "agent", &["-t", "t1"]);
    let _udp = place.sipp(5, "agent", &[]);
    let carrier = |host: u8| {
        format!(
            "\n[[trunk]]\nname = 'to{host}'\nkind = 'sip'\nprefix = ['9{host}']\nsrtp = 'optional'\n\
             srtp_keys = 'sdes-in-clear'\n[[trunk.peer]]\naddress = '{}'\nport = 5060\n",
            name(host)
        )
    };
    let to = |number: &str, to: &str| flow(number, &format!("[step.a]\ndo = 'transfer'\nto = '{to}000000000000'\n"));
    let more = [trunk("in", 2), to("104", "94"), to("105", "95"), carrier(4), carrier(5)].concat();
    let shared = place.provision(&more).replace("[media]\n", "[media]\ncodecs = ['pcmu', 'pcma', 'g722']\n");
    let servers = place.fill("[sip.dns]\nservers = ['NET.53:5353']\n\n[media]\n");
    let appliance = Appliance::start_provisioned(&place, &shared.replace("[media]\n", &servers));
    wait_for("the servers", LONG, || {
        let trunks = appliance.trunks().to_string();
        [4, 5].iter().all(|host| trunks.contains(&format!("{}:5060 up", place.host(*host))))
    });
    for number in ["104", "105"] {
        place.sipp(2, "talk", &["-s", number, "-m", "1", "-d", "300"]).succeeds(LONG);
    }
    let cdrs = appliance.cdrs();
    assert!(cdrs.len() == 2 && cdrs.iter().all(|cdr| ways(cdr) == ["normal"]), "{cdrs:?}");
    assert_eq!(appliance.status()["sip_refused"]["stream-fell-back"], 1, "one of them takes no TCP");
    appliance.stop();
}

#[test]
fn a_registration_moves_to_the_next_server_of_the_registrar() {
    if !have(&["sipp", "dnsmasq"]) {
        return;
    }
    let place = Place::new("registrar");
    let _dns = dns(
        &place,
        &[
            "--srv-host=_sip._udp.carrier.test,dead.carrier.test,5060,1,10",
            "--srv-host=_sip._udp.carrier.test,good.carrier.test,5060,2,10",
            "--host-record=dead.carrier.test,NET.6",
            "--host-record=good.carrier.test,NET.4",
        ],
    );
    let mut provider = place.sipp(4, "provider", &["-m", "1"]);
    let line = "\n[[trunk]]\nname = 'provider'\nkind = 'sip'\nregister = true\nuser = 'line'\npassword = 'l1ne'\n\
                [[trunk.peer]]\naddress = 'carrier.test'\n[[trunk]]\nname = 'lost'\nkind = 'sip'\n\
                [[trunk.peer]]\naddress = 'nowhere.test'\n";
    let appliance = Appliance::start_with_sip(&place, SIP, line);
    wait_for("the alarm", LONG, || appliance.has_alarm("name-unresolved"));
    // RFC 3261 section 17.1.2.2: the dead one is given up after 64 times T1, 32 s.
    provider.succeeds(LONG);
    wait_for("the registration", LONG, || appliance.trunks().to_string().contains("registered for"));
    assert!(!appliance.has_alarm("trunk-not-registered"));
    let trunks = appliance.trunks().to_string();
    assert!(trunks.contains("nowhere.test down: not in DNS"), "{trunks}");
    appliance.stop();
}

#[test]
fn an_outage_of_dns_is_waited_out_and_lived_through() {
    if !have(&["sipp", "dnsmasq"]) {
        return;
    }
    let place = Place::new("outage");
    let _taker = place.sipp(5, "agent", &["-rtp_echo"]);
    let more = [trunk("in", 2), flow("100", OUT), carrier("")].concat();
    let appliance = Appliance::start_with_sip(&place, SIP, &more);
    wait_for("the alarm", LONG, || appliance.has_alarm("name-unresolved"));
    assert!(appliance.trunks().to_string().contains("DNS does not answer"));
    assert!(appliance.status()["sip_refused"]["dns-unanswered"].as_u64() > Some(0));
    let call = || place.sipp(2, "talk", &["-s", "100", "-m", "1", "-d", "300"]).ends(LONG).success();
    assert!(!call(), "nowhere to go");
    let records =
        ["--srv-host=_sip._udp.carrier.test,good.carrier.test,5060,1,1", "--host-record=good.carrier.test,NET.5"];
    let server = dns(&place, &records);
    wait_for("the server", LONG, || appliance.trunks().to_string().contains(&place.host(5)));
    assert!(!appliance.has_alarm("name-unresolved") && call());
    // Answers hold for 5 s; what was known last stands in from then on.
    drop(server);
    std::thread::sleep(Duration::from_secs(8));
    assert!(call() && !appliance.has_alarm("name-unresolved"));
    appliance.stop();
}
