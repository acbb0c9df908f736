//! Paths to where a request is to go: to which servers (RFC 3263), in which order, and from which listener of ours.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::base::{CallId, Cause, Now, TrunkId};
use crate::core::call::{CallState, RouteStep};
use crate::core::control::{Reply, ServerView};
use crate::core::switch::{Output, Switch, Timer, draw};
use crate::core::tenant::directory::Host;
use crate::core::trunk::health::RETRY_AFTER_MAX;
use crate::core::trunk::locator::{Located, Nowhere, Server};
use crate::core::trunk::target::{Destination, SipTarget};
use crate::proto::dns::{Answer, Question};
use crate::proto::sip::{Path, Transport};

/// Alarm: a name that is provisioned leads nowhere.
const NAME_UNRESOLVED: &str = "name-unresolved";
/// Most consoles that wait for DNS at once.
const ASKERS_MAX: usize = 64;
/// How long a call waits for DNS.
const DNS_MAX: Duration = Duration::from_secs(8);

impl Switch {
    /// Paths to a destination, in the order in which they are to be tried: as RFC 3263 has it, but those that failed or
    /// fell silent lately come last, and those that asked for it are left alone.
    pub(crate) fn locate(&mut self, now: Now, destination: &Destination, trunk: Option<TrunkId>) -> Located<Path> {
        let mut servers = match self.servers_of(now, destination) {
            Located::At(servers) => servers,
            Located::Pending => return Located::Pending,
            Located::Nowhere(why) => return Located::Nowhere(why),
        };
        servers.retain(|server| self.servers.resting_until(now, *server).is_none());
        if servers.is_empty() {
            return Located::Nowhere(Nowhere::Resting);
        }
        let paths = servers.into_iter().filter_map(|server| self.path_to(server, &destination.host, trunk));
        let paths: Vec<Path> = paths.collect();
        if paths.is_empty() { Located::Nowhere(Nowhere::NoListener) } else { Located::At(paths) }
    }

    /// The first of them, where there is one now; be it one that asked to be left alone, which holds for calls that have
    /// another way.
    pub(crate) fn locate_first(&mut self, now: Now, destination: &Destination, trunk: Option<TrunkId>) -> Option<Path> {
        let Located::At(servers) = self.servers_of(now, destination) else { return None };
        servers.into_iter().find_map(|server| self.path_to(server, &destination.host, trunk))
    }

    /// The servers of a destination, those that fare well first.
    fn servers_of(&mut self, now: Now, destination: &Destination) -> Located<Server> {
        let random = &mut self.random;
        match self.locator.locate(now.mono, destination, &mut || draw(random)) {
            Located::At(mut servers) => {
                servers.sort_by_key(|server| !self.servers.is_usable(now, *server));
                Located::At(servers)
            }
            other => other,
        }
    }

    /// The path of a request to a server: from our listener of that protocol and address family. TLS asks for a
    /// certificate that names `host`.
    fn path_to(&mut self, server: Server, host: &Host, trunk: Option<TrunkId>) -> Option<Path> {
        let Server { transport, address } = server;
        let fits = |(t, l): &&(Transport, SocketAddr)| *t == transport && l.is_ipv4() == address.is_ipv4();
        let (transport, mut local) = *self.config.listeners.iter().find(fits)?;
        if local.ip().is_unspecified() {
            // Nobody could answer to "all addresses"; where media is to come, signalling may, too.
            local.set_ip(self.media_address(local.is_ipv4())?);
        }
        let mut path = Path::new(transport, local, address);
        if transport == Transport::Tls {
            let tls = trunk.and_then(|trunk| self.directory.trunk(trunk)).and_then(|entry| entry.tls.as_ref());
            let name = match host {
                Host::Address(address) => address.to_string(),
                Host::Name(name) => name.clone(),
            };
            path.connection = trunk.and_then(|trunk| self.alias_of(address, trunk)).unwrap_or_default();
            let (number, told) = self.profiles.number(trunk, tls, &name);
            path.profile = number;
            if let Some(profile) = told {
                self.emit(Output::TlsProfile(Box::new(profile)));
            }
        }
        Some(path)
    }

    /// Keeps the servers of all names that are provisioned at hand.
    pub(crate) fn watch_names(&mut self, now: Now) {
        let peers = self.directory.trunks().flat_map(|trunk| trunk.peers.iter().map(Destination::of_peer));
        let proxies = self.directory.trunks().filter_map(|trunk| trunk.outbound_proxy.as_deref());
        let contacts = self.directory.agents().filter_map(|agent| agent.contact.as_deref());
        let uris = proxies.chain(contacts).filter_map(SipTarget::parse).map(|target| target.destination);
        let destinations: Vec<Destination> = peers.chain(uris).collect();
        let known: Vec<String> = self.locator.watched().map(|(destination, _)| destination.host.to_string()).collect();
        self.locator.watch(now.mono, destinations);
        // What is no longer provisioned is no trouble; what still is shows at once.
        known.into_iter().for_each(|name| self.alarms.set(now, NAME_UNRESOLVED, name, false));
        self.tell_names(now);
        let servers = self.provision.sip.dns.servers.iter().filter_map(|server| dns_server(server)).collect();
        self.emit(Output::DnsServers(servers));
        self.know_peers();
        self.refresh_names(now);
    }

    /// Asks for what is about to run out.
    pub(crate) fn refresh_names(&mut self, now: Now) {
        let changed = self.locator.handle_timeout(now.mono);
        self.servers_changed(now, &changed);
    }

    /// DNS answered, or did not.
    pub(crate) fn dns_answered(&mut self, now: Now, question: Question, answer: Option<Answer>) {
        let changed = self.locator.answered(now.mono, question, answer);
        self.servers_changed(now, &changed);
        for call in self.locating.clone() {
            self.go_on(now, call, false);
        }
        let tokens: Vec<u64> = self.locating_for.iter().map(|(token, _)| *token).collect();
        tokens.into_iter().for_each(|token| self.answer_location(now, token, false));
    }

    /// A console asks where requests to a URI would go.
    pub(crate) fn ask_location(&mut self, now: Now, token: u64, uri: &str) {
        let refused =
            |reason: &str| Output::Reply { token, reply: Reply::Refused { reason: reason.into() }, after: None };
        let Some(target) = SipTarget::parse(uri).or_else(|| SipTarget::parse(&format!("sip:{uri}"))) else {
            return self
                .emit(refused("not a SIP URI; expected sip:HOST or sips:HOST, perhaps with :PORT and ;transport=tcp"));
        };
        if self.locating_for.len() >= ASKERS_MAX {
            return self.emit(refused("too many ask at once; try again"));
        }
        self.locating_for.push((token, target.destination));
        self.arm(now.mono + DNS_MAX, Timer::LocateFor(token));
        self.answer_location(now, token, false);
    }

    /// Answers a console as soon as DNS has, or when it has waited long enough: `over`.
    pub(crate) fn answer_location(&mut self, now: Now, token: u64, over: bool) {
        let Some(place) = self.locating_for.iter().position(|(asker, _)| *asker == token) else { return };
        let Some((_, destination)) = self.locating_for.get(place).cloned() else { return };
        let reply = match self.servers_of(now, &destination) {
            Located::At(servers) => {
                let view = |server: Server| ServerView {
                    transport: server.transport.name().into(),
                    address: server.address.to_string(),
                    health: self.server_health(now, server),
                };
                Reply::Located { servers: servers.into_iter().map(view).collect() }
            }
            Located::Nowhere(why) => Reply::Refused { reason: format!("{}: {}", destination.host, why.as_str()) },
            Located::Pending if over => {
                Reply::Refused { reason: format!("{}: {}", destination.host, Nowhere::NoAnswer.as_str()) }
            }
            Located::Pending => return,
        };
        self.locating_for.swap_remove(place);
        self.emit(Output::Reply { token, reply, after: None });
    }

    fn servers_changed(&mut self, now: Now, changed: &[Destination]) {
        if changed.is_empty() {
            return;
        }
        self.know_peers();
        self.tell_names(now);
        self.start_registrations(now);
        let leads = |contact: &String| SipTarget::parse(contact).is_some_and(|t| changed.contains(&t.destination));
        let agents = self.directory.agents().filter(|agent| agent.contact.as_ref().is_some_and(leads));
        for agent in agents.map(|agent| agent.id).collect::<Vec<_>>() {
            self.reachability(now, agent);
        }
    }

    /// An alarm for each name that leads nowhere.
    fn tell_names(&mut self, now: Now) {
        for (destination, located) in self.locator.watched() {
            let nowhere = matches!(located, Located::Nowhere(_));
            self.alarms.set(now, NAME_UNRESOLVED, destination.host.to_string(), nowhere);
        }
    }

    /// Notes which addresses the names of peers stand for: calls come from there.
    fn know_peers(&mut self) {
        self.located_peers.clear();
        let found: Vec<_> = self.locator.watched().collect();
        for trunk in self.directory.trunks() {
            for peer in trunk.peers.iter().map(Destination::of_peer) {
                let Some((_, Located::At(servers))) = found.iter().find(|(watched, _)| **watched == peer) else {
                    continue;
                };
                for server in servers {
                    self.located_peers.entry(server.address.ip().to_canonical()).or_insert(trunk.id);
                }
            }
        }
        let contacts = self.directory.agents().filter_map(|agent| SipTarget::parse(agent.contact.as_deref()?));
        let contacts: HashSet<Destination> = contacts.map(|target| target.destination).collect();
        let at = found.into_iter().filter(|(watched, _)| contacts.contains(watched)).map(|(_, located)| located);
        let servers = at.filter_map(|located| if let Located::At(servers) = located { Some(servers) } else { None });
        self.phones.locate(servers.flatten().map(|server| server.address.ip()));
    }

    /// Whether a destination stands for an address, as far as is known now.
    pub(crate) fn leads_to(&self, destination: &Destination, address: IpAddr) -> bool {
        match (&destination.host, self.locator.watched().find(|(watched, _)| *watched == destination)) {
            (Host::Address(host), _) => host.to_canonical() == address.to_canonical(),
            (Host::Name(_), Some((_, Located::At(servers)))) => {
                servers.iter().any(|server| server.address.ip().to_canonical() == address.to_canonical())
            }
            (Host::Name(_), _) => false,
        }
    }

    /// The trunk whose peer has an address, provisioned or by DNS.
    pub(crate) fn trunk_of(&self, address: IpAddr) -> Option<TrunkId> {
        let provisioned = self.directory.trunk_by_peer(address);
        provisioned.or_else(|| self.located_peers.get(&address.to_canonical()).copied())
    }

    /// The ways that a step stands for whose servers were not known when it was made. `None`: DNS is still being asked,
    /// and the call may wait.
    pub(crate) fn spread(&mut self, now: Now, call: CallId, step: &RouteStep) -> Option<Result<Vec<RouteStep>, Cause>> {
        let Some(destination) = step.destination.as_ref().filter(|_| step.path.is_none()) else {
            return Some(Ok(vec![step.clone()]));
        };
        match self.locate(now, destination, step.trunk) {
            Located::At(paths) => {
                Some(Ok(paths.into_iter().map(|path| RouteStep { path: Some(path), ..step.clone() }).collect()))
            }
            Located::Nowhere(Nowhere::Resting) => Some(Err(Cause::Congestion)),
            Located::Nowhere(_) => Some(Err(Cause::NoRoute)),
            Located::Pending => {
                // A party that talks is not left alone for the sake of DNS.
                let state = self.calls.get(&call).map(|c| c.state);
                if !matches!(state, Some(CallState::Flow | CallState::Connecting(_))) {
                    return Some(Err(Cause::TemporaryFailure));
                }
                if self.locating.insert(call) {
                    self.arm(now.mono + DNS_MAX, Timer::Locate(call));
                }
                None
            }
        }
    }

    /// A call that waits for DNS looks again; `over`: it has waited long enough.
    pub(crate) fn go_on(&mut self, now: Now, call: CallId, over: bool) {
        if !self.locating.remove(&call) {
            return;
        }
        let Some(c) = self.calls.get_mut(&call).filter(|c| c.state == CallState::Flow) else { return };
        if over {
            c.route.pop_front();
        }
        self.try_target(now, call);
    }

    /// A server answered 503, or not at all: others come first for a while. Where it said for how long, nothing is sent
    /// to it until then (RFC 3261 section 21.5.4).
    pub(crate) fn server_failed(&mut self, now: Now, server: Server, retry_after_s: Option<u32>) {
        let rest = retry_after_s.map(|seconds| Duration::from_secs(seconds.into()).min(RETRY_AFTER_MAX));
        self.servers.failed(now, server, rest);
    }
}

/// A DNS server as provisioned: an address, perhaps with a port.
pub(crate) fn dns_server(text: &str) -> Option<SocketAddr> {
    let address = || text.trim_matches(['[', ']']).parse().ok().map(|address: IpAddr| SocketAddr::new(address, 53));
    text.parse().ok().or_else(address)
}
