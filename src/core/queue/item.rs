//! Queues and the work items that wait in them.

use std::fmt;
use std::time::Duration;

use crate::base::{QueueId, SkillId, TenantId};

/// What is provisioned of a queue: a named set of needs, targets and treatment over the one universal order.
#[derive(Clone, PartialEq, Debug)]
pub struct QueueProfile {
    /// Identity; a queue known by it keeps its items and counts through [`Engine::provision`](super::Engine::provision).
    pub id: QueueId,
    /// Only agents of this tenant are offered its items.
    pub tenant: TenantId,
    /// Skills that an agent must have, each with its least level, `0 <= level <= 1`; kept to a ten-thousandth.
    pub needs: Vec<(SkillId, f32)>,
    /// Service level: answered within this time. Urgency is wait divided by it.
    pub target: Duration,
    /// Waiting longer than this ends in [`Output::Overflow`](super::Output::Overflow).
    pub overflow_after: Option<Duration>,
    /// Most items in this queue at once; 0 for the engine's bound alone.
    pub waiting_max: usize,
    /// Announce position and expected wait at the start and every so often; zero counts as never.
    pub announce_every: Option<Duration>,
}

/// Why an item was not taken into the queue. Nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EnqueueError {
    /// The queue's or the engine's bound is reached.
    Full,
    /// No such queue is provisioned.
    UnknownQueue,
    /// The item waits already.
    Duplicate,
}

impl fmt::Display for EnqueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the queue is full",
            Self::UnknownQueue => "no such queue",
            Self::Duplicate => "the item waits already",
        })
    }
}

impl std::error::Error for EnqueueError {}
