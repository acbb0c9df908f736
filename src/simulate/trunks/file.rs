//! The file of a `trunks` scenario, read strictly.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::core::trunk::admission::Decimal;
use crate::core::trunk::admission::rule::Terms;
use crate::simulate::cases::exact;
use crate::simulate::place::Step::{Index, Key};
use crate::simulate::place::{Faults, Refused};
use crate::simulate::scenario::{HOURS_MAX, Lasts, MEAN_S_MAX, RATE_MAX, duration, one, some, typed};

/// Most tenants.
const TENANTS_MAX: usize = 5_000;
/// Most trunks, agents of a tenant, and after-hours trunks.
const TRUNKS_MAX: u32 = 100_000;
/// Highest worth.
const WORTH_MAX: f64 = 1e6;
/// Most that a burst multiplies a rate by.
const FACTOR_MAX: f64 = 1_000.0;

/// Tenants who share a pool of trunks.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trunks {
    #[serde(rename = "kind")]
    _kind: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Circuits of the pool.
    pub trunks: u32,
    /// Calls up to which the pool is not short, for clause 34 to the letter; all of its circuits where it is left out.
    pub pool_permitted: Option<u32>,
    /// Who shares it.
    pub tenants: Vec<Tenant>,
    /// How tenants' calls come that do not say it themselves.
    arrivals: Option<Arrivals>,
    /// How long a run is, in hours of virtual time.
    pub hours: f64,
    /// The seed of the first run.
    #[serde(default = "one")]
    pub seed: u64,
    /// Each tenant's permitted number, as the file's author reckons it; must be right.
    permitted: Option<Vec<u64>>,
    #[serde(default)]
    reference: Reference,
}

/// What another program reached.
#[derive(Clone, PartialEq, Default, Debug, Deserialize)]
#[serde(default)]
struct Reference {
    optimum_worth_per_hour: Option<f64>,
}

/// A tenant of the pool.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// For people.
    pub name: String,
    /// Signed in and able to take work.
    pub agents: u32,
    /// What a call within the permitted number is worth.
    pub worth_within: f64,
    /// What one beyond it is worth.
    pub worth_beyond: f64,
    /// How long calls last.
    pub talk: Lasts,
    /// On average.
    pub calls_per_hour: f64,
    /// Trunks for each agent.
    #[serde(deserialize_with = "exact")]
    pub trunk_agent_ratio: Decimal,
    /// Trunks when nobody is there.
    pub after_hours_trunks: u32,
    arrivals: Option<Arrivals>,
    bursts: Option<Bursts>,
}

/// How calls come: by a word, or with numbers.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(untagged)]
enum Arrivals {
    Word(Word),
    Law(ArrivalLaw),
}

#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    #[serde(alias = "exponential")]
    Poisson,
    Bursts,
}

#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArrivalLaw {
    law: Word,
    #[serde(alias = "burst_factor", alias = "ratio", alias = "peak")]
    factor: Option<f64>,
    #[serde(alias = "burst_s", alias = "mean_on_s", alias = "on_mean_s", alias = "burst_mean_s")]
    on_s: Option<f64>,
    #[serde(alias = "quiet_s", alias = "mean_off_s", alias = "off_mean_s", alias = "quiet_mean_s")]
    off_s: Option<f64>,
}

/// Calls that come in bursts: Poisson at a rate that switches between two values after exponential times. `calls_per_hour` is the
/// mean of both.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bursts {
    /// How many times the mean rate calls come at in a burst.
    #[serde(default = "factor", alias = "burst_factor", alias = "ratio", alias = "peak")]
    pub factor: f64,
    /// How long a burst lasts on average.
    #[serde(default = "on_s", alias = "burst_s", alias = "mean_on_s", alias = "on_mean_s", alias = "burst_mean_s")]
    pub on_s: f64,
    /// How long it is quiet between two on average.
    #[serde(default = "off_s", alias = "quiet_s", alias = "mean_off_s", alias = "off_mean_s", alias = "quiet_mean_s")]
    pub off_s: f64,
}

fn factor() -> f64 {
    3.0
}

fn on_s() -> f64 {
    600.0
}

fn off_s() -> f64 {
    1_800.0
}

impl Bursts {
    /// The share of time that is a burst.
    pub fn share(&self) -> f64 {
        self.on_s / (self.on_s + self.off_s)
    }

    /// How many times the mean rate calls come at between bursts.
    pub fn quiet(&self) -> f64 {
        (1.0 - self.factor * self.share()) / (1.0 - self.share())
    }
}

impl Arrivals {
    fn bursts(&self) -> Option<Bursts> {
        let usual = Bursts { factor: factor(), on_s: on_s(), off_s: off_s() };
        match self {
            Self::Word(Word::Poisson) | Self::Law(ArrivalLaw { law: Word::Poisson, .. }) => None,
            Self::Word(Word::Bursts) => Some(usual),
            Self::Law(law) => Some(Bursts {
                factor: law.factor.unwrap_or(usual.factor),
                on_s: law.on_s.unwrap_or(usual.on_s),
                off_s: law.off_s.unwrap_or(usual.off_s),
            }),
        }
    }
}

impl Tenant {
    /// What it is permitted.
    pub fn terms(&self) -> Terms {
        Terms { ratio: self.trunk_agent_ratio, after_hours: self.after_hours_trunks }
    }

    /// Calls that it is permitted.
    pub fn permitted(&self) -> u64 {
        self.terms().permitted(self.agents)
    }
}

impl Trunks {
    /// Reads a file's text.
    ///
    /// # Errors
    /// All faults at once, the first of them with their places.
    pub fn read(file: &str, text: &str) -> Result<Self, Refused> {
        let mut faults = Faults::new(file, text);
        let scenario = typed(text, &mut faults, check);
        match (scenario, faults.refused()) {
            (Some(scenario), None) => Ok(scenario),
            (_, refused) => Err(refused.unwrap_or(Refused { faults: vec![], more: 0 })),
        }
    }

    /// How a tenant's calls come in bursts; none for Poisson.
    pub fn bursts(&self, tenant: &Tenant) -> Option<Bursts> {
        let own = tenant.bursts.or_else(|| tenant.arrivals.as_ref().and_then(Arrivals::bursts));
        if tenant.bursts.is_some() || tenant.arrivals.is_some() {
            return own;
        }
        self.arrivals.as_ref().and_then(Arrivals::bursts)
    }

    /// What the best admission earns an hour, as the file has it.
    pub fn optimum(&self) -> Option<f64> {
        self.reference.optimum_worth_per_hour
    }

    /// Calls of all tenants in an hour.
    pub fn calls_per_hour(&self) -> f64 {
        self.tenants.iter().map(|tenant| tenant.calls_per_hour).sum()
    }

    /// The pool parted by permitted numbers, largest remainders first.
    pub fn parts(&self) -> Vec<u32> {
        let all: u64 = self.tenants.iter().map(Tenant::permitted).sum();
        let exact = |tenant: &Tenant| (u64::from(self.trunks) * tenant.permitted(), all.max(1));
        let mut parts: Vec<u32> =
            self.tenants.iter().map(exact).map(|(n, all)| u32::try_from(n / all).unwrap_or(0)).collect();
        let mut order: Vec<usize> = (0..parts.len()).collect();
        let remainder = |n: &usize| self.tenants.get(*n).map(exact).map_or(0, |(n, all)| n % all);
        order.sort_by_key(|n| std::cmp::Reverse(remainder(n)));
        let left = self.trunks.saturating_sub(parts.iter().sum());
        for n in order.into_iter().take(left as usize) {
            if let Some(part) = parts.get_mut(n) {
                *part += 1;
            }
        }
        parts
    }
}

fn check(scenario: &Trunks, faults: &mut Faults<'_>) {
    let trunks = f64::from(TRUNKS_MAX);
    faults.within(&[Key("trunks")], f64::from(scenario.trunks), 1.0, trunks);
    if let Some(permitted) = scenario.pool_permitted {
        faults.within(&[Key("pool_permitted")], f64::from(permitted), 0.0, f64::from(scenario.trunks));
    }
    some(&[Key("tenants")], scenario.tenants.len(), TENANTS_MAX, faults);
    let mut names = BTreeSet::new();
    for (n, tenant) in scenario.tenants.iter().enumerate() {
        let at = |key| [Key("tenants"), Index(n), Key(key)];
        if !names.insert(tenant.name.as_str()) {
            faults.add(&at("name"), format!("there is a tenant `{}` already", tenant.name), "another name");
        }
        faults.within(&at("agents"), f64::from(tenant.agents), 0.0, trunks);
        let after_hours = f64::from(tenant.after_hours_trunks);
        faults.within(&at("after_hours_trunks"), after_hours, 0.0, f64::from(scenario.trunks));
        faults.within(&at("worth_within"), tenant.worth_within, 0.0, WORTH_MAX);
        faults.within(&at("worth_beyond"), tenant.worth_beyond, 0.0, WORTH_MAX);
        faults.within(&at("calls_per_hour"), tenant.calls_per_hour, 0.0, RATE_MAX);
        tenant.talk.check(&at("talk"), faults);
        if tenant.bursts.is_some() && tenant.arrivals.is_some() {
            faults.add(&at("bursts"), "both `arrivals` and `bursts` are given", "one of them");
        }
        if let Some(bursts) = scenario.bursts(tenant) {
            let path = if tenant.bursts.is_some() { at("bursts") } else { at("arrivals") };
            let times_ok = [bursts.on_s, bursts.off_s].iter().all(|time| *time > 0.0 && *time <= MEAN_S_MAX);
            if !times_ok {
                faults.add(&path, "`on_s` or `off_s` is no time", format!("more than 0, at most {MEAN_S_MAX}"));
            } else if !(0.0..=FACTOR_MAX).contains(&bursts.factor) || bursts.quiet() < -1e-9 {
                let most = (1.0 / bursts.share()).min(FACTOR_MAX);
                faults.add(&path, format!("`factor` is {}", bursts.factor), format!("0 to {most}: the mean must hold"));
            }
        }
    }
    if let Some(permitted) = &scenario.permitted {
        let reckoned: Vec<u64> = scenario.tenants.iter().map(Tenant::permitted).collect();
        if *permitted != reckoned {
            faults.add(&[Key("permitted")], format!("`permitted` is {permitted:?}"), format!("{reckoned:?}"));
        }
    }
    if (0.0..=HOURS_MAX).contains(&scenario.hours) && scenario.tenants.iter().all(|tenant| tenant.calls_per_hour >= 0.0)
    {
        duration(scenario.hours, scenario.calls_per_hour(), faults);
    } else {
        faults.positive(&[Key("hours")], scenario.hours, HOURS_MAX);
    }
}

/// Whether a text says that it is a `trunks` scenario.
pub fn is_trunks(text: &str) -> bool {
    let head: Option<Value> = serde_json::from_str(text).ok();
    head.is_some_and(|head| head.get("kind").and_then(Value::as_str) == Some("trunks"))
}
