//! What the media plane hears on a leg beside digits, and what follows: tones of the network on a circuit, a fax machine
//! that calls, a machine that answers.

use crate::base::{Answerer, CallId, Cause, HeardTone, LegId, Now, PortId, SpecialTone};
use crate::core::call::{CallState, Role, Signal};
use crate::core::ivr::Input as FlowInput;
use crate::core::media::MediaCommand;
use crate::core::switch::{PortOwner, Switch};

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

    /// The target has answered: who is it? If the plane should not say, the end of its ringing time decides
    /// ([`Switch::ring_ended`]).
    pub(super) fn examine(&mut self, leg: LegId) {
        if let Some(port) = self.legs.get(&leg).and_then(|l| l.port) {
            self.media(MediaCommand::DetectAnswer { port });
        }
    }

    pub(super) fn answerer_known(&mut self, now: Now, port: PortId, by: Answerer) {
        let Some(&PortOwner::Leg(leg)) = self.ports.get(&port) else { return };
        let Some(call) = self.legs.get(&leg).map(|l| l.call) else { return };
        let Some(c) = self.calls.get_mut(&call).filter(|c| c.state == CallState::Connecting(leg)) else { return };
        c.note(now, "answered-by", by.as_str());
        match by {
            Answerer::Human | Answerer::Unknown => self.connect(now, call, leg),
            Answerer::Machine => {
                c.route.clear();
                c.state = CallState::Flow;
                self.release_leg(now, leg, Cause::Normal);
                if let Some(port) = self.client_port(call) {
                    self.media(MediaCommand::StopPlay { port });
                }
                self.run_flow(now, call, FlowInput::TransferEnded(crate::core::ivr::TransferResult::Machine));
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
