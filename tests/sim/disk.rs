//! What the store would hold: takes the core's changes in order, refuses for a while as a full disk does, and gives back
//! at a restart what was durable. Its own invariants: numbers without a gap, ids used once, each record closed once.

use std::collections::BTreeMap;

use cordboard::base::{CallId, Cause, Timestamp, WorkItemId};
use cordboard::core::contact::sticky::LastAgent;
use cordboard::core::contact::{Work, WorkState};
use cordboard::core::journal::{AgentStatus, Cdr, Change, Seq};
use cordboard::core::switch::StoredAgent;
use cordboard::core::tenant::Provision;
use cordboard::core::trunk::seat::Seat;
use cordboard::proto::sip::{Binding, Path};

#[derive(Default)]
pub struct Disk {
    /// Nothing becomes durable meanwhile.
    pub refuses: bool,
    /// Calls that wait for what they are for to become durable.
    pub uncommitted: Vec<CallId>,
    waiting: Vec<(Seq, Change)>,
    /// The newest durable change.
    durable: Seq,
    /// The newest change taken.
    taken: Seq,
    pub records: BTreeMap<u64, Cdr>,
    pub works: BTreeMap<WorkItemId, Work>,
    agents: BTreeMap<(String, String), (AgentStatus, String)>,
    seats: BTreeMap<(String, String), Seat>,
    last_agents: BTreeMap<(String, String), LastAgent>,
    bindings: BTreeMap<(String, String), Binding>,
    pub provision: Provision,
    /// Calls whose records closed because the process ended.
    pub interrupted: usize,
    /// Changes that a crash took while the disk refused.
    pub lost: usize,
}

impl Disk {
    /// One that holds a provisioning.
    pub fn of(provision: Provision) -> Self {
        Self { provision, ..Self::default() }
    }

    /// Takes a change, durable at once unless the disk refuses. `path` is where a registration's phone is reached.
    pub fn take(&mut self, seq: Seq, change: &Change, path: Path) {
        assert_eq!(seq, self.taken + 1, "the journal has a gap");
        self.taken = seq;
        self.waiting.push((seq, change.clone()));
        self.write(path);
    }

    /// Writes what waits, if the disk lets it.
    pub fn write(&mut self, path: Path) {
        if self.refuses {
            return;
        }
        for (seq, change) in std::mem::take(&mut self.waiting) {
            self.durable = seq;
            self.apply(change, path);
        }
    }

    fn apply(&mut self, change: Change, path: Path) {
        match change {
            Change::CallStarted { cdr } => {
                assert!(cdr.ended_at.is_none(), "a call begins with its end: {cdr:?}");
                let id = cdr.call_id;
                assert!(self.records.insert(id.0, *cdr).is_none(), "{id} is used twice");
            }
            Change::CallChanged { cdr } => {
                let known = self.records.insert(cdr.call_id.0, *cdr.clone());
                assert!(known.is_some_and(|k| k.ended_at.is_none()), "a change of a call that is not up: {cdr:?}");
            }
            Change::CallEnded { cdr } => {
                check_record(&cdr);
                let known = self.records.insert(cdr.call_id.0, *cdr.clone());
                assert!(known.is_some_and(|k| k.ended_at.is_none()), "an end of a call that is not up: {cdr:?}");
            }
            Change::AgentChanged { tenant, agent, status, reason, .. } => {
                self.agents.insert((tenant, agent), (status, reason));
            }
            Change::AgentSeated { tenant, agent, seat } => match seat {
                Some(seat) => drop(self.seats.insert((tenant, agent), *seat)),
                None => drop(self.seats.remove(&(tenant, agent))),
            },
            Change::WorkChanged { work } => {
                let before = self.works.insert(work.id, *work.clone());
                assert!(
                    before.is_none_or(|w| w.state != WorkState::Ended),
                    "a change of an item that has ended: {work:?}"
                );
                assert_eq!(work.state == WorkState::Ended, work.ended_at.is_some(), "{work:?}");
            }
            Change::Learned { .. } | Change::Audited { .. } => {}
            Change::Registered { user, contact, expires_at, .. } => {
                let binding = Binding { user: user.clone(), contact: contact.clone(), path, expires_at };
                self.bindings.insert((user, contact), binding);
            }
            Change::ClientMet { met } => {
                self.last_agents.insert((met.tenant.clone(), met.client.expose().clone()), met);
            }
            Change::Provisioned { provision } => self.provision = *provision,
        }
    }

    /// The process is gone: what waited is lost, what was open is closed as interrupted. What the next one starts from.
    pub fn recover(&mut self, now: Timestamp) -> (Seq, Vec<StoredAgent>, Vec<Binding>) {
        assert!(self.refuses || self.waiting.is_empty());
        self.lost += self.waiting.len();
        self.waiting.clear();
        self.uncommitted.clear();
        self.taken = self.durable;
        for record in self.records.values_mut().filter(|r| r.ended_at.is_none()) {
            self.interrupted += 1;
            record.ended_at = Some(now);
            record.cause = Some(Cause::Interrupted);
        }
        let agents = self.agents.iter();
        let agents = agents.map(|(of, (status, reason))| {
            (of.0.clone(), of.1.clone(), *status, reason.clone(), self.seats.get(of).cloned())
        });
        (self.durable + 1, agents.collect(), self.bindings.values().cloned().collect())
    }

    /// Work items that have not ended.
    pub fn open_works(&self) -> Vec<Work> {
        self.works.values().filter(|work| work.state != WorkState::Ended).cloned().collect()
    }

    /// Whom clients met last, by tenant and client.
    pub fn last_agents(&self) -> Vec<LastAgent> {
        self.last_agents.values().cloned().collect()
    }

    /// An agent's state as stored.
    pub fn agent(&self, tenant: &str, agent: &str) -> Option<AgentStatus> {
        self.agents.get(&(tenant.to_owned(), agent.to_owned())).map(|(status, _)| *status)
    }

    /// Calls that are up, as far as it knows.
    pub fn open(&self) -> usize {
        self.records.values().filter(|r| r.ended_at.is_none()).count()
    }
}

/// A complete record is complete, and runs forwards whatever the clock did.
fn check_record(cdr: &Cdr) {
    let (Some(ended), Some(_)) = (cdr.ended_at, cdr.cause) else { panic!("a record without its end: {cdr:?}") };
    assert!(ended >= cdr.started_at, "ends before it begins: {cdr:?}");
    assert!(cdr.answered_at.is_none_or(|at| (cdr.started_at..=ended).contains(&at)), "answered outside: {cdr:?}");
    for leg in &cdr.legs {
        let (Some(over), Some(_)) = (leg.ended_at, leg.cause) else { panic!("a leg without its end: {cdr:?}") };
        assert!(over >= leg.started_at, "a leg ends before it begins: {cdr:?}");
    }
}
