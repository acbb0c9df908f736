//! Trunks as groups of circuits: who may take one, and which one is taken.

use crate::base::{CallId, Cause, Circuit, Now, Timestamp, TrunkId};
use crate::core::control::Service;
use crate::core::load::Standing;
use crate::core::switch::Switch;
use crate::core::tenant::directory::{Group, TrunkEntry, TrunkKind};
use crate::core::tenant::provision::Hunt;
use crate::core::trunk::TrunkHealth;

impl Switch {
    /// Whether a call to `dialled` may come in by the trunk. Emergency calls may as long as there is a circuit.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn takes_in(&self, trunk: TrunkId, dialled: &str) -> Result<(), Cause> {
        let group = self.group(trunk);
        if self.is_emergency_number(dialled) {
            Ok(())
        } else if group.out_of_service {
            Err(Cause::TemporaryFailure)
        } else if self.room(trunk, group).is_some_and(|room| room <= u64::from(group.reserved_out)) {
            Err(Cause::NoCircuit)
        } else {
            Ok(())
        }
    }

    /// Whether a call to `dialled` may go out by the trunk.
    pub(crate) fn takes_out(&self, trunk: TrunkId, dialled: &str) -> bool {
        let sent = self.sent(trunk, dialled);
        self.is_emergency_number(dialled) || self.is_emergency_number(sent) || self.takes_another(trunk)
    }

    /// Whether one more call may go out by the trunk.
    pub(super) fn takes_another(&self, trunk: TrunkId) -> bool {
        let group = self.group(trunk);
        !group.out_of_service && self.room(trunk, group).is_none_or(|room| room > 0)
    }

    /// The number as it goes out by the trunk.
    pub(crate) fn sent<'n>(&self, trunk: TrunkId, dialled: &'n str) -> &'n str {
        let strip = self.directory.trunk(trunk).map_or(0, |entry| entry.strip);
        dialled.char_indices().nth(strip.into()).and_then(|(at, _)| dialled.get(at..)).unwrap_or_default()
    }

    /// The number as it is dialled, and as it may go out by each trunk that leads there, at whatever hour.
    pub(crate) fn dialled_and_sent<'n>(&self, dialled: &'n str) -> Vec<&'n str> {
        let leads = self.directory.leads(dialled, Timestamp::default());
        let sent = leads.into_iter().map(|lead| self.sent(lead.trunk, dialled));
        std::iter::once(dialled).chain(sent).collect()
    }

    /// Why there is no way out to `dialled`: no trunk leads there at this hour, or none that does takes another call.
    pub(crate) fn no_way_out(&self, now: Now, dialled: &str) -> Cause {
        if self.ways_out(now.wall, dialled).is_empty() { Cause::NoRoute } else { Cause::NoCircuit }
    }

    /// Ends a call that has only just come: it has a record, which says why.
    pub(crate) fn refuse(&mut self, now: Now, call: CallId, cause: Cause) {
        self.journal_start(call);
        self.end_call(now, call, cause);
    }

    /// Circuits of the trunk that are idle and in service, in the order in which they are hunted.
    pub(crate) fn idle_circuits(&self, trunk: TrunkId) -> Vec<Circuit> {
        let idle = self.circuits.iter().filter(|(_, c)| c.trunk == trunk && c.available());
        let mut idle: Vec<(Circuit, u64)> = idle.map(|(circuit, c)| (*circuit, c.carried)).collect();
        match self.group(trunk).hunt {
            Hunt::Ascending => {}
            Hunt::Descending => idle.reverse(),
            Hunt::LeastUsed => idle.sort_by_key(|(_, carried)| *carried),
            Hunt::RoundRobin => {
                let last = self.trunks.get(&trunk).and_then(|health| health.last_seized);
                let after = idle.partition_point(|(circuit, _)| Some(*circuit) <= last);
                idle.rotate_left(after);
            }
        }
        idle.into_iter().map(|(circuit, _)| circuit).collect()
    }

    /// Whether it takes calls, for the console.
    pub(crate) fn service(&self, entry: &TrunkEntry, health: Option<&TrunkHealth>) -> Service {
        let silent = self.is_silent(entry);
        match (entry.group.out_of_service, health.is_some_and(|h| h.calls > 0)) {
            (true, true) => Service::BusyingOut,
            (true, false) => Service::BusiedOut,
            (false, _) if self.is_blocked_by_far_end(entry) => Service::BlockedByFarEnd,
            (false, _) if silent => Service::Blocked,
            (false, _) => Service::InService,
        }
    }

    /// Whether all its circuits are in alarm or blocked by the far end, or all its peers down.
    pub(crate) fn is_silent(&self, entry: &TrunkEntry) -> bool {
        let mut circuits = self.circuits.values().filter(|c| c.trunk == entry.id).peekable();
        match entry.kind {
            TrunkKind::Tdm => circuits.peek().is_some() && circuits.all(|c| c.blocked() || c.is_blocked_by_far_end()),
            TrunkKind::Sip => self
                .trunks
                .get(&entry.id)
                .is_some_and(|health| !health.peers.is_empty() && health.peers.iter().all(|peer| peer.down)),
        }
    }

    /// Whether `dialled` is one of the numbers that are never refused.
    pub(crate) fn is_emergency_number(&self, dialled: &str) -> bool {
        // Who dials has been let in.
        self.gate.is_emergency(Standing::Peer, dialled.as_bytes())
    }

    fn group(&self, trunk: TrunkId) -> Group {
        self.directory.trunk(trunk).map_or(Group::default(), |entry| entry.group)
    }

    /// How many more calls the trunk carries; `None` where there is no limit. The card itself keeps calls from circuits that
    /// are taken, so they are counted only where some are to be left.
    fn room(&self, trunk: TrunkId, group: Group) -> Option<u64> {
        let calls = self.trunks.get(&trunk).map_or(0, |health| health.calls);
        let by_limit = group.calls_max.map(|most| u64::from(most).saturating_sub(calls));
        let tdm = self.directory.trunk(trunk).is_some_and(|entry| entry.kind == TrunkKind::Tdm);
        if !(tdm && group.reserved_out > 0) {
            return by_limit;
        }
        // The circuit on which a call comes in is taken already, and is its own.
        let idle = self.circuits.values().filter(|c| c.trunk == trunk && c.available()).count() as u64 + 1;
        Some(by_limit.map_or(idle, |room| room.min(idle)))
    }
}
