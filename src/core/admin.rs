//! Orders and questions from consoles, provisioning at runtime, alarms.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::base::{AgentId, Now, Redacted, Timestamp};
use crate::core::call::{Call, CallState};
use crate::core::contact::is_control;
use crate::core::control::{AgentView, Alarm, CallView, Command, Query, QueueView, Reply, Status, TrunkView};
use crate::core::ivr;
use crate::core::journal::{AgentStatus, Change, Seq};
use crate::core::switch::{StoredAgent, Switch, Timer};
use crate::core::tenant::access;
use crate::core::tenant::directory::{TrunkEntry, TrunkKind};
use crate::core::tenant::entity;
use crate::core::tenant::provision::Role;
use crate::core::tenant::{Directory, Provision};
use crate::core::trunk::TrunkHealth;
use crate::core::trunk::seat::{Place, Seat};
use crate::proto::sip::{Binding, User};

/// Alarms that stand, by name and subject. Bounded: at most [`ALARMS_MAX`]; further ones are counted under `others`.
#[derive(Default, Debug)]
pub(crate) struct Alarms {
    standing: BTreeMap<(&'static str, String), Timestamp>,
    others: u64,
}

/// What is said to who adds a call-back that there is already.
const WISH_KNOWN: &str = "the queue is to call that number back already: it is this one, as it was";

/// Alarms kept.
pub(super) const ALARMS_MAX: usize = 256;

impl Alarms {
    /// Raises or clears an alarm.
    pub fn set(&mut self, now: Now, name: &'static str, subject: String, stands: bool) {
        if !stands {
            self.standing.remove(&(name, subject));
        } else if self.standing.len() < ALARMS_MAX || self.standing.contains_key(&(name, subject.clone())) {
            self.standing.entry((name, subject)).or_insert(now.wall);
        } else {
            self.others += 1;
        }
    }

    /// Alarms that stand and are kept.
    pub fn len(&self) -> usize {
        self.standing.len()
    }

    /// Alarms that found no room.
    pub fn others(&self) -> u64 {
        self.others
    }

    fn list(&self) -> Vec<Alarm> {
        let mut list: Vec<Alarm> = self
            .standing
            .iter()
            .map(|((name, subject), since)| Alarm { name: (*name).into(), subject: subject.clone(), since: *since })
            .collect();
        if let (true, Some(first)) = (self.others > 0, self.standing.values().min()) {
            list.push(Alarm { name: "others".into(), subject: self.others.to_string(), since: *first });
        }
        list
    }
}

impl Switch {
    pub(crate) fn on_command(&mut self, now: Now, token: u64, command: Command) {
        let (reply, after) = self.carry_out(now, command);
        self.reply(token, reply, after);
    }

    /// Does what is ordered. The answer may be given when the change is durable that comes with it.
    pub(crate) fn carry_out(&mut self, now: Now, command: Command) -> (Reply, Option<Seq>) {
        let mut done = Reply::Done;
        let result = match command {
            Command::WorkAdd { item } => self.work_add(now, *item).map(|(work, known)| {
                done = Reply::Added { work, warning: known.then(|| WISH_KNOWN.to_owned()) };
                None
            }),
            Command::WorkAccept { tenant, agent, work } => self.work_accept(now, &tenant, &agent, work).map(|()| None),
            Command::WorkDecline { tenant, agent, work } => {
                self.work_decline(now, &tenant, &agent, work).map(|()| None)
            }
            Command::WorkComplete { work, disposition, note } => {
                self.work_complete(now, work, disposition, note).map(|()| None)
            }
            Command::WorkTransfer { work, queue, agent, note } => {
                self.work_transfer(now, work, (queue, agent), note).map(|()| None)
            }
            Command::WorkCancel { work, reason } => self.work_cancel(now, work, &reason).map(|()| None),
            Command::WorkDiscover { work, attribute, value, origin } => {
                self.work_discover(now, work, (attribute, &value), origin).map(|()| None)
            }
            Command::Provision { provision } => Ok(Some(self.provision_now(now, *provision))),
            Command::Put { entity } => {
                entity::put(&self.provision, *entity).map(|new| Some(self.provision_now(now, new)))
            }
            Command::Remove { tenant, kind, name } => {
                entity::remove(&self.provision, &tenant, kind, &name).map(|new| Some(self.provision_now(now, new)))
            }
            Command::SignIn { tenant, agent } => self.sign_in_at(now, (&tenant, &agent), None),
            Command::SignInAt { tenant, agent, site, extension, phone } => {
                let place = Place { site, extension, phone: phone.map(Redacted::into_inner) };
                self.sign_in_at(now, (&tenant, &agent), Some(place))
            }
            Command::SignOut { tenant, agent } => self.agent_order(&tenant, &agent, |q, a| q.sign_out(now, a)),
            Command::Pause { tenant, agent, reason } => self
                .takes_reason(&tenant, &reason)
                .and_then(|()| self.agent_order(&tenant, &agent, |q, a| q.pause(now, a, &reason))),
            Command::Resume { tenant, agent } => self.agent_order(&tenant, &agent, |q, a| q.resume(now, a)),
            Command::Hangup { call } => self.hangup(now, call),
            Command::RestartCircuits { trunk, circuit } => {
                self.restart_circuits(now, &trunk, circuit.as_deref()).map(|circuits| {
                    done = Reply::Restarted { circuits };
                    None
                })
            }
            Command::ReadCertificates => {
                self.read_certificates(now);
                Ok(None)
            }
            Command::Unban { source } => self.unban(now, source.as_deref()).map(|()| None),
            Command::Stop => {
                self.stop(now);
                Ok(None)
            }
        };
        // What the queue says to an order becomes facts before the reply's position is taken.
        while let Some(output) = self.queue.poll_output() {
            self.on_queue(now, output);
        }
        if let Reply::Added { work, warning: warning @ None } = &mut done {
            *warning = self.work_warning(*work);
        }
        match result {
            Ok(seq) => (done, self.last_seq().max(seq)),
            Err(reason) => (Reply::Refused { reason }, None),
        }
    }

    fn agent_order(
        &mut self,
        tenant: &str,
        agent: &str,
        act: impl FnOnce(&mut crate::core::queue::Engine, AgentId) -> Result<(), crate::core::queue::Refusal>,
    ) -> Result<Option<Seq>, String> {
        let id = self.find_agent(tenant, agent)?;
        act(&mut self.queue, id).map(|()| None).map_err(|refusal| refusal.to_string())
    }

    /// An agent by the names of its tenant and its own.
    fn find_agent(&self, tenant: &str, agent: &str) -> Result<AgentId, String> {
        let of = self.directory.tenant_by_name(tenant);
        let found = of.and_then(|of| self.directory.agent_by_name(of.id, agent));
        found.map(|entry| entry.id).ok_or_else(|| access::no_agent(tenant, agent))
    }

    fn sign_in_at(
        &mut self,
        now: Now,
        (tenant, agent): (&str, &str),
        place: Option<Place>,
    ) -> Result<Option<Seq>, String> {
        let id = self.find_agent(tenant, agent)?;
        let seat = place.map(|place| self.seat_at(id, place)).transpose()?;
        self.seat(now, id, seat);
        self.queue.sign_in(now, id).map(|()| None).map_err(|refusal| refusal.to_string())
    }

    /// Whether agents of the tenant may be not ready for this reason.
    fn takes_reason(&self, tenant: &str, reason: &str) -> Result<(), String> {
        if reason.chars().any(is_control) {
            return Err("the reason has control characters".into());
        }
        match self.directory.tenant_by_name(tenant) {
            Some(tenant) if !tenant.takes_reason(reason) => {
                let known = tenant.not_ready_reasons.join(", ");
                Err(format!("{reason:?} is no reason of tenant {}; give one of {known}", tenant.name))
            }
            _ => Ok(()),
        }
    }

    fn hangup(&mut self, now: Now, call: crate::base::CallId) -> Result<Option<Seq>, String> {
        if !self.calls.contains_key(&call) {
            return Err(access::no_call(call));
        }
        self.end_call(now, call, crate::base::Cause::Normal);
        Ok(None)
    }

    fn stop(&mut self, now: Now) {
        if self.stopping {
            return self.release_all(now);
        }
        self.stopping = true;
        self.sip.set_stopping(true);
        self.store_learned();
        for registration in self.trunks.values_mut().filter_map(|t| t.registration.take()) {
            self.sip.unregister(now, registration);
        }
        let grace = Duration::from_secs(self.provision.sip.stop_grace_s.into());
        self.arm(now.mono + grace, Timer::GraceOver);
    }

    fn provision_now(&mut self, now: Now, provision: Provision) -> Seq {
        self.adopt_provision(now, provision, &[]);
        self.journal(Change::Provisioned { provision: Box::new(self.provision.clone()) })
    }

    /// Makes the provisioning hold. Calls in progress go on; what they refer to is looked up anew.
    /// Agents who are `stored` have their state from there.
    pub(crate) fn adopt_provision(&mut self, now: Now, provision: Provision, stored: &[StoredAgent]) {
        self.directory = Directory::new(&provision, Some(&self.directory));
        self.provision = provision;
        self.provision_gate();
        self.flows =
            self.directory.flows().filter_map(|f| Some((f.id, Arc::new(ivr::check(&f.text, &f.name).ok()?)))).collect();
        let phones = self.directory.agents().map(|a| (&a.user, &a.password, true));
        let trunks = self.directory.trunks().filter(|t| t.authenticate).map(|t| (&t.user, &t.password, false));
        let users = phones.chain(trunks).filter_map(|(name, password, guarded)| {
            Some(User { name: name.clone()?, password: password.clone()?, guarded })
        });
        self.sip.set_users(users.collect());
        let seconds = |s: u32| Duration::from_secs(s.into());
        let expires = Some(self.provision.sip.session_expires_s).filter(|s| *s > 0).map(seconds);
        self.sip.set_session_timer(expires, seconds(self.provision.sip.min_se_s));
        let known: HashSet<AgentId> = self.queue.agents().map(|a| a.id).collect();
        self.provision_queue(now);
        self.seat_agents(now, &known, stored);
        let directory = &self.directory;
        self.pin_failures.retain(|agent, _| directory.agent(*agent).is_some());
        self.adopt_circuits(now);
        self.read_certificates(now);
        self.watch_names(now);
        self.start_trunks(now);
        self.provision_reach(now);
        self.provision_admission(now);
    }

    /// Reachability of all agents, and the sign-in of those that are new and provisioned as signed in.
    fn seat_agents(&mut self, now: Now, known: &HashSet<AgentId>, stored: &[StoredAgent]) {
        let stored: HashSet<AgentId> = stored.iter().filter_map(|s| self.stored_agent(s)).collect();
        let agents: Vec<_> = self.directory.agents().map(|a| (a.id, a.signed_in)).collect();
        for (id, signed_in) in agents {
            self.reachability(now, id);
            if signed_in && !known.contains(&id) && !stored.contains(&id) {
                // A new agent is signed out, which no refusal applies to.
                let _ = self.queue.sign_in(now, id);
            }
        }
    }

    fn stored_agent(&self, (tenant, agent, ..): &StoredAgent) -> Option<AgentId> {
        let tenant = self.directory.tenant_by_name(tenant)?;
        self.directory.agent_by_name(tenant.id, agent).map(|a| a.id)
    }

    /// Puts back what an earlier run left: agents' states and phones' registrations.
    pub(crate) fn restore(&mut self, now: Now, agents: &[StoredAgent], bindings: Vec<Binding>) {
        for binding in bindings {
            let user = binding.user.clone();
            self.phone_seen(now, &binding);
            self.sip.restore_binding(now, binding);
            if let Some(agent) = self.directory.agent_by_user(&user).map(|a| a.id) {
                self.reachability(now, agent);
            }
        }
        for stored in agents {
            if let Some(id) = self.stored_agent(stored) {
                self.set_seat(id, stored.4.clone());
            }
        }
        self.provision_reach(now);
        for stored in agents {
            let (_, _, status, reason, _) = stored;
            if let Some(id) = self.stored_agent(stored) {
                self.queue.restore(now, id, *status, reason);
                self.reachability(now, id);
            }
        }
        while let Some(output) = self.queue.poll_output() {
            self.on_queue(now, output);
        }
    }

    pub(crate) fn on_query(&mut self, now: Now, token: u64, query: Query) {
        if let Some(reply) = self.answer(now, token, query, None) {
            // What a console was shown is in the store for whoever looks there next.
            self.reply(token, reply, self.last_seq());
        }
    }

    /// The answer to a question; none to one that is answered later. Where only what is `of` a tenant will be told, nothing else
    /// is looked at, so that the time that it takes tells of nothing else either.
    pub(crate) fn answer(&mut self, now: Now, token: u64, query: Query, of: Option<&str>) -> Option<Reply> {
        Some(match query {
            Query::Whoami => {
                let (user, role) = ("-".to_owned(), Role::Operator);
                Reply::Whoami { user, role, tenant: None, agent: None }
            }
            Query::TenantStatus { tenant } => {
                answer(self.tenant_status(now, &tenant).map(|status| Reply::TenantStatus(Box::new(status))))
            }
            Query::Status => Reply::Status(Box::new(self.status())),
            Query::Entities { tenant, kind } => {
                Reply::Entities { entities: entity::shown(&self.provision, tenant.as_deref(), kind) }
            }
            Query::Calls => Reply::Calls { calls: self.call_views(of) },
            Query::Agents => Reply::Agents { agents: self.agent_views(of) },
            Query::Queues => Reply::Queues { queues: self.queue_views(now, of) },
            Query::Trunks => Reply::Trunks { trunks: self.trunk_views(now) },
            Query::Sites => Reply::Sites { sites: self.site_views() },
            Query::Circuits { trunk } => {
                answer(self.circuit_views(now, trunk.as_deref()).map(|circuits| Reply::Circuits { circuits }))
            }
            Query::Contracts => Reply::Contracts { contracts: self.contract_views(now, of) },
            Query::Routes { number, at, tenant } => {
                let view = self.routes_view(now, &number, at.unwrap_or(now.wall), tenant.as_deref());
                answer(view.map(|view| Reply::Routes(Box::new(view))))
            }
            Query::Locate { uri } => {
                self.ask_location(now, token, &uri);
                return None;
            }
            Query::Bans => Reply::Bans { bans: self.ban_views(now) },
            Query::Works { tenant, queue, state, after, agent } => {
                let wanted = (tenant.as_deref(), queue.as_deref(), state, agent.as_deref());
                let (works, more) = self.work_views(now, wanted, after);
                let unknown = works.is_empty().then(|| self.works_of_nobody(wanted)).flatten();
                unknown.map_or(Reply::Works { works, more }, |reason| Reply::Refused { reason })
            }
            Query::Work { work } => answer(self.work_record(work).map(|work| Reply::Work(Box::new(work)))),
            Query::Explain { work } => answer(self.explain_work(now, work).map(|e| Reply::Explained(Box::new(e)))),
            Query::WhatIf { item } => answer(self.what_if(now, *item).map(|e| Reply::Explained(Box::new(e)))),
        })
    }

    /// Counters, limits and alarms.
    pub fn status(&self) -> Status {
        let counters = self.queue.counters();
        Status {
            version: self.config.version.clone(),
            started_at: self.started.wall,
            stopping: self.stopping,
            offered: self.counters.offered,
            answered: self.counters.answered,
            abandoned: self.counters.abandoned,
            queue_answered: counters.answered,
            in_target: counters.in_target,
            calls: self.calls.len() as u64,
            waiting: counters.waiting as u64,
            offers: counters.offers,
            double_offers: counters.double_offers,
            held: counters.held as u64,
            unservable: counters.unservable as u64,
            callbacks: self.works.wishes_count().0 as u64,
            node: self.provision.node.name.clone(),
            roles: self.provision.node.roles.clone(),
            handed_back: self.counters.handed_back,
            gone_round: self.counters.gone_round,
            callbacks_reached: self.counters.callbacks_reached,
            preempted: self.counters.preempted,
            cut_offs: self.counters.cut_offs,
            callbacks_unreached: self.counters.callbacks_unreached,
            waits_foretold: counters.foretold,
            wait_error: counters.foretold_error,
            agents_ready: counters.agents_ready as u64,
            agents_busy: counters.agents_busy as u64,
            agents_wrap_up: counters.agents_wrap_up as u64,
            agents_not_ready: counters.agents_not_ready as u64,
            agents_unreachable: self.unreachable_agents() as u64,
            registrations: self.sip.bindings_len() as u64,
            recordings_refused: self.counters.recordings_refused,
            encrypted_legs: self.encrypted_legs() as u64,
            handshakes_failed: self.counters.handshakes_failed,
            media_dropped: Default::default(),
            sip_refused: self.sip.counters().iter().map(|(k, v)| ((*k).to_owned(), *v)).collect(),
            load: self.load_view(),
            bounds: self.bounds(),
            quotas: self.quotas(),
            alarms: self.alarms.list(),
        }
    }

    /// Agents who are signed in, and to whom no way is sound.
    fn unreachable_agents(&self) -> usize {
        let signed_in = self.queue.agents().filter(|state| state.status != AgentStatus::Null);
        signed_in.filter(|state| !self.is_reached(state.id)).count()
    }

    fn call_views(&self, of: Option<&str>) -> Vec<CallView> {
        let mut calls: Vec<&Call> = match of {
            Some(tenant) => self.call_index.of_tenant(tenant).filter_map(|id| self.calls.get(&id)).collect(),
            None => self.calls.values().collect(),
        };
        calls.sort_unstable_by_key(|c| c.id);
        calls
            .into_iter()
            .map(|c| CallView {
                call_id: c.id,
                tenant: c.cdr.tenant.clone(),
                from: c.cdr.from.as_str().to_owned(),
                to: c.cdr.to.as_str().to_owned(),
                started_at: c.cdr.started_at,
                state: self.state_text(c),
                encryption: encryption_text(c),
            })
            .collect()
    }

    fn state_text(&self, call: &Call) -> String {
        let party = |leg: &crate::base::LegId| {
            let record = self.legs.get(leg).and_then(|l| call.cdr.legs.get(l.index));
            record.map_or(String::new(), |r| r.agent.clone().unwrap_or_else(|| r.party.clone()))
        };
        match &call.state {
            CallState::Flow => "flow".into(),
            CallState::Waiting(wait) => {
                format!("waiting {}", self.directory.queue(wait.queue).map_or("", |q| q.name.as_str()))
            }
            CallState::Alerting => format!("ringing {}", party(&call.client)),
            CallState::Connecting(leg) => format!("ringing {}", party(leg)),
            CallState::Talking(leg) => format!("talking {}", party(leg)),
            CallState::Referring { to, .. } => format!("transfer {}", party(to)),
            CallState::Toning(cause) => format!("failed {cause}"),
            CallState::Ending => "ending".into(),
        }
    }

    fn agent_views(&self, of: Option<&str>) -> Vec<AgentView> {
        let of = of.map(|name| self.directory.tenant_by_name(name).map(|tenant| tenant.id));
        let mut views: Vec<AgentView> = self
            .directory
            .agents()
            .filter(|entry| of.is_none_or(|of| of == Some(entry.tenant)))
            .filter_map(|entry| {
                let state = self.queue.agent(entry.id)?;
                let site = self.site_of(state.id).and_then(|site| self.directory.site(site));
                Some(AgentView {
                    tenant: self.directory.tenant(entry.tenant)?.name.clone(),
                    name: entry.name.clone(),
                    status: state.status,
                    reason: state.reason.to_owned(),
                    since: state.since,
                    answered: state.answered,
                    answered_for_others: state.answered_for_others,
                    reachable: self.is_reached(state.id),
                    cut: state.cut,
                    site: site.map_or(String::new(), |site| site.name.clone()),
                    seat: self.seats.get(&state.id).map_or(String::new(), Seat::to_string),
                })
            })
            .collect();
        views.sort_unstable_by(|a, b| (&a.tenant, &a.name).cmp(&(&b.tenant, &b.name)));
        views
    }

    fn queue_views(&self, now: Now, of: Option<&str>) -> Vec<QueueView> {
        let of = of.map(|name| self.directory.tenant_by_name(name).map(|tenant| tenant.id));
        let mut views: Vec<QueueView> = self
            .directory
            .queues()
            .filter(|entry| of.is_none_or(|of| of == Some(entry.tenant)))
            .filter_map(|entry| {
                let state = self.queue.queue(now, entry.id)?;
                Some(QueueView {
                    tenant: self.directory.tenant(entry.tenant)?.name.clone(),
                    name: entry.name.clone(),
                    waiting: state.waiting as u64,
                    longest_wait_s: state.longest_wait.as_secs(),
                    offered: state.offered,
                    answered: state.answered,
                    abandoned: state.abandoned,
                    in_target: state.in_target,
                })
            })
            .collect();
        views.sort_unstable_by(|a, b| (&a.tenant, &a.name).cmp(&(&b.tenant, &b.name)));
        views
    }

    fn trunk_views(&self, now: Now) -> Vec<TrunkView> {
        let mut views: Vec<TrunkView> = self
            .directory
            .trunks()
            .map(|entry| {
                let health = self.trunks.get(&entry.id);
                TrunkView {
                    name: entry.name.clone(),
                    node: entry.node.clone(),
                    kind: match entry.kind {
                        TrunkKind::Sip => "sip".into(),
                        TrunkKind::Tdm => "tdm".into(),
                    },
                    calls: health.map_or(0, |h| h.calls),
                    service: self.service(entry, health),
                    health: self.trunk_health(now, entry, health),
                }
            })
            .collect();
        views.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        views
    }

    fn trunk_health(&self, now: Now, entry: &TrunkEntry, health: Option<&TrunkHealth>) -> Vec<String> {
        let mut lines = Vec::new();
        for (index, peer) in entry.peers.iter().enumerate() {
            let down = health.and_then(|h| h.peers.get(index)).is_some_and(|p| p.down);
            lines.extend(self.peer_health(now, entry, peer, down));
        }
        match health.and_then(|h| h.registered) {
            Some(Ok(expires)) => lines.push(format!("registered for {expires} s")),
            Some(Err(status)) => lines.push(format!("registration refused: {status}")),
            None if entry.register => lines.push("registering".into()),
            None => {}
        }
        let circuits: Vec<_> = self.circuits.values().filter(|c| c.trunk == entry.id).collect();
        if !circuits.is_empty() {
            let blocked = circuits.iter().filter(|c| c.blocked()).count();
            let idle = circuits.iter().filter(|c| c.available()).count();
            let held = circuits.iter().filter(|c| c.is_blocked_by_far_end()).count();
            let held = if held > 0 { format!(", {held} blocked by the far end") } else { String::new() };
            lines.push(format!("{} circuits, {idle} idle, {blocked} blocked{held}", circuits.len()));
        }
        lines
    }
}

fn answer(result: Result<Reply, String>) -> Reply {
    result.unwrap_or_else(|reason| Reply::Refused { reason })
}

/// How each leg's media is encrypted.
fn encryption_text(call: &Call) -> String {
    let live = call.cdr.legs.iter().filter(|leg| leg.ended_at.is_none());
    let words = live.map(|leg| if leg.encryption.is_empty() { "-" } else { leg.encryption.as_str() });
    words.collect::<Vec<_>>().join(", ")
}
