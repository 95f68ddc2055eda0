//! Hooks: programs of the administrator that run after another deployment has become active.
//!
//! # Places
//!
//! Hooks are executable files in `hooks/post-deploy/required.d` and `hooks/post-deploy/wanted.d` below the
//! directories of [`Hooks::new`]. A file replaces one with the same name in an earlier directory; a link to
//! `/dev/null` only removes it.
//!
//! # Protocol
//!
//! The entry of the history that is written before the switch lists the hooks as pending. They run one after
//! another, without the root's lock, so that a hook can use the root. After each hook, its result is recorded
//! under the lock. A required hook that fails is recorded together with the entry of the switch back, which
//! the state file gets in one step. A process that was killed leaves pending hooks; the next activation of
//! the same deployment with hooks runs them.
//!
//! `.hooks.lock` is held while hooks run, so that they run only once. It is taken when the process holds no
//! other lock, because a hook may wait for one of these.

mod discover;
mod error;
mod examine;
mod execute;
mod options;
mod outcome;
mod recorded;
mod runner;

pub(super) use error::require_outside_hook;
pub use error::{AfterFailure, FailedHook, HookError, LastLines};
pub(crate) use examine::examine;
pub use options::Hooks;
pub use outcome::{HookKind, HookOutcome, HookResult};
pub(super) use runner::{HookPlan, cause};
