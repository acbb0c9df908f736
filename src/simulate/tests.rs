//! Scenario files that are refused, and short runs against what the full ones reach.

use serde_json::{Value, json};

use super::routing::MEASURES;
use super::scenario::Staff;
use super::*;
use crate::core::contact::routing::{Policy, Weights};

const R1: &str = include_str!("../../tests/vectors/routing/r1.json");
const R3: &str = include_str!("../../tests/vectors/routing/r3.json");
const M1: &str = include_str!("../../tests/vectors/routing/m1.json");

fn read(text: &str) -> Scenario {
    Scenario::read("s.json", text).unwrap_or_else(|refused| panic!("{refused}"))
}

/// The same scenario with some values changed.
fn with(text: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap();
    change(&mut value);
    serde_json::to_string_pretty(&value).unwrap()
}

fn faults(text: &str) -> Vec<String> {
    let refused = Scenario::read("s.json", text).map_or_else(|refused| refused.faults, |_| vec![]);
    refused.iter().map(ToString::to_string).collect()
}

/// The one fault of a scenario that has been changed.
fn fault(text: &str, change: impl FnOnce(&mut Value)) -> String {
    let found = faults(&with(text, change));
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap_or_default()
}

#[test]
fn the_scenarios_that_came_with_the_figures_are_read() {
    for (text, contacts) in [(R1, 50_000), (R3, 50_000), (M1, 21_600)] {
        assert_eq!(read(text).contacts(), contacts);
    }
}

#[test]
fn what_is_wrong_is_refused_with_place_and_reason() {
    let r3 = |change: fn(&mut Value)| fault(R3, change);
    let m1 = |change: fn(&mut Value)| fault(M1, change);
    let cases = [
        (r3(|v| v["kind"] = json!("queue")), "`kind` is `queue`; expected `routing` or `media`"),
        (
            r3(|v| v["types"][0]["calls_per_hour"] = json!(-1.5)),
            "`types[0].calls_per_hour` is -1.5; expected 0 to 1000000",
        ),
        (r3(|v| v["types"][1]["talk"]["law"] = json!("weibull")), "`law` is `weibull`; expected `exponential`,"),
        (
            r3(|v| v["types"][1]["talk"]["mean_s"] = json!(9)),
            "the numbers do not go with the law `lognormal`; expected",
        ),
        (r3(|v| v["types"][1]["talk"]["log_sd"] = json!(-1)), "`types[1].talk.log_sd` is -1; expected 0 to 3"),
        (r3(|v| v["types"][1]["talk"]["log_mean"] = json!(99)), "the mean is too long; expected a mean of at most"),
        (r3(|v| v["types"][1]["needs"] = json!(["stb"])), "no agent has the skill `stb`; expected `std`"),
        (r3(|v| v["types"][1]["name"] = json!("vip")), "there is a type `vip` already"),
        (
            r3(|v| v["types"][0]["patience_mean_s"] = json!(-1)),
            "`types[0].patience_mean_s` is -1; expected 0 to 1000000",
        ),
        (
            r3(|v| v["types"][1]["needs"] = json!(["std", "std"])),
            "the skill `std` is needed already; expected each skill",
        ),
        (r3(|v| v["agents"][2]["name"] = v["agents"][0]["name"].clone()), "there is an agent `"),
        (r3(|v| v["types"][0]["importance"] = json!(1e9)), "`types[0].importance` is 1000000000; expected 0 to 1000"),
        (r3(|v| v["agents"][2]["skills"]["std"] = json!(1.01)), "`agents[2].skills.std` is 1.01; expected 0 to 1"),
        (r3(|v| v["agents"] = json!([])), "there are none; expected 1 to 20000"),
        (r3(|v| v["calls"] = json!(0)), "`calls` is 0; expected 1 to 2000000"),
        (r3(|v| v["calls"] = json!(3_000_000)), "`calls` is 3000000; expected 1 to 2000000"),
        (r3(|v| v["calls"] = json!(5_000_000_000_u64)), "invalid value: integer `5000000000`; expected u32"),
        (r3(|v| v["hours"] = json!(3)), "both `calls` and `hours` are given; expected one of them"),
        (r3(|v| v["target_s"] = json!(0)), "`target_s` is 0; expected more than 0"),
        (r3(|v| v["targets"] = json!(0)), "unknown field `targets`; expected one of"),
        (r3(|v| v["types"][0]["need"] = json!(0)), "unknown field `need`; expected one of"),
        (m1(|v| v["agents"] = json!(0)), "`agents` is 0; expected 1 to 20000"),
        (m1(|v| v["hours"] = json!(1e9)), "`hours` is 1000000000; expected more than 0, at most 100000"),
        (m1(|v| v["slots"]["voice"] = json!(2)), "`slots.voice` is 2; expected 0 to 1"),
        (m1(|v| v["slots"]["email"] = json!(0)), "no agent takes email; expected 1 or more"),
        (m1(|v| v["chat_rates"] = json!([1, 2])), "there are 2 rates for up to 3 chats at once; expected 3"),
        (m1(|v| v["chat_rates"][2] = json!(1e-300)), "`chat_rates[2]` is "),
        (m1(|v| v["media"]["telex"] = json!({})), "unknown variant `telex`; expected one of"),
        (
            m1(|v| v["media"]["voice"]["voicemail"]["share"] = json!(2)),
            "`media.voice.voicemail.share` is 2; expected 0 to 1",
        ),
        (
            m1(|v| v["media"]["chat"]["work"] = json!({"law": "erlang2"})),
            "the numbers do not go with the law `erlang2`",
        ),
    ];
    for (said, expected) in cases {
        let (place, what) = said.split_once(": ").unwrap_or_default();
        assert!(place.starts_with("s.json:") && what.starts_with(expected), "{said} for {expected}");
    }
    // As the file has it: line 6, behind the key.
    let text = R3.replace("\"calls_per_hour\": 72.0", "\"calls_per_hour\": -72");
    assert_eq!(faults(&text), ["s.json:6:55: `types[0].calls_per_hour` is -72; expected 0 to 1000000"]);
}

#[test]
fn all_faults_are_told_at_once_and_no_text_is_no_scenario() {
    let found = faults(&with(R3, |v| {
        v["target_s"] = json!(-1);
        v["types"][0]["needs"] = json!(["vip", "fr"]);
    }));
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(faults(""), ["s.json:1:1: EOF while parsing a value"]);
    assert_eq!(faults("[]").len(), 1);
    let both = with(R3, |v| v["types"][0]["needs"] = json!(["vip", "std"]));
    let none = with(&both, |v| {
        v["agents"] = json!([{"name": "a", "skills": {"vip": 1}}, {"name": "b", "skills": {"std": 1}}])
    });
    let found = faults(&none);
    assert!(found.len() == 1 && found[0].ends_with("no agent has all that calls of type `vip` need"), "{found:?}");
}

fn routing(policy: Policy) -> crate::core::contact::Routing {
    crate::core::contact::Routing { policy, weights: Weights::default() }
}

/// What a policy gains over the first come, first served, with its interval, over some short runs.
fn gains(text: &str, policy: Policy) -> (Vec<Estimate>, f64) {
    let scenario = read(&with(text, |v| v["calls"] = json!(6_000)));
    let runs: Vec<(Digest, Digest)> = (1..=4)
        .map(|seed| {
            let of = |policy| run(&scenario, &routing(policy), seed, |_| ());
            (of(policy), of(Policy::Fifo))
        })
        .collect();
    let gain = |n: usize| {
        let pairs = runs.iter().filter_map(|(of, base)| Some(of.measures()?[n] - base.measures()?[n]));
        Estimate::of(&pairs.collect::<Vec<_>>())
    };
    // The type whose slowest calls wait longest against the same under first come, first served.
    let p99 = |side: fn(&(Digest, Digest)) -> &Digest| {
        let digests: Vec<Digest> = runs.iter().map(|pair| side(pair).clone()).collect();
        match Summary::of(&digests) {
            Summary::Routing { types, .. } => types.iter().map(|of| of.p99_s).collect::<Vec<_>>(),
            Summary::Media { .. } => vec![],
        }
    };
    let worst = p99(|pair| &pair.0).iter().zip(p99(|pair| &pair.1)).map(|(of, base)| of / base).fold(0.0, f64::max);
    ((0..MEASURES.len()).map(gain).collect(), worst)
}

fn place(measure: &str) -> usize {
    MEASURES.iter().position(|name| *name == measure).unwrap_or_default()
}

/// The figures that the full scenarios reach, as far as the intervals of short ones can tell.
#[test]
fn score_with_holds_gains_what_it_should() {
    for (text, service, worst) in [(R1, 16.0, 12.0), (R3, 2.0, 15.0)] {
        let (gain, p99) = gains(text, Policy::ScoreHold);
        let (service_gain, worst_gain) = (gain[place("sl20")], gain[place("worst_type_sl")]);
        assert!(
            service_gain.mean + service_gain.ci95 >= service && service_gain.mean > service / 2.0,
            "{service_gain:?}"
        );
        assert!(worst_gain.mean + worst_gain.ci95 >= worst && worst_gain.mean > worst / 2.0, "{worst_gain:?}");
        assert!(p99 < 2.0, "{p99}");
        assert!(gain[place("jain")].mean > -0.015, "{:?}", gain[place("jain")]);
    }
}

#[test]
fn a_media_mix_is_served_within_its_targets() {
    let scenario = read(&with(M1, |v| v["hours"] = json!(12)));
    let Digest::Media { media, in_target } = run(&scenario, &routing(Policy::ScoreHold), 3, |_| ()) else {
        panic!("of another kind");
    };
    for (medium, estimate) in in_target {
        assert!(estimate.mean + estimate.ci95 >= 98.0, "{medium}: {estimate:?}");
    }
    let chats = media.get(&crate::base::Medium::Chat).map_or(0.0, |of| of.contacts);
    assert!((1_100.0..1_500.0).contains(&chats), "{chats}");
}

#[test]
fn the_same_seed_repeats_a_run_and_another_does_not() {
    for text in [with(R3, |v| v["calls"] = json!(500)), with(M1, |v| v["hours"] = json!(1))] {
        let scenario = read(&text);
        let of = |seed| run(&scenario, &routing(Policy::ScoreHold), seed, |_| ());
        assert_eq!(of(4), of(4));
        assert_ne!(of(4), of(5));
    }
}

/// Against what is known without simulation: the agents are busy for as long as the calls that were taken last.
#[test]
fn occupancy_and_level_are_what_the_laws_say() {
    let text = json!({
        "kind": "routing", "target_s": 20, "hours": 400,
        "types": [{"name": "a", "needs": ["x"], "calls_per_hour": 60, "patience_mean_s": 1e5,
                   "talk": {"law": "exponential", "mean_s": 200}}],
        "agents": [{"name": "a", "skills": {"x": 0.5}}, {"name": "b", "skills": {"x": 0.5}},
                   {"name": "c", "skills": {"x": 0.5}}, {"name": "d", "skills": {"x": 0.5}}]
    });
    let digest = run(&read(&text.to_string()), &routing(Policy::Fifo), 1, |_| ());
    let of = |name| digest.measures().map_or(0.0, |of| of[place(name)]);
    // 60 / 3600 * 200 * (1.3 - 0.4 * 0.5) of 4 agents, less those who gave up.
    let expected = 100.0 * (60.0 / 3_600.0 * 220.0 / 4.0) * (1.0 - of("abandon") / 100.0);
    assert!((of("occupancy") - expected).abs() < 2.0, "{} for {expected}", of("occupancy"));
    assert_eq!(of("skill"), 50.0);
    let resolved = 75.0 * (1.0 - of("abandon") / 100.0);
    assert!((of("resolved") - resolved).abs() < 1.5, "{} for {resolved}", of("resolved"));
}

#[test]
fn recorded_calls_come_when_they_came() {
    let recorded = |arrivals: Value| {
        with(R3, |v| {
            v["arrivals"] = arrivals;
            v.as_object_mut().unwrap().remove("calls");
        })
    };
    let good = json!([{"at_s": 0.5, "type": "vip", "talk_s": 60}, {"at_s": 9, "type": "normal"}]);
    assert_eq!(read(&recorded(good)).contacts(), 2);
    let said = |arrivals| faults(&recorded(arrivals)).concat();
    assert!(
        said(json!([{"at_s": 5, "type": "vip"}, {"at_s": 4, "type": "vip"}]))
            .contains("`arrivals[1].at_s` is 4; expected 5")
    );
    assert!(said(json!([{"at_s": 5, "type": "vap"}])).contains("there is no type `vap`; expected `vip`"));
    assert!(said(json!([{"at_s": 5, "type": "vip", "talk_s": 0}])).contains("`arrivals[0].talk_s` is 0"));
    let both = fault(R3, |v| v["arrivals"] = json!([{"at_s": 5, "type": "vip"}]));
    assert!(both.contains("both `arrivals` and `calls` are given"), "{both}");
}

#[test]
fn agents_come_and_go_and_chats_are_packed() {
    let count = |scenario: &Scenario| match scenario {
        Scenario::Routing(scenario) => scenario.agents.len(),
        Scenario::Media(scenario) => scenario.agents as usize,
    };
    let staffed = |text: &str, staff| {
        let mut scenario = read(text);
        scenario.set_staff(staff).map(|()| count(&scenario))
    };
    assert_eq!(staffed(R3, Staff::Change(2)), Ok(24));
    assert_eq!(staffed(M1, Staff::Change(-3)), Ok(21));
    assert_eq!(staffed(R3, Staff::Count(50)), Ok(50));
    assert!(staffed(R3, Staff::Count(13)).is_err_and(|what| what.contains("`vip`")), "the experts are the last");
    assert!(staffed(M1, Staff::Change(-24)).is_err());
    let mut mix = read(M1);
    assert_eq!(mix.set_chat_slots(2), Ok(()));
    assert!(mix.set_chat_slots(4).is_err_and(|what| what.contains("1 to 3")));
    assert!(read(R3).set_chat_slots(2).is_err());
}

/// Twenty agents alike, as busy as they can be: what callers are told of their wait.
#[test]
fn waits_are_foretold_well_enough() {
    let agents: Vec<Value> = (0..20).map(|n| json!({"name": format!("a{n}"), "skills": {"x": 1}})).collect();
    let text = json!({
        "kind": "routing", "target_s": 20, "calls": 12_000, "agents": agents,
        "types": [{"name": "a", "needs": ["x"], "calls_per_hour": 450, "patience_mean_s": 380,
                   "talk": {"law": "lognormal", "log_mean": 4.85, "log_sd": 0.86}}]
    });
    let digest = run(&read(&text.to_string()), &routing(Policy::ScoreHold), 1, |_| ());
    let Digest::Routing { foretold_error: Some(error), .. } = digest else { panic!("{digest:?}") };
    assert!(error <= 0.10, "{error}");
}

/// Where queues share agents, and agents differ.
#[test]
fn waits_are_foretold_where_queues_share_agents() {
    // Whoever matches better passes who came before, which cannot be foretold.
    let limits = [
        (R1, Policy::Fifo, 0.2),
        (R1, Policy::ScoreHold, 0.45),
        (R3, Policy::Fifo, 0.25),
        (R3, Policy::ScoreHold, 0.25),
    ];
    for (text, policy, limit) in limits {
        let digest = run(&read(text), &routing(policy), 1, |_| ());
        let Digest::Routing { foretold_error: Some(error), .. } = digest else { panic!("{digest:?}") };
        assert!(error <= limit, "{policy:?}: {error}, more than {limit}");
    }
}

#[test]
fn keys_stand_once_in_each_map() {
    let said = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        faults(&text.replacen(from, to, 1)).concat()
    };
    let slots = said(M1, "\"slots\": {", "\"slots\": {\"email\": 1, \"email\": 1, ");
    assert!(slots.contains("there is `email` already; expected it once"), "{slots}");
    let media = with(M1, |v| v["media"] = json!({"fax": v["media"]["email"]}));
    let fax = serde_json::to_string(&serde_json::from_str::<Value>(M1).unwrap()["media"]["email"]).unwrap();
    let media = said(&media, "\"media\": {", &format!("\"media\": {{ \"fax\": {fax},\n"));
    assert!(media.contains("there is `fax` already"), "{media}");
    let skills = said(R3, "\"skills\": {", "\"skills\": {\"std\": 0.5, \"std\": 0.5, ");
    assert!(skills.starts_with("s.json:") && skills.contains("there is `std` already"), "{skills}");
}

#[test]
fn the_first_faults_are_told_and_the_others_counted() {
    let agents: Vec<Value> =
        (0..20_000).map(|n| json!({"name": n.to_string(), "skills": {"vip": 2.0, "std": 1.0}})).collect();
    let text = with(R3, |v| v["agents"] = json!(agents));
    let refused = Scenario::read("s.json", &text).err().unwrap();
    assert_eq!((refused.faults.len(), refused.more), (20, 19_980));
    let told = refused.to_string();
    assert!(told.ends_with("error: 20000 faults, the first 20 told; nothing was done"), "{told}");
    let twentieth = &refused.faults[19];
    assert!(twentieth.what.starts_with("`agents[19].skills.vip` is 2"), "{twentieth}");
    assert!(text.lines().nth(twentieth.line as usize - 1).is_some_and(|line| line.contains("2.0")), "{twentieth}");
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    assert_eq!(read(&format!("\u{feff}{R3}")), read(R3));
    assert_eq!(faults("\u{feff}{}"), faults("{}"));
}

/// Without the exponential part everybody leaves within 20 s, and some bear that long.
#[test]
fn who_has_no_patience_leaves_after_the_uniform_part_or_at_once() {
    let calls = json!({
        "kind": "routing", "target_s": 20, "calls": 400,
        "types": [{"name": "a", "needs": [], "calls_per_hour": 3600, "patience_mean_s": 0,
                   "talk": {"law": "exponential", "mean_s": 600}}],
        "agents": [{"name": "a", "skills": {}}]
    });
    let digest = run(&read(&calls.to_string()), &routing(Policy::Fifo), 1, |_| ());
    let of = |name| digest.measures().map_or(0.0, |of| of[place(name)]);
    assert!(of("abandon") > 90.0 && of("p99") <= 20.0, "{digest:?}");
    let mut media = json!({
        "kind": "media", "agents": 1, "hours": 10,
        "media": {"voice": {"per_hour": 60, "patience_mean_s": 0, "target_s": 20,
                            "work": {"law": "exponential", "mean_s": 600}}}
    });
    let voice = |scenario: &Value| {
        let digest = run(&read(&scenario.to_string()), &routing(Policy::Fifo), 1, |_| ());
        let Digest::Media { media, .. } = digest else { panic!("of another kind") };
        media[&crate::base::Medium::Voice]
    };
    let at_once = voice(&media);
    assert!(at_once.abandoned > 50.0 && at_once.abandoned < 100.0 && at_once.p99_s == 0.0, "{at_once:?}");
    assert_eq!(at_once.in_target, 100.0, "those taken were taken at once");
    media["media"]["voice"]["per_hour"] = json!(0);
    media["media"]["fax"] = json!({"per_hour": 9, "target_s": 20, "work": {"law": "exponential", "mean_s": 6}});
    let nobody = voice(&media);
    assert_eq!((nobody.contacts, nobody.in_target), (0.0, 100.0));
}

/// A skill below what the engine tells apart is a skill all the same.
#[test]
fn the_least_skill_is_a_skill() {
    let text = json!({
        "kind": "routing", "target_s": 20, "calls": 20,
        "types": [{"name": "a", "needs": ["x"], "calls_per_hour": 10, "patience_mean_s": 1000,
                   "talk": {"law": "exponential", "mean_s": 6}}],
        "agents": [{"name": "a", "skills": {"x": 0.000_01}}]
    });
    let digest = run(&read(&text.to_string()), &routing(Policy::Fifo), 1, |_| ());
    assert!(digest.measures().is_some_and(|of| of[place("abandon")] < 50.0), "{digest:?}");
}

#[test]
fn a_reference_is_an_object() {
    for text in [R1, M1] {
        for no in [json!(-1), json!("x"), json!([1])] {
            let found = fault(text, |v| v["reference"] = no);
            assert!(found.contains("invalid type"), "{found}");
        }
    }
}
