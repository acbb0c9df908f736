//! Protecting what we send.

use super::cipher::{GCM_TAG, Keys, Kind};
use super::index::Sources;
use super::packet::{RTCP_HEADER, gcm_clear, put, rtcp_ssrc, rtp_head};
use super::{MasterKey, Unprotected};

/// Indices that one master key may protect: 2^48 RTP packets, of which those that a sender's sequence numbers reach are
/// a tiny part, and 2^31 of RTCP (RFC 3711 section 9.2).
const RTP_INDEX_MAX: u64 = (1 << 48) - 1;
const RTCP_INDEX_MAX: u32 = (1 << 31) - 1;

/// The bit beside SRTCP's index that says that the packet is encrypted (RFC 3711 section 3.4).
pub(super) const ENCRYPTED: u32 = 1 << 31;

/// One direction's keys, and what was sent with them.
pub struct Sender {
    rtp: Keys,
    rtcp: Keys,
    /// No index is used twice with one key, or two packets could be compared (RFC 3711 section 9.1); in GCM even the
    /// authentication would be lost.
    sources: Sources,
    rtcp_index: u32,
}

impl Sender {
    /// A sender that begins with `master`.
    pub fn new(master: &MasterKey) -> Sender {
        let (rtp, rtcp) = (Keys::new(master, Kind::Rtp), Keys::new(master, Kind::Rtcp));
        Sender { rtp, rtcp, sources: Sources::default(), rtcp_index: 0 }
    }

    /// Protects the RTP packet in the first `len` octets of `buffer` in place and returns its new length, at most
    /// [`super::TAIL_MAX`] more.
    ///
    /// # Errors
    /// [`Unprotected::Repeated`] for an index that was used before, [`Unprotected::NoRoom`], [`Unprotected::Malformed`].
    #[inline]
    pub fn protect(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Unprotected> {
        let head = rtp_head(buffer.get(..len).ok_or(Unprotected::NoRoom)?).ok_or(Unprotected::Malformed)?;
        let index = self.sources.index_of(head.ssrc, head.sequence).ok_or(Unprotected::Repeated)?;
        if index > RTP_INDEX_MAX {
            return Err(Unprotected::KeyUsedUp);
        }
        let rollover = (index >> 16) as u32;
        let tag_len = self.rtp.tag_len();
        let packet = buffer.get_mut(..len + tag_len).ok_or(Unprotected::NoRoom)?;
        let (packet, tail) = packet.split_at_mut_checked(len).ok_or(Unprotected::NoRoom)?;
        let (clear, payload) = packet.split_at_mut_checked(head.len).ok_or(Unprotected::Malformed)?;
        match &self.rtp {
            Keys::Cm(cm) => {
                cm.apply(head.ssrc, index, payload);
                put(tail, &cm.tag(packet, Some(rollover)));
            }
            Keys::Gcm(gcm) => {
                put(tail, &gcm.seal(head.ssrc, index, clear, payload).ok_or(Unprotected::Malformed)?);
            }
        }
        self.sources.note(head.ssrc, index);
        Ok(len + tag_len)
    }

    /// Protects the compound RTCP packet in the first `len` octets of `buffer` in place and returns its new length.
    ///
    /// # Errors
    /// [`Unprotected::KeyUsedUp`], [`Unprotected::NoRoom`], [`Unprotected::Malformed`].
    pub fn protect_control(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Unprotected> {
        let ssrc = rtcp_ssrc(buffer.get(..len).ok_or(Unprotected::NoRoom)?).ok_or(Unprotected::Malformed)?;
        let index = self.rtcp_index;
        if index > RTCP_INDEX_MAX {
            return Err(Unprotected::KeyUsedUp);
        }
        let marked = (index | ENCRYPTED).to_be_bytes();
        let (packet, tail) = buffer.split_at_mut_checked(len).ok_or(Unprotected::NoRoom)?;
        let body = packet.get_mut(RTCP_HEADER..).ok_or(Unprotected::Malformed)?;
        let added = match &self.rtcp {
            Keys::Cm(cm) => {
                cm.apply(ssrc, u64::from(index), body);
                put(tail.get_mut(..4).ok_or(Unprotected::NoRoom)?, &marked);
                let covered = buffer.get(..len + 4).ok_or(Unprotected::NoRoom)?;
                let tag = cm.tag(covered, None);
                put(buffer.get_mut(len + 4..len + 4 + cm.tag_len).ok_or(Unprotected::NoRoom)?, &tag);
                4 + cm.tag_len
            }
            Keys::Gcm(gcm) => {
                let clear = gcm_clear(packet, marked).ok_or(Unprotected::Malformed)?;
                let body = packet.get_mut(RTCP_HEADER..).ok_or(Unprotected::Malformed)?;
                let tag = gcm.seal(ssrc, u64::from(index), &clear, body).ok_or(Unprotected::Malformed)?;
                put(tail.get_mut(..GCM_TAG).ok_or(Unprotected::NoRoom)?, &tag);
                put(tail.get_mut(GCM_TAG..GCM_TAG + 4).ok_or(Unprotected::NoRoom)?, &marked);
                GCM_TAG + 4
            }
        };
        self.rtcp_index = index + 1;
        Ok(len + added)
    }

    /// Whether the sequence numbers of `ssrc` have wrapped under this key: a receiver that gets a new key only knows the
    /// rollover counter of a source that begins then.
    pub fn rolled_over(&self, ssrc: u32) -> bool {
        self.sources.find(ssrc).is_some_and(|source| source.rollover() > 0)
    }
}
