//! DTLS handshakes that bring the keys of SRTP (RFC 5763, RFC 5764), on a thread of their own: one takes milliseconds of
//! public-key arithmetic, and the media thread has none to spare.
//!
//! The media thread hands on what arrives ([`Order`]) and sends what comes back ([`Outcome`]); it never waits. Each port
//! has at most one handshake, all together at most [`HANDSHAKES_MAX`]; a record that finds the queue full is lost, as on any
//! network, and the peer repeats it. The machine itself is `dimpl`: DTLS 1.2, certificates with ECDSA keys.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
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

/// How long a peer that is to begin may take until its first record: a phone may begin only when it is answered.
const FIRST_RECORD_MAX: Duration = Duration::from_secs(60);
/// How long a handshake may take from its first record.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long a finished one still answers a peer that repeats its last flight (RFC 6347 section 4.2.4).
const SETTLE: Duration = Duration::from_secs(10);
/// First interval of retransmission; it doubles (RFC 6347 section 4.2.4.1 allows less than 1 s).
const FLIGHT_RTO: Duration = Duration::from_millis(400);
/// Times that a handshake which fails may begin anew: strangers may send records, too, and each would end it.
const RESTARTS_MAX: u8 = 4;
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
    /// A port needs keys. Without effect where the same handshake was begun for it before.
    Begin {
        /// The port.
        port: PortId,
        /// Where its peer takes RTP.
        remote: SocketAddr,
        /// Whether we begin.
        active: bool,
        /// The peer's certificate.
        fingerprint: Fingerprint,
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
        /// To where.
        to: SocketAddr,
        /// What.
        datagram: Vec<u8>,
    },
    /// Both sides have the same keys, and the peer's certificate is the one it said.
    Keys {
        /// The port.
        port: PortId,
        /// What we protect with.
        send: MasterKey,
        /// What the peer protects with.
        receive: MasterKey,
    },
    /// There are no keys, and will be none.
    Failed {
        /// The port.
        port: PortId,
        /// Why, a stable word.
        reason: &'static str,
    },
}

/// A handshake of a port.
struct Handshake {
    active: bool,
    fingerprint: Fingerprint,
    peer: SocketAddr,
    /// `None` once it is over, one way or the other.
    machine: Option<Box<Dtls>>,
    done: bool,
    verified: bool,
    keys: Option<(MasterKey, MasterKey)>,
    restarts: u8,
    begun: bool,
    /// When the machine wants to be called.
    due: Instant,
    /// When it is over at the latest.
    deadline: Instant,
}

/// All handshakes. Time is an argument.
pub struct Handshakes<F> {
    identity: Identity,
    config: Arc<Config>,
    ports: HashMap<PortId, Handshake>,
    running: usize,
    refused: u64,
    buffer: Vec<u8>,
    tell: F,
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
        Ok(Self { identity, config: Arc::new(config), ports: HashMap::new(), running: 0, refused: 0, buffer, tell })
    }

    /// Handshakes under way.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Takes an order.
    pub fn handle(&mut self, now: Instant, order: Order) {
        match order {
            Order::Begin { port, remote, active, fingerprint } => self.begin(now, port, remote, active, fingerprint),
            Order::Record { port, from, datagram } => self.record(now, port, from, &datagram),
            Order::End { port } => self.end(port),
        }
    }

    /// When [`Handshakes::handle_timeout`] is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.ports.values().filter(|h| h.machine.is_some()).map(|h| h.due.min(h.deadline)).min()
    }

    /// Does what is due: retransmissions, and the end of what takes too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        let is_due = |h: &Handshake| h.machine.is_some() && h.due.min(h.deadline) <= now;
        let due: Vec<PortId> = self.ports.iter().filter(|(_, h)| is_due(h)).map(|(port, _)| *port).collect();
        for port in due {
            let Some(handshake) = self.ports.get_mut(&port) else { continue };
            if handshake.deadline <= now {
                if handshake.done {
                    self.close(port);
                } else {
                    self.fail(port, "timeout");
                }
                continue;
            }
            match handshake.machine.as_mut().map(|machine| machine.handle_timeout(now)) {
                Some(Err(dimpl::Error::Timeout(_))) => self.fail(port, "timeout"),
                Some(Err(_)) => self.restart(now, port),
                Some(Ok(())) | None => self.pump(now, port),
            }
        }
    }

    fn begin(&mut self, now: Instant, port: PortId, remote: SocketAddr, active: bool, fingerprint: Fingerprint) {
        if self.ports.get(&port).is_some_and(|h| h.active == active && h.fingerprint == fingerprint) {
            return;
        }
        self.end(port);
        if self.running >= HANDSHAKES_MAX {
            self.refused += 1;
            return (self.tell)(Outcome::Failed { port, reason: "busy" });
        }
        let handshake = Handshake {
            active,
            fingerprint,
            peer: remote,
            machine: Some(self.machine(now, active)),
            done: false,
            verified: false,
            keys: None,
            restarts: 0,
            begun: active,
            due: now,
            deadline: now + if active { HANDSHAKE_MAX } else { FIRST_RECORD_MAX },
        };
        self.running += 1;
        self.ports.insert(port, handshake);
        if active {
            self.handle_timeout(now);
        }
        self.pump(now, port);
    }

    fn machine(&self, now: Instant, active: bool) -> Box<Dtls> {
        let mut machine = Dtls::new_12(Arc::clone(&self.config), self.identity.certificate.clone(), now);
        machine.set_active(active);
        Box::new(machine)
    }

    fn record(&mut self, now: Instant, port: PortId, from: SocketAddr, datagram: &[u8]) {
        let Some(handshake) = self.ports.get_mut(&port) else { return };
        let Some(machine) = &mut handshake.machine else { return };
        if !handshake.begun {
            handshake.begun = true;
            handshake.deadline = now + HANDSHAKE_MAX;
        }
        if !handshake.done {
            handshake.peer = from;
        }
        match machine.handle_timeout(now).and_then(|()| machine.handle_packet(datagram)) {
            Ok(()) => self.pump(now, port),
            // What comes after the keys cannot take them away.
            Err(_) if handshake.done => self.close(port),
            Err(_) => self.restart(now, port),
        }
    }

    /// Takes what a machine has to say.
    fn pump(&mut self, now: Instant, port: PortId) {
        let Some(handshake) = self.ports.get_mut(&port) else { return };
        let Some(machine) = &mut handshake.machine else { return };
        let mut wrong = false;
        loop {
            match machine.poll_output(&mut self.buffer) {
                Output::Packet(datagram) => {
                    let datagram = datagram.to_vec();
                    (self.tell)(Outcome::Send { port, to: handshake.peer, datagram });
                }
                Output::BufferTooSmall { needed } if needed <= u16::MAX.into() => self.buffer.resize(needed, 0),
                Output::PeerCert(certificate) => {
                    // RFC 5763 section 5: the certificate must be the one of the description.
                    handshake.verified = Fingerprint(Sha256::digest(certificate).into()) == handshake.fingerprint;
                    wrong |= !handshake.verified;
                }
                Output::KeyingMaterial(material, profile) => {
                    handshake.keys = split(&material, profile, handshake.active);
                }
                Output::Timeout(at) => {
                    handshake.due = at;
                    break;
                }
                Output::BufferTooSmall { .. } => break,
                _ => {}
            }
        }
        if wrong {
            return self.fail(port, "certificate");
        }
        if handshake.verified
            && let Some((send, receive)) = handshake.keys.take()
        {
            handshake.done = true;
            handshake.deadline = now + SETTLE;
            self.running = self.running.saturating_sub(1);
            (self.tell)(Outcome::Keys { port, send, receive });
        }
    }

    /// Begins anew: what failed may have been a stranger's doing.
    fn restart(&mut self, now: Instant, port: PortId) {
        let Some(handshake) = self.ports.get(&port) else { return };
        if handshake.restarts >= RESTARTS_MAX {
            return self.fail(port, "handshake");
        }
        let machine = self.machine(now, handshake.active);
        if let Some(handshake) = self.ports.get_mut(&port) {
            handshake.restarts += 1;
            handshake.machine = Some(machine);
            (handshake.verified, handshake.keys, handshake.due) = (false, None, now + FLIGHT_RTO);
        }
        self.pump(now, port);
    }

    fn fail(&mut self, port: PortId, reason: &'static str) {
        self.close(port);
        (self.tell)(Outcome::Failed { port, reason });
    }

    /// The machine goes; that there was one for these parameters stays known.
    fn close(&mut self, port: PortId) {
        let Some(handshake) = self.ports.get_mut(&port) else { return };
        if handshake.machine.take().is_some() && !handshake.done {
            self.running = self.running.saturating_sub(1);
        }
    }

    fn end(&mut self, port: PortId) {
        self.close(port);
        self.ports.remove(&port);
    }
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
            gauges.refused.store(handshakes.refused, Ordering::Relaxed);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests;
