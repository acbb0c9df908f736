//! Calls and legs: what a call is, and what it goes through from the first sign of it to its record.
//!
//! A call has a client leg, and at most one other leg at a time that matters: the agent or transfer target that rings
//! or talks. During a blind transfer there are two: the one that hands over and the one that takes over.
//!
//! ```text
//!                                       ┌── agent cut off ──┐
//!                                       v                   │
//!  incoming ──> Flow ──enqueue──> Waiting ──offer accepted──> Talking ──> Ending ──> record complete
//!                │ ^                 │ overflow                 │  ^
//!                │ └─────────────────┘                   REFER  v  │ answered / failed
//!                └──transfer──> Connecting ──answered──────> Referring
//!                │                   │
//!                └──────failed───────┴──> Toning (an unanswered caller on a circuit hears why) ──> Ending
//!
//!  wish offered ──> Alerting ──agent answered──> Connecting ──client answered──> Talking ──> Ending
//!                       └──────no, or client not reached──┴──> Ending
//! ```

mod attended;
mod bridge;
mod callback;
mod cutoff;
mod digits;
mod flow;
mod handback;
mod heard;
mod identity;
mod index;
mod offer;
mod ring;
mod security;
mod setup;
mod talk;
mod teardown;
mod transfer;
mod wants;

pub(crate) use digits::Digits;
pub(crate) use index::CallIndex;
pub(crate) use ring::Redial;
pub(crate) use setup::{NewCall, NewLeg};

use std::collections::VecDeque;
use std::net::IpAddr;

use bytes::Bytes;

use crate::base::{
    AgentId, CallId, Cause, Circuit, DialString, Instant, LegId, OfferId, PlayId, PortId, QueueId, TenantId, WorkItemId,
};
use crate::base::{Now, Timestamp, TrunkId};
use crate::core::bounds::Lost;
use crate::core::ivr::{CallbackResult, Run};
use crate::core::journal::{CDR_EVENTS_MAX, CallEvent, Cdr, LegRecord};
use crate::core::trunk::locator::Server;
use crate::core::trunk::target::Destination;
use crate::proto::sdp;
use crate::proto::sip::{Origin, Path, SessionId};

/// Most legs a call may have had in its life; a transfer beyond it is refused.
pub(crate) const LEGS_PER_CALL_MAX: usize = 64;

/// Where a call stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CallState {
    /// The flow talks to the caller.
    Flow,
    /// A work item of the call is in the queue; an offer may be ringing.
    Waiting(Wait),
    /// An agent's phone rings for a client who is to be called back, or was answered just now.
    Alerting,
    /// A transfer target (or a number that an agent dialled, or a client who is called back) rings.
    Connecting(LegId),
    /// The client is bridged to this leg.
    Talking(LegId),
    /// The party `from` handed the client over to `to`, which rings.
    Referring { from: LegId, to: LegId },
    /// The call has failed, and a caller on a circuit, which has no word for why, hears a tone until it hangs up.
    Toning(Cause),
    /// All legs are released; media measures are awaited.
    Ending,
}

/// A call's visit to a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wait {
    pub item: WorkItemId,
    pub queue: QueueId,
    pub since: Now,
    /// The announcement that plays in place of the music.
    pub announcement: Option<PlayId>,
    /// It was to go to another queue while an agent was rung.
    pub escalates: bool,
}

/// A call.
pub(crate) struct Call {
    pub id: CallId,
    pub(crate) began: Now,
    pub tenant: Option<TenantId>,
    pub client: LegId,
    /// All live legs, the client's among them.
    pub legs: Vec<LegId>,
    /// The work item whose agent talks, until the queue was told that the conversation is over.
    pub work: Option<WorkItemId>,
    pub state: CallState,
    /// The flow's run; `None` for calls that need none (an agent dials out).
    pub run: Option<Run>,
    /// Numbers of its tenant to which flows have transferred it.
    pub flows_entered: u32,
    /// The flow's playback that its run waits for.
    pub flow_play: Option<PlayId>,
    /// The earliest timer set for the run; a later one is set when it fires.
    pub flow_wake: Option<Instant>,
    /// Queue whose agent talks (for recording and service level).
    pub queue: Option<QueueId>,
    /// The conversation is being recorded.
    pub recording: bool,
    /// When the recording began.
    /// The parties have yet to be told that nobody records them.
    untold: bool,
    /// How often it lost its agent.
    pub cut_offs: u8,
    /// Recordings begun; each has a name of its own.
    pub recordings: u32,
    /// Ports closed but not yet confirmed with their measures.
    pub ports_closing: usize,
    /// The wish to be called back that it is made for, until that is over.
    pub wish: Option<WorkItemId>,
    /// Wishes of its client that rest while it waits itself.
    pub resting: Vec<WorkItemId>,
    /// The place that the caller left by a key.
    pub stood: Option<callback::Stood>,
    /// What the flow is told of a wish, once that is durable.
    pub promised: Option<CallbackResult>,
    /// It is being handed back to the appliance that it came from.
    pub handback: Option<handback::Handback>,
    /// Trunks still to be tried for the ringing target, with the number as dialled.
    pub route: VecDeque<RouteStep>,
    /// The flow's transfer wants to know who answers.
    pub examines: bool,
    /// Whom it comes from, and by which numbers.
    pub origin: Origin,
    /// The number that stands for the client, if it may be shown: as in the record, until another takes its place.
    pub shown_as: DialString,
    /// It leads to an emergency service, or comes from somebody who called one: it gives way to nobody.
    pub emergency: bool,
    pub cdr: Cdr,
    events_left_out: u64,
    /// What earlier flows of the call lost.
    lost_by_flows: Lost,
}

/// One way to reach a target.
#[derive(Clone, Debug)]
pub(crate) struct RouteStep {
    pub trunk: Option<TrunkId>,
    pub peer: Option<usize>,
    pub circuit: Option<Circuit>,
    /// To which server; `None`: to be found.
    pub path: Option<Path>,
    /// What its servers were found by, or are to be.
    pub destination: Option<Destination>,
    pub uri: String,
    pub number: String,
    /// The agent whose phone it is.
    pub agent: Option<AgentId>,
    /// Seconds the target may ring.
    pub ring_s: u32,
}

impl RouteStep {
    /// By a trunk, over another call: it has no circuit and no peer yet.
    pub(crate) fn by(trunk: TrunkId, number: &str, ring_s: u32) -> Self {
        Self {
            trunk: Some(trunk),
            peer: None,
            circuit: None,
            path: None,
            destination: None,
            uri: String::new(),
            number: number.to_owned(),
            agent: None,
            ring_s,
        }
    }

    /// Whether a circuit is to be freed for it first.
    pub(crate) fn is_last_resort(&self) -> bool {
        self.trunk.is_some() && self.circuit.is_none() && self.peer.is_none()
    }

    /// To an agent's phone, which an offer rings.
    pub(crate) fn to_phone(agent: AgentId, uri: String, path: Path) -> Self {
        Self {
            trunk: None,
            peer: None,
            circuit: None,
            path: Some(path),
            destination: None,
            number: String::new(),
            uri,
            agent: Some(agent),
            ring_s: 0,
        }
    }
}

impl Call {
    pub fn new(now: Now, id: CallId, client: LegId, origin: Origin, cdr: Cdr) -> Self {
        Self {
            id,
            began: now,
            tenant: None,
            client,
            legs: Vec::new(),
            work: None,
            state: CallState::Flow,
            run: None,
            flows_entered: 0,
            flow_play: None,
            flow_wake: None,
            queue: None,
            recording: false,
            untold: false,
            cut_offs: 0,
            recordings: 0,
            ports_closing: 0,
            wish: None,
            resting: Vec::new(),
            stood: None,
            promised: None,
            handback: None,
            route: VecDeque::new(),
            examines: false,
            origin,
            shown_as: cdr.from.clone(),
            emergency: false,
            cdr,
            events_left_out: 0,
            lost_by_flows: Lost::default(),
        }
    }

    /// The time for the record: the wall clock at the call's beginning, moved on by the monotonic one. A wall clock that
    /// is set while the call is up makes it neither longer nor shorter.
    pub fn time(&self, now: Now) -> Timestamp {
        self.began.after(now.mono.since(self.began.mono)).wall
    }

    /// Notes an event in the record; beyond the bound only their number is kept.
    pub fn note(&mut self, now: Now, what: &str, detail: impl Into<String>) {
        let at = self.time(now);
        if self.cdr.events.len() + 1 < CDR_EVENTS_MAX {
            self.cdr.events.push(CallEvent { at, what: what.into(), detail: detail.into() });
            return;
        }
        self.events_left_out += 1;
        let last = CallEvent {
            at,
            what: "events-left-out".into(),
            detail: format!("{} further events", self.events_left_out),
        };
        if self.cdr.events.len() + 1 == CDR_EVENTS_MAX {
            self.cdr.events.push(last);
        } else if let Some(slot) = self.cdr.events.last_mut() {
            *slot = last;
        }
    }

    /// What the call has lost to its own bounds so far.
    pub fn lost(&self) -> Lost {
        let mut lost = self.lost_by_flows;
        lost.add(Lost { events: self.events_left_out, ..Lost::default() });
        if let Some(run) = &self.run {
            let (attributes, digits) = run.lost();
            lost.add(Lost { attributes, digits, ..Lost::default() });
        }
        lost
    }

    /// The flow is over.
    pub fn drop_run(&mut self) {
        let (attributes, digits) = self.run.take().map_or((0, 0), |run| run.lost());
        self.lost_by_flows.add(Lost { attributes, digits, ..Lost::default() });
    }

    /// The record of one of the call's legs.
    pub fn leg_record(&mut self, index: usize) -> Option<&mut LegRecord> {
        self.cdr.legs.get_mut(index)
    }

    /// Ends the visit to a queue in the record and returns it.
    pub fn take_wait(&mut self, now: Now) -> Option<Wait> {
        let CallState::Waiting(wait) = self.state else { return None };
        let waited = now.mono.since(wait.since.mono);
        self.cdr.queued_ms = self.cdr.queued_ms.saturating_add(waited.as_millis().try_into().unwrap_or(u64::MAX));
        self.state = CallState::Flow;
        Some(wait)
    }
}

/// Part of a leg in its call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// The party that the call came from.
    Client,
    /// An agent, rung by an offer.
    Agent { agent: AgentId, offer: OfferId },
    /// A transfer target, or a number dialled by an agent.
    Target,
}

/// How a leg is signalled.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    /// A SIP session.
    Sip(Box<SipLeg>),
    /// A circuit of a card.
    Tdm(Circuit),
}

/// The SIP side of a leg.
#[derive(Clone, Debug)]
pub(crate) struct SipLeg {
    pub session: SessionId,
    /// The server that we called.
    pub server: Option<Server>,
    /// The host that the signalling goes to and comes from.
    pub host: IpAddr,
    /// Our description, once a socket was taken.
    pub local: Option<sdp::Local>,
    /// The peer's newest description.
    pub remote: Option<sdp::Remote>,
    /// Our description, once given in a provisional response: the final one repeats it (RFC 3261 13.2.1).
    pub answer: Option<Bytes>,
    /// Our newest description is an offer whose answer comes in the ACK (RFC 3261 13.2.2.4, 14.2).
    pub answer_due: bool,
    /// What both ends agreed.
    pub agreed: Option<sdp::Agreed>,
    /// The peer takes provisional responses reliably (RFC 3262), so that one may carry our offer.
    pub reliable: bool,
    /// Status of a provisional response already sent.
    pub progress: u16,
    /// How media may be protected, for our description.
    pub security: sdp::Security,
    /// What the media plane was told last.
    pub transport: Option<security::Told>,
}

impl SipLeg {
    pub fn new(session: SessionId, security: sdp::Security, host: IpAddr) -> Self {
        Self {
            session,
            server: None,
            host,
            local: None,
            remote: None,
            answer: None,
            answer_due: false,
            agreed: None,
            reliable: false,
            progress: 0,
            security,
            transport: None,
        }
    }

    /// Whether media is protected.
    pub fn is_encrypted(&self) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| agreed.protection.is_some())
    }
}

/// One party's attachment to a call.
pub(crate) struct Leg {
    pub call: CallId,
    /// Place in the call's record.
    pub index: usize,
    pub role: Role,
    pub signal: Signal,
    pub port: Option<PortId>,
    /// A target whose ringing was passed on to the client.
    pub rings: bool,
    /// A target that the client hears before the answer.
    pub early_media: bool,
    pub answered: bool,
    /// Digits heard of late, to tell those that come two ways.
    pub digits: Digits,
    /// The peer put us on hold.
    pub held: bool,
    /// The agent at whose phone it ends.
    pub phone: Option<AgentId>,
    /// Trunk and peer that it uses, for health and failover.
    pub trunk: Option<(TrunkId, usize)>,
}

impl Leg {
    /// Whether the peer holds us: it does not want to hear us (RFC 3264 8.4).
    pub fn holds(&self) -> bool {
        self.sip().and_then(|s| s.agreed.as_ref()).is_some_and(|a| !a.send)
    }

    pub fn sip(&self) -> Option<&SipLeg> {
        match &self.signal {
            Signal::Sip(s) => Some(s),
            Signal::Tdm(_) => None,
        }
    }

    pub fn sip_mut(&mut self) -> Option<&mut SipLeg> {
        match &mut self.signal {
            Signal::Sip(s) => Some(s),
            Signal::Tdm(_) => None,
        }
    }
}

/// The cause that a call's record shows when its client goes: leaving while waiting is an abandon (E.600 2.9).
pub(crate) fn client_gone_cause(state: CallState, cause: Cause) -> Cause {
    match state {
        CallState::Waiting(_) if matches!(cause, Cause::Normal | Cause::NormalUnspecified) => Cause::Abandoned,
        _ => cause,
    }
}
