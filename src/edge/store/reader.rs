//! Reading beside the writer, in this process or another.

use std::collections::VecDeque;
use std::path::Path;

use rusqlite::{Connection, params};

use crate::base::{CallId, Timestamp, Trace, WorkItemId};
use crate::core::contact::Work;
use crate::core::journal::{Audit, Cdr};
use crate::core::tenant::Provision;
use crate::edge::store::pages::{PAGE, Pages};
use crate::edge::store::record::{self, AgentState, CDR_COLUMNS, Registration, read_cdr};
use crate::edge::store::secret::SecretKey;
use crate::edge::store::work::{self, EndedWorks, WorkFilter};
use crate::edge::store::{StoreError, provisioning, schema, users};

/// A read-only view of a data folder. It never makes the writer wait, and sees what was committed before each question.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    key: Option<SecretKey>,
}

/// Which records to read. The default is all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CdrFilter {
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Started at this time or later.
    pub since: Option<Timestamp>,
    /// Started before this time.
    pub until: Option<Timestamp>,
    /// At most so many.
    pub limit: Option<u64>,
    /// After the one that started then.
    pub after: Option<(Timestamp, CallId)>,
    /// Known by this on every appliance.
    pub trace: Option<Trace>,
}

impl Reader {
    /// Opens the database of a data folder.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], [`StoreError::TooNew`], [`StoreError::Io`], [`StoreError::Sql`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let connection = schema::open_reader(&schema::database_path(dir))?;
        Ok(Self { connection, key: SecretKey::load(dir)? })
    }

    /// The provisioning, with its secrets.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] when the key file is missing or another one; [`StoreError::Undecodable`];
    /// [`StoreError::Sql`].
    pub fn provision(&self) -> Result<Provision, StoreError> {
        // One transaction, so that all tables are read from one state.
        let transaction = self.connection.unchecked_transaction()?;
        provisioning::read(&transaction, self.key.as_ref())
    }

    /// Every agent's last recorded state, by tenant and name.
    ///
    /// # Errors
    /// [`StoreError::Undecodable`], [`StoreError::Sql`].
    pub fn agent_states(&self) -> Result<Vec<AgentState>, StoreError> {
        record::read_agent_states(&self.connection)
    }

    /// Every registration, by user and contact; also those that ended meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Undecodable`], [`StoreError::Sql`].
    pub fn registrations(&self) -> Result<Vec<Registration>, StoreError> {
        record::read_registrations(&self.connection)
    }

    /// The work items that have ended and pass `filter`, the latest end first, read in pages.
    pub fn ended_works(&self, filter: &WorkFilter) -> EndedWorks<'_> {
        EndedWorks::new(&self.connection, filter)
    }

    /// The record of a work item, whether it has ended or not.
    ///
    /// # Errors
    /// [`StoreError::Undecodable`], [`StoreError::Sql`].
    pub fn work(&self, id: WorkItemId) -> Result<Option<Work>, StoreError> {
        work::read_work(&self.connection, id)
    }

    /// What users have ordered, the newest first, at most `limit` entries: of one tenant, or all. With `until` no later ones,
    /// and of those of that very time not the so many newest.
    ///
    /// # Errors
    /// [`StoreError::Undecodable`], [`StoreError::Sql`].
    pub fn audit(
        &self,
        tenant: Option<&str>,
        until: Option<(Timestamp, u32)>,
        limit: u32,
    ) -> Result<Vec<Audit>, StoreError> {
        users::read_audit(&self.connection, tenant, until, limit)
    }

    /// The record of a call, whether it has ended or not.
    ///
    /// # Errors
    /// [`StoreError::Undecodable`], [`StoreError::Sql`].
    pub fn cdr(&self, call: CallId) -> Result<Option<Cdr>, StoreError> {
        let select = format!("SELECT {CDR_COLUMNS} FROM cdr WHERE call_id = ?1");
        let mut statement = self.connection.prepare_cached(&select)?;
        let mut rows = statement.query(params![call.to_string()])?;
        rows.next()?.map(read_cdr).transpose()
    }

    /// The records that pass `filter`, by start and call id, also those of calls that are still up. They are read in
    /// pages: records written meanwhile may appear, none appears twice, and memory does not grow with their number.
    pub fn cdrs(&self, filter: &CdrFilter) -> Cdrs<'_> {
        let ask = Ask {
            connection: &self.connection,
            tenant: filter.tenant.clone(),
            trace: filter.trace.map(|trace| trace.to_string()),
            until: filter.until.map_or(i64::MAX, Timestamp::as_millis),
            after: {
                let since = (filter.since.map_or(i64::MIN, Timestamp::as_millis), String::new());
                filter.after.map_or(since.clone(), |(at, call)| since.max((at.as_millis(), call.to_string())))
            },
        };
        Cdrs { ask, pages: Pages::new(filter.limit) }
    }
}

/// Records, one after the other. After an error it goes on with the next record, or ends when the database refused.
#[derive(Debug)]
pub struct Cdrs<'a> {
    ask: Ask<'a>,
    pages: Pages<Cdr>,
}

/// What is read, and how far it has been.
#[derive(Debug)]
struct Ask<'a> {
    connection: &'a Connection,
    tenant: Option<String>,
    trace: Option<String>,
    until: i64,
    /// Start and call id of the last record read.
    after: (i64, String),
}

impl Ask<'_> {
    fn read(&mut self, page: &mut VecDeque<Result<Cdr, StoreError>>) -> Result<(), StoreError> {
        let by_tenant = if self.tenant.is_some() { "tenant = ?4 AND" } else { "?4 IS NULL AND" };
        let by_trace = if self.trace.is_some() { "trace = ?5 AND" } else { "?5 IS NULL AND" };
        let select = format!(
            "SELECT {CDR_COLUMNS} FROM cdr WHERE {by_trace} {by_tenant} (started_at, call_id) > (?1, ?2) AND started_at < ?3
                ORDER BY started_at, call_id LIMIT {PAGE}"
        );
        let mut statement = self.connection.prepare_cached(&select)?;
        let mut rows = statement.query(params![self.after.0, self.after.1, self.until, self.tenant, self.trace])?;
        while let Some(row) = rows.next()? {
            self.after = (row.get(6)?, row.get(0)?);
            page.push_back(read_cdr(row));
        }
        Ok(())
    }
}

impl Iterator for Cdrs<'_> {
    type Item = Result<Cdr, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { ask, pages } = self;
        pages.next(|page| ask.read(page))
    }
}
