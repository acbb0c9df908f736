//! The engine: one owner of all waiting items, agents and offers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::base::{AgentId, Instant, Now, OfferId, QueueId, WorkItemId};
use crate::core::journal::AgentStatus;

use super::agent::{Agent, Task};
use super::burden::Burdens;
use super::explain::Reason;
use super::fits::Fits;
use super::item::{Exit, Item, Queue, Stage, Tally};
use super::line::Place;
use super::mass::Mass;
use super::offer::{Audit, Offer, OfferEnd};
use super::predict::Accuracy;
use super::profile::{EnqueueError, Entry, Refusal};
use super::row::Levels;
use super::timer::{Timer, Timers};

/// What the engine wants done, or tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Ring or notify this agent for this item; answer with [`Engine::accepted`] or [`Engine::refused`].
    Offer {
        /// The offer.
        offer: OfferId,
        /// The item.
        item: WorkItemId,
        /// The agent.
        agent: AgentId,
    },
    /// Stop ringing. The offer is void already; answers to it are ignored.
    Withdraw {
        /// The offer.
        offer: OfferId,
        /// The agent.
        agent: AgentId,
        /// Why.
        why: OfferEnd,
    },
    /// The item waited too long, or its queue is gone. It is no longer in the queue.
    Overflow {
        /// The item.
        item: WorkItemId,
    },
    /// The item has waited as long as its queue lets it before it goes another way. It still waits.
    Escalate {
        /// The item.
        item: WorkItemId,
    },
    /// No agent there is could take the item, whoever signs in; or, with `false`, one could again. It still waits.
    Unservable {
        /// The item.
        item: WorkItemId,
        /// Whether it is so.
        unservable: bool,
    },
    /// The agent who had the item is no longer provisioned, and nobody has it now.
    Orphaned {
        /// The item.
        item: WorkItemId,
    },
    /// Tell the client.
    Announce {
        /// The item.
        item: WorkItemId,
        /// Place in its queue, from 1.
        position: usize,
        /// Expected wait in seconds; the queue's target until a first call was measured.
        expected_wait_s: u32,
    },
    /// An agent's state changed; for the journal.
    AgentChanged {
        /// The agent.
        agent: AgentId,
        /// New state.
        status: AgentStatus,
        /// Why not ready; empty otherwise.
        reason: String,
    },
}

/// From where an item comes into a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Came {
    /// Nobody has seen it before.
    New,
    /// It waited in another queue until now.
    Moved,
    /// It waited in this queue until now.
    Again,
    /// An agent had it, or its time has come, or it is from before a restart.
    Back,
}

/// The queue engine.
#[derive(Debug)]
pub struct Engine {
    pub(super) agents: BTreeMap<AgentId, Agent>,
    pub(super) queues: BTreeMap<QueueId, Queue>,
    pub(super) items: BTreeMap<WorkItemId, Box<Item>>,
    pub(super) handled: BTreeMap<WorkItemId, AgentId>,
    pub(super) offers: BTreeMap<OfferId, Offer>,
    pub(super) offer_last: OfferId,
    pub(super) fits: Fits,
    pub(super) timers: Timers,
    pub(super) audit: Audit,
    pub(super) tally: Tally,
    pub(super) accuracy: Accuracy,
    pub(super) shares_at: Option<Instant>,
    pub(super) burdens: Burdens,
    /// Tenants whose items and agents are yet to meet.
    pub(super) mass: VecDeque<Mass>,
    pub(super) levels: Levels,
    pub(super) waiting_max: usize,
    pub(super) refused: u64,
    /// The latest time that was told: for checks.
    pub(super) seen: Instant,
    pub(super) outputs: VecDeque<Output>,
}

impl Engine {
    /// An engine that holds at most `waiting_max` items.
    pub fn new(waiting_max: usize) -> Self {
        Self {
            agents: BTreeMap::new(),
            queues: BTreeMap::new(),
            items: BTreeMap::new(),
            handled: BTreeMap::new(),
            offers: BTreeMap::new(),
            offer_last: OfferId(0),
            fits: Fits::default(),
            timers: Timers::default(),
            audit: Audit::default(),
            tally: Tally::default(),
            accuracy: Accuracy::default(),
            shares_at: None,
            burdens: Burdens::default(),
            mass: VecDeque::new(),
            levels: Levels::default(),
            waiting_max,
            refused: 0,
            seen: Instant::ZERO,
            outputs: VecDeque::new(),
        }
    }

    /// Sets an agent's state after a restart; `Busy` and `WrapUp` become `Ready`, their calls being gone. Tells of a
    /// change only where the state is not the given one. Ignored for unknown agents, those who have an offer, and those in
    /// wrap-up.
    pub fn restore(&mut self, now: Now, agent: AgentId, status: AgentStatus, reason: &str) {
        self.change(now, agent, Some((status, reason)), |a| a.restore(now.mono, status, reason));
    }

    /// Gives an agent back an item that it had before a restart. False for an unknown agent or queue, or an item that is in
    /// work.
    pub fn restore_task(&mut self, now: Now, agent: AgentId, item: WorkItemId, entry: &Entry) -> bool {
        let known = self.queues.contains_key(&entry.queue) && self.agents.contains_key(&agent);
        if !known || self.is_in_work(item) {
            return false;
        }
        let place = Place::new(now.mono, entry.waited);
        let task = Task { item, medium: entry.medium, queue: entry.queue, since: now.mono, place };
        self.handled.insert(item, agent);
        self.audit.took(agent, item, entry.medium);
        self.change(now, agent, None, |a| a.resume_task(task));
        true
    }

    /// Whether offers can reach the agent's phone. Unreachable agents get none that is spoken; an offer that rings goes on.
    pub fn set_reachable(&mut self, now: Now, agent: AgentId, reachable: bool) {
        self.change(now, agent, None, |a| a.set_reachable(reachable));
    }

    /// Signs an agent in, ready. For one signed in already: ends a pause or mark, and forgets a sign-out or pause that
    /// was to follow the present work.
    pub fn sign_in(&mut self, now: Now, agent: AgentId) -> Result<(), Refusal> {
        self.order(now, agent, |a| {
            a.sign_in(now.mono);
            Ok(())
        })
    }

    /// Signs an agent out: at once, or, while an offer, conversation or wrap-up is on, at its end.
    pub fn sign_out(&mut self, now: Now, agent: AgentId) -> Result<(), Refusal> {
        self.order(now, agent, |a| {
            a.sign_out();
            Ok(())
        })
    }

    /// Makes an agent ready: ends pause, mark and wrap-up, and forgets a sign-out or pause that was to follow the
    /// present work.
    pub fn resume(&mut self, now: Now, agent: AgentId) -> Result<(), Refusal> {
        self.order(now, agent, |a| a.resume(now.mono))
    }

    /// Makes an agent not ready: at once, or, while an offer, conversation or wrap-up is on, at its end. At most 100
    /// characters of the reason are kept.
    pub fn pause(&mut self, now: Now, agent: AgentId, reason: &str) -> Result<(), Refusal> {
        self.order(now, agent, |a| a.pause(reason))
    }

    /// Takes an item into a queue and offers it at once if an agent who fits is ready; otherwise, where the queue
    /// announces, the first announcement follows.
    pub fn enqueue(&mut self, now: Now, item: WorkItemId, entry: Entry) -> Result<(), EnqueueError> {
        let Some(to) = self.queues.get_mut(&entry.queue) else { return Err(EnqueueError::UnknownQueue) };
        if self.items.contains_key(&item) || self.handled.contains_key(&item) {
            return Err(EnqueueError::Duplicate);
        }
        if to.is_full() || self.items.len() >= self.waiting_max {
            self.refused += 1;
            return Err(EnqueueError::Full);
        }
        self.come(now, item, entry, Came::New);
        Ok(())
    }

    /// As [`enqueue`](Self::enqueue), for an item that was accepted before: bounds do not keep it out. One that waits here comes
    /// out first; where it goes back to the same queue, that counts neither as an arrival nor as an end.
    pub fn bring_back(&mut self, now: Now, item: WorkItemId, entry: Entry) -> Result<(), EnqueueError> {
        if !self.queues.contains_key(&entry.queue) {
            return Err(EnqueueError::UnknownQueue);
        }
        if self.handled.contains_key(&item) {
            return Err(EnqueueError::Duplicate);
        }
        let came = match self.queue_of(item) {
            Some(queue) if queue == entry.queue => Came::Again,
            Some(_) => Came::Moved,
            None => Came::Back,
        };
        self.exit(now, item, if came == Came::Again { Exit::Again } else { Exit::Moved });
        self.come(now, item, entry, came);
        Ok(())
    }

    pub(super) fn come(&mut self, now: Now, item: WorkItemId, entry: Entry, came: Came) {
        let Some(to) = self.queues.get_mut(&entry.queue) else { return };
        self.seen = now.mono;
        // What comes back from an agent who was cut off has been counted, and what became of it.
        if entry.excused.is_zero() {
            to.tally.offered += 1;
            self.tally.offered += 1;
        }
        // What waited before the process did came then.
        let arrives = matches!(came, Came::New | Came::Moved) || (came == Came::Back && entry.waited.is_zero());
        if arrives && entry.medium.is_live() {
            to.forecast.came(now.mono);
        }
        self.refresh_shares(now.mono);
        self.admit(now, item, entry, came != Came::New);
        self.match_item(now, item);
        self.foretell(item);
        if self.items.get(&item).is_some_and(|i| i.announce_at.is_some()) {
            self.announce(item);
        }
    }

    /// Takes an item out that goes elsewhere, or that the operator takes back: as [`leave`](Self::leave), but nobody
    /// abandoned anything.
    pub fn take_out(&mut self, now: Now, item: WorkItemId) -> bool {
        self.exit(now, item, Exit::Moved)
    }

    /// The item abandoned or was taken elsewhere; a live offer is withdrawn, and its agent, who keeps the idle time,
    /// is ready again. False when it does not wait here.
    pub fn leave(&mut self, now: Now, item: WorkItemId) -> bool {
        self.exit(now, item, Exit::Abandoned)
    }

    fn exit(&mut self, now: Now, item: WorkItemId, exit: Exit) -> bool {
        let Some(gone) = self.remove_item(now, item, exit) else { return false };
        if let Stage::Offered(offer) = gone.stage {
            self.withdraw(now, offer, OfferEnd::ItemLeft);
        }
        true
    }

    /// The agent answered: the item leaves the queue, the agent has it until [`finished`](Self::finished). False for
    /// an offer that is over: hang up.
    pub fn accepted(&mut self, now: Now, offer: OfferId) -> bool {
        let Some(offer) = self.take_offer(offer) else { return false };
        let id = offer.item;
        let Some(item) = self.remove_item(now, id, Exit::Answered) else { return false };
        let (queue, medium) = (item.entry.queue, item.entry.medium);
        let task = Task { item: id, medium, queue, since: offer.made, place: item.place };
        let agent = offer.hand.agent();
        self.audit.ended(agent);
        self.audit.took(agent, id, medium);
        self.handled.insert(id, agent);
        let tenant = self.queues.get(&queue).map(Queue::tenant);
        self.change(now, agent, None, |a| a.accept(offer.hand, task, tenant));
        true
    }

    /// The offer came to nothing: the item goes back to its place, or overflows if its time is up, and the agent is
    /// marked not ready with the reason, a dead phone's too, so that it is not rung over and over. Ignored for an
    /// offer that is over.
    pub fn refused(&mut self, now: Now, offer: OfferId, why: OfferEnd) {
        let Some(offer) = self.take_offer(offer) else { return };
        let agent = offer.hand.agent();
        self.audit.ended(agent);
        self.change(now, agent, None, |a| a.mark(offer.hand, why.as_str()));
        self.requeue(now, offer.item);
    }

    /// The agent is through with an item: wrap-up, or ready, or what was to follow. False for an item that no agent has.
    pub fn finished(&mut self, now: Now, item: WorkItemId) -> bool {
        let Some(agent) = self.handled.remove(&item) else { return false };
        self.audit.finished(agent, item);
        if let Some(Some(task)) = self.change(now, agent, None, |a| a.finish(now.mono, item))
            && let Some(queue) = self.queues.get_mut(&task.queue)
            && task.medium.is_live()
        {
            let wrap_up = self.agents.get(&agent).map_or(Duration::ZERO, |a| a.wrap_up);
            queue.forecast.served(now.mono.since(task.since) + wrap_up);
        }
        true
    }

    /// Does what is due: stops ringing ([`Output::Withdraw`] with [`OfferEnd::NoAnswer`], then as
    /// [`refused`](Self::refused)), ends wrap-up, overflows, escalates, announces, matches items whose wants have relaxed or
    /// that were held, and goes on with what many do at once.
    pub fn handle_timeout(&mut self, now: Now) {
        self.seen = now.mono;
        while let Some(timer) = self.timers.pop_due(now.mono) {
            match timer {
                Timer::Ring(offer) => self.ring_out(now, offer),
                Timer::WrapUp(agent) => {
                    self.change(now, agent, None, |a| a.end_wrap_up(now.mono));
                }
                // An item that rings may still be answered; if not, `requeue` sees that its time is up.
                Timer::Overflow(item) => {
                    if self.items.get(&item).is_some_and(|i| i.stage == Stage::Waiting) {
                        self.overflow(now, item);
                    }
                }
                Timer::Announce(item) => self.announce_due(now, item),
                Timer::Escalate(item) => self.escalate_due(item),
                Timer::Turn(item) => self.turn_due(now, item),
                Timer::Hold(item) => self.hold_due(now, item),
            }
        }
        self.match_more(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.mass.is_empty() { self.timers.next() } else { Some(self.seen) }
    }

    /// The next thing to do. Drain after each call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The item waits, or an agent has it.
    pub fn is_in_work(&self, item: WorkItemId) -> bool {
        self.items.contains_key(&item) || self.handled.contains_key(&item)
    }

    /// The agent who has the item.
    pub fn handler(&self, item: WorkItemId) -> Option<AgentId> {
        self.handled.get(&item).copied()
    }

    /// The item of a live offer.
    pub fn offered(&self, offer: OfferId) -> Option<WorkItemId> {
        self.offers.get(&offer).map(|offer| offer.item)
    }

    /// The live offer of an item, and to whom.
    pub fn offer_of(&self, item: WorkItemId) -> Option<(OfferId, AgentId)> {
        let Stage::Offered(id) = self.items.get(&item)?.stage else { return None };
        Some((id, self.offers.get(&id)?.hand.agent()))
    }

    /// The queue in which an item waits.
    pub fn queue_of(&self, item: WorkItemId) -> Option<QueueId> {
        self.items.get(&item).map(|item| item.entry.queue)
    }

    /// Whether a queue takes another new item. False for one that is not there.
    pub fn has_room(&self, queue: QueueId) -> bool {
        self.items.len() < self.waiting_max && self.queues.get(&queue).is_some_and(|queue| !queue.is_full())
    }

    /// Why a live offer was made.
    pub fn reason(&self, offer: OfferId) -> Option<&Reason> {
        self.offers.get(&offer).map(|offer| &*offer.reason)
    }

    /// How long the item has waited, credit apart. None when it does not wait here.
    pub fn waited(&self, now: Now, item: WorkItemId) -> Option<Duration> {
        self.items.get(&item).map(|item| item.place.waited(now.mono))
    }

    /// How much of its wait makes nothing late, credit apart. Nothing when it does not wait here.
    pub fn excused(&self, item: WorkItemId) -> Duration {
        self.items.get(&item).map_or(Duration::ZERO, |item| item.entry.excused)
    }

    /// The same with its credit: the wait by which its wants and its urgency are judged.
    pub fn rank_waited(&self, now: Now, item: WorkItemId) -> Option<Duration> {
        self.items.get(&item).map(|item| item.rank().waited(now.mono))
    }

    /// The item's place in its queue among those of its medium, from 1; those ringing at agents keep theirs. None when it does not wait here.
    pub fn position(&self, item: WorkItemId) -> Option<usize> {
        let entry = self.items.get(&item)?;
        let line = self.queues.get(&entry.entry.queue)?.lines.of(entry.entry.medium)?;
        Some(line.ahead(entry.place, item) + 1)
    }
}
