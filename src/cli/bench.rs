//! `cordboard bench`: what one core does, measured here.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};

use super::{CliError, files, output};
use crate::base::Codec;
use crate::proto::sdp::{self, Direction, Local};

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
    },
    /// Session descriptions: read an offer and answer it
    Sdp {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
    },
}

/// Runs a measurement and prints one line.
pub fn run(args: &BenchArgs) -> Result<(), CliError> {
    match &args.what {
        Bench::Sdp { count } => bench_sdp(*count),
        Bench::Start { provision, count } => bench_start(provision, *count),
    }
}

/// Starts the appliance as often as asked and prints the median time to its first answer.
fn bench_start(file: &Path, count: u32) -> Result<(), CliError> {
    let listen = files::read_provision(file)?.sip.listen;
    let server = listen.iter().find_map(|entry| entry.strip_prefix("udp:")?.parse::<SocketAddr>().ok());
    let server = server.ok_or_else(|| CliError::Refused("the provisioning has no UDP listener".into()))?;
    let mut times = Vec::new();
    for n in 0..count {
        let dir = std::env::temp_dir().join(format!("cordboard-bench-{}-{n}", std::process::id()));
        let time = time_to_answer(file, &dir, server);
        // What cannot be removed lies in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&dir);
        times.push(time?.as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let (least, most) = (times.first().copied().unwrap_or_default(), times.last().copied().unwrap_or_default());
    output::line(&format!("start: {median:.1} ms to the first 200 OK (median of {count}, {least:.1} to {most:.1})"))
}

fn time_to_answer(file: &Path, dir: &Path, server: SocketAddr) -> Result<Duration, CliError> {
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
    process.kill().map_err(refused)?;
    process.wait().map_err(refused)?;
    answered.ok_or_else(|| CliError::Refused(format!("no answer from {server} within {START_MAX:?}")))
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
