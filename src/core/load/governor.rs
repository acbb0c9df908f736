//! How many new calls a second are taken: found by measurement, not configured.
//!
//! # The control law
//!
//! Each [`TICK`] the edge hands over what it measured ([`Sample`]): the CPU time of the threads that a call costs, and how
//! long messages stood in their socket and answers waited for the disk, the *least* of the tick: a queue that was short
//! once is a burst and drains by itself, one that never was is a standing queue (the insight of CoDel, RFC 8289
//! section 3.2). From it come, as fading means:
//!
//! | figure | how |
//! | --- | --- |
//! | use | share of the busiest resource that signalling takes: the switch thread's core, the store writer's, or all cores less what other threads (media) take of them |
//! | cost of a call | use a call taken; learned in quiet times, corrected slowly while limiting |
//! | cost of a refusal | what is left of the use while limiting; begins at a 32nd of a call's |
//! | offered | new calls by the time at which they *arrived*: one second's arrivals that are read in one tick after a stall are no flood |
//! | available | what others leave us: the use in ticks with a standing queue, when we took all that we got; otherwise grows back to 1 |
//! | budget | `available` times a share of .8 to 1 that follows the queue: slowly up while there is none, down while one stands; less what it takes to work off the queue in a second |
//!
//! | state | when | then |
//! | --- | --- | --- |
//! | open | a queue stood for .5 s, we had the CPU, and what was offered costs more than the budget | limiting |
//! | open | a queue stood for 1 s and does not get shorter | limiting, from the rate that was sustained |
//! | limiting | each tick | limit = (budget - cost of refusals made) / cost of a call; upwards by a fifth a tick as far as was sustained before, by .5 % beyond, by 2 % while much is left |
//! | limiting | messages wait longer than [`STALE`] and more is offered than the limit | brake: no new call at all until the wait is below half of it. What is known of costs stays as it is |
//! | limiting | nothing was held back for [`CALM`] | open |
//!
//! So a stall (another process has the CPU for some 100 ms, a slow disk) refuses nobody: without demand beyond the budget the
//! backlog is worked off. The limit is spent through a bucket of `BURST`, from which lesser classes may take only what is
//! above their reserve, so that they get what greater ones leave.

use std::time::Duration;

use crate::base::Instant;

/// How often the law is applied.
pub const TICK: Duration = Duration::from_millis(100);

/// How long a datagram may stand in its socket.
pub const QUEUE_TARGET: Duration = Duration::from_millis(20);

/// How long an answer may wait for the disk: then callers begin to send again (T1, RFC 3261 section 17.1.1.1). Less is a slow
/// disk, and fewer calls would not make it faster.
pub const STORE_TARGET: Duration = Duration::from_millis(500);

/// While limiting, new calls that have waited for longer are refused: there are fresher ones.
pub const STALE: Duration = Duration::from_millis(200);

/// What must be offered for that, in limits: less is a backlog that drains.
const BRAKE_FROM: f64 = 1.2;

/// How long nothing must have been held back before the limit goes.
pub const CALM: Duration = Duration::from_secs(10);

/// The bucket holds this much of the limit.
const BURST: Duration = Duration::from_millis(100);

/// The lowest limit, in calls a second: so many are tried whatever was measured, or nothing could be measured any more.
const LIMIT_MIN: f64 = 2.0;

/// Calls whose cost must have been seen before the estimate counts.
const COST_CALLS_MIN: f64 = 50.0;

/// A refusal's cost in that of a call, until it is known; and between what it can be.
const REFUSAL_SHARE: f64 = 1.0 / 32.0;
const REFUSAL_SHARE_MIN: f64 = 1.0 / 200.0;
const REFUSAL_SHARE_MAX: f64 = 1.0 / 8.0;

/// The share of what is available that is planned with, and its bounds.
const SHARE: f64 = 0.9;
const SHARE_MIN: f64 = 0.8;
const SHARE_MAX: f64 = 1.0;

/// What a fading mean keeps after a tick: it spans about a second.
const FADE: f64 = 0.9;

/// The same of the rate that was sustained: about five seconds.
const SUSTAINED_FADE: f64 = 0.98;

/// Ticks of which pressure is remembered.
const REMEMBERED: usize = 5;

/// What was measured in a tick.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Sample {
    /// Time since the last sample.
    pub elapsed: Duration,
    /// How long the oldest datagram had waited when it was read; the least of all readings. Zero where nothing came.
    pub queue: Duration,
    /// The same of the last reading.
    pub waiting: Duration,
    /// How long an answer waited for the facts behind it to be durable; the least. Zero where none did.
    pub store: Duration,
    /// CPU time of the whole process.
    pub cpu: Duration,
    /// CPU time of the switch thread alone.
    pub switch: Duration,
    /// CPU time of the store's writer alone.
    pub writer: Duration,
    /// Cores that the process may use.
    pub cores: u32,
    /// Datagrams that the kernel dropped since the start because our sockets were full.
    pub overflown: u64,
}

impl Sample {
    /// Share of the busiest resource that signalling takes.
    fn used(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64().max(0.001);
        let (switch, writer) = (self.switch.as_secs_f64() / seconds, self.writer.as_secs_f64() / seconds);
        let others = (self.cpu.as_secs_f64() / seconds - switch - writer).max(0.0);
        let cores = f64::from(self.cores.max(1));
        let left = (cores - others).max(cores / 20.0);
        switch.max(writer).max((switch + writer) / left).min(1.0)
    }

    /// How hard the wait presses; 1 is the most we allow.
    fn pressure(&self) -> f64 {
        let queue = self.queue.as_secs_f64() / QUEUE_TARGET.as_secs_f64();
        queue.max(self.store.as_secs_f64() / STORE_TARGET.as_secs_f64())
    }
}

/// What asks to be let in, greatest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// A call to an emergency number.
    Emergency,
    /// A new call from a peer or phone that we know.
    Call,
    /// REGISTER, OPTIONS and the like from one whom we don't know, and anything else that a stranger sends.
    Stranger,
}

impl Class {
    /// Part of the bucket that is not for this class.
    fn reserve(self) -> f64 {
        match self {
            Self::Emergency | Self::Call => 0.0,
            Self::Stranger => 0.5,
        }
    }
}

/// A rate as a fading mean.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Rate {
    count: f64,
    seconds: f64,
}

impl Rate {
    fn add(&mut self, count: f64, seconds: f64, fade: f64) {
        self.count = self.count * fade + count;
        self.seconds = self.seconds * fade + seconds;
    }

    fn get(&self) -> f64 {
        if self.seconds > 0.0 { self.count / self.seconds } else { 0.0 }
    }
}

/// The law with its state. See the module.
#[derive(Clone, PartialEq, Debug)]
pub struct Governor {
    /// Calls a second; `None`: open.
    limit: Option<f64>,
    tokens: f64,
    refilled: Instant,
    /// Tokens for emergency calls beyond the limit.
    emergency: f64,
    calm_since: Option<Instant>,
    /// How long what is read now has waited.
    waiting: Duration,
    braking: bool,
    /// Since the last tick: new calls taken and refused, and refusals made, those that were made again included.
    taken: u64,
    held_back: u64,
    refusals: u64,
    offered_rate: Rate,
    taken_rate: Rate,
    refusal_rate: Rate,
    used: Rate,
    sustained: Rate,
    available: f64,
    share: f64,
    pressed_ticks: u32,
    /// Pressure and use of the last ticks, the newest last.
    lately: [(f64, f64); REMEMBERED],
    /// Use and calls, fading together.
    cost: (f64, f64),
    /// CPU of all threads and calls, fading together.
    cpu_cost: (f64, f64),
    refusal: Option<f64>,
    last: Sample,
}

impl Governor {
    /// Open.
    pub fn new(now: Instant) -> Self {
        Self {
            limit: None,
            tokens: 0.0,
            refilled: now,
            emergency: 0.0,
            calm_since: None,
            waiting: Duration::ZERO,
            braking: false,
            taken: 0,
            held_back: 0,
            refusals: 0,
            offered_rate: Rate::default(),
            taken_rate: Rate::default(),
            refusal_rate: Rate::default(),
            used: Rate::default(),
            sustained: Rate::default(),
            available: 1.0,
            share: SHARE,
            pressed_ticks: 0,
            lately: [(0.0, 0.0); REMEMBERED],
            cost: (0.0, 0.0),
            cpu_cost: (0.0, 0.0),
            refusal: None,
            last: Sample::default(),
        }
    }

    /// Calls a second that are taken at most now; `None` while nothing presses.
    pub fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// New calls a second that were asked for, and that were taken: means of about a second.
    pub fn rates(&self) -> (f64, f64) {
        (self.offered_rate.get(), self.taken_rate.get())
    }

    /// CPU seconds a call, all threads, once enough calls were seen; of times in which all were taken.
    pub fn cpu_cost(&self) -> Option<f64> {
        (self.cpu_cost.1 >= COST_CALLS_MIN).then(|| self.cpu_cost.0 / self.cpu_cost.1)
    }

    /// What a refusal costs, in calls, as seen under a limit.
    pub fn refusal_share(&self) -> Option<f64> {
        Some(self.refusal? / self.cost()?)
    }

    /// The share of the machine that is there for us and planned with. What stands in the queue wants its part of it.
    pub fn budget(&self) -> f64 {
        self.available * self.share * self.drain_share()
    }

    fn drain_share(&self) -> f64 {
        1.0 - self.last.queue.as_secs_f64().min(0.3)
    }

    /// What was measured last.
    pub fn last(&self) -> &Sample {
        &self.last
    }

    /// What is read from now on has waited so long.
    pub fn waited(&mut self, waiting: Duration) {
        self.waiting = waiting;
    }

    /// A refusal was made, be it for the first time or again.
    pub fn refused(&mut self) {
        self.refusals += 1;
    }

    /// Whether one more may come in. While open, everything may.
    pub fn admit(&mut self, now: Instant, class: Class) -> bool {
        let admitted = match self.limit {
            None => true,
            Some(limit) => {
                self.refill(now, limit);
                (class == Class::Emergency || !self.brakes()) && self.take(limit, class)
            }
        };
        if class != Class::Stranger {
            *(if admitted { &mut self.taken } else { &mut self.held_back }) += 1;
        }
        admitted
    }

    /// Applies the law.
    pub fn tick(&mut self, now: Instant, sample: Sample) {
        let (taken, held_back) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.held_back));
        let pressed = sample.pressure() >= 1.0;
        self.measure(&sample, taken, held_back);
        self.pressed_ticks = if pressed { self.pressed_ticks.saturating_add(1) } else { 0 };
        self.lately.rotate_left(1);
        if let Some(newest) = self.lately.last_mut() {
            *newest = (sample.pressure(), sample.used());
        }
        self.last = sample;
        let Some(limit) = self.limit else {
            if self.is_overloaded(&sample) {
                self.begin(now);
            }
            return;
        };
        // A backlog that is being cleared says nothing of what can be served.
        if !self.braking {
            if pressed {
                self.share = (self.share - 0.004).max(SHARE_MIN);
            } else if held_back > 0 {
                self.share = (self.share + 0.002).min(SHARE_MAX);
            }
            self.set_limit(now, self.next_limit(limit, pressed));
        }
        match held_back {
            0 if !pressed => {
                let since = *self.calm_since.get_or_insert(now);
                if now.since(since) >= CALM {
                    self.limit = None;
                    self.share = SHARE;
                }
            }
            _ => self.calm_since = None,
        }
    }

    /// Takes what was measured into the means.
    fn measure(&mut self, sample: &Sample, taken: u64, held_back: u64) {
        let seconds = sample.elapsed.as_secs_f64().max(0.001);
        let refusals = std::mem::take(&mut self.refusals);
        let (taken, held_back) = (taken as f64, held_back as f64);
        // What was read now has arrived in this time.
        let arrived = seconds + self.last.waiting.as_secs_f64() - sample.waiting.as_secs_f64();
        self.offered_rate.add(taken + held_back, arrived.max(seconds / 20.0), FADE);
        self.taken_rate.add(taken, seconds, FADE);
        if !self.braking {
            self.sustained.add(taken, seconds, SUSTAINED_FADE);
        }
        self.refusal_rate.add(refusals as f64, seconds, FADE);
        let used = sample.used();
        self.used.add(used * seconds, seconds, FADE);
        if sample.pressure() >= 1.0 {
            // We took all that we got. Less than that for a moment is a stall.
            self.available += (used - self.available) * if used > self.available { 0.5 } else { 0.1 };
        } else {
            self.available = (self.available * 1.02).max(used).min(1.0);
        }
        if self.limit.is_some() {
            self.correct_costs();
        } else if taken > 0.0 && refusals == 0 && sample.pressure() < 1.0 {
            // What is taken while a queue stands is not yet done.
            let fade = if self.cost.1 > 20.0 * COST_CALLS_MIN { 0.98 } else { 1.0 };
            let add = |(cost, calls): (f64, f64), more: f64| (cost * fade + more, calls * fade + taken);
            self.cost = add(self.cost, used * seconds);
            self.cpu_cost = add(self.cpu_cost, sample.cpu.as_secs_f64());
        }
    }

    /// What a call costs, in seconds of the busiest resource.
    fn cost(&self) -> Option<f64> {
        (self.cost.1 >= COST_CALLS_MIN).then(|| self.cost.0 / self.cost.1)
    }

    /// What a refusal costs, in the same.
    fn refusal(&self, call: f64) -> f64 {
        self.refusal.unwrap_or(call * REFUSAL_SHARE)
    }

    /// What the costs do not explain is shared between them.
    fn correct_costs(&mut self) {
        let (taken, refused) = (self.taken_rate.get(), self.refusal_rate.get());
        let Some(call) = self.cost() else { return };
        let refusal = self.refusal(call);
        let rest = self.used.get() - taken * call - refused * refusal;
        if refused > 0.5 * taken {
            let corrected = refusal + 0.02 * rest / refused;
            self.refusal = Some(corrected.clamp(call * REFUSAL_SHARE_MIN, call * REFUSAL_SHARE_MAX));
        }
        if taken >= LIMIT_MIN {
            self.cost.0 = (call + 0.02 * rest / taken).max(call / 2.0) * self.cost.1;
        }
    }

    fn is_overloaded(&self, sample: &Sample) -> bool {
        let used: f64 = self.lately.iter().map(|(_, used)| used).sum();
        let had_the_cpu = used >= 0.8 * self.available * REMEMBERED as f64;
        let too_much = self.cost().is_some_and(|cost| self.offered_rate.get() * cost > self.available * self.share);
        let [(before, _), ..] = self.lately;
        (self.pressed_ticks >= 5 && had_the_cpu && too_much)
            || (self.pressed_ticks >= 10 && sample.pressure() >= 0.9 * before)
    }

    /// The first limit: by cost where it is known, else what was taken, and less than that: it was too much.
    fn begin(&mut self, now: Instant) {
        let taken = self.taken_rate.get();
        if self.cost().is_none() && taken > 0.0 {
            // Much of what was taken is not yet done, or it would not be too much.
            self.cost = (1.2 * COST_CALLS_MIN * self.used.get() / taken, COST_CALLS_MIN);
        }
        self.calm_since = None;
        let limit = self.affordable().unwrap_or(taken);
        // As far as that it may rise quickly once the queue is gone.
        self.sustained = Rate { count: limit / self.drain_share(), seconds: 1.0 };
        self.set_limit(now, limit);
    }

    /// Calls a second that the budget pays for, beside the refusals that are made.
    fn affordable(&self) -> Option<f64> {
        let cost = self.cost()?;
        let left = self.budget() - self.refusal_rate.get() * self.refusal(cost);
        // However many are refused, some are taken.
        Some(left.max(self.budget() / 10.0) / cost)
    }

    fn next_limit(&self, limit: f64, pressed: bool) -> f64 {
        let Some(affordable) = self.affordable() else { return limit * if pressed { 0.9 } else { 1.05 } };
        let sustained = self.sustained.get();
        let step = if self.used.get() < 0.85 * self.budget() { 1.02 } else { 1.005 };
        affordable.min((limit * 1.2).min(sustained).max(limit * step))
    }

    /// Whether stale work is cleared away first, because more is offered than can be taken.
    fn brakes(&mut self) -> bool {
        let than = if self.braking { STALE / 2 } else { STALE };
        let beyond = self.limit.is_some_and(|limit| self.offered_rate.get() > BRAKE_FROM * limit);
        self.braking = beyond && self.waiting > than;
        self.braking
    }

    fn set_limit(&mut self, now: Instant, limit: f64) {
        let limit = limit.max(LIMIT_MIN);
        match self.limit {
            Some(old) => self.refill(now, old),
            None => {
                self.refilled = now;
                self.tokens = 0.0;
                self.emergency = emergency_burst(limit);
            }
        }
        self.limit = Some(limit);
        self.tokens = self.tokens.min(burst(limit));
    }

    fn refill(&mut self, now: Instant, limit: f64) {
        let seconds = now.since(self.refilled).as_secs_f64();
        self.refilled = now;
        self.tokens = (self.tokens + limit * seconds).min(burst(limit));
        self.emergency = (self.emergency + emergency_rate(limit) * seconds).min(emergency_burst(limit));
    }

    fn take(&mut self, limit: f64, class: Class) -> bool {
        if self.tokens >= 1.0 + class.reserve() * burst(limit) {
            self.tokens -= 1.0;
            return true;
        }
        // Emergency calls have a share of their own beyond the limit: the others pay for it afterwards.
        if class == Class::Emergency && self.emergency >= 1.0 {
            self.emergency -= 1.0;
            self.tokens = (self.tokens - 1.0).max(-burst(limit));
            return true;
        }
        false
    }
}

fn burst(limit: f64) -> f64 {
    (limit * BURST.as_secs_f64()).max(2.0)
}

/// Emergency calls a second beyond the limit: a tenth of it, so that a flood of them cannot take the rest down.
fn emergency_rate(limit: f64) -> f64 {
    (limit * 0.1).max(1.0)
}

fn emergency_burst(limit: f64) -> f64 {
    emergency_rate(limit).max(5.0)
}

#[cfg(test)]
mod tests;
