//! Schedules parts, largest first, within a memory limit.

use super::plan::PartPlan;
use std::cmp::Reverse;
use std::sync::{Condvar, Mutex, PoisonError};

/// The queue of parts for the threads. Parts in progress stay within the memory limit, except for a
/// single part that exceeds it.
pub(super) struct Queue<'a> {
    parts: &'a [PartPlan],
    state: Mutex<State>,
    changed: Condvar,
    limit: u64,
}

struct State {
    /// Largest first, so that no thread starts a large part while the others have finished.
    waiting: Vec<usize>,
    in_use: u64,
}

impl<'a> Queue<'a> {
    /// Creates a queue with a limit in bytes.
    pub(super) fn new(parts: &'a [PartPlan], limit: u64) -> Self {
        let mut waiting: Vec<usize> = (0..parts.len()).collect();
        waiting.sort_by_key(|index| Reverse(parts[*index].size()));
        Self {
            parts,
            state: Mutex::new(State { waiting, in_use: 0 }),
            changed: Condvar::new(),
            limit,
        }
    }

    /// Returns the next part as soon as there is memory for one.
    pub(super) fn take(&self) -> Option<Reservation<'_>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.waiting.is_empty() {
            let free = self.limit.saturating_sub(state.in_use);
            let fits = |index: &usize| self.parts[*index].memory() <= free;
            let next = match state.waiting.iter().position(fits) {
                None if state.in_use == 0 => Some(0),
                next => next,
            };
            if let Some(next) = next {
                let index = state.waiting.remove(next);
                let memory = self.parts[index].memory();
                state.in_use += memory;
                return Some(Reservation {
                    queue: self,
                    index,
                    memory,
                });
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// Ends the queue: no more parts are returned.
    pub(super) fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.clear();
        self.changed.notify_all();
    }
}

/// A part in progress; dropping it releases its memory.
pub(super) struct Reservation<'q> {
    queue: &'q Queue<'q>,
    pub(super) index: usize,
    memory: u64,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let state = self.queue.state.lock();
        state.unwrap_or_else(PoisonError::into_inner).in_use -= self.memory;
        self.queue.changed.notify_all();
    }
}
