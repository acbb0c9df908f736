//! An appliance of its own for a test, and the peers that talk to it: all are child processes on loopback addresses
//! that belong to this test alone, and none outlives it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How often something awaited is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Longest start of the appliance.
const START_MAX: Duration = Duration::from_secs(30);
/// Longest stop of the appliance: its grace and some more.
const STOP_MAX: Duration = Duration::from_secs(30);
/// Lines of a log that a failure shows.
const LOG_LINES: usize = 40;

/// The part that all provisionings share. `NET` stands for the test's own network.
const BASE: &str = r#"
[sip]
listen = ["udp:NET.1:5060", "tcp:NET.1:5060"]
stop_grace_s = 2

[media]
address = "NET.1"
port_min = 20000
port_max = 21999

[[tenant]]
name = "acme"

[[skill]]
tenant = "acme"
name = "talk"

[[queue]]
tenant = "acme"
name = "desk"
skills = { talk = 0.1 }
"#;

/// Whether a test can use these programs. Where `CORDBOARD_PEERS` is `required`, a missing one is a failure.
pub fn have(peers: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |peer: &&&str| std::env::split_paths(&path).any(|dir| dir.join(peer).is_file());
    peers
        .iter()
        .find(|peer| !found(peer))
        .is_none_or(|missing| skipped("CORDBOARD_PEERS", &format!("{missing} is not installed")))
}

/// Whether this process is root. Where `CORDBOARD_ROOT` is `required`, it is a failure if not.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root() || skipped("CORDBOARD_ROOT", "this is not root")
}

fn skipped(need: &str, why: &str) -> bool {
    assert!(std::env::var(need).as_deref() != Ok("required"), "{why}");
    println!("skipped: {why}");
    false
}

/// A flow and the number that reaches it, for a provisioning.
pub fn flow(number: &str, steps: &str) -> String {
    format!(
        "\n[[flow]]\ntenant = \"acme\"\nname = \"f{number}\"\ntext = '''\n[flow]\nstart = \"a\"\n{steps}\n'''\n\
         [[number]]\nnumber = \"{number}\"\ntenant = \"acme\"\nflow = \"f{number}\"\n"
    )
}

/// A SIP trunk whose peer is `NET.HOST`, for a provisioning.
pub fn trunk(name: &str, host: u8) -> String {
    format!("\n[[trunk]]\nname = \"{name}\"\nkind = \"sip\"\n[[trunk.peer]]\naddress = \"NET.{host}\"\n")
}

/// Looks until `done`.
///
/// # Panics
/// After `longest`, with `what` was awaited.
pub fn wait_for(what: &str, longest: Duration, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + longest;
    while !done() {
        assert!(Instant::now() < end, "waited {longest:?} for {what}");
        sleep(LOOK);
    }
}

/// A folder and a network (127.x.y.0/24) that are this test's own; the folder is removed unless the test fails.
pub struct Place {
    dir: PathBuf,
    net: String,
}

impl Place {
    /// A new one.
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let process = std::process::id();
        // Two runs on one machine at once must not meet.
        let net = format!("127.{}.{}", 1 + process % 250, NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(format!("cordboard-interop-{process}-{name}"));
        fs::create_dir_all(&dir).unwrap();
        Self { dir, net }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The data folder of the appliance here.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The network's address with this last part.
    pub fn host(&self, last: u8) -> String {
        format!("{}.{last}", self.net)
    }

    /// A text with the network put in.
    pub fn fill(&self, text: &str) -> String {
        text.replace("NET.", &format!("{}.", self.net))
    }

    /// A whole provisioning of the shared part and `more`.
    pub fn provision(&self, more: &str) -> String {
        self.fill(&format!("{BASE}{more}"))
    }

    /// Starts a peer; what it prints goes to a file named after `name`.
    pub fn start(&self, name: &str, command: &mut Command) -> Peer {
        let log = self.dir.join(format!("{name}.log"));
        let out = File::create(&log).unwrap();
        let err = out.try_clone().unwrap();
        let child = command.current_dir(&self.dir).stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
        Peer { name: name.to_owned(), child, logs: vec![log] }
    }

    /// A SIPp at `NET.HOST` port 5060 for the appliance here, with a scenario of ours, or (`-NAME`) one built into SIPp.
    pub fn sipp(&self, host: u8, scenario: &str, args: &[&str]) -> Peer {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let name = format!("sipp-{}-{}", scenario.trim_start_matches('-'), NEXT.fetch_add(1, Ordering::Relaxed));
        let errors = self.dir.join(format!("{name}.err"));
        let mut command = Command::new("sipp");
        command.arg(format!("{}:5060", self.host(1))).args(["-i", &self.host(host), "-mi", &self.host(host)]);
        match scenario.strip_prefix('-') {
            Some(own) => command.args(["-sn", own]),
            None => command.arg("-sf").arg(scenario_file(scenario)),
        };
        command.args(["-p", "5060", "-nostdin", "-trace_err", "-error_file"]).arg(&errors).args(args);
        let mut peer = self.start(&name, &mut command);
        peer.logs.push(errors);
        peer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("logs are in {}", self.dir.display());
        } else {
            drop(fs::remove_dir_all(&self.dir));
        }
    }
}

fn scenario_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/sipp").join(format!("{name}.xml"))
}

/// A child process, killed when dropped.
pub struct Peer {
    name: String,
    child: Child,
    logs: Vec<PathBuf>,
}

impl Peer {
    /// Waits for its end.
    ///
    /// # Panics
    /// When it takes longer.
    pub fn ends(&mut self, longest: Duration) -> ExitStatus {
        let end = Instant::now() + longest;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "{} did not end within {longest:?}\n{}", self.name, self.log());
            sleep(LOOK);
        }
    }

    /// Waits for its end, which must be a success.
    ///
    /// # Panics
    /// When it takes longer or fails, with what it logged.
    pub fn succeeds(&mut self, longest: Duration) {
        let status = self.ends(longest);
        assert!(status.success(), "{}: {status}\n{}", self.name, self.log());
    }

    /// Whether it runs.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// The end of what it logged.
    pub fn log(&self) -> String {
        let mut text = String::new();
        for log in &self.logs {
            let Ok(bytes) = fs::read(log) else { continue };
            let all = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = all.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
            let _ = writeln!(text, "--- {}\n{}", log.display(), last.join("\n"));
        }
        text
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What goes over a place's network, captured by tshark.
pub struct Capture {
    process: Peer,
    file: String,
    ours: String,
}

impl Capture {
    /// Starts one, where tshark is there and may capture.
    pub fn start(place: &Place) -> Option<Self> {
        if !have(&["tshark"]) {
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            println!("skipped: capturing needs root");
            return None;
        }
        let file = place.dir().join("capture.pcapng").display().to_string();
        let net = format!("net {}/24", place.host(0));
        let mut command = Command::new("tshark");
        let mut process = place.start("tshark", command.args(["-q", "-i", "lo", "-f", &net, "-w", &file]));
        wait_for("the capture", START_MAX, || {
            assert!(process.lives(), "{}", process.log());
            fs::metadata(&file).is_ok_and(|file| file.len() > 0)
        });
        Some(Self { process, file, ours: format!("ip.src == {}", place.host(1)) })
    }

    /// Ends it: the appliance must have sent something that each of the filters selects, and nothing malformed.
    pub fn finish(&mut self, sent: &[&str]) {
        // The kernel hands over what was captured a quarter of a second later at most.
        std::thread::sleep(Duration::from_secs(1));
        self.process.signal(rustix::process::Signal::INT);
        self.process.succeeds(STOP_MAX);
        for filter in sent {
            assert!(!self.packets(&format!("{filter} && {}", self.ours)).is_empty(), "{filter}: nothing was sent");
        }
        let malformed = self.packets(&format!("{} && (_ws.malformed || _ws.expert.severity == error)", self.ours));
        assert!(malformed.is_empty(), "{}", malformed.join("\n"));
    }

    /// Packets that a display filter selects, one line each.
    pub fn packets(&self, filter: &str) -> Vec<String> {
        // Two passes: a stream is known from the description that announces it.
        let output = Command::new("tshark").args(["-n", "-2", "-r", &self.file, "-Y", filter]).output().unwrap();
        assert!(output.status.success(), "{filter}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}

/// The appliance as a process of its own.
pub struct Appliance {
    process: Peer,
    data: PathBuf,
}

impl Appliance {
    /// Starts one with the shared provisioning and `more`, and waits until it serves.
    pub fn start(place: &Place, more: &str) -> Self {
        Self::start_provisioned(place, &place.provision(more))
    }

    /// The same, with these lines in `[sip]`.
    pub fn start_with(place: &Place, sip: &str, more: &str) -> Self {
        Self::start_provisioned(place, &place.provision(more).replacen("[sip]\n", &format!("[sip]\n{sip}\n"), 1))
    }

    /// The same with `sip` in place of the shared `[sip]` table.
    pub fn start_with_sip(place: &Place, sip: &str, more: &str) -> Self {
        let shared = BASE.split_once("\n[media]").map_or("", |(_, rest)| rest);
        Self::start_provisioned(place, &place.fill(&format!("{sip}\n[media]{shared}{more}")))
    }

    /// The same with a whole provisioning.
    pub fn start_provisioned(place: &Place, provisioning: &str) -> Self {
        let file = place.dir().join("provision.toml");
        fs::write(&file, provisioning).unwrap();
        let mut command = cordboard(&place.data());
        command.args(["run", "--provision"]).arg(&file);
        let mut appliance = Self { process: place.start("cordboard", &mut command), data: place.data() };
        let end = Instant::now() + START_MAX;
        while !appliance.ask(&["status"]).status.success() {
            let there = appliance.process.lives() && Instant::now() < end;
            assert!(there, "the appliance did not start\n{}", appliance.process.log());
            sleep(LOOK);
        }
        appliance
    }

    /// `cordboard ARGS`.
    pub fn ask(&self, args: &[&str]) -> Output {
        cordboard(&self.data).args(args).output().unwrap()
    }

    fn json(&self, view: &str) -> Value {
        let output = self.ask(&[view, "--json"]);
        assert!(output.status.success(), "{view}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// `cordboard status`.
    pub fn status(&self) -> Value {
        self.json("status")
    }

    /// A counter of the status.
    pub fn count(&self, name: &str) -> u64 {
        self.status()[name].as_u64().unwrap_or_else(|| panic!("status has no number {name}"))
    }

    /// `cordboard contracts`.
    pub fn contracts(&self) -> Value {
        self.json("contracts")
    }

    /// `cordboard agents`.
    pub fn agents(&self) -> Value {
        self.json("agents")
    }

    /// `cordboard trunks`.
    pub fn trunks(&self) -> Value {
        self.json("trunks")
    }

    /// Whether an alarm of this name stands.
    pub fn has_alarm(&self, name: &str) -> bool {
        self.status()["alarms"].as_array().is_some_and(|alarms| alarms.iter().any(|a| a["name"] == name))
    }

    /// Whether the process runs.
    pub fn lives(&mut self) -> bool {
        self.process.lives()
    }

    /// Waits until no call is up, and takes all records. All must be complete.
    pub fn cdrs(&self) -> Vec<Value> {
        wait_for("the last call's end", Duration::from_secs(20), || self.count("calls") == 0);
        let mut cdrs = Vec::new();
        // The store may still be writing what the core has ended.
        wait_for("complete records", Duration::from_secs(20), || {
            cdrs = self.records();
            cdrs.iter().all(|cdr| !cdr["ended_at"].is_null() && !cdr["cause"].is_null())
        });
        cdrs
    }

    fn records(&self) -> Vec<Value> {
        let output = self.ask(&["cdr", "export", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Sends the process a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        self.process.signal(signal);
    }

    /// SIGTERM; it must end by itself and without an error, and must not have panicked.
    pub fn stop(mut self) {
        self.process.signal(rustix::process::Signal::TERM);
        self.process.succeeds(STOP_MAX);
        let log = self.process.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

fn cordboard(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cordboard"));
    command.env_remove("CORDBOARD_DATA").arg("--data-dir").arg(data);
    command
}
