//! Channel-associated signalling bits.

use std::fmt;

/// The four CAS signalling bits of a timeslot (low nibble: A = 8, B = 4, C = 2, D = 1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CasBits(u8);

impl CasBits {
    /// All zero: on-hook in E&M.
    pub const ON_HOOK: CasBits = CasBits(0);
    /// All one: off-hook in E&M (A = B, as with superframe).
    pub const OFF_HOOK: CasBits = CasBits(0x0f);

    /// Takes the low nibble; drivers must not let neighbours' bits leak in.
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

impl fmt::Debug for CasBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04b}", self.0)
    }
}
