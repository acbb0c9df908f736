//! Secure RTP (RFC 3711): encryption, authentication and replay protection of RTP and RTCP packets, with AES in counter
//! mode and HMAC-SHA1, or with AES in Galois/counter mode (RFC 7714).
//!
//! Keys come in as data: from session descriptions (RFC 4568) or from a DTLS handshake (RFC 5764). [`Sender`] protects
//! what we send and [`Receiver`] takes the protection off what comes, both in place and without allocation. Everything a
//! receiver is given is outside input: it is refused with a reason, and changes nothing unless it is authentic.

mod cipher;
mod index;
mod keys;
mod packet;
mod receiver;
mod sender;
#[cfg(test)]
mod tests;

use std::fmt;

pub use keys::{KeyGenerator, MASTER_MAX, MasterKey};
pub use receiver::Receiver;
pub use sender::Sender;

/// Octets that protection adds to a packet at most: the tag of GCM, and the index of SRTCP.
pub const TAIL_MAX: usize = 20;

/// Longest master key identifier that is taken (RFC 4568 section 6.1 allows 128; nobody uses more than four).
pub const MKI_MAX: usize = 16;

/// A suite of algorithms, named as in RFC 4568 section 6.2 and RFC 7714 section 14.1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Suite {
    /// AES in counter mode with 128 bits, HMAC-SHA1 with a tag of 80 bits.
    AesCm128HmacSha1_80,
    /// The same with a tag of 32 bits for RTP, and of 80 bits for RTCP.
    AesCm128HmacSha1_32,
    /// AES in Galois/counter mode with 128 bits.
    AeadAes128Gcm,
    /// AES in Galois/counter mode with 256 bits.
    AeadAes256Gcm,
}

impl Suite {
    /// All, in the order in which we offer them: what costs least comes first, the short tag last.
    pub const ALL: [Suite; 4] =
        [Self::AeadAes128Gcm, Self::AesCm128HmacSha1_80, Self::AeadAes256Gcm, Self::AesCm128HmacSha1_32];

    /// The name in `a=crypto`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of a name in `a=crypto`; some phones write it in small letters.
    pub fn from_name(name: &str) -> Option<Suite> {
        Self::ALL.into_iter().find(|suite| suite.as_str().eq_ignore_ascii_case(name))
    }

    /// Octets of the master key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
        }
    }

    /// Octets of the master salt (RFC 3711 section 8.2, RFC 7714 section 12).
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Octets of the authentication tag of an RTP packet.
    const fn rtp_tag_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Octets of the authentication tag of an RTCP packet (RFC 4568 section 6.2.2: never 32 bits).
    const fn rtcp_tag_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 10,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the protection of a packet that came is not taken off.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refused {
    /// Shorter than its header and tag, or of another version than 2.
    Malformed,
    /// It names a master key that was not agreed on (its MKI).
    UnknownKey,
    /// The tag is wrong: another key, or a packet that was changed on its way.
    NotAuthentic,
    /// Its index was there before, or is too old to tell (RFC 3711 section 3.3.2).
    Replayed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed packet",
            Self::UnknownKey => "unknown master key identifier",
            Self::NotAuthentic => "wrong authentication tag",
            Self::Replayed => "replayed or too old",
        })
    }
}

impl std::error::Error for Refused {}

/// Why a packet of ours is not protected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unprotected {
    /// Shorter than its header, or of another version than 2.
    Malformed,
    /// The index was used before.
    Repeated,
    /// The buffer has no room for the tag.
    NoRoom,
    /// All packets that one master key may protect were sent (RFC 3711 section 9.2).
    KeyUsedUp,
}

impl fmt::Display for Unprotected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed packet",
            Self::Repeated => "an index that was used before",
            Self::NoRoom => "no room for the authentication tag",
            Self::KeyUsedUp => "the master key is used up",
        })
    }
}

impl std::error::Error for Unprotected {}
