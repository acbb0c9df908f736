//! What a change does to the tables, and a batch of them in one transaction.

use std::collections::HashSet;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};
use serde_json::{Value, json};

use crate::base::Timestamp;
use crate::core::contact::Work;
use crate::core::journal::{Cdr, Change, Seq};
use crate::core::tenant::{Provision, diff, expand};
use crate::edge::store::record::{self, AgentState, Registration};
use crate::edge::store::secret::SecretKey;
use crate::edge::store::work::write_work;
use crate::edge::store::{StoreError, provisioning, users};

/// Journal rows kept. Everything that they say is in the other tables; they are for people and for followers that lag.
const JOURNAL_ROWS: u64 = 10_000;

/// Pruning waits until so many rows are too old.
const PRUNE_STEP: u64 = 1_000;

/// Differences of a provisioning that its journal row names.
const DIFFERENCES_MAX: usize = 20;

/// Turns changes into rows.
pub(super) struct Applier {
    key: SecretKey,
    provision: Provision,
    pruned_to: Seq,
}

/// A number and why the database refused the change.
type Refused = (Seq, String);

impl Applier {
    /// `provision` is what the tables hold.
    pub fn new(key: SecretKey, provision: Provision) -> Self {
        Self { key, provision, pruned_to: 0 }
    }

    /// Writes a batch in one transaction and tells which changes the database refused for good.
    ///
    /// # Errors
    /// Whatever may go away (disk full, I/O error, a lock): nothing of the batch is written then.
    pub fn commit(&mut self, connection: &mut Connection, batch: &[(Seq, Change)]) -> Result<Vec<Refused>, StoreError> {
        match self.commit_together(connection, batch) {
            Err(error) if is_refusal(&error) => self.commit_one_by_one(connection, batch),
            Err(error) => Err(error),
            Ok(()) => Ok(Vec::new()),
        }
    }

    /// The usual case: of several records of one call in the batch only the last is written.
    fn commit_together(&mut self, connection: &mut Connection, batch: &[(Seq, Change)]) -> Result<(), StoreError> {
        let superseded = superseded(batch);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut provision = None;
        for (seq, change) in batch {
            let write_record = !superseded.contains(seq);
            provision = self.write(&transaction, *seq, change, write_record)?.or(provision);
        }
        self.finish(transaction, batch, provision)
    }

    /// After a refusal: each change behind a savepoint, so that one which is refused takes no other with it.
    fn commit_one_by_one(
        &mut self,
        connection: &mut Connection,
        batch: &[(Seq, Change)],
    ) -> Result<Vec<Refused>, StoreError> {
        let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut provision = None;
        let mut refused = Vec::new();
        for (seq, change) in batch {
            let savepoint = transaction.savepoint()?;
            match self.write(&savepoint, *seq, change, true) {
                Ok(replaced) => {
                    savepoint.commit()?;
                    provision = replaced.or(provision);
                }
                Err(error) if is_refusal(&error) => {
                    savepoint.finish()?;
                    let reason = error.to_string();
                    write_journal(&transaction, *seq, "refused", &json!({ "reason": reason }))?;
                    refused.push((*seq, reason));
                }
                Err(error) => return Err(error),
            }
        }
        self.finish(transaction, batch, provision)?;
        Ok(refused)
    }

    fn finish(
        &mut self,
        transaction: Transaction<'_>,
        batch: &[(Seq, Change)],
        provision: Option<Provision>,
    ) -> Result<(), StoreError> {
        let last = batch.last().map_or(0, |(seq, _)| *seq);
        let prune_to = last.saturating_sub(JOURNAL_ROWS);
        let prune = prune_to >= self.pruned_to + PRUNE_STEP;
        if prune {
            transaction.prepare_cached("DELETE FROM journal WHERE seq <= ?1")?.execute([to_sql(prune_to)])?;
            record::prune_last_agents(&transaction)?;
            users::prune_audit(&transaction, self.pruned_to + JOURNAL_ROWS)?;
        }
        record::write_alive(&transaction, wall_clock())?;
        transaction.commit()?;
        if prune {
            self.pruned_to = prune_to;
        }
        if let Some(provision) = provision {
            self.provision = provision;
        }
        Ok(())
    }

    /// Notes that the process lives, if calls are up: what is known of them has not changed, but they go on.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn beat(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if record::calls_are_up(&transaction)? {
            record::write_alive(&transaction, wall_clock())?;
            transaction.commit()?;
        }
        Ok(())
    }

    /// Writes one change, and gives the provisioning back when it replaced the one before.
    fn write(
        &self,
        connection: &Connection,
        seq: Seq,
        change: &Change,
        write_record: bool,
    ) -> Result<Option<Provision>, StoreError> {
        let call = |kind: &str, cdr: &Cdr| {
            if write_record {
                record::write_cdr(connection, cdr)?;
            }
            write_journal(connection, seq, kind, &call_summary(cdr))
        };
        match change {
            Change::Provisioned { provision } => return self.write_provision(connection, seq, provision).map(Some),
            Change::WorkChanged { work } => {
                if write_record {
                    write_work(connection, work)?;
                }
                write_journal(connection, seq, "work-changed", &work_summary(work))?;
            }
            Change::CallStarted { cdr } => call("call-started", cdr)?,
            Change::CallChanged { cdr } => call("call-changed", cdr)?,
            Change::CallEnded { cdr } => call("call-ended", cdr)?,
            Change::AgentChanged { tenant, agent, status, reason, at } => {
                let (tenant, agent, reason) = (tenant.clone(), agent.clone(), reason.clone());
                let state = AgentState { tenant, agent, status: *status, reason, at: *at };
                record::write_agent_state(connection, &state)?;
                let body =
                    json!({ "tenant": state.tenant, "agent": state.agent, "status": status, "reason": state.reason });
                write_journal(connection, seq, "agent-changed", &body)?;
            }
            Change::AgentSeated { tenant, agent, seat } => {
                record::write_seat(connection, (tenant, agent), seat.as_deref())?;
                // Not the number, which may be a home's.
                let site = seat.as_ref().and_then(|seat| seat.site.as_ref());
                let body = json!({ "tenant": tenant, "agent": agent, "site": site });
                write_journal(connection, seq, "agent-seated", &body)?;
            }
            Change::ClientMet { met } => {
                record::write_last_agent(connection, met)?;
                // Not who: the journal has nothing of clients.
                write_journal(connection, seq, "client-met", &json!({ "tenant": met.tenant, "agent": met.agent }))?;
            }
            Change::Learned { learned } => {
                record::write_learned(connection, learned)?;
                let body = json!({ "tenant": learned.tenant, "trunk": learned.trunk });
                write_journal(connection, seq, "learned", &body)?;
            }
            Change::Audited { audit } => {
                users::write_audit(connection, seq, audit)?;
                let body = json!({ "user": audit.user, "tenant": audit.tenant, "did": audit.did });
                write_journal(connection, seq, "audited", &body)?;
            }
            Change::Registered { user, contact, via, expires_at } => {
                let (user, contact, via) = (user.clone(), contact.clone(), via.clone());
                let registration = Registration { user, contact, via, expires_at: *expires_at };
                record::write_registration(connection, &registration, wall_clock())?;
                let body = json!({ "user": registration.user, "expires_at": expires_at });
                write_journal(connection, seq, "registered", &body)?;
            }
        }
        Ok(None)
    }

    fn write_provision(&self, connection: &Connection, seq: Seq, new: &Provision) -> Result<Provision, StoreError> {
        let mut new = new.clone();
        // Flow files are read when the provisioning is: from there on the text counts.
        new.flow.iter_mut().for_each(|flow| flow.file = None);
        expand(&mut new).map_err(|error| StoreError::Undecodable { what: error.to_string() })?;
        let differences = diff(&self.provision, &new);
        if new != self.provision {
            provisioning::write(connection, &self.key, &new)?;
        }
        let first: Vec<String> = differences.iter().take(DIFFERENCES_MAX).map(ToString::to_string).collect();
        write_journal(connection, seq, "provisioned", &json!({ "differences": differences.len(), "first": first }))?;
        Ok(new)
    }
}

/// The numbers of changes of calls and work items that a later change of the same one in the batch makes needless to write.
fn superseded(batch: &[(Seq, Change)]) -> HashSet<Seq> {
    let mut later: HashSet<u64> = HashSet::new();
    let mut superseded = HashSet::new();
    for (seq, change) in batch.iter().rev() {
        // Both are numbered by one counter.
        let id = match change {
            Change::CallStarted { cdr } | Change::CallChanged { cdr } | Change::CallEnded { cdr } => cdr.call_id.0,
            Change::WorkChanged { work } => work.id.0,
            _ => continue,
        };
        if !later.insert(id) {
            superseded.insert(*seq);
        }
    }
    superseded
}

/// What the journal says of a work item: no more than where it is, and nothing of the client.
fn work_summary(work: &Work) -> Value {
    let last = work.events.last();
    json!({
        "work": work.id,
        "tenant": work.tenant,
        "medium": work.medium,
        "queue": work.queue,
        "state": work.state,
        "agent": work.agent,
        "last": last.map(|event| event.what.as_str()),
        "score": last.and_then(|event| Some(event.reason.as_ref()?.terms.total())),
        "outcome": work.outcome,
    })
}

/// What the journal says of a call: the record itself has the rest.
fn call_summary(cdr: &Cdr) -> Value {
    json!({
        "call_id": cdr.call_id,
        "tenant": cdr.tenant,
        "legs": cdr.legs.len(),
        "last": cdr.events.last().map(|event| event.what.as_str()),
        "cause": cdr.cause,
    })
}

fn write_journal(connection: &Connection, seq: Seq, kind: &str, body: &Value) -> Result<(), StoreError> {
    let insert = "INSERT INTO journal VALUES (?1, ?2, ?3, ?4)";
    let at = wall_clock().as_millis();
    connection.prepare_cached(insert)?.execute(params![to_sql(seq), at, kind, body.to_string()])?;
    Ok(())
}

fn to_sql(seq: Seq) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn wall_clock() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// Whether trying again cannot help: the change itself is at fault.
fn is_refusal(error: &StoreError) -> bool {
    match error {
        StoreError::Undecodable { .. } | StoreError::Sealed { .. } => true,
        StoreError::Sql(rusqlite::Error::SqliteFailure(failure, _)) => {
            matches!(failure.code, ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig)
        }
        StoreError::Sql(rusqlite::Error::ToSqlConversionFailure(_)) => true,
        _ => false,
    }
}
