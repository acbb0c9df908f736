//! The control sockets, `control.sock` in the data directory and the users' one: one line of JSON asks, one line answers.
//!
//! A request is a [`Command`](crate::core::control::Command) (`{"command":"sign-in","tenant":..,"agent":..}`), a [`Query`](crate::core::control::Query) (`{"query":"status"}`), a
//! question about [`Records`] (`{"records":"calls"}`), or a change of a log level (`{"log":{"module":"net","level":"debug"}}`); the answer is a
//! [`Reply`](crate::core::control::Reply). The socket in the data directory is for the user that runs the appliance alone: it
//! is made with mode 0600. The users' socket is for whoever has an account of the machine that `[[user]]` names; what they may
//! do the core knows.

mod client;
pub mod metrics;
mod records;
pub mod render;
pub mod serial;
mod server;
mod table;
#[cfg(test)]
mod tests;
mod users;
mod watcher;
pub mod works;

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};

use rustix::fs::{Mode, OFlags};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

pub use client::{Client, ClientError};
pub use server::{Asked, Console, Replier};
pub use table::Table;
pub use users::{UserSocket, UserSocketError};
pub use watcher::{WatchError, Watcher};

pub use crate::core::control::Request;
use crate::core::records::Records;

/// Longest line of a user, in octets.
pub const USER_LINE_MAX: usize = 1 << 20;

/// Most users' clients at once; a further one is refused.
pub const USER_CLIENTS_MAX: usize = 256;

/// Most clients of one account at once.
pub const ACCOUNT_CLIENTS_MAX: usize = 4;

/// Longest line, in octets: the provisioning of some hundred thousand agents.
pub const LINE_MAX: usize = 64 << 20;

/// Most clients at once; a further one is refused.
pub const CLIENTS_MAX: usize = 16;

/// Requests that wait for the appliance; a further one is refused.
pub const REQUESTS_MAX: usize = 64;

/// How long a request may take to be answered.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a client may be idle, and how long a line may take to arrive.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(600);

/// A change of a log level.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLevel {
    /// Module's name, or `all`.
    pub module: String,
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

/// A line as read.
#[derive(Debug)]
pub enum Line {
    /// For the appliance.
    Request(Box<Request>),
    /// For the store.
    Records(Records),
    /// For the log.
    Log(LogLevel),
}

/// The keys that tell the kinds of line apart.
#[derive(Deserialize)]
struct Kind {
    command: Option<IgnoredAny>,
    query: Option<IgnoredAny>,
    log: Option<IgnoredAny>,
    records: Option<IgnoredAny>,
}

/// Reads a line, with or without its line feed. Its length is for the caller to bound: see [`LINE_MAX`].
///
/// # Errors
/// [`LineError`] says what is wrong with it, in words for whoever wrote it.
pub fn read_line(line: &[u8]) -> Result<Line, LineError> {
    #[derive(Deserialize)]
    struct Log {
        log: LogLevel,
    }
    let kind: Kind = serde_json::from_slice(line)?;
    match (kind.command, kind.query, kind.log, kind.records) {
        (Some(_), None, None, None) => Ok(Line::Request(Box::new(Request::Command(serde_json::from_slice(line)?)))),
        (None, Some(_), None, None) => Ok(Line::Request(Box::new(Request::Query(serde_json::from_slice(line)?)))),
        (None, None, None, Some(_)) => Ok(Line::Records(serde_json::from_slice(line)?)),
        (None, None, Some(_), None) => Ok(Line::Log(serde_json::from_slice::<Log>(line)?.log)),
        _ => Err(LineError::Kind),
    }
}

/// Why a line is not understood.
#[derive(Debug)]
pub enum LineError {
    /// It is not JSON, or not of the form that its key asks for.
    Json(serde_json::Error),
    /// It has none of the keys that tell the kinds of line apart, or more than one.
    Kind,
}

impl From<serde_json::Error> for LineError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "not understood: {error}"),
            Self::Kind => f.write_str("not understood: expected exactly one of `command`, `query`, `records`, `log`"),
        }
    }
}

impl std::error::Error for LineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            Self::Kind => None,
        }
    }
}

/// Where the socket of a data directory is.
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Longest path of a socket, in octets (unix(7): 108 with the zero at its end).
const PATH_MAX: usize = 107;

/// A path by which the socket can be bound and connected: its own, or where that is too long, one through a descriptor
/// of its directory, which must stay open meanwhile.
struct Address {
    path: PathBuf,
    _directory: Option<OwnedFd>,
}

impl Address {
    fn of(socket: &Path) -> io::Result<Address> {
        let (Some(directory), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if socket.as_os_str().len() <= PATH_MAX {
            return Ok(Address { path: socket.to_owned(), _directory: None });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(directory, flags, Mode::empty())?;
        let path = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        Ok(Address { path, _directory: Some(directory) })
    }
}

/// Why the control socket cannot be opened.
#[derive(Debug)]
pub enum ConsoleError {
    /// Another process answers on it.
    Running {
        /// The socket.
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

impl fmt::Display for ConsoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { path } => {
                write!(f, "{}: another cordboard runs on this data directory", path.display())
            }
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

impl std::error::Error for ConsoleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Running { .. } => None,
        }
    }
}
