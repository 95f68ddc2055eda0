//! Fetching by libostree itself: from repositories on this machine, which it links, and from
//! remotes with options that only it knows.

use super::message;
use super::{Pull, PullError};
use crate::ffi;
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::parallel;
use crate::progress::{Event, Phase};
use crate::repo::{Repo, RepoError};
use gio::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often libostree says how far it is, in milliseconds, and how often a stop is looked for.
const TICK_MS: u32 = 50;
/// `OSTREE_REPO_PULL_FLAGS_MIRROR`, `_COMMIT_ONLY` and `_UNTRUSTED`. The last one is about `file`
/// URLs only: objects are checked there as well.
const MIRROR: i32 = 1;
const COMMIT_ONLY: i32 = 2;
const UNTRUSTED: i32 = 4;

/// What is fetched.
pub(super) struct Request<'a> {
    pub(super) remote: &'a str,
    /// The remote's URL, as it may be shown.
    pub(super) url: &'a str,
    /// What progress is told about.
    pub(super) item: String,
    /// Refs or commits; none for every ref of a remote, as local ones, and its summary.
    pub(super) what: Vec<String>,
    pub(super) commit_only: bool,
    /// Whether the caller has begun a transaction. What arrives shows when it is committed.
    pub(super) in_transaction: bool,
    pub(super) depth: i32,
    pub(super) subpaths: &'a [String],
    /// Whether libostree checks signatures too.
    pub(super) verify: bool,
    /// Bytes that came before.
    pub(super) before: u64,
}

/// How far it got.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stats {
    pub(super) bytes: u64,
    pub(super) objects: u64,
}

/// What the watching thread has to know.
#[derive(Default)]
struct Watch {
    bytes: AtomicU64,
    done: AtomicBool,
    /// The limit was passed.
    exceeded: Mutex<Option<u64>>,
}

/// Fetches. libostree tries again by itself.
pub(super) fn run(pull: &Pull, repo: &Repo, request: &Request<'_>) -> Result<Stats, PullError> {
    let watch = Arc::new(Watch::default());
    // A context of its own: what a program that embeds this has in its default context does not
    // run within this call.
    let called = glib::MainContext::new().with_thread_default(|| {
        let progress = ostree::AsyncProgress::new();
        listen(&progress, pull, request, &watch);
        let cancellable = gio::Cancellable::new();
        let result = std::thread::scope(|scope| {
            let guard = || guard(pull, &watch, &cancellable, request.before);
            let watcher = parallel::spawn_scoped(scope, guard).map_err(RepoError::Thread)?;
            let result = ffi::pull_with_options(
                repo.as_ostree(),
                request.remote,
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
    // What came in one go was not seen in time. Nothing of it shows yet.
    let found = request.before + stats.bytes;
    let stopped = *watch
        .exceeded
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(limit) = stopped.or(pull.max_bytes.filter(|limit| found > *limit)) {
        return Err(PullError::TooLarge {
            remote: request.remote.to_owned(),
            found,
            limit,
        });
    }
    match result {
        Ok(()) => Ok(stats),
        Err(source) => Err(match message::kind(&source) {
            ErrorKind::Cancelled => PullError::Cancelled,
            kind => PullError::Transfer {
                remote: request.remote.to_owned(),
                url: request.url.to_owned(),
                kind,
                source,
            },
        }),
    }
}

/// Hears libostree and tells the caller.
fn listen(
    progress: &ostree::AsyncProgress,
    pull: &Pull,
    request: &Request<'_>,
    watch: &Arc<Watch>,
) {
    let (watch, hears) = (watch.clone(), pull.progress.clone());
    let (item, before) = (request.item.clone(), request.before);
    let tells = !request.commit_only;
    progress.connect_changed(move |progress| {
        let bytes = progress.uint64("bytes-transferred");
        watch.bytes.store(bytes, Ordering::Relaxed);
        if tells {
            hears.event(&Event::Advanced {
                phase: Phase::Pull,
                item: &item,
                done: before + bytes,
                total: None,
            });
        }
    });
}

/// Ends the call when the caller wants that, and at the limit.
fn guard(pull: &Pull, watch: &Watch, cancellable: &gio::Cancellable, before: u64) {
    while !watch.done.load(Ordering::Relaxed) {
        let bytes = before + watch.bytes.load(Ordering::Relaxed);
        let exceeded = pull.max_bytes.filter(|limit| bytes > *limit);
        if exceeded.is_some() || pull.progress.is_cancelled() {
            *watch
                .exceeded
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = exceeded;
            cancellable.cancel();
            return;
        }
        std::thread::park_timeout(Duration::from_millis(TICK_MS.into()));
    }
}

fn options(pull: &Pull, request: &Request<'_>) -> glib::Variant {
    let mut flags = UNTRUSTED;
    if request.commit_only {
        flags |= COMMIT_ONLY;
    }
    if request.what.is_empty() {
        flags |= MIRROR;
    }
    let options = glib::VariantDict::new(None);
    if !request.what.is_empty() {
        options.insert("refs", &request.what);
    }
    options.insert("flags", flags);
    options.insert("depth", request.depth);
    options.insert("n-network-retries", pull.http.tries());
    options.insert("update-frequency", TICK_MS);
    // See `remote::add` for why the summary's signature is not asked for.
    options.insert("gpg-verify-summary", false);
    options.insert("gpg-verify", request.verify);
    options.insert("disable-verify-bindings", true);
    options.insert("inherit-transaction", request.in_transaction);
    // libostree 2022.7 calls a commit complete when it has what its delta lists, even if the
    // commit had been there before and what the delta takes for granted had not.
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

/// What progress is told a request is about.
pub(super) fn item(pull: &Pull) -> String {
    match pull.refs.as_slice() {
        [name] => name.to_string(),
        [] => pull.remote.clone(),
        refs => format!("{} refs of {}", refs.len(), pull.remote),
    }
}

/// Commits as libostree takes them.
pub(super) fn checksums(commits: impl IntoIterator<Item = CommitId>) -> Vec<String> {
    commits.into_iter().map(|id| id.to_string()).collect()
}
