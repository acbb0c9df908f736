//! Work items that are no calls, from the order that adds one to its end: what consoles may do with them.
//!
//! Where an item stands, and what moves it:
//!
//! ```text
//!   add, later ---> Scheduled --- its time ---+
//!                                             v       offer              accept
//!   add, now ------------------------------> Waiting --------> Offered ---------> Handled ---> Ended: completed
//!                                             ^ | ^               |                | |
//!                                             | | +---------------+                | |
//!                                             | |  declined, no answer, agent gone | |
//!                                             | |                                | |
//!                                             | +--> Ended: overflowed, unservable | |
//!                                             +- transfer, agent gone or cut off --+ +--> Ended: cancelled (from anywhere)
//! ```
//!
//! An offer that no longer lives when it is answered is refused. Each step is a fact in the journal, and whoever ordered
//! it is answered when that is durable.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::attribute::{AGENT_ATTRIBUTE, ATTRIBUTES_MAX, Attributes, Value};
use super::callback::{Callback, Unwanted, Wishes};
use super::discovery::{DISCOVERIES_MAX, Discovery, Origin};
use super::modifier::{Mode, Modifier};
use super::view::WorkSpec;
use super::work::{NOTE_CHARS_MAX, Outcome, Work, WorkState};
use crate::base::{CallId, DialString, Instant, Medium, Now, OfferId, Redacted, TenantId, Timestamp, WorkItemId};
use crate::core::journal::Change;
use crate::core::queue::{EnqueueError, Entry, OfferEnd};
use crate::core::switch::Switch;
use crate::core::tenant::access;

/// Most work items that have not ended: those that wait, those in hand and those whose time has not come.
pub(crate) const WORKS_MAX: usize = 200_000;

/// Most characters of a client's number or address.
const CLIENT_CHARS_MAX: usize = 256;

/// Most characters of a subject.
const SUBJECT_CHARS_MAX: usize = 1_000;

/// Most characters of a disposition and of a reason.
const WORD_CHARS_MAX: usize = 200;

/// How far ahead a time may be agreed on.
const DUE_WITHIN: Duration = Duration::from_secs(366 * 86_400);

/// An item that has not ended.
#[derive(Debug)]
pub(crate) struct Item {
    /// Its record.
    pub work: Work,
    /// The live offer.
    pub offer: Option<OfferId>,
    /// What is known of it has changed while it was offered: it is queued anew when it comes back.
    pub stale: bool,
    /// It was to go another way while it was offered.
    pub escalates: bool,
    /// The call that is up for it: of a wish to be called back.
    pub call: Option<CallId>,
    /// It waits, but not in the queue: of a wish whose client waits there itself, or while the appliance stops.
    pub rests: bool,
}

/// The items that have not ended, calls apart.
#[derive(Default, Debug)]
pub(crate) struct Items {
    pub(super) all: BTreeMap<WorkItemId, Item>,
    pub(super) by_offer: HashMap<OfferId, WorkItemId>,
    /// Those whose time has not come.
    pub(super) scheduled: BTreeSet<(Timestamp, WorkItemId)>,
    /// Those whose clients are to be called back.
    pub(super) wishes: Wishes,
    /// When to look at the clock for them.
    pub(super) look_at: Option<Instant>,
    /// Items, calls among them, that no agent could ever take, and their queues, with how many of each.
    pub(super) unservable: BTreeMap<WorkItemId, Arc<str>>,
    pub(super) unservable_in: BTreeMap<Arc<str>, usize>,
    /// Those of each tenant.
    by_tenant: HashMap<String, BTreeSet<WorkItemId>>,
    /// Refused for want of room.
    pub refused: u64,
    /// Refused because the tenant has as many as it may.
    over_quota: HashMap<String, u64>,
}

impl Items {
    /// What was put off until an offer ends is not due any more: the item was taken, or leaves its queue.
    pub(super) fn settle(&mut self, id: WorkItemId) {
        if let Some(item) = self.all.get_mut(&id) {
            item.escalates = false;
            item.stale = false;
        }
    }

    /// How many have not ended.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether it is one of them.
    pub fn has(&self, id: WorkItemId) -> bool {
        self.all.contains_key(&id)
    }

    /// An item.
    pub fn get(&self, id: WorkItemId) -> Option<&Item> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: WorkItemId) -> Option<&mut Item> {
        self.all.get_mut(&id)
    }

    /// A record that is new here.
    pub(super) fn insert(&mut self, work: Work) {
        let id = work.id;
        self.wishes.set(&work, true);
        self.by_tenant.entry(work.tenant.clone()).or_default().insert(id);
        let item = Item { work, offer: None, stale: false, escalates: false, call: None, rests: false };
        self.all.insert(id, item);
        self.schedule(id);
    }

    /// The clock is to be looked at for an item, if its time is yet to come.
    pub(super) fn schedule(&mut self, id: WorkItemId) {
        if let Some(work) = self.get(id).map(|item| &item.work).filter(|work| work.state == WorkState::Scheduled) {
            self.scheduled.insert((work.wakes_at(), id));
        }
    }

    /// Its time is another.
    pub(super) fn unschedule(&mut self, id: WorkItemId) {
        if let Some(at) = self.get(id).map(|item| item.work.wakes_at()) {
            self.scheduled.remove(&(at, id));
        }
    }

    /// How many of a tenant have not ended.
    pub fn of_tenant(&self, tenant: &str) -> usize {
        self.by_tenant.get(tenant).map_or(0, BTreeSet::len)
    }

    /// Those of a tenant from an id on, by id.
    pub(super) fn ids_of(&self, tenant: &str, from: WorkItemId) -> impl Iterator<Item = WorkItemId> {
        self.by_tenant.get(tenant).into_iter().flat_map(move |ids| ids.range(from..)).copied()
    }

    /// Asserts that each item is among its tenant's.
    pub(super) fn check_tenants(&self) {
        let is_theirs = |(id, item): (&WorkItemId, &Item)| self.by_tenant.get(&item.work.tenant)?.get(id).copied();
        assert_eq!(self.all.iter().filter_map(is_theirs).count(), self.all.len(), "items by their tenants");
        assert_eq!(self.by_tenant.values().map(BTreeSet::len).sum::<usize>(), self.all.len(), "items of tenants");
    }

    /// How many wishes of a tenant are open.
    pub fn wishes_of(&self, tenant: &str) -> usize {
        self.wishes.of_tenant(tenant)
    }

    /// A tenant was refused one; counted where it has as many as it may.
    pub fn count_refused(&mut self, tenant: &str, why: Unwanted) {
        if let Unwanted::Quota(_) = why {
            *self.over_quota.entry(tenant.to_owned()).or_default() += 1;
        }
    }

    /// How often a tenant was refused one because it has as many as it may.
    pub fn refused_of(&self, tenant: &str) -> u64 {
        self.over_quota.get(tenant).copied().unwrap_or(0)
    }

    /// How many wishes are open, and the most that a tenant has.
    pub fn wishes_count(&self) -> (usize, usize) {
        self.wishes.count()
    }

    /// The offer is over.
    pub(super) fn end_offer(&mut self, id: WorkItemId) {
        if let Some(offer) = self.all.get_mut(&id).and_then(|item| item.offer.take()) {
            self.by_offer.remove(&offer);
        }
    }

    pub(super) fn remove(&mut self, id: WorkItemId) -> Option<Item> {
        self.end_offer(id);
        let item = self.all.remove(&id)?;
        if let Some(ids) = self.by_tenant.get_mut(&item.work.tenant) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_tenant.remove(&item.work.tenant);
            }
        }
        self.wishes.set(&item.work, false);
        self.scheduled.remove(&(item.work.wakes_at(), id));
        Some(item)
    }
}

/// Checks a text from outside.
pub(super) fn check_text(what: &str, text: &str, chars_max: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("{what} is empty"));
    }
    if text.chars().count() > chars_max {
        return Err(format!("{what} has more than {chars_max} characters"));
    }
    if text.chars().any(|c| c != '\n' && is_control(c)) {
        return Err(format!("{what} has control characters"));
    }
    Ok(())
}

/// Whether a character does something to a terminal instead of being shown: a control character, or one that turns the direction
/// of writing (Unicode Standard Annex 9, section 2).
pub(crate) fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl Switch {
    /// A record of a described item and what the queue needs of it.
    pub(super) fn read_spec(&self, now: Now, id: WorkItemId, spec: WorkSpec) -> Result<(Work, Entry), String> {
        let tenant = &spec.tenant;
        let tenant_id = self.tenant_named(tenant)?;
        self.queue_named(tenant_id, tenant, &spec.queue)?;
        if let Some(client) = &spec.client {
            check_text("the client", client.expose(), CLIENT_CHARS_MAX)?;
        }
        if let Some(subject) = &spec.subject {
            check_text("the subject", subject.expose(), SUBJECT_CHARS_MAX)?;
        }
        if spec.callback.is_some() && spec.medium != Medium::Voice {
            return Err(format!("a call-back is of the medium voice, not {}", spec.medium));
        }
        let due_max = now.wall.0.saturating_add(i64::try_from(DUE_WITHIN.as_millis()).unwrap_or(i64::MAX));
        if spec.due_at.is_some_and(|due| due.0 > due_max) {
            return Err("a time is agreed on for at most a year ahead".into());
        }
        if spec.attributes.len() > ATTRIBUTES_MAX {
            return Err(format!("a work item has at most {ATTRIBUTES_MAX} attributes"));
        }
        let mut attributes = Attributes::new();
        for (name, text) in &spec.attributes {
            attributes.insert(name.clone(), self.read_value(tenant_id, name, text)?);
        }
        let found = Discovery::of_all(&attributes, now.wall, Origin::Operator);
        let due_at = spec.due_at.filter(|due| *due > now.wall);
        let client = spec.client.or_else(|| spec.callback.clone());
        let callback = spec.callback.map(|number| self.new_callback(tenant_id, number));
        let work = Work {
            callback,
            discoveries: found,
            client,
            subject: spec.subject,
            attributes,
            modifiers: spec.modifiers,
            ..Work::new(id, (&spec.tenant, &spec.queue), spec.medium, now.wall, due_at)
        };
        let entry = self.entry(now, &work)?;
        Ok((work, entry))
    }

    /// Adds an item. A call-back that there is already is not added: `true` says so.
    pub(crate) fn work_add(&mut self, now: Now, spec: WorkSpec) -> Result<(WorkItemId, bool), String> {
        if self.stopping {
            return Err("the appliance is stopping; add it after the next start".into());
        }
        if let Some(known) = self.known_wish(&spec)? {
            return Ok((known, true));
        }
        if let Err(full) = self.has_work_left(&spec.tenant) {
            self.works.count_refused(&spec.tenant, full);
            return Err(full.to_string());
        }
        if self.store_is_behind || self.works.len() >= WORKS_MAX {
            self.works.refused += 1;
            let what = if self.store_is_behind { "the disk is behind" } else { "there is room for no more work items" };
            return Err(format!("{what}; try again later"));
        }
        let id = self.fresh_work(now);
        let (mut work, entry) = self.read_spec(now, id, spec)?;
        work.record(now.wall, "added", work.queue.clone());
        if work.state == WorkState::Waiting {
            self.queue.enqueue(now, id, entry).map_err(|error| refusal(&work, error))?;
        }
        self.works.insert(work);
        self.save_work(id);
        self.look_at_clock(now);
        Ok((id, false))
    }

    /// The open wish that a described one joins.
    fn known_wish(&mut self, spec: &WorkSpec) -> Result<Option<WorkItemId>, String> {
        let Some(number) = &spec.callback else { return Ok(None) };
        let tenant = self.tenant_named(&spec.tenant)?;
        let known = self.check_wish(tenant, &spec.queue, number.expose());
        known
            .inspect_err(|unwanted| self.works.count_refused(&spec.tenant, *unwanted))
            .map_err(|unwanted| format!("no call-back from {}/{}: {unwanted}", spec.tenant, spec.queue))
    }

    fn new_callback(&self, tenant: TenantId, number: Redacted<String>) -> Callback {
        let shown_as = self.directory.caller_id(tenant).and_then(|number| DialString::new(number).ok());
        Callback {
            number,
            shown_as: shown_as.unwrap_or_default(),
            asked_in: None,
            tries: 0,
            call: None,
            retry_at: None,
            reached: false,
        }
    }

    /// Why an item that was just added waits for nobody, or has gone already.
    pub(crate) fn work_warning(&self, id: WorkItemId) -> Option<String> {
        if !self.works.has(id) {
            return Some(
                "no agent there is could ever take it, so it has ended by the rule `unservable` of its queue".into(),
            );
        }
        self.works
            .unservable
            .contains_key(&id)
            .then(|| format!("no agent there is could ever take it; `cordboard work explain {id}` says why of each"))
    }

    /// An agent takes an item that is offered.
    pub(crate) fn work_accept(&mut self, now: Now, tenant: &str, agent: &str, id: WorkItemId) -> Result<(), String> {
        let offer = self.live_offer(tenant, agent, id)?;
        if !self.queue.accepted(now, offer) {
            return Err(not_offered(tenant, agent, id));
        }
        self.works.end_offer(id);
        self.works.settle(id);
        self.work_left(now, id);
        self.work_met(now, id);
        self.change_work(id, |work| {
            work.state = WorkState::Handled;
            work.accepted_at.get_or_insert(now.wall);
            // As the item's tenant calls the agent.
            let called = work.agent.clone().unwrap_or_default();
            work.record(now.wall, "accepted", called);
        });
        Ok(())
    }

    /// The client met the agent: next time again, where the queue wants so.
    pub(super) fn work_met(&mut self, now: Now, id: WorkItemId) {
        let Some(work) = self.works.get(id).map(|item| &item.work) else { return };
        let Some(client) = work.client.as_ref().map(|client| client.expose().clone()) else { return };
        let tenant = self.directory.tenant_by_name(&work.tenant).map(|tenant| tenant.id);
        let queue = tenant.and_then(|tenant| self.directory.queue_by_name(tenant, &work.queue)).map(|queue| queue.id);
        if let Some((queue, agent)) = queue.zip(self.queue.handler(id)) {
            self.remember_agent(now, queue, &client, agent);
        }
    }

    /// An agent refuses an item that is offered, and is not ready afterwards.
    pub(crate) fn work_decline(&mut self, now: Now, tenant: &str, agent: &str, id: WorkItemId) -> Result<(), String> {
        let offer = self.live_offer(tenant, agent, id)?;
        self.work_returns(now, id, "declined");
        self.queue.refused(now, offer, OfferEnd::Declined);
        self.after_return(now, id);
        Ok(())
    }

    fn live_offer(&self, tenant: &str, agent: &str, id: WorkItemId) -> Result<OfferId, String> {
        let tenant_id = self.tenant_named(tenant)?;
        let agent_id = self.agent_named(tenant_id, tenant, agent)?;
        let item = self.open_item(id)?;
        if item.work.callback.is_some() {
            return Err(format!("work item {id} is a call-back: {tenant}/{agent} is asked by phone"));
        }
        let is_theirs = item.work.agent.as_deref() == Some(self.called_for(agent_id, id).as_str());
        item.offer.filter(|_| is_theirs).ok_or_else(|| not_offered(tenant, agent, id))
    }

    /// An agent is through with an item.
    pub(crate) fn work_complete(
        &mut self,
        now: Now,
        id: WorkItemId,
        disposition: Option<String>,
        note: Option<Redacted<String>>,
    ) -> Result<(), String> {
        let work = &self.open_item(id)?.work;
        if work.state != WorkState::Handled {
            let state = work.state.as_str();
            return Err(format!("work item {id} is {state}: an agent accepts it before completing it"));
        }
        if work.callback.is_some() && !work.was_reached() {
            return Err(format!("the client of work item {id} has not answered yet; cancel it, or wait"));
        }
        let disposition = self.read_disposition(&work.tenant, disposition)?;
        let note = joined_note(work, note)?;
        self.drop_call_of(now, id);
        self.queue.finished(now, id);
        self.change_quietly(id, |work| {
            work.disposition = disposition;
            work.note = note;
            let said = work.disposition.clone().unwrap_or_default();
            work.record(now.wall, "completed", said);
        });
        self.end_work(now, id, Outcome::Completed);
        Ok(())
    }

    /// The operator takes an item back.
    pub(crate) fn work_cancel(&mut self, now: Now, id: WorkItemId, reason: &str) -> Result<(), String> {
        self.open_item(id)?;
        if !reason.is_empty() {
            check_text("the reason", reason, WORD_CHARS_MAX)?;
        }
        self.change_quietly(id, |work| {
            work.record(now.wall, "cancelled", reason);
            // Who was asked has not had it.
            if work.state == WorkState::Offered {
                work.agent = None;
            }
        });
        self.drop_call_of(now, id);
        self.take_from_queue(now, id);
        self.end_work(now, id, Outcome::Cancelled);
        Ok(())
    }

    /// An item goes to another queue, to one agent, or both; it keeps its history and the time that it has waited.
    pub(crate) fn work_transfer(
        &mut self,
        now: Now,
        id: WorkItemId,
        to: (Option<String>, Option<String>),
        note: Option<Redacted<String>>,
    ) -> Result<(), String> {
        let (queue, agent) = to;
        if queue.is_none() && agent.is_none() {
            return Err("a transfer names a queue, an agent, or both".into());
        }
        let mut work = self.open_item(id)?.work.clone();
        if work.callback.is_some() && work.state == WorkState::Handled {
            return Err(format!("work item {id} is a call that is up, which is handed over by phone"));
        }
        let tenant = self.tenant_named(&work.tenant)?;
        work.note = joined_note(&work, note)?;
        work.modifiers.retain(|modifier| !is_for_agent(modifier));
        if let Some(agent) = &agent {
            self.agent_named(tenant, &work.tenant, agent)?;
            work.modifiers.push(for_agent(agent));
        }
        let moves = queue.as_ref().is_some_and(|queue| *queue != work.queue);
        work.queue = queue.unwrap_or(work.queue);
        let queue = self.queue_named(tenant, &work.tenant, &work.queue)?;
        let entry = self.entry(now, &work)?;
        if moves && self.is_wished_in(&work, &work.queue) {
            return Err(format!("queue {}/{} is to call that number back already", work.tenant, work.queue));
        }
        if moves && work.state != WorkState::Scheduled && !self.queue.has_room(queue) {
            return Err(refusal(&work, EnqueueError::Full));
        }
        let to = agent.map_or(work.queue.clone(), |agent| format!("{} for {agent}", work.queue));
        work.record(now.wall, "transferred", to);
        let waited = self.queue.waited(now, id).unwrap_or_else(|| work.waited(now.wall));
        if work.state != WorkState::Scheduled {
            self.drop_call_of(now, id);
            self.works.end_offer(id);
            self.works.settle(id);
            self.queue.finished(now, id);
            self.work_left(now, id);
            work.state = WorkState::Waiting;
            work.agent = None;
            // The queue was looked up, and no agent has the item.
            let _ = self.queue.bring_back(now, id, Entry { waited, ..entry });
        }
        self.change_work(id, |old| *old = work);
        Ok(())
    }

    /// Something becomes known of an item.
    pub(crate) fn work_discover(
        &mut self,
        now: Now,
        id: WorkItemId,
        (attribute, text): (String, &str),
        origin: Origin,
    ) -> Result<(), String> {
        let mut work = self.open_item(id)?.work.clone();
        let value = self.read_value(self.tenant_named(&work.tenant)?, &attribute, text)?;
        if work.attributes.len() >= ATTRIBUTES_MAX && !work.attributes.contains_key(&attribute) {
            return Err(format!("a work item has at most {ATTRIBUTES_MAX} attributes"));
        }
        work.record(now.wall, "discovered", format!("{attribute}={value}"));
        if work.discoveries.len() < DISCOVERIES_MAX {
            let (attribute, value) = (attribute.clone(), value.clone());
            work.discoveries.push(Discovery { at: now.wall, origin, attribute, value });
        }
        work.attributes.insert(attribute, value);
        self.entry(now, &work)?;
        let state = work.state;
        self.change_work(id, |old| *old = work);
        match state {
            WorkState::Waiting => self.requeue_work(now, id),
            WorkState::Offered => self.works.get_mut(id).into_iter().for_each(|item| item.stale = true),
            _ => {}
        }
        Ok(())
    }

    /// The item's queue forgets it, or the agent who has it does.
    pub(super) fn take_from_queue(&mut self, now: Now, id: WorkItemId) {
        self.works.end_offer(id);
        self.works.settle(id);
        if let Some(item) = self.works.get_mut(id) {
            item.rests = false;
        }
        if !self.queue.take_out(now, id) {
            self.queue.finished(now, id);
        }
        self.work_left(now, id);
    }

    /// The one way in which an item ends. The queue has forgotten it.
    pub(super) fn end_work(&mut self, now: Now, id: WorkItemId, outcome: Outcome) {
        self.work_left(now, id);
        let Some(mut item) = self.works.remove(id) else { return };
        item.work.state = WorkState::Ended;
        item.work.outcome = Some(outcome);
        // The clock may have been set back.
        item.work.ended_at = Some(now.wall.max(item.work.arrived_at));
        self.journal(Change::WorkChanged { work: Box::new(item.work) });
    }

    /// Changes a record and says so.
    pub(super) fn change_work(&mut self, id: WorkItemId, change: impl FnOnce(&mut Work)) {
        self.change_quietly(id, change);
        self.save_work(id);
    }

    pub(super) fn change_quietly(&mut self, id: WorkItemId, change: impl FnOnce(&mut Work)) {
        if let Some(item) = self.works.get_mut(id) {
            change(&mut item.work);
        }
    }

    pub(super) fn save_work(&mut self, id: WorkItemId) {
        if let Some(work) = self.works.get(id).map(|item| Box::new(item.work.clone())) {
            self.journal(Change::WorkChanged { work });
        }
    }

    /// An item that has not ended, or what to say of the id instead.
    pub(super) fn open_item(&self, id: WorkItemId) -> Result<&Item, String> {
        self.works.get(id).ok_or_else(|| match self.call_of_work(id) {
            Some(call) => format!("work item {id} is call {call}, which is answered and ended by phone"),
            None => access::no_work(id),
        })
    }
}

/// What makes an item one agent's.
fn for_agent(agent: &str) -> Modifier {
    Modifier {
        attribute: AGENT_ATTRIBUTE.into(),
        value: Some(agent.into()),
        mode: Mode::Required,
        level: None,
        importance: None,
        schedule: vec![],
        credit_s: 0,
    }
}

/// Whether a modifier makes an item one agent's.
fn is_for_agent(modifier: &Modifier) -> bool {
    modifier.attribute == AGENT_ATTRIBUTE && modifier.mode == Mode::Required
}

fn not_offered(tenant: &str, agent: &str, id: WorkItemId) -> String {
    format!("work item {id} is not offered to {tenant}/{agent}; `cordboard work show {id}` says where it is")
}

fn refusal(work: &Work, error: EnqueueError) -> String {
    let (tenant, queue) = (&work.tenant, &work.queue);
    match error {
        EnqueueError::Full => format!("queue {tenant}/{queue} is full; try again later, or another queue"),
        error => format!("queue {tenant}/{queue}: {error}"),
    }
}

/// The notes of an item with one more.
fn joined_note(work: &Work, note: Option<Redacted<String>>) -> Result<Option<Redacted<String>>, String> {
    let Some(note) = note else { return Ok(work.note.clone()) };
    check_text("the note", note.expose(), NOTE_CHARS_MAX)?;
    let joined = match &work.note {
        Some(before) => format!("{}\n{}", before.expose(), note.expose()),
        None => note.into_inner(),
    };
    check_text("the notes together", &joined, NOTE_CHARS_MAX)?;
    Ok(Some(joined.into()))
}

impl Switch {
    /// What an agent says came of an item: one of the tenant's dispositions, or any word where there are none.
    fn read_disposition(&self, tenant: &str, given: Option<String>) -> Result<Option<String>, String> {
        let known = self.dispositions(tenant);
        match given {
            Some(word) if known.is_empty() => check_text("the disposition", &word, WORD_CHARS_MAX).map(|()| Some(word)),
            Some(word) if known.contains(&word) => Ok(Some(word)),
            Some(word) => Err(format!("{tenant} has no disposition {word:?}; expected one of: {}", known.join(", "))),
            None if known.is_empty() => Ok(None),
            None => Err(format!("say what came of it by --disposition; one of: {}", known.join(", "))),
        }
    }

    fn read_value(&self, tenant: TenantId, name: &str, text: &str) -> Result<Value, String> {
        let kind = self.attribute_kind(tenant, name)?;
        Value::parse(kind, text).map_err(|error| format!("attribute {name:?}: {error}"))
    }
}
