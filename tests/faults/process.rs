//! The binary itself.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::site::Site;

/// A running `cordboard run`; killed if a test ends without it.
pub struct Process(Child);

impl Process {
    /// Starts it on the site's data folder and waits until it serves.
    pub fn start(site: &Site, provision: Option<&Path>) -> Self {
        Self::start_with(site, provision, &[])
    }

    /// The same, with further arguments.
    pub fn start_with(site: &Site, provision: Option<&Path>, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cordboard"));
        command.arg("run").arg("--data-dir").arg(site.data()).args(more);
        if let Some(file) = provision {
            command.arg("--provision").arg(file);
        }
        let mut process = Self(command.stderr(Stdio::piped()).spawn().unwrap());
        let mut lines = BufReader::new(process.0.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let serves = lines.by_ref().map_while(Result::ok).any(|line| {
            said.push(line);
            said.last().is_some_and(|l| l.contains("listening on tcp:"))
        });
        assert!(serves, "it did not start:\n{}", said.join("\n"));
        // What it says later is read, so that it never waits for us.
        thread::spawn(move || lines.for_each(drop));
        process
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.0.wait().unwrap();
    }

    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Its exit code, once it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        self.0.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended in order.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs a command of the binary on the site's data folder.
pub fn run(site: &Site, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cordboard"));
    command.args(args).arg("--data-dir").arg(site.data()).output().unwrap()
}

/// Runs what must succeed; its standard output.
pub fn ok(site: &Site, args: &[&str]) -> String {
    let output = run(site, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
