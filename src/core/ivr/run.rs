//! One call's way through a flow.

use std::collections::VecDeque;
use std::sync::Arc;

use super::flow::{AgentAction, Flow};
use crate::base::{Cause, Instant, Now, Redacted};
use crate::core::media::PlayItem;

/// What a run starts from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Context {
    /// Tenant's name; becomes the attribute `tenant`.
    pub tenant: String,
    /// Language of spoken values and built-in prompts, e.g. `en`; becomes the attribute `language`.
    pub language: String,
    /// IANA time zone of opening hours and spoken times, unless the flow names one.
    pub timezone: String,
    /// What is known of the call: `dnis`, `ani`, `medium`, and what the flow declares in `expects`.
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

/// How a transfer failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TransferResult {
    /// The target is busy.
    Busy,
    /// It rang and nobody answered.
    NoAnswer,
    /// Anything else.
    Failed(Cause),
}

/// What happened to the caller.
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
    /// The last [`Step::Agent`] was done (`true`) or refused.
    AgentDone(bool),
}

/// What the run asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Answer the call.
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
    /// Call another party and join it with the caller.
    Transfer {
        /// Number, or SIP URI.
        to: String,
        /// Seconds to let it ring.
        ring_s: u32,
    },
    /// Change the state of the agent with that code and PIN, then say [`Input::AgentDone`].
    Agent {
        /// What to do.
        action: AgentAction,
        /// Agent's code as keyed.
        code: String,
        /// PIN as keyed.
        pin: Redacted<String>,
    },
    /// End the call; the run is over.
    Hangup(Cause),
    /// Something for the call's record. Holds no digits that the caller keyed into `collect`.
    Note {
        /// A stable word.
        what: &'static str,
        /// Detail for people.
        detail: String,
    },
}

/// One call's way through a flow: hand it what happens, then drain [`Run::poll_output`], then wait until
/// [`Run::poll_timeout`].
#[derive(Debug)]
pub struct Run {
    flow: Arc<Flow>,
    context: Context,
    output: VecDeque<Step>,
}

impl Run {
    /// A run that waits for [`Input::Start`].
    pub fn new(flow: Arc<Flow>, context: Context) -> Self {
        Self { flow, context, output: VecDeque::new() }
    }

    /// Takes what happened.
    pub fn handle(&mut self, _now: Now, _input: Input) {
        if self.flow.references().is_empty() {
            self.output.push_back(Step::Hangup(Cause::TemporaryFailure));
        }
    }

    /// Takes the time; call it when [`Run::poll_timeout`] is reached.
    pub fn handle_timeout(&mut self, _now: Now) {}

    /// When to call [`Run::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// What to do next; `None` when there is nothing until something happens.
    pub fn poll_output(&mut self) -> Option<Step> {
        self.output.pop_front()
    }

    /// The call's attributes by name, without those that a `collect` with `secret = true` fills.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.context.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
