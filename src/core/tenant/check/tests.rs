//! Tests of the check: each rule, broken once.

use super::*;
use crate::core::tenant::provision::{Agent, Provision};
use crate::core::tenant::testing;
use crate::core::tls::ClientTls;

const GOOD: &str = r#"
[[card]]
name = "card0"
driver = "sim-t1"
spans = 2
[[span]]
name = "line1"
card = "card0"
signalling = "em-wink"
trunk = "circuits"
[[span]]
name = "line2"
card = "card0"
span = 2
signalling = "em-wink"
trunk = "circuits"
[[tenant]]
name = "acme"
[[tenant]]
name = "blue"
[[site]]
name = "berlin"
[[skill]]
tenant = "acme"
name = "sales"
[[agent]]
tenant = "acme"
name = "ana"
user = "ana"
password = "secret"
code = "1"
pin = "2"
site = "berlin"
skills = { sales = 1 }
[[agent]]
tenant = "acme"
name = "bob"
user = "bob"
password = "secret"
code = "3"
pin = "4"
[[queue]]
tenant = "acme"
name = "sales"
[[flow]]
tenant = "acme"
name = "main"
text = "[flow]\nstart = 'wait'\n[step.wait]\ndo = 'enqueue'\nqueue = 'sales'\n"
[[number]]
number = "200"
tenant = "acme"
flow = "main"
[[number]]
number = "201"
tenant = "acme"
flow = "main"
[[trunk]]
name = "circuits"
kind = "tdm"
[[trunk]]
name = "carrier"
kind = "sip"
user = "cordboard"
password = "secret"
register = true
prefix = ["0", "00"]
peer = [{ address = "192.0.2.1" }, { address = "192.0.2.2" }]
[[trunk]]
name = "other"
kind = "sip"
peer = [{ address = "192.0.2.3" }]
"#;

fn good() -> Provision {
    toml::from_str(GOOD).expect("well-formed")
}

/// The problems of the good provisioning after a change: entry, path and what.
fn after(change: impl FnOnce(&mut Provision)) -> Vec<(String, String, String)> {
    let mut provision = good();
    change(&mut provision);
    problems(&provision).into_iter().map(|p| (p.entry, p.path, p.what)).collect()
}

/// Asserts that a change breaks one rule, at a path.
#[track_caller]
fn breaks(path: &str, change: impl FnOnce(&mut Provision)) {
    let found = after(change);
    assert!(found.len() == 1 && found[0].1 == path, "expected one problem at {path}: {found:#?}");
}

fn level(levels: &mut std::collections::BTreeMap<String, f64>, skill: &str, level: f64) {
    levels.insert(skill.into(), level);
}

#[test]
fn good_provisionings_pass() {
    assert_eq!(after(|_| {}), []);
    assert_eq!(check(&Provision::default()), []);
    for seed in 1..40 {
        assert_eq!(check(&testing::provision(seed)), [], "seed {seed}");
    }
}

#[test]
fn the_appliance() {
    breaks("sip.listen[1]", |p| p.sip.listen[1] = "sctp:127.0.0.1:5060".into());
    breaks("sip.listen[1]", |p| p.sip.listen[1] = p.sip.listen[0].clone());
    breaks("sip.dns.servers", |p| p.sip.dns.servers = vec!["192.0.2.53".into(); 4]);
    breaks("sip.dns.servers[1]", |p| p.sip.dns.servers = vec!["[::1]:5353".into(), "dns.example.org".into()]);
    breaks("sip.realm", |p| p.sip.realm = "a b".into());
    breaks("sip.calls_max", |p| p.sip.calls_max = 0);
    breaks("sip.stop_grace_s", |p| p.sip.stop_grace_s = 100_000);
    breaks("sip.min_se_s", |p| p.sip.min_se_s = 89);
    breaks("sip.session_expires_s", |p| p.sip.session_expires_s = 89);
    breaks("media.address", |p| p.media.address = "0.0.0.0".into());
    breaks("media.address", |p| p.media.address = "localhost".into());
    breaks("media.address6", |p| p.media.address6 = Some("192.0.2.1".into()));
    breaks("media.port_min", |p| p.media.port_min += 1);
    breaks("media.port_max", |p| p.media.port_max -= 1);
    breaks("media.port_max", |p| p.media.port_max = p.media.port_min - 1);
    breaks("media.country", |p| p.media.country = "uk".into());
}

#[test]
fn cards_and_spans() {
    breaks("card[0].driver", |p| p.card[0].driver = "sim-j1".into());
    breaks("card[0].spans", |p| p.card[0].spans = 33);
    breaks("span[1].name", |p| p.span[1].name = "line1".into());
    breaks("span[1].span", |p| p.span[1].span = 3);
    breaks("span[1].span", |p| p.span[1].span = 1);
    breaks("span[0].signalling", |p| p.span[0].signalling = "isdn".into());
    breaks("span[0].trunk", |p| p.span[0].trunk = "carrier".into());
    breaks("span[0].trunk", |p| p.span[0].trunk = "nothing".into());
    let found = after(|p| p.card[0].name = "Card".into());
    assert_eq!(found.len(), 3, "a bad name, and two spans whose card is gone: {found:#?}");
}

#[test]
fn trunks() {
    breaks("trunk[1].name", |p| p.trunk[1].name = "Carrier".into());
    breaks("trunk[2].name", |p| p.trunk[2].name = "carrier".into());
    breaks("trunk[2].kind", |p| p.trunk[2].kind = "isdn".into());
    breaks("trunk[1].strip", |p| p.trunk[1].strip = 33);
    breaks("trunk[1].prefix[1]", |p| p.trunk[1].prefix[1] = "0a".into());
    breaks("trunk[1].prefix[1]", |p| p.trunk[1].prefix[1] = "0".into());
    breaks("trunk[0].register", |p| p.trunk[0].register = true);
    breaks("trunk[2].peer", |p| p.trunk[2].peer.clear());
    breaks("trunk[2].authenticate", |p| p.trunk[2].authenticate = true);
    breaks("trunk[0].trusted", |p| p.trunk[0].trusted = true);
    breaks("trunk[2].user", |p| p.trunk[2].user = Some("x".into()));
    breaks("trunk[2].password", |p| p.trunk[2].password = Some("x".to_string().into()));
    breaks("trunk[1].password", |p| p.trunk[1].password = Some("\n".to_string().into()));
    breaks("trunk[1].user", |p| p.trunk[1].user = Some("a b".into()));
    breaks("trunk[1].peer[1].address", |p| p.trunk[1].peer[1].address = "256.1.2.3".into());
    breaks("trunk[1].peer[1].address", |p| p.trunk[1].peer[1].address = "sip.example.org:5060".into());
    breaks("trunk[1].peer[1].port", |p| p.trunk[1].peer[1].port = Some(0));
    breaks("trunk[1].peer[1].transport", |p| p.trunk[1].peer[1].transport = Some("sctp".into()));
    breaks("trunk[1].failover_s", |p| p.trunk[1].failover_s = 0);
    breaks("trunk[1].outbound_proxy", |p| p.trunk[1].outbound_proxy = Some("192.0.2.1".into()));
    let tls = |tls: ClientTls| move |p: &mut Provision| p.trunk[1].tls = Some(tls);
    breaks("trunk[1].tls.verify", tls(ClientTls { verify: "none".into(), ..ClientTls::default() }));
    breaks("trunk[1].tls", tls(ClientTls { key: Some("k".into()), ..ClientTls::default() }));
    breaks("trunk[1].tls.identify", tls(ClientTls { identify: true, ..ClientTls::default() }));
    breaks("trunk[1].peer[1].options_s", |p| p.trunk[1].peer[1].options_s = 1);
    breaks("trunk[2].peer[0].address", |p| p.trunk[2].peer[0].address = "192.0.2.1".into());
    assert_eq!(after(|p| p.trunk[1].peer[1].address = "192.0.2.1".into()), [], "two ports of one address");
}

#[test]
fn tenants_sites_and_skills() {
    breaks("tenant[1].name", |p| p.tenant[1].name = "acme".into());
    breaks("tenant[1].name", |p| p.tenant[1].name = String::new());
    breaks("tenant[1].country", |p| p.tenant[1].country = Some("DE".into()));
    breaks("tenant[1].timezone", |p| p.tenant[1].timezone = "Europe/Bonn".into());
    breaks("tenant[1].language", |p| p.tenant[1].language = "English".into());
    breaks("site[0].timezone", |p| p.site[0].timezone = String::new());
    breaks("skill[1].name", |p| p.skill.push(p.skill[0].clone()));
    breaks("skill[1].tenant", |p| {
        p.skill.push(p.skill[0].clone());
        p.skill[1].tenant = "green".into();
    });
    assert_eq!(
        after(|p| {
            p.skill.push(p.skill[0].clone());
            p.skill[1].tenant = "blue".into();
        }),
        [],
        "names are a tenant's own"
    );
}

#[test]
fn agents() {
    breaks("agent[1].name", |p| p.agent[1].name = "ana".into());
    breaks("agent[1].name", |p| p.agent[1].name = "Bob".into());
    breaks("agent[1].user", |p| p.agent[1].user = Some("ana".into()));
    breaks("agent[1].user", |p| p.agent[1].password = None);
    breaks("agent[1].user", |p| {
        p.trunk[1].authenticate = true;
        p.agent[1].user = p.trunk[1].user.clone();
    });
    breaks("agent[1].password", |p| {
        p.agent[1].user = None;
        p.agent[1].contact = Some("sip:b@127.0.0.1".into());
    });
    breaks("agent[1].code", |p| p.agent[1].code = Some("1".into()));
    breaks("agent[1].code", |p| p.agent[1].code = Some("12a".into()));
    breaks("agent[1].code", |p| p.agent[1].pin = None);
    breaks("agent[1].pin", |p| p.agent[1].code = None);
    breaks("agent[1].pin", |p| p.agent[1].pin = Some("12345678901234567".to_string().into()));
    breaks("agent[1].contact", |p| p.agent[1].contact = Some("bob@phone".into()));
    breaks("agent[1]", |p| {
        p.agent[1].user = None;
        p.agent[1].password = None;
    });
    breaks("agent[0].site", |p| p.agent[0].site = Some("bonn".into()));
    breaks("agent[1].tenant", |p| p.agent[1].tenant = "green".into());
    breaks("agent[0].skills.sales", |p| level(&mut p.agent[0].skills, "sales", 0.0));
    breaks("agent[0].skills.sales", |p| level(&mut p.agent[0].skills, "sales", f64::NAN));
    breaks("agent[0].skills.cooking", |p| level(&mut p.agent[0].skills, "cooking", 0.5));
    breaks("agent[0].ring_s", |p| p.agent[0].ring_s = 0);
    breaks("agent[0].wrap_up_s", |p| p.agent[0].wrap_up_s = 100_000);
    assert_eq!(
        after(|p| {
            p.agent[1].tenant = "blue".into();
            p.agent[1].code = Some("1".into());
        }),
        [],
        "codes are a tenant's own"
    );
}

#[test]
fn ranges_of_agents() {
    let ranged = |first, last| {
        move |p: &mut Provision| {
            p.agent.push(Agent {
                name: "r{n}".into(),
                range: Some([first, last]),
                user: None,
                password: None,
                code: None,
                pin: None,
                contact: Some("sip:r{n}@127.0.0.3:5080".into()),
                ..p.agent[1].clone()
            });
        }
    };
    assert_eq!(after(ranged(1, 500)), []);
    breaks("agent[2].range", ranged(2, 1));
    breaks("agent[2].range", ranged(0, 100_000));
    breaks("agent[2].range", ranged(0, u32::MAX));
    breaks("agent[2].name", |p| {
        ranged(1, 2)(p);
        p.agent[2].name = "r".into();
    });
    breaks("agent[2].name", |p| {
        ranged(1, 2)(p);
        p.agent[1].name = "r2".into();
    });
    breaks("agent[2].contact", |p| {
        ranged(1, 2)(p);
        p.agent[2].contact = Some("{n}".into());
    });
    let same_user = after(|p| {
        ranged(1, 3)(p);
        p.agent[2].user = Some("r".into());
        p.agent[2].password = Some("x".to_string().into());
    });
    assert_eq!(same_user.len(), 2, "the second and the third: {same_user:#?}");
}

#[test]
fn queues() {
    breaks("queue[1].name", |p| p.queue.push(p.queue[0].clone()));
    breaks("queue[0].treatment", |p| p.queue[0].treatment = "silence".into());
    breaks("queue[0].music", |p| p.queue[0].music = Some("../../etc/passwd".into()));
    breaks("queue[0].announce_every_s", |p| p.queue[0].announce_every_s = 1);
    breaks("queue[0].target_s", |p| p.queue[0].target_s = 0);
    breaks("queue[0].overflow_after_s", |p| p.queue[0].overflow_after_s = 90_000);
    breaks("queue[0].waiting_max", |p| p.queue[0].waiting_max = 2_000_000);
    breaks("queue[0].skills.sales", |p| level(&mut p.queue[0].skills, "sales", 1.1));
    breaks("queue[0].skills.sale", |p| level(&mut p.queue[0].skills, "sale", 1.0));
    assert_eq!(after(|p| level(&mut p.queue[0].skills, "sales", 0.0)), [], "any level");
}

#[test]
fn flows_and_numbers() {
    breaks("flow[1].name", |p| p.flow.push(p.flow[0].clone()));
    breaks("flow[0].text", |p| p.flow[0].text.clear());
    breaks("flow[0].file", |p| p.flow[0].file = Some("x.toml".into()));
    breaks("flow[0].text", |p| p.flow[0].text = "#".repeat(2 << 20));
    breaks("flow[0].text", |p| p.queue[0].name = "support".into());
    breaks("number[1].number", |p| p.number[1].number = "200".into());
    breaks("number[1].number", |p| p.number[1].number = String::new());
    breaks("number[1].number", |p| p.number[1].number = "2 0".into());
    breaks("number[1].flow", |p| p.number[1].flow = "menu".into());
    let found = after(|p| p.number[1].tenant = "blue".into());
    assert!(found[0].2.contains("not there in tenant \"blue\""), "{found:#?}");
}

#[test]
fn data_has_the_entry_in_place_of_a_file() {
    let mut provision = good();
    provision.agent[0].ring_s = 0;
    provision.queue[0].name = "support".into();
    provision.sip.calls_max = 0;
    let printed: Vec<String> = check(&provision).iter().map(ToString::to_string).collect();
    assert_eq!(
        printed,
        [
            "sip:0:0: `calls_max` is 0; expected 1 to 100000",
            "agent acme/ana:0:0: `ring_s` is 0; expected 1 to 600",
            "flow acme/main:5:9: queue \"sales\" is not there in tenant \"acme\"; expected the name of a queue of the tenant",
        ]
    );
    let unread = Provision {
        tenant: good().tenant,
        flow: vec![toml::from_str("tenant = 'acme'\nname = 'f'\nfile = 'f.toml'").expect("well-formed")],
        ..Provision::default()
    };
    assert_eq!(check(&unread)[0].to_string(), "flow acme/f:0:0: its file was not read; expected `text`");
}
