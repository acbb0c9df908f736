use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use smol::Executor;
use smol::channel::Receiver;

use super::*;
use crate::core::control::{Command, Query, Reply, Status};
use crate::core::tenant::Provision;

/// A directory of its own, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cordboard-console-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Runs `client` against an appliance that answers with `answer`.
fn with_appliance<T: Send + 'static>(
    dir: &Dir,
    answer: impl Fn(Request) -> Option<Reply> + Send,
    client: impl FnOnce() -> T + Send + 'static,
) -> T {
    let executor = Arc::new(Executor::new());
    let (_console, asked): (Console, Receiver<Asked>) = Console::open(&dir.0, &executor, None).unwrap();
    let appliance = async {
        while let Ok(Asked { request, replier, .. }) = asked.recv().await {
            if let Some(reply) = answer(request) {
                replier.send(reply);
            }
        }
        unreachable!("the console is open")
    };
    smol::block_on(executor.run(smol::future::or(smol::unblock(client), appliance)))
}

#[test]
fn commands_and_queries_reach_the_appliance_and_answers_come_back() {
    let dir = Dir::new();
    let at = dir.0.clone();
    let replies = with_appliance(
        &dir,
        |request| {
            Some(match request {
                Request::Query(Query::Status) => Reply::Status(Box::new(Status { offered: 7, ..Status::default() })),
                Request::Command(Command::Provision { provision }) => {
                    assert_eq!(*provision, Provision::default());
                    Reply::Done
                }
                other => Reply::Refused { reason: format!("{other:?}") },
            })
        },
        move || {
            let mut client = Client::connect(&at).unwrap().unwrap();
            let provision = Box::new(Provision::default());
            let sign_in = Command::SignIn { tenant: "acme".into(), agent: "ana".into() };
            (
                client.query(&Query::Status).unwrap(),
                client.command(&Command::Provision { provision }).unwrap(),
                client.command(&sign_in).unwrap(),
            )
        },
    );
    assert!(matches!(replies.0, Reply::Status(status) if status.offered == 7));
    assert_eq!(replies.1, Reply::Done);
    assert!(matches!(replies.2, Reply::Refused { reason } if reason.contains("SignIn")));
}

#[test]
fn what_is_not_understood_is_refused_with_a_reason_and_the_client_stays() {
    let dir = Dir::new();
    let path = socket_path(&dir.0);
    let text = with_appliance(
        &dir,
        |_| Some(Reply::Done),
        move || {
            let mut stream = UnixStream::connect(path).unwrap();
            let lines = ["nonsense", "{}", r#"{"query":"weather"}"#, r#"{"log":{"module":"net","level":"debug"}}"#];
            stream.write_all(lines.join("\n").as_bytes()).unwrap();
            stream.write_all(b"\n{\"query\":\"calls\"}\n").unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        },
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines[0].contains("expected") && lines[1].contains("exactly one of"), "{text}");
    assert!(lines[2].contains("weather") && lines[3].contains("keeps no log"), "{text}");
    assert_eq!(lines[4], r#"{"reply":"done"}"#);
}

#[test]
fn an_unanswered_request_is_refused() {
    let dir = Dir::new();
    let at = dir.0.clone();
    let reply = with_appliance(&dir, |_| None, move || Client::connect(&at).unwrap().unwrap().query(&Query::Calls));
    assert!(matches!(reply.unwrap(), Reply::Refused { .. }));
}

#[test]
fn one_client_too_many_is_told_so() {
    let dir = Dir::new();
    let at = dir.0.clone();
    let reply = with_appliance(
        &dir,
        |_| Some(Reply::Done),
        move || {
            let mut clients: Vec<Client> = (0..CLIENTS_MAX).map(|_| Client::connect(&at).unwrap().unwrap()).collect();
            for client in &mut clients {
                assert_eq!(client.query(&Query::Calls).unwrap(), Reply::Done);
            }
            Client::connect(&at).unwrap().unwrap().query(&Query::Calls)
        },
    );
    assert!(matches!(reply.unwrap(), Reply::Refused { reason } if reason.contains("clients")));
}

#[test]
fn the_socket_is_private_replaces_a_dead_one_and_not_a_live_one() {
    let dir = Dir::new();
    assert!(Client::connect(&dir.0).unwrap().is_none(), "no socket, no appliance");
    drop(std::os::unix::net::UnixListener::bind(socket_path(&dir.0)).unwrap());
    assert!(Client::connect(&dir.0).unwrap().is_none(), "a dead socket is no appliance");
    let executor = Arc::new(Executor::new());
    let (console, _asked) = Console::open(&dir.0, &executor, None).unwrap();
    let mode = std::fs::metadata(socket_path(&dir.0)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(Console::open(&dir.0, &executor, None), Err(ConsoleError::Running { .. })));
    drop(console);
    assert!(!socket_path(&dir.0).exists());
}

#[test]
fn a_path_too_long_for_a_socket_address_works_all_the_same() {
    let dir = Dir::new();
    let deep = dir.0.join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let executor = Arc::new(Executor::new());
    let (_console, _asked) = Console::open(&deep, &executor, None).unwrap();
    assert!(socket_path(&deep).exists());
    assert!(Client::connect(&deep).unwrap().is_some());
}
