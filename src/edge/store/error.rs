//! What can go wrong with the store.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why the store could not be opened, read, backed up or restored.
#[derive(Debug)]
pub enum StoreError {
    /// Another process has the data folder open for writing.
    Running {
        /// Its process id, when the lock file tells.
        pid: Option<u32>,
    },
    /// There is no database in the data folder.
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// The database does not pass SQLite's own check, or is no database of ours.
    Damaged {
        /// Which file.
        path: PathBuf,
        /// The first finding.
        finding: String,
    },
    /// The database was written by a newer release.
    TooNew {
        /// Its schema version.
        found: u32,
        /// The newest that this release knows.
        known: u32,
    },
    /// A backup may not replace a file that the appliance keeps in the data folder.
    OwnFile {
        /// Which.
        path: PathBuf,
    },
    /// A stored value has a form that no release writes.
    Undecodable {
        /// Table and key.
        what: String,
    },
    /// A sealed secret does not open: the key file is missing, or not the one it was sealed with.
    Sealed {
        /// Table and key, or the key file.
        what: String,
    },
    /// What was appended last could not be written before closing.
    Unwritten {
        /// How many changes are lost. None of them was reported durable.
        changes: usize,
    },
    /// The file system refused.
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite refused.
    Sql(rusqlite::Error),
}

impl StoreError {
    /// Whether it is for want of room on the disk.
    pub(super) fn is_disk_full(&self) -> bool {
        match self {
            Self::Sql(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }

    /// For `map_err` on file system calls.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
        let path = path.to_path_buf();
        move |source| StoreError::Io { path, source }
    }

    /// For `map_err` on system calls.
    pub(super) fn os(path: &Path) -> impl FnOnce(rustix::io::Errno) -> StoreError + use<> {
        let path = path.to_path_buf();
        move |errno| StoreError::Io { path, source: errno.into() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { pid: Some(pid) } => write!(f, "already running, pid {pid}"),
            Self::Running { pid: None } => f.write_str("already running"),
            Self::Missing { path } => write!(f, "{}: there is no database yet", path.display()),
            Self::Damaged { path, finding } => {
                write!(f, "{}: the database is damaged: {finding}; restore a backup", path.display())
            }
            Self::TooNew { found, known } => {
                write!(f, "the database has schema version {found}, this release knows up to {known}; use a newer one")
            }
            Self::OwnFile { path } => {
                write!(f, "{}: the appliance itself keeps this file; name another one", path.display())
            }
            Self::Undecodable { what } => write!(f, "{what}: the stored value cannot be read"),
            Self::Sealed { what } => write!(f, "{what}: the secret does not open with the key at hand"),
            Self::Unwritten { changes } => write!(f, "{changes} changes could not be written"),
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Sql(source) => write!(f, "database: {source}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Sql(source) => Some(source),
            _ => None,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sql(source)
    }
}

/// Why a change was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendError {
    /// As many changes wait as may. Append the same one again later.
    Full,
    /// Not the number that follows the last one taken.
    OutOfOrder {
        /// The number that does.
        expected: u64,
    },
    /// The store is closing.
    Closed,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too many changes wait to be written"),
            Self::OutOfOrder { expected } => write!(f, "the next change must have number {expected}"),
            Self::Closed => f.write_str("the store is closing"),
        }
    }
}

impl std::error::Error for AppendError {}
