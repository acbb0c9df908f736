//! `cordboard trunk plan`: how many trunks, and what contracts, for the tenants of a scenario or of the records.

use std::path::Path;

use serde::Serialize;

use super::args::PlanArgs;
use super::simulate::in_parallel;
use super::{CliError, files, live_load, output};
use crate::edge::console::Table;
use crate::simulate::Estimate;
use crate::simulate::trunks::plan::{Load, Point, alone, least, ratio_for, try_out};
use crate::simulate::trunks::{Admitted, Batch, Trunks, plot};

/// What stands for the records in place of a file.
const LIVE: &str = "live";
/// Runs between two looks at how sure a point is, and most of one point.
const RUNS_A_LOOK: u64 = 4;
const RUNS_MAX: u64 = 24;
/// Neighbours shown on either side.
const NEIGHBOURS: u32 = 2;
/// Tenants with calls in bursts whose permitted number is tried out; of more the formula tells.
const TRIED_ALONE_MAX: usize = 50;

/// A plan.
#[derive(Serialize)]
struct Plan {
    name: String,
    blocking_pct: f64,
    erlangs: f64,
    peakedness: f64,
    trunks: u32,
    trunks_by_formula: u32,
    points: Vec<Tried>,
    tenants: Vec<OfTenant>,
}

/// A number of trunks.
#[derive(Serialize)]
struct Tried {
    trunks: u32,
    by_formula_pct: f64,
    blocked_pct: f64,
    blocked_pct_ci95: f64,
    worst_within_pct: f64,
    worst_within_pct_ci95: f64,
}

/// What a tenant needs, and has with the plan.
#[derive(Serialize)]
struct OfTenant {
    name: String,
    agents: u32,
    after_hours: u32,
    erlangs: f64,
    peakedness: f64,
    ratio_now: String,
    /// None where no multiple of its agents would do: more `after_hours`.
    ratio: Option<String>,
    permitted: u32,
    blocked_pct: f64,
    blocked_pct_ci95: f64,
    within_pct: f64,
    within_pct_ci95: f64,
}

/// Runs `cordboard trunk plan`.
pub fn plan(dir: &Path, args: &PlanArgs) -> Result<(), CliError> {
    if !(args.blocking > 0.0 && args.blocking < 100.0) {
        let what = format!("`--blocking {}` is no share; expected more than 0, less than 100", args.blocking);
        return Err(CliError::Usage(what));
    }
    let text = if args.input == Path::new(LIVE) {
        live_load::scenario(dir, args)?
    } else {
        let of_live =
            [("--trunk", args.trunk.is_some()), ("--since", args.since.is_some()), ("--ahead", args.ahead.is_some())];
        if let Some((option, _)) = of_live.into_iter().find(|(_, given)| *given) {
            return Err(CliError::Usage(format!("{option} is for `live`; a file says itself what calls come")));
        }
        files::read(&args.input)?
    };
    let scenario = Trunks::read(&args.input.display().to_string(), &text).map_err(CliError::Scenario)?;
    let load = Load::of_all(&scenario);
    if load.erlangs <= 0.0 {
        return Err(CliError::Usage("nobody calls: there is nothing to plan".into()));
    }
    // Before the work, which takes minutes.
    if let Some(path) = &args.svg {
        files::writable(path)?;
    }
    let needs = (0..scenario.tenants.len()).map(|n| need(&scenario, n, args)).collect::<Result<Vec<u32>, _>>()?;
    let planned = with_contracts(&scenario, &needs);
    let (chosen, points) = search(&planned, load, args)?;
    if let Some(path) = &args.svg {
        let names: Vec<&str> = scenario.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
        let picture = plot::Picture {
            title: &scenario.name,
            load,
            share_pct: args.blocking,
            points: &points,
            chosen,
            names: &names,
        };
        files::write(path, &plot::svg(&picture))?;
    }
    let plan = told(&scenario, load, (chosen, &points), &needs, args);
    if args.json { output::json(&plan) } else { print(&plan) }
}

/// How many calls a tenant is to be permitted. Of Poisson calls Erlang's formula is exact, whatever law their length has.
fn need(scenario: &Trunks, n: usize, args: &PlanArgs) -> Result<u32, CliError> {
    let load = Load::of_tenant(scenario, n);
    let share = args.blocking / 100.0;
    let lines = load.lines(share).ok_or_else(too_much)?;
    let bursty = scenario.tenants.get(n).is_some_and(|tenant| scenario.bursts(tenant).is_some());
    if !bursty || n >= TRIED_ALONE_MAX {
        return Ok(lines);
    }
    let one = alone(scenario, n);
    let does = |lines: u32| -> Result<bool, CliError> {
        Ok(try_point(&one, lines, Admitted::Sharing, args)?.blocked.mean <= args.blocking)
    };
    least(lines, does)?.ok_or_else(too_much)
}

/// The scenario with contracts that permit what is needed.
fn with_contracts(scenario: &Trunks, needs: &[u32]) -> Trunks {
    let mut planned = scenario.clone();
    for (tenant, need) in planned.tenants.iter_mut().zip(needs) {
        match ratio_for(*need, tenant.agents, tenant.after_hours_trunks) {
            Some(ratio) => tenant.trunk_agent_ratio = ratio,
            None => tenant.after_hours_trunks = need.saturating_sub(tenant.agents),
        }
    }
    planned
}

/// The fewest trunks that do, and all that were tried around it, by trunks.
fn search(planned: &Trunks, load: Load, args: &PlanArgs) -> Result<(u32, Vec<Point>), CliError> {
    let mut points: Vec<Point> = Vec::new();
    let guess = load.lines(args.blocking / 100.0).ok_or_else(too_much)?;
    let does = |points: &mut Vec<Point>, trunks: u32| -> Result<bool, CliError> {
        if let Some(known) = points.iter().find(|point| point.trunks == trunks) {
            return Ok(known.does(args.blocking));
        }
        let point = try_point(planned, trunks, Admitted::Priced, args)?;
        let does = point.does(args.blocking);
        points.push(point);
        Ok(does)
    };
    let chosen = least(guess, |trunks| does(&mut points, trunks))?.ok_or_else(|| {
        CliError::Usage(format!(
            "far more than {guess} trunks refuse more than {} % still: a tenant's worth is so low that others go first",
            args.blocking
        ))
    })?;
    for trunks in chosen.saturating_sub(NEIGHBOURS).max(1)..=chosen.saturating_add(NEIGHBOURS) {
        does(&mut points, trunks)?;
    }
    points.retain(|point| point.trunks.abs_diff(chosen) <= NEIGHBOURS);
    points.sort_unstable_by_key(|point| point.trunks);
    Ok((chosen, points))
}

/// Runs seed after seed until it is sure what so many trunks come to.
fn try_point(scenario: &Trunks, trunks: u32, admitted: Admitted, args: &PlanArgs) -> Result<Point, CliError> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut from = 0;
    loop {
        let seeds: Vec<u64> = (from..from + RUNS_A_LOOK).map(|n| args.seed.wrapping_add(n)).collect();
        from += RUNS_A_LOOK;
        let runs = in_parallel(&seeds, |seed| try_out(scenario, trunks, admitted, *seed), None::<fn()>);
        batches.extend(runs.ok_or(CliError::BrokeOff)?.into_iter().flatten());
        let point = Point::of(scenario, trunks, &batches);
        if point.is_sure(args.blocking) || from >= RUNS_MAX {
            return Ok(point);
        }
    }
}

fn too_much() -> CliError {
    CliError::Usage("so many calls would want more trunks than can be counted".into())
}

fn told(scenario: &Trunks, load: Load, (chosen, points): (u32, &[Point]), needs: &[u32], args: &PlanArgs) -> Plan {
    let tried = |point: &Point| {
        let (all, within) = (point.blocked, point.worst_within());
        Tried {
            trunks: point.trunks,
            by_formula_pct: 100.0 * load.blocking(point.trunks),
            blocked_pct: all.mean,
            blocked_pct_ci95: all.ci95,
            worst_within_pct: within.mean,
            worst_within_pct_ci95: within.ci95,
        }
    };
    let at = points.iter().find(|point| point.trunks == chosen);
    let tenants = scenario.tenants.iter().zip(needs).enumerate().map(|(n, (tenant, need))| {
        let of = Load::of_tenant(scenario, n);
        let measured = at.and_then(|point| point.tenants.get(n)).copied();
        let [all, within] = measured.unwrap_or([Estimate::default(); 2]);
        OfTenant {
            name: tenant.name.clone(),
            agents: tenant.agents,
            after_hours: tenant.after_hours_trunks,
            erlangs: of.erlangs,
            peakedness: of.peakedness,
            ratio_now: tenant.trunk_agent_ratio.to_string(),
            ratio: ratio_for(*need, tenant.agents, tenant.after_hours_trunks).map(|ratio| ratio.to_string()),
            permitted: *need,
            blocked_pct: all.mean,
            blocked_pct_ci95: all.ci95,
            within_pct: within.mean,
            within_pct_ci95: within.ci95,
        }
    });
    Plan {
        name: scenario.name.clone(),
        blocking_pct: args.blocking,
        erlangs: load.erlangs,
        peakedness: load.peakedness,
        trunks: chosen,
        trunks_by_formula: load.lines(args.blocking / 100.0).unwrap_or(chosen),
        points: points.iter().map(tried).collect(),
        tenants: tenants.collect(),
    }
}

fn print(plan: &Plan) -> Result<(), CliError> {
    output::line(&format!(
        "{}: {} trunks refuse no more than {} % of {:.1} erlangs (peakedness {:.2}; by formula {})\n",
        plan.name, plan.trunks, plan.blocking_pct, plan.erlangs, plan.peakedness, plan.trunks_by_formula
    ))?;
    let mut points = Table::new(["", "trunks", "by formula %", "refused %", "+-", "within, worst tenant %", "+-"]);
    for of in &plan.points {
        let numbers =
            [of.by_formula_pct, of.blocked_pct, of.blocked_pct_ci95, of.worst_within_pct, of.worst_within_pct_ci95];
        let mark = if of.trunks == plan.trunks { "*" } else { "" };
        points.row([mark.into(), of.trunks.to_string()].into_iter().chain(numbers.map(|x| format!("{x:.3}"))));
    }
    let head =
        ["tenant", "agents", "T", "erlangs", "peaked", "R now", "R", "permitted", "refused %", "+-", "within %", "+-"];
    let mut tenants = Table::new(head);
    for of in &plan.tenants {
        let ratio = of.ratio.clone().unwrap_or_else(|| format!("T = {}", of.permitted.saturating_sub(of.agents)));
        let known = [of.agents.to_string(), of.after_hours.to_string()];
        let load = [of.erlangs, of.peakedness].map(|x| format!("{x:.2}"));
        let contract = [of.ratio_now.clone(), ratio, of.permitted.to_string()];
        let tried = [of.blocked_pct, of.blocked_pct_ci95, of.within_pct, of.within_pct_ci95].map(|x| format!("{x:.3}"));
        tenants.row([of.name.clone()].into_iter().chain(known).chain(load).chain(contract).chain(tried));
    }
    output::line(&format!("{points}\n{}", tenants.to_string().trim_end()))
}
