//! Records read in pages, one after the other: memory does not grow with their number, and the database is not held.

use std::collections::VecDeque;

use crate::edge::store::StoreError;

/// Records in one page.
pub(super) const PAGE: usize = 512;

/// What is at hand of a row of records, and how many are still wanted. After an error it goes on with the next record, or ends
/// when the database refused.
#[derive(Debug)]
pub(super) struct Pages<T> {
    left: u64,
    page: VecDeque<Result<T, StoreError>>,
    ended: bool,
}

impl<T> Pages<T> {
    /// At most so many records; all without a limit.
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self { left: limit.unwrap_or(u64::MAX), page: VecDeque::new(), ended: false }
    }

    /// The next record; `read` adds the next [`PAGE`] of them, fewer when there are no more.
    pub(super) fn next(
        &mut self,
        read: impl FnOnce(&mut VecDeque<Result<T, StoreError>>) -> Result<(), StoreError>,
    ) -> Option<Result<T, StoreError>> {
        if self.left == 0 {
            return None;
        }
        if self.page.is_empty() && !self.ended {
            if let Err(error) = read(&mut self.page) {
                self.left = 0;
                return Some(Err(error));
            }
            self.ended = self.page.len() < PAGE;
        }
        let next = self.page.pop_front()?;
        self.left -= 1;
        Some(next)
    }
}
