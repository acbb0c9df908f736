//! What a receiver knows of a stream: loss and interarrival jitter (RFC 3550 section 6.4.1 and appendix A).

use crate::base::Instant;
use crate::proto::rtp::packet::Header;

/// A jump forward by fewer packets than this is loss (RFC 3550 appendix A.1).
const MAX_DROPOUT: u16 = 3_000;
/// A jump back by fewer packets than this is reordering (RFC 3550 appendix A.1).
const MAX_MISORDER: u16 = 100;

/// Reception statistics of one port. Survives changes of the source: what earlier sources lost stays counted.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    source: Option<Source>,
    /// What earlier sources add to the counts.
    before: Counts,
    reordered: u64,
    /// Jitter scaled by 16, in timestamp units (RFC 3550 appendix A.8).
    jitter_x16: u32,
    transit: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    expected: u64,
    lost: u64,
    duplicates: u64,
}

impl Counts {
    fn add(&mut self, source: &Source) {
        self.expected += source.expected();
        self.lost += source.lost();
        self.duplicates += source.duplicates;
    }
}

#[derive(Clone, Debug)]
struct Source {
    ssrc: u32,
    base: u32,
    highest: u16,
    cycles: u32,
    received: u64,
    /// Packets that came before, of the 64 up to the highest: bit 0 is the highest.
    seen: u64,
    duplicates: u64,
    /// The sequence number that would confirm a restart (RFC 3550 appendix A.1, `bad_seq`).
    restart: Option<u16>,
    expected_prior: u64,
    received_prior: u64,
}

impl Source {
    fn new(header: &Header) -> Source {
        Source {
            ssrc: header.ssrc,
            base: u32::from(header.sequence),
            highest: header.sequence,
            cycles: 0,
            received: 1,
            seen: 1,
            duplicates: 0,
            restart: None,
            expected_prior: 0,
            received_prior: 0,
        }
    }

    /// Whether a packet is new, though later ones came.
    #[inline]
    fn is_reordered(&self, sequence: u16) -> bool {
        let back = self.highest.wrapping_sub(sequence);
        (1..64).contains(&back) && self.seen >> back & 1 == 0
    }

    fn extended_highest(&self) -> u32 {
        self.cycles | u32::from(self.highest)
    }

    fn expected(&self) -> u64 {
        u64::from(self.extended_highest().wrapping_sub(self.base)) + 1
    }

    fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received - self.duplicates)
    }
}

/// The numbers of a report block (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// The source.
    pub ssrc: u32,
    /// Share lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the beginning; negative when duplicates prevail.
    pub cumulative_lost: i32,
    /// Extended highest sequence number.
    pub highest_sequence: u32,
    /// Jitter in timestamp units.
    pub jitter: u32,
}

impl Reception {
    /// Counts a valid packet. `timed` is false for packets whose timestamp is not their sampling time (telephone
    /// events), which say nothing about jitter. Returns whether the source is another than before.
    #[inline]
    pub fn receive(&mut self, now: Instant, header: &Header, timed: bool) -> bool {
        let changed = match &mut self.source {
            Some(source) if source.ssrc == header.ssrc => {
                self.reordered += u64::from(source.is_reordered(header.sequence));
                Self::advance(source, header, &mut self.before)
            }
            other => {
                let changed = other.is_some();
                if let Some(source) = other {
                    self.before.add(source);
                }
                *other = Some(Source::new(header));
                self.transit = None;
                changed
            }
        };
        if timed {
            self.time(now, header.timestamp);
        }
        changed
    }

    /// RFC 3550 appendix A.1, without the probation of new sources: the latch has its own. Returns whether the sender
    /// started anew under the same SSRC.
    #[inline]
    fn advance(source: &mut Source, header: &Header, before: &mut Counts) -> bool {
        let step = header.sequence.wrapping_sub(source.highest);
        if step < MAX_DROPOUT {
            if header.sequence < source.highest {
                source.cycles = source.cycles.wrapping_add(1 << 16);
            }
            source.highest = header.sequence;
            source.duplicates += u64::from(step == 0);
            source.seen = source.seen.checked_shl(step.into()).unwrap_or(0) | 1;
        } else if step <= u16::MAX - MAX_MISORDER {
            if source.restart == Some(header.sequence) {
                before.add(source);
                *source = Source::new(header);
                return true;
            }
            source.restart = Some(header.sequence.wrapping_add(1));
            return false;
        } else if let Some(bit) = 1u64.checked_shl(u32::from(step.wrapping_neg())) {
            source.duplicates += u64::from(source.seen & bit != 0);
            source.seen |= bit;
        }
        source.received += 1;
        false
    }

    /// RFC 3550 appendix A.8.
    #[inline]
    fn time(&mut self, now: Instant, timestamp: u32) {
        // 8 kHz timestamp units; only differences count, so the wrap at 32 bits is harmless.
        let arrival = (now.as_micros() / 125) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            // A jump of the sender's timestamp is not jitter: 2 s is more than any jitter buffer holds.
            if difference < 16_000 {
                self.jitter_x16 = self.jitter_x16 + difference - ((self.jitter_x16 + 8) >> 4);
            }
        }
    }

    /// The current source.
    pub fn ssrc(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.ssrc)
    }

    /// Packets lost over all sources.
    pub fn lost(&self) -> u64 {
        self.counts().lost
    }

    /// Packets that came twice, over all sources.
    pub fn duplicates(&self) -> u64 {
        self.counts().duplicates
    }

    /// Packets that came after a later one, over all sources.
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Packets that should have come, over all sources.
    pub fn expected(&self) -> u64 {
        self.counts().expected
    }

    fn counts(&self) -> Counts {
        let mut counts = self.before;
        if let Some(source) = &self.source {
            counts.add(source);
        }
        counts
    }

    /// Interarrival jitter in microseconds.
    pub fn jitter_us(&self) -> u32 {
        (self.jitter_x16 >> 4).saturating_mul(125)
    }

    /// The numbers for a report block, counted since the last call (RFC 3550 appendix A.3).
    pub fn report(&mut self) -> Option<Report> {
        let jitter = self.jitter_x16 >> 4;
        let source = self.source.as_mut()?;
        let expected = source.expected();
        let expected_interval = expected.saturating_sub(source.expected_prior);
        let received_interval = source.received.saturating_sub(source.received_prior);
        let lost_interval = expected_interval.saturating_sub(received_interval);
        source.expected_prior = expected;
        source.received_prior = source.received;
        let fraction = (lost_interval * 256).checked_div(expected_interval).unwrap_or(0);
        let cumulative =
            i64::try_from(expected).unwrap_or(i64::MAX) - i64::try_from(source.received).unwrap_or(i64::MAX);
        Some(Report {
            ssrc: source.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            cumulative_lost: i32::try_from(cumulative.clamp(-0x80_0000, 0x7f_ffff)).unwrap_or(0),
            highest_sequence: source.extended_highest(),
            jitter,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sequence: u16, timestamp: u32, ssrc: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    #[test]
    fn loss_over_the_wrap_of_sequence_numbers() {
        let mut reception = Reception::default();
        for n in 0..100u16 {
            if n % 10 != 9 {
                reception.receive(
                    at(u64::from(n) * 20),
                    &header(65_500u16.wrapping_add(n), u32::from(n) * 160, 1),
                    true,
                );
            }
        }
        // The last one that is missing (n = 99) is not known to be.
        assert_eq!(reception.lost(), 9);
        let report = reception.report().expect("a source");
        assert_eq!(report.cumulative_lost, 9);
        assert_eq!(report.fraction_lost, (9 * 256 / 99) as u8);
        assert_eq!(report.highest_sequence, 65_500 + 98);
        assert_eq!(reception.report().map(|r| r.fraction_lost), Some(0), "nothing since");
        assert_eq!(reception.jitter_us(), 0);
    }

    #[test]
    fn reordering_is_no_loss() {
        let mut reception = Reception::default();
        for sequence in [0u16, 2, 1, 3, 5, 4] {
            reception.receive(at(0), &header(sequence, 0, 1), false);
        }
        assert_eq!((reception.lost(), reception.reordered(), reception.duplicates()), (0, 2, 0));
    }

    #[test]
    fn duplicates_hide_no_loss() {
        let mut reception = Reception::default();
        for sequence in [65_534u16, 65_535, 65_535, 1, 65_534, 2, 2, 2] {
            reception.receive(at(0), &header(sequence, 0, 1), false);
        }
        assert_eq!((reception.lost(), reception.reordered(), reception.duplicates()), (1, 0, 4));
        assert_eq!(reception.expected(), 5);
        // RFC 3550 section 6.4.1 lets duplicates count against the cumulative number.
        assert_eq!(reception.report().map(|report| report.cumulative_lost), Some(-3));
    }

    #[test]
    fn jitter_follows_appendix_a8() {
        let mut reception = Reception::default();
        // Every second packet 8 ms late: |D| is 64 units each time; J converges to 64 units = 8 ms.
        for n in 0..400u64 {
            reception.receive(at(n * 20 + (n % 2) * 8), &header(n as u16, n as u32 * 160, 1), true);
        }
        assert!((7_000..=8_000).contains(&reception.jitter_us()), "{}", reception.jitter_us());
    }

    #[test]
    fn a_new_source_keeps_the_old_losses() {
        let mut reception = Reception::default();
        for sequence in [0u16, 2] {
            assert!(!reception.receive(at(0), &header(sequence, 0, 1), true));
        }
        assert!(reception.receive(at(0), &header(30_000, 99, 2), true), "new SSRC");
        assert_eq!(reception.ssrc(), Some(2));
        assert_eq!(reception.lost(), 1);
    }

    #[test]
    fn a_sequence_jump_needs_two_packets() {
        let mut reception = Reception::default();
        assert!(!reception.receive(at(0), &header(10, 0, 1), true));
        assert!(!reception.receive(at(0), &header(20_000, 0, 1), true));
        assert_eq!(reception.lost(), 0, "a stray packet changes nothing");
        assert!(reception.receive(at(0), &header(20_001, 0, 1), true));
        assert_eq!(reception.lost(), 0);
    }
}
