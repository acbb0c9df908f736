//! What a test needs beside this repository. Where `CORDBOARD_PEERS` is `required`, what is missing is a failure; else the
//! test says that it was skipped.

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root() || skipped("this is not root")
}

/// Whether a program is installed.
pub fn have(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
        || skipped(&format!("{program} is not installed"))
}

/// Says why; false.
pub fn skipped(why: &str) -> bool {
    assert!(std::env::var("CORDBOARD_PEERS").as_deref() != Ok("required"), "{why}");
    println!("skipped: {why}");
    false
}
