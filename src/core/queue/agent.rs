//! Agents: what they can do and what they are doing.

use std::fmt;
use std::time::Duration;

use crate::base::{AgentId, SkillId, TenantId};

/// What is provisioned of an agent.
#[derive(Clone, PartialEq, Debug)]
pub struct AgentProfile {
    /// Identity; an agent known by it keeps its state through [`Engine::provision`](super::Engine::provision).
    pub id: AgentId,
    /// Only work of this tenant is offered.
    pub tenant: TenantId,
    /// Skills with levels, `0 < level <= 1`; kept to a ten-thousandth.
    pub skills: Vec<(SkillId, f32)>,
    /// How long an offer rings before it moves on; at least one second is taken.
    pub ring: Duration,
    /// Wrap-up after each conversation; zero for none.
    pub wrap_up: Duration,
}

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
