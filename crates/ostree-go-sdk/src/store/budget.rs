//! A limit for the number of bytes that are in memory at the same time.

use std::sync::{Condvar, Mutex, PoisonError};

/// A budget of bytes. A thread that needs more than is free waits.
#[derive(Debug)]
pub(crate) struct Budget {
    free: Mutex<u64>,
    returned: Condvar,
    limit: u64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            free: Mutex::new(limit),
            returned: Condvar::new(),
            limit,
        }
    }

    /// Reserves `bytes` (at most the limit), and waits until they are free.
    pub(crate) fn take(&self, bytes: u64) -> BudgetGuard<'_> {
        let bytes = bytes.min(self.limit);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < bytes {
            free = self
                .returned
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *free -= bytes;
        BudgetGuard {
            budget: self,
            bytes,
        }
    }
}

/// A guard for bytes that were reserved from a [`Budget`], which returns them when it is dropped.
#[derive(Debug)]
pub(crate) struct BudgetGuard<'b> {
    budget: &'b Budget,
    bytes: u64,
}

impl Drop for BudgetGuard<'_> {
    fn drop(&mut self) {
        let budget = self.budget;
        *budget.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        budget.returned.notify_all();
    }
}
