//! An endpoint that takes one message, and what comes of it.

use bytes::Bytes;
use cordboard::base::{Instant, Now, Redacted, Timestamp};
use cordboard::proto::sip::{Endpoint, EndpointConfig, Event, Incoming, Path, Transport, User};
use sip_codec::auth::{Challenge, Credentials, respond};

/// Password of every user here.
const PASSWORD: &str = "secret";

/// What an endpoint made of a message.
pub enum Outcome {
    /// An INVITE that is offered to the owner.
    Call(Box<Incoming>),
    /// Something else that happened.
    Event(Event),
    /// An answer, whole.
    Answer(String),
    /// Dropped; the counters that tell why.
    Dropped(String),
}

impl Outcome {
    /// In a word: `call USER`, a status line without its version, or a counter.
    pub fn verdict(&self) -> String {
        match self {
            Self::Call(incoming) => format!("call {}", incoming.request_user),
            Self::Event(event) => format!("{event:?}"),
            Self::Answer(text) => {
                text.lines().next().unwrap_or_default().trim_start_matches("SIP/2.0 ").trim().to_owned()
            }
            Self::Dropped(counters) => counters.clone(),
        }
    }

    /// The values of an answer's header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let Self::Answer(text) = self else { panic!("no answer: {}", self.verdict()) };
        let rows = text.lines().filter_map(|line| line.split_once(':'));
        rows.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The call.
    pub fn call(&self) -> &Incoming {
        match self {
            Self::Call(incoming) => incoming,
            other => panic!("no call: {}", other.verdict()),
        }
    }
}

/// An endpoint with users.
pub struct Desk {
    endpoint: Endpoint,
    path: Path,
}

impl Desk {
    /// One that serves the realm `example.com` and knows `users`.
    pub fn new(users: &[&str]) -> Self {
        let mut endpoint = Endpoint::new(EndpointConfig {
            realm: "example.com".into(),
            user_agent: "cordboard".into(),
            seed: 4475,
            sessions_max: 10,
            bindings_max: 10,
        });
        let user = |name: &&str| User {
            name: (*name).to_owned(),
            password: Redacted::new(PASSWORD.to_owned()),
            guarded: true,
        };
        endpoint.set_users(users.iter().map(user).collect());
        let path = Path {
            transport: Transport::Udp,
            local: "127.0.0.1:5060".parse().expect("an address"),
            remote: "192.0.2.1:5060".parse().expect("an address"),
            connection: 0,
            profile: 0,
        };
        Self { endpoint, path }
    }

    /// Gives it a datagram.
    pub fn take(&mut self, message: &[u8]) -> Outcome {
        let now = Now { mono: Instant::ZERO, wall: Timestamp(0) };
        self.endpoint.receive(now, self.path, Bytes::copy_from_slice(message));
        self.endpoint.check_invariants();
        match self.endpoint.poll_event() {
            Some(Event::Incoming(incoming)) => {
                let trying = self.endpoint.poll_transmit().expect("100 Trying");
                assert!(trying.bytes.starts_with(b"SIP/2.0 100 "));
                return Outcome::Call(incoming);
            }
            // A registration is answered, too, and so is what is counted against its source.
            Some(Event::Registered { .. } | Event::Misbehaved { .. }) => {}
            Some(other) => return Outcome::Event(other),
            None => {}
        }
        if let Some(answer) = self.endpoint.poll_transmit() {
            assert_eq!(self.endpoint.poll_transmit(), None, "one answer at most");
            return Outcome::Answer(String::from_utf8_lossy(&answer.bytes).into_owned());
        }
        let counters: Vec<&str> = self.endpoint.counters().keys().copied().collect();
        Outcome::Dropped(counters.join(" "))
    }

    /// Gives it a REGISTER and answers the challenge as `user`.
    pub fn take_as(&mut self, user: &str, register: &[u8]) -> Outcome {
        let challenged = self.take(register);
        let challenges = challenged.header("WWW-Authenticate");
        let challenge =
            Challenge::parse(challenges.last().expect("a challenge").as_bytes(), false).expect("a challenge");
        let known = Credentials::new(user, PASSWORD);
        // RFC 7616 section 3.4: the digest-uri is the Request-URI.
        let line = register.split(|&b| b == b'\r').next().expect("a request line");
        let uri = String::from_utf8_lossy(line).split(' ').nth(1).expect("a Request-URI").to_owned();
        let answer = respond(&challenge, &known, "REGISTER", &uri, 1, "c");
        // The next request of the same client: another branch, the next number.
        let text =
            String::from_utf8(register.to_vec()).expect("plain text").replace("branch=z9hG4bK", "branch=z9hG4bK2");
        let (first, rest) = text.split_once("\r\n").expect("a request line");
        let raised = rest.split("\r\n").map(|line| match line.strip_prefix("CSeq: ").and_then(|v| v.split_once(' ')) {
            Some((number, method)) => format!("CSeq: {} {method}", number.parse::<u32>().expect("a number") + 1),
            None => line.to_owned(),
        });
        let rest = raised.collect::<Vec<_>>().join("\r\n");
        self.take(format!("{first}\r\nAuthorization: {answer}\r\n{rest}").as_bytes())
    }
}

/// What an endpoint without users makes of a message.
pub fn verdict(message: &[u8]) -> String {
    Desk::new(&[]).take(message).verdict()
}
