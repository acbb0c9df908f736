//! Users and quotas.

use super::*;
use crate::core::tenant::provision::{Quota, Role, User};

fn user(role: Role, tenant: Option<&str>, agent: Option<&str>) -> User {
    let (tenant, agent) = (tenant.map(String::from), agent.map(String::from));
    User { name: "uma".into(), role, tenant, agent, account: "uma".into() }
}

#[test]
fn users() {
    let with = |one: User| move |p: &mut Provision| p.user.push(one);
    for fits in [
        user(Role::Operator, None, None),
        user(Role::Auditor, None, None),
        user(Role::Auditor, Some("acme"), None),
        user(Role::Administrator, Some("acme"), None),
        user(Role::Supervisor, Some("blue"), None),
        user(Role::Agent, Some("acme"), Some("ana")),
    ] {
        let mut p = good();
        p.user.push(fits.clone());
        assert_eq!(problems(&p), [], "{fits:?}");
    }
    breaks("user[0].tenant", with(user(Role::Operator, Some("acme"), None)));
    breaks("user[0].tenant", with(user(Role::Administrator, None, None)));
    breaks("user[0].tenant", with(user(Role::Supervisor, Some("acne"), None)));
    breaks("user[0].agent", with(user(Role::Agent, Some("acme"), None)));
    breaks("user[0].agent", with(user(Role::Supervisor, Some("acme"), Some("ana"))));
    breaks("user[0].agent", with(user(Role::Agent, Some("blue"), Some("ana"))));
    breaks("user[0].name", with(User { name: "Uma".into(), ..user(Role::Operator, None, None) }));
    for account in ["", "a b", "a:b", "a/b", "müller", &"x".repeat(33)] {
        breaks("user[0].account", with(User { account: account.into(), ..user(Role::Operator, None, None) }));
    }
    breaks("user[1].account", |p| {
        let first = user(Role::Operator, None, None);
        p.user = vec![first.clone(), User { name: "udo".into(), ..first }];
    });
    let mut p = good();
    p.user.push(user(Role::Agent, Some("acme"), Some("anna")));
    assert!(problems(&p)[0].expected.contains("\"ana\" (did you mean that?)"), "{:?}", problems(&p));
    for bad in ["users.sock", "/run/cordboard/", "", &format!("/{}", "x".repeat(107))] {
        breaks("access.socket", |p| p.access.socket = Some(bad.into()));
    }
}

#[test]
fn quotas() {
    let mut p = good();
    p.tenant[0].quota =
        Quota { agents: Some(2), queues: Some(1), flows: Some(1), numbers: Some(2), users: Some(0), works: Some(0) };
    assert_eq!(problems(&p), []);
    let with = |quota: Quota| move |p: &mut Provision| p.tenant[0].quota = quota;
    breaks("tenant[0].quota.agents", with(Quota { agents: Some(1), ..Quota::default() }));
    breaks("tenant[0].quota.queues", with(Quota { queues: Some(0), ..Quota::default() }));
    breaks("tenant[0].quota.flows", with(Quota { flows: Some(0), ..Quota::default() }));
    breaks("tenant[0].quota.numbers", with(Quota { numbers: Some(0), ..Quota::default() }));
    breaks("tenant[0].quota.users", |p| {
        p.tenant[0].quota.users = Some(0);
        p.user.push(user(Role::Supervisor, Some("acme"), None));
    });
    // A range counts by its agents.
    breaks("tenant[0].quota.agents", |p| {
        p.tenant[0].quota.agents = Some(100);
        let bob = p.agent[1].clone();
        let phone = Some("bob{n}".into());
        p.agent[1] = Agent { name: "bob{n}".into(), range: Some([0, 99]), user: phone, code: None, pin: None, ..bob };
    });
}

#[test]
fn prompts_in_the_folder_of_another_tenant_are_warned_of() {
    let flow = |prompt: &str| {
        let text = format!(
            "[flow]\nstart = 'a'\n[step.a]\ndo = 'play'\nprompt = '{prompt}'\nnext = 'b'\n[step.b]\ndo = 'hangup'\n"
        );
        move |p: &mut Provision| p.flow[0].text.clone_from(&text)
    };
    let told = |change: &dyn Fn(&mut Provision)| {
        let mut p = good();
        change(&mut p);
        assert_eq!(problems(&p), [], "nobody learns by a fault that there is the other");
        warnings(&p).into_iter().filter(|told| told.contains("nobody else hears it")).count()
    };
    for own in
        ["acme/welcome", "welcome", "blue", "common/welcome", "en/digits/1", "acme/blue/welcome", "{dnis}/welcome"]
    {
        assert_eq!(told(&flow(own)), 0, "{own}");
    }
    for foreign in ["blue/welcome", "blue/deep/welcome"] {
        assert_eq!(told(&flow(foreign)), 1, "{foreign}");
    }
    assert_eq!(told(&|p| p.queue[0].music = Some("acme/waiting".into())), 0);
    assert_eq!(told(&|p| p.queue[0].music = Some("blue/waiting".into())), 1);
    breaks("tenant[1].name", |p| p.tenant[1].name = "en".into());
}
