//! Tests of the resolved view.

use super::*;
use crate::base::{Timestamp, TraitId, TrunkId};
use crate::core::contact::{Attributes, Kind, Level, Mode, Modifier, ScheduleError, Step, Value};

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
    let sales = d.trait_id(acme.id, "sales", None).expect("a skill");
    assert!(a1.traits.contains(&(sales, Level::new(0.5))), "{:?}", a1.traits);
    assert_eq!(a1.site.and_then(|id| d.site(id)).map(|s| s.name.as_str()), Some("berlin"));

    let queue = d.queue_by_name(blue.id, "sales").expect("queue");
    assert_eq!(queue.treatment, Treatment::Ringback);
    assert_ne!(queue.wants[0].what, sales, "skills are a tenant's own");
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
    let route = |dialled| -> Vec<TrunkId> {
        foremost(d.leads(dialled, Timestamp(0)), false).into_iter().map(|lead| lead.trunk).collect()
    };
    assert_eq!(route("0044123"), [carrier]);
    assert_eq!(route("0049"), [carrier, circuits]);
    assert_eq!(route("9"), [circuits]);
    assert_eq!(route("12"), []);
    assert_eq!(route(""), []);
    assert_eq!(route("äöü0"), []);
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

/// [`TEXT`]'s `acme` with attributes, and queues that ask for them.
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
values = ["en", "es", "fr"]
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
name = "ana"
contact = "sip:ana@127.0.0.3"
skills = { billing = 0.5 }
backup = { billing = 20 }
attributes = { language = ["en", "es"], calm = 0.8 }
modifier = [{ attribute = "agent", value = "bob", mode = "forbidden" }]
slots = { chat = 1, email = 2 }
[[agent]]
tenant = "acme"
name = "bob"
contact = "sip:bob@127.0.0.3"
attributes = { language = "en", topics = "tax" }
[[queue]]
tenant = "acme"
name = "main"
skills = { billing = 0 }
target_s = 30
targets_s = { chat = 60 }
importance = 2.0
modifier = [
    { attribute = "language", mode = "required", credit_s = 7 },
    { attribute = "calm", mode = "preferred", level = 0.4, importance = 10, credit_s = 5 },
    { attribute = "agent", value = "bob", mode = "forbidden" },
]
escalate_to = "late"
escalate_after_s = 90
callback = true
[[queue]]
tenant = "acme"
name = "late"
"#;

fn routing() -> (Directory, TenantId, QueueId) {
    let d = Directory::new(&toml::from_str(ROUTING).expect("well-formed"), None);
    let tenant = d.tenant_by_name("acme").expect("tenant").id;
    let queue = d.queue_by_name(tenant, "main").expect("queue").id;
    (d, tenant, queue)
}

fn having(pairs: &[(&str, Value)]) -> Attributes {
    pairs.iter().map(|(name, value)| ((*name).to_string(), value.clone())).collect()
}

fn symbol(text: &str) -> Value {
    Value::Symbol(text.into())
}

fn modifier(attribute: &str, value: Option<&str>, mode: Mode) -> Modifier {
    Modifier {
        attribute: attribute.into(),
        value: value.map(str::to_string),
        mode,
        level: None,
        importance: None,
        schedule: Vec::new(),
        credit_s: 0,
    }
}

#[test]
fn agents_have_traits_minds_and_slots() {
    let (d, tenant, _) = routing();
    let id = |attribute, symbol| d.trait_id(tenant, attribute, symbol).expect("a trait");
    let ana = d.agent_by_name(tenant, "ana").expect("agent");
    let level = |id| ana.traits.iter().find(|(own, _)| *own == id).map(|(_, level)| *level);
    assert_eq!(level(id("billing", None)), Some(Level::new(0.5)));
    assert_eq!(level(id("calm", None)), Some(Level::new(0.8)));
    assert_eq!(level(id("language", Some("es"))), Some(Level::FULL));
    assert_eq!(level(d.agent_trait(ana.id)), Some(Level::FULL));
    assert_eq!(level(id("agent", Some("bob"))), None);
    assert_eq!(ana.traits.len(), 5);
    assert!(ana.traits.is_sorted());
    let backup = ana.minds.iter().find(|mind| mind.what == id("billing", None)).expect("a mind");
    assert_eq!((backup.mode, backup.importance, backup.cost), (Mode::Preferred, 0, 20));
    let bob = ana.minds.iter().find(|mind| mind.what == id("agent", Some("bob"))).expect("a later agent is known");
    assert_eq!(bob.mode, Mode::Forbidden);
    assert_eq!(Medium::ALL.map(|medium| ana.slots.of(medium)), [1, 1, 1, 2, 1, 1]);

    assert_eq!(d.trait_name(id("language", Some("es"))), Some(("language", Some("es"))));
    assert_eq!(d.trait_name(id("billing", None)), Some(("billing", None)));
    assert_eq!(d.trait_name(d.agent_trait(ana.id)), Some(("agent", Some("ana"))));
    assert_eq!(d.trait_name(TraitId::NOBODYS), None);
    assert_eq!(d.agent_trait(AgentId(77)), TraitId::NOBODYS);
    assert!(d.trait_id(tenant, "language", Some("fr")).is_some(), "one that is listed");
    assert_eq!(d.trait_id(tenant, "topics", Some("law")), None, "one that nothing names");
    assert_eq!(d.trait_id(tenant, "language", None), None);
}

#[test]
fn queues_have_wants_targets_and_rules() {
    let (d, tenant, queue) = routing();
    let id = |attribute, symbol| d.trait_id(tenant, attribute, symbol).expect("a trait");
    let queue = d.queue(queue).expect("queue");
    let wants: Vec<_> = queue.wants.iter().map(|want| (want.what, want.mode, want.schedule.steps()[0])).collect();
    let step = |level, importance| Step { after_s: 0, level, importance };
    assert_eq!(
        wants,
        [
            (id("billing", None), Mode::Required, step(Level::LEAST, 0)),
            (id("billing", None), Mode::Preferred, step(Level::FULL, 100)),
            (id("calm", None), Mode::Preferred, step(Level::new(0.4), 10)),
            (id("agent", Some("bob")), Mode::Forbidden, step(Level::FULL, 100)),
        ]
    );
    assert_eq!((queue.own.len(), queue.own[0].attribute.as_str()), (1, "language"));
    assert_eq!((queue.credit, queue.importance), (seconds(5), 2.0));
    assert_eq!(queue.targets, [30, 30, 60, 3_600, 3_600, 3_600].map(seconds));
    let late = d.queue_by_name(tenant, "late").expect("queue");
    assert_eq!(queue.escalation, Some(Escalation { to: late.id, after: Some(seconds(90)) }));
    assert_eq!(queue.callback, Some(Callback { tries: 3, every: seconds(300) }));
    use Unservable::{Escalate, Hold, Overflow};
    assert_eq!(queue.unservable, [Escalate; 6]);
    assert_eq!(late.unservable, [Overflow, Overflow, Overflow, Hold, Hold, Hold]);
}

#[test]
fn trait_ids_outlive_provisioning() {
    let (d, tenant, _) = routing();
    let mut changed: Provision = toml::from_str(ROUTING).expect("well-formed");
    changed.attribute.reverse();
    changed.agent.reverse();
    changed.attribute.iter_mut().for_each(|attribute| attribute.values.retain(|value| value != "fr"));
    let second = Directory::new(&changed, Some(&d));
    let traits = [("billing", None), ("language", Some("es")), ("topics", Some("tax")), ("agent", Some("ana"))];
    for (attribute, symbol) in traits {
        let id = d.trait_id(tenant, attribute, symbol);
        assert!(id.is_some() && id == second.trait_id(tenant, attribute, symbol), "{attribute}");
    }
    let french = d.trait_id(tenant, "language", Some("fr")).expect("a trait");
    assert_eq!((second.trait_id(tenant, "language", Some("fr")), second.trait_name(french)), (None, None));
    let third = Directory::new(&toml::from_str(ROUTING).expect("well-formed"), Some(&second));
    assert_ne!(third.trait_id(tenant, "language", Some("fr")), Some(french), "an id is not given out twice");
}

#[test]
fn a_contact_is_resolved() {
    let (d, tenant, queue) = routing();
    let id = |attribute, symbol| d.trait_id(tenant, attribute, symbol).expect("a trait");
    let plain = d.resolve(queue, &Attributes::new(), &[]).expect("plain");
    assert_eq!((plain.wants, plain.traits, plain.credit), (vec![], vec![id("billing", None)], seconds(5)));

    let set = Value::Set(["tax", "law"].map(String::from).into());
    let attributes = having(&[("language", symbol("es")), ("topics", set), ("calm", Value::Level(Level::new(0.1)))]);
    let own = modifier("topics", None, Mode::Preferred);
    let named = Modifier { credit_s: 11, ..modifier("language", Some("en"), Mode::Forbidden) };
    let resolved = d.resolve(queue, &attributes, &[own, named.clone(), named]).expect("good");
    let added: Vec<_> = resolved.wants.iter().map(|want| (want.what, want.mode)).collect();
    assert_eq!(
        added,
        [
            (id("language", Some("es")), Mode::Required),
            (id("topics", Some("tax")), Mode::Preferred),
            (id("language", Some("en")), Mode::Forbidden),
        ],
        "each once, and nobody's law is no preference"
    );
    let mut traits =
        [id("language", Some("es")), id("topics", Some("tax")), id("calm", None), id("billing", None)].to_vec();
    traits.sort();
    assert_eq!((resolved.traits, resolved.credit), (traits, seconds(5 + 7 + 11 + 11)));

    let absent = d.resolve(queue, &Attributes::new(), &[modifier("topics", None, Mode::Required)]).expect("good");
    assert_eq!(absent.wants, [], "what the contact has not does not count");
    let nobodys = modifier("topics", Some("law"), Mode::Required);
    let nobodys = d.resolve(queue, &Attributes::new(), &[nobodys]).expect("good");
    assert_eq!(nobodys.wants[0].what, TraitId::NOBODYS);
    assert!(!nobodys.traits.contains(&TraitId::NOBODYS));
}

#[test]
fn a_contact_that_makes_no_sense_is_refused() {
    let (d, _, queue) = routing();
    let why = |attributes: &[(&str, Value)], modifiers: &[Modifier]| {
        let error = d.resolve(queue, &having(attributes), modifiers).expect_err("refused");
        assert!(!error.to_string().is_empty());
        (error.attribute, error.why)
    };
    let refused = |attribute: &str, why| (attribute.to_string(), why);
    assert_eq!(why(&[("colour", symbol("red"))], &[]), refused("colour", ResolveFault::Unknown));
    assert_eq!(why(&[("language", symbol("de"))], &[]), refused("language", ResolveFault::Symbol("de".into())));
    assert_eq!(why(&[("agent", symbol("cid"))], &[]), refused("agent", ResolveFault::Symbol("cid".into())));
    assert_eq!(why(&[("calm", symbol("very"))], &[]), refused("calm", ResolveFault::Kind(Kind::Level)));
    let level = Value::Level(Level::FULL);
    assert_eq!(why(&[("topics", level.clone())], &[]), refused("topics", ResolveFault::Kind(Kind::Set)));
    let set = Value::Set(["en".to_string()].into());
    assert_eq!(why(&[("language", set)], &[]), refused("language", ResolveFault::Kind(Kind::Symbol)));
    let many = Value::Set((0..65).map(|n| n.to_string()).collect());
    assert_eq!(why(&[("topics", many)], &[]), refused("topics", ResolveFault::Many(64)));
    let named = |attribute, value| [modifier(attribute, Some(value), Mode::Required)];
    assert_eq!(why(&[], &named("colour", "red")), refused("colour", ResolveFault::Unknown));
    assert_eq!(why(&[], &named("language", "de")), refused("language", ResolveFault::Symbol("de".into())));
    assert_eq!(why(&[], &named("billing", "x")), refused("billing", ResolveFault::Level));
    let step = |after_s, importance| Step { after_s, importance, ..Step::default() };
    let disorder = Modifier { schedule: vec![step(5, 1), step(4, 1)], ..modifier("calm", None, Mode::Required) };
    assert_eq!(why(&[], &[disorder]), refused("calm", ResolveFault::Schedule(ScheduleError::Order)));
    let heavy = Modifier { importance: Some(101), ..modifier("calm", None, Mode::Required) };
    assert_eq!(why(&[], &[heavy]), refused("calm", ResolveFault::Schedule(ScheduleError::Importance)));
    let credit = Modifier { credit_s: 86_401, ..modifier("calm", None, Mode::Required) };
    assert_eq!(why(&[], &[credit]), refused("calm", ResolveFault::Credit));
    let plain = modifier("calm", None, Mode::Required);
    assert_eq!(why(&[], &vec![plain; 33]), refused("", ResolveFault::Many(33 - 1)));
    let gone = d.resolve(QueueId(99), &Attributes::new(), &[]).map_err(|error| error.why);
    assert_eq!(gone, Err(ResolveFault::Queue));
}

#[test]
fn queues_that_nobody_could_ever_serve_are_told() {
    let unservable = |change: &dyn Fn(&mut Provision)| -> Vec<String> {
        let mut provision: Provision = toml::from_str(ROUTING).expect("well-formed");
        change(&mut provision);
        let d = Directory::new(&provision, None);
        d.unservable_queues().into_iter().filter_map(|id| d.queue(id)).map(|queue| queue.name.clone()).collect()
    };
    assert_eq!(unservable(&|_| {}), [""; 0]);
    assert_eq!(unservable(&|p| p.agent[0].skills.clear()), ["main"]);
    assert_eq!(unservable(&|p| p.agent.clear()), ["main", "late"]);
    let strict = |schedule: Vec<Step>| Modifier { schedule, ..modifier("language", Some("fr"), Mode::Required) };
    assert_eq!(unservable(&|p| p.queue[1].modifier = vec![strict(vec![])]), ["late"]);
    let relaxes = vec![Step { after_s: 9, level: Level::NONE, importance: 0 }];
    let relaxed = Modifier { level: Some(Level::FULL), ..strict(relaxes) };
    assert_eq!(unservable(&|p| p.queue[1].modifier = vec![relaxed.clone()]), [""; 0], "in the end it asks nothing");
    let barred = modifier("language", Some("en"), Mode::Forbidden);
    assert_eq!(unservable(&|p| p.queue[1].modifier = vec![barred.clone()]), ["late"]);
    let later = Modifier { schedule: vec![Step { after_s: 5, ..Step::default() }], ..barred.clone() };
    assert_eq!(unservable(&|p| p.queue[1].modifier = vec![later.clone()]), [""; 0], "at first it bars nobody");
    let step = |after_s, level, importance| Step { after_s, level, importance };
    let forbids = |schedule| vec![Modifier { schedule, ..barred.clone() }];
    let lifted = forbids(vec![step(0, Level::FULL, 100), step(9, Level::FULL, 0)]);
    assert_eq!(unservable(&|p| p.queue[1].modifier = lifted.clone()), [""; 0], "without weight it bars nobody");
    let at_all = forbids(vec![step(0, Level::NONE, 100)]);
    assert_eq!(unservable(&|p| p.queue[1].modifier = at_all.clone()), ["late"], "at level 0 it bars whoever has it");
    let refuses = provision::AgentModifier {
        attribute: "billing".into(),
        value: None,
        mode: Mode::Forbidden,
        importance: 0,
        cost: 0,
    };
    assert_eq!(unservable(&|p| p.agent[0].modifier = vec![refuses.clone()]), ["main"], "who could does not want to");
    let needs_another = provision::AgentModifier { mode: Mode::Required, ..refuses.clone() };
    assert_eq!(unservable(&|p| p.agent[0].modifier = vec![needs_another.clone()]), [""; 0]);
    let deaf = |p: &mut Provision| p.agent[0].slots = Medium::ALL.map(|medium| (medium, 0)).into();
    assert_eq!(unservable(&deaf), ["main"], "who could takes no medium");
}

#[test]
fn reasons_and_dispositions_are_free_unless_listed() {
    let mut provision: Provision = toml::from_str(ROUTING).expect("well-formed");
    let tenant =
        |provision: &Provision| Directory::new(provision, None).tenant_by_name("acme").cloned().expect("tenant");
    assert!(tenant(&provision).takes_reason("anything"));
    provision.tenant[0].not_ready_reasons = vec!["lunch".into()];
    provision.tenant[0].dispositions = vec!["sold".into()];
    let listed = tenant(&provision);
    assert!(listed.takes_reason("lunch") && !listed.takes_reason("golf") && !listed.takes_reason(""));
}
