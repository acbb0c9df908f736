//! Walks a flow with typed keys and prints what a caller would hear.
//!
//! `cargo run --example flow_walk -- FILE [KEYS]`: a key is typed whenever the flow waits for one; `.` types nothing
//! until the flow's patience ends, and so does the end of KEYS. Without arguments: a caller of the main line in
//! `config/flows` waits in vain once, mistypes, and then asks for the support.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cordboard::base::{Instant, Now, Timestamp};
use cordboard::core::ivr::{CallbackResult, Context, Input, Run, Step, check};
use cordboard::core::media::PlayItem;

/// 2026-11-23, a Monday, 15:04 in New York.
const MONDAY_AFTERNOON: Timestamp = Timestamp(1_795_464_240_000);
/// A flow may play in a circle for ever; a caller who listens so long has heard it all.
const STEPS_MAX: usize = 500;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let file =
        arguments.next().unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/config/flows/main-line.toml").into());
    let keys = arguments.next().unwrap_or_else(|| ".92".into());
    match walk(&file, &keys) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn walk(file: &str, keys: &str) -> Result<(), String> {
    if let Some(wrong) = keys.chars().find(|key| !"0123456789*#ABCD.".contains(*key)) {
        return Err(format!("{wrong:?} is no key; type 0-9, *, #, A-D, or . to wait"));
    }
    let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
    // Every fault comes at once, as file:line:column.
    let flow = check(&text, file).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    println!("{}: {} steps", flow.name(), flow.step_count());
    Walk::new(Run::new(Arc::new(flow), caller()), keys).go();
    Ok(())
}

fn caller() -> Context {
    let known = [("ani", "+12125550123"), ("dnis", "200"), ("medium", "voice")];
    Context {
        tenant: "acme".into(),
        language: "en".into(),
        timezone: "America/New_York".into(),
        attributes: known.map(|(name, value)| (name.into(), value.into())).to_vec(),
    }
}

struct Walk<'k> {
    run: Run,
    now: Now,
    keys: std::str::Chars<'k>,
}

impl<'k> Walk<'k> {
    fn new(run: Run, keys: &'k str) -> Self {
        Self { run, now: Now { mono: Instant::from_micros(1), wall: MONDAY_AFTERNOON }, keys: keys.chars() }
    }

    /// Until the flow hangs up, hands the caller over, or goes round in circles.
    fn go(&mut self) {
        self.run.handle(self.now, Input::Start);
        for _ in 0..STEPS_MAX {
            match self.run.poll_output() {
                Some(step) => {
                    if !self.take(step) {
                        return;
                    }
                }
                None => {
                    let Some(due) = self.run.poll_timeout() else { return };
                    self.key_or_wait(due);
                }
            }
        }
        self.say("(and so on)");
    }

    /// Does what the flow asks. False: the caller is no longer the flow's.
    fn take(&mut self, step: Step) -> bool {
        match step {
            Step::Answer => self.say("answered"),
            Step::Play(items) => {
                let items: Vec<String> = items.iter().map(spoken).collect();
                self.say(&format!("hears {}", items.join(", ")));
                // A second for each piece; who wants to know is not in a hurry.
                self.now = self.now.after(Duration::from_secs(items.len().try_into().unwrap_or(1)));
                self.run.handle(self.now, Input::PlayDone);
            }
            Step::StopPlay => self.say("the prompt stops"),
            Step::Note { what, detail } => self.say(&format!("    (record: {what}: {detail})")),
            Step::Agent { action, .. } => {
                self.say(&format!("agent: {}", action.as_str()));
                self.run.handle(self.now, Input::AgentDone(true));
            }
            Step::Enqueue { queue } => {
                self.say(&format!("waits in the queue {queue}"));
                return false;
            }
            Step::Dequeue => self.say("is out of the queue"),
            Step::Callback { queue, .. } => {
                self.say(&format!("is to be called back from the queue {queue}"));
                self.run.handle(self.now, Input::CallbackDone(CallbackResult::Taken));
            }
            Step::DetectFax(on) => {
                println!("{} for a fax machine's tone", if on { "listen" } else { "no longer listen" })
            }
            Step::Transfer { to, ring_s, .. } => {
                self.say(&format!("is put through to {to}, which rings for {ring_s} s"));
                return false;
            }
            Step::Hangup(cause) => {
                self.say(&format!("the call ends: {cause}"));
                return false;
            }
        }
        true
    }

    fn key_or_wait(&mut self, due: Instant) {
        match self.keys.next() {
            Some(key) if key != '.' => {
                self.say(&format!("presses {key}"));
                self.run.handle(self.now, Input::Digit(key));
            }
            _ => {
                self.now = self.now.after(due.since(self.now.mono));
                self.say("has pressed nothing");
                self.run.handle_timeout(self.now);
            }
        }
    }

    fn say(&self, what: &str) {
        let seconds = self.now.mono.as_micros() / 1_000_000;
        println!("{seconds:4} s  {what}");
    }
}

fn spoken(item: &PlayItem) -> String {
    match item {
        PlayItem::Prompt(name) | PlayItem::PromptOr(name, _) => name.to_string(),
        PlayItem::SilenceMs(ms) => format!("{ms} ms of silence"),
        PlayItem::Beep => "a beep".into(),
    }
}
