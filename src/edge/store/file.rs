//! Provisioning files on disk, with the flow files that they name.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::core::fault::Fault;
use crate::core::tenant::check::FLOW_LENGTH_MAX;
use crate::core::tenant::{LoadError, Loaded, Provision, parse_with};

/// Longest provisioning file, in octets.
pub const FILE_LENGTH_MAX: usize = 64 << 20;

/// Reads, expands and checks a provisioning file. Flow files are found relative to its folder.
///
/// # Errors
/// Every fault at its place; one without a line when the file itself cannot be read.
pub fn read_provision(path: &Path) -> Result<Provision, Vec<Fault>> {
    let name = path.display().to_string();
    let text = read(path, FILE_LENGTH_MAX).map_err(|error| {
        let what = format!("the file {error}");
        vec![Fault { file: name.clone(), line: 0, column: 0, what, expected: "a provisioning file".into() }]
    })?;
    let dir = path.parent().unwrap_or(Path::new(""));
    parse_with(&text, &name, &|flow| {
        let path = dir.join(flow);
        Ok(Loaded { name: path.display().to_string(), text: read(&path, FLOW_LENGTH_MAX)? })
    })
}

fn read(path: &Path, length_max: usize) -> Result<String, LoadError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => LoadError::Missing,
        _ => LoadError::Unreadable,
    };
    let mut octets = Vec::new();
    let limit = u64::try_from(length_max).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut octets)).map_err(unreadable)?;
    if octets.len() > length_max {
        return Err(LoadError::TooLong);
    }
    String::from_utf8(octets).map_err(|_| LoadError::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_is_a_fault() {
        let faults = read_provision(Path::new("/nonexistent/p.toml")).expect_err("not there");
        assert_eq!(
            faults[0].to_string(),
            "/nonexistent/p.toml:0:0: the file is not there; expected a provisioning file"
        );
        let faults = read_provision(Path::new("/")).expect_err("a folder");
        assert_eq!(faults[0].what, "the file cannot be read");
    }

    #[test]
    fn the_examples_are_good() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let bench = read_provision(&examples.join("bench.toml")).unwrap_or_else(|faults| panic!("{faults:#?}"));
        let agents: Vec<String> = bench.agent.iter().map(|agent| agent.name.clone()).collect();
        assert_eq!(agents, (0..500).map(|n| format!("agent{n}")).collect::<Vec<_>>());
        let numbers: Vec<&str> = bench.number.iter().map(|number| number.number.as_str()).collect();
        assert_eq!(numbers, ["100", "200", "201", "202", "210", "300", "400"]);
    }

    #[test]
    fn flow_files_are_relative_to_the_file() {
        let dir = std::env::temp_dir().join(format!("cordboard-file-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("flows")).expect("folder");
        let provision = "[[tenant]]\nname = 'a'\n[[flow]]\ntenant = 'a'\nname = 'f'\nfile = 'flows/f.toml'\n";
        let flow = "[flow]\nstart = 'end'\n[step.end]\ndo = 'hangup'\n";
        std::fs::write(dir.join("p.toml"), provision).expect("written");
        std::fs::write(dir.join("flows/f.toml"), flow).expect("written");
        let read = read_provision(&dir.join("p.toml")).expect("good");
        assert_eq!(read.flow[0].text, flow);
        std::fs::write(dir.join("flows/f.toml"), [0xff]).expect("written");
        let faults = read_provision(&dir.join("p.toml")).expect_err("not text");
        assert_eq!((faults[0].line, faults[0].what.as_str()), (6, "\"flows/f.toml\" is not UTF-8 text"));
        let _ = std::fs::remove_dir_all(dir);
    }
}
