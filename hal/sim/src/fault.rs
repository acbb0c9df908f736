//! Faults of a line: slips and bit errors.

/// What a slip does to the received frames (ITU-T G.822: controlled slip of one frame).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slip {
    /// One frame is lost: the line is faster than the card's clock.
    Delete,
    /// One frame comes twice: the line is slower.
    Repeat,
}

/// Flips bits at a rate, the same ones for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct BitErrors {
    per_million: u32,
    state: u64,
}

impl BitErrors {
    pub(crate) fn new(per_million: u32, seed: u64) -> Self {
        // Marsaglia's xorshift must not start at zero.
        Self { per_million, state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// Damages `octets` and returns how many bits were flipped.
    pub(crate) fn apply(&mut self, octets: &mut [u8]) -> u32 {
        let mut flipped = 0;
        for octet in octets {
            for bit in 0..8 {
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                if (self.state >> 32) % 1_000_000 < u64::from(self.per_million) {
                    *octet ^= 1 << bit;
                    flipped += 1;
                }
            }
        }
        flipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_and_the_seed_decides() {
        let damage = |seed| {
            let mut octets = vec![0u8; 125_000];
            let flipped = BitErrors::new(1_000, seed).apply(&mut octets);
            assert_eq!(flipped, octets.iter().map(|o| o.count_ones()).sum::<u32>());
            (flipped, octets)
        };
        let (flipped, octets) = damage(7);
        assert!((850..1_150).contains(&flipped), "{flipped} of a million at one in a thousand");
        assert_eq!(octets, damage(7).1);
        assert_ne!(octets, damage(8).1);
        assert_eq!(BitErrors::new(0, 1).apply(&mut [0xff; 64]), 0);
    }
}
