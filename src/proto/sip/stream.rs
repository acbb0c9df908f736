//! Messages out of TCP streams (RFC 3261 section 18.3).

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use sip_codec::error::ParseError;
use sip_codec::{Limits, Message, StreamParser};

use crate::base::{Bound, Instant};

use super::wire::{Wake, Wire};

/// Streams at once.
const STREAMS_MAX: usize = 8192;
/// Largest message on a stream, in octets; also what one stream can make us hold.
const MESSAGE_MAX: usize = 64 * 1024;

/// How long a message may take from its first octet to its last: as long as a transaction would wait for it (RFC 3261
/// section 17.1.1.2, 64 times T1). Who sends it octet by octet gains nothing.
const MESSAGE_TIME_MAX: Duration = Duration::from_secs(32);

/// Framing of one stream.
#[derive(Debug)]
struct Framing {
    parser: StreamParser,
    /// When the message that is not yet whole must be.
    due: Option<Instant>,
    scheduled: Option<Instant>,
}

/// Framing of all streams, by number.
#[derive(Debug, Default)]
pub(super) struct Streams {
    framings: HashMap<u64, Framing>,
    refused: u64,
}

/// What came whole out of a stream.
#[derive(Debug)]
pub enum Framed {
    /// A message.
    Message(Box<Message>),
    /// CRLF CRLF: the peer wants a CRLF back (RFC 5626 section 4.4.1).
    Ping,
}

impl Framed {
    /// As it came, octet by octet.
    pub fn octets(&self) -> Bytes {
        match self {
            Self::Message(message) => message.to_bytes(),
            Self::Ping => Bytes::from_static(b"\r\n\r\n"),
        }
    }
}

/// A stream that cannot be framed any further.
pub(super) struct Broken;

impl Streams {
    pub fn push(
        &mut self,
        now: Instant,
        wire: &mut Wire,
        connection: u64,
        chunk: &[u8],
    ) -> Result<Vec<Framed>, Broken> {
        if self.framings.len() >= STREAMS_MAX && !self.framings.contains_key(&connection) {
            self.refused += 1;
            return Err(Broken);
        }
        let Framing { parser, due, scheduled } = self.framings.entry(connection).or_insert_with(Framing::new);
        match frame(parser, chunk) {
            Ok(messages) => {
                // What is left over has begun now, unless it is the rest of what had begun before.
                match parser.pending() {
                    0 => *due = None,
                    _ if due.is_none() || !messages.is_empty() => *due = Some(now + MESSAGE_TIME_MAX),
                    _ => {}
                }
                wire.wake(Wake::Stream(connection), *due, scheduled);
                let ping = messages.is_empty() && parser.pending() == 0 && parser.take_keepalives() >= 2;
                let messages = messages.into_iter().map(|message| Framed::Message(Box::new(message)));
                Ok(messages.chain(ping.then_some(Framed::Ping)).collect())
            }
            Err(_) => {
                self.framings.remove(&connection);
                Err(Broken)
            }
        }
    }

    pub fn bound(&self) -> Bound {
        Bound::new("sip-streams", self.framings.len(), STREAMS_MAX, self.refused)
    }

    /// Whether a stream's message has taken too long: it is framed no further then.
    pub fn wake(&mut self, now: Instant, wire: &mut Wire, connection: u64, at: Instant) -> bool {
        let Some(framing) = self.framings.get_mut(&connection) else { return false };
        if framing.scheduled == Some(at) {
            framing.scheduled = None;
        }
        if framing.due.is_some_and(|due| due <= now) {
            self.framings.remove(&connection);
            return true;
        }
        wire.wake(Wake::Stream(connection), framing.due, &mut framing.scheduled);
        false
    }

    pub fn close(&mut self, connection: u64) {
        self.framings.remove(&connection);
    }
}

/// What a chunk brings to its end. The parser looks at the length of what is not whole after each piece that it is given:
/// in pieces that just fill it up, a header section that is too long is so however it was cut.
fn frame(parser: &mut StreamParser, mut chunk: &[u8]) -> Result<Vec<Message>, ParseError> {
    let mut messages = Vec::new();
    while !chunk.is_empty() {
        let room = MESSAGE_MAX.saturating_sub(parser.pending()).max(1);
        let (piece, rest) = chunk.split_at(room.min(chunk.len()));
        messages.extend(parser.push(piece)?);
        chunk = rest;
    }
    Ok(messages)
}

impl Framing {
    fn new() -> Self {
        let limits = Limits { max_message_bytes: MESSAGE_MAX, max_body_bytes: MESSAGE_MAX, ..Limits::stream() };
        Self { parser: StreamParser::new(limits), due: None, scheduled: None }
    }
}
