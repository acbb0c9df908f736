//! Our outgoing RTP stream: one SSRC, sequence and timestamp line, whether its packets are relayed or made here.

use crate::base::Instant;
use crate::media::random::Random;
use crate::proto::rtp::packet::Header;

/// State of an outgoing stream. The peer sees one unbroken source while playbacks, bridges and digits follow each other.
#[derive(Clone, Debug)]
pub struct Transmission {
    ssrc: u32,
    /// Sequence number of the next packet.
    sequence: u16,
    /// Timestamp of the newest packet, how many units it covers, and when it was sent.
    timestamp: u32,
    span: u32,
    sent: Option<Instant>,
    mapping: Option<Mapping>,
    packets: u32,
    octets: u32,
}

/// How a relayed source's numbers become ours.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    port: usize,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

impl Transmission {
    /// A stream with random SSRC, first sequence number and first timestamp (RFC 3550 section 5.1).
    pub fn new(random: &mut Random) -> Transmission {
        Transmission {
            ssrc: random.next_u32(),
            // Below half of the range, so that the first wrap is far away for receivers that guess.
            sequence: random.next_u32() as u16 & 0x7fff,
            timestamp: random.next_u32(),
            span: 0,
            sent: None,
            mapping: None,
            packets: 0,
            octets: 0,
        }
    }

    /// Begins as another source; what was counted stays. The receiver plays out anew.
    pub fn renew(&mut self, random: &mut Random) {
        *self = Transmission { packets: self.packets, octets: self.octets, ..Transmission::new(random) };
    }

    /// Our SSRC.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The timestamp that audio sampled now gets: after all that was sent, moved on by the time that passed.
    pub fn timestamp_at(&self, now: Instant) -> u32 {
        let elapsed = self.sent.map_or(0, |sent| (now - sent).as_micros() / 125);
        self.timestamp.wrapping_add((elapsed as u32).max(self.span))
    }

    /// The header of a packet made here, which covers `span` timestamp units and carries `octets` of payload.
    pub fn make(&mut self, now: Instant, timestamp: u32, span: u32, octets: usize) -> Header {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        self.mapping = None;
        self.advance(now, timestamp, span);
        self.count(octets);
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: self.ssrc }
    }

    /// Rewrites the header of a packet relayed from `port`; the payload type is the caller's. The numbers keep their
    /// distances, so loss and reordering before us stay visible behind us. The first packet of a source is marked: the
    /// receiver's play-out may start anew there.
    #[inline]
    pub fn relay(&mut self, now: Instant, port: usize, header: &Header, octets: usize) -> Header {
        let (mapping, begins) = match self.mapping {
            Some(mapping) if mapping.ssrc == header.ssrc && mapping.port == port => (mapping, false),
            _ => (self.map(now, port, header), true),
        };
        let sequence = header.sequence.wrapping_add(mapping.sequence);
        let timestamp = header.timestamp.wrapping_add(mapping.timestamp);
        if sequence.wrapping_sub(self.sequence) < 0x8000 {
            self.sequence = sequence.wrapping_add(1);
        }
        if timestamp.wrapping_sub(self.timestamp).cast_signed() > 0 {
            self.advance(now, timestamp, octets as u32);
        }
        self.count(octets);
        let marker = header.marker || begins;
        Header { marker, payload_type: header.payload_type, sequence, timestamp, ssrc: self.ssrc }
    }

    #[cold]
    fn map(&mut self, now: Instant, port: usize, header: &Header) -> Mapping {
        let mapping = Mapping {
            port,
            ssrc: header.ssrc,
            sequence: self.sequence.wrapping_sub(header.sequence),
            timestamp: self.timestamp_at(now).wrapping_sub(header.timestamp),
        };
        self.mapping = Some(mapping);
        mapping
    }

    /// Forgets the relayed source: the next packet starts where ours stands.
    pub fn unmap(&mut self) {
        self.mapping = None;
    }

    /// Further packets of one event share its timestamp: the time of the first one stays the reference.
    fn advance(&mut self, now: Instant, timestamp: u32, span: u32) {
        if timestamp != self.timestamp || self.sent.is_none() {
            self.timestamp = timestamp;
            self.span = 0;
            self.sent = Some(now);
        }
        self.span = self.span.max(span);
    }

    fn count(&mut self, octets: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(octets as u32);
    }

    /// Packets and payload octets sent, modulo 2^32 as in a sender report.
    pub fn sent(&self) -> (u32, u32) {
        (self.packets, self.octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    fn header(sequence: u16, timestamp: u32, ssrc: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc }
    }

    #[test]
    fn one_line_through_relay_and_own_packets() {
        let mut out = Transmission::new(&mut Random::new([1; 32]));
        let first = out.relay(at(0), 0, &header(500, 9_000, 77), 160);
        let second = out.relay(at(20), 0, &header(501, 9_160, 77), 160);
        assert_eq!(second.sequence, first.sequence.wrapping_add(1));
        assert_eq!(second.timestamp, first.timestamp.wrapping_add(160));
        assert_eq!(second.ssrc, out.ssrc());

        // A playback 100 ms later.
        let timestamp = out.timestamp_at(at(120));
        assert_eq!(timestamp, second.timestamp.wrapping_add(800));
        let made = out.make(at(120), timestamp, 160, 160);
        assert_eq!(made.sequence, second.sequence.wrapping_add(1));

        // Relay from another source, right behind it.
        let again = out.relay(at(130), 3, &header(9, 5, 78), 160);
        assert_eq!(again.sequence, made.sequence.wrapping_add(1));
        assert_eq!(again.timestamp, made.timestamp.wrapping_add(160), "never before the end of what was sent");
        assert_eq!(out.sent(), (4, 640));
    }

    #[test]
    fn reordering_is_kept() {
        let mut out = Transmission::new(&mut Random::new([2; 32]));
        let a = out.relay(at(0), 0, &header(65_535, 0, 1), 160);
        let c = out.relay(at(20), 0, &header(1, 320, 1), 160);
        let b = out.relay(at(21), 0, &header(0, 160, 1), 160);
        assert_eq!(b.sequence, a.sequence.wrapping_add(1));
        assert_eq!(c.sequence, a.sequence.wrapping_add(2));
        let timestamp = out.timestamp_at(at(40));
        let next = out.make(at(40), timestamp, 160, 160);
        assert_eq!(next.sequence, c.sequence.wrapping_add(1));
        assert_eq!(next.timestamp, c.timestamp.wrapping_add(160));
    }

    #[test]
    fn events_do_not_move_time_backwards() {
        let mut out = Transmission::new(&mut Random::new([3; 32]));
        let audio = out.relay(at(0), 0, &header(1, 1_000, 1), 160);
        for n in 0..5u16 {
            let event = out.relay(at(20 + u64::from(n) * 20), 0, &header(2 + n, 1_160, 1), 4);
            assert_eq!(event.timestamp, audio.timestamp.wrapping_add(160));
        }
        // The event began 100 ms ago.
        assert_eq!(out.timestamp_at(at(120)), audio.timestamp.wrapping_add(160 + 800));
    }
}
