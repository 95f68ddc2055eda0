//! Why SDKs could not be laid over an OS.

use crate::export::ExportError;
use crate::fs::path::{InvalidPath, TreePath};
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::repo::RepoError;
use crate::sign::SignError;
use crate::store::StoreError;
use std::fmt;
use std::path::PathBuf;

/// Why SDKs could not be laid over an OS. The repository's refs are as they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayError {
    /// A repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Reading an SDK's files.
    #[error(transparent)]
    Read(#[from] ExportError),
    /// Writing objects.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Signing the commit.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// No SDK was given.
    #[error("no SDK to lay over {base}")]
    NoSdk {
        /// The base.
        base: CommitId,
    },
    /// What should be laid over the base is no SDK.
    #[error("commit {commit} is neither a release nor a layer of an SDK")]
    NotAnSdk {
        /// The commit.
        commit: CommitId,
    },
    /// A commit whose objects are not all there.
    #[error("commit {commit} is incomplete in repository {}", repo.display())]
    Partial {
        /// The commit.
        commit: CommitId,
        /// The repository.
        repo: PathBuf,
    },
    /// The SDK is for another machine than the base.
    #[error("commit {commit} is for {found}, and the base {base} is for {expected}")]
    Arch {
        /// The SDK's commit.
        commit: CommitId,
        /// Its architecture.
        found: String,
        /// The base.
        base: CommitId,
        /// The base's architecture.
        expected: String,
    },
    /// Two trees have the same path with different content.
    #[error("{upper} and {lower} both have /{path}: {difference}")]
    Conflict {
        /// The path.
        path: Box<TreePath>,
        /// What is laid over.
        upper: OverlaySide,
        /// What has the path already.
        lower: OverlaySide,
        /// How they differ.
        difference: OverlayDifference,
    },
    /// A tree with two folders for the configuration.
    #[error("{side} has both /etc and /usr/etc")]
    TwoEtc {
        /// Whose tree it is; an SDK's with the base's counts as the SDK's.
        side: OverlaySide,
    },
    /// An SDK's tree has a name that is no path of an SDK.
    #[error("commit {commit} has a path that no SDK may have")]
    Path {
        /// The SDK's commit.
        commit: CommitId,
        /// The path.
        #[source]
        source: InvalidPath,
    },
    /// The base's SELinux policy cannot be used.
    #[error("cannot {action} by the SELinux policy in /usr/etc/selinux of the base {base}")]
    Policy {
        /// What was tried.
        action: String,
        /// The base.
        base: CommitId,
        /// libostree's error.
        #[source]
        source: glib::Error,
    },
    /// The repository cannot hold what the base's policy asks for.
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
    /// Somebody else moved the ref after the plan was made.
    #[error("ref {ref_name} was moved by another process in the meantime")]
    Moved {
        /// The ref.
        ref_name: RefName,
    },
    /// The caller asked for a stop.
    #[error("stopped on request; nothing was committed")]
    Cancelled,
}

impl OverlayError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Read(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Sign(error) => error.kind(),
            Self::NoSdk { .. } | Self::NotAnSdk { .. } | Self::NoLabels { .. } => {
                ErrorKind::InvalidInput
            }
            Self::Partial { .. } => ErrorKind::Drift,
            Self::Arch { .. } => ErrorKind::Mismatch,
            Self::Conflict { .. } | Self::TwoEtc { .. } => ErrorKind::LayerConflict,
            Self::Path { .. } => ErrorKind::UnsafeContent,
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

/// How two trees differ at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayDifference {
    /// Two files or symlinks.
    #[error("the contents differ")]
    Content,
    /// A directory, and a file or symlink.
    #[error("only one is a directory")]
    Kind,
    /// Two directories.
    #[error("the directories differ in owner, mode or xattrs")]
    Directory,
}
