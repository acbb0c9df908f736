//! How much of each trunk, and by each tenant, was held: peaks and erlangs by the quarter of an hour, from call detail records.
//! They are all that is needed, so nothing is counted twice and no count is lost with the power.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde::Serialize;

use crate::base::{Cause, Timestamp};
use crate::core::journal::{Cdr, Direction, LegRecord};

/// Most periods of one question: a year of quarters of an hour.
pub const PERIODS_MAX: i64 = 366 * 96;

/// What a row is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Whose {
    /// A trunk's circuits.
    Trunk(String),
    /// Circuits of whatever trunk that a tenant's calls hold.
    Tenant(String),
}

impl Whose {
    /// `trunk` or `tenant`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Trunk(_) => "trunk",
            Self::Tenant(_) => "tenant",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Trunk(name) | Self::Tenant(name) => name,
        }
    }
}

/// A period in which something was held or asked for.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Of what.
    #[serde(flatten)]
    pub whose: Whose,
    /// Its beginning.
    pub from: Timestamp,
    /// Circuits seized by the other side.
    pub inbound: u32,
    /// Circuits that we seized, or tried to.
    pub outbound: u32,
    /// Of both, those that failed for want of a circuit or by congestion.
    pub blocked: u32,
    /// Most circuits held at once.
    pub peak: u32,
    /// Circuits held on average.
    pub erlangs: f64,
}

#[derive(Clone, Copy, Default, Debug)]
struct Period {
    inbound: u32,
    outbound: u32,
    blocked: u32,
    peak: u32,
    held_ms: i64,
}

/// What one of [`Whose`] holds at the time that was read up to.
#[derive(Debug)]
struct Line {
    periods: BTreeMap<i64, Period>,
    held: u32,
    /// When that last changed.
    since: i64,
}

/// Counts, from records that come by the time of their start. Memory follows the calls that are up at once, not the records.
#[derive(Debug)]
pub struct Usage {
    from: i64,
    until: i64,
    period_ms: i64,
    lines: Vec<Line>,
    index: BTreeMap<Whose, usize>,
    /// What is still to happen: when, whether circuits are taken (after those given back), and whose.
    coming: BinaryHeap<Reverse<(i64, bool, usize)>>,
}

impl Usage {
    /// For periods of `period_ms` (over 0) from `from` to `until`, at most [`PERIODS_MAX`] of them: the last ones.
    pub fn new(from: Timestamp, until: Timestamp, period_ms: i64) -> Self {
        let period_ms = period_ms.max(1);
        let begin = |at: i64| at.div_euclid(period_ms).saturating_mul(period_ms);
        let until = until.as_millis();
        let earliest = until.saturating_sub(period_ms.saturating_mul(PERIODS_MAX));
        let from = begin(from.as_millis().max(earliest));
        Self { from, until, period_ms, lines: Vec::new(), index: BTreeMap::new(), coming: BinaryHeap::new() }
    }

    /// Takes in a record; of those that come after it none may have started earlier.
    pub fn add(&mut self, cdr: &Cdr) {
        self.pass(cdr.started_at.as_millis());
        for leg in cdr.legs.iter().filter(|leg| !leg.trunk.is_empty()) {
            self.add_leg(Whose::Trunk(leg.trunk.clone()), leg);
            if !cdr.tenant.is_empty() {
                self.add_leg(Whose::Tenant(cdr.tenant.clone()), leg);
            }
        }
    }

    /// What was counted, by whose it is and time.
    pub fn rows(mut self) -> Vec<Row> {
        self.pass(self.until);
        for at in 0..self.lines.len() {
            self.hold(at, self.until, 0);
        }
        let row = |whose: &Whose, index: i64, period: &Period| {
            let from = index * self.period_ms;
            // The last one may be under way.
            let length = self.period_ms.min(self.until - from).max(1);
            let Period { inbound, outbound, blocked, peak, held_ms } = *period;
            let erlangs = held_ms as f64 / length as f64;
            Row { whose: whose.clone(), from: Timestamp(from), inbound, outbound, blocked, peak, erlangs }
        };
        let periods = self.index.iter().filter_map(|(whose, at)| Some((whose, &self.lines.get(*at)?.periods)));
        periods.flat_map(|(whose, periods)| periods.iter().map(move |(index, p)| row(whose, *index, p))).collect()
    }

    fn add_leg(&mut self, whose: Whose, leg: &LegRecord) {
        let start = leg.started_at.as_millis();
        let end = leg.ended_at.map_or(self.until, Timestamp::as_millis).min(self.until);
        if start >= self.until || (start < self.from && end <= self.from) {
            return;
        }
        let lines = &mut self.lines;
        let at = *self.index.entry(whose).or_insert_with(|| {
            lines.push(Line { periods: BTreeMap::new(), held: 0, since: self.from });
            lines.len() - 1
        });
        if start >= self.from
            && let Some(line) = self.lines.get_mut(at)
        {
            let period = line.periods.entry(start.div_euclid(self.period_ms)).or_default();
            match leg.direction {
                Direction::Inbound => period.inbound += 1,
                Direction::Outbound => period.outbound += 1,
            }
            let full = matches!(leg.cause, Some(Cause::NoCircuit | Cause::Congestion | Cause::ChannelUnavailable));
            period.blocked += u32::from(full && leg.answered_at.is_none());
        }
        // What failed at once held nothing; nor does what a clock that was set back ended before it began.
        if end > start {
            self.coming.push(Reverse((start, true, at)));
            self.coming.push(Reverse((end, false, at)));
        }
    }

    /// Lets everything happen that comes before `time`.
    fn pass(&mut self, time: i64) {
        while let Some(&Reverse((at, taken, line))) = self.coming.peek() {
            if at >= time {
                break;
            }
            self.coming.pop();
            self.hold(line, at, if taken { 1 } else { -1 });
        }
    }

    /// Something held so much until `at`, and holds `change` more from then on.
    fn hold(&mut self, line: usize, at: i64, change: i32) {
        let Some(line) = self.lines.get_mut(line) else { return };
        let at = at.clamp(self.from, self.until);
        while line.held > 0 && line.since < at {
            let index = line.since.div_euclid(self.period_ms);
            let end = at.min((index + 1) * self.period_ms);
            let period = line.periods.entry(index).or_default();
            period.held_ms += i64::from(line.held) * (end - line.since);
            period.peak = period.peak.max(line.held);
            line.since = end;
        }
        line.since = at;
        line.held = line.held.saturating_add_signed(change);
        if change > 0 && at < self.until {
            let period = line.periods.entry(at.div_euclid(self.period_ms)).or_default();
            period.peak = period.peak.max(line.held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tenant::testing::Random;

    const QUARTER: i64 = 15 * 60 * 1_000;

    fn leg(trunk: &str, inbound: bool, from: i64, to: Option<i64>, cause: Option<Cause>) -> LegRecord {
        LegRecord {
            leg: 0,
            direction: if inbound { Direction::Inbound } else { Direction::Outbound },
            kind: "sip".into(),
            trunk: trunk.into(),
            party: String::new(),
            agent: None,
            started_at: Timestamp(from),
            answered_at: None,
            ended_at: to.map(Timestamp),
            cause,
            media: None,
            encryption: String::new(),
        }
    }

    fn call(legs: Vec<LegRecord>) -> Cdr {
        Cdr {
            call_id: crate::base::CallId(1),
            tenant: "acme".into(),
            medium: "voice".into(),
            direction: Direction::Inbound,
            from: Default::default(),
            to: Default::default(),
            started_at: legs[0].started_at,
            answered_at: None,
            ended_at: legs[0].ended_at,
            agent: None,
            cause: None,
            trace: None,
            queued_ms: 0,
            legs,
            events: Vec::new(),
        }
    }

    fn rows(period_ms: i64, until: i64, calls: &[Cdr]) -> Vec<Row> {
        let mut usage = Usage::new(Timestamp(0), Timestamp(until), period_ms);
        calls.iter().for_each(|cdr| usage.add(cdr));
        usage.rows()
    }

    #[test]
    fn circuits_are_counted_by_trunk_and_by_tenant() {
        let minutes = |n: i64| n * 60_000;
        let calls = [
            // In on one trunk, to an agent by another, over the quarter's end.
            call(vec![
                leg("city", true, minutes(5), Some(minutes(20)), Some(Cause::Normal)),
                leg("site", false, minutes(6), Some(minutes(20)), Some(Cause::Normal)),
                leg("", false, minutes(6), Some(minutes(7)), Some(Cause::NoAnswer)),
            ]),
            call(vec![leg("city", true, minutes(10), Some(minutes(10)), Some(Cause::NoCircuit))]),
            // Still up.
            call(vec![leg("city", false, minutes(20), None, None)]),
        ];
        let found = rows(QUARTER, minutes(30), &calls);
        let brief: Vec<_> = found
            .iter()
            .map(|r| (r.whose.kind(), r.whose.name(), r.from.0 / QUARTER, r.inbound, r.outbound, r.blocked, r.peak))
            .collect();
        assert_eq!(
            brief,
            [
                ("trunk", "city", 0, 2, 0, 1, 1),
                // The second begins as the first ends: one circuit.
                ("trunk", "city", 1, 0, 1, 0, 1),
                ("trunk", "site", 0, 0, 1, 0, 1),
                ("trunk", "site", 1, 0, 0, 0, 1),
                ("tenant", "acme", 0, 2, 1, 1, 2),
                ("tenant", "acme", 1, 0, 1, 0, 2),
            ]
        );
        let erlangs: Vec<f64> = found.iter().map(|r| (r.erlangs * 15.0 * 1e6).round() / 1e6).collect();
        assert_eq!(erlangs, [10.0, 15.0, 9.0, 5.0, 19.0, 20.0]);
    }

    #[test]
    fn what_was_up_before_counts_and_what_comes_after_does_not() {
        let mut usage = Usage::new(Timestamp(QUARTER), Timestamp(QUARTER + 1_000), QUARTER);
        usage.add(&call(vec![leg("over", true, 0, Some(QUARTER), None)]));
        usage.add(&call(vec![leg("city", true, 0, Some(QUARTER + 500), None)]));
        usage.add(&call(vec![leg("city", true, QUARTER + 1_000, None, None)]));
        let rows = usage.rows();
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert_eq!((rows[0].inbound, rows[0].peak, rows[0].erlangs), (0, 1, 0.5), "of the second that has passed");
    }

    #[test]
    fn it_is_what_counting_each_second_gives() {
        for seed in 1..40 {
            println!("seed {seed}");
            let mut r = Random::new(seed);
            let mut at = 0;
            let calls: Vec<Cdr> = (0..60)
                .map(|_| {
                    at += 1_000 * r.below(40) as i64;
                    let mut legs = vec![];
                    for _ in 0..1 + r.below(3) {
                        let from = at + 1_000 * r.below(100) as i64 * i64::from(!legs.is_empty());
                        let to = (r.below(9) > 0).then(|| from + 1_000 * r.below(300) as i64);
                        legs.push(leg(["a", "b"][r.below(2)], true, from, to, None));
                    }
                    call(legs)
                })
                .collect();
            let until = 1_000_000;
            for row in rows(60_000, until, &calls) {
                let legs = calls.iter().flat_map(|c| &c.legs);
                let of: Vec<_> = legs.filter(|l| row.whose.kind() == "tenant" || l.trunk == row.whose.name()).collect();
                let end = |l: &LegRecord| l.ended_at.map_or(until, |t| t.0);
                let held = |t: i64| of.iter().filter(|l| l.started_at.0 <= t && t < end(l)).count();
                let seconds: Vec<usize> =
                    (row.from.0..until.min(row.from.0 + 60_000)).step_by(1_000).map(held).collect();
                let sum: usize = seconds.iter().sum();
                assert!((row.erlangs - sum as f64 / seconds.len() as f64).abs() < 1e-9, "{row:?}");
                assert_eq!(Some(row.peak as usize), seconds.iter().max().copied(), "{row:?}");
            }
        }
    }
}
