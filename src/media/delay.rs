//! How long play-out has to wait: what packets' arrivals say about the network, in timestamp units of 1/8000 s.
//!
//! The fastest packet of the last 5 to 10 s is the reference, so that a sender's clock that runs fast or slow moves the
//! reference along, for hours. How much later than it the others come is a histogram that forgets: the delay to aim for
//! is its 99th percentile. Few packets weigh much, so it grows at once at the beginning of a stream and shrinks over
//! some ten seconds.

use crate::media::FRAME;

/// Width of a class of the histogram: 5 ms.
const CLASS: u32 = 40;
/// Classes: up to 320 ms.
const CLASSES: usize = 64;
/// Share of packets that may come after their time.
const LATE_SHARE: f32 = 0.01;
/// Each packet weighs so much more than the one before: 10 s at 20 ms a packet are e-fold.
const GROWTH: f32 = 1.002;
/// Packets until the reference is chosen anew.
const WINDOW: u16 = 250;
/// What play-out aims for before anything is known: 40 ms.
pub const START: u32 = 2 * FRAME as u32;
/// Bounds of the delay: 20 to 300 ms.
pub const LEAST: u32 = FRAME as u32;
/// See [`LEAST`].
pub const MOST: u32 = 15 * FRAME as u32;

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Delay {
    weights: [f32; CLASSES],
    total: f32,
    weight: f32,
    /// Least transit of the last whole window and of the one that runs.
    least: Option<(u32, u32)>,
    arrivals: u16,
    late: u8,
    /// The delay does not fall below this for a while after packets came late.
    floor: u32,
    target: u32,
}

impl Default for Delay {
    fn default() -> Self {
        Delay {
            weights: [0.0; CLASSES],
            total: 0.0,
            weight: 1.0,
            least: None,
            arrivals: 0,
            late: 0,
            floor: 0,
            target: START,
        }
    }
}

impl Delay {
    /// A packet of `timestamp` arrived.
    pub fn arrived(&mut self, now: u32, timestamp: u32) {
        let transit = now.wrapping_sub(timestamp);
        let (before, running) = self.least.unwrap_or((transit, transit));
        self.least = Some((before, earlier(running, transit)));
        let class = (self.excess(transit) / CLASS) as usize;
        if let Some(weight) = self.weights.get_mut(class.min(CLASSES - 1)) {
            *weight += self.weight;
        }
        self.total += self.weight;
        self.weight *= GROWTH;
        self.arrivals += 1;
        if self.arrivals.is_multiple_of(8) || self.excess(transit) > self.target {
            self.aim();
        }
        if self.arrivals >= WINDOW {
            self.next_window(transit);
        }
    }

    fn next_window(&mut self, transit: u32) {
        self.arrivals = 0;
        self.late = 0;
        self.floor = self.floor.saturating_sub(CLASS);
        self.least = self.least.map(|(_, running)| (running, transit));
        if self.weight > 1e6 {
            self.weights.iter_mut().for_each(|weight| *weight /= self.weight);
            self.total /= self.weight;
            self.weight = 1.0;
        }
    }

    /// The packet of `timestamp` came too late to be played. Not the first, but the second within some seconds makes
    /// play-out wait for its like.
    pub fn came_late(&mut self, now: u32, timestamp: u32) {
        self.late = self.late.saturating_add(1);
        if self.late >= 2 {
            self.floor = self.floor.max(self.excess(now.wrapping_sub(timestamp)));
            self.aim();
        }
    }

    fn aim(&mut self) {
        let mut beyond = 0.0;
        let last = self.weights.iter().rposition(|weight| {
            beyond += weight;
            beyond > self.total * LATE_SHARE
        });
        let percentile = (last.unwrap_or(0) as u32 + 1) * CLASS;
        self.target = percentile.max(self.floor).clamp(LEAST, MOST);
    }

    /// How much later than the fastest packet one with this transit came.
    fn excess(&self, transit: u32) -> u32 {
        self.reference().map_or(0, |least| transit.wrapping_sub(least).cast_signed().max(0).cast_unsigned())
    }

    fn reference(&self) -> Option<u32> {
        self.least.map(|(before, running)| earlier(before, running))
    }

    /// What play-out waits now for what lies at `timestamp`, beyond the fastest packet's time.
    pub fn at(&self, now: u32, timestamp: u32) -> i32 {
        let transit = now.wrapping_sub(timestamp);
        self.reference().map_or(0, |least| transit.wrapping_sub(least).cast_signed())
    }

    /// What it should wait.
    pub fn target(&self) -> u32 {
        self.target
    }
}

fn earlier(a: u32, b: u32) -> u32 {
    if a.wrapping_sub(b).cast_signed() <= 0 { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_follows_the_jitter_up_at_once_and_down_slowly() {
        let mut delay = Delay::default();
        for n in 0..200u32 {
            delay.arrived(n * 160, n * 160);
        }
        assert_eq!(delay.target(), LEAST, "no jitter");
        // Every tenth packet 80 ms late.
        let mut grown = None;
        for n in 200..700u32 {
            delay.arrived(n * 160 + if n % 10 == 0 { 640 } else { 0 }, n * 160);
            grown = grown.or((delay.target() >= 640).then_some(n));
        }
        assert!(grown.is_some_and(|n| n < 260), "{grown:?}");
        let calm = (700..9_000u32).find(|&n| {
            delay.arrived(n * 160, n * 160);
            delay.target() == LEAST
        });
        assert!(calm.is_some_and(|n| (1_000..4_000).contains(&n)), "{calm:?}");
    }

    #[test]
    fn a_clock_that_runs_fast_or_slow_is_no_jitter() {
        for sign in [-1i64, 1] {
            let mut delay = Delay::default();
            // 200 ppm for three hours, over the wrap of the timestamp.
            for n in 0..540_000i64 {
                let sent = (n * 160 + 4_000_000_000) as u32;
                delay.arrived((n * 160 + sign * n * 160 / 5_000) as u32, sent);
            }
            assert!(delay.target() <= LEAST + CLASS, "{}", delay.target());
        }
    }
}
