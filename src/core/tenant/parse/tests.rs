//! Tests of reading a provisioning file: each kind of fault at its place.

use super::*;
use crate::base::Medium;
use crate::core::contact::{self, Kind, Level, Mode, Modifier, Policy, Routing, Step, Weights};
use crate::core::tenant::provision::{
    Access, Agent, AgentModifier, Attribute, CallerId, Card, Contract, Dns, Hunt, Media, Node, Number, Peer, Queue,
    Quota, Refusal, Role, Serves, Sharing, SharingMode, Shown, Sip, Site, Skill, Span, Sticky, Tariff, Tenant, Trunk,
    Unservable, User,
};
use crate::core::tls::{ClientTls, ServerTls};

/// The faults of a text, printed.
fn faults(text: &str) -> Vec<String> {
    match parse(text, "p.toml") {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// A text that has nothing wrong, to be bent.
const GOOD: &str = r#"[sip]
listen = ["udp:127.0.0.1:5060"]
[[tenant]]
name = "acme"
[[skill]]
tenant = "acme"
name = "sales"
[[agent]]
tenant = "acme"
name = "ana"
contact = "sip:ana@127.0.0.3:5080"
skills = { sales = 0.5 }
[[queue]]
tenant = "acme"
name = "sales"
skills = { sales = 0 }
[[flow]]
tenant = "acme"
name = "main"
text = '''
[flow]
start = "wait"
[step.wait]
do = "enqueue"
queue = "sales"
'''
[[number]]
number = "200"
tenant = "acme"
flow = "main"
[[card]]
name = "card0"
driver = "sim-t1"
spans = 2
[[trunk]]
name = "circuits"
kind = "tdm"
[[span]]
name = "line1"
card = "card0"
signalling = "em-wink"
trunk = "circuits"
[[trunk]]
name = "carrier"
kind = "sip"
prefix = ["0"]
peer = [{ address = "192.0.2.1" }]
"#;

/// [`GOOD`] with one text in place of another, and its faults.
fn bent(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    faults(&GOOD.replacen(from, to, 1))
}

#[test]
fn a_good_file_is_read() {
    assert_eq!(faults(GOOD), [""; 0]);
    let provision = parse(GOOD, "p.toml").expect("good");
    assert_eq!(provision.queue[0].skills.get("sales"), Some(&0.0));
    assert_eq!(provision.agent[0].ring_s, 20, "defaults are the contract's");
    assert_eq!(parse("", "p.toml"), Ok(Provision::default()));
}

/// Other programs rely on these names and numbers.
#[test]
fn the_load_tests_example_is_good() {
    let bench = parse(include_str!("../../../../examples/bench.toml"), "bench.toml").expect("good");
    let mut agents: Vec<String> = bench.agent.iter().map(|agent| agent.name.clone()).collect();
    let mut expected: Vec<String> = (0..500).map(|n| format!("agent{n}")).collect();
    agents.sort();
    expected.sort();
    assert_eq!(agents, expected);
    assert!(bench.agent.iter().all(|a| a.signed_in && a.contact == Some(format!("sip:{}@127.0.0.3:5080", a.name))));
    let mut numbers: Vec<&str> = bench.number.iter().map(|number| number.number.as_str()).collect();
    numbers.sort();
    assert_eq!(numbers, ["100", "200", "201", "202", "210", "300", "400"]);
    assert_eq!(bench.trunk[0].peer[0].address, "127.0.0.2");
    assert!(!bench.trunk[0].authenticate);
}

#[test]
fn ranges_are_expanded() {
    let text = "[[tenant]]\nname = 'a'\n[[agent]]\ntenant = 'a'\nname = 'x{n}'\nrange = [1, 3]\ncontact = 'sip:x{n}@h'";
    let provision = parse(text, "p.toml").expect("good");
    assert_eq!(provision.agent.len(), 3);
    assert_eq!(provision.agent[2].contact.as_deref(), Some("sip:x3@h"));
}

#[test]
fn syntax_faults_come_alone_and_all_of_them() {
    let found = faults("[[tenant]]\nname = \n[sip]\ncalls_max == 3\nnonsense = 1\n");
    assert!(found.len() >= 2, "{found:#?}");
    assert!(found[0].starts_with("p.toml:2:8: ") && found[0].contains("; expected "), "{found:#?}");
    assert!(found[1].starts_with("p.toml:4:"), "{found:#?}");
    assert!(!found.iter().any(|fault| fault.contains("nonsense")), "{found:#?}");
}

#[test]
fn faults_of_form_have_their_place() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "[[queue]]",
            "[[qeue]]",
            &["p.toml:13:3: the file has an unknown key `qeue`; expected `queue` (did you mean that?)"],
        ),
        (
            "contact =",
            "contcat =",
            &["p.toml:11:1: `agent` has an unknown key `contcat`; expected `contact` (did you mean that?)"],
        ),
        (
            "spans = 2",
            "zzz = 2",
            &["p.toml:34:1: `card` has an unknown key `zzz`; expected one of name, driver, spans"],
        ),
        ("spans = 2", "spans = 256", &["p.toml:34:9: `spans` is 256; expected an integer of 0 to 255"]),
        ("spans = 2", "spans = -1", &["p.toml:34:9: `spans` is -1; expected an integer of 0 to 255"]),
        ("spans = 2", "spans = 'two'", &["p.toml:34:9: `spans` is a string; expected an integer of 0 to 255"]),
        (
            "listen = [\"udp:127.0.0.1:5060\"]",
            "listen = [5060]",
            &["p.toml:2:11: `listen` is an integer; expected a string"],
        ),
        (
            "listen = [\"udp:127.0.0.1:5060\"]",
            "listen = 5060",
            &["p.toml:2:10: `listen` is an integer; expected an array of strings"],
        ),
        (
            "{ sales = 0.5 }",
            "{ sales = 'high' }",
            &["p.toml:12:20: the level of `sales` is a string; expected a number"],
        ),
        (
            "{ sales = 0.5 }",
            "0.5",
            &["p.toml:12:10: `skills` is a float; expected a table of skills and levels, as { sales = 0.5 }"],
        ),
        ("name = \"ana\"", "", &["p.toml:8:1: `agent` has no `name`; expected name = a string"]),
        ("name = \"ana\"", "name = 7", &["p.toml:10:8: `name` is an integer; expected a string"]),
        (
            "name = \"ana\"",
            "name = \"ana\"\nsigned_in = 1",
            &["p.toml:11:13: `signed_in` is an integer; expected true or false"],
        ),
        (
            "name = \"ana\"",
            "name = \"ana\"\nrange = [1]",
            &["p.toml:11:9: `range` is an array; expected two integers, as [0, 499]"],
        ),
        (
            "address = \"192.0.2.1\"",
            "adress = \"192.0.2.1\"",
            &[
                "p.toml:47:9: `peer` has no `address`; expected address = a string",
                "p.toml:47:11: `peer` has an unknown key `adress`; expected `address` (did you mean that?)",
            ],
        ),
        (
            "peer = [{ address = \"192.0.2.1\" }]",
            "peer = [7]",
            &["p.toml:47:9: `peer` is an integer; expected a table"],
        ),
        ("[[card]]", "[card]", &["p.toml:31:1: `card` is a table; expected an array of tables"]),
        ("[sip]", "[[sip]]", &["p.toml:1:1: `sip` is an array; expected a table"]),
    ];
    for (from, to, expected) in cases {
        let found = bent(from, to);
        // A fault of form may bring one of sense with it: a table that is misspelt is missing, too.
        assert!(expected.iter().all(|fault| found.iter().any(|f| f == fault)), "{to}: {found:#?}");
    }
}

#[test]
fn faults_of_sense_have_their_place() {
    let cases = [
        (
            "\"udp:127.0.0.1:5060\"",
            "\"127.0.0.1:5060\"",
            "p.toml:2:11: `listen` is \"127.0.0.1:5060\"; expected udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT",
        ),
        ("{ sales = 0.5 }", "{ sales = 1.5 }", "p.toml:12:20: the level of \"sales\" is 1.5; expected over 0, up to 1"),
        (
            "{ sales = 0.5 }",
            "{ salse = 0.5 }",
            "p.toml:12:20: skill \"salse\" is not there in tenant \"acme\"; expected \"sales\" (did you mean that?)",
        ),
        (
            "flow = \"main\"",
            "flow = \"mian\"",
            "p.toml:30:8: flow \"mian\" is not there in tenant \"acme\"; expected \"main\" (did you mean that?)",
        ),
        (
            "driver = \"sim-t1\"",
            "driver = \"sim-t3\"",
            "p.toml:33:10: `driver` is \"sim-t3\"; expected \"sim-t1\" (did you mean that?)",
        ),
        (
            "card = \"card0\"",
            "card = \"card9\"",
            "p.toml:40:8: card \"card9\" is not there; expected \"card0\" (did you mean that?)",
        ),
        // What the file leaves to its default is reported where the entry begins.
        (
            "contact = \"sip:ana@127.0.0.3:5080\"",
            "",
            "p.toml:8:1: the agent has none of `contact`, `user`, `extension` and `phone`; expected how to reach the phone",
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(bent(from, to), [expected], "{to}");
    }
}

#[test]
fn faults_inside_a_flow_have_the_place_in_the_file() {
    assert_eq!(
        bent("queue = \"sales\"", "queue = \"slaes\""),
        ["p.toml:25:9: queue \"slaes\" is not there in tenant \"acme\"; expected \"sales\" (did you mean that?)"]
    );
    let found = bent("do = \"enqueue\"", "do = \"enqeue\"");
    assert!(found[0].starts_with("p.toml:24:6: "), "{found:#?}");
    // A text that begins on the line of its quotes.
    let found = bent("text = '''\n[flow]", "text = '''[flo]");
    assert!(found.iter().any(|fault| fault.starts_with("p.toml:20:12: ")), "{found:#?}");
    let found = faults("[[tenant]]\nname = 'a'\n[[flow]]\ntenant = 'a'\nname = 'f'\ntext = 'x = 1'");
    assert!(found[0].starts_with("p.toml:6:9: "), "{found:#?}");
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_text() {
    let mut text = GOOD.replace("calls", "x").replace("driver = \"sim-t1\"", "driver = \"x\"");
    text = text.replace("number = \"200\"", "number = \"\"").replace("name = \"carrier\"", "name = \"Carrier\"");
    text = text.replace("[[agent]]", "[[agent]]\nrnge = 1");
    let lines: Vec<u32> = parse(&text, "p.toml").expect_err("bad").iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [9, 29, 34, 45]);
}

#[test]
fn faults_are_bounded() {
    let text = "[[site]]\nname = 'X'\n".repeat(3_000);
    let faults = parse(&text, "p.toml").expect_err("bad");
    assert_eq!(faults.len(), FAULTS_MAX + 1);
    assert_eq!(faults[FAULTS_MAX].what, "4999 more faults", "each name is bad, and all but one are there twice");
}

#[test]
fn flow_files_are_read_and_checked() {
    let text = "[[tenant]]\nname = 'a'\n[[flow]]\ntenant = 'a'\nname = 'f'\nfile = 'flows/f.toml'\n";
    let unread = parse(text, "p.toml").expect("left for later");
    assert_eq!(unread.flow[0].file.as_deref(), Some("flows/f.toml"));
    let missing = parse_with(text, "p.toml", &|_| Err(LoadError::Missing)).expect_err("bad");
    assert_eq!(
        missing[0].to_string(),
        "p.toml:6:8: \"flows/f.toml\" is not there; expected the path of a flow, relative to this file"
    );
    assert_eq!(missing.len(), 1);
    let load = |text: &str| {
        let text = text.to_string();
        move |path: &str| Ok(Loaded { name: format!("dir/{path}"), text: text.clone() })
    };
    let bad = parse_with(text, "p.toml", &load("[flow]\nstart = 5\n")).expect_err("bad");
    assert!(bad.iter().any(|fault| fault.to_string().starts_with("dir/flows/f.toml:2:9: ")), "{bad:#?}");
    let good = "[flow]\nstart = 'end'\n[step.end]\ndo = 'hangup'\n";
    let provision = parse_with(text, "p.toml", &load(good)).expect("good");
    assert_eq!((provision.flow[0].text.as_str(), &provision.flow[0].file), (good, &None));
}

/// The fields that are read must be those of the contract: a field added there and not here could not be provisioned.
#[test]
fn the_fields_are_those_of_the_contract() {
    let text = || Some("x".to_string());
    let secret = || Some("x".to_string().into());
    let levels = || [("x".to_string(), 1.0)].into();
    let hours = || [("x".to_string(), "x".to_string())].into();
    let peer = Peer { address: "x".into(), port: Some(1), transport: text(), priority: 0, weight: 0, options_s: 0 };
    let server =
        ServerTls { certificate: "x".into(), key: "x".into(), client_ca: text(), require_client_certificate: true };
    let client = ClientTls {
        ca: text(),
        certificate: text(),
        key: text(),
        server_name: text(),
        verify: "x".into(),
        identify: true,
    };
    let full = Provision {
        sip: Sip { tls: Some(server), dns: Dns { servers: vec!["x".into()] }, ..Sip::default() },
        media: Media { address6: text(), ..Media::default() },
        admission: Sharing::default(),
        node: Node { name: "x".into(), roles: vec!["x".into()] },
        access: Access { socket: text() },
        card: vec![Card { name: "x".into(), driver: "x".into(), spans: 1 }],
        span: vec![Span { name: "x".into(), card: "x".into(), span: 1, signalling: "x".into(), trunk: "x".into() }],
        tenant: vec![Tenant {
            name: "x".into(),
            country: text(),
            timezone: "x".into(),
            language: "x".into(),
            routing: Routing { policy: Policy::Fifo, weights: Weights::default() },
            dispositions: vec!["x".into()],
            not_ready_reasons: vec!["x".into()],
            caller_id: Shown::Main,
            caller_number: text(),
            contract: Some(Contract {
                trunks: vec!["x".into()],
                ratio: Decimal::whole(1),
                after_hours: 1,
                worth_within: 1.0,
                worth_beyond: 1.0,
                refused: Refusal::Busy,
                refused_flow: text(),
                refused_to: text(),
            }),
            quota: Quota {
                agents: Some(1),
                queues: Some(1),
                flows: Some(1),
                numbers: Some(1),
                users: Some(1),
                works: Some(1),
            },
        }],
        user: vec![User { name: "x".into(), role: Role::Agent, tenant: text(), agent: text(), account: "x".into() }],
        site: vec![Site {
            name: "x".into(),
            timezone: "x".into(),
            trunks: vec!["x".into()],
            extension_strip: 1,
            extension_prefix: "x".into(),
            probe_s: 1,
            chat_grace_s: 1,
            work_grace_s: 1,
        }],
        skill: vec![Skill { tenant: "x".into(), name: "x".into() }],
        attribute: vec![Attribute { tenant: "x".into(), name: "x".into(), kind: Kind::Set, values: vec!["x".into()] }],
        agent: vec![Agent {
            tenant: "x".into(),
            name: "x".into(),
            range: Some([1, 2]),
            serves: vec![Serves { tenant: "x".into(), skills: [("x".into(), 1.0)].into() }],
            site: text(),
            extension: text(),
            phone: text(),
            contact: text(),
            user: text(),
            password: secret(),
            code: text(),
            pin: secret(),
            skills: levels(),
            backup: [("x".to_string(), 1)].into(),
            attributes: [("x".to_string(), contact::Value::Symbol("x".into()))].into(),
            modifier: vec![AgentModifier {
                attribute: "x".into(),
                value: text(),
                mode: Mode::Required,
                importance: 1,
                cost: 1,
            }],
            slots: Medium::ALL.map(|medium| (medium, 1)).into(),
            signed_in: true,
            ring_s: 1,
            wrap_up_s: 1,
            srtp: "x".into(),
            srtp_keys: "x".into(),
        }],
        queue: vec![Queue {
            tenant: "x".into(),
            name: "x".into(),
            skills: levels(),
            modifier: vec![Modifier {
                attribute: "x".into(),
                value: text(),
                mode: Mode::Required,
                level: Some(Level::NONE),
                importance: Some(1),
                schedule: vec![Step { after_s: 1, level: Level::NONE, importance: 1 }],
                credit_s: 1,
            }],
            importance: 2.0,
            sticky: Some(Sticky { importance: 1, fade_days: 1 }),
            treatment: "x".into(),
            music: text(),
            announce_every_s: 1,
            target_s: 1,
            targets_s: Medium::ALL.map(|medium| (medium, 1)).into(),
            overflow_after_s: 1,
            waiting_max: 1,
            escalate_after_s: 1,
            escalate_to: text(),
            unservable: Some(Unservable::Hold),
            callback: true,
            callback_tries: 1,
            callback_every_s: 1,
            record: true,
        }],
        flow: vec![Flow { tenant: "x".into(), name: "x".into(), text: "x".into(), file: None }],
        number: vec![Number { number: "x".into(), tenant: "x".into(), flow: "x".into() }],
        trunk: vec![Trunk {
            name: "x".into(),
            kind: "x".into(),
            peer: vec![peer],
            user: text(),
            password: secret(),
            register: true,
            authenticate: true,
            trusted: true,
            node: text(),
            prefix: vec!["x".into()],
            strip: 1,
            cost: Decimal::whole(1),
            tariff: vec![Tariff { hours: hours(), cost: Decimal::whole(1) }],
            hours: hours(),
            timezone: "x".into(),
            caller_id: Some(CallerId::Fixed),
            caller_number: text(),
            hunt: Hunt::Descending,
            calls_max: 1,
            reserved_out: 1,
            permitted: 1,
            out_of_service: true,
            emergency_preempts: false,
            tls: Some(client),
            outbound_proxy: text(),
            failover_s: 1,
            srtp: "x".into(),
            srtp_keys: "x".into(),
        }],
    };
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let full = serde_json::to_value(&full).expect("serialises");
    fn hold(path: &str, value: &Value, fields: &[Field]) {
        let mut theirs: Vec<&str> = value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        theirs.sort_unstable();
        // `file` is read and never written.
        let mut ours: Vec<&str> = fields.iter().map(|field| field.name).filter(|name| *name != "file").collect();
        ours.sort_unstable();
        assert_eq!(theirs, ours, "{path}");
        for field in fields {
            let (path, value) = (format!("{path}.{}", field.name), &value[field.name]);
            match field.form {
                Form::Tables(fields) => hold(&path, &value[0], fields),
                Form::Table(fields) => hold(&path, value, fields),
                Form::Word(words) if !value.is_null() => {
                    assert!(words.iter().any(|word| value == word), "{path}");
                }
                _ => {}
            }
        }
    }
    hold("sip", &full["sip"], SIP);
    hold("media", &full["media"], MEDIA);
    hold("admission", &full["admission"], ADMISSION);
    hold("node", &full["node"], NODE);
    hold("access", &full["access"], ACCESS);
    for (kind, fields) in ENTRIES {
        hold(kind, &full[*kind][0], fields);
    }
    assert_eq!(object(&full).len(), ENTRIES.len() + 5);
}

#[test]
fn faults_of_routing_have_their_place() {
    let cases: &[(&str, &str)] = &[
        (
            "[[attribute]]\ntenant = 'acme'\nname = 'x'\nkind = 'symbl'\n",
            "p.toml:4:8: `kind` is \"symbl\"; expected \"symbol\" (did you mean that?)",
        ),
        (
            "[[attribute]]\ntenant = 'acme'\nname = 'x'\n",
            "p.toml:1:1: `attribute` has no `kind`; expected kind = symbol or set or level",
        ),
        (
            "[[attribute]]\ntenant = 'acme'\nname = 'agent'\nkind = 'set'\n",
            "p.toml:3:8: `agent` is an attribute that each tenant has; expected another name",
        ),
        (
            "[[queue]]\ntenant = 'acme'\nname = 'q'\n[[queue.modifier]]\nattribute = 'sales'\nmode = 'wanted'\n",
            "p.toml:6:8: `mode` is \"wanted\"; expected required or preferred or forbidden",
        ),
        (
            "[[queue]]\ntenant = 'acme'\nname = 'q'\n[[queue.modifier]]\nattribute = 'salse'\nmode = 'required'\n",
            "p.toml:5:13: attribute \"salse\" is not there in tenant \"acme\"; expected \"sales\" (did you mean that?)",
        ),
        (
            "[[queue]]\ntenant = 'acme'\nname = 'q'\n[[queue.modifier]]\nattribute = 'sales'\nmode = 'required'\nlevel = 1.5\n",
            "p.toml:7:9: `level` is 1.5; expected a level of 0 to 1",
        ),
        (
            "[[queue]]\ntenant = 'acme'\nname = 'q'\n[[queue.modifier]]\nattribute = 'sales'\nmode = 'required'\n\
             schedule = [{ after_s = 9 }, { after_s = 5 }]\n",
            "p.toml:7:12: the steps of a schedule stand in order of `after_s`, each later than the one before; \
             expected steps in order, none at 0 beside `level` or `importance`",
        ),
        (
            "[[queue]]\ntenant = 'acme'\nname = 'q'\n[[queue.modifier]]\nattribute = 'sales'\nmode = 'required'\nimportance = 101\n",
            "p.toml:7:14: `importance` is 101; expected an integer of 0 to 100",
        ),
        (
            "[[queue]]\ntenant = 'acme'\nname = 'q'\ntargets_s = { emial = 60 }\n",
            "p.toml:4:15: `targets_s` has an unknown key `emial`; expected `email` (did you mean that?)",
        ),
        (
            "[[queue]]\ntenant = 'acme'\nname = 'q'\nescalate_to = 'q'\n",
            "p.toml:4:15: the queue escalates to itself; expected another queue of the tenant",
        ),
        (
            "[[queue]]\ntenant = 'acme'\nname = 'q'\nescalate_to = 'r'\n\
             [[queue]]\ntenant = 'acme'\nname = 'r'\nescalate_to = 'q'\n",
            "p.toml:4:15: a circle: q to r to q; expected an end to it",
        ),
        (
            "[[queue]]\ntenant = 'acme'\nname = 'q'\nunservable = 'drop'\n",
            "p.toml:4:14: `unservable` is \"drop\"; expected overflow or escalate or hold",
        ),
        (
            "[[agent]]\ntenant = 'acme'\nname = 'x'\ncontact = 'sip:x@h'\nslots = { voice = 2 }\n",
            "p.toml:5:19: `voice` is 2; expected an integer of 0 to 1",
        ),
        (
            "[[agent]]\ntenant = 'acme'\nname = 'x'\ncontact = 'sip:x@h'\nslots = { pigeon = 2 }\n",
            "p.toml:5:11: `slots` has an unknown key `pigeon`; expected one of voice, video, chat, email, voicemail, fax",
        ),
        (
            "[[agent]]\ntenant = 'acme'\nname = 'x'\ncontact = 'sip:x@h'\nattributes = { calm = 2 }\n",
            "p.toml:5:23: `calm` is 2; expected a level of 0 to 1",
        ),
        (
            "[[agent]]\ntenant = 'acme'\nname = 'x'\ncontact = 'sip:x@h'\nattributes = { calm = true }\n",
            "p.toml:5:23: `calm` is a boolean; expected a string",
        ),
        (
            "[[agent]]\ntenant = 'acme'\nname = 'x'\ncontact = 'sip:x@h'\nbackup = { sales = 300 }\n",
            "p.toml:5:20: `sales` is 300; expected an integer of 0 to 100",
        ),
        (
            "[[tenant]]\nname = 'new'\n[tenant.routing]\npolicy = 'lifo'\n",
            "p.toml:4:10: `policy` is \"lifo\"; expected \"fifo\" (did you mean that?)",
        ),
        (
            "[[tenant]]\nname = 'new'\nrouting = { weights = { hold_every_s = 0 } }\n",
            "p.toml:3:40: `hold_every_s` is 0; expected 1 to 3600",
        ),
        (
            "[[tenant]]\nname = 'new'\nrouting = { weights = { flexx = 0 } }\n",
            "p.toml:3:25: `weights` has an unknown key `flexx`; expected `flex` (did you mean that?)",
        ),
    ];
    let rest = "[[tenant]]\nname = 'acme'\n[[skill]]\ntenant = 'acme'\nname = 'sales'\n";
    for (text, expected) in cases {
        let found = faults(&format!("{text}{rest}"));
        assert!(found.iter().any(|fault| fault == expected), "{expected}: {found:#?}");
        let extra = found.iter().filter(|fault| *fault != expected).count();
        assert!(extra == 0 || text.contains("calm"), "one fault is told once: {found:#?}");
    }
}

#[test]
fn what_a_file_says_of_routing_is_read() {
    let text = "[[tenant]]\nname = 'acme'\ndispositions = ['sold']\nnot_ready_reasons = ['lunch']\n\
         [tenant.routing]\npolicy = 'best-skill'\nweights = { match = 60, late_slope = 0.25 }\n\
         [[skill]]\ntenant = 'acme'\nname = 'billing'\n\
         [[attribute]]\ntenant = 'acme'\nname = 'language'\nkind = 'symbol'\nvalues = ['en', 'es']\n\
         [[agent]]\ntenant = 'acme'\nname = 'ana'\ncontact = 'sip:a@h'\nslots = { chat = 2 }\nbackup = { billing = 20 }\n\
         attributes = { language = ['en', 'es'] }\n[[agent.modifier]]\nattribute = 'language'\nvalue = 'es'\nmode = 'preferred'\n\
         [[queue]]\ntenant = 'acme'\nname = 'q'\nimportance = 2\ntargets_s = { email = 7200 }\nsticky = { fade_days = 7 }\n\
         [[queue.modifier]]\nattribute = 'language'\nmode = 'required'\nlevel = 0.5\nschedule = [{ after_s = 30, level = 0 }]\n";
    let provision = parse(text, "p.toml").expect("good");
    let (tenant, agent, queue) = (&provision.tenant[0], &provision.agent[0], &provision.queue[0]);
    assert_eq!((tenant.routing.policy, tenant.routing.weights.fit), (Policy::BestSkill, 60.0));
    assert_eq!(tenant.routing.weights, Weights { fit: 60.0, late_slope: 0.25, ..Weights::default() });
    assert_eq!(agent.attributes["language"].symbols().collect::<Vec<_>>(), ["en", "es"]);
    assert_eq!((agent.slots[&Medium::Chat], agent.backup["billing"], agent.modifier[0].importance), (2, 20, 100));
    assert_eq!((queue.importance, queue.targets_s[&Medium::Email]), (2.0, 7_200));
    assert_eq!(queue.sticky, Some(Sticky { importance: 40, fade_days: 7 }));
    assert_eq!(queue.modifier[0].schedule().map(|schedule| schedule.steps().len()), Ok(2));
    let again = crate::core::tenant::export(&provision);
    assert_eq!(parse(&again, "export.toml").as_ref(), Ok(&provision), "{again}");
}

#[test]
fn ratios_are_kept_as_they_are_written() {
    let text = |ratio: &str| {
        format!(
            "[[trunk]]\nname = 't'\nkind = 'sip'\ncalls_max = 9\npeer = [{{ address = '192.0.2.1' }}]\n[[tenant]]\nname = 'acme'\n\
             contract = {{ trunks = ['t'], ratio = {ratio} }}\n"
        )
    };
    for (written, kept) in [("1.15", "1.15"), ("'1.150'", "1.150"), ("2", "2")] {
        let read = parse(&text(written), "p.toml").expect("good");
        assert_eq!(read.tenant[0].contract.as_ref().map(|c| c.ratio.to_string()).as_deref(), Some(kept));
    }
    for (written, told) in [
        ("-1.5", "p.toml:8:38: `ratio` is -1.5; expected a number that is not negative"),
        ("'1,5'", "p.toml:8:38: `ratio` is 1,5; expected a decimal number such as `1.25`"),
        ("true", "p.toml:8:38: `ratio` is a boolean; expected a decimal number such as 1.25"),
        ("1e3", "p.toml:8:38: `ratio` is 1e3; expected a decimal number such as `1.25`"),
    ] {
        assert_eq!(faults(&text(written)), [told]);
    }
}

/// Every word that a file may have is one that the types know, and none is missing.
#[test]
fn words_are_those_of_the_types() {
    fn collect(fields: &[Field], found: &mut Vec<(&'static str, &'static [&'static str])>) {
        for field in fields {
            match field.form {
                Form::Word(words) => found.push((field.name, words)),
                Form::Table(inner) | Form::Tables(inner) => collect(inner, found),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    ENTRIES.iter().for_each(|(_, fields)| collect(fields, &mut found));
    assert!(
        ADMISSION
            .iter()
            .any(|f| matches!(f.form, Form::Word(words) if words == SharingMode::ALL.map(SharingMode::as_str)))
    );
    let kinds = [Kind::Symbol, Kind::Set, Kind::Level].map(Kind::as_str);
    let modes = [Mode::Required, Mode::Preferred, Mode::Forbidden].map(Mode::as_str);
    let (policies, unservable) = (Policy::ALL.map(Policy::as_str), Unservable::ALL.map(Unservable::as_str));
    for (name, words) in &found {
        match *name {
            "kind" => assert_eq!(*words, kinds),
            "mode" => assert_eq!(*words, modes),
            "policy" => assert_eq!(*words, policies),
            "unservable" => assert_eq!(*words, unservable),
            "refused" => assert_eq!(*words, Refusal::ALL.map(Refusal::as_str)),
            "caller_id" if words.contains(&"caller") => assert_eq!(*words, Shown::ALL.map(Shown::as_str)),
            "caller_id" => assert_eq!(*words, CallerId::ALL.map(CallerId::as_str)),
            "role" => assert_eq!(*words, Role::ALL.map(Role::as_str)),
            "hunt" => assert_eq!(*words, Hunt::ALL.map(Hunt::as_str)),
            other => panic!("{other} is not held against a type"),
        }
    }
    assert_eq!(found.len(), 10);
}

/// Bent texts: whatever comes in, there is an answer, and it is not a panic.
#[test]
fn no_text_makes_it_panic() {
    let seed = 0x5eed_0002_u64;
    println!("seed {seed:#x}");
    let mut random = crate::core::tenant::testing::Random::new(seed);
    let pieces =
        ["[", "]", "[[agent]]", "=", "\"", "'''", "{", "}", "1e999", "-", "\n", "agent", "name", "é", "\0", "0x", ","];
    for _ in 0..1_500 {
        let mut text = GOOD.to_string();
        for _ in 0..=random.below(3) {
            let mut at = random.below(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            if random.below(2) == 0 {
                text.insert_str(at, pieces[random.below(pieces.len())]);
            } else {
                let end = (at + random.below(30)).min(text.len());
                if text.is_char_boundary(end) {
                    text.replace_range(at..end, "");
                }
            }
        }
        if let Err(faults) = parse(&text, "p.toml") {
            assert!(!faults.is_empty() && faults.iter().all(|fault| fault.line > 0 && fault.column > 0), "{text}");
        }
    }
}
