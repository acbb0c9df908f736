//! How busy the machine is: what the switch thread measures for the governor of new calls.

use std::time::Duration;

use rustix::time::ClockId;

use crate::base::Instant;
use crate::core::load::governor::{Sample, TICK};
use crate::edge::clock::cpu;

/// Gathers a [`Sample`] each [`TICK`]. Belongs to the switch thread, whose CPU time it reads.
pub(super) struct Meter {
    last: Instant,
    process: Duration,
    thread: Duration,
    writer: Duration,
    queue: Option<Duration>,
    waiting: Duration,
    store: Option<Duration>,
    cores: u32,
}

impl Meter {
    pub fn new(now: Instant) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
        Self {
            last: now,
            process: Duration::ZERO,
            thread: Duration::ZERO,
            writer: Duration::ZERO,
            queue: None,
            waiting: Duration::ZERO,
            store: None,
            cores,
        }
    }

    /// The oldest datagram of a reading had waited so long. `None`: there was none.
    pub fn queued(&mut self, waited: Option<Duration>) {
        self.waiting = waited.unwrap_or_default();
        if let Some(waited) = waited {
            self.queue = Some(self.queue.map_or(waited, |least| least.min(waited)));
        }
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

    /// A sample; call it when one is [`due`](Self::due). `writer` is the store writer's CPU time, `overflown` what the
    /// sockets count.
    pub fn sample(&mut self, now: Instant, writer: Duration, overflown: u64) -> Sample {
        let (process, thread) = (cpu(ClockId::ProcessCPUTime), cpu(ClockId::ThreadCPUTime));
        let sample = Sample {
            elapsed: now.since(self.last),
            queue: self.queue.take().unwrap_or_default(),
            waiting: self.waiting,
            store: self.store.take().unwrap_or_default(),
            cpu: process.saturating_sub(self.process),
            switch: thread.saturating_sub(self.thread),
            writer: writer.saturating_sub(self.writer),
            cores: self.cores,
            overflown,
        };
        (self.last, self.process, self.thread, self.writer) = (now, process, thread, writer);
        sample
    }
}
