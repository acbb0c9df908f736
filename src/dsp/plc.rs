//! Packet loss concealment after the idea of G.711 Appendix I: repeat the last pitch period, fade, and join softly.

use super::oscillator::to_sample;
use super::samples;

/// Shortest and longest pitch period searched: 5 ms (200 Hz) and 15 ms (66 Hz).
const PITCH_MIN: usize = samples(5);
const PITCH_MAX: usize = samples(15);
/// What is compared when the period is searched: the last 20 ms.
const COMPARED: usize = samples(20);
/// Samples remembered.
const HISTORY: usize = COMPARED + PITCH_MAX;
/// Whole level for the first 10 ms of a gap, then down to nothing at 60 ms, 20 % per 10 ms.
const WHOLE: usize = samples(10);
const SILENT: usize = samples(60);
/// Length of the joint when good samples come again: 4 ms.
const JOINT: usize = samples(4);

/// Remembers what was played and fills gaps. About 600 octets, no allocation.
#[derive(Clone, Debug)]
pub struct Concealer {
    /// The last samples before the gap, oldest first.
    history: [i16; HISTORY],
    /// Samples made up since the last good one.
    gap: usize,
    /// Period that is being repeated.
    pitch: usize,
}

impl Default for Concealer {
    fn default() -> Self {
        Self::new()
    }
}

impl Concealer {
    /// Nothing heard: a gap is silent.
    pub const fn new() -> Self {
        Self { history: [0; HISTORY], gap: 0, pitch: PITCH_MIN }
    }

    /// Takes a frame that arrived. After a gap its start is blended with what concealment would have gone on with.
    pub fn good(&mut self, frame: &mut [i16]) {
        if self.gap > 0 {
            let mut made_up = [0; JOINT];
            self.extrapolate(&mut made_up);
            let n = frame.len().min(JOINT) as f32;
            for (i, (x, &m)) in frame.iter_mut().zip(&made_up).enumerate() {
                let share = (i as f32 + 0.5) / n;
                *x = to_sample(f32::from(*x) * share + f32::from(m) * (1.0 - share));
            }
            self.gap = 0;
        }
        let tail = &frame[frame.len().saturating_sub(HISTORY)..];
        self.history.copy_within(tail.len().., 0);
        self.history[HISTORY - tail.len()..].copy_from_slice(tail);
    }

    /// What was heard last, oldest first.
    pub fn history(&self) -> &[i16] {
        &self.history
    }

    /// Overwrites `frame`, which did not arrive.
    pub fn conceal(&mut self, frame: &mut [i16]) {
        if self.gap == 0 {
            self.pitch = self.find_pitch();
        }
        self.extrapolate(frame);
    }

    /// Repeats the last period onwards from the gap's current length, fading.
    fn extrapolate(&mut self, out: &mut [i16]) {
        let period = &self.history[HISTORY - self.pitch..];
        let before = &self.history[HISTORY - self.pitch - self.pitch / 4..HISTORY - self.pitch];
        let quarter = before.len();
        for o in out {
            let at = self.gap % self.pitch;
            let mut x = f32::from(period[at]);
            // The last quarter of the period leads over into what preceded the period, so that the repeat does not click.
            if let Some(into) = (at + quarter).checked_sub(self.pitch) {
                let share = (into as f32 + 0.5) / quarter as f32;
                x = x * (1.0 - share) + f32::from(before[into]) * share;
            }
            *o = to_sample(x * gain(self.gap));
            // Past the fade only the place in the period matters; stay bounded in gaps without end.
            self.gap = if self.gap >= SILENT + self.pitch { self.gap + 1 - self.pitch } else { self.gap + 1 };
        }
    }

    /// The lag at which the last 20 ms resemble what preceded them most.
    fn find_pitch(&self) -> usize {
        let recent = &self.history[PITCH_MAX..];
        let mut best = (0.0f32, PITCH_MIN);
        for lag in PITCH_MIN..=PITCH_MAX {
            let earlier = &self.history[PITCH_MAX - lag..HISTORY - lag];
            let (mut product, mut energy) = (0i64, 1i64);
            for (&a, &b) in recent.iter().zip(earlier) {
                product += i64::from(a) * i64::from(b);
                energy += i64::from(b) * i64::from(b);
            }
            let likeness = product.max(0) as f32 / (energy as f32).sqrt();
            // A multiple of the period is as alike as the period itself; keep the shorter unless clearly beaten.
            if likeness > best.0 * 1.01 {
                best = (likeness, lag);
            }
        }
        best.1
    }
}

/// Gain after so many samples of gap.
fn gain(gap: usize) -> f32 {
    match gap {
        0..WHOLE => 1.0,
        WHOLE..SILENT => (SILENT - gap) as f32 / (SILENT - WHOLE) as f32,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::level;

    fn voiced(n: usize) -> i16 {
        let t = n as f64 / 8000.0 * std::f64::consts::TAU;
        ((t * 125.0).sin() * 6000.0 + (t * 250.0).sin() * 3000.0 + (t * 1000.0).sin() * 1500.0) as i16
    }

    fn frame(start: usize) -> [i16; 160] {
        std::array::from_fn(|i| voiced(start + i))
    }

    #[test]
    fn one_lost_frame_of_a_steady_voice_is_nearly_unheard() {
        let mut concealer = Concealer::new();
        for k in 0..5 {
            concealer.good(&mut frame(k * 160));
        }
        let mut made_up = [0; 160];
        concealer.conceal(&mut made_up);
        let truth = frame(800);
        // 10 ms at whole level, then a fade of a fifth by the end.
        let error: Vec<i16> = made_up[..80].iter().zip(&truth).map(|(a, b)| a.saturating_sub(*b)).collect();
        let below = level::measure(&error).0 - level::measure(&truth[..80]).0;
        assert!(below < -30.0, "error {below} dB");
    }

    #[test]
    fn the_joint_after_a_gap_does_not_jump() {
        let mut concealer = Concealer::new();
        for k in 0..5 {
            concealer.good(&mut frame(k * 160));
        }
        let mut out = Vec::new();
        for _ in 0..2 {
            let mut made_up = [0; 160];
            concealer.conceal(&mut made_up);
            out.extend(made_up);
        }
        // The sender's signal is out of phase by now.
        let mut next = frame(1120 + 37);
        concealer.good(&mut next);
        out.extend(next);
        let steepest = |pcm: &[i16]| pcm.windows(2).map(|w| w[0].abs_diff(w[1])).max();
        assert!(steepest(&out) <= steepest(&frame(0)).map(|s| s + s / 4));
    }

    #[test]
    fn a_long_gap_fades_to_silence_and_stays_bounded() {
        let mut concealer = Concealer::new();
        concealer.good(&mut frame(0));
        concealer.good(&mut frame(160));
        let mut out = [0; 160];
        for k in 0..1000 {
            concealer.conceal(&mut out);
            if k >= 3 {
                assert_eq!(out, [0; 160], "frame {k}");
            }
        }
        assert!(concealer.gap < 2 * SILENT);
    }

    #[test]
    fn nothing_heard_is_concealed_by_silence_and_frames_of_any_size_are_taken() {
        let mut concealer = Concealer::new();
        let mut out = [5; 160];
        concealer.conceal(&mut out);
        assert_eq!(out, [0; 160]);
        for size in [0, 1, 31, 80, 480] {
            let mut pcm = vec![100; size];
            concealer.good(&mut pcm);
            concealer.conceal(&mut pcm);
        }
    }
}
