//! Where work items are, why, and where one would go.

use std::collections::{BTreeMap, BTreeSet};

use super::desk::Item;
use super::routing::Policy;
use super::view::{BasisView, CallbackView, CandidateView, Explanation, HoldView, WorkSpec, WorkView};
use super::work::{Work, WorkEvent, WorkState};
use crate::base::{AgentId, CallId, Medium, Now, Redacted, TenantId, WorkItemId};
use crate::core::call::{Call, CallState};
use crate::core::fault::did_you_mean;
use crate::core::journal::AgentStatus;
use crate::core::queue::{Appraisal, Candidate, Hold, Unfit, Verdict};
use crate::core::switch::Switch;
use crate::core::tenant::access::full_agent;

/// Most items in one answer.
pub(crate) const VIEWS_MAX: usize = 1_000;

/// Most agents in one explanation.
const CANDIDATES_MAX: usize = 200;

/// `TENANT/NAME` of the agent who is asked or has it.
pub(crate) fn of_agent(work: &Work) -> Option<String> {
    work.agent.as_deref().map(|called| full_agent(&work.tenant, called))
}

/// That something is not there, and what may be meant instead.
fn not_there<'k>(kind: &str, name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let hint = did_you_mean(name, known).map_or_else(
        || format!("`cordboard {kind} list` shows what there is"),
        |nearest| format!("did you mean {nearest:?}?"),
    );
    format!("there is no {kind} {name:?}; {hint}")
}

/// Whose items are wanted: of a tenant, in a queue, in a state, of an agent.
pub(crate) type WantedWorks<'a> = (Option<&'a str>, Option<&'a str>, Option<WorkState>, Option<&'a str>);

impl Switch {
    /// That there are no items as there is no such tenant, or queue.
    pub(crate) fn works_of_nobody(&self, (tenant, queue, _, agent): WantedWorks<'_>) -> Option<String> {
        let owner = tenant.map(|name| (name, self.directory.tenant_by_name(name)));
        if let Some((name, None)) = owner {
            return Some(not_there("tenant", name, self.directory.tenants().map(|tenant| tenant.name.as_str())));
        }
        let owner = owner.and_then(|(_, entry)| entry).map(|entry| entry.id);
        // An agent may serve several tenants, and is told nothing of others.
        let name = queue.filter(|_| owner.is_some() || agent.is_none())?;
        let own = self.directory.queues().filter(|entry| owner.is_none_or(|owner| entry.tenant == owner));
        let names: Vec<&str> = own.map(|entry| entry.name.as_str()).collect();
        (!names.contains(&name)).then(|| not_there("queue", name, names))
    }

    /// Open items by id, calls in queues and in the hands of agents among them; and whether there are more.
    pub(crate) fn work_views(
        &self,
        now: Now,
        (tenant, queue, state, agent): WantedWorks<'_>,
        after: Option<WorkItemId>,
    ) -> (Vec<WorkView>, bool) {
        let after = after.unwrap_or(WorkItemId(0));
        // What somebody else has is not looked at.
        let held = agent.map(|name| self.held_by(name));
        let passes = |work: &Work| {
            tenant.is_none_or(|name| work.tenant == name)
                && queue.is_none_or(|name| work.queue == name)
                && state.is_none_or(|state| work.state == state)
                && agent.is_none_or(|name| of_agent(work).as_deref() == Some(name))
        };
        let wanted = |&(id, call): &(WorkItemId, &Call)| {
            id > after
                && tenant.is_none_or(|name| call.cdr.tenant == name)
                && queue.is_none_or(|name| self.queue_of_call(call) == name)
                && state.is_none_or(|state| self.state_of_call(id, call).0 == state)
                && agent.is_none_or(|name| of_agent(&self.outline_of_call(id, call)).as_deref() == Some(name))
        };
        let calls: BTreeMap<WorkItemId, &Call> = self.works_of_calls(tenant, held.as_ref()).filter(wanted).collect();
        let mut calls = calls.into_iter().map(|(id, call)| self.outline_of_call(id, call)).peekable();
        let mut views = Vec::new();
        let item = |id: WorkItemId| self.works.get(id);
        let others: Box<dyn Iterator<Item = &Item>> = match (&held, tenant) {
            (Some(held), _) => Box::new(held.iter().copied().filter_map(item)),
            (None, Some(tenant)) => Box::new(self.works.ids_of(tenant, after).filter_map(item)),
            (None, None) => Box::new(self.works.all.range(after..).map(|(_, item)| item)),
        };
        let others = others.map(|item| &item.work);
        let mut others = others.filter(|work| work.id > after && passes(work)).peekable();
        loop {
            let call_first = match (calls.peek(), others.peek()) {
                (None, None) => return (views, false),
                (Some(call), Some(other)) => call.id < other.id,
                (call, _) => call.is_some(),
            };
            if views.len() >= VIEWS_MAX {
                return (views, true);
            }
            if call_first {
                views.extend(calls.next().map(|work| self.work_view(now, &work)));
            } else {
                views.extend(others.next().map(|work| self.work_view(now, work)));
            }
        }
    }

    fn work_view(&self, now: Now, work: &Work) -> WorkView {
        let in_queue = self.queue.waited(now, work.id);
        let waited = match (in_queue, work.accepted_at) {
            (Some(waited), _) => waited,
            (None, Some(accepted)) => work.waited(accepted),
            _ => work.waited(now.wall),
        };
        WorkView {
            id: work.id,
            tenant: work.tenant.clone(),
            medium: work.medium,
            queue: work.queue.clone(),
            state: work.state,
            agent: work.agent.clone(),
            client: work.client.as_ref().map(|client| client.expose().clone()),
            arrived_at: work.arrived_at,
            due_at: work.due_at,
            callback: work.callback.as_ref().map(|callback| CallbackView {
                number: callback.number.expose().clone(),
                tries: callback.tries,
                retry_at: callback.retry_at.filter(|_| work.state == WorkState::Scheduled),
                reached: callback.reached,
                rests: self.works.get(work.id).is_some_and(|item| item.rests),
            }),
            waited_s: waited.as_secs(),
            position: self.queue.position(work.id),
            expected_wait_s: self.queue.expected_wait(work.id).map(|wait| wait.as_secs()),
        }
    }

    /// The record of an open item; of a call, what would be one.
    pub(crate) fn work_record(&self, id: WorkItemId) -> Result<Work, String> {
        let call = self.call_of_work(id).filter(|_| !self.works.has(id)).and_then(|call| self.calls.get(&call));
        match call {
            Some(call) => Ok(self.work_of_call(id, call)),
            None => self.open_item(id).map(|item| item.work.clone()),
        }
    }

    /// Whose an open item is, or the call that it is: the tenant's name, and `TENANT/NAME` of the agent who is asked or has it.
    pub(crate) fn owner_of_work(&self, id: WorkItemId) -> Option<(String, Option<String>)> {
        let owner = |work: &Work| (work.tenant.clone(), of_agent(work));
        match self.works.get(id) {
            Some(item) => Some(owner(&item.work)),
            None => {
                let call = self.calls.get(&self.call_of_work(id)?)?;
                Some(owner(&self.outline_of_call(id, call)))
            }
        }
    }

    /// Why an open item is where it is.
    pub(crate) fn explain_work(&self, now: Now, id: WorkItemId) -> Result<Explanation, String> {
        let work = self.work_record(id)?;
        let appraisal = self.queue.explain(now, id);
        let view = self.work_view(now, &work);
        Ok(Explanation {
            waited_s: self.queue.rank_waited(now, id).map_or(view.waited_s as f64, |waited| waited.as_secs_f64()),
            position: view.position,
            expected_wait_s: view.expected_wait_s,
            ..self.appraised(work, appraisal)
        })
    }

    /// Where an item would go if it came now. Nothing changes.
    pub(crate) fn what_if(&self, now: Now, spec: WorkSpec) -> Result<Explanation, String> {
        let (work, entry) = self.read_spec(now, WorkItemId(0), spec)?;
        let appraisal = self.queue.consider(now, &entry).map_err(|error| error.to_string())?;
        Ok(Explanation { waited_s: entry.credit.as_secs_f64(), ..self.appraised(work, Some(appraisal)) })
    }

    /// An explanation by names; wait and place are left to be filled in.
    fn appraised(&self, work: Work, appraisal: Option<Appraisal>) -> Explanation {
        let mut explanation = Explanation::of_record(work);
        if let Some(Appraisal { policy, candidates, hold }) = appraisal {
            explanation.policy = Some(policy);
            explanation.left_out = candidates.len().saturating_sub(CANDIDATES_MAX);
            let tenant = self.directory.tenant_by_name(&explanation.work.tenant).map(|tenant| tenant.id);
            explanation.candidates = self.candidate_views(policy, tenant, candidates);
            explanation.hold = hold.map(|hold| self.hold_view(tenant, hold));
        }
        explanation
    }

    fn hold_view(&self, tenant: Option<TenantId>, hold: Hold) -> HoldView {
        let name = |agent| self.directory.agent_called(agent, tenant).unwrap_or_default();
        HoldView {
            instead_of: name(hold.instead_of),
            better: hold.better.into_iter().map(name).collect(),
            better_count: hold.better_count,
            free_in_s: hold.free_in.as_secs_f64(),
            gain: hold.gain,
            loss: hold.loss,
            look_in_s: hold.look_in.as_secs_f64(),
        }
    }

    fn candidate_views(
        &self,
        policy: Policy,
        tenant: Option<TenantId>,
        candidates: Vec<Candidate>,
    ) -> Vec<CandidateView> {
        let view = |candidate: Candidate| CandidateView {
            agent: self.directory.agent_called(candidate.agent, tenant).unwrap_or_default(),
            verdict: self.verdict_text(&candidate.verdict),
            unfit: matches!(candidate.verdict, Verdict::Unfit(_)),
            terms: match candidate.verdict {
                Verdict::Scores(terms) if policy.goes_by_score() => Some(terms),
                _ => None,
            },
            basis: candidate.basis.map(|basis| BasisView {
                level: basis.level,
                put_aside: basis.put_aside,
                idle_s: basis.idle.as_secs_f64(),
            }),
        };
        candidates.into_iter().take(CANDIDATES_MAX).map(view).collect()
    }

    fn verdict_text(&self, verdict: &Verdict) -> String {
        match verdict {
            Verdict::Scores(_) => "could take it".into(),
            Verdict::Occupied(AgentStatus::WrapUp) => "in wrap-up".into(),
            Verdict::Occupied(_) => "has no free slot for it".into(),
            Verdict::Away(AgentStatus::Null) => "signed out".into(),
            Verdict::Away(_) => "not ready".into(),
            Verdict::Unreachable => "the phone cannot be reached".into(),
            Verdict::Unfit(Unfit::Tenant) => "of another tenant".into(),
            Verdict::Unfit(Unfit::Lacks { what, have, need }) => {
                format!("has {} at {have}, {need} is required", self.trait_text(*what))
            }
            Verdict::Unfit(Unfit::Has { what }) => format!("has {}, which is forbidden", self.trait_text(*what)),
            Verdict::Unfit(Unfit::Wants { what }) => format!("takes only items with {}", self.trait_text(*what)),
            Verdict::Unfit(Unfit::Refuses { what }) => format!("takes no items with {}", self.trait_text(*what)),
            Verdict::Unfit(Unfit::Medium) => "has no slot for the medium".into(),
        }
    }

    /// Items that an agent, `TENANT/NAME`, is offered or has.
    fn held_by(&self, agent: &str) -> BTreeSet<WorkItemId> {
        let named = agent.split_once('/').and_then(|(tenant, name)| {
            let tenant = self.directory.tenant_by_name(tenant)?;
            self.directory.agent_by_name(tenant.id, name)
        });
        let Some(state) = named.and_then(|entry| self.queue.agent(entry.id)) else { return BTreeSet::new() };
        let offered = state.offer.and_then(|offer| self.queue.offered(offer));
        state.items.into_iter().map(|(item, _)| item).chain(offered).collect()
    }

    /// Calls that wait for an agent or that an agent has, by their items, of a tenant or of those that are held; not those that
    /// work items made.
    fn works_of_calls<'s>(
        &'s self,
        tenant: Option<&'s str>,
        held: Option<&'s BTreeSet<WorkItemId>>,
    ) -> impl Iterator<Item = (WorkItemId, &'s Call)> {
        let call = |id: CallId| self.calls.get(&id);
        let calls: Box<dyn Iterator<Item = &'s Call>> = match (held, tenant) {
            (Some(held), _) => Box::new(held.iter().filter_map(|id| self.call_of_work(*id)).filter_map(call)),
            (None, Some(tenant)) => Box::new(self.call_index.of_tenant(tenant).filter_map(call)),
            (None, None) => Box::new(self.calls.values()),
        };
        calls.filter_map(|call| {
            let waits = match &call.state {
                CallState::Waiting(wait) => Some(wait.item),
                _ => None,
            };
            let work = call.work.filter(|work| !self.works.has(*work));
            Some((waits.or(work)?, call))
        })
    }

    /// The call that an item is.
    pub(super) fn call_of_work(&self, id: WorkItemId) -> Option<CallId> {
        self.by_item.get(&id).copied().or_else(|| self.call_index.with(id))
    }

    fn queue_of_call(&self, call: &Call) -> &str {
        call.queue.and_then(|queue| self.directory.queue(queue)).map_or("", |queue| queue.name.as_str())
    }

    /// Where a call's item stands, and with which agent.
    fn state_of_call(&self, id: WorkItemId, call: &Call) -> (WorkState, Option<AgentId>) {
        match (self.queue.offer_of(id), call.work) {
            (Some((_, agent)), _) => (WorkState::Offered, Some(agent)),
            (None, Some(_)) => (WorkState::Handled, self.queue.handler(id)),
            (None, None) => (WorkState::Waiting, None),
        }
    }

    /// A call's item in the words of a record.
    fn work_of_call(&self, id: WorkItemId, call: &Call) -> Work {
        let mut events: Vec<WorkEvent> = (call.cdr.events.iter())
            .map(|e| WorkEvent { at: e.at, what: e.what.clone(), detail: e.detail.clone(), reason: None })
            .collect();
        if let Some((offer, _)) = self.queue.offer_of(id)
            && let Some(last) = events.iter_mut().rev().find(|event| event.what == "offered")
        {
            last.reason = self.match_of(offer).map(Box::new);
        }
        Work { events, ..self.outline_of_call(id, call) }
    }

    /// The same without what happened.
    fn outline_of_call(&self, id: WorkItemId, call: &Call) -> Work {
        let (state, agent) = self.state_of_call(id, call);
        let agent = agent.and_then(|agent| self.directory.agent_called(agent, call.tenant));
        let outline = (call.cdr.tenant.as_str(), self.queue_of_call(call));
        Work {
            client: Some(Redacted::new(call.cdr.from.as_str().to_owned())),
            state,
            agent,
            accepted_at: call.cdr.answered_at.filter(|_| state == WorkState::Handled),
            ..Work::new(id, outline, Medium::Voice, call.cdr.started_at, None)
        }
    }

    /// Asserts that each open item is just where its record says, and that the queue holds none that nobody knows.
    pub(crate) fn check_works(&self) {
        let mut in_queue = self.by_item.len();
        for (id, item) in &self.works.all {
            let (work, offered) = (&item.work, self.queue.offer_of(*id));
            assert_eq!(*id, work.id);
            assert_eq!(offered.map(|(offer, _)| offer), item.offer, "{id}: its offer");
            let waits = self.queue.queue_of(*id).is_some();
            in_queue += usize::from(waits);
            match work.state {
                WorkState::Waiting => assert!(waits != item.rests && item.offer.is_none(), "{id} waits"),
                WorkState::Offered => {
                    assert!(waits && item.offer.is_some(), "{id} is offered");
                    assert_eq!(item.offer.and_then(|offer| self.works.by_offer.get(&offer)), Some(id));
                }
                WorkState::Handled => assert!(!waits && work.agent.is_some(), "{id} is in hand"),
                WorkState::Scheduled => {
                    assert!(!self.queue.is_in_work(*id), "{id} is not yet due");
                    assert!(self.works.scheduled.contains(&(work.wakes_at(), *id)), "{id} comes due");
                }
                WorkState::Ended => unreachable!("{id} has ended and is open"),
            }
            let is_wish = work.callback.is_some();
            assert!(item.call.is_some() || !is_wish || work.state != WorkState::Handled, "{id}: no call is up for it");
            if let Some(call) = item.call {
                assert!(matches!(work.state, WorkState::Offered | WorkState::Handled), "{id}: {call} is up for it");
                assert_eq!(self.calls.get(&call).and_then(|call| call.wish), Some(*id), "{id} is what {call} is for");
            }
        }
        let scheduled = self.works.all.values().filter(|item| item.work.state == WorkState::Scheduled).count();
        assert_eq!(scheduled, self.works.scheduled.len(), "scheduled items");
        self.works.check_tenants();
        assert!(scheduled == 0 || self.works.look_at.is_some(), "the clock is looked at");
        let offered = self.works.all.values().filter(|item| item.offer.is_some()).count();
        assert_eq!(offered, self.works.by_offer.len(), "offers of items");
        assert_eq!(in_queue, self.queue.counters().waiting, "whatever waits is known");
        for id in self.works.unservable.keys() {
            assert!(self.queue.queue_of(*id).is_some(), "{id} is unservable and waits");
        }
    }
}
