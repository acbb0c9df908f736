//! Identifiers. All are small integers that are never reused while the process lives; those of calls and work items never.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($int:ty) $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    )*};
}

ids! {
    /// A tenant (a customer of the operator).
    TenantId(u32) "tenant-";
    /// A site with agents.
    SiteId(u32) "site-";
    /// An agent; an agent keeps its id through re-provisioning while the process lives.
    AgentId(u32) "agent-";
    /// An attribute of a tenant: skills are attributes whose value is a level.
    AttributeId(u32) "attribute-";
    /// What an agent can have at a level: a skill, or one symbol of an attribute.
    TraitId(u32) "trait-";
    /// A queue of a tenant: a named set of wants, treatment and targets over the one universal queue.
    QueueId(u32) "queue-";
    /// A flow (IVR program) of a tenant.
    FlowId(u32) "flow-";
    /// A trunk: a SIP peering or a group of card channels.
    TrunkId(u32) "trunk-";
    /// One party's attachment to a call.
    LegId(u64) "leg-";
    /// A work item reserved for one agent's slot.
    OfferId(u64) "offer-";
    /// A media port: where one leg's samples enter and leave the media plane.
    PortId(u64) "port-";
    /// A playback, tone or music started on a port.
    PlayId(u64) "play-";
    /// A card known to the appliance.
    CardId(u16) "card-";
}

impl TraitId {
    /// A trait that nobody has: what is required of it, nobody meets.
    pub const NOBODYS: TraitId = TraitId(u32::MAX);

    /// The trait of being this agent.
    pub const fn of_agent(agent: AgentId) -> Self {
        Self(agent.0 | 1 << 31)
    }

    /// Whose trait it is to be somebody.
    pub const fn agent(self) -> Option<AgentId> {
        if self.0 >> 31 == 1 && self.0 != Self::NOBODYS.0 { Some(AgentId(self.0 & !(1 << 31))) } else { None }
    }
}

macro_rules! lasting_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NoId;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                u64::from_str_radix(s, 16).map($name).map_err(|_| NoId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let s = std::borrow::Cow::<'de, str>::deserialize(d)?;
                s.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

// Unique across restarts, all from one counter; printed as 16 hexadecimal digits.
lasting_ids! {
    /// A call: legs that belong together.
    CallId;
    /// A work item: one contact of any medium on its way to an agent.
    WorkItemId;
}

/// A text that is no id of a call or a work item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoId;

impl fmt::Display for NoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected up to 16 hexadecimal digits")
    }
}

impl std::error::Error for NoId {}

/// A timeslot on a span of a card. Spans count from 1; timeslots from 1 (T1: 1..=24; E1: 1..=31, 16 is signalling).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Circuit {
    /// Which card.
    pub card: CardId,
    /// Which span of the card, from 1.
    pub span: u8,
    /// Which timeslot of the span, from 1.
    pub timeslot: u8,
}

impl fmt::Display for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.card.0, self.span, self.timeslot)
    }
}
