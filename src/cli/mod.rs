//! The command line. Each command is a function of its arguments and the data directory that ends in `Ok` (exit code 0)
//! or a [`CliError`] (1, or 2 for wrong usage) that says what is wrong, where, and what to do.

#![allow(clippy::disallowed_methods, reason = "a command watches the clock and may wait; nothing below does")]

mod admission;
mod args;
pub mod bench;
mod cdr;
mod edit;
mod entity;
mod error;
mod files;
mod live;
mod live_load;
mod maintain;
mod output;
mod plan;
mod provision;
mod records;
mod scenario;
mod serve;
mod simulate;
mod trunk;
mod trunk_scenario;
mod work;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use args::{Cli, DemoArgs, RunArgs};
pub use error::CliError;
pub use files::read_provision;

use crate::base::Redacted;
use crate::core::control::Command as Order;
use args::{
    AdmissionCommand, AgentCommand, CdrCommand, Command, ExportCommand, FlowCommand, ProvisionCommand, QueueCommand,
    TrunkCommand,
};
use entity::Kind;

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are "errors" with exit code 0; when they cannot be printed nobody reads them.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError::Reported) => ExitCode::FAILURE,
        // The reader went away, as `head` does: nothing is wrong.
        Err(CliError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Where the appliance is that a command is about.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Its data folder: for the operator.
    Dir(PathBuf),
    /// Its socket for users.
    Socket(PathBuf),
}

impl Place {
    /// The data folder, for a command that has no other way.
    ///
    /// # Errors
    /// Wrong usage, where a socket was named.
    fn dir(&self) -> Result<&Path, CliError> {
        match self {
            Self::Dir(dir) => Ok(dir),
            Self::Socket(_) => Err(CliError::Usage(
                "this command works on the data folder; leave out --socket and CORDBOARD_SOCKET, and give --data-dir"
                    .into(),
            )),
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), CliError> {
    let given = cli.data_dir;
    let dir: PathBuf = given.clone().unwrap_or_else(|| PathBuf::from("data"));
    let place = cli.socket.map_or_else(|| Place::Dir(dir.clone()), Place::Socket);
    match cli.command {
        Command::Run(args) => serve::run(&dir, &args),
        Command::Demo(args) => serve::demo(given, &args),
        Command::Bench(args) => bench::run(&args),
        Command::Simulate(args) => simulate::simulate(&args),
        Command::Admission(AdmissionCommand::Decide { file, json }) => admission::decide(&file, json),
        Command::Tune(args) => simulate::tune(&args),
        Command::Check { files, json } => files::check(&files, json),
        Command::Provision(ProvisionCommand::Apply { file, dry_run }) => provision::apply(place.dir()?, &file, dry_run),
        Command::Provision(ProvisionCommand::Export { secrets, output }) => {
            provision::export(place.dir()?, secrets, output.as_deref())
        }
        Command::Tenant(c) => entity::run(&place, Kind::Tenant, c),
        Command::Site(c) => entity::run(&place, Kind::Site, c),
        Command::Skill(c) => entity::run(&place, Kind::Skill, c),
        Command::Attribute(c) => entity::run(&place, Kind::Attribute, c),
        Command::User(c) => entity::run(&place, Kind::User, c),
        Command::Queue(QueueCommand::Entity(c)) => entity::run(&place, Kind::Queue, c),
        Command::Queue(QueueCommand::WhatIf { file, json }) => work::what_if(&place, &file, json),
        Command::Work(c) => work::run(&place, c),
        Command::Number(c) => entity::run(&place, Kind::Number, c),
        Command::Trunk(TrunkCommand::Entity(c)) => entity::run(&place, Kind::Trunk, c),
        Command::Trunk(TrunkCommand::BusyOut { trunk }) => trunk::set_in_service(&place, trunk, false),
        Command::Trunk(TrunkCommand::Restore { trunk }) => trunk::set_in_service(&place, trunk, true),
        Command::Trunk(TrunkCommand::Explain { call, json }) => trunk::explain(&place, call, json),
        Command::Trunk(TrunkCommand::Circuits { trunk, view }) => live::circuits(&place, trunk, &view),
        Command::Trunk(TrunkCommand::Restart { trunk, circuit, json }) => live::restart(&place, trunk, circuit, json),
        Command::Trunk(TrunkCommand::Plan(args)) => plan::plan(&dir, &args),
        Command::Trunk(TrunkCommand::Routes(args)) => trunk::routes(&place, args),
        Command::Trunk(TrunkCommand::Usage(args)) => trunk::usage(place.dir()?, &args),
        Command::Trunk(TrunkCommand::Forecast(args)) => trunk::forecast(place.dir()?, &args),
        Command::Span(c) => entity::run(&place, Kind::Span, c),
        Command::Card(c) => entity::run(&place, Kind::Card, c),
        Command::Agent(c) => agent(&place, c),
        Command::Flow(FlowCommand::Check { file }) => files::check(&[file], false),
        Command::Flow(FlowCommand::Draw { file, svg, dot: _, output }) => files::draw(&file, svg, output.as_deref()),
        Command::Flow(FlowCommand::Entity(c)) => entity::run(&place, Kind::Flow, c),
        Command::Status(args) => live::status(&place, &args),
        Command::Whoami { json } => live::whoami(&place, json),
        Command::Audit(args) => records::audit(&place, &args),
        Command::Calls(view) => live::calls(&place, &view),
        Command::Agents(view) => live::agents(&place, &view),
        Command::Queues(view) => live::queues(&place, &view),
        Command::Trunks(view) => live::trunks(&place, &view),
        Command::Sites(view) => live::sites(&place, &view),
        Command::Contracts(view) => live::contracts(&place, &view),
        Command::Locate { uri, json } => live::locate(&place, uri, json),
        Command::Metrics => live::metrics(&place),
        Command::Bans(view) => live::bans(&place, &view),
        Command::Unban { source, all: _ } => live::order(&place, &Order::Unban { source }),
        Command::Hangup { call } => live::order(&place, &Order::Hangup { call }),
        Command::LogLevel { module, level } => live::log_level(&place, module, level),
        Command::Cdr(CdrCommand::Export(args)) => cdr::export(&place, &args),
        Command::Export(ExportCommand::Scenario { day, tenant, mix, output }) => {
            scenario::export(place.dir()?, &day, &tenant, mix, output.as_deref())
        }
        Command::Backup { file, with_secrets } => maintain::backup(place.dir()?, &file, with_secrets),
        Command::Restore { file } => maintain::restore(place.dir()?, &file),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "cordboard", &mut script);
            output::write(&script)
        }
        Command::Man { directory } => maintain::man(Cli::command(), directory.as_deref()),
    }
}

fn agent(place: &Place, command: AgentCommand) -> Result<(), CliError> {
    let order = match command {
        AgentCommand::Entity(c) => return entity::run(place, Kind::Agent, c),
        AgentCommand::SignIn { agent, site: None, extension: None, phone: None } => {
            Order::SignIn { tenant: agent.tenant, agent: agent.name }
        }
        AgentCommand::SignIn { agent, site, extension, phone } => {
            let phone = phone.map(Redacted::new);
            Order::SignInAt { tenant: agent.tenant, agent: agent.name, site, extension, phone }
        }
        AgentCommand::SignOut { agent } => Order::SignOut { tenant: agent.tenant, agent: agent.name },
        AgentCommand::Pause { agent, reason } => Order::Pause { tenant: agent.tenant, agent: agent.name, reason },
        AgentCommand::Resume { agent } => Order::Resume { tenant: agent.tenant, agent: agent.name },
    };
    live::order(place, &order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_exit_code_2_and_help_is_0() {
        let code = |line: &str| Cli::try_parse_from(line.split(' ')).map(|_| ()).map_err(|e| e.exit_code());
        assert_eq!(code("cordboard"), Err(2));
        assert_eq!(code("cordboard agent sign-in ana"), Err(2));
        assert_eq!(code("cordboard hangup xyz"), Err(2));
        assert_eq!(code("cordboard --help"), Err(0));
        assert_eq!(code("cordboard agent sign-in acme/ana"), Ok(()));
        assert_eq!(code("cordboard run --data-dir d --provision p.toml"), Ok(()));
        assert_eq!(code("cordboard demo --once --json --calls 5"), Ok(()));
        assert_eq!(code("cordboard cdr export --data-dir d --json"), Ok(()));
        assert_eq!(code("cordboard cdr export --csv --json"), Err(2));
    }
}
