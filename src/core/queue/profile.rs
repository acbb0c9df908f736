//! What the engine is told of tenants, agents, queues and items.

use std::fmt;
use std::time::Duration;

use crate::base::{AgentId, Medium, QueueId, TenantId, TraitId};
use crate::core::contact::routing::Routing;
use crate::core::contact::{Level, Mind, Slots, Want};

/// What is provisioned of a tenant.
#[derive(Clone, PartialEq, Debug)]
pub struct TenantProfile {
    /// Identity. Tenants that are not named are routed by the defaults.
    pub id: TenantId,
    /// How its items find agents.
    pub routing: Routing,
}

/// What is provisioned of an agent.
#[derive(Clone, PartialEq, Debug)]
pub struct AgentProfile {
    /// Identity; an agent known by it keeps its state through [`Engine::provision`](super::Engine::provision).
    pub id: AgentId,
    /// Its own tenant, by whose routing it chooses among what waits.
    pub tenant: TenantId,
    /// Other tenants whose work is offered as well.
    pub serves: Vec<TenantId>,
    /// What the agent has, each at a level above 0; of several levels of one trait the highest counts.
    pub traits: Vec<(TraitId, Level)>,
    /// How traits of items count with this agent.
    pub minds: Vec<Mind>,
    /// How many items of each medium at once.
    pub slots: Slots,
    /// How long an offer rings before it moves on; at least one second is taken.
    pub ring: Duration,
    /// Wrap-up after each conversation; zero for none.
    pub wrap_up: Duration,
}

/// What is provisioned of a queue: a named set of wants, targets and treatment over the one universal order.
#[derive(Clone, PartialEq, Debug)]
pub struct QueueProfile {
    /// Identity; a queue known by it keeps its items and counts through [`Engine::provision`](super::Engine::provision).
    pub id: QueueId,
    /// Only agents who serve this tenant are offered its items.
    pub tenant: TenantId,
    /// What its items want of agents.
    pub wants: Vec<Want>,
    /// How much its items weigh; 1 is usual.
    pub importance: f64,
    /// Service level: taken within this time, by medium. Urgency is wait divided by it.
    pub targets: [Duration; Medium::ALL.len()],
    /// Waiting longer than this ends in [`Output::Overflow`](super::Output::Overflow).
    pub overflow_after: Option<Duration>,
    /// Waiting longer than this is told once by [`Output::Escalate`](super::Output::Escalate).
    pub escalate_after: Option<Duration>,
    /// Most items in this queue at once; 0 for the engine's bound alone.
    pub waiting_max: usize,
    /// Announce position and expected wait to live items at the start and every so often; zero counts as never.
    pub announce_every: Option<Duration>,
}

/// An item that comes.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Its queue.
    pub queue: QueueId,
    /// Its medium.
    pub medium: Medium,
    /// What it wants of agents beside what its queue does.
    pub wants: Vec<Want>,
    /// What agents may mind in it.
    pub traits: Vec<TraitId>,
    /// How long it has waited before: elsewhere, or before a restart. Its place is by its whole wait.
    pub waited: Duration,
    /// By how much it counts as having waited longer than it has.
    pub credit: Duration,
    /// So much of `waited` gives it its place, but makes nothing late, and neither overflow nor escalation count it: of who was with
    /// an agent already, and was cut off.
    pub excused: Duration,
    /// Whether it overflows where its queue says so. Who is to be called back has no patience to lose.
    pub overflows: bool,
}

impl Entry {
    /// An item that comes now and wants what its queue does.
    pub fn new(queue: QueueId, medium: Medium) -> Self {
        Self {
            queue,
            medium,
            wants: vec![],
            traits: vec![],
            waited: Duration::ZERO,
            credit: Duration::ZERO,
            excused: Duration::ZERO,
            overflows: true,
        }
    }
}

/// Why an item was not taken into the queue. Nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EnqueueError {
    /// The queue's or the engine's bound is reached.
    Full,
    /// No such queue is provisioned.
    UnknownQueue,
    /// The item waits already, or an agent has it.
    Duplicate,
}

impl fmt::Display for EnqueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the queue is full",
            Self::UnknownQueue => "no such queue",
            Self::Duplicate => "the item is in work already",
        })
    }
}

impl std::error::Error for EnqueueError {}

/// Why an order about an agent was refused. Nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No such agent is provisioned.
    UnknownAgent,
    /// The agent is signed out: sign in first.
    SignedOut,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownAgent => "no such agent",
            Self::SignedOut => "the agent is signed out: sign in first",
        })
    }
}

impl std::error::Error for Refusal {}
