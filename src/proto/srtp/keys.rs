//! Master keys, and where ours come from.

use std::fmt;

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Suite;
use super::packet::put;

/// Octets of the longest master key with its salt.
pub const MASTER_MAX: usize = 46;

/// A master key with its salt. Erased when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    octets: [u8; MASTER_MAX],
}

impl MasterKey {
    /// The key of a suite from `key || salt`, as `a=crypto` has them; `None` when the length is not the suite's.
    pub fn new(suite: Suite, octets: &[u8]) -> Option<MasterKey> {
        let len = suite.key_len() + suite.salt_len();
        let mut key = MasterKey { suite, octets: [0; MASTER_MAX] };
        if octets.len() != len {
            return None;
        }
        key.octets.get_mut(..len)?.copy_from_slice(octets);
        Some(key)
    }

    /// What it is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// `key || salt`.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..self.suite.key_len() + self.suite.salt_len()).unwrap_or_default()
    }

    pub(super) fn key(&self) -> &[u8] {
        self.octets.get(..self.suite.key_len()).unwrap_or_default()
    }

    pub(super) fn salt(&self) -> &[u8] {
        self.octets().get(self.suite.key_len()..).unwrap_or_default()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.suite)
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.octets.zeroize();
    }
}

impl ZeroizeOnDrop for MasterKey {}

/// Octets of a cipher's block.
const BLOCK: usize = 16;

/// Makes master keys, and other numbers that nobody is to guess, from a seed of 256 bits that the edge draws from the
/// system's entropy. AES-256 in counter mode, whose first two blocks become the next key: what was given out cannot be found
/// again from the state that is left, and tells nothing of what comes.
pub struct KeyGenerator {
    key: [u8; 32],
}

impl KeyGenerator {
    /// A generator for `seed`; the same seed gives the same keys.
    pub fn new(seed: [u8; 32]) -> KeyGenerator {
        KeyGenerator { key: seed }
    }

    /// A new key of a suite.
    pub fn master_key(&mut self, suite: Suite) -> MasterKey {
        let mut key = MasterKey { suite, octets: [0; MASTER_MAX] };
        let len = suite.key_len() + suite.salt_len();
        self.fill(key.octets.get_mut(..len).unwrap_or_default());
        key
    }

    /// Overwrites `octets` with new ones.
    pub fn fill(&mut self, octets: &mut [u8]) {
        let cipher = Aes256::new(&self.key.into());
        let wanted = self.key.chunks_mut(BLOCK).chain(octets.chunks_mut(BLOCK));
        for (counter, wanted) in (0_u128..).zip(wanted) {
            let mut block = aes::Block::from(counter.to_be_bytes());
            cipher.encrypt_block(&mut block);
            put(wanted, &block);
            block.as_mut_slice().zeroize();
        }
    }
}

impl fmt::Debug for KeyGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyGenerator")
    }
}

impl Drop for KeyGenerator {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}
