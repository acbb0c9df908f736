//! Questions from within the process, for consoles that may look and not touch.

use std::fmt;
use std::time::Duration;

use smol::channel::{Sender, TrySendError};
use smol::{Timer, future};

use super::{Asked, Request};
use crate::core::control::{Query, Reply};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the running appliance, and has no way to give it an order.
#[derive(Clone, Debug)]
pub struct Watcher(Sender<Asked>);

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WatchError {
    /// Too many requests wait, or none was answered within 5 s.
    Busy,
    /// The appliance has stopped. It does not come back.
    Gone,
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the appliance is busy; try again",
            Self::Gone => "the appliance has stopped",
        })
    }
}

impl std::error::Error for WatchError {}

impl Watcher {
    /// Asks through `requests`, which the appliance serves until it stops.
    pub fn new(requests: Sender<Asked>) -> Self {
        Self(requests)
    }

    /// Asks, and waits for the answer up to 5 s.
    ///
    /// # Errors
    /// Any [`WatchError`].
    pub fn query(&self, query: Query) -> Result<Reply, WatchError> {
        let (asked, answered) = Asked::new(Request::Query(query));
        self.0.try_send(asked).map_err(|error| match error {
            TrySendError::Full(_) => WatchError::Busy,
            TrySendError::Closed(_) => WatchError::Gone,
        })?;
        let answer = async { answered.recv().await.map_err(|_| WatchError::Gone) };
        let late = async {
            Timer::after(ANSWER_TIMEOUT).await;
            Err(WatchError::Busy)
        };
        smol::block_on(future::or(answer, late))
    }

    /// Whether the appliance has stopped.
    pub fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}
