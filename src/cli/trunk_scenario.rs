//! `cordboard simulate` for scenarios of tenants who share trunks.

use std::collections::BTreeMap;

use super::simulate::{SimulateArgs, in_parallel};
use super::{CliError, output};
use crate::edge::console::Table;
use crate::simulate::Estimate;
use crate::simulate::trunks::{Admitted, Batch, Measured, Rates, Trunks, WARM_UP_S, run};

/// How sure the worth must be: half of its interval, in per cent of it.
const HALF_WIDTH_PCT: f64 = 0.15;
/// Most calls of all runs together; the interval is told as it is then.
const CALLS_MAX: f64 = 30e6;
/// Runs between two looks at the interval.
const RUNS_A_LOOK: u64 = 4;

/// Runs the scenario in one mode, or in all of them beside each other.
pub fn simulate(args: &SimulateArgs, text: &str) -> Result<(), CliError> {
    let scenario = Trunks::read(&args.file.display().to_string(), text).map_err(CliError::Scenario)?;
    if args.policy.is_some() || args.agents.is_some() || args.chat_slots.is_some() {
        let what = "--policy, --agents and --chat-slots are for scenarios with a queue; for trunks there is --mode";
        return Err(CliError::Usage(what.to_owned()));
    }
    let rates = args.rates.unwrap_or_default();
    if args.compare {
        return compare(&scenario, args, rates);
    }
    let mode = args.mode.unwrap_or_default();
    let measured = measure(&scenario, args, mode, rates)?;
    if args.json {
        return output::json(&measured.json(&scenario));
    }
    output::line(&format!(
        "{}: mode {mode}, {:.0} hours, worth sure to {:.2} %\n\n{}",
        scenario.name,
        measured.hours,
        measured.half_width_pct(),
        table(&scenario, &measured).trim_end()
    ))
}

/// Runs seed after seed until the worth is sure enough.
fn measure(scenario: &Trunks, args: &SimulateArgs, mode: Admitted, rates: Rates) -> Result<Measured, CliError> {
    let first = args.seed.unwrap_or(scenario.seed);
    let calls_a_run = (scenario.calls_per_hour() * (scenario.hours + WARM_UP_S / 3_600.0)).max(1.0);
    let mut batches: Vec<Batch> = vec![];
    let mut from = 0_u64;
    loop {
        let count = if from == 0 { u64::from(args.seeds) } else { RUNS_A_LOOK };
        let seeds: Vec<u64> = (from..from + count).map(|n| first.wrapping_add(n)).collect();
        from += count;
        let runs = in_parallel(&seeds, |seed| run(scenario, mode, rates, *seed, |_| ()), None::<fn()>);
        batches.extend(runs.ok_or(CliError::BrokeOff)?.into_iter().flatten());
        let measured = Measured::of(scenario, &batches);
        if measured.half_width_pct() <= HALF_WIDTH_PCT || (from + RUNS_A_LOOK) as f64 * calls_a_run > CALLS_MAX {
            return Ok(measured);
        }
    }
}

fn of(estimate: &Estimate) -> [String; 2] {
    [format!("{:.3}", estimate.mean), format!("{:.3}", estimate.ci95)]
}

fn table(scenario: &Trunks, measured: &Measured) -> String {
    let mut all = Table::new(["measure", "mean", "+-"]);
    let mut row = |name: &str, estimate: &Estimate| all.row([name.to_owned()].into_iter().chain(of(estimate)));
    row("worth_per_hour", &measured.worth_per_hour);
    if let Some(lost) = &measured.worth_lost_pct {
        row("worth_lost_pct", lost);
    }
    let mut each =
        Table::new(["tenant", "permitted", "offered /h", "+-", "blocked %", "+-", "of these within %", "+-"]);
    for (tenant, numbers) in scenario.tenants.iter().zip(&measured.tenants) {
        let cells = numbers.iter().flat_map(of);
        each.row([tenant.name.clone(), tenant.permitted().to_string()].into_iter().chain(cells));
    }
    format!("{all}\n{each}")
}

fn compare(scenario: &Trunks, args: &SimulateArgs, rates: Rates) -> Result<(), CliError> {
    let names: Vec<String> = scenario.tenants.iter().map(|tenant| format!("{} blocked %", tenant.name)).collect();
    let head = ["mode", "worth /h", "+-", "lost %", "+-"];
    let mut table = Table::new(head.into_iter().chain(names.iter().map(String::as_str)));
    let mut objects = BTreeMap::new();
    for mode in Admitted::ALL {
        let measured = measure(scenario, args, mode, rates)?;
        if args.json {
            objects.insert(mode.to_string(), measured.json(scenario));
            continue;
        }
        let lost = measured.worth_lost_pct.as_ref().map_or([String::new(), String::new()], of);
        let blocked = measured.tenants.iter().map(|[_, blocked, _]| format!("{:.2}", blocked.mean));
        table.row([mode.to_string()].into_iter().chain(of(&measured.worth_per_hour)).chain(lost).chain(blocked));
    }
    if args.json {
        return output::json(&objects);
    }
    output::line(&format!("{}\n\n{}", scenario.name, table.to_string().trim_end()))
}
