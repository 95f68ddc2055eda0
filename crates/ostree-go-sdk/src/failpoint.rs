//! Named points at which a test may kill the process, as a power cut would.
//!
//! Only built with the feature `failpoints`; otherwise `hit` is nothing.

#[cfg(feature = "failpoints")]
use std::sync::atomic::{AtomicU32, Ordering};

/// Dies here if a test armed this point: SIGKILL, so that no destructor runs.
#[cfg(feature = "failpoints")]
pub(crate) fn hit(name: &str) {
    let armed = ARMED.get().filter(|armed| armed.name == name);
    if armed.is_some_and(|armed| armed.left.fetch_sub(1, Ordering::Relaxed) == 1) {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing, in a build without the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn hit(_name: &str) {}

#[cfg(feature = "failpoints")]
static ARMED: std::sync::OnceLock<Armed> = std::sync::OnceLock::new();

#[cfg(feature = "failpoints")]
struct Armed {
    name: String,
    /// How often the point is still passed, the last time deadly.
    left: AtomicU32,
}

/// Arms one point for the rest of the process's life: `name`, or `name@3` for the third time
/// that it is passed.
#[cfg(feature = "failpoints")]
pub fn arm(point: &str) {
    let (name, times) = point.split_once('@').unwrap_or((point, "1"));
    let _ = ARMED.set(Armed {
        name: name.to_owned(),
        left: AtomicU32::new(times.parse().unwrap_or(1)),
    });
}

/// Every point, in the order a compose passes them.
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

/// Every point that installing, switching, removing and collecting pass.
#[cfg(feature = "failpoints")]
pub const DEPLOY_NAMES: &[&str] = &[
    "deploy.locked",
    "checkout.synced",
    "deploy.checked-out",
    "deploy.sealed",
    "deploy.synced",
    "deploy.placed",
    "deploy.kept",
    "deploy.recorded",
    "switch.recorded",
    "switch.done",
    "uninstall.deactivated",
    "uninstall.recorded",
    "clean.renamed",
    "gc.refs-removed",
    "gc.pruned",
];

/// Every point that a pull passes.
#[cfg(feature = "failpoints")]
pub const PULL_NAMES: &[&str] = &["pull.fetched", "pull.locked", "pull.committed"];

/// Every point that a prune passes, in its order.
#[cfg(feature = "failpoints")]
pub const PRUNE_NAMES: &[&str] = &[
    "prune.refs-removed",
    "prune.marked",
    "prune.object-deleted",
    "prune.commit-deleted",
    "prune.synced",
    "delta.hidden",
];

/// Every point that making a static delta passes.
#[cfg(feature = "failpoints")]
pub const DELTA_NAMES: &[&str] = &["delta.part-written", "delta.written", "delta.shown"];

/// Every point that a publish passes that replaces a signed summary.
#[cfg(feature = "failpoints")]
pub const PUBLISH_NAMES: &[&str] = &[
    "publish.both-signed",
    "publish.summary-written",
    "publish.signed",
];

/// Every point that an overlay passes.
#[cfg(feature = "failpoints")]
pub const OVERLAY_NAMES: &[&str] = &["overlay.locked", "overlay.written"];
