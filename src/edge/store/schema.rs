//! Opening a database file, and its schema through the releases.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::edge::store::StoreError;

/// Marks a SQLite file as ours (`PRAGMA application_id`): "Cord".
pub const APPLICATION_ID: u32 = 0x436f_7264;

/// Each takes the schema one version further; a released one is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
    include_str!("schema_7.sql"),
    include_str!("schema_8.sql"),
    include_str!("schema_9.sql"),
    include_str!("schema_10.sql"),
    include_str!("schema_11.sql"),
    include_str!("schema_12.sql"),
    include_str!("schema_13.sql"),
    include_str!("schema_14.sql"),
];

/// The schema version that this release writes.
pub const VERSION: u32 = MIGRATIONS.len() as u32;

/// How long a statement waits for another connection's lock. Readers and the writer do not lock each other out in WAL
/// mode, but recovery after a crash and the last checkpoint do for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages in the WAL before a commit moves them into the database file.
const AUTOCHECKPOINT_PAGES: u32 = 4_000;

/// The database file of a data folder.
pub fn database_path(dir: &Path) -> PathBuf {
    dir.join("cordboard.db")
}

/// Opens the folder's database for its one writer: made (mode 0600) where there is none, checked, brought to [`VERSION`].
///
/// # Errors
/// [`StoreError::Damaged`], [`StoreError::TooNew`], [`StoreError::Io`], [`StoreError::Sql`].
pub fn open_writer(dir: &Path) -> Result<Connection, StoreError> {
    let path = database_path(dir);
    // SQLite gives its -wal and -shm files the mode of the database file.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(StoreError::io(&path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    check(&connection, &path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // NORMAL may lose commits that were already acknowledged when the power goes.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", AUTOCHECKPOINT_PAGES)?;
    connection.set_prepared_statement_cache_capacity(64);
    migrate(&mut connection, MIGRATIONS)?;
    Ok(connection)
}

/// Opens a database file that another process may be writing, to read.
///
/// # Errors
/// [`StoreError::Missing`], [`StoreError::Io`] when the folder may not be read, [`StoreError::Damaged`] when it is none of
/// ours, [`StoreError::TooNew`], [`StoreError::Sql`].
pub fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    if !path.try_exists().map_err(StoreError::io(path))? {
        return Err(StoreError::Missing { path: path.to_path_buf() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let found = version(&connection).map_err(damaged(path))?;
    if found > VERSION {
        return Err(StoreError::TooNew { found, known: VERSION });
    }
    if found == 0 || application_id(&connection)? != APPLICATION_ID {
        return Err(StoreError::Damaged { path: path.to_path_buf(), finding: "no database of ours".into() });
    }
    Ok(connection)
}

/// Runs SQLite's quick check (all pages and the order of rows, not that indices match).
///
/// # Errors
/// [`StoreError::Damaged`].
pub fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let finding: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(damaged(path))?;
    if finding == "ok" { Ok(()) } else { Err(StoreError::Damaged { path: path.to_path_buf(), finding }) }
}

/// Brings the schema up to date; all of it or nothing.
fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    let found = version(connection)?;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    for (version, migration) in (1u32..).zip(migrations).skip(found as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

fn version(connection: &Connection) -> Result<u32, rusqlite::Error> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn application_id(connection: &Connection) -> Result<u32, rusqlite::Error> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

fn damaged(path: &Path) -> impl FnOnce(rusqlite::Error) -> StoreError + use<> {
    let path = path.to_path_buf();
    move |error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            StoreError::Damaged { path, finding: error.to_string() }
        }
        _ => StoreError::Sql(error),
    }
}

/// A database with our schema, without a file.
#[cfg(test)]
pub(super) fn in_memory() -> Connection {
    let mut connection = Connection::open_in_memory().expect("database");
    migrate(&mut connection, MIGRATIONS).expect("schema");
    connection
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(connection: &Connection) -> Vec<String> {
        let mut statement =
            connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").expect("statement");
        statement.query_map([], |row| row.get(0)).expect("query").collect::<Result<_, _>>().expect("rows")
    }

    #[test]
    fn migrations_run_once_and_in_order() {
        let mut connection = Connection::open_in_memory().expect("database");
        migrate(&mut connection, &["CREATE TABLE a (x)"]).expect("first");
        migrate(&mut connection, &["CREATE TABLE a (x)", "CREATE TABLE b (y); INSERT INTO a VALUES (1)"])
            .expect("second");
        migrate(&mut connection, &["CREATE TABLE a (x)", "CREATE TABLE b (y); INSERT INTO a VALUES (1)"])
            .expect("again");
        assert_eq!(tables(&connection), ["a", "b"]);
        assert_eq!(version(&connection).expect("version"), 2);
        let rows: u32 = connection.query_row("SELECT count(*) FROM a", [], |row| row.get(0)).expect("count");
        assert_eq!(rows, 1);
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing_behind() {
        let mut connection = Connection::open_in_memory().expect("database");
        let broken = &["CREATE TABLE a (x)", "CREATE TABLE b (y); CREATE TABLE a (z)"];
        assert!(migrate(&mut connection, broken).is_err());
        assert_eq!(tables(&connection), ["a"]);
        assert_eq!(version(&connection).expect("version"), 1);
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut connection = Connection::open_in_memory().expect("database");
        connection.pragma_update(None, "user_version", VERSION + 1).expect("pragma");
        let refused = migrate(&mut connection, MIGRATIONS);
        assert!(matches!(refused, Err(StoreError::TooNew { found, .. }) if found == VERSION + 1));
    }

    #[test]
    fn our_schema_is_whole() {
        let connection = in_memory();
        assert_eq!(tables(&connection).len(), 29);
        assert_eq!(application_id(&connection).expect("id"), APPLICATION_ID);
    }
}
