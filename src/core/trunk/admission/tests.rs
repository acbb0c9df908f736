//! Admission as a whole: calls, agents and prices in virtual time, with what must hold after each step.

use std::collections::VecDeque;
use std::time::Duration;

use super::rule::{Clause, Clauses, Terms};
use super::testing::Dice;
use super::*;
use crate::base::{LegId, Now, TenantId, TrunkId};

const POOL: TrunkId = TrunkId(1);

fn contract(id: u32, ratio: &str, after_hours: u32, within: f64, beyond: f64) -> Contract {
    let terms = Terms { ratio: ratio.parse().unwrap(), after_hours };
    Contract { id: TenantId(id), terms, worth_within: within, worth_beyond: beyond, pools: vec![POOL] }
}

fn pool(trunks: u32) -> PoolTerms {
    PoolTerms { id: POOL, trunks, permitted: Some(trunks.saturating_sub(2)) }
}

fn work(admission: &mut Admission, now: Now) {
    let mut steps = 0;
    while admission.poll_timeout().is_some_and(|due| due <= now.mono) {
        admission.handle_timeout(now);
        steps += 1;
        assert!(steps < 100_000, "the work ends");
    }
}

/// A day of calls, agents signing in and out, and contracts that change.
fn day(seed: u64, mode: Mode, trunks: u32, tenants: u32) {
    let mut dice = Dice::new(seed);
    let mut now = Now::default();
    let mut admission = Admission::new(mode);
    let contracts = |dice: &mut Dice| -> Vec<Contract> {
        let worth = |dice: &mut Dice| [1.0, 0.2, 5.0][dice.below(3) as usize];
        (0..tenants).map(|id| contract(id, "1.25", dice.below(4) as u32, worth(dice), worth(dice))).collect()
    };
    admission.provision(now, &[pool(trunks)], contracts(&mut dice));
    let mut calls: VecDeque<(LegId, TenantId)> = VecDeque::new();
    let mut last = 0;
    for round in 0..1_500 {
        now = now.after(Duration::from_millis(1 + dice.below(20_000)));
        work(&mut admission, now);
        let tenant = TenantId(dice.below(u64::from(tenants)) as u32);
        let before = (admission.calls(POOL), calls.len());
        match dice.below(10) {
            0 => admission.agents(now, tenant, dice.below(12) as u32),
            1 if round % 400 == 1 => admission.provision(now, &[pool(trunks)], contracts(&mut dice)),
            1..=3 => {
                if let Some((call, _)) = calls.remove(dice.below(calls.len().max(1) as u64) as usize) {
                    admission.call_ended(now, call);
                }
            }
            _ => {
                let verdict = admission.arrived(now, tenant, POOL).unwrap();
                assert_eq!(Some(verdict), admission.decide(now, tenant, POOL), "seed {seed}, {round}: asked twice");
                assert_eq!(verdict.facts.pool.calls, before.0);
                let (permitted, has) = admission.standing(tenant).unwrap();
                assert_eq!(verdict.ruling.permitted, permitted);
                assert_eq!(verdict.ruling.need, (has + 1).saturating_sub(permitted));
                if let Some((worth, price)) = verdict.priced {
                    let full = before.0 >= u64::from(trunks);
                    assert_eq!(verdict.accepts(), !full && worth >= price, "seed {seed}, {round}: {verdict:?}");
                    assert!(worth.is_finite() && price.is_finite(), "seed {seed}, {round}: {verdict:?}");
                }
                if verdict.accepts() {
                    last += 1;
                    admission.call_began(now, LegId(last), tenant, POOL);
                    calls.push_back((LegId(last), tenant));
                }
            }
        }
        // Nothing but an end takes a call away, and the pool never has more than there are circuits.
        assert_eq!(admission.calls(POOL), calls.len() as u64, "seed {seed}, {round}");
        assert!(calls.len() <= trunks as usize, "seed {seed}, {round}: {} calls", calls.len());
        admission.check_invariants();
    }
    for (call, _) in calls {
        admission.call_ended(now, call);
    }
    admission.check_invariants();
    assert_eq!(admission.calls(POOL), 0);
}

#[test]
fn whatever_happens_in_a_day_counts_agree_and_no_pool_is_oversubscribed() {
    for seed in 1..=2 {
        day(seed, Mode::Priced, 12, 3);
        day(seed, Mode::literal(), 12, 3);
        // A pool too large for tables, and one with a single tenant.
        day(seed, Mode::Priced, 400, 4);
        day(seed, Mode::Priced, 5, 1);
    }
}

#[test]
fn calls_in_progress_stay_when_agents_or_the_contract_go() {
    let now = Now::default();
    let mut admission = Admission::new(Mode::with(Clauses { permitted: true, short: false, ending: false }));
    admission.provision(now, &[pool(10)], vec![contract(1, "1.5", 0, 1.0, 1.0)]);
    admission.agents(now, TenantId(1), 4);
    (0..6).for_each(|call| admission.call_began(now, LegId(call), TenantId(1), POOL));
    admission.agents(now, TenantId(1), 0);
    assert_eq!(admission.standing(TenantId(1)), Some((0, 6)));
    assert_eq!(admission.decide(now, TenantId(1), POOL).map(|v| v.ruling.clause), Some(Clause::Beyond));
    admission.provision(now, &[pool(10)], vec![contract(2, "1", 1, 1.0, 1.0)]);
    assert_eq!((admission.calls(POOL), admission.decide(now, TenantId(1), POOL)), (6, None));
    admission.check_invariants();
    (0..6).for_each(|call| admission.call_ended(now, LegId(call)));
    assert_eq!(admission.calls(POOL), 0);
    admission.call_ended(now, LegId(3));
    admission.check_invariants();
}

#[test]
fn a_price_is_asked_only_of_those_others_would_pay() {
    let now = Now::default();
    let mut admission = Admission::new(Mode::Priced);
    admission.provision(now, &[pool(10)], vec![contract(1, "1", 8, 5.0, 5.0), contract(2, "1", 8, 1.0, 1.0)]);
    for (tenant, rate) in [(1, 0.04), (2, 0.04)] {
        admission.fix(now, TenantId(tenant), POOL, rate, 180.0);
    }
    work(&mut admission, now);
    let accepts = |admission: &Admission, tenant| admission.decide(now, TenantId(tenant), POOL).unwrap().accepts();
    let mut yields_at = None;
    for call in 0..10 {
        assert!(accepts(&admission, 1), "the dearer tenant is served while there is a trunk");
        if !accepts(&admission, 2) {
            yields_at = yields_at.or(Some(call));
        }
        assert_eq!(accepts(&admission, 2), yields_at.is_none(), "once too dear, dearer with each call");
        admission.call_began(now, LegId(call), TenantId(1), POOL);
    }
    assert!(yields_at.is_some_and(|at| (4..10).contains(&at)), "{yields_at:?}");
    assert_eq!(admission.decide(now, TenantId(1), POOL).map(|v| v.ruling.clause), Some(Clause::Hard));
}

#[test]
fn the_large_pools_prices_are_near_those_of_tables() {
    // One pool of 40 with tables; the prices alone, which a larger one would use, decide nearly always the same.
    let now = Now::default();
    let mut admission = Admission::new(Mode::Priced);
    admission.provision(now, &[pool(40)], vec![contract(1, "1", 30, 5.0, 5.0), contract(2, "1", 30, 1.0, 1.0)]);
    admission.fix(now, TenantId(1), POOL, 0.1, 180.0);
    admission.fix(now, TenantId(2), POOL, 0.2, 180.0);
    work(&mut admission, now);
    let by_tables: Vec<bool> = (0..40)
        .map(|call| {
            let accepts = admission.decide(now, TenantId(2), POOL).unwrap().accepts();
            admission.call_began(now, LegId(call), TenantId(1), POOL);
            accepts
        })
        .collect();
    let refused = by_tables.iter().filter(|accepts| !**accepts).count();
    assert!((1..12).contains(&refused), "{refused} trunks kept for the dearer");
    // Miller's chain for the same.
    let mut prices = super::chain::Prices::default();
    let class = |rate, worth| super::chain::Class { rate, worth, mean_s: 180.0 };
    prices.solve(40, &[class(0.1, 5.0), class(0.2, 1.0)], 180.0);
    let kept = (0..40).filter(|busy| prices.of(*busy, 180.0) > 1.0).count();
    assert!(kept.abs_diff(refused) <= 1, "{kept} and {refused}");
}

#[test]
fn prices_outlast_a_provisioning_that_says_the_same_and_follow_one_that_does_not() {
    let mut now = Now::default();
    let mut admission = Admission::new(Mode::Priced);
    let contracts = || vec![contract(1, "1", 200, 5.0, 5.0), contract(2, "1", 200, 1.0, 1.0)];
    admission.provision(now, &[pool(400)], contracts());
    for tenant in [1, 2] {
        admission.fix(now, TenantId(tenant), POOL, 1.2, 180.0);
    }
    work(&mut admission, now);
    (0..395).for_each(|call| admission.call_began(now, LegId(call), TenantId(1), POOL));
    let price = |admission: &Admission| admission.decide(Now::default(), TenantId(2), POOL).unwrap().priced.unwrap().1;
    let before = price(&admission);
    assert!(before > 1.0, "{before}: too dear for the cheaper tenant");
    now = now.after(Duration::from_secs(1));
    admission.provision(now, &[pool(400)], contracts());
    assert_eq!(price(&admission), before, "before anything was worked out anew");
    admission.check_invariants();
    // Room for all: nothing that was worked out holds.
    admission.provision(now, &[pool(4_000)], contracts());
    work(&mut admission, now);
    assert!(price(&admission) < 0.01, "{}", price(&admission));
    // Without the dearer one nobody is to be yielded to, beyond the calls that it still has.
    admission.provision(now, &[pool(400)], contracts().split_off(1));
    work(&mut admission, now);
    assert!(admission.decide(now, TenantId(2), POOL).unwrap().accepts());
    admission.check_invariants();
}

/// A conforming tenant and one that floods, of whom nothing is known yet: the part of each one's calls within its permitted
/// number that is refused.
fn from_cold(seed: u64, (calm_per_s, calm_s): (f64, f64), (flood_per_s, flood_s): (f64, f64)) -> [f64; 2] {
    let (mut dice, mut now) = (Dice::new(seed), Now::default());
    let mut admission = Admission::new(Mode::Priced);
    admission.provision(now, &[pool(10)], vec![contract(1, "1", 6, 1.0, 0.25), contract(2, "1", 4, 1.0, 0.25)]);
    let mean_gap = [1.0 / calm_per_s, 1.0 / flood_per_s];
    let (mut next, mut offered, mut refused) = ([5.0_f64, 0.0], [0.0; 2], [0.0; 2]);
    let mut ends: Vec<(f64, LegId)> = vec![];
    let (mut clock, mut last) = (0.0, 0);
    while clock < 120.0 {
        let end = ends.iter().map(|(at, _)| *at).fold(f64::INFINITY, f64::min);
        let at = next[0].min(next[1]).min(end);
        now = now.after(Duration::from_secs_f64(at - clock));
        clock = at;
        work(&mut admission, now);
        if end <= at {
            let n = ends.iter().position(|(at, _)| *at == end).unwrap();
            admission.call_ended(now, ends.swap_remove(n).1);
            continue;
        }
        let who = usize::from(next[1] < next[0]);
        next[who] += dice.exponential(mean_gap[who]);
        let tenant = TenantId(who as u32 + 1);
        let verdict = admission.arrived(now, tenant, POOL).unwrap();
        let within = f64::from(u8::from(verdict.ruling.need == 0));
        offered[who] += within;
        if verdict.accepts() {
            last += 1;
            admission.call_began(now, LegId(last), tenant, POOL);
            ends.push((clock + [calm_s, flood_s][who], LegId(last)));
        } else {
            refused[who] += within;
        }
    }
    [0, 1].map(|who| refused[who] / f64::max(offered[who], 1.0))
}

#[test]
fn who_keeps_to_its_contract_is_served_from_the_first_call_on_whatever_floods() {
    for (calm, flood) in
        [((1.0, 5.0), (6.0, 5.0)), ((0.5, 5.0), (20.0, 1.0)), ((1.0, 3.0), (5.0, 10.0)), ((0.5, 8.0), (4.0, 8.0))]
    {
        let runs: Vec<[f64; 2]> = (1..=5).map(|seed| from_cold(seed, calm, flood)).collect();
        let mean = |n: usize| runs.iter().map(|run| run[n]).sum::<f64>() / runs.len() as f64;
        // It begins with no circuit left, and two or three calls go by until that is over.
        assert!(mean(0) < 0.1, "{calm:?} {flood:?}: {:.3} refused, of the flood {:.3}", mean(0), mean(1));
    }
}
