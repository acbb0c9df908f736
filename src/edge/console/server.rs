//! The appliance's end of the control socket.

use std::io::{self, ErrorKind};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::Uid;
use smol::channel::{Receiver, Sender};
use smol::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use smol::lock::{Semaphore, SemaphoreGuard};
use smol::{Async, Executor, Task, Timer, future};

use super::records::Shelf;
use super::{
    ANSWER_TIMEOUT, Address, CLIENT_TIMEOUT, CLIENTS_MAX, ConsoleError, LINE_MAX, Line, REQUESTS_MAX, Request,
    read_line, socket_path,
};
use crate::base::Bound;
use crate::core::control::{Asker, Command, Query, Reply};
use crate::core::fault::Fault;
use crate::core::records::Records;
use crate::core::tenant::access::{self, Deed, Principal};
use crate::core::tenant::provision::Role;
use crate::core::tenant::{Provision, check};
use crate::edge::logging::Logging;

/// Connections that the kernel may hold until they are accepted.
const BACKLOG: i32 = 16;

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// So many faults of a provisioning are told.
const FAULTS_TOLD_MAX: usize = 20;

/// A request on its way to the appliance.
#[derive(Debug)]
pub struct Asked {
    /// Who asks by a socket; none from within the process.
    pub asker: Option<Asker>,
    /// What is asked.
    pub request: Request,
    /// Where the answer goes. Dropped unanswered, the client hears of a refusal.
    pub replier: Replier,
}

impl Asked {
    /// A request from within the process, and where its answer arrives.
    pub fn new(request: Request) -> (Asked, Receiver<Reply>) {
        let (answer, answered) = smol::channel::bounded(1);
        (Asked { asker: None, request, replier: Replier(answer) }, answered)
    }
}

/// Takes the one answer to a request, later and from any thread.
#[derive(Debug)]
pub struct Replier(Sender<Reply>);

impl Replier {
    /// Answers. A client that is gone no longer cares.
    pub fn send(self, reply: Reply) {
        let _ = self.0.try_send(reply);
    }
}

/// Clients in conversation and requests on their way, and how often one was refused.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub clients: AtomicUsize,
    pub clients_refused: AtomicU64,
    pub requests_refused: AtomicU64,
}

impl Load {
    /// Bounds with their use; `waiting` requests are on their way to the appliance.
    pub fn bounds(
        &self,
        (clients, clients_max): (&str, usize),
        (requests, waiting, most): (&str, usize, usize),
    ) -> [Bound; 2] {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let connected = self.clients.load(Ordering::Relaxed).min(clients_max);
        [
            Bound::new(clients, connected, clients_max, of(&self.clients_refused)),
            Bound::new(requests, waiting, most, of(&self.requests_refused)),
        ]
    }
}

/// The open control socket. Dropping it closes and removes it; clients in conversation are let go when the executor ends.
pub struct Console {
    path: PathBuf,
    load: Arc<Load>,
    _acceptor: Task<()>,
}

impl Console {
    /// Opens the socket in `data_dir` (which must exist) and serves it on `executor`, which the caller runs. What clients
    /// ask comes out of the returned channel; log levels are changed here, where `logging` is given.
    ///
    /// # Errors
    ///
    /// [`ConsoleError::Running`] when another process answers there; a socket that nobody answers is replaced.
    pub fn open(
        data_dir: &Path,
        executor: &Arc<Executor<'static>>,
        logging: Option<Logging>,
    ) -> Result<(Console, Receiver<Asked>), ConsoleError> {
        let path = socket_path(data_dir);
        let mode = Mode::RUSR | Mode::WUSR;
        let listener = match listen(&path, mode) {
            Ok(listener) => listener,
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                if Address::of(&path).and_then(|address| UnixStream::connect(&address.path)).is_ok() {
                    return Err(ConsoleError::Running { path });
                }
                std::fs::remove_file(&path)
                    .and_then(|()| listen(&path, mode))
                    .map_err(|source| ConsoleError::Io { path: path.clone(), source })?
            }
            Err(source) => return Err(ConsoleError::Io { path, source }),
        };
        let (requests, asked) = smol::channel::bounded(REQUESTS_MAX);
        let load = Arc::new(Load::default());
        let client = ClientTask {
            requests,
            logging,
            load: Arc::clone(&load),
            store: Arc::new(Shelf::new(data_dir)),
            line_max: LINE_MAX,
            pause: Duration::ZERO,
            changes: None,
        };
        let acceptor = executor.spawn(accept(listener, Arc::clone(executor), client));
        Ok((Console { path, load, _acceptor: acceptor }, asked))
    }

    /// Bounds with their use; `waiting` requests are on their way to the appliance.
    pub fn bounds(&self, waiting: usize) -> [Bound; 2] {
        self.load.bounds(("console-clients", CLIENTS_MAX), ("console-requests", waiting, REQUESTS_MAX))
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Left behind, it is found dead and replaced by the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Listens on a socket file that is born with its mode: Linux takes the mode of the file from the socket at bind
/// (unix(7)), and nobody can connect before listen.
pub(super) fn listen(path: &Path, mode: Mode) -> io::Result<Async<UnixListener>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let address = Address::of(path)?;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::fs::fchmod(&socket, mode)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(&address.path)?)?;
    rustix::fs::chmod(&address.path, mode)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Async::new_nonblocking(UnixListener::from(socket))
}

async fn accept(listener: Async<UnixListener>, executor: Arc<Executor<'static>>, client: ClientTask) {
    loop {
        let stream = next_client(&listener).await;
        let (client, load) = (client.clone(), Arc::clone(&client.load));
        let task = async move {
            let admitted = load.clients.fetch_add(1, Ordering::Relaxed) < CLIENTS_MAX;
            let owner = owner(&stream);
            load.clients_refused.fetch_add(u64::from(!admitted), Ordering::Relaxed);
            let ended = match (owner, admitted) {
                (Some(uid), true) => client.serve(stream, Asker::Owner(account_of(uid).await)).await,
                (Some(_), false) => {
                    refuse(stream, format!("{CLIENTS_MAX} clients are connected already; try again")).await
                }
                (None, _) => refuse(stream, "only root and the user that runs the appliance may ask".into()).await,
            };
            load.clients.fetch_sub(1, Ordering::Relaxed);
            if let Err(error) = ended {
                log::debug!(target: "console", "client: {error}");
            }
        };
        executor.spawn(task).detach();
    }
}

/// The next who connects; a socket that cannot accept for a while is tried again.
pub(super) async fn next_client(listener: &Async<UnixListener>) -> Async<UnixStream> {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                log::warn!(target: "console", "accept: {error}");
                Timer::after(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Who is at the other end (unix(7), SO_PEERCRED).
pub(super) fn peer(stream: &Async<UnixStream>) -> Option<Uid> {
    rustix::net::sockopt::socket_peercred(stream.get_ref()).ok().map(|peer| peer.uid)
}

/// Who it is, where it is root or the user that runs the appliance. The mode of the socket file says the same; this holds
/// when somebody has changed it, or passed an open connection on at exec.
fn owner(stream: &Async<UnixStream>) -> Option<Uid> {
    peer(stream).filter(|uid| uid.is_root() || *uid == rustix::process::geteuid())
}

/// The name of an account, or its number where it has none. Who keeps the accounts may have to be asked over a network.
pub(super) async fn account_of(uid: Uid) -> String {
    let number = uid.as_raw();
    let found = smol::unblock(move || nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(number))).await;
    found.ok().flatten().map_or_else(|| format!("#{number}"), |user| user.name)
}

pub(super) async fn refuse(mut stream: Async<UnixStream>, reason: String) -> io::Result<()> {
    within(CLIENT_TIMEOUT, write(&mut stream, &refused(reason))).await
}

/// How clients are served.
#[derive(Clone)]
pub(super) struct ClientTask {
    pub requests: Sender<Asked>,
    /// Where log levels are changed, for who may.
    pub logging: Option<Logging>,
    pub load: Arc<Load>,
    /// Where records are read.
    pub store: Arc<Shelf>,
    /// Longest line, in octets.
    pub line_max: usize,
    /// From an answer to the next request.
    pub pause: Duration,
    /// Where changes of what is provisioned wait for each other.
    pub changes: Option<Changes>,
}

/// Changes of what is provisioned cost the appliance more than other orders: they come one after the other, each after a pause.
#[derive(Clone)]
pub(super) struct Changes {
    turns: Arc<Semaphore>,
    pause: Duration,
}

impl Changes {
    pub fn new(pause: Duration) -> Self {
        Self { turns: Arc::new(Semaphore::new(1)), pause }
    }

    /// Waits for the turn, which lasts as long as what is returned.
    async fn turn(&self) -> SemaphoreGuard<'_> {
        let turn = self.turns.acquire().await;
        Timer::after(self.pause).await;
        turn
    }
}

impl ClientTask {
    pub async fn serve(self, stream: Async<UnixStream>, asker: Asker) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut line = Vec::new();
            if !within(CLIENT_TIMEOUT, fill(&mut stream, &mut line, self.line_max)).await? {
                return Ok(());
            }
            let overlong = line.len() > self.line_max;
            let reply = match read_line(&line) {
                _ if overlong => refused(format!("line over {} octets", self.line_max)),
                Ok(Line::Request(request)) => {
                    let _turn = match &self.changes {
                        Some(changes) if is_change(&request) => Some(changes.turn().await),
                        _ => None,
                    };
                    self.ask(&asker, *request).await
                }
                Ok(Line::Records(records)) => self.on_record(&asker, records).await,
                Ok(Line::Log(change)) => match &self.logging {
                    None if matches!(asker, Asker::Account(_)) => {
                        refused("log levels are changed by the socket in the data folder alone".into())
                    }
                    None => refused("this process keeps no log".into()),
                    Some(logging) => match logging.set_level(&change.module, &change.level) {
                        Ok(()) => Reply::Done,
                        Err(error) => refused(error.to_string()),
                    },
                },
                Err(error) => refused(error.to_string()),
            };
            within(CLIENT_TIMEOUT, write(stream.get_mut(), &reply)).await?;
            if overlong {
                return Ok(());
            }
            if !self.pause.is_zero() {
                Timer::after(self.pause).await;
            }
        }
    }

    /// What is on record, for whoever the core says the asker is.
    async fn on_record(&self, asker: &Asker, records: Records) -> Reply {
        let who = match self.ask(asker, Request::Query(Query::Whoami)).await {
            Reply::Whoami { user, role, tenant, agent } => Principal { user, role, tenant, agent },
            refused => return refused,
        };
        let deed = Deed::of_records(&records);
        match access::narrow_records(&who, records) {
            Ok(records) => access::narrow_reply(&who, deed, self.store.read(records).await),
            Err(denied) => refused(denied.to_string()),
        }
    }

    pub async fn ask(&self, asker: &Asker, request: Request) -> Reply {
        match request {
            // Whoever may not change it is refused whatever it is, so there is nothing to look for.
            Request::Command(Command::Provision { provision }) if self.is_operator(asker).await => {
                match checked(provision).await {
                    Ok(provision) => self.pass_on(asker, Request::Command(Command::Provision { provision })).await,
                    Err(reason) => refused(reason),
                }
            }
            request => self.pass_on(asker, request).await,
        }
    }

    async fn is_operator(&self, asker: &Asker) -> bool {
        match asker {
            Asker::Owner(_) => true,
            Asker::Account(_) => {
                let who = self.pass_on(asker, Request::Query(Query::Whoami)).await;
                matches!(who, Reply::Whoami { role: Role::Operator, .. })
            }
        }
    }

    async fn pass_on(&self, asker: &Asker, request: Request) -> Reply {
        let (replier, reply) = smol::channel::bounded(1);
        let asked = Asked { asker: Some(asker.clone()), request, replier: Replier(replier) };
        if self.requests.try_send(asked).is_err() {
            self.load.requests_refused.fetch_add(1, Ordering::Relaxed);
            return refused("the appliance is busy or stopping; try again".into());
        }
        let answer = async { reply.recv().await.map_err(|_| io::ErrorKind::BrokenPipe.into()) };
        match within(ANSWER_TIMEOUT, answer).await {
            Ok(reply) => reply,
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                refused(format!("no answer within {} s; it may still be carried out", ANSWER_TIMEOUT.as_secs()))
            }
            Err(_) => refused("the appliance stops".into()),
        }
    }
}

/// A provisioning without faults.
///
/// # Errors
/// The first faults, as text.
async fn checked(provision: Box<Provision>) -> Result<Box<Provision>, String> {
    // A large one takes a tenth of a second, in which others are to be served.
    let (provision, faults) = smol::unblock(move || {
        let faults = check(&provision);
        (provision, faults)
    })
    .await;
    if faults.is_empty() {
        return Ok(provision);
    }
    let told: Vec<String> = faults.iter().take(FAULTS_TOLD_MAX).map(Fault::told).collect();
    let more = faults.len().saturating_sub(FAULTS_TOLD_MAX);
    let more = if more == 0 { String::new() } else { format!("\n{more} more") };
    Err(format!("nothing is applied:\n{}{more}", told.join("\n")))
}

fn is_change(request: &Request) -> bool {
    matches!(request, Request::Command(Command::Put { .. } | Command::Remove { .. } | Command::Provision { .. }))
}

fn refused(reason: String) -> Reply {
    Reply::Refused { reason }
}

/// Reads up to a line feed or a little over `line_max` octets; false at the end of the stream.
async fn fill(stream: &mut BufReader<Async<UnixStream>>, line: &mut Vec<u8>, line_max: usize) -> io::Result<bool> {
    loop {
        let buffer = stream.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(false);
        }
        let end = buffer.iter().position(|&b| b == b'\n');
        let taken = end.map_or(buffer.len(), |at| at + 1);
        line.extend_from_slice(buffer.get(..taken).unwrap_or(buffer));
        stream.consume(taken);
        if end.is_some() || line.len() > line_max {
            return Ok(true);
        }
    }
}

async fn write(stream: &mut Async<UnixStream>, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    future::or(work, async {
        Timer::after(limit).await;
        Err(ErrorKind::TimedOut.into())
    })
    .await
}
