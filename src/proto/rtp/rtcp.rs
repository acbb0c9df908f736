//! RTP control protocol (RFC 3550 section 6): sender and receiver reports, CNAME, BYE; VoIP metrics of extended reports
//! (RFC 3611) are read.

use std::slice::ChunksExact;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const EXTENDED_REPORT: u8 = 207;
/// Block type and length in words of VoIP metrics (RFC 3611 section 4.7).
const VOIP_METRICS: (u8, u16) = (7, 8);
const CNAME: u8 = 1;
const BLOCK_LEN: usize = 24;

/// Sender information of an SR (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderInfo {
    /// 64-bit NTP format: seconds in the upper half, their fraction in the lower. A system without wall-clock time
    /// may count from any origin.
    pub ntp: u64,
    /// The same moment in RTP timestamp units of this source.
    pub rtp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload octets sent.
    pub octets: u32,
}

/// Reception report block (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportBlock {
    /// The source that is reported on.
    pub ssrc: u32,
    /// Share lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; 24 bits with sign, clamped.
    pub cumulative_lost: i32,
    /// Extended highest sequence number received.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the last SR's NTP timestamp; 0 when none came.
    pub last_sr: u32,
    /// Delay since that SR in 1/65,536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    fn read(b: &[u8]) -> Option<ReportBlock> {
        Some(ReportBlock {
            ssrc: word(b, 0)?,
            fraction_lost: *b.get(4)?,
            // The 24-bit field is sign-extended by shifting the fraction out of the top.
            cumulative_lost: (word(b, 4)? << 8).cast_signed() >> 8,
            highest_sequence: word(b, 8)?,
            jitter: word(b, 12)?,
            last_sr: word(b, 16)?,
            delay_since_last_sr: word(b, 20)?,
        })
    }

    fn to_octets(self) -> [u8; BLOCK_LEN] {
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff;
        let words = [
            self.ssrc,
            u32::from(self.fraction_lost) << 24 | lost,
            self.highest_sequence,
            self.jitter,
            self.last_sr,
            self.delay_since_last_sr,
        ];
        let mut octets = [0; BLOCK_LEN];
        for (to, word) in octets.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_be_bytes());
        }
        octets
    }
}

/// Report blocks of a packet.
#[derive(Clone, Debug)]
pub struct Blocks<'a>(ChunksExact<'a, u8>);

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        self.0.next().and_then(ReportBlock::read)
    }
}

/// VoIP metrics of an extended report (RFC 3611 section 4.7), as far as they are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VoipMetrics {
    /// The source that is reported on.
    pub ssrc: u32,
    /// Share of packets lost since the beginning, in 1/256.
    pub loss_rate: u8,
    /// Share of packets discarded by the jitter buffer, in 1/256.
    pub discard_rate: u8,
    /// Round-trip time in milliseconds; 0 when it is not known.
    pub round_trip_ms: u16,
    /// Delay within the reporting end system in milliseconds.
    pub end_system_delay_ms: u16,
    /// R of the E-model, 0 to 100.
    pub rating: Option<u8>,
    /// Mean opinion score of listening quality, times 10.
    pub mos_x10: Option<u8>,
}

impl VoipMetrics {
    /// From a block with its header.
    fn read(block: &[u8]) -> Option<VoipMetrics> {
        let two = |at: usize| Some(u16::from_be_bytes([*block.get(at)?, *block.get(at + 1)?]));
        Some(VoipMetrics {
            ssrc: word(block, 4)?,
            loss_rate: *block.get(8)?,
            discard_rate: *block.get(9)?,
            round_trip_ms: two(16)?,
            end_system_delay_ms: two(18)?,
            // 127 says that there is none.
            rating: block.get(24).copied().filter(|r| *r <= 100),
            mos_x10: block.get(26).copied().filter(|mos| (10..=50).contains(mos)),
        })
    }
}

/// One packet of a compound packet.
#[derive(Clone, Debug)]
pub enum Packet<'a> {
    /// SR.
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// What it sent.
        sender: SenderInfo,
        /// What it received.
        blocks: Blocks<'a>,
    },
    /// RR.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// What it received.
        blocks: Blocks<'a>,
    },
    /// BYE of its first source.
    Goodbye {
        /// Who leaves.
        ssrc: u32,
    },
    /// XR with VoIP metrics.
    Metrics(VoipMetrics),
    /// A packet type that is of no use here.
    Other(u8),
}

/// The packets of a datagram; ends at its end or at the first malformed packet.
pub fn packets(datagram: &[u8]) -> Packets<'_> {
    Packets { rest: datagram }
}

/// See [`packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let &[first, packet_type, l0, l1] = self.rest.first_chunk()?;
        let len = (usize::from(u16::from_be_bytes([l0, l1])) + 1) * 4;
        let (packet, rest) = self.rest.split_at_checked(len)?;
        // RFC 3550 section 6.1: version 2 in each packet of the compound.
        if first >> 6 != 2 {
            return None;
        }
        self.rest = rest;
        let count = usize::from(first & 0x1f);
        match packet_type {
            SENDER_REPORT => Some(Packet::SenderReport {
                ssrc: word(packet, 4)?,
                sender: SenderInfo {
                    ntp: u64::from(word(packet, 8)?) << 32 | u64::from(word(packet, 12)?),
                    rtp: word(packet, 16)?,
                    packets: word(packet, 20)?,
                    octets: word(packet, 24)?,
                },
                blocks: blocks(packet, 28, count)?,
            }),
            RECEIVER_REPORT => {
                Some(Packet::ReceiverReport { ssrc: word(packet, 4)?, blocks: blocks(packet, 8, count)? })
            }
            EXTENDED_REPORT => Some(metrics(packet).map_or(Packet::Other(packet_type), Packet::Metrics)),
            GOODBYE if count > 0 => Some(Packet::Goodbye { ssrc: word(packet, 4)? }),
            other => Some(Packet::Other(other)),
        }
    }
}

/// The VoIP metrics among an extended report's blocks (RFC 3611 section 3).
fn metrics(packet: &[u8]) -> Option<VoipMetrics> {
    let mut rest = packet.get(8..)?;
    loop {
        let &[block_type, _, l0, l1] = rest.first_chunk()?;
        let words = u16::from_be_bytes([l0, l1]);
        let (block, after) = rest.split_at_checked((usize::from(words) + 1) * 4)?;
        if (block_type, words) == VOIP_METRICS {
            return VoipMetrics::read(block);
        }
        rest = after;
    }
}

/// Whether a datagram is a compound packet by the tests of RFC 3550 appendix A.2: version 2 throughout, a report first
/// and without padding, padding in the last packet only, and lengths that add up to the datagram's.
pub fn is_compound(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    let mut is_first = true;
    while let Some(&[first, packet_type, l0, l1]) = rest.first_chunk() {
        let len = (usize::from(u16::from_be_bytes([l0, l1])) + 1) * 4;
        let Some((_, after)) = rest.split_at_checked(len) else { return false };
        let (version, padded) = (first >> 6, first & 0x20 != 0);
        let begins_well = !is_first || matches!(packet_type, SENDER_REPORT | RECEIVER_REPORT);
        if version != 2 || !begins_well || (padded && (is_first || !after.is_empty())) {
            return false;
        }
        is_first = false;
        rest = after;
    }
    !is_first && rest.is_empty()
}

fn blocks(packet: &[u8], start: usize, count: usize) -> Option<Blocks<'_>> {
    Some(Blocks(packet.get(start..start + count * BLOCK_LEN)?.chunks_exact(BLOCK_LEN)))
}

fn word(packet: &[u8], at: usize) -> Option<u32> {
    packet.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}

/// Octets of the longest compound packet that [`Compound`] writes: SR with one block, CNAME, BYE.
const COMPOUND_MAX: usize = 28 + BLOCK_LEN + 8 + 2 + CNAME_LEN + 4 + 8;

/// Octets of a canonical name here: 96 random bits in hexadecimal (RFC 7022 section 4.2).
pub const CNAME_LEN: usize = 24;

/// A compound packet being written: report, CNAME, and BYE at the end of a session (RFC 3550 section 6.1).
#[derive(Debug)]
pub struct Compound {
    octets: [u8; COMPOUND_MAX],
    len: usize,
}

impl Compound {
    /// A compound packet of `ssrc`: an SR when it has sent since its last report, otherwise an RR; with a report
    /// block when something was received.
    pub fn new(
        ssrc: u32,
        sender: Option<&SenderInfo>,
        block: Option<&ReportBlock>,
        cname: &[u8; CNAME_LEN],
    ) -> Compound {
        let mut compound = Compound { octets: [0; COMPOUND_MAX], len: 0 };
        let count = u8::from(block.is_some());
        let packet_type = if sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
        let start = compound.begin(count, packet_type, ssrc);
        if let Some(sender) = sender {
            compound.push(&sender.ntp.to_be_bytes());
            compound.push(&sender.rtp.to_be_bytes());
            compound.push(&sender.packets.to_be_bytes());
            compound.push(&sender.octets.to_be_bytes());
        }
        if let Some(block) = block {
            compound.push(&block.to_octets());
        }
        compound.end(start);

        let start = compound.begin(1, SOURCE_DESCRIPTION, ssrc);
        compound.push(&[CNAME, CNAME_LEN as u8]);
        compound.push(cname);
        // RFC 3550 section 6.5: the items end with at least one zero octet, up to the next word.
        compound.push(&[0]);
        while !compound.len.is_multiple_of(4) {
            compound.push(&[0]);
        }
        compound.end(start);
        compound
    }

    /// Adds a BYE for `ssrc`.
    #[must_use]
    pub fn goodbye(mut self, ssrc: u32) -> Compound {
        let start = self.begin(1, GOODBYE, ssrc);
        self.end(start);
        self
    }

    /// The datagram.
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    fn begin(&mut self, count: u8, packet_type: u8, ssrc: u32) -> usize {
        let start = self.len;
        self.push(&[0x80 | count, packet_type, 0, 0]);
        self.push(&ssrc.to_be_bytes());
        start
    }

    fn end(&mut self, start: usize) {
        let words = u16::try_from((self.len - start) / 4 - 1).unwrap_or(0);
        if let Some(length) = self.octets.get_mut(start + 2..start + 4) {
            length.copy_from_slice(&words.to_be_bytes());
        }
    }

    fn push(&mut self, octets: &[u8]) {
        let end = self.len + octets.len();
        debug_assert!(end <= COMPOUND_MAX, "COMPOUND_MAX covers all that is pushed");
        if let Some(to) = self.octets.get_mut(self.len..end) {
            to.copy_from_slice(octets);
            self.len = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &[u8; CNAME_LEN] = b"0123456789abcdef01234567";

    fn block() -> ReportBlock {
        ReportBlock {
            ssrc: 7,
            fraction_lost: 25,
            cumulative_lost: -3,
            highest_sequence: 0x0001_ffff,
            jitter: 40,
            last_sr: 0x1234_5678,
            delay_since_last_sr: 65_536,
        }
    }

    #[test]
    fn a_full_compound_is_read_again() {
        let info = SenderInfo { ntp: 0x0102_0304_0506_0708, rtp: 99, packets: 5, octets: 800 };
        let compound = Compound::new(42, Some(&info), Some(&block()), NAME).goodbye(42);
        let octets = compound.as_slice();
        assert_eq!(octets.len(), COMPOUND_MAX - 2, "two octets of CNAME padding less than the most");
        assert_eq!(octets.len() % 4, 0);

        let mut packets = packets(octets);
        let Some(Packet::SenderReport { ssrc: 42, sender, mut blocks }) = packets.next() else {
            panic!("SR first");
        };
        assert_eq!(sender, info);
        assert_eq!(blocks.next(), Some(block()));
        assert_eq!(blocks.next(), None);
        assert!(matches!(packets.next(), Some(Packet::Other(SOURCE_DESCRIPTION))));
        assert!(matches!(packets.next(), Some(Packet::Goodbye { ssrc: 42 })));
        assert!(packets.next().is_none());
        assert!(packets.rest.is_empty());
    }

    #[test]
    fn a_receiver_report_without_blocks() {
        let compound = Compound::new(42, None, None, NAME);
        assert_eq!(&compound.as_slice()[..8], &[0x80, 201, 0, 1, 0, 0, 0, 42]);
        assert!(matches!(packets(compound.as_slice()).next(), Some(Packet::ReceiverReport { ssrc: 42, .. })));
    }

    #[test]
    fn compound_packets_are_told_from_others() {
        let compound = Compound::new(42, None, Some(&block()), NAME).goodbye(42);
        let octets = compound.as_slice();
        assert!(is_compound(octets));
        assert!((0..octets.len()).filter(|&len| is_compound(&octets[..len])).all(|len| len % 4 == 0 && len >= 32));
        let with = |at: usize, octet: u8| {
            let mut bent = octets.to_vec();
            bent[at] = octet;
            is_compound(&bent)
        };
        assert!(!with(0, 0x41), "version 1");
        assert!(!with(0, 0xa1), "padding in the first packet");
        assert!(!with(1, SOURCE_DESCRIPTION), "no report first");
        assert!(!with(3, 60), "longer than the datagram");
    }

    #[test]
    fn voip_metrics_are_found_among_other_blocks() {
        let mut packet = vec![0x80, EXTENDED_REPORT, 0, 13, 0, 0, 0, 42];
        // A receiver reference time block before them.
        packet.extend([4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]);
        packet.extend([7, 0, 0, 8, 0, 0, 0, 7, 26, 13, 0, 0, 0, 0, 0, 0, 0, 80, 0, 60, 0, 0, 0, 16, 81, 127, 38, 37]);
        packet.extend([0, 0, 0, 40, 0, 80, 0, 200]);
        let expected = VoipMetrics {
            ssrc: 7,
            loss_rate: 26,
            discard_rate: 13,
            round_trip_ms: 80,
            end_system_delay_ms: 60,
            rating: Some(81),
            mos_x10: Some(38),
        };
        assert!(matches!(packets(&packet).next(), Some(Packet::Metrics(metrics)) if metrics == expected));
        for len in 0..packet.len() {
            assert!(!matches!(packets(&packet[..len]).next(), Some(Packet::Metrics(_))), "cut at {len}");
        }
    }

    #[test]
    fn broken_datagrams_end_the_iteration() {
        let info = SenderInfo { ntp: 1, rtp: 2, packets: 3, octets: 4 };
        let compound = Compound::new(42, Some(&info), Some(&block()), NAME);
        let octets = compound.as_slice();
        for len in 0..octets.len() {
            // Must not panic, and must not read past the cut.
            assert!(packets(&octets[..len]).count() <= 1, "cut at {len}");
        }
        // More blocks announced than there are.
        let mut lying = octets.to_vec();
        lying[0] = 0x80 | 31;
        assert_eq!(packets(&lying).count(), 0);
    }

    #[test]
    fn random_datagrams_never_panic() {
        let seed = 0xfeed_u64;
        let mut state = seed;
        for _ in 0..20_000 {
            let mut datagram = [0u8; 64];
            for octet in &mut datagram {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *octet = state as u8;
            }
            datagram[0] = 0x80 | (datagram[0] & 0x3f);
            datagram[1] = 200 + datagram[1] % 6;
            datagram[2] = 0;
            datagram[3] %= 20;
            for packet in packets(&datagram) {
                if let Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } = packet {
                    assert!(blocks.count() <= 31, "seed {seed:#x}");
                }
            }
        }
    }
}
