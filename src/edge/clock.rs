//! The one place where clocks are read.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use crate::base::{Instant, Now, Timestamp};

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
