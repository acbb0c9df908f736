//! Centre-days on which everything breaks: the random walk goes on while spans go into alarm, peers fall silent or get
//! slow, phones lose their power, the disk refuses, the clock jumps and the process is killed and restored. The
//! invariants hold after each step, and at the end of the day every call has its record.
//!
//! Some days in the ordinary run; `CORDBOARD_SEEDS=300 cargo test --test sim days` is the campaign, `SEED=n` repeats one.

use std::time::Duration;

use cordboard::base::{CallId, Timestamp};
use cordboard::core::control::{Command, Query, Reply};
use cordboard::core::journal::AgentStatus;
use cordboard::core::media::MediaEvent;
use cordboard::core::switch::Input;
use cordboard::core::trunk::CardInput;
use cordboard::proto::cas::em_wink;

use crate::callbacks::{cancel_all, provisioning};
use crate::desk::{Desk, Party};
use crate::provision;
use crate::walk::{PARTIES, Walk};

/// How long a day is.
const DAY: Duration = Duration::from_secs(8 * 3600);

struct Day {
    walk: Walk,
    seed: u64,
    lives: u64,
    faults: usize,
    span_down: bool,
}

impl Day {
    fn new(seed: u64) -> Self {
        // Every other centre is short of sockets.
        let sockets = if seed.is_multiple_of(2) { 8 } else { 2_000 };
        let desk = Desk::with_sockets(seed, provision(&provisioning()), sockets);
        Self { walk: Walk::new(seed, desk), seed, lives: 1, faults: 0, span_down: false }
    }

    fn desk(&mut self) -> &mut Desk {
        &mut self.walk.desk
    }

    fn run(&mut self) {
        let start = self.desk().now.mono;
        while self.desk().now.mono.since(start) < DAY {
            match self.walk.below(100) {
                0..6 => self.fault(),
                6..12 => self.relief(),
                _ => self.walk.act(),
            }
            let ms = [0, 10, 300, 2_000, 5_000, 20_000, 40_000, 120_000][self.walk.below(8)];
            self.desk().pass(Duration::from_millis(ms));
            self.check();
        }
    }

    fn check(&mut self) {
        let desk = self.desk();
        desk.check_sounds();
        let status = desk.switch.status();
        assert_eq!(status.double_offers, 0);
        assert_eq!((desk.started - desk.cdrs.len()) as u64, status.calls, "calls are not conserved");
        if !desk.disk.refuses {
            assert_eq!(desk.disk.open() as u64, status.calls, "open records and calls in progress");
        }
    }

    fn fault(&mut self) {
        self.faults += 1;
        match self.walk.below(10) {
            0 => self.span(true),
            1 => {
                let party = self.party();
                self.desk().dead.insert(party);
            }
            2 => {
                let (party, s) = (self.party(), 1 + self.walk.below(8) as u64);
                self.desk().slow.insert(party, Duration::from_secs(s));
            }
            3 => self.phones_lose_power(),
            4 | 5 => self.disk(true),
            6 => self.clock_jumps(),
            7 => self.stop_in_order(),
            8 => self.card_gone(),
            _ => self.killed(),
        }
    }

    fn relief(&mut self) {
        match self.walk.below(3) {
            0 => self.span(false),
            1 => {
                self.desk().dead.clear();
                self.desk().slow.clear();
            }
            _ => self.disk(false),
        }
    }

    fn party(&mut self) -> Party {
        PARTIES[self.walk.below(PARTIES.len())]
    }

    fn span(&mut self, down: bool) {
        self.span_down = down;
        self.desk().card(CardInput::Span { span: 1, alarm: down.then_some("red") });
    }

    fn phones_lose_power(&mut self) {
        self.desk().forget(Party::Phones);
        // What the plane hears of them from now on.
        let ports: Vec<_> = self.desk().ports.iter().filter(|(_, p)| p.remote.is_some_and(|r| r >= 21_000)).collect();
        let ports: Vec<_> = ports.into_iter().map(|(id, _)| *id).collect();
        self.desk().pass(Duration::from_secs(30));
        for port in ports {
            if self.desk().ports.contains_key(&port) {
                self.desk().media_event(MediaEvent::Silent { port });
            }
        }
    }

    fn disk(&mut self, full: bool) {
        self.desk().disk_refuses(full);
        let now = self.desk().now;
        let alarm = Input::Alarm { name: "store-failing", subject: String::new(), stands: full };
        self.desk().switch.handle(now, alarm);
        self.desk().switch.handle(now, Input::DiskFull(full));
        if full {
            let recording: Vec<_> =
                self.desk().ports.iter().filter(|(_, p)| p.recording.is_some()).map(|(id, _)| *id).collect();
            for port in recording {
                self.desk().media_event(MediaEvent::RecordFailed { port });
            }
        }
    }

    fn clock_jumps(&mut self) {
        let most = 2 * 3_600_000;
        let ms = self.walk.below(2 * most) as i64 - most as i64;
        let wall = self.desk().now.wall.0;
        self.desk().now.wall = Timestamp(wall + ms);
    }

    fn card_gone(&mut self) {
        self.desk().card(CardInput::Gone);
        let s = self.walk.below(600) as u64;
        self.desk().seconds(s);
        self.check();
        // Cards are opened at the start.
        self.killed();
    }

    fn killed(&mut self) {
        let stored = ["ana", "ben"].map(|name| (name, self.desk().disk.agent("acme", name)));
        self.lives += 1;
        let seed = self.seed ^ self.lives;
        self.desk().restart(seed);
        if self.span_down {
            self.span(true);
        }
        let agents = self.agents();
        for (name, before) in stored {
            let after = agents.iter().find(|(n, _)| n == name).map(|(_, status)| *status);
            let provisioned = self.desk().disk.provision.agent.iter().any(|agent| agent.name == name);
            assert_eq!(after.is_some(), provisioned, "{name} is listed");
            let Some((before, after)) = before.zip(after) else { continue };
            let same = match before {
                AgentStatus::Null | AgentStatus::NotReady => after == before,
                // Whose call is gone is ready, and may be taken at once.
                _ => matches!(after, AgentStatus::Ready | AgentStatus::Busy),
            };
            assert!(same, "{name} was {before:?} and is {after:?}");
        }
    }

    fn agents(&mut self) -> Vec<(String, AgentStatus)> {
        match self.desk().query(Query::Agents) {
            Reply::Agents { agents } => agents.into_iter().map(|a| (a.name, a.status)).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn stop_in_order(&mut self) {
        self.desk().command(Command::Stop);
        self.desk().seconds(40);
        assert!(self.desk().stopped, "the grace is over and it goes on");
        assert_eq!(self.desk().switch.status().calls, 0, "stopped with calls up");
        self.killed();
    }

    /// Everything is repaired and everybody hangs up.
    fn evening(&mut self) {
        self.span(false);
        self.disk(false);
        self.desk().dead.clear();
        self.desk().slow.clear();
        self.desk().seconds(40);
        for timeslot in 1..=24 {
            self.desk().far(timeslot, em_wink::Input::Release(cordboard::base::Cause::Normal));
        }
        cancel_all(self.desk());
        let Reply::Calls { calls } = self.desk().query(Query::Calls) else { panic!("the calls") };
        let ids: Vec<CallId> = calls.into_iter().map(|c| c.call_id).collect();
        for call in ids {
            self.desk().command(Command::Hangup { call });
        }
        self.desk().seconds(700);
        self.desk().check_over();
        assert_eq!(self.desk().disk.open(), 0, "a record is open after all calls are over");
    }
}

#[test]
fn days_on_which_everything_breaks() {
    let count = std::env::var("CORDBOARD_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    let (mut faults, mut lives, mut records, mut interrupted, mut lost, mut tried) = (0, 0, 0, 0, 0, 0);
    let seeds = crate::seeds(&(1..=count).collect::<Vec<u64>>());
    for &seed in &seeds {
        println!("seed {seed}: SEED={seed} cargo test --test sim days repeats it");
        let mut day = Day::new(seed);
        day.run();
        day.evening();
        faults += day.faults;
        lives += day.lives;
        tried += day.desk().tries.len();
        let disk = &day.desk().disk;
        (records, interrupted, lost) = (records + disk.records.len(), interrupted + disk.interrupted, lost + disk.lost);
    }
    println!(
        "{} days, {faults} faults, {lives} lives, {records} records, {interrupted} interrupted, {lost} changes lost by a kill while the disk refused, {tried} tries to call back",
        seeds.len()
    );
    assert!(records > 20 * seeds.len() && interrupted > 0, "too quiet: {records} records, {interrupted} interrupted");
}
