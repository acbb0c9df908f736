//! How busy the machine is: what the switch thread measures for the governor of new calls.

use std::time::Duration;

use rustix::time::ClockId;

use crate::base::Instant;
use crate::core::load::governor::{Sample, TICK};
use crate::edge::clock::cpu;

/// Gathers a [`Sample`] each [`TICK`]. Belongs to the switch thread, whose CPU time it reads.
pub(super) struct Meter {
    last: Instant,
    used: Used,
    queue: Option<Duration>,
    waiting: Duration,
    /// Since when nothing is read.
    blocked: Option<Instant>,
    store: Option<Duration>,
    cores: u32,
}

/// CPU time since the start.
#[derive(Clone, Copy, Default)]
pub(super) struct Used {
    pub process: Duration,
    pub switch: Duration,
    pub writer: Duration,
}

impl Used {
    /// Of the process and of the thread that asks; `writer` is the store writer's.
    pub fn now(writer: Duration) -> Self {
        Self { process: cpu(ClockId::ProcessCPUTime), switch: cpu(ClockId::ThreadCPUTime), writer }
    }
}

impl Meter {
    /// One that has yet to [`begin`](Self::begin).
    pub fn new(now: Instant) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
        Self {
            last: now,
            used: Used::default(),
            queue: None,
            waiting: Duration::ZERO,
            blocked: None,
            store: None,
            cores,
        }
    }

    /// The oldest datagram of a reading had waited so long. `None`: there was none.
    pub fn queued(&mut self, waited: Option<Duration>) {
        self.blocked = None;
        self.waiting = waited.unwrap_or_default();
        if let Some(waited) = waited {
            self.queue = Some(self.queue.map_or(waited, |least| least.min(waited)));
        }
    }

    /// Nothing is read, as there is too much to be done already: what comes waits at least since this began.
    pub fn blocked(&mut self, now: Instant) {
        let waited = now.since(*self.blocked.get_or_insert(now));
        self.waiting = waited;
        self.queue = Some(self.queue.map_or(waited, |least| least.min(waited)));
    }

    /// An answer waited so long for the disk.
    pub fn stored(&mut self, waited: Duration) {
        self.store = Some(self.store.map_or(waited, |least| least.min(waited)));
    }

    /// An answer has waited so long and goes on waiting: that counts where none was let go meanwhile.
    pub fn holding(&mut self, waited: Duration) {
        self.store.get_or_insert(waited);
    }

    /// When the next sample is due.
    pub fn due(&self) -> Instant {
        self.last + TICK
    }

    /// Measures from here on: what was used until now was no load.
    pub fn begin(&mut self, now: Instant, used: Used) {
        (self.last, self.used) = (now, used);
    }

    /// A sample; call it when one is [`due`](Self::due). `overflown` is what the sockets count.
    pub fn sample(&mut self, now: Instant, used: Used, overflown: u64) -> Sample {
        let sample = Sample {
            elapsed: now.since(self.last),
            queue: self.queue.take().unwrap_or_default(),
            waiting: self.waiting,
            store: self.store.take().unwrap_or_default(),
            cpu: used.process.saturating_sub(self.used.process),
            switch: used.switch.saturating_sub(self.used.switch),
            writer: used.writer.saturating_sub(self.used.writer),
            cores: self.cores,
            overflown,
        };
        self.begin(now, used);
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn at(after: u64) -> Instant {
        Instant::from_micros(1) + ms(after)
    }

    #[test]
    fn the_least_wait_of_a_tick_counts_and_the_last() {
        let mut meter = Meter::new(at(0));
        for waited in [Some(30), None, Some(10), Some(20)] {
            meter.queued(waited.map(ms));
        }
        meter.stored(ms(7));
        meter.stored(ms(5));
        meter.holding(ms(1));
        let sample = meter.sample(at(100), Used::default(), 3);
        assert_eq!((sample.queue, sample.waiting, sample.store), (ms(10), ms(20), ms(5)));
        assert_eq!((sample.elapsed, sample.overflown), (ms(100), 3));
        // What goes on waiting counts where nothing was let go.
        meter.holding(ms(40));
        let sample = meter.sample(at(200), Used::default(), 3);
        assert_eq!((sample.queue, sample.store), (Duration::ZERO, ms(40)));
    }

    #[test]
    fn while_nothing_is_read_what_comes_waits() {
        let mut meter = Meter::new(at(0));
        meter.queued(Some(ms(1)));
        let mut tick = |from: u64| {
            (from..from + 100).step_by(10).for_each(|now| meter.blocked(at(now)));
            meter.sample(at(from + 100), Used::default(), 0)
        };
        assert_eq!(tick(0).queue, Duration::ZERO);
        let sample = tick(100);
        assert_eq!((sample.queue, sample.waiting), (ms(100), ms(190)));
        meter.queued(None);
        meter.blocked(at(500));
        assert_eq!(meter.sample(at(500), Used::default(), 0).queue, Duration::ZERO, "anew");
    }

    #[test]
    fn what_the_start_took_is_no_load() {
        let mut meter = Meter::new(at(0));
        let used = |start: u64| Used { process: ms(start), switch: ms(start / 2), writer: ms(start / 4) };
        meter.begin(at(1000), used(400));
        assert_eq!(meter.due(), at(1000) + TICK);
        let sample = meter.sample(at(1100), used(480), 0);
        assert_eq!((sample.cpu, sample.switch, sample.writer), (ms(80), ms(40), ms(20)));
    }
}
