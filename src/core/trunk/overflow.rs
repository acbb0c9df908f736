//! Calls that are not admitted and that their tenant wants elsewhere: at another number of its own, over another trunk, at another
//! appliance. By SIP the caller's side is told where (302), so that the call holds nothing here; from a circuit, which cannot be told,
//! it goes on through here while there is room.
//!
//! Once: what was deflected already (RFC 4458 section 2.2, [`deflected`]) ends, and what would come back to where it is.

use crate::base::{CallId, Cause, DialString, Now, TrunkId};
use crate::core::call::{RouteStep, Signal};
use crate::core::switch::Switch;
use crate::core::tenant::directory::{OverflowEntry, TrunkEntry, TrunkKind};
use crate::proto::sip::{SessionId, deflected};

/// What tells in a call's record that it went elsewhere as it was not admitted, and where.
pub const OVERFLOWED: &str = "overflowed";
/// What tells that it would have, and why it did not.
pub const NOT_OVERFLOWED: &str = "not-overflowed";

/// Seconds that whoever is called elsewhere may ring.
const RING_S: u32 = 60;

/// Where calls go that are not admitted, as provisioned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Overflow<'a> {
    /// A number of the tenant.
    Number(&'a str),
    /// Another trunk, by name, and the number there.
    Trunk(&'a str, Option<&'a str>),
    /// Another appliance, by name, and the number there.
    Node(&'a str, Option<&'a str>),
}

impl<'a> Overflow<'a> {
    /// A number, `trunk:NAME`, `node:NAME`, or one of these with `/NUMBER`.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let named = |rest: &'a str| {
            let (name, number) = rest.split_once('/').map_or((rest, None), |(name, number)| (name, Some(number)));
            let dialled = number.is_none_or(|number| !number.is_empty() && DialString::new(number).is_ok());
            (!name.is_empty() && dialled).then_some((name, number))
        };
        if let Some(rest) = text.strip_prefix("trunk:") {
            return named(rest).map(|(name, number)| Self::Trunk(name, number));
        }
        if let Some(rest) = text.strip_prefix("node:") {
            return named(rest).map(|(name, number)| Self::Node(name, number));
        }
        (!text.is_empty()).then_some(Self::Number(text))
    }
}

impl Switch {
    /// A call that came in by a trunk is not admitted: it goes where its tenant wants it. `room`: it may hold its circuit meanwhile.
    pub(super) fn overflow(&mut self, now: Now, call: CallId, from: TrunkId, room: bool, to: &OverflowEntry) {
        let Some(c) = self.calls.get(&call) else { return };
        let (client, dialled) = (c.client, c.cdr.to.as_str().to_owned());
        if let Some(why) = self.keeps_it(call, from, to, &dialled) {
            return self.overflow_fails(now, call, why);
        }
        let (name, route) = self.ways_elsewhere(now, to, &dialled);
        let session = self.legs.get(&client).and_then(|leg| match &leg.signal {
            Signal::Sip(sip) => Some(sip.session),
            Signal::Tdm(_) => None,
        });
        let by_sip = route.iter().find(|step| step.peer.is_some());
        match (to, session, by_sip) {
            (_, Some(session), Some(step)) => {
                let uri = step.uri.clone();
                self.note(now, call, OVERFLOWED, format!("sent to {name}"));
                self.move_away(now, call, session, &uri);
            }
            _ if !room || !self.spares(call, from) => {
                self.overflow_fails(now, call, "no circuit is free, or others are likely to need it")
            }
            (OverflowEntry::Number(_, flow), ..) => {
                self.note(now, call, OVERFLOWED, name);
                self.circuit_taken(now, client);
                self.start_flow(now, call, *flow);
            }
            _ => self.go_elsewhere(now, call, name, route),
        }
    }

    /// Why a call may not go there.
    fn keeps_it(&self, call: CallId, from: TrunkId, to: &OverflowEntry, dialled: &str) -> Option<&'static str> {
        let back = match to {
            OverflowEntry::Number(number, _) => number == dialled,
            OverflowEntry::Trunk(trunk, _) => *trunk == from,
            OverflowEntry::Node(node, _) => self.node_of(from) == Some(node),
        };
        let deflected = self.calls.get(&call).is_some_and(|c| c.origin.deflected);
        match (deflected, back) {
            (true, _) => Some("it overflowed before"),
            (_, true) => Some("it is there already"),
            (false, false) => None,
        }
    }

    /// What the place is called, and the ways there; none of a number of our own.
    fn ways_elsewhere(&mut self, now: Now, to: &OverflowEntry, dialled: &str) -> (String, Vec<RouteStep>) {
        let number = |number: &Option<String>| number.clone().unwrap_or_else(|| dialled.to_owned());
        match to {
            OverflowEntry::Number(number, _) => (number.clone(), Vec::new()),
            OverflowEntry::Node(node, at) => {
                let number = number(at);
                let trunks = self.directory.trunks_to_node(node).to_vec();
                let route = trunks.into_iter().flat_map(|trunk| self.ways_over(now, trunk, &number)).collect();
                (format!("node:{node}/{number}"), route)
            }
            OverflowEntry::Trunk(trunk, at) => {
                let number = number(at);
                let name = self.directory.trunk(*trunk).map_or("", |entry| &entry.name);
                (format!("trunk:{name}/{number}"), self.ways_over(now, *trunk, &number))
            }
        }
    }

    /// The ways over a trunk that is in service. One by SIP may be full of our calls: what goes to its peer without us is none.
    fn ways_over(&mut self, now: Now, trunk: TrunkId, number: &str) -> Vec<RouteStep> {
        let serves = |entry: &&TrunkEntry| !entry.group.out_of_service && !self.is_silent(entry);
        let Some(kind) = self.directory.trunk(trunk).filter(serves).map(|entry| entry.kind) else { return Vec::new() };
        let takes = kind == TrunkKind::Sip || self.takes_another(trunk);
        if takes { self.trunk_steps(now, trunk, number, RING_S) } else { Vec::new() }
    }

    /// The caller's side is told where to call instead.
    fn move_away(&mut self, now: Now, call: CallId, session: SessionId, uri: &str) {
        self.sip.redirect(now, session, uri, Cause::NoCircuit);
        self.refuse(now, call, Cause::NoCircuit);
    }

    /// The call goes out from here, if it may.
    fn go_elsewhere(&mut self, now: Now, call: CallId, name: String, route: Vec<RouteStep>) {
        let Some(trunk) = route.first().and_then(|step| step.trunk) else {
            return self.overflow_fails(now, call, "there is no way");
        };
        if !self.takes_another(trunk) || !self.is_admitted(now, call, trunk, true) {
            return self.overflow_fails(now, call, "there is no room either");
        }
        self.note(now, call, OVERFLOWED, name);
        if let Some(client) = self.calls.get(&call).map(|c| c.client) {
            self.circuit_taken(now, client);
        }
        let marked = |step: RouteStep| match step.peer {
            Some(_) => RouteStep { uri: deflected(&step.uri), ..step },
            None => step,
        };
        // Whether another trunk has room was not asked.
        let route = route.into_iter().filter(|step| step.trunk == Some(trunk));
        self.dial_out(now, call, route.map(marked).collect());
    }

    fn overflow_fails(&mut self, now: Now, call: CallId, why: &str) {
        self.note(now, call, NOT_OVERFLOWED, why.to_owned());
        self.refuse(now, call, Cause::NoCircuit);
    }

    fn note(&mut self, now: Now, call: CallId, what: &str, detail: String) {
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, what, detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_calls_overflow_to() {
        assert_eq!(Overflow::parse("700"), Some(Overflow::Number("700")));
        assert_eq!(Overflow::parse("trunk:city"), Some(Overflow::Trunk("city", None)));
        assert_eq!(Overflow::parse("trunk:city/+4930"), Some(Overflow::Trunk("city", Some("+4930"))));
        assert_eq!(Overflow::parse("node:ivr/700"), Some(Overflow::Node("ivr", Some("700"))));
        for bad in ["", "trunk:", "trunk:city/", "trunk:city/5 5", "node:/7"] {
            assert_eq!(Overflow::parse(bad), None, "{bad:?}");
        }
    }
}
