//! Real-time transport: RTP (RFC 3550, RFC 3551), its control protocol, and telephone events (RFC 4733).

pub mod packet;
pub mod rtcp;
pub mod telephone_event;
