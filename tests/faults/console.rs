//! The control socket: who may use it, and what it makes of nonsense.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use cordboard::core::control::{Command, Query, Reply};
use cordboard::core::tenant::Provision;
use cordboard::core::tenant::provision::{Flow, Number, Tenant};
use cordboard::edge::console::{CLIENTS_MAX, Client, socket_path};

use crate::peers::{have, is_root};
use crate::process::{Process, ok, run};
use crate::site::{PATIENCE, Site, flow, quiet};

fn connect(site: &Site) -> BufReader<UnixStream> {
    let stream = UnixStream::connect(socket_path(&site.data())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    BufReader::new(stream)
}

fn say(client: &mut BufReader<UnixStream>, line: &[u8]) -> String {
    client.get_mut().write_all(line).unwrap();
    let mut answer = String::new();
    client.read_line(&mut answer).unwrap();
    answer
}

#[test]
fn garbage_half_lines_and_crowds_harm_nobody() {
    let site = Site::new();
    let live = site.start("");
    let mode = std::fs::metadata(socket_path(&site.data())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");

    let mut client = connect(&site);
    let nonsense: [&[u8]; 6] = [
        b"\n",
        b"status\n",
        b"{}\n",
        b"{\"query\":\"weather\"}\n",
        b"{\"query\":\"status\",\"command\":\"stop\"}\n",
        b"\xff\xfe\x00\x80{\n",
    ];
    for line in nonsense {
        let answer = say(&mut client, line);
        assert!(answer.contains("\"refused\""), "{:?}: {answer}", String::from_utf8_lossy(line));
    }
    assert!(say(&mut client, b"{\"query\":\"status\"}\n").contains("\"status\""), "the same client can go on");

    // Half a line, the rest later; another in between.
    client.get_mut().write_all(b"{\"query\":").unwrap();
    let mut second = connect(&site);
    assert!(say(&mut second, b"{\"query\":\"calls\"}\n").contains("\"calls\""));
    assert!(say(&mut client, b"\"agents\"}\n").contains("\"agents\""));
    drop((client, second));

    // One more than are taken.
    let mut crowd: Vec<_> = (0..CLIENTS_MAX).map(|_| connect(&site)).collect();
    for client in &mut crowd {
        // Those that left before may still be counted for a moment.
        let mut answer = say(client, b"{\"query\":\"queues\"}\n");
        while answer.is_empty() || answer.contains("\"refused\"") {
            *client = connect(&site);
            answer = say(client, b"{\"query\":\"queues\"}\n");
        }
        assert!(answer.contains("\"queues\""), "{answer}");
    }
    let mut late = connect(&site);
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"refused\""), "the client past the bound is told: {answer}");
    for client in &mut crowd {
        assert!(say(client, b"{\"query\":\"queues\"}\n").contains("\"queues\""));
    }
    drop(crowd);
    let mut client = Client::connect(&site.data()).unwrap().unwrap();
    while !matches!(client.query(&Query::Status), Ok(Reply::Status(_))) {
        client = Client::connect(&site.data()).unwrap().unwrap();
    }
    live.stop();
}

#[test]
fn log_levels_change_while_it_runs() {
    let site = Site::new();
    let file = site.file("site.toml", &site.text(1, ""));
    let _process = Process::start(&site, Some(&file));
    ok(&site, &["log-level", "proto::sip", "trace"]);
    ok(&site, &["log-level", "all", "warn"]);
    assert_eq!(run(&site, &["log-level", "all", "loud"]).status.code(), Some(1));
}

#[test]
fn another_user_is_refused_even_where_the_file_lets_him_in() {
    use std::os::unix::process::CommandExt;
    if !is_root() || !have("python3") {
        return;
    }
    let site = Site::new();
    let live = site.start(&flow("200", "quiet", &quiet()));
    let socket = socket_path(&site.data());
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    // Somebody was generous.
    for (path, mode) in [(site.data(), 0o755), (socket.clone(), 0o666)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    // Who is refused may find the socket closed before it has asked.
    let asks = "import contextlib,socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
        with contextlib.suppress(OSError): s.sendall(b'{\"query\":\"status\"}\\n')\nprint(s.makefile().readline())";
    let ask = |uid: u32| {
        let mut python = std::process::Command::new("python3");
        let output = python.args(["-c", asks]).arg(&socket).uid(uid).gid(uid).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(ask(65_534).contains("only root and the user"), "{}", ask(65_534));
    assert!(ask(0).contains("\"reply\":\"status\""), "{}", ask(0));
    live.stop();
}

#[test]
fn a_provisioning_with_faults_is_refused_by_the_socket_too_and_nothing_of_it_applied() {
    let site = Site::new();
    let live = site.start(&flow("200", "quiet", &quiet()));
    let good = site.provision(&flow("200", "quiet", &quiet()));
    let mut client = Client::connect(&site.data()).unwrap().unwrap();
    let mut apply = |change: &dyn Fn(&mut Provision)| {
        let mut provision = good.clone();
        change(&mut provision);
        match client.command(&Command::Provision { provision: Box::new(provision) }).unwrap() {
            Reply::Refused { reason } => reason,
            Reply::Done => "done".to_owned(),
            other => panic!("{other:?}"),
        }
    };
    let other = |p: &mut Provision| {
        p.tenant.push(Tenant { name: "blue".into(), ..p.tenant[0].clone() });
        p.flow.push(Flow { tenant: "blue".into(), ..p.flow[0].clone() });
    };
    let claimed = apply(&|p| {
        other(p);
        p.number.push(Number { tenant: "blue".into(), ..p.number[0].clone() });
    });
    assert!(claimed.starts_with("nothing is applied:\nnumber 200: "), "{claimed}");
    assert!(apply(&|p| p.number[0].tenant = "acne".into()).contains("\"acne\""));
    assert!(apply(&|p| p.flow[0].text.clear()).starts_with("nothing is applied:"));
    assert!(!ok(&site, &["tenant", "list"]).contains("blue"));
    assert_eq!(apply(&other), "done");
    assert!(ok(&site, &["tenant", "list"]).contains("blue"));
    live.stop();
}
