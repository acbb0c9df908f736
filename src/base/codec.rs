//! Codecs of the voice path.

/// A law of G.711: 8 kHz, one octet per sample.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Law {
    /// mu-law.
    Mu,
    /// A-law.
    A,
}

/// A codec of 64 kbit/s: 8,000 octets and RTP timestamp units a second, an octet per unit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Codec {
    /// G.711 mu-law, static RTP payload type 0 (RFC 3551 section 6).
    Pcmu,
    /// G.711 A-law, static RTP payload type 8 (RFC 3551 section 6).
    Pcma,
    /// G.722, wide-band, static RTP payload type 9. Its RTP clock is 8 kHz although it samples at 16 kHz (RFC 3551
    /// section 4.5.2).
    G722,
}

impl Codec {
    /// Every codec.
    pub const ALL: [Codec; 3] = [Codec::Pcmu, Codec::Pcma, Codec::G722];

    /// What is spoken where nothing else is provisioned, preferred first.
    pub const USUAL: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

    /// The law of G.711 that this codec is, if it is one.
    pub const fn law(self) -> Option<Law> {
        match self {
            Codec::Pcmu => Some(Law::Mu),
            Codec::Pcma => Some(Law::A),
            Codec::G722 => None,
        }
    }

    /// The codec that an encoding name (RFC 4855 section 3: without regard to case) stands for.
    pub fn from_name(name: &str) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The static RTP payload type.
    pub const fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
            Codec::G722 => 9,
        }
    }

    /// The encoding name of `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
        }
    }
}
