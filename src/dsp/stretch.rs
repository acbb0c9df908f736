//! Time-scale modification: speech a pitch period longer or shorter, joined where the signal resembles itself.

use super::samples;

/// Shortest period looked for: 2.5 ms.
pub const LAG_MIN: usize = samples(5) / 2;
/// Longest period taken out: 15 ms.
pub const LAG_MAX: usize = samples(15);
/// Longest period put in: 10 ms.
pub const INSERT_MAX: usize = samples(10);
/// Below this likeness a joint would be heard.
const ALIKE: f32 = 0.6;
/// Energy a sample below which any joint will do: some -50 dBm0.
const QUIET: f32 = 2_500.0;

/// The length that can be taken out at the beginning of `pcm`: the lag at which it resembles itself most, or `None`.
pub fn removable(pcm: &[i16]) -> Option<usize> {
    best((LAG_MIN..=LAG_MAX).filter_map(|lag| Some((lag, pcm.get(..lag)?, pcm.get(lag..2 * lag)?))))
}

/// Writes `pcm` without the period of `lag` at its beginning; `out` is to be as much shorter.
pub fn remove(pcm: &[i16], lag: usize, out: &mut [i16]) {
    let (joint, rest) = out.split_at_mut(lag.min(out.len()));
    cross(pcm, pcm.get(lag..).unwrap_or_default(), joint);
    for (to, &from) in rest.iter_mut().zip(pcm.get(2 * lag..).unwrap_or_default()) {
        *to = from;
    }
}

/// The length that can be put in between `before` and `pcm`.
pub fn insertable(before: &[i16], pcm: &[i16]) -> Option<usize> {
    best((LAG_MIN..=INSERT_MAX).filter_map(|lag| Some((lag, tail(before, lag)?, pcm.get(..lag)?))))
}

/// Writes the last `lag` samples of `before` once more, then `pcm`.
pub fn insert(before: &[i16], pcm: &[i16], lag: usize, out: &mut [i16]) {
    let (joint, rest) = out.split_at_mut(lag.min(out.len()));
    cross(pcm, tail(before, lag).unwrap_or_default(), joint);
    for (to, &from) in rest.iter_mut().zip(pcm) {
        *to = from;
    }
}

fn tail(pcm: &[i16], len: usize) -> Option<&[i16]> {
    pcm.get(pcm.len().checked_sub(len)?..)
}

/// From `from` over to `into`.
fn cross(from: &[i16], into: &[i16], out: &mut [i16]) {
    let len = out.len() as i32;
    for (n, ((to, &a), &b)) in (0..).zip(out.iter_mut().zip(from).zip(into)) {
        *to = ((i32::from(a) * (len - n) + i32::from(b) * n) / len) as i16;
    }
}

/// The lag whose two periods are most alike, if they are alike enough.
fn best<'a>(pairs: impl Iterator<Item = (usize, &'a [i16], &'a [i16])>) -> Option<usize> {
    let mut best = (ALIKE, None);
    for (lag, a, b) in pairs {
        let (mut product, mut energy_a, mut energy_b) = (0.0f32, 1.0f32, 1.0f32);
        for (&x, &y) in a.iter().zip(b) {
            let (x, y) = (f32::from(x), f32::from(y));
            product += x * y;
            energy_a += x * x;
            energy_b += y * y;
        }
        let quiet = energy_a.max(energy_b) < QUIET * lag as f32;
        let likeness = if quiet { 1.0 } else { product / (energy_a * energy_b).sqrt() };
        if likeness >= best.0 {
            best = (likeness, Some(lag));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voiced(n: usize) -> i16 {
        let t = n as f64 / 8000.0 * std::f64::consts::TAU;
        ((t * 160.0).sin() * 6000.0 + (t * 480.0).sin() * 2000.0) as i16
    }

    fn steepest(pcm: &[i16]) -> u16 {
        pcm.windows(2).map(|w| w[0].abs_diff(w[1])).max().unwrap_or(0)
    }

    #[test]
    fn a_period_more_or_less_is_not_heard() {
        let pcm: Vec<i16> = (0..400).map(voiced).collect();
        let lag = removable(&pcm[100..]).expect("voiced");
        assert_eq!(lag % 50, 0, "160 Hz is 50 samples");
        let mut out = [0; 160];
        remove(&pcm[100..260 + lag], lag, &mut out);
        let joined = [&pcm[..100], &out, &pcm[260 + lag..]].concat();
        assert!(steepest(&joined) <= steepest(&pcm) * 11 / 10);

        let lag = insertable(&pcm[..100], &pcm[100..]).expect("voiced");
        insert(&pcm[..100], &pcm[100..260 - lag], lag, &mut out);
        let joined = [&pcm[..100], &out, &pcm[260 - lag..]].concat();
        assert!(steepest(&joined) <= steepest(&pcm) * 11 / 10);
    }

    #[test]
    fn silence_takes_any_joint_and_what_is_not_periodic_none() {
        assert_eq!(removable(&[3; 300]), Some(LAG_MAX));
        let mut state = 9u32;
        let noise: Vec<i16> = (0..300)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 17) as i16 - 16_384
            })
            .collect();
        assert_eq!(removable(&noise), None);
        assert_eq!(insertable(&noise[..120], &noise[120..]), None);
        assert_eq!(removable(&[]), None);
    }
}
