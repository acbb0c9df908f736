//! Tests of the store as a whole, on real files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::base::{CallId, Cause, DialString, Now, Redacted, Timestamp};
use crate::core::contact::sticky::LastAgent;
use crate::core::journal::{AgentStatus, CallEvent, Cdr, Change, Direction, ENQUEUED, Learned, LegRecord};
use crate::core::tenant::Provision;
use crate::core::trunk::admission::{CallRate, Memory, TalkTime};
use crate::core::trunk::seat::Seat;

/// A folder of its own that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cordboard-store-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn provision() -> Provision {
    toml::from_str(
        r#"
[sip]
calls_max = 77
[[card]]
name = "card0"
driver = "sim-t1"
[[span]]
name = "line1"
card = "card0"
signalling = "em-wink"
trunk = "circuits"
[[tenant]]
name = "zeta"
[[tenant]]
name = "acme"
country = "de"
[[site]]
name = "berlin"
timezone = "Europe/Berlin"
[[skill]]
tenant = "acme"
name = "sales"
[[agent]]
tenant = "acme"
name = "zoe"
user = "zoe"
password = "correct horse"
code = "12"
pin = "4711"
site = "berlin"
skills = { sales = 0.3 }
signed_in = true
[[agent]]
tenant = "acme"
name = "ana"
contact = "sip:ana@127.0.0.3:5080"
wrap_up_s = 5
[[queue]]
tenant = "acme"
name = "sales"
skills = { sales = 0.25 }
record = true
[[flow]]
tenant = "acme"
name = "main"
text = "do = 'answer'\n"
[[number]]
number = "200"
tenant = "acme"
flow = "main"
[[trunk]]
name = "carrier"
kind = "sip"
user = "cordboard"
password = "battery staple"
prefix = ["00", "+"]
peer = [{ address = "192.0.2.2", priority = 2 }, { address = "192.0.2.1", transport = "tcp" }]
[[trunk]]
name = "circuits"
kind = "tdm"
strip = 1
"#,
    )
    .expect("well-formed")
}

fn cdr(call: u64, started_at: i64) -> Cdr {
    Cdr {
        call_id: CallId(call),
        tenant: if call.is_multiple_of(2) { "acme" } else { "zeta" }.into(),
        medium: "voice".into(),
        direction: Direction::Inbound,
        from: DialString::new("+4930").expect("dial string"),
        to: DialString::new("200").expect("dial string"),
        started_at: Timestamp(started_at),
        answered_at: None,
        ended_at: None,
        agent: None,
        cause: None,
        trace: None,
        queued_ms: 0,
        legs: vec![LegRecord {
            leg: 0,
            direction: Direction::Inbound,
            kind: "sip".into(),
            trunk: "carrier".into(),
            party: "+4930".into(),
            agent: None,
            started_at: Timestamp(started_at),
            answered_at: None,
            ended_at: None,
            cause: None,
            media: None,
            encryption: String::new(),
        }],
        events: Vec::new(),
    }
}

fn ended(mut cdr: Cdr, at: i64) -> Cdr {
    cdr.ended_at = Some(Timestamp(at));
    cdr.cause = Some(Cause::Normal);
    cdr.legs[0].ended_at = cdr.ended_at;
    cdr.legs[0].cause = cdr.cause;
    cdr
}

fn provisioned(provision: Provision) -> Change {
    Change::Provisioned { provision: Box::new(provision) }
}
fn call_started(cdr: Cdr) -> Change {
    Change::CallStarted { cdr: Box::new(cdr) }
}
fn call_changed(cdr: Cdr) -> Change {
    Change::CallChanged { cdr: Box::new(cdr) }
}
fn call_ended(cdr: Cdr) -> Change {
    Change::CallEnded { cdr: Box::new(cdr) }
}

/// Appends all, closes, and tells what the next opening finds.
fn append(dir: &Path, changes: impl IntoIterator<Item = Change>) -> Recovered {
    let (store, recovered) = Store::open(dir).expect("opens");
    for (seq, change) in (recovered.next_seq..).zip(changes) {
        store.append(seq, change).expect("taken");
    }
    store.close().expect("closes");
    recovered
}

/// Sets when the process was last known to live.
fn set_alive(dir: &Path, at: i64) {
    let connection = schema::open_writer(dir).expect("database");
    record::write_alive(&connection, Timestamp(at)).expect("noted");
}

fn alive(dir: &Path) -> i64 {
    let connection = schema::open_reader(&database_path(dir)).expect("database");
    connection.query_row("SELECT at FROM alive", [], |row| row.get(0)).expect("noted")
}

fn write(dir: &Path, changes: impl IntoIterator<Item = Change>) -> Recovered {
    append(dir, changes);
    let (store, recovered) = Store::open(dir).expect("opens again");
    store.close().expect("closes");
    recovered
}

fn all_cdrs(dir: &Path, filter: &CdrFilter) -> Vec<Cdr> {
    Reader::open(dir).expect("reader").cdrs(filter).collect::<Result<_, _>>().expect("records")
}

#[test]
fn a_new_folder_is_empty_and_private() {
    let folder = Folder::new("new");
    let (store, recovered) = Store::open(folder.path()).expect("opens");
    assert_eq!((recovered.next_seq, recovered.interrupted), (1, 0));
    assert_eq!(recovered.provision, Provision::default());
    for (name, mode) in [("", 0o700), ("cordboard.db", 0o600), ("secret.key", 0o600), ("lock", 0o600)] {
        let found = fs::metadata(folder.path().join(name)).expect("there").permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
    store.close().expect("closes");
}

#[test]
fn only_one_process_writes() {
    let folder = Folder::new("lock");
    let (store, _) = Store::open(folder.path()).expect("opens");
    // flock belongs to the open file, so a second opening in this process is as good as another process.
    let second = Store::open(folder.path());
    assert!(matches!(&second, Err(StoreError::Running { pid: Some(pid) }) if *pid == std::process::id()));
    assert_eq!(second.expect_err("refused").to_string(), format!("already running, pid {}", std::process::id()));
    store.close().expect("closes");
    assert!(Store::open(folder.path()).is_ok());
}

#[test]
fn provisioning_comes_back_as_it_was() {
    let folder = Folder::new("provisioning");
    let recovered = write(folder.path(), [provisioned(provision())]);
    assert_eq!(recovered.provision, provision());
    assert_eq!(recovered.next_seq, 2);
    assert_eq!(Reader::open(folder.path()).expect("reader").provision().expect("provision"), provision());

    let mut smaller = provision();
    smaller.agent.truncate(1);
    smaller.trunk[0].prefix.clear();
    let recovered = write(folder.path(), [provisioned(smaller.clone()), provisioned(smaller.clone())]);
    assert_eq!(recovered.provision, smaller);
}

#[test]
fn any_provisioning_replaces_any_other() {
    let folder = Folder::new("random");
    let (store, recovered) = Store::open(folder.path()).expect("opens");
    let reader = Reader::open(folder.path()).expect("reader");
    for (seq, seed) in (recovered.next_seq..).zip(1..25) {
        let provision = crate::core::tenant::testing::provision(seed);
        store.append(seq, provisioned(provision.clone())).expect("taken");
        while store.durable() < seq {
            std::thread::yield_now();
        }
        assert_eq!(reader.provision().expect("provision"), provision, "seed {seed}");
    }
    store.close().expect("closes");
}

#[test]
fn ranges_are_stored_as_single_agents() {
    let folder = Folder::new("range");
    let mut ranged = provision();
    ranged.agent[1].name = "a{n}".into();
    ranged.agent[1].range = Some([8, 11]);
    let recovered = write(folder.path(), [provisioned(ranged)]);
    let names: Vec<&str> = recovered.provision.agent.iter().map(|agent| agent.name.as_str()).collect();
    assert_eq!(names, ["zoe", "a8", "a9", "a10", "a11"]);
}

#[test]
fn secrets_are_nowhere_in_the_files() {
    let folder = Folder::new("secrets");
    let (store, recovered) = Store::open(folder.path()).expect("opens");
    store.append(recovered.next_seq, provisioned(provision())).expect("taken");
    while store.durable() < recovered.next_seq {
        std::thread::yield_now();
    }
    let names = ["cordboard.db", "cordboard.db-wal"];
    let octets: Vec<u8> = names.iter().flat_map(|name| fs::read(folder.path().join(name)).expect("there")).collect();
    assert!(octets.windows(3).any(|w| w == b"zoe"), "the search would find something");
    for secret in ["correct horse", "battery staple", "4711"] {
        assert!(!octets.windows(secret.len()).any(|w| w == secret.as_bytes()), "{secret}");
    }
    store.close().expect("closes");
    fs::remove_file(folder.path().join("secret.key")).expect("removed");
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Sealed { .. })));
}

#[test]
fn interrupted_calls_are_closed_at_the_last_known_time() {
    let folder = Folder::new("interrupted");
    let mut talking = cdr(2, 1_000);
    talking.answered_at = Some(Timestamp(4_000));
    talking.events.push(CallEvent { at: Timestamp(4_500), what: "bridged".into(), detail: String::new() });
    let done = ended(cdr(4, 2_000), 9_000);
    let changes = [
        call_started(cdr(2, 1_000)),
        call_started(cdr(4, 2_000)),
        call_changed(talking),
        call_ended(done.clone()),
        call_started(cdr(6, 7_000)),
    ];
    append(folder.path(), changes);
    set_alive(folder.path(), 4_600);
    let recovered = append(folder.path(), []);
    assert_eq!((recovered.interrupted, recovered.next_seq), (2, 6));
    let cdrs = all_cdrs(folder.path(), &CdrFilter::default());
    assert_eq!(cdrs.len(), 3);
    // The process was known to live after the last thing that happened in this call, and before the other began.
    assert_eq!((cdrs[0].ended_at, cdrs[0].cause), (Some(Timestamp(4_600)), Some(Cause::Interrupted)));
    assert_eq!((cdrs[0].legs[0].ended_at, cdrs[0].legs[0].cause), (Some(Timestamp(4_600)), Some(Cause::Interrupted)));
    assert_eq!(cdrs[1], done, "an ended call stays as it ended");
    assert_eq!((cdrs[2].ended_at, cdrs[2].cause), (Some(Timestamp(7_000)), Some(Cause::Interrupted)));
    assert_eq!(write(folder.path(), []).interrupted, 0);
}

#[test]
fn an_interrupted_call_counts_as_answered_by_its_flow_unless_it_waited_in_vain() {
    let folder = Folder::new("interrupted-answer");
    let mut served = cdr(2, 1_000);
    served.legs[0].answered_at = Some(Timestamp(1_200));
    let mut waiting = cdr(4, 2_000);
    waiting.legs[0].answered_at = Some(Timestamp(2_200));
    waiting.events.push(CallEvent { at: Timestamp(2_300), what: ENQUEUED.into(), detail: "sales".into() });
    append(folder.path(), [call_started(served), call_started(waiting)]);
    append(folder.path(), []);
    let answers: Vec<_> = all_cdrs(folder.path(), &CdrFilter::default()).iter().map(|c| c.answered_at).collect();
    assert_eq!(answers, [Some(Timestamp(1_200)), None]);
}

#[test]
fn the_time_is_noted_with_each_commit_and_while_calls_are_up() {
    let folder = Folder::new("alive");
    append(folder.path(), [call_started(cdr(2, 1_000))]);
    assert!(alive(folder.path()) > 1_000_000_000_000, "a commit notes the time");

    set_alive(folder.path(), 5_000);
    let mut connection = schema::open_writer(folder.path()).expect("database");
    let key = secret::SecretKey::load_or_create(folder.path()).expect("key");
    let applier = apply::Applier::new(key, Provision::default());
    applier.beat(&mut connection).expect("beats");
    assert!(alive(folder.path()) > 1_000_000_000_000, "a call is up");

    // Opening closes the call; from then on nothing is up.
    append(folder.path(), []);
    set_alive(folder.path(), 5_000);
    applier.beat(&mut connection).expect("beats");
    assert_eq!(alive(folder.path()), 5_000, "nothing to note without calls");
}

#[test]
fn a_record_that_ended_does_not_open_again() {
    let folder = Folder::new("ended");
    let done = ended(cdr(2, 1_000), 2_000);
    let changes = [call_started(cdr(2, 1_000)), call_ended(done.clone()), call_changed(cdr(2, 1_000))];
    // One transaction each: within a batch only the last record of a call would be written.
    let (store, recovered) = Store::open(folder.path()).expect("opens");
    for (seq, change) in (recovered.next_seq..).zip(changes) {
        store.append(seq, change).expect("taken");
        while store.durable() < seq {
            std::thread::yield_now();
        }
    }
    store.close().expect("closes");
    assert_eq!(all_cdrs(folder.path(), &CdrFilter::default()), [done]);
}

#[test]
fn states_and_registrations_come_back_and_go_with_their_agents() {
    let folder = Folder::new("states");
    let state = |agent: &str, status, at| Change::AgentChanged {
        tenant: "acme".into(),
        agent: agent.into(),
        status,
        reason: "lunch".into(),
        at: Timestamp(at),
    };
    let far = Timestamp(i64::MAX / 2);
    let registered = |user: &str, contact: &str, expires_at| Change::Registered {
        user: user.into(),
        contact: contact.into(),
        via: "udp:127.0.0.1:5060".into(),
        expires_at,
    };
    let met = |client: &str, agent: &str, at| {
        let (tenant, client, agent) = ("acme".into(), client.to_owned().into(), agent.into());
        Change::ClientMet { met: LastAgent { tenant, client, agent, at: Timestamp(at) } }
    };
    let seated = |agent: &str, seat: Option<Seat>| {
        let seat = seat.map(Box::new);
        Change::AgentSeated { tenant: "acme".into(), agent: agent.into(), seat }
    };
    let at_home = Seat { phone: Some("+15550009".to_owned().into()), ..Seat::default() };
    let in_berlin = Seat { site: Some("berlin".into()), extension: Some("4711".into()), phone: None };
    let changes = [
        provisioned(provision()),
        seated("ana", Some(in_berlin)),
        seated("ana", Some(at_home.clone())),
        seated("zoe", Some(at_home.clone())),
        met("+15550001", "ana", 5),
        met("+15550001", "zoe", 6),
        met("c@example.com", "ana", 7),
        state("ana", AgentStatus::Ready, 1),
        state("ana", AgentStatus::NotReady, 2),
        state("zoe", AgentStatus::Busy, 3),
        registered("zoe", "sip:zoe@192.0.2.9", far),
        registered("zoe", "sip:zoe@192.0.2.8", far),
        registered("zoe", "sip:zoe@192.0.2.9", Timestamp(0)),
    ];
    let recovered = write(folder.path(), changes);
    let states: Vec<_> = recovered.agent_states.iter().map(|s| (s.agent.as_str(), s.status, s.at.0)).collect();
    assert_eq!(states, [("ana", AgentStatus::NotReady, 2), ("zoe", AgentStatus::Busy, 3)]);
    assert_eq!(recovered.agent_states[0].reason, "lunch");
    let contacts: Vec<_> = recovered.registrations.iter().map(|r| r.contact.as_str()).collect();
    assert_eq!(contacts, ["sip:zoe@192.0.2.8"]);
    let last = |recovered: &Recovered| {
        let of = |met: &LastAgent| (met.client.expose().clone(), met.agent.clone(), met.at.0);
        recovered.last_agents.iter().map(of).collect::<Vec<_>>()
    };
    let of_ana = ("c@example.com".to_owned(), "ana".to_owned(), 7);
    assert_eq!(last(&recovered), [of_ana.clone(), ("+15550001".into(), "zoe".into(), 6)]);
    let journal: String = rusqlite::Connection::open(super::database_path(folder.path()))
        .and_then(|db| db.query_row("SELECT group_concat(body) FROM journal", [], |row| row.get(0)))
        .expect("a journal");
    let seats =
        [("acme".to_owned(), "ana".to_owned(), at_home.clone()), ("acme".to_owned(), "zoe".to_owned(), at_home)];
    assert_eq!(recovered.seats, seats);
    assert!(!journal.contains("5550009"), "{journal}");
    assert!(!journal.contains("5550001") && !journal.contains("c@example.com"), "{journal}");

    let mut without_zoe = provision();
    without_zoe.agent.remove(0);
    let recovered = write(folder.path(), [provisioned(without_zoe)]);
    assert_eq!((recovered.agent_states.len(), recovered.seats.len()), (1, 1));
    assert!(recovered.registrations.is_empty());
    assert_eq!(last(&recovered), [of_ana]);
    let recovered = write(folder.path(), [seated("ana", None)]);
    assert!(recovered.seats.is_empty());
}

#[test]
fn numbers_must_follow_each_other() {
    let folder = Folder::new("order");
    let (store, recovered) = Store::open(folder.path()).expect("opens");
    let change = || call_started(cdr(2, 1));
    assert_eq!(store.append(recovered.next_seq + 1, change()), Err(AppendError::OutOfOrder { expected: 1 }));
    assert_eq!(store.append(1, change()), Ok(()));
    assert_eq!(store.append(1, change()), Err(AppendError::OutOfOrder { expected: 2 }));
    assert_eq!(store.close().expect("closes"), 1);
}

#[test]
fn a_refused_change_takes_no_other_with_it() {
    let folder = Folder::new("refused");
    let (alarms, heard) = mpsc::channel();
    let (durable, told) = mpsc::channel();
    let (store, _) = Store::open(folder.path()).expect("opens");
    store.on_alarm(Box::new(move |alarm| alarms.send(alarm).unwrap_or(())));
    store.on_durable(Box::new(move |seq| durable.send(seq).unwrap_or(())));
    let mut unchecked = provision();
    unchecked.number[0].flow = "nowhere".into();
    store.append(1, provisioned(provision())).expect("taken");
    store.append(2, call_started(cdr(2, 1))).expect("taken");
    store.append(3, provisioned(unchecked)).expect("taken");
    store.append(4, call_ended(ended(cdr(2, 1), 2))).expect("taken");
    assert_eq!(store.close().expect("closes"), 4);
    let refused: Vec<StoreAlarm> = heard.iter().collect();
    assert!(matches!(refused[..], [StoreAlarm::Refused { seq: 3, .. }]), "{refused:?}");
    let told: Vec<u64> = told.iter().collect();
    assert!(told.is_sorted() && told.last() == Some(&4), "{told:?}");
    let recovered = write(folder.path(), []);
    assert_eq!((recovered.provision, recovered.next_seq, recovered.interrupted), (provision(), 5, 0));
}

#[test]
fn what_waits_is_bounded_and_kept_while_the_disk_refuses() {
    let folder = Folder::new("full");
    let (alarms, heard) = mpsc::channel();
    let (store, _) = Store::open(folder.path()).expect("opens");
    store.on_alarm(Box::new(move |alarm| alarms.send(alarm).unwrap_or(())));
    // Another connection that holds the write lock makes each commit fail, as a full disk does.
    let blocker = rusqlite::Connection::open(database_path(folder.path())).expect("database");
    blocker.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let mut seq = 0;
    let full = loop {
        match store.append(seq + 1, call_started(cdr(2 * seq, 1))) {
            Ok(()) => seq += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full, AppendError::Full);
    assert!(seq >= writer::WAITING_MAX as u64, "{seq}");
    assert!(matches!(heard.recv(), Ok(StoreAlarm::Failing { .. })));
    assert_eq!(store.durable(), 0, "nothing is called durable that is not");
    assert!(store.counters().full == 1 && store.counters().failures > 0);
    blocker.execute_batch("ROLLBACK").expect("unlocked");
    assert_eq!(heard.recv(), Ok(StoreAlarm::Cleared));
    assert_eq!(store.close().expect("closes"), seq);
    assert_eq!(all_cdrs(folder.path(), &CdrFilter::default()).len() as u64, seq);
}

#[test]
fn records_are_filtered_paged_and_in_order() {
    let folder = Folder::new("filter");
    // More than two pages, many of one start.
    let calls = 1_100_u64;
    let changes = (0..calls).map(|call| call_ended(ended(cdr(call, 1_000 + (call / 300) as i64), 5_000)));
    write(folder.path(), changes);
    let all = all_cdrs(folder.path(), &CdrFilter::default());
    let ids: Vec<u64> = all.iter().map(|cdr| cdr.call_id.0).collect();
    assert_eq!(ids, (0..calls).collect::<Vec<_>>());
    let filter = CdrFilter {
        tenant: Some("acme".into()),
        since: Some(Timestamp(1_001)),
        until: Some(Timestamp(1_003)),
        limit: Some(250),
        trace: None,
        after: None,
    };
    let some = all_cdrs(folder.path(), &filter);
    assert_eq!(some.len(), 250);
    assert!(some.iter().all(|cdr| cdr.tenant == "acme" && (1_001..1_003).contains(&cdr.started_at.0)));
    assert_eq!(some[0].call_id, CallId(300));
    let last = some.last().map(|cdr| (cdr.started_at, cdr.call_id));
    let rest = all_cdrs(folder.path(), &CdrFilter { limit: None, after: last, ..filter.clone() });
    assert_eq!((rest.len(), rest[0].call_id.0), (50, some[249].call_id.0 + 2), "from there on");
    assert_eq!(all_cdrs(folder.path(), &CdrFilter { limit: None, ..filter }).len(), 300);
}

#[test]
fn a_reader_does_not_stop_the_writer() {
    let folder = Folder::new("reader");
    write(folder.path(), [call_ended(ended(cdr(2, 1), 2))]);
    let reader = Reader::open(folder.path()).expect("reader");
    let (store, recovered) = Store::open(folder.path()).expect("opens");
    // A read transaction that stays open all the while.
    let held = rusqlite::Connection::open(database_path(folder.path())).expect("database");
    held.execute_batch("BEGIN; SELECT count(*) FROM cdr;").expect("read");
    for seq in recovered.next_seq..recovered.next_seq + 200 {
        store.append(seq, call_ended(ended(cdr(seq * 2 + 2, 1), 2))).expect("taken");
        while store.durable() < seq {
            std::thread::yield_now();
        }
        let seen = reader.cdrs(&CdrFilter::default()).count() as u64;
        assert_eq!(seen, seq, "what is durable is seen at once");
    }
    let counted: u64 =
        held.query_row("SELECT count(*) FROM cdr", [], |row| row.get::<_, u32>(0)).expect("count").into();
    assert_eq!(counted, 1, "the held transaction sees its own moment");
    store.close().expect("closes");
}

#[test]
fn the_journal_is_pruned_and_numbers_go_on() {
    let folder = Folder::new("prune");
    let changes = (0..12_000).map(|_| Change::AgentChanged {
        tenant: "acme".into(),
        agent: "ana".into(),
        status: AgentStatus::Ready,
        reason: String::new(),
        at: Timestamp(0),
    });
    let recovered = write(folder.path(), changes);
    assert_eq!(recovered.next_seq, 12_001);
    let connection = rusqlite::Connection::open(database_path(folder.path())).expect("database");
    let rows: i64 = connection.query_row("SELECT count(*) FROM journal", [], |row| row.get(0)).expect("count");
    assert!((10_000..=11_000).contains(&rows), "{rows}");
}

#[test]
fn a_backup_of_a_running_store_restores() {
    let (folder, other) = (Folder::new("backup"), Folder::new("backup-other"));
    let (store, _) = Store::open(folder.path()).expect("opens");
    store.append(1, provisioned(provision())).expect("taken");
    store.append(2, call_ended(ended(cdr(2, 1), 2))).expect("taken");
    while store.durable() < 2 {
        std::thread::yield_now();
    }
    let file = folder.path().join("backup.db");
    let mut last = (0, 1);
    let with = BackupOptions { with_secrets: true };
    backup(folder.path(), &file, with, &mut |done, all| last = (done, all)).expect("backup");
    assert!(last.0 > 0 && last.0 == last.1, "{last:?}");
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    assert!(matches!(restore(&file, folder.path()), Err(StoreError::Running { .. })));
    for own in ["cordboard.db", "cordboard.db-wal", "secret.key", "lock", "reserve"] {
        let refused = backup(folder.path(), &folder.path().join(own), with, &mut |_, _| {});
        assert!(matches!(refused, Err(StoreError::OwnFile { .. })), "{own}: {refused:?}");
    }

    // On another machine the key comes with the file, and does not stay in the database.
    let restored = restore(&file, other.path()).expect("restored");
    assert_eq!(restored, Restored { cdrs: 1, secrets_lost: 0, before: None });
    let recovered = write(other.path(), []);
    assert_eq!((recovered.provision, recovered.next_seq), (provision(), 3));
    let key = fs::read(secret::SecretKey::path(other.path())).expect("key");
    let database = fs::read(database_path(other.path())).expect("database");
    assert!(!database.windows(key.len()).any(|w| w == key));

    // What came after the backup is gone, and kept aside.
    store.append(3, call_ended(ended(cdr(4, 1), 2))).expect("taken");
    store.close().expect("closes");
    let restored = restore(&file, folder.path()).expect("restored");
    assert_eq!(restored.before.as_deref(), Some(folder.path().join("cordboard.db.before-restore").as_path()));
    assert_eq!(all_cdrs(folder.path(), &CdrFilter::default()).len(), 1);
    let before = rusqlite::Connection::open(folder.path().join("cordboard.db.before-restore")).expect("database");
    let kept: i64 = before.query_row("SELECT count(*) FROM cdr", [], |row| row.get(0)).expect("count");
    assert_eq!(kept, 2);
}

#[test]
fn a_backup_without_the_key_loses_secrets_elsewhere_only() {
    let (folder, other) = (Folder::new("keyless"), Folder::new("keyless-other"));
    write(folder.path(), [provisioned(provision())]);
    let file = folder.path().join("backup.db");
    backup(folder.path(), &file, BackupOptions::default(), &mut |_, _| {}).expect("backup");
    assert_eq!(restore(&file, folder.path()).expect("restored").secrets_lost, 0);
    assert_eq!(write(folder.path(), []).provision, provision());
    assert_eq!(restore(&file, other.path()).expect("restored").secrets_lost, 3);
    let mut without = provision();
    without.agent[0].password = None::<Redacted<String>>;
    without.agent[0].pin = None;
    without.trunk[0].password = None;
    assert_eq!(write(other.path(), []).provision, without);
}

#[test]
fn a_damaged_database_is_refused_and_a_backup_replaces_it() {
    let folder = Folder::new("damaged");
    let changes = (0..500).map(|call| call_ended(ended(cdr(call, 1), 2)));
    write(folder.path(), changes);
    let file = folder.path().join("backup.db");
    backup(folder.path(), &file, BackupOptions::default(), &mut |_, _| {}).expect("backup");
    let path = database_path(folder.path());
    let mut octets = fs::read(&path).expect("there");
    for octet in octets.iter_mut().skip(20 * 4_096).take(40_000) {
        *octet ^= 0x5a;
    }
    fs::write(&path, &octets).expect("written");
    let refused = Store::open(folder.path());
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");

    for junk in [b"this is no database".to_vec(), vec![0; 100_000], octets] {
        let bad = folder.path().join("bad.db");
        fs::write(&bad, &junk).expect("written");
        let before = fs::read(&path).expect("there");
        assert!(matches!(restore(&bad, folder.path()), Err(StoreError::Damaged { .. })), "{} octets", junk.len());
        assert_eq!(fs::read(&path).expect("there"), before, "a bad backup changes nothing");
    }
    assert_eq!(restore(&file, folder.path()).expect("restored").cdrs, 500);
    assert!(Store::open(folder.path()).is_ok());
}

#[test]
fn a_tampered_row_is_reported_and_the_others_are_read() {
    let folder = Folder::new("tampered");
    write(folder.path(), [provisioned(provision()), call_started(cdr(2, 1)), call_started(cdr(4, 2))]);
    let connection = rusqlite::Connection::open(database_path(folder.path())).expect("database");
    let bend = "UPDATE cdr SET legs = '{', ended_at = NULL WHERE call_id LIKE '%2'";
    assert_eq!(connection.execute(bend, []).expect("bent"), 1);
    let recovered = write(folder.path(), []);
    assert_eq!(recovered.next_seq, 4);
    let reader = Reader::open(folder.path()).expect("reader");
    let read: Vec<_> = reader.cdrs(&CdrFilter::default()).collect();
    assert!(matches!(&read[0], Err(StoreError::Undecodable { what }) if what == "cdr 0000000000000002"));
    assert!(read[1].is_ok() && read.len() == 2);
    let open: i64 =
        connection.query_row("SELECT count(*) FROM cdr WHERE ended_at IS NULL", [], |r| r.get(0)).expect("count");
    assert_eq!(open, 0, "it is closed all the same");
    connection.execute_batch("UPDATE agent SET ring_s = -1 WHERE name = 'ana'").expect("bent");
    assert!(matches!(reader.provision(), Err(StoreError::Undecodable { what }) if what == "agent acme ana"));
}

#[test]
fn a_reader_needs_a_database() {
    let folder = Folder::new("missing");
    assert!(matches!(Reader::open(folder.path()), Err(StoreError::Missing { .. })));
}

#[test]
fn what_was_learned_of_calls_is_kept_as_long_as_its_tenant() {
    let folder = Folder::new("learned");
    let learned = |calls: u64| {
        let (now, later) = (Now::default(), Now::default().after(Duration::from_secs(60)));
        let (mut rate, mut talk) = (CallRate::new(now, 0.1), TalkTime::default());
        (0..calls).for_each(|_| rate.pass(later, true));
        talk.learn(Now::default(), Duration::from_secs(calls));
        Learned { tenant: "acme".into(), trunk: "carrier".into(), memory: Memory::of(&rate, &talk) }
    };
    let fact = |learned: Learned| Change::Learned { learned: Box::new(learned) };
    append(folder.path(), [provisioned(provision()), fact(learned(3)), fact(learned(5))]);
    let found = append(folder.path(), []).learned;
    let rate = |learned: &Learned| learned.memory.recall(Now::default(), 0.1).expect("sound").0.rate();
    let names: Vec<_> = found.iter().map(|of| (of.tenant.as_str(), of.trunk.as_str())).collect();
    assert_eq!(names, [("acme", "carrier")]);
    assert!((rate(&found[0]) - rate(&learned(5))).abs() < 1e-12 && rate(&found[0]) > rate(&learned(3)));
    let mut without = provision();
    without.trunk.retain(|trunk| trunk.name != "carrier");
    append(folder.path(), [provisioned(without)]);
    assert_eq!(append(folder.path(), []).learned, []);
}
