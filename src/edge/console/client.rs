//! The command line's end of the control socket: blocking, one question at a time.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{error, fmt};

use serde::Serialize;

use super::{ANSWER_TIMEOUT, Address, LINE_MAX, LogLevel, socket_path};
use crate::core::control::{Command, Query, Reply};
use crate::core::records::Records;

/// A little more than the server takes to give up.
const TIMEOUT: Duration = ANSWER_TIMEOUT.saturating_add(Duration::from_secs(10));

/// Why the appliance could not be asked.
#[derive(Debug)]
pub enum ClientError {
    /// The socket failed.
    Io {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The appliance closed the connection instead of answering.
    Gone,
    /// The answer is not understood: the appliance is of another version.
    Answer(serde_json::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } if source.kind() == ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "{}: {source}; run this as the user that runs the appliance, or give the socket for users by --socket",
                    path.display()
                )
            }
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Gone => f.write_str("the appliance closed the connection without an answer; see its log"),
            Self::Answer(source) => {
                write!(f, "answer not understood ({source}); is the running appliance of another version?")
            }
        }
    }
}

impl error::Error for ClientError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Gone => None,
            Self::Answer(source) => Some(source),
        }
    }
}

/// A connection with the running appliance.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects with the appliance that runs on `data_dir`; `None` when none does.
    ///
    /// # Errors
    ///
    /// [`ClientError::Io`], most often for want of permission.
    pub fn connect(data_dir: &Path) -> Result<Option<Client>, ClientError> {
        Self::connect_to(socket_path(data_dir))
    }

    /// Connects with the appliance whose socket this is; `None` when none answers there.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub fn connect_to(path: PathBuf) -> Result<Option<Client>, ClientError> {
        let connected = Address::of(&path).and_then(|address| UnixStream::connect(&address.path)).and_then(|stream| {
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => Ok(Some(Client { path, stream: BufReader::new(stream) })),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
            Err(source) => Err(ClientError::Io { path, source }),
        }
    }

    /// Gives an order.
    ///
    /// # Errors
    ///
    /// Any [`ClientError`]. A refusal by the appliance is a [`Reply`], not an error.
    pub fn command(&mut self, command: &Command) -> Result<Reply, ClientError> {
        self.ask(command)
    }

    /// Asks a question.
    ///
    /// # Errors
    ///
    /// As for [`command`](Self::command).
    pub fn query(&mut self, query: &Query) -> Result<Reply, ClientError> {
        self.ask(query)
    }

    /// Asks what is on record.
    ///
    /// # Errors
    ///
    /// As for [`command`](Self::command).
    pub fn records(&mut self, records: &Records) -> Result<Reply, ClientError> {
        self.ask(records)
    }

    /// Changes a log level.
    ///
    /// # Errors
    ///
    /// As for [`command`](Self::command).
    pub fn log_level(&mut self, log: LogLevel) -> Result<Reply, ClientError> {
        #[derive(Serialize)]
        struct Log {
            log: LogLevel,
        }
        self.ask(&Log { log })
    }

    fn ask(&mut self, request: &impl Serialize) -> Result<Reply, ClientError> {
        let line = self.exchange(request).map_err(|source| ClientError::Io { path: self.path.clone(), source })?;
        if line.is_empty() {
            return Err(ClientError::Gone);
        }
        serde_json::from_slice(&line).map_err(ClientError::Answer)
    }

    fn exchange(&mut self, request: &impl Serialize) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        // A refused client is told why and closed; its request may then hit the closed socket, but the answer is there.
        match self.stream.get_mut().write_all(&line) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error),
            _ => line.clear(),
        }
        let most = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
        match Read::by_ref(&mut self.stream).take(most).read_until(b'\n', &mut line) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error),
            _ => Ok(line),
        }
    }
}
