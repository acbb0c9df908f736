//! The admission of one appliance: its pools, their tenants, the calls in progress, what was learned, and the prices of now.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Decimal;
use super::estimate::Memory;
use super::likely;
use super::price::{Share, Step, Work};
use super::rule::{Clause, Clauses, Facts, PoolFacts, Ruling, Terms, Thresholds, decide};
use crate::base::{Instant, LegId, Now, TenantId, TrunkId};

/// For how long ahead calls are foretold, by default.
const WINDOW: Duration = Duration::from_secs(30);

/// So many standard deviations of Poisson calls beyond their mean are kept for those who were not refused.
const KEPT_DEVIATIONS: f64 = 3.0;

/// How calls are admitted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Mode {
    /// By worth and price.
    Priced,
    /// By the letter of the clauses.
    Literal {
        /// Those that hold.
        clauses: Clauses,
        /// What counts as likely.
        thresholds: Thresholds,
        /// How far ahead: within this time calls end, and others come.
        window: Duration,
    },
}

impl Mode {
    /// All clauses to the letter, with the usual thresholds and window.
    pub fn literal() -> Self {
        Self::with(Clauses::ALL)
    }

    /// Some of the clauses to the letter.
    pub fn with(clauses: Clauses) -> Self {
        Self::Literal { clauses, thresholds: Thresholds::default(), window: WINDOW }
    }
}

/// A trunk group that tenants share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolTerms {
    /// Which.
    pub id: TrunkId,
    /// Circuits that there are.
    pub trunks: u32,
    /// Calls up to which it is not short (clause 34, to the letter); none for no such test.
    pub permitted: Option<u32>,
}

/// A tenant's contract.
#[derive(Clone, PartialEq, Debug)]
pub struct Contract {
    /// Whose.
    pub id: TenantId,
    /// What it is permitted.
    pub terms: Terms,
    /// What a call within that is worth.
    pub worth_within: f64,
    /// What a call beyond it is worth.
    pub worth_beyond: f64,
    /// The pools that its calls may use.
    pub pools: Vec<TrunkId>,
}

/// A decision with all that it was made of.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Verdict {
    /// The clause, the permitted number, and what is lacking.
    pub ruling: Ruling,
    /// What was counted.
    pub facts: Facts,
    /// What the call is worth, and what a trunk costs now; of decisions by price.
    pub priced: Option<(f64, f64)>,
    /// The chance that enough calls end, where it was asked for.
    pub p_end: Option<f64>,
    /// The chance that another entitled tenant has a call, where it was asked for.
    pub p_other: Option<f64>,
}

impl Verdict {
    /// Whether the call is accepted.
    pub fn accepts(&self) -> bool {
        self.ruling.clause.accepts()
    }
}

#[derive(Debug)]
pub(super) struct Tenant {
    contract: Contract,
    agents: u32,
    permitted: u64,
    /// Its calls in progress: where, and since when.
    calls: BTreeMap<LegId, (TrunkId, Instant)>,
    /// Of these, the calls on trunks of its contract: what is permitted is meant of them.
    counted: u64,
}

impl Tenant {
    fn new(contract: Contract, agents: u32, calls: BTreeMap<LegId, (TrunkId, Instant)>) -> Self {
        let permitted = contract.terms.permitted(agents);
        let mut tenant = Self { contract, agents, permitted, calls, counted: 0 };
        tenant.counted = tenant.counted().count() as u64;
        tenant
    }

    /// Since when its calls on trunks of its contract are.
    fn counted(&self) -> impl Iterator<Item = Instant> {
        let pools = &self.contract.pools;
        self.calls.values().filter(|(pool, _)| pools.contains(pool)).map(|(_, began)| *began)
    }

    /// One whose calls take trunks of pools all the same, until there is none.
    fn without_contract(id: TenantId) -> Self {
        let terms = Terms { ratio: Decimal::whole(0), after_hours: 0 };
        let contract = Contract { id, terms, worth_within: 0.0, worth_beyond: 0.0, pools: Vec::new() };
        Self::new(contract, 0, BTreeMap::new())
    }
}

#[derive(Debug)]
struct Pool {
    terms: PoolTerms,
    calls: u64,
    /// Of all who share it.
    work: Work,
    /// Calls a second of those who are below their permitted number.
    entitled: f64,
}

/// Admission of calls to shared trunks.
///
/// `decide` reads tables and takes microseconds; what it reads is kept true by `handle_timeout`, a bounded piece of work at a time,
/// to be called whenever `poll_timeout` has come.
#[derive(Debug)]
pub struct Admission {
    mode: Mode,
    pools: BTreeMap<TrunkId, Pool>,
    tenants: BTreeMap<TenantId, Tenant>,
    shares: BTreeMap<(TrunkId, TenantId), Share>,
    owners: BTreeMap<LegId, TenantId>,
}

impl Admission {
    /// Without pools and tenants.
    pub fn new(mode: Mode) -> Self {
        let (pools, tenants) = (BTreeMap::new(), BTreeMap::new());
        Self { mode, pools, tenants, shares: BTreeMap::new(), owners: BTreeMap::new() }
    }

    /// Another way of admission, from now on.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Pools and contracts as they are from now on. Calls in progress stay, and so does what was learned of tenants who stay;
    /// agents of a new tenant are to be told by [`agents`](Self::agents).
    pub fn provision(&mut self, now: Now, pools: &[PoolTerms], contracts: Vec<Contract>) {
        let mut tenants = BTreeMap::new();
        for contract in contracts {
            let known = self.tenants.remove(&contract.id);
            let (agents, calls) = known.map_or((0, BTreeMap::new()), |tenant| (tenant.agents, tenant.calls));
            tenants.insert(contract.id, Tenant::new(contract, agents, calls));
        }
        // Calls of a tenant who is gone keep their trunks until they end.
        let gone: Vec<(TenantId, Tenant)> =
            std::mem::take(&mut self.tenants).into_iter().filter(|(_, tenant)| !tenant.calls.is_empty()).collect();
        for (id, mut tenant) in gone {
            (tenant.contract.pools, tenant.counted) = (Vec::new(), 0);
            tenants.insert(id, tenant);
        }
        self.tenants = tenants;
        self.share_pools(now, pools);
        for (&id, tenant) in &self.tenants {
            for (pool, _) in tenant.calls.values() {
                self.pools.entry(*pool).and_modify(|of| of.calls += 1);
                self.shares.entry((*pool, id)).and_modify(|share| share.calls += 1);
            }
        }
        let ids: Vec<TenantId> = self.tenants.keys().copied().collect();
        for id in ids {
            self.terms_changed(now, id);
        }
    }

    /// Pools with nobody's calls yet. Prices stay where a pool has the trunks and the tenants that they were worked out for.
    fn share_pools(&mut self, now: Now, pools: &[PoolTerms]) {
        let mut works: BTreeMap<TrunkId, (u32, Work)> = std::mem::take(&mut self.pools)
            .into_iter()
            .map(|(id, pool)| (id, (pool.terms.trunks, pool.work)))
            .collect();
        let mut known = std::mem::take(&mut self.shares);
        let before: BTreeSet<(TrunkId, TenantId)> = known.keys().copied().collect();
        for (id, tenant) in &self.tenants {
            for pool in tenant.contract.pools.iter().filter(|id| pools.iter().any(|pool| pool.id == **id)) {
                let key = (*pool, *id);
                let mut share = known.remove(&key).unwrap_or_else(|| Share::new(now, tenant.permitted));
                (share.calls, share.entitled) = (0, 0.0);
                self.shares.insert(key, share);
            }
        }
        for terms in pools {
            let same_trunks = works.remove(&terms.id).filter(|(trunks, _)| *trunks == terms.trunks);
            let sharing = self.shares.range(of_pool(terms.id)).map(|(key, _)| key);
            let kept = same_trunks.filter(|_| before.range(of_pool(terms.id)).eq(sharing));
            if kept.is_none() {
                self.shares.range_mut(of_pool(terms.id)).for_each(|(_, share)| share.forget_prices());
            }
            let work = kept.map_or_else(|| Work::new(now.mono), |(_, work)| work);
            self.pools.insert(terms.id, Pool { terms: *terms, calls: 0, work, entitled: 0.0 });
        }
    }

    /// So many of the tenant's agents are signed in and able to take work, busy or idle.
    pub fn agents(&mut self, now: Now, tenant: TenantId, agents: u32) {
        if let Some(of) = self.tenants.get_mut(&tenant) {
            of.agents = agents;
        }
        self.terms_changed(now, tenant);
    }

    fn terms_changed(&mut self, now: Now, id: TenantId) {
        let Some(tenant) = self.tenants.get_mut(&id) else { return };
        tenant.permitted = tenant.contract.terms.permitted(tenant.agents);
        let contract = &tenant.contract;
        for pool in &contract.pools {
            if let Some(share) = self.shares.get_mut(&(*pool, id)) {
                share.terms(tenant.permitted, contract.worth_within, contract.worth_beyond);
                self.pools.entry(*pool).and_modify(|of| of.work.hasten(now.mono));
            }
        }
        self.entitle(id);
    }

    /// Whether a tenant below its permitted number has calls to expect, in all of its pools.
    fn entitle(&mut self, id: TenantId) {
        let Some(tenant) = self.tenants.get(&id) else { return };
        let below = tenant.counted < tenant.permitted;
        for pool in &tenant.contract.pools {
            let (Some(share), Some(of)) = (self.shares.get_mut(&(*pool, id)), self.pools.get_mut(pool)) else {
                continue;
            };
            let rate = if below { share.demand.rate } else { 0.0 };
            of.entitled = (of.entitled + rate - share.entitled).max(0.0);
            share.entitled = rate;
        }
    }

    /// A call has come for a pool, accepted or not: rates are learned from it. Then what is decided of it.
    pub fn arrived(&mut self, now: Now, tenant: TenantId, pool: TrunkId) -> Option<Verdict> {
        let share = self.shares.get_mut(&(pool, tenant))?;
        share.rate.pass(now, true);
        if share.rises() {
            self.pools.entry(pool).and_modify(|of| of.work.hurry(now.mono));
        }
        self.decide(now, tenant, pool)
    }

    /// What would be decided of a call of this tenant in this pool. None where the tenant does not share the pool.
    pub fn decide(&self, now: Now, tenant: TenantId, pool: TrunkId) -> Option<Verdict> {
        let (of, group, share) =
            (self.tenants.get(&tenant)?, self.pools.get(&pool)?, self.shares.get(&(pool, tenant))?);
        let facts = Facts {
            terms: of.contract.terms,
            agents: of.agents,
            calls: of.counted,
            pool: PoolFacts {
                calls: group.calls,
                trunks: Some(u64::from(group.terms.trunks)),
                permitted: group.terms.permitted.map(u64::from),
            },
        };
        let verdict = match self.mode {
            Mode::Priced => priced(facts, of.permitted, group, share),
            Mode::Literal { clauses, thresholds, window } => {
                let (mut p_end, mut p_other) = (None, None);
                let window_s = window.as_secs_f64();
                let ruling = decide(
                    &facts,
                    clauses,
                    thresholds,
                    |need| *p_end.insert(of.ends_at_least(now.mono, need, share, window_s)),
                    || *p_other.insert(likely::comes_within(window_s, (group.entitled - share.entitled).max(0.0))),
                );
                Verdict { ruling, facts, priced: None, p_end, p_other }
            }
        };
        Some(verdict)
    }

    /// A call has taken a trunk of a pool, whether it was asked for here or not, and whether its tenant has a contract or not.
    pub fn call_began(&mut self, now: Now, leg: LegId, tenant: TenantId, pool: TrunkId) {
        let of = self.tenants.entry(tenant).or_insert_with(|| Tenant::without_contract(tenant));
        if self.owners.insert(leg, tenant).is_some() || of.calls.insert(leg, (pool, now.mono)).is_some() {
            return;
        }
        of.counted += u64::from(of.contract.pools.contains(&pool));
        self.pools.entry(pool).and_modify(|of| of.calls += 1);
        self.shares.entry((pool, tenant)).and_modify(|share| share.calls += 1);
        self.entitle(tenant);
    }

    /// A call has given its trunk back.
    pub fn call_ended(&mut self, now: Now, leg: LegId) {
        let Some(owner) = self.owners.remove(&leg) else { return };
        let Some(of) = self.tenants.get_mut(&owner) else { return };
        let Some((pool, began)) = of.calls.remove(&leg) else { return };
        of.counted -= u64::from(of.contract.pools.contains(&pool));
        self.pools.entry(pool).and_modify(|of| of.calls -= 1);
        if let Some(share) = self.shares.get_mut(&(pool, owner)) {
            share.calls -= 1;
            share.talk.learn(now, now.mono.since(began));
        }
        self.entitle(owner);
    }

    /// Calls in progress of a pool.
    pub fn calls(&self, pool: TrunkId) -> u64 {
        self.pools.get(&pool).map_or(0, |of| of.calls)
    }

    /// Whether a trunk of the pool is left for a call of the tenant that was not admitted, to be told so or led on: what the
    /// others are likely to need of what they are permitted is kept for them.
    pub fn spares(&self, tenant: TenantId, pool: TrunkId) -> bool {
        let Some(group) = self.pools.get(&pool) else { return true };
        let others = self.shares.range(of_pool(pool)).filter(|((_, id), _)| *id != tenant);
        let kept = others.map(|((_, id), share)| {
            let load = share.rate.rate() * share.talk.mean_s();
            let likely = (load + KEPT_DEVIATIONS * load.sqrt()).ceil().clamp(0.0, 1e9) as u64;
            likely.min(self.tenants.get(id).map_or(0, |of| of.permitted)).saturating_sub(share.calls)
        });
        u64::from(group.terms.trunks).saturating_sub(group.calls) > kept.sum::<u64>()
    }

    /// The tenant's permitted number now, and its calls in progress on trunks of its contract.
    pub fn standing(&self, tenant: TenantId) -> Option<(u64, u64)> {
        self.tenants.get(&tenant).map(|of| (of.permitted, of.counted))
    }

    /// What a tenant's calls in a pool are taken for: calls a second, and their mean length in seconds.
    pub fn learned(&self, tenant: TenantId, pool: TrunkId) -> Option<(f64, f64)> {
        self.shares.get(&(pool, tenant)).map(|share| (share.rate.rate(), share.talk.mean_s()))
    }

    /// What was learned of a tenant in a pool, to be kept.
    pub fn memory(&self, tenant: TenantId, pool: TrunkId) -> Option<Memory> {
        self.shares.get(&(pool, tenant)).map(|share| Memory::of(&share.rate, &share.talk))
    }

    /// What was learned before a restart. Memories of who is no longer there, or that are none, are passed over.
    pub fn recall(&mut self, now: Now, tenant: TenantId, pool: TrunkId, memory: &Memory) {
        let Some(share) = self.shares.get_mut(&(pool, tenant)) else { return };
        if let Some((rate, talk)) = memory.recall(now, share.rate.rate()) {
            (share.rate, share.talk) = (rate, talk);
            self.pools.entry(pool).and_modify(|of| of.work.hasten(now.mono));
        }
    }

    /// Fixes rate and mean talk time of a tenant in a pool: as known, not learned. For simulation against what is true.
    pub fn fix(&mut self, now: Now, tenant: TenantId, pool: TrunkId, rate: f64, mean_s: f64) {
        if let Some(share) = self.shares.get_mut(&(pool, tenant)) {
            share.fixed = Some((rate, mean_s));
            self.pools.entry(pool).and_modify(|of| of.work.hasten(now.mono));
        }
    }

    /// When there is something to work out.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.pools.values().map(|pool| pool.work.due()).min()
    }

    /// Does a bounded piece of the work of one pool that is due, if there is any: to be called again until `poll_timeout` lies
    /// ahead.
    pub fn handle_timeout(&mut self, now: Now) {
        let Some((&id, pool)) = self.pools.iter_mut().find(|(_, pool)| pool.work.due() <= now.mono) else { return };
        let mut shares: Vec<(TenantId, &mut Share)> =
            self.shares.range_mut(of_pool(id)).map(|((_, tenant), share)| (*tenant, share)).collect();
        let step = pool.work.step(now, self.mode == Mode::Priced, pool.terms.trunks as usize, &mut shares);
        if step == Step::Looked {
            pool.entitled = 0.0;
            let ids: Vec<TenantId> = shares
                .iter_mut()
                .map(|(tenant, share)| {
                    share.entitled = 0.0;
                    *tenant
                })
                .collect();
            ids.into_iter().for_each(|tenant| self.entitle(tenant));
        }
    }

    /// That all counts agree.
    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        for (id, pool) in &self.pools {
            let held = self.tenants.values().flat_map(|of| of.calls.values()).filter(|(at, _)| at == id).count() as u64;
            assert_eq!(pool.calls, held, "calls of {id}");
            let entitled: f64 =
                self.shares.iter().filter(|((at, _), _)| at == id).map(|(_, share)| share.entitled).sum();
            assert!((pool.entitled - entitled).abs() < 1e-6, "{id}: {} and {entitled}", pool.entitled);
        }
        for ((pool, tenant), share) in &self.shares {
            let held = self.tenants[tenant].calls.values().filter(|(at, _)| at == pool).count() as u64;
            assert_eq!(share.calls, held, "calls of {tenant} in {pool}");
        }
        for (id, of) in &self.tenants {
            assert_eq!(of.counted, of.counted().count() as u64, "calls of {id} that its contract is of");
        }
        assert_eq!(self.owners.len(), self.tenants.values().map(|of| of.calls.len()).sum::<usize>());
    }
}

impl Tenant {
    /// The chance that at least so many of its calls end within the window.
    fn ends_at_least(&self, now: Instant, need: u64, share: &Share, window_s: f64) -> f64 {
        let law = share.talk.law();
        let chance = |began| law.ends_within(now.since(began).as_secs_f64(), window_s);
        let chances: Vec<f64> = self.counted().map(chance).collect();
        likely::at_least(need, &chances)
    }
}

/// All shares of a pool.
fn of_pool(id: TrunkId) -> RangeInclusive<(TrunkId, TenantId)> {
    (id, TenantId(0))..=(id, TenantId(u32::MAX))
}

/// By worth and price: the clauses in a currency. Within the permitted number a call that is refused yields to others (34c);
/// beyond it one that is accepted is worth it (35d).
fn priced(facts: Facts, permitted: u64, pool: &Pool, share: &Share) -> Verdict {
    let need = (facts.calls + 1).saturating_sub(permitted);
    let (worth, price) = share.worth_and_price(facts.calls, pool.calls, pool.work.prices());
    let clause = match (pool.calls >= u64::from(pool.terms.trunks), worth >= price, need) {
        (true, ..) => Clause::Hard,
        (_, true, 0) => Clause::Within,
        (_, true, _) => Clause::Ending,
        (_, false, 0) => Clause::Short,
        (_, false, _) => Clause::Unlikely,
    };
    Verdict {
        ruling: Ruling { clause, permitted, need },
        facts,
        priced: Some((worth, price)),
        p_end: None,
        p_other: None,
    }
}
