//! The engine: one owner of all waiting items, agents and offers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::base::{AgentId, Instant, Now, OfferId, QueueId, WorkItemId};
use crate::core::journal::AgentStatus;

use super::agent::{Agent, Work};
use super::fit::Fits;
use super::item::{Exit, Item, Queue, Stage, Tally};
use super::offer::{Audit, Offer};
use super::timer::{Timer, Timers};
use super::{EnqueueError, OfferEnd, Refusal};

/// What the engine wants done, or tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Ring this agent for this item; answer with [`Engine::accepted`] or [`Engine::refused`].
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

/// The queue engine.
#[derive(Debug)]
pub struct Engine {
    pub(super) agents: BTreeMap<AgentId, Agent>,
    pub(super) queues: BTreeMap<QueueId, Queue>,
    pub(super) items: BTreeMap<WorkItemId, Item>,
    pub(super) offers: BTreeMap<OfferId, Offer>,
    pub(super) offer_last: OfferId,
    pub(super) fits: Fits,
    pub(super) timers: Timers,
    pub(super) audit: Audit,
    pub(super) tally: Tally,
    pub(super) waiting_max: usize,
    pub(super) refused: u64,
    pub(super) outputs: VecDeque<Output>,
}

impl Engine {
    /// An engine that holds at most `waiting_max` items.
    pub fn new(waiting_max: usize) -> Self {
        Self {
            agents: BTreeMap::new(),
            queues: BTreeMap::new(),
            items: BTreeMap::new(),
            offers: BTreeMap::new(),
            offer_last: OfferId(0),
            fits: Fits::default(),
            timers: Timers::default(),
            audit: Audit::default(),
            tally: Tally::default(),
            waiting_max,
            refused: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Sets an agent's state after a restart; `Busy` and `WrapUp` become `Ready`, their calls being gone. Tells of a
    /// change only where the state is not the given one. Ignored for unknown agents and those who have work.
    pub fn restore(&mut self, now: Now, agent: AgentId, status: AgentStatus, reason: &str) {
        self.change(now, agent, Some((status, reason)), |a| a.restore(now.mono, status, reason));
    }

    /// Whether offers can reach the agent's phone. Unreachable agents get none; an offer that rings goes on.
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
    pub fn enqueue(&mut self, now: Now, item: WorkItemId, queue: QueueId) -> Result<(), EnqueueError> {
        let Some(to) = self.queues.get_mut(&queue) else { return Err(EnqueueError::UnknownQueue) };
        if self.items.contains_key(&item) {
            return Err(EnqueueError::Duplicate);
        }
        if to.is_full() || self.items.len() >= self.waiting_max {
            self.refused += 1;
            return Err(EnqueueError::Full);
        }
        let entry = Item {
            queue,
            ticket: to.line.join(item, now.mono),
            since: now.mono,
            stage: Stage::Waiting,
            overflow_at: to.overflow_after.map(|after| now.mono + after),
            announce_at: to.announce_every.map(|every| now.mono + every),
        };
        to.tally.offered += 1;
        self.tally.offered += 1;
        self.timers.start(entry.overflow_at, Timer::Overflow(item));
        self.timers.start(entry.announce_at, Timer::Announce(item));
        let announces = entry.announce_at.is_some();
        self.items.insert(item, entry);
        self.refresh_waiting(queue);
        self.match_item(now, item);
        if announces {
            self.announce(item);
        }
        Ok(())
    }

    /// The item abandoned or was taken elsewhere; a live offer is withdrawn, and its agent, who keeps the idle time,
    /// is ready again. False when it does not wait here.
    pub fn leave(&mut self, now: Now, item: WorkItemId) -> bool {
        let Some(gone) = self.remove_item(now, item, Exit::Abandoned) else { return false };
        if let Stage::Offered(offer) = gone.stage {
            self.withdraw(now, offer, OfferEnd::ItemLeft);
        }
        true
    }

    /// The agent answered: the item leaves the queue, the agent is busy until [`finished`](Self::finished). False for
    /// an offer that is over: hang up.
    pub fn accepted(&mut self, now: Now, offer: OfferId) -> bool {
        let Some(offer) = self.take_offer(offer) else { return false };
        let Some(item) = self.remove_item(now, offer.item, Exit::Answered) else { return false };
        let work = Work { queue: item.queue, since: offer.made };
        let agent = offer.slot.agent();
        self.change(now, agent, None, |a| a.talk(offer.slot, work));
        true
    }

    /// The offer came to nothing: the item goes back to its place, or overflows if its time is up, and the agent is
    /// marked not ready with the reason, a dead phone's too, so that it is not rung over and over. Ignored for an
    /// offer that is over.
    pub fn refused(&mut self, now: Now, offer: OfferId, why: OfferEnd) {
        let Some(offer) = self.take_offer(offer) else { return };
        let agent = offer.slot.agent();
        self.audit.ended(agent);
        self.change(now, agent, None, |a| a.mark(offer.slot, why.as_str()));
        self.requeue(now, offer.item);
    }

    /// The agent's conversation is over: wrap-up, or ready, or what was to follow. Ignored for an agent in none.
    pub fn finished(&mut self, now: Now, agent: AgentId) {
        self.change(now, agent, None, |a| a.finish(now.mono));
    }

    /// Does what is due: stops ringing ([`Output::Withdraw`] with [`OfferEnd::NoAnswer`], then as
    /// [`refused`](Self::refused)), ends wrap-up, overflows, announces.
    pub fn handle_timeout(&mut self, now: Now) {
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
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The next thing to do. Drain after each call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The item's place in its queue, from 1; those ringing at agents keep theirs. None when it does not wait here.
    pub fn position(&self, item: WorkItemId) -> Option<usize> {
        let item = self.items.get(&item)?;
        Some(self.queues.get(&item.queue)?.line.ahead(item.ticket) + 1)
    }

    /// Expected time from now until an agent answers, at most a day; none until the queue measured one service, or
    /// while nobody who fits works, or when the item does not wait here.
    pub fn expected_wait(&self, item: WorkItemId) -> Option<Duration> {
        let item = self.items.get(&item)?;
        let queue = self.queues.get(&item.queue)?;
        // Queues of like needs share their agents: each of them is ahead in proportion to its length.
        let rivals: usize =
            self.fits.waiting_of(queue.demand).filter_map(|q| self.queues.get(&q)).map(|q| q.line.len()).sum();
        let own = queue.line.len().max(1);
        let ahead = queue.line.ahead(item.ticket).saturating_mul(rivals.max(own)) / own;
        queue.forecast.expected_wait(ahead, self.fits.staff(queue.demand))
    }
}
