//! A bound on the bytes that are in memory at once.

use std::sync::{Condvar, Mutex, PoisonError};

/// Hands out bytes up to a limit; whoever asks for more waits.
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

    /// Takes `bytes` (at most the limit), waiting until they are free.
    pub(crate) fn take(&self, bytes: u64) -> Share<'_> {
        let bytes = bytes.min(self.limit);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < bytes {
            free = self
                .returned
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *free -= bytes;
        Share {
            budget: self,
            bytes,
        }
    }
}

/// Bytes taken from a [`Budget`]; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share<'b> {
    budget: &'b Budget,
    bytes: u64,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let budget = self.budget;
        *budget.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        budget.returned.notify_all();
    }
}
