//! Targets: transfers that a flow orders, numbers that an agent dials, and parties that hand a client over (REFER).

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::{CallId, Cause, Codec, FlowId, LegId, Now, PortId, Timestamp};
use crate::core::call::attended::Joined;
use crate::core::call::teardown::is_final_word;
use crate::core::call::{Call, CallState, LEGS_PER_CALL_MAX, Role, RouteStep, Signal, SipLeg};
use crate::core::media::{MediaCommand, ToneKind};
use crate::core::switch::{Switch, Timer};
use crate::core::tenant::directory::Host;
use crate::core::trunk::SipTarget;
use crate::core::trunk::credentials_of;
use crate::core::trunk::locator::Server;
use crate::core::trunk::nodes::NodeNumber;
use crate::core::trunk::preempt::Freed;
use crate::proto::sdp;
use crate::proto::sip::{Invite, Path, SessionId, UriParts, referred_attributes};

/// Numbers of its own tenant to which flows may transfer one call; beyond that it goes round in a circle.
const FLOWS_ENTERED_MAX: u32 = 10;

/// How long a server that is no trunk's may send nothing at all.
const SILENCE_MAX: Duration = Duration::from_secs(4);

impl Switch {
    pub(super) fn transfer_from_flow(&mut self, now: Now, call: CallId, to: &str, ring_s: u32, examine: bool) {
        if (NodeNumber::parse(to).is_some() || self.next_flow(call, to).is_some())
            && let Some(c) = self.calls.get_mut(&call)
        {
            // The next appliance, or flow, learns what the flow has found out, but for what it finds by itself.
            let known = |name: &str| !["ani", "dnis", "medium"].contains(&name);
            let found = c.run.iter().flat_map(|run| run.attributes()).filter(|(name, _)| known(name));
            c.origin.attributes = found.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        }
        if !examine && self.hand_back(now, call, to, ring_s) {
            return;
        }
        self.transfer_on(now, call, to, ring_s, examine);
    }

    /// The same by a way of our own.
    pub(super) fn transfer_on(&mut self, now: Now, call: CallId, to: &str, ring_s: u32, examine: bool) {
        if let Some(flow) = self.next_flow(call, to) {
            return self.enter_next_flow(now, call, flow);
        }
        let Some(tenant) = self.calls.get(&call).and_then(|c| c.tenant) else { return };
        let route = self.routes_to(now, tenant, to, ring_s);
        let no_way = route.is_empty().then(|| self.no_way_out(now, to));
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, "transfer", "");
            c.route = route;
            c.examines = examine;
        }
        if let Err(cause) = self.try_next_route(now, call) {
            self.transfer_over(now, call, no_way.unwrap_or(cause));
        }
    }

    /// The flow of a number, if that is one of the call's tenant.
    fn own_flow(&self, call: CallId, number: &str) -> Option<FlowId> {
        let tenant = self.calls.get(&call)?.tenant?;
        self.directory.number(number).filter(|(of, _)| *of == tenant).map(|(_, flow)| flow)
    }

    /// The same for a flow's transfer. The number as it was dialled goes out by the trunk that leads there, if one does: the flow
    /// passes it on to a switch behind this one.
    fn next_flow(&self, call: CallId, number: &str) -> Option<FlowId> {
        let passes = |c: &Call| c.flows_entered == 0 && c.cdr.to.as_str() == number;
        let passes =
            self.calls.get(&call).is_some_and(passes) && !self.directory.leads(number, Timestamp::default()).is_empty();
        self.own_flow(call, number).filter(|_| !passes)
    }

    /// A flow's transfer leads to a number of its own tenant: the call goes on in that number's flow. The caller drains the run.
    fn enter_next_flow(&mut self, now: Now, call: CallId, flow: FlowId) {
        let Some(c) = self.calls.get_mut(&call) else { return };
        c.note(now, "transfer", "");
        c.drop_run();
        c.flows_entered += 1;
        if c.flows_entered > FLOWS_ENTERED_MAX {
            c.note(now, "goes-round", format!("transferred to {FLOWS_ENTERED_MAX} numbers of the tenant already"));
            return self.end_call(now, call, Cause::ExchangeRouting);
        }
        self.begin_flow(now, call, flow);
    }

    /// An agent's phone dialled a number that is not ours.
    pub(crate) fn dial_out(&mut self, now: Now, call: CallId, route: VecDeque<RouteStep>) {
        self.journal_start(call);
        self.dial_target(now, call, route);
    }

    /// Rings whom a call without a flow is for.
    pub(super) fn dial_target(&mut self, now: Now, call: CallId, route: VecDeque<RouteStep>) {
        if let Some(c) = self.calls.get_mut(&call) {
            c.route = route;
        }
        if let Err(cause) = self.try_next_route(now, call) {
            self.end_call(now, call, cause);
        }
    }

    /// Rings the next way to the target.
    pub(super) fn try_next_route(&mut self, now: Now, call: CallId) -> Result<(), Cause> {
        let mut failure = Cause::NoRoute;
        loop {
            let Some(c) = self.calls.get_mut(&call) else { return Ok(()) };
            if c.cdr.legs.len() >= LEGS_PER_CALL_MAX {
                self.counters.legs_refused += 1;
                return Err(Cause::ResourceUnavailable);
            }
            let Some(step) = c.route.pop_front() else { return Err(failure) };
            if self.is_emergency_number(&step.number)
                && let Some(c) = self.calls.get_mut(&call)
            {
                c.emergency = true;
            }
            if step.is_last_resort() {
                match self.free_a_circuit(now, call, &step) {
                    Freed::Now(ways) => self.put_in_front(call, ways),
                    Freed::Soon => {
                        self.await_way(call, step);
                        return Ok(());
                    }
                    Freed::Never => failure = Cause::NoCircuit,
                }
                continue;
            }
            let step = match self.spread(now, call, &step) {
                None => {
                    self.await_way(call, step);
                    return Ok(());
                }
                Some(Ok(ways)) => {
                    let mut ways = ways.into_iter();
                    let Some(first) = ways.next() else { continue };
                    self.put_in_front(call, ways.collect());
                    first
                }
                Some(Err(cause)) => {
                    failure = cause;
                    continue;
                }
            };
            if step.trunk.is_some_and(|trunk| !self.may_go_out(now, call, trunk)) {
                failure = Cause::NoCircuit;
                continue;
            }
            match self.dial(now, call, &step, Role::Target) {
                Ok(leg) => {
                    let ring = Duration::from_secs(step.ring_s.clamp(1, 600).into());
                    self.arm(now.mono + ring, Timer::RingEnd(leg));
                    // A peer that has not even sent 100 Trying is taken for dead. RFC 3261's own timer B, 32 s, outlasts
                    // both the ringing and the caller.
                    let entry = step.peer.and(step.trunk).and_then(|trunk| self.directory.trunk(trunk));
                    if entry.is_some() || step.destination.is_some() {
                        let silence = entry.map_or(SILENCE_MAX, |entry| Duration::from_secs(entry.failover_s.into()));
                        self.arm(now.mono + silence, Timer::PeerSilent(leg));
                    }
                    self.set_target(call, leg);
                    return Ok(());
                }
                Err(cause) => failure = cause,
            }
        }
    }

    fn put_in_front(&mut self, call: CallId, ways: Vec<RouteStep>) {
        if let Some(c) = self.calls.get_mut(&call) {
            ways.into_iter().rev().for_each(|way| c.route.push_front(way));
        }
    }

    /// DNS is being asked for the servers of a step, or a circuit is coming free: it stays the next one.
    fn await_way(&mut self, call: CallId, step: RouteStep) {
        if let Some(c) = self.calls.get_mut(&call) {
            c.route.push_front(step);
            c.state = CallState::Flow;
        }
    }

    /// DNS has answered, or has had its time: on with the target.
    pub(crate) fn try_target(&mut self, now: Now, call: CallId) {
        if let Err(cause) = self.try_next_route(now, call) {
            self.target_unreached(now, call, cause);
        }
    }

    fn set_target(&mut self, call: CallId, leg: LegId) {
        if let Some(c) = self.calls.get_mut(&call) {
            c.state = match c.state {
                CallState::Referring { from, .. } | CallState::Talking(from) => CallState::Referring { from, to: leg },
                _ => CallState::Connecting(leg),
            };
        }
    }

    /// Timer: a target has rung long enough.
    pub(crate) fn ring_ended(&mut self, now: Now, leg: LegId) {
        if self.legs.get(&leg).is_some_and(|l| !l.answered) {
            self.fail_leg(now, leg, Cause::NoAnswer);
        }
    }

    /// Timer: a peer should have said something by now.
    pub(crate) fn peer_silent(&mut self, now: Now, leg: LegId) {
        let Some(l) = self.legs.get(&leg) else { return };
        if l.sip().is_none_or(|s| self.sip.is_heard(s.session)) {
            return;
        }
        let (role, trunk) = (l.role, l.trunk);
        if let Some(server) = l.sip().and_then(|sip| sip.server) {
            self.server_failed(now, server, None);
        }
        self.unoccupy(leg);
        if let (Role::Agent { agent, .. }, None) = (role, trunk) {
            return self.phone_silent(now, leg, agent);
        }
        self.fail_leg(now, leg, Cause::TimerExpired);
    }

    /// Sends an INVITE with our offer; the caller's codec comes first, so that no transcoding is needed.
    pub(super) fn invite(
        &mut self,
        now: Now,
        call: CallId,
        step: &RouteStep,
        path: Path,
    ) -> Result<(Signal, Option<PortId>), Cause> {
        let c = self.calls.get(&call).ok_or(Cause::TemporaryFailure)?;
        let client = self.legs.get(&c.client).and_then(|l| l.sip());
        let codecs = client.map_or_else(|| self.codecs(), |client| sdp_preference(client, self.codecs()));
        let caller = self.caller_for(c, step);
        let shown = caller.unlike(c).filter(|_| step.trunk.is_some());
        let credentials = step.trunk.and_then(|t| self.directory.trunk(t)).and_then(credentials_of);
        // RFC 3261 section 8.1.2: an outbound proxy is a route that is there from the start.
        let proxy = step.trunk.and_then(|t| self.directory.trunk(t)).and_then(|entry| entry.proxy_route());
        let socket = self.socket_take().ok_or(Cause::ResourceUnavailable)?;
        let policy = self.srtp_policy(step.trunk, step.agent);
        let security = self.security(policy, path.transport);
        let local = self.local_description((socket, path.remote.is_ipv4()), codecs, security.clone());
        let host = Host::Address(path.local.ip()).to_string();
        let to_uri = UriParts::parse(&step.uri).map_or_else(|| step.uri.clone(), |parts| parts.bare);
        let mut headers = caller.origin.headers(&host, &to_uri, caller.audience);
        headers.extend(proxy.map(|uri| ("Route".to_owned(), format!("<{uri}>"))));
        let invite = Invite {
            path,
            request_uri: step.uri.clone(),
            from_user: caller.user.clone(),
            from_display: caller.display,
            from_host: caller.host.unwrap_or(host),
            to_uri,
            contact_user: caller.user,
            sdp: Some(sdp::offer(&local)),
            credentials,
            max_forwards: caller.origin.max_forwards,
            headers,
        };
        let Some(session) = self.sip.invite(now, invite) else {
            self.socket_back(socket);
            let full = self.sip.sessions_len() >= self.config.sip.sessions_max;
            return Err(if full { Cause::ResourceUnavailable } else { Cause::InvalidNumber });
        };
        let port = PortId(self.fresh());
        self.media(MediaCommand::OpenRtp { port, socket });
        if let (Some(shown), Some(c)) = (shown, self.calls.get_mut(&call)) {
            c.note(now, "caller-shown", shown);
        }
        let mut leg = SipLeg::new(session, security, path.remote.ip());
        leg.local = Some(local);
        leg.server = Some(Server::of(&path));
        Ok((Signal::Sip(Box::new(leg)), Some(port)))
    }

    /// A party hands the client over (blind transfer, RFC 3515). Only agents and targets may, and only to where the
    /// tenant's numbers, agents and trunks lead: never to an address of the peer's choosing.
    pub(crate) fn referred(&mut self, now: Now, leg: LegId, target: &str) {
        let Some(session) = self.legs.get(&leg).and_then(|l| l.sip()).map(|s| s.session) else { return };
        if let Some(replaced) = self.sip.replaced_by_refer(target) {
            let replaced = replaced.and_then(|session| self.by_session.get(&session).copied());
            return self.referred_attended(now, session, leg, replaced);
        }
        match self.refer_target(leg, target) {
            Ok((call, number)) => {
                if self.node_of_leg(leg).is_some()
                    && let Some(c) = self.calls.get_mut(&call)
                {
                    c.origin.attributes = referred_attributes(target);
                }
                self.sip.accept_refer(now, session, 202);
                self.hand_over(now, call, leg, &number);
            }
            Err(status) => self.sip.accept_refer(now, session, status),
        }
    }

    /// A party hands the client over to whom it consulted in another call.
    fn referred_attended(&mut self, now: Now, session: SessionId, leg: LegId, replaced: Option<LegId>) {
        // The NOTIFY about the end must come after the 202, so what can be refused is looked at first.
        let checked = match replaced {
            None => Err(404),
            Some(replaced) => self.may_refer_attended(leg, replaced).map(|()| replaced),
        };
        let replaced = match checked {
            Ok(replaced) => replaced,
            Err(status) => return self.sip.accept_refer(now, session, status),
        };
        self.sip.accept_refer(now, session, 202);
        match self.refer_attended(now, leg, replaced) {
            Ok(Joined::Talking) => {}
            Ok(Joined::Ringing) => self.notify_referrer(now, leg, 180),
            Ok(Joined::Again(number)) => {
                if let Some(call) = self.legs.get(&leg).map(|l| l.call) {
                    self.hand_over(now, call, leg, &number);
                }
            }
            Err(status) => self.notify_referrer(now, leg, status),
        }
    }

    fn refer_target(&mut self, leg: LegId, target: &str) -> Result<(CallId, String), u16> {
        let l = self.legs.get(&leg).ok_or(481u16)?;
        let call = self.calls.get(&l.call).ok_or(481u16)?;
        // Agents may, whether they were called or dialled out. Anybody else would dial at our cost, the outside party
        // that we called among them.
        let talks = match l.role {
            Role::Client => matches!(call.state, CallState::Talking(_)),
            Role::Agent { .. } | Role::Target => call.state == CallState::Talking(leg),
        };
        let joined = self.node_of_leg(leg).is_some();
        if (l.phone.is_none() && !joined) || !talks {
            return Err(603);
        }
        let id = l.call;
        let parsed = SipTarget::parse(target).ok_or(416u16)?;
        let ours = match &parsed.destination.host {
            Host::Name(name) => name.eq_ignore_ascii_case(&self.provision.sip.realm),
            Host::Address(address) => self.config.listeners.iter().any(|(_, local)| local.ip() == *address),
        };
        if !ours || parsed.user.is_empty() || (NodeNumber::parse(&parsed.user).is_some() && !joined) {
            return Err(403);
        }
        self.lead(id, leg)?;
        Ok((id, parsed.user))
    }

    fn hand_over(&mut self, now: Now, call: CallId, from: LegId, number: &str) {
        let Some(c) = self.calls.get_mut(&call) else { return };
        c.note(now, "referred", "");
        c.examines = false;
        let tenant = c.tenant;
        if let Some(flow) = self.own_flow(call, number) {
            self.notify_referrer(now, from, 200);
            self.release_referrer(now, call, from);
            self.stop_recording(call);
            if let Some(port) = self.client_port(call) {
                self.media(MediaCommand::StopPlay { port });
            }
            return self.enter_flow(now, call, flow);
        }
        let Some(tenant) = tenant else { return };
        let route = match NodeNumber::parse(number) {
            Some(to) => self.routes_to_node(now, to, 30),
            None => self.routes_to_number(now, tenant, number, 30),
        };
        let port = self.client_port(call);
        if let Some(c) = self.calls.get_mut(&call) {
            c.route = route;
        }
        match self.try_next_route(now, call) {
            Ok(()) => {
                if let Some(port) = port {
                    self.media(MediaCommand::Unbridge { port });
                }
                self.client_tone(call, ToneKind::Ringback);
                self.notify_referrer(now, from, 180);
            }
            Err(cause) => {
                if let Some(c) = self.calls.get_mut(&call) {
                    c.route.clear();
                }
                self.notify_referrer(now, from, cause.sip_status());
            }
        }
    }

    pub(super) fn notify_referrer(&mut self, now: Now, leg: LegId, status: u16) {
        if let Some(session) = self.legs.get(&leg).and_then(|l| l.sip()).map(|s| s.session) {
            self.sip.notify_refer(now, session, status);
        }
    }

    /// Lets the party go that handed over; one that the queue sent is through with the call.
    pub(super) fn release_referrer(&mut self, now: Now, call: CallId, from: LegId) {
        let agent = self.legs.get(&from).is_some_and(|l| matches!(l.role, Role::Agent { .. }));
        self.release_leg(now, from, Cause::Normal);
        if agent {
            self.agent_finished(now, call);
        }
    }

    /// The party that took over has answered: the one that handed over is let go.
    pub(super) fn refer_answered(&mut self, now: Now, call: CallId, from: LegId, to: LegId) {
        self.notify_referrer(now, from, 200);
        self.release_referrer(now, call, from);
        if let Some(port) = self.client_port(call) {
            self.media(MediaCommand::StopPlay { port });
        }
        self.connect(now, call, to);
    }

    /// The party that should take over did not: back to the one that handed over, if it is still there.
    pub(super) fn refer_failed(&mut self, now: Now, call: CallId, from: LegId, cause: Cause) {
        if !is_final_word(cause) && self.try_next_route(now, call).is_ok() {
            return;
        }
        if !self.legs.contains_key(&from) {
            return self.end_call(now, call, cause);
        }
        self.notify_referrer(now, from, cause.sip_status());
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, "refer-failed", cause.as_str());
            c.route.clear();
            c.state = CallState::Talking(from);
        }
        self.meet(call, from);
        self.tell_not_recorded(call);
    }
}

/// The caller's codec first.
fn sdp_preference(sip: &SipLeg, mut codecs: Vec<Codec>) -> Vec<Codec> {
    let offered = || sip.remote.as_ref()?.audio.as_ref()?.codecs.first().map(|(_, codec)| *codec);
    let first = sip.agreed.as_ref().map(|a| a.codec).or_else(offered);
    codecs.sort_by_key(|c| Some(*c) != first);
    codecs
}
