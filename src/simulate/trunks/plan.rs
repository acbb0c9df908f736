//! How many trunks tenants need together, and how many of them each is to be permitted: first by formula, then by the code that
//! admits live calls.
//!
//! The number of trunks is the least with which no more than a share of all calls is refused, and of each tenant's calls within
//! its permitted number no more than that share. What a tenant needs to be permitted is the least number that no more than that share
//! of its calls would be beyond, if those were refused.

use super::{Admitted, Batch, Measured, Rates, Trunks, run};
use crate::base::erlang::{blocking_of_peaked, lines_for};
use crate::core::trunk::admission::Decimal;
use crate::simulate::measure::Estimate;

/// Digits after the point of a ratio at least.
const RATIO_DIGITS_MIN: u32 = 2;
/// Digits after the point of a ratio at most: as many as a decimal has.
const RATIO_DIGITS_MAX: u32 = 9;
/// Calls of a run, about; its first hour does not count.
const CALLS_A_RUN: f64 = 40_000.0;
/// Shortest and longest run in hours.
const HOURS: (f64, f64) = (30.0, 20_000.0);

/// Traffic that asks for lines.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Load {
    /// Lines held on average, were there enough.
    pub erlangs: f64,
    /// Variance over mean of that; 1 of Poisson traffic.
    pub peakedness: f64,
}

impl Load {
    /// What a tenant's calls ask for. Of calls in bursts the number of lines held varies with the rate, as far as calls last long
    /// enough to forget it: `1 + v / (m (1/h + 1/on + 1/off))`, with mean `m` and variance `v` of the rate and mean talk time `h`.
    pub fn of_tenant(scenario: &Trunks, n: usize) -> Self {
        let none = Self { erlangs: 0.0, peakedness: 1.0 };
        let Some(tenant) = scenario.tenants.get(n) else { return none };
        let talk_s = tenant.talk.law().map_or(0.0, |law| law.mean_s());
        let rate = tenant.calls_per_hour / 3_600.0;
        let peakedness = scenario.bursts(tenant).filter(|_| talk_s > 0.0).map_or(1.0, |bursts| {
            let share = bursts.share();
            let spread = (bursts.factor - bursts.quiet()).powi(2) * share * (1.0 - share);
            1.0 + rate * spread / (talk_s.recip() + bursts.on_s.recip() + bursts.off_s.recip())
        });
        Self { erlangs: rate * talk_s, peakedness }
    }

    /// What all ask for together: they know nothing of each other, so variances add up.
    pub fn of_all(scenario: &Trunks) -> Self {
        let loads = (0..scenario.tenants.len()).map(|n| Self::of_tenant(scenario, n));
        let (erlangs, variance) =
            loads.fold((0.0, 0.0), |(sum, variance), of| (sum + of.erlangs, variance + of.erlangs * of.peakedness));
        Self { erlangs, peakedness: if erlangs > 0.0 { variance / erlangs } else { 1.0 } }
    }

    /// The share of it that so many lines refuse, by Erlang's formula and Hayward's equivalence.
    pub fn blocking(self, lines: u32) -> f64 {
        blocking_of_peaked(self.erlangs, self.peakedness, f64::from(lines))
    }

    /// The fewest lines that refuse no more than a share; `None` for more than can be counted.
    pub fn lines(self, share: f64) -> Option<u32> {
        lines_for(self.erlangs, self.peakedness, share)
    }
}

/// What so many trunks come to, by the code that admits live calls.
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    /// Trunks.
    pub trunks: u32,
    /// Of all calls, refused, in per cent.
    pub blocked: Estimate,
    /// Of each tenant: of its calls, in per cent, those refused, and those refused within its permitted number.
    pub tenants: Vec<[Estimate; 2]>,
}

impl Point {
    /// Of batches of the scenario with so many trunks.
    pub fn of(scenario: &Trunks, trunks: u32, batches: &[Batch]) -> Self {
        let measured = Measured::of(scenario, batches);
        let tenants = measured.tenants.iter().map(|[_, blocked, within]| [*blocked, *within]).collect();
        Self { trunks, blocked: Measured::blocked_of_all(batches), tenants }
    }

    /// The tenant whose calls within its permitted number are refused most often.
    pub fn worst_within(&self) -> Estimate {
        let within = self.tenants.iter().map(|[_, within]| *within);
        within.max_by(|a, b| a.mean.total_cmp(&b.mean)).unwrap_or_default()
    }

    /// Whether no more than a share (in per cent) is refused.
    pub fn does(&self, share_pct: f64) -> bool {
        self.blocked.mean <= share_pct && self.worst_within().mean <= share_pct
    }

    /// Whether it is known well enough: the interval is a tenth of the share, or the share is well off.
    pub fn is_sure(&self, share_pct: f64) -> bool {
        let sure = |of: Estimate| of.ci95 <= share_pct / 10.0 || (of.mean - share_pct).abs() > 2.0 * of.ci95;
        sure(self.blocked) && sure(self.worst_within())
    }
}

/// One run with so many trunks; its length follows from how many calls come.
pub fn try_out(scenario: &Trunks, trunks: u32, admitted: Admitted, seed: u64) -> Vec<Batch> {
    let calls = scenario.calls_per_hour().max(1e-6);
    let hours = (CALLS_A_RUN / calls).clamp(HOURS.0, HOURS.1);
    let mut tried = scenario.clone();
    (tried.trunks, tried.hours, tried.pool_permitted) = (trunks, hours, None);
    run(&tried, admitted, Rates::Estimated, seed, |_| ())
}

/// The scenario of one tenant alone.
pub fn alone(scenario: &Trunks, n: usize) -> Trunks {
    let mut one = scenario.clone();
    one.tenants = scenario.tenants.get(n).cloned().into_iter().collect();
    one
}

/// The least number, from 1 on, that does, where all above it do; looked for from a guess. `None` where none does up to far beyond
/// the guess.
///
/// # Errors
/// The first of `does`.
pub fn least<E>(guess: u32, mut does: impl FnMut(u32) -> Result<bool, E>) -> Result<Option<u32>, E> {
    let (mut low, mut high) = (0, None);
    let (mut at, mut step) = (guess.max(1), 1_u32);
    let most = guess.saturating_mul(8).saturating_add(64);
    while at > low && at <= most && high.is_none_or(|high| at < high) {
        if does(at)? {
            high = Some(at);
            at = at.saturating_sub(step);
        } else {
            low = at;
            at = at.saturating_add(step);
        }
        step = step.saturating_mul(2);
    }
    let Some(mut high) = high else { return Ok(None) };
    while high - low > 1 {
        let middle = low.midpoint(high);
        if does(middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(Some(high))
}

/// The least ratio, to hundredths or as many digits as the agents ask for, with which `agents` are permitted `calls`. 0 where
/// they are without any; `None` where no ratio does.
pub fn ratio_for(calls: u32, agents: u32, after_hours: u32) -> Option<Decimal> {
    if agents.saturating_add(after_hours) >= calls {
        return Some(Decimal::default());
    }
    // With a step of this size times the agents below 1, no number of calls is stepped over.
    let digits = agents.checked_ilog10()?.saturating_add(1).clamp(RATIO_DIGITS_MIN, RATIO_DIGITS_MAX);
    let unit = 10_u64.pow(digits);
    let steps = (u64::from(calls) * unit).div_ceil(u64::from(agents));
    format!("{}.{:0width$}", steps / unit, steps % unit, width = digits as usize).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::trunk::admission::rule::Terms;
    use crate::simulate::random::Random;

    fn scenario(tenants: &str) -> Trunks {
        let text = format!(r#"{{"kind": "trunks", "trunks": 10, "hours": 10, "tenants": [{tenants}]}}"#);
        Trunks::read("test.json", &text).expect("a scenario")
    }

    fn tenant(name: &str, calls: f64, more: &str) -> String {
        format!(
            r#"{{"name": "{name}", "agents": 6, "worth_within": 1, "worth_beyond": 0.5, "calls_per_hour": {calls},
                "talk": {{"law": "exponential", "mean_s": 180}}, "trunk_agent_ratio": "1.25", "after_hours_trunks": 0{more}}}"#
        )
    }

    #[test]
    fn a_ratio_is_the_least_that_permits_so_many() {
        assert_eq!(ratio_for(8, 6, 0).map(|r| r.to_string()).as_deref(), Some("1.34"));
        assert_eq!(ratio_for(115, 100, 0).map(|r| r.to_string()).as_deref(), Some("1.150"));
        assert_eq!(ratio_for(8, 6, 2), Some(Decimal::default()), "the others suffice");
        assert_eq!(ratio_for(3, 0, 2), None, "of nobody there is no multiple");
        let mut random = Random::new(7);
        for _ in 0..2_000 {
            let mut below = |most: u64| u32::try_from(random.bits() % most).expect("small");
            let (agents, after_hours) = (1 + below(5_000), below(30));
            let calls = 1 + below(3 * u64::from(agents) + 20);
            let ratio = ratio_for(calls, agents, after_hours).expect("a ratio");
            let permitted = |ratio| Terms { ratio, after_hours }.permitted(agents);
            assert!(permitted(ratio) >= u64::from(calls), "{agents} x {ratio}");
            // Not one more than was asked for, beside what there is without.
            assert!(permitted(ratio) <= u64::from(calls.max(agents + after_hours)), "{agents} x {ratio}");
        }
    }

    #[test]
    fn bursts_are_peaked_as_runs_are() {
        let bursts = r#", "bursts": {"factor": 3, "on_s": 600, "off_s": 1800}"#;
        let one = scenario(&tenant("a", 200.0, bursts));
        let load = Load::of_tenant(&one, 0);
        // 10 erlangs; a rate of 1/18 a second of which 3 and 1/3 times in turns: variance 4/3 of its square.
        assert!((load.erlangs - 10.0).abs() < 1e-9);
        let reckoned =
            1.0 + (200.0 / 3_600.0) * (8.0f64 / 3.0).powi(2) * 0.1875 / (1.0 / 180.0 + 1.0 / 600.0 + 1.0 / 1_800.0);
        assert!((load.peakedness - reckoned).abs() < 1e-9, "{load:?}");
        // The truth is between what Poisson traffic would need, and Hayward's equivalence, which knows no bound of bursts.
        let tried = |lines: u32| {
            let batches: Vec<Batch> = (1..=4).flat_map(|seed| try_out(&one, lines, Admitted::Sharing, seed)).collect();
            Point::of(&one, lines, &batches)
        };
        let lines = [Load { peakedness: 1.0, ..load }, load].map(|of| of.lines(0.01).expect("lines"));
        assert_eq!(lines.map(|lines| tried(lines).does(1.0)), [false, true], "{lines:?}");
    }

    #[test]
    fn the_least_is_found_from_whatever_guess() {
        for (wanted, guess) in [(1, 1), (1, 50), (7, 7), (7, 1), (7, 8), (300, 440), (300, 290), (90, 20)] {
            let mut asked = 0;
            let found = least(guess, |n| {
                asked += 1;
                Ok::<bool, ()>(n >= wanted)
            });
            assert_eq!(found, Ok(Some(wanted)));
            assert!(asked <= 2 || guess != wanted, "{asked} questions");
            assert!(asked <= 18, "{asked} questions from {guess} to {wanted}");
        }
        assert_eq!(least(10, |_| Ok::<bool, ()>(false)), Ok(None));
        assert_eq!(least(10, |_| Err::<bool, &str>("broken")), Err("broken"));
    }

    #[test]
    fn poisson_traffic_is_blocked_as_erlang_says() {
        let three = scenario(&["a", "b", "c"].map(|name| tenant(name, 100.0, "")).join(","));
        let load = Load::of_all(&three);
        assert_eq!((load.erlangs.round(), load.peakedness, load.lines(0.01)), (15.0, 1.0, Some(24)));
        let batches: Vec<Batch> = (1..=6).flat_map(|seed| try_out(&three, 24, Admitted::Sharing, seed)).collect();
        let tried = Point::of(&three, 24, &batches);
        let formula = 100.0 * load.blocking(24);
        assert!((tried.blocked.mean - formula).abs() < 2.0 * tried.blocked.ci95 + 0.02, "{formula} {tried:?}");
        assert!(tried.does(1.0) && tried.tenants.len() == 3 && alone(&three, 1).tenants[0].name == "b");
    }
}
