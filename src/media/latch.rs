//! Which source address a port listens to: symmetric RTP (RFC 4961) against hijacking.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::Instant;

/// So many packets in a row from one new address, with none from the old one in between, move the latch.
pub const TAKEOVER_PACKETS: u8 = 10;

/// And the old address must have been silent for so long: a burst between two packets of the rightful source moves
/// nothing.
pub const TAKEOVER_SILENCE: Duration = Duration::from_millis(200);

/// The latch of one port. It follows the first valid packet; afterwards another source takes over only as
/// [`TAKEOVER_PACKETS`] and [`TAKEOVER_SILENCE`] say. The signalled address is always let in at once: offer and answer
/// are the better witness; for the same reason its host, whatever the port, ends the latch on any other host.
#[derive(Clone, Debug, Default)]
pub struct Latch {
    source: Option<SocketAddr>,
    candidate: Option<Candidate>,
    heard: Instant,
    /// Whether the source's host is the one of the peer's description.
    expected_host: bool,
}

#[derive(Clone, Debug)]
struct Candidate {
    source: SocketAddr,
    packets: u8,
}

impl Latch {
    /// Whether a valid packet from `from` is taken. `signalled` is the address of the peer's description; `follow` is
    /// whether to follow other addresses at all.
    #[inline]
    pub fn admit(&mut self, now: Instant, from: SocketAddr, signalled: SocketAddr, follow: bool) -> bool {
        if self.source == Some(from) {
            self.heard = now;
            self.candidate = None;
            return true;
        }
        self.admit_other(now, from, signalled, follow)
    }

    #[cold]
    fn admit_other(&mut self, now: Instant, from: SocketAddr, signalled: SocketAddr, follow: bool) -> bool {
        // The described host from another port (a NAT between, that kept the address) beats any stranger, at once.
        let expected_host = from.ip() == signalled.ip();
        let admitted = from == signalled
            || (follow
                && (self.source.is_none() || (expected_host && !self.expected_host) || self.takes_over(now, from)));
        if admitted {
            *self = Latch { source: Some(from), candidate: None, heard: now, expected_host };
        }
        admitted
    }

    fn takes_over(&mut self, now: Instant, from: SocketAddr) -> bool {
        match &mut self.candidate {
            Some(candidate) if candidate.source == from => candidate.packets = candidate.packets.saturating_add(1),
            other => *other = Some(Candidate { source: from, packets: 1 }),
        }
        let packets = self.candidate.as_ref().map_or(0, |candidate| candidate.packets);
        packets >= TAKEOVER_PACKETS && now - self.heard >= TAKEOVER_SILENCE
    }

    /// The latched source.
    pub fn source(&self) -> Option<SocketAddr> {
        self.source
    }

    /// Forgets the source: the peer's description moved.
    pub fn release(&mut self) {
        *self = Latch::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    const SIGNALLED: u16 = 4_000;

    #[test]
    fn follows_the_first_source() {
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), address(1), address(SIGNALLED), true));
        assert_eq!(latch.source(), Some(address(1)));
        assert!(!latch.admit(at(1), address(2), address(SIGNALLED), true));
    }

    #[test]
    fn fixed_addresses_follow_nobody() {
        let mut latch = Latch::default();
        assert!(!latch.admit(at(0), address(1), address(SIGNALLED), false));
        assert!(latch.admit(at(0), address(SIGNALLED), address(SIGNALLED), false));
        for n in 0..100 {
            assert!(!latch.admit(at(1_000 + n), address(1), address(SIGNALLED), false));
        }
    }

    #[test]
    fn a_hijacker_beside_a_live_source_never_gets_in() {
        let mut latch = Latch::default();
        for n in 0..100 {
            assert!(latch.admit(at(n * 20), address(1), address(SIGNALLED), true));
            for _ in 0..50 {
                assert!(!latch.admit(at(n * 20 + 10), address(2), address(SIGNALLED), true));
            }
        }
    }

    #[test]
    fn a_moved_source_takes_over_after_silence() {
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), address(1), address(SIGNALLED), true));
        let admitted = (1..=20).find(|&n| latch.admit(at(n * 20), address(2), address(SIGNALLED), true));
        assert_eq!(admitted, Some(u64::from(TAKEOVER_PACKETS)));
        assert_eq!(latch.source(), Some(address(2)));
    }

    #[test]
    fn a_spray_at_the_start_loses_to_the_described_host() {
        let mut latch = Latch::default();
        let stranger = |n: u8| SocketAddr::from(([198, 51, 100, n], 9_999));
        assert!(latch.admit(at(0), stranger(1), address(SIGNALLED), true), "first");
        for n in 2..200 {
            assert!(!latch.admit(at(1), stranger(n), address(SIGNALLED), true));
        }
        // The peer, through a NAT that changed its port.
        assert!(latch.admit(at(2), address(41_000), address(SIGNALLED), true));
        for n in 0..200u64 {
            assert!(latch.admit(at(3 + n), address(41_000), address(SIGNALLED), true));
            assert!(!latch.admit(at(3 + n), stranger(1), address(SIGNALLED), true));
        }
        assert!(!latch.admit(at(300), address(41_002), address(SIGNALLED), true), "one port of the host is enough");
    }

    #[test]
    fn many_strangers_after_silence_do_not_add_up() {
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), address(1), address(SIGNALLED), true));
        for n in 0..1_000u16 {
            let stranger = SocketAddr::from(([198, 51, 100, (n % 200) as u8], 9_999));
            assert!(!latch.admit(at(10_000 + u64::from(n)), stranger, address(SIGNALLED), true));
        }
        assert!(latch.admit(at(20_000), address(1), address(SIGNALLED), true), "the old source may come back");
    }

    #[test]
    fn the_signalled_address_ends_a_wrong_latch() {
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), address(1), address(SIGNALLED), true), "left over from the socket's last call");
        assert!(latch.admit(at(1), address(SIGNALLED), address(SIGNALLED), true));
        assert!(!latch.admit(at(2), address(1), address(SIGNALLED), true));
    }
}
