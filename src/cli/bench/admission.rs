//! What a decision at shared trunks costs: a pool with so many tenants and trunks, nearly full, and the time of each decision.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::base::{LegId, Now, TenantId, TrunkId};
use crate::core::trunk::admission::rule::Terms;
use crate::core::trunk::admission::{Admission, Contract, Decimal, Mode, PoolTerms};

const POOL: TrunkId = TrunkId(1);
/// Mean talk time, in seconds.
const TALK_S: f64 = 180.0;

/// A pool under a load a tenth above its size. Tenants are of unequal size and worth.
pub struct Pool {
    admission: Admission,
    now: Now,
    trunks: u32,
    tenants: u32,
    calls: VecDeque<LegId>,
    call_last: u64,
    dice: u64,
}

impl Pool {
    /// A pool with its prices worked out.
    pub fn new(tenants: u32, trunks: u32, mode: Mode) -> Self {
        let mut admission = Admission::new(mode);
        let now = Now::default();
        let contract = |id| Contract {
            id: TenantId(id),
            terms: Terms { ratio: Decimal::whole(1), after_hours: 1 + trunks / tenants / 2 },
            worth_within: f64::from(1 + id % 5),
            worth_beyond: 0.2 * f64::from(1 + id % 7),
            pools: vec![POOL],
        };
        let permitted = Some(trunks - trunks / 50);
        admission.provision(now, &[PoolTerms { id: POOL, trunks, permitted }], (0..tenants).map(contract).collect());
        (0..tenants).for_each(|id| admission.agents(now, TenantId(id), trunks / tenants / 2));
        let mut pool = Self { admission, now, trunks, tenants, calls: VecDeque::new(), call_last: 0, dice: 1 };
        // An hour of calls: what is learned is learned of these.
        for _ in 0..(1.1 * 3_600.0 / TALK_S * f64::from(trunks)).min(1e6) as usize {
            pool.turn();
            pool.work();
        }
        pool
    }

    /// A call comes, as often as the load has it; those who have talked long enough end. Gives the time of the decision.
    pub fn turn(&mut self) -> Duration {
        self.now = self.now.after(Duration::from_secs_f64(TALK_S / (1.1 * f64::from(self.trunks))));
        if self.calls.len() * 100 > self.trunks as usize * 98
            && let Some(call) = self.calls.pop_front()
        {
            self.admission.call_ended(self.now, call);
        }
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let tenant = TenantId(u32::try_from((self.dice >> 33) % u64::from(self.tenants)).unwrap_or(0));
        let began = Instant::now();
        let verdict = self.admission.arrived(self.now, tenant, POOL);
        let took = began.elapsed();
        if verdict.is_some_and(|verdict| verdict.accepts()) {
            self.call_last += 1;
            self.admission.call_began(self.now, LegId(self.call_last), tenant, POOL);
            self.calls.push_back(LegId(self.call_last));
        }
        took
    }

    /// Does what is due of keeping prices true; gives the time of each step.
    pub fn work(&mut self) -> Vec<Duration> {
        let mut steps = vec![];
        while self.admission.poll_timeout().is_some_and(|due| due <= self.now.mono) {
            let began = Instant::now();
            self.admission.handle_timeout(self.now);
            steps.push(began.elapsed());
        }
        steps
    }
}
