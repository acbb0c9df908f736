//! The switch thread's loop: everything that came in, one by one, into the core; everything it wants, out; then wait.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use smol::channel::Receiver;
use smol::future::FutureExt;

use crate::appliance::RunError;
use crate::appliance::load::{Meter, Used};
use crate::base::{Bound, CallId, Circuit, GiveBack, Instant, Now};
use crate::core::control::Reply;
use crate::core::journal::{Change, Seq};
use crate::core::media::{MediaCommand, MediaEvent};
use crate::core::switch::{Input, Output, Switch};
use crate::core::trunk::CardInput;
use crate::edge::cards::Cards;
use crate::edge::clock::{Clock, Nap};
use crate::edge::console::{Asked, Console, Replier, Request, UserSocket};
use crate::edge::dns::{Outcome, Resolver};
use crate::edge::logging::Logging;
use crate::edge::net::{NetInput, SipSockets};
use crate::edge::recorder::RecorderLoad;
use crate::edge::rtp::MediaHandle;
use crate::edge::store::{Store, StoreAlarm};
use crate::proto::sip::Transmit;

/// SIP inputs taken before the timers and the other sources get their turn.
const NET_BATCH: usize = 64;
/// Users' requests taken in one turn: many users may ask for much at once, and calls go first.
const USER_BATCH: usize = 4;
/// Inputs of any other source taken in one turn.
const BATCH: usize = 256;
/// Under load, turns begin so far apart at least, unless there is always something to do.
const NAP: Duration = Duration::from_micros(500);
/// Commands and changes that wait here before new input has to wait too.
const BACKLOG_MAX: usize = 8192;

/// A nudge from another thread.
#[derive(Debug)]
pub(super) enum Notice {
    /// A card has events.
    Cards,
    /// The store committed.
    Durable,
    /// The room on the disk has changed: the recorder knows.
    Disk,
    /// The store has an alarm.
    Store(StoreAlarm),
}

pub(super) struct Turn {
    pub(super) data_dir: PathBuf,
    pub(super) clock: Clock,
    pub(super) switch: Switch,
    pub(super) sockets: SipSockets,
    cards: Cards,
    media: MediaHandle,
    store: Store,
    console: Console,
    users: Option<UserSocket>,
    resolver: Resolver,
    rest: Rest,
    inboxes: Inboxes,
    media_backlog: VecDeque<MediaCommand>,
    store_backlog: VecDeque<(Seq, Change)>,
    askers: HashMap<u64, Replier>,
    /// Replies that wait until their changes are durable.
    promises: BTreeMap<Seq, Vec<(u64, Reply)>>,
    /// What tells a peer of success, until the facts behind it are durable; oldest first.
    held: VecDeque<(Seq, Instant, Held)>,
    /// Calls that wait for the facts behind them while the disk refuses; oldest first.
    uncommitted: VecDeque<(Seq, CallId)>,
    /// The newest fact that the core emitted.
    journaled: Seq,
    /// What the store was asked for last.
    wanted: Seq,
    next_token: u64,
    net_inputs: Vec<NetInput>,
    meter: Meter,
    /// How long what is read now has waited, as the core was told.
    waited: Duration,
    nap: Nap,
    stopped: bool,
}

/// What only `status` asks.
pub(super) struct Rest {
    pub recorder: Arc<RecorderLoad>,
    pub logging: Option<Logging>,
    /// Nudges that found a full queue.
    pub nudges_dropped: Arc<AtomicU64>,
    /// How often new input had to wait because too much was to be done.
    pub held_back: u64,
}

/// An answer that waits for the store.
enum Held {
    Transmit(Transmit),
    Cas { circuit: Circuit, bits: u8 },
    Commit(CallId),
}

/// What other threads and tasks tell the switch thread.
pub(super) struct Inboxes {
    pub media: Receiver<MediaEvent>,
    pub asked: Receiver<Asked>,
    pub asked_here: Receiver<Asked>,
    /// Closed where there is no socket for users.
    pub asked_by_users: Receiver<Asked>,
    pub notified: Receiver<Notice>,
    pub resolved: Receiver<Outcome>,
}

/// What ended a wait.
enum Woken {
    Net,
    Media(MediaEvent),
    Asked(Asked),
    Noticed(Notice),
    Resolved(Outcome),
    Time,
}

impl Turn {
    #[allow(clippy::too_many_arguments, reason = "the one place where all parts meet")]
    pub fn new(
        data_dir: PathBuf,
        clock: Clock,
        switch: Switch,
        sockets: SipSockets,
        cards: Cards,
        media: MediaHandle,
        store: Store,
        (console, users): (Console, Option<UserSocket>),
        resolver: Resolver,
        rest: Rest,
        inboxes: Inboxes,
    ) -> Self {
        Self {
            data_dir,
            clock,
            switch,
            sockets,
            cards,
            media,
            store,
            console,
            users,
            resolver,
            rest,
            inboxes,
            media_backlog: VecDeque::new(),
            store_backlog: VecDeque::new(),
            askers: HashMap::new(),
            promises: BTreeMap::new(),
            held: VecDeque::new(),
            uncommitted: VecDeque::new(),
            journaled: 0,
            wanted: 0,
            next_token: 1,
            net_inputs: Vec::with_capacity(NET_BATCH),
            meter: Meter::new(clock.mono()),
            waited: Duration::ZERO,
            nap: Nap::new(NAP, clock.mono()),
            stopped: false,
        }
    }

    /// Serves until stopped, then closes everything in order.
    pub async fn run(mut self) -> Result<(), RunError> {
        self.flush();
        // The first calls wait in the kernel until there are sockets for their media.
        while !self.switch.is_ready() {
            let Ok(event) = self.inboxes.media.recv().await else { return Err(RunError::Broken) };
            self.switch.handle(self.clock.now(), Input::Media(event));
            self.flush();
        }
        self.meter.begin(self.clock.mono(), Used::now(self.store.cpu()));
        while !self.stopped {
            let busy = self.take_all();
            self.flush();
            // Tasks of the executor (TCP connections, consoles) get their share even when there is always more to do.
            smol::future::yield_now().await;
            if busy {
                self.nap.found();
            } else if !self.nap() {
                let since = self.clock.mono();
                let woken = self.wait().await;
                self.nap.waited(since, self.clock.mono());
                self.wake(woken);
                self.flush();
            }
        }
        self.close()
    }

    /// Under load, lets some work come together before all sources are asked again. True: that was done.
    fn nap(&mut self) -> bool {
        let Some(left) = self.nap.begin(self.clock.mono(), self.switch.poll_timeout()) else { return false };
        self.clock.rest(left);
        self.nap.end(self.clock.mono());
        true
    }

    /// Takes a batch of each source. True: there may be more.
    fn take_all(&mut self) -> bool {
        let now = self.clock.now();
        let mut taken = 0;
        if now.mono >= self.meter.due() {
            self.measure(now);
        }
        if self.switch.poll_timeout().is_some_and(|due| due <= now.mono) {
            self.switch.handle_timeout(now);
        }
        for _ in 0..BATCH {
            let Ok(event) = self.inboxes.media.try_recv() else { break };
            self.switch.handle(now, Input::Media(event));
            taken += 1;
        }
        taken += self.take_cards(now);
        while let Ok(outcome) = self.inboxes.resolved.try_recv() {
            self.resolved(now, outcome);
        }
        while let Ok(notice) = self.inboxes.notified.try_recv() {
            self.notice(now, notice);
        }
        // Not by a nudge that may get lost: whether there is room must never be stale.
        let full = self.rest.recorder.disk_is_full();
        if full != self.switch.disk_is_full() {
            self.switch.handle(now, Input::DiskFull(full));
        }
        let failing = self.rest.recorder.is_failing();
        if failing != self.switch.recordings_fail() {
            self.switch.handle(now, Input::RecordingsFail(failing));
        }
        if self.backlog() < BACKLOG_MAX {
            while let Ok(asked) = self.inboxes.asked.try_recv().or_else(|_| self.inboxes.asked_here.try_recv()) {
                self.request(now, asked);
            }
            for _ in 0..USER_BATCH {
                let Ok(asked) = self.inboxes.asked_by_users.try_recv() else { break };
                self.request(now, asked);
            }
            taken += self.take_net(now);
        } else {
            self.rest.held_back += 1;
            self.meter.blocked(now.mono);
        }
        taken > 0
    }

    fn measure(&mut self, now: Now) {
        if let Some((_, since, _)) = self.held.front() {
            self.meter.holding(now.mono.since(*since));
        }
        let sample =
            self.meter.sample(now.mono, Used::now(self.store.cpu()), self.sockets.counters().datagrams_overflown);
        self.switch.handle(now, Input::Load(sample));
        let was = self.switch.store_is_behind();
        let behind = self.store.is_behind(was);
        if behind != was {
            self.switch.handle(now, Input::StoreBehind(behind));
        }
        self.media_backlog.give_back();
        self.store_backlog.give_back();
        self.held.give_back();
    }

    /// Commands, facts and answers that wait.
    fn backlog(&self) -> usize {
        self.media_backlog.len() + self.store_backlog.len() + self.held.len()
    }

    fn take_net(&mut self, now: Now) -> usize {
        let taken = self.sockets.drain(NET_BATCH, &mut self.net_inputs);
        let waited = self.sockets.take_waited();
        self.meter.queued(waited);
        let waited = waited.unwrap_or_default();
        if waited != self.waited {
            self.waited = waited;
            self.switch.handle(now, Input::Waited(waited));
        }
        let mut inputs = std::mem::take(&mut self.net_inputs);
        for input in inputs.drain(..) {
            self.switch.handle(
                now,
                match input {
                    NetInput::Datagram { path, bytes } => Input::Datagram { path, bytes },
                    NetInput::Chunk { path, bytes } => Input::Stream { path, bytes },
                    NetInput::Closed { connection } => Input::ConnectionClosed(connection),
                    NetInput::Failed { path } => Input::TransportFailed(path),
                    NetInput::Identified { connection, domains } => Input::Identified { connection, domains },
                },
            );
        }
        self.net_inputs = inputs;
        taken
    }

    fn take_cards(&mut self, now: Now) -> usize {
        let mut taken = 0;
        while taken < BATCH {
            let Some((card, event)) = self.cards.poll() else { break };
            taken += 1;
            if let Some(event) = card_input(event) {
                self.switch.handle(now, Input::Card { card, event });
            }
        }
        taken
    }

    fn request(&mut self, now: Now, asked: Asked) {
        let token = self.next_token;
        self.next_token += 1;
        self.askers.insert(token, asked.replier);
        self.switch.handle(
            now,
            match (asked.asker, asked.request) {
                (Some(asker), request) => Input::Request { token, asker, request },
                (None, Request::Command(command)) => Input::Command { token, command },
                (None, Request::Query(query)) => Input::Query { token, query },
            },
        );
    }

    fn resolved(&mut self, now: Now, (question, answer): Outcome) {
        self.switch.handle(now, Input::Dns { question, answer });
    }

    fn notice(&mut self, now: Now, notice: Notice) {
        match notice {
            Notice::Cards | Notice::Durable | Notice::Disk => {}
            Notice::Store(StoreAlarm::Failing { reason }) => {
                log::error!("store: {reason}; changes are kept and tried again");
                self.switch.handle(now, Input::Alarm { name: "store-failing", subject: String::new(), stands: true });
            }
            Notice::Store(StoreAlarm::Cleared) => {
                self.switch.handle(now, Input::Alarm { name: "store-failing", subject: String::new(), stands: false });
            }
            Notice::Store(StoreAlarm::Refused { seq, reason }) => log::error!("store: change {seq} refused: {reason}"),
        }
    }

    /// Does what the core wants, and retries what had to wait.
    fn flush(&mut self) {
        loop {
            self.put_out();
            if !self.let_go() {
                return;
            }
        }
    }

    fn put_out(&mut self) {
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Transmit(transmit) if transmit.is_promise() => self.hold(Held::Transmit(transmit)),
                Output::Transmit(transmit) => self.sockets.send(transmit),
                Output::CloseConnection(connection) => self.sockets.close(connection),
                Output::ServeTls(settings) => self.serve_tls(settings.as_deref()),
                Output::TlsProfile(profile) => self.set_profile(&profile),
                // What follows a held answer must not overtake it.
                Output::SetCas { circuit, bits, answers } if answers || self.holds(circuit) => {
                    self.hold(Held::Cas { circuit, bits });
                }
                Output::SetCas { circuit, bits, .. } => self.set_cas(circuit, bits),
                Output::Dns(question) => self.resolver.ask(question),
                Output::DnsServers(servers) => self.resolver.set_servers(servers),
                Output::Media(command) => self.media_backlog.push_back(command),
                Output::Journal { seq, change } => {
                    self.journaled = seq;
                    self.store_backlog.push_back((seq, change));
                }
                Output::Reply { token, reply, after } => match after {
                    Some(seq) => self.promises.entry(seq).or_default().push((token, reply)),
                    None => self.reply(token, reply),
                },
                Output::Commit(call) => self.hold(Held::Commit(call)),
                Output::Warning(text) => log::warn!("{text}"),
                Output::Stopped => self.stopped = true,
            }
        }
        let commands = !self.media_backlog.is_empty();
        while let Some(command) = self.media_backlog.pop_front() {
            if let Err(full) = self.media.send(command) {
                self.media_backlog.push_front(full.into_inner());
                break;
            }
        }
        if commands {
            self.media.wake();
        }
        // Before the changes are handed over, so that they are written at once where they are waited for.
        self.want();
        if !self.store_backlog.is_empty()
            && let Err(e) = self.store.append_from(&mut self.store_backlog)
        {
            log::error!("store: a change is lost: {e}");
        }
        self.keep_promises();
    }

    /// Tells the store up to which fact somebody waits.
    fn want(&mut self) {
        let held = self.held.back().map_or(0, |(seq, _, _)| *seq);
        let promised = self.promises.last_key_value().map_or(0, |(seq, _)| *seq);
        let wanted = held.max(promised);
        if wanted > self.wanted {
            self.wanted = wanted;
            self.store.want(wanted);
        }
    }

    fn set_cas(&mut self, circuit: Circuit, bits: u8) {
        if let Err(e) = self.cards.set_cas(circuit, bits) {
            log::warn!("circuit {circuit}: {e}");
        }
    }

    /// Keeps an answer until all facts so far are durable: whoever has heard of a call, a registration or an end finds
    /// it in the store, whenever the power goes. Costs nothing where nothing is being written, else the rest of a
    /// group commit. A request of ours may overtake a held response; where that matters it waits for the ACK anyway.
    fn hold(&mut self, held: Held) {
        self.held.push_back((self.journaled, self.clock.mono(), held));
    }

    fn holds(&self, which: Circuit) -> bool {
        self.held.iter().any(|(_, _, held)| matches!(held, Held::Cas { circuit, .. } if *circuit == which))
    }

    /// Sends the answers whose facts are durable. True: the core was told of some, and may want more done.
    fn let_go(&mut self) -> bool {
        if self.held.is_empty() && self.uncommitted.is_empty() {
            return false;
        }
        let mut told = false;
        let durable = self.store.durable();
        while let Some(&(seq, call)) = self.uncommitted.front()
            && seq <= durable
        {
            self.uncommitted.pop_front();
            self.switch.handle(self.clock.now(), Input::Committed(call));
            told = true;
        }
        // While the disk refuses, calls are served all the same, under an alarm: their facts are kept and written later.
        let failing = self.store.is_failing();
        let now = self.clock.mono();
        while self.held.front().is_some_and(|(seq, _, _)| *seq <= durable || failing) {
            let Some((seq, since, held)) = self.held.pop_front() else { break };
            self.meter.stored(now.since(since));
            match held {
                Held::Transmit(transmit) => self.sockets.send(transmit),
                Held::Cas { circuit, bits } => self.set_cas(circuit, bits),
                // What must not be done twice is not done before it is on record, however long that takes.
                Held::Commit(call) if seq > durable => self.uncommitted.push_back((seq, call)),
                Held::Commit(call) => {
                    self.switch.handle(self.clock.now(), Input::Committed(call));
                    told = true;
                }
            }
        }
        told
    }

    fn keep_promises(&mut self) {
        if self.promises.is_empty() {
            return;
        }
        let durable = self.store.durable();
        // While the disk refuses, who only looks need not wait for it.
        if self.store.is_failing() {
            let waiting = self.promises.values_mut();
            let looks: Vec<_> =
                waiting.flat_map(|all| all.extract_if(.., |(_, reply)| *reply != Reply::Done)).collect();
            looks.into_iter().for_each(|(token, reply)| self.reply(token, reply));
            self.promises.retain(|_, waiting| !waiting.is_empty());
        }
        while let Some(entry) = self.promises.first_entry() {
            if *entry.key() > durable {
                break;
            }
            for (token, reply) in entry.remove() {
                self.reply(token, reply);
            }
        }
    }

    fn reply(&mut self, token: u64, mut reply: Reply) {
        if let Reply::Status(status) = &mut reply {
            status.bounds.extend(self.bounds());
            status.sip_refused.extend(self.resolver.refused());
            status.media_dropped.extend(self.media.dropped().map(|(reason, count)| (reason.to_owned(), count)));
        }
        if let Some(asker) = self.askers.remove(&token) {
            asker.send(reply);
        }
    }

    /// The queues between the threads, with their use.
    fn bounds(&self) -> Vec<Bound> {
        let queue = |name, of: usize, max: Option<usize>, refused| Bound::new(name, of, max.unwrap_or(0), refused);
        let (media, nudges, asked) = (&self.inboxes.media, &self.inboxes.notified, &self.inboxes.asked_here);
        let dropped = self.rest.nudges_dropped.load(Ordering::Relaxed);
        let mut bounds = vec![
            Bound::new("backlog", self.backlog(), BACKLOG_MAX, self.rest.held_back),
            // What finds no room here waits in the plane.
            queue("media-events", media.len(), media.capacity(), 0),
            queue("nudges", nudges.len(), nudges.capacity(), dropped),
            // Who asks from within waits for room, or says that the appliance is busy.
            queue("inner-requests", asked.len(), asked.capacity(), 0),
            self.rest.recorder.bound(),
        ];
        bounds.extend(self.media.bounds());
        bounds.extend(self.store.bounds());
        bounds.extend(self.console.bounds(self.inboxes.asked.len()));
        bounds.extend(self.users.iter().flat_map(|users| users.bounds(self.inboxes.asked_by_users.len())));
        bounds.extend(self.sockets.bounds());
        bounds.extend(self.rest.logging.as_ref().map(Logging::bound));
        bounds
    }

    async fn wait(&mut self) -> Woken {
        // While new calls are held back, the law is applied in time even when nothing else happens.
        let tick = self.switch.is_limiting().then(|| self.meter.due());
        let due = self.switch.poll_timeout().into_iter().chain(tick).min();
        let clock = self.clock;
        let held_back = self.backlog() >= BACKLOG_MAX;
        let net = async {
            if held_back {
                smol::future::pending::<()>().await;
            }
            self.sockets.wait().await;
            Woken::Net
        };
        let asked = async {
            match self.inboxes.asked.recv().or(self.inboxes.asked_here.recv()).await {
                Ok(asked) => Woken::Asked(asked),
                Err(_) => smol::future::pending().await,
            }
        };
        let asked_by_users = async {
            match self.inboxes.asked_by_users.recv().await {
                Ok(asked) => Woken::Asked(asked),
                Err(_) => smol::future::pending().await,
            }
        };
        let media = async {
            match self.inboxes.media.recv().await {
                Ok(event) => Woken::Media(event),
                Err(_) => smol::future::pending().await,
            }
        };
        let notified = async {
            match self.inboxes.notified.recv().await {
                Ok(notice) => Woken::Noticed(notice),
                Err(_) => smol::future::pending().await,
            }
        };
        let resolved = async {
            match self.inboxes.resolved.recv().await {
                Ok(outcome) => Woken::Resolved(outcome),
                Err(_) => smol::future::pending().await,
            }
        };
        let backlog = !self.media_backlog.is_empty();
        let time = async { sleep_until(clock, due, backlog).await };
        net.or(media).or(notified).or(asked).or(asked_by_users).or(resolved).or(time).await
    }

    fn wake(&mut self, woken: Woken) {
        let now = self.clock.now();
        match woken {
            Woken::Net | Woken::Time => {}
            Woken::Media(event) => self.switch.handle(now, Input::Media(event)),
            Woken::Asked(request) => self.request(now, request),
            Woken::Noticed(notice) => self.notice(now, notice),
            Woken::Resolved(outcome) => self.resolved(now, outcome),
        }
    }

    fn close(mut self) -> Result<(), RunError> {
        // Who asks from now on is told at once that nobody answers, and so is who has asked just before.
        for inbox in [&self.inboxes.asked, &self.inboxes.asked_here, &self.inboxes.asked_by_users] {
            inbox.close();
            while inbox.try_recv().is_ok() {}
        }
        self.media.stop();
        while let Some((seq, change)) = self.store_backlog.pop_front() {
            if let Err(e) = self.store.append(seq, change) {
                log::error!("store: change {seq} lost: {e}");
            }
        }
        let durable = self.store.close().map_err(RunError::Store)?;
        log::info!("stopped; everything up to change {durable} is stored");
        for (_, _, held) in std::mem::take(&mut self.held) {
            match held {
                Held::Transmit(transmit) => self.sockets.send(transmit),
                // All calls have ended: no circuit is to be answered any more, and nobody to be dialled.
                Held::Cas { .. } | Held::Commit(_) => {}
            }
        }
        for (_, replies) in std::mem::take(&mut self.promises) {
            for (token, reply) in replies {
                if let Some(asker) = self.askers.remove(&token) {
                    asker.send(reply);
                }
            }
        }
        Ok(())
    }
}

/// Waits for the core's next timer; with commands held back, looks again soon.
async fn sleep_until(clock: Clock, due: Option<Instant>, backlog: bool) -> Woken {
    let soon = backlog.then(|| clock.mono() + Duration::from_millis(2));
    match due.into_iter().chain(soon).min() {
        Some(due) => {
            smol::Timer::at(clock.system(due)).await;
        }
        None => smol::future::pending().await,
    }
    Woken::Time
}

/// A card's event as the core sees it; D-channel frames belong to signalling that is not provisioned here.
fn card_input(event: cordboard_hal::CardEvent) -> Option<CardInput> {
    use cordboard_hal::CardEvent;
    match event {
        CardEvent::Cas { span, timeslot, bits } => Some(CardInput::Cas { span, timeslot, bits: bits.get() }),
        CardEvent::Alarms { span, alarms } => {
            let worst = [
                (alarms.los, "los"),
                (alarms.red, "red"),
                (alarms.lfa, "lfa"),
                (alarms.blue, "blue"),
                (alarms.yellow, "yellow"),
            ];
            let alarm = worst.iter().find(|(stands, _)| *stands).map(|(_, name)| *name);
            Some(CardInput::Span { span, alarm })
        }
        CardEvent::Gone => Some(CardInput::Gone),
        CardEvent::Hdlc { .. } => None,
        CardEvent::Overrun { dropped } => {
            log::error!("a card dropped {dropped} events");
            None
        }
    }
}
