//! Started by root, it serves without a privilege; and what its systemd unit leaves it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cordboard::base::Cause;
use nix::unistd::{User, chown, geteuid};

use crate::phone::Phone;
use crate::process::Process;
use crate::site::{Site, flow, quiet, until};

/// A user that every system has.
const USER: &str = "nobody";
/// Below 1024: root's.
const PORT: u16 = 506;

/// Whether this process may become someone else; said where it may not.
fn is_root() -> bool {
    if !geteuid().is_root() {
        println!("skipped: this is not root");
    }
    geteuid().is_root()
}

/// Provisioning with a listener that needs root.
fn prepare(site: &Site) -> (PathBuf, std::net::SocketAddr) {
    let mut server = site.server();
    server.set_port(PORT);
    let text = site.text(2, &flow("200", "quiet", &quiet())).replace(&site.server().to_string(), &server.to_string());
    (site.file("site.toml", &text), server)
}

/// A line of each thread's status, without its name.
fn statuses(pid: u32, name: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).unwrap();
    let line = |text: String| text.lines().find_map(|l| l.strip_prefix(name).map(|l| l.trim().to_owned())).unwrap();
    tasks.map(|task| line(status(task.unwrap()))).collect()
}

fn everywhere(pid: u32, name: &str, wanted: &str) {
    let found = statuses(pid, name);
    assert!(found.len() > 4, "{} threads", found.len());
    assert!(found.iter().all(|f| f.split_whitespace().collect::<Vec<_>>().join(" ") == wanted), "{name} {found:?}");
}

#[test]
fn root_binds_the_ports_and_no_thread_is_root_when_calls_are_served() {
    let site = Site::new();
    if !is_root() {
        return;
    }
    let (file, server) = prepare(&site);
    let user = User::from_name(USER).unwrap().expect("a user nobody");
    let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
    // Twice: what the first run made is there for the second.
    for from in ["5551", "5552"] {
        let mut process = Process::start_with(&site, Some(&file), &["--user", USER]);
        let pid = process.id();
        everywhere(pid, "Uid:", &[uid.as_str(); 4].join(" "));
        everywhere(pid, "Gid:", &[gid.as_str(); 4].join(" "));
        everywhere(pid, "Groups:", &gid);
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            everywhere(pid, set, "0000000000000000");
        }
        everywhere(pid, "NoNewPrivs:", "1");

        let mut caller = Phone::new(site.carrier(), server, from, 1);
        let session = caller.call("200");
        until("the call is up", || {
            caller.step();
            caller.is_up(session)
        });
        caller.hang_up(session);
        assert_eq!(site.ended(from).cause, Some(Cause::Normal));
        for entry in fs::read_dir(site.data()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().uid(), user.uid.as_raw(), "{}", entry.path().display());
        }
        process.terminate();
        until("it ends", || process.ended() == Some(0));
    }
    assert_eq!(fs::metadata(site.data()).unwrap().permissions().mode() & 0o777, 0o700);
}

fn refused(site: &Site, user: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cordboard"));
    let Output { status, stderr, .. } =
        command.args(["run", "--user", user, "--data-dir"]).arg(site.data()).output().unwrap();
    assert!(!status.success());
    String::from_utf8(stderr).unwrap()
}

#[test]
fn who_cannot_be_served_as_is_told_with_what_to_do() {
    let site = Site::new();
    let unknown = refused(&site, "no-such-user");
    assert!(unknown.contains("there is no user \"no-such-user\"; `useradd"), "{unknown}");
    assert!(refused(&site, "nobody:no-such-group").contains("there is no group \"no-such-group\""));
    assert!(refused(&site, "root").contains("this is root"));
    assert!(!site.data().exists(), "nothing was made");
    if !is_root() {
        assert!(refused(&site, "nobody").contains("only root may become nobody"));
        return;
    }
    // What belongs to somebody else is not given away, wherever a link may lead.
    fs::create_dir(site.data()).unwrap();
    let roots = refused(&site, USER);
    let dir = site.data().display().to_string();
    assert!(roots.contains(&format!("{dir} does not belong to nobody; `chown --recursive nobody {dir}`")), "{roots}");
    let user = User::from_name(USER).unwrap().expect("a user nobody");
    chown(&site.data(), Some(user.uid), Some(user.gid)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", site.data().join("cordboard.db")).unwrap();
    assert!(refused(&site, USER).contains("does not belong to nobody"));
    assert_eq!(fs::metadata("/etc/passwd").unwrap().uid(), 0);
}

/// What `systemd-analyze security` may say of the unit, times ten. 0 is the safest.
const EXPOSURE_MAX: u32 = 15;

#[test]
fn the_systemd_unit_leaves_it_little() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware/systemd/cordboard.service");
    let mut analyze = Command::new("systemd-analyze");
    let analyze = analyze.args(["security", "--offline=true", "--no-pager", &format!("--threshold={EXPOSURE_MAX}")]);
    let output = match analyze.arg(&unit).output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var("CORDBOARD_PEERS").as_deref() != Ok("required"), "systemd-analyze: {error}");
            return println!("skipped: systemd-analyze is not installed");
        }
    };
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{}", said.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
