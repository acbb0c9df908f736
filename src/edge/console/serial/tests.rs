use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use smol::channel::{Receiver, Sender};

use super::editor::LINE_MAX;
use super::paper::COLUMNS;
use super::*;
use crate::base::{CallId, Medium, Now, Timestamp, WorkItemId};
use crate::core::contact::WorkState;
use crate::core::control::{Alarm, CallView, QueueView, Status, WorkView};
use crate::edge::console::{Asked, Request};

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

fn alarm(subject: &str) -> Alarm {
    Alarm { name: "span-alarm".into(), subject: subject.into(), since: Timestamp(0) }
}

fn work(id: u64) -> WorkView {
    WorkView {
        id: WorkItemId(id),
        tenant: "acme".into(),
        medium: Medium::Voicemail,
        queue: "a queue with a long name".into(),
        state: WorkState::Waiting,
        agent: None,
        client: Some("+15550001234".into()),
        arrived_at: Timestamp(0),
        due_at: None,
        waited_s: 7_000,
        position: Some(1),
        expected_wait_s: Some(60),
        callback: None,
    }
}

fn answer(query: &Query, alarms: &[Alarm]) -> Reply {
    match query {
        Query::Status => Reply::Status(Box::new(Status {
            version: "9.8.7".into(),
            offered: 41,
            alarms: alarms.to_vec(),
            ..Status::default()
        })),
        Query::Calls => Reply::Calls {
            calls: vec![CallView {
                call_id: CallId(0xabc),
                tenant: "acme".into(),
                from: "+15550001234".into(),
                to: "8005550199".into(),
                started_at: Timestamp(0),
                state: "transfer 4930123456".into(),
                encryption: "-".into(),
            }],
        },
        Query::Whoami | Query::TenantStatus { .. } | Query::Entities { .. } => {
            Reply::Refused { reason: "not asked for here".into() }
        }
        Query::Queues => Reply::Queues {
            queues: (0..300)
                .map(|n| QueueView {
                    tenant: "acme".into(),
                    name: format!("q{n}"),
                    waiting: n,
                    longest_wait_s: 0,
                    offered: 0,
                    answered: 0,
                    abandoned: 0,
                    in_target: 0,
                })
                .collect(),
        },
        Query::Agents => Reply::Agents { agents: Vec::new() },
        Query::Trunks => Reply::Trunks { trunks: Vec::new() },
        Query::Sites => Reply::Sites { sites: Vec::new() },
        Query::Circuits { .. } => Reply::Circuits { circuits: Vec::new() },
        Query::Contracts => Reply::Contracts { contracts: Vec::new() },
        Query::Locate { .. } => Reply::Located { servers: Vec::new() },
        Query::Bans => Reply::Bans { bans: Vec::new() },
        Query::Works { after, .. } => {
            Reply::Works { works: (after.map_or(1, |id| id.0 + 1)..=130).map(work).collect(), more: false }
        }
        Query::Work { .. } | Query::Routes { .. } | Query::Explain { .. } | Query::WhatIf { .. } => Reply::Done,
    }
}

/// A session without a port, in virtual time.
struct Desk {
    now: Now,
    session: Session,
    alarms: Vec<Alarm>,
    queries: usize,
}

impl Desk {
    fn open(alarms: Vec<Alarm>) -> (Self, String) {
        let (now, mut out) = (Now::default(), Vec::new());
        let session = Session::open(now, "box", &mut |q| Ok(answer(&q, &alarms)), &mut out);
        (Self { now, session, alarms, queries: 0 }, String::from_utf8(out).unwrap())
    }

    fn run(&mut self, act: impl FnOnce(&mut Session, Now, session::Ask<'_>, &mut Vec<u8>)) -> String {
        let (mut out, alarms, queries) = (Vec::new(), &self.alarms, &mut self.queries);
        let mut ask = |query: Query| {
            *queries += 1;
            Ok(answer(&query, alarms))
        };
        act(&mut self.session, self.now, &mut ask, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn types(&mut self, octets: &[u8]) -> String {
        self.run(|session, now, ask, out| session.input(now, octets, ask, out))
    }

    fn waits(&mut self) -> String {
        let wait = self.session.poll_timeout().since(self.now.mono);
        self.now = self.now.after(wait);
        self.run(|session, now, ask, out| session.handle_timeout(now, ask, out))
    }
}

#[test]
fn the_banner_says_who_is_there_and_what_stands() {
    let (_, said) = Desk::open(vec![alarm("card 1 span 2")]);
    assert!(said.contains(concat!("Cordboard ", env!("CARGO_PKG_VERSION"), " on box\r\n")), "{said}");
    assert!(said.ends_with("! alarm span-alarm card 1 span 2 since 1970-01-01T00:00:00.000Z\r\ncordboard> "), "{said}");
}

#[test]
fn every_command_answers_in_plain_lines_of_80_columns() {
    let (mut desk, _) = Desk::open(vec![alarm(&"long ü ".repeat(40))]);
    for (line, expected) in [
        ("status", "41 offered"),
        ("  STATUS ", "41 offered"),
        ("calls", "0000000000000abc"),
        ("agents", "no agents"),
        ("queues", "... and 101 more"),
        ("trunks", "no trunks"),
        ("works", "there are more: `works 0000000000000032` goes on"),
        ("works 0000000000000032", "there are more: `works 0000000000000064` goes on"),
        ("works 64", "0000000000000082"),
        ("works 82", "no open work items"),
        ("works all", "expected the id of a work item"),
        ("works 1 2", "too many words"),
        ("sites", "no sites"),
        ("circuits", "no circuits"),
        ("contracts", "no contracts"),
        ("alarms", "span-alarm"),
        ("help", "watch [SECONDS]"),
        ("hangup", "unknown command `hangup`"),
        ("status now", "too many words"),
        ("watch 0", "expected seconds, 1 to 3600"),
        ("watch 3601", "expected seconds"),
        ("watch soon", "expected seconds"),
        ("", "cordboard> "),
    ] {
        let said = desk.types(format!("{line}\r\n").as_bytes());
        assert!(said.contains(expected) && said.ends_with("\r\ncordboard> "), "{line}: {said}");
        for line in said.split("\r\n").skip(1) {
            let plain = line.bytes().all(|o| (b' '..=b'~').contains(&o));
            assert!(plain && line.len() <= COLUMNS, "{line:?}");
        }
    }
}

#[test]
fn numbers_of_people_are_cut_down() {
    let (mut desk, _) = Desk::open(Vec::new());
    let said = desk.types(b"calls\r");
    assert!(said.contains("..34") && said.contains("..99") && said.contains("transfer ..56"), "{said}");
    let works = desk.types(b"works 64\r");
    assert!(works.contains("0000000000000082") && !works.contains("goes on") && !works.contains("555"), "{works}");
    assert!(!said.contains("234") && !said.contains("199") && !said.contains("456"), "{said}");
}

#[test]
fn alarms_are_told_once_when_they_come_and_go_and_the_line_being_typed_stays() {
    let (mut desk, _) = Desk::open(Vec::new());
    assert_eq!(desk.types(b"sta"), "sta");
    assert_eq!(desk.waits(), "", "nothing new");
    desk.alarms.push(alarm("card 1 span 1"));
    let said = desk.waits();
    assert!(said.starts_with("\r\n! alarm span-alarm card 1 span 1 since"), "{said}");
    assert!(said.ends_with("\r\ncordboard> sta"), "{said}");
    assert_eq!(desk.waits(), "", "told already");
    desk.alarms.clear();
    assert_eq!(desk.waits(), "\r\n! cleared span-alarm card 1 span 1\r\ncordboard> sta");
    assert!(desk.types(b"tus\r").contains("41 offered"));
    desk.alarms = (0..50).map(|n| alarm(&n.to_string())).collect();
    let said = desk.waits();
    assert_eq!(said.matches("! alarm").count(), 10);
    assert!(said.contains("! and 40 more"), "{said}");
    // What a picture has shown is not told again.
    desk.alarms.push(alarm("50"));
    desk.types(b"alarms\r");
    assert_eq!(desk.waits(), "");
}

#[test]
fn a_watch_goes_on_until_a_key_and_fits_the_screen() {
    let (mut desk, _) = Desk::open((0..9).map(|n| alarm(&n.to_string())).collect());
    let first = desk.types(b"watch 7\r\n");
    assert!(first.contains("\x1b[H\x1b[J") && first.ends_with("-- any key ends this --"), "{first}");
    assert!(first.contains("... and 4 more") && first.contains("acme/q0"), "{first}");
    let before = desk.now;
    let next = desk.waits();
    assert_eq!(desk.now.mono.since(before.mono), Duration::from_secs(7));
    assert!(next.starts_with("\x1b[H\x1b[J") && next.matches("\r\n").count() <= 23, "{next}");
    // An arrow key is one key, and none of it lands on the line.
    assert_eq!(desk.types(b"\x1b[A"), "\r\ncordboard> ");
    desk.queries = 0;
    assert_eq!(desk.waits(), "");
    assert_eq!(desk.queries, 1, "the look for alarms goes on");
}

#[test]
fn a_busy_appliance_is_told_and_no_command_is_sent() {
    let (mut session, mut out) = (Desk::open(Vec::new()).0.session, Vec::new());
    session.input(Now::default(), b"status\rwatch\r", &mut |_| Err(WatchError::Busy), &mut out);
    let said = String::from_utf8(out).unwrap();
    assert_eq!(said.matches("the appliance is busy").count(), 2, "{said}");
}

#[test]
fn addresses_are_read() {
    let read = |text: &str| text.parse::<SerialAddress>().map(|a| (a.device, a.baud));
    assert_eq!(read("/dev/ttyS0"), Ok(("/dev/ttyS0".into(), BAUD)));
    assert_eq!(read("/dev/ttyS0:9600"), Ok(("/dev/ttyS0".into(), 9600)));
    let by_path = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0";
    assert_eq!(read(by_path), Ok((by_path.into(), BAUD)));
    assert_eq!(read(""), Err(SerialAddressError::Device));
    assert_eq!(read(":9600"), Err(SerialAddressError::Device));
    for bad in ["/dev/ttyS0:0", "/dev/ttyS0:99999999999"] {
        assert_eq!(read(bad), Err(SerialAddressError::Baud), "{bad}");
    }
}

#[test]
fn a_device_that_cannot_be_opened_comes_with_advice() {
    let refused = |device: &str| match SerialConsole::open(SerialAddress { device: device.into(), baud: BAUD }) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{device} was opened"),
    };
    assert!(refused("/dev/no-such-line").contains("/dev/no-such-line") && refused("/dev/no-such-line").contains("ls"));
    assert!(refused("/dev/null").contains("is it a serial device"));
}

/// A terminal at the other end of a line, plugged in where a link points.
struct Terminal {
    master: TTYPort,
    /// Held, so that the end is not "closed" whenever the console has not opened it.
    _slave: TTYPort,
    text: Vec<u8>,
}

impl Terminal {
    fn plug(link: &PathBuf) -> Self {
        let (mut master, slave) = TTYPort::pair().unwrap();
        master.set_timeout(Duration::from_millis(50)).unwrap();
        drop(std::fs::remove_file(link));
        symlink(slave.name().unwrap(), link).unwrap();
        Self { master, _slave: slave, text: Vec::new() }
    }

    fn types(&mut self, octets: &[u8]) {
        self.master.write_all(octets).unwrap();
    }

    /// Reads until `text` has come; what came up to its end.
    fn reads(&mut self, text: &str) -> String {
        let clock = Clock::start();
        let began = clock.mono();
        let mut octets = [0; 256];
        loop {
            if let Some(at) = String::from_utf8_lossy(&self.text).find(text) {
                let rest = self.text.split_off(at + text.len());
                return String::from_utf8(std::mem::replace(&mut self.text, rest)).unwrap();
            }
            let got = String::from_utf8_lossy(&self.text).into_owned();
            assert!(clock.mono().since(began) < PATIENCE, "no {text:?} in {got:?}");
            if let Ok(length) = self.master.read(&mut octets) {
                self.text.extend_from_slice(&octets[..length]);
            }
        }
    }
}

/// An appliance that answers questions, with alarms that can be set; and a console on a pseudo-terminal.
struct Rig {
    link: PathBuf,
    alarms: Option<Sender<Vec<Alarm>>>,
    /// Questions answered so far.
    answered: Arc<AtomicUsize>,
    answering: Option<JoinHandle<()>>,
    console: Option<SerialThread>,
}

impl Rig {
    fn start() -> (Self, Terminal) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cordboard-serial-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let link = std::env::temp_dir().join(name);
        let terminal = Terminal::plug(&link);
        let address = SerialAddress { device: link.to_str().unwrap().to_owned(), baud: BAUD };
        let mut console = SerialConsole::open(address).unwrap();
        console.reopen = (Duration::from_millis(10), Duration::from_millis(40));
        let (requests, asked) = smol::channel::bounded(4);
        let (alarms, set) = smol::channel::unbounded();
        let answered = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&answered);
        let answering = thread::spawn(move || Self::answer(&asked, &set, &count));
        let console = Some(console.serve(Watcher::new(requests)).unwrap());
        (Self { link, alarms: Some(alarms), answered, answering: Some(answering), console }, terminal)
    }

    /// Until `set` is closed.
    fn answer(asked: &Receiver<Asked>, set: &Receiver<Vec<Alarm>>, answered: &AtomicUsize) {
        let mut alarms = Vec::new();
        while !set.is_closed() {
            alarms = set.try_recv().unwrap_or(alarms);
            let Ok(Asked { request, replier, .. }) = asked.try_recv() else {
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            let Request::Query(query) = request else { panic!("an order from the serial line: {request:?}") };
            replier.send(answer(&query, &alarms));
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn stop(&mut self) {
        self.alarms = None;
        if let Some(answering) = self.answering.take() {
            answering.join().unwrap();
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.link));
    }
}

#[test]
fn a_conversation_over_a_line() {
    let (mut rig, mut terminal) = Rig::start();
    terminal.reads("cordboard> ");
    terminal.types(b"statsx\x7f\x7fus\r\n");
    let said = terminal.reads("\r\ncordboard> ");
    assert!(said.contains("cordboard 9.8.7 serving") && said.contains("41 offered"), "{said}");
    // Noise, and a line without end: nothing breaks, and the next command is served.
    terminal.types(&(0..=255).filter(|o| !b"\r\n\x1b".contains(o)).collect::<Vec<u8>>());
    terminal.types(&vec![b'x'; LINE_MAX * 4]);
    terminal.types(b"\x03calls\r");
    terminal.reads("^C\r\n");
    assert!(terminal.reads("..56\r\ncordboard> ").contains("..34"));
    terminal.types(b"watch 1\r");
    terminal.reads("any key ends this");
    terminal.reads("any key ends this");
    terminal.types(b"q");
    terminal.reads("\r\ncordboard> ");
    // The look for new alarms: within five seconds.
    rig.alarms.as_ref().unwrap().try_send(vec![alarm("card 3 span 1")]).unwrap();
    terminal.reads("! alarm span-alarm card 3 span 1");
    terminal.reads("cordboard> ");
    rig.stop();
    terminal.reads("Cordboard has stopped.\r\n");
    let console = rig.console.take().unwrap();
    console.finish();
}

#[test]
fn a_line_that_is_pulled_out_is_served_again_when_it_is_back() {
    let (mut rig, mut terminal) = Rig::start();
    terminal.reads("cordboard> ");
    for _ in 0..3 {
        // A half line and a watch do not outlive the plug.
        terminal.types(b"watch\rsta");
        terminal.reads("any key ends this");
        drop(terminal);
        drop(std::fs::remove_file(&rig.link));
        terminal = Terminal::plug(&rig.link);
        assert!(terminal.reads("cordboard> ").contains("Cordboard "));
        terminal.types(b"status\r");
        terminal.reads("41 offered");
        terminal.reads("cordboard> ");
    }
    // Pulled out for good: the thread ends with the appliance all the same.
    drop(terminal);
    rig.stop();
    let console = rig.console.take().unwrap();
    console.0.join().unwrap();
}

#[test]
fn a_terminal_that_takes_nothing_holds_up_nobody() {
    let (mut rig, mut terminal) = Rig::start();
    terminal.reads("cordboard> ");
    // Nobody reads; a pseudo-terminal holds some kilobytes of these 200, then it is full.
    for _ in 0..20 {
        terminal.types(b"queues\r");
    }
    // More than one reading of the port holds: what was to be written in between has been given up.
    while rig.answered.load(Ordering::Relaxed) < 15 {
        thread::sleep(Duration::from_millis(5));
    }
    rig.stop();
    // Full to the brim, and yet the thread ends.
    let console = rig.console.take().unwrap();
    console.0.join().unwrap();
    drop(terminal);
}
