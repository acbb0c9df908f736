//! Transactions (RFC 3261 section 17, with the Accepted states of RFC 6026).
//!
//! A transaction keeps the octets it may have to send again and nothing of the message it came from: most of them only
//! wait out retransmissions, tens of thousands at a time.

use std::collections::HashMap;
use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use sip_codec::headers::Via;
use sip_codec::{Method, Uri};

use crate::base::{GiveBack, Instant};

use super::hanging::Hanging;
use super::message::Head;
use super::types::{ProbeId, RegistrationId};
use super::wire::{Wake, Wire, earlier};
use super::{Path, SessionId, Transport};

/// RFC 3261 section 17.1.1.1: estimate of the round trip.
pub(super) const T1: Duration = Duration::from_millis(500);
/// RFC 3261 section 17.1.2.2: longest pause between retransmissions.
pub(super) const T2: Duration = Duration::from_secs(4);
/// RFC 3261 section 17.1.2.2: how long a message may stay in the network.
pub(super) const T4: Duration = Duration::from_secs(5);
/// 64*T1: timers B, F, H, J, L, M, and D (which is to be at least 32 s).
pub(super) const TIMEOUT: Duration = Duration::from_secs(32);

/// How long an INVITE may ring: as timer C of proxies (RFC 3261 section 16.6 step 11), it keeps a transaction from living
/// for ever. Longer than any session waits before its CANCEL.
const PROCEEDING_MAX: Duration = Duration::from_secs(340);

/// How long another request may go unanswered: by 64*T1 its sender has given up (timer F, RFC 3261 section 17.1.2.2), and
/// whoever owns the request here has refused it; T4 later it is forgotten.
const UNANSWERED_MAX: Duration = Duration::from_secs(32 + 5);

/// RFC 3261 section 18.1.1: a request that is larger goes by TCP, where the path's MTU is not known.
const DATAGRAM_MAX: usize = 1_300;
/// When an INVITE that was too large for a datagram goes by one all the same: TCP has not led to an answer by then.
const STREAM_MAX: Duration = Duration::from_secs(2);

/// Forks of one INVITE that are ended; what further ones say is dropped.
const FORKS_MAX: usize = 8;
/// ACKs for one of them: its 2xx may come eleven times within 64*T1 (RFC 3261 section 13.3.1.4).
const FORK_ACKS_MAX: u8 = 11;

/// RFC 3261 section 8.1.1.7.
const COOKIE: &str = "z9hG4bK";

/// A client transaction. A CANCEL has the branch of its INVITE (RFC 3261 section 9.1), so the number alone is not enough.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct ClientId {
    pub id: u64,
    pub cancel: bool,
}

/// The branch parameter of a request of ours: unpredictable, and the way back to its transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Branch {
    pub id: ClientId,
    nonce: u64,
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{COOKIE}{:016x}{:x}", self.nonce, self.id.id)
    }
}

/// A server transaction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct ServerId(pub u64);

/// Who wants to know how a request of ours ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Invite(SessionId),
    Reinvite(SessionId),
    Update(SessionId),
    /// RSeq and CSeq of the response that it acknowledges.
    Prack(SessionId, u32, u32),
    Bye(SessionId),
    Cancel,
    Refer(SessionId),
    Notify(SessionId),
    Registration(RegistrationId),
    Probe(ProbeId),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ServerState {
    /// No final response yet.
    Proceeding,
    /// A final response that may be retransmitted.
    Completed,
    /// INVITE: the ACK for a non-2xx arrived.
    Confirmed,
    /// INVITE: 2xx sent; retransmissions are the session's (RFC 6026 section 7.1).
    Accepted,
}

#[derive(Debug)]
struct Server {
    key: Box<[u8]>,
    merge: Option<Box<[u8]>>,
    path: Path,
    invite: bool,
    session: Option<SessionId>,
    state: ServerState,
    last: Option<Bytes>,
    pause: Duration,
    /// Timer G.
    retransmit: Option<Instant>,
    /// Timers H, I, J, L; before the final response to another request than INVITE, [`UNANSWERED_MAX`].
    end: Option<Instant>,
    scheduled: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ClientState {
    /// There was no room for it.
    Unsent,
    Calling,
    Proceeding,
    Completed,
    Accepted,
}

/// Another fork of an INVITE that was answered twice: its 2xx was acknowledged and its dialog ended.
#[derive(Debug)]
struct Fork {
    tag: Vec<u8>,
    acks: u8,
}

/// What a 2xx of another fork gets (RFC 3261 section 13.2.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ForkEnd {
    /// ACK and BYE.
    Both,
    /// It was retransmitted: the ACK again.
    Ack,
    /// Nothing: each may be forged, and its Contact name a victim.
    Nothing,
}

#[derive(Debug)]
struct Client {
    nonce: u64,
    path: Path,
    invite: bool,
    owner: Owner,
    state: ClientState,
    /// The request; once a final response came to an INVITE, its ACK (with the To tag of the 2xx it is for).
    bytes: Bytes,
    /// How it would go by UDP, while TCP is tried for its size.
    datagram: Option<(Path, Bytes)>,
    ack_tag: Option<Vec<u8>>,
    ack_path: Path,
    forks: Vec<Fork>,
    pause: Duration,
    /// Timers A, E.
    retransmit: Option<Instant>,
    /// Timers B, D, F, K, M.
    end: Option<Instant>,
    scheduled: Option<Instant>,
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// A transaction was made for it.
    New(ServerId),
    /// A retransmission; answered if there was an answer.
    Absorbed,
    /// The same request came another way (RFC 3261 section 8.2.2.2). No transaction was made.
    Merged,
    /// No room.
    Full,
}

/// What became of a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// No request of ours.
    Stray,
    /// A retransmission.
    Absorbed,
    /// For the owner.
    Pass(ClientId, Owner),
}

/// All transactions.
#[derive(Debug)]
pub(super) struct Transactions {
    servers: HashMap<ServerId, Server>,
    by_key: HashMap<Box<[u8]>, ServerId>,
    by_merge: HashMap<Box<[u8]>, ServerId>,
    clients: HashMap<ClientId, Client>,
    hanging: Hanging<ClientId>,
    max: usize,
    /// Our listeners by TCP.
    streams: Vec<SocketAddr>,
}

impl Transactions {
    /// At most `max` of either side.
    pub fn new(max: usize) -> Self {
        Self {
            servers: HashMap::new(),
            by_key: HashMap::new(),
            by_merge: HashMap::new(),
            clients: HashMap::new(),
            hanging: Hanging::default(),
            max,
            streams: Vec::new(),
        }
    }

    /// From where requests go by TCP that are too large for a datagram; nowhere: they go by UDP all the same.
    pub fn set_streams(&mut self, locals: Vec<SocketAddr>) {
        self.streams = locals;
    }

    /// Gives back what a burst took.
    pub fn give_back(&mut self) {
        self.servers.give_back();
        self.by_key.give_back();
        self.by_merge.give_back();
        self.clients.give_back();
    }

    pub fn len(&self) -> usize {
        self.servers.len() + self.clients.len()
    }

    pub fn servers_len(&self) -> usize {
        self.servers.len()
    }

    pub fn clients_len(&self) -> usize {
        self.clients.len()
    }

    /// Most of either side.
    pub fn max(&self) -> usize {
        self.max
    }

    // ---- server side ----

    /// Takes a request that is not an ACK.
    pub fn arrive(&mut self, now: Instant, wire: &mut Wire, head: &Head, uri: &Uri, path: Path) -> Arrival {
        let key = key(head, &head.method, uri);
        if let Some(server) = self.by_key.get(key.as_slice()).and_then(|id| self.servers.get(id)) {
            if let Some(last) = &server.last {
                wire.send(server.path, last.clone());
            }
            return Arrival::Absorbed;
        }
        let merge = head.callee_tag().is_none().then(|| merge_key(head));
        if merge.as_ref().is_some_and(|m| self.by_merge.contains_key(m.as_slice())) {
            return Arrival::Merged;
        }
        if self.servers.len() >= self.max {
            return Arrival::Full;
        }
        let id = ServerId(wire.id());
        let key = key.into_boxed_slice();
        let merge = merge.map(Vec::into_boxed_slice);
        self.by_key.insert(key.clone(), id);
        if let Some(merge) = &merge {
            self.by_merge.insert(merge.clone(), id);
        }
        let invite = head.method == Method::Invite;
        let server = Server {
            key,
            merge,
            path,
            invite,
            session: None,
            state: ServerState::Proceeding,
            last: None,
            pause: T1,
            retransmit: None,
            // How long an INVITE may wait is its session's to say.
            end: (!invite).then(|| now + UNANSWERED_MAX),
            scheduled: None,
        };
        self.servers.insert(id, server);
        self.schedule_server(wire, id);
        Arrival::New(id)
    }

    /// Whether there is a server transaction with this key.
    pub fn has(&self, key: &[u8]) -> bool {
        self.by_key.contains_key(key)
    }

    /// Whether a response with this branch answers a request of ours.
    pub fn awaits(&self, branch: &[u8]) -> bool {
        let Some((nonce, id)) = nonce_of(branch) else { return false };
        let is = |cancel| self.clients.get(&ClientId { id, cancel }).is_some_and(|client| client.nonce == nonce);
        is(false) || is(true)
    }

    /// Takes an ACK. `true` where it belongs to a non-2xx final response and so ends here (RFC 3261 section 17.2.1).
    pub fn acknowledge(&mut self, now: Instant, wire: &mut Wire, head: &Head, uri: &Uri) -> bool {
        let key = key(head, &Method::Invite, uri);
        let Some(&id) = self.by_key.get(key.as_slice()) else { return false };
        let Some(server) = self.servers.get_mut(&id) else { return false };
        match server.state {
            ServerState::Completed => {
                server.state = ServerState::Confirmed;
                server.retransmit = None;
                server.last = None;
                self.linger(now, wire, id, T4); // timer I
                true
            }
            ServerState::Confirmed => true,
            ServerState::Proceeding | ServerState::Accepted => false,
        }
    }

    /// The INVITE that a CANCEL names (RFC 3261 section 9.2): its transaction, and its session where it has one.
    pub fn cancelled(&self, head: &Head, uri: &Uri) -> Option<(ServerId, Option<SessionId>)> {
        let key = key(head, &Method::Invite, uri);
        let id = *self.by_key.get(key.as_slice())?;
        Some((id, self.servers.get(&id)?.session))
    }

    /// Notes whose INVITE a transaction is, for CANCEL.
    pub fn assign(&mut self, id: ServerId, session: SessionId) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.session = Some(session);
        }
    }

    /// Sends a response.
    pub fn respond(&mut self, now: Instant, wire: &mut Wire, id: ServerId, status: u16, bytes: Bytes) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        if server.state != ServerState::Proceeding {
            return;
        }
        wire.send(server.path, bytes.clone());
        let reliable = server.path.transport.is_stream();
        match (status, server.invite) {
            (100..=199, _) => server.last = Some(bytes),
            (200..=299, true) => {
                server.state = ServerState::Accepted;
                server.last = None;
                self.linger(now, wire, id, TIMEOUT); // timer L
            }
            (_, true) => {
                server.state = ServerState::Completed;
                server.last = Some(bytes);
                server.retransmit = (!reliable).then(|| now + T1); // timer G
                server.end = Some(now + TIMEOUT); // timer H
                self.schedule_server(wire, id);
            }
            (_, false) => {
                server.state = ServerState::Completed;
                server.last = Some(bytes);
                self.linger(now, wire, id, TIMEOUT); // timer J
            }
        }
    }

    /// Forgets a transaction that nobody answered.
    pub fn abandon(&mut self, id: ServerId) {
        let Some(server) = self.servers.remove(&id) else { return };
        self.by_key.remove(&server.key);
        if let Some(merge) = &server.merge {
            self.by_merge.remove(merge);
        }
    }

    /// Waits for retransmissions; not on a reliable transport, where there are none. RFC 6026 section 8.7 keeps an
    /// accepted INVITE on any transport.
    fn linger(&mut self, now: Instant, wire: &mut Wire, id: ServerId, time: Duration) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        if server.path.transport.is_stream() && server.state != ServerState::Accepted {
            self.abandon(id);
            return;
        }
        server.end = Some(now + time);
        self.schedule_server(wire, id);
    }

    fn schedule_server(&mut self, wire: &mut Wire, id: ServerId) {
        if let Some(server) = self.servers.get_mut(&id) {
            let due = earlier(server.retransmit, server.end);
            wire.wake(Wake::Server(id.0), due, &mut server.scheduled);
        }
    }

    /// Runs a server transaction's timers.
    pub fn wake_server(&mut self, now: Instant, wire: &mut Wire, id: ServerId, at: Instant) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        if server.scheduled == Some(at) {
            server.scheduled = None;
        }
        if server.end.is_some_and(|end| end <= now) {
            if server.state == ServerState::Completed && server.invite {
                wire.count("ack-missing"); // timer H
            } else if server.state == ServerState::Proceeding {
                wire.count("request-unanswered");
            }
            self.abandon(id);
            return;
        }
        if server.retransmit.is_some_and(|due| due <= now) {
            if let Some(last) = &server.last {
                wire.send(server.path, last.clone());
            }
            server.pause = (server.pause * 2).min(T2);
            server.retransmit = Some(now + server.pause);
        }
        self.schedule_server(wire, id);
    }

    // ---- client side ----

    /// Number and branch of a request to be sent.
    pub fn branch(&self, wire: &mut Wire) -> Branch {
        Branch { id: ClientId { id: wire.id(), cancel: false }, nonce: wire.random() }
    }

    /// Sends a request whose top Via has `branch`.
    pub fn request(&mut self, now: Instant, wire: &mut Wire, branch: Branch, path: Path, owner: Owner, bytes: Bytes) {
        let stream = self.too_large(&path, &bytes);
        let (path, bytes, datagram) = match stream {
            Some((by_stream, whole)) => (by_stream, whole, Some((path, bytes))),
            None => (path, bytes, None),
        };
        let full = self.clients.len() >= self.max;
        if full {
            wire.count("requests-full");
        } else {
            wire.send(path, bytes.clone());
        }
        let invite = matches!(owner, Owner::Invite(_) | Owner::Reinvite(_));
        let retransmit = match (&datagram, path.transport.is_stream()) {
            // Who hears an INVITE says so within 200 ms (RFC 3261 section 17.2.1); any other request may take its time.
            (Some(_), _) if invite => Some(now + STREAM_MAX),
            (_, true) => None,
            (_, false) => Some(now + T1),
        };
        let client = Client {
            nonce: branch.nonce,
            path,
            invite,
            owner,
            state: if full { ClientState::Unsent } else { ClientState::Calling },
            bytes,
            datagram,
            ack_tag: None,
            ack_path: path,
            forks: Vec::new(),
            pause: T1,
            retransmit: retransmit.filter(|_| !full),
            // One that was not sent ends at once, as if the transport had failed.
            end: Some(if full { now } else { now + TIMEOUT }),
            scheduled: None,
        };
        self.hanging.moved(branch.id, 0, path.connection);
        self.clients.insert(branch.id, client);
        self.schedule_client(wire, branch.id);
    }

    /// Path and octets of a request that is too large for a datagram: by TCP to the same server, and with a Via that says
    /// so (RFC 3261 section 18.1.1).
    fn too_large(&self, path: &Path, bytes: &Bytes) -> Option<(Path, Bytes)> {
        if path.transport != Transport::Udp || bytes.len() <= DATAGRAM_MAX {
            return None;
        }
        let own = path.local.ip();
        let everywhere = |ip: IpAddr| ip.is_unspecified() && ip.is_ipv4() == own.is_ipv4();
        let listener = self.streams.iter().find(|local| local.ip() == own || everywhere(local.ip()))?;
        let local = SocketAddr::new(own, listener.port());
        let old = format!("\r\nVia: SIP/2.0/UDP {};", path.local);
        let at = bytes.windows(old.len()).position(|window| window == old.as_bytes())?;
        let (head, rest) = (bytes.get(..at)?, bytes.get(at + old.len()..)?);
        let via = format!("\r\nVia: SIP/2.0/TCP {local};");
        let by_stream = Path::new(Transport::Tcp, local, path.remote);
        Some((by_stream, [head, via.as_bytes(), rest].concat().into()))
    }

    /// TCP does not lead to the server: the request goes by UDP (RFC 3261 section 18.1.1). `false`: it went by what it has.
    fn fall_back(&mut self, now: Instant, wire: &mut Wire, id: ClientId) -> bool {
        let Some(client) = self.clients.get_mut(&id) else { return false };
        let Some((path, bytes)) = client.datagram.take().filter(|_| client.state == ClientState::Calling) else {
            return false;
        };
        wire.count("stream-fell-back");
        wire.send(path, bytes.clone());
        self.hanging.moved(id, client.path.connection, path.connection);
        (client.path, client.ack_path, client.bytes) = (path, path, bytes);
        client.retransmit = Some(now + client.pause);
        self.schedule_client(wire, id);
        true
    }

    /// Sends CANCEL for an INVITE that is still unanswered (RFC 3261 section 9.1), and gives the INVITE 64*T1 to end.
    pub fn cancel(&mut self, now: Instant, wire: &mut Wire, invite: ClientId, extra: &str) {
        let Some(client) = self.clients.get_mut(&invite) else { return };
        if client.state != ClientState::Proceeding {
            return;
        }
        client.end = Some(now + TIMEOUT);
        let bytes = derive(&client.bytes, "CANCEL", None, extra);
        let (path, nonce) = (client.path, client.nonce);
        self.schedule_client(wire, invite);
        let branch = Branch { id: ClientId { cancel: true, ..invite }, nonce };
        self.request(now, wire, branch, path, Owner::Cancel, bytes);
    }

    /// Takes a response. `to` is its To header's value.
    pub fn response(&mut self, now: Instant, wire: &mut Wire, head: &Head, status: u16, to: &[u8]) -> Answer {
        let Some((nonce, id)) = head.via.branch().and_then(nonce_of) else { return Answer::Stray };
        let id = ClientId { id, cancel: head.method == Method::Cancel };
        let Some(client) = self.clients.get_mut(&id).filter(|c| c.nonce == nonce) else { return Answer::Stray };
        if client.invite != (head.method == Method::Invite) {
            return Answer::Stray;
        }
        let pass = Answer::Pass(id, client.owner);
        if client.datagram.take().is_some() {
            client.retransmit = None;
        }
        match (client.state, status) {
            (ClientState::Calling | ClientState::Proceeding, 100..=199) => {
                if client.invite {
                    if client.state == ClientState::Calling {
                        client.end = Some(now + PROCEEDING_MAX); // timer B runs in Calling only
                    }
                    client.retransmit = None;
                } else if client.retransmit.is_some() {
                    client.pause = T2; // RFC 3261 section 17.1.2.2
                }
                client.state = ClientState::Proceeding;
                pass
            }
            (ClientState::Calling | ClientState::Proceeding, 200..=299) if client.invite => {
                client.state = ClientState::Accepted;
                client.bytes = Bytes::new();
                self.settle(now, wire, id, TIMEOUT); // timer M
                pass
            }
            (ClientState::Calling | ClientState::Proceeding, _) => {
                client.state = ClientState::Completed;
                let time = if client.invite {
                    client.bytes = derive(&client.bytes, "ACK", Some(to), "");
                    wire.send(client.path, client.bytes.clone());
                    TIMEOUT // timer D
                } else {
                    client.bytes = Bytes::new();
                    T4 // timer K
                };
                self.settle(now, wire, id, time);
                pass
            }
            (ClientState::Completed, 300..=699) if client.invite => {
                wire.send(client.path, client.bytes.clone());
                Answer::Absorbed
            }
            (ClientState::Accepted, 200..=299) => match &client.ack_tag {
                Some(tag) if head.callee_tag() == Some(tag.as_slice()) => {
                    wire.send(client.ack_path, client.bytes.clone());
                    Answer::Absorbed
                }
                _ => pass,
            },
            _ => Answer::Absorbed,
        }
    }

    /// Sends the ACK for the 2xx with `tag`, now and whenever that 2xx comes again (RFC 3261 section 13.2.2.4).
    pub fn acknowledge_2xx(&mut self, wire: &mut Wire, id: ClientId, tag: Vec<u8>, path: Path, ack: Bytes) {
        wire.send(path, ack.clone());
        if let Some(client) = self.clients.get_mut(&id).filter(|c| c.ack_tag.is_none()) {
            client.ack_tag = Some(tag);
            client.ack_path = path;
            client.bytes = ack;
        }
    }

    /// What the 2xx with `tag`, not that of the dialog, to INVITE `id` gets. At most [`FORKS_MAX`] forks are ended.
    pub fn end_fork(&mut self, id: ClientId, tag: &[u8]) -> ForkEnd {
        let Some(client) = self.clients.get_mut(&id) else { return ForkEnd::Nothing };
        if let Some(fork) = client.forks.iter_mut().find(|fork| fork.tag == tag) {
            fork.acks = fork.acks.saturating_add(1);
            return if fork.acks <= FORK_ACKS_MAX { ForkEnd::Ack } else { ForkEnd::Nothing };
        }
        if client.forks.len() >= FORKS_MAX {
            return ForkEnd::Nothing;
        }
        client.forks.push(Fork { tag: tag.to_vec(), acks: 1 });
        ForkEnd::Both
    }

    /// Waits for retransmitted responses. On a reliable transport only an accepted INVITE does (RFC 6026 section 8.4).
    fn settle(&mut self, now: Instant, wire: &mut Wire, id: ClientId, time: Duration) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.path.transport.is_stream() && client.state != ClientState::Accepted {
            self.remove_client(id);
            return;
        }
        client.retransmit = None;
        client.end = Some(now + time);
        self.schedule_client(wire, id);
    }

    fn schedule_client(&mut self, wire: &mut Wire, id: ClientId) {
        if let Some(client) = self.clients.get_mut(&id) {
            let due = earlier(client.retransmit, client.end);
            wire.wake(Wake::Client(id.id, id.cancel), due, &mut client.scheduled);
        }
    }

    /// Runs a client transaction's timers. `Some` when it ended without a final response: the status that stands for
    /// one (RFC 3261 section 8.1.3.1).
    pub fn wake_client(&mut self, now: Instant, wire: &mut Wire, id: ClientId, at: Instant) -> Option<(Owner, u16)> {
        let client = self.clients.get_mut(&id)?;
        if client.scheduled == Some(at) {
            client.scheduled = None;
        }
        if client.end.is_some_and(|end| end <= now) {
            let client = self.remove_client(id)?;
            return match client.state {
                ClientState::Unsent => Some((client.owner, 503)),
                ClientState::Calling | ClientState::Proceeding => Some((client.owner, 408)),
                ClientState::Completed | ClientState::Accepted => None,
            };
        }
        if client.retransmit.is_some_and(|due| due <= now) && client.datagram.is_some() {
            self.fall_back(now, wire, id);
            return None;
        }
        if client.retransmit.is_some_and(|due| due <= now) {
            wire.send(client.path, client.bytes.clone());
            client.pause = match (client.invite, client.state) {
                (true, _) => client.pause * 2,            // timer A
                (false, ClientState::Proceeding) => T2,   // timer E
                (false, _) => (client.pause * 2).min(T2), // timer E
            };
            client.retransmit = Some(now + client.pause);
        }
        self.schedule_client(wire, id);
        None
    }

    fn remove_client(&mut self, id: ClientId) -> Option<Client> {
        let client = self.clients.remove(&id)?;
        self.hanging.moved(id, client.path.connection, 0);
        Some(client)
    }

    /// A connection is gone (RFC 3261 section 17.1.4): as [`fail`](Self::fail).
    pub fn connection_closed(&mut self, now: Instant, wire: &mut Wire, connection: u64) -> Vec<Owner> {
        self.fail(now, wire, self.hanging.on(connection))
    }

    /// Nothing goes by a path: the same.
    pub fn path_failed(&mut self, now: Instant, wire: &mut Wire, path: &Path) -> Vec<Owner> {
        let mut ids: Vec<_> = self.clients.iter().filter(|(_, c)| c.path == *path).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        self.fail(now, wire, ids)
    }

    /// Ends those requests that are unanswered, but for those that can go another way.
    fn fail(&mut self, now: Instant, wire: &mut Wire, mut ids: Vec<ClientId>) -> Vec<Owner> {
        let unanswered = |c: &Client| matches!(c.state, ClientState::Calling | ClientState::Proceeding);
        ids.retain(|id| self.clients.get(id).is_some_and(unanswered) && !self.fall_back(now, wire, *id));
        ids.into_iter().filter_map(|id| self.remove_client(id)).map(|c| c.owner).collect()
    }

    pub fn check_invariants(&self) {
        assert_eq!(self.servers.len(), self.by_key.len());
        for (id, server) in &self.servers {
            assert_eq!(self.by_key.get(&server.key), Some(id));
            assert!(server.merge.as_ref().is_none_or(|m| self.by_merge.contains_key(m)));
            let waits = server.state == ServerState::Proceeding && server.invite;
            assert!(waits || server.end.is_some() && server.scheduled.is_some(), "a transaction that never ends");
        }
        self.hanging.check(self.clients.iter().map(|(id, client)| (*id, client.path.connection)));
        for client in self.clients.values() {
            assert!(client.end.is_some() && client.scheduled.is_some(), "a transaction that never ends");
        }
    }
}

/// Nonce and number of a branch of ours.
fn nonce_of(branch: &[u8]) -> Option<(u64, u64)> {
    let rest = std::str::from_utf8(branch.strip_prefix(COOKIE.as_bytes())?).ok()?;
    let nonce = u64::from_str_radix(rest.get(..16)?, 16).ok()?;
    Some((nonce, u64::from_str_radix(rest.get(16..)?, 16).ok()?))
}

/// What a request's transaction is matched by (RFC 3261 section 17.2.3).
fn key(head: &Head, method: &Method, uri: &Uri) -> Vec<u8> {
    let via = &head.via;
    let mut key = key_start(via, method);
    match unique_branch(via) {
        Some(branch) => key.extend_from_slice(branch),
        None => {
            // A peer of RFC 2543: its branch, if any, is not unique by itself.
            key.extend_from_slice(via.branch().unwrap_or_default());
            for part in [head.caller_tag(), &head.call_id] {
                key.push(0);
                key.extend_from_slice(part);
            }
            let _ = write!(key, "\0{}\0", head.cseq);
            uri.write_to(&mut key);
        }
    }
    key
}

/// The same for an INVITE of which only the Via was read; `None` where its branch alone does not tell it.
pub(super) fn key_of_invite(via: &Via) -> Option<Vec<u8>> {
    let mut key = key_start(via, &Method::Invite);
    key.extend_from_slice(unique_branch(via)?);
    Some(key)
}

fn key_start(via: &Via, method: &Method) -> Vec<u8> {
    let mut key = Vec::with_capacity(96);
    let _ = write!(key, "{}", via.host);
    key.make_ascii_lowercase();
    let _ = write!(key, ":{}\0", via.port.unwrap_or(0));
    key.extend_from_slice(method.as_bytes());
    key.push(0);
    key
}

/// A branch that is unique by itself (RFC 3261 section 8.1.1.7).
fn unique_branch(via: &Via) -> Option<&[u8]> {
    via.branch().filter(|b| b.len() > COOKIE.len() && b.starts_with(COOKIE.as_bytes()))
}

/// What a merged request is told by (RFC 3261 section 8.2.2.2).
fn merge_key(head: &Head) -> Vec<u8> {
    let mut key = Vec::with_capacity(96);
    for part in [head.call_id.as_slice(), head.caller_tag(), head.method.as_bytes()] {
        key.extend_from_slice(part);
        key.push(0);
    }
    key.extend_from_slice(&head.cseq.to_be_bytes());
    key
}

/// The ACK (RFC 3261 section 17.1.1.3) or CANCEL (section 9.1) for an INVITE that our writer made.
fn derive(invite: &[u8], method: &str, to: Option<&[u8]>, extra: &str) -> Bytes {
    let mut out = Vec::with_capacity(480);
    for (i, row) in invite.split(|&b| b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l)).enumerate() {
        if row.is_empty() {
            break;
        }
        let is = |name: &[u8]| row.starts_with(name);
        if i == 0 {
            out.extend_from_slice(method.as_bytes());
            out.extend_from_slice(row.strip_prefix(b"INVITE").unwrap_or(row));
        } else if is(b"To: ")
            && let Some(to) = to
        {
            out.extend_from_slice(b"To: ");
            out.extend_from_slice(to);
        } else if is(b"CSeq: ") {
            out.extend_from_slice(row.strip_suffix(b"INVITE").unwrap_or(row));
            out.extend_from_slice(method.as_bytes());
        } else if [
            &b"Via: "[..],
            b"Route: ",
            b"Max-Forwards: ",
            b"From: ",
            b"To: ",
            b"Call-ID: ",
            b"Authorization: ",
            b"Proxy-Authorization: ",
        ]
        .iter()
        .any(|name| is(name))
        {
            // RFC 3261 section 22.1: an ACK carries the credentials of its INVITE.
            out.extend_from_slice(row);
        } else {
            continue;
        }
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(extra.as_bytes());
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    Bytes::from(out)
}
