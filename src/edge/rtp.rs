//! The media thread: RTP sockets, the 20 ms clock, and the queues to and from the core, around a [`Plane`].
//!
//! The thread waits in `epoll_wait` for packets, for commands (an eventfd), and for the plane's next deadline. Of each
//! socket that is ready it takes one packet a turn, so that a flood on one cannot starve the others; level triggering
//! brings back what is left without a read that finds nothing.
//!
//! It does not sleep to let packets come together, as the turn loop does for messages: measured beside the floor
//! (`tests/bench/figures.sh`) that cost more. A packet that is read as it comes is still in the cache.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use cordboard_hal::Bearer;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{Resource, Rlimit};
use smol::channel::{Sender, TrySendError as EventError};

mod counts;
mod handshakes;

use crate::base::{Bound, Circuit, Instant, PortId};
use crate::core::media::{MediaCommand, MediaEvent};
use crate::dsp::music;
use crate::edge::clock::Clock;
use crate::edge::dtls::{self, Identity, Order, Outcome};
use crate::edge::rtp::counts::{Counts, Dropped, Watch};
use crate::edge::rtp::handshakes::Handshakes;
use crate::media::{EVENTS_MAX, PACKET_MAX, Plane, PlaneConfig, Prompt, RecordSink, SocketKind, Wire};
use crate::proto::sdp::Protection;

/// Commands on their way to the thread at most.
const COMMANDS: usize = 8_192;
/// Sockets served in one turn at most, before commands and frames get theirs.
const READY: usize = 256;
/// Commands done in one turn at most, before packets and frames get theirs.
const COMMANDS_PER_TURN: usize = 256;
/// Socket pairs bound in one turn at most: each takes some eight system calls.
const BIND_PER_TURN: u16 = 16;
/// How soon what found no room in a queue is offered again.
const RETRY: Duration = Duration::from_millis(10);
/// How soon what was dropped is shown while no port is open; the plane has such a period of its own while there are some.
const SHOW: Duration = Duration::from_millis(250);
/// Stale packets discarded at most when a socket is opened again.
const STALE_MAX: usize = 512;
/// Expedited forwarding, DSCP 46 (RFC 3246), in the place of the TOS octet.
const TOS_EF: u8 = 46 << 2;
/// Priority of the thread (Linux has one per thread), as `nice` counts.
const NICE: i32 = -10;
/// The token of the eventfd; sockets have smaller ones.
const WAKE: u64 = u64::MAX;

/// Where RTP lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RtpConfig {
    /// Local address of all sockets.
    pub address: IpAddr,
    /// One of the other family beside it: each pair then has sockets on both, under the same port numbers.
    pub second: Option<IpAddr>,
    /// First UDP port of the range; rounded up to an even one.
    pub port_min: u16,
    /// Last UDP port of the range.
    pub port_max: u16,
}

/// The thread's queue is full: the command was not taken.
#[derive(Debug)]
pub struct Full(MediaCommand);

impl Full {
    /// The command, to be sent again later.
    pub fn into_inner(self) -> MediaCommand {
        self.0
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the media thread's queue is full")
    }
}

impl std::error::Error for Full {}

/// The way to the media thread. Dropping it stops the thread, too, without waiting.
pub struct MediaHandle {
    commands: SyncSender<MediaCommand>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    wake: OwnedFd,
    /// Commands wait and the thread was told.
    pending: AtomicBool,
    /// The thread waits, or is about to: only `wake` can tell it.
    waiting: AtomicBool,
    stopping: AtomicBool,
    /// Commands in the queue.
    commands: AtomicUsize,
    /// Times that a command found no room.
    commands_full: AtomicU64,
    /// Events that wait in the plane, as of the last tick, and those lost.
    events: AtomicUsize,
    events_lost: AtomicU64,
    dropped: Dropped,
    dtls: Arc<dtls::Gauges>,
}

impl Shared {
    fn new(wake: OwnedFd) -> Shared {
        Shared {
            wake,
            pending: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            commands: AtomicUsize::new(0),
            commands_full: AtomicU64::new(0),
            events: AtomicUsize::new(0),
            events_lost: AtomicU64::new(0),
            dropped: Dropped::default(),
            dtls: Arc::default(),
        }
    }

    /// Wakes the thread. One write however many commands follow before it looks, and none where it looks by itself. Each
    /// side says its own before it asks for the other's, in one order for both (`SeqCst`): one of them sees it.
    fn wake(&self) {
        if !self.pending.swap(true, Ordering::SeqCst) && self.waiting.load(Ordering::SeqCst) {
            // It fails only when the counter is full, and then the thread is awake.
            let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        }
    }
}

impl MediaHandle {
    /// Hands a command to the thread, which looks at it when [woken](Self::wake). Never blocks.
    ///
    /// # Errors
    /// The queue is full (or the thread is gone); the command comes back.
    pub fn send(&self, command: MediaCommand) -> Result<(), Full> {
        self.shared.commands.fetch_add(1, Ordering::Relaxed);
        self.commands.try_send(command).map_err(|error| {
            self.shared.commands.fetch_sub(1, Ordering::Relaxed);
            self.shared.commands_full.fetch_add(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(command) | TrySendError::Disconnected(command) => Full(command),
            }
        })
    }

    /// Has the thread look at its commands. Once for all that belong together: on a shared core it runs at once.
    pub fn wake(&self) {
        self.shared.wake();
    }

    /// Bounds with their use. A command that finds no room comes again; an event that finds none is lost.
    pub fn bounds(&self) -> [Bound; 4] {
        let shared = &self.shared;
        let (commands, full) = (&shared.commands, &shared.commands_full);
        let (events, lost) = (&shared.events, &shared.events_lost);
        let [orders, handshakes] = shared.dtls.bounds();
        [
            orders,
            handshakes,
            Bound::new("media-commands", commands.load(Ordering::Relaxed), COMMANDS, full.load(Ordering::Relaxed)),
            Bound::new("plane-events", events.load(Ordering::Relaxed), EVENTS_MAX, lost.load(Ordering::Relaxed)),
        ]
    }

    /// What was dropped since the start, by reason, as of the last look (250 ms ago while there are calls).
    pub fn dropped(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.shared.dropped.read()
    }

    /// Stops the thread once it took all commands sent so far, and waits for its end; recordings are complete then.
    pub fn stop(mut self) {
        self.ask_to_stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the media thread broke down");
        }
    }

    fn ask_to_stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.wake();
    }
}

impl Drop for MediaHandle {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

/// Starts the media thread, and with an `identity` the one for DTLS handshakes. Prompts (8 kHz samples by name) are
/// encoded on it; commands sent meanwhile wait.
///
/// # Errors
/// The system refuses the thread or its descriptors. Sockets are bound on [`MediaCommand::BindSockets`] only.
pub fn spawn(
    config: RtpConfig,
    prompts: HashMap<Arc<str>, Vec<i16>>,
    bearers: Vec<(Circuit, Box<dyn Bearer>)>,
    recorder: impl RecordSink + 'static,
    events: Sender<MediaEvent>,
    clock: Clock,
    identity: Option<Identity>,
) -> io::Result<MediaHandle> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    epoll::add(&epoll, &wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
    let mut seed = [0; 32];
    rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())?;
    raise_descriptor_limit();

    let shared = Arc::new(Shared::new(wake));
    let (commands, inbox) = sync_channel(COMMANDS);
    let handshakes = identity.map(|identity| spawn_handshakes(identity, &shared, clock)).transpose()?;
    let in_thread = shared.clone();
    let thread = std::thread::Builder::new().name("media".into()).spawn(move || {
        raise_priority();
        let plane = Plane::new(PlaneConfig {
            prompts: prompts.into_iter().map(|(name, pcm)| (name, Arc::new(Prompt::new(&pcm)))).collect(),
            music: Arc::new(Prompt::new(&music::hold())),
            bearers,
            recorder: Box::new(recorder),
            seed,
        });
        let (orders, outcomes) = handshakes.unzip();
        let sockets = Sockets::new(config, epoll, Handshakes::new(orders, Arc::clone(&in_thread.dtls)));
        Engine {
            clock,
            shared: in_thread,
            inbox,
            outcomes,
            to_bind: 0,
            bound: Vec::new(),
            events,
            undelivered: None,
            sockets,
            plane,
            watch: Watch::default(),
            shown: Counts::default(),
            shown_at: Instant::ZERO,
            too_long: 0,
        }
        .run();
    })?;
    Ok(MediaHandle { commands, shared, thread: Some(thread) })
}

/// Two descriptors a leg, four with both families: the usual soft limit of 1,024 would end at 250 calls or half of that.
fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised) {
        log::warn!("media: the limit of open files stays at {:?}: {error}", limit.current);
    }
}

/// A late frame is heard, a late database write is not: the thread asks to be preferred. Without the right to it
/// (CAP_SYS_NICE) all stays as it is.
fn raise_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        log::debug!("media: usual priority: {error}");
    }
}

/// Everything the thread owns.
struct Engine {
    clock: Clock,
    shared: Arc<Shared>,
    inbox: Receiver<MediaCommand>,
    /// What the handshake thread has to say.
    outcomes: Option<Receiver<Outcome>>,
    /// Socket pairs that the core still waits for.
    to_bind: u16,
    /// Those that are ready.
    bound: Vec<u16>,
    events: Sender<MediaEvent>,
    /// An event that found no room.
    undelivered: Option<MediaEvent>,
    sockets: Sockets,
    plane: Plane,
    watch: Watch,
    /// What others see of the counts, and since when.
    shown: Counts,
    shown_at: Instant,
    /// Packets longer than any that is taken.
    too_long: u64,
}

impl Engine {
    fn run(mut self) {
        let mut ready = Vec::with_capacity(READY);
        let mut buffer = [0; PACKET_MAX + 1];
        loop {
            let now = self.wait(&mut ready);
            for event in &ready {
                match event.data.u64() {
                    WAKE => self.settle_wake(),
                    token => self.receive(now, token, &mut buffer),
                }
            }
            let told = self.shared.pending.swap(false, Ordering::SeqCst);
            // Asked after that, so that no word of it is lost, and before the queue is emptied: what was sent before
            // `stop` is done.
            let stopping = self.shared.stopping.load(Ordering::Acquire);
            if told || stopping {
                self.take_commands(now, if stopping { usize::MAX } else { COMMANDS_PER_TURN });
                self.take_outcomes();
            }
            self.bind();
            if self.plane.poll_timeout().is_some_and(|due| due <= now) {
                self.plane.tick(now, &mut self.sockets);
                self.count(now);
            } else if self.watch.is_due(now) || self.count_due().is_some_and(|due| due <= now) {
                self.count(now);
            }
            self.sockets.handshakes.turn(now);
            self.deliver();
            if stopping {
                break;
            }
        }
    }

    /// Fills `ready` with the sockets that have something. Returns when that was: one reading of the clock serves the whole
    /// turn.
    fn wait(&mut self, ready: &mut Vec<epoll::Event>) -> Instant {
        ready.clear();
        let now = self.clock.mono();
        let retry = self.undelivered.is_some() || self.sockets.handshakes.has_untold();
        let retry = retry.then(|| now + RETRY);
        let due = [self.plane.poll_timeout(), retry, self.count_due()].into_iter().flatten().min();
        self.shared.waiting.store(true, Ordering::SeqCst);
        let told = self.shared.pending.load(Ordering::SeqCst);
        self.look(ready, if told { Some(Duration::ZERO) } else { due.map(|due| due - now) });
        self.shared.waiting.store(false, Ordering::SeqCst);
        self.clock.mono()
    }

    fn look(&self, ready: &mut Vec<epoll::Event>, timeout: Option<Duration>) {
        let timeout = timeout.map(timespec);
        let spare = rustix::buffer::spare_capacity(ready);
        match epoll::wait(&self.sockets.epoll, spare, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => log::error!("media: epoll: {error}"),
        }
    }

    fn settle_wake(&self) {
        let mut count = [0; 8];
        // Nothing to read means that it is settled.
        let _ = rustix::io::read(&self.shared.wake, &mut count);
    }

    #[inline]
    fn receive(&mut self, now: Instant, token: u64, buffer: &mut [u8]) {
        let Some((len, from)) = self.sockets.receive(token, buffer) else { return };
        let (socket, kind) = self.sockets.named(token);
        // One octet more than the most that is taken was asked for: a longer packet is told by it.
        match buffer.get_mut(..len) {
            Some(packet) if packet.len() <= PACKET_MAX => {
                self.plane.receive(now, socket, kind, from, packet, &mut self.sockets);
            }
            _ => self.too_long += 1,
        }
    }

    fn take_commands(&mut self, now: Instant, most: usize) {
        for _ in 0..most {
            let Ok(command) = self.inbox.try_recv() else { return };
            self.shared.commands.fetch_sub(1, Ordering::Relaxed);
            match command {
                MediaCommand::BindSockets(count) => self.to_bind = self.to_bind.saturating_add(count),
                MediaCommand::OpenRtp { port, socket } if !self.sockets.prepare(socket) => {
                    self.plane.report(MediaEvent::Failed { port });
                }
                command => {
                    self.tell_handshakes(&command);
                    self.plane.command(now, command, &mut self.sockets);
                }
            }
        }
        // There may be more: the next turn looks without being told.
        self.shared.pending.store(true, Ordering::SeqCst);
    }

    /// Passes on what a command means for handshakes.
    fn tell_handshakes(&mut self, command: &MediaCommand) {
        let handshakes = &mut self.sockets.handshakes;
        match *command {
            MediaCommand::SetTransport { port, ref protection, remote, signalling, answered, .. } => {
                match protection.as_deref() {
                    Some(&Protection::Dtls(association)) => {
                        if !handshakes.begin(port, association, (remote, signalling), answered) {
                            self.plane.report(MediaEvent::SecureFailed { port, reason: "busy" });
                        }
                    }
                    Some(Protection::Sdes { .. }) | None => handshakes.end(port),
                }
            }
            MediaCommand::Close { port } => handshakes.end(port),
            _ => {}
        }
    }

    fn take_outcomes(&mut self) {
        while let Some(outcome) = self.outcomes.as_ref().and_then(|outcomes| outcomes.try_recv().ok()) {
            // What a handshake brings that has been replaced is nobody's.
            let is_current = |port, generation| self.sockets.handshakes.is_current(port, generation);
            match outcome {
                Outcome::Send { port, generation, to, datagram } if is_current(port, generation) => {
                    if let Some(socket) = self.plane.socket_of(port) {
                        self.sockets.send(socket, SocketKind::Rtp, to, &datagram);
                    }
                }
                Outcome::Keys { port, generation, send, receive } if is_current(port, generation) => {
                    self.plane.handshake_done(port, send, receive);
                }
                Outcome::Failed { port, generation, reason } if is_current(port, generation) => {
                    self.plane.report(MediaEvent::SecureFailed { port, reason });
                }
                Outcome::Send { .. } | Outcome::Keys { .. } | Outcome::Failed { .. } => {}
            }
        }
    }

    /// Binds a slice of the socket pairs that the core waits for. It hears of all of them at once, as it asks again then.
    fn bind(&mut self) {
        if self.to_bind == 0 {
            return;
        }
        let slice = self.to_bind.min(BIND_PER_TURN);
        let before = self.bound.len();
        self.bound.extend(std::iter::from_fn(|| self.sockets.bind_next()).take(slice.into()));
        let exhausted = self.bound.len() - before < usize::from(slice);
        self.to_bind = if exhausted { 0 } else { self.to_bind - slice };
        if self.to_bind > 0 {
            return self.shared.pending.store(true, Ordering::SeqCst);
        }
        if !self.bound.is_empty() {
            self.plane.report(MediaEvent::Sockets(std::mem::take(&mut self.bound)));
        }
        if exhausted {
            self.plane.report(MediaEvent::SocketsExhausted);
        }
    }

    /// Moves events to the core as long as there is room; the rest waits in the plane, which is bounded.
    fn deliver(&mut self) {
        while let Some(event) = self.undelivered.take().or_else(|| self.plane.poll_event()) {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(EventError::Full(event)) => {
                    self.undelivered = Some(event);
                    break;
                }
                // The core is gone: it stops, and so will we.
                Err(EventError::Closed(_)) => {}
            }
        }
    }

    fn counts(&self) -> Counts {
        Counts { plane: self.plane.counters(), unsent: self.sockets.unsent, too_long: self.too_long }
    }

    /// When [`count`](Self::count) is wanted though no port is open, and so nothing else will happen.
    fn count_due(&self) -> Option<Instant> {
        if self.plane.poll_timeout().is_some() {
            return None;
        }
        let counts = self.counts();
        if counts != self.shown { Some(self.shown_at + SHOW) } else { self.watch.due(&counts) }
    }

    /// Shows what was dropped, and says so now and then.
    fn count(&mut self, now: Instant) {
        let counts = self.counts();
        (self.shown, self.shown_at) = (counts, now);
        self.shared.dropped.store(&counts);
        self.shared.events.store(self.plane.events_len(), Ordering::Relaxed);
        self.shared.events_lost.store(counts.plane.events_lost, Ordering::Relaxed);
        if self.watch.is_due(now) {
            self.watch.look(now, counts);
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

/// The socket pairs of the range, bound as asked and kept until the end.
struct Sockets {
    address: IpAddr,
    second: Option<IpAddr>,
    epoll: OwnedFd,
    /// First even port of the range.
    first: u16,
    /// Pairs by half their distance from `first`; `None` is not bound.
    pairs: Vec<Option<Pair>>,
    /// Place in `pairs` to try next.
    next: usize,
    /// Packets that the system did not take.
    unsent: u64,
    handshakes: Handshakes,
}

/// Starts the handshake thread. Returns both ends of the way to and from it.
fn spawn_handshakes(
    identity: Identity,
    shared: &Arc<Shared>,
    clock: Clock,
) -> io::Result<(SyncSender<Order>, Receiver<Outcome>)> {
    let (orders, ordered) = sync_channel(dtls::ORDERS);
    let (told, outcomes) = sync_channel(dtls::OUTCOMES);
    let (shared, gauges) = (Arc::clone(shared), Arc::clone(&shared.dtls));
    dtls::spawn(identity, ordered, told, move || shared.wake(), clock, gauges)?;
    Ok((orders, outcomes))
}

/// RTP and RTCP of the usual address, then of the second one.
type Pair = [Option<OwnedFd>; PAIR];

/// Sockets of a pair at most; tokens count them through all pairs.
const PAIR: usize = 4;

/// Which socket of a pair it is.
#[inline]
fn place_in_pair(second: bool, kind: SocketKind) -> usize {
    let odd = match kind {
        SocketKind::Rtp => 0,
        SocketKind::Rtcp => 1,
    };
    if second { odd + 2 } else { odd }
}

impl Sockets {
    fn new(config: RtpConfig, epoll: OwnedFd, handshakes: Handshakes) -> Sockets {
        let first = config.port_min.max(2).saturating_add(config.port_min % 2);
        // A pair needs its odd port inside the range, too.
        let count = (usize::from(config.port_max) + 1).saturating_sub(usize::from(first)) / 2;
        let pairs = std::iter::repeat_with(|| None).take(count).collect();
        let RtpConfig { address, second, .. } = config;
        Sockets { address, second, epoll, first, pairs, next: 0, unsent: 0, handshakes }
    }

    /// Binds the next pair of the range that is free; `None` when the range or the descriptors are used up.
    fn bind_next(&mut self) -> Option<u16> {
        while self.next < self.pairs.len() {
            let place = self.next;
            self.next += 1;
            let port = self.port(place);
            match self.bind(place, port) {
                Ok(pair) => {
                    *self.pairs.get_mut(place)? = Some(pair);
                    return Some(port);
                }
                // Somebody else's: try the next one.
                Err(Errno::ADDRINUSE | Errno::ACCESS) => {}
                Err(error) => {
                    log::error!("media: port {port}: {error}");
                    // Descriptors may come back; the place is tried again.
                    self.next = place;
                    return None;
                }
            }
        }
        None
    }

    fn bind(&self, place: usize, port: u16) -> rustix::io::Result<Pair> {
        let mut pair: Pair = Default::default();
        let addresses = [Some(self.address), Some(self.address), self.second, self.second];
        for (index, (slot, address)) in pair.iter_mut().zip(addresses).enumerate() {
            let Some(address) = address else { continue };
            let odd = if index % 2 == 0 { 0 } else { 1 };
            let socket = socket(address, port + odd)?;
            let data = epoll::EventData::new_u64((place * PAIR + index) as u64);
            epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN)?;
            *slot = Some(socket);
        }
        Ok(pair)
    }

    /// Readies a pair for a new port: what still lies in it belongs to the last one. `false` if it is not bound.
    fn prepare(&self, socket: u16) -> bool {
        let Some(place) = self.place(socket) else { return false };
        let mut buffer = [0; PACKET_MAX];
        for token in place * PAIR..(place + 1) * PAIR {
            let stale = std::iter::from_fn(|| self.receive(token as u64, &mut buffer)).take(STALE_MAX);
            stale.for_each(drop);
        }
        true
    }

    fn port(&self, place: usize) -> u16 {
        self.first.saturating_add(u16::try_from(place * 2).unwrap_or(u16::MAX))
    }

    /// The place of a bound pair.
    #[inline]
    fn place(&self, socket: u16) -> Option<usize> {
        let distance = socket.checked_sub(self.first).filter(|distance| distance.is_multiple_of(2))?;
        let place = usize::from(distance / 2);
        self.pairs.get(place)?.as_ref().map(|_| place)
    }

    /// Which socket a token stands for.
    #[inline]
    fn named(&self, token: u64) -> (u16, SocketKind) {
        let kind = if token & 1 == 0 { SocketKind::Rtp } else { SocketKind::Rtcp };
        (self.port(token as usize / PAIR), kind)
    }

    #[inline]
    fn descriptor(&self, place: usize, index: usize) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        self.pairs.get(place)?.as_ref()?.get(index)?.as_ref().map(AsFd::as_fd)
    }

    /// Takes a packet; `None` when there is none, or its source is no address of ours.
    #[inline]
    fn receive(&self, token: u64, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let descriptor = self.descriptor(token as usize / PAIR, token as usize % PAIR)?;
        let (len, _, from) = net::recvfrom(descriptor, buffer, RecvFlags::empty()).ok()?;
        Some((len, SocketAddr::try_from(from?).ok()?))
    }
}

impl Wire for Sockets {
    #[inline]
    fn send(&mut self, socket: u16, kind: SocketKind, to: SocketAddr, packet: &[u8]) {
        let second = to.is_ipv4() != self.address.is_ipv4();
        let sent = self
            .place(socket)
            .and_then(|place| self.descriptor(place, place_in_pair(second, kind)))
            .is_some_and(|descriptor| net::sendto(descriptor, packet, SendFlags::empty(), &to).is_ok());
        if !sent {
            self.unsent += 1;
        }
    }

    #[cold]
    fn handshake(&mut self, port: PortId, from: SocketAddr, record: &[u8]) {
        self.handshakes.record(port, from, record);
    }
}

/// A socket. One packet every 20 ms needs no more than the system's usual buffers, which hold some hundred.
fn socket(address: IpAddr, port: u16) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let family = match address {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = net::socket_with(family, SocketType::DGRAM, flags, None)?;
    match address {
        IpAddr::V4(_) => net::sockopt::set_ip_tos(&socket, TOS_EF)?,
        IpAddr::V6(_) => {
            // The same port of IPv4 may be another socket's.
            net::sockopt::set_ipv6_v6only(&socket, true)?;
            net::sockopt::set_ipv6_tclass(&socket, u32::from(TOS_EF))?;
        }
    }
    net::bind(&socket, &SocketAddr::new(address, port))?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
