//! `trunks` scenarios: tenants whose calls share a pool of trunks, on the admission that decides live calls.
//!
//! Worth is earned while calls last: each trunk earns its tenant's `worth_within` in a mean talk time, those beyond the permitted
//! number `worth_beyond`. A run is cut into batches; its first hour, in which the pool fills and estimates settle, counts for
//! nothing.

mod file;
mod measured;
pub mod plan;
pub mod plot;
#[cfg(test)]
mod tests;

pub use file::{Bursts, Tenant, Trunks, is_trunks};
pub use measured::{Batch, Measured, OfTenant};

use std::fmt;
use std::str::FromStr;

use super::agenda::{Agenda, now, seconds};
use super::random::{Law, Random};
use crate::base::{Instant, LegId, TenantId, TrunkId};
use crate::core::trunk::admission::rule::{Clause, Clauses};
use crate::core::trunk::admission::{Admission, Contract, Mode, PoolTerms};

/// What is not measured at the begin of a run, in seconds.
pub const WARM_UP_S: f64 = 3_600.0;
/// Batches of a run.
const BATCHES: u32 = 25;

/// How calls are admitted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub enum Admitted {
    /// By worth and price.
    #[default]
    Priced,
    /// Clauses 33 to 35 to the letter.
    Literal,
    /// Clause 33 alone: each tenant up to its permitted number.
    Permitted,
    /// Whoever comes while there is a trunk.
    Sharing,
    /// To each tenant its part of the pool, by permitted numbers.
    Partition,
}

impl Admitted {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Priced, Self::Literal, Self::Permitted, Self::Sharing, Self::Partition];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Priced => "priced",
            Self::Literal => "literal",
            Self::Permitted => "33",
            Self::Sharing => "sharing",
            Self::Partition => "partition",
        }
    }

    fn mode(self) -> Mode {
        let none = Clauses { permitted: false, short: false, ending: false };
        match self {
            Self::Priced => Mode::Priced,
            Self::Literal => Mode::literal(),
            Self::Permitted => Mode::with(Clauses { permitted: true, ..none }),
            Self::Sharing | Self::Partition => Mode::with(none),
        }
    }
}

impl fmt::Display for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Admitted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        known.ok_or_else(|| "expected priced, literal, 33, sharing or partition".to_owned())
    }
}

/// What admission knows of calls.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Rates {
    /// What it learns while they come.
    #[default]
    Estimated,
    /// Their true mean rate and talk time.
    True,
}

impl FromStr for Rates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "estimated" => Ok(Self::Estimated),
            "true" => Ok(Self::True),
            _ => Err("expected estimated or true".to_owned()),
        }
    }
}

#[derive(Debug)]
enum Event {
    Arrival {
        tenant: usize,
    },
    End {
        call: u64,
        tenant: usize,
    },
    /// A burst begins or ends.
    Switch {
        tenant: usize,
    },
}

/// How one tenant's calls come, and what it has.
struct Caller {
    law: Law,
    rate: f64,
    bursts: Option<Bursts>,
    bursting: bool,
    /// Arrivals before this time belong to a rate that no longer holds.
    generation: Instant,
    next: Instant,
    permitted: u64,
    calls: u64,
    /// What it earns a second.
    earns: f64,
    random: Random,
}

impl Caller {
    /// Calls a second now.
    fn rate_now(&self) -> f64 {
        match &self.bursts {
            Some(bursts) if self.bursting => self.rate * bursts.factor,
            Some(bursts) => self.rate * bursts.quiet().max(0.0),
            None => self.rate,
        }
    }

    /// Draws when the next call comes, the rate being what it is from now on.
    fn draw_next(&mut self, at: Instant) -> Option<Instant> {
        self.generation = at;
        let rate = self.rate_now();
        self.next = at;
        (rate > 0.0).then(|| {
            self.next = at + seconds(self.random.exponential(rate.recip()));
            self.next
        })
    }
}

struct Run<'s> {
    scenario: &'s Trunks,
    admission: Admission,
    agenda: Agenda<Event>,
    callers: Vec<Caller>,
    /// The pool of each tenant.
    pools: Vec<TrunkId>,
    call_last: u64,
    earned_until: Instant,
    batches: Vec<Batch>,
    batch: Batch,
}

/// Runs a scenario once.
pub fn run(
    scenario: &Trunks,
    admitted: Admitted,
    rates: Rates,
    seed: u64,
    mut progress: impl FnMut(usize),
) -> Vec<Batch> {
    let mut run = Run::new(scenario, admitted, rates, seed);
    let length = scenario.hours * 3_600.0 / f64::from(BATCHES);
    let mut offered = 0;
    run.until(Instant::ZERO + seconds(WARM_UP_S));
    run.batch = Batch::new(scenario.tenants.len());
    for n in 1..=BATCHES {
        run.until(Instant::ZERO + seconds(WARM_UP_S + f64::from(n) * length));
        let mut batch = std::mem::replace(&mut run.batch, Batch::new(scenario.tenants.len()));
        batch.seconds = length;
        offered += batch.tenants.iter().map(|of| of.offered as usize).sum::<usize>();
        run.batches.push(batch);
        progress(offered);
    }
    run.batches
}

impl<'s> Run<'s> {
    fn new(scenario: &'s Trunks, admitted: Admitted, rates: Rates, seed: u64) -> Self {
        let mut admission = Admission::new(admitted.mode());
        let count = scenario.tenants.len();
        let id = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (terms, pools): (Vec<PoolTerms>, Vec<TrunkId>) = if admitted == Admitted::Partition {
            let part = |(n, trunks)| PoolTerms { id: TrunkId(id(n)), trunks, permitted: None };
            (scenario.parts().into_iter().enumerate().map(part).collect(), (0..count).map(|n| TrunkId(id(n))).collect())
        } else {
            let permitted = Some(scenario.pool_permitted.unwrap_or(scenario.trunks));
            (vec![PoolTerms { id: TrunkId(0), trunks: scenario.trunks, permitted }], vec![TrunkId(0); count])
        };
        let contract = |(n, (tenant, pool)): (usize, (&Tenant, &TrunkId))| Contract {
            id: TenantId(id(n)),
            terms: tenant.terms(),
            worth_within: tenant.worth_within,
            worth_beyond: tenant.worth_beyond,
            pools: vec![*pool],
        };
        let start = now(Instant::ZERO);
        admission.provision(start, &terms, scenario.tenants.iter().zip(&pools).enumerate().map(contract).collect());
        let mut seeds = Random::new(seed);
        let mut callers = vec![];
        for (n, tenant) in scenario.tenants.iter().enumerate() {
            let (law, rate) = (tenant.talk.law(), tenant.calls_per_hour / 3_600.0);
            // A checked scenario has a law.
            let law = law.unwrap_or(Law::Exponential { mean_s: 1.0 });
            admission.agents(start, TenantId(id(n)), tenant.agents);
            if rates == Rates::True {
                admission.fix(start, TenantId(id(n)), pools[n], rate, law.mean_s());
            }
            let mut random = Random::new(seeds.bits());
            let bursts = scenario.bursts(tenant);
            let bursting = bursts.is_some_and(|bursts| random.unit() < bursts.share());
            callers.push(Caller {
                law,
                rate,
                bursts,
                bursting,
                generation: Instant::ZERO,
                next: Instant::ZERO,
                permitted: tenant.permitted(),
                calls: 0,
                earns: 0.0,
                random,
            });
        }
        let batch = Batch::new(count);
        let mut run = Self {
            scenario,
            admission,
            agenda: Agenda::new(),
            callers,
            pools,
            call_last: 0,
            earned_until: Instant::ZERO,
            batches: vec![],
            batch,
        };
        for tenant in 0..count {
            run.next_arrival(Instant::ZERO, tenant);
            run.next_switch(Instant::ZERO, tenant);
        }
        run
    }

    fn next_arrival(&mut self, at: Instant, tenant: usize) {
        if let Some(next) = self.callers[tenant].draw_next(at) {
            self.agenda.enter(next, Event::Arrival { tenant });
        }
    }

    fn next_switch(&mut self, at: Instant, tenant: usize) {
        let caller = &mut self.callers[tenant];
        if let Some(bursts) = caller.bursts {
            let mean_s = if caller.bursting { bursts.on_s } else { bursts.off_s };
            self.agenda.enter(at + seconds(caller.random.exponential(mean_s)), Event::Switch { tenant });
        }
    }

    /// Runs up to a time.
    fn until(&mut self, end: Instant) {
        while self.agenda.next().is_some_and(|next| next <= end) {
            let Some((at, event)) = self.agenda.pop() else { break };
            self.earn(at);
            while self.admission.poll_timeout().is_some_and(|due| due <= at) {
                self.admission.handle_timeout(now(at));
            }
            match event {
                Event::Arrival { tenant } if self.callers[tenant].next == at => self.arrive(at, tenant),
                // It was drawn for a rate that ended before it came.
                Event::Arrival { .. } => {}
                Event::End { call, tenant } => {
                    self.admission.call_ended(now(at), LegId(call));
                    self.callers[tenant].calls -= 1;
                    self.count(tenant);
                }
                Event::Switch { tenant } => {
                    self.callers[tenant].bursting ^= true;
                    self.next_arrival(at, tenant);
                    self.next_switch(at, tenant);
                }
            }
        }
        self.earn(end);
    }

    fn arrive(&mut self, at: Instant, tenant: usize) {
        let (id, pool) = (TenantId(u32::try_from(tenant).unwrap_or(u32::MAX)), self.pools[tenant]);
        let caller = &mut self.callers[tenant];
        let talk_s = caller.law.draw(&mut caller.random);
        let verdict = self.admission.arrived(now(at), id, pool);
        let of = &mut self.batch.tenants[tenant];
        of.offered += 1.0;
        of.talk_s += talk_s;
        match verdict {
            Some(verdict) if verdict.accepts() => {
                self.call_last += 1;
                self.admission.call_began(now(at), LegId(self.call_last), id, pool);
                self.agenda.enter(at + seconds(talk_s), Event::End { call: self.call_last, tenant });
                self.callers[tenant].calls += 1;
                self.count(tenant);
            }
            verdict => {
                of.blocked += 1.0;
                let within = self.callers[tenant].calls < self.callers[tenant].permitted;
                if within && verdict.is_none_or(|verdict| verdict.ruling.clause != Clause::Beyond) {
                    of.blocked_within += 1.0;
                }
            }
        }
        self.next_arrival(at, tenant);
    }

    /// A tenant's calls have changed: it earns otherwise from now on.
    fn count(&mut self, tenant: usize) {
        let (of, caller) = (&self.scenario.tenants[tenant], &mut self.callers[tenant]);
        let within = caller.calls.min(caller.permitted);
        let worth = of.worth_within * within as f64 + of.worth_beyond * (caller.calls - within) as f64;
        caller.earns = worth / caller.law.mean_s();
    }

    /// What was earned since the last time.
    fn earn(&mut self, at: Instant) {
        let passed_s = at.since(self.earned_until).as_secs_f64();
        self.earned_until = at;
        self.batch.worth += passed_s * self.callers.iter().map(|caller| caller.earns).sum::<f64>();
    }
}
