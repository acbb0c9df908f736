//! No password and no PIN is found where it does not belong: database, its WAL, log at its loudest, exports, listings,
//! records, backups.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use crate::phone::Phone;
use crate::process::{ok, run};
use crate::site::{Site, agent, flow, quiet, until};

/// What must not be found. The first is what the phone `ana` registers with.
const MARKERS: [&str; 3] = ["ana-secret", "90417365", "trunk-marker-5k"];

fn finds(path: &Path) -> Vec<&'static str> {
    let octets = fs::read(path).unwrap();
    let within = |marker: &&str| octets.windows(marker.len()).any(|w| w == marker.as_bytes());
    MARKERS.into_iter().filter(within).collect()
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).filter(|p| p.is_file()).collect()
}

#[test]
fn secrets_are_found_nowhere_but_where_they_are_asked_for() {
    let site = Site::new();
    let trunk = "[[trunk]]\nname = 'provider'\nkind = 'sip'\nuser = 'us'\npassword = 'trunk-marker-5k'\n\
        [[trunk.peer]]\naddress = '127.0.0.99'\n";
    let ana = agent("ana", "code = '2001'\npin = '90417365'\nsigned_in = true");
    let file = site.file("site.toml", &site.text(1, &(flow("200", "quiet", &quiet()) + &ana + trunk)));
    let log = site.file("log", "");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cordboard"));
    command.args(["run", "--log-level", "trace", "--data-dir"]).arg(site.data()).arg("--provision").arg(&file);
    let mut process = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
    until("it serves", || run(&site, &["status"]).status.success());

    // The phone logs in; another guesses; a console changes a PIN and puts it back.
    let _phone = Phone::new(site.office(), site.server(), "ana", 1).register();
    let mut stranger = Phone::new(site.abroad(), site.server(), "ana", 2);
    let call = stranger.call_known("200");
    until("the call is decided", || {
        stranger.step();
        stranger.is_up(call) || stranger.is_over(call)
    });
    ok(&site, &["agent", "set", "acme/ana", "pin=1"]);
    ok(&site, &["provision", "apply", &file.display().to_string()]);
    let backup = site.data().join("copy.db").display().to_string();
    ok(&site, &["backup", &backup]);
    for listing in [
        &["status", "--json"][..],
        &["provision", "export"],
        &["agent", "show", "acme/ana", "--json"],
        &["trunk", "show", "provider", "--json"],
        &["cdr", "export"],
        &["agents", "--json"],
        &["trunks", "--json"],
    ] {
        let shown = ok(&site, listing);
        assert!(!MARKERS.iter().any(|m| shown.contains(m)), "{listing:?} shows a secret:\n{shown}");
    }
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(fs::read_to_string(&log).unwrap().contains("listening on"), "nothing was logged");
    let mut looked_at = 0;
    for path in files(&site.data()).into_iter().chain([log]) {
        looked_at += 1;
        let found = finds(&path);
        assert!(found.is_empty(), "{} holds {found:?}", path.display());
    }
    assert!(looked_at >= 5, "too few files: {looked_at}");
    // They can be found, where somebody asks for them.
    let asked = ok(&site, &["provision", "export", "--secrets"]);
    assert!(MARKERS.iter().all(|m| asked.contains(m)), "{asked}");
}
