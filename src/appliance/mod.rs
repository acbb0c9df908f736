//! The wiring: data folder, store, cards, media thread, sockets, console, and the switch thread that joins them.
//!
//! Threads: the switch thread (core, signalling, SIP and console sockets on an executor of its own), the media thread,
//! the recorder, the store's writer, and a pump for simulated cards. Bounded queues join them; what overflows waits in
//! the switch thread, which then takes no new input until it is through.

mod certificates;
mod load;
mod turn;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use smol::channel::Receiver;

use crate::base::CardId;
use crate::core::control::Reply;
use crate::core::journal::Change;
use crate::core::switch::{Config, Input, SrtpConfig, Switch};
use crate::core::tenant::provision::Access;
use crate::core::tenant::{Directory, Provision};
use crate::core::trunk::seat::Seat;
use crate::edge::cards::{Cards, CardsError};
use crate::edge::clock::{Clock, wall};
use crate::edge::console::{Asked, Console, ConsoleError, Request, UserSocket, Watcher};
use crate::edge::dns::Resolver;
use crate::edge::dtls::Identity;
use crate::edge::logging::Logging;
use crate::edge::net::{Limits, ListenError, SipSockets};
use crate::edge::privileges::{PrivilegeError, Privileges};
use crate::edge::prompts::Prompts;
use crate::edge::recorder::Recorder;
use crate::edge::rtp::{self, RtpConfig};
use crate::edge::store::{Registration, Store, StoreError};
use crate::proto::sip::{Binding, EndpointConfig, Path as SipPath, Transport};
use turn::{Inboxes, Notice, Rest, Turn};

/// Most SIP sessions at once.
const SESSIONS_MAX: usize = 40_000;
/// Most steps of the executor's tasks after the end.
const TICKS_MAX: usize = 100_000;
/// Most phones registered at once.
const BINDINGS_MAX: usize = 100_000;

/// How to start.
#[derive(Default)]
pub struct Options {
    /// Where everything is kept. Made when missing, for its owner alone.
    pub data_dir: PathBuf,
    /// Provisioning (checked) to apply first; else what the store holds.
    pub provision: Option<Provision>,
    /// Where log levels are changed while running.
    pub logging: Option<Logging>,
    /// Seed of tags, branches and nonces; `None` takes the system's entropy.
    pub seed: Option<u64>,
    /// Root's rights, which are dropped when the SIP ports are bound.
    pub privileges: Option<Privileges>,
}

/// Why the appliance did not start, or ended.
#[derive(Debug)]
pub enum RunError {
    /// The data folder cannot be made or used.
    DataDir(PathBuf, io::Error),
    /// The store.
    Store(StoreError),
    /// A SIP listener.
    Listen(ListenError),
    /// Root's rights could not be used or dropped.
    Privileges(PrivilegeError),
    /// The control socket.
    Console(ConsoleError),
    /// A trunk card.
    Cards(CardsError),
    /// The media thread, the recorder or the console could not start.
    Start(&'static str, io::Error),
    /// The media address is not an address; `check` would have told.
    MediaAddress(String),
    /// The switch thread broke down.
    Broken,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataDir(dir, e) => write!(f, "data folder {}: {e}; name another one by --data-dir", dir.display()),
            Self::Store(e) => e.fmt(f),
            Self::Listen(e) => e.fmt(f),
            Self::Privileges(e) => e.fmt(f),
            Self::Cards(e) => e.fmt(f),
            Self::Console(e) => e.fmt(f),
            Self::Start(what, e) => write!(f, "{what}: {e}"),
            Self::MediaAddress(a) => write!(f, "[media] address {a:?} is not an IP address"),
            Self::Broken => f.write_str("the switch thread broke down; its last words are in the log"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::DataDir(_, e) | Self::Start(_, e) => Some(e),
            Self::Store(e) => Some(e),
            Self::Listen(e) => Some(e),
            Self::Privileges(e) => Some(e),
            Self::Cards(e) => Some(e),
            Self::Console(e) => Some(e),
            Self::MediaAddress(_) | Self::Broken => None,
        }
    }
}

/// A running appliance.
pub struct Appliance {
    thread: Option<JoinHandle<Result<(), RunError>>>,
    requests: smol::channel::Sender<Asked>,
    /// SIP listeners as bound.
    pub listeners: Vec<(Transport, SocketAddr)>,
    /// The far ends of simulated cards.
    pub sims: Vec<(CardId, cordboard_hal_sim::SimControl)>,
    /// Faults in prompt files; those prompts are missing.
    pub prompt_faults: Vec<String>,
    /// Calls that an earlier run left open and whose records are closed now.
    pub interrupted: usize,
    /// Numbers provisioned at the start; without one nobody can call.
    pub numbers: usize,
}

impl Appliance {
    /// Starts everything. When it returns, calls are served.
    ///
    /// # Errors
    /// Whatever keeps it from serving; nothing is left running then.
    pub fn start(options: Options) -> Result<Self, RunError> {
        let clock = Clock::start();
        make_private_dir(&options.data_dir)?;
        let (store, recovered) = Store::open(&options.data_dir).map_err(RunError::Store)?;
        let mut first_seq = recovered.next_seq;
        let provision = match options.provision {
            Some(new) if new != recovered.provision => {
                let change = Change::Provisioned { provision: Box::new(new.clone()) };
                // An empty queue takes one change.
                let _ = store.append(first_seq, change);
                first_seq += 1;
                new
            }
            Some(same) => same,
            None => recovered.provision,
        };
        let directory = Directory::new(&provision, None);
        let (notices, notified) = smol::channel::bounded(4096);

        let nudges_dropped = Arc::new(AtomicU64::new(0));
        let nudge = {
            let (notices, dropped) = (notices, Arc::clone(&nudges_dropped));
            move |notice: Notice| {
                // A full queue has a nudge in it that says the same.
                dropped.fetch_add(u64::from(notices.try_send(notice).is_err()), Ordering::Relaxed);
            }
        };
        let wake = nudge.clone();
        let mut cards =
            Cards::open(&directory, clock, Arc::new(move || wake(Notice::Cards))).map_err(RunError::Cards)?;
        let prompts = Prompts::load(Some(&options.data_dir));
        let prompt_faults: Vec<String> = prompts.faults().iter().map(ToString::to_string).collect();
        let room = nudge.clone();
        let recorder = Recorder::spawn(&options.data_dir, move || room(Notice::Disk))
            .map_err(|e| RunError::Start("recorder", e))?;
        let recorder_load = recorder.load();
        let (media_events, media_inbox) = smol::channel::bounded(65_536);
        let address =
            provision.media.address.parse().map_err(|_| RunError::MediaAddress(provision.media.address.clone()))?;
        let second = provision.media.address6.as_ref().map(|text| text.parse());
        let second =
            second.transpose().map_err(|_| RunError::MediaAddress(format!("{:?}", provision.media.address6)))?;
        let rtp = RtpConfig { address, second, port_min: provision.media.port_min, port_max: provision.media.port_max };
        let identity = Identity::generate().map_err(|e| RunError::Start("certificate", e))?;
        let fingerprint = Some(identity.fingerprint());
        let (samples, bearers) = (prompts.into_samples(), cards.take_bearers());
        let media = rtp::spawn(rtp, samples, bearers, recorder, media_events, clock, Some(identity))
            .map_err(|e| RunError::Start("media thread", e))?;

        let executor = Arc::new(smol::Executor::new());
        let bind = || SipSockets::bind(&provision.sip.listen, Limits::default(), Arc::clone(&executor));
        let sockets = match options.privileges {
            None => bind(),
            Some(privileges) => {
                let bound = privileges.as_root(bind).map_err(RunError::Privileges)?;
                privileges.drop_for_good().map_err(RunError::Privileges)?;
                bound
            }
        }
        .map_err(RunError::Listen)?;
        let listeners: Vec<_> = sockets.listeners().collect();
        let (resolver, resolved) = Resolver::new(Arc::clone(&executor));
        let (console, asked) =
            Console::open(&options.data_dir, &executor, options.logging.clone()).map_err(RunError::Console)?;
        let (requests, asked_here) = smol::channel::bounded(64);

        let (users, asked_by_users, shut_out) = open_to_users(&provision.access, &options.data_dir, &executor);

        let seed = options.seed.map_or_else(entropy, Ok).map_err(|e| RunError::Start("entropy", e))?;
        let config = Config {
            first_call: first_call_id(),
            first_seq,
            listeners: listeners.clone(),
            media_addresses: std::iter::once(address).chain(second).collect(),
            seed,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sip: EndpointConfig {
                realm: provision.sip.realm.clone(),
                user_agent: concat!("Cordboard/", env!("CARGO_PKG_VERSION")).to_owned(),
                seed,
                sessions_max: SESSIONS_MAX,
                bindings_max: BINDINGS_MAX,
            },
            srtp: SrtpConfig { seed: key_seed().map_err(|e| RunError::Start("entropy", e))?, fingerprint },
        };
        let durable = nudge.clone();
        store.on_durable(Box::new(move |_| durable(Notice::Durable)));
        store.on_alarm(Box::new(move |alarm| nudge(Notice::Store(alarm))));
        let now = clock.now();
        let mut seats: HashMap<(String, String), Seat> =
            recovered.seats.into_iter().map(|(tenant, agent, seat)| ((tenant, agent), seat)).collect();
        let states: Vec<_> = recovered
            .agent_states
            .iter()
            .map(|s| {
                let seat = seats.remove(&(s.tenant.clone(), s.agent.clone()));
                (s.tenant.clone(), s.agent.clone(), s.status, s.reason.clone(), seat)
            })
            .collect();
        let bindings = recovered.registrations.iter().filter_map(|r| binding(r, &listeners)).collect();
        for id in &recovered.unread_works {
            log::error!("work item {id} cannot be read and is left out; its record is in the database");
        }
        let (interrupted, numbers) = (recovered.interrupted, provision.number.len());
        let mut switch =
            Switch::recover(now, config, provision, &states, bindings, recovered.works, recovered.last_agents);
        switch.recall(now, &recovered.learned);
        for fault in &prompt_faults {
            switch.handle(now, Input::Alarm { name: "prompt-unusable", subject: fault.clone(), stands: true });
        }

        if let Some(reason) = shut_out {
            log::error!("{reason}");
            switch.handle(now, Input::Alarm { name: "users-shut-out", subject: reason, stands: true });
        }

        let sims = cards.sim_controls();
        let turn = Turn::new(
            options.data_dir.clone(),
            clock,
            switch,
            sockets,
            cards,
            media,
            store,
            (console, users),
            resolver,
            Rest { recorder: recorder_load, logging: options.logging, nudges_dropped, held_back: 0 },
            Inboxes { media: media_inbox, asked, asked_here, asked_by_users, notified, resolved },
        );
        let thread = std::thread::Builder::new()
            .name("switch".into())
            .spawn(move || {
                let ended = smol::block_on(executor.run(turn.run()));
                // Acceptors hold the executor that holds them: they go, with their listeners, when they run once more.
                for _ in 0..TICKS_MAX {
                    if !executor.try_tick() {
                        break;
                    }
                }
                ended
            })
            .map_err(|e| RunError::Start("switch thread", e))?;
        Ok(Self { thread: Some(thread), requests, listeners, sims, prompt_faults, interrupted, numbers })
    }

    /// Asks as a console would and waits for the answer. `None`: the appliance is gone.
    pub fn ask(&self, request: Request) -> Option<Reply> {
        let (asked, answered) = Asked::new(request);
        smol::block_on(async {
            self.requests.send(asked).await.ok()?;
            answered.recv().await.ok()
        })
    }

    /// For a console that may only look. Answered until the appliance ends.
    pub fn watcher(&self) -> Watcher {
        Watcher::new(self.requests.clone())
    }

    /// Waits until the appliance ends.
    ///
    /// # Errors
    /// Why it ended, unless it was asked to.
    pub fn wait(mut self) -> Result<(), RunError> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(RunError::Broken),
            None => Ok(()),
        }
    }
}

/// The users' socket, if there is to be one. Where it cannot be opened, the reason: calls are served all the same.
fn open_to_users(
    access: &Access,
    data_dir: &Path,
    executor: &Arc<smol::Executor<'static>>,
) -> (Option<UserSocket>, Receiver<Asked>, Option<String>) {
    let nobody = smol::channel::bounded(1).1;
    let Some(path) = &access.socket else { return (None, nobody, None) };
    match UserSocket::open(Path::new(path), data_dir, executor) {
        Ok((socket, asked)) => (Some(socket), asked, None),
        Err(error) => (None, nobody, Some(error.to_string())),
    }
}

/// Call ids start where no earlier run can have been: milliseconds since 2020 in the upper bits, a count below.
fn first_call_id() -> u64 {
    const YEAR_2020_MS: i64 = 1_577_836_800_000;
    u64::try_from(wall().as_millis().saturating_sub(YEAR_2020_MS)).unwrap_or(0) << 20
}

fn entropy() -> io::Result<u64> {
    random_octets().map(u64::from_ne_bytes)
}

/// Keys of SRTP are never made from a number that somebody chose, tests of the whole appliance included.
fn key_seed() -> io::Result<[u8; 32]> {
    random_octets()
}

fn random_octets<const N: usize>() -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    let mut file = fs::File::open("/dev/urandom")?;
    io::Read::read_exact(&mut file, &mut octets)?;
    Ok(octets)
}

fn make_private_dir(dir: &std::path::Path) -> Result<(), RunError> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let refused = |e| RunError::DataDir(dir.to_owned(), e);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(refused)?;
    if fs::metadata(dir).map_err(refused)?.permissions().mode() & 0o077 != 0 {
        let path = dir.display();
        log::warn!("{path} is open to other users of this machine; `chmod 700 {path}` closes it");
    }
    Ok(())
}

/// A stored registration as the endpoint wants it. A stream's connection is gone; it is made anew when needed.
fn binding(stored: &Registration, listeners: &[(Transport, SocketAddr)]) -> Option<Binding> {
    let (transport, remote) = stored.via.split_once(':')?;
    let transport = Transport::from_name(transport)?;
    let remote: SocketAddr = remote.parse().ok()?;
    let local = listeners.iter().find(|(t, l)| *t == transport && l.is_ipv4() == remote.is_ipv4())?.1;
    Some(Binding {
        user: stored.user.clone(),
        contact: stored.contact.clone(),
        path: SipPath::new(transport, local, remote),
        expires_at: stored.expires_at,
    })
}
