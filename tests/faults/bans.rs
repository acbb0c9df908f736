//! Who floods is kept out, and the operator sees it and lets it in again.

use std::net::UdpSocket;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Process, ok, run};
use crate::site::{Site, during, until};

/// A stranger's probe. Each has a transaction of its own.
fn options(site: &Site, n: usize) -> String {
    let (server, them) = (site.server(), site.abroad());
    format!(
        "OPTIONS sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {them};rport;branch=z9hG4bK-{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:x@{them}>;tag=1\r\nTo: <sip:{server}>\r\nCall-ID: o{n}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

struct Stranger<'s> {
    site: &'s Site,
    socket: UdpSocket,
    sent: usize,
}

impl<'s> Stranger<'s> {
    fn new(site: &'s Site) -> Self {
        let socket = UdpSocket::bind((site.abroad(), 0)).unwrap();
        socket.connect(site.server()).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Self { site, socket, sent: 0 }
    }

    fn sends(&mut self) {
        self.sent += 1;
        self.socket.send(options(self.site, self.sent).as_bytes()).unwrap();
    }

    /// Whether a probe is answered within a moment.
    fn is_answered(&mut self) -> bool {
        let mut buffer = [0; 4_096];
        self.socket.set_nonblocking(true).unwrap();
        while self.socket.recv(&mut buffer).is_ok() {}
        self.socket.set_nonblocking(false).unwrap();
        self.sends();
        self.socket.recv(&mut buffer).is_ok_and(|len| buffer[..len].starts_with(b"SIP/2.0 200 "))
    }

    /// Sends until it is banned, as `cordboard bans` has it.
    fn floods(&mut self) -> Value {
        let mut bans = Value::Null;
        until("the flood is noticed", || {
            (0..100).for_each(|_| self.sends());
            bans = serde_json::from_str(&ok(self.site, &["bans", "--json"])).unwrap();
            bans.as_array().is_some_and(|bans| !bans.is_empty())
        });
        bans
    }
}

#[test]
fn a_flood_is_banned_shown_and_forgiven() {
    let site = Site::new();
    // Loopback is exempt by default.
    let file = site.file("site.toml", &site.text(1, "").replacen("[sip]\n", "[sip]\nexempt = []\n", 1));
    let process = Process::start(&site, Some(&file));
    let address = site.abroad().to_string();
    let mut stranger = Stranger::new(&site);
    until("the stranger is heard", || stranger.is_answered());
    assert_eq!(ok(&site, &["bans", "--json"]).trim(), "[]");
    let refused = run(&site, &["unban", &address]);
    assert_eq!(refused.status.code(), Some(1), "nobody is banned: {}", String::from_utf8_lossy(&refused.stderr));

    let bans = stranger.floods();
    assert_eq!(bans.as_array().map(Vec::len), Some(1), "{bans}");
    assert_eq!((&bans[0]["source"], &bans[0]["reason"]), (&address.as_str().into(), &"flood".into()), "{bans}");
    assert_eq!(bans[0]["times"], 1, "{bans}");
    let table = ok(&site, &["bans"]);
    assert!(table.lines().any(|line| line.starts_with(&address) && line.contains("flood")), "{table}");
    // Unread, whatever it sends and however slowly.
    during(Duration::from_secs(1), || assert!(!stranger.is_answered()));
    let status: Value = serde_json::from_str(&ok(&site, &["status", "--json"])).unwrap();
    assert!(status["load"]["shed"]["banned"].as_u64().is_some_and(|n| n > 0), "{}", status["load"]);

    assert_eq!(run(&site, &["unban"]).status.code(), Some(2), "one, or all");
    assert_eq!(run(&site, &["unban", "nonsense"]).status.code(), Some(1));
    assert_eq!(run(&site, &["unban", "192.0.2.1"]).status.code(), Some(1), "somebody else");
    assert!(!stranger.is_answered());
    ok(&site, &["unban", &address]);
    assert_eq!(ok(&site, &["bans", "--json"]).trim(), "[]");
    until("the stranger is heard again", || stranger.is_answered());

    // Forgiven is forgotten: the next ban is a first one.
    assert_eq!(stranger.floods()[0]["times"], 1);
    ok(&site, &["unban", "--all"]);
    until("the stranger is heard again", || stranger.is_answered());
    process.terminate();
}
