//! What follows from a match: offers made and ended, items coming and leaving, agents changing.

use std::sync::Arc;
use std::time::Duration;

use crate::base::{AgentId, Now, OfferId, WorkItemId};
use crate::core::journal::AgentStatus;

use super::agent::Agent;
use super::class::ClassId;
use super::engine::{Engine, Output};
use super::explain::Reason;
use super::item::{Exit, IN_TIME_MEMORY, Item, Stage};
use super::line::Place;
use super::matching::Pair;
use super::offer::{Offer, OfferEnd};
use super::posture::Posture;
use super::profile::{Entry, Refusal};
use super::row::turns;
use super::timer::Timer;

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

    /// The one way an agent's state changes: acts, then brings indices, timers and the outside up to date, and finds work for
    /// an agent who can take some now that could not be taken before. `known` is a state that need not be told. None for
    /// an unknown agent.
    pub(super) fn change<R>(
        &mut self,
        now: Now,
        id: AgentId,
        known: Option<(AgentStatus, &str)>,
        act: impl FnOnce(&mut Agent) -> R,
    ) -> Option<R> {
        self.seen = now.mono;
        let agent = self.agents.get_mut(&id)?;
        let before = agent.footing();
        let result = act(agent);
        let after = agent.footing();
        let class = agent.class;
        if (before.status, &before.reason) != (after.status, &after.reason) {
            agent.since = now.wall;
            if known != Some((after.status, &after.reason)) {
                let (status, reason) = (after.status, after.reason.clone());
                self.outputs.push_back(Output::AgentChanged { agent: id, status, reason });
            }
        }
        if before.wrap_up_until != after.wrap_up_until {
            self.timers.cancel(before.wrap_up_until, Timer::WrapUp(id));
            self.timers.start(after.wrap_up_until, Timer::WrapUp(id));
        }
        if let Some(class) = self.fits.class_mut(class) {
            if before.works != after.works {
                class.staff = if after.works { class.staff + 1 } else { class.staff.saturating_sub(1) };
                self.burdens.works(class, after.works);
            }
            if before.busy != after.busy {
                match after.busy {
                    Some(busy) => drop(class.busy.insert(id, busy)),
                    None => drop(class.busy.remove(&id)),
                }
            }
        }
        if before.open != after.open {
            if let Some((posture, idle_since)) = before.open {
                self.fits.remove_open(class, posture, idle_since, id);
                self.count_idle(class, posture, false);
            }
            if let Some((posture, idle_since)) = after.open {
                self.fits.add_open(class, posture, idle_since, id);
                self.count_idle(class, posture, true);
                self.match_agent(now, id);
            }
        }
        Some(result)
    }

    /// An agent begins to be open in this posture, or ends.
    pub(super) fn count_idle(&mut self, class: ClassId, posture: Posture, begins: bool) {
        if posture.is_idle()
            && let Some(class) = self.fits.class(class)
        {
            self.burdens.idles(class, begins);
        }
    }

    /// Puts a new item at its place, with its timers.
    pub(super) fn admit(&mut self, now: Now, id: WorkItemId, mut entry: Entry, is_back: bool) {
        let Some(queue) = self.queues.get(&entry.queue) else { return };
        let (ask, prefers) = self.ask(queue, &entry);
        let target = queue.target(entry.medium);
        let place = Place::new(now.mono, entry.waited);
        let left = |after: Duration| now.mono + after.saturating_sub(entry.waited.saturating_sub(entry.excused));
        let profile = &queue.profile;
        let overflow_at = profile.overflow_after.filter(|_| entry.overflows).map(left);
        let escalate_at = profile.escalate_after.map(left);
        let announce_at = profile.announce_every.filter(|_| entry.medium.is_live()).map(|every| now.mono + every);
        let gate = self.fits.enter(ask, profile.importance, target);
        let shared = self.fits.shared(gate, &prefers);
        entry.waited = Duration::ZERO;
        let item = Item {
            gate,
            prefers: shared.unwrap_or_else(|| Arc::from(prefers)),
            place,
            stage: Stage::Waiting,
            unservable: false,
            is_back,
            overflow_at,
            escalate_at,
            announce_at,
            turn_at: None,
            hold_at: None,
            foretold_s: None,
            entry,
        };
        self.timers.start(overflow_at, Timer::Overflow(id));
        self.timers.start(escalate_at, Timer::Escalate(id));
        self.timers.start(announce_at, Timer::Announce(id));
        if let Some(line) = self.queues.get_mut(&item.entry.queue).and_then(|q| q.lines.of_mut(item.entry.medium)) {
            line.join(place, id);
        }
        self.fits.release(gate, item.rank(), id, &item.prefers);
        self.items.insert(id, Box::new(item));
        self.set_turn(now, id);
        self.set_servable(id);
    }

    /// Sets the timer of the next step of an item's schedules.
    pub(super) fn set_turn(&mut self, now: Now, id: WorkItemId) {
        let Some(item) = self.items.get_mut(&id) else { return };
        self.timers.cancel(item.turn_at.take(), Timer::Turn(id));
        let Some(gate) = self.fits.gate(item.gate) else { return };
        let waited = item.rank().waited(now.mono);
        let next =
            turns(&gate.ask.needs.gates).into_iter().chain(turns(&item.prefers)).filter(|&turn| turn > waited).min();
        item.turn_at = next.map(|turn| now.mono + turn.saturating_sub(waited));
        self.timers.start(item.turn_at, Timer::Turn(id));
    }

    /// Something else is asked than before: somebody who did not fit may now.
    pub(super) fn turn_due(&mut self, now: Now, id: WorkItemId) {
        self.set_turn(now, id);
        self.match_item(now, id);
    }

    /// Tells when it turns out that nobody there is could take an item, or that somebody could again.
    pub(super) fn set_servable(&mut self, id: WorkItemId) {
        let Some(item) = self.items.get_mut(&id) else { return };
        let unservable = self.fits.gate(item.gate).is_some_and(|gate| self.fits.is_unservable(gate));
        if item.unservable != unservable {
            item.unservable = unservable;
            self.outputs.push_back(Output::Unservable { item: id, unservable });
        }
    }

    /// Notes what wait an item that has to wait is foretold.
    pub(super) fn foretell(&mut self, id: WorkItemId) {
        let waits = self.items.get(&id).is_some_and(|item| item.stage == Stage::Waiting && item.entry.medium.is_live());
        let expected = if waits { self.expected_wait(id) } else { None };
        if let Some(item) = self.items.get_mut(&id) {
            item.foretold_s = expected.map(|wait| wait.as_secs_f32());
        }
    }

    /// Takes the agent's hand into an offer of the item; nothing happens if the agent cannot give it or the item is
    /// not free.
    pub(super) fn make_offer(&mut self, now: Now, pair: Pair, reason: Box<Reason>) {
        let Pair { item, agent, .. } = pair;
        if !self.items.get(&item).is_some_and(|i| i.stage == Stage::Waiting) {
            return;
        }
        let offer = OfferId(self.offer_last.0 + 1);
        let reserved = self.change(now, agent, None, |a| Some((a.reserve(offer)?, a.ring))).flatten();
        let Some((hand, ring)) = reserved else { return };
        self.offer_last = offer;
        let ring_until = now.mono + ring;
        self.timers.start(Some(ring_until), Timer::Ring(offer));
        self.offers.insert(offer, Offer { hand, item, made: now.mono, ring_until, reason });
        self.audit.offered(agent, offer);
        self.end_hold(item);
        self.set_stage(item, Stage::Offered(offer));
        self.outputs.push_back(Output::Offer { offer, item, agent });
    }

    pub(super) fn set_stage(&mut self, id: WorkItemId, stage: Stage) {
        let Some(item) = self.items.get_mut(&id) else { return };
        item.stage = stage;
        match stage {
            Stage::Waiting => self.fits.release(item.gate, item.rank(), id, &item.prefers),
            Stage::Offered(_) => self.fits.reserve(item.gate, item.rank(), id, &item.prefers),
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
        let agent = offer.hand.agent();
        self.outputs.push_back(Output::Withdraw { offer: id, agent, why });
        self.audit.ended(agent);
        self.change(now, agent, None, |a| a.give_back(offer.hand));
    }

    /// Nobody answered in time.
    pub(super) fn ring_out(&mut self, now: Now, id: OfferId) {
        if let Some(agent) = self.offers.get(&id).map(|o| o.hand.agent()) {
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

    /// An item has waited so long that it goes another way.
    pub(super) fn escalate_due(&mut self, id: WorkItemId) {
        if let Some(item) = self.items.get_mut(&id) {
            item.escalate_at = None;
            self.outputs.push_back(Output::Escalate { item: id });
        }
    }

    /// Takes an item out, with all that hangs on it but an offer.
    pub(super) fn remove_item(&mut self, now: Now, id: WorkItemId, exit: Exit) -> Option<Box<Item>> {
        let item = self.items.remove(&id)?;
        self.timers.cancel(item.overflow_at, Timer::Overflow(id));
        self.timers.cancel(item.escalate_at, Timer::Escalate(id));
        self.timers.cancel(item.announce_at, Timer::Announce(id));
        self.timers.cancel(item.turn_at, Timer::Turn(id));
        self.timers.cancel(item.hold_at, Timer::Hold(id));
        if item.stage == Stage::Waiting {
            self.fits.reserve(item.gate, item.rank(), id, &item.prefers);
        }
        self.fits.exit(item.gate);
        let wait = item.place.waited(now.mono).saturating_sub(item.entry.excused);
        if let Some(foretold_s) = item.foretold_s.filter(|_| exit == Exit::Answered) {
            self.accuracy.compare(foretold_s.into(), wait.as_secs_f64());
            if let Some(queue) = self.queues.get_mut(&item.entry.queue) {
                queue.forecast.came_true(foretold_s.into(), wait.as_secs_f64());
            }
        }
        if let Some(queue) = self.queues.get_mut(&item.entry.queue) {
            let in_target = wait <= queue.target(item.entry.medium);
            if let Some(line) = queue.lines.of_mut(item.entry.medium) {
                line.leave(item.place, id);
                if let (Exit::Answered, Some(pace)) = (exit, queue.paces.get_mut(item.entry.medium.index())) {
                    pace.taken(now.mono, line.len() > 0);
                }
            }
            if item.entry.excused.is_zero() {
                queue.tally.count(exit, in_target);
                self.tally.count(exit, in_target);
            }
            if matches!(exit, Exit::Moved | Exit::Again) {
                return Some(item);
            }
            if item.entry.medium.is_live() {
                queue.forecast.waited(wait, exit == Exit::Abandoned);
                self.fits.count_wait(queue.tenant(), wait);
            }
            // Who leaves while in time says nothing of how the queue fares.
            if exit != Exit::Abandoned || !in_target {
                let taken = exit == Exit::Answered && in_target;
                queue.in_time += (f64::from(u8::from(taken)) - queue.in_time) / IN_TIME_MEMORY;
                let tenant = queue.tenant();
                self.fits.count_in_time(tenant, taken);
            }
        }
        Some(item)
    }

    /// An announcement is due, and the next one is set.
    pub(super) fn announce_due(&mut self, now: Now, id: WorkItemId) {
        let Some(item) = self.items.get_mut(&id) else { return };
        let every = self.queues.get(&item.entry.queue).and_then(|q| q.profile.announce_every);
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
        let target = self.queues.get(&item.entry.queue).map(|q| q.target(item.entry.medium)).unwrap_or_default();
        let expected = self.expected_wait(id).unwrap_or(target);
        let Some(position) = self.position(id) else { return };
        let expected_wait_s = u32::try_from(expected.as_secs_f64().round() as u64).unwrap_or(u32::MAX);
        self.outputs.push_back(Output::Announce { item: id, position, expected_wait_s });
    }
}
