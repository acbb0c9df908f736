//! The demonstration, as whoever tries the product runs it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn the_demonstration_comes_out_even() {
    let dir = std::env::temp_dir().join(format!("cordboard-demo-{}", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_cordboard"))
        .args(["demo", "--once", "--json", "--data-dir"])
        .arg(&dir)
        .env_remove("CORDBOARD_DATA")
        .output()
        .unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {progress}"));
    let number = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {summary}"));
    assert_eq!((number("errors"), number("double_offers")), (0, 0), "{summary}\n{progress}");
    assert!(number("offered") > 0 && number("abandoned") > 0, "{summary}");
    assert_eq!(number("offered"), number("answered") + number("abandoned"), "{summary}");
    assert_eq!(number("audio_verified"), number("answered"), "{summary}");
    assert_eq!(number("cdrs"), number("offered"), "{summary}");
    assert!(output.status.success(), "{progress}");
    the_day_is_simulated_anew(&dir, number("offered"));
    // On failure it stays, for whoever looks into it.
    std::fs::remove_dir_all(dir).unwrap();
}

/// What was recorded makes a scenario of as many calls, and two more agents can be tried on it.
fn the_day_is_simulated_anew(dir: &Path, calls: u64) {
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cordboard"));
        let output = command.args(args).arg("--data-dir").arg(dir).env_remove("CORDBOARD_DATA").output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default()
    };
    let first = run(&["cdr", "export", "--json", "--limit", "1"]);
    let began: jiff::Timestamp = first["started_at"].as_str().and_then(|text| text.parse().ok()).unwrap();
    // The demonstration's tenant has this time zone.
    let day = began.in_tz("America/New_York").unwrap().date().to_string();
    let file = dir.join("day.json").display().to_string();
    run(&["export", "scenario", "--tenant", "demo", "--day", &day, "--output", &file]);
    let scenario: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let arrivals = scenario["arrivals"].as_array().map_or(0, Vec::len) as u64;
    assert!((1..=calls).contains(&arrivals), "{scenario}");
    let result = run(&["simulate", &file, "--agents", "+2", "--json"]);
    assert!(result["sl20"].as_f64().is_some_and(|share| share > 0.0), "{result}");
}
