//! A checked flow: its steps, and what they refer to outside of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::template::Template;
use crate::base::Cause;
use crate::core::hours::Hours;

/// A step's place in [`Flow::nodes`].
pub(super) type NodeId = usize;

/// What an `agent` step does for the agent on the phone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AgentAction {
    /// Starts to take work.
    SignIn,
    /// Stops to take work for the day.
    SignOut,
    /// Stops to take work for a while.
    Pause,
    /// Ends a pause.
    Resume,
}

impl AgentAction {
    /// Every action.
    pub const ALL: [AgentAction; 4] = [Self::SignIn, Self::SignOut, Self::Pause, Self::Resume];

    /// The word in a flow.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::SignOut => "sign-out",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}

/// What `at` of a sign-in says for the place that the call comes from.
pub const AT_CALLER: &str = "caller";

/// An `agent` step.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Agent {
    pub(super) action: AgentAction,
    pub(super) code: Template,
    pub(super) pin: Template,
    /// `at` and `number`: where the agent signs in, where it is not as provisioned.
    pub(super) place: [Option<Template>; 2],
    pub(super) on_ok: NodeId,
    pub(super) on_fail: Option<NodeId>,
}

/// What kind of thing outside of the flow a [`Reference`] names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReferenceKind {
    /// A queue of the tenant.
    Queue,
    /// A site.
    Site,
    /// A prompt.
    Prompt,
    /// A number that a transfer dials.
    Number,
    /// Another appliance, to whose number a transfer leads.
    Node,
}

/// A name in a flow that means something outside of it. Names with `{attribute}` in them are known only at run time
/// and are no references.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reference {
    /// What it names.
    pub kind: ReferenceKind,
    /// The name.
    pub name: String,
    /// Line of the name in the flow's text, from 1.
    pub line: u32,
    /// Column of the name in characters, from 1.
    pub column: u32,
}

/// A checked flow: every target exists, every step is reachable, every value is in range.
#[derive(Clone, PartialEq, Debug)]
pub struct Flow {
    pub(super) name: String,
    /// In the order of the text.
    pub(super) nodes: Vec<Node>,
    pub(super) start: NodeId,
    /// Where a call goes when a fax machine calls.
    pub(super) on_fax: Option<NodeId>,
    pub(super) zone: Option<TimeZone>,
    pub(super) language: Option<String>,
    /// Attributes that a `collect` with `secret = true` fills.
    pub(super) secrets: BTreeSet<String>,
    pub(super) references: Vec<Reference>,
}

impl Flow {
    /// What people call the flow: its `name`, or the file's name where it has none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many steps it has (1..=1,000).
    pub fn step_count(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it says nothing to callers and takes nothing from them: it passes them on, or ends.
    pub fn passes_on(&self) -> bool {
        let says_nothing = |node: &Node| {
            matches!(
                node.action,
                Action::Branch { .. }
                    | Action::Hours { .. }
                    | Action::Set { .. }
                    | Action::Transfer(Transfer { on_machine: None, .. })
                    | Action::Hangup(_)
                    | Action::Goto { .. }
            )
        };
        self.nodes.iter().all(says_nothing)
    }

    /// The numbers to which it transfers every call, where they stand in its text and it does nothing else that could end a call or
    /// let the caller choose; `None` where it does.
    pub fn only_to_numbers(&self) -> Option<Vec<Reference>> {
        if self.on_fax.is_some() {
            return None;
        }
        let mut numbers = Vec::new();
        let mut reached = BTreeSet::from([self.start]);
        let mut open = vec![self.start];
        while let Some(node) = open.pop().and_then(|id| self.nodes.get(id)) {
            match &node.action {
                Action::Transfer(transfer) => {
                    let to = transfer.to.literal().filter(|to| is_number(to))?;
                    let stands = |of: &&Reference| of.kind == ReferenceKind::Number && of.name == to;
                    numbers.push(self.references.iter().find(stands)?.clone());
                }
                Action::Answer { .. }
                | Action::Play { .. }
                | Action::Branch { .. }
                | Action::Hours { .. }
                | Action::Set { .. }
                | Action::Goto { .. } => {
                    open.extend(node.action.exits().into_iter().map(|(_, to)| to).filter(|to| reached.insert(*to)));
                }
                _ => return None,
            }
        }
        numbers.sort_by_key(|reference| (reference.line, reference.column));
        numbers.dedup();
        Some(numbers)
    }

    /// The queues, prompts and numbers that the flow names, in the order of the text; a name that stands twice is there
    /// twice.
    pub fn references(&self) -> Vec<Reference> {
        self.references.clone()
    }
}

/// A step.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    /// The word after `do`.
    pub(super) kind: &'static str,
    pub(super) action: Action,
}

/// What a step does, and where the call goes on. A target of `None` ends the call.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Action {
    Answer { next: NodeId },
    Play { prompt: Prompt, barge_in: bool, next: NodeId },
    Menu(Menu),
    Collect(Collect),
    Branch { rules: Vec<Rule>, otherwise: NodeId },
    Hours { hours: Hours, zone: Option<TimeZone>, open: NodeId, closed: NodeId, holiday: NodeId },
    Set { values: Vec<(String, Template)>, next: NodeId },
    Enqueue(Enqueue),
    Callback(Callback),
    Transfer(Transfer),
    Agent(Agent),
    Hangup(Cause),
    Goto { next: NodeId },
}

/// What to play; empty for silence of no length.
pub(super) type Prompt = Vec<PromptItem>;

/// A piece of a prompt.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum PromptItem {
    Named(Template),
    SilenceMs(u16),
    Beep,
    Say(SayKind, Template),
}

/// How to speak a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SayKind {
    Digits,
    Number,
    Time,
    Date,
}

impl SayKind {
    pub(super) const ALL: [SayKind; 4] = [Self::Digits, Self::Number, Self::Time, Self::Date];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Number => "number",
            Self::Time => "time",
            Self::Date => "date",
        }
    }
}

/// How a step that takes keys asks for them.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Ask {
    pub(super) prompt: Prompt,
    pub(super) invalid_prompt: Prompt,
    pub(super) barge_in: bool,
    pub(super) type_ahead: bool,
    /// From the prompt's end to the first key.
    pub(super) first_s: u32,
    /// Tries after the first.
    pub(super) retries: u32,
    pub(super) on_timeout: Option<NodeId>,
    pub(super) on_invalid: Option<NodeId>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Menu {
    pub(super) ask: Ask,
    pub(super) keys: BTreeMap<char, NodeId>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Collect {
    pub(super) ask: Ask,
    pub(super) attribute: String,
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) terminator: Option<char>,
    /// From one digit to the next.
    pub(super) inter_s: u32,
    pub(super) secret: bool,
    pub(super) next: NodeId,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Enqueue {
    pub(super) queue: Template,
    /// Where keys lead that the caller presses while it waits.
    pub(super) keys: BTreeMap<char, NodeId>,
    pub(super) on_overflow: Option<NodeId>,
    pub(super) on_full: Option<NodeId>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Callback {
    pub(super) queue: Template,
    pub(super) number: Template,
    /// The agreed time; as soon as the place comes without.
    pub(super) at: Option<Template>,
    pub(super) on_ok: NodeId,
    pub(super) on_known: Option<NodeId>,
    pub(super) on_full: Option<NodeId>,
    pub(super) on_fail: Option<NodeId>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Transfer {
    pub(super) to: Template,
    pub(super) ring_s: u32,
    pub(super) on_busy: Option<NodeId>,
    pub(super) on_no_answer: Option<NodeId>,
    /// Where the call goes when a machine answers; without it nobody asks who did.
    pub(super) on_machine: Option<NodeId>,
    pub(super) on_fail: Option<NodeId>,
}

impl Transfer {
    /// Whether `to`, the template with its attributes put in, can be called. A URI is one by the flow's own text: callers
    /// choose what attributes hold, and must not choose a host.
    pub(super) fn allows(&self, to: &str) -> bool {
        if self.to.is_uri() {
            is_uri(to)
        } else if self.to.node().is_some() {
            is_node(to)
        } else {
            is_number(to)
        }
    }
}

/// A number of another appliance, `node:NAME/NUMBER`.
fn is_node(to: &str) -> bool {
    let Some((name, number)) = to.strip_prefix("node:").and_then(|rest| rest.split_once('/')) else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=64).contains(&name.len()) && name.chars().all(plain) && is_number(number)
}

/// A SIP URI of at most 128 octets.
fn is_uri(to: &str) -> bool {
    let Some(rest) = to.strip_prefix("sip:").or_else(|| to.strip_prefix("sips:")) else { return false };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let bare = rest.split_once('@').is_none_or(|(user, host)| !user.is_empty() && !host.contains('@'));
    let printable = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"');
    bare && !host.is_empty() && to.len() <= 128 && to.chars().all(printable)
}

/// A number of `0-9*#` with perhaps a `+` before it, at most 32 characters.
fn is_number(to: &str) -> bool {
    let digits = to.strip_prefix('+').unwrap_or(to);
    (1..=31).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '*' | '#'))
}

/// One `when` of a branch.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Rule {
    pub(super) attribute: String,
    pub(super) test: Test,
    pub(super) then: NodeId,
}

/// What a rule asks of its attribute; one that is not set counts as empty.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Test {
    Equal(Template),
    NotEqual(Template),
    In(Vec<Template>),
    Prefix(Template),
    Exists(bool),
    /// Both sides as numbers; false when the value is none.
    Level(Level, f64),
}

/// How numbers compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    AtLeast,
    AtMost,
    MoreThan,
    LessThan,
}

impl Level {
    pub(super) const ALL: [(&'static str, Level); 4] = [
        ("at_least", Self::AtLeast),
        ("at_most", Self::AtMost),
        ("more_than", Self::MoreThan),
        ("less_than", Self::LessThan),
    ];

    pub(super) fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::AtLeast => value >= bound,
            Self::AtMost => value <= bound,
            Self::MoreThan => value > bound,
            Self::LessThan => value < bound,
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::MoreThan => ">",
            Self::LessThan => "<",
        }
    }
}

impl Rule {
    /// The rule in a few characters, for drawings.
    pub(super) fn label(&self) -> String {
        let name = &self.attribute;
        match &self.test {
            Test::Equal(value) => format!("{name} = {value}"),
            Test::NotEqual(value) => format!("{name} \u{2260} {value}"),
            Test::In(values) => {
                let values: Vec<String> = values.iter().map(Template::to_string).collect();
                format!("{name} in {}", values.join(", "))
            }
            Test::Prefix(value) => format!("{name} = {value}\u{2026}"),
            Test::Exists(true) => format!("{name} set"),
            Test::Exists(false) => format!("{name} not set"),
            Test::Level(level, bound) => format!("{name} {} {bound}", level.sign()),
        }
    }
}

impl Action {
    /// The ways out of the step with their labels, in the order of the schema; ways that end the call are left out.
    pub(super) fn exits(&self) -> Vec<(String, NodeId)> {
        let named = |pairs: &[(&str, Option<NodeId>)]| -> Vec<(String, NodeId)> {
            pairs.iter().filter_map(|(label, to)| to.map(|to| ((*label).to_owned(), to))).collect()
        };
        match self {
            Self::Answer { next } | Self::Play { next, .. } | Self::Set { next, .. } | Self::Goto { next } => {
                vec![(String::new(), *next)]
            }
            Self::Menu(menu) => {
                let keys = menu.keys.iter().map(|(key, to)| (key.to_string(), *to));
                keys.chain(named(&[("timeout", menu.ask.on_timeout), ("invalid", menu.ask.on_invalid)])).collect()
            }
            Self::Collect(collect) => named(&[
                ("", Some(collect.next)),
                ("timeout", collect.ask.on_timeout),
                ("invalid", collect.ask.on_invalid),
            ]),
            Self::Branch { rules, otherwise } => {
                let rules = rules.iter().map(|rule| (rule.label(), rule.then));
                rules.chain([("else".to_owned(), *otherwise)]).collect()
            }
            Self::Hours { open, closed, holiday, .. } => {
                named(&[("open", Some(*open)), ("closed", Some(*closed)), ("holiday", Some(*holiday))])
            }
            Self::Enqueue(enqueue) => {
                let keys = enqueue.keys.iter().map(|(key, to)| (key.to_string(), *to));
                keys.chain(named(&[("overflow", enqueue.on_overflow), ("full", enqueue.on_full)])).collect()
            }
            Self::Callback(callback) => named(&[
                ("ok", Some(callback.on_ok)),
                ("known", callback.on_known),
                ("full", callback.on_full),
                ("fail", callback.on_fail),
            ]),
            Self::Transfer(transfer) => named(&[
                ("busy", transfer.on_busy),
                ("no answer", transfer.on_no_answer),
                ("machine", transfer.on_machine),
                ("fail", transfer.on_fail),
            ]),
            Self::Agent(agent) => named(&[("ok", Some(agent.on_ok)), ("fail", agent.on_fail)]),
            Self::Hangup(_) => Vec::new(),
        }
    }

    /// The step's main parameter, for drawings; empty where there is none.
    pub(super) fn detail(&self) -> String {
        match self {
            Self::Play { prompt, .. } => prompt_detail(prompt),
            Self::Menu(menu) => prompt_detail(&menu.ask.prompt),
            Self::Collect(collect) => {
                let length = match (collect.min, collect.max) {
                    (min, max) if min == max => format!("{max}"),
                    (min, max) => format!("{min}\u{2013}{max}"),
                };
                let secret = if collect.secret { ", secret" } else { "" };
                format!("{length} digits into {}{secret}", collect.attribute)
            }
            Self::Hours { zone, .. } => {
                zone.as_ref().and_then(TimeZone::iana_name).map(str::to_owned).unwrap_or_default()
            }
            Self::Set { values, .. } => {
                let values: Vec<String> = values.iter().map(|(name, value)| format!("{name} = {value}")).collect();
                values.join(", ")
            }
            Self::Enqueue(enqueue) => enqueue.queue.to_string(),
            Self::Callback(callback) => {
                let at = callback.at.as_ref().map_or(String::new(), |at| format!(", at {at}"));
                format!("{}: {}{at}", callback.queue, callback.number)
            }
            Self::Transfer(transfer) => format!("{}, {} s", transfer.to, transfer.ring_s),
            Self::Agent(agent) => agent.action.as_str().to_owned(),
            Self::Hangup(cause) => cause.as_str().to_owned(),
            Self::Answer { .. } | Self::Branch { .. } | Self::Goto { .. } => String::new(),
        }
    }
}

fn prompt_detail(prompt: &[PromptItem]) -> String {
    let items: Vec<String> = prompt
        .iter()
        .map(|item| match item {
            PromptItem::Named(name) => name.to_string(),
            PromptItem::SilenceMs(ms) => format!("{ms} ms"),
            PromptItem::Beep => "beep".to_owned(),
            PromptItem::Say(kind, value) => format!("{} {value}", kind.as_str()),
        })
        .collect();
    items.join(", ")
}
