//! What SIP costs a core: whole calls (INVITE, 180, 200, ACK, BYE, 200) through two endpoints, so the time shown is that
//! of both ends of one leg, or, as good, of both legs of a bridged call. `cargo bench --bench sip`

use std::time::Duration;

use bytes::Bytes;
use cordboard::base::{Cause, Instant, Now, Timestamp};
use cordboard::proto::sip::{Endpoint, EndpointConfig, Event, Invite, Path, SessionId, Transport};

const SDP: &[u8] = b"v=0\r\no=- 20518 0 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n\
m=audio 54400 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

fn main() {
    divan::main();
}

struct Pair {
    now: Now,
    caller: Endpoint,
    callee: Endpoint,
    there: Path,
    back: Path,
}

impl Pair {
    fn new() -> Self {
        let config = |seed| EndpointConfig {
            realm: "cordboard".into(),
            user_agent: "Cordboard".into(),
            seed,
            sessions_max: 100_000,
            bindings_max: 1,
        };
        let (a, b) = ("127.0.0.1:5060".parse().expect("an address"), "127.0.0.2:5060".parse().expect("an address"));
        let path = |local, remote| Path::new(Transport::Udp, local, remote);
        Self {
            now: Now { mono: Instant::ZERO, wall: Timestamp(0) },
            caller: Endpoint::new(config(1)),
            callee: Endpoint::new(config(2)),
            there: path(a, b),
            back: path(b, a),
        }
    }

    /// Carries messages to and fro until there are none.
    fn carry(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(transmit) = self.caller.poll_transmit() {
                self.callee.receive(self.now, self.back, transmit.bytes);
                quiet = false;
            }
            while let Some(transmit) = self.callee.poll_transmit() {
                self.caller.receive(self.now, self.there, transmit.bytes);
                quiet = false;
            }
            if quiet {
                return;
            }
        }
    }

    fn call(&mut self) -> SessionId {
        let order = Invite {
            path: self.there,
            request_uri: "sip:100@127.0.0.2:5060".into(),
            from_user: "+15551234".into(),
            from_display: None,
            from_host: "127.0.0.1".into(),
            to_uri: "sip:100@127.0.0.2".into(),
            contact_user: "line".into(),
            sdp: Some(Bytes::from_static(SDP)),
            credentials: None,
            max_forwards: 70,
            headers: Vec::new(),
        };
        let session = self.caller.invite(self.now, order).expect("a session");
        self.carry();
        let mut called = None;
        while let Some(event) = self.callee.poll_event() {
            if let Event::Incoming(incoming) = event {
                called = Some(incoming.session);
            }
        }
        let called = called.expect("a call");
        self.callee.provisional(self.now, called, 180, None);
        self.carry();
        self.callee.accept(self.now, called, Bytes::from_static(SDP));
        self.carry();
        session
    }

    fn end(&mut self, session: SessionId) {
        self.caller.hangup(self.now, session, Cause::Normal);
        self.carry();
    }

    /// A millisecond passes; what is due is done, and events are taken.
    fn tick(&mut self) {
        self.now = self.now.after(Duration::from_millis(1));
        self.caller.handle_timeout(self.now);
        self.callee.handle_timeout(self.now);
        while self.caller.poll_event().is_some() {}
        while self.callee.poll_event().is_some() {}
        self.carry();
    }
}

/// One call, a thousand a second: so with the transactions of the last 32 s in the tables.
#[divan::bench(sample_count = 50, sample_size = 200)]
fn call_at_1000_per_second(bencher: divan::Bencher) {
    let mut pair = Pair::new();
    for _ in 0..33_000 {
        let session = pair.call();
        pair.end(session);
        pair.tick();
    }
    bencher.bench_local(move || {
        let session = pair.call();
        pair.end(session);
        pair.tick();
    });
}

/// The same with nothing else in the tables.
#[divan::bench(sample_count = 50, sample_size = 20)]
fn call_alone(bencher: divan::Bencher) {
    bencher.with_inputs(Pair::new).bench_local_refs(|pair| {
        let session = pair.call();
        pair.end(session);
        pair.tick();
    });
}

/// An OPTIONS request answered: the least that a message costs.
#[divan::bench]
fn options(bencher: divan::Bencher) {
    let mut pair = Pair::new();
    let mut n = 0_u64;
    bencher.bench_local(move || {
        n += 1;
        let text = format!(
            "OPTIONS sip:100@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:x@y>;tag=f\r\nTo: <sip:100@127.0.0.2>\r\nCall-ID: {n}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
        pair.callee.receive(pair.now, pair.back, text.into());
        let answer = pair.callee.poll_transmit();
        if n.is_multiple_of(1000) {
            pair.now = pair.now.after(Duration::from_secs(33));
            pair.callee.handle_timeout(pair.now);
        }
        answer
    });
}
