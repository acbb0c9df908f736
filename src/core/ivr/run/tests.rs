//! Runs of small flows, and random ones of the samples.

use super::*;
use crate::base::Timestamp;
use crate::core::ivr::{ATTRIBUTE_OCTETS_MAX, check};

/// A run with a clock, and what it asked for as short words.
struct Bench {
    run: Run,
    now: Now,
}

/// 2026-11-23 (a Monday) 15:04 in New York.
const WALL: Timestamp = Timestamp(1_795_464_240_000);

impl Bench {
    fn with(text: &str, context: Context) -> Self {
        let flow = check(text, "test.toml").unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"));
        let now = Now { mono: Instant::from_micros(1_000_000), wall: WALL };
        Self { run: Run::new(Arc::new(flow), context), now }
    }

    /// A flow that starts at the step `a`, and has steps `one`, `two` and `end` that hang up.
    fn new(steps: &str) -> Self {
        let mut text = format!("[flow]\nname = 'T'\nstart = 'a'\n{steps}\n");
        for (name, cause) in [("one", "busy"), ("two", "rejected"), ("end", "normal")] {
            if steps.contains(&format!("'{name}'")) {
                text.push_str(&format!("[step.{name}]\ndo = 'hangup'\ncause = '{cause}'\n"));
            }
        }
        Self::with(&text, context())
    }

    fn output(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        while let Some(step) = self.run.poll_output() {
            words.push(match step {
                Step::Answer => "answer".to_owned(),
                Step::Play(items) => {
                    let items: Vec<String> = items
                        .into_iter()
                        .map(|item| match item {
                            PlayItem::Prompt(name) | PlayItem::PromptOr(name, _) => name.to_string(),
                            PlayItem::SilenceMs(ms) => format!("{ms}ms"),
                            PlayItem::Beep => "beep".to_owned(),
                        })
                        .collect();
                    assert!(!items.is_empty(), "an empty playback");
                    format!("play {}", items.join("+"))
                }
                Step::StopPlay => "stop".to_owned(),
                Step::Enqueue { queue } => format!("queue {queue}"),
                Step::Dequeue => "dequeue".to_owned(),
                Step::Callback { queue, number, at } => {
                    let at = at.map_or(String::new(), |at| format!(" in {} min", (at.0 - self.now.wall.0) / 60_000));
                    format!("call back {queue} {}{at}", number.expose())
                }
                Step::Transfer { to, ring_s, examine: false } => format!("transfer {to} {ring_s}"),
                Step::Transfer { to, ring_s, examine: true } => format!("transfer {to} {ring_s} examined"),
                Step::DetectFax(on) => format!("detect-fax {on}"),
                Step::Agent { action, code, pin, at, number } => {
                    let place: String = at.iter().chain(&number).map(|part| format!(" {part}")).collect();
                    format!("agent {} {code} {}{place}", action.as_str(), pin.expose())
                }
                Step::Hangup(cause) => format!("hangup {cause}"),
                Step::Note { what, detail } => format!("note {what} {detail}"),
            });
        }
        words
    }

    /// Without notes.
    fn steps(&mut self) -> Vec<String> {
        self.output().into_iter().filter(|word| !word.starts_with("note ")).collect()
    }

    fn start(&mut self) -> Vec<String> {
        self.give(Input::Start)
    }

    fn give(&mut self, input: Input) -> Vec<String> {
        self.run.handle(self.now, input);
        self.steps()
    }

    fn keys(&mut self, digits: &str) -> Vec<String> {
        digits.chars().flat_map(|digit| self.give(Input::Digit(digit))).collect()
    }

    fn wait(&mut self, seconds: u64) -> Vec<String> {
        self.now = self.now.after(Duration::from_secs(seconds));
        if self.run.poll_timeout().is_some_and(|at| at <= self.now.mono) {
            self.run.handle_timeout(self.now);
        }
        self.steps()
    }

    fn attribute(&self, name: &str) -> Option<String> {
        self.run.attributes().find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
    }
}

fn context() -> Context {
    Context {
        tenant: "acme".into(),
        language: "en".into(),
        timezone: "America/New_York".into(),
        attributes: vec![
            ("ani".into(), "+12125550100".into()),
            ("dnis".into(), "200".into()),
            ("medium".into(), "voice".into()),
        ],
    }
}

const NONE: [&str; 0] = [];

#[test]
fn answers_plays_and_hangs_up() {
    let mut b = Bench::new(
        "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'play'\nprompt = ['x/y', { silence_ms = 50 }, { beep = true }]\nnext = 'end'",
    );
    b.run.handle(b.now, Input::Start);
    assert_eq!(b.output(), ["answer", "play x/y+50ms+beep"]);
    assert_eq!(b.run.step_name(), "b");
    assert_eq!(b.run.poll_timeout(), None);
    assert_eq!(b.keys("5"), NONE, "no barge-in unless the step says so");
    assert_eq!(b.give(Input::PlayDone), ["hangup normal"]);
    assert!(b.run.is_over());
    for input in [Input::Start, Input::PlayDone, Input::Digit('1'), Input::AgentDone(true)] {
        assert_eq!(b.give(input), NONE, "nothing follows the end");
    }
}

#[test]
fn says_values_in_the_flows_language_and_zone() {
    let say = |kind: &str, value: &str| {
        let mut b = Bench::new(&format!("[step.a]\ndo = 'say'\nsay = '{kind}'\nvalue = '{value}'\nnext = 'end'"));
        b.start().concat()
    };
    assert_eq!(say("digits", "{dnis}"), "play en/digits/2+en/digits/0+en/digits/0");
    assert_eq!(say("number", "{dnis}"), "play en/numbers/2+en/numbers/hundred");
    assert_eq!(say("time", "now"), "play en/numbers/3+en/time/oh+en/numbers/4+en/time/pm");
    assert_eq!(say("time", "{hour}:{minute}"), say("time", "now"), "the call's attributes tell the same time");
    assert_eq!(
        say("date", "now"),
        "play en/weekdays/monday+en/months/november+en/numbers/20+en/numbers/3+en/numbers/20+en/numbers/20+en/numbers/6"
    );
    assert_eq!(say("date", "{date}"), say("date", "now"));
    // What cannot be said is left out and noted, and the call goes on.
    let mut b = Bench::new("[step.a]\ndo = 'say'\nsay = 'number'\nvalue = '{tenant}'\nnext = 'end'");
    b.run.handle(b.now, Input::Start);
    assert_eq!(b.output(), ["note not-said a: 1 items have no value that can be said", "hangup normal"]);
}

#[test]
fn sets_attributes_and_language() {
    let mut b = Bench::new(
        "[step.a]\ndo = 'set'\nattributes = { b = '{c}x', c = '{b}y', language = 'de' }\nnext = 'b'\n[step.b]\ndo = 'set'\nattributes = { b = '{c}1', c = '{b}2', long = '{d}' }\nnext = 'c'\n[step.c]\ndo = 'say'\nsay = 'digits'\nvalue = '7'\nnext = 'd'\n[step.d]\ndo = 'set'\nattributes = { d = '{ani}', language = '../x' }\nnext = 'end'",
    );
    assert_eq!(b.start(), ["play de/digits/7"]);
    b.give(Input::PlayDone);
    let shown: Vec<(String, String)> = b.run.attributes().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let expected = [
        ("ani", "+12125550100"),
        ("b", "y1"),
        ("c", "x2"),
        ("d", "+12125550100"),
        ("date", "2026-11-23"),
        ("dnis", "200"),
        ("hour", "15"),
        ("language", "de"),
        ("long", ""),
        ("medium", "voice"),
        ("minute", "4"),
        ("tenant", "acme"),
        ("weekday", "mo"),
    ];
    assert_eq!(shown, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
}

#[test]
fn attributes_are_bounded() {
    let mut context = context();
    context.attributes.extend((0..100).map(|n| (format!("x{n}"), "ä".repeat(1_000))));
    context.attributes.push(("Bad Name".into(), "x".into()));
    context.timezone = "Mars/Olympus".into();
    let mut b = Bench::with("[flow]\nstart = 'a'\n[step.a]\ndo = 'hangup'\n", context);
    b.run.handle(b.now, Input::Start);
    let notes = b.output();
    assert_eq!(notes[0], "note time-zone a: Mars/Olympus is not known: UTC");
    assert!(notes.contains(&"note attributes-full a: x99 is dropped".to_owned()), "{notes:?}");
    assert_eq!(b.run.attributes().count(), ATTRIBUTES_MAX);
    assert!(b.run.attributes().all(|(name, value)| value.len() <= ATTRIBUTE_OCTETS_MAX && name != "Bad Name"));
    assert_eq!(b.attribute("x0").map(|value| value.len()), Some(ATTRIBUTE_OCTETS_MAX));
}

const MENU: &str = "[step.a]\ndo = 'menu'\nprompt = 'm'\ninvalid_prompt = 'bad'\ntimeout_s = 4\nretries = 1\nkeys = { 1 = 'one', '#' = 'two' }\non_timeout = 'end'\n";

#[test]
fn menu_takes_a_key_and_stops_its_prompt() {
    let mut b = Bench::new(MENU);
    assert_eq!(b.start(), ["play m"]);
    assert_eq!(b.keys("1"), ["stop", "hangup busy"]);
    let mut b = Bench::new(MENU);
    b.start();
    assert_eq!(b.run.poll_timeout(), None, "the caller listens");
    assert_eq!(b.give(Input::PlayDone), NONE);
    assert_eq!(b.run.poll_timeout(), Some(b.now.mono + Duration::from_secs(4)));
    b.run.handle(b.now, Input::Digit('#'));
    assert_eq!(b.output(), ["note menu a: key #", "hangup rejected"]);
    assert_eq!(b.run.poll_timeout(), None);
}

#[test]
fn menu_without_barge_in_keeps_keys_for_after_its_prompt() {
    let mut b = Bench::new(&MENU.replace("retries = 1", "retries = 1\nbarge_in = false"));
    b.start();
    assert_eq!(b.keys("1"), NONE);
    assert_eq!(b.give(Input::PlayDone), ["hangup busy"]);
    let mut b = Bench::new(&MENU.replace("retries = 1", "retries = 1\nbarge_in = false\ntype_ahead = false"));
    b.start();
    assert_eq!(b.keys("1"), NONE);
    assert_eq!(b.give(Input::PlayDone), NONE, "the key came too early");
    assert_eq!(b.keys("1"), ["hangup busy"]);
}

#[test]
fn menu_retries_then_gives_up() {
    let mut b = Bench::new(MENU);
    b.start();
    b.give(Input::PlayDone);
    assert_eq!(b.wait(3), NONE);
    assert_eq!(b.wait(1), ["play m"]);
    b.give(Input::PlayDone);
    assert_eq!(b.wait(4), ["hangup normal"], "on_timeout");
    let mut b = Bench::new(MENU);
    b.start();
    assert_eq!(b.keys("7"), ["stop", "play bad+m"]);
    b.run.handle(b.now, Input::Digit('8'));
    // No on_invalid: the call ends.
    assert_eq!(b.output(), ["stop", "note invalid-input a: try 2 of 2", "hangup normal"]);
}

#[test]
fn an_invalid_key_forgets_what_was_typed_after_it() {
    let mut b = Bench::new(&format!(
        "[step.z]\ndo = 'goto'\nnext = 'z2'\n[step.z2]\ndo = 'play'\nprompt = 'long'\nnext = 'm'\n[step.a]\ndo = 'goto'\nnext = 'z'\n{}",
        MENU.replace("step.a]", "step.m]")
    ));
    assert_eq!(b.start(), ["play long"]);
    assert_eq!(b.keys("91"), NONE);
    assert_eq!(b.give(Input::PlayDone), ["play bad+m"]);
    assert_eq!(b.give(Input::PlayDone), NONE);
    assert_eq!(b.keys("1"), ["hangup busy"]);
}

#[test]
fn type_ahead_goes_through_two_menus() {
    let flow = "[step.a]\ndo = 'menu'\nprompt = 'first'\nkeys = { 1 = 'hint' }\n[step.hint]\ndo = 'play'\nprompt = 'hint'\nbarge_in = true\nnext = 'second'\n[step.second]\ndo = 'menu'\nprompt = 'second'\nkeys = { 2 = 'news' }\n[step.news]\ndo = 'play'\nprompt = 'news'\nnext = 'third'\n[step.third]\ndo = 'menu'\nprompt = 'third'\nkeys = { 3 = 'one' }";
    let mut b = Bench::new(flow);
    assert_eq!(b.start(), ["play first"]);
    assert_eq!(b.keys("1"), ["stop", "play hint"]);
    assert_eq!(b.keys("2"), ["stop", "play news"], "the hint is stopped, the second prompt is not needed");
    assert_eq!(b.keys("3"), NONE, "the news play to their end");
    assert_eq!(b.give(Input::PlayDone), ["hangup busy"]);
    // All keys before the first prompt has begun.
    let mut b = Bench::new(flow);
    assert_eq!(b.keys("12"), NONE);
    assert_eq!(b.start(), ["play news"]);
    // A menu that takes no type-ahead forgets it.
    let mut b = Bench::new(&flow.replace("prompt = 'third'", "prompt = 'third'\ntype_ahead = false"));
    b.keys("123");
    b.start();
    assert_eq!(b.give(Input::PlayDone), ["play third"]);
}

#[test]
fn type_ahead_is_bounded() {
    let mut b = Bench::new(
        "[step.a]\ndo = 'play'\nprompt = 'x'\nnext = 'c'\n[step.c]\ndo = 'collect'\nattribute = 'd'\nmax = 64\nnext = 'end'",
    );
    b.start();
    for _ in 0..80 {
        b.run.handle(b.now, Input::Digit('5'));
    }
    assert_eq!(b.output(), ["note digits-dropped a: more than 64 typed ahead"]);
    assert_eq!(b.give(Input::PlayDone), ["hangup normal"]);
    assert_eq!(b.attribute("d"), Some("5".repeat(64)));
}

const COLLECT: &str = "[step.a]\ndo = 'collect'\nattribute = 'acc'\nprompt = 'p'\ninvalid_prompt = 'bad'\nmin = 3\nmax = 5\nfirst_timeout_s = 6\ninter_timeout_s = 2\nretries = 1\nnext = 'end'\non_timeout = 'one'\non_invalid = 'two'\n";

#[test]
fn collect_ends_by_length_terminator_or_silence() {
    let mut b = Bench::new(COLLECT);
    assert_eq!(b.start(), ["play p"]);
    assert_eq!(b.keys("12345"), ["stop", "hangup normal"]);
    assert_eq!(b.attribute("acc").as_deref(), Some("12345"));
    let mut b = Bench::new(COLLECT);
    b.start();
    b.run.handle(b.now, Input::Digit('1'));
    b.run.handle(b.now, Input::Digit('*'));
    b.run.handle(b.now, Input::Digit('3'));
    b.run.handle(b.now, Input::Digit('#'));
    assert_eq!(b.output(), ["stop", "note collect a: 3 digits into acc", "hangup normal"]);
    assert_eq!(b.attribute("acc").as_deref(), Some("1*3"));
    let mut b = Bench::new(COLLECT);
    b.start();
    b.keys("123");
    assert_eq!(b.wait(1), NONE);
    assert_eq!(b.keys("4"), NONE, "a digit starts the wait anew");
    assert_eq!(b.wait(1), NONE);
    assert_eq!(b.wait(1), ["hangup normal"]);
    assert_eq!(b.attribute("acc").as_deref(), Some("1234"));
}

#[test]
fn collect_retries_then_gives_up() {
    let mut b = Bench::new(COLLECT);
    b.start();
    assert_eq!(b.keys("12#"), ["stop", "play bad+p"], "too short");
    b.give(Input::PlayDone);
    assert_eq!(b.keys("12"), NONE);
    assert_eq!(b.wait(2), ["hangup rejected"], "on_invalid");
    assert_eq!(b.attribute("acc"), None);
    let mut b = Bench::new(COLLECT);
    b.start();
    b.give(Input::PlayDone);
    assert_eq!(b.wait(6), ["play p"]);
    b.give(Input::PlayDone);
    assert_eq!(b.wait(6), ["hangup busy"], "on_timeout");
    // An empty input is an answer where the least is nothing.
    let mut b = Bench::new(&COLLECT.replace("min = 3", "min = 0"));
    b.start();
    assert_eq!(b.keys("#"), ["stop", "hangup normal"]);
    assert_eq!(b.attribute("acc").as_deref(), Some(""));
}

#[test]
fn a_terminator_after_full_length_is_not_the_next_steps_key() {
    let flow = format!(
        "{}[step.m]\ndo = 'menu'\nprompt = 'm'\nkeys = {{ '#' = 'three', 1 = 'three' }}\n[step.three]\ndo = 'hangup'\ncause = 'congestion'",
        COLLECT.replace("'end'", "'m'")
    );
    let mut b = Bench::new(&flow);
    b.start();
    assert_eq!(b.keys("12345#"), ["stop", "play m"]);
    assert_eq!(b.keys("#"), ["stop", "hangup congestion"], "only once");
    let mut b = Bench::new(&flow);
    b.start();
    b.keys("12345");
    b.wait(2);
    assert_eq!(b.keys("#"), ["stop", "hangup congestion"], "only for the time between digits");
    let mut b = Bench::new(&flow);
    b.start();
    b.keys("12345");
    assert_eq!(b.keys("1"), ["stop", "hangup congestion"], "no other key");
    let mut b = Bench::new(&flow);
    b.keys("12345#1");
    assert_eq!(b.start(), ["hangup congestion"], "typed ahead");
}

#[test]
fn branches_compare() {
    let holds = |rule: &str| {
        let mut context = context();
        context.attributes.push(("level".into(), " 2.5 ".into()));
        let text = format!(
            "[flow]\nstart = 'a'\nexpects = ['level', 'none']\n[step.a]\ndo = 'branch'\nwhen = [{{ {rule}, then = 'yes' }}]\nelse = 'no'\n[step.yes]\ndo = 'hangup'\ncause = 'busy'\n[step.no]\ndo = 'hangup'\n"
        );
        Bench::with(&text, context).start() == ["hangup busy"]
    };
    for (rule, expected) in [
        ("attribute = 'dnis', eq = '200'", true),
        ("attribute = 'dnis', eq = '20'", false),
        ("attribute = 'dnis', eq = '{dnis}'", true),
        ("attribute = 'dnis', not = '20'", true),
        ("attribute = 'dnis', in = ['1', '200']", true),
        ("attribute = 'dnis', in = []", false),
        ("attribute = 'ani', prefix = '+1212'", true),
        ("attribute = 'ani', prefix = '+1213'", false),
        ("attribute = 'ani', exists = true", true),
        ("attribute = 'none', exists = true", false),
        ("attribute = 'none', exists = false", true),
        ("attribute = 'level', at_least = 2.5", true),
        ("attribute = 'level', more_than = 2.5", false),
        ("attribute = 'level', less_than = 3", true),
        ("attribute = 'level', at_most = 2", false),
        ("attribute = 'none', at_most = 2", false),
        ("attribute = 'tenant', at_least = 0", false),
        ("attribute = 'hour', at_least = 15", true),
    ] {
        assert_eq!(holds(rule), expected, "{rule}");
    }
    // The first that holds wins.
    let mut b = Bench::new(
        "[step.a]\ndo = 'branch'\nwhen = [{ attribute = 'ani', exists = false, then = 'end' }, { attribute = 'dnis', eq = '200', then = 'one' }, { attribute = 'dnis', prefix = '2', then = 'two' }]\nelse = 'end'",
    );
    assert_eq!(b.start(), ["hangup busy"]);
}

#[test]
fn hours_go_by_the_steps_then_the_flows_then_the_tenants_zone() {
    let cause = |flow_zone: &str, step_zone: &str, more: &str| {
        let text = format!(
            "[flow]\nstart = 'a'\n{flow_zone}\n[step.a]\ndo = 'hours'\nmo-fr = '09:00-17:00'\n{step_zone}\n{more}\nopen = 'yes'\nclosed = 'no'\n[step.yes]\ndo = 'hangup'\ncause = 'busy'\n[step.no]\ndo = 'hangup'\n"
        );
        Bench::with(&text, context()).start().concat()
    };
    // It is 15:04 in New York, 21:04 in Berlin and 05:04 of the next day in Tokyo.
    let (open, closed) = ("hangup busy", "hangup normal");
    let (berlin, new_york) = ("timezone = 'Europe/Berlin'", "timezone = 'America/New_York'");
    assert_eq!(cause("", "", ""), open);
    assert_eq!(cause(berlin, "", ""), closed);
    assert_eq!(cause(berlin, new_york, ""), open);
    assert_eq!(cause("", berlin, ""), closed);
    assert_eq!(cause("", "", "holidays = ['--11-23']"), closed, "without `holiday`, a holiday is closed");
    assert_eq!(cause("", "timezone = 'Asia/Tokyo'", "holidays = ['--11-23']"), closed);
    let mut b = Bench::new(
        "[step.a]\ndo = 'hours'\nmo = 'closed'\nholidays = [2026-11-23]\nopen = 'end'\nclosed = 'one'\nholiday = 'two'",
    );
    b.run.handle(b.now, Input::Start);
    assert_eq!(b.output(), ["note hours a: holiday", "hangup rejected"]);
}

#[test]
fn queue_comes_back_only_without_an_agent() {
    let flow = "[step.a]\ndo = 'enqueue'\nqueue = 'q-{dnis}'\non_overflow = 'm'\non_full = 'two'\n[step.m]\ndo = 'menu'\nprompt = 'm'\nkeys = { 1 = 'one' }\n";
    let mut b = Bench::new(flow);
    assert_eq!(b.start(), ["queue q-200"]);
    assert_eq!(b.run.poll_timeout(), None);
    for input in [Input::PlayDone, Input::Start, Input::AgentDone(true), Input::TransferEnded(TransferResult::Busy)] {
        assert_eq!(b.give(input), NONE, "nothing that it waits for");
    }
    assert_eq!(b.keys("1"), NONE);
    assert_eq!(b.give(Input::Dequeued(QueueExit::Overflow)), ["hangup busy"], "the key was kept");
    let after = |flow: &str, exit| {
        let mut b = Bench::new(flow);
        b.start();
        b.give(Input::Dequeued(exit)).concat()
    };
    assert_eq!(after(flow, QueueExit::Full), "hangup rejected");
    assert_eq!(after(flow, QueueExit::Unknown), "hangup rejected");
    let bare = "[step.a]\ndo = 'enqueue'\nqueue = 'q'";
    assert_eq!(after(bare, QueueExit::Overflow), "hangup no-answer");
    assert_eq!(after(bare, QueueExit::Full), "hangup congestion");
    assert_eq!(after(bare, QueueExit::Unknown), "hangup temporary-failure");
}

#[test]
fn a_machine_that_answers_leads_to_its_step() {
    let flow = "[step.a]\ndo = 'transfer'\nto = '200'\nring_s = 7\non_machine = 'two'";
    let mut b = Bench::new(flow);
    assert_eq!(b.start(), ["transfer 200 7 examined"]);
    assert_eq!(b.give(Input::TransferEnded(TransferResult::Machine)), ["hangup rejected"]);
}

#[test]
fn a_key_in_the_queue_leads_out_of_it_and_others_are_kept() {
    let flow = "[step.a]\ndo = 'enqueue'\nqueue = 'q'\nkeys = { 1 = 'c' }\n[step.c]\ndo = 'callback'\nqueue = 'q'\nnumber = '9{ani}'\non_ok = 'one'\non_fail = 'm'\n[step.m]\ndo = 'menu'\nprompt = 'm'\nkeys = { 2 = 'two' }\n";
    let mut b = Bench::new(flow);
    assert_eq!(b.start(), ["queue q"]);
    assert!(b.give(Input::Digit('2')).is_empty());
    let ani = b.run.attributes().find(|(name, _)| *name == "ani").map_or("", |(_, value)| value).to_owned();
    assert_eq!(b.give(Input::Digit('1')), ["dequeue".to_owned(), format!("call back q 9{ani}")]);
    assert!(b.give(Input::Dequeued(QueueExit::Overflow)).is_empty(), "it is out of the queue");
    // Refused: the menu takes what was keyed in the queue.
    assert_eq!(b.give(Input::CallbackDone(CallbackResult::Refused)), ["hangup rejected"]);
}

#[test]
fn what_comes_of_a_call_back_leads_on() {
    let flow = "[step.a]\ndo = 'callback'\nqueue = 'q'\nnumber = '{dnis}'\nat = '+{minute}'\non_ok = 'one'\non_known = 'two'\n";
    for (result, wanted) in [
        (CallbackResult::Taken, "hangup busy"),
        (CallbackResult::Known, "hangup rejected"),
        (CallbackResult::Full, "hangup congestion"),
        (CallbackResult::Refused, "hangup normal"),
    ] {
        let mut b = Bench::new(flow);
        let asked = b.start();
        assert!(asked[0].starts_with("call back q ") && asked[0].ends_with(" min"), "{asked:?}");
        assert_eq!(b.give(Input::CallbackDone(result)), [wanted]);
    }
    // A caller is no time.
    let flow = flow.replace("+{minute}", "{tenant}");
    assert_eq!(Bench::new(&flow).start(), ["hangup normal"]);
}

#[test]
fn a_fax_machine_is_listened_for_from_the_answer_to_the_queue_and_leads_to_its_step_once() {
    let text = "[flow]\nstart = 'a'\non_fax = 'fax'\n[step.a]\ndo = 'answer'\nnext = 'ask'\n\
                [step.ask]\ndo = 'menu'\nprompt = 'x'\nkeys = { 1 = 'q' }\non_timeout = 'fax'\non_invalid = 'fax'\n\
                [step.q]\ndo = 'enqueue'\nqueue = 'sales'\n[step.fax]\ndo = 'play'\nprompt = 'y'\nnext = 'end'\n\
                [step.end]\ndo = 'hangup'";
    let mut b = Bench::with(text, context());
    assert_eq!(b.start(), ["answer", "detect-fax true", "play x"]);
    assert_eq!(b.give(Input::Fax), ["stop", "detect-fax false", "play y"]);
    assert_eq!(b.give(Input::Fax), Vec::<String>::new(), "once");
    let mut b = Bench::with(text, context());
    b.start();
    assert_eq!(b.give(Input::Digit('1')), ["stop", "detect-fax false", "queue sales"]);
    assert_eq!(b.give(Input::Fax), Vec::<String>::new(), "who waits stays");
    let mut b = Bench::with(&text.replace("on_fax = 'fax'", ""), context());
    assert_eq!(b.start(), ["answer", "play x"], "nobody asked for it");
}

#[test]
fn transfer_goes_on_when_it_fails() {
    let flow =
        "[step.a]\ndo = 'transfer'\nto = '+{dnis}'\nring_s = 7\non_busy = 'one'\non_no_answer = 'two'\non_fail = 'end'";
    let after = |flow: &str, result| {
        let mut b = Bench::new(flow);
        assert_eq!(b.start().len(), 1);
        b.give(Input::TransferEnded(result)).concat()
    };
    assert_eq!(Bench::new(flow).start(), ["transfer +200 7"]);
    assert_eq!(after(flow, TransferResult::Busy), "hangup busy");
    assert_eq!(after(flow, TransferResult::NoAnswer), "hangup rejected");
    assert_eq!(after(flow, TransferResult::Failed(Cause::Congestion)), "hangup normal");
    let bare = "[step.a]\ndo = 'transfer'\nto = 'sip:a@b'";
    assert_eq!(after(bare, TransferResult::Busy), "hangup busy");
    assert_eq!(after(bare, TransferResult::NoAnswer), "hangup no-answer");
    assert_eq!(after(bare, TransferResult::Failed(Cause::Congestion)), "hangup congestion");
    assert_eq!(Bench::new("[step.a]\ndo = 'transfer'\nto = '{tenant}'").start(), ["hangup invalid-number"]);
    assert_eq!(Bench::new("[step.a]\ndo = 'transfer'\nto = '{tenant}'\non_fail = 'one'").start(), ["hangup busy"]);
}

const AGENT: &str = "[step.a]\ndo = 'collect'\nattribute = 'code'\nprompt = 'c'\nmax = 4\nnext = 'pin'\n[step.pin]\ndo = 'collect'\nattribute = 'pin'\nsecret = true\nprompt = 'p'\nmax = 4\nnext = 'in'\n[step.in]\ndo = 'agent'\naction = 'sign-in'\ncode = '{code}'\npin = '{pin}'\non_ok = 'one'\non_fail = 'two'\n";

#[test]
fn agents_sign_in() {
    let mut b = Bench::new(AGENT);
    b.start();
    assert_eq!(b.keys("7001#8642"), ["stop", "play p", "stop", "agent sign-in 7001 8642"]);
    assert_eq!(b.give(Input::AgentDone(true)), ["hangup busy"]);
    let mut b = Bench::new(AGENT);
    b.keys("7001#8642#");
    assert_eq!(b.start(), ["agent sign-in 7001 8642"]);
    assert_eq!(b.give(Input::AgentDone(false)), ["hangup rejected"]);
    let mut b = Bench::new(&AGENT.replace("on_fail = 'two'\n", ""));
    b.keys("7001#8642#");
    b.start();
    assert_eq!(b.give(Input::AgentDone(false)), ["hangup normal"]);
}

#[test]
fn agents_sign_in_where_they_are() {
    let at = |place: &str| AGENT.replace("on_fail = 'two'\n", &format!("on_fail = 'two'\n{place}\n"));
    for (place, told) in [("at = 'caller'", " caller"), ("at = 'berlin'\nnumber = '4{code}'", " berlin 47001")] {
        let mut b = Bench::new(&at(place));
        b.keys("7001#8642#");
        assert_eq!(b.start(), [format!("agent sign-in 7001 8642{told}")]);
    }
}

#[test]
fn secrets_are_nowhere_but_in_the_agents_step() {
    let mut b = Bench::new(AGENT);
    b.run.handle(b.now, Input::Start);
    for digit in "7001#8642".chars() {
        b.run.handle(b.now, Input::Digit(digit));
        let run = format!("{:?}", b.run);
        assert!(!run.contains("864"), "{run}");
    }
    assert_eq!(b.attribute("code").as_deref(), Some("7001"));
    assert_eq!(b.attribute("pin"), None);
    let mut last = None;
    while let Some(step) = b.run.poll_output() {
        assert!(!format!("{step:?}").contains("864"), "{step:?}");
        if let Step::Note { detail, .. } = &step {
            assert!(!detail.contains("700"), "{detail}");
        }
        last = Some(step);
    }
    let (code, pin) = ("7001".into(), Redacted::new("8642".into()));
    let expected = Step::Agent { action: AgentAction::SignIn, code, pin, at: None, number: None };
    assert_eq!(last, Some(expected));
}

#[test]
fn a_loop_ends_the_call() {
    let mut b =
        Bench::new("[step.a]\ndo = 'set'\nattributes = { x = '{x}1' }\nnext = 'b'\n[step.b]\ndo = 'goto'\nnext = 'a'");
    b.run.handle(b.now, Input::Start);
    let output = b.output();
    assert_eq!(output, ["note loop b: 200 steps without waiting", "hangup temporary-failure"]);
    assert!(b.attribute("x").is_some_and(|x| x.len() == 100));
    // A queue that refuses at once is no wait.
    let mut b = Bench::new("[step.a]\ndo = 'enqueue'\nqueue = 'q'\non_full = 'a'");
    b.start();
    let refusals = (0..1_000).find(|_| b.give(Input::Dequeued(QueueExit::Full)) != ["queue q"]);
    assert_eq!((refusals, b.run.is_over()), (Some(STEPS_WITHOUT_WAIT_MAX - 1), true));
    // A loop that waits goes on as long as the caller does.
    let mut b = Bench::new("[step.a]\ndo = 'play'\nprompt = 'x'\nnext = 'a'");
    b.start();
    for _ in 0..1_000 {
        b.now = b.now.after(Duration::from_secs(2));
        assert_eq!(b.give(Input::PlayDone), ["play x"]);
    }
}

#[test]
fn random_inputs_never_panic_and_answers_are_bounded() {
    let samples = [
        include_str!("../../../../examples/flows/every-step.toml"),
        include_str!("../../../../config/flows/main-line.toml"),
        include_str!("../../../../config/flows/agent-desk.toml"),
        "[flow]\nstart = 'a'\n[step.a]\ndo = 'menu'\nkeys = { 1 = 'a', 2 = 'b' }\non_timeout = 'b'\n[step.b]\ndo = 'collect'\nattribute = 'x'\nmax = 2\nmin = 0\nnext = 'a'\non_invalid = 'a'\n",
    ];
    let seed = 0x5eed_0ca1_u64;
    println!("seed {seed:#x}");
    let mut state = seed;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut over = 0;
    for round in 0..2_000 {
        let mut context = context();
        context.attributes.push(("tier".into(), random(6).to_string()));
        let mut b = Bench::with(samples[round % samples.len()], context);
        b.now.wall = Timestamp(if random(10) == 0 { i64::MAX / 2 } else { WALL.0 + random(1 << 30) as i64 * 60 });
        for turn in 0..60 {
            let input = match random(13) {
                12 => {
                    use CallbackResult::*;
                    Input::CallbackDone([Taken, Known, Full, Refused][random(4) as usize])
                }
                _ if turn == 0 => Input::Start,
                0..=4 => Input::Digit(char::from(b"0123456789*#ABCDxyz\xe4"[random(20) as usize])),
                5 | 6 => Input::PlayDone,
                7 => Input::Dequeued([QueueExit::Overflow, QueueExit::Full, QueueExit::Unknown][random(3) as usize]),
                8 if random(2) == 0 => Input::TransferEnded(TransferResult::Machine),
                8 => Input::TransferEnded(TransferResult::Failed(Cause::Congestion)),
                9 if random(4) == 0 => Input::Fax,
                9 => Input::AgentDone(random(2) == 0),
                _ => {
                    b.now = b.now.after(Duration::from_millis(random(8_000)));
                    b.run.handle_timeout(b.now);
                    Input::Start
                }
            };
            b.run.handle(b.now, input);
            let output = b.output();
            assert!(output.len() <= 3 * STEPS_WITHOUT_WAIT_MAX, "{}", output.len());
            let goes_on = |word: &str| {
                ["note", "detect-fax"].iter().any(|w| word.starts_with(w)) || word == "stop" || word == "answer"
            };
            let waits = output.iter().filter(|word| !goes_on(word));
            assert!(waits.count() <= 1, "more than one thing to wait for: {output:?}");
            assert!(b.run.poll_timeout().is_none_or(|at| at > b.now.mono), "a timer in the past");
            assert!(!b.run.is_over() || b.run.poll_timeout().is_none());
        }
        over += usize::from(b.run.is_over());
    }
    assert!(over > 100, "{over} runs came to an end");
}
