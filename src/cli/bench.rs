//! `cordboard bench`: what one core does, measured here.

pub mod admission;
mod left;
pub mod routing;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::{CliError, files, output};
use crate::base::Codec;
use crate::core::trunk::admission::Mode;
use crate::proto::sdp::{self, Direction, Local};
use crate::simulate::measure::quantile;

/// Longest start.
const START_MAX: Duration = Duration::from_secs(30);

/// Arguments of `cordboard bench`.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// What to measure.
    #[command(subcommand)]
    pub(super) what: Bench,
}

/// What can be measured.
#[derive(Subcommand, Debug)]
pub(super) enum Bench {
    /// Start: from the process's begin to its first 200 OK, on a data folder of its own
    Start {
        /// Provisioning file, with a UDP listener
        #[arg(value_name = "FILE")]
        provision: PathBuf,
        /// How often
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
        count: u32,
        /// Work items that an earlier run left waiting in the file's first queue
        #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=200_000))]
        works: u32,
    },
    /// Session descriptions: read an offer and answer it
    Sdp {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
    },
    /// Admission: how long a decision at shared trunks takes, by price and to the letter, and a step of keeping prices true
    Admission {
        /// Tenants
        #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=5_000))]
        tenants: u32,
        /// Trunks of their pool
        #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        trunks: u32,
        /// Decisions of each kind
        #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(100..))]
        count: u32,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Routing: how long the decisions take when an agent gets free and when an item comes, by items that wait and agents
    Routing {
        /// Items that wait
        #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000],
              value_parser = clap::value_parser!(u32).range(1..=500_000))]
        items: Vec<u32>,
        /// Agents
        #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [100, 1_000, 10_000],
              value_parser = clap::value_parser!(u32).range(1..=100_000))]
        agents: Vec<u32>,
        /// Decisions of each kind
        #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(100..))]
        count: u32,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs a measurement and prints one line.
pub fn run(args: &BenchArgs) -> Result<(), CliError> {
    match &args.what {
        Bench::Sdp { count } => bench_sdp(*count),
        Bench::Start { provision, count, works } => bench_start(provision, *count, *works),
        Bench::Admission { tenants, trunks, count, json } => bench_admission(*tenants, *trunks, *count, *json),
        Bench::Routing { items, agents, count, json } => bench_routing(items, agents, *count, *json),
    }
}

/// Starts the appliance as often as asked and prints the median time to its first answer.
fn bench_start(file: &Path, count: u32, works: u32) -> Result<(), CliError> {
    let provision = files::read_provision(file)?;
    let listen = &provision.sip.listen;
    let server = listen.iter().find_map(|entry| entry.strip_prefix("udp:")?.parse::<SocketAddr>().ok());
    let server = server.ok_or_else(|| CliError::Refused("the provisioning has no UDP listener".into()))?;
    let (mut times, mut resident_kib_max) = (Vec::new(), 0);
    for n in 0..count {
        let dir = std::env::temp_dir().join(format!("cordboard-bench-{}-{n}", std::process::id()));
        let left = if works > 0 { left::fill(&dir, &provision, works) } else { Ok(()) };
        let started = left.and_then(|()| time_to_answer(file, &dir, server));
        // What cannot be removed lies in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&dir);
        let (time, resident_kib) = started?;
        times.push(time.as_secs_f64() * 1e3);
        resident_kib_max = resident_kib_max.max(resident_kib);
    }
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let (least, most) = (times.first().copied().unwrap_or_default(), times.last().copied().unwrap_or_default());
    let with = if works > 0 { format!(" with {works} work items waiting") } else { String::new() };
    let mib = resident_kib_max / 1_024;
    output::line(&format!(
        "start{with}: {median:.1} ms to the first 200 OK (median of {count}, {least:.1} to {most:.1}), {mib} MiB resident then"
    ))
}

/// The time, and the memory that the process has then, in KiB.
fn time_to_answer(file: &Path, dir: &Path, server: SocketAddr) -> Result<(Duration, u64), CliError> {
    let refused = |e: std::io::Error| CliError::Refused(e.to_string());
    let socket = UdpSocket::bind((server.ip(), 0)).map_err(refused)?;
    socket.set_read_timeout(Some(Duration::from_millis(1))).map_err(refused)?;
    let local = socket.local_addr().map_err(refused)?;
    let ask = format!(
        "OPTIONS sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKbench;rport\r\nMax-Forwards: 70\r\n\
         From: <sip:bench@{local}>;tag=bench\r\nTo: <sip:{server}>\r\nCall-ID: bench@{local}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let program = std::env::current_exe().map_err(refused)?;
    let started = Instant::now();
    let mut process = Command::new(program)
        .args(["run", "--log-level", "error", "--data-dir"])
        .arg(dir)
        .arg("--provision")
        .arg(file)
        .spawn()
        .map_err(refused)?;
    let mut buffer = [0; 2048];
    let answered = loop {
        // Before the listener is there the kernel refuses, which the next round makes up for.
        let _ = socket.send_to(ask.as_bytes(), server);
        match socket.recv(&mut buffer) {
            Ok(n) if buffer.get(..n).is_some_and(|b| b.starts_with(b"SIP/2.0 200")) => break Some(started.elapsed()),
            _ if started.elapsed() > START_MAX => break None,
            _ => {}
        }
    };
    let resident_kib = resident_kib(&process.id().to_string());
    process.kill().map_err(refused)?;
    process.wait().map_err(refused)?;
    answered
        .map(|time| (time, resident_kib))
        .ok_or_else(|| CliError::Refused(format!("no answer from {server} within {START_MAX:?}")))
}

fn bench_sdp(count: u32) -> Result<(), CliError> {
    let local = Local {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 16_384,
        session_id: 1,
        version: 1,
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        comfort_noise: false,
        direction: Direction::SendRecv,
        security: Default::default(),
    };
    let offer = sdp::offer(&local);
    let started = Instant::now();
    for _ in 0..count {
        let answered = sdp::parse(black_box(&offer)).and_then(|remote| sdp::answer(&remote, &local));
        black_box(answered.map_err(|error| CliError::Refused(error.to_string()))?);
    }
    let each_us = started.elapsed().as_secs_f64() * 1e6 / f64::from(count);
    output::line(&format!("sdp: {each_us:.2} us per offer answered, {:.0} per second on one core", 1e6 / each_us))
}

/// Times of decisions in microseconds.
#[derive(Serialize, Deserialize)]
struct Spread {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Spread {
    fn of(times_us: Vec<f64>) -> Self {
        let [p50, p99, max] = quantiles(times_us);
        Self { p50, p99, max }
    }
}

/// What a change of provisioning takes, in milliseconds: of each the change itself and the longest piece of what follows.
#[derive(Serialize, Deserialize)]
struct Provisioned {
    none_skilled: [f64; 2],
    all_meet: [f64; 2],
}

/// What so many items and agents take.
#[derive(Serialize, Deserialize)]
struct Row {
    items: usize,
    agents: u32,
    octets_an_item: u64,
    fill_us: f64,
    freed_us: Spread,
    came_us: Spread,
    provisioned_ms: Provisioned,
}

/// A centre with so many items and agents. Memory is what the process has more than before the items came.
fn routing_row(items: u32, agents: u32, count: u32) -> Row {
    let mut centre = routing::Centre::new(agents);
    let before = (resident_kib("self"), centre.waiting());
    let began = Instant::now();
    let came = centre.fill(items as usize);
    let fill_us = began.elapsed().as_secs_f64() * 1e6 / came.max(1) as f64;
    let items = centre.waiting();
    let more = items.saturating_sub(before.1).max(1);
    let octets_an_item = resident_kib("self").saturating_sub(before.0) * 1_024 / more as u64;
    let mut times = [vec![], vec![]];
    for _ in 0..count {
        times.iter_mut().zip(centre.turn()).for_each(|(list, time)| list.push(time.as_secs_f64() * 1e6));
    }
    let [freed_us, came_us] = times.map(Spread::of);
    let provisioned = routing::Centre::provisioned(agents, items);
    let [none_skilled, all_meet] = provisioned.map(|of| of.map(|took| took.as_secs_f64() * 1e3));
    let provisioned_ms = Provisioned { none_skilled, all_meet };
    Row { items, agents, octets_an_item, fill_us, freed_us, came_us, provisioned_ms }
}

/// The same in a process of its own, whose memory no centre before has used.
fn routing_row_apart(items: u32, agents: u32, count: u32) -> Result<Row, CliError> {
    let refused = |e: std::io::Error| CliError::Refused(e.to_string());
    let program = std::env::current_exe().map_err(refused)?;
    let numbers = [("--items", items), ("--agents", agents), ("--count", count)];
    let numbers = numbers.into_iter().flat_map(|(name, number)| [name.to_owned(), number.to_string()]);
    let done = Command::new(program).args(["bench", "routing", "--json"]).args(numbers).output().map_err(refused)?;
    let rows: Result<[Row; 1], _> = serde_json::from_slice(&done.stdout);
    let said = || String::from_utf8_lossy(&done.stderr).into_owned();
    rows.map(|[row]| row).map_err(|error| CliError::Refused(format!("{items} x {agents}: {error}\n{}", said())))
}

/// Builds each centre and prints what its decisions take.
fn bench_routing(items: &[u32], agents: &[u32], count: u32, json: bool) -> Result<(), CliError> {
    let pairs: Vec<(u32, u32)> = agents.iter().flat_map(|&agents| items.iter().map(move |&i| (i, agents))).collect();
    let rows: Vec<Row> = match pairs.as_slice() {
        &[(items, agents)] => vec![routing_row(items, agents, count)],
        many => many.iter().map(|&(i, a)| routing_row_apart(i, a, count)).collect::<Result<_, _>>()?,
    };
    if json {
        return output::json(&rows);
    }
    output::line(
        "waiting   agents   agent gets free, us: p50    p99    max   item comes, us: p50    p99    max   octets an item   \
         provisioned anew, ms: none skilled   all meet, longest piece",
    )?;
    for Row { items, agents, freed_us, came_us, octets_an_item, provisioned_ms, .. } in rows {
        let Provisioned { none_skilled: [none, _], all_meet: [all, piece] } = provisioned_ms;
        output::line(&format!(
            "{items:>7} {agents:>8} {:>27.1} {:>6.1} {:>6.0} {:>21.1} {:>6.1} {:>6.0} {octets_an_item:>16} {none:>37.0} \
             {all:>10.0} {piece:>14.1}",
            freed_us.p50, freed_us.p99, freed_us.max, came_us.p50, came_us.p99, came_us.max,
        ))?;
    }
    Ok(())
}

/// Builds the pool and prints what its decisions take.
fn bench_admission(tenants: u32, trunks: u32, count: u32, json: bool) -> Result<(), CliError> {
    let mut rows = Vec::new();
    for (name, mode) in [("priced", Mode::Priced), ("literal", Mode::literal())] {
        let mut pool = admission::Pool::new(tenants, trunks, mode);
        let (mut decisions, mut steps) = (vec![], vec![]);
        for _ in 0..count {
            decisions.push(pool.turn().as_secs_f64() * 1e6);
            steps.extend(pool.work().into_iter().map(|step| step.as_secs_f64() * 1e6));
        }
        rows.push((name, quantiles(decisions), quantiles(steps)));
    }
    if json {
        let row = |(name, decision, step): &(&str, [f64; 3], [f64; 3])| {
            serde_json::json!({
                "mode": name, "tenants": tenants, "trunks": trunks,
                "decision_us": { "p50": decision[0], "p99": decision[1], "max": decision[2] },
                "step_us": { "p50": step[0], "p99": step[1], "max": step[2] },
            })
        };
        return output::json(&rows.iter().map(row).collect::<Vec<_>>());
    }
    output::line("mode     decision, us: p50    p99    max   step of keeping prices true, us: p50    p99    max")?;
    for (name, decision, step) in rows {
        output::line(&format!(
            "{name:<8} {:>17.2} {:>6.2} {:>6.0} {:>37.1} {:>6.1} {:>6.0}",
            decision[0], decision[1], decision[2], step[0], step[1], step[2]
        ))?;
    }
    Ok(())
}

/// Median, 99th percentile and greatest.
fn quantiles(mut times: Vec<f64>) -> [f64; 3] {
    times.sort_unstable_by(f64::total_cmp);
    [0.5, 0.99, 1.0].map(|share| quantile(&times, share))
}

/// Memory that a process has.
fn resident_kib(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
