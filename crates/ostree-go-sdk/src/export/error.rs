//! Why an export failed.

use crate::fs::path::TreePath;
use crate::id::{CommitId, FileId};
use crate::kind::ErrorKind;
use crate::repo::RepoError;
use std::io;
use std::path::PathBuf;

/// Why an export failed. Nothing is at the destination then that was not there before.
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
    /// A commit that is no release, nor what a channel has.
    #[error("commit {commit} is not a release")]
    NotARelease {
        /// The commit.
        commit: CommitId,
    },
    /// A release that could not be named: what asks for it by a ref would not find it.
    #[error("no ref of the repository names the release of commit {commit}")]
    NotOnRef {
        /// The commit.
        commit: CommitId,
    },
    /// Metadata that rpm-ostree would change.
    #[error(
        "commit {commit} has `${{` in the metadata `{key}`, which rpm-ostree would take for a variable"
    )]
    Variable {
        /// The commit.
        commit: CommitId,
        /// The key.
        key: String,
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
            Self::NotARelease { .. } | Self::NotOnRef { .. } | Self::Variable { .. } => {
                ErrorKind::InvalidInput
            }
            Self::Path { .. } => ErrorKind::UnsafeContent,
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
            source,
        }
    }
}
