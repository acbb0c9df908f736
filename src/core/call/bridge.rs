//! Media of legs: ports and descriptions, answering the client, ringing, and what the media plane tells.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;

use crate::base::{CallId, Cause, Codec, LegId, Now, PlayId, PortId};
use crate::core::call::{CallState, Role, Signal};
use crate::core::ivr::Input as FlowInput;
use crate::core::media::{MediaCommand, MediaEvent, StreamParams, ToneKind};
use crate::core::switch::{PortOwner, Switch};
use crate::proto::sdp;

impl Switch {
    pub(crate) fn client_port(&self, call: CallId) -> Option<PortId> {
        self.legs.get(&self.calls.get(&call)?.client)?.port
    }

    pub(crate) fn own_port(&mut self, leg: LegId, port: Option<PortId>) {
        let Some(port) = port else { return };
        if let Some(l) = self.legs.get_mut(&leg) {
            l.port = Some(port);
            self.ports.insert(port, PortOwner::Leg(leg));
        }
    }

    /// The codecs that are provisioned, preferred first.
    pub(crate) fn codecs(&self) -> Vec<Codec> {
        self.provision.media.codecs.iter().filter_map(|name| Codec::from_name(name)).collect()
    }

    /// Our media address of a family.
    pub(crate) fn media_address(&self, is_ipv4: bool) -> Option<IpAddr> {
        self.config.media_addresses.iter().copied().find(|address| address.is_ipv4() == is_ipv4)
    }

    /// Our description for a socket, with our address of a family where we have one.
    pub(crate) fn local_description(
        &mut self,
        (socket, is_ipv4): (u16, bool),
        codecs: Vec<Codec>,
        security: sdp::Security,
    ) -> sdp::Local {
        let usual = self.config.media_addresses.first().copied();
        sdp::Local {
            address: self.media_address(is_ipv4).or(usual).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            port: socket,
            session_id: self.fresh(),
            version: 1,
            codecs,
            comfort_noise: self.provision.media.comfort_noise,
            direction: sdp::Direction::SendRecv,
            security,
        }
    }

    /// Gives a calling leg a port, so that it hears us, before or after the answer.
    ///
    /// # Errors
    /// [`Cause::IncompatibleMedia`] when we have nothing in common, [`Cause::ResourceUnavailable`] without a socket.
    pub(super) fn open_media(&mut self, leg: LegId) -> Result<Bytes, Cause> {
        let Some(sip) = self.legs.get(&leg).and_then(|l| l.sip()) else { return Err(Cause::TemporaryFailure) };
        if let Some(answer) = &sip.answer {
            return Ok(answer.clone());
        }
        let (offer, security) = (sip.remote.clone(), sip.security.clone());
        // RFC 4566 section 5.7: a description names its family; without one it is that of the signalling.
        let offered = offer.as_ref().and_then(|offer| offer.audio.as_ref()).map(|audio| audio.rtp.is_ipv4());
        let is_ipv4 = offered.unwrap_or(sip.host.is_ipv4());
        let socket = self.socket_take().ok_or(Cause::ResourceUnavailable)?;
        let local = self.local_description((socket, is_ipv4), self.codecs(), security);
        let (answer, agreed) = match offer.map(|offer| sdp::answer(&offer, &local)) {
            Some(Ok((answer, agreed))) => (answer, Some(agreed)),
            Some(Err(_)) => {
                self.socket_back(socket);
                return Err(Cause::IncompatibleMedia);
            }
            // RFC 3261 13.2.1: an INVITE without an offer wants ours in the 2xx; its answer comes in the ACK.
            None => (sdp::offer(&local), None),
        };
        let port = PortId(self.fresh());
        self.media(MediaCommand::OpenRtp { port, socket });
        self.own_port(leg, Some(port));
        if let Some(sip) = self.legs.get_mut(&leg).and_then(|l| l.sip_mut()) {
            sip.local = Some(local);
            sip.answer_due = agreed.is_none();
            sip.agreed = agreed;
            sip.answer = Some(answer.clone());
        }
        self.set_stream(leg);
        Ok(answer)
    }

    /// Makes sure that an unanswered client hears what is played: early media (RFC 3960) over SIP; a circuit's
    /// audio is through anyway. Who made no offer gets ours where the response is reliable (RFC 3262 section 5), and is
    /// answered where it cannot be.
    pub(super) fn open_client_audio(&mut self, now: Now, call: CallId) {
        let Some(client) = self.calls.get(&call).map(|c| c.client) else { return };
        let Some(leg) = self.legs.get(&client) else { return };
        let Some(sip) = leg.sip() else { return };
        if leg.answered || sip.progress >= 183 {
            return;
        }
        let session = sip.session;
        if sip.remote.is_none() && !sip.reliable {
            return self.answer_client(now, call);
        }
        let answer = match self.open_media(client) {
            Ok(answer) => answer,
            Err(cause) => return self.end_call(now, call, cause),
        };
        if let Some(sip) = self.legs.get_mut(&client).and_then(|l| l.sip_mut()) {
            sip.progress = 183;
        }
        self.sip.provisional(now, session, 183, Some(answer));
    }

    /// Answers the client, once.
    pub(crate) fn answer_client(&mut self, now: Now, call: CallId) {
        let Some(c) = self.calls.get_mut(&call) else { return };
        let client = c.client;
        let Some(leg) = self.legs.get_mut(&client) else { return };
        if leg.answered {
            return;
        }
        match &leg.signal {
            Signal::Tdm(circuit) => {
                let circuit = *circuit;
                self.answer_circuit(now, circuit);
            }
            Signal::Sip(sip) => {
                let session = sip.session;
                let answer = match self.open_media(client) {
                    Ok(answer) => answer,
                    Err(cause) => return self.end_call(now, call, cause),
                };
                self.sip.accept(now, session, answer);
            }
        }
        self.mark_answered(now, client);
    }

    pub(super) fn mark_answered(&mut self, now: Now, leg: LegId) {
        let Some(l) = self.legs.get_mut(&leg) else { return };
        l.answered = true;
        l.held = l.holds();
        let Some(call) = self.calls.get_mut(&l.call) else { return };
        let at = call.time(now);
        if let Some(record) = call.leg_record(l.index) {
            record.answered_at = Some(at);
        }
        if let Some(port) = l.port {
            self.set_transport(leg, port);
        }
    }

    /// Tells the plane what the leg's SIP peer agreed to.
    pub(crate) fn set_stream(&mut self, leg: LegId) {
        let Some(l) = self.legs.get(&leg) else { return };
        let Some(port) = l.port else { return };
        self.set_transport(leg, port);
        let Some(sip) = self.legs.get(&leg).and_then(|l| l.sip()) else { return };
        let Some(agreed) = &sip.agreed else { return };
        let stream = StreamParams {
            codec: agreed.codec,
            payload_type: agreed.payload_type,
            others: agreed.others,
            telephone_event: agreed.telephone_event,
            comfort_noise: agreed.comfort_noise,
            silence_suppression: self.provision.media.silence_suppression,
            ptime_ms: agreed.ptime_ms,
            remote: agreed.remote,
            signalling: sip.host,
            remote_rtcp: agreed.remote_rtcp,
            send: agreed.send,
            receive: agreed.receive,
        };
        self.media(MediaCommand::SetStream { port, stream });
    }

    /// Answers a new offer on a leg that has a description already.
    pub(crate) fn answer_offer(&mut self, leg: LegId, remote: &sdp::Remote) -> Result<Bytes, sdp::SdpError> {
        self.renew_security(leg, remote);
        let Some(sip) = self.legs.get_mut(&leg).and_then(|l| l.sip_mut()) else { return Err(sdp::SdpError::NoAudio) };
        let Some(local) = sip.local.as_mut() else { return Err(sdp::SdpError::NoAudio) };
        local.version += 1;
        let (answer, agreed) = sdp::answer(remote, local)?;
        sip.agreed = Some(agreed);
        sip.remote = Some(remote.clone());
        self.set_stream(leg);
        Ok(answer)
    }

    /// A target or agent rings, perhaps with early media.
    pub(crate) fn leg_rings(&mut self, now: Now, leg: LegId, status: u16, media: bool) {
        let Some(l) = self.legs.get_mut(&leg) else { return };
        let call = l.call;
        // What is passed on already needs no repeating (RFC 3261 13.3.1.1), and early media outdoes ringing.
        if l.role != Role::Target || l.early_media || l.answered {
            return;
        }
        if media {
            l.early_media = true;
            self.open_client_audio(now, call);
            return self.join(call, leg);
        }
        if status == 180 && !std::mem::replace(&mut l.rings, true) {
            self.client_rings(now, call);
        }
    }

    /// Lets the client hear ringing.
    pub(super) fn client_rings(&mut self, now: Now, call: CallId) {
        let Some(client) = self.calls.get(&call).map(|c| c.client) else { return };
        let Some(c) = self.legs.get_mut(&client) else { return };
        match (c.answered, &mut c.signal) {
            (false, Signal::Sip(sip)) if sip.progress < 180 => {
                sip.progress = 180;
                let session = sip.session;
                // RFC 3262 section 5: who made no offer gets ours in the first response that may go out reliably.
                let late = sip.remote.is_none() && sip.reliable;
                let offer = match late.then(|| self.open_media(client)).transpose() {
                    Ok(offer) => offer,
                    Err(cause) => return self.end_call(now, call, cause),
                };
                self.sip.provisional(now, session, 180, offer);
            }
            (false, Signal::Sip(sip)) if sip.progress == 180 => {}
            // Whoever hears us already, early or late, must hear the ringing from us.
            _ => self.client_tone(call, ToneKind::Ringback),
        }
    }

    /// The country of the call's tenant, for its tones.
    pub(super) fn country_of(&self, call: CallId) -> [u8; 2] {
        let tenant = self.calls.get(&call).and_then(|c| c.tenant).and_then(|t| self.directory.tenant(t));
        tenant.and_then(|t| t.country.as_bytes().first_chunk::<2>().copied()).unwrap_or(*b"us")
    }

    /// Plays a tone of the tenant's country to the client.
    pub(super) fn client_tone(&mut self, call: CallId, tone: ToneKind) {
        let play = self.fresh_play();
        let country = self.country_of(call);
        if let Some(port) = self.client_port(call) {
            self.media(MediaCommand::Tone { port, play, tone, country });
        }
    }

    /// A leg that we dialled was answered.
    pub(crate) fn leg_answered(&mut self, now: Now, leg: LegId) {
        self.mark_answered(now, leg);
        let Some(l) = self.legs.get(&leg) else { return };
        let (call, role) = (l.call, l.role);
        let state = self.calls.get(&call).map(|c| c.state);
        match (role, state) {
            (Role::Agent { offer, .. }, _) => self.offer_answered(now, leg, offer),
            (Role::Target, Some(CallState::Connecting(to))) if to == leg && self.examines(call) => {
                self.examine(now, leg);
            }
            (Role::Target, Some(CallState::Connecting(to))) if to == leg => self.target_answered(now, call, leg),
            (Role::Target, Some(CallState::Referring { from, to })) if to == leg => {
                self.refer_answered(now, call, from, to);
            }
            _ => self.release_leg(now, leg, Cause::Normal),
        }
    }

    pub(crate) fn on_media(&mut self, now: Now, event: MediaEvent) {
        match event {
            MediaEvent::Sockets(ports) => self.sockets_bound(ports),
            MediaEvent::SocketsExhausted => self.sockets_exhausted(),
            MediaEvent::Digit { port, digit, .. } => self.digit(now, port, digit),
            MediaEvent::Tone { port, tone } => self.tone_heard(now, port, tone),
            MediaEvent::Answered { port, by } => self.answerer_known(now, port, by),
            MediaEvent::PlayDone { port, play } => self.play_done(now, port, play),
            MediaEvent::DigitsSent { port } => self.digits_sent(now, port),
            MediaEvent::PromptMissing { name, .. } => self.alarms.set(now, "prompt-missing", name.to_string(), true),
            MediaEvent::Silent { port } => self.silent(now, port),
            MediaEvent::Unheard { port } => self.unheard(now, port),
            MediaEvent::Failed { port } => self.port_failed(now, port),
            MediaEvent::RecordFailed { port } => self.recording_failed(now, port),
            MediaEvent::Secured { port, suite } => self.secured(port, suite),
            MediaEvent::SecureFailed { port, reason } => self.secure_failed(now, port, reason),
            MediaEvent::Closed { port, stats, socket } => {
                if let Some(socket) = socket {
                    self.socket_back(socket);
                }
                self.port_closed(port, *stats);
            }
        }
    }

    fn digit(&mut self, now: Now, port: PortId, digit: char) {
        match self.ports.get(&port) {
            Some(&PortOwner::Circuit(circuit)) => self.address_digit(now, circuit, digit),
            Some(&PortOwner::Leg(leg)) => self.media_digit(now, leg, digit),
            _ => {}
        }
    }

    fn play_done(&mut self, now: Now, port: PortId, play: PlayId) {
        let Some(PortOwner::Leg(leg)) = self.ports.get(&port) else { return };
        let Some(call) = self.legs.get(leg).map(|l| l.call) else { return };
        let Some(c) = self.calls.get_mut(&call) else { return };
        if c.flow_play == Some(play) {
            c.flow_play = None;
            self.run_flow(now, call, FlowInput::PlayDone);
        } else if let CallState::Waiting(wait) = &mut c.state
            && wait.announcement == Some(play)
        {
            wait.announcement = None;
            self.play_treatment(call);
        }
    }

    /// Nothing was heard from a SIP peer for a while: a re-INVITE tells whether it lives (its 408 or 481 ends the leg).
    fn silent(&mut self, now: Now, port: PortId) {
        let Some(&PortOwner::Leg(leg)) = self.ports.get(&port) else { return };
        let Some(l) = self.legs.get(&leg).filter(|l| l.answered) else { return };
        let Some(session) = l.sip().map(|s| s.session) else { return };
        if let Some(offer) = self.current_offer(leg) {
            self.sip.reinvite(now, session, offer);
        }
    }

    fn port_failed(&mut self, now: Now, port: PortId) {
        match self.ports.get(&port) {
            Some(&PortOwner::Leg(leg)) => self.fail_leg(now, leg, Cause::NetworkOutOfOrder),
            // No digit will be heard there.
            Some(&PortOwner::Circuit(circuit)) => self.release_circuit(now, circuit, Cause::NetworkOutOfOrder),
            _ => {}
        }
    }
}
