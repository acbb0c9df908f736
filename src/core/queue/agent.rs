//! Agents: what they can do and what they are doing.

use std::fmt;
use std::mem;
use std::time::Duration;

use crate::base::{AgentId, Instant, OfferId, QueueId, SkillId, TenantId, Timestamp};
use crate::core::journal::AgentStatus;

use super::AgentState;
use super::fit::{ClassId, Skills};

/// Characters kept of a reason that somebody gives.
const REASON_CHARS_MAX: usize = 100;

/// The shortest time an offer rings.
const RING_MIN: Duration = Duration::from_secs(1);

/// What is provisioned of an agent.
#[derive(Clone, PartialEq, Debug)]
pub struct AgentProfile {
    /// Identity; an agent known by it keeps its state through [`Engine::provision`](super::Engine::provision).
    pub id: AgentId,
    /// Only work of this tenant is offered.
    pub tenant: TenantId,
    /// Skills with levels, `0 < level <= 1`; kept to a ten-thousandth.
    pub skills: Vec<(SkillId, f32)>,
    /// How long an offer rings before it moves on; at least one second is taken.
    pub ring: Duration,
    /// Wrap-up after each conversation; zero for none.
    pub wrap_up: Duration,
}

/// Why an order about an agent was refused. Nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No such agent is provisioned.
    UnknownAgent,
    /// The agent is signed out: sign in first.
    SignedOut,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownAgent => "no such agent",
            Self::SignedOut => "the agent is signed out: sign in first",
        })
    }
}

impl std::error::Error for Refusal {}

/// An agent's capacity for one conversation. Each agent has one, made with the agent; it cannot be copied, so whoever
/// owns it (the agent at rest, an offer, or the agent in conversation) is the only one who does.
#[derive(Debug)]
pub(super) struct Slot {
    agent: AgentId,
    idle_since: Instant,
}

impl Slot {
    /// Whose slot it is.
    pub(super) fn agent(&self) -> AgentId {
        self.agent
    }

    fn idle_from(self, now: Instant) -> Slot {
        Slot { idle_since: now, ..self }
    }
}

/// An item an agent is occupied with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Work {
    /// The queue it came from.
    pub(super) queue: QueueId,
    /// When it was offered.
    pub(super) since: Instant,
}

/// What an agent is doing. Every state but `Offered` has the slot; while an offer lives, the offer has it.
#[derive(Debug)]
enum State {
    Null(Slot),
    NotReady(Slot, String),
    Ready(Slot),
    Offered(OfferId),
    Talking(Slot, Work),
    WrapUp(Slot, Work, Instant),
}

/// What follows an agent's present work.
#[derive(Default, Debug)]
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
    /// Ready and reachable, idle since then.
    pub(super) available: Option<Instant>,
    /// Ready and reachable, or occupied: counts as staff.
    pub(super) works: bool,
    /// In conversation or wrap-up.
    pub(super) work: Option<Work>,
    /// End of wrap-up.
    pub(super) wrap_up_until: Option<Instant>,
}

/// An agent.
#[derive(Debug)]
pub(super) struct Agent {
    /// Its tenant.
    pub(super) tenant: TenantId,
    /// Its skills.
    pub(super) skills: Skills,
    /// Its class among the fits.
    pub(super) class: ClassId,
    /// How long an offer rings.
    pub(super) ring: Duration,
    /// When the state began, for people.
    pub(super) since: Timestamp,
    wrap_up: Duration,
    state: State,
    next: Next,
    reachable: bool,
    answered: u64,
}

impl Agent {
    /// A new agent, signed out and unreachable.
    pub(super) fn new(profile: &AgentProfile, class: ClassId, since: Timestamp) -> Self {
        let slot = Slot { agent: profile.id, idle_since: Instant::ZERO };
        let mut agent = Self {
            tenant: profile.tenant,
            skills: Skills::default(),
            class,
            ring: RING_MIN,
            since,
            wrap_up: Duration::ZERO,
            state: State::Null(slot),
            next: Next::Ready,
            reachable: false,
            answered: 0,
        };
        agent.update(profile, class);
        agent
    }

    /// Takes over a changed profile; what the agent is doing goes on.
    pub(super) fn update(&mut self, profile: &AgentProfile, class: ClassId) {
        self.tenant = profile.tenant;
        self.skills = Skills::new(&profile.skills);
        self.class = class;
        self.ring = profile.ring.max(RING_MIN);
        self.wrap_up = profile.wrap_up;
    }

    /// What the rest of the engine has to know.
    pub(super) fn footing(&self) -> Footing {
        let (status, reason) = self.status();
        let available = match &self.state {
            State::Ready(slot) if self.reachable => Some(slot.idle_since),
            _ => None,
        };
        let (work, wrap_up_until) = match &self.state {
            State::Talking(_, work) => (Some(*work), None),
            State::WrapUp(_, work, until) => (Some(*work), Some(*until)),
            _ => (None, None),
        };
        let works = available.is_some() || work.is_some() || matches!(self.state, State::Offered(_));
        Footing { status, reason: reason.to_owned(), available, works, work, wrap_up_until }
    }

    fn status(&self) -> (AgentStatus, &str) {
        match &self.state {
            State::Null(_) => (AgentStatus::Null, ""),
            State::NotReady(_, reason) => (AgentStatus::NotReady, reason),
            State::Ready(_) => (AgentStatus::Ready, ""),
            State::Offered(_) | State::Talking(..) => (AgentStatus::Busy, ""),
            State::WrapUp(..) => (AgentStatus::WrapUp, ""),
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
            reachable: self.reachable,
        }
    }

    /// The live offer.
    pub(super) fn offer(&self) -> Option<OfferId> {
        match self.state {
            State::Offered(offer) => Some(offer),
            _ => None,
        }
    }

    /// Whether offers can reach the phone.
    pub(super) fn set_reachable(&mut self, reachable: bool) {
        self.reachable = reachable;
    }

    /// Gives the slot away for an offer; none unless ready and reachable.
    pub(super) fn reserve(&mut self, offer: OfferId) -> Option<Slot> {
        if !self.reachable {
            return None;
        }
        match mem::replace(&mut self.state, State::Offered(offer)) {
            State::Ready(slot) => Some(slot),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// The offer was answered.
    pub(super) fn talk(&mut self, slot: Slot, work: Work) {
        self.answered += 1;
        self.state = State::Talking(slot, work);
    }

    /// The offer came to nothing through the agent or its phone: not ready, whatever was to follow but a sign-out or
    /// a pause.
    pub(super) fn mark(&mut self, slot: Slot, reason: &str) {
        self.state = match mem::take(&mut self.next) {
            Next::Ready => State::NotReady(slot, bounded(reason)),
            Next::NotReady(reason) => State::NotReady(slot, reason),
            Next::Null => State::Null(slot),
        };
    }

    /// The offer came to nothing through no doing of the agent's, who keeps its idle time.
    pub(super) fn give_back(&mut self, slot: Slot) {
        self.state = self.after_work(slot);
    }

    /// The conversation is over.
    pub(super) fn finish(&mut self, now: Instant) {
        if !matches!(self.state, State::Talking(..)) {
            return;
        }
        let wrap_up = self.wrap_up;
        self.turn(|agent, slot, work| match work {
            Some(work) if !wrap_up.is_zero() => State::WrapUp(slot, work, now + wrap_up),
            _ => agent.after_work(slot.idle_from(now)),
        });
    }

    /// The wrap-up time is up.
    pub(super) fn end_wrap_up(&mut self, now: Instant) {
        if matches!(self.state, State::WrapUp(..)) {
            self.turn(|agent, slot, _| agent.after_work(slot.idle_from(now)));
        }
    }

    /// Ready, from signed out, paused or marked; what was to follow present work is forgotten.
    pub(super) fn sign_in(&mut self, now: Instant) {
        self.next = Next::Ready;
        if matches!(self.state, State::Null(_) | State::NotReady(..)) {
            self.turn(|_, slot, _| State::Ready(slot.idle_from(now)));
        }
    }

    /// Like [`sign_in`](Self::sign_in) for those signed in, and ends wrap-up too.
    pub(super) fn resume(&mut self, now: Instant) -> Result<(), Refusal> {
        if matches!(self.state, State::Null(_)) {
            return Err(Refusal::SignedOut);
        }
        self.sign_in(now);
        self.end_wrap_up(now);
        Ok(())
    }

    /// Signed out, now or after the present work.
    pub(super) fn sign_out(&mut self) {
        if self.at_rest() {
            self.turn(|_, slot, _| State::Null(slot));
        } else {
            self.next = Next::Null;
        }
    }

    /// Not ready, now or after the present work.
    pub(super) fn pause(&mut self, reason: &str) -> Result<(), Refusal> {
        if matches!(self.state, State::Null(_)) {
            return Err(Refusal::SignedOut);
        }
        let reason = bounded(reason);
        if self.at_rest() {
            self.turn(|_, slot, _| State::NotReady(slot, reason));
        } else {
            self.next = Next::NotReady(reason);
        }
        Ok(())
    }

    /// The state from before a restart, whose calls are gone. Nothing happens to an agent who has work.
    pub(super) fn restore(&mut self, now: Instant, status: AgentStatus, reason: &str) {
        if self.at_rest() {
            let reason = bounded(reason);
            self.turn(|_, slot, _| match status {
                AgentStatus::Null => State::Null(slot),
                AgentStatus::NotReady => State::NotReady(slot, reason),
                AgentStatus::Ready | AgentStatus::Busy | AgentStatus::WrapUp => State::Ready(slot.idle_from(now)),
            });
        }
    }

    /// Neither offer, conversation nor wrap-up.
    fn at_rest(&self) -> bool {
        matches!(self.state, State::Null(_) | State::NotReady(..) | State::Ready(_))
    }

    fn after_work(&mut self, slot: Slot) -> State {
        match mem::take(&mut self.next) {
            Next::Ready => State::Ready(slot),
            Next::NotReady(reason) => State::NotReady(slot, reason),
            Next::Null => State::Null(slot),
        }
    }

    /// From a state that has the slot to another; nothing happens while an offer has it.
    fn turn(&mut self, to: impl FnOnce(&mut Self, Slot, Option<Work>) -> State) {
        // The offer's number never shows: it stands in only while the slot is in hand.
        let (slot, work) = match mem::replace(&mut self.state, State::Offered(OfferId(0))) {
            State::Offered(offer) => {
                self.state = State::Offered(offer);
                return;
            }
            State::Null(slot) | State::NotReady(slot, _) | State::Ready(slot) => (slot, None),
            State::Talking(slot, work) | State::WrapUp(slot, work, _) => (slot, Some(work)),
        };
        self.state = to(self, slot, work);
    }
}

fn bounded(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}
