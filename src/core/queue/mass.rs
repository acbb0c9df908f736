//! Mass events: many items and agents that could meet at once, as after a change of provisioning.
//!
//! One at a time, the best agent for the most urgent item would now and then be the only one for the next. So the pairs of
//! the most urgent items and the agents are weighed together, by an auction (Bertsekas 1988): each item bids for the agent who
//! is worth most to it less the price, and raises the price by what it would lose with the second best. What comes out is
//! worth at most [`RAISE`] points a pair less than the best assignment there is.
//!
//! Agents are weighed so many at a time, then each item that is left looks for an agent by itself. That is done in pieces, as
//! many in one go as cost [`LOOKS_A_TURN`]: calls that talk and ring are served between them.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, VecDeque};

use crate::base::{AgentId, Now, TenantId, WorkItemId};
use crate::core::contact::Want;

use super::class::Class;
use super::engine::Engine;
use super::explain::{Choice, OTHERS_MAX, Trigger};
use super::gate::GateId;
use super::item::Stage::Waiting as Free;
use super::item::Urgency;
use super::line::Place;
use super::matching::{Head, Pair, Seat};

/// Most agents that are weighed together.
const AGENTS_MAX: usize = 128;

/// Most items that are weighed together, for each agent.
const ITEMS_EACH: usize = 2;

/// By so many points more than it has to, each bid raises the price.
const RAISE: f64 = 0.2;

/// Most looks of an item at an agent: with them the auction has ended, or is given up where it stands.
const LOOKS_MAX: usize = 5_000_000;

/// With so many looks of items at agents, about, a turn of work is over: some milliseconds.
const LOOKS_A_TURN: usize = 40_000;

/// Most items of a piece that look for agents one by one.
const ALONE_MAX: usize = 100;

/// What one of these costs, about.
const LOOKS_ALONE: usize = 100;

/// A tenant whose items and agents meet at once.
#[derive(Debug)]
pub(super) struct Mass {
    tenant: TenantId,
    stage: Stage,
    /// Where its items wait.
    gates: Vec<GateId>,
    /// The most urgent first; some may be gone.
    urgent: VecDeque<WorkItemId>,
    /// Those who were free and are yet to be weighed.
    agents: VecDeque<AgentId>,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Nothing is done.
    Begun,
    /// Agents are weighed, some at a time.
    Together,
    /// What is left looks for agents by itself.
    Alone,
    /// All is done.
    Over,
}

impl Mass {
    fn new(tenant: TenantId, gates: Vec<GateId>) -> Self {
        Self { tenant, stage: Stage::Begun, gates, urgent: VecDeque::new(), agents: VecDeque::new() }
    }
}

/// Gives each row of `worth` one column at most, each column once, so that the sum is as great as can be but for [`RAISE`] a
/// pair. Pairs that are worth nothing or less are none.
fn auction(worth: &[Vec<f64>], columns: usize) -> Vec<Option<usize>> {
    let mut price = vec![0.0; columns];
    let mut holder: Vec<Option<usize>> = vec![None; columns];
    let mut won = vec![None; worth.len()];
    let mut bidders: Vec<usize> = (0..worth.len()).rev().collect();
    let mut bids = LOOKS_MAX / columns.max(1);
    while let Some(row) = bidders.pop().filter(|_| bids > 0) {
        bids -= 1;
        // Staying out is worth nothing.
        let (mut best, mut second) = ((0.0, None), 0.0);
        for (column, (worth, price)) in worth.get(row).into_iter().flatten().zip(&price).enumerate() {
            let net = worth - price;
            if net > best.0 {
                second = best.0;
                best = (net, Some(column));
            } else if net > second {
                second = net;
            }
        }
        let (net, Some(column)) = best else { continue };
        if let (Some(price), Some(place), Some(own)) = (price.get_mut(column), holder.get_mut(column), won.get_mut(row))
        {
            *price += net - second + RAISE;
            *own = Some(column);
            if let Some(outbid) = place.replace(row) {
                bidders.push(outbid);
                if let Some(lost) = won.get_mut(outbid) {
                    *lost = None;
                }
            }
        }
    }
    won
}

impl Engine {
    /// Matches all that can be matched: for changes that concern many at once. What is more than a piece goes on with the next
    /// timeouts, which are due at once.
    pub(super) fn match_all(&mut self, now: Now) {
        let mut gates: BTreeMap<TenantId, Vec<GateId>> = BTreeMap::new();
        for (id, gate) in self.fits.waited_at() {
            gates.entry(gate.ask.needs.tenant).or_default().push(id);
        }
        let open: Vec<TenantId> = self.fits.tenants_open().collect();
        self.mass = open.into_iter().filter_map(|tenant| Some(Mass::new(tenant, gates.remove(&tenant)?))).collect();
        self.match_more(now);
    }

    /// Goes on with what [`match_all`](Self::match_all) has begun, as far as is done in one go: tenants take turns.
    pub(super) fn match_more(&mut self, now: Now) {
        let mut left = LOOKS_A_TURN;
        while let Some(mut mass) = self.mass.pop_front() {
            let looks = self.match_piece(now, &mut mass);
            if mass.stage != Stage::Over {
                self.mass.push_back(mass);
            }
            left = left.saturating_sub(looks);
            if left == 0 {
                return;
            }
        }
    }

    /// Whether items and agents of the tenant have yet to meet.
    pub(super) fn is_mass(&self, tenant: TenantId) -> bool {
        self.mass.iter().any(|mass| mass.tenant == tenant)
    }

    /// A piece of a tenant's mass event; tells what it cost, in looks at a pair.
    fn match_piece(&mut self, now: Now, mass: &mut Mass) -> usize {
        match mass.stage {
            Stage::Begun => {
                mass.urgent = self.urgent(now, mass);
                let routing = self.fits.routing(mass.tenant);
                if routing.policy.goes_by_score() {
                    mass.agents = self.fits.open_agents(mass.tenant);
                }
                mass.stage = if mass.agents.is_empty() { Stage::Alone } else { Stage::Together };
                mass.urgent.len() + mass.agents.len()
            }
            Stage::Together => {
                let batch = mass.agents.len().min(AGENTS_MAX);
                let batch: Vec<AgentId> = mass.agents.drain(..batch).collect();
                if mass.agents.is_empty() {
                    mass.stage = Stage::Alone;
                }
                let is_free = |id: &&WorkItemId| self.items.get(id).is_some_and(|item| item.stage == Free);
                let urgent: Vec<WorkItemId> =
                    mass.urgent.iter().filter(is_free).take(batch.len() * ITEMS_EACH).copied().collect();
                for (pair, others) in self.weigh(now, mass.tenant, &batch, &urgent) {
                    let mut choice = Choice::new(Trigger::Item);
                    others.into_iter().chain([pair]).for_each(|pair| choice.consider(Some(pair)));
                    self.take(now, pair, choice);
                }
                // Each pair is looked at once to weigh it, and about once more to choose.
                2 * batch.len() * urgent.len()
            }
            Stage::Alone => {
                let some = mass.urgent.len().min(ALONE_MAX);
                let some: Vec<WorkItemId> = mass.urgent.drain(..some).collect();
                if mass.urgent.is_empty() {
                    mass.stage = Stage::Over;
                }
                some.iter().for_each(|&item| self.match_item(now, item));
                some.len() * LOOKS_ALONE
            }
            Stage::Over => 0,
        }
    }

    /// Items of the tenant that some agent could take now, the most urgent first.
    fn urgent(&self, now: Now, mass: &Mass) -> VecDeque<WorkItemId> {
        let mut urgent: Vec<(Urgency, WorkItemId)> = vec![];
        let gates = mass.gates.iter().filter_map(|&id| self.fits.gate(id));
        for gate in gates.filter(|gate| gate.ask.needs.tenant == mass.tenant) {
            let mut open = self.fits.open_for(gate);
            let takes =
                |class: &Class| class.open.keys().any(|posture| posture.takes(gate.ask.needs.medium, class.kind.slots));
            if open.any(|(_, class)| takes(class)) {
                let of = |(rank, item): (Place, _)| (Urgency::new(item, rank.waited(now.mono), gate.target), item);
                urgent.extend(gate.items().map(of));
            }
        }
        urgent.sort_unstable_by_key(|item| Reverse(item.0));
        urgent.into_iter().map(|(_, item)| item).collect()
    }

    /// Which pairs are best together, each with the others that its item could have had.
    fn weigh(&self, now: Now, tenant: TenantId, agents: &[AgentId], urgent: &[WorkItemId]) -> Vec<(Pair, Vec<Pair>)> {
        let routing = self.fits.routing(tenant);
        let seats: Vec<Seat<'_>> = agents.iter().filter_map(|&id| self.seat(id)).collect();
        let pair = |id: WorkItemId, seat: Seat<'_>| {
            let item = self.items.get(&id)?;
            let gate = self.fits.gate(item.gate)?;
            let head = Head { item: id, gate, prefers: &item.prefers, waited: item.rank().waited(now.mono) };
            self.pair(now.mono, &routing, Trigger::Item, head, seat)
        };
        let points = |id| seats.iter().map(|&seat| pair(id, seat).map_or(0.0, |p| p.terms.total())).collect();
        let worth: Vec<Vec<f64>> = urgent.iter().map(|&id| points(id)).collect();
        let mut won = auction(&worth, seats.len());
        self.in_turn(urgent, &mut won);
        let mut chosen = vec![];
        for ((&id, row), won) in urgent.iter().zip(&worth).zip(won) {
            let Some(best) = won.and_then(|n| pair(id, *seats.get(n)?)) else { continue };
            let mut order: Vec<usize> = (0..row.len()).filter(|&n| Some(n) != won).collect();
            order
                .sort_unstable_by(|a, b| row.get(*b).zip(row.get(*a)).map_or(Ordering::Equal, |(b, a)| b.total_cmp(a)));
            let others = order.into_iter().take(OTHERS_MAX).filter_map(|n| pair(id, *seats.get(n)?)).collect();
            chosen.push((best, others));
        }
        chosen
    }

    /// What alike items have won goes to those of them that have waited longest: `urgent` has them in that order.
    fn in_turn(&self, urgent: &[WorkItemId], won: &mut [Option<usize>]) {
        let mut alike: BTreeMap<(GateId, &[Want]), Vec<usize>> = BTreeMap::new();
        for (n, id) in urgent.iter().enumerate() {
            if let Some(item) = self.items.get(id) {
                alike.entry((item.gate, &item.prefers)).or_default().push(n);
            }
        }
        for group in alike.into_values() {
            let agents: Vec<usize> = group.iter().filter_map(|&n| won.get(n).copied().flatten()).collect();
            let mut agents = agents.into_iter();
            for n in group {
                if let Some(place) = won.get_mut(n) {
                    *place = agents.next();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_agent_who_can_is_left_to_the_item_that_needs_her() {
        // The first item could have either, the second only the first agent.
        let won = auction(&[vec![90.0, 80.0], vec![70.0, 0.0]], 2);
        assert_eq!(won, [Some(1), Some(0)]);
    }

    #[test]
    fn nothing_is_won_by_what_is_worth_nothing() {
        assert_eq!(auction(&[vec![0.0], vec![-5.0]], 1), [None, None]);
        assert_eq!(auction(&[], 3), []);
        assert_eq!(auction(&[vec![]], 0), [None]);
    }

    #[test]
    fn many_alike_come_to_an_end() {
        let won = auction(&vec![vec![100.0; 50]; 100], 50);
        assert_eq!(won.iter().flatten().count(), 50);
    }
}
