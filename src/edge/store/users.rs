//! Users in their table, and the trail of what they have ordered.

use rusqlite::{Connection, params};

use super::provisioning::rows;
use super::record::{from_word, word};
use crate::base::Timestamp;
use crate::core::journal::{Audit, Seq};
use crate::core::tenant::provision::User;
use crate::edge::store::StoreError;

/// Entries of the trail that are kept of each tenant, and of the appliance; the oldest go. So no tenant's users can push out what
/// others have ordered, nor see by theirs how much that is.
pub const AUDIT_ROWS: u64 = 100_000;

/// Of these the entries that are kept of one user who is an agent, so that none pushes out what supervisors have ordered.
pub const AUDIT_ROWS_OF_AGENT: u64 = 10_000;

pub(super) fn write(connection: &Connection, users: &[User]) -> Result<(), StoreError> {
    let mut row = connection.prepare_cached("INSERT INTO user VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (position, user) in (0i64..).zip(users) {
        row.execute(params![user.name, position, user.role.as_str(), user.tenant, user.agent, user.account])?;
    }
    Ok(())
}

pub(super) fn read(connection: &Connection) -> Result<Vec<User>, StoreError> {
    let select = "SELECT name, role, tenant, agent, account FROM user ORDER BY position";
    let found = rows(connection, select, |row| {
        let role: String = row.get(1)?;
        Ok((row.get::<_, String>(0)?, role, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    let user = |(name, role, tenant, agent, account): (String, String, _, _, _)| {
        let role = from_word(&role).ok_or_else(|| StoreError::Undecodable { what: format!("user {name}") })?;
        Ok(User { name, role, tenant, agent, account })
    };
    found.into_iter().map(user).collect()
}

pub(super) fn write_audit(connection: &Connection, seq: Seq, audit: &Audit) -> Result<(), StoreError> {
    let Audit { at, user, account, role, tenant, did } = audit;
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    connection.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
        seq,
        at.as_millis(),
        user,
        account,
        word(role)?,
        tenant,
        did
    ])?;
    Ok(())
}

/// Leaves the last [`AUDIT_ROWS`] entries of each tenant of whom there are some after `since`, and of these the last
/// [`AUDIT_ROWS_OF_AGENT`] of each agent.
pub(super) fn prune_audit(connection: &Connection, since: Seq) -> Result<(), StoreError> {
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    let mut busy =
        connection.prepare_cached("SELECT DISTINCT tenant, user FROM audit WHERE seq > ?1 AND role = 'agent'")?;
    let busy = busy.query_map([since], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let agents: Vec<(Option<String>, String)> = busy.collect::<Result<_, _>>()?;
    let theirs = "tenant IS ?1 AND user = ?2 AND role = 'agent'";
    let oldest =
        format!("SELECT seq FROM audit WHERE {theirs} ORDER BY seq DESC LIMIT 1 OFFSET {}", AUDIT_ROWS_OF_AGENT - 1);
    let mut rest = connection.prepare_cached(&format!("DELETE FROM audit WHERE {theirs} AND seq < ({oldest})"))?;
    for (tenant, user) in agents {
        rest.execute(params![tenant, user])?;
    }
    let mut grown = connection.prepare_cached("SELECT DISTINCT tenant FROM audit WHERE seq > ?1")?;
    let tenants: Vec<Option<String>> = grown.query_map([since], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let oldest =
        format!("SELECT seq FROM audit WHERE tenant IS ?1 ORDER BY seq DESC LIMIT 1 OFFSET {}", AUDIT_ROWS - 1);
    let mut rest = connection.prepare_cached(&format!("DELETE FROM audit WHERE tenant IS ?1 AND seq < ({oldest})"))?;
    for tenant in tenants {
        rest.execute([tenant])?;
    }
    Ok(())
}

/// The newest `limit` entries, the newest first: of a tenant, or all. With `until` no later ones, and of those of that very
/// time not the so many newest.
pub(super) fn read_audit(
    connection: &Connection,
    tenant: Option<&str>,
    until: Option<(Timestamp, u32)>,
    limit: u32,
) -> Result<Vec<Audit>, StoreError> {
    let of = if tenant.is_some() { "tenant = ?1" } else { "?1 IS NULL" };
    let select = format!(
        "SELECT at, user, account, role, tenant, did FROM audit WHERE {of} AND at <= ?2 ORDER BY seq DESC LIMIT ?3 OFFSET ?4"
    );
    let (until, left_out) = until.map_or((i64::MAX, 0), |(at, count)| (at.as_millis(), count));
    let mut statement = connection.prepare_cached(&select)?;
    let mut found = statement.query(params![tenant, until, limit, left_out])?;
    let mut entries = Vec::new();
    while let Some(row) = found.next()? {
        let (at, role): (i64, String) = (row.get(0)?, row.get(3)?);
        let role = from_word(&role).ok_or_else(|| StoreError::Undecodable { what: format!("audit {at}") })?;
        let (user, account, tenant, did) = (row.get(1)?, row.get(2)?, row.get(4)?, row.get(5)?);
        entries.push(Audit { at: Timestamp(at), user, account, role, tenant, did });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trail: sequence number, time and tenant of each entry.
    fn trail(entries: &[(i64, i64, &str)]) -> Connection {
        let connection = Connection::open_in_memory().expect("a database");
        connection
            .execute_batch(
                "CREATE TABLE audit (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, user TEXT NOT NULL, \
                 account TEXT NOT NULL, role TEXT NOT NULL, tenant TEXT, did TEXT NOT NULL) STRICT; \
                 CREATE INDEX audit_tenant ON audit (tenant, seq);",
            )
            .expect("its table");
        for (seq, at, tenant) in entries {
            connection
                .execute("INSERT INTO audit VALUES (?1, ?2, 'u', 'u', 'supervisor', ?3, ?1)", params![seq, at, tenant])
                .expect("a row");
        }
        connection
    }

    #[test]
    fn one_tenant_cannot_push_out_what_others_have_ordered() {
        let connection = trail(&[(1, 1, "blue"), (2, 2, "acme"), (3, 3, "acme")]);
        let most = i64::try_from(AUDIT_ROWS).expect("a number");
        let many = format!(
            "INSERT INTO audit SELECT value, value, 'u', 'u', 'supervisor', 'acme', 'x' FROM (WITH RECURSIVE n (value) \
             AS (SELECT 10 UNION ALL SELECT value + 1 FROM n LIMIT {AUDIT_ROWS}) SELECT value FROM n)"
        );
        connection.execute_batch(&many).expect("rows");
        let of = |tenant: &str| -> (i64, i64) {
            let count = "SELECT count(*), min(seq) FROM audit WHERE tenant = ?1";
            connection.query_row(count, [tenant], |row| Ok((row.get(0)?, row.get(1)?))).expect("a count")
        };
        prune_audit(&connection, i64::MAX.unsigned_abs()).expect("done");
        assert_eq!(of("acme"), (most + 2, 2), "nothing of it has grown");
        prune_audit(&connection, 3).expect("done");
        assert_eq!((of("acme"), of("blue")), ((most, 10), (1, 1)));
    }

    #[test]
    fn an_agent_cannot_push_out_what_the_supervisor_has_ordered() {
        let connection = trail(&[(1, 1, "acme")]);
        let many = format!(
            "INSERT INTO audit SELECT value, value, 'ana', 'ana', 'agent', 'acme', 'x' FROM (WITH RECURSIVE n (value) \
             AS (SELECT 10 UNION ALL SELECT value + 1 FROM n LIMIT {AUDIT_ROWS}) SELECT value FROM n)"
        );
        connection.execute_batch(&many).expect("rows");
        prune_audit(&connection, 3).expect("done");
        let count = "SELECT user, count(*) FROM audit GROUP BY user ORDER BY user";
        let left = rows(&connection, count, |row| Ok((row.get(0)?, row.get(1)?))).expect("counts");
        assert_eq!(left, [("ana".to_owned(), AUDIT_ROWS_OF_AGENT.cast_signed()), ("u".to_owned(), 1)]);
    }

    #[test]
    fn the_trail_is_read_on_from_where_it_was_left() {
        let connection =
            trail(&[(1, 5, "acme"), (2, 7, "acme"), (3, 7, "blue"), (4, 7, "acme"), (5, 7, "acme"), (6, 9, "acme")]);
        let read = |until, limit| -> Vec<String> {
            let found = read_audit(&connection, Some("acme"), until, limit).expect("entries");
            found.into_iter().map(|entry| entry.did).collect()
        };
        assert_eq!(read(None, 2), ["6", "5"]);
        assert_eq!(read(Some((Timestamp(7), 1)), 2), ["4", "2"]);
        assert_eq!(read(Some((Timestamp(7), 3)), 2), ["1"]);
        assert_eq!(read_audit(&connection, None, None, 9).expect("entries").len(), 6);
    }
}
