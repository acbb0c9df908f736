//! What a tenant's users hear must not depend on another tenant: the same questions and orders in a world without the other,
//! in one where it is idle, and in one where it is busy, answered octet by octet the same.

use std::collections::BTreeSet;
use std::time::Duration;

use cordboard::base::{CallId, Medium, WorkItemId};
use cordboard::core::contact::view::{WorkSpec, WorkView};
use cordboard::core::contact::{Origin, Work, WorkState};
use cordboard::core::control::{Asker, Command, Query, Reply, Request};
use cordboard::core::journal::{Cdr, Change};
use cordboard::core::records::Records;
use cordboard::core::switch::Input;
use cordboard::core::tenant::access::{self, Deed, Principal};
use cordboard::core::tenant::entity::{Entity, EntityKind};
use cordboard::core::tenant::provision::{Number, Quota, Role, Skill, User};
use cordboard::core::tenant::{Provision, check};
use cordboard::proto::sdp;

use crate::desk::{Desk, PROVISION, Party, description};
use crate::provision;
use crate::world::Dice;

const CONTRACT: &str =
    "contract = { trunks = [\"carrier\"], ratio = 1, after_hours = 1, worth_within = 1, worth_beyond = 0.5 }";

/// A tenant with names of its own, and some that acme has as well.
const BLUE: &str = r#"
[[tenant]]
name = "blue"
quota = { agents = 7, works = 70 }
CONTRACT
[[skill]]
tenant = "blue"
name = "sales"
[[agent]]
tenant = "blue"
name = "bruno"
contact = "sip:bruno@127.0.0.3:5080"
skills = { sales = 0.9 }
signed_in = true
[[agent]]
tenant = "blue"
name = "ana"
contact = "sip:blueana@127.0.0.3:5080"
skills = { sales = 0.5 }
signed_in = true
[[queue]]
tenant = "blue"
name = "support"
skills = { sales = 0.3 }
[[queue]]
tenant = "blue"
name = "sales"
skills = { sales = 0.3 }
[[flow]]
tenant = "blue"
name = "help"
text = '''
[flow]
start = "hello"
[step.hello]
do = "answer"
next = "queue"
[step.queue]
do = "enqueue"
queue = "support"
on_overflow = "bye"
on_full = "bye"
[step.bye]
do = "hangup"
'''
[[number]]
number = "750"
tenant = "blue"
flow = "help"
[[user]]
name = "blue-boss"
role = "administrator"
tenant = "blue"
account = "blueboss"
"#;

/// An agent of acme's who serves blue as well, at least where there is one, and what she does for acme. What she is needed for
/// at blue's counts for nothing in acme's scores.
const CAT: &str = r#"
[[skill]]
tenant = "acme"
name = "cats"
[[queue]]
tenant = "acme"
name = "cats"
skills = { cats = 0.3 }
importance = 3
[[user]]
name = "u-cat"
role = "agent"
tenant = "acme"
agent = "cat"
account = "cat"
[[agent]]
tenant = "acme"
name = "cat"
contact = "sip:cat@127.0.0.3:5080"
slots = { voice = 0 }
skills = { cats = 0.9 }
"#;

/// What blue does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Blue {
    /// There is no such tenant.
    Absent,
    Idle,
    Busy,
}

/// Accounts of acme's users.
const ACCOUNTS: [&str; 6] = ["boss", "lead", "ana", "ben", "cat", "checker"];

fn users(p: &mut Provision) {
    let user = |name: &str, role, agent: Option<&str>| User {
        name: format!("u-{name}"),
        role,
        tenant: Some("acme".into()),
        agent: agent.map(String::from),
        account: name.into(),
    };
    p.user.extend([
        user("boss", Role::Administrator, None),
        user("lead", Role::Supervisor, None),
        user("ana", Role::Agent, Some("ana")),
        user("ben", Role::Agent, Some("ben")),
        user("checker", Role::Auditor, None),
    ]);
    let whole = |name: &str, role| User { tenant: None, ..user(name, role, None) };
    p.user.extend([whole("root", Role::Operator), whole("inspector", Role::Auditor)]);
}

fn desk(seed: u64, blue: Blue) -> Desk {
    let own = format!("name = \"acme\"\nrouting.weights.flex = 0\n{CONTRACT}\n[[skill]]");
    let acme = PROVISION.replace("name = \"acme\"\n[[skill]]", &own);
    let serves = "serves = [{ tenant = \"blue\", skills = { sales = 0.6 } }]\n";
    let more =
        if blue == Blue::Absent { String::new() } else { format!("{serves}{}", BLUE.replace("CONTRACT", CONTRACT)) };
    let mut p = provision(&format!("{acme}{CAT}{more}"));
    p.trunk.iter_mut().filter(|trunk| trunk.name == "carrier").for_each(|trunk| trunk.calls_max = 40);
    p.tenant[0].quota = Quota { agents: Some(5), works: Some(50), ..Quota::default() };
    users(&mut p);
    assert_eq!(check(&p), []);
    Desk::new(seed, p)
}

fn ask(desk: &mut Desk, account: &str, request: Request) -> Reply {
    desk.switch.handle(desk.now, Input::Request { token: 9, asker: Asker::Account(account.into()), request });
    desk.settle();
    desk.replies.pop().expect("a reply")
}

fn item(tenant: &str, queue: &str, client: &str) -> Box<WorkSpec> {
    Box::new(WorkSpec {
        tenant: tenant.into(),
        medium: Medium::Email,
        queue: queue.into(),
        client: Some(client.to_owned().into()),
        subject: None,
        attributes: [("sales".to_owned(), "0.4".to_owned())].into(),
        modifiers: vec![],
        callback: None,
        due_at: None,
    })
}

/// All questions, about acme, about blue, about everything, and about what is nowhere.
fn queries(ids: &BTreeSet<u64>) -> Vec<Query> {
    let mut all = vec![
        Query::Whoami,
        Query::Status,
        Query::Calls,
        Query::Agents,
        Query::Queues,
        Query::Trunks,
        Query::Circuits { trunk: None },
        Query::Sites,
        Query::Contracts,
        Query::Routes { number: "85551234".into(), at: None, tenant: None },
        Query::Locate { uri: "sip:127.0.0.2".into() },
        Query::Bans,
    ];
    for (tenant, kind) in [None, Some("acme"), Some("blue"), Some("nowhere")]
        .into_iter()
        .flat_map(|tenant| EntityKind::ALL.map(|kind| (tenant.map(String::from), kind)))
    {
        all.push(Query::Entities { tenant, kind });
    }
    for tenant in ["acme", "blue", "nowhere"] {
        all.push(Query::TenantStatus { tenant: tenant.into() });
        all.push(Query::WhatIf { item: item(tenant, "sales", "x@example.org") });
        all.push(Query::WhatIf { item: item(tenant, "support", "x@example.org") });
        all.push(Query::WhatIf { item: item(tenant, "cats", "x@example.org") });
    }
    for tenant in [None, Some("acme"), Some("blue"), Some("nowhere")] {
        for (queue, state, agent) in [
            (None, None, None),
            (Some("support"), None, None),
            (None, Some(WorkState::Waiting), None),
            (None, None, Some("blue/bruno")),
            (None, None, Some("acme/ana")),
        ] {
            let (tenant, queue, agent) = (tenant.map(String::from), queue.map(String::from), agent.map(String::from));
            all.push(Query::Works { tenant, queue, state, after: None, agent });
        }
    }
    for id in ids {
        all.push(Query::Work { work: WorkItemId(*id) });
        all.push(Query::Explain { work: WorkItemId(*id) });
    }
    all
}

/// Orders that must do nothing: they are about blue, the appliance, or what is nowhere.
fn orders(theirs: &BTreeSet<u64>) -> Vec<Command> {
    let mut all = vec![
        Command::Provision { provision: Box::default() },
        Command::Unban { source: None },
        Command::RestartCircuits { trunk: "central-office".into(), circuit: None },
        Command::Stop,
        Command::ReadCertificates,
    ];
    for (tenant, agent) in [("blue", "bruno"), ("blue", "ana"), ("blue", "cat"), ("nowhere", "ana"), ("acme", "bruno")]
    {
        let (tenant, agent) = (tenant.to_owned(), agent.to_owned());
        all.push(Command::SignIn { tenant: tenant.clone(), agent: agent.clone() });
        let (site, extension, phone) = (None, None, Some("85551111".to_owned().into()));
        all.push(Command::SignInAt { tenant: tenant.clone(), agent: agent.clone(), site, extension, phone });
        all.push(Command::SignOut { tenant: tenant.clone(), agent: agent.clone() });
        all.push(Command::Pause { tenant: tenant.clone(), agent: agent.clone(), reason: "tea".into() });
        all.push(Command::Resume { tenant, agent });
    }
    for tenant in ["blue", "nowhere"] {
        let skill = Skill { tenant: tenant.into(), name: "sales".into() };
        all.push(Command::Put { entity: Box::new(Entity::Skill(skill)) });
        for (kind, name) in [(EntityKind::Agent, "bruno"), (EntityKind::Queue, "support"), (EntityKind::Flow, "help")] {
            all.push(Command::Remove { tenant: tenant.into(), kind, name: name.into() });
        }
    }
    let number = Number { number: "750".into(), tenant: "acme".into(), flow: "sales".into() };
    all.push(Command::Put { entity: Box::new(Entity::Number(number)) });
    for (tenant, queue) in [("blue", "support"), ("nowhere", "sales"), ("acme", "support")] {
        all.push(Command::WorkAdd { item: item(tenant, queue, "y@example.org") });
    }
    for id in theirs {
        let work = WorkItemId(*id);
        for (tenant, agent) in [("acme", "ana"), ("blue", "bruno")] {
            let (tenant, agent) = (tenant.to_owned(), agent.to_owned());
            all.push(Command::WorkAccept { tenant: tenant.clone(), agent: agent.clone(), work });
            all.push(Command::WorkDecline { tenant, agent, work });
        }
        all.push(Command::WorkComplete { work, disposition: None, note: None });
        all.push(Command::WorkTransfer { work, queue: Some("sales".into()), agent: None, note: None });
        all.push(Command::WorkTransfer { work, queue: None, agent: Some("bruno".into()), note: None });
        all.push(Command::WorkCancel { work, reason: "x".into() });
        let (attribute, value) = ("sales".to_owned(), "0.5".to_owned());
        all.push(Command::WorkDiscover { work, attribute, value, origin: Origin::Operator });
        all.push(Command::Hangup { call: CallId(*id) });
    }
    all
}

/// Ids of a tenant's calls and work items, as the operator sees them.
fn ids(desk: &mut Desk, tenant: &str) -> BTreeSet<u64> {
    let Reply::Calls { calls } = desk.query(Query::Calls) else { panic!("the calls") };
    let all = Query::Works { tenant: Some(tenant.into()), queue: None, state: None, after: None, agent: None };
    let Reply::Works { works, .. } = desk.query(all) else { panic!("the works") };
    let calls = calls.iter().filter(|call| call.tenant == tenant).map(|call| call.call_id.0);
    calls.chain(works.iter().map(|work| work.id.0)).collect()
}

fn dial(desk: &mut Desk, from: &str, number: &str) {
    desk.call(Party::Carrier, from, number, Some(description(20_000, sdp::Direction::SendRecv)));
}

/// A step of blue's, a little after one of acme's.
fn blue_acts(desk: &mut Desk, dice: &mut Dice, step: u64) {
    desk.pass(Duration::from_millis(137));
    match dice.next() % 5 {
        0 => dial(desk, "6660001", "750"),
        1 | 2 => drop(desk.command(Command::WorkAdd { item: item("blue", "support", "blue@example.org") })),
        3 => {
            for user in ["bruno", "blueana"] {
                if let Some(session) = desk.rings(Party::Phones, user) {
                    desk.accept(Party::Phones, session);
                }
            }
        }
        _ => {
            let order = (if step.is_multiple_of(2) { "bruno" } else { "ana" }).to_owned();
            let (tenant, agent) = ("blue".to_owned(), order);
            desk.command(if dice.chance(0.5) {
                Command::Pause { tenant, agent, reason: "lunch".into() }
            } else {
                Command::Resume { tenant, agent }
            });
        }
    }
    desk.pass(Duration::from_millis(863));
}

/// A step of acme's, through its users where they may.
fn acme_acts(desk: &mut Desk, dice: &mut Dice, said: &mut Vec<String>) {
    let mut order = |desk: &mut Desk, account: &str, command: Command| {
        said.push(format!("{command:?} {}", json(&ask(desk, account, Request::Command(command.clone())))));
    };
    let (tenant, ben) = ("acme".to_owned(), "ben".to_owned());
    match dice.next() % 8 {
        0 => dial(desk, "5550001", "100"),
        1 => order(desk, "boss", Command::WorkAdd { item: item("acme", "sales", "kim@example.org") }),
        2 => order(desk, "ben", Command::SignIn { tenant, agent: ben }),
        3 => order(desk, "lead", Command::Pause { tenant, agent: ben, reason: "tea".into() }),
        4 => {
            for user in ["ana", "ben"] {
                if let Some(session) = desk.rings(Party::Phones, user) {
                    desk.accept(Party::Phones, session);
                }
            }
        }
        // She takes one of acme's, whatever waits of blue's beside it, and has gone before she could take one of those.
        5 | 6 => {
            let cat = "cat".to_owned();
            for client in ["kim@example.org", "kai@example.org"] {
                order(desk, "boss", Command::WorkAdd { item: item("acme", "cats", client) });
            }
            order(desk, "lead", Command::SignIn { tenant: tenant.clone(), agent: cat.clone() });
            let work = in_hand(desk, "cat", "acme/cat");
            order(desk, "cat", Command::WorkAccept { tenant: tenant.clone(), agent: cat.clone(), work });
            order(desk, "lead", Command::Pause { tenant, agent: cat, reason: "tea".into() });
            order(desk, "cat", Command::WorkComplete { work, disposition: None, note: None });
        }
        _ => {
            let all = Query::Works { tenant: None, queue: None, state: None, after: None, agent: None };
            let Reply::Works { works, .. } = ask(desk, "ana", Request::Query(all)) else { panic!("works") };
            for work in works {
                assert_eq!(work.agent.as_deref(), Some("ana"), "an agent sees its own");
                let (tenant, agent) = ("acme".to_owned(), "ana".to_owned());
                order(desk, "ana", Command::WorkAccept { tenant, agent, work: work.id });
                order(desk, "ana", Command::WorkComplete { work: work.id, disposition: None, note: None });
            }
        }
    }
    desk.seconds(1);
}

/// The one item that an agent is offered or has, as an account sees it.
fn in_hand(desk: &mut Desk, account: &str, agent: &str) -> WorkItemId {
    let of = Query::Works { tenant: None, queue: None, state: None, after: None, agent: Some(agent.into()) };
    let Reply::Works { works, .. } = ask(desk, account, Request::Query(of)) else { panic!("works") };
    let [work] = &works[..] else { panic!("{agent}: {works:?}") };
    work.id
}

/// Questions about what is on record: of all, of each tenant, of each id, and of what is nowhere.
fn on_record(ids: &BTreeSet<u64>) -> Vec<Records> {
    let mut all = Vec::new();
    for tenant in [None, Some("acme"), Some("blue"), Some("nowhere")] {
        let tenant = tenant.map(String::from);
        let (since, until, trace, after) = (None, None, None, None);
        all.push(Records::Calls { tenant: tenant.clone(), since, until, trace, after });
        all.push(Records::Works { tenant: tenant.clone(), before: None });
        all.push(Records::Audit { tenant, until: None });
    }
    for id in ids {
        all.push(Records::Call { call: CallId(*id) });
        all.push(Records::Work { work: WorkItemId(*id) });
    }
    all
}

/// As a store would answer that looks at no tenant but the one asked for.
fn stored(desk: &Desk, records: Records) -> Reply {
    let is_of = |wanted: &Option<String>, tenant: &str| wanted.as_ref().is_none_or(|wanted| wanted == tenant);
    let of_calls = |passes: &dyn Fn(&Cdr) -> bool| {
        let calls = desk.disk.records.values().filter(|cdr| passes(cdr)).cloned().collect();
        Reply::CallRecords { calls, more: false }
    };
    let of_works = |passes: &dyn Fn(&Work) -> bool| {
        let works = desk.disk.works.values().filter(|work| passes(work)).cloned().collect();
        Reply::WorkRecords { works, more: false }
    };
    match records {
        Records::Calls { tenant, .. } => of_calls(&|cdr| is_of(&tenant, &cdr.tenant)),
        Records::Call { call } => of_calls(&|cdr| cdr.call_id == call),
        Records::Works { tenant, .. } => of_works(&|work| work.ended_at.is_some() && is_of(&tenant, &work.tenant)),
        Records::Work { work: id } => of_works(&|work| work.id == id),
        Records::Audit { tenant, .. } => {
            let audits = desk.journal.iter().rev().filter_map(|change| match change {
                Change::Audited { audit } => Some(audit),
                _ => None,
            });
            let of = audits.filter(|audit| tenant.is_none() || tenant == audit.tenant);
            Reply::Audit { entries: of.map(|audit| (**audit).clone()).collect(), more: false }
        }
    }
}

/// What the console tells a user of what is on record.
fn read(desk: &mut Desk, account: &str, records: Records) -> Reply {
    let Reply::Whoami { user, role, tenant, agent } = ask(desk, account, Request::Query(Query::Whoami)) else {
        panic!("{account} is a user")
    };
    let (who, deed) = (Principal { user, role, tenant, agent }, Deed::of_records(&records));
    match access::narrow_records(&who, records) {
        Ok(records) => access::narrow_reply(&who, deed, stored(desk, records)),
        Err(denied) => Reply::Refused { reason: denied.to_string() },
    }
}

fn json(reply: &Reply) -> String {
    serde_json::to_string(reply).expect("JSON")
}

/// Everything that acme's users hear in a world, and what blue has at each step as its ids.
fn live(seed: u64, blue: Blue, foreign: &mut Vec<BTreeSet<u64>>) -> Vec<String> {
    let mut desk = desk(seed, blue);
    let (mut dice, mut blues_dice) = (Dice::new(seed), Dice::new(seed ^ 0xb1));
    let mut said = Vec::new();
    for step in 0..14 {
        acme_acts(&mut desk, &mut dice, &mut said);
        match blue {
            Blue::Busy => {
                blue_acts(&mut desk, &mut blues_dice, step);
                foreign.push(ids(&mut desk, "blue"));
            }
            Blue::Absent | Blue::Idle => {
                desk.pass(Duration::from_millis(137));
                desk.pass(Duration::from_millis(863));
            }
        }
        let theirs = foreign[step as usize].clone();
        let mut all = ids(&mut desk, "acme");
        all.extend(&theirs);
        // What is nowhere.
        all.insert(4);
        for account in ACCOUNTS {
            for query in queries(&all) {
                let reply = ask(&mut desk, account, Request::Query(query.clone()));
                said.push(format!("{step} {account} {query:?} {}", json(&reply)));
            }
            for records in on_record(&all) {
                let reply = read(&mut desk, account, records.clone());
                said.push(format!("{step} {account} {records:?} {}", json(&reply)));
            }
            for command in orders(&theirs) {
                let audits = desk.journal.len();
                let reply = ask(&mut desk, account, Request::Command(command.clone()));
                assert!(matches!(reply, Reply::Refused { .. }), "{account}: {command:?} {reply:?}");
                let audited = desk.journal[audits..].iter().any(|change| matches!(change, Change::Audited { .. }));
                assert!(!audited, "{account}: {command:?}");
                said.push(format!("{step} {account} {command:?} {}", json(&reply)));
            }
        }
        if blue == Blue::Busy {
            assert_eq!(ids(&mut desk, "blue"), theirs, "nothing of blue's was touched");
        }
    }
    said
}

#[test]
fn what_users_of_a_tenant_hear_does_not_depend_on_another() {
    let chosen = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let mut seen = 0;
    for seed in chosen.map_or(1..=6, |seed| seed..=seed) {
        println!("seed {seed}");
        let mut foreign = Vec::new();
        let busy = live(seed, Blue::Busy, &mut foreign);
        seen += foreign.last().map_or(0, BTreeSet::len);
        for other in [Blue::Absent, Blue::Idle] {
            let quiet = live(seed, other, &mut foreign.clone());
            for (busy, quiet) in busy.iter().zip(&quiet) {
                assert_eq!(busy, quiet, "seed {seed}, {other:?}");
            }
            assert_eq!(busy.len(), quiet.len());
        }
        // What is told of acme is told of acme: nothing of blue's is in an answer, but what the asker said of it.
        for line in &busy {
            let answer = line.rsplit_once(" {\"reply\"").map_or("", |(_, answer)| answer);
            for name in ["bruno", "blueana", "6660001", "blue@example.org", "blue-boss", "\"750\""] {
                assert!(!answer.contains(name) || answer.contains("refused"), "{line}");
            }
        }
    }
    assert!(chosen.is_some() || seen > 6, "blue had something to hide: {seen}");
}

#[test]
fn operators_and_auditors_see_all_and_auditors_change_nothing() {
    let mut desk = desk(1, Blue::Busy);
    dial(&mut desk, "6660001", "750");
    dial(&mut desk, "5550001", "100");
    desk.seconds(2);
    for account in ["root", "inspector"] {
        let Reply::Calls { calls } = ask(&mut desk, account, Request::Query(Query::Calls)) else { panic!("calls") };
        let tenants: BTreeSet<&str> = calls.iter().map(|call| call.tenant.as_str()).collect();
        assert_eq!(tenants, BTreeSet::from(["acme", "blue"]), "{account}");
        assert!(matches!(ask(&mut desk, account, Request::Query(Query::Status)), Reply::Status(_)));
        assert!(matches!(ask(&mut desk, account, Request::Query(Query::Trunks)), Reply::Trunks { .. }));
        let Reply::Contracts { contracts } = ask(&mut desk, account, Request::Query(Query::Contracts)) else {
            panic!("contracts")
        };
        assert!(contracts.len() == 2 && contracts.iter().all(|of| of.trunk_calls.is_some()), "{contracts:?}");
    }
    let theirs = ids(&mut desk, "blue");
    for command in orders(&theirs) {
        let reply = ask(&mut desk, "inspector", Request::Command(command.clone()));
        assert!(matches!(reply, Reply::Refused { .. }), "{command:?} {reply:?}");
    }
    let pause = Command::Pause { tenant: "blue".into(), agent: "ana".into(), reason: "tea".into() };
    assert_eq!(ask(&mut desk, "root", Request::Command(pause)), Reply::Done);
    let Some(Change::Audited { audit }) = desk.journal.last() else { panic!("{:?}", desk.journal.last()) };
    assert_eq!((audit.user.as_str(), audit.account.as_str(), audit.role), ("u-root", "root", Role::Operator));
    assert_eq!((audit.tenant.as_deref(), audit.did.as_str()), (Some("blue"), "agent pause blue/ana: tea"));
}

#[test]
fn an_account_that_is_no_users_hears_nothing_and_a_user_removed_is_one_at_once() {
    let mut desk = desk(1, Blue::Idle);
    for query in queries(&BTreeSet::from([4])) {
        let Reply::Refused { reason } = ask(&mut desk, "mallory", Request::Query(query)) else { panic!("an answer") };
        assert!(reason.starts_with("account \"mallory\" is no user of this appliance"), "{reason}");
    }
    assert!(matches!(ask(&mut desk, "boss", Request::Query(Query::Calls)), Reply::Calls { .. }));
    let mut p = desk.disk.provision.clone();
    p.user.retain(|user| user.account != "boss");
    assert_eq!(desk.command(Command::Provision { provision: Box::new(p) }), Reply::Done);
    assert!(matches!(ask(&mut desk, "boss", Request::Query(Query::Calls)), Reply::Refused { .. }));
}

#[test]
fn a_quota_of_work_items_holds_where_they_come() {
    let mut desk = desk(1, Blue::Idle);
    let mut p = desk.disk.provision.clone();
    p.tenant[0].quota.works = Some(2);
    desk.command(Command::Provision { provision: Box::new(p) });
    let add = |desk: &mut Desk, tenant: &str, queue: &str| {
        desk.command(Command::WorkAdd { item: item(tenant, queue, "kim@example.org") })
    };
    let Reply::Added { work, .. } = add(&mut desk, "acme", "sales") else { panic!("room for one") };
    assert!(matches!(add(&mut desk, "acme", "sales"), Reply::Added { .. }));
    let Reply::Refused { reason } = add(&mut desk, "acme", "sales") else { panic!("a third") };
    assert_eq!(reason, "the tenant has a quota of 2 open work items; complete or cancel some first");
    assert!(matches!(add(&mut desk, "blue", "support"), Reply::Added { .. }), "others have theirs");
    let Reply::TenantStatus(status) = ask(&mut desk, "boss", Request::Query(Query::Status)) else { panic!("status") };
    let works = status.quotas.iter().find(|bound| bound.name == "works").expect("a quota");
    assert_eq!((works.used, works.max, works.refused, status.works), (2, 2, 1, 2));
    desk.command(Command::WorkCancel { work, reason: String::new() });
    assert!(matches!(add(&mut desk, "acme", "sales"), Reply::Added { .. }));
}

#[test]
fn what_is_denied_is_told_in_brief_and_once_a_second() {
    let mut desk = desk(1, Blue::Idle);
    let agent = "x".repeat(9_000);
    for n in 0..60_u32 {
        let pause = Command::Pause { tenant: "blue".into(), agent: agent.clone(), reason: String::new() };
        let Reply::Refused { reason } = ask(&mut desk, "ana", Request::Command(pause)) else {
            panic!("it is not hers")
        };
        assert!(reason.len() <= 300, "{}", reason.len());
        desk.seconds(u64::from(n == 50));
    }
    let [first, second] = &desk.warnings[..] else { panic!("{:?}", desk.warnings) };
    assert!(first.starts_with("user u-ana: ") && first.len() < 400, "{first}");
    assert!(second.ends_with("more since the last one told"), "{second}");
}

#[test]
fn what_a_user_tells_of_an_item_comes_from_the_user() {
    let mut desk = desk(1, Blue::Idle);
    let Reply::Added { work, .. } = desk.command(Command::WorkAdd { item: item("acme", "sales", "kim@example.org") })
    else {
        panic!("room for one")
    };
    for (account, origin) in [("boss", Origin::Operator), ("root", Origin::WebForm)] {
        let (attribute, value) = ("sales".to_owned(), "0.5".to_owned());
        let discover = Command::WorkDiscover { work, attribute, value, origin: Origin::WebForm };
        assert_eq!(ask(&mut desk, account, Request::Command(discover)), Reply::Done);
        let Reply::Work(record) = desk.query(Query::Work { work }) else { panic!("the item") };
        assert_eq!(record.discoveries.last().map(|last| last.origin), Some(origin), "{account}");
    }
}

fn add(desk: &mut Desk, tenant: &str, queue: &str) -> WorkItemId {
    let Reply::Added { work, .. } = desk.command(Command::WorkAdd { item: item(tenant, queue, "kim@example.org") })
    else {
        panic!("{tenant}/{queue} takes it")
    };
    work
}

fn record_of(desk: &mut Desk, account: &str, work: WorkItemId) -> Work {
    match ask(desk, account, Request::Query(Query::Work { work })) {
        Reply::Work(work) => *work,
        other => panic!("{account}: {other:?}"),
    }
}

fn trail(desk: &mut Desk, account: &str) -> Vec<(String, String)> {
    match read(desk, account, Records::Audit { tenant: None, until: None }) {
        Reply::Audit { entries, .. } => entries.into_iter().map(|entry| (entry.user, entry.did)).collect(),
        other => panic!("{account}: {other:?}"),
    }
}

/// An agent of acme's takes an item of blue's, while others of blue's and of acme's wait for her as well.
#[test]
fn what_an_agent_does_for_another_tenant_is_that_tenants() {
    let mut desk = desk(3, Blue::Idle);
    let mut p = desk.disk.provision.clone();
    let skills = p.agent.iter_mut().flat_map(|agent| &mut agent.serves).flat_map(|of| of.skills.values_mut());
    skills.for_each(|level| *level = 1.0);
    assert_eq!(desk.command(Command::Provision { provision: Box::new(p) }), Reply::Done);
    let (acme, cat) = ("acme".to_owned(), "cat".to_owned());
    for agent in ["bruno", "ana"] {
        desk.command(Command::Pause { tenant: "blue".into(), agent: agent.into(), reason: "tea".into() });
    }
    let theirs = add(&mut desk, "blue", "support");
    desk.seconds(10);
    let beside = add(&mut desk, "blue", "sales");
    desk.seconds(600);
    let own = [add(&mut desk, "acme", "cats"), add(&mut desk, "acme", "cats")];
    desk.command(Command::SignIn { tenant: acme.clone(), agent: cat.clone() });
    assert_eq!(in_hand(&mut desk, "cat", "acme/cat"), theirs, "of all the one that has waited longest");

    // What it was compared with is of its tenant alone.
    let reason =
        record_of(&mut desk, "blueboss", theirs).events.pop().and_then(|event| event.reason).expect("a reason");
    assert_eq!(reason.compared, 2, "{reason:?}");
    assert_eq!(reason.others.iter().map(|rival| rival.work).collect::<Vec<_>>(), [beside], "{own:?}");
    // She herself hears what she is to do, and nothing of who else might have.
    let seen = record_of(&mut desk, "cat", theirs);
    assert_eq!(seen.agent.as_deref(), Some("acme/cat"));
    assert!(seen.events.iter().all(|event| event.reason.is_none()), "{seen:?}");

    let accept = Command::WorkAccept { tenant: acme.clone(), agent: cat.clone(), work: theirs };
    assert_eq!(ask(&mut desk, "cat", Request::Command(accept)), Reply::Done);
    assert_eq!(record_of(&mut desk, "blueboss", theirs).events.pop().map(|e| e.detail), Some("acme/cat".into()));
    let complete = Command::WorkComplete { work: theirs, disposition: None, note: None };
    assert_eq!(ask(&mut desk, "cat", Request::Command(complete)), Reply::Done);

    // The trail is of the tenant whose item it is.
    assert_eq!(trail(&mut desk, "boss"), []);
    let done = [format!("work complete {theirs}"), format!("work accept {theirs} for acme/cat")];
    assert_eq!(trail(&mut desk, "blueboss"), done.map(|did| ("u-cat".to_owned(), did)));

    // And her own tenant is told of its own items only.
    let answered = |desk: &mut Desk, account: &str| {
        let Reply::Agents { agents } = ask(desk, account, Request::Query(Query::Agents)) else { panic!("agents") };
        let agent = agents.into_iter().find(|agent| agent.name == "cat").expect("her");
        (agent.answered, agent.answered_for_others)
    };
    assert_eq!((answered(&mut desk, "boss"), answered(&mut desk, "root")), ((0, 0), (1, 1)));
}

/// Whoever was asked before is no matter of an agent of another tenant.
#[test]
fn an_agent_hears_nothing_of_the_agents_of_a_tenant_that_it_serves() {
    let mut desk = desk(3, Blue::Idle);
    desk.command(Command::Pause { tenant: "blue".into(), agent: "ana".into(), reason: "tea".into() });
    let work = add(&mut desk, "blue", "support");
    assert_eq!(in_hand(&mut desk, "blueboss", "blue/bruno"), work);
    desk.command(Command::SignIn { tenant: "acme".into(), agent: "cat".into() });
    let decline = Command::WorkDecline { tenant: "blue".into(), agent: "bruno".into(), work };
    assert_eq!(desk.command(decline), Reply::Done);
    assert_eq!(in_hand(&mut desk, "cat", "acme/cat"), work);
    let whole = json(&ask(&mut desk, "blueboss", Request::Query(Query::Work { work })));
    assert!(whole.contains("bruno") && whole.contains("compared"), "{whole}");
    let told = json(&ask(&mut desk, "cat", Request::Query(Query::Work { work })));
    assert!(!told.contains("bruno") && !told.contains("compared"), "{told}");
}

/// What a tenant's users are told is looked for among the tenant's own, and is all of it.
#[test]
fn an_answer_to_a_tenants_user_is_the_operators_without_what_is_others() {
    let mut desk = desk(5, Blue::Busy);
    let (mut dice, mut blues_dice) = (Dice::new(5), Dice::new(7));
    let works = |agent: Option<&str>| Query::Works {
        tenant: None,
        queue: None,
        state: None,
        after: None,
        agent: agent.map(String::from),
    };
    let mut most = (0, 0);
    for step in 0..40 {
        acme_acts(&mut desk, &mut dice, &mut vec![]);
        blue_acts(&mut desk, &mut blues_dice, step);
        let Reply::Works { works: all, more: false } = desk.query(works(None)) else { panic!("works") };
        let Reply::Calls { calls } = desk.query(Query::Calls) else { panic!("calls") };
        let Reply::Queues { queues } = desk.query(Query::Queues) else { panic!("queues") };
        let Reply::Agents { agents } = desk.query(Query::Agents) else { panic!("agents") };
        most = (most.0.max(all.len()), most.1.max(calls.len()));
        for (account, tenant) in [("boss", "acme"), ("blueboss", "blue")] {
            let mut told = |query| ask(&mut desk, account, Request::Query(query));
            let own = all.iter().filter(|work| work.tenant == tenant).cloned().collect();
            assert_eq!(told(works(None)), Reply::Works { works: own, more: false });
            let own = calls.iter().filter(|call| call.tenant == tenant).cloned().collect();
            assert_eq!(told(Query::Calls), Reply::Calls { calls: own });
            let own = queues.iter().filter(|queue| queue.tenant == tenant).cloned().collect();
            assert_eq!(told(Query::Queues), Reply::Queues { queues: own });
            let Reply::Agents { agents: seen } = told(Query::Agents) else { panic!("agents") };
            let own = agents.iter().filter(|agent| agent.tenant == tenant).map(|agent| &agent.name);
            assert!(own.eq(seen.iter().map(|agent| &agent.name)));
            let Reply::TenantStatus(status) = told(Query::Status) else { panic!("status") };
            assert_eq!(status.calls, calls.iter().filter(|call| call.tenant == tenant).count() as u64);
        }
        for agent in &agents {
            let name = format!("{}/{}", agent.tenant, agent.name);
            let has = |work: &&WorkView| {
                work.agent.as_ref().is_some_and(|called| access::full_agent(&work.tenant, called) == name)
            };
            let held = all.iter().filter(has).cloned().collect();
            assert_eq!(desk.query(works(Some(&name))), Reply::Works { works: held, more: false }, "{name}");
        }
    }
    assert!(most.0 > 5 && most.1 > 2, "{most:?}");
}
