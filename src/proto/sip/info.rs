//! INFO (RFC 6086): digits that a peer signals, as `application/dtmf-relay` or `application/dtmf`. Neither type has a
//! standard; what is read here is what gateways and phones send.

use bytes::Bytes;
use sip_codec::{HeaderName, Request};

use super::message::{Reply, split_top};
use super::session::{Io, Session};
use super::transaction::ServerId;
use super::types::Event;

/// Body types of digits, as a refusal names them.
const ACCEPT: &str = "Accept: application/dtmf-relay, application/dtmf\r\n";

impl Session {
    /// The peer's INFO.
    pub fn info_request(&mut self, io: &mut Io<'_>, server: ServerId, reply: &Reply, request: &Request) {
        let package = request.headers.count(&HeaderName::parse(&Bytes::from_static(b"Info-Package"))) > 0;
        if package {
            // RFC 6086 section 4.2.2: we listed none in Recv-Info.
            return self.answer(io, server, reply, 469, "Recv-Info:\r\n");
        }
        if request.body().is_empty() {
            // RFC 6086 section 4.2.2: legacy use; a peer that asks whether we live.
            return self.answer(io, server, reply, 200, "");
        }
        let kind = request.headers.value(&HeaderName::ContentType).unwrap_or_default();
        let kind = split_top(&kind, b';').next().unwrap_or_default();
        let digit = if kind.eq_ignore_ascii_case(b"application/dtmf-relay") {
            relayed(request.body())
        } else if kind.eq_ignore_ascii_case(b"application/dtmf") {
            signal(request.body())
        } else {
            return self.answer(io, server, reply, 415, ACCEPT);
        };
        let Some(digit) = digit else {
            io.wire.count("info-unreadable");
            return self.answer(io, server, reply, 400, "");
        };
        self.answer(io, server, reply, 200, "");
        if let Key::Digit(digit) = digit {
            self.tell(io, Event::Digit { session: self.id, digit });
        }
    }
}

/// A key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Key {
    Digit(char),
    /// A hook flash: understood, and of no use here.
    Flash,
}

/// `Signal=5` on a line of its own; `Duration=160` may follow and says nothing that we need.
fn relayed(body: &[u8]) -> Option<Key> {
    body.split(|&b| b == b'\n' || b == b'\r').find_map(|line| {
        let equals = line.iter().position(|&b| b == b'=')?;
        let (name, value) = line.split_at(equals);
        name.trim_ascii().eq_ignore_ascii_case(b"signal").then(|| signal(value.get(1..)?))?
    })
}

/// A key by its character, or by its number of RFC 4733 section 3.2.
fn signal(value: &[u8]) -> Option<Key> {
    match value.trim_ascii() {
        &[key] => {
            let key = char::from(key.to_ascii_uppercase());
            if key == '!' {
                return Some(Key::Flash);
            }
            matches!(key, '0'..='9' | '*' | '#' | 'A'..='D').then_some(Key::Digit(key))
        }
        b"10" => Some(Key::Digit('*')),
        b"11" => Some(Key::Digit('#')),
        b"12" => Some(Key::Digit('A')),
        b"13" => Some(Key::Digit('B')),
        b"14" => Some(Key::Digit('C')),
        b"15" => Some(Key::Digit('D')),
        b"16" => Some(Key::Flash),
        flash if flash.eq_ignore_ascii_case(b"hf") || flash.eq_ignore_ascii_case(b"flash") => Some(Key::Flash),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_as_peers_write_them() {
        for (body, key) in [
            ("Signal=5\r\nDuration=160\r\n", Key::Digit('5')),
            ("Signal= 5\r\nDuration= 250\r\n", Key::Digit('5')),
            ("Duration=100\nsignal=d", Key::Digit('D')),
            ("Signal=*\r\n", Key::Digit('*')),
            ("Signal=11\r\n", Key::Digit('#')),
            ("Signal=hf\r\n", Key::Flash),
        ] {
            assert_eq!(relayed(body.as_bytes()), Some(key), "{body:?}");
        }
        for body in ["", "Signal=", "Signal=99", "Signal=E", "Tone=5", "5", "\u{ff}=1"] {
            assert_eq!(relayed(body.as_bytes()), None, "{body:?}");
        }
        assert_eq!(signal(b" 7\r\n"), Some(Key::Digit('7')));
    }
}
