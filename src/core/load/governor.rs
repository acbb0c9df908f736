//! How many new calls a second are taken: found by measurement, not configured.
//!
//! # The control law
//!
//! Each [`TICK`] the edge hands over what it measured ([`Sample`]): CPU time, and how long messages stood in their socket
//! and answers waited for the disk, the *least* of the tick: a queue that was short once is a burst and drains by itself,
//! one that never was is a standing queue (the insight of CoDel, RFC 8289 section 3.2).
//!
//! **The queue is the measure, not the processor's time.** What a message costs falls when there is always another
//! one: less is slept and woken, and more answers share a commit. So a share of the processor says little of
//! what is left; a queue that begins to stand says it exactly. Nor is a call's cost taken from quiet times; what does not
//! change with the load is how many *messages* a call takes.
//!
//! | figure | how |
//! | --- | --- |
//! | pressure | the least wait in parts of [`QUEUE_TARGET`], or the disk's in parts of [`STORE_TARGET`]; 1 is what we want under load |
//! | messages a call | messages let in, of all kinds, a new call taken: a mean of some 10 s |
//! | capacity | messages a second that were let in while a queue stood; what was managed without a queue at least |
//! | offered | new calls by the time at which they *arrived*: one second's arrivals that are read in one tick after a stall are no flood |
//! | available | share of the machine that others leave us: the use in ticks with a standing queue; otherwise it grows back to 1 |
//!
//! | state | when | then |
//! | --- | --- | --- |
//! | open | a queue stood for .3 s, we had the CPU, and what was offered takes more messages than the capacity | limiting, from capacity / messages a call |
//! | open | a queue stood for 1 s and does not get shorter | the same |
//! | limiting | each tick | the limit grows by [`GAIN`] times (1 - pressure), and by [`HASTE`] times that where the processor is idle; it never falls by more than 2 %, and never rises beyond [`CEILING`] times capacity / messages a call: the second half of long calls is yet to come |
//! | limiting | always | tokens flow at the limit, less [`LEAN`] times (pressure - 1): this damps what the line above would swing |
//! | limiting | messages wait longer than [`STALE`] and more is offered than the limit | brake: no new call at all until the wait is below half of it. Nothing is learned meanwhile |
//! | limiting | nothing was held back for [`CALM`] | open |
//!
//! So a stall (another process has the CPU for some 100 ms, a slow disk) refuses nobody: without demand beyond the capacity
//! the backlog is worked off. The limit is spent through a bucket of `BURST`, from which strangers may take only what is
//! above a reserve, so that they get what calls leave.

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

/// Part of the bucket that is not for strangers.
const STRANGERS_RESERVE: f64 = 0.5;

/// The lowest limit, in calls a second: so many are tried whatever was measured, or nothing could be measured any more.
const LIMIT_MIN: f64 = 2.0;

/// Calls that must have been seen before a mean over them counts.
const CALLS_MIN: f64 = 50.0;

/// Messages that a call takes at least, and as far as nothing is known: INVITE, ACK and BYE.
const MESSAGES_MIN: f64 = 3.0;

/// What requests that begin no call may take of the limit: when the power comes back, all phones register at once.
const REQUEST_SHARE: f64 = 0.25;

/// So many of them a second are taken at least.
const REQUESTS_MIN: f64 = 20.0;

/// What the limit grows by in a tick in which nothing waited.
pub const GAIN: f64 = 0.01;

/// By how much more it grows, in [`GAIN`]s, where the processor is idle.
pub const HASTE: f64 = 8.0;

/// What the flow of tokens leans by for a pressure of 2. Together with [`GAIN`] it damps a queue's swing to about .7 of critical:
/// the queue integrates the excess, the limit integrates the queue.
pub const LEAN: f64 = 0.06;

/// The greatest lean, in pressures; for the limit itself the greatest step down.
const LEAN_MAX: f64 = 10.0;
const FALL_MAX: f64 = 2.0;

/// How far the limit may be beyond what the capacity is known to be.
pub const CEILING: f64 = 1.25;

/// What a fading mean keeps after a tick: it spans about a second.
const FADE: f64 = 0.9;

/// The same for the messages of a call: some ten seconds.
const WORK_FADE: f64 = 0.99;

/// By how much the least wait for the disk may rise in a tick: it doubles within half a minute.
const STORE_FLOOR_RISE: f64 = 1.002;

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

    /// How hard the wait presses; 1 is what we want under load. `floor` is what the disk takes at any load.
    fn pressure(&self, floor: f64) -> f64 {
        let queue = self.queue.as_secs_f64() / QUEUE_TARGET.as_secs_f64();
        queue.max(self.store.as_secs_f64() / STORE_TARGET.as_secs_f64().max(2.0 * floor))
    }
}

/// What asks to be let in, greatest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// A call to an emergency number.
    Emergency,
    /// A new call from a peer or phone that we know.
    Call,
    /// REGISTER, OPTIONS and the like from one that we know: without, its calls would not come, or go nowhere.
    Request,
    /// REGISTER, OPTIONS and the like from one whom we don't know, and anything else that a stranger sends.
    Stranger,
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
    /// Tokens for requests that begin no call, in messages.
    requests: f64,
    calm_since: Option<Instant>,
    /// How long what is read now has waited.
    waiting: Duration,
    braking: bool,
    /// Since the last tick: new calls taken and refused, and messages let in.
    taken: u64,
    held_back: u64,
    /// The same of what are no calls.
    others_held_back: u64,
    handled: u64,
    offered_rate: Rate,
    taken_rate: Rate,
    /// Messages and calls, fading together.
    work: (f64, f64),
    /// Messages a second; 0 while unknown.
    capacity: f64,
    available: f64,
    /// Seconds that an answer waits for the disk at the least: a disk may be slow by itself.
    store_floor: Option<f64>,
    pressure: f64,
    pressed_ticks: u32,
    /// Pressure and use of the last ticks, the newest last.
    lately: [(f64, f64); REMEMBERED],
    /// CPU of all threads and calls, fading together.
    cpu_cost: (f64, f64),
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
            requests: 0.0,
            calm_since: None,
            waiting: Duration::ZERO,
            braking: false,
            taken: 0,
            held_back: 0,
            others_held_back: 0,
            handled: 0,
            offered_rate: Rate::default(),
            taken_rate: Rate::default(),
            work: (0.0, 0.0),
            capacity: 0.0,
            available: 1.0,
            store_floor: None,
            pressure: 0.0,
            pressed_ticks: 0,
            lately: [(0.0, 0.0); REMEMBERED],
            cpu_cost: (0.0, 0.0),
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
        (self.cpu_cost.1 >= CALLS_MIN).then(|| self.cpu_cost.0 / self.cpu_cost.1)
    }

    /// Messages that a call takes, once enough calls were seen.
    pub fn messages_a_call(&self) -> Option<f64> {
        (self.work.1 >= CALLS_MIN).then(|| (self.work.0 / self.work.1).max(1.0))
    }

    /// Messages a second that can be handled, as far as that is known.
    pub fn capacity(&self) -> Option<f64> {
        Some(self.capacity).filter(|capacity| *capacity > 0.0)
    }

    /// What was measured last.
    pub fn last(&self) -> &Sample {
        &self.last
    }

    /// What is read from now on has waited so long.
    pub fn waited(&mut self, waiting: Duration) {
        self.waiting = waiting;
    }

    /// A message that belongs to a call was let in.
    pub fn handled(&mut self) {
        self.handled += 1;
    }

    /// Whether one more may come in. While open, everything may.
    pub fn admit(&mut self, now: Instant, class: Class) -> bool {
        let admitted = match self.limit {
            None => true,
            Some(limit) => {
                self.refill(now, limit);
                (matches!(class, Class::Emergency | Class::Request) || !self.brakes()) && self.take(limit, class)
            }
        };
        match (class, admitted) {
            (Class::Emergency | Class::Call, true) => self.taken += 1,
            (Class::Emergency | Class::Call, false) => self.held_back += 1,
            (Class::Request | Class::Stranger, true) => {}
            (Class::Request | Class::Stranger, false) => self.others_held_back += 1,
        }
        admitted
    }

    /// Applies the law.
    pub fn tick(&mut self, now: Instant, sample: Sample) {
        let others_held_back = std::mem::take(&mut self.others_held_back);
        let held_back = self.measure(&sample);
        let pressure = self.pressure;
        self.pressed_ticks = if pressure >= 1.0 { self.pressed_ticks.saturating_add(1) } else { 0 };
        self.lately.rotate_left(1);
        if let Some(newest) = self.lately.last_mut() {
            *newest = (pressure, sample.used());
        }
        self.last = sample;
        let Some(limit) = self.limit else {
            if self.is_overloaded(pressure) {
                self.begin(now);
            }
            return;
        };
        // A backlog that is being cleared says nothing of what can be served; nor does a queue that nobody fills.
        if !self.brakes() && (held_back > 0 || pressure > 1.0) {
            let mut lean = (1.0 - pressure).max(-FALL_MAX);
            if pressure < 0.5 {
                lean += HASTE * (1.0 - sample.used() / self.available).clamp(0.0, 1.0);
            }
            let next = limit * (1.0 + GAIN * lean);
            self.set_limit(now, next.min(self.affordable().map_or(next, |most| CEILING * most)));
        }
        if held_back + others_held_back > 0 || pressure >= 1.0 {
            self.calm_since = None;
        } else if now.since(*self.calm_since.get_or_insert(now)) >= CALM {
            self.limit = None;
        }
    }

    /// Takes what was measured into the means. Tells how many new calls were held back.
    fn measure(&mut self, sample: &Sample) -> u64 {
        let (taken, held_back) = (std::mem::take(&mut self.taken) as f64, std::mem::take(&mut self.held_back));
        let handled = std::mem::take(&mut self.handled) as f64;
        let seconds = sample.elapsed.as_secs_f64().max(0.001);
        // What was read now has arrived in this time.
        let arrived = seconds + self.last.waiting.as_secs_f64() - sample.waiting.as_secs_f64();
        self.offered_rate.add(taken + held_back as f64, arrived.max(seconds / 20.0), FADE);
        self.taken_rate.add(taken, seconds, FADE);
        let (used, rate) = (sample.used(), handled / seconds);
        if !sample.store.is_zero() {
            let wait = sample.store.as_secs_f64();
            self.store_floor = Some(self.store_floor.map_or(wait, |floor| (floor * STORE_FLOOR_RISE).min(wait)));
        }
        self.pressure = sample.pressure(self.store_floor.unwrap_or_default());
        let stands = self.pressure >= 1.0;
        // What is taken while a queue begins to stand is not yet done, and what is cleared away was taken before.
        let even = if self.limit.is_some() { !self.braking } else { !stands || self.messages_a_call().is_none() };
        if even {
            self.work = (self.work.0 * WORK_FADE + handled, self.work.1 * WORK_FADE + taken);
        }
        // A moment with less than before is a stall sooner than a slower machine.
        let follow = |known: f64, seen: f64| known + (seen - known) * if seen > known { 0.5 } else { 0.1 };
        if stands {
            // We took all that we got.
            self.available = follow(self.available, used);
        } else {
            self.available = (self.available * 1.02).max(used).min(1.0);
        }
        if stands && !self.braking {
            self.capacity = if self.capacity > 0.0 { follow(self.capacity, rate) } else { rate };
        } else if !stands {
            self.capacity = self.capacity.max(rate);
        }
        if self.limit.is_none() && !stands && taken > 0.0 {
            let fade = if self.cpu_cost.1 > 20.0 * CALLS_MIN { 0.98 } else { 1.0 };
            self.cpu_cost = (self.cpu_cost.0 * fade + sample.cpu.as_secs_f64(), self.cpu_cost.1 * fade + taken);
        }
        held_back
    }

    fn is_overloaded(&self, pressure: f64) -> bool {
        let used: f64 = self.lately.iter().map(|(_, used)| used).sum();
        let had_the_cpu = used >= 0.8 * self.available * REMEMBERED as f64;
        let too_much = self.affordable().is_some_and(|most| self.offered_rate.get() > most);
        let [(before, _), ..] = self.lately;
        (self.pressed_ticks >= 3 && had_the_cpu && too_much) || (self.pressed_ticks >= 10 && pressure >= 0.9 * before)
    }

    /// The first limit.
    fn begin(&mut self, now: Instant) {
        self.calm_since = None;
        // Of calls that have just begun, fewer messages were seen than they take.
        let messages = self.messages_a_call().unwrap_or_default().max(MESSAGES_MIN);
        self.set_limit(now, self.capacity().map_or_else(|| self.taken_rate.get(), |capacity| capacity / messages));
    }

    /// Calls a second that the capacity is enough for.
    fn affordable(&self) -> Option<f64> {
        Some(self.capacity()? / self.messages_a_call()?)
    }

    /// Tokens a second: the limit, leaning against the queue.
    fn flow(&self, limit: f64) -> f64 {
        limit * (1.0 + LEAN * (1.0 - self.pressure).max(-LEAN_MAX))
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
                self.requests = self.request_rate(limit);
            }
        }
        self.limit = Some(limit);
        self.tokens = self.tokens.min(burst(limit));
    }

    fn refill(&mut self, now: Instant, limit: f64) {
        let seconds = now.since(self.refilled).as_secs_f64();
        self.refilled = now;
        self.tokens = (self.tokens + self.flow(limit) * seconds).min(burst(limit));
        self.emergency = (self.emergency + emergency_rate(limit) * seconds).min(emergency_burst(limit));
        // A second's worth may come at once.
        let requests = self.request_rate(limit);
        self.requests = (self.requests + requests * seconds).min(requests);
    }

    /// Requests a second that begin no call: a quarter of what the limit is in messages.
    fn request_rate(&self, limit: f64) -> f64 {
        (REQUEST_SHARE * limit * self.messages_a_call().unwrap_or(MESSAGES_MIN)).max(REQUESTS_MIN)
    }

    fn take(&mut self, limit: f64, class: Class) -> bool {
        if class == Class::Request {
            let taken = self.requests >= 1.0;
            if taken {
                self.requests -= 1.0;
                self.tokens = (self.tokens - 1.0 / self.messages_a_call().unwrap_or(MESSAGES_MIN)).max(-burst(limit));
            }
            return taken;
        }
        let reserve = if class == Class::Stranger { STRANGERS_RESERVE } else { 0.0 };
        if self.tokens >= 1.0 + reserve * burst(limit) {
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
