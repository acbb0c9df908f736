//! Needs: what gates ask of agents, whatever their queue, so that who fits is kept once for all of them.

use std::sync::Arc;

use crate::base::{Medium, TenantId, TraitId};
use crate::core::contact::Want;

use super::class::ClassId;
use super::gate::GateId;

/// A need.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct NeedId(pub(super) u32);

/// What is asked of agents.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Needs {
    /// The items' tenant.
    pub(super) tenant: TenantId,
    /// Their medium.
    pub(super) medium: Medium,
    /// What is required and forbidden.
    pub(super) gates: Box<[Want]>,
    /// What agents may mind.
    pub(super) traits: Box<[TraitId]>,
}

/// Which classes fit.
#[derive(Clone, Debug)]
pub(super) enum Fit {
    /// These; they remember the need while somebody waits for whom it is.
    Few(Box<[ClassId]>),
    /// More than are worth remembering: each class of the tenant looks for itself.
    Many,
}

/// More classes than these are many.
pub(super) const FEW: usize = 256;

/// A need that gates have.
#[derive(Debug)]
pub(super) struct Need {
    /// What is asked.
    pub(super) needs: Arc<Needs>,
    /// Who fits, at some step of the schedules at least.
    pub(super) fit: Fit,
    /// Number of gates that have it.
    pub(super) gates: usize,
    /// Which filling this is: stamps of earlier ones are void.
    pub(super) epoch: u32,
    /// Its gates where somebody waits, in order.
    waited: Vec<GateId>,
}

impl Need {
    /// A need without gates.
    pub(super) fn new(needs: Arc<Needs>, fit: Fit) -> Self {
        Self { needs, fit, gates: 0, epoch: 0, waited: vec![] }
    }

    /// Its gates where somebody waits.
    pub(super) fn waited(&self) -> &[GateId] {
        &self.waited
    }

    /// Somebody waits behind the gate now; gives whether nobody waited behind any before.
    pub(super) fn fill(&mut self, gate: GateId) -> bool {
        if let Err(at) = self.waited.binary_search(&gate) {
            self.waited.insert(at, gate);
        }
        self.waited.len() == 1
    }

    /// Nobody waits behind the gate any more; gives whether nobody waits behind any.
    pub(super) fn empty(&mut self, gate: GateId) -> bool {
        if let Ok(at) = self.waited.binary_search(&gate) {
            self.waited.remove(at);
        }
        self.waited.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_where_somebody_waits_are_known_in_order() {
        let needs = Needs { tenant: TenantId(1), medium: Medium::Voice, gates: Box::default(), traits: Box::default() };
        let mut need = Need::new(Arc::new(needs), Fit::Many);
        let filled = [7, 3, 7, 5].map(|gate| need.fill(GateId(gate)));
        assert_eq!(filled, [true, false, false, false]);
        assert_eq!(need.waited(), [GateId(3), GateId(5), GateId(7)]);
        let emptied = [5, 5, 3, 7].map(|gate| need.empty(GateId(gate)));
        assert_eq!(emptied, [false, false, false, true]);
    }
}
