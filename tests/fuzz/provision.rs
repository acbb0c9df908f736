//! Provisioning files: read, checked, compared, written, and built into what calls are looked up in.

use std::sync::LazyLock;

use cordboard::base::Timestamp;
use cordboard::core::contact::Attributes;
use cordboard::core::tenant::parse::FAULTS_MAX;
use cordboard::core::tenant::{
    Directory, LoadError, Loaded, Provision, check, diff, export, export_with_secrets, parse, parse_with, warnings,
};

use crate::chance::Chance;
use crate::flow::check_faults;
use crate::{files, fuzz};

/// A small file with an entry of each kind; the demonstration's and the benchmark's.
pub static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut all = vec![SMALL.as_bytes().to_vec(); 12];
    all.extend(files("config", "toml"));
    all.extend(files("examples", "toml"));
    all
});

const SMALL: &str = r#"[sip]
listen = ["udp:127.0.0.1:5060", "tcp:[::1]:5060"]
realm = "example"
calls_max = 10
[media]
address = "127.0.0.1"
port_min = 20000
port_max = 20101
[[card]]
name = "sim"
driver = "sim-t1"
spans = 2
[[span]]
name = "s1"
card = "sim"
span = 1
signalling = "em-wink"
trunk = "t1"
[[trunk]]
name = "t1"
kind = "tdm"
[[trunk]]
name = "sip"
kind = "sip"
user = "u"
password = "p"
peer = [{ address = "192.0.2.1", priority = 1, weight = 10 }]
[[tenant]]
name = "acme"
country = "us"
dispositions = ["sold", "lost"]
not_ready_reasons = ["lunch"]
[tenant.routing]
policy = "score+hold"
weights = { match = 80, urgency = 11, flex = 300, idle = 4, idle_full_s = 120, blend = 20, late_slope = 0.5 }
[[site]]
name = "hq"
timezone = "Europe/Berlin"
[[skill]]
tenant = "acme"
name = "sales"
[[attribute]]
tenant = "acme"
name = "language"
kind = "symbol"
values = ["en", "es"]
[[attribute]]
tenant = "acme"
name = "calm"
kind = "level"
[[agent]]
tenant = "acme"
name = "a{n}"
range = [1, 3]
user = "a{n}"
password = "x{n}"
code = "10{n}"
pin = "1234"
skills = { sales = 0.5 }
backup = { sales = 20 }
attributes = { language = ["en", "es"], calm = 0.8 }
slots = { chat = 2, email = 0 }
[[agent.modifier]]
attribute = "language"
value = "es"
mode = "preferred"
importance = 10
cost = 5
[[queue]]
tenant = "acme"
name = "late"
unservable = "hold"
[[queue]]
tenant = "acme"
name = "q"
skills = { sales = 0.1 }
importance = 2.5
targets_s = { email = 7200, chat = 60 }
sticky = { importance = 40, fade_days = 30 }
escalate_after_s = 60
escalate_to = "late"
callback = true
callback_tries = 2
callback_every_s = 60
[[queue.modifier]]
attribute = "language"
mode = "required"
level = 1
schedule = [{ after_s = 30, level = 0.5, importance = 50 }, { after_s = 60, level = 0 }]
credit_s = 10
[[queue.modifier]]
attribute = "agent"
value = "a2"
mode = "forbidden"
[[flow]]
tenant = "acme"
name = "f"
text = '''
[flow]
start = "a"
[step.a]
do = "enqueue"
queue = "q"
'''
[[number]]
tenant = "acme"
number = "100"
flow = "f"
"#;

const WORDS: &[&[u8]] = &[
    b"range = [0, 4294967295]\n",
    b"range = [3, 1]\n",
    b"[[agent]]\n",
    b"[[number]]\ntenant = \"acme\"\nnumber = \"+1\"\nflow = \"f\"\n",
    b"file = \"../../x.toml\"\n",
    b"[[attribute]]\ntenant = \"acme\"\nname = \"topics\"\nkind = \"set\"\n",
    b"[[queue.modifier]]\nattribute = \"sales\"\nmode = \"required\"\n",
    b"[[agent.modifier]]\nattribute = \"agent\"\nvalue = \"a1\"\nmode = \"forbidden\"\n",
    b"policy = \"best-skill\"\n",
    b"escalate_to = \"q\"\n",
    b"unservable = \"escalate\"\n",
    b"schedule = [{ after_s = 5, level = 0.5 }]\n",
    b"hold_margin_s = 2",
    b"hold_every_s = 5",
    b"calm = 1.0001",
    b"voicemail = 1",
    b"\"agent\"",
    b"nan",
    b"-0.0",
    b"inf",
    b"{n}{n}",
    b"\"\\u0000\"",
    b"\\",
    b"''",
];

fn load(path: &str) -> Result<Loaded, LoadError> {
    match path.len() % 3 {
        0 => Err(LoadError::Missing),
        1 => Ok(Loaded { name: path.to_owned(), text: "[flow".to_owned() }),
        _ => Ok(Loaded { name: path.to_owned(), text: "[flow]\nstart = 'a'\n[step.a]\ndo = 'hangup'\n".to_owned() }),
    }
}

/// What holds of a provisioning that passed the checks.
pub fn check_sound(provision: &Provision) {
    let text = export_with_secrets(provision);
    assert_eq!(parse(&text, "export.toml").as_ref(), Ok(provision), "what is written is read again\n{text}");
    assert_eq!(diff(provision, provision), [], "nothing differs from itself");
    assert!(diff(&Provision::default(), provision).iter().all(|difference| !difference.to_string().is_empty()));
    let open: Provision = toml::from_str(&export(provision)).expect("TOML of the right form");
    assert!(open.agent.iter().all(|agent| agent.password.is_none() && agent.pin.is_none()));
    assert!(open.trunk.iter().all(|trunk| trunk.password.is_none()));
    let directory = Directory::new(provision, None);
    let again = Directory::new(provision, Some(&directory));
    for agent in &provision.agent {
        let tenant = directory.tenant_by_name(&agent.tenant).expect("an agent's tenant");
        let id = directory.agent_by_name(tenant.id, &agent.name).expect("an agent").id;
        assert_eq!(again.agent(id).map(|agent| &agent.name), Some(&agent.name), "ids stay");
    }
    for agent in directory.agents() {
        let again = again.agent(agent.id).expect("the same agent");
        assert_eq!((&again.traits, &again.minds), (&agent.traits, &agent.minds), "traits keep their ids");
        let tenant = |id| directory.trait_name(id).and_then(|(name, of)| directory.trait_id(agent.tenant, name, of));
        assert!(agent.traits.iter().all(|(id, _)| tenant(*id) == Some(*id)), "a trait is found by its name");
    }
    for queue in directory.queues() {
        let plain = directory.resolve(queue.id, &Attributes::new(), &[]).expect("nothing asks for nothing");
        assert_eq!(plain.wants, []);
    }
    assert!(warnings(provision).iter().all(|warning| !warning.is_empty()));
    for (at, dialled) in (0..).zip(["", "100", "+1", "*#", "999999999999999999999999999999999999999999", "\u{ff11}"]) {
        let _ =
            (directory.number(dialled), directory.is_number_prefix(dialled), directory.leads(dialled, Timestamp(at)));
    }
}

fn target(mut chance: Chance<'_>) {
    let text = chance.bent_text(&CORPUS, WORDS);
    let loads = chance.one_in(2);
    let read = if loads { parse_with(&text, "p.toml", &load) } else { parse(&text, "p.toml") };
    match read {
        Ok(provision) if loads || provision.flow.iter().all(|flow| flow.file.is_none()) => {
            assert_eq!(check(&provision), []);
            check_sound(&provision);
        }
        Ok(_) => {}
        Err(faults) => {
            assert!(faults.len() <= FAULTS_MAX + 1);
            assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.to_string().is_empty()));
            if !loads {
                check_faults(&faults, &text);
            }
        }
    }
}

#[test]
fn files_as_written() {
    fuzz!(512, target);
}

#[test]
fn the_small_file_is_sound() {
    let provision = parse(SMALL, "small.toml").unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(provision.agent.len(), 3);
    check_sound(&provision);
}
