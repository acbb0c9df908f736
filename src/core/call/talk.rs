//! The conversation: two legs joined, held and recorded.

use crate::base::{CallId, LegId, Now, PortId};
use crate::core::call::CallState;
use crate::core::ivr::say;
use crate::core::journal::Direction;
use crate::core::media::MediaCommand;
use crate::core::switch::{PortOwner, Switch};

impl Switch {
    /// The client talks to this leg from now on.
    pub(super) fn connect(&mut self, now: Now, call: CallId, leg: LegId) {
        self.answer_client(now, call);
        let agent = self.agent_of(call, leg);
        let Some(c) = self.calls.get_mut(&call) else { return };
        if c.state == CallState::Ending {
            return;
        }
        c.state = CallState::Talking(leg);
        c.flow_play = None;
        c.note(now, "bridged", "");
        if agent.is_some() {
            c.cdr.agent = agent;
        }
        if c.cdr.answered_at.is_none() {
            c.cdr.answered_at = Some(c.time(now));
            // `offered` counts those who called us; so does this.
            self.counters.answered += u64::from(c.cdr.direction == Direction::Inbound);
        }
        self.meet(call, leg);
        self.heed_phone(leg);
        self.start_recording(now, call);
        self.tell_not_recorded(call);
        self.journal_progress(call);
    }

    /// Whom we called has answered, and is who was meant.
    pub(super) fn target_answered(&mut self, now: Now, call: CallId, leg: LegId) {
        if !self.wish_answered(now, call, leg) {
            self.connect(now, call, leg);
        }
    }

    /// The agent at whose phone the leg ends, or, where an agent dialled, that one.
    fn agent_of(&self, call: CallId, leg: LegId) -> Option<String> {
        let (client, tenant) = self.calls.get(&call).map(|c| (c.client, c.tenant))?;
        let phone = |leg| self.legs.get(leg).and_then(|l| l.phone);
        let agent = phone(&leg).or_else(|| phone(&client))?;
        self.directory.agent_called(agent, tenant)
    }

    /// Joins the client's port with the leg's.
    pub(super) fn join(&mut self, call: CallId, leg: LegId) {
        let (Some(a), Some(b)) = (self.client_port(call), self.legs.get(&leg).and_then(|l| l.port)) else { return };
        self.media(MediaCommand::Bridge { a, b });
    }

    /// Joins the client with the leg, unless one holds the other, who then hears music.
    pub(super) fn meet(&mut self, call: CallId, leg: LegId) {
        let Some(client) = self.calls.get(&call).map(|c| c.client) else { return };
        let holds = |leg: LegId| self.legs.get(&leg).is_some_and(|l| l.held);
        let (client_holds, leg_holds) = (holds(client), holds(leg));
        if leg_holds {
            self.hold_music(client);
        }
        if client_holds {
            self.hold_music(leg);
        }
        if !client_holds && !leg_holds {
            self.join(call, leg);
        }
    }

    /// Music, the queue's where the call came through one.
    fn hold_music(&mut self, leg: LegId) {
        let Some((port, call)) = self.legs.get(&leg).and_then(|l| Some((l.port?, l.call))) else { return };
        let queue = self.calls.get(&call).and_then(|c| c.queue).and_then(|q| self.directory.queue(q));
        let source = queue.and_then(|q| q.music.as_deref()).map(Into::into);
        let play = self.fresh_play();
        self.media(MediaCommand::Unbridge { port });
        self.media(MediaCommand::Music { port, play, source });
    }

    /// A leg's stream was agreed anew: it may have gone on hold or come back.
    pub(crate) fn hold_changed(&mut self, now: Now, leg: LegId) {
        let Some(l) = self.legs.get_mut(&leg) else { return };
        let held = l.holds();
        if held == l.held {
            return;
        }
        l.held = held;
        let Some(c) = self.calls.get_mut(&l.call) else { return };
        c.note(now, if held { "hold" } else { "resume" }, "");
        if let CallState::Talking(party) = c.state {
            let call = c.id;
            self.meet(call, party);
            self.tell_not_recorded(call);
        }
    }

    /// Starts recording where the queue of the agent who talks says so. What is recorded already goes on: a call that
    /// an agent hands over to a number stays one recording. Without room on the disk the parties are told that there is
    /// none.
    fn start_recording(&mut self, now: Now, call: CallId) {
        let Some(port) = self.client_port(call) else { return };
        let Some(c) = self.calls.get_mut(&call) else { return };
        let wanted = c.work.and(c.queue).and_then(|q| self.directory.queue(q)).is_some_and(|q| q.record);
        if !wanted || c.recording {
            return;
        }
        if self.disk_is_full {
            return self.say_not_recorded(now, call);
        }
        c.recording = true;
        c.recordings += 1;
        c.untold = false;
        let tenant = if c.cdr.tenant.is_empty() { "none" } else { &c.cdr.tenant };
        let name = match c.recordings {
            1 => format!("{tenant}/{call}"),
            n => format!("{tenant}/{call}-{n}"),
        };
        self.media(MediaCommand::Record { port, name: name.into() });
    }

    /// A recording that had begun cannot go on. What is written of it stays.
    pub(super) fn recording_failed(&mut self, now: Now, port: PortId) {
        self.set_recordings_fail(now, true);
        let Some(PortOwner::Leg(leg)) = self.ports.get(&port) else { return };
        let Some(call) = self.legs.get(leg).map(|l| l.call) else { return };
        if self.client_port(call) == Some(port)
            && self.calls.get_mut(&call).is_some_and(|c| std::mem::take(&mut c.recording))
        {
            // Should the news be of an earlier recording, this one ends as well: what is said must be true.
            self.media(MediaCommand::StopRecord { port });
            self.say_not_recorded(now, call);
        }
    }

    /// Nobody records this conversation, whatever its parties were told before.
    fn say_not_recorded(&mut self, now: Now, call: CallId) {
        let Some(c) = self.calls.get_mut(&call) else { return };
        c.note(now, "not-recorded", "");
        c.untold = true;
        self.counters.recordings_refused += 1;
        self.tell_not_recorded(call);
    }

    /// Tells both who talk, where they have not been told. While one is on hold, and has music, it waits.
    pub(super) fn tell_not_recorded(&mut self, call: CallId) {
        let Some(c) = self.calls.get(&call).filter(|c| c.untold) else { return };
        let CallState::Talking(party) = c.state else { return };
        let language = c.tenant.and_then(|t| self.directory.tenant(t)).map_or("en", |t| t.language.as_str());
        let items = say::not_recorded(language);
        let legs = [c.client, party].map(|leg| self.legs.get(&leg).and_then(|l| Some((l.port?, l.held))));
        let [Some((one, false)), Some((other, false))] = legs else { return };
        for port in [one, other] {
            let play = self.fresh_play();
            self.media(MediaCommand::Play { port, play, items: items.clone() });
        }
        if let Some(c) = self.calls.get_mut(&call) {
            c.untold = false;
        }
    }

    /// Whether new recordings are refused for want of room.
    pub fn disk_is_full(&self) -> bool {
        self.disk_is_full
    }

    /// The disk is too full for new recordings, or has room again.
    pub(crate) fn disk_full(&mut self, now: Now, full: bool) {
        self.disk_is_full = full;
        self.alarms.set(now, "disk-full", String::new(), full);
    }

    /// Whether a recording failed, and none is known to have gone well since.
    pub fn recordings_fail(&self) -> bool {
        self.recordings_fail
    }

    /// The recorder knows when that is over: a recording is written for some time after its end.
    pub(crate) fn set_recordings_fail(&mut self, now: Now, fail: bool) {
        self.recordings_fail = fail;
        self.alarms.set(now, "recording-failed", String::new(), fail);
    }

    /// The conversation is over, but not the call. What its parties were not told is of no concern to those to come.
    pub(super) fn stop_recording(&mut self, call: CallId) {
        if let Some(c) = self.calls.get_mut(&call) {
            c.untold = false;
        }
        let Some(port) = self.client_port(call) else { return };
        if self.calls.get_mut(&call).is_some_and(|c| std::mem::take(&mut c.recording)) {
            self.media(MediaCommand::StopRecord { port });
        }
    }
}
