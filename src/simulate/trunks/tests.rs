//! Trunk scenarios: short runs against the figures to reach, and files that are refused.

use serde_json::{Value, json};

use super::*;

const SCENARIOS: [(&str, &str); 5] = [
    ("S1", include_str!("../../../tests/vectors/routing/s1.json")),
    ("S2", include_str!("../../../tests/vectors/routing/s2.json")),
    ("S3", include_str!("../../../tests/vectors/routing/s3.json")),
    ("S5", include_str!("../../../tests/vectors/routing/s5.json")),
    ("S6", include_str!("../../../tests/vectors/routing/s6.json")),
];

/// A scenario, its runs cut short.
fn short(text: &str) -> Trunks {
    let mut scenario = read(text);
    scenario.hours = 30.0;
    scenario
}

fn read(text: &str) -> Trunks {
    Trunks::read("s.json", text).unwrap_or_else(|refused| panic!("{refused}"))
}

fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(SCENARIOS[2].1).unwrap();
    change(&mut value);
    serde_json::to_string_pretty(&value).unwrap()
}

fn measured(scenario: &Trunks, admitted: Admitted, rates: Rates, runs: u64) -> Measured {
    let batches: Vec<Batch> =
        (0..runs).flat_map(|n| run(scenario, admitted, rates, scenario.seed + n, |_| ())).collect();
    Measured::of(scenario, &batches)
}

#[test]
fn priced_admission_loses_little_of_the_optimum_while_it_learns() {
    let mut sum = 0.0;
    for (name, text) in SCENARIOS {
        let measured = measured(&short(text), Admitted::Priced, Rates::Estimated, 1);
        let lost = measured.worth_lost_pct.unwrap();
        // Within what chance explains on a run this short.
        assert!(lost.mean < 0.8 + lost.ci95, "{name}: {lost:?}");
        sum += lost.mean;
        if name == "S3" {
            let [_, blocked, _] = measured.tenants[0];
            assert!(blocked.mean < 6.0, "{name}: of the conforming tenant {blocked:?} are blocked");
        }
    }
    assert!(sum / 5.0 < 0.6, "{} on average", sum / 5.0);
}

#[test]
fn other_ways_of_admission_lose_what_is_known_of_them() {
    // From the scenarios' own references.
    let known = [
        (Admitted::Sharing, [0.0, 10.34, 10.14, 1.67, 1.0]),
        (Admitted::Permitted, [3.56, 9.91, 4.02, 1.67, 2.66]),
        (Admitted::Partition, [10.34, 10.28, 4.02, 5.06, 2.66]),
    ];
    for (admitted, losses) in known {
        for ((name, text), loss) in SCENARIOS.into_iter().zip(losses) {
            let lost = measured(&short(text), admitted, Rates::True, 1).worth_lost_pct.unwrap();
            assert!((lost.mean - loss).abs() < 0.15 + 2.0 * lost.ci95, "{name} {admitted}: {lost:?}, not {loss}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let scenario = read(&changed(|s| s["hours"] = json!(2)));
    let of = |seed| run(&scenario, Admitted::Priced, Rates::Estimated, seed, |_| ());
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
}

#[test]
fn bursts_keep_the_mean_rate() {
    for arrivals in [
        json!({ "bursts": { "factor": 3, "on_s": 300, "off_s": 900 } }),
        json!({ "arrivals": { "law": "bursts", "factor": 2.5 } }),
        json!({ "arrivals": "bursts" }),
    ] {
        let scenario = read(&changed(|s| {
            s["tenants"][0].as_object_mut().unwrap().extend(arrivals.as_object().unwrap().clone());
        }));
        assert!(scenario.bursts(&scenario.tenants[0]).is_some() && scenario.bursts(&scenario.tenants[1]).is_none());
        let measured = measured(&scenario, Admitted::Sharing, Rates::True, 1);
        let offered = measured.tenants[0][0];
        assert!((offered.mean - 120.0).abs() < 1.5 * offered.ci95 && offered.ci95 > 2.0, "{arrivals}: {offered:?}");
    }
}

#[test]
fn all_laws_of_talk_earn_alike() {
    // What a group without waiting carries does not depend on the law of talk, only on its mean.
    let mut worths = vec![];
    for talk in [
        json!({ "law": "exponential", "mean_s": 180 }),
        json!({ "law": "erlang2", "mean_s": 180 }),
        json!({ "law": "lognormal", "mean_s": 180, "log_sd": 0.9 }),
    ] {
        let scenario = read(&changed(|s| s["tenants"][1]["talk"] = talk));
        worths.push(measured(&scenario, Admitted::Sharing, Rates::True, 1).worth_per_hour);
    }
    for other in &worths[1..] {
        let (off, sure) = (other.mean - worths[0].mean, other.ci95 + worths[0].ci95);
        assert!(off.abs() < 1.5 * sure, "{worths:?}");
    }
}

#[test]
fn a_bad_file_is_refused_where_it_is_bad() {
    let fault = |change: fn(&mut Value)| {
        let refused = Trunks::read("s.json", &changed(change)).unwrap_err();
        assert_eq!(refused.faults.len(), 1, "{refused}");
        assert!(refused.faults[0].line > 0);
        refused.faults[0].to_string()
    };
    for (said, change) in [
        ("not negative", (|s| s["tenants"][0]["trunk_agent_ratio"] = json!("-1")) as fn(&mut Value)),
        ("in quotes", |s| s["tenants"][0]["trunk_agent_ratio"] = json!(1.25)),
        ("after_hours_trunks` is 21; expected 0 to 20", |s| {
            s["tenants"][1]["after_hours_trunks"] = json!(21);
            s["permitted"] = json!([10, 29]);
        }),
        ("`permitted` is [10, 11]; expected [10, 10]", |s| s["permitted"] = json!([10, 11])),
        ("unknown field `agent`", |s| s["tenants"][0]["agent"] = json!(3)),
        ("there is a tenant `t0` already", |s| s["tenants"][1]["name"] = json!("t0")),
        ("the mean must hold", |s| s["tenants"][0]["bursts"] = json!({ "factor": 5 })),
        ("unknown field `burst`", |s| s["tenants"][0]["bursts"] = json!({ "burst": 5 })),
        ("`trunks` is 0", |s| {
            s["trunks"] = json!(0);
            s["tenants"][0]["after_hours_trunks"] = json!(0);
            s["tenants"][1]["after_hours_trunks"] = json!(0);
        }),
    ] {
        let found = fault(change);
        assert!(found.contains(said), "{said}: {found}");
    }
}

#[test]
fn the_pool_is_parted_by_permitted_numbers() {
    let parts: Vec<Vec<u32>> = SCENARIOS.iter().map(|(_, text)| read(text).parts()).collect();
    assert_eq!(parts, [vec![7, 7, 6], vec![7, 9], vec![10, 10], vec![6, 9], vec![3, 15]]);
}
