//! The demonstration, as whoever tries the product runs it.

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
    // On failure it stays, for whoever looks into it.
    std::fs::remove_dir_all(dir).unwrap();
}
