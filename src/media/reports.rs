//! RTCP of an RTP end: when to report, what, and what the peer reports (RFC 3550 section 6).

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::Instant;
use crate::core::media::{FarStats, PortStats};
use crate::media::random::Random;
use crate::media::rtp_end::RtpEnd;
use crate::media::{SocketKind, Wire};
use crate::media::{crypt, quality};
use crate::proto::rtp::rtcp::{self, Blocks, CNAME_LEN, Compound, Packet, ReportBlock, SenderInfo};

/// Least interval between reports in microseconds (RFC 3550 section 6.2): 5 s.
const INTERVAL_US: u32 = 5_000_000;

/// State of the control protocol.
#[derive(Debug)]
pub struct Control {
    cname: [u8; CNAME_LEN],
    due: Instant,
    /// Middle 32 bits of the last SR's NTP timestamp and its arrival.
    last_sr: Option<(u32, Instant)>,
    /// Where the peer's RTCP comes from, when it follows its RTP's host.
    source: Option<SocketAddr>,
    packets_reported: u32,
    pub(super) round_trip_ms: Option<u32>,
    /// What the peer said last of our stream, and the score of its own.
    pub(super) far: Option<ReportBlock>,
    pub(super) far_mos_x10: Option<u8>,
}

impl Control {
    /// A session that begins now: its first report follows after half the interval (RFC 3550 section 6.2).
    pub fn new(now: Instant, random: &mut Random) -> Control {
        let due = now + interval(random) / 2;
        Control {
            cname: random.cname(),
            due,
            last_sr: None,
            source: None,
            packets_reported: 0,
            round_trip_ms: None,
            far: None,
            far_mos_x10: None,
        }
    }

    /// What the peer says of our stream, and how long the way there and back takes (RFC 3550 section 6.4.1).
    fn take_blocks(&mut self, now: Instant, ours: u32, mut blocks: Blocks<'_>) {
        let Some(block) = blocks.find(|block| block.ssrc == ours) else { return };
        self.far = Some(block);
        if block.last_sr == 0 {
            return;
        }
        let arrived = (ntp(now) >> 16) as u32;
        let round_trip = arrived.wrapping_sub(block.last_sr).wrapping_sub(block.delay_since_last_sr);
        // In 1/65,536 s; what is negative or longer than 10 s comes of a number that was not ours.
        if round_trip < 10 << 16 {
            self.round_trip_ms = Some(((u64::from(round_trip) * 1_000) >> 16) as u32);
        }
    }

    /// Forgets where the peer is.
    pub fn release(&mut self) {
        self.source = None;
        self.last_sr = None;
    }
}

/// The interval, spread over 0.5 to 1.5 of its value so that reports do not fall in step (RFC 3550 section 6.3.1).
fn interval(random: &mut Random) -> Duration {
    Duration::from_micros(u64::from(INTERVAL_US / 2 + random.below(INTERVAL_US)))
}

/// The monotonic clock in NTP format; RFC 3550 section 6.4.1 lets a system without wall-clock time use any origin.
fn ntp(now: Instant) -> u64 {
    let us = now.as_micros();
    ((us / 1_000_000) << 32) | (((us % 1_000_000) << 32) / 1_000_000)
}

impl RtpEnd {
    /// Takes an RTCP datagram. Only the peer's host is believed.
    pub fn receive_control(&mut self, now: Instant, from: SocketAddr, datagram: &[u8], stats: &mut PortStats) {
        let Some(stream) = &self.stream else { return };
        let host = self.latch.source().map(|source| source.ip());
        let known = from == stream.remote_rtcp || Some(from.ip()) == host;
        if !known || !rtcp::is_compound(datagram) {
            stats.control_refused += 1;
            return;
        }
        for packet in rtcp::packets(datagram) {
            match packet {
                Packet::SenderReport { ssrc, sender, blocks } => {
                    self.control.take_blocks(now, self.out.ssrc(), blocks);
                    if Some(ssrc) == self.reception.ssrc() {
                        self.control.last_sr = Some(((sender.ntp >> 16) as u32, now));
                    }
                }
                Packet::ReceiverReport { blocks, .. } => self.control.take_blocks(now, self.out.ssrc(), blocks),
                Packet::Metrics(metrics) => {
                    if metrics.ssrc == self.out.ssrc() {
                        self.control.far_mos_x10 = metrics.mos_x10;
                    }
                }
                // A BYE ends the source's clock; its media just stops.
                Packet::Goodbye { ssrc } => {
                    if Some(ssrc) == self.reception.ssrc() {
                        self.control.last_sr = None;
                    }
                }
                Packet::Other(_) => continue,
            }
            self.control.source = Some(from);
        }
    }

    /// The measures of the port with what reception, play-out and the peer's reports say.
    pub fn measures(&self, stats: PortStats) -> PortStats {
        let (concealed_ms, playout_ms) = self.playout_ms();
        let round_trip_ms = self.control.round_trip_ms;
        let way_ms = round_trip_ms.unwrap_or(0) as f32 / 2.0;
        let expected = self.reception.expected();
        let missed = self.reception.lost() + stats.rx_late;
        let mos = (expected > 0).then(|| {
            let rating = quality::rating(missed as f32 / expected as f32, way_ms + playout_ms as f32);
            quality::opinion(rating)
        });
        PortStats {
            rx_lost: self.reception.lost(),
            rx_duplicate: self.reception.duplicates(),
            rx_reordered: self.reception.reordered(),
            jitter_us: self.reception.jitter_us(),
            concealed_ms,
            playout_ms,
            round_trip_ms,
            mos,
            far: self.control.far.map(|block| self.far(&block, way_ms)),
            ..stats
        }
    }

    fn far(&self, block: &ReportBlock, way_ms: f32) -> FarStats {
        let lost = u64::try_from(block.cumulative_lost).unwrap_or(0);
        let sent = self.out.sent().0.max(1);
        let estimate = || quality::opinion(quality::rating(lost as f32 / sent as f32, way_ms));
        FarStats {
            lost,
            jitter_us: block.jitter.saturating_mul(125),
            mos: Some(self.control.far_mos_x10.map_or_else(estimate, |mos| f32::from(mos) / 10.0)),
        }
    }

    /// Sends a report if one is due.
    pub fn report_if_due(&mut self, now: Instant, random: &mut Random, wire: &mut impl Wire) {
        if self.stream.is_some() && now >= self.control.due {
            self.control.due = now + interval(random);
            let compound = self.compound(now);
            self.send_control(&compound, wire);
        }
    }

    /// Sends a last report with BYE (RFC 3550 section 6.6), unless nothing was ever sent (section 6.3.7).
    pub fn goodbye(&mut self, now: Instant, wire: &mut impl Wire) {
        if self.out.sent().0 > 0 {
            let compound = self.compound(now).goodbye(self.out.ssrc());
            self.send_control(&compound, wire);
        }
    }

    fn compound(&mut self, now: Instant) -> Compound {
        let (packets, octets) = self.out.sent();
        // RFC 3550 section 6.4: SR only if data was sent since the last report.
        let sender = (packets != self.control.packets_reported).then(|| SenderInfo {
            ntp: ntp(now),
            rtp: self.out.timestamp_at(now),
            packets,
            octets,
        });
        self.control.packets_reported = packets;
        let (last_sr, delay) = match self.control.last_sr {
            Some((sr, arrived)) => (sr, (ntp(Instant::ZERO + (now - arrived)) >> 16) as u32),
            None => (0, 0),
        };
        let block = self.reception.report().map(|report| ReportBlock {
            ssrc: report.ssrc,
            fraction_lost: report.fraction_lost,
            cumulative_lost: report.cumulative_lost,
            highest_sequence: report.highest_sequence,
            jitter: report.jitter,
            last_sr,
            delay_since_last_sr: delay,
        });
        Compound::new(self.out.ssrc(), sender.as_ref(), block.as_ref(), &self.control.cname)
    }

    fn send_control(&mut self, compound: &Compound, wire: &mut impl Wire) {
        let Some(stream) = &self.stream else { return };
        let (kind, to) = if self.rtcp_mux {
            (SocketKind::Rtp, self.destination(stream))
        } else {
            (SocketKind::Rtcp, self.control.source.unwrap_or(stream.remote_rtcp))
        };
        crypt::send(&mut self.crypt, wire, (self.socket, kind), true, to, compound.as_slice());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_spread_around_five_seconds() {
        let mut random = Random::new([3; 32]);
        let intervals: Vec<_> = (0..1_000).map(|_| interval(&mut random)).collect();
        assert!(intervals.iter().all(|i| (2_500..=7_500).contains(&i.as_millis())));
        let mean = intervals.iter().sum::<Duration>() / 1_000;
        assert!((4_800..=5_200).contains(&mean.as_millis()), "{mean:?}");
    }

    #[test]
    fn ntp_counts_seconds_and_fractions() {
        assert_eq!(ntp(Instant::from_micros(2_500_000)), (2 << 32) | (1 << 31));
    }
}
