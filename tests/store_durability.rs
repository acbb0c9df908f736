//! What the store has called durable survives `kill -9` at any moment.
//!
//! The test starts itself as a child process that writes calls as fast as it can and prints each durable number, kills it
//! at a moment that the seed decides, and opens what it left behind. The folder stays the same over all rounds.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cordboard::base::{CallId, Cause, DialString, Timestamp};
use cordboard::core::journal::{AgentStatus, CallEvent, Cdr, Change, Direction, LegRecord, Seq};
use cordboard::core::tenant::Provision;
use cordboard::edge::store::{AppendError, CdrFilter, Reader, Store};

const ROUNDS: u64 = 10;
const SEED: u64 = 0x5eed_0009;
const FOLDER: &str = "CORDBOARD_TEST_STORE_FOLDER";

/// Each call takes so many changes: started, changed, changed, ended, and one of an agent.
const CHANGES: u64 = 5;

fn record(call: u64, step: u64) -> Cdr {
    let at = |step: u64| Timestamp((call * 10 + step) as i64);
    let ended = (step == 3).then(|| at(3));
    let cause = ended.map(|_| Cause::Normal);
    let leg = |leg: u16| LegRecord {
        leg,
        direction: Direction::Inbound,
        kind: "sip".into(),
        trunk: "carrier".into(),
        party: "+4930".into(),
        agent: None,
        started_at: at(leg.into()),
        answered_at: None,
        ended_at: ended,
        cause,
        media: None,
        encryption: String::new(),
    };
    Cdr {
        call_id: CallId(call),
        tenant: "acme".into(),
        medium: "voice".into(),
        direction: Direction::Inbound,
        from: DialString::new("+4930").expect("dial string"),
        to: DialString::new("200").expect("dial string"),
        started_at: at(0),
        answered_at: (step > 1).then(|| at(1)),
        ended_at: ended,
        agent: None,
        cause,
        trace: None,
        queued_ms: 0,
        legs: (0..=step.min(1) as u16).map(leg).collect(),
        events: (0..=step).map(|s| CallEvent { at: at(s), what: "step".into(), detail: s.to_string() }).collect(),
    }
}

/// The change with this number. The calls of four numbers in a row overlap.
fn change(seq: Seq) -> Change {
    let (group, place) = (seq / (4 * CHANGES), seq % (4 * CHANGES));
    let (step, call) = (place / 4, group * 4 + place % 4);
    let cdr = || Box::new(record(call, step));
    match step {
        0 => Change::CallStarted { cdr: cdr() },
        1 | 2 => Change::CallChanged { cdr: cdr() },
        3 => Change::CallEnded { cdr: cdr() },
        _ => Change::AgentChanged {
            tenant: "acme".into(),
            agent: "ana".into(),
            status: AgentStatus::NotReady,
            reason: seq.to_string(),
            at: Timestamp(seq as i64),
        },
    }
}

/// The child: writes until it is killed.
#[test]
#[ignore = "the child process of kill_9_loses_nothing"]
fn child_that_writes_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let (store, recovered) = Store::open(&folder).expect("opens");
    store.on_durable(Box::new(|seq| {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "durable {seq}").and_then(|()| out.flush());
    }));
    let mut seq = recovered.next_seq;
    loop {
        match store.append(seq, change(seq)) {
            Ok(()) => seq += 1,
            Err(AppendError::Full) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
        // A core does other things, too: some batches are small.
        if seq.is_multiple_of(97) {
            while store.durable() + 1 < seq {
                std::thread::yield_now();
            }
        }
    }
}

/// Lets a child commit so many times and kills it in the middle of what it does next. The highest number that it has
/// called durable.
fn write_and_kill(folder: &Path, commits: u64) -> Seq {
    let mut child = Command::new(std::env::current_exe().expect("own path"))
        .args(["--exact", "child_that_writes_until_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut durable = 0;
    let mut note = |line: &str| {
        // The test harness prints on the same line as the first number.
        if let Some((_, seq)) = line.split_once("durable ") {
            durable = seq.parse().expect("a number");
            return true;
        }
        false
    };
    let mut seen = 0;
    while seen < commits {
        seen += u64::from(note(&lines.next().expect("goes on").expect("text")));
    }
    child.kill().expect("killed");
    assert_eq!(child.wait().expect("ended").signal(), Some(9), "it wrote until it was killed");
    // What it had printed by then counts: a line that was cut off does not.
    for line in lines.map_while(Result::ok) {
        if line.starts_with("durable ") && !line.ends_with(' ') {
            note(&line);
        }
    }
    durable
}

#[test]
fn kill_9_loses_nothing() {
    println!("seed {SEED:#x}");
    let folder = std::env::temp_dir().join(format!("cordboard-kill-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let mut random = SEED;
    let mut interrupted = 0;
    let mut before = 0;
    for round in 0..ROUNDS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let durable = write_and_kill(&folder, 1 + (random >> 33) % 100);
        assert!(durable > before, "round {round}");
        let (store, recovered) = Store::open(&folder).expect("the database is whole");
        let committed = recovered.next_seq - 1;
        println!("round {round}: durable {durable}, committed {committed}, interrupted {}", recovered.interrupted);
        assert!(committed >= durable, "round {round}: {durable} was called durable, {committed} is there");
        assert_eq!(recovered.provision, Provision::default());
        interrupted += recovered.interrupted;
        store.close().expect("closes");
        check_records(&folder, committed, &recovered.agent_states);
        before = committed;
    }
    assert!(interrupted > 0, "no kill ever hit a call: the test proves too little");
    let _ = fs::remove_dir_all(&folder);
}

/// Each call whose start was committed has its record, ended; those whose end was, as they ended.
fn check_records(folder: &Path, committed: Seq, states: &[cordboard::edge::store::AgentState]) {
    let mut last_step: BTreeMap<u64, u64> = BTreeMap::new();
    let mut last_state = None;
    for seq in 1..=committed {
        match change(seq) {
            Change::AgentChanged { reason, .. } => last_state = Some(reason),
            Change::CallStarted { cdr } | Change::CallChanged { cdr } | Change::CallEnded { cdr } => {
                last_step.insert(cdr.call_id.0, cdr.events.len() as u64 - 1);
            }
            _ => {}
        }
    }
    assert_eq!(states.first().map(|state| state.reason.clone()), last_state);
    let reader = Reader::open(folder).expect("reader");
    let records = reader.cdrs(&CdrFilter::default()).map(|cdr| cdr.expect("readable"));
    let records: BTreeMap<u64, Cdr> = records.map(|cdr| (cdr.call_id.0, cdr)).collect();
    assert!(records.keys().eq(last_step.keys()), "a record for each call, and no other");
    for (call, step) in last_step {
        let cdr = &records[&call];
        if cdr.cause == Some(Cause::Interrupted) {
            assert!(cdr.ended_at.is_some() && cdr.legs.iter().all(|leg| leg.ended_at.is_some()), "call {call}");
        } else {
            assert_eq!(*cdr, record(call, 3), "call {call} ended");
            assert_eq!(step, 3);
        }
    }
}
