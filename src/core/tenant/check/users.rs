//! Users, and how much tenants may have.

use std::collections::{HashMap, HashSet};

use super::Checker;
use crate::core::tenant::expand;
use crate::core::tenant::provision::{Quota, Role, Tenant, User};

/// Longest name of an account, in octets (useradd(8)).
const ACCOUNT_LENGTH_MAX: usize = 32;

/// Most users.
pub(super) const USERS_MAX: usize = 10_000;

/// Longest path of a socket, in octets (unix(7)).
const SOCKET_LENGTH_MAX: usize = 107;

impl<'p> Checker<'p> {
    pub(super) fn access(&mut self) {
        self.enter_single("access");
        if let Some(path) = &self.provision.access.socket
            && (!path.starts_with('/') || path.ends_with('/') || path.len() > SOCKET_LENGTH_MAX)
        {
            let expected =
                format!("an absolute path of at most {SOCKET_LENGTH_MAX} octets, as /run/cordboard/users.sock");
            self.problem("socket", format!("`socket` is {path:?}"), expected);
        }
    }

    pub(super) fn users(&mut self) {
        let provision = self.provision;
        let (mut names, mut accounts) = (HashSet::new(), HashMap::new());
        for (index, user) in provision.user.iter().enumerate() {
            self.enter(index, user);
            if index == USERS_MAX {
                self.problem("", format!("{} users in all", provision.user.len()), format!("at most {USERS_MAX}"));
                return;
            }
            self.name("name", &user.name);
            self.unique(&mut names, "name", user.name.as_str(), &user.name);
            self.account(user);
            if let Some(other) = accounts.insert(user.account.as_str(), user.name.as_str()) {
                let what = format!("account {:?} is that of user {other:?}", user.account);
                self.problem("account", what, "an account of its own");
            }
            self.place(user);
        }
    }

    fn account(&mut self, user: &User) {
        let account = user.account.as_str();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$' | '@');
        if account.is_empty() || account.len() > ACCOUNT_LENGTH_MAX || !account.chars().all(fits) {
            let expected =
                format!("an account of the operating system: 1 to {ACCOUNT_LENGTH_MAX} letters, digits, -, _, ., @");
            self.problem("account", format!("`account` is {account:?}"), expected);
        }
    }

    /// The tenant and the agent that the role asks for, and no others.
    fn place(&mut self, user: &'p User) {
        let role = user.role;
        match (&user.tenant, role) {
            (None, Role::Administrator | Role::Supervisor | Role::Agent) => {
                self.problem("tenant", format!("the user is {} of no tenant", with_article(role)), "`tenant`");
            }
            (Some(_), Role::Operator) => {
                self.problem("tenant", "an operator belongs to no tenant", "no `tenant`, or another role");
            }
            (Some(tenant), _) => self.tenant_exists(tenant),
            (None, Role::Operator | Role::Auditor) => {}
        }
        match (&user.agent, &user.tenant, role) {
            (None, _, Role::Agent) => self.problem("agent", "it is not said which agent the user is", "`agent`"),
            (Some(_), _, Role::Operator | Role::Auditor | Role::Administrator | Role::Supervisor) => {
                let what = format!("`agent` of a user who is {}", with_article(role));
                self.problem("agent", what, "it with role = \"agent\" only");
            }
            (Some(agent), Some(tenant), Role::Agent) if !self.agent_exists(tenant, agent) => {
                let names = self.agent_names.take();
                let known = names.iter().flat_map(|all| all.get(tenant.as_str())).flatten();
                self.refers_within(
                    "agent",
                    "agent",
                    (tenant, agent),
                    known.map(|name| (tenant.as_str(), name.as_str())),
                );
                self.agent_names = names;
            }
            _ => {}
        }
    }

    /// Whether a tenant keeps to what it may have.
    pub(super) fn quotas(&mut self) {
        let provision = self.provision;
        if provision.tenant.iter().all(|tenant| tenant.quota == Quota::default()) {
            return;
        }
        let count = |tenants: &mut dyn Iterator<Item = (&'p str, u64)>| {
            let mut counts: HashMap<&str, u64> = HashMap::new();
            tenants.for_each(|(tenant, n)| *counts.entry(tenant).or_default() += n);
            counts
        };
        let agents = count(&mut provision.agent.iter().map(|agent| (agent.tenant.as_str(), expand::count(agent))));
        let queues = count(&mut provision.queue.iter().map(|queue| (queue.tenant.as_str(), 1)));
        let flows = count(&mut provision.flow.iter().map(|flow| (flow.tenant.as_str(), 1)));
        let numbers = count(&mut provision.number.iter().map(|number| (number.tenant.as_str(), 1)));
        let users = count(&mut provision.user.iter().filter_map(|user| Some((user.tenant.as_deref()?, 1))));
        for (index, tenant) in provision.tenant.iter().enumerate() {
            self.enter(index, tenant);
            let Tenant { name, quota, .. } = tenant;
            let bounds = [
                ("agents", quota.agents, &agents),
                ("queues", quota.queues, &queues),
                ("flows", quota.flows, &flows),
                ("numbers", quota.numbers, &numbers),
                ("users", quota.users, &users),
            ];
            for (what, most, counts) in bounds {
                let Some(most) = most else { continue };
                let count = counts.get(name.as_str()).copied().unwrap_or(0);
                if count > u64::from(most) {
                    let told = format!("tenant {name:?} has {count} {what} and a quota of {most}");
                    self.problem(&format!("quota.{what}"), told, format!("fewer {what}, or a greater quota"));
                }
            }
        }
    }
}

fn with_article(role: Role) -> String {
    format!("{} {}", if matches!(role, Role::Supervisor) { "a" } else { "an" }, role.as_str())
}
