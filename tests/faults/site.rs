//! A place of its own for each test: a data folder, loopback addresses that nobody else uses, and an appliance on them.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use cordboard::appliance::{Appliance, Options};
use cordboard::core::control::{AgentView, Command, Query, Reply, Status};
use cordboard::core::journal::Cdr;
use cordboard::core::tenant::{self, Provision};
use cordboard::edge::clock::Clock;
use cordboard::edge::console::Request;
use cordboard::edge::store::{CdrFilter, Reader};

/// Longest wait for anything. Only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Calls `step` until it says true.
pub fn until(what: &str, mut step: impl FnMut() -> bool) {
    let clock = Clock::start();
    let start = clock.mono();
    while !step() {
        assert!(clock.mono().since(start) < PATIENCE, "in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Calls `step` for so long, for what must not happen meanwhile.
pub fn during(time: Duration, mut step: impl FnMut()) {
    let clock = Clock::start();
    let start = clock.mono();
    while clock.mono().since(start) < time {
        step();
        thread::sleep(Duration::from_millis(2));
    }
}

/// Where a test is at home. Removed at its end.
pub struct Site {
    dir: PathBuf,
    net: [u8; 3],
}

impl Site {
    pub fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let dir = std::env::temp_dir().join(format!("cordboard-faults-{process}-{number}"));
        fs::create_dir_all(&dir).unwrap();
        // 127.0.0.0/8 is all loopback (RFC 1122 3.2.1.3): ports need not be shared out among tests.
        Self { dir, net: [127, 20 + (process % 200) as u8, number] }
    }

    fn host(&self, host: u8) -> IpAddr {
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, host).into()
    }

    /// The appliance.
    pub fn server(&self) -> SocketAddr {
        (self.host(1), 5060).into()
    }

    /// The trunk's peer.
    pub fn carrier(&self) -> IpAddr {
        self.host(2)
    }

    /// Where agents' phones are.
    pub fn office(&self) -> IpAddr {
        self.host(3)
    }

    /// Where nobody is known.
    pub fn abroad(&self) -> IpAddr {
        self.host(4)
    }

    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Provisioning: listeners, a SIP trunk `carrier`, a tenant `acme` with the skill `talk`, and `more`.
    pub fn text(&self, grace_s: u32, more: &str) -> String {
        let (server, carrier) = (self.server(), self.carrier());
        format!(
            "[sip]\nlisten = ['udp:{server}', 'tcp:{server}']\nstop_grace_s = {grace_s}\n\
             [media]\naddress = '{}'\nport_min = 20000\nport_max = 21999\n\
             [[trunk]]\nname = 'carrier'\nkind = 'sip'\n[[trunk.peer]]\naddress = '{carrier}'\nport = 5060\n\
             [[tenant]]\nname = 'acme'\ncountry = 'us'\n[[skill]]\ntenant = 'acme'\nname = 'talk'\n{more}",
            server.ip()
        )
    }

    pub fn provision(&self, more: &str) -> Provision {
        let text = self.text(2, more);
        tenant::parse(&text, "site.toml").unwrap_or_else(|faults| {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            panic!("{}\n{text}", lines.join("\n"))
        })
    }

    pub fn start(&self, more: &str) -> Live {
        self.restart(Some(self.provision(more)))
    }

    pub fn restart(&self, provision: Option<Provision>) -> Live {
        let options = Options { data_dir: self.data(), provision, ..Options::default() };
        Live(Appliance::start(options).unwrap())
    }

    /// Every record in the store.
    pub fn cdrs(&self) -> Vec<Cdr> {
        let reader = Reader::open(&self.data()).unwrap();
        reader.cdrs(&CdrFilter::default()).collect::<Result<_, _>>().unwrap()
    }

    /// The record of the call from this number, once it has ended.
    pub fn ended(&self, from: &str) -> Cdr {
        let mut found = None;
        until("the call's record is complete", || {
            found = self.cdrs().into_iter().find(|c| c.from.as_str() == from && c.ended_at.is_some());
            found.is_some()
        });
        found.unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// A flow, and the number that reaches it.
pub fn flow(number: &str, name: &str, steps: &str) -> String {
    let mut text = format!("[[flow]]\ntenant = 'acme'\nname = '{name}'\ntext = '''\n[flow]\nstart = \"hello\"\n");
    write!(text, "[step.hello]\ndo = \"answer\"\nnext = \"first\"\n{steps}\n").unwrap();
    if steps.contains("\"end\"") {
        text += "[step.end]\ndo = \"hangup\"\n";
    }
    text += "'''\n";
    text + &format!("[[number]]\nnumber = '{number}'\ntenant = 'acme'\nflow = '{name}'\n")
}

/// An agent `name` whose phone registers under that name, with the password `NAME-secret`.
pub fn agent(name: &str, more: &str) -> String {
    format!(
        "[[agent]]\ntenant = 'acme'\nname = '{name}'\nuser = '{name}'\npassword = '{name}-secret'\n\
         skills = {{ talk = 1.0 }}\n{more}\n"
    )
}

pub fn queue(name: &str, more: &str) -> String {
    format!("[[queue]]\ntenant = 'acme'\nname = '{name}'\nskills = {{ talk = 0.5 }}\n{more}\n")
}

/// A step `first` that puts the caller into a queue; past it the caller hears a prompt and is let go.
pub fn enqueue(queue: &str) -> String {
    format!(
        "[step.first]\ndo = \"enqueue\"\nqueue = \"{queue}\"\non_overflow = \"over\"\non_full = \"full\"\n\
         [step.over]\ndo = \"hangup\"\ncause = \"no-answer\"\n[step.full]\ndo = \"hangup\"\ncause = \"busy\"\n"
    )
}

/// A step `first` in which the caller hears nothing for a minute.
pub fn quiet() -> String {
    let silence = ["{ silence_ms = 10000 }"; 6].join(", ");
    format!("[step.first]\ndo = \"play\"\nprompt = [{silence}]\nnext = \"end\"\n")
}

/// An appliance in this process. Stopped at its end.
pub struct Live(pub Appliance);

impl Live {
    pub fn query(&self, query: Query) -> Reply {
        self.0.ask(Request::Query(query)).expect("the appliance is there")
    }

    pub fn command(&self, command: Command) -> Reply {
        self.0.ask(Request::Command(command)).expect("the appliance is there")
    }

    pub fn status(&self) -> Status {
        match self.query(Query::Status) {
            Reply::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    pub fn alarm(&self, name: &str) -> bool {
        self.status().alarms.iter().any(|a| a.name == name)
    }

    pub fn agent(&self, name: &str) -> AgentView {
        match self.query(Query::Agents) {
            Reply::Agents { agents } => agents.into_iter().find(|a| a.name == name).expect("a known agent"),
            other => panic!("{other:?}"),
        }
    }

    /// States of all calls, oldest first.
    pub fn calls(&self) -> Vec<String> {
        match self.query(Query::Calls) {
            Reply::Calls { calls } => calls.into_iter().map(|c| c.state).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// Ends all calls and waits for the end.
    pub fn stop(self) {
        self.command(Command::Stop);
        self.0.ask(Request::Command(Command::Stop));
        self.0.wait().unwrap();
    }
}
