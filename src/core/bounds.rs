//! What is bounded inside the core, for `status`. ARCHITECTURE.md lists the same names; a test holds the two together.

use crate::base::Bound;
use crate::core::admin::ALARMS_MAX;
use crate::core::call::{Call, LEGS_PER_CALL_MAX};
use crate::core::contact::WORKS_MAX;
use crate::core::contact::callback::WISHES_MAX;
use crate::core::contact::sticky::CLIENTS_MAX;
use crate::core::ivr::{ATTRIBUTES_MAX, DIGITS_MAX, Run};
use crate::core::journal::CDR_EVENTS_MAX;
use crate::core::switch::{Switch, WAITING_MAX};
use crate::core::trunk::names::{NAMES_MAX, QUESTIONS_MAX};
use crate::core::trunk::servers::SERVERS_MAX;

impl Switch {
    pub(super) fn bounds(&self) -> Vec<Bound> {
        let counters = &self.counters;
        let calls_max = self.provision.sip.calls_max as usize;
        let port_pairs =
            usize::from(self.provision.media.port_max.saturating_sub(self.provision.media.port_min)).div_ceil(2);
        let sockets = self.sockets.total.saturating_sub(self.sockets.free());
        let circuits = self.circuits.values().filter(|c| !c.available()).count();
        let [(names, evicted), (questions, unasked)] = self.locator.usage();
        let (servers, forgotten) = self.servers.usage();
        let queue = self.queue.counters();
        let mut bounds = vec![
            Bound::new("calls", self.calls.len(), calls_max, counters.calls_refused),
            Bound::new("waiting", queue.waiting, WAITING_MAX, queue.refused),
            Bound::new("work-items", self.works.len(), WORKS_MAX, self.works.refused),
            Bound::new("call-backs", self.works.wishes_count().1, WISHES_MAX, counters.callbacks_refused),
            Bound::new("last-agents", self.last_agents.clients(), CLIENTS_MAX, self.last_agents.forgotten()),
            Bound::new("rtp-sockets", sockets, port_pairs, counters.sockets_refused),
            Bound::new("circuits", circuits, self.circuits.len(), 0),
            Bound::new("alarms", self.alarms.len(), ALARMS_MAX, self.alarms.others()),
            Bound::new("dns-names", names, NAMES_MAX, evicted),
            Bound::new("dns-questions", questions, QUESTIONS_MAX, unasked),
            Bound::new("servers", servers, SERVERS_MAX, forgotten),
        ];
        bounds.extend(self.sip.bounds());
        bounds.extend(self.gate_bounds());
        bounds.extend(self.bounds_of_calls());
        bounds
    }

    /// What each call has for itself: the most that any call uses now, and what all calls since the start lost.
    fn bounds_of_calls(&self) -> [Bound; 4] {
        let most = |of: fn(&Call) -> usize| self.calls.values().map(of).max().unwrap_or(0);
        let run = |of: fn(&Run) -> usize| self.calls.values().filter_map(|c| c.run.as_ref()).map(of).max().unwrap_or(0);
        let live = |of: fn(&Call) -> u64| self.calls.values().map(of).sum::<u64>();
        let lost = self.counters.calls_lost;
        [
            Bound::new("call-legs", most(|c| c.cdr.legs.len()), LEGS_PER_CALL_MAX, self.counters.legs_refused),
            Bound::new(
                "call-events",
                most(|c| c.cdr.events.len()),
                CDR_EVENTS_MAX,
                lost.events + live(|c| c.lost().events),
            ),
            Bound::new(
                "caller-attributes",
                run(Run::attributes_len),
                ATTRIBUTES_MAX,
                lost.attributes + live(|c| c.lost().attributes),
            ),
            Bound::new("caller-digits", run(Run::digits_len), DIGITS_MAX, lost.digits + live(|c| c.lost().digits)),
        ]
    }
}

/// What calls lost to their bounds.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Lost {
    pub events: u64,
    pub attributes: u64,
    pub digits: u64,
}

impl Lost {
    /// Adds what an ended call lost.
    pub fn add(&mut self, call: Lost) {
        self.events += call.events;
        self.attributes += call.attributes;
        self.digits += call.digits;
    }
}
