//! DTLS handshakes that bring the keys of SRTP (RFC 5763, RFC 5764), on a thread of their own: one takes milliseconds of
//! public-key arithmetic, and the media thread has none to spare.
//!
//! The media thread hands on what arrives ([`Order`]) and sends what comes back ([`Outcome`]); it never waits. A record
//! that finds the queue full is lost, as on any network, and the peer repeats it. The machine itself is `dimpl`: DTLS 1.2,
//! certificates with ECDSA keys.
//!
//! Anybody can send records to a port. Where the peer begins, each source has a machine of its own, a few to a port, and the
//! first with the described certificate wins. Where we begin there is one: what comes from the peer's host can end it, and
//! another follows until the time is over. Only hosts that signalling knows can make a
//! port fail, and only after they showed that they are at their address; at once only the described address itself, as
//! behind a NAT several live at one host.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate, KeyingMaterial, Output, SrtpProfile};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::EncodePrivateKey;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::base::{Bound, PortId};
use crate::edge::clock::Clock;
use crate::proto::sdp::Fingerprint;
use crate::proto::srtp::{MasterKey, Suite};

/// Handshakes under way at once; a further one is refused.
pub const HANDSHAKES_MAX: usize = 512;
/// While so many are under way strangers begin none.
const SHARED_MAX: usize = HANDSHAKES_MAX / 2;
/// Orders on their way to the thread at most.
pub const ORDERS: usize = 2_048;
/// Outcomes on their way to the media thread at most; the handshake thread waits for room.
pub const OUTCOMES: usize = 2_048;

/// What the thread has to do, for `status`.
#[derive(Default, Debug)]
pub struct Gauges {
    /// Orders that wait.
    pub waiting: AtomicUsize,
    /// Orders that found no room.
    pub lost: AtomicU64,
    /// Handshakes under way.
    pub running: AtomicUsize,
    /// Handshakes that were too many.
    pub refused: AtomicU64,
}

impl Gauges {
    /// Both bounds.
    pub fn bounds(&self) -> [Bound; 2] {
        let (waiting, lost) = (self.waiting.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed));
        let (running, refused) = (self.running.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed));
        [
            Bound::new("dtls-orders", waiting, ORDERS, lost),
            Bound::new("dtls-handshakes", running, HANDSHAKES_MAX, refused),
        ]
    }
}

/// How long a peer that is to begin may take until its first record. A phone may begin only when it is answered, and an
/// unanswered caller is cut after 300 s.
const FIRST_RECORD_MAX: Duration = Duration::from_secs(330);
/// How long a handshake may take: from its first record, and from the answer of the call.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long a finished one still answers a peer that repeats its last flight (RFC 6347 section 4.2.4).
const SETTLE: Duration = Duration::from_secs(10);
/// First interval of retransmission; it doubles (RFC 6347 section 4.2.4.1 allows less than 1 s).
const FLIGHT_RTO: Duration = Duration::from_millis(400);
/// Handshakes that strangers may have under way with a port; the oldest goes for a further one.
const STRANGERS_MAX: usize = 2;
/// The same of hosts that signalling knows, until they showed that they are at their address.
const UNPROVED_MAX: usize = 4;
/// Handshakes that strangers may begin with a port in all; of hosts that signalling knows those count that got somewhere.
const ATTEMPTS_MAX: u8 = 16;
/// A record of ours and its UDP and IP headers fit an Ethernet frame.
const RECORD_MAX: usize = 1_200;
/// Longest wait of the thread when nothing is due.
const IDLE: Duration = Duration::from_secs(3_600);

/// Our certificate with its key: made at each start, signed by itself. Peers know it by its fingerprint.
#[derive(Clone)]
pub struct Identity {
    certificate: DtlsCertificate,
    fingerprint: Fingerprint,
}

impl Identity {
    /// Makes one with a new key on P-256.
    ///
    /// # Errors
    /// No entropy, or a key that cannot be written.
    pub fn generate() -> io::Result<Identity> {
        let key = loop {
            let mut secret = Zeroizing::new([0; 32]);
            rustix::rand::getrandom(secret.as_mut_slice(), rustix::rand::GetRandomFlags::empty())?;
            // All but about one of 2^32 numbers are keys.
            if let Ok(key) = SigningKey::from_slice(secret.as_slice()) {
                break key;
            }
        };
        let certificate = certificate(&key);
        let private_key = key.to_pkcs8_der().map_err(io::Error::other)?.as_bytes().to_vec();
        let fingerprint = Fingerprint(Sha256::digest(&certificate).into());
        Ok(Identity { certificate: DtlsCertificate { certificate, private_key }, fingerprint })
    }

    /// What our session descriptions say of it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint)
    }
}

/// A certificate (RFC 5280 section 4.1) as short as it can be, in DER (X.690). Nobody looks at its name and dates: it
/// counts because its fingerprint is in the signalling.
fn certificate(key: &SigningKey) -> Vec<u8> {
    // ecdsa-with-SHA256 (RFC 5758 section 3.2); id-ecPublicKey with prime256v1 (RFC 5480 section 2.1.1).
    const SIGNATURE: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    const KEY: &[u8] = &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    const COMMON_NAME: &[u8] = &[0x06, 3, 0x55, 4, 3];
    const SEQUENCE: u8 = 0x30;
    let point = key.verifying_key().to_sec1_point(false);
    let name = der(0x31, &[&der(SEQUENCE, &[COMMON_NAME, &der(0x0c, &[b"cordboard"])])]);
    let name = der(SEQUENCE, &[&name]);
    let validity = der(SEQUENCE, &[&der(0x17, &[b"200101000000Z"]), &der(0x17, &[b"491231235959Z"])]);
    let public = der(SEQUENCE, &[&der(SEQUENCE, &[KEY]), &der(0x03, &[&[0], point.as_bytes()])]);
    let algorithm = der(SEQUENCE, &[SIGNATURE]);
    // The first octets of the point tell certificates apart; positive and not zero.
    let serial = [&[1], point.as_bytes().get(1..9).unwrap_or_default()].concat();
    let version = der(0xa0, &[&der(0x02, &[&[2]])]);
    let body = der(SEQUENCE, &[&version, &der(0x02, &[&serial]), &algorithm, &name, &validity, &name, &public]);
    let signature: DerSignature = key.sign(&body);
    der(SEQUENCE, &[&body, &algorithm, &der(0x03, &[&[0], signature.as_bytes()])])
}

/// A value of DER: tag, length, parts one after the other.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut value = vec![tag];
    match u8::try_from(len) {
        Ok(short) if short < 0x80 => value.push(short),
        Ok(long) => value.extend([0x81, long]),
        Err(_) => {
            value.push(0x82);
            value.extend(u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    parts.iter().for_each(|part| value.extend_from_slice(part));
    value
}

/// What the thread is told.
#[derive(Debug)]
pub enum Order {
    /// A port needs keys. The same handshake again tells where its peer is now, or that the call is answered.
    Begin {
        /// The port.
        port: PortId,
        /// Which of the port's handshakes it is.
        generation: u32,
        /// Where its peer takes RTP.
        remote: SocketAddr,
        /// Where its peer's signalling comes from.
        signalling: IpAddr,
        /// Whether we begin.
        active: bool,
        /// The peer's certificate.
        fingerprint: Fingerprint,
        /// The call is answered: a peer that is to begin has nothing more to wait for.
        answered: bool,
    },
    /// A datagram with DTLS records came for a port.
    Record {
        /// The port.
        port: PortId,
        /// From where.
        from: SocketAddr,
        /// As it came.
        datagram: Box<[u8]>,
    },
    /// The port needs no keys any more.
    End {
        /// The port.
        port: PortId,
    },
}

/// What the thread tells.
#[derive(Debug)]
pub enum Outcome {
    /// Send a datagram from a port's socket.
    Send {
        /// The port.
        port: PortId,
        /// Of which handshake, as in [`Order::Begin`].
        generation: u32,
        /// To where.
        to: SocketAddr,
        /// What.
        datagram: Vec<u8>,
    },
    /// Both sides have the same keys, and the peer's certificate is the one it said.
    Keys {
        /// The port.
        port: PortId,
        /// Of which handshake.
        generation: u32,
        /// What we protect with.
        send: MasterKey,
        /// What the peer protects with.
        receive: MasterKey,
    },
    /// There are no keys, and will be none.
    Failed {
        /// The port.
        port: PortId,
        /// Of which handshake.
        generation: u32,
        /// Why, a stable word.
        reason: &'static str,
    },
}

/// The handshakes of a port: at the end one of them counts.
struct Port {
    generation: u32,
    active: bool,
    fingerprint: Fingerprint,
    remote: SocketAddr,
    signalling: IpAddr,
    candidates: Vec<Candidate>,
    /// Handshakes begun by strangers, and those of hosts that signalling knows that got somewhere.
    attempts: [u8; 2],
    /// Why it fails, if it does when its time is over.
    reason: &'static str,
    /// When it fails. `None`: it came to its end, one way or the other.
    deadline: Option<Instant>,
}

/// A handshake with one source.
struct Candidate {
    peer: SocketAddr,
    known: bool,
    machine: Box<Dtls>,
    verified: bool,
    keys: Option<(MasterKey, MasterKey)>,
    /// It showed that it gets what we send to its address (RFC 6347 section 4.2.1), or we began.
    proved: bool,
    /// It had something to send when it was called last.
    answered: bool,
    /// Its keys are in use.
    done: bool,
    /// When the machine wants to be called.
    due: Instant,
    /// When it is over at the latest.
    deadline: Instant,
}

/// What a machine said.
enum Said {
    /// Nothing that ends anything.
    More,
    /// The peer has another certificate than its description says.
    Stranger,
    /// The handshake is complete.
    Keys(MasterKey, MasterKey),
}

impl Candidate {
    /// Takes what the machine has to say.
    fn pump(
        &mut self,
        (port, generation): (PortId, u32),
        wanted: Fingerprint,
        active: bool,
        buffer: &mut Vec<u8>,
        tell: &mut impl FnMut(Outcome),
    ) -> Said {
        let mut stranger = false;
        self.answered = false;
        loop {
            match self.machine.poll_output(buffer) {
                Output::Packet(datagram) => {
                    self.proved |= !is_hello(datagram, HELLO_VERIFY_REQUEST);
                    self.answered = true;
                    tell(Outcome::Send { port, generation, to: self.peer, datagram: datagram.to_vec() });
                }
                Output::BufferTooSmall { needed } if needed <= u16::MAX.into() => buffer.resize(needed, 0),
                Output::PeerCert(certificate) => {
                    // RFC 5763 section 5: the certificate must be the one of the description.
                    self.verified = Fingerprint(Sha256::digest(certificate).into()) == wanted;
                    stranger |= !self.verified;
                }
                Output::KeyingMaterial(material, profile) => self.keys = split(&material, profile, active),
                Output::Timeout(at) => {
                    self.due = at;
                    break;
                }
                Output::BufferTooSmall { .. } => break,
                _ => {}
            }
        }
        match self.keys.take_if(|_| self.verified) {
            _ if stranger => Said::Stranger,
            Some((send, receive)) => Said::Keys(send, receive),
            None => Said::More,
        }
    }
}

/// What all handshakes share.
struct Common<F> {
    identity: Identity,
    config: Arc<Config>,
    running: usize,
    refused: u64,
    buffer: Vec<u8>,
    tell: F,
}

impl<F: FnMut(Outcome)> Common<F> {
    /// A new handshake with `peer`, if there is room for one.
    fn candidate(&mut self, now: Instant, peer: SocketAddr, known: bool, active: bool) -> Option<Candidate> {
        if self.running >= if known { HANDSHAKES_MAX } else { SHARED_MAX } {
            self.refused += 1;
            return None;
        }
        self.running += 1;
        let mut machine = Box::new(Dtls::new_12(Arc::clone(&self.config), self.identity.certificate.clone(), now));
        machine.set_active(active);
        let deadline = now + HANDSHAKE_MAX;
        Some(Candidate {
            peer,
            known,
            machine,
            verified: false,
            keys: None,
            proved: active,
            answered: false,
            done: false,
            due: now,
            deadline,
        })
    }

    /// A handshake goes that was under way.
    fn forget(&mut self, candidate: &Candidate) {
        self.running = self.running.saturating_sub(usize::from(!candidate.done));
    }
}

impl Port {
    /// Whether signalling knows the host.
    fn knows(&self, host: IpAddr) -> bool {
        host == self.remote.ip() || host == self.signalling
    }

    fn due(&self) -> Option<Instant> {
        let machines = self.candidates.iter().map(|c| c.due.min(c.deadline));
        machines.chain(self.deadline).min()
    }

    fn begin<F: FnMut(Outcome)>(&mut self, now: Instant, id: PortId, common: &mut Common<F>) {
        match common.candidate(now, self.remote, true, true) {
            Some(candidate) => {
                self.candidates.push(candidate);
                self.wake(now, id, common);
            }
            None => self.fail(id, "busy", common),
        }
    }

    /// Calls the machines that are due.
    fn wake<F: FnMut(Outcome)>(&mut self, now: Instant, id: PortId, common: &mut Common<F>) {
        let mut at = 0;
        while let Some(candidate) = self.candidates.get_mut(at) {
            let peer = candidate.peer;
            if candidate.deadline <= now {
                self.lose(now, id, at, "timeout", common);
            } else if candidate.due <= now {
                let woken = candidate.machine.handle_timeout(now);
                self.go_on(now, id, at, woken, common);
            }
            // One that went leaves its place to the next.
            at += usize::from(self.candidates.get(at).is_some_and(|c| c.peer == peer));
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.fail(id, self.reason, common);
        }
    }

    fn record<F: FnMut(Outcome)>(
        &mut self,
        now: Instant,
        id: PortId,
        from: SocketAddr,
        datagram: &[u8],
        common: &mut Common<F>,
    ) {
        // What is due leaves for where the peer was so far.
        self.wake(now, id, common);
        let at = self.candidates.iter().position(|candidate| candidate.peer == from);
        let Some(at) = at.or_else(|| self.admit(now, from, datagram, common)) else { return };
        let Some(candidate) = self.candidates.get_mut(at) else { return };
        let before = std::mem::replace(&mut candidate.peer, from);
        let taken = candidate.machine.handle_timeout(now).and_then(|()| candidate.machine.handle_packet(datagram));
        self.go_on(now, id, at, taken, common);
        // Another port of the peer's host is the peer where the handshake goes on by what comes from there, and else
        // somebody beside it.
        if before != from
            && let Some(candidate) = self.candidates.get_mut(at).filter(|c| c.peer == from && !c.answered && !c.done)
        {
            candidate.peer = before;
        }
    }

    /// A handshake for a source that has none. Returns its place.
    fn admit<F: FnMut(Outcome)>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        common: &mut Common<F>,
    ) -> Option<usize> {
        self.deadline?;
        let known = self.knows(from.ip());
        if self.active {
            // A NAT before the peer may send from another port than the described one. Its first words are of a handshake,
            // and a server's.
            let answers = datagram.first() == Some(&HANDSHAKE) && !is_hello(datagram, CLIENT_HELLO);
            return Some(0).filter(|_| known && answers);
        }
        if !is_hello(datagram, CLIENT_HELLO) {
            return None;
        }
        let [strange, proved] = &mut self.attempts;
        let (attempts, most) = if known { (proved, UNPROVED_MAX) } else { (strange, STRANGERS_MAX) };
        if *attempts >= ATTEMPTS_MAX {
            common.refused += 1;
            return None;
        }
        *attempts += u8::from(!known);
        let candidate = common.candidate(now, from, known, false)?;
        // Anybody can write a known host into a datagram: that removes nobody who showed to be there.
        let of_its_kind = |c: &&Candidate| c.known == known && !(known && c.proved);
        if self.candidates.iter().filter(of_its_kind).count() >= most
            && let Some(oldest) = self.candidates.iter().position(|c| of_its_kind(&c))
        {
            common.forget(&self.candidates.remove(oldest));
        }
        self.candidates.push(candidate);
        Some(self.candidates.len() - 1)
    }

    /// A machine was called.
    fn go_on<F: FnMut(Outcome)>(
        &mut self,
        now: Instant,
        id: PortId,
        at: usize,
        called: Result<(), dimpl::Error>,
        common: &mut Common<F>,
    ) {
        match called {
            Err(dimpl::Error::Timeout(_)) => return self.lose(now, id, at, "timeout", common),
            Err(_) => return self.lose(now, id, at, "handshake", common),
            Ok(()) => {}
        }
        let Some(candidate) = self.candidates.get_mut(at) else { return };
        let proved = candidate.proved;
        let name = (id, self.generation);
        let said = candidate.pump(name, self.fingerprint, self.active, &mut common.buffer, &mut common.tell);
        if candidate.known && candidate.proved && !proved {
            let [_, attempts] = &mut self.attempts;
            *attempts = attempts.saturating_add(1);
        }
        match said {
            Said::More => {}
            Said::Stranger => self.lose(now, id, at, "certificate", common),
            Said::Keys(send, receive) => {
                let mut winner = self.candidates.swap_remove(at);
                self.clear(common);
                common.forget(&winner);
                (winner.done, winner.deadline) = (true, now + SETTLE);
                self.candidates.push(winner);
                self.deadline = None;
                (common.tell)(Outcome::Keys { port: id, generation: self.generation, send, receive });
            }
        }
    }

    /// A handshake is over without keys. The port fails at once only where the peer itself did something that another
    /// attempt will not change; else it has time to begin anew.
    fn lose<F: FnMut(Outcome)>(
        &mut self,
        now: Instant,
        id: PortId,
        at: usize,
        reason: &'static str,
        common: &mut Common<F>,
    ) {
        let lost = self.candidates.remove(at);
        common.forget(&lost);
        let Some(deadline) = self.deadline.filter(|_| lost.known && lost.proved) else { return };
        if reason != "handshake" && lost.peer == self.remote {
            return self.fail(id, reason, common);
        }
        self.reason = reason;
        self.deadline = Some(deadline.min(now + HANDSHAKE_MAX));
        if self.active {
            // Whoever writes the peer's host into a datagram can end a machine: time alone ends the port.
            if let Some(mut candidate) = common.candidate(now, self.remote, true, true) {
                candidate.due = now + FLIGHT_RTO;
                self.candidates.push(candidate);
            }
        }
    }

    fn fail<F: FnMut(Outcome)>(&mut self, id: PortId, reason: &'static str, common: &mut Common<F>) {
        self.clear(common);
        self.deadline = None;
        (common.tell)(Outcome::Failed { port: id, generation: self.generation, reason });
    }

    /// The peer is elsewhere. A handshake that we began and that is under way begins anew there.
    fn relocate<F: FnMut(Outcome)>(
        &mut self,
        now: Instant,
        id: PortId,
        remote: SocketAddr,
        signalling: IpAddr,
        common: &mut Common<F>,
    ) {
        self.signalling = signalling;
        let moved = std::mem::replace(&mut self.remote, remote) != remote;
        if moved && self.active && self.deadline.is_some() {
            self.clear(common);
            self.deadline = Some(now + HANDSHAKE_MAX);
            self.begin(now, id, common);
        }
    }

    /// There is nothing more to wait for before the first record.
    fn hurry(&mut self, now: Instant) {
        self.deadline = self.deadline.map(|deadline| deadline.min(now + HANDSHAKE_MAX));
    }

    /// Whether nothing more is to be done.
    fn is_over(&self) -> bool {
        self.deadline.is_none() && self.candidates.is_empty()
    }

    fn clear<F: FnMut(Outcome)>(&mut self, common: &mut Common<F>) {
        self.candidates.drain(..).for_each(|candidate| common.forget(&candidate));
    }
}

/// All handshakes. Time is an argument.
pub struct Handshakes<F> {
    ports: HashMap<PortId, Port>,
    /// Handshakes that are over, so that none begins anew; by port, with their generation.
    over: HashMap<PortId, u32>,
    /// No port has anything due before.
    due: Option<Instant>,
    common: Common<F>,
}

impl<F: FnMut(Outcome)> Handshakes<F> {
    /// None yet. `tell` takes the outcomes.
    ///
    /// # Errors
    /// The machine refuses its limits.
    pub fn new(identity: Identity, tell: F) -> Result<Self, dimpl::Error> {
        let config =
            Config::builder().mtu(RECORD_MAX).flight_start_rto(FLIGHT_RTO).handshake_timeout(HANDSHAKE_MAX).build()?;
        let buffer = vec![0; RECORD_MAX * 2];
        let common = Common { identity, config: Arc::new(config), running: 0, refused: 0, buffer, tell };
        Ok(Self { ports: HashMap::new(), over: HashMap::new(), due: None, common })
    }

    /// Handshakes under way.
    pub fn running(&self) -> usize {
        self.common.running
    }

    /// Takes an order.
    pub fn handle(&mut self, now: Instant, order: Order) {
        match order {
            Order::Begin { port, generation, remote, signalling, active, fingerprint, answered } => {
                if self.over.get(&port) == Some(&generation) {
                    return;
                }
                match self.ports.get_mut(&port) {
                    Some(entry) if entry.generation == generation => {
                        entry.relocate(now, port, remote, signalling, &mut self.common);
                        if answered {
                            entry.hurry(now);
                        }
                    }
                    _ => {
                        self.end(port);
                        let deadline = Some(now + if active || answered { HANDSHAKE_MAX } else { FIRST_RECORD_MAX });
                        let (candidates, attempts, reason) = (Vec::new(), [0; 2], "timeout");
                        let mut new = Port {
                            generation,
                            active,
                            fingerprint,
                            remote,
                            signalling,
                            candidates,
                            attempts,
                            reason,
                            deadline,
                        };
                        if active {
                            new.begin(now, port, &mut self.common);
                        }
                        self.ports.insert(port, new);
                    }
                }
                self.note(port);
            }
            Order::Record { port, from, datagram } => {
                if let Some(entry) = self.ports.get_mut(&port) {
                    entry.record(now, port, from, &datagram, &mut self.common);
                    self.note(port);
                }
            }
            Order::End { port } => self.end(port),
        }
    }

    /// When [`Handshakes::handle_timeout`] is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Does what is due: retransmissions, and the end of what takes too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        for (id, port) in &mut self.ports {
            if port.due().is_some_and(|due| due <= now) {
                port.wake(now, *id, &mut self.common);
            }
        }
        let over = self.ports.extract_if(|_, port| port.is_over());
        self.over.extend(over.map(|(id, port)| (id, port.generation)));
        self.due = self.ports.values().filter_map(Port::due).min();
    }

    /// A port was called: something of it may be due earlier.
    fn note(&mut self, port: PortId) {
        let due = self.ports.get(&port).and_then(Port::due);
        self.due = self.due.into_iter().chain(due).min();
    }

    fn end(&mut self, port: PortId) {
        self.over.remove(&port);
        if let Some(mut entry) = self.ports.remove(&port) {
            entry.clear(&mut self.common);
        }
    }
}

/// The type of records with handshake messages (RFC 5246 section 6.2.1).
const HANDSHAKE: u8 = 22;
/// Types of handshake messages (RFC 6347 section 4.3.2).
const CLIENT_HELLO: u8 = 1;
const HELLO_VERIFY_REQUEST: u8 = 3;

/// Whether a datagram begins with a handshake message of a type: content type 22, and the type behind the record's
/// header of 13 octets (RFC 6347 section 4.1).
fn is_hello(datagram: &[u8], wanted: u8) -> bool {
    datagram.first() == Some(&HANDSHAKE) && datagram.get(13) == Some(&wanted)
}

/// Takes keying material apart (RFC 5764 section 4.2): both keys, then both salts, the client's first. Returns ours and the
/// peer's.
fn split(material: &KeyingMaterial, profile: SrtpProfile, active: bool) -> Option<(MasterKey, MasterKey)> {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        _ => return None,
    };
    let (keys, salts) = material.split_at_checked(2 * suite.key_len())?;
    let (client_key, server_key) = keys.split_at_checked(suite.key_len())?;
    let (client_salt, server_salt) = salts.split_at_checked(suite.salt_len())?;
    let join = |key: &[u8], salt: &[u8]| MasterKey::new(suite, &Zeroizing::new([key, salt].concat()));
    let (client, server) = (join(client_key, client_salt)?, join(server_key, server_salt)?);
    Some(if active { (client, server) } else { (server, client) })
}

/// Starts the thread. It ends when `orders` has no sender any more. `wake` is called after each outcome.
///
/// # Errors
/// The system refuses the thread, or the machine its limits.
pub fn spawn(
    identity: Identity,
    orders: Receiver<Order>,
    outcomes: SyncSender<Outcome>,
    wake: impl Fn() + Send + 'static,
    clock: Clock,
    gauges: Arc<Gauges>,
) -> io::Result<()> {
    // A media thread that is gone needs none.
    let tell = move |outcome| {
        let _ = outcomes.send(outcome);
        wake();
    };
    let mut handshakes = Handshakes::new(identity, tell).map_err(io::Error::other)?;
    std::thread::Builder::new().name("dtls".into()).spawn(move || {
        let now = || clock.system(clock.mono());
        loop {
            let wait = handshakes.poll_timeout().map_or(IDLE, |due| due.saturating_duration_since(now()));
            match orders.recv_timeout(wait) {
                Ok(order) => {
                    gauges.waiting.fetch_sub(1, Ordering::Relaxed);
                    handshakes.handle(now(), order);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            handshakes.handle_timeout(now());
            gauges.running.store(handshakes.running(), Ordering::Relaxed);
            gauges.refused.store(handshakes.common.refused, Ordering::Relaxed);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests;
