//! DNS messages (RFC 1035), as far as finding SIP servers takes: questions for NAPTR, SRV, A and AAAA records, and answers
//! read against the question they were asked for.
//!
//! An answer is outside input: whatever cannot be read is refused with a reason, at most [`RECORDS_MAX`] records are looked at,
//! and a name is followed through at most `JUMPS_MAX` pointers.

mod answer;
mod reader;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;

pub use answer::read;

/// Most records of a message that are looked at.
pub const RECORDS_MAX: usize = 256;
/// Most compression pointers of one name (RFC 1035 section 4.1.4); writers need one.
const JUMPS_MAX: usize = 16;
/// Longest name in a message, in octets (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 255;
/// Longest label (RFC 1035 section 2.3.4).
const LABEL_MAX: usize = 63;
/// Internet, the one class.
const CLASS_IN: u16 = 1;

/// Type of record that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Which transports a domain takes (RFC 3403).
    Naptr,
    /// Servers of a service (RFC 2782).
    Srv,
    /// IPv4 addresses (RFC 1035).
    A,
    /// IPv6 addresses (RFC 3596).
    Aaaa,
}

impl Kind {
    /// The number of the type.
    const fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Srv => 33,
            Self::Naptr => 35,
        }
    }

    /// The name of the type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Srv => "SRV",
            Self::Naptr => "NAPTR",
        }
    }
}

/// A question.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Question {
    /// An absolute name in lower case, without the dot at its end.
    pub name: String,
    /// What of it.
    pub kind: Kind,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind.as_str())
    }
}

/// A record of the type that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// A NAPTR record (RFC 3403 section 4.1).
    Naptr(Naptr),
    /// An SRV record (RFC 2782).
    Srv(Srv),
    /// An A or AAAA record.
    Address(IpAddr),
}

/// A NAPTR record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Naptr {
    /// Lower ones first.
    pub order: u16,
    /// Among those of one order lower ones first.
    pub preference: u16,
    /// Letters, in lower case: `s` for a name of SRV records.
    pub flags: String,
    /// Service and protocol, in upper case: `SIP+D2U`.
    pub services: String,
    /// Whether there is an expression, which RFC 3263 does not use.
    pub has_expression: bool,
    /// The next name to ask for.
    pub replacement: String,
}

/// An SRV record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Srv {
    /// Lower ones first.
    pub priority: u16,
    /// Share among those of one priority.
    pub weight: u16,
    /// Its port.
    pub port: u16,
    /// Name of the server; empty: the service is decidedly not there.
    pub target: String,
}

/// What was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The records; none where the name, or the type of it, is not there.
    pub records: Vec<Record>,
    /// For how long, in seconds; 0 where nothing was said.
    pub ttl_s: u32,
}

/// Why there is no answer in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DnsError {
    /// It cannot be read.
    Malformed,
    /// It answers another question, or is no answer.
    Foreign,
    /// It is cut short (RFC 1035 section 4.1.1, TC): to be asked for over TCP.
    Truncated,
    /// The server cannot or will not answer: its response code (RFC 1035 section 4.1.1).
    Server(u8),
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("malformed answer"),
            Self::Foreign => f.write_str("answer to another question"),
            Self::Truncated => f.write_str("answer cut short"),
            Self::Server(2) => f.write_str("the server failed"),
            Self::Server(5) => f.write_str("the server refused"),
            Self::Server(code) => write!(f, "the server said {code}"),
        }
    }
}

impl std::error::Error for DnsError {}

/// The message that asks a question (RFC 1035 section 4.1), recursion desired. `None`: what is asked for is no name.
pub fn query(id: u16, question: &Question) -> Option<Vec<u8>> {
    let [high, low] = id.to_be_bytes();
    // RD; one question.
    let mut message = vec![high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let header = message.len();
    for label in question.name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=LABEL_MAX).contains(&usize::from(*length)))?;
        message.push(length);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    if message.len() - header > NAME_MAX {
        return None;
    }
    message.extend(question.kind.code().to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    Some(message)
}
