//! Ringing an agent for an offer, one way after the other: where a way fails, the next one is tried while the offer lives; where
//! the person does not answer, or says no, the offer is over.

use std::time::Duration;

use crate::base::{AgentId, CallId, Cause, LegId, Now, OfferId, WorkItemId};
use crate::core::call::{CallState, LEGS_PER_CALL_MAX, Role, RouteStep};
use crate::core::queue::OfferEnd;
use crate::core::switch::{Switch, Timer};
use crate::core::trunk::pulse::ANSWER_MAX;

/// Pause before an offer that found no socket or session is tried again. The media plane binds more within a few
/// milliseconds; a call that ends gives its own back.
const REDIAL_AFTER: Duration = Duration::from_millis(100);
/// Tries after the first.
const REDIALS_MAX: u8 = 20;

/// An offer that waits for resources of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redial {
    pub(super) offer: OfferId,
    pub(super) item: WorkItemId,
    pub(super) agent: AgentId,
    tries: u8,
}

impl Redial {
    pub(super) fn first(offer: OfferId, item: WorkItemId, agent: AgentId) -> Self {
        Self { offer, item, agent, tries: 0 }
    }
}

impl Switch {
    /// Rings the agent for a call. Want of our own resources says nothing about the agent, who would be marked by a
    /// refusal: it is tried again, and in the end the caller leaves the queue.
    pub(super) fn ring_agent(&mut self, now: Now, redial: Redial) {
        let Redial { offer, item, agent, .. } = redial;
        let Some(&call) = self.by_item.get(&item) else { return };
        if self.calls.get(&call).is_some_and(|c| c.cdr.legs.len() >= LEGS_PER_CALL_MAX) {
            self.counters.legs_refused += 1;
            return self.give_up_waiting(now, item);
        }
        match self.ring_by_ways(now, call, agent, offer) {
            Ok(_) => {}
            // Circuits that were idle a moment ago: a call has come in there.
            Err(Cause::ResourceUnavailable | Cause::NoCircuit) if self.rings_again(now, redial) => {}
            Err(Cause::ResourceUnavailable) => self.give_up_waiting(now, item),
            Err(_) => self.offer_refused(now, offer, OfferEnd::Unreachable),
        }
    }

    /// Rings the agent by the first way that can be tried; the others are kept for when it fails.
    ///
    /// # Errors
    /// What failed last; [`Cause::ResourceUnavailable`] where something of ours was missing.
    pub(super) fn ring_by_ways(
        &mut self,
        now: Now,
        call: CallId,
        agent: AgentId,
        offer: OfferId,
    ) -> Result<LegId, Cause> {
        let route = self.ways_to(now, agent, 0);
        if let Some(c) = self.calls.get_mut(&call) {
            c.route = route;
        }
        self.ring_next_way(now, call, agent, offer)
    }

    fn ring_next_way(&mut self, now: Now, call: CallId, agent: AgentId, offer: OfferId) -> Result<LegId, Cause> {
        let mut failure = Cause::NoRoute;
        loop {
            let Some(c) = self.calls.get_mut(&call) else { return Err(failure) };
            if c.cdr.legs.len() >= LEGS_PER_CALL_MAX {
                c.route.clear();
                self.counters.legs_refused += 1;
                return Err(Cause::ResourceUnavailable);
            }
            let Some(step) = c.route.pop_front() else { return Err(failure) };
            match self.ring_by(now, call, &step, Role::Agent { agent, offer }) {
                Ok(leg) => {
                    self.by_offer.insert(offer, leg);
                    return Ok(leg);
                }
                // It outweighs what is wrong with other ways: the agent is not to be blamed.
                Err(_) if failure == Cause::ResourceUnavailable => {}
                Err(cause) => failure = cause,
            }
        }
    }

    fn ring_by(&mut self, now: Now, call: CallId, step: &RouteStep, role: Role) -> Result<LegId, Cause> {
        if step.trunk.is_some_and(|trunk| !self.may_go_out(now, call, trunk)) {
            return Err(Cause::NoCircuit);
        }
        // A way whose servers are not known is not waited for: the agent is rung now, or another is.
        let known = self.spread(now, call, step).and_then(Result::ok).and_then(|ways| ways.into_iter().next());
        let leg = self.dial(now, call, &known.ok_or(Cause::NoRoute)?, role)?;
        if let (None, Some(agent)) = (step.trunk, step.agent) {
            self.phone_rings(now, agent);
        }
        let entry = step.peer.and(step.trunk).and_then(|trunk| self.directory.trunk(trunk));
        // Without such a question a phone's silence says no more than that nobody answers.
        let asked = step.trunk.is_none() && step.agent.is_some_and(|agent| self.pulses.has(agent));
        let silence = entry.map(|entry| Duration::from_secs(entry.failover_s.into()));
        if let Some(silence) = silence.or(asked.then_some(ANSWER_MAX)) {
            self.arm(now.mono + silence, Timer::PeerSilent(leg));
        }
        Ok(leg)
    }

    /// A way to the agent has failed: the next one. False: there is none, or it was the person who said no.
    pub(super) fn rings_on(
        &mut self,
        now: Now,
        call: CallId,
        (agent, offer): (AgentId, OfferId),
        cause: Cause,
    ) -> bool {
        let Some(c) = self.calls.get_mut(&call) else { return false };
        if is_of_person(cause) || self.queue.offered(offer).is_none() {
            c.route.clear();
            return false;
        }
        if c.route.is_empty() {
            return false;
        }
        c.note(now, "way-failed", cause.as_str());
        let Ok(leg) = self.ring_next_way(now, call, agent, offer) else { return false };
        if let Some(c) = self.calls.get_mut(&call).filter(|c| c.state == CallState::Alerting) {
            c.client = leg;
        }
        true
    }

    /// An agent's leg whose way is dead: what it says or not does not keep the agent from being rung another way, or again.
    pub(super) fn unoccupy(&mut self, leg: LegId) {
        if let Some(l) = self.legs.get_mut(&leg).filter(|l| matches!(l.role, Role::Agent { .. })) {
            l.phone = None;
        }
    }

    /// An offer that found no resources is tried again in a moment. False: it was so often enough.
    pub(super) fn rings_again(&mut self, now: Now, redial: Redial) -> bool {
        if redial.tries >= REDIALS_MAX {
            return false;
        }
        self.redials.insert(redial.offer, Redial { tries: redial.tries + 1, ..redial });
        self.arm(now.mono + REDIAL_AFTER, Timer::Redial(redial.offer));
        true
    }

    /// Timer: an offer that found no resources is tried again, if it still lives.
    pub(crate) fn redial(&mut self, now: Now, offer: OfferId) {
        let Some(redial) = self.redials.remove(&offer) else { return };
        if self.works.has(redial.item) { self.ring_for_wish(now, redial) } else { self.ring_agent(now, redial) }
    }
}

/// Whether it was the person who did not take the call, and no way to it that failed: another would ring the same person.
fn is_of_person(cause: Cause) -> bool {
    matches!(cause, Cause::Busy | Cause::NoAnswer | Cause::Rejected | Cause::Normal)
}
