//! Matching and what follows from it: offers made and ended, items leaving, agents changing.

use std::collections::BinaryHeap;

use crate::base::{AgentId, Instant, Now, OfferId, QueueId, WorkItemId};
use crate::core::journal::AgentStatus;

use super::agent::Agent;
use super::engine::{Engine, Output};
use super::item::{Exit, Item, Stage, Urgency};
use super::offer::Offer;
use super::timer::Timer;
use super::{OfferEnd, Refusal};

impl Engine {
    /// An order about an agent.
    pub(super) fn order(
        &mut self,
        now: Now,
        agent: AgentId,
        act: impl FnOnce(&mut Agent) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.change(now, agent, None, act).unwrap_or(Err(Refusal::UnknownAgent))
    }

    /// The one way an agent's state changes: acts, then brings indices, timers, measurements and the outside up to
    /// date, and finds work for an agent who can take some now. `known` is a state that need not be told. None for
    /// an unknown agent.
    pub(super) fn change<R>(
        &mut self,
        now: Now,
        id: AgentId,
        known: Option<(AgentStatus, &str)>,
        act: impl FnOnce(&mut Agent) -> R,
    ) -> Option<R> {
        let agent = self.agents.get_mut(&id)?;
        let before = agent.footing();
        let result = act(agent);
        let after = agent.footing();
        let class = agent.class;
        if (before.status, &before.reason) != (after.status, &after.reason) {
            agent.since = now.wall;
            if known != Some((after.status, &after.reason)) {
                let (status, reason) = (after.status, after.reason);
                self.outputs.push_back(Output::AgentChanged { agent: id, status, reason });
            }
        }
        if before.wrap_up_until != after.wrap_up_until {
            self.timers.cancel(before.wrap_up_until, Timer::WrapUp(id));
            self.timers.start(after.wrap_up_until, Timer::WrapUp(id));
        }
        if let (Some(work), None) = (before.work, after.work) {
            self.audit.ended(id);
            if let Some(queue) = self.queues.get_mut(&work.queue) {
                queue.forecast.served(now.mono.since(work.since));
            }
        }
        match (before.works, after.works) {
            (false, true) => self.fits.add_staff(class),
            (true, false) => self.fits.remove_staff(class),
            _ => {}
        }
        if before.available != after.available {
            if let Some(idle_since) = before.available {
                self.fits.remove_ready(class, idle_since, id);
            }
            if let Some(idle_since) = after.available {
                self.fits.add_ready(class, idle_since, id);
                self.match_agent(now, id);
            }
        }
        Some(result)
    }

    /// Finds an agent for an item that waits free. No other item can want the agent found: as long as one who fits
    /// was ready, nobody with like needs waited.
    pub(super) fn match_item(&mut self, now: Now, item: WorkItemId) {
        let demand = self.items.get(&item).and_then(|i| self.queues.get(&i.queue)).map(|q| q.demand);
        if let Some(agent) = demand.and_then(|d| self.fits.best_agent(d)) {
            self.make_offer(now, agent, item);
        }
    }

    /// Finds an item for an agent who is ready: the most urgent of those that fit.
    pub(super) fn match_agent(&mut self, now: Now, agent: AgentId) {
        let Some(class) = self.agents.get(&agent).map(|a| a.class) else { return };
        let heads = self.fits.waiting_for(class).filter_map(|queue| self.urgency_of_head(now.mono, queue));
        if let Some(most) = heads.max() {
            self.make_offer(now, agent, most.item);
        }
    }

    /// Matches all that can be matched, the most urgent items first: for changes that concern many at once.
    pub(super) fn match_all(&mut self, now: Now) {
        let mut heads: BinaryHeap<Urgency> =
            self.fits.matchable().filter_map(|queue| self.urgency_of_head(now.mono, queue)).collect();
        while let Some(most) = heads.pop() {
            let demand = self.queues.get(&most.queue).map(|q| q.demand);
            let Some(agent) = demand.and_then(|d| self.fits.best_agent(d)) else { continue };
            self.make_offer(now, agent, most.item);
            heads.extend(self.urgency_of_head(now.mono, most.queue).filter(|next| next.item != most.item));
        }
    }

    fn urgency_of_head(&self, now: Instant, queue: QueueId) -> Option<Urgency> {
        let of = self.queues.get(&queue)?;
        let (item, since) = of.line.head()?;
        Some(Urgency::new(item, queue, now.since(since), of.target))
    }

    /// Takes the agent's slot into an offer of the item; nothing happens if the agent cannot give it or the item is
    /// not free.
    fn make_offer(&mut self, now: Now, agent: AgentId, item: WorkItemId) {
        if !self.items.get(&item).is_some_and(|i| i.stage == Stage::Waiting) {
            return;
        }
        let offer = OfferId(self.offer_last.0 + 1);
        let reserved = self.change(now, agent, None, |a| Some((a.reserve(offer)?, a.ring))).flatten();
        let Some((slot, ring)) = reserved else { return };
        self.offer_last = offer;
        let ring_until = now.mono + ring;
        self.timers.start(Some(ring_until), Timer::Ring(offer));
        self.offers.insert(offer, Offer { slot, item, made: now.mono, ring_until });
        self.audit.offered(agent, offer);
        self.set_stage(item, Stage::Offered(offer));
        self.outputs.push_back(Output::Offer { offer, item, agent });
    }

    pub(super) fn set_stage(&mut self, id: WorkItemId, stage: Stage) {
        let Some(item) = self.items.get_mut(&id) else { return };
        item.stage = stage;
        let (queue, ticket) = (item.queue, item.ticket);
        if let Some(of) = self.queues.get_mut(&queue) {
            match stage {
                Stage::Waiting => of.line.release(ticket),
                Stage::Offered(_) => of.line.reserve(ticket),
            }
        }
        self.refresh_waiting(queue);
    }

    /// Tells the fits whether somebody waits free in the queue.
    pub(super) fn refresh_waiting(&mut self, queue: QueueId) {
        if let Some(of) = self.queues.get(&queue) {
            self.fits.set_waiting(of.demand, queue, of.line.head().is_some());
        }
    }

    /// Ends an offer's life; the caller says what becomes of slot and item.
    pub(super) fn take_offer(&mut self, id: OfferId) -> Option<Offer> {
        let offer = self.offers.remove(&id)?;
        self.timers.cancel(Some(offer.ring_until), Timer::Ring(id));
        Some(offer)
    }

    /// Withdraws an offer whose item has left; the agent is ready again.
    pub(super) fn withdraw(&mut self, now: Now, id: OfferId, why: OfferEnd) {
        let Some(offer) = self.take_offer(id) else { return };
        let agent = offer.slot.agent();
        self.outputs.push_back(Output::Withdraw { offer: id, agent, why });
        self.audit.ended(agent);
        self.change(now, agent, None, |a| a.give_back(offer.slot));
    }

    /// Nobody answered in time.
    pub(super) fn ring_out(&mut self, now: Now, id: OfferId) {
        if let Some(agent) = self.offers.get(&id).map(|o| o.slot.agent()) {
            self.outputs.push_back(Output::Withdraw { offer: id, agent, why: OfferEnd::NoAnswer });
            self.refused(now, id, OfferEnd::NoAnswer);
        }
    }

    /// An item whose offer came to nothing is free again, at its place.
    pub(super) fn requeue(&mut self, now: Now, item: WorkItemId) {
        self.set_stage(item, Stage::Waiting);
        if self.items.get(&item).and_then(|i| i.overflow_at).is_some_and(|at| at <= now.mono) {
            self.overflow(now, item);
        } else {
            self.match_item(now, item);
        }
    }

    /// The item has waited too long.
    pub(super) fn overflow(&mut self, now: Now, item: WorkItemId) {
        if self.remove_item(now, item, Exit::Overflowed).is_some() {
            self.outputs.push_back(Output::Overflow { item });
        }
    }

    /// Takes an item out, with all that hangs on it but an offer.
    pub(super) fn remove_item(&mut self, now: Now, id: WorkItemId, exit: Exit) -> Option<Item> {
        let item = self.items.remove(&id)?;
        self.timers.cancel(item.overflow_at, Timer::Overflow(id));
        self.timers.cancel(item.announce_at, Timer::Announce(id));
        if let Some(queue) = self.queues.get_mut(&item.queue) {
            let wait = now.mono.since(item.since);
            let in_target = wait <= queue.target;
            queue.line.leave(item.ticket);
            queue.forecast.waited(wait, exit == Exit::Abandoned);
            queue.tally.count(exit, in_target);
            self.tally.count(exit, in_target);
        }
        self.refresh_waiting(item.queue);
        Some(item)
    }

    /// An announcement is due, and the next one is set.
    pub(super) fn announce_due(&mut self, now: Now, id: WorkItemId) {
        let Some(item) = self.items.get_mut(&id) else { return };
        let every = self.queues.get(&item.queue).and_then(|q| q.announce_every);
        let Some((at, every)) = item.announce_at.zip(every) else { return };
        // Late by more than a whole period: what was missed is not made up for.
        let next = if at + every > now.mono { at + every } else { now.mono + every };
        item.announce_at = Some(next);
        self.timers.start(Some(next), Timer::Announce(id));
        self.announce(id);
    }

    /// Tells the client, unless an agent is being rung.
    pub(super) fn announce(&mut self, id: WorkItemId) {
        let Some(item) = self.items.get(&id).filter(|i| i.stage == Stage::Waiting) else { return };
        let target = self.queues.get(&item.queue).map(|q| q.target).unwrap_or_default();
        let expected = self.expected_wait(id).unwrap_or(target);
        let Some(position) = self.position(id) else { return };
        let expected_wait_s = u32::try_from(expected.as_secs_f64().round() as u64).unwrap_or(u32::MAX);
        self.outputs.push_back(Output::Announce { item: id, position, expected_wait_s });
    }
}
