//! TLS as the core speaks of it: which certificates the edge is to use, by path, and the table of client profiles.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::base::TrunkId;

/// `[sip.tls]`: the server's side. Paths are relative to the data folder. Changes hold for new connections, at once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// PEM file: our certificate, then those between it and its authority.
    pub certificate: String,
    /// PEM file: its private key, which others must not be able to read.
    pub key: String,
    /// PEM file: authorities of clients' certificates. Without it clients are not asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<String>,
    /// Whether a client without a certificate is turned away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_client_certificate: bool,
}

/// `[trunk.tls]`: the client's side towards a trunk's peers. Paths are relative to the data folder.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientTls {
    /// PEM file: authorities of the peers' certificates; the system's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// PEM file: the certificate that we show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// PEM file: its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Domain that a peer's certificate must name; the peer's address when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// How far a peer's certificate is verified: `name` (default), `chain` or `nothing`; see [`Verify`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub verify: String,
    /// Calls are of this trunk when they come over TLS from who shows a certificate for `server_name`, from whatever
    /// address; an address alone is not enough then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub identify: bool,
}

/// How far a server's certificate is verified.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Verify {
    /// By a chain to an authority, and by name (RFC 5922).
    #[default]
    Name,
    /// By a chain to an authority alone.
    Chain,
    /// Not at all: secret from who only listens, not from who stands between.
    Nothing,
}

impl ClientTls {
    /// What `verify` says; `None` where it says nothing that we know.
    pub fn verification(&self) -> Option<Verify> {
        match self.verify.as_str() {
            "" | "name" => Some(Verify::Name),
            "chain" => Some(Verify::Chain),
            "nothing" => Some(Verify::Nothing),
            _ => None,
        }
    }
}

/// Most profiles at once.
const PROFILES_MAX: usize = 4096;

/// With whose certificate, and to what name, connections are made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// Number, as in [`Path::profile`](crate::proto::sip::Path::profile). Never given twice in a run.
    pub number: u32,
    /// Settings of the trunk; the default ones for everybody else.
    pub tls: ClientTls,
    /// The host that is called: an address, or the domain before any DNS (RFC 5922 section 4).
    pub name: String,
}

/// The profiles in use, by trunk and name.
#[derive(Default, Debug)]
pub(crate) struct Profiles {
    numbers: HashMap<(Option<TrunkId>, String), u32>,
    next: u32,
}

impl Profiles {
    /// The number for connections to `name`, and the profile itself where the edge does not know it yet.
    pub fn number(&mut self, trunk: Option<TrunkId>, tls: Option<&ClientTls>, name: &str) -> (u32, Option<Profile>) {
        let key = (trunk, name.to_ascii_lowercase());
        if let Some(number) = self.numbers.get(&key) {
            return (*number, None);
        }
        if self.numbers.len() >= PROFILES_MAX {
            // Names of transfer targets have no end; those in use come back under a new number.
            self.numbers.clear();
        }
        self.next = self.next.wrapping_add(1).max(1);
        let profile = Profile { number: self.next, tls: tls.cloned().unwrap_or_default(), name: key.1.clone() };
        self.numbers.insert(key, self.next);
        (self.next, Some(profile))
    }

    /// Forgets all: what was provisioned may have changed.
    pub fn clear(&mut self) {
        self.numbers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_told_once_and_again_after_a_change() {
        let mut profiles = Profiles::default();
        let tls = ClientTls { server_name: Some("b".into()), ..ClientTls::default() };
        let (first, told) = profiles.number(Some(TrunkId(1)), Some(&tls), "Sip.Example");
        assert_eq!(told, Some(Profile { number: first, tls, name: "sip.example".into() }));
        assert_eq!(profiles.number(Some(TrunkId(1)), None, "sip.example"), (first, None));
        assert_ne!(profiles.number(Some(TrunkId(2)), None, "sip.example").0, first);
        profiles.clear();
        let (again, told) = profiles.number(Some(TrunkId(1)), None, "sip.example");
        assert!(again > first && told.is_some());
    }
}
