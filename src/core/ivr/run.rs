//! One call's way through a flow.
//!
//! The run walks from step to step until one waits: for a playback's end, a digit, a queue, a transfer or an agent's
//! sign-in. Digits that come while no step takes them are kept for the next that does (type-ahead).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::check::is_language;
use super::flow::{Action, Agent, AgentAction, Ask, Collect, Enqueue, Flow, Menu, NodeId, Rule, Test, Transfer};
use super::template::{Template, bounded, is_attribute_name};
use super::{ATTRIBUTES_MAX, DIGITS_MAX, KEYS, STEPS_WITHOUT_WAIT_MAX, prompt};
use crate::base::{Cause, Instant, Now, Redacted, Timestamp as WallTime};
use crate::core::hours::{DAYS, Openness};
use crate::core::media::PlayItem;

mod callback;

/// What a run starts from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Context {
    /// Tenant's name; becomes the attribute `tenant`.
    pub tenant: String,
    /// Language of spoken values and built-in prompts, e.g. `en`, unless the flow names one; becomes the attribute
    /// `language`.
    pub language: String,
    /// IANA time zone of opening hours and spoken times, unless the flow names one. One that does not exist means UTC,
    /// and is noted.
    pub timezone: String,
    /// What is known of the call: `dnis`, `ani`, `medium`, and what the flow declares in `expects`. Beyond
    /// [`ATTRIBUTES_MAX`] they are dropped and noted; values are cut to [`super::ATTRIBUTE_OCTETS_MAX`].
    pub attributes: Vec<(String, String)>,
}

/// Why a caller came back from a queue without an agent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum QueueExit {
    /// Waited for the queue's longest time.
    Overflow,
    /// The queue holds as many callers as it may.
    Full,
    /// No queue has that name.
    Unknown,
}

/// What came of a wish to be called back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallbackResult {
    /// It is kept.
    Taken,
    /// There was one already, of the same number to the same queue: that one holds.
    Known,
    /// There is no room for it.
    Full,
    /// The number cannot be called, or the queue calls nobody back.
    Refused,
}

/// How a transfer failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TransferResult {
    /// The target is busy.
    Busy,
    /// It rang and nobody answered.
    NoAnswer,
    /// A machine answered, and was let go.
    Machine,
    /// Anything else.
    Failed(Cause),
}

/// What happened to the caller. An input that nothing waits for is ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// The call is there: begin. Once, first.
    Start,
    /// The last [`Step::Play`] came to its end. Not to be passed on for a playback that [`Step::StopPlay`] ended.
    PlayDone,
    /// The caller keyed a digit, `0-9*#A-D`; anything else is ignored.
    Digit(char),
    /// The last [`Step::Enqueue`] ended without an agent. (With one, the run is over: drop it.)
    Dequeued(QueueExit),
    /// The last [`Step::Transfer`] failed. (When it is answered, the run is over: drop it.)
    TransferEnded(TransferResult),
    /// A fax machine calls.
    Fax,
    /// The last [`Step::Agent`] was done (`true`) or refused.
    AgentDone(bool),
    /// What came of the last [`Step::Callback`].
    CallbackDone(CallbackResult),
}

/// What the run asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Answer the call. The run goes on at once; nothing is to be said of it.
    Answer,
    /// Play to the caller, then say [`Input::PlayDone`]. Never empty.
    Play(Vec<PlayItem>),
    /// Stop the playback.
    StopPlay,
    /// Put the caller into a queue.
    Enqueue {
        /// Queue's name within the tenant.
        queue: String,
    },
    /// Take the caller out of the queue: it pressed a key that leads elsewhere. The run goes on at once. The caller keeps its
    /// place for a [`Step::Callback`] or [`Step::Enqueue`] that follows.
    Dequeue,
    /// Keep the caller's wish to be called back, then say [`Input::CallbackDone`].
    Callback {
        /// Queue's name within the tenant.
        queue: String,
        /// The number to call.
        number: Redacted<String>,
        /// The agreed time; as soon as the caller's turn comes without.
        at: Option<WallTime>,
    },
    /// Call another party and join it with the caller.
    Transfer {
        /// Number of `0-9*#+`, or SIP URI.
        to: String,
        /// Seconds to let it ring (1..=600).
        ring_s: u32,
        /// Whether to find out who answers: a machine is to be let go, with [`TransferResult::Machine`].
        examine: bool,
    },
    /// Listen for a fax machine's calling tone ([`Input::Fax`]), or no longer.
    DetectFax(bool),
    /// Change the state of the agent with that code and PIN, then say [`Input::AgentDone`].
    Agent {
        /// What to do.
        action: AgentAction,
        /// Agent's code as keyed.
        code: String,
        /// PIN as keyed.
        pin: Redacted<String>,
        /// With a sign-in: [`AT_CALLER`](super::AT_CALLER), or a site's name.
        at: Option<String>,
        /// With a sign-in: the extension at the site, or without one a number outside.
        number: Option<String>,
    },
    /// End the call; the run is over.
    Hangup(Cause),
    /// Something for the call's record. Holds no digits that the caller keyed into a `collect`.
    Note {
        /// A stable word: `menu`, `collect`, `hours`, `fax`, `no-input`, `invalid-input`, `loop`, `not-said`,
        /// `not-dialable`, `no-time`, `attributes-full`, `digits-dropped`, `time-zone`.
        what: &'static str,
        /// Detail for people, beginning with the step's name.
        detail: String,
    },
}

/// What the run waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wait {
    Start,
    /// The end of a playback, which a digit may stop if `barge_in`.
    Prompt {
        barge_in: bool,
    },
    Digit,
    Queue,
    Transfer,
    Agent,
    Callback,
    /// The run has hung up.
    Nothing,
}

/// The run's timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Timer {
    /// When the caller has keyed nothing since the prompt.
    FirstDigit,
    /// When the caller has keyed nothing since the last digit of a `collect`.
    InterDigit,
}

/// Where a step's work leads.
enum Turn {
    /// On to another step.
    Go(NodeId),
    /// Nowhere until something happens, or ever after a hangup.
    Stay,
}

/// What a try to get keys came to nothing by.
#[derive(Clone, Copy)]
enum Miss {
    Timeout,
    Invalid,
}

/// One call's way through a flow: hand it what happens, then drain [`Run::poll_output`], then wait until
/// [`Run::poll_timeout`].
#[derive(Debug)]
pub struct Run {
    flow: Arc<Flow>,
    zone: TimeZone,
    values: BTreeMap<String, Redacted<String>>,
    at: NodeId,
    wait: Wait,
    timer: Option<(Timer, Instant)>,
    /// Tries of the present step that came to nothing.
    misses: u32,
    /// What the present `collect` has taken.
    taken: Redacted<String>,
    /// Digits keyed ahead.
    ahead: Redacted<VecDeque<char>>,
    /// A terminator to ignore until then: a `collect` ended by its length, and callers press it all the same.
    late_terminator: Option<(char, Instant)>,
    digits_dropped: u64,
    attributes_dropped: u64,
    /// Whether a fax machine's tone is listened for.
    fax_wanted: bool,
    /// When the last input came, and the steps taken since at that very moment.
    moment: Instant,
    steps_in_moment: usize,
    output: VecDeque<Step>,
}

impl Run {
    /// A run that waits for [`Input::Start`].
    pub fn new(flow: Arc<Flow>, context: Context) -> Self {
        let mut run = Self {
            zone: TimeZone::UTC,
            values: BTreeMap::new(),
            at: flow.start,
            wait: Wait::Start,
            timer: None,
            misses: 0,
            taken: Redacted::default(),
            ahead: Redacted::default(),
            late_terminator: None,
            digits_dropped: 0,
            attributes_dropped: 0,
            fax_wanted: false,
            moment: Instant::ZERO,
            steps_in_moment: 0,
            output: VecDeque::new(),
            flow,
        };
        let zone = run.flow.zone.clone().or_else(|| TimeZone::get(&context.timezone).ok());
        if zone.is_none() {
            run.note("time-zone", format!("{} is not known: UTC", bounded(&context.timezone)));
        }
        run.zone = zone.unwrap_or(TimeZone::UTC);
        let language = run.flow.language.clone().unwrap_or(context.language);
        run.set("tenant", &context.tenant);
        run.set("language", if is_language(&language) { &language } else { "en" });
        for (name, value) in context.attributes.iter().filter(|(name, _)| is_attribute_name(name)) {
            run.set(name, value);
        }
        run
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        let turn = match (self.wait, input) {
            (Wait::Start, Input::Start) => self.begin(now),
            (Wait::Prompt { .. }, Input::PlayDone) => self.prompt_over(now),
            (_, Input::Digit(digit)) if KEYS.contains(digit) => self.digit(now, digit),
            (Wait::Queue, Input::Dequeued(exit)) => self.dequeued(exit),
            (Wait::Transfer, Input::TransferEnded(result)) => self.transfer_ended(result),
            (Wait::Agent, Input::AgentDone(done)) => self.agent_done(done),
            (Wait::Callback, Input::CallbackDone(result)) => self.callback_done(result),
            (Wait::Prompt { .. } | Wait::Digit, Input::Fax) => self.fax(),
            _ => Turn::Stay,
        };
        self.walk(now, turn);
    }

    /// Takes the time; call it when [`Run::poll_timeout`] is reached. Earlier calls do nothing.
    pub fn handle_timeout(&mut self, now: Now) {
        let Some((timer, _)) = self.timer.filter(|(_, at)| *at <= now.mono) else { return };
        self.timer = None;
        let flow = Arc::clone(&self.flow);
        let turn = match (timer, flow.nodes.get(self.at).map(|node| &node.action)) {
            (Timer::InterDigit, Some(Action::Collect(collect))) => self.collected(now, collect),
            (Timer::FirstDigit, Some(Action::Collect(Collect { ask, .. }) | Action::Menu(Menu { ask, .. }))) => {
                self.missed(now, ask, Miss::Timeout)
            }
            _ => Turn::Stay,
        };
        self.walk(now, turn);
    }

    /// When to call [`Run::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timer.map(|(_, at)| at)
    }

    /// What to do next; `None` when there is nothing until something happens.
    pub fn poll_output(&mut self) -> Option<Step> {
        self.output.pop_front()
    }

    /// The call's attributes in the order of their names, without those that a `collect` with `secret = true` fills.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let shown = self.values.iter().filter(|(name, _)| !self.flow.secrets.contains(*name));
        shown.map(|(name, value)| (name.as_str(), value.expose().as_str()))
    }

    /// Attributes held, those not shown included.
    pub fn attributes_len(&self) -> usize {
        self.values.len()
    }

    /// Digits keyed ahead.
    pub fn digits_len(&self) -> usize {
        self.ahead.expose().len()
    }

    /// Attributes and digits dropped for want of room.
    pub fn lost(&self) -> (u64, u64) {
        (self.attributes_dropped, self.digits_dropped)
    }

    /// The name of the step that the run is at.
    pub fn step_name(&self) -> &str {
        self.flow.nodes.get(self.at).map_or("", |node| node.name.as_str())
    }

    /// Whether the run has hung up.
    pub fn is_over(&self) -> bool {
        self.wait == Wait::Nothing
    }
}

/// Walking.
impl Run {
    fn begin(&mut self, now: Now) -> Turn {
        let local = self.local(now);
        let weekday = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or_default();
        self.set("date", &local.date().to_string());
        self.set("hour", &local.hour().to_string());
        self.set("minute", &local.minute().to_string());
        self.set("weekday", DAYS.get(weekday).copied().unwrap_or_default());
        Turn::Go(self.flow.start)
    }

    fn walk(&mut self, now: Now, mut turn: Turn) {
        // By the clock and not by input: a queue or transfer that refuses at once is no wait either.
        if self.moment != now.mono {
            (self.moment, self.steps_in_moment) = (now.mono, 0);
        }
        while let Turn::Go(next) = turn {
            self.steps_in_moment += 1;
            if self.steps_in_moment > STEPS_WITHOUT_WAIT_MAX {
                self.note("loop", format!("{STEPS_WITHOUT_WAIT_MAX} steps without waiting"));
                self.hang_up(Cause::TemporaryFailure);
                return;
            }
            turn = self.enter(now, next);
        }
    }

    fn enter(&mut self, now: Now, id: NodeId) -> Turn {
        let flow = Arc::clone(&self.flow);
        let Some(node) = flow.nodes.get(id) else { return self.hang_up(Cause::TemporaryFailure) };
        self.at = id;
        self.timer = None;
        self.misses = 0;
        self.taken = Redacted::default();
        match &node.action {
            Action::Answer { next } => {
                self.output.push_back(Step::Answer);
                self.detect_fax(true);
                Turn::Go(*next)
            }
            Action::Goto { next } => Turn::Go(*next),
            Action::Play { prompt, barge_in, .. } => {
                let items = self.items(now, prompt);
                self.play(now, items, *barge_in)
            }
            Action::Menu(Menu { ask, .. }) | Action::Collect(Collect { ask, .. }) => self.ask(now, ask, None),
            Action::Branch { rules, otherwise } => {
                Turn::Go(rules.iter().find(|rule| self.holds(rule)).map_or(*otherwise, |rule| rule.then))
            }
            Action::Hours { hours, zone, open, closed, holiday } => {
                let local = zone.as_ref().map_or_else(|| self.local(now), |zone| local(zone, now));
                let openness = hours.at(local);
                self.note("hours", openness.as_str());
                Turn::Go(match openness {
                    Openness::Open => *open,
                    Openness::Closed => *closed,
                    Openness::Holiday => *holiday,
                })
            }
            Action::Set { values, next } => {
                // All texts are made before any value changes, so their order does not matter.
                let made: Vec<String> = values.iter().map(|(_, text)| self.render(text)).collect();
                for ((name, _), value) in values.iter().zip(made) {
                    let keeps = name == "language" && !is_language(&value);
                    if !keeps {
                        self.set(name, &value);
                    }
                }
                Turn::Go(*next)
            }
            Action::Enqueue(Enqueue { queue, .. }) => {
                let queue = self.render(queue);
                self.detect_fax(false);
                self.output.push_back(Step::Enqueue { queue });
                self.wait_for(Wait::Queue)
            }
            Action::Callback(callback) => self.callback(now, callback),
            Action::Transfer(transfer) => self.transfer(transfer),
            Action::Agent(Agent { action, code, pin, place, .. }) => {
                let (code, pin) = (self.render(code), Redacted::new(self.render(pin)));
                let [at, number] = place.each_ref().map(|part| part.as_ref().map(|part| self.render(part)));
                self.output.push_back(Step::Agent { action: *action, code, pin, at, number });
                self.wait_for(Wait::Agent)
            }
            Action::Hangup(cause) => self.hang_up(*cause),
        }
    }

    fn wait_for(&mut self, wait: Wait) -> Turn {
        self.wait = wait;
        Turn::Stay
    }

    /// On to a step, or the end of the call where the flow names none.
    fn exit(&mut self, to: Option<NodeId>, cause: Cause) -> Turn {
        match to {
            Some(to) => Turn::Go(to),
            None => self.hang_up(cause),
        }
    }

    fn hang_up(&mut self, cause: Cause) -> Turn {
        self.timer = None;
        self.output.push_back(Step::Hangup(cause));
        self.wait_for(Wait::Nothing)
    }

    fn note(&mut self, what: &'static str, detail: impl AsRef<str>) {
        let detail = format!("{}: {}", self.step_name(), detail.as_ref());
        self.output.push_back(Step::Note { what, detail });
    }

    fn dequeued(&mut self, exit: QueueExit) -> Turn {
        let flow = Arc::clone(&self.flow);
        let Some(Action::Enqueue(enqueue)) = flow.nodes.get(self.at).map(|node| &node.action) else {
            return Turn::Stay;
        };
        match exit {
            QueueExit::Overflow => self.exit(enqueue.on_overflow, Cause::NoAnswer),
            QueueExit::Full => self.exit(enqueue.on_full, Cause::Congestion),
            QueueExit::Unknown => self.exit(enqueue.on_full, Cause::TemporaryFailure),
        }
    }

    /// Fax machines are listened for between the answer and the queue or the transfer: a call that waits or talks stays.
    fn detect_fax(&mut self, on: bool) {
        if self.flow.on_fax.is_some() && self.fax_wanted != on {
            self.fax_wanted = on;
            self.output.push_back(Step::DetectFax(on));
        }
    }

    /// A fax machine calls: whatever plays or waits for keys gives way to its step, once.
    fn fax(&mut self) -> Turn {
        let Some(to) = self.flow.on_fax.filter(|_| self.fax_wanted) else { return Turn::Stay };
        if matches!(self.wait, Wait::Prompt { .. }) {
            self.output.push_back(Step::StopPlay);
        }
        self.note("fax", "a fax machine calls");
        self.detect_fax(false);
        Turn::Go(to)
    }

    fn transfer(&mut self, transfer: &Transfer) -> Turn {
        let to = self.render(&transfer.to);
        if !transfer.allows(&to) {
            self.note("not-dialable", "the target is neither a number nor a SIP URI");
            return self.exit(transfer.on_fail, Cause::InvalidNumber);
        }
        self.detect_fax(false);
        let examine = transfer.on_machine.is_some();
        self.output.push_back(Step::Transfer { to, ring_s: transfer.ring_s, examine });
        self.wait_for(Wait::Transfer)
    }

    fn transfer_ended(&mut self, result: TransferResult) -> Turn {
        let flow = Arc::clone(&self.flow);
        let Some(Action::Transfer(transfer)) = flow.nodes.get(self.at).map(|node| &node.action) else {
            return Turn::Stay;
        };
        match result {
            TransferResult::Busy => self.exit(transfer.on_busy, Cause::Busy),
            TransferResult::NoAnswer => self.exit(transfer.on_no_answer, Cause::NoAnswer),
            TransferResult::Machine => self.exit(transfer.on_machine, Cause::NoAnswer),
            TransferResult::Failed(cause) => self.exit(transfer.on_fail, cause),
        }
    }

    fn agent_done(&mut self, done: bool) -> Turn {
        let flow = Arc::clone(&self.flow);
        match flow.nodes.get(self.at).map(|node| &node.action) {
            Some(Action::Agent(agent)) if done => Turn::Go(agent.on_ok),
            Some(Action::Agent(agent)) => self.exit(agent.on_fail, Cause::Normal),
            _ => Turn::Stay,
        }
    }
}

/// Prompts and keys.
impl Run {
    /// Plays items, unless there are none, or keys typed ahead make them needless.
    fn play(&mut self, now: Now, items: Vec<PlayItem>, barge_in: bool) -> Turn {
        if items.is_empty() || (barge_in && !self.ahead.expose().is_empty()) {
            return self.prompt_over(now);
        }
        self.output.push_back(Step::Play(items));
        self.wait_for(Wait::Prompt { barge_in })
    }

    /// The playback has ended, was stopped, or is not needed.
    fn prompt_over(&mut self, now: Now) -> Turn {
        let flow = Arc::clone(&self.flow);
        match flow.nodes.get(self.at).map(|node| &node.action) {
            Some(Action::Play { next, .. }) => Turn::Go(*next),
            Some(Action::Menu(Menu { ask, .. }) | Action::Collect(Collect { ask, .. })) => self.listen(now, ask),
            _ => Turn::Stay,
        }
    }

    /// Asks for keys, at first or after a miss.
    fn ask(&mut self, now: Now, ask: &Ask, after: Option<Miss>) -> Turn {
        if !ask.type_ahead || after.is_some() {
            self.forget_ahead();
        }
        let mut items = Vec::new();
        if let Some(Miss::Invalid) = after {
            items = self.items(now, &ask.invalid_prompt);
        }
        items.extend(self.items(now, &ask.prompt));
        self.play(now, items, ask.barge_in)
    }

    /// Takes what was typed ahead, then waits for keys.
    fn listen(&mut self, now: Now, ask: &Ask) -> Turn {
        self.wait = Wait::Digit;
        self.arm(now, Timer::FirstDigit, ask.first_s);
        while let Some(digit) = self.next_ahead() {
            match self.key(now, digit) {
                Turn::Stay if self.wait == Wait::Digit && self.timer.is_some() => {}
                turn => return turn,
            }
        }
        Turn::Stay
    }

    fn arm(&mut self, now: Now, timer: Timer, seconds: u32) {
        self.timer = Some((timer, now.mono + Duration::from_secs(u64::from(seconds))));
    }

    fn digit(&mut self, now: Now, digit: char) -> Turn {
        if let Some((terminator, until)) = self.late_terminator.take()
            && digit == terminator
            && now.mono < until
        {
            return Turn::Stay;
        }
        match self.wait {
            Wait::Digit => self.key(now, digit),
            Wait::Prompt { barge_in: true } => {
                self.output.push_back(Step::StopPlay);
                self.keep(digit);
                self.prompt_over(now)
            }
            Wait::Prompt { barge_in: false } if !self.takes_type_ahead() => Turn::Stay,
            Wait::Nothing => Turn::Stay,
            Wait::Queue => self.queue_key(digit),
            Wait::Start | Wait::Prompt { .. } | Wait::Transfer | Wait::Agent | Wait::Callback => {
                self.keep(digit);
                Turn::Stay
            }
        }
    }

    /// A key for the present menu or `collect`.
    fn key(&mut self, now: Now, digit: char) -> Turn {
        let flow = Arc::clone(&self.flow);
        match flow.nodes.get(self.at).map(|node| &node.action) {
            Some(Action::Menu(menu)) => {
                self.timer = None;
                match menu.keys.get(&digit) {
                    Some(next) => {
                        self.note("menu", format!("key {digit}"));
                        Turn::Go(*next)
                    }
                    None => self.missed(now, &menu.ask, Miss::Invalid),
                }
            }
            Some(Action::Collect(collect)) => self.collect(now, collect, digit),
            _ => Turn::Stay,
        }
    }

    fn collect(&mut self, now: Now, collect: &Collect, digit: char) -> Turn {
        if collect.terminator == Some(digit) {
            return self.collected(now, collect);
        }
        let mut taken = std::mem::take(&mut self.taken).into_inner();
        taken.push(digit);
        let full = taken.len() >= usize::try_from(collect.max).unwrap_or(DIGITS_MAX);
        self.taken = Redacted::new(taken);
        if !full {
            self.arm(now, Timer::InterDigit, collect.inter_s);
            return Turn::Stay;
        }
        if let Some(terminator) = collect.terminator {
            if self.ahead.expose().front() == Some(&terminator) {
                self.next_ahead();
            } else if self.ahead.expose().is_empty() {
                let until = now.mono + Duration::from_secs(u64::from(collect.inter_s));
                self.late_terminator = Some((terminator, until));
            }
        }
        self.collected(now, collect)
    }

    fn collected(&mut self, now: Now, collect: &Collect) -> Turn {
        self.timer = None;
        let taken = std::mem::take(&mut self.taken);
        let count = taken.expose().len();
        if count < usize::try_from(collect.min).unwrap_or(DIGITS_MAX) {
            return self.missed(now, &collect.ask, Miss::Invalid);
        }
        self.note("collect", format!("{count} digits into {}", collect.attribute));
        self.set(&collect.attribute, taken.expose());
        Turn::Go(collect.next)
    }

    /// A try came to nothing: another, or on.
    fn missed(&mut self, now: Now, ask: &Ask, miss: Miss) -> Turn {
        self.timer = None;
        self.taken = Redacted::default();
        self.misses += 1;
        let what = match miss {
            Miss::Timeout => "no-input",
            Miss::Invalid => "invalid-input",
        };
        self.note(what, format!("try {} of {}", self.misses, ask.retries + 1));
        if self.misses <= ask.retries {
            return self.ask(now, ask, Some(miss));
        }
        // What was typed ahead followed a key that did not do what the caller meant.
        self.forget_ahead();
        match miss {
            Miss::Timeout => self.exit(ask.on_timeout, Cause::Normal),
            Miss::Invalid => self.exit(ask.on_invalid, Cause::Normal),
        }
    }

    fn takes_type_ahead(&self) -> bool {
        match self.flow.nodes.get(self.at).map(|node| &node.action) {
            Some(Action::Menu(Menu { ask, .. }) | Action::Collect(Collect { ask, .. })) => ask.type_ahead,
            _ => true,
        }
    }

    fn keep(&mut self, digit: char) {
        if self.ahead.expose().len() >= DIGITS_MAX {
            self.digits_dropped += 1;
            if self.digits_dropped == 1 {
                self.note("digits-dropped", format!("more than {DIGITS_MAX} typed ahead"));
            }
            return;
        }
        let mut ahead = std::mem::take(&mut self.ahead).into_inner();
        ahead.push_back(digit);
        self.ahead = Redacted::new(ahead);
    }

    fn next_ahead(&mut self) -> Option<char> {
        let mut ahead = std::mem::take(&mut self.ahead).into_inner();
        let digit = ahead.pop_front();
        self.ahead = Redacted::new(ahead);
        digit
    }

    fn forget_ahead(&mut self) {
        self.ahead = Redacted::default();
    }
}

/// Attributes and values.
impl Run {
    fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", |value| value.expose().as_str())
    }

    fn set(&mut self, name: &str, value: &str) {
        if self.values.len() >= ATTRIBUTES_MAX && !self.values.contains_key(name) {
            self.attributes_dropped += 1;
            return self.note("attributes-full", format!("{name} is dropped"));
        }
        self.values.insert(name.to_owned(), Redacted::new(bounded(value).to_owned()));
    }

    fn render(&self, text: &Template) -> String {
        text.render(|name| self.value(name))
    }

    fn items(&mut self, now: Now, prompt: &[super::flow::PromptItem]) -> Vec<PlayItem> {
        let (items, left_out) =
            prompt::render(prompt, self.value("language"), self.local(now), |name| self.value(name));
        if left_out > 0 {
            self.note("not-said", format!("{left_out} items have no value that can be said"));
        }
        items
    }

    fn local(&self, now: Now) -> DateTime {
        local(&self.zone, now)
    }

    fn holds(&self, rule: &Rule) -> bool {
        let value = self.value(&rule.attribute);
        match &rule.test {
            Test::Equal(text) => value == self.render(text),
            Test::NotEqual(text) => value != self.render(text),
            Test::In(texts) => texts.iter().any(|text| value == self.render(text)),
            Test::Prefix(text) => value.starts_with(&self.render(text)),
            Test::Exists(wanted) => value.is_empty() != *wanted,
            Test::Level(level, bound) => {
                let number = value.trim().parse::<f64>().ok().filter(|number| number.is_finite());
                number.is_some_and(|number| level.holds(number, *bound))
            }
        }
    }
}

fn local(zone: &TimeZone, now: Now) -> DateTime {
    // A clock beyond the years that have a date (-9999..=9999) is read as the epoch.
    let moment = Timestamp::from_millisecond(now.wall.as_millis()).unwrap_or_default();
    zone.to_datetime(moment)
}

#[cfg(test)]
mod tests;
