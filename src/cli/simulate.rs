//! `cordboard simulate` and `cordboard tune`: run a scenario file, seeds side by side, and print what it comes to.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;

use super::{CliError, files, output, trunk_scenario};
use crate::core::contact::routing::{Policy, Routing, Weights};
use crate::edge::console::Table;
use crate::simulate::routing::MEASURES;
use crate::simulate::scenario::Staff;
use crate::simulate::trunks::{self, Admitted, Rates};
use crate::simulate::{Digest, Estimate, Scenario, Summary, run, tune};

/// Between two looks at the progress.
const LOOK: Duration = Duration::from_millis(200);

/// Arguments of `cordboard simulate`.
#[derive(Args, Debug)]
pub struct SimulateArgs {
    /// The scenario
    pub(super) file: PathBuf,
    /// The seed of the first run [default: the scenario's]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// How many runs, with one seed after the other; of trunks at least, more until the worth is sure to 0.15 %
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) seeds: u16,
    /// How agents are chosen: fifo, best-skill, score or score+hold [default: score+hold]
    #[arg(long, value_name = "POLICY")]
    pub(super) policy: Option<Policy>,
    /// Another number of agents: `12`, or `+2` and `-2` for more and fewer
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = staff)]
    pub(super) agents: Option<Staff>,
    /// Another number of chats that an agent takes at once
    #[arg(long, value_name = "N")]
    pub(super) chat_slots: Option<u8>,
    /// All policies beside each other, on the same contacts; of trunks, all modes
    #[arg(long, conflicts_with_all = ["policy", "mode"])]
    pub(super) compare: bool,
    /// How calls are admitted to shared trunks: priced, literal, 33, sharing or partition [default: priced]
    #[arg(long, value_name = "MODE")]
    pub(super) mode: Option<Admitted>,
    /// What admission knows of calls: what it learns (estimated) or their true rates (true) [default: estimated]
    #[arg(long, value_name = "WHAT")]
    pub(super) rates: Option<Rates>,
    /// One JSON object; with `--compare` one for each policy or mode, by its name
    #[arg(long)]
    pub(super) json: bool,
}

fn staff(text: &str) -> Result<Staff, String> {
    let wrong = || "expected a number of agents, `+N` or `-N`".to_owned();
    match text.strip_prefix('+') {
        Some(more) => more.parse::<u16>().map(|n| Staff::Change(n.into())).map_err(|_| wrong()),
        None if text.starts_with('-') => text.parse::<i16>().map(|n| Staff::Change(n.into())).map_err(|_| wrong()),
        None => text.parse().map(Staff::Count).map_err(|_| wrong()),
    }
}

/// Runs `cordboard simulate`.
pub fn simulate(args: &SimulateArgs) -> Result<(), CliError> {
    let text = files::read(&args.file)?;
    if trunks::is_trunks(&text) {
        return trunk_scenario::simulate(args, &text);
    }
    if args.mode.is_some() || args.rates.is_some() {
        return Err(CliError::Usage("--mode and --rates are for scenarios of kind `trunks`".to_owned()));
    }
    let mut scenario = scenario(&args.file, &text)?;
    if let Some(staff) = args.agents {
        scenario.set_staff(staff).map_err(|what| CliError::Usage(format!("--agents: {what}")))?;
    }
    if let Some(slots) = args.chat_slots {
        scenario.set_chat_slots(slots).map_err(|what| CliError::Usage(format!("--chat-slots: {what}")))?;
    }
    let first = args.seed.unwrap_or(scenario.seed());
    let seeds: Vec<u64> = (0..u64::from(args.seeds)).map(|n| first.wrapping_add(n)).collect();
    let policies = if args.compare { Policy::ALL.to_vec() } else { vec![args.policy.unwrap_or_default()] };
    let jobs: Vec<(Routing, u64)> = (policies.iter())
        .flat_map(|&policy| seeds.iter().map(move |&seed| (Routing { policy, weights: Weights::default() }, seed)))
        .collect();
    let digests = run_all(&scenario, &jobs, true)?;
    let by_policy: Vec<(Policy, &[Digest])> = policies.into_iter().zip(digests.chunks(seeds.len())).collect();
    if args.json && args.compare {
        let all = by_policy.iter().map(|(policy, digests)| (policy.to_string(), Summary::of(digests).json()));
        return output::json(&all.collect::<BTreeMap<_, _>>());
    }
    if args.json {
        let summary = by_policy.first().map(|(_, digests)| Summary::of(digests).json());
        return output::json(&summary);
    }
    let runs = if seeds.len() == 1 { format!("seed {first}") } else { format!("{} seeds from {first}", seeds.len()) };
    output::line(&format!("{}: {runs}, {} contacts each", scenario.name(), scenario.contacts()))?;
    for (policy, digests) in &by_policy {
        output::line(&format!("\npolicy {policy}\n{}", table(&scenario, &Summary::of(digests)).trim_end()))?;
    }
    if args.compare {
        output::line(&format!("\ngain over fifo, on the same contacts\n{}", gains(&by_policy).trim_end()))?;
    }
    Ok(())
}

/// Arguments of `cordboard tune`.
#[derive(Args, Debug)]
pub struct TuneArgs {
    /// The scenario
    file: PathBuf,
    /// The seed of the first run [default: the scenario's]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many runs each move of a weight is judged by; what was found is proved on as many others
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(2..=1_000))]
    seeds: u16,
}

/// Runs `cordboard tune`.
pub fn tune(args: &TuneArgs) -> Result<(), CliError> {
    let scenario = read(&args.file)?;
    let first = args.seed.unwrap_or(scenario.seed());
    let count = u64::from(args.seeds);
    let seeds = |from: u64| -> Vec<u64> { (0..count).map(|n| from.wrapping_add(n)).collect() };
    let (learn, prove) = (seeds(first), seeds(first.wrapping_add(count)));
    let live = stderr().is_terminal();
    output::line(&format!("{}: {count} runs of {} contacts a move", scenario.name(), scenario.contacts()))?;
    let fifo = run_weights(&scenario, Policy::Fifo, Weights::default(), &learn, false)?;
    let worth = |digests: &[Digest], fifo: &[Digest]| -> Vec<f64> {
        digests.iter().zip(fifo).map(|(of, fifo)| tune::worth(of, fifo)).collect()
    };
    let mut search = tune::Search::new(Weights::default());
    let mut best = worth(&run_weights(&scenario, Policy::ScoreHold, search.best(), &learn, false)?, &fifo);
    loop {
        let trials = search.trials();
        let (done, all) = search.progress();
        if live {
            eprint!("\r{:>3} % ", 100 * done / all.max(1));
        }
        if done >= all {
            break;
        }
        let worths: Vec<Vec<f64>> = (trials.iter())
            .map(|trial| {
                let digests = run_weights(&scenario, Policy::ScoreHold, trial.weights, &learn, false)?;
                Ok(worth(&digests, &fifo))
            })
            .collect::<Result<_, CliError>>()?;
        let gains: Vec<Estimate> = worths.iter().map(|of| tune::gain(of, &best)).collect();
        if let Some(kept) = search.judge(&trials, &gains) {
            let at = trials.iter().position(|trial| *trial == kept).unwrap_or(0);
            best = worths.into_iter().nth(at).unwrap_or(best);
            let gain = gains.get(at).copied().unwrap_or_default();
            let line = format!("{} {} -> {}: {:+.2} +- {:.2}", kept.name, kept.from, kept.to, gain.mean, gain.ci95);
            output::line(&format!("{}{line}", if live { "\r" } else { "" }))?;
        }
    }
    if live {
        eprint!("\r      \r");
    }
    proved(&scenario, &search.best(), &prove)
}

/// Says what weights gain over the defaults on contacts that the search has not seen.
fn proved(scenario: &Scenario, weights: &Weights, seeds: &[u64]) -> Result<(), CliError> {
    let snippet = tune::provisioned(weights);
    if snippet.is_empty() {
        return output::line("nothing gains: the defaults are best here");
    }
    let of = |policy, weights| run_weights(scenario, policy, weights, seeds, true);
    let fifo = of(Policy::Fifo, Weights::default())?;
    let (usual, tuned) = (of(Policy::ScoreHold, Weights::default())?, of(Policy::ScoreHold, *weights)?);
    let rows = [("fifo", fifo.as_slice()), ("defaults", usual.as_slice()), ("tuned", tuned.as_slice())];
    output::line(&format!("\non other contacts\n{}", side_by_side(&rows).trim_end()))?;
    let worth =
        |digests: &[Digest]| digests.iter().zip(&fifo).map(|(of, fifo)| tune::worth(of, fifo)).collect::<Vec<_>>();
    let gain = tune::gain(&worth(&tuned), &worth(&usual));
    let points = format!("{:+.2} +- {:.2} points", gain.mean, gain.ci95);
    if !is_sure(gain) {
        return output::line(&format!("\nthat is no sure gain ({points}): keep the defaults"));
    }
    output::line(&format!(
        "\na gain of {points}; for the tenant's provisioning:\n\n[tenant.routing.weights]\n{snippet}"
    ))
}

/// Whether a gain is more than chance explains.
fn is_sure(gain: Estimate) -> bool {
    gain.mean > gain.ci95
}

/// Means of several policies or weights beside each other.
fn side_by_side(rows: &[(&str, &[Digest])]) -> String {
    let mut table = Table::new(["measure"].into_iter().chain(rows.iter().map(|(name, _)| *name)));
    let summaries: Vec<Summary> = rows.iter().map(|(_, digests)| Summary::of(digests)).collect();
    let names: Vec<String> = match summaries.first() {
        Some(Summary::Media { in_target, .. }) => in_target.keys().map(ToString::to_string).collect(),
        _ => MEASURES.map(str::to_owned).to_vec(),
    };
    for (n, name) in names.into_iter().enumerate() {
        let d = digits(&name);
        let cell = |summary: &Summary| {
            let estimate = match summary {
                Summary::Routing { measures, .. } => measures.get(n).copied(),
                Summary::Media { in_target, .. } => in_target.values().nth(n).copied(),
            };
            estimate.map_or(String::new(), |e| format!("{:.d$}", e.mean))
        };
        let cells: Vec<String> = summaries.iter().map(cell).collect();
        table.row([name].into_iter().chain(cells));
    }
    table.to_string()
}

fn read(file: &Path) -> Result<Scenario, CliError> {
    scenario(file, &files::read(file)?)
}

fn scenario(file: &Path, text: &str) -> Result<Scenario, CliError> {
    Scenario::read(&file.display().to_string(), text).map_err(CliError::Scenario)
}

/// Runs one setting with each of the seeds.
fn run_weights(
    scenario: &Scenario,
    policy: Policy,
    weights: Weights,
    seeds: &[u64],
    told: bool,
) -> Result<Vec<Digest>, CliError> {
    let jobs: Vec<_> = seeds.iter().map(|&seed| (Routing { policy, weights }, seed)).collect();
    run_all(scenario, &jobs, told)
}

/// Runs all jobs; the results are in the order of the jobs.
fn run_all(scenario: &Scenario, jobs: &[(Routing, u64)], told: bool) -> Result<Vec<Digest>, CliError> {
    let come = AtomicUsize::new(0);
    let expected = jobs.len() * scenario.contacts() as usize;
    let work = |(routing, seed): &(Routing, u64)| {
        let mut before = 0;
        run(scenario, routing, *seed, |contacts| {
            come.fetch_add(contacts - before, Ordering::Relaxed);
            before = contacts;
        })
    };
    let live = told && stderr().is_terminal();
    let look = || eprint!("\r{:>3} % ", (100 * come.load(Ordering::Relaxed) / expected.max(1)).min(100));
    let digests = in_parallel(jobs, work, live.then_some(look));
    if live {
        eprint!("\r      \r");
    }
    digests.ok_or(CliError::BrokeOff)
}

/// Does all jobs on as many threads as there are processors, and meanwhile looks at them now and then if there is a `look`; the
/// results are in the order of the jobs. None if a job panicked: without its result others would be taken for it.
pub(super) fn in_parallel<J: Sync, R: Send>(
    jobs: &[J],
    work: impl Fn(&J) -> R + Sync,
    look: Option<impl Fn()>,
) -> Option<Vec<R>> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    let next = AtomicUsize::new(0);
    let several = || {
        let mut results = vec![];
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(n) else { break };
            results.push((n, work(job)));
        }
        results
    };
    let results = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(several)).collect();
        if let Some(look) = look {
            // One that panicked is finished, too.
            while workers.iter().any(|worker| !worker.is_finished()) {
                look();
                thread::sleep(LOOK);
            }
        }
        // All are joined, lest the scope panics itself.
        let joined: Vec<_> = workers.into_iter().map(|worker| worker.join().ok()).collect();
        joined.into_iter().collect::<Option<Vec<Vec<(usize, R)>>>>()
    })?;
    let mut results: Vec<(usize, R)> = results.into_iter().flatten().collect();
    results.sort_unstable_by_key(|(n, _)| *n);
    Some(results.into_iter().map(|(_, result)| result).collect())
}

/// The unit of a measure, for people.
fn unit(measure: &str) -> &'static str {
    match measure {
        "asa" | "p95" | "p99" => "s",
        "jain" => "",
        _ => "%",
    }
}

fn digits(measure: &str) -> usize {
    if measure == "jain" { 4 } else { 2 }
}

fn table(scenario: &Scenario, summary: &Summary) -> String {
    match (scenario, summary) {
        (Scenario::Routing(scenario), Summary::Routing { measures, types, foretold_error }) => {
            let mut all = Table::new(["measure", "mean", "+-", "unit"]);
            for (name, e) in MEASURES.into_iter().zip(measures) {
                let d = digits(name);
                all.row([name.into(), format!("{:.d$}", e.mean), format!("{:.d$}", e.ci95), unit(name).into()]);
            }
            if let Some(e) = foretold_error {
                // Of the waits that callers are told: mean squared error over mean squared wait.
                all.row(["foretold_error".into(), format!("{:.4}", e.mean), format!("{:.4}", e.ci95), String::new()]);
            }
            let mut each = Table::new(["type", "calls", "in target %", "abandoned %", "asa s", "p99 s", "skill %"]);
            for (of, row) in scenario.types.iter().zip(types) {
                let numbers =
                    [row.in_target, row.abandoned, row.asa_s, row.p99_s, row.skill].map(|x| format!("{x:.1}"));
                each.row([of.name.clone(), format!("{:.0}", row.calls)].into_iter().chain(numbers));
            }
            format!("{all}\n{each}")
        }
        (_, Summary::Media { media, in_target }) => {
            let mut each = Table::new(["medium", "contacts", "in target %", "+-", "gave up %", "asa s", "p99 s"]);
            for (medium, row) in media {
                let share = in_target.get(medium).copied().unwrap_or_default();
                let numbers = [share.mean, share.ci95, row.abandoned, row.asa_s, row.p99_s].map(|x| format!("{x:.1}"));
                each.row([medium.to_string(), format!("{:.0}", row.contacts)].into_iter().chain(numbers));
            }
            each.to_string()
        }
        _ => String::new(),
    }
}

/// What each policy gains over the first one, run by run.
fn gains(by_policy: &[(Policy, &[Digest])]) -> String {
    let Some((_, base)) = by_policy.first() else { return String::new() };
    let names = by_policy.iter().skip(1).map(|(policy, _)| policy.as_str());
    let mut table = Table::new(["measure"].into_iter().chain(names));
    let rows: Vec<String> = match base.first() {
        Some(Digest::Media { media, .. }) => media.keys().map(|medium| medium.to_string()).collect(),
        _ => MEASURES.map(str::to_owned).to_vec(),
    };
    for (n, name) in rows.into_iter().enumerate() {
        let value = |digest: &Digest| match digest {
            Digest::Routing { measures, .. } => measures.get(n).copied(),
            Digest::Media { media, .. } => media.values().nth(n).map(|of| of.in_target),
        };
        let d = digits(&name);
        let cells: Vec<String> = (by_policy.iter().skip(1))
            .map(|(_, digests)| {
                let pairs = digests.iter().zip(*base);
                let gains: Vec<f64> = pairs.filter_map(|(of, base)| Some(value(of)? - value(base)?)).collect();
                let gain = Estimate::of(&gains);
                format!("{:+.d$} +- {:.d$}", gain.mean, gain.ci95)
            })
            .collect();
        table.row([name].into_iter().chain(cells));
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_gain_as_large_as_its_interval_is_not_sure() {
        assert!(!is_sure(Estimate { mean: 0.5, ci95: 0.5 }));
        assert!(!is_sure(Estimate { mean: -0.5, ci95: 0.1 }));
        assert!(is_sure(Estimate { mean: 0.51, ci95: 0.5 }));
    }

    #[test]
    fn jobs_are_done_in_order_and_one_that_breaks_off_leaves_no_result() {
        let jobs: Vec<u32> = (0..50).collect();
        assert_eq!(in_parallel(&jobs, |n| n * 2, None::<fn()>), Some((0..50).map(|n| n * 2).collect()));
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let work = |n: &u32| {
                assert_ne!(*n, 7, "breaks off");
                thread::sleep(Duration::from_millis(1));
            };
            let _ = tell.send(in_parallel(&jobs, work, Some(|| ())));
        });
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(None), "the looking ends");
    }
}
