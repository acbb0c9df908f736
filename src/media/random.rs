//! Unpredictable-enough numbers for SSRC, initial sequence number and timestamp (RFC 3550 section 5.1), from a seed that
//! the edge draws from the system. Tests give a fixed one.

use crate::proto::rtp::rtcp::CNAME_LEN;

/// SplitMix64: every seed gives a full period.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator for `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// A number below `bound`, 0 when `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    /// A canonical name of 96 random bits (RFC 7022 section 4.2).
    pub fn cname(&mut self) -> [u8; CNAME_LEN] {
        let bits = u128::from(self.next_u64()) << 64 | u128::from(self.next_u64());
        std::array::from_fn(|digit| {
            let nibble = (bits >> (4 * digit)) & 0x0f;
            char::from_digit(nibble as u32, 16).map_or(b'0', |c| c as u8)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_and_repeatable() {
        let mut a = Random::new(7);
        let mut b = Random::new(7);
        for _ in 0..1_000 {
            let n = a.below(10);
            assert!(n < 10);
            assert_eq!(n, b.below(10));
        }
        assert_eq!(a.below(0), 0);
        assert_ne!(a.cname(), a.cname());
    }
}
