//! The parts of a packet that stay in clear.

use super::SrtpError;

/// Octets of the fixed header of RTP.
const RTP_HEADER: usize = 12;
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

/// Reads the header of an RTP packet (RFC 3550 sections 5.1 and 5.3.1).
#[inline]
pub(super) fn rtp_head(packet: &[u8]) -> Result<RtpHead, SrtpError> {
    let &[first, _, s0, s1, _, _, _, _, i0, i1, i2, i3] =
        packet.first_chunk::<RTP_HEADER>().ok_or(SrtpError::Malformed)?;
    if first >> 6 != 2 {
        return Err(SrtpError::Malformed);
    }
    let mut len = RTP_HEADER + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let extension = packet.get(len..).and_then(|rest| rest.first_chunk::<4>()).ok_or(SrtpError::Malformed)?;
        let &[_, _, l0, l1] = extension;
        len += 4 + 4 * usize::from(u16::from_be_bytes([l0, l1]));
    }
    if len > packet.len() {
        return Err(SrtpError::Malformed);
    }
    Ok(RtpHead { ssrc: u32::from_be_bytes([i0, i1, i2, i3]), sequence: u16::from_be_bytes([s0, s1]), len })
}

/// The sender of an RTCP packet (RFC 3550 section 6.4).
pub(super) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    let &[first, _, _, _, i0, i1, i2, i3] = packet.first_chunk::<RTCP_HEADER>().ok_or(SrtpError::Malformed)?;
    if first >> 6 != 2 {
        return Err(SrtpError::Malformed);
    }
    Ok(u32::from_be_bytes([i0, i1, i2, i3]))
}
