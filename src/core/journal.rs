//! The one stream of facts. The store writes it to SQLite, recovery replays it.

use serde::{Deserialize, Serialize};

use crate::base::{CallId, Cause, DialString, Timestamp, Trace};
use crate::core::contact::Work;
use crate::core::contact::sticky::LastAgent;
use crate::core::media::PortStats;
use crate::core::tenant::Provision;
use crate::core::tenant::provision::Role;
use crate::core::trunk::admission::Memory;
use crate::core::trunk::seat::Seat;

/// Position in the journal: 1 for the first change ever; no gaps.
pub type Seq = u64;

/// Way of a call or leg, seen from the appliance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The party called us.
    Inbound,
    /// We called the party.
    Outbound,
}

/// One leg in a call's record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LegRecord {
    /// Leg number within the call, from 0.
    pub leg: u16,
    /// Its way.
    pub direction: Direction,
    /// `tdm` or `sip`.
    pub kind: String,
    /// Trunk's name, or empty for an agent's phone.
    pub trunk: String,
    /// The party: number or SIP address.
    pub party: String,
    /// Agent (`tenant/name`), when the party is one.
    pub agent: Option<String>,
    /// Seized, or INVITE sent or received.
    pub started_at: Timestamp,
    /// Answered.
    pub answered_at: Option<Timestamp>,
    /// Ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub cause: Option<Cause>,
    /// Media measures.
    pub media: Option<PortStats>,
    /// How media was encrypted: `sdes SUITE` or `dtls SUITE`; empty when it was not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub encryption: String,
}

/// Something that happened in a call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CallEvent {
    /// When.
    pub at: Timestamp,
    /// What, a stable word: `flow`, `menu`, `enqueued`, `offered`, `no-answer`, `bridged`, `hold`, `resume`, ...
    pub what: String,
    /// Detail for people; no personal data beyond what the record already holds, no collected digits.
    pub detail: String,
}

/// A call detail record (Q.825), complete when `ended_at` and `cause` are set.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Cdr {
    /// Unique across restarts.
    pub call_id: CallId,
    /// Tenant's name; empty when the number belongs to none.
    pub tenant: String,
    /// `voice`.
    pub medium: String,
    /// Outbound when an agent's phone dialled out, else inbound.
    pub direction: Direction,
    /// Caller as delivered (ANI).
    pub from: DialString,
    /// Number dialled as delivered (DNIS).
    pub to: DialString,
    /// First sign of the call.
    pub started_at: Timestamp,
    /// When an agent or the transfer target was bridged, or, where the flow alone served the caller, when it answered.
    pub answered_at: Option<Timestamp>,
    /// End of the call.
    pub ended_at: Option<Timestamp>,
    /// The agent who talked to the caller last, by name.
    pub agent: Option<String>,
    /// Why the call ended.
    pub cause: Option<Cause>,
    /// What the call is known by on every appliance that it passes; none of calls from before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// Milliseconds in queue, all visits together.
    pub queued_ms: u64,
    /// Legs in the order they came.
    pub legs: Vec<LegRecord>,
    /// Events in the order they happened; at most [`CDR_EVENTS_MAX`], then a last one says how many were left out.
    pub events: Vec<CallEvent>,
}

/// What the event of a call that is offered to an agent is named.
pub const OFFERED: &str = "offered";

/// What the event of a call that comes into a queue is named.
pub const ENQUEUED: &str = "enqueued";

impl Cdr {
    /// Completes `answered_at` at the end of the call: where the flow alone served the caller, its answer counts; who waited
    /// in a queue and met nobody was not answered.
    pub fn settle_answer(&mut self) {
        if self.answered_at.is_none() && !self.events.iter().any(|event| event.what == ENQUEUED) {
            self.answered_at = self.legs.first().and_then(|leg| leg.answered_at);
        }
    }
}

/// Events kept per call.
pub const CDR_EVENTS_MAX: usize = 200;

/// What an agent is doing, for records and recovery (ECMA-269's agent states).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentStatus {
    /// Signed out.
    Null,
    /// Signed in, takes no work (pause, or marked after ringing without answer).
    NotReady,
    /// Waits for work.
    Ready,
    /// An offer rings, or a call is up.
    Busy,
    /// Finishing a call's work.
    WrapUp,
}

/// What was learned of a tenant's calls on a trunk that it shares.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Learned {
    /// Tenant's name.
    pub tenant: String,
    /// Trunk's name.
    pub trunk: String,
    /// How often its calls come, and how long they last.
    pub memory: Memory,
}

/// Something that a user ordered, and that was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Audit {
    /// When.
    pub at: Timestamp,
    /// The user's name; `-` where the order came by the operator's own socket.
    pub user: String,
    /// Account of the operating system.
    pub account: String,
    /// What the user is.
    pub role: Role,
    /// The tenant whom it concerned; none where it was the appliance.
    pub tenant: Option<String>,
    /// What was done, in a line: no notes, and nothing of clients.
    pub did: String,
}

/// A fact. Recovery needs nothing else.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// The whole provisioning was replaced.
    Provisioned {
        /// What holds now.
        provision: Box<Provision>,
    },
    /// A call began. From here on there will be a CDR, whatever happens.
    CallStarted {
        /// As far as known.
        cdr: Box<Cdr>,
    },
    /// A call went on: the record so far (written when a queue is entered and when an agent or
    /// target answers).
    CallChanged {
        /// As far as known.
        cdr: Box<Cdr>,
    },
    /// A call ended; the record is complete.
    CallEnded {
        /// Complete.
        cdr: Box<Cdr>,
    },
    /// An agent's state changed.
    AgentChanged {
        /// Tenant's name.
        tenant: String,
        /// Agent's name.
        agent: String,
        /// New state.
        status: AgentStatus,
        /// Why not ready; empty otherwise.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// An agent signed in elsewhere than provisioned, or sits there no more.
    AgentSeated {
        /// Tenant's name.
        tenant: String,
        /// Agent's name.
        agent: String,
        /// Where; none: where it is provisioned to.
        seat: Option<Box<Seat>>,
    },
    /// A work item came, changed or ended: its record as it is now.
    WorkChanged {
        /// Whole.
        work: Box<Work>,
    },
    /// A client was handled by an agent, who is preferred next time.
    ClientMet {
        /// Who and when.
        met: LastAgent,
    },
    /// What was learned of a tenant's calls on a trunk that it shares.
    Learned {
        /// Whole.
        learned: Box<Learned>,
    },
    /// A user's order was carried out.
    Audited {
        /// Who and what.
        audit: Box<Audit>,
    },
    /// A phone registered (or, with `expires_at` in the past, left).
    Registered {
        /// User part of the address of record.
        user: String,
        /// Contact URI.
        contact: String,
        /// Where its request came from, `udp:addr:port` or `tcp:addr:port`; requests go back there.
        via: String,
        /// End of the binding.
        expires_at: Timestamp,
    },
}
