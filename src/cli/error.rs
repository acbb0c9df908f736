//! What ends a command, in words that tell what to do.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::appliance::RunError;
use crate::core::fault::{Fault, did_you_mean};
use crate::demo::DemoError;
use crate::edge::console::ClientError;
use crate::edge::console::serial::SerialError;
use crate::edge::privileges::PrivilegeError;
use crate::edge::store::StoreError;
use crate::simulate::Refused;

/// Why a command failed.
#[derive(Debug)]
pub enum CliError {
    /// The arguments make no sense together, or do not name something that is there. Exit code 2.
    Usage(String),
    /// Faults in files, all of them.
    Faults(Vec<Fault>),
    /// Faults in a scenario.
    Scenario(Refused),
    /// A simulated run broke off.
    BrokeOff,
    /// A file or directory could not be read or written.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output could not be written.
    Output(io::Error),
    /// The store failed.
    Store(StoreError),
    /// The appliance did not answer.
    Client(ClientError),
    /// The appliance refused.
    Refused(String),
    /// The appliance answered something else than was asked.
    Answer,
    /// The command needs a running appliance.
    NotRunning {
        /// On this data directory.
        data_dir: PathBuf,
    },
    /// No appliance answers on a socket.
    NobodyAnswers {
        /// As given.
        socket: PathBuf,
    },
    /// There is no data folder.
    NoData {
        /// As given.
        data_dir: PathBuf,
    },
    /// A file to restore is no backup, or no whole one.
    NoBackup {
        /// Which.
        path: PathBuf,
        /// What was found.
        finding: String,
    },
    /// There is no such entity.
    Missing {
        /// `agent`, `queue`, ...
        kind: &'static str,
        /// Its name as given.
        name: String,
        /// A name that may have been meant.
        nearest: Option<String>,
    },
    /// The process's log could not be set up.
    Logging(io::Error),
    /// Signals cannot be waited for.
    Signals(io::Error),
    /// The serial console did not start.
    Serial(SerialError),
    /// The process cannot serve as another user.
    Privileges(PrivilegeError),
    /// The appliance did not start, or broke down.
    Run(RunError),
    /// The demonstration could not run.
    Demo(DemoError),
    /// What went wrong is printed already.
    Reported,
}

impl CliError {
    /// That something is not there, and which of those that are may be meant.
    pub(super) fn missing<'k>(kind: &'static str, name: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        Self::Missing { kind, name: name.to_owned(), nearest: did_you_mean(name, known).map(str::to_owned) }
    }

    /// The same of what was asked for, where it is not among those that are known.
    pub(super) fn unless_there<'k>(
        kind: &'static str,
        name: Option<&str>,
        known: impl IntoIterator<Item = &'k str>,
    ) -> Result<(), Self> {
        let known: Vec<&str> = known.into_iter().collect();
        name.filter(|name| !known.contains(name)).map_or(Ok(()), |name| Err(Self::missing(kind, name, known)))
    }

    /// 1, or 2 for wrong usage.
    pub const fn exit_code(&self) -> u8 {
        if matches!(self, Self::Usage(_)) { 2 } else { 1 }
    }

    /// For `map_err` on a file's errors.
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => write!(f, "error: {what}"),
            Self::Faults(faults) => {
                for fault in faults {
                    writeln!(f, "{}", fault.told())?;
                }
                write!(f, "error: {} fault{}; nothing was changed", faults.len(), plural(faults.len()))
            }
            Self::Scenario(refused) => refused.fmt(f),
            Self::BrokeOff => f.write_str("error: a run broke off, so that there is no result"),
            Self::File { path, source } => write!(f, "error: {}: {source}", path.display()),
            Self::Output(source) => write!(f, "error: standard output: {source}"),
            Self::Store(source @ StoreError::Running { .. }) => {
                write!(f, "error: {source}; stop it first, or wait until its control socket answers")
            }
            Self::Store(source) => write!(f, "error: {source}"),
            Self::Client(source) => write!(f, "error: {source}"),
            Self::Refused(reason) => write!(f, "error: refused: {reason}"),
            Self::Answer => f.write_str("error: unexpected answer; is the running appliance of another version?"),
            Self::NotRunning { data_dir } => {
                let dir = data_dir.display();
                write!(f, "error: no appliance runs on {dir}; start it with `cordboard run --data-dir {dir}`")
            }
            Self::NobodyAnswers { socket } => write!(
                f,
                "error: no appliance answers on {}; its provisioning names the path as [access] socket",
                socket.display()
            ),
            Self::NoData { data_dir } => {
                write!(f, "error: there is no data folder {}; name it by --data-dir", data_dir.display())
            }
            Self::NoBackup { path, finding } => {
                write!(f, "error: {} is not a whole backup: {finding}; nothing was changed", path.display())
            }
            Self::Missing { kind, name, nearest } => {
                write!(f, "error: there is no {kind} `{name}`")?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
                    None if *kind == "call" => {
                        f.write_str("; `cordboard calls` shows those in progress, `cordboard cdr export` all")
                    }
                    None => write!(f, "; `cordboard {kind} list` shows what there is"),
                }
            }
            Self::Logging(source) => write!(f, "error: cannot start the log: {source}"),
            Self::Signals(source) => write!(f, "error: cannot wait for signals: {source}"),
            Self::Serial(source) => write!(f, "error: {source}"),
            Self::Privileges(source) => write!(f, "error: {source}"),
            Self::Run(source) => write!(f, "error: {source}"),
            Self::Demo(source) => write!(f, "error: {source}"),
            Self::Reported => Ok(()),
        }
    }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

impl std::error::Error for CliError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } | Self::Output(source) | Self::Logging(source) | Self::Signals(source) => {
                Some(source)
            }
            Self::Store(source) => Some(source),
            Self::Client(source) => Some(source),
            Self::Serial(source) => Some(source),
            Self::Privileges(source) => Some(source),
            Self::Run(source) => Some(source),
            Self::Demo(source) => Some(source),
            _ => None,
        }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}
