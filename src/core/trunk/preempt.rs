//! Emergency calls that find no circuit: another call gives up its own. Whose is said by an order that leaves nothing to chance:
//! of the calls that are up on the trunk and are no emergency calls themselves first one of a tenant that has more than it is
//! permitted, then the one of least worth by contract, then the youngest.
//!
//! It is the last way that an emergency call tries: all others were full, or refused it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use crate::base::{CallId, Cause, Circuit, Instant, LegId, Now, TrunkId};
use crate::core::call::{CallState, RouteStep, Signal};
use crate::core::switch::{Switch, Timer};
use crate::core::tenant::directory::TrunkKind;

/// A circuit is free for a call only once the far end has gone on-hook, too, and the guard time is over: this long is waited for.
const CIRCUIT_WAIT: Duration = Duration::from_secs(5);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Calls that one emergency call preempts at most, one after the other, where circuits do not come free.
const VICTIMS_MAX: usize = 3;

/// What tells in a call's record that it gave way to an emergency call.
pub const PREEMPTED: &str = "preempted";
/// What tells in an emergency call's record that another gave way.
pub const PREEMPTS: &str = "preempts";

/// The alarm that stands while an emergency call is up for which others were ended.
const ALARM: &str = "call-preempted";

/// Emergency calls for which others were ended, while they are up.
pub(crate) type Preemptions = HashMap<CallId, Preemption>;

/// What was done for an emergency call.
#[derive(Debug)]
pub(crate) struct Preemption {
    trunk: TrunkId,
    /// The circuit that is kept for it; none by SIP.
    circuit: Option<Circuit>,
    /// The other side has had its time.
    until: Instant,
    victims: usize,
}

/// What has come of the last way.
pub(crate) enum Freed {
    /// These ways are open now.
    Now(Vec<RouteStep>),
    /// A circuit is coming free: look again in a moment.
    Soon,
    /// Nobody can give way.
    Never,
}

impl Switch {
    /// The last way of an emergency call by a trunk: over another call.
    pub(crate) fn last_resort(&self, trunk: TrunkId, number: &str, ring_s: u32) -> Option<RouteStep> {
        let entry = self.directory.trunk(trunk).filter(|entry| entry.group.emergency_preempts)?;
        let counted = entry.kind == TrunkKind::Tdm || entry.group.calls_max.is_some();
        (counted && !self.is_silent(entry)).then(|| RouteStep::by(trunk, number, ring_s))
    }

    /// Frees a circuit for an emergency call whose last way this is.
    pub(crate) fn free_a_circuit(&mut self, now: Now, call: CallId, step: &RouteStep) -> Freed {
        let Some(trunk) = step.trunk else { return Freed::Never };
        let mine = self.preemptions.get(&call).filter(|of| of.trunk == trunk);
        let mine = mine.map(|of| (of.circuit, now.mono >= of.until));
        let (kept, over) = (mine.and_then(|(kept, _)| kept), mine.is_some_and(|(_, over)| over));
        let ways = match (mine.is_some(), self.directory.trunk(trunk).map(|entry| entry.kind)) {
            (true, Some(TrunkKind::Sip)) if over => self.trunk_steps(now, trunk, &step.number, step.ring_s),
            (_, Some(TrunkKind::Sip)) => Vec::new(),
            _ => self.way_by_circuit(trunk, kept, step),
        };
        if !ways.is_empty() {
            return Freed::Now(ways);
        }
        // A party that talks is not left alone while a circuit comes free.
        let waits =
            self.calls.get(&call).is_some_and(|c| matches!(c.state, CallState::Flow | CallState::Connecting(_)));
        let coming = mine.is_some() && !over && kept.is_none_or(|circuit| self.is_coming_free(circuit));
        if !waits || !(coming || self.preempt_another(now, call, trunk)) {
            return Freed::Never;
        }
        self.arm(now.mono + LOOK_EVERY, Timer::Preempt(call));
        Freed::Soon
    }

    /// The circuit that is kept for the call, or any that is idle.
    fn way_by_circuit(&mut self, trunk: TrunkId, kept: Option<Circuit>, step: &RouteStep) -> Vec<RouteStep> {
        if let Some(entry) = kept.and_then(|circuit| self.circuits.get_mut(&circuit))
            && entry.is_idle()
        {
            entry.kept = None;
            return vec![RouteStep { circuit: kept, ..step.clone() }];
        }
        let idle = self.idle_circuits(trunk).into_iter().next();
        idle.map(|circuit| RouteStep { circuit: Some(circuit), ..step.clone() }).into_iter().collect()
    }

    /// Whether nobody else has taken the circuit in the meantime.
    fn is_coming_free(&self, circuit: Circuit) -> bool {
        self.circuits.get(&circuit).is_some_and(|entry| entry.leg().is_none() && !entry.blocked())
    }

    /// Timer: an emergency call that waits for a circuit looks again.
    pub(crate) fn look_for_circuit(&mut self, now: Now, call: CallId) {
        let Some(c) = self.calls.get(&call).filter(|c| c.state == CallState::Flow) else { return };
        if c.route.front().is_some_and(RouteStep::is_last_resort) {
            self.try_target(now, call);
        }
    }

    /// Ends a call on the trunk for the sake of an emergency call, and keeps its circuit. False where there is none to end.
    fn preempt_another(&mut self, now: Now, call: CallId, trunk: TrunkId) -> bool {
        let before = self.preemptions.get(&call).map_or(0, |of| of.victims);
        let Some(victim) = Some(before).filter(|n| *n < VICTIMS_MAX).and_then(|_| self.victim(trunk)) else {
            return false;
        };
        self.keep_no_circuit(call);
        let Some((other, circuit)) = self.legs.get(&victim).map(|leg| (leg.call, leg.circuit())) else { return false };
        if let Some(entry) = circuit.and_then(|circuit| self.circuits.get_mut(&circuit)) {
            entry.kept = Some(call);
        }
        // By SIP it is enough that the peer has heard of the end before it hears of the call.
        let until = now.mono + if circuit.is_some() { CIRCUIT_WAIT } else { LOOK_EVERY };
        self.preemptions.insert(call, Preemption { trunk, circuit, until, victims: before + 1 });
        let name = self.directory.trunk(trunk).map_or_else(String::new, |entry| entry.name.clone());
        self.counters.preempted += 1;
        self.alarms.set(now, ALARM, name.clone(), true);
        for (of, what, whom) in [(call, PREEMPTS, other), (other, PREEMPTED, call)] {
            if let Some(c) = self.calls.get_mut(&of) {
                c.note(now, what, format!("call {whom}, trunk {name}"));
            }
        }
        self.fail_leg(now, victim, Cause::Preemption);
        true
    }

    /// Who gives way.
    fn victim(&self, trunk: TrunkId) -> Option<LegId> {
        let tdm = self.directory.trunk(trunk)?.kind == TrunkKind::Tdm;
        if !tdm && self.takes_another(trunk) {
            return None;
        }
        let up = self.legs.iter().filter(|(_, leg)| leg.trunk.is_some_and(|(of, _)| of == trunk));
        let ranked = up.filter_map(|(id, leg)| {
            let call = self.calls.get(&leg.call).filter(|c| !c.emergency && c.state != CallState::Ending)?;
            let tenant = call.tenant.and_then(|tenant| self.directory.tenant(tenant));
            let contract = tenant.and_then(|of| of.contract.as_ref()).filter(|of| of.trunks.contains(&trunk));
            let standing = contract.and(call.tenant).and_then(|tenant| self.admission.standing(tenant));
            let beyond = standing.is_some_and(|(permitted, calls)| calls > permitted);
            let worth = contract.map_or(1.0, |of| if beyond { of.worth_beyond } else { of.worth_within });
            Some((!beyond, worth, Reverse((call.began.mono, *id))))
        });
        let first = ranked.min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)))?;
        Some(first.2.0.1)
    }

    fn keep_no_circuit(&mut self, call: CallId) {
        let circuit = self.preemptions.get(&call).and_then(|of| of.circuit);
        if let Some(entry) = circuit.and_then(|circuit| self.circuits.get_mut(&circuit))
            && entry.kept == Some(call)
        {
            entry.kept = None;
        }
    }

    /// An emergency call is over: nothing is kept for it.
    pub(crate) fn emergency_over(&mut self, now: Now, call: CallId) {
        self.keep_no_circuit(call);
        let Some(of) = self.preemptions.remove(&call) else { return };
        if self.preemptions.values().all(|other| other.trunk != of.trunk)
            && let Some(name) = self.directory.trunk(of.trunk).map(|entry| entry.name.clone())
        {
            self.alarms.set(now, ALARM, name, false);
        }
    }
}

impl crate::core::call::Leg {
    /// The circuit that it is on.
    fn circuit(&self) -> Option<Circuit> {
        match self.signal {
            Signal::Tdm(circuit) => Some(circuit),
            Signal::Sip(_) => None,
        }
    }
}
