//! Session descriptions (SDP, RFC 8866) and their offer/answer model (RFC 3264), for one audio stream of G.711 or
//! G.722 with telephone events (RFC 4733) and comfort noise (RFC 3389) over RTP (RFC 3551) or SRTP (RFC 3711).
//!
//! [`parse`] turns a body into what it says about audio; [`offer`], [`answer`] and [`conclude`] are the three moves of
//! RFC 3264. Every description that is not ours is outside input: bounded in size, never a panic, refused with a reason.

mod negotiate;
mod parse;
mod security;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

pub use negotiate::{answer, conclude, offer, protectable, reoffer};
pub use parse::parse;
pub use security::{
    Association, Crypto, Fingerprint, Keying, Need, Offered, Profile, Protection, Security, Setup, TlsId,
};

use crate::base::Codec;

/// Longest description that is read, in octets. Browsers' offers with many candidates stay below 10,000.
pub const BODY_MAX: usize = 32 * 1024;

/// Most media descriptions (`m=` lines) in one description.
pub const LINES_MAX: usize = 16;

/// Payload type of telephone events in our own offers, from the dynamic range of RFC 3551 section 6.
pub const TELEPHONE_EVENT: u8 = 101;

/// Static payload type of comfort noise at 8 kHz (RFC 3389 section 4).
pub const COMFORT_NOISE: u8 = 13;

/// Milliseconds of audio per packet when nobody says otherwise (RFC 3551 section 4.2).
pub const PTIME_DEFAULT_MS: u8 = 20;

/// Which way media flows, seen from the side that describes itself (RFC 8866 section 6.7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Direction {
    /// Both ways; holds where nothing is said.
    #[default]
    SendRecv,
    /// It sends only: the other side is on hold.
    SendOnly,
    /// It takes only.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// From what a side does.
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the side that describes itself sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the side that describes itself takes what arrives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// What is left of `self` when the other side describes itself as `other` (RFC 3264 section 6.1).
    #[must_use]
    pub const fn facing(self, other: Direction) -> Self {
        Self::new(self.sends() && other.receives(), self.receives() && other.sends())
    }

    /// The attribute's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The direction that an attribute's name stands for.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive].into_iter().find(|d| d.as_str() == name)
    }
}

/// How we describe ourselves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Local {
    /// Where we take RTP.
    pub address: IpAddr,
    /// UDP port for RTP; RTCP is one above.
    pub port: u16,
    /// `o=` session id, the same for all descriptions of a dialog.
    pub session_id: u64,
    /// `o=` version; one more for each description of a dialog that differs from the one before (RFC 3264 section 8).
    pub version: u64,
    /// What we speak, preferred first. Decides in our offers; in answers the offerer's order does.
    pub codecs: Vec<Codec>,
    /// Whether we agree to comfort noise, so that either side may stop sending while its party is silent.
    pub comfort_noise: bool,
    /// What we want to do.
    pub direction: Direction,
    /// How our stream is to be protected.
    pub security: Security,
}

/// What the other side described.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remote {
    /// The first audio stream over RTP or SRTP that is not refused by port 0.
    pub audio: Option<Audio>,
    /// Further ones: offers that leave it to us whether media is protected may have a line for each way.
    pub alternatives: Vec<Audio>,
    /// All media descriptions in order, to be mirrored in the answer (RFC 3264 section 6).
    pub lines: Vec<MediaLine>,
}

/// An `m=` line as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediaLine {
    /// `audio`, `video`, `image`, ...
    pub media: String,
    /// Transport port; 0 refuses the stream.
    pub port: u16,
    /// `RTP/AVP`, `udptl`, ...
    pub protocol: String,
    /// Formats, separated by spaces.
    pub formats: String,
}

/// The other side's audio stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audio {
    /// Which of [`Remote::lines`].
    pub line: usize,
    /// How media is transported.
    pub profile: Profile,
    /// How it can be protected.
    pub security: Offered,
    /// Where it takes RTP.
    pub rtp: SocketAddr,
    /// Where it takes RTCP: one port above RTP unless `a=rtcp` says otherwise (RFC 3605), or both are on one port.
    pub rtcp: SocketAddr,
    /// What it speaks and we know, in its order, with its payload types. Others are left out.
    pub codecs: Vec<(u8, Codec)>,
    /// Its payload type of telephone events at 8 kHz (RFC 4733).
    pub telephone_event: Option<u8>,
    /// Its payload type of comfort noise at 8 kHz (RFC 3389).
    pub comfort_noise: Option<u8>,
    /// Milliseconds per packet that it asks for: a multiple of 10, 10..=60.
    pub ptime_ms: u8,
    /// What it wants to do. The address 0.0.0.0 (hold as in RFC 2543) counts as not receiving.
    pub direction: Direction,
}

/// Payload types and codecs beside the one that is spoken.
pub type Others = [Option<(u8, Codec)>; Codec::ALL.len() - 1];

/// What both sides agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// Codec in both directions.
    pub codec: Codec,
    /// Its RTP payload type.
    pub payload_type: u8,
    /// What else the peer may send without another word: the other codecs of its answer (RFC 3264 section 6.1).
    pub others: Others,
    /// Payload type of telephone events, when both know them.
    pub telephone_event: Option<u8>,
    /// Payload type of comfort noise, when both agree to it.
    pub comfort_noise: Option<u8>,
    /// Milliseconds of audio per packet that we send: a multiple of 10, 10..=60.
    pub ptime_ms: u8,
    /// Where to send RTP.
    pub remote: SocketAddr,
    /// Where to send RTCP.
    pub remote_rtcp: SocketAddr,
    /// Whether we send.
    pub send: bool,
    /// Whether we take what arrives.
    pub receive: bool,
    /// How media is transported.
    pub profile: Profile,
    /// How it is protected; `None`: not at all.
    pub protection: Option<Protection>,
    /// RTCP comes and goes on the port of RTP (RFC 5761).
    pub rtcp_mux: bool,
}

/// Why a description cannot be used. All but [`SdpError::Syntax`] and [`SdpError::TooLarge`] (400) are answered by 488
/// (RFC 3261 section 21.4.26).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SdpError {
    /// Longer than [`BODY_MAX`], or more than [`LINES_MAX`] media descriptions.
    TooLarge,
    /// Not a session description; the line, from 1, or 0 for the whole.
    Syntax {
        /// Line of the body.
        line: usize,
    },
    /// No audio over RTP or SRTP.
    NoAudio,
    /// The answer refuses the audio stream (port 0).
    Refused,
    /// No connection address for audio, or one that is neither an IPv4 nor an IPv6 unicast address.
    Address,
    /// IPv4 where we have IPv6 alone, or the other way round.
    AddressFamily,
    /// Nothing that both sides speak.
    NoCommonCodec,
    /// Media must be protected, and the other side does not.
    SrtpRequired,
    /// The other side asks for protection, and none is provisioned.
    SrtpOff,
    /// No suite of `a=crypto`, and no DTLS certificate, that both sides can use.
    NoCommonKeys,
    /// Keys in a description that others could read on its way.
    KeysInClear,
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "session description over {BODY_MAX} octets or {LINES_MAX} media lines"),
            Self::Syntax { line: 0 } => f.write_str("not a session description"),
            Self::Syntax { line } => write!(f, "bad session description, line {line}"),
            Self::NoAudio => f.write_str("no audio over RTP or SRTP offered"),
            Self::Refused => f.write_str("audio refused by the answer"),
            Self::Address => f.write_str("no usable connection address for audio"),
            Self::AddressFamily => f.write_str("no media address of that family (IP4, IP6) here"),
            Self::NoCommonCodec => f.write_str("no common codec"),
            Self::SrtpRequired => {
                f.write_str("SRTP is required: RTP/SAVP with a=crypto, or UDP/TLS/RTP/SAVP with a=fingerprint")
            }
            Self::SrtpOff => f.write_str("SRTP is not provisioned here: RTP/AVP is spoken"),
            Self::NoCommonKeys => f.write_str(
                "no common SRTP keys: a=crypto with AES_CM_128_HMAC_SHA1 or AEAD_AES_GCM, or a=fingerprint:sha-256",
            ),
            Self::KeysInClear => f.write_str("SRTP keys in a=crypto are taken over TLS only"),
        }
    }
}

impl std::error::Error for SdpError {}

impl SdpError {
    /// The SIP status that refuses a request with such a description.
    pub const fn sip_status(self) -> u16 {
        match self {
            Self::TooLarge | Self::Syntax { .. } => 400,
            Self::NoAudio
            | Self::Refused
            | Self::Address
            | Self::AddressFamily
            | Self::NoCommonCodec
            | Self::SrtpRequired
            | Self::SrtpOff
            | Self::NoCommonKeys
            | Self::KeysInClear => 488,
        }
    }

    /// The code of a Warning header that says so (RFC 3261 section 20.43).
    pub const fn warning_code(self) -> u16 {
        match self {
            Self::NoAudio | Self::SrtpRequired | Self::SrtpOff | Self::NoCommonKeys | Self::KeysInClear => 302,
            Self::Address => 300,
            Self::AddressFamily => 301,
            Self::NoCommonCodec => 305,
            Self::TooLarge | Self::Syntax { .. } | Self::Refused => 399,
        }
    }
}
