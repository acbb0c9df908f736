//! What must hold at any time, and in the end.

use cordboard::core::control::{Query, Reply};
use cordboard::core::switch::Input;

use super::{Desk, Sound};

impl Desk {
    /// What must hold at any time: nothing but an announcement plays into a conversation, and who waits or is held hears something.
    pub fn check_sounds(&mut self) {
        for (id, port) in &self.ports {
            let said = matches!(port.sound, Sound::Nothing | Sound::Play(_));
            assert!(port.bridge.is_none() || said, "{id} hears {port:?} in a conversation");
        }
        self.switch.handle(self.now, Input::Query { token: 2, query: Query::Calls });
        self.settle();
        let Some(Reply::Calls { calls }) = self.replies.pop() else { panic!("the calls") };
        let in_state = |name: &str| calls.iter().filter(|c| c.state.starts_with(name)).count();
        let bridged = self.ports.values().filter(|p| p.bridge.is_some()).count() / 2;
        let music = self.ports.values().filter(|p| matches!(p.sound, Sound::Music(_))).count();
        let (talking, waiting) = (in_state("talking"), in_state("waiting"));
        assert!(bridged + music >= talking + waiting, "{bridged} bridges, {music} on music: {calls:?}");
    }

    /// What must hold when everybody has hung up and the timers have run out.
    pub fn check_over(&self) {
        self.switch.check_invariants();
        let status = self.switch.status();
        assert_eq!(status.calls, 0, "calls are left over");
        assert_eq!(status.double_offers, 0);
        assert!(status.answered + status.abandoned <= status.offered, "{status:?}");
        assert_eq!(status.agents_busy, 0, "an agent is busy for ever: {:?}", self.agents);
        assert_eq!(self.started, self.cdrs.len(), "every call has one record");
        assert!(self.ports.is_empty(), "ports left open: {:?}", self.ports);
        for cdr in &self.cdrs {
            assert!(cdr.ended_at.is_some() && cdr.cause.is_some(), "an open record: {cdr:?}");
            assert!(cdr.legs.iter().all(|l| l.ended_at.is_some() && l.cause.is_some()), "an open leg: {cdr:?}");
        }
        let in_use = |name: &str| status.bounds.iter().find(|b| b.name == name).map(|b| b.used);
        assert_eq!(in_use("rtp-sockets"), Some(0), "sockets are lost");
    }
}
