//! Scenario files: strict to read, so that a slip of the pen does not quietly simulate something else.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::place::Step::{Index, Key};
use super::place::{Faults, Refused, Step};
use super::random::Law;
use crate::base::Medium;
use crate::core::contact::slots::SLOTS_MAX;

/// Most agents.
pub const AGENTS_MAX: usize = 20_000;
/// Most types of call.
pub const TYPES_MAX: usize = 500;
/// Most skills of one agent or type.
pub const SKILLS_MAX: usize = 500;
/// Most contacts in one run.
pub const CONTACTS_MAX: u32 = 2_000_000;
/// Longest run, in hours of virtual time.
pub const HOURS_MAX: f64 = 100_000.0;
/// Most contacts of one kind in an hour.
pub(super) const RATE_MAX: f64 = 1_000_000.0;
/// Longest mean time, in seconds.
pub(super) const MEAN_S_MAX: f64 = 1_000_000.0;
/// Largest deviation of a logarithm: beyond this a mean says nothing.
const LOG_SD_MAX: f64 = 3.0;
/// Slowest work on several chats at once: below this a chat would outlast every run.
const CHAT_RATE_MIN: f64 = 0.01;
/// Highest importance.
const IMPORTANCE_MAX: f64 = 1_000.0;

/// What is to be simulated.
#[derive(Clone, PartialEq, Debug)]
pub enum Scenario {
    /// Calls of several types, agents with skills.
    Routing(Routing),
    /// Contacts of several media, agents alike.
    Media(Media),
}

impl Scenario {
    /// Reads a file's text, with or without a byte order mark.
    ///
    /// # Errors
    /// All faults at once, the first of them with their places.
    pub fn read(file: &str, text: &str) -> Result<Self, Refused> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        #[derive(Deserialize)]
        struct Head {
            kind: String,
        }
        let mut faults = Faults::new(file, text);
        let scenario = match serde_json::from_str::<Head>(text) {
            Err(error) => {
                faults.syntax(&error);
                None
            }
            Ok(head) => match head.kind.as_str() {
                "routing" => typed(text, &mut faults, check_routing).map(Self::Routing),
                "media" => typed(text, &mut faults, check_media).map(Self::Media),
                other => {
                    faults.add(
                        &[Key("kind")],
                        format!("`kind` is `{other}`"),
                        "`routing` or `media` (or `trunks`, for `simulate`)",
                    );
                    None
                }
            },
        };
        match (scenario, faults.refused()) {
            (Some(scenario), None) => Ok(scenario),
            (_, refused) => Err(refused.unwrap_or(Refused { faults: vec![], more: 0 })),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Routing(scenario) => &scenario.name,
            Self::Media(scenario) => &scenario.name,
        }
    }

    /// The seed of its first run.
    pub fn seed(&self) -> u64 {
        match self {
            Self::Routing(scenario) => scenario.seed,
            Self::Media(scenario) => scenario.seed,
        }
    }

    /// Changes the number of agents. Of agents with skills the mix stays: those who come are like those who are there, one after
    /// the other; those who leave are the last.
    ///
    /// # Errors
    /// There would be nobody, or nobody who could take some calls: says what.
    pub fn set_staff(&mut self, staff: Staff) -> Result<(), String> {
        match self {
            Self::Routing(scenario) => {
                let (count, wanted) = (scenario.agents.len(), staff.of(scenario.agents.len()));
                let more: Vec<Agent> =
                    (count..wanted).filter_map(|n| scenario.agents.get(n % count.max(1)).cloned()).collect();
                scenario.agents.truncate(wanted);
                scenario.agents.extend(
                    more.into_iter()
                        .zip(1..)
                        .map(|(agent, n): (Agent, u32)| Agent { name: format!("{} (+{n})", agent.name), ..agent }),
                );
                let able = |of: &CallType| scenario.agents.iter().any(|agent| agent.level(of) > 0.0);
                match scenario.types.iter().find(|of| !able(of)) {
                    Some(of) => Err(format!("none of {wanted} agents could take calls of type `{}`", of.name)),
                    None => Ok(()),
                }
            }
            Self::Media(scenario) => {
                let wanted = staff.of(scenario.agents as usize);
                scenario.agents = u32::try_from(wanted).unwrap_or(u32::MAX);
                if wanted == 0 { Err("there would be no agents".to_owned()) } else { Ok(()) }
            }
        }
    }

    /// Changes how many chats an agent takes at once.
    ///
    /// # Errors
    /// The scenario does not say how so many chats progress, or has none: says what.
    pub fn set_chat_slots(&mut self, slots: u8) -> Result<(), String> {
        let Self::Media(scenario) = self else {
            return Err("only `media` scenarios have chats; `export scenario --mix` makes one of a day".to_owned());
        };
        if !(1..=scenario.chat_rates.len()).contains(&usize::from(slots)) {
            let most = scenario.chat_rates.len();
            return Err(format!("expected 1 to {most}, for which `chat_rates` says how chats at once progress"));
        }
        scenario.slots.insert(Medium::Chat, slots);
        Ok(())
    }

    /// How many contacts a run has, about.
    pub fn contacts(&self) -> u32 {
        match self {
            Self::Routing(scenario) => scenario.contacts(),
            Self::Media(scenario) => {
                let per_hour: f64 = scenario.media.values().map(|medium| medium.per_hour).sum();
                (per_hour * scenario.hours) as u32
            }
        }
    }
}

/// Reads one kind, then looks at what it says.
pub(super) fn typed<'t, T: Deserialize<'t>>(
    text: &'t str,
    faults: &mut Faults<'_>,
    check: fn(&T, &mut Faults<'_>),
) -> Option<T> {
    match serde_json::from_str::<T>(text) {
        Ok(scenario) => {
            check(&scenario, faults);
            Some(scenario)
        }
        Err(error) => {
            faults.syntax(&error);
            None
        }
    }
}

/// How long something lasts, as it is written.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lasts {
    law: String,
    mean_s: Option<f64>,
    log_mean: Option<f64>,
    log_sd: Option<f64>,
}

impl Lasts {
    /// The law; of a checked scenario there always is one.
    pub fn law(&self) -> Option<Law> {
        match (self.law.as_str(), self.mean_s, self.log_mean, self.log_sd) {
            ("exponential", Some(mean_s), None, None) => Some(Law::Exponential { mean_s }),
            ("erlang2", Some(mean_s), None, None) => Some(Law::Erlang2 { mean_s }),
            ("lognormal", None, Some(log_mean), Some(log_sd)) => Some(Law::LogNormal { log_mean, log_sd }),
            ("lognormal", Some(mean_s), None, Some(log_sd)) => {
                Some(Law::LogNormal { log_mean: mean_s.ln() - log_sd * log_sd / 2.0, log_sd })
            }
            _ => None,
        }
    }

    pub(super) fn check(&self, path: &[Step<'_>], faults: &mut Faults<'_>) {
        let at = |key| [path, &[Key(key)]].concat();
        if !["exponential", "erlang2", "lognormal"].contains(&self.law.as_str()) {
            return faults.add(
                &at("law"),
                format!("`law` is `{}`", self.law),
                "`exponential`, `erlang2` or `lognormal`",
            );
        }
        let Some(law) = self.law() else {
            let expected = match self.law.as_str() {
                "lognormal" => "`log_sd` with either `log_mean` or `mean_s`",
                _ => "`mean_s` alone",
            };
            return faults.add(path, format!("the numbers do not go with the law `{}`", self.law), expected);
        };
        if let Some(mean_s) = self.mean_s {
            faults.positive(&at("mean_s"), mean_s, MEAN_S_MAX);
        }
        if let Some(log_sd) = self.log_sd {
            faults.within(&at("log_sd"), log_sd, 0.0, LOG_SD_MAX);
        }
        if self.log_mean.is_some() && (!law.mean_s().is_finite() || law.mean_s() > MEAN_S_MAX) {
            faults.add(&at("log_mean"), "the mean is too long", format!("a mean of at most {MEAN_S_MAX} s"));
        }
    }
}

/// Calls of several types, agents with skills.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routing {
    #[serde(rename = "kind")]
    _kind: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Service level: answered within so many seconds.
    pub target_s: f64,
    /// The types of call.
    pub types: Vec<CallType>,
    /// Who takes them.
    pub agents: Vec<Agent>,
    /// Calls that were recorded, in the order of time; instead of calls that are drawn.
    #[serde(default)]
    pub arrivals: Vec<Arrival>,
    /// How many calls come in a run; or [`hours`](Self::hours).
    calls: Option<u32>,
    /// How long a run is, in hours of virtual time; or [`calls`](Self::calls).
    hours: Option<f64>,
    /// The seed of the first run.
    #[serde(default = "one")]
    pub seed: u64,
    #[serde(default, rename = "reference")]
    _reference: Ignored,
}

/// What another program reached: for people to compare.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Ignored;

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // An object, as scenarios of trunks want it, too.
        BTreeMap::<String, IgnoredAny>::deserialize(from).map(|_| Self)
    }
}

/// A map that has each key once: of two the first would be lost unseen.
fn once_each<'de, D, K, V>(from: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    struct Once<K, V>(PhantomData<(K, V)>);

    impl<'de, K: Deserialize<'de> + Ord + fmt::Display, V: Deserialize<'de>> Visitor<'de> for Once<K, V> {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some(key) = from.next_key::<K>()? {
                match map.entry(key) {
                    Entry::Occupied(known) => {
                        return Err(A::Error::custom(format!("there is `{}` already, expected it once", known.key())));
                    }
                    Entry::Vacant(free) => {
                        free.insert(from.next_value()?);
                    }
                }
            }
            Ok(map)
        }
    }

    from.deserialize_map(Once(PhantomData))
}

pub(super) fn one() -> u64 {
    1
}

fn unit() -> f64 {
    1.0
}

/// A call that was recorded.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrival {
    /// When it came, in seconds.
    pub at_s: f64,
    /// Its type, by name.
    #[serde(rename = "type")]
    pub of: String,
    /// How long an agent of middling skill talks; drawn where it is not known.
    pub talk_s: Option<f64>,
}

/// Another number of agents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Staff {
    /// So many.
    Count(u32),
    /// So many more, or less.
    Change(i32),
}

impl Staff {
    /// How many these become, within bounds.
    fn of(self, count: usize) -> usize {
        let wanted = match self {
            Self::Count(wanted) => i64::from(wanted),
            Self::Change(by) => count as i64 + i64::from(by),
        };
        wanted.clamp(0, AGENTS_MAX as i64) as usize
    }
}

/// A type of call.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallType {
    /// For people.
    pub name: String,
    /// Skills that an agent must have.
    pub needs: Vec<String>,
    /// Poisson.
    pub calls_per_hour: f64,
    /// How long an agent of middling skill talks.
    pub talk: Lasts,
    /// Mean of the exponential part of the patience; 0 for none.
    pub patience_mean_s: f64,
    /// How much such a call weighs; 1 is usual.
    #[serde(default = "unit")]
    pub importance: f64,
}

/// An agent.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// For people.
    pub name: String,
    /// Skills with levels, 0 to 1.
    #[serde(deserialize_with = "once_each")]
    pub skills: BTreeMap<String, f64>,
}

impl Agent {
    /// How good the agent is at calls of a type: the least level of the needed skills; 0 for one who cannot take them.
    pub fn level(&self, of: &CallType) -> f64 {
        of.needs.iter().map(|skill| self.skills.get(skill).copied().unwrap_or(0.0)).fold(1.0, f64::min)
    }
}

impl Routing {
    /// How many calls come in a run.
    pub fn contacts(&self) -> u32 {
        match (self.calls, self.hours) {
            _ if !self.arrivals.is_empty() => u32::try_from(self.arrivals.len()).unwrap_or(u32::MAX),
            (Some(calls), _) => calls,
            (None, hours) => (hours.unwrap_or(0.0) * self.calls_per_hour()).round() as u32,
        }
    }

    /// Of all types together.
    pub fn calls_per_hour(&self) -> f64 {
        self.types.iter().map(|of| of.calls_per_hour).sum()
    }
}

fn check_routing(scenario: &Routing, faults: &mut Faults<'_>) {
    faults.positive(&[Key("target_s")], scenario.target_s, MEAN_S_MAX);
    some(&[Key("types")], scenario.types.len(), TYPES_MAX, faults);
    some(&[Key("agents")], scenario.agents.len(), AGENTS_MAX, faults);
    let held: BTreeSet<&str> = (scenario.agents.iter().flat_map(|agent| &agent.skills))
        .filter(|(_, level)| **level > 0.0)
        .map(|(skill, _)| skill.as_str())
        .collect();
    let staffed = !scenario.agents.is_empty();
    let mut names = BTreeSet::new();
    for (n, of) in scenario.types.iter().enumerate() {
        let at = |key| [Key("types"), Index(n), Key(key)];
        if !names.insert(of.name.as_str()) {
            faults.add(&at("name"), format!("there is a type `{}` already", of.name), "another name");
        }
        faults.within(&at("calls_per_hour"), of.calls_per_hour, 0.0, RATE_MAX);
        faults.within(&at("patience_mean_s"), of.patience_mean_s, 0.0, MEAN_S_MAX);
        faults.within(&at("importance"), of.importance, 0.0, IMPORTANCE_MAX);
        of.talk.check(&at("talk"), faults);
        at_most(&at("needs"), of.needs.len(), SKILLS_MAX, faults);
        let mut asked = BTreeSet::new();
        for (k, skill) in of.needs.iter().enumerate().filter(|(_, skill)| !asked.insert(skill.as_str())) {
            let path = [Key("types"), Index(n), Key("needs"), Index(k)];
            faults.add(&path, format!("the skill `{skill}` is needed already"), "each skill once");
        }
        let mut missing = false;
        for (k, skill) in of.needs.iter().enumerate().filter(|(_, skill)| staffed && !held.contains(skill.as_str())) {
            missing = true;
            let path = [Key("types"), Index(n), Key("needs"), Index(k)];
            faults.unknown(&path, format!("no agent has the skill `{skill}`"), skill, held.iter().copied());
        }
        if !missing && staffed && !scenario.agents.iter().any(|agent| agent.level(of) > 0.0) {
            faults.add(&at("needs"), format!("no agent has all that calls of type `{}` need", of.name), "");
        }
    }
    let mut names = BTreeSet::new();
    for (n, agent) in scenario.agents.iter().enumerate() {
        if !names.insert(agent.name.as_str()) {
            let path = [Key("agents"), Index(n), Key("name")];
            faults.add(&path, format!("there is an agent `{}` already", agent.name), "another name");
        }
        at_most(&[Key("agents"), Index(n), Key("skills")], agent.skills.len(), SKILLS_MAX, faults);
        for (skill, &level) in &agent.skills {
            faults.within(&[Key("agents"), Index(n), Key("skills"), Key(skill)], level, 0.0, 1.0);
        }
    }
    if !scenario.arrivals.is_empty() {
        return check_arrivals(scenario, faults);
    }
    match (scenario.calls, scenario.hours) {
        (Some(_), None) | (None, Some(_)) => {}
        (Some(_), Some(_)) => faults.add(&[Key("hours")], "both `calls` and `hours` are given", "one of them"),
        (None, None) => faults.add(&[], "neither `calls`, `hours` nor `arrivals` are given", "one of them"),
    }
    if let Some(calls) = scenario.calls {
        faults.within(&[Key("calls")], f64::from(calls), 1.0, f64::from(CONTACTS_MAX));
    }
    let rates_ok = scenario.types.iter().all(|of| of.calls_per_hour >= 0.0);
    if let Some(hours) = scenario.hours {
        duration(hours, scenario.calls_per_hour(), faults);
    } else if rates_ok && !scenario.types.is_empty() && scenario.calls_per_hour() <= 0.0 {
        faults.add(&[Key("types")], "no calls come: each `calls_per_hour` is 0", "one above 0 at least");
    }
}

fn check_arrivals(scenario: &Routing, faults: &mut Faults<'_>) {
    at_most(&[Key("arrivals")], scenario.arrivals.len(), CONTACTS_MAX as usize, faults);
    for (key, given) in [("calls", scenario.calls.is_some()), ("hours", scenario.hours.is_some())] {
        if given {
            faults.add(&[Key(key)], format!("both `arrivals` and `{key}` are given"), "one of them");
        }
    }
    let names: BTreeSet<&str> = scenario.types.iter().map(|of| of.name.as_str()).collect();
    let mut before_s = 0.0;
    for (n, arrival) in scenario.arrivals.iter().enumerate() {
        let at = |key| [Key("arrivals"), Index(n), Key(key)];
        if !names.contains(arrival.of.as_str()) {
            let what = format!("there is no type `{}`", arrival.of);
            faults.unknown(&at("type"), what, &arrival.of, names.iter().copied());
        }
        faults.within(&at("at_s"), arrival.at_s, before_s, HOURS_MAX * 3_600.0);
        before_s = arrival.at_s.max(before_s);
        if let Some(talk_s) = arrival.talk_s {
            faults.positive(&at("talk_s"), talk_s, MEAN_S_MAX);
        }
    }
}

pub(super) fn some(path: &[Step<'_>], count: usize, most: usize, faults: &mut Faults<'_>) {
    if count == 0 {
        faults.add(path, "there are none", format!("1 to {most}"));
    }
    at_most(path, count, most, faults);
}

fn at_most(path: &[Step<'_>], count: usize, most: usize, faults: &mut Faults<'_>) {
    if count > most {
        faults.add(path, format!("there are {count}"), format!("at most {most}"));
    }
}

/// Hours that must be within bounds, and bring some contacts, but not too many.
pub(super) fn duration(hours: f64, per_hour: f64, faults: &mut Faults<'_>) {
    faults.positive(&[Key("hours")], hours, HOURS_MAX);
    let contacts = hours * per_hour;
    if (0.0..=HOURS_MAX).contains(&hours)
        && hours > 0.0
        && per_hour >= 0.0
        && !(1.0..=f64::from(CONTACTS_MAX)).contains(&contacts)
    {
        let expected = format!("1 to {CONTACTS_MAX}");
        faults.add(&[Key("hours")], format!("{contacts:.0} contacts are expected"), expected);
    }
}

/// Contacts of several media, agents alike.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    #[serde(rename = "kind")]
    _kind: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// How many agents.
    pub agents: u32,
    /// How many contacts of each medium at once; what is left out is as usual.
    #[serde(default, deserialize_with = "once_each")]
    pub slots: BTreeMap<Medium, u8>,
    /// At what rate chats progress in total, one, two, three at once.
    #[serde(default = "alone")]
    pub chat_rates: Vec<f64>,
    /// What comes.
    #[serde(deserialize_with = "once_each")]
    pub media: BTreeMap<Medium, Contacts>,
    /// How long a run is, in hours of virtual time.
    pub hours: f64,
    /// The seed of the first run.
    #[serde(default = "one")]
    pub seed: u64,
    #[serde(default, rename = "reference")]
    _reference: Ignored,
}

fn alone() -> Vec<f64> {
    vec![1.0]
}

/// Contacts of one medium.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contacts {
    /// Poisson.
    pub per_hour: f64,
    /// How long one keeps an agent who has nothing else.
    pub work: Lasts,
    /// Mean of the exponential patience; at 0 whoever is not taken at once leaves; without it nobody gives up.
    pub patience_mean_s: Option<f64>,
    /// Service level: taken within so many seconds.
    pub target_s: f64,
    /// Callers who wait may leave a message.
    pub voicemail: Option<Voicemail>,
}

/// Callers who still wait may leave a voicemail, which becomes a contact of its own.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voicemail {
    /// After so many seconds.
    pub after_s: f64,
    /// The share of callers who do.
    pub share: f64,
    /// The work that it makes, as a part of the call's.
    pub work_factor: f64,
    /// Service level of it.
    pub target_s: f64,
}

fn check_media(scenario: &Media, faults: &mut Faults<'_>) {
    faults.within(&[Key("agents")], f64::from(scenario.agents), 1.0, AGENTS_MAX as f64);
    for (medium, &slots) in &scenario.slots {
        let most = if matches!(medium, Medium::Voice | Medium::Video) { 1 } else { SLOTS_MAX };
        faults.within(&[Key("slots"), Key(medium.as_str())], f64::from(slots), 0.0, f64::from(most));
    }
    at_most(&[Key("chat_rates")], scenario.chat_rates.len(), usize::from(SLOTS_MAX), faults);
    for (n, &rate) in scenario.chat_rates.iter().enumerate() {
        faults.within(&[Key("chat_rates"), Index(n)], rate, CHAT_RATE_MIN, f64::from(SLOTS_MAX));
    }
    let chats = usize::from(scenario.slots_of(Medium::Chat));
    if scenario.media.contains_key(&Medium::Chat) && scenario.chat_rates.len() < chats {
        let what = format!("there are {} rates for up to {chats} chats at once", scenario.chat_rates.len());
        faults.add(&[Key("chat_rates")], what, format!("{chats}"));
    }
    some(&[Key("media")], scenario.media.len(), Medium::ALL.len(), faults);
    for (&medium, contacts) in &scenario.media {
        let at = |key| [Key("media"), Key(medium.as_str()), Key(key)];
        faults.within(&at("per_hour"), contacts.per_hour, 0.0, RATE_MAX);
        faults.positive(&at("target_s"), contacts.target_s, MEAN_S_MAX);
        contacts.work.check(&at("work"), faults);
        if let Some(patience) = contacts.patience_mean_s {
            faults.within(&at("patience_mean_s"), patience, 0.0, MEAN_S_MAX);
        }
        if scenario.slots_of(medium) == 0 {
            faults.add(&[Key("slots"), Key(medium.as_str())], format!("no agent takes {medium}"), "1 or more");
        }
        if let Some(voicemail) = contacts.voicemail {
            let at = |key| [Key("media"), Key(medium.as_str()), Key("voicemail"), Key(key)];
            faults.within(&at("after_s"), voicemail.after_s, 0.0, MEAN_S_MAX);
            faults.within(&at("share"), voicemail.share, 0.0, 1.0);
            faults.positive(&at("work_factor"), voicemail.work_factor, 100.0);
            faults.positive(&at("target_s"), voicemail.target_s, MEAN_S_MAX);
            if medium != Medium::Voice {
                faults.add(&[Key("media"), Key(medium.as_str()), Key("voicemail")], "only callers leave voicemail", "");
            } else if scenario.media.contains_key(&Medium::Voicemail) {
                faults.add(&[Key("media"), Key("voicemail")], "callers leave voicemail already", "one of the two");
            } else if scenario.slots_of(Medium::Voicemail) == 0 {
                faults.add(&[Key("slots"), Key("voicemail")], "no agent takes voicemail", "1 or more");
            }
        }
    }
    if scenario.media.values().all(|contacts| contacts.per_hour >= 0.0) {
        duration(scenario.hours, scenario.media.values().map(|contacts| contacts.per_hour).sum(), faults);
    }
}

impl Media {
    /// How many contacts of the medium an agent takes at once.
    pub fn slots_of(&self, medium: Medium) -> u8 {
        let usual = crate::core::contact::Slots::default().of(medium);
        self.slots.get(&medium).copied().unwrap_or(usual)
    }

    /// The targets of all media that there are.
    pub fn targets(&self) -> BTreeMap<Medium, f64> {
        let mut targets: BTreeMap<Medium, f64> = self.media.iter().map(|(&medium, of)| (medium, of.target_s)).collect();
        if let Some(voicemail) = self.media.get(&Medium::Voice).and_then(|of| of.voicemail) {
            targets.insert(Medium::Voicemail, voicemail.target_s);
        }
        targets
    }
}
