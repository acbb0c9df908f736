//! Flows: whatever text, checked, drawn and walked.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cordboard::base::{Cause, Instant, Now, Timestamp};
use cordboard::core::fault::Fault;
use cordboard::core::ivr::{
    ATTRIBUTE_OCTETS_MAX, ATTRIBUTES_MAX, CallbackResult, Context, Flow, Input, QueueExit, Run, STEPS_MAX,
    STEPS_WITHOUT_WAIT_MAX, Step, TransferResult, check, draw_dot, draw_svg,
};

use crate::chance::Chance;
use crate::{files, fuzz};

static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| files("examples/flows", "toml"));

const WORDS: &[&[u8]] = &[
    b"\"{ani}\"",
    b"{",
    b"}}",
    b"\"\"\"",
    b"[[",
    b"[step.x]\ndo = \"hangup\"\n",
    b"[step.loop]\ndo = \"goto\"\nnext = \"loop\"\n",
    b"next = \"loop\"",
    b"retries = 99\n",
    b"secret = true\n",
    b"say = \"number\"\n",
    b"on_fax = \"fax\"\n",
    b"on_machine = \"fax\"\n",
    b"nan",
    b"1979-05-27T07:32:00Z",
    b"\xe2\x80\xae",
    b"<script>&\"'",
    b"{ silence_ms = 60000 }",
];

/// Faults are told at places that are in the text.
pub fn check_faults(faults: &[Fault], text: &str) {
    assert!(!faults.is_empty(), "refused without a reason");
    let lines = text.lines().count() + 1;
    for fault in faults {
        assert!(usize::try_from(fault.line).is_ok_and(|line| line <= lines), "{fault} in {lines} lines");
        assert!(!fault.what.is_empty() && !fault.to_string().is_empty());
    }
}

/// A drawing is one element, and nothing in a name or text opens another.
fn check_drawing(flow: &Flow, text: &str) {
    let (svg, dot) = (draw_svg(flow), draw_dot(flow));
    assert!(svg.trim_start().starts_with('<') && svg.trim_end().ends_with("</svg>"));
    assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    assert!(!svg.contains("<script"));
    assert!(dot.trim_end().ends_with('}'));
    let bound = 64 * (text.len() + 1_024);
    assert!(svg.len() <= bound && dot.len() <= bound, "{} and {} octets of {}", svg.len(), dot.len(), text.len());
}

fn input(chance: &mut Chance<'_>) -> Input {
    match chance.below(10) {
        0 => Input::Dequeued(*chance.pick(&[QueueExit::Overflow, QueueExit::Full, QueueExit::Unknown])),
        1 => {
            let results = [
                TransferResult::Busy,
                TransferResult::NoAnswer,
                TransferResult::Machine,
                TransferResult::Failed(Cause::Congestion),
            ];
            Input::TransferEnded(*chance.pick(&results))
        }
        2 => Input::AgentDone(chance.one_in(2)),
        3 | 4 => Input::PlayDone,
        8 => Input::Fax,
        9 => {
            use CallbackResult::*;
            Input::CallbackDone(*chance.pick(&[Taken, Known, Full, Refused]))
        }
        5 if chance.one_in(8) => Input::Start,
        _ => Input::Digit(char::from(*chance.pick(b"0123456789*#ABCDx"))),
    }
}

/// Takes what the run wants; true once it hung up.
fn drain(run: &mut Run, over: &mut bool) {
    let mut steps = 0;
    while let Some(step) = run.poll_output() {
        steps += 1;
        match step {
            Step::Hangup(_) => assert!(!std::mem::replace(over, true), "hung up twice"),
            Step::Note { what, detail } => assert!(!what.is_empty() && detail.len() <= 1_024),
            Step::Play(items) => assert!(!*over && !items.is_empty() && items.len() <= 4_096),
            Step::Transfer { to, ring_s, .. } => {
                assert!(!*over && !to.contains(['\r', '\n']) && (1..=600).contains(&ring_s))
            }
            Step::Answer
            | Step::StopPlay
            | Step::DetectFax(_)
            | Step::Enqueue { .. }
            | Step::Dequeue
            | Step::Callback { .. }
            | Step::Agent { .. } => assert!(!*over),
        }
    }
    assert!(steps <= 4 * STEPS_WITHOUT_WAIT_MAX, "{steps} steps at once");
    assert_eq!(run.is_over(), *over);
    // What the call brings is in beside what the flow sets.
    assert!(run.attributes().count() <= ATTRIBUTES_MAX);
    assert!(run.attributes().all(|(_, value)| value.len() <= ATTRIBUTE_OCTETS_MAX));
}

fn walk(flow: Arc<Flow>, chance: &mut Chance<'_>) {
    let ani = chance.bent_text(&[b"+12125550100".to_vec()], &[]);
    let context = Context {
        tenant: "acme".into(),
        language: chance.pick(&["en", "de", "", "../x"]).to_string(),
        timezone: chance.pick(&["Europe/Berlin", "America/New_York", "Nowhere/Land", ""]).to_string(),
        attributes: (0..chance.below(80))
            .map(|n| (format!("a{n}"), "v".repeat(usize::from(chance.octet()) * 2)))
            .chain([("ani".into(), ani)])
            .collect(),
    };
    let mut now = Now {
        mono: Instant::from_micros(1),
        wall: Timestamp(i64::from(chance.word().cast_signed()) * i64::from(chance.octet()) * 1_000),
    };
    let mut run = Run::new(flow, context);
    let mut over = false;
    run.handle(now, Input::Start);
    drain(&mut run, &mut over);
    while !chance.is_spent() {
        now = now.after(match chance.below(3) {
            0 => Duration::ZERO,
            1 => Duration::from_millis(u64::from(chance.octet()) * 50),
            _ => run.poll_timeout().map_or(Duration::ZERO, |at| at.since(now.mono)),
        });
        if chance.one_in(3) {
            run.handle_timeout(now);
        } else {
            run.handle(now, input(chance));
        }
        drain(&mut run, &mut over);
        assert!(!over || run.poll_timeout().is_none(), "a timer after the end");
    }
}

fn target(mut chance: Chance<'_>) {
    let text = if chance.one_in(12) {
        String::from_utf8_lossy(chance.take(1_000)).into_owned()
    } else {
        chance.bent_text(&CORPUS, WORDS)
    };
    match check(&text, "f.toml") {
        Err(faults) => check_faults(&faults, &text),
        Ok(flow) => {
            assert!((1..=STEPS_MAX).contains(&flow.step_count()));
            check_drawing(&flow, &text);
            walk(Arc::new(flow), &mut chance);
        }
    }
}

#[test]
fn texts_and_walks() {
    fuzz!(1_024, target);
}
