//! Calls of libostree's pull.

use super::error;
use crate::ffi;
use crate::kind::ErrorKind;
use crate::parallel;
use crate::progress::{Event, Phase};
use crate::pull::session::Session;
use crate::pull::{Pull, PullError};
use crate::repo::{OstreeError, Repo, RepoError};
use gio::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The interval in milliseconds at which libostree reports progress, and at which cancellation is
/// checked.
const POLL_MS: u32 = 50;
/// `OSTREE_REPO_PULL_FLAGS_MIRROR`, `_COMMIT_ONLY` and `_UNTRUSTED`. The last one only affects
/// `file` URLs, and makes libostree check the objects from there as well.
const MIRROR: i32 = 1;
const COMMIT_ONLY: i32 = 2;
const UNTRUSTED: i32 = 4;

/// The parameters of a pull with libostree.
#[derive(Default)]
pub(super) struct Request<'a> {
    /// Refs or commits. If empty, every ref of the remote is pulled as a local ref, with its
    /// summary.
    pub(super) targets: Vec<String>,
    pub(super) commit_only: bool,
    /// Set if the caller has begun a transaction. The content becomes visible when that is
    /// committed.
    pub(super) in_transaction: bool,
    pub(super) depth: i32,
    pub(super) subpaths: &'a [String],
    /// Set if libostree verifies signatures as well.
    pub(super) verify: bool,
}

/// Statistics of a pull with libostree.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stats {
    pub(super) bytes: u64,
    pub(super) objects: u64,
}

/// State shared with the watching thread.
#[derive(Default)]
struct WatchState {
    bytes: AtomicU64,
    done: AtomicBool,
    /// The limit, if it was exceeded.
    exceeded: Mutex<Option<u64>>,
}

/// Pulls into `repo`. libostree makes the retries itself.
pub(super) fn run(
    session: &Session,
    repo: &Repo,
    request: &Request<'_>,
) -> Result<Stats, PullError> {
    let (pull, bytes_before) = (&session.options, session.monitor.bytes());
    let watch = Arc::new(WatchState::default());
    // A separate main context is used, so that sources in the default context of the embedding
    // program are not dispatched during this call.
    let called = glib::MainContext::new().with_thread_default(|| {
        let progress = ostree::AsyncProgress::new();
        forward_progress(&progress, session, request, &watch);
        let cancellable = gio::Cancellable::new();
        let result = std::thread::scope(|scope| {
            let watch_for_cancel = || watch_for_cancel(pull, &watch, &cancellable, bytes_before);
            let watcher =
                parallel::spawn_scoped(scope, watch_for_cancel).map_err(RepoError::Thread)?;
            let result = ffi::pull_with_options(
                repo.as_ostree(),
                session.label(),
                &options(pull, request),
                Some(&progress),
                Some(&cancellable),
            );
            watch.done.store(true, Ordering::Relaxed);
            watcher.thread().unpark();
            Ok::<_, RepoError>(result)
        });
        let stats = stats(&progress);
        progress.finish();
        (stats, result)
    });
    let (stats, result) = called.unwrap_or_else(|error| {
        let error = glib::Error::new(gio::IOErrorEnum::Failed, &error.message);
        (Stats::default(), Ok(Err(error)))
    });
    let result = result?;
    // The watching thread may not have noticed a fast transfer in time. Nothing of it is visible
    // yet.
    let found = bytes_before + stats.bytes;
    let exceeded = *watch
        .exceeded
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(limit) = exceeded.or(pull.max_bytes.filter(|limit| found > *limit)) {
        return Err(PullError::TooLarge {
            remote: session.label().to_owned(),
            found,
            limit,
        });
    }
    match result {
        Ok(()) => Ok(stats),
        Err(source) => Err(match error::classify(&source) {
            ErrorKind::Cancelled => PullError::Cancelled,
            kind => PullError::Transfer {
                remote: session.label().to_owned(),
                url: session.url().to_owned(),
                kind,
                source: OstreeError::new(source),
            },
        }),
    }
}

/// Forwards libostree's progress to the caller.
fn forward_progress(
    progress: &ostree::AsyncProgress,
    session: &Session,
    request: &Request<'_>,
    watch: &Arc<WatchState>,
) {
    let (watch, listener) = (watch.clone(), session.options.progress.clone());
    let (item, bytes_before) = (session.progress_item(), session.monitor.bytes());
    let reports = !request.commit_only;
    progress.connect_changed(move |progress| {
        let bytes = progress.uint64("bytes-transferred");
        watch.bytes.store(bytes, Ordering::Relaxed);
        if reports {
            listener.event(&Event::Advanced {
                phase: Phase::Pull,
                item: &item,
                done: bytes_before + bytes,
                total: None,
            });
        }
    });
}

/// Cancels the call when the caller requests it, or when the limit is exceeded.
fn watch_for_cancel(
    pull: &Pull,
    watch: &WatchState,
    cancellable: &gio::Cancellable,
    bytes_before: u64,
) {
    while !watch.done.load(Ordering::Relaxed) {
        let bytes = bytes_before + watch.bytes.load(Ordering::Relaxed);
        let exceeded = pull.max_bytes.filter(|limit| bytes > *limit);
        if exceeded.is_some() || pull.progress.is_cancelled() {
            *watch
                .exceeded
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = exceeded;
            cancellable.cancel();
            return;
        }
        std::thread::park_timeout(Duration::from_millis(POLL_MS.into()));
    }
}

fn options(pull: &Pull, request: &Request<'_>) -> glib::Variant {
    let mut flags = UNTRUSTED;
    if request.commit_only {
        flags |= COMMIT_ONLY;
    }
    if request.targets.is_empty() {
        flags |= MIRROR;
    }
    let options = glib::VariantDict::new(None);
    if !request.targets.is_empty() {
        options.insert("refs", &request.targets);
    }
    options.insert("flags", flags);
    options.insert("depth", request.depth);
    options.insert("n-network-retries", pull.http.max_attempts());
    options.insert("update-frequency", POLL_MS);
    // See `remote::add` for the reason why the summary's signature is not required.
    options.insert("gpg-verify-summary", false);
    options.insert("gpg-verify", request.verify);
    options.insert("disable-verify-bindings", true);
    options.insert("inherit-transaction", request.in_transaction);
    // libostree 2022.7 marks a commit as complete when all objects in its delta are stored, even if
    // the commit existed before, and objects that the delta requires are missing.
    options.insert("disable-static-deltas", true);
    if !request.subpaths.is_empty() {
        options.insert("subdirs", request.subpaths);
    }
    options.end()
}

fn stats(progress: &ostree::AsyncProgress) -> Stats {
    let count = |key: &str| u64::from(progress.uint(key));
    Stats {
        bytes: progress.uint64("bytes-transferred"),
        objects: count("fetched")
            + count("metadata-fetched-localcache")
            + count("content-fetched-localcache"),
    }
}
