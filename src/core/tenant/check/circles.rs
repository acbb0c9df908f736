//! What would go round: queues that escalate, and flows that pass every call on, in a circle.

use std::collections::{BTreeSet, HashMap};

use super::Checker;
use crate::core::ivr::Reference;

impl Checker<'_> {
    /// Queues that escalate in a circle: an item would go round. Each circle is told at its first queue.
    pub(super) fn escalation_circles(&mut self) {
        let provision = self.provision;
        let places: HashMap<(&str, &str), usize> = provision
            .queue
            .iter()
            .enumerate()
            .map(|(index, queue)| ((queue.tenant.as_str(), queue.name.as_str()), index))
            .collect();
        let next = |at: usize| {
            let queue = provision.queue.get(at)?;
            places.get(&(queue.tenant.as_str(), queue.escalate_to.as_deref()?)).copied().filter(|to| *to != at)
        };
        for round in circles(provision.queue.len(), next) {
            let names = round.iter().chain(round.first()).filter_map(|at| provision.queue.get(*at));
            let names: Vec<&str> = names.map(|queue| queue.name.as_str()).collect();
            if let Some((first, queue)) = round.first().and_then(|at| Some((*at, provision.queue.get(*at)?))) {
                self.enter(first, queue);
                self.problem("escalate_to", format!("a circle: {}", names.join(" to ")), "an end to it");
            }
        }
    }

    /// Flows that do nothing but pass every call on to numbers of one another: it would go round. `onward` holds the numbers of each
    /// flow that has no other way. Each circle is told at its first flow.
    pub(super) fn transfer_circles(&mut self, onward: &HashMap<usize, Vec<Reference>>) {
        let ways = self.ways_between(onward);
        let stuck = without_end(&ways);
        // Whichever of its ways a call takes from such a flow, it does not come out, so one of them is enough to tell.
        let next = |at: usize| Some(ways.get(&at).filter(|_| stuck.contains(&at))?.first()?.as_ref()?.0);
        let provision = self.provision;
        for round in circles(provision.flow.len(), next) {
            let numbers = round.iter().filter_map(|at| ways.get(at)?.first()?.as_ref());
            let numbers: Vec<&str> = numbers.map(|(_, reference)| reference.name.as_str()).collect();
            let first = round.first().and_then(|at| Some((*at, provision.flow.get(*at)?)));
            let Some((index, flow)) = first else { continue };
            self.enter(index, flow);
            self.at.flow = Some(index);
            let what = format!("calls would go round in a circle: to {}", numbers.join(" to "));
            self.problem("text", what, "a queue, an end, or a number elsewhere on one of the ways");
            if let Some((_, reference)) = ways.get(&index).and_then(|ways| ways.first()?.as_ref()) {
                self.lies_at(reference.line, reference.column);
            }
        }
    }

    /// To which flow each number leads that a flow passes calls on to; `None` where it leads out of the tenant's flows.
    fn ways_between<'r>(&self, onward: &'r HashMap<usize, Vec<Reference>>) -> HashMap<usize, Vec<Way<'r>>> {
        let provision = self.provision;
        let entries = provision.flow.iter().enumerate();
        let flows: HashMap<(&str, &str), usize> =
            entries.map(|(index, flow)| ((flow.tenant.as_str(), flow.name.as_str()), index)).collect();
        let entries = provision.number.iter();
        let numbers: HashMap<&str, (&str, &str)> =
            entries.map(|entry| (entry.number.as_str(), (entry.tenant.as_str(), entry.flow.as_str()))).collect();
        let mut ways = HashMap::new();
        for (index, references) in onward {
            let Some(flow) = provision.flow.get(*index) else { continue };
            let way = |reference: &'r Reference| {
                let claim = numbers.get(reference.name.as_str()).filter(|(tenant, _)| *tenant == flow.tenant)?;
                let to = flows.get(claim).copied()?;
                // The number as it was dialled may be meant for a trunk.
                let passes = to == *index && self.leads_out(&reference.name);
                (!passes).then_some((to, reference))
            };
            ways.insert(*index, references.iter().map(way).collect());
        }
        ways
    }
}

/// To a flow, by a number that stands in the text.
type Way<'r> = Option<(usize, &'r Reference)>;

/// The flows from which all ways lead to flows of the same kind.
fn without_end(ways: &HashMap<usize, Vec<Way<'_>>>) -> BTreeSet<usize> {
    let mut stuck: BTreeSet<usize> = ways.iter().filter(|(_, ways)| !ways.is_empty()).map(|(at, _)| *at).collect();
    let mut from: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut leave = Vec::new();
    for (at, ways) in ways {
        for way in ways {
            match way {
                Some((to, _)) if stuck.contains(to) => from.entry(*to).or_default().push(*at),
                _ => leave.push(*at),
            }
        }
    }
    while let Some(at) = leave.pop() {
        if stuck.remove(&at) {
            leave.extend(from.remove(&at).unwrap_or_default());
        }
    }
    stuck
}

/// The circles among `count` things of which each has one next thing at most, each circle from its first on.
fn circles(count: usize, next: impl Fn(usize) -> Option<usize>) -> Vec<Vec<usize>> {
    // From which start each was reached first: each is looked at once.
    let mut reached: Vec<Option<usize>> = vec![None; count];
    let mut found = Vec::new();
    for start in 0..count {
        let mut at = Some(start);
        while let Some(here) = at {
            let Some(mark) = reached.get_mut(here) else { break };
            if let Some(earlier) = *mark {
                if earlier == start {
                    found.push(round(here, &next));
                }
                break;
            }
            *mark = Some(start);
            at = next(here);
        }
    }
    found
}

fn round(start: usize, next: impl Fn(usize) -> Option<usize>) -> Vec<usize> {
    let mut round = vec![start];
    let mut at = next(start);
    while let Some(here) = at.filter(|here| *here != start) {
        round.push(here);
        at = next(here);
    }
    let first = round.iter().copied().min().unwrap_or(start);
    let turn = round.iter().position(|at| *at == first).unwrap_or(0);
    round.rotate_left(turn);
    round
}
