//! Messages out of TCP streams (RFC 3261 section 18.3).

use std::collections::HashMap;

use sip_codec::{Limits, Message, StreamParser};

use crate::base::Bound;

/// Streams at once.
const STREAMS_MAX: usize = 8192;
/// Largest message on a stream, in octets; also what one stream can make us hold.
const MESSAGE_MAX: usize = 64 * 1024;

/// Framing of all streams, by number.
#[derive(Debug, Default)]
pub(super) struct Streams {
    parsers: HashMap<u64, StreamParser>,
    refused: u64,
}

/// What a chunk brought.
pub(super) struct Chunk {
    pub messages: Vec<Message>,
    /// CRLF CRLF came: the peer wants a CRLF back (RFC 5626 section 4.4.1).
    pub ping: bool,
}

/// A stream that cannot be framed any further.
pub(super) struct Broken;

impl Streams {
    pub fn push(&mut self, connection: u64, chunk: &[u8]) -> Result<Chunk, Broken> {
        if self.parsers.len() >= STREAMS_MAX && !self.parsers.contains_key(&connection) {
            self.refused += 1;
            return Err(Broken);
        }
        let parser = self.parsers.entry(connection).or_insert_with(|| {
            StreamParser::new(Limits {
                max_message_bytes: MESSAGE_MAX,
                max_body_bytes: MESSAGE_MAX,
                ..Limits::stream()
            })
        });
        match parser.push(chunk) {
            Ok(messages) => {
                let ping = messages.is_empty() && parser.pending() == 0 && parser.take_keepalives() >= 2;
                Ok(Chunk { messages, ping })
            }
            Err(_) => {
                self.parsers.remove(&connection);
                Err(Broken)
            }
        }
    }

    pub fn bound(&self) -> Bound {
        Bound::new("sip-streams", self.parsers.len(), STREAMS_MAX, self.refused)
    }

    pub fn close(&mut self, connection: u64) {
        self.parsers.remove(&connection);
    }
}
