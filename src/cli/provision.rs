//! The whole provisioning: loaded, replaced, exported.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::FlockOperation;

use super::{CliError, Place, cdr, files, live, output};
use crate::core::control::{Command, Query, Reply};
use crate::core::journal::Change;
use crate::core::tenant::{self, Provision};
use crate::edge::console::Client;
use crate::edge::store::{CdrFilter, Reader, Store, StoreAlarm, StoreError, WorkFilter};

/// What is provisioned in a data folder that is there; the default where nothing is yet.
///
/// # Errors
///
/// [`CliError::NoData`] where there is no folder: a mistyped name must not look like an empty appliance.
pub fn load(dir: &Path) -> Result<Provision, CliError> {
    if !dir.try_exists().map_err(CliError::file(dir))? {
        return Err(CliError::NoData { data_dir: dir.to_owned() });
    }
    load_or_new(dir)
}

fn load_or_new(dir: &Path) -> Result<Provision, CliError> {
    match Reader::open(dir).and_then(|reader| reader.provision()) {
        Ok(provision) => Ok(provision),
        Err(StoreError::Missing { .. }) => Ok(Provision::default()),
        Err(error) => Err(error.into()),
    }
}

/// `cordboard provision apply`.
pub fn apply(dir: &Path, file: &Path, dry_run: bool) -> Result<(), CliError> {
    let new = files::read_provision(file)?;
    replace(dir, dry_run, |_| Ok(new))
}

/// `cordboard provision export`.
pub fn export(dir: &Path, secrets: bool, to: Option<&Path>) -> Result<(), CliError> {
    let provision = load(dir)?;
    let text = if secrets { tenant::export_with_secrets(&provision) } else { tenant::export(&provision) };
    match to {
        None => output::write(text.as_bytes()),
        Some(path) => files::write_private(path, text.as_bytes()),
    }
}

/// Replaces the provisioning by what `edit` makes of it, through the running appliance or else in the store, and prints
/// the difference. Commands that do this wait for each other, so that none undoes another's change.
pub fn replace(
    dir: &Path,
    dry_run: bool,
    edit: impl FnOnce(&Provision) -> Result<Provision, CliError>,
) -> Result<(), CliError> {
    let _alone = if dry_run { None } else { Some(lock(dir)?) };
    let old = load_or_new(dir)?;
    let new = edit(&old)?;
    let faults = tenant::check(&new);
    if !faults.is_empty() {
        return Err(CliError::Faults(faults));
    }
    output::warn(&tenant::warnings(&new));
    output::warn(&items_lost(&Place::Dir(dir.to_owned()), &old, &new)?);
    output::warn(&records_inherited(dir, &old, &new)?);
    let differences = tenant::diff(&old, &new);
    let mut text: String = differences.iter().map(|difference| format!("{difference}\n")).collect();
    let running = !differences.is_empty() && !dry_run && put(dir, new)? == Done::Running;
    text.push_str(&match (differences.len(), dry_run) {
        (0, _) => "nothing to change\n".to_owned(),
        (n, true) => format!("{n} to change, not applied\n"),
        (n, false) => format!("{n} changed\n"),
    });
    let waiting: Vec<String> = differences
        .iter()
        .filter(|difference| running && difference.holds_from_next_start())
        .map(|difference| format!("{} {}", difference.kind, difference.name).trim().to_owned())
        .collect();
    if !waiting.is_empty() {
        text.push_str(&format!("start the appliance anew for: {}\n", waiting.join(", ")));
    }
    output::write(text.as_bytes())
}

/// What waits in queues that are to go, in a running appliance.
pub(super) fn items_lost(place: &Place, old: &Provision, new: &Provision) -> Result<Vec<String>, CliError> {
    let stays: HashSet<_> = new.queue.iter().map(|queue| (&queue.tenant, &queue.name)).collect();
    let gone: Vec<_> = old.queue.iter().filter(|queue| !stays.contains(&(&queue.tenant, &queue.name))).collect();
    let mut warnings = Vec::new();
    let Some(mut client) = (if gone.is_empty() { None } else { live::try_connect(place)? }) else {
        return Ok(warnings);
    };
    for queue in gone {
        let (tenant, name) = (&queue.tenant, &queue.name);
        let query = Query::Works {
            tenant: Some(tenant.clone()),
            queue: Some(name.clone()),
            state: None,
            after: None,
            agent: None,
        };
        let Reply::Works { works, more } = client.query(&query)? else { continue };
        if let Some(first) = works.first() {
            let count = if more { format!("more than {}", works.len()) } else { works.len().to_string() };
            warnings.push(format!(
                "{count} work items of the queue {tenant}/{name} have not ended, and end with it as unservable, calls in \
                 its overflow; hand them on first: `cordboard work transfer {} --queue NAME`",
                first.id
            ));
        }
    }
    Ok(warnings)
}

/// What is on record of earlier tenants of the names of new ones, whose users are to see it.
fn records_inherited(dir: &Path, old: &Provision, new: &Provision) -> Result<Vec<String>, CliError> {
    let had: HashSet<_> = old.tenant.iter().map(|tenant| &tenant.name).collect();
    let mut added = new.tenant.iter().filter(|tenant| !had.contains(&tenant.name)).peekable();
    let mut warnings = Vec::new();
    let Some(reader) = (if added.peek().is_none() { None } else { cdr::reader(dir)? }) else { return Ok(warnings) };
    for tenant in added {
        let name = &tenant.name;
        let calls = CdrFilter { tenant: Some(name.clone()), limit: Some(1), ..CdrFilter::default() };
        let works = WorkFilter { tenant: Some(name.clone()), limit: Some(1), ..WorkFilter::default() };
        let is_known = reader.cdrs(&calls).next().is_some()
            || reader.ended_works(&works).next().is_some()
            || !reader.audit(Some(name), None, 1)?.is_empty();
        if is_known {
            warnings.push(format!(
                "there are records of an earlier tenant {name}, which users of the new one will see; give it another name \
                 where it is another company"
            ));
        }
    }
    Ok(warnings)
}

/// Where a provisioning was put.
#[derive(PartialEq, Eq)]
enum Done {
    /// Into the running appliance, which has stored it.
    Running,
    /// Into the store of one that does not run.
    Stored,
}

fn put(dir: &Path, new: Provision) -> Result<Done, CliError> {
    let provision = Box::new(new);
    if let Some(mut client) = Client::connect(dir)? {
        live::done(client.command(&Command::Provision { provision })?)?;
        return Ok(Done::Running);
    }
    let (store, recovered) = Store::open(dir)?;
    let refused: Arc<Mutex<Option<String>>> = Arc::default();
    store.on_alarm({
        let refused = Arc::clone(&refused);
        Box::new(move |alarm| {
            if let StoreAlarm::Refused { reason, .. } = alarm {
                *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
            }
        })
    });
    // The queue of a store just opened has room.
    if let Err(error) = store.append(recovered.next_seq, Change::Provisioned { provision }) {
        return Err(CliError::Refused(error.to_string()));
    }
    store.close()?;
    let reason = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
    reason.map_or(Ok(Done::Stored), |reason| Err(CliError::Refused(reason)))
}

/// Waits until no other command changes the provisioning; the lock goes with the file.
fn lock(dir: &Path) -> Result<File, CliError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(CliError::file(dir))?;
    let path = dir.join("provision.lock");
    let mut options = fs::OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(CliError::file(&path))?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|e| CliError::file(&path)(e.into()))?;
    Ok(file)
}
