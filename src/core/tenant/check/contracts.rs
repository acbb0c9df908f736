//! Trunks as groups of circuits, and the contracts of those who share them.

use std::collections::{BTreeMap, HashSet};

use super::Checker;
use crate::core::hours::Hours;
use crate::core::tenant::address;
use crate::core::tenant::directory::capacity;
use crate::core::tenant::provision::{CallerId, Contract, Hunt, Refusal, Tenant, Trunk};
use crate::core::trunk::admission::Decimal;
use crate::core::trunk::overflow::Overflow;

/// Most calls that a trunk may be allowed.
pub(super) const CALLS_MAX: u32 = 100_000;
/// Most tariffs of a trunk.
const TARIFFS_MAX: usize = 100;
/// Most circuits for each agent.
const RATIO_MAX: u32 = 1_000;
/// Highest worth of a call.
const WORTH_MAX: f64 = 1e6;
/// Longest look ahead, in seconds.
const WINDOW_S_MAX: u32 = 3_600;

impl Checker<'_> {
    pub(super) fn admission(&mut self) {
        let sharing = &self.provision.admission;
        self.enter_single("admission");
        self.in_range("likely_other", sharing.likely_other, 0.0..=1.0);
        self.in_range("likely_end", sharing.likely_end, 0.0..=1.0);
        self.in_range("window_s", sharing.window_s, 1..=WINDOW_S_MAX);
    }

    /// How a trunk's circuits are shared.
    pub(super) fn group(&mut self, trunk: &Trunk) {
        self.never_or_in_range("calls_max", trunk.calls_max, 1..=CALLS_MAX);
        let circuits = capacity(self.provision, trunk);
        for (field, value) in [("reserved_out", trunk.reserved_out), ("permitted", trunk.permitted)] {
            if value > circuits {
                let what = format!("`{field}` is {value}");
                self.problem(field, what, format!("at most the {circuits} calls that the trunk is known to carry"));
            }
        }
        if trunk.hunt != Hunt::default() && trunk.kind == "sip" {
            self.problem("hunt", "a SIP trunk has no circuits to hunt", "it with kind = \"tdm\" only");
        }
    }

    /// When calls go out by a trunk, and what they cost.
    pub(super) fn rates(&mut self, trunk: &Trunk) {
        self.timezone(&trunk.timezone);
        if !trunk.hours.is_empty() {
            self.hours("hours", &trunk.hours);
        }
        if trunk.tariff.len() > TARIFFS_MAX {
            self.problem("tariff", format!("{} tariffs", trunk.tariff.len()), format!("at most {TARIFFS_MAX}"));
            return;
        }
        for (index, tariff) in trunk.tariff.iter().enumerate() {
            self.hours(&format!("tariff[{index}].hours"), &tariff.hours);
        }
    }

    /// What a trunk shows of callers.
    pub(super) fn caller_id(&mut self, trunk: &Trunk) {
        if trunk.kind == "tdm" && trunk.caller_id.is_some() {
            let what = "circuits with E&M signalling carry no caller's number";
            self.problem("caller_id", what, "it with kind = \"sip\" only");
        }
        match (&trunk.caller_number, trunk.caller_id == Some(CallerId::Fixed)) {
            (Some(number), true) if number.is_empty() || !address::is_dialled(number) => {
                self.problem("caller_number", format!("`caller_number` is {number:?}"), "a number, as +15550100");
            }
            (Some(_), true) | (None, false) => {}
            (Some(_), false) => {
                let what = "`caller_number` without `caller_id = \"fixed\"`";
                self.problem("caller_number", what, "both, or neither");
            }
            (None, true) => {
                self.problem("caller_id", "`caller_id` is \"fixed\" without a number", "`caller_number`");
            }
        }
    }

    /// A tenant's main number is one of its own.
    pub(super) fn main_number(&mut self, tenant: &Tenant) {
        let Some(main) = &tenant.caller_number else { return };
        let mut own = self.provision.number.iter().filter(|number| number.tenant == tenant.name);
        if !own.any(|number| number.number == *main) {
            let what = format!("`caller_number` is {main:?}, which is none of tenant {:?}", tenant.name);
            self.problem("caller_number", what, "the `number` of one of its [[number]] entries");
        }
    }

    fn hours(&mut self, field: &str, hours: &BTreeMap<String, String>) {
        if let Err((key, error)) = Hours::read(hours) {
            let expected =
                "as { mo-fr = \"09:00-12:00 13:00-17:30\", sa = \"closed\", holidays = \"2026-12-24 --12-25\" }";
            let (field, what) = match hours.get(key) {
                Some(text) => (format!("{field}.{key}"), format!("`{key} = {text:?}` {error}")),
                None => (field.to_owned(), format!("hours {error}")),
            };
            self.problem(&field, what, expected);
        }
    }

    pub(super) fn contract(&mut self, tenant: &Tenant) {
        let Some(contract) = &tenant.contract else { return };
        let provision = self.provision;
        let mut seen = HashSet::new();
        let mut circuits = Some(0u64);
        for (index, name) in contract.trunks.iter().enumerate() {
            let field = format!("contract.trunks[{index}]");
            self.unique(&mut seen, &field, name.as_str(), name);
            match provision.trunk.iter().find(|trunk| trunk.name == *name) {
                None => {
                    self.refers(&field, "trunk", name, provision.trunk.iter().map(|trunk| trunk.name.as_str()));
                    circuits = None;
                }
                Some(trunk) if capacity(provision, trunk) == 0 => {
                    let what = format!("trunk {name:?} does not say how many calls it carries");
                    self.problem(&field, what, "`calls_max` of the trunk, or spans");
                    circuits = None;
                }
                Some(trunk) => circuits = circuits.map(|n| n + u64::from(capacity(provision, trunk))),
            }
        }
        if contract.trunks.is_empty() {
            self.problem(
                "contract.trunks",
                "a contract without a trunk",
                "the trunks that the tenant shares with others",
            );
        } else if let Some(circuits) = circuits.filter(|circuits| u64::from(contract.after_hours) > *circuits) {
            let what = format!("`after_hours` is {}", contract.after_hours);
            self.problem("contract.after_hours", what, format!("at most the {circuits} circuits of its trunks"));
        }
        if contract.ratio > Decimal::whole(RATIO_MAX) {
            self.problem("contract.ratio", format!("`ratio` is {}", contract.ratio), format!("0 to {RATIO_MAX}"));
        }
        self.in_range("contract.worth_within", contract.worth_within, 0.0..=WORTH_MAX);
        self.in_range(
            "contract.worth_beyond",
            contract.worth_beyond,
            0.0..=contract.worth_within.clamp(0.0, WORTH_MAX),
        );
        match (contract.refused, &contract.refused_flow) {
            (Refusal::Flow, None) => {
                self.problem("contract.refused", "`refused` is \"flow\" without a flow", "`refused_flow`");
            }
            (Refusal::Flow, Some(flow)) if !self.names.flows.contains(&(tenant.name.as_str(), flow.as_str())) => {
                let known = provision.flow.iter().map(|flow| (flow.tenant.as_str(), flow.name.as_str()));
                self.refers_within("contract.refused_flow", "flow", (&tenant.name, flow), known);
            }
            (Refusal::Flow, Some(_)) | (_, None) => {}
            (_, Some(_)) => {
                let what = "`refused_flow` without `refused = \"flow\"`";
                self.problem("contract.refused_flow", what, "both, or neither");
            }
        }
        match (contract.refused, &contract.refused_to) {
            (Refusal::Overflow, None) => {
                self.problem("contract.refused", "`refused` is \"overflow\" without a target", "`refused_to`");
            }
            (Refusal::Overflow, Some(to)) => self.overflow(tenant, contract, to),
            (_, None) => {}
            (_, Some(_)) => {
                let what = "`refused_to` without `refused = \"overflow\"`";
                self.problem("contract.refused_to", what, "both, or neither");
            }
        }
    }

    /// Where refused calls go is there, and is elsewhere.
    fn overflow(&mut self, tenant: &Tenant, contract: &Contract, to: &str) {
        const FIELD: &str = "contract.refused_to";
        let provision = self.provision;
        let there = match Overflow::parse(to) {
            Some(Overflow::Number(number)) => Some(number),
            Some(Overflow::Trunk(_, number) | Overflow::Node(_, number)) => number,
            None => None,
        };
        if there.is_some_and(|number| self.goes_to_emergency(number)) {
            let what = format!("refused calls would go to an emergency service by {to:?}");
            return self.problem(FIELD, what, "another number");
        }
        let itself = match Overflow::parse(to) {
            None => {
                let expected = "a number of the tenant, trunk:NAME, node:NAME, or one of these two with /NUMBER";
                return self.problem(FIELD, format!("`refused_to` is {to:?}"), expected);
            }
            Some(Overflow::Number(number)) => {
                let own = provision.number.iter().filter(|entry| entry.tenant == tenant.name);
                let own: Vec<&str> = own.map(|entry| entry.number.as_str()).collect();
                if !own.contains(&number) {
                    let known = own.into_iter().map(|own| (tenant.name.as_str(), own));
                    return self.refers_within(FIELD, "number", (&tenant.name, number), known);
                }
                own.len() == 1
            }
            Some(Overflow::Trunk(name, _)) => {
                if !self.names.trunks.contains_key(name) {
                    return self.refers(FIELD, "trunk", name, provision.trunk.iter().map(|trunk| trunk.name.as_str()));
                }
                contract.trunks.iter().all(|own| own == name)
            }
            Some(Overflow::Node(node, _)) => {
                if self.leads_nowhere(FIELD, node) {
                    return;
                }
                let leads_there = |own: &String| {
                    provision.trunk.iter().any(|trunk| trunk.name == *own && trunk.node.as_deref() == Some(node))
                };
                contract.trunks.iter().all(leads_there)
            }
        };
        if itself {
            let what = format!("refused calls are at {to:?} already, so they would overflow to themselves");
            self.problem(FIELD, what, "another number, trunk or appliance");
        }
    }
}
