//! `cordboard admission`: what the rule of shared trunks decides of given cases.

use std::path::Path;

use serde_json::{Value, json};

use super::{CliError, files, output};
use crate::edge::console::Table;
use crate::simulate::cases::{Case, Cases, Found, decision};

/// Runs `cordboard admission decide`.
pub fn decide(file: &Path, as_json: bool) -> Result<(), CliError> {
    let cases = Cases::read(&file.display().to_string(), &files::read(file)?).map_err(CliError::Scenario)?;
    if as_json {
        return output::json(&cases.results.iter().map(object).collect::<Vec<Value>>());
    }
    let mut table = Table::new(["case", "decision", "clause", "permitted", "need", "", "why"]);
    for case in &cases.results {
        let id = case.id.as_str().map_or_else(|| case.id.to_string(), str::to_owned);
        let cells = match case.result {
            Found::Decision(of) => {
                [decision(of.clause).to_owned(), of.clause.to_string(), of.permitted.to_string(), of.need.to_string()]
            }
            Found::Estimate(value) => [format!("{value:.9}"), String::new(), String::new(), String::new()],
        };
        let differs = if case.as_expected == Some(false) { "differs" } else { "" };
        table.row([id].into_iter().chain(cells).chain([differs.to_owned(), case.why.clone()]));
    }
    output::line(table.to_string().trim_end())?;
    let told: Vec<bool> = cases.results.iter().filter_map(|case| case.as_expected).collect();
    let right = told.iter().filter(|right| **right).count();
    if !told.is_empty() {
        output::line(&format!("\n{right} of {} as the file expects", told.len()))?;
    }
    if right < told.len() { Err(CliError::Reported) } else { Ok(()) }
}

fn object(case: &Case) -> Value {
    match case.result {
        Found::Decision(of) => json!({
            "id": case.id, "decision": decision(of.clause), "clause": of.clause.as_str(), "cap": of.permitted,
            "need": of.need,
        }),
        Found::Estimate(value) => json!({ "id": case.id, "value": value }),
    }
}
