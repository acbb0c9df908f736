//! The circuits of trunks one by one, as whoever maintains them sees them: what they do, and who keeps them from it.

use std::time::Duration;

use crate::base::{CallId, Cause, Circuit, Instant, Now, TrunkId};
use crate::core::control::{CircuitService, CircuitView, RestartedCircuit};
use crate::core::fault::did_you_mean;
use crate::core::switch::{Switch, Timer};
use crate::core::tenant::directory::{TrunkEntry, TrunkKind};
use crate::core::trunk::tdm::CircuitEntry;

/// A far end that keeps a circuit off-hook for so long though there is no call blocks it: there is no other signal for that in
/// E&M. Callers take a moment to hang up.
const FAR_END_BLOCKS_AFTER: Duration = Duration::from_secs(10);

/// Alarm: the far end blocks all circuits of a trunk that are not in alarm.
pub(super) const BLOCKED_BY_FAR_END: &str = "trunk-blocked-by-far-end";

/// What tells in a call's record that its circuit was restarted.
pub const RESTARTED: &str = "circuit-restarted";

impl Switch {
    /// The circuits of one trunk, or of all; of a SIP trunk its peers.
    ///
    /// # Errors
    /// There is no such trunk.
    pub(crate) fn circuit_views(&self, now: Now, trunk: Option<&str>) -> Result<Vec<CircuitView>, String> {
        let only = trunk.map(|name| self.trunk_called(name)).transpose()?.map(|entry| entry.id);
        let mut views = Vec::new();
        for entry in self.directory.trunks().filter(|entry| only.is_none_or(|only| only == entry.id)) {
            let circuits = self.circuits.iter().filter(|(_, circuit)| circuit.trunk == entry.id);
            views.extend(circuits.map(|(circuit, state)| self.circuit_view(now, entry, *circuit, state)));
            views.extend((0..entry.peers.len()).map(|index| self.peer_view(entry, index)));
        }
        Ok(views)
    }

    fn circuit_view(&self, now: Now, entry: &TrunkEntry, circuit: Circuit, state: &CircuitEntry) -> CircuitView {
        let call = state.leg().and_then(|leg| self.legs.get(&leg)).map(|leg| leg.call);
        let service = if state.blocked() {
            CircuitService::OutOfService
        } else if state.is_blocked_by_far_end() {
            CircuitService::BlockedByFarEnd
        } else {
            with_trunk(entry, call.is_some())
        };
        CircuitView {
            trunk: entry.name.clone(),
            circuit: self.circuit_name(circuit),
            service,
            calls: call.into_iter().collect(),
            idle: state.is_clear(),
            carried: Some(state.carried),
            held_s: state.held_for(now).map(|held| held.as_secs()),
        }
    }

    fn peer_view(&self, entry: &TrunkEntry, index: usize) -> CircuitView {
        let down = self.trunks.get(&entry.id).and_then(|health| health.peers.get(index)).is_some_and(|peer| peer.down);
        let mut calls: Vec<CallId> =
            self.legs.values().filter(|leg| leg.trunk == Some((entry.id, index))).map(|leg| leg.call).collect();
        calls.sort_unstable();
        let service = if down { CircuitService::BlockedByFarEnd } else { with_trunk(entry, !calls.is_empty()) };
        CircuitView {
            trunk: entry.name.clone(),
            circuit: entry.peers.get(index).map_or_else(String::new, |peer| peer.host_port()),
            idle: calls.is_empty(),
            service,
            calls,
            carried: None,
            held_s: None,
        }
    }

    /// `CARD/SPAN/TIMESLOT`, the card by name.
    fn circuit_name(&self, circuit: Circuit) -> String {
        let card =
            self.directory.card(circuit.card).map_or_else(|| circuit.card.0.to_string(), |card| card.name.clone());
        format!("{card}/{}/{}", circuit.span, circuit.timeslot)
    }

    fn trunk_called(&self, name: &str) -> Result<&TrunkEntry, String> {
        self.directory.trunk_by_name(name).ok_or_else(|| {
            let nearest = did_you_mean(name, self.directory.trunks().map(|entry| entry.name.as_str()));
            let hint = nearest.map_or_else(
                || "`cordboard trunk list` shows them".to_owned(),
                |nearest| format!("did you mean {nearest:?}?"),
            );
            format!("there is no trunk {name:?}; {hint}")
        })
    }

    /// Puts a circuit, or all of a trunk, on-hook and into its first state. What it carries ends. What is in alarm stays so,
    /// and what the far end holds is idle once it lets go.
    ///
    /// # Errors
    /// There is no such trunk or circuit.
    pub(crate) fn restart_circuits(
        &mut self,
        now: Now,
        trunk: &str,
        circuit: Option<&str>,
    ) -> Result<Vec<RestartedCircuit>, String> {
        let id = self.trunk_called(trunk)?.id;
        let restarts = self.circuits_called(id, trunk, circuit)?;
        let calls: Vec<Option<CallId>> = restarts.iter().map(|circuit| self.restart(now, *circuit)).collect();
        let told = restarts.iter().zip(calls).filter_map(|(circuit, call)| {
            let state = self.circuits.get(circuit)?;
            Some(RestartedCircuit {
                circuit: self.circuit_name(*circuit),
                call,
                in_alarm: state.blocked(),
                held: state.held_for(now).is_some(),
            })
        });
        Ok(told.collect())
    }

    fn circuits_called(&self, id: TrunkId, trunk: &str, circuit: Option<&str>) -> Result<Vec<Circuit>, String> {
        let own = self.circuits.iter().filter(|(_, state)| state.trunk == id).map(|(circuit, _)| *circuit);
        let found: Vec<Circuit> =
            own.filter(|own| circuit.is_none_or(|circuit| self.circuit_name(*own) == circuit)).collect();
        match circuit {
            _ if !found.is_empty() => Ok(found),
            Some(circuit) => Err(format!(
                "trunk {trunk:?} has no circuit {circuit:?}; `cordboard trunk circuits {trunk}` shows those it has"
            )),
            None => Err(format!("trunk {trunk:?} has no circuits; `cordboard hangup CALL` ends a call")),
        }
    }

    /// The call that ends with it.
    fn restart(&mut self, now: Now, circuit: Circuit) -> Option<CallId> {
        let leg = self.circuits.get(&circuit)?.leg();
        let call = leg.and_then(|leg| self.legs.get(&leg)).map(|leg| leg.call);
        let name = self.circuit_name(circuit);
        if let Some(c) = call.and_then(|call| self.calls.get_mut(&call)) {
            c.note(now, RESTARTED, name);
        }
        if let Some(leg) = leg {
            self.fail_leg(now, leg, Cause::TemporaryFailure);
        }
        self.reset_circuit(now, circuit);
        call
    }

    /// A circuit's signals have changed, or the far end has held it for long enough to block it.
    pub(crate) fn look_at_far_end(&mut self, now: Now, circuit: Circuit) {
        let Some(entry) = self.circuits.get_mut(&circuit) else { return };
        let due = entry.held_since().map(|since| since + FAR_END_BLOCKS_AFTER);
        let blocks = due.is_some_and(|due| due <= now.mono);
        let watched = std::mem::replace(&mut entry.far_end.due, due);
        let changed = std::mem::replace(&mut entry.far_end.blocks, blocks) != blocks;
        let trunk = entry.trunk;
        if let Some(due) = due.filter(|due| !blocks && watched != Some(*due)) {
            self.arm(due, Timer::FarEnd(circuit));
        }
        if changed {
            self.look_at_far_end_of(now, trunk);
            self.look_at_door(now, trunk);
        }
    }

    /// Circuits went into alarm or out of it, or belong to other trunks now.
    pub(super) fn look_at_far_ends(&mut self, now: Now) {
        let trunks: Vec<TrunkId> =
            self.directory.trunks().filter(|entry| entry.kind == TrunkKind::Tdm).map(|entry| entry.id).collect();
        trunks.into_iter().for_each(|trunk| self.look_at_far_end_of(now, trunk));
    }

    fn look_at_far_end_of(&mut self, now: Now, trunk: TrunkId) {
        let Some(entry) = self.directory.trunk(trunk) else { return };
        let (stands, name) = (self.is_blocked_by_far_end(entry), entry.name.clone());
        self.alarms.set(now, BLOCKED_BY_FAR_END, name, stands);
    }

    /// Whether the trunk takes no calls as the far end blocks its circuits, all that are not in alarm.
    pub(super) fn is_blocked_by_far_end(&self, entry: &TrunkEntry) -> bool {
        let by_far_end = |c: &CircuitEntry| c.trunk == entry.id && c.is_blocked_by_far_end();
        self.is_silent(entry) && self.circuits.values().any(by_far_end)
    }
}

/// Whether the far end blocks a circuit: it keeps it off-hook though there is no call.
#[derive(Default, Debug)]
pub(super) struct FarEnd {
    blocks: bool,
    /// When it does, if it goes on so.
    due: Option<Instant>,
}

impl CircuitEntry {
    /// Whether the far end has kept it off-hook without a call for longer than it takes to hang up.
    pub fn is_blocked_by_far_end(&self) -> bool {
        self.far_end.blocks
    }
}

fn with_trunk(entry: &TrunkEntry, in_use: bool) -> CircuitService {
    match (entry.group.out_of_service, in_use) {
        (true, true) => CircuitService::BusyingOut,
        (true, false) => CircuitService::BusiedOut,
        (false, _) => CircuitService::InService,
    }
}
