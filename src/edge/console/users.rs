//! The users' control socket: open to every account of the machine, for those that `[[user]]` names.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::Uid;
use smol::channel::Receiver;
use smol::{Async, Executor, Task, Timer};

use super::records::Shelf;
use super::server::{Changes, ClientTask, Load, account_of, listen, next_client, peer, refuse};
use super::{ACCOUNT_CLIENTS_MAX, Asked, USER_CLIENTS_MAX, USER_LINE_MAX};
use crate::base::Bound;
use crate::core::control::{Asker, Query, Reply, Request};

/// From an answer to the client's next request: nobody keeps the appliance busy with questions.
const PAUSE: Duration = Duration::from_millis(10);

/// Before a change of what is provisioned, of all users together: each makes the directory and the store anew.
const CHANGE_PAUSE: Duration = Duration::from_millis(250);

/// How long who is no user keeps the place of another client of the same account.
const STRANGER_PAUSE: Duration = Duration::from_secs(1);

/// Why the users' socket cannot be opened.
#[derive(Debug)]
pub enum UserSocketError {
    /// Somebody answers on it.
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// Something else than a socket is there.
    NoSocket {
        /// What.
        path: PathBuf,
    },
    /// Others than root and the user that runs the appliance may put their own socket in its place.
    Directory {
        /// Its directory.
        path: PathBuf,
    },
    /// The system refused.
    Io {
        /// The socket.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
}

impl fmt::Display for UserSocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { path } => {
                write!(f, "[access] socket {}: another process answers there; name another path", path.display())
            }
            Self::NoSocket { path } => {
                write!(
                    f,
                    "[access] socket {}: what is there is no socket; remove it, or name another path",
                    path.display()
                )
            }
            Self::Directory { path } => {
                let path = path.display();
                write!(
                    f,
                    "[access] socket: others may change its directory {path}; it must belong to root or to the user that \
                     runs the appliance, and `chmod go-w {path}` keeps the others out"
                )
            }
            Self::Io { path, source } => write!(f, "[access] socket {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for UserSocketError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Taken { .. } | Self::NoSocket { .. } | Self::Directory { .. } => None,
        }
    }
}

/// How many clients each account has.
type Accounts = Arc<Mutex<HashMap<Uid, usize>>>;

/// The open users' socket. Dropping it closes and removes it.
pub struct UserSocket {
    path: PathBuf,
    load: Arc<Load>,
    _acceptor: Task<()>,
}

impl UserSocket {
    /// Opens the socket at `path` and serves it on `executor`, which the caller runs; records are those of `data_dir`. What
    /// users ask comes out of the returned channel, with whom the system says they are.
    ///
    /// # Errors
    /// Any [`UserSocketError`]; a socket that nobody answers is replaced.
    pub fn open(
        path: &Path,
        data_dir: &Path,
        executor: &Arc<Executor<'static>>,
    ) -> Result<(Self, Receiver<Asked>), UserSocketError> {
        let failed = |source| UserSocketError::Io { path: path.to_owned(), source };
        check_directory(path)?;
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(UserSocketError::NoSocket { path: path.to_owned() });
            }
            Ok(_) if UnixStream::connect(path).is_ok() => return Err(UserSocketError::Taken { path: path.to_owned() }),
            Ok(_) => fs::remove_file(path).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let everybody = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH;
        let listener = listen(path, everybody).map_err(failed)?;
        // A client waits for its answer before it asks again, so that there is always room.
        let (requests, asked) = smol::channel::bounded(USER_CLIENTS_MAX);
        let load = Arc::new(Load::default());
        let client = ClientTask {
            requests,
            logging: None,
            load: Arc::clone(&load),
            store: Arc::new(Shelf::new(data_dir)),
            line_max: USER_LINE_MAX,
            pause: PAUSE,
            changes: Some(Changes::new(CHANGE_PAUSE)),
        };
        let acceptor = executor.spawn(accept(listener, Arc::clone(executor), client));
        Ok((Self { path: path.to_owned(), load, _acceptor: acceptor }, asked))
    }

    /// Bounds with their use; `waiting` requests are on their way to the appliance.
    pub fn bounds(&self, waiting: usize) -> [Bound; 2] {
        self.load.bounds(("user-clients", USER_CLIENTS_MAX), ("user-requests", waiting, USER_CLIENTS_MAX))
    }
}

impl Drop for UserSocket {
    fn drop(&mut self) {
        // Left behind, it is found dead and replaced by the next start.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whoever may change the directory, or one above it, could put a socket of their own there, and hear what users say.
fn check_directory(path: &Path) -> Result<(), UserSocketError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let failed = |at: &Path| {
        let path = at.to_owned();
        move |source| UserSocketError::Io { path, source }
    };
    let real = fs::canonicalize(directory).map_err(failed(directory))?;
    for (above, at) in real.ancestors().enumerate() {
        let found = fs::metadata(at).map_err(failed(at))?;
        let owner = Uid::from_raw(found.uid());
        let is_ours = owner.is_root() || owner == rustix::process::geteuid();
        // In a sticky directory nobody moves what is another's.
        let is_kept = found.mode() & 0o022 == 0 || (above > 0 && found.mode() & 0o1000 != 0);
        if !(is_ours && is_kept) {
            return Err(UserSocketError::Directory { path: at.to_owned() });
        }
    }
    Ok(())
}

async fn accept(listener: Async<UnixListener>, executor: Arc<Executor<'static>>, client: ClientTask) {
    let accounts = Accounts::default();
    loop {
        let stream = next_client(&listener).await;
        let place = Place::take(&accounts, &client.load, &stream);
        let client = client.clone();
        let task = async move {
            let ended = match place {
                Ok(place) => serve(client, stream, place).await,
                Err(reason) => refuse(stream, reason).await,
            };
            if let Err(error) = ended {
                log::debug!(target: "console", "user: {error}");
            }
        };
        executor.spawn(task).detach();
    }
}

/// Says at once whether the account is a user's, and serves it if so.
async fn serve(client: ClientTask, stream: Async<UnixStream>, place: Place) -> io::Result<()> {
    let asker = Asker::Account(account_of(place.uid).await);
    match client.ask(&asker, Request::Query(Query::Whoami)).await {
        Reply::Refused { reason } => {
            // Strangers keep what is their account's alone, and take no places of users.
            let mut place = place;
            place.leave();
            refuse(stream, reason).await?;
            Timer::after(STRANGER_PAUSE).await;
            Ok(())
        }
        _ => client.serve(stream, asker).await,
    }
}

/// The place of a client among those of its account and of all; given back when dropped.
struct Place {
    uid: Uid,
    accounts: Accounts,
    /// The place among all.
    among_all: Option<Arc<Load>>,
}

impl Place {
    fn take(accounts: &Accounts, load: &Arc<Load>, stream: &Async<UnixStream>) -> Result<Self, String> {
        let uid = peer(stream).ok_or("the system does not say who you are")?;
        let mut of_accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = of_accounts.get(&uid).copied().unwrap_or(0);
        let full = match (count, load.clients.load(Ordering::Relaxed)) {
            (ACCOUNT_CLIENTS_MAX.., _) => {
                Some(format!("{ACCOUNT_CLIENTS_MAX} clients of your account are connected already; end one of them"))
            }
            (_, USER_CLIENTS_MAX..) => Some(format!("{USER_CLIENTS_MAX} clients are connected already; try again")),
            _ => None,
        };
        if let Some(reason) = full {
            load.clients_refused.fetch_add(1, Ordering::Relaxed);
            return Err(reason);
        }
        of_accounts.insert(uid, count + 1);
        load.clients.fetch_add(1, Ordering::Relaxed);
        Ok(Self { uid, accounts: Arc::clone(accounts), among_all: Some(Arc::clone(load)) })
    }

    /// Gives back the place among all.
    fn leave(&mut self) {
        if let Some(load) = self.among_all.take() {
            load.clients.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of_accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        match of_accounts.get(&self.uid).copied() {
            Some(count @ 2..) => drop(of_accounts.insert(self.uid, count - 1)),
            _ => drop(of_accounts.remove(&self.uid)),
        }
        drop(of_accounts);
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_give_back_the_place_among_all_and_keep_that_of_their_account() {
        let (accounts, load) = (Accounts::default(), Arc::new(Load::default()));
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let stream = Async::new(ours).expect("a socket");
        let mut places: Vec<Place> =
            (0..ACCOUNT_CLIENTS_MAX).map(|_| Place::take(&accounts, &load, &stream).expect("room")).collect();
        assert_eq!(load.clients.load(Ordering::Relaxed), ACCOUNT_CLIENTS_MAX);
        places.iter_mut().for_each(Place::leave);
        assert_eq!(load.clients.load(Ordering::Relaxed), 0);
        let refused = Place::take(&accounts, &load, &stream).map(|_| ());
        assert!(refused.is_err_and(|reason| reason.contains("of your account")));
        drop(places);
        assert!(accounts.lock().expect("whole").is_empty());
        assert_eq!(load.clients.load(Ordering::Relaxed), 0, "given back once");
    }
}
