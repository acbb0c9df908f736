//! Work items as consoles describe them and see them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attribute::Level;
use super::modifier::Modifier;
use super::routing::Policy;
use super::work::{Work, WorkState};
use crate::base::{Medium, Redacted, Timestamp, WorkItemId};
use crate::core::queue::Terms;

/// A work item as somebody describes it who adds it, or asks where it would go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkSpec {
    /// Tenant's name.
    pub tenant: String,
    /// Its medium.
    pub medium: Medium,
    /// Queue's name.
    pub queue: String,
    /// The client: a number or an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Redacted<String>>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Redacted<String>>,
    /// Attributes by name: a symbol, symbols with commas, or a level.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// How attributes count, beside what the queue says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modifiers: Vec<Modifier>,
    /// The number at which the client is to be called back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Redacted<String>>,
    /// When its time comes; at once without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
}

/// A work item in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkView {
    /// Its id.
    pub id: WorkItemId,
    /// Tenant's name.
    pub tenant: String,
    /// Its medium.
    pub medium: Medium,
    /// Queue's name.
    pub queue: String,
    /// Where it stands.
    pub state: WorkState,
    /// The agent to whom it is offered, or who has it.
    pub agent: Option<String>,
    /// The client.
    pub client: Option<String>,
    /// When the client made contact.
    pub arrived_at: Timestamp,
    /// When its time comes.
    pub due_at: Option<Timestamp>,
    /// How the client is called back, where it is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackView>,
    /// How long it has waited, in seconds; of one that an agent has, how long it did.
    pub waited_s: u64,
    /// Its place in its queue, from 1.
    pub position: Option<usize>,
    /// How long an agent will take to answer, in seconds, as far as that can be foretold.
    pub expected_wait_s: Option<u64>,
}

/// A wish to be called back, in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CallbackView {
    /// The number to call.
    pub number: String,
    /// Tries so far.
    pub tries: u32,
    /// Not before.
    pub retry_at: Option<Timestamp>,
    /// Client and agent talk.
    pub reached: bool,
    /// The client waits in the queue itself, or the appliance stops: nobody is asked meanwhile.
    pub rests: bool,
}

/// What an agent is to a work item.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CandidateView {
    /// The agent's name.
    pub agent: String,
    /// `could take it`, or why not.
    pub verdict: String,
    /// Does not fit, whatever the agent does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfit: bool,
    /// The score now, of who could take it, where the policy goes by the score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// What counts instead, of who could take it, under `fifo` and `best-skill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<BasisView>,
}

impl CandidateView {
    /// Whether the agent could take it now.
    pub fn could_take_it(&self) -> bool {
        self.terms.is_some() || self.basis.is_some()
    }
}

/// What a policy that does not go by the score compares agents by.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct BasisView {
    /// The least level of what is required, 0 to 1. It counts under `best-skill`.
    pub level: Level,
    /// How much other work steps aside, from 0.
    pub put_aside: u8,
    /// Idle for so long, in seconds.
    pub idle_s: f64,
}

/// Why an item is not given to who could take it now: a better agent is likely to be free soon.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HoldView {
    /// The best of those who could take it now.
    pub instead_of: String,
    /// The better ones, the one most likely to be free next first; at most [`BETTER_MAX`](crate::core::queue::BETTER_MAX).
    pub better: Vec<String>,
    /// How many there are.
    pub better_count: usize,
    /// When one of them is expected to be free, in seconds.
    pub free_in_s: f64,
    /// Points that are gained by waiting for them.
    pub gain: f64,
    /// Points by which the item's urgency grows until then.
    pub loss: f64,
    /// When it is looked at again at the latest, in seconds.
    pub look_in_s: f64,
}

/// Why a work item is where it is, or where it would go.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The item, with what happened to it: each offer with its reason.
    pub work: Box<Work>,
    /// How long it has waited, in seconds, credit included.
    pub waited_s: f64,
    /// Its place in its queue, from 1.
    pub position: Option<usize>,
    /// How long an agent will take to answer, in seconds.
    pub expected_wait_s: Option<u64>,
    /// Why it is held, or would be, though somebody could take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldView>,
    /// The policy by which agents are in order; only of an item that waits or would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// What the tenant's agents are to it, the first one first; only of an item that waits or would.
    pub candidates: Vec<CandidateView>,
    /// Agents that are left out of the list.
    pub left_out: usize,
}

impl Explanation {
    /// What a record says of itself.
    pub fn of_record(work: Work) -> Self {
        Self {
            waited_s: work.accepted_at.or(work.ended_at).map_or(0.0, |at| work.waited(at).as_secs_f64()),
            work: Box::new(work),
            position: None,
            expected_wait_s: None,
            hold: None,
            policy: None,
            candidates: vec![],
            left_out: 0,
        }
    }
}
