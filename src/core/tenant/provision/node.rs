//! This appliance among those that it is joined to, as data.

use serde::{Deserialize, Serialize};

/// `[node]`: what this appliance is called by those that trunks join it to (`node` of a trunk), and what it does among them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// Name, unique among them; empty for an appliance that is joined to none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it does: `switch`, `resource`, `workflow`; everything by default.
    pub roles: Vec<String>,
}

/// What an appliance may do among those that it is joined to.
pub const ROLES: [&str; 3] = [SWITCH, RESOURCE, WORKFLOW];
/// It has lines of the telephone network: cards, and trunks that lead to no node.
pub const SWITCH: &str = "switch";
/// It talks to callers: flows that do more than pass them on.
pub const RESOURCE: &str = "resource";
/// It has queues and agents.
pub const WORKFLOW: &str = "workflow";

impl Default for Node {
    fn default() -> Self {
        Self { name: String::new(), roles: ROLES.map(String::from).to_vec() }
    }
}

impl Node {
    /// Whether it does this.
    pub fn is(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }
}
