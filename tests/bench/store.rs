//! What durability costs: changes a second through group commit, one change alone, a large provisioning applied and read
//! back, records read. `cargo bench --bench store`

use std::path::{Path, PathBuf};

use cordboard::base::{CallId, Cause, DialString, Timestamp};
use cordboard::core::journal::{CallEvent, Cdr, Change, Direction, LegRecord, Seq};
use cordboard::core::tenant::{Provision, parse};
use cordboard::edge::store::{CdrFilter, Reader, Store};

const TENANTS: usize = 1_000;
const AGENTS_PER_TENANT: usize = 10;

fn main() {
    divan::main();
}

/// A store in a folder of its own, with the number of its next change.
struct Bench {
    store: Store,
    next: Seq,
    folder: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("cordboard-bench-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let (store, recovered) = Store::open(&folder).expect("opens");
        Self { store, next: recovered.next_seq, folder }
    }

    fn append(&mut self, change: Change) {
        while self.store.append(self.next, change.clone()).is_err() {
            std::thread::yield_now();
        }
        self.next += 1;
    }

    fn wait(&self) {
        while self.store.durable() + 1 < self.next {
            std::thread::yield_now();
        }
    }

    /// A call's four changes.
    fn call(&mut self) {
        let call = self.next;
        self.append(Change::CallStarted { cdr: Box::new(record(call, false)) });
        self.append(Change::CallChanged { cdr: Box::new(record(call, false)) });
        self.append(Change::CallChanged { cdr: Box::new(record(call, false)) });
        self.append(Change::CallEnded { cdr: Box::new(record(call, true)) });
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn record(call: u64, ended: bool) -> Cdr {
    let end = ended.then_some(Timestamp(60_000));
    let cause = ended.then_some(Cause::Normal);
    let leg = |leg| LegRecord {
        leg,
        direction: Direction::Inbound,
        kind: "sip".into(),
        trunk: "carrier".into(),
        party: "+493012345678".into(),
        agent: Some("acme/ana".into()),
        started_at: Timestamp(1_000),
        answered_at: Some(Timestamp(2_000)),
        ended_at: end,
        cause,
        media: None,
        encryption: String::new(),
    };
    let event = |at| CallEvent { at: Timestamp(at), what: "menu".into(), detail: "welcome".into() };
    Cdr {
        call_id: CallId(call),
        tenant: "acme".into(),
        medium: "voice".into(),
        direction: Direction::Inbound,
        from: DialString::new("+493012345678").expect("dial string"),
        to: DialString::new("200").expect("dial string"),
        started_at: Timestamp(call as i64),
        answered_at: Some(Timestamp(2_000)),
        ended_at: end,
        agent: Some("ana".into()),
        cause,
        trace: None,
        queued_ms: 1_000,
        legs: vec![leg(0), leg(1)],
        events: (0..6).map(event).collect(),
    }
}

fn file() -> String {
    let mut text = String::new();
    for t in 0..TENANTS {
        text += &format!("[[tenant]]\nname = 'tenant-{t}'\n[[skill]]\ntenant = 'tenant-{t}'\nname = 'sales'\n");
        text += &format!("[[queue]]\ntenant = 'tenant-{t}'\nname = 'sales'\nskills = {{ sales = 0.5 }}\n");
        for a in 0..AGENTS_PER_TENANT {
            text += &format!("[[agent]]\ntenant = 'tenant-{t}'\nname = 'agent-{a}'\nuser = 't{t}a{a}'\n");
            text += &format!("password = 'secret'\ncode = '{a}'\npin = '1234'\nskills = {{ sales = 0.75 }}\n");
        }
    }
    text
}

fn provision() -> Provision {
    parse(&file(), "bench").unwrap_or_else(|faults| panic!("{} faults, first: {}", faults.len(), faults[0]))
}

/// 1,000 calls, four changes each, until the last is durable.
#[divan::bench(sample_count = 20, counters = [divan::counter::ItemsCount::new(4_000_u32)])]
fn changes_grouped(bencher: divan::Bencher) {
    let mut bench = Bench::new("grouped");
    bencher.bench_local(|| {
        for _ in 0..1_000 {
            bench.call();
        }
        bench.wait();
    });
}

/// One change, until it is durable: what an answer that promises something waits for on an idle appliance.
#[divan::bench(sample_count = 200)]
fn change_alone(bencher: divan::Bencher) {
    let mut bench = Bench::new("alone");
    bencher.bench_local(|| {
        let call = bench.next;
        bench.append(Change::CallStarted { cdr: Box::new(record(call, false)) });
        bench.wait();
    });
}

/// A file of 1,000 tenants and 10,000 agents, read and checked.
#[divan::bench(sample_count = 5)]
fn provision_parse(bencher: divan::Bencher) {
    let text = file();
    bencher.bench_local(|| parse(&text, "bench").is_ok());
}

/// The same applied: each time another than before, so that all of it is written.
#[divan::bench(sample_count = 5)]
fn provision_apply(bencher: divan::Bencher) {
    let mut bench = Bench::new("apply");
    let mut provision = provision();
    bencher.bench_local(|| {
        provision.sip.calls_max += 1;
        bench.append(Change::Provisioned { provision: Box::new(provision.clone()) });
        bench.wait();
    });
}

/// The same read back.
#[divan::bench(sample_count = 5)]
fn provision_read(bencher: divan::Bencher) {
    let mut bench = Bench::new("read");
    bench.append(Change::Provisioned { provision: Box::new(provision()) });
    bench.wait();
    let reader = Reader::open(Path::new(&bench.folder)).expect("reader");
    bencher.bench_local(|| reader.provision().expect("provision").agent.len());
}

/// 20,000 records read.
#[divan::bench(sample_count = 5, counters = [divan::counter::ItemsCount::new(20_000_u32)])]
fn records_read(bencher: divan::Bencher) {
    let mut bench = Bench::new("records");
    for _ in 0..20_000 {
        bench.call();
    }
    bench.wait();
    let reader = Reader::open(Path::new(&bench.folder)).expect("reader");
    bencher.bench_local(|| assert_eq!(reader.cdrs(&CdrFilter::default()).count(), 20_000));
}
