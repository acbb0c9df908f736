//! Rows: the items behind a gate that prefer the same, the longest wait first.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Instant, TraitId, WorkItemId};
use crate::core::contact::{Level, Want};

use super::class::Traits;
use super::line::Place;

/// What a row prefers, where that fits here: a few wants that stay the same.
#[derive(Clone, Copy, Debug)]
struct Plain([(TraitId, Level, u8); PLAIN_MAX]);

/// Most wants of a plain row.
const PLAIN_MAX: usize = 3;

impl Plain {
    fn new(prefers: &[Want]) -> Option<Self> {
        let mut plain = [(TraitId::NOBODYS, Level::NONE, 0); PLAIN_MAX];
        if prefers.len() > PLAIN_MAX || !prefers.iter().all(|want| want.schedule.is_constant()) {
            return None;
        }
        for (place, want) in plain.iter_mut().zip(prefers) {
            let step = want.schedule.at(Duration::ZERO);
            *place = (want.what, step.level, step.importance);
        }
        Some(Self(plain))
    }
}

/// The levels of one class, by trait: quick to ask.
#[derive(Default, Debug)]
pub(super) struct Levels {
    levels: Vec<Level>,
    used: Vec<TraitId>,
}

impl Levels {
    /// Those of this class and no other.
    pub(super) fn set(&mut self, traits: &Traits) {
        for what in self.used.drain(..) {
            if let Some(level) = self.levels.get_mut(what.0 as usize) {
                *level = Level::NONE;
            }
        }
        for what in traits.iter().filter(|what| what.0 < TRAITS_MAX) {
            let at = what.0 as usize;
            if at >= self.levels.len() {
                self.levels.resize(at + 1, Level::NONE);
            }
            if let Some(level) = self.levels.get_mut(at) {
                *level = traits.level(what);
            }
            self.used.push(what);
        }
    }

    /// A level; full for a trait whose number is too high to be kept.
    fn get(&self, what: TraitId) -> Level {
        if what.0 >= TRAITS_MAX && what != TraitId::NOBODYS {
            return Level::FULL;
        }
        self.levels.get(what.0 as usize).copied().unwrap_or(Level::NONE)
    }
}

/// Levels of traits beyond this number are not kept.
const TRAITS_MAX: u32 = 1 << 20;

/// What decides whether a row is worth a closer look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lead {
    /// The longest wait.
    pub(super) place: Place,
    plain: Option<Plain>,
}

impl Lead {
    /// Whether nothing that it prefers changes, so that its longest wait is the only one that can be next.
    pub(super) fn is_plain(&self) -> bool {
        self.plain.is_some()
    }

    /// How well agents with these levels match, at most; `required` is the weight of what they meet in full.
    pub(super) fn share_max(&self, levels: &Levels, required: Option<f64>) -> f64 {
        let (Some(plain), Some(required)) = (&self.plain, required) else { return 1.0 };
        let (mut sum, mut weight) = (required, required);
        for &(what, need, importance) in &plain.0 {
            let have = levels.get(what);
            weight += f64::from(importance);
            if have >= need {
                sum += f64::from(importance);
            } else if have > Level::NONE {
                sum += f64::from(importance) * (have.get() / need.get());
            }
        }
        // A hair more than the score itself, which is rounded otherwise.
        if weight > 0.0 { sum / weight + 1e-12 } else { 1.0 }
    }
}

/// A row.
#[derive(Debug)]
pub(super) struct Row {
    /// The longest wait.
    first: (Place, WorkItemId),
    /// What its items prefer.
    pub(super) prefers: Arc<[Want]>,
    /// Whether anything of that changes with waiting.
    turns: bool,
    /// The others.
    rest: BTreeSet<(Place, WorkItemId)>,
}

impl Row {
    /// Items of which each is the longest wait at its step of the schedules, the longest of all first, until one is taken;
    /// `gate_turns` is when those of the gate change.
    pub(super) fn heads(&self, now: Instant, gate_turns: &[Duration], mut each: impl FnMut(Place, WorkItemId) -> bool) {
        if !self.turns && gate_turns.is_empty() {
            each(self.first.0, self.first.1);
            return;
        }
        let mut turns = turns(&self.prefers);
        turns.extend_from_slice(gate_turns);
        turns.sort_unstable();
        turns.dedup();
        // From the last step, where the longest waits are, to the first.
        let mut from = After(Unbounded);
        for step in (0..=turns.len()).rev() {
            let ends = step.checked_sub(1).and_then(|n| turns.get(n)).map(|&turn| Place::new(now, turn));
            let first = Some(self.first).filter(|&first| from.is_before(first));
            let next = first.or_else(|| self.rest.range((from.0, Unbounded)).next().copied());
            if let Some((place, item)) = next
                && ends.is_none_or(|ends| place <= ends)
                && each(place, item)
            {
                return;
            }
            if let Some(ends) = ends {
                from = After(Excluded((ends, WorkItemId(u64::MAX))));
            }
        }
    }
}

/// From where on a row is looked at.
struct After(std::ops::Bound<(Place, WorkItemId)>);

impl After {
    fn is_before(&self, at: (Place, WorkItemId)) -> bool {
        match self.0 {
            Excluded(from) => from < at,
            _ => true,
        }
    }
}

/// When something else is asked than before, in order.
pub(super) fn turns(wants: &[Want]) -> Vec<Duration> {
    let mut turns: Vec<Duration> = wants.iter().flat_map(|want| want.schedule.turns()).collect();
    turns.sort_unstable();
    turns.dedup();
    turns
}

/// All rows of a gate.
#[derive(Default, Debug)]
pub(super) struct Rows {
    /// What leads each row, beside each other.
    leads: Vec<Lead>,
    rows: Vec<Row>,
    numbers: HashMap<Arc<[Want]>, usize>,
}

impl Rows {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Those that are `worth` a closer look.
    pub(super) fn worth(&self, worth: impl Fn(&Lead) -> bool) -> impl Iterator<Item = &Row> {
        self.leads.iter().zip(&self.rows).filter(move |(lead, _)| worth(lead)).map(|(_, row)| row)
    }

    /// The longest wait of the row that prefers this.
    pub(super) fn first(&self, prefers: &[Want]) -> Option<(Place, WorkItemId)> {
        self.numbers.get(prefers).and_then(|&n| self.rows.get(n)).map(|row| row.first)
    }

    /// What a row that is there already prefers, to share.
    pub(super) fn shared(&self, prefers: &[Want]) -> Option<Arc<[Want]>> {
        self.numbers.get_key_value(prefers).map(|(shared, _)| shared.clone())
    }

    /// An item joins its row.
    pub(super) fn add(&mut self, at: (Place, WorkItemId), prefers: &Arc<[Want]>) {
        if let Some(n) = self.numbers.get(prefers).copied() {
            let Some(row) = self.rows.get_mut(n) else { return };
            let later = row.first.max(at);
            row.first = row.first.min(at);
            row.rest.insert(later);
            return self.lead(n);
        }
        let turns = prefers.iter().any(|want| !want.schedule.is_constant());
        self.numbers.insert(prefers.clone(), self.rows.len());
        self.leads.push(Lead { place: at.0, plain: Plain::new(prefers) });
        self.rows.push(Row { first: at, prefers: prefers.clone(), turns, rest: BTreeSet::new() });
    }

    /// An item leaves its row.
    pub(super) fn remove(&mut self, at: (Place, WorkItemId), prefers: &Arc<[Want]>) {
        let Some(n) = self.numbers.get(prefers).copied() else { return };
        let Some(row) = self.rows.get_mut(n) else { return };
        if row.first != at {
            row.rest.remove(&at);
            return;
        }
        if let Some(first) = row.rest.pop_first() {
            row.first = first;
            return self.lead(n);
        }
        self.numbers.remove(prefers);
        self.rows.swap_remove(n);
        self.leads.swap_remove(n);
        if let Some(number) = self.rows.get(n).and_then(|moved| self.numbers.get_mut(&moved.prefers)) {
            *number = n;
        }
    }

    /// What leads the row is its longest wait.
    fn lead(&mut self, n: usize) {
        if let (Some(lead), Some(row)) = (self.leads.get_mut(n), self.rows.get(n)) {
            lead.place = row.first.0;
        }
    }
}
