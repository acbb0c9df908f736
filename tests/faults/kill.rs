//! kill -9 under load, again and again on one data folder: what was promised to anyone is in the store. Ten times here;
//! `CORDBOARD_KILLS=200 cargo test --test faults nothing_that_was_promised -- --nocapture` is the campaign.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

use cordboard::base::Cause;
use cordboard::core::control::{Command, Query, Reply};
use cordboard::core::journal::{AgentStatus, Cdr};
use cordboard::edge::clock::{Clock, wall};
use cordboard::edge::console::Client;
use cordboard::edge::store::database_path;
use cordboard::proto::sip::SessionId;

use crate::phone::{Phone, State};
use crate::process::Process;
use crate::site::{Site, agent, enqueue, flow, queue, until};

const AGENTS: u64 = 4;

/// How often the process is killed.
fn rounds() -> u32 {
    let given = std::env::var("CORDBOARD_KILLS").ok();
    given.map_or(10, |n| n.parse().unwrap_or_else(|_| panic!("CORDBOARD_KILLS={n}: not a count")))
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % below
    }
}

fn seed() -> u64 {
    let given = std::env::var("CORDBOARD_TEST_SEED").ok().and_then(|s| s.parse().ok());
    let seed = given.unwrap_or_else(|| wall().0.unsigned_abs());
    println!("CORDBOARD_TEST_SEED={seed}");
    seed | 1
}

fn provisioning(site: &Site) -> String {
    let mut more = String::new();
    for n in 0..AGENTS {
        // Longer than any round, on a machine with other work as well: nobody is marked for not answering.
        more += &agent(&format!("a{n}"), "signed_in = true\nring_s = 120");
    }
    more += &agent("paused", "signed_in = true");
    more += &agent("out", "signed_in = true");
    more += &queue("help", "overflow_after_s = 60");
    let played = "[step.first]\ndo = \"play\"\nprompt = [\"demo/announcement\", \"demo/welcome\", \"demo/welcome\"]\nnext = \"end\"";
    more += &flow("200", "announcement", played);
    more += &flow("300", "help", &enqueue("help"));
    site.text(5, &more)
}

fn order(site: &Site, command: &Command) {
    let mut client = Client::connect(&site.data()).unwrap().expect("it runs");
    assert_eq!(client.command(command).unwrap(), Reply::Done, "{command:?}");
}

fn agents(site: &Site) -> BTreeMap<String, (AgentStatus, String, bool)> {
    let mut client = Client::connect(&site.data()).unwrap().expect("it runs");
    match client.query(&Query::Agents).unwrap() {
        Reply::Agents { agents } => agents.into_iter().map(|a| (a.name, (a.status, a.reason, a.reachable))).collect(),
        other => panic!("{other:?}"),
    }
}

/// What the load saw of one round.
struct Seen {
    /// Callers whose call was answered.
    answered: Vec<String>,
    killed_at: i64,
}

/// Calls until the moment of the kill.
fn round(site: &Site, number: u32, random: &mut Random, phones: &mut [Phone], process: Process) -> Seen {
    let clock = Clock::start();
    let mut load = Phone::new(site.carrier(), site.server(), "load", 1);
    let mut names: BTreeMap<SessionId, (String, Duration)> = BTreeMap::new();
    let mut answered = HashSet::new();
    let start = clock.mono();
    let end = Duration::from_millis(400 + random.next(1200));
    let mut next_call = Duration::ZERO;
    loop {
        let since = clock.mono().since(start);
        if since >= end {
            break;
        }
        // One a turn: a machine that was busy elsewhere does not make up for it in a burst.
        if next_call <= since {
            next_call = since + Duration::from_millis(4 + random.next(12));
            let name = format!("r{number}c{}", names.len());
            let dialled = if random.next(3) == 0 { "300" } else { "200" };
            let session = load.call_as(&name, dialled, false);
            names.insert(session, (name, since + Duration::from_millis(50 + random.next(800))));
        }
        load.step();
        phones.iter_mut().for_each(Phone::step);
        // No conversation is listened to here.
        load.talk = None;
        phones.iter_mut().for_each(|p| p.talk = None);
        let up: Vec<SessionId> = load.calls.iter().filter(|(_, s)| **s == State::Up).map(|(id, _)| *id).collect();
        for session in up {
            let (name, leave) = &names[&session];
            answered.insert(name.clone());
            if *leave <= since {
                load.hang_up(session);
            }
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    let killed_at = wall().0;
    process.kill();
    // What was on its way when it died was answered as well.
    load.step();
    answered.extend(load.calls.iter().filter(|(_, s)| **s == State::Up).map(|(id, _)| names[id].0.clone()));
    Seen { answered: answered.into_iter().collect(), killed_at }
}

/// The latest time that a record names, but for its end.
fn last_change(cdr: &Cdr) -> i64 {
    let events = cdr.events.iter().filter(|e| e.what != "interrupted").map(|e| e.at);
    let legs = cdr.legs.iter().filter(|l| l.cause != Some(Cause::Interrupted)).filter_map(|l| l.ended_at);
    let starts = cdr.legs.iter().map(|l| l.started_at);
    events.chain(legs).chain(starts).map(|t| t.0).max().unwrap_or(cdr.started_at.0)
}

fn check_round(cdrs: &[Cdr], number: u32, seen: &Seen) -> usize {
    let mine = format!("r{number}c");
    for name in &seen.answered {
        let records = cdrs.iter().filter(|c| c.from.as_str() == name).count();
        assert_eq!(records, 1, "{name} was answered and has {records} records");
    }
    let mut interrupted = 0;
    for cdr in cdrs.iter().filter(|c| c.from.as_str().starts_with(&mine)) {
        let end = cdr.ended_at.unwrap_or_else(|| panic!("{} has no end", cdr.call_id)).0;
        assert!(cdr.cause.is_some() && cdr.legs.iter().all(|l| l.ended_at.is_some()), "{cdr:?}");
        if cdr.cause == Some(Cause::Interrupted) {
            interrupted += 1;
            assert!(last_change(cdr) <= end && end <= seen.killed_at + 1_000, "{} > {end}: {cdr:?}", seen.killed_at);
            assert!(seen.killed_at - end < 6_000, "last known {} ms before the kill", seen.killed_at - end);
        }
    }
    interrupted
}

/// What an agent's phone did with its latest offers, for the failure's message.
fn offers_to(cdrs: &[Cdr], agent: u64) -> String {
    let name = format!("a{agent}");
    let to = |detail: &str| detail.split(':').next().is_some_and(|agent| agent.ends_with(&name));
    let mine = cdrs.iter().filter(|c| c.events.iter().any(|e| e.what == "offered" && to(&e.detail)));
    let mut lines: Vec<String> = mine.rev().take(5).map(|c| format!("{:?}", (&c.from, &c.legs, &c.events))).collect();
    lines.reverse();
    lines.join("\n")
}

/// The dead process's files as it left them, before anybody opens them: copied, and the copy checked whole.
fn check_files(site: &Site) {
    let (left, copy) = (database_path(&site.data()), site.file("copy.db", ""));
    let wal = |path: &Path| path.with_extension("db-wal");
    std::fs::copy(&left, &copy).unwrap();
    std::fs::copy(wal(&left), wal(&copy)).unwrap();
    check_database(&copy);
    std::fs::remove_file(&copy).unwrap();
}

/// All pages, indices and constraints are in order; the journal has no gap.
fn check_database(path: &Path) {
    let database = rusqlite::Connection::open(path).unwrap();
    let finding: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(finding, "ok", "{}", path.display());
    let select = "SELECT ifnull(max(seq) - min(seq) + 1 - count(*), 0) FROM journal";
    let missing: i64 = database.query_row(select, [], |row| row.get(0)).unwrap();
    assert_eq!(missing, 0, "numbers are missing in the journal");
}

#[test]
fn nothing_that_was_promised_is_lost_by_kill_9_under_load() {
    let mut random = Random(seed());
    let site = Site::new();
    let file = site.file("site.toml", &provisioning(&site));
    let mut process = Process::start(&site, Some(&file));
    let mut phones: Vec<Phone> =
        (0..AGENTS).map(|n| Phone::new(site.office(), site.server(), &format!("a{n}"), 100 + n).register()).collect();
    let acme = || "acme".to_owned();
    order(&site, &Command::SignOut { tenant: acme(), agent: "out".into() });
    order(&site, &Command::Pause { tenant: acme(), agent: "paused".into(), reason: "lunch".into() });
    let (mut answered, mut interrupted) = (0, 0);
    let rounds = rounds();
    for number in 0..rounds {
        let seen = round(&site, number, &mut random, &mut phones, process);
        check_files(&site);
        process = Process::start(&site, (number % 2 == 0).then_some(file.as_path()));
        let cdrs = site.cdrs();
        let ids: HashSet<u64> = cdrs.iter().map(|c| c.call_id.0).collect();
        assert_eq!(ids.len(), cdrs.len(), "a call id was used twice");
        interrupted += check_round(&cdrs, number, &seen);
        answered += seen.answered.len();
        let states = agents(&site);
        assert_eq!(states["out"].0, AgentStatus::Null, "signed out stays signed out");
        assert_eq!((states["paused"].0, states["paused"].1.as_str()), (AgentStatus::NotReady, "lunch"));
        for n in 0..AGENTS {
            let (status, reason, reachable) = &states[&format!("a{n}")];
            assert!(*reachable, "a{n}'s registration is gone after round {number}");
            let ready = *status == AgentStatus::Ready;
            assert!(ready, "a{n} after round {number}: {status:?} {reason:?}\n{}", offers_to(&cdrs, n));
        }
    }
    println!("{rounds} kills, {answered} calls seen answered, {interrupted} interrupted, all with their records");
    assert!(answered > rounds as usize * 5 && interrupted > 0, "too little load: {answered}, {interrupted}");
    process.terminate();
    until("it ends", || process.ended() == Some(0));
    check_database(&database_path(&site.data()));
}

#[test]
fn an_interrupted_call_in_which_nothing_happens_ends_near_the_kill() {
    let site = Site::new();
    let file = site.file("site.toml", &provisioning(&site));
    let process = Process::start(&site, Some(&file));
    let mut load = Phone::new(site.carrier(), site.server(), "quiet", 1);
    for agent in ["a0", "a1", "a2", "a3"] {
        order(&site, &Command::SignOut { tenant: "acme".into(), agent: agent.into() });
    }
    let session = load.call("300");
    until("the call is up", || {
        load.step();
        load.is_up(session)
    });
    // Longer than the store's beat.
    crate::site::during(Duration::from_millis(11_500), || load.step());
    let killed_at = wall().0;
    process.kill();
    let _again = Process::start(&site, None);
    let cdr = site.ended("quiet");
    assert_eq!(cdr.cause, Some(Cause::Interrupted));
    let short = killed_at - cdr.ended_at.unwrap().0;
    assert!((-50..6_000).contains(&short), "ended {short} ms before the kill");
}
