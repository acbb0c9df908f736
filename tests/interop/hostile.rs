//! Malformed input at both ports while a call is up: the torture messages of RFC 4475 and mutations of them.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use crate::harness::{Appliance, Place, flow, have, trunk, wait_for};

const LONG: Duration = Duration::from_secs(60);
const MUTATIONS: usize = 2000;
/// Chance put here for a run that is to be repeated.
const SEED_VARIABLE: &str = "CORDBOARD_SEED";
/// How long an answer is waited for; loopback answers in less than a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

/// Answers and stays for whoever listens.
const STAY: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'play'\n\
                    prompt = [{ silence_ms = 10000 }, { silence_ms = 10000 }, { silence_ms = 10000 }]\nnext = 'a2'\n\
                    [step.a2]\ndo = 'hangup'\n";

fn vectors() -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/rfc4475");
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "dat"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    assert_eq!(files.len(), 49);
    files
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// Some octets changed, a piece left out, repeated, or cut off.
    fn mutate(&mut self, message: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let len = message.len();
            let (from, to) = (self.below(len), self.below(len));
            let (from, to) = (from.min(to), from.max(to));
            match self.below(6) {
                0 => message.truncate(from),
                1 => drop(message.drain(from..to.min(from + 40))),
                2 => {
                    let piece = message[from..to.min(from + 200)].to_vec();
                    message.splice(to..to, piece);
                }
                _ => {
                    if let Some(octet) = message.get_mut(from) {
                        *octet = match self.below(3) {
                            0 => self.next() as u8,
                            1 => b"\r\n:;,<>\"@ \t\0%="[self.below(14)],
                            _ => *octet ^ (1 << self.below(8)),
                        };
                    }
                }
            }
        }
    }
}

/// A SIP message as far as RFC 3261 section 7 says what every one looks like.
fn is_well_formed(message: &[u8]) -> bool {
    let Some(end) = message.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&message[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let code = status.strip_prefix("SIP/2.0 ").and_then(|rest| rest.split(' ').next()?.parse::<u16>().ok());
    let Some(100..=699) = code else { return false };
    let mut body = None;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { return false };
        if name.eq_ignore_ascii_case("content-length") {
            body = value.trim().parse::<usize>().ok();
        }
    }
    body == Some(message.len() - end - 4)
}

/// The status lines that come back within a while of silence. Every answer must be well-formed; requests are the
/// appliance's own (BYE, OPTIONS) and not judged.
fn answers(socket: &UdpSocket, to: &str) -> Vec<String> {
    let mut buffer = [0; 65_536];
    let mut statuses = Vec::new();
    while let Ok(len) = socket.recv(&mut buffer) {
        let message = &buffer[..len];
        if !message.starts_with(b"SIP/2.0 ") {
            continue;
        }
        assert!(is_well_formed(message), "to {to}: {}", String::from_utf8_lossy(message));
        let text = String::from_utf8_lossy(message);
        statuses.push(text.lines().next().unwrap_or_default().trim_start_matches("SIP/2.0 ").to_owned());
    }
    statuses
}

/// The message with the top Via pointing at `socket`, so that the answer comes here.
fn answerable(message: &[u8], socket: &UdpSocket) -> Vec<u8> {
    let address = socket.local_addr().unwrap();
    let Some(end) = message.windows(2).position(|w| w == b"\r\n") else { return message.to_vec() };
    // RFC 3581: the answer comes back to the port that the request came from.
    let via = format!("\r\nVia: SIP/2.0/UDP {address};rport;branch=z9hG4bK-{}", address.port());
    [&message[..end], via.as_bytes(), &message[end..]].concat()
}

#[test]
fn a_call_survives_what_is_thrown_at_the_ports() {
    if !have(&["sipp"]) {
        return;
    }
    let seed = std::env::var(SEED_VARIABLE).ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(1, |d| d.as_nanos() as u64)
    });
    println!("{SEED_VARIABLE}={seed}");
    let place = Place::new("hostile");
    let more = [trunk("carrier", 2), trunk("rogue", 7), flow("100", STAY)].concat();
    let mut appliance = Appliance::start(&place, &more);
    let mut caller = place.sipp(2, "talk", &["-s", "100", "-m", "1", "-d", "20000"]);
    wait_for("the call", LONG, || appliance.count("calls") == 1);

    let stranger = UdpSocket::bind((place.host(66), 0)).unwrap();
    let server = format!("{}:5060", place.host(1));
    stranger.connect(&server).unwrap();
    stranger.set_read_timeout(Some(PATIENCE)).unwrap();
    let expected = [("clerr", "400"), ("quotbal", "400"), ("mismatch01", "400"), ("badvers", "505"), ("unkscm", "416")];
    for (name, message) in vectors() {
        stranger.send(&message).unwrap();
        if let Some((_, status)) = expected.iter().find(|(vector, _)| *vector == name) {
            drop(answers(&stranger, "earlier messages"));
            stranger.send(&answerable(&message, &stranger)).unwrap();
            let got = answers(&stranger, &name);
            assert!(got.iter().any(|s| s.starts_with(status)), "{name}: expected {status}, got {got:?}");
        }
    }
    // From a trunk's address more of it is taken seriously.
    let rogue = UdpSocket::bind((place.host(7), 0)).unwrap();
    rogue.connect(&server).unwrap();
    rogue.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut random = Random(seed);
    let originals = vectors();
    for n in 0..MUTATIONS {
        let (name, original) = &originals[random.below(originals.len())];
        let mut message = original.clone();
        random.mutate(&mut message);
        let socket = if n % 2 == 0 { &stranger } else { &rogue };
        // Past 64 KiB it is no datagram.
        message.truncate(60_000);
        socket.send(&answerable(&message, socket)).unwrap();
        if n % 4 == 0 {
            drop(answers(&rogue, name));
            throw_at_stream(&server, &message);
        }
    }
    drop(answers(&stranger, "mutations"));
    assert!(appliance.lives());
    caller.succeeds(LONG);
    assert!(appliance.cdrs().iter().any(|cdr| cdr["from"] == "+15551" && !cdr["answered_at"].is_null()));
    appliance.stop();
}

/// A stream of its own for the message. The appliance may close it at any time.
fn throw_at_stream(server: &str, message: &[u8]) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    // Both fail where the appliance has had enough of it.
    drop(stream.write_all(message));
    drop(stream.read(&mut [0; 4096]));
}
