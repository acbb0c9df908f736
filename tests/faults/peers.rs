//! What a test needs beside this repository: programs, root, the right to mount. Where `CORDBOARD_PEERS`, `CORDBOARD_ROOT` or
//! `CORDBOARD_MOUNT` is `required`, its absence is a failure; else the test says that it was skipped.

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root() || skipped("CORDBOARD_ROOT", "this is not root")
}

/// Whether a program is installed.
pub fn have(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
        || skipped("CORDBOARD_PEERS", &format!("{program} is not installed"))
}

/// Says why; false. A failure where the variable `need` says that it must not be.
pub fn skipped(need: &str, why: &str) -> bool {
    assert!(std::env::var(need).as_deref() != Ok("required"), "{why}");
    println!("skipped: {why}");
    false
}
