//! Threads, and parallel processing of independent items.
//!
//! All threads of this library are started by this module. The standard library's `thread::spawn`
//! and `Scope::spawn` panic if the system cannot create a thread (`EAGAIN`: `RLIMIT_NPROC`, a
//! cgroup's `pids.max`); these functions return the error, start fewer threads, or use the calling
//! thread.

use crate::progress::{Event, POLL_INTERVAL, Phase, Progress};
use gio::prelude::CancellableExt;
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Starts a thread that may borrow values that outlive `scope`.
///
/// # Errors
/// Returns an error if the system cannot create a thread.
pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    body: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    Builder::new().spawn_scoped(scope, body)
}

/// Starts a thread for each of `bodies`, or as many as the system can create.
///
/// # Errors
/// Returns an error if the system cannot create even one thread.
pub(crate) fn spawn_workers<'scope, T: Send + 'scope, F: FnOnce() -> T + Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    bodies: impl IntoIterator<Item = F>,
) -> io::Result<Vec<ScopedJoinHandle<'scope, T>>> {
    let mut workers = Vec::new();
    for body in bodies {
        match spawn_scoped(scope, body) {
            Ok(worker) => workers.push(worker),
            Err(error) if workers.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(workers)
}

/// Starts a thread that is not joined.
///
/// # Errors
/// Returns an error if the system cannot create a thread.
pub(crate) fn spawn_detached(body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    Builder::new().spawn(body).map(drop)
}

/// Runs `body` on a thread that is not joined, or on the calling thread if the system cannot create
/// a thread.
fn run_detached(body: impl FnOnce() + Send + 'static) {
    let body = Arc::new(Mutex::new(Some(body)));
    let take = |body: &Mutex<Option<_>>| body.lock().unwrap_or_else(PoisonError::into_inner).take();
    let shared = body.clone();
    let spawned = spawn_detached(move || {
        if let Some(body) = take(&shared) {
            body();
        }
    });
    if spawned.is_err()
        && let Some(body) = take(&body)
    {
        body();
    }
}

/// Runs `work` on a thread that is abandoned if the caller cancels, so that a server that does not
/// respond delays nothing. Returns `None` after cancellation. If no thread can be created, `work`
/// runs on the calling thread and has to check for cancellation itself.
pub(crate) fn run_abandonable<T: Send + 'static>(
    progress: &Arc<dyn Progress>,
    work: impl FnOnce(&dyn Progress) -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = channel();
    let progress_of_work = progress.clone();
    run_detached(move || {
        // The caller may have stopped waiting.
        let _ = sender.send(work(progress_of_work.as_ref()));
    });
    receive(&receiver, progress.as_ref()).ok()
}

/// Runs a call of GLib or libostree, and cancels it when the caller cancels. If no thread can be
/// created, the call is not cancelled.
pub(crate) fn run_cancellable<T>(
    progress: &dyn Progress,
    call: impl FnOnce(&gio::Cancellable) -> T,
) -> T {
    let (cancellable, done) = (gio::Cancellable::new(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let watch = || {
            while !done.load(Ordering::Relaxed) {
                if progress.is_cancelled() {
                    return cancellable.cancel();
                }
                std::thread::park_timeout(POLL_INTERVAL);
            }
        };
        let watcher = spawn_scoped(scope, watch);
        let result = call(&cancellable);
        done.store(true, Ordering::Relaxed);
        if let Ok(watcher) = watcher {
            watcher.thread().unpark();
        }
        result
    })
}

/// Receives the next value of another thread.
///
/// # Errors
/// Returns an error if the operation is cancelled, or if the other thread has ended.
pub(crate) fn receive<T>(
    receiver: &Receiver<T>,
    progress: &dyn Progress,
) -> Result<T, Interrupted> {
    while !progress.is_cancelled() {
        match receiver.recv_timeout(POLL_INTERVAL) {
            Ok(value) => return Ok(value),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Interrupted::Ended),
        }
    }
    Err(Interrupted::Cancelled)
}

/// The reason why no value was received from another thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// The operation was cancelled.
    Cancelled,
    /// The other thread has ended.
    Ended,
}

/// Receives the next job from a queue that several threads share; `None` if all senders are
/// dropped.
pub(crate) fn next_job<T>(queue: &Mutex<Receiver<T>>) -> Option<T> {
    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.recv().ok()
}

/// Calls `work` for each item on all cores, and returns the results in arbitrary order. Each thread
/// has its own `state`, which is created before the thread starts. After an error, no further items
/// are processed. If the system cannot create a thread, the calling thread does the work.
pub(crate) fn map<T: Sync, S: Send, R: Send, E: Send>(
    items: &[T],
    mut state: impl FnMut() -> S,
    work: impl Fn(&mut S, &T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let run = |mut state: S| {
        let mut results = Vec::new();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if failed.load(Ordering::Relaxed) {
                break;
            }
            let result = work(&mut state, item);
            results.push(result.inspect_err(|_| failed.store(true, Ordering::Relaxed))?);
        }
        Ok(results)
    };
    let per_thread: Vec<Result<Vec<R>, E>> = std::thread::scope(|scope| {
        let bodies = (0..cores.min(items.len())).map(|_| {
            let (run, state) = (&run, state());
            move || run(state)
        });
        let Ok(threads) = spawn_workers(scope, bodies) else {
            return vec![run(state())];
        };
        let join = |thread: ScopedJoinHandle<'_, _>| thread.join();
        let joined = threads.into_iter().map(join);
        joined
            .map(|results_of_thread| results_of_thread.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let mut all = Vec::with_capacity(items.len());
    for results_of_thread in per_thread {
        all.append(&mut results_of_thread?);
    }
    Ok(all)
}

/// Checks each item on all cores and returns the problems in arbitrary order; `None` if the
/// operation was cancelled. `label` is the item name in progress events.
pub(crate) fn find_problems<T: Sync, S: Send, R: Send>(
    items: &[T],
    label: &str,
    progress: &dyn Progress,
    state: impl FnMut() -> S,
    problem: impl Fn(&mut S, &T) -> Option<R> + Sync,
) -> Option<Vec<R>> {
    let (phase, done) = (Phase::Fsck, AtomicU64::new(0));
    let found = map(items, state, |state, item| {
        if progress.is_cancelled() {
            return Err(());
        }
        let found = problem(state, item);
        progress.event(&Event::Advanced {
            phase,
            item: label,
            done: done.fetch_add(1, Ordering::Relaxed) + 1,
            total: Some(items.len() as u64),
        });
        Ok(found)
    });
    progress.event(&Event::Finished { phase, item: label });
    Some(found.ok()?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_processed_once_and_errors_are_returned() {
        let items: Vec<u32> = (0..1000).collect();
        let mut doubled = map(&items, || (), |(), n| Ok::<_, ()>(n * 2)).unwrap();
        doubled.sort_unstable();
        assert_eq!(doubled, (0..1000).map(|n| n * 2).collect::<Vec<_>>());
        let failed = map(
            &items,
            || (),
            |(), n| if *n == 7 { Err(*n) } else { Ok(()) },
        );
        assert_eq!(failed, Err(7));
        assert_eq!(map(&[], || (), |(), n: &u32| Err::<(), _>(*n)), Ok(vec![]));
    }

    #[test]
    fn a_call_is_cancelled_when_the_caller_cancels() {
        struct CancelledLater(AtomicUsize);
        impl Progress for CancelledLater {
            fn is_cancelled(&self) -> bool {
                self.0.fetch_add(1, Ordering::Relaxed) > 1
            }
        }
        run_cancellable(&CancelledLater(AtomicUsize::new(0)), |cancellable| {
            while !cancellable.is_cancelled() {
                std::thread::yield_now();
            }
        });
        let no_progress = &crate::progress::NoProgress;
        assert!(!run_cancellable(no_progress, CancellableExt::is_cancelled));
    }

    #[test]
    fn problems_are_found_and_cancellation_is_respected() {
        struct Cancelled;
        impl Progress for Cancelled {
            fn is_cancelled(&self) -> bool {
                true
            }
        }
        let odd = |(): &mut (), n: &u32| (n % 2 == 1).then_some(*n);
        let mut found = find_problems(
            &[1, 2, 3],
            "numbers",
            &crate::progress::NoProgress,
            || (),
            odd,
        )
        .unwrap();
        found.sort_unstable();
        assert_eq!(found, [1, 3]);
        assert_eq!(
            find_problems(&[1, 2, 3], "numbers", &Cancelled, || (), odd),
            None
        );
    }
}
