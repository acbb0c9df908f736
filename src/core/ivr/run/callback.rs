//! Keys that a caller presses while it waits, and the wish to be called back.

use std::sync::Arc;

use super::super::flow::{Action, Callback};
use super::super::moment::Moment;
use super::{CallbackResult, Run, Step, Turn, Wait};
use crate::base::{Cause, Now, Redacted};

impl Run {
    /// A key in a queue: out of it, where the step says so, else kept for later.
    pub(super) fn queue_key(&mut self, digit: char) -> Turn {
        let next = match self.flow.nodes.get(self.at).map(|node| &node.action) {
            Some(Action::Enqueue(enqueue)) => enqueue.keys.get(&digit).copied(),
            _ => None,
        };
        let Some(next) = next else {
            self.keep(digit);
            return Turn::Stay;
        };
        self.note("key", format!("{digit} while waiting"));
        self.output.push_back(Step::Dequeue);
        Turn::Go(next)
    }

    /// Asks for a call-back.
    pub(super) fn callback(&mut self, now: Now, callback: &Callback) -> Turn {
        let (queue, number) = (self.render(&callback.queue), Redacted::new(self.render(&callback.number)));
        let agreed = callback.at.as_ref().map(|at| self.render(at));
        let at = agreed.as_ref().map(|text| Moment::parse(text)?.from(now.wall, &self.zone));
        if at == Some(None) {
            self.note("no-time", "what was agreed on is no time to come");
            return self.exit(callback.on_fail, Cause::Normal);
        }
        self.detect_fax(false);
        self.output.push_back(Step::Callback { queue, number, at: at.flatten() });
        self.wait_for(Wait::Callback)
    }

    pub(super) fn callback_done(&mut self, result: CallbackResult) -> Turn {
        let flow = Arc::clone(&self.flow);
        let Some(Action::Callback(callback)) = flow.nodes.get(self.at).map(|node| &node.action) else {
            return Turn::Stay;
        };
        match result {
            CallbackResult::Taken => Turn::Go(callback.on_ok),
            CallbackResult::Known => Turn::Go(callback.on_known.unwrap_or(callback.on_ok)),
            CallbackResult::Full => self.exit(callback.on_full, Cause::Congestion),
            CallbackResult::Refused => self.exit(callback.on_fail, Cause::Normal),
        }
    }
}
