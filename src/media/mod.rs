//! The media plane: where the samples of all legs meet, in frames of 20 ms.
//!
//! [`Plane`] owns every port. It is driven by [`Plane::command`] (from the core), [`Plane::receive`] (a packet came) and
//! [`Plane::tick`] (when [`Plane::poll_timeout`] says), sends through a [`Wire`], and is drained by
//! [`Plane::poll_event`]. It reads no clock and opens no socket: `edge::rtp` is the thread around it.
//!
//! A packet takes one of three paths, chosen anew whenever a command changes what its port needs:
//!
//! - *relay*: two bridged RTP ports of one codec that nobody plays to, records or listens in on. The header is rewritten
//!   and the packet leaves at once: no buffer, no decoding, no allocation.
//! - *frames*: everything else that needs samples, through the jitter buffer every 20 ms.
//! - *idle*: nobody wants the audio; packets are counted and telephone events reported.

mod crypt;
mod cycle;
mod delay;
mod digits;
mod jitter;
mod latch;
mod listening;
mod plane;
mod player;
mod playout;
mod port;
mod prompt;
mod quality;
mod random;
mod reception;
mod reports;
mod rtp_end;
mod tdm_end;
mod transmission;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use crypt::SrtpCounters;
pub use plane::{Counters, Plane, PlaneConfig};
pub use port::EVENTS_MAX;
pub use prompt::Prompt;

use crate::base::PortId;

/// Samples of a frame, and octets of it in either law of G.711.
pub const FRAME: usize = 160;

/// Duration of a frame.
pub const FRAME_TIME: Duration = Duration::from_millis(20);

/// Longest RTP or RTCP packet that is looked at: what fits an Ethernet frame.
pub const PACKET_MAX: usize = 1_500;

/// A frame in a law of G.711.
pub type Octets = [u8; FRAME];

/// A frame of linear samples.
pub type Samples = [i16; FRAME];

/// Which socket of a pair.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SocketKind {
    /// RTP, the even port.
    Rtp,
    /// RTCP, the odd port above it.
    Rtcp,
}

/// Where packets leave.
pub trait Wire {
    /// Sends a packet from the pair whose RTP port is `socket`. Never blocks; a packet that cannot be sent is lost, as
    /// on any network. The packet may be sent later in a batch, in order.
    fn send(&mut self, socket: u16, kind: SocketKind, to: SocketAddr, packet: &[u8]);

    /// Takes a DTLS record that came from `from` for the handshake of `port`. Never blocks. Without a handshake there is
    /// nobody to take it.
    fn handshake(&mut self, port: PortId, from: SocketAddr, record: &[u8]) {
        let _ = (port, from, record);
    }
}

/// Why a recording cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RecordError {
    /// The recorder does not keep up.
    Overrun,
    /// The file cannot be written, e.g. the disk is full.
    Storage,
}

impl std::fmt::Display for RecordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RecordError::Overrun => "the recorder does not keep up",
            RecordError::Storage => "the recording cannot be written",
        })
    }
}

impl std::error::Error for RecordError {}

/// Where recordings go. Called from the media thread: must not block, allocate or lock.
pub trait RecordSink: Send {
    /// Takes 20 ms of the recording `name`: what the party said (left) and heard (right). An error ends the recording.
    fn frame(&mut self, name: &Arc<str>, left: &Samples, right: &Samples) -> Result<(), RecordError>;

    /// The recording `name` is complete.
    fn finish(&mut self, name: &Arc<str>);

    /// Does what found no room before. Returns whether some of it still waits, so that this is to be called again.
    fn settle(&mut self) -> bool {
        false
    }
}

/// Where nothing is recorded.
#[derive(Clone, Copy, Debug)]
pub struct NoRecorder;

impl RecordSink for NoRecorder {
    fn frame(&mut self, _: &Arc<str>, _: &Samples, _: &Samples) -> Result<(), RecordError> {
        Err(RecordError::Storage)
    }

    fn finish(&mut self, _: &Arc<str>) {}
}
