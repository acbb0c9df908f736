//! The one place where clocks are read.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use crate::base::{Instant, Now, Timestamp};

/// A wait that is shorter is one of many: there is load.
const BRIEF: Duration = Duration::from_millis(1);

/// Both clocks of the system. `Copy`, so that every thread has its own with the same origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// A clock whose monotonic side starts now, one second after its zero.
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    /// Has the calling thread sleep.
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn rest(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        Now { mono: self.mono(), wall: wall() }
    }

    /// The monotonic clock alone.
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn mono(&self) -> Instant {
        Instant::from_micros(1_000_000) + self.origin.elapsed()
    }

    /// The system's instant at which the monotonic clock reads `at`, for timers of the executor.
    pub fn system(&self, at: Instant) -> std::time::Instant {
        self.origin + Duration::from_micros(at.as_micros().saturating_sub(1_000_000))
    }
}

/// When a thread that has nothing to do sleeps a little instead of waiting for its sources.
///
/// A wait costs system calls and a change of threads, as much as the work for a message. So where one wait follows the
/// other within `BRIEF`, turns begin some time apart, and what came meanwhile is taken together. A nap that brought
/// nothing is followed by a wait, and a wait that is not brief ends the load.
#[derive(Debug)]
pub struct Nap {
    apart: Duration,
    /// When the last nap or wait ended.
    woken: Instant,
    /// The last wait was a brief one.
    brief: bool,
    /// Nothing has come since the last nap.
    fruitless: bool,
}

impl Nap {
    /// Under load, turns are to begin so far apart.
    pub fn new(apart: Duration, now: Instant) -> Self {
        Self { apart, woken: now, brief: false, fruitless: false }
    }

    /// There was something to do.
    pub fn found(&mut self) {
        self.fruitless = false;
    }

    /// There is nothing to do before `due`: how long to sleep before the sources are asked again; `None`: wait for them.
    pub fn begin(&mut self, now: Instant, due: Option<Instant>) -> Option<Duration> {
        let rested = self.apart.saturating_sub(now.since(self.woken));
        let left = due.map_or(rested, |due| rested.min(due.since(now)));
        let naps = self.brief && !self.fruitless && !left.is_zero();
        self.fruitless = naps;
        naps.then_some(left)
    }

    /// A nap is over.
    pub fn end(&mut self, now: Instant) {
        self.woken = now;
    }

    /// A wait is over.
    pub fn waited(&mut self, since: Instant, now: Instant) {
        self.brief = now.since(since) < BRIEF;
        self.woken = now;
    }
}

/// CPU time that the whole process or the calling thread has taken.
pub fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The wall clock.
#[allow(clippy::disallowed_methods, reason = "this is the clock")]
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const APART: Duration = Duration::from_millis(1);

    fn at(us: u64) -> Instant {
        Instant::from_micros(us)
    }

    fn loaded() -> Nap {
        let mut nap = Nap::new(APART, at(0));
        nap.waited(at(0), at(100));
        nap
    }

    #[test]
    fn only_brief_waits_are_followed_by_a_nap() {
        let mut nap = Nap::new(APART, at(0));
        assert_eq!(nap.begin(at(0), None), None, "nothing is known of the load");
        nap.waited(at(0), at(5_000));
        assert_eq!(nap.begin(at(5_010), None), None, "packets come one by one");
        nap.waited(at(5_010), at(5_400));
        assert_eq!(nap.begin(at(5_600), None), Some(Duration::from_micros(800)), "1 ms after the last");
    }

    #[test]
    fn a_nap_that_brought_nothing_is_followed_by_a_wait() {
        let mut nap = loaded();
        assert!(nap.begin(at(200), None).is_some());
        nap.end(at(1_100));
        assert_eq!(nap.begin(at(1_110), None), None);
        // The wait was as short as before: there is load still.
        nap.waited(at(1_110), at(1_300));
        assert!(nap.begin(at(1_310), None).is_some());
        nap.end(at(2_300));
        nap.found();
        assert!(nap.begin(at(2_400), None).is_some(), "a fruitful one by the next");
    }

    #[test]
    fn a_nap_ends_when_something_is_due() {
        assert_eq!(loaded().begin(at(200), Some(at(450))), Some(Duration::from_micros(250)));
        assert_eq!(loaded().begin(at(200), Some(at(9_000))), Some(Duration::from_micros(900)));
        assert_eq!(loaded().begin(at(200), Some(at(150))), None, "what is due already is done at once");
        assert_eq!(loaded().begin(at(1_100), None), None, "the work took as long as the nap would");
    }
}
