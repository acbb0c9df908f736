//! `cordboard bench`: what one core does, measured here.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use clap::{Args, Subcommand};

use super::{CliError, output};
use crate::base::Codec;
use crate::proto::sdp::{self, Direction, Local};

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
    /// Session descriptions: read an offer and answer it
    Sdp {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
    },
}

/// Runs a measurement and prints one line.
pub fn run(args: &BenchArgs) -> Result<(), CliError> {
    match args.what {
        Bench::Sdp { count } => bench_sdp(count),
    }
}

fn bench_sdp(count: u32) -> Result<(), CliError> {
    let local = Local {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 16_384,
        session_id: 1,
        version: 1,
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        direction: Direction::SendRecv,
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
