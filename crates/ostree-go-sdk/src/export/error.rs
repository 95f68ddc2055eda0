//! Why a release could not be read, or written somewhere.

use crate::catalog::CommitKind;
use crate::fs::path::TreePath;
use crate::id::{CommitId, FileId};
use crate::kind::ErrorKind;
use crate::repo::RepoError;
use std::io;
use std::path::PathBuf;

/// What every export can fail for: reading the release, and writing. Nothing is at the destination
/// then that was not there before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// What describes the tree is damaged or missing in the repository.
    #[error("cannot read commit {commit}: object {object} of /{} is damaged or missing", path.display())]
    Damaged {
        /// The commit.
        commit: CommitId,
        /// The directory in the tree.
        path: PathBuf,
        /// The object's checksum and type: `00ff….dirtree`.
        object: String,
    },
    /// A file's object is not what its checksum says.
    #[error("/{path} is damaged in the repository: its object is {found}, expected {expected}")]
    DamagedFile {
        /// The path in the tree.
        path: TreePath,
        /// The checksum that the object has.
        found: FileId,
        /// The checksum in the tree.
        expected: FileId,
    },
    /// The tree has a name that is no path of an SDK.
    #[error("cannot export commit {commit}: {path:?} is no path that an SDK may have")]
    Path {
        /// The commit.
        commit: CommitId,
        /// The path in the tree.
        path: PathBuf,
    },
    /// A release or a channel was asked for.
    #[error("commit {commit} is {}, expected a release or a channel", match kind {
        CommitKind::Layer => "a layer",
        CommitKind::Image => "an OS",
        _ => "none that ostree-go composed",
    })]
    NotARelease {
        /// The commit.
        commit: CommitId,
        /// What it is.
        kind: CommitKind,
    },
    /// The system refused something.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The caller asked for a stop.
    #[error("stopped while reading commit {commit}")]
    Cancelled {
        /// The commit.
        commit: CommitId,
    },
}

impl ExportError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Damaged { .. } | Self::DamagedFile { .. } => ErrorKind::Drift,
            Self::Path { .. } => ErrorKind::UnsafeContent,
            Self::NotARelease { .. } => ErrorKind::InvalidInput,
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::Cancelled { .. } => ErrorKind::Cancelled,
        }
    }

    /// For `map_err`.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source: bare(source),
        }
    }
}

/// The system's error without what `tempfile` says of it: a name that nobody has given. It keeps
/// the system's number in its text alone.
fn bare(error: io::Error) -> io::Error {
    let text = error.get_ref().map(ToString::to_string).unwrap_or_default();
    let number = text.split_once("(os error ").map(|(_, rest)| rest);
    let number = number.and_then(|rest| rest.split_once(')')?.0.parse().ok());
    number.map_or(error, io::Error::from_raw_os_error)
}
