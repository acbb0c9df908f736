//! Handing a call back to the appliance that it came from, so that it does not go through this one any longer: the flow sends it
//! on to another appliance, and the one before can do that itself (RFC 3515). Where it cannot, the call goes on through here.

use std::time::Duration;

use crate::base::{CallId, Cause, Instant, LegId, Now};
use crate::core::call::CallState;
use crate::core::switch::{Switch, Timer};
use crate::core::tenant::directory::Host;
use crate::core::trunk::nodes::NodeNumber;
use crate::proto::sip::referral;

/// How much longer than the target may ring the other appliance may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// A call that is being handed back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Handback {
    /// The party by which it came.
    leg: LegId,
    /// When it has taken too long.
    until: Instant,
    /// What the flow wanted.
    to: String,
    ring_s: u32,
}

impl Switch {
    /// Hands the call back, if it came from another appliance and `to` is a number of one. False: it did not, or something keeps the
    /// call here.
    pub(super) fn hand_back(&mut self, now: Now, call: CallId, to: &str, ring_s: u32) -> bool {
        let (Some(target), Some(c)) = (NodeNumber::parse(to), self.calls.get(&call)) else { return false };
        let leg = c.client;
        let Some(node) = self.node_of_leg(leg).map(str::to_owned) else { return false };
        let Some((session, host)) =
            self.legs.get(&leg).filter(|l| l.answered).and_then(|l| l.sip()).map(|sip| (sip.session, sip.host))
        else {
            return false;
        };
        if c.recording {
            return false;
        }
        let user = if target.node == node { target.number } else { to };
        let uri = referral(user, &Host::Address(host).to_string(), &c.origin.attributes);
        let until = now.mono + Duration::from_secs(ring_s.into()) + ANSWER_WITHIN;
        if let Some(c) = self.calls.get_mut(&call) {
            c.handback = Some(Handback { leg, until, to: to.to_owned(), ring_s });
            c.note(now, "handing-back", node);
        }
        self.arm(until, Timer::HandbackEnd(call));
        self.sip.refer(now, session, &uri);
        true
    }

    /// How the other appliance gets on with it.
    pub(crate) fn handback_progress(&mut self, now: Now, leg: LegId, status: u16) {
        let Some(call) = self.legs.get(&leg).map(|l| l.call) else { return };
        if self.calls.get(&call).and_then(|c| c.handback.as_ref()).is_none_or(|handback| handback.leg != leg) {
            return;
        }
        match status {
            0..=199 => {}
            200..=299 => self.handed_back(now, call),
            _ => self.handback_failed(now, call, &status.to_string()),
        }
    }

    /// Timer: it has taken too long.
    pub(crate) fn handback_ended(&mut self, now: Now, call: CallId) {
        let over = |handback: &Handback| handback.until <= now.mono;
        if self.calls.get(&call).and_then(|c| c.handback.as_ref()).is_some_and(over) {
            self.handback_failed(now, call, Cause::TimerExpired.as_str());
        }
    }

    /// The call is that one's from here on.
    fn handed_back(&mut self, now: Now, call: CallId) {
        self.counters.handed_back += 1;
        if let Some(c) = self.calls.get_mut(&call) {
            c.handback = None;
            c.note(now, "handed-back", "");
        }
        self.end_call(now, call, Cause::Normal);
    }

    /// It did not take it: the call goes on from here.
    fn handback_failed(&mut self, now: Now, call: CallId, why: &str) {
        let Some(c) = self.calls.get_mut(&call) else { return };
        let Some(Handback { to, ring_s, .. }) = c.handback.take() else { return };
        c.note(now, "not-handed-back", why);
        if c.state == CallState::Flow {
            self.transfer_on(now, call, &to, ring_s, false);
            self.drain_flow(now, call);
        }
    }
}
