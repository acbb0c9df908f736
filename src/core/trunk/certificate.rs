//! Certificates: who a peer is by its own, and whether ours end soon.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::base::{Now, Timestamp, TrunkId};
use crate::core::switch::{Output, Switch, Timer};
use crate::core::tenant::directory::PeerEntry;
use crate::core::trunk::target::Destination;
use crate::proto::sip::{Path, SessionId};

/// So long before its end a certificate raises an alarm: three weeks leave time for one that people must order.
const AHEAD: Duration = Duration::from_secs(21 * 86_400);
/// How often they are looked at.
const LOOK: Duration = Duration::from_secs(3600);

/// Alarm: a certificate of ours ends within [`AHEAD`].
const EXPIRES: &str = "certificate-expires";
/// Alarm: it has ended; peers will refuse it.
const EXPIRED: &str = "certificate-expired";

impl Switch {
    pub(crate) fn identified(&mut self, connection: u64, domains: Vec<String>) {
        self.identities.insert(connection, domains);
    }

    /// The trunk whose peer the other end of a TLS connection has shown to be (RFC 5922).
    pub(crate) fn trunk_by_certificate(&self, connection: u64) -> Option<TrunkId> {
        let domains = self.identities.get(&connection)?;
        self.directory.trunks().find(|trunk| domains.iter().any(|domain| trunk.is_shown_by(domain))).map(|t| t.id)
    }

    /// The other end of a TLS connection takes requests on it. Only one that has shown who it is can be taken at its word,
    /// and for one server (RFC 5923 section 7.2).
    pub(crate) fn aliased(&mut self, path: &Path, port: u16) {
        if self.identities.contains_key(&path.connection) {
            self.aliases.retain(|_, connection| *connection != path.connection);
            self.aliases.insert(SocketAddr::new(path.remote.ip(), port), path.connection);
        }
    }

    /// The connection that a trunk's server takes requests on, where it has shown to be of that trunk.
    pub(crate) fn alias_of(&self, server: SocketAddr, trunk: TrunkId) -> Option<u64> {
        let connection = *self.aliases.get(&server)?;
        (self.trunk_by_certificate(connection) == Some(trunk)).then_some(connection)
    }

    /// Notes how a connection to a trunk's peer is made, for when the one that it called on is gone (RFC 3261 section
    /// 12.2.1.1): by the trunk's profile for the peer at that address, or for its first one where none is known to be there.
    pub(crate) fn know_profile(&mut self, trunk: TrunkId, session: SessionId, address: IpAddr) {
        let Some(entry) = self.directory.trunk(trunk) else { return };
        let is_there = |peer: &&PeerEntry| self.leads_to(&Destination::of_peer(peer), address);
        let Some(peer) = entry.peers.iter().find(is_there).or(entry.peers.first()) else { return };
        let (number, told) = self.profiles.number(Some(trunk), entry.tls.as_ref(), &peer.host.to_string());
        if let Some(profile) = told {
            self.emit(Output::TlsProfile(Box::new(profile)));
        }
        self.sip.set_profile(session, number);
    }

    /// A connection is gone.
    pub(crate) fn unidentified(&mut self, connection: u64) {
        if self.identities.remove(&connection).is_some() {
            self.aliases.retain(|_, alias| *alias != connection);
        }
    }

    /// The files were provisioned, or are to be read anew.
    pub(crate) fn read_certificates(&mut self, now: Now) {
        for subject in std::mem::take(&mut self.certificates).into_keys() {
            self.alarms.set(now, EXPIRES, subject.clone(), false);
            self.alarms.set(now, EXPIRED, subject, false);
        }
        self.profiles.clear();
        self.emit(Output::ServeTls(self.provision.sip.tls.clone().map(Box::new)));
    }

    pub(crate) fn certificate_read(&mut self, now: Now, subject: String, not_after: Timestamp) {
        if self.certificates.is_empty() {
            self.arm(now.mono + LOOK, Timer::Certificates);
        }
        self.certificates.insert(subject, not_after);
        self.judge_certificates(now);
    }

    /// Timer.
    pub(crate) fn watch_certificates(&mut self, now: Now) {
        if !self.certificates.is_empty() {
            self.arm(now.mono + LOOK, Timer::Certificates);
        }
        self.judge_certificates(now);
    }

    fn judge_certificates(&mut self, now: Now) {
        let soon = now.after(AHEAD).wall;
        for (subject, end) in &self.certificates {
            let expired = *end <= now.wall;
            self.alarms.set(now, EXPIRED, subject.clone(), expired);
            self.alarms.set(now, EXPIRES, subject.clone(), !expired && *end <= soon);
        }
    }
}
