//! Online backup into one SQLite file, and restore.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::edge::disk::Reserve;
use crate::edge::store::lock::{DirLock, remove_if_there, sync_dir};
use crate::edge::store::secret::{KEY_LENGTH, SecretKey};
use crate::edge::store::{StoreError, provisioning, schema};

/// Pages copied between two reports of progress.
const STEP_PAGES: i32 = 2_000;

/// How often a step may find the database locked before the backup gives up.
const BUSY_STEPS_MAX: u32 = 50;

/// What to put into a backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BackupOptions {
    /// Also the key, so that the file alone brings back passwords and PINs. Such a file is a secret itself. Without it,
    /// they come back only where `secret.key` is still the same.
    pub with_secrets: bool,
}

/// What a restore did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// Calls on record in the backup.
    pub cdrs: u64,
    /// Passwords and PINs that could not be opened and are gone: provision them again.
    pub secrets_lost: u64,
    /// Where the database from before is kept.
    pub before: Option<PathBuf>,
}

/// Copies the database of a data folder into `to` (mode 0600; a file that is there is replaced when the copy is whole).
/// Works while the appliance runs and does not make it wait: the copy is the state at the start of the backup.
/// `progress` gets the octets copied and the octets in all.
///
/// # Errors
/// [`StoreError::OwnFile`] when `to` is a file that the appliance keeps; [`StoreError::Missing`], [`StoreError::Damaged`] when
/// the copy does not pass SQLite's check, [`StoreError::Sealed`] when the key is asked for and there is none,
/// [`StoreError::Io`], [`StoreError::Sql`].
pub fn backup(
    dir: &Path,
    to: &Path,
    options: BackupOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), StoreError> {
    if is_own(dir, to) {
        return Err(StoreError::OwnFile { path: to.to_owned() });
    }
    let key = match (options.with_secrets, SecretKey::load(dir)?) {
        (true, None) => return Err(StoreError::Sealed { what: SecretKey::path(dir).display().to_string() }),
        (true, key) => key,
        (false, _) => None,
    };
    let source = schema::open_reader(&schema::database_path(dir))?;
    // A read transaction pins the state that is copied, so that the writer's commits do not start the copy over.
    let snapshot = source.unchecked_transaction()?;
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let partial = with_suffix(to, ".partial");
    let copied = (|| {
        let target = copy(&snapshot, &partial, progress)?;
        if let Some(key) = key {
            target.execute_batch("CREATE TABLE secret_key (key BLOB NOT NULL) STRICT")?;
            target.execute("INSERT INTO secret_key VALUES (?1)", [key.octets().expose().as_slice()])?;
        }
        schema::check(&target, &partial)?;
        target.close().map_err(|(_, error)| StoreError::Sql(error))
    })();
    if copied.is_err() {
        remove_if_there(&partial)?;
    }
    copied?;
    put_in_place(&partial, to)
}

/// Replaces the database of a data folder by a backup. The one before is kept as `cordboard.db.before-restore`, with
/// its key as `secret.key.before-restore` when the backup brings a key of its own.
///
/// # Errors
/// [`StoreError::Running`] while the appliance runs; [`StoreError::Missing`], [`StoreError::Damaged`],
/// [`StoreError::TooNew`] for the backup: the folder is then as it was; [`StoreError::Io`], [`StoreError::Sql`].
pub fn restore(from: &Path, dir: &Path) -> Result<Restored, StoreError> {
    let _lock = DirLock::take(dir)?;
    let source = schema::open_reader(from)?;
    schema::check(&source, from)?;
    let database = schema::database_path(dir);
    let partial = with_suffix(&database, ".restoring");
    let prepared = prepare(&source, &partial, dir);
    if prepared.is_err() {
        remove_if_there(&partial)?;
    }
    let (cdrs, secrets_lost, key) = prepared?;
    let before = set_aside(&database)?;
    if let Some(key) = key {
        let path = SecretKey::path(dir);
        if path.exists() {
            fs::rename(&path, with_suffix(&path, ".before-restore")).map_err(StoreError::io(&path))?;
        }
        key.save(dir)?;
    }
    put_in_place(&partial, &database)?;
    Ok(Restored { cdrs, secrets_lost, before })
}

/// Copies the backup beside the database and takes the key out of it.
fn prepare(source: &Connection, partial: &Path, dir: &Path) -> Result<(u64, u64, Option<SecretKey>), StoreError> {
    let target = copy(source, partial, &mut |_, _| {})?;
    let carried = take_key(&target)?;
    let kept = if carried.is_none() { SecretKey::load(dir)? } else { None };
    let secrets_lost = provisioning::drop_unreadable_secrets(&target, carried.as_ref().or(kept.as_ref()))?;
    let cdrs: i64 = target.query_row("SELECT count(*) FROM cdr", [], |row| row.get(0))?;
    schema::check(&target, partial)?;
    target.close().map_err(|(_, error)| StoreError::Sql(error))?;
    Ok((u64::try_from(cdrs).unwrap_or(0), secrets_lost, carried))
}

fn take_key(connection: &Connection) -> Result<Option<SecretKey>, StoreError> {
    let exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'secret_key'";
    if connection.query_row(exists, [], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let octets: Option<Vec<u8>> =
        connection.query_row("SELECT key FROM secret_key", [], |row| row.get(0)).optional()?;
    // The key must not stay readable in freed pages of the database it unseals.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.execute_batch("DROP TABLE secret_key; VACUUM;")?;
    let octets = octets.and_then(|octets| <[u8; KEY_LENGTH]>::try_from(octets).ok());
    octets.map(|octets| Some(SecretKey::from_octets(octets))).ok_or(StoreError::Sealed { what: "secret_key".into() })
}

/// Copies all pages of `source` into a new file, outside WAL mode so that it is one file.
fn copy(source: &Connection, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Connection, StoreError> {
    remove_if_there(to)?;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(StoreError::io(to))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(to, flags)?;
    let page_size: u64 = source.pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))?.into();
    {
        let backup = Backup::new(source, &mut target)?;
        let mut busy = 0;
        loop {
            let result = backup.step(STEP_PAGES)?;
            let pages = backup.progress();
            let octets = |pages: i32| u64::try_from(pages).unwrap_or(0) * page_size;
            progress(octets(pages.pagecount - pages.remaining), octets(pages.pagecount));
            match result {
                StepResult::Done => break,
                StepResult::Busy | StepResult::Locked if busy >= BUSY_STEPS_MAX => {
                    let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                    return Err(StoreError::Sql(rusqlite::Error::SqliteFailure(busy, None)));
                }
                StepResult::Busy | StepResult::Locked => {
                    busy += 1;
                    pause();
                }
                _ => {}
            }
        }
    }
    target.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(target)
}

fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// Keeps the database under another name. Its WAL must not stay: SQLite would play it into the database that comes next.
fn set_aside(database: &Path) -> Result<Option<PathBuf>, StoreError> {
    if !database.exists() {
        return Ok(None);
    }
    // The last connection to close moves the WAL into the file. A damaged database may refuse.
    let emptied = Connection::open(database)
        .and_then(|connection| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)))
        .is_ok();
    let before = with_suffix(database, ".before-restore");
    for suffix in ["-wal", "-shm", ""] {
        remove_if_there(&with_suffix(&before, suffix))?;
    }
    let wal = with_suffix(database, "-wal");
    if emptied && !wal.exists() {
        // A second name, so that at each moment there is a database under the first one.
        fs::hard_link(database, &before).map_err(StoreError::io(&before))?;
        return Ok(Some(before));
    }
    for suffix in ["-wal", "-shm", ""] {
        let from = with_suffix(database, suffix);
        match fs::rename(&from, with_suffix(&before, suffix)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::Io { path: from, source });
            }
            _ => {}
        }
    }
    Ok(Some(before))
}

/// Whether `path` names a file that the appliance keeps in its data folder: a running writer would go on with what was
/// there before, and nobody would ever see it again.
fn is_own(dir: &Path, path: &Path) -> bool {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let here = matches!((folder.canonicalize(), dir.canonicalize()), (Ok(a), Ok(b)) if a == b);
    let database = schema::database_path(dir);
    let (wal, shm) = (with_suffix(&database, "-wal"), with_suffix(&database, "-shm"));
    let own = [database, wal, shm, SecretKey::path(dir), DirLock::path(dir), Reserve::path(dir)];
    here && path.file_name().is_some_and(|name| own.iter().any(|own| own.file_name() == Some(name)))
}

fn put_in_place(partial: &Path, path: &Path) -> Result<(), StoreError> {
    fs::File::open(partial).and_then(|file| file.sync_all()).map_err(StoreError::io(partial))?;
    fs::rename(partial, path).map_err(StoreError::io(path))?;
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => sync_dir(dir),
        _ => sync_dir(Path::new(".")),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
