//! A call's flow: what its run asks for, done.

use std::sync::Arc;

use crate::base::{AgentId, CallId, Cause, FlowId, Now};
use crate::core::call::CallState;
use crate::core::ivr::{AT_CALLER, AgentAction, Context, Input as FlowInput, Run, Step, TransferResult};
use crate::core::media::{MediaCommand, PlayItem};
use crate::core::switch::{Switch, Timer};
use crate::core::trunk::seat::{Place, Seat};

/// Wrong PINs in a row before an agent's code rests.
const PIN_FAILURES_MAX: u32 = 5;
/// How long it then rests.
const PIN_REST: std::time::Duration = std::time::Duration::from_secs(300);

impl Switch {
    /// Begins a flow on a call whose client is there. The call's first record is written here.
    pub(crate) fn start_flow(&mut self, now: Now, call: CallId, flow: FlowId) {
        self.journal_start(call);
        self.enter_flow(now, call, flow);
    }

    /// (Re-)starts the call's flow: at its begin, or when it is handed over to a number of the tenant.
    pub(crate) fn enter_flow(&mut self, now: Now, call: CallId, flow: FlowId) {
        self.begin_flow(now, call, flow);
        self.drain_flow(now, call);
    }

    /// The same; the caller drains the run.
    pub(super) fn begin_flow(&mut self, now: Now, call: CallId, flow: FlowId) {
        let Some(program) = self.flows.get(&flow).cloned() else {
            return self.end_call(now, call, Cause::OutOfOrder);
        };
        let name = self.directory.flow(flow).map_or(String::new(), |f| f.name.clone());
        let Some(c) = self.calls.get_mut(&call) else { return };
        c.note(now, "flow", name);
        let tenant = c.tenant.and_then(|t| self.directory.tenant(t));
        let context = Context {
            tenant: tenant.map_or(String::new(), |t| t.name.clone()),
            language: tenant.map_or("en".into(), |t| t.language.clone()),
            timezone: tenant.map_or("UTC".into(), |t| t.timezone.clone()),
            attributes: (c.origin.attributes.iter().cloned())
                .chain([
                    ("dnis".into(), c.cdr.to.as_str().to_owned()),
                    ("ani".into(), c.cdr.from.as_str().to_owned()),
                    ("medium".into(), "voice".into()),
                ])
                .chain(c.origin_attributes())
                .collect(),
        };
        c.run = Some(Run::new(Arc::clone(&program), context));
        c.state = CallState::Flow;
        self.feed_flow(now, call, FlowInput::Start);
    }

    /// Gives the run an input and does what it asks.
    pub(crate) fn run_flow(&mut self, now: Now, call: CallId, input: FlowInput) {
        if let Some(run) = self.calls.get_mut(&call).and_then(|c| c.run.as_mut()) {
            run.handle(now, input);
        }
        self.drain_flow(now, call);
    }

    /// Timer: a step's wait may be over.
    pub(crate) fn flow_timeout(&mut self, now: Now, call: CallId) {
        let Some(c) = self.calls.get_mut(&call) else { return };
        c.flow_wake = c.flow_wake.filter(|at| *at > now.mono);
        if let Some(run) = c.run.as_mut() {
            run.handle_timeout(now);
            self.drain_flow(now, call);
        }
    }

    pub(super) fn drain_flow(&mut self, now: Now, call: CallId) {
        loop {
            let Some(c) = self.calls.get_mut(&call) else { return };
            if c.state == CallState::Ending {
                return;
            }
            let Some(step) = c.run.as_mut().and_then(Run::poll_output) else { break };
            self.do_step(now, call, step);
        }
        self.arm_flow(call);
    }

    /// Sets the run's timer, unless one is set that fires in time: every key that is pressed moves the run's end of
    /// waiting, and must not leave a timer behind.
    fn arm_flow(&mut self, call: CallId) {
        let Some(c) = self.calls.get_mut(&call) else { return };
        let Some(due) = c.run.as_ref().and_then(Run::poll_timeout) else { return };
        if c.flow_wake.is_none_or(|at| at > due) {
            c.flow_wake = Some(due);
            self.arm(due, Timer::Flow(call));
        }
    }

    fn do_step(&mut self, now: Now, call: CallId, step: Step) {
        match step {
            Step::Answer => self.answer_client(now, call),
            Step::Play(items) => {
                self.open_client_audio(now, call);
                let play = self.fresh_play();
                let Some(c) = self.calls.get_mut(&call) else { return };
                let of_tenant = |item| match (item, c.tenant) {
                    (PlayItem::Prompt(name), Some(tenant)) => {
                        PlayItem::Prompt(self.directory.prompt_of(tenant, &name).into())
                    }
                    (item, _) => item,
                };
                let items = items.into_iter().map(of_tenant).collect();
                c.flow_play = Some(play);
                if let Some(port) = self.client_port(call) {
                    self.media(MediaCommand::Play { port, play, items });
                }
            }
            Step::StopPlay => {
                if let Some(c) = self.calls.get_mut(&call) {
                    c.flow_play = None;
                }
                if let Some(port) = self.client_port(call) {
                    self.media(MediaCommand::StopPlay { port });
                }
            }
            Step::Enqueue { queue } => self.enqueue(now, call, &queue),
            Step::Dequeue => self.leave_queue(now, call),
            Step::Callback { queue, number, at } => self.ask_callback(now, call, (&queue, number.expose()), at),
            Step::Transfer { to, ring_s, examine } => self.transfer_from_flow(now, call, &to, ring_s, examine),
            Step::DetectFax(on) => {
                if let Some(port) = self.client_port(call) {
                    self.detect_tones(call, port, on);
                }
            }
            Step::Agent { action, code, pin, at, number } => {
                let done = self.agent_by_phone(now, call, action, (&code, pin.expose()), (at, number));
                self.feed_flow(now, call, FlowInput::AgentDone(done));
            }
            Step::Hangup(cause) => self.end_call(now, call, cause),
            Step::Note { what, detail } => {
                if let Some(c) = self.calls.get_mut(&call) {
                    c.note(now, what, detail);
                }
            }
        }
    }

    /// An input from within a step: the loop in `drain_flow` sees what it brings.
    pub(super) fn feed_flow(&mut self, now: Now, call: CallId, input: FlowInput) {
        if let Some(run) = self.calls.get_mut(&call).and_then(|c| c.run.as_mut()) {
            run.handle(now, input);
        }
    }

    /// Signs an agent in or out, pauses or resumes, by code and PIN.
    fn agent_by_phone(
        &mut self,
        now: Now,
        call: CallId,
        action: AgentAction,
        (code, pin): (&str, &str),
        place: (Option<String>, Option<String>),
    ) -> bool {
        let Some(tenant) = self.calls.get(&call).and_then(|c| c.tenant) else { return false };
        let Some(entry) = self.directory.agent_by_code(tenant, code) else { return false };
        let agent = entry.id;
        let right = entry.pin.as_ref().is_some_and(|p| same(p.expose(), pin));
        if self.pin_failures.get(&agent).is_some_and(|(n, until)| *n >= PIN_FAILURES_MAX && *until > now.mono) {
            return false;
        }
        if !right {
            let entry = self.pin_failures.entry(agent).or_insert((0, now.mono));
            let rested = entry.0 >= PIN_FAILURES_MAX;
            *entry = (if rested { 1 } else { entry.0 + 1 }, now.mono + PIN_REST);
            return false;
        }
        self.pin_failures.remove(&agent);
        let result = match action {
            AgentAction::SignIn => match self.place_by_phone(call, agent, place) {
                Ok((seat, at_caller)) => {
                    self.seat(now, agent, seat);
                    if at_caller {
                        self.sits_at(now, call, agent);
                    }
                    self.queue.sign_in(now, agent)
                }
                Err(why) => {
                    if let Some(c) = self.calls.get_mut(&call) {
                        c.note(now, "no-seat", why);
                    }
                    return false;
                }
            },
            AgentAction::SignOut => self.queue.sign_out(now, agent),
            AgentAction::Pause => self.queue.pause(now, agent, "by phone"),
            AgentAction::Resume => self.queue.resume(now, agent),
        };
        result.is_ok()
    }

    /// Where an agent who signs in by phone sits, and whether that is where the call comes from.
    fn place_by_phone(
        &self,
        call: CallId,
        agent: AgentId,
        place: (Option<String>, Option<String>),
    ) -> Result<(Option<Seat>, bool), String> {
        let place = match place {
            (None, None) => return Ok((None, false)),
            (Some(at), _) if at == AT_CALLER => return Ok((self.seat_of_caller(call)?, true)),
            (Some(site), extension) => Place { site: Some(site), extension, phone: None },
            (None, phone) => Place { phone, ..Place::default() },
        };
        // What was keyed is nobody else's business.
        let seat = self.seat_at(agent, place).map_err(|_| "nobody can be reached there".to_owned())?;
        Ok((Some(seat), false))
    }

    /// The transfer that a flow asked for has failed; the caller drains the run.
    pub(super) fn transfer_over(&mut self, now: Now, call: CallId, cause: Cause) {
        let result = match cause {
            Cause::Busy => TransferResult::Busy,
            Cause::NoAnswer | Cause::NoUserResponding => TransferResult::NoAnswer,
            other => TransferResult::Failed(other),
        };
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, "transfer-failed", cause.as_str());
        }
        self.back_to_flow(now, call, result);
        if self.calls.get(&call).is_some_and(|c| c.run.is_none()) {
            self.end_call(now, call, cause);
        }
    }

    /// The client is its flow's again, which learns what came of the transfer; the caller drains the run.
    pub(super) fn back_to_flow(&mut self, now: Now, call: CallId, result: TransferResult) {
        if let Some(c) = self.calls.get_mut(&call) {
            c.route.clear();
            c.state = CallState::Flow;
        }
        if let Some(port) = self.client_port(call) {
            self.media(MediaCommand::StopPlay { port });
        }
        self.feed_flow(now, call, FlowInput::TransferEnded(result));
    }
}

/// Compares without leaving early, so that the time taken does not tell how many digits are right.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}
