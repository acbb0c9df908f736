//! SIP sessions as legs: what each event of the endpoint means for the call it belongs to.

use bytes::Bytes;

use crate::base::{self, AgentId, Cause, DialString, Instant, LegId, Now, Timestamp, TrunkId};
use crate::core::call::{NewCall, Signal, SipLeg};
use crate::core::journal::{Change, Direction};
use crate::core::load::admission::RETRY_AFTER_S;
use crate::core::load::sources::Misdeed;
use crate::core::switch::{Output, Switch, Timer};
use crate::core::trunk::auth::Source;
use crate::proto::sdp;
use crate::proto::sip::{Binding, DIVERSIONS_MAX, Event, Incoming, SessionId, Transport, is_sos};

impl Switch {
    pub(crate) fn on_sip(&mut self, now: Now, event: Event) {
        match event {
            Event::Incoming(incoming) => self.incoming(now, *incoming),
            Event::Provisional { session, status, sdp } => {
                self.with_leg(session, |s, leg| s.progress(now, leg, status, sdp))
            }
            Event::Answered { session, sdp } => self.with_leg(session, |s, leg| s.sip_answered(now, leg, sdp)),
            Event::Acked { session, sdp } => self.with_leg(session, |s, leg| s.acked(now, leg, sdp)),
            Event::Concluded { session, sdp } => self.with_leg(session, |s, leg| s.acked(now, leg, Some(sdp))),
            Event::Digit { session, digit } => self.with_leg(session, |s, leg| s.info_digit(now, leg, digit)),
            Event::Failed { session, status, cause, retry_after_s } => {
                self.with_leg(session, |s, leg| s.sip_failed(now, leg, status, cause, retry_after_s))
            }
            Event::Cancelled { session, cause } => self.with_leg(session, |s, leg| s.leg_gone(now, leg, cause)),
            Event::Reoffer { session, sdp } => self.reoffered(now, session, sdp),
            Event::Reanswered { session, answer } => self.with_leg(session, |s, leg| s.reanswered(now, leg, answer)),
            Event::Referred { session, target } => self.with_leg(session, |s, leg| s.referred(now, leg, &target)),
            Event::ReferProgress { session, status } => {
                self.with_leg(session, |s, leg| s.handback_progress(now, leg, status));
            }
            Event::Ended { session, cause } => self.with_leg(session, |s, leg| s.leg_gone(now, leg, cause)),
            Event::Released { session } => {
                if let Some(agent) = self.releasing.remove(&session) {
                    self.disengage(now, agent);
                }
            }
            Event::Registered { binding } => self.registered(now, &binding),
            Event::Unregistered { user, contact } => self.unregistered(now, &user, contact),
            Event::ClientRegistration { id, result } => self.trunk_registered(now, id, result),
            Event::Probed { id, status } => self.probed(now, id, status),
            Event::Aliased { path, port } => self.aliased(&path, port),
            Event::Locked { user, stands } => self.locked(now, user, stands),
            Event::CloseConnection { connection } => self.emit(Output::CloseConnection(connection)),
            Event::Misbehaved { source, connection, credentials } => {
                let misdeed = if credentials { Misdeed::Credentials } else { Misdeed::Malformed };
                self.misbehaved(now, source, connection, misdeed);
            }
        }
    }

    fn with_leg(&mut self, session: SessionId, act: impl FnOnce(&mut Self, LegId)) {
        if let Some(&leg) = self.by_session.get(&session) {
            act(self, leg);
        }
    }

    fn incoming(&mut self, now: Now, incoming: Incoming) {
        let session = incoming.session;
        let address = incoming.path.remote.ip();
        let source = self.identify(&incoming);
        if let (Source::Trunk(trunk), Transport::Tls) = (source, incoming.path.transport) {
            self.know_profile(trunk, session, address);
        }
        // It takes a place that is there already.
        if let (Some(replaced), Source::Trunk(_) | Source::Phone(_)) = (incoming.replaces, source) {
            return self.replace(now, source, incoming, replaced);
        }
        let takes_over = incoming.replaces.is_some() && source == Source::Challenge;
        if !takes_over && self.is_full_for(now, &incoming.path, &incoming.request_user) {
            self.counters.calls_refused += 1;
            // RFC 3261 21.5.4: say when to come back.
            return self.sip.reject(now, session, 503, Some(Cause::Congestion), Some(RETRY_AFTER_S));
        }
        let incoming = self.to_emergency_number(source, incoming);
        match source {
            Source::Trunk(trunk) => self.call_from_trunk(now, trunk, incoming),
            Source::Phone(agent) => {
                self.phone_authenticated(now, address);
                self.call_from_phone(now, agent, incoming);
            }
            Source::Challenge => self.sip.challenge(now, session),
            // RFC 3261 section 22.1: who it is is known, and it may not speak for another. Its settings are wrong; it is no
            // stranger.
            Source::Misnamed => {
                self.counters.calls_refused += 1;
                self.sip.reject(now, session, 403, Some(Cause::Barred), None);
            }
            Source::Stranger => {
                self.counters.calls_refused += 1;
                self.misbehaved(now, address, incoming.path.connection, Misdeed::Barred);
                self.sip.reject(now, session, 403, Some(Cause::Barred), None);
            }
        }
    }

    /// Who asks for `urn:service:sos` (RFC 5031) gets the first emergency number that leads to a flow, else the first one. A
    /// phone has the flows of its own tenant alone.
    fn to_emergency_number(&self, source: Source, mut incoming: Incoming) -> Incoming {
        let dialled = &incoming.request_user;
        let own = match source {
            Source::Phone(agent) => self.directory.agent(agent).map(|agent| agent.tenant),
            Source::Trunk(_) | Source::Challenge | Source::Misnamed | Source::Stranger => None,
        };
        let flow = |number: &str| {
            let found = self.directory.number(number);
            found.filter(|(tenant, _)| own.is_none_or(|own| own == *tenant))
        };
        if is_sos(dialled.as_bytes()) && flow(dialled).is_none() {
            let emergency = &self.provision.sip.emergency;
            let leads = emergency.iter().find(|number| flow(number).is_some());
            if let Some(number) = leads.or(emergency.first()) {
                incoming.request_user.clone_from(number);
            }
        }
        incoming
    }

    /// A peer's or phone's address guesses passwords: one line in the log, an alarm while there is any, and what it sends is
    /// refused unseen.
    pub(crate) fn guessing(&mut self, now: Now, source: base::Source, until: Instant) {
        self.emit(Output::Warning(format!("sip: too many failed logins from {source}, refused unseen for a minute")));
        self.guessing.insert(source);
        self.sip.set_unheard(source, true);
        self.arm(until, Timer::Unheard(source));
        self.tell_guessing(now);
    }

    /// Its minute is over.
    pub(crate) fn guessed(&mut self, now: Now, source: base::Source) {
        self.guessing.remove(&source);
        self.sip.set_unheard(source, false);
        self.tell_guessing(now);
    }

    /// One alarm for all, or strangers could fill the table of alarms; the log names them.
    fn tell_guessing(&mut self, now: Now) {
        let stands = !self.guessing.is_empty() || !self.locked.is_empty();
        self.alarms.set(now, "login-attempts", String::new(), stands);
    }

    /// The same for a user's password, guessed at from wherever.
    fn locked(&mut self, now: Now, user: String, stands: bool) {
        if stands {
            self.emit(Output::Warning(format!(
                "sip: too many failed logins as {user}: for a while it can log in from where it did before alone"
            )));
            self.locked.insert(user);
        } else {
            self.locked.remove(&user);
        }
        self.tell_guessing(now);
    }

    fn call_from_trunk(&mut self, now: Now, trunk: TrunkId, incoming: Incoming) {
        let Some((tenant, flow)) = self.directory.number(&incoming.request_user) else {
            return self.sip.reject(now, incoming.session, 404, Some(Cause::UnallocatedNumber), None);
        };
        let caller = (Some(trunk), None);
        let takes_in = self.takes_in(trunk, &incoming.request_user);
        let Some(call) = self.sip_call(now, incoming, Direction::Inbound, caller) else { return };
        if let Some(c) = self.calls.get_mut(&call) {
            c.tenant = Some(tenant);
        }
        self.come_in(now, call, trunk, takes_in, flow);
    }

    fn call_from_phone(&mut self, now: Now, agent: AgentId, incoming: Incoming) {
        let Some(tenant) = self.directory.agent(agent).map(|a| a.tenant) else { return };
        let dialled = incoming.request_user.clone();
        let local = self.directory.number(&dialled).filter(|(t, _)| *t == tenant);
        let routes = match local {
            Some(_) => Default::default(),
            None => self.routes_to_number(now, tenant, &dialled, 60),
        };
        let no_way = local.is_none() && routes.is_empty();
        if no_way && self.no_way_out(now, &dialled) == Cause::NoRoute {
            return self.sip.reject(now, incoming.session, 404, Some(Cause::NoRoute), None);
        }
        // A phone that dials one of our numbers is a caller like any other.
        let direction = if local.is_some() { Direction::Inbound } else { Direction::Outbound };
        let Some(call) = self.sip_call(now, incoming, direction, (None, Some(agent))) else { return };
        if let Some(c) = self.calls.get_mut(&call) {
            c.tenant = Some(tenant);
        }
        match local {
            Some((_, flow)) => self.start_flow(now, call, flow),
            None if no_way => {
                self.counters.calls_refused += 1;
                self.refuse(now, call, Cause::NoCircuit);
            }
            None => self.dial_out(now, call, routes),
        }
    }

    /// Makes a call of an INVITE, or refuses it.
    fn sip_call(
        &mut self,
        now: Now,
        incoming: Incoming,
        direction: Direction,
        (trunk, agent): (Option<TrunkId>, Option<AgentId>),
    ) -> Option<crate::base::CallId> {
        let session = incoming.session;
        let (origin, from) = self.admit_origin(&incoming, (trunk, agent));
        if origin.diversions.len() > DIVERSIONS_MAX {
            // A circle of diversions; not every element in it counts down Max-Forwards.
            self.counters.calls_refused += 1;
            self.sip.reject(now, session, 482, Some(Cause::ExchangeRouting), None);
            return None;
        }
        let joined = trunk.is_some_and(|trunk| self.node_of(trunk).is_some());
        let Ok(to) = DialString::new(incoming.request_user.as_str()) else {
            // RFC 3261 21.4.22: the address cannot be used as a number.
            self.sip.reject(now, session, 484, Some(Cause::InvalidNumber), None);
            return None;
        };
        if let Some(same) = self.goes_round(origin.trace.filter(|_| joined), &to) {
            self.counters.calls_refused += 1;
            self.counters.gone_round += 1;
            self.emit(Output::Warning(format!(
                "sip: what comes for {} is call {same} already, and goes round",
                to.as_str()
            )));
            self.sip.reject(now, session, 482, Some(Cause::ExchangeRouting), None);
            return None;
        }
        let leg = self.sip_leg(now, &incoming, (trunk, agent))?;
        // An odd name is no reason to refuse a call (RFC 4475 section 3.1.1.3): it has no number, that is all.
        let unreadable = from.is_empty() && !incoming.from_user.is_empty();
        let new = NewCall { from, to, direction, signal: Signal::Sip(Box::new(leg)), trunk, origin, agent };
        let call = self.new_call(now, new);
        if let Some(c) = self.calls.get_mut(&call).filter(|_| unreadable) {
            c.note(now, "caller-unreadable", "");
        }
        Some(call)
    }

    /// The SIP side of a leg for an INVITE, which is refused where its description is of no use.
    pub(crate) fn sip_leg(
        &mut self,
        now: Now,
        incoming: &Incoming,
        (trunk, agent): (Option<TrunkId>, Option<AgentId>),
    ) -> Option<SipLeg> {
        let session = incoming.session;
        let policy = self.srtp_policy(trunk, agent);
        let security = self.security(policy, incoming.path.transport);
        let offer = match self.readable(incoming.sdp.as_deref(), &security) {
            Ok(offer) => offer,
            Err(error) => {
                self.sip.reject_described(now, session, error.sip_status(), error.warning_code(), &error.to_string());
                return None;
            }
        };
        let mut leg = SipLeg::new(session, security, incoming.path.remote.ip());
        leg.remote = offer;
        leg.reliable = incoming.reliable;
        Some(leg)
    }

    /// An offer that we can answer, as far as its form and its protection go; what is spoken shows later.
    fn readable(&self, body: Option<&[u8]>, security: &sdp::Security) -> Result<Option<sdp::Remote>, sdp::SdpError> {
        let Some(offer) = body.map(sdp::parse).transpose()? else { return Ok(None) };
        sdp::protectable(&offer, security)?;
        if let Some(audio) = &offer.audio
            && !audio.rtp.ip().is_unspecified()
            && self.media_address(audio.rtp.is_ipv4()).is_none()
        {
            return Err(sdp::SdpError::AddressFamily);
        }
        Ok(Some(offer))
    }

    fn progress(&mut self, now: Now, leg: LegId, status: u16, body: Option<Bytes>) {
        let early = body.as_deref().and_then(|b| sdp::parse(b).ok());
        let media = early.is_some_and(|remote| self.conclude(leg, &remote).is_ok());
        self.leg_rings(now, leg, status, media);
    }

    /// The ACK for a 2xx of ours, or the PRACK for a reliable 183: with the answer, where those had our offer.
    fn acked(&mut self, now: Now, leg: LegId, body: Option<Bytes>) {
        let Some(sip) = self.legs.get_mut(&leg).and_then(|l| l.sip_mut()) else { return };
        if !std::mem::take(&mut sip.answer_due) {
            return;
        }
        let first = sip.agreed.is_none();
        let remote = body.as_deref().and_then(|b| sdp::parse(b).ok());
        let agreed = remote.is_some_and(|remote| self.conclude(leg, &remote).is_ok());
        if agreed {
            self.hold_changed(now, leg);
        } else if first {
            // Without an answer there is no stream; an earlier one goes on as it was.
            self.fail_leg(now, leg, Cause::IncompatibleMedia);
        }
    }

    fn sip_answered(&mut self, now: Now, leg: LegId, body: Option<Bytes>) {
        let remote = body.as_deref().map(sdp::parse).transpose().ok().flatten();
        let agreed = match &remote {
            Some(remote) => self.conclude(leg, remote).is_ok(),
            // The answer may have come in a reliable or early response before (RFC 3261 13.2.1).
            None => self.legs.get(&leg).and_then(|l| l.sip()).is_some_and(|s| s.agreed.is_some()),
        };
        if agreed {
            self.leg_answered(now, leg);
        } else {
            self.fail_leg(now, leg, Cause::IncompatibleMedia);
        }
    }

    /// Takes the peer's answer to our offer and sets the stream.
    fn conclude(&mut self, leg: LegId, remote: &sdp::Remote) -> Result<(), sdp::SdpError> {
        let Some(l) = self.legs.get_mut(&leg) else { return Ok(()) };
        let Some(sip) = l.sip_mut() else { return Ok(()) };
        let Some(local) = &sip.local else { return Ok(()) };
        sip.agreed = Some(sdp::conclude(local, remote)?);
        sip.remote = Some(remote.clone());
        self.set_stream(leg);
        Ok(())
    }

    fn sip_failed(&mut self, now: Now, leg: LegId, status: u16, cause: Cause, retry_after_s: Option<u32>) {
        let Some(l) = self.legs.get(&leg) else { return };
        let (call, way) = (l.call, l.trunk);
        let server = l.sip().and_then(|sip| sip.server);
        if matches!(status, 408 | 503) {
            if let Some(server) = server {
                self.server_failed(now, server, retry_after_s.filter(|_| status == 503));
            }
        } else if let Some(c) = self.calls.get_mut(&call).filter(|_| server.is_some()) {
            // RFC 3263 section 4.3: this was the domain's answer, which its other servers would only repeat.
            c.route.retain(|step| step.trunk.zip(step.peer) != way);
        }
        self.leg_gone(now, leg, cause);
    }

    /// A peer changes its stream: hold, resume, new address (RFC 3264 section 8).
    fn reoffered(&mut self, now: Now, session: SessionId, body: Option<Bytes>) {
        let Some(&leg) = self.by_session.get(&session) else {
            return self.sip.answer_reoffer(now, session, Err(481));
        };
        let answer = match body.as_deref().map(sdp::parse).transpose() {
            Err(_) => Err(488),
            Ok(None) => self.offer_again(leg).ok_or(488),
            Ok(Some(remote)) => self.answer_offer(leg, &remote).map_err(|_| 488),
        };
        let accepted = answer.is_ok();
        self.sip.answer_reoffer(now, session, answer);
        if accepted {
            self.hold_changed(now, leg);
        }
    }

    /// Our description once more, for a re-INVITE without an offer and for the check whether a silent peer lives.
    pub(crate) fn current_offer(&mut self, leg: LegId) -> Option<Bytes> {
        let sip = self.legs.get_mut(&leg)?.sip_mut()?;
        let local = sip.local.as_mut()?;
        local.version += 1;
        // What is agreed, and nothing new; the peer may offer another codec later.
        let mut local = local.clone();
        if let Some(agreed) = &sip.agreed {
            local.codecs = vec![agreed.codec];
        }
        // RFC 3264 section 8: a description never loses a media line.
        Some(sip.remote.as_ref().map_or_else(|| sdp::offer(&local), |previous| sdp::reoffer(&local, previous)))
    }

    /// Our offer in answer to a re-INVITE that has none.
    fn offer_again(&mut self, leg: LegId) -> Option<Bytes> {
        let offer = self.current_offer(leg)?;
        self.legs.get_mut(&leg)?.sip_mut()?.answer_due = true;
        Some(offer)
    }

    fn reanswered(&mut self, now: Now, leg: LegId, answer: Result<Option<Bytes>, u16>) {
        match answer {
            Ok(body) => {
                if let Some(remote) = body.as_deref().and_then(|b| sdp::parse(b).ok()) {
                    // An answer that fits nothing leaves the stream as it is.
                    let _ = self.conclude(leg, &remote);
                    self.hold_changed(now, leg);
                }
            }
            // RFC 3261 12.2.1.2: 481 and 408 end the dialog.
            Err(408 | 481) => {
                self.fail_leg(now, leg, Cause::NoUserResponding);
            }
            Err(_) => {}
        }
    }

    fn registered(&mut self, now: Now, binding: &Binding) {
        self.phone_seen(now, binding);
        self.journal(Change::Registered {
            user: binding.user.clone(),
            contact: binding.contact.clone(),
            via: format_via(binding),
            expires_at: binding.expires_at,
        });
        if let Some(agent) = self.directory.agent_by_user(&binding.user).map(|a| a.id) {
            self.phone_lives(now, agent);
        }
        self.phone_changed(now, &binding.user);
    }

    fn unregistered(&mut self, now: Now, user: &str, contact: String) {
        self.journal(Change::Registered {
            user: user.to_owned(),
            contact,
            via: String::new(),
            expires_at: Timestamp(0),
        });
        self.phone_changed(now, user);
    }

    fn phone_changed(&mut self, now: Now, user: &str) {
        if let Some(agent) = self.directory.agent_by_user(user).map(|a| a.id) {
            self.reachability(now, agent);
        }
    }

    /// A call that is no offer occupies the agent's phone.
    pub(crate) fn engage(&mut self, now: Now, agent: AgentId) {
        *self.engaged.entry(agent).or_insert(0) += 1;
        self.reachability(now, agent);
    }

    pub(crate) fn disengage(&mut self, now: Now, agent: AgentId) {
        if let Some(count) = self.engaged.get_mut(&agent) {
            *count -= 1;
            if *count == 0 {
                self.engaged.remove(&agent);
            }
        }
        self.reachability(now, agent);
    }
}

fn format_via(binding: &Binding) -> String {
    format!("{}:{}", binding.path.transport.name(), binding.path.remote)
}
