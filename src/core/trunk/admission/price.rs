//! Keeping prices true: when estimates have moved, what calls are worth and what trunks cost is worked out anew, step by step.

use std::time::Duration;

use super::chain::{Class, Demand, Gains, Prices};
use super::estimate::{CallRate, TalkTime};
use super::pair::{Pair, Rest};
use crate::base::{Instant, Now, TenantId};

/// Between two looks at the estimates.
const LOOK: Duration = Duration::from_secs(10);
/// Between two looks where a rate rises suddenly, and what that is: by this factor.
const HURRY: Duration = Duration::from_secs(1);
const SUDDEN: f64 = 1.5;
/// By how much an estimate must have moved for prices to be worked out anew.
const MOVED: f64 = 0.08;
/// Rounds between pool and tenants: from nothing, and from prices that were right a little while ago.
const ROUNDS_COLD: u32 = 16;
const ROUNDS_WARM: u32 = 3;
/// Tenants looked at, or worked out, in one step.
const SHARES_A_STEP: usize = 32;
/// Most states of all tables by own and other calls of one pool; a larger pool does with prices alone. 15 trunks with 5 tenants
/// take 680, 64 trunks with 9 tenants 19,305.
const STATES_MAX: usize = 20_000;
/// States worked on in one step.
const STATES_A_STEP: usize = 20_000;
/// Most sweeps over one table before it is used as it is.
const SWEEPS_MAX: usize = 5_000;
/// A tenant that floods a pool yields, at equal worth, to those who keep to their contracts: its calls count for less than
/// they are worth, by up to this part. That begins where it offers twice what it is permitted, and is complete at 2.8 times that.
/// Where nobody keeps to a contract, nobody is to be yielded to; and calls that are worth more, from 1.25 times on, need not yield.
const FLOOD_DISCOUNT: f64 = 0.4;
const FLOOD_FROM: f64 = 2.0;
const FLOOD_TO: f64 = 2.8;
const EQUAL_MAX: f64 = 1.25;
/// Most calls of one tenant that tell how long those of the others may be.
const GUESS_CALLS_MAX: f64 = 100.0;
/// Talk time and permitted number that a first guess of a rate assumes: calls for 70 % of it.
const GUESS_S: f64 = 180.0;
const GUESS_LOAD: f64 = 0.7;

/// What a tenant has in a pool.
#[derive(Debug)]
pub(super) struct Share {
    /// Its calls in progress there.
    pub calls: u64,
    /// What it adds to the rate of entitled calls.
    pub entitled: f64,
    pub rate: CallRate,
    pub talk: TalkTime,
    /// Rate and mean talk time that are known instead.
    pub fixed: Option<(f64, f64)>,
    /// As prices were worked out for.
    pub demand: Demand,
    /// Its contract has changed since.
    changed: bool,
    permitted: u64,
    worths: (f64, f64),
    gains: Gains,
    pair: Pair,
    /// The table by own and other calls is in use.
    paired: bool,
}

impl Share {
    pub fn new(now: Now, permitted: u64) -> Self {
        let guess = GUESS_LOAD * permitted.max(1) as f64 / GUESS_S;
        Self {
            calls: 0,
            entitled: 0.0,
            rate: CallRate::new(now, guess),
            talk: TalkTime::default(),
            fixed: None,
            demand: Demand { rate: 0.0, mean_s: 1.0, permitted, within: 0.0, beyond: 0.0 },
            changed: true,
            permitted,
            worths: (0.0, 0.0),
            gains: Gains::default(),
            pair: Pair::default(),
            paired: false,
        }
    }

    /// Its contract and its agents are so from now on.
    pub fn terms(&mut self, permitted: u64, within: f64, beyond: f64) {
        self.changed |= self.permitted != permitted || self.worths != (within, beyond);
        (self.permitted, self.worths) = (permitted, (within, beyond));
    }

    /// What was worked out for it is to be worked out anew.
    pub fn forget_prices(&mut self) {
        (self.changed, self.paired) = (true, false);
    }

    /// What a call is worth, the tenant having `calls`, and what a trunk costs it now.
    pub fn worth_and_price(&self, calls: u64, busy: u64, pool: &Prices) -> (f64, f64) {
        let first = if calls < self.permitted { self.worths.0 } else { self.worths.1 };
        let worth = self.gains.of(calls).unwrap_or(first);
        let advantage = if self.paired { self.pair.of(self.calls, busy.saturating_sub(self.calls)) } else { None };
        match advantage {
            // Off by rounding, it is not below nothing.
            Some(advantage) => (worth, (worth - advantage).max(0.0)),
            None => (worth, pool.of(busy, self.demand.mean_s)),
        }
    }

    /// Brings the estimates up to now; gives whether prices are no longer those of them.
    fn look(&mut self, now: Now) -> bool {
        self.rate.pass(now, false);
        self.talk.pass(now);
        let of = self.estimated();
        let moved = |from: f64, to: f64| (to / from.max(1e-12) - 1.0).abs() > MOVED;
        self.changed || moved(self.demand.rate, of.rate) || moved(self.demand.mean_s, of.mean_s)
    }

    /// Whether calls come far more often than prices were worked out for.
    pub fn rises(&self) -> bool {
        self.fixed.is_none() && self.rate.rate() > SUDDEN * self.demand.rate.max(1e-3)
    }

    fn estimated(&self) -> Demand {
        let (rate, mean_s) = self.fixed.unwrap_or_else(|| (self.rate.rate(), self.talk.mean_s()));
        let (within, beyond) = self.worths;
        Demand { rate, mean_s, permitted: self.permitted, within, beyond }
    }
}

/// Those of a pool who keep to their contracts.
#[derive(Default)]
struct Kept {
    /// What a first call of each is worth.
    worths: Vec<f64>,
    calls: f64,
    busy: f64,
}

impl Kept {
    fn of(shares: &[(TenantId, &mut Share)]) -> Self {
        let mut kept = Self::default();
        for (_, Share { demand, .. }) in shares {
            if demand.load() <= demand.permitted as f64 && demand.load() > 0.0 {
                kept.worths.push(demand.within);
                kept.calls += demand.rate;
                kept.busy += demand.load();
            }
        }
        kept
    }

    /// What a call of a tenant with this demand counts for, as a part of its worth. A flood of shorter calls than theirs earns
    /// more by the second, and none of that counts.
    fn flood_factor(&self, demand: &Demand) -> f64 {
        let times = demand.load() / (demand.permitted as f64).max(1e-9);
        let flood = ((times - FLOOD_FROM) / (FLOOD_TO - FLOOD_FROM)).clamp(0.0, 1.0);
        let short = (demand.mean_s * self.calls / self.busy).min(1.0);
        let yields = |worth: &f64| {
            let worth = demand.within / worth.max(1e-9);
            let left = ((1.0 - FLOOD_DISCOUNT) * short / worth.min(1.0)).min(1.0);
            1.0 - flood * ((EQUAL_MAX - worth) / (EQUAL_MAX - 1.0)).clamp(0.0, 1.0) * (1.0 - left)
        };
        self.worths.iter().map(yields).fold(1.0, f64::min)
    }
}

/// Who is not known yet is taken to talk as the others do.
fn guess_talk(shares: &mut [(TenantId, &mut Share)]) {
    let weigh = |share: &Share| {
        let (calls, mean_s) = share.talk.seen();
        (calls.min(GUESS_CALLS_MAX), calls.min(GUESS_CALLS_MAX) * mean_s)
    };
    let all = shares.iter().map(|(_, share)| weigh(share)).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    for (_, share) in shares.iter_mut() {
        let own = weigh(share);
        share.talk.guess((all.0 - own.0, all.1 - own.1));
    }
}

/// How far the work of a pool is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// At the estimates, from the share with this index.
    Look { next: usize, moved: bool },
    /// In this round, from the share with this index; before the first the pool.
    Round { round: u32, next: usize },
    /// At the table of the share with this index, swept so often.
    Pair { next: usize, sweeps: usize },
}

/// What a step was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// All estimates were looked at.
    Looked,
    /// Something else.
    Other,
}

/// The work of keeping a pool's prices true.
#[derive(Debug)]
pub(super) struct Work {
    stage: Stage,
    due: Instant,
    prices: Prices,
    /// Rounds to do: more from nothing.
    rounds: u32,
    /// When estimates were looked at last.
    looked: Instant,
}

impl Work {
    pub fn new(now: Instant) -> Self {
        let stage = Stage::Look { next: 0, moved: false };
        Self { stage, due: now, prices: Prices::default(), rounds: ROUNDS_COLD, looked: now }
    }

    /// When the next step is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Calls come so much more often than prices were worked out for that the next look is soon.
    pub fn hurry(&mut self, now: Instant) {
        if now.since(self.looked) >= HURRY {
            self.hasten(now);
        }
    }

    /// Something has changed that is no estimate: the next look is now.
    pub fn hasten(&mut self, now: Instant) {
        self.due = self.due.min(now);
    }

    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// One step.
    pub fn step(&mut self, now: Now, priced: bool, trunks: usize, shares: &mut [(TenantId, &mut Share)]) -> Step {
        match self.stage {
            Stage::Round { .. } | Stage::Pair { .. } if !priced => self.rest(now),
            Stage::Look { next, moved } => return self.look(now, next, moved, shares),
            Stage::Round { round, next: 0 } => {
                self.price(trunks, shares);
                self.stage = Stage::Round { round, next: 1 };
            }
            Stage::Round { round, next } => {
                let from = next - 1;
                for (_, share) in shares.iter_mut().skip(from).take(SHARES_A_STEP) {
                    share.gains.solve(&share.demand, &self.prices);
                }
                let next = next + SHARES_A_STEP;
                self.stage = match (next > shares.len(), round + 1 < self.rounds) {
                    (false, _) => Stage::Round { round, next },
                    (true, true) => Stage::Round { round: round + 1, next: 0 },
                    (true, false) => {
                        self.price(trunks, shares);
                        self.rounds = ROUNDS_WARM;
                        self.after_rounds(now, trunks, shares)
                    }
                };
            }
            Stage::Pair { next, sweeps } => self.stage = self.pair(now, trunks, next, sweeps, shares),
        }
        Step::Other
    }

    fn look(&mut self, now: Now, next: usize, moved: bool, shares: &mut [(TenantId, &mut Share)]) -> Step {
        let mut moved = moved;
        for (_, share) in shares.iter_mut().skip(next).take(SHARES_A_STEP) {
            moved |= share.look(now);
        }
        let next = next + SHARES_A_STEP;
        if next < shares.len() {
            self.stage = Stage::Look { next, moved };
            return Step::Other;
        }
        self.looked = now.mono;
        guess_talk(shares);
        if moved {
            for (_, share) in shares.iter_mut() {
                share.demand = share.estimated();
                share.changed = false;
            }
            let kept = Kept::of(shares);
            for (_, share) in shares.iter_mut() {
                let counts = kept.flood_factor(&share.demand);
                share.demand.within *= counts;
                share.demand.beyond *= counts;
            }
            self.stage = Stage::Round { round: 0, next: 0 };
        } else {
            self.rest(now);
        }
        Step::Looked
    }

    fn rest(&mut self, now: Now) {
        self.stage = Stage::Look { next: 0, moved: false };
        self.due = now.mono + LOOK;
    }

    fn price(&mut self, trunks: usize, shares: &[(TenantId, &mut Share)]) {
        let first =
            |share: &Share| Class { rate: share.demand.rate, worth: share.worths.0, mean_s: share.demand.mean_s };
        let mut classes = vec![];
        let (mut carried, mut ends) = (0.0, 0.0);
        for (_, share) in shares {
            if share.gains.classes.is_empty() {
                classes.push(first(share));
            }
            classes.extend_from_slice(&share.gains.classes);
            let load = if share.gains.carried > 0.0 { share.gains.carried } else { share.demand.load() };
            carried += load;
            ends += load / share.demand.mean_s;
        }
        if carried > 0.0 {
            self.prices.solve(trunks, &classes, carried / ends);
        }
    }

    fn after_rounds(&mut self, now: Now, trunks: usize, shares: &mut [(TenantId, &mut Share)]) -> Stage {
        if Pair::states(trunks) * shares.len() <= STATES_MAX {
            return Stage::Pair { next: 0, sweeps: 0 };
        }
        shares.iter_mut().for_each(|(_, share)| share.paired = false);
        self.rest(now);
        self.stage
    }

    fn pair(
        &mut self,
        now: Now,
        trunks: usize,
        next: usize,
        sweeps: usize,
        shares: &mut [(TenantId, &mut Share)],
    ) -> Stage {
        let rest = rest_of(next, shares);
        let Some((_, share)) = shares.get_mut(next) else {
            self.rest(now);
            return self.stage;
        };
        let times = (STATES_A_STEP / Pair::states(trunks)).clamp(1, SWEEPS_MAX - sweeps);
        let settled = share.pair.sweep(trunks, &share.demand, &rest, times);
        if !settled && sweeps + times < SWEEPS_MAX {
            return Stage::Pair { next, sweeps: sweeps + times };
        }
        share.pair.publish();
        share.paired = true;
        Stage::Pair { next: next + 1, sweeps: 0 }
    }
}

/// All others than the share with this index.
fn rest_of(own: usize, shares: &[(TenantId, &mut Share)]) -> Rest {
    let others = || shares.iter().enumerate().filter(|(n, _)| *n != own).map(|(_, (_, share))| &**share);
    let mut all = others();
    if let (Some(other), None) = (all.next(), all.next()) {
        return Rest::One(other.demand);
    }
    let carried: f64 = others().map(|share| share.gains.carried).sum();
    let ends: f64 = others().map(|share| share.gains.carried / share.demand.mean_s).sum();
    let classes = others().flat_map(|share| share.gains.classes.iter().copied()).collect();
    Rest::Many { classes, mean_s: if ends > 0.0 { carried / ends } else { 1.0 } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(times: f64, within: f64, mean_s: f64) -> Demand {
        Demand { rate: times * 10.0 / mean_s, mean_s, permitted: 10, within, beyond: within / 5.0 }
    }

    #[test]
    fn a_flood_yields_at_equal_worth_to_whoever_keeps_to_the_contract() {
        let kept = Kept { worths: vec![1.0], calls: 1.0, busy: 180.0 };
        let counts = |times, within, mean_s| kept.flood_factor(&demand(times, within, mean_s));
        assert_eq!(counts(2.0, 1.0, 180.0), 1.0);
        assert!((counts(2.4, 1.0, 180.0) - 0.8).abs() < 1e-9 && (counts(3.0, 1.0, 180.0) - 0.6).abs() < 1e-9);
        assert!((counts(3.0, 1.0, 30.0) - 0.1).abs() < 1e-9, "short calls earn no more by the second");
        assert_eq!(counts(3.0, 1.25, 180.0), 1.0, "what is worth more need not yield");
        assert!((counts(3.0, 0.8, 180.0) - 0.75).abs() < 1e-9, "what is worth less yields as it is, for the most part");
        assert_eq!(counts(3.0, 0.5, 180.0), 1.0);
        assert_eq!(Kept::default().flood_factor(&demand(3.0, 1.0, 180.0)), 1.0, "nobody to yield to");
    }
}
