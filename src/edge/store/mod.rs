//! The store: one SQLite database per data folder, one thread that writes it, readers that never wait for it.
//!
//! [`Store`] takes the core's changes in order, commits them in groups (WAL, `synchronous=FULL`) and tells up to which
//! number they are durable. [`Reader`] serves everybody else, also from other processes and while nothing runs.
//! [`backup()`] copies a running database, [`restore`] puts a copy back.
//!
//! The files of a data folder: `cordboard.db` with its `-wal` and `-shm`, `secret.key` (what passwords and PINs are sealed
//! with), `lock` (who writes) and `reserve` (room for when the disk is full).

mod apply;
pub mod backup;
pub mod cdr;
pub mod error;
pub mod lock;
mod pages;
mod provisioning;
pub mod reader;
mod record;
mod routing;
mod schema;
pub mod secret;
mod users;
mod work;
pub mod writer;

pub use backup::{BackupOptions, Restored, backup, restore};
pub use cdr::{CDR_CSV_HEADER, cdr_csv, cdr_json};
pub use error::{AppendError, StoreError};
pub use reader::{CdrFilter, Cdrs, Reader};
pub use record::{AgentState, Registration};
pub use schema::database_path;
pub use users::AUDIT_ROWS;
pub use work::{EndedWorks, WorkFilter};
pub use writer::{Counters, Recovered, Store, StoreAlarm};

#[cfg(test)]
mod tests;
