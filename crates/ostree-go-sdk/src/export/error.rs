//! Errors of exports.

use crate::catalog::CommitKind;
use crate::fs::context::IoFailure;
use crate::fs::path::TreePath;
use crate::id::{CommitId, FileId, RefName};
use crate::kind::ErrorKind;
use crate::progress::Progress;
use crate::repo::RepoError;
use std::io;
use std::path::PathBuf;

/// An error while reading a release or writing an export. The destination is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The repository failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// An object of a directory is damaged or missing in the repository.
    #[error("cannot read commit {commit}: object {object} of /{} is damaged or missing", path.display())]
    Damaged {
        /// The commit.
        commit: CommitId,
        /// The directory in the tree.
        path: PathBuf,
        /// The checksum and type of the object: `00ff….dirtree`.
        object: String,
    },
    /// A file's object does not match its checksum.
    #[error("/{path} is damaged in the repository: its object is {found}, expected {expected}")]
    DamagedFile {
        /// The path in the tree.
        path: TreePath,
        /// The actual checksum of the object.
        found: FileId,
        /// The checksum in the tree.
        expected: FileId,
    },
    /// The tree contains a path that is not allowed in an SDK.
    #[error("cannot export commit {commit}: {path:?} is not a valid path of an SDK")]
    Path {
        /// The commit.
        commit: CommitId,
        /// The path in the tree.
        path: PathBuf,
    },
    /// The commit is neither a release nor a channel.
    #[error("commit {commit} is {}, expected a release or a channel", match kind {
        CommitKind::Layer => "a layer",
        CommitKind::StdCache => "a std cache",
        CommitKind::Module => "a Go module",
        CommitKind::Image => "an OS image",
        _ => "not composed by ostree-go",
    })]
    NotARelease {
        /// The commit.
        commit: CommitId,
        /// The kind of the commit.
        kind: CommitKind,
    },
    /// A std cache of the release's version cannot be exported.
    #[error("std cache {name} cannot be exported: {problem}")]
    StdCache {
        /// The ref of the std cache.
        name: RefName,
        /// The problem.
        problem: String,
    },
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The operation was cancelled.
    #[error("stopped while reading commit {commit}")]
    Cancelled {
        /// The commit.
        commit: CommitId,
    },
}

impl ExportError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Damaged { .. } | Self::DamagedFile { .. } | Self::StdCache { .. } => {
                ErrorKind::Damaged
            }
            Self::Path { .. } => ErrorKind::UnsafeContent,
            Self::NotARelease { .. } => ErrorKind::InvalidInput,
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::Cancelled { .. } => ErrorKind::Cancelled,
        }
    }

    /// Replaces the error of a system call that was given up because the operation was cancelled.
    pub(super) fn or_cancelled(self, commit: CommitId, progress: &dyn Progress) -> Self {
        match self {
            Self::Io { .. } if progress.is_cancelled() => Self::Cancelled { commit },
            error => error,
        }
    }
}

impl From<IoFailure> for ExportError {
    fn from(failure: IoFailure) -> Self {
        Self::Io {
            action: failure.action,
            path: failure.path,
            source: bare(failure.source),
        }
    }
}

/// Removes the random file name that `tempfile` adds to the system's error. The errno is only
/// available in the text then.
fn bare(error: io::Error) -> io::Error {
    let text = error.get_ref().map(ToString::to_string).unwrap_or_default();
    let number = text.split_once("(os error ").map(|(_, rest)| rest);
    let number = number.and_then(|rest| rest.split_once(')')?.0.parse().ok());
    number.map_or(error, io::Error::from_raw_os_error)
}
