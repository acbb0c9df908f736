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
/// are the better witness.
#[derive(Clone, Debug, Default)]
pub struct Latch {
    source: Option<SocketAddr>,
    candidate: Option<Candidate>,
    heard: Instant,
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
        let admitted = from == signalled || (follow && (self.source.is_none() || self.takes_over(now, from)));
        if admitted {
            *self = Latch { source: Some(from), candidate: None, heard: now };
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
    fn the_signalled_address_ends_a_wrong_latch() {
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), address(1), address(SIGNALLED), true), "left over from the socket's last call");
        assert!(latch.admit(at(1), address(SIGNALLED), address(SIGNALLED), true));
        assert!(!latch.admit(at(2), address(1), address(SIGNALLED), true));
    }
}
