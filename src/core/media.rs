//! The language between the core and the media plane. Samples never enter the core, decisions never leave it.
//!
//! The core sends [`MediaCommand`]s; the plane answers with [`MediaEvent`]s. A command for a port that is gone is
//! ignored: the two sides run on different threads, so that race is normal.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use crate::base::{Answerer, Codec, HeardTone, ToneKind};
use crate::base::{Circuit, PlayId, PortId};
pub use crate::proto::sdp::Others;
use crate::proto::sdp::Protection;
use crate::proto::srtp::Suite;

/// How a leg's RTP stream is sent and received, as agreed by offer and answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamParams {
    /// Codec in both directions.
    pub codec: Codec,
    /// RTP payload type of `codec`.
    pub payload_type: u8,
    /// What else the peer may send; we send `codec` only.
    pub others: Others,
    /// Payload type for RFC 4733 events, when both ends know them.
    pub telephone_event: Option<u8>,
    /// Payload type of comfort noise (RFC 3389), when both agree to it.
    pub comfort_noise: Option<u8>,
    /// Whether we stop sending while our party is silent, where comfort noise is agreed.
    pub silence_suppression: bool,
    /// Milliseconds of audio per packet that we send (10..=60).
    pub ptime_ms: u8,
    /// Where the peer's description says to send. The plane latches on the source of the first valid packet instead
    /// (symmetric RTP, RFC 4961).
    pub remote: SocketAddr,
    /// Where the peer's signalling comes from: a source that its description does not know may still be the peer.
    pub signalling: IpAddr,
    /// Where the peer's RTCP goes; `remote` port + 1 unless a=rtcp says otherwise (RFC 3605).
    pub remote_rtcp: SocketAddr,
    /// Whether we send (the peer is not holding us: RFC 3264 section 5.1).
    pub send: bool,
    /// Whether we take what arrives.
    pub receive: bool,
}

impl StreamParams {
    /// `codec` by its usual payload type both ways, in packets of 20 ms, with a peer whose signalling comes from where it
    /// takes RTP: no telephone events, no comfort noise, nothing else.
    pub fn both_ways(codec: Codec, remote: SocketAddr) -> StreamParams {
        StreamParams {
            codec,
            payload_type: codec.payload_type(),
            others: Others::default(),
            telephone_event: None,
            comfort_noise: None,
            silence_suppression: false,
            ptime_ms: 20,
            remote,
            signalling: remote.ip(),
            remote_rtcp: SocketAddr::new(remote.ip(), remote.port().saturating_add(1)),
            send: true,
            receive: true,
        }
    }
}

/// A piece of a playback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PlayItem {
    /// A prompt by name, e.g. `en/digits/7` or `acme/welcome`. A name that is not loaded plays the fallback tone and
    /// raises [`MediaEvent::PromptMissing`].
    Prompt(Arc<str>),
    /// A prompt by name; where it is not loaded, [`MediaEvent::PromptMissing`] is raised and the second one played.
    PromptOr(Arc<str>, Arc<str>),
    /// Silence of so many milliseconds.
    SilenceMs(u16),
    /// One beep of 440 Hz, 250 ms.
    Beep,
}

/// How a digit reached us.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DigitSource {
    /// RFC 4733 telephone event.
    Event,
    /// Detected in the audio.
    InBand,
}

/// What the core asks of the plane.
#[derive(Clone, PartialEq, Debug)]
pub enum MediaCommand {
    /// Bind this many more RTP/RTCP socket pairs and announce them by [`MediaEvent::Sockets`].
    BindSockets(u16),
    /// Attach a port to an announced socket pair. It neither sends nor takes audio until [`MediaCommand::SetStream`].
    OpenRtp {
        /// The new port.
        port: PortId,
        /// Local UDP port of an announced pair (even).
        socket: u16,
    },
    /// Set or change the stream of an RTP port (answer, re-INVITE, hold, resume).
    SetStream {
        /// The port.
        port: PortId,
        /// Its new parameters.
        stream: StreamParams,
    },
    /// Set or change how the packets of an RTP port are protected, before its stream. Without this command they are not.
    SetTransport {
        /// The port.
        port: PortId,
        /// Keys, or the handshake that brings them: nothing is taken or sent before. `None`: unprotected.
        protection: Option<Box<Protection>>,
        /// RTCP comes and goes on the port of RTP (RFC 5761).
        rtcp_mux: bool,
        /// Where a handshake that we begin goes: where the peer's description says that it takes RTP.
        remote: SocketAddr,
        /// Where the peer's signalling comes from, as in [`StreamParams::signalling`].
        signalling: IpAddr,
        /// The call is answered: a peer that is to begin a handshake has nothing more to wait for.
        answered: bool,
    },
    /// Attach a port to a card's timeslot.
    OpenTdm {
        /// The new port.
        port: PortId,
        /// The timeslot; its `hal::Bearer` was given to the plane at start.
        circuit: Circuit,
        /// Whether to detect DTMF in the audio.
        detect_dtmf: bool,
    },
    /// Detach and free a port. Answered by [`MediaEvent::Closed`].
    Close {
        /// The port.
        port: PortId,
    },
    /// Turn in-band DTMF detection on or off (off by default on RTP ports with telephone-event, on elsewhere).
    DetectDtmf {
        /// The port.
        port: PortId,
        /// Wanted.
        on: bool,
    },
    /// Listen for what the network, a fax machine or a modem says in tones: [`MediaEvent::Tone`].
    DetectTones {
        /// The port.
        port: PortId,
        /// ISO 3166 country whose plan applies, lower case; `None` ends it.
        country: Option<[u8; 2]>,
    },
    /// Find out who answered, from now on: one [`MediaEvent::Answered`] follows within some seconds.
    DetectAnswer {
        /// The port.
        port: PortId,
    },
    /// Tell when an RTP port hears nothing of its peer, from now on: [`MediaEvent::Unheard`]. Said again, it is told anew.
    HeedSilence {
        /// The port.
        port: PortId,
    },
    /// Play items to the port's party, once; ends whatever plays there. [`MediaEvent::PlayDone`] follows.
    Play {
        /// The port.
        port: PortId,
        /// Name of this playback, echoed in events.
        play: PlayId,
        /// What to play, in order.
        items: Vec<PlayItem>,
    },
    /// Play a tone until stopped.
    Tone {
        /// The port.
        port: PortId,
        /// Name of this playback.
        play: PlayId,
        /// Which tone.
        tone: ToneKind,
        /// ISO 3166 country whose plan applies, lower case, e.g. `us`; an unknown one falls back to `us`.
        country: [u8; 2],
    },
    /// Music on hold until stopped; encoded once per codec and fanned out to all its listeners.
    Music {
        /// The port.
        port: PortId,
        /// Name of this playback.
        play: PlayId,
        /// A prompt's name; `None` is the built-in music.
        source: Option<Arc<str>>,
    },
    /// Stop what plays on the port (silently: no `PlayDone`).
    StopPlay {
        /// The port.
        port: PortId,
    },
    /// Send digits: RFC 4733 where agreed, else in-band. [`MediaEvent::DigitsSent`] follows.
    SendDigits {
        /// The port.
        port: PortId,
        /// `0-9*#A-D`.
        digits: String,
        /// Length of a digit in milliseconds (50..=1000).
        on_ms: u16,
        /// Pause between digits in milliseconds.
        off_ms: u16,
    },
    /// Join two ports; each is in at most one bridge, so an earlier one of either ends. Playbacks of both stop.
    Bridge {
        /// One port.
        a: PortId,
        /// The other.
        b: PortId,
    },
    /// End the bridge that the port is in; the ports stay.
    Unbridge {
        /// Either port.
        port: PortId,
    },
    /// Record what the port's party says (left) and hears (right) as 8 kHz 16-bit stereo.
    Record {
        /// The port.
        port: PortId,
        /// Name of the recording, unique; the recorder derives the file's place from it.
        name: Arc<str>,
    },
    /// End a recording.
    StopRecord {
        /// The port.
        port: PortId,
    },
}

/// Measures of a port's life, for the CDR.
#[derive(Clone, Copy, PartialEq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct PortStats {
    /// RTP packets (or TDM frames of 20 ms) taken.
    pub rx_packets: u64,
    /// Packets (or frames) sent.
    pub tx_packets: u64,
    /// RTP packets lost by sequence number.
    pub rx_lost: u64,
    /// Packets dropped: late, duplicate, wrong source or payload type, malformed.
    pub rx_dropped: u64,
    /// Of those: from a source that is not the peer's.
    #[serde(default)]
    pub rx_strange: u64,
    /// Of those: of a payload type that was not agreed.
    #[serde(default)]
    pub rx_unknown: u64,
    /// Of those: after their time. Only where play-out is here; relayed packets have no time.
    #[serde(default)]
    pub rx_late: u64,
    /// Milliseconds of audio that were lost or late, so that something was made up in their place.
    #[serde(default)]
    pub concealed_ms: u64,
    /// Mean time that play-out waited for late packets.
    #[serde(default)]
    pub playout_ms: u32,
    /// Packets that came twice.
    #[serde(default)]
    pub rx_duplicate: u64,
    /// Packets that came after a later one.
    #[serde(default)]
    pub rx_reordered: u64,
    /// RTCP datagrams that are no compound packet (RFC 3550 appendix A.2) or from elsewhere.
    #[serde(default)]
    pub control_refused: u64,
    /// Last round-trip time to the peer by its reports (RFC 3550 section 6.4.1).
    #[serde(default)]
    pub round_trip_ms: Option<u32>,
    /// Mean opinion score, 1 to 4.5, estimated for what came from the party (ITU-T G.107).
    #[serde(default)]
    pub mos: Option<f32>,
    /// What the party's reports say of what we sent.
    #[serde(default)]
    pub far: Option<FarStats>,
    /// Interarrival jitter in microseconds (RFC 3550 section 6.4.1).
    pub jitter_us: u32,
}

/// What a peer reported of the stream that it received from us.
#[derive(Clone, Copy, PartialEq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct FarStats {
    /// Packets lost.
    pub lost: u64,
    /// Interarrival jitter in microseconds.
    pub jitter_us: u32,
    /// Mean opinion score: the peer's own (RFC 3611 section 4.7), otherwise estimated from its reports.
    pub mos: Option<f32>,
}

/// What the plane tells the core.
#[derive(Clone, PartialEq, Debug)]
pub enum MediaEvent {
    /// Local UDP ports (even) of bound socket pairs that may be opened.
    Sockets(Vec<u16>),
    /// No more sockets can be bound (range or descriptors used up).
    SocketsExhausted,
    /// A digit arrived.
    Digit {
        /// On this port.
        port: PortId,
        /// `0-9*#A-D`.
        digit: char,
        /// How.
        source: DigitSource,
    },
    /// A tone was heard.
    Tone {
        /// On this port.
        port: PortId,
        /// Which.
        tone: HeardTone,
    },
    /// It was found out who answered.
    Answered {
        /// On this port.
        port: PortId,
        /// Who.
        by: Answerer,
    },
    /// A playback came to its end.
    PlayDone {
        /// On this port.
        port: PortId,
        /// Which.
        play: PlayId,
    },
    /// All digits of a `SendDigits` are out.
    DigitsSent {
        /// On this port.
        port: PortId,
    },
    /// A prompt is not loaded; the fallback tone plays in its place.
    PromptMissing {
        /// On this port.
        port: PortId,
        /// Its name.
        name: Arc<str>,
    },
    /// No packet for 30 s on a port that should receive.
    Silent {
        /// The port.
        port: PortId,
    },
    /// No packet for 2 s on a port that was to be heeded by [`MediaCommand::HeedSilence`], on hold or not. Once for each silence.
    Unheard {
        /// The port.
        port: PortId,
    },
    /// A DTLS handshake brought the keys of a port (RFC 5764).
    Secured {
        /// The port.
        port: PortId,
        /// What they are for.
        suite: Suite,
    },
    /// A DTLS handshake failed, or took too long: the port has no keys.
    SecureFailed {
        /// The port.
        port: PortId,
        /// Why, a stable word: `certificate`, `handshake`, `timeout`, `busy`.
        reason: &'static str,
    },
    /// The port could not be opened, or its hardware vanished.
    Failed {
        /// The port.
        port: PortId,
    },
    /// A recording could not start or go on (disk full, recorder overrun).
    RecordFailed {
        /// The port.
        port: PortId,
    },
    /// The port is gone; an RTP socket is free again.
    Closed {
        /// The port.
        port: PortId,
        /// Its measures; boxed, as they are most of what an event would take.
        stats: Box<PortStats>,
        /// The RTP socket that is free again.
        socket: Option<u16>,
    },
}
