//! A site behind a link of its own: a network namespace with an agent's phone (SIPp), whose end of the link is taken down while
//! the phone rings, and in the middle of a call.

use std::path::Path;
use std::process::{Command, id};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Appliance, Peer, Place, flow, have, is_root, trunk, wait_for};

const LONG: Duration = Duration::from_secs(60);
/// Questions to the phone, in seconds.
const PROBE_S: u64 = 5;
/// Some time for processes and looks at them.
const SLACK: Duration = Duration::from_secs(2);

const QUEUE: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'enqueue'\nqueue = 'desk'\n";

/// Ana, who is preferred, is at the site; Ben is not.
const AGENTS: &str = "
[[site]]
name = 'berlin'
probe_s = 5
[[agent]]
tenant = 'acme'
name = 'ana'
site = 'berlin'
contact = 'sip:ana@SITE:5060'
skills = { talk = 1.0 }
signed_in = true
[[agent]]
tenant = 'acme'
name = 'ben'
contact = 'sip:ben@NET.3:5060'
skills = { talk = 0.2 }
signed_in = true
";

/// A namespace and the link to it; both are gone when it is dropped.
struct Link {
    name: String,
    /// Our end's address, and the site's.
    ours: String,
    site: String,
}

impl Link {
    fn new(number: u8) -> Self {
        let (process, name) = (id() % 250, format!("cordboard-{}-{number}", id()));
        let net = format!("10.222.{process}.{}", number * 4);
        let end = |last: u8| net.replace(&format!(".{}", number * 4), &format!(".{}", number * 4 + last));
        let link = Self { name, ours: end(1), site: end(2) };
        let (outside, inside) = (format!("cbo{process}-{number}"), "site");
        ip(&["netns", "add", &link.name]);
        ip(&["link", "add", &outside, "type", "veth", "peer", "name", inside, "netns", &link.name]);
        ip(&["addr", "add", &format!("{}/30", link.ours), "dev", &outside]);
        ip(&["link", "set", &outside, "up"]);
        ip(&["-n", &link.name, "addr", "add", &format!("{}/30", link.site), "dev", inside]);
        ip(&["-n", &link.name, "link", "set", inside, "up"]);
        link
    }

    /// Takes the site's end down, so that nothing says no here, or up again.
    fn set(&self, state: &str) {
        ip(&["-n", &self.name, "link", "set", "site", state]);
    }

    /// A SIPp at the site.
    fn phone(&self, place: &Place, scenario: &str) -> Peer {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/sipp").join(format!("{scenario}.xml"));
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "sipp", &format!("{}:5060", self.ours), "-sf"]).arg(file);
        // OPTIONS are answered beside the scenario.
        command.args(["-i", &self.site, "-mi", &self.site, "-p", "5060", "-nostdin", "-aa", "-rtp_echo"]);
        place.start(&format!("phone-{scenario}"), &mut command)
    }

    /// A SIPp that calls from the trunk.
    fn caller(&self, place: &Place, talk_ms: u32) -> Peer {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/sipp/talk.xml");
        let mut command = Command::new("sipp");
        command.args([&format!("{}:5060", self.ours), "-i", &place.host(2), "-mi", &place.host(2), "-sf"]).arg(file);
        command.args(["-s", "100", "-m", "1", "-nostdin", "-d", &talk_ms.to_string()]);
        place.start(&format!("caller-{talk_ms}"), &mut command)
    }

    fn appliance(&self, place: &Place) -> Appliance {
        let more = [trunk("carrier", 2).as_str(), &AGENTS.replace("SITE", &self.site), &flow("100", QUEUE)].concat();
        // All of it is where the site can reach it.
        Appliance::start_provisioned(place, &place.provision(&more).replace(&place.host(1), &self.ours))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The link goes with the namespace.
        drop(Command::new("ip").args(["netns", "del", &self.name]).output());
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("ip");
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn link(number: u8) -> Option<Link> {
    (have(&["sipp", "ip"]) && is_root()).then(|| Link::new(number))
}

fn agent(appliance: &Appliance, name: &str) -> Value {
    let agents = appliance.agents();
    let found = agents.as_array().and_then(|all| all.iter().find(|agent| agent["name"] == name).cloned());
    found.expect("an agent")
}

/// Until the site is seen to be down; no longer than this.
fn seen_down(appliance: &Appliance, longest: Duration) {
    let since = Instant::now();
    wait_for("the alarm", longest + SLACK, || appliance.has_alarm("site-down"));
    println!("the site was seen to be down after {:.1} s", since.elapsed().as_secs_f64());
    let ana = agent(appliance, "ana");
    assert_eq!((&ana["cut"], &ana["reachable"]), (&true.into(), &false.into()), "{ana}");
}

fn back_up(appliance: &Appliance, link: &Link) {
    link.set("up");
    // A question that was under way may be lost still.
    wait_for("the way back", Duration::from_secs(2 * PROBE_S) + SLACK, || !appliance.has_alarm("site-down"));
    let ana = agent(appliance, "ana");
    assert_eq!((&ana["status"], &ana["reachable"]), (&"ready".into(), &true.into()), "without signing in: {ana}");
}

#[test]
fn a_link_that_is_cut_while_the_phone_rings_gives_the_caller_to_another_agent() {
    let Some(link) = link(1) else { return };
    let place = Place::new("site-ringing");
    let appliance = link.appliance(&place);
    let _ana = link.phone(&place, "rings");
    let _ben = place.start("ben", &mut ben(&place, &link));
    // It waits as long as it takes.
    let mut caller = link.caller(&place, 20_000);
    wait_for("ana's phone to ring", LONG, || agent(&appliance, "ana")["status"] == "busy");
    std::thread::sleep(Duration::from_millis(500));
    link.set("down");
    seen_down(&appliance, Duration::from_secs(12));
    caller.succeeds(LONG);
    back_up(&appliance, &link);
    let cdrs = appliance.cdrs();
    let [cdr] = &cdrs[..] else { panic!("one call: {cdrs:?}") };
    assert_eq!((&cdr["agent"], &cdr["cause"]), (&"ben".into(), &"normal".into()), "{cdr}");
    let offered = cdr["events"].as_array().expect("events").iter().filter(|event| event["what"] == "offered");
    assert_eq!(offered.count(), 2, "{cdr}");
    let status = appliance.status();
    assert_eq!((&status["answered"], &status["abandoned"]), (&1.into(), &0.into()), "{status}");
    appliance.stop();
}

#[test]
fn a_link_that_is_cut_in_the_middle_of_a_call_brings_the_caller_to_another_agent() {
    let Some(link) = link(2) else { return };
    let place = Place::new("site-talking");
    let appliance = link.appliance(&place);
    let _ana = link.phone(&place, "agent");
    let _ben = place.start("ben", &mut ben(&place, &link));
    let mut caller = link.caller(&place, 30_000);
    wait_for("ana to talk", LONG, || appliance.count("answered") == 1);
    link.set("down");
    let since = Instant::now();
    seen_down(&appliance, Duration::from_secs(PROBE_S + 8));
    // Of the phone nothing is heard either.
    wait_for("ben to talk to the caller", Duration::from_secs(3) + SLACK, || {
        agent(&appliance, "ben")["status"] == "busy"
    });
    println!("the caller was with ben {:.1} s after the cut", since.elapsed().as_secs_f64());
    let ana = agent(&appliance, "ana");
    assert_eq!((&ana["status"], &ana["cut"]), (&"ready".into(), &true.into()), "she has nothing in hand: {ana}");
    back_up(&appliance, &link);
    caller.succeeds(LONG);
    wait_for("ben to be through", LONG, || agent(&appliance, "ben")["status"] == "ready");
    let cdrs = appliance.cdrs();
    let [cdr] = &cdrs[..] else { panic!("one call: {cdrs:?}") };
    assert_eq!((&cdr["agent"], &cdr["cause"]), (&"ben".into(), &"normal".into()), "{cdr}");
    let legs: Vec<(&str, &str)> = cdr["legs"].as_array().expect("legs")[1..]
        .iter()
        .map(|leg| (leg["agent"].as_str().expect("an agent"), leg["cause"].as_str().expect("a cause")))
        .collect();
    assert_eq!(legs, [("acme/ana", "network-out-of-order"), ("acme/ben", "normal")], "{cdr}");
    let events: Vec<&str> =
        cdr["events"].as_array().expect("events").iter().filter_map(|event| event["what"].as_str()).collect();
    let wanted = ["enqueued", "offered", "bridged", "cut-off", "offered", "bridged"];
    assert_eq!(events.into_iter().filter(|what| wanted.contains(what)).collect::<Vec<_>>(), wanted, "{cdr}");
    let status = appliance.status();
    assert_eq!((&status["answered"], &status["abandoned"]), (&1.into(), &0.into()), "{status}");
    assert_eq!(status["double_offers"], 0, "{status}");
    appliance.stop();
}

/// Ben's phone, on loopback.
fn ben(place: &Place, link: &Link) -> Command {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/sipp/agent.xml");
    let mut command = Command::new("sipp");
    command.args([&format!("{}:5060", link.ours), "-i", &place.host(3), "-mi", &place.host(3), "-p", "5060", "-sf"]);
    command.arg(file).args(["-nostdin", "-rtp_echo"]);
    command
}
