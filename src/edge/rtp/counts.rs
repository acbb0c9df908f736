//! What the media thread dropped, by reason: for `status`, and for the log when it grows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::Instant;
use crate::media::Counters;

/// How often counters that should stand still are looked at.
const PERIOD: Duration = Duration::from_secs(10);

/// Reasons, in the order of [`Counts::by_reason`].
const REASONS: [&str; 10] = [
    "too-long",
    "no-port",
    "unsent",
    "frames-skipped",
    "srtp-malformed",
    "srtp-unknown-key",
    "srtp-not-authentic",
    "srtp-replayed",
    "srtp-no-keys",
    "srtp-unsent",
];

/// What was counted since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Counts {
    pub plane: Counters,
    /// Packets that the system did not take.
    pub unsent: u64,
    /// Packets longer than any that is taken.
    pub too_long: u64,
}

impl Counts {
    fn by_reason(&self) -> [u64; REASONS.len()] {
        let (plane, srtp) = (&self.plane, &self.plane.srtp);
        [
            self.too_long,
            plane.strays,
            self.unsent,
            plane.frames_skipped,
            srtp.malformed,
            srtp.unknown_key,
            srtp.not_authentic,
            srtp.replayed,
            srtp.unready,
            srtp.unsent,
        ]
    }
}

/// The counts as other threads see them.
#[derive(Default, Debug)]
pub(super) struct Dropped([AtomicU64; REASONS.len()]);

impl Dropped {
    pub fn store(&self, counts: &Counts) {
        for (shown, count) in self.0.iter().zip(counts.by_reason()) {
            shown.store(count, Ordering::Relaxed);
        }
    }

    /// Reasons that there were, with their counts.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        REASONS.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }
}

/// The counts when they were last looked at.
#[derive(Default)]
pub(super) struct Watch {
    at: Instant,
    before: Counts,
}

impl Watch {
    /// Whether it is time to look.
    pub fn is_due(&self, now: Instant) -> bool {
        now - self.at >= PERIOD
    }

    /// When it is, though nothing else happens: where something was counted.
    pub fn due(&self, counts: &Counts) -> Option<Instant> {
        (*counts != self.before).then(|| self.at + PERIOD)
    }

    /// Says so when something was lost since the last look.
    pub fn look(&mut self, now: Instant, counts: Counts) {
        let (plane, before) = (&counts.plane, &self.before);
        if plane.frames_skipped > before.plane.frames_skipped {
            log::warn!("media: {} frames skipped: too slow", plane.frames_skipped - before.plane.frames_skipped);
        }
        if plane.events_lost > before.plane.events_lost {
            log::error!("media: {} events lost: the core is too slow", plane.events_lost - before.plane.events_lost);
        }
        if plane.srtp.refused() > before.plane.srtp.refused() {
            let refused = plane.srtp.refused() - before.plane.srtp.refused();
            log::warn!("media: SRTP refused {refused} packets; since start: {:?}", plane.srtp);
        }
        if plane.srtp.unsent > before.plane.srtp.unsent {
            log::warn!("media: {} packets kept back by SRTP", plane.srtp.unsent - before.plane.srtp.unsent);
        }
        if counts.unsent > before.unsent {
            log::warn!("media: {} packets could not be sent", counts.unsent - before.unsent);
        }
        *self = Watch { at: now, before: counts };
    }
}
