//! Started by root, it serves without a privilege; and what its systemd unit leaves it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cordboard::base::Cause;
use nix::unistd::{User, chown, geteuid};

use crate::peers::{have, is_root};
use crate::phone::Phone;
use crate::process::{Process, ok};
use crate::site::{Site, flow, quiet, until};

/// A user that every system has.
const USER: &str = "nobody";
/// Below 1024: root's.
const PORT: u16 = 506;

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
    if !is_root() {
        return;
    }
    let site = Site::new();
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
    if !geteuid().is_root() {
        assert!(refused(&site, "nobody").contains("only root may become nobody"));
    }
    if !is_root() {
        return;
    }
    // What belongs to somebody else is not given away, wherever a link may lead.
    fs::create_dir(site.data()).unwrap();
    let roots = refused(&site, USER);
    let dir = site.data().display().to_string();
    let advice = format!("`chown --recursive --no-dereference nobody {dir}`");
    assert!(roots.contains(&format!("{dir} does not belong to nobody; {advice}")), "{roots}");
    let user = User::from_name(USER).unwrap().expect("a user nobody");
    chown(&site.data(), Some(user.uid), Some(user.gid)).unwrap();
    let database = site.data().join("cordboard.db");
    symlink("/etc/passwd", &database).unwrap();
    let link = refused(&site, USER);
    let named = format!("{} does not belong to nobody; {advice}", database.display());
    assert!(link.contains(&named), "{link}");
    assert_eq!(fs::metadata("/etc/passwd").unwrap().uid(), 0);
    // The advice is the whole way out of it, but for a link that leads astray.
    let mut given = Command::new("chown");
    assert!(given.args(["--recursive", "--no-dereference", USER, &dir]).status().unwrap().success());
    assert_eq!(fs::symlink_metadata(&database).unwrap().uid(), user.uid.as_raw());
    assert_eq!(fs::metadata("/etc/passwd").unwrap().uid(), 0);
}

#[test]
fn the_data_folder_may_be_a_link_of_roots_to_a_folder_of_the_users() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let (file, _) = prepare(&site);
    let user = User::from_name(USER).unwrap().expect("a user nobody");
    let volume = file.with_file_name("volume");
    fs::create_dir(&volume).unwrap();
    symlink(&volume, site.data()).unwrap();
    let refusal = refused(&site, USER);
    assert!(refusal.contains(&format!("nobody {}`", volume.display())), "{refusal}");
    chown(&volume, Some(user.uid), Some(user.gid)).unwrap();
    let mut process = Process::start_with(&site, Some(&file), &["--user", USER]);
    ok(&site, &["status"]);
    process.terminate();
    until("it ends", || process.ended() == Some(0));
    // Whoever else made the link may lead it where it likes later.
    lchown(site.data(), Some(4_711), Some(4_711)).unwrap();
    let refusal = refused(&site, USER);
    assert!(refusal.contains(&format!("{} does not belong", site.data().display())), "{refusal}");
}

/// What `systemd-analyze security` may say of the unit, times ten. 0 is the safest.
const EXPOSURE_MAX: u32 = 15;

#[test]
fn the_systemd_unit_leaves_it_little() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware/systemd/cordboard.service");
    if !have("systemd-analyze") {
        return;
    }
    let mut analyze = Command::new("systemd-analyze");
    let analyze = analyze.args(["security", "--offline=true", "--no-pager", &format!("--threshold={EXPOSURE_MAX}")]);
    let output = analyze.arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{}", said.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
