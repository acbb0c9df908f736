//! Protection of a leg's media: what is provisioned for its trunk or phone, what was agreed, and what the record says.

use std::net::SocketAddr;

use crate::base::{AgentId, Cause, LegId, Now, PortId, TrunkId};
use crate::core::media::MediaCommand;
use crate::core::switch::{PortOwner, Switch};
use crate::core::tenant::directory::SrtpPolicy;
use crate::proto::sdp::{self, Association, Need, Offered, Protection};
use crate::proto::sip::Transport;
use crate::proto::srtp::Suite;

/// Protection, whether RTCP shares the port of RTP, and of a handshake where it goes and whether the call is answered.
pub type Told = (Option<Protection>, bool, Option<(SocketAddr, bool)>);

impl Switch {
    /// What is provisioned for the party at the other end of a leg.
    pub(crate) fn srtp_policy(&self, trunk: Option<TrunkId>, agent: Option<AgentId>) -> SrtpPolicy {
        let of_trunk = trunk.and_then(|t| self.directory.trunk(t)).map(|t| t.srtp);
        of_trunk.or_else(|| agent.and_then(|a| self.directory.agent(a)).map(|a| a.srtp)).unwrap_or_default()
    }

    /// What we offer and take for a leg whose signalling goes by `transport`. Keys stand in descriptions only where
    /// nobody can read them on their way, or where that is provisioned (RFC 4568 section 7.1: the description must be
    /// protected).
    pub(crate) fn security(&mut self, policy: SrtpPolicy, transport: Transport) -> sdp::Security {
        let private = is_private(transport) || policy.in_clear;
        let sdes = policy.need != Need::Off && private;
        let keys = if sdes { self.fresh_keys() } else { Vec::new() };
        let fingerprint = self.config.srtp.fingerprint.filter(|_| policy.need != Need::Off);
        let tls_id = if fingerprint.is_some() { self.fresh_tls_id() } else { 0 };
        sdp::Security { need: policy.need, keying: policy.keying, keys, fingerprint, tls_id, ..Default::default() }
    }

    fn fresh_tls_id(&mut self) -> u128 {
        let mut octets = [0; 16];
        self.keys.fill(&mut octets);
        u128::from_be_bytes(octets)
    }

    fn fresh_keys(&mut self) -> Vec<crate::proto::srtp::MasterKey> {
        Suite::ALL.map(|suite| self.keys.master_key(suite)).into()
    }

    /// Before a new offer of the peer's is answered: keys of our own that no other keys of the peer's have met, the part in
    /// the handshake that we have, and another name for an association that will be another one (RFC 8842 section 5.3).
    pub(super) fn renew_security(&mut self, leg: LegId, remote: &sdp::Remote) {
        let said = |remote: &sdp::Remote| {
            let streams = remote.audio.iter().chain(&remote.alternatives);
            streams.flat_map(|audio| audio.security.crypto.clone()).collect::<Vec<_>>()
        };
        let Some(sip) = self.legs.get(&leg).and_then(|l| l.sip()) else { return };
        let Some(local) = sip.local.as_ref().filter(|local| local.security.need != Need::Off) else { return };
        let changed = sip.remote.as_ref().is_none_or(|before| said(before) != said(remote));
        let keys = if changed && !local.security.keys.is_empty() { Some(self.fresh_keys()) } else { None };
        let association = match self.legs.get(&leg).and_then(|l| l.sip()?.agreed.as_ref()?.protection.as_ref()) {
            Some(Protection::Dtls(association)) => Some(*association),
            _ => None,
        };
        let differs = |before: Association, said: &Offered| {
            said.fingerprint.is_some_and(|said| said != before.fingerprint)
                || said.tls_id.is_some() && said.tls_id != before.tls_id
        };
        let mut streams = remote.audio.iter().chain(&remote.alternatives);
        let anew = association.is_some_and(|before| streams.any(|audio| differs(before, &audio.security)));
        let tls_id = anew.then(|| self.fresh_tls_id());
        let Some(local) = self.legs.get_mut(&leg).and_then(|l| l.sip_mut()?.local.as_mut()) else { return };
        local.security.active = association.map(|association| association.active);
        local.security.tls_id = tls_id.unwrap_or(local.security.tls_id);
        if let Some(keys) = keys {
            local.security.keys = keys;
        }
    }

    /// Tells the plane how the leg's media is protected, and the record, too. A leg that never was and is not protected
    /// costs nothing.
    pub(super) fn set_transport(&mut self, leg: LegId, port: PortId) {
        let Some(l) = self.legs.get_mut(&leg) else { return };
        let (call, index, answered) = (l.call, l.index, l.answered);
        let Some(sip) = l.sip_mut() else { return };
        let Some(agreed) = &sip.agreed else { return };
        if let Some(local) = &mut sip.local {
            local.security.hold(agreed);
        }
        let told = sip.transport.as_ref().and_then(|(.., told)| told.map(|(remote, _)| remote));
        let (protection, rtcp_mux) = (agreed.protection.clone(), agreed.rtcp_mux);
        let remote = whereabouts(agreed.remote, told);
        let signalling = sip.host;
        let dtls = matches!(protection, Some(Protection::Dtls(_)));
        let new = Some((protection.clone(), rtcp_mux, dtls.then_some((remote, answered))));
        if sip.transport == new || (sip.transport.is_none() && protection.is_none() && !rtcp_mux) {
            return;
        }
        let before = std::mem::replace(&mut sip.transport, new);
        let encryption = match &protection {
            Some(Protection::Sdes { send, .. }) => format!("sdes {}", send.suite()),
            Some(Protection::Dtls(_)) => "dtls".to_owned(),
            None => String::new(),
        };
        // A peer that only moves or answers keeps its keys, and what the record says of them.
        let moved = before.is_some_and(|(before, ..)| before == protection);
        if let Some(record) = self.calls.get_mut(&call).and_then(|c| c.leg_record(index)).filter(|_| !moved) {
            record.encryption = encryption;
        }
        let protection = protection.map(Box::new);
        self.media(MediaCommand::SetTransport { port, protection, rtcp_mux, remote, signalling, answered });
    }

    /// A handshake brought keys.
    pub(super) fn secured(&mut self, port: PortId, suite: Suite) {
        let Some(PortOwner::Leg(leg)) = self.ports.get(&port) else { return };
        let Some((call, index)) = self.legs.get(leg).map(|l| (l.call, l.index)) else { return };
        if let Some(record) = self.calls.get_mut(&call).and_then(|c| c.leg_record(index)) {
            record.encryption = format!("dtls {suite}");
        }
    }

    /// A handshake brought none: there is nothing that this leg could say or hear.
    pub(super) fn secure_failed(&mut self, now: Now, port: PortId, reason: &'static str) {
        let Some(&PortOwner::Leg(leg)) = self.ports.get(&port) else { return };
        let Some(call) = self.legs.get(&leg).map(|l| l.call) else { return };
        self.counters.handshakes_failed += 1;
        if let Some(c) = self.calls.get_mut(&call) {
            c.note(now, "srtp-failed", reason);
        }
        self.fail_leg(now, leg, Cause::IncompatibleMedia);
    }

    /// Legs whose media is protected now.
    pub(crate) fn encrypted_legs(&self) -> usize {
        let protected = |l: &&crate::core::call::Leg| l.sip().is_some_and(|s| s.is_encrypted());
        self.legs.values().filter(protected).count()
    }
}

/// Whether signalling is encrypted on its way to the peer.
fn is_private(transport: Transport) -> bool {
    match transport {
        Transport::Udp | Transport::Tcp => false,
        Transport::Tls => true,
    }
}

/// Where the peer of a handshake is. Who holds as RFC 2543 had it says 0.0.0.0, and has not moved.
fn whereabouts(said: SocketAddr, told: Option<SocketAddr>) -> SocketAddr {
    told.filter(|_| said.ip().is_unspecified()).unwrap_or(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_holds_by_the_unspecified_address_has_not_moved() {
        let [here, there] = [1, 2].map(|n| SocketAddr::from(([192, 0, 2, n], 4_000)));
        let hold = SocketAddr::from(([0, 0, 0, 0], 4_000));
        assert_eq!(whereabouts(hold, Some(here)), here);
        assert_eq!(whereabouts(there, Some(here)), there);
        assert_eq!(whereabouts(hold, None), hold, "nothing better is known");
    }
}
