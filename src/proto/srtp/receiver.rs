//! Taking the protection off what comes.

use super::cipher::{GCM_TAG, Keys, Kind};
use super::index::Sources;
use super::packet::{RTCP_HEADER, RtpHead, rtcp_ssrc, rtp_head};
use super::sender::{ENCRYPTED, gcm_clear};
use super::{MKI_MAX, MasterKey, SrtpError};

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
        for (to, from) in own.iter_mut().zip(mki) {
            *to = *from;
        }
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
    /// [`SrtpError::NotAuthentic`], [`SrtpError::Replayed`], [`SrtpError::UnknownKey`], [`SrtpError::Malformed`]. The
    /// packet is not to be used then.
    #[inline]
    pub fn unprotect(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let head = rtp_head(packet)?;
        let likely = self.sources.index_of(head.ssrc, head.sequence)?;
        let (index, len) = match self.open(head, likely, packet) {
            Ok(len) => (likely, len),
            Err(SrtpError::NotAuthentic) => {
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
    fn open(&self, head: RtpHead, index: u64, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let rollover = (index >> 16) as u32;
        match &self.rtp {
            Keys::Cm(cm) => {
                let len = packet.len().checked_sub(cm.tag_len + self.mki_len).filter(|len| *len >= head.len);
                let (packet, tail) =
                    packet.split_at_mut_checked(len.ok_or(SrtpError::Malformed)?).ok_or(SrtpError::Malformed)?;
                let (mki, tag) = tail.split_at_checked(self.mki_len).ok_or(SrtpError::Malformed)?;
                self.known(mki)?;
                cm.verify(packet, Some(rollover), tag)?;
                cm.apply(head.ssrc, index, packet.get_mut(head.len..).unwrap_or_default());
                Ok(packet.len())
            }
            Keys::Gcm128(_) | Keys::Gcm256(_) => {
                let len = packet.len().checked_sub(GCM_TAG + self.mki_len).filter(|len| *len >= head.len);
                let (packet, tail) =
                    packet.split_at_mut_checked(len.ok_or(SrtpError::Malformed)?).ok_or(SrtpError::Malformed)?;
                let (tag, mki) = tail.split_at_checked(GCM_TAG).ok_or(SrtpError::Malformed)?;
                self.known(mki)?;
                let len = packet.len();
                let (clear, payload) = packet.split_at_mut_checked(head.len).ok_or(SrtpError::Malformed)?;
                match &self.rtp {
                    Keys::Gcm256(gcm) => gcm.open(head.ssrc, index, clear, payload, tag)?,
                    Keys::Gcm128(gcm) => gcm.open(head.ssrc, index, clear, payload, tag)?,
                    Keys::Cm(_) => return Err(SrtpError::Malformed),
                }
                Ok(len)
            }
        }
    }

    /// Takes the protection off an SRTCP packet in place, and returns the length of the compound packet that is left.
    ///
    /// # Errors
    /// As [`Receiver::unprotect`].
    pub fn unprotect_control(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(packet)?;
        let (tag_len, tag_last) = match &self.rtcp {
            Keys::Cm(cm) => (cm.tag_len, true),
            Keys::Gcm128(_) | Keys::Gcm256(_) => (GCM_TAG, false),
        };
        let added = tag_len + 4 + self.mki_len;
        let len = packet.len().checked_sub(added).filter(|len| *len >= RTCP_HEADER).ok_or(SrtpError::Malformed)?;
        // RFC 3711 section 3.4: index, identifier, tag. RFC 7714 section 9.2: tag, index, identifier.
        let index_at = if tag_last { len } else { len + tag_len };
        let marked = packet.get(index_at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(SrtpError::Malformed)?;
        let word = u32::from_be_bytes(*marked);
        let (index, encrypted) = (u64::from(word & !ENCRYPTED), word & ENCRYPTED != 0);
        self.known(packet.get(index_at + 4..index_at + 4 + self.mki_len).ok_or(SrtpError::Malformed)?)?;
        if self.reporters.find(ssrc).is_some_and(|source| !source.is_new(index)) {
            return Err(SrtpError::Replayed);
        }
        let (body, tail) =
            packet.split_at_mut_checked(if tag_last { len + 4 } else { len }).ok_or(SrtpError::Malformed)?;
        let tag_at = if tag_last { self.mki_len } else { 0 };
        let tag = tail.get(tag_at..tag_at + tag_len).ok_or(SrtpError::Malformed)?;
        match &self.rtcp {
            Keys::Cm(cm) => {
                cm.verify(body, None, tag)?;
                if encrypted {
                    cm.apply(ssrc, index, body.get_mut(RTCP_HEADER..len).unwrap_or_default());
                }
            }
            Keys::Gcm128(gcm) => {
                let clear = gcm_clear(body, word.to_be_bytes())?;
                open_gcm(body, &clear, encrypted, |clear, data| gcm.open(ssrc, index, clear, data, tag))?;
            }
            Keys::Gcm256(gcm) => {
                let clear = gcm_clear(body, word.to_be_bytes())?;
                open_gcm(body, &clear, encrypted, |clear, data| gcm.open(ssrc, index, clear, data, tag))?;
            }
        }
        self.reporters.note(ssrc, index);
        Ok(len)
    }

    fn known(&self, mki: &[u8]) -> Result<(), SrtpError> {
        if self.mki.get(..self.mki_len) == Some(mki) { Ok(()) } else { Err(SrtpError::UnknownKey) }
    }
}

/// An RTCP packet that is only authenticated is all clear text, its index behind it (RFC 7714 section 9.3).
fn open_gcm(
    body: &mut [u8],
    clear: &[u8],
    encrypted: bool,
    open: impl FnOnce(&[u8], &mut [u8]) -> Result<(), SrtpError>,
) -> Result<(), SrtpError> {
    if encrypted {
        return open(clear, body.get_mut(RTCP_HEADER..).unwrap_or_default());
    }
    let mut whole = [0; CLEAR_MAX];
    let index = clear.get(RTCP_HEADER..).unwrap_or_default();
    let covered = whole.get_mut(..body.len() + index.len()).ok_or(SrtpError::Malformed)?;
    for (to, from) in covered.iter_mut().zip(body.iter().chain(index)) {
        *to = *from;
    }
    open(covered, &mut [])
}

/// Longest RTCP packet that may come unencrypted.
const CLEAR_MAX: usize = 1_504;
