//! SIP over TCP: how the octets are cut into chunks makes no difference, and what cannot be framed is cut off.

use std::sync::LazyLock;

use cordboard::base::{Instant, Now, Timestamp};
use cordboard::proto::sip::{Endpoint, Event, Path, Transport};

use crate::chance::Chance;
use crate::{fuzz, sip};

static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(sip::corpus);

/// Most octets at once that are not framed yet: a message of 64 KiB.
const STREAM_MAX: usize = 200_000;

/// What came out: events, and the messages sent.
#[derive(PartialEq, Debug, Default)]
struct Outcome {
    events: Vec<Event>,
    sent: Vec<Vec<u8>>,
    closed: bool,
}

/// Pushes chunks until the end or until the endpoint gives the stream up.
fn push<'c>(chunks: impl Iterator<Item = &'c [u8]>) -> Outcome {
    let mut endpoint = Endpoint::new(sip::config(5));
    let now = Now { mono: Instant::from_micros(1_000_000), wall: Timestamp(1_700_000_000_000) };
    let path = Path {
        transport: Transport::Tcp,
        local: ([127, 0, 0, 2], 5060).into(),
        remote: ([127, 0, 0, 1], 40_000).into(),
        connection: 3,
        profile: 0,
    };
    let mut outcome = Outcome::default();
    for chunk in chunks {
        endpoint.receive_stream(now, path, chunk);
        endpoint.check_invariants();
        while let Some(transmit) = endpoint.poll_transmit() {
            // Answers to keep-alives depend on when they come, and may.
            if transmit.bytes.as_ref() != b"\r\n" {
                sip::check_sent(&transmit);
                outcome.sent.push(transmit.bytes.to_vec());
            }
        }
        while let Some(event) = endpoint.poll_event() {
            match event {
                Event::CloseConnection { connection } => {
                    assert_eq!(connection, 3);
                    outcome.closed = true;
                }
                event => outcome.events.push(event),
            }
        }
        if outcome.closed {
            endpoint.connection_closed(now, 3);
            break;
        }
    }
    outcome
}

fn target(mut chance: Chance<'_>) {
    let cuts: Vec<usize> = {
        let piece_max = if chance.one_in(2) { 4 } else { 1_400 };
        (0..8).map(|_| 1 + chance.below(piece_max)).collect()
    };
    let mut octets = Vec::new();
    while !chance.is_spent() && octets.len() < STREAM_MAX {
        match chance.below(8) {
            0 => octets.extend_from_slice(chance.pick::<&[u8]>(&[b"\r\n", b"\r\n\r\n", b"\n", b"\0", b"\r\n\r\n\r\n"])),
            1 => octets.extend_from_slice(chance.take(100)),
            2 => octets.extend(chance.bent(&CORPUS, sip::WORDS)),
            _ => octets.extend(chance.pick::<Vec<u8>>(&CORPUS)),
        }
    }
    let whole = push(std::iter::once(octets.as_slice()));
    let mut rest = octets.as_slice();
    let pieces = push(cuts.iter().cycle().map_while(|&cut| {
        let (now, later) = rest.split_at(cut.min(rest.len()));
        rest = later;
        (!now.is_empty()).then_some(now)
    }));
    assert_eq!(whole.closed, pieces.closed, "cut off or not");
    if !whole.closed {
        assert_eq!(whole, pieces, "the same in pieces");
    }
}

#[test]
fn chunks() {
    fuzz!(512, target);
}
