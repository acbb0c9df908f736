//! Lines on the control socket.

use std::sync::LazyLock;

use cordboard::base::{Medium, Redacted, Timestamp, WorkItemId};
use cordboard::core::contact::{Origin, WorkState};
use cordboard::core::control::{Command, Query, WorkSpec};
use cordboard::core::records::Records;
use cordboard::core::tenant::entity::{Entity, EntityKind};
use cordboard::core::tenant::provision::{Number, Skill};
use cordboard::core::tenant::{Provision, check, entity, parse};
use cordboard::edge::console::{Line, Request, read_line};

use crate::chance::Chance;
use crate::fuzz;
use crate::provision;

static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let text = String::from_utf8_lossy(&provision::CORPUS[0]).into_owned();
    let provision = Box::new(parse(&text, "p.toml").expect("a good file"));
    let (tenant, agent) = ("acme".to_owned(), "a1".to_owned());
    let modifier =
        "attribute = 'language'\nvalue = 'es'\nmode = 'required'\nschedule = [{ after_s = 60, level = 0.2 }]";
    let item = Box::new(WorkSpec {
        tenant: tenant.clone(),
        medium: Medium::Email,
        queue: "help".into(),
        client: Some(Redacted::new("client@example.com".into())),
        subject: Some(Redacted::new("a bill".into())),
        attributes: [("language".to_owned(), "es".to_owned()), ("vip".to_owned(), "0.5".to_owned())].into(),
        modifiers: vec![toml::from_str(modifier).expect("a modifier")],
        callback: Some(Redacted::new("+15550100".to_owned())),
        due_at: Some(Timestamp(1_800_000_000_000)),
    });
    let work = WorkItemId(0xabc);
    let note = Some(Redacted::new("a note\nof two lines".to_owned()));
    let (attribute, value) = ("language".to_owned(), "de".to_owned());
    let commands = [
        Command::WorkAdd { item: item.clone() },
        Command::WorkAccept { tenant: tenant.clone(), agent: agent.clone(), work },
        Command::WorkDecline { tenant: tenant.clone(), agent: agent.clone(), work },
        Command::WorkComplete { work, disposition: Some("done".into()), note: note.clone() },
        Command::WorkTransfer { work, queue: Some("help".into()), agent: Some(agent.clone()), note },
        Command::WorkCancel { work, reason: "by mistake".into() },
        Command::Put {
            entity: Box::new(Entity::Number(Number { number: "1".into(), tenant: "acme".into(), flow: "main".into() })),
        },
        Command::Put { entity: Box::new(Entity::Skill(Skill { tenant: "acme".into(), name: "sales".into() })) },
        Command::Remove { tenant: "acme".into(), kind: EntityKind::Flow, name: "main".into() },
        Command::WorkDiscover { work, attribute, value, origin: Origin::EmailHeader },
        Command::Provision { provision },
        Command::SignIn { tenant: tenant.clone(), agent: agent.clone() },
        Command::SignInAt {
            tenant: tenant.clone(),
            agent: agent.clone(),
            site: Some("berlin".into()),
            extension: Some("4711".into()),
            phone: Some(Redacted::new("+4930".into())),
        },
        Command::Pause { tenant, agent, reason: "lunch \u{1f35e}".into() },
        Command::RestartCircuits { trunk: "city".into(), circuit: Some("card/1/5".into()) },
        Command::Hangup { call: cordboard::base::CallId(u64::MAX) },
        Command::Unban { source: Some("192.0.2.1".into()) },
        Command::Stop,
    ];
    let mut all: Vec<Vec<u8>> = commands.iter().map(|c| serde_json::to_vec(c).expect("JSON")).collect();
    let locate = Query::Locate { uri: "sips:alice@example.com:5071;transport=tcp".into() };
    let state = Some(WorkState::Waiting);
    let works = [
        Query::Works { tenant: Some("acme".into()), queue: None, state, after: Some(work), agent: Some("ana".into()) },
        Query::Circuits { trunk: Some("city".into()) },
        Query::Routes { number: "112".into(), at: Some(Timestamp(9)), tenant: Some("acme".into()) },
        Query::Work { work },
        Query::Explain { work },
        Query::WhatIf { item },
    ];
    all.extend(works.iter().map(|q| serde_json::to_vec(q).expect("JSON")));
    let after = Some((Timestamp(7), cordboard::base::CallId(9)));
    let records = [
        Records::Calls { tenant: Some("acme".into()), since: Some(Timestamp(1)), until: None, trace: None, after },
        Records::Works { tenant: None, before: Some((Timestamp(7), work)) },
        Records::Work { work },
        Records::Audit { tenant: None, until: Some((Timestamp(7), 9)) },
        Records::Call { call: cordboard::base::CallId(9) },
    ];
    all.extend(records.iter().map(|q| serde_json::to_vec(q).expect("JSON")));
    all.extend(
        [
            Query::Status,
            Query::Whoami,
            Query::Entities { tenant: None, kind: EntityKind::Agent },
            Query::TenantStatus { tenant: "acme".into() },
            Query::Trunks,
            Query::Bans,
            locate,
        ]
        .iter()
        .map(|q| serde_json::to_vec(q).expect("JSON")),
    );
    all.push(br#"{"log":{"module":"net","level":"debug"}}"#.to_vec());
    // The provisioning has most to read.
    let provisioning = all.iter().find(|line| line.starts_with(br#"{"command":"provision""#)).cloned();
    all.extend(std::iter::repeat_n(provisioning.expect("it is there"), 6));
    all
});

const WORDS: &[&[u8]] = &[
    b"[[[[[[[[[[[[[[[[",
    b"null",
    b"true",
    b"{}",
    b"\"query\":1,",
    b"\"\\ud800\"",
    b"1e400",
    b"-0.0",
    b"\"command\":",
];

/// What a tenant's administrator changes.
static TENANT: LazyLock<Provision> = LazyLock::new(|| {
    let flow = "[flow]\\nstart = 'a'\\n[step.a]\\ndo = 'hangup'\\n";
    let text = format!(
        "[[tenant]]\nname = 'acme'\n[[skill]]\ntenant = 'acme'\nname = 'sales'\n\
         [[flow]]\ntenant = 'acme'\nname = 'main'\ntext = \"{flow}\"\n\
         [[number]]\nnumber = '1'\ntenant = 'acme'\nflow = 'main'\n"
    );
    parse(&text, "tenant.toml").expect("no faults")
});

/// What was read is written and read to the same.
fn check_again(request: &Request) {
    let line = match request {
        Request::Command(command) => serde_json::to_vec(command),
        Request::Query(query) => serde_json::to_vec(query),
    };
    match read_line(&line.expect("JSON")) {
        Ok(Line::Request(again)) => assert_eq!(*again, *request),
        other => panic!("{request:?} became {other:?}"),
    }
}

fn target(mut chance: Chance<'_>) {
    let mut line = if chance.one_in(16) { chance.take(400).to_vec() } else { chance.bent(&CORPUS, WORDS) };
    if chance.one_in(32) {
        line = [b"{\"command\":".to_vec(), b"[".repeat(60_000)].concat();
    }
    match read_line(&line) {
        Ok(Line::Records(records)) => match read_line(&serde_json::to_vec(&records).expect("JSON")) {
            Ok(Line::Records(again)) => assert_eq!(again, records),
            other => panic!("{records:?} became {other:?}"),
        },
        Ok(Line::Request(request)) => {
            check_again(&request);
            if let Request::Command(Command::Put { entity }) = &*request
                && let Ok(new) = entity::put(&TENANT, (**entity).clone())
            {
                assert_eq!(check(&new), [], "{entity:?}");
            }
            if let Request::Command(Command::Provision { provision }) = *request
                && check(&provision).is_empty()
            {
                provision::check_sound(&provision);
            }
        }
        Ok(Line::Log(change)) => assert!(change.module.len() + change.level.len() <= line.len()),
        Err(error) => {
            let reason = error.to_string();
            assert!(!reason.is_empty() && reason.len() <= 2 * line.len() + 400, "the reason quotes without bound");
        }
    }
}

#[test]
fn lines() {
    fuzz!(512, target);
}
