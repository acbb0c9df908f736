//! What the media plane hears on a leg beside digits, and what follows: tones of the network on a circuit, a fax machine
//! that calls, a machine that answers.

use std::time::Duration;

use crate::base::{Answerer, CallId, Cause, HeardTone, LegId, Now, PortId, SpecialTone};
use crate::core::call::{CallState, Role, Signal};
use crate::core::ivr::{Input as FlowInput, TransferResult};
use crate::core::media::MediaCommand;
use crate::core::switch::{PortOwner, Switch, Timer};

/// By when the media plane has said who answered; its own bound is 6 s.
const EXAMINE_MAX: Duration = Duration::from_secs(8);

impl Switch {
    /// Listens for the tones of the tenant's country on a port of this call, or no longer.
    pub(crate) fn detect_tones(&mut self, call: CallId, port: PortId, on: bool) {
        let country = on.then(|| self.country_of(call));
        self.media(MediaCommand::DetectTones { port, country });
    }

    pub(super) fn tone_heard(&mut self, now: Now, port: PortId, tone: HeardTone) {
        let Some(&PortOwner::Leg(leg)) = self.ports.get(&port) else { return };
        let Some(l) = self.legs.get(&leg) else { return };
        let (call, role, circuit, answered) = (l.call, l.role, matches!(l.signal, Signal::Tdm(_)), l.answered);
        match role {
            Role::Client if tone == HeardTone::FaxCalling => self.run_flow(now, call, FlowInput::Fax),
            // E&M has no word for a call that fails: the tone is all there is.
            Role::Target if circuit && !answered => {
                let Some(cause) = cause_of(tone) else { return };
                if let Some(c) = self.calls.get_mut(&call) {
                    c.note(now, "tone", tone.as_str());
                }
                self.fail_leg(now, leg, cause);
            }
            _ => {}
        }
    }

    /// Whether the call's flow wants to know who answers.
    pub(super) fn examines(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|c| c.examines)
    }

    /// The target has answered: who is it? Until that is known the client hears ringing, whatever it heard before.
    pub(super) fn examine(&mut self, now: Now, leg: LegId) {
        let Some(l) = self.legs.get_mut(&leg) else { return };
        let early = std::mem::take(&mut l.early_media);
        let rang = std::mem::replace(&mut l.rings, true);
        let (call, port) = (l.call, l.port);
        if let Some(port) = port {
            if early {
                self.media(MediaCommand::Unbridge { port });
            }
            self.media(MediaCommand::DetectAnswer { port });
        }
        if early || !rang {
            self.client_rings(now, call);
        }
        self.arm(now.mono + EXAMINE_MAX, Timer::ExamineEnd(leg));
    }

    /// Timer: the plane should have said by now who answered.
    pub(crate) fn examine_ended(&mut self, now: Now, leg: LegId) {
        let Some(l) = self.legs.get(&leg).filter(|l| l.answered) else { return };
        let call = l.call;
        if self.calls.get(&call).is_some_and(|c| c.examines && c.state == CallState::Connecting(leg)) {
            self.target_answered(now, call, leg);
        }
    }

    pub(super) fn answerer_known(&mut self, now: Now, port: PortId, by: Answerer) {
        let Some(&PortOwner::Leg(leg)) = self.ports.get(&port) else { return };
        let Some(call) = self.legs.get(&leg).map(|l| l.call) else { return };
        let Some(c) = self.calls.get_mut(&call).filter(|c| c.state == CallState::Connecting(leg)) else { return };
        c.note(now, "answered-by", by.as_str());
        match by {
            Answerer::Human | Answerer::Unknown => self.target_answered(now, call, leg),
            Answerer::Machine => {
                self.release_leg(now, leg, Cause::Normal);
                self.back_to_flow(now, call, TransferResult::Machine);
                self.drain_flow(now, call);
            }
        }
    }
}

/// Why a call fails that brings this tone; `None` where it goes on.
const fn cause_of(tone: HeardTone) -> Option<Cause> {
    match tone {
        HeardTone::Busy => Some(Cause::Busy),
        HeardTone::Congestion => Some(Cause::Congestion),
        HeardTone::Special(SpecialTone::NoCircuit) => Some(Cause::NoCircuit),
        HeardTone::Special(SpecialTone::Reorder) => Some(Cause::Congestion),
        HeardTone::Special(SpecialTone::VacantCode | SpecialTone::Intercept) => Some(Cause::UnallocatedNumber),
        HeardTone::Special(SpecialTone::Other) => Some(Cause::OutOfOrder),
        HeardTone::Dial
        | HeardTone::Ringback
        | HeardTone::FaxCalling
        | HeardTone::FaxAnswer
        | HeardTone::ModemAnswer => None,
    }
}
