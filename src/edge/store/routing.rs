//! Attributes in their table, and what entries say of routing: most say nothing, so it stands apart.

use std::collections::HashMap;

use rusqlite::{Connection, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::provisioning::rows;
use crate::core::tenant::provision::{Attribute, Provision};
use crate::edge::store::StoreError;

const TENANT: &[&str] =
    &["routing", "dispositions", "not_ready_reasons", "caller_id", "caller_number", "contract", "quota"];
const TRUNK: &[&str] = &[
    "node",
    "cost",
    "tariff",
    "hours",
    "timezone",
    "caller_id",
    "caller_number",
    "hunt",
    "calls_max",
    "reserved_out",
    "permitted",
    "out_of_service",
    "emergency_preempts",
];
const SITE: &[&str] = &["trunks", "extension_strip", "extension_prefix", "probe_s", "chat_grace_s", "work_grace_s"];
const AGENT: &[&str] = &["serves", "extension", "phone", "backup", "attributes", "modifier", "slots"];
const QUEUE: &[&str] = &[
    "modifier",
    "importance",
    "sticky",
    "targets_s",
    "escalate_after_s",
    "escalate_to",
    "unservable",
    "callback",
    "callback_tries",
    "callback_every_s",
];

/// Writes both.
pub(super) fn write(connection: &Connection, provision: &Provision) -> Result<(), StoreError> {
    let mut row = connection.prepare_cached("INSERT INTO attribute VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, a) in (0i64..).zip(&provision.attribute) {
        let symbols = Value::from(a.values.as_slice()).to_string();
        row.execute(params![a.tenant, a.name, position, a.kind.as_str(), symbols])?;
    }
    for t in &provision.tenant {
        put(connection, ("tenant", "", &t.name), t, TENANT)?;
    }
    for t in &provision.trunk {
        put(connection, ("trunk", "", &t.name), t, TRUNK)?;
    }
    for s in &provision.site {
        put(connection, ("site", "", &s.name), s, SITE)?;
    }
    for a in &provision.agent {
        put(connection, ("agent", &a.tenant, &a.name), a, AGENT)?;
    }
    for q in &provision.queue {
        put(connection, ("queue", &q.tenant, &q.name), q, QUEUE)?;
    }
    Ok(())
}

/// Defaults are not serialised, so an entry that keeps to them has no row.
fn put(
    connection: &Connection,
    key: (&str, &str, &str),
    entry: &impl Serialize,
    own: &[&str],
) -> Result<(), StoreError> {
    let (kind, tenant, name) = key;
    let Ok(Value::Object(mut fields)) = serde_json::to_value(entry) else {
        return Err(undecodable(kind, tenant, name));
    };
    fields.retain(|field, _| own.contains(&field.as_str()));
    if !fields.is_empty() {
        let mut row = connection.prepare_cached("INSERT INTO routing VALUES (?1, ?2, ?3, ?4)")?;
        row.execute(params![kind, tenant, name, Value::Object(fields).to_string()])?;
    }
    Ok(())
}

/// Reads both into a provisioning that has all entries.
pub(super) fn read(connection: &Connection, provision: &mut Provision) -> Result<(), StoreError> {
    let select = "SELECT tenant, name, kind, symbols FROM attribute ORDER BY position";
    for (tenant, name, kind, symbols) in rows::<(String, String, String, String)>(connection, select, |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })? {
        let decoded =
            serde_json::from_value(Value::String(kind)).and_then(|kind| Ok((kind, serde_json::from_str(&symbols)?)));
        let (kind, values) = decoded.map_err(|_| undecodable("attribute", &tenant, &name))?;
        provision.attribute.push(Attribute { tenant, name, kind, values });
    }
    let mut all: HashMap<(String, String, String), String> =
        rows(connection, "SELECT kind, tenant, name, fields FROM routing", |row| {
            Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?))
        })?
        .into_iter()
        .collect();
    if all.is_empty() {
        return Ok(());
    }
    let mut take = |kind: &str, tenant: &str, name: &str| all.remove(&(kind.into(), tenant.into(), name.into()));
    for t in &mut provision.tenant {
        if let Some(fields) = take("tenant", "", &t.name) {
            *t = with(t, &fields).ok_or_else(|| undecodable("tenant", "", &t.name))?;
        }
    }
    for t in &mut provision.trunk {
        if let Some(fields) = take("trunk", "", &t.name) {
            *t = with(t, &fields).ok_or_else(|| undecodable("trunk", "", &t.name))?;
        }
    }
    for s in &mut provision.site {
        if let Some(fields) = take("site", "", &s.name) {
            *s = with(s, &fields).ok_or_else(|| undecodable("site", "", &s.name))?;
        }
    }
    for a in &mut provision.agent {
        if let Some(fields) = take("agent", &a.tenant, &a.name) {
            *a = with(a, &fields).ok_or_else(|| undecodable("agent", &a.tenant, &a.name))?;
        }
    }
    for q in &mut provision.queue {
        if let Some(fields) = take("queue", &q.tenant, &q.name) {
            *q = with(q, &fields).ok_or_else(|| undecodable("queue", &q.tenant, &q.name))?;
        }
    }
    Ok(())
}

/// The entry with these fields.
fn with<T: Serialize + DeserializeOwned>(entry: &T, fields: &str) -> Option<T> {
    let Ok(Value::Object(mut all)) = serde_json::to_value(entry) else { return None };
    all.extend(serde_json::from_str::<Map<String, Value>>(fields).ok()?);
    serde_json::from_value(Value::Object(all)).ok()
}

fn undecodable(kind: &str, tenant: &str, name: &str) -> StoreError {
    StoreError::Undecodable { what: format!("routing of {kind} {tenant} {name}") }
}
