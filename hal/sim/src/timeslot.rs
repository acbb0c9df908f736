//! One timeslot of the simulated card: its buffers, who has it, and what crosses the line each millisecond.

use std::collections::VecDeque;

use cordboard_hal::{CasBits, Law};

use crate::far_end::FarEnd;

/// Octets per millisecond.
pub(crate) const CHUNK: usize = 8;
/// Octets that each direction buffers: 4 blocks of 20 ms, as DAHDI does.
pub(crate) const BUFFER_OCTETS: usize = 4 * 160;
/// Longest HDLC frame without FCS.
pub(crate) const FRAME_OCTETS_MAX: usize = 512;
/// Frames that wait to be sent.
const FRAMES_MAX: usize = 16;
/// An HDLC controller loses frames until it has seen flags for this long (DAHDI: 10 ms measured).
const HDLC_SYNC_MS: u64 = 10;

/// Who has the timeslot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    /// Nobody.
    Free,
    /// A channel and a bearer; this many of the two live.
    Bearer { halves: u8 },
    /// A D channel, since this millisecond.
    Hdlc { since_ms: u64 },
}

/// What crosses the line in a millisecond.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) octets: [u8; CHUNK],
    pub(crate) bits: CasBits,
    pub(crate) frame: Option<Vec<u8>>,
}

impl Chunk {
    pub(crate) fn silence(law: Law) -> Self {
        Self { octets: [law.silence(); CHUNK], bits: CasBits::ON_HOOK, frame: None }
    }
}

#[derive(Debug)]
pub(crate) struct Timeslot {
    pub(crate) usage: Use,
    pub(crate) rx: VecDeque<u8>,
    pub(crate) tx: VecDeque<u8>,
    pub(crate) rx_bits: CasBits,
    pub(crate) tx_bits: CasBits,
    /// Received bits that a fault holds.
    pub(crate) stuck: Option<CasBits>,
    frames: VecDeque<Vec<u8>>,
    /// Octets of the front frame that are out.
    frame_octets_out: usize,
    /// What we put on the line this millisecond.
    pub(crate) sent: Chunk,
    /// What came off the line last millisecond, for the remote loop.
    pub(crate) arrived: Chunk,
    pub(crate) far: FarEnd,
}

impl Timeslot {
    pub(crate) fn new(law: Law) -> Self {
        Self {
            usage: Use::Free,
            rx: VecDeque::with_capacity(BUFFER_OCTETS),
            tx: VecDeque::with_capacity(BUFFER_OCTETS),
            rx_bits: CasBits::ON_HOOK,
            tx_bits: CasBits::ON_HOOK,
            stuck: None,
            frames: VecDeque::new(),
            frame_octets_out: 0,
            sent: Chunk::silence(law),
            arrived: Chunk::silence(law),
            far: FarEnd::new(law),
        }
    }

    /// One half, or the D channel, was dropped.
    pub(crate) fn release(&mut self) {
        self.usage = match self.usage {
            Use::Bearer { halves } if halves > 1 => Use::Bearer { halves: halves - 1 },
            _ => Use::Free,
        };
        if self.usage == Use::Free {
            self.tx_bits = CasBits::ON_HOOK;
            self.rx.clear();
            self.tx.clear();
            self.frames.clear();
            self.frame_octets_out = 0;
        }
    }

    /// Queues a frame; `false` when the queue is full.
    pub(crate) fn queue_frame(&mut self, frame: &[u8]) -> bool {
        let fits = self.frames.len() < FRAMES_MAX;
        if fits {
            self.frames.push_back(frame.to_vec());
        }
        fits
    }

    /// Puts a millisecond on the line.
    pub(crate) fn send(&mut self, now_ms: u64, law: Law, looped: bool) {
        if looped {
            self.sent = self.arrived.clone();
            return;
        }
        self.sent.bits = self.tx_bits;
        self.sent.frame = None;
        match self.usage {
            Use::Hdlc { since_ms } => {
                self.sent.octets = [0x7e; CHUNK];
                let frame = self.send_frame();
                self.sent.frame = frame.filter(|_| now_ms > since_ms + HDLC_SYNC_MS);
            }
            Use::Bearer { .. } | Use::Free => {
                self.sent.octets.fill_with(|| self.tx.pop_front().unwrap_or(law.silence()));
            }
        }
    }

    fn send_frame(&mut self) -> Option<Vec<u8>> {
        // A closing flag and two octets of FCS go with each frame (Q.921 2.1).
        const OVERHEAD: usize = 3;
        let len = self.frames.front()?.len() + OVERHEAD;
        self.frame_octets_out += CHUNK;
        if self.frame_octets_out < len {
            return None;
        }
        self.frame_octets_out = 0;
        self.frames.pop_front()
    }

    /// Whether a frame that arrives now is told.
    pub(crate) fn hears_frames(&self, now_ms: u64) -> bool {
        matches!(self.usage, Use::Hdlc { since_ms } if now_ms > since_ms + HDLC_SYNC_MS)
    }

    /// Takes received octets; the oldest make room.
    pub(crate) fn receive(&mut self, octets: impl Iterator<Item = u8>) {
        for octet in octets {
            if self.rx.len() == BUFFER_OCTETS {
                self.rx.pop_front();
            }
            self.rx.push_back(octet);
        }
    }
}
