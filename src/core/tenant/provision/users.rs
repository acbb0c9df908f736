//! Who may ask and order what, and how much a tenant may have.

use serde::{Deserialize, Serialize};

/// `[access]`: how users other than the operator's own account reach the appliance.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Path of the control socket for users; none when absent. Its directory must be there, and nobody but the user that
    /// runs the appliance or root may change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
}

/// What a user is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the appliance, for all tenants.
    Operator,
    /// Looks and changes nothing.
    Auditor,
    /// Runs a tenant.
    Administrator,
    /// Leads a tenant's agents.
    Supervisor,
    /// Takes a tenant's contacts.
    Agent,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 5] = [Role::Operator, Role::Auditor, Role::Administrator, Role::Supervisor, Role::Agent];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
            Self::Supervisor => "supervisor",
            Self::Agent => "agent",
        }
    }
}

/// `[[user]]`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Name, unique on the appliance.
    pub name: String,
    /// What the user is.
    pub role: Role,
    /// Tenant's name; none of an operator, and of an auditor who sees all tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// With the role agent: which of the tenant's agents it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Account of the operating system by which the control socket knows the user, of no other user.
    pub account: String,
}

/// `quota = { .. }` of a tenant: how much it may have; as much as the appliance has room for where it says nothing.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// Agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<u32>,
    /// Queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queues: Option<u32>,
    /// Flows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<u32>,
    /// Numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<u32>,
    /// Users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
    /// Work items that have not ended, wishes to be called back among them, calls not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub works: Option<u32>,
}
