//! Taking the protection off what comes.

use super::cipher::{GCM_TAG, Keys, Kind};
use super::index::Sources;
use super::packet::{RTCP_HEADER, RtpHead, gcm_clear, put, rtcp_ssrc, rtp_head};
use super::sender::ENCRYPTED;
use super::{MKI_MAX, MasterKey, Refused};

/// Rollovers that a packet which fails under the likely one may have more: a sender whose call is as old as that is
/// joined late, or after a loss of more than half a round of sequence numbers. At 50 packets a second each takes 22
/// minutes.
const LATE_ROLLOVERS: u64 = 16;

/// One direction's keys, and what came with them.
pub struct Receiver {
    rtp: Keys,
    rtcp: Keys,
    /// The master key identifier that each packet carries (RFC 3711 section 3.1), if the sender said that it has one.
    mki: [u8; MKI_MAX],
    mki_len: usize,
    sources: Sources,
    reporters: Sources,
    /// The rollover to try beside the likely one, from 1: each packet that fails tries one more, so that a flood of
    /// forged ones costs two trials each and no more.
    late: u64,
}

impl Receiver {
    /// A receiver of what is protected by `master`. `mki` is the sender's master key identifier; empty for none.
    pub fn new(master: &MasterKey, mki: &[u8]) -> Receiver {
        let mut own = [0; MKI_MAX];
        let mki_len = mki.len().min(MKI_MAX);
        put(&mut own, mki);
        Receiver {
            rtp: Keys::new(master, Kind::Rtp),
            rtcp: Keys::new(master, Kind::Rtcp),
            mki: own,
            mki_len,
            sources: Sources::default(),
            reporters: Sources::default(),
            late: 1,
        }
    }

    /// Takes the protection off an SRTP packet in place, and returns the length of the RTP packet that is left.
    ///
    /// # Errors
    /// [`Refused::NotAuthentic`], [`Refused::Replayed`], [`Refused::UnknownKey`], [`Refused::Malformed`]. The
    /// packet is not to be used then.
    #[inline]
    pub fn unprotect(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let head = rtp_head(packet).ok_or(Refused::Malformed)?;
        let likely = self.sources.index_of(head.ssrc, head.sequence).ok_or(Refused::Replayed)?;
        let (index, len) = match self.open(head, likely, packet) {
            Ok(len) => (likely, len),
            Err(Refused::NotAuthentic) => {
                let index = likely + (self.late << 16);
                self.late = self.late % LATE_ROLLOVERS + 1;
                (index, self.open(head, index, packet)?)
            }
            Err(error) => return Err(error),
        };
        self.sources.note(head.ssrc, index);
        Ok(len)
    }

    /// Opens a packet under an index; leaves it as it is when it is not authentic.
    #[inline]
    fn open(&self, head: RtpHead, index: u64, packet: &mut [u8]) -> Result<usize, Refused> {
        let len = packet.len().checked_sub(self.rtp.tag_len() + self.mki_len).filter(|len| *len >= head.len);
        let len = len.ok_or(Refused::Malformed)?;
        let (packet, tail) = packet.split_at_mut_checked(len).ok_or(Refused::Malformed)?;
        match &self.rtp {
            Keys::Cm(cm) => {
                let (mki, tag) = tail.split_at_checked(self.mki_len).ok_or(Refused::Malformed)?;
                self.known(mki)?;
                cm.verify(packet, Some((index >> 16) as u32), tag)?;
                cm.apply(head.ssrc, index, packet.get_mut(head.len..).unwrap_or_default());
            }
            Keys::Gcm(gcm) => {
                let (tag, mki) = tail.split_at_checked(GCM_TAG).ok_or(Refused::Malformed)?;
                self.known(mki)?;
                let (clear, payload) = packet.split_at_mut_checked(head.len).ok_or(Refused::Malformed)?;
                gcm.open(head.ssrc, index, clear, payload, tag)?;
            }
        }
        Ok(len)
    }

    /// Takes the protection off an SRTCP packet in place, and returns the length of the compound packet that is left.
    ///
    /// # Errors
    /// As [`Receiver::unprotect`].
    pub fn unprotect_control(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let ssrc = rtcp_ssrc(packet).ok_or(Refused::Malformed)?;
        let (tag_len, tag_last) = (self.rtcp.tag_len(), matches!(self.rtcp, Keys::Cm(_)));
        let added = tag_len + 4 + self.mki_len;
        let len = packet.len().checked_sub(added).filter(|len| *len >= RTCP_HEADER).ok_or(Refused::Malformed)?;
        // RFC 3711 section 3.4: index, identifier, tag. RFC 7714 section 9.2: tag, index, identifier.
        let index_at = if tag_last { len } else { len + tag_len };
        let marked = packet.get(index_at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(Refused::Malformed)?;
        let word = u32::from_be_bytes(*marked);
        let (index, encrypted) = (u64::from(word & !ENCRYPTED), word & ENCRYPTED != 0);
        self.known(packet.get(index_at + 4..index_at + 4 + self.mki_len).ok_or(Refused::Malformed)?)?;
        if self.reporters.find(ssrc).is_some_and(|source| !source.is_new(index)) {
            return Err(Refused::Replayed);
        }
        let (body, tail) =
            packet.split_at_mut_checked(if tag_last { len + 4 } else { len }).ok_or(Refused::Malformed)?;
        let tag_at = if tag_last { self.mki_len } else { 0 };
        let tag = tail.get(tag_at..tag_at + tag_len).ok_or(Refused::Malformed)?;
        match &self.rtcp {
            Keys::Cm(cm) => {
                cm.verify(body, None, tag)?;
                if encrypted {
                    cm.apply(ssrc, index, body.get_mut(RTCP_HEADER..len).unwrap_or_default());
                }
            }
            Keys::Gcm(gcm) => {
                let clear = gcm_clear(body, word.to_be_bytes()).ok_or(Refused::Malformed)?;
                if encrypted {
                    gcm.open(ssrc, index, &clear, body.get_mut(RTCP_HEADER..).unwrap_or_default(), tag)?;
                } else {
                    // It is all clear text, its index behind it (RFC 7714 section 9.3).
                    let mut whole = [0; CLEAR_MAX];
                    let covered = whole.get_mut(..len + 4).ok_or(Refused::Malformed)?;
                    put(covered, body);
                    put(covered.get_mut(len..).unwrap_or_default(), &word.to_be_bytes());
                    gcm.open(ssrc, index, covered, &mut [], tag)?;
                }
            }
        }
        self.reporters.note(ssrc, index);
        Ok(len)
    }

    fn known(&self, mki: &[u8]) -> Result<(), Refused> {
        if self.mki.get(..self.mki_len) == Some(mki) { Ok(()) } else { Err(Refused::UnknownKey) }
    }
}

/// Longest RTCP packet that may come unencrypted.
const CLEAR_MAX: usize = 1_504;
