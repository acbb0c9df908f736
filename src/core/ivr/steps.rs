//! Reads each kind of step.

use std::collections::{BTreeMap, HashSet};

use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::DeValue;

use super::flow::{
    AT_CALLER, Action, Agent, AgentAction, Ask, Callback, Collect, Enqueue, Level, Menu, Node, NodeId, Prompt,
    PromptItem, ReferenceKind, Rule, SayKind, Test, Transfer,
};
use super::moment::Moment;
use super::prompt::is_sayable;
use super::read::{Fields, Reader, Use, Value, one_of};
use super::template::{Template, is_attribute_name};
use super::{DIGITS_MAX, DISCOVERED, ITEMS_MAX, KEYS, RULES_MAX};
use crate::base::Cause;
use crate::core::hours::{self, Holiday, Hours, Range};

/// The words after `do`.
pub(super) const KINDS: [&str; 14] = [
    "answer", "play", "say", "menu", "collect", "branch", "hours", "set", "enqueue", "callback", "transfer", "agent",
    "hangup", "goto",
];

/// The longest that a step may wait for a key, in seconds.
const WAIT_S_MAX: u32 = 120;

/// Reads the table of the step `name`, which stands at the octet `at`.
pub(super) fn step<'d>(r: &mut Reader<'d>, name: &str, at: usize, value: Value<'d>) -> Option<Node> {
    let what = format!("step {name:?}");
    let table = r.table(&what, value, "a table `[step.NAME]`")?;
    let mut fields = Fields::new(what, at, table);
    let words = KINDS.map(|kind| (kind, kind));
    let kind = fields.need(r, "do", &one_of(KINDS)).and_then(|value| r.choice("do", value, &words));
    let Some(kind) = kind else {
        r.links_broken = true;
        return None;
    };
    let f = &mut fields;
    let action = match kind {
        "answer" => f.step(r, "next").map(|next| Action::Answer { next }),
        "play" => play(r, f),
        "say" => say_step(r, f),
        "menu" => menu(r, f),
        "collect" => collect(r, f),
        "branch" => branch(r, f),
        "hours" => opening(r, f),
        "set" => set(r, f),
        "enqueue" => enqueue(r, f),
        "callback" => callback(r, f),
        "transfer" => transfer(r, f),
        "agent" => agent(r, f),
        "hangup" => hangup(r, f),
        _ => f.step(r, "next").map(|next| Action::Goto { next }),
    };
    fields.finish(r);
    action.map(|action| Node { name: name.to_owned(), kind, action })
}

fn play<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Action> {
    let prompt = f.need(r, "prompt", "the name of a prompt, or a list").and_then(|value| prompt(r, "prompt", value));
    let barge_in = f.boolean(r, "barge_in", false);
    let next = f.step(r, "next");
    Some(Action::Play { prompt: prompt?, barge_in, next: next? })
}

fn say_step<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Action> {
    let item = say(r, f);
    let barge_in = f.boolean(r, "barge_in", false);
    let next = f.step(r, "next");
    Some(Action::Play { prompt: vec![item?], barge_in, next: next? })
}

/// `say` and `value`, in a step or in a prompt's item.
fn say<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<PromptItem> {
    let words = SayKind::ALL.map(|kind| (kind.as_str(), kind));
    let kind = f.need(r, "say", &one_of(words.map(|word| word.0))).and_then(|value| r.choice("say", value, &words));
    let value = f.take("value");
    let text = value.and_then(|value| r.template("value", value, false));
    match (kind?, value) {
        (SayKind::Time | SayKind::Date, None) => Some(PromptItem::Say(kind?, Template::parse("now").ok()?)),
        (_, None) => {
            r.fault(f.at(), format!("{} has no `value`", f.what()), "what to say, e.g. \"{ani}\"");
            None
        }
        (kind, Some(value)) => {
            let text = text?;
            if let Some(literal) = text.literal()
                && !is_sayable(kind, literal)
            {
                let expected = match kind {
                    SayKind::Digits => "1 to 64 of `0-9*#+`",
                    SayKind::Number => "a number of 0 to 999999999",
                    SayKind::Time => "\"HH:MM\" or \"now\"",
                    SayKind::Date => "\"YYYY-MM-DD\" or \"now\"",
                };
                let what = format!("`value` {literal:?} cannot be said as {}", kind.as_str());
                r.fault(value.span().start, what, expected);
            }
            Some(PromptItem::Say(kind, text))
        }
    }
}

/// A prompt: one item, or a list of them.
fn prompt<'d>(r: &mut Reader<'d>, key: &str, value: Value<'d>) -> Option<Prompt> {
    let items: &[Spanned<DeValue>] = match value.get_ref() {
        DeValue::Array(items) => items,
        _ => std::slice::from_ref(value),
    };
    if items.is_empty() || items.len() > ITEMS_MAX {
        r.fault(value.span().start, format!("`{key}` has {} items", items.len()), format!("1 to {ITEMS_MAX}"));
    }
    let read: Vec<Option<PromptItem>> = items.iter().map(|item| prompt_item(r, key, item)).collect();
    read.into_iter().collect()
}

fn prompt_item<'d>(r: &mut Reader<'d>, key: &str, value: Value<'d>) -> Option<PromptItem> {
    let at = value.span().start;
    if value.get_ref().as_str().is_some() {
        let name = r.template(key, value, false)?;
        match name.literal() {
            Some(literal) if !is_prompt_name(literal) => {
                let expected = "parts of letters, digits, `.`, `_` and `-`, with `/` between them";
                r.fault(at, format!("{literal:?} does not name a prompt"), expected);
            }
            Some(literal) => r.refer(ReferenceKind::Prompt, literal, at),
            None => {}
        }
        return Some(PromptItem::Named(name));
    }
    let expected = "a prompt's name, `{ silence_ms = N }`, `{ beep = true }` or `{ say = KIND, value = TEXT }`";
    let table = r.table(key, value, expected)?;
    let mut f = Fields::new("the prompt's item".to_owned(), at, table);
    let (silence, beep) = (f.take("silence_ms"), f.take("beep"));
    let item = match (silence, beep) {
        (Some(ms), None) => {
            r.integer("silence_ms", ms, &(1..=10_000)).and_then(|ms| u16::try_from(ms).ok()).map(PromptItem::SilenceMs)
        }
        (None, Some(beep)) => {
            if beep.get_ref().as_bool() != Some(true) {
                r.fault(beep.span().start, "`beep` is not `true`", "`true`");
            }
            Some(PromptItem::Beep)
        }
        (Some(_), Some(_)) => {
            r.fault(at, "the prompt's item is both silence and beep", "one of them");
            None
        }
        (None, None) if table.contains_key("say") => say(r, &mut f),
        (None, None) => {
            r.fault(at, "the prompt's item plays nothing", expected);
            None
        }
    };
    f.finish(r);
    item
}

/// Names of prompts are paths below the folder of prompts, and must not lead out of it.
fn is_prompt_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'))
    };
    name.len() <= 128 && name.split('/').all(is_part)
}

fn ask<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>, first: &'static str) -> Option<Ask> {
    let question = f.take("prompt").map_or(Some(Vec::new()), |value| prompt(r, "prompt", value));
    let invalid = f.take("invalid_prompt").map_or(Some(Vec::new()), |value| prompt(r, "invalid_prompt", value));
    let barge_in = f.boolean(r, "barge_in", true);
    let type_ahead = f.boolean(r, "type_ahead", true);
    let first_s = f.integer(r, first, 1..=WAIT_S_MAX, 5);
    let retries = f.integer(r, "retries", 0..=10, 2);
    let on_timeout = f.optional_step(r, "on_timeout");
    let on_invalid = f.optional_step(r, "on_invalid");
    let (prompt, invalid_prompt) = (question?, invalid?);
    Some(Ask { prompt, invalid_prompt, barge_in, type_ahead, first_s, retries, on_timeout, on_invalid })
}

fn key_of(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|key| KEYS.contains(*key) && chars.next().is_none())
}

/// What `keys` is to be.
const KEYS_EXPECTED: &str = "a table of keys and steps, e.g. { 1 = \"sales\" }";

fn menu<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Action> {
    let ask = ask(r, f, "timeout_s");
    let keys = f.need(r, "keys", KEYS_EXPECTED).and_then(|value| keys(r, value));
    r.links_broken |= keys.is_none();
    Some(Action::Menu(Menu { ask: ask?, keys: keys? }))
}

fn keys<'d>(r: &mut Reader<'d>, value: Value<'d>) -> Option<BTreeMap<char, NodeId>> {
    let table = r.table("keys", value, KEYS_EXPECTED)?;
    if table.is_empty() {
        r.fault(value.span().start, "`keys` is empty", KEYS_EXPECTED);
    }
    let mut keys = BTreeMap::new();
    for (name, target) in table {
        let key = key_of(name.get_ref());
        r.links_broken |= key.is_none();
        if key.is_none() {
            r.fault(
                name.span().start,
                format!("`{}` is not a key of a phone", name.get_ref()),
                "one of 0-9, *, #, A-D",
            );
        }
        if let (Some(step), Some(key)) = (r.step(name.get_ref(), target), key) {
            keys.insert(key, step);
        }
    }
    Some(keys)
}

/// The attribute that a step fills.
fn fill<'d>(r: &mut Reader<'d>, name: &'d str, at: usize) -> Option<String> {
    if !is_attribute_name(name) {
        let expected = "a lower-case letter, then lower-case letters, digits, `_` or `-`; at most 32";
        r.fault(at, format!("{name:?} does not name an attribute"), expected);
        return None;
    }
    if DISCOVERED.contains(&name) && name != "language" {
        r.fault(at, format!("the attribute {name:?} is the appliance's to set"), "another name");
        return None;
    }
    r.filled.insert(name.to_owned());
    Some(name.to_owned())
}

fn collect<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Action> {
    let ask = ask(r, f, "first_timeout_s");
    let attribute = f.need(r, "attribute", "the attribute to fill").and_then(|value| {
        let name = r.string("attribute", value)?;
        fill(r, name, value.span().start)
    });
    let longest = u32::try_from(DIGITS_MAX).unwrap_or(u32::MAX);
    let min = f.integer(r, "min", 0..=longest, 1);
    let max_value = f.need(r, "max", "the most digits to take");
    let max = max_value.and_then(|value| r.integer("max", value, &(1..=longest)));
    if let (Some(max), Some(value)) = (max, max_value)
        && max < min
    {
        r.fault(value.span().start, format!("`max` is {max}, less than `min`"), format!("at least {min}"));
    }
    let terminator = match f.take("terminator") {
        None => Some('#'),
        Some(value) => match r.string("terminator", value) {
            None | Some("") => None,
            Some(text) => {
                let key = key_of(text);
                if key.is_none() {
                    r.fault(
                        value.span().start,
                        format!("`terminator` is {text:?}"),
                        "one of 0-9, *, #, A-D, or \"\" for none",
                    );
                }
                key
            }
        },
    };
    let inter_s = f.integer(r, "inter_timeout_s", 1..=WAIT_S_MAX, 3);
    let secret = f.boolean(r, "secret", false);
    let next = f.step(r, "next");
    let attribute = attribute?;
    if secret {
        r.secrets.insert(attribute.clone());
    }
    Some(Action::Collect(Collect { ask: ask?, attribute, min, max: max?, terminator, inter_s, secret, next: next? }))
}

fn branch<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Action> {
    let expected = "a list of { attribute = NAME, TEST = VALUE, then = STEP }";
    let rules = f.need(r, "when", expected).and_then(|value| {
        let items = r.array("when", value, expected)?;
        if items.is_empty() || items.len() > RULES_MAX {
            r.fault(value.span().start, format!("`when` has {} rules", items.len()), format!("1 to {RULES_MAX}"));
        }
        let rules: Vec<Option<Rule>> = items.iter().map(|item| rule(r, item, expected)).collect();
        rules.into_iter().collect::<Option<Vec<Rule>>>()
    });
    r.links_broken |= rules.is_none();
    let otherwise = f.step(r, "else");
    Some(Action::Branch { rules: rules?, otherwise: otherwise? })
}

fn rule<'d>(r: &mut Reader<'d>, value: Value<'d>, expected: &str) -> Option<Rule> {
    let at = value.span().start;
    let table = r.table("when", value, expected)?;
    let mut f = Fields::new("the rule".to_owned(), at, table);
    let attribute = f.need(r, "attribute", "the attribute to test").and_then(|value| {
        let name = r.string("attribute", value)?;
        r.uses.push(Use { name: name.to_owned(), at: value.span().start, secret_allowed: true });
        Some(name.to_owned())
    });
    let test = test(r, &mut f);
    let then = f.step(r, "then");
    f.finish(r);
    Some(Rule { attribute: attribute?, test: test?, then: then? })
}

fn test<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Test> {
    let mut tests = Vec::new();
    for (key, make) in [
        ("eq", Test::Equal as fn(Template) -> Test),
        ("not", Test::NotEqual as fn(Template) -> Test),
        ("prefix", Test::Prefix as fn(Template) -> Test),
    ] {
        if let Some(value) = f.take(key) {
            tests.push(r.template(key, value, true).map(make));
        }
    }
    if let Some(value) = f.take("in") {
        let items = r.array("in", value, "a list of strings").unwrap_or_default();
        let values: Vec<Option<Template>> = items.iter().map(|item| r.template("in", item, true)).collect();
        tests.push(values.into_iter().collect::<Option<Vec<Template>>>().map(Test::In));
    }
    if let Some(value) = f.take("exists") {
        tests.push(r.boolean("exists", value).map(Test::Exists));
    }
    for (key, level) in Level::ALL {
        if let Some(value) = f.take(key) {
            tests.push(r.number(key, value).map(|bound| Test::Level(level, bound)));
        }
    }
    if tests.len() != 1 {
        let what = format!("the rule has {} tests", tests.len());
        r.fault(f.at(), what, "one of eq, not, in, prefix, exists, at_least, at_most, more_than, less_than");
    }
    tests.pop().flatten()
}

/// Whether `key` means to name days: it begins with one, as no other key of the step does.
fn is_days(key: &str) -> bool {
    hours::DAYS.iter().any(|day| key.starts_with(day))
}

fn opening<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Action> {
    let mut hours = Hours::default();
    let mut taken = HashSet::new();
    let entries = f.take_all(is_days);
    if entries.is_empty() {
        r.fault(f.at(), format!("{} names no days", f.what()), "e.g. mo-fr = \"09:00-17:30\"");
    }
    for (key, at, value) in entries {
        let days = hours::days(key).unwrap_or_else(|error| {
            r.fault(at, format!("`{key}` {error}"), one_of(hours::DAYS));
            Vec::new()
        });
        let ranges = ranges(r, key, value);
        for day in days {
            if !taken.insert(day) {
                let name = hours::DAYS.get(day).copied().unwrap_or_default();
                r.fault(at, format!("`{key}` names the day `{name}` again"), "each day once");
            }
            if let Some(of_day) = hours.week.get_mut(day) {
                of_day.clone_from(&ranges);
            }
        }
    }
    if let Some(value) = f.take("holidays") {
        hours.holidays = holidays(r, value);
    }
    let zone = f.take("timezone").and_then(|value| timezone(r, value));
    let open = f.step(r, "open");
    let closed = f.step(r, "closed");
    let holiday = match f.take("holiday") {
        Some(value) => r.step("holiday", value),
        None => closed,
    };
    Some(Action::Hours { hours, zone, open: open?, closed: closed?, holiday: holiday? })
}

/// The ranges of a day: `"09:00-12:00 13:00-17:00"`, a list of such texts, or `"closed"`.
fn ranges<'d>(r: &mut Reader<'d>, key: &str, value: Value<'d>) -> Vec<Range> {
    let items: &[Spanned<DeValue>] = match value.get_ref() {
        DeValue::Array(items) => items,
        _ => std::slice::from_ref(value),
    };
    let mut ranges = Vec::new();
    for item in items {
        let Some(text) = r.string(key, item) else { continue };
        if text.trim() == "closed" {
            continue;
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        for word in if words.is_empty() { vec![""] } else { words } {
            match Range::parse(word) {
                Ok(range) => ranges.push(range),
                Err(error) => {
                    let expected = "\"HH:MM-HH:MM\" (several with spaces), or \"closed\"";
                    r.fault(item.span().start, format!("`{key}`: {word:?} {error}"), expected);
                }
            }
        }
    }
    if let Err(error) = hours::check_overlap(&ranges) {
        r.fault(value.span().start, format!("`{key}` {error}"), "ranges that do not touch the same minute");
    }
    ranges
}

fn holidays<'d>(r: &mut Reader<'d>, value: Value<'d>) -> Vec<Holiday> {
    let expected = "\"YYYY-MM-DD\", or \"--MM-DD\" for every year";
    let Some(items) = r.array("holidays", value, "a list of dates") else { return Vec::new() };
    let mut holidays = Vec::new();
    for item in items {
        // A bare TOML date says the same as its text.
        let text = match item.get_ref() {
            DeValue::Datetime(date) => Some(date.to_string()),
            _ => r.string("holidays", item).map(str::to_owned),
        };
        match text.as_deref().map(Holiday::parse) {
            Some(Ok(holiday)) => holidays.push(holiday),
            Some(Err(error)) => {
                let what = format!("`holidays`: {:?} {error}", text.unwrap_or_default());
                r.fault(item.span().start, what, expected);
            }
            None => {}
        }
    }
    holidays
}

/// An IANA time zone.
pub(super) fn timezone<'d>(r: &mut Reader<'d>, value: Value<'d>) -> Option<TimeZone> {
    let name = r.string("timezone", value)?;
    let zone = TimeZone::get(name).ok();
    if zone.is_none() {
        r.fault(
            value.span().start,
            format!("there is no time zone {name:?}"),
            "an IANA name, e.g. \"America/New_York\"",
        );
    }
    zone
}

fn set<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Action> {
    let expected = "a table of attributes and texts, e.g. { topic = \"sales\" }";
    let values = f.need(r, "attributes", expected).and_then(|value| {
        let table = r.table("attributes", value, expected)?;
        if table.is_empty() {
            r.fault(value.span().start, "`attributes` is empty", expected);
        }
        let mut values = Vec::new();
        for (name, value) in table {
            let text = r.template(name.get_ref(), value, false);
            if let (Some(name), Some(text)) = (fill(r, name.get_ref(), name.span().start), text) {
                values.push((name, text));
            }
        }
        Some(values)
    });
    let next = f.step(r, "next");
    Some(Action::Set { values: values?, next: next? })
}

fn queue<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Template> {
    let value = f.need(r, "queue", "the name of a queue")?;
    let queue = r.template("queue", value, false)?;
    match queue.literal() {
        Some("") => r.fault(value.span().start, "`queue` is empty", "the name of a queue"),
        Some(name) => r.refer(ReferenceKind::Queue, name, value.span().start),
        None => {}
    }
    Some(queue)
}

fn enqueue<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Action> {
    let queue = queue(r, f);
    let keys = f.take("keys").map_or(Some(BTreeMap::new()), |value| keys(r, value));
    r.links_broken |= keys.is_none();
    let on_overflow = f.optional_step(r, "on_overflow");
    let on_full = f.optional_step(r, "on_full");
    Some(Action::Enqueue(Enqueue { queue: queue?, keys: keys?, on_overflow, on_full }))
}

fn callback<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Action> {
    let queue = queue(r, f);
    let number = match f.take("number") {
        None => Template::parse("{ani}").ok(),
        Some(value) => r.template("number", value, false),
    };
    let expected = "\"HH:MM\", \"HHMM\" as it is keyed, or \"+N\" minutes from now";
    let at = f.take("at").map(|value| {
        let at = r.template("at", value, false);
        if at.as_ref().and_then(Template::literal).is_some_and(|text| Moment::parse(text).is_none()) {
            r.fault(value.span().start, "`at` is no time", expected);
        }
        at
    });
    let on_ok = f.step(r, "on_ok");
    let on_known = f.optional_step(r, "on_known");
    let on_full = f.optional_step(r, "on_full");
    let on_fail = f.optional_step(r, "on_fail");
    let at = at.map_or(Some(None), |at| at.map(Some))?;
    Some(Action::Callback(Callback { queue: queue?, number: number?, at, on_ok: on_ok?, on_known, on_full, on_fail }))
}

fn transfer<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Action> {
    let expected = "a number of `0-9*#+`, \"node:NAME/NUMBER\", or \"sip:user@host\"";
    let to = f.need(r, "to", expected).and_then(|value| {
        let to = r.template("to", value, false)?;
        if to.is_uri() && !to.names_host() {
            // Callers choose what attributes hold, and must not choose a host.
            r.fault(value.span().start, "the host of `to` is an attribute", expected);
        }
        Some((to, value.span().start))
    });
    let ring_s = f.integer(r, "ring_s", 1..=600, 30);
    let on_busy = f.optional_step(r, "on_busy");
    let on_no_answer = f.optional_step(r, "on_no_answer");
    let on_machine = f.optional_step(r, "on_machine");
    let on_fail = f.optional_step(r, "on_fail");
    let (to, at) = to?;
    let transfer = Transfer { to, ring_s, on_busy, on_no_answer, on_machine, on_fail };
    match transfer.to.literal() {
        Some(text) if !transfer.allows(text) => r.fault(at, format!("`to` {text:?} cannot be called"), expected),
        Some(text) if !transfer.to.is_uri() && transfer.to.node().is_none() => r.refer(ReferenceKind::Number, text, at),
        _ => {}
    }
    if let Some(node) = transfer.to.node() {
        r.refer(ReferenceKind::Node, node, at);
    }
    Some(Action::Transfer(transfer))
}

fn agent<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Action> {
    let words = AgentAction::ALL.map(|action| (action.as_str(), action));
    let action = f.need(r, "action", &one_of(words.map(|w| w.0))).and_then(|value| r.choice("action", value, &words));
    let code = f.need(r, "code", "the agent's code, e.g. \"{code}\"").and_then(|value| r.template("code", value, true));
    let pin = f.need(r, "pin", "the agent's PIN, e.g. \"{pin}\"").and_then(|value| r.template("pin", value, true));
    let on_ok = f.step(r, "on_ok");
    let on_fail = f.optional_step(r, "on_fail");
    let place = place(r, f, action);
    Some(Action::Agent(Agent { action: action?, code: code?, pin: pin?, place: place?, on_ok: on_ok?, on_fail }))
}

/// Where the agent signs in: `at` the caller's or a site, with `number` the extension there, or a telephone outside.
fn place<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>, action: Option<AgentAction>) -> Option<[Option<Template>; 2]> {
    let mut read = |key| match f.take(key) {
        None => Some(None),
        Some(value) => {
            if action.is_some_and(|action| action != AgentAction::SignIn) {
                r.fault(value.span().start, format!("`{key}` without a sign-in"), "action = \"sign-in\"");
            }
            let template = r.template(key, value, false)?;
            let site = template.literal().filter(|text| key == "at" && *text != AT_CALLER);
            if let Some(site) = site {
                r.refer(ReferenceKind::Site, site, value.span().start);
            }
            Some(Some(template))
        }
    };
    Some([read("at")?, read("number")?])
}

fn hangup<'d>(r: &mut Reader<'d>, f: &mut Fields<'d>) -> Option<Action> {
    let Some(value) = f.take("cause") else { return Some(Action::Hangup(Cause::Normal)) };
    // The two causes that are ours to find, not a flow's to claim.
    let claimable = |cause: &&Cause| !matches!(cause, Cause::Abandoned | Cause::Interrupted);
    let words: Vec<(&str, Cause)> = Cause::ALL.iter().filter(claimable).map(|cause| (cause.as_str(), *cause)).collect();
    r.choice("cause", value, &words).map(Action::Hangup)
}
