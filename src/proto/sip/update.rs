//! UPDATE (RFC 3311): a session changed or refreshed without INVITE, before its answer, too.

use sip_codec::Request;

use super::message::{ALLOW, Head, Reply, SUPPORTED, sdp};
use super::reinvite::Kind;
use super::session::{Io, Phase, Session};
use super::transaction::ServerId;

impl Session {
    /// The peer's UPDATE.
    pub fn update_request(&mut self, io: &mut Io<'_>, server: ServerId, reply: Reply, head: &Head, request: &Request) {
        let Ok(sdp) = sdp(&request.headers, request.body()) else {
            return self.answer(io, server, &reply, 415, "Accept: application/sdp\r\n");
        };
        if let Some(status) = self.update_refusal(head, sdp.is_some()) {
            io.wire.count("update-refused");
            let extra = match status {
                500 => format!("Retry-After: {}\r\n", io.wire.random() % 11),
                _ => String::new(),
            };
            return self.answer(io, server, &reply, status, &extra);
        }
        if let Err(extra) = self.timer.take_request(&request.headers, &io.wire.session_limits) {
            return self.answer(io, server, &reply, 422, &extra);
        }
        self.dialog_of(head.caller_tag()).refresh_target(&request.headers);
        if sdp.is_some() {
            return self.offered(io, server, reply, head, sdp, Kind::Update);
        }
        let extra = self.update_lines(io);
        self.answer(io, server, &reply, 200, &extra);
    }

    /// RFC 3311 section 5.2.
    fn update_refusal(&self, head: &Head, offered: bool) -> Option<u16> {
        match &self.phase {
            _ if self.silent => Some(481),
            Phase::Closing | Phase::Gone => Some(481),
            // An UPDATE, PRACK or re-INVITE of the peer's waits for its answer.
            _ if self.offers.has_theirs() => Some(500),
            _ if !offered => None,
            // An offer of ours waits for its answer.
            _ if self.offers.has_ours() || self.reliable.answer_due => Some(491),
            Phase::Up => self.unacked.as_ref().is_some_and(|u| u.is_offer()).then_some(491),
            // The INVITE's offer waits for our answer.
            Phase::Ringing(_) => (!self.reliable.described).then_some(500),
            Phase::Calling(calling) => {
                let early = calling.early.iter().find(|e| e.dialog.remote_tag == head.caller_tag());
                (!early.is_some_and(|e| e.settled)).then_some(491)
            }
        }
    }

    /// Header lines of a 2xx to UPDATE.
    pub fn update_lines(&mut self, io: &mut Io<'_>) -> String {
        let timer = self.timer.answer_lines(io.mono(), &io.wire.session_limits);
        format!("Contact: {}\r\n{ALLOW}{SUPPORTED}{timer}", self.dialog.contact)
    }
}
