//! Work items as text: lists, records, and why one is where it is.

use serde::Serialize;

use super::Table;
use super::render::{ago, span};
use crate::base::Timestamp;
use crate::core::contact::{Match, Policy, Work, WorkState};
use crate::core::control::{BasisView, CandidateView, Explanation, HoldView, WorkView};
use crate::core::queue::{Terms, Trigger};

/// Open work items.
pub fn works(works: &[WorkView]) -> Table {
    let mut table = Table::new(["work", "tenant", "queue", "medium", "state", "agent", "waited", "place", "expected"]);
    for work in works {
        table.row([
            work.id.to_string(),
            work.tenant.clone(),
            work.queue.clone(),
            if work.callback.is_some() { format!("{}, call-back", work.medium) } else { work.medium.to_string() },
            state(work),
            work.agent.clone().unwrap_or_default(),
            if work.state == WorkState::Scheduled { String::new() } else { span(work.waited_s) },
            work.position.map_or(String::new(), |n| n.to_string()),
            work.expected_wait_s.map_or(String::new(), span),
        ]);
    }
    table
}

/// Where an item stands; of a call-back, how far that has come.
fn state(work: &WorkView) -> String {
    let state = work.state.as_str();
    match &work.callback {
        Some(callback) if callback.reached => format!("{state}, talking"),
        Some(callback) if work.state == WorkState::Handled => format!("{state}, try {}", callback.tries),
        Some(callback) if callback.rests => format!("{state}, called in"),
        Some(callback) if callback.tries > 0 => format!("{state}, tried {} times", callback.tries),
        _ => state.into(),
    }
}

/// Ended work items.
pub fn ended(works: &[Work], now: Timestamp) -> Table {
    let mut table = Table::new(["work", "tenant", "queue", "medium", "outcome", "disposition", "agent", "ended"]);
    for work in works {
        table.row([
            work.id.to_string(),
            work.tenant.clone(),
            work.queue.clone(),
            work.medium.to_string(),
            work.outcome.map_or("", |outcome| outcome.as_str()).into(),
            work.disposition.clone().unwrap_or_default(),
            work.agent.clone().unwrap_or_default(),
            work.ended_at.map_or(String::new(), |at| ago(at, now)),
        ]);
    }
    table
}

/// A record.
pub fn work(work: &Work, now: Timestamp) -> String {
    let mut text = head(work, now);
    let mut table = Table::new(["event", "at", "detail"]);
    for event in &work.events {
        let by_score = event.reason.as_ref().filter(|reason| reason.policy.goes_by_score());
        let score = by_score.map_or(String::new(), |reason| format!(" ({:.1})", reason.terms.total()));
        table.row([event.what.clone(), event.at.to_string(), format!("{}{score}", event.detail)]);
    }
    text.push_str(&format!("\n{table}"));
    text
}

fn head(work: &Work, now: Timestamp) -> String {
    let mut lines = vec![
        ("work", work.id.to_string()),
        ("medium", work.medium.to_string()),
        ("queue", format!("{}/{}", work.tenant, work.queue)),
        ("state", work.state.as_str().to_owned()),
        ("came", format!("{} ({} ago)", work.arrived_at, ago(work.arrived_at, now))),
    ];
    let mut add = |name, value: Option<String>| lines.extend(value.map(|value| (name, value)));
    add("due", work.due_at.map(|at| at.to_string()));
    add("client", work.client.as_ref().map(|client| client.expose().clone()));
    if let Some(callback) = &work.callback {
        let tries = if callback.tries == 1 { "1 try".to_owned() } else { format!("{} tries", callback.tries) };
        add("call back", Some(format!("{}, {tries}", callback.number.expose())));
        add("asked in", callback.asked_in.map(|call| format!("call {call}")));
        add("last call", callback.call.map(|call| call.to_string()));
        let retry_at = callback.retry_at.filter(|_| work.state == WorkState::Scheduled);
        add("next try", retry_at.map(|at| at.to_string()));
    }
    add("subject", work.subject.as_ref().map(|subject| subject.expose().clone()));
    let attributes: Vec<String> = work.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    add("attributes", (!attributes.is_empty()).then(|| attributes.join(" ")));
    let modifiers: Vec<String> = work
        .modifiers
        .iter()
        .map(|modifier| {
            let value = modifier.value.as_ref().map_or(String::new(), |value| format!("={value}"));
            format!("{} {}{value}", modifier.mode.as_str(), modifier.attribute)
        })
        .collect();
    add("modifiers", (!modifiers.is_empty()).then(|| modifiers.join(", ")));
    add("agent", work.agent.clone());
    add("ended", work.ended_at.map(|at| at.to_string()));
    add("outcome", work.outcome.map(|outcome| outcome.as_str().to_owned()));
    add("disposition", work.disposition.clone());
    add("note", work.note.as_ref().map(|note| note.expose().clone()));
    let printable = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    let line = |(name, value): &(&str, String)| {
        let value: String = value.chars().map(printable).collect();
        format!("{name:<13}{}\n", value.replace('\n', &format!("\n{:13}", "")))
    };
    lines.iter().map(line).collect()
}

/// The head and cells of a score's terms.
const TERMS: [&str; 9] = ["match", "urgency", "in time", "fairness", "flex", "idle", "blend", "cost", "total"];

fn terms(terms: &Terms) -> [String; 9] {
    let t = terms;
    [t.matched, t.urgency, t.in_time, t.fairness, t.flex, t.idle, t.blend, t.cost, t.total()].map(|points| {
        let text = format!("{points:.1}");
        if text == "-0.0" { "0.0".into() } else { text }
    })
}

/// Why a work item is where it is, or where one would go.
pub fn explanation(explanation: &Explanation, now: Timestamp) -> String {
    let work = &explanation.work;
    let is_open = work.state != WorkState::Ended;
    let mut text = if work.id.0 == 0 { would(explanation) } else { head(work, now) };
    if let Some(position) = explanation.position {
        let expected = explanation.expected_wait_s.map_or("not known".into(), span);
        text.push_str(&format!("{:<13}{position}, expected wait {expected}\n", "place"));
    }
    if let Some(hold) = &explanation.hold {
        text.push_str(&held(hold));
    }
    if !explanation.candidates.is_empty() {
        let policy = explanation.policy.unwrap_or_default();
        text.push_str(&format!("\n{}\n{}", by(policy), candidates(policy, &explanation.candidates)));
        if explanation.left_out > 0 {
            text.push_str(&format!("and {} more agents\n", explanation.left_out));
        }
    } else if is_open && matches!(work.state, WorkState::Waiting) {
        text.push_str("\nthe tenant has no agents\n");
    }
    for event in &work.events {
        if let Some(reason) = &event.reason {
            let at = event.at;
            text.push_str(&format!("\n{at} offered to {} by {}: {}\n", event.detail, reason.policy, why(reason)));
            text.push_str(&matched(work, &event.detail, reason).to_string());
        }
    }
    text
}

/// What would become of an item now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Fate {
    Offered,
    Held,
    Waits,
    Unservable,
}

/// What would become of it, and the agent who is the best of those that could take it.
fn fate(explanation: &Explanation) -> (Fate, Option<&str>) {
    let best = explanation.candidates.iter().find(|candidate| candidate.could_take_it());
    let never = explanation.left_out == 0 && explanation.candidates.iter().all(|candidate| candidate.unfit);
    let fate = match best {
        Some(_) if explanation.hold.is_some() => Fate::Held,
        Some(_) => Fate::Offered,
        None if never => Fate::Unservable,
        None => Fate::Waits,
    };
    (fate, best.map(|best| best.agent.as_str()))
}

/// Where an item would go now, for machines.
#[derive(Debug, Serialize)]
pub struct WouldBe<'a> {
    outcome: Fate,
    agent: Option<&'a str>,
    #[serde(flatten)]
    explanation: &'a Explanation,
}

/// The explanation, with what would become of the item before it.
pub fn would_be(explanation: &Explanation) -> WouldBe<'_> {
    let (outcome, agent) = fate(explanation);
    WouldBe { outcome, agent, explanation }
}

/// Where an item would go now.
fn would(explanation: &Explanation) -> String {
    let work = &explanation.work;
    let (fate, agent) = fate(explanation);
    let agent = agent.unwrap_or_default();
    let place = match fate {
        Fate::Held => format!("would be held, though {agent} could take it"),
        Fate::Offered => format!("would be offered to {agent}"),
        Fate::Unservable => "would wait, and none of the agents can take it".into(),
        Fate::Waits => "would wait: who fits is not free".into(),
    };
    format!("{} in {}/{} {place}\n", work.medium, work.tenant, work.queue)
}

/// For whom an item is held, until when, and why.
fn held(hold: &HoldView) -> String {
    let more = hold.better_count - hold.better.len().min(hold.better_count);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (better, free_in) = (hold.better.join(", "), span(hold.free_in_s.round() as u64));
    format!(
        "{:<13}for {better}{more}, expected to be free in {free_in}: {:.1} points better than {}, while urgency grows by {:.1}; \
         looked at again in {} at the latest\n",
        "held",
        hold.gain,
        hold.instead_of,
        hold.loss,
        span(hold.look_in_s.ceil() as u64),
    )
}

/// By what agents are in order.
fn by(policy: Policy) -> &'static str {
    match policy {
        Policy::Fifo => "by fifo: who puts least aside, then who is idle longest",
        Policy::BestSkill => "by best-skill: the level less what is put aside, then who is idle longest",
        Policy::Score => "by score",
        Policy::ScoreHold => "by score+hold: the score, and a call may wait for a better agent",
    }
}

/// The head and cells of what counts where the score does not.
const BASIS: [&str; 3] = ["level", "aside", "idle"];

fn basis(basis: &BasisView) -> [String; 3] {
    [basis.level.to_string(), basis.put_aside.to_string(), span(basis.idle_s as u64)]
}

fn candidates(policy: Policy, candidates: &[CandidateView]) -> Table {
    let head: &[&str] = if policy.goes_by_score() { &TERMS } else { &BASIS };
    let mut table = Table::new(["agent"].into_iter().chain(head.iter().copied()).chain(["verdict"]));
    for candidate in candidates {
        let cells = match (&candidate.terms, &candidate.basis) {
            (Some(of), _) => terms(of).to_vec(),
            (None, Some(of)) => basis(of).to_vec(),
            (None, None) => vec![String::new(); head.len()],
        };
        table.row([candidate.agent.clone()].into_iter().chain(cells).chain([candidate.verdict.clone()]));
    }
    table
}

fn why(reason: &Match) -> String {
    let of = match reason.trigger {
        Trigger::Item => "the best of the agents who could take it",
        Trigger::Agent => "the best of the items that the agent could take",
    };
    let compared = if reason.compared > 0 { format!("{} compared, ", reason.compared) } else { String::new() };
    format!("{of}; {compared}waited {}", span(reason.waited_s as u64))
}

/// The pair that was chosen and the best of the others; with their scores where these decided.
fn matched(work: &Work, agent: &str, reason: &Match) -> Table {
    let scores = reason.policy.goes_by_score();
    let cells = |of: &Terms| if scores { terms(of).to_vec() } else { Vec::new() };
    let head: &[&str] = if scores { &TERMS } else { &[] };
    let mut table = Table::new(["agent", "work"].into_iter().chain(head.iter().copied()));
    table.row([agent.to_owned(), work.id.to_string()].into_iter().chain(cells(&reason.terms)));
    for other in &reason.others {
        table.row([other.agent.clone(), other.work.to_string()].into_iter().chain(cells(&other.terms)));
    }
    table
}
