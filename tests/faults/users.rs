//! The socket for users: who may use it, what accounts of the machine get by it, and what keeps it from opening.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cordboard::core::control::{Command as Order, Query, Reply, WorkSpec};
use cordboard::edge::console::ACCOUNT_CLIENTS_MAX;
use nix::unistd::User;

use crate::peers::is_root;
use crate::process::ok;
use crate::site::{Live, PATIENCE, Site, agent, queue, until};

/// Accounts that every system has.
const BOSS: &str = "daemon";
const OTHER: &str = "nobody";
const STRANGER: &str = "bin";

const BLUE: &str = "[[tenant]]\nname = 'blue'\n[[skill]]\ntenant = 'blue'\nname = 'talk'\n\
    [[agent]]\ntenant = 'blue'\nname = 'bruno'\ncontact = 'sip:bruno@127.0.0.9:5060'\nskills = { talk = 1.0 }\n\
    [[queue]]\ntenant = 'blue'\nname = 'help'\nskills = { talk = 0.5 }\n";

/// A directory that all may enter and only its owner change, as /run/cordboard is.
pub fn directory(site: &Site) -> PathBuf {
    let directory = site.file("run", "").with_file_name("sockets");
    fs::create_dir_all(&directory).unwrap();
    for path in [directory.parent().unwrap(), &directory] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory
}

fn provisioning(socket: &Path) -> String {
    let user = |name: &str, role: &str, tenant: &str, account: &str| {
        format!("[[user]]\nname = '{name}'\nrole = '{role}'\n{tenant}account = '{account}'\n")
    };
    let (ana, tuesday) = (agent("ana", "signed_in = true"), queue("talk", ""));
    format!(
        "{ana}{tuesday}{BLUE}[access]\nsocket = '{}'\n{}{}",
        socket.display(),
        user("boss", "administrator", "tenant = 'acme'\n", BOSS),
        user("lead", "supervisor", "tenant = 'blue'\n", OTHER),
    )
}

/// The command line as an account of the machine.
struct Account {
    binary: PathBuf,
    socket: PathBuf,
    uid: u32,
}

impl Account {
    fn new(site: &Site, socket: &Path, name: &str) -> Self {
        let binary = site.file("place", "").with_file_name("cordboard");
        // Where the binary was built, others may not be let in.
        let built = env!("CARGO_BIN_EXE_cordboard");
        if !binary.exists() {
            fs::copy(built, &binary).unwrap();
            fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let uid = User::from_name(name).unwrap().expect("an account that every system has").uid.as_raw();
        Self { binary, socket: socket.to_owned(), uid }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(&self.binary);
        command.args(args).arg("--socket").arg(&self.socket).uid(self.uid).gid(self.uid).current_dir("/");
        command.output().unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says when it fails with this code.
    fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
        said
    }
}

fn add(live: &Live, tenant: &str, queue: &str) -> String {
    let item = serde_json::json!({ "tenant": tenant, "medium": "email", "queue": queue });
    let item: WorkSpec = serde_json::from_value(item).unwrap();
    match live.command(Order::WorkAdd { item: Box::new(item) }) {
        Reply::Added { work, .. } => work.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_accounts_of_the_machine_each_get_their_tenant_and_no_other_gets_anything() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let socket = directory(&site).join("users.sock");
    let live = site.start(&provisioning(&socket));
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o666);
    let (boss, lead) = (Account::new(&site, &socket, BOSS), Account::new(&site, &socket, OTHER));
    let (ours, theirs) = (add(&live, "acme", "talk"), add(&live, "blue", "help"));

    assert!(boss.ok(&["whoami"]).starts_with("boss is administrator of tenant acme\n"));
    assert!(lead.ok(&["whoami"]).starts_with("lead is supervisor of tenant blue\n"));
    for (who, own, foreign) in [(&boss, "ana", "bruno"), (&lead, "bruno", "ana")] {
        let agents = who.ok(&["agents", "--json"]);
        assert!(agents.contains(own) && !agents.contains(foreign), "{agents}");
    }
    let (works, others) = (boss.ok(&["work", "list", "--json"]), lead.ok(&["work", "list", "--json"]));
    assert!(works.contains("acme") && !works.contains("blue") && others.contains("blue"), "{works} {others}");
    let status = boss.ok(&["status", "--json"]);
    assert!(status.contains("\"tenant\":\"acme\"") && status.contains("\"works\":1"), "{status}");

    // What is another's is not there, nor is what is nowhere: the same words, the same code.
    let nowhere = "1".repeat(theirs.len());
    let (foreign, missing) = (
        boss.fails(1, &["work", "cancel", &theirs, "--reason", "x"]),
        boss.fails(1, &["work", "cancel", &nowhere, "--reason", "x"]),
    );
    assert_eq!(foreign.replace(&theirs, "ID"), missing.replace(&nowhere, "ID"));
    let (foreign, missing) =
        (boss.fails(1, &["agent", "pause", "blue/bruno"]), boss.fails(1, &["agent", "pause", "nowhere/bruno"]));
    assert_eq!(foreign.replace("blue", "T"), missing.replace("nowhere", "T"));

    assert!(boss.fails(1, &["trunks"]).contains("not with the role administrator: see trunks"));
    assert!(boss.fails(1, &["log-level", "all", "trace"]).contains("data folder"));
    assert!(boss.fails(2, &["agent", "list"]).contains("leave out --socket"));
    let stranger = Account::new(&site, &socket, STRANGER);
    let refused = stranger.fails(1, &["whoami"]);
    assert!(refused.contains("account \"bin\" is no user of this appliance"), "{refused}");
    assert!(stranger.fails(1, &["calls"]).contains("is no user"));

    boss.ok(&["agent", "pause", "acme/ana", "--reason", "tea"]);
    boss.ok(&["work", "cancel", &ours, "--reason", "spam"]);
    let trail = ok(&site, &["audit", "--json"]);
    let lines: Vec<&str> = trail.lines().collect();
    assert_eq!(lines.len(), 2, "what was refused is not in it: {trail}");
    assert!(lines[0].contains("work cancel") && lines[1].contains("\"did\":\"agent pause acme/ana: tea\""), "{trail}");
    assert!(lines[1].contains("\"user\":\"boss\"") && lines[1].contains("\"account\":\"daemon\""), "{trail}");
    live.stop();
    assert!(!socket.exists());
    assert!(boss.fails(1, &["calls"]).contains("no appliance answers"));
    assert_eq!(ok(&site, &["audit", "--json"]), trail, "it outlasts the process");
    assert_eq!(ok(&site, &["audit", "--tenant", "blue", "--json"]), "");
}

#[test]
fn one_account_cannot_take_the_places_of_others() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let socket = directory(&site).join("users.sock");
    // Whoever runs the tests is a user, too.
    let myself = User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    let text = format!("{}[[user]]\nname = 'me'\nrole = 'operator'\naccount = '{myself}'\n", provisioning(&socket));
    let live = site.start(&text);
    let connect = || {
        let stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        BufReader::new(stream)
    };
    let ask = |client: &mut BufReader<UnixStream>, line: &[u8]| {
        let mut answer = String::new();
        client.get_mut().write_all(line).unwrap();
        client.read_line(&mut answer).unwrap();
        answer
    };
    let mut crowd: Vec<_> = (0..ACCOUNT_CLIENTS_MAX).map(|_| connect()).collect();
    for client in &mut crowd {
        assert!(ask(client, b"{\"query\":\"calls\"}\n").contains("\"calls\""));
    }
    let mut late = String::new();
    connect().read_to_string(&mut late).unwrap();
    assert!(late.contains("clients of your account are connected already"), "{late}");
    let boss = Account::new(&site, &socket, BOSS);
    assert!(boss.ok(&["whoami"]).starts_with("boss is"), "others get in");
    // A line without an end is not kept.
    let flood = vec![b'x'; 2 << 20];
    drop(crowd[0].get_mut().write_all(&flood));
    let mut refused = String::new();
    drop(crowd[0].read_line(&mut refused));
    assert!(refused.is_empty() || refused.contains("line over 1048576 octets"), "{refused}");
    drop(crowd);
    until("places are given back", || ask(&mut connect(), b"{\"query\":\"calls\"}\n").contains("\"calls\""));
    live.stop();
}

#[test]
fn a_dead_socket_is_replaced_and_what_must_not_be_is_left_with_an_alarm() {
    let site = Site::new();
    let directory = directory(&site);
    let socket = directory.join("users.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let live = site.start(&provisioning(&socket));
    assert!(!live.alarm("users-shut-out"));
    assert!(UnixStream::connect(&socket).is_ok());
    live.stop();

    let shut_out = |what: &str| {
        let live = site.start(&provisioning(&socket));
        let status = live.status();
        let alarm = status.alarms.iter().find(|alarm| alarm.name == "users-shut-out").expect(what);
        assert!(alarm.subject.contains(what), "{alarm:?}");
        assert!(matches!(live.query(Query::Calls), Reply::Calls { .. }), "the rest is served");
        live.stop();
    };
    // Somebody's file.
    fs::write(&socket, "precious").unwrap();
    shut_out("no socket");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
    fs::remove_file(&socket).unwrap();
    // Another process's socket.
    let other = UnixListener::bind(&socket).unwrap();
    shut_out("another process answers");
    drop(other);
    fs::remove_file(&socket).unwrap();
    // Others could put a socket of their own there.
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    shut_out("others may change its directory");
    assert!(!socket.exists());
    fs::remove_dir_all(&directory).unwrap();
    shut_out("No such file");
}
