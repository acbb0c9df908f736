//! Agents: what they are doing and what they can take beside it.

use std::mem;
use std::time::Duration;

use crate::base::{AgentId, Instant, Medium, OfferId, QueueId, TenantId, Timestamp, WorkItemId};
use crate::core::journal::AgentStatus;

use super::class::{Busy, ClassId};
use super::line::Place;
use super::offer::OfferEnd;
use super::posture::Posture;
use super::profile::{AgentProfile, Refusal};
use super::view::AgentState;

/// Characters kept of a reason that somebody gives.
const REASON_CHARS_MAX: usize = 100;

/// The shortest time an offer rings.
const RING_MIN: Duration = Duration::from_secs(1);

/// What takes an offer. Each agent has one, made with the agent; it cannot be copied, so whoever owns it, the agent or an
/// offer, is the only one who does. Whatever slots are free, one is offered at a time.
#[derive(Debug)]
pub(super) struct Hand {
    agent: AgentId,
}

impl Hand {
    /// Whose it is.
    pub(super) fn agent(&self) -> AgentId {
        self.agent
    }
}

/// An item that an agent has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Task {
    /// The item.
    pub(super) item: WorkItemId,
    /// Its medium.
    pub(super) medium: Medium,
    /// The queue it came from.
    pub(super) queue: QueueId,
    /// When it was offered.
    pub(super) since: Instant,
    /// The place that it had, for when it comes back.
    pub(super) place: Place,
}

/// Whether an agent wants work.
#[derive(PartialEq, Eq, Debug)]
enum Standing {
    Null,
    NotReady(String),
    Ready,
}

/// What follows an agent's present work.
#[derive(Default, PartialEq, Eq, Debug)]
enum Next {
    #[default]
    Ready,
    NotReady(String),
    Null,
}

/// What the rest of the engine has to know of an agent's state; two of them tell what a change was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Footing {
    /// The state's name.
    pub(super) status: AgentStatus,
    /// Why not ready.
    pub(super) reason: String,
    /// Can take something, and since when the agent has waited for it.
    pub(super) open: Option<(Posture, Instant)>,
    /// Ready and reachable, or occupied: counts as staff.
    pub(super) works: bool,
    /// In a conversation, and in nothing else that counts.
    pub(super) busy: Option<Busy>,
    /// End of wrap-up.
    pub(super) wrap_up_until: Option<Instant>,
}

/// An agent.
#[derive(Debug)]
pub(super) struct Agent {
    /// Its tenant.
    pub(super) tenant: TenantId,
    /// Its class.
    pub(super) class: ClassId,
    /// How long an offer rings.
    pub(super) ring: Duration,
    /// Wrap-up after a conversation.
    pub(super) wrap_up: Duration,
    /// When the state began, for people.
    pub(super) since: Timestamp,
    standing: Standing,
    next: Next,
    hand: Option<Hand>,
    offer: Option<OfferId>,
    tasks: Vec<Task>,
    wrap_up_until: Option<Instant>,
    idle_since: Instant,
    reachable: bool,
    /// Every way to it is dead.
    cut: bool,
    answered: u64,
    answered_for_others: u64,
}

impl Agent {
    /// A new agent, signed out and unreachable.
    pub(super) fn new(profile: &AgentProfile, class: ClassId, since: Timestamp) -> Self {
        let mut agent = Self {
            tenant: profile.tenant,
            class,
            ring: RING_MIN,
            wrap_up: Duration::ZERO,
            since,
            standing: Standing::Null,
            next: Next::Ready,
            hand: Some(Hand { agent: profile.id }),
            offer: None,
            tasks: vec![],
            wrap_up_until: None,
            idle_since: Instant::ZERO,
            reachable: false,
            cut: false,
            answered: 0,
            answered_for_others: 0,
        };
        agent.update(profile, class);
        agent
    }

    /// Takes over a changed profile; what the agent is doing goes on.
    pub(super) fn update(&mut self, profile: &AgentProfile, class: ClassId) {
        self.tenant = profile.tenant;
        self.class = class;
        self.ring = profile.ring.max(RING_MIN);
        self.wrap_up = profile.wrap_up;
    }

    /// What the rest of the engine has to know.
    pub(super) fn footing(&self) -> Footing {
        let (status, reason) = self.status();
        let occupied = self.offer.is_some() || !self.tasks.is_empty() || self.wrap_up_until.is_some();
        Footing {
            status,
            reason: reason.to_owned(),
            open: self.posture().map(|posture| (posture, self.idle_since)),
            works: occupied || (self.standing == Standing::Ready && self.reachable && !self.cut),
            busy: self.busy(),
            wrap_up_until: self.wrap_up_until,
        }
    }

    fn posture(&self) -> Option<Posture> {
        let wants = self.standing == Standing::Ready && self.next == Next::Ready;
        if !wants || self.cut || self.hand.is_none() || self.wrap_up_until.is_some() {
            return None;
        }
        Posture::new(!self.reachable, self.tasks.iter().map(|task| task.medium))
    }

    fn busy(&self) -> Option<Busy> {
        let live = self.tasks.iter().find(|task| task.medium.is_spoken())?;
        let stays = self.standing == Standing::Ready && self.next == Next::Ready;
        stays.then_some(Busy { queue: live.queue, since: live.since })
    }

    /// Its state, and why it is not ready.
    pub(super) fn status(&self) -> (AgentStatus, &str) {
        if self.offer.is_some() || !self.tasks.is_empty() {
            return (AgentStatus::Busy, "");
        }
        if self.wrap_up_until.is_some() {
            return (AgentStatus::WrapUp, "");
        }
        match &self.standing {
            Standing::Null => (AgentStatus::Null, ""),
            Standing::NotReady(reason) => (AgentStatus::NotReady, reason),
            Standing::Ready => (AgentStatus::Ready, ""),
        }
    }

    /// For people.
    pub(super) fn view(&self, id: AgentId) -> AgentState<'_> {
        let (status, reason) = self.status();
        AgentState {
            id,
            tenant: self.tenant,
            status,
            reason,
            since: self.since,
            answered: self.answered,
            answered_for_others: self.answered_for_others,
            reachable: self.reachable,
            cut: self.cut,
            offer: self.offer,
            items: self.tasks.iter().map(|task| (task.item, task.medium)).collect(),
        }
    }

    /// The live offer.
    pub(super) fn offer(&self) -> Option<OfferId> {
        self.offer
    }

    /// The items in hand.
    pub(super) fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// Whether offers can reach the phone.
    pub(super) fn set_reachable(&mut self, reachable: bool) {
        self.reachable = reachable;
    }

    /// Whether every way to it is dead.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Whether nothing that is spoken can be taken.
    pub(super) fn is_deaf(&self) -> bool {
        self.cut || !self.reachable
    }

    /// Whether every way to the agent is dead. Who was marked for that is ready again with the first that is not.
    pub(super) fn set_cut(&mut self, now: Instant, cut: bool) {
        let back = mem::replace(&mut self.cut, cut) && !cut;
        if back && self.standing == Standing::NotReady(OfferEnd::Unreachable.as_str().to_owned()) {
            self.standing = Standing::Ready;
            self.idle_since = now;
        }
    }

    /// Gives the hand away for an offer; none unless something can be taken.
    pub(super) fn reserve(&mut self, offer: OfferId) -> Option<Hand> {
        self.posture()?;
        let hand = self.hand.take()?;
        self.offer = Some(offer);
        Some(hand)
    }

    fn take_back(&mut self, hand: Hand) {
        self.hand = Some(hand);
        self.offer = None;
    }

    /// The offer was answered, of an item of the tenant.
    pub(super) fn accept(&mut self, hand: Hand, task: Task, tenant: Option<TenantId>) {
        self.take_back(hand);
        self.answered += 1;
        self.answered_for_others += u64::from(tenant.is_some_and(|tenant| tenant != self.tenant));
        self.tasks.push(task);
    }

    /// An item that the agent had before a restart.
    pub(super) fn resume_task(&mut self, task: Task) {
        if self.standing == Standing::Null {
            self.standing = Standing::NotReady("restart".to_owned());
        }
        self.tasks.push(task);
    }

    /// The offer came to nothing through the agent or its phone: not ready, whatever was to follow but a sign-out or
    /// a pause. Other work goes on to its end.
    pub(super) fn mark(&mut self, hand: Hand, reason: &str) {
        self.take_back(hand);
        if self.next == Next::Ready {
            self.next = Next::NotReady(bounded(reason));
        }
        self.settle();
    }

    /// The offer came to nothing through no doing of the agent's, who keeps its idle time.
    pub(super) fn give_back(&mut self, hand: Hand) {
        self.take_back(hand);
        self.settle();
    }

    /// An item is over, or was taken away. After a conversation, and after the last of other items, follows the wrap-up.
    pub(super) fn finish(&mut self, now: Instant, item: WorkItemId) -> Option<Task> {
        let at = self.tasks.iter().position(|task| task.item == item)?;
        let task = self.tasks.remove(at);
        self.idle_since = now;
        let talked = task.medium.is_spoken();
        if !self.wrap_up.is_zero() && (talked || self.tasks.is_empty()) {
            self.wrap_up_until = Some(now + self.wrap_up);
        }
        self.settle();
        Some(task)
    }

    /// An item was cut off from the agent, who has nothing to wrap up.
    pub(super) fn lose(&mut self, now: Instant, item: WorkItemId) {
        self.tasks.retain(|task| task.item != item);
        self.idle_since = now;
        self.settle();
    }

    /// The wrap-up time is up.
    pub(super) fn end_wrap_up(&mut self, now: Instant) {
        if self.wrap_up_until.take().is_some() {
            self.idle_since = now;
            self.settle();
        }
    }

    /// Ready, from signed out, paused or marked; what was to follow present work is forgotten.
    pub(super) fn sign_in(&mut self, now: Instant) {
        self.next = Next::Ready;
        if self.standing != Standing::Ready {
            self.standing = Standing::Ready;
            self.idle_since = now;
        }
    }

    /// Like [`sign_in`](Self::sign_in) for those signed in, and ends wrap-up too.
    pub(super) fn resume(&mut self, now: Instant) -> Result<(), Refusal> {
        if self.standing == Standing::Null {
            return Err(Refusal::SignedOut);
        }
        self.sign_in(now);
        self.end_wrap_up(now);
        Ok(())
    }

    /// Signed out, now or after the present work.
    pub(super) fn sign_out(&mut self) {
        self.next = Next::Null;
        self.settle();
    }

    /// Not ready, now or after the present work.
    pub(super) fn pause(&mut self, reason: &str) -> Result<(), Refusal> {
        if self.standing == Standing::Null {
            return Err(Refusal::SignedOut);
        }
        self.next = Next::NotReady(bounded(reason));
        self.settle();
        Ok(())
    }

    /// The state from before a restart, whose calls are gone. Nothing happens to an agent who has an offer or is in wrap-up.
    pub(super) fn restore(&mut self, now: Instant, status: AgentStatus, reason: &str) {
        if self.offer.is_some() || self.wrap_up_until.is_some() {
            return;
        }
        self.standing = match status {
            AgentStatus::Null => Standing::Null,
            AgentStatus::NotReady => Standing::NotReady(bounded(reason)),
            AgentStatus::Ready | AgentStatus::Busy | AgentStatus::WrapUp => Standing::Ready,
        };
        self.idle_since = now;
    }

    /// Neither offer, item nor wrap-up.
    fn at_rest(&self) -> bool {
        self.offer.is_none() && self.tasks.is_empty() && self.wrap_up_until.is_none()
    }

    /// With nothing in hand, what was to follow does.
    fn settle(&mut self) {
        if self.at_rest() {
            match mem::take(&mut self.next) {
                Next::Ready => {}
                Next::NotReady(reason) => self.standing = Standing::NotReady(reason),
                Next::Null => self.standing = Standing::Null,
            }
        }
    }
}

fn bounded(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}
