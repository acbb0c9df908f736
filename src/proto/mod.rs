//! Wire formats and their state machines, pure: octets, bits and time come in; octets, bits and events go out.
//!
//! - [`sip`]: RFC 3261 and what phones and providers need of its extensions, behind one [`sip::Endpoint`].
//! - [`sdp`]: session descriptions with offer and answer (RFC 8866, RFC 3264).
//! - [`rtp`]: RTP, RTCP and telephone events (RFC 3550, RFC 4733); the packets only, their timing is `media`'s.
//! - [`x509`]: what a certificate says about its validity and its SIP domains (RFC 5280, RFC 5922).
//! - [`srtp`]: their protection (RFC 3711, RFC 7714).
//! - [`dns`]: questions for SIP servers and the answers to them (RFC 1035, RFC 2782, RFC 3403).
//! - [`cas`]: signalling by the bits of a timeslot, E&M wink start.

pub mod cas;
pub mod dns;
pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod srtp;
pub mod x509;
