//! Calls, agents' states, registrations and clients' last agents in their tables.

use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::{CallId, Cause, DialString, Timestamp};
use crate::core::contact::sticky::{CLIENTS_MAX, LastAgent};
use crate::core::journal::{AgentStatus, CallEvent, Cdr, Learned};
use crate::core::trunk::seat::Seat;
use crate::edge::store::StoreError;
use crate::edge::store::provisioning::rows;

/// Columns of `cdr` in the order that [`read_cdr`] wants.
pub(super) const CDR_COLUMNS: &str = "call_id, tenant, medium, direction, caller, called, started_at, answered_at, \
    ended_at, agent, cause, queued_ms, legs, events, trace";

/// The last state an agent was in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentState {
    /// Tenant's name.
    pub tenant: String,
    /// Agent's name.
    pub agent: String,
    /// State.
    pub status: AgentStatus,
    /// Why not ready; empty otherwise.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

/// Where a phone registered from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// User part of the address of record.
    pub user: String,
    /// Contact URI.
    pub contact: String,
    /// `udp:addr:port` or `tcp:addr:port`.
    pub via: String,
    /// End of the binding; may have passed.
    pub expires_at: Timestamp,
}

/// Writes a call's record as far as known. One that has ended stays as it ended.
pub(super) fn write_cdr(connection: &Connection, cdr: &Cdr) -> Result<(), StoreError> {
    let upsert = "INSERT INTO cdr VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
        ON CONFLICT (call_id) DO UPDATE SET
            tenant = ?2, medium = ?3, direction = ?4, caller = ?5, called = ?6, started_at = ?7, answered_at = ?8,
            ended_at = ?9, agent = ?10, cause = ?11, queued_ms = ?12, legs = ?13, events = ?14
        WHERE cdr.ended_at IS NULL";
    connection.prepare_cached(upsert)?.execute(params![
        cdr.call_id.to_string(),
        cdr.tenant,
        cdr.medium,
        word(&cdr.direction)?,
        cdr.from.as_str(),
        cdr.to.as_str(),
        cdr.started_at.as_millis(),
        cdr.answered_at.map(Timestamp::as_millis),
        cdr.ended_at.map(Timestamp::as_millis),
        cdr.agent,
        cdr.cause.map(Cause::as_str),
        i64::try_from(cdr.queued_ms).unwrap_or(i64::MAX),
        json(&cdr.legs)?,
        json(&cdr.events)?,
        cdr.trace.map(|trace| trace.to_string()),
    ])?;
    Ok(())
}

/// A row of [`CDR_COLUMNS`] as a record.
pub(super) fn read_cdr(row: &Row<'_>) -> Result<Cdr, StoreError> {
    let call: String = row.get(0)?;
    let undecodable = || StoreError::Undecodable { what: format!("cdr {call}") };
    let call_id: CallId = call.parse().map_err(|_| undecodable())?;
    let party = |column| -> Result<DialString, StoreError> {
        DialString::new(row.get::<_, String>(column)?).map_err(|_| undecodable())
    };
    let time =
        |column| -> Result<Option<Timestamp>, StoreError> { Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp)) };
    let cause = match row.get::<_, Option<String>>(10)? {
        None => None,
        Some(name) => Some(Cause::ALL.iter().copied().find(|cause| cause.as_str() == name).ok_or_else(undecodable)?),
    };
    Ok(Cdr {
        call_id,
        tenant: row.get(1)?,
        medium: row.get(2)?,
        direction: from_word(&row.get::<_, String>(3)?).ok_or_else(undecodable)?,
        from: party(4)?,
        to: party(5)?,
        started_at: Timestamp(row.get(6)?),
        answered_at: time(7)?,
        ended_at: time(8)?,
        agent: row.get(9)?,
        cause,
        queued_ms: row.get::<_, i64>(11)?.try_into().map_err(|_| undecodable())?,
        legs: serde_json::from_str(&row.get::<_, String>(12)?).map_err(|_| undecodable())?,
        events: serde_json::from_str(&row.get::<_, String>(13)?).map_err(|_| undecodable())?,
        trace: row.get::<_, Option<String>>(14)?.map(|text| text.parse()).transpose().map_err(|_| undecodable())?,
    })
}

/// Notes that the process lives.
pub(super) fn write_alive(connection: &Connection, at: Timestamp) -> Result<(), StoreError> {
    connection.prepare_cached("INSERT OR REPLACE INTO alive VALUES (1, ?1)")?.execute([at.as_millis()])?;
    Ok(())
}

/// Whether any call has not ended.
pub(super) fn calls_are_up(connection: &Connection) -> Result<bool, StoreError> {
    let select = "SELECT EXISTS (SELECT 1 FROM cdr WHERE ended_at IS NULL)";
    Ok(connection.prepare_cached(select)?.query_row([], |row| row.get(0))?)
}

/// When the last process was last known to live.
fn read_alive(connection: &Connection) -> Result<Timestamp, StoreError> {
    Ok(Timestamp(connection.query_row("SELECT ifnull(max(at), 0) FROM alive", [], |row| row.get(0))?))
}

/// Closes the records of calls that were up when the last process ended: cause `interrupted`, at the time of the last
/// thing known of the call or of the process; their open legs too. Tells how many. The caller has a transaction open.
pub(super) fn close_interrupted(connection: &Connection) -> Result<usize, StoreError> {
    let alive = read_alive(connection)?;
    let select = "SELECT call_id FROM cdr WHERE ended_at IS NULL";
    let open: Vec<String> = rows(connection, select, |row| row.get(0))?;
    for call in &open {
        let select = format!("SELECT {CDR_COLUMNS} FROM cdr WHERE call_id = ?1");
        let read = connection.prepare_cached(&select)?.query_row([call], |row| Ok(read_cdr(row)))?;
        match read {
            Ok(mut cdr) => {
                interrupt(&mut cdr, alive);
                write_cdr(connection, &cdr)?;
            }
            // A record that cannot be read whole is closed by what its plain columns say.
            Err(StoreError::Undecodable { .. }) => {
                connection.execute(
                    "UPDATE cdr SET ended_at = max(started_at, ifnull(answered_at, 0), ?3), cause = ?2 WHERE call_id = ?1",
                    params![call, Cause::Interrupted.as_str(), alive.as_millis()],
                )?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(open.len())
}

fn interrupt(cdr: &mut Cdr, alive: Timestamp) {
    let legs = cdr.legs.iter().flat_map(|leg| [Some(leg.started_at), leg.answered_at, leg.ended_at]);
    let events = cdr.events.iter().map(|event| Some(event.at));
    let last = legs.chain(events).chain([cdr.answered_at, Some(alive)]).flatten().fold(cdr.started_at, Timestamp::max);
    for leg in cdr.legs.iter_mut().filter(|leg| leg.ended_at.is_none()) {
        leg.ended_at = Some(last);
        leg.cause = Some(Cause::Interrupted);
    }
    cdr.settle_answer();
    cdr.events.push(CallEvent { at: last, what: "interrupted".into(), detail: "the appliance stopped".into() });
    cdr.ended_at = Some(last);
    cdr.cause = Some(Cause::Interrupted);
}

/// Writes an agent's state.
pub(super) fn write_agent_state(connection: &Connection, state: &AgentState) -> Result<(), StoreError> {
    connection.prepare_cached("INSERT OR REPLACE INTO agent_state VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        state.tenant,
        state.agent,
        word(&state.status)?,
        state.reason,
        state.at.as_millis()
    ])?;
    Ok(())
}

/// Every agent's last state, by tenant and name.
pub(super) fn read_agent_states(connection: &Connection) -> Result<Vec<AgentState>, StoreError> {
    let select = "SELECT tenant, agent, reason, at, status FROM agent_state";
    let states = rows(connection, select, |row| {
        let status: String = row.get(4)?;
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, Timestamp(row.get(3)?), status))
    })?;
    let decode = |(tenant, agent, reason, at, status): (String, String, String, Timestamp, String)| {
        let status = from_word(&status)
            .ok_or_else(|| StoreError::Undecodable { what: format!("agent_state {tenant} {agent}") })?;
        Ok(AgentState { tenant, agent, status, reason, at })
    };
    states.into_iter().map(decode).collect()
}

/// Writes where an agent sits, or forgets it.
pub(super) fn write_seat(
    connection: &Connection,
    (tenant, agent): (&str, &str),
    seat: Option<&Seat>,
) -> Result<(), StoreError> {
    match seat {
        Some(seat) => connection
            .prepare_cached("INSERT OR REPLACE INTO agent_seat VALUES (?1, ?2, ?3)")?
            .execute(params![tenant, agent, json(seat)?])?,
        None => connection
            .prepare_cached("DELETE FROM agent_seat WHERE tenant = ?1 AND agent = ?2")?
            .execute(params![tenant, agent])?,
    };
    Ok(())
}

/// Where agents sit who have signed in elsewhere than provisioned.
pub(super) fn read_seats(connection: &Connection) -> Result<Vec<(String, String, Seat)>, StoreError> {
    let all = rows(connection, "SELECT tenant, agent, seat FROM agent_seat", |row| {
        let seat: String = row.get(2)?;
        Ok((row.get(0)?, row.get(1)?, seat))
    })?;
    let decode = |(tenant, agent, seat): (String, String, String)| {
        let seat = serde_json::from_str(&seat)
            .map_err(|_| StoreError::Undecodable { what: format!("agent_seat {tenant} {agent}") })?;
        Ok((tenant, agent, seat))
    };
    all.into_iter().map(decode).collect()
}

/// Writes what was learned of calls on a shared trunk.
pub(super) fn write_learned(connection: &Connection, learned: &Learned) -> Result<(), StoreError> {
    let undecodable = |_| StoreError::Undecodable { what: format!("learned {} {}", learned.tenant, learned.trunk) };
    let memory = serde_json::to_string(&learned.memory).map_err(undecodable)?;
    connection.prepare_cached("INSERT OR REPLACE INTO learned VALUES (?1, ?2, ?3)")?.execute(params![
        learned.tenant,
        learned.trunk,
        memory
    ])?;
    Ok(())
}

/// All that was learned. What cannot be read is left out: it is learned anew.
pub(super) fn read_learned(connection: &Connection) -> Result<Vec<Learned>, StoreError> {
    let all = rows(connection, "SELECT tenant, trunk, memory FROM learned", |row| {
        let memory: String = row.get(2)?;
        Ok((row.get(0)?, row.get(1)?, memory))
    })?;
    let read = |(tenant, trunk, memory): (String, String, String)| {
        Some(Learned { tenant, trunk, memory: serde_json::from_str(&memory).ok()? })
    };
    Ok(all.into_iter().filter_map(read).collect())
}

/// Writes a registration, or removes it when it ends before `now`; the user's other bindings that have ended go too.
pub(super) fn write_registration(connection: &Connection, r: &Registration, now: Timestamp) -> Result<(), StoreError> {
    connection.prepare_cached("INSERT OR REPLACE INTO registration VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        r.user,
        r.contact,
        r.via,
        r.expires_at.as_millis()
    ])?;
    connection
        .prepare_cached("DELETE FROM registration WHERE user = ?1 AND expires_at <= ?2")?
        .execute(params![r.user, now.as_millis()])?;
    Ok(())
}

/// Every registration, by user and contact.
pub(super) fn read_registrations(connection: &Connection) -> Result<Vec<Registration>, StoreError> {
    rows(connection, "SELECT user, contact, via, expires_at FROM registration", |row| {
        let (user, contact, via) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Registration { user, contact, via, expires_at: Timestamp(row.get(3)?) })
    })
}

/// Writes whom a client met.
pub(super) fn write_last_agent(connection: &Connection, met: &LastAgent) -> Result<(), StoreError> {
    connection.prepare_cached("INSERT OR REPLACE INTO last_agent VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        met.tenant,
        met.client.expose(),
        met.agent,
        met.at.as_millis()
    ])?;
    Ok(())
}

/// Whom clients met last, the latest first, as many as are remembered.
pub(super) fn read_last_agents(connection: &Connection) -> Result<Vec<LastAgent>, StoreError> {
    let select = format!(
        "SELECT tenant, client, agent, at FROM last_agent ORDER BY at DESC, tenant, client LIMIT {CLIENTS_MAX}"
    );
    rows(connection, &select, |row| {
        let (tenant, client, agent) = (row.get(0)?, row.get::<_, String>(1)?.into(), row.get(2)?);
        Ok(LastAgent { tenant, client, agent, at: Timestamp(row.get(3)?) })
    })
}

/// Forgets whom clients met longer ago than those who are remembered.
pub(super) fn prune_last_agents(connection: &Connection) -> Result<(), StoreError> {
    let last = format!("SELECT at FROM last_agent ORDER BY at DESC LIMIT 1 OFFSET {}", CLIENTS_MAX - 1);
    connection.prepare_cached(&format!("DELETE FROM last_agent WHERE at < ({last})"))?.execute([])?;
    Ok(())
}

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Undecodable { what: "a record".into() })
}

/// The serde name of a unit variant.
pub(super) fn word(value: &impl Serialize) -> Result<String, StoreError> {
    Ok(json(value)?.trim_matches('"').to_string())
}

pub(super) fn from_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_string())).ok()
}
