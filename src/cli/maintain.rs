//! Backup, restore, manual pages.

use std::io::{self, IsTerminal};
use std::path::Path;

use super::{CliError, output};
use crate::edge::store::{self, BackupOptions, StoreError};

/// `cordboard backup`.
pub fn backup(dir: &Path, to: &Path, with_secrets: bool) -> Result<(), CliError> {
    let live = io::stderr().is_terminal();
    let mut total = 0;
    let mut progress = |copied: u64, all: u64| {
        total = all;
        if live {
            eprint!("\r{copied} of {all} octets ");
        }
    };
    let copied = store::backup(dir, to, BackupOptions { with_secrets }, &mut progress);
    if live {
        eprintln!();
    }
    copied?;
    output::line(&format!("{}: {total} octets", to.display()))
}

/// `cordboard restore`.
pub fn restore(dir: &Path, from: &Path) -> Result<(), CliError> {
    let restored = store::restore(from, dir).map_err(|error| match error {
        StoreError::Missing { path } if path == from => {
            CliError::NoBackup { path, finding: "there is no such file".into() }
        }
        StoreError::Damaged { path, finding } if path == from => CliError::NoBackup { path, finding },
        other => other.into(),
    })?;
    let mut text = format!("restored, {} call records\n", restored.cdrs);
    if restored.secrets_lost > 0 {
        text.push_str(&format!(
            "{} passwords and PINs could not be opened and are gone: provision them again\n",
            restored.secrets_lost
        ));
    }
    if let Some(before) = restored.before {
        text.push_str(&format!("the database from before is {}\n", before.display()));
    }
    output::write(text.as_bytes())
}

/// `cordboard man`.
pub fn man(command: clap::Command, directory: Option<&Path>) -> Result<(), CliError> {
    match directory {
        Some(directory) => clap_mangen::generate_to(command, directory).map_err(CliError::file(directory)),
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).map_err(CliError::Output)?;
            output::write(&page)
        }
    }
}
