//! One writer per data folder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::edge::store::StoreError;

/// The right to write in a data folder: a lock on `DIR/lock` that the kernel takes back when the process ends,
/// however it ends.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// The file that is locked.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("lock")
    }

    /// Makes the folder (mode 0700) where there is none, and takes its lock.
    ///
    /// # Errors
    /// [`StoreError::Running`] when another process has it; [`StoreError::Io`].
    pub fn take(dir: &Path) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(StoreError::io(dir))?;
        let path = Self::path(dir);
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::io(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StoreError::Running { pid: read_pid(&mut file) }),
            Err(errno) => return Err(StoreError::os(&path)(errno)),
        }
        file.set_len(0).map_err(StoreError::io(&path))?;
        writeln!(file, "{}", std::process::id()).map_err(StoreError::io(&path))?;
        Ok(Self { _file: file })
    }
}

/// Makes the names in `dir` durable (renames and new files).
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io(dir))
}

/// Removes a file that may not be there.
pub(super) fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io(path)(source)),
        _ => Ok(()),
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    Read::by_ref(file).take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
