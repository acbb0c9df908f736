//! Which trunks lead to a number at an hour, and what calls out cost there.

use jiff::tz::TimeZone;

use super::{Directory, PREFIX_LENGTH_MAX};
use crate::base::{Timestamp, TrunkId};
use crate::core::hours::Hours;
use crate::core::tenant::provision::Trunk;
use crate::core::trunk::admission::Decimal;

/// When calls go out by a trunk, and what they cost.
#[derive(Clone, PartialEq, Debug)]
pub struct Rates {
    cost: Decimal,
    tariffs: Vec<(Hours, Decimal)>,
    hours: Option<Hours>,
    zone: TimeZone,
}

impl Rates {
    /// Of a trunk that `check` has passed; hours that cannot be read are left out.
    pub(super) fn new(trunk: &Trunk) -> Self {
        let tariffs = trunk.tariff.iter().filter_map(|tariff| Some((Hours::read(&tariff.hours).ok()?, tariff.cost)));
        Self {
            cost: trunk.cost,
            tariffs: tariffs.collect(),
            hours: Some(&trunk.hours).filter(|hours| !hours.is_empty()).and_then(|hours| Hours::read(hours).ok()),
            zone: TimeZone::get(&trunk.timezone).unwrap_or(TimeZone::UTC),
        }
    }

    /// What a call out costs by the minute: as the first tariff says whose hours are open.
    pub fn cost_at(&self, at: Timestamp) -> Decimal {
        let tariff = self.tariffs.iter().find(|(hours, _)| hours.is_open(at, &self.zone));
        tariff.map_or(self.cost, |(_, cost)| *cost)
    }

    /// Whether calls go out at that time.
    pub fn is_open_at(&self, at: Timestamp) -> bool {
        self.hours.as_ref().is_none_or(|hours| hours.is_open(at, &self.zone))
    }
}

/// A trunk with a prefix of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lead {
    /// The trunk.
    pub trunk: TrunkId,
    /// How long its longest prefix that matches is, in octets.
    pub prefix: usize,
    /// What a call costs by the minute at that hour.
    pub cost: Decimal,
    /// Whether calls go out at that hour.
    pub open: bool,
}

impl Directory {
    /// All trunks that have a prefix of `dialled`, each once: the longest prefix first, of one prefix the cheapest at that time,
    /// and of one cost in the order provisioned.
    pub fn leads(&self, dialled: &str, at: Timestamp) -> Vec<Lead> {
        let mut leads: Vec<Lead> = Vec::new();
        for (prefix, trunks) in self.prefixes(dialled) {
            let from = leads.len();
            for trunk in trunks {
                if let Some(entry) = self.trunk(*trunk).filter(|_| leads.iter().all(|lead| lead.trunk != *trunk)) {
                    let (cost, open) = (entry.rates.cost_at(at), entry.rates.is_open_at(at));
                    leads.push(Lead { trunk: *trunk, prefix, cost, open });
                }
            }
            if let Some(of_prefix) = leads.get_mut(from..) {
                of_prefix.sort_by_key(|lead| lead.cost);
            }
        }
        leads
    }

    /// Whether a trunk leads to `dialled`, at whatever hour.
    pub fn leads_to(&self, dialled: &str) -> bool {
        self.prefixes(dialled).next().is_some()
    }

    /// The prefixes of `dialled` that trunks have, the longest first.
    fn prefixes<'d>(&'d self, dialled: &str) -> impl Iterator<Item = (usize, &'d [TrunkId])> {
        let longest = dialled.len().min(PREFIX_LENGTH_MAX);
        let of = |length| Some((length, self.trunks_by_prefix.get(dialled.get(..length)?)?.as_slice()));
        (0..=longest).rev().filter_map(of)
    }
}

/// Of the leads those that count: with the longest prefix that one has that is open, or without regard to the hour.
pub fn foremost(leads: Vec<Lead>, at_any_hour: bool) -> Vec<Lead> {
    let counts = |lead: &Lead| at_any_hour || lead.open;
    let longest = leads.iter().filter(|lead| counts(lead)).map(|lead| lead.prefix).max();
    leads.into_iter().filter(|lead| counts(lead) && Some(lead.prefix) == longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tenant::Provision;
    use crate::core::tenant::testing::Random;

    const HOUR_MS: i64 = 3_600_000;
    /// 2026-11-23, a Monday, 00:00 UTC.
    const MONDAY: i64 = 1_795_392_000_000;

    fn trunks(text: &str) -> Directory {
        let provision: Provision = toml::from_str(text).expect("well-formed");
        Directory::new(&provision, None)
    }

    fn told(directory: &Directory, leads: &[Lead]) -> Vec<String> {
        let name = |id| directory.trunk(id).map_or_else(String::new, |trunk| trunk.name.clone());
        leads.iter().map(|lead| format!("{}={}", name(lead.trunk), lead.cost)).collect()
    }

    #[test]
    fn the_hour_says_who_is_cheapest_and_who_is_there() {
        let directory = trunks(
            "[[trunk]]\nname = 'day'\nkind = 'sip'\nprefix = ['0']\ncost = 2\n\
             [[trunk.tariff]]\nhours = { mo-fr = '18:00-08:00', sa-su = '00:00-24:00' }\ncost = 0.5\n\
             [[trunk]]\nname = 'flat'\nkind = 'sip'\nprefix = ['0']\ncost = 1\n\
             [[trunk]]\nname = 'night'\nkind = 'sip'\nprefix = ['0049']\ntimezone = 'Europe/Berlin'\n\
             hours = { mo-fr = '20:00-06:00', holidays = '2026-11-24' }\n",
        );
        let at = |day: i64, hour: i64, dialled| {
            let leads = directory.leads(dialled, Timestamp(MONDAY + (24 * day + hour) * HOUR_MS));
            told(&directory, &foremost(leads, false)).join(" ")
        };
        assert_eq!(at(0, 12, "01"), "flat=1 day=2");
        assert_eq!(at(0, 18, "01"), "day=0.5 flat=1");
        assert_eq!(at(5, 12, "01"), "day=0.5 flat=1", "a Saturday");
        assert_eq!(at(0, 18, "00491"), "day=0.5 flat=1", "19:00 in Berlin: the longer prefix is not there yet");
        assert_eq!(at(0, 19, "00491"), "night=0");
        assert_eq!(at(1, 4, "00491"), "day=0.5 flat=1", "the day off ends what began the day before");
        assert_eq!(at(2, 19, "00491"), "night=0");
        let noon = directory.leads("00491", Timestamp(MONDAY + 12 * HOUR_MS));
        assert_eq!(told(&directory, &noon), ["night=0", "flat=1", "day=2"], "who leads there at all");
        assert_eq!(told(&directory, &foremost(noon, true)), ["night=0"], "at any hour");
        assert!(directory.leads_to("00491") && !directory.leads_to("1") && !directory.leads_to(""));
    }

    /// Random trunks, numbers and hours against the rule said anew.
    #[test]
    fn it_is_the_rule_word_for_word() {
        for seed in 1..200 {
            println!("seed {seed}");
            let mut r = Random::new(seed);
            let mut text = String::new();
            let mut rows = Vec::new();
            for n in 0..1 + r.below(6) {
                let prefix = r.pick(&["", "0", "00", "004", "0049", "1"]);
                let cost = r.pick(&["0", "0.1", "0.10", "0.11", "3"]);
                // Each either always there, or from an hour on for so many.
                let hours = r.maybe(|r| (r.below(24) as i64, 1 + r.below(20) as i64));
                text += &format!("[[trunk]]\nname = 't{n}'\nkind = 'sip'\nprefix = ['{prefix}']\ncost = '{cost}'\n");
                if let Some((from, length)) = hours {
                    text += &format!("hours = {{ mo-su = '{from:02}:00-{:02}:00' }}\n", (from + length) % 24);
                }
                rows.push((n, prefix, cost.parse::<Decimal>().expect("a decimal"), hours));
            }
            let directory = trunks(&text);
            for _ in 0..20 {
                let hour = r.below(7 * 24) as i64;
                let dialled = r.pick(&["00491", "0041", "07", "1", "2", ""]);
                let open = |hours: &Option<(i64, i64)>| {
                    hours.is_none_or(|(from, length)| (hour - from).rem_euclid(24) < length)
                };
                let there = rows.iter().filter(|(_, prefix, _, hours)| dialled.starts_with(prefix) && open(hours));
                let longest = there.clone().map(|(_, prefix, ..)| prefix.len()).max();
                let mut wanted: Vec<_> = there.filter(|(_, prefix, ..)| Some(prefix.len()) == longest).collect();
                wanted.sort_by(|one, other| one.2.cmp(&other.2).then(one.0.cmp(&other.0)));
                let wanted: Vec<String> = wanted.iter().map(|(n, _, cost, _)| format!("t{n}={cost}")).collect();
                let leads = directory.leads(dialled, Timestamp(MONDAY + hour * HOUR_MS));
                assert_eq!(told(&directory, &foremost(leads, false)), wanted, "{dialled} at {hour}\n{text}");
            }
        }
    }
}
