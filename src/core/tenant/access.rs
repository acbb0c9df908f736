//! Who may ask and order what, and what is left of an answer: the one place that knows.
//!
//! A user of a tenant deals with that tenant alone. What is another tenant's and what is not there are told apart by nobody:
//! both are refused in the same words, which are those of an appliance that has no other tenant.

use std::fmt;

use crate::base::{CallId, WorkItemId};
use crate::core::contact::{Origin, Work};
use crate::core::control::{Command, ContractView, Query, Reply};
use crate::core::records::Records;
use crate::core::tenant::provision::{Role, User};
use crate::core::trunk::circuits::RESTARTED;
use crate::core::trunk::preempt::{PREEMPTED, PREEMPTS};
use crate::core::trunk::sharing::{ADMITTED, NOT_ADMITTED, own_part};

/// How far a right goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// Not at all.
    None,
    /// What is the agent's own: itself, and what it is offered or has.
    Own,
    /// What is the tenant's.
    Tenant,
    /// Everything.
    All,
}

impl Extent {
    /// In a table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::Own => "own",
            Self::Tenant => "tenant",
            Self::All => "all",
        }
    }
}

/// Something to be asked or ordered that rights are about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Deed {
    /// Read records of calls and of work items.
    ReadRecords,
    /// Read what users have ordered.
    ReadAudit,
    /// See what is provisioned of tenants.
    SeeEntities,
    /// Change what is provisioned of a tenant.
    Configure,
    /// Replace the provisioning.
    Provision,
    /// Sign agents in and out, pause and resume them.
    AgentState,
    /// Add work items.
    AddWork,
    /// Take or refuse work items that are offered.
    TakeWork,
    /// Complete work items, hand them on, say more of them.
    TreatWork,
    /// Take work items back.
    CancelWork,
    /// End calls.
    HangUp,
    /// Lift bans, restart circuits.
    Repair,
    /// Stop the appliance, read its certificates anew, change its log.
    Run,
    /// See one's own rights.
    Whoami,
    /// See counters and bounds; of a tenant, its own.
    SeeStatus,
    /// See calls in progress.
    SeeCalls,
    /// See agents.
    SeeAgents,
    /// See queues.
    SeeQueues,
    /// See contracts; of a tenant without what others do on the trunks.
    SeeContracts,
    /// See work items.
    SeeWorks,
    /// See why work items are where they are, and where one would go.
    ExplainWorks,
    /// See trunks, their circuits, sites, routes, servers and bans.
    SeeTrunks,
}

/// Names of the columns of [`RIGHTS`]: the roles, an auditor with a tenant apart from one without.
pub const COLUMNS: [&str; 6] = ["operator", "auditor", "auditor of a tenant", "administrator", "supervisor", "agent"];

const A: Extent = Extent::All;
const T: Extent = Extent::Tenant;
const O: Extent = Extent::Own;
const N: Extent = Extent::None;

/// Every right, with its words. What is not here nobody has.
pub const RIGHTS: [(Deed, &str, [Extent; 6]); 22] = [
    (Deed::Whoami, "see one's own rights", [A, A, T, T, T, O]),
    (Deed::SeeQueues, "see queues", [A, A, T, T, T, T]),
    (Deed::SeeAgents, "see agents", [A, A, T, T, T, O]),
    (Deed::SeeWorks, "see work items", [A, A, T, T, T, O]),
    (Deed::ExplainWorks, "see why work items are where they are", [A, A, T, T, T, N]),
    (Deed::SeeCalls, "see calls", [A, A, T, T, T, N]),
    (Deed::SeeStatus, "see counters and quotas", [A, A, T, T, T, N]),
    (Deed::SeeContracts, "see contracts", [A, A, T, T, T, N]),
    (Deed::SeeTrunks, "see trunks, circuits, sites, routes, servers and bans", [A, A, N, N, N, N]),
    (Deed::ReadRecords, "read records of calls and work items", [A, A, T, T, T, N]),
    (Deed::ReadAudit, "read what users have ordered", [A, A, T, T, N, N]),
    (Deed::SeeEntities, "see how agents, queues, flows and numbers are provisioned", [A, A, T, T, T, N]),
    (Deed::Configure, "change agents, skills, attributes, queues, flows, and where numbers lead", [A, N, N, T, N, N]),
    (Deed::AgentState, "sign agents in and out, pause and resume them", [A, N, N, T, T, O]),
    (Deed::TakeWork, "accept and decline work items", [A, N, N, T, T, O]),
    (Deed::TreatWork, "complete, transfer and describe work items", [A, N, N, T, T, O]),
    (Deed::AddWork, "add work items", [A, N, N, T, T, N]),
    (Deed::CancelWork, "cancel work items", [A, N, N, T, T, N]),
    (Deed::HangUp, "end calls", [A, N, N, T, T, N]),
    (Deed::Repair, "lift bans, restart circuits", [A, N, N, N, N, N]),
    (Deed::Provision, "change the provisioning", [A, N, N, N, N, N]),
    (Deed::Run, "stop the appliance, read certificates anew", [A, N, N, N, N, N]),
];

impl Deed {
    /// What a command is.
    pub const fn of_command(command: &Command) -> Self {
        match command {
            Command::Provision { .. } => Self::Provision,
            Command::Put { .. } | Command::Remove { .. } => Self::Configure,
            Command::SignIn { .. }
            | Command::SignInAt { .. }
            | Command::SignOut { .. }
            | Command::Pause { .. }
            | Command::Resume { .. } => Self::AgentState,
            Command::WorkAdd { .. } => Self::AddWork,
            Command::WorkAccept { .. } | Command::WorkDecline { .. } => Self::TakeWork,
            Command::WorkComplete { .. } | Command::WorkTransfer { .. } | Command::WorkDiscover { .. } => {
                Self::TreatWork
            }
            Command::WorkCancel { .. } => Self::CancelWork,
            Command::Hangup { .. } => Self::HangUp,
            Command::Unban { .. } | Command::RestartCircuits { .. } => Self::Repair,
            Command::Stop | Command::ReadCertificates => Self::Run,
        }
    }

    /// What a query is.
    pub const fn of_query(query: &Query) -> Self {
        match query {
            Query::Whoami => Self::Whoami,
            Query::Status | Query::TenantStatus { .. } => Self::SeeStatus,
            Query::Entities { .. } => Self::SeeEntities,
            Query::Calls => Self::SeeCalls,
            Query::Agents => Self::SeeAgents,
            Query::Queues => Self::SeeQueues,
            Query::Contracts => Self::SeeContracts,
            Query::Works { .. } | Query::Work { .. } => Self::SeeWorks,
            Query::Explain { .. } | Query::WhatIf { .. } => Self::ExplainWorks,
            Query::Trunks
            | Query::Circuits { .. }
            | Query::Sites
            | Query::Routes { .. }
            | Query::Locate { .. }
            | Query::Bans => Self::SeeTrunks,
        }
    }

    /// What a question about records is.
    pub const fn of_records(records: &Records) -> Self {
        match records {
            Records::Calls { .. } | Records::Call { .. } | Records::Works { .. } | Records::Work { .. } => {
                Self::ReadRecords
            }
            Records::Audit { .. } => Self::ReadAudit,
        }
    }

    fn row(self) -> Option<&'static (Deed, &'static str, [Extent; 6])> {
        RIGHTS.iter().find(|(deed, ..)| *deed == self)
    }

    /// In words, as in "may ...".
    pub fn as_str(self) -> &'static str {
        self.row().map_or("do that", |(_, words, _)| words)
    }
}

/// A user as rights see one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Principal {
    /// The user's name.
    pub user: String,
    /// What the user is.
    pub role: Role,
    /// The tenant; none of an operator and of an auditor of all.
    pub tenant: Option<String>,
    /// Which agent, with that role.
    pub agent: Option<String>,
}

impl Principal {
    /// Of a user as provisioned. A tenant is never taken from an operator, nor all tenants given to who should have one.
    pub fn of(user: &User) -> Option<Self> {
        let (tenant, agent) = (user.tenant.clone(), user.agent.clone());
        let fits = match user.role {
            Role::Operator => tenant.is_none(),
            Role::Auditor => true,
            Role::Administrator | Role::Supervisor => tenant.is_some(),
            Role::Agent => tenant.is_some() && agent.is_some(),
        };
        fits.then(|| Self { user: user.name.clone(), role: user.role, tenant, agent })
    }

    /// Who may do everything.
    pub fn operator(user: &str) -> Self {
        Self { user: user.to_owned(), role: Role::Operator, tenant: None, agent: None }
    }

    /// How far the right to do something goes.
    pub fn extent(&self, deed: Deed) -> Extent {
        let column = match (self.role, &self.tenant) {
            (Role::Operator, _) => 0,
            (Role::Auditor, None) => 1,
            (Role::Auditor, Some(_)) => 2,
            (Role::Administrator, _) => 3,
            (Role::Supervisor, _) => 4,
            (Role::Agent, _) => 5,
        };
        deed.row().and_then(|(.., extents)| extents.get(column).copied()).unwrap_or(Extent::None)
    }

    fn is_tenant(&self, tenant: &str) -> bool {
        self.tenant.as_deref() == Some(tenant)
    }

    /// `TENANT/NAME` of the agent who the user is.
    fn oneself(&self) -> Option<String> {
        Some(full_agent(self.tenant.as_deref()?, self.agent.as_deref()?))
    }

    fn is_agent(&self, agent: Option<&str>) -> bool {
        agent.is_some() && self.oneself().as_deref() == agent
    }

    fn right(&self, deed: Deed) -> Result<Extent, Denied> {
        match self.extent(deed) {
            Extent::None => Err(Denied::Role { role: self.role, deed }),
            extent => Ok(extent),
        }
    }
}

/// Why something is not done or told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Denied {
    /// The role has no such right.
    Role {
        /// What the user is.
        role: Role,
        /// What was wanted.
        deed: Deed,
    },
    /// The right is for oneself alone.
    NotOneself {
        /// The agent that the user is.
        agent: String,
    },
    /// There is no such thing, or it is another tenant's.
    Unknown(String),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role { role, deed } => {
                write!(
                    f,
                    "not with the role {}: {}; `cordboard whoami` shows your rights",
                    role.as_str(),
                    deed.as_str()
                )
            }
            Self::NotOneself { agent } => write!(f, "with the role agent it goes for yourself alone: {agent}"),
            Self::Unknown(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Denied {}

/// Whose something is: tenant's name, and `TENANT/NAME` of the agent who has it or is asked, if any. An agent may serve other
/// tenants than its own.
pub type Owner = (String, Option<String>);

/// Who can say whose things are.
pub trait Owners {
    /// Of a work item that is open, or of the call that it is.
    fn of_work(&self, work: WorkItemId) -> Option<Owner>;
    /// Of a call in progress.
    fn of_call(&self, call: CallId) -> Option<Owner>;
}

/// What a request is about.
enum Subject<'r> {
    /// Everything.
    Appliance,
    Tenant(&'r str),
    Agent(&'r str, &'r str),
    Work(WorkItemId),
    Call(CallId),
}

fn subjects(command: &Command) -> Vec<Subject<'_>> {
    match command {
        Command::Provision { .. }
        | Command::RestartCircuits { .. }
        | Command::Unban { .. }
        | Command::Stop
        | Command::ReadCertificates => vec![Subject::Appliance],
        Command::SignIn { tenant, agent }
        | Command::SignInAt { tenant, agent, .. }
        | Command::SignOut { tenant, agent }
        | Command::Pause { tenant, agent, .. }
        | Command::Resume { tenant, agent } => vec![Subject::Agent(tenant, agent)],
        Command::WorkAdd { item } => vec![Subject::Tenant(&item.tenant)],
        Command::Put { entity } => vec![Subject::Tenant(entity.tenant())],
        Command::Remove { tenant, .. } => vec![Subject::Tenant(tenant)],
        Command::WorkAccept { tenant, agent, work } | Command::WorkDecline { tenant, agent, work } => {
            vec![Subject::Agent(tenant, agent), Subject::Work(*work)]
        }
        Command::WorkComplete { work, .. }
        | Command::WorkTransfer { work, .. }
        | Command::WorkCancel { work, .. }
        | Command::WorkDiscover { work, .. } => vec![Subject::Work(*work)],
        Command::Hangup { call } => vec![Subject::Call(*call)],
    }
}

/// Whether the subject is within what the right goes for. Never looks whether a tenant that is not the user's is there.
fn within(who: &Principal, extent: Extent, subject: &Subject<'_>, owners: &impl Owners) -> Result<(), Denied> {
    let own = extent == Extent::Own;
    let is_theirs = |owner: Option<Owner>| {
        owner.is_some_and(|(tenant, agent)| if own { who.is_agent(agent.as_deref()) } else { who.is_tenant(&tenant) })
    };
    let unknown = |what: String| Err(Denied::Unknown(what));
    match subject {
        _ if extent == Extent::All => Ok(()),
        Subject::Tenant(tenant) if who.is_tenant(tenant) => Ok(()),
        Subject::Tenant(tenant) => unknown(no_tenant(tenant)),
        Subject::Agent(tenant, agent) if who.is_tenant(tenant) => match &who.agent {
            Some(oneself) if own && oneself != agent => {
                Err(Denied::NotOneself { agent: format!("{tenant}/{oneself}") })
            }
            _ => Ok(()),
        },
        Subject::Agent(tenant, agent) => unknown(no_agent(tenant, agent)),
        Subject::Work(work) if is_theirs(owners.of_work(*work)) => Ok(()),
        Subject::Work(work) => unknown(no_work(*work)),
        Subject::Call(call) if is_theirs(owners.of_call(*call)) => Ok(()),
        Subject::Call(call) => unknown(no_call(*call)),
        Subject::Appliance => Err(Denied::Role { role: who.role, deed: Deed::Run }),
    }
}

/// Whether a user may give an order.
///
/// # Errors
/// [`Denied`]; nothing is to be done then.
pub fn permits(who: &Principal, command: &Command, owners: &impl Owners) -> Result<(), Denied> {
    let extent = who.right(Deed::of_command(command))?;
    subjects(command).iter().try_for_each(|subject| within(who, extent, subject, owners))
}

/// What a user's question comes to: narrowed to what the user may see.
///
/// # Errors
/// [`Denied`]; nothing is to be told then.
pub fn narrow_query(who: &Principal, query: Query, owners: &impl Owners) -> Result<Query, Denied> {
    let extent = who.right(Deed::of_query(&query))?;
    let Some(own) = who.tenant.clone().filter(|_| extent != Extent::All) else { return Ok(query) };
    let within = |subject| within(who, extent, &subject, owners);
    match &query {
        Query::Status => return Ok(Query::TenantStatus { tenant: own }),
        Query::Works { tenant, agent, .. } => {
            if let Some(tenant) = tenant {
                within(Subject::Tenant(tenant))?;
            }
            if let (Some(agent), Extent::Own) = (agent, extent) {
                let (tenant, name) = agent.split_once('/').unwrap_or((&own, agent));
                within(Subject::Agent(tenant, name))?;
            }
        }
        Query::TenantStatus { tenant } | Query::Entities { tenant: Some(tenant), .. } => {
            within(Subject::Tenant(tenant))?
        }
        Query::Entities { tenant: None, .. } => {}
        Query::Work { work } | Query::Explain { work } => within(Subject::Work(*work))?,
        Query::WhatIf { item } => within(Subject::Tenant(&item.tenant))?,
        Query::Whoami | Query::Calls | Query::Agents | Query::Queues | Query::Contracts => {}
        Query::Trunks
        | Query::Circuits { .. }
        | Query::Sites
        | Query::Routes { .. }
        | Query::Locate { .. }
        | Query::Bans => within(Subject::Appliance)?,
    }
    Ok(match query {
        Query::Works { queue, state, after, agent, .. } => {
            // An agent's own may be of other tenants that it serves.
            let (tenant, agent) = if extent == Extent::Own { (None, who.oneself()) } else { (Some(own), agent) };
            Query::Works { tenant, queue, state, after, agent }
        }
        Query::Entities { kind, .. } => Query::Entities { tenant: Some(own), kind },
        other => other,
    })
}

/// What a user's question about records comes to. What is asked for by its id is looked at when it is found, by
/// [`narrow_reply`].
///
/// # Errors
/// [`Denied`]; nothing is to be told then.
pub fn narrow_records(who: &Principal, mut records: Records) -> Result<Records, Denied> {
    let extent = who.right(Deed::of_records(&records))?;
    let Some(own) = who.tenant.clone().filter(|_| extent != Extent::All) else { return Ok(records) };
    match &mut records {
        Records::Calls { tenant, .. } | Records::Works { tenant, .. } | Records::Audit { tenant, .. } => match tenant {
            Some(other) if !who.is_tenant(other) => return Err(Denied::Unknown(no_tenant(other))),
            _ => *tenant = Some(own),
        },
        Records::Call { .. } | Records::Work { .. } => {}
    }
    Ok(records)
}

/// What a user hears of an answer to what was asked.
pub fn narrow_reply(who: &Principal, deed: Deed, reply: Reply) -> Reply {
    let extent = who.extent(deed);
    if extent == Extent::All {
        return reply;
    }
    let own = extent == Extent::Own;
    let theirs = |tenant: &str| extent != Extent::None && who.is_tenant(tenant);
    let seen = |tenant: &str, called: Option<&str>| {
        if own { who.is_agent(called.map(|called| full_agent(tenant, called)).as_deref()) } else { theirs(tenant) }
    };
    match reply {
        Reply::Done | Reply::Refused { .. } | Reply::Added { .. } | Reply::Whoami { .. } => reply,
        Reply::Calls { mut calls } => {
            calls.retain(|call| theirs(&call.tenant));
            Reply::Calls { calls }
        }
        Reply::Agents { mut agents } => {
            agents.retain(|agent| seen(&agent.tenant, Some(&agent.name)));
            for agent in &mut agents {
                agent.answered -= std::mem::take(&mut agent.answered_for_others).min(agent.answered);
            }
            Reply::Agents { agents }
        }
        Reply::Queues { mut queues } => {
            queues.retain(|queue| theirs(&queue.tenant));
            Reply::Queues { queues }
        }
        Reply::CallRecords { mut calls, more } => {
            calls.retain(|cdr| theirs(&cdr.tenant));
            for event in calls.iter_mut().flat_map(|cdr| &mut cdr.events) {
                without_trunk(&event.what, &mut event.detail);
            }
            Reply::CallRecords { calls, more }
        }
        Reply::WorkRecords { mut works, more } => {
            works.retain(|work| seen(&work.tenant, work.agent.as_deref()));
            works.iter_mut().for_each(|work| narrow_work(who, work));
            Reply::WorkRecords { works, more }
        }
        Reply::Audit { mut entries, more } => {
            entries.retain(|entry| entry.tenant.as_deref().is_some_and(theirs));
            Reply::Audit { entries, more }
        }
        Reply::Entities { mut entities } => {
            entities.retain(|entity| theirs(entity.tenant()));
            Reply::Entities { entities }
        }
        Reply::Contracts { mut contracts } => {
            contracts.retain(|contract| theirs(&contract.tenant));
            Reply::Contracts { contracts: contracts.into_iter().map(without_others).collect() }
        }
        Reply::Works { mut works, more } => {
            works.retain(|work| seen(&work.tenant, work.agent.as_deref()));
            Reply::Works { works, more }
        }
        Reply::Work(mut work) if seen(&work.tenant, work.agent.as_deref()) => {
            narrow_work(who, &mut work);
            Reply::Work(work)
        }
        Reply::Explained(mut said) if theirs(&said.work.tenant) => {
            narrow_work(who, &mut said.work);
            Reply::Explained(said)
        }
        Reply::TenantStatus(status) if theirs(&status.tenant) => Reply::TenantStatus(status),
        Reply::Work(_)
        | Reply::Explained(_)
        | Reply::TenantStatus(_)
        | Reply::Status(_)
        | Reply::Trunks { .. }
        | Reply::Circuits { .. }
        | Reply::Restarted { .. }
        | Reply::Sites { .. }
        | Reply::Routes(_)
        | Reply::Located { .. }
        | Reply::Bans { .. } => Reply::Refused { reason: Denied::Role { role: who.role, deed }.to_string() },
    }
}

/// What of an item's history an agent is told where the item is of another tenant: nothing that names other agents.
const TOLD_TO_SERVANTS: [&str; 10] = [
    "added",
    "agreed",
    "due",
    "escalated",
    "discovered",
    "reached",
    "not-reached",
    "completed",
    "cancelled",
    "interrupted",
];

/// A record without what other tenants' calls on its trunk show in; of another tenant, without that tenant's agents.
fn narrow_work(who: &Principal, work: &mut Work) {
    let foreign = !who.is_tenant(&work.tenant);
    let oneself = who.oneself();
    for event in &mut work.events {
        without_trunk(&event.what, &mut event.detail);
        if foreign {
            event.reason = None;
            let told = TOLD_TO_SERVANTS.contains(&event.what.as_str()) || Some(&event.detail) == oneself.as_ref();
            if !told {
                event.detail.clear();
            }
        }
    }
}

/// What happened, without what other tenants' calls on the trunk show in.
fn without_trunk(what: &str, detail: &mut String) {
    match what {
        ADMITTED | NOT_ADMITTED => *detail = own_part(detail).to_owned(),
        // The other call, and which of the circuits was the first that was idle.
        PREEMPTED | PREEMPTS | RESTARTED => detail.clear(),
        _ => {}
    }
}

/// A contract without what other tenants' calls make of it.
fn without_others(contract: ContractView) -> ContractView {
    ContractView { trunk_calls: None, trunk_circuits: None, accepts: None, worth: None, price: None, ..contract }
}

/// The other tenant whose prompt a tenant's flow or queue names: the first folder of its name.
pub fn foreign_prompt<'n>(own: &str, prompt: &'n str, is_tenant: impl FnOnce(&str) -> bool) -> Option<&'n str> {
    let (folder, _) = prompt.split_once('/')?;
    Some(folder).filter(|folder| *folder != own && is_tenant(folder))
}

/// The tenant that an order concerns; none where it is the appliance. Whose work item it is counts, not whose agent: an agent
/// may serve other tenants.
pub fn concerned(command: &Command, owners: &impl Owners) -> Option<String> {
    subjects(command).last().and_then(|subject| match subject {
        Subject::Appliance => None,
        Subject::Tenant(tenant) | Subject::Agent(tenant, _) => Some((*tenant).to_owned()),
        Subject::Work(work) => owners.of_work(*work).map(|(tenant, _)| tenant),
        Subject::Call(call) => owners.of_call(*call).map(|(tenant, _)| tenant),
    })
}

/// The order as a user may give it: what it tells of an item comes from the user.
pub fn in_own_name(who: &Principal, command: Command) -> Command {
    match (who.role, command) {
        (Role::Operator, command) => command,
        (role, Command::WorkDiscover { work, attribute, value, .. }) => {
            let origin = if role == Role::Agent { Origin::Agent } else { Origin::Operator };
            Command::WorkDiscover { work, attribute, value, origin }
        }
        (_, command) => command,
    }
}

/// An order in a line for the records: no notes, and nothing of clients.
pub fn told(command: &Command) -> String {
    match command {
        Command::Provision { .. } => "provision apply".into(),
        Command::Put { entity } => format!("set {}", entity.full_name()),
        Command::Remove { tenant, kind, name } => format!("remove {} {tenant}/{name}", kind.as_str()),
        Command::SignIn { tenant, agent } => format!("agent sign-in {tenant}/{agent}"),
        Command::SignInAt { tenant, agent, site, .. } => match site {
            Some(site) => format!("agent sign-in {tenant}/{agent} at {site}"),
            None => format!("agent sign-in {tenant}/{agent} elsewhere"),
        },
        Command::SignOut { tenant, agent } => format!("agent sign-out {tenant}/{agent}"),
        Command::Pause { tenant, agent, reason } => format!("agent pause {tenant}/{agent}: {reason}"),
        Command::Resume { tenant, agent } => format!("agent resume {tenant}/{agent}"),
        Command::WorkAdd { item } => format!("work add {} to {}/{}", item.medium, item.tenant, item.queue),
        Command::WorkAccept { tenant, agent, work } => format!("work accept {work} for {tenant}/{agent}"),
        Command::WorkDecline { tenant, agent, work } => format!("work decline {work} for {tenant}/{agent}"),
        Command::WorkComplete { work, disposition, .. } => match disposition {
            Some(disposition) => format!("work complete {work}: {disposition}"),
            None => format!("work complete {work}"),
        },
        Command::WorkTransfer { work, queue, agent, .. } => {
            let to = [queue, agent].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" for ");
            format!("work transfer {work} to {to}")
        }
        Command::WorkCancel { work, reason } => format!("work cancel {work}: {reason}"),
        Command::WorkDiscover { work, attribute, .. } => format!("work set {work}: {attribute}"),
        Command::Hangup { call } => format!("hangup {call}"),
        Command::Unban { source: Some(source) } => format!("unban {source}"),
        Command::Unban { source: None } => "unban --all".into(),
        Command::RestartCircuits { trunk, circuit: Some(circuit) } => format!("trunk restart {trunk} {circuit}"),
        Command::RestartCircuits { trunk, circuit: None } => format!("trunk restart {trunk}"),
        Command::Stop => "stop".into(),
        Command::ReadCertificates => "read certificates".into(),
    }
}

/// `TENANT/NAME` of an agent who is called so among contacts of a tenant: by its name, or where it is another's by both.
pub fn full_agent(tenant: &str, called: &str) -> String {
    if called.contains('/') { called.to_owned() } else { format!("{tenant}/{called}") }
}

/// What is said of a tenant that is not there.
pub fn no_tenant(tenant: &str) -> String {
    format!("no tenant {tenant:?} is provisioned; see `cordboard tenant list`")
}

/// What is said of an agent that is not there.
pub fn no_agent(tenant: &str, agent: &str) -> String {
    format!("no agent {tenant}/{agent} is provisioned; see `cordboard agent list`")
}

/// What is said of a work item that is not open.
pub fn no_work(work: WorkItemId) -> String {
    format!("no work item {work} is open; `cordboard work list` shows those that are")
}

/// What is said of a call that is not in progress.
pub fn no_call(call: CallId) -> String {
    format!("no call {call} is in progress; see `cordboard calls`")
}

/// The rights as a table in Markdown, as the documentation has it.
pub fn table() -> String {
    let mut text = format!("| may | {} |\n| --- |{}\n", COLUMNS.join(" | "), " --- |".repeat(COLUMNS.len()));
    for (_, words, extents) in RIGHTS {
        let cells: Vec<&str> = extents.iter().map(|extent| extent.as_str()).collect();
        text.push_str(&format!("| {words} | {} |\n", cells.join(" | ")));
    }
    text
}

#[cfg(test)]
#[path = "access/tests.rs"]
mod tests;
