//! The SIP sockets: UDP read and written by their owner directly, TCP and TLS by one task per connection on the executor
//! that is passed in. Nothing here blocks, spawns elsewhere or grows without bound.
//!
//! The owner, one thread, waits with [`SipSockets::wait`], takes what came with [`SipSockets::drain`] and hands out what
//! its endpoint wants sent with [`SipSockets::send`].

mod admission;
mod listen;
mod stream;
#[cfg(test)]
mod tests;
mod timed;
pub mod tls;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::ServerConfig;
use smol::channel::{Receiver, Sender};
use smol::stream::Stream;
use smol::{Async, Executor, Task};

pub use listen::{LISTENERS_MAX, ListenError, parse_listen};

use admission::{Admission, Permit, Refused};

use crate::base::Bound;
use crate::proto::sip::{Path, Transmit, Transport};

/// Bounds of the streams.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections at once, both ways; more are closed at once and counted.
    pub connections_max: usize,
    /// Connections at once from one source: an IPv4 address, or an IPv6 /64.
    pub per_source_max: usize,
    /// TLS handshakes under way at once, of those that came.
    pub handshakes_max: usize,
    /// The same from one source.
    pub handshakes_per_source_max: usize,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How often we ping on a connection that we made, when nothing else is to be sent (RFC 5626 section 4.4.1).
    pub ping_interval: Duration,
    /// How long the answer to a ping may take, from a peer that has answered one before.
    pub pong_timeout: Duration,
    /// Messages that wait to be written on one connection.
    pub backlog_messages_max: usize,
    /// Octets that wait to be written on one connection; a peer that reads more slowly is cut off.
    pub backlog_octets_max: usize,
    /// Chunks of all connections that wait for the owner; then readers, and so the peers, are held back.
    pub inbox_max: usize,
    /// How long a connection may take to come up.
    pub connect_timeout: Duration,
    /// How long a new connection may say nothing.
    pub first_octet_timeout: Duration,
    /// How long an established one may: longer than phones take between two registrations.
    pub idle_timeout: Duration,
    /// How long the peer may take nothing while we have something to write.
    pub write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            per_source_max: 256,
            handshakes_max: 512,
            handshakes_per_source_max: 32,
            handshake_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(95),
            pong_timeout: Duration::from_secs(10),
            backlog_messages_max: 1024,
            backlog_octets_max: 1 << 20,
            inbox_max: 1024,
            connect_timeout: Duration::from_secs(5),
            first_octet_timeout: Duration::from_secs(32),
            idle_timeout: Duration::from_secs(3700),
            write_timeout: Duration::from_secs(10),
        }
    }
}

/// What came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NetInput {
    /// A UDP datagram.
    Datagram {
        /// Whence and where to.
        path: Path,
        /// Whole.
        bytes: Bytes,
    },
    /// The next octets of a stream, in order.
    Chunk {
        /// Whence and where to, with its connection.
        path: Path,
        /// Up to 4,096 octets.
        bytes: Bytes,
    },
    /// The peer of a TLS connection has shown a certificate that was verified. Comes before its first chunk.
    Identified {
        /// Its number.
        connection: u64,
        /// The SIP domains that the certificate speaks for (RFC 5922).
        domains: Vec<String>,
    },
    /// A connection is gone.
    Closed {
        /// Its number.
        connection: u64,
    },
    /// Something for `path` could not be sent (RFC 3261 section 18.4).
    Failed {
        /// As in the [`Transmit`], or with the connection that broke.
        path: Path,
    },
}

/// Counters since start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NetCounters {
    /// UDP datagrams taken.
    pub datagrams_received: u64,
    /// UDP datagrams that the kernel dropped because our receive buffer was full.
    pub datagrams_overflown: u64,
    /// UDP datagrams sent.
    pub datagrams_sent: u64,
    /// UDP datagrams dropped because the kernel's send buffer was full; SIP's retransmission makes up for it.
    pub datagrams_dropped: u64,
    /// UDP datagrams that the system refused to send.
    pub datagrams_failed: u64,
    /// Connections refused by [`Limits::connections_max`], both ways.
    pub connections_refused: u64,
    /// Connections refused by [`Limits::per_source_max`].
    pub sources_refused: u64,
    /// Connections refused by [`Limits::handshakes_max`], [`Limits::handshakes_per_source_max`], or for want of a
    /// certificate of ours.
    pub handshakes_refused: u64,
    /// TLS handshakes of others that failed or took too long.
    pub handshakes_failed: u64,
    /// Connections cut off because the peer reads too slowly.
    pub backlogs_overflown: u64,
    /// Connections that could not be made, or broke with messages unsent.
    pub connections_failed: u64,
}

/// What connection tasks tell the owner.
enum Report {
    Opened { path: Path, outbox: stream::Outbox, domains: Vec<String> },
    Identified { connection: u64, domains: Vec<String> },
    Chunk { path: Path, bytes: Bytes, read_at: Instant },
    Closed { connection: u64, asked: Option<Path> },
    Failed { path: Path, connection: u64 },
}

struct Udp {
    local: SocketAddr,
    socket: Async<UdpSocket>,
    /// What the kernel last said of datagrams that it dropped here.
    dropped: u32,
    /// Room for the kernel's notes on a datagram.
    notes: Vec<u8>,
}

struct Connection {
    key: PeerKey,
    outbox: stream::Outbox,
}

/// What a connection is found by when a message has none: transport, peer and TLS profile.
type PeerKey = (Transport, SocketAddr, u32);

/// What acceptors and the owner share.
struct Shared {
    next_connection: AtomicU64,
    admission: Admission,
    /// The newest configuration of the server's side; none without a certificate.
    server: Mutex<Option<Arc<ServerConfig>>>,
}

/// What waits for the owner; of a chunk, since when.
struct Ready {
    since: Option<Instant>,
    input: NetInput,
}

/// The sockets of one appliance.
pub struct SipSockets {
    udp: Vec<Udp>,
    /// Which of `udp` the last drain read first.
    first: usize,
    streams: Vec<(Transport, SocketAddr)>,
    executor: Arc<Executor<'static>>,
    limits: Limits,
    shared: Arc<Shared>,
    connections: HashMap<u64, Connection>,
    /// Which connection to reuse towards a peer.
    by_peer: HashMap<PeerKey, u64>,
    /// TLS profiles by number.
    profiles: BTreeMap<u32, tls::Client>,
    reports: Sender<Report>,
    inbox: Pin<Box<Receiver<Report>>>,
    /// Taken from the inbox, or found out while sending, and not yet drained. Bounded by [`READY_MAX`].
    ready: VecDeque<Ready>,
    /// The longest wait of a socket's oldest datagram, or of a chunk, in the last drain.
    waited: Option<Duration>,
    scratch: Box<[u8]>,
    /// Our address towards peers, for listeners on all addresses.
    sources: HashMap<IpAddr, IpAddr>,
    counters: NetCounters,
    /// Dropping them ends the listening.
    _acceptors: Vec<Task<()>>,
}

/// Largest UDP datagram.
const DATAGRAM_MAX: usize = 65_536;

/// Most inputs that wait for [`SipSockets::drain`] outside the inbox.
const READY_MAX: usize = 4096;

/// Most peers whose source address is remembered.
const SOURCES_MAX: usize = 4096;

/// Most TLS profiles at once.
const PROFILES_MAX: usize = 8192;

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl SipSockets {
    /// Binds every entry of `listen` (`udp:ADDRESS:PORT`, `tcp:ADDRESS:PORT`, `tls:ADDRESS:PORT`; port 0 takes a free
    /// one) and starts to accept on `executor`, which the caller runs. TLS needs [`serve_tls`](Self::serve_tls), too.
    ///
    /// # Errors
    ///
    /// The first entry that is malformed or refused by the system; nothing is left bound.
    pub fn bind(listen: &[String], limits: Limits, executor: Arc<Executor<'static>>) -> Result<Self, ListenError> {
        if listen.len() > LISTENERS_MAX {
            return Err(ListenError::TooMany);
        }
        let (mut udp, mut listeners) = (Vec::new(), Vec::new());
        for entry in listen {
            let (transport, address) = parse_listen(entry)?;
            let refused = |source| ListenError::Bind { entry: entry.clone(), source };
            match transport {
                Transport::Udp => {
                    let socket = listen::udp(address).map_err(refused)?;
                    udp.push(Udp {
                        local: socket.get_ref().local_addr().map_err(refused)?,
                        socket,
                        dropped: 0,
                        notes: timed::room(),
                    });
                }
                Transport::Tcp | Transport::Tls => {
                    let listener = listen::tcp(address).map_err(refused)?;
                    listeners.push((transport, listener.get_ref().local_addr().map_err(refused)?, listener));
                }
            }
        }
        Ok(Self::start(udp, listeners, limits, executor))
    }

    fn start(
        udp: Vec<Udp>,
        listeners: Vec<(Transport, SocketAddr, Async<TcpListener>)>,
        limits: Limits,
        executor: Arc<Executor<'static>>,
    ) -> Self {
        let (reports, inbox) = smol::channel::bounded(limits.inbox_max.max(1));
        let shared = Arc::new(Shared {
            next_connection: AtomicU64::new(1),
            admission: Admission::new(&limits),
            server: Mutex::new(None),
        });
        let streams = listeners.iter().map(|(transport, local, _)| (*transport, *local)).collect();
        let acceptors = listeners.into_iter().map(|(transport, local, listener)| {
            let acceptor = Acceptor {
                transport,
                local,
                listener,
                executor: Arc::clone(&executor),
                shared: Arc::clone(&shared),
                reports: reports.clone(),
                limits: limits.clone(),
            };
            executor.spawn(acceptor.run())
        });
        Self {
            _acceptors: acceptors.collect(),
            udp,
            first: 0,
            streams,
            executor,
            limits,
            shared,
            connections: HashMap::new(),
            by_peer: HashMap::new(),
            profiles: BTreeMap::new(),
            reports,
            inbox: Box::pin(inbox),
            ready: VecDeque::new(),
            waited: None,
            scratch: vec![0; DATAGRAM_MAX].into_boxed_slice(),
            sources: HashMap::new(),
            counters: NetCounters::default(),
        }
    }

    /// The listeners as bound: port 0 has become a real one.
    pub fn listeners(&self) -> impl Iterator<Item = (Transport, SocketAddr)> + '_ {
        let udp = self.udp.iter().map(|u| (Transport::Udp, u.local));
        udp.chain(self.streams.iter().copied())
    }

    /// With what TLS connections are accepted from now on; `None`: they are refused. Those that are up go on.
    pub fn serve_tls(&mut self, config: Option<Arc<ServerConfig>>) {
        *self.shared.server.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// Sets a TLS profile, for the connections that are made from now on. Beyond `PROFILES_MAX` the oldest one goes.
    pub fn set_profile(&mut self, number: u32, client: tls::Client) {
        self.profiles.insert(number, client);
        if self.profiles.len() > PROFILES_MAX {
            self.profiles.pop_first();
        }
    }

    /// The UDP sockets, for an owner that wants to wait for them itself.
    pub fn udp_sockets(&self) -> impl Iterator<Item = (SocketAddr, &Async<UdpSocket>)> + '_ {
        self.udp.iter().map(|u| (u.local, &u.socket))
    }

    /// Our address from which to reach `remote`: that of a listener of its transport and address family, for the paths
    /// of new requests. Loopback peers prefer loopback listeners, others avoid them. `None`: there is no such listener.
    pub fn local_for(&mut self, transport: Transport, remote: IpAddr) -> Option<SocketAddr> {
        let family = |local: &SocketAddr| local.is_ipv4() == remote.is_ipv4();
        let fit = |local: &SocketAddr| local.ip().is_loopback() == remote.is_loopback();
        let candidates: Vec<SocketAddr> =
            self.listeners().filter(|(t, local)| *t == transport && family(local)).map(|(_, local)| local).collect();
        let local = candidates.iter().find(|l| fit(l)).or(candidates.first()).copied()?;
        Some(self.concrete(local, remote))
    }

    /// Connections now.
    pub fn connections_len(&self) -> usize {
        self.connections.len()
    }

    /// Counters since start.
    pub fn counters(&self) -> NetCounters {
        NetCounters {
            connections_refused: self.counters.connections_refused + self.shared.admission.refused(Refused::Full),
            sources_refused: self.shared.admission.refused(Refused::Source),
            handshakes_refused: self.shared.admission.refused(Refused::Handshake),
            handshakes_failed: self.shared.admission.refused(Refused::HandshakeFailed),
            ..self.counters
        }
    }

    /// Bounds with their use; of what each connection has for itself, by the one that uses most.
    pub fn bounds(&self) -> Vec<Bound> {
        let counters = self.counters();
        let (limits, open) = (&self.limits, self.connections.len());
        let (busiest, handshakes) = self.shared.admission.used();
        let most =
            |of: fn(&stream::Outbox) -> usize| self.connections.values().map(|c| of(&c.outbox)).max().unwrap_or(0);
        let (messages, octets) = (most(stream::Outbox::messages), most(stream::Outbox::octets));
        let cut = counters.backlogs_overflown;
        vec![
            Bound::new("sip-connections", open, limits.connections_max, counters.connections_refused),
            Bound::new("sip-connections-a-source", busiest, limits.per_source_max, counters.sources_refused),
            Bound::new("tls-handshakes", handshakes, limits.handshakes_max, counters.handshakes_refused),
            // Readers are held back, nothing is refused.
            Bound::new("sip-chunks", self.inbox.len(), limits.inbox_max, 0),
            Bound::new("sip-backlog-messages", messages, limits.backlog_messages_max, cut),
            Bound::new("sip-backlog-octets", octets, limits.backlog_octets_max, cut),
        ]
    }

    /// Waits until there is something to [`drain`](Self::drain). May wake without reason; losing the future loses nothing.
    pub async fn wait(&mut self) {
        poll_fn(|cx| {
            let mut woken = !self.ready.is_empty();
            for udp in &self.udp {
                // An error shows itself when reading.
                woken |= udp.socket.poll_readable(cx).is_ready();
            }
            while self.ready.len() < READY_MAX {
                match self.inbox.as_mut().poll_next(cx) {
                    Poll::Ready(Some(report)) => {
                        self.take_report(report);
                        woken |= !self.ready.is_empty();
                    }
                    Poll::Ready(None) | Poll::Pending => break,
                }
            }
            if woken { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Takes up to `most` inputs into `into`, and says how many: TCP before UDP, but where there is more than that of both,
    /// half of either, so that neither starves the other. Never waits.
    pub fn drain(&mut self, most: usize, into: &mut Vec<NetInput>) -> usize {
        let before = into.len();
        while self.ready.len() < most.min(READY_MAX) {
            match self.inbox.try_recv() {
                Ok(report) => self.take_report(report),
                Err(_) => break,
            }
        }
        self.drain_ready(most.div_ceil(2), into);
        // Another one is first each time, so that a flood on one listener leaves a share to the others.
        let listeners = self.udp.len();
        self.first = (self.first + 1) % listeners.max(1);
        for n in 0..listeners {
            self.drain_udp((self.first + n) % listeners, most.saturating_sub(into.len() - before), into);
        }
        self.drain_ready(most.saturating_sub(into.len() - before), into);
        into.len() - before
    }

    fn drain_ready(&mut self, most: usize, into: &mut Vec<NetInput>) {
        let taken = most.min(self.ready.len());
        for ready in self.ready.drain(..taken) {
            self.waited = self.waited.max(ready.since.map(|since| since.elapsed()));
            into.push(ready.input);
        }
    }

    /// How long the oldest datagram or chunk of the last [`drain`](Self::drain) had waited; `None` where none was there.
    pub fn take_waited(&mut self) -> Option<Duration> {
        self.waited.take()
    }

    fn drain_udp(&mut self, n: usize, most: usize, into: &mut Vec<NetInput>) {
        let mut stamped = false;
        for _ in 0..most {
            let Some(udp) = self.udp.get(n) else { return };
            let bound = udp.local;
            // The kernel's notes cost some time to read, and those on the oldest datagram say enough.
            let received =
                if stamped { udp.socket.get_ref().recv_from(&mut self.scratch) } else { self.receive_timed(n) };
            stamped |= received.is_ok();
            match received {
                Ok((length, remote)) => {
                    self.counters.datagrams_received += 1;
                    let local = self.concrete(bound, remote.ip());
                    let bytes = self.keep(length);
                    let path = Path::new(Transport::Udp, local, remote);
                    into.push(NetInput::Datagram { path, bytes });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // A pending ICMP error of an earlier datagram; reading has cleared it.
                    log::debug!(target: "net", "UDP {bound}: {error}");
                }
            }
        }
    }

    fn receive_timed(&mut self, n: usize) -> io::Result<(usize, SocketAddr)> {
        let udp = self.udp.get_mut(n).ok_or(io::ErrorKind::NotFound)?;
        let timed = timed::receive(udp.socket.get_ref(), &mut self.scratch, &mut udp.notes)?;
        self.waited = self.waited.max(Some(timed.waited));
        if let Some(dropped) = timed.dropped {
            self.counters.datagrams_overflown += u64::from(dropped.wrapping_sub(udp.dropped));
            udp.dropped = dropped;
        }
        Ok((timed.length, timed.remote))
    }

    /// The first `length` octets of the scratch buffer. A slab that many messages share would be held by any of them that is
    /// kept for the seconds of a transaction, and the heap would wear out.
    fn keep(&self, length: usize) -> Bytes {
        Bytes::copy_from_slice(self.scratch.get(..length).unwrap_or_default())
    }

    /// Sends a message, or queues it on its connection, making one where there is none. A failure comes back as
    /// [`NetInput::Failed`] from the next [`drain`](Self::drain). Never waits.
    pub fn send(&mut self, transmit: Transmit) {
        match transmit.path.transport {
            Transport::Udp => self.send_datagram(&transmit),
            Transport::Tcp | Transport::Tls => self.send_stream(transmit),
        }
    }

    fn send_datagram(&mut self, transmit: &Transmit) {
        let path = transmit.path;
        let Some(udp) = self.udp.iter().find(|u| serves(u.local, path.local)) else {
            self.counters.datagrams_failed += 1;
            return self.fail(path);
        };
        match udp.socket.get_ref().send_to(&transmit.bytes, path.remote) {
            Ok(_) => self.counters.datagrams_sent += 1,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.counters.datagrams_dropped += 1,
            Err(error) => {
                log::debug!(target: "net", "UDP to {}: {error}", path.remote);
                self.counters.datagrams_failed += 1;
                self.fail(path);
            }
        }
    }

    fn send_stream(&mut self, transmit: Transmit) {
        let path = transmit.path;
        let known = Some(path.connection).filter(|c| self.connections.contains_key(c));
        let key = (path.transport, path.remote, path.profile);
        let connection = match known.or_else(|| self.by_peer.get(&key).copied()) {
            Some(connection) => connection,
            // RFC 3261 sections 18.1.1 and 18.2.2: a request opens a connection, and so does a response whose
            // connection is gone.
            None => match self.connect(path) {
                Some(connection) => connection,
                None => return self.fail(path),
            },
        };
        let Some(entry) = self.connections.get(&connection) else { return self.fail(path) };
        if !entry.outbox.push(transmit.bytes) {
            self.counters.backlogs_overflown += 1;
            self.forget(connection);
            self.push_ready(NetInput::Closed { connection });
            self.fail(path);
        }
    }

    fn connect(&mut self, path: Path) -> Option<u64> {
        let client = match path.transport {
            Transport::Tls => Some(self.profiles.get(&path.profile)?.clone()),
            _ => None,
        };
        let Ok(permit) = self.shared.admission.admit(None) else { return None };
        let connection = self.shared.next_connection.fetch_add(1, Ordering::Relaxed);
        let (outbox, inlet) = stream::outbox(&self.limits);
        let key = (path.transport, path.remote, path.profile);
        self.connections.insert(connection, Connection { key, outbox });
        self.by_peer.insert(key, connection);
        let (reports, limits) = (self.reports.clone(), self.limits.clone());
        let task = async move {
            stream::dial(path, connection, client, inlet, reports, limits).await;
            drop(permit);
        };
        self.executor.spawn(task).detach();
        Some(connection)
    }

    /// Closes a connection after what is queued on it is written. [`NetInput::Closed`] follows what it brought before.
    pub fn close(&mut self, connection: u64) {
        if self.connections.contains_key(&connection) {
            self.forget(connection);
            // What was read and not yet taken is of no use any more, and would be framed anew.
            let of_it =
                |input: &NetInput| matches!(input, NetInput::Chunk { path, .. } if path.connection == connection);
            self.ready.retain(|ready| !of_it(&ready.input));
            self.push_ready(NetInput::Closed { connection });
        }
    }

    fn forget(&mut self, connection: u64) {
        if let Some(gone) = self.connections.remove(&connection)
            && self.by_peer.get(&gone.key) == Some(&connection)
        {
            self.by_peer.remove(&gone.key);
        }
    }

    fn take_report(&mut self, report: Report) {
        match report {
            Report::Opened { path, outbox, domains } => {
                let key = (path.transport, path.remote, path.profile);
                self.by_peer.insert(key, path.connection);
                self.connections.insert(path.connection, Connection { key, outbox });
                self.identified(path.connection, domains);
            }
            Report::Identified { connection, domains } => self.identified(connection, domains),
            Report::Chunk { mut path, bytes, read_at } if self.connections.contains_key(&path.connection) => {
                path.local = self.concrete(path.local, path.remote.ip());
                self.push_stamped(Some(read_at), NetInput::Chunk { path, bytes });
            }
            Report::Closed { connection, asked } if self.connections.contains_key(&connection) => {
                self.forget(connection);
                self.push_ready(NetInput::Closed { connection });
                if let Some(path) = asked {
                    self.fail(path);
                }
            }
            Report::Failed { path, connection } => {
                self.counters.connections_failed += 1;
                if self.connections.contains_key(&connection) {
                    self.forget(connection);
                    self.push_ready(NetInput::Closed { connection });
                }
                self.fail(path);
            }
            // Of a connection that we closed ourselves.
            Report::Chunk { .. } | Report::Closed { .. } => {}
        }
    }

    fn identified(&mut self, connection: u64, domains: Vec<String>) {
        if !domains.is_empty() && self.connections.contains_key(&connection) {
            self.push_ready(NetInput::Identified { connection, domains });
        }
    }

    fn fail(&mut self, path: Path) {
        self.push_ready(NetInput::Failed { path });
    }

    fn push_ready(&mut self, input: NetInput) {
        self.push_stamped(None, input);
    }

    fn push_stamped(&mut self, since: Option<Instant>, input: NetInput) {
        // Failures of sends can pile up, between two drains; a lost one ends in the transaction's own timer. An end is never
        // lost: there is one a connection at most.
        if self.ready.len() < 2 * READY_MAX || matches!(input, NetInput::Closed { .. }) {
            self.ready.push_back(Ready { since, input });
        }
    }

    /// `local`, or for a listener on all addresses the one from which `remote` is reached.
    fn concrete(&mut self, local: SocketAddr, remote: IpAddr) -> SocketAddr {
        if !local.ip().is_unspecified() {
            return local;
        }
        if let Some(&source) = self.sources.get(&remote) {
            return SocketAddr::new(source, local.port());
        }
        let source = listen::source_address(remote).unwrap_or(local.ip());
        if self.sources.len() >= SOURCES_MAX {
            self.sources.clear();
        }
        self.sources.insert(remote, source);
        SocketAddr::new(source, local.port())
    }
}

/// Whether a listener on `bound` is the one that `local` names.
fn serves(bound: SocketAddr, local: SocketAddr) -> bool {
    let everywhere = bound.ip().is_unspecified() && bound.is_ipv4() == local.is_ipv4();
    bound == local || everywhere && bound.port() == local.port()
}

/// Accepts on one listener.
struct Acceptor {
    transport: Transport,
    local: SocketAddr,
    listener: Async<TcpListener>,
    executor: Arc<Executor<'static>>,
    shared: Arc<Shared>,
    reports: Sender<Report>,
    limits: Limits,
}

impl Acceptor {
    async fn run(self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, remote)) => match self.shared.admission.admit(Some(remote.ip())) {
                    Ok(permit) => self.executor.spawn(self.serve(stream, remote, permit)).detach(),
                    // Counted; a line each would let a flood fill the log.
                    Err(refused) => log::debug!(target: "net", "connection from {remote} refused: {refused:?}"),
                },
                Err(error) => {
                    log::warn!(target: "net", "accept on {}:{}: {error}", self.transport.name(), self.local);
                    smol::Timer::after(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(
        &self,
        stream: Async<std::net::TcpStream>,
        remote: SocketAddr,
        permit: Permit,
    ) -> impl Future<Output = ()> + Send + use<> {
        let connection = self.shared.next_connection.fetch_add(1, Ordering::Relaxed);
        let path = Path { connection, ..Path::new(self.transport, self.local, remote) };
        let (reports, limits, shared) = (self.reports.clone(), self.limits.clone(), Arc::clone(&self.shared));
        async move {
            let stream = match path.transport {
                Transport::Tls => shared.shake_hands(stream, remote, &limits).await,
                _ => Some(stream::Stream::Tcp(stream)),
            };
            if let Some(stream) = stream {
                let (outbox, inlet) = stream::outbox(&limits);
                let domains = stream.domains();
                if reports.send(Report::Opened { path, outbox, domains }).await.is_ok() {
                    stream::serve(stream, path, connection, inlet, reports, limits, false).await;
                }
            }
            drop(permit);
        }
    }
}

impl Shared {
    /// TLS on a connection that came. `None`: refused or failed, and counted.
    async fn shake_hands(
        &self,
        stream: Async<std::net::TcpStream>,
        remote: SocketAddr,
        limits: &Limits,
    ) -> Option<stream::Stream> {
        let config = self.server.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(config) = config else {
            self.admission.count(Refused::Handshake);
            return None;
        };
        let _shaking = self.admission.shake(remote.ip())?;
        match stream::accept(stream, config, limits).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                self.admission.count(Refused::HandshakeFailed);
                log::debug!(target: "net", "TLS with {remote}: {error}");
                None
            }
        }
    }
}
