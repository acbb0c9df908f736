//! Codecs of the voice path.

/// A narrow-band codec: 8 kHz, one octet per sample.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Codec {
    /// G.711 mu-law, static RTP payload type 0 (RFC 3551 section 6).
    Pcmu,
    /// G.711 A-law, static RTP payload type 8 (RFC 3551 section 6).
    Pcma,
}

impl Codec {
    /// Every codec, preferred first.
    pub const ALL: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

    /// The static RTP payload type.
    pub const fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// The encoding name of `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }
}
