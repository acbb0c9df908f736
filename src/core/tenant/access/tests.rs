use super::*;
use crate::core::journal::Cdr;

/// One tenant's work item 1 with agent ana, its call 2; another's 3 and 4.
struct World;

impl Owners for World {
    fn of_work(&self, work: WorkItemId) -> Option<Owner> {
        match work.0 {
            1 => Some(("acme".into(), Some("acme/ana".into()))),
            3 => Some(("blue".into(), Some("blue/ana".into()))),
            _ => None,
        }
    }

    fn of_call(&self, call: CallId) -> Option<Owner> {
        match call.0 {
            2 => Some(("acme".into(), None)),
            4 => Some(("blue".into(), None)),
            _ => None,
        }
    }
}

fn user(role: Role, tenant: Option<&str>, agent: Option<&str>) -> Principal {
    let (tenant, agent) = (tenant.map(String::from), agent.map(String::from));
    Principal { user: "uma".into(), role, tenant, agent }
}

fn principals() -> [Principal; 6] {
    [
        user(Role::Operator, None, None),
        user(Role::Auditor, None, None),
        user(Role::Auditor, Some("acme"), None),
        user(Role::Administrator, Some("acme"), None),
        user(Role::Supervisor, Some("acme"), None),
        user(Role::Agent, Some("acme"), Some("ana")),
    ]
}

#[test]
fn the_table_has_each_deed_once_and_is_in_the_documentation() {
    for (at, (deed, words, extents)) in RIGHTS.iter().enumerate() {
        assert!(!RIGHTS[..at].iter().any(|(other, ..)| other == deed), "{deed:?}");
        assert!(!words.is_empty() && extents[0] == Extent::All, "{deed:?}: an operator may everything");
        let column = |who: &Principal| who.extent(*deed);
        assert_eq!(principals().each_ref().map(column), *extents, "{deed:?}");
    }
    let documented = include_str!("../../../../README.md");
    assert!(documented.contains(&table()), "README has not this table:\n{}", table());
}

#[test]
fn auditors_change_nothing_and_no_tenant_reaches_beyond_itself() {
    let changes = [
        Deed::AgentState,
        Deed::AddWork,
        Deed::TakeWork,
        Deed::TreatWork,
        Deed::CancelWork,
        Deed::HangUp,
        Deed::Repair,
        Deed::Configure,
    ];
    for (deed, _, extents) in RIGHTS {
        if changes.contains(&deed) || matches!(deed, Deed::Provision | Deed::Run) {
            assert_eq!(extents[1..3], [Extent::None; 2], "{deed:?}");
        }
        assert!(extents[2..].iter().all(|extent| *extent != Extent::All), "{deed:?}");
    }
}

#[test]
fn what_is_anothers_is_refused_as_what_is_not_there() {
    let boss = user(Role::Administrator, Some("acme"), None);
    let hangup = |call| permits(&boss, &Command::Hangup { call: CallId(call) }, &World);
    assert_eq!(hangup(2), Ok(()));
    for call in [4, 5] {
        assert_eq!(hangup(call), Err(Denied::Unknown(no_call(CallId(call)))));
    }
    let cancel = |work| permits(&boss, &Command::WorkCancel { work: WorkItemId(work), reason: String::new() }, &World);
    assert_eq!(cancel(1), Ok(()));
    for work in [3, 5] {
        assert_eq!(cancel(work), Err(Denied::Unknown(no_work(WorkItemId(work)))));
    }
    // Both of what an order names count.
    let accept =
        |tenant: &str, work| Command::WorkAccept { tenant: tenant.into(), agent: "ana".into(), work: WorkItemId(work) };
    assert_eq!(permits(&boss, &accept("acme", 1), &World), Ok(()));
    assert_eq!(permits(&boss, &accept("acme", 3), &World), Err(Denied::Unknown(no_work(WorkItemId(3)))));
    for tenant in ["blue", "nowhere"] {
        assert_eq!(permits(&boss, &accept(tenant, 1), &World), Err(Denied::Unknown(no_agent(tenant, "ana"))));
    }
}

#[test]
fn an_order_concerns_the_tenant_whose_item_it_is() {
    let accept =
        |tenant: &str, work| Command::WorkAccept { tenant: tenant.into(), agent: "ana".into(), work: WorkItemId(work) };
    let decline = |tenant: &str, work| Command::WorkDecline {
        tenant: tenant.into(),
        agent: "ana".into(),
        work: WorkItemId(work),
    };
    for (tenant, work, of) in [("acme", 1, "acme"), ("acme", 3, "blue"), ("blue", 1, "acme")] {
        assert_eq!(concerned(&accept(tenant, work), &World).as_deref(), Some(of));
        assert_eq!(concerned(&decline(tenant, work), &World).as_deref(), Some(of));
    }
    let resume = Command::Resume { tenant: "acme".into(), agent: "ana".into() };
    assert_eq!(concerned(&resume, &World).as_deref(), Some("acme"));
    assert_eq!(concerned(&Command::Stop, &World), None);
}

#[test]
fn an_agent_is_for_itself() {
    let ana = user(Role::Agent, Some("acme"), Some("ana"));
    let resume = |agent: &str| Command::Resume { tenant: "acme".into(), agent: agent.into() };
    assert_eq!(permits(&ana, &resume("ana"), &World), Ok(()));
    for other in ["ben", "nobody"] {
        assert_eq!(permits(&ana, &resume(other), &World), Err(Denied::NotOneself { agent: "acme/ana".into() }));
    }
    let ben = user(Role::Agent, Some("acme"), Some("ben"));
    let complete = Command::WorkComplete { work: WorkItemId(1), disposition: None, note: None };
    assert_eq!(permits(&ana, &complete, &World), Ok(()));
    assert_eq!(permits(&ben, &complete, &World), Err(Denied::Unknown(no_work(WorkItemId(1)))));
    assert!(matches!(permits(&ana, &Command::Hangup { call: CallId(2) }, &World), Err(Denied::Role { .. })));
    let works = |agent: Option<&str>| Query::Works {
        tenant: None,
        queue: None,
        state: None,
        after: None,
        agent: agent.map(String::from),
    };
    let own = Query::Works { tenant: None, queue: None, state: None, after: None, agent: Some("acme/ana".into()) };
    assert_eq!(narrow_query(&ana, works(None), &World), Ok(own));
    assert!(narrow_query(&ana, works(Some("acme/ben")), &World).is_err());
}

#[test]
fn who_should_have_a_tenant_and_has_none_is_nobody() {
    let provisioned = |role, tenant: Option<&str>, agent: Option<&str>| {
        let (tenant, agent) = (tenant.map(String::from), agent.map(String::from));
        Principal::of(&User { name: "uma".into(), role, tenant, agent, account: "uma".into() })
    };
    for role in [Role::Administrator, Role::Supervisor, Role::Agent] {
        assert_eq!(provisioned(role, None, Some("ana")), None);
    }
    assert_eq!(provisioned(Role::Agent, Some("acme"), None), None);
    assert_eq!(provisioned(Role::Operator, Some("acme"), None), None);
    assert!(provisioned(Role::Auditor, None, None).is_some());
}

fn record(tenant: &str, events: &[(&str, &str)]) -> Cdr {
    let event = |(what, detail): &(&str, &str)| serde_json::json!({ "at": 1, "what": what, "detail": detail });
    let cdr = serde_json::json!({
        "call_id": "0000000000000002", "tenant": tenant, "medium": "voice", "direction": "inbound", "from": "1", "to": "2",
        "started_at": 1, "answered_at": null, "ended_at": null, "agent": null, "cause": null, "queued_ms": 0, "legs": [],
        "events": events.iter().map(event).collect::<Vec<_>>(),
    });
    serde_json::from_value(cdr).expect("a record")
}

#[test]
fn records_are_narrowed_to_the_tenant_and_to_what_it_may_know_of_trunks() {
    let [operator, _, auditor, boss, lead, ana] = principals();
    let works = |tenant: Option<&str>| Records::Works { tenant: tenant.map(String::from), before: None };
    for who in [&auditor, &boss, &lead] {
        assert_eq!(narrow_records(who, works(None)), Ok(works(Some("acme"))));
        for other in ["blue", "nowhere"] {
            assert_eq!(narrow_records(who, works(Some(other))), Err(Denied::Unknown(no_tenant(other))));
        }
    }
    assert_eq!(narrow_records(&operator, works(None)), Ok(works(None)));
    assert!(matches!(narrow_records(&ana, works(None)), Err(Denied::Role { .. })));
    let trail = Records::Audit { tenant: None, until: None };
    assert!(matches!(narrow_records(&lead, trail.clone()), Err(Denied::Role { .. })));
    assert!(narrow_records(&auditor, trail).is_ok());

    let told = [
        (ADMITTED, "34b: call 1 of 2 permitted to 2 agents, trunk 7 of 24 in use, worth 1.000, price 0.500"),
        (PREEMPTED, "call 0000000000000004, trunk carrier"),
        (RESTARTED, "card0/1/7"),
        ("flow", "help"),
    ];
    let calls = || vec![record("acme", &told), record("blue", &told), record("", &[])];
    let reply = |who| narrow_reply(who, Deed::ReadRecords, Reply::CallRecords { calls: calls(), more: false });
    let own = [(ADMITTED, "call 1 of 2 permitted to 2 agents"), (PREEMPTED, ""), (RESTARTED, ""), ("flow", "help")];
    assert_eq!(reply(&boss), Reply::CallRecords { calls: vec![record("acme", &own)], more: false });
    assert_eq!(reply(&operator), Reply::CallRecords { calls: calls(), more: false });
    assert_eq!(reply(&ana), Reply::CallRecords { calls: vec![], more: false }, "whatever the store gave");
}
