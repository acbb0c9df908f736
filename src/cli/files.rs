//! Provisioning and flow files: read, checked, drawn.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::json;
use toml::de::{DeTable, DeValue};

use super::{CliError, output};
use crate::core::fault::Fault;
use crate::core::ivr::{self, Flow};
use crate::core::tenant::{self, LoadError, Loaded, Provision};

/// Longest file that is read, in octets: 64 MiB.
const FILE_MAX: u64 = 64 << 20;

/// Reads a provisioning file with the flow files that it names, expands agent ranges and checks everything.
///
/// # Errors
///
/// [`CliError::File`], and [`CliError::Faults`] with all faults of all files at once.
pub fn read_provision(path: &Path) -> Result<Provision, CliError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let load = |name: &str| {
        let place = folder.join(name);
        let text = fs::File::open(&place).and_then(|file| io::read_to_string(file.take(ivr::TEXT_MAX as u64 + 1)));
        match text {
            Ok(text) if text.len() > ivr::TEXT_MAX => Err(LoadError::TooLong),
            Ok(text) => Ok(Loaded { name: place.display().to_string(), text }),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::NotFound => LoadError::Missing,
                io::ErrorKind::InvalidData => LoadError::NotText,
                _ => LoadError::Unreadable,
            }),
        }
    };
    tenant::parse_with(&read(path)?, &path.display().to_string(), &load).map_err(CliError::Faults)
}

/// `cordboard check`.
pub fn check(files: &[impl AsRef<Path>], json: bool) -> Result<(), CliError> {
    let mut faults = Vec::new();
    let mut sound = Vec::new();
    for path in files.iter().map(AsRef::as_ref) {
        match verdict(path) {
            Ok(what) => sound.push(format!("{}: {what}, no faults\n", path.display())),
            Err(CliError::Faults(more)) => faults.extend(more),
            // The other files are still of interest.
            Err(CliError::File { source, .. }) => faults.push(unreadable(path, &source)),
            Err(error) => return Err(error),
        }
    }
    if json {
        for f in &faults {
            let fault = json!({
                "file": f.file, "line": f.line, "column": f.column, "what": f.what, "expected": f.expected,
            });
            output::line(&fault.to_string())?;
        }
        return if faults.is_empty() { Ok(()) } else { Err(CliError::Reported) };
    }
    output::write(sound.concat().as_bytes())?;
    if faults.is_empty() { Ok(()) } else { Err(CliError::Faults(faults)) }
}

fn verdict(path: &Path) -> Result<&'static str, CliError> {
    if is_flow(&read(path)?) {
        return read_flow(path).map(|_| "flow");
    }
    let provision = read_provision(path)?;
    let name = path.display();
    output::warn(&tenant::warnings(&provision).iter().map(|warning| format!("{name}: {warning}")).collect::<Vec<_>>());
    Ok("provisioning")
}

fn unreadable(path: &Path, source: &io::Error) -> Fault {
    let expected = "a file that can be read".into();
    Fault { file: path.display().to_string(), line: 0, column: 0, what: source.to_string(), expected }
}

/// `cordboard flow draw`.
pub fn draw(path: &Path, svg: bool, to: Option<&Path>) -> Result<(), CliError> {
    let flow = read_flow(path)?;
    let drawing = if svg { ivr::draw_svg(&flow) } else { ivr::draw_dot(&flow) };
    match to {
        None => output::write(drawing.as_bytes()),
        Some(to) => write(to, &drawing),
    }
}

/// Writes a text file.
pub fn write(path: &Path, text: &str) -> Result<(), CliError> {
    fs::write(path, text).map_err(CliError::file(path))
}

/// Whether a file can be written; makes it where it is not there, and leaves what it has.
pub fn writable(path: &Path) -> Result<(), CliError> {
    let opened = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path);
    opened.map(drop).map_err(CliError::file(path))
}

fn read_flow(path: &Path) -> Result<Flow, CliError> {
    ivr::check(&read(path)?, &path.display().to_string()).map_err(CliError::Faults)
}

/// The text of a flow file that has no faults.
pub fn read_flow_text(path: &Path) -> Result<String, CliError> {
    let text = read(path)?;
    ivr::check(&text, &path.display().to_string()).map_err(CliError::Faults)?;
    Ok(text)
}

/// Whether a text is a flow rather than a provisioning: it has steps, or `flow` as a table instead of a list.
fn is_flow(text: &str) -> bool {
    let (document, _) = DeTable::parse_recoverable(text);
    let flow = document.get_ref().get("flow").is_some_and(|v| matches!(v.get_ref(), DeValue::Table(_)));
    flow || document.get_ref().contains_key("step")
}

/// Reads a text file of bounded size. Its size as the file system has it says nothing of devices and pipes: it is counted.
pub fn read(path: &Path) -> Result<String, CliError> {
    let mut octets = Vec::new();
    let file = fs::File::open(path).map_err(CliError::file(path))?;
    file.take(FILE_MAX + 1).read_to_end(&mut octets).map_err(CliError::file(path))?;
    if octets.len() as u64 > FILE_MAX {
        let what = "more than 64 MiB, which is the most that is read; name the file that is meant, or divide it";
        return Err(CliError::Usage(format!("{}: {what}", path.display())));
    }
    String::from_utf8(octets).map_err(|error| {
        let sound = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes().get(..sound).unwrap_or_default());
        let what = "here is an octet that is not UTF-8";
        CliError::Faults(vec![Fault::at(&path.display().to_string(), &text, sound, what, "a file saved as UTF-8")])
    })
}

/// Writes a file that only its owner may read: it can hold secrets and personal data.
pub fn write_private(path: &Path, octets: &[u8]) -> Result<(), CliError> {
    let mut options = fs::OpenOptions::new();
    let file = options.create(true).truncate(true).write(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(octets)).map_err(CliError::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_and_provisionings_are_told_apart() {
        assert!(is_flow("[flow]\nname = 'x'\n"));
        assert!(is_flow("[step.a]\ndo = 'answer'\n"));
        assert!(!is_flow("[[flow]]\nname = 'x'\n[sip]\n"));
        assert!(!is_flow(""));
    }
}
