//! Deployments: SDKs that are checked out on a host, at most one of them active.
//!
//! # On disk
//!
//! A root is a directory with this content:
//!
//! ```text
//! repo/                    an OSTree repository, mode bare-user
//! deployments/<commit>/    a commit's tree, as hard links to the repository's objects: an SDK, or a
//!                          std cache
//! current                  → deployments/<commit>: the active deployment
//! sdk/go-<version>         → ../deployments/<commit>: every deployment, by version; one for
//!                          another architecture is sdk/go-<version>.<basearch>
//! toolchains/go<version>   → the go command of every deployment for this machine
//! state.json               deployments, proofs and history, with a schema version
//! .ostree-go-root          the marker of a root, with the version of this layout
//! .lock                    held by a process that changes the root
//! .fetch.lock              shared by processes that fetch SDKs to deploy
//! .hooks.lock              held by a process that runs hooks
//! ```
//!
//! A folder without the marker becomes a root only if it is empty, or if a version of this library
//! that did not write markers created the root. Other names in a root are left alone.
//!
//! `current/usr/bin` is the directory to add to `PATH`. Deployed files and directories have no
//! write bit. The repository stores modes in an xattr (`bare-user`), so clearing the write bits of
//! an inode that an object and a deployment share changes no checksum.
//!
//! # Source of truth
//!
//! A deployment exists if it is listed in `state.json`; before it is added there, its folder was
//! completed, checked, sealed and synced (`syncfs`). The active deployment is the one that
//! `current` points to: the rename of that link is the single step that switches. The history entry
//! is written just before the rename; an entry that contradicts the link describes a switch that
//! did not happen, and is dropped. The next process that takes the lock removes what a killed
//! process left: temporary names, folders without an entry, and refs without a deployment.
//!
//! The std caches of an SDK are commits and folders of their own. They are listed in the entry of
//! the SDK in `state.json`, and completed and synced before that entry is written. Several SDKs of one
//! version share them. Those that no SDK lists any more are removed like other folders without an
//! entry.
//!
//! A missing state file is rebuilt from the deployments and the repository, without signatures and
//! history. A state file that cannot be read is an error, and nothing is changed.
//!
//! # Locks
//!
//! `.lock` is held while a root is changed, never while the network is used, so a rollback does not
//! wait for a download. Commits that were fetched but are not deployed yet are protected by
//! `.fetch.lock`: fetching processes share it, and a garbage collection takes it exclusively. A
//! process that needs both locks takes `.fetch.lock` first. `.hooks.lock` is held while hooks run, and taken
//! without any other lock. The kernel releases all when a process ends.
//!
//! Reading takes no lock and changes nothing, so an unprivileged user can inspect the system's
//! root.

mod activate;
mod activation;
mod clean;
mod encoding;
mod error;
mod fetch;
mod folder;
mod found;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod gc;
mod hooks;
mod install;
mod job;
mod links;
mod local;
mod locked;
mod offered;
mod place;
mod preview;
mod rebuild;
mod rollback;
mod root;
mod selection;
mod state;
mod status;
mod std_caches;
mod switch;
mod toolchains;
mod uninstall;
mod upgrade;
mod verify;

pub use activate::{Activate, ActivatePlan, Activated};
pub use activation::{Action, Activation};
pub use error::DeployError;
pub use gc::{Gc, GcPlan, GcReport};
pub(crate) use hooks::examine as examine_hooks;
pub use hooks::{
    AfterFailure, FailedHook, HookError, HookKind, HookOutcome, HookResult, Hooks, LastLines,
};
pub use install::{Install, InstallPlan, Installed};
pub use job::InstallSource;
pub(crate) use local::source_repo_of;
pub use locked::{Deployed, Outcome, PlacedStdCache};
pub use preview::{PlannedDeployment, PlannedStdCache};
pub use rollback::{Rollback, RollbackPlan, RolledBack};
pub use root::Root;
pub use selection::StdCacheSelection;
pub use state::{DeployedStdCache, Deployment};
pub use status::{Check, DeploymentStatus, Status, StdCacheStatus, Verify};
pub use uninstall::{Uninstall, UninstallPlan, Uninstalled};
pub use upgrade::Upgrade;
pub use verify::{DamagedFile, FileProblem};
