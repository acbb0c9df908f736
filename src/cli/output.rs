//! Standard output.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::CliError;

/// Writes octets.
pub fn write(octets: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(octets).and_then(|()| out.flush()).map_err(CliError::Output)
}

/// Writes warnings where errors go, so that they are no part of what a script reads.
pub fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}

/// Writes a text and a line end.
pub fn line(text: &str) -> Result<(), CliError> {
    write(format!("{text}\n").as_bytes())
}

/// Writes values as JSON, one a line.
pub fn json_lines(values: &[impl Serialize]) -> Result<(), CliError> {
    let mut text = String::new();
    for value in values {
        text.push_str(&serde_json::to_string(value).map_err(|error| CliError::Output(error.into()))?);
        text.push('\n');
    }
    write(text.as_bytes())
}

/// Writes a value as JSON, indented where people look.
pub fn json(value: &impl Serialize) -> Result<(), CliError> {
    let text =
        if io::stdout().is_terminal() { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    line(&text.map_err(|error| CliError::Output(error.into()))?)
}
