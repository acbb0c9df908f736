//! A day's recorded calls as a scenario: who came when and how long the talk was is what was, how long others would wait is what
//! the day lets one guess.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use super::measure::mean;
use crate::base::{Cause, Timestamp};
use crate::core::journal::{Cdr, ENQUEUED};
use crate::core::tenant::Provision;

/// The event of a call that left its queue unserved.
const OVERFLOW: &str = "overflow";
/// Talk times that tell a law; of fewer the law of all queues is taken.
const TALKS_MIN: usize = 20;
/// The law where nothing is known: mean and deviation of the logarithm, of a bank's regular calls.
const LAW_USUAL: (f64, f64) = (4.85, 0.86);
/// Callers who gave up that tell their patience.
const GAVE_UP_MIN: usize = 5;
/// The patience where nothing is known, in seconds, and the bounds of what is believed.
const PATIENCE_S: (f64, f64, f64) = (400.0, 20.0, 7_200.0);

/// Why there is no scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoScenario {
    /// No call came into a queue that is still provisioned.
    NoCalls,
    /// No contact of any medium came.
    NoContacts,
    /// The tenant has no agents who could take some queue's calls.
    NoAgents {
        /// The queue.
        queue: String,
    },
}

impl fmt::Display for NoScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCalls => f.write_str("no call came into a queue on that day; `--mix` takes contacts of all media"),
            Self::NoContacts => f.write_str("nothing came into a queue on that day"),
            Self::NoAgents { queue } => write!(f, "no agent could take calls of the queue `{queue}`"),
        }
    }
}

impl std::error::Error for NoScenario {}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Left {
    pub(super) waited_s: f64,
    /// While it waited.
    pub(super) gave_up: bool,
}

/// What is known of one call.
struct Call {
    at_s: f64,
    queue: String,
    left: Left,
    /// As an agent of middling skill would have talked.
    talk_s: Option<f64>,
}

/// The scenario of a tenant's calls from a time on, as a JSON value that [`Scenario::read`](super::Scenario::read) takes.
///
/// Agents are those who took calls, at their levels of today and there all day, or all of the tenant's if nobody did. Where a queue asks for a least
/// level of a skill, only those who have it have the scenario's skill `NAME>=LEVEL`.
///
/// # Errors
/// There is nothing to simulate.
pub fn scenario(
    provision: &Provision,
    tenant: &str,
    from: Timestamp,
    name: &str,
    records: impl IntoIterator<Item = Cdr>,
) -> Result<Value, NoScenario> {
    let queues: Vec<_> = provision.queue.iter().filter(|queue| queue.tenant == tenant).collect();
    let all: Vec<_> = provision.agent.iter().filter(|agent| agent.tenant == tenant).collect();
    let needs = |queue: &str| queues.iter().find(|q| q.name == queue).map(|q| &q.skills);
    let level = |agent: Option<&str>, queue: &str| {
        let skills = agent.and_then(|name| all.iter().find(|a| a.name == name)).map(|a| &a.skills);
        let has = |skill: &String| skills.and_then(|s| s.get(skill)).copied().unwrap_or(1.0);
        needs(queue).map_or(1.0, |needs| needs.keys().map(has).fold(1.0, f64::min))
    };
    let mut took = BTreeSet::new();
    let mut calls: Vec<Call> = vec![];
    for cdr in records.into_iter().filter(|cdr| cdr.tenant == tenant) {
        let Some(entered) = cdr.events.iter().find(|event| event.what == ENQUEUED) else { continue };
        let queue = entered.detail.clone();
        let (Some(ended_at), true) = (cdr.ended_at, needs(&queue).is_some()) else { continue };
        let since = |from: Timestamp, to: Timestamp| to.as_millis().saturating_sub(from.as_millis()) as f64 / 1e3;
        let answered_at = cdr.answered_at.filter(|_| cdr.agent.is_some());
        let factor = 1.3 - 0.4 * level(cdr.agent.as_deref(), &queue);
        let talk_s = answered_at.map(|at| since(at, ended_at) / factor).filter(|talk_s| *talk_s > 0.0);
        let gave_up = cdr.cause == Some(Cause::Abandoned);
        // What came after an overflow, a voicemail perhaps, was no waiting; but who gave up in another queue still waited there.
        let left = || cdr.events.iter().skip_while(|event| event.what != ENQUEUED).find(|event| event.what == OVERFLOW);
        let left_at = if gave_up { None } else { left().map(|event| event.at) };
        let waited_s = since(entered.at, answered_at.or(left_at).unwrap_or(ended_at)).max(0.0);
        took.extend(cdr.agent.filter(|_| answered_at.is_some()));
        let left = Left { waited_s, gave_up };
        calls.push(Call { at_s: since(from, entered.at).max(0.0), queue, left, talk_s });
    }
    calls.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    let (Some(first), Some(last)) = (calls.first(), calls.last()) else { return Err(NoScenario::NoCalls) };
    let hours = ((last.at_s - first.at_s) / 3_600.0).max(1.0);
    let present: Vec<_> = all.iter().filter(|agent| took.is_empty() || took.contains(&agent.name)).collect();
    let met: BTreeSet<&str> = calls.iter().map(|call| call.queue.as_str()).collect();
    let usual = law(calls.iter().filter_map(|call| call.talk_s)).unwrap_or(LAW_USUAL);
    let mut types = vec![];
    let mut held: BTreeMap<&str, BTreeMap<String, f64>> =
        present.iter().map(|a| (a.name.as_str(), BTreeMap::new())).collect();
    for queue in queues.iter().filter(|queue| met.contains(queue.name.as_str())) {
        let able = |agent: &crate::core::tenant::provision::Agent| {
            queue
                .skills
                .iter()
                .all(|(skill, least)| agent.skills.get(skill).is_some_and(|have| have >= least && *have > 0.0))
        };
        if !present.iter().any(|agent| able(agent)) {
            return Err(NoScenario::NoAgents { queue: queue.name.clone() });
        }
        for (skill, &least) in &queue.skills {
            for agent in &present {
                let have = agent.skills.get(skill).copied().filter(|have| *have >= least);
                if let (Some(skills), Some(have)) = (held.get_mut(agent.name.as_str()), have) {
                    skills.insert(asked(skill, least), have);
                }
            }
        }
        let own = || calls.iter().filter(|call| call.queue == queue.name);
        let (log_mean, log_sd) = law(own().filter_map(|call| call.talk_s)).unwrap_or(usual);
        types.push(json!({
            "name": queue.name,
            "needs": queue.skills.iter().map(|(skill, &least)| asked(skill, least)).collect::<Vec<_>>(),
            "calls_per_hour": positive(own().count() as f64 / hours),
            "talk": { "law": "lognormal", "log_mean": rounded(log_mean), "log_sd": rounded(log_sd) },
            "patience_mean_s": positive(patience_s(own().map(|call| &call.left))),
        }));
    }
    let agents: Vec<Value> = held.into_iter().map(|(name, skills)| json!({ "name": name, "skills": skills })).collect();
    let targets = queues.iter().filter(|queue| met.contains(queue.name.as_str())).map(|queue| queue.target_s);
    let arrivals: Vec<Value> = (calls.iter())
        .map(|call| match call.talk_s {
            Some(talk_s) => json!({ "at_s": rounded(call.at_s), "type": call.queue, "talk_s": positive(talk_s) }),
            None => json!({ "at_s": rounded(call.at_s), "type": call.queue }),
        })
        .collect();
    Ok(json!({
        "kind": "routing",
        "name": name,
        "target_s": targets.min().unwrap_or(20),
        "types": types,
        "agents": agents,
        "arrivals": arrivals,
    }))
}

/// A skill of which a least level is asked.
fn asked(skill: &str, least: f64) -> String {
    if least > 0.0 { format!("{skill}>={least}") } else { skill.to_owned() }
}

pub(super) fn rounded(x: f64) -> f64 {
    (x * 1_000.0).round() / 1_000.0
}

/// What must be above zero.
pub(super) fn positive(x: f64) -> f64 {
    rounded(x).max(0.001)
}

/// Mean and deviation of the logarithm; none of too few.
pub(super) fn law(talks_s: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let logs: Vec<f64> = talks_s.map(|s| s.max(0.1).ln()).collect();
    let log_mean = mean(logs.iter().copied());
    let log_sd = mean(logs.iter().map(|log| (log - log_mean).powi(2))).sqrt();
    (logs.len() >= TALKS_MIN).then_some((log_mean, log_sd.clamp(0.05, 3.0)))
}

/// Mean patience: by maximum likelihood of an exponential one, waits that ended otherwise counting as censored.
pub(super) fn patience_s<'c>(waits: impl Iterator<Item = &'c Left>) -> f64 {
    let (waited_s, gave_up) =
        waits.fold((0.0, 0), |(sum, gave_up), left| (sum + left.waited_s, gave_up + usize::from(left.gave_up)));
    let (usual, least, most) = PATIENCE_S;
    if gave_up < GAVE_UP_MIN { usual } else { (waited_s / gave_up as f64).clamp(least, most) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::Scenario;

    const PROVISION: &str = r#"
[[tenant]]
name = "acme"
[[skill]]
tenant = "acme"
name = "sales"
[[agent]]
tenant = "acme"
name = "ana"
skills = { sales = 1.0 }
contact = "sip:ana@127.0.0.3:5080"
[[agent]]
tenant = "acme"
name = "bob"
skills = { sales = 0.5 }
contact = "sip:bob@127.0.0.3:5080"
[[queue]]
tenant = "acme"
name = "sales"
skills = { sales = 0.5 }
target_s = 30
"#;

    fn provision() -> Provision {
        crate::core::tenant::parse(PROVISION, "p.toml").unwrap()
    }

    /// A call that came at a second, waited so long, and was talked to by an agent for so long.
    fn call(id: u64, at_s: i64, waited_s: i64, taken: Option<(&str, i64)>) -> Cdr {
        let ms = |s: i64| s * 1_000;
        serde_json::from_value(json!({
            "call_id": format!("{id:016x}"), "tenant": "acme", "medium": "voice", "direction": "inbound",
            "from": "3001", "to": "100", "started_at": ms(at_s - 4), "queued_ms": ms(waited_s),
            "answered_at": taken.map(|_| ms(at_s + waited_s)), "agent": taken.map(|(agent, _)| agent),
            "ended_at": ms(at_s + waited_s + taken.map_or(0, |(_, talk_s)| talk_s)), "cause": if taken.is_some() { "normal" } else { "abandoned" }, "legs": [],
            "events": [{ "at": ms(at_s), "what": "enqueued", "detail": "sales" }],
        }))
        .unwrap()
    }

    #[test]
    fn a_day_becomes_a_scenario_that_can_be_run() {
        let mut records: Vec<Cdr> = (0..60)
            .map(|n| call(n as u64, 1_000 + 50 * n, 5, Some((if n % 3 == 0 { "bob" } else { "ana" }, 90))))
            .collect();
        records.extend((0..6).map(|n| call(100 + n as u64, 1_010 + 400 * n, 60, None)));
        let value = scenario(&provision(), "acme", Timestamp(500_000), "a day", records).unwrap();
        let first = &value["arrivals"][0];
        // By bob, at level .5: as an agent of middling skill it would have been 90 / 1.1.
        assert_eq!((&first["at_s"], &first["talk_s"]), (&json!(500.0), &json!(81.818)));
        assert_eq!(value["arrivals"].as_array().map(Vec::len), Some(66));
        assert_eq!(value["arrivals"][1].get("talk_s"), None);
        assert_eq!(value["types"][0]["needs"], json!(["sales>=0.5"]));
        assert_eq!(value["types"][0]["patience_mean_s"], json!(110.0));
        assert_eq!((&value["target_s"], &value["agents"][1]["skills"]["sales>=0.5"]), (&json!(30), &json!(0.5)));
        let read = Scenario::read("day.json", &value.to_string()).unwrap();
        assert_eq!(read.contacts(), 66);
        let digest = crate::simulate::run(&read, &crate::core::contact::Routing::default(), 1, |_| ());
        assert!(digest.measures().is_some_and(|measures| measures[3] > 0.0), "{digest:?}");
    }

    #[test]
    fn calls_that_overflowed_tell_no_patience() {
        let overflowed = |id: u64| {
            let mut cdr = call(id, 1_000 + 60 * id as i64, 500, None);
            let mut event = cdr.events[0].clone();
            (event.what, event.at) = (OVERFLOW.into(), Timestamp(event.at.as_millis() + 30_000));
            cdr.events.push(event);
            cdr.cause = Some(Cause::Normal);
            cdr
        };
        let patience = |gave_up: u64| {
            let calls = (0..6).map(overflowed).chain((0..gave_up).map(|n| call(100 + n, 1_200, 60, None)));
            let value = scenario(&provision(), "acme", Timestamp(0), "a day", calls).unwrap();
            value["types"][0]["patience_mean_s"].clone()
        };
        assert_eq!(patience(0), json!(400.0), "nobody gave up");
        assert_eq!(patience(6), json!((6.0 * 30.0 + 6.0 * 60.0) / 6.0), "they waited until they left");
    }

    #[test]
    fn talks_of_less_than_a_second_stay_short() {
        let calls = (0..30).map(|n| {
            let mut cdr = call(n, 1_000 + 60 * n as i64, 5, Some(("ana", 1)));
            cdr.ended_at = cdr.ended_at.map(|at| Timestamp(at.as_millis() - 500));
            cdr
        });
        let value = scenario(&provision(), "acme", Timestamp(0), "a day", calls).unwrap();
        let log_mean = value["types"][0]["talk"]["log_mean"].as_f64().unwrap();
        // At level 1: half a second over .9.
        assert!((log_mean - (0.5_f64 / 0.9).ln()).abs() < 0.001, "{log_mean}");
    }

    #[test]
    fn a_day_without_calls_and_a_queue_without_agents_are_told() {
        let day = |records: Vec<Cdr>| scenario(&provision(), "acme", Timestamp(0), "a day", records);
        assert_eq!(day(vec![]), Err(NoScenario::NoCalls));
        let mut gone = provision();
        gone.agent.clear();
        let alone = scenario(&gone, "acme", Timestamp(0), "a day", vec![call(1, 10, 5, None)]);
        assert_eq!(alone, Err(NoScenario::NoAgents { queue: "sales".into() }));
    }
}
