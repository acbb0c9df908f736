//! Tests of the resolved view.

use super::*;

const TEXT: &str = r#"
[media]
country = "de"

[[card]]
name = "card0"
driver = "sim-t1"
spans = 2

[[span]]
name = "line1"
card = "card0"
span = 2
signalling = "em-wink"
trunk = "circuits"

[[tenant]]
name = "acme"

[[tenant]]
name = "blue"
country = "fr"
timezone = "Europe/Paris"

[[site]]
name = "berlin"

[[skill]]
tenant = "acme"
name = "sales"

[[skill]]
tenant = "blue"
name = "sales"

[[agent]]
tenant = "acme"
name = "a{n}"
range = [1, 3]
site = "berlin"
user = "acme{n}"
code = "10{n}"
pin = "4711"
skills = { sales = 0.5 }

[[agent]]
tenant = "blue"
name = "a1"
contact = "sip:a1@127.0.0.3:5080"
code = "101"
skills = { sales = 1.0 }

[[queue]]
tenant = "blue"
name = "sales"
skills = { sales = 0.2 }
treatment = "ringback"

[[flow]]
tenant = "blue"
name = "main"
text = "x"

[[number]]
number = "200"
tenant = "blue"
flow = "main"

[[trunk]]
name = "carrier"
kind = "sip"
prefix = ["0", "0044"]
peer = [{ address = "192.0.2.1" }, { address = "2001:db8::1", transport = "tcp", port = 5070 }]

[[trunk]]
name = "circuits"
kind = "tdm"
prefix = ["0", "9"]
"#;

fn provision() -> Provision {
    toml::from_str(TEXT).expect("well-formed")
}

#[test]
fn everything_is_found_by_id_and_name() {
    let d = Directory::new(&provision(), None);
    let acme = d.tenant_by_name("acme").expect("tenant");
    let blue = d.tenant_by_name("blue").expect("tenant");
    assert_eq!((acme.country.as_str(), blue.country.as_str()), ("de", "fr"));
    assert_eq!(d.tenant(blue.id), Some(blue));

    let a1 = d.agent_by_name(acme.id, "a1").expect("agent");
    let other = d.agent_by_name(blue.id, "a1").expect("agent");
    assert_ne!(a1.id, other.id);
    assert_eq!(d.agent(a1.id), Some(a1));
    assert_eq!(d.agent_by_user("acme2").map(|a| a.name.as_str()), Some("a2"));
    assert_eq!(d.agent_by_code(acme.id, "101"), Some(a1));
    assert_eq!(d.agent_by_code(blue.id, "101"), Some(other));
    assert_eq!(d.agent_by_code(blue.id, "102"), None);
    let sales = d.skill_by_name(acme.id, "sales").expect("skill");
    assert_eq!(a1.skills, [(sales.id, 0.5)]);
    assert_eq!(a1.site.and_then(|id| d.site(id)).map(|s| s.name.as_str()), Some("berlin"));

    let queue = d.queue_by_name(blue.id, "sales").expect("queue");
    assert_eq!(queue.treatment, Treatment::Ringback);
    assert_ne!(queue.skills[0].0, sales.id, "skills are a tenant's own");
    assert_eq!(d.queue_by_name(acme.id, "sales"), None);

    let (tenant, flow) = d.number("200").expect("number");
    assert_eq!((tenant, d.flow(flow).map(|f| f.text.as_str())), (blue.id, Some("x")));
    assert_eq!(d.number("2000"), None);

    let circuits = d.trunk_by_name("circuits").expect("trunk");
    let span = d.spans().next().expect("span");
    assert_eq!((span.trunk, span.span), (circuits.id, 2));
    assert_eq!(d.card(span.card).map(|c| c.spans), Some(2));
}

#[test]
fn peers_are_found_by_address_alone() {
    let d = Directory::new(&provision(), None);
    let carrier = d.trunk_by_name("carrier").expect("trunk");
    assert_eq!(d.trunk_by_peer("192.0.2.1".parse().expect("address")), Some(carrier.id));
    assert_eq!(d.trunk_by_peer("::ffff:192.0.2.1".parse().expect("address")), Some(carrier.id));
    assert_eq!(d.trunk_by_peer("2001:db8::1".parse().expect("address")), Some(carrier.id));
    assert_eq!(d.trunk_by_peer("192.0.2.2".parse().expect("address")), None);
    assert_eq!(carrier.peers[1].host_port(), "[2001:db8::1]:5070");
    assert_eq!(carrier.peers[1].transport, Some(Transport::Tcp));
}

#[test]
fn the_longest_prefix_wins() {
    let d = Directory::new(&provision(), None);
    let carrier = d.trunk_by_name("carrier").expect("trunk").id;
    let circuits = d.trunk_by_name("circuits").expect("trunk").id;
    assert_eq!(d.route("0044123"), [carrier]);
    assert_eq!(d.route("0049"), [carrier, circuits]);
    assert_eq!(d.route("9"), [circuits]);
    assert_eq!(d.route("12"), []);
    assert_eq!(d.route(""), []);
    assert_eq!(d.route("äöü0"), []);
}

#[test]
fn ids_outlive_provisioning_and_are_not_reused() {
    let first = Directory::new(&provision(), None);
    let id_of =
        |d: &Directory, name: &str| d.tenant_by_name("acme").and_then(|t| d.agent_by_name(t.id, name)).map(|a| a.id);
    let mut changed = provision();
    changed.agent[0].range = Some([2, 4]);
    changed.tenant.reverse();
    let second = Directory::new(&changed, Some(&first));
    assert_eq!(id_of(&second, "a1"), None);
    assert_eq!(id_of(&second, "a2"), id_of(&first, "a2"));
    assert_eq!(id_of(&second, "a3"), id_of(&first, "a3"));
    let fresh = id_of(&second, "a4").expect("agent");
    assert!(first.agent(fresh).is_none(), "a4 has an id of its own");
    for (old, new) in [("acme", "acme"), ("blue", "blue")] {
        assert_eq!(first.tenant_by_name(old).map(|t| t.id), second.tenant_by_name(new).map(|t| t.id));
    }
    let third = Directory::new(&provision(), Some(&second));
    let back = id_of(&third, "a1").expect("agent");
    assert!(first.agents().all(|a| a.id != back) && second.agents().all(|a| a.id != back));
}

#[test]
fn what_does_not_resolve_is_left_out() {
    let mut broken = provision();
    broken.tenant.retain(|t| t.name != "blue");
    broken.trunk.retain(|t| t.name != "circuits");
    let d = Directory::new(&broken, None);
    assert_eq!(d.number("200"), None);
    assert_eq!(d.agents().count(), 3);
    assert_eq!(d.spans().count(), 0);
}
