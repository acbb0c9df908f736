//! What is on record, read for the clients of a control socket: off the switch thread, a page at a time.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use smol::lock::Semaphore;

use super::ANSWER_TIMEOUT;
use super::server::within;
use crate::core::control::Reply;
use crate::core::records::{RECORDS_MAX, RECORDS_OCTETS_MAX, Records};
use crate::edge::store::{CdrFilter, Reader, StoreError, WorkFilter};

/// Questions that are answered at once; others wait.
const READERS_MAX: usize = 2;

/// The store of a data folder, for reading.
#[derive(Debug)]
pub(super) struct Shelf {
    data_dir: PathBuf,
    readers: Arc<Semaphore>,
}

impl Shelf {
    pub fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), readers: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// The answer, of all tenants unless the question names one. Who waits too long for it hears so.
    pub async fn read(&self, records: Records) -> Reply {
        let answer = async {
            let turn = self.readers.acquire_arc().await;
            let dir = self.data_dir.clone();
            // The turn lasts as long as the reading, also when nobody waits for it any more.
            let reading = move || {
                let _turn = turn;
                Reader::open(&dir).and_then(|reader| read(&reader, records))
            };
            Ok(smol::unblock(reading).await)
        };
        let refused = |reason: &str| Reply::Refused { reason: reason.into() };
        match within(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                log::error!(target: "console", "records: {error}");
                refused("the records cannot be read; the log of the appliance says why")
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                refused("the records were not read in time; ask for less of them, or try again")
            }
            Err(_) => refused("the records cannot be read"),
        }
    }
}

fn read(reader: &Reader, records: Records) -> Result<Reply, StoreError> {
    Ok(match records {
        Records::Calls { tenant, since, until, trace, after } => {
            let filter = CdrFilter { tenant, since, until, trace, after, limit: None };
            let (calls, more) = page(reader.cdrs(&filter))?;
            Reply::CallRecords { calls, more }
        }
        Records::Call { call } => Reply::CallRecords { calls: reader.cdr(call)?.into_iter().collect(), more: false },
        Records::Works { tenant, before } => {
            let (works, more) = page(reader.ended_works(&WorkFilter { tenant, since: None, limit: None, before }))?;
            Reply::WorkRecords { works, more }
        }
        Records::Work { work } => Reply::WorkRecords { works: reader.work(work)?.into_iter().collect(), more: false },
        Records::Audit { tenant, until } => {
            let one_more = u32::try_from(RECORDS_MAX).unwrap_or(u32::MAX).saturating_add(1);
            let found = reader.audit(tenant.as_deref(), until, one_more)?;
            let (entries, more) = page(found.into_iter().map(Ok))?;
            Reply::Audit { entries, more }
        }
    })
}

/// The first of them, and whether there are more. One that cannot be read does not keep the others back.
fn page<T: Serialize>(all: impl Iterator<Item = Result<T, StoreError>>) -> Result<(Vec<T>, bool), StoreError> {
    let (mut page, mut octets) = (Vec::new(), 0);
    for record in all {
        match record {
            Ok(_) if page.len() == RECORDS_MAX || octets >= RECORDS_OCTETS_MAX => return Ok((page, true)),
            Ok(record) => {
                octets += serde_json::to_vec(&record).map_or(0, |text| text.len());
                page.push(record);
            }
            Err(error @ StoreError::Undecodable { .. }) => log::error!(target: "console", "{error}"),
            Err(error) => return Err(error),
        }
    }
    Ok((page, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_bounded_and_says_when_there_are_more() {
        let of = |count: usize, length: usize| page((0..count).map(|_| Ok("x".repeat(length)))).unwrap();
        let (records, more) = of(RECORDS_MAX, 1);
        assert_eq!((records.len(), more), (RECORDS_MAX, false));
        let (records, more) = of(RECORDS_MAX + 1, 1);
        assert_eq!((records.len(), more), (RECORDS_MAX, true));
        // By octets, too; one record always goes.
        let (records, more) = of(9, RECORDS_OCTETS_MAX / 4);
        assert_eq!((records.len(), more), (4, true));
        let (records, more) = of(2, RECORDS_OCTETS_MAX * 2);
        assert_eq!((records.len(), more), (1, true));
    }

    #[test]
    fn what_cannot_be_read_keeps_nothing_else_back() {
        let undecodable = || StoreError::Undecodable { what: "cdr".into() };
        let all = [Ok(1), Err(undecodable()), Ok(2)];
        assert_eq!(page(all.into_iter()).unwrap(), (vec![1, 2], false));
    }
}
