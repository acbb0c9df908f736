//! Which source address a port listens to: symmetric RTP (RFC 4961) against hijacking.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::base::Instant;

/// So many packets in a row from one new address, with none from the old one in between, move the latch.
pub const TAKEOVER_PACKETS: u8 = 10;

/// And the old address must have been silent for so long: a burst between two packets of the rightful source moves
/// nothing.
pub const TAKEOVER_SILENCE: Duration = Duration::from_millis(200);

/// The same where neither address is one that signalling knows: who pauses is not to lose the call to whoever sprays.
pub const STRANGER_SILENCE: Duration = Duration::from_secs(3);

/// What signalling says of the peer.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The address of its description.
    pub described: SocketAddr,
    /// Where its signalling comes from: a phone behind a NAT describes an address that nobody can reach.
    pub signalling: IpAddr,
    /// Whether its packets are authentic (SRTP): then it may be wherever it likes.
    pub authentic: bool,
}

impl Peer {
    /// Whether signalling knows the host.
    fn knows(&self, from: SocketAddr) -> bool {
        from.ip() == self.described.ip() || from.ip() == self.signalling
    }
}

/// The latch of one port. It follows the first valid packet. Then:
///
/// - the described address is let in at once: offer and answer are the better witness;
/// - a host that signalling knows ends the latch on any other at once;
/// - a host that signalling knows is never left for one that it does not know, unless packets are authentic;
/// - else another source takes over as [`TAKEOVER_PACKETS`], [`TAKEOVER_SILENCE`] and [`STRANGER_SILENCE`] say.
#[derive(Clone, Debug, Default)]
pub struct Latch {
    source: Option<SocketAddr>,
    candidate: Option<Candidate>,
    heard: Instant,
    /// Whether signalling knows the source's host.
    known: bool,
}

#[derive(Clone, Debug)]
struct Candidate {
    source: SocketAddr,
    packets: u8,
}

impl Latch {
    /// Whether a valid packet from `from` is taken.
    #[inline]
    pub fn admit(&mut self, now: Instant, from: SocketAddr, peer: Peer) -> bool {
        if self.source == Some(from) {
            self.heard = now;
            self.candidate = None;
            return true;
        }
        self.admit_other(now, from, peer)
    }

    #[cold]
    fn admit_other(&mut self, now: Instant, from: SocketAddr, peer: Peer) -> bool {
        let known = peer.knows(from);
        let admitted = from == peer.described
            || match (self.source.is_some(), known, self.known) {
                (false, ..) | (true, true, false) => true,
                (true, true, true) => self.takes_over(now, from, TAKEOVER_SILENCE),
                (true, false, _) if peer.authentic => self.takes_over(now, from, TAKEOVER_SILENCE),
                (true, false, false) => self.takes_over(now, from, STRANGER_SILENCE),
                (true, false, true) => false,
            };
        if admitted {
            *self = Latch { source: Some(from), candidate: None, heard: now, known };
        }
        admitted
    }

    fn takes_over(&mut self, now: Instant, from: SocketAddr, silence: Duration) -> bool {
        match &mut self.candidate {
            Some(candidate) if candidate.source == from => candidate.packets = candidate.packets.saturating_add(1),
            other => *other = Some(Candidate { source: from, packets: 1 }),
        }
        let packets = self.candidate.as_ref().map_or(0, |candidate| candidate.packets);
        packets >= TAKEOVER_PACKETS && now - self.heard >= silence
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

    const DESCRIBED: u16 = 4_000;

    fn stranger(n: u8) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, n], 9_999))
    }

    fn peer() -> Peer {
        let described = address(DESCRIBED);
        Peer { described, signalling: described.ip(), authentic: false }
    }

    /// The first packet from `from` that is let in, of 400 that come every 20 ms from `start` on.
    fn lets_in(latch: &mut Latch, start: u64, from: SocketAddr, peer: Peer) -> Option<u64> {
        (1..=400).find(|&n| latch.admit(at(start + n * 20), from, peer))
    }

    #[test]
    fn follows_the_first_source() {
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), address(1), peer()));
        assert_eq!(latch.source(), Some(address(1)));
        assert!(!latch.admit(at(1), address(2), peer()));
    }

    #[test]
    fn a_hijacker_beside_a_live_source_never_gets_in() {
        let mut latch = Latch::default();
        for n in 0..100 {
            assert!(latch.admit(at(n * 20), stranger(1), peer()));
            for _ in 0..50 {
                assert!(!latch.admit(at(n * 20 + 10), stranger(2), peer()));
            }
        }
    }

    #[test]
    fn a_known_host_may_change_its_port_after_silence() {
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), address(1), peer()));
        assert_eq!(lets_in(&mut latch, 0, address(2), peer()), Some(u64::from(TAKEOVER_PACKETS)));
        assert_eq!(latch.source(), Some(address(2)));
    }

    #[test]
    fn a_known_host_that_is_silent_loses_the_call_to_nobody() {
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), address(DESCRIBED), peer()));
        assert_eq!(lets_in(&mut latch, 60_000, stranger(1), peer()), None);
        assert_eq!(latch.source(), Some(address(DESCRIBED)));
        // The same where the NAT before the phone is known by its signalling alone.
        let natted =
            Peer { described: SocketAddr::from(([10, 0, 0, 5], 4_000)), signalling: address(1).ip(), ..peer() };
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), address(41_000), natted));
        assert_eq!(lets_in(&mut latch, 60_000, stranger(1), natted), None);
    }

    #[test]
    fn between_strangers_silence_must_be_long() {
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), stranger(1), peer()));
        assert_eq!(lets_in(&mut latch, 0, stranger(2), peer()), Some(150));
    }

    #[test]
    fn an_authentic_peer_may_move() {
        let authentic = Peer { authentic: true, ..peer() };
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), address(DESCRIBED), authentic));
        assert_eq!(lets_in(&mut latch, 0, stranger(1), authentic), Some(u64::from(TAKEOVER_PACKETS)));
    }

    #[test]
    fn a_spray_at_the_start_loses_to_the_known_host() {
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), stranger(1), peer()), "first");
        for n in 2..200 {
            assert!(!latch.admit(at(1), stranger(n), peer()));
        }
        // The peer, through a NAT that changed its port.
        assert!(latch.admit(at(2), address(41_000), peer()));
        for n in 0..200u64 {
            assert!(latch.admit(at(3 + n), address(41_000), peer()));
            assert!(!latch.admit(at(3 + n), stranger(1), peer()));
        }
        assert!(!latch.admit(at(300), address(41_002), peer()), "one port of the host is enough");
    }

    #[test]
    fn many_strangers_after_silence_do_not_add_up() {
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), stranger(250), peer()));
        for n in 0..1_000u16 {
            assert!(!latch.admit(at(10_000 + u64::from(n)), stranger((n % 200) as u8), peer()));
        }
        assert!(latch.admit(at(20_000), stranger(250), peer()), "the old source may come back");
    }

    #[test]
    fn the_described_address_ends_a_wrong_latch() {
        let mut latch = Latch::default();
        assert!(latch.admit(at(0), address(1), peer()), "left over from the socket's last call");
        assert!(latch.admit(at(1), address(DESCRIBED), peer()));
        assert!(!latch.admit(at(2), address(1), peer()));
    }
}
