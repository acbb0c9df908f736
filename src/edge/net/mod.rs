//! The SIP sockets: UDP read and written by their owner directly, TCP by one task per connection on the executor that is
//! passed in. Nothing here blocks, spawns elsewhere or grows without bound.
//!
//! The owner, one thread, waits with [`SipSockets::wait`], takes what came with [`SipSockets::drain`] and hands out what
//! its endpoint wants sent with [`SipSockets::send`].

mod listen;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use smol::channel::{Receiver, Sender};
use smol::stream::Stream;
use smol::{Async, Executor, Task};

pub use listen::{LISTENERS_MAX, ListenError, parse_listen};

use crate::proto::sip::{Path, Transmit, Transport};

/// Bounds of the TCP side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections at once, both ways; more are closed at once and counted.
    pub connections_max: usize,
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
    /// The next octets of a TCP stream, in order.
    Chunk {
        /// Whence and where to, with its connection.
        path: Path,
        /// Up to 4,096 octets.
        bytes: Bytes,
    },
    /// A TCP connection is gone.
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
    /// UDP datagrams sent.
    pub datagrams_sent: u64,
    /// UDP datagrams dropped because the kernel's send buffer was full; SIP's retransmission makes up for it.
    pub datagrams_dropped: u64,
    /// UDP datagrams that the system refused to send.
    pub datagrams_failed: u64,
    /// TCP connections refused by [`Limits::connections_max`], both ways.
    pub connections_refused: u64,
    /// TCP connections cut off because the peer reads too slowly.
    pub backlogs_overflown: u64,
    /// Connections that could not be made, or broke with messages unsent.
    pub connections_failed: u64,
}

/// What connection tasks tell the owner.
enum Report {
    Opened { path: Path, outbox: stream::Outbox },
    Chunk { path: Path, bytes: Bytes },
    Closed { connection: u64 },
    Failed { path: Path, connection: u64 },
}

struct Udp {
    local: SocketAddr,
    socket: Async<UdpSocket>,
}

struct Connection {
    remote: SocketAddr,
    outbox: stream::Outbox,
}

/// What acceptors and the owner share: two counters.
struct Shared {
    next_connection: AtomicU64,
    open: AtomicUsize,
    refused: AtomicU64,
}

/// The sockets of one appliance.
pub struct SipSockets {
    udp: Vec<Udp>,
    /// Which of `udp` the last drain read first.
    first: usize,
    tcp: Vec<SocketAddr>,
    executor: Arc<Executor<'static>>,
    limits: Limits,
    shared: Arc<Shared>,
    connections: HashMap<u64, Connection>,
    /// Which connection to reuse towards a peer.
    by_remote: HashMap<SocketAddr, u64>,
    reports: Sender<Report>,
    inbox: Pin<Box<Receiver<Report>>>,
    /// Taken from the inbox, or found out while sending, and not yet drained. Bounded by [`READY_MAX`].
    ready: VecDeque<NetInput>,
    scratch: Box<[u8]>,
    slab: BytesMut,
    /// Our address towards peers, for listeners on all addresses.
    sources: HashMap<IpAddr, IpAddr>,
    counters: NetCounters,
    /// Dropping them ends the listening.
    _acceptors: Vec<Task<()>>,
}

/// Largest UDP datagram.
const DATAGRAM_MAX: usize = 65_536;

/// Datagrams are cut from slabs of this size: one allocation for some twenty messages, yet little memory is held when
/// one of them is kept.
const SLAB: usize = 16 * 1024;

/// Most inputs that wait for [`SipSockets::drain`] outside the inbox.
const READY_MAX: usize = 4096;

/// Most peers whose source address is remembered.
const SOURCES_MAX: usize = 4096;

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl SipSockets {
    /// Binds every entry of `listen` (`udp:ADDRESS:PORT`, `tcp:ADDRESS:PORT`; port 0 takes a free one) and starts to
    /// accept on `executor`, which the caller runs.
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
                    udp.push(Udp { local: socket.get_ref().local_addr().map_err(refused)?, socket });
                }
                Transport::Tcp => {
                    let listener = listen::tcp(address).map_err(refused)?;
                    listeners.push((listener.get_ref().local_addr().map_err(refused)?, listener));
                }
            }
        }
        Ok(Self::start(udp, listeners, limits, executor))
    }

    fn start(
        udp: Vec<Udp>,
        listeners: Vec<(SocketAddr, Async<TcpListener>)>,
        limits: Limits,
        executor: Arc<Executor<'static>>,
    ) -> Self {
        let (reports, inbox) = smol::channel::bounded(limits.inbox_max.max(1));
        let shared =
            Shared { next_connection: AtomicU64::new(1), open: AtomicUsize::new(0), refused: AtomicU64::new(0) };
        let shared = Arc::new(shared);
        let tcp = listeners.iter().map(|(local, _)| *local).collect();
        let acceptors = listeners.into_iter().map(|(local, listener)| {
            let acceptor = Acceptor {
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
            tcp,
            executor,
            limits,
            shared,
            connections: HashMap::new(),
            by_remote: HashMap::new(),
            reports,
            inbox: Box::pin(inbox),
            ready: VecDeque::new(),
            scratch: vec![0; DATAGRAM_MAX].into_boxed_slice(),
            slab: BytesMut::with_capacity(SLAB),
            sources: HashMap::new(),
            counters: NetCounters::default(),
        }
    }

    /// The listeners as bound: port 0 has become a real one.
    pub fn listeners(&self) -> impl Iterator<Item = (Transport, SocketAddr)> + '_ {
        let udp = self.udp.iter().map(|u| (Transport::Udp, u.local));
        udp.chain(self.tcp.iter().map(|&local| (Transport::Tcp, local)))
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

    /// TCP connections now.
    pub fn connections_len(&self) -> usize {
        self.connections.len()
    }

    /// Counters since start.
    pub fn counters(&self) -> NetCounters {
        NetCounters {
            connections_refused: self.counters.connections_refused + self.shared.refused.load(Ordering::Relaxed),
            ..self.counters
        }
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

    /// Takes up to `most` inputs into `into`, TCP before UDP, and says how many. Never waits.
    pub fn drain(&mut self, most: usize, into: &mut Vec<NetInput>) -> usize {
        let before = into.len();
        while self.ready.len() < most.min(READY_MAX) {
            match self.inbox.try_recv() {
                Ok(report) => self.take_report(report),
                Err(_) => break,
            }
        }
        let taken = most.min(self.ready.len());
        into.extend(self.ready.drain(..taken));
        // Another one is first each time, so that a flood on one listener leaves a share to the others.
        let listeners = self.udp.len();
        self.first = (self.first + 1) % listeners.max(1);
        for n in 0..listeners {
            self.drain_udp((self.first + n) % listeners, most.saturating_sub(into.len() - before), into);
        }
        into.len() - before
    }

    fn drain_udp(&mut self, n: usize, most: usize, into: &mut Vec<NetInput>) {
        for _ in 0..most {
            let Some(udp) = self.udp.get(n) else { return };
            let bound = udp.local;
            match udp.socket.get_ref().recv_from(&mut self.scratch) {
                Ok((length, remote)) => {
                    self.counters.datagrams_received += 1;
                    let local = self.concrete(bound, remote.ip());
                    let bytes = self.keep(length);
                    let path = Path { transport: Transport::Udp, local, remote, connection: 0 };
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

    /// Moves the first `length` octets of the scratch buffer into the slab.
    fn keep(&mut self, length: usize) -> Bytes {
        let datagram = self.scratch.get(..length).unwrap_or_default();
        if self.slab.capacity() < length {
            self.slab = BytesMut::with_capacity(SLAB.max(length));
        }
        self.slab.extend_from_slice(datagram);
        self.slab.split().freeze()
    }

    /// Sends a message, or queues it on its connection, making one where there is none. A failure comes back as
    /// [`NetInput::Failed`] from the next [`drain`](Self::drain). Never waits.
    pub fn send(&mut self, transmit: Transmit) {
        match transmit.path.transport {
            Transport::Udp => self.send_datagram(&transmit),
            Transport::Tcp => self.send_stream(transmit),
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
        let connection = match known.or_else(|| self.by_remote.get(&path.remote).copied()) {
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
        if !self.shared.admit(self.limits.connections_max) {
            self.counters.connections_refused += 1;
            return None;
        }
        let connection = self.shared.next_connection.fetch_add(1, Ordering::Relaxed);
        let (outbox, inlet) = stream::outbox(&self.limits);
        self.connections.insert(connection, Connection { remote: path.remote, outbox });
        self.by_remote.insert(path.remote, connection);
        let (reports, limits, shared) = (self.reports.clone(), self.limits.clone(), Arc::clone(&self.shared));
        let task = async move {
            stream::dial(path, connection, inlet, reports, limits).await;
            shared.open.fetch_sub(1, Ordering::Relaxed);
        };
        self.executor.spawn(task).detach();
        Some(connection)
    }

    /// Closes a TCP connection after what is queued on it is written. No [`NetInput::Closed`] follows.
    pub fn close(&mut self, connection: u64) {
        self.forget(connection);
    }

    fn forget(&mut self, connection: u64) {
        if let Some(gone) = self.connections.remove(&connection)
            && self.by_remote.get(&gone.remote) == Some(&connection)
        {
            self.by_remote.remove(&gone.remote);
        }
    }

    fn take_report(&mut self, report: Report) {
        match report {
            Report::Opened { path, outbox } => {
                self.by_remote.insert(path.remote, path.connection);
                self.connections.insert(path.connection, Connection { remote: path.remote, outbox });
            }
            Report::Chunk { mut path, bytes } if self.connections.contains_key(&path.connection) => {
                path.local = self.concrete(path.local, path.remote.ip());
                self.push_ready(NetInput::Chunk { path, bytes });
            }
            Report::Closed { connection } if self.connections.contains_key(&connection) => {
                self.forget(connection);
                self.push_ready(NetInput::Closed { connection });
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

    fn fail(&mut self, path: Path) {
        self.push_ready(NetInput::Failed { path });
    }

    fn push_ready(&mut self, input: NetInput) {
        // Only failures of sends can pile up, between two drains; a lost one ends in the transaction's own timer.
        if self.ready.len() < 2 * READY_MAX {
            self.ready.push_back(input);
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

impl Shared {
    /// Counts one more connection, unless there are `most`.
    fn admit(&self, most: usize) -> bool {
        let more = |open: usize| Some(open + 1).filter(|&n| n <= most);
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

/// Accepts on one listener.
struct Acceptor {
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
                Ok((stream, remote)) if self.shared.admit(self.limits.connections_max) => {
                    self.executor.spawn(self.serve(stream, remote)).detach();
                }
                Ok((_, remote)) => {
                    self.shared.refused.fetch_add(1, Ordering::Relaxed);
                    log::warn!(target: "net", "connection from {remote} refused: {} are open", self.limits.connections_max);
                }
                Err(error) => {
                    log::warn!(target: "net", "accept on tcp:{}: {error}", self.local);
                    smol::Timer::after(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(&self, stream: Async<std::net::TcpStream>, remote: SocketAddr) -> impl Future<Output = ()> + Send + use<> {
        let connection = self.shared.next_connection.fetch_add(1, Ordering::Relaxed);
        let path = Path { transport: Transport::Tcp, local: self.local, remote, connection };
        let (reports, limits, shared) = (self.reports.clone(), self.limits.clone(), Arc::clone(&self.shared));
        async move {
            let (outbox, inlet) = stream::outbox(&limits);
            if reports.send(Report::Opened { path, outbox }).await.is_ok() {
                stream::serve(stream, path, connection, inlet, reports, limits).await;
            }
            shared.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
