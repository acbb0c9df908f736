//! What tenants may use of the trunks that they share.

use super::{ContractEntry, Directory, OverflowEntry, RefusalEntry};
use crate::base::{Cause, TenantId};
use crate::core::tenant::provision::{Contract, Provision, Refusal, Trunk};
use crate::core::trunk::bearers;
use crate::core::trunk::overflow::Overflow;

/// Circuits of a trunk: by SIP as many as calls are allowed, on cards those of its spans, if not fewer are allowed; 0 where nothing
/// says how many there are.
pub fn capacity(provision: &Provision, trunk: &Trunk) -> u32 {
    if trunk.kind != "tdm" {
        return trunk.calls_max;
    }
    let driver = |card: &str| provision.card.iter().find(|c| c.name == card).map_or("", |c| &c.driver);
    let spans = provision.span.iter().filter(|span| span.trunk == trunk.name);
    let circuits = spans.map(|span| bearers(driver(&span.card)).count()).sum::<usize>();
    let circuits = u32::try_from(circuits).unwrap_or(u32::MAX);
    if trunk.calls_max > 0 { circuits.min(trunk.calls_max) } else { circuits }
}

impl Directory {
    /// Contracts name flows and trunks, so all are known first.
    pub(super) fn add_contracts(&mut self, provision: &Provision) {
        for tenant in &provision.tenant {
            let (Some(contract), Some(id)) = (&tenant.contract, self.tenants.id_of(None, &tenant.name)) else {
                continue;
            };
            let entry = self.contract(id, contract);
            if let Some(tenant) = self.tenants.get_mut(id) {
                tenant.contract = Some(entry);
            }
        }
    }

    fn overflow(&self, tenant: TenantId, to: &str) -> Option<OverflowEntry> {
        Some(match Overflow::parse(to)? {
            Overflow::Number(number) => {
                let (_, flow) = self.number(number).filter(|(owner, _)| *owner == tenant)?;
                OverflowEntry::Number(number.to_owned(), flow)
            }
            Overflow::Trunk(name, number) => {
                OverflowEntry::Trunk(self.trunks.id_of(None, name)?, number.map(str::to_owned))
            }
            Overflow::Node(name, number) => OverflowEntry::Node(name.to_owned(), number.map(str::to_owned)),
        })
    }

    fn contract(&self, tenant: TenantId, contract: &Contract) -> ContractEntry {
        let flow = contract.refused_flow.as_ref().and_then(|name| self.flows.id_of(Some(tenant), name));
        let refusal = match contract.refused {
            Refusal::NoCircuit => RefusalEntry::End(Cause::NoCircuit),
            Refusal::Congestion => RefusalEntry::End(Cause::Congestion),
            Refusal::Busy => RefusalEntry::End(Cause::Busy),
            Refusal::Flow => flow.map_or(RefusalEntry::End(Cause::NoCircuit), RefusalEntry::Flow),
            Refusal::Overflow => {
                let to = contract.refused_to.as_deref().and_then(|to| self.overflow(tenant, to));
                to.map_or(RefusalEntry::End(Cause::NoCircuit), RefusalEntry::Overflow)
            }
        };
        ContractEntry {
            trunks: contract.trunks.iter().filter_map(|name| self.trunks.id_of(None, name)).collect(),
            ratio: contract.ratio,
            after_hours: contract.after_hours,
            worth_within: contract.worth_within,
            worth_beyond: contract.worth_beyond,
            refusal,
        }
    }
}
