//! Protection of a port's packets: SRTP on the way in and out, RTCP on the port of RTP, and what belongs to a DTLS
//! handshake (RFC 7983).

use std::net::SocketAddr;

use crate::media::random::Random;
use crate::media::rtp_end::RtpEnd;
use crate::media::{PACKET_MAX, SocketKind, Wire};
use crate::proto::sdp::{Association, Protection};
use crate::proto::srtp::{MasterKey, Receiver, Refused, Sender, TAIL_MAX};

/// Room for a packet of G.711 of 20 ms with its tag: most packets, so that less is cleared for them.
const SHORT: usize = 256;

/// Packets that were not taken or sent for the sake of protection, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SrtpCounters {
    /// Shorter than protection makes them, or no RTP.
    pub malformed: u64,
    /// With a master key identifier that was not agreed on.
    pub unknown_key: u64,
    /// With a wrong tag.
    pub not_authentic: u64,
    /// That were there before, or came too late.
    pub replayed: u64,
    /// Before there were keys.
    pub unready: u64,
    /// Ours, that would have been sent twice under one index, or without keys.
    pub unsent: u64,
}

impl SrtpCounters {
    /// Counts a refusal.
    pub(super) fn count(&mut self, refusal: Refusal) {
        *match refusal {
            Refusal::Unready => &mut self.unready,
            Refusal::Srtp(Refused::UnknownKey) => &mut self.unknown_key,
            Refusal::Srtp(Refused::NotAuthentic) => &mut self.not_authentic,
            Refusal::Srtp(Refused::Replayed) => &mut self.replayed,
            Refusal::Srtp(Refused::Malformed) => &mut self.malformed,
        } += 1;
    }

    /// All that came and was refused.
    pub fn refused(&self) -> u64 {
        self.malformed + self.unknown_key + self.not_authentic + self.replayed + self.unready
    }
}

/// Why a packet that came is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// There are no keys yet.
    Unready,
    /// What SRTP says.
    Srtp(Refused),
}

/// Keys of a port in use, and how they came.
pub struct Crypt {
    send: Option<(MasterKey, Sender)>,
    receive: Option<(MasterKey, Vec<u8>, Receiver)>,
    /// The one whose handshake brings the keys.
    handshake: Option<Association>,
    unsent: u64,
}

impl std::fmt::Debug for Crypt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crypt").field("ready", &self.send.is_some()).field("handshake", &self.handshake).finish()
    }
}

impl Crypt {
    fn new() -> Crypt {
        Crypt { send: None, receive: None, handshake: None, unsent: 0 }
    }

    /// Uses these keys. Where one is in use already its state stays: an index is never used twice under one key. Returns
    /// whether the sender began anew.
    fn set_keys(&mut self, send: MasterKey, receive: MasterKey, mki: Vec<u8>) -> bool {
        if self.receive.as_ref().is_none_or(|(key, id, _)| *key != receive || *id != mki) {
            let receiver = Receiver::new(&receive, &mki);
            self.receive = Some((receive, mki, receiver));
        }
        let anew = self.send.as_ref().is_none_or(|(key, _)| *key != send);
        if anew {
            let sender = Sender::new(&send);
            self.send = Some((send, sender));
        }
        anew
    }

    #[inline]
    fn open<'p>(&mut self, kind: SocketKind, packet: &'p mut [u8]) -> Result<&'p mut [u8], Refusal> {
        let (_, _, receiver) = self.receive.as_mut().ok_or(Refusal::Unready)?;
        let opened = match kind {
            SocketKind::Rtp => receiver.unprotect(packet),
            SocketKind::Rtcp => receiver.unprotect_control(packet),
        };
        let len = opened.map_err(Refusal::Srtp)?;
        packet.get_mut(..len).ok_or(Refusal::Srtp(Refused::Malformed))
    }

    /// Protects a packet in a buffer of `N` octets and sends it.
    #[inline]
    fn seal<const N: usize>(&mut self, control: bool, packet: &[u8], send: impl FnOnce(&[u8])) -> bool {
        let mut buffer = [0; N];
        let sealed = self.send.as_mut().and_then(|(_, sender)| {
            buffer.get_mut(..packet.len())?.copy_from_slice(packet);
            let sealed = if control {
                sender.protect_control(&mut buffer, packet.len())
            } else {
                sender.protect(&mut buffer, packet.len())
            };
            buffer.get(..sealed.ok()?)
        });
        match sealed {
            Some(sealed) => send(sealed),
            None => self.unsent += 1,
        }
        sealed.is_some()
    }
}

/// Sends a packet of a port, protected where the port is. Returns whether it was sent.
#[inline]
pub(super) fn send(
    crypt: &mut Option<Box<Crypt>>,
    wire: &mut impl Wire,
    (socket, kind): (u16, SocketKind),
    control: bool,
    to: SocketAddr,
    packet: &[u8],
) -> bool {
    let Some(crypt) = crypt else {
        wire.send(socket, kind, to, packet);
        return true;
    };
    let out = |sealed: &[u8]| wire.send(socket, kind, to, sealed);
    if packet.len() + TAIL_MAX <= SHORT {
        crypt.seal::<SHORT>(control, packet, out)
    } else {
        crypt.seal::<{ PACKET_MAX + TAIL_MAX }>(control, packet, out)
    }
}

impl RtpEnd {
    /// Sets or changes how packets are protected, and whether RTCP has no port of its own. What stays the same goes on
    /// undisturbed.
    pub fn set_transport(&mut self, protection: Option<Protection>, rtcp_mux: bool, random: &mut Random) {
        self.rtcp_mux = rtcp_mux;
        match protection {
            None => self.crypt = None,
            Some(Protection::Sdes { send, receive, mki, .. }) => {
                self.crypt.get_or_insert_with(|| Box::new(Crypt::new())).handshake = None;
                self.set_keys(send, receive, mki, random);
            }
            Some(Protection::Dtls(association)) => {
                let crypt = self.crypt.get_or_insert_with(|| Box::new(Crypt::new()));
                // RFC 5763 section 6.6: as long as nothing changes, the association goes on.
                if crypt.handshake != Some(association) {
                    **crypt = Crypt { handshake: Some(association), ..Crypt::new() };
                }
            }
        }
    }

    /// Keys from a handshake. Ignored where none is awaited any more.
    pub fn set_handshake_keys(&mut self, send: MasterKey, receive: MasterKey, random: &mut Random) -> bool {
        let awaited = self.awaits_handshake();
        if awaited {
            self.set_keys(send, receive, Vec::new(), random);
        }
        awaited
    }

    fn set_keys(&mut self, send: MasterKey, receive: MasterKey, mki: Vec<u8>, random: &mut Random) {
        let Some(crypt) = &mut self.crypt else { return };
        let rolled = crypt.send.as_ref().is_some_and(|(_, sender)| sender.rolled_over(self.out.ssrc()));
        if crypt.set_keys(send, receive, mki) && rolled {
            // A receiver with new keys cannot know the rollover counter, but for a source that begins.
            self.out.renew(random);
        }
    }

    /// Whether DTLS records on the port are somebody's business.
    #[inline]
    pub fn awaits_handshake(&self) -> bool {
        self.crypt.as_ref().is_some_and(|crypt| crypt.handshake.is_some())
    }

    /// Tells RTCP from RTP where both come on one port, and takes the protection off, in place.
    #[inline]
    pub(super) fn open<'p>(
        &mut self,
        kind: SocketKind,
        packet: &'p mut [u8],
    ) -> Result<(SocketKind, &'p mut [u8]), Refusal> {
        let kind = if self.rtcp_mux && is_control(packet) { SocketKind::Rtcp } else { kind };
        match &mut self.crypt {
            None => Ok((kind, packet)),
            Some(crypt) => crypt.open(kind, packet).map(|packet| (kind, packet)),
        }
    }

    /// Packets of ours that protection kept back, since the last call.
    pub(super) fn take_unsent(&mut self) -> u64 {
        self.crypt.as_mut().map_or(0, |crypt| std::mem::take(&mut crypt.unsent))
    }
}

/// RFC 5761 section 4: packet types of RTCP are 192 to 223, where RTP would have a marked payload type of 64 to 95.
fn is_control(packet: &[u8]) -> bool {
    matches!(packet.get(1), Some(192..=223))
}

/// Whether a datagram is a DTLS record (RFC 7983 section 7). RTP and RTCP begin with 128 to 191, STUN with 0 to 3.
#[inline]
pub(super) fn is_dtls(packet: &[u8]) -> bool {
    matches!(packet.first(), Some(20..=63))
}
