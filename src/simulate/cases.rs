//! Cases of trunk admission in a file: what is decided on given facts, and what chances are estimated. Strict to read.

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::place::Step::{Index, Key};
use super::place::{Faults, Refused, Step};
use crate::base::erlang;
use crate::base::lognormal::LogNormal;
use crate::core::trunk::admission::Decimal;
use crate::core::trunk::admission::likely::{self, Talk};
use crate::core::trunk::admission::rule::{Clause, Clauses, Facts, PoolFacts, Ruling, Terms, Thresholds, decide};

/// Most calls of a case, and most trunks.
const COUNT_MAX: u64 = 1_000_000;
/// Most calls whose elapsed times a case lists, and most other tenants.
const LIST_MAX: usize = 20_000;
/// Longest time, in seconds; also the highest rate and load.
const NUMBER_MAX: f64 = 1e9;

/// A file of cases.
#[derive(Clone, PartialEq, Debug)]
pub struct Cases {
    /// Each with its result, in the order of the file.
    pub results: Vec<Case>,
}

/// A case and what it comes to.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// As the file has it: a number or a text.
    pub id: Value,
    /// What it shows, for people.
    pub why: String,
    /// What it comes to.
    pub result: Found,
    /// Whether that is what the file expects, where it says so; of a number, within 0.000001.
    pub as_expected: Option<bool>,
}

/// What a case comes to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Found {
    /// A decision.
    Decision(Ruling),
    /// A chance, or a number of calls.
    Estimate(f64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "rule")]
    _rule: Option<IgnoredAny>,
    #[serde(default)]
    decision_cases: Vec<DecisionCase>,
    #[serde(default)]
    estimate_cases: Vec<EstimateCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionCase {
    id: Value,
    #[serde(default)]
    why: String,
    inputs: Inputs,
    expect: Option<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    decision: String,
    clause: Option<String>,
    cap: Option<u64>,
    need: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(rename = "A")]
    agents: u32,
    #[serde(rename = "R", deserialize_with = "exact")]
    ratio: Decimal,
    #[serde(rename = "T")]
    after_hours: u32,
    calls: u64,
    claims: Option<Vec<u32>>,
    #[serde(default)]
    pool_calls: u64,
    pool_trunks: Option<u64>,
    pool_permitted: Option<u64>,
    #[serde(default = "zero", deserialize_with = "exact")]
    p_other: Decimal,
    #[serde(default = "zero", deserialize_with = "exact")]
    p_end: Decimal,
    #[serde(default = "half", deserialize_with = "exact")]
    theta_other: Decimal,
    #[serde(default = "half", deserialize_with = "exact")]
    theta_end: Decimal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EstimateCase {
    id: Value,
    #[serde(default)]
    why: String,
    function: String,
    args: Value,
    expect: Option<f64>,
}

/// A decimal number as a text, or a whole number; a number with a point is not what was written any more once it is read.
pub(super) fn exact<'de, D: Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
    use serde::de::Error;
    let expected = "expected a decimal number in quotes such as \"1.25\", or a whole number, not negative";
    match Value::deserialize(from)? {
        Value::String(text) => text.parse().map_err(|no| D::Error::custom(format!("`{text}`, expected {no}"))),
        Value::Number(number) => {
            let whole = number.as_u64().and_then(|n| u32::try_from(n).ok());
            whole.map(Decimal::whole).ok_or_else(|| D::Error::custom(format!("`{number}`, {expected}")))
        }
        other => Err(D::Error::custom(format!("`{other}`, {expected}"))),
    }
}

fn zero() -> Decimal {
    Decimal::whole(0)
}

fn half() -> Decimal {
    "0.5".parse().unwrap_or(Decimal::whole(1))
}

impl Cases {
    /// Reads a file's text and works all cases out.
    ///
    /// # Errors
    /// All faults at once, the first of them with their places; then no case is worked out.
    pub fn read(file: &str, text: &str) -> Result<Self, Refused> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut faults = Faults::new(file, text);
        let mut results = vec![];
        match serde_json::from_str::<File>(text) {
            Err(error) => faults.syntax(&error),
            // A list would do for the fields in their order.
            Ok(_) if !text.trim_start().starts_with('{') => {
                faults.add(&[], "the file is a list", "an object with `decision_cases`, `estimate_cases`, or both");
            }
            Ok(read) if read.decision_cases.is_empty() && read.estimate_cases.is_empty() => {
                faults.add(&[], "there are no cases", "`decision_cases`, `estimate_cases`, or both");
            }
            Ok(read) => {
                let mut ids = BTreeSet::new();
                let decisions = read.decision_cases.iter().map(|case| ("decision_cases", &case.id)).enumerate();
                let estimates = read.estimate_cases.iter().map(|case| ("estimate_cases", &case.id)).enumerate();
                for (n, (list, id)) in decisions.chain(estimates) {
                    if !ids.insert((list, id.to_string())) {
                        let path = [Key(list), Index(n), Key("id")];
                        faults.add(&path, format!("there is a case {id} already"), "another `id`");
                    }
                }
                for (n, case) in read.decision_cases.into_iter().enumerate() {
                    results.extend(case.decided(&[Key("decision_cases"), Index(n)], &mut faults));
                }
                for (n, case) in read.estimate_cases.into_iter().enumerate() {
                    results.extend(case.estimated(&[Key("estimate_cases"), Index(n)], &mut faults));
                }
            }
        }
        faults.refused().map_or(Ok(Self { results }), Err)
    }
}

fn identified(id: &Value, path: &[Step<'_>], faults: &mut Faults<'_>) {
    if !(id.is_string() || id.is_u64()) {
        faults.add(&[path, &[Key("id")]].concat(), format!("`id` is {id}"), "a whole number or a text");
    }
}

impl DecisionCase {
    fn decided(self, path: &[Step<'_>], faults: &mut Faults<'_>) -> Option<Case> {
        identified(&self.id, path, faults);
        let inputs = &self.inputs;
        let at = |key| [path, &[Key("inputs"), Key(key)]].concat();
        let counts = [
            ("A", Some(u64::from(inputs.agents))),
            ("T", Some(u64::from(inputs.after_hours))),
            ("calls", Some(inputs.calls)),
            ("pool_calls", Some(inputs.pool_calls)),
            ("pool_trunks", inputs.pool_trunks),
            ("pool_permitted", inputs.pool_permitted),
        ];
        for (key, count) in counts {
            if let Some(count) = count.filter(|count| *count > COUNT_MAX) {
                faults.add(&at(key), format!("`{key}` is {count}"), format!("at most {COUNT_MAX}"));
            }
        }
        let one = Decimal::whole(1);
        for (key, chance) in [
            ("p_other", inputs.p_other),
            ("p_end", inputs.p_end),
            ("theta_other", inputs.theta_other),
            ("theta_end", inputs.theta_end),
        ] {
            if chance > one {
                faults.add(&at(key), format!("`{key}` is {chance}"), "0 to 1");
            }
        }
        let claims = inputs.claims.clone().unwrap_or_else(|| vec![33, 34, 35]);
        if let Some(n) = claims.iter().position(|claim| !(33..=35).contains(claim)) {
            let what = format!("there is no claim {} here", claims.get(n).copied().unwrap_or(0));
            faults.add(&[at("claims").as_slice(), &[Index(n)]].concat(), what, "33, 34 or 35");
        }
        let has = |claim| claims.contains(&claim);
        let ruling = decide(
            &Facts {
                terms: Terms { ratio: inputs.ratio, after_hours: inputs.after_hours },
                agents: inputs.agents,
                calls: inputs.calls,
                pool: PoolFacts {
                    calls: inputs.pool_calls,
                    trunks: inputs.pool_trunks,
                    permitted: inputs.pool_permitted,
                },
            },
            Clauses { permitted: has(33), short: has(34), ending: has(35) },
            Thresholds { other: inputs.theta_other.to_f64(), end: inputs.theta_end.to_f64() },
            |_| inputs.p_end.to_f64(),
            || inputs.p_other.to_f64(),
        );
        let as_expected = self.expect.map(|expect| expect.is(&ruling));
        Some(Case { id: self.id, why: self.why, result: Found::Decision(ruling), as_expected })
    }
}

/// The word for a decision.
pub fn decision(clause: Clause) -> &'static str {
    if clause.accepts() { "accept" } else { "reject" }
}

impl Expected {
    fn is(&self, ruling: &Ruling) -> bool {
        self.decision == decision(ruling.clause)
            && self.clause.as_ref().is_none_or(|clause| clause == ruling.clause.as_str())
            && self.cap.is_none_or(|cap| cap == ruling.permitted)
            && self.need.is_none_or(|need| need == ruling.need)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndOne {
    elapsed: f64,
    window: f64,
    mean: Option<f64>,
    mu: Option<f64>,
    sigma: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndAtLeast {
    k: u64,
    elapsed: Vec<f64>,
    window: f64,
    mean: Option<f64>,
    mu: Option<f64>,
    sigma: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherCall {
    window: f64,
    others: Vec<Other>,
}

/// Another tenant: its calls a second alone, or with whether it is below its permitted number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Other {
    Rate(f64),
    Pair(f64, bool),
    Entitled(Entitled),
    Counted(Counted),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entitled {
    #[serde(alias = "lambda", alias = "rate_per_s", alias = "calls_per_s")]
    rate: f64,
    #[serde(default = "yes")]
    entitled: bool,
}

/// A tenant whose standing follows from its calls and its permitted number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Counted {
    #[serde(alias = "lambda", alias = "rate_per_s", alias = "calls_per_s")]
    rate: f64,
    calls: u64,
    #[serde(alias = "permitted", alias = "P")]
    cap: f64,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    c: u32,
    a: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupAt {
    n: u32,
    #[serde(rename = "C")]
    c: u32,
    a: f64,
}

impl EstimateCase {
    fn estimated(self, path: &[Step<'_>], faults: &mut Faults<'_>) -> Option<Case> {
        identified(&self.id, path, faults);
        let args = [path, &[Key("args")]].concat();
        let value = match self.function.as_str() {
            "p_end_one" => given(self.args, &args, faults).and_then(|of: EndOne| {
                let talk = talk(of.mean, of.mu, of.sigma, &args, faults)?;
                times(&[of.elapsed], &args, faults)?;
                number("window", of.window, &args, faults)?;
                Some(talk.ends_within(of.elapsed, of.window))
            }),
            "p_end_at_least" => given(self.args, &args, faults).and_then(|of: EndAtLeast| {
                let talk = talk(of.mean, of.mu, of.sigma, &args, faults)?;
                times(&of.elapsed, &args, faults)?;
                number("window", of.window, &args, faults)?;
                let each: Vec<f64> = of.elapsed.iter().map(|&e| talk.ends_within(e, of.window)).collect();
                Some(likely::at_least(of.k, &each))
            }),
            "p_other_call" => given(self.args, &args, faults).and_then(|of: OtherCall| {
                number("window", of.window, &args, faults)?;
                let mut rate = 0.0;
                for (n, other) in of.others.iter().enumerate() {
                    let (its, entitled) = match other {
                        Other::Rate(rate) => (*rate, true),
                        Other::Pair(rate, entitled) => (*rate, *entitled),
                        Other::Entitled(of) => (of.rate, of.entitled),
                        Other::Counted(of) => (of.rate, (of.calls as f64) + 1.0 <= of.cap),
                    };
                    if !(0.0..=NUMBER_MAX).contains(&its) {
                        let path = [args.as_slice(), &[Key("others"), Index(n)]].concat();
                        faults.add(&path, format!("a rate is {its}"), "calls a second, 0 or more");
                        return None;
                    }
                    rate += if entitled { its } else { 0.0 };
                }
                Some(likely::comes_within(of.window, rate))
            }),
            "erlang_b" => given(self.args, &args, faults).and_then(|of: Group| {
                number("a", of.a, &args, faults)?;
                if of.c > erlang::LINES_MAX {
                    faults.add(&args, format!("`c` is {}", of.c), format!("at most {}", erlang::LINES_MAX));
                    return None;
                }
                // Without trunks every call is lost, be there never so few.
                Some(if of.c == 0 { 1.0 } else { erlang::blocking(of.a, f64::from(of.c)) })
            }),
            "displaced" => given(self.args, &args, faults).and_then(|of: GroupAt| {
                number("a", of.a, &args, faults)?;
                if of.n > of.c || u64::from(of.c) > COUNT_MAX {
                    faults.add(&args, format!("`n` is {} of {}", of.n, of.c), format!("n <= C <= {COUNT_MAX}"));
                    return None;
                }
                Some(likely::displaced(of.n, of.c, of.a))
            }),
            other => {
                let known = ["p_end_one", "p_end_at_least", "p_other_call", "erlang_b", "displaced"];
                let path = [path, &[Key("function")]].concat();
                faults.unknown(&path, format!("there is no function `{other}`"), other, known);
                None
            }
        }?;
        let as_expected = self.expect.map(|expect| (expect - value).abs() <= 1e-6);
        Some(Case { id: self.id, why: self.why, result: Found::Estimate(value), as_expected })
    }
}

/// The arguments of a function.
fn given<T: for<'de> Deserialize<'de>>(args: Value, path: &[Step<'_>], faults: &mut Faults<'_>) -> Option<T> {
    match serde_json::from_value(args) {
        Ok(read) => Some(read),
        Err(error) => {
            faults.add(path, error.to_string(), "");
            None
        }
    }
}

fn number(key: &str, value: f64, path: &[Step<'_>], faults: &mut Faults<'_>) -> Option<()> {
    let ok = (0.0..=NUMBER_MAX).contains(&value);
    faults.within(&[path, &[Key(key)]].concat(), value, 0.0, NUMBER_MAX);
    ok.then_some(())
}

fn times(elapsed: &[f64], path: &[Step<'_>], faults: &mut Faults<'_>) -> Option<()> {
    if elapsed.len() > LIST_MAX {
        let what = format!("there are {} times", elapsed.len());
        faults.add(&[path, &[Key("elapsed")]].concat(), what, format!("at most {LIST_MAX}"));
        return None;
    }
    elapsed.iter().try_for_each(|time| number("elapsed", *time, path, faults))
}

fn talk(
    mean: Option<f64>,
    mu: Option<f64>,
    sigma: Option<f64>,
    path: &[Step<'_>],
    faults: &mut Faults<'_>,
) -> Option<Talk> {
    match (mean, mu, sigma) {
        (Some(mean), None, None) if mean > 0.0 => Some(Talk::Exponential(mean)),
        (None, Some(log_mean), Some(log_sd)) if log_sd > 0.0 => Some(Talk::LogNormal(LogNormal { log_mean, log_sd })),
        _ => {
            faults.add(path, "no law of talk times", "`mean` above 0, or `mu` with `sigma` above 0");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &str = include_str!("../../tests/vectors/admission/trunk-cases.json");

    #[test]
    fn every_case_comes_to_what_it_says() {
        let cases = Cases::read("trunk-cases.json", CASES).unwrap();
        assert_eq!(cases.results.len(), 45);
        for case in &cases.results {
            assert_eq!(case.as_expected, Some(true), "{case:?}");
        }
    }

    fn inputs(changes: &str) -> String {
        format!(r#"{{"decision_cases": [{{"id": 1, "inputs": {{"A": 4, "R": "1.5", "T": 3, "calls": 9{changes}}}}}]}}"#)
    }

    fn ruling(changes: &str) -> (&'static str, u64, u64) {
        let cases = Cases::read("c.json", &inputs(changes)).unwrap();
        match cases.results[0].result {
            Found::Decision(ruling) => (ruling.clause.as_str(), ruling.permitted, ruling.need),
            Found::Estimate(_) => panic!("a decision"),
        }
    }

    #[test]
    fn what_is_left_out_is_as_the_rule_says() {
        assert_eq!(ruling(""), ("35c", 7, 3));
        assert_eq!(ruling(r#", "p_end": "0.50""#), ("35d", 7, 3));
        assert_eq!(ruling(r#", "claims": [33, 34], "p_end": 1"#), ("33i", 7, 3));
        assert_eq!(ruling(r#", "claims": [34], "pool_calls": 3, "pool_permitted": 3"#), ("34b", 7, 3));
        assert_eq!(ruling(r#", "claims": [34], "pool_calls": 3, "pool_permitted": 3, "p_other": 1"#), ("34c", 7, 3));
        assert_eq!(ruling(r#", "claims": [], "pool_calls": 3, "pool_trunks": 3"#), ("hard", 7, 3));
    }

    #[test]
    fn bad_cases_are_refused_with_their_places() {
        for (text, said) in [
            (inputs("").replace("\"1.5\"", "\"-1.5\""), "not negative"),
            (inputs("").replace("\"1.5\"", "1.5"), "in quotes"),
            (inputs("").replace("\"1.5\"", "\"1,5\""), "a decimal number such as `1.25`"),
            (inputs(r#", "p_end": "1.01""#), "`decision_cases[0].inputs.p_end`"),
            (inputs(r#", "claims": [33, 36]"#), "no claim 36"),
            (inputs(r#", "pool": 3"#), "unknown field `pool`"),
            (inputs("").replace("\"A\": 4", "\"A\": -4"), "-4"),
            (r#"{"estimate_cases": [{"id": "e", "function": "erlang_c", "args": {}}]}"#.to_owned(), "`erlang_b`"),
            (
                r#"{"estimate_cases": [{"id": "e", "function": "p_end_one", "args": {"elapsed": 1, "window": 2}}]}"#
                    .to_owned(),
                "`mu` with `sigma`",
            ),
            ("{\"decision\": 3}".to_owned(), "unknown field"),
        ] {
            let refused = Cases::read("c.json", &text).unwrap_err().to_string();
            let said = said.trim_start_matches("`decision_cases[0].inputs.p_end`");
            assert!(refused.starts_with("c.json:1:") && refused.contains(said), "{said}: {refused}");
        }
    }

    #[test]
    fn each_case_has_an_id_of_its_own() {
        let case = r#"{"id": 1, "inputs": {"A": 4, "R": "1.5", "T": 3, "calls": 9}}"#;
        let refused = Cases::read("c.json", &format!("{{\"decision_cases\": [\n{case},\n{case}]}}")).unwrap_err();
        assert!(
            refused.to_string().starts_with("c.json:3:8: there is a case 1 already; expected another `id`"),
            "{refused}"
        );
    }

    #[test]
    fn other_tenants_are_read_in_each_form() {
        let of = |others: &str| {
            let text = format!(
                r#"{{"estimate_cases": [{{"id": "e", "function": "p_other_call",
                     "args": {{"window": 30, "others": {others}}}}}]}}"#
            );
            match Cases::read("c.json", &text).unwrap().results[0].result {
                Found::Estimate(value) => value,
                Found::Decision(_) => panic!("an estimate"),
            }
        };
        let both = 1.0 - (-0.9_f64).exp();
        for others in [
            "[0.01, 0.02]",
            r#"[[0.01, true], [0.02, true], [0.5, false]]"#,
            r#"[{"rate": 0.03}, {"rate": 0.5, "entitled": false}]"#,
            r#"[{"rate": 0.03, "calls": 3, "cap": 4}, {"rate": 0.5, "calls": 4, "cap": 4.5}]"#,
        ] {
            assert!((of(others) - both).abs() < 1e-12, "{others}: {}", of(others));
        }
    }
}
