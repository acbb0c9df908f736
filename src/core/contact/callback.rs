//! Call-backs: a client asks to be called, keeps its place, and is called once an agent has taken the item.
//!
//! A wish is a work item of its own. It waits and is offered as any other; then:
//!
//! ```text
//!   Waiting ---> Offered ---> Handled: the client rings ---> Handled: they talk ---> Ended: completed
//!      ^          the agent's    |  a try is on record            (reached)
//!      |          phone rings    |  before it is dialled
//!      |                         v
//!      +-- its time --- Scheduled: tries are left, else ---> Ended: unreached
//!
//!   from anywhere but "they talk": the client met an agent of the queue otherwise ---> Ended: settled
//! ```
//!
//! - **Never two calls for one wish.** One item belongs to one agent at a time, and an agent's taking it is what begins a
//!   try. The try is durable before the client's phone is rung, so a process that is killed meanwhile has made it: at the
//!   next start the queue's rule decides of the next one, or the wish is over where they had talked.
//! - **One wish for a number and queue.** A second one joins the first.
//! - **At its place, never ahead.** The wait counts from the contact in which the client asked, or from the agreed time.
//!   While the client itself waits in the queue again, its call has the place, and the wish rests.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::desk::WORKS_MAX;
use super::work::{Outcome, Work, WorkState};
use crate::base::{CallId, Cause, DialString, Now, QueueId, Redacted, TenantId, Timestamp, WorkItemId};
use crate::core::queue::OfferEnd;
use crate::core::switch::Switch;
use crate::core::tenant::directory::Callback as Rule;
use crate::core::tenant::provision::{CALLBACK_EVERY_S, CALLBACK_TRIES};

/// Most open wishes of one tenant.
pub(crate) const WISHES_MAX: usize = 10_000;

/// Most open wishes of one number, each to another queue of a tenant.
const WISHES_OF_NUMBER_MAX: usize = 3;

/// Most open wishes that were asked for from one number, whatever numbers they are for.
const WISHES_OF_ASKER_MAX: usize = 10;

/// How many digits a number has that can be called.
const DIGITS: std::ops::RangeInclusive<usize> = 3..=20;

/// Until what had no resources of ours is tried again. That is no try of the client's.
const POSTPONED: Duration = Duration::from_secs(10);

/// What a wish to be called back has beside other work items.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Callback {
    /// The number to call.
    pub number: Redacted<String>,
    /// The tenant's number that the client is shown: the one that it dialled, where there is one.
    #[serde(default, skip_serializing_if = "DialString::is_empty")]
    pub shown_as: DialString,
    /// The call in which the client asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_in: Option<CallId>,
    /// Tries so far. Each is on record before the client's phone is rung.
    #[serde(default)]
    pub tries: u32,
    /// The call of the last try, or by which an agent was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// Not before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// Client and agent talk, or did.
    #[serde(default)]
    pub reached: bool,
}

/// Why a wish is not kept. Nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unwanted {
    /// No such queue is provisioned.
    NoQueue,
    /// The queue calls nobody back.
    NotHere,
    /// The number is none.
    NoNumber,
    /// The number leads to the appliance itself.
    Ours,
    /// The number is an emergency service's.
    Emergency,
    /// No trunk leads to the number.
    NoRoute,
    /// The number waits for as many call-backs as it may.
    NumberFull,
    /// From the asker's number as many have been asked for as may be.
    AskerFull,
    /// The tenant has as many open wishes as it may.
    TenantFull,
    /// The tenant has as many open work items as its quota says.
    Quota(u32),
    /// The queue is full.
    QueueFull,
    /// There is no room for more work items, or the disk is behind.
    Full,
}

impl Unwanted {
    /// Whether another time may be better.
    pub const fn is_full(self) -> bool {
        matches!(
            self,
            Self::NumberFull | Self::AskerFull | Self::TenantFull | Self::Quota(_) | Self::QueueFull | Self::Full
        )
    }
}

impl fmt::Display for Unwanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoQueue => f.write_str("no such queue is provisioned; see `cordboard queue list`"),
            Self::NotHere => f.write_str("the queue calls nobody back; set `callback = true` for it"),
            Self::NoNumber => {
                let (least, most) = (DIGITS.start(), DIGITS.end());
                write!(f, "the number is none to call; give {least} to {most} digits, with `+` before them or without")
            }
            Self::Ours => f.write_str("the number is one of this appliance's; give one outside"),
            Self::Emergency => f.write_str("the number is an emergency service's, which nobody calls back"),
            Self::NoRoute => f.write_str("no trunk leads to the number; see `prefix` of the trunks"),
            Self::NumberFull => {
                write!(f, "the number waits for {WISHES_OF_NUMBER_MAX} call-backs already; cancel one of them first")
            }
            Self::AskerFull => {
                write!(
                    f,
                    "{WISHES_OF_ASKER_MAX} call-backs were asked for from one number already; cancel one of them first"
                )
            }
            Self::TenantFull => write!(f, "the tenant has {WISHES_MAX} open call-backs, and may not have more"),
            Self::Quota(most) => {
                write!(f, "the tenant has a quota of {most} open work items; complete or cancel some first")
            }
            Self::QueueFull => f.write_str("the queue is full; try again later, or another queue"),
            Self::Full => f.write_str("there is no room for it, or the disk is behind; try again later"),
        }
    }
}

impl std::error::Error for Unwanted {}

/// The open wishes, by the digits of the numbers that they are for and come from.
#[derive(Default, Debug)]
pub(super) struct Wishes {
    by_digits: HashMap<String, BTreeSet<WorkItemId>>,
    by_tenant: HashMap<String, usize>,
}

impl Wishes {
    /// The wish is open from now on, or no longer.
    pub(super) fn set(&mut self, work: &Work, is_open: bool) {
        if work.callback.is_none() {
            return;
        }
        for digits in numbers(work) {
            let ids = self.by_digits.entry(digits.clone()).or_default();
            if is_open {
                ids.insert(work.id);
            } else {
                ids.remove(&work.id);
            }
            if ids.is_empty() {
                self.by_digits.remove(&digits);
            }
        }
        let of_tenant = self.by_tenant.entry(work.tenant.clone()).or_default();
        *of_tenant = if is_open { *of_tenant + 1 } else { of_tenant.saturating_sub(1) };
        if *of_tenant == 0 {
            self.by_tenant.remove(&work.tenant);
        }
    }

    /// Those that a number is of.
    fn of(&self, number: &str) -> impl Iterator<Item = WorkItemId> {
        self.by_digits.get(&digits(number)).into_iter().flatten().copied()
    }

    pub(super) fn of_tenant(&self, tenant: &str) -> usize {
        self.by_tenant.get(tenant).copied().unwrap_or(0)
    }

    /// All of them, and the most that a tenant has.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.by_tenant.values().sum(), self.by_tenant.values().copied().max().unwrap_or(0))
    }
}

/// A number is the same however it is written.
fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// The numbers by which a wish is known: what is called, and what the client called from.
fn numbers(work: &Work) -> BTreeSet<String> {
    let called = work.callback.as_ref().map(|callback| &callback.number);
    let known = called.into_iter().chain(work.client.as_ref()).map(|number| digits(number.expose()));
    known.filter(|digits| !digits.is_empty()).collect()
}

impl Work {
    /// When it comes into its queue, while it is scheduled.
    pub fn wakes_at(&self) -> Timestamp {
        self.callback.as_ref().and_then(|callback| callback.retry_at).unwrap_or_else(|| self.waits_from())
    }

    /// Whether it is a wish whose client has been reached.
    pub(super) fn was_reached(&self) -> bool {
        self.callback.as_ref().is_some_and(|callback| callback.reached)
    }
}

/// Taking wishes.
impl Switch {
    /// Whether a queue may call a number back; and the open wish for just that, which a second one joins.
    pub(crate) fn check_wish(
        &self,
        tenant: TenantId,
        queue: &str,
        number: &str,
    ) -> Result<Option<WorkItemId>, Unwanted> {
        let entry = self.directory.queue_by_name(tenant, queue).ok_or(Unwanted::NoQueue)?;
        entry.callback.ok_or(Unwanted::NotHere)?;
        let dialled = number.strip_prefix('+').unwrap_or(number);
        if !DIGITS.contains(&dialled.len()) || !dialled.bytes().all(|c| c.is_ascii_digit()) {
            return Err(Unwanted::NoNumber);
        }
        self.check_callable(Some(tenant), number)?;
        let name = self.directory.tenant(tenant).map_or("", |entry| entry.name.as_str());
        let of_number: Vec<_> = self.wishes_for(name, number).collect();
        let is_same = |work: &Work| work.queue == queue && !work.was_reached();
        let same = of_number.iter().find(|(_, work)| is_same(work)).map(|(id, _)| *id);
        match same {
            Some(id) => Ok(Some(id)),
            None if of_number.len() >= WISHES_OF_NUMBER_MAX => Err(Unwanted::NumberFull),
            None if self.works.wishes.of_tenant(name) >= WISHES_MAX => Err(Unwanted::TenantFull),
            None if self.store_is_behind || self.works.len() >= WORKS_MAX => Err(Unwanted::Full),
            None => self.has_work_left(name).map(|()| None),
        }
    }

    /// Whether a tenant's call may go to this number outside: no emergency number and none of its own, by whatever prefix, and
    /// one that a trunk leads to. Numbers of other tenants are like any outside.
    pub(crate) fn check_callable(&self, tenant: Option<TenantId>, number: &str) -> Result<(), Unwanted> {
        // A prefix must not hide where it leads.
        let numbers = self.dialled_and_sent(number);
        if numbers.iter().any(|number| self.is_emergency_number(number)) {
            return Err(Unwanted::Emergency);
        }
        let ours = |number: &&str| {
            let plain = number.strip_prefix('+').unwrap_or(number);
            let directory = &self.directory;
            let is_own = |number: &str| directory.number(number).is_some_and(|(owner, _)| Some(owner) == tenant);
            let own_user = directory.agent_by_user(number).is_some_and(|agent| Some(agent.tenant) == tenant);
            is_own(plain) || is_own(&format!("+{plain}")) || own_user
        };
        if numbers.iter().any(ours) {
            return Err(Unwanted::Ours);
        }
        if self.directory.leads_to(number) { Ok(()) } else { Err(Unwanted::NoRoute) }
    }

    /// Whether somebody with this number may ask for one more.
    pub(crate) fn check_asker(&self, tenant: &str, client: &str) -> Result<(), Unwanted> {
        let of_tenant = |id: &WorkItemId| self.works.get(*id).is_some_and(|item| item.work.tenant == tenant);
        let asked = self.works.wishes.of(client).filter(of_tenant).count();
        if asked >= WISHES_OF_ASKER_MAX { Err(Unwanted::AskerFull) } else { Ok(()) }
    }

    /// Another time is agreed on for a wish that nobody has in hand. False: it stays as it was.
    pub(crate) fn wish_agreed(&mut self, now: Now, id: WorkItemId, due_at: Timestamp) -> bool {
        let Some(work) = self.works.get(id).map(|item| &item.work) else { return false };
        if work.due_at == Some(due_at) || !matches!(work.state, WorkState::Waiting | WorkState::Scheduled) {
            return false;
        }
        self.take_from_queue(now, id);
        self.works.unschedule(id);
        self.change_work(id, |work| {
            (work.state, work.due_at) = (WorkState::Scheduled, Some(due_at));
            work.record(now.wall, "agreed", due_at.to_string());
            if let Some(callback) = work.callback.as_mut() {
                callback.retry_at = None;
            }
        });
        self.works.schedule(id);
        self.look_at_clock(now);
        true
    }

    /// A tenant's open wishes to have a number called.
    fn wishes_for<'a>(&'a self, tenant: &'a str, number: &'a str) -> impl Iterator<Item = (WorkItemId, &'a Work)> {
        let of = self.works.wishes.of(number).filter_map(|id| Some((id, &self.works.get(id)?.work)));
        of.filter(move |(_, work)| {
            let called = work.callback.as_ref().is_some_and(|own| digits(own.number.expose()) == digits(number));
            called && work.tenant == tenant
        })
    }

    /// Whether a queue has a wish for the number of this one, so that it cannot go there.
    pub(super) fn is_wished_in(&self, work: &Work, queue: &str) -> bool {
        let Some(number) = work.callback.as_ref().map(|callback| callback.number.expose()) else { return false };
        self.wishes_for(&work.tenant, number).any(|(id, other)| id != work.id && other.queue == queue)
    }

    /// Keeps a caller's wish, at the place that the caller had, if it had one.
    pub(crate) fn take_wish(&mut self, now: Now, mut work: Work, had_place: bool) -> Result<WorkItemId, Unwanted> {
        let tenant = self.directory.tenant_by_name(&work.tenant).map(|tenant| tenant.id).ok_or(Unwanted::NoQueue)?;
        let queue = self.directory.queue_by_name(tenant, &work.queue).map(|queue| queue.id).ok_or(Unwanted::NoQueue)?;
        let id = work.id;
        if work.state == WorkState::Waiting && !had_place && !self.queue.has_room(queue) {
            return Err(Unwanted::QueueFull);
        }
        work.record(now.wall, "added", work.queue.clone());
        let waits = work.state == WorkState::Waiting;
        self.works.insert(work);
        let entry = self.entry_of(now, id).filter(|_| waits);
        // The queue was looked up, has room, and does not know the item.
        let _ = match entry {
            Some(entry) if had_place => self.queue.bring_back(now, id, entry),
            Some(entry) => self.queue.enqueue(now, id, entry),
            None => Ok(()),
        };
        self.save_work(id);
        self.look_at_clock(now);
        Ok(id)
    }

    /// How often a queue calls back, and how far apart. A wish outlives a change of its queue's rule.
    fn callback_rule(&self, work: &Work) -> Rule {
        let tenant = self.directory.tenant_by_name(&work.tenant).map(|tenant| tenant.id);
        let queue = tenant.and_then(|tenant| self.directory.queue_by_name(tenant, &work.queue));
        let usual = Rule { tries: CALLBACK_TRIES, every: Duration::from_secs(CALLBACK_EVERY_S.into()) };
        queue.and_then(|queue| queue.callback).unwrap_or(usual)
    }
}

/// Tries.
impl Switch {
    /// A call rings the agent to whom the wish is offered.
    pub(crate) fn wish_rings(&mut self, id: WorkItemId, call: CallId) {
        if let Some(item) = self.works.get_mut(id) {
            item.call = Some(call);
        }
        self.change_work(id, |work| {
            if let Some(callback) = work.callback.as_mut() {
                callback.call = Some(call);
            }
        });
    }

    /// The agent answered: from here on the try has been made, whatever happens. What it says for people.
    pub(crate) fn wish_tried(&mut self, now: Now, id: WorkItemId, agent: &str) -> Option<String> {
        self.works.end_offer(id);
        self.works.settle(id);
        self.work_left(now, id);
        let item = self.works.get(id)?;
        let (tries, call) = item.work.callback.as_ref().map(|callback| (callback.tries + 1, callback.call))?;
        let of = self.callback_rule(&item.work).tries.max(tries);
        let what = format!("{tries} of {of}");
        self.change_work(id, |work| {
            work.state = WorkState::Handled;
            work.accepted_at.get_or_insert(now.wall);
            work.record(now.wall, "accepted", agent);
            let call = call.map_or(String::new(), |call| format!(", call {call}"));
            work.record(now.wall, "try", format!("{what}{call}"));
            if let Some(callback) = work.callback.as_mut() {
                callback.tries = tries;
            }
        });
        Some(what)
    }

    /// Client and agent talk.
    pub(crate) fn wish_reached(&mut self, now: Now, id: WorkItemId) {
        self.counters.callbacks_reached += 1;
        self.work_met(now, id);
        self.change_work(id, |work| {
            work.record(now.wall, "reached", "");
            if let Some(callback) = work.callback.as_mut() {
                callback.reached = true;
            }
        });
    }

    /// The agent's phone did not take the offer.
    pub(crate) fn wish_refused(&mut self, now: Now, id: WorkItemId, why: OfferEnd) {
        let Some(offer) = self.works.get(id).and_then(|item| item.offer) else { return };
        self.work_returns(now, id, why.as_str());
        self.offer_over(now, offer, why);
        self.after_return(now, id);
    }

    /// There are no resources of ours for it now.
    pub(crate) fn wish_postponed(&mut self, now: Now, id: WorkItemId, why: &str) {
        if self.works.get(id).is_some_and(|item| item.work.callback.is_some()) {
            self.take_from_queue(now, id);
            self.put_off(now, id, why, POSTPONED);
        }
    }

    /// Whether the client may be called still. Numbers, trunks and what is an emergency service's may have changed since it asked;
    /// if it may not, the wish is over, or waits until a trunk leads there again.
    pub(crate) fn wish_stands(&mut self, now: Now, id: WorkItemId) -> bool {
        let Some(work) = self.works.get(id).map(|item| &item.work) else { return false };
        let Some(callback) = &work.callback else { return false };
        let tenant = self.directory.tenant_by_name(&work.tenant).map(|entry| entry.id);
        let Err(unwanted) = self.check_callable(tenant, callback.number.expose()) else { return true };
        if unwanted == Unwanted::NoRoute && work.state == WorkState::Handled {
            // Dialling finds that out, and counts no try.
            return true;
        }
        self.drop_call_of(now, id);
        self.take_from_queue(now, id);
        if unwanted == Unwanted::NoRoute {
            let Some(work) = self.works.get(id).map(|item| &item.work) else { return false };
            let every = self.callback_rule(work).every;
            self.put_off(now, id, Cause::NoRoute.as_str(), every);
            return false;
        }
        self.counters.callbacks_unreached += 1;
        self.change_quietly(id, |work| work.record(now.wall, "not-reached", unwanted.to_string()));
        self.end_work(now, id, Outcome::Unreached);
        false
    }

    /// The appliance stops: the wish waits for the next start.
    pub(crate) fn wish_rests(&mut self, now: Now, id: WorkItemId) {
        if let Some(item) = self.works.get_mut(id) {
            item.rests = true;
            self.queue.take_out(now, id);
            self.work_left(now, id);
        }
    }

    /// The call that a wish made is over, for the wish at least. Where the client was not even dialled, since no trunk took the
    /// call or the agent hung up before, it was no try.
    pub(crate) fn wish_over(&mut self, now: Now, (id, call): (WorkItemId, CallId), cause: Cause, dialled: bool) {
        let Some(item) = self.works.get_mut(id).filter(|item| item.call == Some(call)) else { return };
        item.call = None;
        let (state, reached) = (item.work.state, item.work.was_reached());
        match state {
            WorkState::Handled if reached => self.end_work(now, id, Outcome::Completed),
            WorkState::Handled if dialled => self.wish_missed(now, id, cause),
            WorkState::Handled => {
                self.change_quietly(id, |work| {
                    if let Some(callback) = work.callback.as_mut() {
                        callback.tries = callback.tries.saturating_sub(1);
                    }
                });
                let Some(work) = self.works.get(id).map(|item| &item.work) else { return };
                let every = self.callback_rule(work).every;
                self.put_off(now, id, cause.as_str(), every);
            }
            // Somebody hung up the call by which the agent was to be asked.
            WorkState::Offered if self.queue.offer_of(id).is_some() => self.wish_postponed(now, id, cause.as_str()),
            WorkState::Offered | WorkState::Scheduled | WorkState::Waiting | WorkState::Ended => {}
        }
    }

    /// A try came to nothing: another later, or none any more.
    pub(super) fn wish_missed(&mut self, now: Now, id: WorkItemId, cause: Cause) {
        let Some(work) = self.works.get(id).map(|item| &item.work) else { return };
        let rule = self.callback_rule(work);
        let tries = work.callback.as_ref().map_or(0, |callback| callback.tries);
        let nobody = matches!(cause, Cause::UnallocatedNumber | Cause::InvalidNumber);
        if tries < rule.tries && !nobody {
            return self.put_off(now, id, cause.as_str(), rule.every);
        }
        self.counters.callbacks_unreached += 1;
        self.change_quietly(id, |work| work.record(now.wall, "not-reached", cause.as_str()));
        self.end_work(now, id, Outcome::Unreached);
    }

    /// The wish is out of the queue until then; its place stays its own.
    fn put_off(&mut self, now: Now, id: WorkItemId, why: &str, by: Duration) {
        let at = Timestamp(now.wall.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)));
        self.change_work(id, |work| {
            work.state = WorkState::Scheduled;
            work.agent = None;
            work.record(now.wall, "not-reached", why);
            if let Some(callback) = work.callback.as_mut() {
                callback.retry_at = Some(at);
            }
        });
        self.works.schedule(id);
        self.look_at_clock(now);
    }

    /// Takes the wish's call away from it and ends that call; the wish is none of its concern any more.
    pub(super) fn drop_call_of(&mut self, now: Now, id: WorkItemId) {
        let Some(call) = self.works.get_mut(id).and_then(|item| item.call.take()) else { return };
        self.end_call(now, call, Cause::Normal);
    }
}

/// The client comes by itself.
impl Switch {
    /// Open wishes of a caller to a queue that have not come to a talk. What is agreed on for later stays agreed, whatever the caller
    /// comes with before.
    fn wishes_of_caller(&self, now: Now, queue: QueueId, client: &str) -> Vec<WorkItemId> {
        let Some(entry) = self.directory.queue(queue) else { return vec![] };
        let tenant = self.directory.tenant(entry.tenant).map_or("", |tenant| tenant.name.as_str());
        let is_of = |id: &WorkItemId| {
            let work = self.works.get(*id).map(|item| &item.work);
            let is_to_come = |work: &Work| work.due_at.is_some_and(|due| due > now.wall);
            let stands = |work: &Work| !work.was_reached() && !is_to_come(work);
            work.is_some_and(|work| work.tenant == tenant && work.queue == entry.name && stands(work))
        };
        self.works.wishes.of(client).filter(is_of).collect()
    }

    /// A client with a wish comes to wait itself: the wish rests meanwhile. Its place, which is the call's now.
    pub(crate) fn wish_comes(&mut self, now: Now, (queue, client): (QueueId, &str), call: CallId) -> Option<Duration> {
        let mut place = None;
        for id in self.wishes_of_caller(now, queue, client) {
            let state = self.works.get(id).map(|item| item.work.state);
            if state == Some(WorkState::Handled) || self.works.get(id).is_some_and(|item| item.rests) {
                continue;
            }
            if matches!(state, Some(WorkState::Waiting | WorkState::Offered)) {
                place = place.max(self.queue.waited(now, id));
            }
            if state == Some(WorkState::Offered) {
                self.drop_call_of(now, id);
                self.work_returns(now, id, OfferEnd::ItemLeft.as_str());
            }
            self.queue.take_out(now, id);
            self.work_left(now, id);
            self.works.settle(id);
            if let Some(item) = self.works.get_mut(id) {
                item.rests = true;
            }
            if let Some(call) = self.calls.get_mut(&call) {
                call.resting.push(id);
            }
            self.change_work(id, |work| work.record(now.wall, "called-in", call.to_string()));
        }
        place
    }

    /// The client that came left without an agent: its wishes hold again.
    pub(crate) fn wish_caller_left(&mut self, now: Now, call: CallId) {
        for id in self.calls.get_mut(&call).map(|call| std::mem::take(&mut call.resting)).unwrap_or_default() {
            if let Some(item) = self.works.get_mut(id) {
                item.rests = false;
            }
            if self.works.get(id).is_some_and(|item| item.work.state == WorkState::Waiting) {
                self.requeue_work(now, id);
            }
        }
    }

    /// The client that came has an agent of the queue: what it wished for is done.
    pub(crate) fn wish_settled(&mut self, now: Now, (queue, client): (QueueId, Option<&str>), call: CallId) {
        let mut settled = self.calls.get_mut(&call).map(|call| std::mem::take(&mut call.resting)).unwrap_or_default();
        settled.extend(client.into_iter().flat_map(|client| self.wishes_of_caller(now, queue, client)));
        for id in settled {
            if self.works.get(id).is_none_or(|item| item.work.was_reached()) {
                continue;
            }
            self.change_quietly(id, |work| work.record(now.wall, "settled", format!("call {call}")));
            self.drop_call_of(now, id);
            self.take_from_queue(now, id);
            self.end_work(now, id, Outcome::Settled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(id: u64, tenant: &str, client: Option<&str>, number: &str) -> Work {
        let mut work: Work = serde_json::from_value(serde_json::json!({
            "id": WorkItemId(id), "tenant": tenant, "medium": "voice", "queue": "q", "arrived_at": 5, "state": "waiting",
            "callback": { "number": number },
        }))
        .unwrap();
        work.client = client.map(|client| Redacted::new(client.to_owned()));
        work
    }

    #[test]
    fn wishes_are_known_by_the_number_called_and_the_number_called_from() {
        let mut wishes = Wishes::default();
        let (one, two) = (wish(1, "a", Some("+1 555-01"), "+155502"), wish(2, "b", None, "155502"));
        wishes.set(&one, true);
        wishes.set(&two, true);
        assert_eq!(wishes.of("155501").collect::<Vec<_>>(), [WorkItemId(1)]);
        assert_eq!(wishes.of("+155502").collect::<Vec<_>>(), [WorkItemId(1), WorkItemId(2)]);
        assert_eq!((wishes.count(), wishes.of_tenant("a")), ((2, 1), 1));
        wishes.set(&one, false);
        wishes.set(&two, false);
        assert_eq!(wishes.count(), (0, 0));
        assert!(wishes.by_digits.is_empty() && wishes.by_tenant.is_empty());
    }

    #[test]
    fn a_wish_that_is_put_off_keeps_the_time_it_waits_from() {
        let mut work = wish(1, "a", None, "155502");
        assert_eq!(work.wakes_at(), Timestamp(5));
        work.callback.as_mut().unwrap().retry_at = Some(Timestamp(90));
        assert_eq!((work.wakes_at(), work.waits_from()), (Timestamp(90), Timestamp(5)));
    }
}
