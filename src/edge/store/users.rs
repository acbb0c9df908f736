//! Users in their table, and the trail of what they have ordered.

use rusqlite::{Connection, params};

use super::provisioning::rows;
use super::record::{from_word, word};
use crate::base::Timestamp;
use crate::core::journal::{Audit, Seq};
use crate::core::tenant::provision::User;
use crate::edge::store::StoreError;

/// Entries of the trail that are kept; the oldest go.
pub const AUDIT_ROWS: u64 = 100_000;

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

pub(super) fn prune_audit(connection: &Connection) -> Result<(), StoreError> {
    let last = format!("SELECT seq FROM audit ORDER BY seq DESC LIMIT 1 OFFSET {}", AUDIT_ROWS - 1);
    connection.prepare_cached(&format!("DELETE FROM audit WHERE seq < ({last})"))?.execute([])?;
    Ok(())
}

/// The newest `limit` entries, the newest first: of a tenant, or all.
pub(super) fn read_audit(
    connection: &Connection,
    tenant: Option<&str>,
    before: Option<Seq>,
    limit: u32,
) -> Result<Vec<(Seq, Audit)>, StoreError> {
    let of = if tenant.is_some() { "tenant = ?1" } else { "?1 IS NULL" };
    let select = format!(
        "SELECT seq, at, user, account, role, tenant, did FROM audit WHERE {of} AND seq < ?2 ORDER BY seq DESC LIMIT ?3"
    );
    let before = before.and_then(|seq| i64::try_from(seq).ok()).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&select)?;
    let mut found = statement.query(params![tenant, before, limit])?;
    let mut entries = Vec::new();
    while let Some(row) = found.next()? {
        let (seq, role): (i64, String) = (row.get(0)?, row.get(4)?);
        let role = from_word(&role).ok_or_else(|| StoreError::Undecodable { what: format!("audit {seq}") })?;
        let (at, user, account) = (Timestamp(row.get(1)?), row.get(2)?, row.get(3)?);
        let (tenant, did) = (row.get(5)?, row.get(6)?);
        entries.push((seq.unsigned_abs(), Audit { at, user, account, role, tenant, did }));
    }
    Ok(entries)
}
