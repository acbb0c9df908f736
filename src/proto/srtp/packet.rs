//! The parts of a packet that stay in clear.

use crate::proto::rtp::packet::{Header, header_len};

/// Octets of an RTCP packet in clear: its header and the SSRC of its sender.
pub(super) const RTCP_HEADER: usize = 8;

/// What protection needs to know of an RTP packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct RtpHead {
    pub ssrc: u32,
    pub sequence: u16,
    /// Where the payload begins: behind the fixed header, the CSRC list and the extension.
    pub len: usize,
}

/// Reads the header of an RTP packet; `None` when it is malformed.
#[inline]
pub(super) fn rtp_head(packet: &[u8]) -> Option<RtpHead> {
    let Header { ssrc, sequence, .. } = Header::read(packet)?;
    Some(RtpHead { ssrc, sequence, len: header_len(packet)? })
}

/// The sender of an RTCP packet (RFC 3550 section 6.4); `None` when it is malformed.
pub(super) fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    let &[first, _, _, _, i0, i1, i2, i3] = packet.first_chunk::<RTCP_HEADER>()?;
    (first >> 6 == 2).then_some(u32::from_be_bytes([i0, i1, i2, i3]))
}

/// What a tag of GCM covers in clear of an encrypted RTCP packet (RFC 7714 section 9.2): its header and its index.
pub(super) fn gcm_clear(packet: &[u8], marked: [u8; 4]) -> Option<[u8; RTCP_HEADER + 4]> {
    let mut clear = [0; RTCP_HEADER + 4];
    let (header, index) = clear.split_at_mut_checked(RTCP_HEADER)?;
    put(header, packet.first_chunk::<RTCP_HEADER>()?);
    put(index, &marked);
    Some(clear)
}

/// Copies as much as there is room for.
#[inline]
pub(super) fn put(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
