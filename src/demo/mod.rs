//! The demonstration: the real appliance on embedded defaults, a simulated T1 card, agents and callers as real SIP user
//! agents on loopback, and callers behind the card's far end. Every answered call's audio is verified end to end: each
//! side must recover the other's reference signal from what it received.

mod account;
mod people;
mod phone;
mod talk;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use smol::LocalExecutor;

use crate::appliance::{Appliance, Options as RunOptions, RunError};
use crate::base::Codec;
use crate::core::control::{Command, Query, Reply, Status};
use crate::core::fault::Fault;
use crate::core::tenant::{self, Provision};
use crate::edge::clock::Clock;
use crate::edge::console::Request;
use crate::edge::logging::Logging;
use crate::edge::store::{CdrFilter, Reader, StoreError};
use crate::proto::sip::Transport;
use account::{Account, News};
use people::{CardCallers, Stage};

pub use account::Summary;

const PROVISION: &str = include_str!("../../config/demo.toml");
const AGENTS: [(&str, &str, u64); 4] =
    [("ana", "ana-secret", 1), ("ben", "ben-secret", 2), ("carla", "carla-secret", 3), ("dirk", "dirk-secret", 4)];
/// Seed of the first caller's signal.
const FIRST_CALLER: u64 = 101;
/// Time between two callers: at first faster than four agents can answer, so that some wait.
const BETWEEN: Duration = Duration::from_millis(600);
/// Callers that come so fast; a rush without end would only show people giving up.
const RUSH: usize = 16;
/// Time between two callers after the rush.
const BETWEEN_LATER: Duration = Duration::from_millis(1500);
/// Time for the agents' phones to take back their registrations.
const GOODBYE: Duration = Duration::from_millis(600);
/// Longest demonstration of the rush alone.
const DEMO_MAX: Duration = Duration::from_secs(240);

/// How to run the demonstration.
#[derive(Clone)]
pub struct DemoOptions {
    /// Where the data goes.
    pub data_dir: PathBuf,
    /// Calls to make.
    pub calls: u32,
    /// End after the summary.
    pub once: bool,
    /// Print the summary as one JSON object; everything else goes to standard error.
    pub json: bool,
    /// The process's log, whose levels may then be changed while it runs.
    pub logging: Option<Logging>,
}

/// Why the demonstration could not run.
#[derive(Debug)]
pub enum DemoError {
    /// The appliance.
    Run(RunError),
    /// The embedded provisioning; a defect.
    Provision(Vec<Fault>),
    /// The store cannot be read.
    Store(StoreError),
    /// The appliance went away.
    Gone,
    /// Somebody ended it before its summary.
    Interrupted,
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(e) => e.fmt(f),
            Self::Provision(faults) => {
                for fault in faults {
                    writeln!(f, "{fault}")?;
                }
                f.write_str("the embedded provisioning is faulty")
            }
            Self::Store(e) => e.fmt(f),
            Self::Gone => f.write_str("the appliance ended unexpectedly"),
            Self::Interrupted => f.write_str("the demonstration was ended before its summary"),
        }
    }
}

impl std::error::Error for DemoError {}

/// Runs the demonstration up to its summary, and with `once` unset goes on serving until `stop` returns. When it returns
/// earlier, the demonstration ends then.
///
/// # Errors
/// Whatever kept it from running; calls that went wrong are in the summary instead.
pub fn run(options: &DemoOptions, stop: impl FnOnce() + Send + 'static) -> Result<Summary, DemoError> {
    let clock = Clock::start();
    let (appliance, moved) = start(options)?;
    let mut account = Account::new(clock, options.json);
    let server = sip_address(&appliance).ok_or(DemoError::Gone)?;
    account.line(&format!("appliance is up: SIP on {server}, a simulated T1 card with 24 channels"));
    if moved {
        account.line("port 5060 is taken by somebody else, so another one is used");
    }
    let before = records(options)?;
    let executor = LocalExecutor::new();
    let (news, heard) = channel();
    let callers: Vec<u64> = (0..u64::from(options.calls)).map(|n| FIRST_CALLER + n).collect();
    let agents = AGENTS.iter().map(|(_, _, seed)| *seed).collect();
    let stage = Stage { clock, server, news, agents, callers, over: Rc::default() };
    let mut stopped = smol::unblock(stop);
    let interrupted = async {
        (&mut stopped).await;
        Err(DemoError::Interrupted)
    };
    let played = play(&executor, &appliance, &mut account, &stage, &heard);
    let played = smol::block_on(executor.run(smol::future::or(played, interrupted)));
    if let Err(error) = played {
        // The second order ends the calls in progress.
        appliance.ask(Request::Command(Command::Stop));
        appliance.ask(Request::Command(Command::Stop));
        appliance.wait().map_err(DemoError::Run)?;
        return Err(error);
    }
    let status = settled(&appliance)?;
    let cdrs = records(options)?.saturating_sub(before);
    let data = options.data_dir.display().to_string();
    let summary = account.summary(&status, cdrs, data, u64::from(options.calls));
    if options.json {
        account::say(&serde_json::to_string(&summary).unwrap_or_default());
    } else {
        summary.print();
    }
    if !options.once {
        account.print(&invitation(server, options));
        // The agents' phones stay, so that whoever calls is answered.
        smol::block_on(executor.run(stopped));
    }
    stage.over.set(true);
    smol::block_on(executor.run(smol::Timer::after(GOODBYE)));
    appliance.ask(Request::Command(Command::Stop));
    appliance.wait().map_err(DemoError::Run)?;
    Ok(summary)
}

fn provision() -> Result<Provision, DemoError> {
    tenant::parse(PROVISION, "config/demo.toml").map_err(DemoError::Provision)
}

/// Starts the appliance; when the usual port is taken, on any free one.
fn start(options: &DemoOptions) -> Result<(Appliance, bool), DemoError> {
    let mut provision = provision()?;
    let run = |provision: &Provision| {
        Appliance::start(RunOptions {
            data_dir: options.data_dir.clone(),
            provision: Some(provision.clone()),
            logging: options.logging.clone(),
            ..RunOptions::default()
        })
    };
    match run(&provision) {
        Ok(appliance) => Ok((appliance, false)),
        Err(RunError::Listen(_)) => {
            provision.sip.listen = vec!["udp:127.0.0.1:0".into(), "tcp:127.0.0.1:0".into()];
            run(&provision).map(|a| (a, true)).map_err(DemoError::Run)
        }
        Err(e) => Err(DemoError::Run(e)),
    }
}

fn sip_address(appliance: &Appliance) -> Option<SocketAddr> {
    appliance.listeners.iter().find(|(t, _)| *t == Transport::Udp).map(|(_, a)| *a)
}

/// Agents register, callers come, all talk; returns when the last caller is through.
async fn play<'a>(
    executor: &LocalExecutor<'a>,
    appliance: &Appliance,
    account: &mut Account,
    stage: &Stage,
    heard: &Receiver<News>,
) -> Result<(), DemoError> {
    let control = appliance.sims.first().map(|(_, control)| control.clone()).ok_or(DemoError::Gone)?;
    for (name, password, seed) in AGENTS {
        executor.spawn(people::agent(stage.clone(), name, password, seed)).detach();
    }
    let mut card = CardCallers::new(stage.clone(), control);
    let mut next = stage.clock.mono() + Duration::from_millis(800);
    let mut waiting = stage.callers.iter().copied().enumerate();
    let longest = DEMO_MAX + BETWEEN_LATER * u32::try_from(stage.callers.len()).unwrap_or(u32::MAX);
    while account.outcomes.len() < stage.callers.len() && account.elapsed() < longest {
        while let Ok(news) = heard.try_recv() {
            account.take(news);
        }
        if stage.clock.mono() >= next
            && let Some((n, seed)) = waiting.next()
        {
            next += if n < RUSH { BETWEEN } else { BETWEEN_LATER };
            let key = if n % 3 == 2 { '2' } else { '1' };
            if n % 2 == 0 {
                card.dial(seed, key);
            } else {
                // Every third SIP caller speaks A-law only; one of eight leaves before anybody gets free.
                let codecs = if n % 6 == 1 { vec![Codec::Pcma] } else { Codec::USUAL.to_vec() };
                let patience = (n % 8 == 7).then_some(Duration::from_millis(2_500));
                executor.spawn(people::sip_caller(stage.clone(), seed, key, codecs, patience)).detach();
            }
        }
        card.step();
        smol::Timer::after(Duration::from_millis(20)).await;
    }
    // Agents hear the last hang-up.
    smol::Timer::after(Duration::from_millis(300)).await;
    while let Ok(news) = heard.try_recv() {
        account.take(news);
    }
    Ok(())
}

/// The status once all calls have ended and all records are written.
fn settled(appliance: &Appliance) -> Result<Status, DemoError> {
    for _ in 0..100 {
        let Some(Reply::Status(status)) = appliance.ask(Request::Query(Query::Status)) else {
            return Err(DemoError::Gone);
        };
        if status.calls == 0 {
            return Ok(*status);
        }
        smol::block_on(async { smol::Timer::after(Duration::from_millis(50)).await });
    }
    match appliance.ask(Request::Query(Query::Status)) {
        Some(Reply::Status(status)) => Ok(*status),
        _ => Err(DemoError::Gone),
    }
}

/// Complete call records in the store.
fn records(options: &DemoOptions) -> Result<u64, DemoError> {
    let reader = Reader::open(&options.data_dir).map_err(DemoError::Store)?;
    let complete = reader.cdrs(&CdrFilter::default()).filter(|c| c.as_ref().is_ok_and(|c| c.ended_at.is_some()));
    Ok(complete.count() as u64)
}

fn invitation(server: SocketAddr, options: &DemoOptions) -> String {
    let data = options.data_dir.display();
    format!(
        "\nThe appliance goes on serving. Try it with a softphone on this machine:\n\
         \x20 register      as `guest`, password `guest`, at {server}, UDP or TCP\n\
         \x20 dial 100      for the menu; an agent says a melody\n\
         \x20 dial *1       code 2009, PIN 4719, to be an agent yourself and be rung\n\
         \x20 look at it    cordboard status --data-dir {data}\n\
         \x20 records       cordboard cdr export --data-dir {data}\n\
         Ctrl-C ends it."
    )
}
