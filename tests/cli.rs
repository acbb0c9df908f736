//! The command line as an operator meets it: the binary itself, on a data directory of its own, without and with a running appliance.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use cordboard::base::{CallId, Cause, Timestamp};
use cordboard::core::journal::{Cdr, Change, Direction, LegRecord};
use cordboard::edge::store::Store;

/// A directory of its own, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cordboard-cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cordboard"));
        command.args(args).arg("--data-dir").arg(self.data()).env_remove("CORDBOARD_DATA").output().unwrap()
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Runs what must succeed; its standard output.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs what must fail; its standard error.
    fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
        errors
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

const FLOW: &str = "[flow]\nname = 'Main'\nstart = 'a'\n\n[step.a]\ndo = 'answer'\nnext = 'q'\n\n\
                    [step.q]\ndo = 'enqueue'\nqueue = 'sales'\n";

fn provisioned() -> (Dir, String) {
    let dir = Dir::new();
    dir.file("main.toml", FLOW);
    let file = dir.file(
        "acme.toml",
        "[[tenant]]\nname = 'acme'\n\n[[skill]]\ntenant = 'acme'\nname = 'sales'\n\n\
         [[agent]]\ntenant = 'acme'\nname = 'a{n}'\nrange = [1, 3]\nuser = 'a{n}'\npassword = 'hidden-{n}'\n\
         skills = { sales = 0.8 }\n\n\
         [[queue]]\ntenant = 'acme'\nname = 'sales'\nskills = { sales = 0.5 }\n\n\
         [[flow]]\ntenant = 'acme'\nname = 'main'\nfile = 'main.toml'\n\n\
         [[number]]\nnumber = '100'\ntenant = 'acme'\nflow = 'main'\n",
    );
    dir.ok(&["provision", "apply", &file]);
    (dir, file)
}

#[test]
fn applying_is_idempotent_and_says_what_it_does() {
    let (dir, file) = provisioned();
    assert_eq!(dir.ok(&["provision", "apply", &file]), "nothing to change\n");
    let more = fs::read_to_string(&file).unwrap().replace("[1, 3]", "[1, 4]");
    let more = dir.file("more.toml", &more);
    let said = dir.ok(&["provision", "apply", &more, "--dry-run"]);
    assert!(said.contains("+ agent acme/a4") && said.contains("not applied"), "{said}");
    assert!(!dir.ok(&["agent", "list"]).contains("a4"));
    dir.ok(&["provision", "apply", &more]);
    assert!(dir.ok(&["agent", "list"]).contains("acme/a4"));
}

#[test]
fn attributes_and_routing_are_changed_from_the_command_line() {
    let (dir, _) = provisioned();
    dir.ok(&["attribute", "add", "acme/language", "kind=symbol", "values=['en', 'es']"]);
    dir.ok(&["agent", "set", "acme/a1", "attributes.language=['en', 'es']", "slots.chat=2"]);
    dir.ok(&["queue", "set", "acme/sales", "modifier=[{ attribute = 'language', mode = 'required' }]"]);
    let said = dir.ok(&["tenant", "set", "acme", "routing.policy=fifo", "routing.weights.flex=10"]);
    assert!(said.contains("~ tenant acme: routing none -> "), "{said}");
    let said = dir.ok(&["tenant", "set", "acme", "routing.weights.flex=12.5"]);
    assert!(said.contains("~ tenant acme: routing.weights.flex 10.0 -> 12.5\n"), "{said}");
    assert!(dir.ok(&["attribute", "list"]).contains("acme/language  symbol  en, es"));
    assert!(dir.ok(&["agent", "show", "acme/a1"]).contains("chat = 2"));
    let refused = dir.fails(1, &["agent", "set", "acme/a2", "attributes.language=fr"]);
    assert!(refused.contains("attribute \"language\" has no value \"fr\""), "{refused}");
    let refused = dir.fails(1, &["attribute", "remove", "acme/language"]);
    assert!(refused.contains("attribute \"language\" is not there in tenant \"acme\""), "{refused}");
    let whole = dir.file("whole.toml", &dir.ok(&["provision", "export", "--secrets"]));
    assert_eq!(dir.ok(&["provision", "apply", &whole]), "nothing to change\n");
}

#[test]
fn a_queue_that_nobody_could_serve_is_warned_of() {
    let (dir, _) = provisioned();
    let output = dir.run(&["queue", "set", "acme/sales", "skills.sales=0.9"]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "warning: queue acme/sales: no agent of the tenant could ever serve it\n");
}

#[test]
fn an_export_without_secrets_shows_none_and_with_them_applies_to_nothing_new() {
    let (dir, _) = provisioned();
    let open = dir.ok(&["provision", "export"]);
    assert!(!open.contains("hidden-1"), "{open}");
    let whole = dir.0.join("whole.toml").display().to_string();
    dir.ok(&["provision", "export", "--secrets", "-o", &whole]);
    assert!(fs::read_to_string(&whole).unwrap().contains("hidden-1"));
    assert_eq!(dir.ok(&["provision", "apply", &whole]), "nothing to change\n");
}

#[test]
fn faulty_files_report_every_fault_with_its_place_and_change_nothing() {
    let (dir, _) = provisioned();
    let before = dir.ok(&["provision", "export", "--secrets"]);
    let faulty = dir.file(
        "faulty.toml",
        "[[tenant]]\nname = 'acme'\ncolour = 'red'\n\n[[agent]]\ntenant = 'acne'\nname = 'x'\nring_s = 'soon'\n",
    );
    let said = dir.fails(1, &["provision", "apply", &faulty]);
    for place in [":3:1: ", ":6:", ":8:"] {
        assert!(said.contains(&format!("{faulty}{place}")), "{place} in {said}");
    }
    assert_eq!(dir.fails(1, &["check", &faulty]), said);
    assert_eq!(dir.ok(&["provision", "export", "--secrets"]), before);
    let flow = dir.file("flow.toml", "[flow]\nname = 'x'\nstart = 'b'\n[step.a]\ndo = 'dance'\n");
    let said = dir.fails(1, &["flow", "check", &flow]);
    assert!(said.contains(&format!("{flow}:5:")) && said.lines().count() > 2, "{said}");
}

#[test]
fn entities_are_edited_through_the_schema_and_the_check() {
    let (dir, _) = provisioned();
    let said = dir.ok(&["agent", "set", "acme/a1", "ring_s=9", "code=0042", "pin=0077", "skills.sales=1"]);
    assert!(said.contains("~ agent acme/a1") && said.contains("ring_s 20 -> 9"), "{said}");
    let shown: serde_json::Value = serde_json::from_str(&dir.ok(&["agent", "show", "acme/a1", "--json"])).unwrap();
    assert_eq!((&shown["ring_s"], &shown["code"]), (&9.into(), &"0042".into()));
    assert_eq!(shown["password"], "[redacted]");
    assert!(dir.fails(2, &["agent", "set", "acme/a1", "ringing=9"]).contains("unknown field"));
    // What other entities refer to cannot go.
    assert!(dir.fails(1, &["queue", "remove", "acme/sales"]).contains("sales"));
    assert!(dir.fails(1, &["skill", "remove", "acme/sales"]).contains("sales"));
    assert!(dir.fails(1, &["agent", "remove", "acme/a9"]).contains("there is no agent"));
    let secret = dir.file("secret", "from-a-file\nrest\n");
    dir.ok(&["agent", "set", "acme/a1", &format!("password=@{secret}")]);
    assert!(dir.ok(&["provision", "export", "--secrets"]).contains("from-a-file"));
    let flow = dir.file("other.toml", &FLOW.replace("Main", "Other"));
    dir.ok(&["flow", "set", "acme/main", &format!("file={flow}")]);
    assert!(dir.ok(&["flow", "show", "acme/main"]).contains("Other"));
}

#[test]
fn a_backup_brings_everything_back() {
    let (dir, _) = provisioned();
    let before = dir.ok(&["provision", "export", "--secrets"]);
    let backup = dir.0.join("backup.db").display().to_string();
    dir.ok(&["backup", &backup, "--with-secrets"]);
    fs::remove_dir_all(dir.data()).unwrap();
    fs::create_dir(dir.data()).unwrap();
    dir.ok(&["restore", &backup]);
    assert_eq!(dir.ok(&["provision", "export", "--secrets"]), before);
}

#[test]
fn what_needs_a_running_appliance_says_so() {
    let (dir, _) = provisioned();
    let orders: [&[&str]; 10] = [
        &["status"],
        &["calls", "--json"],
        &["agents"],
        &["queues"],
        &["trunks"],
        &["sites", "--json"],
        &["contracts", "--json"],
        &["hangup", "1"],
        &["agent", "sign-in", "acme/a1"],
        &["log-level", "net", "debug"],
    ];
    for order in orders {
        assert!(dir.fails(1, order).contains("no appliance runs on"), "{order:?}");
    }
    assert_eq!(dir.ok(&["cdr", "export", "--json"]), "");
    assert!(dir.ok(&["cdr", "export"]).starts_with("call_id,tenant,medium,direction,from,to,"));
    dir.fails(2, &["cdr", "export", "--since", "yesterday"]);
}

#[test]
fn flows_are_drawn_and_scripts_and_pages_are_made() {
    let dir = Dir::new();
    let flow = dir.file("main.toml", FLOW);
    assert!(dir.ok(&["flow", "draw", &flow]).starts_with("digraph"));
    let svg = dir.0.join("main.svg");
    dir.ok(&["flow", "draw", &flow, "--svg", "-o", svg.to_str().unwrap()]);
    assert!(fs::read_to_string(svg).unwrap().contains("<svg"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(dir.ok(&["completions", shell]).contains("provision"));
    }
    assert!(dir.ok(&["man"]).contains(".TH cordboard"));
    dir.ok(&["man", "--directory", dir.0.to_str().unwrap()]);
    assert!(Path::new(&dir.0.join("cordboard-agent.1")).exists());
}

/// A running appliance; killed if the test ends without it.
struct Running(Child);

impl Running {
    /// Starts it on free ports and waits until it serves.
    fn start(dir: &Dir) -> Self {
        let provision =
            dir.file("sip.toml", "[sip]\nlisten = ['udp:127.0.0.1:0', 'tcp:127.0.0.1:0']\nstop_grace_s = 1\n");
        let mut command = Command::new(env!("CARGO_BIN_EXE_cordboard"));
        command.args(["run", "--provision", &provision, "--data-dir"]).arg(dir.data());
        let mut running = Self(command.stderr(Stdio::piped()).spawn().unwrap());
        let mut lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
        let serves = lines.by_ref().map_while(Result::ok).any(|line| line.contains("listening on tcp:"));
        assert!(serves, "the appliance did not start");
        // What it says later is read, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        running
    }

    /// SIGTERM, and its exit code.
    fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
    }
}

#[test]
fn a_running_appliance_is_asked_and_told_and_ends_cleanly_on_sigterm() {
    let dir = Dir::new();
    let running = Running::start(&dir);
    let status: serde_json::Value = serde_json::from_str(&dir.ok(&["status", "--json"])).unwrap();
    assert_eq!((&status["stopping"], &status["calls"]), (&false.into(), &0.into()));
    assert!(dir.ok(&["status"]).contains(" serving, up "));
    metrics_are_whole(&dir.ok(&["metrics"]));
    dir.ok(&["tenant", "add", "acme"]);
    dir.ok(&["agent", "add", "acme/ana", "user=ana", "password=x"]);
    let agents = |dir: &Dir| serde_json::from_str::<serde_json::Value>(&dir.ok(&["agents", "--json"])).unwrap();
    assert_eq!(agents(&dir)[0]["status"], "null");
    dir.ok(&["agent", "sign-in", "acme/ana"]);
    assert_eq!(agents(&dir)[0]["status"], "ready");
    dir.ok(&["agent", "pause", "acme/ana", "--reason", "lunch"]);
    assert_eq!(agents(&dir)[0]["reason"], "lunch");
    assert!(dir.fails(1, &["agent", "sign-in", "acme/nobody"]).contains("refused"));
    assert!(dir.fails(1, &["agent", "sign-in", "acme/ana", "--site", "bonn"]).contains("no site \"bonn\""));
    assert!(dir.fails(1, &["agent", "sign-in", "acme/ana", "--phone", "112"]).contains("emergency"));
    dir.ok(&["trunk", "add", "berlin-pbx", "kind=sip", "peer=[{ address = '192.0.2.20' }]"]);
    dir.ok(&["site", "add", "berlin", "trunks=['berlin-pbx']", "extension_prefix=8"]);
    dir.ok(&["agent", "sign-in", "acme/ana", "--site", "berlin", "--extension", "4711"]);
    assert!(dir.ok(&["agents"]).contains("berlin, extension 84711"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&dir.ok(&["sites", "--json"])).unwrap()[0]["agents"], 1);
    assert!(dir.fails(1, &["hangup", "00000000000000ff"]).contains("refused"));
    dir.ok(&["queue", "add", "acme/mail"]);
    dir.ok(&["agent", "pause", "acme/ana"]);
    dir.ok(&["work", "add", "--tenant", "acme", "--queue", "mail", "--medium", "email"]);
    let removed = dir.run(&["queue", "remove", "acme/mail"]);
    let warned = String::from_utf8(removed.stderr).unwrap();
    assert!(warned.contains("1 work items of the queue acme/mail have not ended"), "{warned}");
    dir.ok(&["log-level", "net", "debug"]);
    assert!(dir.fails(1, &["log-level", "net", "loud"]).contains("not a level"));
    assert!(dir.fails(1, &["run"]).contains("already running"));
    assert_eq!(running.stop(), Some(0));
    assert!(dir.fails(1, &["status"]).contains("no appliance runs"));
    assert!(dir.ok(&["agent", "list"]).contains("acme/ana"), "what was told is stored");
}

#[test]
fn the_readmes_provisioning_has_no_faults() {
    let readme = include_str!("../README.md");
    let blocks: Vec<&str> = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    let dir = Dir::new();
    for block in blocks {
        let file = dir.file("site.toml", block);
        dir.ok(&["check", &file]);
        dir.ok(&["provision", "apply", &file]);
        assert_eq!(dir.ok(&["provision", "apply", &file]), "nothing to change\n");
    }
}

#[test]
fn a_data_folder_that_is_not_there_is_no_empty_appliance() {
    let dir = Dir::new();
    for args in [&["agent", "list"][..], &["provision", "export"], &["cdr", "export"]] {
        assert!(dir.fails(1, args).contains("--data-dir"), "{args:?}");
    }
    assert!(!dir.data().exists(), "looking makes nothing");
}

#[test]
fn trunks_are_simulated_and_cases_decided() {
    let dir = Dir::new();
    // So many calls that the trunks are nearly always busy: the worth is soon sure.
    let text = include_str!("vectors/routing/s3.json").replace("\"hours\": 125", "\"hours\": 5");
    let file = dir.file("s3.json", &text.replace("120.0", "1200.0").replace("600.0", "1200.0"));
    let run = |args: &[&str]| -> serde_json::Value {
        serde_json::from_str(&dir.ok(&[&["simulate", file.as_str(), "--json"], args].concat())).unwrap()
    };
    let json = run(&["--rates", "true", "--mode", "33"]);
    assert!(
        json["worth_per_hour_ci95"].as_f64().unwrap() <= 0.0015 * json["worth_per_hour"].as_f64().unwrap(),
        "{json}"
    );
    assert!(
        json["worth_lost_pct"].is_number() && (380.0..400.0).contains(&json["worth_per_hour"].as_f64().unwrap()),
        "{json}"
    );
    let tenant = json["tenants"][1].as_object().unwrap();
    for key in ["offered", "blocked", "blocked_within"] {
        assert!(tenant[key].is_number() && tenant[&format!("{key}_ci95")].is_number(), "{json}");
    }
    let media = dir.file("m1.json", include_str!("vectors/routing/m1.json"));
    assert!(dir.fails(2, &["simulate", &media, "--mode", "priced"]).contains("--mode"));
    assert!(dir.fails(2, &["simulate", &file, "--agents", "+2"]).contains("--agents"));

    let cases = dir.file("cases.json", include_str!("vectors/admission/trunk-cases.json"));
    let json: serde_json::Value = serde_json::from_str(&dir.ok(&["admission", "decide", &cases, "--json"])).unwrap();
    assert_eq!(json[0], serde_json::json!({ "id": 1, "decision": "accept", "clause": "33h", "cap": 15, "need": 0 }));
    let last = json.as_array().unwrap().last().unwrap();
    assert_eq!(last, &serde_json::json!({ "id": "e15", "value": 1.0 }));
    assert!(dir.ok(&["admission", "decide", &cases]).contains("45 of 45 as the file expects"));
    let wrong = include_str!("vectors/admission/trunk-cases.json").replacen("\"33h\"", "\"34c\"", 1);
    let wrong = dir.file("wrong.json", &wrong);
    assert_eq!(dir.run(&["admission", "decide", &wrong]).status.code(), Some(1));
    let bad = dir.file(
        "bad.json",
        "{\"decision_cases\": [\n {\"id\": 1, \"inputs\": {\"A\": 1, \"R\": \"-1\", \"T\": 0, \"calls\": 0}}]}",
    );
    assert!(dir.fails(1, &["admission", "decide", &bad]).contains("bad.json:2:"));
}

#[test]
fn a_scenario_is_simulated_and_a_bad_one_refused_where_it_is_bad() {
    let dir = Dir::new();
    let mix = include_str!("vectors/routing/m1.json").replace("\"hours\": 60", "\"hours\": 1");
    let file = dir.file("mix.json", &mix);
    let json: serde_json::Value =
        serde_json::from_str(&dir.ok(&["simulate", &file, "--json", "--seeds", "2"])).unwrap();
    assert!(json["in_target_pct"]["voice"].is_number() && json["in_target_pct_ci95"]["email"].is_number(), "{json}");
    let bank = include_str!("vectors/routing/r3.json").replace("\"calls\": 50000", "\"calls\": 300");
    let bank = dir.file("bank.json", &bank);
    let run = |args: &[&str]| dir.ok(&[&["simulate", bank.as_str()], args].concat());
    let json: serde_json::Value = serde_json::from_str(&run(&["--json", "--seed", "7", "--policy", "fifo"])).unwrap();
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(22), "{json}");
    let sl = json["sl20"].as_f64().unwrap();
    assert!((0.0..=100.0).contains(&sl) && json["jain"].as_f64().unwrap() <= 1.0, "{json}");
    let table = run(&["--compare", "--seeds", "2"]);
    for word in ["policy fifo", "policy score+hold", "worst_type_sl", "vip", "gain over fifo"] {
        assert!(table.contains(word), "{word} in {table}");
    }
    let tuned = dir.ok(&["tune", &bank, "--seeds", "2"]);
    let lines: Vec<&str> = tuned.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines[0].ends_with(" a move"), "{tuned}");
    let is_end = |line: &&str| {
        *line == "nothing gains: the defaults are best here"
            || line.starts_with("that is no sure gain (") && line.ends_with(" points): keep the defaults")
            || line.starts_with("a gain of +") && line.ends_with(" points; for the tenant's provisioning:")
    };
    let ends: Vec<usize> = (0..lines.len()).filter(|n| is_end(&lines[*n])).collect();
    let [end] = ends[..] else { panic!("one verdict: {tuned}") };
    match lines[end].starts_with("a gain of") {
        true => assert!(lines[end + 1] == "[tenant.routing.weights]" && lines[end + 2].contains(" = "), "{tuned}"),
        false => assert_eq!(end + 1, lines.len(), "{tuned}"),
    }
    assert!(dir.fails(2, &["simulate", &bank, "--policy", "best"]).contains("best-skill"));
    let compared: serde_json::Value =
        serde_json::from_str(&dir.ok(&["simulate", &bank, "--compare", "--json", "--seeds", "2"])).unwrap();
    assert!(["fifo", "best-skill", "score", "score+hold"].iter().all(|policy| compared[policy]["sl20"].is_number()));
    let bad = dir.file("bad.json", &mix.replace("\"per_hour\": 180", "\"per_hour\": -180"));
    let told = dir.fails(1, &["simulate", &bad]);
    assert!(told.contains("bad.json:8:") && told.contains("`media.voice.per_hour` is -180; expected 0 to"), "{told}");
    assert!(told.contains("1 fault; nothing was done"), "{told}");
}

/// A call that held a circuit of a trunk.
fn held(id: u64, trunk: &str, from_ms: i64, to_ms: i64) -> Change {
    let (started_at, ended_at) = (Timestamp(from_ms), Some(Timestamp(to_ms)));
    let leg = LegRecord {
        leg: 0,
        direction: Direction::Inbound,
        kind: "tdm".into(),
        trunk: trunk.into(),
        party: String::new(),
        agent: None,
        started_at,
        answered_at: None,
        ended_at,
        cause: Some(Cause::Normal),
        media: None,
        encryption: String::new(),
    };
    let cdr = Cdr {
        call_id: CallId(id),
        tenant: "acme".into(),
        medium: "voice".into(),
        direction: Direction::Inbound,
        from: Default::default(),
        to: Default::default(),
        started_at,
        answered_at: None,
        ended_at,
        agent: None,
        cause: Some(Cause::Normal),
        trace: None,
        queued_ms: 0,
        legs: vec![leg],
        events: Vec::new(),
    };
    Change::CallEnded { cdr: Box::new(cdr) }
}

#[test]
fn trunks_tell_how_they_were_used_and_when_they_will_be_too_small() {
    const HOUR_MS: i64 = 3_600_000;
    let dir = Dir::new();
    let file = dir.file(
        "trunks.toml",
        "[[trunk]]\nname = 'city'\nkind = 'tdm'\n[[trunk]]\nname = 'net'\nkind = 'sip'\npeer = [{ address = '192.0.2.1' }]\n\
         [[card]]\nname = 'c'\ndriver = 'sim-t1'\n[[span]]\nname = 's'\ncard = 'c'\nsignalling = 'em-wink'\ntrunk = 'city'\n",
    );
    dir.ok(&["provision", "apply", &file]);
    // Days of an hour in which calls of 6 minutes each follow one another, on more circuits from month to month.
    let now = jiff::Timestamp::now().as_millisecond();
    let (store, found) = Store::open(&dir.data()).unwrap();
    let (mut seq, mut id) = (found.next_seq, 1_000);
    // Today's first hours are no day's peak.
    let today = now / 24 / HOUR_MS * 24 * HOUR_MS;
    store.append(seq, held(id, "city", today, today + HOUR_MS / 10)).unwrap();
    (seq, id) = (seq + 1, id + 1);
    for day in 1..=60 {
        let hour = (now / 24 / HOUR_MS - day) * 24 * HOUR_MS + 10 * HOUR_MS;
        let circuits = 8.0 * 1.2f64.powf(-(day as f64) / 30.4375);
        for call in 0..(circuits * 10.0).round() as i64 {
            let at = hour + call % 10 * HOUR_MS / 10;
            store.append(seq, held(id, "city", at, at + HOUR_MS / 10)).unwrap();
            (seq, id) = (seq + 1, id + 1);
        }
    }
    store.close().unwrap();
    let table = dir.ok(&["trunk", "usage", "--since", "48h", "--every", "1h"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("KIND") && lines.len() > 2, "{table}");
    let last = dir.ok(&["trunk", "usage", "--since", "48h", "--every", "15m", "--trunk", "city", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&last).unwrap();
    let row = &rows[0];
    assert_eq!((&row["kind"], &row["name"]), (&"trunk".into(), &"city".into()), "{last}");
    assert!(row["erlangs"].as_f64().unwrap() > 7.0 && row["peak"].as_u64().unwrap() <= 8, "{last}");
    // Nothing is known of it: that is no empty table.
    let said = dir.fails(1, &["trunk", "usage", "--since", "48h", "--tenant", "nobody", "--json"]);
    assert!(said.contains("there is no tenant `nobody`"), "{said}");
    let said = dir.fails(1, &["trunk", "usage", "--since", "48h", "--trunk", "ctiy"]);
    assert!(said.contains("there is no trunk `ctiy`; did you mean `city`?"), "{said}");
    assert_eq!(dir.ok(&["trunk", "usage", "--since", "48h", "--trunk", "net", "--json"]), "[]\n", "it had no calls");
    let ended = ["work", "list", "--state", "ended"];
    let said = dir.fails(1, &[ended.as_slice(), &["--tenant", "nobody"]].concat());
    assert!(said.contains("there is no tenant `nobody`"), "{said}");
    assert!(dir.fails(1, &[ended.as_slice(), &["--queue", "mail"]].concat()).contains("there is no queue `mail`"));
    dir.fails(2, &["trunk", "usage", "--every", "often"]);
    assert!(dir.fails(2, &["trunk", "usage", "--since", "365d", "--every", "1s"]).contains("with --every 15m"));

    let json: serde_json::Value = serde_json::from_str(&dir.ok(&["trunk", "forecast", "--json"])).unwrap();
    let (city, net) = (&json[0], &json[1]);
    assert_eq!((&city["trunk"], &city["circuits"], &city["days"]), (&"city".into(), &24.into(), &60.into()));
    let growth = city["growth_pct_a_month"].as_f64().unwrap();
    assert!((18.0..22.0).contains(&growth), "{growth}");
    let too_small = city["too_small"].as_str().unwrap();
    let month = |n: usize| city["months"][n]["month"].as_str().unwrap();
    // 24 circuits lose 1 % at 15.3 erlangs: 8 * 1.2^3.6.
    assert_eq!(too_small, month(4), "{city}");
    assert_eq!((&net["circuits"], &net["days"]), (&serde_json::Value::Null, &0.into()));
    let told = dir.ok(&["trunk", "forecast", "city"]);
    assert!(told.contains(&format!("at this growth it blocks over 1 % in {too_small}")), "{told}");
    let wide = dir.ok(&["trunk", "forecast", "city", "--circuits", "50000"]);
    assert!(wide.contains("does not block over 1 % in the next 36 months"), "{wide}");
    assert!(dir.fails(1, &["trunk", "forecast", "citi"]).contains("city"));
    dir.fails(2, &["trunk", "forecast", "--blocking", "0"]);
}

/// Each metric is told what it is before its values, once, and its values are numbers.
fn metrics_are_whole(page: &str) {
    let mut known = std::collections::BTreeSet::new();
    let mut current = "";
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current = help.split(' ').next().unwrap();
            assert!(known.insert(current), "{current} twice");
        } else if let Some(of_type) = line.strip_prefix("# TYPE ") {
            let kind = if current.ends_with("_total") { "counter" } else { "gauge" };
            assert_eq!(of_type, format!("{current} {kind}"));
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(name.split('{').next(), Some(current), "{line}");
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        }
    }
    for name in ["cordboard_calls", "cordboard_bound_used", "cordboard_wait_error_ratio", "cordboard_queue_waiting"] {
        assert!(known.contains(name), "{name}");
    }
}

#[test]
fn a_file_without_end_is_refused_before_it_fills_the_memory() {
    let dir = Dir::new();
    let commands: [&[&str]; 6] = [
        &["admission", "decide", "/dev/zero"],
        &["simulate", "/dev/zero"],
        &["trunk", "plan", "/dev/zero"],
        &["provision", "apply", "/dev/zero"],
        &["check", "/dev/zero"],
        &["queue", "what-if", "/dev/zero"],
    ];
    for args in commands {
        // In kilobytes: what a file may take several times over, but not without end.
        let limited = "ulimit -v 1000000; exec \"$0\" \"$@\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", limited, env!("CARGO_BIN_EXE_cordboard")]).args(args).arg("--data-dir").arg(dir.data());
        let output = shell.env_remove("CORDBOARD_DATA").output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {errors}");
        assert!(errors.contains("/dev/zero: more than 64 MiB"), "{args:?}: {errors}");
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_with_its_place() {
    let dir = Dir::new();
    let path = dir.0.join("latin.json");
    fs::write(&path, b"{\n \"name\": \"Caf\xe9\"}").unwrap();
    let path = path.display().to_string();
    for args in [["simulate", &path].as_slice(), &["check", &path], &["provision", "apply", &path]] {
        let errors = dir.fails(1, args);
        let expected = format!("{path}:2:14: here is an octet that is not UTF-8; expected a file saved as UTF-8");
        assert!(errors.contains(&expected), "{args:?}: {errors}");
    }
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let dir = Dir::new();
    let trunks = dir.file("s3.json", include_str!("vectors/routing/s3.json"));
    let routing = dir.file("r1.json", include_str!("vectors/routing/r1.json"));
    for (args, said) in [
        (["trunk", "plan", &trunks, "--since", "x"].as_slice(), "--since is for `live`"),
        (&["trunk", "plan", &trunks, "--ahead", "3"], "--ahead is for `live`"),
        (&["trunk", "plan", &trunks, "--trunk", "x"], "--trunk is for `live`"),
        (&["simulate", &trunks, "--policy", "fifo"], "--policy, --agents and --chat-slots are for"),
        (&["simulate", &routing, "--mode", "33"], "--mode and --rates are for"),
        (&["trunk", "usage", "--since", "1h", "--until", "2h"], "--until 2h is not after --since 1h"),
        (&["trunk", "usage", "--since", "2999-01-01"], "--until now is not after --since 2999-01-01"),
    ] {
        let errors = dir.fails(2, args);
        assert!(errors.contains(said), "{args:?}: {errors}");
    }
}

#[test]
fn a_picture_that_cannot_be_drawn_is_refused_before_the_work() {
    let dir = Dir::new();
    let trunks = dir.file("s3.json", include_str!("vectors/routing/s3.json"));
    // In seconds; the work takes minutes.
    let mut limited = Command::new("timeout");
    limited.args(["20", env!("CARGO_BIN_EXE_cordboard"), "trunk", "plan", &trunks, "--svg", "/nowhere/plan.svg"]);
    let output = limited.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("/nowhere/plan.svg"), "{errors}");
}
