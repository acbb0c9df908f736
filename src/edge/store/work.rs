//! Work items in their table.

use std::collections::VecDeque;

use rusqlite::{Connection, params};

use crate::base::{Timestamp, WorkItemId};
use crate::core::contact::{Outcome, Work};
use crate::edge::store::StoreError;
use crate::edge::store::pages::{PAGE, Pages};
use crate::edge::store::provisioning::rows;

/// Which ended work items to read. The default is all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WorkFilter {
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Ended at this time or later.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: Option<u64>,
    /// Before the one that ended then.
    pub before: Option<(Timestamp, WorkItemId)>,
}

/// Writes a record as it is now. One that has ended stays as it ended.
pub(super) fn write_work(connection: &Connection, work: &Work) -> Result<(), StoreError> {
    let upsert = "INSERT INTO work VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
        ON CONFLICT (id) DO UPDATE SET
            tenant = ?2, medium = ?3, queue = ?4, state = ?5, client = ?6, arrived_at = ?7, ended_at = ?8, agent = ?9,
            outcome = ?10, body = ?11
        WHERE work.ended_at IS NULL";
    let body = serde_json::to_string(work).map_err(|_| undecodable(&work.id.to_string()))?;
    connection.prepare_cached(upsert)?.execute(params![
        work.id.to_string(),
        work.tenant,
        work.medium.as_str(),
        work.queue,
        work.state.as_str(),
        work.client.as_ref().map(|client| client.expose()),
        work.arrived_at.as_millis(),
        work.ended_at.map(Timestamp::as_millis),
        work.agent,
        work.outcome.map(Outcome::as_str),
        body,
    ])?;
    Ok(())
}

/// Items that have not ended, by id, and the ids of those whose records cannot be read.
pub(super) fn read_open_works(connection: &Connection) -> Result<(Vec<Work>, Vec<String>), StoreError> {
    let select = "SELECT id, body FROM work WHERE ended_at IS NULL ORDER BY id";
    let mut unread = Vec::new();
    let all = rows(connection, select, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let works = all.into_iter().filter_map(|(id, body): (String, String)| match serde_json::from_str(&body) {
        Ok(work) => Some(work),
        Err(_) => {
            unread.push(id);
            None
        }
    });
    Ok((works.collect(), unread))
}

/// The record of an item, whether it has ended or not.
pub(super) fn read_work(connection: &Connection, id: WorkItemId) -> Result<Option<Work>, StoreError> {
    let id = id.to_string();
    let body: Vec<String> = {
        let mut statement = connection.prepare_cached("SELECT body FROM work WHERE id = ?1")?;
        statement.query_map([&id], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    body.first().map(|body| serde_json::from_str(body).map_err(|_| undecodable(&id))).transpose()
}

fn undecodable(id: &str) -> StoreError {
    StoreError::Undecodable { what: format!("work {id}") }
}

/// Ended work items, the latest end first. After an error it goes on with the next record, or ends when the database refused.
#[derive(Debug)]
pub struct EndedWorks<'a> {
    ask: Ask<'a>,
    pages: Pages<Work>,
}

/// What is read, and how far it has been.
#[derive(Debug)]
struct Ask<'a> {
    connection: &'a Connection,
    tenant: Option<String>,
    since: i64,
    /// End and id of the last record read.
    before: (i64, String),
}

impl<'a> EndedWorks<'a> {
    pub(super) fn new(connection: &'a Connection, filter: &WorkFilter) -> Self {
        let ask = Ask {
            connection,
            tenant: filter.tenant.clone(),
            since: filter.since.map_or(i64::MIN, Timestamp::as_millis),
            before: filter.before.map_or((i64::MAX, String::new()), |(at, id)| (at.as_millis(), id.to_string())),
        };
        Self { ask, pages: Pages::new(filter.limit) }
    }
}

/// Before an end and id, not before a time; of a tenant or of all.
fn select(of_tenant: bool) -> String {
    let by_tenant = if of_tenant { "tenant = ?4 AND" } else { "?4 IS NULL AND" };
    format!(
        "SELECT id, ended_at, body FROM work
            WHERE {by_tenant} ended_at IS NOT NULL AND (ended_at, id) < (?1, ?2) AND ended_at >= ?3
            ORDER BY ended_at DESC, id DESC LIMIT {PAGE}"
    )
}

impl Ask<'_> {
    fn read(&mut self, page: &mut VecDeque<Result<Work, StoreError>>) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(&select(self.tenant.is_some()))?;
        let mut rows = statement.query(params![self.before.0, self.before.1, self.since, self.tenant])?;
        while let Some(row) = rows.next()? {
            let (id, ended_at, body): (String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            page.push_back(serde_json::from_str(&body).map_err(|_| undecodable(&id)));
            self.before = (ended_at, id);
        }
        Ok(())
    }
}

impl Iterator for EndedWorks<'_> {
    type Item = Result<Work, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { ask, pages } = self;
        pages.next(|page| ask.read(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list goes on page by page: each must begin where the one before ended.
    #[test]
    fn ended_items_are_found_by_an_index() {
        let connection = crate::edge::store::schema::in_memory();
        for of_tenant in [true, false] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", select(of_tenant))).unwrap();
            let read =
                statement.query_map(params![0, "", 0, of_tenant.then_some("acme")], |row| row.get::<_, String>(3));
            let plan = read.unwrap().collect::<Result<Vec<_>, _>>().unwrap().join("; ");
            assert!(plan.contains("SEARCH work USING INDEX work_ended") && !plan.contains("TEMP"), "{plan}");
        }
    }
}
