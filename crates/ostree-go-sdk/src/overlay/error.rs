//! Errors of overlays.

use crate::export::ExportError;
use crate::fs::path::{InvalidPath, TreePath};
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::publish::PublishError;
use crate::repo::{OstreeError, RepoError};
use crate::sign::SignError;
use crate::store::StoreError;
use std::fmt;
use std::path::PathBuf;

/// An error while adding SDKs to an OS. The repository's refs are unchanged, unless the summary could
/// not be refreshed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayError {
    /// The repository failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A file of an SDK cannot be read.
    #[error(transparent)]
    Read(#[from] ExportError),
    /// An object cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The commit cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The ref was moved, but the summary or the page could not be refreshed.
    #[error("the ref was moved, but the summary or the page cannot be refreshed")]
    Publish(#[from] PublishError),
    /// No SDK was given.
    #[error("no SDK to lay over {base}")]
    NoSdk {
        /// The base.
        base: CommitId,
    },
    /// A commit to add is not an SDK.
    #[error("commit {commit} is neither a release, a layer of an SDK nor a std cache")]
    NotAnSdk {
        /// The commit.
        commit: CommitId,
    },
    /// Some objects of a commit are missing.
    #[error("commit {commit} is incomplete in repository {}", repo.display())]
    Partial {
        /// The commit.
        commit: CommitId,
        /// The repository.
        repo: PathBuf,
    },
    /// The SDK is for another architecture than the base.
    #[error("commit {commit} is for {found}, and the base {base} is for {expected}")]
    Arch {
        /// The SDK's commit.
        commit: CommitId,
        /// The architecture of the SDK.
        found: String,
        /// The base.
        base: CommitId,
        /// The architecture of the base.
        expected: String,
    },
    /// Two trees have the same path with different content.
    #[error("{upper} and {lower} both have /{path}: {difference}")]
    Conflict {
        /// The path.
        path: Box<TreePath>,
        /// The tree that is added.
        upper: OverlaySide,
        /// The tree that already has the path.
        lower: OverlaySide,
        /// The difference.
        difference: OverlayDifference,
    },
    /// A tree has both `/etc` and `/usr/etc`.
    #[error("{side} has both /etc and /usr/etc")]
    TwoEtc {
        /// The tree; if the SDK and the base have one each, the SDK.
        side: OverlaySide,
    },
    /// An SDK has files in `/var`, which a deployment of an OS commit does not get.
    #[error("commit {commit} has /{path}, but /var of an OS commit is not part of a deployment")]
    Var {
        /// The SDK's commit.
        commit: CommitId,
        /// The first path in `/var`.
        path: Box<TreePath>,
    },
    /// A path in an SDK's tree is not allowed there.
    #[error("commit {commit} has a path that no SDK may have")]
    Path {
        /// The SDK's commit.
        commit: CommitId,
        /// The path.
        #[source]
        source: InvalidPath,
    },
    /// The SELinux policy of the base cannot be used.
    #[error("cannot {action} by the SELinux policy in /usr/etc/selinux of the base {base}")]
    Policy {
        /// The action that failed.
        action: String,
        /// The base.
        base: CommitId,
        /// libostree's error.
        #[source]
        source: OstreeError,
    },
    /// The repository cannot store the labels that the base's policy requires.
    #[error(
        "repository {} is bare-user-only and cannot hold the SELinux labels that the policy of the base {base} asks for",
        repo.display()
    )]
    NoLabels {
        /// The repository.
        repo: PathBuf,
        /// The base.
        base: CommitId,
    },
    /// Another process moved the ref after the plan was made.
    #[error("ref {ref_name} was moved by another process in the meantime")]
    Moved {
        /// The ref.
        ref_name: RefName,
    },
    /// The operation was cancelled.
    #[error("stopped on request; nothing was committed")]
    Cancelled,
}

impl OverlayError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Read(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Sign(error) => error.kind(),
            Self::Publish(error) => error.kind(),
            Self::NoSdk { .. } | Self::NotAnSdk { .. } | Self::NoLabels { .. } => {
                ErrorKind::InvalidInput
            }
            Self::Partial { .. } => ErrorKind::Damaged,
            Self::Arch { .. } => ErrorKind::Mismatch,
            Self::Conflict { .. } | Self::TwoEtc { .. } => ErrorKind::LayerConflict,
            Self::Path { .. } | Self::Var { .. } => ErrorKind::UnsafeContent,
            Self::Policy { .. } => ErrorKind::Corrupt,
            Self::Moved { .. } => ErrorKind::Locked,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

/// One of the trees of an overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverlaySide {
    /// The base.
    Base(CommitId),
    /// An SDK.
    Sdk(CommitId),
}

impl fmt::Display for OverlaySide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(commit) => write!(f, "the base {commit}"),
            Self::Sdk(commit) => write!(f, "SDK {commit}"),
        }
    }
}

/// The difference between two trees at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayDifference {
    /// Files or symlinks with different content.
    #[error("the contents differ")]
    Content,
    /// A directory in one tree, a file or symlink in the other.
    #[error("only one is a directory")]
    Kind,
    /// Directories with different metadata.
    #[error("the directories differ in owner, mode or xattrs")]
    Directory,
}
