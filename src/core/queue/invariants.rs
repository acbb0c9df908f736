//! What must hold between any two calls of the engine.

use std::collections::{BTreeMap, BTreeSet};

use super::engine::Engine;
use super::item::Stage;
use super::timer::Timer;

impl Engine {
    /// Asserts what must hold between any two calls. Costs time in proportion to everything there is.
    ///
    /// # Panics
    /// When an invariant does not hold: a fault of the engine's, never of its caller's.
    pub fn check_invariants(&self) {
        self.check_items();
        self.check_offers();
        self.check_fits();
        self.check_timers();
    }

    /// No item is lost or there twice.
    fn check_items(&self) {
        let mut present = 0;
        for (id, queue) in &self.queues {
            let (tally, len) = (&queue.tally, queue.line.len());
            assert_eq!(tally.offered, tally.left() + len as u64, "{id}: entered is left and waiting");
            assert!(tally.in_target <= tally.answered, "{id}: in target is a part of answered");
            present += len;
        }
        assert_eq!(present, self.items.len(), "items are in the lines");
        assert_eq!(self.tally.offered, self.tally.left() + present as u64, "entered is left and waiting");
        assert!(present <= self.waiting_max, "items within the bound");
        for (id, item) in &self.items {
            let standing = self.queues.get(&item.queue).and_then(|q| q.line.standing(item.ticket));
            assert_eq!(standing, Some((*id, item.stage == Stage::Waiting)), "{id} is at its place");
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
        let agents: BTreeMap<_, _> = self.offers.iter().map(|(id, offer)| (*id, offer.slot.agent())).collect();
        assert_eq!(of_items, items, "an offer for each offered item");
        assert_eq!(of_agents, agents, "an offer for each agent who is rung");
        assert_eq!(self.audit.double_offers, 0, "one offer at a time");
        for (id, agent) in &self.agents {
            let footing = agent.footing();
            let occupied = agent.offer().is_some() || footing.work.is_some();
            assert_eq!(self.audit.holds(*id), occupied, "{id}: the audit agrees");
        }
    }

    /// The indices say what a look at everybody says, and nobody who is ready idles while an item that fits waits.
    fn check_fits(&self) {
        let everybody: Vec<_> = self.agents.iter().map(|(id, agent)| (*id, agent, agent.footing())).collect();
        for (id, queue) in &self.queues {
            let fitting: Vec<_> = everybody
                .iter()
                .filter(|(_, a, _)| a.tenant == queue.tenant && a.skills.fitness(&queue.needs).is_some())
                .collect();
            let staff = fitting.iter().filter(|(_, _, footing)| footing.works).count();
            assert_eq!(self.fits.staff(queue.demand), staff, "{id}: staff");
            let ready: BTreeSet<_> =
                fitting.iter().filter(|(_, _, footing)| footing.available.is_some()).map(|(id, _, _)| *id).collect();
            assert_eq!(self.fits.ready_of(queue.demand).collect::<BTreeSet<_>>(), ready, "{id}: ready agents");
            let waits = queue.line.head().is_some();
            assert_eq!(self.fits.waiting_of(queue.demand).any(|q| q == *id), waits, "{id}: whether somebody waits");
            assert!(!waits || ready.is_empty(), "{id}: nobody idles while an item that fits waits");
        }
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
