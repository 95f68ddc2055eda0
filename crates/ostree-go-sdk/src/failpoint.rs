//! Named points at which a test may kill the process, as a power cut would.
//!
//! Only built with the feature `failpoints`; otherwise [`hit`] is nothing.

/// Dies here if a test armed this point: SIGKILL, so that no destructor runs.
#[cfg(feature = "failpoints")]
pub(crate) fn hit(name: &str) {
    if ARMED.get().is_some_and(|armed| armed == name) {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing, in a build without the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn hit(_name: &str) {}

#[cfg(feature = "failpoints")]
static ARMED: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// Arms one point for the rest of the process's life.
#[cfg(feature = "failpoints")]
pub fn arm(name: String) {
    let _ = ARMED.set(name);
}

/// Every point, in the order a compose passes them.
#[cfg(feature = "failpoints")]
pub const NAMES: &[&str] = &[
    "repo.created",
    "compose.locked",
    "compose.object-written",
    "compose.source-read",
    "compose.layer-written",
    "compose.release-written",
    "compose.refs-set",
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
