//! The arguments, as clap reads them. The texts here are the help and the manual pages.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::bench::BenchArgs;
use super::simulate::{SimulateArgs, TuneArgs};
use super::work::WorkCommand;
use crate::base::{CallId, Trace};
use crate::edge::console::serial::SerialAddress;
use crate::edge::logging;

/// Contact-centre appliance: trunk cards, SIP, IVR, queue, agents, call records.
#[derive(Parser, Debug)]
#[command(name = "cordboard", version, max_term_width = 110, propagate_version = true)]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    /// Where the database, the control socket and the recordings are [default: data; demo: demo-data]
    #[arg(long, global = true, env = "CORDBOARD_DATA", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Ask and order by the appliance's socket for users, as the user that your account is; instead of the data folder
    #[arg(long, global = true, env = "CORDBOARD_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Serve calls until SIGTERM
    Run(RunArgs),
    /// Show the whole appliance at work with simulated callers and agents
    Demo(DemoArgs),
    /// Check provisioning and flow files; all faults at once
    Check {
        /// Files to check
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// One JSON object per fault
        #[arg(long)]
        json: bool,
    },
    /// Who you are to the running appliance, and what you may do
    Whoami {
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Counters, bounds and alarms of the running appliance; counters and quotas of a tenant
    Status(StatusArgs),
    /// The same and more as metrics, in the text format that Prometheus reads
    Metrics,
    /// What users have ordered, the latest first
    Audit(AuditArgs),
    /// Calls in progress
    Calls(View),
    /// Agents and what they are doing
    Agents(View),
    /// Queues and who waits
    Queues(View),
    /// Trunks and their health
    Trunks(View),
    /// Sites: the ways to them, whether they are up, and who sits there
    Sites(View),
    /// Tenants' contracts: calls permitted and in progress on shared trunks, and what a circuit costs now
    Contracts(View),
    /// Where requests to a SIP URI would go, as DNS says now
    Locate {
        /// `sip:HOST` or `sips:HOST`, perhaps with `:PORT` and `;transport=tcp`
        uri: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Sources of SIP messages that are kept out for a while
    Bans(View),
    /// Lift bans
    Unban {
        /// The source, as `cordboard bans` shows it
        #[arg(required_unless_present = "all", value_name = "ADDRESS")]
        source: Option<String>,
        /// All of them
        #[arg(long, conflicts_with = "source")]
        all: bool,
    },
    /// Work items: contacts of any medium on their way to an agent
    #[command(subcommand)]
    Work(WorkCommand),
    /// End a call
    Hangup {
        /// The call's id, as `cordboard calls` shows it
        call: CallId,
    },
    /// Tenants (customers of the operator)
    #[command(subcommand)]
    Tenant(EntityCommand),
    /// Sites with agents
    #[command(subcommand)]
    Site(EntityCommand),
    /// Skills
    #[command(subcommand)]
    Skill(EntityCommand),
    /// Attributes: what contacts and agents can have beside skills
    #[command(subcommand)]
    Attribute(EntityCommand),
    /// Agents, and signing them in and out
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Users: who may ask and order what by the control socket for users
    #[command(subcommand)]
    User(EntityCommand),
    /// Queues
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Flows (what callers hear), checking and drawing them
    #[command(subcommand)]
    Flow(FlowCommand),
    /// Numbers and the flows that answer them
    #[command(subcommand)]
    Number(EntityCommand),
    /// Trunks: SIP peerings, and groups of circuits; how much of them is used, and when they will be too small
    #[command(subcommand)]
    Trunk(TrunkCommand),
    /// Spans of trunk cards
    #[command(subcommand)]
    Span(EntityCommand),
    /// Trunk cards
    #[command(subcommand)]
    Card(EntityCommand),
    /// The whole provisioning as a file
    #[command(subcommand)]
    Provision(ProvisionCommand),
    /// Call detail records
    #[command(subcommand)]
    Cdr(CdrCommand),
    /// What was recorded, for other uses
    #[command(subcommand)]
    Export(ExportCommand),
    /// Copy the database to a file, while running or not
    Backup {
        /// Where to; a file that is there is replaced
        file: PathBuf,
        /// Put the key of passwords and PINs into the copy, which is then itself a secret
        #[arg(long)]
        with_secrets: bool,
    },
    /// Put a backup in the place of the database; the appliance must not run
    Restore {
        /// The backup
        file: PathBuf,
    },
    /// Measure
    Bench(BenchArgs),
    /// What a scenario of contacts and agents would come to, in virtual time
    Simulate(SimulateArgs),
    /// Admission of calls to trunks that several tenants share
    #[command(subcommand)]
    Admission(AdmissionCommand),
    /// Find weights that serve a scenario better, by simulation, and prove them on contacts not seen before
    Tune(TuneArgs),
    /// Change how much a module of the running appliance logs
    LogLevel {
        /// Module, e.g. `net` or `proto::sip`; `all` for those without a level of their own
        module: String,
        /// off, error, warn, info, debug or trace
        level: String,
    },
    /// Print a completion script
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man {
        /// Write a page per command into this directory instead
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// Arguments of `cordboard run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Apply this provisioning before serving
    #[arg(long, value_name = "FILE")]
    pub provision: Option<PathBuf>,
    /// Started by root: serve as this user. Root's rights end when the SIP ports are bound
    #[arg(long, env = "CORDBOARD_USER", value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Serve a serial console for watching, 8N1, at 115200 baud unless said otherwise
    #[arg(long, env = "CORDBOARD_SERIAL", value_name = "DEVICE[:BAUD]")]
    pub serial: Option<SerialAddress>,
    /// How and how much to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Arguments of `cordboard demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Exit after the summary; with an error if any call went wrong
    #[arg(long)]
    pub once: bool,
    /// Print the summary as one JSON object; progress goes to standard error
    #[arg(long)]
    pub json: bool,
    /// Callers to simulate [default: 12]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub calls: Option<u32>,
    /// How and how much to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// How and how much to log, on standard error.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// How log lines look; by default as the journal likes them where it reads, else text
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormat>,
    /// How much to log: off, error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<log::LevelFilter>,
}

/// How log lines look.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people
    Text,
    /// One object per line
    Json,
}

impl From<LogFormat> for logging::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct View {
    /// For machines
    #[arg(long)]
    pub json: bool,
    /// Show it again every second until interrupted
    #[arg(long)]
    pub watch: bool,
}

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    /// Of this tenant
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// How it is shown.
    #[command(flatten)]
    pub view: View,
}

#[derive(Args, Debug)]
pub(super) struct AuditArgs {
    /// Of this tenant only
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// At most so many entries
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u32,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
pub(super) enum EntityCommand {
    /// List all
    List {
        /// For machines
        #[arg(long)]
        json: bool,
        /// Of this tenant only
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Show one
    Show {
        /// Its name; TENANT/NAME where it belongs to a tenant
        name: String,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Add one
    Add {
        /// Its name; TENANT/NAME where it belongs to a tenant
        name: String,
        /// Fields as in a provisioning file; `skills.sales=0.8` sets one entry of a table, `password=@FILE` and `pin=@FILE`
        /// take the first line of a file
        #[arg(value_name = "KEY=VALUE")]
        fields: Vec<String>,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Change fields of one
    Set {
        /// Its name; TENANT/NAME where it belongs to a tenant
        name: String,
        /// Fields as in a provisioning file; `KEY=` goes back to the default
        #[arg(value_name = "KEY=VALUE", required = true)]
        fields: Vec<String>,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove one
    Remove {
        /// Its name; TENANT/NAME where it belongs to a tenant
        name: String,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
    },
}

/// `TENANT/NAME`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Scoped {
    pub tenant: String,
    pub name: String,
}

impl FromStr for Scoped {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((tenant, name)) if !tenant.is_empty() && !name.is_empty() => {
                Ok(Self { tenant: tenant.into(), name: name.into() })
            }
            _ => Err("expected TENANT/NAME"),
        }
    }
}

#[derive(Subcommand, Debug)]
pub(super) enum AgentCommand {
    #[command(flatten)]
    Entity(EntityCommand),
    /// Sign an agent in, ready: where it is provisioned to sit, or at the place that is named, until it signs out
    SignIn {
        #[arg(value_name = "TENANT/NAME")]
        agent: Scoped,
        /// At this site; without an extension or phone by the agent's own ways
        #[arg(long)]
        site: Option<String>,
        /// At this number of the site's switch
        #[arg(long)]
        extension: Option<String>,
        /// At this number outside
        #[arg(long)]
        phone: Option<String>,
    },
    /// Sign an agent out; a call in progress goes on
    SignOut {
        #[arg(value_name = "TENANT/NAME")]
        agent: Scoped,
    },
    /// Give an agent no work until resumed
    Pause {
        #[arg(value_name = "TENANT/NAME")]
        agent: Scoped,
        /// Why, for the records
        #[arg(long, default_value = "pause")]
        reason: String,
    },
    /// End an agent's pause or wrap-up
    Resume {
        #[arg(value_name = "TENANT/NAME")]
        agent: Scoped,
    },
}

#[derive(Subcommand, Debug)]
pub(super) enum QueueCommand {
    #[command(flatten)]
    Entity(EntityCommand),
    /// Say where a described work item would go now
    WhatIf {
        /// A description in TOML or JSON: tenant, medium, queue, attributes, modifiers
        file: PathBuf,
        /// For machines
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand, Debug)]
pub(super) enum TrunkCommand {
    #[command(flatten)]
    Entity(EntityCommand),
    /// Take a trunk out of service: no new calls, those in progress go on. Works while running or not
    BusyOut {
        /// Its name
        trunk: String,
    },
    /// Put a trunk back into service
    Restore {
        /// Its name
        trunk: String,
    },
    /// List circuits one by one, and peers: what they do, and who keeps them from it
    Circuits {
        /// Of this trunk only
        trunk: Option<String>,
        #[command(flatten)]
        view: View,
    },
    /// Put a circuit, or all of a trunk, on-hook and into its first state; calls on them end
    Restart {
        /// Trunk's name
        trunk: String,
        /// CARD/SPAN/TIMESLOT, as `cordboard trunk circuits` shows it; all when absent
        circuit: Option<String>,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Say why a call was admitted to a shared trunk, or was not
    Explain {
        /// The call's id, as `cordboard calls` and its record show it
        call: CallId,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Say by which trunks a number would be reached, in which order and why
    Routes(RoutesArgs),
    /// Print how many circuits were held of each trunk, and by each tenant
    Usage(UsageArgs),
    /// Say how many trunks, and what contracts, tenants need together
    Plan(PlanArgs),
    /// Say when trunks will be too small, if calls go on growing as they did
    Forecast(ForecastArgs),
}

#[derive(Args, Debug)]
pub(super) struct RoutesArgs {
    /// As it is dialled
    pub number: String,
    /// At this hour, `2026-01-31T08:00:00Z`; now when absent. What is up and free is as of now
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// By an agent of this tenant
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// For machines
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub(super) struct UsageArgs {
    /// From this time on: `2026-01-31`, `2026-01-31T08:00:00Z`, or an age such as `90m`, `24h`, `7d`
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub since: String,
    /// Up to this time; now when absent
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Length of a period
    #[arg(long, value_name = "LENGTH", default_value = "15m")]
    pub every: String,
    /// Of this trunk only
    #[arg(long, value_name = "NAME", conflicts_with = "tenant")]
    pub trunk: Option<String>,
    /// Of this tenant only
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// For machines
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub(super) struct PlanArgs {
    /// A scenario of kind `trunks`, as `cordboard simulate` takes it, or `live` for what the records have
    #[arg(value_name = "FILE|live")]
    pub input: PathBuf,
    /// Share of calls that may be refused, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    pub blocking: f64,
    /// Of `live`: this trunk
    #[arg(long, value_name = "NAME")]
    pub trunk: Option<String>,
    /// Of `live`: from the records since this time [default: 90d]
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Of `live`: so many months from now, if the trunk's calls go on growing as they did [default: 0]
    #[arg(long, value_name = "MONTHS")]
    pub ahead: Option<u32>,
    /// The first seed of the simulation
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Draw it into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// For machines
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub(super) struct ForecastArgs {
    /// Of this trunk only
    #[arg(value_name = "TRUNK")]
    pub trunk: Option<String>,
    /// Share of calls that may find all circuits taken in the peak hour, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    pub blocking: f64,
    /// Circuits of the trunk, where they are not those provisioned
    #[arg(long, value_name = "N", requires = "trunk")]
    pub circuits: Option<u32>,
    /// From the records since this time
    #[arg(long, value_name = "TIME", default_value = "180d")]
    pub since: String,
    /// For machines
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
pub(super) enum FlowCommand {
    #[command(flatten)]
    Entity(EntityCommand),
    /// Check a flow file; all faults at once
    Check {
        /// The flow's text
        file: PathBuf,
    },
    /// Draw a flow file as a graph
    Draw {
        /// The flow's text
        file: PathBuf,
        /// As Graphviz DOT (the default)
        #[arg(long)]
        dot: bool,
        /// As SVG
        #[arg(long, conflicts_with = "dot")]
        svg: bool,
        /// Write it here instead of to standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Subcommand, Debug)]
pub(super) enum ProvisionCommand {
    /// Make the provisioning what a file says; prints the difference. Works while running or not
    Apply {
        /// The file
        file: PathBuf,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the provisioning as a file
    Export {
        /// With passwords and PINs
        #[arg(long)]
        secrets: bool,
        /// Write it here instead of to standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Subcommand, Debug)]
pub(super) enum CdrCommand {
    /// Print the records of all calls, also of those in progress
    Export(CdrArgs),
}

#[derive(Subcommand, Debug)]
pub(super) enum AdmissionCommand {
    /// What the rule decides of each case in a file, to the letter, and what chances it estimates
    Decide {
        /// The cases
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand, Debug)]
pub(super) enum ExportCommand {
    /// A day's calls of a tenant as a scenario for `simulate` and `tune`
    Scenario {
        /// The day, in the tenant's time zone: `2026-01-31`
        #[arg(long)]
        day: String,
        /// The tenant
        #[arg(long, value_name = "NAME")]
        tenant: String,
        /// Contacts of all media, coming by chance as often as on that day, for agents alike
        #[arg(long)]
        mix: bool,
        /// Write it here instead of to standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub(super) struct CdrArgs {
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
    /// Comma-separated values with a head line (the default)
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Of this tenant only
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Records with this trace: what became of one call, on whichever appliance it was
    #[arg(long, value_name = "TRACE")]
    pub trace: Option<Trace>,
    /// Calls that started at this time or later: `2026-01-31`, `2026-01-31T08:00:00Z`, or an age such as `90m`, `24h`, `7d`
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Calls that started before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scoped_names_have_two_parts() {
        let ana = Scoped { tenant: "acme".into(), name: "ana".into() };
        assert_eq!("acme/ana".parse(), Ok(ana));
        for bad in ["ana", "/ana", "acme/", ""] {
            assert!(bad.parse::<Scoped>().is_err(), "{bad}");
        }
    }
}
