//! Questions about what is on record. They are answered from the store, beside the core.

use serde::{Deserialize, Serialize};

use crate::base::{CallId, Timestamp, Trace, WorkItemId};

/// Most records in one answer.
pub const RECORDS_MAX: usize = 500;

/// An answer takes no more records once they come to so many octets.
pub const RECORDS_OCTETS_MAX: usize = 1 << 20;

/// A question about what is on record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "records", rename_all = "kebab-case")]
pub enum Records {
    /// Calls by start and id, those that are up as well.
    Calls {
        /// Of this tenant only.
        #[serde(default)]
        tenant: Option<String>,
        /// Started at this time or later.
        #[serde(default)]
        since: Option<Timestamp>,
        /// Started before this time.
        #[serde(default)]
        until: Option<Timestamp>,
        /// Known to all appliances by this.
        #[serde(default)]
        trace: Option<Trace>,
        /// After the one that started then.
        #[serde(default)]
        after: Option<(Timestamp, CallId)>,
    },
    /// One call.
    Call {
        /// Which.
        call: CallId,
    },
    /// Work items that have ended, the latest end first.
    Works {
        /// Of this tenant only.
        #[serde(default)]
        tenant: Option<String>,
        /// Before the one that ended then.
        #[serde(default)]
        before: Option<(Timestamp, WorkItemId)>,
    },
    /// One work item, whether it has ended or not.
    Work {
        /// Which.
        work: WorkItemId,
    },
    /// What users have ordered, the latest first.
    Audit {
        /// What concerns this tenant only.
        #[serde(default)]
        tenant: Option<String>,
        /// No later than that, and of those of that very time not the so many newest.
        #[serde(default)]
        until: Option<(Timestamp, u32)>,
    },
}
