//! The provisioning in its tables.

use std::collections::BTreeMap;

use rusqlite::types::FromSql;
use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{routing, users};
use crate::base::Redacted;
use crate::core::contact::Routing;
use crate::core::tenant::provision::{
    Agent, CALLBACK_EVERY_S, CALLBACK_TRIES, CHAT_GRACE_S, Card, Flow, Hunt, Number, PROBE_S, Peer, Provision, Queue,
    Quota, Shown, Site, Skill, Span, Tenant, Trunk, WORK_GRACE_S,
};
use crate::core::trunk::admission::Decimal;
use crate::edge::store::StoreError;
use crate::edge::store::secret::SecretKey;

/// Children before parents, so that no foreign key is ever broken.
const TABLES: [&str; 19] = [
    "user",
    "routing",
    "attribute",
    "srtp",
    "agent_skill",
    "queue_skill",
    "number",
    "span",
    "trunk_peer",
    "trunk_prefix",
    "agent",
    "queue",
    "flow",
    "skill",
    "site",
    "tenant",
    "trunk",
    "card",
    "setting",
];

/// Replaces the provisioning. The caller has a transaction open. What the new one no longer knows loses its recorded
/// state: agents theirs, users their registrations.
///
/// # Errors
/// [`StoreError::Sql`] with a constraint violation when `provision` was not checked (a name twice, a reference to nothing)
/// or still holds agent ranges; any other error as it comes.
pub fn write(connection: &Connection, key: &SecretKey, provision: &Provision) -> Result<(), StoreError> {
    for table in TABLES {
        connection.execute(&format!("DELETE FROM {table}"), [])?;
    }
    write_setting(connection, "sip", &provision.sip)?;
    write_setting(connection, "media", &provision.media)?;
    write_setting(connection, "admission", &provision.admission)?;
    write_setting(connection, "node", &provision.node)?;
    write_setting(connection, "access", &provision.access)?;
    write_trunks(connection, key, provision)?;
    write_tenants(connection, provision)?;
    write_agents(connection, key, &provision.agent)?;
    write_srtp(connection, provision)?;
    write_queues(connection, &provision.queue)?;
    write_flows(connection, provision)?;
    routing::write(connection, provision)?;
    users::write(connection, &provision.user)?;
    connection.execute(
        "DELETE FROM agent_state WHERE NOT EXISTS
            (SELECT 1 FROM agent WHERE agent.tenant = agent_state.tenant AND agent.name = agent_state.agent)",
        [],
    )?;
    connection.execute(
        "DELETE FROM agent_seat WHERE NOT EXISTS
            (SELECT 1 FROM agent WHERE agent.tenant = agent_seat.tenant AND agent.name = agent_seat.agent)",
        [],
    )?;
    connection.execute(
        "DELETE FROM last_agent WHERE NOT EXISTS
            (SELECT 1 FROM agent WHERE agent.tenant = last_agent.tenant AND agent.name = last_agent.agent)",
        [],
    )?;
    connection.execute(
        "DELETE FROM learned WHERE NOT EXISTS (SELECT 1 FROM tenant WHERE tenant.name = learned.tenant)
            OR NOT EXISTS (SELECT 1 FROM trunk WHERE trunk.name = learned.trunk)",
        [],
    )?;
    connection.execute(
        "DELETE FROM registration WHERE NOT EXISTS (SELECT 1 FROM agent WHERE agent.user = registration.user)",
        [],
    )?;
    Ok(())
}

/// Reads the provisioning; the default one when nothing was ever written.
///
/// # Errors
/// [`StoreError::Sealed`] when there are secrets and `key` is not theirs, or none; [`StoreError::Undecodable`];
/// [`StoreError::Sql`].
pub fn read(connection: &Connection, key: Option<&SecretKey>) -> Result<Provision, StoreError> {
    let mut provision = Provision {
        sip: read_setting(connection, "sip")?,
        media: read_setting(connection, "media")?,
        admission: read_setting(connection, "admission")?,
        node: read_setting(connection, "node")?,
        access: read_setting(connection, "access")?,
        card: rows(connection, "SELECT name, driver, spans FROM card ORDER BY position", |row| {
            Ok(Card { name: row.get(0)?, driver: row.get(1)?, spans: row.get(2)? })
        })?,
        span: rows(connection, "SELECT name, card, span, signalling, trunk FROM span ORDER BY position", |row| {
            let (name, card, span) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Span { name, card, span, signalling: row.get(3)?, trunk: row.get(4)? })
        })?,
        tenant: rows(connection, "SELECT name, country, timezone, language FROM tenant ORDER BY position", |row| {
            Ok(Tenant {
                name: row.get(0)?,
                country: row.get(1)?,
                timezone: row.get(2)?,
                language: row.get(3)?,
                routing: Routing::default(),
                dispositions: Vec::new(),
                not_ready_reasons: Vec::new(),
                caller_id: Shown::default(),
                caller_number: None,
                contract: None,
                quota: Quota::default(),
            })
        })?,
        site: rows(connection, "SELECT name, timezone FROM site ORDER BY position", |row| {
            Ok(Site {
                name: row.get(0)?,
                timezone: row.get(1)?,
                trunks: Vec::new(),
                extension_strip: 0,
                extension_prefix: String::new(),
                probe_s: PROBE_S,
                chat_grace_s: CHAT_GRACE_S,
                work_grace_s: WORK_GRACE_S,
            })
        })?,
        skill: rows(connection, "SELECT tenant, name FROM skill ORDER BY position", |row| {
            Ok(Skill { tenant: row.get(0)?, name: row.get(1)? })
        })?,
        attribute: Vec::new(),
        agent: read_agents(connection, key)?,
        user: users::read(connection)?,
        queue: read_queues(connection)?,
        flow: rows(connection, "SELECT tenant, name, text FROM flow ORDER BY position", |row| {
            Ok(Flow { tenant: row.get(0)?, name: row.get(1)?, text: row.get(2)?, file: None })
        })?,
        number: rows(connection, "SELECT number, tenant, flow FROM number ORDER BY position", |row| {
            Ok(Number { number: row.get(0)?, tenant: row.get(1)?, flow: row.get(2)? })
        })?,
        trunk: read_trunks(connection, key)?,
    };
    read_srtp(connection, &mut provision)?;
    routing::read(connection, &mut provision)?;
    Ok(provision)
}

fn write_srtp(connection: &Connection, provision: &Provision) -> Result<(), StoreError> {
    let mut row = connection.prepare_cached("INSERT INTO srtp VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let trunks = provision.trunk.iter().map(|t| ("trunk", "", &t.name, &t.srtp, &t.srtp_keys));
    let agents = provision.agent.iter().map(|a| ("agent", a.tenant.as_str(), &a.name, &a.srtp, &a.srtp_keys));
    for (kind, tenant, name, need, keys) in trunks.chain(agents) {
        if need != "off" || keys != "dtls" {
            row.execute(params![kind, tenant, name, need, keys])?;
        }
    }
    Ok(())
}

fn read_srtp(connection: &Connection, provision: &mut Provision) -> Result<(), StoreError> {
    let mut policies: BTreeMap<(String, String, String), (String, String)> =
        rows(connection, "SELECT kind, tenant, name, need, keys FROM srtp", |row| {
            Ok(((row.get(0)?, row.get(1)?, row.get(2)?), (row.get(3)?, row.get(4)?)))
        })?
        .into_iter()
        .collect();
    if policies.is_empty() {
        return Ok(());
    }
    let mut of = |kind: &str, tenant: &str, name: &str| policies.remove(&(kind.into(), tenant.into(), name.into()));
    for trunk in &mut provision.trunk {
        if let Some(policy) = of("trunk", "", &trunk.name) {
            (trunk.srtp, trunk.srtp_keys) = policy;
        }
    }
    for agent in &mut provision.agent {
        if let Some(policy) = of("agent", &agent.tenant, &agent.name) {
            (agent.srtp, agent.srtp_keys) = policy;
        }
    }
    Ok(())
}

/// Drops all secrets that `key` does not open and tells how many there were. For a database restored without its key.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn drop_unreadable_secrets(connection: &Connection, key: Option<&SecretKey>) -> Result<u64, StoreError> {
    let mut dropped = 0;
    let agents: Vec<(String, String)> =
        rows(connection, "SELECT tenant, name FROM agent", |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (tenant, name) in &agents {
        for column in ["password", "pin"] {
            let place = agent_place(tenant, name, column);
            let select = format!("SELECT {column} FROM agent WHERE tenant = ?1 AND name = ?2");
            let sealed: Option<Vec<u8>> =
                connection.prepare_cached(&select)?.query_row([tenant, name], |r| r.get(0))?;
            if open(key, &place, sealed).is_err() {
                let clear = format!("UPDATE agent SET {column} = NULL WHERE tenant = ?1 AND name = ?2");
                connection.prepare_cached(&clear)?.execute([tenant, name])?;
                dropped += 1;
            }
        }
    }
    let trunks: Vec<(String, Option<Vec<u8>>)> =
        rows(connection, "SELECT name, password FROM trunk", |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (name, sealed) in trunks {
        if open(key, &trunk_place(&name), sealed).is_err() {
            connection.execute("UPDATE trunk SET password = NULL WHERE name = ?1", [&name])?;
            dropped += 1;
        }
    }
    Ok(dropped)
}

fn write_trunks(connection: &Connection, key: &SecretKey, provision: &Provision) -> Result<(), StoreError> {
    let mut card = connection.prepare_cached("INSERT INTO card VALUES (?1, ?2, ?3, ?4)")?;
    for (position, c) in (0i64..).zip(&provision.card) {
        card.execute(params![c.name, position, c.driver, c.spans])?;
    }
    let mut trunk = connection.prepare_cached(
        "INSERT INTO trunk (name, position, kind, user, password, register, authenticate, strip, tls, outbound_proxy,
            failover_s, trusted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let mut peer = connection.prepare_cached("INSERT INTO trunk_peer VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    let mut prefix = connection.prepare_cached("INSERT INTO trunk_prefix VALUES (?1, ?2, ?3)")?;
    for (position, t) in (0i64..).zip(&provision.trunk) {
        let password = seal(key, &trunk_place(&t.name), t.password.as_ref())?;
        let tls = t.tls.as_ref().map(serde_json::to_string).transpose();
        let tls = tls.map_err(|_| StoreError::Undecodable { what: format!("tls of trunk {}", t.name) })?;
        trunk.execute(params![
            t.name,
            position,
            t.kind,
            t.user,
            password,
            t.register,
            t.authenticate,
            t.strip,
            tls,
            t.outbound_proxy,
            t.failover_s,
            t.trusted
        ])?;
        for (position, p) in (0i64..).zip(&t.peer) {
            let (port, transport) = (p.port.unwrap_or(0), p.transport.as_deref().unwrap_or(""));
            peer.execute(params![t.name, position, p.address, port, transport, p.priority, p.weight, p.options_s])?;
        }
        for (position, p) in (0i64..).zip(&t.prefix) {
            prefix.execute(params![t.name, position, p])?;
        }
    }
    let mut span = connection.prepare_cached("INSERT INTO span VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (position, s) in (0i64..).zip(&provision.span) {
        span.execute(params![s.name, position, s.card, s.span, s.signalling, s.trunk])?;
    }
    Ok(())
}

fn write_tenants(connection: &Connection, provision: &Provision) -> Result<(), StoreError> {
    let mut tenant = connection.prepare_cached("INSERT INTO tenant VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, t) in (0i64..).zip(&provision.tenant) {
        tenant.execute(params![t.name, position, t.country, t.timezone, t.language])?;
    }
    let mut site = connection.prepare_cached("INSERT INTO site VALUES (?1, ?2, ?3)")?;
    for (position, s) in (0i64..).zip(&provision.site) {
        site.execute(params![s.name, position, s.timezone])?;
    }
    let mut skill = connection.prepare_cached("INSERT INTO skill VALUES (?1, ?2, ?3)")?;
    for (position, s) in (0i64..).zip(&provision.skill) {
        skill.execute(params![s.tenant, s.name, position])?;
    }
    Ok(())
}

fn write_agents(connection: &Connection, key: &SecretKey, agents: &[Agent]) -> Result<(), StoreError> {
    let mut agent =
        connection.prepare_cached("INSERT INTO agent VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?;
    let mut skill = connection.prepare_cached("INSERT INTO agent_skill VALUES (?1, ?2, ?3, ?4)")?;
    for (position, a) in (0i64..).zip(agents) {
        let password = seal(key, &agent_place(&a.tenant, &a.name, "password"), a.password.as_ref())?;
        let pin = seal(key, &agent_place(&a.tenant, &a.name, "pin"), a.pin.as_ref())?;
        agent.execute(params![
            a.tenant,
            a.name,
            position,
            a.site,
            a.contact,
            a.user,
            password,
            a.code,
            pin,
            a.signed_in,
            a.ring_s,
            a.wrap_up_s
        ])?;
        for (name, level) in &a.skills {
            skill.execute(params![a.tenant, a.name, name, level])?;
        }
    }
    Ok(())
}

fn write_queues(connection: &Connection, queues: &[Queue]) -> Result<(), StoreError> {
    let mut queue = connection.prepare_cached("INSERT INTO queue VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?;
    let mut skill = connection.prepare_cached("INSERT INTO queue_skill VALUES (?1, ?2, ?3, ?4)")?;
    for (position, q) in (0i64..).zip(queues) {
        queue.execute(params![
            q.tenant,
            q.name,
            position,
            q.treatment,
            q.music,
            q.announce_every_s,
            q.target_s,
            q.overflow_after_s,
            q.waiting_max,
            q.record
        ])?;
        for (name, level) in &q.skills {
            skill.execute(params![q.tenant, q.name, name, level])?;
        }
    }
    Ok(())
}

fn write_flows(connection: &Connection, provision: &Provision) -> Result<(), StoreError> {
    let mut flow = connection.prepare_cached("INSERT INTO flow VALUES (?1, ?2, ?3, ?4)")?;
    for (position, f) in (0i64..).zip(&provision.flow) {
        flow.execute(params![f.tenant, f.name, position, f.text])?;
    }
    let mut number = connection.prepare_cached("INSERT INTO number VALUES (?1, ?2, ?3, ?4)")?;
    for (position, n) in (0i64..).zip(&provision.number) {
        number.execute(params![n.number, position, n.tenant, n.flow])?;
    }
    Ok(())
}

fn read_agents(connection: &Connection, key: Option<&SecretKey>) -> Result<Vec<Agent>, StoreError> {
    let mut skills = read_levels(connection, "SELECT tenant, agent, skill, level FROM agent_skill")?;
    let sealed = rows(
        connection,
        "SELECT tenant, name, site, contact, user, code, signed_in, ring_s, wrap_up_s, password, pin
            FROM agent ORDER BY position",
        |row| {
            let agent = Agent {
                tenant: row.get(0)?,
                name: row.get(1)?,
                range: None,
                serves: Vec::new(),
                site: row.get(2)?,
                extension: None,
                phone: None,
                contact: row.get(3)?,
                user: row.get(4)?,
                password: None,
                code: row.get(5)?,
                pin: None,
                skills: BTreeMap::new(),
                backup: BTreeMap::new(),
                attributes: BTreeMap::new(),
                modifier: Vec::new(),
                slots: BTreeMap::new(),
                signed_in: row.get(6)?,
                ring_s: row.get(7)?,
                wrap_up_s: row.get(8)?,
                srtp: "off".into(),
                srtp_keys: "dtls".into(),
            };
            Ok((agent, row.get(9)?, row.get(10)?))
        },
    )?;
    let unseal = |(mut agent, password, pin): (Agent, Option<Vec<u8>>, Option<Vec<u8>>)| {
        agent.password = open(key, &agent_place(&agent.tenant, &agent.name, "password"), password)?;
        agent.pin = open(key, &agent_place(&agent.tenant, &agent.name, "pin"), pin)?;
        agent.skills = skills.remove(&(agent.tenant.clone(), agent.name.clone())).unwrap_or_default();
        Ok(agent)
    };
    sealed.into_iter().map(unseal).collect()
}

fn read_queues(connection: &Connection) -> Result<Vec<Queue>, StoreError> {
    let mut skills = read_levels(connection, "SELECT tenant, queue, skill, level FROM queue_skill")?;
    rows(
        connection,
        "SELECT tenant, name, treatment, music, announce_every_s, target_s, overflow_after_s, waiting_max, record
            FROM queue ORDER BY position",
        |row| {
            let (tenant, name): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(Queue {
                skills: skills.remove(&(tenant.clone(), name.clone())).unwrap_or_default(),
                tenant,
                name,
                modifier: Vec::new(),
                importance: 1.0,
                sticky: None,
                treatment: row.get(2)?,
                music: row.get(3)?,
                announce_every_s: row.get(4)?,
                target_s: row.get(5)?,
                targets_s: BTreeMap::new(),
                overflow_after_s: row.get(6)?,
                waiting_max: row.get(7)?,
                escalate_after_s: 0,
                escalate_to: None,
                unservable: None,
                callback: false,
                callback_tries: CALLBACK_TRIES,
                callback_every_s: CALLBACK_EVERY_S,
                record: row.get(8)?,
            })
        },
    )
}

fn read_trunks(connection: &Connection, key: Option<&SecretKey>) -> Result<Vec<Trunk>, StoreError> {
    let mut peers: BTreeMap<String, Vec<Peer>> = BTreeMap::new();
    let select = "SELECT trunk, address, port, transport, priority, weight, options_s FROM trunk_peer
        ORDER BY trunk, position";
    for (trunk, peer) in rows(connection, select, |row| {
        let (address, port, transport): (_, u16, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let (port, transport) = (Some(port).filter(|port| *port != 0), Some(transport).filter(|t| !t.is_empty()));
        let (priority, weight, options_s) = (row.get(4)?, row.get(5)?, row.get(6)?);
        Ok((row.get(0)?, Peer { address, port, transport, priority, weight, options_s }))
    })? {
        peers.entry(trunk).or_default().push(peer);
    }
    let mut prefixes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let select = "SELECT trunk, prefix FROM trunk_prefix ORDER BY trunk, position";
    for (trunk, prefix) in rows(connection, select, |row| Ok((row.get(0)?, row.get(1)?)))? {
        prefixes.entry(trunk).or_default().push(prefix);
    }
    let select = "SELECT name, kind, user, register, authenticate, strip, password, tls, outbound_proxy, failover_s,
        trusted FROM trunk ORDER BY position";
    let sealed: Vec<(Trunk, Option<Vec<u8>>)> = rows(connection, select, |row| {
        let name: String = row.get(0)?;
        let trunk = Trunk {
            kind: row.get(1)?,
            peer: peers.remove(&name).unwrap_or_default(),
            user: row.get(2)?,
            password: None,
            register: row.get(3)?,
            authenticate: row.get(4)?,
            prefix: prefixes.remove(&name).unwrap_or_default(),
            strip: row.get(5)?,
            cost: Decimal::default(),
            tariff: Vec::new(),
            hours: BTreeMap::new(),
            timezone: "UTC".into(),
            caller_id: None,
            caller_number: None,
            hunt: Hunt::default(),
            calls_max: 0,
            reserved_out: 0,
            permitted: 0,
            out_of_service: false,
            emergency_preempts: true,
            tls: row.get::<_, Option<String>>(7)?.and_then(|json| serde_json::from_str(&json).ok()),
            outbound_proxy: row.get(8)?,
            failover_s: row.get(9)?,
            trusted: row.get(10)?,
            node: None,
            srtp: "off".into(),
            srtp_keys: "dtls".into(),
            name,
        };
        Ok((trunk, row.get(6)?))
    })?;
    let unseal = |(trunk, password): (Trunk, Option<Vec<u8>>)| {
        let password = open(key, &trunk_place(&trunk.name), password)?;
        Ok(Trunk { password, ..trunk })
    };
    sealed.into_iter().map(unseal).collect()
}

type Levels = BTreeMap<(String, String), BTreeMap<String, f64>>;

fn read_levels(connection: &Connection, select: &str) -> Result<Levels, StoreError> {
    let mut levels = Levels::new();
    for (tenant, owner, skill, level) in
        rows(connection, select, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
    {
        levels.entry((tenant, owner)).or_default().insert(skill, level);
    }
    Ok(levels)
}

/// All rows of a query. What a row's columns cannot hold is a stored value of a form that no release writes.
pub(super) fn rows<T>(
    connection: &Connection,
    select: &str,
    mut decode: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(select)?;
    let mut rows = statement.query([])?;
    let mut decoded = Vec::new();
    while let Some(row) = rows.next()? {
        decoded.push(decode(row).map_err(|error| undecodable(select, row, error))?);
    }
    Ok(decoded)
}

fn undecodable(select: &str, row: &Row<'_>, error: rusqlite::Error) -> StoreError {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    match error {
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..) => {
            let text =
                |column| row.get_ref(column).ok().and_then(|v| String::column_result(v).ok()).unwrap_or_default();
            let table = select.split_once("FROM ").and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or("");
            StoreError::Undecodable { what: format!("{table} {} {}", text(0), text(1)) }
        }
        other => StoreError::Sql(other),
    }
}

fn write_setting(connection: &Connection, name: &str, value: &impl Serialize) -> Result<(), StoreError> {
    let value =
        serde_json::to_string(value).map_err(|_| StoreError::Undecodable { what: format!("setting {name}") })?;
    connection.execute("INSERT INTO setting VALUES (?1, ?2)", [name, &value])?;
    Ok(())
}

fn read_setting<T: DeserializeOwned + Default>(connection: &Connection, name: &str) -> Result<T, StoreError> {
    use rusqlite::OptionalExtension;
    let select = "SELECT value FROM setting WHERE name = ?1";
    let value: Option<String> = connection.query_row(select, [name], |row| row.get(0)).optional()?;
    match value {
        None => Ok(T::default()),
        Some(text) => {
            serde_json::from_str(&text).map_err(|_| StoreError::Undecodable { what: format!("setting {name}") })
        }
    }
}

fn agent_place(tenant: &str, name: &str, column: &str) -> String {
    format!("agent/{tenant}/{name}/{column}")
}

fn trunk_place(name: &str) -> String {
    format!("trunk/{name}/password")
}

fn seal(key: &SecretKey, place: &str, secret: Option<&Redacted<String>>) -> Result<Option<Vec<u8>>, StoreError> {
    secret.map(|secret| key.seal(place, secret.expose())).transpose()
}

fn open(key: Option<&SecretKey>, place: &str, sealed: Option<Vec<u8>>) -> Result<Option<Redacted<String>>, StoreError> {
    match (sealed, key) {
        (None, _) => Ok(None),
        (Some(sealed), Some(key)) => key.open(place, &sealed).map(Some),
        (Some(_), None) => Err(StoreError::Sealed { what: place.to_string() }),
    }
}
