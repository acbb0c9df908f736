//! What is learned of a tenant while its calls come and go: how often they come, and how long they last.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::likely::Talk;
use crate::base::lognormal::{Learned, LogNormal};
use crate::base::{Instant, Now};

/// Half-lives of the memories that a call rate is kept with, in seconds: 4 minutes to 16 hours.
const HALF_LIVES_S: [f64; 5] = [240.0, 900.0, 3_600.0, 14_400.0, 57_600.0];
/// Half-life of what is known of one hour of the day, in seconds of that hour: ten days.
const HOUR_HALF_LIFE_S: f64 = 36_000.0;
/// All memories: those by half-life, and the one by hour of the day.
const MEMORIES: usize = HALF_LIVES_S.len() + 1;
/// For how many calls the first guess of a rate stands, and for how many seconds of seeing at most: who floods is to be known within
/// seconds.
const GUESS_CALLS: f64 = 0.5;
const GUESS_S: f64 = 180.0;
/// How often, a second, another memory may come to be the best one: once in two hours.
const SWITCH_RATE: f64 = 1.0 / 7_200.0;
/// How many of the last calls weigh in the mean talk time.
const CALLS_MEMORY: f64 = 1_000.0;
/// So many calls of the whole day count for an hour's own.
const HOUR_CALLS: f64 = 200.0;
/// Talk time that is assumed of a tenant nothing is known of, in seconds, and for how many calls that stands.
const TALK_GUESS_S: f64 = 180.0;
const TALK_GUESS_CALLS: f64 = 5.0;

/// Calls in a time, both fading.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
struct Seen {
    calls: f64,
    seconds: f64,
}

impl Seen {
    fn fade(&mut self, passed_s: f64, half_life_s: f64) {
        let kept = (-passed_s * std::f64::consts::LN_2 / half_life_s).exp();
        self.calls *= kept;
        self.seconds = self.seconds * kept + (1.0 - kept) * half_life_s / std::f64::consts::LN_2;
    }
}

/// What was learned of a tenant's calls, to be kept over a restart.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Memory {
    seen: [Seen; HALF_LIVES_S.len()],
    hours: [Seen; 24],
    belief: [f64; MEMORIES],
    talk: TalkTime,
}

impl Memory {
    /// Of a call rate and a talk time.
    pub fn of(rate: &CallRate, talk: &TalkTime) -> Self {
        Self { seen: rate.seen, hours: rate.hours, belief: rate.belief, talk: *talk }
    }

    /// Both again. The time since it was written is not taken for one in which nobody called. None where it cannot have been
    /// learned.
    pub fn recall(&self, now: Now, guess: f64) -> Option<(CallRate, TalkTime)> {
        let good = |n: &f64| n.is_finite() && *n >= 0.0;
        let seen = self.seen.iter().chain(&self.hours).all(|seen| good(&seen.calls) && good(&seen.seconds));
        let belief = self.belief.iter().all(good) && (self.belief.iter().sum::<f64>() - 1.0).abs() < 1e-6;
        if !(seen && belief && self.talk.is_sound()) {
            return None;
        }
        let rate = CallRate { seen: self.seen, hours: self.hours, belief: self.belief, ..CallRate::new(now, guess) };
        Some((rate, self.talk))
    }
}

/// How often calls come: several exponentially weighted means side by side, short and long, and one for each hour of the day,
/// mixed by how well each has foretold what came (Bayes' rule for gaps of a Poisson process with a gamma-distributed rate, and a
/// small chance that another one becomes the best: Herbster and Warmuth's fixed share). Through steady times the longest memory
/// wins; in a burst the shortest is believed after a few calls.
///
/// Cold start: a guess counts like half a call, and like three minutes of seeing at most.
#[derive(Clone, Debug)]
pub struct CallRate {
    guess: f64,
    seen: [Seen; HALF_LIVES_S.len()],
    hours: [Seen; 24],
    hour: usize,
    /// How far each memory is believed; adds up to 1.
    belief: [f64; MEMORIES],
    last: Instant,
}

impl CallRate {
    /// Nothing seen yet; the guess is in calls a second.
    pub fn new(now: Now, guess: f64) -> Self {
        let belief = [1.0 / MEMORIES as f64; MEMORIES];
        let seen = [Seen::default(); HALF_LIVES_S.len()];
        Self { guess, seen, hours: [Seen::default(); 24], hour: hour_of(now), belief, last: now.mono }
    }

    /// Time has passed, at the end of which a call came or did not.
    pub fn pass(&mut self, now: Now, call: bool) {
        let passed_s = now.mono.since(self.last).as_secs_f64();
        self.last = now.mono;
        self.judge(passed_s, call);
        let come = if call { 1.0 } else { 0.0 };
        for (seen, half_life_s) in self.seen.iter_mut().zip(HALF_LIVES_S) {
            seen.fade(passed_s, half_life_s);
            seen.calls += come;
        }
        // What passed belongs to the hour that was; the next one begins with the next look, seconds later.
        if let Some(seen) = self.hours.get_mut(self.hour) {
            seen.fade(passed_s, HOUR_HALF_LIFE_S);
            seen.calls += come;
        }
        self.hour = hour_of(now);
    }

    /// Each memory is believed by the likelihood that it gave to what happened.
    fn judge(&mut self, passed_s: f64, call: bool) {
        let mut likely = self.memories().map(|(calls, seconds)| {
            let none = calls * (seconds / (seconds + passed_s)).ln();
            if call { none + (calls / (seconds + passed_s)).ln() } else { none }
        });
        let best = likely.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for (likely, belief) in likely.iter_mut().zip(self.belief) {
            *likely = belief * (*likely - best).exp();
            sum += *likely;
        }
        let switched = -(-SWITCH_RATE * passed_s).exp_m1();
        for (belief, likely) in self.belief.iter_mut().zip(likely) {
            *belief = (1.0 - switched) * likely / sum + switched / MEMORIES as f64;
        }
    }

    /// Calls and seconds of each memory, the guess included.
    fn memories(&self) -> [(f64, f64); MEMORIES] {
        let hour = self.hours.get(self.hour).copied().unwrap_or_default();
        let stands_s = (GUESS_CALLS / self.guess.max(1e-9)).min(GUESS_S);
        let with_guess = |seen: &Seen| (seen.calls + self.guess * stands_s, seen.seconds + stands_s);
        let mut memories = [with_guess(&hour); MEMORIES];
        for (memory, seen) in memories.iter_mut().zip(&self.seen) {
            *memory = with_guess(seen);
        }
        memories
    }

    /// Calls a second.
    pub fn rate(&self) -> f64 {
        self.memories().iter().zip(self.belief).map(|((calls, seconds), belief)| belief * calls / seconds).sum()
    }
}

fn hour_of(now: Now) -> usize {
    usize::try_from(now.wall.as_millis().div_euclid(3_600_000).rem_euclid(24)).unwrap_or(0)
}

/// How long calls last: their law, and by how much longer or shorter they are at each hour of the day. An hour counts for itself as
/// far as it is known, the whole day for the rest.
///
/// Cold start: a guess counts like five calls, which is what the calls of others in the pool last as far as those are known, else
/// 180 s; so that of two who both call for seconds alone the one that was heard first has no advantage. The law is exponential until
/// 30 calls were seen, and each hour's length the day's.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct TalkTime {
    calls: f64,
    mean_s: f64,
    law: Learned,
    #[serde(default)]
    hours: [OfHour; 24],
    /// The hour that is meant.
    #[serde(skip)]
    hour: usize,
    /// What calls are guessed to last.
    #[serde(skip, default = "talk_guess_s")]
    guess_s: f64,
}

fn talk_guess_s() -> f64 {
    TALK_GUESS_S
}

/// Calls that ended in one hour of the day.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
struct OfHour {
    calls: f64,
    mean_s: f64,
}

impl Default for TalkTime {
    fn default() -> Self {
        let (calls, mean_s, hours) = (0.0, 0.0, [OfHour::default(); 24]);
        Self { calls, mean_s, law: Learned::default(), hours, hour: 0, guess_s: TALK_GUESS_S }
    }
}

impl TalkTime {
    /// From here on the hour of now is meant.
    pub fn pass(&mut self, now: Now) {
        self.hour = hour_of(now);
    }

    /// How many calls were seen that still weigh, and what they last by themselves, in seconds.
    pub fn seen(&self) -> (f64, f64) {
        (self.calls, self.mean_s)
    }

    /// What calls are taken to last as long as few were seen: what others' of the pool last, of whom so many were seen.
    pub fn guess(&mut self, (calls, sum_s): (f64, f64)) {
        self.guess_s = (TALK_GUESS_CALLS * TALK_GUESS_S + sum_s) / (TALK_GUESS_CALLS + calls);
    }

    /// The mean of the whole day, in seconds.
    fn day_s(&self) -> f64 {
        (self.calls * self.mean_s + TALK_GUESS_CALLS * self.guess_s) / (self.calls + TALK_GUESS_CALLS)
    }

    /// A call has ended.
    pub fn learn(&mut self, now: Now, talk: Duration) {
        self.pass(now);
        self.calls = (self.calls + 1.0).min(CALLS_MEMORY);
        self.mean_s += (talk.as_secs_f64() - self.mean_s) / self.calls;
        self.law.learn(talk, CALLS_MEMORY);
        if let Some(hour) = self.hours.get_mut(self.hour) {
            hour.calls = (hour.calls + 1.0).min(CALLS_MEMORY);
            hour.mean_s += (talk.as_secs_f64() - hour.mean_s) / hour.calls;
        }
    }

    fn is_sound(&self) -> bool {
        let hour = |hour: &OfHour| [hour.calls, hour.mean_s].iter().all(|n| n.is_finite() && *n >= 0.0);
        let day = [self.calls, self.mean_s].iter().all(|n| n.is_finite() && *n >= 0.0);
        day && self.law.is_sound() && self.hours.iter().all(hour)
    }

    /// The mean at this hour, in seconds; at least one.
    pub fn mean_s(&self) -> f64 {
        let hour = self.hours.get(self.hour).copied().unwrap_or_default();
        let known = hour.calls + HOUR_CALLS;
        ((hour.calls * hour.mean_s + HOUR_CALLS * self.day_s()) / known).max(1.0)
    }

    /// The law at this hour: the day's, for calls so much longer or shorter.
    pub fn law(&self) -> Talk {
        let Some(law) = self.law.law() else { return Talk::Exponential(self.mean_s()) };
        Talk::LogNormal(LogNormal { log_mean: law.log_mean + (self.mean_s() / self.day_s().max(1.0)).ln(), ..law })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::trunk::admission::testing::Dice;

    #[test]
    fn what_was_learned_is_recalled_and_nonsense_is_not() {
        let mut now = Now::default();
        let (mut rate, mut talk) = (CallRate::new(now, 0.01), TalkTime::default());
        for n in 0..200 {
            now = now.after(Duration::from_secs(20));
            rate.pass(now, true);
            talk.learn(now, Duration::from_secs(30 + n % 60));
        }
        let memory = Memory::of(&rate, &talk);
        let text = serde_json::to_string(&memory).expect("numbers");
        let read: Memory = serde_json::from_str(&text).expect("the same");
        let later = now.after(Duration::from_secs(86_400));
        let (again, talk_again) = read.recall(later, 0.01).expect("sound");
        assert!((again.rate() - rate.rate()).abs() < 0.05 * rate.rate(), "{} {}", again.rate(), rate.rate());
        // The hour that is meant comes with the next look.
        assert_eq!(TalkTime { hour: talk.hour, ..talk_again }, talk);
        for nonsense in [
            Memory { belief: [0.0; MEMORIES], ..memory.clone() },
            Memory { belief: [f64::NAN; MEMORIES], ..memory.clone() },
            Memory { talk: TalkTime { mean_s: -1.0, ..talk }, ..memory.clone() },
            Memory { seen: [Seen { calls: 1.0, seconds: f64::INFINITY }; HALF_LIVES_S.len()], ..memory },
        ] {
            assert!(nonsense.recall(later, 0.01).is_none());
        }
    }

    /// Lets calls come at a rate for so long, looked at every 10 s; gives the mean of the estimate over the last half.
    fn come(rate: &mut CallRate, now: &mut Now, dice: &mut Dice, per_s: f64, seconds: f64) -> f64 {
        let (mut passed, mut sum, mut looks) = (0.0, 0.0, 0.0);
        let mut next = dice.exponential(1.0 / per_s);
        while passed < seconds {
            let step = next.min(10.0);
            *now = now.after(Duration::from_secs_f64(step));
            passed += step;
            let call = next <= 10.0;
            rate.pass(*now, call);
            next = if call { dice.exponential(1.0 / per_s) } else { next - step };
            if passed > seconds / 2.0 {
                sum += rate.rate() * step;
                looks += step;
            }
        }
        sum / looks
    }

    #[test]
    fn a_steady_rate_is_found_however_wrong_the_guess() {
        for (seed, guess) in [(1, 0.0001), (2, 0.03), (3, 0.1)] {
            let mut now = Now::default();
            let mut rate = CallRate::new(now, guess);
            assert!((rate.rate() - guess).abs() < 1e-12);
            let found = come(&mut rate, &mut now, &mut Dice::new(seed), 0.03, 20_000.0);
            assert!((found / 0.03 - 1.0).abs() < 0.15, "seed {seed}: {found}");
            let end = rate.rate();
            assert!((end / 0.03 - 1.0).abs() < 0.15, "seed {seed}: {end}");
        }
    }

    #[test]
    fn a_burst_is_believed_within_minutes_and_its_end_too() {
        for seed in 0..5 {
            let (mut now, mut dice) = (Now::default(), Dice::new(seed));
            let mut rate = CallRate::new(now, 0.03);
            come(&mut rate, &mut now, &mut dice, 0.03, 40_000.0);
            let burst = come(&mut rate, &mut now, &mut dice, 0.12, 900.0);
            assert!(burst > 0.055, "seed {seed}: {burst} in the burst");
            let after = come(&mut rate, &mut now, &mut dice, 0.03, 1_800.0);
            assert!(after < 0.05, "seed {seed}: {after} after it");
        }
    }

    #[test]
    fn an_hour_of_the_day_is_known_from_days_before() {
        // Four calls a minute from 9 to 10, one in ten minutes else.
        let (mut now, mut dice) = (Now::default(), Dice::new(9));
        let mut rate = CallRate::new(now, 0.01);
        for _ in 0..8 {
            come(&mut rate, &mut now, &mut dice, 1.0 / 600.0, 9.0 * 3_600.0);
            come(&mut rate, &mut now, &mut dice, 4.0 / 60.0, 3_600.0);
            come(&mut rate, &mut now, &mut dice, 1.0 / 600.0, 14.0 * 3_600.0);
        }
        let nine = rate.hours[9];
        assert!((nine.calls / nine.seconds * 15.0 - 1.0).abs() < 0.15, "{nine:?}");
        assert!(rate.hours[3].calls / rate.hours[3].seconds < 0.004);
    }

    #[test]
    fn talk_follows_the_hour_of_the_day() {
        // From 9 to 10 calls last ten minutes, else two; 30 an hour.
        let (mut now, mut talk) = (Now::default(), TalkTime::default());
        for n in 0..30 * 24 * 40 {
            now = now.after(Duration::from_secs(120));
            let long = hour_of(now) == 9;
            talk.learn(now, Duration::from_secs(if long { 570 } else { 105 } + n % 60));
        }
        let at = |hour: u64, talk: &TalkTime| {
            let mut talk = *talk;
            talk.pass(Now::default().after(Duration::from_secs(hour * 3_600 + 60)));
            (talk.mean_s(), talk.law())
        };
        let ((nine, law), (ten, shorter)) = (at(9, &talk), at(10, &talk));
        assert!((500.0..610.0).contains(&nine) && (120.0..150.0).contains(&ten), "{nine} {ten}");
        assert!(law.ends_within(0.0, 120.0) < shorter.ends_within(0.0, 120.0));
        // An hour of which little is known goes by the day.
        let mut talk = TalkTime::default();
        (0..1_000).for_each(|_| talk.learn(Now::default(), Duration::from_secs(60)));
        talk.pass(Now::default().after(Duration::from_secs(5 * 3_600)));
        assert!((talk.mean_s() - 60.0).abs() < 1.0, "{}", talk.mean_s());
    }

    #[test]
    fn talk_is_exponential_until_enough_is_known() {
        let mut talk = TalkTime::default();
        assert_eq!(talk.law(), Talk::Exponential(180.0));
        for n in 0..29 {
            talk.learn(Now::default(), Duration::from_secs(100 + n));
        }
        assert!(matches!(talk.law(), Talk::Exponential(_)));
        for n in 0..500 {
            talk.learn(Now::default(), Duration::from_secs(60 + n % 120));
        }
        assert!(matches!(talk.law(), Talk::LogNormal(_)));
        assert!((talk.mean_s() - 119.5).abs() < 4.0, "{}", talk.mean_s());
    }
}
