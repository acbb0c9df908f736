//! New calls and new legs.

use crate::base::{AgentId, CallId, DialString, LegId, Now, Trace, TrunkId};
use crate::core::call::{Call, Leg, Role, Signal};
use crate::core::journal::{Cdr, Change, Direction, LegRecord};
use crate::core::switch::Switch;
use crate::proto::sip::Origin;

/// A call to be.
pub(crate) struct NewCall {
    pub from: DialString,
    pub to: DialString,
    pub direction: Direction,
    pub signal: Signal,
    pub trunk: Option<TrunkId>,
    /// Whom it comes from, as far as we believe it.
    pub origin: Origin,
    /// The agent whose phone dials.
    pub agent: Option<AgentId>,
}

impl Switch {
    /// Makes the call, its client leg and its record. From here on there will be a CDR.
    pub(crate) fn new_call(&mut self, now: Now, new: NewCall) -> CallId {
        let client = LegId(self.fresh());
        let id = self.insert_call(now, (new.from.clone(), new.to.clone()), new.direction, new.origin, client);
        if new.direction == Direction::Inbound {
            self.counters.offered += 1;
        }
        let party = new.from.as_str().to_owned();
        self.insert_leg(
            now,
            client,
            NewLeg {
                call: id,
                role: Role::Client,
                direction: Direction::Inbound,
                signal: new.signal,
                trunk: new.trunk.map(|t| (t, 0)),
                party,
                agent: new.agent,
            },
        );
        id
    }

    /// Makes a call with its record, from one number to the other. Its client leg is yet to come.
    pub(super) fn insert_call(
        &mut self,
        now: Now,
        (from, to): (DialString, DialString),
        direction: Direction,
        origin: Origin,
        client: LegId,
    ) -> CallId {
        let id = self.fresh_call(now);
        let trace = origin.trace.unwrap_or_else(|| Trace::new(self.config.seed, id));
        let origin = Origin { trace: Some(trace), ..origin };
        let cdr = Cdr {
            call_id: id,
            tenant: String::new(),
            medium: "voice".into(),
            direction,
            from,
            to,
            started_at: now.wall,
            answered_at: None,
            ended_at: None,
            agent: None,
            cause: None,
            trace: Some(trace),
            queued_ms: 0,
            legs: Vec::new(),
            events: Vec::new(),
        };
        let mut call = Call::new(now, id, client, origin, cdr);
        call.note_origin(now);
        call.emergency = self.is_emergency_number(call.cdr.to.as_str());
        self.calls.insert(id, call);
        self.set_traced(id, Some(trace), true);
        id
    }

    /// Enters a leg into all indices and into its call's record.
    pub(crate) fn insert_leg(&mut self, now: Now, id: LegId, new: NewLeg) {
        let trunk = new.trunk.and_then(|(t, _)| self.directory.trunk(t)).map_or(String::new(), |t| t.name.clone());
        let agent = new.agent.and_then(|a| self.agent_name(a));
        let Some(call) = self.calls.get_mut(&new.call) else { return };
        let (index, started_at) = (call.cdr.legs.len(), call.time(now));
        call.legs.push(id);
        call.cdr.legs.push(LegRecord {
            leg: u16::try_from(index).unwrap_or(u16::MAX),
            direction: new.direction,
            kind: match new.signal {
                Signal::Sip(_) => "sip".into(),
                Signal::Tdm(_) => "tdm".into(),
            },
            trunk,
            party: new.party,
            agent,
            started_at,
            answered_at: None,
            ended_at: None,
            cause: None,
            media: None,
            encryption: String::new(),
        });
        if let Signal::Sip(sip) = &new.signal {
            self.by_session.insert(sip.session, id);
        }
        if let Some(health) = new.trunk.and_then(|(t, _)| self.trunks.get_mut(&t)) {
            health.calls += 1;
        }
        let leg = Leg {
            call: new.call,
            index,
            role: new.role,
            signal: new.signal,
            port: None,
            rings: false,
            early_media: false,
            answered: false,
            digits: Default::default(),
            held: false,
            phone: new.agent,
            trunk: new.trunk,
        };
        // An offer's slot is the queue's own affair; any other call keeps the phone from being offered one.
        if let (Some(agent), false) = (new.agent, matches!(new.role, Role::Agent { .. })) {
            self.engage(now, agent);
        }
        self.legs.insert(id, leg);
        if new.direction == Direction::Outbound {
            // Whose a call in is shows after its leg is there.
            self.circuit_taken(now, id);
        }
        if let Some((trunk, _)) = new.trunk {
            self.look_at_door(now, trunk);
        }
    }

    /// `tenant/name` of an agent.
    pub(crate) fn agent_name(&self, agent: AgentId) -> Option<String> {
        let entry = self.directory.agent(agent)?;
        Some(format!("{}/{}", self.directory.tenant(entry.tenant)?.name, entry.name))
    }

    /// Writes the call's first record, with its tenant known.
    pub(crate) fn journal_start(&mut self, call: CallId) {
        let Some(c) = self.calls.get_mut(&call) else { return };
        c.cdr.tenant = c.tenant.and_then(|t| self.directory.tenant(t)).map_or(String::new(), |t| t.name.clone());
        if !c.cdr.tenant.is_empty() {
            self.call_index.began(&c.cdr.tenant, call);
        }
        let cdr = Box::new(c.cdr.clone());
        self.journal(Change::CallStarted { cdr });
    }

    /// Writes how far the call has come.
    pub(crate) fn journal_progress(&mut self, call: CallId) {
        if let Some(c) = self.calls.get(&call) {
            let cdr = Box::new(c.cdr.clone());
            self.journal(Change::CallChanged { cdr });
        }
    }
}

/// A leg to be.
pub(crate) struct NewLeg {
    pub call: CallId,
    pub role: Role,
    pub direction: Direction,
    pub signal: Signal,
    pub trunk: Option<(TrunkId, usize)>,
    pub party: String,
    pub agent: Option<AgentId>,
}
