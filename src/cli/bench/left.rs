//! What an earlier run left: a data folder with work items that wait.

use std::path::Path;
use std::time::Duration;

use crate::base::{Medium, Redacted, Timestamp, WorkItemId};
use crate::cli::{CliError, live};
use crate::core::contact::Work;
use crate::core::journal::Change;
use crate::core::tenant::Provision;
use crate::edge::store::{AppendError, Store};

/// Longest time until the last change is durable.
const WRITTEN_WITHIN: Duration = Duration::from_secs(300);

/// Between two looks at how far the store is.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Makes the folder, with the provisioning and so many items in its first queue, some seconds after each other.
pub(super) fn fill(dir: &Path, provision: &Provision, works: u32) -> Result<(), CliError> {
    let queue = provision.queue.first();
    let queue = queue.ok_or_else(|| CliError::Refused("the provisioning has no queue".into()))?;
    std::fs::create_dir_all(dir).map_err(|error| CliError::Refused(format!("{}: {error}", dir.display())))?;
    let (store, recovered) = Store::open(dir)?;
    let now = live::now();
    let provisioned = Change::Provisioned { provision: Box::new(provision.clone()) };
    let items = (1..=works).map(|n| {
        let at = Timestamp(now.0 - i64::from(works - n));
        Change::WorkChanged { work: Box::new(item(n, &queue.tenant, &queue.name, at)) }
    });
    let mut next = recovered.next_seq;
    for change in std::iter::once(provisioned).chain(items) {
        // It has room again when some of it is written.
        while let Err(error) = store.append(next, change.clone()) {
            if error != AppendError::Full {
                return Err(CliError::Refused(error.to_string()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        next += 1;
    }
    let began = std::time::Instant::now();
    while store.durable() + 1 < next && began.elapsed() < WRITTEN_WITHIN {
        std::thread::sleep(LOOK_EVERY);
    }
    store.close()?;
    Ok(())
}

fn item(n: u32, tenant: &str, queue: &str, at: Timestamp) -> Work {
    let mut work = Work {
        client: Some(Redacted::new(format!("client{n}@example.com"))),
        subject: Some(Redacted::new(format!("message {n}"))),
        ..Work::new(WorkItemId(n.into()), (tenant, queue), Medium::Email, at, None)
    };
    work.record(at, "added", queue);
    work
}
