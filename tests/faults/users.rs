//! The socket for users: who may use it, what accounts of the machine get by it, and what keeps it from opening.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cordboard::appliance::{Appliance, Options};
use cordboard::base::{Cause, Medium, Timestamp, WorkItemId};
use cordboard::core::contact::{Outcome, Work, WorkState};
use cordboard::core::control::{Command as Order, Query, Reply, WorkSpec};
use cordboard::core::journal::{Audit, Cdr, Change};
use cordboard::core::records::RECORDS_MAX;
use cordboard::core::tenant::provision::Role;
use cordboard::edge::console::ACCOUNT_CLIENTS_MAX;
use cordboard::edge::store::{AppendError, Store};
use nix::unistd::User;

use crate::peers::is_root;
use crate::phone::Phone;
use crate::process::{ok, run};
use crate::site::{Live, PATIENCE, Site, agent, flow, queue, quiet, until};

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
        let mut output = None;
        // A child that another test has just forked may hold the copy open for writing until it is another program.
        until("the copy can be run", || match command.output() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => false,
            done => {
                output = Some(done.unwrap());
                true
            }
        });
        output.expect("it ran")
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

/// An administrator changes what is provisioned of the own tenant.
fn self_service(boss: &Account, lead: &Account) {
    let agents = boss.ok(&["agent", "list", "--json"]);
    assert!(agents.contains("ana") && !agents.contains("bruno"), "{agents}");
    let added = boss.ok(&["agent", "add", "acme/ben", "user=acme.ben", "password=not-told", "skills.talk=0.5"]);
    assert_eq!(added, "+ agent acme/ben\n1 changed\n");
    assert!(boss.ok(&["agents"]).contains("acme/ben"), "it is there at once");
    assert_eq!(boss.ok(&["agent", "set", "acme/ben", "ring_s=9"]), "~ agent acme/ben: ring_s 20 -> 9\n1 changed\n");
    let shown = boss.ok(&["agent", "show", "acme/ben"]);
    assert!(shown.contains("ring_s = 9") && !shown.contains("not-told"), "{shown}");
    assert_eq!(boss.ok(&["agent", "set", "acme/ben", "ring_s=8", "--dry-run"]).lines().count(), 2);
    let two = boss.ok(&["agent", "add", "acme/x{n}", "range=[1, 2]", "user=acme.x{n}", "password=p{n}"]);
    assert!(two.ends_with("2 changed\n"), "{two}");
    for (args, what) in [
        (
            ["agent", "set", "acme/ana", "contact=sip:x@198.51.100.1"],
            "`contact` of an agent is for the operator to set",
        ),
        (["agent", "add", "acme/cid", "user=bruno"], "begins with the tenant's name"),
        (["agent", "set", "acme/ben", "skills.tea=0.5"], "skill \"tea\" is not there"),
        (["queue", "set", "acme/talk", "target_s=0"], "`target_s` is 0"),
        (["number", "add", "201", "tenant=acme"], "flow"),
        (["queue", "add", "blue/mine", "target_s=9"], "no tenant \"blue\" is provisioned"),
    ] {
        let output = boss.run(&args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(what), "{args:?}: {said}");
    }
    assert!(boss.fails(1, &["agent", "remove", "blue/bruno"]).contains("there is no agent"));
    assert!(lead.fails(1, &["skill", "add", "blue/tea"]).contains("not with the role supervisor"));
    assert!(lead.ok(&["agent", "list"]).contains("bruno"));
    for name in ["acme/ben", "acme/x1", "acme/x2"] {
        assert_eq!(boss.ok(&["agent", "remove", name]), format!("- agent {name}\n1 changed\n"));
    }
}

#[test]
fn two_accounts_of_the_machine_each_get_their_tenant_and_no_other_gets_anything() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let socket = directory(&site).join("users.sock");
    let live = site.start(&(provisioning(&socket) + &flow("200", "quiet", &quiet())));
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o666);
    let (boss, lead) = (Account::new(&site, &socket, BOSS), Account::new(&site, &socket, OTHER));
    let mut caller = Phone::new(site.carrier(), site.server(), "5551", 1);
    let session = caller.call("200");
    until("the call is up", || {
        caller.step();
        caller.is_up(session)
    });
    caller.hang_up(session);
    site.ended("5551");
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
    assert!(boss.fails(1, &["metrics"]).contains("that is of the whole appliance"));
    assert!(boss.fails(1, &["agent", "pause", "acme/ana", "--reason", "t\u{202e}ea"]).contains("control characters"));
    assert!(boss.fails(1, &["log-level", "all", "trace"]).contains("data folder"));
    assert!(boss.fails(2, &["trunk", "list"]).contains("leave out --socket"));
    self_service(&boss, &lead);
    let stranger = Account::new(&site, &socket, STRANGER);
    let refused = stranger.fails(1, &["whoami"]);
    assert!(refused.contains("account \"bin\" is no user of this appliance"), "{refused}");
    assert!(stranger.fails(1, &["calls"]).contains("is no user"));

    boss.ok(&["agent", "pause", "acme/ana", "--reason", "tea"]);
    boss.ok(&["work", "cancel", &ours, "--reason", "spam"]);
    lead.ok(&["work", "cancel", &theirs, "--reason", "spam"]);

    // What is on record, too.
    let (ended, others) =
        (boss.ok(&["work", "list", "--state", "ended", "--json"]), lead.ok(&["work", "list", "--state", "ended"]));
    assert!(ended.contains(&ours) && !ended.contains(&theirs), "{ended}");
    assert!(others.contains(&theirs) && !others.contains(&ours), "{others}");
    assert!(boss.ok(&["work", "show", &ours]).contains("spam"));
    let (foreign, missing) = (boss.fails(1, &["work", "show", &theirs]), boss.fails(1, &["work", "show", &nowhere]));
    assert_eq!(foreign.replace(&theirs, "ID"), missing.replace(&nowhere, "ID"));
    let calls = boss.ok(&["cdr", "export", "--json"]);
    let call: serde_json::Value = serde_json::from_str(calls.lines().next().expect("a call")).unwrap();
    assert!(calls.lines().count() == 1 && call["tenant"] == "acme", "{calls}");
    assert_eq!(lead.ok(&["cdr", "export", "--json"]), "");
    assert!(boss.fails(1, &["cdr", "export", "--tenant", "blue"]).contains("no tenant \"blue\""));
    let id = call["call_id"].as_str().expect("an id");
    assert!(boss.ok(&["trunk", "explain", id]).contains("no circuit that tenants share"));
    assert!(lead.fails(1, &["trunk", "explain", id]).contains("there is no call"));
    assert!(boss.ok(&["audit", "--json"]).contains("agent pause") && !boss.ok(&["audit"]).contains("blue"));
    assert!(lead.fails(1, &["audit"]).contains("not with the role supervisor"));
    let trail = ok(&site, &["audit", "--json"]);
    let lines: Vec<&str> = trail.lines().collect();
    assert_eq!(lines.len(), 3 + 7, "what was refused is not in it: {trail}");
    assert!(trail.contains("set agent acme/ben") && trail.contains("remove agent acme/x2"), "{trail}");
    assert!(!trail.contains("not-told"), "{trail}");
    assert!(lines[1].contains("work cancel") && lines[2].contains("\"did\":\"agent pause acme/ana: tea\""), "{trail}");
    assert!(lines[2].contains("\"user\":\"boss\"") && lines[2].contains("\"account\":\"daemon\""), "{trail}");
    live.stop();
    assert!(!socket.exists());
    assert!(boss.fails(1, &["calls"]).contains("no appliance answers"));
    assert_eq!(ok(&site, &["audit", "--json"]), trail, "it outlasts the process");
    assert_eq!(ok(&site, &["audit", "--tenant", "blue", "--json"]).lines().count(), 1);
}

/// What an earlier run left on record: calls and ended work items of both tenants in turns, several at each moment, and what
/// was ordered of them. Ids of acme's are even, those of works come after those of calls.
fn left_on_record(site: &Site, count: u64) {
    let (store, recovered) = Store::open(&site.data()).unwrap();
    let mut seq = recovered.next_seq;
    let mut append = |change: Change| {
        until("the store has room", || match store.append(seq, change.clone()) {
            Err(AppendError::Full) => false,
            other => other.is_ok() || panic!("{other:?}"),
        });
        seq += 1;
    };
    for id in 1..=count {
        let (at, tenant) = (1_000 + id as i64 / 7, if id.is_multiple_of(2) { "acme" } else { "blue" });
        let (ended, text) = (Timestamp(at + 5), format!("{id:016x}"));
        let cdr = serde_json::json!({
            "call_id": text, "tenant": tenant, "medium": "voice", "direction": "inbound", "from": "+4930", "to": "200",
            "started_at": at, "answered_at": null, "ended_at": null, "agent": null, "cause": null, "queued_ms": 0,
            "legs": [], "events": [],
        });
        let mut cdr: Box<Cdr> = Box::new(serde_json::from_value(cdr).unwrap());
        append(Change::CallStarted { cdr: cdr.clone() });
        (cdr.ended_at, cdr.cause) = (Some(ended), Some(Cause::Normal));
        append(Change::CallEnded { cdr });
        let mut work = Work::new(WorkItemId(count + id), (tenant, "talk"), Medium::Email, Timestamp(at), None);
        (work.state, work.ended_at, work.outcome) = (WorkState::Ended, Some(ended), Some(Outcome::Cancelled));
        append(Change::WorkChanged { work: Box::new(work) });
        let (user, account) = ("u".to_owned(), "u".to_owned());
        let (role, tenant, at) = (Role::Supervisor, Some(tenant.to_owned()), Timestamp(at));
        append(Change::Audited { audit: Box::new(Audit { at, user, account, role, tenant, did: text }) });
    }
    store.close().unwrap();
    assert_eq!(site.cdrs().len() as u64, count);
}

#[test]
fn users_read_page_by_page_all_that_is_on_record_of_their_tenant() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let socket = directory(&site).join("users.sock");
    let count = 3 * RECORDS_MAX as u64;
    left_on_record(&site, count);
    let provision = site.provision(&provisioning(&socket));
    let mut started = None;
    // A child that another test has just forked holds the lock until it is another program.
    until("the lock is free", || {
        let options = Options { data_dir: site.data(), provision: Some(provision.clone()), ..Options::default() };
        started = Appliance::start(options).ok().map(Live);
        started.is_some()
    });
    let live = started.expect("it runs");
    let boss = Account::new(&site, &socket, BOSS);
    let field = |line: &str, name: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        u64::from_str_radix(value[name].as_str().unwrap(), 16).unwrap()
    };
    let ours: Vec<u64> = (1..=count).filter(|id| id.is_multiple_of(2)).collect();
    assert!(ours.len() > RECORDS_MAX);
    let calls = |args: &[&str]| -> Vec<u64> {
        let text = boss.ok(&[&["cdr", "export", "--json"], args].concat());
        text.lines().map(|line| field(line, "call_id")).collect()
    };
    assert_eq!(calls(&[]), ours);
    assert_eq!(calls(&["--limit", "600"]), ours[..600]);
    assert_eq!(calls(&["--tenant", "acme", "--limit", "3"]), ours[..3]);
    let works = boss.ok(&["work", "list", "--state", "ended", "--limit", "5000", "--json"]);
    let works: Vec<Work> = serde_json::from_str(&works).unwrap();
    let mut expected = ours.clone();
    expected.sort_by_key(|id| std::cmp::Reverse((id / 7, *id)));
    assert_eq!(works.iter().map(|work| work.id.0 - count).collect::<Vec<_>>(), expected);
    let trail = |limit: &str| -> Vec<u64> {
        let text = boss.ok(&["audit", "--limit", limit, "--json"]);
        text.lines().map(|line| field(line, "did")).collect()
    };
    let newest: Vec<u64> = ours.iter().rev().copied().collect();
    assert_eq!(trail("5000"), newest);
    assert_eq!(trail("601"), newest[..601]);
    // What is another's is what is nowhere.
    for (words, theirs) in [(["trunk", "explain"], 3), (["work", "show"], count + 3), (["work", "explain"], count + 3)]
    {
        let said = |id: u64| {
            boss.fails(1, &[&words[..], &[&format!("{id:016x}")]].concat()).replace(&format!("{id:016x}"), "ID")
        };
        assert_eq!(said(theirs), said(3 * count), "{words:?}");
    }
    live.stop();
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
    // Or a directory of their own.
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let above = directory.parent().unwrap();
    fs::set_permissions(above, fs::Permissions::from_mode(0o775)).unwrap();
    shut_out("others may change its directory");
    fs::set_permissions(above, fs::Permissions::from_mode(0o1777)).unwrap();
    fs::remove_dir_all(&directory).unwrap();
    shut_out("No such file");
}

#[test]
fn who_gives_a_tenants_name_again_is_told_of_what_is_on_record() {
    let site = Site::new();
    let more = queue("talk", "");
    let live = site.start(&more);
    let work = add(&live, "acme", "talk");
    ok(&site, &["work", "cancel", &work, "--reason", "spam"]);
    live.stop();
    let (acme, other) =
        (site.file("acme.toml", &site.text(1, &more)), site.file("other.toml", "[[tenant]]\nname = 'other'\n"));
    let apply = |file: &Path| {
        let output = run(&site, &["provision", "apply", file.to_str().unwrap()]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(apply(&other), "");
    assert!(apply(&acme).contains("there are records of an earlier tenant acme"));
}
