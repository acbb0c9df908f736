//! The one writer: a bounded queue in front of a thread that commits in groups.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use rustix::time::ClockId;

use crate::base::Bound;
use crate::core::contact::Work;
use crate::core::contact::sticky::LastAgent;
use crate::core::journal::{Change, Learned, Seq};
use crate::core::tenant::Provision;
use crate::core::trunk::seat::Seat;
use crate::edge::clock::cpu;
use crate::edge::disk::Reserve;
use crate::edge::store::apply::Applier;
use crate::edge::store::lock::DirLock;
use crate::edge::store::record::{self, AgentState, Registration};
use crate::edge::store::secret::SecretKey;
use crate::edge::store::{AppendError, StoreError, provisioning, schema, work};

/// Least time from the start of one commit to the next. A change that comes alone is written at once; under load, some
/// milliseconds' changes share the cost of reaching the disk.
const COMMITS_APART: Duration = Duration::from_millis(2);

/// How long a change waits for company while nobody waits for it: writing it at once would cost a commit, which is most of
/// what a call costs at low rates.
const COMPANY: Duration = Duration::from_millis(20);

/// Most changes that may wait to be written.
pub const WAITING_MAX: usize = 65_536;

/// Most octets, estimated, that waiting changes may take.
pub const WAITING_OCTETS_MAX: usize = 256 << 20;

/// Most changes in one transaction.
const BATCH_MAX: usize = 1_024;

/// While calls are up and nothing changes, how often it is noted that the process lives: how exact the end of a call is
/// that the power cuts off.
const BEAT: Duration = Duration::from_secs(5);

/// Between attempts to write while the disk refuses.
const RETRY: Duration = Duration::from_millis(500);

/// Attempts to write what is left when the store closes while the disk refuses.
const CLOSING_ATTEMPTS: u32 = 4;

/// What the store knew when it was opened.
#[derive(Debug)]
pub struct Recovered {
    /// The provisioning.
    pub provision: Provision,
    /// Every agent's last state.
    pub agent_states: Vec<AgentState>,
    /// Where agents sit who have signed in elsewhere than provisioned: tenant, agent, seat.
    pub seats: Vec<(String, String, Seat)>,
    /// Every registration, also those that ended meanwhile.
    pub registrations: Vec<Registration>,
    /// What was learned of calls on shared trunks.
    pub learned: Vec<Learned>,
    /// Work items that have not ended.
    pub works: Vec<Work>,
    /// Whom clients met last.
    pub last_agents: Vec<LastAgent>,
    /// Ids of work items whose records cannot be read; they stay in the database.
    pub unread_works: Vec<String>,
    /// The number of the next change to append.
    pub next_seq: Seq,
    /// Calls that were up when the last process ended; their records are closed now.
    pub interrupted: usize,
}

/// Something that the operator should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreAlarm {
    /// Nothing can be written (disk full, or the file system fails); changes are kept and tried again.
    Failing {
        /// What SQLite or the file system says.
        reason: String,
    },
    /// Writing works again.
    Cleared,
    /// A change was refused by the database for good; the others are not affected. For a provisioning: it was not checked.
    Refused {
        /// Which change.
        seq: Seq,
        /// What SQLite says.
        reason: String,
    },
}

/// What the writer has done since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Changes that wait to be written.
    pub waiting: usize,
    /// Changes refused because too many waited.
    pub full: u64,
    /// Transactions committed.
    pub commits: u64,
    /// Changes made durable.
    pub changes: u64,
    /// Transactions that failed and were tried again.
    pub failures: u64,
    /// Changes that the database refused for good.
    pub refused: u64,
}

/// The store, open for writing. Dropping it writes what waits, as [`Store::close`] does, but cannot report a failure.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<usize>>,
}

type OnDurable = Box<dyn Fn(Seq) + Send>;
type OnAlarm = Box<dyn Fn(StoreAlarm) + Send>;

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    /// CPU time of the writer thread, in nanoseconds.
    cpu_ns: AtomicU64,
    on_durable: Mutex<Option<OnDurable>>,
    on_alarm: Mutex<Option<OnAlarm>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Seq, Change)>,
    octets: usize,
    next_seq: Seq,
    durable: Seq,
    /// Up to which number somebody waits.
    wanted: Seq,
    closing: bool,
    failing: bool,
    counters: Counters,
}

impl Store {
    /// Opens the store of a data folder, makes it where there is none, closes the records of interrupted calls, and
    /// starts the writer thread. Takes the folder's lock until closed.
    ///
    /// # Errors
    /// [`StoreError::Running`] when another process has it open; [`StoreError::Damaged`], [`StoreError::TooNew`],
    /// [`StoreError::Sealed`], [`StoreError::Undecodable`] when what is there cannot be used; [`StoreError::Io`],
    /// [`StoreError::Sql`].
    pub fn open(dir: &Path) -> Result<(Store, Recovered), StoreError> {
        match Self::open_once(dir) {
            Err(error) if error.is_disk_full() && Reserve::release_left(dir) => {
                log::error!(target: "store", "{error}; the reserve on the disk is used now");
                Self::open_once(dir)
            }
            opened => opened,
        }
    }

    fn open_once(dir: &Path) -> Result<(Store, Recovered), StoreError> {
        let lock = DirLock::take(dir)?;
        let mut connection = schema::open_writer(dir)?;
        let key = match SecretKey::load(dir)? {
            Some(key) => key,
            // Without its key, a provisioning that holds secrets must not be overwritten by one that lost them.
            None => {
                provisioning::read(&connection, None)?;
                SecretKey::load_or_create(dir)?
            }
        };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let interrupted = record::close_interrupted(&transaction)?;
        transaction.commit()?;
        let last: i64 = connection.query_row("SELECT ifnull(max(seq), 0) FROM journal", [], |row| row.get(0))?;
        let last = u64::try_from(last).unwrap_or(0);
        let (works, unread_works) = work::read_open_works(&connection)?;
        let recovered = Recovered {
            works,
            unread_works,
            provision: provisioning::read(&connection, Some(&key))?,
            agent_states: record::read_agent_states(&connection)?,
            seats: record::read_seats(&connection)?,
            registrations: record::read_registrations(&connection)?,
            last_agents: record::read_last_agents(&connection)?,
            learned: record::read_learned(&connection)?,
            next_seq: last + 1,
            interrupted,
        };
        let shared = Arc::new(Shared::default());
        {
            let mut queue = shared.queue();
            queue.next_seq = recovered.next_seq;
            queue.durable = last;
        }
        let writer = Writer {
            applier: Applier::new(key, recovered.provision.clone()),
            shared: Arc::clone(&shared),
            connection,
            reserve: Reserve::take(dir),
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run())
            .map_err(StoreError::io(dir))?;
        Ok((Store { shared, thread: Some(thread) }, recovered))
    }

    /// Takes a change to be written. `seq` follows the last one taken, or is [`Recovered::next_seq`]. Never waits.
    ///
    /// # Errors
    /// [`AppendError::Full`] when [`WAITING_MAX`] changes or [`WAITING_OCTETS_MAX`] octets wait: the change is handed back
    /// untaken by number, append the same number again later. [`AppendError::OutOfOrder`], [`AppendError::Closed`].
    pub fn append(&self, seq: Seq, change: Change) -> Result<(), AppendError> {
        let mut queue = self.shared.queue();
        queue.take(seq, change).map_err(|(error, _)| error)?;
        self.wake(queue, 1);
        Ok(())
    }

    /// Takes changes from the front of `backlog` as far as there is room: all that come together share a commit.
    ///
    /// # Errors
    /// As [`append`](Self::append), of a change that is lost by that; never for want of room.
    pub fn append_from(&self, backlog: &mut VecDeque<(Seq, Change)>) -> Result<(), AppendError> {
        let mut queue = self.shared.queue();
        let before = queue.waiting.len();
        let mut result = Ok(());
        while let Some((seq, change)) = backlog.pop_front() {
            match queue.take(seq, change) {
                Ok(()) => {}
                Err((AppendError::Full, change)) => {
                    backlog.push_front((seq, change));
                    break;
                }
                Err((error, _)) => {
                    result = Err(error);
                    break;
                }
            }
        }
        let taken = queue.waiting.len() - before;
        self.wake(queue, taken);
        result
    }

    /// The writer sleeps without end while there is nothing; else it wakes by itself, or when somebody wants something.
    fn wake(&self, queue: MutexGuard<'_, Queue>, taken: usize) {
        let first = taken > 0 && queue.waiting.len() == taken;
        drop(queue);
        if first {
            self.shared.work.notify_one();
        }
    }

    /// Says that somebody waits until change `seq` is durable: it is written as soon as may be. A change for which nobody
    /// waits is written within 20 ms.
    pub fn want(&self, seq: Seq) {
        let mut queue = self.shared.queue();
        if seq > queue.durable && seq > queue.wanted {
            queue.wanted = seq;
            let waiting = !queue.waiting.is_empty();
            drop(queue);
            if waiting {
                self.shared.work.notify_one();
            }
        }
    }

    /// Has `callback` called from the writer thread, after each commit, with the number up to which all changes are
    /// durable. It should only pass the number on. Replaces the one before.
    pub fn on_durable(&self, callback: OnDurable) {
        *lock(&self.shared.on_durable) = Some(callback);
    }

    /// Has `callback` called from the writer thread with each alarm. Replaces the one before.
    pub fn on_alarm(&self, callback: OnAlarm) {
        *lock(&self.shared.on_alarm) = Some(callback);
    }

    /// The number up to which all changes are durable.
    pub fn durable(&self) -> Seq {
        self.shared.queue().durable
    }

    /// CPU time that the writer thread has taken, up to its last commit.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.shared.cpu_ns.load(Ordering::Relaxed))
    }

    /// Whether the disk refuses: changes are kept and tried again, nothing becomes durable meanwhile.
    pub fn is_failing(&self) -> bool {
        self.shared.queue().failing
    }

    /// Whether so much waits to be written that nothing new should be begun: from half of either bound on, until it is
    /// less than a quarter. `was` is what this said before.
    pub fn is_behind(&self, was: bool) -> bool {
        let queue = self.shared.queue();
        let part = if was { 4 } else { 2 };
        queue.waiting.len() >= WAITING_MAX / part || queue.octets >= WAITING_OCTETS_MAX / part
    }

    /// Bounds with their use. A change that finds no room is handed back and comes again.
    pub fn bounds(&self) -> [Bound; 2] {
        let queue = self.shared.queue();
        let full = queue.counters.full;
        [
            Bound::new("store-changes", queue.waiting.len(), WAITING_MAX, full),
            Bound::new("store-octets", queue.octets, WAITING_OCTETS_MAX, full),
        ]
    }

    /// What the writer has done.
    pub fn counters(&self) -> Counters {
        let queue = self.shared.queue();
        Counters { waiting: queue.waiting.len(), ..queue.counters }
    }

    /// Writes what waits, closes the database and gives the folder's lock back. Tells the last durable number.
    ///
    /// # Errors
    /// [`StoreError::Unwritten`] when the disk still refuses after 2 s.
    pub fn close(mut self) -> Result<Seq, StoreError> {
        match self.stop() {
            0 => Ok(self.shared.queue().durable),
            changes => Err(StoreError::Unwritten { changes }),
        }
    }

    fn stop(&mut self) -> usize {
        self.shared.queue().closing = true;
        self.shared.work.notify_one();
        self.thread.take().map_or(0, |thread| thread.join().unwrap_or(usize::MAX))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Queue {
    fn take(&mut self, seq: Seq, change: Change) -> Result<(), (AppendError, Change)> {
        let refusal = if self.closing {
            AppendError::Closed
        } else if seq != self.next_seq {
            AppendError::OutOfOrder { expected: self.next_seq }
        } else if self.waiting.len() >= WAITING_MAX || self.octets >= WAITING_OCTETS_MAX {
            self.counters.full += 1;
            AppendError::Full
        } else {
            self.octets += octets(&change);
            self.waiting.push_back((seq, change));
            self.next_seq += 1;
            return Ok(());
        };
        Err((refusal, change))
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    /// Waits for changes; then for [`COMPANY`] unless one of them is wanted; then until `not_before`, so that what comes
    /// meanwhile shares the commit. An empty batch when none came for [`BEAT`]. None when the store closes and nothing is left.
    fn next_batch(&self, not_before: Instant) -> Option<Vec<(Seq, Change)>> {
        let nothing = |queue: &mut Queue| queue.waiting.is_empty() && !queue.closing;
        let (mut queue, _) =
            self.work.wait_timeout_while(self.queue(), BEAT, nothing).unwrap_or_else(PoisonError::into_inner);
        if queue.waiting.is_empty() && queue.closing {
            return None;
        }
        let unwanted = |queue: &mut Queue| {
            let first = queue.waiting.front().map_or(0, |(seq, _)| *seq);
            !queue.waiting.is_empty() && queue.wanted < first && queue.waiting.len() < BATCH_MAX && !queue.closing
        };
        (queue, _) = self.work.wait_timeout_while(queue, COMPANY, unwanted).unwrap_or_else(PoisonError::into_inner);
        let early = not_before.saturating_duration_since(Instant::now());
        if !queue.waiting.is_empty() && !queue.closing && !early.is_zero() {
            drop(queue);
            std::thread::sleep(early);
            queue = self.queue();
        }
        let count = queue.waiting.len().min(BATCH_MAX);
        let batch: Vec<(Seq, Change)> = queue.waiting.drain(..count).collect();
        queue.octets -= batch.iter().map(|(_, change)| octets(change)).sum::<usize>();
        Some(batch)
    }

    /// Waits before the next attempt. True when the store is closing.
    fn pause(&self) -> bool {
        let queue = self.queue();
        let closing = queue.closing;
        let (queue, _) = self
            .work
            .wait_timeout_while(queue, RETRY, |queue| queue.closing == closing)
            .unwrap_or_else(PoisonError::into_inner);
        queue.closing
    }

    fn alarm(&self, alarm: StoreAlarm) {
        if let Some(callback) = lock(&self.on_alarm).as_ref() {
            callback(alarm);
        }
    }
}

/// A thread that panicked inside a callback leaves nothing half done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// About how much memory a change takes.
fn octets(change: &Change) -> usize {
    match change {
        Change::CallStarted { cdr } | Change::CallChanged { cdr } | Change::CallEnded { cdr } => {
            600 + 400 * cdr.legs.len() + cdr.events.iter().map(|event| 64 + event.detail.len()).sum::<usize>()
        }
        Change::Provisioned { provision } => {
            let flows: usize = provision.flow.iter().map(|flow| flow.text.len()).sum();
            flows + 600 * (provision.agent.len() + provision.queue.len() + provision.number.len() + 10)
        }
        Change::WorkChanged { work } => work_octets(work),
        Change::AgentChanged { .. }
        | Change::AgentSeated { .. }
        | Change::Registered { .. }
        | Change::ClientMet { .. } => 300,
        Change::Audited { audit } => 400 + audit.did.len(),
        Change::Learned { .. } => 1_500,
    }
}

fn work_octets(work: &Work) -> usize {
    let texts = [&work.client, &work.subject, &work.note];
    let texts: usize = texts.into_iter().flatten().map(|text| text.expose().len()).sum();
    let events = work.events.iter().map(|event| {
        let others = event.reason.as_ref().map_or(0, |reason| 200 + 100 * reason.others.len());
        64 + event.detail.len() + others
    });
    600 + texts + 100 * (work.attributes.len() + work.discoveries.len() + work.modifiers.len()) + events.sum::<usize>()
}

struct Writer {
    shared: Arc<Shared>,
    connection: Connection,
    applier: Applier,
    reserve: Reserve,
    _lock: DirLock,
}

impl Writer {
    /// Writes until the store closes. Tells how many changes could not be written.
    fn run(mut self) -> usize {
        let mut attempts_left = CLOSING_ATTEMPTS;
        let mut not_before = Instant::now();
        while let Some(batch) = self.shared.next_batch(not_before) {
            not_before = Instant::now() + COMMITS_APART;
            self.reserve.restore();
            if batch.is_empty() {
                // Where the disk refuses, the next change will tell.
                if let Err(error) = self.applier.beat(&mut self.connection) {
                    log::warn!(target: "store", "the time cannot be noted: {error}");
                }
                continue;
            }
            loop {
                match self.applier.commit(&mut self.connection, &batch) {
                    Ok(refused) => {
                        self.done(&batch, refused);
                        break;
                    }
                    Err(error) if error.is_disk_full() && self.reserve.release() => {
                        log::error!(target: "store", "{error}; the reserve on the disk is used now");
                        continue;
                    }
                    Err(error) => {
                        if error.is_disk_full() {
                            self.shrink_wal();
                        }
                        self.failed(&error);
                    }
                }
                if self.shared.pause() {
                    attempts_left = attempts_left.saturating_sub(1);
                }
                if attempts_left == 0 {
                    return batch.len() + self.shared.queue().waiting.len();
                }
            }
        }
        0
    }

    fn done(&self, batch: &[(Seq, Change)], refused: Vec<(Seq, String)>) {
        let Some((last, _)) = batch.last() else { return };
        let cpu = u64::try_from(cpu(ClockId::ThreadCPUTime).as_nanos()).unwrap_or(u64::MAX);
        self.shared.cpu_ns.store(cpu, Ordering::Relaxed);
        let was_failing = {
            let mut queue = self.shared.queue();
            queue.durable = *last;
            queue.counters.commits += 1;
            queue.counters.changes += batch.len() as u64;
            queue.counters.refused += refused.len() as u64;
            std::mem::take(&mut queue.failing)
        };
        if let Some(callback) = lock(&self.shared.on_durable).as_ref() {
            callback(*last);
        }
        for (seq, reason) in refused {
            log::error!(target: "store", "change {seq} is refused by the database: {reason}");
            self.shared.alarm(StoreAlarm::Refused { seq, reason });
        }
        if was_failing {
            log::info!(target: "store", "writing works again");
            self.shared.alarm(StoreAlarm::Cleared);
        }
    }

    /// Moves what the WAL holds into the database, which has room for most of it already, and gives its blocks back.
    fn shrink_wal(&self) {
        if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            log::warn!(target: "store", "the WAL keeps its room: {error}");
        }
    }

    fn failed(&self, error: &StoreError) {
        let was_failing = {
            let mut queue = self.shared.queue();
            queue.counters.failures += 1;
            std::mem::replace(&mut queue.failing, true)
        };
        if !was_failing {
            log::error!(target: "store", "nothing can be written, changes are kept and tried again: {error}");
            self.shared.alarm(StoreAlarm::Failing { reason: error.to_string() });
        }
    }
}
