//! Health of trunks: peers asked by OPTIONS, registrations with providers, and the penalty of a peer that failed a call.

use std::time::Duration;

use crate::base::{Instant, Now, TrunkId};
use crate::core::switch::{Switch, Timer};
use crate::core::tenant::directory::TrunkEntry;
use crate::core::trunk::credentials_of;
use crate::proto::sip::{ClientRegistration, ProbeId, RegistrationId};

/// A peer that failed by status 503 or silence is passed over for so long, unless all others fail as well.
const PENALTY: Duration = Duration::from_secs(30);

/// Alarm: a peer does not answer.
const PEER_DOWN: &str = "peer-down";
/// Alarm: the registrar refused, or does not answer.
const NOT_REGISTERED: &str = "trunk-not-registered";

/// Health of a trunk.
#[derive(Debug)]
pub(crate) struct TrunkHealth {
    /// As provisioned when it was started.
    entry: TrunkEntry,
    pub peers: Vec<PeerHealth>,
    pub registration: Option<RegistrationId>,
    /// Last answer of the registrar: seconds granted, or the status of the refusal.
    pub registered: Option<Result<u32, u16>>,
    pub calls: u64,
}

/// Health of a SIP peer.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct PeerHealth {
    /// When to ask it next; none when it is not to be asked.
    probe_at: Option<Instant>,
    /// The question that is out.
    probe: Option<ProbeId>,
    pub down: bool,
    penalty_until: Option<Instant>,
}

impl PeerHealth {
    pub fn usable(&self, now: Now) -> bool {
        !self.down && self.penalty_until.is_none_or(|until| until <= now.mono)
    }
}

impl Switch {
    /// A peer did not answer, or answered 503: others come first for a while.
    pub(crate) fn penalise(&mut self, now: Now, trunk: TrunkId, peer: usize) {
        if let Some(p) = self.trunks.get_mut(&trunk).and_then(|t| t.peers.get_mut(peer)) {
            p.penalty_until = Some(now.mono + PENALTY);
        }
    }

    /// Starts probing and registering after (re-)provisioning; trunks that did not change go on as they are.
    pub(crate) fn start_trunks(&mut self, now: Now) {
        let mut old = std::mem::take(&mut self.trunks);
        let trunks: Vec<TrunkEntry> = self.directory.trunks().cloned().collect();
        for trunk in trunks {
            let id = trunk.id;
            let health = match old.remove(&id) {
                Some(same) if same.entry == trunk => same,
                changed => {
                    let calls = changed.as_ref().map_or(0, |c| c.calls);
                    if let Some(changed) = changed {
                        self.stop_trunk(now, &changed);
                    }
                    self.start_trunk(now, trunk, calls)
                }
            };
            self.trunks.insert(id, health);
        }
        for gone in old.values() {
            self.stop_trunk(now, gone);
        }
    }

    fn start_trunk(&mut self, now: Now, entry: TrunkEntry, calls: u64) -> TrunkHealth {
        let mut peers = vec![PeerHealth::default(); entry.peers.len()];
        for (index, peer) in entry.peers.iter().enumerate().filter(|(_, p)| p.options_s > 0) {
            // Spread the first probes, so that many peers are not asked in one instant.
            let spread = Duration::from_millis(self.random() % (u64::from(peer.options_s) * 100 + 1));
            let at = now.mono + spread;
            if let Some(health) = peers.get_mut(index) {
                health.probe_at = Some(at);
            }
            self.arm(at, Timer::Probe(entry.id, index));
        }
        let registration = if entry.register && !self.stopping { self.start_registration(now, &entry) } else { None };
        TrunkHealth { entry, peers, registration, registered: None, calls }
    }

    /// The trunk is gone, or is started anew: its alarms are about what is no more.
    fn stop_trunk(&mut self, now: Now, health: &TrunkHealth) {
        if let Some(id) = health.registration {
            self.sip.unregister(now, id);
        }
        self.alarms.set(now, NOT_REGISTERED, health.entry.name.clone(), false);
        for index in 0..health.peers.len() {
            self.alarms.set(now, PEER_DOWN, peer_name(&health.entry, index), false);
        }
    }

    fn start_registration(&mut self, now: Now, trunk: &TrunkEntry) -> Option<RegistrationId> {
        let peer = trunk.peers.first()?;
        let path = self.peer_path(trunk.id, peer)?;
        let credentials = credentials_of(trunk)?;
        let request = ClientRegistration {
            path,
            registrar_uri: format!("sip:{}", peer.socket()),
            routes: trunk.proxy_route().into_iter().collect(),
            aor_user: credentials.user.clone(),
            domain: peer.host.to_string(),
            credentials,
            expires_s: 600,
        };
        Some(self.sip.register(now, request))
    }

    /// Timer: asks a peer whether it lives.
    pub(crate) fn probe_peer(&mut self, now: Now, trunk: TrunkId, index: usize) {
        if self.stopping {
            return;
        }
        let Some(health) = self.trunks.get_mut(&trunk) else { return };
        let (Some(entry), Some(peer)) = (health.entry.peers.get(index).cloned(), health.peers.get_mut(index)) else {
            return;
        };
        // A timer from before the trunk was provisioned anew.
        if peer.probe_at.is_none_or(|at| at > now.mono) {
            return;
        }
        let next = now.mono + Duration::from_secs(entry.options_s.into());
        peer.probe_at = Some(next);
        let waiting = peer.probe.is_some();
        self.arm(next, Timer::Probe(trunk, index));
        let Some(path) = self.peer_path(trunk, &entry).filter(|_| !waiting) else { return };
        let probe = self.sip.probe(now, path, format!("sip:{}", entry.socket()));
        if let Some(peer) = self.trunks.get_mut(&trunk).and_then(|t| t.peers.get_mut(index)) {
            peer.probe = Some(probe);
        }
    }

    /// A probe ended: any answer but 503 shows life (a peer that knows no OPTIONS is a living peer).
    pub(crate) fn probed(&mut self, now: Now, probe: ProbeId, status: Option<u16>) {
        for health in self.trunks.values_mut() {
            for (index, peer) in health.peers.iter_mut().enumerate().filter(|(_, p)| p.probe == Some(probe)) {
                peer.probe = None;
                peer.down = status.is_none_or(|s| s == 503);
                if !peer.down {
                    peer.penalty_until = None;
                }
                self.alarms.set(now, PEER_DOWN, peer_name(&health.entry, index), peer.down);
            }
        }
    }

    /// The registrar answered.
    pub(crate) fn trunk_registered(&mut self, now: Now, id: RegistrationId, result: Result<u32, u16>) {
        for health in self.trunks.values_mut() {
            if health.registration == Some(id) {
                health.registered = Some(result);
                self.alarms.set(now, NOT_REGISTERED, health.entry.name.clone(), result.is_err());
            }
        }
    }
}

/// A peer's name in alarms: its trunk's and its place, from 1.
fn peer_name(trunk: &TrunkEntry, index: usize) -> String {
    format!("{} peer {}", trunk.name, index + 1)
}
