//! The journal cut at every record, and its file at any octet: what a restart finds is always a whole prefix of what
//! happened, and nothing that was reported durable is missing from it.
//!
//! A busy period on the real core (the random walk of `walk`) makes the changes; the real store writes them.
//! `SEED=n cargo test --test sim cuts` repeats a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use cordboard::base::{Medium, Now, Redacted, Timestamp};
use cordboard::core::contact::{Outcome, Work, WorkState};
use cordboard::core::control::{Command, Query, Reply, WorkSpec};
use cordboard::core::journal::{AgentStatus, Change, Seq};
use cordboard::core::switch::{Input, Output, StoredAgent, Switch};
use cordboard::core::tenant::provision::Sticky;
use cordboard::core::tenant::{Provision, expand};
use cordboard::edge::store::{CdrFilter, Reader, Recovered, Store, WorkFilter, database_path};
use cordboard::proto::sip::{Binding, ClientRegistration, Credentials};

use crate::callbacks::{add, provisioning};
use crate::desk::{Desk, Party, config};
use crate::disk::Disk;
use crate::provision;
use crate::walk::Walk;
use crate::world::Dice;

/// Changes of the busy period at least.
const CHANGES: usize = 120;

/// Tries of a call-back, as provisioned.
const TRIES: u32 = 2;

/// A folder of the test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("cordboard-cuts-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).expect("a folder");
        Self(dir)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// What happened: the provisioning first, then everything that the core said.
struct Busy {
    changes: Vec<Change>,
    now: Timestamp,
    desk: Desk,
}

/// The usual desk, where clients meet the same agent again.
fn sticky() -> Provision {
    let mut provision = provision(&provisioning());
    provision.queue.iter_mut().for_each(|queue| queue.sticky = Some(Sticky::default()));
    provision
}

fn busy(seed: u64) -> Busy {
    let mut walk = Walk::new(seed, Desk::new(seed, sticky()));
    let register = |walk: &mut Walk, user: &str, expires_s: u32| {
        let path = walk.desk.path_of(Party::Phones);
        let (user, password) = (user.to_owned(), Redacted::new(format!("{user}-secret")));
        let registration = ClientRegistration {
            path,
            registrar_uri: "sip:127.0.0.1".into(),
            aor_user: user.clone(),
            domain: "127.0.0.1".into(),
            credentials: Credentials { user, password },
            expires_s,
            routes: Vec::new(),
        };
        walk.desk.with(Party::Phones, |e, now| e.register(now, registration))
    };
    let ana = register(&mut walk, "ana", 3_600);
    register(&mut walk, "ben", 600);
    while walk.desk.journal.len() < CHANGES {
        walk.act();
        work(&mut walk);
        let ms = [0, 0, 10, 300, 2_000, 20_000][walk.below(6)];
        walk.desk.pass(Duration::from_millis(ms));
        if walk.desk.journal.len() > CHANGES / 2 {
            walk.desk.with(Party::Phones, |e, now| e.unregister(now, ana));
        }
    }
    let first = Change::Provisioned { provision: Box::new(sticky()) };
    let changes = std::iter::once(first).chain(walk.desk.journal.iter().cloned()).collect();
    Busy { changes, now: walk.desk.now.wall, desk: walk.desk }
}

/// Something happens to a work item that is no call.
fn work(walk: &mut Walk) {
    let views = match walk.desk.query(Query::Works { tenant: None, queue: None, state: None, after: None, agent: None })
    {
        Reply::Works { works, .. } => works,
        other => panic!("{other:?}"),
    };
    let of = |state| views.iter().find(|view| view.state == state && view.medium != Medium::Voice);
    let command = match (walk.below(8), of(WorkState::Offered), of(WorkState::Handled), of(WorkState::Waiting)) {
        // A client who is called back: by phone from there on.
        (6 | 7, ..) => {
            let due_at = (walk.below(4) == 0).then(|| Timestamp(walk.desk.now.wall.0 + 30_000));
            let number = format!("8555000{}", walk.below(4));
            add(&mut walk.desk, &number, due_at);
            return;
        }
        (0 | 1, Some(view), ..) => {
            let (tenant, agent) = (view.tenant.clone(), view.agent.clone().unwrap_or_default());
            Command::WorkAccept { tenant, agent, work: view.id }
        }
        (2, _, Some(view), _) => {
            let note = Some(Redacted::new("a note".to_owned()));
            Command::WorkComplete { work: view.id, disposition: Some("done".into()), note }
        }
        (3, _, _, Some(view)) => Command::WorkCancel { work: view.id, reason: "cut".into() },
        (4 | 5, ..) => Command::WorkAdd {
            item: Box::new(WorkSpec {
                tenant: "acme".into(),
                medium: [Medium::Email, Medium::Chat, Medium::Fax][walk.below(3)],
                queue: "sales".into(),
                client: Some(Redacted::new(format!("client{}@example.com", walk.below(3)))),
                subject: None,
                attributes: BTreeMap::new(),
                modifiers: vec![],
                callback: None,
                due_at: (walk.below(4) == 0).then(|| Timestamp(walk.desk.now.wall.0 + 30_000)),
            }),
        },
        _ => return,
    };
    walk.desk.command(command);
}

/// Holds a data folder as a crash left it against the first `count` changes.
fn check_prefix(dir: &Path, busy: &Busy, recovered: &Recovered, what: &str) {
    let count = usize::try_from(recovered.next_seq - 1).expect("a count");
    let mut model = Disk::default();
    let mut provisioned = Provision::default();
    for (seq, change) in (1..).zip(busy.changes.iter().take(count)) {
        model.take(seq, change, busy.desk.path_to(Party::Phones));
        if let Change::Provisioned { provision } = change {
            provisioned = *provision.clone();
        }
    }
    expand(&mut provisioned).expect("it was provisioned");
    let open = model.open();
    let (next, agents, bindings) = model.recover(busy.now);
    assert_eq!(recovered.next_seq, next, "{what}");
    assert_eq!(recovered.interrupted, open, "{what}: calls that were up");
    assert_eq!(recovered.provision, provisioned, "{what}");
    let states: BTreeSet<_> =
        recovered.agent_states.iter().map(|s| format!("{} {:?} {}", s.agent, s.status, s.reason)).collect();
    let wanted: BTreeSet<_> =
        agents.iter().map(|(_, agent, status, reason, _)| format!("{agent} {status:?} {reason}")).collect();
    assert_eq!(states, wanted, "{what}");
    let live = |user: &str, contact: &str, until: Timestamp| (until > busy.now).then(|| format!("{user} {contact}"));
    let registered: BTreeSet<_> =
        recovered.registrations.iter().filter_map(|r| live(&r.user, &r.contact, r.expires_at)).collect();
    let wanted: BTreeSet<_> = bindings.iter().filter_map(|b| live(&b.user, &b.contact, b.expires_at)).collect();
    assert_eq!(registered, wanted, "{what}");
    check_works(dir, &model, recovered, what);
    let mut last = recovered.last_agents.clone();
    last.sort_by(|a, b| (&a.tenant, a.client.expose()).cmp(&(&b.tenant, b.client.expose())));
    assert_eq!(last, model.last_agents(), "{what}: whom clients met last");
    let records = Reader::open(dir).expect("a reader").cdrs(&CdrFilter::default()).collect::<Result<Vec<_>, _>>();
    let records: BTreeMap<u64, _> = records.expect("records").into_iter().map(|c| (c.call_id.0, c)).collect();
    assert_eq!(records.keys().collect::<Vec<_>>(), model.records.keys().collect::<Vec<_>>(), "{what}");
    for (id, record) in &records {
        let known = &model.records[id];
        assert!(record.ended_at.is_some() && record.legs.iter().all(|l| l.ended_at.is_some()), "{what}: {record:?}");
        assert_eq!(
            (record.cause, &record.from, record.started_at),
            (known.cause, &known.from, known.started_at),
            "{what}"
        );
    }
    check_restored(busy, recovered, &agents, bindings, what);
}

/// Open items are given back and ended ones are on record, each just as it was last.
fn check_works(dir: &Path, model: &Disk, recovered: &Recovered, what: &str) {
    assert!(recovered.unread_works.is_empty(), "{what}");
    assert_eq!(recovered.works, model.open_works(), "{what}: open work items");
    let reader = Reader::open(dir).expect("a reader");
    let ended = reader.ended_works(&WorkFilter::default()).collect::<Result<Vec<_>, _>>().expect("records");
    let ended: BTreeMap<_, _> = ended.into_iter().map(|work| (work.id, work)).collect();
    let wanted = model.works.values().filter(|work| work.state == WorkState::Ended);
    assert_eq!(ended, wanted.map(|work| (work.id, work.clone())).collect(), "{what}: ended work items");
}

/// Each item is where it was: with the same agent, in its queue at the place of its whole wait, or yet to come.
fn check_restored_works(switch: &mut Switch, now: Now, found: &Recovered, what: &str) -> BTreeSet<String> {
    switch.handle(
        now,
        Input::Query {
            token: 2,
            query: Query::Works { tenant: None, queue: None, state: None, after: None, agent: None },
        },
    );
    let all: Vec<Output> = std::iter::from_fn(|| switch.poll_output()).collect();
    let ended = |o: &Output| match o {
        Output::Journal { change: Change::WorkChanged { work }, .. } => work.outcome.map(|outcome| (work.id, outcome)),
        _ => None,
    };
    let ended: BTreeMap<_, _> = all.iter().filter_map(ended).collect();
    let views = all.into_iter().filter_map(|o| match o {
        Output::Reply { reply: Reply::Works { works, .. }, .. } => Some(works),
        _ => None,
    });
    let views: BTreeMap<_, _> = views.flatten().map(|view| (view.id, view)).collect();
    // A client who talked, or was called back as often as may be, is through with.
    let is_over = |work: &&Work| {
        let callback = work.callback.as_ref().filter(|_| work.state == WorkState::Handled);
        callback.is_some_and(|callback| callback.reached || callback.tries >= TRIES)
    };
    let has_queue = |tenant: &str, name: &str| {
        found.provision.queue.iter().any(|queue| (queue.tenant.as_str(), queue.name.as_str()) == (tenant, name))
    };
    for work in found.works.iter().filter(|work| !is_over(work)) {
        // Cut just after its queue was taken out of the provisioning, and before it was told what became of it.
        if work.state != WorkState::Handled && !has_queue(&work.tenant, &work.queue) {
            assert_eq!(ended.get(&work.id), Some(&Outcome::Unservable), "{what}: {work:?}");
            continue;
        }
        let Some(view) = views.get(&work.id) else { panic!("{what}: lost: {work:?}") };
        match work.state {
            WorkState::Handled if work.callback.is_some() => {
                let callback = view.callback.as_ref().expect("a wish");
                assert!(view.state == WorkState::Scheduled && callback.tries > 0, "{what}: its try counts: {view:?}");
            }
            WorkState::Scheduled if work.wakes_at() > now.wall => assert_eq!(view.state, work.state, "{what}"),
            WorkState::Handled => assert_eq!((view.state, &view.agent), (work.state, &work.agent), "{what}"),
            _ => assert!(matches!(view.state, WorkState::Waiting | WorkState::Offered), "{what}: {view:?}"),
        }
    }
    assert_eq!(views.len() + ended.len(), found.works.len(), "{what}: no item but those");
    // Where only the queue is gone the agent may complete the item, and is not kept from others by it.
    let views = views.into_values().filter(|view| has_queue(&view.tenant, &view.queue));
    views.filter_map(|view| view.agent).collect()
}

/// The core starts from what was found: states as they were, no call left, everything in order.
fn check_restored(busy: &Busy, found: &Recovered, agents: &[StoredAgent], bindings: Vec<Binding>, what: &str) {
    let now = busy.desk.now;
    let provision = found.provision.clone();
    let works = found.works.clone();
    let (config, last) = (config(9, 1 << 20, found.next_seq), found.last_agents.clone());
    let mut switch = Switch::recover(now, config, provision, agents, bindings, works, last);
    switch.check_invariants();
    let at_work = check_restored_works(&mut switch, now, found, what);
    let status = switch.status();
    assert_eq!((status.calls, status.agents_busy as usize, status.double_offers), (0, at_work.len(), 0), "{what}");
    switch.handle(now, Input::Query { token: 1, query: Query::Agents });
    let replies = std::iter::from_fn(|| switch.poll_output());
    let views = replies.filter_map(|o| match o {
        Output::Reply { reply: Reply::Agents { agents }, .. } => Some(agents),
        _ => None,
    });
    for view in views.flatten() {
        let Some((_, _, before, ..)) = agents.iter().find(|(t, a, ..)| (t, a) == (&view.tenant, &view.name)) else {
            continue;
        };
        let wanted = match before {
            _ if at_work.contains(&view.name) => AgentStatus::Busy,
            AgentStatus::Null | AgentStatus::NotReady => *before,
            // Whose call is gone is ready.
            _ => AgentStatus::Ready,
        };
        assert_eq!(view.status, wanted, "{what}: {} was {before:?}", view.name);
    }
}

/// Waits until the store has made everything up to `seq` durable.
fn wait_for(durable: &mpsc::Receiver<Seq>, seq: Seq) {
    while durable.recv_timeout(Duration::from_secs(60)).expect("the store writes") < seq {}
}

fn copy(from: &Path, to: &Path) {
    drop(fs::remove_dir_all(to));
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        // The index of the WAL and the lock die with the process.
        let name = entry.file_name();
        if !["cordboard.db-shm", "lock"].iter().any(|n| name == **n) {
            fs::copy(entry.path(), to.join(&name)).expect("copied");
        }
    }
}

fn wal(dir: &Path) -> PathBuf {
    database_path(dir).with_extension("db-wal")
}

/// Opens a copy, checks it, and once more: opening changes nothing a second time.
fn open_and_check(dir: &Path, busy: &Busy, what: &str) -> Seq {
    let (store, recovered) = Store::open(dir).unwrap_or_else(|e| panic!("{what}: {e}"));
    store.close().expect("closed");
    check_prefix(dir, busy, &recovered, what);
    recovered.next_seq - 1
}

#[test]
fn cuts_at_every_record_and_any_octet_leave_a_whole_prefix() {
    for seed in crate::seeds(&[1]) {
        println!("seed {seed}: SEED={seed} cargo test --test sim cuts repeats it");
        let busy = busy(seed);
        let (live, crashed) = (Folder::new("live"), Folder::new("crashed"));
        let (store, _) = Store::open(&live.0).expect("a store");
        let (tell, durable) = mpsc::channel();
        store.on_durable(Box::new(move |seq| tell.send(seq).expect("heard")));
        // The length of the WAL when a change was reported durable.
        let mut lengths = Vec::new();
        copy(&live.0, &crashed.0);
        assert_eq!(open_and_check(&crashed.0, &busy, "before the first record"), 0);
        for (seq, change) in (1..).zip(&busy.changes) {
            store.append(seq, change.clone()).expect("room");
            wait_for(&durable, seq);
            lengths.push((fs::metadata(wal(&live.0)).expect("a WAL").len(), seq));
            copy(&live.0, &crashed.0);
            assert_eq!(open_and_check(&crashed.0, &busy, &format!("cut after record {seq}")), seq);
        }
        let mut dice = Dice::new(seed);
        cut_file(&live.0, &crashed.0, &busy, &lengths, &mut dice);
        mix_pages(&live.0, &crashed.0, &busy, &mut dice);
        store.close().expect("closed");
        println!("{} records, cut after each, and in the file at {FILE_CUTS} octets", busy.changes.len());
    }
}

/// Cuts of the file.
const FILE_CUTS: usize = 120;

/// A WAL that ends anywhere, or goes on in nonsense, as the power leaves one that was being written.
fn cut_file(live: &Path, crashed: &Path, busy: &Busy, lengths: &[(u64, Seq)], dice: &mut Dice) {
    let whole = fs::read(wal(live)).expect("a WAL");
    for n in 0..FILE_CUTS {
        copy(live, crashed);
        let at = match n % 3 {
            // Just around the end of a commit.
            0 => lengths[(dice.next() % lengths.len() as u64) as usize].0 as usize + (dice.next() % 3) as usize - 1,
            _ => (dice.next() % whole.len() as u64) as usize,
        }
        .min(whole.len());
        let mut torn = whole.clone();
        match dice.next() % 4 {
            0 => torn.truncate(at),
            // A sector that never got there, with later ones that did.
            1 => torn.iter_mut().skip(at).take(512).for_each(|octet| *octet = 0),
            2 => torn.iter_mut().skip(at).for_each(|octet| *octet = dice.next() as u8),
            _ => torn.iter_mut().skip(at).take(1).for_each(|octet| *octet ^= 1 << (dice.next() % 8)),
        }
        fs::write(wal(crashed), &torn).expect("written");
        let what = format!("the WAL of {} octets is torn at {at}", whole.len());
        let found = open_and_check(crashed, busy, &what);
        let promised =
            lengths.iter().filter(|(length, _)| *length <= at as u64).map(|(_, seq)| *seq).max().unwrap_or(0);
        assert!(found >= promised, "{what}: {promised} was durable, {found} is there");
    }
}

/// The power goes while the WAL is being moved into the database: some pages are there, the WAL is still whole.
fn mix_pages(live: &Path, crashed: &Path, busy: &Busy, dice: &mut Dice) {
    copy(live, crashed);
    let connection = rusqlite::Connection::open(database_path(crashed)).expect("opened");
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).expect("moved");
    let after = fs::read(database_path(crashed)).expect("a database");
    drop(connection);
    let before = fs::read(database_path(live)).expect("a database");
    for n in 0..10 {
        copy(live, crashed);
        let mut mixed = after.clone();
        for (page, old) in mixed.chunks_mut(4096).zip(before.chunks(4096)) {
            if dice.chance(0.5) {
                page[..old.len()].copy_from_slice(old);
            }
        }
        fs::write(database_path(crashed), &mixed).expect("written");
        let found = open_and_check(crashed, busy, &format!("checkpoint {n} was torn"));
        assert_eq!(found, busy.changes.len() as Seq);
    }
}
