//! Errors of hooks.

use super::outcome::{HookOutcome, HookResult};
use crate::fs::context::from_io_failure;
use crate::kind::ErrorKind;
use std::fmt;
use std::path::PathBuf;

/// An error of hooks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// A hook, or a directory that contains hooks, belongs to another user, or other users can change it.
    #[error(
        "{} belongs to user {owner} and has mode {mode:04o}, expected {} and no write permission for group and others",
        path.display(),
        trusted_users()
    )]
    Untrusted {
        /// The file or directory.
        path: PathBuf,
        /// The user ID of its owner.
        owner: u32,
        /// Its permissions.
        mode: u32,
    },
    /// An entry in a directory of hooks is not a file, or a directory of hooks is not a directory.
    #[error("{} is {found}, expected {expected}", path.display())]
    UnexpectedEntry {
        /// The entry.
        path: PathBuf,
        /// Its type.
        found: &'static str,
        /// The expected type.
        expected: &'static str,
    },
    /// A hook started a deployment.
    #[error("a hook cannot start a deployment, because hooks would run again after it")]
    Nested,
    /// A required hook failed, or a hook was interrupted.
    #[error(transparent)]
    Failed(#[from] Box<FailedHook>),
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
}

from_io_failure!(HookError);

impl HookError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Untrusted { .. } | Self::UnexpectedEntry { .. } | Self::Nested => {
                ErrorKind::InvalidInput
            }
            Self::Failed(failed) if failed.hook.outcome == HookOutcome::Interrupted => {
                ErrorKind::Cancelled
            }
            Self::Failed(_) => ErrorKind::Io,
            Self::Io { source, .. } => ErrorKind::of_io(source),
        }
    }
}

/// A required hook that failed, or a hook that was interrupted.
#[derive(Debug, thiserror::Error)]
#[error("hook {} {}; {after}", hook.name, hook.outcome)]
#[non_exhaustive]
pub struct FailedHook {
    /// The hook and its result.
    pub hook: HookResult,
    /// The version of the deployment that had become active.
    pub version: String,
    /// The state of the deployment after the failure.
    pub after: AfterFailure,
    /// The last lines that the hook has written.
    #[source]
    pub output: Option<LastLines>,
}

/// The active deployment after a hook has failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum AfterFailure {
    /// The previous deployment is active again.
    SwitchedBack {
        /// Its version.
        version: String,
    },
    /// No deployment is active, because none was before.
    Deactivated,
    /// The deployment stays active, because the hook that was interrupted is not required.
    StaysActive {
        /// Its version.
        version: String,
    },
    /// The deployment stays active, because switching back failed.
    NotSwitchedBack {
        /// Its version.
        version: String,
        /// The reason.
        reason: String,
    },
    /// Another process had changed the active deployment, which stays as it is.
    Changed,
}

impl fmt::Display for AfterFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SwitchedBack { version } => write!(f, "switched back to go {version}"),
            Self::Deactivated => f.write_str("no SDK is active, as before"),
            Self::StaysActive { version } => write!(f, "go {version} stays active"),
            Self::NotSwitchedBack { version, reason } => write!(
                f,
                "go {version} stays active, because switching back failed: {reason}"
            ),
            Self::Changed => f.write_str("another process has changed the active SDK meanwhile"),
        }
    }
}

/// The last lines that a hook has written, as the cause of an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LastLines(pub String);

/// Returns the users that hooks may belong to.
fn trusted_users() -> String {
    match rustix::process::geteuid().as_raw() {
        0 => "user 0".to_owned(),
        user => format!("user 0 or {user}"),
    }
}

/// Refuses a deployment by a hook, because it would run hooks again.
pub(in crate::deploy) fn require_outside_hook(inside_hook: bool) -> Result<(), HookError> {
    match inside_hook {
        true => Err(HookError::Nested),
        false => Ok(()),
    }
}
