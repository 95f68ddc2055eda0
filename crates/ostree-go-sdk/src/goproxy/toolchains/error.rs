//! Errors of toolchain modules.

use crate::fs::context::from_io_failure;
use crate::golang::h1::H1;
use crate::id::{CommitId, FileId};
use crate::kind::ErrorKind;
use crate::repo::RepoError;
use crate::upstream::UpstreamError;
use std::io;
use std::path::PathBuf;

/// The reason why a toolchain cannot be served from a repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolchainModuleError {
    /// The repository failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The release has no SDK, or files that Go's own does not have.
    #[error(transparent)]
    Release(Box<UpstreamError>),
    /// The content of a release has another hash than its metadata.
    #[error(
        "commit {commit} has `sdk.h1` {expected} in its metadata, but {module} with its files would have {found}"
    )]
    Differs {
        /// The commit.
        commit: CommitId,
        /// The module and its version.
        module: Box<str>,
        /// The hash of the content.
        found: H1,
        /// The hash in the metadata.
        expected: H1,
    },
    /// The release is larger than the go command accepts.
    #[error(
        "commit {commit} has {files} files of {bytes} bytes, more than the {max_files} files of {max_bytes} bytes that the zip file of a module can have"
    )]
    TooLarge {
        /// The commit.
        commit: CommitId,
        /// The number of files.
        files: usize,
        /// Their total size in bytes.
        bytes: u64,
        /// The largest allowed number of files.
        max_files: usize,
        /// The largest allowed total size in bytes.
        max_bytes: u64,
    },
    /// The file of an object was changed since the release was checked.
    #[error("object {id} was changed while it was being sent")]
    Changed {
        /// The object.
        id: FileId,
    },
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The receiver of the zip file failed: the client has closed the connection, for example.
    #[error("cannot send the zip file")]
    Write(#[source] io::Error),
}

from_io_failure!(ToolchainModuleError);

impl From<UpstreamError> for ToolchainModuleError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Repo(error) => Self::Repo(error),
            error => Self::Release(Box::new(error)),
        }
    }
}

impl ToolchainModuleError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Release(error) => error.kind(),
            Self::Differs { .. } => ErrorKind::Mismatch,
            Self::TooLarge { .. } => ErrorKind::InvalidInput,
            Self::Changed { .. } => ErrorKind::Damaged,
            Self::Io { source, .. } | Self::Write(source) => ErrorKind::of_io(source),
        }
    }
}
