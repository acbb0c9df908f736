//! What must hold between any two calls of the engine.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::QueueId;

use super::agent::Agent;
use super::engine::Engine;
use super::gate::Gate;
use super::item::Stage;
use super::score::{could_ever, judge};
use super::timer::Timer;

impl Engine {
    /// Asserts what must hold between any two calls. Costs time in proportion to everything there is.
    ///
    /// # Panics
    /// When an invariant does not hold: a fault of the engine's, never of its caller's.
    pub fn check_invariants(&self) {
        self.check_items();
        self.check_offers();
        self.check_tasks();
        self.check_classes();
        self.check_gates();
        self.check_timers();
    }

    /// No item is lost or there twice.
    fn check_items(&self) {
        let mut present = 0;
        // What is back from an agent who was cut off is counted no more.
        let counted =
            |of: QueueId| self.items.values().filter(|i| i.entry.queue == of && i.entry.excused.is_zero()).count();
        for (id, queue) in &self.queues {
            let (tally, len) = (&queue.tally, queue.lines.len());
            assert_eq!(tally.offered, tally.left() + counted(*id) as u64, "{id}: entered is left and waiting");
            assert!(tally.in_target <= tally.answered, "{id}: in target is a part of answered");
            present += len;
        }
        assert_eq!(present, self.items.len(), "items are in the lines");
        let counted = self.items.values().filter(|item| item.entry.excused.is_zero()).count();
        assert_eq!(self.tally.offered, self.tally.left() + counted as u64, "entered is left and waiting");
        let new = self.items.values().filter(|item| !item.is_back).count();
        assert!(new <= self.waiting_max, "items within the bound");
        for (id, item) in &self.items {
            let in_line = self
                .queues
                .get(&item.entry.queue)
                .and_then(|q| q.lines.of(item.entry.medium))
                .is_some_and(|line| line.has(item.place, *id));
            assert!(in_line, "{id} is at its place");
            let free = self.fits.gate(item.gate).map(|gate| gate.has(item.rank(), *id));
            assert_eq!(free, Some(item.stage == Stage::Waiting), "{id} is free behind its gate while it waits");
            assert!(!self.handled.contains_key(id), "{id} waits, so nobody has it");
        }
    }

    /// Offers, offered items and agents with an offer belong together one to one.
    fn check_offers(&self) {
        let of_items: BTreeMap<_, _> = self
            .items
            .iter()
            .filter_map(|(id, item)| match item.stage {
                Stage::Offered(offer) => Some((offer, *id)),
                Stage::Waiting => None,
            })
            .collect();
        let of_agents: BTreeMap<_, _> =
            self.agents.iter().filter_map(|(id, agent)| Some((agent.offer()?, *id))).collect();
        let items: BTreeMap<_, _> = self.offers.iter().map(|(id, offer)| (*id, offer.item)).collect();
        let agents: BTreeMap<_, _> = self.offers.iter().map(|(id, offer)| (*id, offer.hand.agent())).collect();
        assert_eq!(of_items, items, "an offer for each offered item");
        assert_eq!(of_agents, agents, "an offer for each agent who is rung");
        assert_eq!(self.audit.double_offers, 0, "one offer at a time");
    }

    /// Each item in hand is in one hand, within its slots, and the audit agrees.
    fn check_tasks(&self) {
        let of_agents: BTreeMap<_, _> =
            (self.agents.iter()).flat_map(|(id, agent)| agent.tasks().iter().map(|task| (task.item, *id))).collect();
        assert_eq!(of_agents, self.handled, "items in hand");
        assert_eq!(of_agents.len(), self.agents.values().map(|a| a.tasks().len()).sum::<usize>(), "each in one hand");
        for (id, agent) in &self.agents {
            let alone = agent.tasks().iter().find(|task| task.medium.is_alone());
            let holds = (agent.offer(), alone.map(|task| task.item));
            assert_eq!(self.audit.holds(*id), holds, "{id}: the audit agrees");
        }
    }

    /// The indices of agents say what a look at everybody says.
    fn check_classes(&self) {
        let (mut open, mut busy) = (0, 0);
        for (id, agent) in &self.agents {
            let footing = agent.footing();
            let class = self.fits.class(agent.class);
            let Some(class) = class else { unreachable!("{id} is of no class") };
            if let Some((posture, since)) = footing.open {
                let there = class.open.get(&posture).is_some_and(|agents| agents.contains(&(since, *id)));
                assert!(there, "{id} is open");
                open += 1;
            }
            assert_eq!(class.busy.get(id).copied(), footing.busy, "{id}: busy");
            busy += usize::from(footing.busy.is_some());
        }
        let classes = || self.queues.values().map(|q| q.tenant()).chain(self.agents.values().map(|a| a.tenant));
        let classes: BTreeSet<_> = classes().flat_map(|tenant| self.fits.classes_of(tenant)).collect();
        let all = || classes.iter().filter_map(|&&id| self.fits.class(id));
        for burden in self.burdens.iter() {
            let classes = self.queues.get(&burden.queue).map_or(&[][..], |queue| &queue.classes);
            let of = || self.agents.values().filter(|agent| classes.contains(&agent.class)).map(Agent::footing);
            let staff = of().filter(|footing| footing.works).count();
            let idle = of().filter(|footing| footing.open.is_some_and(|(posture, _)| posture.is_idle())).count();
            assert_eq!(
                (burden.staff as usize, burden.idle as usize),
                (staff, idle),
                "{}: staff and idle",
                burden.queue
            );
        }
        assert_eq!(all().flat_map(|c| c.open.values()).map(BTreeSet::len).sum::<usize>(), open, "open agents");
        assert_eq!(all().map(|c| c.busy.len()).sum::<usize>(), busy, "busy agents");
    }

    /// Nobody who could take an item idles while it waits free, unless it is held; and each class that fits knows its gates.
    fn check_gates(&self) {
        let open = |(&id, agent): (&_, &Agent)| Some((id, agent.class, agent.footing().open?.0));
        let open: Vec<_> = self.agents.iter().filter_map(open).collect();
        for (_, gate) in self.fits.waited_at() {
            for id in self.fits.classes_of(gate.ask.needs.tenant) {
                let fits = self.fits.class(*id).is_some_and(|class| could_ever(&class.kind, &gate.ask.needs))
                    && self.fits.has_those_wanted(*id, &gate.ask.needs);
                let known = self.fits.gates_for(*id).filter_map(|(known, _)| self.fits.gate(known));
                let knows = known.filter(|known| std::ptr::eq(*known, gate)).count();
                assert!(!fits || knows == 1, "{id:?} fits a gate and knows it {knows} times");
            }
            // After a mass event it takes a while until all have been looked at.
            let settled = !self.is_mass(gate.ask.needs.tenant);
            for &(agent, class, posture) in open.iter().filter(|_| settled) {
                let Some(of) = self.fits.class(class) else { continue };
                if posture.takes(gate.ask.needs.medium, of.kind.slots) {
                    self.check_nobody_waits_for(gate, &of.kind, agent);
                }
            }
        }
    }

    fn check_nobody_waits_for(&self, gate: &Gate, kind: &super::class::Kind, agent: crate::base::AgentId) {
        for (_, id) in gate.items() {
            let Some(item) = self.items.get(&id) else { unreachable!("{id} is behind a gate and nowhere else") };
            // What has turned at this very moment is matched when its timer is due.
            let waited = item.rank().waited(self.seen);
            let fits = judge(kind, Some(agent), &gate.ask.needs, &item.prefers, waited).is_ok();
            let turns = item.turn_at.is_some_and(|at| at <= self.seen);
            assert!(
                !fits || item.hold_at.is_some() || turns || self.is_behind_held(gate, id),
                "somebody idles while {id} waits"
            );
        }
    }

    /// An item of the same row that waits longer is held.
    fn is_behind_held(&self, gate: &Gate, id: crate::base::WorkItemId) -> bool {
        let Some(item) = self.items.get(&id) else { return false };
        gate.items()
            .filter_map(|(_, other)| self.items.get(&other))
            .any(|other| other.hold_at.is_some() && other.prefers == item.prefers && other.rank() <= item.rank())
    }

    /// Each timer has an owner who expects it, and each owner who expects one has it.
    fn check_timers(&self) {
        let running: BTreeSet<_> = self.timers.iter().collect();
        let mut expected = BTreeSet::new();
        for (id, offer) in &self.offers {
            expected.insert((offer.ring_until, Timer::Ring(*id)));
        }
        for (id, agent) in &self.agents {
            expected.extend(agent.footing().wrap_up_until.map(|at| (at, Timer::WrapUp(*id))));
        }
        for (id, item) in &self.items {
            expected.extend(item.announce_at.map(|at| (at, Timer::Announce(*id))));
            expected.extend(item.escalate_at.map(|at| (at, Timer::Escalate(*id))));
            expected.extend(item.turn_at.map(|at| (at, Timer::Turn(*id))));
            expected.extend(item.hold_at.map(|at| (at, Timer::Hold(*id))));
            if let Some(at) = item.overflow_at {
                let timer = (at, Timer::Overflow(*id));
                // It fires once; for an item that rings then, the offer's end decides.
                if item.stage == Stage::Waiting || running.contains(&timer) {
                    expected.insert(timer);
                }
            }
        }
        assert_eq!(running, expected, "timers");
    }
}
