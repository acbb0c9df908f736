//! Other appliances that trunks lead to: `node:NAME/NUMBER` is a number of one of them, known by its name.
//!
//! A call keeps its trace (RFC 7989) on its way from one to the next, so that its records belong together, and one that comes back for
//! a number that it is in already goes round in a circle. What a flow has found out of a call goes along.

use std::collections::VecDeque;

use crate::base::{CallId, DialString, LegId, Now, Trace, TrunkId};
use crate::core::call::RouteStep;
use crate::core::switch::Switch;

/// What a number of another appliance begins with.
const NODE: &str = "node:";

/// A number of another appliance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NodeNumber<'a> {
    /// Its name.
    pub node: &'a str,
    /// The number, as that one knows it.
    pub number: &'a str,
}

impl<'a> NodeNumber<'a> {
    /// `node:NAME/NUMBER`.
    pub(crate) fn parse(to: &'a str) -> Option<Self> {
        let (node, number) = to.strip_prefix(NODE)?.split_once('/')?;
        (!node.is_empty() && !number.is_empty()).then_some(Self { node, number })
    }
}

impl Switch {
    /// Another appliance's name, where the trunk leads to one.
    pub(crate) fn node_of(&self, trunk: TrunkId) -> Option<&str> {
        self.directory.trunk(trunk)?.node.as_deref()
    }

    /// The same of a leg that a trunk carries.
    pub(crate) fn node_of_leg(&self, leg: LegId) -> Option<&str> {
        self.node_of(self.legs.get(&leg)?.trunk?.0)
    }

    /// The ways to a number of another appliance, in the order of the trunks.
    pub(crate) fn routes_to_node(&mut self, now: Now, to: NodeNumber<'_>, ring_s: u32) -> VecDeque<RouteStep> {
        let trunks = self.directory.trunks_to_node(to.node).iter().copied();
        let trunks: Vec<TrunkId> = trunks.filter(|trunk| self.takes_out(*trunk, to.number)).collect();
        trunks.into_iter().flat_map(|trunk| self.trunk_steps(now, trunk, to.number, ring_s)).collect()
    }

    /// The number of which a call with this trace is in progress here, if it is `to`: what brings it again has gone round.
    pub(crate) fn goes_round(&self, trace: Option<Trace>, to: &DialString) -> Option<CallId> {
        let same = self.traced.get(&trace?)?;
        same.iter().copied().find(|call| self.calls.get(call).is_some_and(|c| c.cdr.to == *to))
    }

    /// A call begins or is over: by its trace it is found.
    pub(crate) fn set_traced(&mut self, call: CallId, trace: Option<Trace>, is_there: bool) {
        let Some(trace) = trace else { return };
        let calls = self.traced.entry(trace).or_default();
        calls.retain(|other| *other != call);
        if is_there {
            calls.push(call);
        }
        if calls.is_empty() {
            self.traced.remove(&trace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_another_appliance_has_its_name() {
        assert_eq!(NodeNumber::parse("node:ivr/700"), Some(NodeNumber { node: "ivr", number: "700" }));
        for other in ["node:", "node:ivr", "node:ivr/", "node:/7", "700", "sip:node@ivr"] {
            assert_eq!(NodeNumber::parse(other), None, "{other}");
        }
    }
}
