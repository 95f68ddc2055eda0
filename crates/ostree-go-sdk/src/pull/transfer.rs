//! The calls of libostree that fetch, with an eye on them: progress, a wish to stop, a server
//! that has fallen silent, a limit, and another try.

use super::message;
use super::{Pull, PullError};
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::progress::{Event, Phase, Progress};
use crate::repo::Repo;
use gio::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often libostree says how far it is, in milliseconds, and how often a stop is looked for.
const TICK_MS: u32 = 50;
/// libostree's own retries, which come at once. The waits between tries are ours.
const RETRIES_AT_ONCE: u32 = 2;
/// `OSTREE_REPO_PULL_FLAGS_COMMIT_ONLY` and `_UNTRUSTED`. The second one is about `file` URLs
/// only: objects are checked there as well.
const COMMIT_ONLY: i32 = 2;
const UNTRUSTED: i32 = 4;

/// What is fetched.
pub(super) struct Request<'a> {
    pub(super) remote: &'a str,
    /// The remote's URL, as it may be shown.
    pub(super) url: &'a str,
    /// What progress is told about.
    pub(super) item: String,
    /// Refs or commits.
    pub(super) what: Vec<String>,
    pub(super) commit_only: bool,
    /// Whether the caller has begun a transaction. What arrives shows when it is committed.
    pub(super) in_transaction: bool,
    pub(super) depth: i32,
    pub(super) subpaths: &'a [String],
    /// Whether libostree checks signatures too.
    pub(super) verify: bool,
    pub(super) deltas: bool,
    pub(super) total: Option<u64>,
}

/// How far it got.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stats {
    pub(super) bytes: u64,
    pub(super) objects: u64,
    pub(super) delta_count: u64,
}

/// Why the call was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Asked,
    Silent,
    Limit,
}

/// Fetches, and tries again after a passing failure with what has come so far.
pub(super) fn run(pull: &Pull, repo: &Repo, request: &Request<'_>) -> Result<Stats, PullError> {
    let mut sum = Stats::default();
    let mut failed = 0;
    loop {
        let (stats, result) = once(pull, repo, request, sum.bytes);
        sum.bytes += stats.bytes;
        sum.objects += stats.objects;
        sum.delta_count = sum.delta_count.max(stats.delta_count);
        let Err(error) = result else {
            return Ok(sum);
        };
        if !message::is_worth_a_retry(error.kind()) || failed >= pull.retries {
            return Err(error);
        }
        failed += 1;
        pull.progress.event(&Event::Retrying {
            url: request.url,
            attempt: failed,
            reason: &error,
        });
        wait(
            pull.progress.as_ref(),
            pull.retry_delay * 2u32.pow((failed - 1).min(6)),
        )?;
    }
}

fn wait(progress: &dyn Progress, time: Duration) -> Result<(), PullError> {
    let until = Instant::now() + time;
    loop {
        if progress.is_cancelled() {
            return Err(PullError::Cancelled);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(TICK_MS.into())));
    }
}

/// What the watching thread has to know.
struct Watch {
    bytes: AtomicU64,
    moved: Mutex<Instant>,
    done: AtomicBool,
    stop: Mutex<Option<Stop>>,
}

fn once(
    pull: &Pull,
    repo: &Repo,
    request: &Request<'_>,
    before: u64,
) -> (Stats, Result<(), PullError>) {
    let watch = Arc::new(Watch {
        bytes: AtomicU64::new(0),
        moved: Mutex::new(Instant::now()),
        done: AtomicBool::new(false),
        stop: Mutex::new(None),
    });
    // A context of its own: what a program that embeds this has in its default context does not
    // run within this call.
    let called = glib::MainContext::new().with_thread_default(|| {
        let progress = ostree::AsyncProgress::new();
        listen(&progress, pull, request, before, &watch);
        let cancellable = gio::Cancellable::new();
        let result = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| guard(pull, &watch, &cancellable, before));
            let result = repo.as_ostree().pull_with_options(
                request.remote,
                &options(request),
                Some(&progress),
                Some(&cancellable),
            );
            watch.done.store(true, Ordering::Relaxed);
            watcher.thread().unpark();
            result
        });
        let stats = stats(&progress);
        progress.finish();
        (stats, result)
    });
    let (stats, result) = match called {
        Ok(called) => called,
        Err(error) => (
            Stats::default(),
            Err(glib::Error::new(gio::IOErrorEnum::Failed, &error.message)),
        ),
    };
    // What came in one go was not seen in time. Nothing of it shows yet.
    let found = before + stats.bytes;
    if let (Ok(()), Some(limit)) = (&result, pull.max_bytes.filter(|limit| found > *limit)) {
        let remote = request.remote.to_owned();
        let error = PullError::TooLarge {
            remote,
            found,
            limit,
        };
        return (stats, Err(error));
    }
    let stop = *watch.stop.lock().unwrap_or_else(PoisonError::into_inner);
    let result = result.map_err(|source| match (stop, message::kind(&source)) {
        (Some(Stop::Limit), ErrorKind::Cancelled) => PullError::TooLarge {
            remote: request.remote.to_owned(),
            found: before + stats.bytes,
            limit: pull.max_bytes.unwrap_or_default(),
        },
        (Some(Stop::Silent), ErrorKind::Cancelled) => PullError::Stalled {
            remote: request.remote.to_owned(),
            url: request.url.to_owned(),
            seconds: pull.stall_timeout.as_secs(),
        },
        (_, ErrorKind::Cancelled) => PullError::Cancelled,
        (_, kind) => PullError::Transfer {
            remote: request.remote.to_owned(),
            url: request.url.to_owned(),
            kind,
            source,
        },
    });
    (stats, result)
}

/// Hears libostree and tells the caller.
fn listen(
    progress: &ostree::AsyncProgress,
    pull: &Pull,
    request: &Request<'_>,
    before: u64,
    watch: &Arc<Watch>,
) {
    let (watch, hears) = (watch.clone(), pull.progress.clone());
    let (item, total) = (request.item.clone(), request.total);
    let tells = !request.commit_only;
    progress.connect_changed(move |progress| {
        let bytes = progress.uint64("bytes-transferred");
        watch.bytes.store(bytes, Ordering::Relaxed);
        *watch.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if tells {
            hears.event(&Event::Advanced {
                phase: Phase::Pull,
                item: &item,
                done: before + bytes,
                total: total.map(|total| total.max(before + bytes)),
            });
        }
    });
}

/// Ends the call when the caller wants that, when nothing moves any more, and at the limit.
fn guard(pull: &Pull, watch: &Watch, cancellable: &gio::Cancellable, before: u64) {
    while !watch.done.load(Ordering::Relaxed) {
        let moved = *watch.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = before + watch.bytes.load(Ordering::Relaxed);
        let stop = if pull.progress.is_cancelled() {
            Some(Stop::Asked)
        } else if pull.max_bytes.is_some_and(|limit| bytes > limit) {
            Some(Stop::Limit)
        } else if moved.elapsed() > pull.stall_timeout {
            Some(Stop::Silent)
        } else {
            None
        };
        if stop.is_some() {
            *watch.stop.lock().unwrap_or_else(PoisonError::into_inner) = stop;
            cancellable.cancel();
            return;
        }
        std::thread::park_timeout(Duration::from_millis(TICK_MS.into()));
    }
}

fn options(request: &Request<'_>) -> glib::Variant {
    let mut flags = UNTRUSTED;
    if request.commit_only {
        flags |= COMMIT_ONLY;
    }
    let options = glib::VariantDict::new(None);
    options.insert("refs", &request.what);
    options.insert("flags", flags);
    options.insert("depth", request.depth);
    options.insert("n-network-retries", RETRIES_AT_ONCE);
    options.insert("update-frequency", TICK_MS);
    // See `remote::add` for why the summary's signature is not asked for.
    options.insert("gpg-verify-summary", false);
    options.insert("gpg-verify", request.verify);
    options.insert("disable-verify-bindings", true);
    options.insert("inherit-transaction", request.in_transaction);
    if !request.deltas {
        options.insert("disable-static-deltas", true);
    }
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
        delta_count: count("total-delta-superblocks"),
    }
}

/// What progress is told a request is about.
pub(super) fn item(pull: &Pull) -> String {
    match pull.refs.as_slice() {
        [name] => name.to_string(),
        refs => format!("{} refs of {}", refs.len(), pull.remote),
    }
}

/// Commits as libostree takes them.
pub(super) fn checksums(commits: impl IntoIterator<Item = CommitId>) -> Vec<String> {
    commits.into_iter().map(|id| id.to_string()).collect()
}
