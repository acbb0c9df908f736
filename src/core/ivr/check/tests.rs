//! Every kind of fault with its place; mutated samples.

use super::*;
use crate::core::ivr::ReferenceKind;

const SAMPLES: [&str; 7] = [
    include_str!("../../../../config/flows/main-line.toml"),
    include_str!("../../../../config/flows/agent-desk.toml"),
    include_str!("../../../../examples/flows/every-step.toml"),
    include_str!("../../../../examples/flows/hello.toml"),
    include_str!("../../../../examples/flows/read-digits.toml"),
    include_str!("../../../../examples/flows/queue.toml"),
    include_str!("../../../../examples/flows/bridge.toml"),
];

/// The faults of a text as an operator sees them, without the file's name.
fn faults(text: &str) -> Vec<String> {
    let Err(faults) = check(text, "f") else { return Vec::new() };
    faults.iter().map(|fault| fault.to_string().trim_start_matches("f:").to_owned()).collect()
}

/// The faults of a flow whose first step is `step`, with `end` to lead to; line 5 is the step's first.
fn faults_of(step: &str) -> Vec<String> {
    faults(&format!("[flow]\nstart = 'a'\n\n[step.a]\n{step}\n[step.end]\ndo = 'hangup'\n"))
}

#[track_caller]
fn one(step: &str, expected: &str) {
    assert_eq!(faults_of(step), [expected], "in:\n{step}");
}

#[test]
fn samples_are_right() {
    for text in SAMPLES {
        assert_eq!(faults(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn the_documents_first_example_is_right_and_it_names_every_step() {
    let document = include_str!("../../../../config/flows/README.md");
    let example = document.split("```").nth(1).and_then(|block| block.strip_prefix("toml")).unwrap_or_default();
    assert!(example.contains("[step.answer]"), "{example}");
    assert_eq!(faults(example), Vec::<String>::new());
    for kind in crate::core::ivr::steps::KINDS {
        assert!(document.contains(&format!("\n| `{kind}` |")), "{kind} is not documented");
    }
}

#[test]
fn syntax_is_all_there_is_to_say_of_a_text_that_is_not_toml() {
    let found = faults("[flow]\nstart = \n[step.a\ndo = 'bogus'\n");
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("2:9: ") && found[1].starts_with("3:8: "), "{found:#?}");
    assert!(faults("[flow]\nstart = 'a'\nstart = 'b'\n")[0].starts_with("3:1: duplicate key"));
    assert!(!faults("[[[[[").is_empty());
    assert_eq!(faults(&" ".repeat(TEXT_MAX + 1)), ["1:1: the text has 262145 octets; expected at most 262144"]);
}

#[test]
fn the_file_as_a_whole() {
    assert_eq!(
        faults(""),
        [
            "1:1: the file has no `flow`; expected a table `[flow]`",
            "1:1: the file has no `step`; expected tables `[step.NAME]`"
        ]
    );
    assert_eq!(
        faults("flow = 1\nstep = 'x'\nsteps = 2\n"),
        [
            "1:8: `flow` is an integer; expected a table `[flow]`",
            "2:8: `step` is a string; expected tables `[step.NAME]`",
            "3:1: the file has an unknown key `steps`; expected \"step\" (did you mean that?)"
        ]
    );
    assert_eq!(
        faults(
            "[flow]\nstrat = 'a'\ntimezone = 'Mars/Olympus'\nlanguage = 'English!'\nexpects = ['Tier', 1]\nname = 2\n[step]\na = 1\n'b c' = { do = 'hangup' }\n"
        ),
        [
            "1:1: the flow has no `start`; expected the name of a step",
            "2:1: the flow has an unknown key `strat`; expected \"start\" (did you mean that?)",
            "3:12: there is no time zone \"Mars/Olympus\"; expected an IANA name, e.g. \"America/New_York\"",
            "4:12: \"English!\" is not a language; expected e.g. \"en\" or \"pt-br\"",
            "5:12: \"Tier\" does not name an attribute; expected lower-case letters",
            "5:20: `expects` is an integer; expected a string",
            "6:8: `name` is an integer; expected a string",
            "8:5: `step \"a\"` is an integer; expected a table `[step.NAME]`",
            "9:1: \"b c\" does not name a step; expected 1 to 64 letters, digits, `_` and `-`",
        ]
    );
    let mut many = "[flow]\nstart = 's0'\n[step]\n".to_owned();
    for step in 0..=STEPS_MAX {
        many.push_str(&format!("s{step} = {{ do = 'goto', next = 's{}' }}\n", (step + 1) % (STEPS_MAX + 1)));
    }
    assert_eq!(faults(&many), ["3:1: the flow has 1001 steps; expected at most 1000"]);
}

#[test]
fn all_faults_at_once_in_order() {
    let text = "[flow]\nstart = 'wellcome'\n\n[step.welcome]\ndo = 'pley'\n\n[step.menu]\ndo = 'menu'\nkeys = { 1 = 'welcom', 12 = 'menu' }\ntimeout_s = 0\nretrys = 1\n";
    assert_eq!(
        faults(text),
        [
            "2:9: `start` leads to step \"wellcome\", which is not there; expected \"welcome\" (did you mean that?)",
            "5:6: `do` is \"pley\"; expected \"play\" (did you mean that?)",
            "9:14: `1` leads to step \"welcom\", which is not there; expected \"welcome\" (did you mean that?)",
            "9:24: `12` is not a key of a phone; expected one of 0-9, *, #, A-D",
            "10:13: `timeout_s` is 0; expected an integer of 1 to 120",
            "11:1: step \"menu\" has an unknown key `retrys`; expected \"retries\" (did you mean that?)",
        ]
    );
}

#[test]
fn steps_and_their_targets() {
    let kinds = "\"answer\", \"play\", \"say\", \"menu\", \"collect\", \"branch\", \"hours\", \"set\", \"enqueue\", \"callback\", \"transfer\", \"agent\", \"hangup\" or \"goto\"";
    one("x = 1", &format!("4:7: step \"a\" has no `do`; expected {kinds}"));
    one("do = 'zzz'", &format!("5:6: `do` is \"zzz\"; expected {kinds}"));
    one("do = 7", "5:6: `do` is an integer; expected a string");
    one("do = 'answer'", "4:7: step \"a\" has no `next`; expected the name of a step");
    one("do = 'goto'\nnext = 1", "6:8: `next` is an integer; expected a string");
    one(
        "do = 'goto'\nnext = 'nowhere'",
        "6:8: `next` leads to step \"nowhere\", which is not there; expected the name of a step",
    );
    one("do = 'goto'\nnext = 'a'", "7:7: step \"end\" is never reached; expected a way to it, or its removal");
}

#[test]
fn prompts() {
    let play = |prompt: &str| faults_of(&format!("do = 'play'\nnext = 'end'\nprompt = {prompt}"));
    let item = "a prompt's name, `{ silence_ms = N }`, `{ beep = true }` or `{ say = KIND, value = TEXT }`";
    assert_eq!(play("['a/b', { silence_ms = 20 }, { beep = true }, { say = 'date' }]"), Vec::<String>::new());
    for (prompt, expected) in [
        ("[]", "7:10: `prompt` has 0 items; expected 1 to 32".to_owned()),
        ("7", format!("7:10: `prompt` is an integer; expected {item}")),
        ("['ok', 7]", format!("7:17: `prompt` is an integer; expected {item}")),
        ("'../x'", "7:10: \"../x\" does not name a prompt; expected parts of letters, digits, `.`, `_` and `-`, with `/` between them".into()),
        ("'{x'", "7:10: `prompt`: `{` is not closed; expected `{attribute}`, or `{{` and `}}` for the braces themselves".into()),
        ("'{nix}/a'", "7:10: nothing fills the attribute \"nix\"; expected one that a step fills, or that `expects` of `[flow]` names".into()),
        ("'{langauge}/a'", "7:10: nothing fills the attribute \"langauge\"; expected \"language\" (did you mean that?)".into()),
        ("{}", format!("7:10: the prompt's item plays nothing; expected {item}")),
        ("{ silence_ms = 0 }", "7:25: `silence_ms` is 0; expected an integer of 1 to 10000".into()),
        ("{ beep = false }", "7:19: `beep` is not `true`; expected `true`".into()),
        ("{ beep = true, silence_ms = 5 }", "7:10: the prompt's item is both silence and beep; expected one of them".into()),
        ("{ beep = true, x = 5 }", "7:25: the prompt's item has an unknown key `x`; expected \"beep\" or \"silence_ms\"".into()),
        ("{ say = 'digit', value = '1' }", "7:18: `say` is \"digit\"; expected \"digits\" (did you mean that?)".into()),
        ("{ say = 'digits' }", "7:10: the prompt's item has no `value`; expected what to say, e.g. \"{ani}\"".into()),
        ("{ say = 'digits', value = 'x' }", "7:36: `value` \"x\" cannot be said as digits; expected 1 to 64 of `0-9*#+`".into()),
        ("{ say = 'number', value = '1.5' }", "7:36: `value` \"1.5\" cannot be said as number; expected a number of 0 to 999999999".into()),
        ("{ say = 'time', value = '25:00' }", "7:34: `value` \"25:00\" cannot be said as time; expected \"HH:MM\" or \"now\"".into()),
        ("{ say = 'date', value = 'soon' }", "7:34: `value` \"soon\" cannot be said as date; expected \"YYYY-MM-DD\" or \"now\"".into()),
    ] {
        assert_eq!(play(prompt), [expected], "{prompt}");
    }
    one("do = 'play'\nnext = 'end'", "4:7: step \"a\" has no `prompt`; expected the name of a prompt, or a list");
    one(
        "do = 'say'\nnext = 'end'\nsay = 'number'",
        "4:7: step \"a\" has no `value`; expected what to say, e.g. \"{ani}\"",
    );
    one("do = 'say'\nnext = 'end'\nsay = 'number'\nvalue = 7", "8:9: `value` is an integer; expected a string");
    one(
        "do = 'play'\nnext = 'end'\nprompt = 'a'\nbarge_in = 1",
        "8:12: `barge_in` is an integer; expected `true` or `false`",
    );
    let long = "x".repeat(257);
    assert_eq!(
        play(&format!("'{long}'")),
        ["7:10: `prompt`: the text is longer than 256 octets; expected a shorter text"]
    );
}

#[test]
fn menus_and_collects() {
    let keys = "a table of keys and steps, e.g. { 1 = \"sales\" }";
    one("do = 'menu'", &format!("4:7: step \"a\" has no `keys`; expected {keys}"));
    one("do = 'menu'\nkeys = 'end'", &format!("6:8: `keys` is a string; expected {keys}"));
    one("do = 'menu'\non_timeout = 'end'\nkeys = {}", &format!("7:8: `keys` is empty; expected {keys}"));
    one("do = 'menu'\nkeys = { E = 'end' }", "6:10: `E` is not a key of a phone; expected one of 0-9, *, #, A-D");
    one("do = 'menu'\nkeys = { 1 = 'end' }\nretries = 11", "7:11: `retries` is 11; expected an integer of 0 to 10");
    one("do = 'menu'\nkeys = { 1 = 'end' }\nretries = -1", "7:11: `retries` is -1; expected an integer of 0 to 10");
    one(
        "do = 'menu'\nkeys = { 1 = 'end' }\nretries = 1.5",
        "7:11: `retries` is a float; expected an integer of 0 to 10",
    );
    let collect = |more: &str| format!("do = 'collect'\nnext = 'end'\n{more}");
    one(&collect("attribute = 'x'"), "4:7: step \"a\" has no `max`; expected the most digits to take");
    one(&collect("max = 4"), "4:7: step \"a\" has no `attribute`; expected the attribute to fill");
    one(&collect("attribute = 'x'\nmax = 65"), "8:7: `max` is 65; expected an integer of 1 to 64");
    one(&collect("attribute = 'x'\nmax = 3\nmin = 4"), "8:7: `max` is 3, less than `min`; expected at least 4");
    one(
        &collect("attribute = 'x'\nmax = 3\nterminator = '##'"),
        "9:14: `terminator` is \"##\"; expected one of 0-9, *, #, A-D, or \"\" for none",
    );
    one(
        &collect("attribute = 'X'\nmax = 3"),
        "7:13: \"X\" does not name an attribute; expected a lower-case letter, then lower-case letters, digits, `_` or `-`; at most 32",
    );
    one(
        &collect("attribute = 'ani'\nmax = 3"),
        "7:13: the attribute \"ani\" is the appliance's to set; expected another name",
    );
}

#[test]
fn secrets_stay_secret() {
    let flow = |step: &str| {
        faults(&format!(
            "[flow]\nstart = 'a'\n[step.a]\ndo = 'collect'\nattribute = 'pin'\nmax = 4\nsecret = true\nnext = 'b'\n[step.b]\n{step}\n[step.end]\ndo = 'hangup'\n"
        ))
    };
    let shown = |place: &str| {
        vec![format!(
            "{place}: the secret attribute \"pin\" would be shown; expected secrets only in `branch`, and as `code` or `pin` of `agent`"
        )]
    };
    assert_eq!(flow("do = 'set'\nattributes = { x = '{pin}' }\nnext = 'end'"), shown("11:20"));
    assert_eq!(flow("do = 'say'\nsay = 'digits'\nvalue = '{pin}'\nnext = 'end'"), shown("12:9"));
    assert_eq!(flow("do = 'transfer'\nto = '{pin}'\non_busy = 'end'"), shown("11:6"));
    assert_eq!(flow("do = 'enqueue'\nqueue = 'q{pin}'\non_full = 'end'"), shown("11:9"));
    let none = Vec::<String>::new();
    assert_eq!(flow("do = 'agent'\naction = 'pause'\ncode = '{pin}'\npin = '{pin}'\non_ok = 'end'"), none);
    assert_eq!(flow("do = 'branch'\nwhen = [{ attribute = 'pin', eq = '{pin}', then = 'end' }]\nelse = 'end'"), none);
}

#[test]
fn branches() {
    let rule = |rule: &str| faults_of(&format!("do = 'branch'\nelse = 'end'\nwhen = [{rule}]"));
    let tests = "one of eq, not, in, prefix, exists, at_least, at_most, more_than, less_than";
    for (text, expected) in [
        ("", "7:8: `when` has 0 rules; expected 1 to 64".to_owned()),
        ("1", "7:9: `when` is an integer; expected a list of { attribute = NAME, TEST = VALUE, then = STEP }".into()),
        ("{ attribute = 'ani', then = 'end' }", format!("7:9: the rule has 0 tests; expected {tests}")),
        (
            "{ attribute = 'ani', eq = '1', not = '2', then = 'end' }",
            format!("7:9: the rule has 2 tests; expected {tests}"),
        ),
        ("{ eq = '1', then = 'end' }", "7:9: the rule has no `attribute`; expected the attribute to test".into()),
        ("{ attribute = 'ani', eq = '1' }", "7:9: the rule has no `then`; expected the name of a step".into()),
        (
            "{ attribute = 'ami', eq = '1', then = 'end' }",
            "7:23: nothing fills the attribute \"ami\"; expected \"ani\" (did you mean that?)".into(),
        ),
        ("{ attribute = 'ani', eq = 1, then = 'end' }", "7:35: `eq` is an integer; expected a string".into()),
        ("{ attribute = 'ani', in = '1', then = 'end' }", "7:35: `in` is a string; expected a list of strings".into()),
        ("{ attribute = 'ani', in = ['1', 2], then = 'end' }", "7:41: `in` is an integer; expected a string".into()),
        (
            "{ attribute = 'ani', exists = 1, then = 'end' }",
            "7:39: `exists` is an integer; expected `true` or `false`".into(),
        ),
        (
            "{ attribute = 'hour', at_least = '9', then = 'end' }",
            "7:42: `at_least` is a string; expected a number".into(),
        ),
        (
            "{ attribute = 'hour', at_least = inf, then = 'end' }",
            "7:42: `at_least` is too great; expected a number of 32 bits".into(),
        ),
    ] {
        assert_eq!(rule(text), [expected], "{text}");
    }
    one(
        "do = 'branch'\nwhen = [{ attribute = 'ani', eq = '1', then = 'end' }]",
        "4:7: step \"a\" has no `else`; expected the name of a step",
    );
}

#[test]
fn opening_hours() {
    let hours = |text: &str| faults_of(&format!("do = 'hours'\nopen = 'end'\nclosed = 'end'\n{text}"));
    let range = "\"HH:MM-HH:MM\" (several with spaces), or \"closed\"";
    for (text, expected) in [
        ("", "4:7: step \"a\" names no days; expected e.g. mo-fr = \"09:00-17:30\"".to_owned()),
        ("mo = 9", "8:6: `mo` is an integer; expected a string".into()),
        (
            "mon = '09:00-10:00'",
            "8:1: `mon` is not a day of the week; expected \"mo\", \"tu\", \"we\", \"th\", \"fr\", \"sa\" or \"su\""
                .into(),
        ),
        ("mo = '9-17'", format!("8:6: `mo`: \"9-17\" is not a range of times; expected {range}")),
        ("mo = ''", format!("8:6: `mo`: \"\" is not a range of times; expected {range}")),
        (
            "mo = ['09:00-10:00', '09:00-26:00']",
            format!("8:22: `mo`: \"09:00-26:00\" holds a time that does not exist; expected {range}"),
        ),
        ("mo = '09:00-09:00'", format!("8:6: `mo`: \"09:00-09:00\" begins where it ends; expected {range}")),
        (
            "mo = '09:00-12:00 11:00-13:00'",
            "8:6: `mo` holds ranges that overlap; expected ranges that do not touch the same minute".into(),
        ),
        (
            "mo-we = 'closed'\n'tu,sa' = 'closed'",
            "9:1: `tu,sa` names the day `tu` again; expected each day once".into(),
        ),
        (
            "mo = 'closed'\nholidays = ['2026-02-30']",
            "9:13: `holidays`: \"2026-02-30\" is not a date; expected \"YYYY-MM-DD\", or \"--MM-DD\" for every year"
                .into(),
        ),
        (
            "mo = 'closed'\nholidays = [10:00:00]",
            "9:13: `holidays`: \"10:00:00\" is not a date; expected \"YYYY-MM-DD\", or \"--MM-DD\" for every year"
                .into(),
        ),
        ("mo = 'closed'\nholidays = '--12-25'", "9:12: `holidays` is a string; expected a list of dates".into()),
        (
            "mo = 'closed'\ntimezone = 'Berlin'",
            "9:12: there is no time zone \"Berlin\"; expected an IANA name, e.g. \"America/New_York\"".into(),
        ),
    ] {
        assert_eq!(hours(text), [expected], "{text}");
    }
    one("do = 'hours'\nmo = 'closed'\nopen = 'end'", "4:7: step \"a\" has no `closed`; expected the name of a step");
}

#[test]
fn the_other_steps() {
    one(
        "do = 'set'\nnext = 'end'",
        "4:7: step \"a\" has no `attributes`; expected a table of attributes and texts, e.g. { topic = \"sales\" }",
    );
    one(
        "do = 'set'\nnext = 'end'\nattributes = {}",
        "7:14: `attributes` is empty; expected a table of attributes and texts, e.g. { topic = \"sales\" }",
    );
    one("do = 'set'\nnext = 'end'\nattributes = { x = 1 }", "7:20: `x` is an integer; expected a string");
    one(
        "do = 'set'\nnext = 'end'\nattributes = { dnis = '1' }",
        "7:16: the attribute \"dnis\" is the appliance's to set; expected another name",
    );
    one("do = 'enqueue'\non_full = 'end'", "4:7: step \"a\" has no `queue`; expected the name of a queue");
    one("do = 'enqueue'\non_full = 'end'\nqueue = ''", "7:9: `queue` is empty; expected the name of a queue");
    let to = "a number of `0-9*#+`, \"node:NAME/NUMBER\", or \"sip:user@host\"";
    one("do = 'transfer'\non_fail = 'end'", &format!("4:7: step \"a\" has no `to`; expected {to}"));
    for bad in [
        "",
        "sip:",
        "sip:@x",
        "mailto:x",
        "12a",
        "+",
        "sip:a b@c",
        "node:",
        "node:ivr",
        "node:ivr/",
        "node:/7",
        "node:a b/7",
    ] {
        one(
            &format!("do = 'transfer'\non_fail = 'end'\nto = '{bad}'"),
            &format!("7:6: `to` {bad:?} cannot be called; expected {to}"),
        );
    }
    one(
        "do = 'transfer'\non_fail = 'end'\nto = '100'\nring_s = 601",
        "8:10: `ring_s` is 601; expected an integer of 1 to 600",
    );
    let agent = |action: &str| format!("do = 'agent'\non_ok = 'end'\ncode = '1'\npin = '2'\n{action}");
    one(&agent(""), "4:7: step \"a\" has no `action`; expected \"sign-in\", \"sign-out\", \"pause\" or \"resume\"");
    one(&agent("action = 'signin'"), "9:10: `action` is \"signin\"; expected \"sign-in\" (did you mean that?)");
    one(
        "do = 'agent'\naction = 'pause'\non_ok = 'end'\ncode = '1'",
        "4:7: step \"a\" has no `pin`; expected the agent's PIN, e.g. \"{pin}\"",
    );
    let text = "[flow]\nstart = 'a'\n[step.a]\ndo = 'hangup'\ncause = 'bussy'\n";
    assert_eq!(faults(text), ["5:9: `cause` is \"bussy\"; expected \"busy\" (did you mean that?)"]);
    assert!(faults(&text.replace("bussy", "interrupted"))[0].starts_with("5:9: `cause` is \"interrupted\"; expected"));
    assert!(faults(&text.replace("bussy", "busy")).is_empty());
}

#[test]
fn references_have_names_and_places() -> Result<(), Vec<Fault>> {
    let flow = check(SAMPLES[0], "main-line.toml")?;
    assert_eq!((flow.name(), flow.step_count()), ("Main line", 11));
    let found: Vec<_> =
        flow.references().into_iter().map(|r| format!("{}:{} {:?} {}", r.line, r.column, r.kind, r.name)).collect();
    for expected in ["21:10 Prompt demo/welcome", "36:9 Queue sales", "53:6 Number 100", "61:54 Prompt en/goodbye"] {
        assert!(found.iter().any(|found| found == expected), "{expected} is not in {found:#?}");
    }
    let every = check(SAMPLES[2], "every-step.toml")?.references();
    assert!(every.iter().all(|r| r.kind != ReferenceKind::Number && !r.name.contains('{')), "{every:#?}");
    Ok(())
}

#[test]
fn a_flow_without_a_name_is_called_by_its_file() -> Result<(), Vec<Fault>> {
    assert_eq!(check("[flow]\nstart = 'a'\n[step.a]\ndo = 'hangup'\n", "x.toml")?.name(), "x.toml");
    Ok(())
}

#[test]
fn mutated_samples_are_refused_or_taken_but_never_panic() {
    let seed = 0x5eed_f10e_u64;
    println!("seed {seed:#x}");
    let mut state = seed;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % below.max(1)
    };
    let alphabet: Vec<char> = "[]{}=\"'\n#.,-0189azö\u{0}\t\\*:".chars().collect();
    let (mut taken, mut refused) = (0, 0);
    for round in 0..4_000 {
        let mut text: Vec<char> = SAMPLES[round % SAMPLES.len()].chars().collect();
        for _ in 0..=random(4) {
            let at = random(text.len());
            let to = (at + random(30)).min(text.len());
            match random(5) {
                0 => drop(text.drain(at..to)),
                1 => text.insert(at, alphabet[random(alphabet.len())]),
                2 => text[at] = alphabet[random(alphabet.len())],
                3 => {
                    let copy: Vec<char> = text[at..to].to_vec();
                    let to = random(text.len());
                    text.splice(to..to, copy);
                }
                _ => text.truncate(at.max(1)),
            }
            if text.is_empty() {
                break;
            }
        }
        let text: String = text.into_iter().collect();
        match check(&text, "f") {
            Ok(flow) => {
                taken += 1;
                assert!(crate::core::ivr::draw_svg(&flow).ends_with("</svg>\n"));
            }
            Err(faults) => {
                refused += 1;
                let lines = u32::try_from(text.split('\n').count()).unwrap_or(u32::MAX);
                assert!(!faults.is_empty() && faults.iter().all(|f| (1..=lines).contains(&f.line) && f.column > 0));
            }
        }
    }
    assert!(taken > 50 && refused > 500, "{taken} taken, {refused} refused");
}
