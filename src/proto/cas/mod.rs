//! Channel-associated signalling: line signals are four bits per timeslot, addresses are tones in the bearer.

pub mod em_wink;

use std::fmt;

/// The four signalling bits of a timeslot (ITU-T G.704; low nibble: A = 8, B = 4, C = 2, D = 1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Bits(u8);

impl Bits {
    /// On-hook in E&M: all zero.
    pub const ON_HOOK: Bits = Bits(0);
    /// Off-hook in E&M: all one, so that A = B holds and lines that carry only A and B (superframe) or A see the same.
    pub const OFF_HOOK: Bits = Bits(0x0f);

    /// Takes the low nibble.
    pub const fn new(bits: u8) -> Self {
        Self(bits & 0x0f)
    }

    /// The bits, 0..=15.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The A bit.
    pub const fn a(self) -> bool {
        self.0 & 8 != 0
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04b}", self.0)
    }
}
