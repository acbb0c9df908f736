//! Traces: what a call is known by on every appliance that it passes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use super::CallId;

/// The session identifier of RFC 7989: a UUID (RFC 4122 section 4.3, version 5), written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Trace([u8; 16]);

impl Trace {
    /// That of a call which is new to all; `seed` tells appliances and their runs apart.
    pub fn new(seed: u64, call: CallId) -> Self {
        let digest = Sha1::new().chain_update(b"cordboard").chain_update(seed.to_be_bytes());
        let digest = digest.chain_update(call.0.to_be_bytes()).finalize();
        let mut id = [0; 16];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        id[6] = id[6] & 0x0f | 0x50;
        id[8] = id[8] & 0x3f | 0x80;
        Self(id)
    }
}

/// What is no trace: not 32 hexadecimal digits, or all of them zero, which stands for none (RFC 7989 section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoTrace;

impl fmt::Display for NoTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no trace; expected 32 hexadecimal digits, as `trace` of a call's record has them")
    }
}

impl std::error::Error for NoTrace {}

impl FromStr for Trace {
    type Err = NoTrace;

    fn from_str(text: &str) -> Result<Self, NoTrace> {
        if text.len() != 32 || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(NoTrace);
        }
        let value = u128::from_str_radix(text, 16).map_err(|_| NoTrace)?;
        if value == 0 { Err(NoTrace) } else { Ok(Self(value.to_be_bytes())) }
    }
}

impl TryFrom<String> for Trace {
    type Error = NoTrace;

    fn try_from(text: String) -> Result<Self, NoTrace> {
        text.parse()
    }
}

impl From<Trace> for String {
    fn from(trace: Trace) -> Self {
        trace.to_string()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_its_own_and_reads_back() {
        let traces: std::collections::BTreeSet<Trace> =
            (0..4).flat_map(|seed| (0..100).map(move |call| Trace::new(seed, CallId(call)))).collect();
        assert_eq!(traces.len(), 400);
        for trace in traces {
            let text = trace.to_string();
            assert_eq!((text.len(), text.parse(), &text[12..13]), (32, Ok(trace), "5"));
            assert!(matches!(&text[16..17], "8" | "9" | "a" | "b"), "{text}");
            assert_eq!(text.to_uppercase().parse(), Ok(trace));
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let nil = "0".repeat(32);
        for text in [
            "",
            &nil,
            &"a".repeat(31),
            &"a".repeat(33),
            &"g".repeat(32),
            &format!("+{}", "1".repeat(31)),
            &"é".repeat(16),
        ] {
            assert_eq!(text.parse::<Trace>(), Err(NoTrace), "{text}");
        }
    }
}
