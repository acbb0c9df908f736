//! Health of trunks: peers asked by OPTIONS, registrations with providers, and the penalty of a peer that failed a call.

use std::time::Duration;

use crate::base::{Circuit, Instant, Now, TrunkId};
use crate::core::switch::{Switch, Timer};
use crate::core::tenant::directory::{Host, PeerEntry, TrunkEntry};
use crate::core::trunk::circuits::BLOCKED_BY_FAR_END;
use crate::core::trunk::credentials_of;
use crate::core::trunk::locator::{Located, Nowhere, Server};
use crate::proto::sip::{ClientRegistration, ProbeId, RegistrationId};

/// Longest time for which a server is left alone because it said so (Retry-After).
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// Most servers of one peer that are asked by OPTIONS.
const PROBED_MAX: usize = 8;

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
    /// The server that it goes to.
    registrar: Option<Server>,
    /// Last answer of the registrar: seconds granted, or the status of the refusal.
    pub registered: Option<Result<u32, u16>>,
    pub calls: u64,
    /// The circuit that a call out took last.
    pub last_seized: Option<Circuit>,
}

/// Health of a SIP peer.
#[derive(Clone, Default, Debug)]
pub(crate) struct PeerHealth {
    /// When to ask it next; none when it is not to be asked.
    probe_at: Option<Instant>,
    /// The questions that are out, one for each of its servers.
    probes: Vec<(ProbeId, Server)>,
    /// One of them was answered.
    answered: bool,
    /// None of its servers answers, or it is nowhere.
    pub down: bool,
}

impl Switch {
    /// Starts probing and registering after (re-)provisioning; trunks that did not change go on as they are.
    pub(crate) fn start_trunks(&mut self, now: Now) {
        let mut old = std::mem::take(&mut self.trunks);
        let trunks: Vec<TrunkEntry> = self.directory.trunks().cloned().collect();
        for trunk in trunks {
            let id = trunk.id;
            let health = match old.remove(&id) {
                Some(same) if same.entry.is_same_peering(&trunk) => same,
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
            self.alarms.set(now, BLOCKED_BY_FAR_END, gone.entry.name.clone(), false);
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
        let (registration, registrar) = self.start_registration(now, &entry).unzip();
        TrunkHealth { entry, peers, registration, registrar, registered: None, calls, last_seized: None }
    }

    /// Registers where the registrar was not found before.
    pub(super) fn start_registrations(&mut self, now: Now) {
        let late = self.trunks.values().filter(|health| health.registration.is_none());
        let late: Vec<TrunkEntry> = late.map(|health| health.entry.clone()).collect();
        for entry in late {
            let (registration, registrar) = self.start_registration(now, &entry).unzip();
            if let Some(health) = self.trunks.get_mut(&entry.id) {
                (health.registration, health.registrar) = (registration, registrar);
            }
        }
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

    fn start_registration(&mut self, now: Now, trunk: &TrunkEntry) -> Option<(RegistrationId, Server)> {
        let peer = trunk.peers.first().filter(|_| trunk.register && !self.stopping)?;
        let path = self.locate_first(now, &trunk.destination(peer), Some(trunk.id))?;
        let credentials = credentials_of(trunk)?;
        let request = ClientRegistration {
            path,
            registrar_uri: format!("sip:{}", peer.host_port()),
            routes: trunk.proxy_route().into_iter().collect(),
            aor_user: credentials.user.clone(),
            domain: peer.host.to_string(),
            credentials,
            expires_s: 600,
        };
        Some((self.sip.register(now, request), Server::of(&path)))
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
        let waiting = !peer.probes.is_empty();
        // RFC 3261's own timer F, 32 s, is long for agents who are called there.
        if waiting && !peer.answered && !std::mem::replace(&mut peer.down, true) {
            self.alarms.set(now, PEER_DOWN, peer_name(&health.entry, index), true);
            self.look_at_door(now, trunk);
            self.heed_agents(|leg| leg.trunk == Some((trunk, index)));
        }
        self.arm(next, Timer::Probe(trunk, index));
        let destination = self.directory.trunk(trunk).map(|t| t.destination(&entry)).filter(|_| !waiting);
        let Some(destination) = destination else { return };
        let probes: Vec<_> = match self.locate(now, &destination, Some(trunk)) {
            Located::At(paths) => paths
                .into_iter()
                .take(PROBED_MAX)
                .map(|path| (self.sip.probe(now, path, format!("sip:{}", entry.host_port())), Server::of(&path)))
                .collect(),
            // Who asked to be left alone is.
            Located::Pending | Located::Nowhere(Nowhere::Resting) => return,
            Located::Nowhere(_) => Vec::new(),
        };
        let Some(health) = self.trunks.get_mut(&trunk) else { return };
        let Some(peer) = health.peers.get_mut(index) else { return };
        if probes.is_empty() {
            peer.down = true;
            self.alarms.set(now, PEER_DOWN, peer_name(&health.entry, index), true);
        }
        peer.probes = probes;
        self.look_at_door(now, trunk);
    }

    /// A probe ended: any answer but 503 shows life (a peer that knows no OPTIONS is a living peer).
    pub(crate) fn probed(&mut self, now: Now, probe: ProbeId, status: Option<u16>) {
        if self.phone_probed(now, probe, status) {
            return;
        }
        let lives = status.is_some_and(|status| status != 503);
        let mut died = Vec::new();
        for health in self.trunks.values_mut() {
            for (index, peer) in health.peers.iter_mut().enumerate() {
                let Some(place) = peer.probes.iter().position(|(id, _)| *id == probe) else { continue };
                let (_, server) = peer.probes.swap_remove(place);
                self.servers.probed(now, server, lives);
                // One server that answers is a peer that lives; that none does is known when all were asked.
                if lives {
                    peer.down = false;
                    peer.answered = true;
                } else if peer.probes.is_empty() && !peer.answered && !std::mem::replace(&mut peer.down, true) {
                    died.push((health.entry.id, index));
                }
                if peer.probes.is_empty() {
                    peer.answered = false;
                }
                self.alarms.set(now, PEER_DOWN, peer_name(&health.entry, index), peer.down);
            }
        }
        self.look_at_doors(now);
        for peer in died {
            self.heed_agents(|leg| leg.trunk == Some(peer));
        }
    }

    /// A peer for people: whether it lives, and each of its servers where DNS was asked for them.
    pub(crate) fn peer_health(&self, now: Now, trunk: &TrunkEntry, peer: &PeerEntry, down: bool) -> Vec<String> {
        let destination = trunk.destination(peer);
        let located = self.locator.known(now.mono, &destination);
        let name = peer.host_port();
        let word = if down { "down" } else { "up" };
        let servers = match (located, &destination.host) {
            (Located::At(servers), Host::Address(_)) => {
                let server = servers.first().map_or(word.to_owned(), |server| self.server_health(now, *server));
                return vec![format!("{name} {}", if down { word } else { server.as_str() })];
            }
            (Located::At(servers), Host::Name(_)) => servers,
            (Located::Pending, _) => return vec![format!("{name} {word}: DNS is being asked")],
            (Located::Nowhere(why), _) => return vec![format!("{name} down: {}", why.as_str())],
        };
        let line = |server: &Server| {
            let health = self.server_health(now, *server);
            format!("  {} {} {health}", server.transport.name(), server.address)
        };
        std::iter::once(format!("{name} {word}")).chain(servers.iter().map(line)).collect()
    }

    /// A server for people.
    pub(crate) fn server_health(&self, now: Now, server: Server) -> String {
        match self.servers.resting_until(now, server) {
            Some(until) => format!("left alone for {} s (Retry-After)", until.since(now.mono).as_secs() + 1),
            None if self.servers.is_down(server) => "down".into(),
            None if !self.servers.is_usable(now, server) => "failed lately".into(),
            None => "up".into(),
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
        if matches!(result, Err(408 | 503)) {
            self.next_registrar(now, id);
        }
    }

    /// A registrar's server failed: the next one is asked (RFC 3263 section 4.3), at once if nothing speaks against it.
    fn next_registrar(&mut self, now: Now, id: RegistrationId) {
        let Some(health) = self.trunks.values().find(|health| health.registration == Some(id)) else { return };
        let (trunk, failed) = (health.entry.id, health.registrar);
        let Some(destination) = health.entry.peers.first().map(|peer| health.entry.destination(peer)) else { return };
        if let Some(failed) = failed {
            self.server_failed(now, failed, None);
        }
        let Located::At(paths) = self.locate(now, &destination, Some(trunk)) else { return };
        let Some(path) = paths.into_iter().find(|path| Some(Server::of(path)) != failed) else { return };
        let server = Server::of(&path);
        self.sip.move_registration(now, id, path, self.servers.is_usable(now, server));
        if let Some(health) = self.trunks.get_mut(&trunk) {
            health.registrar = Some(server);
        }
    }
}

/// A peer's name in alarms: its trunk's and its place, from 1.
fn peer_name(trunk: &TrunkEntry, index: usize) -> String {
    format!("{} peer {}", trunk.name, index + 1)
}
