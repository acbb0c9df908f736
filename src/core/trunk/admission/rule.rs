//! The rule to the letter: clauses 33 to 35 of the source claims, with their thresholds.

use std::fmt;

use super::Decimal;

/// What a tenant has and is permitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Trunks for each agent who is signed in.
    pub ratio: Decimal,
    /// Trunks when none is, and beyond the agents otherwise.
    pub after_hours: u32,
}

impl Terms {
    /// Clause 33: the whole trunks of `max(A * ratio, A + after_hours)`, A being the `agents` who are signed in and able to
    /// take work, busy or idle.
    pub fn permitted(self, agents: u32) -> u64 {
        // The floor of a maximum is the maximum of floors, and the second is whole.
        self.ratio.times_floor(agents).max(u64::from(agents) + u64::from(self.after_hours))
    }
}

/// A trunk group as it is now. What is not configured is not tested.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PoolFacts {
    /// Calls in progress.
    pub calls: u64,
    /// Circuits that there are.
    pub trunks: Option<u64>,
    /// Calls up to which the pool is not short.
    pub permitted: Option<u64>,
}

/// What a decision is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The tenant's contract.
    pub terms: Terms,
    /// Its agents who are signed in and able to take work.
    pub agents: u32,
    /// Its calls in progress.
    pub calls: u64,
    /// The pool that the call would use.
    pub pool: PoolFacts,
}

/// Which clauses hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clauses {
    /// 33: a tenant's permitted number.
    pub permitted: bool,
    /// 34: a short pool is kept for others who are likely to have calls.
    pub short: bool,
    /// 35: a call beyond the permitted number is accepted when enough others are likely to end.
    pub ending: bool,
}

impl Clauses {
    /// All of them.
    pub const ALL: Self = Self { permitted: true, short: true, ending: true };
}

/// From which chance on something counts as likely; equality counts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Thresholds {
    /// That another entitled tenant has a call.
    pub other: f64,
    /// That enough of the tenant's calls end.
    pub end: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { other: 0.5, end: 0.5 }
    }
}

/// The branch of the rule that decided.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Clause {
    /// No circuit is left.
    Hard,
    /// 33: within the permitted number.
    Within,
    /// 33: beyond the permitted number, and clause 35 does not hold.
    Beyond,
    /// 34: the pool can take it (told where clause 33 does not hold).
    Process,
    /// 34: the pool is short, and another tenant is likely to need it.
    Short,
    /// 35: beyond the permitted number, and too few calls are likely to end.
    Unlikely,
    /// 35: beyond the permitted number, but enough calls are likely to end.
    Ending,
}

impl Clause {
    /// As records have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Within => "33h",
            Self::Beyond => "33i",
            Self::Process => "34b",
            Self::Short => "34c",
            Self::Unlikely => "35c",
            Self::Ending => "35d",
        }
    }

    /// Whether the call is accepted.
    pub const fn accepts(self) -> bool {
        matches!(self, Self::Within | Self::Process | Self::Ending)
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was decided, and where a call stands by its tenant's permitted number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ruling {
    /// The branch that decided.
    pub clause: Clause,
    /// The tenant's permitted number, whole.
    pub permitted: u64,
    /// How many of its calls would have to end for this one to be within it; 0 for a call that is.
    pub need: u64,
}

/// Decides by the letter. The chances are asked for only where they count: `p_end` that at least so many of the tenant's calls
/// end within the window, `p_other` that another entitled tenant has a call within it.
///
/// The order of the tests, and so of the clause told, is: hard, 33, 35 only if 33 fails, 34.
pub fn decide(
    facts: &Facts,
    clauses: Clauses,
    thresholds: Thresholds,
    p_end: impl FnOnce(u64) -> f64,
    p_other: impl FnOnce() -> f64,
) -> Ruling {
    let permitted = facts.terms.permitted(facts.agents);
    let need = (facts.calls + 1).saturating_sub(permitted);
    let ruling = |clause| Ruling { clause, permitted, need };
    let pool = facts.pool;
    if pool.trunks.is_some_and(|trunks| pool.calls >= trunks) {
        return ruling(Clause::Hard);
    }
    let accepted = match (clauses.permitted, need, clauses.ending) {
        (false, ..) => Clause::Process,
        (true, 0, _) => Clause::Within,
        (true, _, false) => return ruling(Clause::Beyond),
        (true, need, true) if facts.calls >= need && p_end(need) >= thresholds.end => Clause::Ending,
        (true, _, true) => return ruling(Clause::Unlikely),
    };
    let short = pool.permitted.is_some_and(|most| pool.calls >= most);
    if clauses.short && short && p_other() >= thresholds.other {
        return ruling(Clause::Short);
    }
    ruling(accepted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::trunk::admission::testing::Dice;

    fn terms(ratio: &str, after_hours: u32) -> Terms {
        Terms { ratio: ratio.parse().unwrap(), after_hours }
    }

    #[test]
    fn the_permitted_number_grows_with_agents_and_after_hours_trunks() {
        let mut dice = Dice::new(1);
        for round in 0..20_000 {
            let ratio = format!("{}.{:03}", dice.below(4), dice.below(1_000));
            let (agents, after) = (dice.below(2_000) as u32, dice.below(60) as u32);
            let of = |agents, after| terms(&ratio, after).permitted(agents);
            let (here, more_agents, more_trunks) = (of(agents, after), of(agents + 1, after), of(agents, after + 1));
            assert!(more_agents > here && more_trunks >= here, "round {round}: {agents} x {ratio}, {after}");
            assert_eq!(of(0, after), u64::from(after), "nobody there: the after-hours trunks");
        }
    }

    #[test]
    fn equality_is_within_and_the_next_call_is_beyond() {
        let facts = |calls| Facts { terms: terms("1.15", 0), agents: 100, calls, pool: PoolFacts::default() };
        let of = |calls| decide(&facts(calls), Clauses::ALL, Thresholds::default(), |_| 0.0, || 1.0);
        assert_eq!(of(114), Ruling { clause: Clause::Within, permitted: 115, need: 0 });
        assert_eq!(of(115), Ruling { clause: Clause::Unlikely, permitted: 115, need: 1 });
    }

    #[test]
    fn chances_are_asked_for_only_where_they_count() {
        let facts = Facts {
            terms: terms("1", 0),
            agents: 4,
            calls: 2,
            pool: PoolFacts { calls: 2, trunks: Some(10), permitted: Some(5) },
        };
        let ruling = decide(
            &facts,
            Clauses::ALL,
            Thresholds::default(),
            |_| panic!("within the permitted number"),
            || panic!("not short"),
        );
        assert_eq!(ruling.clause, Clause::Within);
    }

    #[test]
    fn a_full_pool_takes_nothing_whatever_else_holds() {
        let mut dice = Dice::new(2);
        for round in 0..20_000 {
            let trunks = dice.below(50);
            let facts = Facts {
                terms: terms("1.5", dice.below(10) as u32),
                agents: dice.below(30) as u32,
                calls: dice.below(40),
                pool: PoolFacts { calls: dice.below(60), trunks: Some(trunks), permitted: Some(dice.below(50)) },
            };
            let clauses = Clauses { permitted: dice.below(2) > 0, short: dice.below(2) > 0, ending: dice.below(2) > 0 };
            let (end, other) = (dice.unit(), dice.unit());
            let ruling = decide(&facts, clauses, Thresholds::default(), |_| end, || other);
            assert_eq!(ruling.clause == Clause::Hard, facts.pool.calls >= trunks, "round {round}: {facts:?}");
            assert!(!ruling.clause.accepts() || facts.pool.calls < trunks, "round {round}: {facts:?}");
        }
    }
}
