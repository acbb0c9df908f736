//! Agents to whom no way leads: they are out at once, and in again when a way is back.

use crate::base::{AgentId, Now, OfferId, WorkItemId};

use super::engine::{Came, Engine, Output};
use super::offer::OfferEnd;
use super::profile::Entry;

impl Engine {
    /// Whether an agent is cut off: every way there is dead. Who is takes no work of any medium; a live offer is
    /// withdrawn ([`OfferEnd::Unreachable`]) and its item is free again, at its place, while the agent keeps state and idle time.
    /// What is in hand stays there, until [`cut_off`](Self::cut_off). Whoever was marked because no way led there is ready again with the first that does.
    pub fn set_cut(&mut self, now: Now, agent: AgentId, cut: bool) {
        self.change(now, agent, None, |a| a.set_cut(now.mono, cut));
        let Some(id) = self.agents.get(&agent).and_then(|a| a.offer()).filter(|_| cut) else { return };
        let Some(offer) = self.take_offer(id) else { return };
        self.outputs.push_back(Output::Withdraw { offer: id, agent, why: OfferEnd::Unreachable });
        self.audit.ended(agent);
        self.change(now, agent, None, |a| a.give_back(offer.hand));
        self.requeue(now, offer.item);
    }

    /// The agent who has an item is cut off from it, and has nothing to wrap up. Where it is to come `back`, it does so as the item
    /// that is named, at the place that its whole wait gives it and with the patience of a new one, whatever the entry says of
    /// both; others are looked at before the agent. False when it does not wait now: nobody had it, or its queue is gone.
    pub fn cut_off(&mut self, now: Now, item: WorkItemId, back: Option<(WorkItemId, Entry)>) -> bool {
        let Some(agent) = self.handled.remove(&item) else { return false };
        self.audit.finished(agent, item);
        let task = self.agents.get(&agent).and_then(|a| a.tasks().iter().find(|task| task.item == item));
        let waited = task.map(|task| task.place.waited(now.mono)).unwrap_or_default();
        let back = back.filter(|(_, entry)| self.queues.contains_key(&entry.queue));
        let waits = back.is_some();
        if let Some((to, entry)) = back {
            self.come(now, to, Entry { waited, excused: waited, ..entry }, Came::Back);
        }
        self.change(now, agent, None, |a| a.lose(now.mono, item));
        waits
    }

    /// The offer came to nothing because no way leads to the agent now: as [`refused`](Self::refused), but where that is known
    /// of the agent, who then gets nothing that is spoken anyway, it is not marked.
    pub fn unreached(&mut self, now: Now, offer: OfferId, why: OfferEnd) {
        let agent = self.offers.get(&offer).map(|offer| offer.hand.agent());
        let known = agent.and_then(|agent| self.agents.get(&agent)).is_some_and(|agent| agent.is_deaf());
        if !known {
            return self.refused(now, offer, why);
        }
        let Some(offer) = self.take_offer(offer) else { return };
        let agent = offer.hand.agent();
        self.audit.ended(agent);
        self.change(now, agent, None, |a| a.give_back(offer.hand));
        self.requeue(now, offer.item);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, agent, offer, plain, queue, withdraw};
    use super::*;
    use crate::base::Medium;
    use crate::base::{QueueId, WorkItemId};
    use crate::core::journal::AgentStatus;
    use crate::core::queue::Entry;

    fn cut(b: &mut Bench, agent: u32, cut: bool) {
        b.engine.set_cut(b.now, AgentId(agent), cut);
    }

    #[test]
    fn who_is_cut_off_loses_the_offer_to_the_next_and_is_back_with_the_way() {
        let mut b = Bench::new(vec![agent(1, &[]), agent(2, &[])], vec![queue(1, &[])]);
        b.enqueue(1, 1);
        assert_eq!(b.outputs(), [offer(1, 1, 1)]);
        cut(&mut b, 1, true);
        assert_eq!(b.outputs(), [withdraw(1, 1, OfferEnd::Unreachable), offer(2, 1, 2)]);
        assert_eq!(b.status(1), plain(AgentStatus::Ready));
        assert!(!b.engine.accepted(b.now, OfferId(1)), "it is over");
        b.enqueue(2, 1);
        assert_eq!(b.outputs(), []);
        cut(&mut b, 1, false);
        assert_eq!(b.outputs(), [offer(3, 2, 1)]);
    }

    #[test]
    fn an_item_goes_back_to_its_place() {
        let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[])]);
        b.enqueue(1, 1);
        b.pass(1);
        b.enqueue(2, 1);
        cut(&mut b, 1, true);
        assert_eq!((b.engine.position(WorkItemId(1)), b.engine.position(WorkItemId(2))), (Some(1), Some(2)));
        b.outputs();
        cut(&mut b, 1, false);
        assert_eq!(b.outputs(), [offer(2, 1, 1)]);
    }

    #[test]
    fn nothing_of_any_medium_comes_and_what_is_in_hand_stays() {
        let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[])]);
        b.add(1, Entry::new(QueueId(1), Medium::Chat));
        assert!(b.engine.accepted(b.now, OfferId(1)));
        b.outputs();
        cut(&mut b, 1, true);
        b.add(2, Entry::new(QueueId(1), Medium::Chat));
        assert_eq!(b.outputs(), []);
        assert_eq!(b.engine.handler(WorkItemId(1)), Some(AgentId(1)));
        cut(&mut b, 1, false);
        assert_eq!(b.outputs(), [offer(2, 2, 1)]);
    }

    #[test]
    fn who_is_cut_off_from_an_agent_goes_before_those_who_came_since_and_has_all_its_patience() {
        let mut wraps = agent(1, &[]);
        wraps.wrap_up = std::time::Duration::from_secs(30);
        let mut patient = queue(1, &[]);
        patient.overflow_after = Some(std::time::Duration::from_secs(60));
        let mut b = Bench::new(vec![wraps], vec![patient.clone()]);
        b.enqueue(1, 1);
        assert!(b.engine.accepted(b.now, OfferId(1)));
        b.pass(300);
        b.enqueue(2, 1);
        b.pass(10);
        cut(&mut b, 1, true);
        b.outputs();
        let entry = Entry::new(QueueId(1), Medium::Voice);
        assert!(b.engine.cut_off(b.now, WorkItemId(1), Some((WorkItemId(1), entry.clone()))));
        assert!(!b.engine.cut_off(b.now, WorkItemId(1), Some((WorkItemId(1), entry.clone()))), "nobody has it");
        assert_eq!((b.outputs(), b.status(1)), (vec![], plain(AgentStatus::Ready)), "nothing to wrap up");
        assert_eq!((b.engine.position(WorkItemId(1)), b.engine.position(WorkItemId(2))), (Some(1), Some(2)));
        b.pass(49);
        assert_eq!(b.outputs(), []);
        cut(&mut b, 1, false);
        assert_eq!(b.outputs(), [offer(2, 1, 1)], "in time, and before the other");
        cut(&mut b, 1, true);
        b.outputs();
        b.pass(12);
        assert_eq!(b.engine.position(WorkItemId(1)), None, "after a whole minute");
        // Its queue is gone meanwhile.
        let mut b = Bench::new(vec![agent(1, &[])], vec![patient]);
        b.enqueue(1, 1);
        assert!(b.engine.accepted(b.now, OfferId(1)));
        b.engine.provision(b.now, vec![], vec![agent(1, &[])], vec![]);
        assert!(!b.engine.cut_off(b.now, WorkItemId(1), Some((WorkItemId(1), entry))));
        let counters = b.engine.counters();
        assert!(counters.offered == counters.answered + counters.waiting as u64, "counted once: {counters:?}");
        assert!(!b.engine.is_in_work(WorkItemId(1)));
    }

    #[test]
    fn who_comes_back_is_counted_once_whatever_becomes_of_it() {
        let figures = |b: &Bench| {
            b.engine.check_invariants();
            let counters = b.engine.counters();
            let of = b.engine.queues(b.now).map(|q| q.offered).sum::<u64>();
            (of, counters.offered, counters.answered, counters.in_target, counters.abandoned)
        };
        let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[]), queue(2, &[])]);
        b.enqueue(1, 1);
        let back = |queue: u32| Some((WorkItemId(1), Entry::new(QueueId(queue), Medium::Voice)));
        for (offer, queue) in [(1, 1), (2, 1), (3, 2)] {
            b.pass(5);
            assert!(b.engine.accepted(b.now, OfferId(offer)));
            b.pass(5);
            assert!(b.engine.cut_off(b.now, WorkItemId(1), back(queue)));
            assert_eq!(figures(&b), (1, 1, 1, 1, 0), "also while it waits");
        }
        // To the same queue at once, which knows what was excused, and to one that takes it for new.
        let excused = b.engine.excused(WorkItemId(1));
        let Some((item, entry)) = back(2) else { unreachable!() };
        let entry = Entry { waited: excused, excused, ..entry };
        assert_eq!(b.engine.bring_back(b.now, item, entry.clone()), Ok(()));
        assert_eq!(figures(&b), (1, 1, 1, 1, 0));
        assert_eq!(
            b.engine.bring_back(b.now, item, Entry { excused: std::time::Duration::ZERO, ..entry.clone() }),
            Ok(())
        );
        assert_eq!(figures(&b), (2, 2, 1, 1, 0));
        assert_eq!(b.engine.bring_back(b.now, item, entry), Ok(()));
        assert!(b.engine.leave(b.now, item));
        assert_eq!(figures(&b), (1, 1, 1, 1, 0), "it has abandoned nothing");
    }

    #[test]
    fn who_was_marked_for_want_of_a_way_is_ready_with_the_first() {
        let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[])]);
        b.enqueue(1, 1);
        b.engine.unreached(b.now, OfferId(1), OfferEnd::Unreachable);
        assert_eq!(b.status(1), (AgentStatus::NotReady, "unreachable".to_owned()), "nothing was known of it");
        cut(&mut b, 1, true);
        b.outputs();
        cut(&mut b, 1, false);
        assert_eq!(b.outputs(), [offer(2, 1, 1)]);
        // Who went away meanwhile stays away.
        assert_eq!(b.engine.pause(b.now, AgentId(1), "lunch"), Ok(()));
        cut(&mut b, 1, true);
        cut(&mut b, 1, false);
        assert_eq!(b.outputs(), [withdraw(2, 1, OfferEnd::Unreachable)]);
        assert_eq!(b.status(1), (AgentStatus::NotReady, "lunch".to_owned()));
    }

    #[test]
    fn who_is_known_to_be_out_of_reach_is_not_marked() {
        let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[])]);
        b.enqueue(1, 1);
        b.outputs();
        b.engine.set_reachable(b.now, AgentId(1), false);
        b.engine.unreached(b.now, OfferId(1), OfferEnd::Unreachable);
        assert_eq!((b.outputs(), b.status(1)), (vec![], plain(AgentStatus::Ready)));
        b.engine.set_reachable(b.now, AgentId(1), true);
        assert_eq!(b.outputs(), [offer(2, 1, 1)]);
    }
}
