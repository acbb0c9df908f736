//! RTP data packets (RFC 3550 section 5.1).
//!
//! Relayed packets only need their fixed header, so that is read and rewritten in place here; where the payload
//! counts, `rtp-rs` walks the variable parts (CSRC list, extension, padding).

use rtp_rs::RtpReader;

/// Octets of the fixed header.
pub const HEADER_LEN: usize = 12;

/// The fields of the fixed header that a mixer, translator or end system handles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Start of a talkspurt, or of a telephone event (RFC 3551 section 4.1, RFC 4733 section 2.2).
    pub marker: bool,
    /// Payload type, 0..=127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp; 8,000 units a second for every codec of ours.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl Header {
    /// Reads the fixed header; `None` when the packet is too short or of another version than 2. What follows the
    /// fixed header is not looked at.
    pub fn read(packet: &[u8]) -> Option<Header> {
        let &[first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = packet.first_chunk::<HEADER_LEN>()?;
        (first >> 6 == 2).then_some(Header {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
        })
    }

    /// Overwrites these fields in a packet, leaving version, padding, extension and CSRC count as they are. A packet
    /// shorter than a fixed header is left alone.
    pub fn overwrite(&self, packet: &mut [u8]) {
        if let Some([_, rest @ ..]) = packet.first_chunk_mut::<HEADER_LEN>() {
            *rest = self.fields();
        }
    }

    /// The octets of a header without padding, extension or CSRC.
    pub fn to_octets(&self) -> [u8; HEADER_LEN] {
        let mut octets = [0x80; HEADER_LEN];
        self.overwrite(&mut octets);
        octets
    }

    fn fields(&self) -> [u8; HEADER_LEN - 1] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [i0, i1, i2, i3] = self.ssrc.to_be_bytes();
        [u8::from(self.marker) << 7 | (self.payload_type & 0x7f), s0, s1, t0, t1, t2, t3, i0, i1, i2, i3]
    }
}

/// Where the payload begins: behind the fixed header, the CSRC list and the extension (RFC 3550 section 5.3.1); `None` when
/// the packet ends before that.
#[inline]
pub fn header_len(packet: &[u8]) -> Option<usize> {
    let first = packet.first()?;
    let mut len = HEADER_LEN + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let &[_, _, l0, l1] = packet.get(len..)?.first_chunk::<4>()?;
        len += 4 + 4 * usize::from(u16::from_be_bytes([l0, l1]));
    }
    (len <= packet.len()).then_some(len)
}

/// The payload without CSRC list, extension and padding; `None` when the packet is malformed.
pub fn payload(packet: &[u8]) -> Option<&[u8]> {
    RtpReader::new(packet).ok().map(|reader| reader.payload())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator so that the comparison covers the whole range of every field.
    fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    #[test]
    fn the_hand_written_header_agrees_with_rtp_rs() {
        let seed = 0x5eed_u64;
        let mut state = seed;
        for _ in 0..10_000 {
            let mut packet = [0u8; 40];
            for octet in &mut packet {
                *octet = random(&mut state) as u8;
            }
            packet[0] = 0x80 | (packet[0] & 0x0f).min(5);
            let ours = Header::read(&packet).expect("version 2");
            let theirs = RtpReader::new(&packet).expect("well formed");
            assert_eq!(ours.marker, theirs.mark(), "seed {seed:#x}");
            assert_eq!(ours.payload_type, theirs.payload_type(), "seed {seed:#x}");
            assert_eq!(ours.sequence, u16::from(theirs.sequence_number()), "seed {seed:#x}");
            assert_eq!(ours.timestamp, theirs.timestamp(), "seed {seed:#x}");
            assert_eq!(ours.ssrc, theirs.ssrc(), "seed {seed:#x}");
            assert_eq!(payload(&packet), Some(theirs.payload()), "seed {seed:#x}");
            let rest = header_len(&packet).expect("well formed");
            assert_eq!(&packet[rest..], theirs.payload(), "seed {seed:#x}");

            let mut again = packet;
            ours.overwrite(&mut again);
            assert_eq!(packet, again, "seed {seed:#x}: rewriting what was read changes nothing");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let header =
            Header { marker: true, payload_type: 101, sequence: 0xfffe, timestamp: 0xdead_beef, ssrc: 0x0102_0304 };
        let octets = header.to_octets();
        assert_eq!(octets[0], 0x80);
        assert_eq!(Header::read(&octets), Some(header));
    }

    #[test]
    fn short_or_foreign_packets_are_refused() {
        assert_eq!(Header::read(&[0x80; 11]), None);
        assert_eq!(Header::read(&[0x40; 12]), None, "version 1");
        assert_eq!(Header::read(&[]), None);
        let mut short = [0u8; 5];
        Header::read(&[0x80; 12]).expect("version 2").overwrite(&mut short);
        assert_eq!(short, [0; 5]);
    }

    #[test]
    fn extension_csrc_and_padding_are_skipped() {
        // One CSRC, an extension of one word, two octets of padding.
        let mut packet = vec![0x80 | 0x20 | 0x10 | 1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        packet.extend([9; 4]);
        packet.extend([0xbe, 0xde, 0, 1, 7, 7, 7, 7]);
        packet.extend(b"hello");
        packet.extend([0, 2]);
        assert_eq!(payload(&packet), Some(&b"hello"[..]));
        assert_eq!(payload(&packet[..18]), None, "truncated extension");
        *packet.last_mut().expect("not empty") = 200;
        assert_eq!(payload(&packet), None, "more padding than packet");
    }
}
