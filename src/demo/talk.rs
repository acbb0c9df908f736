//! A softphone's conversation: the reference signal out, recognition of what comes in, keys as telephone events.

use std::collections::VecDeque;
use std::net::SocketAddr;

use rtp_rs::{RtpPacketBuilder, RtpReader};

use crate::dsp::coder::Coder;
use crate::dsp::reference::{Recognizer, ReferenceSignal};
use crate::proto::sdp::Agreed;

const SAMPLES: usize = 160;
/// Packets of a key press: 100 ms, then the end three times (RFC 4733 section 2.5.1.4).
const KEY_PACKETS: u16 = 5;

/// One conversation's audio.
pub(super) struct Talk {
    agreed: Agreed,
    voice: ReferenceSignal,
    /// Whether the voice is on; silence otherwise.
    pub speaking: bool,
    ear: Recognizer,
    hearing: Coder,
    saying: Coder,
    keys: VecDeque<char>,
    pressing: Option<Press>,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    /// RTP packets taken.
    pub heard_packets: u64,
}

struct Press {
    event: u8,
    at: u32,
    sent: u16,
}

impl Talk {
    pub fn new(agreed: Agreed, seed: u64) -> Self {
        Self {
            agreed,
            voice: ReferenceSignal::new(seed),
            speaking: true,
            ear: Recognizer::new(),
            hearing: Coder::default(),
            saying: Coder::default(),
            keys: VecDeque::new(),
            pressing: None,
            sequence: seed as u16,
            timestamp: (seed as u32).wrapping_mul(7919),
            ssrc: 0x0c0d_0000 ^ seed as u32,
            heard_packets: 0,
        }
    }

    pub fn remote(&self) -> SocketAddr {
        self.agreed.remote
    }

    /// Presses a key.
    pub fn press(&mut self, key: char) {
        self.keys.push_back(key);
    }

    /// Whose signal is heard now.
    pub fn hears(&self, candidates: impl IntoIterator<Item = u64>) -> Option<u64> {
        self.ear.recognise(candidates).map(|r| r.seed)
    }

    /// Takes an RTP packet.
    pub fn hear(&mut self, packet: &[u8]) {
        let Ok(rtp) = RtpReader::new(packet) else { return };
        if rtp.payload_type() != self.agreed.payload_type {
            return;
        }
        self.heard_packets += 1;
        let mut pcm = [0i16; 480];
        let payload = rtp.payload();
        let n = payload.len().min(pcm.len());
        if let (Some(out), Some(octets)) = (pcm.get_mut(..n), payload.get(..n)) {
            self.hearing.decode(self.agreed.codec, octets, out);
            self.ear.push(out);
        }
    }

    /// The next packet to send: audio, or a piece of a key press.
    pub fn say(&mut self) -> Vec<u8> {
        let packet = self.key_packet().unwrap_or_else(|| self.audio_packet());
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(SAMPLES as u32);
        packet
    }

    fn audio_packet(&mut self) -> Vec<u8> {
        let mut pcm = [0i16; SAMPLES];
        if self.speaking {
            self.voice.fill(&mut pcm);
        }
        let mut octets = [0u8; SAMPLES];
        self.saying.encode(self.agreed.codec, &pcm, &mut octets);
        self.packet(self.agreed.payload_type, self.timestamp, false, &octets)
    }

    fn key_packet(&mut self) -> Option<Vec<u8>> {
        let payload_type = self.agreed.telephone_event?;
        if self.pressing.is_none() {
            let event = "0123456789*#ABCD".find(self.keys.pop_front()?)?;
            self.pressing = Some(Press { event: u8::try_from(event).ok()?, at: self.timestamp, sent: 0 });
        }
        let press = self.pressing.as_mut()?;
        press.sent += 1;
        let ended = press.sent > KEY_PACKETS;
        let duration = press.sent.min(KEY_PACKETS) * SAMPLES as u16;
        let [high, low] = duration.to_be_bytes();
        let payload = [press.event, if ended { 0x8a } else { 0x0a }, high, low];
        let (at, first, over) = (press.at, press.sent == 1, press.sent >= KEY_PACKETS + 3);
        if over {
            self.pressing = None;
        }
        Some(self.packet(payload_type, at, first, &payload))
    }

    fn packet(&self, payload_type: u8, timestamp: u32, marked: bool, payload: &[u8]) -> Vec<u8> {
        RtpPacketBuilder::new()
            .payload_type(payload_type)
            .sequence(self.sequence.into())
            .timestamp(timestamp)
            .ssrc(self.ssrc)
            .marked(marked)
            .payload(payload)
            .build()
            .unwrap_or_default()
    }
}
