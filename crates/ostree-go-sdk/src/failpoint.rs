//! Named points at which a test can kill the process, to simulate a crash or power failure.
//!
//! They are active only with the feature `failpoints`; otherwise `hit` does nothing.

#[cfg(feature = "failpoints")]
use std::sync::atomic::{AtomicU32, Ordering};

/// Kills the process with SIGKILL if a test armed this point, so that no destructor runs.
#[cfg(feature = "failpoints")]
pub(crate) fn hit(name: &str) {
    let armed = ARMED.get().filter(|armed| armed.name == name);
    if armed.is_some_and(|armed| armed.left.fetch_sub(1, Ordering::Relaxed) == 1) {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Does nothing, because the feature `failpoints` is off.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn hit(_name: &str) {}

#[cfg(feature = "failpoints")]
static ARMED: std::sync::OnceLock<Armed> = std::sync::OnceLock::new();

#[cfg(feature = "failpoints")]
struct Armed {
    name: String,
    /// The number of times that the point is still reached; the last time, the process is killed.
    left: AtomicU32,
}

/// Arms one point for the lifetime of the process: `name`, or `name@3` to kill the process when the
/// point is reached for the third time.
#[cfg(feature = "failpoints")]
pub fn arm(point: &str) {
    let (name, times) = point.split_once('@').unwrap_or((point, "1"));
    let _ = ARMED.set(Armed {
        name: name.to_owned(),
        left: AtomicU32::new(times.parse().unwrap_or(1)),
    });
}

/// All points of a compose, in the order in which they are reached.
#[cfg(feature = "failpoints")]
pub const NAMES: &[&str] = &[
    "repo.creating",
    "repo.created",
    "file.written",
    "download.appended",
    "cache.completing",
    "cache.completed",
    "compose.locked",
    "compose.object-written",
    "compose.source-read",
    "compose.layer-written",
    "compose.release-written",
    "compose.release-described",
    "compose.channel-moved",
    "compose.refs-set",
    "transaction.marked",
    "transaction.folders-moved",
    "transaction.objects-moved",
    "transaction.unmarked",
    "refs.recorded",
    "transaction.ref-moved",
    "compose.committed",
];

/// All points of building a std cache, after those of the compose.
#[cfg(feature = "failpoints")]
pub const STD_CACHE_NAMES: &[&str] = &[
    "stdcache.checked-out",
    "stdcache.compiled",
    "stdcache.built",
    "stdcache.written",
    "stdcache.committed",
];

/// All points of composing a source that is rebuilt.
#[cfg(feature = "failpoints")]
pub const REBUILD_NAMES: &[&str] = &["rebuild.compiled", "compose.rebuilt"];

/// All points of key transitions.
#[cfg(feature = "failpoints")]
pub const TRANSITION_NAMES: &[&str] = &["transition.signed", "remote.keys-followed"];

/// All points of composing a Go module, after those of the compose.
#[cfg(feature = "failpoints")]
pub const MODULE_NAMES: &[&str] = &["module.read", "module.written", "module.committed"];

/// All points of installing, switching, removing and garbage collection.
#[cfg(feature = "failpoints")]
pub const DEPLOY_NAMES: &[&str] = &[
    "deploy.locked",
    "checkout.synced",
    "deploy.checked-out",
    "deploy.sealed",
    "deploy.synced",
    "rename.moved-aside",
    "deploy.placed",
    "deploy.kept",
    "deploy.std-cache-placed",
    "deploy.recorded",
    "deploy.std-caches-dropped",
    "switch.recorded",
    "switch.done",
    "deploy.hooks-pending",
    "deploy.hook-ended",
    "deploy.hook-recorded",
    "uninstall.deactivated",
    "uninstall.recorded",
    "clean.renamed",
    "gc.refs-removed",
    "gc.pruned",
];

/// All points of a pull.
#[cfg(feature = "failpoints")]
pub const PULL_NAMES: &[&str] = &["pull.fetched", "pull.locked", "pull.committed"];

/// All points of a prune, in the order in which they are reached.
#[cfg(feature = "failpoints")]
pub const PRUNE_NAMES: &[&str] = &[
    "prune.refs-removed",
    "prune.summary-refreshed",
    "prune.marked",
    "prune.object-deleted",
    "prune.commit-deleted",
    "prune.synced",
    "delta.hidden",
];

/// All points of generating a static delta.
#[cfg(feature = "failpoints")]
pub const DELTA_NAMES: &[&str] = &["delta.part-written", "delta.written", "delta.shown"];

/// All points of publishing, if it replaces a signed summary.
#[cfg(feature = "failpoints")]
pub const PUBLISH_NAMES: &[&str] = &[
    "publish.both-signed",
    "publish.summary-written",
    "publish.signed",
];

/// All points of an overlay.
#[cfg(feature = "failpoints")]
pub const OVERLAY_NAMES: &[&str] = &["overlay.locked", "overlay.written"];

/// All points of storing a file in the cache of a module proxy.
#[cfg(feature = "failpoints")]
pub const PROXY_NAMES: &[&str] = &["proxy.written", "proxy.stored"];
