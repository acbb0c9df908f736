//! `cordboard run` and `cordboard demo`.

use std::path::{Path, PathBuf};
use std::thread;

use async_signal::{Signal, Signals};
use log::{LevelFilter, Log};
use smol::stream::StreamExt;

use super::args::{DemoArgs, LogArgs, RunArgs};
use super::{CliError, files};
use crate::appliance::{Appliance, Options};
use crate::core::control::Command;
use crate::demo::{self, DemoOptions};
use crate::edge::console::Client;
use crate::edge::console::serial::SerialConsole;
use crate::edge::logging::{Format, Logging};
use crate::edge::privileges::ServeAs;

/// Callers of a demonstration when nobody says how many.
const DEMO_CALLS: u32 = 12;

/// `cordboard run`: serves until SIGTERM or SIGINT, then lets calls in progress end within the configured grace. A
/// second signal ends them at once; a third ends the process, and recovery then closes the records.
pub fn run(dir: &Path, args: &RunArgs) -> Result<(), CliError> {
    let provision = args.provision.as_deref().map(files::read_provision).transpose()?;
    // Before anything serves: what is wrong with it is then said at once.
    let serial = args.serial.clone().map(SerialConsole::open).transpose().map_err(CliError::Serial)?;
    // Before any thread is there, and after what root may open.
    let privileges = match &args.user {
        Some(user) => ServeAs::find(user).and_then(|user| user.begin(dir)).map_err(CliError::Privileges)?,
        None => None,
    };
    let logging = logging(&args.log, LevelFilter::Info)?;
    let signals = signals()?;
    if rustix::process::geteuid().is_root() {
        log::warn!("running as root; `--user NAME` takes its rights away as soon as the SIP ports are bound");
    }
    let options = Options {
        data_dir: dir.to_owned(),
        provision,
        logging: Some(logging.clone()),
        privileges,
        ..Options::default()
    };
    let appliance = Appliance::start(options).map_err(CliError::Run)?;
    for (transport, address) in &appliance.listeners {
        log::info!("listening on {}:{address}", transport.name());
    }
    for fault in &appliance.prompt_faults {
        log::warn!("{fault}");
    }
    if appliance.numbers == 0 {
        let dir = dir.display();
        log::warn!(
            "no number is provisioned: `cordboard provision apply FILE --data-dir {dir}` says who may call what"
        );
    }
    if appliance.interrupted > 0 {
        log::warn!("calls interrupted in the last run, their records now closed: {}", appliance.interrupted);
    }
    let serial = serial.map(|console| console.serve(appliance.watcher())).transpose().map_err(CliError::Serial)?;
    stop_on_signal(signals, dir.to_owned())?;
    let ended = appliance.wait();
    if let Some(serial) = serial {
        serial.finish();
    }
    log::info!("ended");
    logging.flush();
    ended.map_err(CliError::Run)
}

/// `cordboard demo`.
pub fn demo(dir: Option<PathBuf>, args: &DemoArgs) -> Result<(), CliError> {
    let logging = logging(&args.log, LevelFilter::Warn)?;
    let mut signals = signals()?;
    let options = DemoOptions {
        data_dir: dir.unwrap_or_else(|| PathBuf::from("demo-data")),
        calls: args.calls.unwrap_or(DEMO_CALLS),
        once: args.once,
        json: args.json,
        logging: Some(logging.clone()),
    };
    let summary = demo::run(&options, move || drop(smol::block_on(signals.next())));
    logging.flush();
    // The summary is printed by then, with every error.
    if summary.map_err(CliError::Demo)?.errors > 0 { Err(CliError::Reported) } else { Ok(()) }
}

fn logging(args: &LogArgs, level: LevelFilter) -> Result<Logging, CliError> {
    let format = args.log_format.map_or_else(Format::detect, Format::from);
    Logging::install(format, args.log_level.unwrap_or(level)).map_err(CliError::Logging)
}

fn signals() -> Result<Signals, CliError> {
    Signals::new([Signal::Term, Signal::Int, Signal::Hup]).map_err(CliError::Signals)
}

/// Turns the first signal into an order to stop, given over the control socket as an operator would.
fn stop_on_signal(mut signals: Signals, dir: PathBuf) -> Result<(), CliError> {
    let wait = move || {
        next_stop(&mut signals, &dir);
        log::info!("stopping: new calls are refused, calls in progress go on until they end or the grace is over");
        give_stop(&dir);
        next_stop(&mut signals, &dir);
        log::warn!("a second signal: calls in progress are ended now");
        give_stop(&dir);
        next_stop(&mut signals, &dir);
        eprintln!("stopped by a third signal");
        std::process::exit(1);
    };
    thread::Builder::new().name("signals".into()).spawn(wait).map(drop).map_err(CliError::Signals)
}

/// Waits for a signal to stop; SIGHUP in between has certificates read anew.
fn next_stop(signals: &mut Signals, dir: &Path) {
    while let Some(Ok(Signal::Hup)) = smol::block_on(signals.next()) {
        log::info!("SIGHUP: certificates and keys are read anew");
        let read = Client::connect(dir).and_then(|client| match client {
            Some(mut client) => client.command(&Command::ReadCertificates).map(drop),
            None => Ok(()),
        });
        if let Err(error) = read {
            log::error!("certificates were not read: {error}");
        }
    }
}

/// Orders from a thread of its own: the answer may take long, and the next signal must be heard meanwhile.
fn give_stop(dir: &Path) {
    let dir = dir.to_owned();
    if let Err(error) = thread::Builder::new().name("stop".into()).spawn(move || order_stop(&dir)) {
        log::error!("cannot stop in order: {error}");
    }
}

fn order_stop(dir: &Path) {
    let stopped = Client::connect(dir).and_then(|client| match client {
        Some(mut client) => client.command(&Command::Stop).map(drop),
        None => Ok(()),
    });
    if let Err(error) = stopped {
        // The appliance may end before it has answered.
        log::debug!("stop: {error}");
    }
}
