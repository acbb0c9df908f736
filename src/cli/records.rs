//! What is on record: read in the data folder, or asked for by the socket for users.

use super::args::AuditArgs;
use super::cdr::reader;
use super::{CliError, Place, live, output};
use crate::base::{CallId, WorkItemId};
use crate::core::contact::Work;
use crate::core::control::Reply;
use crate::core::journal::{Audit, Cdr};
use crate::core::records::Records;
use crate::edge::console::{Client, render};
use crate::edge::store::{CdrFilter, WorkFilter};

/// Gives each record of a call that passes `filter` to `each`.
pub fn calls(
    place: &Place,
    filter: &CdrFilter,
    mut each: impl FnMut(Result<Cdr, CliError>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    if let Place::Dir(dir) = place {
        let reader = reader(dir)?;
        let mut all = reader.iter().flat_map(|reader| reader.cdrs(filter));
        return all.try_for_each(|cdr| each(cdr.map_err(CliError::from)));
    }
    let (mut client, mut left) = (live::connect(place)?, filter.limit.unwrap_or(u64::MAX));
    let mut after = filter.after;
    loop {
        let CdrFilter { tenant, since, until, trace, .. } = filter.clone();
        let (calls, more) = match client.records(&Records::Calls { tenant, since, until, trace, after })? {
            Reply::CallRecords { calls, more } => (calls, more),
            other => return live::unexpected(other),
        };
        after = calls.last().map(|cdr| (cdr.started_at, cdr.call_id));
        for cdr in calls {
            if left == 0 {
                return Ok(());
            }
            left -= 1;
            each(Ok(cdr))?;
        }
        if !more || after.is_none() {
            return Ok(());
        }
    }
}

/// The record of a call.
pub fn call(place: &Place, call: CallId) -> Result<Option<Cdr>, CliError> {
    match place {
        Place::Dir(dir) => Ok(reader(dir)?.map_or(Ok(None), |reader| reader.cdr(call))?),
        Place::Socket(_) => match live::connect(place)?.records(&Records::Call { call })? {
            Reply::CallRecords { calls, .. } => Ok(calls.into_iter().next()),
            other => live::unexpected(other).map(|()| None),
        },
    }
}

/// The record of a work item; `client` is the connection, if one is open.
pub fn work(place: &Place, client: Option<Client>, work: WorkItemId) -> Result<Option<Work>, CliError> {
    match (place, client) {
        (Place::Dir(dir), _) => Ok(reader(dir)?.map(|reader| reader.work(work)).transpose()?.flatten()),
        (Place::Socket(_), None) => Ok(None),
        (Place::Socket(_), Some(mut client)) => match client.records(&Records::Work { work })? {
            Reply::WorkRecords { works, .. } => Ok(works.into_iter().next()),
            // Who may read no records hears of none.
            _ => Ok(None),
        },
    }
}

/// Gives the records of ended work items of a tenant, or of all, to `each`, the latest end first, until it says no.
pub fn ended_works(place: &Place, tenant: Option<&String>, mut each: impl FnMut(Work) -> bool) -> Result<(), CliError> {
    if let Place::Dir(dir) = place {
        let filter = WorkFilter { tenant: tenant.cloned(), since: None, limit: None, before: None };
        for work in reader(dir)?.iter().flat_map(|reader| reader.ended_works(&filter)) {
            if !each(work?) {
                break;
            }
        }
        return Ok(());
    }
    let mut client = live::connect(place)?;
    let mut before = None;
    loop {
        let (works, more) = match client.records(&Records::Works { tenant: tenant.cloned(), before })? {
            Reply::WorkRecords { works, more } => (works, more),
            other => return live::unexpected(other),
        };
        before = works.last().and_then(|work| Some((work.ended_at?, work.id)));
        if !works.into_iter().all(&mut each) || !more || before.is_none() {
            return Ok(());
        }
    }
}

/// The trail of orders.
pub fn audit(place: &Place, args: &AuditArgs) -> Result<(), CliError> {
    let entries = match place {
        Place::Dir(dir) => match reader(dir)? {
            Some(reader) => reader.audit(args.tenant.as_deref(), None, args.limit)?,
            None => Vec::new(),
        },
        Place::Socket(_) => audit_by_socket(place, args)?,
    };
    if args.json { output::json_lines(&entries) } else { live::text(&render::audit(&entries)) }
}

fn audit_by_socket(place: &Place, args: &AuditArgs) -> Result<Vec<Audit>, CliError> {
    let (mut client, mut all, mut until) = (live::connect(place)?, Vec::<Audit>::new(), None);
    let most = args.limit as usize;
    loop {
        let (entries, more) = match client.records(&Records::Audit { tenant: args.tenant.clone(), until })? {
            Reply::Audit { entries, more } => (entries, more),
            other => return live::unexpected(other).map(|()| Vec::new()),
        };
        all.extend(entries);
        if !more || all.len() >= most {
            all.truncate(most);
            return Ok(all);
        }
        until = all.last().map(|last| {
            let at_that_time = all.iter().rev().take_while(|entry| entry.at == last.at).count();
            (last.at, u32::try_from(at_that_time).unwrap_or(u32::MAX))
        });
    }
}
