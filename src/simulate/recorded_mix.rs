//! A day's contacts of all media as a scenario of a media mix: how many came of each, how long they kept their agents, and how long
//! callers waited before they gave up. Unlike a day of calls alone it is no copy of the day: contacts come by chance, as often.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::recorded::{Left, NoScenario, law, patience_s, positive, rounded};
use crate::base::{Cause, Medium, Timestamp};
use crate::core::contact::{Outcome, Work};
use crate::core::journal::{Cdr, ENQUEUED};
use crate::core::tenant::Provision;

/// How long runs are, in hours: long enough to be sure of something.
const HOURS: f64 = 60.0;
/// At what rate two chats at once progress in total, and three, where nobody has measured it; each further one adds a little.
const CHAT_RATES: [f64; 3] = [1.0, 1.6, 2.0];
const CHAT_RATE_MORE: f64 = 0.2;
/// Mean and deviation of the logarithm of the work where too little is known.
const WORK_USUAL: (f64, f64) = (5.3, 0.9);
/// The target of what waits for no caller, in seconds.
const TARGET_LATER_S: u32 = 3_600;

/// One contact as it was.
struct Contact {
    medium: Medium,
    queue: String,
    at: Timestamp,
    left: Left,
    /// How long it kept an agent.
    work_s: Option<f64>,
    agent: Option<String>,
}

/// The scenario of a tenant's contacts within a day, as a JSON value that [`Scenario::read`](super::Scenario::read) takes.
///
/// Agents are as many as took contacts, or all of the tenant's if nobody did, and have the slots that most of these have. Rates at
/// which several chats progress are those of ROUTING's reference: measure them, and change them in the file.
///
/// # Errors
/// There is nothing to simulate.
pub fn mix(
    provision: &Provision,
    tenant: &str,
    name: &str,
    (calls, works): (impl IntoIterator<Item = Cdr>, impl IntoIterator<Item = Work>),
) -> Result<Value, NoScenario> {
    let calls = calls.into_iter().filter(|cdr| cdr.tenant == tenant).filter_map(of_call);
    let works = works.into_iter().filter(|work| work.tenant == tenant).filter_map(of_work);
    let mut contacts: Vec<Contact> = calls.chain(works).collect();
    contacts.sort_by_key(|contact| contact.at);
    let (Some(first), Some(last)) = (contacts.first(), contacts.last()) else { return Err(NoScenario::NoContacts) };
    let hours = (seconds(first.at, last.at) / 3_600.0).max(1.0);
    let took: BTreeSet<&str> = contacts.iter().filter_map(|contact| contact.agent.as_deref()).collect();
    let agents: Vec<_> = provision
        .agent
        .iter()
        .filter(|agent| agent.tenant == tenant && (took.is_empty() || took.contains(agent.name.as_str())))
        .collect();
    let media: BTreeSet<Medium> = contacts.iter().map(|contact| contact.medium).collect();
    let slots: BTreeMap<Medium, u8> = media.iter().map(|&medium| (medium, usual_slots(&agents, medium))).collect();
    let mut told = Map::new();
    for &medium in &media {
        let own = || contacts.iter().filter(|contact| contact.medium == medium);
        let (log_mean, log_sd) = law(own().filter_map(|contact| contact.work_s)).unwrap_or(WORK_USUAL);
        let mut of = json!({
            "per_hour": positive(own().count() as f64 / hours),
            "work": { "law": "lognormal", "log_mean": rounded(log_mean), "log_sd": rounded(log_sd) },
            "target_s": target_s(provision, tenant, medium, own().map(|contact| contact.queue.as_str())),
        });
        if matches!(medium, Medium::Voice | Medium::Video | Medium::Chat) {
            of["patience_mean_s"] = json!(positive(patience_s(own().map(|contact| &contact.left))));
        }
        told.insert(medium.as_str().to_owned(), of);
    }
    let chats = usize::from(slots.get(&Medium::Chat).copied().unwrap_or(1)).max(CHAT_RATES.len());
    let rates = (0..chats).map(|n| match CHAT_RATES.get(n) {
        Some(rate) => *rate,
        None => rounded(2.0 + CHAT_RATE_MORE * (n + 1 - CHAT_RATES.len()) as f64),
    });
    Ok(json!({
        "kind": "media",
        "name": name,
        "agents": agents.len().max(1),
        "slots": slots.iter().map(|(medium, n)| (medium.as_str(), n)).collect::<BTreeMap<_, _>>(),
        "chat_rates": rates.collect::<Vec<_>>(),
        "media": told,
        "hours": HOURS,
    }))
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.as_millis().saturating_sub(from.as_millis()).max(0) as f64 / 1e3
}

/// A call that came into a queue.
fn of_call(cdr: Cdr) -> Option<Contact> {
    let entered = cdr.events.iter().find(|event| event.what == ENQUEUED)?;
    let (at, queue, ended_at) = (entered.at, entered.detail.clone(), cdr.ended_at?);
    let answered_at = cdr.answered_at.filter(|_| cdr.agent.is_some());
    let left =
        Left { waited_s: seconds(at, answered_at.unwrap_or(ended_at)), gave_up: cdr.cause == Some(Cause::Abandoned) };
    let work_s = answered_at.map(|from| seconds(from, ended_at)).filter(|work_s| *work_s > 0.0);
    Some(Contact { medium: Medium::Voice, queue, at, left, work_s, agent: cdr.agent })
}

/// A contact of another medium; call-backs have the record of their call.
fn of_work(work: Work) -> Option<Contact> {
    if work.medium == Medium::Voice || work.callback.is_some() {
        return None;
    }
    let (at, ended_at) = (work.waits_from(), work.ended_at?);
    let done = work.accepted_at.filter(|_| work.outcome == Some(Outcome::Completed));
    let left = Left { waited_s: seconds(at, work.accepted_at.unwrap_or(ended_at)), gave_up: false };
    let work_s = done.map(|from| seconds(from, ended_at)).filter(|work_s| *work_s > 0.0);
    Some(Contact {
        medium: work.medium,
        queue: work.queue,
        at,
        left,
        work_s,
        agent: work.agent.filter(|_| done.is_some()),
    })
}

/// The slots of a medium that most of the agents have.
fn usual_slots(agents: &[&crate::core::tenant::provision::Agent], medium: Medium) -> u8 {
    let usual = crate::core::contact::Slots::default().of(medium);
    let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
    for agent in agents {
        *counts.entry(agent.slots.get(&medium).copied().unwrap_or(usual)).or_default() += 1;
    }
    let most = counts.into_iter().filter(|(slots, _)| *slots > 0).max_by_key(|(_, count)| *count);
    most.map_or(usual.max(1), |(slots, _)| slots)
}

/// The tightest target of the queues that were met.
fn target_s<'q>(provision: &Provision, tenant: &str, medium: Medium, met: impl Iterator<Item = &'q str>) -> u32 {
    let met: BTreeSet<&str> = met.collect();
    let queues = provision.queue.iter().filter(|queue| queue.tenant == tenant && met.contains(queue.name.as_str()));
    let otherwise = |target_s: u32| if medium.is_live() { target_s } else { TARGET_LATER_S };
    let targets =
        queues.map(|queue| queue.targets_s.get(&medium).copied().unwrap_or_else(|| otherwise(queue.target_s)));
    targets.min().unwrap_or_else(|| otherwise(20)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::Scenario;

    fn provision() -> Provision {
        let text = "[[tenant]]\nname = 'acme'\n[[agent]]\ntenant = 'acme'\nname = 'ana'\ncontact = 'sip:a@127.0.0.3'\n\
                    slots = { chat = 4 }\n[[agent]]\ntenant = 'acme'\nname = 'ben'\ncontact = 'sip:b@127.0.0.3'\n\
                    slots = { chat = 4 }\n[[agent]]\ntenant = 'acme'\nname = 'eve'\ncontact = 'sip:e@127.0.0.3'\n\
                    [[queue]]\ntenant = 'acme'\nname = 'help'\ntarget_s = 30\ntargets_s = { email = 7200 }\n";
        crate::core::tenant::parse(text, "p.toml").unwrap()
    }

    fn work(id: u64, medium: Medium, at_s: i64, took_s: i64) -> Work {
        let (id, at) = (format!("{id:016x}"), at_s * 1_000);
        serde_json::from_value(json!({
            "id": id, "tenant": "acme", "medium": medium, "queue": "help", "arrived_at": at, "state": "ended",
            "outcome": "completed", "agent": if at_s % 2 == 0 { "ana" } else { "ben" },
            "accepted_at": at + 10_000, "ended_at": at + 10_000 + took_s * 1_000,
        }))
        .unwrap()
    }

    fn call(id: u64, at_s: i64, waited_s: i64, talk_s: Option<i64>) -> Cdr {
        let ms = |s: i64| s * 1_000;
        serde_json::from_value(json!({
            "call_id": format!("{id:016x}"), "tenant": "acme", "medium": "voice", "direction": "inbound",
            "from": "3001", "to": "100", "started_at": ms(at_s), "queued_ms": ms(waited_s),
            "answered_at": talk_s.map(|_| ms(at_s + waited_s)), "agent": talk_s.map(|_| "ana"),
            "ended_at": ms(at_s + waited_s + talk_s.unwrap_or(0)),
            "cause": if talk_s.is_some() { "normal" } else { "abandoned" }, "legs": [],
            "events": [{ "at": ms(at_s), "what": "enqueued", "detail": "help" }],
        }))
        .unwrap()
    }

    #[test]
    fn a_day_of_several_media_becomes_a_mix_that_can_be_run() {
        let calls = (0..80)
            .map(|n| call(n, 100 * n as i64, 5, Some(120)))
            .chain((80..90).map(|n| call(n, 90 * n as i64, 40, None)));
        let works = (0..60).map(|n| work(1_000 + n, Medium::Chat, 120 * n as i64, 300));
        let works = works.chain((0..40).map(|n| work(2_000 + n, Medium::Email, 197 * n as i64, 200)));
        let value = mix(&provision(), "acme", "a day", (calls, works)).unwrap();
        // From the first to the last that came: 8,010 s.
        assert_eq!(value["media"]["voice"]["per_hour"], json!(rounded(90.0 / 2.225)));
        assert_eq!(value["media"]["chat"]["work"]["log_mean"], json!(rounded(300_f64.ln())));
        assert_eq!(
            (&value["media"]["email"]["target_s"], &value["media"]["chat"]["target_s"]),
            (&json!(7_200), &json!(30))
        );
        assert_eq!((&value["agents"], &value["slots"]["chat"]), (&json!(2), &json!(4)));
        assert_eq!(value["chat_rates"], json!([1.0, 1.6, 2.0, 2.2]));
        assert_eq!(value["media"]["voice"]["patience_mean_s"], json!(rounded((80.0 * 5.0 + 10.0 * 40.0) / 10.0)));
        let mut read = Scenario::read("day.json", &value.to_string()).unwrap();
        assert_eq!(read.set_chat_slots(2), Ok(()));
        assert!(mix(&provision(), "acme", "nothing", ([], [])).is_err());
    }
}
