//! Finding the servers of a destination (RFC 3263): NAPTR, then SRV, then addresses; and keeping those of what is provisioned
//! at hand, so that no call waits for DNS.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::base::Instant;
use crate::core::tenant::directory::Host;
use crate::core::trunk::names::{Known, Names};
use crate::core::trunk::target::Destination;
use crate::proto::dns::{Answer, Kind, Question, Record, Srv};
use crate::proto::sip::{Path, Transport};

/// Most servers of one destination that are tried.
const SERVERS_MAX: usize = 16;
/// Most rules (NAPTR) and servers (SRV) of a name, and addresses of a server, that are looked at.
const RULES_MAX: usize = 8;
const SERVICES_MAX: usize = 32;
const ADDRESSES_MAX: usize = 8;

/// What runs out is asked for anew so long before, a tenth of its life, but within these.
const AHEAD_MIN: Duration = Duration::from_secs(1);
const AHEAD_MAX: Duration = Duration::from_secs(60);
/// When a destination without an answer is looked at again.
const PATIENCE: Duration = Duration::from_secs(10);
/// When one without any name to ask for is.
const NEVER: Duration = Duration::from_secs(86_400);

/// A server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Server {
    pub transport: Transport,
    pub address: SocketAddr,
}

impl Server {
    /// The one at the other end of a path.
    pub fn of(path: &Path) -> Self {
        Self { transport: path.transport, address: path.remote }
    }
}

/// Where a destination is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Located<T> {
    /// In the order in which they are to be tried; at least one.
    At(Vec<T>),
    /// DNS is being asked.
    Pending,
    /// Nowhere that we can reach.
    Nowhere(Nowhere),
}

/// Why a destination is nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Nowhere {
    /// We have no listener of the transport and address family.
    NoListener,
    /// DNS says that there is no such server.
    NoServer,
    /// DNS does not answer.
    NoAnswer,
    /// All its servers asked to be left alone for a while.
    Resting,
}

impl Nowhere {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoListener => "no listener of ours reaches it",
            Self::NoServer => "not in DNS",
            Self::NoAnswer => "DNS does not answer",
            Self::Resting => "its servers asked to be left alone",
        }
    }
}

/// A destination that is kept at hand.
#[derive(Debug)]
struct Watch {
    due: Instant,
    /// How long before the end of what is known that is.
    ahead: Duration,
    /// What it waits for.
    needs: Vec<Question>,
    /// Where it was found last.
    located: Located<Server>,
}

/// The cache, and what is kept at hand.
#[derive(Debug)]
pub(crate) struct Locator {
    names: Names,
    /// Transports and address families of our listeners, as provisioned: what comes first is preferred.
    ways: Vec<(Transport, bool)>,
    watched: BTreeMap<Destination, Watch>,
    /// When the first of them is due.
    due: Option<Instant>,
}

impl Locator {
    /// Nothing is known. Servers that none of the listeners can reach count as not there.
    pub fn new(listeners: &[(Transport, SocketAddr)]) -> Self {
        let ways = listeners.iter().map(|(transport, local)| (*transport, local.is_ipv4())).collect();
        Self { names: Names::default(), ways, watched: BTreeMap::new(), due: None }
    }

    /// Keeps the servers of these, and of no others, at hand.
    pub fn watch(&mut self, now: Instant, destinations: impl IntoIterator<Item = Destination>) {
        let mut old = std::mem::take(&mut self.watched);
        for destination in destinations {
            if matches!(destination.host, Host::Name(_)) {
                let fresh = || Watch { due: now, ahead: AHEAD_MIN, needs: Vec::new(), located: Located::Pending };
                let watch = old.remove(&destination).unwrap_or_else(fresh);
                self.watched.insert(destination, watch);
            }
        }
        self.rate();
    }

    /// Where a destination is, as far as DNS has said; what it has not said is asked. `random` draws the lots of RFC 2782.
    pub fn locate(
        &mut self,
        now: Instant,
        destination: &Destination,
        random: &mut dyn FnMut() -> u64,
    ) -> Located<Server> {
        let (located, search) = self.search(now, destination, random);
        search.into_iter().for_each(|question| self.names.ask(question));
        located
    }

    /// The same, without asking for anything.
    pub fn known(&self, now: Instant, destination: &Destination) -> Located<Server> {
        self.search(now, destination, &mut || 0).0
    }

    /// The same, with what is missing and until when the rest holds.
    fn search(
        &self,
        now: Instant,
        destination: &Destination,
        random: &mut dyn FnMut() -> u64,
    ) -> (Located<Server>, Vec<Question>) {
        let mut search = Search::new(&self.names, &self.ways, now, random);
        let located = search.run(destination);
        (located, search.needs)
    }

    /// DNS answered a question, or did not: the watched destinations whose servers are others now.
    pub fn answered(&mut self, now: Instant, question: Question, answer: Option<Answer>) -> Vec<Destination> {
        if !self.names.answered(now, question.clone(), answer) {
            return Vec::new();
        }
        let waiting = self.watched.iter().filter(|(_, watch)| watch.needs.contains(&question));
        let waiting: Vec<Destination> = waiting.map(|(destination, _)| destination.clone()).collect();
        waiting.into_iter().filter(|destination| self.look_after(now, destination, false)).collect()
    }

    /// When [`Locator::handle_timeout`] is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Asks for what is about to run out: the watched destinations whose servers are others now.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Destination> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let due = self.watched.iter().filter(|(_, watch)| watch.due <= now);
        let due: Vec<Destination> = due.map(|(destination, _)| destination.clone()).collect();
        due.into_iter().filter(|destination| self.look_after(now, destination, true)).collect()
    }

    /// The next question for DNS.
    pub fn poll_question(&mut self) -> Option<Question> {
        self.names.poll_question()
    }

    /// Where the watched destinations were last found.
    pub fn watched(&self) -> impl Iterator<Item = (&Destination, &Located<Server>)> {
        self.watched.iter().map(|(destination, watch)| (destination, &watch.located))
    }

    /// Answers kept, questions out, and what found no room of each.
    pub fn usage(&self) -> [(usize, u64); 2] {
        self.names.usage()
    }

    /// Looks at a watched destination; with `refresh` what is about to run out is asked for. `true`: its servers are others
    /// now.
    fn look_after(&mut self, now: Instant, destination: &Destination, refresh: bool) -> bool {
        let Some(ahead) = self.watched.get(destination).map(|watch| watch.ahead) else { return false };
        // No lots: whether servers changed must not depend on any.
        let mut none = || 0u64;
        let mut search = Search::new(&self.names, &self.ways, now, &mut none);
        let located = search.run(destination);
        let (mut needs, until) = (search.needs, search.until);
        if needs.is_empty() && refresh {
            let mut soon = Search::new(&self.names, &self.ways, now + ahead, &mut none);
            soon.run(destination);
            needs = soon.needs;
        }
        let left = until.since(now);
        let (due, ahead) = if needs.is_empty() {
            let ahead = (left / 10).clamp(AHEAD_MIN, AHEAD_MAX);
            (now + left.saturating_sub(ahead).max(AHEAD_MIN), ahead)
        } else {
            (now + PATIENCE, ahead)
        };
        needs.iter().for_each(|question| self.names.ask(question.clone()));
        let Some(watch) = self.watched.get_mut(destination) else { return false };
        (watch.due, watch.ahead, watch.needs) = (due, ahead, needs);
        // Until all is known again, what was known stands.
        let changed = located != Located::Pending && in_order(&watch.located) != in_order(&located);
        if located != Located::Pending {
            watch.located = located;
        }
        self.rate();
        changed
    }

    fn rate(&mut self) {
        self.due = self.watched.values().map(|watch| watch.due).min();
    }
}

/// Servers in an order that neither lots nor DNS change.
fn in_order(located: &Located<Server>) -> Located<Server> {
    let mut located = located.clone();
    if let Located::At(servers) = &mut located {
        servers.sort_unstable_by_key(|server| (server.transport.name(), server.address));
    }
    located
}

/// One walk through RFC 3263 section 4.
struct Search<'s> {
    names: &'s Names,
    ways: &'s [(Transport, bool)],
    now: Instant,
    random: &'s mut dyn FnMut() -> u64,
    /// What has to be asked first.
    needs: Vec<Question>,
    /// Until when all that was used holds.
    until: Instant,
    /// DNS did not answer something.
    failed: bool,
}

impl<'s> Search<'s> {
    fn new(
        names: &'s Names,
        ways: &'s [(Transport, bool)],
        now: Instant,
        random: &'s mut dyn FnMut() -> u64,
    ) -> Search<'s> {
        Search { names, ways, now, random, needs: Vec::new(), until: now + NEVER, failed: false }
    }

    fn run(&mut self, destination: &Destination) -> Located<Server> {
        let found = match &destination.host {
            Host::Address(address) => self.at(*address, destination),
            Host::Name(name) => self.named(name, destination),
        };
        if !self.needs.is_empty() {
            return Located::Pending;
        }
        let mut servers = Vec::with_capacity(found.len().min(SERVERS_MAX));
        for server in found {
            if servers.len() < SERVERS_MAX && !servers.contains(&server) {
                servers.push(server);
            }
        }
        match servers.is_empty() {
            false => Located::At(servers),
            true if self.failed => Located::Nowhere(Nowhere::NoAnswer),
            true if matches!(destination.host, Host::Address(_)) => Located::Nowhere(Nowhere::NoListener),
            true => Located::Nowhere(Nowhere::NoServer),
        }
    }

    /// RFC 3263 section 4.2: an address is an address.
    fn at(&self, address: IpAddr, destination: &Destination) -> Vec<Server> {
        let transport = destination.plain_transport();
        let port = destination.port.unwrap_or(transport.default_port());
        let server = Server { transport, address: SocketAddr::new(address, port) };
        if self.ways.contains(&(transport, address.is_ipv4())) { vec![server] } else { Vec::new() }
    }

    fn named(&mut self, name: &str, destination: &Destination) -> Vec<Server> {
        let plain = destination.plain_transport();
        if let Some(port) = destination.port {
            return self.addresses(name, plain, port);
        }
        if destination.transport.is_none() {
            let rules = self.rules(name, destination.secure);
            let mut servers = Vec::new();
            for (transport, service) in &rules {
                servers.extend(self.service(service, *transport).unwrap_or_default());
            }
            if !rules.is_empty() || !self.needs.is_empty() {
                return servers;
            }
        }
        let mut found = None;
        for transport in self.candidates(destination) {
            let service = match transport {
                Transport::Udp => format!("_sip._udp.{name}"),
                Transport::Tcp => format!("_sip._tcp.{name}"),
                // RFC 3263 section 4.1; `transport=tls` of old means the same.
                Transport::Tls => format!("_sips._tcp.{name}"),
            };
            if let Some(servers) = self.service(&service, transport) {
                found.get_or_insert_with(Vec::new).extend(servers);
            }
        }
        match found {
            Some(servers) => servers,
            None if !self.needs.is_empty() => Vec::new(),
            // RFC 3263 section 4.2: without SRV records the name is a host's.
            None => self.addresses(name, plain, plain.default_port()),
        }
    }

    /// The transports of a destination that has no NAPTR records (RFC 3263 section 4.1), as far as we have them.
    fn candidates(&self, destination: &Destination) -> Vec<Transport> {
        let wanted = match destination.transport {
            _ if destination.secure => vec![Transport::Tls],
            Some(transport) => vec![transport.into()],
            None => vec![Transport::Udp, Transport::Tcp],
        };
        wanted.into_iter().filter(|transport| self.has(*transport)).collect()
    }

    fn has(&self, transport: Transport) -> bool {
        self.ways.iter().any(|(way, _)| *way == transport)
    }

    /// NAPTR: the transports that a domain takes and we have, with the names of their services, preferred first. RFC 3403
    /// section 4.1: of several orders only the first that fits counts.
    fn rules(&mut self, name: &str, secure: bool) -> Vec<(Transport, String)> {
        let mut rules = Vec::new();
        for record in self.get(name, Kind::Naptr).iter().take(RULES_MAX) {
            let Record::Naptr(rule) = record else { continue };
            let transport = match rule.services.as_str() {
                "SIP+D2U" if !secure => Transport::Udp,
                "SIP+D2T" if !secure => Transport::Tcp,
                "SIPS+D2T" => Transport::Tls,
                _ => continue,
            };
            if rule.flags == "s" && !rule.has_expression && !rule.replacement.is_empty() && self.has(transport) {
                rules.push((rule.order, rule.preference, transport, rule.replacement.clone()));
            }
        }
        rules.sort_by_key(|(order, preference, ..)| (*order, *preference));
        let first = rules.first().map(|(order, ..)| *order);
        rules.retain(|(order, ..)| Some(*order) == first);
        rules.into_iter().map(|(_, _, transport, service)| (transport, service)).collect()
    }

    /// SRV: the servers of a service, in the order of RFC 2782; `None` where there are no such records.
    fn service(&mut self, name: &str, transport: Transport) -> Option<Vec<Server>> {
        let records = self.get(name, Kind::Srv);
        let services = records.iter().filter_map(|record| match record {
            Record::Srv(srv) => Some(srv),
            Record::Naptr(_) | Record::Address(_) => None,
        });
        let mut drawn: Vec<(u16, f64, &Srv)> =
            services.take(SERVICES_MAX).map(|srv| (srv.priority, lot((self.random)(), srv.weight), srv)).collect();
        if drawn.is_empty() {
            return None;
        }
        drawn.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut servers = Vec::new();
        // RFC 2782: a target that is the root means that there is no such service.
        for (_, _, srv) in drawn.into_iter().filter(|(_, _, srv)| !srv.target.is_empty() && srv.port != 0) {
            servers.extend(self.addresses(&srv.target, transport, srv.port));
        }
        Some(servers)
    }

    /// A and AAAA: a host's addresses, of the families that our listeners have, in the order of these.
    fn addresses(&mut self, name: &str, transport: Transport, port: u16) -> Vec<Server> {
        let mut families: Vec<bool> = Vec::new();
        for (_, is_ipv4) in self.ways.iter().filter(|(way, _)| *way == transport) {
            if !families.contains(is_ipv4) {
                families.push(*is_ipv4);
            }
        }
        let mut servers = Vec::new();
        for is_ipv4 in families {
            // RFC 6761 section 6.3: nobody else is asked for this name.
            let own = if is_ipv4 { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) };
            let own = [Record::Address(own)];
            let records = match name == "localhost" || name.ends_with(".localhost") {
                true => own.as_slice(),
                false => self.get(name, if is_ipv4 { Kind::A } else { Kind::Aaaa }),
            };
            for record in records.iter().take(ADDRESSES_MAX) {
                if let Record::Address(address) = record
                    && is_host(*address)
                {
                    servers.push(Server { transport, address: SocketAddr::new(*address, port) });
                }
            }
        }
        servers
    }

    /// What DNS has said; nothing where it is to be asked first, or did not answer.
    fn get(&mut self, name: &str, kind: Kind) -> &'s [Record] {
        let question = Question { name: name.to_ascii_lowercase(), kind };
        match self.names.look(self.now, &question) {
            Known::Records(records, until) => {
                self.until = self.until.min(until);
                records
            }
            Known::Failed(until) => {
                self.until = self.until.min(until);
                self.failed = true;
                &[]
            }
            Known::Missing => {
                self.needs.push(question);
                &[]
            }
        }
    }
}

/// Whether an address is one host's.
fn is_host(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// A lot of RFC 2782: who draws the least is first, with a chance of weight by the sum of weights. The least of exponential
/// variates, each with its weight as rate, is that; a weight of nothing counts as very little.
pub(crate) fn lot(random: u64, weight: u16) -> f64 {
    let draw = (random >> 11) as f64 / (1u64 << 53) as f64;
    -(1.0 - draw).ln() / f64::from(weight).max(0.01)
}

#[cfg(test)]
mod tests;
