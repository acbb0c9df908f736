use super::*;
use crate::core::tenant::provision::Serves;

const TWO: &str = r#"
[[trunk]]
name = "carrier"
kind = "sip"
prefix = ["9"]
user = "carrier-user"
password = "secret"
authenticate = true
[[trunk.peer]]
address = "192.0.2.1"
[[tenant]]
name = "acme"
quota = { agents = 3 }
[[skill]]
tenant = "acme"
name = "sales"
[[agent]]
tenant = "acme"
name = "ana"
contact = "sip:ana@192.0.2.9"
user = "ana"
password = "ana-secret"
code = "1"
pin = "1234"
skills = { sales = 0.5 }
[[queue]]
tenant = "acme"
name = "sales"
skills = { sales = 0.1 }
[[flow]]
tenant = "acme"
name = "main"
text = "[flow]\nstart = 'wait'\n[step.wait]\ndo = 'enqueue'\nqueue = 'sales'\n"
[[number]]
number = "200"
tenant = "acme"
flow = "main"
[[user]]
name = "ana"
role = "agent"
tenant = "acme"
agent = "ana"
account = "ana"
"#;

const BLUE: &str = r#"
[[tenant]]
name = "blue"
[[skill]]
tenant = "blue"
name = "tea"
[[agent]]
tenant = "blue"
name = "bruno"
user = "bruno"
password = "bruno-secret"
skills = { tea = 0.5 }
serves = [{ tenant = "acme", skills = { sales = 0.5 } }]
[[queue]]
tenant = "blue"
name = "tea"
[[flow]]
tenant = "blue"
name = "main"
text = "[flow]\nstart = 'wait'\n[step.wait]\ndo = 'enqueue'\nqueue = 'tea'\n"
[[number]]
number = "300"
tenant = "blue"
flow = "main"
"#;

fn world(text: &str) -> Provision {
    let provision: Provision = toml::from_str(text).expect("well-formed");
    assert_eq!(check(&provision), []);
    provision
}

fn two() -> Provision {
    world(&format!("{TWO}{BLUE}"))
}

fn agent(of: &Provision, name: &str) -> Agent {
    of.agent.iter().find(|agent| agent.name == name).expect("an agent").clone()
}

fn put_agent(old: &Provision, agent: Agent) -> Result<Provision, String> {
    put(old, Entity::Agent(Box::new(agent)))
}

#[test]
fn secrets_are_not_told_and_stay_where_nothing_is_said() {
    let old = two();
    let told = shown(&old, Some("acme"), EntityKind::Agent);
    let text = serde_json::to_string(&told).expect("JSON");
    assert!(!text.contains("ana-secret") && !text.contains("1234") && !text.contains("bruno"), "{text}");
    let [Entity::Agent(ana)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(put(&old, told[0].clone()), Ok(old.clone()), "nothing changes");
    let mut serving = old.clone();
    serving.agent[0].serves = vec![Serves { tenant: "blue".into(), skills: [("tea".into(), 0.5)].into() }];
    assert_eq!(shown(&serving, Some("acme"), EntityKind::Agent), told, "whom else it serves is not said");
    assert_eq!(put(&serving, told[0].clone()), Ok(serving), "and stays");
    let changed =
        put_agent(&old, Agent { ring_s: 9, password: Some(Redacted::new("new".into())), ..(**ana).clone() }).unwrap();
    let ana = agent(&changed, "ana");
    assert_eq!((ana.ring_s, ana.password.as_ref().unwrap().expose().as_str()), (9, "new"));
    assert_eq!(ana.pin.as_ref().unwrap().expose(), "1234");
    let cleared = put_agent(&old, Agent { code: None, pin: None, ..agent(&old, "ana") }).unwrap();
    assert_eq!(agent(&cleared, "ana").pin, None);
    let none = Agent {
        name: "ben".into(),
        user: Some("acme.ben".into()),
        contact: None,
        code: None,
        pin: None,
        ..agent(&old, "ana")
    };
    let unknown = Agent { password: Some(Redacted::new(KEPT.into())), ..none };
    assert_eq!(put_agent(&old, unknown), Err("the agent has no `password` that could stay".into()));
}

#[test]
fn what_is_the_operators_stays_the_operators() {
    let old = two();
    let ana = agent(&old, "ana");
    let serves = vec![Serves { tenant: "blue".into(), skills: [("tea".into(), 0.5)].into() }];
    for (field, changed) in [
        ("contact", Agent { contact: Some("sip:x@198.51.100.1".into()), ..ana.clone() }),
        ("contact", Agent { contact: None, ..ana.clone() }),
        ("site", Agent { site: Some("x".into()), ..ana.clone() }),
        ("extension", Agent { extension: Some("1".into()), ..ana.clone() }),
        ("serves", Agent { serves, ..ana.clone() }),
        ("range", Agent { range: Some([1, 2]), ..ana.clone() }),
    ] {
        assert_eq!(put_agent(&old, changed), Err(format!("`{field}` of an agent is for the operator to set")));
    }
    let number = |number: &str, flow: &str| Number { number: number.into(), tenant: "acme".into(), flow: flow.into() };
    for other in ["300", "301"] {
        assert_eq!(put(&old, Entity::Number(number(other, "main"))), Err(no_number("acme", other)));
    }
    assert_eq!(put(&old, Entity::Number(number("200", "main"))), Ok(old.clone()));
    assert!(put(&old, Entity::Number(number("200", "none"))).unwrap_err().contains("flow \"none\" is not there"));
    assert!(remove(&old, "acme", EntityKind::Number, "200").is_err());
    let file = Flow { tenant: "acme".into(), name: "x".into(), text: String::new(), file: Some("/etc/passwd".into()) };
    assert!(put(&old, Entity::Flow(file)).is_err());
}

#[test]
fn entries_come_change_and_go_as_far_as_the_check_and_the_quota_let_them() {
    let old = two();
    let new = |name: &str| Agent {
        name: name.into(),
        contact: None,
        user: Some(format!("acme.{name}")),
        code: None,
        pin: None,
        ..agent(&old, "ana")
    };
    let more = put_agent(&put_agent(&old, new("ben")).unwrap(), new("cid")).unwrap();
    assert_eq!(more.agent.len(), 4);
    assert!(put_agent(&more, new("dan")).unwrap_err().contains("quota"), "the quota is counted");
    assert_eq!(remove(&more, "acme", EntityKind::Agent, "cid").unwrap().agent.len(), 3);
    assert!(remove(&old, "acme", EntityKind::Agent, "ana").unwrap_err().contains("user ana"), "a user is that agent");
    assert!(remove(&old, "acme", EntityKind::Queue, "sales").unwrap_err().contains("flow acme/main"));
    assert_eq!(remove(&old, "acme", EntityKind::Queue, "tea"), Err("there is no queue acme/tea".into()));
    let skill = Skill { tenant: "acme".into(), name: "French".into() };
    assert!(put(&old, Entity::Skill(skill.clone())).is_err(), "no name");
    assert_eq!(put(&old, Entity::Skill(Skill { name: "french".into(), ..skill })).unwrap().skill.len(), 3);
}

/// Whatever acme's administrator tries: with blue there and without, the answer is the same, and blue's part as it was.
#[test]
fn answers_do_not_depend_on_other_tenants() {
    let (with, without) = (two(), world(TWO));
    let ana = agent(&with, "ana");
    let blank = Agent { name: "ben".into(), contact: None, user: None, code: None, pin: None, ..ana.clone() };
    let user = |user: &str| Entity::Agent(Box::new(Agent { user: Some(user.into()), ..blank.clone() }));
    let flow = |step: &str| {
        let text = format!("[flow]\nstart = 'a'\n[step.a]\n{step}\n[step.b]\ndo = 'hangup'\n");
        Entity::Flow(Flow { tenant: "acme".into(), name: "main".into(), text, file: None })
    };
    let mut queue = with.queue[0].clone();
    queue.music = Some("blue/waiting".into());
    let mut tries = vec![
        user("bruno"),
        user("brunn"),
        user("carrier-user"),
        user("acme.ben"),
        Entity::Queue(Box::new(queue)),
        flow("do = 'play'\nprompt = 'blue/welcome'\nnext = 'b'"),
        flow("do = 'enqueue'\nqueue = 'tea'"),
        flow("do = 'transfer'\nto = '300'"),
        flow("do = 'transfer'\nto = 'bruno'"),
        Entity::Skill(Skill { tenant: "acme".into(), name: "tea".into() }),
    ];
    for number in ["300", "301"] {
        tries.push(Entity::Number(Number { number: number.into(), tenant: "acme".into(), flow: "main".into() }));
    }
    for entity in tries {
        let [told, other] = [&with, &without].map(|old| put(old, entity.clone()));
        assert_eq!(
            told.as_ref().map(|new| alone(new, "acme")),
            other.as_ref().map(|new| alone(new, "acme")),
            "{entity:?}"
        );
        if let Ok(new) = told {
            let blues = |of: &Provision| alone(of, "blue");
            assert_eq!(blues(&new), blues(&with));
        }
    }
    for (kind, name) in
        EntityKind::ALL.into_iter().flat_map(|kind| ["tea", "bruno", "main", "300"].map(|name| (kind, name)))
    {
        let [told, other] = [&with, &without].map(|old| remove(old, "acme", kind, name));
        assert_eq!(told.is_ok(), other.is_ok(), "{kind:?} {name}");
        assert_eq!(told.err(), other.err());
    }
    // What an agent of another tenant is here for cannot be taken from under it; whose agent that is, is not said.
    let sales = remove(&with, "acme", EntityKind::Skill, "sales").unwrap_err();
    assert!(!sales.contains("bruno") && !sales.contains("blue"), "{sales}");
}
