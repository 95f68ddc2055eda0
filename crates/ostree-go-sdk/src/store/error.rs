//! Errors of writing file objects.

use crate::id::FileId;
use crate::kind::ErrorKind;
use crate::repo::RepoError;
use std::io;
use std::path::PathBuf;

/// An error of writing file objects.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An error of the repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A large file could not be written to a temporary file.
    #[error("cannot buffer a large file in {}", path.display())]
    Spool {
        /// The folder of the temporary file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// A system call failed.
    #[error("cannot {action} object {id} in repository {}", path.display())]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The checksum of the object.
        id: FileId,
        /// The repository.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The file system would have less free space than the repository requires.
    #[error(
        "cannot write object {id} in repository {}: it needs {needed} bytes, \
         and {free} are left beside the {reserve} that `min-free-space` keeps free",
        path.display()
    )]
    InsufficientSpace {
        /// The checksum of the object.
        id: FileId,
        /// The repository.
        path: PathBuf,
        /// The number of bytes that the object needs.
        needed: u64,
        /// The number of bytes that the transaction may still write.
        free: u64,
        /// The number of bytes that must stay free, by the repository's `min-free-space-percent` or
        /// `-size`.
        reserve: u64,
    },
}

impl StoreError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Spool { source, .. } | Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::InsufficientSpace { .. } => ErrorKind::DiskFull,
        }
    }
}
