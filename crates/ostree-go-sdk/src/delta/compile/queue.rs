//! Which part is made next: the largest that memory allows.

use super::plan::PartPlan;
use std::cmp::Reverse;
use std::sync::{Condvar, Mutex, PoisonError};

/// Parts that threads take. What is being made takes no more memory than the limit, but for a
/// part that takes more on its own.
pub(super) struct Queue<'a> {
    parts: &'a [PartPlan],
    state: Mutex<State>,
    changed: Condvar,
    limit: u64,
}

struct State {
    /// The largest first: it must not be what the others wait for in the end.
    waiting: Vec<usize>,
    in_use: u64,
}

impl<'a> Queue<'a> {
    /// `limit` is in bytes.
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

    /// The next part, as soon as there is memory for one.
    pub(super) fn take(&self) -> Option<Turn<'_>> {
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
                return Some(Turn {
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

    /// Lets nothing more be taken.
    pub(super) fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.clear();
        self.changed.notify_all();
    }
}

/// A part that is being made; its memory is free again when this is dropped.
pub(super) struct Turn<'q> {
    queue: &'q Queue<'q>,
    pub(super) index: usize,
    memory: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let state = self.queue.state.lock();
        state.unwrap_or_else(PoisonError::into_inner).in_use -= self.memory;
        self.queue.changed.notify_all();
    }
}
