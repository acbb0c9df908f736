//! How long a wait will be, from what was measured.
//!
//! The estimate is the Markovian queue-length predictor QLm: with `s` agents, mean service time `m` and clients who
//! give up at rate `theta` each, the client with `q` others ahead is served after `sum over k = 0..=q of
//! 1 / (s/m + k * theta)`: the time until one more of those ahead has been served or has left, over and over.

use std::time::Duration;

use super::burden::Rival;
use super::engine::Engine;
use super::item::Queue;
use super::line::Place;
use crate::base::lognormal::{Learned, LogNormal};
use crate::base::{Instant, Medium, WorkItemId};

/// Services that weigh in the mean; older ones fade.
const MEMORY: f64 = 300.0;

/// Services that weigh in the law of service times.
const LAW_MEMORY: f64 = 500.0;

/// Seconds after which an arrival weighs a third in the rate.
const RATE_MEMORY_S: f64 = 3_600.0;

/// Abandonments after which the older half of the evidence is forgotten by halving.
const ABANDONED_MAX: f64 = 1_000.0;

/// Terms that are summed one by one; the rest of a long sum is its integral, off by less than 1 part in 1,000.
const EXACT_TERMS: f64 = 32.0;

/// No wait longer than this is foretold.
const FORETOLD_S_MAX: f64 = 86_400.0;

/// Waits of which it is learned by how much they are longer than foretold.
const BIAS_MEMORY: f64 = 500.0;

/// So many seconds that were foretold as they came to be.
const BIAS_PRIOR: f64 = 20.0 * 30.0 * 30.0;

/// Steps of a line that weigh in its pace, and the longest that counts: nights are no pace.
const PACE_MEMORY: f64 = 50.0;
const STEP_S_MAX: f64 = 3_600.0;

/// By how much waits are longer than foretold: what the agents do that the queue knows nothing of. The factor is the one with
/// the least squared error.
#[derive(Clone, Copy, Debug)]
struct Bias {
    /// Sum of foretold times waited.
    both: f64,
    /// Sum of foretold squared.
    foretold: f64,
}

impl Default for Bias {
    fn default() -> Self {
        Self { both: BIAS_PRIOR, foretold: BIAS_PRIOR }
    }
}

impl Bias {
    fn factor(self) -> f64 {
        (self.both / self.foretold).clamp(0.05, 20.0)
    }

    /// A wait has ended that was foretold with the factor.
    fn learn(&mut self, foretold_s: f64, waited_s: f64) {
        let alone_s = foretold_s / self.factor();
        self.both += alone_s * waited_s - self.both / BIAS_MEMORY;
        self.foretold += alone_s * alone_s - self.foretold / BIAS_MEMORY;
    }
}

/// What one queue has measured.
#[derive(Clone, Default, Debug)]
pub(super) struct Forecast {
    services: f64,
    service_s_mean: f64,
    law: Learned,
    abandoned: f64,
    waited_s: f64,
    bias: Bias,
    arrivals: f64,
    arrival_first: Option<Instant>,
    arrival_last: Instant,
}

impl Forecast {
    /// An agent was occupied this long by an item: ringing, conversation and wrap-up.
    pub(super) fn served(&mut self, occupied: Duration) {
        self.services = (self.services + 1.0).min(MEMORY);
        self.service_s_mean += (occupied.as_secs_f64() - self.service_s_mean) / self.services;
        self.law.learn(occupied, LAW_MEMORY);
    }

    /// An item came.
    pub(super) fn came(&mut self, now: Instant) {
        self.arrivals = self.fade(now) + 1.0;
        self.arrival_first.get_or_insert(now);
        self.arrival_last = now;
    }

    /// Arrivals that still weigh.
    fn fade(&self, now: Instant) -> f64 {
        self.arrivals * (-now.since(self.arrival_last).as_secs_f64() / RATE_MEMORY_S).exp()
    }

    /// Agents that the items keep busy: rate of arrivals times mean service. Zero until there is something to go by.
    pub(super) fn load(&self, now: Instant) -> f64 {
        let Some(first) = self.arrival_first.filter(|_| self.services >= 10.0) else { return 0.0 };
        // What a constant rate of one would have weighed since the first arrival.
        let seen_s = RATE_MEMORY_S * -(-now.since(first).as_secs_f64() / RATE_MEMORY_S).exp_m1();
        if seen_s < 60.0 { 0.0 } else { self.fade(now) / seen_s * self.service_s_mean }
    }

    /// The law of service times; none until it is known.
    pub(super) fn law(&self) -> Option<LogNormal> {
        self.law.law()
    }

    /// An item left the queue after this wait, given up or not.
    pub(super) fn waited(&mut self, wait: Duration, abandoned: bool) {
        self.waited_s += wait.as_secs_f64();
        self.abandoned += if abandoned { 1.0 } else { 0.0 };
        if self.abandoned > ABANDONED_MAX {
            self.abandoned /= 2.0;
            self.waited_s /= 2.0;
        }
    }

    /// Mean time in seconds for which an item occupies an agent; none until one was measured.
    pub(super) fn service_s(&self) -> Option<f64> {
        (self.services >= 1.0).then_some(self.service_s_mean)
    }

    /// Items that come in a second; zero until there is something to go by.
    pub(super) fn rate(&self, now: Instant) -> f64 {
        if self.service_s_mean > 0.0 { self.load(now) / self.service_s_mean } else { 0.0 }
    }

    /// A wait that was foretold has ended.
    pub(super) fn came_true(&mut self, foretold_s: f64, waited_s: f64) {
        self.bias.learn(foretold_s, waited_s);
    }

    /// Expected wait with `ahead` items before, of any queue, and `staff` agents at work, whom an item occupies for so many
    /// seconds.
    pub(super) fn expected_wait(&self, ahead: f64, staff: f64, occupied_s: f64) -> Duration {
        let served_per_s = staff.max(1e-6) / occupied_s.max(0.001);
        // Maximum likelihood of an exponential patience, waits that ended otherwise counting as censored.
        let theta = if self.waited_s > 0.0 { self.abandoned / self.waited_s } else { 0.0 };
        let summed = ahead.min(EXACT_TERMS - 1.0).floor();
        let exact: f64 = (0..=summed as u32).map(|k| 1.0 / (served_per_s + f64::from(k) * theta)).sum();
        let rest = integral(served_per_s, theta, summed + 0.5, ahead + 0.5);
        Duration::from_secs_f64(((exact + rest) * self.bias.factor()).min(FORETOLD_S_MAX))
    }
}

/// How fast a line of a medium that can wait moves on: what agents do beside, and how often they put it aside, is in it.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Pace {
    /// When the last item was taken, if others waited still.
    last: Option<Instant>,
    steps: f64,
    step_s: f64,
}

impl Pace {
    /// An item was taken, and others wait still or not.
    pub(super) fn taken(&mut self, now: Instant, others_wait: bool) {
        if let Some(last) = self.last {
            let step_s = now.since(last).as_secs_f64().min(STEP_S_MAX);
            self.steps = (self.steps + 1.0).min(PACE_MEMORY);
            self.step_s += (step_s - self.step_s) / self.steps;
        }
        self.last = others_wait.then_some(now);
    }

    /// Expected wait with so many items before; none until one was seen to move up.
    fn expected_wait(&self, ahead: f64) -> Option<Duration> {
        (self.steps >= 1.0).then(|| Duration::from_secs_f64(((ahead + 1.0) * self.step_s).min(FORETOLD_S_MAX)))
    }
}

/// How well waits were foretold.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Accuracy {
    count: u64,
    error: f64,
    waited: f64,
}

impl Accuracy {
    /// A wait that was foretold has ended.
    pub(super) fn compare(&mut self, foretold_s: f64, waited_s: f64) {
        self.count += 1;
        self.error += (foretold_s - waited_s).powi(2);
        self.waited += waited_s.powi(2);
    }

    /// How many.
    pub(super) fn count(self) -> u64 {
        self.count
    }

    /// Mean of the squared error over the mean of the squared waits; none before 30 of them.
    pub(super) fn error(self) -> Option<f64> {
        (self.count >= 30 && self.waited > 0.0).then(|| self.error / self.waited)
    }
}

impl Engine {
    /// Expected time from now until an agent answers, at most a day; none until the queue measured one service (of a medium
    /// that can wait: until an item moved up), or while nobody who fits works, or when the item does not wait here.
    pub fn expected_wait(&self, item: WorkItemId) -> Option<Duration> {
        let entry = self.items.get(&item)?;
        let queue = self.queues.get(&entry.entry.queue)?;
        let burden = self.burdens.get(queue.burden).filter(|burden| burden.staff > 0)?;
        let medium = entry.entry.medium;
        let own = queue.lines.of(medium)?.ahead(entry.place, item) as f64;
        if !medium.is_live() {
            return queue.paces.get(medium.index())?.expected_wait(own);
        }
        // Until it is worked out what else the agents do, they do nothing else.
        let (staff, occupied_s) = (f64::from(burden.staff), burden.occupied_s.or(queue.forecast.service_s())?);
        let alone = queue.forecast.expected_wait(own, staff, occupied_s);
        let turn = Turn {
            now: self.seen,
            from_now: alone,
            waited: entry.place.waited(self.seen) + alone,
            pressure: queue.pressure(medium),
            interrupts: medium.is_live(),
        };
        let beside = queue.ahead(&turn, Some(medium));
        let theirs = |rival: &Rival| rival.part * self.queues.get(&rival.queue).map_or(0.0, |q| q.ahead(&turn, None));
        let others = beside + burden.rivals.iter().map(theirs).sum::<f64>();
        Some(queue.forecast.expected_wait(own + others, staff, occupied_s))
    }
}

/// When an item's turn is likely to come, by its own queue and medium alone.
struct Turn {
    now: Instant,
    /// After so long.
    from_now: Duration,
    /// Having waited so long then.
    waited: Duration,
    /// By how much its urgency grows in a second.
    pressure: f64,
    /// Agents put emails aside for it.
    interrupts: bool,
}

impl Queue {
    /// How many items of the queue are taken before that turn, some of whom are yet to come; those of its own medium apart.
    fn ahead(&self, turn: &Turn, own: Option<Medium>) -> f64 {
        let others = Medium::ALL.into_iter().filter(|medium| Some(*medium) != own);
        let others = others.filter(|medium| !(turn.interrupts && *medium == Medium::Email));
        others.map(|medium| self.ahead_of(turn, medium)).sum()
    }

    fn ahead_of(&self, turn: &Turn, medium: Medium) -> f64 {
        let Some(line) = self.lines.of(medium) else { return 0.0 };
        let as_urgent_s = turn.waited.as_secs_f64() * turn.pressure / self.pressure(medium).max(1e-9);
        let has_waited_s = as_urgent_s - turn.from_now.as_secs_f64();
        if has_waited_s >= 0.0 {
            let place = Place::new(turn.now, Duration::from_secs_f64(has_waited_s.min(1e9)));
            return line.ahead(place, WorkItemId(u64::MAX)) as f64;
        }
        // What was measured of how often items come is of live ones, calls most of all.
        let come = if medium == Medium::Voice { -has_waited_s * self.forecast.rate(turn.now) } else { 0.0 };
        line.len() as f64 + come
    }
}

/// Integral of `1 / (rate + x * theta)` for x from `from` to `to`.
fn integral(rate: f64, theta: f64, from: f64, to: f64) -> f64 {
    let (low, high) = (rate + from * theta, rate + to * theta);
    let relative = (high - low) / low;
    if relative < 1e-6 { (to - from) / low } else { relative.ln_1p() / theta }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(forecast: &Forecast, ahead: f64, staff: f64) -> f64 {
        forecast.expected_wait(ahead, staff, forecast.service_s_mean).as_secs_f64()
    }

    fn after(services: usize, each_s: u64) -> Forecast {
        let mut forecast = Forecast::default();
        (0..services).for_each(|_| forecast.served(Duration::from_secs(each_s)));
        forecast
    }

    #[test]
    fn unknown_until_measured_and_bounded() {
        assert_eq!((Forecast::default().service_s(), after(1, 60).service_s()), (None, Some(60.0)));
        assert_eq!(seconds(&after(1, 60), 3.0, 0.0), FORETOLD_S_MAX);
    }

    #[test]
    fn what_waits_are_longer_by_is_learned_and_does_not_run_away() {
        let mut forecast = after(5, 120);
        for _ in 0..5_000 {
            let foretold = seconds(&forecast, 3.0, 4.0);
            forecast.came_true(foretold, 180.0);
        }
        assert!((seconds(&forecast, 3.0, 4.0) - 180.0).abs() < 1.0);
        // Whatever happened once.
        forecast.came_true(seconds(&forecast, 3.0, 4.0), 86_400.0);
        assert!(seconds(&forecast, 3.0, 4.0) < 600.0);
        for _ in 0..5_000 {
            forecast.came_true(seconds(&forecast, 3.0, 4.0), 0.0);
        }
        assert!(seconds(&forecast, 3.0, 4.0) > 1.0);
    }

    #[test]
    fn without_abandonment_it_is_places_times_service_over_staff() {
        let forecast = after(5, 120);
        assert_eq!(seconds(&forecast, 0.0, 4.0), 30.0);
        assert_eq!(seconds(&forecast, 3.0, 4.0), 120.0);
        assert_eq!(seconds(&forecast, 2.5, 4.0), 105.0, "half of one who may be before");
        assert_eq!(seconds(&forecast, 99.0, 4.0).round(), 3_000.0);
    }

    #[test]
    fn the_pace_of_a_line_is_that_of_its_steps_while_others_wait() {
        let mut pace = Pace::default();
        let at = |s: u64| Instant::from_micros(s * 1_000_000);
        pace.taken(at(0), true);
        assert_eq!(pace.expected_wait(0.0), None);
        (1..=10).for_each(|n| pace.taken(at(300 * n), true));
        pace.taken(at(3_300), false);
        assert_eq!(pace.expected_wait(2.0), Some(Duration::from_secs(900)));
        pace.taken(at(9_000), true);
        assert_eq!(pace.expected_wait(2.0), Some(Duration::from_secs(900)), "nobody waited before it");
        pace.taken(at(90_000), true);
        assert_eq!(pace.expected_wait(0.0), Some(Duration::from_secs(575)), "a night is an hour at most");
    }

    #[test]
    fn abandonment_shortens_the_wait_and_the_integral_follows_the_sum() {
        let mut forecast = after(5, 120);
        for n in 0..10 {
            forecast.waited(Duration::from_secs(150), n < 5);
        }
        let theta = 5.0 / 1_500.0;
        for ahead in [0, 1, 31, 32, 33, 200, 5_000] {
            let sum: f64 = (0..=ahead).map(|k| 1.0 / (4.0 / 120.0 + f64::from(k) * theta)).sum();
            let got = seconds(&forecast, f64::from(ahead), 4.0);
            assert!((got - sum).abs() <= sum * 0.001, "{ahead} ahead: {got} against {sum}");
        }
    }

    #[test]
    fn the_load_is_rate_times_service_and_fades() {
        let mut forecast = after(50, 120);
        let at = |s: u64| Instant::from_micros(s * 1_000_000);
        assert_eq!(forecast.load(at(0)), 0.0);
        (0..2_000).for_each(|n| forecast.came(at(n * 10)));
        let load = forecast.load(at(20_000));
        assert!((load - 12.0).abs() < 0.1, "{load}");
        let later = forecast.load(at(20_000 + 3_600));
        assert!(later < load * 0.4, "{later}");
    }

    #[test]
    fn the_mean_follows_a_change() {
        let mut forecast = after(1_000, 60);
        (0..3_000).for_each(|_| forecast.served(Duration::from_secs(180)));
        let wait = seconds(&forecast, 0.0, 1.0);
        assert!((wait - 180.0).abs() < 1.0, "{wait}");
    }
}
