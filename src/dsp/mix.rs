//! Adding signals.

/// Adds `other` to `sum`, sample by sample, saturating. Surplus samples of the longer slice are left alone.
pub fn add(sum: &mut [i16], other: &[i16]) {
    for (s, &x) in sum.iter_mut().zip(other) {
        *s = s.saturating_add(x);
    }
}

/// Scales by `gain_q8` / 256 (256 leaves the signal as it is), saturating.
pub fn scale(pcm: &mut [i16], gain_q8: u16) {
    for x in pcm {
        let scaled = (i32::from(*x) * i32::from(gain_q8)) >> 8;
        *x = scaled.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addition_saturates_and_takes_the_shorter() {
        let mut sum = [30_000, -30_000, 5, 7];
        add(&mut sum, &[10_000, -10_000, -6]);
        assert_eq!(sum, [i16::MAX, i16::MIN, -1, 7]);
    }

    #[test]
    fn scaling() {
        let mut pcm = [256, -256, 30_000, -30_000];
        scale(&mut pcm, 128);
        assert_eq!(pcm, [128, -128, 15_000, -15_000]);
        scale(&mut pcm, 1024);
        assert_eq!(pcm, [512, -512, i16::MAX, i16::MIN]);
    }
}
