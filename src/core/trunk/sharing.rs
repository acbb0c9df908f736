//! Calls on trunks that tenants share: who is admitted, what becomes of the others, and what the record says of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use crate::base::{AgentId, CallId, Cause, FlowId, LegId, Now, TenantId, TrunkId};
use crate::core::control::ContractView;
use crate::core::journal::{AgentStatus, Change, Direction, Learned};
use crate::core::switch::{Switch, Timer};
use crate::core::tenant::directory::RefusalEntry;
use crate::core::tenant::provision::SharingMode;
use crate::core::trunk::admission::rule::{Clause, Clauses, Terms, Thresholds};
use crate::core::trunk::admission::{Contract, Mode, PoolTerms, Verdict};

/// How often what was learned is stored.
const STORED_EVERY: Duration = Duration::from_secs(900);

/// What of a call's record tells that it was admitted to a shared trunk, and why.
pub const ADMITTED: &str = "admitted";
/// What tells that it was not.
pub const NOT_ADMITTED: &str = "not-admitted";

/// The agents that count for contracts, and how often calls were not admitted.
#[derive(Default, Debug)]
pub(crate) struct Sharers {
    able: HashMap<TenantId, HashSet<AgentId>>,
    asked: BTreeMap<(TenantId, TrunkId), Asked>,
}

#[derive(Clone, Copy, Default, Debug)]
struct Asked {
    offered: u64,
    refused: u64,
    /// Calls offered up to which what was learned is stored.
    stored: u64,
}

impl Sharers {
    /// Whether the agent's new state makes another number of those who are able to take work.
    fn changed(&mut self, tenant: TenantId, agent: AgentId, able: bool) -> Option<u32> {
        let agents = self.able.entry(tenant).or_default();
        let changed = if able { agents.insert(agent) } else { agents.remove(&agent) };
        changed.then(|| u32::try_from(agents.len()).unwrap_or(u32::MAX))
    }
}

impl Switch {
    /// Contracts as provisioned, from now on. Calls in progress go on, whatever they were permitted.
    pub(crate) fn provision_admission(&mut self, now: Now) {
        let sharing = &self.provision.admission;
        self.admission.set_mode(match sharing.mode {
            SharingMode::Priced => Mode::Priced,
            SharingMode::Literal => Mode::Literal {
                clauses: Clauses::ALL,
                thresholds: Thresholds { other: sharing.likely_other, end: sharing.likely_end },
                window: Duration::from_secs(sharing.window_s.into()),
            },
        });
        let contracts: Vec<Contract> = self
            .directory
            .tenants()
            .filter_map(|tenant| {
                let of = tenant.contract.as_ref()?;
                Some(Contract {
                    id: tenant.id,
                    terms: Terms { ratio: of.ratio, after_hours: of.after_hours },
                    worth_within: of.worth_within,
                    worth_beyond: of.worth_beyond,
                    pools: of.trunks.clone(),
                })
            })
            .collect();
        let shared: HashSet<TrunkId> = contracts.iter().flat_map(|contract| &contract.pools).copied().collect();
        let pools: Vec<PoolTerms> = self
            .directory
            .trunks()
            .filter(|trunk| shared.contains(&trunk.id))
            .map(|trunk| PoolTerms {
                id: trunk.id,
                // What is kept for calls out, calls in can never have.
                trunks: trunk.group.circuits.saturating_sub(trunk.group.reserved_out),
                permitted: trunk.group.permitted,
            })
            .collect();
        self.admission.provision(now, &pools, contracts);
        let directory = &self.directory;
        self.sharers.asked.retain(|(tenant, trunk), _| directory.tenant(*tenant).is_some() && shared.contains(trunk));
        self.count_agents(now);
    }

    /// Counts the agents of all tenants anew.
    pub(crate) fn count_agents(&mut self, now: Now) {
        self.sharers.able = self.able_agents();
        let tenants: Vec<TenantId> = self.directory.tenants().map(|tenant| tenant.id).collect();
        for tenant in tenants {
            let agents = self.sharers.able.get(&tenant).map_or(0, HashSet::len);
            self.admission.agents(now, tenant, u32::try_from(agents).unwrap_or(u32::MAX));
        }
    }

    fn able_agents(&self) -> HashMap<TenantId, HashSet<AgentId>> {
        let mut able: HashMap<TenantId, HashSet<AgentId>> = HashMap::new();
        for agent in self.queue.agents().filter(|agent| counts(agent.status) && self.is_reached(agent.id)) {
            for tenant in self.tenants_of(agent.id) {
                able.entry(tenant).or_default().insert(agent.id);
            }
        }
        able
    }

    /// An agent counts for each tenant that it serves.
    fn tenants_of(&self, agent: AgentId) -> Vec<TenantId> {
        self.directory.agent(agent).map(|entry| entry.tenants().collect()).unwrap_or_default()
    }

    /// Asserts that what was counted is what there is.
    pub(crate) fn check_sharing(&self) {
        let counted = self.sharers.able.iter().filter(|(_, agents)| !agents.is_empty());
        assert_eq!(
            counted.map(|(t, a)| (*t, a.clone())).collect::<HashMap<_, _>>(),
            self.able_agents(),
            "agents who count"
        );
        for trunk in self.directory.trunks() {
            let shared =
                self.directory.tenants().any(|t| t.contract.as_ref().is_some_and(|c| c.trunks.contains(&trunk.id)));
            let held = self.admission.calls(trunk.id);
            assert!(!shared || held <= self.trunks.get(&trunk.id).map_or(0, |h| h.calls), "calls of {}", trunk.name);
        }
    }

    /// An agent's state changed, or whether it can be reached: a tenant is permitted calls by those who are signed in and able to
    /// take work, busy or idle.
    pub(crate) fn agent_counts(&mut self, now: Now, agent: AgentId) {
        let Some(status) = self.queue.agent(agent).map(|state| state.status) else { return };
        let able = counts(status) && self.is_reached(agent);
        for tenant in self.tenants_of(agent) {
            if let Some(agents) = self.sharers.changed(tenant, agent, able) {
                self.admission.agents(now, tenant, agents);
            }
        }
    }

    /// A call has come in by a trunk, for a flow: it goes on there, if the trunk takes it and its tenant may have it.
    pub(crate) fn come_in(
        &mut self,
        now: Now,
        call: CallId,
        trunk: TrunkId,
        takes_in: Result<(), Cause>,
        flow: FlowId,
    ) {
        // Asked of each call, so that rates are learned from those as well for which there is no circuit.
        let admitted = self.is_admitted(now, call, trunk, takes_in.is_ok());
        let flow = match (takes_in, admitted, self.refusal(call)) {
            (Ok(()), true, _) => flow,
            (Ok(()), false, RefusalEntry::Flow(flow)) if self.spares(call, trunk) => flow,
            (Ok(()), false, RefusalEntry::Flow(_)) => return self.refuse(now, call, Cause::NoCircuit),
            (Ok(()) | Err(Cause::NoCircuit), _, RefusalEntry::Overflow(to)) => {
                self.counters.calls_refused += u64::from(admitted);
                return self.overflow(now, call, trunk, takes_in.is_ok(), &to);
            }
            // Where there is no circuit nothing can be announced.
            (Ok(()) | Err(Cause::NoCircuit), _, RefusalEntry::End(cause)) | (Err(cause), _, _) => {
                self.counters.calls_refused += u64::from(admitted);
                return self.refuse(now, call, cause);
            }
        };
        if let Some(client) = self.calls.get(&call).map(|c| c.client) {
            self.circuit_taken(now, client);
        }
        self.start_flow(now, call, flow);
    }

    /// Whether a call that is not admitted may hold a circuit of the trunk: none that others are likely to need. It looks at all
    /// who share the trunk, so it is asked only where a circuit is to be held.
    pub(super) fn spares(&self, call: CallId, trunk: TrunkId) -> bool {
        let tenant = self.calls.get(&call).and_then(|c| c.tenant);
        tenant.is_none_or(|tenant| self.admission.spares(tenant, trunk))
    }

    /// Whether a tenant's call may come in by a trunk, or go out by it; its record says so and why. Emergency calls may, and
    /// calls on trunks that their tenants share with nobody. Where there is no `room` on the trunk, nobody's may.
    pub(crate) fn is_admitted(&mut self, now: Now, call: CallId, trunk: TrunkId, room: bool) -> bool {
        let Some((tenant, dialled)) = self.calls.get(&call).and_then(|c| Some((c.tenant?, c.cdr.to.clone()))) else {
            return true;
        };
        let Some(mut verdict) = self.admission.arrived(now, tenant, trunk) else { return true };
        if !room {
            verdict.ruling.clause = Clause::Hard;
        }
        let emergency =
            self.calls.get(&call).is_some_and(|c| c.emergency) || self.is_emergency_number(dialled.as_str());
        let accepted = verdict.accepts() || (emergency && room);
        let asked = self.sharers.asked.entry((tenant, trunk)).or_default();
        asked.offered += 1;
        asked.refused += u64::from(!accepted);
        self.counters.calls_refused += u64::from(!accepted);
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, if accepted { ADMITTED } else { NOT_ADMITTED }, told(&verdict));
        }
        accepted
    }

    /// Whether the call may go out by a trunk. One that came in was admitted already, and a way on is part of it.
    pub(crate) fn may_go_out(&mut self, now: Now, call: CallId, trunk: TrunkId) -> bool {
        let outbound = self.calls.get(&call).is_some_and(|c| c.cdr.direction == Direction::Outbound);
        !outbound || self.is_admitted(now, call, trunk, true)
    }

    /// What becomes of a call of this tenant that is not admitted.
    fn refusal(&self, call: CallId) -> RefusalEntry {
        let tenant = self.calls.get(&call).and_then(|c| self.directory.tenant(c.tenant?));
        let contract = tenant.and_then(|tenant| tenant.contract.as_ref());
        contract.map_or(RefusalEntry::End(Cause::NoCircuit), |contract| contract.refusal.clone())
    }

    /// A leg of a tenant's call has taken a circuit.
    pub(crate) fn circuit_taken(&mut self, now: Now, leg: LegId) {
        let Some((call, trunk)) = self.legs.get(&leg).and_then(|l| Some((l.call, l.trunk?.0))) else { return };
        if let Some(tenant) = self.calls.get(&call).and_then(|c| c.tenant) {
            self.admission.call_began(now, leg, tenant, trunk);
        }
    }

    /// What an earlier run had learned.
    pub fn recall(&mut self, now: Now, learned: &[Learned]) {
        for of in learned {
            let tenant = self.directory.tenant_by_name(&of.tenant).map(|tenant| tenant.id);
            let trunk = self.directory.trunk_by_name(&of.trunk).map(|trunk| trunk.id);
            if let (Some(tenant), Some(trunk)) = (tenant, trunk) {
                self.admission.recall(now, tenant, trunk, &of.memory);
            }
        }
    }

    /// Timer, or the end: what was learned since the last time becomes facts.
    pub(crate) fn store_learned(&mut self) {
        let mut facts = Vec::new();
        for ((tenant, trunk), asked) in self.sharers.asked.iter_mut().filter(|(_, asked)| asked.stored != asked.offered)
        {
            asked.stored = asked.offered;
            let names = self.directory.tenant(*tenant).zip(self.directory.trunk(*trunk));
            if let (Some((of, on)), Some(memory)) = (names, self.admission.memory(*tenant, *trunk)) {
                facts.push(Learned { tenant: of.name.clone(), trunk: on.name.clone(), memory });
            }
        }
        for learned in facts {
            self.journal(Change::Learned { learned: Box::new(learned) });
        }
    }

    /// Timer: as above, and again.
    pub(crate) fn store_learned_and_go_on(&mut self, now: Now) {
        self.store_learned();
        self.arm(now.mono + STORED_EVERY, Timer::Learned);
    }

    /// Each tenant's standing on each trunk that it shares, or those `of` one.
    pub(crate) fn contract_views(&self, now: Now, of: Option<&str>) -> Vec<ContractView> {
        let mut views = Vec::new();
        for tenant in self.directory.tenants().filter(|tenant| of.is_none_or(|of| of == tenant.name)) {
            for trunk in tenant.contract.iter().flat_map(|contract| &contract.trunks) {
                let Some(name) = self.directory.trunk(*trunk).map(|trunk| trunk.name.clone()) else { continue };
                let Some(verdict) = self.admission.decide(now, tenant.id, *trunk) else { continue };
                let Asked { offered, refused, .. } =
                    self.sharers.asked.get(&(tenant.id, *trunk)).copied().unwrap_or_default();
                let (worth, price) = verdict.priced.unzip();
                // What there is none of has no price.
                let price = price.filter(|_| verdict.ruling.clause != Clause::Hard);
                views.push(ContractView {
                    tenant: tenant.name.clone(),
                    trunk: name,
                    agents: verdict.facts.agents,
                    permitted: verdict.ruling.permitted,
                    calls: verdict.facts.calls,
                    trunk_calls: Some(verdict.facts.pool.calls),
                    trunk_circuits: Some(verdict.facts.pool.trunks.unwrap_or(0)),
                    accepts: Some(verdict.accepts()),
                    worth,
                    price,
                    offered,
                    refused,
                });
            }
        }
        views
    }
}

/// Whether an agent in this state permits its tenant calls: signed in and able to take work, busy or idle.
fn counts(status: AgentStatus) -> bool {
    matches!(status, AgentStatus::Ready | AgentStatus::Busy | AgentStatus::WrapUp)
}

/// What a decision says of the call and its own tenant: calls, permitted number and agents. Neither the clause, which tells
/// whether the pool was short and others were likely to call, nor the trunk, on which their calls show.
pub(crate) fn own_part(told: &str) -> &str {
    let own = told.split_once(CLAUSE_ENDS).and_then(|(_, rest)| rest.split_once(ON_TRUNK));
    own.map_or("", |(own, _)| own)
}

/// Where a decision's line has said the clause.
const CLAUSE_ENDS: &str = ": ";

/// Where a decision's line comes to the trunk.
const ON_TRUNK: &str = ", trunk ";

/// A decision in a line: the clause, and all that it was made of.
pub(crate) fn told(verdict: &Verdict) -> String {
    use std::fmt::Write as _;
    let (ruling, facts) = (&verdict.ruling, &verdict.facts);
    let mut text = format!(
        "{}{CLAUSE_ENDS}call {} of {} permitted to {} agents{ON_TRUNK}{} of {} in use",
        ruling.clause,
        facts.calls + 1,
        ruling.permitted,
        facts.agents,
        facts.pool.calls,
        facts.pool.trunks.unwrap_or(0)
    );
    // Writing to a text does not fail.
    let full = ruling.clause == Clause::Hard;
    if let Some((worth, price)) = verdict.priced.filter(|_| !full) {
        let _ = write!(text, ", worth {worth:.3}, price {price:.3}");
    }
    if full {
        text += ", no circuit is free";
    }
    if let Some(chance) = verdict.p_end {
        let _ = write!(text, ", {} to end with chance {chance:.3}", ruling.need);
    }
    if let Some(chance) = verdict.p_other {
        let _ = write!(text, ", others to call with chance {chance:.3}");
    }
    text
}
