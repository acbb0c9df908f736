//! Tests of the check: each rule, broken once.

use super::*;
use crate::base::Medium;
use crate::core::contact::{Level, Step, Value};
use crate::core::tenant::provision::{
    Agent, CallerId, Contract, Hunt, Provision, Queue, Refusal, Serves, Skill, Sticky, Tariff, Tenant,
};
use crate::core::tenant::testing;
use crate::core::tls::ClientTls;
use crate::core::trunk::admission::Decimal;

mod circles;
mod overflow;
mod users;

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
    breaks("trunk[1].hunt", |p| p.trunk[1].hunt = Hunt::Descending);
    breaks("trunk[1].calls_max", |p| p.trunk[1].calls_max = 100_001);
    breaks("trunk[1].reserved_out", |p| p.trunk[1].reserved_out = 1);
    breaks("trunk[0].reserved_out", |p| p.trunk[0].reserved_out = 49);
    breaks("trunk[0].caller_id", |p| p.trunk[0].caller_id = Some(CallerId::Own));
    breaks("trunk[1].caller_id", |p| p.trunk[1].caller_id = Some(CallerId::Fixed));
    breaks("trunk[1].caller_number", |p| p.trunk[1].caller_number = Some("1".into()));
    breaks("trunk[1].caller_number", |p| {
        (p.trunk[1].caller_id, p.trunk[1].caller_number) = (Some(CallerId::Fixed), Some("ceo".into()));
    });
    breaks("tenant[0].caller_number", |p| p.tenant[0].caller_number = Some("4711".into()));
    let hours = |days: &str, times: &str| [(days.to_string(), times.to_string())].into();
    breaks("trunk[1].hours.mo-fr", |p| p.trunk[1].hours = hours("mo-fr", "9-17"));
    breaks("trunk[1].hours.holidays", |p| p.trunk[1].hours = hours("holidays", "2026-12-24"));
    breaks("trunk[1].timezone", |p| p.trunk[1].timezone = "Berlin".into());
    let tariff = |days: &str| Tariff { hours: hours(days, "09:00-17:00"), cost: Decimal::whole(1) };
    breaks("trunk[1].tariff[1].hours.monday", |p| p.trunk[1].tariff = vec![tariff("mo"), tariff("monday")]);
    breaks("trunk[1].tariff", |p| p.trunk[1].tariff = vec![tariff("mo"); 101]);
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
fn contracts() {
    let with = |change: &'static dyn Fn(&mut Contract)| {
        move |p: &mut Provision| {
            let mut contract = Contract {
                trunks: vec!["circuits".into()],
                ratio: Decimal::whole(1),
                after_hours: 2,
                worth_within: 1.0,
                worth_beyond: 0.5,
                refused: Refusal::Busy,
                refused_flow: None,
                refused_to: None,
            };
            change(&mut contract);
            p.tenant[0].contract = Some(contract);
        }
    };
    assert_eq!(after(with(&|_| {})), []);
    breaks("tenant[0].contract.trunks", with(&|c| c.trunks.clear()));
    breaks("tenant[0].contract.trunks[0]", with(&|c| c.trunks[0] = "circuit".into()));
    breaks("tenant[0].contract.trunks[0]", with(&|c| c.trunks[0] = "carrier".into()));
    breaks("tenant[0].contract.trunks[1]", with(&|c| c.trunks.push("circuits".into())));
    breaks("tenant[0].contract.ratio", with(&|c| c.ratio = Decimal::whole(1_001)));
    // Two spans of 24.
    breaks("tenant[0].contract.after_hours", with(&|c| c.after_hours = 49));
    breaks("tenant[0].contract.worth_within", with(&|c| c.worth_within = f64::INFINITY));
    breaks("tenant[0].contract.worth_beyond", with(&|c| c.worth_beyond = 1.5));
    breaks("tenant[0].contract.worth_beyond", with(&|c| c.worth_beyond = f64::NAN));
    breaks("tenant[0].contract.refused", with(&|c| c.refused = Refusal::Flow));
    breaks("tenant[0].contract.refused_flow", with(&|c| c.refused_flow = Some("main".into())));
    breaks(
        "tenant[0].contract.refused_flow",
        with(&|c| (c.refused, c.refused_flow) = (Refusal::Flow, Some("nothing".into()))),
    );
    breaks("tenant[0].contract.refused", with(&|c| c.refused = Refusal::Overflow));
    breaks("tenant[0].contract.refused_to", with(&|c| c.refused_to = Some("200".into())));
    breaks("admission.likely_end", |p| p.admission.likely_end = 1.5);
    breaks("admission.window_s", |p| p.admission.window_s = 0);
    breaks("trunk[0].permitted", |p| p.trunk[0].permitted = 49);
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
fn ways_to_agents() {
    let behind = |p: &mut Provision| {
        p.site[0].trunks = vec!["circuits".into(), "other".into()];
        p.agent[0].extension = Some("4711".into());
    };
    assert_eq!(after(behind), []);
    assert_eq!(
        after(|p| {
            let alone = Agent { user: None, password: None, phone: Some("0301234".into()), ..p.agent[1].clone() };
            p.agent[1] = alone;
        }),
        [],
        "a telephone is a way"
    );
    breaks("agent[0].extension", |p| p.agent[0].extension = Some("4711".into()));
    breaks("agent[1].extension", |p| p.agent[1].extension = Some("4711".into()));
    for wrong in ["", "+4711", "47x1", "012345678901234567890123456789012"] {
        breaks("agent[0].extension", |p| {
            behind(p);
            p.agent[0].extension = Some(wrong.into());
        });
    }
    breaks("agent[0].extension", |p| {
        behind(p);
        p.site[0].extension_strip = 4;
    });
    breaks("site[0].trunks[1]", |p| p.site[0].trunks = vec!["circuits".into(), "circuits".into()]);
    breaks("site[0].trunks", |p| p.site[0].trunks = (0..17).map(|n| n.to_string()).collect());
    breaks("site[0].extension_prefix", |p| p.site[0].extension_prefix = "+9".into());
    breaks("site[0].extension_strip", |p| p.site[0].extension_strip = 33);
    breaks("site[0].probe_s", |p| p.site[0].probe_s = 4);
    breaks("site[0].chat_grace_s", |p| p.site[0].chat_grace_s = 3_601);
    breaks("site[0].work_grace_s", |p| p.site[0].work_grace_s = 604_801);
    for (phone, what) in [
        ("", "`phone` is \"\""),
        ("0-30", "`phone` is \"0-30\""),
        ("112", "\"112\" is an emergency number"),
        ("200", "\"200\" is one of our own numbers: a call would come back"),
        ("30123", "no trunk leads to \"30123\""),
    ] {
        let found = after(|p| p.agent[1].phone = Some(phone.into()));
        assert_eq!(found, [("agent acme/bob".to_owned(), "agent[1].phone".to_owned(), what.to_owned())]);
    }
    let found = after(|p| {
        (p.trunk[1].prefix, p.trunk[1].strip) = (vec!["91".into()], 1);
        p.agent[1].phone = Some("9112".into());
    });
    assert_eq!(found[0].2, "\"9112\" is an emergency number");
}

#[test]
fn a_trunk_to_a_site_that_is_not_there() {
    let mut p = good();
    p.site[0].trunks = vec!["circiuts".into()];
    let found = check(&p);
    let [fault] = &found[..] else { panic!("one fault: {found:#?}") };
    assert_eq!((fault.file.as_str(), fault.what.as_str()), ("site berlin", "trunk \"circiuts\" is not there"));
    assert!(fault.expected.contains("\"circuits\""), "{}", fault.expected);
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

/// [`GOOD`] with attributes, agents that have them and queues that escalate.
const ROUTING: &str = r#"
[[tenant]]
name = "acme"
[[skill]]
tenant = "acme"
name = "billing"
[[attribute]]
tenant = "acme"
name = "language"
kind = "symbol"
values = ["en", "es"]
[[attribute]]
tenant = "acme"
name = "topics"
kind = "set"
[[attribute]]
tenant = "acme"
name = "calm"
kind = "level"
[[agent]]
tenant = "acme"
name = "a{n}"
range = [1, 2]
contact = "sip:a{n}@127.0.0.3"
skills = { billing = 1 }
backup = { billing = 20 }
attributes = { language = ["en", "es"], topics = "tax", calm = 0.5 }
modifier = [{ attribute = "language", value = "es", mode = "preferred", cost = 5 }]
slots = { chat = 20, voice = 1, email = 0 }
[[queue]]
tenant = "acme"
name = "first"
targets_s = { email = 2592000, chat = 60 }
modifier = [
    { attribute = "language", mode = "required", schedule = [{ after_s = 30, level = 0 }] },
    { attribute = "calm", mode = "preferred", level = 0.4, importance = 10, credit_s = 5 },
    { attribute = "agent", value = "a2", mode = "forbidden" },
]
sticky = {}
escalate_after_s = 60
escalate_to = "second"
callback = true
[[queue]]
tenant = "acme"
name = "second"
escalate_to = "third"
unservable = "escalate"
[[queue]]
tenant = "acme"
name = "third"
importance = 0.1
"#;

#[track_caller]
fn breaks_routing(path: &str, what: &str, change: impl FnOnce(&mut Provision)) {
    let mut provision: Provision = toml::from_str(ROUTING).expect("well-formed");
    assert_eq!(check(&provision), []);
    change(&mut provision);
    let found: Vec<_> = problems(&provision).into_iter().map(|p| (p.path, p.what, p.expected)).collect();
    let is_one = found.len() == 1 && found[0].0 == path && found[0].1.contains(what) && !found[0].2.is_empty();
    assert!(is_one, "expected one problem at {path} with {what:?}: {found:#?}");
}

#[test]
fn attributes() {
    breaks_routing("attribute[1].name", "is there twice", |p| {
        p.attribute[1].name = "language".into();
        p.agent[0].attributes.remove("topics");
    });
    breaks_routing("attribute[1].name", "is there twice", |p| {
        p.attribute[1].name = "billing".into();
        p.agent[0].attributes.remove("topics");
    });
    breaks_routing("skill[1].name", "each tenant has", |p| {
        p.skill.push(crate::core::tenant::provision::Skill { tenant: "acme".into(), name: "agent".into() });
    });
    breaks_routing("attribute[0].tenant", "is not there", |p| {
        p.attribute.push(p.attribute[0].clone());
        p.attribute[0].tenant = "acmee".into();
    });
    breaks_routing("attribute[2].values", "a level has no list", |p| p.attribute[2].values = vec!["x".into()]);
    breaks_routing("attribute[0].values[2]", "is there twice", |p| p.attribute[0].values.push("en".into()));
    breaks_routing("attribute[0].values[2]", "a value is", |p| p.attribute[0].values.push(" fr".into()));
    breaks_routing("attribute[0].values[2]", "a value is", |p| p.attribute[0].values.push(String::new()));
    breaks_routing("attribute[0].values", "1001 values", |p| {
        p.attribute[0].values = (0..1_001).map(|n| n.to_string()).collect();
        p.agent[0].attributes.remove("language");
        p.agent[0].modifier.clear();
    });
}

#[test]
fn routing_of_tenants() {
    breaks_routing("tenant[0].routing.weights.match", "`match` is -1", |p| p.tenant[0].routing.weights.fit = -1.0);
    breaks_routing("tenant[0].routing.weights.hold_every_s", "is 0.5", |p| {
        p.tenant[0].routing.weights.hold_every_s = 0.5;
    });
    breaks_routing("tenant[0].routing.weights.flex", "is NaN", |p| p.tenant[0].routing.weights.flex = f64::NAN);
    breaks_routing("tenant[0].dispositions[1]", "is there twice", |p| {
        p.tenant[0].dispositions = vec!["sold".into(), "sold".into()];
    });
    breaks_routing("tenant[0].not_ready_reasons[0]", "a word is", |p| {
        p.tenant[0].not_ready_reasons = vec!["a ".into()]
    });
    breaks_routing("tenant[0].dispositions", "1001 words", |p| {
        p.tenant[0].dispositions = (0..1_001).map(|n| n.to_string()).collect();
    });
}

#[test]
fn routing_of_agents() {
    let symbol = |text: &str| Value::Symbol(text.into());
    breaks_routing("agent[0].attributes.langage", "is not there", |p| {
        p.agent[0].attributes.insert("langage".into(), symbol("en"));
    });
    breaks_routing("agent[0].attributes.language", "has no value \"fr\"", |p| {
        p.agent[0].attributes.insert("language".into(), symbol("fr"));
    });
    breaks_routing("agent[0].attributes.language", "`language` is 1", |p| {
        p.agent[0].attributes.insert("language".into(), Value::Level(Level::FULL));
    });
    breaks_routing("agent[0].attributes.language", "is empty", |p| {
        p.agent[0].attributes.insert("language".into(), Value::Set([].into()));
    });
    breaks_routing("agent[0].attributes.topics", "65 of them", |p| {
        p.agent[0].attributes.insert("topics".into(), Value::Set((0..65).map(|n| n.to_string()).collect()));
    });
    breaks_routing("agent[0].attributes.calm", "`calm` is very", |p| {
        p.agent[0].attributes.insert("calm".into(), symbol("very"));
    });
    breaks_routing("agent[0].attributes.billing", "is a skill", |p| {
        p.agent[0].attributes.insert("billing".into(), Value::Level(Level::FULL));
    });
    breaks_routing("agent[0].attributes.agent", "each agent has", |p| {
        p.agent[0].attributes.insert("agent".into(), symbol("a1"));
    });
    breaks_routing("agent[0].backup.biling", "is not there", |p| {
        p.agent[0].backup.insert("biling".into(), 1);
    });
    breaks_routing("agent[0].backup.billing", "`cost` is 101", |p| {
        p.agent[0].backup.insert("billing".into(), 101);
    });
    breaks_routing("agent[0].modifier[0].attribute", "is not there", |p| p.agent[0].modifier[0].attribute = "x".into());
    breaks_routing("agent[0].modifier[0].value", "has no value \"fr\"", |p| {
        p.agent[0].modifier[0].value = Some("fr".into());
    });
    breaks_routing("agent[0].modifier[0].value", "no `value`", |p| p.agent[0].modifier[0].value = None);
    breaks_routing("agent[0].modifier[0].value", "is a level", |p| p.agent[0].modifier[0].attribute = "calm".into());
    breaks_routing("agent[0].modifier[0].importance", "is 101", |p| p.agent[0].modifier[0].importance = 101);
    breaks_routing("agent[0].modifier[0].cost", "is 200", |p| p.agent[0].modifier[0].cost = 200);
    breaks_routing("agent[0].modifier", "33 of them", |p| {
        p.agent[0].modifier = vec![p.agent[0].modifier[0].clone(); 33]
    });
    breaks_routing("agent[0].slots.chat", "is 21", |p| {
        p.agent[0].slots.insert(Medium::Chat, 21);
    });
    breaks_routing("agent[0].slots.voice", "is 2", |p| {
        p.agent[0].slots.insert(Medium::Voice, 2);
    });
}

#[test]
fn routing_of_queues() {
    breaks_routing("queue[0].modifier[0].attribute", "is not there", |p| p.queue[0].modifier[0].attribute = "x".into());
    breaks_routing("queue[0].modifier[0].value", "has no value \"fr\"", |p| {
        p.queue[0].modifier[0].value = Some("fr".into());
    });
    breaks_routing("queue[0].modifier[1].value", "is a level", |p| p.queue[0].modifier[1].value = Some("x".into()));
    breaks_routing("queue[0].modifier[2].value", "agent \"a3\" is not there", |p| {
        p.queue[0].modifier[2].value = Some("a3".into());
    });
    breaks_routing("queue[0].modifier[0].schedule", "in order", |p| {
        let step = p.queue[0].modifier[0].schedule[0];
        p.queue[0].modifier[0].schedule.push(step);
    });
    breaks_routing("queue[0].modifier[0].schedule", "at most 16 steps", |p| {
        let step = |after_s| Step { after_s, ..Step::default() };
        p.queue[0].modifier[0].schedule = (0..17).map(step).collect();
    });
    breaks_routing("queue[0].modifier[1]", "0 to 100", |p| p.queue[0].modifier[1].importance = Some(101));
    breaks_routing("queue[0].modifier[1].credit_s", "is 86401", |p| p.queue[0].modifier[1].credit_s = 86_401);
    breaks_routing("queue[0].modifier", "33 of them", |p| {
        p.queue[0].modifier = vec![p.queue[0].modifier[0].clone(); 33]
    });
    breaks_routing("queue[0].importance", "is 0", |p| p.queue[0].importance = 0.0);
    breaks_routing("queue[0].importance", "is 100.5", |p| p.queue[0].importance = 100.5);
    breaks_routing("queue[0].importance", "is NaN", |p| p.queue[0].importance = f64::NAN);
    breaks_routing("queue[0].sticky.importance", "is 0", |p| {
        p.queue[0].sticky = Some(Sticky { importance: 0, fade_days: 1 });
    });
    breaks_routing("queue[0].sticky.fade_days", "is 0", |p| {
        p.queue[0].sticky = Some(Sticky { importance: 1, fade_days: 0 });
    });
    breaks_routing("queue[0].targets_s.chat", "is 0", |p| {
        p.queue[0].targets_s.insert(Medium::Chat, 0);
    });
    breaks_routing("queue[0].targets_s.chat", "is 86401", |p| {
        p.queue[0].targets_s.insert(Medium::Chat, 86_401);
    });
    breaks_routing("queue[0].callback_tries", "is 11", |p| p.queue[0].callback_tries = 11);
    breaks_routing("queue[0].callback_every_s", "is 9", |p| p.queue[0].callback_every_s = 9);
}

#[test]
fn escalation() {
    breaks_routing("queue[2].escalate_to", "to itself", |p| p.queue[2].escalate_to = Some("third".into()));
    breaks_routing("queue[2].escalate_to", "is not there", |p| p.queue[2].escalate_to = Some("fourth".into()));
    breaks_routing("queue[1].unservable", "without a queue", |p| p.queue[1].escalate_to = None);
    breaks_routing("queue[0].escalate_after_s", "without a queue", |p| p.queue[0].escalate_to = None);
    breaks_routing("queue[0].escalate_after_s", "is 2592001", |p| p.queue[0].escalate_after_s = 2_592_001);
    breaks_routing("queue[0].escalate_to", "a circle: first to second to third to first", |p| {
        p.queue[2].escalate_to = Some("first".into());
    });
    breaks_routing("queue[1].escalate_to", "a circle: second to third to second", |p| {
        p.queue[2].escalate_to = Some("second".into());
    });
}

#[test]
fn what_hardly_is_meant_is_told() {
    let mut provision: Provision = toml::from_str(ROUTING).expect("well-formed");
    assert_eq!(warnings(&provision), [""; 0]);
    provision.queue[2].skills.insert("billing".into(), 1.0);
    provision.agent[0].skills.insert("billing".into(), 0.9);
    assert_eq!(warnings(&provision), ["queue acme/third: no agent of the tenant could ever serve it"]);
    let queue = provision.queue[2].clone();
    provision.queue.extend((0..110).map(|n| Queue { name: format!("q{n}"), ..queue.clone() }));
    let many = warnings(&provision);
    assert_eq!((many.len(), many[WARNINGS_MAX].as_str()), (101, "11 more queues that no agent could ever serve"));
}

#[test]
fn appliances_that_are_joined() {
    let joined = |p: &mut Provision| {
        p.node.name = "front".into();
        p.trunk[1].node = Some("ivr".into());
    };
    assert_eq!(after(joined), []);
    breaks("node.name", |p| p.node.name = "a b".into());
    breaks("node.roles", |p| p.node.roles.clear());
    breaks("node.roles[0]", |p| p.node.roles = vec!["swich".into(), "resource".into(), "workflow".into()]);
    breaks("node.roles[3]", |p| p.node.roles.push("switch".into()));
    breaks("trunk[1].node", |p| p.trunk[1].node = Some("ivr".into()));
    breaks("trunk[1].node", |p| {
        joined(p);
        p.trunk[1].node = Some("front".into());
    });
    breaks("trunk[0].node", |p| {
        p.node.name = "front".into();
        p.trunk[0].node = Some("ivr".into());
    });
}

/// A tenant's flow and what is said of it.
fn flow_says(text: &str, change: impl FnOnce(&mut Provision)) -> Vec<String> {
    let found = after(|p| {
        p.node.name = "front".into();
        p.trunk[1].node = Some("ivr".into());
        p.flow[0].text = format!("[flow]\nstart = 'a'\n[step.a]\n{text}");
        change(p);
    });
    found.into_iter().map(|(_, path, what)| format!("{path}: {what}")).collect()
}

#[test]
fn transfers_to_other_appliances() {
    let to = |node: &str| format!("do = 'transfer'\nto = 'node:{node}/{{dnis}}'\n");
    assert_eq!(flow_says(&to("ivr"), |_| ()), [""; 0]);
    assert!(flow_says(&to("iwr"), |_| ())[0].contains("node \"iwr\" is not there"));
    assert!(flow_says(&to("front"), |_| ())[0].contains("go round in a circle"));
    let only_passes = |p: &mut Provision| p.node.roles = vec!["switch".into(), "workflow".into()];
    let first = |text: &str| flow_says(text, only_passes).into_iter().any(|said| said.starts_with("flow[0].name"));
    assert!(!first(&to("ivr")) && first("do = 'answer'\nnext = 'b'\n[step.b]\ndo = 'hangup'\n"));
}

#[test]
fn agents_of_several_tenants() {
    let serves = |tenant: &str, skills: &[(&str, f64)]| Serves {
        tenant: tenant.into(),
        skills: skills.iter().map(|(name, level)| ((*name).to_owned(), *level)).collect(),
    };
    let other = |p: &mut Provision| {
        p.tenant.push(Tenant { name: "beta".into(), ..p.tenant[0].clone() });
        p.skill.push(Skill { tenant: "beta".into(), name: "wine".into() });
    };
    let with = |list: Vec<Serves>| {
        move |p: &mut Provision| {
            other(p);
            p.agent[0].serves = list;
        }
    };
    assert_eq!(after(with(vec![serves("beta", &[("wine", 0.5)])])), []);
    breaks("agent[0].serves[0].tenant", with(vec![serves("acme", &[])]));
    breaks("agent[0].serves[0].tenant", with(vec![serves("bета", &[])]));
    breaks("agent[0].serves[1].tenant", with(vec![serves("beta", &[]), serves("beta", &[])]));
    breaks("agent[0].serves[0].skills.beer", with(vec![serves("beta", &[("beer", 0.5)])]));
    breaks("agent[0].serves[0].skills.wine", with(vec![serves("beta", &[("wine", 1.5)])]));
}

#[test]
fn ways_to_sites_that_nobody_asks_are_warned_of() {
    let told = |options_s| {
        let mut p = good();
        p.site[0].trunks = vec![p.trunk[1].name.clone()];
        p.trunk[1].peer.iter_mut().for_each(|peer| peer.options_s = options_s);
        warnings(&p).iter().filter(|told| told.contains("options_s")).count()
    };
    assert_eq!((told(0), told(10)), (1, 0));
}
