//! Numbers that nobody can guess, for SSRC, initial sequence number and timestamp (RFC 3550 section 5.1), from a seed that
//! the edge draws from the system. Tests give a fixed one.

use crate::proto::rtp::rtcp::CNAME_LEN;
use crate::proto::srtp::KeyGenerator;

/// Every peer sees some of the numbers, so that none may tell of the others: a cipher makes them.
#[derive(Debug)]
pub struct Random(KeyGenerator);

impl Random {
    /// A generator for `seed`.
    pub fn new(seed: [u8; 32]) -> Random {
        Random(KeyGenerator::new(seed))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let mut octets = [0; 8];
        self.0.fill(&mut octets);
        u64::from_be_bytes(octets)
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
        let mut a = Random::new([7; 32]);
        let mut b = Random::new([7; 32]);
        for _ in 0..1_000 {
            let n = a.below(10);
            assert!(n < 10);
            assert_eq!(n, b.below(10));
        }
        assert_eq!(a.below(0), 0);
        assert_ne!(a.cname(), a.cname());
    }
    /// SplitMix64 would: its finaliser can be undone, and what is left is the state.
    #[test]
    fn a_name_does_not_tell_the_next_numbers() {
        let mut random = Random::new([7; 32]);
        let name = random.cname();
        let digits = name.iter().rev().filter_map(|digit| char::from(*digit).to_digit(16));
        let half = digits.fold(0_u128, |bits, digit| bits << 4 | u128::from(digit)) as u64;
        let unshift = |z: u64, by: u32| (1..64 / by + 1).fold(z, |x, _| z ^ (x >> by));
        let state = unshift(half, 31).wrapping_mul(0x3196_42b2_d24d_8ec3);
        let state = unshift(state, 27).wrapping_mul(0x96de_1b17_3f11_9089);
        let state = unshift(state, 30).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        assert_ne!(random.next_u64(), z ^ (z >> 31));
    }
}
