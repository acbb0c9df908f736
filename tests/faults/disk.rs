//! A disk that refuses, and one that is full: answers wait for it a while, then calls are served under an alarm, and
//! nothing is lost.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{process, thread};

use cordboard::base::{Cause, Medium, Redacted};
use cordboard::core::control::{Command, Reply, WorkSpec};
use cordboard::edge::store::database_path;
use rusqlite::{Connection, TransactionBehavior};

use crate::peers::skipped;
use crate::phone::Phone;
use crate::site::{Live, Site, agent, during, enqueue, flow, queue, quiet, until};

#[test]
fn calls_are_served_while_nothing_can_be_written_and_recorded_afterwards() {
    let site = Site::new();
    let live = site.start(&(flow("200", "quiet", &quiet()) + &agent("ana", "")));
    // The order's answer is durable, so nothing else waits to be written.
    assert_eq!(live.command(Command::SignIn { tenant: "acme".into(), agent: "ana".into() }), Reply::Done);
    let mut blocker = Connection::open(database_path(&site.data())).unwrap();
    let lock = blocker.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();

    let mut caller = Phone::new(site.carrier(), site.server(), "5551", 1);
    let session = caller.call("200");
    until("the disk is found to refuse", || {
        caller.step();
        assert!(!caller.is_up(session) || live.alarm("store-failing"), "answered before its record is durable");
        live.alarm("store-failing")
    });
    until("the call is answered all the same", || {
        caller.step();
        caller.is_up(session)
    });
    lock.rollback().unwrap();
    until("the disk is found to work", || {
        caller.step();
        !live.alarm("store-failing")
    });
    caller.hang_up(session);
    let record = site.ended("5551");
    assert!(record.answered_at.is_some() && record.cause == Some(Cause::Normal), "{record:?}");
    live.stop();
}

#[test]
fn who_is_to_be_called_back_is_dialled_once_the_disk_has_the_try() {
    let site = Site::new();
    let out = format!(
        "[[trunk]]\nname = 'out'\nkind = 'sip'\nprefix = ['8']\n[[trunk.peer]]\naddress = '{}'\nport = 5060\n",
        site.abroad()
    );
    let live = site.start(&(agent("ana", "") + &queue("help", "callback = true\ncallback_tries = 1") + &out));
    let mut ana = Phone::new(site.office(), site.server(), "ana", 1).register();
    let mut client = Phone::at((site.abroad(), 5060).into(), site.server(), "85550001", 2);
    sign_in(&live, "ana");
    let mut blocker = Connection::open(database_path(&site.data())).unwrap();
    let lock = blocker.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let item = Box::new(WorkSpec {
        tenant: "acme".into(),
        medium: Medium::Voice,
        queue: "help".into(),
        client: None,
        subject: None,
        attributes: BTreeMap::new(),
        modifiers: vec![],
        callback: Some(Redacted::new("85550001".into())),
        due_at: None,
    });
    thread::scope(|scope| {
        // The order's answer waits for the disk.
        scope.spawn(|| assert!(matches!(live.command(Command::WorkAdd { item }), Reply::Added { .. })));
        until("the agent has taken it, and the disk is found to refuse", || {
            ana.step();
            client.step();
            ana.up().is_some() && live.alarm("store-failing")
        });
        during(Duration::from_secs(1), || {
            ana.step();
            client.step();
        });
        assert_eq!((client.rung, ana.up().is_some()), (0, true), "a try that a kill would make undone is not made");
        lock.rollback().unwrap();
        until("they talk", || {
            ana.step();
            client.step();
            client.up().is_some() && client.hears(1) && ana.hears(2)
        });
    });
    assert_eq!((client.rung, live.alarm("store-failing")), (1, false));
    let up = client.up().unwrap();
    client.hang_up(up);
    until("it is over", || {
        ana.step();
        client.step();
        live.calls().is_empty()
    });
    live.stop();
}

/// A file system of its own in memory, unmounted at its end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, and said so, where this process may not mount.
    fn mount(at: &Path, mib: u32) -> Option<SmallDisk> {
        fs::create_dir_all(at).unwrap();
        let mut mount = process::Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=700"), "tmpfs"]).arg(at).output();
        if mount.as_ref().is_ok_and(|done| done.status.success()) {
            return Some(SmallDisk(at.to_owned()));
        }
        skipped("CORDBOARD_MOUNT", &format!("a small file system cannot be mounted: {mount:?}"));
        None
    }

    fn free(&self) -> u64 {
        let found = rustix::fs::statvfs(&self.0).unwrap();
        found.f_bavail * found.f_frsize
    }

    /// Writes a file of somebody else until so much is free.
    fn fill(&self, leave: u64) {
        let mut file = File::options().create(true).append(true).open(self.0.join("filler")).unwrap();
        while self.free() > leave {
            let much = (self.free() - leave).min(1 << 20) as usize;
            if file.write(&vec![0; much]).is_err() {
                break;
            }
        }
    }

    fn clear(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(process::Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

/// Whether the announcement that nobody records is in what was heard: half a second of it, sample by sample as far as
/// G.711 lets it through.
fn was_told(phone: &Phone) -> bool {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prompts/en/queue/not-recorded.wav");
    let prompt: Vec<f32> = hound::WavReader::open(file)
        .unwrap()
        .samples::<i16>()
        .skip(4_000)
        .take(4_000)
        .map(|x| f32::from(x.unwrap()))
        .collect();
    let Some(talk) = &phone.talk else { return false };
    let heard: Vec<f32> = talk.heard.iter().map(|&x| f32::from(x)).collect();
    let power = |pcm: &[f32]| pcm.iter().map(|x| x * x).sum::<f32>();
    let wanted = power(&prompt);
    heard.windows(prompt.len()).any(|window| {
        // The first samples tell most places from the right one.
        let near = prompt.iter().zip(window).take(40).map(|(a, b)| (a - b).abs()).sum::<f32>() < 40.0 * 400.0;
        near && power(&prompt.iter().zip(window).map(|(a, b)| a - b).collect::<Vec<_>>()) < wanted * 0.01
    })
}

fn sign_in(live: &Live, agent: &str) {
    assert_eq!(live.command(Command::SignIn { tenant: "acme".into(), agent: agent.into() }), Reply::Done);
}

const MIB: u64 = 1 << 20;

#[test]
fn a_full_disk_ends_recordings_with_a_word_and_no_call_and_loses_nothing() {
    let site = Site::new();
    let Some(disk) = SmallDisk::mount(&site.data(), 64) else { return };
    let provisioning = flow("200", "quiet", &quiet())
        + &flow("300", "help", &enqueue("help"))
        + &queue("help", "record = true")
        + &agent("ana", "")
        + &agent("ben", "");
    let live = site.start(&provisioning);
    let mut ana = Phone::new(site.office(), site.server(), "ana", 33).register();
    let mut ben = Phone::new(site.office(), site.server(), "ben", 34).register();
    let mut first = Phone::new(site.carrier(), site.server(), "5551", 44);
    let mut second = Phone::new(site.carrier(), site.server(), "5552", 45);
    let mut third = Phone::new(site.carrier(), site.server(), "5553", 46);
    let reserve = site.data().join("reserve");
    assert!(reserve.exists());

    sign_in(&live, "ana");
    let recorded = first.call("300");
    until("the first conversation is recorded", || {
        ana.step();
        first.step();
        first.hears(33) && recordings(&site.data()).len() == 1
    });

    disk.fill(12 * MIB);
    until("the disk is found to be nearly full", || {
        ana.step();
        first.step();
        live.alarm("disk-full")
    });
    assert!(!was_told(&first) && !live.alarm("recording-failed"), "what is recorded goes on");
    sign_in(&live, "ben");
    let refused = second.call("300");
    until("the second conversation is told that nobody records, both ends of it", || {
        [&mut ana, &mut first, &mut ben, &mut second].into_iter().for_each(Phone::step);
        second.talk.as_ref().is_some_and(|t| t.heard.len() > 20_000) && was_told(&second) && was_told(&ben)
    });
    until("they talk", || {
        [&mut ana, &mut first, &mut ben, &mut second].into_iter().for_each(Phone::step);
        second.hears(34) && ben.hears(45)
    });
    assert_eq!(recordings(&site.data()).len(), 1);

    disk.fill(3 * MIB);
    until("the recording ends, and both are told", || {
        [&mut ana, &mut first, &mut ben, &mut second].into_iter().for_each(Phone::step);
        live.alarm("recording-failed")
            && first.talk.as_ref().is_some_and(|t| t.heard.len() > 20_000)
            && was_told(&first)
            && was_told(&ana)
    });
    assert_eq!(live.status().recordings_refused, 2);

    // To the last block: the store has a reserve.
    disk.fill(0);
    for number in ["5553", "5554"] {
        let session = third.call_as(number, "200", false);
        until("a call is answered on a full disk", || {
            [&mut ana, &mut first, &mut ben, &mut second, &mut third].into_iter().for_each(Phone::step);
            third.is_up(session)
        });
        third.hang_up(session);
        until("its record is written", || {
            [&mut ana, &mut first, &mut ben, &mut second, &mut third].into_iter().for_each(Phone::step);
            site.cdrs().iter().any(|c| c.from.as_str() == number && c.ended_at.is_some())
        });
    }
    assert!(!reserve.exists() && !live.alarm("store-failing"));

    // And that as well.
    let mut calls = 0;
    until("nothing at all can be written", || {
        disk.fill(0);
        calls += 1;
        let session = third.call_as(&format!("6{calls}"), "200", false);
        until("a call is answered all the same", || {
            [&mut ana, &mut first, &mut ben, &mut second, &mut third].into_iter().for_each(Phone::step);
            third.is_up(session)
        });
        third.hang_up(session);
        live.alarm("store-failing")
    });
    assert!(first.is_up(recorded) && second.is_up(refused));
    until("they talk on", || {
        [&mut ana, &mut first, &mut ben, &mut second].into_iter().for_each(Phone::step);
        first.hears(33) && second.hears(34)
    });

    disk.clear();
    until("there is room again", || {
        [&mut ana, &mut first, &mut ben, &mut second, &mut third].into_iter().for_each(Phone::step);
        live.status().alarms.is_empty() && reserve.exists()
    });
    first.hang_up(recorded);
    second.hang_up(refused);
    for number in ["5551", "5552"].map(str::to_owned).into_iter().chain((1..=calls).map(|n| format!("6{n}"))) {
        let record = site.ended(&number);
        assert_eq!(record.cause, Some(Cause::Normal), "{record:?}");
        let told = record.events.iter().any(|e| e.what == "not-recorded");
        assert_eq!(told, number.starts_with('5'), "{record:?}");
    }
    live.stop();
    let files = recordings(&site.data());
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let recording = hound::WavReader::open(file).unwrap();
    assert!(
        file.extension().is_some_and(|e| e == "wav") && recording.duration() > 8_000,
        "{file:?} {}",
        recording.duration()
    );
    let database = Connection::open(database_path(&site.data())).unwrap();
    let finding: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(finding, "ok");
}

/// Files of recordings, complete or not.
fn recordings(data: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(data.join("recordings/acme")) else { return Vec::new() };
    found.map(|entry| entry.unwrap().path()).collect()
}
