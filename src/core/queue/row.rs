//! Rows: the items behind a gate that prefer the same, the longest wait first.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Instant, TraitId, WorkItemId};
use crate::core::contact::{Level, Want};

use super::class::Traits;
use super::line::Place;

/// What a row prefers, where that fits here: a few wants that stay the same. It is small, since of many rows nothing but this is
/// looked at, and to fetch it is what that takes.
#[derive(Clone, Copy, Debug)]
struct Plain([Liking; PLAIN_MAX]);

/// Most wants of a plain row.
const PLAIN_MAX: usize = 3;

/// A want that stays the same.
#[derive(Clone, Copy, Default, Debug)]
struct Liking {
    /// The trait, or [`FAR`].
    what: u16,
    /// The level that is wanted, in parts of [`WHOLE`], or a little less.
    need: u16,
    importance: u8,
}

/// Stands for traits whose numbers are too high to be kept here, as those of agents in person are: they may be met.
const FAR: u16 = u16::MAX;

/// A full level.
const WHOLE: f64 = 65_535.0;

impl Liking {
    fn new(want: &Want) -> Option<Self> {
        let step = want.schedule.at(Duration::ZERO);
        let what = u16::try_from(want.what.0).unwrap_or(FAR);
        // Rounded towards what is met more easily.
        let need = (step.level.get() * WHOLE) as u16;
        want.schedule.is_constant().then_some(Self { what, need, importance: step.importance })
    }

    fn need(self) -> f64 {
        f64::from(self.need) / WHOLE
    }
}

impl Plain {
    fn new(prefers: &[Want]) -> Option<Self> {
        let mut plain = [Liking::default(); PLAIN_MAX];
        if prefers.len() > PLAIN_MAX {
            return None;
        }
        for (place, want) in plain.iter_mut().zip(prefers) {
            *place = Liking::new(want)?;
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
        for what in traits.iter().filter(|what| what.0 < u32::from(FAR)) {
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

    /// A level; full for a trait that is not kept.
    fn get(&self, what: u16) -> f64 {
        if what == FAR {
            return 1.0;
        }
        self.levels.get(usize::from(what)).copied().unwrap_or(Level::NONE).get()
    }
}

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
        for liking in &plain.0 {
            let (have, need, importance) = (levels.get(liking.what), liking.need(), f64::from(liking.importance));
            weight += importance;
            if have >= need {
                sum += importance;
            } else if have > 0.0 {
                sum += importance * (have / need);
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
    /// Numbers of the rows, in the order of what they prefer.
    order: Vec<u32>,
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
        self.row(prefers).map(|row| row.first)
    }

    /// What a row that is there already prefers, to share.
    pub(super) fn shared(&self, prefers: &[Want]) -> Option<Arc<[Want]>> {
        self.row(prefers).map(|row| row.prefers.clone())
    }

    /// An item joins its row.
    pub(super) fn add(&mut self, at: (Place, WorkItemId), prefers: &Arc<[Want]>) {
        let found = self.find(prefers);
        if let Ok((_, n)) = found {
            let Some(row) = self.rows.get_mut(n) else { return };
            let later = row.first.max(at);
            row.first = row.first.min(at);
            row.rest.insert(later);
            return self.lead(n);
        }
        let turns = prefers.iter().any(|want| !want.schedule.is_constant());
        if let (Err(at), Ok(n)) = (found, u32::try_from(self.rows.len())) {
            self.order.insert(at, n);
        }
        self.leads.push(Lead { place: at.0, plain: Plain::new(prefers) });
        self.rows.push(Row { first: at, prefers: prefers.clone(), turns, rest: BTreeSet::new() });
    }

    /// An item leaves its row.
    pub(super) fn remove(&mut self, at: (Place, WorkItemId), prefers: &Arc<[Want]>) {
        let Ok((at_order, n)) = self.find(prefers) else { return };
        let Some(row) = self.rows.get_mut(n) else { return };
        if row.first != at {
            row.rest.remove(&at);
            return;
        }
        if let Some(first) = row.rest.pop_first() {
            row.first = first;
            return self.lead(n);
        }
        // The last row gets the number of the one that goes.
        let last = self.rows.last().map(|row| row.prefers.clone());
        if let Some((moved, _)) = last.and_then(|prefers| self.find(&prefers).ok())
            && let (Some(number), Ok(n)) = (self.order.get_mut(moved), u32::try_from(n))
        {
            *number = n;
        }
        self.order.remove(at_order);
        self.rows.swap_remove(n);
        self.leads.swap_remove(n);
    }

    /// Where the row that prefers this stands in the order, and its number; or where it would stand.
    fn find(&self, prefers: &[Want]) -> Result<(usize, usize), usize> {
        let of = |n: &u32| self.rows.get(*n as usize).map(|row| &*row.prefers);
        let at = self.order.binary_search_by(|n| of(n).cmp(&Some(prefers)))?;
        self.order.get(at).map(|&n| (at, n as usize)).ok_or(at)
    }

    fn row(&self, prefers: &[Want]) -> Option<&Row> {
        self.find(prefers).ok().and_then(|(_, n)| self.rows.get(n))
    }

    /// What leads the row is its longest wait.
    fn lead(&mut self, n: usize) {
        if let (Some(lead), Some(row)) = (self.leads.get_mut(n), self.rows.get(n)) {
            lead.place = row.first.0;
        }
    }
}
